//! Where the bot was spoken to, and until when everything was heard there: what to read again after an outage.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use channel::{Error, Ingress};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::settings::Backfill;

/// The name of the cursor under which the places are kept.
const CURSOR: &str = "places";
/// How often they are kept. A crash in between is made good by reading a little further back.
const SAVE_EVERY: Duration = Duration::from_secs(2);

/// The places.
#[derive(Debug, Default)]
pub struct Known {
    places: Mutex<BTreeMap<String, Seen>>,
    changed: AtomicBool,
    counted: AtomicUsize,
}

/// What was seen of a place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// The conversation's id on the platform.
    pub channel: String,
    /// The latest message that was taken, by a name that grows: a longer one is later, and of two that are equally long the
    /// one that sorts later.
    #[serde(rename = "ts")]
    pub message: String,
}

impl Seen {
    fn is_later(&self, than: &Self) -> bool {
        (self.message.len(), &self.message) > (than.message.len(), &than.message)
    }
}

impl Known {
    /// A message was taken at a place.
    pub fn note(&self, place: &str, seen: &Seen) {
        let mut known = self.places();
        let entry = known.entry(place.to_owned()).or_insert_with(|| seen.clone());
        if seen.is_later(entry) {
            *entry = seen.clone();
        }
        self.changed.store(true, Ordering::Release);
    }

    /// Whether something was taken at a place before.
    pub fn knows(&self, place: &str) -> bool {
        self.places().contains_key(place)
    }

    /// Something was new that had to be read again.
    pub fn count(&self) {
        self.counted.fetch_add(1, Ordering::Relaxed);
    }

    /// How much was new.
    pub fn counted(&self) -> usize {
        self.counted.load(Ordering::Relaxed)
    }

    /// Keeps the places in the store, now and then.
    pub async fn keep_saving(&self, ingress: &Ingress, stop: &CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(SAVE_EVERY) => {}
            }
            self.save(ingress).await;
        }
        // What the last moments brought, if the store is quick.
        let _ = tokio::time::timeout(Duration::from_millis(500), self.save(ingress)).await;
    }

    async fn save(&self, ingress: &Ingress) {
        if !self.changed.swap(false, Ordering::AcqRel) {
            return;
        }
        let written = serde_json::to_string(&*self.places()).unwrap_or_default();
        if ingress.inbox.advance(CURSOR, &written).await.is_err() {
            self.changed.store(true, Ordering::Release);
        }
    }

    /// The places that were kept and that came since, the latest first; forgets the oldest beyond the limit.
    ///
    /// # Errors
    /// `Retry` when the store is away.
    pub async fn load(&self, ingress: &Ingress, limits: &Backfill) -> Result<Vec<(String, Seen)>, Error> {
        let kept = ingress.inbox.cursor(CURSOR).await?.unwrap_or_default();
        let kept: BTreeMap<String, Seen> = serde_json::from_str(&kept).unwrap_or_default();
        let mut known = self.places();
        for (place, seen) in kept {
            let entry = known.entry(place).or_insert_with(|| seen.clone());
            if seen.is_later(entry) {
                *entry = seen;
            }
        }
        let mut all: Vec<(String, Seen)> =
            known.iter().map(|(place, seen)| (place.clone(), seen.clone())).collect();
        all.sort_by(|(_, a), (_, b)| (b.message.len(), &b.message).cmp(&(a.message.len(), &a.message)));
        for (place, _) in all.iter().skip(limits.places) {
            known.remove(place);
        }
        all.truncate(limits.places);
        Ok(all)
    }

    fn places(&self) -> MutexGuard<'_, BTreeMap<String, Seen>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_message_of_a_place_counts() {
        let known = Known::default();
        let seen = |message: &str| Seen { channel: "C1".into(), message: message.into() };
        for message in ["999", "1005", "1003"] {
            known.note("a", &seen(message));
        }
        assert!(known.knows("a") && !known.knows("b"));
        assert_eq!(known.places().get("a"), Some(&seen("1005")));
    }
}
