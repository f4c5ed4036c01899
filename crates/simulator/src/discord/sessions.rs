//! The gateway's sessions, and what is dispatched to them.
//!
//! Invariant: a dispatch has its sequence number and stands in the session's log before it goes to a socket, so that a
//! session that resumes hears of everything that its window still holds.

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{
    effect::Later,
    ids::{Id, random},
    world::World,
};
use crate::shared::link::{Order, Orders};
use crate::shared::tasks::Effect;

/// How long dispatches are held back for a change of their order.
const HELD_AT_MOST: Duration = Duration::from_secs(2);

const DELIVERIES_KEPT: usize = 100_000;

/// One session.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) intents: u64,
    pub(crate) shard: (u64, u64),
    pub(crate) seq: u64,
    /// The last dispatches: their numbers, their frames, which delivery they are.
    pub(crate) log: VecDeque<(u64, String, usize)>,
    pub(crate) socket: Option<u64>,
    pub(crate) left: Option<Instant>,
    pub(crate) resumed: usize,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Socket {
    pub(crate) orders: Orders,
    pub(crate) session: Option<String>,
    pub(crate) opened_ms: u64,
    pub(crate) sent: usize,
    pub(crate) beats: usize,
    pub(crate) last_beat: Instant,
    pub(crate) ghost: bool,
    /// Heartbeats are heard and not acknowledged.
    pub(crate) no_acks: bool,
    pub(crate) closing: bool,
    /// When the app's frames of the last minute came.
    pub(crate) heard: VecDeque<Instant>,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    pub(crate) all: BTreeMap<String, Session>,
    pub(crate) live: BTreeMap<u64, Socket>,
    pub(crate) last_socket: u64,
    pub(crate) opened: usize,
    pub(crate) identified: Vec<Instant>,
    pub(crate) deliveries: Vec<Value>,
    /// How many of the next connections are refused.
    pub(crate) refuse_connect: usize,
    /// How many of the next calls for the gateway's address are refused.
    pub(crate) refuse_open: usize,
    pub(crate) duplicate: usize,
    /// How many of the next dispatches are held back, to be sent in the reverse order.
    pub(crate) reorder: usize,
    pub(crate) delay: Vec<Duration>,
    held: Vec<(String, String, usize)>,
}

/// Something that the app is told.
pub(crate) struct Event<'a> {
    pub(crate) name: &'a str,
    pub(crate) data: Value,
    pub(crate) guild: Option<Id>,
    /// One of these has to be asked for; none at all if it is 0.
    pub(crate) intents: u64,
}

impl World {
    /// Tells every session that asked for it.
    pub(crate) fn dispatch(&mut self, event: &Event<'_>) {
        self.dispatch_as(event.name, event.guild, event.intents, &|_| event.data.clone());
    }

    /// Tells every session that asked for it; what is told depends on what it asked for.
    pub(crate) fn dispatch_as(
        &mut self,
        name: &str,
        guild: Option<Id>,
        intents: u64,
        data: &dyn Fn(u64) -> Value,
    ) {
        let to: Vec<(String, u64)> = self
            .sessions
            .all
            .iter()
            .filter(|(_, session)| intents == 0 || session.intents & intents != 0)
            .filter(|(_, session)| match guild {
                Some(guild) => (guild >> 22) % session.shard.1 == session.shard.0,
                None => session.shard.0 == 0,
            })
            .map(|(id, session)| (id.clone(), session.intents))
            .collect();
        for (session, asked) in to {
            self.tell(&session, name, data(asked));
        }
    }

    /// Tells one session.
    pub(crate) fn tell(&mut self, id: &str, name: &str, data: Value) {
        let (at_ms, at_us) = (self.now_ms(), self.now_us());
        let replay = self.settings.options.replay;
        let Some(session) = self.sessions.all.get_mut(id) else { return };
        session.seq += 1;
        let seq = session.seq;
        let text = json!({"t": name, "s": seq, "op": 0, "d": data}).to_string();
        let delivery = self.sessions.deliveries.len();
        session.log.push_back((seq, text.clone(), delivery));
        while session.log.len() > replay {
            session.log.pop_front();
        }
        if delivery < DELIVERIES_KEPT {
            self.sessions.deliveries.push(json!({
                "id": delivery,
                "type": name,
                "seq": seq,
                "session": id,
                "at_ms": at_ms,
                "at_us": at_us,
                "payload": data,
                "sockets": [],
            }));
        }
        // What begins a session is never played with.
        if matches!(name, "READY" | "RESUMED" | "GUILD_CREATE") {
            self.send_frame(id, &text, delivery);
            return;
        }
        if self.sessions.reorder > 0 {
            if self.sessions.held.is_empty() {
                self.effects.push(Effect::After(HELD_AT_MOST, Later::Release));
            }
            self.sessions.held.push((id.to_owned(), text, delivery));
            self.sessions.reorder -= 1;
            if self.sessions.reorder == 0 {
                self.release_held();
            }
            return;
        }
        if let Some(wait) = self.sessions.delay.pop() {
            let later = Later::Send { session: id.to_owned(), text, delivery };
            self.effects.push(Effect::After(wait, later));
            return;
        }
        self.send_frame(id, &text, delivery);
        if self.sessions.duplicate > 0 {
            self.sessions.duplicate -= 1;
            self.send_frame(id, &text, delivery);
        }
    }

    /// Sends what was held back, the last first.
    pub(crate) fn release_held(&mut self) {
        self.sessions.reorder = 0;
        for (session, text, delivery) in std::mem::take(&mut self.sessions.held).into_iter().rev() {
            self.send_frame(&session, &text, delivery);
        }
    }

    /// Sends a frame to the socket of a session, if it has one.
    pub(crate) fn send_frame(&mut self, session: &str, text: &str, delivery: usize) {
        let Some(socket) = self.sessions.all.get(session).and_then(|session| session.socket) else { return };
        let sockets = self.sessions.deliveries.get_mut(delivery).and_then(|it| it.get_mut("sockets"));
        if let Some(sockets) = sockets.and_then(Value::as_array_mut) {
            sockets.push(json!(socket));
        }
        self.sessions.send(socket, text);
    }

    /// Begins a session on a socket. Gives its name.
    pub(crate) fn begin_session(&mut self, socket: u64, intents: u64, shard: (u64, u64)) -> String {
        let id = random(16);
        let session = Session {
            intents,
            shard,
            seq: 0,
            log: VecDeque::new(),
            socket: Some(socket),
            left: None,
            resumed: 0,
        };
        self.sessions.all.insert(id.clone(), session);
        if let Some(socket) = self.sessions.live.get_mut(&socket) {
            socket.session = Some(id.clone());
        }
        id
    }

    /// Ends sessions that were left for too long.
    pub(crate) fn forget_sessions(&mut self) {
        let within = self.scaled(self.settings.options.resume_within);
        self.sessions.all.retain(|_, session| session.left.is_none_or(|left| left.elapsed() < within));
    }
}

impl Sessions {
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

    /// Closes a socket with a code.
    pub(crate) fn close(&mut self, id: u64, code: u16, reason: &str) {
        if let Some(socket) = self.live.get_mut(&id) {
            socket.closing = true;
        }
        self.order(id, Order::Close(Some((code, reason.to_owned()))));
    }
}
