//! What goes first when the context does not fit its budget, in this order:
//!
//! 1. errors that were resolved;
//! 2. old tool results, to a digest;
//! 3. the middle of long texts;
//! 4. the oldest exchange, to a line of summary;
//! 5. those lines, oldest first, with the approvals among them: a conversation of any length has room;
//! 6. the older steps of the request that is open, to a line each;
//! 7. nothing more: the caller refuses, and a human is asked.
//!
//! Invariant: a call is never parted from its result; the very first request, and an approval and a question of the
//! request that is open, stay.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::{
    id::sha256,
    inert::clip,
    parts::{LEFT_OUT, Part},
};

/// How much of an old result stays, in characters.
const DIGEST: usize = 160;
/// How long a text may be, tried one after the other, in characters.
pub(crate) const LONG: [usize; 3] = [4_000, 1_500, 400];
/// How long the mark in a cut text may be, in characters.
const MARK: usize = 60;
/// The texts that can be cut in the middle.
const TEXTS: [&str; 6] = ["text", "args", "result", "error", "why", "answer"];

/// Makes the parts smaller, step by step, until they fit. Says whether they do; the last that was asked about is what they
/// are then.
pub(crate) fn squeeze(parts: &mut [Part], fits: &mut dyn FnMut(&[Part]) -> bool) -> bool {
    if fits(parts) {
        return true;
    }
    for part in parts.iter_mut().filter(|part| part.resolved && !part.pinned && !part.dropped) {
        part.dropped = true;
        part.squeezed = Some("left out: an error that was resolved".into());
    }
    fits(parts)
        || digests(parts, fits)
        || middles(parts, fits)
        || exchanges(parts, fits)
        || long_ago(parts, fits)
        || older_steps(parts, fits)
}

/// Takes as few of these steps as will do, the first ones; all of them where nothing does. Each makes the parts smaller or
/// leaves them as they are, so that not every number of steps must be tried: to look whether the parts fit is to write
/// them all.
fn step_by_step<T>(
    parts: &mut [Part],
    steps: &[T],
    take: &dyn Fn(&mut [Part], &[T]),
    fits: &mut dyn FnMut(&[Part]) -> bool,
) -> bool {
    let before = parts.to_vec();
    let mut do_fit = |count: usize| {
        parts.clone_from_slice(&before);
        take(parts, &steps[..count]);
        fits(parts)
    };
    if steps.is_empty() || !do_fit(steps.len()) {
        return false;
    }
    let (mut too_few, mut enough, mut tried) = (0, steps.len(), steps.len());
    while enough - too_few > 1 {
        tried = too_few + (enough - too_few) / 2;
        if do_fit(tried) {
            enough = tried;
        } else {
            too_few = tried;
        }
    }
    tried == enough || do_fit(enough)
}

/// Old results become digests, oldest first; the latest stays.
fn digests(parts: &mut [Part], fits: &mut dyn FnMut(&[Part]) -> bool) -> bool {
    let last = parts.iter().rposition(|part| part.kind == "called" && !part.dropped);
    let is_long = |part: &Part| {
        let result = part.fields.get("result").and_then(Value::as_str).unwrap_or_default();
        part.kind == "called" && !part.dropped && result.chars().count() > DIGEST * 2
    };
    let old: Vec<usize> = (0..parts.len()).filter(|n| Some(*n) != last && is_long(&parts[*n])).collect();
    let take = |parts: &mut [Part], old: &[usize]| {
        for n in old {
            let part = &mut parts[*n];
            let result = part.fields.get("result").and_then(Value::as_str).unwrap_or_default();
            let left = result.chars().count() - DIGEST;
            let name = &sha256(result.as_bytes())[..8];
            let digest =
                format!("{} [{left} more characters were left out; digest {name}]", clip(result, DIGEST));
            part.fields.insert("result".into(), digest.into());
            part.squeezed = Some("digest of an old result".into());
        }
    };
    step_by_step(parts, &old, &take, fits)
}

/// Long texts lose their middle, the longest allowance first, oldest part first. An approval is never cut.
fn middles(parts: &mut [Part], fits: &mut dyn FnMut(&[Part]) -> bool) -> bool {
    let mut cuts = Vec::new();
    for max in LONG {
        for (n, part) in parts.iter().enumerate().filter(|(_, part)| !part.dropped && part.kind != "approval")
        {
            // Each cut is made from the whole text, so that its mark counts all that is missing.
            let mut fields = part.fields.clone();
            if cut_texts(&mut fields, max) {
                cuts.push((n, max, fields));
            }
        }
    }
    let take = |parts: &mut [Part], cuts: &[(usize, usize, Map<String, Value>)]| {
        for (n, max, fields) in cuts {
            parts[*n].fields.clone_from(fields);
            parts[*n].squeezed =
                Some(format!("the middle of a text of more than {max} characters was left out"));
        }
    };
    step_by_step(parts, &cuts, &take, fits)
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

pub(crate) fn cut_middle(text: &mut String, max: usize) -> bool {
    let count = text.chars().count();
    // The mark takes room, too.
    if count <= max + MARK {
        return false;
    }
    let half = max / 2;
    let head: String = text.chars().take(half).collect();
    let tail: String = text.chars().skip(count - half).collect();
    *text = format!("{head}\n[… {} characters were left out here …]\n{tail}", count - 2 * half);
    true
}

/// Each earlier request becomes one line, oldest first.
fn exchanges(parts: &mut [Part], fits: &mut dyn FnMut(&[Part]) -> bool) -> bool {
    let take = |parts: &mut [Part], runs: &[Vec<usize>]| {
        runs.iter().for_each(|members| summarise(parts, members));
    };
    step_by_step(parts, &earlier(parts), &take, fits)
}

/// Of each earlier request nothing is left, oldest first; one line stands for all of them.
fn long_ago(parts: &mut [Part], fits: &mut dyn FnMut(&[Part]) -> bool) -> bool {
    let take = |parts: &mut [Part], runs: &[Vec<usize>]| {
        let mut line = None;
        for n in runs.iter().flatten() {
            let part = &mut parts[*n];
            if !part.dropped && !part.first {
                part.dropped = true;
                part.squeezed = Some("left out: it was long ago".into());
                line = Some(*n);
            }
        }
        if let Some(part) = line.map(|n| &mut parts[n]) {
            part.dropped = false;
            part.kind = "summary";
            part.fields = json!({ "text": LEFT_OUT }).as_object().cloned().unwrap_or_default();
        }
    };
    step_by_step(parts, &earlier(parts), &take, fits)
}

/// The older steps of the request that is open become one line each.
fn older_steps(parts: &mut [Part], fits: &mut dyn FnMut(&[Part]) -> bool) -> bool {
    let current = parts.last().map_or(0, |part| part.run);
    let mut steps: Vec<usize> =
        (0..parts.len()).filter(|n| parts[*n].run == current && !parts[*n].pinned).collect();
    // The last two steps are what the next thought is about.
    steps.truncate(steps.len().saturating_sub(2));
    steps.retain(|n| !parts[*n].dropped && parts[*n].kind != "summary");
    let take = |parts: &mut [Part], steps: &[usize]| steps.iter().for_each(|n| summarise(parts, &[*n]));
    step_by_step(parts, &steps, &take, fits)
}

/// The places of the parts of each earlier request, the oldest request first.
fn earlier(parts: &[Part]) -> Vec<Vec<usize>> {
    let current = parts.last().map_or(0, |part| part.run);
    let mut runs: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    for (n, part) in parts.iter().enumerate().filter(|(_, part)| part.run < current) {
        runs.entry(part.run).or_default().push(n);
    }
    runs.into_values().collect()
}

/// Replaces these parts by one line at the place of the first that is not pinned; pinned ones of an earlier request
/// that are only its first message go into the line too.
fn summarise(parts: &mut [Part], members: &[usize]) {
    let goes = |part: &Part| {
        !part.dropped && part.kind != "approval" && !part.first && (!part.pinned || part.kind == "heard")
    };
    let gone: Vec<usize> = members.iter().filter(|n| goes(&parts[**n])).copied().collect();
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
