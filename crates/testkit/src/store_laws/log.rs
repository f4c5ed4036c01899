//! Laws of the log: versions, keys, refusals, lists, values.

use std::{sync::Arc, time::Duration};

use agent::{Acted, CallId, Event, FORMAT, Heard, Home, Outcome, QuestionId, Record, Seq, ThreadId, Version};
use channel::{InboundKey, MessageRef, Person, Timestamp, Verified};
use serde_json::{Value, json};
use store::{BATCH_MAX, Batch, Clock, Error, Lease, NAME_MAX, SendState, Settle, VALUE_MAX};
use tokio::task::JoinSet;

use super::{Open, World, address, key, message, thread, words};

/// Every event comes back as it went in, in its place, and from any place on.
pub async fn a_log_reads_back_as_it_was_written(open: &impl Open) {
    let world = World::new(open).await;
    let thread = thread("a");
    let records = awkward_records(&world);
    let (first, rest) = records.split_at(2);
    let version = world.commit(Batch { records: first.to_vec(), ..Batch::new(thread.clone()) }).await;
    assert_eq!(version, Version(2));
    let batch = Batch { expect: Some(version), records: rest.to_vec(), ..Batch::new(thread.clone()) };
    let end = world.commit(batch).await;
    assert_eq!(end, Version(records.len() as u64));

    for from in 0..=records.len() {
        let loaded = world.store.load(&thread, Version(from as u64)).await.unwrap();
        assert_eq!(loaded, records[from..], "from {from}");
    }
    assert_eq!(world.store.load(&thread, Version(u64::MAX)).await.unwrap(), []);
}

/// A thread that nobody wrote is empty, and expects nothing.
pub async fn an_unknown_thread_is_empty(open: &impl Open) {
    let world = World::new(open).await;
    let thread = thread("a");
    assert_eq!(world.store.load(&thread, Version(0)).await.unwrap(), []);
    assert_eq!(world.store.latest(&thread.home()).await.unwrap(), None);
    let batch =
        Batch { expect: Some(Version(0)), records: vec![world.record("one")], ..Batch::new(thread.clone()) };
    assert_eq!(world.commit(batch).await, Version(1));
}

/// The first batch makes the thread, whatever is in it.
pub async fn a_batch_without_events_makes_a_thread(open: &impl Open) {
    let world = World::new(open).await;
    let thread = thread("a");
    assert_eq!(world.commit(Batch::new(thread.clone())).await, Version(0));
    assert_eq!(world.store.latest(&thread.home()).await.unwrap(), Some(thread));
    let list = world.store.threads(0, 10).await.unwrap();
    assert_eq!((list.len(), list[0].version, list[0].due), (1, Version(0), None));
}

/// A batch for another version than the thread has is refused whole, and says which version that is.
pub async fn a_conflict_writes_nothing(open: &impl Open) {
    let world = World::new(open).await;
    let thread = thread("a");
    world.commit(Batch { records: vec![world.record("one")], ..Batch::new(thread.clone()) }).await;
    let before = world.picture(&thread).await;
    for wrong in [0, 2, u64::MAX] {
        let batch =
            Batch { expect: Some(Version(wrong)), keys: vec![key("k")], ..full(&world, &thread, "bad") };
        let refusal = world.store.commit(batch).await.unwrap_err();
        assert!(
            matches!(&refusal, Error::Conflict { thread: t, actual: Version(1) } if *t == thread),
            "{refusal:?}"
        );
    }
    assert_eq!(world.picture(&thread).await, before);
    assert_eq!(world.turns(10).await, []);
    let batch = Batch { expect: Some(Version(1)), keys: vec![key("k")], ..full(&world, &thread, "good") };
    assert_eq!(world.commit(batch).await, Version(2));
}

/// Without an expectation a batch is appended to whatever stands there.
pub async fn without_expectation_it_appends(open: &impl Open) {
    let world = World::new(open).await;
    let thread = thread("a");
    for n in 1..=3 {
        let batch = Batch { records: vec![world.record(&n.to_string())], ..Batch::new(thread.clone()) };
        assert_eq!(world.commit(batch).await, Version(n));
    }
    assert_eq!(world.story(&thread).await, ["1", "2", "3"]);
}

/// A batch with a key that was seen is refused whole: events, messages, other keys and the wake.
pub async fn a_seen_key_writes_nothing(open: &impl Open) {
    let world = World::new(open).await;
    let thread = thread("a");
    let first =
        Batch { records: vec![world.record("one")], keys: vec![key("k")], ..Batch::new(thread.clone()) };
    world.commit(first).await;
    let before = world.picture(&thread).await;

    let again = Batch { keys: vec![key("fresh"), key("k")], ..full(&world, &thread, "two") };
    let refusal = world.store.commit(again).await.unwrap_err();
    assert!(matches!(&refusal, Error::Duplicate { key: k } if *k == key("k").as_str()), "{refusal:?}");
    assert_eq!(world.picture(&thread).await, before);
    assert_eq!(world.turns(10).await, [], "a duplicate woke the thread");

    let fresh = Batch { keys: vec![key("fresh")], ..full(&world, &thread, "three") };
    assert_eq!(world.commit(fresh).await, Version(2), "a refused batch kept one of its keys");
}

/// Each key of a batch is remembered, on every thread.
pub async fn every_key_of_several_counts(open: &impl Open) {
    let world = World::new(open).await;
    let (a, b) = (thread("a"), thread("b"));
    let keys = [key("x"), key("y"), key("it's \"odd\" \u{0} é %_")];
    world.commit(Batch { keys: keys.to_vec(), ..Batch::new(a.clone()) }).await;
    for seen in keys {
        for thread in [&a, &b] {
            let batch = Batch { keys: vec![key("other"), seen.clone()], ..Batch::new(thread.clone()) };
            let refusal = world.store.commit(batch).await.unwrap_err();
            assert!(matches!(refusal, Error::Duplicate { .. }), "{seen}: {refusal:?}");
        }
    }
    let similar = Batch { keys: vec![key("X"), key("x "), key("%")], ..Batch::new(b) };
    world.commit(similar).await;
}

/// A channel may name the same gesture twice in one inbound.
pub async fn a_key_named_twice_in_a_batch_is_one_key(open: &impl Open) {
    let world = World::new(open).await;
    world.commit(Batch { keys: vec![key("x"), key("x")], ..Batch::new(thread("a")) }).await;
}

/// A key is not forgotten within thirty days, however many came after it.
pub async fn a_key_is_remembered_for_a_month(open: &impl Open) {
    let world = World::new(open).await;
    let thread = thread("a");
    world.commit(Batch { keys: vec![key("old")], ..Batch::new(thread.clone()) }).await;
    for day in 0..29 {
        world.clock.advance(Duration::from_secs(24 * 60 * 60));
        world.commit(Batch { keys: vec![key(&day.to_string())], ..Batch::new(thread.clone()) }).await;
    }
    let again = Batch { keys: vec![key("old")], ..Batch::new(thread) };
    assert!(matches!(world.store.commit(again).await, Err(Error::Duplicate { .. })));
}

/// Where several refusals apply: a duplicate is told first (it can be acknowledged), then a lost lease (the worker
/// must stop), then a conflict (which asks for another try).
pub async fn refusals_come_in_order(open: &impl Open) {
    let world = World::new(open).await;
    let thread = thread("a");
    world.commit(Batch { keys: vec![key("k")], ..Batch::new(thread.clone()) }).await;
    let lost = Lease { on: thread.as_str().to_owned(), epoch: 7 };
    let mut batch = Batch {
        keys: vec![key("k")],
        fence: Some(lost.clone()),
        expect: Some(Version(9)),
        ..Batch::new(thread.clone())
    };
    assert!(matches!(world.store.commit(batch.clone()).await, Err(Error::Duplicate { .. })));
    batch.keys.clear();
    assert!(matches!(world.store.commit(batch.clone()).await, Err(Error::Fenced { .. })));
    batch.fence = None;
    let no_message = Lease { on: "no.such.message".to_owned(), epoch: 1 };
    batch.settle = Some(Settle { lease: no_message, state: SendState::Sent, message: None });
    assert!(matches!(world.store.commit(batch.clone()).await, Err(Error::Fenced { .. })));
    batch.settle = None;
    assert!(matches!(world.store.commit(batch).await, Err(Error::Conflict { .. })));
}

/// A log with an event of a newer build stops at that event and says which it is; no other thread is touched.
pub async fn a_newer_format_stops_the_reader(open: &impl Open) {
    let world = World::new(open).await;
    let (a, b) = (thread("a"), thread("b"));
    let newer = Record { v: FORMAT + 1, ..world.record("newer") };
    let records = vec![world.record("one"), newer, world.record("three")];
    world.commit(Batch { records, ..Batch::new(a.clone()) }).await;
    world.wake(&b, "two").await;

    for from in [0, 1] {
        match world.store.load(&a, Version(from)).await {
            Err(Error::Unreadable { thread, seq, why }) => {
                assert_eq!((thread, seq), (a.clone(), 1));
                assert!(!why.is_empty());
            }
            other => panic!("from {from}: {other:?}"),
        }
    }
    assert_eq!(world.story(&b).await, ["two"]);
    assert_eq!(world.store.threads(0, 10).await.unwrap().len(), 2);
}

/// What the reader would refuse is not written: the thread could never be loaded again.
pub async fn what_would_not_read_back_is_refused(open: &impl Open) {
    let world = World::new(open).await;
    let thread = thread("a");
    let deep = (0..200).fold(Value::Null, |inner, _| json!([inner]));
    let acted = Acted { call: CallId(Seq(0)), outcome: Outcome::Done(deep), ms: 1, files: Vec::new() };
    let record = Record::new(world.clock.now(), Event::Acted(acted));
    let batch = Batch { records: vec![record], ..full(&world, &thread, "beside") };
    assert!(matches!(world.store.commit(batch).await, Err(Error::Refused { .. })));
    assert_eq!(world.story(&thread).await, Vec::<String>::new());
}

/// Batches and values have a largest size, and what is above it is refused for good.
pub async fn what_is_too_large_is_refused(open: &impl Open) {
    let world = World::new(open).await;
    let thread = thread("a");
    let half = "x".repeat(BATCH_MAX / 2);
    let records = vec![world.record(&half), world.record(&half)];
    let refusal = world.store.commit(Batch { records, ..Batch::new(thread.clone()) }).await.unwrap_err();
    assert!(matches!(refusal, Error::Refused { .. }));
    assert!(refusal.to_string().len() < 1000, "the error repeats the batch");
    assert_eq!(world.story(&thread).await, Vec::<String>::new());

    let large = vec![0; VALUE_MAX + 1];
    assert!(matches!(world.store.put("large", &large).await, Err(Error::Refused { .. })));
    assert_eq!(world.store.get("large").await.unwrap(), None);
    let named = world.store.put(&"x".repeat(NAME_MAX + 1), b"").await;
    assert!(matches!(named, Err(Error::Refused { .. })));
}

/// Of those who expect the same version at the same time, exactly one is written.
pub async fn one_appender_wins_each_version(open: &impl Open) {
    const APPENDERS: u64 = 8;
    const EACH: u64 = 5;
    let world = World::new(open).await;
    let thread = thread("a");
    let mut appenders = JoinSet::new();
    for name in 0..APPENDERS {
        let (store, thread, record) =
            (Arc::clone(&world.store), thread.clone(), world.record(&name.to_string()));
        appenders.spawn(async move {
            let mut won = Vec::new();
            let mut expect = Version(0);
            while (won.len() as u64) < EACH {
                let batch = Batch {
                    expect: Some(expect),
                    records: vec![record.clone()],
                    ..Batch::new(thread.clone())
                };
                match store.commit(batch).await {
                    Ok(version) => {
                        assert_eq!(version, Version(expect.0 + 1));
                        won.push((expect, words(&record)));
                        expect = version;
                    }
                    Err(Error::Conflict { actual, .. }) => {
                        assert!(actual > expect, "a conflict with the expected version");
                        expect = actual;
                    }
                    Err(other) => panic!("{other}"),
                }
            }
            won
        });
    }
    let mut won: Vec<_> = appenders.join_all().await.into_iter().flatten().collect();
    won.sort();
    let story = world.story(&thread).await;
    assert_eq!(story.len() as u64, APPENDERS * EACH);
    let told: Vec<_> = (0..).map(Version).zip(story).collect();
    assert_eq!(won, told, "who was told to have won each version, and who stands there");
}

/// Threads do not stand in each other's way.
pub async fn many_threads_are_written_at_once(open: &impl Open) {
    let world = World::new(open).await;
    let mut writers = JoinSet::new();
    for n in 0..40 {
        let (store, record) = (Arc::clone(&world.store), world.record(&n.to_string()));
        writers.spawn(async move {
            let thread = thread(&n.to_string());
            for version in 0..5 {
                let batch = Batch {
                    expect: Some(Version(version)),
                    records: vec![record.clone()],
                    keys: vec![key(&format!("{n}.{version}"))],
                    ..Batch::new(thread.clone())
                };
                assert_eq!(store.commit(batch).await.unwrap(), Version(version + 1));
            }
        });
    }
    writers.join_all().await;
    for n in 0..40 {
        assert_eq!(world.story(&thread(&n.to_string())).await, vec![n.to_string(); 5]);
    }
}

/// A message that is delivered many times at once is written once.
pub async fn one_of_many_takes_a_key(open: &impl Open) {
    let world = World::new(open).await;
    let thread = thread("a");
    let mut writers = JoinSet::new();
    for n in 0..16 {
        let (store, record, thread) =
            (Arc::clone(&world.store), world.record(&n.to_string()), thread.clone());
        let keys: Vec<InboundKey> = vec![key(&format!("own {n}")), key("shared")];
        writers.spawn(async move {
            match store.commit(Batch { records: vec![record], keys, ..Batch::new(thread) }).await {
                Ok(_) => true,
                Err(Error::Duplicate { .. }) => false,
                Err(other) => panic!("{other}"),
            }
        });
    }
    let taken = writers.join_all().await.into_iter().filter(|taken| *taken).count();
    assert_eq!((taken, world.story(&thread).await.len()), (1, 1));
}

/// The youngest thread at a home is the one of the highest generation, counted as a number, whenever it was written.
pub async fn the_latest_thread_has_the_highest_generation(open: &impl Open) {
    let world = World::new(open).await;
    let (here, there) = (Home::of(&address("here")), Home::of(&address("there")));
    for generation in [2, 10, 9, 1] {
        world.wake(&ThreadId::new(&here, generation), "here").await;
    }
    world.wake(&ThreadId::new(&there, 77), "there").await;
    assert_eq!(world.store.latest(&here).await.unwrap(), Some(ThreadId::new(&here, 10)));
    assert_eq!(world.store.latest(&there).await.unwrap(), Some(ThreadId::new(&there, 77)));
    assert_eq!(world.store.latest(&Home::of(&address("nowhere"))).await.unwrap(), None);
}

/// Threads are listed as they were last written, also within one instant, and in pages.
pub async fn the_last_written_thread_is_listed_first(open: &impl Open) {
    let world = World::new(open).await;
    for name in ["a", "b", "c", "d"] {
        world.wake(&thread(name), name).await;
    }
    world.clock.advance(Duration::from_secs(5));
    let version = world.wake(&thread("b"), "again").await;

    let list = world.store.threads(0, 10).await.unwrap();
    let order: Vec<_> = list.iter().map(|summary| summary.thread.clone()).collect();
    assert_eq!(order, ["b", "d", "c", "a"].map(thread));
    assert_eq!((list[0].version, list[0].updated), (version, world.clock.now()));
    assert_eq!(list[3].version, Version(1));

    let page: Vec<_> = world.store.threads(1, 2).await.unwrap();
    assert_eq!(page, list[1..3]);
    assert_eq!(world.store.threads(4, 10).await.unwrap(), []);
    assert_eq!(world.store.threads(0, 0).await.unwrap(), []);
}

/// A value is read as it was kept last.
pub async fn a_value_is_kept_until_it_is_replaced(open: &impl Open) {
    let world = World::new(open).await;
    assert_eq!(world.store.get("cursor").await.unwrap(), None);
    let bytes: Vec<u8> = (0..=255).collect();
    world.store.put("cursor", &bytes).await.unwrap();
    world.store.put("other", b"").await.unwrap();
    assert_eq!(world.store.get("cursor").await.unwrap(), Some(bytes));
    assert_eq!(world.store.get("other").await.unwrap(), Some(Vec::new()));
    world.store.put("cursor", b"2").await.unwrap();
    assert_eq!(world.store.get("cursor").await.unwrap().as_deref(), Some(&b"2"[..]));
    assert_eq!(world.store.get("curso").await.unwrap(), None);
}

/// Of many who keep something once under a name, the first does, and each is told whether it was theirs, also when they ask again.
pub async fn of_many_who_keep_a_value_once_one_does(open: &impl Open) {
    let world = World::new(open).await;
    let mut asking = JoinSet::new();
    for n in 0..16 {
        let store = world.store.clone();
        asking.spawn(async move { (n, store.put_once("seal", n.to_string().as_bytes()).await.unwrap()) });
    }
    let answers = asking.join_all().await;
    let kept = world.store.get("seal").await.unwrap().unwrap();
    for (n, told) in answers {
        let theirs = n.to_string().into_bytes() == kept;
        assert_eq!(told, theirs, "{n} of {kept:?}");
        assert_eq!(world.store.put_once("seal", n.to_string().as_bytes()).await.unwrap(), theirs);
    }
    assert_eq!(world.store.get("seal").await.unwrap(), Some(kept));
    assert!(world.store.put_once("empty", b"").await.unwrap());
    assert!(!world.store.put_once("empty", b"x").await.unwrap());
    for (name, value) in
        [("large".to_owned(), vec![0; VALUE_MAX + 1]), ("n".repeat(NAME_MAX + 1), Vec::new())]
    {
        let refused = world.store.put_once(&name, &value).await;
        assert!(matches!(refused, Err(Error::Refused { .. })), "{refused:?}");
    }
    // What was kept otherwise counts, too.
    world.store.put("cursor", b"1").await.unwrap();
    assert!(!world.store.put_once("cursor", b"2").await.unwrap());
}

/// A batch that changes all that a batch can.
fn full(world: &World, thread: &ThreadId, what: &str) -> Batch {
    Batch {
        records: vec![world.record(what)],
        outgoing: vec![message(thread, "a", what)],
        wake: true,
        ..Batch::new(thread.clone())
    }
}

/// Events whose JSON is easily got wrong: fields named like a record's own, numbers at their ends, odd text.
fn awkward_records(world: &World) -> Vec<Record> {
    let person = Person {
        channel: address("a").channel,
        id: "ana@example.org".to_owned(),
        name: "Ana \u{202e}\u{0}\"\\ \u{1f980}".to_owned(),
        verified: Verified::Proven { by: "a test".to_owned() },
        roles: Vec::new(),
    };
    let heard = Heard {
        from: person,
        message: Some(MessageRef::new("<1@example.org>")),
        sent: Timestamp::MIN,
        text: "yes?\r\n".to_owned(),
        original: None,
        files: Vec::new(),
    };
    let result = json!({
        "b": [0.1, 1e300, -0.0, 1.797_693_134_862_315_7e308, 0.300_000_000_000_000_04],
        "a": [u64::MAX, i64::MIN, null, {}, [], ""],
        "v": 7, "at": "never", "event": "heard",
    });
    let acted = Acted { call: CallId(Seq(2)), outcome: Outcome::Done(result), ms: 0, files: Vec::new() };
    let lapsed = Event::Lapsed { question: QuestionId(Seq(u64::MAX)) };
    let now = world.clock.now();
    let odd_time = now.checked_add(Duration::from_nanos(1)).unwrap();
    vec![
        Record::new(now, Event::Heard(heard)),
        Record::new(odd_time, Event::Acted(acted)),
        Record::new(now, lapsed),
        Record::new(now, Event::Finished),
    ]
}

/// Every kept value and every remembered inbound stands in the pages, however many there are.
pub async fn what_is_kept_beside_threads_can_be_listed(open: &impl Open) {
    let world = World::new(open).await;
    let mut wanted = std::collections::BTreeSet::new();
    for n in 0..1_203 {
        world.store.put(&format!("value/{n}"), b"x").await.unwrap();
        wanted.insert(format!("value/{n}"));
    }
    let keys = (0..1_100).map(|n| key(&n.to_string())).collect();
    world.commit(Batch { keys, ..Batch::new(thread("a")) }).await;
    let (mut found, mut next) = (std::collections::BTreeSet::new(), Some(String::new()));
    while let Some(from) = next {
        let page = world.store.values(&from).await.unwrap();
        found.extend(page.items);
        next = page.next;
    }
    assert!(found == wanted, "{} of {}", found.len(), wanted.len());
    let (mut found, mut next) = (std::collections::BTreeSet::new(), Some(String::new()));
    while let Some(from) = next {
        let page = world.store.keys(&from).await.unwrap();
        assert!(page.items.iter().all(|(_, of)| *of == thread("a")));
        found.extend(page.items.into_iter().map(|(key, _)| key.as_str().to_owned()));
        next = page.next;
    }
    assert_eq!(found.len(), 1_100);
}
