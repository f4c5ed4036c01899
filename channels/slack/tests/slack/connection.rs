//! Connections: replaced without a gap, when they go deaf, and after an outage.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use channel::HealthState;
use serde_json::json;
use simulator::slack::{Load, Options};

use crate::{
    text,
    world::{ANA, BEN, BOT, GENERAL, OPS, World, until},
};

/// Messages that are heard while connections come and go.
const LOAD: u64 = 10_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refresh_under_load_loses_and_doubles_nothing() {
    let world =
        World::new(Options { time_scale: 0.1, ..Options::default() }, json!({ "connections": 2 })).await;
    let began = Instant::now();
    let control = world.control.clone();
    let load = Load {
        count: LOAD,
        users: [ANA, BEN].map(str::to_owned).to_vec(),
        channels: [GENERAL, OPS].map(str::to_owned).to_vec(),
        ..Load::default()
    };
    let load = tokio::spawn(async move { control.load(&load).await.unwrap() });
    let mut refreshes = 0;
    while world.inbox.taken().len() < usize::try_from(LOAD).unwrap() {
        world.control.socket_fault("refresh", None).await.unwrap();
        refreshes += 1;
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert!(began.elapsed() < Duration::from_secs(240), "{} of {LOAD} came", world.inbox.taken().len());
    }
    let said = load.await.unwrap();
    let taken = world.inbox.taken();
    let heard: BTreeSet<String> =
        taken.iter().map(|inbound| inbound.message.clone().unwrap().to_string()).collect();
    assert_eq!((said.len(), taken.len(), heard.len()), (10_000, 10_000, 10_000));
    let deliveries = world.control.deliveries().await.unwrap();
    let lost = deliveries.iter().filter(|delivery| delivery.lost).count();
    assert_eq!(lost, 0, "Slack gave up on some");
    let sockets = world.control.settings().await.unwrap()["sockets_opened"].clone();
    eprintln!("{LOAD} messages, {refreshes} refreshes, {sockets} connections, {:?}", began.elapsed());
    assert!(refreshes >= 2 && sockets.as_u64().unwrap() > 4, "nothing was refreshed");
}

/// The successor is there before Slack closes the connection that it announced to close.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_successor_comes_first() {
    let world =
        World::new(Options { time_scale: 0.2, ..Options::default() }, json!({ "connections": 1 })).await;
    world.control.socket_fault("refresh", None).await.unwrap();
    until("two connections at the same time", async || {
        let sockets = world.control.sockets().await.unwrap();
        sockets.len() == 2
    })
    .await;
    assert_eq!(world.health.state(), HealthState::Up);
    until("one connection again", async || {
        let sockets = world.control.sockets().await.unwrap();
        sockets.len() == 1
    })
    .await;
    assert_eq!(world.health.state(), HealthState::Up);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_went_deaf_is_replaced() {
    let options = Options { time_scale: 0.05, ping_every: Duration::from_millis(200), ..Options::default() };
    let world = World::new(options, json!({ "connections": 1, "silence": "1s" })).await;
    let before = world.control.sockets().await.unwrap()[0].id;
    world.control.socket_fault("ghost", None).await.unwrap();
    until("another connection", async || {
        world.control.sockets().await.unwrap().iter().any(|socket| socket.id != before && !socket.ghost)
    })
    .await;
    world.is(|state| *state == HealthState::Up).await;
    world.control.dm(ANA, "can you hear me?").await.unwrap();
    assert_eq!(text(&world.inbox.taken_count(1).await[0]), "can you hear me?");
}

/// Quiet is not deaf: a connection that is pinged, or answers a ping, stays.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_on_which_nobody_speaks_stays() {
    let options = Options { ping_every: Duration::from_secs(3_600), ..Options::default() };
    let world = World::new(options, json!({ "connections": 1, "silence": "1s" })).await;
    let before = world.control.sockets().await.unwrap()[0].id;
    let heard = world.health.last_heard().unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(world.control.sockets().await.unwrap()[0].id, before);
    assert!(world.health.last_heard().unwrap() > heard, "the answers to our own pings are signs of life");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_store_did_not_take_is_not_acknowledged_and_comes_again_by_itself() {
    let world = World::new(Options { time_scale: 0.2, ..Options::default() }, json!({})).await;
    world.inbox.away(true);
    world.control.dm(ANA, "keep this").await.unwrap();
    world.inbox.came_count(1).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(world.control.deliveries().await.unwrap().iter().all(|delivery| !delivery.acked));
    world.inbox.away(false);
    assert_eq!(text(&world.inbox.taken_count(1).await[0]), "keep this");
    until("an acknowledgement", async || {
        world
            .control
            .deliveries()
            .await
            .unwrap()
            .iter()
            .all(|delivery| delivery.acked && delivery.attempts.len() > 1)
    })
    .await;
}

/// Delivered twice, out of order, with the acknowledgement lost: heard once, in whatever order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_twice_or_late_is_heard_once() {
    let world = World::start().await;
    world.control.next_fault("duplicate", 6).await.unwrap();
    world.control.next_fault("lose_acks", 4).await.unwrap();
    world.control.next_fault("reorder", 4).await.unwrap();
    for n in 0..8 {
        world.control.say(ANA, GENERAL, &format!("<@{BOT}> message {n}")).await.unwrap();
    }
    let taken = world.inbox.taken_count(8).await;
    until("every event acknowledged", async || {
        world.control.deliveries().await.unwrap().iter().all(|delivery| delivery.acked)
    })
    .await;
    assert_eq!(world.inbox.taken().len(), 8);
    let words: BTreeSet<&str> = taken.iter().map(text).collect();
    assert_eq!(words.len(), 8);
    assert!(world.inbox.came().len() > 8, "nothing came twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_that_nobody_understands_disturb_nothing() {
    let world = World::start().await;
    for frame in [
        "",
        "{",
        "[]",
        "null",
        "\u{202e}",
        "{\"type\":\"new\",\"envelope_id\":\"e1\"}",
        "{\"type\":\"events_api\"}",
    ] {
        world.control.raw_frame(frame).await.unwrap();
    }
    world.control.raw_frame(&format!("{{\"type\":\"{}\"}}", "x".repeat(1_000_000))).await.unwrap();
    for event in [
        json!("no object"),
        json!({ "type": "of_tomorrow" }),
        json!({ "type": "message" }),
        json!({ "type": "message", "user": 5, "channel": [], "ts": {}, "text": null }),
        json!({ "type": "message", "subtype": "of_tomorrow", "user": ANA, "channel": GENERAL, "ts": "1.000001" }),
    ] {
        world.control.raw_event(event, json!({})).await.unwrap();
    }
    world.control.socket_fault("garbage", None).await.unwrap();
    world.control.dm(ANA, "still there?").await.unwrap();
    assert_eq!(text(&world.inbox.taken_count(1).await[0]), "still there?");
    assert_eq!(world.inbox.came().len(), 1);
    assert_eq!(world.health.state(), HealthState::Up);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_said_during_an_outage_is_read_again() {
    let mut world = World::new(Options { time_scale: 0.01, ..Options::default() }, json!({})).await;
    let first = world.control.say(ANA, GENERAL, &format!("<@{BOT}> hello")).await.unwrap();
    world.control.dm(ANA, "hello, too").await.unwrap();
    world.inbox.taken_count(2).await;
    world.stop().await;
    world.control.reply(ANA, GENERAL, &first.ts, "in the thread").await.unwrap();
    world.control.dm(ANA, "directly").await.unwrap();
    world.control.say(BEN, GENERAL, &format!("<@{BOT}> from Ben")).await.unwrap();
    world.control.say(BEN, GENERAL, "not for the bot").await.unwrap();
    // Slack gives up.
    until("Slack gave up", async || {
        let deliveries = world.control.deliveries().await.unwrap();
        deliveries.iter().filter(|delivery| delivery.lost).count() >= 3
    })
    .await;
    world.listen().await;
    let taken = world.inbox.taken_count(5).await;
    let words: BTreeSet<&str> = taken.iter().skip(2).map(text).collect();
    assert_eq!(words, BTreeSet::from(["directly", "from Ben", "in the thread"]));
    assert_eq!(taken.iter().find(|inbound| text(inbound) == "in the thread").unwrap().at, taken[0].at);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(world.inbox.taken().len(), 5, "nothing is heard twice");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slack_switching_socket_mode_off_is_said_with_its_remedy() {
    let world = World::start().await;
    world.control.socket_fault("link_disabled", None).await.unwrap();
    // A connection that was just being made is told so too.
    let down = world.is(|state| matches!(state, HealthState::Down { .. })).await;
    assert!(format!("{down:?}").contains("set receive = "), "{down:?}");
}
