//! What people press, fill in and command.

use std::collections::BTreeMap;

use channel::{Addressed, Body, Inbound};
use chat::{
    payload::{at, list, text},
    text::{bounded, clip, ticket},
};
use serde_json::Value;

use super::{Decoded, Form, Gesture, Reader, Reply, Root, Who, in_room, inbound, key, listened, spot};
use crate::{
    place::{Ref, Spot, Under, is_id, time},
    words,
};

/// What the id of a button, a menu or a form begins with; a choice and a ticket follow ([`parts`]). An id is a name, and no
/// permission: whose press counts is the gateway's to say.
pub(crate) const PRESS: &str = "press";
pub(crate) const FORM: &str = "form";
pub(crate) const PICK: &str = "pick";
pub(crate) const ANSWER: &str = "answer";
pub(crate) const ASK: &str = "ask";
/// The inputs of a form.
pub(crate) const COMMENT: &str = "comment";
pub(crate) const WORDS: &str = "words";
pub(crate) const VALUE: &str = "value:";
/// The input that takes the lines which have none of their own: `id: value`.
pub(crate) const REST: &str = "rest";
/// The option of a command that says what is wanted, and the one that says of whom.
pub(crate) const REQUEST: &str = "request";
pub(crate) const AGENT: &str = "agent";
/// The command in a message's menu.
pub(crate) const SHORTCUT: &str = "Ask an agent";

/// The most values of one form that are read.
const VALUES_MAX: usize = 100;
/// How much of a message that somebody asks about is passed on.
const QUOTED_CHARS_MAX: usize = 4_000;

/// Kinds of threads: <https://discord.com/developers/docs/resources/channel#channel-object-channel-types>.
const THREADS: [u64; 3] = [10, 11, 12];

/// The kind, the choice and the ticket of an id.
pub(crate) fn parts(id: &str) -> Option<(&str, &str, &str)> {
    let (kind, rest) = id.split_once(':')?;
    let (choice, ticket) = rest.rsplit_once(':')?;
    Some((kind, choice, ticket))
}

/// Lines `id: value`, as they were written; one that begins none goes on with the one above it.
fn lines(text: &str) -> BTreeMap<String, String> {
    let mut values: BTreeMap<String, String> = BTreeMap::new();
    let mut last = String::new();
    for line in text.lines() {
        let begins = line.split_once(':').filter(|(id, _)| !id.trim().is_empty());
        match begins {
            Some((id, value)) => {
                last = id.trim().to_owned();
                let value = value.trim();
                // One that is there twice is no clear value any more: whoever judges it sees both.
                let same = values.entry(last.clone());
                same.and_modify(|before| *before = format!("{before}\n{value}")).or_insert(value.to_owned());
            }
            None if line.trim().is_empty() => {}
            None => {
                if let Some(value) = values.get_mut(&last) {
                    value.push('\n');
                    value.push_str(line);
                }
            }
        }
    }
    values
}

/// Reads what a button, a menu, a form or a command brings. `quoted` is what was kept when a form about a message was opened.
pub(crate) fn interaction(reader: Reader<'_>, payload: &Value, quoted: Option<&str>) -> Decoded {
    let guild = text(payload, &["guild_id"]);
    if !listened(reader, guild) {
        return Decoded::Nothing("a server that is not listened to");
    }
    let member = payload.get("member").filter(|member| member.is_object());
    let user = member.and_then(|member| member.get("user")).or_else(|| payload.get("user"));
    let who = user.and_then(|user| Who::read(user, member, guild, reader.us));
    let (Some(who), Some(id), Some(channel)) = (
        who,
        text(payload, &["id"]).filter(|id| is_id(id)),
        text(payload, &["channel_id"]).filter(|id| is_id(id)),
    ) else {
        return Decoded::Nothing("a gesture without a person or a place");
    };
    // Discord says which channel a thread is in; what is not said may be known.
    let kind = at(payload, &["channel", "type"]).and_then(Value::as_u64);
    let parent = text(payload, &["channel", "parent_id"]).filter(|id| is_id(id));
    let spot = match (guild, kind) {
        (Some(guild), Some(kind)) if THREADS.contains(&kind) && parent.is_some() => {
            in_room(guild, channel, parent)
        }
        (Some(guild), Some(kind)) if !THREADS.contains(&kind) => in_room(guild, channel, None),
        (_, _) => match spot(reader, guild, channel, who.id) {
            Some(spot) => spot,
            None => return Decoded::Unknown { channel: channel.to_owned() },
        },
    };
    let scene = Scene { reader, payload, id, channel, spot, guild };
    match payload.get("type").and_then(Value::as_u64) {
        Some(2) => scene.command(who),
        Some(3) => scene.pressed(who),
        Some(5) => scene.submitted(who, quoted),
        _ => Decoded::Nothing("a kind of gesture that is not used"),
    }
}

struct Scene<'a> {
    reader: Reader<'a>,
    payload: &'a Value,
    id: &'a str,
    channel: &'a str,
    spot: Spot,
    guild: Option<&'a str>,
}

impl Scene<'_> {
    fn gesture(&self, who: Who<'_>, spot: &Spot, body: Body, reply: Reply) -> Gesture {
        let user = who.id.to_owned();
        let mut inbound = inbound(self.reader, spot, who, time(self.id), body);
        inbound.keys.push(key(self.reader, format_args!("interaction/{}", self.id)));
        // So that an answer to this very gesture finds its way back.
        inbound.message = Some(Ref::Command(self.id.to_owned()).write());
        inbound.facts.push(("conversation".to_owned(), self.channel.to_owned()));
        Gesture { inbound, user, channel: self.channel.to_owned(), root: None, files: Vec::new(), reply }
    }

    /// The message that was pressed, or whose form it is, where its conversation has no thread.
    fn root(&self) -> Option<Root> {
        let top = matches!(&self.spot, Spot::Channel { under: Under::Top, .. });
        at(self.payload, &["message"]).filter(|_| top).and_then(Root::read)
    }

    fn about_card(&self, mut gesture: Gesture, code: &str) -> Decoded {
        let Some(ticket) = ticket(code) else { return Decoded::Nothing("a press without a question") };
        gesture.inbound.ticket = Some(ticket);
        gesture.root = self.root();
        Decoded::Gesture(Box::new(gesture))
    }

    fn pressed(&self, who: Who<'_>) -> Decoded {
        let Some(id) = text(self.payload, &["data", "custom_id"]) else {
            return Decoded::Nothing("a press of nothing");
        };
        let Some((kind, choice, code)) = parts(id) else {
            return Decoded::Nothing("a press that is not ours");
        };
        let choice = match kind {
            PRESS => choice.to_owned(),
            PICK => match list(self.payload, &["data", "values"]).first().and_then(Value::as_str) {
                Some(choice) => choice.to_owned(),
                None => return Decoded::Nothing("a choice of nothing"),
            },
            FORM | ANSWER => {
                let (id, spot, root) = (id.to_owned(), self.spot.clone(), self.root());
                return Decoded::Form(Box::new(Form { id, spot, root, quoted: None }));
            }
            _ => return Decoded::Nothing("a press that is not ours"),
        };
        let body = Body::Press { choice, comment: None, values: BTreeMap::new() };
        self.about_card(self.gesture(who, &self.spot, body, Reply::Received), code)
    }

    fn submitted(&self, who: Who<'_>, quoted: Option<&str>) -> Decoded {
        let id = text(self.payload, &["data", "custom_id"]).and_then(parts);
        let mut values = self.values();
        match id {
            Some((FORM, choice, code)) => {
                let comment = values.remove(COMMENT).filter(|comment| !comment.is_empty());
                let rest = values.remove(REST).unwrap_or_default();
                let values = values
                    .into_iter()
                    .filter_map(|(id, value)| Some((id.strip_prefix(VALUE)?.to_owned(), value)));
                let values = values.chain(lines(&rest)).collect();
                let body = Body::Press { choice: choice.to_owned(), comment, values };
                self.about_card(self.gesture(who, &self.spot, body, Reply::Received), code)
            }
            Some((ANSWER, _, code)) => {
                let text = values.remove(WORDS).unwrap_or_default();
                let body = Body::Text { text, original: None, files: Vec::new() };
                self.about_card(self.gesture(who, &self.spot, body, Reply::Received), code)
            }
            Some((ASK, _, message)) if is_id(message) => {
                let words = values.remove(WORDS).unwrap_or_default();
                self.asked(who, &words, message, quoted)
            }
            Some(_) | None => Decoded::Nothing("a form that is not ours"),
        }
    }

    /// A request about a message: the conversation is below it.
    fn asked(&self, who: Who<'_>, words: &str, message: &str, quoted: Option<&str>) -> Decoded {
        let spot = match &self.spot {
            Spot::Channel { guild, channel, under: Under::Top } => Spot::Channel {
                guild: guild.clone(),
                channel: channel.clone(),
                under: Under::Thread(message.to_owned()),
            },
            Spot::Channel { .. } | Spot::Person(_) => self.spot.clone(),
        };
        let quoted: String = quoted.unwrap_or_default().lines().map(|line| format!("> {line}\n")).collect();
        let text = if quoted.is_empty() {
            words.to_owned()
        } else {
            format!("{words}\n\nThe message that this is about:\n{quoted}").trim().to_owned()
        };
        let body = Body::Text { text, original: None, files: Vec::new() };
        let mut gesture = self.gesture(who, &spot, body, Reply::Below);
        self.speaks(&mut gesture.inbound);
        gesture.inbound.message = Some(Ref::message(self.channel, message).write());
        gesture.inbound.facts.push(("shortcut".to_owned(), SHORTCUT.to_owned()));
        Decoded::Gesture(Box::new(gesture))
    }

    fn speaks(&self, inbound: &mut Inbound) {
        inbound.addressed = if self.guild.is_some() { Addressed::Mention } else { Addressed::Direct };
    }

    /// What was filled in, by the input it stood in; inputs stand in rows, or below a label of their own.
    fn values(&self) -> BTreeMap<String, String> {
        let max = self.reader.settings.limits.text_bytes;
        let rows = list(self.payload, &["data", "components"]);
        let inputs =
            rows.iter().flat_map(|row| list(row, &["components"]).iter().chain(row.get("component")));
        let read = |input: &Value| {
            let id = text(input, &["custom_id"])?;
            let chosen: Vec<&str> = list(input, &["values"]).iter().filter_map(Value::as_str).collect();
            let value = text(input, &["value"]).map_or_else(|| chosen.join("\n"), str::to_owned);
            Some((id.to_owned(), bounded(value, max)))
        };
        inputs.take(VALUES_MAX).filter_map(read).collect()
    }

    fn command(&self, who: Who<'_>) -> Decoded {
        let data = |path: &[&str]| text(self.payload, path);
        let Some(name) = data(&["data", "name"]) else { return Decoded::Nothing("a command without a name") };
        match at(self.payload, &["data", "type"]).and_then(Value::as_u64) {
            Some(3) if name == SHORTCUT => return self.shortcut(),
            Some(1) | None => {}
            Some(_) => return Decoded::Nothing("a kind of command that is not used"),
        }
        let option = |wanted: &str| {
            let options = list(self.payload, &["data", "options"]);
            let option = options.iter().find(|option| text(option, &["name"]) == Some(wanted))?;
            option.get("value").and_then(Value::as_str)
        };
        let Some(said) = option(REQUEST).filter(|said| !said.trim().is_empty()) else {
            return Decoded::Nothing("a command that asks for nothing");
        };
        let spot = match &self.spot {
            Spot::Channel { guild, channel, under: Under::Top } => Spot::Channel {
                guild: guild.clone(),
                channel: channel.clone(),
                under: Under::Command(self.id.to_owned()),
            },
            Spot::Channel { .. } | Spot::Person(_) => self.spot.clone(),
        };
        let text = bounded(words::plain(said, &[], |_| None), self.reader.settings.limits.text_bytes);
        let agent = option(AGENT).filter(|agent| !agent.is_empty());
        let shown = match agent {
            Some(agent) => format!("{}: /{name} {agent}: {text}", who.name),
            None => format!("{}: /{name} {text}", who.name),
        };
        let body = Body::Text { text, original: None, files: Vec::new() };
        let mut gesture = self.gesture(who, &spot, body, Reply::Later { words: shown });
        self.speaks(&mut gesture.inbound);
        if let Some(agent) = agent {
            gesture.inbound.facts.push(("command".to_owned(), format!("{name} {agent}")));
        }
        gesture.inbound.facts.push(("command".to_owned(), name.to_owned()));
        Decoded::Gesture(Box::new(gesture))
    }

    fn shortcut(&self) -> Decoded {
        let Some(message) = text(self.payload, &["data", "target_id"]).filter(|id| is_id(id)) else {
            return Decoded::Nothing("a shortcut on no message");
        };
        let of = |path: &[&str]| {
            let resolved = at(self.payload, &["data", "resolved", "messages", message])?;
            text(resolved, path)
        };
        let us = &self.reader.us.user;
        let said = words::plain(of(&["content"]).unwrap_or_default(), &[us], |_| None);
        let author =
            of(&["author", "global_name"]).or_else(|| of(&["author", "username"])).unwrap_or("somebody");
        let quoted = format!("{author}: {}", clip(&said, QUOTED_CHARS_MAX));
        let id = format!("{ASK}::{message}");
        Decoded::Form(Box::new(Form { id, spot: self.spot.clone(), root: None, quoted: Some(quoted) }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_form_are_read_as_they_were_written() {
        let text = "a: 1\n\nb:\n two words: x\nc: one\ntwo\n: none\na: 2\n";
        let read = lines(text);
        let wanted = [("a", "1\n2"), ("b", ""), ("two words", "x"), ("c", "one\ntwo\n: none")];
        let wanted = wanted.map(|(id, value)| (id.to_owned(), value.to_owned()));
        assert_eq!(read, BTreeMap::from(wanted));
        assert_eq!(lines("no line at all"), BTreeMap::new());
    }
}
