//! The log of a thread as parts: what happened, as data for the templates of prompts.
//!
//! Invariant: a call and its result are one part.

use channel::File;
use serde_json::{Map, Value, json};

use crate::{
    event::{Acted, Author, Decision, Event, Heard, Outcome, Question, QuestionKind, Record},
    id::{QuestionId, Seq},
    thread::Thread,
};

/// What stands where something was left out altogether.
pub(crate) const LEFT_OUT: &str = "What was said and done before is left out here.";

/// One part of the context window: what happened, as data for a template.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Part {
    /// The place of its first event.
    pub(crate) seq: Seq,
    /// Which request of the thread it belongs to, counting from 0.
    pub(crate) run: usize,
    /// What it is.
    pub(crate) kind: &'static str,
    /// Its fields, as they were said.
    pub(crate) fields: Map<String, Value>,
    /// It may not be left out as long as its request is told of: a first message, an approval, an open question.
    pub(crate) pinned: bool,
    /// It is the very first message, which stays whatever goes.
    pub(crate) first: bool,
    /// A failure that something later made good.
    pub(crate) resolved: bool,
    /// What was done to it for want of room.
    pub(crate) squeezed: Option<String>,
    /// Left out.
    pub(crate) dropped: bool,
}

/// The parts of a thread, in the order of the log.
pub(crate) fn parts(thread: &Thread) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    let mut run = 0;
    for (n, record) in thread.records().iter().enumerate() {
        let seq = Seq(n as u64);
        let begins = thread.runs().iter().position(|first| *first == seq);
        run = begins.unwrap_or(run);
        let made = match &record.event {
            // In the words that it has now; what was taken back is gone.
            Event::Heard(_) => thread
                .heard(seq)
                .map(|heard| ("heard", heard_fields(heard, thread.was_edited(seq)), begins.is_some())),
            Event::Said(reply) => match &reply.by {
                Author::Agent => {
                    Some(("said", fields(json!({ "by": "you", "to": "origin", "text": reply.text })), false))
                }
                Author::Member(name) => {
                    Some(("said", fields(json!({ "by": name, "to": "origin", "text": reply.text })), false))
                }
                Author::Gateway => None,
            },
            Event::Asked(question) => Some(asked_fields(thread, QuestionId(seq), question)),
            Event::Started(started)
                if !parts.iter().any(|part| part.kind == "called" && part.seq == started.call.0) =>
            {
                let args = started.args.to_string();
                let part = json!({ "tool": started.tool, "args": args, "status": "running", "result": "", "error": "" });
                parts.push(Part::new(started.call.0, run, "called", fields(part), false));
                None
            }
            Event::Acted(acted) => {
                end_call(&mut parts, acted);
                None
            }
            Event::Failed(failure) => {
                let fault = &failure.fault;
                Some(("fault", fields(json!({ "fault": fault.kind.as_str(), "text": fault.what })), false))
            }
            Event::Cancelled { by } => Some((
                "summary",
                fields(json!({ "text": format!("The request was cancelled by {by}.") })),
                false,
            )),
            Event::Routed(_)
            | Event::Edited(_)
            | Event::Deleted { .. }
            | Event::Thought(_)
            | Event::Started(_)
            | Event::Answered(_)
            | Event::Refused(_)
            | Event::Lapsed { .. }
            | Event::Delivered { .. }
            | Event::Undelivered { .. }
            | Event::Paused { .. }
            | Event::Resumed { .. }
            | Event::HandedOver { .. }
            | Event::Finished => None,
        };
        if let Some((kind, fields, pinned)) = made {
            parts.push(Part::new(seq, run, kind, fields, pinned));
        }
    }
    resolve(&mut parts);
    if let Some(first) = parts.iter_mut().find(|part| part.kind == "heard") {
        first.first = true;
    }
    parts
}

impl Part {
    fn new(seq: Seq, run: usize, kind: &'static str, fields: Map<String, Value>, pinned: bool) -> Self {
        Self { seq, run, kind, fields, pinned, first: false, resolved: false, squeezed: None, dropped: false }
    }

    fn is_failure(&self) -> bool {
        self.kind == "fault" || (self.kind == "called" && self.fields.get("status") == Some(&json!("failed")))
    }

    fn is_success(&self) -> bool {
        matches!(self.kind, "said" | "question" | "approval")
            || (self.kind == "called" && self.fields.get("status") == Some(&json!("done")))
    }
}

/// A fault is resolved by the next thing that works; a failed call by the next call of its tool that does, or by the
/// end of its request. What is resolved is hidden.
fn resolve(parts: &mut [Part]) {
    let last_run = parts.last().map_or(0, |part| part.run);
    for n in 0..parts.len() {
        let part = &parts[n];
        if !part.is_failure() {
            continue;
        }
        let later = &parts[n + 1..];
        let good = match part.kind {
            "fault" => later.iter().any(Part::is_success),
            _ => later.iter().any(|next| {
                next.kind == "called"
                    && next.is_success()
                    && next.fields.get("tool") == part.fields.get("tool")
            }),
        };
        parts[n].resolved = good || part.run < last_run;
        if good {
            parts[n].dropped = true;
            parts[n].squeezed = Some("hidden: the error was resolved".into());
        }
    }
}

fn fields(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
    }
}

fn heard_fields(heard: &Heard, edited: bool) -> Map<String, Value> {
    let files: Vec<Value> = heard
        .files
        .iter()
        .map(|file| {
            let text =
                file.text.clone().or_else(|| file.dropped.as_ref().map(|why| format!("(not kept: {why})")));
            json!({
                "name": file.file.name,
                "kind": file.file.kind,
                "size": file.file.size,
                "text": text.unwrap_or_default(),
            })
        })
        .collect();
    let verified = if heard.from.verified.is_proven() { "yes" } else { "no" };
    let edited = if edited { "yes" } else { "no" };
    fields(json!({
        "from": heard.from.name, "verified": verified, "edited": edited, "text": heard.text, "files": files,
    }))
}

fn asked_fields(
    thread: &Thread,
    id: QuestionId,
    question: &Question,
) -> (&'static str, Map<String, Value>, bool) {
    let answer = thread.settled_by(id).and_then(|seq| thread.event(seq));
    let (status, by, words) = match answer {
        None => ("open", String::new(), String::new()),
        Some(Event::Answered(answer)) => {
            let by = answer.member.clone().unwrap_or_else(|| answer.by.name.clone());
            match &answer.decision {
                Decision::Approve => ("approved", by, String::new()),
                Decision::ApproveEdited { args, .. } => ("approved", by, args.to_string()),
                Decision::Reject { comment } => ("rejected", by, comment.clone().unwrap_or_default()),
                Decision::Option(place) => {
                    ("answered", by, question.options.get(*place).cloned().unwrap_or_default())
                }
                Decision::Text(text) => ("answered", by, text.clone()),
            }
        }
        Some(_) => ("lapsed", String::new(), String::new()),
    };
    let open = status == "open";
    match &question.kind {
        QuestionKind::Approval { tool, args, .. } => {
            // Approved with other arguments than were asked for: those are what runs.
            let changed = if status == "approved" { words.clone() } else { String::new() };
            let comment = if status == "approved" { String::new() } else { words };
            let made = json!({
                "tool": tool, "args": args.to_string(), "status": status, "comment": comment, "changed": changed, "by": by,
            });
            ("approval", fields(made), true)
        }
        QuestionKind::Question | QuestionKind::Unknown { .. } => {
            let made = json!({
                "text": question.text, "options": question.options, "status": status, "answer": words, "by": by,
            });
            ("question", fields(made), open)
        }
        QuestionKind::HandOver => {
            ("handed_over", fields(json!({ "why": question.text, "status": status, "answer": words })), open)
        }
    }
}

fn end_call(parts: &mut [Part], acted: &Acted) {
    let Some(part) = parts.iter_mut().rev().find(|part| part.kind == "called" && part.seq == acted.call.0)
    else {
        return;
    };
    let (status, result, error) = match &acted.outcome {
        Outcome::Done(Value::String(text)) => ("done", text.clone(), String::new()),
        Outcome::Done(value) => ("done", value.to_string(), String::new()),
        Outcome::Failed(fault) => {
            ("failed", String::new(), format!("{}: {}", fault.kind.as_str(), fault.what))
        }
        Outcome::Unknown { why } => ("unknown", String::new(), why.clone()),
    };
    part.fields.insert("status".into(), status.into());
    part.fields.insert("result".into(), result.into());
    part.fields.insert("error".into(), error.into());
}

/// The files of a thread that were kept, oldest first.
pub fn files(thread: &Thread) -> Vec<File> {
    let of = |(seq, record): (usize, &Record)| -> Vec<File> {
        if let Event::Heard(_) = &record.event {
            let heard = thread.heard(Seq(seq as u64));
            heard.into_iter().flat_map(|heard| heard.files.iter().map(|file| file.file.clone())).collect()
        } else if let Event::Acted(acted) = &record.event {
            acted.files.clone()
        } else {
            Vec::new()
        }
    };
    thread.records().iter().enumerate().flat_map(of).filter(|file| !file.hash.is_empty()).collect()
}

/// One part of every kind, for trying templates.
pub(crate) fn one_of_every_kind() -> Vec<Part> {
    [
        ("heard", json!({ "from": "a", "verified": "yes", "edited": "yes", "text": "b", "files": [{ "name": "c", "kind": "text/plain", "size": 1, "text": "d" }] })),
        ("said", json!({ "by": "you", "to": "origin", "text": "a" })),
        ("called", json!({ "tool": "a", "args": "{}", "status": "done", "result": "b", "error": "" })),
        ("called", json!({ "tool": "a", "args": "{}", "status": "failed", "result": "", "error": "b" })),
        ("called", json!({ "tool": "a", "args": "{}", "status": "unknown", "result": "", "error": "b" })),
        ("called", json!({ "tool": "a", "args": "{}", "status": "running", "result": "", "error": "" })),
        ("question", json!({ "text": "a", "options": ["b", "c"], "status": "open", "answer": "", "by": "" })),
        ("question", json!({ "text": "a", "options": [], "status": "answered", "answer": "b", "by": "c" })),
        ("question", json!({ "text": "a", "options": [], "status": "lapsed", "answer": "", "by": "" })),
        ("approval", json!({ "tool": "a", "args": "{}", "status": "open", "comment": "", "changed": "", "by": "" })),
        ("approval", json!({ "tool": "a", "args": "{}", "status": "approved", "comment": "", "changed": "{}", "by": "b" })),
        ("approval", json!({ "tool": "a", "args": "{}", "status": "rejected", "comment": "c", "changed": "", "by": "b" })),
        ("approval", json!({ "tool": "a", "args": "{}", "status": "lapsed", "comment": "", "changed": "", "by": "" })),
        ("handed_over", json!({ "why": "a", "status": "answered", "answer": "b" })),
        ("fault", json!({ "fault": "bad_call", "text": "a" })),
        ("summary", json!({ "text": "a" })),
    ]
    .into_iter()
    .map(|(kind, value)| Part::new(Seq(0), 0, kind, fields(value), false))
    .collect()
}
