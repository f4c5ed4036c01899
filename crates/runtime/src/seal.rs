//! Sealing: how far the chains over the logs have come is kept in a chain of seals, one after the other, whichever gateway makes them.
//!
//! Invariant: under each number one seal is kept, and never another: whoever is late, be it by a day, is told so by the store.
//! Invariant: what is sealed of a thread is what it was when it was listed. So a thread that is still as it was sealed was not
//! written since, nor were those that are listed below it: that is where a look for what changed ends.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::Arc,
    time::Duration,
};

use agent::{Chain, Seal, SealKeys, Sealed, ThreadId, Version};
use channel::Timestamp;
use serde::{Deserialize, Serialize};
use store::{Clock, Error, Store, THREADS_MAX};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::board::Board;

/// The right to seal: two at once would do no harm, and the same work twice.
const RIGHT: &str = "seal";
/// How long it is had without asking again; a seal takes much less.
const TTL: Duration = Duration::from_secs(60);
/// Threads in a seal, at most.
const SEAL_MAX: usize = THREADS_MAX;
/// Seals that are looked back through at a time for what was sealed.
const BACK: u64 = 100;
/// Threads that are remembered; when there are more, all are forgotten, as at a start.
const KNOWN_MAX: usize = 100_000;
/// The rest between two seals, for everybody else.
const REST: Duration = Duration::from_millis(50);
/// What the name of each seal begins with.
pub(crate) const SEALS: &str = "audit:seal:";
/// The name of what was sealed last. It may be behind, and is never ahead.
const TIP: &str = "audit:tip";

/// How the logs are sealed.
#[derive(Clone, Debug)]
pub struct Audit {
    /// How long what was written waits to be sealed.
    pub every: Duration,
    /// What seals are signed with.
    pub keys: SealKeys,
}

/// When a seal is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// If the last is old enough.
    Due,
    /// In any case.
    Now,
}

/// Makes seals. What it remembers only saves work.
pub struct Sealer {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    /// A name that nobody else asks under.
    by: String,
    audit: Audit,
    last: Option<Last>,
    /// How far threads were sealed.
    known: BTreeMap<ThreadId, (Version, Chain)>,
    /// Seals with a higher number are in `known`, and those up to this one are not.
    back: u64,
}

/// The last seal, as far as is known.
#[derive(Clone, Debug, Default)]
struct Last {
    tip: Tip,
    at: Option<Timestamp>,
    /// As it was kept, where this gateway saw it.
    bytes: Option<Vec<u8>>,
}

/// What is kept under [`TIP`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tip {
    /// The number of the last seal; 0 where there is none.
    pub(crate) seal: u64,
    /// Its hash.
    pub(crate) hash: Option<String>,
}

impl Tip {
    /// What is kept of it.
    pub(crate) async fn kept(store: &dyn Store) -> Result<Self, Error> {
        let kept = store.get(TIP).await?;
        Ok(kept.and_then(|kept| serde_json::from_slice(&kept).ok()).unwrap_or_default())
    }
}

/// The name that a seal is kept under.
pub(crate) fn name(seal: u64) -> String {
    format!("{SEALS}{seal}")
}

impl Sealer {
    /// One that remembers nothing yet.
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, by: &str, audit: Audit) -> Self {
        Self { store, clock, by: by.to_owned(), audit, last: None, known: BTreeMap::new(), back: 0 }
    }

    /// Seals what was written since the last seal; how many seals that took, which is none where nothing was, or where another
    /// gateway does it.
    ///
    /// # Errors
    /// The store's. What was not sealed is, the next time.
    pub async fn seal(&mut self, when: When) -> Result<usize, Error> {
        if !self.store.hold(RIGHT, &self.by, TTL).await? {
            return Ok(0);
        }
        let made = self.seal_alone(when).await;
        // What is not given back is anybody's in time.
        self.store.let_go(RIGHT, &self.by).await.ok();
        made
    }

    async fn seal_alone(&mut self, when: When) -> Result<usize, Error> {
        let mut last = self.catch_up().await?;
        let age = last.at.map(|at| self.clock.now().duration_since(at));
        if when == When::Due
            && age.is_some_and(|age| !age.is_negative() && age.unsigned_abs() < self.audit.every)
        {
            return Ok(0);
        }
        let changed = self.changed(last.tip.seal).await?;
        let mut made = 0;
        // Those that were written first come first: what a crash leaves over stands above what was sealed.
        for part in changed.chunks(SEAL_MAX) {
            if !self.store.hold(RIGHT, &self.by, TTL).await? {
                break;
            }
            let chains = self.chains(part).await?;
            if chains.is_empty() {
                continue;
            }
            let of = |(thread, (version, chain)): (&ThreadId, &(Version, Chain))| Sealed {
                thread: thread.clone(),
                version: *version,
                chain: chain.hex(),
            };
            let number = last.tip.seal + 1;
            let threads: Vec<Sealed> = chains.iter().map(of).collect();
            let seal = Seal::new(number, self.clock.now(), last.tip.hash.clone(), threads, &self.audit.keys);
            let bytes = written(&seal)?;
            if !self.store.put_once(&name(number), &bytes).await? {
                // Another gateway had the right meanwhile. What it sealed is read the next time.
                break;
            }
            tracing::info!(seal = number, threads = seal.threads.len(), hash = %seal.hash, "sealed");
            made += 1;
            self.known.extend(chains);
            last = Last::of(&seal, bytes);
            self.last = Some(last.clone());
            self.store.put(TIP, &written(&last.tip)?).await?;
            sleep(REST).await;
        }
        Ok(made)
    }

    /// The last seal that is kept, whoever made it. What is not as it was known is said, and gone on with: to tell what became of
    /// it is for who looks through all of them.
    async fn catch_up(&mut self) -> Result<Last, Error> {
        let begins = self.last.is_none();
        let mut last = match self.last.take() {
            Some(last) => last,
            None => Last { tip: Tip::kept(self.store.as_ref()).await?, ..Last::default() },
        };
        let number = last.tip.seal;
        if number > 0 {
            match (self.read(number).await?, &last.bytes) {
                (Kept::Seal(seal, bytes), _) => {
                    if last.tip.hash.as_ref() != Some(&seal.hash) {
                        tracing::error!(seal = number, hash = %seal.hash, knew = ?last.tip.hash, "the last seal was changed; run `switchboard audit verify`");
                    }
                    last = Last::of(&seal, bytes);
                }
                (Kept::Nothing, Some(bytes)) => {
                    tracing::error!(seal = number, "the last seal was gone; it was put back");
                    self.store.put_once(&name(number), bytes).await?;
                }
                (Kept::Nothing | Kept::Unreadable, _) => {
                    tracing::error!(seal = number, "the last seal is gone; run `switchboard audit verify`");
                }
            }
        }
        if begins || self.known.len() > KNOWN_MAX {
            self.known.clear();
            self.back = number;
        }
        loop {
            let number = last.tip.seal + 1;
            match self.read(number).await? {
                Kept::Nothing => break,
                // Its number is taken for good.
                Kept::Unreadable => last.tip.seal = number,
                Kept::Seal(seal, bytes) => {
                    last = Last::of(&seal, bytes);
                    self.remember(seal, true);
                }
            }
        }
        self.last = Some(last.clone());
        Ok(last)
    }

    async fn read(&self, number: u64) -> Result<Kept, Error> {
        let Some(bytes) = self.store.get(&name(number)).await? else { return Ok(Kept::Nothing) };
        Ok(match serde_json::from_slice(&bytes) {
            Ok(seal) => Kept::Seal(seal, bytes),
            Err(_) => Kept::Unreadable,
        })
    }

    /// Remembers how far threads were sealed; by a seal that is younger than all that are remembered, or older.
    fn remember(&mut self, seal: Seal, younger: bool) {
        for Sealed { thread, version, chain } in seal.threads {
            let Some(chain) = Chain::parse(&chain) else { continue };
            if younger || !self.known.contains_key(&thread) {
                self.known.insert(thread, (version, chain));
            }
        }
    }

    /// The threads that were written since they were sealed, those that were written first at the front, and how far. It looks
    /// back no further than it must, through the threads as through the seals.
    async fn changed(&mut self, last: u64) -> Result<Vec<(ThreadId, Version)>, Error> {
        let mut found: Vec<(ThreadId, Version)> = Vec::new();
        let mut names: BTreeMap<ThreadId, Version> = BTreeMap::new();
        let mut skip = 0;
        self.back = self.back.min(last);
        loop {
            let page = self.store.threads(skip, THREADS_MAX).await?;
            let follows = skip == 0 || page.iter().any(|one| names.get(&one.thread) == Some(&one.version));
            if !follows {
                // Some that stood further above have left the store meanwhile.
                skip = skip.saturating_sub(THREADS_MAX);
                continue;
            }
            let (full, length) = (page.len() == THREADS_MAX, page.len());
            for one in page {
                if let Entry::Vacant(new) = names.entry(one.thread.clone()) {
                    new.insert(one.version);
                    found.push((one.thread, one.version));
                }
            }
            // Older seals may know those that this gateway does not.
            while self.end(&found).is_none() && self.back > 0 && self.some_are_strange(&found) {
                self.look_back().await?;
                if full {
                    break;
                }
            }
            if let Some(end) = self.end(&found) {
                found.truncate(end);
                break;
            }
            if !full {
                break;
            }
            skip += length - 1;
        }
        found.retain(|(_, version)| version.0 > 0);
        found.reverse();
        Ok(found)
    }

    /// The first of these threads that is still as it was sealed.
    fn end(&self, found: &[(ThreadId, Version)]) -> Option<usize> {
        let is_sealed = |(thread, version): &(ThreadId, Version)| {
            self.known.get(thread).is_some_and(|(sealed, _)| sealed == version)
        };
        found.iter().position(is_sealed)
    }

    fn some_are_strange(&self, found: &[(ThreadId, Version)]) -> bool {
        found.iter().any(|(thread, _)| !self.known.contains_key(thread))
    }

    async fn look_back(&mut self) -> Result<(), Error> {
        for _ in 0..BACK.min(self.back) {
            if let Kept::Seal(seal, _) = self.read(self.back).await? {
                self.remember(seal, false);
            }
            self.back -= 1;
        }
        Ok(())
    }

    /// The chains over these threads, as far as they were listed.
    async fn chains(
        &self,
        threads: &[(ThreadId, Version)],
    ) -> Result<BTreeMap<ThreadId, (Version, Chain)>, Error> {
        let mut chains = BTreeMap::new();
        for (thread, version) in threads {
            let (from, chain) = match self.known.get(thread) {
                Some((from, chain)) if from <= version => (*from, chain.clone()),
                Some(_) | None => (Version(0), Chain::new(thread)),
            };
            let records = match self.store.load(thread, from).await {
                Ok(records) => records,
                Err(error) => {
                    // Whether it is this log alone, or all of the store.
                    Tip::kept(self.store.as_ref()).await?;
                    tracing::error!(%thread, %error, "a conversation cannot be sealed");
                    continue;
                }
            };
            let wanted = usize::try_from(version.0.saturating_sub(from.0)).unwrap_or(usize::MAX);
            // One that has left the store was sealed long before.
            if let Some(records) = records.get(..wanted) {
                chains.insert(thread.clone(), (*version, chain.over(records)));
            }
        }
        Ok(chains)
    }
}

/// What is kept under a name.
enum Kept {
    Nothing,
    Unreadable,
    Seal(Seal, Vec<u8>),
}

impl Last {
    fn of(seal: &Seal, bytes: Vec<u8>) -> Self {
        let tip = Tip { seal: seal.seal, hash: Some(seal.hash.clone()) };
        Self { tip, at: Some(seal.at), bytes: Some(bytes) }
    }
}

fn written(value: &impl Serialize) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(value)
        .map_err(|error| Error::Refused { why: format!("it cannot be written: {error}") })
}

/// Seals now and then, until everything else has ended, and what was written then.
pub(crate) async fn seals(board: Arc<Board>, audit: Audit, ended: CancellationToken) {
    let every = audit.every;
    let (store, clock) = (board.store.clone(), board.clock.clone());
    let mut sealer = Sealer::new(store, clock, &board.settings.worker, audit);
    loop {
        let when = if ended.is_cancelled() { When::Now } else { When::Due };
        if let Err(error) = sealer.seal(when).await {
            tracing::error!(%error, "what was written could not be sealed yet");
        }
        if when == When::Now {
            return;
        }
        tokio::select! {
            () = sleep(every) => {}
            () = ended.cancelled() => {}
        }
    }
}
