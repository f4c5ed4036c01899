//! The rate limit on posting: about one message a second in a channel, with a small burst.

use std::{collections::HashMap, time::Instant};

const BURST: f64 = 3.0;
const PER_SECOND: f64 = 1.0;

/// How much each channel may still take.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    buckets: HashMap<String, (f64, Instant)>,
    /// How many posts were refused.
    pub(crate) violations: u64,
}

impl Limits {
    /// Takes one post; an error is the seconds to wait.
    pub(crate) fn take(&mut self, channel: &str) -> Result<(), u64> {
        let now = Instant::now();
        let (left, since) = self.buckets.entry(channel.to_owned()).or_insert((BURST, now));
        *left = (*left + now.duration_since(*since).as_secs_f64() * PER_SECOND).min(BURST);
        *since = now;
        if *left >= 1.0 {
            *left -= 1.0;
            return Ok(());
        }
        self.violations += 1;
        Err(1)
    }
}
