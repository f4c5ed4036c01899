//! Threads that cannot be stepped: tried, set aside, told, and tried again when somebody writes.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use store::{Claim, Clock, Store, Wanted};
use testkit::doubles::{Fault, Op};

use crate::world::{World, act, count, until};

/// Lets time go by until so many threads are set aside; why the first was.
async fn set_aside(world: &World, threads: usize) -> String {
    for _ in 0..2_000 {
        let buried = world.embedded.buried(10).await.unwrap();
        if buried.len() == threads {
            return buried.first().and_then(|thread| thread.buried.clone()).unwrap_or_default();
        }
        world.clock.advance(Duration::from_secs(5));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("it was never set aside: {:#?}", world.embedded.threads(0, 10).await.unwrap());
}

/// A thread whose agent is gone is tried some times and no more; its people are told once, and what they write digs it up.
#[tokio::test]
async fn a_poisonous_thread_is_set_aside_and_comes_back() {
    let mut world = World::new();
    let serving = world.serve();
    world.model.thinks(&act("deploy"));
    world.say("p", "deploy").await;
    world.until("p", |thread| count(thread, "asked") == 1).await;
    assert!(serving.stop().await);
    // Another version of the agent comes, and nobody kept the one that it began with.
    let lines = std::mem::replace(&mut world.lines, "limits.failures = 2".to_owned());
    let serving = world.serve();
    // A message may be sent twice here: the clock runs so fast that a lease is over before its end is written.
    let told = |world: &World| {
        let sent = world.chat.sent();
        let aside = sent.iter().filter(|sent| sent.text().contains("set aside"));
        aside.map(|sent| sent.outgoing.key.clone()).collect::<BTreeSet<_>>().len()
    };
    world.say("p", "and now?").await;
    let why = set_aside(&world, 1).await;
    assert!(why.contains("is not kept in the store"), "{why}");
    until("its people are told", || told(&world) == 1).await;
    for _ in 0..100 {
        world.clock.advance(Duration::from_secs(60));
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(told(&world), 1);
    // Whoever writes again is told again, when it does not work again.
    world.say("p", "hello?").await;
    set_aside(&world, 0).await;
    set_aside(&world, 1).await;
    until("they are told again", || told(&world) == 2).await;
    assert!(serving.stop().await);

    // Somebody has mended it.
    world.lines = lines;
    let serving = world.serve();
    world.say("p", "are you there?").await;
    // It is stepped, and waits for its approval as before.
    let soon = world.clock.now().checked_add(Duration::from_secs(600)).unwrap();
    for _ in 0..2_000 {
        let thread = world.embedded.threads(0, 1).await.unwrap().remove(0);
        if thread.buried.is_none() && thread.due.is_none_or(|due| due > soon) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let thread = world.embedded.threads(0, 1).await.unwrap().remove(0);
    assert!(thread.buried.is_none() && thread.due.is_none_or(|due| due > soon), "{thread:?}");
    assert!(serving.stop().await);
    assert_eq!(told(&world), 2);
}

/// One whose workers die of it, time after time, is not given to the next.
#[tokio::test]
async fn what_kills_its_workers_is_set_aside_unseen() {
    let world = World::new();
    let thread = world.say("p", "hello").await;
    let claim = Claim {
        worker: "the late".to_owned(),
        wanted: Wanted::Turns,
        max: 1,
        ttl: Duration::from_secs(1),
        wait: Duration::ZERO,
    };
    for _ in 0..10 {
        assert_eq!(world.embedded.claim(claim.clone()).await.unwrap().len(), 1);
        world.clock.advance(Duration::from_secs(2));
    }
    let serving = world.serve();
    assert!(set_aside(&world, 1).await.contains("ended in the middle"));
    assert_eq!(world.model.prompts().len(), 0, "it was stepped");
    until("its people are told", || !world.chat.sent().is_empty()).await;
    assert_eq!(world.embedded.buried(1).await.unwrap()[0].thread, thread);
    assert!(serving.stop().await);
}

/// A store that is away is no thread's fault, however long it lasts.
#[tokio::test]
async fn a_store_that_is_away_sets_nothing_aside() {
    let world = World::new();
    world.say("p", "hello").await;
    let loads = Arc::new(AtomicUsize::new(0));
    let counted = loads.clone();
    world.store.fails(move |op| match op {
        Op::Load(_) => {
            counted.fetch_add(1, Ordering::Relaxed);
            Fault::Away
        }
        _ => Fault::None,
    });
    let serving = world.serve();
    while loads.load(Ordering::Relaxed) < 30 {
        world.clock.advance(Duration::from_secs(1));
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert!(world.embedded.buried(1).await.unwrap().is_empty());
    world.store.back();
    world.clock.advance(Duration::from_secs(60));
    // It is stepped, to its end or until its time is over, whichever the clock says by now.
    world.until("p", |thread| count(thread, "finished") + count(thread, "handed_over") >= 1).await;
    assert!(serving.stop().await);
}
