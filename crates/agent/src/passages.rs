//! The log of a thread as passages: what was said, done and asked, each with its end; what goes on of the thread before it
//! first.
//!
//! Invariant: a call and its result are one passage.

use channel::{File, Person};

use crate::{
    event::{
        Acted, AskedCall, Author, CallEnd, Decision, Deferral, Deferring, Event, Heard, Outcome, Passage,
        PassageKind, Question, QuestionEnd, QuestionKind, QuestionStatus, Reply,
    },
    id::{QuestionId, Seq},
    thread::Thread,
};

/// The passages of a conversation, in the order of the log.
pub(crate) fn passages(thread: &Thread) -> Vec<Passage> {
    let mut all = thread.former().map(|former| former.passages.clone()).unwrap_or_default();
    // Of what came before, nothing changes any more.
    let former = all.len();
    let first_run = first_run(thread);
    let mut run = first_run;
    for (n, record) in thread.records().iter().enumerate() {
        let seq = Seq(n as u64);
        if let Some(begins) = thread.runs().iter().position(|first| *first == seq) {
            run = first_run.saturating_add(begins as u64);
        }
        let (at, kind) = match &record.event {
            // In the words that it has now; what was taken back is gone.
            Event::Heard(_) => (seq, thread.heard(seq).map(|heard| said_by(heard, thread.was_edited(seq)))),
            Event::Said(Reply { answers: Some(asked_back), text: told, .. }) => {
                let number = thread.number(*asked_back);
                let asked = all.iter_mut().skip(former).rev().find(|passage| passage.number == number);
                if let Some(Passage { kind: PassageKind::AskedBack { answer, .. }, .. }) = asked {
                    answer.clone_from(told);
                }
                continue;
            }
            Event::Deferred(Deferral { deferring: Deferring::AskedBack(text), member, by, .. }) => {
                let by = member.clone().unwrap_or_else(|| by.name.clone());
                (seq, Some(PassageKind::AskedBack { by, text: text.clone(), answer: String::new() }))
            }
            Event::Spoke(speech) => {
                let by = speech.member.clone().unwrap_or_else(|| speech.by.name.clone());
                (seq, Some(PassageKind::Said { by: Author::Member(by), text: speech.text.clone() }))
            }
            Event::Said(reply) => {
                let told = || PassageKind::Said { by: reply.by.clone(), text: reply.text.clone() };
                (seq, (reply.by != Author::Gateway).then(told))
            }
            Event::Asked(question) => {
                let asked = asked(thread, QuestionId(seq), question).into_iter();
                all.extend(asked.map(|(at, kind)| Passage { number: thread.number(at), run, kind }));
                continue;
            }
            Event::Started(started) => {
                let number = thread.number(started.call.0);
                let begun = all.iter().skip(former).any(|passage| is_call(passage, number));
                let called = || PassageKind::Called {
                    tool: started.tool.clone(),
                    args: started.args.to_string(),
                    end: CallEnd::Running,
                };
                (started.call.0, (!begun).then(called))
            }
            Event::Acted(acted) => {
                let number = thread.number(acted.call.0);
                let called = all.iter_mut().skip(former).rev().find(|passage| is_call(passage, number));
                let called = called.map(|passage| &mut passage.kind);
                match (called, thread.call(acted.call)) {
                    (Some(PassageKind::Called { end, .. }), _) => {
                        *end = ended(acted);
                        continue;
                    }
                    // One of several that was refused before it began.
                    (_, Some(call)) => {
                        let (tool, args) = (call.tool.to_owned(), call.args.to_string());
                        (acted.call.0, Some(PassageKind::Called { tool, args, end: ended(acted) }))
                    }
                    (_, None) => continue,
                }
            }
            Event::Failed(failure) => {
                let fault = &failure.fault;
                (seq, Some(PassageKind::Fault { fault: fault.kind, text: fault.what.clone() }))
            }
            Event::Cancelled { by } => (seq, Some(PassageKind::Cancelled { by: by.clone() })),
            Event::Continued(_)
            | Event::Routed(_)
            | Event::Edited(_)
            | Event::Deleted { .. }
            | Event::Thought(_)
            | Event::Planned(_)
            | Event::AskedAgain(_)
            | Event::Voted(_)
            | Event::Deferred(_)
            | Event::Answered(_)
            | Event::Refused(_)
            | Event::Revoked(_)
            | Event::Lapsed { .. }
            | Event::Withdrawn { .. }
            | Event::Delivered { .. }
            | Event::Undelivered { .. }
            | Event::Paused { .. }
            | Event::Resumed { .. }
            | Event::HandedOver { .. }
            | Event::Finished => continue,
        };
        all.extend(kind.map(|kind| Passage { number: thread.number(at), run, kind }));
    }
    all
}

/// The number that the first request of this thread has among all that are told of.
fn first_run(thread: &Thread) -> u64 {
    let former = thread.former().and_then(|former| former.passages.iter().map(|passage| passage.run).max());
    former.map_or(0, |last| last.saturating_add(1))
}

/// The number of the request that is being worked on.
pub(crate) fn run_of_now(thread: &Thread) -> u64 {
    first_run(thread).saturating_add(thread.runs().len() as u64).saturating_sub(1)
}

/// Whether each passage is an error that something later made good: a fault by the next thing that works, a failed call by
/// the next call of its tool that does.
pub(crate) fn made_good(passages: &[Passage]) -> Vec<bool> {
    let good = |(n, passage): (usize, &Passage)| {
        let mut later = passages.iter().skip(n + 1);
        match &passage.kind {
            PassageKind::Fault { .. } => later.any(is_success),
            PassageKind::Called { tool, end: CallEnd::Failed(_), .. } => later.any(|next| {
                matches!(&next.kind, PassageKind::Called { tool: of, end: CallEnd::Done(_), .. } if of == tool)
            }),
            PassageKind::Heard { .. }
            | PassageKind::Said { .. }
            | PassageKind::Called { .. }
            | PassageKind::Question { .. }
            | PassageKind::Approval { .. }
            | PassageKind::AskedBack { .. }
            | PassageKind::HandedOver { .. }
            | PassageKind::Cancelled { .. } => false,
        }
    };
    passages.iter().enumerate().map(good).collect()
}

fn is_success(passage: &Passage) -> bool {
    matches!(
        passage.kind,
        PassageKind::Said { .. }
            | PassageKind::Question { .. }
            | PassageKind::Approval { .. }
            | PassageKind::Called { end: CallEnd::Done(_), .. }
    )
}

fn is_call(passage: &Passage, number: u64) -> bool {
    passage.number == number && matches!(passage.kind, PassageKind::Called { .. })
}

fn said_by(heard: &Heard, edited: bool) -> PassageKind {
    PassageKind::Heard {
        from: Person { roles: Vec::new(), ..heard.from.clone() },
        text: heard.text.clone(),
        edited,
        files: heard.files.clone(),
    }
}

/// A question with its end; one for permission to run several calls is one for each of them.
fn asked(thread: &Thread, id: QuestionId, question: &Question) -> Vec<(Seq, PassageKind)> {
    let answer = thread.settled_by(id).and_then(|seq| thread.event(seq));
    let (status, by, words) = match answer {
        None => (QuestionStatus::Open, String::new(), String::new()),
        Some(Event::Answered(answer)) => {
            let by = answer.member.clone().unwrap_or_else(|| answer.by.name.clone());
            let (status, words) = match &answer.decision {
                Decision::Approve | Decision::ApproveAlike { .. } => {
                    (QuestionStatus::Approved, String::new())
                }
                Decision::ApproveEdited { args, .. } => (QuestionStatus::Approved, args.to_string()),
                Decision::Reject { comment } | Decision::ApproveSome { comment, .. } => {
                    (QuestionStatus::Rejected, comment.clone().unwrap_or_default())
                }
                Decision::Option(place) => {
                    (QuestionStatus::Answered, question.options.get(*place).cloned().unwrap_or_default())
                }
                Decision::Options(places) => (QuestionStatus::Answered, question.chosen(places)),
                Decision::Form(values) => (QuestionStatus::Answered, values.to_string()),
                Decision::Text(text) => (QuestionStatus::Answered, text.clone()),
                Decision::HandBack { note } => (QuestionStatus::Answered, note.clone().unwrap_or_default()),
                Decision::Done => (QuestionStatus::Answered, String::new()),
            };
            (status, by, words)
        }
        Some(Event::Withdrawn { why, .. }) => (QuestionStatus::Withdrawn, String::new(), why.clone()),
        Some(_) => (QuestionStatus::Lapsed, String::new(), String::new()),
    };
    let end = QuestionEnd { status, by, words };
    let kind = match &question.kind {
        QuestionKind::Approvals { calls } => {
            let decision = thread.answer(id).map(|answer| &answer.decision);
            let one = |(place, asked): (usize, &AskedCall)| {
                let cleared = decision.is_some_and(|decision| decision.clears(place));
                let end = match cleared {
                    true => {
                        QuestionEnd { status: QuestionStatus::Approved, words: String::new(), ..end.clone() }
                    }
                    false => end.clone(),
                };
                let (tool, args) = (asked.tool.clone(), asked.args.to_string());
                (asked.call.0, PassageKind::Approval { tool, args, end })
            };
            return calls.iter().enumerate().map(one).collect();
        }
        QuestionKind::Approval { tool, args, .. } => {
            PassageKind::Approval { tool: tool.clone(), args: args.to_string(), end }
        }
        QuestionKind::Question | QuestionKind::Unknown { .. } => {
            PassageKind::Question { text: question.text.clone(), options: question.options.clone(), end }
        }
        QuestionKind::HandOver => PassageKind::HandedOver { why: question.text.clone(), end },
    };
    vec![(id.0, kind)]
}

fn ended(acted: &Acted) -> CallEnd {
    match &acted.outcome {
        Outcome::Done(serde_json::Value::String(text)) => CallEnd::Done(text.clone()),
        Outcome::Done(value) => CallEnd::Done(value.to_string()),
        Outcome::Failed(fault) => CallEnd::Failed(fault.clone()),
        Outcome::Unknown { why } => CallEnd::Unknown(why.clone()),
    }
}

/// The files of a conversation that were kept, oldest first.
pub fn files(thread: &Thread) -> Vec<File> {
    let of = |(seq, record): (usize, &crate::event::Record)| -> Vec<File> {
        if let Event::Heard(_) = &record.event {
            let heard = thread.heard(Seq(seq as u64));
            heard.into_iter().flat_map(|heard| heard.files.iter().map(|file| file.file.clone())).collect()
        } else if let Event::Acted(acted) = &record.event {
            acted.files.clone()
        } else {
            Vec::new()
        }
    };
    let former = thread.former().map(|former| former.files.clone()).unwrap_or_default();
    let own = thread.records().iter().enumerate().flat_map(of).filter(|file| !file.hash.is_empty());
    former.into_iter().chain(own).collect()
}
