//! What is over leaves the store for the archive; what anybody waits for stays.

use std::{sync::Arc, time::Duration};

use agent::{Event, Record, Thread, ThreadId, Version};
use channel::{ChannelName, DeliveryKey, Inbox, Said};
use runtime::{Archive, Door, NotSwept, Retention, Swept};
use store::{Again, Batch, Claim, Clock, SentQuery, Store, Wanted, Work};
use testkit::doubles::{Fault, Hold, Op};
use tokio::time::Instant;

use crate::world::{World, act, address, count, finish, id, story};

const DAY: Duration = Duration::from_secs(86_400);
/// When what is over leaves, in these tests.
const AFTER: Duration = Duration::from_secs(60 * 86_400);

fn retention(world: &World) -> Retention {
    Retention { after: AFTER, archive: Archive::new(world.folder().join("archive")) }
}

async fn sweep(world: &World) -> Swept {
    let swept = retention(world).sweep(world.store.as_ref(), &world.clock, "one").await;
    swept.unwrap().expect("nobody else sweeps")
}

/// The conversations in the archive, as often as they stand there, and what `zcat` makes of them.
fn archived(world: &World) -> Vec<String> {
    let mut heads = Vec::new();
    for entry in std::fs::read_dir(world.folder().join("archive")).into_iter().flatten() {
        let unpacked =
            std::process::Command::new("gzip").arg("-dc").arg(entry.unwrap().path()).output().unwrap();
        assert!(unpacked.status.success(), "{unpacked:?}");
        for line in String::from_utf8(unpacked.stdout).unwrap().lines() {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            heads.extend(line.get("thread").map(|thread| thread.as_str().unwrap().to_owned()));
        }
    }
    heads.sort();
    heads
}

async fn found(world: &World, thread: &ThreadId) -> Option<Thread> {
    retention(world).archive.find(thread).await.unwrap().map(|found| found.thread)
}

/// A conversation that was finished, and everything sent.
async fn finished(world: &World, place: &str) -> Thread {
    let serving = world.serve();
    world.model.thinks(&finish("done"));
    world.say(place, "please").await;
    world.finished(place).await;
    assert!(serving.stop().await);
    world.thread(place).await
}

/// A thread with this log, that nobody is to look at.
async fn with_log(world: &World, place: &str, records: &[Record]) {
    let batch = Batch { records: records.to_vec(), ..Batch::new(id(place)) };
    world.embedded.commit(batch).await.unwrap();
}

#[tokio::test]
async fn what_is_over_and_old_leaves_for_the_archive() {
    let world = World::new();
    let old = finished(&world, "old").await;
    world.clock.advance(AFTER);
    let young = finished(&world, "young").await;
    world.clock.advance(DAY);

    let swept = sweep(&world).await;
    assert_eq!((swept.retired, swept.kept, swept.more), (1, 0, false));
    let threads = world.embedded.threads(0, 10).await.unwrap();
    assert_eq!(threads.iter().map(|one| &one.thread).collect::<Vec<_>>(), [young.id()]);
    assert_eq!(story(&world.load(old.id()).await), Vec::<String>::new());
    assert_eq!(world.embedded.sent(SentQuery::At(address("chat", "old"))).await.unwrap(), []);
    let there = found(&world, old.id()).await.expect("it is in the archive");
    assert_eq!(there.records(), old.records());
    assert_eq!(archived(&world), [old.id().as_str()]);
    // There is nothing more to do, and nothing is written twice.
    assert_eq!(sweep(&world).await, Swept::default());
    assert_eq!(archived(&world).len(), 1);
}

/// Every way in which a conversation can have something left to do, by its log alone and by what the store knows beside it.
#[tokio::test]
async fn what_anybody_waits_for_never_leaves() {
    let world = World::new();
    let over = finished(&world, "over").await.records().to_vec();
    let serving = world.serve();
    world.model.thinks(&act("deploy"));
    world.say("asked", "deploy").await;
    let asked = world.until("asked", |thread| count(thread, "asked") == 1).await.records().to_vec();
    assert!(serving.stop().await);
    let heard = over.iter().position(|record| matches!(record.event, Event::Heard(_))).unwrap();
    let paused = |record: &Record| Record { event: Event::Paused { by: "ana".to_owned() }, ..record.clone() };

    // Nothing of these is due: only their logs say that they are not over.
    with_log(&world, "thinking", &over[..=heard]).await;
    with_log(&world, "deciding", &over[..heard + 2]).await;
    with_log(&world, "with a question", &asked).await;
    with_log(&world, "paused", &[&asked[..], &[paused(&asked[0])]].concat()).await;
    with_log(&world, "asked again", &[&over[..], &over[..=heard]].concat()).await;
    with_log(&world, "with a question after its end", &[&over[..], &asked[..]].concat()).await;
    with_log(&world, "empty", &[]).await;
    // By the clock of another machine its end is later than by the store's.
    let mut ahead = over.clone();
    ahead.last_mut().unwrap().at = world.clock.now().checked_add(AFTER * 3).unwrap();
    with_log(&world, "ahead", &ahead).await;
    // And these are over by their logs.
    with_log(&world, "due", &over).await;
    world.embedded.commit(Batch { wake: true, ..Batch::new(id("due")) }).await.unwrap();
    for (place, again) in [
        ("with a time", Again::Sleep { seen: Version(99), until: Some(channel::Timestamp::MAX) }),
        ("set aside", Again::Bury { why: "poison".to_owned() }),
    ] {
        with_log(&world, place, &over).await;
        world.embedded.commit(Batch { wake: true, ..Batch::new(id(place)) }).await.unwrap();
        let mut leases = turns(&world).await;
        leases.retain(|lease| lease.on == id(place).as_str());
        world.embedded.release(&leases[0], again).await.unwrap();
    }
    with_log(&world, "with a message", &over).await;
    let mut waits =
        world.embedded.sent(SentQuery::At(address("chat", "over"))).await.unwrap()[0].outgoing.clone();
    // A name that no event of the log has caused.
    waits.key = DeliveryKey::new(format!("{}.1.set-aside", id("with a message")));
    let batch = Batch { outgoing: vec![waits], ..Batch::new(id("with a message")) };
    world.embedded.commit(batch).await.unwrap();
    with_log(&world, "unreadable", &over).await;
    world.store.fails(|op| match op {
        Op::Load(thread) if *thread == id("unreadable") => Fault::Unreadable(thread.clone()),
        _ => Fault::None,
    });

    world.clock.advance(AFTER * 2);
    let before = world.embedded.threads(0, 100).await.unwrap();
    let swept = sweep(&world).await;
    assert_eq!((swept.retired, swept.kept), (1, before.len() - 1), "{before:#?}");
    assert_eq!(archived(&world), [id("over").as_str()]);
    assert!(world.embedded.load(&id("over"), Version(0)).await.unwrap().is_empty());

    // A worker has one that is over.
    with_log(&world, "worked on", &over).await;
    world.embedded.commit(Batch { wake: true, ..Batch::new(id("worked on")) }).await.unwrap();
    turns(&world).await;
    world.clock.advance(AFTER * 2);
    assert_eq!(sweep(&world).await.retired, 0);
    assert_eq!(archived(&world).len(), 1, "what stays is not written either");
}

async fn turns(world: &World) -> Vec<store::Lease> {
    let claim = Claim {
        worker: "a worker".to_owned(),
        wanted: Wanted::Turns,
        max: 10,
        ttl: Duration::from_secs(30),
        wait: Duration::ZERO,
    };
    let work = world.embedded.claim(claim).await.unwrap().into_iter();
    work.map(|work| match work {
        Work::Turn { lease, .. } | Work::Send { lease, .. } => lease,
    })
    .collect()
}

/// Once nobody waits for them any more, they leave too.
#[tokio::test]
async fn what_was_given_up_or_handed_over_leaves_when_it_is_over() {
    let world = World::new();
    let serving = world.serve();
    world.model.thinks(&act("deploy"));
    world.say("p", "deploy").await;
    world.until("p", |thread| count(thread, "asked") == 1).await;
    assert!(serving.stop().await);
    world.clock.advance(AFTER * 2);
    assert_eq!(sweep(&world).await.retired, 0, "a question is open");
    let cancelled = Record::new(world.clock.now(), Event::Cancelled { by: "ben".to_owned() });
    world
        .embedded
        .commit(Batch { records: vec![cancelled], wake: true, ..Batch::new(id("p")) })
        .await
        .unwrap();
    let serving = world.serve();
    let began = Instant::now();
    while world.embedded.threads(0, 1).await.unwrap()[0].due.is_some() {
        assert!(began.elapsed() < DAY / 1_000, "it never rests");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    world.finished_sending().await;
    assert!(serving.stop().await);
    assert_eq!(sweep(&world).await.retired, 0, "it was given up just now");
    world.clock.advance(AFTER + DAY);
    assert_eq!(sweep(&world).await.retired, 1);
    assert_eq!(count(&found(&world, &id("p")).await.unwrap(), "cancelled"), 1);
}

/// A crash between the archive and the store leaves it in both, and the next sweep ends it.
#[tokio::test]
async fn a_crash_between_archive_and_store_loses_nothing() {
    let world = World::new();
    let threads = [finished(&world, "a").await, finished(&world, "b").await];
    world.clock.advance(AFTER * 2);
    for fault in [Fault::Away, Fault::Lost] {
        let one = fault.clone();
        world.store.fails(move |op| if matches!(op, Op::Retire(_)) { one.clone() } else { Fault::None });
        let failed = retention(&world).sweep(world.store.as_ref(), &world.clock, "one").await;
        assert!(matches!(failed, Err(NotSwept::Store(store::Error::Away { .. }))), "{failed:?}");
        for thread in &threads {
            let there = found(&world, thread.id()).await.expect("it is in the archive already");
            assert_eq!(there.records(), thread.records());
        }
    }
    assert_eq!(world.embedded.threads(0, 10).await.unwrap().len(), 1, "of one only the answer was lost");
    world.store.back();
    assert_eq!(sweep(&world).await.retired, 1);
    assert_eq!(archived(&world).len(), 5);
    for thread in &threads {
        assert_eq!(found(&world, thread.id()).await.unwrap().records(), thread.records());
        assert!(world.embedded.load(thread.id(), Version(0)).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn nothing_leaves_that_is_not_in_the_archive() {
    let world = World::new();
    let thread = finished(&world, "a").await;
    world.clock.advance(AFTER * 2);
    let folder = world.folder().join("archive");
    let month = format!("{}.jsonl.gz", world.clock.now().strftime("%Y-%m"));
    let refused = async |what: &str| {
        let failed = retention(&world).sweep(world.store.as_ref(), &world.clock, "one").await;
        let failed = failed.map(drop).expect_err("the archive takes nothing");
        assert!(matches!(failed, NotSwept::Archive(_)) && failed.to_string().contains(what), "{failed}");
        assert_eq!(world.thread("a").await.records(), thread.records());
    };
    std::fs::write(&folder, "no folder").unwrap();
    refused("archive").await;
    std::fs::remove_file(&folder).unwrap();
    std::fs::create_dir(&folder).unwrap();
    std::os::unix::fs::symlink("/dev/full", folder.join(&month)).unwrap();
    refused("free some space").await;
    std::fs::remove_file(folder.join(&month)).unwrap();
    assert_eq!(sweep(&world).await.retired, 1);
    assert_eq!(archived(&world), [thread.id().as_str()]);
}

#[tokio::test]
async fn one_gateway_sweeps_at_a_time() {
    let world = World::new();
    let over = finished(&world, "over").await.records().to_vec();
    for n in 0..120 {
        with_log(&world, &n.to_string(), &over).await;
    }
    world.clock.advance(AFTER * 2);
    let (store, retention) = (&world.embedded, retention(&world));
    assert!(store.hold("retire", "another", DAY).await.unwrap());
    assert_eq!(retention.sweep(store.as_ref(), &world.clock, "one").await.unwrap(), None);
    store.let_go("retire", "another").await.unwrap();

    let sweeps = async |by| retention.sweep(store.as_ref(), &world.clock, by).await.unwrap();
    let (a, b) = tokio::join!(sweeps("a"), sweeps("b"));
    let retired = [&a, &b].map(|swept| swept.as_ref().map_or(0, |swept| swept.retired));
    assert!(retired == [121, 0] || retired == [0, 121], "{a:?} {b:?}");
    assert_eq!(archived(&world).len(), 121, "each is written once");
    assert!(store.hold("retire", "another", DAY).await.unwrap(), "the right is given back");
    // One that loses the right in the middle of it leaves the rest to whoever has it.
    store.let_go("retire", "another").await.unwrap();
    for n in 0..120 {
        with_log(&world, &format!("more {n}"), &over).await;
    }
    world.clock.advance(AFTER * 2);
    let mut holds = 0;
    world.store.fails(move |op| match op {
        Op::Hold("retire") => {
            holds += 1;
            if holds > 1 { Fault::Away } else { Fault::None }
        }
        _ => Fault::None,
    });
    retention.sweep(world.store.as_ref(), &world.clock, "one").await.expect_err("the store is away");
    assert_eq!(store.threads(0, 1_000).await.unwrap().len(), 70, "one page left");
}

/// Whoever writes again at a place whose conversation left is answered in the next one, and the place shows what is there.
#[tokio::test]
async fn a_place_goes_on_after_its_conversation_left() {
    let world = World::new();
    let old = finished(&world, "p").await;
    world.clock.advance(AFTER * 2);
    assert_eq!(sweep(&world).await.retired, 1);
    let history = async || {
        let entries = world.door("chat").history(&address("chat", "p").place).await.unwrap().into_iter();
        entries
            .filter_map(|entry| if let Said::Heard { text, .. } = entry.said { Some(text) } else { None })
            .collect::<Vec<_>>()
    };
    assert_eq!(history().await, Vec::<String>::new());

    let serving = world.serve();
    world.model.thinks(&finish("again"));
    world.say("p", "once more").await;
    let next = ThreadId::new(&old.id().home(), 2);
    let began = Instant::now();
    while count(&world.load(&next).await, "finished") == 0 {
        assert!(began.elapsed() < DAY / 1_000, "it is never answered");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    world.finished_sending().await;
    assert!(serving.stop().await);
    assert_eq!(world.chat.sent().last().unwrap().text(), "again");
    assert_eq!(history().await, ["once more"]);
    assert!(world.embedded.load(old.id(), Version(0)).await.unwrap().is_empty());
    // Message names never come twice.
    let keys: std::collections::BTreeSet<_> =
        world.chat.sent().iter().map(|sent| sent.outgoing.key.clone()).collect();
    assert_eq!(keys.len(), world.chat.sent().len());
}

/// A message that was read against the old conversation while that left is decided anew.
#[tokio::test]
async fn a_message_that_meets_a_leaving_conversation_begins_the_next() {
    let mut world = World::new();
    // It would have gone on.
    world.settings.renew_after = AFTER * 10;
    let old = finished(&world, "p").await;
    world.clock.advance(AFTER * 2);
    let hold = Hold::new();
    let (held, old_id) = (hold.clone(), old.id().clone());
    world.store.fails(move |op| match op {
        Op::Commit(batch) if batch.thread == old_id => Fault::Held(held.clone()),
        _ => Fault::None,
    });
    let door = Door::new(world.board(), ChannelName::new("chat"));
    let inbound = world.inbound("ben", "p", "once more");
    let accepting = tokio::spawn(async move { door.accept(inbound).await });
    hold.reached(1).await;
    let swept = retention(&world).sweep(world.embedded.as_ref(), &world.clock, "one").await;
    assert_eq!(swept.unwrap().unwrap().retired, 1);
    hold.open();
    accepting.await.unwrap().unwrap();
    let next = world.load(&ThreadId::new(&old.id().home(), 2)).await;
    assert_eq!(count(&next, "heard once more"), 1);
    assert!(world.embedded.load(old.id(), Version(0)).await.unwrap().is_empty());
    assert_eq!(found(&world, old.id()).await.unwrap().records(), old.records());
}

/// A message that is written while the old conversation goes into the archive keeps it where it is.
#[tokio::test]
async fn a_conversation_that_goes_on_meanwhile_stays() {
    let mut world = World::new();
    world.settings.renew_after = AFTER * 10;
    let old = finished(&world, "p").await;
    world.clock.advance(AFTER * 2);
    let (hold, world) = (Hold::new(), Arc::new(world));
    let held = hold.clone();
    world.store.fails(move |op| match op {
        Op::Retire(_) => Fault::Held(held.clone()),
        _ => Fault::None,
    });
    let sweeping = tokio::spawn({
        let world = world.clone();
        async move { sweep(&world).await }
    });
    hold.reached(1).await;
    world.say("p", "once more").await;
    hold.open();
    let swept = sweeping.await.unwrap();
    assert_eq!((swept.retired, swept.kept), (0, 1));
    let thread = world.thread("p").await;
    assert_eq!(thread.records()[..old.records().len()], *old.records());
    assert_eq!(count(&thread, "heard once more"), 1);
}

/// A gateway does it by itself, when it starts.
#[tokio::test]
async fn a_gateway_sweeps_by_itself() {
    let mut world = World::new();
    let old = finished(&world, "p").await;
    world.clock.advance(AFTER * 2);
    let kept = world.serve();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(kept.stop().await);
    assert_eq!(world.embedded.threads(0, 1).await.unwrap().len(), 1, "nothing leaves unasked");
    world.settings.retention = Some(retention(&world));
    let serving = world.serve();
    let began = Instant::now();
    while !world.embedded.threads(0, 1).await.unwrap().is_empty() {
        assert!(began.elapsed() < DAY / 1_000, "it never leaves");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(serving.stop().await);
    assert_eq!(found(&world, old.id()).await.unwrap().records(), old.records());
    let store: Arc<dyn Store> = world.embedded.clone();
    assert!(store.hold("retire", "another", DAY).await.unwrap(), "the right is given back");
}
