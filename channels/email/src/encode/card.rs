//! A card as a mail: what is asked, with every argument whole, and the words that answer it.

use channel::{Card, CardState, Choice, Comment, Timestamp};

use super::Parts;
use crate::{inert, render};

pub(super) fn parts(card: &Card) -> Parts {
    match &card.state {
        CardState::Open { deadline } => open(card, *deadline),
        CardState::Closed { how } => closed(card, how),
    }
}

fn open(card: &Card, deadline: Timestamp) -> Parts {
    let title = inert::shown(&card.title);
    let text = inert::shown(&card.text);
    let mut plain = format!("{title}\n");
    let mut html = format!("<h3>{}</h3>\n", inert::html(&title));
    if !text.trim().is_empty() {
        plain.push_str(&format!("\n{text}\n"));
        html.push_str(&format!("<p style=\"white-space: pre-wrap\">{}</p>\n", inert::html(&text)));
    }
    if !card.fields.is_empty() {
        plain.push('\n');
        html.push_str("<table cellpadding=\"4\" style=\"border-collapse: collapse\">\n");
        for field in &card.fields {
            let (label, value) = (inert::shown(&field.label), inert::shown(&field.value));
            plain.push_str(&plain_field(&label, &value));
            html.push_str(&format!(
                "<tr><td style=\"vertical-align: top; color: #666\">{}</td><td style=\"white-space: pre-wrap; \
                 font-family: monospace\">{}</td></tr>\n",
                inert::html(&label),
                inert::html(&value)
            ));
        }
        html.push_str("</table>\n");
    }
    let ways: Vec<(String, String)> = card.choices.iter().map(way).collect();
    let how = how_to_answer(ways.len(), card.free_text);
    if !how.is_empty() {
        plain.push_str(&format!("\n{how}\n"));
        html.push_str(&format!("<p>{how}</p>\n"));
    }
    if !ways.is_empty() {
        plain.push('\n');
        html.push_str("<ul>\n");
        for (word, meaning) in &ways {
            plain.push_str(&format!("    {word}{meaning}\n"));
            html.push_str(&format!("<li><b>{}</b>{}</li>\n", inert::html(word), inert::html(meaning)));
        }
        html.push_str("</ul>\n");
    }
    let until = format!("Answer by {}.", deadline.strftime("%-d %B %Y, %H:%M UTC"));
    plain.push_str(&format!("\n{until}\n"));
    html.push_str(&render::note(&until));
    Parts { plain, html: render::page(&html) }
}

fn closed(card: &Card, how: &str) -> Parts {
    const END: &str = "This question is closed; there is nothing left to do.";
    let (title, how) = (inert::shown(&card.title), inert::shown(how));
    let plain = format!("{title}\n\n{how}\n\n{END}\n");
    let html =
        format!("<h3>{}</h3>\n<p>{}</p>\n{}", inert::html(&title), inert::html(&how), render::note(END));
    Parts { plain, html: render::page(&html) }
}

/// A value of several lines stands below its label, each line marked, so that none can be taken for another field.
fn plain_field(label: &str, value: &str) -> String {
    let label = label.replace('\n', " ");
    if !value.contains('\n') {
        return format!("  {label}: {value}\n");
    }
    let mut out = format!("  {label}:\n");
    for line in value.split('\n') {
        out.push_str(&format!("    | {line}\n"));
    }
    out
}

fn how_to_answer(ways: usize, free_text: bool) -> &'static str {
    match (ways, free_text) {
        (0, false) => "",
        (0, true) => "To answer, reply to this mail in your own words.",
        (1, false) => "To answer, reply to this mail and put this on the first line:",
        (_, false) => "To answer, reply to this mail and put one of these on the first line:",
        (_, true) => {
            "To answer, reply to this mail in your own words, or with one of these on the first line:"
        }
    }
}

/// The words that choose, and what they mean where the label says more than the word.
fn way(choice: &Choice) -> (String, String) {
    let id = inert::shown(&choice.id).replace('\n', " ");
    let label = inert::shown(&choice.label).replace('\n', " ");
    let meaning = if label.eq_ignore_ascii_case(&id) { String::new() } else { format!("  ({label})") };
    match choice.comment {
        Comment::None => (id, meaning),
        Comment::Optional => (format!("{id}: your reason"), meaning),
    }
}
