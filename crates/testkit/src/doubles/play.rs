//! What a double does when it is asked.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::watch;

/// One answer of a double, and when it comes.
#[derive(Clone, Debug)]
pub struct Play<T> {
    delay: Duration,
    hold: Option<Hold>,
    end: End<T>,
}

#[derive(Clone, Debug)]
enum End<T> {
    Gives(T),
    Hangs,
    Panics,
}

impl<T> Play<T> {
    /// Answers at once.
    pub fn gives(answer: T) -> Self {
        Self { delay: Duration::ZERO, hold: None, end: End::Gives(answer) }
    }

    /// Never answers.
    pub fn hangs() -> Self {
        Self { delay: Duration::ZERO, hold: None, end: End::Hangs }
    }

    /// Panics.
    pub fn panics() -> Self {
        Self { delay: Duration::ZERO, hold: None, end: End::Panics }
    }

    /// So much later.
    #[must_use]
    pub fn after(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }

    /// Not before the test lets it go.
    #[must_use]
    pub fn held(self, hold: &Hold) -> Self {
        Self { hold: Some(hold.clone()), ..self }
    }

    pub(crate) async fn run(self) -> T {
        if !self.delay.is_zero() {
            tokio::time::sleep(self.delay).await;
        }
        if let Some(hold) = self.hold {
            hold.pass().await;
        }
        match self.end {
            End::Gives(answer) => answer,
            End::Hangs => std::future::pending().await,
            End::Panics => panic!("the double was told to panic"),
        }
    }
}

/// A gate: who comes to it waits until the test opens it. All clones are one gate.
#[derive(Clone, Debug)]
pub struct Hold(watch::Sender<(usize, bool)>);

impl Default for Hold {
    fn default() -> Self {
        Self(watch::Sender::new((0, false)))
    }
}

impl Hold {
    /// A closed gate.
    pub fn new() -> Self {
        Self::default()
    }

    /// Waits until so many have come to the gate, those included that have passed it or given up.
    ///
    /// # Panics
    /// After twenty seconds.
    pub async fn reached(&self, count: usize) {
        let mut gate = self.0.subscribe();
        let came = gate.wait_for(|(came, _)| *came >= count);
        assert!(
            tokio::time::timeout(Duration::from_secs(20), came).await.is_ok(),
            "{count} were to come, {} came",
            self.came()
        );
    }

    /// How many have come to it.
    pub fn came(&self) -> usize {
        self.0.borrow().0
    }

    /// Opens it, for good.
    pub fn open(&self) {
        self.0.send_modify(|(_, open)| *open = true);
    }

    pub(crate) async fn pass(&self) {
        let mut gate = self.0.subscribe();
        self.0.send_modify(|(came, _)| *came += 1);
        let _ = gate.wait_for(|(_, open)| *open).await;
    }
}

type Rule<A, T> = Box<dyn FnMut(&A) -> Play<T> + Send>;

/// The plays of a double: those that were queued, then what the rule says.
pub(crate) struct Script<A, T> {
    queue: Mutex<VecDeque<Play<T>>>,
    rule: Mutex<Rule<A, T>>,
}

impl<A, T> Script<A, T> {
    pub(crate) fn new(rule: impl FnMut(&A) -> Play<T> + Send + 'static) -> Self {
        Self { queue: Mutex::default(), rule: Mutex::new(Box::new(rule)) }
    }

    pub(crate) fn queue(&self, play: Play<T>) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).push_back(play);
    }

    pub(crate) fn rule(&self, rule: impl FnMut(&A) -> Play<T> + Send + 'static) {
        *self.rule.lock().unwrap_or_else(PoisonError::into_inner) = Box::new(rule);
    }

    pub(crate) fn next(&self, asked: &A) -> Play<T> {
        let queued = self.queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        queued.unwrap_or_else(|| (self.rule.lock().unwrap_or_else(PoisonError::into_inner))(asked))
    }
}
