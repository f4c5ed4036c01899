//! Laws of waking: no wake is lost, and nobody is woken for nothing.

use std::{sync::Arc, time::Duration};

use agent::Version;
use store::{Again, Batch, Claim, Clock, Work};
use tokio::time::{Instant, sleep, timeout};

use super::{AFTER_TTL, Open, World, key, thread, turns};

/// Far longer than a store needs to hear of something, on a slow machine too.
pub(super) const LONG: Duration = Duration::from_secs(30);

/// Events alone make nothing due; a wake does, also one without events.
pub async fn only_a_wake_makes_due(open: &impl Open) {
    let world = World::new(open).await;
    let (a, b) = (thread("a"), thread("b"));
    world.commit(Batch { records: vec![world.record("one")], ..Batch::new(a.clone()) }).await;
    assert_eq!(world.turns(10).await, []);
    world.commit(Batch { wake: true, ..Batch::new(b.clone()) }).await;
    assert_eq!(world.store.threads(0, 1).await.unwrap()[0].due, Some(world.clock.now()));
    let due: Vec<_> = world.turns(10).await.into_iter().map(|(thread, _)| thread).collect();
    assert_eq!(due, [b]);
}

/// A batch that is refused wakes nobody.
pub async fn a_refused_batch_wakes_nobody(open: &impl Open) {
    let world = World::new(open).await;
    let thread = thread("a");
    let first = Batch { keys: vec![key("k")], ..Batch::new(thread.clone()) };
    world.commit(first).await;
    let conflict = Batch { expect: Some(Version(3)), wake: true, ..Batch::new(thread.clone()) };
    world.store.commit(conflict).await.unwrap_err();
    let duplicate = Batch { keys: vec![key("k")], wake: true, ..Batch::new(thread.clone()) };
    world.store.commit(duplicate).await.unwrap_err();
    assert_eq!(world.turns(10).await, []);
}

/// What was written while a worker had the thread, and the worker has not seen, makes it due when it is released.
pub async fn what_came_unseen_during_a_lease_makes_due(open: &impl Open) {
    let world = World::new(open).await;
    let thread = thread("a");
    let seen = world.wake(&thread, "one").await;
    let lease = world.turn().await;
    let version =
        world.commit(Batch { records: vec![world.record("two")], ..Batch::new(thread.clone()) }).await;
    let far = world.clock.now().checked_add(LONG).unwrap();
    world.store.release(&lease, Again::Sleep { seen, until: Some(far) }).await.unwrap();

    let lease = world.turn().await;
    world.sleep(&lease, version).await;
    assert_eq!(world.turns(10).await, [], "all was seen");
}

/// A wake without events, while a worker has the thread, is remembered until that worker releases it.
pub async fn a_bare_wake_during_a_lease_is_not_lost(open: &impl Open) {
    let world = World::new(open).await;
    let thread = thread("a");
    let seen = world.wake(&thread, "one").await;
    let lease = world.turn().await;
    world.commit(Batch { wake: true, ..Batch::new(thread.clone()) }).await;
    assert_eq!(world.turns(10).await, [], "given away while it was held");
    world.sleep(&lease, seen).await;
    let lease = world.turn().await;
    world.sleep(&lease, seen).await;
    assert_eq!(world.turns(10).await, [], "one wake, two turns");
}

/// A wake that came before a lease was taken over is the new worker's to see, and does not count again.
pub async fn a_wake_that_a_later_worker_saw_is_over(open: &impl Open) {
    let world = World::new(open).await;
    let thread = thread("a");
    let seen = world.wake(&thread, "one").await;
    world.turn().await;
    world.commit(Batch { wake: true, ..Batch::new(thread.clone()) }).await;
    world.clock.advance(AFTER_TTL);
    let lease = world.turn().await;
    world.sleep(&lease, seen).await;
    assert_eq!(world.turns(10).await, []);
}

/// A thread that sleeps until a time is due then and not before.
pub async fn a_sleeper_is_due_at_its_time(open: &impl Open) {
    let world = World::new(open).await;
    let thread = thread("a");
    let seen = world.wake(&thread, "one").await;
    let lease = world.turn().await;
    let until = world.clock.now().checked_add(Duration::from_nanos(1_500_000_000)).unwrap();
    world.store.release(&lease, Again::Sleep { seen, until: Some(until) }).await.unwrap();
    assert_eq!(world.store.threads(0, 1).await.unwrap()[0].due, Some(until));
    world.clock.advance(Duration::from_millis(1_499));
    assert_eq!(world.turns(10).await, []);
    world.clock.advance(Duration::from_millis(1));
    world.turn().await;
}

/// A thread that sleeps without a time stays asleep.
pub async fn a_sleeper_without_a_time_waits_for_a_wake(open: &impl Open) {
    let world = World::new(open).await;
    let thread = thread("a");
    let seen = world.wake(&thread, "one").await;
    let lease = world.turn().await;
    world.sleep(&lease, seen).await;
    assert_eq!(world.store.threads(0, 1).await.unwrap()[0].due, None);
    world.clock.advance(Duration::from_secs(100 * 24 * 60 * 60));
    assert_eq!(world.turns(10).await, []);
    world.wake(&thread, "two").await;
    world.turn().await;
}

/// A wake comes through to a thread that sleeps until later, or that is to be tried again later.
pub async fn a_wake_ends_a_sleep(open: &impl Open) {
    let world = World::new(open).await;
    let thread = thread("a");
    let seen = world.wake(&thread, "one").await;
    let far = world.clock.now().checked_add(LONG).unwrap();
    let sleep = Again::Sleep { seen, until: Some(far) };
    let retry = Again::Retry { at: far, why: "no model".to_owned() };
    for again in [sleep, retry] {
        let lease = world.turn().await;
        world.store.release(&lease, again).await.unwrap();
        assert_eq!(world.turns(10).await, []);
        world.commit(Batch { wake: true, ..Batch::new(thread.clone()) }).await;
    }
    world.turn().await;
}

/// A thread that is to be tried again is due then, and not before, whatever came meanwhile.
pub async fn a_retry_is_due_at_its_time(open: &impl Open) {
    let world = World::new(open).await;
    let thread = thread("a");
    world.wake(&thread, "one").await;
    let lease = world.turn().await;
    world.wake(&thread, "two").await;
    let at = world.clock.now().checked_add(Duration::from_secs(10)).unwrap();
    world.store.release(&lease, Again::Retry { at, why: "no model".to_owned() }).await.unwrap();
    world.clock.advance(Duration::from_secs(9));
    assert_eq!(world.turns(10).await, []);
    world.clock.advance(Duration::from_secs(1));
    world.turn().await;
}

/// A claim that waits is answered at once when a commit wakes a thread.
pub async fn a_waiting_claim_hears_a_commit(open: &impl Open) {
    let world = World::new(open).await;
    assert_told(async |n| {
        let name = n.to_string();
        hears(&world, turns(10, LONG), async || {
            world.wake(&thread(&name), "one").await;
        })
        .await
    })
    .await;
}

/// A claim that waits is answered at once when a thread is released and due.
pub async fn a_waiting_claim_hears_a_release(open: &impl Open) {
    let world = World::new(open).await;
    assert_told(async |n| {
        world.wake(&thread(&n.to_string()), "one").await;
        let lease = world.turn().await;
        hears(&world, turns(10, LONG), async || {
            world.store.release(&lease, Again::Sleep { seen: Version(0), until: None }).await.unwrap();
        })
        .await
    })
    .await;
}

/// A claim that waits is answered when the clock reaches the time that a thread sleeps until.
pub async fn a_waiting_claim_sees_work_fall_due(open: &impl Open) {
    let world = World::new(open).await;
    let seen = world.wake(&thread("a"), "one").await;
    let lease = world.turn().await;
    let until = world.clock.now().checked_add(Duration::from_millis(300)).unwrap();
    world.store.release(&lease, Again::Sleep { seen, until: Some(until) }).await.unwrap();
    let clock = world.clock.clone();
    let ticking = tokio::spawn(async move {
        let mut last = Instant::now();
        loop {
            sleep(Duration::from_millis(5)).await;
            let now = Instant::now();
            clock.advance(now - last);
            last = now;
        }
    });
    let (work, _) = timeout(LONG / 2, claiming(&world, LONG)).await.expect("the claim slept on");
    ticking.abort();
    assert_eq!(work.len(), 1);
    assert!(world.clock.now() >= until, "it came before its time");
}

/// A claim that nothing comes for ends when it said.
pub async fn a_waiting_claim_gives_up(open: &impl Open) {
    let world = World::new(open).await;
    let from = Instant::now();
    let (work, at) =
        timeout(LONG, claiming(&world, Duration::from_millis(200))).await.expect("the claim slept on");
    assert_eq!(work, []);
    assert!(at.duration_since(from) >= Duration::from_millis(200), "it did not wait");
}

/// A claim whose caller went away takes nothing with it.
pub async fn a_dropped_claim_leaves_nothing_leased(open: &impl Open) {
    let world = World::new(open).await;
    for n in 0..20 {
        let name = n.to_string();
        let waiting = tokio::spawn(claiming(&world, LONG));
        tokio::task::yield_now().await;
        sleep(Duration::from_millis(n % 4)).await;
        world.wake(&thread(&name), "one").await;
        waiting.abort();
        let taken = match waiting.await {
            Ok((work, _)) => work,
            Err(_) => timeout(LONG, claiming(&world, LONG / 2)).await.expect("the claim slept on").0,
        };
        assert_eq!(taken.len(), 1, "round {n}: the turn went with the caller");
    }
}

/// What has been due for longest comes first, so that nobody waits for ever.
pub async fn the_longest_due_comes_first(open: &impl Open) {
    let world = World::new(open).await;
    for name in ["c", "a", "d", "b"] {
        world.wake(&thread(name), "one").await;
        world.clock.advance(Duration::from_secs(1));
    }
    world.wake(&thread("c"), "again").await;
    let mut order = Vec::new();
    for _ in 0..4 {
        order.extend(world.turns(1).await.into_iter().map(|(thread, _)| thread));
    }
    assert_eq!(order, ["c", "a", "d", "b"].map(thread), "a second wake put a thread back");
}

/// A claim takes at most what it asked for; the rest stays.
pub async fn a_claim_takes_no_more_than_it_asked_for(open: &impl Open) {
    let world = World::new(open).await;
    for n in 0..5 {
        world.wake(&thread(&n.to_string()), "one").await;
    }
    assert_eq!(world.turns(0).await.len(), 0);
    assert_eq!(world.turns(2).await.len(), 2);
    assert_eq!(world.turns(10).await.len(), 3);
}

/// Tries a few times, so that a machine that was busy elsewhere once proves nothing: somebody was told, and did not
/// find out by looking now and then.
pub(super) async fn assert_told(mut round: impl AsyncFnMut(usize) -> Duration) {
    let mut late = Vec::new();
    for n in 0..5 {
        late.push(round(n).await);
        if late[n] < Duration::from_millis(500) {
            return;
        }
    }
    panic!("nobody told the claim: it was answered after {late:?}");
}

/// How long after something happened a claim that was waiting was answered, with one piece of work.
pub(super) async fn hears(world: &World, claim: Claim, happen: impl AsyncFnOnce()) -> Duration {
    let store = Arc::clone(&world.store);
    let waiting = tokio::spawn(async move {
        let work = store.claim(claim).await.unwrap();
        (work, Instant::now())
    });
    sleep(Duration::from_millis(100)).await;
    let from = Instant::now();
    happen().await;
    let (work, at) = timeout(LONG / 2, waiting).await.expect("the claim slept on").unwrap();
    assert_eq!(work.len(), 1, "{work:?}");
    at.duration_since(from)
}

fn claiming(world: &World, wait: Duration) -> impl Future<Output = (Vec<Work>, Instant)> + Send + use<> {
    let store = Arc::clone(&world.store);
    async move {
        let work = store.claim(turns(10, wait)).await.unwrap();
        (work, Instant::now())
    }
}
