//! Out: in order at each place, independent of other places, tried again as the error says, and never lost in silence.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use agent::{Event, Outcome, Seq, Thread};
use channel::{CardState, Content, Error, ErrorKind, File, Inbox, MessageRef, Outgoing, Receipt, Text};
use runtime::{Serving, serve};
use serde_json::json;
use store::{Batch, Clock, SendState, Sent, SentQuery, Store};
use testkit::doubles::{Fault, Hold, Op, Play};
use tokio::time::sleep;
use tool::{Ended, Made};

use crate::world::{World, act, address, count, id, story, until};

/// Lets the gateway say something, as if an event at place `n` of the log had caused it.
async fn post(world: &World, place: &str, n: u64, text: &str) -> Outgoing {
    let outgoing = Outgoing {
        key: id(place).delivery(Seq(n), 0),
        to: address("chat", place),
        at: world.clock.now(),
        only: None,
        in_reply_to: None,
        amends: None,
        content: Content::Text(Text { markdown: text.to_owned(), note: None }),
        files: Vec::new(),
    };
    commit(world, place, outgoing.clone()).await;
    outgoing
}

async fn commit(world: &World, place: &str, outgoing: Outgoing) {
    world.embedded.commit(Batch { outgoing: vec![outgoing], ..Batch::new(id(place)) }).await.unwrap();
}

async fn row(world: &World, outgoing: &Outgoing) -> Sent {
    world.embedded.sent(SentQuery::Key(outgoing.key.clone())).await.unwrap().remove(0)
}

fn sent(world: &World) -> Vec<String> {
    world.chat.sent().iter().map(|sending| format!("{} {}", sending.text(), sending.attempt.number)).collect()
}

/// Waits until nothing waits to be sent.
async fn all_settled(world: &World, serving: Serving) {
    for _ in 0..2_000 {
        if world.embedded.sent(SentQuery::Waiting).await.unwrap().is_empty() {
            assert!(serving.stop().await);
            return;
        }
        sleep(Duration::from_millis(5)).await;
    }
    panic!("messages wait for ever: {:?}", sent(world));
}

#[tokio::test]
async fn a_message_is_sent_because_of_a_commit_and_its_end_is_written() {
    let world = World::new();
    let serving = world.serve();
    sleep(Duration::from_millis(20)).await;
    assert!(world.chat.sent().is_empty());
    let outgoing = post(&world, "p", 1, "hello").await;
    all_settled(&world, serving).await;
    let row = row(&world, &outgoing).await;
    let name = MessageRef::new(format!("sent:{}", outgoing.key));
    assert_eq!((row.state, row.message), (SendState::Sent, Some(name.clone())));
    let thread = world.thread("p").await;
    let delivered = Event::Delivered { key: outgoing.key, message: Some(name) };
    assert_eq!(thread.records()[0].event, delivered);
    assert_eq!(sent(&world), ["hello 1"]);
}

#[tokio::test]
async fn what_nobody_committed_is_never_sent() {
    let world = World::new();
    world.store.fails(|op| match op {
        Op::Commit(batch) if !batch.outgoing.is_empty() => Fault::Away,
        _ => Fault::None,
    });
    let serving = world.serve();
    world.say("p", "hello").await;
    until("a try to answer", || world.store.commits().len() >= 2).await;
    sleep(Duration::from_millis(100)).await;
    assert!(world.chat.sent().is_empty(), "it was said although the commit failed");
    world.store.back();
    world.clock.advance(Duration::from_secs(2));
    world.finished("p").await;
    assert_eq!(world.chat.sent().len(), 1);
    assert!(serving.stop().await);
}

#[tokio::test]
async fn messages_to_a_place_keep_their_order_while_the_first_waits() {
    let world = World::new();
    world.chat.fails(Error::retry("busy"));
    world.chat.fails(Error::retry("busy"));
    for n in 1..=3 {
        post(&world, "p", n, &format!("m{n}")).await;
    }
    let serving = world.serve();
    for attempt in 1..=2 {
        world.chat.sent_count(attempt).await;
        sleep(Duration::from_millis(50)).await;
        assert_eq!(world.chat.sent().len(), attempt, "somebody went ahead: {:?}", sent(&world));
        world.clock.advance(Duration::from_secs(2));
    }
    world.chat.sent_count(5).await;
    assert_eq!(sent(&world), ["m1 1", "m1 2", "m1 3", "m2 1", "m3 1"]);
    all_settled(&world, serving).await;
}

/// So what was frozen in the middle of a sending, and comes to life after somebody else sent the message, sends nothing.
#[tokio::test]
async fn a_sending_goes_on_only_while_the_lease_is_held_for_sure() {
    for still_held in [true, false] {
        let mut world = World::new();
        world.settings.lease = Duration::from_millis(300);
        let hold = Hold::new();
        let receipt = Receipt { message: None };
        world.chat.then(Play::gives(Ok(receipt)).held(&hold));
        world.store.fails(|op| if matches!(op, Op::Renew(_)) { Fault::Away } else { Fault::None });
        let outgoing = post(&world, "p", 1, "hello").await;
        let serving = world.serve();
        hold.reached(1).await;
        sleep(Duration::from_millis(400)).await;
        hold.open();
        sleep(Duration::from_millis(200)).await;
        assert_eq!(row(&world, &outgoing).await.state, SendState::Waiting, "it went on");
        if !still_held {
            world.clock.advance(Duration::from_secs(1));
            let second = world.serve_as("two");
            all_settled(&world, second).await;
            assert_eq!(sent(&world), ["hello 1", "hello 2"]);
        }
        world.store.back();
        world.until("p", |thread| count(thread, "delivered") == 1).await;
        sleep(Duration::from_millis(200)).await;
        assert_eq!(count(&world.thread("p").await, "delivered"), 1);
        assert!(serving.stop().await);
    }
}

#[tokio::test]
async fn places_do_not_wait_for_each_other() {
    let mut world = World::new();
    world.settings.drain = Duration::from_millis(50);
    world.chat.always(|sending| match sending.outgoing.to.place.as_str() {
        "slow" => Play::hangs(),
        "busy" => Play::gives(Err(Error::retry("busy"))),
        _ => Play::gives(Ok(Receipt { message: None })),
    });
    for (n, place) in ["slow", "busy", "p", "slow", "busy", "q"].into_iter().enumerate() {
        post(&world, place, n as u64, place).await;
    }
    let serving = world.serve();
    world.until("p", |thread| count(thread, "delivered") == 1).await;
    world.until("q", |thread| count(thread, "delivered") == 1).await;
    assert!(serving.stop().await);
}

#[tokio::test]
async fn channels_do_not_wait_for_each_other() {
    let mut world = World::new();
    world.settings.sends_max = 1;
    world.settings.drain = Duration::from_millis(50);
    world.mail.always(|_| Play::hangs());
    let mut outgoing = post(&world, "p", 1, "by chat").await;
    outgoing.key = id("p").delivery(Seq(0), 0);
    outgoing.to = address("mail", "ana@corp");
    commit(&world, "p", outgoing).await;
    let serving = world.serve();
    world.mail.sent_count(1).await;
    world.until("p", |thread| count(thread, "delivered") == 1).await;
    assert!(serving.stop().await);
}

#[tokio::test]
async fn the_platform_s_own_waiting_time_is_kept() {
    let world = World::new();
    world.chat.fails(Error::new(ErrorKind::Retry { after: Some(Duration::from_secs(600)) }, "slow down"));
    let outgoing = post(&world, "p", 1, "m").await;
    let serving = world.serve();
    world.chat.sent_count(1).await;
    until_error(&world, &outgoing, "slow down").await;
    world.clock.advance(Duration::from_secs(599));
    sleep(Duration::from_millis(1_200)).await;
    assert_eq!(world.chat.sent().len(), 1);
    world.clock.advance(Duration::from_secs(1));
    all_settled(&world, serving).await;
    assert_eq!(sent(&world), ["m 1", "m 2"]);
}

/// Waits until the outbox says why a message waits.
async fn until_error(world: &World, outgoing: &Outgoing, why: &str) {
    for _ in 0..2_000 {
        if row(world, outgoing).await.error.is_some_and(|error| error.contains(why)) {
            return;
        }
        sleep(Duration::from_millis(2)).await;
    }
    panic!("the outbox never said `{why}`");
}

#[tokio::test]
async fn what_may_have_been_sent_comes_again_with_a_higher_number() {
    let mut world = World::new();
    world.settings.send_timeout = Duration::from_millis(50);
    // One says so, one says nothing at all.
    world.chat.fails(Error::ambiguous("cut"));
    world.chat.then(Play::hangs());
    let outgoing = post(&world, "p", 1, "m").await;
    let serving = world.serve();
    until_error(&world, &outgoing, "cut").await;
    world.clock.advance(Duration::from_secs(2));
    until_error(&world, &outgoing, "did not answer in time").await;
    world.clock.advance(Duration::from_secs(4));
    all_settled(&world, serving).await;
    assert_eq!(sent(&world), ["m 1", "m 2", "m 3"]);
    let first = &world.chat.sent()[0];
    assert!(world.chat.sent().iter().all(|sending| sending.outgoing == first.outgoing));
}

#[tokio::test]
async fn what_is_refused_is_given_up_and_lets_the_next_through() {
    let world = World::new();
    world.chat.fails(Error::refused("there is no such place"));
    let first = post(&world, "p", 1, "m1").await;
    post(&world, "p", 2, "m2").await;
    let serving = world.serve();
    all_settled(&world, serving).await;
    assert_eq!(sent(&world), ["m1 1", "m2 1"]);
    assert_eq!(row(&world, &first).await.state, SendState::Dead);
    assert_eq!(why_lost(&world.thread("p").await), ["there is no such place"]);
}

fn why_lost(thread: &Thread) -> Vec<String> {
    let why = |record: &agent::Record| match &record.event {
        Event::Undelivered { why, .. } => Some(why.clone()),
        _ => None,
    };
    thread.records().iter().filter_map(why).collect()
}

#[tokio::test]
async fn a_card_that_was_lost_elsewhere_is_told_at_home() {
    let world = World::new();
    world.model.thinks(&act("deploy"));
    world.mail.fails(Error::refused("550 no such user"));
    let serving = world.serve();
    world.say("p", "deploy").await;
    let sent = world.chat.sent_count(2).await;
    assert!(sent[0].text().contains("needs approval"), "{}", sent[0].text());
    assert!(sent[1].text().contains("The question to ana could not be delivered"), "{}", sent[1].text());
    let thread = world.thread("p").await;
    assert_eq!(thread.open_questions().count(), 1, "it can still be answered");
    assert!(serving.stop().await);
}

#[tokio::test]
async fn a_channel_whose_settings_are_wrong_is_tried_until_somebody_mends_them() {
    let world = World::new();
    world.chat.always(|sending| match sending.attempt.number {
        ..=5 => Play::gives(Err(Error::misconfigured("wrong password", "set another"))),
        _ => Play::gives(Ok(Receipt { message: None })),
    });
    let outgoing = post(&world, "p", 1, "m").await;
    let serving = world.serve();
    for attempt in 1..=5 {
        world.chat.sent_count(attempt).await;
        until_error(&world, &outgoing, "wrong password (set another)").await;
        // Never longer than five minutes.
        world.clock.advance(Duration::from_secs(300));
    }
    all_settled(&world, serving).await;
    assert_eq!(row(&world, &outgoing).await.state, SendState::Sent);
}

#[tokio::test]
async fn what_cannot_be_sent_for_days_is_given_up() {
    for error in
        [|| Error::retry("busy"), || Error::ambiguous("cut"), || Error::misconfigured("wrong", "mend")]
    {
        let world = World::new();
        world.chat.always(move |_| Play::gives(Err(error())));
        let outgoing = post(&world, "p", 1, "m").await;
        let serving = world.serve();
        until_error(&world, &outgoing, "").await;
        world.clock.advance(Duration::from_secs(2 * 86_400));
        world.chat.sent_count(2).await;
        until_error(&world, &outgoing, "").await;
        world.clock.advance(Duration::from_secs(2 * 86_400));
        all_settled(&world, serving).await;
        assert_eq!(world.chat.sent().len(), 3);
        assert_eq!(row(&world, &outgoing).await.state, SendState::Dead);
        assert_eq!(why_lost(&world.thread("p").await).len(), 1);
    }
}

#[tokio::test]
async fn a_channel_that_is_gone_is_waited_for_and_then_given_up() {
    let world = World::new();
    let outgoing = post(&world, "p", 1, "m").await;
    let without = || {
        serve(world.board_with(|board| {
            board.channels.remove(&outgoing.to.channel);
        }))
    };
    let serving = without();
    until_error(&world, &outgoing, "there is no channel `chat` any more").await;
    assert!(serving.stop().await);
    world.clock.advance(Duration::from_secs(4 * 86_400));
    let serving = without();
    all_settled(&world, serving).await;
    assert_eq!(row(&world, &outgoing).await.state, SendState::Dead);
}

#[tokio::test]
async fn a_card_is_rewritten_under_the_name_it_was_sent_by() {
    let world = World::new();
    world.model.thinks(&act("deploy"));
    world.mail.fails(Error::retry("busy"));
    let serving = world.serve();
    world.say("p", "deploy").await;
    let card = world.mail.sent_count(1).await[0].outgoing.clone();
    let Content::Card(open) = &card.content else { panic!("no card") };
    // It is settled while the card itself still waits.
    world.door("mail").accept(world.by_mail("approve", Some(&open.ticket))).await.unwrap();
    world.clock.advance(Duration::from_secs(2));
    let sent = world.mail.sent_count(3).await;
    assert_eq!(sent[1].outgoing, card);
    let closed = &sent[2];
    assert_eq!(closed.outgoing.amends.as_ref(), Some(&card.key));
    assert_eq!(closed.attempt.amends, Some(MessageRef::new(format!("sent:{}", card.key))));
    let Content::Card(content) = &closed.outgoing.content else { panic!("no card") };
    assert_eq!(content.state, CardState::Closed { how: "Approved by ana".into() });
    world.finished("p").await;
    assert!(serving.stop().await);
}

#[tokio::test]
async fn files_go_along_whole() {
    let world = World::new();
    world.model.thinks(&act("lookup"));
    world.model.thinks(&json!({ "intent": "finish", "text": "Here.", "files": ["a.csv"] }));
    let bytes: Vec<u8> = (0..=255).collect();
    let made = Made { name: "a.csv".into(), kind: "text/csv".into(), bytes: bytes.clone() };
    world.tools.then(Play::gives(Ended { outcome: Outcome::Done(json!("ok")), files: vec![made] }));
    let serving = world.serve();
    world.say("p", "the file, please").await;
    let sent = world.chat.sent_count(1).await;
    assert_eq!(sent[0].attempt.files, [bytes]);
    assert_eq!(sent[0].outgoing.files[0].name, "a.csv");
    world.finished("p").await;
    assert!(serving.stop().await);
}

#[tokio::test]
async fn a_file_that_is_not_kept_any_more_is_said_so() {
    let world = World::new();
    let mut outgoing = post(&world, "q", 1, "m").await;
    outgoing.key = id("p").delivery(Seq(1), 0);
    outgoing.to = address("chat", "p");
    outgoing.files =
        vec![File { name: "a.csv".into(), kind: "text/csv".into(), size: 1, hash: "00".repeat(32) }];
    commit(&world, "p", outgoing).await;
    let serving = world.serve();
    all_settled(&world, serving).await;
    assert_eq!(why_lost(&world.thread("p").await), ["the file `a.csv` is not kept any more"]);
    assert_eq!(sent(&world), ["m 1"], "only the one without a file");
}

#[tokio::test]
async fn what_was_sent_when_the_gateway_died_comes_again_as_a_second_attempt() {
    let mut world = World::new();
    world.settings.drain = Duration::from_millis(50);
    let hold = Hold::new();
    world.chat.then(Play::gives(Ok(Receipt { message: None })).held(&hold));
    let outgoing = post(&world, "p", 1, "m").await;
    let serving = world.serve();
    hold.reached(1).await;
    assert!(serving.stop().await);
    assert_eq!(row(&world, &outgoing).await.state, SendState::Waiting);
    world.clock.advance(world.settings.lease);
    let serving = world.serve_as("two");
    all_settled(&world, serving).await;
    assert_eq!(sent(&world), ["m 1", "m 2"]);
    assert_eq!(count(&world.thread("p").await, "delivered"), 1);
}

#[tokio::test]
async fn what_was_sent_is_not_sent_again_because_the_store_is_away_for_a_while() {
    for course in [vec![Fault::Away, Fault::Away], vec![Fault::Lost], vec![Fault::Away, Fault::Lost]] {
        let world = World::new();
        let n = AtomicUsize::new(0);
        world.store.fails(move |op| match op {
            Op::Commit(batch) if batch.settle.is_some() => {
                course.get(n.fetch_add(1, Ordering::SeqCst)).cloned().unwrap_or(Fault::None)
            }
            _ => Fault::None,
        });
        post(&world, "p", 1, "m").await;
        let serving = world.serve();
        all_settled(&world, serving).await;
        assert_eq!(sent(&world), ["m 1"]);
        assert_eq!(story(&world.thread("p").await), ["delivered"]);
    }
}

/// A log that a newer build wrote: what waited in it is sent once, or given up once, and not again and again.
#[tokio::test]
async fn a_message_of_a_thread_that_cannot_be_read_is_settled_all_the_same() {
    for (refused, state) in [(false, SendState::Sent), (true, SendState::Dead)] {
        let world = World::new();
        if refused {
            world.chat.fails(Error::refused("there is no such place"));
        }
        world.store.fails(|op| match op {
            Op::Load(thread) => Fault::Unreadable((*thread).clone()),
            _ => Fault::None,
        });
        let outgoing = post(&world, "p", 1, "m").await;
        let serving = world.serve();
        all_settled(&world, serving).await;
        assert_eq!(sent(&world), ["m 1"]);
        assert_eq!(row(&world, &outgoing).await.state, state);
    }
}

/// Two gateways on one store: each message goes out once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_senders_send_each_message_once_and_in_order() {
    let world = World::new();
    for n in 0..200 {
        post(&world, &format!("p{}", n % 20), n, &format!("{n}")).await;
    }
    let serving = (world.serve(), world.serve_as("two"));
    all_settled(&world, serving.0).await;
    let sent = world.chat.sent();
    assert_eq!(sent.len(), 200);
    for place in 0..20 {
        let here = sent.iter().filter(|s| s.outgoing.to.place.as_str() == format!("p{place}"));
        let numbers: Vec<u64> = here.map(|s| s.text().parse().unwrap()).collect();
        assert!(numbers.is_sorted(), "p{place}: {numbers:?}");
    }
    assert!(serving.1.stop().await);
}
