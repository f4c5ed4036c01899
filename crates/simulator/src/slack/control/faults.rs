//! What goes wrong, and what is switched.

use serde_json::{Value, json};

use super::Control;
use crate::slack::Error;

impl Control {
    /// Plays a fault on the next `times` calls of a method (`*` is any), after `after` calls went by.
    ///
    /// The kinds: `"drop_response"` (it acts and the connection ends), `"drop_request"` (it does not act and the connection
    /// ends), `"garbage"` (it acts and is not answered in JSON), `{"delay_ms": n}` (it acts and is answered late), and without
    /// acting `{"status": 500}`, `{"rate_limit": seconds}`, `{"error": "code"}`.
    pub async fn fault(&self, method: &str, kind: Value, times: u64, after: u64) -> Result<(), Error> {
        self.done("fault", json!({"method": method, "kind": kind, "times": times, "after": after})).await
    }

    /// Takes all faults on calls away.
    pub async fn clear_faults(&self) -> Result<(), Error> {
        self.done("clear_faults", json!({})).await
    }

    /// Plays a fault on one socket or on all: `ghost`, `cut`, `refresh`, `refresh_now`, `link_disabled` (Socket Mode is off
    /// from then on), `garbage`.
    pub async fn socket_fault(&self, kind: &str, socket: Option<u64>) -> Result<(), Error> {
        self.done("socket_fault", json!({"kind": kind, "socket": socket})).await
    }

    /// Plays a fault on the next so many: `duplicate`, `lose_acks`, `reorder`, `refuse_open`, `refuse_connect`.
    pub async fn next_fault(&self, kind: &str, count: u64) -> Result<(), Error> {
        self.done("socket_fault", json!({"kind": kind, "count": count})).await
    }

    /// A token is revoked, or is no more.
    pub async fn revoke(&self, token: &str, revoked: bool) -> Result<(), Error> {
        self.done("revoke", json!({"token": token, "revoked": revoked})).await
    }

    /// The bot tokens have these scopes from now on.
    pub async fn scopes(&self, scopes: &[&str]) -> Result<(), Error> {
        self.done("scopes", json!({"scopes": scopes})).await
    }

    /// Sends any event to the app; fields of `outer` take the place of those of the outer payload.
    pub async fn raw_event(&self, event: Value, outer: Value) -> Result<Value, Error> {
        self.ask("raw_event", json!({"event": event, "outer": outer})).await
    }

    /// Sends any text frame on a socket.
    pub async fn raw_frame(&self, text: &str) -> Result<(), Error> {
        self.done("raw_frame", json!({"text": text})).await
    }

    /// Slack is away: connections end and new ones are cut; or it is back.
    pub async fn away(&self, away: bool) -> Result<(), Error> {
        self.done("away", json!({"away": away})).await
    }

    /// Lets something run out: `triggers`, `response_urls`, `status`, `streams`.
    pub async fn expire(&self, what: &str) -> Result<(), Error> {
        self.done("expire", json!({"what": what})).await
    }

    /// Stretches Slack's waits by this factor from now on.
    pub async fn time_scale(&self, scale: f64) -> Result<(), Error> {
        self.done("time_scale", json!({"scale": scale})).await
    }

    /// Events go to this address, or over sockets.
    pub async fn events(&self, url: Option<&str>) -> Result<(), Error> {
        self.done("events", json!({"url": url})).await
    }

    /// Sets `streaming`, `rate_limits` or `signing_secret`.
    pub async fn set(&self, change: Value) -> Result<(), Error> {
        self.done("settings_set", change).await
    }

    /// Sends anything to the app's address: `body`, and if wanted `signature`, `timestamp`, `secret`, `content_type`,
    /// `headers`, `url`; empty text leaves a header out. Gives `status` and `body`.
    pub async fn forged(&self, ask: Value) -> Result<Value, Error> {
        self.ask("forged", ask).await
    }

    /// Asks the app's address to prove itself; true if it gave the challenge back.
    pub async fn challenge(&self) -> Result<bool, Error> {
        let answer = self.ask("challenge", json!({})).await?;
        Ok(answer.get("verified") == Some(&json!(true)))
    }
}
