//! How what the world left behind is carried out.

use std::sync::Arc;

use super::{
    Shared,
    effect::{Later, Post},
    push,
    world::World,
};
use crate::shared::tasks::{Effects, Lives};

impl Lives for World {
    type Later = Later;
    type Post = Post;

    fn effects(&mut self) -> &mut Effects<Self> {
        &mut self.effects
    }

    fn come_to(&mut self, later: Later) {
        match later {
            Later::Attempt { delivery } => self.attempt(delivery),
            Later::GiveUp { delivery, attempt } => self.fail(delivery, attempt, "timeout"),
            Later::Refresh { socket } => self.close_socket(socket, "refresh_requested"),
            Later::Release => self.release_held(),
            Later::StatusEnds { channel, thread, number } => self.end_status(&channel, &thread, number),
        }
    }

    async fn post(shared: Arc<Shared>, post: Post) {
        push::post(&shared, post).await;
    }
}
