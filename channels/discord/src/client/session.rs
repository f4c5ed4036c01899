//! How far a session was heard: what Discord sends again after a break begins behind the last event that is durable.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// A session that can be gone on with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Session {
    /// Its id.
    pub(super) id: String,
    /// Where it is gone on with.
    pub(super) url: String,
    /// The last event that is durable, and all before it.
    pub(super) seq: u64,
    /// The roles that mean the bot; a session that is gone on with does not tell them again.
    #[serde(default)]
    pub(super) roles: Vec<String>,
    /// When that event was heard, in seconds.
    #[serde(default)]
    pub(super) at: i64,
    /// How many shards there were: with another number it is of no use.
    pub(super) shards: u32,
}

/// The events of a session that are on their way.
#[derive(Debug, Default)]
pub(super) struct Track {
    received: u64,
    open: BTreeSet<u64>,
}

impl Track {
    /// Everything up to this is durable.
    pub(super) fn from(seq: u64) -> Self {
        Self { received: seq, open: BTreeSet::new() }
    }

    /// An event arrived.
    pub(super) fn arrived(&mut self, seq: u64) {
        self.received = self.received.max(seq);
        self.open.insert(seq);
    }

    /// It is durable, or nothing that must be.
    pub(super) fn done(&mut self, seq: u64) {
        self.open.remove(&seq);
    }

    /// Up to where everything is.
    pub(super) fn durable(&self) -> u64 {
        self.open.first().map_or(self.received, |first| first.saturating_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_counts_when_it_and_all_before_it_are_durable() {
        let mut track = Track::from(10);
        for seq in 11..=14 {
            track.arrived(seq);
        }
        assert_eq!(track.durable(), 10);
        track.done(12);
        track.done(14);
        assert_eq!(track.durable(), 10);
        track.done(11);
        assert_eq!(track.durable(), 12);
        track.done(13);
        assert_eq!(track.durable(), 14);
        // What is sent again after a break changes nothing that was known.
        track.arrived(13);
        assert_eq!(track.durable(), 12);
        track.done(13);
        assert_eq!(track.durable(), 14);
    }
}
