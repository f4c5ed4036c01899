//! The store.

use std::{
    path::Path,
    sync::{Arc, Weak},
    time::Duration,
};

use agent::{Home, Record, ThreadId, Version};
use async_trait::async_trait;
use channel::{ChannelName, DeliveryKey, InboundKey, Outgoing, Timestamp};
use redis::{AsyncCommands, FromRedisValue, RedisError, RedisResult};
use store::{
    Again, Batch, CLAIM_MAX, Claim, Clock, Error, Lease, Page, SENT_MAX, Sent, SentQuery, Store, Summary,
    SystemClock, THREADS_MAX, Wanted, Work, codec,
};
use tokio::{
    sync::{Mutex, RwLock, oneshot},
    task::JoinHandle,
    time::{Instant, sleep, sleep_until},
};

use crate::{
    answer::{self, Answer},
    bells::Bells,
    fault::{self, damaged},
    heal::{self, Healed},
    journal::{self, Entry, Journal},
    link::{Durability, Link, Options, Time},
    scripts::{Noting, Scripts},
    soundness,
};

/// The layout that this build reads and writes.
const FORMAT: &str = "1";
/// A waiting claim looks again after so long at the latest, should nobody have told it.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// The same while nobody can tell it.
const LOOK_AGAIN_DEAF: Duration = Duration::from_millis(100);
/// A waiting claim rests at least so long.
const REST: Duration = Duration::from_millis(1);
/// How long a message that this build cannot read is left alone: a newer build may come.
const UNREADABLE_RETRY: Duration = Duration::from_secs(60 * 60);
/// Messages that are read at a time, so that nobody else waits long.
const PAGE: usize = 500;
/// How often it is looked how full Redis is, and from where on that is told.
const LOOK_AROUND: Duration = Duration::from_secs(15);
const FULL: [u64; 3] = [75, 85, 95];

/// The store on Redis. Any number of processes may have it open at the same time.
pub struct Redis(pub(crate) Arc<Inner>, Vec<JoinHandle<()>>);

pub(crate) struct Inner {
    pub(crate) link: Link,
    /// `{prefix}:`.
    prefix: String,
    /// The name of this store, which no other has.
    pub(crate) id: String,
    time: Time,
    pub(crate) bells: Arc<Bells>,
    durability: Durability,
    version: String,
    pub(crate) scripts: Scripts,
    pub(crate) journal: Option<Journal>,
    /// Writes pass while it is open; it is shut while what was written is compared with what is there.
    pub(crate) gate: RwLock<()>,
    /// Who meets a server that does not know us.
    pub(crate) meeting: Mutex<()>,
}

impl Redis {
    /// Opens the store, after a look at whether Redis will keep what it is given. What workers that died had taken is due again
    /// when their leases expire.
    ///
    /// # Errors
    /// `Refused` where Redis would lose something, is too old, or holds the store of a newer build, with the remedy; `Away`.
    pub async fn open(options: &Options) -> Result<Self, Error> {
        let prefix = format!("{{{}}}:", options.prefix);
        let (link, nodes) = Link::open(options, &prefix).await?;
        let server = soundness::check(&link, options).await?;
        let id = agree_on_store(&link, &prefix).await?;
        let journal = match &options.journal {
            Some(journal) => Some(Journal::open(&journal.folder.join(&id), journal.keep)?),
            None => None,
        };
        let inner = Inner {
            version: link.what(&server.version),
            link,
            prefix,
            id,
            time: options.time.clone(),
            bells: Arc::default(),
            durability: server.durability,
            scripts: Scripts::new(journal.as_ref().map_or("", Journal::name)),
            journal,
            gate: RwLock::default(),
            meeting: Mutex::default(),
        };
        if inner.journal.is_some() {
            inner.begin().await?;
        }
        let inner = Arc::new(inner);
        let topic = inner.key("wake");
        let listening = tokio::spawn(Arc::clone(&inner.bells).listen(nodes, topic));
        let watching = tokio::spawn(watch(Arc::downgrade(&inner)));
        Ok(Self(inner, vec![listening, watching]))
    }

    /// What of a commit outlives a crash of the server's machine.
    pub fn durability(&self) -> Durability {
        self.0.durability
    }

    /// Compares all that the journals in a folder know of the last hours with what is there; what is missing, a sentence each.
    ///
    /// # Errors
    /// `Away`.
    pub async fn missing(&self, folder: &Path) -> Result<Vec<String>, Error> {
        let mut missing = Vec::new();
        for folder in journal::places(&folder.join(&self.0.id)) {
            missing.extend(self.0.missing(&folder, true).await?.iter().filter_map(heal::missed));
        }
        Ok(missing)
    }

    /// Puts back all that the journals in a folder know and Redis has forgotten; those that a gateway writes are its own to look
    /// through.
    ///
    /// # Errors
    /// `Away`.
    pub async fn heal(&self, folder: &Path) -> Result<Healed, Error> {
        self.0.heal(&journal::left(&folder.join(&self.0.id)), true).await
    }

    /// The server's version, and which master it is where sentinels name it.
    pub fn version(&self) -> &str {
        &self.0.version
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.1.iter().for_each(JoinHandle::abort);
    }
}

impl std::fmt::Debug for Redis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redis").field("prefix", &self.0.prefix).finish_non_exhaustive()
    }
}

/// Whether this build can read the store that is there; its name. One that is not there is begun.
async fn agree_on_store(link: &Link, prefix: &str) -> Result<String, Error> {
    let mut id = [0; 8];
    getrandom::fill(&mut id).map_err(|error| Error::Away { why: format!("no random numbers: {error}") })?;
    let id: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut there = Vec::new();
    for (name, ours) in [("format", FORMAT), ("store", &id)] {
        let (key, mut link) = (format!("{prefix}{name}"), link.clone());
        let done: RedisResult<Option<String>> = async {
            let () = redis::cmd("SET").arg(&key).arg(ours).arg("NX").query_async(&mut link).await?;
            link.get(&key).await
        }
        .await;
        there.push(done.map_err(|error| fault::away(&error))?.unwrap_or_default());
    }
    match there.as_slice() {
        [format, id] if format == FORMAT => Ok(id.clone()),
        _ => {
            let why = format!(
                "Redis holds a store of another build under this prefix (layout {}, this one reads {FORMAT}); use that \
                 build, or another `store.prefix`",
                there.first().map_or("none", String::as_str)
            );
            Err(Error::Refused { why })
        }
    }
}

/// Says when Redis gets full: from where it is full on, nothing is taken any more. And lets others know that we are here.
async fn watch(inner: Weak<Inner>) {
    let mut told = 0;
    loop {
        sleep(LOOK_AROUND).await;
        let Some(inner) = inner.upgrade() else { return };
        if let Err(error) = inner.come_by("").await {
            tracing::debug!(%error, "others do not hear that we are here");
        }
        let Ok(info) = soundness::info(&inner.link).await else { continue };
        let Some(full) = soundness::fullness(&info) else { continue };
        let step = FULL.iter().rev().find(|step| full >= **step).copied().unwrap_or(0);
        if step > told {
            tracing::warn!(
                full_percent = full,
                "Redis gets full; when it is, nothing is taken any more: raise its `maxmemory`"
            );
        }
        told = step;
    }
}

impl Inner {
    pub(crate) fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// The time for a script: empty where it takes the server's.
    pub(crate) fn now(&self) -> String {
        match &self.time {
            Time::Server => String::new(),
            Time::Of(clock) => clock.now().as_microsecond().to_string(),
        }
    }

    /// How long until a time, in microseconds, by the clock that it was made with: the server's may show another time.
    fn until(&self, at: Timestamp) -> String {
        let now = match &self.time {
            Time::Server => SystemClock.now(),
            Time::Of(clock) => clock.now(),
        };
        let nanos = at.as_nanosecond() - now.as_nanosecond();
        // Never before its time.
        (nanos.div_euclid(1000) + i128::from(nanos.rem_euclid(1000) > 0)).to_string()
    }

    pub(crate) fn journal_name(&self) -> Option<&str> {
        self.journal.as_ref().map(Journal::name)
    }

    /// Keeps a value.
    async fn put(&self, name: &str, value: &[u8]) -> RedisResult<()> {
        let _open = self.gate.read().await;
        let () = self.link.clone().set(self.key(&format!("value:{name}")), value).await?;
        if let Some(journal) = &self.journal {
            journal.note(&Entry::Value { name: name.to_owned(), length: value.len(), bytes: value.to_vec() });
        }
        Ok(())
    }

    /// Keeps a value unless another one is there; whether it is there now. It is noted whoever kept it: an answer may have been lost.
    async fn put_once(&self, name: &str, value: &[u8]) -> RedisResult<bool> {
        let _open = self.gate.read().await;
        let mut cmd = redis::cmd("SET");
        cmd.arg(self.key(&format!("value:{name}"))).arg(value).arg("NX").arg("GET");
        let there: Option<Vec<u8>> = cmd.query_async(&mut self.link.clone()).await?;
        let kept = there.is_none_or(|there| there == value);
        if let Some(journal) = self.journal.as_ref().filter(|_| kept) {
            journal.note(&Entry::Value { name: name.to_owned(), length: value.len(), bytes: value.to_vec() });
        }
        Ok(kept)
    }

    /// One look for work.
    async fn look(&self, claim: &Claim) -> Result<Found, Error> {
        let ttl = micros(claim.ttl);
        let most = claim.max.min(CLAIM_MAX).to_string();
        let common = [claim.worker.as_bytes(), ttl.as_bytes(), most.as_bytes()];
        let away = |error: RedisError| fault::away(&error);
        match &claim.wanted {
            Wanted::Turns => {
                let mut answer =
                    Answer::of(self.run(&self.scripts.claim_turns, &common).await.map_err(away)?)?;
                let next = next_due(&answer.text()?)?;
                let mut work = Vec::new();
                while let Some(on) = answer.next() {
                    let thread = answer::thread(&on)?;
                    let lease = Lease { on, epoch: answer.number()? };
                    let attempt = u32::try_from(answer.number()?).unwrap_or(u32::MAX);
                    work.push(Work::Turn { lease, thread, attempt });
                }
                Ok(Found { work, next })
            }
            Wanted::Sends(channel) => {
                let args = [common[0], common[1], common[2], channel.as_str().as_bytes()];
                let mut answer = Answer::of(
                    self.run_noting(&self.scripts.claim_sends, &args, Noting::Sends).await.map_err(away)?,
                )?;
                let next = next_due(&answer.text()?)?;
                let mut work = Vec::new();
                while let Some(on) = answer.next() {
                    work.extend(self.message(on, &mut answer).await?);
                }
                Ok(Found { work, next })
            }
        }
    }

    /// A message that was taken. One that cannot be read is put off, so that it does not stand in the way of other places; those
    /// behind it to the same place wait, to keep the order.
    async fn message(&self, on: String, answer: &mut Answer) -> Result<Option<Work>, Error> {
        let (epoch, thread, attempt) = (answer.number()?, answer.thread()?, answer.number()?);
        let (since, json) = (answer.time()?, answer.text()?);
        let lease = Lease { on, epoch };
        match codec::outgoing(&thread, &lease.on, &json) {
            Ok(outgoing) => {
                let attempt = u32::try_from(attempt).unwrap_or(u32::MAX);
                Ok(Some(Work::Send {
                    lease,
                    thread,
                    outgoing: Box::<Outgoing>::new(outgoing),
                    attempt,
                    since,
                }))
            }
            Err(error) => {
                tracing::error!(key = %lease.on, %error, "a message cannot be read; it is put off");
                let why = error.to_string();
                self.keep(&lease, &["retry", &micros(UNREADABLE_RETRY), &why]).await?;
                Ok(None)
            }
        }
    }

    /// Does something with a lease; whether it was held.
    async fn keep(&self, lease: &Lease, deed: &[&str]) -> Result<(), Error> {
        let kind = if ThreadId::parse(&lease.on).is_some() { "thread" } else { "out" };
        let epoch = lease.epoch.to_string();
        let mut args = vec![lease.on.as_bytes(), kind.as_bytes(), epoch.as_bytes()];
        args.extend(deed.iter().map(|part| part.as_bytes()));
        let gives_back = deed.first() != Some(&"renew");
        let done = self.run_surely(&self.scripts.lease, &args).await.map_err(|error| fault::away(&error))?;
        let (said, again) = (String::from_redis_value(done.0).unwrap_or_default(), done.1);
        match said.as_str() {
            "done" => Ok(()),
            // It was given back by the first try, or it was lost before: either way nothing is held any more.
            "fenced" if again && gives_back => Ok(()),
            "fenced" => Err(Error::Fenced { on: lease.on.clone() }),
            other => Err(damaged(format_args!("a lease says `{other}`"))),
        }
    }

    /// Undoes a claim whose caller has gone away.
    async fn give_back(&self, work: &[Work]) {
        for item in work {
            let (Work::Turn { lease, .. } | Work::Send { lease, .. }) = item;
            if let Err(error) = self.keep(lease, &["undo"]).await {
                tracing::debug!(on = %lease.on, %error, "what nobody waited for could not be given back");
            }
        }
    }

    /// The threads of a set, in this order of their last writes.
    async fn threads(
        &self,
        set: &str,
        order: Order,
        skip: usize,
        limit: usize,
    ) -> Result<Vec<Summary>, Error> {
        let (skip, limit) = (skip.min(1 << 40).to_string(), limit.min(THREADS_MAX).to_string());
        let range = match order {
            Order::LatestFirst => "ZREVRANGE",
            Order::OldestFirst => "ZRANGE",
        };
        let args = [skip.as_bytes(), limit.as_bytes(), set.as_bytes(), range.as_bytes()];
        let value = self.run(&self.scripts.threads, &args).await.map_err(|error| fault::away(&error))?;
        answer::summaries(<Vec<String>>::from_redis_value(value).map_err(|_| damaged("a list is no list"))?)
    }

    /// Takes a thread away.
    async fn retire(
        &self,
        thread: &ThreadId,
        version: Version,
        messages: &[DeliveryKey],
    ) -> Result<(), Error> {
        let (home, generation) = (thread.home(), thread.generation().to_string());
        let expect = version.0.to_string();
        let mut args: Vec<&[u8]> = vec![thread.as_str().as_bytes(), home.as_str().as_bytes()];
        args.extend([generation.as_bytes(), expect.as_bytes()]);
        args.extend(messages.iter().map(|key| key.as_str().as_bytes()));
        let done = self.run_surely(&self.scripts.retire, &args).await.map_err(|error| fault::away(&error))?;
        let (mut answer, again) = (Answer::of(done.0)?, done.1);
        let (said, about) = (answer.text()?, answer.text()?);
        match said.as_str() {
            "done" => Ok(()),
            "healing" => Err(healing()),
            // The first try took it away, and its answer was lost.
            "gone" if again => Ok(()),
            "gone" | "conflict" => {
                let actual = Version(answer::number(&about)?);
                Err(Error::Conflict { thread: thread.clone(), actual })
            }
            "busy" => Err(Error::NotAtRest { thread: thread.clone(), why: about }),
            other => Err(damaged(format_args!("a retiring says `{other}`"))),
        }
    }

    /// The values of the keys of one kind with these names; nothing for one that is gone.
    async fn values_of(&self, kind: &str, names: &[String]) -> Result<Vec<Option<String>>, Error> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let mut pipe = redis::pipe();
        for name in names {
            pipe.cmd("GET").arg(self.key(&format!("{kind}{name}")));
        }
        pipe.query_async(&mut self.link.clone()).await.map_err(|error| fault::away(&error))
    }

    /// A page of the names of one kind of key.
    pub(crate) async fn scan(&self, kind: &str, from: &str) -> Result<Page<String>, Error> {
        let start = self.key(kind);
        let cursor = if from.is_empty() { "0" } else { from };
        let mut cmd = redis::cmd("SCAN");
        cmd.arg(cursor).arg("MATCH").arg(format!("{start}*")).arg("COUNT").arg(PAGE);
        let found = self.link.ask(cmd).await.map_err(|error| fault::away(&error))?;
        let (next, keys) =
            <(String, Vec<String>)>::from_redis_value(found).map_err(|_| damaged("a list is no list"))?;
        let items = keys.iter().filter_map(|key| key.strip_prefix(&start)).map(str::to_owned).collect();
        Ok(Page { items, next: (next != "0").then_some(next) })
    }

    /// Does something with a right; whether it is had or free now.
    async fn right(&self, name: &str, by: &str, deed: &str, ttl: Duration) -> Result<bool, Error> {
        codec::refuse_long(name)?;
        codec::refuse_long(by)?;
        let ttl = micros(ttl);
        let args = [name.as_bytes(), by.as_bytes(), deed.as_bytes(), ttl.as_bytes()];
        let (said, _) =
            self.run_surely(&self.scripts.right, &args).await.map_err(|error| fault::away(&error))?;
        Ok(String::from_redis_value(said).is_ok_and(|said| said == "done"))
    }

    /// The messages of these keys, in their order.
    async fn messages(&self, keys: &[String]) -> Result<Vec<Sent>, Error> {
        let mut list = Vec::with_capacity(keys.len());
        for page in keys.chunks(PAGE) {
            let mut pipe = redis::pipe();
            for key in page {
                pipe.cmd("HMGET").arg(self.key(&format!("out:{key}"))).arg(&answer::SENT[..]);
            }
            let found: Vec<Vec<Option<String>>> =
                pipe.query_async(&mut self.link.clone()).await.map_err(|error| fault::away(&error))?;
            for (key, fields) in page.iter().zip(found) {
                list.extend(answer::sent(key, fields)?);
            }
        }
        Ok(list)
    }
}

/// In which order threads are listed.
#[derive(Clone, Copy)]
enum Order {
    LatestFirst,
    OldestFirst,
}

/// What a look found.
#[derive(Default)]
struct Found {
    work: Vec<Work>,
    /// How long until the next falls due.
    next: Option<Duration>,
}

/// Claimed work on its way to the caller. If the caller has gone away it is given back, instead of lying idle until the leases
/// expire.
struct Handover {
    found: Option<Found>,
    inner: Arc<Inner>,
}

impl Handover {
    /// The work has arrived.
    fn take(mut self) -> Found {
        self.found.take().unwrap_or_default()
    }
}

impl Drop for Handover {
    fn drop(&mut self) {
        let Some(Found { work, .. }) = self.found.take().filter(|found| !found.work.is_empty()) else {
            return;
        };
        let inner = Arc::clone(&self.inner);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { inner.give_back(&work).await });
        }
    }
}

#[async_trait]
impl Store for Redis {
    async fn load(&self, thread: &ThreadId, from: Version) -> Result<Vec<Record>, Error> {
        let Ok(first) = isize::try_from(from.0) else { return Ok(Vec::new()) };
        let key = self.0.key(&format!("log:{thread}"));
        let log: Vec<String> =
            self.0.link.clone().lrange(key, first, -1).await.map_err(|error| fault::away(&error))?;
        (from.0..).zip(&log).map(|(seq, entry)| answer::record(thread, seq, entry)).collect()
    }

    async fn commit(&self, batch: Batch) -> Result<Version, Error> {
        let batch = codec::encode(batch)?;
        self.0.commit(&batch).await
    }

    async fn claim(&self, claim: Claim) -> Result<Vec<Work>, Error> {
        let give_up = Instant::now() + claim.wait;
        let bell = self.0.bells.bell(&claim.wanted);
        loop {
            // Listening begins before the look, so that nothing falls between the look and the wait.
            let mut rung = std::pin::pin!(bell.notified());
            rung.as_mut().enable();
            let asked = Instant::now();
            // The look goes to its end also when nobody waits for it any more: what it took has to be given back.
            let (inner, wanted, (tell, told)) = (Arc::clone(&self.0), claim.clone(), oneshot::channel());
            tokio::spawn(async move {
                let handover = inner.look(&wanted).await.map(|found| {
                    let inner = Arc::clone(&inner);
                    Handover { found: Some(found), inner }
                });
                let _ = tell.send(handover);
            });
            let gone = |_| Error::Away { why: "the gateway stops".to_owned() };
            let handover = told.await.map_err(gone)??;
            let now = Instant::now();
            // What took so long to come is given back: its leases may be over soon, or are.
            let late = now.duration_since(asked) > claim.ttl / 2;
            let found = if late { Found::default() } else { handover.take() };
            if !found.work.is_empty() || now >= give_up {
                return Ok(found.work);
            }
            let longest = if self.0.bells.hears() { LOOK_AGAIN } else { LOOK_AGAIN_DEAF };
            let nap = found.next.unwrap_or(longest).clamp(REST, longest);
            tokio::select! {
                () = rung => {}
                () = sleep_until(give_up.min(now + nap)) => {}
            }
        }
    }

    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<(), Error> {
        self.0.keep(lease, &["renew", &micros(ttl)]).await
    }

    async fn release(&self, lease: &Lease, again: Again) -> Result<(), Error> {
        match again {
            Again::Sleep { seen, until } => {
                let until = until.map(|at| self.0.until(at)).unwrap_or_default();
                self.0.keep(lease, &["sleep", &seen.0.to_string(), &until]).await
            }
            Again::Retry { at, why } => self.0.keep(lease, &["retry", &self.0.until(at), &why]).await,
            Again::Stuck { at, why } => self.0.keep(lease, &["stuck", &self.0.until(at), &why]).await,
            Again::Bury { why } if ThreadId::parse(&lease.on).is_some() => {
                self.0.keep(lease, &["bury", &why]).await
            }
            Again::Bury { .. } => {
                let why = format!("message {} cannot be set aside; it settles as dead", lease.on);
                Err(Error::Refused { why })
            }
        }
    }

    async fn latest(&self, home: &Home) -> Result<Option<ThreadId>, Error> {
        let key = self.0.key(&format!("home:{}", home.as_str()));
        let generation: Option<u32> =
            self.0.link.clone().get(key).await.map_err(|error| fault::away(&error))?;
        Ok(generation.map(|generation| ThreadId::new(home, generation)))
    }

    async fn threads(&self, skip: usize, limit: usize) -> Result<Vec<Summary>, Error> {
        self.0.threads("written", Order::LatestFirst, skip, limit).await
    }

    async fn buried(&self, limit: usize) -> Result<Vec<Summary>, Error> {
        self.0.threads("buried", Order::LatestFirst, 0, limit).await
    }

    async fn oldest(&self, skip: usize, limit: usize) -> Result<Vec<Summary>, Error> {
        self.0.threads("written", Order::OldestFirst, skip, limit).await
    }

    async fn retire(
        &self,
        thread: &ThreadId,
        version: Version,
        messages: &[DeliveryKey],
    ) -> Result<(), Error> {
        self.0.retire(thread, version, messages).await
    }

    async fn retired(&self, from: &str) -> Result<Page<ThreadId>, Error> {
        let Page { items: homes, next } = self.0.scan("retired:", from).await?;
        let generations = self.0.values_of("retired:", &homes).await?;
        let threads =
            homes.iter().zip(generations).filter_map(|(home, generation)| Some((home, generation?)));
        let items = threads.map(|(home, generation)| answer::thread(&format!("{home}-{generation}")));
        Ok(Page { items: items.collect::<Result<_, _>>()?, next })
    }

    async fn sent(&self, query: SentQuery) -> Result<Vec<Sent>, Error> {
        let last = isize::try_from(SENT_MAX).unwrap_or(isize::MAX);
        let mut link = self.0.link.clone();
        let keys: RedisResult<Vec<String>> = match &query {
            SentQuery::Key(key) => Ok(vec![key.as_str().to_owned()]),
            SentQuery::At(address) => {
                let place = place(&address.channel, address.place.as_str());
                link.lrange(self.0.key(&format!("place:{place}")), -last, -1).await
            }
            SentQuery::Message(channel, message) => {
                let name = place(channel, message.as_str());
                link.lrange(self.0.key(&format!("message:{name}")), -last, -1).await
            }
            SentQuery::Waiting => link.zrange(self.0.key("waiting"), -last, -1).await,
        };
        self.0.messages(&keys.map_err(|error| fault::away(&error))?).await
    }

    async fn get(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        let key = self.0.key(&format!("value:{name}"));
        self.0.link.clone().get(key).await.map_err(|error| fault::away(&error))
    }

    async fn put(&self, name: &str, value: &[u8]) -> Result<(), Error> {
        codec::refuse_large(name, value)?;
        self.0.put(name, value).await.map_err(|error| fault::away(&error))
    }

    async fn put_once(&self, name: &str, value: &[u8]) -> Result<bool, Error> {
        codec::refuse_large(name, value)?;
        self.0.put_once(name, value).await.map_err(|error| fault::away(&error))
    }

    async fn values(&self, from: &str) -> Result<Page<String>, Error> {
        self.0.scan("value:", from).await
    }

    async fn keys(&self, from: &str) -> Result<Page<(InboundKey, ThreadId)>, Error> {
        let Page { items: names, next } = self.0.scan("key:", from).await?;
        let threads = self.0.values_of("key:", &names).await?;
        let mut items = Vec::new();
        for (name, thread) in names.into_iter().zip(threads) {
            // One may have been forgotten in between.
            if let Some(thread) = thread {
                items.push((InboundKey::new(name), answer::thread(&thread)?));
            }
        }
        Ok(Page { items, next })
    }

    async fn hold(&self, name: &str, by: &str, ttl: Duration) -> Result<bool, Error> {
        self.0.right(name, by, "hold", ttl).await
    }

    async fn let_go(&self, name: &str, by: &str) -> Result<(), Error> {
        self.0.right(name, by, "let go", Duration::ZERO).await.map(drop)
    }

    async fn logs(&self, from: &str) -> Result<Page<ThreadId>, Error> {
        let Page { items, next } = self.0.scan("log:", from).await?;
        let items = items.iter().map(|name| answer::thread(name)).collect::<Result<_, _>>()?;
        Ok(Page { items, next })
    }

    async fn reset(&self) -> Result<(), Error> {
        self.0.reset().await
    }

    async fn restore(&self, messages: Vec<Sent>) -> Result<(), Error> {
        self.0.restore(messages).await
    }
}

/// An address or a platform's name of a message, as it stands in a key.
pub(crate) fn place(channel: &ChannelName, place: &str) -> String {
    format!("{}:{channel}:{place}", channel.as_str().len())
}

fn micros(duration: Duration) -> String {
    duration.as_micros().to_string()
}

fn next_due(text: &str) -> Result<Option<Duration>, Error> {
    if text.is_empty() {
        Ok(None)
    } else {
        answer::number(text).map(|micros| Some(Duration::from_micros(micros)))
    }
}

pub(crate) fn healing() -> Error {
    Error::Away { why: "what Redis had forgotten is being put back".to_owned() }
}
