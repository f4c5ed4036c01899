//! What is going on at this moment: who is to look again, where somebody works, who asks too often.
//!
//! Nothing here needs to last: what was said is in the gateway's log, and every stream looks there again by itself.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use channel::{Place, Signal};
use tokio::sync::broadcast;

/// How long work is believed to go on when nobody says that it stopped.
const WORKING_MAX: Duration = Duration::from_mins(10);

/// News kept for a stream that is slow to take them; one that misses some looks at everything again.
const NEWS_MAX: usize = 256;

/// News of a place.
#[derive(Clone, Debug)]
pub(crate) enum News {
    /// Something was said there.
    Said(Place),
    /// Work began or stopped there.
    Work(Place, bool),
}

/// Carries news from the gateway to the open pages.
pub(crate) struct Hub {
    news: broadcast::Sender<News>,
    working: Mutex<HashMap<Place, Instant>>,
}

impl Hub {
    pub(crate) fn new() -> Self {
        Self { news: broadcast::Sender::new(NEWS_MAX), working: Mutex::default() }
    }

    /// News from now on.
    pub(crate) fn follow(&self) -> broadcast::Receiver<News> {
        self.news.subscribe()
    }

    /// Something was said at this place.
    pub(crate) fn said(&self, place: &Place) {
        // An error means that no page is open.
        let _ = self.news.send(News::Said(place.clone()));
    }

    /// Work began or stopped at this place.
    pub(crate) fn work(&self, place: &Place, signal: &Signal) {
        let mut working = lock(&self.working);
        working.retain(|_, until| *until > Instant::now());
        let on = match signal {
            Signal::Working | Signal::Writing { .. } => true,
            Signal::Waiting | Signal::Done | Signal::Failed => false,
        };
        if on {
            working.insert(place.clone(), Instant::now() + WORKING_MAX);
        } else {
            working.remove(place);
        }
        drop(working);
        let _ = self.news.send(News::Work(place.clone(), on));
    }

    /// Whether work goes on at this place.
    pub(crate) fn works(&self, place: &Place) -> bool {
        lock(&self.working).get(place).is_some_and(|until| *until > Instant::now())
    }
}

/// Bounds how often somebody may do something: so many at once, and as many a minute.
pub(crate) struct Pace<K> {
    a_minute: f64,
    who_max: usize,
    left: Mutex<HashMap<K, (f64, Instant)>>,
}

impl<K: Eq + Hash> Pace<K> {
    /// At most `a_minute` for each, and at most `who_max` that are remembered.
    pub(crate) fn new(a_minute: u32, who_max: usize) -> Self {
        Self { a_minute: f64::from(a_minute.max(1)), who_max, left: Mutex::default() }
    }

    /// Takes one, or says how long to wait.
    pub(crate) fn take(&self, who: K, now: Instant) -> Result<(), Duration> {
        let (rate, full) = (self.a_minute / 60.0, self.a_minute);
        let mut left = lock(&self.left);
        if left.len() >= self.who_max && !left.contains_key(&who) {
            left.retain(|_, (tokens, at)| *tokens + now.duration_since(*at).as_secs_f64() * rate < full);
            if left.len() >= self.who_max {
                return Err(Duration::from_mins(1));
            }
        }
        let (tokens, at) = left.entry(who).or_insert((full, now));
        *tokens = (*tokens + now.duration_since(*at).as_secs_f64() * rate).min(full);
        *at = now;
        if *tokens >= 1.0 {
            *tokens -= 1.0;
            return Ok(());
        }
        Err(Duration::from_secs_f64((1.0 - *tokens) / rate))
    }
}

/// A value is whole even where a thread died holding the lock: each change here is one step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_is_kept_by_each() {
        let pace = Pace::new(2, 2);
        let start = Instant::now();
        assert!(pace.take("ana", start).is_ok());
        assert!(pace.take("ana", start).is_ok());
        assert_eq!(pace.take("ana", start), Err(Duration::from_secs(30)));
        assert!(pace.take("ben", start).is_ok());
        assert!(pace.take("cy", start).is_err(), "more are not remembered");
        assert!(pace.take("ana", start + Duration::from_secs(31)).is_ok());
        assert!(pace.take("cy", start + Duration::from_secs(90)).is_ok(), "who is quiet is forgotten");
    }

    #[test]
    fn work_is_over_when_it_is_said_to_be() {
        let hub = Hub::new();
        let place = Place::new("ana/x");
        hub.work(&place, &Signal::Working);
        assert!(hub.works(&place));
        hub.work(&place, &Signal::Done);
        assert!(!hub.works(&place));
    }
}
