//! What was written is sealed, whoever dies and whoever is late, and what was decided says what it stands on.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use agent::{Chain, Event, Evidence, Record, Seal, SealKeys, Thread, ThreadId, Version, Why, shown};
use channel::{Body, Content, Inbox};
use runtime::{Archive, Audit, Audited, Retention, Sealer, When};
use store::{Batch, Clock, Store};
use testkit::{
    MemoryStore,
    doubles::{Fault, Hold, Op, StoreDouble},
};

use crate::world::{World, act, count, finish, id};

const EVERY: Duration = Duration::from_secs(60);

fn keys() -> SealKeys {
    SealKeys::new([b"a key of the test's own".to_vec()])
}

fn sealer(world: &World, store: Arc<dyn Store>, by: &str) -> Sealer {
    Sealer::new(store, Arc::new(world.clock.clone()), by, Audit { every: EVERY, keys: keys() })
}

async fn sealed(world: &World) -> usize {
    sealer(world, world.store.clone(), "one").seal(When::Now).await.unwrap()
}

fn archive(world: &World) -> Archive {
    Archive::new(world.folder().join("archive"))
}

async fn audited(world: &World, store: Arc<dyn Store>) -> Audited {
    let board = world.board_with(|board| board.store = store);
    board.audit(&archive(world), &keys()).await.unwrap()
}

/// What is there is good, and so much is not sealed.
async fn good(world: &World, store: Arc<dyn Store>) -> Audited {
    let audited = audited(world, store).await;
    assert_eq!(audited.faults, Vec::<String>::new());
    audited
}

/// Writes an event to a thread.
async fn write(world: &World, store: &dyn Store, place: &str) {
    let record = Record::new(world.clock.now(), Event::Paused { by: place.to_owned() });
    store.commit(Batch { records: vec![record], ..Batch::new(id(place)) }).await.unwrap();
}

async fn seal(store: &dyn Store, number: u64) -> Option<Seal> {
    let kept = store.get(&format!("audit:seal:{number}")).await.unwrap();
    kept.map(|kept| serde_json::from_slice(&kept).unwrap())
}

fn evidence(thread: &Thread, name: &str) -> (Evidence, usize) {
    let records = thread.records().iter().enumerate();
    let mut found = records.filter_map(|(n, record)| match &record.event {
        Event::Answered(answer) if name == "answered" => Some((answer.evidence.clone(), n)),
        Event::Refused(refusal) if name == "refused" => Some((refusal.evidence.clone(), n)),
        _ => None,
    });
    found.next().unwrap_or_else(|| panic!("nothing was {name}"))
}

/// What decides says what it stands on: the log before it, and the card that was sent to where it was decided.
#[tokio::test]
async fn an_answer_says_what_it_stands_on() {
    let world = World::new();
    world.model.thinks(&act("deploy"));
    let serving = world.serve();
    world.say("p", "deploy").await;
    let sent = world.mail.sent_count(1).await;
    let Content::Card(card) = &sent[0].outgoing.content else { panic!("no card") };
    // Ben may not, and no card was sent to where he is.
    let mut press = world.inbound("ben", "p", "");
    press.ticket = Some(card.ticket.clone());
    press.body = Body::Press {
        choice: "approve".to_owned(),
        comment: None,
        values: std::collections::BTreeMap::new(),
    };
    world.door("chat").accept(press).await.unwrap();
    world.door("mail").accept(world.by_mail("approve", Some(&card.ticket))).await.unwrap();
    let thread = world.finished("p").await;
    assert!(serving.stop().await);
    for (name, card) in [("refused", None), ("answered", Some(shown(card)))] {
        let (evidence, n) = evidence(&thread, name);
        let before = Chain::new(thread.id()).over(&thread.records()[..n]);
        assert_eq!(evidence, Evidence { shown: card, chain: Some(before.hex()) }, "{name}");
    }
    let refused =
        |event: &Event| matches!(event, Event::Refused(refusal) if refusal.why == Why::NotPermitted);
    assert!(thread.records().iter().any(|record| refused(&record.event)));
    good(&world, world.embedded.clone()).await;
}

/// Where another event comes between, the answer stands on that, too.
#[tokio::test]
async fn an_answer_that_met_a_conflict_stands_on_what_is_there() {
    let world = World::new();
    world.model.thinks(&act("deploy"));
    let serving = world.serve();
    world.say("p", "deploy").await;
    let sent = world.mail.sent_count(1).await;
    let Content::Card(card) = &sent[0].outgoing.content else { panic!("no card") };
    world.finished_sending().await;
    assert!(serving.stop().await);
    let hold = Hold::new();
    let held = hold.clone();
    world.store.fails_commit(0, Fault::Held(hold), |batch| {
        batch.records.iter().any(|record| matches!(record.event, Event::Answered(_)))
    });
    let (door, answer) = (world.door("mail"), world.by_mail("approve", Some(&card.ticket)));
    let answering = tokio::spawn(async move { door.accept(answer).await });
    held.reached(1).await;
    write(&world, world.embedded.as_ref(), "p").await;
    held.open();
    answering.await.unwrap().unwrap();
    let thread = world.thread("p").await;
    assert_eq!((count(&thread, "answered"), count(&thread, "paused")), (1, 1));
    let (evidence, n) = evidence(&thread, "answered");
    assert_eq!(n, thread.records().len() - 1, "it was written anew");
    let before = Chain::new(thread.id()).over(&thread.records()[..n]);
    assert_eq!(evidence.chain, Some(before.hex()));
}

#[tokio::test]
async fn seals_follow_each_other_over_restarts_and_hold_what_changed() {
    let world = World::new();
    assert_eq!(sealed(&world).await, 0, "there is nothing");
    for place in ["a", "b", "c"] {
        write(&world, world.embedded.as_ref(), place).await;
    }
    assert_eq!(sealed(&world).await, 1);
    assert_eq!(sealed(&world).await, 0, "nothing was written since");
    write(&world, world.embedded.as_ref(), "b").await;
    write(&world, world.embedded.as_ref(), "d").await;
    assert_eq!(good(&world, world.embedded.clone()).await.unsealed, 2);
    assert_eq!(sealed(&world).await, 1);
    let store = world.embedded.as_ref();
    let (first, second) = (seal(store, 1).await.unwrap(), seal(store, 2).await.unwrap());
    assert_eq!((first.before.as_ref(), second.before.as_ref()), (None, Some(&first.hash)));
    let of = |seal: &Seal| -> BTreeSet<(ThreadId, u64)> {
        seal.threads.iter().map(|sealed| (sealed.thread.clone(), sealed.version.0)).collect()
    };
    assert_eq!(of(&first), BTreeSet::from([(id("a"), 1), (id("b"), 1), (id("c"), 1)]));
    assert_eq!(of(&second), BTreeSet::from([(id("b"), 2), (id("d"), 1)]));
    let audited = good(&world, world.embedded.clone()).await;
    assert_eq!((audited.threads, audited.seals, audited.unsealed), (4, 2, 0));
}

/// Whoever seals goes on from what it sealed, and looks at nothing that did not change; one that was started anew looks no further
/// back than it must.
#[tokio::test]
async fn sealing_costs_what_changed() {
    let world = World::new();
    let loads = Arc::new(AtomicUsize::new(0));
    let counted = loads.clone();
    world.store.fails(move |op| {
        counted.fetch_add(usize::from(matches!(op, Op::Load(_))), Ordering::SeqCst);
        Fault::None
    });
    for n in 0..30 {
        write(&world, world.embedded.as_ref(), &n.to_string()).await;
    }
    let mut one = sealer(&world, world.store.clone(), "one");
    one.seal(When::Now).await.unwrap();
    assert_eq!(loads.swap(0, Ordering::SeqCst), 30);
    for place in ["3", "4", "3"] {
        write(&world, world.embedded.as_ref(), place).await;
        one.seal(When::Now).await.unwrap();
    }
    assert_eq!(loads.swap(0, Ordering::SeqCst), 3);
    write(&world, world.embedded.as_ref(), "3").await;
    write(&world, world.embedded.as_ref(), "new").await;
    assert_eq!(sealed(&world).await, 1);
    assert_eq!(loads.load(Ordering::SeqCst), 2);
    assert_eq!(seal(world.embedded.as_ref(), 5).await.unwrap().threads.len(), 2);
    assert_eq!(one.seal(When::Now).await.unwrap(), 0, "another gateway did it");
    assert_eq!(loads.load(Ordering::SeqCst), 2);
    assert_eq!(good(&world, world.embedded.clone()).await.unsealed, 0);
}

/// More than are listed at once, and more than stand in one seal.
#[tokio::test]
async fn whatever_there_is_at_first_is_sealed() {
    let world = World::new();
    let memory: Arc<dyn Store> = Arc::new(MemoryStore::new(Arc::new(world.clock.clone())));
    for n in 0..2_301 {
        write(&world, memory.as_ref(), &n.to_string()).await;
    }
    assert_eq!(sealer(&world, memory.clone(), "one").seal(When::Now).await.unwrap(), 3);
    let audited = good(&world, memory.clone()).await;
    assert_eq!((audited.threads, audited.seals, audited.unsealed), (2_301, 3, 0));
    write(&world, memory.as_ref(), "1200").await;
    assert_eq!(sealer(&world, memory.clone(), "two").seal(When::Now).await.unwrap(), 1);
    assert_eq!(seal(memory.as_ref(), 4).await.unwrap().threads.len(), 1);
}

/// What a gateway left over that died between two seals is sealed by the next one.
#[tokio::test]
async fn a_crash_between_two_seals_leaves_nothing_out() {
    let world = World::new();
    let memory: Arc<dyn Store> = Arc::new(MemoryStore::new(Arc::new(world.clock.clone())));
    for n in 0..1_500 {
        write(&world, memory.as_ref(), &n.to_string()).await;
    }
    let dying = StoreDouble::before(memory.clone());
    let mut kept = 0;
    dying.fails(move |op| {
        kept += usize::from(matches!(op, Op::PutOnce(_)));
        if kept > 1 { Fault::Away } else { Fault::None }
    });
    assert!(sealer(&world, dying, "one").seal(When::Now).await.is_err());
    assert_eq!(good(&world, memory.clone()).await.unsealed, 500);
    world.clock.advance(Duration::from_secs(120));
    assert_eq!(sealer(&world, memory.clone(), "two").seal(When::Now).await.unwrap(), 1);
    assert_eq!(good(&world, memory).await.unsealed, 0);
}

/// Whatever write fails, done or not, and the gateway with it: the next one goes on, and nothing is left out or sealed otherwise.
#[tokio::test]
async fn a_crash_at_any_write_of_a_seal_does_no_harm() {
    for lost in [false, true] {
        for n in 0.. {
            let world = World::new();
            write(&world, world.embedded.as_ref(), "a").await;
            assert_eq!(sealed(&world).await, 1);
            write(&world, world.embedded.as_ref(), "a").await;
            write(&world, world.embedded.as_ref(), "b").await;
            let writes = Arc::new(AtomicUsize::new(0));
            let counted = writes.clone();
            world.store.fails(move |op| {
                if !matches!(op, Op::Hold(_) | Op::PutOnce(_) | Op::Put(_) | Op::LetGo(_)) {
                    return Fault::None;
                }
                match (counted.fetch_add(1, Ordering::SeqCst).cmp(&n), lost) {
                    (std::cmp::Ordering::Less, _) => Fault::None,
                    (std::cmp::Ordering::Equal, true) => Fault::Lost,
                    // The gateway is gone.
                    (std::cmp::Ordering::Equal | std::cmp::Ordering::Greater, _) => Fault::Away,
                }
            });
            let died = sealer(&world, world.store.clone(), "one").seal(When::Now).await.is_err();
            let reached = writes.load(Ordering::SeqCst) > n;
            world.store.back();
            world.clock.advance(Duration::from_secs(120));
            write(&world, world.embedded.as_ref(), "c").await;
            sealer(&world, world.store.clone(), "two").seal(When::Now).await.unwrap();
            let audited = good(&world, world.embedded.clone()).await;
            assert_eq!((audited.threads, audited.unsealed), (3, 0), "{n} {lost} {died}");
            if !reached {
                assert!(n >= 4, "{n} writes");
                break;
            }
        }
    }
}

/// One stands still in the middle of it for longer than its right lasts. Another seals meanwhile, and what the first then wants to
/// keep is not kept.
#[tokio::test]
async fn a_gateway_that_is_late_does_not_fork_the_seals() {
    let world = World::new();
    write(&world, world.embedded.as_ref(), "a").await;
    let hold = Hold::new();
    let held = hold.clone();
    world.store.fails(move |op| match op {
        Op::PutOnce(_) => Fault::Held(hold.clone()),
        _ => Fault::None,
    });
    let mut late = sealer(&world, world.store.clone(), "late");
    let sealing = tokio::spawn(async move { (late.seal(When::Now).await.unwrap(), late) });
    held.reached(1).await;
    let mut other = sealer(&world, world.embedded.clone(), "other");
    assert_eq!(other.seal(When::Now).await.unwrap(), 0, "it has no right to");
    world.clock.advance(Duration::from_secs(120));
    write(&world, world.embedded.as_ref(), "b").await;
    assert_eq!(other.seal(When::Now).await.unwrap(), 1);
    write(&world, world.embedded.as_ref(), "a").await;
    assert_eq!(other.seal(When::Now).await.unwrap(), 1);
    world.store.back();
    held.open();
    let (made, mut late) = sealing.await.unwrap();
    assert_eq!(made, 0);
    write(&world, world.embedded.as_ref(), "c").await;
    assert_eq!(late.seal(When::Now).await.unwrap(), 1, "it goes on from what the other sealed");
    let audited = good(&world, world.embedded.clone()).await;
    assert_eq!((audited.threads, audited.seals, audited.unsealed), (3, 3, 0));
}

/// What is written while something is sealed is sealed the next time, though it is written to what is being sealed.
#[tokio::test]
async fn what_is_written_meanwhile_is_sealed_the_next_time() {
    let world = World::new();
    for place in ["meanwhile", "a"] {
        write(&world, world.embedded.as_ref(), place).await;
    }
    let mut one = sealer(&world, world.store.clone(), "one");
    one.seal(When::Now).await.unwrap();
    write(&world, world.embedded.as_ref(), "a").await;
    let hold = Hold::new();
    let held = hold.clone();
    world.store.fails(move |op| match op {
        Op::Load(_) => Fault::Held(hold.clone()),
        _ => Fault::None,
    });
    let sealing = tokio::spawn(async move { (one.seal(When::Now).await.unwrap(), one) });
    held.reached(1).await;
    for place in ["meanwhile", "a"] {
        write(&world, world.embedded.as_ref(), place).await;
    }
    held.open();
    let (made, mut one) = sealing.await.unwrap();
    assert_eq!(made, 1);
    assert_eq!(good(&world, world.embedded.clone()).await.unsealed, 2);
    assert_eq!(one.seal(When::Now).await.unwrap(), 1);
    assert_eq!(good(&world, world.embedded.clone()).await.unsealed, 0);
}

/// In any history of writes, seals and restarts of three gateways, some of whose answers are lost, all that was written before a look
/// that came to its end is sealed, and every seal is good.
#[tokio::test]
async fn in_any_history_all_is_sealed() {
    for seed in 0..60_u64 {
        let world = World::new();
        let memory: Arc<dyn Store> = Arc::new(MemoryStore::new(Arc::new(world.clock.clone())));
        let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut draw = |below: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random % below
        };
        let lossy = StoreDouble::before(memory.clone());
        let mut fates = seed | 1;
        lossy.fails(move |op| {
            fates = fates.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            match (op, fates >> 60) {
                (Op::PutOnce(_) | Op::Put(_) | Op::Hold(_), 0) => Fault::Away,
                (Op::PutOnce(_) | Op::Put(_), 1) => Fault::Lost,
                _ => Fault::None,
            }
        });
        let begun = |name: &str| sealer(&world, lossy.clone(), name);
        let mut gateways = ["a", "b", "c"].map(begun);
        for _ in 0..60 {
            let (deed, which) = (draw(8), draw(3) as usize);
            match deed {
                0..4 => write(&world, memory.as_ref(), &draw(6).to_string()).await,
                4 => gateways[which] = begun(["a", "b", "c"][which]),
                _ => {
                    world.clock.advance(Duration::from_secs(70));
                    // Whether it could: the next look goes on.
                    gateways[which].seal(When::Now).await.ok();
                }
            }
        }
        world.clock.advance(Duration::from_secs(70));
        lossy.back();
        gateways[0].seal(When::Now).await.unwrap();
        assert_eq!(good(&world, memory).await.unsealed, 0, "seed {seed}");
    }
}

/// A look that comes before its time does nothing, whichever gateway it is.
#[tokio::test]
async fn seals_are_made_as_often_as_they_should() {
    let world = World::new();
    let (mut one, mut two) =
        (sealer(&world, world.store.clone(), "one"), sealer(&world, world.store.clone(), "two"));
    write(&world, world.embedded.as_ref(), "a").await;
    assert_eq!(one.seal(When::Due).await.unwrap(), 1, "there is none yet");
    write(&world, world.embedded.as_ref(), "a").await;
    world.clock.advance(EVERY - Duration::from_secs(1));
    assert_eq!((one.seal(When::Due).await.unwrap(), two.seal(When::Due).await.unwrap()), (0, 0));
    world.clock.advance(Duration::from_secs(1));
    assert_eq!((two.seal(When::Due).await.unwrap(), one.seal(When::Due).await.unwrap()), (1, 0));
}

#[tokio::test]
async fn a_gateway_that_stops_seals_what_was_written_last() {
    let mut world = World::new();
    world.settings.audit = Some(Audit { every: Duration::from_secs(3_600), keys: keys() });
    world.model.thinks(&finish("done"));
    let serving = world.serve();
    world.say("p", "please").await;
    world.finished("p").await;
    assert!(serving.stop().await);
    let audited = good(&world, world.embedded.clone()).await;
    assert_eq!((audited.threads, audited.unsealed), (1, 0));
    assert!(audited.seals > 0);
}

/// What left for the archive is held against the seals as what stayed, and what is in neither is told.
#[tokio::test]
async fn what_was_retired_is_still_what_was_sealed() {
    let world = World::new();
    let serving = world.serve();
    world.model.thinks(&finish("done"));
    world.say("p", "please").await;
    let thread = world.finished("p").await;
    assert!(serving.stop().await);
    write(&world, world.embedded.as_ref(), "stays").await;
    assert_eq!(sealed(&world).await, 1);
    world.clock.advance(Duration::from_secs(100 * 86_400));
    let retention = Retention { after: Duration::from_secs(60 * 86_400), archive: archive(&world) };
    let swept = retention.sweep(world.store.as_ref(), &world.clock, "one").await.unwrap().unwrap();
    assert_eq!(swept.retired, 1);
    let audited = good(&world, world.embedded.clone()).await;
    assert_eq!((audited.threads, audited.archived, audited.unsealed), (2, 1, 0));
    std::fs::remove_dir_all(archive(&world).folder()).unwrap();
    let audited = self::audited(&world, world.embedded.clone()).await;
    let [fault] = &audited.faults[..] else { panic!("{audited:#?}") };
    let knew = format!("knew {} events", thread.version());
    assert!(fault.contains(thread.id().as_str()) && fault.contains("it is gone"), "{fault}");
    assert!(fault.contains("seal 1 of") && fault.contains(&knew), "{fault}");
}

/// The last seal is changed under a gateway that runs: what it makes next follows what is there, and the change is found.
#[tokio::test]
async fn a_seal_that_was_changed_is_found_though_others_follow() {
    let world = World::new();
    let mut sealer = sealer(&world, world.store.clone(), "one");
    write(&world, world.embedded.as_ref(), "a").await;
    sealer.seal(When::Now).await.unwrap();
    let mut changed = seal(world.embedded.as_ref(), 1).await.unwrap();
    changed.threads[0].version = Version(7);
    world.embedded.put("audit:seal:1", &serde_json::to_vec(&changed).unwrap()).await.unwrap();
    write(&world, world.embedded.as_ref(), "b").await;
    sealer.seal(When::Now).await.unwrap();
    let audited = audited(&world, world.embedded.clone()).await;
    assert!(
        matches!(&audited.faults[..], [one] if one.contains("seal 1 of") && one.contains("was changed")),
        "{audited:#?}"
    );
    // One that cannot be read at all has its number for good.
    world.embedded.put("audit:seal:3", b"{").await.unwrap();
    write(&world, world.embedded.as_ref(), "c").await;
    assert_eq!(sealer.seal(When::Now).await.unwrap(), 1);
    assert_eq!(seal(world.embedded.as_ref(), 4).await.unwrap().threads[0].thread, id("c"));
}
