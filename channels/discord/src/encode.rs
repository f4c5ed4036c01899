//! From outgoing messages to Discord's. Pure.
//!
//! What a model said becomes markdown in which only our own structure is read; what stands in a card is plain text throughout.
//!
//! Invariant: the same outgoing gives the same messages at each attempt, each with a nonce of its own.
//! Invariant: no message made here rings anybody: `allowed_mentions` is empty on every send and every edit.

mod card;
mod form;

use channel::{Content, DeliveryKey, Outgoing, Text};
use chat::{
    payload::{list, text},
    text::{clip, digest},
};
use serde_json::Value;
use serenity::{
    all::{ChannelId, MessageFlags, MessageId, MessageReference, MessageReferenceKind, Nonce},
    builder::{
        CreateActionRow, CreateAllowedMentions, CreateEmbed, CreateInteractionResponse,
        CreateInteractionResponseFollowup, CreateInteractionResponseMessage, CreateMessage,
        EditInteractionResponse, EditMessage,
    },
};

use crate::markdown::{self, inert};

pub(crate) use card::arguments;
pub(crate) use form::{form, notice};

/// What stands below a draft, and below no other message: it would be escaped there.
const DRAFT_SIGN: &str = "\n-# …";
const NOTE_CHARS_MAX: usize = 300;

/// One message of Discord's.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Post {
    /// Words, as markdown.
    pub(crate) content: String,
    /// What a card shows.
    pub(crate) embed: Option<CreateEmbed>,
    /// Buttons.
    pub(crate) rows: Vec<CreateActionRow>,
}

/// The messages that an outgoing becomes, in order. Files go behind them.
pub(crate) fn posts(outgoing: &Outgoing) -> Vec<Post> {
    match &outgoing.content {
        Content::Text(text) => said(text),
        Content::Card(card) => vec![card::post(card)],
    }
}

fn said(text: &Text) -> Vec<Post> {
    let note = text.note.as_ref().map(|note| small(note));
    let room = note.as_deref().map_or(0, |note| markdown::chars(note) + 1);
    let messages = markdown::messages(&text.markdown, room);
    let mut posts: Vec<Post> = messages.iter().map(|pieces| words(markdown::text(pieces))).collect();
    // Discord refuses messages of white space.
    posts.retain(|post| !post.content.trim().is_empty());
    if let Some(note) = note {
        match posts.last_mut() {
            Some(last) => last.content = format!("{}\n{note}", last.content),
            None => posts.push(words(note)),
        }
    }
    posts
}

/// A message of these words and nothing else.
pub(crate) fn words(content: String) -> Post {
    Post { content, ..Post::default() }
}

/// A line of small plain text.
pub(crate) fn small(text: &str) -> String {
    format!("-# {}", inert(&clip(&text.replace('\n', " "), NOTE_CHARS_MAX)))
}

/// An answer so far.
pub(crate) fn draft(text: &str) -> Post {
    let messages = markdown::messages(text, markdown::chars(DRAFT_SIGN));
    let shown = messages.first().map(|pieces| markdown::text(pieces)).unwrap_or_default();
    words(format!("{shown}{DRAFT_SIGN}"))
}

/// Whether a message of ours is what is left of a draft.
pub(crate) fn is_draft(message: &Value) -> bool {
    text(message, &["content"]).is_some_and(|content| content.ends_with(DRAFT_SIGN))
}

/// The answer to an interaction, as Discord reads it.
pub(crate) fn response(response: &CreateInteractionResponse) -> Value {
    // What cannot be written can still be acknowledged.
    serde_json::to_value(response).unwrap_or_else(|_| serde_json::json!({ "type": 6 }))
}

/// The name under which Discord takes a message once, for some minutes: at most 25 characters.
pub(crate) fn nonce(key: &DeliveryKey, n: usize) -> String {
    digest(&[key.as_str(), &n.to_string()])
}

impl Post {
    pub(crate) fn create(&self, nonce: &str, reply_to: Option<(u64, u64)>) -> CreateMessage {
        let mut message = CreateMessage::new()
            .content(&self.content)
            .embeds(self.embed.iter().cloned().collect())
            .components(self.rows.clone())
            .flags(self.flags())
            .nonce(Nonce::String(nonce.to_owned()))
            .enforce_nonce(true)
            .allowed_mentions(nobody());
        if let Some((channel, below)) = reply_to {
            let reference = MessageReference::new(MessageReferenceKind::Default, ChannelId::new(channel));
            // A message that is gone by now does not keep the answer to it back.
            message = message
                .reference_message(reference.message_id(MessageId::new(below)).fail_if_not_exists(false));
        }
        message
    }

    pub(crate) fn edit(&self) -> EditMessage {
        EditMessage::new()
            .content(&self.content)
            .embeds(self.embed.iter().cloned().collect())
            .components(self.rows.clone())
            .flags(self.flags())
            .allowed_mentions(nobody())
    }

    /// The answer to an interaction that was promised before.
    pub(crate) fn original(&self) -> EditInteractionResponse {
        EditInteractionResponse::new()
            .content(&self.content)
            .embeds(self.embed.iter().cloned().collect())
            .components(self.rows.clone())
            .flags(self.flags())
            .allowed_mentions(nobody())
    }

    /// A further answer to an interaction; to one person alone.
    pub(crate) fn privately(&self) -> CreateInteractionResponseFollowup {
        CreateInteractionResponseFollowup::new()
            .content(&self.content)
            .embeds(self.embed.iter().cloned().collect())
            .components(self.rows.clone())
            .flags(self.flags() | MessageFlags::EPHEMERAL)
            .allowed_mentions(nobody())
    }

    /// Links get no preview; the flag would hide a card, too.
    fn flags(&self) -> MessageFlags {
        if self.embed.is_some() { MessageFlags::empty() } else { MessageFlags::SUPPRESS_EMBEDS }
    }

    /// Whether a message that Discord holds is this one.
    pub(crate) fn is(&self, message: &Value) -> bool {
        let content = message.get("content").and_then(Value::as_str).unwrap_or_default();
        let ours = serde_json::to_value(&self.rows).unwrap_or_default();
        let buttons = |rows: &[Value]| -> Vec<String> {
            let elements = rows.iter().flat_map(|row| list(row, &["components"]));
            elements.filter_map(|element| text(element, &["custom_id"]).map(str::to_owned)).collect()
        };
        let description = self.embed.as_ref().map(|embed| serde_json::to_value(embed).unwrap_or_default());
        let description = description.as_ref().and_then(|embed| text(embed, &["description"]));
        let there = list(message, &["embeds"]).first().and_then(|embed| text(embed, &["description"]));
        content.trim() == self.content.trim()
            && buttons(list(message, &["components"])) == buttons(ours.as_array().map_or(&[], Vec::as_slice))
            && there.map(str::trim) == description.map(str::trim)
    }
}

/// Rings nobody, whatever the text says.
pub(crate) fn nobody() -> CreateAllowedMentions {
    CreateAllowedMentions::new().replied_user(false)
}

/// A response that only the person who asked sees.
pub(crate) fn told(text: &str) -> CreateInteractionResponseMessage {
    CreateInteractionResponseMessage::new().content(inert(text)).ephemeral(true).allowed_mentions(nobody())
}

#[cfg(test)]
mod tests {
    use channel::{
        Address, Card, CardState, ChannelName, Choice, Comment, Field, Input, InputKind, Place, Style,
        Ticket, Timestamp,
    };
    use serde_json::json;

    use super::*;

    fn outgoing(content: Content) -> Outgoing {
        Outgoing {
            key: DeliveryKey::new("k3fj2m9qx7ab4c5d-1.4.0"),
            to: Address { channel: ChannelName::new("discord"), place: Place::new("1/2") },
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
            text: "Ben asked: @everyone refund *me*".to_owned(),
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

    fn json(content: Content) -> Value {
        let posts = posts(&outgoing(content));
        json!(posts.iter().map(|post| post.create("n", Some((1, 2)))).collect::<Vec<_>>())
    }

    #[test]
    fn every_kind_of_message() {
        let text = Text { markdown: "**Done.** @everyone".into(), note: Some("scripted <b>".into()) };
        insta::assert_json_snapshot!("said", json(Content::Text(text)));
        insta::assert_json_snapshot!("asked", json(Content::Card(card())));
        let closed = CardState::Closed { how: "Approved by <@1>".into() };
        insta::assert_json_snapshot!("settled", json(Content::Card(Card { state: closed, ..card() })));
        let many = (0..30).map(|n| Choice {
            id: n.to_string(),
            label: format!("Release {n}"),
            style: Style::Plain,
            comment: Comment::None,
            form: vec![],
            reply: None,
        });
        insta::assert_json_snapshot!("many", json(Content::Card(Card { choices: many.collect(), ..card() })));
        insta::assert_json_snapshot!("rewritten", posts(&outgoing(Content::Card(card())))[0].edit());
    }

    #[test]
    fn a_message_is_known_again_and_no_other_is_taken_for_it() {
        let said = |markdown: &str| words(markdown.to_owned());
        assert!(said("done").is(&json!({ "content": "done", "embeds": [], "components": [] })));
        assert!(!said("done").is(&json!({ "content": "done!" })));
        let asked = card::post(&card());
        let sent = serde_json::to_value(asked.create("n", None)).unwrap();
        assert!(asked.is(&sent));
        let other = Card { ticket: Ticket::new("k3fj2m9qx7ab4c5d-1.9.abcdefghijklmnop"), ..card() };
        assert!(!card::post(&other).is(&sent) && !said("").is(&sent));
    }

    #[test]
    fn every_message_has_a_nonce_of_its_own() {
        let key = DeliveryKey::new("k3fj-1.4.0");
        assert_eq!(nonce(&key, 0), nonce(&key, 0));
        assert_ne!(nonce(&key, 0), nonce(&key, 1));
        assert_ne!(nonce(&key, 0), nonce(&DeliveryKey::new("k3fj-1.5.0"), 0));
        assert!(nonce(&key, 0).len() <= 25);
    }

    #[test]
    fn a_long_card_lets_its_arguments_go_along_as_a_file() {
        let mut long = card();
        assert_eq!(arguments(&long), None);
        long.fields[1].value = "x*".repeat(10_000);
        let file = arguments(&long).unwrap();
        assert!(file.contains(&long.fields[1].value) && file.contains("amount"));
        let shown = json(Content::Card(long)).to_string();
        assert!(shown.len() < 6_000 && shown.contains("the whole of it"), "{shown}");
    }

    #[test]
    fn a_draft_is_known_and_what_says_the_same_is_none() {
        assert!(is_draft(&json!({ "content": draft("so far").content })));
        let same = said(&Text { markdown: "so far\n\\-# …".into(), note: None });
        assert!(!is_draft(&json!({ "content": same[0].content })));
        assert!(markdown::chars(&draft(&"word ".repeat(2_000)).content) <= 2_000);
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
        let (code, progress) = ("k3f".to_owned(), Some("Approved by @everyone *Ana*".to_owned()));
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

    fn fill(card: &Card) -> Value {
        form(&format!("form:fill:{}", card.ticket), Some(card)).unwrap()
    }

    #[test]
    fn each_kind_of_line_is_filled_in_by_a_part_of_its_own_as_long_as_there_are_five() {
        let (few, many) = (asking(kinds().split_off(3)), asking(kinds()));
        insta::assert_json_snapshot!("kinds", [fill(&few), fill(&many)]);
        insta::assert_json_snapshot!("called", json(Content::Card(many)));
    }

    /// What is more than a menu holds is written, and stands above the line.
    #[test]
    fn however_many_choices_there_are_none_is_lost() {
        let many: Vec<String> = (1..=26).map(|n| format!("Release {n}")).collect();
        let of = |kind| Input { kind, ..Input::line("a", "a", "Release 7") };
        let parts = |kind| fill(&asking(vec![of(kind)]))["data"]["components"].clone();
        let menu = parts(InputKind::One(many[..25].to_vec()));
        assert_eq!((menu.as_array().unwrap().len(), &menu[0]["component"]["type"]), (1, &json!(3)));
        for kind in [InputKind::One(many.clone()), InputKind::Several(many)] {
            let written = parts(kind);
            assert_eq!(written[0]["component"]["value"], "Release 7");
            assert!(written[1]["content"].as_str().unwrap().contains("26 Release 26"), "{written:#}");
        }
        let long = parts(InputKind::One(vec!["x".repeat(101), "y".to_owned()]));
        assert_eq!(long[0]["component"]["options"][0]["value"], "1");
    }

    #[test]
    fn forms_hold_what_they_are_for() {
        let ticket = card().ticket.to_string();
        let forms = ["form:edit:", "form:reject:", "answer::"]
            .map(|id| serde_json::to_value(form(&format!("{id}{ticket}"), Some(&card()))).unwrap());
        insta::assert_json_snapshot!("forms", forms);
        insta::assert_json_snapshot!("ask", form("ask::77", None));
        assert!(form(&format!("form:nothing:{ticket}"), Some(&card())).is_none());
        assert!(form(&format!("form:edit:{ticket}"), None).is_none());
    }
}
