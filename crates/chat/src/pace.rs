//! How often a platform is called: so many messages a second in a place, and not before it says so after a refusal.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Conversations whose pace is remembered; one that was quiet for a while is forgotten.
const REMEMBERED_MAX: usize = 10_000;

/// The pace in each conversation.
#[derive(Debug)]
pub struct Pace {
    per_second: f64,
    at_once: f64,
    left: Mutex<HashMap<String, Bucket>>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: f64,
    at: Instant,
    /// The platform said: not before.
    not_before: Option<Instant>,
}

impl Pace {
    /// So many a second on average, and so many at once before that counts.
    pub fn new(per_second: f64, at_once: u32) -> Self {
        Self { per_second, at_once: f64::from(at_once), left: Mutex::default() }
    }

    /// Takes a turn in a conversation; how long to wait until it comes.
    pub fn turn(&self, conversation: &str, now: Instant) -> Duration {
        let mut left = self.left();
        if left.len() >= REMEMBERED_MAX {
            let quiet = Duration::from_secs_f64((self.at_once / self.per_second).min(3_600.0));
            left.retain(|_, bucket| now.duration_since(bucket.at) < quiet);
        }
        let fresh = Bucket { tokens: self.at_once, at: now, not_before: None };
        let bucket = left.entry(conversation.to_owned()).or_insert(fresh);
        let grown = now.duration_since(bucket.at).as_secs_f64() * self.per_second;
        bucket.tokens = (bucket.tokens + grown).min(self.at_once) - 1.0;
        bucket.at = now;
        let own = Duration::from_secs_f64((-bucket.tokens / self.per_second).max(0.0));
        let told = bucket.not_before.map(|until| until.saturating_duration_since(now)).unwrap_or_default();
        own.max(told)
    }

    /// The platform refused for being called too often.
    pub fn refused(&self, conversation: &str, after: Duration, now: Instant) {
        let mut left = self.left();
        let fresh = Bucket { tokens: 0.0, at: now, not_before: None };
        let bucket = left.entry(conversation.to_owned()).or_insert(fresh);
        bucket.not_before = Some(now + after.min(Duration::from_secs(3_600)));
    }

    fn left(&self) -> MutexGuard<'_, HashMap<String, Bucket>> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_at_once_and_then_one_a_second_in_each_place() {
        let pace = Pace::new(1.0, 2);
        let start = Instant::now();
        let waits: Vec<u64> = (0..4).map(|_| pace.turn("a", start).as_secs()).collect();
        assert_eq!(waits, [0, 0, 1, 2]);
        assert_eq!(pace.turn("b", start), Duration::ZERO);
        assert_eq!(
            pace.turn("a", start + Duration::from_secs(60)),
            Duration::ZERO,
            "what was saved up is bounded"
        );
        pace.refused("a", Duration::from_secs(30), start);
        assert_eq!(pace.turn("a", start + Duration::from_secs(10)).as_secs(), 20);
    }
}
