//! Retention: conversations that are over leave the store, for the archive.
//!
//! Invariant: nothing is taken from the store before it is in the archive, on the disk. A crash between the two leaves it in both,
//! and the next sweep writes it again.
//! Invariant: what somebody works on or waits for stays: an open question, a time, a message, what was set aside. What looks at rest
//! here is looked at again by the store, in the step that takes it away.

use std::{collections::BTreeSet, path::PathBuf, sync::Arc, time::Duration};

use agent::{Phase, Thread, ThreadId, Version, grants, message_names};
use channel::{DeliveryKey, Timestamp};
use store::{Clock, SENT_MAX, SentQuery, Store, Summary};
use tokio::{task::spawn_blocking, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    archive::{Archive, ArchiveError, member},
    board::Board,
    turn::signed,
};

/// The right to sweep: two at once would do no harm, and the same work twice.
const RIGHT: &str = "retire";
/// How long it is had without asking again; a page takes much less.
const TTL: Duration = Duration::from_secs(120);
/// How often it is looked what may leave.
const EVERY: Duration = Duration::from_secs(3_600);
/// When it is looked again after something went wrong.
const AFTER_A_FAULT: Duration = Duration::from_secs(600);
/// When it is looked again where there is more to do.
const SOON: Duration = Duration::from_secs(10);
/// Conversations that are looked at between two rests, and share one flush of the archive.
const PAGE: usize = 50;
/// So many bytes of the archive are written at a time, and one conversation more.
const BYTES: usize = 16 << 20;
/// The rest in between, for everybody else.
const REST: Duration = Duration::from_millis(50);
/// Conversations that leave in one sweep, at most.
const SWEEP_MAX: usize = 5_000;

/// What leaves the store, and where to.
#[derive(Clone, Debug)]
pub struct Retention {
    /// How long after its last event a conversation that is over stays.
    pub after: Duration,
    /// Where it goes.
    pub archive: Archive,
}

/// What a sweep did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Conversations that left the store.
    pub retired: usize,
    /// Conversations that are as old, and stay.
    pub kept: usize,
    /// The file that the last of them went into.
    pub file: Option<PathBuf>,
    /// Whether there may be more to do.
    pub more: bool,
}

/// Why a sweep did not get to its end; nothing is lost by that.
#[derive(Debug, thiserror::Error)]
pub enum NotSwept {
    /// The store's.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The archive's.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
}

/// A conversation that is in the archive and may leave the store.
struct Leaving {
    thread: ThreadId,
    version: Version,
    messages: Vec<DeliveryKey>,
}

impl Retention {
    /// Sweeps once, the oldest first; nothing where another gateway does. `by` is a name that nobody else asks under.
    ///
    /// # Errors
    /// It did not get to its end.
    pub async fn sweep(
        &self,
        store: &dyn Store,
        clock: &dyn Clock,
        by: &str,
    ) -> Result<Option<Swept>, NotSwept> {
        let now = clock.now();
        let before = now.saturating_sub(signed(self.after)).unwrap_or(Timestamp::MIN);
        let mut swept = Swept::default();
        let mut began = false;
        loop {
            if !store.hold(RIGHT, by, TTL).await? {
                swept.more = true;
                return Ok(began.then_some(swept));
            }
            began = true;
            let mut page = store.oldest(swept.kept, PAGE).await?;
            let full = page.len() == PAGE;
            page.retain(|summary| summary.updated < before);
            swept.more = full && page.len() == PAGE;
            self.page(store, &page, before, now, &mut swept).await?;
            if !swept.more || swept.retired >= SWEEP_MAX {
                store.let_go(RIGHT, by).await?;
                return Ok(Some(swept));
            }
            sleep(REST).await;
        }
    }

    /// Lets those of a page leave that may.
    async fn page(
        &self,
        store: &dyn Store,
        page: &[Summary],
        before: Timestamp,
        now: Timestamp,
        swept: &mut Swept,
    ) -> Result<(), NotSwept> {
        let at_rest = |one: &&Summary| one.due.is_none() && one.buried.is_none();
        let waiting = match page.iter().any(|one| at_rest(&one)) {
            true => waiting(store).await?,
            false => Some(BTreeSet::new()),
        };
        let Some(waiting) = waiting else {
            swept.more = false;
            return Ok(());
        };
        let (mut leaving, mut members, mut bytes) = (Vec::new(), Vec::new(), 0);
        for one in page {
            let packed = match at_rest(&one) && !waiting.contains(&one.thread) {
                true => over(store, &one.thread, before).await?,
                false => None,
            };
            let Some((thread, member)) = packed else {
                swept.kept += 1;
                continue;
            };
            bytes += member.len();
            leaving.push(thread);
            members.push(member);
            if bytes > BYTES {
                swept.more = true;
                break;
            }
        }
        if leaving.is_empty() {
            return Ok(());
        }
        swept.file = Some(self.archive.append(now, members).await?);
        for Leaving { thread, version, messages } in leaving {
            match store.retire(&thread, version, &messages).await {
                Ok(()) => swept.retired += 1,
                // Somebody wrote just now, or another gateway was quicker.
                Err(error @ (store::Error::Conflict { .. } | store::Error::NotAtRest { .. })) => {
                    tracing::debug!(%thread, %error, "it stays");
                    swept.kept += 1;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// The threads with a message that waits; nothing where there are more than can be seen.
async fn waiting(store: &dyn Store) -> Result<Option<BTreeSet<ThreadId>>, store::Error> {
    let waiting = store.sent(SentQuery::Waiting).await?;
    if waiting.len() >= SENT_MAX {
        tracing::warn!(
            waiting = waiting.len(),
            "no conversation leaves the store while so many messages wait"
        );
        return Ok(None);
    }
    Ok(Some(waiting.into_iter().map(|sent| sent.thread).collect()))
}

/// A thread that may leave, as it goes into the archive; nothing where it stays.
async fn over(
    store: &dyn Store,
    id: &ThreadId,
    before: Timestamp,
) -> Result<Option<(Leaving, Vec<u8>)>, store::Error> {
    let records = match store.load(id, Version(0)).await {
        Ok(records) => records,
        // It stops at that thread, and whoever wants to work on it says so.
        Err(store::Error::Unreadable { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    let thread = id.clone();
    let packing = spawn_blocking(move || {
        let thread = Thread::fold(thread, records);
        is_over(&thread, before).then(|| {
            let messages = message_names(&thread).into_iter().collect();
            let leaving = Leaving { thread: thread.id().clone(), version: thread.version(), messages };
            member(&thread).map(|member| (leaving, member))
        })
    });
    let why = match packing.await {
        Ok(None) => return Ok(None),
        Ok(Some(Ok(packed))) => return Ok(Some(packed)),
        Ok(Some(Err(why))) => why,
        Err(_) => "a panic".to_owned(),
    };
    tracing::error!(thread = %id, %why, "a conversation cannot be archived; it stays in the store");
    Ok(None)
}

/// Whether the request is done, nobody is asked any more, nothing holds for further calls, and nothing happened since.
fn is_over(thread: &Thread, before: Timestamp) -> bool {
    matches!(thread.phase(), Phase::Finished | Phase::Cancelled)
        && thread.open_questions().next().is_none()
        && grants(thread, before).is_empty()
        && thread.records().last().is_some_and(|last| last.at < before)
}

/// Sweeps now and then, until the gateway stops.
pub(crate) async fn sweeps(board: Arc<Board>, retention: Retention, stop: CancellationToken) {
    let (store, by) = (board.store.as_ref(), board.settings.worker.as_str());
    while !stop.is_cancelled() {
        let swept = tokio::select! {
            swept = retention.sweep(store, board.clock.as_ref(), by) => swept,
            () = stop.cancelled() => break,
        };
        let wait = match swept {
            Ok(Some(Swept { retired, kept, file, more })) => {
                if retired > 0 {
                    let file = file.unwrap_or_default();
                    tracing::info!(retired, kept, file = %file.display(), "conversations left the store for the archive");
                }
                if more { SOON } else { EVERY }
            }
            Ok(None) => EVERY,
            Err(error) => {
                tracing::error!(%error, "what is over could not leave the store; nothing is lost");
                AFTER_A_FAULT
            }
        };
        tokio::select! {
            () = sleep(wait) => {}
            () = stop.cancelled() => {}
        }
    }
    // What is not given back is anybody's in time.
    store.let_go(RIGHT, by).await.ok();
}
