//! The board: everything the gateway works with, wired once at the start.

use std::{
    collections::BTreeMap,
    hash::{BuildHasher, Hasher, RandomState},
    sync::Arc,
    time::Duration,
};

use agent::{Agent, Chain, Directory, Event, Press, Record, Route, Seq, Thread, ThreadId, Tickets, Version};
use channel::{Capabilities, Channel, ChannelName, Health, InboundKey, Outgoing};
use model::Model;
use store::{Batch, Clock, Lease, Settle, Store};
use tokio::sync::broadcast;
use tool::Tool;

use crate::{library::Library, retire::Retention, seal::Audit};

/// When so many events are to be written together, what follows from them is decided after that.
const TOGETHER_MAX: usize = 64;
/// How many requests given up may be told of before the first is looked at.
const GIVEN_UP_MAX: usize = 64;

/// Everything the gateway works with.
pub struct Board {
    /// Durable state.
    pub store: Arc<dyn Store>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The humans.
    pub directory: Directory,
    /// Which agent takes a message.
    pub routes: Vec<Route>,
    /// The agent that takes what no route takes.
    pub default_agent: Option<String>,
    /// The agents.
    pub library: Library,
    /// The models, by the name that agents use.
    pub models: BTreeMap<String, Arc<dyn Model>>,
    /// The tools.
    pub tools: Arc<dyn Tool>,
    /// The channels.
    pub channels: BTreeMap<ChannelName, Arc<dyn Channel>>,
    /// How each channel is.
    pub health: BTreeMap<ChannelName, Health>,
    /// Tells the workers of this process which request was given up.
    pub given_up: GivenUp,
    /// Makes and checks tickets.
    pub tickets: Tickets,
    /// The folder with the agents' folders.
    pub agents_folder: std::path::PathBuf,
    /// Numbers.
    pub settings: Settings,
}

/// Tells workers that a request was given up, so that a model is not listened to any longer.
#[derive(Debug)]
pub struct GivenUp(broadcast::Sender<ThreadId>);

impl Default for GivenUp {
    fn default() -> Self {
        Self(broadcast::Sender::new(GIVEN_UP_MAX))
    }
}

impl GivenUp {
    /// Says so.
    fn tell(&self, thread: &ThreadId) {
        // Where nobody works on anything, nobody need hear it.
        let _ = broadcast::Sender::send(&self.0, thread.clone());
    }

    /// Returns when it is said of this thread.
    pub(crate) async fn heard(heard: &mut broadcast::Receiver<ThreadId>, thread: &ThreadId) {
        loop {
            match heard.recv().await {
                Ok(of) if of != *thread => {}
                // Who missed some of them looks.
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => return,
                Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
            }
        }
    }

    /// Hears what is said from now on.
    pub(crate) fn listen(&self) -> broadcast::Receiver<ThreadId> {
        self.0.subscribe()
    }
}

/// Numbers of the runtime. The defaults suit one machine.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The name of this process among the workers of one store, which no other of them has: the right to listen alone is
    /// had under it.
    pub worker: String,
    /// Threads stepped at the same time.
    pub turns_max: usize,
    /// Messages sent at the same time on one channel.
    pub sends_max: usize,
    /// Messages accepted at the same time.
    pub accepts_max: usize,
    /// How long a lease lasts without a heartbeat.
    pub lease: Duration,
    /// How long one attempt to send may take.
    pub send_timeout: Duration,
    /// How long a message is tried before it is given up.
    pub send_for: Duration,
    /// How long work in flight may go on after a stop was asked for.
    pub drain: Duration,
    /// How long after its end a conversation at the same place is still the same one.
    pub renew_after: Duration,
    /// How many events a thread may have before the next request at its place goes on in a new one.
    pub events_max: u64,
    /// The longest text that is taken, in bytes.
    pub text_bytes_max: usize,
    /// The largest file that is kept, in bytes.
    pub file_bytes_max: usize,
    /// The largest text file that is shown to an agent, in bytes.
    pub shown_bytes_max: usize,
    /// What leaves the store for the archive; nothing where there is none.
    pub retention: Option<Retention>,
    /// How the logs are sealed; not at all where it is not said.
    pub audit: Option<Audit>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            worker: unique(),
            turns_max: 64,
            sends_max: 8,
            accepts_max: 64,
            lease: Duration::from_secs(30),
            send_timeout: Duration::from_secs(60),
            send_for: Duration::from_secs(3 * 86_400),
            drain: Duration::from_secs(20),
            renew_after: Duration::from_secs(30 * 86_400),
            events_max: 400,
            text_bytes_max: 256 * 1024,
            file_bytes_max: 10 * 1024 * 1024,
            shown_bytes_max: 16 * 1024,
            retention: None,
            audit: None,
        }
    }
}

/// A name for this process. The number of the process alone is no name: in containers it is often the same.
fn unique() -> String {
    let random = RandomState::new().build_hasher().finish();
    format!("gateway-{}-{random:016x}", std::process::id())
}

/// What a commit carries beside its events.
#[derive(Default)]
pub(crate) struct With {
    /// The version the decision was made at; none for a fact.
    pub(crate) expect: Option<Version>,
    /// The lease on the thread.
    pub(crate) fence: Option<Lease>,
    /// The names of the inbound.
    pub(crate) keys: Vec<InboundKey>,
    /// The message whose sending ends with this.
    pub(crate) settle: Option<Settle>,
    /// Whether a worker is to look at the thread.
    pub(crate) wake: bool,
}

impl Board {
    /// Loads and folds a thread.
    ///
    /// # Errors
    /// The store's.
    pub async fn thread(&self, id: &ThreadId) -> Result<Thread, store::Error> {
        Ok(Thread::fold(id.clone(), self.store.load(id, Version(0)).await?))
    }

    /// Writes events to a thread, with the messages that they cause, and follows them.
    ///
    /// # Errors
    /// The store's. The thread has followed the events nevertheless: load it again before using it.
    pub(crate) async fn write(
        &self,
        thread: &mut Thread,
        events: Vec<Event>,
        with: With,
    ) -> Result<(), store::Error> {
        self.write_on(thread, events, with, |_| Vec::new()).await
    }

    /// The same together with what is decided from the thread as it is then, until nothing is: one write instead of several.
    ///
    /// # Errors
    /// As [`Board::write`].
    pub(crate) async fn write_on(
        &self,
        thread: &mut Thread,
        mut events: Vec<Event>,
        with: With,
        mut next: impl FnMut(&Thread) -> Vec<Event>,
    ) -> Result<(), store::Error> {
        let now = self.clock.now();
        let mut records: Vec<Record> = Vec::new();
        let first = thread.version().0;
        while !events.is_empty() && records.len() < TOGETHER_MAX {
            for mut event in events {
                // Only at a known version is it known what it stands on.
                if let Some((_, _, evidence)) = event.evidence().filter(|_| with.expect.is_some()) {
                    evidence.chain = Some(Chain::new(thread.id()).over(thread.records()).hex());
                }
                let record = Record::new(now, event);
                thread.apply(record.clone());
                records.push(record);
            }
            events = next(thread);
        }
        // Only a decision, made at a known version, causes messages: their names derive from places in the log.
        let outgoing = match with.expect {
            Some(_) => self.consequences(thread, first).await,
            None => Vec::new(),
        };
        let batch = Batch {
            thread: thread.id().clone(),
            expect: with.expect,
            fence: with.fence,
            records,
            keys: with.keys,
            outgoing,
            wake: with.wake,
            settle: with.settle,
        };
        let gives_up = batch.records.iter().any(|record| matches!(record.event, Event::Cancelled { .. }));
        let version = self.store.commit(batch).await?;
        if gives_up {
            self.given_up.tell(thread.id());
        }
        if version != thread.version() {
            *thread = self.thread(thread.id()).await?;
        }
        Ok(())
    }

    /// The messages that the events from place `first` on cause.
    pub(crate) async fn consequences(&self, thread: &Thread, first: u64) -> Vec<Outgoing> {
        let agent = self.agent_of(thread).await;
        let capabilities = |name: &ChannelName| self.capabilities(name);
        let secrets = |tool: &str| {
            // What an agent keeps secret is not known without it.
            let tools = &agent.as_ref()?.spec().tools;
            Some(tools.get(tool).map(|tool| tool.secret.clone()).unwrap_or_default())
        };
        let press = Press { tickets: &self.tickets, capabilities: &capabilities, secrets: &secrets };
        (first..thread.version().0).flat_map(|seq| agent::outgoing(thread, Seq(seq), &press)).collect()
    }

    /// The agent of a thread, in its version.
    pub(crate) async fn agent_of(&self, thread: &Thread) -> Option<Arc<Agent>> {
        self.library.pinned(thread.agent()?, self.store.as_ref()).await.ok()
    }

    /// What a channel can do.
    pub(crate) fn capabilities(&self, name: &ChannelName) -> Option<Capabilities> {
        self.channels.get(name).map(|channel| channel.capabilities())
    }
}
