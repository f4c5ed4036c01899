//! Forms: what opens over the conversation when a choice asks for more.
//!
//! A form of Discord's has five parts. Where that is too few, the last one takes the rest as lines `id: value`, and one before
//! it says what may stand there.
//!
//! Limits: <https://discord.com/developers/docs/components/reference>. The builders of the library know no menu in a form.

use channel::{Card, Comment, Input, InputKind};
use chat::text::clip;
use serde_json::{Value, json};

use super::{response, told};
use crate::{
    decode::{ANSWER, ASK, COMMENT, FORM, REST, VALUE, WORDS, parts},
    markdown::{chars, inert},
};

const TITLE_CHARS_MAX: usize = 45;
const LABEL_CHARS_MAX: usize = 45;
const HINT_CHARS_MAX: usize = 100;
/// The longest text that an input takes, and the longest that is only shown.
const VALUE_CHARS_MAX: usize = 4_000;
const ID_CHARS_MAX: usize = 100;
/// The most parts of one form.
const PARTS_MAX: usize = 5;
/// The most choices of a menu, and the longest value of one.
const MENU_MAX: usize = 25;
const ITEM_CHARS_MAX: usize = 100;

/// The form that the id of a button, or of a command, asks for; nothing where its card does not offer that.
pub(crate) fn form(id: &str, card: Option<&Card>) -> Option<Value> {
    let (kind, choice, _) = parts(id)?;
    let (title, parts) = match kind {
        FORM => {
            let choice = card?.choices.iter().find(|known| known.id == choice)?;
            let comment =
                (choice.comment == Comment::Optional).then(|| words(COMMENT, "Why (optional)", false));
            let room = PARTS_MAX - usize::from(comment.is_some());
            let parts = lines(&choice.form, room).into_iter().chain(comment).collect();
            (choice.label.trim_end_matches('…').to_owned(), parts)
        }
        ANSWER => (card?.title.clone(), vec![words(WORDS, "Your answer", true)]),
        ASK => ("Ask an agent".to_owned(), vec![words(WORDS, "What is to be done about it?", true)]),
        _ => return None,
    };
    if parts.is_empty() {
        return None;
    }
    let title = plain(&title, TITLE_CHARS_MAX);
    Some(json!({ "type": 9, "data": { "custom_id": id, "title": title, "components": parts } }))
}

/// A word to the person who asked for a form that there is not.
pub(crate) fn notice(text: &str) -> Value {
    response(&serenity::builder::CreateInteractionResponse::Message(told(text)))
}

/// The lines of a form, in at most so many parts. A value that cannot be changed here stays as it is.
fn lines(form: &[Input], room: usize) -> Vec<Value> {
    let fits = |input: &&Input| {
        chars(&input.value) <= VALUE_CHARS_MAX && chars(&input.id) + VALUE.len() <= ID_CHARS_MAX
    };
    let form: Vec<&Input> = form.iter().filter(fits).collect();
    if form.len() <= room && form.iter().all(|input| is_shown(input)) {
        return form.into_iter().map(part).collect();
    }
    // One part says what may be written, and all or the last of the others take it.
    let alone = if form.len() < room { form.len() } else { room.saturating_sub(2) };
    let (alone, rest) = form.split_at(alone.min(form.len()));
    let told: Vec<String> =
        alone.iter().filter(|input| !is_shown(input)).chain(rest).map(|input| guide(input)).collect();
    let mut parts: Vec<Value> = alone.iter().map(|input| part(input)).collect();
    parts.push(json!({ "type": 10, "content": clip(&told.join("\n"), VALUE_CHARS_MAX - 100) }));
    parts.extend((!rest.is_empty()).then(|| below(rest)));
    parts
}

/// Whether all that may be filled in can be seen in the line itself.
fn is_shown(input: &Input) -> bool {
    match &input.kind {
        InputKind::One(choices) | InputKind::Several(choices) => choices.len() <= MENU_MAX,
        InputKind::Line | InputKind::Lines | InputKind::Number | InputKind::YesNo | InputKind::Date => true,
    }
}

/// One line as a part of its own.
fn part(input: &Input) -> Value {
    let id = format!("{VALUE}{}", input.id);
    let wanted: Vec<&str> = input.value.lines().collect();
    let menu = |choices: &[&str], max: usize| {
        let option = |(n, choice): (usize, &&str)| {
            let value =
                if chars(choice) > ITEM_CHARS_MAX { (n + 1).to_string() } else { (*choice).to_owned() };
            let stands = wanted.contains(choice);
            json!({ "label": plain(choice, ITEM_CHARS_MAX), "value": value, "default": stands })
        };
        let options: Vec<Value> = choices.iter().enumerate().map(option).collect();
        json!({
            "type": 3, "custom_id": id, "options": options, "required": input.required, "max_values": max,
            "min_values": u8::from(input.required),
        })
    };
    let text = |style: u8| {
        let mut text = json!({
            "type": 4, "custom_id": id, "style": style, "required": input.required, "max_length": VALUE_CHARS_MAX,
        });
        if !input.value.is_empty() {
            text["value"] = input.value.clone().into();
        }
        text
    };
    let long = input.value.contains('\n') || input.value.chars().count() > 60;
    let component = match &input.kind {
        InputKind::YesNo => menu(&["yes", "no"], 1),
        InputKind::One(choices) if choices.len() <= MENU_MAX => {
            menu(&choices.iter().map(String::as_str).collect::<Vec<_>>(), 1)
        }
        InputKind::Several(choices) if choices.len() <= MENU_MAX => {
            menu(&choices.iter().map(String::as_str).collect::<Vec<_>>(), choices.len().max(1))
        }
        InputKind::Lines | InputKind::Several(_) => text(2),
        InputKind::Line | InputKind::Number | InputKind::Date | InputKind::One(_) => {
            text(if long { 2 } else { 1 })
        }
    };
    let hint = [kind_in_words(&input.kind), input.hint.as_deref()].into_iter().flatten().collect::<Vec<_>>();
    labelled(&input.label, &hint.join("; "), component)
}

/// The lines that have no part of their own, as they are written: `id: value`.
fn below(rest: &[&Input]) -> Value {
    let mut text = String::new();
    for Input { id, value, .. } in rest {
        let line = format!("{id}: {value}\n");
        // What could be read as another line, or has no room any more, stays as it is.
        let reads = value.lines().skip(1).all(|line| !line.contains(':')) && !id.contains([':', '\n']);
        if reads && chars(&text) + chars(&line) <= VALUE_CHARS_MAX {
            text.push_str(&line);
        }
    }
    let input = json!({
        "type": 4, "custom_id": REST, "style": 2, "required": false, "max_length": VALUE_CHARS_MAX, "value": text.trim_end(),
    });
    labelled("The rest", "Write behind each colon; what each line takes stands above.", input)
}

/// What may be written in a line, in words.
fn guide(input: &Input) -> String {
    let choices = |choices: &[String]| {
        let numbered = choices.iter().enumerate().map(|(n, choice)| format!("{} {choice}", n + 1));
        numbered.collect::<Vec<_>>().join(", ")
    };
    let kind = match &input.kind {
        InputKind::One(of) => Some(format!("one of: {}", choices(of))),
        InputKind::Several(of) => Some(format!("any of: {}", choices(of))),
        kind @ (InputKind::Line
        | InputKind::Lines
        | InputKind::Number
        | InputKind::YesNo
        | InputKind::Date) => kind_in_words(kind).map(str::to_owned),
    };
    let needed = input.required.then(|| "needed".to_owned());
    let label = (input.label != input.id).then(|| input.label.clone());
    let said: Vec<String> = [label, input.hint.clone(), kind, needed].into_iter().flatten().collect();
    let id = inert(&input.id);
    if said.is_empty() { format!("**{id}**") } else { format!("**{id}**: {}", inert(&said.join("; "))) }
}

fn kind_in_words(kind: &InputKind) -> Option<&'static str> {
    match kind {
        InputKind::Number => Some("a number"),
        InputKind::Date => Some("a day like 2026-12-31"),
        InputKind::YesNo => Some("yes or no"),
        InputKind::Line | InputKind::Lines | InputKind::One(_) | InputKind::Several(_) => None,
    }
}

/// An input for words of one's own.
fn words(id: &str, label: &str, required: bool) -> Value {
    let input = json!({
        "type": 4, "custom_id": id, "style": 2, "required": required, "max_length": VALUE_CHARS_MAX,
    });
    labelled(label, "", input)
}

fn labelled(label: &str, hint: &str, component: Value) -> Value {
    let mut part = json!({ "type": 18, "label": plain(label, LABEL_CHARS_MAX), "component": component });
    if !hint.trim().is_empty() {
        part["description"] = plain(hint, HINT_CHARS_MAX).into();
    }
    part
}

/// A text in which Discord reads nothing; it refuses an empty one.
fn plain(text: &str, chars_max: usize) -> String {
    let text = clip(&channel::inert(text).replace('\n', " "), chars_max);
    if text.trim().is_empty() { "…".to_owned() } else { text }
}
