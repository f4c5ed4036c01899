//! A conversation that has become long goes on in the next thread at its place: with what was said before, with nothing
//! lost or doubled, and with what comes late still finding the thread that it belongs to.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use agent::{Event, Home, Prompt, Route, Thread, ThreadId, Version};
use channel::{
    Accepted, Addressed, Body, Content, Inbound, InboundKey, Inbox, MessageRef, Receipt, Said, Ticket,
};
use serde_json::json;
use store::{SentQuery, Store};
use testkit::doubles::{Fault, Hold, Op, Play};
use tokio::{task::JoinSet, time::sleep};

use crate::world::{World, act, address, any_route, count, finish, story};

/// A world whose threads are long after one short request.
fn world() -> World {
    let mut world = World::new();
    world.settings.events_max = 5;
    world
}

fn nth(generation: u32) -> ThreadId {
    ThreadId::new(&Home::of(&address("chat", "p")), generation)
}

/// All threads at the place, oldest first.
async fn threads(world: &World) -> Vec<Thread> {
    let latest = world.embedded.latest(&Home::of(&address("chat", "p"))).await.unwrap();
    let mut threads = Vec::new();
    for generation in 1..=latest.map_or(0, |latest| latest.generation()) {
        threads.push(world.load(&nth(generation)).await);
    }
    threads
}

/// Everything heard at the place, in order.
async fn heard(world: &World) -> Vec<String> {
    let stories = threads(world).await;
    let events = stories.iter().flat_map(story);
    events.filter_map(|event| event.strip_prefix("heard ").map(str::to_owned)).collect()
}

/// Ben says this, and it is answered.
async fn talk(world: &World, text: &str, answer: &str) {
    world.clock.advance(Duration::from_millis(1));
    world.model.thinks(&finish(answer));
    let before = world.chat.sent().len();
    world.say("p", text).await;
    world.chat.sent_count(before + 1).await;
    rests(world).await;
}

/// Until nothing waits to be sent, and that it was sent is written.
async fn rests(world: &World) {
    for _ in 0..2_000 {
        let waiting = world.embedded.sent(SentQuery::Waiting).await.unwrap();
        let latest = threads(world).await.pop();
        if waiting.is_empty() && latest.is_none_or(|thread| thread.is_idle()) {
            return;
        }
        sleep(Duration::from_millis(5)).await;
    }
    panic!("it never rests");
}

fn context(prompt: &Prompt) -> &str {
    &prompt.messages[1].text
}

#[tokio::test]
async fn a_conversation_goes_on_over_many_threads_with_what_was_said_before() {
    let world = world();
    let serving = world.serve();
    for n in 0..12 {
        talk(&world, &format!("say-{n}"), &format!("answer-{n}")).await;
    }
    let threads = threads(&world).await;
    assert!(threads.len() > 5, "{} threads", threads.len());
    for (thread, generation) in threads.iter().zip(1..) {
        let began = story(thread);
        let first = if generation == 1 { "routed" } else { "continued" };
        assert_eq!(began[0], first, "{began:?}");
        assert_eq!(count(thread, "continued"), usize::from(generation > 1));
        assert!(thread.version().0 < 20, "it grew beyond what is long: {began:?}");
    }
    assert_eq!(heard(&world).await, (0..12).map(|n| format!("say-{n}")).collect::<Vec<_>>());
    // Each time the model saw all that was said before, as if there had been one thread.
    let prompts = world.model.prompts();
    assert_eq!(prompts.len(), 12);
    for (n, prompt) in prompts.iter().enumerate() {
        let said = (0..n).map(|n| format!("<heard>say-{n}</heard><said></said>")).collect::<String>();
        assert_eq!(context(prompt), format!("{said}<heard>say-{n}</heard>"));
    }
    // And people see it as one conversation.
    let entries = world.door("chat").history(&address("chat", "p").place).await.unwrap();
    let shown: Vec<_> = entries
        .iter()
        .map(|entry| match &entry.said {
            Said::Heard { text, .. } => text.clone(),
            Said::Sent(sent) => match &sent.content {
                Content::Text(text) => text.markdown.clone(),
                Content::Card(card) => card.text.clone(),
            },
        })
        .collect();
    let all: Vec<_> = (0..12).flat_map(|n| [format!("say-{n}"), format!("answer-{n}")]).collect();
    assert_eq!(shown, all);
    assert!(serving.stop().await);
}

/// The same words, once with a thread that is long at every request and once with one that never is: the same bytes to the
/// model.
#[tokio::test]
async fn a_model_cannot_tell_whether_a_conversation_went_on_in_another_thread() {
    let mut asked = Vec::new();
    for events_max in [0, 1_000_000] {
        let mut world = World::new();
        world.settings.events_max = events_max;
        world.model.thinks(&act("lookup"));
        world.tools.ends(agent::Outcome::Done(json!({ "found": true })));
        let serving = world.serve();
        talk(&world, "look", "found").await;
        for n in 0..4 {
            talk(&world, &format!("say-{n}"), "ok").await;
        }
        assert_eq!(threads(&world).await.len(), if events_max == 0 { 5 } else { 1 });
        asked.push(
            world
                .model
                .prompts()
                .into_iter()
                .map(|prompt| (prompt.hash(), prompt.situation))
                .collect::<Vec<_>>(),
        );
        assert!(serving.stop().await);
    }
    assert_eq!(asked[0].len(), 6);
    assert_eq!(asked[0], asked[1]);
}

/// That a conversation goes on elsewhere is written with what is said there, or not at all.
#[tokio::test]
async fn a_conversation_goes_on_in_one_commit_or_not_at_all() {
    let world = world();
    let serving = world.serve();
    talk(&world, "one", "ok").await;
    assert!(serving.stop().await);
    let inbound = world.inbound("ben", "p", "two");
    let door = world.door("chat");
    world.store.fails_commit(0, Fault::Away, |_| true);
    assert!(door.accept(inbound.clone()).await.is_err());
    assert_eq!(threads(&world).await.len(), 1, "nothing was written");
    // The answer of the store is lost: it may have been a yes, and was.
    world.store.fails_commit(0, Fault::Lost, |_| true);
    assert!(door.accept(inbound.clone()).await.is_err());
    assert_eq!(door.accept(inbound).await.unwrap(), Accepted::Already);
    assert_eq!(story(&world.load(&nth(2)).await), ["continued", "routed", "heard two"]);
    let commits = world.store.commits();
    let last = commits.iter().rev().find(|batch| !batch.records.is_empty()).unwrap();
    assert_eq!((last.expect, last.records.len(), last.keys.len(), last.wake), (Some(Version(0)), 3, 1, true));
    // What was taken in the former thread is not taken once more in the next.
    let mut again = world.inbound("ben", "p", "one");
    again.keys = vec![InboundKey::new("chat:1")];
    assert_eq!(door.accept(again).await.unwrap(), Accepted::Already);
    assert_eq!(heard(&world).await, ["one", "two"]);
    // Whoever comes next goes on with it.
    world.model.thinks(&finish("ok, two"));
    let serving = world.serve();
    rests(&world).await;
    assert_eq!(world.chat.sent_count(2).await[1].text(), "ok, two");
    assert!(serving.stop().await);
}

/// Each write of three requests in three threads fails in its turn, or does not and seems to: a platform sends again what was
/// not acknowledged, and all of it is one conversation.
#[tokio::test]
async fn whichever_write_fails_nothing_is_lost_or_doubled_where_a_conversation_goes_on() {
    for (n, fault) in (0..12).flat_map(|n| [(n, Fault::Away), (n, Fault::Lost)]) {
        let mut world = World::new();
        world.settings.events_max = 0;
        let what = format!("write {n} {fault:?}");
        world.store.fails_commit(n, fault, |batch| !batch.records.is_empty());
        let door = world.door("chat");
        let serving = world.serve();
        for (said, text) in ["one", "two", "three"].into_iter().enumerate() {
            world.model.thinks(&finish(text));
            let inbound = world.inbound("ben", "p", text);
            while door.accept(inbound.clone()).await.is_err() {}
            for _ in 0..2_000 {
                if world.chat.sent().len() > said {
                    break;
                }
                // Whoever waits for the store comes back when the time is over.
                world.clock.advance(Duration::from_millis(100));
                sleep(Duration::from_millis(5)).await;
            }
            rests(&world).await;
        }
        assert_eq!(heard(&world).await, ["one", "two", "three"], "{what}");
        let threads = threads(&world).await;
        let begun: Vec<_> = threads.iter().map(|thread| story(thread)[0].clone()).collect();
        assert_eq!(begun, ["routed", "continued", "continued"], "{what}");
        let all = "<heard>one</heard><said></said><heard>two</heard><said></said><heard>three</heard>";
        assert_eq!(context(world.model.prompts().last().unwrap()), all, "{what}");
        assert!(serving.stop().await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_gateways_go_on_in_the_same_thread() {
    let world = world();
    let serving = world.serve();
    talk(&world, "one", "ok").await;
    assert!(serving.stop().await);
    // Slow enough that they decide on the same log.
    world.store.fails(|op| {
        if matches!(op, Op::Commit(_)) { Fault::Late(Duration::from_millis(5)) } else { Fault::None }
    });
    let mut tasks = JoinSet::new();
    let doors: Vec<_> = (0..4).map(|_| Arc::new(world.door("chat"))).collect();
    for n in 0..20 {
        let inbound = world.inbound("ben", "p", &format!("m{n}"));
        // Each comes to two of them.
        for door in [&doors[n % 4], &doors[(n + 1) % 4]] {
            let (door, inbound) = (door.clone(), inbound.clone());
            tasks.spawn(async move { door.accept(inbound).await.unwrap() });
        }
    }
    let taken = tasks.join_all().await;
    assert_eq!(taken.iter().filter(|accepted| **accepted == Accepted::New).count(), 20);
    let threads = threads(&world).await;
    assert_eq!(threads.len(), 2);
    assert_eq!((count(&threads[1], "continued"), count(&threads[1], "routed")), (1, 1));
    let mut all = heard(&world).await;
    all.sort();
    let mut said: Vec<_> = (0..20).map(|n| format!("m{n}")).chain(["one".to_owned()]).collect();
    said.sort();
    assert_eq!(all, said);
}

/// A conversation that goes on below other messages is its agent's in the next thread, too.
#[tokio::test]
async fn who_goes_on_in_a_long_conversation_speaks_to_its_agent() {
    let mut world = world();
    let named = Route { starts_with: vec!["test".to_owned()], ..any_route() };
    (world.routes, world.default_agent) = (vec![named], None);
    let serving = world.serve();
    talk(&world, "test this", "ok").await;
    let below = Inbound { addressed: Addressed::Thread, ..world.inbound("ben", "p", "and now that") };
    world.model.thinks(&finish("ok, that"));
    assert_eq!(world.door("chat").accept(below).await.unwrap(), Accepted::New);
    assert_eq!(world.chat.sent_count(2).await[1].text(), "ok, that");
    let next = world.load(&nth(2)).await;
    assert_eq!(story(&next)[..3], ["continued", "routed", "heard and now that"]);
    assert!(serving.stop().await);
}

/// A world in which Ana denied by mail what Ben wanted, and the thread of it is over and long.
async fn denied() -> (World, Ticket) {
    let world = world();
    world.model.thinks(&act("deploy"));
    let serving = world.serve();
    world.say("p", "deploy").await;
    let sent = world.mail.sent_count(1).await;
    let Content::Card(card) = &sent[0].outgoing.content else { panic!("no card: {sent:?}") };
    world.model.thinks(&finish("It was denied."));
    world.door("mail").accept(world.by_mail("reject", Some(&card.ticket))).await.unwrap();
    world.chat.sent_count(2).await;
    rests(&world).await;
    assert!(serving.stop().await);
    let ticket = card.ticket.clone();
    (world, ticket)
}

/// Whoever answers late is told so, by the thread that asked; the one that goes on has nothing to do with it.
#[tokio::test]
async fn a_late_answer_finds_the_thread_that_asked() {
    let (world, ticket) = denied().await;
    let serving = world.serve();
    talk(&world, "what now?", "nothing").await;
    let next = story(&world.load(&nth(2)).await);
    assert_eq!(next[..3], ["continued", "routed", "heard what now?"]);
    let mails = world.mail.sent().len();
    world.door("mail").accept(world.by_mail("approve", Some(&ticket))).await.unwrap();
    let press = Body::Press { choice: "approve".into(), comment: None, values: BTreeMap::new() };
    let pressed = Inbound { body: press, ..world.by_mail("", Some(&ticket)) };
    world.door("mail").accept(pressed).await.unwrap();
    for told in world.mail.sent_count(mails + 2).await.iter().skip(mails) {
        assert!(told.text().contains("This was decided before: Rejected by ana"), "{}", told.text());
    }
    assert_eq!(count(&world.load(&nth(1)).await, "refused"), 2);
    assert_eq!(count(&world.load(&nth(1)).await, "started"), 0);
    assert_eq!(story(&world.load(&nth(2)).await), next);
    assert!(serving.stop().await);
}

/// A reply to an old question is something said: in the latest thread, not in that of the question.
#[tokio::test]
async fn what_is_said_under_an_old_question_is_said_in_the_latest_thread() {
    let world = world();
    world.model.thinks(&json!({ "intent": "ask", "text": "Which one?" }));
    let serving = world.serve();
    world.say("p", "one").await;
    let card = world.chat.sent_count(1).await[0].outgoing.key.clone();
    world.until("p", |thread| count(thread, "delivered") == 1).await;
    world.model.thinks(&finish("the blue one, then"));
    world.say("p", "the blue one").await;
    // The card is closed, and an answer given.
    world.chat.sent_count(3).await;
    rests(&world).await;
    let long = world.thread("p").await;
    let below = |world: &World, text: &str| Inbound {
        in_reply_to: Some(MessageRef::new(format!("sent:{card}"))),
        ..world.inbound("ben", "p", text)
    };
    for (text, generation) in [("and the red one?", 2), ("and the green one?", 3)] {
        world.model.thinks(&finish("ok"));
        let sent = world.chat.sent().len();
        world.door("chat").accept(below(&world, text)).await.unwrap();
        world.chat.sent_count(sent + 1).await;
        rests(&world).await;
        let next = story(&world.load(&nth(generation)).await);
        assert_eq!(next[..3], ["continued".to_owned(), "routed".to_owned(), format!("heard {text}")]);
    }
    assert_eq!(
        world.thread("p").await.version(),
        long.version(),
        "the thread of the question stays as it was"
    );
    assert_eq!(context(&world.model.prompts()[3]).matches("<heard>").count(), 3);
    assert!(serving.stop().await);
}

/// What was answered is not changed any more, and nothing but words begins the next thread.
#[tokio::test]
async fn only_what_is_said_goes_on_in_another_thread() {
    let mut world = world();
    let named = Route { starts_with: vec!["one".to_owned()], ..any_route() };
    (world.routes, world.default_agent) = (vec![named], None);
    let serving = world.serve();
    let said = world.inbound("ben", "p", "one");
    world.model.thinks(&finish("ok"));
    world.door("chat").accept(said.clone()).await.unwrap();
    world.chat.sent_count(1).await;
    rests(&world).await;
    let before = story(&world.thread("p").await);
    let door = world.door("chat");
    let edited = Body::Edited { text: "uno".into(), original: None };
    for (n, body) in [edited, Body::Deleted].into_iter().enumerate() {
        let keys = vec![InboundKey::new(format!("chat:late:{n}"))];
        let late = Inbound { keys, body, ..said.clone() };
        assert_eq!(door.accept(late).await.unwrap(), Accepted::New);
    }
    let overheard = Inbound { addressed: Addressed::Overheard, ..world.inbound("ben", "p", "lunch?") };
    assert_eq!(door.accept(overheard).await.unwrap(), Accepted::New);
    assert_eq!(story(&world.thread("p").await), before);
    assert_eq!(threads(&world).await.len(), 1);
    // That a message did not arrive is written where it was said.
    let key = world.chat.sent()[0].outgoing.key.clone();
    let bounce = |name: &str, world: &World| Inbound {
        in_reply_to: Some(MessageRef::new(name)),
        body: Body::Undelivered { why: "550".into() },
        ..world.inbound("ben", "p", "")
    };
    door.accept(bounce(&format!("sent:{key}"), &world)).await.unwrap();
    door.accept(bounce("unknown", &world)).await.unwrap();
    assert_eq!(threads(&world).await.len(), 1);
    assert_eq!(count(&world.thread("p").await, "undelivered"), 2);
    // The next words do, and a bounce of an old message is still written where that was said.
    talk(&world, "one more", "ok").await;
    door.accept(bounce(&format!("sent:{key}"), &world)).await.unwrap();
    let threads = threads(&world).await;
    assert_eq!(threads.len(), 2);
    assert_eq!((count(&threads[0], "undelivered"), count(&threads[1], "undelivered")), (3, 0));
    let late = Inbound {
        keys: vec![InboundKey::new("chat:late:9")],
        body: Body::Edited { text: "uno".into(), original: None },
        ..said
    };
    assert_eq!(door.accept(late).await.unwrap(), Accepted::New);
    assert_eq!(count(&world.load(&nth(2)).await, "edited"), 0);
    assert!(serving.stop().await);
}

/// A message that is still on its way arrives in the log that caused it.
#[tokio::test]
async fn what_is_delivered_late_is_written_where_it_was_said() {
    let mut world = world();
    world.settings.events_max = 4;
    let hold = Hold::new();
    world.chat.then(Play::gives(Ok(Receipt { message: Some(MessageRef::new("late")) })).held(&hold));
    world.model.thinks(&finish("first answer"));
    let serving = world.serve();
    world.say("p", "one").await;
    hold.reached(1).await;
    world.until("p", |thread| count(thread, "finished") == 1).await;
    world.model.thinks(&finish("second answer"));
    world.say("p", "two").await;
    let next = nth(2);
    for _ in 0..2_000 {
        if count(&world.load(&next).await, "finished") == 1 {
            break;
        }
        sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(count(&world.thread("p").await, "delivered"), 0);
    hold.open();
    let sent = world.chat.sent_count(2).await;
    assert_eq!([sent[0].text(), sent[1].text()], ["first answer", "second answer"]);
    rests(&world).await;
    world.until("p", |thread| count(thread, "delivered") == 1).await;
    let thread = world.load(&next).await;
    assert_eq!((count(&thread, "delivered"), count(&thread, "said first")), (1, 0));
    assert!(serving.stop().await);
}

/// After a long silence the conversation is over, however long its thread is.
#[tokio::test]
async fn an_old_conversation_does_not_go_on() {
    let mut world = world();
    world.settings.renew_after = Duration::from_secs(3_600);
    let serving = world.serve();
    talk(&world, "one", "ok").await;
    world.clock.advance(Duration::from_secs(3_601));
    talk(&world, "two", "ok").await;
    assert_eq!(story(&world.load(&nth(2)).await)[..2], ["routed", "heard two"]);
    assert_eq!(context(&world.model.prompts()[1]), "<heard>two</heard>");
    assert!(serving.stop().await);
}

/// A request that is being worked on is never parted from its thread.
#[tokio::test]
async fn a_request_stays_in_its_thread_however_long_that_becomes() {
    let world = world();
    let hold = Hold::new();
    world.model.then(Play::gives(Ok(testkit::doubles::completion(finish("ok").to_string()))).held(&hold));
    let serving = world.serve();
    world.say("p", "m0").await;
    hold.reached(1).await;
    for n in 1..20 {
        world.say("p", &format!("m{n}")).await;
    }
    assert_eq!(threads(&world).await.len(), 1);
    for _ in 0..2 {
        world.model.thinks(&finish("ok"));
    }
    hold.open();
    rests(&world).await;
    let threads = threads(&world).await;
    assert_eq!((threads.len(), count(&threads[0], "heard"), count(&threads[0], "continued")), (1, 20, 0));
    let events = threads[0].records().iter().filter(|record| matches!(record.event, Event::Routed(_)));
    assert_eq!(events.count(), 1);
    talk(&world, "now", "ok").await;
    assert_eq!(story(&world.load(&nth(2)).await)[..3], ["continued", "routed", "heard now"]);
    assert!(serving.stop().await);
}
