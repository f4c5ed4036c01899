//! The circle over Discord: the gateway and a simulated Discord, two processes that talk over the real protocol.

use std::time::Duration;

use agent::{Decision, Event, Thread, Why};
use serde_json::json;
use simulator::discord::{Message, options::BOSS};

use crate::world::{
    SCRIPTED, SOON, World,
    discord::{ANA, APP, BEN, CY, GENERAL, GUILD, Guild, OPS},
};

async fn started(guild: &Guild, more: &str) -> World {
    let mut world = guild.world(more);
    world.start().await;
    guild.connected(&world).await;
    world
}

fn events(threads: &[Thread], like: impl Fn(&Event) -> bool) -> usize {
    threads.iter().flat_map(Thread::records).filter(|record| like(&record.event)).count()
}

/// How often money was given back for the order, and how much.
fn refunds(world: &World) -> Vec<String> {
    let kept = world.kept("support");
    let lines = kept.iter().flat_map(|(_, text)| text.lines()).filter(|line| line.contains("1002"));
    lines.map(str::to_owned).collect()
}

const REFUND: &str = "refund 120 EUR for order 1002, the lamp is broken";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mention_a_message_and_a_command_are_answered_where_they_came_from() {
    let guild = Guild::open().await;
    let world = started(&guild, "").await;
    let thread = guild.mentions(ANA, "where is my order 1001?").await;
    guild.says(&world, &thread, "1001").await;
    let channels = guild.control.channels().await.unwrap();
    let opened = channels.iter().find(|channel| channel.id == thread).unwrap();
    assert_eq!((opened.name.as_str(), opened.parent.as_deref()), ("where is my order 1001?", Some(GENERAL)));
    // The thread goes on without a mention, with the same agent.
    guild.control.say(ANA, &thread, "and order 1002?").await.unwrap();
    guild.says(&world, &thread, "1002").await;

    let direct = guild.control.dm(BEN, "where is my order 1001?").await.unwrap().channel;
    let answers = |message: &Message| message.user == APP && message.words().contains("1001");
    guild.control.wait_for(&direct, SOON, answers).await.unwrap();

    // The answer to a command takes the place that Discord keeps for it, and the conversation goes on in its thread.
    let options = json!({ "request": "where is my order 1001?" });
    let asked = guild.control.command(ANA, OPS, "ask", options).await.unwrap();
    let answer =
        guild.control.wait_for(OPS, SOON, |message| answers(message) && !message.loading).await.unwrap();
    let outcome = guild.control.interaction(&asked).await.unwrap();
    assert_eq!((outcome.answer, outcome.response.as_deref()), (Some(5), Some(answer.id.as_str())));
    guild.control.reply(BEN, OPS, &answer.id, "and order 1002?").await.unwrap();
    guild.says(&world, &answer.id, "1002").await;

    // What people say among themselves is nobody's, and neither is what bots and webhooks say.
    guild.control.say(BEN, GENERAL, "where is my order 1003?").await.unwrap();
    guild.control.webhook(GENERAL, "pretender", &format!("<@{APP}> where is my order 1003?")).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let threads = world.threads().await;
    assert_eq!(threads.len(), 3);
    assert_eq!(events(&threads, |event| matches!(event, Event::Heard(_))), 5);
    let first = guild.control.messages(GENERAL).await.unwrap().into_iter().find(|m| m.id == thread).unwrap();
    let reactions: Vec<&str> =
        first.reactions.iter().filter_map(|reaction| reaction["name"].as_str()).collect();
    assert_eq!(reactions, ["✅"], "a receipt stands on what was asked");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approval_is_pressed_by_who_may_and_decides_once() {
    let guild = Guild::open().await;
    let world = started(&guild, "").await;
    let thread = guild.mentions(ANA, REFUND).await;
    let card = guild.says(&world, &thread, "Approve: refund").await;

    guild.presses(CY, &card, "press:approve").await;
    guild.told(CY, &thread, "may not answer").await;
    assert_eq!(events(&world.threads().await, |event| matches!(event, Event::Answered(_))), 0);

    // Both who may press it at the same instant, and one of them is delivered again and again.
    tokio::join!(guild.presses(ANA, &card, "press:approve"), guild.presses(BEN, &card, "press:approve"));
    guild.says(&world, &thread, "I refunded 120.00").await;
    let deliveries = guild.control.deliveries().await.unwrap();
    for press in deliveries.iter().filter(|delivery| delivery.what == "INTERACTION_CREATE") {
        guild.control.raw_event(&press.what, press.payload.clone()).await.unwrap();
    }
    world
        .until("the other is told", |threads| {
            events(threads, |event| matches!(event, Event::Refused(refusal) if refusal.why == Why::Settled))
                == 1
        })
        .await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let threads = world.threads().await;
    assert_eq!(events(&threads, |event| matches!(event, Event::Answered(_))), 1);
    assert_eq!(
        events(&threads, |event| matches!(event, Event::Started(started) if started.tool == "refund")),
        1
    );
    assert_eq!(
        events(&threads, |event| matches!(event, Event::Refused(_))),
        2,
        "Cy and whoever came second; nothing twice"
    );
    let told = guild.control.messages(&thread).await.unwrap();
    assert!(
        told.iter().any(|message| message.ephemeral_to.is_some() && message.text.contains("decided before")),
        "{told:#?}"
    );
    let said = guild.said(&thread).await;
    assert_eq!(said.len(), 2, "a card and an answer: {said:#?}");
    assert!(said[0].words().contains("Approved by") && said[0].elements().is_empty(), "{:#?}", said[0]);
}

/// Ben may approve because of his role, and only as long as he has it: what the press carries does not count.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_counts_in_the_moment_of_the_press() {
    let guild = Guild::open().await;
    let world = started(&guild, "").await;
    let thread = guild.mentions(ANA, REFUND).await;
    let card = guild.says(&world, &thread, "Approve: refund").await;
    guild.control.take_role(BEN, GUILD, BOSS).await.unwrap();
    guild.presses(BEN, &card, "press:approve").await;
    guild.told(BEN, &thread, "may not answer").await;
    // The same press with the role in it, as one that was made before and comes late.
    let deliveries = guild.control.deliveries().await.unwrap();
    let press = deliveries.iter().find(|delivery| delivery.what == "INTERACTION_CREATE").unwrap();
    let mut late = press.payload.clone();
    late["id"] = json!((late["id"].as_str().unwrap().parse::<u64>().unwrap() + 1).to_string());
    late["member"]["roles"] = json!([BOSS]);
    guild.control.raw_event(&press.what, late).await.unwrap();
    let refused =
        |event: &Event| matches!(event, Event::Refused(refusal) if refusal.why == Why::NotPermitted);
    world.until("the late press is refused", |threads| events(threads, refused) == 2).await;
    guild.control.give_role(BEN, GUILD, BOSS).await.unwrap();
    guild.presses(BEN, &card, "press:approve").await;
    guild.says(&world, &thread, "I refunded 120.00").await;
    assert_eq!(refunds(&world).len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_arguments_run_as_they_were_approved() {
    let guild = Guild::open().await;
    let world = started(&guild, "").await;
    let thread = guild.mentions(ANA, REFUND).await;
    let card = guild.says(&world, &thread, "Approve: refund").await;
    // What does not fit is said to Ana alone, and the card stays open.
    guild.fills(ANA, &card, "form:edit", &[("value:amount", "a lot")]).await;
    guild.told(ANA, &thread, "and should be written like").await;
    guild.fills(ANA, &card, "form:edit", &[("value:amount", "110")]).await;
    guild.says(&world, &thread, "I refunded 110.00").await;
    let threads = world.threads().await;
    let edited = |event: &Event| matches!(event, Event::Answered(answer) if matches!(&answer.decision, Decision::ApproveEdited { args, .. } if args["amount"] == 110));
    assert_eq!(events(&threads, edited), 1, "{threads:#?}");
    let started = |event: &Event| matches!(event, Event::Started(started) if started.args["amount"] == 110);
    assert_eq!(events(&threads, started), 1);
    let refunds = refunds(&world);
    assert!(refunds.len() == 1 && refunds[0].starts_with("11000,"), "{refunds:?}");
    guild.says(&world, &thread, "amount: 120 → 110").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rejection_carries_its_comment() {
    let guild = Guild::open().await;
    let world = started(&guild, "").await;
    let thread = guild.mentions(ANA, REFUND).await;
    let card = guild.says(&world, &thread, "Approve: refund").await;
    guild.fills(BEN, &card, "form:reject", &[("comment", "wrong order")]).await;
    guild.says(&world, &thread, "was not approved: wrong order").await;
    assert_eq!(refunds(&world).len(), 0);
}

/// Somebody who may not approve asks: whoever is at the desk is asked in their direct messages.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_desk_is_asked_in_direct_messages() {
    let guild = Guild::open().await;
    let world = started(&guild, "").await;
    let thread = guild.mentions(CY, REFUND).await;
    guild.says(&world, &thread, "needs approval").await;
    let direct = guild.control.dm(ANA, "hello").await.unwrap().channel;
    let asked = |message: &Message| message.words().contains("Approve: refund");
    let card = guild.control.wait_for(&direct, SOON, asked).await.unwrap();
    guild.presses(ANA, &card, "press:approve").await;
    guild.says(&world, &thread, "I refunded 120.00").await;
    let closed = |message: &Message| {
        message.id == card.id && message.words().contains("Approved by ana") && message.elements().is_empty()
    };
    guild.control.wait_for(&direct, SOON, closed).await.unwrap();
}

/// An edit of a request whose agent has not answered; here it waits for an approval, and is taken back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_is_taken_back_ends() {
    let guild = Guild::open().await;
    let world = started(&guild, "").await;
    let thread = guild.mentions(ANA, REFUND).await;
    let card = guild.says(&world, &thread, "Approve: refund").await;
    let other = "@switchboard refund 60 EUR for order 1002";
    guild.control.edit(ANA, GENERAL, &thread, other).await.unwrap();
    world.until("the edit", |threads| events(threads, |event| matches!(event, Event::Edited(_))) == 1).await;
    guild.control.delete(ANA, GENERAL, &thread).await.unwrap();
    let closed = |message: &Message| message.id == card.id && message.words().contains("Cancelled by");
    guild.control.wait_for(&thread, SOON, closed).await.unwrap();
    assert_eq!(refunds(&world).len(), 0);
}

/// Whatever a model says, nobody's telephone rings.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_s_words_ring_nobody() {
    let guild = Guild::open().await;
    let world = started(&guild, "").await;
    // The scripted model repeats what it was told, in a question and on a card.
    let text = format!("<@{APP}> {REFUND} @everyone @here <@{BEN}> <@&{BOSS}>");
    let ask = json!({ "user": ANA, "channel": GENERAL, "text": text, "raw": true });
    let thread = guild.control.say_as(ask).await.unwrap().id;
    guild.says(&world, &thread, "Approve: refund").await;
    for message in guild.said(&thread).await {
        assert!(message.rings.is_empty(), "{message:#?}");
    }
    for call in guild.control.calls(None).await.unwrap() {
        let sends = call.method.contains("/messages")
            && (call.method.starts_with("POST") || call.method.starts_with("PATCH"));
        let sends = sends && !call.method.contains("threads");
        assert!(!sends || call.args["allowed_mentions"]["parse"] == json!([]), "{call:#?}");
    }
}

/// kill -9 while Discord has a message and has not said so yet.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_between_a_post_and_its_answer_it_is_shown_once() {
    let guild = Guild::open().await;
    let mut world = started(&guild, "").await;
    let post = "POST /channels/{channel}/messages";
    guild.control.fault(post, json!({ "delay_ms": 3_000 }), 1, 0).await.unwrap();
    let thread = guild.mentions(ANA, "where is my order 1001?").await;
    guild.says(&world, &thread, "1001").await;
    world.kill();
    // So long afterwards that Discord does not know the nonce any more.
    guild.control.expire("nonces").await.unwrap();
    world.start().await;
    world
        .until("a delivery", |threads| events(threads, |event| matches!(event, Event::Delivered { .. })) == 1)
        .await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let said = guild.said(&thread).await;
    assert_eq!(said.len(), 1, "{said:#?}");
}

/// What was said while the gateway was away is answered when it is back, once: the session goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_goes_on_after_a_kill() {
    let guild = Guild::with(&["--time-scale", "1"]).await;
    let mut world = started(&guild, "").await;
    let thread = guild.mentions(ANA, "where is my order 1001?").await;
    guild.says(&world, &thread, "1001").await;
    world.kill();
    guild.control.say(ANA, &thread, "and order 1002?").await.unwrap();
    let second = guild.mentions(BEN, "where is my order 1001?").await;
    world.start().await;
    guild.says(&world, &thread, "1002").await;
    guild.says(&world, &second, "1001").await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(guild.said(&thread).await.len(), 2);
    assert!(world.log().contains("the session with Discord goes on"), "{}", world.log());
    assert_eq!(guild.control.sessions().await.unwrap().len(), 1);
}

/// The same where Discord has forgotten the session: the conversations are read again, and a first mention is found, too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_lost_session_missed_is_answered_once() {
    let guild = Guild::open().await;
    let mut world = started(&guild, "").await;
    let thread = guild.mentions(ANA, "where is my order 1001?").await;
    guild.says(&world, &thread, "1001").await;
    // The places are kept every two seconds.
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    world.kill();
    guild.control.say(ANA, &thread, "and order 1002?").await.unwrap();
    let second = guild.control.say(BEN, OPS, "@switchboard where is my order 1001?").await.unwrap().id;
    guild.control.forget_sessions().await.unwrap();
    world.start().await;
    guild.says(&world, &thread, "1002").await;
    guild.says(&world, &second, "1001").await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(guild.said(&thread).await.len(), 2);
    assert_eq!(guild.said(&second).await.len(), 1);
    assert!(world.log().contains("read again what was said meanwhile"), "{}", world.log());
}

/// No token stands in the log, at whatever level.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_token_stands_in_the_log() {
    let guild = Guild::open().await;
    let mut world = guild.world("").env("SWITCHBOARD_LOG", "trace");
    world.start().await;
    guild.connected(&world).await;
    let options = json!({ "request": "where is my order 1001?" });
    let asked = guild.control.command(ANA, OPS, "ask", options).await.unwrap();
    guild.control.outcome(&asked, SOON).await.unwrap();
    let token =
        guild.control.interaction(&asked).await.unwrap().payload["token"].as_str().unwrap().to_owned();
    guild
        .control
        .wait_for(OPS, SOON, |message| message.words().contains("1001") && !message.loading)
        .await
        .unwrap();
    guild.control.revoke(true).await.unwrap();
    guild.mentions(ANA, "and my order 1002?").await;
    world.until_logged("reset the token").await;
    world.stop();
    let log = world.log();
    for secret in [guild.token.as_str(), &token] {
        assert!(
            !log.contains(secret),
            "{secret} stands in the log: {:?}",
            log.lines().find(|line| line.contains(secret))
        );
    }
}

/// What is missing is named with what to do, before anybody is kept waiting.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_that_connects_names_token_intent_and_channel() {
    let guild = Guild::open().await;
    let desk = format!(
        "[members.room]\ndiscord = \"{GUILD}/{}\"\n[desks.room]\nmembers = [\"room\"]\nvia = \"discord\"\n",
        simulator::discord::options::PRIVATE
    );
    let world = guild.gateway(World::new(&format!("{}{desk}{SCRIPTED}", guild.config(""))));
    let check = || {
        let output = world.command(&["check", "--connect"]).output().unwrap();
        let told = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        (output.status.success(), told)
    };
    let (sound, told) = check();
    assert!(!sound && told.contains("View Channel"), "{told}");
    guild.control.overwrite(simulator::discord::options::PRIVATE, APP, 1 << 10, 0).await.unwrap();
    let (sound, told) = check();
    assert!(sound && told.contains("switchboard") && told.contains("recommends 1"), "{told}");
    guild.control.set(json!({ "privileged_intents": 0 })).await.unwrap();
    let (sound, told) = check();
    assert!(
        !sound && told.contains("Message Content Intent") && told.contains("message_content = false"),
        "{told}"
    );
    guild.control.revoke(true).await.unwrap();
    let (sound, told) = check();
    assert!(
        !sound && told.contains("does not accept the token") && told.contains("reset the token"),
        "{told}"
    );
    assert!(!told.contains(&guild.token), "{told}");
}
