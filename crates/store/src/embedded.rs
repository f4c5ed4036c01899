//! The embedded store: one SQLite file, written by one thread, read by a few.
//!
//! `sqlite3 store.db` shows it all; the scripts in `src/embedded/schema/` say what the columns mean.

mod codec;
mod commit;
mod fault;
mod file;
mod hold;
mod lease;
mod query;
mod readers;
mod rebuild;
mod retire;
mod schema;
#[cfg(test)]
mod tests;
mod wakeup;
mod writer;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use agent::{Home, Record, ThreadId, Version};
use async_trait::async_trait;
use channel::{DeliveryKey, InboundKey};
use rusqlite::params;
use tokio::time::{Instant, sleep_until};

use self::{
    lease::{Found, Handover},
    readers::Readers,
    wakeup::Wakeups,
    writer::{Flush, Writer},
};
use crate::{Again, Batch, Claim, Clock, Error, Lease, Page, Sent, SentQuery, Store, Summary, Wanted, Work};

/// A waiting claim looks again after so long at the latest: a clock that was set, or a machine that slept, makes work
/// due without anybody saying so.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// A waiting claim rests at least so long.
const REST: Duration = Duration::from_millis(1);

/// The embedded store.
///
/// One process writes a file at a time; a lock beside it (`store.db.lock`) sees to that. Dropping the store writes
/// what waits, closes the file and gives the lock back before it returns.
pub struct Embedded {
    path: PathBuf,
    /// None when it was opened for reading.
    writer: Option<Writer>,
    readers: Readers,
    wakeups: Arc<Wakeups>,
    clock: Arc<dyn Clock>,
}

impl Embedded {
    /// Opens a store, and makes its folders and its file where they are missing. Work that another process had taken
    /// when it ended is due at once.
    ///
    /// # Errors
    /// `InUse` when another process writes it; `Refused` when the file is no store of this or an older build; `Away`.
    pub fn open(path: &Path, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        let this = Self::open_unswept(path, clock)?;
        if let Some(afterwards) = this.writer.as_ref().and_then(Writer::afterwards) {
            // The first in the queue: nobody can claim before.
            afterwards.write(|desk| {
                lease::orphans(desk)?;
                hold::orphans(desk)
            });
        }
        Ok(this)
    }

    /// Opens a store that another process may be writing. Everything that writes is refused.
    ///
    /// # Errors
    /// `Refused` when there is no file, or it is no store of this build; `Away`.
    pub fn read_only(path: &Path) -> Result<Self, Error> {
        if !path.is_file() {
            let why =
                format!("there is no store at {}; the gateway makes it when it first runs", path.display());
            return Err(Error::Refused { why });
        }
        schema::refuse_unread(&file::open_reader(path)?, path)?;
        Ok(Self {
            path: path.to_path_buf(),
            writer: None,
            readers: Readers::new(path.to_path_buf()),
            wakeups: Arc::default(),
            clock: Arc::new(crate::SystemClock),
        })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn open_unswept(path: &Path, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        file::create(path)?;
        let lock = file::lock(path)?;
        let wakeups = Arc::<Wakeups>::default();
        let writer = Writer::start(path.to_path_buf(), lock, Arc::clone(&clock), Arc::clone(&wakeups))?;
        Ok(Self {
            path: path.to_path_buf(),
            writer: Some(writer),
            readers: Readers::new(path.to_path_buf()),
            wakeups,
            clock,
        })
    }

    fn writer(&self) -> Result<&Writer, Error> {
        self.writer.as_ref().ok_or_else(|| Error::Refused {
            why: format!("{} was opened for reading only", self.path.display()),
        })
    }

    /// One look for work.
    async fn look(&self, claim: &Claim) -> Result<Found, Error> {
        let writer = self.writer()?;
        let (wanted, afterwards) = (claim.clone(), writer.afterwards());
        // That a message was tried must be known also after a crash of the machine; who had which thread need not.
        let flush = match claim.wanted {
            Wanted::Turns => Flush::No,
            Wanted::Sends(_) => Flush::Yes,
        };
        let handover = writer
            .write_then(
                flush,
                move |desk| lease::claim(desk, &wanted),
                move |found| Handover::new(found, afterwards),
            )
            .await?;
        Ok(handover.take().unwrap_or(Found { work: Vec::new(), next: None }))
    }

    /// When to look again: when the next work is due, by our clock.
    fn nap(&self, next: Option<channel::Timestamp>) -> Duration {
        let until_due = next.map_or(LOOK_AGAIN, |due| {
            Duration::try_from(due.duration_since(self.clock.now())).unwrap_or(Duration::ZERO)
        });
        until_due.clamp(REST, LOOK_AGAIN)
    }
}

#[async_trait]
impl Store for Embedded {
    async fn load(&self, thread: &ThreadId, from: Version) -> Result<Vec<Record>, Error> {
        let thread = thread.clone();
        self.readers.read(move |sql| query::load(sql, &thread, from)).await
    }

    async fn commit(&self, batch: Batch) -> Result<Version, Error> {
        let writer = self.writer()?;
        // By the caller's task, so that the writer's thread does not spend its time on JSON.
        let batch = crate::codec::encode(batch)?;
        writer.write(move |desk| commit::write(desk, &batch)).await
    }

    async fn claim(&self, claim: Claim) -> Result<Vec<Work>, Error> {
        let give_up = Instant::now() + claim.wait;
        let bell = self.wakeups.bell(&claim.wanted);
        loop {
            // Listening begins before the look, so that nothing falls between the look and the wait.
            let mut rung = std::pin::pin!(bell.notified());
            rung.as_mut().enable();
            let found = self.look(&claim).await?;
            let now = Instant::now();
            if !found.work.is_empty() || now >= give_up {
                return Ok(found.work);
            }
            tokio::select! {
                () = rung => {}
                () = sleep_until(give_up.min(now + self.nap(found.next))) => {}
            }
        }
    }

    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<(), Error> {
        let lease = lease.clone();
        self.writer()?.write_lightly(move |desk| lease::renew(desk, &lease, ttl)).await
    }

    async fn release(&self, lease: &Lease, again: Again) -> Result<(), Error> {
        let lease = lease.clone();
        self.writer()?.write_lightly(move |desk| lease::release(desk, &lease, &again)).await
    }

    async fn latest(&self, home: &Home) -> Result<Option<ThreadId>, Error> {
        let home = home.clone();
        self.readers.read(move |sql| query::latest(sql, &home)).await
    }

    async fn threads(&self, skip: usize, limit: usize) -> Result<Vec<Summary>, Error> {
        self.readers.read(move |sql| query::threads(sql, skip, limit)).await
    }

    async fn buried(&self, limit: usize) -> Result<Vec<Summary>, Error> {
        self.readers.read(move |sql| query::buried(sql, limit)).await
    }

    async fn oldest(&self, skip: usize, limit: usize) -> Result<Vec<Summary>, Error> {
        self.readers.read(move |sql| query::oldest(sql, skip, limit)).await
    }

    /// The file knows the thread's messages by itself.
    async fn retire(&self, thread: &ThreadId, version: Version, _: &[DeliveryKey]) -> Result<(), Error> {
        let thread = thread.clone();
        self.writer()?.write(move |desk| retire::retire(desk, &thread, version)).await
    }

    async fn retired(&self, from: &str) -> Result<Page<ThreadId>, Error> {
        let from = from.to_owned();
        self.readers.read(move |sql| query::retired(sql, &from)).await
    }

    async fn sent(&self, query: SentQuery) -> Result<Vec<Sent>, Error> {
        self.readers.read(move |sql| query::sent(sql, &query)).await
    }

    async fn get(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        let name = name.to_owned();
        self.readers.read(move |sql| query::get(sql, &name)).await
    }

    async fn put(&self, name: &str, value: &[u8]) -> Result<(), Error> {
        let writer = self.writer()?;
        crate::codec::refuse_large(name, value)?;
        let (name, value) = (name.to_owned(), value.to_vec());
        writer
            .write(move |desk| {
                let sql = "INSERT INTO value (name, at, bytes) VALUES (?1, ?2, ?3)
                           ON CONFLICT (name) DO UPDATE SET at = excluded.at, bytes = excluded.bytes";
                desk.sql.prepare_cached(sql)?.execute(params![name, codec::time(desk.now), value])?;
                Ok(())
            })
            .await
    }

    async fn put_once(&self, name: &str, value: &[u8]) -> Result<bool, Error> {
        let writer = self.writer()?;
        crate::codec::refuse_large(name, value)?;
        let (name, value) = (name.to_owned(), value.to_vec());
        writer
            .write(move |desk| {
                let sql =
                    "INSERT INTO value (name, at, bytes) VALUES (?1, ?2, ?3) ON CONFLICT (name) DO NOTHING";
                desk.sql.prepare_cached(sql)?.execute(params![name, codec::time(desk.now), value])?;
                Ok(query::get(desk.sql, &name)? == Some(value))
            })
            .await
    }

    async fn values(&self, from: &str) -> Result<Page<String>, Error> {
        let from = from.to_owned();
        self.readers.read(move |sql| query::values(sql, &from)).await
    }

    async fn keys(&self, from: &str) -> Result<Page<(InboundKey, ThreadId)>, Error> {
        let from = from.to_owned();
        self.readers.read(move |sql| query::keys(sql, &from)).await
    }

    async fn hold(&self, name: &str, by: &str, ttl: Duration) -> Result<bool, Error> {
        let writer = self.writer()?;
        let (name, by) = hold::names(name, by)?;
        writer.write_lightly(move |desk| hold::take(desk, &name, &by, ttl)).await
    }

    async fn let_go(&self, name: &str, by: &str) -> Result<(), Error> {
        let writer = self.writer()?;
        let (name, by) = hold::names(name, by)?;
        writer.write_lightly(move |desk| hold::let_go(desk, &name, &by)).await
    }

    async fn logs(&self, from: &str) -> Result<Page<ThreadId>, Error> {
        let from = from.to_owned();
        self.readers.read(move |sql| query::logs(sql, &from)).await
    }

    async fn reset(&self) -> Result<(), Error> {
        self.writer()?.write(rebuild::reset).await
    }

    async fn restore(&self, messages: Vec<Sent>) -> Result<(), Error> {
        let writer = self.writer()?;
        let were: Vec<rebuild::Was> = messages
            .into_iter()
            .map(|Sent { thread, outgoing, state, message, error: _ }| {
                let (key, to, json) = crate::codec::encode_outgoing(outgoing)?;
                Ok(rebuild::Was { thread, key, to, json, state, message })
            })
            .collect::<Result<_, Error>>()?;
        writer.write(move |desk| were.iter().try_for_each(|was| rebuild::restore(desk, was))).await
    }
}

impl std::fmt::Debug for Embedded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Embedded").field("path", &self.path).finish_non_exhaustive()
    }
}
