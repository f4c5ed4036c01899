//! From Discord's payloads to inbounds. Pure.
//!
//! Shapes: <https://discord.com/developers/docs/events/gateway-events>,
//! <https://discord.com/developers/docs/interactions/receiving-and-responding>.
//!
//! Invariant: whatever a payload holds, reading it ends, and at worst it is nothing.
//! Invariant: kinds of messages are read by an allow-list; what bots, webhooks and Discord itself say starts nothing.

mod interaction;
mod message;

use channel::{Address, Addressed, Body, ChannelName, Inbound, InboundKey, Person, Timestamp, Verified};
use chat::{
    payload::{at, text},
    text::clip,
};
use serde_json::Value;

use crate::{
    config::Settings,
    place::{Spot, Under, is_id},
};

pub(crate) use interaction::{
    AGENT, ANSWER, ASK, COMMENT, FORM, PICK, PRESS, REQUEST, REST, SHORTCUT, VALUE, WORDS, interaction, parts,
};
pub(crate) use message::{deleted, message, updated};

const NAME_CHARS_MAX: usize = 80;
/// The kind of interaction that a command is.
const COMMANDED: u64 = 2;

/// What reading takes, beside the payload.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    pub(crate) channel: &'a ChannelName,
    pub(crate) settings: &'a Settings,
    pub(crate) us: &'a Us,
    /// Where a conversation is in its server; none for one that is not known.
    pub(crate) room: &'a (dyn Fn(&str) -> Option<Room> + Sync),
}

/// Who the bot is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Us {
    /// The bot's user id.
    pub(crate) user: String,
    /// The application's id.
    pub(crate) application: String,
    /// The bot's name.
    pub(crate) name: String,
    /// The roles that Discord made for the bot, one a server: who mentions one means the bot.
    pub(crate) roles: Vec<String>,
}

/// A conversation in a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Room {
    /// The server.
    pub(crate) guild: String,
    /// For a thread: the channel that it is in.
    pub(crate) parent: Option<String>,
}

/// What a payload asks for.
#[derive(Debug)]
pub(crate) enum Decoded {
    /// A person said or did something.
    Gesture(Box<Gesture>),
    /// A person wants to fill something in.
    Form(Box<Form>),
    /// A conversation whose place is not known here.
    Unknown { channel: String },
    /// Nothing for us; why, for the log.
    Nothing(&'static str),
}

/// Something that a person did.
#[derive(Debug)]
pub(crate) struct Gesture {
    pub(crate) inbound: Inbound,
    /// The person's id.
    pub(crate) user: String,
    /// The conversation's id.
    pub(crate) channel: String,
    /// The message of ours that it replies to, or that was pressed: a conversation without a thread goes on below it.
    pub(crate) root: Option<Root>,
    /// Files to fetch.
    pub(crate) files: Vec<FileRef>,
    /// How the person is answered at once.
    pub(crate) reply: Reply,
}

/// A message of ours, and what it says itself about the conversation that it belongs to. That is known in the moment in which
/// it is shown, which is before anybody here has noted it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Root {
    pub(crate) message: String,
    /// The command that it answers in the place which Discord keeps for that.
    pub(crate) command: Option<String>,
    /// The message of the same conversation that it replies to.
    pub(crate) below: Option<String>,
}

impl Root {
    fn read(message: &Value) -> Option<Self> {
        let id = |path: &[&str]| text(message, path).filter(|id| is_id(id)).map(str::to_owned);
        let by = |kind: &Value| kind.as_u64() == Some(COMMANDED);
        let command = at(message, &["interaction_metadata", "type"]).is_some_and(by);
        let here = text(message, &["message_reference", "channel_id"]) == text(message, &["channel_id"]);
        Some(Self {
            message: id(&["id"])?,
            command: id(&["interaction_metadata", "id"]).filter(|_| command),
            below: id(&["message_reference", "message_id"]).filter(|_| here),
        })
    }
}

/// How somebody is answered at once, where Discord waits for that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// Discord waits for nothing.
    Nothing,
    /// It was received; what follows, follows elsewhere.
    Received,
    /// The answer will come, in the place of a command that said this.
    Later { words: String },
    /// The answer will come below a message.
    Below,
}

/// A file to fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FileRef {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) size: u64,
    pub(crate) url: String,
}

/// Something that a person wants to fill in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Form {
    /// The id of the button, or what a command stands for.
    pub(crate) id: String,
    /// Where the card is.
    pub(crate) spot: Spot,
    /// The card's message, where its conversation has no thread.
    pub(crate) root: Option<Root>,
    /// For a request about a message: what it says, and whose it is.
    pub(crate) quoted: Option<String>,
}

/// The place of a conversation.
fn spot(reader: Reader<'_>, guild: Option<&str>, channel: &str, user: &str) -> Option<Spot> {
    match guild {
        None => Some(Spot::Person(user.to_owned())),
        Some(guild) => (reader.room)(channel).map(|room| in_room(guild, channel, room.parent.as_deref())),
    }
}

fn in_room(guild: &str, channel: &str, parent: Option<&str>) -> Spot {
    let (channel, under) = match parent {
        Some(parent) => (parent, Under::Thread(channel.to_owned())),
        None => (channel, Under::Top),
    };
    Spot::Channel { guild: guild.to_owned(), channel: channel.to_owned(), under }
}

/// An inbound with everything that is always the same.
fn inbound(reader: Reader<'_>, spot: &Spot, who: Who<'_>, sent: Timestamp, body: Body) -> Inbound {
    let by = match who.guild {
        Some(guild) => format!("Discord, server {guild}"),
        None => "Discord".to_owned(),
    };
    let guild = who.guild.map(|guild| ("guild".to_owned(), guild.to_owned()));
    Inbound {
        keys: Vec::new(),
        from: Person {
            channel: reader.channel.clone(),
            id: who.id.to_owned(),
            name: who.name,
            verified: Verified::Proven { by },
            roles: Vec::new(),
        },
        at: Address { channel: reader.channel.clone(), place: spot.place() },
        sent,
        message: None,
        in_reply_to: None,
        ticket: None,
        addressed: Addressed::Direct,
        facts: guild.into_iter().collect(),
        body,
    }
}

/// A person of a payload.
struct Who<'a> {
    id: &'a str,
    name: String,
    guild: Option<&'a str>,
}

impl<'a> Who<'a> {
    /// Reads a user, and what a server says of them; nobody for bots.
    fn read(user: &'a Value, member: Option<&Value>, guild: Option<&'a str>, us: &Us) -> Option<Self> {
        let id = text(user, &["id"]).filter(|id| is_id(id) && *id != us.user)?;
        let is = |key: &str| chat::payload::is(user, &[key]);
        if is("bot") || is("system") {
            return None;
        }
        let name = member
            .and_then(|member| text(member, &["nick"]))
            .or_else(|| text(user, &["global_name"]))
            .or_else(|| text(user, &["username"]))
            .unwrap_or(id);
        Some(Self { id, name: clip(&channel::inert(name), NAME_CHARS_MAX), guild })
    }
}

/// Whether a server is listened to.
fn listened(reader: Reader<'_>, guild: Option<&str>) -> bool {
    let guilds = &reader.settings.guilds;
    guild.is_none_or(|guild| is_id(guild) && (guilds.is_empty() || guilds.iter().any(|known| known == guild)))
}

/// A name under which a gesture may come again.
fn key(reader: Reader<'_>, name: impl std::fmt::Display) -> InboundKey {
    InboundKey::new(format!("{}:{name}", reader.channel))
}

#[cfg(test)]
mod tests;
