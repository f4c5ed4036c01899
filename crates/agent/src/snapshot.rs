//! What goes on of a thread that has become long in the next one at its place. Pure.
//!
//! Invariant: rendered with the same request, the next thread shows what this one would have shown, byte for byte, as far as
//! the bounds below reach; beyond them the oldest is left out, and a line says so.
//! Invariant: however many threads a conversation has gone through, a snapshot is no larger than the bounds.

use std::collections::BTreeSet;

use channel::{File, Timestamp};
use serde::Serialize;

use crate::{
    decide::DENIAL_HOLDS,
    event::{CallEnd, Denied, Event, HeardFile, Passage, PassageKind, QuestionEnd, Snapshot},
    passages::{files, made_good, passages},
    render::measured,
    squeeze::{LONG, cut_middle},
    thread::Thread,
};

/// The most passages that go on.
const PASSAGES_MAX: usize = 200;
/// The most bytes of them, as JSON.
const PASSAGES_BYTES_MAX: usize = 128 * 1024;
/// The most bytes of one of them; a longer one loses the middle of its texts.
const PASSAGE_BYTES_MAX: usize = 32 * 1024;
/// The most files that can still be named, and the most bytes of what is kept about them.
const FILES_MAX: usize = 100;
const FILES_BYTES_MAX: usize = 32 * 1024;
/// The most denied calls.
const DENIED_MAX: usize = 100;

/// The event that the next thread begins with, where this one is at rest at `now` and the conversation goes on.
pub fn snapshot(thread: &Thread, now: Timestamp) -> Event {
    let (passages, left_out) = tail(thread);
    Event::Continued(Box::new(Snapshot {
        from: thread.id().clone(),
        events: thread.number(crate::id::Seq(thread.version().0)),
        agent: thread.agent().cloned(),
        passages,
        left_out: thread.former().map_or(0, |former| former.left_out).saturating_add(left_out),
        files: names(files(thread)),
        denied: denied(thread, now),
        reply_to: thread.reply_to(),
        measured: measured(thread),
        paused: thread.is_paused(),
    }))
}

/// The latest passages, as many as the bounds allow, and how many are missing. An error that was made good is not shown
/// any more, whatever comes; it is not missed.
fn tail(thread: &Thread) -> (Vec<Passage>, u64) {
    let all = passages(thread);
    let good = made_good(&all);
    let all: Vec<Passage> = all.into_iter().zip(good).filter(|(_, good)| !good).map(|(one, _)| one).collect();
    let count = all.len();
    let mut room = PASSAGES_BYTES_MAX;
    let mut kept = Vec::new();
    for passage in all.into_iter().rev().take(PASSAGES_MAX) {
        // One that is too large however it is cut is missing alone.
        let Some((passage, size)) = cut(passage) else { continue };
        let Some(left) = room.checked_sub(size) else { break };
        room = left;
        kept.push(passage);
    }
    kept.reverse();
    let runs: BTreeSet<u64> = kept.iter().map(|passage| passage.run).collect();
    for passage in &mut kept {
        passage.run = runs.range(..passage.run).count() as u64;
    }
    let left_out = count - kept.len();
    (kept, left_out as u64)
}

/// A passage that is not too large, with its size; long texts lose their middle for that.
fn cut(passage: Passage) -> Option<(Passage, usize)> {
    let fits = |passage: Passage| {
        Some(size(&passage)).filter(|size| *size <= PASSAGE_BYTES_MAX).map(|size| (passage, size))
    };
    let shorter = |max: usize| {
        let mut passage = passage.clone();
        texts(&mut passage.kind).into_iter().for_each(|text| {
            cut_middle(text, max);
        });
        fits(passage)
    };
    fits(passage.clone()).or_else(|| LONG.into_iter().find_map(shorter))
}

/// The texts of a passage that can be cut in the middle. An approval stays whole or goes.
fn texts(kind: &mut PassageKind) -> Vec<&mut String> {
    match kind {
        PassageKind::Heard { text, files, .. } => {
            let files = files.iter_mut().filter_map(|HeardFile { text, .. }| text.as_mut());
            std::iter::once(text).chain(files).collect()
        }
        PassageKind::Said { text, .. } | PassageKind::Fault { text, .. } => vec![text],
        PassageKind::Called { args, end, .. } => {
            let end = match end {
                CallEnd::Running => None,
                CallEnd::Done(text) | CallEnd::Unknown(text) => Some(text),
                CallEnd::Failed(fault) => Some(&mut fault.what),
            };
            std::iter::once(args).chain(end).collect()
        }
        PassageKind::Question { text, end: QuestionEnd { words, .. }, .. }
        | PassageKind::HandedOver { why: text, end: QuestionEnd { words, .. } } => vec![text, words],
        PassageKind::AskedBack { text, answer, .. } => vec![text, answer],
        PassageKind::Approval { .. } | PassageKind::Cancelled { .. } => Vec::new(),
    }
}

/// The latest file of each name: what a name means.
fn names(files: Vec<File>) -> Vec<File> {
    let mut seen = BTreeSet::new();
    let mut room = FILES_BYTES_MAX;
    let mut kept: Vec<File> = files
        .into_iter()
        .rev()
        .filter(|file| seen.insert(file.name.clone()))
        .take(FILES_MAX)
        .map_while(|file| {
            room = room.checked_sub(size(&file))?;
            Some(file)
        })
        .collect();
    kept.reverse();
    kept
}

/// The calls whose denial still stands, each once with the time that counts.
fn denied(thread: &Thread, now: Timestamp) -> Vec<Denied> {
    let all: Vec<Denied> = thread.denied().collect();
    let mut seen = BTreeSet::new();
    let mut kept: Vec<Denied> = all
        .into_iter()
        .rev()
        .filter(|denied| seen.insert((denied.tool.clone(), denied.hash.clone())))
        .filter(|denied| now.duration_since(denied.at).unsigned_abs() < DENIAL_HOLDS)
        .take(DENIED_MAX)
        .collect();
    kept.reverse();
    kept
}

fn size<T: Serialize>(value: &T) -> usize {
    serde_json::to_string(value).map_or(usize::MAX, |json| json.len())
}
