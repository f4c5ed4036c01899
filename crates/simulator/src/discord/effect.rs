//! What takes time, left behind by the world and carried out after its lock is gone.

use std::{sync::Arc, time::Duration};

use super::{Shared, ids::Id, push, world::World};
use crate::shared::tasks::{Effects, Lives};

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
    type Later = Later;
    type Post = Post;

    fn effects(&mut self) -> &mut Effects<Self> {
        &mut self.effects
    }

    fn come_to(&mut self, later: Later) {
        match later {
            Later::Due(interaction) => self.interaction_due(interaction),
            Later::Beat(socket) => self.beat_due(socket),
            Later::Release => self.release_held(),
            Later::Send { session, text, delivery } => self.send_frame(&session, &text, delivery),
        }
    }

    async fn post(shared: Arc<Shared>, post: Post) {
        push::post(&shared, post).await;
    }
}
