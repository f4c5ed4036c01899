//! The world behind its lock, and the tasks that carry its effects out.
//!
//! Invariant: every task of a simulator is in its set, and ends with it.

use std::{
    future::Future,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::task::JoinSet;

use super::{
    effect::{Effect, Later},
    push,
    world::World,
};

/// What all parts of a simulator hold on to.
#[derive(Debug)]
pub(crate) struct Shared {
    world: Mutex<World>,
    tasks: Mutex<Option<JoinSet<()>>>,
    pub(crate) http: reqwest::Client,
}

impl Shared {
    /// The world, ready to run.
    pub(crate) fn new(world: World, http: reqwest::Client) -> Arc<Self> {
        Arc::new(Self { world: Mutex::new(world), tasks: Mutex::new(Some(JoinSet::new())), http })
    }

    /// Does something to the world, and then what that left behind.
    pub(crate) fn with<T>(self: &Arc<Self>, act: impl FnOnce(&mut World) -> T) -> T {
        let (result, effects) = {
            let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
            let result = act(&mut world);
            (result, std::mem::take(&mut world.effects))
        };
        for effect in effects {
            self.carry_out(effect);
        }
        result
    }

    fn carry_out(self: &Arc<Self>, effect: Effect) {
        let shared = Arc::clone(self);
        match effect {
            Effect::After(wait, later) => self.spawn(async move {
                tokio::time::sleep(wait).await;
                shared.come_to(later);
            }),
            Effect::Post(post) => self.spawn(async move { push::post(&shared, post).await }),
        }
    }

    fn come_to(self: &Arc<Self>, later: Later) {
        self.with(|world| world.come_to(later));
    }

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

impl World {
    /// The time for something has come.
    fn come_to(&mut self, later: Later) {
        match later {
            Later::Attempt { delivery } => self.attempt(delivery),
            Later::GiveUp { delivery, attempt } => self.fail(delivery, attempt, "timeout"),
            Later::Refresh { socket } => self.close_socket(socket, "refresh_requested"),
            Later::Release => self.release_held(),
            Later::StatusEnds { channel, thread, number } => self.end_status(&channel, &thread, number),
        }
    }
}
