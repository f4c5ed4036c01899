//! From what was said to what the page shows. Pure.
//!
//! Invariant: only `html` of a message is markup, and it comes from `markdown`; every other text is shown as text.

use channel::{
    Card, CardState, ChannelName, Comment, Content, Entry, File, Input, InputKind, Outgoing, Person, Said,
    Style, Timestamp, inert,
};
use serde::Serialize;

use crate::{config::Visitor, markdown};

/// One entry as the page gets it.
#[derive(Debug, Serialize)]
pub(crate) struct Shown {
    id: String,
    at: Timestamp,
    #[serde(flatten)]
    what: What,
}

#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum What {
    /// A person said it.
    Heard { name: String, me: bool, text: String, files: Vec<Link> },
    /// The gateway said it.
    Said(Words),
    /// The gateway said it to this person alone: why a click was refused.
    Note(Words),
    /// The gateway asks.
    Card(Asked),
}

#[derive(Debug, Serialize)]
struct Words {
    key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    amends: Option<String>,
    html: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    files: Vec<Link>,
}

#[derive(Debug, Serialize)]
struct Asked {
    key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    amends: Option<String>,
    ticket: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    code: String,
    title: String,
    text: String,
    fields: Vec<Row>,
    choices: Vec<Button>,
    free_text: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<String>,
    #[serde(flatten)]
    state: State,
    files: Vec<Link>,
}

#[derive(Debug, Serialize)]
struct Row {
    label: String,
    value: String,
}

#[derive(Debug, Serialize)]
struct Button {
    id: String,
    label: String,
    style: &'static str,
    comment: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    form: Vec<Line>,
}

/// A line of a form. Its value goes into an input, where nothing is read in it, so it comes as it is.
#[derive(Debug, Serialize)]
struct Line {
    id: String,
    label: String,
    value: String,
    kind: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    choices: Vec<Offer>,
    required: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

/// A choice of a line: what is shown, and what comes back.
#[derive(Debug, Serialize)]
struct Offer {
    label: String,
    value: String,
}

#[derive(Debug, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
enum State {
    Open { deadline: Timestamp },
    Closed { how: String },
}

/// A file as the page links it; without a hash its bytes were not kept.
#[derive(Debug, Serialize)]
struct Link {
    name: String,
    size: u64,
    hash: String,
}

/// What the page shows this visitor for an entry; nothing where the entry is for somebody else.
pub(crate) fn entry(entry: &Entry, channel: &ChannelName, visitor: &Visitor) -> Option<Shown> {
    let what = match &entry.said {
        Said::Heard { from, text, files } => What::Heard {
            name: inert(&from.name),
            me: is(from, channel, visitor),
            text: text.clone(),
            files: links(files),
        },
        Said::Sent(outgoing) => sent(outgoing, channel, visitor)?,
    };
    Some(Shown { id: entry.id.clone(), at: entry.at, what })
}

/// The file with this hash, if an entry that this visitor may see carries it.
pub(crate) fn file<'a>(
    entries: &'a [Entry],
    hash: &str,
    channel: &ChannelName,
    visitor: &Visitor,
) -> Option<&'a File> {
    let seen = entries.iter().filter_map(|entry| match &entry.said {
        Said::Heard { files, .. } => Some(files),
        Said::Sent(outgoing) => is_for(outgoing, channel, visitor).then_some(&outgoing.files),
    });
    seen.flatten().find(|file| !hash.is_empty() && file.hash == hash)
}

fn sent(outgoing: &Outgoing, channel: &ChannelName, visitor: &Visitor) -> Option<What> {
    if !is_for(outgoing, channel, visitor) {
        return None;
    }
    let key = outgoing.key.to_string();
    let amends = outgoing.amends.as_ref().map(ToString::to_string);
    let files = links(&outgoing.files);
    Some(match &outgoing.content {
        Content::Text(text) => {
            let words = Words {
                key,
                amends,
                html: markdown::render(&text.markdown),
                label: text.note.as_deref().map(inert),
                files,
            };
            if outgoing.only.is_some() { What::Note(words) } else { What::Said(words) }
        }
        Content::Card(card) => What::Card(asked(card, key, amends, files)),
    })
}

fn asked(card: &Card, key: String, amends: Option<String>, files: Vec<Link>) -> Asked {
    let fields =
        card.fields.iter().map(|field| Row { label: inert(&field.label), value: inert(&field.value) });
    let choices = card.choices.iter().map(|choice| Button {
        id: choice.id.clone(),
        label: inert(&choice.label),
        style: match choice.style {
            Style::Primary => "primary",
            Style::Danger => "danger",
            Style::Plain => "plain",
        },
        comment: match choice.comment {
            Comment::Optional => true,
            Comment::None => false,
        },
        form: choice.form.iter().map(line).collect(),
    });
    Asked {
        key,
        amends,
        ticket: card.ticket.to_string(),
        code: if card.code.is_empty() { String::new() } else { format!("#{}", inert(&card.code)) },
        title: inert(&card.title),
        text: inert(&card.text),
        fields: fields.collect(),
        choices: choices.collect(),
        free_text: card.free_text,
        progress: card.progress.as_deref().map(inert),
        state: match &card.state {
            CardState::Open { deadline } => State::Open { deadline: *deadline },
            CardState::Closed { how } => State::Closed { how: inert(how) },
        },
        files,
    }
}

fn line(input: &Input) -> Line {
    let (kind, choices) = match &input.kind {
        InputKind::Line => ("line", &[][..]),
        InputKind::Lines => ("lines", &[][..]),
        InputKind::Number => ("number", &[][..]),
        InputKind::YesNo => ("yes_no", &[][..]),
        InputKind::Date => ("date", &[][..]),
        InputKind::One(choices) => ("one", choices.as_slice()),
        InputKind::Several(choices) => ("several", choices.as_slice()),
    };
    Line {
        id: input.id.clone(),
        label: inert(&input.label),
        value: input.value.clone(),
        kind,
        choices: choices.iter().map(|choice| Offer { label: inert(choice), value: choice.clone() }).collect(),
        required: input.required,
        hint: input.hint.as_deref().map(inert),
    }
}

fn links(files: &[File]) -> Vec<Link> {
    files
        .iter()
        .map(|file| Link { name: inert(&file.name), size: file.size, hash: file.hash.clone() })
        .collect()
}

fn is_for(outgoing: &Outgoing, channel: &ChannelName, visitor: &Visitor) -> bool {
    outgoing.only.as_ref().is_none_or(|person| is(person, channel, visitor))
}

fn is(person: &Person, channel: &ChannelName, visitor: &Visitor) -> bool {
    person.channel == *channel && person.id == visitor.id
}

#[cfg(test)]
mod tests {
    use channel::{Address, Choice, DeliveryKey, Field, Place, Text, Ticket, Verified};

    use super::*;

    fn person(id: &str) -> Person {
        let verified = Verified::Proven { by: "token".to_owned() };
        Person {
            channel: ChannelName::new("web"),
            id: id.to_owned(),
            name: "A\u{202e}na".to_owned(),
            verified,
            roles: Vec::new(),
        }
    }

    fn outgoing(content: Content) -> Outgoing {
        Outgoing {
            key: DeliveryKey::new("t1-4"),
            to: Address { channel: ChannelName::new("web"), place: Place::new("ana/inbox") },
            at: Timestamp::UNIX_EPOCH,
            only: None,
            in_reply_to: None,
            amends: None,
            content,
            files: vec![],
        }
    }

    fn text(markdown: &str) -> Content {
        Content::Text(Text { markdown: markdown.to_owned(), note: Some("scripted model".to_owned()) })
    }

    fn card(state: CardState) -> Content {
        let choice = |id: &str, style, comment| Choice {
            id: id.to_owned(),
            label: id.to_owned(),
            style,
            comment,
            form: Vec::new(),
            reply: None,
        };
        let list = |choices: &[&str]| choices.iter().map(|choice| (*choice).to_owned()).collect();
        let kinds = [
            InputKind::Lines,
            InputKind::Number,
            InputKind::YesNo,
            InputKind::One(list(&["a\u{202e}", "b"])),
            InputKind::Several(list(&["<b>", "c, d"])),
            InputKind::Date,
        ];
        let of = |(n, kind): (usize, InputKind)| Input {
            kind,
            required: n == 0,
            hint: (n == 1).then(|| "hint\u{202e}".to_owned()),
            ..Input::line(format!("line-{n}"), format!("Line {n}"), "")
        };
        let more = kinds.into_iter().enumerate().map(of);
        let line = Input::line("version", "version\u{202e}", "v1.4\u{200b}\r\n<b>");
        Content::Card(Card {
            ticket: Ticket::new("q1.abc"),
            code: "k3f".to_owned(),
            title: "Approve: deploy".to_owned(),
            text: "Deploy <b>v1.4</b>?".to_owned(),
            fields: vec![Field {
                label: "version".to_owned(),
                value: "v1.4\u{200b}\u{202e}\u{7}".to_owned(),
            }],
            choices: vec![
                choice("approve", Style::Primary, Comment::None),
                Choice {
                    form: std::iter::once(line).chain(more).collect(),
                    ..choice("edit", Style::Plain, Comment::None)
                },
                choice("reject", Style::Danger, Comment::Optional),
                choice("later", Style::Plain, Comment::None),
            ],
            free_text: true,
            progress: Some("Approved by <b>Ana</b>\u{202e}".to_owned()),
            state,
        })
    }

    fn shown(said: Said) -> Option<serde_json::Value> {
        let ana = Visitor { id: "ana".to_owned(), name: "Ana".to_owned() };
        let whole = Entry { id: "0001".to_owned(), at: Timestamp::UNIX_EPOCH, said };
        entry(&whole, &ChannelName::new("web"), &ana).map(|shown| serde_json::to_value(shown).unwrap())
    }

    #[test]
    fn every_kind_of_entry() {
        let file =
            File { name: "a.csv".to_owned(), kind: "text/csv".to_owned(), size: 3, hash: "ab".repeat(32) };
        let heard =
            Said::Heard { from: person("ana"), text: "<b>hi</b>".to_owned(), files: vec![file.clone()] };
        let said = Outgoing { files: vec![file], ..outgoing(text("**Done.** <i>x</i>")) };
        let note = Outgoing { only: Some(person("ana")), ..outgoing(text("You may not approve this.")) };
        let open = outgoing(card(CardState::Open { deadline: Timestamp::UNIX_EPOCH }));
        let closed = Outgoing {
            amends: Some(DeliveryKey::new("t1-3")),
            ..outgoing(card(CardState::Closed { how: "Approved by Ana".to_owned() }))
        };
        let mut all = vec![shown(heard)];
        all.extend([said, note, open, closed].map(|outgoing| shown(Said::Sent(Box::new(outgoing)))));
        insta::assert_json_snapshot!(all);
    }

    #[test]
    fn what_is_for_somebody_else_is_not_shown() {
        let note = Outgoing { only: Some(person("ben")), ..outgoing(text("for Ben")) };
        assert!(shown(Said::Sent(Box::new(note))).is_none());
    }
}
