//! Several models one after another: each is tried a few times, then the next, all before one deadline.

use std::{
    hash::{BuildHasher, RandomState},
    sync::Arc,
    time::Duration,
};

use agent::Prompt;
use async_trait::async_trait;
use tokio::time::{self, Instant};

use crate::seam::{Completion, Error, Kind, Model, Progress};

/// The first wait between two attempts, and the longest.
const WAIT_FIRST: Duration = Duration::from_millis(500);
const WAIT_MAX: Duration = Duration::from_secs(10);

/// Models in order of preference. What may pass is tried again; what will not pass goes to the next.
pub struct Chain {
    name: String,
    links: Vec<Link>,
    deadline: Duration,
    retry_after_max: Duration,
}

/// One model of a chain.
pub struct Link {
    /// The model.
    pub model: Arc<dyn Model>,
    /// How often it is asked, the first time included.
    pub attempts: u32,
}

impl Chain {
    /// A chain. One answer takes at most `deadline`; a provider's own waiting time counts up to `retry_after_max`,
    /// beyond that the next model is asked.
    pub fn new(links: Vec<Link>, deadline: Duration, retry_after_max: Duration) -> Self {
        let names: Vec<&str> = links.iter().map(|link| link.model.name()).collect();
        Self { name: names.join(", "), links, deadline, retry_after_max }
    }

    /// Asks one model until it answers, or shows that it will not.
    async fn walk(
        &self,
        link: &Link,
        prompt: &Prompt,
        progress: Progress<'_>,
        end: Instant,
        calls: &mut u32,
    ) -> Result<Completion, Error> {
        let mut attempt = 1;
        loop {
            let error = match time::timeout_at(end, link.model.complete(prompt, progress)).await {
                Ok(Ok(completion)) => return Ok(completion),
                Ok(Err(error)) => error,
                Err(_) => {
                    let what = format!("{}: no answer before the deadline", link.model.name());
                    Error::new(Kind::Retry { after: None }, what)
                }
            };
            // What it had begun to say is no beginning of what the next attempt says.
            progress("");
            *calls = calls.saturating_add(error.calls);
            tracing::warn!(model = link.model.name(), attempt, error = %error, "a model did not answer");
            let Kind::Retry { after } = error.kind else { return Err(error) };
            let wait = pause(attempt, after, chance());
            let too_long = after.is_some_and(|after| after > self.retry_after_max);
            let too_late = end.saturating_duration_since(Instant::now()) <= wait;
            if attempt >= link.attempts || too_long || too_late {
                return Err(error);
            }
            time::sleep(wait).await;
            attempt += 1;
        }
    }
}

#[async_trait]
impl Model for Chain {
    fn name(&self) -> &str {
        &self.name
    }

    async fn complete(&self, prompt: &Prompt, progress: Progress<'_>) -> Result<Completion, Error> {
        let started = Instant::now();
        let end = started + self.deadline;
        let mut calls = 0_u32;
        let mut errors = Vec::new();
        for link in &self.links {
            match self.walk(link, prompt, progress, end, &mut calls).await {
                Ok(mut completion) => {
                    completion.usage.calls = completion.usage.calls.saturating_add(calls);
                    completion.usage.ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
                    return Ok(completion);
                }
                Err(error) => errors.push(error),
            }
            if Instant::now() >= end {
                break;
            }
        }
        Err(joined(errors, calls))
    }
}

/// One error of many. Waiting helps when it helps with one of them; a shorter prompt, when that does.
fn joined(errors: Vec<Error>, calls: u32) -> Error {
    let afters = errors.iter().filter_map(|error| match error.kind {
        Kind::Retry { after } => Some(after),
        Kind::TooLong | Kind::Refused | Kind::Unauthorized => None,
    });
    // A model that names no time may be asked at once: `None` is the shortest wait.
    let kind = match afters.min() {
        Some(after) => Kind::Retry { after },
        None if errors.iter().any(|error| error.kind == Kind::TooLong) => Kind::TooLong,
        None => errors.first().map_or(Kind::Refused, |error| error.kind),
    };
    let whats: Vec<String> = errors.into_iter().map(|error| error.what).collect();
    let what = if whats.is_empty() { "there is no model to ask".into() } else { whats.join("; ") };
    Error { kind, what, calls }
}

/// How long to wait after this attempt: twice as long each time, half of it by chance, and not less than the provider asks
/// for.
fn pause(attempt: u32, after: Option<Duration>, chance: f64) -> Duration {
    let doubled = WAIT_FIRST.saturating_mul(1_u32.checked_shl(attempt.saturating_sub(1)).unwrap_or(u32::MAX));
    let own = doubled.min(WAIT_MAX).mul_f64(0.5 + chance / 2.0);
    // Many that were told the same time must not come back at the same instant.
    after.map_or(own, |after| own.max(after.saturating_add(WAIT_FIRST.mul_f64(chance))))
}

/// A number from 0 to 1, different each time. The standard library seeds its hash maps from the operating system.
fn chance() -> f64 {
    let bits = RandomState::new().hash_one(0_u8) >> 32;
    u32::try_from(bits).map_or(0.5, |bits| f64::from(bits) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_heed_the_provider() {
        let ms = |attempt, after, chance| pause(attempt, after, chance).as_millis();
        assert_eq!([ms(1, None, 0.0), ms(1, None, 1.0)], [250, 500]);
        assert_eq!([ms(2, None, 0.0), ms(2, None, 1.0)], [500, 1_000]);
        assert_eq!([ms(40, None, 1.0), ms(9, None, 0.0)], [10_000, 5_000]);
        assert_eq!(ms(1, Some(Duration::from_secs(7)), 0.5), 7_250);
        assert_eq!(pause(1, Some(Duration::MAX), 1.0), Duration::MAX);
    }

    #[test]
    fn chance_is_spread() {
        let draws: Vec<f64> = (0..200).map(|_| chance()).collect();
        assert!(draws.iter().all(|draw| (0.0..=1.0).contains(draw)));
        assert!(draws.iter().any(|draw| *draw < 0.3) && draws.iter().any(|draw| *draw > 0.7));
    }
}
