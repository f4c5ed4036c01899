//! Laws of moving from one store to another, with what is in flight.

use std::{sync::Arc, time::Duration};

use agent::{Event, Home, Record, ThreadId, Version};
use store::{Again, Batch, Clock, Error, SendState, SentQuery, Store, migrate};

use super::{Open, World, address, key, message, settling, texts, thread};
use crate::MemoryStore;

/// A life in a store: finished and open threads, one that a worker has, one that was set aside, messages sent, dead, waiting and
/// being sent, values and keys. Moved into the reference and back, all is there, and goes on.
pub async fn everything_arrives_in_another_store_and_comes_back(open: &impl Open) {
    let world = World::new(open).await;
    let names = ["a", "b", "c", "d"].map(thread);
    for (n, name) in names.iter().enumerate() {
        let records = (0..=n * 700).map(|m| world.record(&format!("{n}.{m}"))).collect();
        world.commit(Batch { records, keys: vec![key(&n.to_string())], ..Batch::new(name.clone()) }).await;
    }
    // Set aside.
    world.wake(&names[0], "poison").await;
    let lease = world.turn().await;
    world.store.release(&lease, Again::Bury { why: "it cannot be read".to_owned() }).await.unwrap();
    // A worker has it, and will never end.
    world.wake(&names[1], "work").await;
    world.turn().await;
    // One was sent, one given up, one is being sent, and two stand behind it.
    let texts_of = ["one", "two", "three", "four", "five"];
    let sent = texts_of.map(|text| message(&names[2], "x", text));
    world.post(&names[2], &sent.iter().collect::<Vec<_>>()).await;
    for (state, name) in [(SendState::Sent, Some("m1")), (SendState::Dead, None)] {
        let taken = world.send().await;
        let told = match state {
            SendState::Sent => Event::Delivered { key: taken.outgoing.key.clone(), message: None },
            SendState::Dead | SendState::Waiting => {
                Event::Undelivered { key: Some(taken.outgoing.key.clone()), why: "gone".to_owned() }
            }
        };
        let records = vec![Record::new(world.clock.now(), told)];
        world.commit(Batch { records, ..settling(&taken, state, name) }).await;
    }
    assert_eq!(world.send().await.text(), "three");
    world.store.put("cursor", b"7").await.unwrap();

    let other: Arc<dyn Store> = Arc::new(MemoryStore::new(Arc::new(world.clock.clone())));
    let there = migrate(world.store.as_ref(), other.as_ref()).await.unwrap();
    assert_eq!((there.threads, there.settled, there.waiting, there.keys, there.values), (4, 2, 3, 4, 1));
    let back = World::new(open).await;
    let again = migrate(other.as_ref(), back.store.as_ref()).await.unwrap();
    assert_eq!(again, there);

    for name in &names {
        assert_eq!(back.story(name).await, world.story(name).await);
    }
    let (ours, theirs) = (SentQuery::At(address("x")), SentQuery::At(address("x")));
    let show = |list: Vec<store::Sent>| -> Vec<_> {
        list.into_iter().map(|sent| (sent.outgoing, sent.state, sent.message)).collect()
    };
    assert_eq!(
        show(back.store.sent(ours).await.unwrap()),
        show(world.store.sent(theirs).await.unwrap()),
        "messages, their order and what became of them"
    );
    assert_eq!(back.store.get("cursor").await.unwrap().as_deref(), Some(b"7".as_slice()));
    let taken_before = back.store.commit(Batch { keys: vec![key("1")], ..Batch::new(thread("z")) }).await;
    assert!(matches!(taken_before, Err(Error::Duplicate { .. })), "{taken_before:?}");
    // It goes on: the work of the lost worker is due, what was set aside is not, the message that was being sent comes first and
    // is no first attempt.
    back.clock.set(world.clock.now());
    let due: Vec<_> = back.turns(10).await.into_iter().map(|(thread, _)| thread).collect();
    assert_eq!(due, [names[1].clone()]);
    let buried = back.store.buried(10).await.unwrap();
    assert_eq!((buried.len(), buried[0].buried.as_deref()), (1, Some("it cannot be read")));
    back.clock.advance(Duration::from_secs(1));
    let next = back.send().await;
    assert_eq!((next.text(), next.attempt > 1), ("three", true));
    back.settle(&next, "m3").await;
    assert_eq!(texts(&back.sends(10).await), ["four"]);
}

/// A home knows its retired threads wherever it moves: with names of their inbounds or without, and beside one that is older and
/// still there.
pub async fn what_was_retired_is_not_begun_anew_elsewhere(open: &impl Open) {
    let world = World::new(open).await;
    let at = |place: &str, generation| ThreadId::new(&Home::of(&address(place)), generation);
    let gone = [at("a", 1), at("a", 10), at("b", 7), at("c", 2)];
    world.commit(Batch { records: vec![world.record("stays")], ..Batch::new(at("c", 1)) }).await;
    for (n, thread) in gone.iter().enumerate() {
        // Those at `b` and the older one at `a` have names that are remembered.
        let keys = if [0, 2].contains(&n) { vec![key(&n.to_string())] } else { Vec::new() };
        world.commit(Batch { records: vec![world.record("goes")], keys, ..Batch::new(thread.clone()) }).await;
        world.store.retire(thread, Version(1), &[]).await.unwrap();
    }
    let other: Arc<dyn Store> = Arc::new(MemoryStore::new(Arc::new(world.clock.clone())));
    let there = migrate(world.store.as_ref(), other.as_ref()).await.unwrap();
    assert_eq!((there.threads, there.events, there.keys), (1, 1, 2));
    let back = World::new(open).await;
    assert_eq!(migrate(other.as_ref(), back.store.as_ref()).await.unwrap(), there);

    for store in [&other, &back.store] {
        let threads = store.threads(0, 10).await.unwrap();
        assert_eq!(threads.iter().map(|summary| &summary.thread).collect::<Vec<_>>(), [&at("c", 1)]);
        for (place, youngest) in [("a", 10), ("b", 7), ("c", 2)] {
            let home = Home::of(&address(place));
            assert_eq!(store.latest(&home).await.unwrap(), Some(at(place, youngest)));
            let anew = store.commit(Batch::new(at(place, youngest))).await;
            assert!(matches!(anew, Err(Error::Conflict { .. })), "{anew:?}");
            store.commit(Batch::new(at(place, youngest + 1))).await.unwrap();
        }
        let taken = store.commit(Batch { keys: vec![key("2")], ..Batch::new(thread("z")) }).await;
        assert!(matches!(taken, Err(Error::Duplicate { .. })), "{taken:?}");
    }
    // A store in which all that is left of threads is that they were there is not empty.
    let bare = MemoryStore::new(Arc::new(world.clock.clone()));
    bare.commit(Batch::new(at("a", 1))).await.unwrap();
    bare.retire(&at("a", 1), Version(0), &[]).await.unwrap();
    let refused = migrate(world.store.as_ref(), &bare).await;
    assert!(matches!(&refused, Err(Error::Refused { why }) if why.contains("not empty")), "{refused:?}");
}

/// What is there already is never mixed with what comes.
pub async fn a_store_that_is_not_empty_is_not_moved_into(open: &impl Open) {
    let world = World::new(open).await;
    world.wake(&thread("a"), "one").await;
    let full = MemoryStore::new(Arc::new(world.clock.clone()));
    full.put("ticket-key", b"x").await.unwrap();
    let refused = migrate(&full, world.store.as_ref()).await;
    assert!(matches!(&refused, Err(Error::Refused { why }) if why.contains("not empty")), "{refused:?}");
    let refused = migrate(world.store.as_ref(), &full).await;
    assert!(matches!(refused, Err(Error::Refused { .. })));
    assert_eq!(world.store.load(&thread("a"), Version(0)).await.unwrap().len(), 1);
}
