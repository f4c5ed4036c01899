//! What the scripted model decides on.

use serde_json::{Value, json};

use crate::{
    agent::Agent,
    event::{Author, Decision, Deferral, Deferring, Event, Outcome, QuestionKind},
    id::Seq,
    parts::{Part, parts},
    passages::run_of_now,
    thread::Thread,
};

/// What the scripted model decides on: the same parts as data, and the latest one that matters.
pub(crate) fn situation(agent: &Agent, thread: &Thread) -> Value {
    let run = run_of_now(thread);
    let all = parts(thread);
    let current: Vec<&Part> = all.iter().filter(|part| part.run == run).collect();
    // The order of the log is the order of beginnings; what counts is what ended last. What was said too late for the request
    // before stands in front of that one's end, and comes after it all the same.
    let records = thread.records();
    let ended = records.iter().rposition(|record| matches!(record.event, Event::Finished));
    let began = thread.run().first.and_then(|first| usize::try_from(first.0).ok());
    let is_of_this = |(seq, event): (usize, &Event)| {
        ended.is_none_or(|ended| seq > ended)
            || matches!(event, Event::Heard(_) | Event::Edited(_)) && began.is_some_and(|began| seq >= began)
    };
    let mut records =
        records.iter().enumerate().rev().filter(|(seq, record)| is_of_this((*seq, &record.event)));
    let last = records.find_map(|(seq, record)| latest(thread, Seq(seq as u64), &record.event));
    let first = current.iter().find(|part| part.kind == "heard");
    let events: Vec<Value> = current
        .iter()
        .map(|part| {
            let mut fields = part.fields.clone();
            fields.insert("kind".into(), part.kind.into());
            Value::Object(fields)
        })
        .collect();
    json!({
        "agent": agent.reference().name,
        "last": last.unwrap_or_else(|| json!({ "kind": "nothing" })),
        "request": first.and_then(|part| part.fields.get("text")).cloned().unwrap_or_default(),
        "requester": thread.requester().map_or("", |person| person.name.as_str()),
        "events": events,
        "tools": agent.spec().tools.keys().collect::<Vec<_>>(),
    })
}

/// The latest event that a script can answer to.
fn latest(thread: &Thread, seq: Seq, event: &Event) -> Option<Value> {
    match event {
        // What was taken back was not said.
        Event::Heard(_) => {
            let heard = thread.heard(seq)?;
            Some(json!({ "kind": "heard", "text": heard.text, "from": heard.from.name }))
        }
        Event::Edited(edit) => Some(json!({ "kind": "heard", "text": edit.text, "from": edit.by.name })),
        Event::Acted(acted) => {
            let call = thread.call(acted.call)?;
            Some(match &acted.outcome {
                Outcome::Done(value) => {
                    json!({ "kind": "done", "tool": call.tool, "args": call.args, "result": value })
                }
                Outcome::Failed(fault) => {
                    json!({ "kind": "failed", "tool": call.tool, "args": call.args, "error": fault.what })
                }
                Outcome::Unknown { why } => {
                    json!({ "kind": "unknown", "tool": call.tool, "args": call.args, "error": why })
                }
            })
        }
        Event::Failed(failure) => Some(json!({ "kind": "failed", "tool": "", "error": failure.fault.what })),
        Event::Answered(answer) => {
            let question = thread.question(answer.question)?;
            let (tool, args) = match &question.kind {
                QuestionKind::Approval { tool, args, .. } | QuestionKind::Unknown { tool, args, .. } => {
                    (tool.as_str(), args.clone())
                }
                QuestionKind::Question | QuestionKind::Approvals { .. } | QuestionKind::HandOver => {
                    ("", Value::Null)
                }
            };
            Some(match &answer.decision {
                Decision::Approve | Decision::ApproveAlike { .. } => {
                    json!({ "kind": "approved", "tool": tool, "args": args })
                }
                Decision::ApproveEdited { args, .. } => {
                    json!({ "kind": "approved", "tool": tool, "args": args })
                }
                Decision::Reject { comment } | Decision::ApproveSome { comment, .. } => {
                    json!({ "kind": "rejected", "tool": tool, "args": args, "comment": comment.clone().unwrap_or_default() })
                }
                Decision::Option(place) => {
                    let option = question.options.get(*place).cloned().unwrap_or_default();
                    json!({ "kind": "answered", "tool": tool, "args": args, "answer": option, "text": option, "question": question.text })
                }
                Decision::HandBack { note } => {
                    json!({ "kind": "handed_back", "tool": "", "text": note.clone().unwrap_or_default() })
                }
                Decision::Done => {
                    json!({ "kind": "answered", "tool": tool, "args": args, "answer": "", "text": "", "question": question.text })
                }
                Decision::Options(places) => {
                    let chosen: Vec<&String> =
                        places.iter().filter_map(|place| question.options.get(*place)).collect();
                    json!({ "kind": "answered", "tool": tool, "args": args, "answer": chosen, "text": question.chosen(places), "question": question.text })
                }
                Decision::Form(values) => {
                    json!({ "kind": "answered", "tool": tool, "args": args, "answer": values, "text": values.to_string(), "question": question.text })
                }
                Decision::Text(text) => {
                    json!({ "kind": "answered", "tool": tool, "args": args, "answer": text, "text": text, "question": question.text })
                }
            })
        }
        Event::Lapsed { question } => {
            let question = thread.question(*question)?;
            let tool = match &question.kind {
                QuestionKind::Approval { tool, .. } | QuestionKind::Unknown { tool, .. } => tool.as_str(),
                QuestionKind::Question | QuestionKind::Approvals { .. } | QuestionKind::HandOver => "",
            };
            Some(json!({ "kind": "lapsed", "tool": tool, "question": question.text }))
        }
        Event::Deferred(Deferral { deferring: Deferring::AskedBack(_), .. }) => {
            // Several may wait for an answer; what is said next is for the oldest.
            thread.asked_back().find(|(open, _)| *open == seq)?;
            let (_, oldest) = thread.asked_back().next()?;
            let Deferring::AskedBack(text) = &oldest.deferring else { return None };
            let question = thread.question(oldest.question)?;
            Some(json!({ "kind": "asked_back", "text": text, "question": question.text }))
        }
        // The answer to whoever asked back is no end of what was asked back beside it.
        Event::Said(reply) if reply.by == Author::Agent && reply.answers.is_none() => {
            Some(json!({ "kind": "said", "text": reply.text }))
        }
        Event::Continued(_)
        | Event::Routed(_)
        | Event::Deleted { .. }
        | Event::Thought(_)
        | Event::Planned(_)
        | Event::Started(_)
        | Event::Asked(_)
        | Event::AskedAgain(_)
        | Event::Voted(_)
        | Event::Revoked(_)
        | Event::Spoke(_)
        | Event::Deferred(_)
        | Event::Refused(_)
        | Event::Withdrawn { .. }
        | Event::Said(_)
        | Event::Delivered { .. }
        | Event::Undelivered { .. }
        | Event::Paused { .. }
        | Event::Resumed { .. }
        | Event::Cancelled { .. }
        | Event::HandedOver { .. }
        | Event::Finished => None,
    }
}
