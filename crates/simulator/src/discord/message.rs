//! A message, and how it looks to those who read it.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::{
    ids::{Id, iso},
    world::{Channel, World},
};

/// The flag of a message whose links make no previews.
pub(crate) const SUPPRESS_EMBEDS: u64 = 1 << 2;
/// The flag of a message that a thread was started from.
pub(crate) const HAS_THREAD: u64 = 1 << 5;
/// The flag of a message that only one person sees.
pub(crate) const EPHEMERAL: u64 = 1 << 6;
/// The flag of a message that says that the app thinks.
pub(crate) const LOADING: u64 = 1 << 7;
/// The flag of a message that rings nobody's phone.
pub(crate) const SUPPRESS_NOTIFICATIONS: u64 = 1 << 12;
/// The flag of a message that is made of components alone.
pub(crate) const COMPONENTS_V2: u64 = 1 << 15;

/// The number of the type of a reply.
pub(crate) const REPLY: u64 = 19;
/// The number of the type of the answer to a slash command.
pub(crate) const CHAT_INPUT_COMMAND: u64 = 20;
/// The number of the type of the first message in a thread.
pub(crate) const THREAD_STARTER: u64 = 21;
/// The number of the type of the answer to a command on a message.
pub(crate) const CONTEXT_MENU_COMMAND: u64 = 23;

/// A file on a message.
#[derive(Clone, Debug)]
pub(crate) struct Attachment {
    pub(crate) id: Id,
    pub(crate) filename: String,
    pub(crate) content_type: String,
    pub(crate) description: Option<String>,
    pub(crate) content: Bytes,
}

/// One emoji under a message.
#[derive(Clone, Debug)]
pub(crate) struct Reaction {
    pub(crate) emoji: String,
    pub(crate) users: Vec<Id>,
}

/// A message as it is kept.
#[derive(Clone, Debug, Default)]
pub(crate) struct Message {
    pub(crate) id: Id,
    pub(crate) channel: Id,
    pub(crate) author: Id,
    /// The webhook that posted it, by name, if one did.
    pub(crate) webhook: Option<(Id, String)>,
    pub(crate) kind: u64,
    pub(crate) content: String,
    pub(crate) sent_ms: u64,
    pub(crate) edited_ms: Option<u64>,
    pub(crate) mention_everyone: bool,
    pub(crate) mentions: Vec<Id>,
    pub(crate) mention_roles: Vec<Id>,
    pub(crate) attachments: Vec<Attachment>,
    pub(crate) embeds: Vec<Value>,
    pub(crate) components: Vec<Value>,
    pub(crate) reactions: Vec<Reaction>,
    pub(crate) nonce: Option<Value>,
    pub(crate) flags: u64,
    pub(crate) reference: Option<Value>,
    /// What interaction it is the answer to.
    pub(crate) interaction: Option<Value>,
    /// Whom it rings: `@everyone`, `@here`, `@` with the number of a person, `@&` with that of a role.
    pub(crate) rings: Vec<String>,
    /// The only person who sees it.
    pub(crate) ephemeral_to: Option<Id>,
    pub(crate) deleted: bool,
    pub(crate) pinned: bool,
    pub(crate) at_us: u64,
}

impl Message {
    /// True for what everybody in the channel sees.
    pub(crate) fn open(&self) -> bool {
        !self.deleted && self.ephemeral_to.is_none()
    }

    /// The message that it replies to.
    pub(crate) fn replies_to(&self) -> Option<Id> {
        self.reference.as_ref()?.get("message_id")?.as_str()?.parse().ok()
    }
}

impl Channel {
    /// A message that everybody here sees.
    pub(crate) fn message(&self, id: Id) -> Option<&Message> {
        self.messages.get(&id).filter(|message| message.open())
    }
}

impl World {
    /// A message as the REST API shows it.
    pub(crate) fn show(&self, message: &Message) -> Value {
        self.show_deep(message, true)
    }

    /// The same as it is seen only when it is sent: with its nonce.
    pub(crate) fn show_sent(&self, message: &Message) -> Value {
        let mut shown = self.show(message);
        if let (Some(fields), Some(nonce)) = (shown.as_object_mut(), &message.nonce) {
            fields.insert("nonce".to_owned(), nonce.clone());
        }
        shown
    }

    fn show_deep(&self, message: &Message, deep: bool) -> Value {
        let guild = self.channels.get(&message.channel).and_then(|channel| channel.guild);
        let author = match &message.webhook {
            Some((id, name)) => json!({
                "id": id.to_string(),
                "username": name,
                "avatar": null,
                "discriminator": "0000",
                "public_flags": 0,
                "flags": 0,
                "bot": true,
                "global_name": null,
            }),
            None => self.show_user(message.author),
        };
        let mut shown = json!({
            "type": message.kind,
            "content": message.content,
            "mentions": message.mentions.iter().map(|&user| self.show_user(user)).collect::<Vec<_>>(),
            "mention_roles": strings(&message.mention_roles),
            "attachments": message.attachments.iter().map(|it| self.show_attachment(message, it)).collect::<Vec<_>>(),
            "embeds": message.embeds,
            "timestamp": iso(message.sent_ms),
            "edited_timestamp": message.edited_ms.map(iso),
            "flags": message.flags,
            "components": message.components,
            "id": message.id.to_string(),
            "channel_id": message.channel.to_string(),
            "author": author,
            "pinned": message.pinned,
            "mention_everyone": message.mention_everyone,
            "tts": false,
        });
        let Some(fields) = shown.as_object_mut() else { return shown };
        if let Some((id, _)) = &message.webhook {
            fields.insert("webhook_id".to_owned(), json!(id.to_string()));
        }
        if !message.reactions.is_empty() {
            fields.insert("reactions".to_owned(), self.show_reactions(message));
        }
        if let Some(interaction) = &message.interaction {
            fields.insert("interaction_metadata".to_owned(), interaction.clone());
            fields.insert("application_id".to_owned(), json!(self.app.to_string()));
            fields.insert("webhook_id".to_owned(), json!(self.app.to_string()));
        }
        if let Some(reference) = &message.reference {
            fields.insert("message_reference".to_owned(), reference.clone());
            if deep && matches!(message.kind, REPLY | THREAD_STARTER) {
                let place = reference.get("channel_id").and_then(Value::as_str);
                let place = place.and_then(|id| id.parse().ok()).unwrap_or(message.channel);
                let found = message.replies_to().and_then(|id| self.channels.get(&place)?.message(id));
                let found = found.map(|found| self.show_deep(found, false));
                fields.insert("referenced_message".to_owned(), json!(found));
            }
        }
        if let Some(thread) = self.channels.get(&message.id).filter(|thread| !thread.deleted)
            && guild.is_some()
            && thread.parent == Some(message.channel)
        {
            fields.insert("thread".to_owned(), self.show_channel(thread));
        }
        shown
    }

    fn show_reactions(&self, message: &Message) -> Value {
        let shown: Vec<Value> = message
            .reactions
            .iter()
            .map(|reaction| {
                json!({
                    "emoji": emoji(&reaction.emoji),
                    "count": reaction.users.len(),
                    "count_details": {"burst": 0, "normal": reaction.users.len()},
                    "burst_colors": [],
                    "me_burst": false,
                    "burst_me": false,
                    "me": reaction.users.contains(&self.app),
                    "burst_count": 0,
                })
            })
            .collect();
        json!(shown)
    }

    fn show_attachment(&self, message: &Message, file: &Attachment) -> Value {
        let url = self.attachment_url(message, file);
        let mut shown = Map::new();
        shown.insert("id".to_owned(), json!(file.id.to_string()));
        shown.insert("filename".to_owned(), json!(file.filename));
        shown.insert("size".to_owned(), json!(file.content.len()));
        shown.insert("url".to_owned(), json!(url));
        shown.insert("proxy_url".to_owned(), json!(url));
        shown.insert("content_type".to_owned(), json!(file.content_type));
        if let Some(description) = &file.description {
            shown.insert("description".to_owned(), json!(description));
        }
        if message.flags & EPHEMERAL != 0 {
            shown.insert("ephemeral".to_owned(), json!(true));
        }
        Value::Object(shown)
    }
}

/// An emoji as the API shows it: a character, or `name:id` for one of a guild.
pub(crate) fn emoji(text: &str) -> Value {
    match text.split_once(':') {
        Some((name, id)) => json!({"id": id, "name": name}),
        None => json!({"id": null, "name": text}),
    }
}

/// Snowflakes as the API shows them.
pub(crate) fn strings(ids: &[Id]) -> Vec<String> {
    ids.iter().map(Id::to_string).collect()
}
