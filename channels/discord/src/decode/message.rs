//! Messages: said, edited, deleted.

use channel::{Addressed, Body};
use chat::{
    payload::{at, is, list, text},
    text::{bounded, digest, file_name},
};
use serde_json::Value;

use super::{Decoded, FileRef, Gesture, Reader, Reply, Root, Who, inbound, key, listened, spot};
use crate::{
    place::{Ref, Spot, Under, is_id, time},
    words,
};

/// Kinds of messages that a person wrote: as they are, and as a reply
/// (<https://discord.com/developers/docs/resources/message#message-object-message-types>).
const SAID: [u64; 2] = [0, 19];

/// Reads a new message, or one of a conversation's history with its server added.
pub(crate) fn message(reader: Reader<'_>, payload: &Value) -> Decoded {
    match Scene::read(reader, payload) {
        Ok(scene) => scene.said(),
        Err(decoded) => decoded,
    }
}

/// Reads a message that is different now. Discord also tells of one when it adds a preview: then nobody edited anything.
pub(crate) fn updated(reader: Reader<'_>, payload: &Value) -> Decoded {
    if text(payload, &["edited_timestamp"]).is_none() {
        return Decoded::Nothing("a change that is no edit");
    }
    match Scene::read(reader, payload) {
        Ok(scene) => scene.edited(),
        Err(decoded) => decoded,
    }
}

/// Reads that a message is gone. Discord does not say whose it was; whoever heard it before may know.
pub(crate) fn deleted(reader: Reader<'_>, payload: &Value, author: Option<(&str, &Spot)>) -> Decoded {
    let (Some(channel), Some(id)) = (id(payload, "channel_id"), id(payload, "id")) else {
        return Decoded::Nothing("a deletion of no message");
    };
    let Some((user, spot)) = author else {
        return Decoded::Nothing("a deletion of what nobody here heard");
    };
    let guild = text(payload, &["guild_id"]);
    let who = Who { id: user, name: String::new(), guild };
    let mut inbound = inbound(reader, spot, who, channel::Timestamp::now(), Body::Deleted);
    inbound.addressed = if guild.is_some() { Addressed::Thread } else { Addressed::Direct };
    inbound.message = Some(Ref::message(channel, id).write());
    inbound.keys.push(key(reader, format_args!("{channel}/{id}/deleted")));
    Decoded::Gesture(Box::new(Gesture {
        inbound,
        user: user.to_owned(),
        channel: channel.to_owned(),
        root: None,
        files: Vec::new(),
        reply: Reply::Nothing,
    }))
}

/// A message.
struct Scene<'a> {
    reader: Reader<'a>,
    payload: &'a Value,
    channel: &'a str,
    id: &'a str,
    guild: Option<&'a str>,
    /// The place that the conversation as a whole is.
    spot: Spot,
}

impl<'a> Scene<'a> {
    fn read(reader: Reader<'a>, payload: &'a Value) -> Result<Self, Decoded> {
        let (Some(channel), Some(id)) = (id(payload, "channel_id"), id(payload, "id")) else {
            return Err(Decoded::Nothing("a message without a conversation"));
        };
        let guild = text(payload, &["guild_id"]);
        if !listened(reader, guild) {
            return Err(Decoded::Nothing("a server that is not listened to"));
        }
        if !payload.get("type").and_then(Value::as_u64).is_none_or(|kind| SAID.contains(&kind)) {
            return Err(Decoded::Nothing("a kind of message that nobody said"));
        }
        if payload.get("webhook_id").is_some_and(|id| !id.is_null()) {
            return Err(Decoded::Nothing("what a webhook said"));
        }
        let Some(user) = payload.get("author").and_then(|author| who(reader, payload, author)) else {
            return Err(Decoded::Nothing("what a bot said"));
        };
        let Some(spot) = spot(reader, guild, channel, user.id) else {
            return Err(Decoded::Unknown { channel: channel.to_owned() });
        };
        Ok(Self { reader, payload, channel, id, guild, spot })
    }

    fn in_thread(&self) -> bool {
        matches!(&self.spot, Spot::Channel { under: Under::Thread(_), .. })
    }

    /// Whether the bot is named: itself, or the role that Discord made for it.
    fn mentions_us(&self) -> bool {
        let us = self.reader.us;
        let user = |mention: &Value| text(mention, &["id"]) == Some(us.user.as_str());
        let role =
            |role: &Value| role.as_str().is_some_and(|role| us.roles.iter().any(|known| known == role));
        list(self.payload, &["mentions"]).iter().any(user)
            || list(self.payload, &["mention_roles"]).iter().any(role)
    }

    /// The message of ours that this one replies to.
    fn replies_to(&self) -> Option<&'a str> {
        let ours = text(self.payload, &["referenced_message", "author", "id"]) == Some(&self.reader.us.user);
        let same = text(self.payload, &["message_reference", "channel_id"]) == Some(self.channel);
        let named =
            at(self.payload, &["message_reference"]).and_then(|reference| id(reference, "message_id"));
        named.filter(|_| ours && same)
    }

    /// How directly the bot is spoken to; nothing where it is not.
    fn addressed(&self) -> Option<Addressed> {
        let follows = self.reader.settings.follow_threads;
        if self.guild.is_none() {
            Some(Addressed::Direct)
        } else if self.mentions_us() {
            Some(Addressed::Mention)
        } else if (self.in_thread() && follows) || self.replies_to().is_some() {
            Some(Addressed::Thread)
        } else {
            None
        }
    }

    /// The words, and the text as it was sent.
    fn words(&self) -> (String, Option<String>) {
        let raw = text(self.payload, &["content"]).unwrap_or_default();
        let Reader { us, settings, .. } = self.reader;
        let mut own: Vec<&str> = us.roles.iter().map(String::as_str).collect();
        own.push(&us.user);
        let mentions = list(self.payload, &["mentions"]);
        let name = |id: &str| {
            let mention = mentions.iter().find(|mention| text(mention, &["id"]) == Some(id))?;
            text(mention, &["global_name"]).or_else(|| text(mention, &["username"])).map(str::to_owned)
        };
        let words = bounded(words::plain(raw, &own, name), settings.limits.text_bytes);
        let original = bounded(raw.to_owned(), settings.limits.text_bytes);
        let original = (original != words).then_some(original);
        (words, original)
    }

    /// A message in a channel begins a conversation of its own; a reply to ours goes on with that one, which only the
    /// gateway knows.
    fn place(&self) -> Spot {
        match &self.spot {
            Spot::Channel { guild, channel, under: Under::Top } => Spot::Channel {
                guild: guild.clone(),
                channel: channel.clone(),
                under: Under::Thread(self.id.to_owned()),
            },
            Spot::Channel { .. } | Spot::Person(_) => self.spot.clone(),
        }
    }

    fn gesture(&self, addressed: Addressed, body: Body) -> Option<Gesture> {
        let who = who(self.reader, self.payload, self.payload.get("author")?)?;
        let user = who.id.to_owned();
        let mut inbound = inbound(self.reader, &self.place(), who, time(self.id), body);
        inbound.addressed = addressed;
        inbound.message = Some(Ref::message(self.channel, self.id).write());
        inbound.facts.push(("conversation".to_owned(), self.channel.to_owned()));
        let replied = self.replies_to();
        inbound.in_reply_to = replied.map(|message| Ref::message(self.channel, message).write());
        let root = replied.and_then(|_| Root::read(at(self.payload, &["referenced_message"])?));
        Some(Gesture {
            inbound,
            user,
            channel: self.channel.to_owned(),
            root: root.filter(|_| !self.in_thread() && self.guild.is_some()),
            files: Vec::new(),
            reply: Reply::Nothing,
        })
    }

    fn said(&self) -> Decoded {
        let Some(addressed) = self.addressed() else { return Decoded::Nothing("not said to the bot") };
        let (text_said, original) = self.words();
        let files: Vec<FileRef> = list(self.payload, &["attachments"]).iter().filter_map(file).collect();
        if text_said.is_empty() && files.is_empty() && addressed != Addressed::Mention {
            // Without the intent for it, what is said without naming the bot comes without its words.
            return Decoded::Nothing("nothing was said, or its words are kept back");
        }
        let body = Body::Text { text: text_said, original, files: Vec::new() };
        let Some(mut gesture) = self.gesture(addressed, body) else {
            return Decoded::Nothing("nobody said it");
        };
        gesture.inbound.keys.push(key(self.reader, format_args!("{}/{}", self.channel, self.id)));
        gesture.files = files;
        Decoded::Gesture(Box::new(gesture))
    }

    fn edited(&self) -> Decoded {
        let (words, original) = self.words();
        if words.is_empty() {
            return Decoded::Nothing("an edit whose words are kept back");
        }
        let addressed = if self.guild.is_none() { Addressed::Direct } else { Addressed::Thread };
        let edited = text(self.payload, &["edited_timestamp"]).unwrap_or_default();
        let body = Body::Edited { text: words, original };
        let Some(mut gesture) = self.gesture(addressed, body) else {
            return Decoded::Nothing("nobody said it");
        };
        let name = digest(&[edited]);
        gesture
            .inbound
            .keys
            .push(key(self.reader, format_args!("{}/{}/edited/{name}", self.channel, self.id)));
        Decoded::Gesture(Box::new(gesture))
    }
}

fn who<'a>(reader: Reader<'_>, payload: &'a Value, author: &'a Value) -> Option<Who<'a>> {
    Who::read(author, payload.get("member"), text(payload, &["guild_id"]), reader.us)
}

fn id<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    text(value, &[key]).filter(|id| is_id(id))
}

fn file(value: &Value) -> Option<FileRef> {
    let id = text(value, &["id"])?;
    if is(value, &["ephemeral"]) {
        return None;
    }
    Some(FileRef {
        name: file_name(text(value, &["filename"]).unwrap_or(id), id),
        kind: text(value, &["content_type"]).unwrap_or("application/octet-stream").to_owned(),
        size: value.get("size").and_then(Value::as_u64).unwrap_or(0),
        url: text(value, &["url"])?.to_owned(),
    })
}
