//! Laws of leases on threads: one worker at a time, and none that was replaced writes anything.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use agent::{ThreadId, Version};
use store::{Again, Batch, Clock, Error, Lease, SendState, Settle};
use tokio::task::JoinSet;

use super::{AFTER_TTL, Open, TTL, World, message, thread, turn, turns};

/// A thread that a worker has is given to nobody else, under whatever name they ask.
pub async fn a_turn_has_one_worker(open: &impl Open) {
    let world = World::new(open).await;
    let thread = thread("a");
    world.wake(&thread, "one").await;
    let taken = world.turns(10).await;
    assert_eq!(taken.iter().map(|(thread, _)| thread).collect::<Vec<_>>(), [&thread]);
    assert_eq!(taken[0].1.on, thread.as_str());
    world.wake(&thread, "two").await;
    assert_eq!(world.turns(10).await, []);
    let mut another = turns(10, Duration::ZERO);
    another.worker = "another".to_owned();
    assert_eq!(world.store.claim(another).await.unwrap(), []);
}

/// Workers that ask at the same time never get the same thread, and together they get all.
pub async fn many_workers_share_turns_without_overlap(open: &impl Open) {
    let world = World::new(open).await;
    let threads: BTreeSet<ThreadId> = (0..30).map(|n| thread(&n.to_string())).collect();
    for thread in &threads {
        world.wake(thread, "one").await;
    }
    let mut workers = JoinSet::new();
    for _ in 0..12 {
        let store = Arc::clone(&world.store);
        workers.spawn(async move { store.claim(turns(3, Duration::ZERO)).await.unwrap() });
    }
    let taken: Vec<_> = workers.join_all().await.into_iter().flatten().map(|work| turn(work).0).collect();
    assert_eq!(taken.len(), threads.len(), "a thread was given twice, or not at all");
    assert_eq!(taken.into_iter().collect::<BTreeSet<_>>(), threads);
}

/// Each taking has a higher epoch than all before, after a release as after an expiry.
pub async fn each_taking_raises_the_epoch(open: &impl Open) {
    let world = World::new(open).await;
    let thread = thread("a");
    let mut last = 0;
    for n in 0..4 {
        let version = world.wake(&thread, "more").await;
        let lease = world.turn().await;
        assert!(lease.epoch > last, "epoch {} after {last}", lease.epoch);
        last = lease.epoch;
        if n % 2 == 0 {
            world.sleep(&lease, version).await;
        } else {
            world.clock.advance(AFTER_TTL);
        }
    }
}

/// A lease that is held lets its batch through, as often as it likes.
pub async fn a_held_lease_commits(open: &impl Open) {
    let world = World::new(open).await;
    let thread = thread("a");
    world.wake(&thread, "one").await;
    let lease = world.turn().await;
    for version in 1..4 {
        let batch = Batch { expect: Some(Version(version)), ..fenced(&world, &thread, &lease) };
        assert_eq!(world.commit(batch).await, Version(version + 1));
    }
}

/// A batch under an older epoch is refused whole.
pub async fn a_stale_epoch_commits_nothing(open: &impl Open) {
    let world = World::new(open).await;
    let thread = thread("a");
    let version = world.wake(&thread, "one").await;
    let old = world.turn().await;
    world.store.release(&old, Again::Sleep { seen: Version(0), until: None }).await.unwrap();
    let new = world.turn().await;
    let before = world.picture(&thread).await;
    let batch = Batch { expect: Some(version), ..fenced(&world, &thread, &old) };
    assert_fenced(world.store.commit(batch).await, &old);
    assert_eq!(world.picture(&thread).await, before);
    world.commit(fenced(&world, &thread, &new)).await;
}

/// A lease that was given back is over, though nobody has taken it since.
pub async fn a_released_lease_commits_nothing(open: &impl Open) {
    let world = World::new(open).await;
    let thread = thread("a");
    let version = world.wake(&thread, "one").await;
    let lease = world.turn().await;
    world.sleep(&lease, version).await;
    let before = world.picture(&thread).await;
    assert_fenced(world.store.commit(fenced(&world, &thread, &lease)).await, &lease);
    assert_fenced(world.store.renew(&lease, TTL).await, &lease);
    let again = Again::Sleep { seen: Version(0), until: Some(world.clock.now()) };
    assert_fenced(world.store.release(&lease, again).await, &lease);
    assert_eq!(world.picture(&thread).await, before);
    assert_eq!(world.turns(10).await, []);
}

/// A worker that was slow, and not replaced, has lost nothing.
pub async fn an_expired_lease_counts_until_it_is_taken_over(open: &impl Open) {
    let world = World::new(open).await;
    let thread = thread("a");
    world.wake(&thread, "one").await;
    let lease = world.turn().await;
    world.clock.advance(AFTER_TTL);
    let version = world.commit(fenced(&world, &thread, &lease)).await;
    world.sleep(&lease, version).await;
    assert_eq!(world.turns(10).await, []);
}

/// An expired lease can be taken over; the old one is then good for nothing.
pub async fn a_lease_that_was_taken_over_is_lost(open: &impl Open) {
    let world = World::new(open).await;
    let thread = thread("a");
    world.wake(&thread, "one").await;
    let old = world.turn().await;
    world.clock.advance(TTL - Duration::from_secs(1));
    assert_eq!(world.turns(10).await, [], "taken over before it expired");
    world.clock.advance(Duration::from_secs(2));
    let new = world.turn().await;

    let before = world.picture(&thread).await;
    assert_fenced(world.store.commit(fenced(&world, &thread, &old)).await, &old);
    assert_fenced(world.store.renew(&old, TTL).await, &old);
    let again = Again::Sleep { seen: Version(9), until: None };
    assert_fenced(world.store.release(&old, again).await, &old);
    assert_eq!(world.picture(&thread).await, before);
    world.commit(fenced(&world, &thread, &new)).await;
}

/// An epoch that was never given out opens nothing, on a thread that exists or not.
pub async fn a_lease_that_never_was_is_no_fence(open: &impl Open) {
    let world = World::new(open).await;
    let (a, b) = (thread("a"), thread("b"));
    world.wake(&a, "one").await;
    let lease = world.turn().await;
    for epoch in [0, lease.epoch + 1, u64::MAX] {
        let forged = Lease { epoch, ..lease.clone() };
        assert_fenced(world.store.commit(fenced(&world, &a, &forged)).await, &forged);
    }
    for epoch in [0, 1] {
        let forged = Lease { on: b.as_str().to_owned(), epoch };
        assert_fenced(world.store.commit(fenced(&world, &b, &forged)).await, &forged);
    }
    assert_eq!(world.story(&b).await, Vec::<String>::new());
}

/// A lease fences the thread that it is on; one on a message fences none, and one on a thread settles no message.
pub async fn a_lease_on_another_thing_is_no_fence(open: &impl Open) {
    let world = World::new(open).await;
    let (a, b) = (thread("a"), thread("b"));
    world.wake(&a, "one").await;
    let on_a = world.turn().await;
    assert_fenced(world.store.commit(fenced(&world, &b, &on_a)).await, &on_a);

    world.post(&a, &[&message(&a, "a", "hello")]).await;
    let on_message = world.send().await.lease;
    assert_fenced(world.store.commit(fenced(&world, &a, &on_message)).await, &on_message);
    let settle = Settle { lease: on_a.clone(), state: SendState::Sent, message: None };
    assert_fenced(world.store.commit(Batch { settle: Some(settle), ..Batch::new(a.clone()) }).await, &on_a);
    assert_eq!(world.story(&b).await, Vec::<String>::new());
}

/// A lease that is renewed does not expire.
pub async fn renewing_keeps_others_away(open: &impl Open) {
    let world = World::new(open).await;
    let thread = thread("a");
    world.wake(&thread, "one").await;
    let lease = world.turn().await;
    for _ in 0..3 {
        world.clock.advance(TTL - Duration::from_secs(1));
        world.store.renew(&lease, TTL).await.unwrap();
        assert_eq!(world.turns(10).await, []);
    }
    world.clock.advance(AFTER_TTL);
    assert_eq!(world.turns(10).await.len(), 1);
}

/// A worker that comes back in time goes on.
pub async fn an_expired_lease_that_nobody_took_is_renewed(open: &impl Open) {
    let world = World::new(open).await;
    let thread = thread("a");
    world.wake(&thread, "one").await;
    let lease = world.turn().await;
    world.clock.advance(AFTER_TTL);
    world.store.renew(&lease, TTL).await.unwrap();
    assert_eq!(world.turns(10).await, []);
    world.commit(fenced(&world, &thread, &lease)).await;
}

/// A batch that changes something, under a lease.
fn fenced(world: &World, thread: &ThreadId, lease: &Lease) -> Batch {
    Batch {
        fence: Some(lease.clone()),
        records: vec![world.record("fenced")],
        outgoing: vec![message(thread, "fenced", &world.clock.now().to_string())],
        ..Batch::new(thread.clone())
    }
}

#[track_caller]
fn assert_fenced<T: std::fmt::Debug>(result: Result<T, Error>, lease: &Lease) {
    match result {
        Err(Error::Fenced { on }) => assert_eq!(on, lease.on),
        other => panic!("{other:?}, and the lease {lease:?} was lost"),
    }
}
