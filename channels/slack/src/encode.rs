//! From outgoing messages to Slack's. Pure.
//!
//! What a model said becomes rich text; what stands in a card is plain text throughout. So nothing that comes from outside
//! is ever read as markup.
//!
//! Invariant: the same outgoing gives the same messages at each attempt, each under a mark of its own.

mod card;
mod form;

use std::collections::HashMap;

use channel::{Content, DeliveryKey, Outgoing, Text};
use chat::text::clip;
use slack_morphism::prelude::*;

use crate::{rich, words};

pub(crate) use card::arguments;
pub(crate) use form::{form, notice};

/// The kind of the metadata that carries a mark.
pub(crate) const MARKED: &str = "switchboard_message";
/// The longest fallback, which notifications show.
const FALLBACK_CHARS_MAX: usize = 3_000;

/// One message of Slack's.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Post {
    /// What is shown.
    pub(crate) blocks: Vec<SlackBlock>,
    /// What a notification shows; Slack reads markup in it, so it is escaped.
    pub(crate) text: String,
}

/// The messages that an outgoing becomes, in order. Files go behind them.
pub(crate) fn posts(outgoing: &Outgoing) -> Vec<Post> {
    match &outgoing.content {
        Content::Text(text) => said(text),
        Content::Card(card) => vec![card::post(card)],
    }
}

fn said(text: &Text) -> Vec<Post> {
    let mut posts: Vec<Post> = rich::messages(&text.markdown)
        .iter()
        .map(|pieces| Post { blocks: rich::blocks(pieces), text: fallback(&chat::rich::words(pieces)) })
        .collect();
    if let Some(note) = &text.note {
        let note = note_block(note);
        match posts.last_mut() {
            Some(last) => last.blocks.push(note),
            None => posts.push(Post { blocks: vec![note], text: String::from(" ") }),
        }
    }
    posts
}

/// A line of small plain text.
pub(crate) fn note_block(text: &str) -> SlackBlock {
    SlackContextBlock::new(vec![SlackContextBlockElement::Plain(plain(text, 2_000))]).into()
}

/// A text that nothing is read in.
pub(crate) fn plain(text: &str, chars_max: usize) -> SlackBlockPlainText {
    let text = clip(&channel::inert(text), chars_max);
    // Slack refuses empty texts.
    let text = if text.trim().is_empty() { " ".to_owned() } else { text };
    SlackBlockPlainText::new(text).with_emoji(false)
}

/// Words for a notification.
pub(crate) fn fallback(text: &str) -> String {
    let text = words::escape(&clip(text, FALLBACK_CHARS_MAX));
    if text.trim().is_empty() { " ".to_owned() } else { text }
}

/// The mark of one message of an outgoing.
pub(crate) fn mark(key: &DeliveryKey, n: usize) -> String {
    format!("{key}#{n}")
}

/// The number of a message, from its mark, if it is one of this outgoing's.
pub(crate) fn marked(mark: &str, key: &DeliveryKey) -> Option<usize> {
    mark.strip_prefix(key.as_str())?.strip_prefix('#')?.parse().ok()
}

/// The same blocks, with the mark on the first of them: it stays there, also where a message takes no metadata.
pub(crate) fn with_mark(mut blocks: Vec<SlackBlock>, mark: &str) -> Vec<SlackBlock> {
    let id = Some(SlackBlockId(mark.to_owned()));
    match blocks.first_mut() {
        Some(SlackBlock::RichText(block)) => block.block_id = id,
        Some(SlackBlock::Header(block)) => block.block_id = id,
        Some(SlackBlock::Context(block)) => block.block_id = id,
        Some(SlackBlock::Section(block)) => block.block_id = id,
        Some(SlackBlock::Table(block)) => block.block_id = id,
        Some(SlackBlock::Divider(block)) => block.block_id = id,
        // No message made here begins with any other.
        _ => {}
    }
    blocks
}

/// The metadata that carries a mark.
pub(crate) fn metadata(mark: &str) -> SlackMessageMetadata {
    let payload = HashMap::from([("mark".to_owned(), mark.to_owned())]);
    SlackMessageMetadata::new(MARKED.to_owned()).with_event_payload(payload)
}

/// A draft of an answer as Markdown for a stream: nothing in it is alive, and what was sent stays as it is when more comes.
pub(crate) fn draft(text: &str) -> String {
    let mut safe = String::with_capacity(text.len() + text.len() / 16);
    let mut before = ' ';
    for c in chat::rich::visible(text).chars() {
        // A stream cannot be told to make no previews, and whoever makes one fetches what the text says. So no address is made
        // out in it: what cannot be seen stands within. The message that takes the draft's place has its links.
        if matches!(before, ':' | '.') && (c == '/' || c.is_alphanumeric()) {
            safe.push('\u{2060}');
        }
        before = c;
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            // Neither a link nor a picture.
            '[' => safe.push_str("\\["),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use channel::{
        Address, Card, CardState, ChannelName, Choice, Comment, Field, Input, InputKind, Place, Style,
        Ticket, Timestamp,
    };

    use super::*;

    fn outgoing(content: Content) -> Outgoing {
        Outgoing {
            key: DeliveryKey::new("k3fj2m9qx7ab4c5d-1.4.0"),
            to: Address { channel: ChannelName::new("slack"), place: Place::new("T1/C1") },
            at: Timestamp::UNIX_EPOCH,
            only: None,
            in_reply_to: None,
            amends: None,
            content,
            files: vec![],
        }
    }

    fn card() -> Card {
        let choice = |id: &str, style, comment, form: Vec<Input>| Choice {
            id: id.to_owned(),
            label: id.to_owned(),
            style,
            comment,
            form,
            reply: None,
        };
        let amount = Input::line("amount", "amount", "120");
        Card {
            ticket: Ticket::new("k3fj2m9qx7ab4c5d-1.3.abcdefghijklmnop"),
            code: String::new(),
            title: "Approve: refund".to_owned(),
            text: "Ben asked: <!channel> refund *me*".to_owned(),
            fields: vec![
                Field { label: "amount".into(), value: "120".into() },
                Field { label: "note".into(), value: "two\nlines \u{202e}".into() },
            ],
            choices: vec![
                choice("approve", Style::Primary, Comment::None, vec![]),
                choice("edit", Style::Plain, Comment::None, vec![amount]),
                choice("reject", Style::Danger, Comment::Optional, vec![]),
            ],
            free_text: true,
            progress: None,
            state: CardState::Open { deadline: Timestamp::UNIX_EPOCH },
        }
    }

    fn json(content: Content) -> serde_json::Value {
        let posts = posts(&outgoing(content));
        let blocks: Vec<_> = posts.into_iter().map(|post| (post.text, post.blocks)).collect();
        serde_json::to_value(blocks).unwrap()
    }

    #[test]
    fn every_kind_of_message() {
        let text = Text { markdown: "**Done.** <!channel>".into(), note: Some("scripted <b>".into()) };
        insta::assert_json_snapshot!("said", json(Content::Text(text)));
        insta::assert_json_snapshot!("asked", json(Content::Card(card())));
        let closed = CardState::Closed { how: "Approved by <@U1>".into() };
        insta::assert_json_snapshot!("settled", json(Content::Card(Card { state: closed, ..card() })));
    }

    #[test]
    fn a_mark_is_found_again_and_is_nobody_else_s() {
        let key = DeliveryKey::new("k3fj-1.4.0");
        assert_eq!(marked(&mark(&key, 3), &key), Some(3));
        for other in ["k3fj-1.4.0", "k3fj-1.4.0#", "k3fj-1.4.0#x", "k3fj-1.4.01#3", "#3", "x"] {
            assert_eq!(marked(other, &key), None, "{other}");
        }
        for content in [
            Content::Card(card()),
            Content::Text(Text { markdown: "| a |\n|---|\n| 1 |".into(), note: None }),
        ] {
            let blocks = with_mark(posts(&outgoing(content)).remove(0).blocks, "m#0");
            assert!(serde_json::to_string(&blocks).unwrap().contains("m#0"));
        }
    }

    #[test]
    fn a_long_card_lets_its_arguments_go_along_as_a_file() {
        let mut long = card();
        assert_eq!(arguments(&long), None);
        long.fields[1].value = "x".repeat(20_000);
        let file = arguments(&long).unwrap();
        assert!(file.contains(&long.fields[1].value) && file.contains("amount"));
        let shown = json(Content::Card(long)).to_string();
        assert!(shown.len() < 12_000, "{}", shown.len());
        assert!(shown.contains("the whole of it"), "{shown}");
    }

    #[test]
    fn a_draft_is_inert_and_only_grows() {
        let text = "See <!channel> & [x](https://a.example) ![p](https://evil.example/p) `a`\u{202e}";
        for (end, _) in text.char_indices() {
            assert!(draft(text).starts_with(&draft(&text[..end])));
        }
        assert!(!draft(text).contains("<!") && !draft(text).replace("\\[", "").contains('['));
        let addresses = "https://a.example/?q=1 HTTP://A.EXAMPLE (http://a.example) www.a.example a.example/x mailto:b@a.example";
        for alive in ["://", "a.e", "A.E", "www.a", "mailto:b"] {
            assert!(addresses.contains(alive) && !draft(addresses).contains(alive), "{alive}");
        }
        assert_eq!(draft(addresses).replace('\u{2060}', ""), addresses, "it reads as it did");
    }

    /// A card that asks by a form of these lines.
    fn asking(form: Vec<Input>) -> Card {
        let fill = Choice {
            id: "fill".into(),
            label: "Fill in…".into(),
            style: Style::Primary,
            comment: Comment::None,
            form,
            reply: None,
        };
        let (code, progress) = ("k3f".to_owned(), Some("Approved by <!channel> *Ana*".to_owned()));
        Card { code, progress, choices: vec![fill], free_text: false, ..card() }
    }

    fn kinds() -> Vec<Input> {
        let list = |choices: &[&str]| choices.iter().map(|choice| (*choice).to_owned()).collect();
        let of = |id: &str, kind, value: &str| Input { kind, ..Input::line(id, id, value) };
        vec![
            Input {
                required: true,
                hint: Some("as on the *door*".into()),
                ..of("street", InputKind::Line, "")
            },
            of("notes", InputKind::Lines, ""),
            of("amount", InputKind::Number, "120"),
            of("odd", InputKind::Number, "many"),
            of("express", InputKind::YesNo, "no"),
            of("when", InputKind::Date, "2026-12-24"),
            of("slot", InputKind::One(list(&["morning", "noon, sharp"])), "morning"),
            of("extras", InputKind::Several(list(&["card", "gift"])), "card\ngift"),
        ]
    }

    fn fill(card: &Card) -> serde_json::Value {
        let (place, message) = ("T1/C1".to_owned(), "T1/C1/1.000001".to_owned());
        let purpose = crate::decode::Purpose::Choice {
            ticket: card.ticket.to_string(),
            choice: "fill".into(),
            place,
            message,
        };
        serde_json::to_value(form(&purpose, Some(card))).unwrap()
    }

    #[test]
    fn each_kind_of_line_is_filled_in_by_an_input_of_its_own() {
        let asked = asking(kinds());
        insta::assert_json_snapshot!("kinds", fill(&asked));
        insta::assert_json_snapshot!("called", json(Content::Card(asked)));
    }

    /// What is more than an element holds is held by another; a label that is too long goes on below it.
    #[test]
    fn however_many_choices_there_are_none_is_lost() {
        let many = |count: usize| (1..=count).map(|n| format!("Release {n}")).collect::<Vec<_>>();
        let of = |kind| Input { kind, ..Input::line("a", "a", "Release 7") };
        for (kind, element) in [
            (InputKind::One(many(10)), "radio_buttons"),
            (InputKind::One(many(11)), "static_select"),
            (InputKind::One(many(100)), "static_select"),
            (InputKind::One(many(101)), "plain_text_input"),
            (InputKind::Several(many(10)), "checkboxes"),
            (InputKind::Several(many(11)), "multi_static_select"),
            (InputKind::Several(many(101)), "plain_text_input"),
        ] {
            let shown = fill(&asking(vec![of(kind)]));
            let input = shown["blocks"].as_array().unwrap().last().unwrap();
            assert_eq!(input["element"]["type"], element);
            let last = if element == "plain_text_input" { "Release 101" } else { "Release 10" };
            assert!(input.to_string().contains(last), "{input:#}");
            assert!(input["element"].to_string().contains("initial"), "{input:#}");
        }
        let long = format!("{}end", "x".repeat(77));
        let shown = fill(&asking(vec![of(InputKind::One(vec![long.clone(), "y".repeat(200)]))]));
        let options = &shown["blocks"].as_array().unwrap().last().unwrap()["element"]["options"];
        assert_eq!(options[0]["value"], long.as_str());
        assert!(options[0]["description"]["text"].as_str().unwrap().ends_with("end"), "{options:#}");
        assert_eq!(options[1]["value"], "2");
    }

    #[test]
    fn forms_hold_what_they_are_for() {
        use crate::decode::Purpose;
        let (place, message) = ("T1/C1".to_owned(), "T1/C1/1.000001".to_owned());
        let ticket = card().ticket.to_string();
        let of = |choice: &str| Purpose::Choice {
            ticket: ticket.clone(),
            choice: choice.into(),
            place: place.clone(),
            message: message.clone(),
        };
        let answer =
            Purpose::Answer { ticket: ticket.clone(), place: place.clone(), message: message.clone() };
        let quoted = "two\nlines".to_owned();
        let ask =
            Purpose::Ask { place: place.clone(), message: message.clone(), author: "U1".into(), quoted };
        let forms = [of("edit"), of("reject"), answer, ask].map(|purpose| form(&purpose, Some(&card())));
        insta::assert_json_snapshot!("forms", forms);
        assert!(form(&of("nothing"), Some(&card())).is_none());
        assert!(form(&of("edit"), None).is_none());
    }
}
