//! The gateway's end of a web socket.

use std::{sync::Arc, time::Duration};

use super::Shared;
use crate::shared::link::{Orders, Peer};

/// Who talks over the sockets of a simulator.
#[derive(Clone)]
pub(crate) struct Gateway(pub(crate) Arc<Shared>);

impl Peer for Gateway {
    fn away(&self) -> bool {
        self.0.with(|world| world.settings.away)
    }

    fn admit(&self, _query: &str) -> bool {
        self.0.with(super::world::World::admit)
    }

    fn join(&self, orders: Orders) -> u64 {
        self.0.with(|world| world.join_socket(orders))
    }

    fn hear(&self, id: u64, text: &str) {
        self.0.with(|world| world.hear_socket(id, text));
    }

    fn leave(&self, id: u64, code: Option<u16>) {
        self.0.with(|world| world.leave_socket(id, code));
    }

    fn pings(&self) -> Option<(Duration, &'static str)> {
        None
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.0.spawn(task);
    }
}
