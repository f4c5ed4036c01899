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
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::settings::Backfill;

/// The name of the cursor under which the places are kept.
const CURSOR: &str = "places";
/// How often they are kept. A crash in between is made good by reading a little further back; a place that was never heard of before
/// is kept at once, since nobody would look there.
const SAVE_EVERY: Duration = Duration::from_secs(2);

/// The most places that are kept.
const KEPT_MAX: usize = 2_000;

/// The places.
#[derive(Debug, Default)]
pub struct Known {
    places: Mutex<BTreeMap<String, Seen>>,
    changed: AtomicBool,
    new_place: Notify,
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
        self.changed.store(true, Ordering::Release);
        if self.places().see(place, seen) {
            self.new_place.notify_one();
        }
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
                () = self.new_place.notified() => {}
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
        // Other gateways keep theirs under the same name.
        let saved = async {
            self.add_kept(ingress).await?;
            latest(&mut self.places(), KEPT_MAX);
            let written = serde_json::to_string(&*self.places()).unwrap_or_default();
            ingress.inbox.advance(CURSOR, &written).await
        };
        if saved.await.is_err() {
            self.changed.store(true, Ordering::Release);
        }
    }

    /// The places that were kept and that came since, the latest first; forgets the oldest beyond the limit.
    ///
    /// # Errors
    /// `Retry` when the store is away.
    pub async fn load(&self, ingress: &Ingress, limits: &Backfill) -> Result<Vec<(String, Seen)>, Error> {
        self.add_kept(ingress).await?;
        Ok(latest(&mut self.places(), limits.places))
    }

    /// Adds what is kept to what is known.
    async fn add_kept(&self, ingress: &Ingress) -> Result<(), Error> {
        let kept = ingress.inbox.cursor(CURSOR).await?.unwrap_or_default();
        let kept: BTreeMap<String, Seen> = serde_json::from_str(&kept).unwrap_or_default();
        let mut known = self.places();
        for (place, seen) in &kept {
            known.see(place, seen);
        }
        Ok(())
    }

    fn places(&self) -> MutexGuard<'_, BTreeMap<String, Seen>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The places where something was said last, the latest first; the others are forgotten.
fn latest(known: &mut BTreeMap<String, Seen>, most: usize) -> Vec<(String, Seen)> {
    let mut all: Vec<(String, Seen)> =
        known.iter().map(|(place, seen)| (place.clone(), seen.clone())).collect();
    all.sort_by(|(_, a), (_, b)| (b.message.len(), &b.message).cmp(&(a.message.len(), &a.message)));
    for (place, _) in all.iter().skip(most) {
        known.remove(place);
    }
    all.truncate(most);
    all
}

/// What is seen at a place.
trait See {
    /// Takes the later of two; whether the place is new.
    fn see(&mut self, place: &str, seen: &Seen) -> bool;
}

impl See for BTreeMap<String, Seen> {
    fn see(&mut self, place: &str, seen: &Seen) -> bool {
        match self.get_mut(place) {
            Some(entry) if seen.is_later(entry) => *entry = seen.clone(),
            Some(_) => {}
            None => {
                self.insert(place.to_owned(), seen.clone());
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use async_trait::async_trait;
    use channel::{Accepted, Entry, Health, Inbound, Inbox, Place};

    use super::*;

    fn seen(message: &str) -> Seen {
        Seen { channel: "C1".into(), message: message.into() }
    }

    #[test]
    fn the_latest_message_of_a_place_counts() {
        let known = Known::default();
        for message in ["999", "1005", "1003"] {
            known.note("a", &seen(message));
        }
        assert!(known.knows("a") && !known.knows("b"));
        assert_eq!(known.places().get("a"), Some(&seen("1005")));
        known.note("b", &seen("1004"));
        known.note("c", &seen("1006"));
        let two = latest(&mut known.places(), 2).into_iter().map(|(place, _)| place).collect::<Vec<_>>();
        assert_eq!((two, known.places().len()), (vec!["c".to_owned(), "a".to_owned()], 2));
    }

    /// Keeps one value, and counts how often.
    #[derive(Default)]
    struct Kept(Mutex<(String, usize)>);

    impl Kept {
        fn now(&self) -> (Vec<String>, usize) {
            let (value, count) = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let places: BTreeMap<String, Seen> = serde_json::from_str(&value).unwrap_or_default();
            (places.into_keys().collect(), count)
        }
    }

    #[async_trait]
    impl Inbox for Kept {
        async fn accept(&self, _: Inbound) -> Result<Accepted, Error> {
            Err(Error::retry("nothing is taken here"))
        }

        async fn cursor(&self, _: &str) -> Result<Option<String>, Error> {
            Ok(Some(self.0.lock().unwrap_or_else(PoisonError::into_inner).0.clone()))
        }

        async fn advance(&self, _: &str, value: &str) -> Result<(), Error> {
            let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            *kept = (value.to_owned(), kept.1 + 1);
            Ok(())
        }

        async fn history(&self, _: &Place) -> Result<Vec<Entry>, Error> {
            Ok(Vec::new())
        }

        async fn file(&self, _: &str) -> Result<Option<Vec<u8>>, Error> {
            Ok(None)
        }
    }

    /// A gateway that dies a moment after a place was first heard of leaves it to the next one, whoever else keeps places.
    #[tokio::test(start_paused = true)]
    async fn a_new_place_is_kept_at_once_and_nobody_s_is_lost() {
        let kept = Arc::<Kept>::default();
        let stop = CancellationToken::new();
        let ingress = Ingress { inbox: kept.clone(), health: Health::default(), stop: stop.clone() };
        let gateways = [Arc::<Known>::default(), Arc::<Known>::default()];
        for known in &gateways {
            let (known, ingress, stop) = (known.clone(), ingress.clone(), stop.clone());
            tokio::spawn(async move { known.keep_saving(&ingress, &stop).await });
        }
        let moment = Duration::from_millis(1);
        for (n, place) in ["a", "b", "c"].into_iter().enumerate() {
            gateways[n % 2].note(place, &seen("1"));
            tokio::time::sleep(moment).await;
        }
        assert_eq!(kept.now(), (["a", "b", "c"].map(str::to_owned).to_vec(), 3));
        gateways[0].note("a", &seen("2"));
        tokio::time::sleep(moment).await;
        assert_eq!(kept.now().1, 3, "it can wait");
        tokio::time::sleep(SAVE_EVERY).await;
        assert_eq!(kept.now().1, 4);
        stop.cancel();
    }
}
