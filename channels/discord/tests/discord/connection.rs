//! Sessions: gone on with, dropped and read again; connections that went deaf; what Discord refuses.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use channel::HealthState;
use serde_json::json;
use simulator::discord::{
    Load, Options,
    options::{GIA, GLOBEX, INITECH},
};

use crate::{
    text,
    world::{ANA, BEN, GENERAL, World, options, until},
};

/// Messages that are heard while connections come and go.
const LOAD: u64 = 10_000;

fn load(count: u64, per_second: Option<u64>) -> Load {
    let users = [ANA, BEN].map(str::to_owned).to_vec();
    Load { count, users, per_second, text_prefix: "message ".to_owned(), ..Load::default() }
}

/// Connections are cut, Discord asks for new ones, sessions are gone on with, and one process dies and another one goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_messages_over_broken_connections_come_once_each() {
    let mut world = World::new(Options { replay: 20_000, ..options() }, json!({})).await;
    let began = Instant::now();
    let control = world.control.clone();
    let said = tokio::spawn(async move { control.load(&load(LOAD, Some(1_000))).await.unwrap() });
    let mut breaks = 0;
    while world.inbox.taken().len() < usize::try_from(LOAD).unwrap() {
        let fault = ["cut", "reconnect", "invalid_resumable", "duplicate"][breaks % 4];
        match fault {
            "duplicate" => world.control.next_fault(fault, 50).await.unwrap(),
            _ => world.control.socket_fault(fault, None).await.unwrap(),
        }
        breaks += 1;
        if breaks == 4 {
            // A second for the session to be kept, and then nothing more is.
            tokio::time::sleep(Duration::from_secs(2)).await;
            world.kill(json!({})).await;
            world.begin();
        }
        tokio::time::sleep(Duration::from_millis(700)).await;
        assert!(began.elapsed() < Duration::from_secs(200), "{} of {LOAD} came", world.inbox.taken().len());
    }
    let said = said.await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let taken = world.inbox.taken();
    let heard: BTreeSet<String> =
        taken.iter().map(|inbound| inbound.message.clone().unwrap().to_string()).collect();
    assert_eq!((said.len(), taken.len(), heard.len()), (10_000, 10_000, 10_000));
    let sessions = world.control.sessions().await.unwrap();
    let resumed: usize = sessions.iter().map(|session| session.resumed).sum();
    eprintln!("{LOAD} messages, {breaks} breaks, {resumed} resumed, {:?}", began.elapsed());
    assert!(breaks >= 8 && resumed >= 6, "hardly anything broke: {breaks} {resumed}");
}

/// Discord has forgotten the session while people went on talking: everything is read again, once, and in its order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_cannot_be_gone_on_with_is_read_again() {
    let mut world = World::start().await;
    world.control.dm(ANA, "first").await.unwrap();
    world.control.say(BEN, GENERAL, "@switchboard first").await.unwrap();
    world.inbox.taken_count(2).await;
    // The places are kept every two seconds.
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    world.kill(json!({ "backfill": { "messages": 5000 } })).await;
    world.control.load(&load(500, None)).await.unwrap();
    let elsewhere = world.control.say(BEN, crate::world::OPS, "@switchboard a first mention").await.unwrap();
    world.control.forget_sessions().await.unwrap();
    world.listen().await;
    let direct = world.direct(ANA).await.unwrap();
    until("all that was missed", async || {
        let taken = world.inbox.taken();
        let of = |channel: &str| {
            let of = |inbound: &&channel::Inbound| inbound.facts.iter().any(|(_, value)| value == channel);
            taken.iter().filter(of).count()
        };
        of(&direct) == 251 && of(&elsewhere.channel) == 1
    })
    .await;
    let taken = world.inbox.taken();
    let numbers: Vec<u64> = taken
        .iter()
        .filter(|inbound| inbound.facts.iter().any(|(_, value)| *value == direct))
        .filter_map(|inbound| text(inbound).strip_prefix("message ")?.trim().parse().ok())
        .collect();
    assert!(numbers.is_sorted() && numbers.len() == 250, "{numbers:?}");
    let heard: BTreeSet<String> =
        taken.iter().map(|inbound| inbound.message.clone().unwrap().to_string()).collect();
    assert_eq!(heard.len(), taken.len(), "something came twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_went_deaf_is_replaced() {
    let heartbeat = Duration::from_millis(400);
    let world = World::new(Options { heartbeat, ..options() }, json!({})).await;
    for fault in ["no_acks", "ghost"] {
        let before = world.control.sockets().await.unwrap()[0].id;
        world.control.socket_fault(fault, None).await.unwrap();
        until("another connection", async || {
            world.control.sockets().await.unwrap().iter().any(|socket| socket.id != before && !socket.ghost)
        })
        .await;
        world.is(|state| *state == HealthState::Up).await;
    }
    world.control.dm(ANA, "can you hear me?").await.unwrap();
    assert_eq!(text(&world.inbox.taken_count(1).await[0]), "can you hear me?");
    assert_eq!(world.control.sessions().await.unwrap().len(), 1, "the session went on");
}

/// What Discord says for good is told with what to mend, and not tried again and again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_missing_is_named_with_its_remedy() {
    let mut lacks = World::silent(Options { privileged_intents: 0, ..options() }, json!({})).await;
    lacks.begin();
    let down = lacks.is(|state| matches!(state, HealthState::Down { .. })).await;
    assert!(format!("{down:?}").contains("Message Content Intent"), "{down:?}");
    lacks.stop().await;

    let mut refused = World::silent(options(), json!({ "token_env": "WRONG_TOKEN" })).await;
    refused.begin();
    let down = refused.is(|state| matches!(state, HealthState::Down { .. })).await;
    assert!(format!("{down:?}").contains("reset the token"), "{down:?}");
    tokio::time::sleep(Duration::from_secs(2)).await;
    let invalid = refused.control.invalid_requests().await.unwrap();
    assert!(invalid <= 2, "{invalid} requests with a token that is not accepted");
    refused.stop().await;

    // Without the intent for it mentions and direct messages are heard, and what needs it is not asked for.
    let without = Options { privileged_intents: 0, ..options() };
    let world = World::new(without, json!({ "message_content": false })).await;
    let mention = world.control.say(ANA, GENERAL, "@switchboard hello").await.unwrap();
    world.control.dm(ANA, "hello there").await.unwrap();
    assert_eq!(world.inbox.taken_count(2).await.len(), 2);
    until("the thread", async || {
        world.control.channels().await.unwrap().iter().any(|channel| channel.id == mention.id)
    })
    .await;
    world.control.say(ANA, &mention.id, "without a mention").await.unwrap();
    world.control.say(ANA, &mention.id, "@switchboard with one").await.unwrap();
    assert_eq!(text(&world.inbox.taken_count(3).await[2]), "with one");
}

/// Frames that are no JSON, events that are not known, and payloads of another shape are passed over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strange_frames_and_events_break_nothing() {
    let world = World::start().await;
    for frame in ["", "{", "[]", "null", "{\"op\":99,\"d\":{}}", "{\"op\":0}", "{\"op\":\"0\",\"t\":7}"] {
        world.control.raw_frame(frame).await.unwrap();
    }
    for kind in [
        "SOMETHING_NEW",
        "MESSAGE_CREATE",
        "MESSAGE_UPDATE",
        "MESSAGE_DELETE",
        "INTERACTION_CREATE",
        "GUILD_CREATE",
    ] {
        for payload in [json!({}), json!([]), json!({ "id": 7, "channel_id": {}, "author": [] })] {
            world.control.raw_event(kind, payload).await.unwrap();
        }
    }
    world.control.dm(ANA, "still there?").await.unwrap();
    assert_eq!(text(&world.inbox.taken_count(1).await[0]), "still there?");
    assert_eq!(world.inbox.taken().len(), 1);
    assert_eq!(world.health.state(), HealthState::Up);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_are_divided_among_as_many_connections_as_discord_recommends() {
    let options = Options { shards: 2, sharding_required: true, ..options() };
    let world = World::new(options, json!({})).await;
    for channel in [GLOBEX, INITECH] {
        world.control.say(GIA, channel, "@switchboard hello").await.unwrap();
    }
    world.control.say(ANA, GENERAL, "@switchboard hello").await.unwrap();
    assert_eq!(world.inbox.taken_count(3).await.len(), 3);
    let sessions = world.control.sessions().await.unwrap();
    let shards: BTreeSet<(u64, u64)> = sessions.iter().map(|session| session.shard).collect();
    assert_eq!(shards, BTreeSet::from([(0, 2), (1, 2)]));
}

/// While the store is away nothing counts as heard, and it comes in its order when the store is back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_store_does_not_take_waits_and_a_dead_process_loses_none_of_it() {
    let mut world = World::start().await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    world.inbox.away(true);
    for n in 0..5 {
        world.control.dm(ANA, &format!("message {n}")).await.unwrap();
    }
    world.inbox.came_count(1).await;
    world.kill(json!({})).await;
    world.inbox.away(false);
    world.listen().await;
    let taken = world.inbox.taken_count(5).await;
    let words: Vec<&str> = taken.iter().map(text).collect();
    assert_eq!(words, ["message 0", "message 1", "message 2", "message 3", "message 4"]);
}

/// A session is kept only up to what is durable: what a dying process had in its hands is sent again to the next one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_durable_is_sent_again_after_a_restart() {
    let mut world = World::start().await;
    // The store works, and whatever it says gets lost.
    world.inbox.loses_answers(true);
    world.control.dm(ANA, "keep this").await.unwrap();
    world.inbox.came_count(1).await;
    // The session is kept every second.
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    world.kill(json!({})).await;
    world.inbox.loses_answers(false);
    let before = world.inbox.came().len();
    world.listen().await;
    assert_eq!(text(&world.inbox.came_count(before + 1).await[before]), "keep this");
    assert_eq!(world.inbox.taken().len(), 1);
    assert_eq!(world.control.sessions().await.unwrap().len(), 1, "the session went on");
}

/// Discord is away for a while: the session outlives that, however often it was tried to connect.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_outlives_an_outage() {
    let world = World::new(Options { time_scale: 1.0, ..options() }, json!({})).await;
    let before = world.control.sessions().await.unwrap()[0].id.clone();
    world.control.away(true).await.unwrap();
    world.is(|state| matches!(state, HealthState::Down { .. })).await;
    tokio::time::sleep(Duration::from_secs(6)).await;
    world.control.away(false).await.unwrap();
    world.is(|state| *state == HealthState::Up).await;
    let sessions = world.control.sessions().await.unwrap();
    assert!(sessions.iter().any(|session| session.id == before && session.resumed == 1), "{sessions:#?}");
}

/// An event that cannot be taken is sent again with its session; a session that does not get beyond it is dropped, and
/// what came behind it is heard.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_cannot_be_taken_is_tried_and_then_holds_up_nobody() {
    let mut world = World::new(Options { time_scale: 1.0, ..options() }, json!({})).await;
    world.control.dm(ANA, "first").await.unwrap();
    world.inbox.taken_count(1).await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    // The next process knows no channel, and is not told where this one is.
    world.control.fault("GET /channels/{channel}", json!({ "status": 503 }), 1_000, 0).await.unwrap();
    world.kill(json!({})).await;
    world.control.say(ANA, GENERAL, "@switchboard poison").await.unwrap();
    world.control.dm(ANA, "second").await.unwrap();
    world.listen().await;
    assert_eq!(text(&world.inbox.taken_count(2).await[1]), "second");
    // A new session introduces its servers, so the mention is heard in the end.
    until("the mention", async || world.inbox.taken().iter().any(|inbound| text(inbound) == "poison")).await;
    let heard: Vec<String> = world.inbox.taken().iter().map(|inbound| text(inbound).to_owned()).collect();
    assert_eq!(heard.len(), 3, "{heard:?}");
}

/// A gateway that starts while the store is away begins no new session over the one that is kept there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kept_session_is_waited_for() {
    let mut world = World::start().await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    world.kill(json!({})).await;
    world.control.dm(ANA, "meanwhile").await.unwrap();
    world.inbox.away(true);
    world.begin();
    world.is(|state| matches!(state, HealthState::Down { .. })).await;
    world.inbox.away(false);
    world.is(|state| *state == HealthState::Up).await;
    assert_eq!(text(&world.inbox.taken_count(1).await[0]), "meanwhile");
    let sessions = world.control.sessions().await.unwrap();
    assert_eq!((sessions.len(), sessions[0].resumed), (1, 1), "{sessions:#?}");
}
