//! From one store to another, through the seam alone: any two kinds, threads in flight included.
//!
//! No gateway may work on either. What was being worked on is due at once where it arrives; a message that waits counts as tried
//! before, so that its channel looks whether it arrived already.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use agent::{Event, ThreadId, Version};
use channel::{DeliveryKey, InboundKey, Timestamp};

use crate::{
    Again, Batch, Claim, Error, Page, SendState, SentQuery, Store, Summary, THREADS_MAX, Wanted, Work,
};

/// Events that are written together.
const EVENTS: usize = 500;
/// Who takes what is moved.
const WORKER: &str = "migrate";
/// Longer than it takes.
const TTL: Duration = Duration::from_secs(24 * 60 * 60);

/// How much was moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// Threads.
    pub threads: usize,
    /// Events.
    pub events: usize,
    /// Messages that were sent or given up.
    pub settled: usize,
    /// Messages that wait.
    pub waiting: usize,
    /// Names of inbounds.
    pub keys: usize,
    /// Kept values.
    pub values: usize,
}

/// Moves everything from one store into another, which must be empty, and compares the logs. The first stays as it is.
///
/// # Errors
/// `Refused` when the second is not empty, or does not hold in the end what the first does; the stores' own.
pub async fn migrate(from: &dyn Store, to: &dyn Store) -> Result<Moved, Error> {
    if !is_empty(to).await? {
        let why =
            "the store to move into is not empty; name a new file, or another `store.prefix`".to_owned();
        return Err(Error::Refused { why });
    }
    let values = values(from, to).await?;
    let (keys, of) = keys(from, to).await?;
    let mut moved = Moved { values, keys, ..Moved::default() };
    let threads = all_threads(from).await?;
    let mut settled = Vec::new();
    // Those that were set aside go first: to be set aside again they are taken, while nothing else can be.
    let (buried, others): (Vec<_>, Vec<_>) = threads.iter().rev().partition(|thread| thread.buried.is_some());
    for summary in buried.into_iter().chain(others) {
        moved.events += log(from, to, summary, &mut settled).await?;
        if let Some(why) = &summary.buried {
            bury(to, &summary.thread, why).await?;
        }
    }
    moved.threads = threads.len();
    settled.sort();
    for (_, key) in settled {
        let mut sent = from.sent(SentQuery::Key(key)).await?;
        sent.retain(|sent| sent.state != SendState::Waiting);
        moved.settled += sent.len();
        to.restore(sent).await?;
    }
    let waiting = from.sent(SentQuery::Waiting).await?;
    moved.waiting = waiting.len();
    to.restore(waiting).await?;
    retired(from, to, of, &threads).await?;
    for summary in &threads {
        let (ours, theirs) =
            (to.load(&summary.thread, Version(0)).await?, from.load(&summary.thread, Version(0)).await?);
        if ours != theirs {
            let why = format!("thread {} did not arrive as it was", summary.thread);
            return Err(Error::Refused { why });
        }
    }
    Ok(moved)
}

/// Whether nothing is there, and nothing was. A page may be empty where more follow: others may share the server.
async fn is_empty(to: &dyn Store) -> Result<bool, Error> {
    let mut empty = to.threads(0, 1).await?.is_empty();
    let mut next = Some(String::new());
    while let Some(place) = next.filter(|_| empty) {
        let page = to.values(&place).await?;
        (empty, next) = (page.items.is_empty(), page.next);
    }
    let mut next = Some(String::new());
    while let Some(place) = next.filter(|_| empty) {
        let page = to.retired(&place).await?;
        (empty, next) = (page.items.is_empty(), page.next);
    }
    Ok(empty)
}

async fn values(from: &dyn Store, to: &dyn Store) -> Result<usize, Error> {
    let (mut next, mut count) = (Some(String::new()), 0);
    while let Some(place) = next {
        let Page { items, next: more } = from.values(&place).await?;
        for name in items {
            if let Some(value) = from.get(&name).await? {
                to.put(&name, &value).await?;
                count += 1;
            }
        }
        next = more;
    }
    Ok(count)
}

/// Moves the names of inbounds; how many there are, and the threads that they belong to, which are there with them.
async fn keys(from: &dyn Store, to: &dyn Store) -> Result<(usize, BTreeSet<ThreadId>), Error> {
    let (mut next, mut count, mut threads) = (Some(String::new()), 0, BTreeSet::new());
    while let Some(place) = next {
        let Page { items, next: more } = from.keys(&place).await?;
        let mut of: BTreeMap<ThreadId, Vec<InboundKey>> = BTreeMap::new();
        for (key, thread) in items {
            of.entry(thread).or_default().push(key);
        }
        for (thread, keys) in of {
            threads.insert(thread.clone());
            let batch = Batch { keys, ..Batch::new(thread.clone()) };
            let several = batch.keys.len();
            match to.commit(batch.clone()).await {
                Ok(_) => count += several,
                // A page may name again what an earlier one did.
                Err(Error::Duplicate { .. }) => {
                    for key in batch.keys {
                        let one = Batch { keys: vec![key], ..Batch::new(thread.clone()) };
                        match to.commit(one).await {
                            Ok(_) => count += 1,
                            Err(Error::Duplicate { .. }) => {}
                            Err(error) => return Err(error),
                        }
                    }
                }
                Err(error) => return Err(error),
            }
        }
        next = more;
    }
    Ok((count, threads))
}

/// Retires what was retired: a home never begins the same thread twice, whichever store it is in. Of threads with names of
/// inbounds, `of`, those that are not among `threads` are gone.
async fn retired(
    from: &dyn Store,
    to: &dyn Store,
    of: BTreeSet<ThreadId>,
    threads: &[Summary],
) -> Result<(), Error> {
    let here: BTreeSet<&ThreadId> = threads.iter().map(|summary| &summary.thread).collect();
    let mut gone: BTreeSet<ThreadId> = of.into_iter().filter(|thread| !here.contains(thread)).collect();
    let (mut next, mut youngest) = (Some(String::new()), BTreeSet::new());
    while let Some(place) = next {
        let Page { items, next: more } = from.retired(&place).await?;
        youngest.extend(items);
        next = more;
    }
    for thread in youngest {
        if gone.insert(thread.clone()) {
            to.commit(Batch::new(thread)).await?;
        }
    }
    for thread in gone {
        to.retire(&thread, Version(0), &[]).await?;
    }
    Ok(())
}

/// All threads, the last written first.
async fn all_threads(from: &dyn Store) -> Result<Vec<Summary>, Error> {
    let mut threads = Vec::new();
    loop {
        let page = from.threads(threads.len(), THREADS_MAX).await?;
        if page.is_empty() {
            return Ok(threads);
        }
        threads.extend(page);
    }
}

/// Moves a log; how many events it has. Notes the messages whose end it tells of.
async fn log(
    from: &dyn Store,
    to: &dyn Store,
    summary: &Summary,
    settled: &mut Vec<(Timestamp, DeliveryKey)>,
) -> Result<usize, Error> {
    let records = from.load(&summary.thread, Version(0)).await?;
    for record in &records {
        if let Event::Delivered { key, .. } | Event::Undelivered { key: Some(key), .. } = &record.event {
            settled.push((record.at, key.clone()));
        }
    }
    let wake = summary.due.is_some() || summary.buried.is_some();
    let mut at = 0;
    loop {
        let part: Vec<_> = records.iter().skip(at).take(EVENTS).cloned().collect();
        let (expect, last) = (Some(Version(at as u64)), at + part.len() == records.len());
        at += part.len();
        let batch = Batch { expect, records: part, wake: wake && last, ..Batch::new(summary.thread.clone()) };
        to.commit(batch).await?;
        if last {
            return Ok(records.len());
        }
    }
}

async fn bury(to: &dyn Store, thread: &ThreadId, why: &str) -> Result<(), Error> {
    let claim =
        Claim { worker: WORKER.to_owned(), wanted: Wanted::Turns, max: 1, ttl: TTL, wait: Duration::ZERO };
    match to.claim(claim).await?.first() {
        Some(Work::Turn { lease, .. }) if lease.on == thread.as_str() => {
            to.release(lease, Again::Bury { why: why.to_owned() }).await
        }
        Some(_) | None => Err(somebody_works()),
    }
}

fn somebody_works() -> Error {
    Error::Refused { why: "a gateway works on the store to move into; stop it, and begin anew".to_owned() }
}
