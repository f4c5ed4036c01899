//! How many mails went into a conversation within the last hour: the brake on two robots that answer each other.

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

const WINDOW: Duration = Duration::from_secs(3_600);
/// With so many conversations in view, those without a mail in the window are forgotten.
const CONVERSATIONS_SOME: usize = 1_000;

/// The mails of the last hour, for each conversation. Lives in memory: a restart forgets it.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    sent: HashMap<String, VecDeque<Instant>>,
}

impl Pace {
    /// How long the next mail into this conversation must wait; `None` when it may go.
    pub(crate) fn wait(&mut self, conversation: &str, most: usize, now: Instant) -> Option<Duration> {
        let sent = self.sent.get_mut(conversation)?;
        drop_old(sent, now);
        if sent.len() < most {
            return None;
        }
        // The window opens when the oldest that still counts leaves it.
        let oldest = sent.get(sent.len() - most)?;
        Some(WINDOW.saturating_sub(now.duration_since(*oldest)))
    }

    /// Counts a mail.
    pub(crate) fn note(&mut self, conversation: &str, now: Instant) {
        if self.sent.len() >= CONVERSATIONS_SOME {
            self.sent.retain(|_, sent| {
                drop_old(sent, now);
                !sent.is_empty()
            });
        }
        self.sent.entry(conversation.to_owned()).or_default().push_back(now);
    }
}

fn drop_old(sent: &mut VecDeque<Instant>, now: Instant) {
    while sent.front().is_some_and(|at| now.duration_since(*at) >= WINDOW) {
        sent.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mail_above_the_limit_waits_until_the_oldest_is_an_hour_old() {
        let start = Instant::now();
        let minute = |n: u64| start + Duration::from_secs(60 * n);
        let mut pace = Pace::default();
        for n in 0..3 {
            assert_eq!(pace.wait("a", 3, minute(n)), None);
            pace.note("a", minute(n));
        }
        assert_eq!(pace.wait("a", 3, minute(10)), Some(Duration::from_secs(50 * 60)));
        assert_eq!(pace.wait("b", 3, minute(10)), None);
        assert_eq!(pace.wait("a", 3, minute(60)), None);
        pace.note("a", minute(60));
        assert_eq!(pace.wait("a", 3, minute(60)), Some(Duration::from_secs(60)));
    }
}
