//! What goes wrong, and what is switched.

use serde_json::{Value, json};

use super::Control;
use crate::discord::Error;

impl Control {
    /// Plays a fault on the next `times` calls of a route, after `after` calls went by. A route is written as in
    /// `POST /channels/{channel}/messages`, or with the real ids; `*` is any.
    ///
    /// The kinds: `"drop_response"` (it acts and the connection ends), `"drop_request"` (it does not act and the connection
    /// ends), `"garbage"` (it acts and is not answered in JSON), `{"delay_ms": n}` (it acts and is answered late), and without
    /// acting `{"status": 502}`, `{"rate_limit": seconds, "scope": "user" | "global" | "shared"}`,
    /// `{"error": {"status": 403, "code": 50013, "message": "…"}}`.
    pub async fn fault(&self, method: &str, kind: Value, times: u64, after: u64) -> Result<(), Error> {
        self.done("fault", json!({"method": method, "kind": kind, "times": times, "after": after})).await
    }

    /// Takes all faults on calls away.
    pub async fn clear_faults(&self) -> Result<(), Error> {
        self.done("clear_faults", json!({})).await
    }

    /// Plays a fault on one socket or on all: `ghost` (open, and nothing arrives), `no_acks` (heartbeats are not
    /// acknowledged), `cut`, `reconnect` (op 7), `invalid` (op 9, and the session is gone), `invalid_resumable` (op 9 with
    /// true), `heartbeat` (op 1), `garbage`.
    pub async fn socket_fault(&self, kind: &str, socket: Option<u64>) -> Result<(), Error> {
        self.done("socket_fault", json!({"kind": kind, "socket": socket})).await
    }

    /// Closes one socket or all with this code.
    pub async fn close_sockets(&self, code: u16, socket: Option<u64>) -> Result<(), Error> {
        self.done("socket_fault", json!({"kind": "close", "code": code, "socket": socket})).await
    }

    /// Plays a fault on the next so many: `duplicate`, `reorder` (dispatches), `refuse_open` (calls for the gateway's
    /// address), `refuse_connect`.
    pub async fn next_fault(&self, kind: &str, count: u64) -> Result<(), Error> {
        self.done("socket_fault", json!({"kind": kind, "count": count})).await
    }

    /// The next so many dispatches come late.
    pub async fn delay_events(&self, count: u64, ms: u64) -> Result<(), Error> {
        self.done("socket_fault", json!({"kind": "delay", "count": count, "ms": ms})).await
    }

    /// All sessions are gone: whoever resumes is told that the session is invalid.
    pub async fn forget_sessions(&self) -> Result<(), Error> {
        self.done("expire", json!({"what": "sessions"})).await
    }

    /// The bot token is revoked, or is good again.
    pub async fn revoke(&self, revoked: bool) -> Result<(), Error> {
        self.done("revoke", json!({"revoked": revoked})).await
    }

    /// Dispatches any event, to every session or to those that see this guild.
    pub async fn raw_event(&self, name: &str, data: Value) -> Result<(), Error> {
        self.done("raw_event", json!({"name": name, "data": data})).await
    }

    /// Sends any text frame on all sockets.
    pub async fn raw_frame(&self, text: &str) -> Result<(), Error> {
        self.done("raw_frame", json!({"text": text})).await
    }

    /// Discord is away: connections end and new ones are cut; or it is back.
    pub async fn away(&self, away: bool) -> Result<(), Error> {
        self.done("away", json!({"away": away})).await
    }

    /// Lets something run out: `interactions` (their tokens), `nonces`, `sessions`, `ban`.
    pub async fn expire(&self, what: &str) -> Result<(), Error> {
        self.done("expire", json!({"what": what})).await
    }

    /// Stretches Discord's waits by this factor from now on.
    pub async fn time_scale(&self, scale: f64) -> Result<(), Error> {
        self.done("time_scale", json!({"scale": scale})).await
    }

    /// Interactions go to this endpoint, which has to prove itself, or over the gateway.
    pub async fn events(&self, url: Option<&str>) -> Result<(), Error> {
        self.done("events", json!({"url": url})).await
    }

    /// Sets `privileged_intents`, `rate_limits`, `ban_at`, `replay`, `resume_within_ms`, `shards`, `sharding_required` or
    /// `bot_token`.
    pub async fn set(&self, change: Value) -> Result<(), Error> {
        self.done("settings_set", change).await
    }

    /// Sends anything to the app's endpoint: `body`, and if wanted `signature`, `timestamp`, `content_type`, `url`; empty text
    /// leaves a header out. Gives `status` and `body`.
    pub async fn forged(&self, ask: Value) -> Result<Value, Error> {
        self.ask("forged", ask).await
    }

    /// Asks the app's endpoint to prove itself; true if it answered a ping and refused a forged one.
    pub async fn challenge(&self) -> Result<bool, Error> {
        let answer = self.ask("challenge", json!({})).await?;
        Ok(answer.get("verified") == Some(&json!(true)))
    }
}
