//! What is on its way to the app: events, interactions, slash commands.
//!
//! Invariant: an event is tried again until it is acknowledged or its four attempts are used up, and counts as lost only
//! then. An interaction or a slash command is tried once.

use std::{collections::HashMap, time::Duration};

use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::{
    effect::{Later, Outcome, Post},
    ids,
    options::Events,
    world::World,
};
use crate::shared::tasks::Effect;

/// How long the app may take to acknowledge.
const ACK_WITHIN: Duration = Duration::from_secs(3);

/// An app needs some time however short a minute is.
const ACK_WITHIN_AT_LEAST: Duration = Duration::from_millis(500);

/// The waits before the attempts after the first.
const RETRIES: [Duration; 3] =
    [Duration::from_millis(200), Duration::from_secs(60), Duration::from_secs(300)];

/// How long events are held back for a change of their order.
const HELD_AT_MOST: Duration = Duration::from_secs(2);

/// The sort of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An event.
    Event,
    /// A click, a form, a shortcut.
    Interactive,
    /// A slash command.
    Command,
}

impl Kind {
    /// The type of its envelope.
    pub(crate) fn envelope(self) -> &'static str {
        match self {
            Self::Event => "events_api",
            Self::Interactive => "interactive",
            Self::Command => "slash_commands",
        }
    }
}

/// One thing on its way.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) kind: Kind,
    pub(crate) payload: Value,
    pub(crate) attempts: Vec<Attempt>,
    pub(crate) state: State,
    /// How often it was sent once more by a fault.
    pub(crate) duplicates: usize,
    /// Whoever waits for the outcome.
    pub(crate) waiter: Option<oneshot::Sender<Outcome>>,
}

/// Where a delivery stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// On its way.
    Pending,
    /// Acknowledged: when, and on which socket.
    Acked(u64, Option<u64>),
    /// Given up.
    Lost,
}

/// One try.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) envelope: String,
    pub(crate) socket: Option<u64>,
    pub(crate) at_ms: u64,
    pub(crate) at_us: u64,
    /// Why it failed, if it did.
    pub(crate) failed: Option<String>,
}

/// All of them, and the faults that are played on them.
#[derive(Debug, Default)]
pub(crate) struct Deliveries {
    pub(crate) all: Vec<Delivery>,
    by_envelope: HashMap<String, usize>,
    /// How many of the next events are sent twice.
    pub(crate) duplicate: usize,
    /// How many of the next acknowledgements are lost on their way.
    pub(crate) lose_acks: usize,
    /// How many events are held back until they are sent in the opposite order.
    pub(crate) reorder: usize,
    held: Vec<usize>,
}

impl World {
    /// Sends an event.
    pub(crate) fn deliver_event(&mut self, payload: Value) -> usize {
        let delivery = self.begin(Kind::Event, payload, None);
        if self.deliveries.reorder > 0 {
            if self.deliveries.held.is_empty() {
                let wait = self.scaled(HELD_AT_MOST);
                self.effects.push(Effect::After(wait, Later::Release));
            }
            self.deliveries.held.push(delivery);
            if self.deliveries.held.len() >= self.deliveries.reorder {
                self.release_held();
            }
        } else {
            self.attempt(delivery);
        }
        delivery
    }

    /// Sends an interaction or a slash command whose outcome somebody waits for.
    pub(crate) fn deliver_asking(&mut self, kind: Kind, payload: Value) -> oneshot::Receiver<Outcome> {
        let (sender, receiver) = oneshot::channel();
        let delivery = self.begin(kind, payload, Some(sender));
        self.attempt(delivery);
        receiver
    }

    fn begin(&mut self, kind: Kind, payload: Value, waiter: Option<oneshot::Sender<Outcome>>) -> usize {
        let delivery =
            Delivery { kind, payload, attempts: Vec::new(), state: State::Pending, duplicates: 0, waiter };
        self.deliveries.all.push(delivery);
        self.deliveries.all.len() - 1
    }

    /// Sends what was held back, last things first.
    pub(crate) fn release_held(&mut self) {
        self.deliveries.reorder = 0;
        for delivery in std::mem::take(&mut self.deliveries.held).into_iter().rev() {
            self.attempt(delivery);
        }
    }

    /// Tries a delivery that still waits.
    pub(crate) fn attempt(&mut self, id: usize) {
        let (at_ms, at_us) = (self.now_ms(), self.now_us());
        let Some(delivery) = self.deliveries.all.get(id) else { return };
        if delivery.state != State::Pending {
            return;
        }
        let before = delivery.attempts.last().and_then(|attempt| attempt.socket);
        let number = delivery.attempts.len();
        let socket = match self.settings.events {
            Events::Socket => self.sockets.choose(before),
            Events::Http { .. } => None,
        };
        let envelope = ids::uuid();
        let attempt = Attempt { envelope: envelope.clone(), socket, at_ms, at_us, failed: None };
        if let Some(delivery) = self.deliveries.all.get_mut(id) {
            delivery.attempts.push(attempt);
        }
        self.deliveries.by_envelope.insert(envelope.clone(), id);
        match self.settings.events.clone() {
            Events::Socket => self.attempt_by_socket(id, number, socket, &envelope),
            Events::Http { url } => self.attempt_by_http(id, number, url),
        }
    }

    fn attempt_by_socket(&mut self, id: usize, number: usize, socket: Option<u64>, envelope: &str) {
        let Some(socket) = socket else {
            self.fail(id, number, "no_socket");
            return;
        };
        let frame = self.frame(id, number, envelope);
        self.sockets.send(socket, &frame);
        if self.twice(id) {
            let again = ids::uuid();
            let frame = self.frame(id, number, &again);
            self.deliveries.by_envelope.insert(again, id);
            let other = self.sockets.choose(Some(socket)).unwrap_or(socket);
            self.sockets.send(other, &frame);
        }
        let wait = self.ack_within();
        self.effects.push(Effect::After(wait, Later::GiveUp { delivery: id, attempt: number }));
    }

    fn attempt_by_http(&mut self, id: usize, number: usize, url: String) {
        let Some(delivery) = self.deliveries.all.get(id) else { return };
        let (body, content_type) = match delivery.kind {
            Kind::Event => (delivery.payload.to_string(), "application/json"),
            Kind::Interactive => (
                form_urlencoded::Serializer::new(String::new())
                    .append_pair("payload", &delivery.payload.to_string())
                    .finish(),
                "application/x-www-form-urlencoded",
            ),
            Kind::Command => (command_form(&delivery.payload), "application/x-www-form-urlencoded"),
        };
        let retry = (number > 0).then(|| (number, self.last_failure(id)));
        let post = Post {
            delivery: id,
            attempt: number,
            url,
            body,
            content_type,
            retry,
            within: self.ack_within(),
            secret: self.settings.signing_secret.clone(),
        };
        if self.twice(id) {
            self.effects.push(Effect::Post(post.clone()));
        }
        self.effects.push(Effect::Post(post));
    }

    fn ack_within(&self) -> Duration {
        self.scaled(ACK_WITHIN).max(ACK_WITHIN_AT_LEAST)
    }

    /// Whether a fault wants this one twice.
    fn twice(&mut self, id: usize) -> bool {
        let Some(delivery) = self.deliveries.all.get_mut(id) else { return false };
        if self.deliveries.duplicate == 0 || delivery.kind != Kind::Event {
            return false;
        }
        self.deliveries.duplicate -= 1;
        delivery.duplicates += 1;
        true
    }

    fn frame(&self, id: usize, number: usize, envelope: &str) -> String {
        let Some(delivery) = self.deliveries.all.get(id) else { return String::new() };
        let mut frame = json!({
            "envelope_id": envelope,
            "payload": delivery.payload,
            "type": delivery.kind.envelope(),
            "accepts_response_payload": delivery.kind != Kind::Event,
        });
        if delivery.kind == Kind::Event
            && let Some(frame) = frame.as_object_mut()
        {
            frame.insert("retry_attempt".to_owned(), json!(number));
            frame.insert("retry_reason".to_owned(), json!(self.last_failure(id)));
        }
        frame.to_string()
    }

    fn last_failure(&self, id: usize) -> String {
        let attempts = self.deliveries.all.get(id).map(|delivery| delivery.attempts.as_slice());
        let failed = attempts.unwrap_or_default().iter().rev().find_map(|attempt| attempt.failed.clone());
        match failed.as_deref() {
            Some("no_socket" | "socket_closed") => "connection_failed".to_owned(),
            Some(reason) => reason.to_owned(),
            None => String::new(),
        }
    }

    /// An attempt failed: the next one, if there is one, comes in its time.
    pub(crate) fn fail(&mut self, id: usize, number: usize, reason: &str) {
        self.fail_for(id, number, reason, true);
    }

    /// An attempt failed; `again` says whether there may be another one.
    pub(crate) fn fail_for(&mut self, id: usize, number: usize, reason: &str, again: bool) {
        let Some(delivery) = self.deliveries.all.get_mut(id) else { return };
        if delivery.state != State::Pending || delivery.attempts.len() != number + 1 {
            return;
        }
        if let Some(attempt) = delivery.attempts.last_mut() {
            if attempt.failed.is_some() {
                return;
            }
            attempt.failed = Some(reason.to_owned());
        }
        let next = RETRIES.get(number).filter(|_| again && delivery.kind == Kind::Event);
        if let Some(wait) = next {
            let wait = self.scaled(*wait);
            self.effects.push(Effect::After(wait, Later::Attempt { delivery: id }));
            return;
        }
        delivery.state = State::Lost;
        let user = self.settle(id, Outcome::TimedOut);
        if let Some(user) = user {
            self.mishap(&user, "operation_timeout", reason);
        }
    }

    /// An envelope was acknowledged on a socket. Gives the delivery, if there is one.
    pub(crate) fn ack_envelope(&mut self, envelope: &str, socket: u64, payload: Option<Value>) {
        if let Some(id) = self.deliveries.by_envelope.get(envelope).copied() {
            if self.deliveries.lose_acks > 0 {
                self.deliveries.lose_acks -= 1;
                return;
            }
            self.ack(id, Some(socket), payload);
        }
    }

    /// A delivery was acknowledged.
    pub(crate) fn ack(&mut self, id: usize, socket: Option<u64>, payload: Option<Value>) {
        let at_ms = self.now_ms();
        let Some(delivery) = self.deliveries.all.get_mut(id) else { return };
        if delivery.state == State::Pending {
            delivery.state = State::Acked(at_ms, socket);
            self.settle(id, Outcome::Acked(payload));
        }
    }

    /// Tells whoever waits; gives the person that an interaction came from.
    fn settle(&mut self, id: usize, outcome: Outcome) -> Option<String> {
        let delivery = self.deliveries.all.get_mut(id)?;
        if let Some(waiter) = delivery.waiter.take() {
            // Nobody may be waiting any more.
            let _ = waiter.send(outcome);
        }
        let payload = &delivery.payload;
        let user = match delivery.kind {
            Kind::Event => return None,
            Kind::Interactive => payload.pointer("/user/id"),
            Kind::Command => payload.get("user_id"),
        };
        user.and_then(Value::as_str).map(str::to_owned)
    }

    /// A socket is gone: what was sent on it and not acknowledged failed.
    pub(crate) fn fail_socket(&mut self, socket: u64) {
        let mut gone = Vec::new();
        for (id, delivery) in self.deliveries.all.iter().enumerate() {
            let last = delivery.attempts.last().filter(|attempt| attempt.failed.is_none());
            if delivery.state == State::Pending && last.is_some_and(|attempt| attempt.socket == Some(socket))
            {
                gone.push((id, delivery.attempts.len() - 1));
            }
        }
        for (id, number) in gone {
            self.fail(id, number, "socket_closed");
        }
    }

    /// All deliveries, for a test to look at.
    pub(crate) fn show_deliveries(&self) -> Value {
        let shown: Vec<Value> =
            self.deliveries.all.iter().enumerate().map(|(id, delivery)| show(id, delivery)).collect();
        json!(shown)
    }
}

fn show(id: usize, delivery: &Delivery) -> Value {
    let attempts: Vec<Value> = delivery
        .attempts
        .iter()
        .map(|attempt| {
            json!({
                "envelope_id": attempt.envelope,
                "socket": attempt.socket,
                "at_ms": attempt.at_ms,
                "at_us": attempt.at_us,
                "failed": attempt.failed,
            })
        })
        .collect();
    let (acked_ms, acked_socket) = match delivery.state {
        State::Acked(at, socket) => (Some(at), socket),
        State::Pending | State::Lost => (None, None),
    };
    let payload = &delivery.payload;
    let event = payload.get("event");
    let kind = event.and_then(|event| event.get("type")).or_else(|| payload.get("type"));
    json!({
        "id": id,
        "kind": delivery.kind.envelope(),
        "type": kind.or_else(|| payload.get("command")),
        "subtype": event.and_then(|event| event.get("subtype")),
        "event_id": payload.get("event_id"),
        "channel": event.and_then(|event| event.get("channel")).or_else(|| payload.pointer("/channel/id")),
        "ts": event.and_then(|event| event.get("ts")),
        "payload": payload,
        "attempts": attempts,
        "duplicates": delivery.duplicates,
        "acked": acked_ms.is_some(),
        "acked_ms": acked_ms,
        "acked_socket": acked_socket,
        "lost": delivery.state == State::Lost,
    })
}

/// A slash command as a form.
fn command_form(payload: &Value) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    for (name, value) in payload.as_object().into_iter().flatten() {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        form.append_pair(name, &text);
    }
    form.finish()
}
