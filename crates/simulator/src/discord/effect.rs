//! What takes time, left behind by the world and carried out after its lock is gone.

use std::{sync::Arc, time::Duration};

use super::{Shared, ids::Id, push, world::World};
use crate::shared::tasks::Lives;

/// Something to do.
#[derive(Debug)]
pub(crate) enum Effect {
    /// Do something later.
    After(Duration, Later),
    /// Send an interaction to the app's endpoint.
    Post(Post),
}

/// Something to do later.
#[derive(Clone, Debug)]
pub(crate) enum Later {
    /// An interaction has to be answered by now.
    Due(Id),
    /// A socket has to have sent a heartbeat by now.
    Beat(u64),
    /// Send what was held back to be sent in another order.
    Release,
    /// Send a dispatch that was held back.
    Send {
        /// Whose.
        session: String,
        /// What.
        text: String,
        /// Which delivery it is.
        delivery: usize,
    },
}

/// An interaction that goes to the app's endpoint.
#[derive(Clone, Debug)]
pub(crate) struct Post {
    pub(crate) interaction: Id,
    pub(crate) url: String,
    pub(crate) body: String,
    pub(crate) timestamp: String,
    pub(crate) signature: String,
    pub(crate) within: Duration,
}

impl Lives for World {
    type Effect = Effect;

    fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    fn carry_out(shared: &Arc<Shared>, effect: Effect) {
        let acting = Arc::clone(shared);
        match effect {
            Effect::After(wait, later) => shared.spawn(async move {
                tokio::time::sleep(wait).await;
                acting.with(|world| world.come_to(later));
            }),
            Effect::Post(post) => shared.spawn(async move { push::post(&acting, post).await }),
        }
    }
}

impl World {
    /// The time for something has come.
    fn come_to(&mut self, later: Later) {
        match later {
            Later::Due(interaction) => self.interaction_due(interaction),
            Later::Beat(socket) => self.beat_due(socket),
            Later::Release => self.release_held(),
            Later::Send { session, text, delivery } => self.send_frame(&session, &text, delivery),
        }
    }
}
