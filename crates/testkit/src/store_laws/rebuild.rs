//! Laws of what follows from the logs: it can be forgotten and put back.

use std::time::Duration;

use agent::Version;
use channel::MessageRef;
use store::{Again, Batch, Clock, Error, SendState, Sent, SentQuery, Summary};

use super::{Open, World, address, key, message, settling, texts, thread, turns};

/// What follows from the logs is gone, and nothing else: the threads are asleep in the order of their last events.
pub async fn a_reset_leaves_the_logs_asleep(open: &impl Open) {
    let world = World::new(open).await;
    let names = ["a", "b", "c"].map(thread);
    for name in [&names[1], &names[2], &names[0], &names[1]] {
        world.clock.advance(Duration::from_secs(1));
        world.wake(name, "something").await;
    }
    world.clock.advance(Duration::from_secs(1));
    let empty = thread("without a log");
    world.commit(Batch { keys: vec![key("1")], ..Batch::new(empty.clone()) }).await;
    world.store.put("kept", b"7").await.unwrap();
    assert!(world.store.hold("right", "me", Duration::from_secs(60)).await.unwrap());
    let out = [message(&names[0], "x", "one"), message(&names[0], "y", "two")];
    world.post(&names[0], &[&out[0], &out[1]]).await;
    let sent = world.sends(1).await.remove(0);
    world.settle(&sent, "m1").await;
    // One is held, one set aside, one due.
    let taken = world.turns(2).await;
    world.store.release(&taken[0].1, Again::Bury { why: "poison".to_owned() }).await.unwrap();
    let before = world.store.threads(0, 10).await.unwrap();
    world.clock.advance(Duration::from_secs(5));

    world.store.reset().await.unwrap();

    let after = world.store.threads(0, 10).await.unwrap();
    let asleep: Vec<_> =
        before.into_iter().map(|summary| Summary { due: None, buried: None, ..summary }).collect();
    assert_eq!(after, asleep);
    let order: Vec<_> = after.iter().map(|summary| &summary.thread).collect();
    assert_eq!(order, [&empty, &names[1], &names[0], &names[2]]);
    assert_eq!(world.story(&names[1]).await, ["something", "something"]);
    assert!(world.store.buried(10).await.unwrap().is_empty());
    assert!(world.store.claim(turns(10, Duration::ZERO)).await.unwrap().is_empty());
    for place in ["x", "y"] {
        assert!(world.store.sent(SentQuery::At(address(place))).await.unwrap().is_empty());
    }
    assert!(world.store.sent(SentQuery::Waiting).await.unwrap().is_empty());
    assert!(world.sends(10).await.is_empty());
    let named = SentQuery::Message(address("x").channel, MessageRef::new("m1"));
    assert!(world.store.sent(named).await.unwrap().is_empty());
    // No lease of before counts.
    let fenced = Batch { fence: Some(taken[1].1.clone()), ..Batch::new(taken[1].0.clone()) };
    assert!(matches!(world.store.commit(fenced).await, Err(Error::Fenced { .. })));
    // What does not follow from the logs stays.
    assert_eq!(world.store.get("kept").await.unwrap().as_deref(), Some(b"7".as_slice()));
    assert!(!world.store.hold("right", "you", Duration::from_secs(60)).await.unwrap());
    let again = world.store.commit(Batch { keys: vec![key("1")], ..Batch::new(names[0].clone()) }).await;
    assert!(matches!(again, Err(Error::Duplicate { .. })));
    // And it goes on.
    assert_eq!(world.wake(&names[0], "more").await, Version(2));
    let lease = world.turn().await;
    world.commit(Batch { fence: Some(lease), ..Batch::new(names[0].clone()) }).await;
    assert_eq!(world.store.latest(&names[0].home()).await.unwrap(), Some(names[0].clone()));
    // Once more, where nothing is left to forget.
    world.store.reset().await.unwrap();
    world.store.reset().await.unwrap();
    assert_eq!(world.story(&names[0]).await, ["something", "more"]);
}

/// Messages that are put back are what they were, in their order; one that waits may have been tried.
pub async fn what_is_restored_is_what_it_was(open: &impl Open) {
    let world = World::new(open).await;
    let name = thread("a");
    world.wake(&name, "something").await;
    let out = ["one", "two", "three", "four"].map(|text| message(&name, "x", text));
    world.post(&name, &out.iter().collect::<Vec<_>>()).await;
    let first = world.send().await;
    world.settle(&first, "m1").await;
    let second = world.send().await;
    world.commit(settling(&second, SendState::Dead, None)).await;
    let here = SentQuery::At(address("x"));
    let before = world.store.sent(here.clone()).await.unwrap();
    world.store.reset().await.unwrap();

    world.store.restore(before[..3].to_vec()).await.unwrap();
    // What is there already is left as it is.
    let other = Sent { state: SendState::Sent, ..before[2].clone() };
    world.store.restore(vec![other, before[3].clone()]).await.unwrap();

    assert_eq!(world.store.sent(here).await.unwrap(), before);
    let named = SentQuery::Message(address("x").channel, MessageRef::new("m1"));
    assert_eq!(world.store.sent(named).await.unwrap(), before[..1]);
    assert_eq!(world.store.sent(SentQuery::Waiting).await.unwrap(), before[2..]);
    let third = world.send().await;
    assert_eq!((third.text(), third.attempt, third.since), ("three", 2, world.clock.now()));
    world.settle(&third, "m3").await;
    assert_eq!(texts(&world.sends(10).await), ["four"]);
}

/// Threads with a log are found by it, each once at least.
pub async fn every_log_is_listed(open: &impl Open) {
    let world = World::new(open).await;
    let mut names: Vec<_> = (0..700).map(|n| thread(&n.to_string())).collect();
    for name in &names {
        world.wake(name, "something").await;
    }
    world.commit(Batch::new(thread("without a log"))).await;
    let (mut found, mut next) = (Vec::new(), Some(String::new()));
    while let Some(from) = next {
        let page = world.store.logs(&from).await.unwrap();
        found.extend(page.items);
        next = page.next;
    }
    found.sort();
    found.dedup();
    names.sort();
    assert_eq!(found, names);
}
