//! A store in memory: the reference that other stores are compared with, and a quick one for tests of what stands
//! above a store. It forgets everything when it is dropped.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use agent::{FORMAT, Home, Record, ThreadId, Version};
use async_trait::async_trait;
use channel::{DeliveryKey, InboundKey, MessageRef, Outgoing, Timestamp};
use serde::{Serialize, de::DeserializeOwned};
use store::{
    Again, BATCH_MAX, Batch, CLAIM_MAX, Claim, Clock, Error, Lease, NAME_MAX, Page, SENT_MAX, SendState,
    Sent, SentQuery, Settle, Store, Summary, THREADS_MAX, VALUE_MAX, Wanted, Work,
};
use tokio::{sync::Notify, time::Instant};

/// How often a waiting claim looks at the clock, which may be a [`crate::ManualClock`].
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// A store in memory.
pub struct MemoryStore {
    state: Mutex<State>,
    bell: Notify,
    clock: Arc<dyn Clock>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { state: Mutex::default(), bell: Notify::new(), clock }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryStore").finish_non_exhaustive()
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn load(&self, thread: &ThreadId, from: Version) -> Result<Vec<Record>, Error> {
        let state = self.state();
        let records = state.threads.get(thread).map_or(&[][..], |t| &t.records);
        let rest = records.iter().enumerate().skip(usize::try_from(from.0).unwrap_or(usize::MAX));
        rest.map(|(seq, record)| match record.v {
            0..=FORMAT => Ok(record.clone()),
            _ => Err(Error::Unreadable {
                thread: thread.clone(),
                seq: seq as u64,
                why: format!("it is of format {}", record.v),
            }),
        })
        .collect()
    }

    async fn commit(&self, batch: Batch) -> Result<Version, Error> {
        refuse_unfit(&batch)?;
        let version = self.state().commit(batch, self.clock.now())?;
        self.bell.notify_waiters();
        Ok(version)
    }

    async fn claim(&self, claim: Claim) -> Result<Vec<Work>, Error> {
        let give_up = Instant::now() + claim.wait;
        loop {
            let mut rung = std::pin::pin!(self.bell.notified());
            rung.as_mut().enable();
            let work = self.state().claim(&claim, self.clock.now());
            let now = Instant::now();
            if !work.is_empty() || now >= give_up {
                return Ok(work);
            }
            tokio::select! {
                () = rung => {}
                () = tokio::time::sleep_until(give_up.min(now + LOOK_AGAIN)) => {}
            }
        }
    }

    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<(), Error> {
        self.state().held(lease)?.due = Some(later(self.clock.now(), ttl));
        Ok(())
    }

    async fn release(&self, lease: &Lease, again: Again) -> Result<(), Error> {
        self.state().release(lease, again, self.clock.now())?;
        self.bell.notify_waiters();
        Ok(())
    }

    async fn latest(&self, home: &Home) -> Result<Option<ThreadId>, Error> {
        let state = self.state();
        let here = state.threads.keys().filter(|thread| thread.home() == *home);
        let generation = here.map(ThreadId::generation).max().max(state.retired.get(home).copied());
        Ok(generation.map(|generation| ThreadId::new(home, generation)))
    }

    async fn threads(&self, skip: usize, limit: usize) -> Result<Vec<Summary>, Error> {
        let state = self.state();
        let mut threads: Vec<_> = state.threads.iter().collect();
        threads.sort_by_key(|(_, thread)| std::cmp::Reverse(thread.written));
        let page = threads.into_iter().skip(skip).take(limit.min(THREADS_MAX));
        Ok(page.map(|(id, thread)| thread.summary(id)).collect())
    }

    async fn buried(&self, limit: usize) -> Result<Vec<Summary>, Error> {
        let state = self.state();
        let mut threads: Vec<_> =
            state.threads.iter().filter(|(_, thread)| thread.duty.buried.is_some()).collect();
        threads.sort_by_key(|(_, thread)| std::cmp::Reverse(thread.written));
        Ok(threads.into_iter().take(limit.min(THREADS_MAX)).map(|(id, thread)| thread.summary(id)).collect())
    }

    async fn oldest(&self, skip: usize, limit: usize) -> Result<Vec<Summary>, Error> {
        let state = self.state();
        let mut threads: Vec<_> = state.threads.iter().collect();
        threads.sort_by_key(|(_, thread)| thread.written);
        let page = threads.into_iter().skip(skip).take(limit.min(THREADS_MAX));
        Ok(page.map(|(id, thread)| thread.summary(id)).collect())
    }

    async fn retire(&self, thread: &ThreadId, version: Version, _: &[DeliveryKey]) -> Result<(), Error> {
        self.state().retire(thread, version)
    }

    async fn retired(&self, _from: &str) -> Result<Page<ThreadId>, Error> {
        let state = self.state();
        let items = state.retired.iter().map(|(home, generation)| ThreadId::new(home, *generation));
        Ok(Page { items: items.collect(), next: None })
    }

    async fn sent(&self, query: SentQuery) -> Result<Vec<Sent>, Error> {
        let state = self.state();
        let wanted = |m: &&Message| match &query {
            SentQuery::At(address) => m.outgoing.to == *address,
            SentQuery::Key(key) => m.outgoing.key == *key,
            SentQuery::Message(channel, name) => {
                m.outgoing.to.channel == *channel && m.name.as_ref() == Some(name)
            }
            SentQuery::Waiting => m.state == SendState::Waiting,
        };
        let found: Vec<_> = state.messages.iter().filter(wanted).map(Message::sent).collect();
        Ok(found[found.len().saturating_sub(SENT_MAX)..].to_vec())
    }

    async fn get(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.state().values.get(name).cloned())
    }

    async fn put(&self, name: &str, value: &[u8]) -> Result<(), Error> {
        within_bounds(name)?;
        if value.len() > VALUE_MAX {
            return Err(Error::Refused { why: format!("a value of {} bytes", value.len()) });
        }
        self.state().values.insert(name.to_owned(), value.to_vec());
        Ok(())
    }

    async fn put_once(&self, name: &str, value: &[u8]) -> Result<bool, Error> {
        within_bounds(name)?;
        if value.len() > VALUE_MAX {
            return Err(Error::Refused { why: format!("a value of {} bytes", value.len()) });
        }
        let mut state = self.state();
        Ok(state.values.entry(name.to_owned()).or_insert_with(|| value.to_vec()) == value)
    }

    async fn values(&self, _from: &str) -> Result<Page<String>, Error> {
        Ok(Page { items: self.state().values.keys().cloned().collect(), next: None })
    }

    async fn keys(&self, _from: &str) -> Result<Page<(InboundKey, ThreadId)>, Error> {
        let state = self.state();
        let items = state.keys.iter().map(|(key, thread)| (InboundKey::new(key.clone()), thread.clone()));
        Ok(Page { items: items.collect(), next: None })
    }

    async fn hold(&self, name: &str, by: &str, ttl: Duration) -> Result<bool, Error> {
        within_bounds(name)?;
        within_bounds(by)?;
        let now = self.clock.now();
        let mut state = self.state();
        if state.holdings.get(name).is_some_and(|(who, until)| who != by && *until > now) {
            return Ok(false);
        }
        state.holdings.insert(name.to_owned(), (by.to_owned(), later(now, ttl)));
        Ok(true)
    }

    async fn let_go(&self, name: &str, by: &str) -> Result<(), Error> {
        within_bounds(name)?;
        within_bounds(by)?;
        let mut state = self.state();
        if state.holdings.get(name).is_some_and(|(who, _)| who == by) {
            state.holdings.remove(name);
        }
        Ok(())
    }

    async fn logs(&self, _from: &str) -> Result<Page<ThreadId>, Error> {
        let state = self.state();
        let logs = state.threads.iter().filter(|(_, thread)| !thread.records.is_empty());
        Ok(Page { items: logs.map(|(id, _)| id.clone()).collect(), next: None })
    }

    async fn reset(&self) -> Result<(), Error> {
        let mut state = self.state();
        state.messages.clear();
        for thread in state.threads.values_mut() {
            thread.updated = thread.records.last().map_or(thread.updated, |record| record.at);
        }
        let mut threads: Vec<(&ThreadId, &mut Thread)> = state.threads.iter_mut().collect();
        threads.sort_by(|(a, x), (b, y)| (x.updated, a).cmp(&(y.updated, b)));
        for (place, (_, thread)) in (1..).zip(threads) {
            thread.written = place;
            thread.duty = Duty { epoch: thread.duty.epoch, ..Duty::default() };
        }
        Ok(())
    }

    async fn restore(&self, messages: Vec<Sent>) -> Result<(), Error> {
        let now = self.clock.now();
        let mut state = self.state();
        for Sent { thread, outgoing, state: was, message: name, error: _ } in messages {
            if state.message(outgoing.key.as_str()).is_none() {
                let attempts = u32::from(was == SendState::Waiting);
                let duty = Duty { due: Some(now), attempts, ..Duty::default() };
                let (error, since) = (None, Some(now));
                state.messages.push(Message { thread, outgoing, state: was, name, error, since, duty });
            }
        }
        drop(state);
        self.bell.notify_waiters();
        Ok(())
    }
}

#[derive(Default)]
struct State {
    threads: BTreeMap<ThreadId, Thread>,
    /// In the order they were committed.
    messages: Vec<Message>,
    keys: BTreeMap<String, ThreadId>,
    values: BTreeMap<String, Vec<u8>>,
    /// Rights to do something alone: who has each, and until when.
    holdings: BTreeMap<String, (String, Timestamp)>,
    /// The highest generation that was retired at each home.
    retired: BTreeMap<Home, u32>,
    writes: u64,
}

#[derive(Default)]
struct Thread {
    records: Vec<Record>,
    updated: Timestamp,
    written: u64,
    duty: Duty,
}

struct Message {
    thread: ThreadId,
    outgoing: Outgoing,
    state: SendState,
    name: Option<MessageRef>,
    error: Option<String>,
    since: Option<Timestamp>,
    duty: Duty,
}

/// Whether a thread or a message is to be worked on, and by whom it is.
#[derive(Default)]
struct Duty {
    /// When it may be taken; while it is held, when the lease expires.
    due: Option<Timestamp>,
    epoch: u64,
    held: bool,
    woken: bool,
    /// Times it was taken; of a thread, since it last went well.
    attempts: u32,
    buried: Option<String>,
}

impl Thread {
    fn version(&self) -> Version {
        Version(self.records.len() as u64)
    }

    fn summary(&self, id: &ThreadId) -> Summary {
        Summary {
            thread: id.clone(),
            version: self.version(),
            updated: self.updated,
            due: self.duty.due,
            buried: self.duty.buried.clone(),
        }
    }
}

impl Message {
    fn sent(&self) -> Sent {
        Sent {
            thread: self.thread.clone(),
            outgoing: self.outgoing.clone(),
            state: self.state,
            message: self.name.clone(),
            error: self.error.clone(),
        }
    }
}

impl Duty {
    fn take(&mut self, now: Timestamp, ttl: Duration) {
        self.epoch += 1;
        self.attempts += 1;
        self.held = true;
        self.woken = false;
        self.due = Some(later(now, ttl));
    }

    fn wake(&mut self, now: Timestamp) {
        if self.buried.take().is_some() {
            self.attempts = 0;
        }
        if self.held {
            self.woken = true;
        } else {
            self.due = Some(self.due.map_or(now, |due| due.min(now)));
        }
    }

    fn is_due(&self, now: Timestamp) -> bool {
        self.due.is_some_and(|due| due <= now)
    }
}

impl State {
    fn commit(&mut self, batch: Batch, now: Timestamp) -> Result<Version, Error> {
        let Batch { thread: id, expect, fence, records, keys, outgoing, wake, settle } = batch;
        if let Some(key) = keys.iter().find(|key| self.keys.contains_key(key.as_str())) {
            return Err(Error::Duplicate { key: key.as_str().to_owned() });
        }
        if let Some(fence) = &fence {
            self.held(fence)?;
            if fence.on != id.as_str() {
                return Err(Error::Fenced { on: fence.on.clone() });
            }
        }
        if let Some(settle) = &settle {
            self.held(&settle.lease)?;
            if ThreadId::parse(&settle.lease.on).is_some() {
                return Err(Error::Fenced { on: settle.lease.on.clone() });
            }
        }
        let gone = !self.threads.contains_key(&id)
            && self.retired.get(&id.home()).is_some_and(|retired| *retired >= id.generation());
        let actual = self.threads.get(&id).map_or(Version(0), Thread::version);
        if gone || expect.is_some_and(|expected| expected != actual) {
            return Err(Error::Conflict { thread: id, actual });
        }

        self.keys.extend(keys.into_iter().map(|key| (key.as_str().to_owned(), id.clone())));
        if let Some(settle) = settle {
            self.settle(settle);
        }
        for outgoing in outgoing {
            self.post(id.clone(), outgoing, now);
        }
        self.writes += 1;
        let thread = self.threads.entry(id).or_default();
        if fence.is_some() && !records.is_empty() {
            thread.duty.attempts = 0;
        }
        if !records.is_empty() || thread.written == 0 {
            thread.updated = now;
            thread.written = self.writes;
        }
        thread.records.extend(records);
        if wake {
            thread.duty.wake(now);
        }
        Ok(thread.version())
    }

    fn retire(&mut self, id: &ThreadId, version: Version) -> Result<(), Error> {
        let conflict = |actual| Err(Error::Conflict { thread: id.clone(), actual });
        let Some(thread) = self.threads.get(id) else { return conflict(Version(0)) };
        if thread.version() != version {
            return conflict(thread.version());
        }
        let duty = &thread.duty;
        let waits = |message: &&Message| message.thread == *id && message.state == SendState::Waiting;
        if duty.held || duty.due.is_some() || duty.buried.is_some() || self.messages.iter().any(|m| waits(&m))
        {
            return Err(Error::NotAtRest { thread: id.clone(), why: "there is something to do".to_owned() });
        }
        self.threads.remove(id);
        self.messages.retain(|message| message.thread != *id);
        let retired = self.retired.entry(id.home()).or_default();
        *retired = id.generation().max(*retired);
        Ok(())
    }

    fn settle(&mut self, settle: Settle) {
        let Settle { lease, state, message: name } = settle;
        if let Some(message) = self.messages.iter_mut().find(|m| m.outgoing.key.as_str() == lease.on) {
            message.state = state;
            message.name = name;
            message.error = None;
            message.duty.held = false;
        }
    }

    fn post(&mut self, thread: ThreadId, outgoing: Outgoing, now: Timestamp) {
        if self.messages.iter().any(|m| m.outgoing.key == outgoing.key) {
            return;
        }
        self.messages.push(Message {
            thread,
            outgoing,
            state: SendState::Waiting,
            name: None,
            error: None,
            since: None,
            duty: Duty { due: Some(now), ..Duty::default() },
        });
    }

    fn claim(&mut self, claim: &Claim, now: Timestamp) -> Vec<Work> {
        let max = claim.max.min(CLAIM_MAX);
        match &claim.wanted {
            Wanted::Turns => {
                let mut due: Vec<_> =
                    self.threads.iter_mut().filter(|(_, thread)| thread.duty.is_due(now)).collect();
                due.sort_by_key(|(_, thread)| thread.duty.due);
                due.truncate(max);
                due.into_iter()
                    .map(|(id, thread)| {
                        thread.duty.take(now, claim.ttl);
                        let lease = Lease { on: id.as_str().to_owned(), epoch: thread.duty.epoch };
                        Work::Turn { lease, thread: id.clone(), attempt: thread.duty.attempts }
                    })
                    .collect()
            }
            Wanted::Sends(channel) => {
                let mut places = BTreeSet::new();
                let mut due: Vec<_> = self
                    .messages
                    .iter_mut()
                    .filter(|m| m.state == SendState::Waiting && m.outgoing.to.channel == *channel)
                    // Only the first to each place, due or not.
                    .filter(|m| places.insert(m.outgoing.to.place.clone()))
                    .filter(|m| m.duty.is_due(now))
                    .collect();
                due.sort_by_key(|m| m.duty.due);
                due.truncate(max);
                due.into_iter().map(|message| message.take(now, claim.ttl)).collect()
            }
        }
    }

    /// What a lease is on, if it is held.
    fn held(&mut self, lease: &Lease) -> Result<&mut Duty, Error> {
        let duty = match ThreadId::parse(&lease.on) {
            Some(id) => self.threads.get_mut(&id).map(|thread| &mut thread.duty),
            None => self.message(&lease.on).map(|message| &mut message.duty),
        };
        duty.filter(|duty| duty.held && duty.epoch == lease.epoch)
            .ok_or_else(|| Error::Fenced { on: lease.on.clone() })
    }

    fn message(&mut self, key: &str) -> Option<&mut Message> {
        self.messages.iter_mut().find(|message| message.outgoing.key.as_str() == key)
    }

    fn release(&mut self, lease: &Lease, again: Again, now: Timestamp) -> Result<(), Error> {
        let version = ThreadId::parse(&lease.on).and_then(|id| self.threads.get(&id)).map(Thread::version);
        let duty = self.held(lease)?;
        if version.is_none() && matches!(again, Again::Bury { .. }) {
            return Err(Error::Refused { why: "a message is not set aside".to_owned() });
        }
        duty.held = false;
        let woken = std::mem::take(&mut duty.woken);
        let why = match (again, version) {
            (Again::Sleep { seen, until }, Some(version)) => {
                duty.due = if woken || version > seen { Some(now) } else { until };
                duty.attempts = 0;
                None
            }
            (Again::Sleep { seen: _, until }, None) => {
                duty.due = Some(until.unwrap_or(now));
                None
            }
            (Again::Retry { at, why }, Some(_)) => {
                duty.due = Some(at);
                duty.attempts = 0;
                Some(why)
            }
            (Again::Retry { at, why }, None) | (Again::Stuck { at, why }, Some(_) | None) => {
                duty.due = Some(at);
                Some(why)
            }
            (Again::Bury { why }, _) => {
                duty.due = woken.then_some(now);
                if woken {
                    duty.attempts = 0;
                } else {
                    duty.buried = Some(why.clone());
                }
                Some(why)
            }
        };
        if let Some(message) = self.message(&lease.on) {
            message.error = why.or(message.error.take());
        }
        Ok(())
    }
}

impl Message {
    fn take(&mut self, now: Timestamp, ttl: Duration) -> Work {
        self.duty.take(now, ttl);
        Work::Send {
            lease: Lease { on: self.outgoing.key.as_str().to_owned(), epoch: self.duty.epoch },
            thread: self.thread.clone(),
            outgoing: Box::new(self.outgoing.clone()),
            attempt: self.duty.attempts,
            since: *self.since.get_or_insert(now),
        }
    }
}

fn within_bounds(name: &str) -> Result<(), Error> {
    if name.len() > NAME_MAX {
        return Err(Error::Refused { why: format!("a name of {} bytes", name.len()) });
    }
    Ok(())
}

fn refuse_unfit(batch: &Batch) -> Result<(), Error> {
    let refused = |why: &str| Err(Error::Refused { why: why.to_owned() });
    if batch.settle.as_ref().is_some_and(|settle| settle.state == SendState::Waiting) {
        return refused("a message cannot be settled as waiting");
    }
    let mut bytes = 0;
    for record in &batch.records {
        bytes += json(&record.event)?;
    }
    for outgoing in &batch.outgoing {
        bytes += json(outgoing)?;
    }
    if bytes > BATCH_MAX { refused("the batch is too large") } else { Ok(()) }
}

/// The size of a value as JSON, if it reads back the same.
fn json<T: Serialize + DeserializeOwned + PartialEq>(value: &T) -> Result<usize, Error> {
    let text = serde_json::to_string(value).unwrap_or_default();
    match serde_json::from_str::<T>(&text) {
        Ok(back) if back == *value => Ok(text.len()),
        Ok(_) | Err(_) => Err(Error::Refused { why: "it would not read back the same".to_owned() }),
    }
}

fn later(now: Timestamp, by: Duration) -> Timestamp {
    now.checked_add(by).unwrap_or(Timestamp::MAX)
}
