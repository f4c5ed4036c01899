//! Signs of life on their way: those of one place in order, and of an answer that grows only the latest words.

use std::{
    collections::VecDeque,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

/// In how many lines signs stand; those of one place in one.
const LANES: usize = 8;
/// The most that wait in one; the oldest are left out.
const WAITING_MAX: usize = 512;
/// Complaints that are remembered.
const TOLD_MAX: usize = 100;

/// Signs that wait to be shown.
#[derive(Debug)]
pub struct Signs<Place, Sign> {
    lanes: Vec<Lane<Place, Sign>>,
    told: Mutex<Vec<String>>,
}

#[derive(Debug)]
struct Lane<Place, Sign> {
    waiting: Mutex<VecDeque<Waiting<Place, Sign>>>,
    more: Notify,
}

#[derive(Debug)]
struct Waiting<Place, Sign> {
    place: Place,
    grows: bool,
    sign: Sign,
}

impl<Place, Sign> Default for Signs<Place, Sign> {
    fn default() -> Self {
        let lane = || Lane { waiting: Mutex::default(), more: Notify::new() };
        Self { lanes: std::iter::repeat_with(lane).take(LANES).collect(), told: Mutex::default() }
    }
}

impl<Place: Hash + Eq, Sign> Signs<Place, Sign> {
    /// Takes a sign; never waits. One that `grows` takes the place of one that waits.
    pub fn push(&self, place: Place, grows: bool, sign: Sign) {
        let mut hash = DefaultHasher::new();
        place.hash(&mut hash);
        let Some(lane) = self.lanes.get(usize::try_from(hash.finish() % LANES as u64).unwrap_or(0)) else {
            return;
        };
        let mut waiting = lock(&lane.waiting);
        if grows
            && let Some(last) = waiting.iter_mut().rev().find(|other| other.place == place)
            && last.grows
        {
            last.sign = sign;
            return;
        }
        if waiting.len() >= WAITING_MAX {
            waiting.pop_front();
        }
        waiting.push_back(Waiting { place, grows, sign });
        drop(waiting);
        lane.more.notify_one();
    }

    /// Shows what comes, line by line, for ever.
    pub async fn follow<Showing: Future<Output = ()>>(&self, show: impl Fn(Place, Sign) -> Showing) {
        let lanes: Vec<_> = self
            .lanes
            .iter()
            .map(|lane| {
                let show = &show;
                Box::pin(async move {
                    loop {
                        let next = lock(&lane.waiting).pop_front();
                        match next {
                            Some(Waiting { place, sign, .. }) => show(place, sign).await,
                            None => lane.more.notified().await,
                        }
                    }
                })
            })
            .collect();
        futures_util::future::join_all(lanes).await;
    }

    /// Whether a complaint about a sign is new.
    pub fn is_news(&self, complaint: &str) -> bool {
        let mut told = lock(&self.told);
        let news = !told.iter().any(|known| known == complaint) && told.len() < TOLD_MAX;
        if news {
            told.push(complaint.to_owned());
        }
        news
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::*;

    #[tokio::test]
    async fn of_what_grows_only_the_latest_is_shown_and_the_rest_in_order() {
        let signs: Arc<Signs<&str, &str>> = Arc::default();
        for (place, grows, sign) in [
            ("a", false, "works"),
            ("a", true, "w"),
            ("b", true, "b"),
            ("a", true, "wo"),
            ("a", false, "done"),
        ] {
            signs.push(place, grows, sign);
        }
        let shown: Mutex<Vec<(&str, &str)>> = Mutex::default();
        let follow = signs.follow(|place, sign| {
            lock(&shown).push((place, sign));
            std::future::ready(())
        });
        let _ = tokio::time::timeout(Duration::from_millis(50), follow).await;
        let of = |wanted: &str| -> Vec<&str> {
            lock(&shown).iter().filter(|(place, _)| *place == wanted).map(|(_, sign)| *sign).collect()
        };
        assert_eq!(of("a"), ["works", "wo", "done"]);
        assert_eq!(of("b"), ["b"]);
        assert!(signs.is_news("x") && !signs.is_news("x"));
    }
}
