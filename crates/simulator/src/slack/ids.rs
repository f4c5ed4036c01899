//! Names that nobody can guess, and time stamps that only rise.

pub(crate) use crate::shared::ids::{random, since_epoch};

/// A random identifier in the form of a UUID.
pub(crate) fn uuid() -> String {
    let hex = random(16);
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default().to_owned();
    format!("{}-{}-4{}-a{}-{}", part(0, 8), part(8, 12), part(13, 16), part(17, 20), part(20, 32))
}

/// Gives out time stamps, none twice, each after the one before.
#[derive(Debug, Default)]
pub(crate) struct Stamps {
    last: u64,
    count: u64,
}

impl Stamps {
    /// The next time stamp, as `seconds.microseconds`.
    pub(crate) fn next(&mut self) -> String {
        let now = u64::try_from(since_epoch().as_micros()).unwrap_or(u64::MAX);
        self.last = now.max(self.last + 1);
        format!("{}.{:06}", self.last / 1_000_000, self.last % 1_000_000)
    }

    /// A number that was not given out before.
    pub(crate) fn number(&mut self) -> u64 {
        self.count += 1;
        self.count
    }
}

/// True for text in the form of a time stamp.
pub(crate) fn is_stamp(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    text.split_once('.').is_some_and(|(seconds, micros)| digits(seconds) && digits(micros))
}
