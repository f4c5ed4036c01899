//! What the control gives and takes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Where something was said, and its time stamp.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
pub struct Said {
    /// The channel.
    pub channel: String,
    /// The time stamp.
    pub ts: String,
}

/// A message as the simulator keeps it.
#[derive(Clone, Debug, Deserialize)]
pub struct Message {
    /// Its time stamp.
    pub ts: String,
    /// The channel.
    pub channel: String,
    /// The thread, if it is in one or has one.
    pub thread_ts: Option<String>,
    /// The person or bot user.
    pub user: Option<String>,
    /// The bot, if one posted it.
    pub bot_id: Option<String>,
    /// Its subtype.
    pub subtype: Option<String>,
    /// The text.
    pub text: String,
    /// The blocks.
    pub blocks: Vec<Value>,
    /// The metadata.
    pub metadata: Option<Value>,
    /// The files, with `name`, `mimetype`, `size` and, in base64, `content`.
    pub files: Vec<Value>,
    /// The emoji, with `name`, `users`, `count`.
    pub reactions: Vec<Value>,
    /// The only person who sees it.
    pub ephemeral_to: Option<String>,
    /// By whom and when it was changed last.
    pub edited: Option<Value>,
    /// Whom it rings.
    pub rings: Vec<String>,
    /// Whether it makes previews of links.
    pub unfurls: bool,
    /// Whether text is still streamed into it; none if it never was a stream.
    pub streaming: Option<bool>,
}

impl Message {
    /// All elements with an `action_id`, in their order, with their block's `block_id` added.
    pub fn elements(&self) -> Vec<Value> {
        let mut found = Vec::new();
        for block in &self.blocks {
            let lists = [block.get("elements"), block.get("accessory"), block.get("element")];
            for list in lists.into_iter().flatten() {
                let elements = list.as_array().map_or(std::slice::from_ref(list), Vec::as_slice);
                for element in elements.iter().filter(|element| element.get("action_id").is_some()) {
                    let mut element = element.clone();
                    if let (Some(object), Some(id)) = (element.as_object_mut(), block.get("block_id")) {
                        object.insert("block_id".to_owned(), id.clone());
                    }
                    found.push(element);
                }
            }
        }
        found
    }

    /// The `action_id` of the button with this label.
    pub fn button(&self, label: &str) -> Option<String> {
        let elements = self.elements();
        let found = elements.iter().find(|it| it.pointer("/text/text").is_some_and(|text| text == label))?;
        found.get("action_id").and_then(Value::as_str).map(str::to_owned)
    }

    /// All that is written in it: its text and the texts of its blocks, a line each.
    pub fn words(&self) -> String {
        let mut words = vec![self.text.clone()];
        self.blocks.iter().for_each(|block| gather(block, &mut words));
        words.join("\n")
    }
}

fn gather(value: &Value, words: &mut Vec<String>) {
    if let Some(text) = value.get("text").and_then(Value::as_str) {
        words.push(text.to_owned());
    }
    if let Some(list) = value.as_array() {
        list.iter().for_each(|item| gather(item, words));
    }
    if let Some(object) = value.as_object() {
        object
            .values()
            .filter(|inner| inner.is_object() || inner.is_array())
            .for_each(|it| gather(it, words));
    }
}

/// A click on a button, or a choice from a menu.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Click {
    /// Who.
    pub user: String,
    /// Where.
    pub channel: String,
    /// On which message.
    pub ts: String,
    /// The button; the first in its block if there is none.
    pub action_id: Option<String>,
    /// The block.
    pub block_id: Option<String>,
    /// Another value than the button's, or the value chosen from a menu.
    pub value: Option<String>,
    /// Another message than the one that is kept: stale or forged. A button that is not on it is made up.
    pub as_message: Option<Value>,
    /// What the inputs on the message hold.
    pub state: Option<Value>,
}

impl Click {
    /// A click on the button with this `action_id`.
    pub fn on(user: &str, message: &Message, action_id: &str) -> Self {
        Self {
            user: user.to_owned(),
            channel: message.channel.clone(),
            ts: message.ts.clone(),
            action_id: Some(action_id.to_owned()),
            ..Self::default()
        }
    }
}

/// What became of a modal that was sent off.
#[derive(Clone, Debug, Deserialize)]
pub struct Submitted {
    /// `closed`, `cleared`, `errors`, `updated`, `pushed`, `refused` (by Slack's own client), `timeout` or `invalid`.
    pub outcome: String,
    /// What the modal says of its fields, by `block_id`.
    pub errors: BTreeMap<String, String>,
}

/// A call of the Web API.
#[derive(Clone, Debug, Deserialize)]
pub struct Call {
    /// Its name; `response_url` for an answer to one.
    pub method: String,
    /// Its arguments, without the token.
    pub args: Value,
    /// When, in milliseconds since the start.
    pub at_ms: u64,
    /// Whether it succeeded.
    pub ok: bool,
    /// Why not.
    pub error: Option<String>,
    /// The fault that was played on it.
    #[serde(default)]
    pub fault: Option<String>,
    /// The time stamp it answered.
    #[serde(default)]
    pub ts: Option<String>,
}

/// Something that was sent to the app.
#[derive(Clone, Debug, Deserialize)]
pub struct Delivery {
    /// Its number.
    pub id: usize,
    /// `events_api`, `interactive` or `slash_commands`.
    pub kind: String,
    /// The type of the event or interaction, or the command.
    #[serde(rename = "type")]
    pub what: Option<String>,
    /// The subtype of the event.
    pub subtype: Option<String>,
    /// The event's id.
    pub event_id: Option<String>,
    /// The channel it is about.
    pub channel: Option<Value>,
    /// The message it is about.
    pub ts: Option<String>,
    /// What was sent.
    pub payload: Value,
    /// The tries, with `envelope_id`, `socket`, `at_ms`, `failed`.
    pub attempts: Vec<Value>,
    /// How often it was sent once more by a fault.
    pub duplicates: usize,
    /// Whether it was acknowledged.
    pub acked: bool,
    /// When, in milliseconds since the start.
    pub acked_ms: Option<u64>,
    /// On which socket.
    pub acked_socket: Option<u64>,
    /// Whether it was given up.
    pub lost: bool,
}

/// A live socket.
#[derive(Clone, Debug, Deserialize)]
pub struct Socket {
    /// Its number.
    pub id: u64,
    /// When it was opened, in milliseconds since the start.
    pub opened_ms: u64,
    /// How many envelopes were acknowledged on it.
    pub acked: usize,
    /// How many frames were sent on it.
    pub sent: usize,
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
    /// `channel`, `group`, `im` or `mpim`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The workspace.
    pub team: String,
    /// The members.
    pub members: Vec<String>,
    /// Whether it is archived.
    pub archived: bool,
    /// Other workspaces that share it.
    pub shared_with: Vec<String>,
}
