//! Doing something that takes time while a lease is held.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
    time::Duration,
};

use store::{Lease, Store};
use tokio::{sync::watch, time::Instant};

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
    let sure_until = watch::Sender::new(Instant::now());
    tokio::select! {
        biased;
        done = effect => Ok(done),
        lost = heartbeats(store, lease, ttl, &sure_until) => Err(lost),
    }
}

/// The same for what cannot be taken back, and that somebody else does when the lease has run out: it does not go on after
/// `sure_until`, the time until which the lease is held for sure, before a heartbeat has said that it is held still.
///
/// Times are this process's own, which pass also while the process stands still. So what was frozen in the middle of it and
/// comes to life after somebody else took over does no more, unless it was frozen between this look at the clock and the deed.
pub(crate) async fn holding_for_sure<T>(
    store: &dyn Store,
    lease: &Lease,
    ttl: Duration,
    sure_until: Instant,
    effect: impl Future<Output = T>,
) -> Result<T, Lost> {
    let sure_until = watch::Sender::new(sure_until);
    let mut effect = pin!(effect);
    let careful = poll_fn(|context| {
        let sure = Instant::now() < *sure_until.borrow();
        if sure { effect.as_mut().poll(context) } else { Poll::Pending }
    });
    tokio::select! {
        biased;
        done = careful => Ok(done),
        lost = heartbeats(store, lease, ttl, &sure_until) => Err(lost),
    }
}

/// Asks the store whether a lease is held, until it says so, for what must not begin without it. What was written before may
/// have been asked for several times, and long.
pub(crate) async fn held_for_sure(store: &dyn Store, lease: &Lease, ttl: Duration) -> Result<(), Lost> {
    for attempt in 1.. {
        let asked = Instant::now();
        match store.renew(lease, ttl).await {
            Ok(()) if asked.elapsed() < ttl => return Ok(()),
            Ok(()) => {}
            Err(store::Error::Fenced { .. }) => return Err(Lost),
            Err(error) => {
                tracing::warn!(on = %lease.on, %error, attempt, "whether the lease is held is not known yet");
                let Some(wait) = patience(&lease.on, attempt) else { return Err(Lost) };
                tokio::time::sleep(wait).await;
            }
        }
    }
    Err(Lost)
}

/// Renews a lease until it is lost, and says until when it is held for sure.
async fn heartbeats(
    store: &dyn Store,
    lease: &Lease,
    ttl: Duration,
    sure_until: &watch::Sender<Instant>,
) -> Lost {
    let mut beat = tokio::time::interval(ttl / 3);
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    beat.tick().await;
    loop {
        beat.tick().await;
        let asked = Instant::now();
        match store.renew(lease, ttl).await {
            Ok(()) => {
                sure_until.send_replace(asked + ttl);
                // What waited for this is looked at again.
                tokio::task::yield_now().await;
            }
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
