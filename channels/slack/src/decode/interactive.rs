//! What people press, fill in and command.

use std::collections::BTreeMap;

use channel::{Addressed, Body, Inbound, MessageRef, Place, Timestamp};
use chat::{
    payload::{at, list, text},
    text::{bounded, clip, digest, ticket},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Decoded, Form, Gesture, Reader, inbound, key, time};
use crate::{
    place::{Ref, Room, Spot, Under, is_channel, is_team, is_ts, is_user},
    words,
};

/// The most values of one form that are read.
const VALUES_MAX: usize = 100;

/// What a form is for; it travels with the form and comes back with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "for", rename_all = "snake_case")]
pub(crate) enum Purpose {
    /// A choice of a card.
    Choice { ticket: String, choice: String, place: String, message: String },
    /// Words of one's own as the answer to a card.
    Answer { ticket: String, place: String, message: String },
    /// A request about a message.
    Ask { place: String, message: String, author: String, quoted: String },
}

/// What stands in `action_id` of the elements that are made in `encode`.
pub(crate) const PRESS: &str = "press:";
pub(crate) const FORM: &str = "form:";
pub(crate) const ANSWER: &str = "answer";
/// The blocks of a form. The one element in each has the same name.
pub(crate) const COMMENT: &str = "comment";
pub(crate) const WORDS: &str = "words";
pub(crate) const VALUE: &str = "value:";
/// The callback of the message shortcut.
pub(crate) const SHORTCUT: &str = "ask_agent";

/// Reads what a button, a form or a shortcut brings.
pub(crate) fn interactive(reader: Reader<'_>, payload: &Value) -> Decoded {
    let team = text(payload, &["team", "id"]).or_else(|| text(payload, &["user", "team_id"]));
    let (Some(team), Some(user)) =
        (team.filter(|id| is_team(id)), text(payload, &["user", "id"]).filter(|id| is_user(id)))
    else {
        return Decoded::Nothing("a gesture without a person");
    };
    let scene = Scene { reader, team, user, payload };
    if (reader.us)(team).is_none() {
        return Decoded::Nothing("a workspace without a bot token here");
    }
    match text(payload, &["type"]) {
        Some("block_actions") => scene.pressed(),
        Some("view_submission") => scene.submitted(),
        Some("message_action") if text(payload, &["callback_id"]) == Some(SHORTCUT) => scene.shortcut(),
        _ => Decoded::Nothing("a kind of gesture that is not used"),
    }
}

#[derive(Clone, Copy)]
struct Scene<'a> {
    reader: Reader<'a>,
    team: &'a str,
    user: &'a str,
    payload: &'a Value,
}

impl Scene<'_> {
    /// The place of a message, and its name.
    fn place_of(&self, channel: &str, ts: &str, thread: Option<&str>) -> (Spot, Ref) {
        let room = if channel.starts_with('D') {
            Room::Person(self.user.to_owned())
        } else {
            Room::Channel(channel.to_owned())
        };
        // The first message of a thread carries its own name as the thread's.
        let under = thread.filter(|thread| is_ts(thread) && *thread != ts);
        let under = under.map_or(Under::Top, |thread| Under::Thread(thread.to_owned()));
        let named = Ref { team: self.team.to_owned(), channel: channel.to_owned(), ts: ts.to_owned() };
        (Spot { team: self.team.to_owned(), room, under }, named)
    }

    fn inbound(&self, spot: &Spot, sent: Timestamp, body: Body) -> Inbound {
        let mut inbound = inbound(self.reader, spot, (self.team, self.user), sent, body);
        if let Some(enterprise) = text(self.payload, &["enterprise", "id"]) {
            inbound.facts.push(("enterprise".to_owned(), enterprise.to_owned()));
        }
        inbound
    }

    fn gesture(&self, inbound: Inbound, message: Option<&Ref>) -> Decoded {
        Decoded::Gesture(Box::new(Gesture {
            inbound,
            team: self.team.to_owned(),
            user: self.user.to_owned(),
            channel: message.map(|message| message.channel.clone()).unwrap_or_default(),
            root: message.map(|message| message.ts.clone()),
            files: Vec::new(),
            command: None,
        }))
    }

    fn pressed(&self) -> Decoded {
        let Some(action) = list(self.payload, &["actions"]).first() else {
            return Decoded::Nothing("a press of nothing");
        };
        let of = |path: &[&str]| text(self.payload, path);
        let channel = of(&["container", "channel_id"]).or_else(|| of(&["channel", "id"]));
        let ts = of(&["container", "message_ts"]).or_else(|| of(&["message", "ts"]));
        let (Some(channel), Some(ts)) = (channel.filter(|id| is_channel(id)), ts.filter(|ts| is_ts(ts)))
        else {
            return Decoded::Nothing("a press on no message");
        };
        let thread = of(&["container", "thread_ts"]).or_else(|| of(&["message", "thread_ts"]));
        let (spot, named) = self.place_of(channel, ts, thread);
        let (Some(id), Some(ticket)) =
            (text(action, &["action_id"]), text(action, &["value"]).and_then(ticket))
        else {
            return Decoded::Nothing("a press without a question");
        };
        if let Some(choice) = id.strip_prefix(PRESS) {
            let when = text(action, &["action_ts"]).unwrap_or_default();
            let body = Body::Press { choice: choice.to_owned(), comment: None, values: BTreeMap::new() };
            let mut inbound = self.inbound(&spot, time(when), body);
            let (team, user) = (self.team, self.user);
            // A press that is delivered again carries the time of the first one.
            let name = format_args!("{team}/{channel}/{ts}/{user}/{id}/{when}");
            inbound.keys.push(key(self.reader, name));
            inbound.ticket = Some(ticket);
            return self.gesture(inbound, Some(&named));
        }
        let Some(trigger) = of(&["trigger_id"]) else {
            return Decoded::Nothing("a press that opens nothing");
        };
        let (place, message) = (spot.place().as_str().to_owned(), named.write().as_str().to_owned());
        let ticket = ticket.as_str().to_owned();
        let purpose = match id.strip_prefix(FORM) {
            Some(choice) => Purpose::Choice { ticket, choice: choice.to_owned(), place, message },
            None if id == ANSWER => Purpose::Answer { ticket, place, message },
            None => return Decoded::Nothing("a press that is not ours"),
        };
        self.form(trigger, purpose, Some(named.ts))
    }

    fn form(&self, trigger: &str, purpose: Purpose, card: Option<String>) -> Decoded {
        Decoded::Form(Box::new(Form {
            team: self.team.to_owned(),
            trigger: trigger.to_owned(),
            purpose,
            card,
        }))
    }

    fn submitted(&self) -> Decoded {
        let purpose = text(self.payload, &["view", "private_metadata"]);
        let purpose: Option<Purpose> = purpose.and_then(|purpose| serde_json::from_str(purpose).ok());
        let (Some(purpose), Some(view)) = (purpose, text(self.payload, &["view", "id"])) else {
            return Decoded::Nothing("a form that is not ours");
        };
        let mut values = self.values();
        let (place, message) = match &purpose {
            Purpose::Choice { place, message, .. }
            | Purpose::Answer { place, message, .. }
            | Purpose::Ask { place, message, .. } => (place, message),
        };
        let (Some(spot), Some(named)) =
            (Spot::read(&Place::new(place)), Ref::read(&MessageRef::new(message)))
        else {
            return Decoded::Nothing("a form without a place");
        };
        let (tick, body) = match &purpose {
            Purpose::Choice { ticket, choice, .. } => {
                let comment = values.remove(COMMENT).filter(|comment| !comment.is_empty());
                let values = values
                    .into_iter()
                    .filter_map(|(block, value)| Some((block.strip_prefix(VALUE)?.to_owned(), value)));
                (Some(ticket), Body::Press { choice: choice.clone(), comment, values: values.collect() })
            }
            Purpose::Answer { ticket, .. } => {
                let text = values.remove(WORDS).unwrap_or_default();
                (Some(ticket), Body::Text { text, original: None, files: Vec::new() })
            }
            Purpose::Ask { author, quoted, .. } => {
                let words = values.remove(WORDS).unwrap_or_default();
                let quoted: String = quoted.lines().map(|line| format!("> {line}\n")).collect();
                let text = format!("{words}\n\nThe message that this is about, by {author}:\n{quoted}");
                (None, Body::Text { text: text.trim().to_owned(), original: None, files: Vec::new() })
            }
        };
        let mut inbound = self.inbound(&spot, Timestamp::UNIX_EPOCH, body);
        inbound.keys.push(key(self.reader, format_args!("{}/view/{view}", self.team)));
        match tick.map(|tick| ticket(tick)) {
            Some(None) => return Decoded::Nothing("a form without a question"),
            Some(Some(ticket)) => inbound.ticket = Some(ticket),
            None => {
                inbound.addressed = Addressed::Mention;
                inbound.message = Some(named.write());
                inbound.facts.push(("shortcut".to_owned(), SHORTCUT.to_owned()));
            }
        }
        self.gesture(inbound, Some(&named))
    }

    /// What was filled in, by the block it stood in.
    fn values(&self) -> BTreeMap<String, String> {
        let blocks = at(self.payload, &["view", "state", "values"]).and_then(Value::as_object);
        let max = self.reader.settings.limits.text_bytes;
        let read = |(block, elements): (&String, &Value)| {
            let element = elements.get(block)?;
            let one = ["value", "selected_date"].into_iter().find_map(|key| text(element, &[key]));
            let one = one.or_else(|| text(element, &["selected_option", "value"]));
            let several = list(element, &["selected_options"]);
            let several: Vec<&str> = several.iter().filter_map(|option| text(option, &["value"])).collect();
            let value = one.map_or_else(|| several.join("\n"), str::to_owned);
            Some((block.clone(), bounded(value, max)))
        };
        blocks.into_iter().flatten().take(VALUES_MAX).filter_map(read).collect()
    }

    fn shortcut(&self) -> Decoded {
        let of = |path: &[&str]| text(self.payload, path);
        let ts = of(&["message", "ts"]).or_else(|| of(&["message_ts"])).filter(|ts| is_ts(ts));
        let channel = of(&["channel", "id"]).filter(|id| is_channel(id));
        let (Some(channel), Some(ts), Some(trigger)) = (channel, ts, of(&["trigger_id"])) else {
            return Decoded::Nothing("a shortcut on no message");
        };
        let (spot, named) = self.place_of(channel, ts, of(&["message", "thread_ts"]));
        let spot = match (&spot.room, &spot.under) {
            (Room::Channel(_), Under::Top) => spot.below(ts),
            (Room::Channel(_) | Room::Person(_), _) => spot,
        };
        let us = (self.reader.us)(self.team).unwrap_or_default();
        let quoted = words::plain(of(&["message", "text"]).unwrap_or_default(), &us.user);
        let purpose = Purpose::Ask {
            place: spot.place().as_str().to_owned(),
            message: named.write().as_str().to_owned(),
            author: of(&["message", "user"]).unwrap_or("an app").to_owned(),
            // The form carries it there and back, and has room for 3,000 characters of JSON.
            quoted: clip(&quoted, 1_200),
        };
        self.form(trigger, purpose, None)
    }
}

/// Reads a slash command, from the fields of its form.
pub(crate) fn command(reader: Reader<'_>, payload: &Value) -> Decoded {
    let of = |key: &str| text(payload, &[key]);
    let (Some(team), Some(user), Some(channel), Some(name)) = (
        of("team_id").filter(|id| is_team(id)),
        of("user_id").filter(|id| is_user(id)),
        of("channel_id").filter(|id| is_channel(id)),
        of("command"),
    ) else {
        return Decoded::Nothing("a command without a person or a place");
    };
    if (reader.us)(team).is_none() {
        return Decoded::Nothing("a workspace without a bot token here");
    }
    let said = of("text").unwrap_or_default().trim();
    let words = said.strip_prefix("ask ").unwrap_or(said).trim();
    if words.is_empty() || matches!(words, "help" | "ask") {
        return Decoded::Help { command: name.to_owned() };
    }
    // A command has no name of its own; what opens forms is made anew for each.
    let Some(trigger) = of("trigger_id") else { return Decoded::Nothing("a command without a name") };
    let id = digest(&[team, channel, user, trigger]);
    let team_of = team.to_owned();
    let spot = if channel.starts_with('D') {
        // Direct messages with somebody else, perhaps, where the bot is not: it answers in its own.
        Spot { team: team_of, room: Room::Person(user.to_owned()), under: Under::Top }
    } else {
        Spot { team: team_of, room: Room::Channel(channel.to_owned()), under: Under::Command(id.clone()) }
    };
    let text = bounded(words::plain(words, ""), reader.settings.limits.text_bytes);
    let body = Body::Text { text, original: None, files: Vec::new() };
    let mut inbound = inbound(reader, &spot, (team, user), Timestamp::UNIX_EPOCH, body);
    inbound.addressed = Addressed::Mention;
    inbound.keys.push(key(reader, format_args!("{team}/command/{id}")));
    inbound.facts.push(("command".to_owned(), name.trim_start_matches('/').to_owned()));
    inbound.facts.push(("conversation".to_owned(), channel.to_owned()));
    if let Some(enterprise) = of("enterprise_id") {
        inbound.facts.push(("enterprise".to_owned(), enterprise.to_owned()));
    }
    Decoded::Gesture(Box::new(Gesture {
        inbound,
        team: team.to_owned(),
        user: user.to_owned(),
        channel: channel.to_owned(),
        root: None,
        files: Vec::new(),
        command: Some(format!("{name} {}", words::plain(said, ""))),
    }))
}
