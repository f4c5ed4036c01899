//! What an inbound becomes: an answer to a question, an answer that does not count, or something said.

use channel::{Body, Correlation, Inbound, Timestamp};

use crate::{
    directory::Directory,
    event::{
        Answer, Author, Decision, Event, Heard, HeardFile, How, Question, QuestionKind, Refusal, Reply,
        Routed, Why,
    },
    grammar,
    id::QuestionId,
    thread::Thread,
};

/// An inbound, and what the shell found out about it.
#[derive(Clone, Debug)]
pub struct Arrival<'a> {
    /// The inbound.
    pub inbound: &'a Inbound,
    /// Its files, kept or dropped.
    pub files: Vec<HeardFile>,
    /// The question of this thread that it names.
    pub about: Option<About>,
    /// How the channel matches replies.
    pub correlation: Correlation,
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
        Body::Edited { .. } | Body::Deleted => Vec::new(),
        Body::Press { choice, comment, .. } => {
            let Some((id, question)) =
                arrival.about.and_then(|about| Some((about.question, thread.question(about.question)?)))
            else {
                return Vec::new();
            };
            let read = grammar::press(&question.kind, &question.options, choice, comment.as_deref());
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
        let settled = thread.settled_by(id).is_some();
        if settled && question.kind == QuestionKind::Question && thread.home() == Some(&inbound.at) {
            // The conversation goes on under an old question: that is something said.
            return None;
        }
        let read = read(question, arrival, text);
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
    if !guarded && !directory.may_answer(question, &inbound.from) {
        return None;
    }
    let given = Given { read: Some(read), words: text.to_owned(), how: How::Wrote };
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
    read: Option<Decision>,
    words: String,
    how: How,
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
    let why = if guarded && !inbound.from.verified.is_proven() {
        Why::Unverified
    } else if !directory.may_answer(question, &inbound.from) {
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
            None => Why::Unclear,
            Some(decision) => {
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
