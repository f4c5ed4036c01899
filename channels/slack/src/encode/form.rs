//! Forms: what opens over the conversation when a choice asks for more.
//!
//! Limits: <https://docs.slack.dev/reference/views/modal-views>,
//! <https://docs.slack.dev/reference/block-kit/block-elements/plain-text-input-element>,
//! <https://docs.slack.dev/reference/block-kit/composition-objects/option-object>.

use channel::{Card, Comment, Input, InputKind};
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
/// The longest label of a choice, and the longest value of one.
const ITEM_CHARS_MAX: usize = 75;
const ITEM_VALUE_MAX: usize = 150;
/// The most choices that stand open, and the most of a menu.
const RADIO_MAX: usize = 10;
const MENU_MAX: usize = 100;
/// The most inputs of one form; Slack takes a hundred blocks.
const INPUTS_MAX: usize = 60;

/// The form for a purpose; nothing where its card does not offer that.
pub(crate) fn form(purpose: &Purpose, card: Option<&Card>) -> Option<SlackModalView> {
    let (title, submit, blocks) = match purpose {
        Purpose::Choice { choice, .. } => {
            let card = card?;
            let choice = card.choices.iter().find(|known| known.id == *choice)?;
            let mut blocks = about(&card.title, &card.text);
            blocks.extend(choice.form.iter().take(INPUTS_MAX).map(line));
            if choice.comment == Comment::Optional {
                blocks.push(words(COMMENT, "Why (optional)", true));
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
            blocks.push(words(WORDS, "Your answer", false));
            ("Answer".to_owned(), "Send".to_owned(), blocks)
        }
        Purpose::Ask { quoted, .. } => {
            let quoted = Piece::Quote(vec![Run::plain(channel::inert(quoted))]);
            let mut blocks = rich::blocks(&[quoted]);
            blocks.push(words(WORDS, "What is to be done about it?", false));
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

/// One line. One that an input cannot hold stays as it is, and the form says so.
fn line(Input { id, label, value, kind, required, hint }: &Input) -> SlackBlock {
    let block = format!("{VALUE}{id}");
    if value.chars().count() > VALUE_CHARS_MAX || block.len() > BLOCK_ID_MAX {
        let note = format!("{label}: too long to be changed here; it stays as it is.");
        return super::note_block(&note);
    }
    let named = SlackActionId(block.clone());
    let mut hint = hint.clone();
    let element: SlackInputBlockElement = match kind {
        InputKind::YesNo => radio(named, &["yes", "no"], value).into(),
        InputKind::One(choices) if choices.len() <= RADIO_MAX => radio(named, choices, value).into(),
        InputKind::One(choices) if choices.len() <= MENU_MAX => menu(named, choices, value).into(),
        InputKind::Several(choices) if choices.len() <= RADIO_MAX => boxes(named, choices, value).into(),
        InputKind::Several(choices) if choices.len() <= MENU_MAX => menus(named, choices, value).into(),
        InputKind::Number if is_number(value) => {
            let mut number = SlackBlockNumberInputElement::new(true).with_action_id(named);
            number.initial_value = filled(value);
            number.into()
        }
        InputKind::Date if is_date(value) => {
            let mut date = SlackBlockDatePickerElement::new().with_action_id(named);
            date.initial_date = filled(value);
            date.into()
        }
        InputKind::One(choices) | InputKind::Several(choices) => {
            // More than a menu holds: they are written, and stand below.
            hint = Some(format!("{} {}", hint.unwrap_or_default(), choices.join(", ")));
            text(named, value, matches!(kind, InputKind::Several(_))).into()
        }
        InputKind::Line | InputKind::Lines | InputKind::Number | InputKind::Date => {
            let long = value.contains('\n') || value.chars().count() > 60;
            text(named, value, long || *kind == InputKind::Lines).into()
        }
    };
    input(block, label, element, !required, hint.as_deref())
}

/// A line of text.
fn text(named: SlackActionId, value: &str, multiline: bool) -> SlackBlockPlainTextInputElement {
    let mut element = SlackBlockPlainTextInputElement::new()
        .with_action_id(named)
        .with_multiline(multiline)
        .with_max_length(VALUE_CHARS_MAX as u64);
    element.initial_value = filled(value);
    element
}

fn radio<T: AsRef<str>>(named: SlackActionId, choices: &[T], value: &str) -> SlackBlockRadioButtonsElement {
    let items = |wanted: Option<&str>| items(choices, wanted, SlackBlockText::Plain);
    let mut element = SlackBlockRadioButtonsElement::new(items(None)).with_action_id(named);
    element.initial_option = items(Some(value)).pop();
    element
}

fn menu(named: SlackActionId, choices: &[String], value: &str) -> SlackBlockStaticSelectElement {
    let items = |wanted: Option<&str>| items(choices, wanted, SlackBlockPlainTextOnly::from);
    let mut element = SlackBlockStaticSelectElement::new().with_action_id(named).with_options(items(None));
    element.initial_option = items(Some(value)).pop();
    element
}

fn boxes(named: SlackActionId, choices: &[String], value: &str) -> SlackBlockCheckboxesElement {
    let items = |wanted: Option<&str>| items(choices, wanted, SlackBlockText::Plain);
    let mut element = SlackBlockCheckboxesElement::new(items(None)).with_action_id(named);
    element.initial_options = Some(items(Some(value))).filter(|items| !items.is_empty());
    element
}

fn menus(named: SlackActionId, choices: &[String], value: &str) -> SlackBlockMultiStaticSelectElement {
    let items = |wanted: Option<&str>| items(choices, wanted, SlackBlockPlainTextOnly::from);
    let mut element =
        SlackBlockMultiStaticSelectElement::new().with_action_id(named).with_options(items(None));
    element.initial_options = Some(items(Some(value))).filter(|items| !items.is_empty());
    element
}

/// The choices that can be made, or of these the ones that stand in a value, one a line. What is chosen comes back as it is; of
/// one too long for that, its number. What a label has no room for stands below it.
fn items<T: AsRef<str>, L: Into<SlackBlockText>>(
    choices: &[T],
    wanted: Option<&str>,
    shown: impl Fn(SlackBlockPlainText) -> L,
) -> Vec<SlackBlockChoiceItem<L>> {
    let is_wanted = |choice: &str| wanted.is_none_or(|wanted| wanted.lines().any(|line| line == choice));
    let item = |(n, choice): (usize, &T)| {
        let choice = choice.as_ref();
        let id =
            if choice.chars().count() > ITEM_VALUE_MAX { (n + 1).to_string() } else { choice.to_owned() };
        let rest: String = choice.chars().skip(ITEM_CHARS_MAX - 1).collect();
        let mut item = SlackBlockChoiceItem::new(shown(plain(choice, ITEM_CHARS_MAX)), id);
        let long = choice.chars().count() > ITEM_CHARS_MAX;
        item.description = long.then(|| plain(&format!("…{rest}"), ITEM_CHARS_MAX).into());
        item
    };
    choices.iter().enumerate().filter(|(_, choice)| is_wanted(choice.as_ref())).map(item).collect()
}

fn filled(value: &str) -> Option<String> {
    (!value.is_empty()).then(|| value.to_owned())
}

/// Whether an input for numbers takes this; it takes nothing, too.
fn is_number(value: &str) -> bool {
    let plain = value.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'-' | b'.'));
    value.is_empty() || plain && value.parse::<f64>().is_ok()
}

/// Whether an input for dates takes this; it takes nothing, too.
fn is_date(value: &str) -> bool {
    let digits = |part: &str, count: usize| part.len() == count && part.bytes().all(|b| b.is_ascii_digit());
    let parts: Vec<&str> = value.split('-').collect();
    let is_day = matches!(parts[..], [y, m, d] if digits(y, 4) && digits(m, 2) && digits(d, 2));
    value.is_empty() || is_day
}

fn words(block: &str, label: &str, optional: bool) -> SlackBlock {
    let element = text(SlackActionId(block.to_owned()), "", true);
    input(block.to_owned(), label, element.into(), optional, None)
}

fn input(
    block: String,
    label: &str,
    element: SlackInputBlockElement,
    optional: bool,
    hint: Option<&str>,
) -> SlackBlock {
    let mut input = SlackInputBlock::new(plain(label, 2_000).into(), element)
        .with_block_id(SlackBlockId(block))
        .with_optional(optional);
    input.hint = hint.map(str::trim).filter(|hint| !hint.is_empty()).map(|hint| plain(hint, 2_000).into());
    input.into()
}
