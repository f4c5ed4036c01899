//! Laws of taking threads away: whole or not at all, only at rest, and never to come again under the same name.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use agent::{Home, ThreadId, Version};
use channel::{DeliveryKey, MessageRef, Outgoing};
use store::{Again, Batch, Clock, Error, SendState, SentQuery, Store};
use tokio::task::JoinSet;

use super::{Open, World, address, key, message, settling, texts, thread};

/// The log is gone and the thread is in no list; its messages are gone under each of their names, and those of others stay.
pub async fn a_retired_thread_is_gone_with_its_messages(open: &impl Open) {
    let world = World::new(open).await;
    let (ours, theirs) = (thread("a"), thread("b"));
    let sent = [message(&ours, "x", "one"), message(&theirs, "x", "two"), message(&ours, "x", "three")];
    for (n, outgoing) in sent.iter().enumerate() {
        let records = vec![world.record("said")];
        let of = if n == 1 { &theirs } else { &ours };
        world.commit(Batch { records, outgoing: vec![outgoing.clone()], ..Batch::new(of.clone()) }).await;
        let taken = world.send().await;
        let state = if n == 2 { SendState::Dead } else { SendState::Sent };
        // The platform calls two of them the same.
        world.commit(settling(&taken, state, (n < 2).then_some("m"))).await;
    }
    world.retire(&ours, 2, &sent).await.unwrap();

    assert_eq!(world.story(&ours).await, Vec::<String>::new());
    assert_eq!(world.story(&theirs).await, ["said"]);
    for list in [world.store.threads(0, 10).await.unwrap(), world.store.oldest(0, 10).await.unwrap()] {
        assert_eq!(list.iter().map(|summary| &summary.thread).collect::<Vec<_>>(), [&theirs]);
    }
    for outgoing in &sent {
        let stays = outgoing.key == sent[1].key;
        assert_eq!(world.by_key(outgoing).await.is_some(), stays, "{}", outgoing.key);
    }
    let named = SentQuery::Message(address("x").channel, MessageRef::new("m"));
    for query in [SentQuery::At(address("x")), named] {
        let found = world.store.sent(query).await.unwrap();
        assert_eq!(found.iter().map(|sent| &sent.outgoing.key).collect::<Vec<_>>(), [&sent[1].key]);
    }
    // The place goes on.
    world.post(&theirs, &[&message(&theirs, "x", "four"), &message(&theirs, "x", "five")]).await;
    assert_eq!(texts(&world.sends(10).await), ["four"]);
}

/// What somebody works on or waits for stays, whole: a thread that is due, held, asleep until a time, set aside, and one with
/// a message that waits or is being sent.
pub async fn what_is_not_at_rest_is_not_retired(open: &impl Open) {
    let world = World::new(open).await;
    let ours = thread("a");
    let refused = async |why: &str| {
        let before = world.picture(&ours).await;
        let events = world.story(&ours).await.len();
        let refusal = world.retire(&ours, events, &[message(&ours, "x", "one")]).await;
        assert!(
            matches!(&refusal, Err(Error::NotAtRest { thread, .. }) if *thread == ours),
            "{why}: {refusal:?}"
        );
        assert_eq!(world.picture(&ours).await, before, "{why}");
    };
    world.wake(&ours, "one").await;
    refused("it is due").await;
    let lease = world.turn().await;
    refused("a worker has it").await;
    world.clock.advance(super::AFTER_TTL);
    refused("its lease has expired, and counts still").await;
    let until = world.clock.now().checked_add(Duration::from_secs(86_400)).unwrap();
    let again = Again::Sleep { seen: Version(1), until: Some(until) };
    world.store.release(&lease, again).await.unwrap();
    refused("it has a deadline").await;
    world.clock.advance(Duration::from_secs(86_400));
    refused("its deadline is over").await;
    let lease = world.turn().await;
    world.store.release(&lease, Again::Bury { why: "poison".to_owned() }).await.unwrap();
    refused("it was set aside").await;
    world.commit(Batch { wake: true, ..Batch::new(ours.clone()) }).await;
    let lease = world.turn().await;
    world.sleep(&lease, Version(1)).await;
    world.post(&ours, &[&message(&ours, "x", "one")]).await;
    refused("a message waits").await;
    let taken = world.send().await;
    refused("a message is being sent").await;
    world.settle(&taken, "m1").await;

    world.retire(&ours, 1, &[message(&ours, "x", "one")]).await.unwrap();
    assert_eq!(world.store.threads(0, 10).await.unwrap(), []);
    assert_eq!(world.by_key(&message(&ours, "x", "one")).await, None);
}

/// A thread that has changed since it was read stays; one that is not there is no other version's.
pub async fn a_thread_at_another_version_is_not_retired(open: &impl Open) {
    let world = World::new(open).await;
    let ours = thread("a");
    let conflicts = async |version: usize, wanted: u64| {
        let refusal = world.retire(&ours, version, &[]).await;
        assert!(
            matches!(refusal, Err(Error::Conflict { actual: Version(n), .. }) if n == wanted),
            "{refusal:?}"
        );
    };
    conflicts(0, 0).await;
    conflicts(1, 0).await;
    world.commit(Batch { records: vec![world.record("one")], ..Batch::new(ours.clone()) }).await;
    conflicts(0, 1).await;
    conflicts(2, 1).await;
    assert_eq!(world.story(&ours).await, ["one"]);
    world.retire(&ours, 1, &[]).await.unwrap();
    conflicts(1, 0).await;
    assert_eq!(world.story(&ours).await, Vec::<String>::new());
}

/// Its home remembers it: it stays the latest there, nothing is written to it or to one before it that is not there, and the
/// next one begins. One before it that is still there goes on.
pub async fn a_retired_thread_never_comes_again(open: &impl Open) {
    let world = World::new(open).await;
    let home = Home::of(&address("a"));
    let [first, second, third, fourth] = [1, 2, 3, 4].map(|n| ThreadId::new(&home, n));
    for of in [&first, &third] {
        world.commit(Batch { records: vec![world.record("one")], ..Batch::new(of.clone()) }).await;
    }
    world.retire(&third, 1, &[]).await.unwrap();
    assert_eq!(world.store.latest(&home).await.unwrap(), Some(third.clone()));
    for gone in [&third, &second] {
        for expect in [None, Some(Version(0)), Some(Version(1))] {
            let batch = Batch {
                expect,
                records: vec![world.record("two")],
                keys: vec![key("k")],
                outgoing: vec![message(gone, "x", "two")],
                wake: true,
                ..Batch::new(gone.clone())
            };
            let refusal = world.store.commit(batch).await;
            assert!(
                matches!(refusal, Err(Error::Conflict { actual: Version(0), .. })),
                "{gone} {expect:?}: {refusal:?}"
            );
        }
    }
    assert_eq!(world.turns(10).await, []);
    assert_eq!(world.store.threads(0, 10).await.unwrap().len(), 1);
    // The refused batches took no key.
    let batch = Batch {
        expect: Some(Version(0)),
        records: vec![world.record("one")],
        keys: vec![key("k")],
        ..Batch::new(fourth.clone())
    };
    assert_eq!(world.commit(batch).await, Version(1));
    assert_eq!(world.store.latest(&home).await.unwrap(), Some(fourth.clone()));
    assert_eq!(world.wake(&first, "two").await, Version(2));
    let lease = world.turn().await;
    world.sleep(&lease, Version(2)).await;
    // One that goes later and is older takes nothing back.
    world.retire(&first, 2, &[]).await.unwrap();
    assert!(matches!(world.store.commit(Batch::new(third.clone())).await, Err(Error::Conflict { .. })));
    world.retire(&fourth, 1, &[]).await.unwrap();
    assert_eq!(world.store.latest(&home).await.unwrap(), Some(fourth));
    assert_eq!(retired(&world.store).await, BTreeSet::from([ThreadId::new(&home, 4)]));
}

/// What comes in twice is known still when its thread is gone.
pub async fn the_names_of_a_retired_thread_s_inbounds_stay(open: &impl Open) {
    let world = World::new(open).await;
    let ours = thread("a");
    world.commit(Batch { keys: vec![key("k")], ..Batch::new(ours.clone()) }).await;
    world.retire(&ours, 0, &[]).await.unwrap();
    let next = ThreadId::new(&ours.home(), 2);
    let again = world.store.commit(Batch { keys: vec![key("k")], ..Batch::new(next) }).await;
    assert!(matches!(again, Err(Error::Duplicate { .. })), "{again:?}");
    let (mut found, mut next) = (Vec::new(), Some(String::new()));
    while let Some(from) = next {
        let page = world.store.keys(&from).await.unwrap();
        found.extend(page.items);
        next = page.next;
    }
    assert_eq!(found, [(key("k"), ours)]);
}

/// Of many who take the same thread away one does, and a batch for the version that they saw is written before or refused.
pub async fn one_of_many_retires_a_thread(open: &impl Open) {
    let world = World::new(open).await;
    for round in 0..8 {
        let ours = thread(&round.to_string());
        world.commit(Batch { records: vec![world.record("one")], ..Batch::new(ours.clone()) }).await;
        let mut tasks = JoinSet::new();
        for n in 0..8 {
            let (store, ours, record) = (Arc::clone(&world.store), ours.clone(), world.record("two"));
            tasks.spawn(async move {
                let batch =
                    Batch { expect: Some(Version(1)), records: vec![record], ..Batch::new(ours.clone()) };
                let done = match n {
                    7 => store.commit(batch).await.map(drop),
                    _ => store.retire(&ours, Version(1), &[]).await,
                };
                assert!(matches!(done, Ok(()) | Err(Error::Conflict { .. })), "{done:?}");
                (n, done.is_ok())
            });
        }
        let done: Vec<_> =
            tasks.join_all().await.into_iter().filter_map(|(n, done)| done.then_some(n)).collect();
        assert_eq!(done.len(), 1, "{done:?}");
        let wanted: &[&str] = if done == [7] { &["one", "two"] } else { &[] };
        assert_eq!(world.story(&ours).await, wanted);
    }
}

/// From its other end the list of threads is the same list, in pages, and closes up when one goes.
pub async fn the_thread_written_longest_ago_is_the_oldest(open: &impl Open) {
    let world = World::new(open).await;
    for name in ["a", "b", "c", "d"] {
        world.commit(Batch { records: vec![world.record(name)], ..Batch::new(thread(name)) }).await;
    }
    world.clock.advance(Duration::from_secs(5));
    world.commit(Batch { records: vec![world.record("again")], ..Batch::new(thread("b")) }).await;
    let oldest = async |skip, limit| world.store.oldest(skip, limit).await.unwrap();
    let mut turned = world.store.threads(0, 10).await.unwrap();
    turned.reverse();
    let list = oldest(0, 10).await;
    assert_eq!(list, turned);
    assert_eq!(
        list.iter().map(|summary| summary.thread.clone()).collect::<Vec<_>>(),
        ["a", "c", "d", "b"].map(thread)
    );
    assert_eq!(oldest(1, 2).await, list[1..3]);
    assert_eq!((oldest(4, 10).await, oldest(0, 0).await), (Vec::new(), Vec::new()));
    world.retire(&thread("a"), 1, &[]).await.unwrap();
    assert_eq!(oldest(0, 2).await, list[1..3]);
}

/// The youngest that was retired at each home stands in the pages, however many there are.
pub async fn what_was_retired_can_be_listed(open: &impl Open) {
    let world = World::new(open).await;
    assert_eq!(retired(&world.store).await, BTreeSet::new());
    let (mut wanted, mut tasks) = (BTreeSet::new(), JoinSet::new());
    for n in 0..603_u32 {
        let gone = ThreadId::new(&Home::of(&address(&n.to_string())), n % 12 + 1);
        wanted.insert(gone.clone());
        let store = Arc::clone(&world.store);
        tasks.spawn(async move {
            store.commit(Batch::new(gone.clone())).await.unwrap();
            store.retire(&gone, Version(0), &[]).await.unwrap();
        });
    }
    tasks.join_all().await;
    let found = retired(&world.store).await;
    assert!(found == wanted, "{} of {}", found.len(), wanted.len());
    assert_eq!(world.store.threads(0, 10).await.unwrap(), []);
}

impl World {
    /// Takes a thread away that has so many events and these messages.
    async fn retire(&self, thread: &ThreadId, events: usize, messages: &[Outgoing]) -> Result<(), Error> {
        // Names of others, and of messages that never were, are taken for what they are.
        let mut names: Vec<DeliveryKey> = messages.iter().map(|message| message.key.clone()).collect();
        names.push(thread.delivery(agent::Seq(99), 0));
        self.store.retire(thread, Version(events as u64), &names).await
    }
}

/// All that is remembered of retired threads.
pub(super) async fn retired(store: &Arc<dyn Store>) -> BTreeSet<ThreadId> {
    let (mut found, mut next) = (BTreeSet::new(), Some(String::new()));
    while let Some(from) = next {
        let page = store.retired(&from).await.unwrap();
        found.extend(page.items);
        next = page.next;
    }
    found
}
