//! Cards: a question with everything that it is about, and its buttons.
//!
//! Limits: <https://discord.com/developers/docs/resources/message#embed-object-embed-limits>,
//! <https://discord.com/developers/docs/components/reference>.

use channel::{Card, CardState, Choice, Comment, Field, Style};
use chat::text::clip;
use serenity::{
    all::ButtonStyle,
    builder::{
        CreateActionRow, CreateButton, CreateEmbed, CreateSelectMenu, CreateSelectMenuKind,
        CreateSelectMenuOption,
    },
};

use super::Post;
use crate::{
    decode::{ANSWER, FORM, PICK, PRESS},
    markdown::{chars, fence, inert},
};

/// The most characters of what an embed describes; Discord takes 4,096, and the title and notes come on top.
const CARD_CHARS_MAX: usize = 3_600;
/// What is shown of each value, and of the text, where the whole of them goes along as a file.
const CLIPPED_CHARS: usize = 200;
const CLIPPED_TEXT_CHARS: usize = 800;
/// More values than this are not listed where they are clipped.
const CLIPPED_FIELDS: usize = 8;
/// A value up to this length, of one line, stands beside its name.
const SHORT_CHARS: usize = 80;
const TITLE_CHARS_MAX: usize = 250;
const BUTTON_CHARS_MAX: usize = 80;
const OPTION_CHARS_MAX: usize = 100;
const ID_CHARS_MAX: usize = 100;
/// Above this buttons become menus.
const BUTTONS_MAX: usize = 15;
const ROW_MAX: usize = 5;
const MENU_MAX: usize = 25;
const WAITS: u32 = 0x58_65_f2;
const OVER: u32 = 0x80_84_8e;

/// The message that a card is.
pub(super) fn post(card: &Card) -> Post {
    let whole = fits(card);
    let mut shown = description(card, whole);
    let (colour, rows) = match &card.state {
        CardState::Open { deadline } => {
            if !whole {
                shown.push_str("\n**This is only a part: the whole of it is in the file above.**");
            }
            if let Some(progress) = &card.progress {
                shown.push_str(&format!("\n\n**{}**", inert(&clip(progress, 300))));
            }
            // Discord shows the time as it is where the reader is.
            shown.push_str(&format!("\n-# {}open until <t:{}:f>", code(card, " · "), deadline.as_second()));
            (WAITS, rows(card))
        }
        CardState::Closed { how } => {
            shown.push_str(&format!("\n\n**{}**", inert(&clip(how, 300))));
            if !card.code.is_empty() {
                shown.push_str(&format!("\n-# {}", code(card, "")));
            }
            (OVER, Vec::new())
        }
    };
    let embed = CreateEmbed::new()
        .title(clip(&inert(&clip(&card.title, TITLE_CHARS_MAX / 2)), TITLE_CHARS_MAX))
        .description(shown.trim())
        .colour(colour);
    Post { content: String::new(), embed: Some(embed), rows }
}

/// What the question is called, if it has a name, with this behind it.
fn code(card: &Card, behind: &str) -> String {
    if card.code.is_empty() {
        String::new()
    } else {
        format!("{}{behind}", inert(&format!("#{}", clip(&card.code, 20))))
    }
}

/// The whole of a card's text and arguments, where they do not fit into it.
pub(crate) fn arguments(card: &Card) -> Option<String> {
    if fits(card) {
        return None;
    }
    let plain = channel::inert;
    let mut text = format!("{}\n\n{}\n", plain(&card.title), plain(&card.text));
    for Field { label, value } in &card.fields {
        text.push_str(&format!("\n{}:\n{}\n", plain(label), plain(value)));
    }
    Some(text)
}

fn fits(card: &Card) -> bool {
    chars(&card.title) <= TITLE_CHARS_MAX / 2 && chars(&description(card, true)) <= CARD_CHARS_MAX
}

fn description(card: &Card, whole: bool) -> String {
    let mut shown = String::new();
    if !card.text.trim().is_empty() {
        let text = if whole { card.text.clone() } else { clip(&card.text, CLIPPED_TEXT_CHARS) };
        shown.push_str(&inert(&text));
        shown.push('\n');
    }
    let count = if whole { usize::MAX } else { CLIPPED_FIELDS };
    for field in card.fields.iter().take(count) {
        shown.push_str(&row(field, whole));
    }
    if let CardState::Open { .. } = card.state {
        // A label that a button has no room for stands above it.
        for choice in card.choices.iter().filter(|choice| chars(&choice.label) > BUTTON_CHARS_MAX).take(count)
        {
            shown.push_str(&format!("\n- {}", inert(&clip(&choice.label, 1_000))));
        }
    }
    shown
}

/// A name and its value: on one line, or the value below it as it is.
fn row(Field { label, value }: &Field, whole: bool) -> String {
    let label = inert(&clip(label, CLIPPED_CHARS));
    let value = if whole { value.clone() } else { clip(value, CLIPPED_CHARS) };
    if value.chars().count() <= SHORT_CHARS && !value.contains('\n') {
        format!("\n**{label}:** {}", inert(&value))
    } else if value.contains("```") {
        // A fence would be broken up, and the value with it.
        format!("\n**{label}:**\n{}", inert(&value))
    } else {
        format!("\n**{label}:**\n{}", fence(None, &channel::inert(&value)))
    }
}

fn rows(card: &Card) -> Vec<CreateActionRow> {
    let ticket = card.ticket.as_str();
    let few = card.choices.len() <= BUTTONS_MAX;
    let asks_more = |choice: &&Choice| choice.comment == Comment::Optional || !choice.form.is_empty();
    let mut buttons: Vec<CreateButton> = Vec::new();
    for choice in card.choices.iter().filter(|choice| few || asks_more(choice)).take(BUTTONS_MAX) {
        let kind = if asks_more(&choice) { FORM } else { PRESS };
        let id = format!("{kind}:{}:{ticket}", choice.id);
        if chars(&id) > ID_CHARS_MAX {
            // It can still be answered in words.
            continue;
        }
        let style = match choice.style {
            Style::Primary => ButtonStyle::Success,
            Style::Danger => ButtonStyle::Danger,
            Style::Plain => ButtonStyle::Secondary,
        };
        buttons.push(CreateButton::new(id).label(plain(&choice.label, BUTTON_CHARS_MAX)).style(style));
    }
    if card.free_text {
        let id = format!("{ANSWER}::{ticket}");
        buttons.push(CreateButton::new(id).label("Answer…").style(ButtonStyle::Secondary));
    }
    let mut rows: Vec<CreateActionRow> = Vec::new();
    if !few {
        let options: Vec<CreateSelectMenuOption> = card
            .choices
            .iter()
            .filter(|choice| !asks_more(choice) && chars(&choice.id) <= ID_CHARS_MAX)
            .map(|choice| CreateSelectMenuOption::new(plain(&choice.label, OPTION_CHARS_MAX), &choice.id))
            .collect();
        let menus = options.chunks(MENU_MAX).enumerate().map(|(n, options)| {
            let kind = CreateSelectMenuKind::String { options: options.to_vec() };
            let menu = CreateSelectMenu::new(format!("{PICK}:{n}:{ticket}"), kind);
            CreateActionRow::SelectMenu(menu.placeholder("Choose…"))
        });
        let room = ROW_MAX - buttons.len().div_ceil(ROW_MAX).min(ROW_MAX - 1);
        rows.extend(menus.take(room));
    }
    rows.extend(buttons.chunks(ROW_MAX).map(|some| CreateActionRow::Buttons(some.to_vec())));
    rows.truncate(ROW_MAX);
    rows
}

/// A label, in which Discord reads nothing; it refuses an empty one.
fn plain(text: &str, chars_max: usize) -> String {
    let text = channel::inert(text).replace('\n', " ");
    let mut text = clip(&text, chars_max);
    while chars(&text) > chars_max {
        text = clip(&text, text.chars().count() - 1);
    }
    if text.trim().is_empty() { "…".to_owned() } else { text }
}
