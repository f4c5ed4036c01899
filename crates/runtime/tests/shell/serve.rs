//! The life of the gateway: what fails alone, fails alone; a stop ends in time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use channel::{Error, Health, HealthState, Receipt};
use runtime::serve;
use testkit::doubles::{Fault, Op, Play};
use tokio::time::{Instant, sleep};

use crate::world::{World, count, until};

#[tokio::test]
async fn a_stop_without_work_is_quick() {
    let world = World::new();
    let serving = world.serve();
    world.say("p", "hello").await;
    world.finished("p").await;
    let began = Instant::now();
    assert!(serving.stop().await);
    assert!(began.elapsed() < Duration::from_millis(500), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_stop_ends_in_time_whatever_goes_on() {
    let mut world = World::new();
    world.settings.drain = Duration::from_millis(300);
    world.model.always(|_| Play::hangs());
    world.mail.always(|_| Play::hangs());
    world.chat.always(|_| Play::hangs());
    let serving = world.serve();
    for n in 0..20 {
        world.say(&format!("p{n}"), "hello").await;
    }
    until("thoughts", || world.model.prompts().len() == 20).await;
    let began = Instant::now();
    assert!(serving.stop().await);
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(300) && took < Duration::from_millis(1_500), "{took:?}");
}

#[tokio::test]
async fn a_stop_ends_in_time_while_the_store_is_away() {
    let world = World::new();
    let serving = world.serve();
    world.store.away();
    sleep(Duration::from_millis(1_500)).await;
    let began = Instant::now();
    assert!(serving.stop().await);
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
}

#[tokio::test]
async fn nothing_new_is_begun_after_a_stop() {
    let world = World::new();
    let serving = world.serve();
    assert!(serving.stop().await);
    world.say("p", "hello").await;
    sleep(Duration::from_millis(100)).await;
    assert!(world.model.prompts().is_empty());
}

#[tokio::test]
async fn a_channel_that_fails_listens_again_and_its_health_says_why() {
    let ends = Play::gives(Err(Error::misconfigured("wrong password", "set another")));
    listens_again(ends, "wrong password (set another)").await;
}

#[tokio::test]
async fn a_channel_that_ends_listens_again_and_its_health_says_why() {
    listens_again(Play::gives(Ok(())), "it stopped listening").await;
}

#[tokio::test]
async fn a_channel_that_panics_listens_again_and_its_health_says_why() {
    listens_again(Play::panics(), "a fault in the channel itself").await;
}

async fn listens_again(ends: Play<Result<(), Error>>, words: &str) {
    let world = World::new();
    world.chat.listens(ends);
    let board = world.board();
    let health = board.health[&channel::ChannelName::new("chat")].clone();
    let other = board.health[&channel::ChannelName::new("mail")].clone();
    let serving = serve(board);
    let why = |health: &Health| match health.state() {
        HealthState::Down { why } => why,
        HealthState::Starting | HealthState::Up | HealthState::Standby => String::new(),
    };
    until("down", || why(&health).contains(words)).await;
    assert_eq!(other.state(), HealthState::Up);
    assert_eq!(world.chat.listened(), 1, "it waits before it connects again");
    until("up", || health.state() == HealthState::Up).await;
    assert_eq!(world.chat.listened(), 2);
    assert!(serving.stop().await);
}

#[tokio::test]
async fn the_wait_before_listening_again_ends_with_a_stop() {
    let world = World::new();
    world.chat.listens(Play::gives(Err(Error::retry("gone"))));
    let serving = world.serve();
    until("an end", || world.chat.listened() == 1).await;
    sleep(Duration::from_millis(50)).await;
    let began = Instant::now();
    assert!(serving.stop().await);
    assert!(began.elapsed() < Duration::from_millis(500));
}

#[tokio::test]
async fn a_panic_in_one_turn_is_that_turn_s() {
    let mut world = World::new();
    world.settings.turns_max = 1;
    world.model.then(Play::panics());
    let serving = world.serve();
    world.say("p", "hello").await;
    until("a prompt", || world.model.prompts().len() == 1).await;
    world.say("q", "hello").await;
    world.finished("q").await;
    // Its lease runs out, and it is tried again.
    world.clock.advance(world.settings.lease);
    let thread = world.finished("p").await;
    assert_eq!(count(&thread, "thought"), 1);
    assert!(serving.stop().await);
}

#[tokio::test]
async fn a_panic_in_a_tool_is_that_turn_s_and_the_call_is_not_repeated() {
    let world = World::new();
    world.model.thinks(&crate::world::act("poke"));
    world.tools.then(Play::panics());
    let serving = world.serve();
    world.say("p", "poke it").await;
    until("a call", || world.tools.calls().len() == 1).await;
    world.say("q", "hello").await;
    world.finished("q").await;
    // The lease is given back at once: nobody waits for it to run out.
    for _ in 0..10 {
        world.clock.advance(Duration::from_secs(1));
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    assert!(world.settings.lease > Duration::from_secs(10));
    world.until("p", |thread| count(thread, "acted unknown") == 1).await;
    assert_eq!(world.tools.calls().len(), 1);
    assert!(serving.stop().await);
}

#[tokio::test]
async fn a_panic_in_one_sending_is_that_sending_s() {
    let mut world = World::new();
    world.settings.sends_max = 1;
    world.chat.then(Play::panics());
    let serving = world.serve();
    world.say("p", "hello").await;
    world.chat.sent_count(1).await;
    world.say("q", "hello").await;
    world.until("q", |thread| count(thread, "delivered") == 1).await;
    world.clock.advance(world.settings.lease);
    world.until("p", |thread| count(thread, "delivered") == 1).await;
    assert_eq!(world.chat.sent().last().unwrap().attempt.number, 2);
    assert!(serving.stop().await);
}

#[tokio::test]
async fn one_slow_thread_holds_up_nobody() {
    let mut world = World::new();
    world.settings.turns_max = 2;
    world.settings.drain = Duration::from_millis(50);
    world.model.then(Play::hangs());
    let serving = world.serve();
    world.say("slow", "hello").await;
    until("a prompt", || world.model.prompts().len() == 1).await;
    for n in 0..10 {
        world.say(&format!("p{n}"), "hello").await;
        world.finished(&format!("p{n}")).await;
    }
    assert!(serving.stop().await);
}

#[tokio::test]
async fn work_goes_on_when_the_store_comes_back() {
    let world = World::new();
    let claims = Arc::new(AtomicUsize::new(0));
    let counted = claims.clone();
    world.store.fails(move |op| match op {
        Op::Claim(_) if counted.fetch_add(1, Ordering::SeqCst) < 6 => Fault::Away,
        _ => Fault::None,
    });
    let serving = world.serve();
    world.say("p", "hello").await;
    world.finished("p").await;
    assert!(claims.load(Ordering::SeqCst) > 6);
    assert!(serving.stop().await);
}

/// What a claim takes is begun, also when it comes in the moment of a stop: nothing is left leased.
#[tokio::test]
async fn a_stop_in_the_moment_of_a_claim_leaves_nothing_behind() {
    for n in 0..8 {
        let world = World::new();
        let serving = world.serve();
        world.say("p", "hello").await;
        sleep(Duration::from_micros(n * 700)).await;
        assert!(serving.stop().await);
        let serving = world.serve_as("two");
        let thread = world.finished("p").await;
        assert_eq!(count(&thread, "delivered"), 1);
        assert_eq!(world.chat.sent().len(), 1);
        assert!(serving.stop().await);
    }
}

#[tokio::test]
async fn receipts_without_a_name_are_receipts() {
    let world = World::new();
    world.chat.then(Play::gives(Ok(Receipt { message: None })));
    let serving = world.serve();
    world.say("p", "hello").await;
    assert_eq!(count(&world.finished("p").await, "delivered"), 1);
    assert!(serving.stop().await);
}
