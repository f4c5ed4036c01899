//! Messages: said, edited, deleted.

use channel::{Addressed, Body};
use chat::{
    payload::{is, list, text},
    text::{bounded, file_name},
};
use serde_json::Value;

use super::{Decoded, FileRef, Gesture, Reader, Us, inbound, key, time};
use crate::{
    place::{Ref, Room, Spot, Under, is_channel, is_ts, is_user},
    words,
};

/// What stands around an event.
#[derive(Clone, Copy)]
pub(crate) struct Outer<'a> {
    pub(crate) team: &'a str,
    pub(crate) event_id: Option<&'a str>,
    pub(crate) enterprise: Option<&'a str>,
}

/// Reads a `message` or `app_mention` event, or a message of a conversation's history with its `channel` added.
pub(crate) fn message(reader: Reader<'_>, us: &Us, outer: Outer<'_>, event: &Value) -> Decoded {
    let Some(channel) = text(event, &["channel"]).filter(|id| is_channel(id)) else {
        return Decoded::Nothing("a message without a conversation");
    };
    match text(event, &["subtype"]) {
        // `file_share`: with files. `thread_broadcast`: a reply that is shown in the channel, too. `me_message`: /me.
        None | Some("file_share" | "thread_broadcast" | "me_message") => {
            said(Scene { reader, us, outer, channel, event, message: event })
        }
        Some("message_changed") => match event.get("message") {
            Some(message) => changed(Scene { reader, us, outer, channel, event, message }),
            None => Decoded::Nothing("an edit without its message"),
        },
        Some("message_deleted") => match event.get("previous_message") {
            Some(message) => deleted(Scene { reader, us, outer, channel, event, message }),
            None => Decoded::Nothing("a deletion without its message"),
        },
        Some(_) => Decoded::Nothing("a kind of message that nobody said"),
    }
}

/// A message, and the event that tells of it.
#[derive(Clone, Copy)]
struct Scene<'a> {
    reader: Reader<'a>,
    us: &'a Us,
    outer: Outer<'a>,
    channel: &'a str,
    event: &'a Value,
    message: &'a Value,
}

impl<'a> Scene<'a> {
    fn ts(&self) -> Option<&'a str> {
        text(self.message, &["ts"]).filter(|ts| is_ts(ts))
    }

    /// The message that this one stands below.
    fn thread(&self) -> Option<&'a str> {
        let thread = text(self.message, &["thread_ts"]).filter(|ts| is_ts(ts));
        thread.filter(|thread| Some(*thread) != self.ts())
    }

    /// The person who wrote it; nobody for what apps say.
    fn author(&self) -> Option<&'a str> {
        let by_app = self.message.get("bot_id").is_some_and(|id| !id.is_null())
            || text(self.message, &["subtype"]) == Some("bot_message");
        let user = text(self.message, &["user"]).filter(|user| is_user(user))?;
        (!by_app && user != self.us.user && user != "USLACKBOT").then_some(user)
    }

    /// Direct messages with the bot.
    fn is_direct(&self) -> bool {
        let kind = text(self.event, &["channel_type"]);
        kind == Some("im") || (kind.is_none() && self.channel.starts_with('D'))
    }

    fn spot(&self, user: &str, ts: &str) -> Spot {
        let team = self.outer.team.to_owned();
        if self.is_direct() {
            let under = self.thread().map_or(Under::Top, |thread| Under::Thread(thread.to_owned()));
            return Spot { team, room: Room::Person(user.to_owned()), under };
        }
        let under = Under::Thread(self.thread().unwrap_or(ts).to_owned());
        Spot { team, room: Room::Channel(self.channel.to_owned()), under }
    }

    fn named(&self, ts: &str) -> Ref {
        Ref { team: self.outer.team.to_owned(), channel: self.channel.to_owned(), ts: ts.to_owned() }
    }

    /// How directly the bot is spoken to; nothing where it is not.
    fn addressed(&self) -> Option<Addressed> {
        let mentioned = text(self.event, &["type"]) == Some("app_mention")
            || words::mentions(text(self.message, &["text"]).unwrap_or_default(), &self.us.user);
        if self.is_direct() {
            Some(Addressed::Direct)
        } else if mentioned {
            Some(Addressed::Mention)
        } else if self.thread().is_some() && self.reader.settings.follow_threads {
            Some(Addressed::Thread)
        } else {
            None
        }
    }

    /// The words, and the text as it was sent.
    fn words(&self) -> (String, Option<String>) {
        let raw = text(self.message, &["text"]).unwrap_or_default();
        let max = self.reader.settings.limits.text_bytes;
        let words = bounded(words::plain(raw, &self.us.user), max);
        let original = bounded(raw.to_owned(), max);
        let original = (original != words).then_some(original);
        (words, original)
    }

    fn gesture(&self, user: &str, ts: &str, addressed: Addressed, body: Body) -> Gesture {
        let Self { reader, outer, .. } = *self;
        let mut inbound = inbound(reader, &self.spot(user, ts), (outer.team, user), time(ts), body);
        inbound.addressed = addressed;
        inbound.message = Some(self.named(ts).write());
        inbound.facts.push(("conversation".to_owned(), self.channel.to_owned()));
        if let Some(enterprise) = outer.enterprise {
            inbound.facts.push(("enterprise".to_owned(), enterprise.to_owned()));
        }
        let below_ours = text(self.message, &["parent_user_id"]) == Some(self.us.user.as_str());
        let root = self.thread().filter(|_| below_ours).map(str::to_owned);
        if let Some(root) = &root {
            inbound.in_reply_to = Some(self.named(root).write());
        }
        Gesture {
            inbound,
            team: outer.team.to_owned(),
            user: user.to_owned(),
            channel: self.channel.to_owned(),
            root,
            files: Vec::new(),
            command: None,
        }
    }
}

/// One gesture may come as several events: a mention is a `message`, too, and the same message may be sent twice by a
/// client that lost its connection.
fn said(scene: Scene<'_>) -> Decoded {
    let Scene { reader, outer, channel, event, .. } = scene;
    if is(event, &["hidden"]) {
        return Decoded::Nothing("a hidden message");
    }
    let (Some(user), Some(ts)) = (scene.author(), scene.ts()) else {
        return Decoded::Nothing("what an app said");
    };
    let Some(addressed) = scene.addressed() else { return Decoded::Nothing("not said to the bot") };
    let (text_said, original) = scene.words();
    let files: Vec<FileRef> = list(event, &["files"]).iter().filter_map(file).collect();
    if text_said.is_empty() && files.is_empty() && addressed == Addressed::Thread {
        return Decoded::Nothing("nothing was said");
    }
    let body = Body::Text { text: text_said, original, files: Vec::new() };
    let mut gesture = scene.gesture(user, ts, addressed, body);
    let team = outer.team;
    gesture.inbound.keys.push(key(reader, format_args!("{team}/{channel}/{ts}")));
    if let Some(id) = outer.event_id {
        gesture.inbound.keys.push(key(reader, format_args!("{team}/event/{id}")));
    }
    if let Some(id) = text(event, &["client_msg_id"]) {
        gesture.inbound.keys.push(key(reader, format_args!("{team}/{channel}/{user}/{id}")));
    }
    gesture.files = files;
    Decoded::Gesture(Box::new(gesture))
}

/// Slack also tells of a change when it adds a preview, or when a reply came: then nobody edited anything.
fn changed(scene: Scene<'_>) -> Decoded {
    let Scene { reader, outer, channel, event, message, .. } = scene;
    if text(message, &["subtype"]) == Some("tombstone") {
        // The root of a thread that was deleted: what was there is in the previous message.
        let previous = event.get("previous_message").unwrap_or(message);
        return deleted(Scene { message: previous, ..scene });
    }
    let (Some(user), Some(ts)) = (scene.author(), scene.ts()) else {
        return Decoded::Nothing("an edit of what an app said");
    };
    let Some(edited) = text(message, &["edited", "ts"]) else {
        return Decoded::Nothing("a change that is no edit");
    };
    if text(event, &["previous_message", "text"]) == text(message, &["text"]) {
        return Decoded::Nothing("a change that is no edit of the words");
    }
    let (text_said, original) = scene.words();
    let addressed = if scene.is_direct() { Addressed::Direct } else { Addressed::Thread };
    let mut gesture = scene.gesture(user, ts, addressed, Body::Edited { text: text_said, original });
    gesture.inbound.keys.push(key(reader, format_args!("{}/{channel}/{ts}/edited/{edited}", outer.team)));
    Decoded::Gesture(Box::new(gesture))
}

fn deleted(scene: Scene<'_>) -> Decoded {
    let Scene { reader, outer, channel, .. } = scene;
    let (Some(user), Some(ts)) = (scene.author(), scene.ts()) else {
        return Decoded::Nothing("a deletion of what an app said");
    };
    let addressed = if scene.is_direct() { Addressed::Direct } else { Addressed::Thread };
    let mut gesture = scene.gesture(user, ts, addressed, Body::Deleted);
    gesture.inbound.keys.push(key(reader, format_args!("{}/{channel}/{ts}/deleted", outer.team)));
    Decoded::Gesture(Box::new(gesture))
}

fn file(value: &Value) -> Option<FileRef> {
    let id = text(value, &["id"])?;
    if text(value, &["mode"]) == Some("tombstone") {
        return None;
    }
    let name = text(value, &["name"]).or_else(|| text(value, &["title"])).unwrap_or(id);
    let url = text(value, &["url_private_download"]).or_else(|| text(value, &["url_private"]));
    Some(FileRef {
        id: id.to_owned(),
        name: file_name(name, id),
        kind: text(value, &["mimetype"]).unwrap_or("application/octet-stream").to_owned(),
        size: value.get("size").and_then(Value::as_u64).unwrap_or(0),
        url: url.map(str::to_owned),
        external: is(value, &["is_external"]) || text(value, &["mode"]) == Some("external"),
    })
}
