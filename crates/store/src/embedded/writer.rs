//! Writing: one thread owns the connection. What waits is written together in one transaction (group commit), so
//! that a busy store pays for one flush of the disk and not for one a request.
//!
//! What a crash of the machine may undo without harm (who has which lease) is not flushed: a process that dies loses none of it.
//!
//! Invariant: nobody is answered before the transaction that holds their request is written, and on the disk if they are to rely
//! on it; if it does not get there nobody in it is answered with what they saw in it.

use std::{
    any::Any,
    fmt,
    fs::File,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::Arc,
    thread::{self, JoinHandle},
};

use channel::{ChannelName, Timestamp};
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::{
    fault::{Fault, explain},
    file::{self, Identity},
    wakeup::Wakeups,
};
use crate::{Clock, Error};

/// So many requests may wait before callers do.
const WAITING_MAX: usize = 256;
/// So many requests go into one transaction.
const GROUP_MAX: usize = 256;

/// A handle to the thread. Dropping it lets what waits be written, and waits for the thread to end.
pub(super) struct Writer {
    requests: Option<mpsc::Sender<Box<dyn Request>>>,
    thread: Option<JoinHandle<()>>,
}

/// What a request works with: the connection inside its savepoint, and the time.
pub(super) struct Desk<'a> {
    /// The connection. Only for statements; the transaction is not the request's to end.
    pub(super) sql: &'a Connection,
    /// Now.
    pub(super) now: Timestamp,
    /// Whether this will be on the disk before anybody is answered.
    pub(super) flushed: bool,
    /// Who is to be told once this is written.
    pub(super) tell: Tell,
}

/// Who is to look for work again after a transaction.
#[derive(Debug, Default)]
pub(super) struct Tell {
    /// Those who wait for turns.
    pub(super) turns: bool,
    /// Those who wait for messages of these channels.
    pub(super) sends: Vec<ChannelName>,
}

/// Sends requests without keeping the thread alive: for what a caller leaves behind.
#[derive(Clone)]
pub(super) struct Afterwards(mpsc::WeakSender<Box<dyn Request>>);

impl Writer {
    /// Opens the file and starts the thread. `lock` is given back when the thread has closed the file.
    pub(super) fn start(
        path: PathBuf,
        lock: File,
        clock: Arc<dyn Clock>,
        wakeups: Arc<Wakeups>,
    ) -> Result<Self, Error> {
        let connection = file::open_writer(&path)?;
        let identity = file::identity(&path).ok().flatten();
        let (requests, inbox) = mpsc::channel(WAITING_MAX);
        let state = State { path, identity, connection: Some(connection), clock, wakeups };
        let thread = thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || {
                run(state, inbox);
                // Said, and not left to the closing: a process that is just being started may hold a copy of the
                // handle for a moment.
                lock.unlock().ok();
            })
            .map_err(|e| Error::Away { why: format!("no thread for the store: {e}") })?;
        Ok(Self { requests: Some(requests), thread: Some(thread) })
    }

    /// Does one thing in the next transaction; returns once that is on the disk.
    pub(super) async fn write<T, F>(&self, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&mut Desk<'_>) -> Result<T, Fault> + Send + 'static,
    {
        self.write_then(Flush::Yes, work, |done| done).await
    }

    /// The same for what a crash of the machine may undo: returns once the system has it.
    pub(super) async fn write_lightly<T, F>(&self, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&mut Desk<'_>) -> Result<T, Fault> + Send + 'static,
    {
        self.write_then(Flush::No, work, |done| done).await
    }

    /// Like [`Writer::write`]; `then` runs on the result after it is written, before it goes to the caller.
    pub(super) async fn write_then<T, U, F, G>(&self, flush: Flush, work: F, then: G) -> Result<U, Error>
    where
        T: Send + 'static,
        U: Send + 'static,
        F: FnOnce(&mut Desk<'_>) -> Result<T, Fault> + Send + 'static,
        G: FnOnce(T) -> U + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let task = Task {
            flush,
            work: Some(work),
            done: None,
            answer: Some(move |done: Result<T, Error>| {
                // The caller may have gone away; then nobody wants the answer.
                let _ = reply.send(done.map(then));
            }),
        };
        let stopped = || Error::Away { why: "the store's thread was cut off; it starts again".to_owned() };
        let requests = self.requests.as_ref().ok_or_else(stopped)?;
        requests.send(Box::new(task)).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }

    /// A way to send requests that nobody waits for.
    pub(super) fn afterwards(&self) -> Option<Afterwards> {
        self.requests.as_ref().map(|requests| Afterwards(requests.downgrade()))
    }
}

impl Afterwards {
    /// Does one thing soon, if the store still runs and is not flooded.
    pub(super) fn write<F>(&self, work: F)
    where
        F: FnOnce(&mut Desk<'_>) -> Result<(), Fault> + Send + 'static,
    {
        let Some(requests) = self.0.upgrade() else { return };
        let answer = |done: Result<(), Error>| {
            if let Err(error) = done {
                tracing::debug!(%error, "left undone");
            }
        };
        let task = Task { flush: Flush::Yes, work: Some(work), done: None, answer: Some(answer) };
        if requests.try_send(Box::new(task)).is_err() {
            tracing::debug!("left undone: the store is flooded or closed");
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.requests.take());
        if let Some(thread) = self.thread.take() {
            // It ends by itself; a panic in it was logged when it happened.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").finish_non_exhaustive()
    }
}

/// Whether a request must be on the disk before it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flush {
    Yes,
    No,
}

/// One request on its way.
trait Request: Send {
    /// Whether it must be on the disk.
    fn flush(&self) -> Flush;
    /// Does the work and keeps the result; says why when the savepoint is to be rolled back.
    fn run(&mut self, desk: &mut Desk<'_>, path: &str) -> Result<(), String>;
    /// Replaces whatever the result was.
    fn fail(&mut self, why: &str);
    /// Hands the result over.
    fn answer(self: Box<Self>);
}

struct Task<F, T, A> {
    flush: Flush,
    work: Option<F>,
    done: Option<Result<T, Error>>,
    answer: Option<A>,
}

impl<F, T, A> Request for Task<F, T, A>
where
    T: Send,
    F: FnOnce(&mut Desk<'_>) -> Result<T, Fault> + Send,
    A: FnOnce(Result<T, Error>) + Send,
{
    fn flush(&self) -> Flush {
        self.flush
    }

    fn run(&mut self, desk: &mut Desk<'_>, path: &str) -> Result<(), String> {
        let Some(work) = self.work.take() else { return Ok(()) };
        let done = work(desk).map_err(|fault| fault.into_error(path));
        let verdict = done.as_ref().map(|_| ()).map_err(Error::to_string);
        self.done = Some(done);
        verdict
    }

    fn fail(&mut self, why: &str) {
        self.done = Some(Err(Error::Away { why: why.to_owned() }));
    }

    fn answer(mut self: Box<Self>) {
        if let (Some(answer), Some(done)) = (self.answer.take(), self.done.take()) {
            answer(done);
        }
    }
}

struct State {
    path: PathBuf,
    identity: Option<Identity>,
    connection: Option<Connection>,
    clock: Arc<dyn Clock>,
    wakeups: Arc<Wakeups>,
}

fn run(mut state: State, mut inbox: mpsc::Receiver<Box<dyn Request>>) {
    while let Some(first) = inbox.blocking_recv() {
        let mut group = vec![first];
        while group.len() < GROUP_MAX
            && let Ok(next) = inbox.try_recv()
        {
            group.push(next);
        }
        // A fault of ours in one request costs the requests beside it their answers (they are dropped with the group,
        // and their callers hear that the store is away), and no more.
        let work = AssertUnwindSafe(|| state.carry_out(group));
        if let Err(panic) = catch_unwind(work) {
            tracing::error!(
                panic = text_of(panic.as_ref()),
                "the store's thread was cut off; it starts again"
            );
            state.connection = None;
        }
    }
}

impl State {
    fn carry_out(&mut self, mut group: Vec<Box<dyn Request>>) {
        match self.transact(&mut group) {
            Ok(tell) => {
                for request in group {
                    request.answer();
                }
                self.wakeups.tell(&tell);
            }
            Err(why) => {
                tracing::warn!(%why, requests = group.len(), "nothing could be written");
                for mut request in group {
                    request.fail(&why);
                    request.answer();
                }
            }
        }
    }

    /// Runs a group in one transaction. An error means that none of it was written; also those who were refused for
    /// a reason must then not hear the reason, which may rest on what a neighbour had written.
    fn transact(&mut self, group: &mut [Box<dyn Request>]) -> Result<Tell, String> {
        let path = self.path.display().to_string();
        let connection = self.connected()?;
        let result = write_group(&connection, group, self.clock.as_ref(), &path);
        let clean = connection.is_autocommit() || connection.execute_batch("ROLLBACK").is_ok();
        // One that cannot even undo is given up, and opened again for the next group.
        if clean {
            self.connection = Some(connection);
        }
        result
    }

    /// The connection, opened again if it was given up. Taken out, so that a panic gives it up.
    fn connected(&mut self) -> Result<Connection, String> {
        let here = file::identity(&self.path).map_err(|e| format!("{} is lost: {e}", self.path.display()))?;
        if here != self.identity {
            let why = format!(
                "{} was replaced by another file while it was open; put it back, or start again",
                self.path.display()
            );
            return Err(why);
        }
        match self.connection.take() {
            Some(connection) => Ok(connection),
            None => file::open_writer(&self.path).map_err(|e| e.to_string()),
        }
    }
}

fn write_group(
    connection: &Connection,
    group: &mut [Box<dyn Request>],
    clock: &dyn Clock,
    path: &str,
) -> Result<Tell, String> {
    let execute = |sql: &str| {
        let done = connection.prepare_cached(sql).and_then(|mut statement| statement.execute([]));
        done.map(|_| ()).map_err(|e| explain(&e, path).to_string())
    };
    let mut told = Tell::default();
    // Between transactions, and what is flushed brings along what was not.
    let flush = group.iter().any(|request| request.flush() == Flush::Yes);
    execute(if flush { "PRAGMA synchronous = FULL" } else { "PRAGMA synchronous = NORMAL" })?;
    execute("BEGIN IMMEDIATE")?;
    for request in group.iter_mut() {
        execute("SAVEPOINT request")?;
        let mut desk = Desk { sql: connection, now: clock.now(), flushed: flush, tell: Tell::default() };
        match request.run(&mut desk, path) {
            Ok(()) => told.add(desk.tell),
            // SQLite may have rolled back everything by itself, as on a full disk: then the whole group has failed.
            Err(why) if connection.is_autocommit() => return Err(why),
            Err(_) => execute("ROLLBACK TO request")?,
        }
        execute("RELEASE request")?;
    }
    execute("COMMIT")?;
    Ok(told)
}

impl Tell {
    /// The channel has a message that may be due.
    pub(super) fn send(&mut self, channel: &ChannelName) {
        if !self.sends.contains(channel) {
            self.sends.push(channel.clone());
        }
    }

    fn add(&mut self, other: Tell) {
        self.turns |= other.turns;
        for channel in &other.sends {
            self.send(channel);
        }
    }
}

fn text_of(panic: &(dyn Any + Send)) -> &str {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => text,
        (None, Some(text)) => text,
        (None, None) => "no words",
    }
}
