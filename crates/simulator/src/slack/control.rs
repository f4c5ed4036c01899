//! The hand that plays people and faults: a client of `/sim/*`, for this process or another.

mod shapes;

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use data_encoding::BASE64;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::Error;

pub use shapes::{Call, Channel, Click, Delivery, Message, Said, Socket, Submitted};

/// Plays people and faults in one simulator.
#[derive(Clone, Debug)]
pub struct Control {
    http: reqwest::Client,
    base: String,
}

/// A client that needs no certificates: everything here is on loopback.
pub(crate) fn client() -> reqwest::Client {
    // Another part of the process may have installed a provider already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}

impl Control {
    /// The control of the simulator at this address.
    pub fn at(base: impl Into<String>) -> Self {
        let base: String = base.into();
        Self { http: client(), base: base.trim_end_matches('/').to_owned() }
    }

    /// The address of the Web API, without a slash at its end.
    pub fn api(&self) -> String {
        format!("{}/api", self.base)
    }

    /// Asks the simulator for something.
    ///
    /// # Errors
    /// When it refuses or cannot be reached; the same for every method here.
    pub async fn ask(&self, operation: &str, body: Value) -> Result<Value, Error> {
        let response = self
            .http
            .post(format!("{}/sim/{operation}", self.base))
            .header("Content-Type", "application/json; charset=utf-8")
            .body(body.to_string())
            .send()
            .await?;
        let refused = !response.status().is_success();
        let text = response.text().await?;
        let value: Value = serde_json::from_str(&text)
            .map_err(|error| Error::Form { operation: operation.to_owned(), reason: error.to_string() })?;
        if refused {
            let reason = value.get("error").and_then(Value::as_str).unwrap_or(&text).to_owned();
            return Err(Error::Refused { operation: operation.to_owned(), reason });
        }
        Ok(value)
    }

    async fn typed<T: DeserializeOwned>(&self, operation: &str, body: Value) -> Result<T, Error> {
        let value = self.ask(operation, body).await?;
        serde_json::from_value(value)
            .map_err(|error| Error::Form { operation: operation.to_owned(), reason: error.to_string() })
    }

    async fn done(&self, operation: &str, body: Value) -> Result<(), Error> {
        self.ask(operation, body).await.map(drop)
    }

    /// A person writes in a channel.
    pub async fn say(&self, user: &str, channel: &str, text: &str) -> Result<Said, Error> {
        self.typed("say", json!({"user": user, "channel": channel, "text": text})).await
    }

    /// A person writes in a thread.
    pub async fn reply(&self, user: &str, channel: &str, thread_ts: &str, text: &str) -> Result<Said, Error> {
        let ask = json!({"user": user, "channel": channel, "text": text, "thread_ts": thread_ts});
        self.typed("say", ask).await
    }

    /// A person writes to the bot.
    pub async fn dm(&self, user: &str, text: &str) -> Result<Said, Error> {
        self.typed("dm", json!({"user": user, "text": text})).await
    }

    /// A person writes to the bot in a thread.
    pub async fn dm_reply(&self, user: &str, thread_ts: &str, text: &str) -> Result<Said, Error> {
        self.typed("dm", json!({"user": user, "text": text, "thread_ts": thread_ts})).await
    }

    /// A person changes their message.
    pub async fn edit(&self, user: &str, channel: &str, ts: &str, text: &str) -> Result<(), Error> {
        self.done("edit", json!({"user": user, "channel": channel, "ts": ts, "text": text})).await
    }

    /// A person deletes their message.
    pub async fn delete(&self, user: &str, channel: &str, ts: &str) -> Result<(), Error> {
        self.done("delete", json!({"user": user, "channel": channel, "ts": ts})).await
    }

    /// A person puts an emoji under a message.
    pub async fn react(&self, user: &str, channel: &str, ts: &str, name: &str) -> Result<(), Error> {
        self.done("react", json!({"user": user, "channel": channel, "ts": ts, "name": name})).await
    }

    /// A person uploads a file with some words; in a thread, if one is given.
    pub async fn upload(
        &self,
        user: &str,
        channel: &str,
        (name, mimetype, content): (&str, &str, &[u8]),
        text: &str,
        thread_ts: Option<&str>,
    ) -> Result<Said, Error> {
        let ask = json!({
            "user": user,
            "channel": channel,
            "name": name,
            "mimetype": mimetype,
            "content": BASE64.encode(content),
            "text": text,
            "thread_ts": thread_ts,
        });
        self.typed("upload", ask).await
    }

    /// Somebody, or the bot, becomes a member of a channel.
    pub async fn join(&self, user: &str, channel: &str) -> Result<(), Error> {
        self.done("join", json!({"user": user, "channel": channel})).await
    }

    /// Somebody, or the bot, is a member no more.
    pub async fn kick(&self, user: &str, channel: &str) -> Result<(), Error> {
        self.done("kick", json!({"user": user, "channel": channel})).await
    }

    /// A person sends a slash command, and waits for what the app answers at once: none if it did not acknowledge.
    pub async fn command(
        &self,
        user: &str,
        channel: &str,
        command: &str,
        text: &str,
    ) -> Result<Value, Error> {
        self.ask("command", json!({"user": user, "channel": channel, "command": command, "text": text})).await
    }

    /// A person uses the app's shortcut on a message. Gives the trigger.
    pub async fn shortcut(
        &self,
        user: &str,
        channel: &str,
        ts: &str,
        callback_id: &str,
    ) -> Result<String, Error> {
        let ask = json!({"user": user, "channel": channel, "ts": ts, "callback_id": callback_id});
        Ok(trigger(&self.ask("shortcut", ask).await?))
    }

    /// A person clicks a button. Gives the trigger.
    pub async fn click(&self, click: &Click) -> Result<String, Error> {
        let ask = serde_json::to_value(click)
            .map_err(|error| Error::Form { operation: "click".to_owned(), reason: error.to_string() })?;
        Ok(trigger(&self.ask("click", ask).await?))
    }

    /// The modal that a person sees.
    pub async fn view(&self, user: &str) -> Result<Option<Value>, Error> {
        let view = self.ask("view", json!({"user": user})).await?;
        Ok(Some(view).filter(|view| !view.is_null()))
    }

    /// A person fills a modal in (texts by `block_id`) and sends it off.
    pub async fn submit(&self, user: &str, values: &[(&str, &str)]) -> Result<Submitted, Error> {
        let values: BTreeMap<&str, &str> = values.iter().copied().collect();
        self.typed("submit", json!({"user": user, "values": values})).await
    }

    /// A person closes a modal.
    pub async fn close_view(&self, user: &str) -> Result<(), Error> {
        self.done("close_view", json!({"user": user})).await
    }

    /// A person opens the app's assistant. Gives the channel and, as `ts`, the thread.
    pub async fn assistant_open(&self, user: &str) -> Result<Said, Error> {
        let opened = self.ask("assistant_open", json!({"user": user})).await?;
        let text = |name: &str| opened.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        Ok(Said { channel: text("channel"), ts: text("thread_ts") })
    }

    /// What is known of a person changes (`display_name`, `deleted`, `is_restricted`, `enterprise_user`, …); a new id is a
    /// new person.
    pub async fn set_user(&self, user: &str, mut change: Value) -> Result<(), Error> {
        if let Some(change) = change.as_object_mut() {
            change.insert("user".to_owned(), json!(user));
        }
        self.done("set_user", change).await
    }

    /// A channel is archived, or is no more.
    pub async fn archive(&self, channel: &str, archived: bool) -> Result<(), Error> {
        self.done("archive", json!({"channel": channel, "archived": archived})).await
    }

    /// Many messages at once, by each user in turn: to the bot, or as mentions in the channels in turn.
    pub async fn load(
        &self,
        count: u64,
        users: &[&str],
        channels: &[&str],
        prefix: &str,
    ) -> Result<Vec<Said>, Error> {
        let ask = json!({"count": count, "users": users, "channels": channels, "text_prefix": prefix});
        self.typed("load", ask).await
    }
}

/// Looking.
impl Control {
    /// The messages of a channel, or of one thread of it, oldest first, ephemeral ones included.
    pub async fn messages(&self, channel: &str, thread_ts: Option<&str>) -> Result<Vec<Message>, Error> {
        self.typed("messages", json!({"channel": channel, "thread_ts": thread_ts})).await
    }

    /// The same as one person sees it: without what only others see.
    pub async fn messages_for(
        &self,
        viewer: &str,
        channel: &str,
        thread_ts: Option<&str>,
    ) -> Result<Vec<Message>, Error> {
        self.typed("messages", json!({"channel": channel, "thread_ts": thread_ts, "viewer": viewer})).await
    }

    /// Waits until some message in a channel satisfies the predicate, and gives the first that does.
    pub async fn wait_for(
        &self,
        channel: &str,
        within: Duration,
        wanted: impl Fn(&Message) -> bool,
    ) -> Result<Message, Error> {
        let began = Instant::now();
        loop {
            let mut found = self.messages(channel, None).await?;
            if let Some(index) = found.iter().position(&wanted) {
                return Ok(found.swap_remove(index));
            }
            if began.elapsed() > within {
                let texts: Vec<String> = found.into_iter().map(|message| message.text).collect();
                return Err(Error::Waited(format!("{channel} holds {texts:?}")));
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }

    /// What the app says that it is doing in a thread.
    pub async fn status(&self, channel: &str, thread_ts: &str) -> Result<Option<String>, Error> {
        let status = self.ask("status", json!({"channel": channel, "thread_ts": thread_ts})).await?;
        Ok(status.get("status").and_then(Value::as_str).map(str::to_owned))
    }

    /// The prompts that the app suggests in a thread.
    pub async fn prompts(&self, channel: &str, thread_ts: &str) -> Result<Option<Value>, Error> {
        let prompts = self.ask("prompts", json!({"channel": channel, "thread_ts": thread_ts})).await?;
        Ok(Some(prompts).filter(|prompts| !prompts.is_null()))
    }

    /// The title of an assistant thread.
    pub async fn title(&self, channel: &str, thread_ts: &str) -> Result<Option<String>, Error> {
        let title = self.ask("title", json!({"channel": channel, "thread_ts": thread_ts})).await?;
        Ok(title.as_str().map(str::to_owned))
    }

    /// The calls of the Web API so far, of one method or of all.
    pub async fn calls(&self, method: Option<&str>) -> Result<Vec<Call>, Error> {
        self.typed("calls", json!({"method": method})).await
    }

    /// Everything that was sent to the app.
    pub async fn deliveries(&self) -> Result<Vec<Delivery>, Error> {
        self.typed("deliveries", json!({})).await
    }

    /// The live sockets.
    pub async fn sockets(&self) -> Result<Vec<Socket>, Error> {
        self.typed("sockets", json!({})).await
    }

    /// The channels, conversations with the bot included.
    pub async fn channels(&self) -> Result<Vec<Channel>, Error> {
        self.typed("channels", json!({})).await
    }

    /// What went wrong before people's eyes.
    pub async fn mishaps(&self) -> Result<Vec<Value>, Error> {
        self.typed("mishaps", json!({})).await
    }

    /// What is switched how, and counts.
    pub async fn settings(&self) -> Result<Value, Error> {
        self.ask("settings", json!({})).await
    }

    /// The milliseconds since the simulator began, and a time stamp of now.
    pub async fn time(&self) -> Result<Value, Error> {
        self.ask("time", json!({})).await
    }
}

/// Faults and switches.
impl Control {
    /// Plays a fault on the next calls of a method (`*` is any): see `/sim/fault` for the kinds.
    pub async fn fault(&self, method: &str, kind: Value, times: u64, after: u64) -> Result<(), Error> {
        self.done("fault", json!({"method": method, "kind": kind, "times": times, "after": after})).await
    }

    /// Takes all faults on calls away.
    pub async fn clear_faults(&self) -> Result<(), Error> {
        self.done("clear_faults", json!({})).await
    }

    /// Plays a fault on one socket or on all: `ghost`, `cut`, `refresh`, `refresh_now`, `link_disabled`, `garbage`.
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

fn trigger(answer: &Value) -> String {
    answer.get("trigger_id").and_then(Value::as_str).unwrap_or_default().to_owned()
}
