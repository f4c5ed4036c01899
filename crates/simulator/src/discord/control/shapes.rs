//! What the control gives and takes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Where something was said, and the message's id.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
pub struct Said {
    /// The channel or thread.
    pub channel: String,
    /// The message; empty if it is about no message.
    #[serde(default)]
    pub id: String,
}

/// A message as the simulator keeps it.
#[derive(Clone, Debug, Deserialize)]
pub struct Message {
    /// Its id.
    pub id: String,
    /// The channel or thread.
    pub channel: String,
    /// The person, bot or webhook.
    pub user: String,
    /// The name of the webhook that posted it.
    pub webhook: Option<String>,
    /// The number of its type.
    pub kind: u64,
    /// The content.
    pub text: String,
    /// The embeds.
    pub embeds: Vec<Value>,
    /// The components.
    pub components: Vec<Value>,
    /// The files, with `name`, `mimetype`, `size`, `url` and, in base64, `content`.
    pub files: Vec<Value>,
    /// The emoji, with `name`, `users`, `count`.
    pub reactions: Vec<Value>,
    /// The only person who sees it.
    pub ephemeral_to: Option<String>,
    /// Whether it says that the app thinks.
    pub loading: bool,
    /// When it was changed last, in milliseconds since 1970.
    pub edited: Option<u64>,
    /// Whom it rings: `@everyone`, `@here`, `@` and a user's id, `@&` and a role's.
    pub rings: Vec<String>,
    /// The message that it replies to.
    pub reply_to: Option<String>,
    /// The nonce it was sent with.
    pub nonce: Option<Value>,
    /// The flags.
    pub flags: u64,
    /// The interaction that it answers.
    pub interaction: Option<String>,
    /// The thread that was begun from it.
    pub thread: Option<String>,
    /// When it was sent, in microseconds since the start.
    pub at_us: u64,
}

impl Message {
    /// All components with a `custom_id`, in their order.
    pub fn elements(&self) -> Vec<Value> {
        let mut found = Vec::new();
        self.components.iter().for_each(|component| elements(component, &mut found));
        found
    }

    /// The `custom_id` of the button with this label.
    pub fn button(&self, label: &str) -> Option<String> {
        let elements = self.elements();
        let found = elements.iter().find(|it| it.get("label").is_some_and(|text| text == label))?;
        found.get("custom_id").and_then(Value::as_str).map(str::to_owned)
    }

    /// All that is written in it: its text and the texts of its embeds and components, a line each.
    pub fn words(&self) -> String {
        let mut words = vec![self.text.clone()];
        self.embeds.iter().chain(&self.components).for_each(|it| gather(it, &mut words));
        words.join("\n")
    }
}

fn elements(value: &Value, found: &mut Vec<Value>) {
    if value.get("custom_id").is_some() {
        found.push(value.clone());
    }
    for name in ["components", "accessory", "component"] {
        match value.get(name) {
            Some(Value::Array(list)) => list.iter().for_each(|item| elements(item, found)),
            Some(inner) => elements(inner, found),
            None => {}
        }
    }
}

fn gather(value: &Value, words: &mut Vec<String>) {
    for name in ["title", "description", "name", "value", "text", "content", "label", "placeholder"] {
        if let Some(text) = value.get(name).and_then(Value::as_str) {
            words.push(text.to_owned());
        }
    }
    let inner: Vec<&Value> = match value {
        Value::Array(list) => list.iter().collect(),
        Value::Object(object) => object.values().collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    };
    inner.into_iter().filter(|it| it.is_object() || it.is_array()).for_each(|it| gather(it, words));
}

/// A click on a button, or a choice from a menu.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Click {
    /// Who.
    pub user: String,
    /// Where.
    pub channel: String,
    /// On which message.
    pub id: String,
    /// The component.
    pub custom_id: Option<String>,
    /// The label of the button, where no `custom_id` is given.
    pub label: Option<String>,
    /// What is chosen from a menu.
    pub values: Vec<String>,
    /// Another message than the one that is kept: stale or forged. A button that is not on it is made up.
    pub as_message: Option<Value>,
}

impl Click {
    /// A click on the button with this `custom_id`.
    pub fn on(user: &str, message: &Message, custom_id: &str) -> Self {
        Self {
            user: user.to_owned(),
            channel: message.channel.clone(),
            id: message.id.clone(),
            custom_id: Some(custom_id.to_owned()),
            ..Self::default()
        }
    }
}

/// What became of a modal that was sent off.
#[derive(Clone, Debug, Deserialize)]
pub struct Submitted {
    /// `sent`, or `refused` by Discord's own client.
    pub outcome: String,
    /// What the client says of the fields, by `custom_id`.
    pub errors: BTreeMap<String, String>,
    /// The interaction, if it was sent.
    pub interaction: Option<String>,
}

/// Something that a person did and the app has to answer.
#[derive(Clone, Debug, Deserialize)]
pub struct Interaction {
    /// Its id.
    pub id: String,
    /// The number of its type.
    pub kind: u64,
    /// Who.
    pub user: String,
    /// Where.
    pub channel: String,
    /// `pending`, `answered`, or `failed`: the person sees "This interaction failed".
    pub state: String,
    /// The number of the type of the first answer.
    pub answer: Option<u64>,
    /// The message that is the first answer, or the one it changed.
    pub response: Option<String>,
    /// What was sent.
    pub payload: Value,
    /// When it began, in microseconds since the start.
    pub at_us: u64,
    /// When it was answered.
    pub answered_us: Option<u64>,
}

/// A call of the REST API.
#[derive(Clone, Debug, Deserialize)]
pub struct Call {
    /// Its route, as in `POST /channels/{channel}/messages`.
    pub method: String,
    /// Its path.
    pub path: String,
    /// Its body.
    pub args: Value,
    /// The names of the files that came with it.
    pub files: Vec<String>,
    /// When, in milliseconds since the start.
    pub at_ms: u64,
    /// The same in microseconds.
    pub at_us: u64,
    /// Whether it succeeded.
    pub ok: bool,
    /// The status of the answer.
    pub status: u16,
    /// Discord's code of the error.
    pub code: Option<u64>,
    /// Its words.
    pub error: Option<String>,
    /// The fault that was played on it.
    pub fault: Option<String>,
    /// The id it answered.
    pub id: Option<String>,
}

/// Something that was dispatched to the app.
#[derive(Clone, Debug, Deserialize)]
pub struct Delivery {
    /// Its number.
    pub id: usize,
    /// The name of the event.
    #[serde(rename = "type")]
    pub what: String,
    /// Its sequence number.
    pub seq: u64,
    /// The session.
    pub session: String,
    /// What was sent.
    pub payload: Value,
    /// The sockets that it was sent on, one for each time.
    pub sockets: Vec<u64>,
    /// When, in milliseconds since the start.
    pub at_ms: u64,
    /// The same in microseconds.
    pub at_us: u64,
}

/// A session.
#[derive(Clone, Debug, Deserialize)]
pub struct Session {
    /// Its name.
    pub id: String,
    /// The intents it asked for.
    pub intents: u64,
    /// The shard and how many there are.
    pub shard: (u64, u64),
    /// The number of its last dispatch.
    pub seq: u64,
    /// Its socket, if it has one.
    pub socket: Option<u64>,
    /// How often it was resumed.
    pub resumed: usize,
}

/// A live socket.
#[derive(Clone, Debug, Deserialize)]
pub struct Socket {
    /// Its number.
    pub id: u64,
    /// Its session.
    pub session: Option<String>,
    /// When it was opened, in milliseconds since the start.
    pub opened_ms: u64,
    /// How many frames were sent on it.
    pub sent: usize,
    /// How many heartbeats came.
    pub beats: usize,
    /// Whether it only looks alive.
    pub ghost: bool,
    /// Whether it is about to be closed.
    pub closing: bool,
}

/// A channel.
#[derive(Clone, Debug, Deserialize)]
pub struct Channel {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The number of its type.
    pub kind: u64,
    /// The guild.
    pub guild: Option<String>,
    /// The channel of a thread.
    pub parent: Option<String>,
    /// The members of a thread, or of a conversation.
    pub members: Vec<String>,
    /// Whether it is archived.
    pub archived: bool,
    /// Whether it is locked.
    pub locked: bool,
}
