//! What happens next: the stateless reducer.
//!
//! Invariant: total and deterministic; same agent version, same log, same `now`, same step.

use std::time::Duration;

use channel::{Address, Timestamp};
use serde_json::Value;

use crate::{
    agent::Agent,
    directory::Directory,
    event::{
        Acted, AskedAt, Audience, Author, Decision, Event, Fault, FaultKind, Outcome, Question, QuestionKind,
        Reply,
    },
    id::{CallId, QuestionId, Seq},
    inert::clip,
    intent::Intent,
    passages::files,
    policy::{Judgement, judge},
    spec::{AskAt, Repeat, Verdict},
    summary::summary,
    thread::{Phase, Thread, UNKNOWN_OPTIONS, hash_of},
};

/// What the shell must do next.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Ask the model; the answer becomes `thought` or `failed`.
    Think,
    /// Run this call: `started`, then the tool, then `acted`.
    Act(Call),
    /// Write these events, with the messages they cause.
    Record(Vec<Event>),
    /// Nothing, until this time or until something new is heard.
    Wait(Option<Timestamp>),
}

/// A call that may run.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// Its id.
    pub id: CallId,
    /// The tool.
    pub tool: String,
    /// The arguments.
    pub args: Value,
    /// Their hash.
    pub hash: String,
}

/// How long a human's no to a call stands: within it the same call is denied again without asking.
pub(crate) const DENIAL_HOLDS: Duration = Duration::from_secs(600);
/// How often a call that may be repeated is begun before a human is asked what became of it.
const STARTS_MAX: u32 = 3;

/// What happens next in this thread.
pub fn decide(agent: &Agent, directory: &Directory, thread: &Thread, now: Timestamp) -> Step {
    let desk = Desk { agent, directory, thread, now };
    match thread.phase() {
        Phase::Empty | Phase::Finished | Phase::Cancelled | Phase::Paused => Step::Wait(None),
        Phase::Waiting => desk.wait(),
        Phase::Thinking => match desk.tripped() {
            Some(why) => Step::Record(desk.hand_over(&why)),
            None => Step::Think,
        },
        Phase::Deciding(seq) => match thread.thought(seq) {
            Some(thought) => desk.carry_out(seq, &thought.intent),
            None => desk.fail(FaultKind::Internal, "the thought to carry out is not in the log"),
        },
        Phase::Cleared(id) => desk.run_cleared(id),
        Phase::Running(id) => desk.pick_up(id),
        Phase::Uncertain(id) => desk.clear_up(id),
        Phase::Relaying(id) => desk.relay(id),
    }
}

/// The events that give the conversation to a human. For the shell, when it finds that it cannot go on.
pub fn escalate(
    agent: &Agent,
    directory: &Directory,
    thread: &Thread,
    why: &str,
    now: Timestamp,
) -> Vec<Event> {
    Desk { agent, directory, thread, now }.hand_over(why)
}

/// The events that follow when a message of this thread will never arrive: the fact, and a word to the people at home
/// if a card was lost that was to go elsewhere.
pub fn lost(thread: &Thread, key: channel::DeliveryKey, why: &str) -> Vec<Event> {
    let asked = crate::id::caused_by(&key).and_then(|(_, seq, n)| {
        let question = thread.question(QuestionId(seq))?;
        question.asked.get(n).map(|asked| (question, asked.clone()))
    });
    let mut events = vec![Event::Undelivered { key: Some(key), why: why.to_owned() }];
    if let (Some((question, asked)), Some(home)) = (asked, thread.home())
        && asked.at != *home
    {
        let who = asked.member.unwrap_or_else(|| asked.at.channel.to_string());
        let text = format!(
            "The question to {who} could not be delivered. It stays open until {:.0}.",
            question.deadline
        );
        events.push(said(thread, home, text, Author::Gateway));
    }
    events
}

/// Everything a decision looks at.
struct Desk<'a> {
    agent: &'a Agent,
    directory: &'a Directory,
    thread: &'a Thread,
    now: Timestamp,
}

impl Desk<'_> {
    fn wait(&self) -> Step {
        let mut deadlines: Vec<_> = self.thread.open_questions().map(|(id, q)| (q.deadline, id)).collect();
        deadlines.sort();
        match deadlines.first() {
            Some((deadline, id)) if *deadline <= self.now => {
                Step::Record(vec![Event::Lapsed { question: *id }])
            }
            Some((deadline, _)) => Step::Wait(Some(*deadline)),
            None => Step::Wait(None),
        }
    }

    /// Which limit says that a human must take over; the sentence is for that human.
    fn tripped(&self) -> Option<String> {
        let (run, limits) = (self.thread.run(), &self.agent.spec().limits);
        let last = run.faults.last();
        let same = last.map_or(0, |last| run.faults.iter().filter(|fault| *fault == last).count());
        let what = last.map_or("", |fault| fault.what.as_str());
        if run.failures >= limits.failures {
            Some(format!("{} failures in a row; the last one: {what}", run.failures))
        } else if same >= limits.same_error as usize {
            Some(format!("the same error came {same} times: {what}"))
        } else if run.steps >= limits.steps {
            Some(format!("it took {} steps without an end", run.steps))
        } else if run.model_calls >= limits.model_calls {
            Some(format!("it asked the model {} times without an end", run.model_calls))
        } else if run.tokens >= limits.tokens {
            Some(format!("it used {} tokens without an end", run.tokens))
        } else if self.thread.active(self.now) >= limits.active.0 {
            Some(format!("it worked for {} without an end", limits.active))
        } else {
            None
        }
    }

    fn carry_out(&self, seq: Seq, intent: &Intent) -> Step {
        match intent {
            Intent::Act { tool, args } => self.act(CallId(seq), tool, args),
            Intent::Ask { text, to, options } => self.ask(text, to.as_deref(), options),
            Intent::Say { .. } if self.thread.home().is_none() => {
                Step::Record(self.hand_over("nobody can be told anything: no address is known"))
            }
            Intent::Say { text, files } => Step::Record(self.say(seq, text, files)),
            Intent::Finish { text, files } => {
                let mut events = self.say(seq, text, files);
                events.push(Event::Finished);
                Step::Record(events)
            }
            Intent::HandOver { reason } => Step::Record(self.hand_over(reason)),
        }
    }

    fn act(&self, id: CallId, name: &str, args: &Value) -> Step {
        let Some(tool) = self.agent.spec().tools.get(name) else {
            return self.fail(FaultKind::BadCall, format!("there is no tool `{name}`"));
        };
        let hash = hash_of(args);
        if let Some(why) = self.loops(name, &hash) {
            return Step::Record(self.hand_over(&why));
        }
        let judgement = judge(self.directory, tool, args);
        match judgement.verdict {
            Verdict::Allow => Step::Act(Call { id, tool: name.to_owned(), args: args.clone(), hash }),
            Verdict::Deny => self
                .fail(FaultKind::Denied, format!("the policy forbids {name} here ({})", judgement.because)),
            Verdict::Ask => self.ask_approval(id, name, args, hash, &judgement),
        }
    }

    /// Whether this call would go round in circles: the same one again, or A, B, A, B.
    fn loops(&self, tool: &str, hash: &str) -> Option<String> {
        let calls = &self.thread.run().calls;
        let same = |call: &(String, String)| call.0 == tool && call.1 == hash;
        let times = calls.iter().filter(|call| same(call)).count();
        if times >= self.agent.spec().limits.same_call as usize {
            return Some(format!(
                "it wanted to run {tool} once more with the same arguments, after {times} times"
            ));
        }
        match calls.as_slice() {
            [.., a, b, c] if a == c && same(b) && !same(c) => {
                Some(format!("it goes back and forth between {} and {tool}", c.0))
            }
            _ => None,
        }
    }

    fn ask_approval(
        &self,
        call: CallId,
        name: &str,
        args: &Value,
        hash: String,
        judgement: &Judgement,
    ) -> Step {
        if let Some(at) = self.thread.denied_at(name, &hash)
            && self.now.duration_since(at).unsigned_abs() < DENIAL_HOLDS
        {
            return self.fail(FaultKind::Denied, format!("a human denied this very {name} a moment ago"));
        }
        let spec = self.agent.spec();
        let approvers = if judgement.approvers.is_empty() { &spec.approvers } else { &judgement.approvers };
        let desk = judgement.desk.as_deref().unwrap_or(&spec.desk);
        let asked = self.where_to_ask(approvers, desk);
        if asked.is_empty() {
            return Step::Record(
                self.hand_over(&format!("{name} needs an approval, but there is nobody to ask")),
            );
        }
        let request = self.request();
        let who = self.thread.requester().map_or("Somebody", |person| person.name.as_str());
        let kind = QuestionKind::Approval { call, tool: name.to_owned(), args: args.clone(), hash };
        let text = format!("{who} asked: {request}");
        let audience = Audience { requester: false, members: approvers.clone() };
        let question = self.question(kind, text, Vec::new(), audience, asked, spec.approval_deadline.0);
        Step::Record(self.asked(
            question,
            &format!("This needs approval ({name}). I have asked, and will go on when there is an answer."),
        ))
    }

    /// At home if the person there may approve, else at the desk: the members of the desk who may.
    fn where_to_ask(&self, approvers: &[String], desk: &str) -> Vec<AskedAt> {
        let roster = self.directory.roster(approvers);
        let requester = self.thread.requester().and_then(|person| self.directory.member(person));
        let home = self.thread.home().map(|at| AskedAt { at: at.clone(), member: None });
        let at_home = match self.agent.spec().ask_at {
            AskAt::Origin => true,
            AskAt::Desk => false,
            AskAt::Nearest => requester.is_some_and(|member| roster.contains(member)),
        };
        if at_home {
            return home.into_iter().collect();
        }
        let desk = self.directory.desks.get(desk).map(|desk| desk.places.as_slice()).unwrap_or_default();
        let may = |asked: &&AskedAt| asked.member.as_deref().is_none_or(|member| roster.contains(member));
        desk.iter().filter(may).cloned().collect()
    }

    fn ask(&self, text: &str, to: Option<&str>, options: &[String]) -> Step {
        let deadline = self.agent.spec().question_deadline.0;
        let (asked, audience) = match to {
            None | Some("origin") => {
                let home = self.thread.home().map(|at| AskedAt { at: at.clone(), member: None });
                (home.into_iter().collect(), Audience { requester: true, members: Vec::new() })
            }
            Some(desk) => self.desk(desk),
        };
        if asked.is_empty() {
            let desk = to.unwrap_or("origin");
            return self.fail(FaultKind::BadCall, format!("there is no desk `{desk}` to ask"));
        }
        let question = self.question(
            QuestionKind::Question,
            text.to_owned(),
            options.to_vec(),
            audience,
            asked,
            deadline,
        );
        Step::Record(
            self.asked(question, "I have asked somebody who knows, and will go on when there is an answer."),
        )
    }

    fn desk(&self, name: &str) -> (Vec<AskedAt>, Audience) {
        let (asked, members) = self.directory.desk(name, &self.agent.spec().approvers);
        (asked, Audience { requester: false, members })
    }

    /// The question, and a word to the people at home when it is asked elsewhere.
    fn asked(&self, question: Question, note: &str) -> Vec<Event> {
        let home = self.thread.home();
        let elsewhere = question.asked.iter().all(|asked| Some(&asked.at) != home);
        let mut events = vec![Event::Asked(question)];
        if let Some(home) = home.filter(|_| elsewhere) {
            events.push(said(self.thread, home, note.to_owned(), Author::Gateway));
        }
        events
    }

    fn question(
        &self,
        kind: QuestionKind,
        text: String,
        options: Vec<String>,
        audience: Audience,
        asked: Vec<AskedAt>,
        deadline: Duration,
    ) -> Question {
        Question {
            kind,
            text,
            options,
            audience,
            asked,
            in_reply_to: self.thread.reply_to(),
            requester: self.thread.requester().cloned(),
            asker: self.agent.reference(),
            deadline: self
                .now
                .saturating_add(jiff::SignedDuration::try_from(deadline).unwrap_or_default())
                .unwrap_or(Timestamp::MAX),
        }
    }

    /// Runs what a human cleared: the very call, with the very arguments.
    fn run_cleared(&self, id: CallId) -> Step {
        let Some(call) = self.thread.call(id) else {
            return self.fail(FaultKind::Internal, "the cleared call is not in the log");
        };
        let (tool, args, hash) = (call.tool.to_owned(), call.args.clone(), hash_of(call.args));
        if self.approved_hash(id).is_some_and(|approved| approved != hash) {
            return self.fail(FaultKind::Denied, "what was approved is not what would run; nothing was run");
        }
        if !self.agent.spec().tools.contains_key(&tool) {
            return self.fail(FaultKind::BadCall, format!("there is no tool `{tool}`"));
        }
        Step::Act(Call { id, tool, args, hash })
    }

    /// The hash that the approval of this call was given for.
    fn approved_hash(&self, id: CallId) -> Option<String> {
        if let Some((_, hash)) = self.thread.approved_instead(id) {
            return Some(hash.to_owned());
        }
        self.thread.records().iter().rev().find_map(|record| {
            let Event::Asked(Question { kind: QuestionKind::Approval { call, hash, .. }, .. }) =
                &record.event
            else {
                return None;
            };
            (*call == id).then(|| hash.clone())
        })
    }

    /// A call was started, and the process that started it is gone. Of one that only looks nobody needs to know what it did.
    fn pick_up(&self, id: CallId) -> Step {
        self.again(id).unwrap_or_else(|| {
            let why = "the gateway stopped while it ran; its end was not seen".to_owned();
            let tool = self.thread.call(id).and_then(|call| self.agent.spec().tools.get(call.tool));
            let outcome = match tool.map(|tool| tool.repeat) {
                Some(Repeat::Safe) => Outcome::Failed(Fault::new(FaultKind::ToolFailed, why)),
                Some(Repeat::ByKey | Repeat::Never) | None => Outcome::Unknown { why },
            };
            Step::Record(vec![Event::Acted(Acted { call: id, outcome, ms: 0, files: Vec::new() })])
        })
    }

    /// Nobody knows whether a call took effect. What may be repeated is sent again under its own name; else a human is
    /// asked.
    fn clear_up(&self, id: CallId) -> Step {
        self.again(id).unwrap_or_else(|| self.ask_what_happened(id))
    }

    /// The same call once more, if its tool allows that and it was not tried too often.
    fn again(&self, id: CallId) -> Option<Step> {
        let call = self.thread.call(id)?;
        let repeat = self.agent.spec().tools.get(call.tool)?.repeat;
        let may = matches!(repeat, Repeat::Safe | Repeat::ByKey) && self.thread.starts(id) < STARTS_MAX;
        let (tool, args, hash) = (call.tool.to_owned(), call.args.clone(), hash_of(call.args));
        may.then_some(Step::Act(Call { id, tool, args, hash }))
    }

    fn ask_what_happened(&self, id: CallId) -> Step {
        let Some(call) = self.thread.call(id) else {
            return self.fail(FaultKind::Internal, "the uncertain call is not in the log");
        };
        let spec = self.agent.spec();
        let why = self.thread.records().iter().rev().find_map(|record| {
            let Event::Acted(Acted { call, outcome: Outcome::Unknown { why }, .. }) = &record.event else {
                return None;
            };
            (*call == id).then(|| why.clone())
        });
        let text = format!(
            "Nobody knows whether this took effect: {}. Please look, and say what happened.",
            why.unwrap_or_else(|| "its end was not seen".into())
        );
        let kind = QuestionKind::Unknown { call: id, tool: call.tool.to_owned(), args: call.args.clone() };
        let rule = spec.tools.get(call.tool).map(|tool| judge(self.directory, tool, call.args));
        let approvers = rule.as_ref().map(|rule| rule.approvers.clone()).filter(|names| !names.is_empty());
        let approvers = approvers.unwrap_or_else(|| spec.approvers.clone());
        let desk = rule.and_then(|rule| rule.desk).unwrap_or_else(|| spec.desk.clone());
        let mut asked = self.where_to_ask(&approvers, &desk);
        let mut audience = Audience { requester: false, members: approvers };
        if asked.is_empty() {
            (asked, audience) = self.desk(&spec.desk);
        }
        let options = UNKNOWN_OPTIONS.iter().map(|option| (*option).to_owned()).collect();
        let question = self.question(kind, text, options, audience, asked, spec.approval_deadline.0);
        let note = format!(
            "Something went wrong while {} ran, and I do not know whether it took effect. I have asked a person to look.",
            call.tool
        );
        Step::Record(self.asked(question, &note))
    }

    /// A human answered in the agent's place, or nobody did in time.
    fn relay(&self, id: QuestionId) -> Step {
        let Some(home) = self.thread.home() else { return Step::Record(vec![Event::Finished]) };
        let told = match self.thread.answer(id) {
            Some(answer) => {
                let member = answer.member.clone().unwrap_or_else(|| answer.by.name.clone());
                let text = match &answer.decision {
                    Decision::Text(text) => text.clone(),
                    Decision::Approve
                    | Decision::ApproveEdited { .. }
                    | Decision::Reject { .. }
                    | Decision::Option(_) => "This is taken care of.".into(),
                };
                said(self.thread, home, text, Author::Member(member))
            }
            None => {
                let text = "Nobody could look at this in time. Please write again if you still need it.";
                said(self.thread, home, text.to_owned(), Author::Gateway)
            }
        };
        Step::Record(vec![told, Event::Finished])
    }

    fn say(&self, seq: Seq, text: &str, names: &[String]) -> Vec<Event> {
        let Some(home) = self.thread.home() else { return Vec::new() };
        let known = files(self.thread);
        let note = self.thread.thought(seq).and_then(|thought| thought.note.clone());
        let chosen = names.iter().filter_map(|name| known.iter().rev().find(|file| file.name == *name));
        vec![Event::Said(Reply {
            to: home.clone(),
            in_reply_to: self.thread.reply_to(),
            text: text.to_owned(),
            files: chosen.cloned().collect(),
            by: Author::Agent,
            note,
        })]
    }

    /// Gives the conversation to the desk, with a summary; once a request. After that, or without a desk, it ends in words.
    fn hand_over(&self, why: &str) -> Vec<Event> {
        let mut events = vec![Event::HandedOver { why: why.to_owned() }];
        let (asked, audience) = self.desk(&self.agent.spec().desk);
        let Some(home) = self.thread.home() else {
            events.push(Event::Finished);
            return events;
        };
        if asked.is_empty() || self.thread.run().handed_over {
            let text = "I could not finish this, and nobody is there to take over. Please write again later.";
            events.push(said(self.thread, home, text.to_owned(), Author::Gateway));
            events.push(Event::Finished);
            return events;
        }
        let text = summary(self.agent, self.thread, why);
        let deadline = self.agent.spec().question_deadline.0;
        let question = self.question(QuestionKind::HandOver, text, Vec::new(), audience, asked, deadline);
        events.push(Event::Asked(question));
        let text =
            "I could not do this on my own. A person has been asked to take over, and will answer here.";
        events.push(said(self.thread, home, text.to_owned(), Author::Gateway));
        events
    }

    fn request(&self) -> String {
        clip(self.thread.request().map_or("", |heard| heard.text.as_str()), 600)
    }

    fn fail(&self, kind: FaultKind, what: impl Into<String>) -> Step {
        Step::Record(vec![Event::Failed(Fault::new(kind, what).into())])
    }
}

/// Something said at home.
fn said(thread: &Thread, home: &Address, text: String, by: Author) -> Event {
    let note = match &by {
        Author::Member(name) => Some(name.clone()),
        Author::Agent | Author::Gateway => None,
    };
    Event::Said(Reply { to: home.clone(), in_reply_to: thread.reply_to(), text, files: Vec::new(), by, note })
}
