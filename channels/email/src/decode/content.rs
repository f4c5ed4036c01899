//! What a mail says: its text, plain before HTML, and its attachments.

use channel::{Attachment, Body};
use mail_parser::{Message, MessagePart, MimeHeaders, PartType};

use crate::{
    config::Limits,
    html,
    reply::{self, Stance},
    threading,
};

/// Reads text and files, within the limits.
pub(super) fn read(message: &Message<'_>, stance: Stance, limits: &Limits) -> Body {
    let plain = joined(message, &message.text_body, limits, |part| match &part.body {
        PartType::Text(text) => Some(text),
        PartType::Html(_)
        | PartType::Binary(_)
        | PartType::InlineBinary(_)
        | PartType::Message(_)
        | PartType::Multipart(_) => None,
    });
    let (whole, own) = if plain.trim().is_empty() {
        let html = joined(message, &message.html_body, limits, |part| match &part.body {
            PartType::Html(text) => Some(text),
            PartType::Text(_)
            | PartType::Binary(_)
            | PartType::InlineBinary(_)
            | PartType::Message(_)
            | PartType::Multipart(_) => None,
        });
        let texts = html::texts(&html);
        // In a forwarded mail the marks of a quote stand around what is passed on.
        let own = if stance == Stance::Reply { texts.own } else { texts.whole.clone() };
        (texts.whole, own)
    } else {
        (plain.clone(), plain)
    };
    let (whole, own) = match whole.trim().is_empty().then(|| damaged(message, limits)).flatten() {
        Some(text) => (text.clone(), text),
        None => (whole, own),
    };
    let text = reply::strip(&own, stance);
    let whole = whole.replace("\r\n", "\n");
    let original = (whole.trim() != text).then_some(whole);
    Body::Text { text, original, files: files(message, limits) }
}

/// The words of a mail that was cut off on its way: the parser takes the first part for an attachment.
fn damaged(message: &Message<'_>, limits: &Limits) -> Option<String> {
    let part = message.parts.iter().find(|part| matches!(part.body, PartType::Text(_)))?;
    let is_file = part.content_disposition().is_some_and(|kind| kind.is_attachment());
    let is_words =
        part.content_type().is_none_or(|kind| kind.ctype() == "text" && kind.subtype() == Some("plain"));
    let text = part.text_contents().filter(|_| !is_file && is_words)?;
    Some(threading::cut(text, limits.text_bytes).to_owned())
}

fn joined<'m>(
    message: &'m Message<'_>,
    ids: &[u32],
    limits: &Limits,
    text: impl Fn(&'m MessagePart<'_>) -> Option<&'m str>,
) -> String {
    let mut out = String::new();
    for part in ids.iter().filter_map(|id| message.parts.get(*id as usize)).filter_map(text) {
        if !out.is_empty() {
            out.push('\n');
        }
        let room = limits.text_bytes.saturating_sub(out.len());
        let kept = threading::cut(part, room);
        out.push_str(kept);
        if kept.len() < part.len() {
            out.push_str("\n[cut off: the mail is longer]");
            break;
        }
    }
    out
}

fn files(message: &Message<'_>, limits: &Limits) -> Vec<Attachment> {
    let attachments = message.attachments.iter().filter_map(|id| message.parts.get(*id as usize));
    let mut files = Vec::new();
    for (index, part) in attachments.enumerate() {
        let contents = match &part.body {
            PartType::Message(inner) => inner.raw_message(),
            PartType::Text(text) | PartType::Html(text) => text.as_bytes(),
            PartType::Binary(bytes) | PartType::InlineBinary(bytes) => bytes,
            PartType::Multipart(_) => continue,
        };
        let bytes = if index >= limits.attachments {
            Err(format!("more than {} attachments", limits.attachments))
        } else if contents.len() > limits.attachment_bytes {
            Err(format!("larger than {} bytes", limits.attachment_bytes))
        } else {
            Ok(contents.to_vec())
        };
        files.push(Attachment {
            name: file_name(part, index),
            kind: media_type(part),
            size: contents.len() as u64,
            bytes,
        });
    }
    files
}

/// A name without a path and without characters that change how the rest of a line looks.
fn file_name(part: &MessagePart<'_>, index: usize) -> String {
    let declared = part.attachment_name().unwrap_or_default();
    let last = declared.rsplit(['/', '\\']).next().unwrap_or_default();
    let plain: String = threading::one_line(last).chars().filter(|c| !crate::inert::is_hidden(*c)).collect();
    let plain = threading::cut(plain.trim_matches(['.', ' ']), 150);
    if plain.is_empty() { format!("attachment-{}", index + 1) } else { plain.to_owned() }
}

fn media_type(part: &MessagePart<'_>) -> String {
    let word = |text: &str| {
        text.len() <= 60 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-+._".contains(&b))
    };
    match part.content_type() {
        Some(kind) => {
            let (main, sub) = (kind.ctype(), kind.subtype().unwrap_or_default());
            if !main.is_empty() && !sub.is_empty() && word(main) && word(sub) {
                return format!("{main}/{sub}").to_ascii_lowercase();
            }
            "application/octet-stream".into()
        }
        None => "application/octet-stream".into(),
    }
}
