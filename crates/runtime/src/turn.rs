//! A turn: one worker steps one thread until it has to wait.
//!
//! observe (load) - orient (fold) - decide - act, and again. The worker keeps nothing: whatever instant it dies at,
//! another one goes on from the log.

mod writing;

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use agent::{
    Acted, Agent, Call, Event, Failure, Fault, FaultKind, Outcome, Phase, Started, Step, Thought, Thread,
    ThreadId, Usage, Version, decide, escalate, files, render, render_reask,
};
use async_trait::async_trait;
use channel::{Content, DeliveryKey, File, MessageRef, Outgoing, Signal, Text, Timestamp};
use futures_util::FutureExt;
use store::{Again, Batch, Lease};
use tokio::{sync::broadcast, time::Instant};
use tokio_util::sync::CancellationToken;
use tool::Files;

use crate::{
    board::{Board, GivenUp, With},
    effect::{Lost, backoff, held_for_sure, holding, patience},
};
use writing::Shown;

/// How many steps one turn takes before other threads get their chance.
const STEPS_MAX: u32 = 64;
/// How long a sign of life may take. A channel that is slow is not waited for.
const SIGNAL_TIMEOUT: Duration = Duration::from_millis(500);
/// The longest wait after a fault of the gateway's own.
const RETRY_MAX: Duration = Duration::from_secs(60);
/// The wait after the store was away; while it is, nothing can be taken anyway.
const NO_STORE_REST: Duration = Duration::from_secs(1);
/// So many attempts in a row that did not go well, some five minutes of them, and a thread is set aside. One that kills its
/// worker has killed as many by then.
const ATTEMPTS_MAX: u32 = 10;

/// What the people of a thread are told that was set aside.
const SET_ASIDE: &str = "Something here does not work, and it lies with us: this conversation is set aside until somebody has \
                         looked at it. If you write here again, it is tried again.";

/// How a step went.
enum Went {
    /// On to the next step.
    On,
    /// Nothing to do until then.
    Sleep(Again),
    /// It cannot be done, for a fault of the gateway's own.
    Stuck(String),
    /// The lease is gone; somebody else goes on.
    Away,
}

/// Why a turn ended without an end.
enum Halt {
    /// The lease is gone.
    Away,
    /// A fault of the gateway's own, or of this thread.
    Stuck(String),
    /// The store was away: no thread is to blame for that.
    NoStore(String),
}

impl From<store::Error> for Halt {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::Away { .. } => Self::NoStore(error.to_string()),
            store::Error::Conflict { .. }
            | store::Error::Duplicate { .. }
            | store::Error::NotAtRest { .. }
            | store::Error::Fenced { .. }
            | store::Error::Unreadable { .. }
            | store::Error::InUse { .. }
            | store::Error::Refused { .. } => Self::Stuck(error.to_string()),
        }
    }
}

impl Board {
    /// Steps a thread until it waits, then gives the lease back.
    pub(crate) async fn turn(&self, lease: Lease, id: ThreadId, attempt: u32, stop: &CancellationToken) {
        let wait = backoff(&lease.on, attempt, Duration::from_secs(1), RETRY_MAX);
        // A panic is this turn's alone, and its lease is given back all the same.
        let steps = async {
            if attempt > ATTEMPTS_MAX {
                return Err(Halt::Stuck(
                    "every gateway that stepped it ended in the middle of it".to_owned(),
                ));
            }
            self.steps(&lease, &id, stop).await
        };
        let steps = AssertUnwindSafe(steps).catch_unwind().await;
        let again = match steps.unwrap_or_else(|_| Err(Halt::Stuck("a step of it panicked".into()))) {
            Ok(again) => again,
            Err(Halt::Stuck(why)) if attempt >= ATTEMPTS_MAX => {
                tracing::error!(thread = %id, %why, attempt, "the thread is set aside; `switchboard threads dead` lists it");
                self.tell_set_aside(&id).await;
                Again::Bury { why }
            }
            Err(Halt::Stuck(why)) => {
                tracing::error!(thread = %id, %why, attempt, "the thread could not be stepped");
                Again::Stuck { at: self.after(wait), why }
            }
            Err(Halt::NoStore(why)) => {
                tracing::warn!(thread = %id, %why, "the thread could not be stepped");
                self.later(NO_STORE_REST, why)
            }
            Err(Halt::Away) => return,
        };
        if let Err(error) = self.store.release(&lease, again).await {
            // The lease runs out by itself.
            tracing::debug!(thread = %id, %error, "the lease was not given back");
        }
    }

    /// Tells the people at home, if the log can be read so far, that nothing goes on by itself. The thread is stepped no more, so
    /// the message stands in no event; it has a name that no event gives.
    async fn tell_set_aside(&self, id: &ThreadId) {
        let Ok(records) = self.store.load(id, Version(0)).await else { return };
        let version = records.len();
        let home =
            std::panic::catch_unwind(AssertUnwindSafe(|| Thread::fold(id.clone(), records).home().cloned()));
        let Ok(Some(home)) = home else { return };
        let outgoing = Outgoing {
            key: DeliveryKey::new(format!("{id}.{version}.set-aside")),
            to: home,
            at: self.clock.now(),
            only: None,
            in_reply_to: None,
            amends: None,
            content: Content::Text(Text { markdown: SET_ASIDE.to_owned(), note: None }),
            files: Vec::new(),
        };
        let batch = Batch { outgoing: vec![outgoing], ..Batch::new(id.clone()) };
        if let Err(error) = self.store.commit(batch).await {
            tracing::error!(thread = %id, %error, "its people could not be told");
        }
    }

    async fn steps(&self, lease: &Lease, id: &ThreadId, stop: &CancellationToken) -> Result<Again, Halt> {
        // Heard from before the log is read, so that nothing is given up between the two.
        let mut given_up = self.given_up.listen();
        let mut thread = self.thread(id).await?;
        for _ in 0..STEPS_MAX {
            if stop.is_cancelled() {
                return Ok(self.later(Duration::ZERO, "the gateway stopped"));
            }
            let went = match self.step(lease, &mut thread, &mut given_up, stop).await {
                Ok(went) => went,
                Err(store::Error::Conflict { .. }) => {
                    thread = self.thread(id).await?;
                    Went::On
                }
                Err(store::Error::Fenced { .. }) => Went::Away,
                Err(error) => return Err(error.into()),
            };
            match went {
                Went::On => {}
                Went::Sleep(again) => {
                    if let Some(signal) = resting(&thread) {
                        self.signal(&thread, signal).await;
                    }
                    return Ok(again);
                }
                Went::Stuck(why) => return Err(Halt::Stuck(why)),
                Went::Away => return Err(Halt::Away),
            }
        }
        Ok(self.later(Duration::ZERO, "other threads first"))
    }

    async fn step(
        &self,
        lease: &Lease,
        thread: &mut Thread,
        given_up: &mut broadcast::Receiver<ThreadId>,
        stop: &CancellationToken,
    ) -> Result<Went, store::Error> {
        let Some(pinned) = thread.agent().cloned() else {
            return Ok(Went::Sleep(Again::Sleep { seen: thread.version(), until: None }));
        };
        let agent = match self.library.pinned(&pinned, self.store.as_ref()).await {
            Ok(agent) => agent,
            Err(why) => return Ok(Went::Stuck(why)),
        };
        match decide(&agent, &self.directory, thread, self.clock.now()) {
            Step::Wait(until) => Ok(Went::Sleep(Again::Sleep { seen: thread.version(), until })),
            Step::Record(events) if events.is_empty() => {
                Ok(Went::Sleep(Again::Sleep { seen: thread.version(), until: None }))
            }
            Step::Record(events) => {
                let ends = events.contains(&Event::Finished);
                let (about, end) = (asked_by(thread), ending(thread, &events));
                let with =
                    With { expect: Some(thread.version()), fence: Some(lease.clone()), ..With::default() };
                self.write(thread, events, with).await?;
                if ends && !thread.is_idle() {
                    // The next request began with the end of this one, and of that nobody would be told otherwise.
                    self.signal_about(thread, about.as_ref(), end).await;
                }
                Ok(Went::On)
            }
            Step::Think => {
                self.signal(thread, Signal::Working).await;
                self.carry_out_think(lease, thread, &agent, given_up, stop).await
            }
            Step::Act(call) => {
                self.signal(thread, Signal::Working).await;
                self.carry_out_act(lease, thread, &agent, call, stop).await
            }
        }
    }

    async fn carry_out_think(
        &self,
        lease: &Lease,
        thread: &mut Thread,
        agent: &Arc<Agent>,
        given_up: &mut broadcast::Receiver<ThreadId>,
        stop: &CancellationToken,
    ) -> Result<Went, store::Error> {
        let seen = thread.version();
        let asked = holding(self.store.as_ref(), lease, self.settings.lease, self.think(agent, thread, seen));
        let event = tokio::select! {
            done = asked => match done { Ok(event) => Some(event), Err(Lost) => return Ok(Went::Away) },
            () = self.was_given_up(thread, given_up) => None,
            () = self.drained(stop) => return Ok(self.stopped()),
        };
        let Some(event) = event else {
            *thread = self.thread(thread.id()).await?;
            return Ok(Went::On);
        };
        let full = matches!(&event, Event::Failed(failure) if failure.fault.kind == FaultKind::ContextFull);
        let down =
            matches!(&event, Event::Failed(failure) if failure.fault.kind == FaultKind::ModelUnavailable);
        if matches!(event, Event::Thought(_)) {
            self.thought(lease, thread, agent, event).await?;
        } else {
            self.fact(lease, thread, event).await?;
        }
        if full && thread.phase() == Phase::Thinking {
            let why = "the conversation does not fit the model's context any more";
            let events = escalate(agent, &self.directory, thread, why, self.clock.now());
            let with = With { expect: Some(thread.version()), fence: Some(lease.clone()), ..With::default() };
            self.write(thread, events, with).await?;
        }
        let again = || matches!(decide(agent, &self.directory, thread, self.clock.now()), Step::Think);
        if down && again() {
            // The model's client has waited and tried already; what is left is to come back later.
            let wait =
                backoff(thread.id().as_str(), thread.run().failures, Duration::from_secs(2), RETRY_MAX);
            return Ok(Went::Sleep(self.later(wait, "no model answered")));
        }
        Ok(Went::On)
    }

    /// Returns when the request was given up that a model thinks about: at once where this process was told so, soon where
    /// another one was.
    async fn was_given_up(&self, thread: &Thread, heard: &mut broadcast::Receiver<ThreadId>) {
        let elsewhere = async {
            loop {
                tokio::time::sleep(self.settings.lease / 3).await;
                let since = self.store.load(thread.id(), thread.version()).await.unwrap_or_default();
                if since.iter().any(|record| matches!(record.event, Event::Cancelled { .. })) {
                    return;
                }
            }
        };
        tokio::select! {
            () = GivenUp::heard(heard, thread.id()) => {}
            () = elsewhere => {}
        }
    }

    /// Asks the model until its output is an intent, at most as often as the agent allows.
    async fn think(&self, agent: &Agent, thread: &Thread, seen: Version) -> Event {
        let failed = |fault: Fault, usage: Usage| Event::Failed(Failure { fault, usage });
        let mut prompt = match render(agent, thread) {
            Ok(prompt) => prompt,
            Err(fault) => return failed(fault, Usage::default()),
        };
        let Some(model) = self.models.get(&agent.spec().model) else {
            let what = format!("there is no model `{}`", agent.spec().model);
            return failed(Fault::new(FaultKind::ModelUnavailable, what), Usage::default());
        };
        let began = Instant::now();
        let mut usage = Usage::default();
        let mut shown = Shown::nothing();
        for reasks in 0.. {
            let completion = match self.ask(model.as_ref(), &prompt, (agent, thread), &mut shown).await {
                Ok(completion) => completion,
                Err(error) => {
                    usage.calls += error.calls;
                    usage.ms = elapsed_ms(began);
                    let kind = match error.kind {
                        model::Kind::TooLong => FaultKind::ContextFull,
                        model::Kind::Retry { .. } | model::Kind::Refused | model::Kind::Unauthorized => {
                            FaultKind::ModelUnavailable
                        }
                    };
                    return failed(Fault::new(kind, error.what), usage);
                }
            };
            usage.input += completion.usage.input;
            usage.output += completion.usage.output;
            usage.calls += completion.usage.calls.max(1);
            usage.ms = elapsed_ms(began);
            match agent.extractor().extract(&completion.text, completion.truncated) {
                Ok(extracted) => {
                    return Event::Thought(Thought {
                        intent: extracted.intent,
                        seen,
                        model: completion.model,
                        prompt: prompt.hash(),
                        usage,
                        estimated: prompt.account.tokens_raw,
                        reasks,
                        note: completion.note,
                    });
                }
                Err(rejection) if reasks < agent.spec().output.reasks => {
                    // Why stands in the prompt; the words may quote arguments that no log may hold.
                    tracing::info!(thread = %thread.id(), "the output is no intent; the model is asked again");
                    match render_reask(agent, thread, &completion.text, &rejection.what) {
                        Ok(messages) => prompt.messages.extend(messages),
                        Err(fault) => return failed(fault, usage),
                    }
                }
                Err(rejection) => return failed(Fault::new(FaultKind::BadOutput, rejection.what), usage),
            }
        }
        failed(Fault::new(FaultKind::Internal, "the model was asked too often"), usage)
    }

    async fn carry_out_act(
        &self,
        lease: &Lease,
        thread: &mut Thread,
        agent: &Agent,
        call: Call,
        stop: &CancellationToken,
    ) -> Result<Went, store::Error> {
        let Some(spec) = agent.spec().tools.get(&call.tool) else {
            let fault = Fault::new(FaultKind::BadCall, format!("there is no tool `{}`", call.tool));
            self.fact(lease, thread, Event::Failed(fault.into())).await?;
            return Ok(Went::On);
        };
        let Call { id, tool, args, hash, grant } = call;
        let started =
            Event::Started(Started { call: id, tool: tool.clone(), args: args.clone(), hash, grant });
        let with = With { expect: Some(thread.version()), fence: Some(lease.clone()), ..With::default() };
        self.write(thread, vec![started], with).await?;

        let key = format!("{}.{}", thread.id(), id.0);
        let folder = self.agents_folder.join(&agent.reference().name);
        let name = agent.reference().name;
        let shelf = Shelf { board: self, files: files(thread) };
        let (store, ttl) = (self.store.as_ref(), self.settings.lease);
        let run = self.tools.run(
            spec,
            tool::Call { name: &tool, args: &args, key: &key, agent: &name, folder: &folder, files: &shelf },
        );
        let began = Instant::now();
        let ended = tokio::select! {
            done = async {
                held_for_sure(store, lease, ttl).await?;
                holding(store, lease, ttl, run).await
            } => match done {
                Ok(ended) => ended,
                Err(Lost) => return Ok(Went::Away),
            },
            () = self.drained(stop) => return Ok(self.stopped()),
        };
        let mut made = Vec::new();
        for file in ended.files {
            let hash = self.keep_made(lease, &file.bytes).await?;
            made.push(File { name: file.name, kind: file.kind, size: file.bytes.len() as u64, hash });
        }
        if let Outcome::Unknown { why } = &ended.outcome {
            tracing::warn!(thread = %thread.id(), %tool, %why, "nobody knows whether the call took effect");
        }
        let acted = Acted { call: id, outcome: ended.outcome, ms: elapsed_ms(began), files: made };
        self.fact(lease, thread, Event::Acted(acted)).await?;
        Ok(Went::On)
    }

    /// Writes a thought, and with it what follows from it at once. Where something came between, only the thought is written,
    /// which has happened; the rest is decided anew.
    async fn thought(
        &self,
        lease: &Lease,
        thread: &mut Thread,
        agent: &Agent,
        event: Event,
    ) -> Result<(), store::Error> {
        let mut ends = None;
        let next = |thread: &Thread| {
            let Step::Record(events) = decide(agent, &self.directory, thread, self.clock.now()) else {
                return Vec::new();
            };
            if events.contains(&Event::Finished) {
                ends = Some((asked_by(thread), ending(thread, &events)));
            }
            events
        };
        let with = With { expect: Some(thread.version()), fence: Some(lease.clone()), ..With::default() };
        let seen = thread.version();
        match self.write_on(thread, vec![event.clone()], with, next).await {
            Err(store::Error::Conflict { .. } | store::Error::Away { .. }) => {
                *thread = self.thread_surely(lease, thread.id()).await?;
                if !happened(thread, seen, &event) {
                    return self.fact(lease, thread, event).await;
                }
            }
            done => done?,
        }
        if let Some((about, end)) = ends.filter(|_| !thread.is_idle()) {
            // The next request began with the end of this one, and of that nobody would be told otherwise.
            self.signal_about(thread, about.as_ref(), end).await;
        }
        Ok(())
    }

    /// Reads a thread, however long the store is away, as long as its lease may live.
    async fn thread_surely(&self, lease: &Lease, id: &ThreadId) -> Result<Thread, store::Error> {
        let mut attempt = 0;
        let reading = async {
            loop {
                match self.thread(id).await {
                    Err(error @ store::Error::Away { .. }) => {
                        self.wait_for_store(lease, &mut attempt, error).await?;
                    }
                    read => return read,
                }
            }
        };
        match holding(self.store.as_ref(), lease, self.settings.lease, reading).await {
            Ok(read) => read,
            Err(Lost) => Err(store::Error::Fenced { on: lease.on.clone() }),
        }
    }

    /// Writes what has happened already. While the store is away it is tried again as long as the lease may live: a
    /// model's answer is dear, and a tool's end must not be forgotten.
    async fn fact(&self, lease: &Lease, thread: &mut Thread, event: Event) -> Result<(), store::Error> {
        let writing = self.write_once(lease, thread, event);
        match holding(self.store.as_ref(), lease, self.settings.lease, writing).await {
            Ok(written) => written,
            Err(Lost) => Err(store::Error::Fenced { on: lease.on.clone() }),
        }
    }

    /// Whether a lost answer of the store was a yes is found out by reading; before that is known, nothing is written
    /// again.
    async fn write_once(&self, lease: &Lease, thread: &mut Thread, event: Event) -> Result<(), store::Error> {
        let seen = thread.version();
        let mut attempt = 0;
        loop {
            let with = With { fence: Some(lease.clone()), ..With::default() };
            match self.write(thread, vec![event.clone()], with).await {
                Err(error @ store::Error::Away { .. }) => {
                    self.wait_for_store(lease, &mut attempt, error).await?
                }
                done => return done,
            }
            *thread = loop {
                match self.thread(thread.id()).await {
                    Err(error @ store::Error::Away { .. }) => {
                        self.wait_for_store(lease, &mut attempt, error).await?;
                    }
                    read => break read?,
                }
            };
            if happened(thread, seen, &event) {
                return Ok(());
            }
        }
    }

    /// Keeps a file that a tool made; without it the tool's end cannot be written.
    async fn keep_made(&self, lease: &Lease, bytes: &[u8]) -> Result<String, store::Error> {
        let mut attempt = 0;
        let keeping = async {
            loop {
                match self.keep_file(bytes).await {
                    Err(error @ store::Error::Away { .. }) => {
                        self.wait_for_store(lease, &mut attempt, error).await?;
                    }
                    done => return done,
                }
            }
        };
        match holding(self.store.as_ref(), lease, self.settings.lease, keeping).await {
            Ok(kept) => kept,
            Err(Lost) => Err(store::Error::Fenced { on: lease.on.clone() }),
        }
    }

    /// Waits a little for a store that is away.
    ///
    /// # Errors
    /// The store's own, when it was waited for often enough.
    async fn wait_for_store(
        &self,
        lease: &Lease,
        attempt: &mut u32,
        error: store::Error,
    ) -> Result<(), store::Error> {
        *attempt += 1;
        let Some(wait) = patience(&lease.on, *attempt) else { return Err(error) };
        tracing::warn!(on = %lease.on, %error, attempt, "a fact could not be written yet");
        tokio::time::sleep(wait).await;
        Ok(())
    }

    /// Returns when the gateway stops and the time for work in flight is over.
    async fn drained(&self, stop: &CancellationToken) {
        stop.cancelled().await;
        tokio::time::sleep(self.settings.drain).await;
    }

    /// The gateway stops while something goes on: it is left to the next worker, at once.
    fn stopped(&self) -> Went {
        Went::Sleep(self.later(Duration::ZERO, "the gateway stopped"))
    }

    /// Due again after this time.
    fn later(&self, wait: Duration, why: impl Into<String>) -> Again {
        Again::Retry { at: self.after(wait), why: why.into() }
    }

    fn after(&self, wait: Duration) -> Timestamp {
        let now = self.clock.now();
        now.saturating_add(signed(wait)).unwrap_or(now)
    }

    /// A sign of life at the thread's home; never in the way.
    async fn signal(&self, thread: &Thread, signal: Signal) {
        self.signal_about(thread, asked_by(thread).as_ref(), signal).await;
    }

    async fn signal_about(&self, thread: &Thread, about: Option<&MessageRef>, signal: Signal) {
        let Some(home) = thread.home() else { return };
        let Some(channel) = self.channels.get(&home.channel) else { return };
        let _ = tokio::time::timeout(SIGNAL_TIMEOUT, channel.signal(home, about, signal)).await;
    }
}

/// Whether an event is in the log since a version.
fn happened(thread: &Thread, since: Version, event: &Event) -> bool {
    let since = usize::try_from(since.0).unwrap_or(usize::MAX);
    thread.records().iter().skip(since).any(|record| record.event == *event)
}

/// The message that began the request that is being worked on, as its platform names it.
fn asked_by(thread: &Thread) -> Option<MessageRef> {
    thread.request().and_then(|heard| heard.message.clone())
}

/// What a thread that has nothing to do now shows. One that goes on by itself later, or in another process, is still
/// worked on: that was shown already.
fn resting(thread: &Thread) -> Option<Signal> {
    match thread.phase() {
        Phase::Finished | Phase::Cancelled => Some(ending(thread, &[])),
        Phase::Waiting | Phase::Paused => Some(Signal::Waiting),
        Phase::Empty
        | Phase::Thinking
        | Phase::Deciding(_)
        | Phase::Planned
        | Phase::Cleared(_)
        | Phase::Running(_)
        | Phase::Uncertain(_)
        | Phase::Relaying(_) => None,
    }
}

/// How a request went that ends with these events, or that ended with those that are in the log: whether an agent did it.
/// One that was handed over was not done by the agent, whatever a human made of it.
fn ending(thread: &Thread, last: &[Event]) -> Signal {
    let first = thread.run().first.map_or(0, |seq| usize::try_from(seq.0).unwrap_or(usize::MAX));
    let mut events = thread.records().iter().skip(first).map(|record| &record.event).chain(last);
    let given_up = |event: &Event| matches!(event, Event::HandedOver { .. } | Event::Cancelled { .. });
    if thread.agent().is_none() || events.any(given_up) { Signal::Failed } else { Signal::Done }
}

/// The files of a thread, for its tools.
struct Shelf<'a> {
    board: &'a Board,
    files: Vec<File>,
}

#[async_trait]
impl Files for Shelf<'_> {
    async fn read(&self, name: &str) -> Option<(File, Vec<u8>)> {
        let file = self.files.iter().rev().find(|file| file.name == name)?;
        let bytes = self.board.store.get(&format!("file:{}", file.hash)).await.ok().flatten()?;
        Some((file.clone(), bytes))
    }
}

pub(crate) fn signed(duration: Duration) -> jiff::SignedDuration {
    jiff::SignedDuration::try_from(duration).unwrap_or(jiff::SignedDuration::MAX)
}

fn elapsed_ms(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX)
}
