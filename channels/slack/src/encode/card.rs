//! Cards: a question with everything that it is about, and its buttons.
//!
//! Limits: <https://docs.slack.dev/reference/block-kit/blocks>.

use channel::{Card, CardState, Choice, Comment, Field, Style};
use chat::{
    rich::{Piece, Run},
    text::clip,
};
use slack_morphism::prelude::*;

use super::{Post, fallback, note_block, plain};
use crate::{
    decode::{ANSWER, FORM, PRESS},
    rich,
};

/// The most characters of a card. Slack refuses a message whose blocks hold much more, without saying where that is.
const CARD_CHARS_MAX: usize = 9_000;
/// What is shown of each value where the whole of them goes along as a file.
const CLIPPED_CHARS: usize = 300;
/// A value up to this length, of one line, stands beside its name.
const SHORT_CHARS: usize = 80;
const HEADER_CHARS_MAX: usize = 150;
const BUTTON_CHARS_MAX: usize = 75;
/// The most buttons in one block.
const BUTTONS_MAX: usize = 25;

/// The message that a card is.
pub(super) fn post(card: &Card) -> Post {
    let mut pieces = Vec::new();
    if card.title.chars().count() > HEADER_CHARS_MAX {
        pieces.push(Piece::Paragraph(vec![Run::bold(channel::inert(&card.title))]));
    }
    let whole = fits(card);
    let shown = |text: &str| if whole { channel::inert(text) } else { clip(&channel::inert(text), 2_000) };
    if !card.text.trim().is_empty() {
        pieces.push(Piece::Paragraph(vec![Run::plain(shown(&card.text))]));
    }
    for field in &card.fields {
        pieces.append(&mut row(field, whole));
    }
    if !whole {
        let note = "This is only a part: the whole of it is in the file above.";
        pieces.push(Piece::Paragraph(vec![Run::bold(note)]));
    }
    if let CardState::Open { .. } = card.state {
        pieces.extend(card.choices.iter().enumerate().filter_map(long_label));
    }
    let mut blocks: Vec<SlackBlock> = vec![header(&card.title)];
    blocks.append(&mut rich::blocks(&pieces));
    match &card.state {
        CardState::Open { deadline } => {
            if let Some(progress) = &card.progress {
                let progress = vec![Run::bold(clip(&channel::inert(progress), 1_000))];
                blocks.append(&mut rich::blocks(&[Piece::Paragraph(progress)]));
            }
            let buttons = buttons(card);
            blocks
                .extend(buttons.chunks(BUTTONS_MAX).map(|some| SlackActionsBlock::new(some.to_vec()).into()));
            blocks.push(note_block(&format!("{}open until {deadline:.0}", code(card, " · "))));
        }
        CardState::Closed { how } => {
            let how = vec![Piece::Paragraph(vec![Run::bold(clip(&channel::inert(how), 2_000))])];
            blocks.append(&mut rich::blocks(&how));
            if !card.code.is_empty() {
                blocks.push(note_block(&code(card, "")));
            }
        }
    }
    let text = match &card.state {
        CardState::Open { .. } => format!("{}: {}", card.title, card.text),
        CardState::Closed { how } => format!("{}: {how}", card.title),
    };
    Post { blocks, text: fallback(&channel::inert(&text)) }
}

/// The whole of a card's text and arguments, where they do not fit into it.
pub(crate) fn arguments(card: &Card) -> Option<String> {
    if fits(card) {
        return None;
    }
    let mut text = format!("{}\n\n{}\n", channel::inert(&card.title), channel::inert(&card.text));
    for Field { label, value } in &card.fields {
        text.push_str(&format!("\n{}:\n{}\n", channel::inert(label), channel::inert(value)));
    }
    Some(text)
}

fn fits(card: &Card) -> bool {
    let chars = |text: &str| channel::inert(text).chars().count() + 8;
    let fields: usize = card.fields.iter().map(|field| chars(&field.label) + chars(&field.value)).sum();
    chars(&card.text) + fields <= CARD_CHARS_MAX
}

/// What the question is called, if it has a name, with this behind it.
fn code(card: &Card, behind: &str) -> String {
    if card.code.is_empty() { String::new() } else { format!("#{}{behind}", clip(&card.code, 20)) }
}

fn header(title: &str) -> SlackBlock {
    SlackHeaderBlock::new(plain(title, HEADER_CHARS_MAX).into()).into()
}

/// A name and its value: on one line, or the value below it as it is.
fn row(field: &Field, whole: bool) -> Vec<Piece> {
    let (label, value) = (channel::inert(&field.label), channel::inert(&field.value));
    let value = if whole { value } else { clip(&value, CLIPPED_CHARS) };
    let short = value.chars().count() <= SHORT_CHARS && !value.contains('\n');
    let label = Run::bold(format!("{label}: "));
    if short {
        return vec![Piece::Paragraph(vec![label, Run::plain(value)])];
    }
    vec![Piece::Paragraph(vec![label]), Piece::Code { language: None, text: value }]
}

/// A label that a button has no room for stands above it.
fn long_label((n, choice): (usize, &Choice)) -> Option<Piece> {
    let label = channel::inert(&choice.label);
    (label.chars().count() > BUTTON_CHARS_MAX).then(|| Piece::Item {
        number: Some(n as u64 + 1),
        depth: 0,
        runs: vec![Run::plain(label)],
    })
}

fn buttons(card: &Card) -> Vec<SlackActionBlockElement> {
    let ticket = card.ticket.as_str();
    let button = |id: String, label: &str| {
        SlackBlockButtonElement::new(plain(label, BUTTON_CHARS_MAX).into())
            .with_action_id(SlackActionId(id))
            .with_value(ticket.to_owned())
    };
    let mut buttons: Vec<SlackActionBlockElement> = Vec::new();
    for choice in &card.choices {
        let asks_more = choice.comment == Comment::Optional || !choice.form.is_empty();
        let id = format!("{}{}", if asks_more { FORM } else { PRESS }, choice.id);
        let made = button(id, &choice.label);
        buttons.push(
            match choice.style {
                Style::Primary => made.with_style(SlackBlockButtonStyle::Primary),
                Style::Danger => made.with_style(SlackBlockButtonStyle::Danger),
                Style::Plain => made,
            }
            .into(),
        );
    }
    if card.free_text {
        buttons.push(button(ANSWER.to_owned(), "Answer…").into());
    }
    buttons
}
