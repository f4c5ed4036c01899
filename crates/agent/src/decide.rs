//! What happens next: the stateless reducer.
//!
//! Invariant: total and deterministic; same agent version, same log, same `now`, same step.

use std::time::Duration;

use channel::{Address, Person, Timestamp};
use serde_json::Value;

use crate::{
    agent::Agent,
    directory::Directory,
    event::{
        Acted, AskedAt, AskedCall, Audience, Author, Decision, Deferral, Event, Fault, FaultKind, Form,
        Outcome, Planned, Question, QuestionKind, Reply,
    },
    feasible::{able, enough},
    grant::covering,
    id::{CallId, QuestionId, Seq},
    inert::clip,
    inquiry::{Due, awake},
    intent::{Intent, WantedCall},
    passages::files,
    policy::{Judgement, judge},
    spec::{AskAt, Repeat, Verdict, WhileWaiting},
    summary::summary,
    terms::{Otherwise, Terms},
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
    /// The question whose answer it runs under, where that was given for another call like it.
    pub grant: Option<QuestionId>,
}

/// How long a human's no to a call stands: within it the same call is denied again without asking.
pub(crate) const DENIAL_HOLDS: Duration = Duration::from_secs(600);
/// What the agent is told that wants something else before it has answered a person.
const ANSWER_FIRST: &str = "somebody asked about the open question; answer that with `say` first";
/// Why a question is withdrawn for what the agent wants instead.
const INSTEAD: &str = "the agent wants something else now";
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
        Phase::Planned => desk.plan(),
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
        let id = thread.asked_by(seq, n)?;
        let posted = thread.inquiry(id)?.cards.iter().find(|posted| posted.seq == seq && posted.n == n)?;
        Some((thread.question(id).filter(|_| thread.settled_by(id).is_none())?, posted.asked.clone()))
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

/// How a question is to be answered, where not in words of one's own.
struct Format {
    options: Vec<String>,
    several: bool,
    form: Option<Box<Form>>,
}

/// A call that an agent wants: its name, the tool, the arguments.
type Wanted<'a> = (CallId, &'a str, &'a Value);

/// What is to become of a call.
enum Then {
    /// It fails at once.
    Refuse(Fault),
    /// It runs, perhaps under a grant.
    Run(Option<QuestionId>),
    /// Somebody must approve it.
    Ask(Judgement),
}

/// Everything a decision looks at.
struct Desk<'a> {
    agent: &'a Agent,
    directory: &'a Directory,
    thread: &'a Thread,
    now: Timestamp,
}

impl Desk<'_> {
    /// Humans were asked: what is due about that, and what there is to think about meanwhile.
    fn wait(&self) -> Step {
        let mut next: Option<Timestamp> = None;
        for (id, question) in self.thread.open_questions() {
            let Some(inquiry) = self.thread.inquiry(id) else { continue };
            let voters: Vec<&Person> = self.thread.votes(id).map(|vote| &vote.answer.by).collect();
            match inquiry.due(question, self.directory, &voters, self.now) {
                Due::Lapse => return Step::Record(self.lapse(id, question)),
                Due::Again(again) => return Step::Record(vec![Event::AskedAgain(again)]),
                Due::At(at) => next = Some(next.map_or(at, |next| next.min(at))),
            }
        }
        self.meanwhile().unwrap_or(Step::Wait(next))
    }

    /// Nobody answered in time.
    fn lapse(&self, id: QuestionId, question: &Question) -> Vec<Event> {
        let mut events = vec![Event::Lapsed { question: id }];
        if question.terms.otherwise == Otherwise::HandOver {
            events.extend(self.hand_over(&format!("nobody answered in time: {}", clip(&question.text, 300))));
        }
        events
    }

    /// What there is to think about while people are waited for: what they asked back, and what was said meanwhile where the
    /// agent considers that.
    fn meanwhile(&self) -> Option<Step> {
        if self.thread.run().handed_over {
            return None;
        }
        if let Some((asked_back, deferral)) = self.thread.asked_back().next() {
            return Some(match self.tripped() {
                None => Step::Think,
                Some(_) => Step::Record(vec![self.cannot_say(asked_back, deferral)]),
            });
        }
        // What became of a call is asked whatever is said meanwhile.
        let is_unknown = |question: &Question| matches!(question.kind, QuestionKind::Unknown { .. });
        if !self.thread.has_news() || self.thread.open_questions().any(|(_, question)| is_unknown(question)) {
            return None;
        }
        match self.agent.spec().while_waiting {
            WhileWaiting::Queue => None,
            WhileWaiting::Consider => self.tripped().is_none().then_some(Step::Think),
            WhileWaiting::Cancel => Some(self.withdraw("something else was said meanwhile")),
        }
    }

    /// The answer to somebody who asked back, where the agent has none.
    fn cannot_say(&self, asked_back: Seq, deferral: &Deferral) -> Event {
        Event::Said(Reply {
            to: deferral.at.clone(),
            in_reply_to: deferral.message.clone(),
            answers: Some(asked_back),
            text: "I cannot say more than stands in the question.".to_owned(),
            files: Vec::new(),
            by: Author::Gateway,
            note: None,
        })
    }

    /// The agent does not need the answers any more that it waits for.
    fn withdraw(&self, why: &str) -> Step {
        let open = self.thread.open_questions();
        Step::Record(open.map(|(question, _)| Event::Withdrawn { question, why: why.to_owned() }).collect())
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
        if self.thread.open_questions().next().is_some()
            && let Some(step) = self.carry_out_meanwhile(seq, intent)
        {
            return step;
        }
        match intent {
            Intent::Act { tool, args } => self.act(CallId(seq), tool, args),
            Intent::ActAll { calls } => self.act_all(calls),
            Intent::Ask { text, to, options, several, form } => match self.form(form.as_deref()) {
                Ok(form) => {
                    let format = Format { options: options.clone(), several: *several, form };
                    self.ask(text, to.as_deref(), format)
                }
                Err(what) => self.fail(FaultKind::BadCall, what),
            },
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

    /// The same while people are waited for; nothing where it is carried out as ever. Who asked back is answered. Looking
    /// something up, and saying something, leaves the question open; whatever else the agent wants, it wants instead.
    fn carry_out_meanwhile(&self, seq: Seq, intent: &Intent) -> Option<Step> {
        let seen = self.thread.thought(seq).map_or(0, |thought| thought.seen.0);
        let asked_back = self.thread.asked_back().find(|(asked_back, _)| asked_back.0 < seen);
        match (intent, asked_back) {
            (Intent::Say { text, files } | Intent::Finish { text, files }, Some((asked_back, deferral))) => {
                let said = Reply {
                    in_reply_to: deferral.message.clone(),
                    answers: Some(asked_back),
                    ..self.reply(seq, &deferral.at, text, files)
                };
                Some(Step::Record(vec![Event::Said(said)]))
            }
            (Intent::Say { .. }, None) => None,
            (Intent::Act { tool, args }, asked_back) => {
                self.act_meanwhile(&[(tool, args)], asked_back.is_some())
            }
            (Intent::ActAll { calls }, asked_back) => {
                let calls: Vec<_> = calls.iter().map(|call| (call.tool.as_str(), &call.args)).collect();
                self.act_meanwhile(&calls, asked_back.is_some())
            }
            (Intent::Ask { .. } | Intent::HandOver { .. }, Some(_)) => {
                Some(self.fail(FaultKind::BadCall, ANSWER_FIRST))
            }
            (Intent::Ask { .. } | Intent::Finish { .. } | Intent::HandOver { .. }, None) => {
                Some(self.withdraw(INSTEAD))
            }
        }
    }

    /// Calls that are wanted while people are waited for; nothing where all of them only look.
    fn act_meanwhile(&self, calls: &[(&str, &Value)], was_asked_back: bool) -> Option<Step> {
        let only_looks = |(tool, args): &(&str, &Value)| {
            self.agent.spec().tools.get(*tool).is_none_or(|spec| {
                spec.repeat == Repeat::Safe && judge(self.directory, spec, args).verdict == Verdict::Allow
            })
        };
        if calls.iter().all(only_looks) {
            return None;
        }
        let is_asked = |(tool, args): &(&str, &Value)| {
            let hash = hash_of(args);
            let same = |(_, of, _, asked): (CallId, &str, &Value, &str)| of == *tool && asked == hash;
            self.thread.open_questions().any(|(_, question)| question.kind.calls().into_iter().any(same))
        };
        Some(match calls.iter().find(|call| is_asked(call)) {
            Some((tool, _)) => {
                self.fail(FaultKind::BadCall, format!("this very {tool} waits for approval already"))
            }
            None if was_asked_back => self.fail(FaultKind::BadCall, ANSWER_FIRST),
            None => self.withdraw(INSTEAD),
        })
    }

    /// Several calls become wanted, unless one of them would go round in circles.
    fn act_all(&self, calls: &[WantedCall]) -> Step {
        let tools = &self.agent.spec().tools;
        let planned = |WantedCall { tool, args }| Event::Planned(Planned { tool, args });
        if calls.is_empty() {
            return self.fail(FaultKind::BadCall, "there are no calls");
        }
        if let Some(call) = calls.iter().find(|call| !tools.contains_key(&call.tool)) {
            return self.fail(FaultKind::BadCall, format!("there is no tool `{}`", call.tool));
        }
        match calls.iter().find_map(|call| self.loops(&call.tool, &hash_of(&call.args))) {
            Some(why) => Step::Record(self.hand_over(&why)),
            None => Step::Record(calls.iter().cloned().map(planned).collect()),
        }
    }

    /// What becomes of calls that are wanted: what is forbidden fails, what may run does, one after the other, and the rest is asked
    /// about: on one card what is asked of the same people on the same terms.
    fn plan(&self) -> Step {
        let calls = self.thread.planned().iter().filter_map(|id| {
            let call = self.thread.call(*id)?;
            Some(((*id, call.tool, call.args), self.judged(call.tool, call.args)))
        });
        let calls: Vec<(Wanted<'_>, Then)> = calls.collect();
        let refused = calls.iter().filter_map(|((call, ..), then)| match then {
            Then::Refuse(fault) => Some(Event::Acted(Acted {
                call: *call,
                outcome: Outcome::Failed(fault.clone()),
                ms: 0,
                files: Vec::new(),
            })),
            Then::Run(_) | Then::Ask(_) => None,
        });
        let refused: Vec<Event> = refused.collect();
        if !refused.is_empty() {
            return Step::Record(refused);
        }
        for ((id, tool, args), then) in &calls {
            if let Then::Run(grant) = then {
                let (tool, args) = ((*tool).to_owned(), (*args).clone());
                return Step::Act(Call { id: *id, tool, hash: hash_of(&args), args, grant: *grant });
            }
        }
        // What leaves the house is asked about by itself.
        let mut groups: Vec<(bool, Judgement, Vec<Wanted<'_>>)> = Vec::new();
        for (call, then) in calls {
            let Then::Ask(judgement) = then else { continue };
            let asked = Judgement { because: String::new(), ..judgement };
            let alone = self.agent.spec().tools.get(call.1).is_some_and(|tool| tool.outward);
            match groups.iter_mut().find(|(one, group, _)| !alone && !one && *group == asked) {
                Some((_, _, calls)) => calls.push(call),
                None => groups.push((alone, asked, vec![call])),
            }
        }
        let mut events = Vec::new();
        for (_, judgement, calls) in groups {
            match self.approval(&calls, &judgement) {
                Ok(question) => events.push(Event::Asked(question)),
                Err(why) => return Step::Record(self.hand_over(&why)),
            }
        }
        let note = "Several things need approval. I have asked, and will go on when there is an answer.";
        self.told_at_home(&mut events, note);
        Step::Record(events)
    }

    fn act(&self, id: CallId, tool: &str, args: &Value) -> Step {
        let hash = hash_of(args);
        if self.agent.spec().tools.contains_key(tool)
            && let Some(why) = self.loops(tool, &hash)
        {
            return Step::Record(self.hand_over(&why));
        }
        match self.judged(tool, args) {
            Then::Refuse(fault) => Step::Record(vec![Event::Failed(fault.into())]),
            Then::Run(grant) => {
                Step::Act(Call { id, tool: tool.to_owned(), args: args.clone(), hash, grant })
            }
            Then::Ask(judgement) => match self.approval(&[(id, tool, args)], &judgement) {
                Ok(question) => Step::Record(self.asked(
                    question,
                    &format!(
                        "This needs approval ({tool}). I have asked, and will go on when there is an answer."
                    ),
                )),
                Err(why) => Step::Record(self.hand_over(&why)),
            },
        }
    }

    /// What is to become of a call.
    fn judged(&self, tool: &str, args: &Value) -> Then {
        let refuse = |kind, what: String| Then::Refuse(Fault::new(kind, what));
        let Some(spec) = self.agent.spec().tools.get(tool) else {
            return refuse(FaultKind::BadCall, format!("there is no tool `{tool}`"));
        };
        let judgement = judge(self.directory, spec, args);
        match judgement.verdict {
            Verdict::Allow => Then::Run(None),
            Verdict::Deny => {
                refuse(FaultKind::Denied, format!("the policy forbids {tool} here ({})", judgement.because))
            }
            Verdict::Ask if self.was_denied(tool, &hash_of(args)) => {
                refuse(FaultKind::Denied, format!("a human denied this very {tool} a moment ago"))
            }
            Verdict::Ask => {
                let known = (self.agent, self.directory);
                match covering(known, self.thread, (tool, args), &judgement, self.now) {
                    Some(grant) => Then::Run(Some(grant)),
                    None => Then::Ask(judgement),
                }
            }
        }
    }

    /// Whether a human denied this very call a moment ago.
    fn was_denied(&self, tool: &str, hash: &str) -> bool {
        let denied = self.thread.denied_at(tool, hash);
        denied.is_some_and(|at| self.now.duration_since(at).unsigned_abs() < DENIAL_HOLDS)
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

    /// The question for permission to run calls that are judged alike.
    ///
    /// # Errors
    /// There is nobody to ask; a sentence to whoever takes over.
    fn approval(&self, calls: &[Wanted<'_>], judgement: &Judgement) -> Result<Question, String> {
        let spec = self.agent.spec();
        let approvers = judgement.approvers(spec);
        let desk = judgement.desk.as_deref().unwrap_or(&spec.desk);
        let terms = judgement.terms.clone();
        let asked = self.where_to_ask(approvers, desk, &terms);
        let tool = calls.first().map_or("it", |(_, tool, _)| tool);
        if asked.is_empty() || !self.can_be_approved(approvers, &terms) {
            return Err(format!("{tool} needs an approval, but there is nobody to ask"));
        }
        let who = self.thread.requester().map_or("Somebody", |person| person.name.as_str());
        let text = format!("{who} asked: {}", self.request());
        let call = |(call, tool, args): &Wanted<'_>| AskedCall {
            call: *call,
            tool: (*tool).to_owned(),
            args: (*args).clone(),
            hash: hash_of(args),
        };
        let mut calls: Vec<AskedCall> = calls.iter().map(call).collect();
        let kind = match calls.as_slice() {
            [_] => {
                let AskedCall { call, tool, args, hash } = calls.remove(0);
                QuestionKind::Approval { call, tool, args, hash }
            }
            _ => QuestionKind::Approvals { calls },
        };
        let audience = Audience { requester: false, members: approvers.to_vec() };
        let deadline = judgement.deadline.unwrap_or(spec.approval_deadline).0;
        Ok(Question { terms, ..self.question(kind, text, Vec::new(), audience, asked, deadline) })
    }

    /// At home if the person there may approve it there, else at the desk: the members of the desk who may.
    fn where_to_ask(&self, approvers: &[String], desk: &str, terms: &Terms) -> Vec<AskedAt> {
        let roster = self.directory.roster(approvers);
        let requester = self.thread.requester().and_then(|person| self.directory.member(person));
        let home = self.thread.home().map(|at| AskedAt { at: at.clone(), member: None });
        let at_home = match self.agent.spec().ask_at {
            AskAt::Origin => true,
            AskAt::Desk => false,
            AskAt::Nearest => {
                let may_there = home.as_ref().is_some_and(|home| terms.is_decided_on(&home.at.channel));
                terms.requester_may && may_there && requester.is_some_and(|member| roster.contains(member))
            }
        };
        if at_home {
            return home.into_iter().collect();
        }
        let desk = self.directory.desks.get(desk).map(|desk| desk.places.as_slice()).unwrap_or_default();
        let may = |asked: &&AskedAt| asked.member.as_deref().is_none_or(|member| roster.contains(member));
        self.directory.with_delegates(desk.iter().filter(may).cloned().collect(), self.now)
    }

    /// Whether there are enough who may approve a call of this request.
    fn can_be_approved(&self, approvers: &[String], terms: &Terms) -> bool {
        let later: Vec<String> = terms.ladder.iter().flat_map(|rung| rung.approvers.clone()).collect();
        let requester = self.thread.requester().filter(|_| !terms.requester_may);
        let theirs = requester.and_then(|person| self.directory.named(person));
        let able = |names: &[String]| able(self.directory, names, |name| Some(name) != theirs, |_| true);
        enough(self.directory, terms.quorum, approvers, &later, able).is_ok()
    }

    /// The form of the agent with this name, as it is now.
    fn form(&self, name: Option<&str>) -> Result<Option<Box<Form>>, String> {
        let Some(name) = name else { return Ok(None) };
        let form = self.agent.spec().forms.get(name).ok_or_else(|| format!("there is no form `{name}`"))?;
        Ok(Some(Box::new(Form { title: form.title.clone(), fields: form.fields.clone() })))
    }

    fn ask(&self, text: &str, to: Option<&str>, format: Format) -> Step {
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
        let Format { options, several, form } = format;
        let kind = QuestionKind::Question;
        let question = self.question(kind, text.to_owned(), options, audience, asked, deadline);
        let question = Question { several, form, ..question };
        Step::Record(
            self.asked(question, "I have asked somebody who knows, and will go on when there is an answer."),
        )
    }

    fn desk(&self, name: &str) -> (Vec<AskedAt>, Audience) {
        let (asked, members) = self.directory.desk(name, &self.agent.spec().approvers);
        (self.directory.with_delegates(asked, self.now), Audience { requester: false, members })
    }

    /// The question, and a word to the people at home when it is asked elsewhere.
    fn asked(&self, question: Question, note: &str) -> Vec<Event> {
        let mut events = vec![Event::Asked(question)];
        self.told_at_home(&mut events, note);
        events
    }

    /// A word to the people at home when all that is asked is asked elsewhere.
    fn told_at_home(&self, events: &mut Vec<Event>, note: &str) {
        let home = self.thread.home();
        let is_here = |event: &Event| {
            let Event::Asked(question) = event else { return false };
            question.asked.iter().any(|asked| Some(&asked.at) == home)
        };
        if let Some(home) = home.filter(|_| !events.iter().any(is_here)) {
            events.push(said(self.thread, home, note.to_owned(), Author::Gateway));
        }
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
        let deadline = self
            .now
            .saturating_add(jiff::SignedDuration::try_from(deadline).unwrap_or_default())
            .unwrap_or(Timestamp::MAX);
        let (asked, held) = awake(self.directory, asked, deadline, self.now);
        Question {
            kind,
            text,
            options,
            several: false,
            form: None,
            audience,
            asked,
            held,
            terms: Terms::default(),
            in_reply_to: self.thread.reply_to(),
            requester: self.thread.requester().cloned(),
            asker: self.agent.reference(),
            deadline,
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
        Step::Act(Call { id, tool, args, hash, grant: None })
    }

    /// The hash that the approval of this call was given for.
    fn approved_hash(&self, id: CallId) -> Option<String> {
        if let Some((_, hash)) = self.thread.approved_instead(id) {
            return Some(hash.to_owned());
        }
        self.thread.records().iter().rev().find_map(|record| {
            let Event::Asked(question) = &record.event else { return None };
            let about = question.kind.calls().into_iter().find(|(call, ..)| *call == id);
            about.map(|(_, _, _, hash)| hash.to_owned())
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
        let may = matches!(repeat, Repeat::Safe | Repeat::ByKey)
            && self.thread.starts(id) < STARTS_MAX
            && self.thread.run().given_up.is_none();
        let (tool, args, hash) = (call.tool.to_owned(), call.args.clone(), hash_of(call.args));
        let grant = self.thread.begun_under(id);
        may.then_some(Step::Act(Call { id, tool, args, hash, grant }))
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
        // What happened may be said by whoever knows; the terms are those of the approval.
        let mut asked = self.where_to_ask(&approvers, &desk, &Terms::default());
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
                    // They have talked about it.
                    Decision::Done if self.thread.taken(id).is_some_and(|taken| taken.spoke) => {
                        return Step::Record(vec![Event::Finished]);
                    }
                    Decision::Approve
                    | Decision::ApproveAlike { .. }
                    | Decision::ApproveEdited { .. }
                    | Decision::ApproveSome { .. }
                    | Decision::Reject { .. }
                    | Decision::Option(_)
                    | Decision::Options(_)
                    | Decision::Form(_)
                    | Decision::HandBack { .. }
                    | Decision::Done => "This is taken care of.".into(),
                };
                said(self.thread, home, text, Author::Member(member))
            }
            // They have talked, and the last word was said long ago.
            None if self.thread.taken(id).is_some_and(|taken| !taken.owes) => {
                return Step::Record(vec![Event::Finished]);
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
        vec![Event::Said(self.reply(seq, home, text, names))]
    }

    /// What the agent says, and the files that it names.
    fn reply(&self, seq: Seq, to: &Address, text: &str, names: &[String]) -> Reply {
        let known = files(self.thread);
        let note = self.thread.thought(seq).and_then(|thought| thought.note.clone());
        let chosen = names.iter().filter_map(|name| known.iter().rev().find(|file| file.name == *name));
        Reply {
            to: to.clone(),
            in_reply_to: self.thread.reply_to(),
            answers: None,
            text: text.to_owned(),
            files: chosen.cloned().collect(),
            by: Author::Agent,
            note,
        }
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
    Event::Said(Reply {
        to: home.clone(),
        in_reply_to: thread.reply_to(),
        answers: None,
        text,
        files: Vec::new(),
        by,
        note,
    })
}
