//! A card as a mail: what is asked, with every argument whole, and the words that answer it.

use channel::{Card, CardState, Choice, Comment, Input, InputKind, Timestamp};

use super::Parts;
use crate::{inert, render};

/// The longest value that stands in a line to reply with.
const LINE_CHARS_MAX: usize = 200;

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
    if let Some(progress) = &card.progress {
        let progress = inert::shown(progress);
        plain.push_str(&format!("\n{progress}\n"));
        html.push_str(&format!("<p><b>{}</b></p>\n", inert::html(&progress)));
    }
    let (forms, ways): (Vec<&Choice>, Vec<&Choice>) =
        card.choices.iter().partition(|choice| !choice.form.is_empty());
    let ways: Vec<(String, String)> = ways.into_iter().map(way).collect();
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
    for (n, choice) in forms.into_iter().enumerate() {
        let first = n == 0 && ways.is_empty() && !card.free_text;
        lines(choice, first, &mut plain, &mut html);
    }
    let until = format!("Answer by {}.{}", deadline.strftime("%-d %B %Y, %H:%M UTC"), code(card));
    plain.push_str(&format!("\n{until}\n"));
    html.push_str(&render::note(&until));
    Parts { plain, html: render::page(&html) }
}

fn closed(card: &Card, how: &str) -> Parts {
    const END: &str = "This question is closed; there is nothing left to do.";
    let (title, how) = (inert::shown(&card.title), inert::shown(how));
    let end = format!("{END}{}", code(card));
    let plain = format!("{title}\n\n{how}\n\n{end}\n");
    let html =
        format!("<h3>{}</h3>\n<p>{}</p>\n{}", inert::html(&title), inert::html(&how), render::note(&end));
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

/// What the question is called, to go on a line that says something else.
fn code(card: &Card) -> String {
    if card.code.is_empty() { String::new() } else { format!(" This is #{}.", inert::shown(&card.code)) }
}

/// The lines that a form is answered with, as they may be copied, and below them what each one takes.
fn lines(choice: &Choice, first: bool, plain: &mut String, html: &mut String) {
    let label = one_line(choice.label.trim_end_matches('…'));
    let how = if first {
        "To answer, reply to this mail with these lines, and write behind each colon.".to_owned()
    } else {
        format!("Or, for \u{201c}{label}\u{201d}, reply with these lines, changed as you like.")
    };
    let how = format!("{how} A line that you leave out counts as it stands here.");
    let head = choice.reply.as_deref().unwrap_or(&choice.id);
    let head = (!head.is_empty()).then(|| one_line(head));
    let copied: Vec<String> = head.into_iter().chain(choice.form.iter().filter_map(line)).collect();
    plain.push_str(&format!("\n{how}\n\n"));
    html.push_str(&format!("<p>{}</p>\n<pre style=\"white-space: pre-wrap\">", inert::html(&how)));
    for line in &copied {
        plain.push_str(&format!("    {line}\n"));
        html.push_str(&format!("{}\n", inert::html(line)));
    }
    html.push_str("</pre>\n");
    let told: Vec<(String, String, Vec<String>)> =
        choice.form.iter().filter_map(|input| takes(input, line(input).is_none())).collect();
    if told.is_empty() {
        return;
    }
    plain.push('\n');
    html.push_str("<ul>\n");
    for (id, what, choices) in &told {
        plain.push_str(&format!("  {id}: {what}\n"));
        html.push_str(&format!("<li><b>{}</b>: {}", inert::html(id), inert::html(what)));
        for choice in choices {
            plain.push_str(&format!("      {choice}\n"));
            html.push_str(&format!("<br>\n{}", inert::html(choice)));
        }
        html.push_str("</li>\n");
    }
    html.push_str("</ul>\n");
}

/// A line as it is answered with; nothing for a value that does not fit on one.
fn line(input: &Input) -> Option<String> {
    let Input { id, value, kind, .. } = input;
    let value = match kind {
        // A comma stands between choices, and so in none of them.
        InputKind::Several(choices) if choices.iter().all(|choice| !choice.contains([',', ';'])) => {
            value.lines().collect::<Vec<_>>().join(", ")
        }
        InputKind::Several(_)
        | InputKind::One(_)
        | InputKind::Line
        | InputKind::Lines
        | InputKind::Number
        | InputKind::YesNo
        | InputKind::Date => value.clone(),
    };
    let fits = !value.contains('\n') && value.chars().count() <= LINE_CHARS_MAX;
    fits.then(|| format!("{}: {}", one_line(id), inert::shown(&value)).trim_end().to_owned())
}

/// What a line takes, and its choices; nothing where there is nothing to say.
fn takes(input: &Input, stays: bool) -> Option<(String, String, Vec<String>)> {
    let numbered = |choices: &[String]| -> Vec<String> {
        // Where a choice is a number itself, its place would be taken for it.
        let plain = choices.iter().any(|choice| choice.parse::<f64>().is_ok());
        let shown = choices.iter().map(|choice| one_line(choice)).enumerate();
        shown.map(|(n, choice)| if plain { choice } else { format!("{}  {choice}", n + 1) }).collect()
    };
    let (kind, choices) = match &input.kind {
        InputKind::Line | InputKind::Lines => (None, Vec::new()),
        InputKind::Number => (Some("a number"), Vec::new()),
        InputKind::YesNo => (Some("yes or no"), Vec::new()),
        InputKind::Date => (Some("a day, as 2026-12-31"), Vec::new()),
        InputKind::One(choices) => (Some("one of these"), numbered(choices)),
        InputKind::Several(choices) if choices.iter().any(|choice| choice.contains([',', ';'])) => {
            (Some("any of these, one a line"), numbered(choices))
        }
        InputKind::Several(choices) => (Some("any of these, with commas between them"), numbered(choices)),
    };
    let label = (input.label != input.id).then(|| one_line(&input.label));
    let hint = input.hint.as_deref().map(one_line);
    let kind = kind.map(str::to_owned);
    let needed = input.required.then(|| "needed".to_owned());
    let stays = stays.then(|| "stays as it is unless you write it".to_owned());
    let said: Vec<String> = [label, hint, needed, stays, kind].into_iter().flatten().collect();
    (!said.is_empty()).then(|| (one_line(&input.id), said.join("; "), choices))
}

fn one_line(text: &str) -> String {
    inert::shown(text).replace('\n', " ")
}
