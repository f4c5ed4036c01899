//! What an inbound becomes: an answer to a question, an answer that does not count, or something said.

use channel::{Body, Correlation, Inbound, Timestamp};

use crate::{
    agent::Agent,
    answer::Hearing,
    directory::{Directory, is_same},
    event::{Author, Edit, Event, Heard, HeardFile, QuestionKind, Reply, Routed},
    grammar,
    id::QuestionId,
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
    /// Further questions, of whichever conversation, that wait where it was said and could be meant as well.
    pub rivals: Vec<String>,
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
    /// By its code, or as the only one that was asked at that place.
    ByWords,
}

/// Who takes a message that begins a request.
#[derive(Clone, Debug, PartialEq)]
pub struct Assigned {
    /// The fact for the log.
    pub routed: Routed,
    /// What the sender is told when no agent takes it.
    pub notice: Option<String>,
}

/// What the inbound becomes in this thread.
pub fn admit(directory: &Directory, thread: &Thread, arrival: Arrival<'_>, now: Timestamp) -> Vec<Event> {
    let hearing = Hearing { directory, thread, arrival: &arrival, now };
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
            hearing.press((id, question), choice, comment.as_deref(), values)
        }
        Body::Text { text, original, .. } => {
            if grammar::is_stop(text) && may_stop(directory, thread, arrival.inbound) {
                return stop(thread, arrival.inbound);
            }
            match hearing.text(text) {
                Some(events) => events,
                None => say(thread, &arrival, text, original.as_deref()),
            }
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

/// Whether this person may stop the work on the request: whose request it is, and members, where they talk to the agent.
fn may_stop(directory: &Directory, thread: &Thread, inbound: &Inbound) -> bool {
    let from = &inbound.from;
    let is_requester =
        thread.requester().is_some_and(|who| directory.same_human(who, from) || is_same(who, from));
    !thread.is_idle()
        && thread.home() == Some(&inbound.at)
        && (is_requester || directory.member(from).is_some())
}

/// The work on the request is given up, at once.
fn stop(thread: &Thread, inbound: &Inbound) -> Vec<Event> {
    let running = matches!(thread.phase(), Phase::Running(_));
    let text = if running {
        "Stopped. What was running already may still come to its end."
    } else {
        "Stopped. Nothing more is done about this."
    };
    vec![
        Event::Cancelled { by: inbound.from.name.clone() },
        Event::Said(Reply {
            to: inbound.at.clone(),
            in_reply_to: inbound.message.clone(),
            answers: None,
            text: text.to_owned(),
            files: Vec::new(),
            by: Author::Gateway,
            note: None,
        }),
    ]
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

/// What was said, as an event has it.
pub(crate) fn heard(arrival: &Arrival<'_>, text: &str, original: Option<&str>) -> Heard {
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
                    answers: None,
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
