//! From Slack's payloads to inbounds. Pure.
//!
//! Shapes: <https://docs.slack.dev/reference/events>, <https://docs.slack.dev/reference/interaction-payloads>,
//! <https://docs.slack.dev/interactivity/implementing-slash-commands>.
//!
//! Invariant: whatever a payload holds, reading it ends, and at worst it is nothing.
//! Invariant: subtypes of messages are read by an allow-list; what apps say, ours included, starts nothing.

mod interactive;
mod message;

use channel::{Address, Addressed, Body, ChannelName, Inbound, InboundKey, Person, Timestamp, Verified};
use chat::payload::{at, text};
use serde_json::Value;

use crate::{
    config::Settings,
    place::{Spot, is_team, is_ts},
};

pub(crate) use interactive::{
    ANSWER, COMMENT, FORM, PRESS, Purpose, SHORTCUT, VALUE, WORDS, command, interactive,
};
pub(crate) use message::{Outer, message};

/// What reading takes, beside the payload.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    pub(crate) channel: &'a ChannelName,
    pub(crate) settings: &'a Settings,
    /// The bot's user in a workspace; none in a workspace that is not configured.
    pub(crate) us: &'a (dyn Fn(&str) -> Option<Us> + Sync),
}

/// Who the app is in a workspace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Us {
    /// The bot's user id.
    pub(crate) user: String,
    /// The bot's own id.
    pub(crate) bot: String,
}

/// What a payload asks for.
#[derive(Debug)]
pub(crate) enum Decoded {
    /// A person said or did something.
    Gesture(Box<Gesture>),
    /// A person wants to fill something in.
    Form(Box<Form>),
    /// A person opened an empty thread with the assistant.
    Opened { team: String, channel: String, thread: String },
    /// A person wants to know how a command is used.
    Help { command: String },
    /// The app was taken off a workspace.
    Gone { team: String },
    /// Nothing for us; why, for the log.
    Nothing(&'static str),
}

/// Something that a person did.
#[derive(Debug)]
pub(crate) struct Gesture {
    /// What it is; who did it is completed once the person is known.
    pub(crate) inbound: Inbound,
    /// The workspace.
    pub(crate) team: String,
    /// The person.
    pub(crate) user: String,
    /// The conversation's id.
    pub(crate) channel: String,
    /// The message of ours that it stands below, or that was pressed: a command's conversation may have begun with it.
    pub(crate) root: Option<String>,
    /// Files to fetch.
    pub(crate) files: Vec<FileRef>,
    /// The words of a slash command, which nobody else can see.
    pub(crate) command: Option<String>,
}

/// A file to fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FileRef {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) size: u64,
    /// Where its bytes are; none where Slack wants to be asked first.
    pub(crate) url: Option<String>,
    /// Kept outside of Slack.
    pub(crate) external: bool,
}

/// Something that a person wants to fill in.
#[derive(Debug)]
pub(crate) struct Form {
    /// The workspace.
    pub(crate) team: String,
    /// What opens it; good for three seconds.
    pub(crate) trigger: String,
    /// What for.
    pub(crate) purpose: Purpose,
    /// For a card: the message that it is.
    pub(crate) card: Option<String>,
}

/// Reads what an event subscription brings.
pub(crate) fn event(reader: Reader<'_>, payload: &Value) -> Decoded {
    let Some(event) = at(payload, &["event"]) else { return Decoded::Nothing("no event in it") };
    let Some(team) = workspace(payload) else { return Decoded::Nothing("no workspace in it") };
    let kind = text(event, &["type"]).unwrap_or_default();
    if matches!(kind, "app_uninstalled" | "tokens_revoked") {
        return Decoded::Gone { team: team.to_owned() };
    }
    let Some(us) = (reader.us)(team) else { return Decoded::Nothing("a workspace without a bot token here") };
    let outer = message::Outer {
        team,
        event_id: text(payload, &["event_id"]),
        enterprise: authorization(payload).and_then(|first| text(first, &["enterprise_id"])),
    };
    match kind {
        "message" | "app_mention" => message(reader, &us, outer, event),
        "assistant_thread_started" => opened(team, event),
        _ => Decoded::Nothing("a kind of event that is not used"),
    }
}

/// The workspace whose installation of the app this came for; with channels shared between organisations the event may
/// have happened in another one.
fn workspace(payload: &Value) -> Option<&str> {
    let team = authorization(payload)
        .and_then(|first| text(first, &["team_id"]))
        .or_else(|| text(payload, &["context_team_id"]))
        .or_else(|| text(payload, &["team_id"]))?;
    is_team(team).then_some(team)
}

/// For which installation of the app an event came.
fn authorization(payload: &Value) -> Option<&Value> {
    payload.get("authorizations")?.get(0)
}

fn opened(team: &str, event: &Value) -> Decoded {
    let of = |key: &str| text(event, &["assistant_thread", key]).map(str::to_owned);
    match (of("channel_id"), of("thread_ts")) {
        (Some(channel), Some(thread)) if is_ts(&thread) => {
            Decoded::Opened { team: team.to_owned(), channel, thread }
        }
        _ => Decoded::Nothing("an assistant thread without a place"),
    }
}

/// An inbound with everything that is always the same.
fn inbound(reader: Reader<'_>, spot: &Spot, who: (&str, &str), sent: Timestamp, body: Body) -> Inbound {
    let (team, user) = who;
    Inbound {
        keys: Vec::new(),
        from: Person {
            channel: reader.channel.clone(),
            id: format!("{team}/{user}"),
            name: String::new(),
            verified: Verified::Claimed { why: "who that is was not looked up yet".to_owned(), remedy: None },
            roles: Vec::new(),
        },
        at: Address { channel: reader.channel.clone(), place: spot.place() },
        sent,
        message: None,
        in_reply_to: None,
        ticket: None,
        addressed: Addressed::Direct,
        facts: vec![("team".to_owned(), team.to_owned())],
        body,
    }
}

/// A name under which a gesture may come again.
fn key(reader: Reader<'_>, name: impl std::fmt::Display) -> InboundKey {
    InboundKey::new(format!("{}:{name}", reader.channel))
}

/// The time in a message's name.
pub(crate) fn time(ts: &str) -> Timestamp {
    let parts = ts.split_once('.');
    let seconds = parts.and_then(|(seconds, _)| seconds.parse::<i64>().ok()).unwrap_or(0);
    let micros = parts.and_then(|(_, micros)| micros.parse::<i32>().ok()).unwrap_or(0);
    Timestamp::new(seconds, micros.clamp(0, 999_999) * 1_000).unwrap_or(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    fn read(name: &str, payload: &Value) -> Decoded {
        let (channel, settings) = (ChannelName::new("slack"), Settings::default());
        let us = |team: &str| {
            let us = Us { user: "U0LAN0Z89".into(), bot: "B0LAN0Z89".into() };
            (team == "T061EG9R6").then_some(us)
        };
        let reader = Reader { channel: &channel, settings: &settings, us: &us };
        if name.starts_with("event") {
            event(reader, payload)
        } else if name.starts_with("command") {
            command(reader, payload)
        } else {
            interactive(reader, payload)
        }
    }

    fn told(decoded: &Decoded) -> String {
        let mut told = String::new();
        match decoded {
            Decoded::Gesture(gesture) => {
                let Inbound { keys, from, at, message, in_reply_to, ticket, addressed, facts, body, .. } =
                    &gesture.inbound;
                let keys: Vec<&str> = keys.iter().map(InboundKey::as_str).collect();
                let shown = |name: &str, value: String| format!("{name}: {value}\n");
                told += &shown("keys", keys.join("\n      "));
                told += &shown("from", from.id.clone());
                told += &shown("at", at.place.to_string());
                told += &shown("message", format!("{:?}", message.as_ref().map(ToString::to_string)));
                told += &shown("in_reply_to", format!("{:?}", in_reply_to.as_ref().map(ToString::to_string)));
                told += &shown("ticket", format!("{:?}", ticket.as_ref().map(ToString::to_string)));
                told += &shown("addressed", format!("{addressed:?}"));
                told += &shown("facts", format!("{facts:?}"));
                told += &shown("root", format!("{:?}", gesture.root));
                told += &shown("files", format!("{:#?}", gesture.files));
                told += &shown("command", format!("{:?}", gesture.command));
                writeln!(told, "body: {body:#?}").unwrap();
            }
            other @ (Decoded::Form(_)
            | Decoded::Opened { .. }
            | Decoded::Help { .. }
            | Decoded::Gone { .. }
            | Decoded::Nothing(_)) => writeln!(told, "{other:#?}").unwrap(),
        }
        told
    }

    /// Shapes as Slack's documentation shows them, and some that it does not.
    #[test]
    fn every_payload_is_read_as_its_snapshot_says() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/payloads");
        let mut names: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
            .collect();
        names.sort();
        assert!(names.len() > 40, "the payloads are not where they should be");
        insta::with_settings!({ snapshot_path => "../tests/payloads", prepend_module_to_snapshot => false }, {
            for path in names {
                let name = path.file_stem().unwrap().to_string_lossy().into_owned();
                let payload = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
                insta::assert_snapshot!(name.clone(), told(&read(&name, &payload)));
            }
        });
    }

    /// One gesture that comes as two events has a name in common.
    #[test]
    fn a_mention_and_its_message_are_one_gesture() {
        let of = |name: &str| {
            let path = format!("{}/tests/payloads/{name}.json", env!("CARGO_MANIFEST_DIR"));
            let mut payload: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
            // Not every client sends a name of its own.
            payload["event"].as_object_mut().unwrap().remove("client_msg_id");
            let decoded = read("event", &payload);
            let Decoded::Gesture(gesture) = decoded else { panic!("{decoded:?}") };
            gesture.inbound
        };
        let (mention, message) = (of("event_app_mention"), of("event_message_of_a_mention"));
        assert!(mention.keys.iter().any(|key| message.keys.contains(key)));
        assert_eq!((&mention.at, mention.addressed), (&message.at, message.addressed));
    }

    /// Fields that are cut out, or of another kind, cost the payload at most.
    #[test]
    fn no_broken_payload_breaks_the_reader() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/payloads");
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let payload: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
            for broken in testkit::payloads::broken(&payload) {
                let _ = told(&read(&name, &broken));
            }
        }
    }

    #[test]
    fn time_is_read_from_names_and_never_fails() {
        assert_eq!(time("1700000000.000100").to_string(), "2023-11-14T22:13:20.0001Z");
        for strange in ["", "x.y", "1", "99999999999999.1", "-1.5"] {
            let _ = time(strange);
        }
    }
}
