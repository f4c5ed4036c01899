//! Answers that are shown while they grow: one draft a place, one hand at it at a time, and none left over.

use std::{
    collections::{HashMap, HashSet},
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// A draft that no message took the place of so long after the work ended is taken away.
const LEFT_OVER: Duration = Duration::from_secs(6);
/// Places where it is remembered that they were swept.
const PLACES_MAX: usize = 10_000;

/// The drafts that are shown.
#[derive(Debug)]
pub struct Drafts<Place, Shown>(Mutex<State<Place, Shown>>);

#[derive(Debug)]
struct State<Place, Shown> {
    drafts: HashMap<Place, Entry<Shown>>,
    /// Places where what a crash left behind was looked for.
    swept: HashSet<Place>,
}

#[derive(Debug)]
struct Entry<Shown> {
    draft: Arc<tokio::sync::Mutex<Draft<Shown>>>,
    /// Work ended; when the draft is taken away.
    left_over: Option<Instant>,
}

/// One draft.
#[derive(Debug)]
pub struct Draft<Shown> {
    /// What is shown of it.
    pub shown: Option<Shown>,
    /// Its message is being sent: nothing more is written into it.
    pub closed: bool,
}

impl<Shown> Default for Draft<Shown> {
    fn default() -> Self {
        Self { shown: None, closed: false }
    }
}

impl<Place, Shown> Default for Drafts<Place, Shown> {
    fn default() -> Self {
        Self(Mutex::new(State { drafts: HashMap::new(), swept: HashSet::new() }))
    }
}

impl<Place: Clone + Eq + Hash, Shown> Drafts<Place, Shown> {
    /// The draft of a place. Whoever holds its lock is the only one at it.
    pub fn of(&self, place: &Place) -> Arc<tokio::sync::Mutex<Draft<Shown>>> {
        let mut state = self.state();
        let fresh = || Entry { draft: Arc::default(), left_over: None };
        let entry = state.drafts.entry(place.clone()).or_insert_with(fresh);
        entry.left_over = None;
        entry.draft.clone()
    }

    /// Ends the draft of a place, once nobody is at it any more; what was shown of it.
    pub async fn take(&self, place: &Place) -> Option<Shown> {
        let draft = self.state().drafts.remove(place).map(|entry| entry.draft)?;
        let mut draft = draft.lock().await;
        draft.closed = true;
        draft.shown.take()
    }

    /// Work ended at this place: a draft that stands there has so long to be taken.
    pub fn work_ended(&self, place: &Place) {
        if let Some(entry) = self.state().drafts.get_mut(place) {
            entry.left_over = Some(Instant::now() + LEFT_OVER);
        }
    }

    /// Where a draft stands that nothing took the place of.
    pub fn left_over(&self) -> Vec<Place> {
        let now = Instant::now();
        let state = self.state();
        let over = |(place, entry): (&Place, &Entry<Shown>)| {
            entry.left_over.filter(|at| *at <= now).map(|_| place.clone())
        };
        state.drafts.iter().filter_map(over).collect()
    }

    /// Whether what a crash left at this place was looked for.
    pub fn is_swept(&self, place: &Place) -> bool {
        self.state().swept.contains(place)
    }

    /// It was.
    pub fn swept(&self, place: Place) {
        let mut state = self.state();
        if state.swept.len() >= PLACES_MAX {
            state.swept.clear();
        }
        state.swept.insert(place);
    }

    fn state(&self) -> MutexGuard<'_, State<Place, Shown>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_draft_is_ended_when_nobody_is_at_it_and_then_takes_nothing_more() {
        let drafts: Arc<Drafts<&str, &str>> = Arc::default();
        let draft = drafts.of(&"here");
        let mut hand = draft.clone().lock_owned().await;
        hand.shown = Some("so far");
        let taking = tokio::spawn({
            let drafts = drafts.clone();
            async move { drafts.take(&"here").await }
        });
        tokio::task::yield_now().await;
        assert!(!taking.is_finished(), "somebody is at it");
        drop(hand);
        assert_eq!(taking.await.unwrap(), Some("so far"));
        assert!(draft.lock().await.closed);
        assert!(!drafts.of(&"here").lock().await.closed, "the next one is another");
        assert_eq!(drafts.take(&"nowhere").await, None);
        drafts.work_ended(&"here");
        assert!(drafts.left_over().is_empty(), "it has a while");
    }
}
