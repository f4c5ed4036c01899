//! A thread: its log, folded.
//!
//! Invariant: folding any sequence of records never fails; what makes no sense changes nothing.
//! Invariant: every log is in exactly one [`Phase`].

use std::{collections::BTreeMap, time::Duration};

use channel::{Address, MessageRef, Person, Timestamp};
use serde_json::Value;

use crate::{
    canonical::args_hash,
    directory::is_same,
    event::{
        AgentRef, Answer, Audience, Author, Ballot, Decision, Deferral, Deferring, Denied, Edit, Event,
        Fault, Heard, Outcome, Planned, Question, QuestionKind, Record, Reply, Snapshot, Thought, Usage,
    },
    id::{CallId, QuestionId, Seq, ThreadId, Version, caused_by},
    inquiry::{Inquiry, Taken},
    intent::Intent,
    terms::Otherwise,
};

/// The log of one conversation, and what follows from it.
#[derive(Clone, Debug)]
pub struct Thread {
    id: ThreadId,
    records: Vec<Record>,
    home: Option<Address>,
    agent: Option<AgentRef>,
    state: Phase,
    paused: bool,
    open: Vec<QuestionId>,
    inquiries: BTreeMap<QuestionId, Inquiry>,
    /// What somebody asked back and nobody has answered.
    asked_back: Vec<Seq>,
    /// What was said at home while somebody had taken the conversation over: the question by which it was handed over, and where
    /// they talked then.
    relayed: BTreeMap<Seq, (QuestionId, Address)>,
    /// Whether there is something new to think about while people are waited for: a call that ended.
    news: bool,
    starts: BTreeMap<CallId, u32>,
    /// Messages as they stand now, where they were edited; none where they were deleted.
    revised: BTreeMap<Seq, Option<Heard>>,
    /// Calls that were approved with other arguments: the answer that has them.
    changed: BTreeMap<CallId, Seq>,
    /// Calls of a thought that wants several: those that were neither begun nor asked about, nor given up.
    planned: Vec<CallId>,
    /// Calls that were approved and not begun.
    cleared: Vec<CallId>,
    /// Questions whose answers hold for further calls, unless their time is over.
    granted: Vec<QuestionId>,
    seen: Version,
    runs: Vec<Seq>,
    run: Run,
}

/// Where a thread stands. Every log is in exactly one phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Nothing was heard yet.
    Empty,
    /// A model must say what comes next.
    Thinking,
    /// The intent of this thought must be carried out.
    Deciding(Seq),
    /// Several calls are wanted: those that may run do, and the others are asked about.
    Planned,
    /// This call may run.
    Cleared(CallId),
    /// This call was started, and its end is not known yet.
    Running(CallId),
    /// This call may or may not have had its effect, and nobody was asked yet.
    Uncertain(CallId),
    /// Humans were asked.
    Waiting,
    /// A human answered for the agent (or nobody did); the people of the thread must be told.
    Relaying(QuestionId),
    /// Work was stopped for the time being.
    Paused,
    /// The request is done.
    Finished,
    /// The request was given up.
    Cancelled,
}

/// The request that is being worked on: counts since its first message.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Run {
    /// Its first message.
    pub first: Option<Seq>,
    /// When that was.
    pub began: Option<Timestamp>,
    /// Thoughts.
    pub steps: u32,
    /// Requests to models.
    pub model_calls: u32,
    /// Tokens read and written.
    pub tokens: u64,
    /// How long people were waited for, finished waits only.
    pub waited: Duration,
    /// Since when people are waited for.
    pub waiting_since: Option<Timestamp>,
    /// Failures since the last success.
    pub failures: u32,
    /// Every fault.
    pub faults: Vec<Fault>,
    /// Every call that was started: the tool and the hash of its arguments.
    pub calls: Vec<(String, String)>,
    /// Whether the conversation was handed over, and was not handed back.
    pub handed_over: bool,
    /// The event that gave it up while a call ran: the end of that is waited for.
    pub given_up: Option<Seq>,
    /// The last edit or deletion of one of its messages: a thought from before that counts for nothing.
    pub revised: Option<Seq>,
    /// The last end of a question: a thought from before that counts for nothing, either.
    pub settled: Option<Seq>,
}

/// How a question ended.
#[derive(Clone, Copy)]
enum End<'a> {
    Answered(&'a Decision),
    Lapsed,
    Withdrawn,
}

/// A tool call as the log knows it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CallView<'a> {
    /// The tool.
    pub tool: &'a str,
    /// The arguments.
    pub args: &'a Value,
}

impl Thread {
    /// A thread with no events.
    pub fn new(id: ThreadId) -> Self {
        Self {
            id,
            records: Vec::new(),
            home: None,
            agent: None,
            state: Phase::Empty,
            paused: false,
            open: Vec::new(),
            inquiries: BTreeMap::new(),
            asked_back: Vec::new(),
            relayed: BTreeMap::new(),
            news: false,
            starts: BTreeMap::new(),
            revised: BTreeMap::new(),
            changed: BTreeMap::new(),
            planned: Vec::new(),
            cleared: Vec::new(),
            granted: Vec::new(),
            seen: Version(0),
            runs: Vec::new(),
            run: Run::default(),
        }
    }

    /// A thread folded from its log.
    pub fn fold(id: ThreadId, records: impl IntoIterator<Item = Record>) -> Self {
        let mut thread = Self::new(id);
        for record in records {
            thread.apply(record);
        }
        thread
    }

    /// Its id.
    pub fn id(&self) -> &ThreadId {
        &self.id
    }

    /// Its log.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// How many events it has.
    pub fn version(&self) -> Version {
        Version(self.records.len() as u64)
    }

    /// What goes on in it of the thread before, if something does.
    pub fn former(&self) -> Option<&Snapshot> {
        match self.records.first().map(|record| &record.event) {
            Some(Event::Continued(snapshot)) => Some(snapshot),
            _ => None,
        }
    }

    /// The number of the event at a place, counted through all threads of the conversation. That it goes on is no event of
    /// it.
    pub fn number(&self, seq: Seq) -> u64 {
        match self.former() {
            Some(former) => former.events.saturating_add(seq.0).saturating_sub(1),
            None => seq.0,
        }
    }

    /// The address it belongs to; answers go there.
    pub fn home(&self) -> Option<&Address> {
        self.home.as_ref()
    }

    /// The agent it is pinned to, in its version.
    pub fn agent(&self) -> Option<&AgentRef> {
        self.agent.as_ref()
    }

    /// The request that is being worked on.
    pub fn run(&self) -> &Run {
        &self.run
    }

    /// The first message of each request so far, oldest first.
    pub fn runs(&self) -> &[Seq] {
        &self.runs
    }

    /// Where it stands.
    pub fn phase(&self) -> Phase {
        if self.paused && !self.is_idle() { Phase::Paused } else { self.state }
    }

    /// Whether work was stopped for the time being: then a request that begins waits, too.
    pub(crate) fn is_paused(&self) -> bool {
        self.paused
    }

    /// Whether the next message begins a new request.
    pub fn is_idle(&self) -> bool {
        matches!(self.state, Phase::Empty | Phase::Finished | Phase::Cancelled)
    }

    /// The event at a place.
    pub fn event(&self, seq: Seq) -> Option<&Event> {
        usize::try_from(seq.0).ok().and_then(|n| self.records.get(n)).map(|record| &record.event)
    }

    /// The questions that wait for an answer, oldest first.
    pub fn open_questions(&self) -> impl Iterator<Item = (QuestionId, &Question)> {
        self.open.iter().filter_map(|id| self.question(*id).map(|question| (*id, question)))
    }

    /// A question, open or not.
    pub fn question(&self, id: QuestionId) -> Option<&Question> {
        match self.event(id.0) {
            Some(Event::Asked(question)) => Some(question),
            _ => None,
        }
    }

    /// The event that settled a question: `answered`, `lapsed`, `withdrawn` or `cancelled`.
    pub fn settled_by(&self, id: QuestionId) -> Option<Seq> {
        self.inquiries.get(&id)?.settled
    }

    /// How a question stands.
    pub(crate) fn inquiry(&self, id: QuestionId) -> Option<&Inquiry> {
        self.inquiries.get(&id)
    }

    /// Until when a question waits for an answer.
    pub fn waits_until(&self, id: QuestionId) -> Option<Timestamp> {
        Some(self.inquiries.get(&id)?.until(self.question(id)?))
    }

    /// Who has taken the conversation over that a question hands over: where they talk.
    pub(crate) fn taken(&self, id: QuestionId) -> Option<&Taken> {
        self.inquiries.get(&id)?.taken.as_ref()
    }

    /// Where somebody talked who had taken the conversation over when this was said at home.
    pub(crate) fn relayed_to(&self, seq: Seq) -> Option<&Address> {
        self.relayed.get(&seq).map(|(_, at)| at)
    }

    /// The approvals of a question that were not enough alone, oldest first.
    pub fn votes(&self, id: QuestionId) -> impl Iterator<Item = &Ballot> {
        self.votes_until(id, Seq(u64::MAX))
    }

    /// Those of them that stand in the log up to a place.
    pub(crate) fn votes_until(&self, id: QuestionId, until: Seq) -> impl Iterator<Item = &Ballot> {
        let votes = self.inquiries.get(&id).map(|inquiry| inquiry.votes.as_slice()).unwrap_or_default();
        votes.iter().filter(move |seq| **seq <= until).filter_map(|seq| match self.event(*seq) {
            Some(Event::Voted(ballot)) => Some(ballot),
            _ => None,
        })
    }

    /// Members and groups who may answer a question beside its first audience, since it was asked again.
    pub(crate) fn added(&self, id: QuestionId) -> &[String] {
        self.inquiries.get(&id).map(|inquiry| inquiry.audience.as_slice()).unwrap_or_default()
    }

    /// Who may answer a question.
    pub fn audience(&self, id: QuestionId) -> Audience {
        let mut audience = self.question(id).map(|question| question.audience.clone()).unwrap_or_default();
        audience.members.extend_from_slice(self.added(id));
        audience
    }

    /// The question that the n-th message which the event at a place causes has to do with: a reply to it is about that.
    pub fn asked_by(&self, seq: Seq, n: usize) -> Option<QuestionId> {
        match self.event(seq) {
            Some(Event::Asked(_)) => Some(QuestionId(seq)),
            Some(Event::AskedAgain(again)) => Some(again.question),
            Some(Event::Heard(_)) => self.relayed.get(&seq).map(|(id, _)| *id),
            // That somebody has taken over is told at home, too, where nobody is asked anything.
            Some(Event::Deferred(deferral)) => (n == 0).then_some(deferral.question),
            Some(Event::Said(Reply { answers: Some(asked_back), .. })) => match self.event(*asked_back) {
                Some(Event::Deferred(deferral)) => Some(deferral.question),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether something came up that no thought has seen while people are waited for.
    pub(crate) fn has_news(&self) -> bool {
        self.news || self.heard_since(Seq(self.seen.0)).next().is_some()
    }

    /// What somebody asked back about an open question and nobody has answered, oldest first.
    pub(crate) fn asked_back(&self) -> impl Iterator<Item = (Seq, &Deferral)> {
        self.asked_back.iter().filter_map(|seq| match self.event(*seq) {
            Some(Event::Deferred(deferral)) => Some((*seq, deferral)),
            _ => None,
        })
    }

    /// The answer that settled a question, if it was one.
    pub fn answer(&self, id: QuestionId) -> Option<&Answer> {
        if let Some(Event::Answered(answer)) = self.event(self.settled_by(id)?) { Some(answer) } else { None }
    }

    /// The thought at a place.
    pub fn thought(&self, seq: Seq) -> Option<&Thought> {
        match self.event(seq) {
            Some(Event::Thought(thought)) => Some(thought),
            _ => None,
        }
    }

    /// What a call runs: read from the thought that asked for it, or from the question whether to run it again; with the
    /// arguments that were approved, where those are others.
    pub fn call(&self, id: CallId) -> Option<CallView<'_>> {
        if let Some(Thought { intent: Intent::Act { tool, args }, .. }) = self.thought(id.0) {
            let args = self.approved_instead(id).map_or(args, |(args, _)| args);
            return Some(CallView { tool, args });
        }
        if let Some(Event::Planned(Planned { tool, args })) = self.event(id.0) {
            let args = self.approved_instead(id).map_or(args, |(args, _)| args);
            return Some(CallView { tool, args });
        }
        if let Some(Question { kind: QuestionKind::Unknown { tool, args, .. }, .. }) =
            self.question(QuestionId(id.0))
        {
            return Some(CallView { tool, args });
        }
        None
    }

    /// The arguments that a call was approved with, and their hash, where they are not those that were asked for.
    pub fn approved_instead(&self, id: CallId) -> Option<(&Value, &str)> {
        match self.event(*self.changed.get(&id)?) {
            Some(Event::Answered(Answer { decision: Decision::ApproveEdited { args, hash }, .. })) => {
                Some((args, hash))
            }
            _ => None,
        }
    }

    /// The calls of a thought that wants several which are still to be decided about, in their order.
    pub(crate) fn planned(&self) -> &[CallId] {
        &self.planned
    }

    /// Questions whose answers hold for further calls, unless their time is over, oldest first.
    pub(crate) fn granted(&self) -> &[QuestionId] {
        &self.granted
    }

    /// The question whose answer a call was begun under.
    pub(crate) fn begun_under(&self, id: CallId) -> Option<QuestionId> {
        self.records.iter().rev().find_map(|record| {
            let Event::Started(started) = &record.event else { return None };
            (started.call == id).then_some(started.grant)
        })?
    }

    /// What was heard at a place, in the words that it has now; nothing where it was taken back.
    pub fn heard(&self, seq: Seq) -> Option<&Heard> {
        match (self.revised.get(&seq), self.event(seq)) {
            (Some(revised), _) => revised.as_ref(),
            (None, Some(Event::Heard(heard))) => Some(heard),
            (None, _) => None,
        }
    }

    /// Whether what was heard at a place has other words now.
    pub fn was_edited(&self, seq: Seq) -> bool {
        self.revised.get(&seq).is_some_and(Option::is_some)
    }

    /// The message of the request that is being worked on which a person may still edit or take back: their own, by its
    /// name.
    pub fn unanswered(&self, message: &MessageRef, by: &Person) -> Option<Seq> {
        let first = self.run.first.filter(|_| !self.is_idle())?;
        self.heard_since(first).find_map(|(seq, heard)| {
            (heard.message.as_ref() == Some(message) && is_same(&heard.from, by)).then_some(seq)
        })
    }

    /// Whether anything of the request that is being worked on would be left without this message.
    pub fn is_last_said(&self, seq: Seq) -> bool {
        self.run.first.is_some_and(|first| self.heard_since(first).all(|(other, _)| other == seq))
    }

    /// What was heard from a place on and not taken back, latest first.
    fn heard_since(&self, first: Seq) -> impl Iterator<Item = (Seq, &Heard)> {
        (first.0..self.version().0).rev().filter_map(|seq| Some((Seq(seq), self.heard(Seq(seq))?)))
    }

    /// How often a call was started.
    pub fn starts(&self, id: CallId) -> u32 {
        self.starts.get(&id).copied().unwrap_or(0)
    }

    /// The person whose request is being worked on.
    pub fn requester(&self) -> Option<&Person> {
        self.request().map(|heard| &heard.from)
    }

    /// The message that began the request that is being worked on, or the first after it that was not taken back.
    pub fn request(&self) -> Option<&Heard> {
        let first = self.run.first?;
        let as_it_was = || if let Some(Event::Heard(heard)) = self.event(first) { Some(heard) } else { None };
        self.heard(first)
            .or_else(|| self.heard_since(first).last().map(|(_, heard)| heard))
            .or_else(as_it_was)
    }

    /// The latest message heard, for replies.
    pub fn last_heard(&self) -> Option<&Heard> {
        self.records
            .iter()
            .rev()
            .find_map(|record| if let Event::Heard(heard) = &record.event { Some(heard) } else { None })
    }

    /// The platform's name of the latest message heard that has one.
    pub fn reply_to(&self) -> Option<MessageRef> {
        let own = self.records.iter().rev().find_map(|record| {
            if let Event::Heard(heard) = &record.event { heard.message.clone() } else { None }
        });
        own.or_else(|| self.former()?.reply_to.clone())
    }

    /// When the same call, this tool with arguments of this hash, was last denied by a human.
    pub fn denied_at(&self, tool: &str, hash: &str) -> Option<Timestamp> {
        let same = |denied: &Denied| denied.tool == tool && denied.hash == hash;
        self.denied().filter(same).last().map(|denied| denied.at)
    }

    /// The calls that a human denied, oldest first.
    pub(crate) fn denied(&self) -> impl Iterator<Item = Denied> {
        let denied = |record: &Record| {
            let Event::Answered(Answer { question, decision, .. }) = &record.event else { return Vec::new() };
            let Some(question) = self.question(*question) else { return Vec::new() };
            let denied = |(place, (_, tool, _, hash)): (usize, (CallId, &str, &Value, &str))| {
                decision.rejects(place)?;
                Some(Denied { tool: tool.to_owned(), hash: hash.to_owned(), at: record.at })
            };
            question.kind.calls().into_iter().enumerate().filter_map(denied).collect::<Vec<_>>()
        };
        let former = self.former().map(|former| former.denied.as_slice()).unwrap_or_default();
        former.iter().cloned().chain(self.records.iter().flat_map(denied))
    }

    /// The time this request was worked on by `now`: waiting for people does not count.
    pub fn active(&self, now: Timestamp) -> Duration {
        let since = |from: Timestamp| Duration::try_from(now.duration_since(from)).unwrap_or_default();
        let whole = self.run.began.map(since).unwrap_or_default();
        let waiting = self.run.waiting_since.map(since).unwrap_or_default();
        whole.saturating_sub(self.run.waited).saturating_sub(waiting)
    }

    /// Appends one record and follows it.
    pub fn apply(&mut self, record: Record) {
        let seq = Seq(self.records.len() as u64);
        let at = record.at;
        self.records.push(record);
        let index = self.records.len() - 1;
        // The record is looked at after it was pushed, so that places in the log can be followed; cloned only where
        // the borrow would last.
        match self.records[index].event.clone() {
            Event::Continued(former) => {
                if index == 0 {
                    self.agent = former.agent;
                    self.paused = former.paused;
                }
            }
            Event::Routed(routed) => {
                self.home = self.home.take().or(Some(routed.home));
                self.agent = routed.agent;
            }
            Event::Heard(_) => self.hear(seq, at),
            Event::Spoke(speech) => {
                if let Some(Inquiry { taken: Some(taken), .. }) = self.open_inquiry(speech.question) {
                    *taken = Taken { seq: taken.seq, at: speech.at, last: at, spoke: true, owes: false };
                }
            }
            Event::Edited(edit) => self.revise(seq, &edit.message, &edit.by, Some(&edit)),
            Event::Deleted { message, by } => self.revise(seq, &message, &by, None),
            Event::Thought(thought) => self.think(seq, &thought),
            Event::Planned(_) => {
                if matches!(self.state, Phase::Deciding(_) | Phase::Planned) {
                    self.planned.push(CallId(seq));
                    self.state = Phase::Planned;
                }
            }
            Event::Started(started) => {
                self.is_begun(started.call);
                let starts = self.starts.entry(started.call).or_default();
                *starts = starts.saturating_add(1);
                if *starts == 1 {
                    self.run.calls.push((started.tool, started.hash));
                }
                self.go_on(Phase::Running(started.call));
            }
            Event::Acted(acted) => self.act(acted.call, &acted.outcome),
            Event::Asked(question) if !self.is_idle() => {
                for (call, ..) in question.kind.calls() {
                    self.is_begun(call);
                }
                self.open.push(QuestionId(seq));
                self.inquiries.insert(QuestionId(seq), Inquiry::new(seq, &question, at));
                self.run.waiting_since = self.run.waiting_since.or(Some(at));
                self.run.handed_over |= matches!(question.kind, QuestionKind::HandOver);
                self.state = self.rest();
            }
            Event::AskedAgain(again) => {
                if let Some(inquiry) = self.open_inquiry(again.question) {
                    inquiry.again(seq, &again);
                }
            }
            Event::Voted(vote) => {
                if let Some(inquiry) = self.open_inquiry(vote.answer.question) {
                    inquiry.votes.push(seq);
                }
            }
            Event::Deferred(deferral) => {
                let is_hand_over = self.question(deferral.question).is_some_and(Question::is_hand_over);
                let took_over = deferral.deferring == Deferring::TookOver;
                if let Some(inquiry) =
                    self.open_inquiry(deferral.question).filter(|_| is_hand_over || !took_over)
                {
                    inquiry.deferred(seq, &deferral, at);
                    if let Deferring::AskedBack(_) = deferral.deferring {
                        self.asked_back.push(seq);
                    }
                    if took_over {
                        // They are shown what was said since it was handed over.
                        self.seen = Version(seq.0);
                    }
                }
            }
            Event::Answered(answer) => self.settle(answer.question, seq, at, End::Answered(&answer.decision)),
            Event::Lapsed { question } => self.settle(question, seq, at, End::Lapsed),
            Event::Withdrawn { question, .. } => self.settle(question, seq, at, End::Withdrawn),
            Event::Failed(failure) => {
                self.cost(failure.usage, 0);
                let kind = failure.fault.kind;
                self.fail(failure.fault);
                // Who waits for people, or has their word to pass on or to carry out, does so whatever thought failed beside it.
                let was_cleared = matches!(self.state, Phase::Cleared(_)) && kind.is_of_a_thought();
                if !was_cleared && !matches!(self.state, Phase::Waiting | Phase::Relaying(_)) {
                    if let Phase::Cleared(call) = self.state {
                        self.is_begun(call);
                    }
                    self.go_on(self.rest());
                }
            }
            Event::Said(reply) => {
                self.asked_back.retain(|asked_back| Some(*asked_back) != reply.answers);
                if let (Author::Agent, Phase::Deciding(_)) = (reply.by, self.state) {
                    self.run.failures = 0;
                    self.state = self.rest();
                }
            }
            // Whoever takes over sees all that was heard so far; only what comes later begins a request of its own.
            Event::HandedOver { .. } => {
                self.seen = Version(seq.0);
                self.planned.clear();
                if self.state == Phase::Planned {
                    self.state = self.rest();
                }
            }
            Event::Undelivered { key, .. } => {
                let caused = key.as_ref().and_then(caused_by).filter(|(id, _, _)| *id == self.id);
                if let Some((_, cause, n)) = caused
                    && let Some(inquiry) = self.asked_by(cause, n).and_then(|id| self.open_inquiry(id))
                {
                    inquiry.lost(cause, n);
                }
            }
            Event::Revoked(revocation) => self.granted.retain(|granted| *granted != revocation.question),
            Event::Asked(_) | Event::Refused(_) | Event::Delivered { .. } => {}
            Event::Paused { .. } => self.paused = true,
            Event::Resumed { .. } => self.paused = false,
            Event::Cancelled { .. } => {
                for question in std::mem::take(&mut self.open) {
                    if let Some(inquiry) = self.inquiries.get_mut(&question) {
                        inquiry.settled = Some(seq);
                    }
                }
                self.paused = false;
                self.planned.clear();
                self.cleared.clear();
                // What became of a call that runs must be known, and asked where nobody knows.
                if matches!(self.state, Phase::Running(_) | Phase::Uncertain(_)) {
                    self.run.given_up = Some(seq);
                } else {
                    self.finish(Phase::Cancelled, at);
                }
            }
            Event::Finished => {
                if !self.is_idle() {
                    self.finish(Phase::Finished, at);
                }
            }
        }
        self.give_up(at);
    }

    /// A call is no longer one that is to be decided about, or only to be begun.
    fn is_begun(&mut self, call: CallId) {
        self.planned.retain(|planned| *planned != call);
        self.cleared.retain(|cleared| *cleared != call);
    }

    /// A request that was given up while a call ran is over when that is.
    fn give_up(&mut self, at: Timestamp) {
        if self.run.given_up.is_some() && matches!(self.state, Phase::Thinking | Phase::Deciding(_)) {
            self.finish(Phase::Cancelled, at);
        }
    }

    fn hear(&mut self, seq: Seq, at: Timestamp) {
        if self.is_idle() {
            self.begin(seq, at);
            return;
        }
        for id in &self.open {
            if let Some(Inquiry { taken: Some(taken), .. }) = self.inquiries.get_mut(id) {
                (taken.last, taken.owes) = (at, true);
                self.relayed.insert(seq, (*id, taken.at.clone()));
                self.seen = Version(seq.0.saturating_add(1));
                return;
            }
        }
    }

    fn begin(&mut self, first: Seq, at: Timestamp) {
        self.runs.push(first);
        self.run = Run { first: Some(first), began: Some(at), ..Run::default() };
        self.state = Phase::Thinking;
    }

    /// A message has other words, or none. What was decided from the old ones, and not begun yet, is decided anew.
    fn revise(&mut self, seq: Seq, message: &MessageRef, by: &Person, edit: Option<&Edit>) {
        let Some(place) = self.unanswered(message, by) else { return };
        let heard = self.heard(place).cloned();
        let revised = edit.zip(heard).map(|(edit, heard)| Heard {
            text: edit.text.clone(),
            original: edit.original.clone(),
            ..heard
        });
        self.revised.insert(place, revised);
        self.run.revised = Some(seq);
        self.planned.clear();
        if let Phase::Deciding(_) | Phase::Planned = self.state {
            self.state = Phase::Thinking;
        }
    }

    fn think(&mut self, seq: Seq, thought: &Thought) {
        self.seen = Version(thought.seen.0.min(seq.0));
        self.run.steps = self.run.steps.saturating_add(1);
        self.cost(thought.usage, 1);
        self.news = false;
        let is_stale = |since: Option<Seq>| since.is_some_and(|since| since.0 >= thought.seen.0);
        if is_stale(self.run.revised) {
            self.go_on(self.rest());
        } else if !is_stale(self.run.settled) {
            self.go_on(Phase::Deciding(seq));
        }
        // Where a question was settled meanwhile, what follows from that comes first.
    }

    /// Counts what model calls cost; a provider's numbers are not to be trusted, and there were at least so many calls.
    fn cost(&mut self, usage: Usage, calls_min: u32) {
        let run = &mut self.run;
        run.model_calls = run.model_calls.saturating_add(usage.calls.max(calls_min));
        run.tokens = run.tokens.saturating_add(usage.input).saturating_add(usage.output);
    }

    /// The next phase of a request that is being worked on; what is over stays over.
    fn go_on(&mut self, phase: Phase) {
        if !self.is_idle() {
            self.state = phase;
        }
    }

    fn act(&mut self, call: CallId, outcome: &Outcome) {
        self.is_begun(call);
        // While it ran, a question may have been settled: what follows from that comes first.
        let is_next = !matches!(self.state, Phase::Cleared(_) | Phase::Relaying(_));
        self.news = true;
        match outcome {
            Outcome::Done(_) => self.run.failures = 0,
            Outcome::Failed(fault) => self.fail(fault.clone()),
            Outcome::Unknown { .. } => {}
        }
        if is_next {
            self.go_on(match outcome {
                Outcome::Unknown { .. } => Phase::Uncertain(call),
                Outcome::Done(_) | Outcome::Failed(_) => self.rest(),
            });
        }
    }

    /// Where the work is when there is nothing else to do first: what was approved runs, and calls that are wanted are decided about,
    /// before anybody is waited for.
    fn rest(&self) -> Phase {
        match (self.cleared.first(), self.planned.is_empty(), self.open.is_empty()) {
            (Some(call), _, _) => Phase::Cleared(*call),
            (None, false, _) => Phase::Planned,
            (None, true, false) => Phase::Waiting,
            (None, true, true) => Phase::Thinking,
        }
    }

    fn open_inquiry(&mut self, id: QuestionId) -> Option<&mut Inquiry> {
        self.inquiries.get_mut(&id).filter(|inquiry| inquiry.settled.is_none())
    }

    fn fail(&mut self, fault: Fault) {
        self.run.failures = self.run.failures.saturating_add(1);
        self.run.faults.push(fault);
    }

    fn settle(&mut self, id: QuestionId, seq: Seq, at: Timestamp, end: End<'_>) {
        let Some(place) = self.open.iter().position(|open| *open == id) else { return };
        self.open.remove(place);
        if let Some(inquiry) = self.inquiries.get_mut(&id) {
            inquiry.settled = Some(seq);
        }
        self.run.settled = Some(seq);
        let about = |asked_back: &Seq| match self.event(*asked_back) {
            Some(Event::Deferred(deferral)) => deferral.question == id,
            _ => false,
        };
        let unanswered: Vec<Seq> = self.asked_back.iter().copied().filter(|seq| !about(seq)).collect();
        self.asked_back = unanswered;
        if self.open.is_empty()
            && let Some(since) = self.run.waiting_since.take()
        {
            self.run.waited += Duration::try_from(at.duration_since(since)).unwrap_or_default();
        }
        let Some(question) = self.question(id) else { return };
        let calls: Vec<CallId> = question.kind.calls().into_iter().map(|(call, ..)| call).collect();
        let cleared: Vec<CallId> = match (&question.kind, end) {
            (QuestionKind::Approval { .. } | QuestionKind::Approvals { .. }, End::Answered(decision)) => {
                let clears = |(place, call): (usize, CallId)| decision.clears(place).then_some(call);
                calls.into_iter().enumerate().filter_map(clears).collect()
            }
            (QuestionKind::Approval { .. } | QuestionKind::Approvals { .. }, End::Lapsed)
                if question.terms.otherwise == Otherwise::Allow =>
            {
                calls
            }
            (QuestionKind::Unknown { .. }, End::Answered(Decision::Option(n))) if *n == RUN_AGAIN => {
                vec![CallId(id.0)]
            }
            _ => Vec::new(),
        };
        let is_hand_over = question.is_hand_over();
        if let End::Answered(Decision::ApproveAlike { .. }) = end {
            self.granted.push(id);
        }
        if let End::Answered(Decision::ApproveEdited { .. }) = end {
            self.changed.extend(cleared.iter().map(|call| (*call, seq)));
        }
        self.cleared.extend(cleared);
        self.state = match (self.state, end) {
            // What the agent wants instead is what it was about to do.
            (Phase::Deciding(_), End::Withdrawn) => self.state,
            (_, End::Answered(Decision::HandBack { .. })) if is_hand_over => {
                // A human has looked at it: the limits count anew, else the one that was reached would hand it over again.
                let Run { first, revised, settled, .. } = self.run;
                self.run = Run { first, began: Some(at), revised, settled, ..Run::default() };
                self.rest()
            }
            (_, End::Answered(_) | End::Lapsed) if is_hand_over => Phase::Relaying(id),
            // What runs comes to its end first.
            (Phase::Running(_) | Phase::Uncertain(_), _) => self.state,
            _ => self.rest(),
        };
    }

    /// Ends the request; a message that nobody has thought about yet begins the next one, now.
    fn finish(&mut self, end: Phase, at: Timestamp) {
        self.state = end;
        self.open.clear();
        self.planned.clear();
        self.cleared.clear();
        self.asked_back.clear();
        self.news = false;
        let given_up = self.run.given_up.filter(|_| end == Phase::Cancelled);
        // What was said before a request was given up went with it.
        let since = self.seen.0.max(given_up.map_or(0, |seq| seq.0));
        let unseen = self.records.iter().enumerate().skip(usize::try_from(since).unwrap_or(usize::MAX));
        let first = unseen
            .into_iter()
            .find(|(place, record)| {
                matches!(record.event, Event::Heard(_)) && self.heard(Seq(*place as u64)).is_some()
            })
            .map(|(place, _)| Seq(place as u64));
        if let Some(place) =
            first.filter(|_| (end == Phase::Finished || given_up.is_some()) && self.agent.is_some())
        {
            self.begin(place, at);
        }
    }
}

/// The answers to "did it happen?", in the order they are offered.
pub(crate) const UNKNOWN_OPTIONS: [&str; 3] = ["It happened", "It did not happen, run it again", "Leave it"];
/// The place of "run it again" among them.
pub(crate) const RUN_AGAIN: usize = 1;

/// The hash that an approval is bound to.
pub(crate) fn hash_of(args: &Value) -> String {
    args_hash(args)
}
