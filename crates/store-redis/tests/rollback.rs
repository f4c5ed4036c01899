//! A Redis that goes back: it has forgotten what it confirmed. It starts again from a copy of its files, as a replica would that had
//! not heard of the last writes.

#![expect(clippy::unwrap_used, reason = "a test says that something is wrong by failing")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use agent::{Event, Home, Record, Seq, ThreadId, Version};
use channel::{Address, ChannelName, Content, InboundKey, MessageRef, Outgoing, Place, Text, Timestamp};
use store::{Batch, Claim, Error, SendState, SentQuery, Settle, Store, Wanted, Work};
use store_redis::{Durability, Healed, JournalOptions, Options, Redis, Time};
use tempfile::TempDir;
use testkit::redis_server::RedisServer;
use tokio::time::Instant;

const SOON: Duration = Duration::from_secs(60);

struct World {
    server: RedisServer,
    journal: TempDir,
}

impl World {
    fn new() -> Self {
        testkit::init();
        // Every answer is on the disk, so that a copy of the files is what the answers say.
        let server = RedisServer::start(&["--appendonly", "yes", "--appendfsync", "always"]);
        Self { server, journal: tempfile::tempdir().unwrap() }
    }

    fn options(&self, journal: bool) -> Options {
        let keep = Duration::from_secs(3600);
        let journal = journal.then(|| JournalOptions { folder: self.journal.path().to_path_buf(), keep });
        Options {
            urls: vec![self.server.url()],
            prefix: "test".to_owned(),
            timeout: Duration::from_secs(5),
            durability: Durability::None,
            time: Time::Server,
            journal,
            tls_ca: None,
        }
    }

    async fn open(&self) -> Redis {
        Redis::open(&self.options(true)).await.unwrap()
    }

    /// One that notes nothing, as a command has it.
    async fn plain(&self) -> Redis {
        Redis::open(&self.options(false)).await.unwrap()
    }
}

fn address() -> Address {
    Address { channel: ChannelName::new("mail"), place: Place::new("x") }
}

fn thread(name: &str) -> ThreadId {
    ThreadId::new(&Home::of(&Address { place: Place::new(name), ..address() }), 1)
}

fn event(what: &str) -> Record {
    Record::new(Timestamp::now(), Event::Paused { by: what.to_owned() })
}

fn batch(name: &str, what: &str) -> Batch {
    Batch { records: vec![event(what)], ..Batch::new(thread(name)) }
}

fn inbound(name: &str, what: &str) -> Batch {
    Batch { keys: vec![InboundKey::new(what)], wake: true, ..batch(name, what) }
}

fn message(name: &str, seq: u64) -> Outgoing {
    Outgoing {
        key: thread(name).delivery(Seq(seq), 0),
        to: address(),
        at: Timestamp::now(),
        only: None,
        in_reply_to: None,
        amends: None,
        content: Content::Text(Text { markdown: format!("{name} {seq}"), note: None }),
        files: Vec::new(),
    }
}

async fn story(store: &Redis, name: &str) -> Vec<String> {
    let records = store.load(&thread(name), Version(0)).await.unwrap();
    let words = |record: Record| if let Event::Paused { by } = record.event { by } else { String::new() };
    records.into_iter().map(words).collect()
}

fn claim(wanted: Wanted, wait: Duration) -> Claim {
    Claim { worker: "a".to_owned(), wanted, max: 10, ttl: Duration::from_secs(30), wait }
}

async fn states(store: &Redis) -> Vec<(String, SendState, Option<String>)> {
    let sent = store.sent(SentQuery::At(address())).await.unwrap();
    let show = |sent: store::Sent| {
        (sent.outgoing.key.to_string(), sent.state, sent.message.map(|m| m.as_str().to_owned()))
    };
    sent.into_iter().map(show).collect()
}

/// A command is tried until the server is there again.
async fn surely(store: &Redis, batch: Batch) -> Version {
    let began = Instant::now();
    loop {
        match store.commit(batch.clone()).await {
            Ok(version) => return version,
            Err(Error::Away { .. }) if began.elapsed() < SOON => {
                tokio::time::sleep(Duration::from_millis(50)).await
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// Events, names of inbounds, messages, the ends of their sending, values and a whole thread: all is there again before anything
/// else is written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_server_forgot_is_put_back_before_anything_else() {
    let mut world = World::new();
    let store = world.open().await;
    store.commit(Batch { outgoing: vec![message("a", 0)], ..batch("a", "one") }).await.unwrap();
    store.put("old", b"1").await.unwrap();
    let moment = world.server.remember();
    store.commit(Batch { outgoing: vec![message("a", 1)], ..inbound("a", "two") }).await.unwrap();
    let sends = claim(Wanted::Sends(address().channel), Duration::ZERO);
    let Work::Send { lease, .. } = store.claim(sends).await.unwrap().remove(0) else { panic!("no message") };
    let settle = Settle { lease, state: SendState::Sent, message: Some(MessageRef::new("m1")) };
    store.commit(Batch { settle: Some(settle), ..batch("a", "delivered") }).await.unwrap();
    store.commit(inbound("b", "hello")).await.unwrap();
    store.put("old", b"2").await.unwrap();
    store.put("new", b"").await.unwrap();
    store.put("newer", b"3\n{}").await.unwrap();
    let before = (story(&store, "a").await, story(&store, "b").await, states(&store).await);
    world.server.go_back(&moment);

    let version = surely(&store, batch("a", "three")).await;

    assert_eq!(version, Version(4));
    let words = ["one", "two", "delivered"].map(str::to_owned).to_vec();
    assert_eq!(before.0, words);
    assert_eq!(story(&store, "a").await, [words, vec!["three".to_owned()]].concat());
    assert_eq!((story(&store, "b").await, states(&store).await), (before.1, before.2));
    for (name, value) in [("old", Some(b"1".as_slice())), ("newer", Some(b"3\n{}")), ("no", None)] {
        // What was there may be younger than what is known of it; a cursor that stands further back harms nothing.
        assert_eq!(store.get(name).await.unwrap().as_deref(), value, "{name}");
    }
    let again = store.commit(inbound("c", "hello")).await;
    assert!(matches!(again, Err(Error::Duplicate { .. })), "{again:?}");
    // Whoever had work may have lost it with the rest: a worker looks.
    let due = store.claim(claim(Wanted::Turns, Duration::from_secs(5))).await.unwrap();
    let mut due: Vec<_> = due
        .into_iter()
        .map(|work| match work {
            Work::Turn { thread, .. } | Work::Send { thread, .. } => thread,
        })
        .collect();
    due.sort();
    let mut all = vec![thread("a"), thread("b")];
    all.sort();
    assert_eq!(due, all);
    assert!(store.missing(world.journal.path()).await.unwrap().is_empty());
    // It is done once.
    assert_eq!(surely(&store, batch("a", "four")).await, Version(5));
}

/// One wrote what the next one's writing stands on; each puts back its own, and nobody comes in between.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_gateways_put_back_what_stands_on_one_another() {
    let mut world = World::new();
    let stores = [Arc::new(world.open().await), Arc::new(world.open().await), Arc::new(world.open().await)];
    surely(&stores[0], batch("a", "0")).await;
    let moment = world.server.remember();
    for n in 1..=30_usize {
        surely(&stores[n * 7 % 3], batch("a", &n.to_string())).await;
        surely(&stores[n % 3], inbound(&format!("b{}", n % 5), &format!("to b {n}"))).await;
    }
    let expected: Vec<String> = (0..=30).map(|n| n.to_string()).collect();
    world.server.go_back(&moment);
    // As gateways do, each looks for work all the time.
    let found = Arc::<AtomicBool>::default();
    let looking = stores.iter().map(|store| {
        let (store, found) = (store.clone(), found.clone());
        tokio::spawn(async move {
            let began = Instant::now();
            while began.elapsed() < SOON && !found.load(Ordering::SeqCst) {
                match store.claim(claim(Wanted::Turns, Duration::from_secs(1))).await {
                    Ok(work) if !work.is_empty() => found.store(true, Ordering::SeqCst),
                    Ok(_) | Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            }
        })
    });
    let looking: Vec<_> = looking.collect();
    assert_eq!(surely(&stores[2], batch("a", "31")).await, Version(32));
    assert_eq!(story(&stores[0], "a").await[..31], expected);
    for look in looking {
        look.await.unwrap();
    }
    assert!(found.load(Ordering::SeqCst), "what comes back is looked at");
    for n in 1..=30 {
        let again = stores[0].commit(inbound("c", &format!("to b {n}"))).await;
        assert!(matches!(again, Err(Error::Duplicate { .. })), "{n}: {again:?}");
    }
    assert!(stores[0].missing(world.journal.path()).await.unwrap().is_empty());
}

/// While something is put back nothing is taken and nothing written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_works_while_something_is_put_back() {
    let world = World::new();
    let store = world.plain().await;
    store.commit(inbound("a", "one")).await.unwrap();
    world.server.say(&["SET", "{test}:healing", "1", "PX", "2000"]);
    assert!(store.claim(claim(Wanted::Turns, Duration::ZERO)).await.unwrap().is_empty());
    store.commit(batch("a", "two")).await.unwrap();
    assert!(world.server.say(&["EXISTS", "{test}:healing"]).starts_with(":0"), "it was written before");
    assert_eq!(store.claim(claim(Wanted::Turns, Duration::ZERO)).await.unwrap().len(), 1);
}

/// Whoever wrote last is dead when Redis goes back: the next one that starts there puts it back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_dead_gateway_wrote_is_put_back_by_the_next() {
    let mut world = World::new();
    let (one, two) = (world.open().await, world.open().await);
    surely(&one, batch("a", "one")).await;
    let moment = world.server.remember();
    surely(&two, batch("a", "two")).await;
    surely(&one, batch("a", "three")).await;
    drop((one, two));
    world.server.go_back(&moment);
    let plain = world.plain().await;
    assert_eq!(plain.missing(world.journal.path()).await.unwrap().len(), 2);
    let next = world.open().await;
    assert_eq!(story(&next, "a").await, ["one", "two", "three"]);
    assert!(plain.missing(world.journal.path()).await.unwrap().is_empty());
}

/// What is written at the same time is noted in the order of its answers, which is not that of the log.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_order_of_a_journal_does_not_matter() {
    let mut world = World::new();
    let store = world.open().await;
    surely(&store, batch("a", "one")).await;
    let moment = world.server.remember();
    for what in ["two", "three", "four", "five"] {
        surely(&store, inbound("a", what)).await;
    }
    drop(store);
    for store in std::fs::read_dir(world.journal.path()).unwrap() {
        let file = store.unwrap().path().join("1/1.journal");
        let text = std::fs::read_to_string(&file).unwrap();
        let turned: String = text.lines().rev().map(|line| format!("{line}\n")).collect();
        std::fs::write(&file, turned).unwrap();
    }
    world.server.go_back(&moment);
    let next = world.open().await;
    assert_eq!(story(&next, "a").await, ["one", "two", "three", "four", "five"]);
}

/// The log has gone on without what is missing: what people said is said again at its end, what a worker did is told as lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_a_log_has_gone_on_people_are_heard_again() {
    let mut world = World::new();
    let store = world.open().await;
    surely(&store, batch("a", "one")).await;
    let moment = world.server.remember();
    surely(&store, batch("a", "done by a worker")).await;
    surely(&store, inbound("a", "said by a person")).await;
    surely(&store, batch("a", "done by the next worker")).await;
    drop(store);
    world.server.go_back(&moment);
    // Somebody without a journal does not notice.
    let plain = world.plain().await;
    surely(&plain, batch("a", "two")).await;
    let healed = plain.heal(world.journal.path()).await.unwrap();
    // The second worker's events would have their places, and stand on others than they did.
    assert_eq!((healed.back, healed.lost.len()), (1, 2), "{healed:?}");
    assert!(healed.lost[0].contains("1 events from place 1"), "{healed:?}");
    assert!(healed.lost[1].contains("1 events from place 3"), "{healed:?}");
    assert_eq!(story(&plain, "a").await, ["one", "two", "said by a person"]);
    // It is told once, and looked for no more; by whoever starts next neither.
    assert!(plain.missing(world.journal.path()).await.unwrap().is_empty());
    assert_eq!(plain.heal(world.journal.path()).await.unwrap(), Healed::default());
    let next = world.open().await;
    surely(&next, batch("a", "three")).await;
    assert_eq!(story(&plain, "a").await, ["one", "two", "said by a person", "three"]);
    // What is written at such a place now counts as any other.
    assert!(next.missing(world.journal.path()).await.unwrap().is_empty());
}

/// A gateway that had lost nothing has met the new server before: the next one notices nevertheless.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_gateway_notices_by_itself() {
    let mut world = World::new();
    let (one, two) = (world.open().await, world.open().await);
    surely(&one, batch("a", "one")).await;
    let moment = world.server.remember();
    surely(&two, inbound("b", "hello")).await;
    world.server.go_back(&moment);
    surely(&one, batch("a", "two")).await;
    assert!(story(&one, "b").await.is_empty(), "only the other one knows of it");
    assert_eq!(surely(&two, batch("b", "more")).await, Version(2));
    assert_eq!(story(&one, "b").await, ["hello", "more"]);
}

/// A message was being sent: whoever takes it the next time knows that it may have arrived.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn that_a_message_was_tried_is_not_forgotten() {
    let mut world = World::new();
    let store = world.open().await;
    surely(&store, Batch { outgoing: vec![message("a", 0)], ..batch("a", "one") }).await;
    let moment = world.server.remember();
    let sends = || claim(Wanted::Sends(address().channel), SOON);
    assert_eq!(store.claim(sends()).await.unwrap().len(), 1);
    world.server.go_back(&moment);
    surely(&store, batch("b", "two")).await;
    let Work::Send { attempt, .. } = store.claim(sends()).await.unwrap().remove(0) else {
        panic!("no message")
    };
    assert_eq!(attempt, 2);
}

/// What left the store is not missing, whoever wrote it. Where Redis forgot that it left, it is there again, and leaves again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_retired_is_not_put_back() {
    let mut world = World::new();
    let store = world.open().await;
    let asleep = |batch: Batch| Batch { wake: false, ..batch };
    surely(&store, asleep(inbound("a", "one"))).await;
    surely(&store, batch("a", "two")).await;
    surely(&store, batch("b", "one")).await;
    let before = world.server.remember();
    store.retire(&thread("a"), Version(2), &[]).await.unwrap();
    surely(&store, batch("b", "two")).await;
    let after = world.server.remember();
    surely(&store, batch("b", "three")).await;

    world.server.go_back(&after);
    assert_eq!(surely(&store, batch("b", "four")).await, Version(4));
    assert_eq!(story(&store, "b").await, ["one", "two", "three", "four"]);
    assert!(story(&store, "a").await.is_empty(), "it came back from the journal");
    assert!(store.missing(world.journal.path()).await.unwrap().is_empty());
    let healed = store.heal(world.journal.path()).await.unwrap();
    assert!(healed.lost.is_empty(), "{healed:?}");

    world.server.go_back(&before);
    assert_eq!(surely(&store, batch("b", "five")).await, Version(5));
    assert_eq!(story(&store, "a").await, ["one", "two"]);
    world.server.say(&["SET", "{test}:healing", "1", "PX", "500"]);
    let during = store.retire(&thread("a"), Version(2), &[]).await;
    assert!(matches!(during, Err(Error::Away { .. })), "{during:?}");
    tokio::time::sleep(Duration::from_millis(600)).await;
    // Nothing of it was put back, so it sleeps.
    store.retire(&thread("a"), Version(2), &[]).await.unwrap();
    assert!(story(&store, "a").await.is_empty());
    assert_eq!(store.latest(&thread("a").home()).await.unwrap(), Some(thread("a")));
}

/// A server that is stopped and started again with all that it had: nothing is missing, and all goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_without_a_loss_changes_nothing() {
    let mut world = World::new();
    let store = world.open().await;
    for n in 0..5 {
        surely(&store, inbound("a", &n.to_string())).await;
    }
    world.server.kill();
    world.server.restart();
    assert_eq!(surely(&store, batch("a", "5")).await, Version(6));
    assert_eq!(story(&store, "a").await, ["0", "1", "2", "3", "4", "5"]);
    assert!(store.missing(world.journal.path()).await.unwrap().is_empty());
}

/// Who empties a Redis wants it empty.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_emptied_redis_is_not_filled_from_a_journal() {
    let mut world = World::new();
    let store = world.open().await;
    surely(&store, batch("a", "one")).await;
    world.server.say(&["FLUSHALL"]);
    world.server.kill();
    world.server.restart();
    surely(&store, batch("b", "two")).await;
    assert!(story(&store, "a").await.is_empty());
    drop(store);
    let next = world.open().await;
    assert!(story(&next, "a").await.is_empty());
}
