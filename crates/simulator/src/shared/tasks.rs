//! A world behind its lock, and the tasks that carry its effects out.
//!
//! Invariant: every task of a simulator is in its set, and ends with it.

use std::{
    future::Future,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::task::JoinSet;

/// Everything that a simulated platform knows.
pub(crate) trait Lives: Sized + Send + 'static {
    /// What takes time, left behind under the lock.
    type Effect: Send;

    /// What was left behind since this was asked last.
    fn take_effects(&mut self) -> Vec<Self::Effect>;

    /// Begins to carry something out.
    fn carry_out(shared: &Arc<Shared<Self>>, effect: Self::Effect);
}

/// What all parts of a simulator hold on to.
#[derive(Debug)]
pub(crate) struct Shared<W> {
    world: Mutex<W>,
    tasks: Mutex<Option<JoinSet<()>>>,
    pub(crate) http: reqwest::Client,
}

impl<W> Shared<W> {
    /// Runs a task that ends with the simulator.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tasks) = tasks.as_mut() {
            while tasks.try_join_next().is_some() {}
            tasks.spawn(task);
        }
    }

    /// Ends every task, and lets no new one begin.
    pub(crate) fn end(&self) {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl<W: Lives> Shared<W> {
    /// The world, ready to run.
    pub(crate) fn new(world: W, http: reqwest::Client) -> Arc<Self> {
        Arc::new(Self { world: Mutex::new(world), tasks: Mutex::new(Some(JoinSet::new())), http })
    }

    /// Does something to the world, and then what that left behind.
    pub(crate) fn with<T>(self: &Arc<Self>, act: impl FnOnce(&mut W) -> T) -> T {
        let (result, effects) = {
            let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
            let result = act(&mut world);
            (result, world.take_effects())
        };
        for effect in effects {
            W::carry_out(self, effect);
        }
        result
    }
}
