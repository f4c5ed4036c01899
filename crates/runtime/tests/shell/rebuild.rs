//! What follows from the logs, compared with them and made again.

use std::collections::BTreeMap;

use agent::ThreadId;
use channel::{Error, Inbox, MessageRef, Receipt};
use store::{Again, SendState, Sent, SentQuery, Store};
use testkit::doubles::Play;

use crate::world::{World, act, address, count, finish, id, question, until};

/// All messages by their places, as far as the log tells of them.
async fn outbox(world: &World) -> BTreeMap<String, Vec<(Sent, Option<String>)>> {
    let mut all = BTreeMap::new();
    for (channel, place) in [("chat", "p"), ("chat", "q"), ("chat", "r"), ("chat", "s"), ("mail", "ana@corp")]
    {
        let sent = world.embedded.sent(SentQuery::At(address(channel, place))).await.unwrap();
        let sent = sent.into_iter().map(|sent| (Sent { error: None, ..sent }, None)).collect();
        all.insert(format!("{channel} {place}"), sent);
    }
    all
}

async fn due(world: &World) -> Vec<ThreadId> {
    let threads = world.embedded.threads(0, 100).await.unwrap();
    let mut due: Vec<_> = threads.iter().filter(|t| t.due.is_some()).map(|t| t.thread.clone()).collect();
    due.sort();
    due
}

/// One conversation is over, one waits for an approval, in one a message was given up, in one a message waits, in one nobody has
/// begun to think. All that follows from their logs is deleted, and is there again; and they go on.
#[tokio::test]
async fn what_follows_from_the_logs_is_made_again_from_them() {
    let world = World::new();
    let serving = world.serve();
    world.model.thinks(&act("lookup"));
    world.model.thinks(&finish("it is there"));
    world.say("p", "look").await;
    world.finished("p").await;
    world.model.thinks(&act("deploy"));
    world.say("q", "deploy").await;
    world.until("q", |thread| count(thread, "delivered") == 2).await;
    world.chat.fails(Error::refused("no such place"));
    world.model.thinks(&finish("nobody hears this"));
    world.say("r", "hello").await;
    world.until("r", |thread| count(thread, "undelivered") == 1).await;
    world.chat.always(|_| Play::gives(Err(Error::retry("too many"))));
    world.model.thinks(&finish("later"));
    world.say("s", "hello?").await;
    world.until("s", |thread| count(thread, "finished") == 1).await;
    until("a try", || world.chat.sent().iter().any(|sending| sending.text() == "later")).await;
    assert!(serving.stop().await);
    world.say("t", "is somebody there?").await;

    let board = world.board();
    let before = outbox(&world).await;
    let states: Vec<_> = before.values().flatten().map(|(sent, _)| sent.state).collect();
    assert_eq!(
        [SendState::Sent, SendState::Dead, SendState::Waiting]
            .map(|state| states.iter().filter(|s| **s == state).count()),
        [3, 1, 1]
    );
    let clean = board.verify().await.unwrap();
    assert_eq!((clean.threads, clean.messages, clean.faults.as_slice()), (5, 5, [].as_slice()));

    world.embedded.reset().await.unwrap();
    assert!(outbox(&world).await.values().all(Vec::is_empty));
    let faults = board.verify().await.unwrap().faults;
    let missing = faults.iter().filter(|fault| fault.contains("is not in the outbox")).count();
    let asleep =
        faults.iter().filter(|fault| fault.contains("nobody would look") || fault.contains("a deadline"));
    // What was given up needs no place in the outbox.
    assert_eq!((missing, asleep.count(), faults.len()), (4, 2, 6), "{faults:#?}");

    let rebuilt = board.rebuild().await.unwrap();
    assert_eq!((rebuilt.threads, rebuilt.sent, rebuilt.dead, rebuilt.waiting), (5, 3, 1, 1));
    assert_eq!(outbox(&world).await, before);
    assert_eq!(due(&world).await, {
        let mut with_work = vec![id("q"), id("t")];
        with_work.sort();
        with_work
    });
    assert_eq!(board.verify().await.unwrap(), clean);
    // Once more changes nothing.
    board.rebuild().await.unwrap();
    assert_eq!(outbox(&world).await, before);

    let serving = world.serve();
    world.chat.always(|sending| {
        Play::gives(Ok(Receipt { message: Some(MessageRef::new(format!("sent:{}", sending.outgoing.key))) }))
    });
    world.model.thinks(&finish("yes"));
    world.finished("t").await;
    let (asked, _) = question(&world.thread("q").await);
    let ticket = world.board().tickets.mint(&id("q"), asked, &address("mail", "ana@corp"));
    world.model.thinks(&finish("deployed"));
    world.door("mail").accept(world.by_mail("approve", Some(&ticket))).await.unwrap();
    world.finished("q").await;
    assert_eq!(world.tools.calls().len(), 2, "a look and a deployment");
    let later: Vec<_> = world.chat.sent().into_iter().filter(|sending| sending.text() == "later").collect();
    assert!(
        later.iter().skip(1).all(|sending| sending.attempt.number > 1),
        "its channel looks whether it arrived"
    );
    assert!(serving.stop().await);
}

/// What a thread in the middle of a write looks like is not told as a fault; what stays wrong is.
#[tokio::test]
async fn a_thread_that_nobody_would_look_at_is_told() {
    let world = World::new();
    world.say("p", "hello").await;
    let claim = store::Claim {
        worker: "lost".to_owned(),
        wanted: store::Wanted::Turns,
        max: 1,
        ttl: std::time::Duration::from_secs(5),
        wait: std::time::Duration::ZERO,
    };
    let work = world.embedded.claim(claim).await.unwrap().remove(0);
    let store::Work::Turn { lease, .. } = work else { panic!("{work:?}") };
    assert!(world.board().verify().await.unwrap().faults.is_empty(), "somebody has it");
    let seen = world.thread("p").await.version();
    world.embedded.release(&lease, Again::Sleep { seen, until: None }).await.unwrap();
    let faults = world.board().verify().await.unwrap().faults;
    assert!(faults.len() == 1 && faults[0].contains("nobody would look"), "{faults:?}");
}
