//! Forms: what opens over the conversation when a choice asks for more.
//!
//! Limits: <https://discord.com/developers/docs/components/reference#text-input>.

use channel::{Card, Comment, Input};
use chat::text::clip;
use serenity::{
    all::InputTextStyle,
    builder::{CreateActionRow, CreateInputText, CreateInteractionResponse, CreateModal},
};

use super::told;
use crate::{
    decode::{ANSWER, ASK, COMMENT, FORM, VALUE, WORDS, parts},
    markdown::chars,
};

const TITLE_CHARS_MAX: usize = 45;
const LABEL_CHARS_MAX: usize = 45;
/// The longest text that an input takes.
const VALUE_CHARS_MAX: usize = 4_000;
const ID_CHARS_MAX: usize = 100;
/// The most inputs of one form.
const INPUTS_MAX: usize = 5;

/// The form that the id of a button, or of a command, asks for; nothing where its card does not offer that.
pub(crate) fn form(id: &str, card: Option<&Card>) -> Option<CreateInteractionResponse> {
    let (kind, choice, _) = parts(id)?;
    let (title, inputs) = match kind {
        FORM => {
            let choice = card?.choices.iter().find(|known| known.id == choice)?;
            let comment = (choice.comment == Comment::Optional)
                .then(|| input(COMMENT.to_owned(), "Why (optional)", "", InputTextStyle::Paragraph));
            let room = INPUTS_MAX - usize::from(comment.is_some());
            let mut inputs: Vec<_> = choice.form.iter().filter_map(value).take(room).collect();
            inputs.extend(comment.map(|input| input.required(false)));
            (choice.label.trim_end_matches('…').to_owned(), inputs)
        }
        ANSWER => {
            let input = input(WORDS.to_owned(), "Your answer", "", InputTextStyle::Paragraph);
            (card?.title.clone(), vec![input.required(true)])
        }
        ASK => {
            let input =
                input(WORDS.to_owned(), "What is to be done about it?", "", InputTextStyle::Paragraph);
            ("Ask an agent".to_owned(), vec![input.required(true)])
        }
        _ => return None,
    };
    if inputs.is_empty() {
        return None;
    }
    let title = clip(&channel::inert(&title).replace('\n', " "), TITLE_CHARS_MAX);
    let rows = inputs.into_iter().map(CreateActionRow::InputText).collect();
    Some(CreateInteractionResponse::Modal(CreateModal::new(id, title).components(rows)))
}

/// A word to the person who asked for a form that there is not.
pub(crate) fn notice(text: &str) -> CreateInteractionResponse {
    CreateInteractionResponse::Message(told(text))
}

/// One argument. One that an input cannot hold, or that is beyond the fifth, stays as it is.
fn value(Input { id, label, value, .. }: &Input) -> Option<CreateInputText> {
    let id = format!("{VALUE}{id}");
    if chars(value) > VALUE_CHARS_MAX || chars(&id) > ID_CHARS_MAX {
        return None;
    }
    let long = value.contains('\n') || value.chars().count() > 60;
    let style = if long { InputTextStyle::Paragraph } else { InputTextStyle::Short };
    Some(input(id, label, value, style).required(false))
}

fn input(id: String, label: &str, value: &str, style: InputTextStyle) -> CreateInputText {
    let label = clip(&channel::inert(label).replace('\n', " "), LABEL_CHARS_MAX);
    let label = if label.trim().is_empty() { "…".to_owned() } else { label };
    let input = CreateInputText::new(style, label, id).max_length(VALUE_CHARS_MAX as u16);
    if value.is_empty() { input } else { input.value(value) }
}
