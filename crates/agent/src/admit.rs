//! What an inbound becomes: an answer to a question, an answer that does not count, or something said.

use std::collections::BTreeMap;

use channel::{Body, Correlation, Inbound, Timestamp};
use serde_json::Value;

use crate::{
    agent::Agent,
    canonical::args_hash,
    directory::Directory,
    event::{
        Answer, Author, Decision, Edit, Event, Heard, HeardFile, How, Question, QuestionKind, Refusal, Reply,
        Routed, Why,
    },
    grammar::{self, EDIT},
    id::QuestionId,
    policy::judge,
    revise::revise,
    spec::Verdict,
    thread::{Phase, Thread},
};

/// An inbound, and what the shell found out about it.
#[derive(Clone)]
pub struct Arrival<'a> {
    /// The inbound.
    pub inbound: &'a Inbound,
    /// Its files, kept or dropped.
    pub files: Vec<HeardFile>,
    /// The question of this thread that it names.
    pub about: Option<About>,
    /// How the channel matches replies.
    pub correlation: Correlation,
    /// The agent that works on the request, in its version: what an approval with other arguments is checked against.
    pub agent: Option<&'a Agent>,
    /// Who takes the message if it begins a request; looked up only then.
    pub assigned: Option<Assigned>,
}

/// A question that an inbound names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct About {
    /// The question.
    pub question: QuestionId,
    /// How it is named.
    pub named: Named,
}

/// How an inbound names a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    /// By a ticket that was checked.
    ByTicket,
    /// As a reply to a card.
    ByReply,
}

/// Who takes a message that begins a request.
#[derive(Clone, Debug, PartialEq)]
pub struct Assigned {
    /// The fact for the log.
    pub routed: Routed,
    /// What the sender is told when no agent takes it.
    pub notice: Option<String>,
}

/// What the inbound becomes in this thread. An answer is checked here and nowhere else.
pub fn admit(directory: &Directory, thread: &Thread, arrival: Arrival<'_>, now: Timestamp) -> Vec<Event> {
    match &arrival.inbound.body {
        Body::Undelivered { why } => vec![Event::Undelivered { key: None, why: why.clone() }],
        Body::Edited { text, original } => edited(thread, arrival.inbound, text, original.as_deref()),
        Body::Deleted => deleted(thread, arrival.inbound),
        Body::Press { choice, comment, values } => {
            let Some((id, question)) =
                arrival.about.and_then(|about| Some((about.question, thread.question(about.question)?)))
            else {
                return Vec::new();
            };
            let read = match revised_call(directory, &arrival, question, choice, values) {
                Some(read) => read,
                None => grammar::press(&question.kind, &question.options, choice, comment.as_deref())
                    .map_or(Reading::Unclear, Reading::Clear),
            };
            let given = Given { read, words: choice.clone(), how: How::Pressed };
            vec![answer(directory, thread, &arrival, (id, question), given, now)]
        }
        Body::Text { text, original, .. } => {
            if let Some(event) = reply(directory, thread, &arrival, text, now) {
                let files = files_of_answer(thread, &arrival, &event);
                // The answer stands last: it is what the next step is about.
                return files.into_iter().chain([event]).collect();
            }
            say(thread, &arrival, text, original.as_deref())
        }
    }
}

/// Whether the conversation goes on under an old question: then a text that names this question answers nothing, and is
/// something said.
pub fn goes_on(thread: &Thread, question: QuestionId, inbound: &Inbound) -> bool {
    matches!(inbound.body, Body::Text { .. })
        && thread.settled_by(question).is_some()
        && thread.question(question).is_some_and(|question| question.kind == QuestionKind::Question)
        && thread.home() == Some(&inbound.at)
}

/// Reads a text as an answer, if it is one: it names the question, or it stands where the only open question was asked.
fn reply(
    directory: &Directory,
    thread: &Thread,
    arrival: &Arrival<'_>,
    text: &str,
    now: Timestamp,
) -> Option<Event> {
    let inbound = arrival.inbound;
    if let Some(id) = arrival.about.map(|about| about.question) {
        let question = thread.question(id)?;
        if goes_on(thread, id, inbound) {
            return None;
        }
        let read = read(question, arrival, text).map_or(Reading::Unclear, Reading::Clear);
        let given = Given { read, words: text.to_owned(), how: How::Wrote };
        return Some(answer(directory, thread, arrival, (id, question), given, now));
    }
    let mut here = thread
        .open_questions()
        .filter(|(_, question)| question.asked.iter().any(|asked| asked.at == inbound.at));
    let (id, question) = here.next()?;
    let guarded = matches!(question.kind, QuestionKind::Approval { .. } | QuestionKind::Unknown { .. });
    if here.next().is_some() {
        return None;
    }
    let read = read(question, arrival, text)?;
    if !guarded && directory.may_answer(question, &inbound.from, now).is_none() {
        return None;
    }
    let given = Given { read: Reading::Clear(read), words: text.to_owned(), how: How::Wrote };
    Some(answer(directory, thread, arrival, (id, question), given, now))
}

/// Reads a text as an answer; to a plain question, files alone are one too.
fn read(question: &Question, arrival: &Arrival<'_>, text: &str) -> Option<Decision> {
    let only_files = question.kind == QuestionKind::Question && !arrival.files.is_empty();
    grammar::read(&question.kind, &question.options, text)
        .or_else(|| only_files.then(|| Decision::Text(String::new())))
}

/// The files that came with the answer to a plain question, for the agent to see. Where the answer came from elsewhere,
/// its message is none that a word at home could reply to.
fn files_of_answer(thread: &Thread, arrival: &Arrival<'_>, event: &Event) -> Option<Event> {
    let Event::Answered(answer) = event else { return None };
    let plain = thread.question(answer.question)?.kind == QuestionKind::Question;
    let at_home = thread.home() == Some(&arrival.inbound.at);
    (plain && !arrival.files.is_empty()).then(|| {
        Event::Heard(Heard {
            message: arrival.inbound.message.clone().filter(|_| at_home),
            ..heard(arrival, "", None)
        })
    })
}

/// What somebody gave as an answer, and what the grammar read in it.
struct Given {
    read: Reading,
    words: String,
    how: How,
}

/// What was read in an answer.
enum Reading {
    /// A decision.
    Clear(Decision),
    /// No clear decision.
    Unclear,
    /// A decision that cannot be taken like that; why, a sentence.
    Unfit(String),
}

/// Reads a call that is approved with other arguments; nothing where that is not what was pressed. Whoever approves it
/// must be allowed to approve what would run, and not only what was asked.
fn revised_call(
    directory: &Directory,
    arrival: &Arrival<'_>,
    question: &Question,
    choice: &str,
    values: &BTreeMap<String, String>,
) -> Option<Reading> {
    let QuestionKind::Approval { tool, args, .. } = &question.kind else { return None };
    if choice != EDIT {
        return None;
    }
    let read = arrival.agent.ok_or_else(|| "the agent that asked is not here any more".to_owned()).and_then(
        |agent| {
            let args = revise(agent, tool, args, values)?;
            may_approve(directory, agent, tool, &args, arrival.inbound)?;
            Ok(args)
        },
    );
    Some(match read {
        Ok(revised) if revised == *args => Reading::Clear(Decision::Approve),
        Ok(revised) => {
            let hash = args_hash(&revised);
            Reading::Clear(Decision::ApproveEdited { args: revised, hash })
        }
        Err(why) => Reading::Unfit(why),
    })
}

/// Whether the policy lets this person approve a call with these arguments.
fn may_approve(
    directory: &Directory,
    agent: &Agent,
    tool: &str,
    args: &Value,
    inbound: &Inbound,
) -> Result<(), String> {
    let spec = agent.spec();
    let Some(tool_spec) = spec.tools.get(tool) else {
        return Err(format!("there is no tool `{tool}` any more"));
    };
    let judgement = judge(directory, tool_spec, args);
    let approvers = if judgement.approvers.is_empty() { &spec.approvers } else { &judgement.approvers };
    match judgement.verdict {
        Verdict::Allow => Ok(()),
        Verdict::Deny => Err(format!("the policy forbids {tool} like that ({})", judgement.because)),
        Verdict::Ask if directory.is_among(approvers, &inbound.from) => Ok(()),
        Verdict::Ask => Err(format!("{tool} like that takes the approval of {}", approvers.join(", "))),
    }
}

/// Other words for a message that is not answered yet.
fn edited(thread: &Thread, inbound: &Inbound, text: &str, original: Option<&str>) -> Vec<Event> {
    let place = inbound.message.as_ref().and_then(|message| thread.unanswered(message, &inbound.from));
    let (Some(place), Some(message)) = (place, &inbound.message) else { return Vec::new() };
    if thread.heard(place).is_some_and(|heard| heard.text == text) {
        return Vec::new();
    }
    vec![Event::Edited(Edit {
        message: message.clone(),
        by: inbound.from.clone(),
        text: text.to_owned(),
        original: original.filter(|original| *original != text).map(str::to_owned),
    })]
}

/// A message that is not answered yet is taken back, and with the last one the request; what runs already goes on.
fn deleted(thread: &Thread, inbound: &Inbound) -> Vec<Event> {
    let place = inbound.message.as_ref().and_then(|message| thread.unanswered(message, &inbound.from));
    let (Some(place), Some(message)) = (place, &inbound.message) else { return Vec::new() };
    let mut events = vec![Event::Deleted { message: message.clone(), by: inbound.from.clone() }];
    let may_end =
        matches!(thread.phase(), Phase::Thinking | Phase::Deciding(_) | Phase::Waiting | Phase::Cleared(_));
    if may_end && thread.is_last_said(place) {
        events.push(Event::Cancelled { by: inbound.from.name.clone() });
    }
    events
}

/// Whether this answer counts. Permission comes first: who may not answer learns nothing about the question.
fn answer(
    directory: &Directory,
    thread: &Thread,
    arrival: &Arrival<'_>,
    (id, question): (QuestionId, &Question),
    given: Given,
    now: Timestamp,
) -> Event {
    let inbound = arrival.inbound;
    let guarded = matches!(question.kind, QuestionKind::Approval { .. } | QuestionKind::Unknown { .. });
    let by_ticket = arrival.about.is_some_and(|about| about.named == Named::ByTicket);
    let mut what = None;
    let why = if guarded && !inbound.from.verified.is_proven() {
        Why::Unverified
    } else if directory.may_answer(question, &inbound.from, now).is_none() {
        if inbound.from.verified.is_proven() { Why::NotPermitted } else { Why::Unverified }
    } else if guarded && arrival.correlation == Correlation::Ticket && !by_ticket {
        Why::NoTicket
    } else if thread.settled_by(id).is_some() {
        match thread.settled_by(id).and_then(|seq| thread.event(seq)) {
            Some(Event::Lapsed { .. }) => Why::Expired,
            _ => Why::Settled,
        }
    } else if now >= question.deadline {
        Why::Expired
    } else {
        match given.read {
            Reading::Unclear => Why::Unclear,
            Reading::Unfit(sentence) => {
                what = Some(sentence);
                Why::Unfit
            }
            Reading::Clear(decision) => {
                return Event::Answered(Answer {
                    question: id,
                    by: inbound.from.clone(),
                    member: directory.member(&inbound.from).map(str::to_owned),
                    at: inbound.at.clone(),
                    decision,
                    words: given.words,
                    how: given.how,
                });
            }
        }
    };
    Event::Refused(Refusal {
        question: id,
        by: inbound.from.clone(),
        at: inbound.at.clone(),
        message: inbound.message.clone(),
        words: given.words,
        how: given.how,
        why,
        what,
    })
}

fn heard(arrival: &Arrival<'_>, text: &str, original: Option<&str>) -> Heard {
    let inbound = arrival.inbound;
    Heard {
        from: inbound.from.clone(),
        message: inbound.message.clone(),
        sent: inbound.sent,
        text: text.to_owned(),
        original: original.filter(|original| *original != text).map(str::to_owned),
        files: arrival.files.clone(),
    }
}

fn say(thread: &Thread, arrival: &Arrival<'_>, text: &str, original: Option<&str>) -> Vec<Event> {
    let inbound = arrival.inbound;
    let heard = Event::Heard(heard(arrival, text, original));
    match &arrival.assigned {
        Some(assigned) if thread.is_idle() => {
            let mut events = vec![Event::Routed(assigned.routed.clone()), heard];
            if let Some(notice) = &assigned.notice {
                events.push(Event::Said(Reply {
                    to: assigned.routed.home.clone(),
                    in_reply_to: inbound.message.clone(),
                    text: notice.clone(),
                    files: Vec::new(),
                    by: Author::Gateway,
                    note: None,
                }));
            }
            if assigned.routed.agent.is_none() {
                events.push(Event::Finished);
            }
            events
        }
        Some(_) | None => vec![heard],
    }
}
