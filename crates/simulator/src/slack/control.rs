//! The hand that plays people and faults: a client of `/sim/*`, for this process or another.

mod faults;
mod look;
mod shapes;

use std::collections::BTreeMap;

use data_encoding::BASE64;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::Error;
use crate::shared::hand::{Hand, form};

pub use crate::shared::load::Load;
pub use shapes::{Call, Channel, Click, Delivery, Message, Said, Socket, Submitted};

/// Plays people and faults in one simulator.
#[derive(Clone, Debug)]
pub struct Control(Hand);

impl Control {
    /// The control of the simulator at this address.
    pub fn at(base: impl Into<String>) -> Self {
        Self(Hand::at(base))
    }

    /// The address of the Web API, without a slash at its end.
    pub fn api(&self) -> String {
        format!("{}/api", self.0.base())
    }

    /// Asks the simulator for something.
    ///
    /// # Errors
    /// When it refuses or cannot be reached; the same for every method here.
    pub async fn ask(&self, operation: &str, body: Value) -> Result<Value, Error> {
        self.0.ask(operation, body).await
    }

    async fn typed<T: DeserializeOwned>(&self, operation: &str, body: Value) -> Result<T, Error> {
        self.0.typed(operation, body).await
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

    /// An integration without a bot user writes: a `bot_message`, its text taken as it is.
    pub async fn webhook(&self, channel: &str, username: &str, text: &str) -> Result<Said, Error> {
        self.typed("webhook", json!({"channel": channel, "username": username, "text": text})).await
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
        let ask = serde_json::to_value(click).map_err(|error| form("click", &error))?;
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

    /// Many messages by each user in turn, to the bot or as mentions in the channels in turn; at once, or so many a second.
    pub async fn load(&self, load: &Load) -> Result<Vec<Said>, Error> {
        let ask = serde_json::to_value(load).map_err(|error| form("load", &error))?;
        self.typed("load", ask).await
    }
}

fn trigger(answer: &Value) -> String {
    answer.get("trigger_id").and_then(Value::as_str).unwrap_or_default().to_owned()
}
