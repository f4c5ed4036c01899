//! Socket Mode's end of a web socket.

use std::{sync::Arc, time::Duration};

use super::Shared;
use crate::shared::link::{Orders, Peer};

/// Who talks over the sockets of a simulator.
#[derive(Clone)]
pub(crate) struct Applink(pub(crate) Arc<Shared>);

impl Peer for Applink {
    fn away(&self) -> bool {
        self.0.with(|world| world.settings.away)
    }

    fn admit(&self, query: &str) -> bool {
        let ticket = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "ticket");
        self.0.with(|world| world.sockets.admit(&ticket.map(|(_, value)| value).unwrap_or_default()))
    }

    fn join(&self, orders: Orders) -> u64 {
        self.0.with(|world| world.join_socket(orders))
    }

    fn hear(&self, id: u64, text: &str) {
        self.0.with(|world| world.hear_socket(id, text));
    }

    fn leave(&self, id: u64, _code: Option<u16>) {
        self.0.with(|world| world.leave_socket(id));
    }

    fn pings(&self) -> Option<(Duration, &'static str)> {
        Some((self.0.with(|world| world.settings.ping_every), "Ping from applink-"))
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.0.spawn(task);
    }
}
