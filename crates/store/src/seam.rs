//! What a store does. The laws are in `testkit::store_laws!`.

use std::time::Duration;

use agent::{Home, Record, ThreadId, Version};
use async_trait::async_trait;
use channel::{Address, ChannelName, DeliveryKey, InboundKey, MessageRef, Outgoing, Timestamp};

/// The most messages that [`Store::sent`] returns.
pub const SENT_MAX: usize = 10_000;
/// The most threads that [`Store::threads`] returns.
pub const THREADS_MAX: usize = 1_000;
/// The most work that one [`Store::claim`] takes, whatever it asks for.
pub const CLAIM_MAX: usize = 256;
/// The most bytes of a kept value.
pub const VALUE_MAX: usize = 64 << 20;
/// The most bytes of the name of a kept value or a right, and of who holds it.
pub const NAME_MAX: usize = 1024;
/// The most bytes of a batch, as JSON.
pub const BATCH_MAX: usize = 32 << 20;
/// How long an inbound key is remembered, at least.
pub const KEYS_KEPT: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Durable state. Every method may be called from any task at any time.
#[async_trait]
pub trait Store: Send + Sync {
    /// The events of a thread from place `from` on; empty for a thread that does not exist.
    ///
    /// # Errors
    /// `Unreadable` when an event is not understood; `Away`.
    async fn load(&self, thread: &ThreadId, from: Version) -> Result<Vec<Record>, Error>;

    /// Writes one batch, whole or not at all; returns the thread's new version.
    ///
    /// # Errors
    /// `Duplicate`, `Fenced`, `Conflict` (the first of these that applies; `Conflict` at version 0 also where the thread was
    /// retired, or would come to be before one that was), `Refused`: nothing was written. `Away`:
    /// nothing was written, or the answer was lost; the same batch may come again if its keys, its `expect` or its
    /// `settle` keep it from counting twice.
    async fn commit(&self, batch: Batch) -> Result<Version, Error>;

    /// Takes work that is due, longest due first, waiting up to `claim.wait` for some to come. May return nothing. Of what it
    /// hands over, each lease has at least half of its time left.
    /// A caller that gives up waiting (drops the future) leaves nothing leased, as far as the store can tell.
    ///
    /// # Errors
    /// `Away`; `Refused` by a store that was opened for reading.
    async fn claim(&self, claim: Claim) -> Result<Vec<Work>, Error>;

    /// Keeps a lease for `ttl` from now. One that expired and was not taken over is held again.
    ///
    /// # Errors
    /// `Fenced` when it was lost; `Away`.
    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<(), Error>;

    /// Gives a lease back, and says when the work is due again. A wake that came while it was held is not lost.
    ///
    /// # Errors
    /// `Fenced` when it was lost; `Away`.
    async fn release(&self, lease: &Lease, again: Again) -> Result<(), Error>;

    /// The youngest thread at a home, also one that was retired.
    ///
    /// # Errors
    /// `Away`.
    async fn latest(&self, home: &Home) -> Result<Option<ThreadId>, Error>;

    /// Threads in the order their last events were written (one without events: as it came to be), latest first, at most `limit` of them (and [`THREADS_MAX`]) after
    /// `skip`.
    ///
    /// # Errors
    /// `Away`.
    async fn threads(&self, skip: usize, limit: usize) -> Result<Vec<Summary>, Error>;

    /// Threads that were set aside ([`Again::Bury`]), the last written first, at most `limit` of them (and [`THREADS_MAX`]).
    /// A batch that wakes one digs it up, and its attempts are counted anew.
    ///
    /// # Errors
    /// `Away`.
    async fn buried(&self, limit: usize) -> Result<Vec<Summary>, Error>;

    /// As [`Store::threads`], from the other end: the one that was written longest ago comes first.
    ///
    /// # Errors
    /// `Away`.
    async fn oldest(&self, skip: usize, limit: usize) -> Result<Vec<Summary>, Error>;

    /// Takes a whole thread away: its log, and its messages, whose names are among `messages` (`agent::message_names`). That
    /// it was there stays known: no thread of its generation, or of an earlier one that is not there, comes to be at its home
    /// again, so no name of a thread or a message comes twice. The names of its inbounds stay until they are forgotten.
    ///
    /// # Errors
    /// `Conflict` when it has another version, or is not there; `NotAtRest` when a worker has it, it is due, has a deadline
    /// or was set aside, or one of its messages waits: nothing was taken away. `Refused` by a store that was opened for
    /// reading; `Away`: nothing was taken away, or the answer was lost.
    async fn retire(
        &self,
        thread: &ThreadId,
        version: Version,
        messages: &[DeliveryKey],
    ) -> Result<(), Error>;

    /// The youngest thread that was retired at each home, to carry them to another store; in pages as [`Store::values`].
    ///
    /// # Errors
    /// `Away`.
    async fn retired(&self, from: &str) -> Result<Page<ThreadId>, Error>;

    /// Messages out, in the order they were committed. Where there are more than [`SENT_MAX`], the last so many.
    ///
    /// # Errors
    /// `Unreadable` when a message is not understood; `Away`.
    async fn sent(&self, query: SentQuery) -> Result<Vec<Sent>, Error>;

    /// A kept value.
    ///
    /// # Errors
    /// `Away`.
    async fn get(&self, name: &str) -> Result<Option<Vec<u8>>, Error>;

    /// Keeps a value under a name, durably; replaces what was there.
    ///
    /// # Errors
    /// `Refused` above [`VALUE_MAX`] or [`NAME_MAX`]; `Away`.
    async fn put(&self, name: &str, value: &[u8]) -> Result<(), Error>;

    /// Keeps a value under a name for good, unless another one is kept there: the first counts. Returns whether this is the one
    /// that is kept there now; so whoever does not know whether it was taken asks again.
    ///
    /// # Errors
    /// As [`Store::put`].
    async fn put_once(&self, name: &str, value: &[u8]) -> Result<bool, Error>;

    /// The names of kept values, to carry them to another store: a page of them from `from` on, which is empty at first and
    /// then what the page before named. What is there all the while stands in some page, and may stand in two.
    ///
    /// # Errors
    /// `Away`.
    async fn values(&self, from: &str) -> Result<Page<String>, Error>;

    /// The names of inbounds that are remembered, with their threads, likewise.
    ///
    /// # Errors
    /// `Away`.
    async fn keys(&self, from: &str) -> Result<Page<(InboundKey, ThreadId)>, Error>;

    /// Takes the right to do something alone, or keeps it, for `ttl` from now. Returns whether `by` has it now; it does not
    /// while somebody else has it. Whoever has it keeps it by asking again in time; after `ttl` it is anybody's.
    ///
    /// It has no epoch, and no commit checks it: it only says who begins something that should be done once at a time.
    /// One who was stopped for longer than `ttl` may go on beside the next until it asks again, so what is done must be
    /// safe when it is done twice. `by` is a name that nobody else asks under.
    ///
    /// # Errors
    /// `Refused` above [`NAME_MAX`], or by a store that was opened for reading; `Away`: the right may be had nevertheless.
    async fn hold(&self, name: &str, by: &str, ttl: Duration) -> Result<bool, Error>;

    /// Gives such a right back, so that somebody else may have it at once. One that `by` does not have stays where it is.
    ///
    /// # Errors
    /// As [`Store::hold`].
    async fn let_go(&self, name: &str, by: &str) -> Result<(), Error>;

    /// Threads that have a log, whatever else the store knows of them: a page of them, as of [`Store::values`].
    ///
    /// # Errors
    /// `Away`.
    async fn logs(&self, from: &str) -> Result<Page<ThreadId>, Error>;

    /// Forgets all that follows from the logs: what is due, leases, deadlines, who was set aside, the outbox. Every thread is
    /// asleep at the end of its log afterwards. Logs, kept values, names of inbounds, generations and rights stay. It may be
    /// begun again after it broke off. Nobody may work on the store meanwhile.
    ///
    /// # Errors
    /// `Refused` where it is seen that somebody does, or by a store that was opened for reading; `Away`.
    async fn reset(&self) -> Result<(), Error>;

    /// Puts messages into the outbox as they were, behind those that are there. One that waits counts as tried before, so that
    /// its channel looks whether it arrived. One whose key is in the outbox already is left as it is.
    ///
    /// # Errors
    /// `Refused` for what would not read back, or by a store that was opened for reading; `Away`: some of them may be there.
    async fn restore(&self, messages: Vec<Sent>) -> Result<(), Error>;
}

/// What is written together.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// The thread; it comes to be with its first batch.
    pub thread: ThreadId,
    /// The version the thread must have; none to append whatever came between. A decision says `Some`, a fact that
    /// has already happened says `None`.
    pub expect: Option<Version>,
    /// A lease on the thread that must still be held.
    pub fence: Option<Lease>,
    /// Events to append.
    pub records: Vec<Record>,
    /// Names of the inbound that caused this. If any was seen before (on any thread, within [`KEYS_KEPT`]), nothing
    /// is written.
    pub keys: Vec<InboundKey>,
    /// Messages to send. One whose key is in the outbox already is left as it is.
    pub outgoing: Vec<Outgoing>,
    /// Whether a worker is to look at the thread now, or, while a lease is held on it, as soon as that is released.
    pub wake: bool,
    /// The message whose sending this batch ends. Its lease must still be held.
    pub settle: Option<Settle>,
}

impl Batch {
    /// A batch that does nothing yet.
    pub fn new(thread: ThreadId) -> Self {
        Self {
            thread,
            expect: None,
            fence: None,
            records: Vec::new(),
            keys: Vec::new(),
            outgoing: Vec::new(),
            wake: false,
            settle: None,
        }
    }
}

/// The end of one message's sending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settle {
    /// The lease it was claimed with.
    pub lease: Lease,
    /// `Sent` or `Dead`; never `Waiting`.
    pub state: SendState,
    /// The platform's name of it.
    pub message: Option<MessageRef>,
}

/// A claim on work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Who asks; the same name for the life of a process.
    pub worker: String,
    /// What sort of work.
    pub wanted: Wanted,
    /// At most so much.
    pub max: usize,
    /// How long the lease is held without a renewal.
    pub ttl: Duration,
    /// How long to wait for work to come.
    pub wait: Duration,
}

/// A sort of work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Threads whose next step is due.
    Turns,
    /// Messages of one channel that are due. Of each address only the oldest unsettled message, so that order is kept.
    Sends(ChannelName),
}

/// Claimed work.
#[derive(Clone, Debug, PartialEq)]
pub enum Work {
    /// A thread to step.
    Turn {
        /// The lease; it names the thread.
        lease: Lease,
        /// The thread.
        thread: ThreadId,
        /// Which attempt this is since it last went well, or since a worker last wrote an event, counting from 1; counted before
        /// it begins, so that a worker which dies of it counts too.
        attempt: u32,
    },
    /// A message to send.
    Send {
        /// The lease; it names the message.
        lease: Lease,
        /// The thread it belongs to.
        thread: ThreadId,
        /// The message.
        outgoing: Box<Outgoing>,
        /// Which attempt this is, counting from 1; counted durably before it begins.
        attempt: u32,
        /// When the first attempt began.
        since: Timestamp,
    },
}

/// The right to work on a thread or a message, until it is released or taken over. Once it has expired others may
/// take it over; until one does, it still counts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Lease {
    /// The thread's id or the message's key.
    pub on: String,
    /// Rises each time the lease is taken; an older one commits nothing.
    pub epoch: u64,
}

/// When work is due again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Again {
    /// A thread waits: until `until`, or until a batch wakes it. If something was written beyond `seen` already, it is
    /// due now. A message has nothing to wait for: it is due at `until`, or now.
    Sleep {
        /// The version that was looked at.
        seen: Version,
        /// The next deadline, if there is one.
        until: Option<Timestamp>,
    },
    /// It did not work, for a reason that lies elsewhere; not before `at`. No attempt is counted.
    Retry {
        /// When.
        at: Timestamp,
        /// Why, for the operator.
        why: String,
    },
    /// It did not work, and the thread itself may be the reason; not before `at`. The attempt counts.
    Stuck {
        /// When.
        at: Timestamp,
        /// Why, for the operator.
        why: String,
    },
    /// A thread is set aside, until a batch wakes it; one that came while the lease was held does at once. A message cannot
    /// be: it settles as dead (`Refused`).
    Bury {
        /// Why, for the operator.
        why: String,
    },
}

/// A message and what became of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Sent {
    /// The thread it belongs to.
    pub thread: ThreadId,
    /// The message.
    pub outgoing: Outgoing,
    /// What became of it.
    pub state: SendState,
    /// The platform's name of it, once sent.
    pub message: Option<MessageRef>,
    /// The last error, while it waits.
    pub error: Option<String>,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendState {
    /// It waits or is being sent.
    Waiting,
    /// The platform has it.
    Sent,
    /// It will never be sent.
    Dead,
}

/// Which messages to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SentQuery {
    /// All to this address.
    At(Address),
    /// The one with this key.
    Key(DeliveryKey),
    /// The one with this name on this channel.
    Message(ChannelName, MessageRef),
    /// All that wait, on any channel.
    Waiting,
}

/// A part of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// What is in it; may be nothing, with more to come.
    pub items: Vec<T>,
    /// Where the next page begins; none where this is the last.
    pub next: Option<String>,
}

/// One thread in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Its id.
    pub thread: ThreadId,
    /// How many events it has.
    pub version: Version,
    /// When its last event was written.
    pub updated: Timestamp,
    /// When it is due; none when it sleeps without a deadline. While a worker has it: when the lease expires.
    pub due: Option<Timestamp>,
    /// Why it was set aside, while it is.
    pub buried: Option<String>,
}

/// What a store can say no with.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The thread has another version than expected; load and decide again.
    #[error("thread {thread} is at version {actual}, not the expected one")]
    Conflict {
        /// The thread.
        thread: ThreadId,
        /// The version it has.
        actual: Version,
    },
    /// One of the inbound keys was seen before.
    #[error("the inbound `{key}` was taken before")]
    Duplicate {
        /// Which key.
        key: String,
    },
    /// There is still something to do about the thread, or somebody does something about it, so it is not taken away.
    #[error("thread {thread} is not at rest: {why}")]
    NotAtRest {
        /// The thread.
        thread: ThreadId,
        /// What there is to do.
        why: String,
    },
    /// The lease was lost to another worker.
    #[error("the lease on {on} was lost")]
    Fenced {
        /// What it was on.
        on: String,
    },
    /// A record in the log is not understood by this build.
    #[error("event {seq} of thread {thread} cannot be read: {why}")]
    Unreadable {
        /// The thread.
        thread: ThreadId,
        /// The place in the log.
        seq: u64,
        /// What is wrong.
        why: String,
    },
    /// Another process holds the store.
    #[error(
        "{path} is in use by another process{holder}; stop that one first, or give this one another `store.path`"
    )]
    InUse {
        /// The file.
        path: String,
        /// ` (pid 123)` where it is known.
        holder: String,
    },
    /// It will never be done, however often it is tried: a file that is no store, a batch or value above the limits,
    /// an event that would not read back as it was written, a write to a store opened for reading.
    #[error("the store refuses: {why}")]
    Refused {
        /// What is wrong, and the remedy where one is known.
        why: String,
    },
    /// The store cannot be reached or written: a full disk, a lost file.
    #[error("the store is away: {why}")]
    Away {
        /// What is wrong.
        why: String,
    },
}

/// Reads the time. Behind a seam so that a simulation can hold the hands.
pub trait Clock: Send + Sync {
    /// Now, UTC.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}
