//! The circle over Slack: the gateway and a simulated Slack, two processes that talk over the real protocol.

use std::time::{Duration, Instant};

use agent::{Decision, Event, Thread, Why};
use serde_json::json;
use simulator::slack::{Click, Message};

use crate::world::{ANA, BEN, BOT, CY, GENERAL, SCRIPTED, SOON, Workspace, World};

async fn started(slack: &Workspace, more: &str) -> World {
    let mut world = slack.world(more);
    world.start().await;
    slack.connected(&world).await;
    world
}

fn events(threads: &[Thread], like: impl Fn(&Event) -> bool) -> usize {
    threads.iter().flat_map(Thread::records).filter(|record| like(&record.event)).count()
}

/// How often money was given back for an order, and how much.
fn refunds(world: &World) -> Vec<String> {
    let kept = world.kept("support");
    let lines = kept.iter().flat_map(|(_, text)| text.lines()).filter(|line| line.contains("1002"));
    lines.map(str::to_owned).collect()
}

const REFUND: &str = "refund 120 EUR for order 1002, the lamp is broken";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mention_a_message_and_a_command_are_answered_where_they_came_from() {
    let slack = Workspace::open().await;
    let world = started(&slack, "").await;
    let thread = slack.mentions(ANA, "where is my order 1001?").await;
    slack.says(&world, &thread, "1001").await;
    // The thread goes on without a mention, with the same agent.
    slack.control.reply(ANA, GENERAL, &thread, "and order 1002?").await.unwrap();
    slack.says(&world, &thread, "1002").await;

    let direct = slack.control.dm(BEN, "where is my order 1001?").await.unwrap().channel;
    slack
        .control
        .wait_for(&direct, SOON, |message| message.bot_id.is_some() && message.words().contains("1001"))
        .await
        .unwrap();

    slack.control.command(ANA, GENERAL, "/agent", "ask where is my order 1001?").await.unwrap();
    let answers = |message: &Message| {
        message.ephemeral_to.is_none() && message.words().contains("/agent ask where is my order 1001?")
    };
    let answer = slack.control.wait_for(GENERAL, SOON, answers).await.unwrap();
    assert!(answer.bot_id.is_some() && answer.thread_ts.as_ref().is_none_or(|thread| *thread == answer.ts));
    // Which thread a command has become is known when its answer is noted, and that takes a moment.
    world
        .until("four answers", |threads| {
            events(threads, |event| matches!(event, Event::Delivered { .. })) == 4
        })
        .await;
    slack.control.reply(BEN, GENERAL, &answer.ts, "and order 1002?").await.unwrap();
    slack.says(&world, &answer.ts, "1002").await;

    // What people say among themselves is nobody's.
    slack.control.say(BEN, GENERAL, "where is my order 1003?").await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let threads = world.threads().await;
    assert_eq!(threads.len(), 3);
    assert_eq!(events(&threads, |event| matches!(event, Event::Heard(_))), 5);
    let first = slack.control.messages(GENERAL, Some(&thread)).await.unwrap().remove(0);
    let reactions: Vec<&str> =
        first.reactions.iter().filter_map(|reaction| reaction["name"].as_str()).collect();
    assert_eq!(reactions, ["white_check_mark"], "a receipt stands on what was asked");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approval_is_pressed_by_who_may_and_decides_once() {
    let slack = Workspace::open().await;
    let world = started(&slack, "").await;
    let thread = slack.mentions(ANA, REFUND).await;
    let card = slack.says(&world, &thread, "Approve: refund").await;

    slack.presses(CY, &card, "press:approve").await;
    slack.told(CY, "may not answer").await;
    assert_eq!(events(&world.threads().await, |event| matches!(event, Event::Answered(_))), 0);

    // Both who may press it at the same instant, and one of them is delivered again and again.
    tokio::join!(slack.presses(ANA, &card, "press:approve"), slack.presses(BEN, &card, "press:approve"));
    slack.says(&world, &thread, "I refunded 120.00").await;
    let deliveries = slack.control.deliveries().await.unwrap();
    for press in deliveries.iter().filter(|delivery| delivery.kind == "interactive") {
        let again = json!({ "type": "interactive", "envelope_id": format!("again-{}", press.id), "payload": press.payload });
        slack.control.raw_frame(&again.to_string()).await.unwrap();
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
    let told = slack.control.messages(GENERAL, None).await.unwrap();
    assert!(
        told.iter().any(|message| message.ephemeral_to.is_some() && message.text.contains("decided before")),
        "{told:#?}"
    );

    let said = slack.said(&thread).await;
    assert_eq!(said.len(), 2, "a card and an answer: {said:#?}");
    assert!(said[0].words().contains("Approved by") && said[0].elements().is_empty(), "{:#?}", said[0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_arguments_run_as_they_were_approved() {
    let slack = Workspace::open().await;
    let world = started(&slack, "").await;
    let thread = slack.mentions(ANA, REFUND).await;
    let card = slack.says(&world, &thread, "Approve: refund").await;
    // What does not fit is said to Ana alone, and the card stays open.
    slack.fills(ANA, &card, "form:edit", &[("value:amount", "a lot")]).await;
    slack.told(ANA, "amount is a lot, and should be written like 120").await;
    slack
        .fills(
            ANA,
            &card,
            "form:edit",
            &[("value:amount", "110"), ("value:order_id", "1002"), ("value:reason", "the lamp is broken")],
        )
        .await;
    slack.says(&world, &thread, "I refunded 110.00").await;
    let threads = world.threads().await;
    let edited = |event: &Event| matches!(event, Event::Answered(answer) if matches!(&answer.decision, Decision::ApproveEdited { args, .. } if args["amount"] == 110));
    assert_eq!(events(&threads, edited), 1, "{threads:#?}");
    let started = |event: &Event| matches!(event, Event::Started(started) if started.args["amount"] == 110);
    assert_eq!(events(&threads, started), 1);
    assert!(refunds(&world).iter().all(|line| !line.contains("120")), "{:?}", refunds(&world));
    slack.says(&world, &thread, "amount: 120 → 110").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rejection_carries_its_comment() {
    let slack = Workspace::open().await;
    let world = started(&slack, "").await;
    let thread = slack.mentions(ANA, REFUND).await;
    let card = slack.says(&world, &thread, "Approve: refund").await;
    slack.fills(BEN, &card, "form:reject", &[("comment", "wrong order")]).await;
    slack.says(&world, &thread, "was not approved: wrong order").await;
    slack.says(&world, &thread, "Rejected by ben: wrong order").await;
    assert_eq!(refunds(&world).len(), 0);
}

/// Somebody who may not approve asks: each of the desk is asked in their own direct messages.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_desk_is_asked_in_direct_messages_and_every_card_closes() {
    let slack = Workspace::open().await;
    let world = started(&slack, "").await;
    let thread = slack.mentions(CY, REFUND).await;
    slack.says(&world, &thread, "needs approval").await;
    let mut cards = Vec::new();
    let began = Instant::now();
    while cards.len() < 2 {
        assert!(began.elapsed() < SOON, "only {} were asked\n{}", cards.len(), world.log());
        cards.clear();
        for channel in slack.control.channels().await.unwrap().iter().filter(|channel| channel.kind == "im") {
            let messages = slack.control.messages(&channel.id, None).await.unwrap();
            cards.extend(messages.into_iter().filter(|message| message.words().contains("Approve: refund")));
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    let channels = slack.control.channels().await.unwrap();
    let of_ben = channels
        .iter()
        .find(|channel| channel.kind == "im" && channel.members.iter().any(|m| m == BEN))
        .unwrap();
    let card = cards.iter().find(|card| card.channel == of_ben.id).unwrap();
    slack.presses(BEN, card, "press:approve").await;
    slack.says(&world, &thread, "I refunded 120.00").await;
    for card in &cards {
        let closed = |message: &Message| {
            message.ts == card.ts
                && message.words().contains("Approved by ben")
                && message.elements().is_empty()
        };
        slack.control.wait_for(&card.channel, SOON, closed).await.unwrap();
    }
}

/// An edit of a request whose agent has not answered; here it waits for an approval, and is taken back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_is_taken_back_ends() {
    let slack = Workspace::open().await;
    let world = started(&slack, "").await;
    let thread = slack.mentions(ANA, REFUND).await;
    let card = slack.says(&world, &thread, "Approve: refund").await;
    slack
        .control
        .edit(ANA, GENERAL, &thread, &format!("<@{BOT}> refund 60 EUR for order 1002"))
        .await
        .unwrap();
    world.until("the edit", |threads| events(threads, |event| matches!(event, Event::Edited(_))) == 1).await;
    slack.control.delete(ANA, GENERAL, &thread).await.unwrap();
    let closed = |message: &Message| message.ts == card.ts && message.words().contains("Cancelled by");
    slack.control.wait_for(GENERAL, SOON, closed).await.unwrap();
    // A press that was on its way decides nothing any more.
    let stale = json!({ "ts": card.ts, "blocks": card.blocks, "user": BOT });
    let press = Click { as_message: Some(stale), ..Click::on(ANA, &card, "press:approve") };
    slack.control.click(&press).await.unwrap();
    slack.told(ANA, "decided before").await;
    assert_eq!(refunds(&world).len(), 0);
}

/// Whatever a model says, nobody's telephone rings.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_s_words_ring_nobody() {
    let slack = Workspace::open().await;
    let world = started(&slack, "").await;
    // The scripted model repeats what it was told, in a question and on a card.
    let hostile = "<!channel> <!here> <@U0BEN0001> &lt;!everyone&gt; @everyone";
    let thread = slack.mentions(ANA, &format!("{REFUND} {hostile}")).await;
    slack.says(&world, &thread, "Approve: refund").await;
    for message in slack.said(&thread).await {
        assert!(message.rings.is_empty() && !message.unfurls, "{message:#?}");
    }
}

/// kill -9 while Slack has a message and has not said so yet.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_between_a_post_and_its_answer_it_is_shown_once() {
    let slack = Workspace::open().await;
    let mut world = started(&slack, "").await;
    slack.control.fault("chat.postMessage", json!({ "delay_ms": 3_000 }), 1, 0).await.unwrap();
    let thread = slack.mentions(ANA, "where is my order 1001?").await;
    slack.says(&world, &thread, "1001").await;
    world.kill();
    world.start().await;
    world
        .until("a delivery", |threads| events(threads, |event| matches!(event, Event::Delivered { .. })) == 1)
        .await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let said = slack.said(&thread).await;
    assert_eq!(said.len(), 1, "{said:#?}");
}

/// What was said while the gateway was away is answered when it is back, once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_said_while_it_was_away_is_answered_once() {
    let slack = Workspace::with(&["--time-scale", "0.01"]).await;
    let mut world = started(&slack, "").await;
    let thread = slack.mentions(ANA, "where is my order 1001?").await;
    slack.says(&world, &thread, "1001").await;
    // The places are kept every two seconds.
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    world.kill();
    slack.control.reply(ANA, GENERAL, &thread, "and order 1002?").await.unwrap();
    let began = Instant::now();
    while !slack.control.deliveries().await.unwrap().iter().any(|delivery| delivery.lost) {
        assert!(began.elapsed() < SOON, "Slack never gave up");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    world.start().await;
    slack.says(&world, &thread, "1002").await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(slack.said(&thread).await.len(), 2);
    assert!(world.log().contains("read again what was said meanwhile"), "{}", world.log());
}

/// No token stands in the log, at whatever level.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_token_stands_in_the_log() {
    let slack = Workspace::open().await;
    let mut world = slack.world("").env("SWITCHBOARD_LOG", "trace");
    world.start().await;
    slack.connected(&world).await;
    let thread = slack.mentions(ANA, "where is my order 1001?").await;
    slack.says(&world, &thread, "1001").await;
    slack.control.revoke("xoxb-sim-1-secret", true).await.unwrap();
    slack.mentions(ANA, "and my order 1002?").await;
    world.until_logged("install the app again").await;
    world.stop();
    let log = world.log();
    for secret in ["xoxb-sim-1-secret", "xapp-sim-secret", "ticket="] {
        assert!(
            !log.contains(secret),
            "{secret} stands in the log: {:?}",
            log.lines().find(|line| line.contains(secret))
        );
    }
}

/// What is missing is named with what to do, before anybody is kept waiting.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_that_connects_names_scope_token_and_invitation() {
    let slack = Workspace::open().await;
    let desk = "[members.room]\nslack = \"T0SIM0001/C0PUB0001\"\n[desks.room]\nmembers = [\"room\"]\nvia = \"slack\"\n";
    let world = slack.gateway(World::new(&format!("{}{desk}{SCRIPTED}", slack.config(""))));
    let check = || {
        let output = world.command(&["check", "--connect"]).output().unwrap();
        let told = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        (output.status.success(), told)
    };
    let (sound, told) = check();
    assert!(!sound && told.contains("/invite @") && told.contains("C0PUB0001"), "{told}");
    slack.control.join(BOT, "C0PUB0001").await.unwrap();
    let (sound, told) = check();
    assert!(sound && told.contains("Acme") && told.contains("Socket Mode"), "{told}");

    let scopes: Vec<&str> =
        simulator::slack::SCOPES.iter().copied().filter(|scope| *scope != "files:write").collect();
    slack.control.scopes(&scopes).await.unwrap();
    let (sound, told) = check();
    assert!(
        !sound && told.contains("lacks the scope files:write") && told.contains("SLACK_BOT_TOKEN"),
        "{told}"
    );
    slack.control.scopes(simulator::slack::SCOPES).await.unwrap();

    slack.control.revoke("xoxb-sim-1-secret", true).await.unwrap();
    let (sound, told) = check();
    assert!(!sound && told.contains("token_revoked") && told.contains("install the app again"), "{told}");
    slack.control.revoke("xoxb-sim-1-secret", false).await.unwrap();
    slack.control.revoke("xapp-sim-secret", true).await.unwrap();
    let (sound, told) = check();
    assert!(!sound && told.contains("SLACK_APP_TOKEN"), "{told}");
    assert!(!told.contains("xapp-sim-secret"), "{told}");
}
