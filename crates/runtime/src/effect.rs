//! Doing something that takes time while a lease is held.

use std::{future::Future, time::Duration};

use store::{Lease, Store};

/// The lease was lost while something was done; whatever it was, its result must not be written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Lost;

/// Runs a future with a heartbeat for the lease. The future is dropped as soon as the lease is lost; a heartbeat that
/// waits for the store does not hold it up.
pub(crate) async fn holding<T>(
    store: &dyn Store,
    lease: &Lease,
    ttl: Duration,
    effect: impl Future<Output = T>,
) -> Result<T, Lost> {
    tokio::select! {
        biased;
        done = effect => Ok(done),
        lost = heartbeats(store, lease, ttl) => Err(lost),
    }
}

/// Renews a lease until it is lost.
async fn heartbeats(store: &dyn Store, lease: &Lease, ttl: Duration) -> Lost {
    let mut beat = tokio::time::interval(ttl / 3);
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    beat.tick().await;
    loop {
        beat.tick().await;
        match store.renew(lease, ttl).await {
            Ok(()) => {}
            Err(store::Error::Fenced { .. }) => return Lost,
            // The store may come back before the lease runs out; if it does not, the commit will be fenced.
            Err(error) => tracing::warn!(on = %lease.on, %error, "the heartbeat did not reach the store"),
        }
    }
}

/// How often something that has happened already is tried to be written while the store is away.
const PATIENCE: u32 = 120;

/// The wait before the next try to write what has happened already; `None` when there is no hope left. Short, so that
/// the writer is back before somebody else takes the lease over.
pub(crate) fn patience(name: &str, attempt: u32) -> Option<Duration> {
    let wait = || backoff(name, attempt, Duration::from_millis(100), Duration::from_secs(1));
    (attempt <= PATIENCE).then(wait)
}

/// A waiting time that doubles with each attempt and is spread by up to a half, so that many do not come back at once.
/// The spread is drawn from the name of what waits: the same name and attempt, the same wait.
pub(crate) fn backoff(name: &str, attempt: u32, first: Duration, max: Duration) -> Duration {
    let whole = first.saturating_mul(1 << attempt.saturating_sub(1).min(20)).min(max);
    let seed = agent::sha256(format!("{name}:{attempt}").as_bytes());
    let spread = u32::from_str_radix(&seed[..4], 16).unwrap_or(0);
    whole / 2 + whole.saturating_mul(spread) / 0x2_0000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_and_stay_within_bounds() {
        let (first, max) = (Duration::from_secs(1), Duration::from_secs(60));
        for attempt in 1..40 {
            let whole = first.saturating_mul(1 << (attempt - 1).min(20)).min(max);
            let wait = backoff("x", attempt, first, max);
            assert!(wait >= whole / 2 && wait <= whole, "{attempt}: {wait:?}");
        }
        assert_ne!(backoff("x", 3, first, max), backoff("y", 3, first, max));
    }
}
