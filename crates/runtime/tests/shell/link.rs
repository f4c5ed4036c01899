//! Codes by which somebody shows that two identities are theirs: no agent sees them, wherever they are written, and they count once.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use agent::{Event, Linked, ThreadId};
use channel::{Accepted, Addressed, Content, Inbound, Inbox};
use store::Store;
use testkit::doubles::{Fault, Op};

use crate::world::{World, act, address, count, finish, id};

/// What the gateway said last in a thread.
async fn said(world: &World, thread: &ThreadId) -> String {
    let thread = world.load(thread).await;
    let last = thread.records().iter().rev().find_map(|record| match &record.event {
        Event::Said(reply) => Some(reply.text.clone()),
        _ => None,
    });
    last.expect("nothing was said")
}

/// Ben is given a code at `p`.
async fn code(world: &World) -> String {
    world.say("p", "link").await;
    let told = said(world, &id("p")).await;
    let code: String =
        told.split("`link ").nth(1).expect("a code").chars().take_while(|c| *c != '`').collect();
    assert_eq!(code.len(), 11, "{told}");
    code
}

fn mailbox() -> ThreadId {
    ThreadId::new(&agent::Home::of(&address("mail", "ana@corp")), 1)
}

async fn linked(world: &World) -> Vec<Linked> {
    world.board().linked().await.unwrap()
}

fn heard(thread: &agent::Thread) -> usize {
    thread.records().iter().filter(|record| matches!(record.event, Event::Heard(_))).count()
}

#[tokio::test]
async fn a_code_brought_elsewhere_links_once_and_both_are_told() {
    let world = World::new();
    let code = code(&world).await;
    let brings = world.by_mail(&format!("link {code}"), None);
    assert_eq!(world.door("mail").accept(brings.clone()).await.unwrap(), Accepted::New);
    assert_eq!(world.door("mail").accept(brings).await.unwrap(), Accepted::Already);
    let [one] = &linked(&world).await[..] else { panic!("{:?}", linked(&world).await) };
    assert_eq!((one.first.id.as_str(), one.second.id.as_str()), ("ben", "ana@corp"));
    let thread = world.load(&mailbox()).await;
    let to = thread.records().iter().filter_map(|record| match &record.event {
        Event::Said(reply) => Some(reply.to.clone()),
        _ => None,
    });
    assert_eq!(to.collect::<Vec<_>>(), [address("mail", "ana@corp"), address("chat", "p")]);
    assert_eq!((heard(&thread), heard(&world.thread("p").await)), (0, 0), "no agent sees any of it");
    // Nothing readable is kept beside the logs.
    for name in world.embedded.values("").await.unwrap().items {
        let value = world.embedded.get(&name).await.unwrap().unwrap_or_default();
        let kept = format!("{name}{}", String::from_utf8_lossy(&value));
        assert!(!kept.contains(&code) && !kept.contains(&code.replace('-', "")), "{kept}");
    }
}

#[tokio::test]
async fn a_code_is_no_words_in_a_long_conversation_nor_under_a_question() {
    // So long that the next request goes on in another thread.
    let mut world = World::new();
    world.settings.events_max = 1;
    let code = code(&world).await;
    let serving = world.serve();
    world.model.thinks(&finish("done"));
    world.door("mail").accept(world.by_mail("please", None)).await.unwrap();
    while count(&world.load(&mailbox()).await, "finished") == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(serving.stop().await);
    world.door("mail").accept(world.by_mail(&format!("link {code}"), None)).await.unwrap();
    assert_eq!((linked(&world).await.len(), heard(&world.load(&mailbox()).await)), (1, 1));

    // A reply to a card that waits for an answer.
    let world = World::new();
    world.model.thinks(&act("deploy"));
    let serving = world.serve();
    world.say("p", "deploy").await;
    let sent = world.mail.sent_count(1).await;
    let Content::Card(card) = &sent[0].outgoing.content else { panic!("no card: {sent:?}") };
    assert!(serving.stop().await);
    world.door("chat").accept(world.inbound("ben", "q", "link")).await.unwrap();
    let told = said(&world, &id("q")).await;
    let code = told.split('`').nth(1).expect("a code").to_owned();
    world.door("mail").accept(world.by_mail(&code, Some(&card.ticket))).await.unwrap();
    assert_eq!(linked(&world).await.len(), 1);
    assert_eq!(count(&world.thread("p").await, "refused"), 0);
}

/// The one word may be the answer to a question, and is then.
#[tokio::test]
async fn the_word_alone_is_an_answer_where_somebody_is_asked() {
    let world = World::new();
    world.model.thinks(&serde_json::json!({ "intent": "ask", "text": "Which word?" }));
    let serving = world.serve();
    world.say("p", "guess").await;
    world.until("p", |thread| count(thread, "asked") == 1).await;
    world.say("p", "link").await;
    world.until("p", |thread| count(thread, "answered link") == 1).await;
    assert!(serving.stop().await);
}

#[tokio::test]
async fn where_others_read_along_nothing_is_given_or_taken() {
    let world = World::new();
    let shared = |addressed, text: &str| Inbound { addressed, ..world.inbound("ben", "hall", text) };
    // Below other people's messages, and among them, nobody is meant.
    for addressed in [Addressed::Thread, Addressed::Overheard] {
        world.door("chat").accept(shared(addressed, "link abcde-23456")).await.unwrap();
    }
    let at_hall = ThreadId::new(&agent::Home::of(&address("chat", "hall")), 1);
    assert!(
        world.load(&at_hall).await.records().iter().all(|record| !matches!(record.event, Event::Said(_)))
    );
    world.door("chat").accept(shared(Addressed::Mention, "link")).await.unwrap();
    assert!(said(&world, &at_hall).await.contains("where nobody else reads along"));
}

/// The gateway dies after it was kept and before anything is said: whoever sends the message again is told, also when the code's time is
/// over by then.
#[tokio::test]
async fn what_was_kept_before_a_crash_is_told_after_it() {
    let world = World::new();
    let code = code(&world).await;
    let failed = Arc::new(AtomicUsize::new(0));
    let counted = failed.clone();
    world.store.fails(move |op| match op {
        Op::Commit(_) if counted.fetch_add(1, Ordering::SeqCst) == 0 => Fault::Away,
        _ => Fault::None,
    });
    let brings = world.by_mail(&format!("link {code}"), None);
    world.door("mail").accept(brings.clone()).await.unwrap_err();
    assert_eq!(linked(&world).await.len(), 1);
    world.clock.advance(Duration::from_secs(3_600));
    world.door("mail").accept(brings).await.unwrap();
    assert!(said(&world, &mailbox()).await.contains("It was shown that you are also"));
    assert_eq!(linked(&world).await.len(), 1);
}
