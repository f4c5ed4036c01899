//! How what the world left behind is carried out.

use std::sync::Arc;

use super::{
    Shared,
    effect::{Effect, Later},
    push,
    world::World,
};
use crate::shared::tasks::Lives;

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
            Later::Attempt { delivery } => self.attempt(delivery),
            Later::GiveUp { delivery, attempt } => self.fail(delivery, attempt, "timeout"),
            Later::Refresh { socket } => self.close_socket(socket, "refresh_requested"),
            Later::Release => self.release_held(),
            Later::StatusEnds { channel, thread, number } => self.end_status(&channel, &thread, number),
        }
    }
}
