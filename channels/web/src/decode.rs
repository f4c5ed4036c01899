//! From the page's requests to what came in. Pure.

use std::collections::BTreeMap;

use channel::{
    Address, Addressed, Attachment, Body, ChannelName, Inbound, InboundKey, MessageRef, Person, Ticket,
    Timestamp, Verified,
};
use data_encoding::BASE64;
use serde::{Deserialize, de::DeserializeOwned};

use crate::{
    config::{Limits, Visitor},
    place,
};

/// The most lines of a form, and the longest name of one, in bytes.
const VALUES_MAX: usize = 100;
const VALUE_NAME_MAX: usize = 200;

/// Who sends a request, where and when: everything that the request itself is not asked for.
pub(crate) struct Here<'a> {
    pub(crate) channel: &'a ChannelName,
    pub(crate) visitor: &'a Visitor,
    /// On what grounds the page vouches for the visitor.
    pub(crate) grounds: &'a str,
    pub(crate) conversation: &'a str,
    pub(crate) now: Timestamp,
}

/// Why a request is not taken; a sentence for the person who sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal(pub(crate) String);

/// Something said. `id` is made by the page, once for a message, so that a repeated request says nothing twice.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Say {
    id: String,
    #[serde(default)]
    text: String,
    #[serde(default)]
    ticket: Option<String>,
    #[serde(default)]
    files: Vec<Upload>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Upload {
    name: String,
    #[serde(default)]
    kind: String,
    data: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Press {
    id: String,
    ticket: String,
    choice: String,
    #[serde(default)]
    comment: Option<String>,
    #[serde(default)]
    values: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Login {
    token: String,
}

/// Reads a message.
pub(crate) fn say(body: &[u8], here: &Here<'_>, limits: &Limits) -> Result<Inbound, Refusal> {
    let say: Say = json(body)?;
    let text = clean(&say.text);
    if text.is_empty() && say.files.is_empty() {
        return refuse("The message is empty.");
    }
    length("message", &text, limits)?;
    if say.files.len() > limits.files_max {
        return refuse(format!("A message may carry {} files.", limits.files_max));
    }
    let ticket = say.ticket.map(ticket).transpose()?;
    if here.conversation == place::INBOX && ticket.is_none() {
        return refuse(
            "Here you can only answer what you are asked. Start a conversation to say something else.",
        );
    }
    let files = say.files.into_iter().map(|upload| file(upload, limits)).collect::<Result<_, _>>()?;
    inbound(here, &say.id, ticket, Body::Text { text, original: None, files })
}

/// Reads a click on a card.
pub(crate) fn press(body: &[u8], here: &Here<'_>, limits: &Limits) -> Result<Inbound, Refusal> {
    let press: Press = json(body)?;
    let ticket = ticket(press.ticket)?;
    if press.choice.is_empty() || press.choice.len() > 64 || press.choice.chars().any(char::is_control) {
        return refuse("That is no button of this card.");
    }
    let comment = press.comment.map(|comment| clean(&comment)).filter(|comment| !comment.is_empty());
    length("comment", comment.as_deref().unwrap_or_default(), limits)?;
    let values = press.values;
    if values.len() > VALUES_MAX || values.keys().any(|name| name.len() > VALUE_NAME_MAX) {
        return refuse("That is no form of this card.");
    }
    length("form", &values.values().map(String::as_str).collect::<String>(), limits)?;
    inbound(here, &press.id, Some(ticket), Body::Press { choice: press.choice, comment, values })
}

/// Reads the token of somebody who logs in.
pub(crate) fn login(body: &[u8]) -> Result<String, Refusal> {
    json::<Login>(body).map(|login| login.token)
}

fn inbound(here: &Here<'_>, id: &str, ticket: Option<Ticket>, body: Body) -> Result<Inbound, Refusal> {
    let fine = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    if !(8..=64).contains(&id.len()) || !id.bytes().all(fine) {
        return refuse("The request has no id that fits.");
    }
    let Some(place) = place::of(here.visitor, here.conversation) else {
        return refuse("There is no such conversation.");
    };
    Ok(Inbound {
        keys: vec![InboundKey::new(format!("{}:{place}:{id}", here.channel))],
        from: person(here.channel, here.visitor, here.grounds),
        message: Some(MessageRef::new(format!("{place}:{id}"))),
        at: Address { channel: here.channel.clone(), place },
        sent: here.now,
        in_reply_to: None,
        ticket,
        addressed: Addressed::Direct,
        facts: Vec::new(),
        body,
    })
}

/// A visitor as the rest of the gateway knows them.
fn person(channel: &ChannelName, visitor: &Visitor, grounds: &str) -> Person {
    Person {
        channel: channel.clone(),
        id: visitor.id.clone(),
        name: visitor.name.clone(),
        verified: Verified::Proven { by: grounds.to_owned() },
        roles: Vec::new(),
    }
}

fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body)
        .or_else(|_| refuse("The request is not what this page sends. Load the page again."))
}

fn ticket(text: String) -> Result<Ticket, Refusal> {
    let fine = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.');
    if text.is_empty() || text.len() > 48 || !text.bytes().all(fine) {
        return refuse("That is no card of this page.");
    }
    Ok(Ticket::new(text))
}

fn file(upload: Upload, limits: &Limits) -> Result<Attachment, Refusal> {
    let name = file_name(&upload.name);
    let too_large = || Refusal(format!("{name} is larger than {}.", size(limits.file_bytes_max)));
    // Base64 is looked at only when its length can hold.
    if upload.data.len() / 4 * 3 > limits.file_bytes_max + 3 {
        return Err(too_large());
    }
    let Ok(bytes) = BASE64.decode(upload.data.as_bytes()) else {
        return refuse(format!("{name} did not arrive whole. Try again."));
    };
    if bytes.len() > limits.file_bytes_max {
        return Err(too_large());
    }
    let fine = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'-' | b'+' | b'.' | b'_');
    let kind = upload.kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let known = kind.len() <= 127 && kind.matches('/').count() == 1 && kind.bytes().all(fine);
    let kind = if known { kind } else { "application/octet-stream".to_owned() };
    Ok(Attachment { name, kind, size: bytes.len() as u64, bytes: Ok(bytes) })
}

/// The last part of a path, without what a terminal or a file system would act on.
fn file_name(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let mut kept: String = last.chars().filter(|c| !c.is_control()).take(120).collect();
    kept = kept.trim().trim_start_matches('.').to_owned();
    if kept.is_empty() { "file".to_owned() } else { kept }
}

/// Line ends of one kind, no control characters, nothing blank around.
fn clean(text: &str) -> String {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let kept: String = text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect();
    kept.trim().to_owned()
}

fn length(what: &str, text: &str, limits: &Limits) -> Result<(), Refusal> {
    if text.len() <= limits.text_bytes_max {
        return Ok(());
    }
    refuse(format!(
        "The {what} is too long: {} of {} at most.",
        size(text.len()),
        size(limits.text_bytes_max)
    ))
}

/// A number of bytes as people write it.
pub(crate) fn size(bytes: usize) -> String {
    match bytes {
        0..1024 => format!("{bytes} bytes"),
        1024..1_048_576 => format!("{} KiB", bytes.div_ceil(1024)),
        _ => format!("{} MiB", bytes.div_ceil(1_048_576)),
    }
}

fn refuse<T>(what: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal(what.into()))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const LIMITS: Limits =
        Limits { text_bytes_max: 256, files_max: 2, file_bytes_max: 1024, requests_per_minute: 60 };
    const ID: &str = "a2345672345672345672345672";

    fn here<T>(conversation: &str, read: impl Fn(&Here<'_>) -> T) -> T {
        let visitor = Visitor { id: "ana".to_owned(), name: "Ana".to_owned() };
        let channel = ChannelName::new("web");
        let now = Timestamp::UNIX_EPOCH;
        read(&Here { channel: &channel, visitor: &visitor, grounds: "token", conversation, now })
    }

    fn said(conversation: &str, body: &Value) -> Result<Inbound, Refusal> {
        here(conversation, |here| say(body.to_string().as_bytes(), here, &LIMITS))
    }

    fn pressed(body: &Value) -> Result<Inbound, Refusal> {
        here(ID, |here| press(body.to_string().as_bytes(), here, &LIMITS))
    }

    #[test]
    fn a_message_is_named_by_its_place_and_the_page_s_id() {
        let inbound = said(ID, &json!({ "id": "12345678", "text": " hello\r\nthere\u{0} " })).unwrap();
        assert_eq!(inbound.keys, [InboundKey::new(format!("web:ana/{ID}:12345678"))]);
        assert_eq!(inbound.at.place.as_str(), format!("ana/{ID}"));
        assert_eq!(inbound.from.verified, Verified::Proven { by: "token".to_owned() });
        let text = "hello\nthere".to_owned();
        assert_eq!(inbound.body, Body::Text { text, original: None, files: vec![] });
    }

    #[test]
    fn a_click_carries_its_ticket() {
        let inbound =
            pressed(&json!({ "id": "12345678", "ticket": "q1.abc", "choice": "approve", "comment": " " }));
        let inbound = inbound.unwrap();
        assert_eq!(inbound.ticket, Some(Ticket::new("q1.abc")));
        assert_eq!(
            inbound.body,
            Body::Press { choice: "approve".to_owned(), comment: None, values: BTreeMap::new() }
        );
    }

    #[test]
    fn files_lose_their_paths_and_keep_their_bytes() {
        let upload =
            json!({ "name": "C:\\x\\..report\u{7}.csv", "kind": "Text/CSV; charset=x", "data": "YSxi" });
        let inbound = said(ID, &json!({ "id": "12345678", "files": [upload] })).unwrap();
        let Body::Text { files, .. } = inbound.body else { panic!("a text") };
        let file = &files[0];
        assert_eq!((file.name.as_str(), file.kind.as_str(), file.size), ("report.csv", "text/csv", 3));
        assert_eq!(file.bytes, Ok(b"a,b".to_vec()));
    }

    #[test]
    fn what_does_not_fit_is_refused_in_words() {
        let file = |data: String| json!({ "name": "x", "data": data });
        let large = BASE64.encode(&[0; 1025]);
        for (conversation, body, words) in [
            (ID, json!({ "id": "12345678", "text": "  " }), "empty"),
            (ID, json!({ "id": "12345678", "text": "x".repeat(257) }), "too long"),
            (ID, json!({ "id": "short", "text": "x" }), "no id"),
            (ID, json!({ "id": "1234567:8", "text": "x" }), "no id"),
            (ID, json!({ "id": "12345678", "text": "x", "person": "ben" }), "not what this page sends"),
            (ID, json!({ "id": "12345678", "text": "x", "ticket": "Q/1" }), "no card"),
            ("../ben/inbox", json!({ "id": "12345678", "text": "x" }), "no such conversation"),
            (place::INBOX, json!({ "id": "12345678", "text": "x" }), "only answer"),
            (ID, json!({ "id": "12345678", "files": [file(large)] }), "larger than 1 KiB"),
            (ID, json!({ "id": "12345678", "files": [file("!".to_owned())] }), "whole"),
            (ID, json!({ "id": "12345678", "files": vec![file(String::new()); 3] }), "may carry 2"),
        ] {
            let Refusal(what) = said(conversation, &body).unwrap_err();
            assert!(what.contains(words), "{what}");
        }
        assert!(pressed(&json!({ "id": "12345678", "ticket": "q", "choice": "" })).is_err());
        assert!(pressed(&json!({ "id": "12345678", "ticket": "", "choice": "a" })).is_err());
        assert!(
            pressed(&json!({ "id": "12345678", "ticket": "q", "choice": "a", "comment": "x".repeat(257) }))
                .is_err()
        );
        let filled = |values: Value| {
            pressed(&json!({ "id": "12345678", "ticket": "q", "choice": "a", "values": values }))
        };
        assert!(filled(json!({ "amount": "110" })).is_ok());
        assert!(filled(json!({ "amount": "x".repeat(257) })).is_err());
        assert!(filled(json!({ "a": "x".repeat(200), "b": "x".repeat(200) })).is_err());
        assert!(filled(json!({ "x".repeat(201): "" })).is_err());
        assert!(
            filled((0..101).map(|n| (n.to_string(), json!(""))).collect::<serde_json::Map<_, _>>().into())
                .is_err()
        );
        assert!(filled(json!({ "amount": 110 })).is_err());
        assert!(here(ID, |here| say(&[0xff; 9], here, &LIMITS)).is_err());
    }
}
