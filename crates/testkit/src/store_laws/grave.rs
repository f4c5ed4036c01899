//! Laws of what cannot be stepped: attempts are counted, also those that killed their worker, and a thread is set aside and comes
//! back.

use std::time::Duration;

use agent::ThreadId;
use store::{Again, Batch, Clock, Error, Lease, Work};

use super::{AFTER_TTL, Open, World, message, thread, turns};

/// Each taking of a thread is an attempt, whatever became of the worker, until one ends well.
pub async fn an_attempt_is_counted_until_one_goes_well(open: &impl Open) {
    let world = World::new(open).await;
    let thread = thread("a");
    let seen = world.wake(&thread, "one").await;
    for attempt in 1..4 {
        // The worker dies of it.
        assert_eq!(taken(&world).await.1, attempt);
        world.clock.advance(AFTER_TTL);
    }
    let (lease, attempt) = taken(&world).await;
    assert_eq!(attempt, 4);
    world.sleep(&lease, seen).await;
    for _ in 0..3 {
        world.wake(&thread, "more").await;
        let (lease, attempt) = taken(&world).await;
        assert_eq!(attempt, 1, "it went well, or what did not lay elsewhere");
        let at = world.clock.now();
        world.store.release(&lease, Again::Retry { at, why: "no model".to_owned() }).await.unwrap();
    }
}

/// A worker that wrote something before its lease ran out has got on; one that only holds it, and what others write, has not.
pub async fn a_thread_that_gets_on_is_counted_anew(open: &impl Open) {
    let world = World::new(open).await;
    let thread = thread("a");
    world.wake(&thread, "one").await;
    for round in 1..4 {
        for attempt in 1..3 {
            let (lease, counted) = taken(&world).await;
            assert_eq!(counted, attempt, "round {round}");
            world.commit(Batch { fence: Some(lease), ..Batch::new(thread.clone()) }).await;
            world.commit(Batch { records: vec![world.record("a fact")], ..Batch::new(thread.clone()) }).await;
            world.clock.advance(AFTER_TTL);
        }
        let (lease, counted) = taken(&world).await;
        assert_eq!(counted, 3);
        let records = vec![world.record("a step")];
        world.commit(Batch { records, fence: Some(lease), ..Batch::new(thread.clone()) }).await;
        world.clock.advance(AFTER_TTL);
    }
}

/// What did not work is due at its time, and the attempts before it are not forgotten.
pub async fn a_stuck_thread_is_due_at_its_time_and_counted(open: &impl Open) {
    let world = World::new(open).await;
    world.wake(&thread("a"), "one").await;
    for attempt in 1..5 {
        let (lease, counted) = taken(&world).await;
        assert_eq!(counted, attempt);
        let at = world.clock.now().checked_add(Duration::from_secs(10)).unwrap();
        world.store.release(&lease, Again::Stuck { at, why: "poison".to_owned() }).await.unwrap();
        world.clock.advance(Duration::from_secs(9));
        assert_eq!(world.turns(10).await, []);
        world.clock.advance(Duration::from_secs(1));
    }
}

/// A thread that was set aside is taken by nobody, however late it gets, and stands in the list with the reason.
pub async fn a_buried_thread_is_due_no_more_and_listed(open: &impl Open) {
    let world = World::new(open).await;
    let names = ["a", "b", "c"].map(thread);
    for name in &names {
        world.wake(name, "one").await;
        bury(&world, "poison").await;
    }
    world.clock.advance(AFTER_TTL * 100);
    assert_eq!(world.turns(10).await, []);
    // What only stands in the log digs nothing up.
    world.commit(Batch { records: vec![world.record("two")], ..Batch::new(names[0].clone()) }).await;
    assert_eq!(world.turns(10).await, []);
    let listed = world.store.buried(10).await.unwrap();
    let listed: Vec<_> = listed.iter().map(|buried| (&buried.thread, buried.buried.as_deref())).collect();
    let why = Some("poison");
    assert_eq!(listed, [(&names[0], why), (&names[2], why), (&names[1], why)], "the last written first");
    assert_eq!(world.store.buried(1).await.unwrap().len(), 1);
    let all = world.store.threads(0, 10).await.unwrap();
    assert!(all.iter().all(|thread| thread.buried.as_deref() == why && thread.due.is_none()), "{all:?}");
}

/// A batch that wakes a thread which was set aside makes it due, and its attempts are counted anew.
pub async fn a_wake_digs_up(open: &impl Open) {
    let world = World::new(open).await;
    let thread = thread("a");
    for _ in 0..2 {
        world.wake(&thread, "one").await;
        bury(&world, "poison").await;
        world.commit(Batch { wake: true, ..Batch::new(thread.clone()) }).await;
        assert_eq!(world.store.buried(10).await.unwrap(), []);
        let (lease, attempt) = taken(&world).await;
        assert_eq!(attempt, 1);
        let seen = world.wake(&thread, "two").await;
        world.sleep(&lease, seen).await;
        assert_eq!(world.turns(10).await.len(), 1);
        world.clock.advance(AFTER_TTL);
        let (lease, _) = taken(&world).await;
        world.sleep(&lease, seen).await;
    }
}

/// A wake that comes while the worker that gives up still has the thread is not buried with it.
pub async fn a_wake_during_the_last_attempt_digs_up_at_once(open: &impl Open) {
    let world = World::new(open).await;
    let thread = thread("a");
    world.wake(&thread, "one").await;
    let (lease, _) = taken(&world).await;
    world.wake(&thread, "two").await;
    world.store.release(&lease, Again::Bury { why: "poison".to_owned() }).await.unwrap();
    assert_eq!(world.store.buried(10).await.unwrap(), []);
    assert_eq!(taken(&world).await.1, 1);
}

/// A message that cannot be sent is dead; it is not set aside.
pub async fn a_message_is_never_buried(open: &impl Open) {
    let world = World::new(open).await;
    let thread = thread("a");
    world.post(&thread, &[&message(&thread, "x", "one")]).await;
    let send = world.send().await;
    let refused = world.store.release(&send.lease, Again::Bury { why: "poison".to_owned() }).await;
    assert!(matches!(refused, Err(Error::Refused { .. })), "{refused:?}");
    world.settle(&send, "m1").await;
}

/// Who was replaced sets nothing aside.
pub async fn a_lost_lease_buries_nothing(open: &impl Open) {
    let world = World::new(open).await;
    world.wake(&thread("a"), "one").await;
    let (old, _) = taken(&world).await;
    world.clock.advance(AFTER_TTL);
    let _new = taken(&world).await;
    for again in [
        Again::Bury { why: "poison".to_owned() },
        Again::Stuck { at: world.clock.now(), why: "poison".to_owned() },
    ] {
        let lost = world.store.release(&old, again).await;
        assert!(matches!(lost, Err(Error::Fenced { .. })), "{lost:?}");
    }
    assert_eq!(world.store.buried(10).await.unwrap(), []);
}

/// Takes the one turn that is due, and says which attempt it is.
async fn taken(world: &World) -> (Lease, u32) {
    let mut work = world.store.claim(turns(10, Duration::ZERO)).await.unwrap();
    assert_eq!(work.len(), 1, "{work:?}");
    match work.remove(0) {
        Work::Turn { lease, attempt, thread } => {
            assert_eq!(ThreadId::parse(&lease.on).as_ref(), Some(&thread));
            (lease, attempt)
        }
        Work::Send { lease, .. } => panic!("a message, where a turn was asked for: {lease:?}"),
    }
}

async fn bury(world: &World, why: &str) {
    let (lease, _) = taken(world).await;
    world.store.release(&lease, Again::Bury { why: why.to_owned() }).await.unwrap();
}
