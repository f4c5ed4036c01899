//! Says in the log how the channels are: once when one goes down, once when it is up again.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use channel::{ChannelName, HealthState};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::board::Board;

/// How often it is looked. What passes sooner nobody could act on.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Watches every channel until the gateway stops; what they say while they stop is no news.
pub(crate) async fn watch(board: Arc<Board>, stop: CancellationToken) {
    let mut watched: BTreeMap<&ChannelName, Watched> = BTreeMap::new();
    while !stop.is_cancelled() {
        for (name, health) in &board.health {
            match watched.entry(name).or_default().look(health.state(), Instant::now()) {
                Some(News::Up { down: None }) => tracing::info!(channel = %name, "the channel is up"),
                Some(News::Up { down: Some(down) }) => {
                    tracing::info!(channel = %name, down_s = down.as_secs(), "the channel is up again");
                }
                Some(News::Down { why }) => tracing::warn!(channel = %name, %why, "the channel is down"),
                Some(News::Standby) => {
                    tracing::info!(channel = %name, "another gateway listens to the channel");
                }
                None => {}
            }
        }
        tokio::select! {
            () = sleep(LOOK_EVERY) => {}
            () = stop.cancelled() => {}
        }
    }
}

/// One channel, as it was when it was last looked at.
#[derive(Debug, Default)]
struct Watched {
    state: HealthState,
    down_since: Option<Instant>,
}

/// What is new about a channel.
#[derive(Debug, PartialEq, Eq)]
enum News {
    /// It receives; after it was down for so long, if it was.
    Up { down: Option<Duration> },
    /// It does not, for a reason that was not told before.
    Down { why: String },
    /// Another gateway does.
    Standby,
}

impl Watched {
    fn look(&mut self, state: HealthState, now: Instant) -> Option<News> {
        if state == self.state {
            return None;
        }
        self.state = state;
        match &self.state {
            HealthState::Up => {
                let down = self.down_since.take().map(|since| now.duration_since(since));
                Some(News::Up { down })
            }
            HealthState::Down { why } => {
                // Another reason is news, but no other outage.
                self.down_since.get_or_insert(now);
                Some(News::Down { why: why.clone() })
            }
            HealthState::Standby => {
                self.down_since = None;
                Some(News::Standby)
            }
            HealthState::Starting => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_change_is_told_once() {
        let (mut watched, began) = (Watched::default(), Instant::now());
        let mut look = |state, second| watched.look(state, began + Duration::from_secs(second));
        let down = |why: &str| HealthState::Down { why: why.to_owned() };
        let told = |why: &str| Some(News::Down { why: why.to_owned() });
        assert_eq!(look(HealthState::Starting, 0), None);
        assert_eq!(look(HealthState::Up, 1), Some(News::Up { down: None }));
        assert_eq!(look(HealthState::Up, 2), None);
        assert_eq!(look(down("gone"), 3), told("gone"));
        assert_eq!(look(down("gone"), 4), None);
        assert_eq!(look(down("refused"), 5), told("refused"));
        assert_eq!(look(HealthState::Up, 9), Some(News::Up { down: Some(Duration::from_secs(6)) }));
        assert_eq!(look(down("gone"), 10), told("gone"));
        assert_eq!(look(HealthState::Up, 11), Some(News::Up { down: Some(Duration::from_secs(1)) }));
        assert_eq!(look(down("the store is away"), 12), told("the store is away"));
        assert_eq!(look(HealthState::Standby, 13), Some(News::Standby));
        assert_eq!(look(HealthState::Standby, 14), None);
        assert_eq!(look(HealthState::Starting, 60), None);
        assert_eq!(look(HealthState::Up, 61), Some(News::Up { down: None }), "another gateway listened");
    }
}
