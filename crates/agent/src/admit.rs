//! What an inbound becomes: an answer to a question, an answer that does not count, or something said.

use std::collections::BTreeMap;

use channel::{Body, Correlation, Inbound, Person, Timestamp};
use serde_json::Value;

use crate::{
    agent::Agent,
    canonical::args_hash,
    directory::{Directory, Standing},
    event::{
        Answer, AskedAgain, Author, Ballot, Because, Decision, Deferral, Deferring, Edit, Event, Evidence,
        Heard, HeardFile, How, Question, QuestionKind, Refusal, Reply, Routed, Speech, Why,
    },
    form,
    grammar::{self, CHOOSE, EDIT, FILL, MORE, MORE_TEXT, MORE_WHAT, TAKE, Wish},
    id::{QuestionId, Seq},
    inert::clip,
    policy::judge,
    revise::revise,
    spec::Verdict,
    terms::{Bar, Quorum, Vote},
    thread::{Phase, Thread},
    ticket::short_code,
};

/// The longest text that is asked back, in characters.
const ASKED_BACK_MAX: usize = 4_000;

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
            let read = match choice.as_str() {
                TAKE if question.is_hand_over() => Some(Reading::Wish(Wish::TakeOver)),
                MORE => {
                    let line = |id: &str| values.get(id).map_or("", String::as_str);
                    grammar::wish_of(line(MORE_WHAT), line(MORE_TEXT)).map(Reading::Wish)
                }
                _ => {
                    filled(directory, &arrival, (question, thread.added(id)), choice, values).or_else(|| {
                        let pressed =
                            grammar::press(&question.kind, &question.options, choice, comment.as_deref());
                        pressed.map(Reading::Clear)
                    })
                }
            };
            let read = read.unwrap_or(Reading::Unclear);
            let given = Given { read, words: choice.clone(), how: How::Pressed };
            answer(directory, thread, &arrival, (id, question), given, now)
        }
        Body::Text { text, original, .. } => {
            if grammar::is_stop(text) && may_stop(directory, thread, arrival.inbound) {
                return stop(thread, arrival.inbound);
            }
            if let Some(events) = reply(directory, thread, &arrival, text, now) {
                let files = events.first().and_then(|event| files_of_answer(thread, &arrival, event));
                // The answer stands last: it is what the next step is about.
                return files.into_iter().chain(events).collect();
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

/// Whether this person may stop the work on the request: whose request it is, and members, where they talk to the agent.
fn may_stop(directory: &Directory, thread: &Thread, inbound: &Inbound) -> bool {
    let from = &inbound.from;
    let is_requester = thread.requester().is_some_and(|who| directory.same_human(who, from));
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

/// Reads a text as an answer, if it is one: it names the question, or it stands where the only open question was asked.
fn reply(
    directory: &Directory,
    thread: &Thread,
    arrival: &Arrival<'_>,
    text: &str,
    now: Timestamp,
) -> Option<Vec<Event>> {
    let inbound = arrival.inbound;
    let named = grammar::code(text);
    let code_of = |id: QuestionId| short_code(thread.id(), id);
    if let Some(id) = arrival.about.map(|about| about.question) {
        let question = thread.question(id)?;
        if !arrival.rivals.is_empty() {
            return Some(vec![which(thread, arrival, &[(id, question)], text)]);
        }
        if goes_on(thread, id, inbound) {
            return None;
        }
        let read = match named {
            Some((code, words)) if code.eq_ignore_ascii_case(&code_of(id)) => {
                read(directory, (question, thread.added(id)), arrival, words)
            }
            // The card says one thing and the code another.
            Some(_) if is_guarded(question) => None,
            Some(_) | None => read(directory, (question, thread.added(id)), arrival, text),
        };
        let given = Given { read: read.unwrap_or(Reading::Unclear), words: text.to_owned(), how: How::Wrote };
        return Some(answer(directory, thread, arrival, (id, question), given, now));
    }
    let here: Vec<(QuestionId, &Question)> = thread
        .open_questions()
        .filter(|(id, _)| thread.inquiry(*id).is_some_and(|inquiry| inquiry.is_asked_at(&inbound.at)))
        .collect();
    let (words, here) = match named {
        Some((code, words)) if here.iter().any(|(id, _)| code.eq_ignore_ascii_case(&code_of(*id))) => {
            (words, here.into_iter().filter(|(id, _)| code.eq_ignore_ascii_case(&code_of(*id))).collect())
        }
        Some(_) | None => (text, here),
    };
    let [(id, question)] = here.as_slice() else {
        let clear = here.iter().any(|(id, question)| {
            is_guarded(question) && read(directory, (question, thread.added(*id)), arrival, words).is_some()
        });
        return clear.then(|| vec![which(thread, arrival, &here, text)]);
    };
    let read = read(directory, (question, thread.added(*id)), arrival, words)?;
    let may = || directory.may_answer(&thread.audience(*id), question.requester.as_ref(), &inbound.from, now);
    if !is_guarded(question) && may().is_none() {
        return None;
    }
    let given = Given { read, words: text.to_owned(), how: How::Wrote };
    Some(answer(directory, thread, arrival, (*id, question), given, now))
}

/// Clear words where several questions are open: which one do they mean?
fn which(thread: &Thread, arrival: &Arrival<'_>, here: &[(QuestionId, &Question)], text: &str) -> Event {
    let named = here.iter().map(|(id, question)| naming(thread, *id, question));
    let what: Vec<String> = named.chain(arrival.rivals.iter().cloned()).collect();
    let first = here.first().map_or(QuestionId(Seq(0)), |(id, _)| *id);
    let given = (text.to_owned(), How::Wrote);
    Event::Refused(refusal(arrival, first, given, (Why::Which, Some(what.join("; ")))))
}

/// A question as people choose it among others: `#k3fq for deploy`.
pub fn naming(thread: &Thread, id: QuestionId, question: &Question) -> String {
    let code = short_code(thread.id(), id);
    match &question.kind {
        QuestionKind::Approval { tool, .. } | QuestionKind::Unknown { tool, .. } => {
            format!("#{code} for {tool}")
        }
        QuestionKind::Question | QuestionKind::HandOver => {
            format!("#{code} for “{}”", clip(question.text.lines().next().unwrap_or_default(), 60))
        }
    }
}

/// Whether only clear words count as an answer.
fn is_guarded(question: &Question) -> bool {
    match question.kind {
        QuestionKind::Approval { .. } | QuestionKind::Unknown { .. } => true,
        QuestionKind::Question | QuestionKind::HandOver => false,
    }
}

/// Reads a text as an answer; to a plain question, files alone are one too. Whoever was asked at a desk may want something
/// about the question first.
fn read(
    directory: &Directory,
    (question, added): (&Question, &[String]),
    arrival: &Arrival<'_>,
    text: &str,
) -> Option<Reading> {
    if question.is_hand_over() && grammar::takes_over(text) {
        return Some(Reading::Wish(Wish::TakeOver));
    }
    if !question.audience.requester
        && let Some(wish) = grammar::wish(text)
    {
        return Some(Reading::Wish(wish));
    }
    if let Some(form) = &question.form {
        let read = form::read_words(form, grammar::without_closing(text))?;
        return Some(read.map_or_else(Reading::Unfit, |values| Reading::Clear(Decision::Form(values))));
    }
    if let (QuestionKind::Approval { args, .. }, Some(rest)) = (&question.kind, grammar::below_approval(text))
    {
        let names: Vec<&str> =
            args.as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
        return match form::lines(rest, &names, false)? {
            Ok(values) => revised_call(directory, arrival, (question, added), &values),
            Err(what) => Some(Reading::Unfit(what)),
        };
    }
    let takes_files = matches!(question.kind, QuestionKind::Question | QuestionKind::HandOver);
    let only_files = takes_files && !arrival.files.is_empty();
    let read = match question.several {
        true => {
            grammar::several(&question.options, text).or_else(|| grammar::read(&question.kind, &[], text))
        }
        false => grammar::read(&question.kind, &question.options, text),
    };
    read.or_else(|| only_files.then(|| Decision::Text(String::new()))).map(Reading::Clear)
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
    /// Something else to do about the question.
    Wish(Wish),
}

/// Reads what was filled in before a button counted; nothing where the button asks for no more.
fn filled(
    directory: &Directory,
    arrival: &Arrival<'_>,
    (question, added): (&Question, &[String]),
    choice: &str,
    values: &BTreeMap<String, String>,
) -> Option<Reading> {
    match (choice, &question.form) {
        (EDIT, _) => revised_call(directory, arrival, (question, added), values),
        (FILL, Some(form)) => {
            let read = form::read(form, values);
            Some(read.map_or_else(Reading::Unfit, |values| Reading::Clear(Decision::Form(values))))
        }
        (CHOOSE, _) if question.several => {
            let chosen = grammar::several(&question.options, values.get(CHOOSE).map_or("", String::as_str));
            let nothing = || Reading::Unfit("none of the answers to choose from was chosen".to_owned());
            Some(chosen.map_or_else(nothing, Reading::Clear))
        }
        (_, _) => None,
    }
}

/// Reads a call that is approved with other arguments; nothing where no call waits for approval. Whoever approves it must be
/// allowed to approve what would run, and not only what was asked.
fn revised_call(
    directory: &Directory,
    arrival: &Arrival<'_>,
    (question, added): (&Question, &[String]),
    values: &BTreeMap<String, String>,
) -> Option<Reading> {
    let QuestionKind::Approval { tool, args, .. } = &question.kind else { return None };
    let read = arrival.agent.ok_or_else(|| "the agent that asked is not here any more".to_owned()).and_then(
        |agent| {
            let args = revise(agent, tool, args, values)?;
            may_approve(
                directory,
                agent,
                (question.requester.as_ref(), added),
                (tool, &args),
                arrival.inbound,
            )?;
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

/// Whether the policy lets this person, alone and on this channel, approve a call with these arguments: on the terms that hold
/// for them, and not on those of what was asked.
fn may_approve(
    directory: &Directory,
    agent: &Agent,
    (requester, added): (Option<&Person>, &[String]),
    (tool, args): (&str, &Value),
    inbound: &Inbound,
) -> Result<(), String> {
    let spec = agent.spec();
    let Some(tool_spec) = spec.tools.get(tool) else {
        return Err(format!("there is no tool `{tool}` any more"));
    };
    let judgement = judge(directory, tool_spec, args);
    let approvers = if judgement.approvers.is_empty() { &spec.approvers } else { &judgement.approvers };
    // Whoever was asked later may do so where that call would have been escalated to them, too.
    let later = judgement.terms.ladder.iter().flat_map(|rung| &rung.approvers);
    let later = later.filter(|name| added.contains(name));
    let approvers: &Vec<String> = &approvers.iter().chain(later).cloned().collect();
    let from = &inbound.from;
    let standing = Standing { member: directory.member(from).map(str::to_owned), instead_of: None };
    match judgement.verdict {
        Verdict::Allow => Ok(()),
        Verdict::Deny => Err(format!("the policy forbids {tool} like that ({})", judgement.because)),
        Verdict::Ask if !directory.is_among(approvers, from) => {
            Err(format!("{tool} like that takes the approval of {}", approvers.join(", ")))
        }
        Verdict::Ask if judgement.terms.bars(directory, requester, from, &standing).is_some() => {
            Err(format!("{tool} like that you may not approve, or not on this channel"))
        }
        Verdict::Ask => {
            let vote = Vote { by: from, instead_of: None };
            match judgement.terms.quorum.is_met(approvers, directory, &[vote]).missing() {
                None => Ok(()),
                Some(missing) => Err(format!(
                    "{tool} like that several must approve ({missing}); reject it and say what it should be"
                )),
            }
        }
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

/// Whether this answer counts, and what follows. Permission comes first: who may not answer learns nothing about the question.
fn answer(
    directory: &Directory,
    thread: &Thread,
    arrival: &Arrival<'_>,
    (id, question): (QuestionId, &Question),
    given: Given,
    now: Timestamp,
) -> Vec<Event> {
    let Given { read, words, how } = given;
    let counted = match may_decide(directory, thread, arrival, (id, question), now) {
        Err(why) => Err((why, None)),
        Ok(standing) => match read {
            Reading::Unclear => Err((Why::Unclear, None)),
            Reading::Unfit(sentence) => Err((Why::Unfit, Some(sentence))),
            // Who has taken a conversation over talks with its people.
            Reading::Clear(Decision::Text(text)) if thread.taken(id).is_some() => {
                Ok(vec![Event::Spoke(Speech {
                    question: id,
                    by: arrival.inbound.from.clone(),
                    member: standing.member,
                    at: arrival.inbound.at.clone(),
                    message: arrival.inbound.message.clone(),
                    text,
                    files: arrival
                        .files
                        .iter()
                        .map(|heard| heard.file.clone())
                        .filter(|file| !file.hash.is_empty())
                        .collect(),
                    evidence: Evidence::default(),
                })])
            }
            Reading::Clear(decision) => {
                let answer = Answer {
                    question: id,
                    by: arrival.inbound.from.clone(),
                    member: standing.member,
                    instead_of: standing.instead_of,
                    at: arrival.inbound.at.clone(),
                    decision,
                    words: words.clone(),
                    how,
                    evidence: Evidence::default(),
                };
                count(directory, thread, question, answer).map(|event| vec![event])
            }
            Reading::Wish(wish) => {
                let deferral = |deferring| Deferral {
                    question: id,
                    by: arrival.inbound.from.clone(),
                    member: standing.member.clone(),
                    at: arrival.inbound.at.clone(),
                    message: arrival.inbound.message.clone(),
                    deferring,
                    words: words.clone(),
                    how,
                    evidence: Evidence::default(),
                };
                defer(directory, thread, (id, question), &standing, wish, now)
                    .map(|(deferring, then)| {
                        [Event::Deferred(deferral(deferring))].into_iter().chain(then).collect()
                    })
                    .map_err(|sentence| (Why::Unfit, Some(sentence)))
            }
        },
    };
    counted.unwrap_or_else(|why| vec![Event::Refused(refusal(arrival, id, (words, how), why))])
}

/// As whom this person may decide the question here and now. The one function for every path by which an answer comes.
fn may_decide(
    directory: &Directory,
    thread: &Thread,
    arrival: &Arrival<'_>,
    (id, question): (QuestionId, &Question),
    now: Timestamp,
) -> Result<Standing, Why> {
    let from = &arrival.inbound.from;
    let proven = from.verified.is_proven();
    let guarded = is_guarded(question);
    if guarded && !proven {
        return Err(Why::Unverified);
    }
    let audience = thread.audience(id);
    let requester = question.requester.as_ref();
    let standing = directory.may_answer(&audience, requester, from, now).ok_or(if proven {
        Why::NotPermitted
    } else {
        Why::Unverified
    })?;
    let bar = question.terms.bars(directory, requester, from, &standing);
    if bar == Some(Bar::Requester) {
        return Err(Why::NotPermitted);
    }
    let by_ticket = arrival.about.is_some_and(|about| about.named == Named::ByTicket);
    if guarded && arrival.correlation == Correlation::Ticket && !by_ticket {
        return Err(Why::NoTicket);
    }
    match thread.settled_by(id).map(|seq| thread.event(seq)) {
        Some(Some(Event::Lapsed { .. })) => Err(Why::Expired),
        Some(Some(Event::Withdrawn { .. })) => Err(Why::Withdrawn),
        Some(_) => Err(Why::Settled),
        None if thread.waits_until(id).is_none_or(|until| now >= until) => Err(Why::Expired),
        None if bar == Some(Bar::Channel) => Err(Why::Elsewhere),
        None => Ok(standing),
    }
}

/// What a decision counts for: an approval is one of as many as the terms want, and everything else decides alone.
fn count(
    directory: &Directory,
    thread: &Thread,
    question: &Question,
    answer: Answer,
) -> Result<Event, (Why, Option<String>)> {
    let approves = match answer.decision {
        Decision::Approve | Decision::ApproveEdited { .. } => true,
        Decision::Reject { .. }
        | Decision::Option(_)
        | Decision::Options(_)
        | Decision::Form(_)
        | Decision::Text(_)
        | Decision::HandBack { .. }
        | Decision::Done => false,
    };
    if !approves {
        return Ok(Event::Answered(answer));
    }
    let given: Vec<&Answer> = thread.votes(answer.question).map(|ballot| &ballot.answer).collect();
    if given.iter().any(|vote| directory.same_human(&vote.by, &answer.by)) {
        return Err((Why::Voted, None));
    }
    let votes = given.into_iter().chain([&answer]);
    let votes: Vec<Vote<'_>> =
        votes.map(|vote| Vote { by: &vote.by, instead_of: vote.instead_of.as_deref() }).collect();
    // Who was asked later, as nobody had answered, is one of any number, and takes nobody's seat.
    let approvers = match question.terms.quorum {
        Quorum::Count(_) => thread.audience(answer.question).members,
        Quorum::All | Quorum::Each => question.audience.members.clone(),
    };
    let missing = question.terms.quorum.is_met(&approvers, directory, &votes).missing();
    match (missing, &answer.decision) {
        (None, _) => Ok(Event::Answered(answer)),
        (Some(_), Decision::ApproveEdited { .. }) => {
            let what = "several people must approve this, each of them the same; reject it and say what it should be";
            Err((Why::Unfit, Some(what.to_owned())))
        }
        (Some(missing), _) => Ok(Event::Voted(Ballot { answer, missing })),
    }
}

/// What somebody wants about a question without deciding it, and what follows at once.
///
/// # Errors
/// A sentence to whoever wants it.
fn defer(
    directory: &Directory,
    thread: &Thread,
    (id, question): (QuestionId, &Question),
    standing: &Standing,
    wish: Wish,
    now: Timestamp,
) -> Result<(Deferring, Option<Event>), String> {
    match wish {
        Wish::TakeOver => Ok((Deferring::TookOver, None)),
        Wish::AskBack(text) => Ok((Deferring::AskedBack(clip(&text, ASKED_BACK_MAX)), None)),
        Wish::Snooze(span) => {
            let wait = jiff::SignedDuration::try_from(span?.0).unwrap_or(jiff::SignedDuration::MAX);
            let until = now.saturating_add(wait).unwrap_or(Timestamp::MAX);
            if until >= question.deadline {
                return Err(format!("then it is too late: it waits until {:.0} only", question.deadline));
            }
            Ok((Deferring::Snoozed(until), None))
        }
        Wish::Delegate(name) => {
            let name = name.trim().trim_start_matches('@');
            let names = thread.audience(id).members;
            let may =
                standing.member.as_deref().is_some_and(|from| directory.may_delegate(&names, from, name));
            if !may {
                let known = directory.roster(&names).into_iter().collect::<Vec<_>>().join(", ");
                return Err(format!("`{}` cannot be asked this; it can be given to {known}", clip(name, 60)));
            }
            let Some(asked) = directory.own_place(name, &question.asked) else {
                return Err(format!("it is not known where {name} can be asked"));
            };
            let is_new = !directory.roster(&names).contains(name);
            let again = AskedAgain {
                question: id,
                because: Because::Delegated(name.to_owned()),
                asked: vec![asked],
                held: Vec::new(),
                audience: is_new.then(|| name.to_owned()).into_iter().collect(),
            };
            Ok((Deferring::Delegated(name.to_owned()), Some(Event::AskedAgain(again))))
        }
    }
}

fn refusal(
    arrival: &Arrival<'_>,
    question: QuestionId,
    (words, how): (String, How),
    (why, what): (Why, Option<String>),
) -> Refusal {
    let inbound = arrival.inbound;
    Refusal {
        question,
        by: inbound.from.clone(),
        at: inbound.at.clone(),
        message: inbound.message.clone(),
        words,
        how,
        why,
        what,
        evidence: Evidence::default(),
    }
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
