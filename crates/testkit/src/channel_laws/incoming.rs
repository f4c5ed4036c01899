//! What comes in: once, under its name, in its place, and never lost.

use std::time::Duration;

use channel::{Body, Inbound};
use tokio::time::Instant;

use super::{A_WHILE, Bench, Rig, SOON, says};

fn text(inbound: &Inbound) -> &str {
    match &inbound.body {
        Body::Text { text, .. } => text,
        Body::Press { .. } | Body::Edited { .. } | Body::Deleted | Body::Undelivered { .. } => {
            panic!("no text: {inbound:?}")
        }
    }
}

/// An inbound has names that begin with the channel's, a person, a place, and the words as they were written.
pub async fn what_comes_in_says_who_and_where(rig: Box<dyn Rig>) {
    let bench = Bench::new(rig).await;
    let (_, inbound) = bench.hears("Where is my order 4711?").await;
    let name = bench.rig.name();
    assert!(!inbound.keys.is_empty());
    for key in &inbound.keys {
        assert!(key.as_str().starts_with(&format!("{name}:")), "{key} could be another channel's");
    }
    assert_eq!((&inbound.at.channel, &inbound.from.channel), (&name, &name));
    assert!(!inbound.at.place.as_str().is_empty() && !inbound.from.id.is_empty());
    assert!(inbound.from.verified.is_proven(), "{:?}", inbound.from);
    assert_eq!(text(&inbound).trim(), "Where is my order 4711?");
    assert_eq!(inbound.ticket, None);
    let message = inbound.message.map_or(0, |message| message.as_str().len());
    assert!(message <= 4_096, "the message's own name has {message} bytes");
}

/// A gesture that comes again, because a crash came before the platform was told, has a name that it had before.
pub async fn the_same_gesture_has_the_same_name(rig: Box<dyn Rig>) {
    let mut bench = Bench::new(rig).await;
    bench.inbox.loses_answers(true);
    let gesture = bench.rig.says("once").await;
    let inbound = bench.inbox.taken_count(1).await.remove(0);
    bench.stop().await;
    bench.inbox.loses_answers(false);
    let before = bench.inbox.came().len();
    bench.listen().await;
    bench.rig.repeats(&gesture).await;
    let again = bench.inbox.came_count(before + 1).await.remove(before);
    assert!(again.keys.iter().any(|key| inbound.keys.contains(key)), "{again:?} after {inbound:?}");
    assert_eq!((again.at, again.from.id), (inbound.at, inbound.from.id));
    assert_eq!(bench.inbox.taken().len(), 1);
    bench.stop().await;
}

/// The same words said twice are two messages.
pub async fn two_gestures_with_the_same_words_are_two(rig: Box<dyn Rig>) {
    let bench = Bench::new(rig).await;
    let (first, one) = bench.hears("again").await;
    bench.rig.replies(&first, "again").await;
    let two = bench.inbox.taken_count(2).await.remove(1);
    assert!(!two.keys.iter().any(|key| one.keys.contains(key)), "{two:?} after {one:?}");
}

/// While the gateway cannot take it, nothing is acknowledged; afterwards it comes, once, and so does what came behind it.
pub async fn what_was_not_taken_comes_again(rig: Box<dyn Rig>) {
    let mut bench = Bench::new(rig).await;
    bench.inbox.away(true);
    let cursors = bench.inbox.cursors();
    let gesture = bench.rig.says("first").await;
    bench.is_held_up(&gesture).await;
    tokio::time::sleep(A_WHILE).await;
    assert_ne!(gesture.acknowledged, Some(true), "it was acknowledged although nobody has it");
    assert_eq!(bench.inbox.cursors(), cursors, "the channel went on although nobody has it");
    assert!(bench.inbox.taken().is_empty());
    bench.inbox.away(false);
    let began = Instant::now();
    while bench.inbox.taken().is_empty() {
        assert_ne!(bench.rig.repeats(&gesture).await, Some(false), "the gateway is back");
        assert!(began.elapsed() < SOON, "it never came again");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    bench.rig.says("second").await;
    let taken = bench.inbox.taken_count(2).await;
    assert_eq!(taken.iter().map(|inbound| text(inbound).trim()).collect::<Vec<_>>(), ["first", "second"]);
    bench.stop().await;
    bench.listen().await;
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(bench.inbox.taken().len(), 2);
    bench.stop().await;
}

/// Who goes on in a conversation is at the place where it began; if the platform says what they reply to, it is ours.
pub async fn a_reply_stays_in_its_place(rig: Box<dyn Rig>) {
    let bench = Bench::new(rig).await;
    let (first, inbound) = bench.hears("Where is it?").await;
    let mut outgoing = bench.outgoing(&inbound.at.place, says("It is on its way."));
    outgoing.in_reply_to = inbound.message.clone();
    let receipt = bench.sends(&outgoing).await;
    bench.sees(&inbound.at.place, |shown| super::reads(shown, "on its way")).await;
    bench.rig.replies(&first, "Thank you.").await;
    let reply = bench.inbox.taken_count(2).await.remove(1);
    assert_eq!(reply.at, inbound.at);
    assert_eq!(reply.from.id, inbound.from.id);
    assert_eq!(text(&reply).trim(), "Thank you.");
    if reply.in_reply_to.is_some() {
        assert_eq!(reply.in_reply_to, receipt.message);
    }
}
