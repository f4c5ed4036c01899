//! A world behind its lock, and the tasks that carry its effects out.
//!
//! Invariant: every task of a simulator is in its set, and ends with it.

use std::{
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::task::JoinSet;

/// What takes time, left behind under the lock.
#[derive(Debug)]
pub(crate) enum Effect<Later, Post> {
    /// Do something later.
    After(Duration, Later),
    /// Send something to the app's address.
    Post(Post),
}

/// What is left behind in a world.
pub(crate) type Effects<W> = Vec<Effect<<W as Lives>::Later, <W as Lives>::Post>>;

/// Everything that a simulated platform knows.
pub(crate) trait Lives: Sized + Send + 'static {
    /// Something to do later.
    type Later: Send + 'static;

    /// Something that goes to the app's address.
    type Post: Send + 'static;

    /// Where it is left behind what takes time.
    fn effects(&mut self) -> &mut Effects<Self>;

    /// The time for something has come.
    fn come_to(&mut self, later: Self::Later);

    /// Sends something to the app's address.
    fn post(shared: Arc<Shared<Self>>, post: Self::Post) -> impl Future<Output = ()> + Send;
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
            (result, std::mem::take(world.effects()))
        };
        for effect in effects {
            self.carry_out(effect);
        }
        result
    }

    fn carry_out(self: &Arc<Self>, effect: Effect<W::Later, W::Post>) {
        let acting = Arc::clone(self);
        match effect {
            Effect::After(wait, later) => self.spawn(async move {
                tokio::time::sleep(wait).await;
                acting.come_to(later);
            }),
            Effect::Post(post) => self.spawn(W::post(acting, post)),
        }
    }

    fn come_to(self: &Arc<Self>, later: W::Later) {
        self.with(|world| world.come_to(later));
    }
}
