//! Forms: what opens over the conversation when a choice asks for more.
//!
//! Limits: <https://docs.slack.dev/reference/views/modal-views>,
//! <https://docs.slack.dev/reference/block-kit/block-elements/plain-text-input-element>.

use channel::{Card, Comment, Input};
use chat::{
    rich::{Piece, Run},
    text::clip,
};
use slack_morphism::prelude::*;

use super::plain;
use crate::{
    decode::{COMMENT, Purpose, VALUE, WORDS},
    rich,
};

const TITLE_CHARS_MAX: usize = 24;
/// The longest text that an input takes.
const VALUE_CHARS_MAX: usize = 3_000;
/// The longest name of a block.
const BLOCK_ID_MAX: usize = 255;
/// The most inputs of one form; Slack takes a hundred blocks.
const INPUTS_MAX: usize = 60;

/// The form for a purpose; nothing where its card does not offer that.
pub(crate) fn form(purpose: &Purpose, card: Option<&Card>) -> Option<SlackModalView> {
    let (title, submit, blocks) = match purpose {
        Purpose::Choice { choice, .. } => {
            let card = card?;
            let choice = card.choices.iter().find(|known| known.id == *choice)?;
            let mut blocks = about(&card.title, &card.text);
            blocks.extend(choice.form.iter().take(INPUTS_MAX).map(value));
            if choice.comment == Comment::Optional {
                blocks.push(input(COMMENT.to_owned(), "Why (optional)", "", true, true));
            }
            (
                choice.label.trim_end_matches('…').to_owned(),
                choice.label.trim_end_matches('…').to_owned(),
                blocks,
            )
        }
        Purpose::Answer { .. } => {
            let card = card?;
            let mut blocks = about(&card.title, &card.text);
            blocks.push(input(WORDS.to_owned(), "Your answer", "", true, false));
            ("Answer".to_owned(), "Send".to_owned(), blocks)
        }
        Purpose::Ask { quoted, .. } => {
            let quoted = Piece::Quote(vec![Run::plain(channel::inert(quoted))]);
            let mut blocks = rich::blocks(&[quoted]);
            blocks.push(input(WORDS.to_owned(), "What is to be done about it?", "", true, false));
            ("Ask an agent".to_owned(), "Ask".to_owned(), blocks)
        }
    };
    let metadata = serde_json::to_string(purpose).ok()?;
    Some(
        view(&title, blocks)
            .with_submit(plain(&submit, TITLE_CHARS_MAX).into())
            .with_private_metadata(metadata),
    )
}

/// A form that only says something.
pub(crate) fn notice(text: &str) -> SlackModalView {
    view("Not possible", rich::blocks(&[Piece::Paragraph(vec![Run::plain(channel::inert(text))])]))
}

fn view(title: &str, blocks: Vec<SlackBlock>) -> SlackModalView {
    SlackModalView::new(plain(title, TITLE_CHARS_MAX).into(), blocks)
        .with_close(plain("Cancel", TITLE_CHARS_MAX).into())
}

/// What the form is about, above what is filled in.
fn about(title: &str, text: &str) -> Vec<SlackBlock> {
    let text = clip(&channel::inert(text), 1_500);
    let mut pieces = vec![Piece::Paragraph(vec![Run::bold(clip(&channel::inert(title), 300))])];
    if !text.trim().is_empty() {
        pieces.push(Piece::Paragraph(vec![Run::plain(text)]));
    }
    rich::blocks(&pieces)
}

/// One argument. One that an input cannot hold stays as it is, and the form says so.
fn value(Input { id, label, value, .. }: &Input) -> SlackBlock {
    let block = format!("{VALUE}{id}");
    if value.chars().count() > VALUE_CHARS_MAX || block.len() > BLOCK_ID_MAX {
        let note = format!("{label}: too long to be changed here; it stays as it is.");
        return super::note_block(&note);
    }
    let long = value.contains('\n') || value.chars().count() > 60;
    input(block, label, value, long, true)
}

fn input(block: String, label: &str, value: &str, multiline: bool, optional: bool) -> SlackBlock {
    let mut element = SlackBlockPlainTextInputElement::new()
        .with_action_id(SlackActionId(block.clone()))
        .with_multiline(multiline)
        .with_max_length(VALUE_CHARS_MAX as u64);
    element.initial_value = (!value.is_empty()).then(|| value.to_owned());
    SlackInputBlock::new(plain(label, 2_000).into(), SlackInputBlockElement::PlainTextInput(element))
        .with_block_id(SlackBlockId(block))
        .with_optional(optional)
        .into()
}
