//! Signs of life: what is shown of a request while it is worked on, and at its end. None of it may hold anything up.

use std::{sync::Arc, time::Duration};

use agent::{Event, Phase, Record};
use channel::{ChannelName, Content, Inbox, Signal};
use model::Kind;
use runtime::{Board, Door, Serving, serve};
use serde_json::json;
use store::{Batch, Clock, Store};
use testkit::{
    MemoryStore,
    doubles::{Hold, Play, Signalled, completion},
};
use tokio::time::{Instant, sleep};

use crate::world::{World, act, count, finish, id, until};

/// How far apart the words of an answer come.
const WORD: Duration = Duration::from_millis(350);
/// As many words as take somewhat more than four seconds.
const WORDS: [&str; 12] =
    ["It", "is", "noon,", "as", "far", "as", "I", "can", "see", "from", "down", "here."];

/// A gateway that waits for nothing but the clock.
fn in_memory(world: &World) -> (Arc<Board>, Serving) {
    let store = Arc::new(MemoryStore::new(Arc::new(world.clock.clone())));
    let board = world.board_with(|board| board.store = store);
    (board.clone(), serve(board))
}

async fn say(board: &Arc<Board>, world: &World, text: &str) {
    let door = Door::new(board.clone(), ChannelName::new("chat"));
    door.accept(world.inbound("ben", "p", text)).await.unwrap();
}

/// The outputs so far of an answer that comes word by word.
fn word_by_word(intent: &str) -> Vec<String> {
    (1..=WORDS.len()).map(|n| format!(r#"{{"intent":"{intent}","text":"{}"#, WORDS[..n].join(" "))).collect()
}

fn grows(world: &World, outputs: &[String], wait: Duration) {
    let growth: Vec<_> = outputs.iter().map(|output| (wait, output.as_str())).collect();
    world.model.grows(&growth);
}

/// The words that were shown, and when.
fn written(world: &World) -> Vec<(String, Instant)> {
    let words = |signalled: Signalled| match signalled.signal {
        Signal::Writing { text } => Some((text, signalled.at)),
        _ => None,
    };
    world.chat.signalled().into_iter().filter_map(words).collect()
}

fn shown(world: &World, signal: &Signal) -> bool {
    world.chat.signals().iter().any(|(_, shown)| shown == signal)
}

/// What was shown of each message, except for words.
fn marks(world: &World) -> Vec<(String, Signal)> {
    let mut marks: Vec<(String, Signal)> = Vec::new();
    for Signalled { about, signal, .. } in world.chat.signalled() {
        let about = about.map(|about| about.to_string()).unwrap_or_default();
        let mark = (about, signal);
        if !matches!(mark.1, Signal::Writing { .. }) && marks.last() != Some(&mark) {
            marks.push(mark);
        }
    }
    marks
}

#[tokio::test(start_paused = true)]
async fn words_are_shown_as_they_grow_and_at_most_once_a_second() {
    let world = World::new();
    grows(&world, &word_by_word("finish"), WORD);
    let whole = WORDS.join(" ");
    world.model.then(Play::gives(Ok(completion(finish(&whole).to_string()))).after(WORD));
    let (board, serving) = in_memory(&world);
    say(&board, &world, "what time is it?").await;
    until("the end", || shown(&world, &Signal::Done)).await;

    let written = written(&world);
    // At each time the latest that there is: the third word comes after 1.05 s, the fourth after 1.4 s.
    let counts: Vec<usize> = written.iter().map(|(text, _)| text.split(' ').count()).collect();
    assert_eq!(counts, [1, 3, 6, 9, 12], "{written:#?}");
    assert!(written.iter().all(|(text, _)| whole.starts_with(text)), "{written:#?}");
    for two in written.windows(2) {
        assert!(two[1].1 - two[0].1 >= Duration::from_secs(1), "{written:#?}");
    }
    sleep(Duration::from_secs(5)).await;
    let signals = world.chat.signals();
    assert_eq!(signals.len(), written.len() + 2, "work, words, the end: {signals:#?}");
    assert_eq!((&signals[0].1, &signals[signals.len() - 1].1), (&Signal::Working, &Signal::Done));
    assert_eq!(world.chat.sent_count(1).await[0].text(), whole);
    assert!(serving.stop().await);
}

#[tokio::test(start_paused = true)]
async fn a_channel_that_is_slow_to_show_words_holds_up_no_answer() {
    let slow = |play: Play<()>| async move {
        let world = World::new();
        world.chat.shows(move |signal| match signal {
            Signal::Writing { .. } => play.clone(),
            _ => Play::gives(()),
        });
        grows(&world, &word_by_word("say"), WORD);
        world.model.thinks(&json!({ "intent": "say", "text": WORDS.join(" ") }));
        let (board, serving) = in_memory(&world);
        let began = Instant::now();
        say(&board, &world, "what time is it?").await;
        let said = world.chat.sent_count(1).await.remove(0);
        let count = written(&world).len();
        until("the end", || shown(&world, &Signal::Done)).await;
        assert_eq!(written(&world).len(), count, "nothing after the answer");
        assert!(serving.stop().await);
        (said.at - began, count)
    };
    let quick = slow(Play::gives(())).await;
    assert_eq!(quick.1, 4);
    for play in [Play::hangs(), Play::gives(()).after(Duration::from_millis(800))] {
        let (took, count) = slow(play).await;
        assert!(took <= quick.0 + Duration::from_millis(50), "{took:?}, and without {:?}", quick.0);
        assert_eq!(count, 4, "each time it is tried again");
    }
}

#[tokio::test(start_paused = true)]
async fn of_an_answer_that_counts_for_nothing_no_more_is_shown() {
    let half = |text: &str| format!(r#"{{"intent":"finish","text":"{text}"#);
    let no_intent = Ok(completion(half("Half an answer")));
    let failure = Err(model::Error::new(Kind::Refused, "no"));
    for bad in [no_intent, failure] {
        let world = World::new();
        let failed = bad.is_err();
        // More of the words comes while the first of them may not be replaced yet, and then they count for nothing.
        grows(&world, &[half("Half"), half("Half an answer")], WORD);
        world.model.then(Play::gives(bad));
        let other = completion(finish("Quite another one.").to_string());
        world.model.then(Play::gives(Ok(other)).after(WORD * 9));
        let (board, serving) = in_memory(&world);
        say(&board, &world, "what time is it?").await;
        until("the first words", || !written(&world).is_empty()).await;
        if failed {
            while count(&board.thread(&id("p")).await.unwrap(), "failed") == 0 {
                sleep(Duration::from_millis(5)).await;
            }
            world.clock.advance(Duration::from_secs(5));
        }
        until("the end", || shown(&world, &Signal::Done)).await;
        assert_eq!(world.model.prompts().len(), 2);
        let texts: Vec<_> = written(&world).into_iter().map(|(text, _)| text).collect();
        assert_eq!(texts, ["Half"]);
        assert!(serving.stop().await);
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_shown_of_what_is_not_said() {
    for intent in [
        json!({ "intent": "act", "tool": "lookup", "args": { "intent": "say", "text": "a secret of the tool's" } }),
        json!({ "intent": "ask", "text": "Which of the two?" }),
        json!({ "intent": "hand_over", "reason": "They are angry." }),
    ] {
        let world = World::new();
        let whole = intent.to_string();
        let outputs: Vec<_> = whole.char_indices().map(|(end, _)| whole[..end].to_owned()).collect();
        grows(&world, &outputs, Duration::from_millis(100));
        world.model.thinks(&intent);
        let (board, serving) = in_memory(&world);
        say(&board, &world, "what time is it?").await;
        until("an end", || shown(&world, &Signal::Done) || shown(&world, &Signal::Waiting)).await;
        assert_eq!(written(&world), [], "{intent}");
        assert!(serving.stop().await);
    }
}

/// The mark of a message.
fn mark(message: usize, signal: Signal) -> (String, Signal) {
    (format!("in:{message}"), signal)
}

#[tokio::test]
async fn a_request_that_an_agent_did_is_done() {
    let world = World::new();
    world.model.thinks(&act("lookup"));
    world.model.thinks(&json!({ "intent": "ask", "text": "Which?" }));
    let serving = world.serve();
    world.say("p", "what time is it?").await;
    world.until("p", |thread| thread.phase() == Phase::Waiting).await;
    until("the question", || shown(&world, &Signal::Waiting)).await;
    assert_eq!(marks(&world), [mark(1, Signal::Working), mark(1, Signal::Waiting)]);
    world.say("p", "the first").await;
    world.finished("p").await;
    until("the end", || shown(&world, &Signal::Done)).await;
    assert_eq!(marks(&world)[2..], [mark(1, Signal::Working), mark(1, Signal::Done)]);
    assert!(serving.stop().await);
}

#[tokio::test]
async fn a_request_that_was_handed_over_waits_for_a_human_and_was_not_done_by_the_agent() {
    let world = World::new();
    world.model.thinks(&json!({ "intent": "hand_over", "reason": "They are angry." }));
    let serving = world.serve();
    world.say("p", "what time is it?").await;
    world.until("p", |thread| thread.phase() == Phase::Waiting).await;
    until("the hand-over", || shown(&world, &Signal::Waiting)).await;
    assert_eq!(marks(&world), [mark(1, Signal::Working), mark(1, Signal::Waiting)]);
    let sent = world.mail.sent_count(1).await;
    let Content::Card(card) = &sent[0].outgoing.content else { panic!("{sent:?}") };
    let ticket = card.ticket.clone();
    world.door("mail").accept(world.by_mail("It is noon.", Some(&ticket))).await.unwrap();
    world.finished("p").await;
    until("the end", || shown(&world, &Signal::Failed)).await;
    assert_eq!(marks(&world)[2..], [mark(1, Signal::Failed)]);
    assert!(serving.stop().await);
}

#[tokio::test]
async fn a_request_that_nobody_takes_or_takes_over_failed() {
    // Nobody to hand it over to.
    let world = World::new();
    world.model.thinks(&json!({ "intent": "hand_over", "reason": "They are angry." }));
    let serving = serve(world.board_with(|board| board.directory.desks.clear()));
    world.say("p", "what time is it?").await;
    world.finished("p").await;
    until("the end", || shown(&world, &Signal::Failed)).await;
    assert_eq!(marks(&world), [mark(1, Signal::Working), mark(1, Signal::Failed)]);
    assert!(serving.stop().await);

    // No agent for it.
    let mut world = World::new();
    world.default_agent = None;
    let serving = world.serve();
    world.say("p", "what time is it?").await;
    until("the end", || shown(&world, &Signal::Failed)).await;
    assert_eq!(marks(&world), [mark(1, Signal::Failed)]);
    assert!(serving.stop().await);
}

#[tokio::test]
async fn a_request_that_is_paused_waits_and_one_that_is_given_up_failed() {
    let world = World::new();
    let hold = Hold::new();
    world.model.then(Play::gives(Ok(completion(act("lookup").to_string()))).held(&hold));
    let serving = world.serve();
    world.say("p", "what time is it?").await;
    hold.reached(1).await;
    let happens = async |event: Event| {
        let records = vec![Record::new(Clock::now(&world.clock), event)];
        world.embedded.commit(Batch { records, wake: true, ..Batch::new(id("p")) }).await.unwrap();
    };
    happens(Event::Paused { by: "ana".to_owned() }).await;
    hold.open();
    until("the pause", || shown(&world, &Signal::Waiting)).await;
    assert_eq!(marks(&world), [mark(1, Signal::Working), mark(1, Signal::Waiting)]);
    happens(Event::Cancelled { by: "ana".to_owned() }).await;
    until("the end", || shown(&world, &Signal::Failed)).await;
    assert_eq!(marks(&world)[2..], [mark(1, Signal::Failed)]);
    assert!(serving.stop().await);
}

#[tokio::test]
async fn each_of_two_requests_in_a_row_has_an_end_of_its_own() {
    let world = World::new();
    let hold = Hold::new();
    world.model.then(Play::gives(Ok(completion(finish("It is noon.").to_string()))).held(&hold));
    let serving = world.serve();
    world.say("p", "what time is it?").await;
    hold.reached(1).await;
    // It comes too late to be seen by the thought, so it begins a request when that one ends.
    world.say("p", "and the date?").await;
    hold.open();
    world.until("p", |thread| count(thread, "finished") == 2).await;
    until("both ends", || marks(&world).len() == 4).await;
    let ends =
        [mark(1, Signal::Working), mark(1, Signal::Done), mark(2, Signal::Working), mark(2, Signal::Done)];
    assert_eq!(marks(&world), ends);
    assert!(serving.stop().await);
}

#[tokio::test]
async fn while_no_model_answers_nobody_is_said_to_be_waited_for() {
    let world = World::new();
    world.model.fails(Kind::Retry { after: None }, "all are busy");
    let serving = world.serve();
    world.say("p", "what time is it?").await;
    world.until("p", |thread| count(thread, "failed") == 1).await;
    sleep(Duration::from_millis(100)).await;
    assert_eq!(marks(&world), [mark(1, Signal::Working)]);
    assert!(serving.stop().await);
}
