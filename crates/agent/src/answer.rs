//! Whether what somebody wrote or pressed is an answer, and whether it counts. The one place where an answer is judged.
//!
//! Permission comes first: who may not answer learns nothing about the question.

use std::collections::BTreeMap;

use channel::{Correlation, Person, Span, Timestamp};
use serde_json::Value;

use crate::{
    admit::{Arrival, Named, goes_on, heard},
    agent::Agent,
    canonical::args_hash,
    directory::{Directory, Standing},
    event::{
        Answer, AskedAgain, AskedCall, Ballot, Because, Decision, Deferral, Deferring, Event, Evidence,
        Heard, How, Question, QuestionKind, Refusal, Revocation, Speech, Why,
    },
    form,
    grammar::{
        self, ALIKE, ALIKE_FOR, CHOOSE, EDIT, FILL, MORE, MORE_TEXT, MORE_WHAT, SOME, SOME_WHICH, SOME_WHY,
        TAKE, Wish,
    },
    grant::grants,
    id::QuestionId,
    inert::clip,
    policy::judge,
    revise::revise,
    spec::Verdict,
    terms::{Bar, Quorum, Vote},
    thread::Thread,
    ticket::short_code,
};

/// The longest text that is asked back, in characters.
const ASKED_BACK_MAX: usize = 4_000;

/// Everything that judging an answer looks at.
pub(crate) struct Hearing<'a> {
    pub(crate) directory: &'a Directory,
    pub(crate) thread: &'a Thread,
    pub(crate) arrival: &'a Arrival<'a>,
    pub(crate) now: Timestamp,
}

/// A question, and its name.
type Asked<'a> = (QuestionId, &'a Question);

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
    /// The end of what was approved for a while.
    Revoke,
}

impl Hearing<'_> {
    /// What becomes of a pressed button.
    pub(crate) fn press(
        &self,
        asked: Asked<'_>,
        choice: &str,
        comment: Option<&str>,
        values: &BTreeMap<String, String>,
    ) -> Vec<Event> {
        let (_, question) = asked;
        let read = match choice {
            TAKE if question.is_hand_over() => Some(Reading::Wish(Wish::TakeOver)),
            MORE => {
                let line = |id: &str| values.get(id).map_or("", String::as_str);
                grammar::wish_of(line(MORE_WHAT), line(MORE_TEXT)).map(Reading::Wish)
            }
            _ => self.filled(asked, choice, values).or_else(|| {
                grammar::press(&question.kind, &question.options, choice, comment).map(Reading::Clear)
            }),
        };
        let read = read.unwrap_or(Reading::Unclear);
        self.judge(asked, Given { read, words: choice.to_owned(), how: How::Pressed })
    }

    /// What becomes of a text that is an answer; nothing where it is none. It is one where it names the question, or stands
    /// where the only open question was asked that its sender may answer.
    pub(crate) fn text(&self, text: &str) -> Option<Vec<Event>> {
        let events = self.reply(text)?;
        let files = events.first().and_then(|event| self.files_of_answer(event));
        // The answer stands last: it is what the next step is about.
        Some(files.into_iter().chain(events).collect())
    }

    fn reply(&self, text: &str) -> Option<Vec<Event>> {
        let Self { thread, arrival, .. } = self;
        let named = grammar::code(text);
        let is_named = |code: &str, id| code.eq_ignore_ascii_case(&short_code(thread.id(), id));
        let given = |read: Option<Reading>| Given {
            read: read.unwrap_or(Reading::Unclear),
            words: text.to_owned(),
            how: How::Wrote,
        };
        if let Some(id) = arrival.about.map(|about| about.question) {
            let question = thread.question(id)?;
            if !arrival.rivals.is_empty() {
                return Some(vec![self.which(&[(id, question)], text)]);
            }
            if goes_on(thread, id, arrival.inbound) {
                return None;
            }
            let read = match named {
                Some((code, words)) if is_named(code, id) => self.read((id, question), words),
                // Words that begin with another code are no clear ones.
                Some(_) | None => self.read((id, question), text),
            };
            return Some(self.judge((id, question), given(read)));
        }
        let at = &arrival.inbound.at;
        let asked_here = |id| thread.inquiry(id).is_some_and(|inquiry| inquiry.is_asked_at(at));
        if let Some(events) = self.revoked_here(text, named, &asked_here) {
            return Some(events);
        }
        let all: Vec<Asked<'_>> = thread.open_questions().filter(|(id, _)| asked_here(*id)).collect();
        // Of several those count that they may answer; who may answer none is told so, or only says something.
        let theirs: Vec<Asked<'_>> = all.iter().copied().filter(|(id, _)| self.may_answer(*id)).collect();
        let mut here = if theirs.is_empty() { all } else { theirs };
        let words = match named {
            Some((code, words)) if here.iter().any(|(id, _)| is_named(code, *id)) => {
                here.retain(|(id, _)| is_named(code, *id));
                words
            }
            Some(_) | None => text,
        };
        let [asked] = here.as_slice() else {
            let clear = here.iter().any(|asked| is_guarded(asked.1) && self.read(*asked, words).is_some());
            return (clear && self.may_answer(here.first()?.0)).then(|| vec![self.which(&here, text)]);
        };
        let read = self.read(*asked, words)?;
        if !is_guarded(asked.1) && !self.may_answer(asked.0) {
            return None;
        }
        Some(self.judge(*asked, given(Some(read))))
    }

    /// The end of what was approved for a while at this place, where words want that and name no question: of the only one that
    /// holds, or the one with that code. Nothing where none does.
    fn revoked_here(
        &self,
        text: &str,
        named: Option<(&str, &str)>,
        asked_here: &dyn Fn(QuestionId) -> bool,
    ) -> Option<Vec<Event>> {
        let (code, words) = named.map_or((None, text), |(code, words)| (Some(code), words));
        if !grammar::is_revoke(words) {
            return None;
        }
        let id_of = |code: &str, id| code.eq_ignore_ascii_case(&short_code(self.thread.id(), id));
        let held = grants(self.thread, self.now).into_iter().filter(|grant| {
            asked_here(grant.question)
                && self.may_answer(grant.question)
                && code.is_none_or(|code| id_of(code, grant.question))
        });
        let held: Vec<Asked<'_>> = held.map(|grant| (grant.question, grant.asked)).collect();
        match held.as_slice() {
            [] => None,
            [asked] => Some(
                self.judge(*asked, Given { read: Reading::Revoke, words: text.to_owned(), how: How::Wrote }),
            ),
            several => Some(vec![self.which(several, text)]),
        }
    }

    /// Whether this person is among those who may answer a question.
    fn may_answer(&self, id: QuestionId) -> bool {
        may_answer(self.directory, self.thread, id, &self.arrival.inbound.from, self.now)
    }

    /// Clear words where several questions are open: which one do they mean?
    fn which(&self, here: &[Asked<'_>], text: &str) -> Event {
        let named = here.iter().map(|(id, question)| naming(self.thread, *id, question));
        let what: Vec<String> = named.chain(self.arrival.rivals.iter().cloned()).collect();
        let first = here.first().map_or(QuestionId(crate::id::Seq(0)), |(id, _)| *id);
        self.refusal(first, (text.to_owned(), How::Wrote), (Why::Which, Some(what.join("; "))))
    }

    /// Reads a text as an answer; to a plain question, files alone are one too. Whoever was asked at a desk may want something
    /// about the question first.
    fn read(&self, asked: Asked<'_>, text: &str) -> Option<Reading> {
        let (id, question) = asked;
        if self.thread.granted().contains(&id) && grammar::is_revoke(text) {
            return Some(Reading::Revoke);
        }
        if let Some(wish) = self.wish(asked, text) {
            return Some(Reading::Wish(wish));
        }
        if let Some(form) = &question.form {
            let read = form::read_words(form, grammar::without_closing(text))?;
            return Some(read.map_or_else(Reading::Unfit, |values| Reading::Clear(Decision::Form(values))));
        }
        if let (QuestionKind::Approval { args, .. }, Some(rest)) =
            (&question.kind, grammar::below_approval(text))
        {
            let mut names: Vec<&str> =
                args.as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
            let may_be_alike = question.remember().is_some() && !names.contains(&ALIKE_FOR);
            names.extend(may_be_alike.then_some(ALIKE_FOR));
            let mut values = match form::lines(rest, &names, false)? {
                Ok(values) => values,
                Err(what) => return Some(Reading::Unfit(what)),
            };
            return match values.remove(ALIKE_FOR).filter(|_| may_be_alike) {
                Some(_) if !values.is_empty() => Some(Reading::Unfit(
                    "what is approved with changes is approved once, and not for a while".into(),
                )),
                Some(span) => alike(question, &span, self.now),
                None => self.revised_call((id, question), &values),
            };
        }
        if let QuestionKind::Approvals { calls } = &question.kind
            && let Some(read) = form::lines(grammar::without_closing(text), &[SOME_WHICH, SOME_WHY], true)
        {
            let read = read.and_then(|values| some(calls, &values));
            return Some(read.map_or_else(Reading::Unfit, Reading::Clear));
        }
        let takes_files = matches!(question.kind, QuestionKind::Question | QuestionKind::HandOver);
        let only_files = takes_files && !self.arrival.files.is_empty();
        let read = match question.several {
            true => {
                grammar::several(&question.options, text).or_else(|| grammar::read(&question.kind, &[], text))
            }
            false => grammar::read(&question.kind, &question.options, text),
        };
        read.or_else(|| only_files.then(|| Decision::Text(String::new()))).map(Reading::Clear)
    }

    /// What a text wants about a question without answering it. Of a conversation that was handed over the agent knows no more, and
    /// who has taken it over talks with its people, whatever their words.
    fn wish(&self, (id, question): Asked<'_>, text: &str) -> Option<Wish> {
        if !question.is_hand_over() {
            return grammar::wish(text).filter(|_| !question.audience.requester);
        }
        if grammar::takes_over(text) {
            return Some(Wish::TakeOver);
        }
        grammar::wish(text)
            .filter(|wish| self.thread.taken(id).is_none() && !matches!(wish, Wish::AskBack(_)))
    }

    /// The files that came with the answer to a plain question, for the agent to see. Where the answer came from elsewhere,
    /// its message is none that a word at home could reply to.
    fn files_of_answer(&self, event: &Event) -> Option<Event> {
        let Self { thread, arrival, .. } = self;
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

    /// Reads what was filled in before a button counted; nothing where the button asks for no more.
    fn filled(&self, asked: Asked<'_>, choice: &str, values: &BTreeMap<String, String>) -> Option<Reading> {
        let (_, question) = asked;
        match (choice, &question.form) {
            (EDIT, _) => self.revised_call(asked, values),
            (SOME, _) => {
                let QuestionKind::Approvals { calls } = &question.kind else { return None };
                Some(some(calls, values).map_or_else(Reading::Unfit, Reading::Clear))
            }
            (ALIKE, _) => alike(question, values.get(ALIKE_FOR).map_or("", String::as_str), self.now),
            (FILL, Some(form)) => {
                let read = form::read(form, values);
                Some(read.map_or_else(Reading::Unfit, |values| Reading::Clear(Decision::Form(values))))
            }
            (CHOOSE, _) if question.several => {
                let chosen =
                    grammar::several(&question.options, values.get(CHOOSE).map_or("", String::as_str));
                let nothing = || Reading::Unfit("none of the answers to choose from was chosen".to_owned());
                Some(chosen.map_or_else(nothing, Reading::Clear))
            }
            (_, _) => None,
        }
    }

    /// Reads a call that is approved with other arguments; nothing where no call waits for approval. Whoever approves it must
    /// be allowed to approve what would run, and not only what was asked.
    fn revised_call(&self, (id, question): Asked<'_>, values: &BTreeMap<String, String>) -> Option<Reading> {
        let QuestionKind::Approval { tool, args, .. } = &question.kind else { return None };
        let agent = self.arrival.agent.ok_or_else(|| "the agent that asked is not here any more".to_owned());
        let read = agent.and_then(|agent| {
            let revised = revise(agent, tool, args, values)?;
            if revised != *args {
                self.may_approve(agent, (id, question), (tool, &revised))?;
            }
            Ok(revised)
        });
        Some(match read {
            Ok(revised) if revised == *args => Reading::Clear(Decision::Approve),
            Ok(revised) => {
                let hash = args_hash(&revised);
                Reading::Clear(Decision::ApproveEdited { args: revised, hash })
            }
            Err(why) => Reading::Unfit(why),
        })
    }

    /// Whether the policy lets this person, alone and on this channel, approve a call with these arguments: on the terms that
    /// hold for them, and not on those of what was asked.
    fn may_approve(
        &self,
        agent: &Agent,
        (id, question): Asked<'_>,
        (tool, args): (&str, &Value),
    ) -> Result<(), String> {
        let spec = agent.spec();
        let Some(tool_spec) = spec.tools.get(tool) else {
            return Err(format!("there is no tool `{tool}` any more"));
        };
        let judgement = judge(self.directory, tool_spec, args);
        match judgement.verdict {
            Verdict::Allow => return Ok(()),
            Verdict::Deny => {
                return Err(format!("the policy forbids {tool} like that ({})", judgement.because));
            }
            Verdict::Ask => {}
        }
        let terms = &judgement.terms;
        let approvers = judgement.approvers(spec);
        // Whoever was asked later may do so where that call would have been escalated to them, too.
        let later = terms.ladder.iter().flat_map(|rung| &rung.approvers);
        let later = later.filter(|name| self.thread.added(id).contains(name));
        let approvers: Vec<String> = approvers.iter().chain(later).cloned().collect();
        let from = &self.arrival.inbound.from;
        let Some(standing) = self.directory.standing(&approvers, from, self.now) else {
            return Err(format!("{tool} like that takes the approval of {}", approvers.join(", ")));
        };
        if terms.bars(self.directory, question.requester.as_ref(), from, &standing).is_some() {
            return Err(format!("{tool} like that you may not approve, or not on this channel"));
        }
        let vote = Vote { by: from, instead_of: standing.instead_of.as_deref() };
        match terms.quorum.is_met(&approvers, self.directory, &[vote]).missing() {
            None => Ok(()),
            Some(missing) => Err(format!(
                "{tool} like that several must approve ({missing}); reject it and say what it should be"
            )),
        }
    }

    /// Whether this answer counts, and what follows.
    fn judge(&self, (id, question): Asked<'_>, given: Given) -> Vec<Event> {
        let inbound = self.arrival.inbound;
        let Given { read, words, how } = given;
        if let Reading::Revoke = read {
            return match self.may_speak((id, question)) {
                Ok(standing) => vec![Event::Revoked(Revocation {
                    question: id,
                    by: Some(inbound.from.clone()),
                    member: standing.member,
                    at: Some(inbound.at.clone()),
                    message: inbound.message.clone(),
                    words,
                    evidence: Evidence::default(),
                })],
                Err(why) => vec![self.refusal(id, (words, how), (why, None))],
            };
        }
        let counted = match self.may_decide((id, question)) {
            Err(why) => Err((why, None)),
            Ok(standing) => match read {
                Reading::Unclear | Reading::Revoke => Err((Why::Unclear, None)),
                Reading::Unfit(sentence) => Err((Why::Unfit, Some(sentence))),
                // Who has taken a conversation over talks with its people.
                Reading::Clear(Decision::Text(text)) if self.thread.taken(id).is_some() => {
                    let files = self.arrival.files.iter().map(|heard| heard.file.clone());
                    Ok(vec![Event::Spoke(Speech {
                        question: id,
                        by: inbound.from.clone(),
                        member: standing.member,
                        at: inbound.at.clone(),
                        message: inbound.message.clone(),
                        text,
                        files: files.filter(|file| !file.hash.is_empty()).collect(),
                        evidence: Evidence::default(),
                    })])
                }
                Reading::Clear(decision) => {
                    let answer = Answer {
                        question: id,
                        by: inbound.from.clone(),
                        member: standing.member,
                        instead_of: standing.instead_of,
                        at: inbound.at.clone(),
                        decision,
                        words: words.clone(),
                        how,
                        evidence: Evidence::default(),
                    };
                    self.count(question, answer).map(|event| vec![event])
                }
                Reading::Wish(wish) => self
                    .defer((id, question), &standing, wish)
                    .map(|(deferring, then)| {
                        let deferred = Event::Deferred(Deferral {
                            question: id,
                            by: inbound.from.clone(),
                            member: standing.member.clone(),
                            at: inbound.at.clone(),
                            message: inbound.message.clone(),
                            deferring,
                            words: words.clone(),
                            how,
                            evidence: Evidence::default(),
                        });
                        [deferred].into_iter().chain(then).collect()
                    })
                    .map_err(|sentence| (Why::Unfit, Some(sentence))),
            },
        };
        counted.unwrap_or_else(|why| vec![self.refusal(id, (words, how), why)])
    }

    /// As whom this person may say anything about the question: one of those who are asked, as surely as the question needs it.
    fn may_speak(&self, (id, question): Asked<'_>) -> Result<Standing, Why> {
        let Self { directory, thread, arrival, now } = self;
        let from = &arrival.inbound.from;
        let proven = from.verified.is_proven();
        let guarded = is_guarded(question);
        if guarded && !proven {
            return Err(Why::Unverified);
        }
        let standing = directory.may_answer(&thread.audience(id), question.requester.as_ref(), from, *now);
        let standing = standing.ok_or(if proven { Why::NotPermitted } else { Why::Unverified })?;
        let by_ticket = arrival.about.is_some_and(|about| about.named == Named::ByTicket);
        if guarded && arrival.correlation == Correlation::Ticket && !by_ticket {
            return Err(Why::NoTicket);
        }
        Ok(standing)
    }

    /// As whom this person may decide the question here and now. The one function for every path by which an answer comes.
    fn may_decide(&self, (id, question): Asked<'_>) -> Result<Standing, Why> {
        let Self { directory, thread, arrival, now } = self;
        let standing = self.may_speak((id, question))?;
        let bar =
            question.terms.bars(directory, question.requester.as_ref(), &arrival.inbound.from, &standing);
        if bar == Some(Bar::Requester) {
            return Err(Why::NotPermitted);
        }
        match thread.settled_by(id).map(|seq| thread.event(seq)) {
            Some(Some(Event::Lapsed { .. })) => Err(Why::Expired),
            Some(Some(Event::Withdrawn { .. })) => Err(Why::Withdrawn),
            Some(_) => Err(Why::Settled),
            None if thread.waits_until(id).is_none_or(|until| *now >= until) => Err(Why::Expired),
            None if bar == Some(Bar::Channel) => Err(Why::Elsewhere),
            None => Ok(standing),
        }
    }

    /// What a decision counts for: an approval is one of as many as the terms want, and everything else decides alone.
    fn count(&self, question: &Question, answer: Answer) -> Result<Event, (Why, Option<String>)> {
        let Self { directory, thread, .. } = self;
        let approves = match answer.decision {
            Decision::Approve
            | Decision::ApproveAlike { .. }
            | Decision::ApproveEdited { .. }
            | Decision::ApproveSome { .. } => true,
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
            // Whoever approved before has not seen what it would become.
            (
                _,
                Decision::ApproveEdited { .. } | Decision::ApproveAlike { .. } | Decision::ApproveSome { .. },
            ) if question.terms.quorum != Quorum::default() => {
                let what = "several people must approve this, each of them the same; reject it and say what it should be";
                Err((Why::Unfit, Some(what.to_owned())))
            }
            (None, _) => Ok(Event::Answered(answer)),
            (Some(missing), _) => Ok(Event::Voted(Ballot { answer, missing })),
        }
    }

    /// What somebody wants about a question without deciding it, and what follows at once.
    ///
    /// # Errors
    /// A sentence to whoever wants it.
    fn defer(
        &self,
        (id, question): Asked<'_>,
        standing: &Standing,
        wish: Wish,
    ) -> Result<(Deferring, Option<Event>), String> {
        match wish {
            Wish::TakeOver => Ok((Deferring::TookOver, None)),
            Wish::AskBack(text) => Ok((Deferring::AskedBack(clip(&text, ASKED_BACK_MAX)), None)),
            Wish::Snooze(span) => {
                let wait = jiff::SignedDuration::try_from(span?.0).unwrap_or(jiff::SignedDuration::MAX);
                let until = self.now.saturating_add(wait).unwrap_or(Timestamp::MAX);
                if until >= question.deadline {
                    return Err(format!("then it is too late: it waits until {:.0} only", question.deadline));
                }
                Ok((Deferring::Snoozed(until), None))
            }
            Wish::Delegate(name) => {
                self.delegate((id, question), standing, name.trim().trim_start_matches('@'))
            }
        }
    }

    /// A member is asked whom somebody named who was asked.
    fn delegate(
        &self,
        (id, question): Asked<'_>,
        standing: &Standing,
        name: &str,
    ) -> Result<(Deferring, Option<Event>), String> {
        let directory = self.directory;
        let names = self.thread.audience(id).members;
        let known = directory.roster(&names);
        let may = |from: &String| directory.may_delegate(&names, from, name);
        if !standing.member.as_ref().is_some_and(may) {
            let known = known.into_iter().collect::<Vec<_>>().join(", ");
            return Err(format!("`{}` cannot be asked this; it can be given to {known}", clip(name, 60)));
        }
        let Some(asked) = directory.own_place(name, &question.asked) else {
            return Err(format!("it is not known where {name} can be asked"));
        };
        let again = AskedAgain {
            question: id,
            because: Because::Delegated(name.to_owned()),
            asked: vec![asked],
            held: Vec::new(),
            audience: (!known.contains(name)).then(|| name.to_owned()).into_iter().collect(),
        };
        Ok((Deferring::Delegated(name.to_owned()), Some(Event::AskedAgain(again))))
    }

    /// The event that an answer did not count.
    fn refusal(
        &self,
        question: QuestionId,
        (words, how): (String, How),
        (why, what): (Why, Option<String>),
    ) -> Event {
        let inbound = self.arrival.inbound;
        Event::Refused(Refusal {
            question,
            by: inbound.from.clone(),
            at: inbound.at.clone(),
            message: inbound.message.clone(),
            words,
            how,
            why,
            what,
            evidence: Evidence::default(),
        })
    }
}

/// Reads which of several calls may run.
///
/// # Errors
/// A sentence to whoever said it.
fn some(calls: &[AskedCall], values: &BTreeMap<String, String>) -> Result<Decision, String> {
    let labels: Vec<String> = calls.iter().enumerate().map(|(place, call)| call.label(place)).collect();
    let which = values.get(SOME_WHICH).map_or("", String::as_str);
    let places = form::some_of(&labels, which)
        .map_err(|part| format!("`{}` is none of: {}", clip(&part, 60), labels.join(", ")))?;
    let why = values.get(SOME_WHY).map(|why| why.trim().to_owned()).filter(|why| !why.is_empty());
    match places.len() {
        0 => Err("it does not say which of them may run; `reject` if none may".to_owned()),
        chosen if chosen == calls.len() => Ok(Decision::Approve),
        _ => Ok(Decision::ApproveSome { places: places.into_iter().collect(), comment: why }),
    }
}

/// Reads an approval that holds for a while for calls like it; nothing where the terms offer none.
fn alike(question: &Question, span: &str, now: Timestamp) -> Option<Reading> {
    let most = question.remember()?.lasts;
    Some(match Span::parse(span.trim()) {
        Err(what) => Reading::Unfit(what),
        Ok(span) if span == Span::seconds(0) => Reading::Unfit("that would be over at once".to_owned()),
        Ok(span) if span > most => Reading::Unfit(format!("it can be approved for {most} at most")),
        Ok(span) => {
            let span = jiff::SignedDuration::try_from(span.0).unwrap_or_default();
            Reading::Clear(Decision::ApproveAlike {
                until: now.saturating_add(span).unwrap_or(Timestamp::MAX),
            })
        }
    })
}

/// Whether a person is among those who may answer a question; whether they may decide it here and now is another matter.
pub fn may_answer(
    directory: &Directory,
    thread: &Thread,
    id: QuestionId,
    person: &Person,
    now: Timestamp,
) -> bool {
    let requester = thread.question(id).and_then(|question| question.requester.as_ref());
    directory.may_answer(&thread.audience(id), requester, person, now).is_some()
}

/// A question as people choose it among others: `#k3fq for deploy`.
pub fn naming(thread: &Thread, id: QuestionId, question: &Question) -> String {
    let code = short_code(thread.id(), id);
    match &question.kind {
        QuestionKind::Approval { tool, .. } | QuestionKind::Unknown { tool, .. } => {
            format!("#{code} for {tool}")
        }
        QuestionKind::Approvals { calls } => format!("#{code} for {} calls", calls.len()),
        QuestionKind::Question | QuestionKind::HandOver => {
            format!("#{code} for “{}”", clip(question.text.lines().next().unwrap_or_default(), 60))
        }
    }
}

/// Whether only clear words count as an answer.
pub fn is_guarded(question: &Question) -> bool {
    match question.kind {
        QuestionKind::Approval { .. } | QuestionKind::Approvals { .. } | QuestionKind::Unknown { .. } => true,
        QuestionKind::Question | QuestionKind::HandOver => false,
    }
}
