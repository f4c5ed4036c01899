//! The passages of a conversation as parts: data for the templates of prompts.

use serde_json::{Map, Value, json};

use crate::{
    event::{Author, CallEnd, HeardFile, PassageKind, QuestionEnd, QuestionStatus},
    passages::{made_good, passages},
    thread::Thread,
};

/// What stands where something was left out altogether.
pub(crate) const LEFT_OUT: &str = "What was said and done before is left out here.";

/// One part of the context window: what happened, as data for a template.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Part {
    /// The number of its first event in the conversation.
    pub(crate) number: u64,
    /// Which request of the conversation it belongs to, counting from 0.
    pub(crate) run: u64,
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

/// The parts of a conversation, in the order of the log.
pub(crate) fn parts(thread: &Thread) -> Vec<Part> {
    let passages = passages(thread);
    let good = made_good(&passages);
    let last_run = passages.last().map_or(0, |passage| passage.run);
    let begin: Vec<u64> = thread.runs().iter().map(|first| thread.number(*first)).collect();
    let is_whole = thread.former().is_none_or(|former| former.left_out == 0);
    let first = passages.iter().position(|passage| matches!(passage.kind, PassageKind::Heard { .. }));
    let told = passages.iter().zip(good).enumerate().map(|(n, (passage, good))| {
        let (kind, fields) = told(&passage.kind);
        let mut part = Part::new(passage.number, passage.run, kind, fields);
        part.pinned = match &passage.kind {
            PassageKind::Heard { .. } => begin.contains(&passage.number),
            PassageKind::Approval { .. } => true,
            PassageKind::Question { end, .. } | PassageKind::HandedOver { end, .. } => {
                end.status == QuestionStatus::Open
            }
            PassageKind::AskedBack { answer, .. } => answer.is_empty(),
            PassageKind::Said { .. }
            | PassageKind::Called { .. }
            | PassageKind::Fault { .. }
            | PassageKind::Cancelled { .. } => false,
        };
        part.first = is_whole && first == Some(n);
        // What failed in an earlier request may go first; what something made good is hidden.
        part.resolved = good || (part.is_failure() && part.run < last_run);
        if good {
            part.dropped = true;
            part.squeezed = Some("hidden: the error was resolved".into());
        }
        part
    });
    let left_out = (!is_whole).then(Part::left_out);
    left_out.into_iter().chain(told).collect()
}

impl Part {
    fn new(number: u64, run: u64, kind: &'static str, fields: Map<String, Value>) -> Self {
        Self {
            number,
            run,
            kind,
            fields,
            pinned: false,
            first: false,
            resolved: false,
            squeezed: None,
            dropped: false,
        }
    }

    /// The line that says that something is missing before everything else.
    fn left_out() -> Self {
        Self { pinned: true, ..Self::new(0, 0, "summary", fields(json!({ "text": LEFT_OUT }))) }
    }

    fn is_failure(&self) -> bool {
        self.kind == "fault" || (self.kind == "called" && self.fields.get("status") == Some(&json!("failed")))
    }
}

fn fields(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
    }
}

/// What a passage is called, and its fields.
fn told(kind: &PassageKind) -> (&'static str, Map<String, Value>) {
    let (kind, value) = match kind {
        PassageKind::Heard { from, text, edited, files } => {
            let yes = |is: bool| if is { "yes" } else { "no" };
            let files: Vec<Value> = files.iter().map(file).collect();
            let value = json!({
                "from": from.name, "verified": yes(from.verified.is_proven()), "edited": yes(*edited), "text": text,
                "files": files,
            });
            ("heard", value)
        }
        PassageKind::Said { by, text } => {
            let by = match by {
                Author::Agent => "you",
                Author::Gateway => "the gateway",
                Author::Member(name) => name.as_str(),
            };
            ("said", json!({ "by": by, "to": "origin", "text": text }))
        }
        PassageKind::Called { tool, args, end } => {
            let (status, result, error) = match end {
                CallEnd::Running => ("running", "", String::new()),
                CallEnd::Done(result) => ("done", result.as_str(), String::new()),
                CallEnd::Failed(fault) => ("failed", "", format!("{}: {}", fault.kind.as_str(), fault.what)),
                CallEnd::Unknown(why) => ("unknown", "", why.clone()),
            };
            let value =
                json!({ "tool": tool, "args": args, "status": status, "result": result, "error": error });
            ("called", value)
        }
        PassageKind::Question { text, options, end } => {
            let QuestionEnd { status, by, words } = end;
            let value = json!({
                "text": text, "options": options, "status": status.as_str(), "answer": words, "by": by,
            });
            ("question", value)
        }
        PassageKind::Approval { tool, args, end } => {
            let QuestionEnd { status, by, words } = end;
            // Approved with other arguments than were asked for: those are what runs.
            let (changed, comment) =
                if *status == QuestionStatus::Approved { (words.as_str(), "") } else { ("", words.as_str()) };
            let value = json!({
                "tool": tool, "args": args, "status": status.as_str(), "comment": comment, "changed": changed, "by": by,
            });
            ("approval", value)
        }
        PassageKind::AskedBack { by, text, answer } => {
            ("asked_back", json!({ "by": by, "text": text, "answer": answer }))
        }
        PassageKind::HandedOver { why, end } => {
            ("handed_over", json!({ "why": why, "status": end.status.as_str(), "answer": end.words }))
        }
        PassageKind::Fault { fault, text } => ("fault", json!({ "fault": fault.as_str(), "text": text })),
        PassageKind::Cancelled { by } => {
            ("summary", json!({ "text": format!("The request was cancelled by {by}.") }))
        }
    };
    (kind, fields(value))
}

fn file(file: &HeardFile) -> Value {
    let HeardFile { file, text, dropped } = file;
    let text = text.clone().or_else(|| dropped.as_ref().map(|why| format!("(not kept: {why})")));
    json!({ "name": file.name, "kind": file.kind, "size": file.size, "text": text.unwrap_or_default() })
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
        ("asked_back", json!({ "by": "a", "text": "b", "answer": "" })),
        ("asked_back", json!({ "by": "a", "text": "b", "answer": "c" })),
        ("handed_over", json!({ "why": "a", "status": "answered", "answer": "b" })),
        ("fault", json!({ "fault": "bad_call", "text": "a" })),
        ("summary", json!({ "text": "a" })),
    ]
    .into_iter()
    .map(|(kind, value)| Part::new(0, 0, kind, fields(value)))
    .collect()
}
