//! What follows from the logs: compared with them, and made again from them.
//!
//! The logs are the truth, with the kept values and the names of inbounds. Who has work, and which messages wait, were sent or were
//! given up, follows from them. What does not: that a thread was set aside (it is tried again), and the word to its people about it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use agent::{Event, Record, Step, Thread, ThreadId, Version, decide};
use channel::{DeliveryKey, MessageRef, Timestamp};
use store::{Batch, Error, Page, SendState, Sent, SentQuery, Summary, THREADS_MAX};

use crate::board::Board;

/// Messages that are put back together.
const TOGETHER: usize = 100;
/// A gateway may be between two writes where something does not fit: it is looked at a second time after so long.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// What was made again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rebuilt {
    /// Threads.
    pub threads: usize,
    /// Those of them that a worker is to look at.
    pub woken: usize,
    /// Messages that were sent.
    pub sent: usize,
    /// Messages that were given up, or that waited for longer than a message is tried.
    pub dead: usize,
    /// Messages that wait.
    pub waiting: usize,
    /// Threads whose log cannot be read, and why. They sleep, and their messages are not known.
    pub unreadable: Vec<(ThreadId, String)>,
}

/// What was compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Threads.
    pub threads: usize,
    /// Events.
    pub events: usize,
    /// Messages.
    pub messages: usize,
    /// What does not fit, a sentence each.
    pub faults: Vec<String>,
}

impl Board {
    /// Makes what follows from the logs again, whatever is left of it. No gateway may work on the store.
    ///
    /// # Errors
    /// The store's. It may be begun again.
    pub async fn rebuild(&self) -> Result<Rebuilt, Error> {
        self.store.reset().await?;
        let mut done = Rebuilt::default();
        let (mut messages, mut work) = (Vec::new(), Vec::new());
        for id in self.all_logs().await? {
            done.threads += 1;
            match self.store.load(&id, Version(0)).await {
                Ok(records) => {
                    let thread = self.follow(&id, records, &mut messages).await;
                    if !thread.is_idle() {
                        work.push(id);
                    }
                }
                Err(error @ Error::Unreadable { .. }) => done.unreadable.push((id, error.to_string())),
                Err(error) => return Err(error),
            }
        }
        // As they were committed: those that wait go out in this order.
        messages.sort_by_key(|message| message.at);
        let now = self.clock.now();
        for part in messages.chunks(TOGETHER) {
            let part: Vec<Sent> =
                part.iter().map(|message| message.as_sent(self.too_old(message, now))).collect();
            for sent in &part {
                *match sent.state {
                    SendState::Waiting => &mut done.waiting,
                    SendState::Sent => &mut done.sent,
                    SendState::Dead => &mut done.dead,
                } += 1;
            }
            self.store.restore(part).await?;
        }
        for id in work {
            self.store.commit(Batch { wake: true, ..Batch::new(id) }).await?;
            done.woken += 1;
        }
        Ok(done)
    }

    /// Compares what follows from the logs with them. Gateways may work meanwhile.
    ///
    /// # Errors
    /// The store's.
    pub async fn verify(&self) -> Result<Verified, Error> {
        let mut done = Verified::default();
        let summaries = self.summaries().await?;
        let mut doubtful = Vec::new();
        let logs = self.all_logs().await?;
        for id in &logs {
            let compared = self.compare(id, summaries.get(id)).await?;
            done.threads += 1;
            done.events += compared.events;
            done.messages += compared.messages;
            if !compared.faults.is_empty() {
                doubtful.push((id, compared.faults));
            }
        }
        if !doubtful.is_empty() {
            tokio::time::sleep(LOOK_AGAIN).await;
            let summaries = self.summaries().await?;
            for (id, before) in doubtful {
                let still = self.compare(id, summaries.get(id)).await?.faults;
                done.faults.extend(still.into_iter().filter(|fault| before.contains(fault)));
            }
        }
        let logs: BTreeSet<_> = logs.into_iter().collect();
        for sent in self.store.sent(SentQuery::Waiting).await? {
            if !logs.contains(&sent.thread) {
                done.faults.push(format!("message {} waits, and its thread has no log", sent.outgoing.key));
            }
        }
        Ok(done)
    }

    pub(crate) async fn all_logs(&self) -> Result<BTreeSet<ThreadId>, Error> {
        let (mut logs, mut next) = (BTreeSet::new(), Some(String::new()));
        while let Some(from) = next {
            let Page { items, next: more } = self.store.logs(&from).await?;
            logs.extend(items);
            next = more;
        }
        Ok(logs)
    }

    async fn summaries(&self) -> Result<BTreeMap<ThreadId, Summary>, Error> {
        let (mut all, mut skip) = (BTreeMap::new(), 0);
        loop {
            let page = self.store.threads(skip, THREADS_MAX).await?;
            if page.is_empty() {
                return Ok(all);
            }
            skip += page.len();
            all.extend(page.into_iter().map(|summary| (summary.thread.clone(), summary)));
        }
    }

    /// Folds a log event by event, and notes the messages that each has caused and what became of them.
    async fn follow(&self, id: &ThreadId, records: Vec<Record>, messages: &mut Vec<Follows>) -> Thread {
        let ends = ends(&records);
        let mut thread = Thread::new(id.clone());
        for record in records {
            let (seq, at) = (thread.version().0, record.at);
            thread.apply(record);
            for outgoing in self.consequences(&thread, seq).await {
                let end = ends.get(&outgoing.key).cloned().unwrap_or(End::Open);
                messages.push(Follows { thread: id.clone(), at, outgoing, end });
            }
        }
        thread
    }

    fn too_old(&self, message: &Follows, now: Timestamp) -> bool {
        now.duration_since(message.at).unsigned_abs() > self.settings.send_for
    }

    async fn compare(&self, id: &ThreadId, summary: Option<&Summary>) -> Result<Compared, Error> {
        let mut compared = Compared::default();
        let records = match self.store.load(id, Version(0)).await {
            Ok(records) => records,
            Err(error @ Error::Unreadable { .. }) => {
                compared.faults.push(error.to_string());
                return Ok(compared);
            }
            Err(error) => return Err(error),
        };
        compared.events = records.len();
        let mut fault = |what: String| compared.faults.push(format!("thread {id}: {what}"));
        let mut messages = Vec::new();
        let thread = self.follow(id, records, &mut messages).await;
        let now = self.clock.now();
        compared.messages = messages.len();
        for message in messages {
            let key = message.outgoing.key.clone();
            let expected = message.as_sent(self.too_old(&message, now));
            let found = self.store.sent(SentQuery::Key(key.clone())).await?.into_iter().next();
            match found {
                // One that was never meant to go out (its channel could not show it then) is not missed.
                None if expected.state == SendState::Dead => {}
                None => fault(format!("message {key} is not in the outbox")),
                Some(found) if message.end == End::Open && found.state == SendState::Waiting => {}
                Some(found) if (found.state, &found.message) != (expected.state, &expected.message) => {
                    fault(format!(
                        "message {key} is {:?} in the outbox, and {:?} by the log",
                        found.state, expected.state
                    ));
                }
                Some(_) => {}
            }
        }
        match summary {
            None => fault("it is not listed".to_owned()),
            Some(summary) if summary.version != thread.version() => {
                fault(format!(
                    "it has {} events, and is said to have {}",
                    thread.version().0,
                    summary.version.0
                ));
            }
            Some(summary) if summary.due.is_none() && summary.buried.is_none() => {
                if let Some(why) = self.overslept(&thread, now).await {
                    fault(why);
                }
            }
            Some(_) => {}
        }
        Ok(compared)
    }

    /// Why a thread that sleeps without a deadline should not.
    async fn overslept(&self, thread: &Thread, now: Timestamp) -> Option<String> {
        let pinned = thread.agent().filter(|_| !thread.is_idle())?;
        let agent = match self.library.pinned(pinned, self.store.as_ref()).await {
            Ok(agent) => agent,
            Err(why) => return Some(why),
        };
        match decide(&agent, &self.directory, thread, now) {
            Step::Wait(None) => None,
            Step::Record(events) if events.is_empty() => None,
            Step::Wait(Some(_)) => Some("it has a deadline, and sleeps without one".to_owned()),
            Step::Record(_) | Step::Think | Step::Act(_) => {
                Some("it has work, and nobody would look".to_owned())
            }
        }
    }
}

#[derive(Default)]
struct Compared {
    events: usize,
    messages: usize,
    faults: Vec<String>,
}

/// A message that follows from a log.
struct Follows {
    thread: ThreadId,
    at: Timestamp,
    outgoing: channel::Outgoing,
    end: End,
}

/// What a log says of a message's end.
#[derive(Clone, Debug, PartialEq, Eq)]
enum End {
    /// Nothing.
    Open,
    Sent(Option<MessageRef>),
    Dead,
}

impl Follows {
    /// As it has to stand in the outbox. One that is older than messages are tried will not be sent out of the blue.
    fn as_sent(&self, too_old: bool) -> Sent {
        let (state, message) = match &self.end {
            End::Sent(message) => (SendState::Sent, message.clone()),
            End::Dead => (SendState::Dead, None),
            End::Open if too_old => (SendState::Dead, None),
            End::Open => (SendState::Waiting, None),
        };
        Sent { thread: self.thread.clone(), outgoing: self.outgoing.clone(), state, message, error: None }
    }
}

/// What became of the messages whose end a log tells. That one did not arrive may be reported when it had long been sent.
fn ends(records: &[Record]) -> BTreeMap<DeliveryKey, End> {
    let mut ends = BTreeMap::new();
    for record in records {
        if let Event::Delivered { key, message } = &record.event {
            ends.insert(key.clone(), End::Sent(message.clone()));
        } else if let Event::Undelivered { key: Some(key), .. } = &record.event {
            ends.entry(key.clone()).or_insert(End::Dead);
        }
    }
    ends
}
