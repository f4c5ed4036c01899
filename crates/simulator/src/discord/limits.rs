//! Rate limits: a bucket for each route and place, one for all together, and the count of invalid requests.

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

use sha2::{Digest, Sha256};

/// All requests together, interactions aside.
const GLOBAL_A_SECOND: usize = 50;

/// The window of the invalid requests.
pub(crate) const INVALID_WITHIN: Duration = Duration::from_secs(600);

/// What is left of a bucket.
#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    pub(crate) name: String,
    pub(crate) limit: u64,
    pub(crate) remaining: u64,
    pub(crate) reset_after: f64,
}

/// Why a request has to wait.
#[derive(Clone, Debug)]
pub(crate) struct Exceeded {
    pub(crate) retry_after: f64,
    pub(crate) global: bool,
    /// `user`, `global` or `shared`.
    pub(crate) scope: String,
}

/// All of it.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    buckets: HashMap<String, (u64, Instant)>,
    recent: VecDeque<Instant>,
    invalid: VecDeque<Instant>,
    pub(crate) banned: Option<Instant>,
    /// How many requests were refused as too many.
    pub(crate) violations: u64,
}

/// How many requests a route takes in how many seconds.
fn measure(route: &str) -> (u64, f64) {
    match route {
        "POST /channels/{channel}/messages" | "PATCH /channels/{channel}/messages/{message}" => (5, 5.0),
        _ if route.contains("/reactions/") => (1, 0.25),
        _ if route.ends_with("/threads") => (10, 10.0),
        _ => (50, 5.0),
    }
}

impl Limits {
    /// Takes one request of a route. `place` is the channel, guild or webhook that it is about.
    pub(crate) fn take(
        &mut self,
        route: &str,
        place: &str,
        scale: f64,
        enforced: bool,
    ) -> Result<Bucket, (Option<Bucket>, Exceeded)> {
        let now = Instant::now();
        if !enforced {
            let bucket = Bucket { name: name(route), limit: 1000, remaining: 999, reset_after: 1.0 };
            return Ok(bucket);
        }
        while self.recent.front().is_some_and(|first| now - *first > Duration::from_secs(1)) {
            self.recent.pop_front();
        }
        // Interactions are not bound to the limit for all.
        let counted = !route.contains("/interactions/") && !route.contains("/webhooks/");
        if counted && self.recent.len() >= GLOBAL_A_SECOND {
            self.violations += 1;
            let since = self.recent.front().map_or(Duration::ZERO, |first| now - *first);
            let retry_after = (1.0 - since.as_secs_f64()).max(0.05);
            return Err((None, Exceeded { retry_after, global: true, scope: "global".to_owned() }));
        }
        if counted {
            self.recent.push_back(now);
        }
        let (limit, seconds) = measure(route);
        let window = Duration::from_secs_f64(seconds * scale.max(0.001));
        let (used, began) = self.buckets.entry(format!("{route} {place}")).or_insert((0, now));
        if now.duration_since(*began) >= window {
            (*used, *began) = (0, now);
        }
        let reset_after = window.saturating_sub(now.duration_since(*began)).as_secs_f64();
        let full = *used >= limit;
        if !full {
            *used += 1;
        }
        let bucket = Bucket { name: name(route), limit, remaining: limit - *used, reset_after };
        if full {
            self.violations += 1;
            let scope = "user".to_owned();
            return Err((Some(bucket), Exceeded { retry_after: reset_after, global: false, scope }));
        }
        Ok(bucket)
    }

    /// An invalid request was made. Too many of them get the address banned.
    pub(crate) fn invalid(&mut self, within: Duration, ban_at: u64) {
        self.invalid.push_back(Instant::now());
        if self.count_invalid(within) >= ban_at {
            self.banned = Some(Instant::now());
        }
    }

    /// How many invalid requests were made in the window.
    pub(crate) fn count_invalid(&mut self, within: Duration) -> u64 {
        while self.invalid.front().is_some_and(|first| first.elapsed() > within) {
            self.invalid.pop_front();
        }
        self.invalid.len() as u64
    }

    /// Whether the address is banned.
    pub(crate) fn is_banned(&mut self, within: Duration) -> bool {
        if self.banned.is_some_and(|since| since.elapsed() > within) {
            self.banned = None;
            self.invalid.clear();
        }
        self.banned.is_some()
    }

    /// Forgets the ban and the count.
    pub(crate) fn pardon(&mut self) {
        self.banned = None;
        self.invalid.clear();
    }
}

fn name(route: &str) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(route.as_bytes())).chars().take(32).collect()
}
