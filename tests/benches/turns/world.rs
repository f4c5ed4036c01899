//! A gateway with doubles at both ends: a channel that has nowhere to send to, and a model that needs no time.

use std::{
    collections::HashMap,
    path::Path,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use agent::{Home, Prompt, Record, ThreadId, Usage, Version};
use async_trait::async_trait;
use channel::{
    Address, Addressed, Attempt, Body, Capabilities, Channel, ChannelName, Correlation, DeliveryKey, Inbound,
    InboundKey, Inbox, Ingress, MessageRef, Outgoing, Person, Place, Receipt, Signal, Timestamp, Verified,
};
use model::{Completion, Model, Progress};
use runtime::Serving;
use store::{Again, Batch, Claim, Error, Lease, Page, Sent, SentQuery, Store, Summary, SystemClock, Work};
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::Told;

/// What a person says. 120 bytes, as a short message has.
const WORDS: &str = "Hello, my order 1001 came yesterday, but the lamp in it does not work at all. What can you do about that? Best wishes, Ben";
/// What the model answers.
const ANSWER: &str = r#"{"intent":"finish","text":"I am sorry to hear that. Please send me a photo of the lamp, then I will see what can be done about it."}"#;

/// A running gateway.
pub(crate) struct World {
    pub(crate) store: Arc<Counted>,
    pub(crate) chute: Arc<Chute>,
    pub(crate) model: Arc<AtOnce>,
    inbox: Arc<dyn Inbox>,
    serving: Serving,
    said: AtomicUsize,
    /// Tells what this process says from what others said.
    process: u32,
}

/// How long a turn took, from the moment something was said.
pub(crate) struct Took {
    pub(crate) accepted: Duration,
    pub(crate) asked: Duration,
    pub(crate) answered: Duration,
}

impl World {
    /// Starts one on the store that the configuration names. One that claims nothing only takes what is said.
    pub(crate) async fn start(config: &Path, claims: bool, answers: bool) -> Told<Self> {
        let (store, assembled) = open(config).await?;
        Self::start_on(store, assembled, claims, answers).await
    }

    pub(crate) async fn start_on(
        store: Arc<dyn Store>,
        mut assembled: gateway::Assembled,
        claims: bool,
        answers: bool,
    ) -> Told<Self> {
        let store = Arc::new(Counted { inner: store, claims, calls: Default::default() });
        let chute = Arc::new(Chute::default());
        let model = Arc::new(AtOnce { answers, ..AtOnce::default() });
        assembled.channels = [(ChannelName::new("bench"), chute.clone() as Arc<dyn Channel>)].into();
        assembled.models.values_mut().for_each(|entry| *entry = model.clone());
        let serving = gateway::start(assembled, store.clone(), Arc::new(SystemClock)).await;
        let serving = serving.map_err(|error| error.to_string())?;
        let mut inbox = chute.inbox.subscribe();
        let inbox = inbox.wait_for(Option::is_some).await.ok().and_then(|inbox| inbox.clone());
        let inbox = inbox.ok_or("the channel does not listen")?;
        Ok(Self {
            store,
            chute,
            model,
            inbox,
            serving,
            said: AtomicUsize::new(0),
            process: std::process::id(),
        })
    }

    /// Somebody says something at a place; returns when it is durable.
    pub(crate) async fn say(&self, place: &str) -> Told<()> {
        let name = format!("{}:{}", self.process, self.said.fetch_add(1, Ordering::Relaxed));
        let channel = ChannelName::new("bench");
        let inbound = Inbound {
            keys: vec![InboundKey::new(format!("bench:{name}"))],
            from: Person {
                channel: channel.clone(),
                id: "ben".to_owned(),
                name: "Ben".to_owned(),
                verified: Verified::Proven { by: "the benchmark".to_owned() },
                roles: Vec::new(),
            },
            at: Address { channel, place: Place::new(place) },
            sent: Timestamp::now(),
            message: Some(MessageRef::new(name)),
            in_reply_to: None,
            ticket: None,
            addressed: Addressed::Direct,
            facts: Vec::new(),
            body: Body::Text { text: WORDS.to_owned(), original: None, files: Vec::new() },
        };
        self.inbox.accept(inbound).await.map(drop).map_err(|error| error.to_string())
    }

    /// Somebody says something at a place and waits for the answer.
    pub(crate) async fn turn(&self, place: &str) -> Told<Took> {
        let sent = self.chute.next_at(place);
        let began = Instant::now();
        self.say(place).await?;
        let accepted = began.elapsed();
        let answered = sent.await.map_err(|_| "the answer went nowhere")?.duration_since(began);
        let asked = self.model.last().map_or(Duration::ZERO, |at| at.duration_since(began));
        Ok(Took { accepted, asked, answered })
    }

    /// Stops when what is in flight has ended.
    pub(crate) async fn stop(self) {
        self.serving.stop().await;
    }
}

/// Reads a configuration and opens its store.
pub(crate) async fn open(config: &Path) -> Told<(Arc<dyn Store>, gateway::Assembled)> {
    let assembled = gateway::assemble(config).map_err(|flaws| {
        let texts: Vec<String> = flaws.iter().map(ToString::to_string).collect();
        texts.join("\n")
    })?;
    Ok((gateway::open(&assembled).await?.store, assembled))
}

/// The first thread at a place.
pub(crate) fn thread(place: &str) -> ThreadId {
    let at = Address { channel: ChannelName::new("bench"), place: Place::new(place) };
    ThreadId::new(&Home::of(&at), 1)
}

/// A channel that has nowhere to send to.
pub(crate) struct Chute {
    inbox: watch::Sender<Option<Arc<dyn Inbox>>>,
    waiting: Mutex<HashMap<String, oneshot::Sender<Instant>>>,
    sent: AtomicUsize,
}

impl Default for Chute {
    fn default() -> Self {
        Self { inbox: watch::Sender::new(None), waiting: Mutex::default(), sent: AtomicUsize::new(0) }
    }
}

impl Chute {
    /// How much was sent.
    pub(crate) fn sent(&self) -> usize {
        self.sent.load(Ordering::Relaxed)
    }

    /// Tells when the next message to a place arrives.
    fn next_at(&self, place: &str) -> oneshot::Receiver<Instant> {
        let (tell, told) = oneshot::channel();
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(place.to_owned(), tell);
        told
    }
}

#[async_trait]
impl Channel for Chute {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            buttons: true,
            forms: false,
            amends: true,
            private: true,
            files: true,
            text_len_max: None,
            correlation: Correlation::Native,
            one_reader: false,
        }
    }

    fn place(&self, contact: &str) -> Result<Place, channel::Error> {
        Ok(Place::new(contact))
    }

    async fn attend(&self, _: Arc<dyn Inbox>, _: CancellationToken) {}

    async fn listen(&self, ingress: Ingress) -> Result<(), channel::Error> {
        ingress.health.up();
        self.inbox.send_replace(Some(ingress.inbox.clone()));
        ingress.stop.cancelled().await;
        Ok(())
    }

    async fn send(&self, outgoing: &Outgoing, _: &Attempt) -> Result<Receipt, channel::Error> {
        let now = Instant::now();
        let waiting =
            self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(outgoing.to.place.as_str());
        if let Some(waiting) = waiting {
            let _ = waiting.send(now);
        }
        self.sent.fetch_add(1, Ordering::Relaxed);
        Ok(Receipt { message: Some(MessageRef::new(format!("sent:{}", outgoing.key))) })
    }

    async fn signal(&self, _: &Address, _: Option<&MessageRef>, _: Signal) {}

    async fn check(&self) -> Result<Vec<String>, Vec<channel::Error>> {
        Ok(Vec::new())
    }
}

/// A model that answers at once, or never.
#[derive(Default)]
pub(crate) struct AtOnce {
    answers: bool,
    first: OnceLock<Instant>,
    last: Mutex<Option<Instant>>,
    pub(crate) was_asked: AtomicBool,
}

impl AtOnce {
    /// When it was first asked.
    pub(crate) fn first(&self) -> Option<Instant> {
        self.first.get().copied()
    }

    /// When it was last asked.
    fn last(&self) -> Option<Instant> {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Model for AtOnce {
    fn name(&self) -> &str {
        "at once"
    }

    async fn complete(&self, _: &Prompt, _: Progress<'_>) -> Result<Completion, model::Error> {
        let now = Instant::now();
        self.first.get_or_init(|| now);
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
        self.was_asked.store(true, Ordering::Release);
        if !self.answers {
            std::future::pending::<()>().await;
        }
        Ok(Completion {
            text: ANSWER.to_owned(),
            truncated: false,
            usage: Usage { input: 1_000, output: 40, ms: 0, calls: 1 },
            model: "at once".to_owned(),
            note: None,
        })
    }
}

/// What a store is asked.
#[derive(Clone, Copy)]
pub(crate) enum Op {
    Commit,
    Claim,
    Read,
    Release,
    Other,
}

/// A store whose calls are counted.
pub(crate) struct Counted {
    inner: Arc<dyn Store>,
    /// Whether work is claimed.
    claims: bool,
    /// How many calls of each sort, and how many nanoseconds they took together.
    calls: [(AtomicU64, AtomicU64); 5],
}

impl Counted {
    /// Calls and nanoseconds of each sort until now, in the order of [`Op`].
    pub(crate) fn calls(&self) -> [(u64, u64); 5] {
        let now = |n: &AtomicU64| n.load(Ordering::Relaxed);
        std::array::from_fn(|n| self.calls.get(n).map_or((0, 0), |(count, nanos)| (now(count), now(nanos))))
    }

    async fn count<T>(&self, op: Op, work: impl Future<Output = T> + Send) -> T {
        let began = Instant::now();
        let done = work.await;
        if let Some((count, nanos)) = self.calls.get(op as usize) {
            count.fetch_add(1, Ordering::Relaxed);
            nanos.fetch_add(u64::try_from(began.elapsed().as_nanos()).unwrap_or(0), Ordering::Relaxed);
        }
        done
    }
}

#[async_trait]
impl Store for Counted {
    async fn load(&self, thread: &ThreadId, from: Version) -> Result<Vec<Record>, Error> {
        self.count(Op::Read, self.inner.load(thread, from)).await
    }

    async fn commit(&self, batch: Batch) -> Result<Version, Error> {
        self.count(Op::Commit, self.inner.commit(batch)).await
    }

    async fn claim(&self, claim: Claim) -> Result<Vec<Work>, Error> {
        if !self.claims {
            std::future::pending::<()>().await;
        }
        self.count(Op::Claim, self.inner.claim(claim)).await
    }

    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<(), Error> {
        self.count(Op::Other, self.inner.renew(lease, ttl)).await
    }

    async fn release(&self, lease: &Lease, again: Again) -> Result<(), Error> {
        self.count(Op::Release, self.inner.release(lease, again)).await
    }

    async fn latest(&self, home: &Home) -> Result<Option<ThreadId>, Error> {
        self.count(Op::Read, self.inner.latest(home)).await
    }

    async fn threads(&self, skip: usize, limit: usize) -> Result<Vec<Summary>, Error> {
        self.count(Op::Other, self.inner.threads(skip, limit)).await
    }

    async fn buried(&self, limit: usize) -> Result<Vec<Summary>, Error> {
        self.count(Op::Other, self.inner.buried(limit)).await
    }

    async fn oldest(&self, skip: usize, limit: usize) -> Result<Vec<Summary>, Error> {
        self.count(Op::Other, self.inner.oldest(skip, limit)).await
    }

    async fn retire(
        &self,
        thread: &ThreadId,
        version: Version,
        messages: &[DeliveryKey],
    ) -> Result<(), Error> {
        self.count(Op::Other, self.inner.retire(thread, version, messages)).await
    }

    async fn retired(&self, from: &str) -> Result<Page<ThreadId>, Error> {
        self.count(Op::Read, self.inner.retired(from)).await
    }

    async fn sent(&self, query: SentQuery) -> Result<Vec<Sent>, Error> {
        self.count(Op::Other, self.inner.sent(query)).await
    }

    async fn get(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        self.count(Op::Other, self.inner.get(name)).await
    }

    async fn put(&self, name: &str, value: &[u8]) -> Result<(), Error> {
        self.count(Op::Other, self.inner.put(name, value)).await
    }

    async fn put_once(&self, name: &str, value: &[u8]) -> Result<bool, Error> {
        self.count(Op::Other, self.inner.put_once(name, value)).await
    }

    async fn values(&self, from: &str) -> Result<Page<String>, Error> {
        self.count(Op::Read, self.inner.values(from)).await
    }

    async fn keys(&self, from: &str) -> Result<Page<(InboundKey, ThreadId)>, Error> {
        self.count(Op::Read, self.inner.keys(from)).await
    }

    async fn hold(&self, name: &str, by: &str, ttl: Duration) -> Result<bool, Error> {
        self.count(Op::Other, self.inner.hold(name, by, ttl)).await
    }

    async fn let_go(&self, name: &str, by: &str) -> Result<(), Error> {
        self.count(Op::Other, self.inner.let_go(name, by)).await
    }

    async fn logs(&self, from: &str) -> Result<Page<ThreadId>, Error> {
        self.count(Op::Other, self.inner.logs(from)).await
    }

    async fn reset(&self) -> Result<(), Error> {
        self.count(Op::Other, self.inner.reset()).await
    }

    async fn restore(&self, messages: Vec<Sent>) -> Result<(), Error> {
        self.count(Op::Other, self.inner.restore(messages)).await
    }
}
