//! What is sent because of an event: a pure consequence of the log, so that the outbox can be rebuilt from it.

use std::collections::BTreeSet;

use channel::{
    Address, Capabilities, Card, CardState, ChannelName, Choice, Comment, Content, Correlation, DeliveryKey,
    Field, Input, InputKind, Outgoing, Style, Text, Timestamp,
};
use serde_json::Value;

use crate::{
    event::{
        Answer, AskedAgain, AskedCall, Ballot, Because, Decision, Deferral, Deferring, Event, Heard,
        Question, QuestionKind, Refusal, Revocation, Speech, Why,
    },
    form,
    grammar::{
        ALIKE, ALIKE_FOR, BACK, CHOOSE, EDIT, FILL, MORE, MORE_OPTIONS, MORE_TEXT, MORE_WHAT, MORE_WORDS,
        OVER, SOME, SOME_WHICH, SOME_WHY, TAKE, choice_id,
    },
    grant::{alike, uses},
    id::{QuestionId, Seq},
    inquiry::{Inquiry, Posted},
    revise,
    spec::redacted,
    terms::{Otherwise, Quorum, Remember},
    thread::Thread,
    ticket::{Tickets, short_code},
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
        Event::Asked(_) => open(thread, QuestionId(seq), seq, press, at),
        Event::AskedAgain(again) => open(thread, again.question, seq, press, at),
        Event::Voted(ballot) => voted(thread, seq, ballot, press, at),
        Event::Deferred(deferral) => deferred(thread, seq, deferral, press, at),
        Event::Spoke(speech) => {
            // Where both sides talk in one place, everybody has heard it.
            let home = thread.home().filter(|home| **home != speech.at);
            home.map(|home| spoken(thread, seq, home, speech, at)).into_iter().collect()
        }
        Event::Heard(heard) => relayed(thread, seq, heard, at).into_iter().collect(),
        Event::Answered(answer) => close(thread, answer.question, seq, &ending(thread, answer), press, at),
        Event::Lapsed { question } => close(thread, *question, seq, lapse(thread, *question), press, at),
        Event::Withdrawn { question, why } => {
            close(thread, *question, seq, &format!("Not needed any more: {why}"), press, at)
        }
        Event::Cancelled { by } => {
            let closed = |id: &QuestionId| thread.settled_by(*id) == Some(seq);
            let asked = (0..seq.0).map(|n| QuestionId(Seq(n))).filter(closed);
            asked.flat_map(|id| close(thread, id, seq, &format!("Cancelled by {by}"), press, at)).collect()
        }
        Event::Refused(refusal) => vec![refuse(thread, seq, refusal, at)],
        Event::Revoked(revocation) => revoked(thread, seq, revocation, press, at),
        Event::Continued(_)
        | Event::Routed(_)
        | Event::Edited(_)
        | Event::Deleted { .. }
        | Event::Thought(_)
        | Event::Planned(_)
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
    // Only the names count: whatever the messages would say, nobody reads it. Where a card cannot be rewritten, a word may be
    // said instead.
    let tickets = Tickets::new([0; 32]);
    let mut names = BTreeSet::new();
    for can in [can, Capabilities { amends: false, ..can }] {
        let press = Press { tickets: &tickets, capabilities: &|_| Some(can), secrets: &|_| None };
        let caused = (0..thread.version().0).flat_map(|seq| outgoing(thread, Seq(seq), &press));
        names.extend(caused.map(|message| message.key));
    }
    for record in thread.records() {
        if let Event::Delivered { key, .. } | Event::Undelivered { key: Some(key), .. } = &record.event {
            names.insert(key.clone());
        }
    }
    names
}

/// The words that say how a question ended.
pub fn ending(thread: &Thread, answer: &Answer) -> String {
    let who = who(answer);
    match &answer.decision {
        Decision::Approve => {
            let all = thread.votes(answer.question).map(|ballot| self::who(&ballot.answer)).chain([who]);
            format!("Approved by {}", listed(&all.collect::<Vec<_>>()))
        }
        Decision::ApproveAlike { until } => format!("Approved by {who}, and calls like it until {until:.0}"),
        Decision::ApproveEdited { args, .. } => {
            let asked = thread.question(answer.question).map(|question| &question.kind);
            let changed = match asked {
                Some(QuestionKind::Approval { args: asked, .. }) => revise::difference(asked, args),
                _ => String::new(),
            };
            format!("Approved with changes by {who}: {changed}")
        }
        Decision::ApproveSome { places, comment } => {
            let calls = thread.question(answer.question).map(|question| question.kind.calls().len());
            let number = |place: &usize| place.saturating_add(1).to_string();
            let approved: Vec<String> = places.iter().map(number).collect();
            let others = (0..calls.unwrap_or(0)).filter(|place| !places.contains(place));
            let others: Vec<String> = others.map(|place| number(&place)).collect();
            let why = comment.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
            format!("{} approved by {who}, {} rejected{why}", listed(&approved), listed(&others))
        }
        Decision::Reject { comment: None } => format!("Rejected by {who}"),
        Decision::Reject { comment: Some(comment) } => format!("Rejected by {who}: {comment}"),
        Decision::Option(place) => {
            let option = thread.question(answer.question).and_then(|question| question.options.get(*place));
            format!("{who} answered: {}", option.map_or("", String::as_str))
        }
        Decision::Options(places) => {
            let options = thread.question(answer.question).map(|question| question.chosen(places));
            format!("{who} answered: {}", options.unwrap_or_default())
        }
        Decision::Form(values) => format!("{who} answered: {}", form::told(values)),
        Decision::Text(text) => format!("{who} answered: {text}"),
        Decision::HandBack { .. } => format!("Handed back to the agent by {who}"),
        Decision::Done => format!("Closed by {who}"),
    }
}

/// Who gave an answer, by name, and for whom.
fn who(answer: &Answer) -> String {
    let who = answer.member.as_deref().unwrap_or(&answer.by.name);
    match &answer.instead_of {
        Some(member) => format!("{who} for {member}"),
        None => who.to_owned(),
    }
}

/// `ana`, `ana and ben`, `ana, ben and cleo`.
fn listed(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

fn lapse(thread: &Thread, id: QuestionId) -> &'static str {
    match thread.question(id).map(|question| question.terms.otherwise) {
        Some(Otherwise::Allow) => "Nobody answered in time; it runs, as the policy says",
        Some(Otherwise::HandOver) => "Nobody answered in time; a person was asked to take over",
        Some(Otherwise::Deny) | None => "Nobody answered in time",
    }
}

/// The cards that an event sends for a question that is open then.
fn open(thread: &Thread, id: QuestionId, seq: Seq, press: &Press<'_>, at: Timestamp) -> Vec<Outgoing> {
    let (Some(question), Some(inquiry)) = (thread.question(id), thread.inquiry(id)) else {
        return Vec::new();
    };
    let open = CardState::Open { deadline: question.deadline };
    let posted = inquiry.cards.iter().filter(|card| card.seq == seq);
    posted.map(|posted| card(thread, (id, question), posted, (open.clone(), Some(seq)), press, at)).collect()
}

/// The card of a question at one of its places, as it is after the event at `until`.
fn card(
    thread: &Thread,
    (id, question): (QuestionId, &Question),
    posted: &Posted,
    (state, until): (CardState, Option<Seq>),
    press: &Press<'_>,
    at: Timestamp,
) -> Outgoing {
    let to = &posted.asked.at;
    let is_open = matches!(state, CardState::Open { .. });
    let decided_here = question.terms.is_decided_on(&to.channel);
    let taken = until.is_some_and(|until| thread.taken(id).is_some_and(|taken| taken.seq <= until));
    Outgoing {
        key: posted.key(thread.id()),
        to: to.clone(),
        at,
        only: None,
        in_reply_to: question.in_reply_to.clone().filter(|_| thread.home() == Some(to)),
        amends: None,
        content: Content::Card(Card {
            ticket: press.tickets.mint(thread.id(), id, to),
            code: short_code(thread.id(), id),
            title: title(question),
            text: question.text.clone(),
            fields: fields(question, press),
            choices: if decided_here { choices(question, to, taken, press) } else { Vec::new() },
            free_text: question.form.is_none()
                && matches!(question.kind, QuestionKind::Question | QuestionKind::HandOver),
            progress: until.filter(|_| is_open).and_then(|until| {
                let elsewhere = (!decided_here).then(|| elsewhere(question));
                let told: Vec<String> = elsewhere.into_iter().chain(progress(thread, id, until)).collect();
                (!told.is_empty()).then(|| told.join(" "))
            }),
            state,
        }),
        files: Vec::new(),
    }
}

/// What has happened to an open question until an event, for those who are asked.
fn progress(thread: &Thread, id: QuestionId, until: Seq) -> Option<String> {
    let votes: Vec<_> = thread.votes_until(id, until).collect();
    let mut sentences = Vec::new();
    let taken = thread.taken(id).filter(|taken| taken.seq <= until).and_then(|taken| thread.event(taken.seq));
    if let Some(Event::Deferred(deferral)) = taken {
        let who = deferral.member.as_deref().unwrap_or(&deferral.by.name);
        sentences.push(format!("{who} has taken over."));
    }
    if let Some(Event::AskedAgain(AskedAgain { because, .. })) = thread.event(until) {
        match because {
            Because::Reminder(_) | Because::Snoozed(_) => {
                sentences.push("This still waits for an answer.".to_owned())
            }
            Because::Rung(_) => sentences.push("Nobody has answered this yet.".to_owned()),
            Because::Delegated(_) => sentences.push("You were named to answer this.".to_owned()),
            Because::Awake(_) => {}
        }
    }
    if let Some(last) = votes.last() {
        let names: Vec<String> = votes.iter().map(|ballot| who(&ballot.answer)).collect();
        sentences.push(format!("Approved by {}; {}.", listed(&names), last.missing));
    }
    (!sentences.is_empty()).then(|| sentences.join(" "))
}

/// An approval that is not enough yet is shown on every card that can be rewritten; where none can, whoever gave it is told.
fn voted(thread: &Thread, seq: Seq, ballot: &Ballot, press: &Press<'_>, at: Timestamp) -> Vec<Outgoing> {
    let id = ballot.answer.question;
    let (Some(question), Some(inquiry)) = (thread.question(id), thread.inquiry(id)) else {
        return Vec::new();
    };
    let open = CardState::Open { deadline: question.deadline };
    let shown = rewritten(thread, (id, question, inquiry), (seq, open), press, at);
    let amends = |to: &Address| (press.capabilities)(&to.channel).is_some_and(|can| can.amends);
    let text = format!("Your approval is noted; {}.", ballot.missing);
    let told = Outgoing {
        only: Some(ballot.answer.by.clone()),
        ..text_at(thread, seq, &ballot.answer.at, text, at)
    };
    shown.into_iter().chain((!amends(&ballot.answer.at)).then_some(told)).collect()
}

/// What was approved for a while is asked about again: every card that can be rewritten says so, and whoever ended it is told.
fn revoked(
    thread: &Thread,
    seq: Seq,
    revocation: &Revocation,
    press: &Press<'_>,
    at: Timestamp,
) -> Vec<Outgoing> {
    let id = revocation.question;
    let (Some(question), Some(inquiry), Some(answer)) =
        (thread.question(id), thread.inquiry(id), thread.answer(id))
    else {
        return Vec::new();
    };
    let by = revocation.by.as_ref().map_or("an operator", |by| by.name.as_str());
    let by = revocation.member.as_deref().unwrap_or(by);
    let times = match uses(thread, id) {
        1 => "one more call".to_owned(),
        times => format!("{times} more calls"),
    };
    let closed =
        CardState::Closed { how: format!("{}; ended by {by} after {times}", ending(thread, answer)) };
    let shown = rewritten(thread, (id, question, inquiry), (seq, closed), press, at);
    let told = revocation.at.as_ref().map(|place| Outgoing {
        only: revocation.by.clone(),
        in_reply_to: revocation.message.clone(),
        ..text_at(thread, seq, place, "Calls like it are asked about again.".to_owned(), at)
    });
    told.into_iter().chain(shown).collect()
}

/// What somebody is told who did something about a question. Who asked something back hears the agent.
fn deferred(
    thread: &Thread,
    seq: Seq,
    deferral: &Deferral,
    press: &Press<'_>,
    at: Timestamp,
) -> Vec<Outgoing> {
    let text = match &deferral.deferring {
        Deferring::AskedBack(_) => return Vec::new(),
        Deferring::TookOver => return taken_over(thread, seq, deferral, press, at),
        Deferring::Delegated(member) => format!("{member} is asked, too."),
        Deferring::Snoozed(until) => format!("You are asked again at {until:.0}."),
    };
    let told = text_at(thread, seq, &deferral.at, text, at);
    vec![Outgoing { only: Some(deferral.by.clone()), in_reply_to: deferral.message.clone(), ..told }]
}

/// Somebody has taken the conversation over: its people are told who, every card that can be rewritten says so, and they are
/// told what was said since it was handed over.
fn taken_over(
    thread: &Thread,
    seq: Seq,
    deferral: &Deferral,
    press: &Press<'_>,
    at: Timestamp,
) -> Vec<Outgoing> {
    let id = deferral.question;
    let (Some(question), Some(inquiry)) = (thread.question(id), thread.inquiry(id)) else {
        return Vec::new();
    };
    if !question.is_hand_over() || inquiry.settled.is_some_and(|settled| settled < seq) {
        return Vec::new();
    }
    let who = deferral.member.as_deref().unwrap_or(&deferral.by.name);
    let missed: Vec<String> = (id.0.0..seq.0)
        .filter_map(|seq| thread.heard(Seq(seq)))
        .map(|heard| format!("{}: {}", heard.from.name, heard.text))
        .collect();
    let since = match missed.is_empty() {
        true => String::new(),
        false => format!("\n\nSaid meanwhile:\n\n{}", missed.join("\n\n")),
    };
    let text = format!(
        "You talk with them now: what you reply here goes to them, and what they say comes here. `hand back` gives the \
         conversation back to the agent, `done` ends it.{since}"
    );
    let told =
        Outgoing { in_reply_to: deferral.message.clone(), ..text_at(thread, seq, &deferral.at, text, at) };
    let home = thread.home().map(|home| Outgoing {
        key: thread.id().delivery(seq, 1),
        ..text_at(thread, seq, home, format!("{who} has taken over and talks with you here."), at)
    });
    let open = CardState::Open { deadline: question.deadline };
    let shown = rewritten(thread, (id, question, inquiry), (seq, open), press, at);
    [told].into_iter().chain(home).chain(shown).collect()
}

/// What a human said who has taken the conversation over.
fn spoken(thread: &Thread, seq: Seq, home: &Address, speech: &Speech, at: Timestamp) -> Outgoing {
    let who = speech.member.clone().unwrap_or_else(|| speech.by.name.clone());
    Outgoing {
        content: Content::Text(Text { markdown: speech.text.clone(), note: Some(who) }),
        files: speech.files.clone(),
        ..text_at(thread, seq, home, String::new(), at)
    }
}

/// What was said at home while somebody had taken the conversation over goes to where they talk.
fn relayed(thread: &Thread, seq: Seq, heard: &Heard, at: Timestamp) -> Option<Outgoing> {
    let to = thread.relayed_to(seq).filter(|to| thread.home() != Some(to))?;
    let files = heard.files.iter().map(|heard| heard.file.clone()).filter(|file| !file.hash.is_empty());
    Some(Outgoing {
        content: Content::Text(Text { markdown: heard.text.clone(), note: Some(heard.from.name.clone()) }),
        files: files.collect(),
        ..text_at(thread, seq, to, String::new(), at)
    })
}

/// The cards of a question that can be rewritten, as they are after an event.
fn rewritten(
    thread: &Thread,
    (id, question, inquiry): (QuestionId, &Question, &Inquiry),
    (seq, state): (Seq, CardState),
    press: &Press<'_>,
    at: Timestamp,
) -> Vec<Outgoing> {
    let amends = |to: &Address| (press.capabilities)(&to.channel).is_some_and(|can| can.amends);
    let cards = inquiry.cards.iter().enumerate();
    cards
        .filter(|(_, posted)| posted.seq < seq && amends(&posted.asked.at))
        .map(|(n, posted)| {
            let card = card(thread, (id, question), posted, (state.clone(), Some(seq)), press, at);
            Outgoing {
                key: thread.id().delivery(seq, numbered(id, n)),
                amends: Some(card.key.clone()),
                ..card
            }
        })
        .collect()
}

/// A word of the gateway's own that follows from an event.
fn text_at(thread: &Thread, seq: Seq, to: &Address, text: String, at: Timestamp) -> Outgoing {
    Outgoing {
        key: thread.id().delivery(seq, 0),
        to: to.clone(),
        at,
        only: None,
        in_reply_to: None,
        amends: None,
        content: Content::Text(Text { markdown: text, note: None }),
        files: Vec::new(),
    }
}

/// The number of the n-th card of a question among the messages of an event that is about several: the question's own place
/// keeps them apart.
fn numbered(id: QuestionId, n: usize) -> usize {
    usize::try_from(id.0.0).unwrap_or(0) * 1_000 + n
}

/// Closes every card of a question. Where a card cannot be rewritten, a plain question needs no last word, but who was
/// asked to decide hears how it ended, once.
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
    let cards = thread.inquiry(id).map(|inquiry| inquiry.cards.as_slice()).unwrap_or_default();
    let closed = CardState::Closed { how: how.to_owned() };
    let worth = |(n, posted): &(usize, &Posted)| {
        let to = &posted.asked.at;
        let amends = (press.capabilities)(&to.channel).is_some_and(|can| can.amends);
        let is_first = !cards.iter().take(*n).any(|before| before.asked.at == *to);
        amends || (is_first && !matches!(question.kind, QuestionKind::Question))
    };
    let cards = cards.iter().enumerate().filter(worth);
    cards
        .map(|(n, posted)| {
            let card = card(thread, (id, question), posted, (closed.clone(), None), press, at);
            Outgoing {
                key: thread.id().delivery(seq, numbered(id, n)),
                amends: Some(card.key.clone()),
                ..card
            }
        })
        .collect()
}

fn title(question: &Question) -> String {
    match &question.kind {
        QuestionKind::Question => match &question.form {
            Some(form) => format!("{} asks: {}", question.asker.name, form.title),
            None => format!("{} asks", question.asker.name),
        },
        QuestionKind::Approval { tool, .. } => format!("Approve: {tool}"),
        QuestionKind::Approvals { calls } => format!("Approve: {} calls", calls.len()),
        QuestionKind::Unknown { tool, .. } => format!("Did it happen? {tool}"),
        QuestionKind::HandOver => format!("{} hands over to you", question.asker.name),
    }
}

/// One row an argument, whole; what the tool declares secret is not shown.
fn fields(question: &Question, press: &Press<'_>) -> Vec<Field> {
    let shown = |tool: &str, args: &Value| {
        let secret = (press.secrets)(tool)?;
        let Value::Object(args) = redacted(args, &secret) else { return None };
        Some(args.into_iter().map(|(label, value)| Field { label, value: revise::text_of(&value) }))
    };
    match &question.kind {
        QuestionKind::Approval { tool, args, .. } | QuestionKind::Unknown { tool, args, .. } => {
            shown(tool, args).into_iter().flatten().collect()
        }
        QuestionKind::Approvals { calls } => {
            let field = |(place, call): (usize, &AskedCall)| {
                let lines = shown(&call.tool, &call.args)?;
                let lines: Vec<String> =
                    lines.map(|field| format!("{}: {}", field.label, field.value)).collect();
                Some(Field { label: call.label(place), value: lines.join("\n") })
            };
            calls.iter().enumerate().filter_map(field).collect()
        }
        QuestionKind::Question | QuestionKind::HandOver => Vec::new(),
    }
}

/// What can be chosen; `taken`: somebody has taken the conversation over.
fn choices(question: &Question, to: &Address, taken: bool, press: &Press<'_>) -> Vec<Choice> {
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
            // What several must approve, each of them approves the same.
            let form = if question.terms.quorum == Quorum::default() { form } else { Vec::new() };
            if !form.is_empty() {
                let reply = Some("approve".to_owned());
                choices.push(Choice {
                    form,
                    reply,
                    ..choice(EDIT, "Approve with changes…", Style::Plain, Comment::None)
                });
            }
            choices.extend(question.remember().map(|remember| Choice {
                form: vec![for_how_long(tool, remember)],
                reply: Some("approve".to_owned()),
                ..choice(ALIKE, "Approve for a while…", Style::Plain, Comment::None)
            }));
            choices.push(choice("reject", "Reject", Style::Danger, Comment::Optional));
            choices.extend(more(question, to, press));
            choices
        }
        QuestionKind::Approvals { calls } => {
            let mut choices = vec![choice("approve", "Approve all", Style::Primary, Comment::None)];
            // What several must approve, each of them approves the same.
            if question.terms.quorum == Quorum::default() {
                choices.push(Choice {
                    form: which(calls),
                    reply: Some(String::new()),
                    ..choice(SOME, "Approve some…", Style::Plain, Comment::None)
                });
            }
            choices.push(choice("reject", "Reject all", Style::Danger, Comment::Optional));
            choices.extend(more(question, to, press));
            choices
        }
        QuestionKind::Question | QuestionKind::Unknown { .. }
            if question.form.is_some() || question.several =>
        {
            let filled = |id: &str, label: &str, form| Choice {
                form,
                reply: Some(String::new()),
                ..choice(id, label, Style::Primary, Comment::None)
            };
            let choice = match &question.form {
                Some(form) => filled(FILL, "Fill in…", form::inputs(form)),
                None => filled(CHOOSE, "Choose…", vec![form::several(&question.options)]),
            };
            [choice].into_iter().chain(more(question, to, press)).collect()
        }
        QuestionKind::HandOver if taken => vec![
            choice(BACK, "Give back to the agent", Style::Primary, Comment::Optional),
            choice(OVER, "Done", Style::Plain, Comment::None),
        ],
        QuestionKind::HandOver => vec![
            choice(TAKE, "Take over", Style::Primary, Comment::None),
            choice(BACK, "Give back to the agent", Style::Plain, Comment::Optional),
            choice(OVER, "Done", Style::Plain, Comment::None),
        ],
        QuestionKind::Question | QuestionKind::Unknown { .. } => question
            .options
            .iter()
            .enumerate()
            .map(|(place, label)| choice(&choice_id(place), label, Style::Plain, Comment::None))
            .chain(more(question, to, press))
            .collect(),
    }
}

/// The lines that ask which of several calls may run, and why not the others.
fn which(calls: &[AskedCall]) -> Vec<Input> {
    let labels = calls.iter().enumerate().map(|(place, call)| call.label(place)).collect();
    vec![
        Input {
            kind: InputKind::Several(labels),
            required: true,
            ..Input::line(SOME_WHICH, "Which of them may run", "")
        },
        Input { kind: InputKind::Lines, ..Input::line(SOME_WHY, "Why not the others", "") },
    ]
}

/// The line that asks for how long calls like this one are approved with it, and says which those are.
fn for_how_long(tool: &str, remember: &Remember) -> Input {
    Input {
        required: true,
        hint: Some(format!(
            "At most {}. Until then, in this conversation and for the same person, {tool} runs without asking with {}.",
            remember.lasts,
            alike(remember)
        )),
        ..Input::line(ALIKE_FOR, "For how long", remember.lasts.to_string())
    }
}

/// What else somebody may do who was asked at a desk: ask back, name somebody else, put it off. Where there are no buttons the
/// words for it are shown.
fn more(question: &Question, to: &Address, press: &Press<'_>) -> Vec<Choice> {
    let plain = |id: &str, label: &str| Choice {
        id: id.into(),
        label: label.into(),
        style: Style::Plain,
        comment: Comment::None,
        form: Vec::new(),
        reply: None,
    };
    let can = (press.capabilities)(&to.channel).filter(|_| !question.audience.requester);
    let Some(can) = can.filter(|can| can.forms || !can.buttons) else { return Vec::new() };
    if !can.forms {
        let words = MORE_WORDS.iter().zip(MORE_OPTIONS);
        return words.map(|(word, option)| plain(word, option)).collect();
    }
    let line = |id: &str, label: &str, kind| Input { kind, required: true, ..Input::line(id, label, "") };
    vec![Choice {
        form: vec![
            line(
                MORE_WHAT,
                "What",
                InputKind::One(MORE_OPTIONS.iter().map(|option| (*option).to_owned()).collect()),
            ),
            Input {
                hint: Some("The question; who; or how long: 2h".to_owned()),
                ..line(MORE_TEXT, "What, who, or when", InputKind::Lines)
            },
        ],
        ..plain(MORE, "More…")
    }]
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
        Why::Voted => "You have approved this already; others must, too.".to_owned(),
        Why::Elsewhere => format!(
            "This may not be decided here; nothing was decided. {}",
            question.map(elsewhere).unwrap_or_default()
        ),
        Why::Withdrawn => "This is not needed any more; nothing was decided.".to_owned(),
        Why::Which => format!(
            "Several questions wait here, so nothing was decided. Begin your answer with the code of the one you mean: {}.",
            refusal.what.as_deref().unwrap_or_default()
        ),
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

/// Where a question can be decided that cannot be here.
fn elsewhere(question: &Question) -> String {
    let names: Vec<&str> = question.terms.decided_on.iter().flatten().map(ChannelName::as_str).collect();
    format!("It can be decided on: {}.", names.join(", "))
}

fn how_to_answer(question: &Question) -> String {
    if let Some(form) = &question.form {
        let lines: Vec<String> =
            form::inputs(form).iter().map(|input| format!("`{}: …`", input.id)).collect();
        return format!("Answer with these lines: {}.", lines.join(", "));
    }
    match question.kind {
        QuestionKind::Approval { .. } => "The first line of your answer must be `approve`, or `reject: your \
                                          reason`, and nothing else; below `approve` may stand lines such as \
                                          `amount: 80`, one for each argument that is to be another."
            .into(),
        QuestionKind::Approvals { .. } => "The first line of your answer must be `approve` (all of them), `reject: your \
                                           reason` (none of them), or `approve: 1, 3` (these, and no others), and \
                                           nothing else."
            .into(),
        QuestionKind::Question | QuestionKind::Unknown { .. } | QuestionKind::HandOver => {
            let options: Vec<_> = question.options.iter().map(|option| format!("`{option}`")).collect();
            format!("Answer with one of: {}.", options.join(", "))
        }
    }
}
