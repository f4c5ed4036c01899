//! Waking those who wait for work.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use channel::ChannelName;
use tokio::sync::Notify;

use super::writer::Tell;
use crate::Wanted;

/// One bell for turns and one a channel.
#[derive(Debug, Default)]
pub(super) struct Wakeups {
    turns: Arc<Notify>,
    /// Only channels that somebody has waited for: as many as are configured.
    sends: Mutex<BTreeMap<ChannelName, Arc<Notify>>>,
}

impl Wakeups {
    /// The bell that rings for this sort of work.
    pub(super) fn bell(&self, wanted: &Wanted) -> Arc<Notify> {
        match wanted {
            Wanted::Turns => Arc::clone(&self.turns),
            Wanted::Sends(channel) => {
                let mut sends = self.sends.lock().unwrap_or_else(PoisonError::into_inner);
                Arc::clone(sends.entry(channel.clone()).or_default())
            }
        }
    }

    /// Rings.
    pub(super) fn tell(&self, tell: &Tell) {
        if tell.turns {
            self.turns.notify_waiters();
        }
        if tell.sends.is_empty() {
            return;
        }
        let sends = self.sends.lock().unwrap_or_else(PoisonError::into_inner);
        for channel in &tell.sends {
            if let Some(bell) = sends.get(channel) {
                bell.notify_waiters();
            }
        }
    }
}
