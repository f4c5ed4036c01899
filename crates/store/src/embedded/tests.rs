//! What only the inside can show: failures of SQLite itself.

use std::{
    path::Path,
    sync::{Arc, mpsc},
    time::Duration,
};

use agent::{Event, Home, Record, ThreadId, Version};
use channel::{Address, ChannelName, InboundKey, Place, Timestamp};
use tempfile::TempDir;

use super::{Embedded, fault::Fault, writer::Desk};
use crate::{Again, Batch, Claim, Error, Store, SystemClock, Wanted};

struct World {
    store: Arc<Embedded>,
    _folder: TempDir,
}

fn world() -> World {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(&folder.path().join("store.db"));
    World { store: Arc::new(store), _folder: folder }
}

fn open(path: &Path) -> Embedded {
    Embedded::open(path, Arc::new(SystemClock)).expect("a store")
}

fn thread(name: &str) -> ThreadId {
    let address = Address { channel: ChannelName::new("mail"), place: Place::new(name) };
    ThreadId::new(&Home::of(&address), 1)
}

fn batch(name: &str, text: &str) -> Batch {
    let event = Event::Paused { by: text.to_owned() };
    Batch { records: vec![Record::new(Timestamp::now(), event)], ..Batch::new(thread(name)) }
}

fn keyed(name: &str, key: &str) -> Batch {
    Batch { keys: vec![InboundKey::new(key)], ..batch(name, key) }
}

impl World {
    /// Does something to the connection, as no request does.
    async fn meddle<T: Send + 'static>(
        &self,
        f: impl FnOnce(&mut Desk<'_>) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Error> {
        self.store.writer()?.write(f).await
    }

    async fn pragma(&self, name: &'static str) -> i64 {
        self.meddle(move |desk| Ok(desk.sql.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0))?))
            .await
            .expect("a number")
    }

    /// Lets the file grow by so many pages and no more.
    async fn room(&self, pages: i64) {
        let now = self.pragma("page_count").await;
        self.meddle(move |desk| {
            let sql = format!("PRAGMA max_page_count = {}", now + pages);
            Ok(desk.sql.query_row(&sql, [], |_| Ok(()))?)
        })
        .await
        .expect("a limit");
    }

    /// Holds the thread until the returned sender is dropped, so that what is asked meanwhile becomes one group.
    async fn hold(&self) -> mpsc::Sender<()> {
        let (release, held) = mpsc::channel::<()>();
        let (begin, begun) = tokio::sync::oneshot::channel();
        let store = Arc::clone(&self.store);
        tokio::spawn(async move {
            let work = move |_: &mut Desk<'_>| {
                begin.send(()).ok();
                held.recv().ok();
                Ok(())
            };
            store.writer().expect("a writer").write(work).await.expect("held");
        });
        begun.await.expect("begun");
        release
    }

    async fn events(&self, name: &str) -> usize {
        self.store.load(&thread(name), Version(0)).await.expect("a log").len()
    }
}

#[tokio::test]
async fn each_commit_is_flushed_to_the_disk() {
    let world = world();
    assert_eq!(world.pragma("synchronous").await, 2, "FULL");
    // Who has which lease need not be: after a crash of the machine nobody has one. What is flushed next brings it along.
    let lightly = world.store.writer().expect("a writer").write_lightly(|desk| {
        let level: i64 = desk.sql.query_row("PRAGMA synchronous", [], |row| row.get(0))?;
        Ok((level, desk.flushed))
    });
    assert_eq!(lightly.await.expect("a level"), (1, false), "NORMAL");
    world.store.commit(batch("a", "one")).await.expect("a batch is always flushed, or the build says so");
    assert_eq!(world.pragma("fullfsync").await, 1);
    let mode = world.meddle(|desk| Ok(desk.sql.query_row("PRAGMA journal_mode", [], |r| r.get(0))?)).await;
    let mode: String = mode.expect("a mode");
    assert_eq!(mode, "wal");
}

#[tokio::test]
async fn a_full_disk_loses_nothing_and_passes() {
    let world = world();
    world.store.commit(batch("a", "one")).await.expect("room");
    world.room(8).await;
    let large = "x".repeat(5_000);
    let mut written = 0;
    let why = loop {
        match world.store.commit(keyed("big", &format!("{large}{written}"))).await {
            Ok(_) => written += 1,
            Err(Error::Away { why }) => break why,
            Err(other) => panic!("{other}"),
        }
        assert!(written < 100, "the disk never fills");
    };
    assert!(written > 0 && why.contains("free some space"), "{why}");
    assert_eq!(world.events("big").await, written);
    assert_eq!(world.events("a").await, 1, "what was written can be read");

    world.room(1_000).await;
    let again = keyed("big", &format!("{large}{written}"));
    assert_eq!(
        world.store.commit(again).await.expect("room again"),
        Version(written as u64 + 1),
        "the refused batch left its key"
    );
}

#[tokio::test]
async fn on_a_full_disk_each_of_many_is_told_the_truth() {
    let world = world();
    world.room(40).await;
    let held = world.hold().await;
    let mut asked = Vec::new();
    for n in 0..60 {
        let store = Arc::clone(&world.store);
        let text = format!("{n} {}", "x".repeat(if n % 3 == 0 { 9_000 } else { 10 }));
        asked.push(tokio::spawn(async move { store.commit(batch(&n.to_string(), &text)).await }));
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    drop(held);
    let mut refused = 0;
    for (n, asked) in asked.into_iter().enumerate() {
        let told = match asked.await.expect("no panic") {
            Ok(_) => 1,
            Err(Error::Away { .. }) => 0,
            Err(other) => panic!("{other}"),
        };
        refused += 1 - told;
        assert_eq!(world.events(&n.to_string()).await, told, "batch {n}");
    }
    assert!(refused > 0, "the disk never fills");
}

/// The neighbours of a request with which the transaction is lost hear neither that they were written nor a reason
/// that rests on what was not.
#[tokio::test]
async fn a_lost_transaction_answers_nobody_with_what_was_in_it() {
    let world = world();
    let held = world.hold().await;
    let ask = |batch| {
        let store = Arc::clone(&world.store);
        tokio::spawn(async move { store.commit(batch).await })
    };
    let (first, duplicate) = (ask(keyed("a", "k")), ask(keyed("b", "k")));
    tokio::time::sleep(Duration::from_millis(50)).await;
    let store = Arc::clone(&world.store);
    let breaking = tokio::spawn(async move {
        let full = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_FULL);
        let work = move |desk: &mut Desk<'_>| -> Result<(), Fault> {
            desk.sql.execute_batch("ROLLBACK")?;
            Err(rusqlite::Error::SqliteFailure(full, None).into())
        };
        store.writer().expect("a writer").write(work).await
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    drop(held);
    assert!(matches!(breaking.await.expect("no panic"), Err(Error::Away { .. })));
    for asked in [first, duplicate] {
        let told = asked.await.expect("no panic");
        assert!(matches!(told, Err(Error::Away { .. })), "{told:?}");
    }
    assert_eq!(world.events("a").await + world.events("b").await, 0);
    world.store.commit(keyed("b", "k")).await.expect("the key is free");
}

/// What fails only when all is to be made durable fails for everybody in it, those with good news too.
#[tokio::test]
async fn nobody_is_answered_before_the_end_of_the_transaction() {
    let world = world();
    let held = world.hold().await;
    let store = Arc::clone(&world.store);
    let good = tokio::spawn(async move { store.commit(keyed("a", "k")).await });
    tokio::time::sleep(Duration::from_millis(50)).await;
    let store = Arc::clone(&world.store);
    let bad = tokio::spawn(async move {
        let work = |desk: &mut Desk<'_>| -> Result<(), Fault> {
            desk.sql.execute_batch(
                "PRAGMA defer_foreign_keys = ON;
                 INSERT INTO event (thread, seq, at, format, event) VALUES ('nobody', 0, '', 1, '');",
            )?;
            Ok(())
        };
        store.writer().expect("a writer").write(work).await
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    drop(held);
    assert!(matches!(bad.await.expect("no panic"), Err(Error::Away { .. })));
    let told = good.await.expect("no panic");
    assert!(matches!(told, Err(Error::Away { .. })), "{told:?}");
    assert_eq!(world.events("a").await, 0);
    world.store.commit(keyed("a", "k")).await.expect("the next transaction is a new one");
}

#[tokio::test]
async fn a_bad_request_fails_alone() {
    let world = world();
    let held = world.hold().await;
    let store = Arc::clone(&world.store);
    let good = tokio::spawn(async move { store.commit(batch("a", "one")).await });
    tokio::time::sleep(Duration::from_millis(50)).await;
    let store = Arc::clone(&world.store);
    let bad = tokio::spawn(async move {
        let work = |desk: &mut Desk<'_>| -> Result<(), Fault> {
            desk.sql.execute("INSERT INTO value (name, at, bytes) VALUES ('half', '', x'00')", [])?;
            desk.sql.execute("INSERT INTO nonsense VALUES (1)", [])?;
            Ok(())
        };
        store.writer().expect("a writer").write(work).await
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    drop(held);
    bad.await.expect("no panic").expect_err("nonsense");
    good.await.expect("no panic").expect("its neighbour was bad");
    assert_eq!(world.store.get("half").await.expect("readable"), None);
}

/// A caller that gives up while its claim is under way: the work is free again, and no attempt was made.
#[tokio::test]
async fn an_abandoned_claim_is_given_back() {
    let world = world();
    let outgoing = channel::Outgoing {
        key: channel::DeliveryKey::new("key"),
        to: Address { channel: ChannelName::new("mail"), place: Place::new("p") },
        at: Timestamp::now(),
        only: None,
        in_reply_to: None,
        amends: None,
        content: channel::Content::Text(channel::Text { markdown: "hello".to_owned(), note: None }),
        files: Vec::new(),
    };
    world
        .store
        .commit(Batch { outgoing: vec![outgoing], wake: true, ..batch("a", "one") })
        .await
        .expect("room");
    let wanted = [Wanted::Turns, Wanted::Sends(ChannelName::new("mail"))];
    for wanted in &wanted {
        let claim = claim(wanted.clone());
        let held = world.hold().await;
        let left = tokio::time::timeout(Duration::from_millis(50), world.store.claim(claim)).await;
        left.expect_err("the store was held");
        drop(held);
    }
    for wanted in wanted {
        let work = world.store.claim(claim(wanted)).await.expect("a claim");
        assert_eq!(work.len(), 1, "it is leased to nobody");
        match &work[0] {
            crate::Work::Send { attempt, .. } => assert_eq!(*attempt, 1),
            crate::Work::Turn { lease, .. } => {
                let again = Again::Sleep { seen: Version(1), until: None };
                world.store.release(lease, again).await.expect("held");
            }
        }
    }
}

/// What a thread that was taken away had in the file is used again: the file grows no more.
#[tokio::test]
async fn the_room_of_retired_threads_is_used_again() {
    let world = world();
    let mut pages = Vec::new();
    for round in 0..4 {
        for n in 0..50 {
            let name = format!("{round}.{n}");
            world.store.commit(batch(&name, &"x".repeat(9_000))).await.expect("room");
        }
        pages.push(world.pragma("page_count").await);
        for n in 0..50 {
            let name = thread(&format!("{round}.{n}"));
            world.store.retire(&name, Version(1), &[]).await.expect("at rest");
        }
    }
    assert!(pages[0] > 50 && pages[3] < pages[0] + 10, "{pages:?}");
}

#[tokio::test]
async fn dropping_the_store_writes_what_waits() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("store.db");
    let store = open(&path);
    let writer = store.writer().expect("a writer");
    for n in 0..20 {
        let encoded = crate::codec::encode(batch("a", &n.to_string())).expect("a batch");
        writer
            .afterwards()
            .expect("running")
            .write(move |desk| super::commit::write(desk, &encoded).map(|_| ()));
    }
    drop(store);
    let events = open(&path).load(&thread("a"), Version(0)).await.expect("a log");
    assert_eq!(events.len(), 20);
}

fn claim(wanted: Wanted) -> Claim {
    Claim {
        worker: "worker".to_owned(),
        wanted,
        max: 10,
        ttl: Duration::from_secs(3600),
        wait: Duration::from_secs(5),
    }
}
