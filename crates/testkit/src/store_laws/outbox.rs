//! Laws of messages out: in order at each place, sent by one at a time, settled once, and kept.

use std::{sync::Arc, time::Duration};

use agent::{ThreadId, Version};
use channel::{ChannelName, MessageRef, Outgoing};
use store::{Again, Batch, Clock, Error, SendState, SentQuery};

use super::{
    AFTER_TTL, Open, TTL, Taken, World, address, key, message, send, sends, settling, text, texts, thread,
    wake::{LONG, assert_told, hears},
};

/// Messages to one place come one after the other, in the order they were committed, from whichever threads.
pub async fn messages_to_one_place_keep_their_order(open: &impl Open) {
    let world = World::new(open).await;
    let (a, b) = (thread("a"), thread("b"));
    world.post(&a, &[&message(&a, "p", "1"), &message(&a, "p", "2")]).await;
    world.post(&b, &[&message(&b, "p", "3")]).await;
    world.post(&a, &[&message(&a, "p", "4")]).await;
    for expected in ["1", "2", "3", "4"] {
        let send = world.send().await;
        assert_eq!(send.text(), expected);
        assert_eq!(send.thread, if expected == "3" { b.clone() } else { a.clone() });
        world.settle(&send, expected).await;
    }
    assert_eq!(texts(&world.sends(10).await), Vec::<&str>::new());
}

/// While a message is being sent, the next to its place is not.
pub async fn a_leased_message_holds_back_its_place(open: &impl Open) {
    let world = World::new(open).await;
    let a = thread("a");
    world.post(&a, &[&message(&a, "p", "1"), &message(&a, "p", "2")]).await;
    let first = world.send().await;
    assert_eq!(texts(&world.sends(10).await), Vec::<&str>::new());
    world.store.renew(&first.lease, TTL * 3).await.unwrap();
    world.clock.advance(AFTER_TTL);
    assert_eq!(texts(&world.sends(10).await), Vec::<&str>::new(), "the lease was renewed");
    world.post(&a, &[&message(&a, "p", "3")]).await;
    assert_eq!(texts(&world.sends(10).await), Vec::<&str>::new());
}

/// A message that is to be tried again comes at its time, with its error to be seen meanwhile; those behind it wait.
pub async fn a_waiting_retry_holds_back_its_place(open: &impl Open) {
    let world = World::new(open).await;
    let a = thread("a");
    let (one, two) = (message(&a, "p", "1"), message(&a, "p", "2"));
    world.post(&a, &[&one, &two]).await;
    let first = world.send().await;
    let at = world.clock.now().checked_add(Duration::from_secs(60)).unwrap();
    world.store.release(&first.lease, Again::Retry { at, why: "greylisted".to_owned() }).await.unwrap();
    let state = world.by_key(&one).await.unwrap();
    assert_eq!((state.state, state.error.as_deref()), (SendState::Waiting, Some("greylisted")));
    world.clock.advance(Duration::from_secs(59));
    assert_eq!(texts(&world.sends(10).await), Vec::<&str>::new());
    world.clock.advance(Duration::from_secs(1));
    let first = world.send().await;
    assert_eq!((first.text(), first.attempt), ("1", 2));
    world.settle(&first, "m1").await;
    assert_eq!(world.by_key(&one).await.unwrap().error, None, "an old error on a sent message");
    assert_eq!(world.send().await.text(), "2");
}

/// A place that is stuck holds up no other.
pub async fn places_do_not_wait_for_each_other(open: &impl Open) {
    let world = World::new(open).await;
    let a = thread("a");
    let all = ["p1", "p2", "q1", "q2", "r1"].map(|text| message(&a, &text[..1], text));
    world.post(&a, &all.each_ref()).await;
    let mut first = world.sends(10).await;
    first.sort_by(|x, y| x.text().cmp(y.text()));
    assert_eq!(texts(&first), ["p1", "q1", "r1"]);
    world.settle(&first[1], "q1").await;
    assert_eq!(world.send().await.text(), "q2");
}

/// A channel's claim gets that channel's messages only, also where two channels name a place alike.
pub async fn channels_do_not_share_messages(open: &impl Open) {
    let world = World::new(open).await;
    let a = thread("a");
    let mail = message(&a, "p", "mail");
    let mut chat = message(&a, "p", "chat");
    chat.to.channel = ChannelName::new("chat");
    world.post(&a, &[&mail, &chat]).await;
    assert_eq!(world.send().await.text(), "mail");
    let work = world.store.claim(sends("chat", 10, Duration::ZERO)).await.unwrap();
    assert_eq!(work.into_iter().map(|work| send(work).outgoing).collect::<Vec<_>>(), [chat.clone()]);
    assert_eq!(world.store.claim(sends("cha", 10, Duration::ZERO)).await.unwrap(), []);
    let sent = world.store.sent(SentQuery::At(chat.to.clone())).await.unwrap();
    assert_eq!(sent.into_iter().map(|sent| sent.outgoing).collect::<Vec<_>>(), [chat]);
}

/// A message whose key is in the outbox is left as it is: waiting, being sent, or sent.
pub async fn a_message_is_posted_once(open: &impl Open) {
    let world = World::new(open).await;
    let a = thread("a");
    let first = message(&a, "p", "1");
    let mut other = first.clone();
    other.to = address("elsewhere");
    world.post(&a, &[&first, &other]).await;
    world.post(&a, &[&other]).await;
    let send = world.send().await;
    assert_eq!(send.outgoing, first);
    world.post(&a, &[&first]).await;
    assert_eq!(texts(&world.sends(10).await), Vec::<&str>::new());
    world.settle(&send, "m1").await;
    world.post(&a, &[&other]).await;
    assert_eq!(texts(&world.sends(10).await), Vec::<&str>::new());
    let kept = world.by_key(&first).await.unwrap();
    assert_eq!((kept.state, kept.outgoing), (SendState::Sent, first));
}

/// Each taking counts as an attempt, also when the sender died in it; the first one's time is kept.
pub async fn an_attempt_is_counted_before_it_begins(open: &impl Open) {
    let world = World::new(open).await;
    let a = thread("a");
    world.post(&a, &[&message(&a, "p", "1")]).await;
    world.clock.advance(Duration::from_secs(5));
    let began = world.clock.now();
    let mut epochs = Vec::new();
    for attempt in 1..=3 {
        let send = world.send().await;
        assert_eq!((send.attempt, send.since), (attempt, began));
        epochs.push(send.lease.epoch);
        assert_eq!(texts(&world.sends(10).await), Vec::<&str>::new());
        world.clock.advance(AFTER_TTL);
    }
    assert!(epochs.is_sorted_by(|x, y| x < y), "{epochs:?}");
}

/// A claim whose caller went away while it waited has begun no attempt: the message comes to the next one as to the first.
pub async fn a_dropped_claim_is_no_attempt(open: &impl Open) {
    let world = World::new(open).await;
    let thread = thread("a");
    for n in 0..20 {
        let store = Arc::clone(&world.store);
        let waiting = tokio::spawn(async move { store.claim(sends("mail", 10, LONG)).await.unwrap() });
        tokio::task::yield_now().await;
        tokio::time::sleep(Duration::from_millis(n % 4)).await;
        world.post(&thread, &[&message(&thread, "x", &n.to_string())]).await;
        waiting.abort();
        let taken = match waiting.await {
            Ok(taken) => taken,
            Err(_) => world.store.claim(sends("mail", 10, LONG)).await.unwrap(),
        };
        let taken: Vec<Taken> = taken.into_iter().map(send).collect();
        assert_eq!(taken.iter().map(|taken| taken.attempt).collect::<Vec<_>>(), [1], "round {n}");
        world.settle(&taken[0], "m").await;
    }
}

/// The record of a delivery and the end of its sending are written together.
pub async fn settling_and_its_record_are_one(open: &impl Open) {
    let world = World::new(open).await;
    let a = thread("a");
    let one = message(&a, "p", "1");
    world.post(&a, &[&one]).await;
    let send = world.send().await;
    let batch =
        Batch { records: vec![world.record("delivered")], ..settling(&send, SendState::Sent, Some("m1")) };
    assert_eq!(world.commit(batch).await, Version(1));
    assert_eq!(world.story(&a).await, ["delivered"]);
    let sent = world.by_key(&one).await.unwrap();
    assert_eq!((sent.state, sent.message), (SendState::Sent, Some(MessageRef::new("m1"))));
    assert_eq!(sent.thread, a);
}

/// A batch that is refused settles nothing: the lease is good, and the message still waits.
pub async fn a_refused_batch_settles_nothing(open: &impl Open) {
    let world = World::new(open).await;
    let a = thread("a");
    let (one, two) = (message(&a, "p", "1"), message(&a, "p", "2"));
    world.post(&a, &[&one, &two]).await;
    world.commit(Batch { keys: vec![key("k")], ..Batch::new(a.clone()) }).await;
    let send = world.send().await;
    let settle = settling(&send, SendState::Sent, Some("m1"));
    let conflict = Batch { expect: Some(Version(5)), ..settle.clone() };
    assert!(matches!(world.store.commit(conflict).await, Err(Error::Conflict { .. })));
    let duplicate = Batch { keys: vec![key("k")], ..settle.clone() };
    assert!(matches!(world.store.commit(duplicate).await, Err(Error::Duplicate { .. })));
    assert_eq!(world.by_key(&one).await.unwrap().state, SendState::Waiting);
    assert_eq!(texts(&world.sends(10).await), Vec::<&str>::new(), "the next was let through");
    world.commit(settle).await;
}

/// A sender that was replaced, or gave the message back, ends nothing and writes nothing.
pub async fn a_lost_lease_settles_nothing(open: &impl Open) {
    let world = World::new(open).await;
    let a = thread("a");
    let one = message(&a, "p", "1");
    world.post(&a, &[&one]).await;
    let old = world.send().await;
    world.clock.advance(AFTER_TTL);
    let new = world.send().await;
    refuse_settle(&world, &old, &one).await;
    let again = Again::Retry { at: world.clock.now(), why: "busy".to_owned() };
    world.store.release(&new.lease, again.clone()).await.unwrap();
    refuse_settle(&world, &new, &one).await;
    assert!(matches!(world.store.release(&new.lease, again).await, Err(Error::Fenced { .. })));
    assert!(matches!(world.store.renew(&new.lease, TTL).await, Err(Error::Fenced { .. })));

    let late = world.send().await;
    world.clock.advance(AFTER_TTL);
    world.settle(&late, "expired, and not taken over").await;
}

/// A second receipt for a message is refused with all that comes with it.
pub async fn a_message_is_settled_once(open: &impl Open) {
    let world = World::new(open).await;
    let a = thread("a");
    let one = message(&a, "p", "1");
    world.post(&a, &[&one]).await;
    let send = world.send().await;
    world.settle(&send, "m1").await;
    let again =
        Batch { records: vec![world.record("again")], ..settling(&send, SendState::Dead, Some("m2")) };
    assert!(matches!(world.store.commit(again).await, Err(Error::Fenced { .. })));
    assert!(matches!(world.store.renew(&send.lease, TTL).await, Err(Error::Fenced { .. })));
    let retry = Again::Retry { at: world.clock.now(), why: "late".to_owned() };
    assert!(matches!(world.store.release(&send.lease, retry).await, Err(Error::Fenced { .. })));
    assert_eq!(world.story(&a).await, Vec::<String>::new());
    let sent = world.by_key(&one).await.unwrap();
    assert_eq!((sent.state, sent.message), (SendState::Sent, Some(MessageRef::new("m1"))));
    world.clock.advance(AFTER_TTL);
    assert_eq!(texts(&world.sends(10).await), Vec::<&str>::new());
}

/// A message that will never be sent does not stand in the way of the next.
pub async fn a_dead_message_lets_the_next_through(open: &impl Open) {
    let world = World::new(open).await;
    let a = thread("a");
    let one = message(&a, "p", "1");
    world.post(&a, &[&one, &message(&a, "p", "2")]).await;
    let send = world.send().await;
    world.commit(settling(&send, SendState::Dead, None)).await;
    let dead = world.by_key(&one).await.unwrap();
    assert_eq!((dead.state, dead.message), (SendState::Dead, None));
    assert_eq!(world.send().await.text(), "2");
}

/// `Waiting` is no end.
pub async fn a_message_never_settles_as_waiting(open: &impl Open) {
    let world = World::new(open).await;
    let a = thread("a");
    world.post(&a, &[&message(&a, "p", "1")]).await;
    let send = world.send().await;
    let batch = Batch { records: vec![world.record("no")], ..settling(&send, SendState::Waiting, None) };
    assert!(matches!(world.store.commit(batch).await, Err(Error::Refused { .. })));
    assert_eq!(world.story(&a).await, Vec::<String>::new());
    world.settle(&send, "m1").await;
}

/// A batch may end one message and post the next to the same place.
pub async fn a_message_can_settle_and_be_followed_in_one_batch(open: &impl Open) {
    let world = World::new(open).await;
    let a = thread("a");
    world.post(&a, &[&message(&a, "p", "1")]).await;
    let send = world.send().await;
    let outgoing = vec![message(&a, "p", "2"), message(&a, "p", "3")];
    world.commit(Batch { outgoing, ..settling(&send, SendState::Sent, Some("m1")) }).await;
    let next = world.send().await;
    assert_eq!(next.text(), "2");
    world.settle(&next, "m2").await;
    assert_eq!(world.send().await.text(), "3");
}

/// A message has nothing to wait for but a time.
pub async fn a_message_never_sleeps_for_ever(open: &impl Open) {
    let world = World::new(open).await;
    let a = thread("a");
    world.post(&a, &[&message(&a, "p", "1")]).await;
    let send = world.send().await;
    world.sleep(&send.lease, Version(0)).await;
    let send = world.send().await;
    let until = world.clock.now().checked_add(Duration::from_secs(3)).unwrap();
    let sleep = Again::Sleep { seen: Version(0), until: Some(until) };
    world.store.release(&send.lease, sleep).await.unwrap();
    assert_eq!(texts(&world.sends(10).await), Vec::<&str>::new());
    world.clock.advance(Duration::from_secs(3));
    assert_eq!(world.send().await.attempt, 3);
}

/// Messages are kept after they were sent, and found by place, by key and by the platform's name.
pub async fn sent_messages_stay(open: &impl Open) {
    let world = World::new(open).await;
    let (a, b) = (thread("a"), thread("b"));
    let (one, two, three) = (message(&a, "p", "1"), message(&b, "p", "2"), message(&a, "q", "3"));
    world.post(&a, &[&one]).await;
    world.post(&b, &[&two]).await;
    world.post(&a, &[&three]).await;
    assert_eq!(found(&world, SentQuery::Waiting).await, ["1", "2", "3"]);

    let mut first = world.sends(10).await;
    first.sort_by(|x, y| x.text().cmp(y.text()));
    assert_eq!(found(&world, SentQuery::Waiting).await, ["1", "2", "3"], "being sent is not sent");
    world.settle(&first[0], "same name").await;
    world.settle(&first[1], "same name").await;
    assert_eq!(found(&world, SentQuery::Waiting).await, ["2"]);
    assert_eq!(found(&world, SentQuery::At(address("p"))).await, ["1", "2"]);
    assert_eq!(found(&world, SentQuery::At(address("nowhere"))).await, Vec::<String>::new());
    assert_eq!(found(&world, SentQuery::Key(two.key.clone())).await, ["2"]);
    let named =
        |channel: &str, name: &str| SentQuery::Message(ChannelName::new(channel), MessageRef::new(name));
    assert_eq!(found(&world, named("mail", "same name")).await, ["1", "3"]);
    assert_eq!(found(&world, named("chat", "same name")).await, Vec::<String>::new());
    assert_eq!(found(&world, named("mail", "no name")).await, Vec::<String>::new());
}

/// A claim for messages that waits is answered at once when one is posted.
pub async fn a_waiting_claim_hears_a_message(open: &impl Open) {
    let world = World::new(open).await;
    let a = thread("a");
    assert_told(async |n| {
        let name = n.to_string();
        hears(&world, sends("mail", 10, LONG), async || {
            world.post(&a, &[&message(&a, &name, &name)]).await;
        })
        .await
    })
    .await;
}

/// A claim for messages that waits is answered at once when the one in front is settled.
pub async fn a_waiting_claim_hears_the_way_become_free(open: &impl Open) {
    let world = World::new(open).await;
    let a = thread("a");
    assert_told(async |n| {
        let place = n.to_string();
        let (one, two) = (format!("{n} first"), format!("{n} second"));
        world.post(&a, &[&message(&a, &place, &one), &message(&a, &place, &two)]).await;
        let first = world.send().await;
        hears(&world, sends("mail", 10, LONG), async || world.settle(&first, "m").await).await
    })
    .await;
}

async fn found(world: &World, query: SentQuery) -> Vec<String> {
    let sent = world.store.sent(query).await.unwrap();
    sent.iter().map(|sent| text(&sent.outgoing).to_owned()).collect()
}

async fn refuse_settle(world: &World, send: &super::Taken, outgoing: &Outgoing) {
    let thread: &ThreadId = &send.thread;
    let batch =
        Batch { records: vec![world.record("no")], ..settling(send, SendState::Sent, Some("forged")) };
    assert!(matches!(world.store.commit(batch).await, Err(Error::Fenced { .. })));
    assert_eq!(world.story(thread).await, Vec::<String>::new());
    assert_eq!(world.by_key(outgoing).await.unwrap().state, SendState::Waiting);
}
