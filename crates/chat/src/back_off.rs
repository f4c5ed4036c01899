//! How long to wait before the next try.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    time::Duration,
};

use channel::ErrorKind;

/// How long to wait before the next try: doubling up to a minute, for what only an operator can mend up to five; spread by
/// a quarter so that many gateways do not come back at once; never less than the platform asked for.
pub fn back_off(failures: u32, kind: ErrorKind) -> Duration {
    let most = match kind {
        ErrorKind::Misconfigured | ErrorKind::Refused => 300_000,
        ErrorKind::Retry { .. } | ErrorKind::Ambiguous => 60_000,
    };
    let told = match kind {
        ErrorKind::Retry { after } => after.unwrap_or_default(),
        ErrorKind::Ambiguous | ErrorKind::Refused | ErrorKind::Misconfigured => Duration::ZERO,
    };
    let millis = 250_u64.saturating_mul(1 << failures.min(16)).min(most);
    Duration::from_millis(millis - millis / 4 + random() % (millis / 2).max(1)).max(told)
}

/// Another number each time. Nothing secret may hang on it.
pub fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_are_bounded_and_obey() {
        let retry = ErrorKind::Retry { after: None };
        assert!(back_off(0, retry) < Duration::from_millis(400));
        assert!(back_off(40, retry) <= Duration::from_secs(75));
        assert!(back_off(40, ErrorKind::Misconfigured) <= Duration::from_secs(375));
        let told = ErrorKind::Retry { after: Some(Duration::from_secs(600)) };
        assert_eq!(back_off(0, told), Duration::from_secs(600));
    }
}
