//! How often Discord is asked: buckets that its answers tell of, fifty requests a second altogether, and a stop well before
//! so many refusals that it would ban the address.
//!
//! <https://discord.com/developers/docs/topics/rate-limits>

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use reqwest::header::HeaderMap;

/// Routes whose bucket is remembered.
const ROUTES_MAX: usize = 10_000;
/// Discord takes 50; a few are left for what goes on beside.
const PER_SECOND: u32 = 45;
/// Discord bans an address after 10,000 refused requests in ten minutes.
const REFUSED_MAX: u32 = 1_000;
const REFUSED_WINDOW: Duration = Duration::from_secs(600);
/// A token that is not accepted is not tried again before.
const TOKEN_AGAIN: Duration = Duration::from_secs(30);

#[derive(Debug, Default)]
pub(super) struct Limits(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    routes: HashMap<String, Bucket>,
    /// Everything waits until then.
    not_before: Option<Instant>,
    second: Option<(Instant, u32)>,
    refused: Option<(Instant, u32)>,
    token_refused: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    left: u32,
    until: Instant,
}

/// What a request is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    Now,
    After(Duration),
    /// The token was refused a moment ago.
    NotWithThisToken,
    /// Too many requests were refused; for so long none is made.
    Banned(Duration),
}

impl Limits {
    /// Takes a turn for a route. `global`: whether the request counts among all others.
    pub(super) fn turn(&self, route: &str, global: bool, now: Instant) -> Turn {
        let mut state = self.state();
        if let Some((since, count)) = state.refused
            && count >= REFUSED_MAX
            && now.duration_since(since) < REFUSED_WINDOW
        {
            return Turn::Banned(REFUSED_WINDOW - now.duration_since(since));
        }
        if global {
            if state.token_refused.is_some_and(|at| now.duration_since(at) < TOKEN_AGAIN) {
                return Turn::NotWithThisToken;
            }
            if let Some(until) = state.not_before.filter(|until| *until > now) {
                return Turn::After(until - now);
            }
        }
        if let Some(bucket) = state.routes.get_mut(route)
            && bucket.until > now
        {
            if bucket.left == 0 {
                return Turn::After(bucket.until - now);
            }
            bucket.left -= 1;
        }
        if global {
            let (began, count) = state.second.unwrap_or((now, 0));
            let (began, count) =
                if now.duration_since(began) >= Duration::from_secs(1) { (now, 0) } else { (began, count) };
            if count >= PER_SECOND {
                return Turn::After(Duration::from_secs(1) - now.duration_since(began));
            }
            state.second = Some((began, count + 1));
        }
        Turn::Now
    }

    /// Notes what an answer says of its bucket, and whether it was a refusal that counts. `signed`: whether the request carried
    /// the bot's token.
    pub(super) fn learn(&self, route: &str, signed: bool, status: u16, headers: &HeaderMap, now: Instant) {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let mut state = self.state();
        let shared = header("x-ratelimit-scope") == Some("shared");
        if matches!(status, 401 | 403) || (status == 429 && !shared) {
            let (since, count) = state.refused.unwrap_or((now, 0));
            let fresh = now.duration_since(since) >= REFUSED_WINDOW;
            state.refused = Some(if fresh { (now, 1) } else { (since, count + 1) });
        }
        if signed {
            let still = state.token_refused.filter(|_| status >= 300);
            state.token_refused = (status == 401).then_some(now).or(still);
        }
        let left = header("x-ratelimit-remaining").and_then(|left| left.parse().ok());
        let after = header("x-ratelimit-reset-after").and_then(seconds);
        if let (Some(left), Some(after)) = (left, after) {
            if state.routes.len() >= ROUTES_MAX {
                state.routes.retain(|_, bucket| bucket.until > now);
            }
            state.routes.insert(route.to_owned(), Bucket { left, until: now + after });
        }
    }

    /// Discord refused for being asked too often.
    pub(super) fn refused(&self, route: &str, global: bool, after: Duration, now: Instant) {
        let until = now + after.min(Duration::from_secs(3_600));
        let mut state = self.state();
        if global {
            state.not_before = Some(until);
        } else {
            state.routes.insert(route.to_owned(), Bucket { left: 0, until });
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A number of seconds, with a fraction.
pub(super) fn seconds(text: &str) -> Option<Duration> {
    text.trim()
        .parse()
        .ok()
        .filter(|seconds: &f64| *seconds >= 0.0)
        .and_then(|s| Duration::try_from_secs_f64(s).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| ((*name).parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_bucket_that_is_empty_waits_until_it_is_filled() {
        let (limits, now) = (Limits::default(), Instant::now());
        let told = headers(&[("x-ratelimit-remaining", "1"), ("x-ratelimit-reset-after", "2.5")]);
        assert_eq!(limits.turn("a", true, now), Turn::Now);
        limits.learn("a", true, 200, &told, now);
        assert_eq!(limits.turn("a", true, now), Turn::Now);
        assert_eq!(limits.turn("a", true, now), Turn::After(Duration::from_millis(2_500)));
        assert_eq!(limits.turn("b", true, now), Turn::Now);
        assert_eq!(limits.turn("a", true, now + Duration::from_secs(3)), Turn::Now);
    }

    #[test]
    fn all_together_stay_below_what_discord_takes() {
        let (limits, now) = (Limits::default(), Instant::now());
        let at_once = (0..100).filter(|n| limits.turn(&n.to_string(), true, now) == Turn::Now).count();
        assert_eq!(at_once, PER_SECOND as usize);
        assert_eq!(limits.turn("callback", false, now), Turn::Now, "answers to interactions do not count");
        limits.refused("a", true, Duration::from_secs(5), now);
        let later = now + Duration::from_secs(2);
        assert_eq!(limits.turn("b", true, later), Turn::After(Duration::from_secs(3)));
    }

    #[test]
    fn refusals_end_asking_long_before_the_address_is_banned() {
        let (limits, now) = (Limits::default(), Instant::now());
        for _ in 0..REFUSED_MAX {
            limits.learn("a", true, 403, &headers(&[]), now);
        }
        assert!(matches!(limits.turn("a", true, now), Turn::Banned(_)));
        assert_eq!(limits.turn("a", true, now + REFUSED_WINDOW), Turn::Now);
        let shared = Limits::default();
        for _ in 0..REFUSED_MAX {
            shared.learn("a", true, 429, &headers(&[("x-ratelimit-scope", "shared")]), now);
        }
        assert_eq!(shared.turn("a", true, now), Turn::Now);
    }

    #[test]
    fn a_refused_token_is_not_tried_again_at_once() {
        let (limits, now) = (Limits::default(), Instant::now());
        limits.learn("a", false, 401, &headers(&[]), now);
        assert_eq!(limits.turn("b", true, now), Turn::Now, "that was the token of a gesture");
        limits.learn("a", true, 401, &headers(&[]), now);
        assert_eq!(limits.turn("b", true, now), Turn::NotWithThisToken);
        assert_eq!(limits.turn("b", true, now + TOKEN_AGAIN), Turn::Now);
    }

    #[test]
    fn seconds_are_read_and_nonsense_is_not() {
        assert_eq!(seconds("0.25"), Some(Duration::from_millis(250)));
        for strange in ["", "x", "-1", "NaN", "inf", "1e300"] {
            assert_eq!(seconds(strange), None, "{strange}");
        }
    }
}
