//! The sockets that the app opened.
//!
//! Invariant: a payload goes to one live socket, in turn. A ghost counts as live until its connection ends: that is what
//! makes it one.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    effect::Later,
    ids,
    world::{APP, World},
};
use crate::shared::link::{Order, Orders};
use crate::shared::tasks::Effect;

/// How many sockets an app may hold.
pub(crate) const AT_MOST: usize = 10;

/// How long before the close a refresh is announced.
const WARNING: std::time::Duration = std::time::Duration::from_secs(10);

/// One socket.
#[derive(Debug)]
pub(crate) struct Socket {
    pub(crate) orders: Orders,
    pub(crate) opened_ms: u64,
    pub(crate) acked: usize,
    pub(crate) sent: usize,
    pub(crate) ghost: bool,
    /// About to be closed by the server; gets nothing new.
    pub(crate) closing: bool,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Sockets {
    pub(crate) live: BTreeMap<u64, Socket>,
    tickets: Vec<String>,
    last: u64,
    turn: u64,
    /// How many of the next openings are refused, and how.
    pub(crate) refuse_open: usize,
    pub(crate) refuse_connect: usize,
    /// Whether Socket Mode was switched off for the app.
    pub(crate) disabled: bool,
    /// How many were ever opened.
    pub(crate) opened: usize,
}

impl Sockets {
    /// The next socket in turn, another than this one if there is another.
    pub(crate) fn choose(&mut self, not: Option<u64>) -> Option<u64> {
        let open: Vec<u64> =
            self.live.iter().filter(|(_, socket)| !socket.closing).map(|(id, _)| *id).collect();
        let others: Vec<u64> = open.iter().copied().filter(|id| Some(*id) != not).collect();
        let from = if others.is_empty() { open } else { others };
        let next = from.iter().find(|id| **id > self.turn).or_else(|| from.first()).copied()?;
        self.turn = next;
        Some(next)
    }

    /// Sends a text frame.
    pub(crate) fn send(&mut self, id: u64, text: &str) {
        if let Some(socket) = self.live.get_mut(&id) {
            socket.sent += 1;
            // A socket that just ended is noticed by its own task.
            let _ = socket.orders.send(Order::Text(text.to_owned()));
        }
    }

    /// Tells a socket what to do.
    pub(crate) fn order(&self, id: u64, order: Order) {
        if let Some(socket) = self.live.get(&id) {
            let _ = socket.orders.send(order);
        }
    }

    /// A ticket for one connection.
    pub(crate) fn ticket(&mut self) -> String {
        let ticket = ids::random(16);
        self.tickets.push(ticket.clone());
        ticket
    }

    /// Whether a connection with this ticket may be made; a ticket counts once.
    pub(crate) fn admit(&mut self, ticket: &str) -> bool {
        if self.refuse_connect > 0 {
            self.refuse_connect -= 1;
            return false;
        }
        let before = self.tickets.len();
        self.tickets.retain(|known| known != ticket);
        self.tickets.len() < before
    }
}

impl World {
    /// Takes a new connection up and greets it.
    pub(crate) fn join_socket(&mut self, orders: Orders) -> u64 {
        let opened_ms = self.now_ms();
        self.sockets.last += 1;
        self.sockets.opened += 1;
        let id = self.sockets.last;
        let full = self.sockets.live.len() >= AT_MOST;
        let socket = Socket { orders, opened_ms, acked: 0, sent: 0, ghost: false, closing: full };
        self.sockets.live.insert(id, socket);
        if full {
            self.close_socket(id, "too_many_websockets");
            return id;
        }
        if self.sockets.disabled {
            self.close_socket(id, "link_disabled");
            return id;
        }
        let hello = json!({
            "type": "hello",
            "num_connections": self.sockets.live.len(),
            "debug_info": debug_info(),
            "connection_info": {"app_id": APP},
        });
        self.sockets.send(id, &hello.to_string());
        id
    }

    /// A connection is gone.
    pub(crate) fn leave_socket(&mut self, id: u64) {
        if self.sockets.live.remove(&id).is_some() {
            self.fail_socket(id);
        }
    }

    /// A text frame came in.
    pub(crate) fn hear_socket(&mut self, id: u64, text: &str) {
        let Ok(frame) = serde_json::from_str::<Value>(text) else { return };
        let Some(envelope) = frame.get("envelope_id").and_then(Value::as_str) else { return };
        if let Some(socket) = self.sockets.live.get_mut(&id) {
            socket.acked += 1;
        }
        self.ack_envelope(envelope, id, frame.get("payload").cloned());
    }

    /// Says goodbye with a reason and closes.
    pub(crate) fn close_socket(&mut self, id: u64, reason: &str) {
        let goodbye = json!({"type": "disconnect", "reason": reason, "debug_info": debug_info()});
        self.sockets.send(id, &goodbye.to_string());
        self.sockets.order(id, Order::Close(None));
        if let Some(socket) = self.sockets.live.get_mut(&id) {
            socket.closing = true;
        }
    }

    /// Announces that a socket will be closed soon.
    pub(crate) fn refresh_socket(&mut self, id: u64) {
        let warning = json!({"type": "disconnect", "reason": "warning", "debug_info": debug_info()});
        self.sockets.send(id, &warning.to_string());
        let wait = self.scaled(WARNING);
        self.effects.push(Effect::After(wait, Later::Refresh { socket: id }));
    }

    /// The live sockets, for a test to look at.
    pub(crate) fn show_sockets(&self) -> Value {
        let shown: Vec<Value> = self
            .sockets
            .live
            .iter()
            .map(|(id, socket)| {
                json!({
                    "id": id,
                    "opened_ms": socket.opened_ms,
                    "acked": socket.acked,
                    "sent": socket.sent,
                    "ghost": socket.ghost,
                    "closing": socket.closing,
                })
            })
            .collect();
        json!(shown)
    }
}

fn debug_info() -> Value {
    json!({
        "host": "applink-1",
        "started": "2026-01-01 00:00:00.000",
        "build_number": 1,
        "approximate_connection_time": 18060,
    })
}
