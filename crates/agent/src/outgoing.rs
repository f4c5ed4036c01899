//! What is sent because of an event: a pure consequence of the log, so that the outbox can be rebuilt from it.

use std::collections::BTreeSet;

use channel::{
    Address, Capabilities, Card, CardState, ChannelName, Choice, Comment, Content, Correlation, DeliveryKey,
    Field, Outgoing, Style, Text, Timestamp,
};
use serde_json::Value;

use crate::{
    event::{Answer, Decision, Event, Question, QuestionKind, Refusal, Why},
    grammar::{EDIT, choice_id},
    id::{QuestionId, Seq},
    revise,
    spec::redacted,
    thread::Thread,
    ticket::Tickets,
};

/// What the messages are made with.
pub struct Press<'a> {
    /// Makes the cards' tickets.
    pub tickets: &'a Tickets,
    /// What a channel can do.
    pub capabilities: &'a dyn Fn(&ChannelName) -> Option<Capabilities>,
    /// Names of arguments that people must not see, by tool; none where they are not known: then no argument is shown.
    pub secrets: &'a dyn Fn(&str) -> Option<Vec<String>>,
}

/// The messages that the event at `seq` of this thread causes. The event must be in the thread already.
pub fn outgoing(thread: &Thread, seq: Seq, press: &Press<'_>) -> Vec<Outgoing> {
    let Some(record) = usize::try_from(seq.0).ok().and_then(|n| thread.records().get(n)) else {
        return Vec::new();
    };
    let at = record.at;
    match &record.event {
        Event::Said(reply) => vec![Outgoing {
            key: thread.id().delivery(seq, 0),
            to: reply.to.clone(),
            at,
            only: None,
            in_reply_to: reply.in_reply_to.clone(),
            amends: None,
            content: Content::Text(Text { markdown: reply.text.clone(), note: reply.note.clone() }),
            files: reply.files.clone(),
        }],
        Event::Asked(question) => {
            let open = CardState::Open { deadline: question.deadline };
            cards(thread, (QuestionId(seq), question), open, press, at)
        }
        Event::Answered(answer) => close(thread, answer.question, seq, &ending(thread, answer), press, at),
        Event::Lapsed { question } => close(thread, *question, seq, "Nobody answered in time", press, at),
        Event::Cancelled { by } => {
            let closed = |id: &QuestionId| thread.settled_by(*id) == Some(seq);
            let asked = (0..seq.0).map(|n| QuestionId(Seq(n))).filter(closed);
            asked.flat_map(|id| close(thread, id, seq, &format!("Cancelled by {by}"), press, at)).collect()
        }
        Event::Refused(refusal) => vec![refuse(thread, seq, refusal, at)],
        Event::Continued(_)
        | Event::Routed(_)
        | Event::Heard(_)
        | Event::Edited(_)
        | Event::Deleted { .. }
        | Event::Thought(_)
        | Event::Started(_)
        | Event::Acted(_)
        | Event::Delivered { .. }
        | Event::Undelivered { .. }
        | Event::Failed(_)
        | Event::Paused { .. }
        | Event::Resumed { .. }
        | Event::HandedOver { .. }
        | Event::Finished => Vec::new(),
    }
}

/// The names that the messages of a thread may have: of all that its events cause where everything can be done, and of those
/// whose end is in the log. Nobody need remember which were sent to find them all.
pub fn message_names(thread: &Thread) -> BTreeSet<DeliveryKey> {
    let can = Capabilities {
        buttons: true,
        forms: true,
        amends: true,
        private: true,
        files: true,
        text_len_max: None,
        correlation: Correlation::Native,
        one_reader: false,
    };
    // Only the names count: whatever the messages would say, nobody reads it.
    let tickets = Tickets::new([0; 32]);
    let press = Press { tickets: &tickets, capabilities: &|_| Some(can), secrets: &|_| None };
    let caused = (0..thread.version().0).flat_map(|seq| outgoing(thread, Seq(seq), &press));
    let mut names: BTreeSet<DeliveryKey> = caused.map(|message| message.key).collect();
    for record in thread.records() {
        if let Event::Delivered { key, .. } | Event::Undelivered { key: Some(key), .. } = &record.event {
            names.insert(key.clone());
        }
    }
    names
}

/// The words that say how a question ended.
pub fn ending(thread: &Thread, answer: &Answer) -> String {
    let who = answer.member.as_deref().unwrap_or(&answer.by.name);
    match &answer.decision {
        Decision::Approve => format!("Approved by {who}"),
        Decision::ApproveEdited { args, .. } => {
            let asked = thread.question(answer.question).map(|question| &question.kind);
            let changed = match asked {
                Some(QuestionKind::Approval { args: asked, .. }) => revise::difference(asked, args),
                _ => String::new(),
            };
            format!("Approved with changes by {who}: {changed}")
        }
        Decision::Reject { comment: None } => format!("Rejected by {who}"),
        Decision::Reject { comment: Some(comment) } => format!("Rejected by {who}: {comment}"),
        Decision::Option(place) => {
            let option = thread.question(answer.question).and_then(|question| question.options.get(*place));
            format!("{who} answered: {}", option.map_or("", String::as_str))
        }
        Decision::Text(text) => format!("{who} answered: {text}"),
    }
}

fn cards(
    thread: &Thread,
    (id, question): (QuestionId, &Question),
    state: CardState,
    press: &Press<'_>,
    at: Timestamp,
) -> Vec<Outgoing> {
    let card = |to: &Address| Card {
        ticket: press.tickets.mint(thread.id(), id, to),
        code: String::new(),
        title: title(question),
        text: question.text.clone(),
        fields: fields(question, press),
        choices: choices(question, to, press),
        free_text: matches!(question.kind, QuestionKind::Question | QuestionKind::HandOver),
        progress: None,
        state: state.clone(),
    };
    question
        .asked
        .iter()
        .enumerate()
        .map(|(n, asked)| Outgoing {
            key: thread.id().delivery(id.0, n),
            to: asked.at.clone(),
            at,
            only: None,
            in_reply_to: question.in_reply_to.clone().filter(|_| thread.home() == Some(&asked.at)),
            amends: None,
            content: Content::Card(card(&asked.at)),
            files: Vec::new(),
        })
        .collect()
}

/// Closes every card of a question. Where a card cannot be rewritten, a plain question needs no last word, but who was
/// asked to decide hears how it ended.
fn close(
    thread: &Thread,
    id: QuestionId,
    seq: Seq,
    how: &str,
    press: &Press<'_>,
    at: Timestamp,
) -> Vec<Outgoing> {
    let Some(question) = thread.question(id).filter(|_| thread.settled_by(id) == Some(seq)) else {
        return Vec::new();
    };
    let closed = CardState::Closed { how: how.to_owned() };
    let worth = |to: &Address| {
        let amends = (press.capabilities)(&to.channel).is_some_and(|can| can.amends);
        amends || !matches!(question.kind, QuestionKind::Question)
    };
    cards(thread, (id, question), closed, press, at)
        .into_iter()
        .enumerate()
        .filter(|(_, card)| worth(&card.to))
        .map(|(n, card)| Outgoing {
            // Several questions may close by one event; the question's own place keeps their keys apart.
            key: thread.id().delivery(seq, usize::try_from(id.0.0).unwrap_or(0) * 1_000 + n),
            amends: Some(card.key.clone()),
            ..card
        })
        .collect()
}

fn title(question: &Question) -> String {
    match &question.kind {
        QuestionKind::Question => format!("{} asks", question.asker.name),
        QuestionKind::Approval { tool, .. } => format!("Approve: {tool}"),
        QuestionKind::Unknown { tool, .. } => format!("Did it happen? {tool}"),
        QuestionKind::HandOver => format!("{} hands over to you", question.asker.name),
    }
}

/// One row an argument, whole; what the tool declares secret is not shown.
fn fields(question: &Question, press: &Press<'_>) -> Vec<Field> {
    let (tool, args) = match &question.kind {
        QuestionKind::Approval { tool, args, .. } | QuestionKind::Unknown { tool, args, .. } => (tool, args),
        QuestionKind::Question | QuestionKind::HandOver => return Vec::new(),
    };
    let Some(secret) = (press.secrets)(tool) else { return Vec::new() };
    let Value::Object(args) = redacted(args, &secret) else { return Vec::new() };
    args.into_iter().map(|(label, value)| Field { label, value: revise::text_of(&value) }).collect()
}

fn choices(question: &Question, to: &Address, press: &Press<'_>) -> Vec<Choice> {
    let choice = |id: &str, label: &str, style, comment| Choice {
        id: id.into(),
        label: label.into(),
        style,
        comment,
        form: Vec::new(),
        reply: None,
    };
    match &question.kind {
        QuestionKind::Approval { tool, args, .. } => {
            let mut choices = vec![choice("approve", "Approve", Style::Primary, Comment::None)];
            let form = (press.secrets)(tool).map(|secret| revise::form(args, &secret)).unwrap_or_default();
            if !form.is_empty() && (press.capabilities)(&to.channel).is_some_and(|can| can.forms) {
                choices.push(Choice {
                    form,
                    ..choice(EDIT, "Approve with changes…", Style::Plain, Comment::None)
                });
            }
            choices.push(choice("reject", "Reject", Style::Danger, Comment::Optional));
            choices
        }
        QuestionKind::Question | QuestionKind::Unknown { .. } | QuestionKind::HandOver => question
            .options
            .iter()
            .enumerate()
            .map(|(place, label)| choice(&choice_id(place), label, Style::Plain, Comment::None))
            .collect(),
    }
}

/// The explanation to somebody whose answer did not count; for their eyes only.
fn refuse(thread: &Thread, seq: Seq, refusal: &Refusal, at: Timestamp) -> Outgoing {
    let question = thread.question(refusal.question);
    let settled = || {
        let answer = thread.answer(refusal.question);
        answer.map_or_else(|| "It is closed".into(), |answer| ending(thread, answer))
    };
    let text = match refusal.why {
        Why::NotPermitted => "You may not answer this; nothing was decided.".to_owned(),
        Why::Unverified => format!(
            "An answer came in your name, but nothing proves that it is from you; nothing was decided. {}",
            refusal.by.verified.remedy()
        ),
        Why::NoTicket => {
            "This answer did not carry the code of the question, so nothing was decided. Please reply to the \
                          message that asked, to the very address it came from."
                .to_owned()
        }
        Why::Settled => format!("This was decided before: {}.", settled()),
        Why::Expired => "This has expired; nothing was decided.".to_owned(),
        Why::Unfit => {
            format!(
                "Nothing was decided: {}.",
                refusal.what.as_deref().unwrap_or("what was changed does not fit")
            )
        }
        Why::Unclear => format!(
            "I could not read this as a decision, so nothing was decided. {}",
            question.map_or_else(String::new, how_to_answer)
        ),
    };
    Outgoing {
        key: thread.id().delivery(seq, 0),
        to: refusal.at.clone(),
        at,
        only: Some(refusal.by.clone()),
        in_reply_to: refusal.message.clone(),
        amends: None,
        content: Content::Text(Text { markdown: text, note: None }),
        files: Vec::new(),
    }
}

fn how_to_answer(question: &Question) -> String {
    match question.kind {
        QuestionKind::Approval { .. } => {
            "The first line of your answer must be `approve`, or `reject: your reason`, and nothing else."
                .into()
        }
        QuestionKind::Question | QuestionKind::Unknown { .. } | QuestionKind::HandOver => {
            let options: Vec<_> = question.options.iter().map(|option| format!("`{option}`")).collect();
            format!("Answer with one of: {}.", options.join(", "))
        }
    }
}
