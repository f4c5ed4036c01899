//! What goes first when the context does not fit its budget, in this order:
//!
//! 1. errors that were resolved;
//! 2. old tool results, to a digest;
//! 3. the middle of long texts;
//! 4. the oldest exchange, to a line of summary;
//! 5. nothing more: the caller refuses, and a human is asked.
//!
//! Invariant: a call is never parted from its result; the first request, an approval and an open question stay.

use serde_json::{Map, Value, json};

use crate::{id::sha256, inert::clip, parts::Part};

/// How much of an old result stays, in characters.
const DIGEST: usize = 160;
/// How long a text may be, tried one after the other, in characters.
const LONG: [usize; 3] = [4_000, 1_500, 400];
/// The texts that can be cut in the middle.
const TEXTS: [&str; 6] = ["text", "args", "result", "error", "why", "answer"];

/// Makes the parts smaller, step by step, until they fit. Says whether they do.
pub(crate) fn squeeze(parts: &mut [Part], fits: &mut dyn FnMut(&[Part]) -> bool) -> bool {
    if fits(parts) {
        return true;
    }
    for part in parts.iter_mut().filter(|part| part.resolved && !part.pinned && !part.dropped) {
        part.dropped = true;
        part.squeezed = Some("left out: an error that was resolved".into());
    }
    fits(parts) || digests(parts, fits) || middles(parts, fits) || exchanges(parts, fits)
}

/// Old results become digests, oldest first; the latest stays.
fn digests(parts: &mut [Part], fits: &mut dyn FnMut(&[Part]) -> bool) -> bool {
    let last = parts.iter().rposition(|part| part.kind == "called" && !part.dropped);
    for n in 0..parts.len() {
        let part = &mut parts[n];
        let result = part.fields.get("result").and_then(Value::as_str).unwrap_or_default();
        if part.kind != "called" || part.dropped || Some(n) == last || result.chars().count() <= DIGEST * 2 {
            continue;
        }
        let left = result.chars().count() - DIGEST;
        let name = &sha256(result.as_bytes())[..8];
        let digest =
            format!("{} [{left} more characters were left out; digest {name}]", clip(result, DIGEST));
        part.fields.insert("result".into(), digest.into());
        part.squeezed = Some("digest of an old result".into());
        if fits(parts) {
            return true;
        }
    }
    false
}

/// Long texts lose their middle, the longest allowance first, oldest part first. An approval is never cut.
fn middles(parts: &mut [Part], fits: &mut dyn FnMut(&[Part]) -> bool) -> bool {
    // Each cut is made from the whole text, so that its mark counts all that is missing.
    let whole: Vec<_> = parts.iter().map(|part| part.fields.clone()).collect();
    for max in LONG {
        for n in 0..parts.len() {
            let part = &mut parts[n];
            if part.dropped || part.kind == "approval" {
                continue;
            }
            let mut fields = whole[n].clone();
            if cut_texts(&mut fields, max) {
                part.fields = fields;
                part.squeezed =
                    Some(format!("the middle of a text of more than {max} characters was left out"));
                if fits(parts) {
                    return true;
                }
            }
        }
    }
    false
}

/// Cuts every long text of a part, those of its files too. Says whether there was one.
fn cut_texts(fields: &mut Map<String, Value>, max: usize) -> bool {
    let mut cut = false;
    for name in TEXTS {
        if let Some(Value::String(text)) = fields.get_mut(name) {
            cut |= cut_middle(text, max);
        }
    }
    if let Some(Value::Array(files)) = fields.get_mut("files") {
        for file in files {
            if let Some(Value::String(text)) = file.get_mut("text") {
                cut |= cut_middle(text, max);
            }
        }
    }
    cut
}

fn cut_middle(text: &mut String, max: usize) -> bool {
    let count = text.chars().count();
    if count <= max {
        return false;
    }
    let half = max / 2;
    let head: String = text.chars().take(half).collect();
    let tail: String = text.chars().skip(count - half).collect();
    *text = format!("{head}\n[… {} characters were left out here …]\n{tail}", count - 2 * half);
    true
}

/// Whole exchanges become one line each, oldest first: earlier requests, then the older steps of this one.
fn exchanges(parts: &mut [Part], fits: &mut dyn FnMut(&[Part]) -> bool) -> bool {
    let current = parts.last().map_or(0, |part| part.run);
    for run in 0..current {
        let members: Vec<usize> = (0..parts.len()).filter(|n| parts[*n].run == run).collect();
        summarise(parts, &members);
        if fits(parts) {
            return true;
        }
    }
    let mut steps: Vec<usize> =
        (0..parts.len()).filter(|n| parts[*n].run == current && !parts[*n].pinned).collect();
    // The last two steps are what the next thought is about.
    steps.truncate(steps.len().saturating_sub(2));
    for n in steps {
        if parts[n].dropped || parts[n].kind == "summary" {
            continue;
        }
        summarise(parts, &[n]);
        if fits(parts) {
            return true;
        }
    }
    false
}

/// Replaces these parts by one line at the place of the first that is not pinned; pinned ones of an earlier request
/// that are only its first message go into the line too.
fn summarise(parts: &mut [Part], members: &[usize]) {
    let first_of_thread = parts.iter().position(|part| part.kind == "heard");
    let goes = |n: &usize, part: &Part| {
        !part.dropped
            && part.kind != "approval"
            && Some(*n) != first_of_thread
            && (!part.pinned || part.kind == "heard")
    };
    let gone: Vec<usize> = members.iter().filter(|n| goes(n, &parts[**n])).copied().collect();
    let Some(place) = gone.first().copied() else { return };
    let line: Vec<String> =
        gone.iter().map(|n| in_a_few_words(&parts[*n])).filter(|line| !line.is_empty()).collect();
    for n in &gone {
        parts[*n].dropped = true;
        parts[*n].squeezed = Some("put into a summary: the oldest exchange".into());
    }
    let line = line.join("; ");
    if line.is_empty() {
        return;
    }
    let part = &mut parts[place];
    part.dropped = false;
    part.kind = "summary";
    part.fields = json!({ "text": clip(&line, 300) }).as_object().cloned().unwrap_or_default();
}

fn in_a_few_words(part: &Part) -> String {
    let field = |name: &str| part.fields.get(name).and_then(Value::as_str).unwrap_or_default();
    match part.kind {
        "heard" => format!("{}: {}", field("from"), clip(field("text"), 80)),
        "said" => format!("{} said: {}", field("by"), clip(field("text"), 80)),
        "called" => format!("ran {}: {}", field("tool"), field("status")),
        "question" => format!("asked: {} ({})", clip(field("text"), 60), clip(field("answer"), 60)),
        "summary" => field("text").to_owned(),
        _ => String::new(),
    }
}
