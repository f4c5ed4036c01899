//! Step: whatever instant a worker dies at, whatever the store says, a thread goes on from its log, once.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use agent::{Event, Outcome, Phase, QuestionKind};
use channel::{ChannelName, Inbox, Signal};
use model::Kind;
use runtime::{Door, Serving, serve};
use serde_json::json;
use store::{Again, Batch};
use testkit::doubles::{Fault, Hold, Op, Play, StoreDouble, completion};
use tokio::time::{Instant, sleep};
use tool::{Ended, Made};

use crate::world::{World, act, count, finish, question, story, until};

/// Whether a batch writes such an event.
fn writes(batch: &Batch, fits: fn(&Event) -> bool) -> bool {
    batch.records.iter().any(|record| fits(&record.event))
}

#[tokio::test]
async fn a_request_becomes_steps_and_an_answer() {
    let world = World::new();
    world.model.thinks(&act("lookup"));
    world.model.thinks(&finish("It is noon."));
    let serving = world.serve();
    world.say("p", "what time is it?").await;
    world.finished("p").await;
    let story = world.story("p").await;
    assert_eq!(
        story,
        [
            "routed",
            "heard what time is it?",
            "thought lookup",
            "started lookup",
            "acted ok",
            "thought It is noon.",
            "said It is noon.",
            "finished",
            "delivered"
        ]
    );
    let signals: Vec<_> = world.chat.signals().into_iter().map(|(_, signal)| signal).collect();
    assert_eq!(signals.first(), Some(&Signal::Working));
    assert_eq!(signals.last(), Some(&Signal::Done));
    assert!(serving.stop().await);
}

/// What a model said and what follows from it are written together, and need one flush.
#[tokio::test]
async fn a_thought_and_what_follows_from_it_are_one_write() {
    let world = World::new();
    world.model.thinks(&finish("It is noon."));
    let serving = world.serve();
    world.say("p", "what time is it?").await;
    world.finished("p").await;
    let commits = world.store.commits();
    let thoughts: Vec<_> =
        commits.iter().filter(|batch| writes(batch, |e| matches!(e, Event::Thought(_)))).collect();
    assert_eq!(thoughts.len(), 1);
    assert_eq!((thoughts[0].records.len(), thoughts[0].outgoing.len()), (3, 1), "{thoughts:#?}");
    assert!(serving.stop().await);
}

/// Where somebody spoke meanwhile, or the store's answer was lost, the thought is written once all the same, and what follows from
/// it is decided from the log as it is.
#[tokio::test]
async fn a_thought_is_written_once_whatever_comes_between() {
    for fault in [None, Some(Fault::Away), Some(Fault::Lost)] {
        let world = World::new();
        let hold = Hold::new();
        world.model.then(Play::gives(Ok(completion(finish("It is noon.").to_string()))).held(&hold));
        let serving = world.serve();
        world.say("p", "what time is it?").await;
        hold.reached(1).await;
        match &fault {
            Some(fault) => {
                let about = |batch: &Batch| writes(batch, |e| matches!(e, Event::Thought(_)));
                world.store.fails_commit(0, fault.clone(), about);
            }
            None => {
                world.model.thinks(&finish("Four."));
                world.say("p", "and two and two?").await;
            }
        }
        hold.open();
        let requests = if fault.is_none() { 2 } else { 1 };
        let thread = world.until("p", |thread| count(thread, "finished") == requests).await;
        assert_eq!(count(&thread, "thought It is noon."), 1, "{fault:?}");
        assert_eq!(count(&thread, "said It is noon."), 1, "{fault:?}");
        assert_eq!(count(&thread, "said Four."), requests - 1);
        assert_eq!(world.model.prompts().len(), requests);
        assert!(serving.stop().await);
    }
}

#[tokio::test]
async fn a_step_is_journalled_before_it_is_done() {
    let world = World::new();
    world.model.thinks(&act("poke"));
    let hold = Hold::new();
    let done = Ended { outcome: Outcome::Done(json!("ok")), files: Vec::new() };
    world.tools.then(Play::gives(done).held(&hold));
    let serving = world.serve();
    world.say("p", "poke it").await;
    hold.reached(1).await;
    assert_eq!(world.story("p").await.last().unwrap(), "started poke");
    hold.open();
    world.finished("p").await;
    assert!(serving.stop().await);
}

#[tokio::test]
async fn an_output_that_is_no_intent_is_asked_again_so_often_and_no_more() {
    let mut world = World::new();
    world.lines = "output.reasks = 1".to_owned();
    world.model.always(|_| Play::gives(Ok(completion("I shall simply do it."))));
    let serving = world.serve();
    world.say("p", "hello").await;
    let thread = world.until("p", |thread| count(thread, "asked") == 1).await;
    assert_eq!(count(&thread, "failed bad_output"), 3);
    assert_eq!(count(&thread, "handed_over"), 1);
    let prompts = world.model.prompts();
    assert_eq!(prompts.len(), 6);
    for (n, prompt) in prompts.iter().enumerate() {
        let asked_again = prompt.messages.iter().any(|message| message.text.starts_with("Not so:"));
        assert_eq!(asked_again, n % 2 == 1, "prompt {n}");
    }
    assert_eq!(thread.run().model_calls, 6);
    assert!(serving.stop().await);
}

#[tokio::test]
async fn an_output_that_is_mended_when_asked_again_counts() {
    let world = World::new();
    world.model.says("Well,");
    let serving = world.serve();
    world.say("p", "hello").await;
    let thread = world.finished("p").await;
    assert_eq!(count(&thread, "failed"), 0);
    let reasks = thread.records().iter().find_map(|record| match &record.event {
        Event::Thought(thought) => Some((thought.reasks, thought.usage.calls)),
        _ => None,
    });
    assert_eq!(reasks, Some((1, 2)));
    assert!(serving.stop().await);
}

#[tokio::test]
async fn while_no_model_answers_it_is_asked_later_and_later_and_then_a_human() {
    let world = World::new();
    world.model.always(|_| Play::gives(Err(model::Error::new(Kind::Retry { after: None }, "all are busy"))));
    let serving = world.serve();
    world.say("p", "hello").await;
    for failures in 1..=2 {
        world.until("p", |thread| count(thread, "failed model_unavailable") == failures).await;
        sleep(Duration::from_millis(100)).await;
        assert_eq!(world.model.prompts().len(), failures, "it waits");
        world.clock.advance(Duration::from_secs(2 * failures as u64));
    }
    let thread = world.until("p", |thread| count(thread, "handed_over") == 1).await;
    assert_eq!(count(&thread, "failed"), 3);
    assert!(serving.stop().await);
}

#[tokio::test]
async fn what_does_not_fit_the_model_is_a_human_s() {
    let mut world = World::new();
    world.lines = "context = { tokens = 700, answer_tokens = 50 }".to_owned();
    let serving = world.serve();
    world.say("p", &"word ".repeat(5_000)).await;
    let thread = world.until("p", |thread| count(thread, "asked") == 1).await;
    assert_eq!(count(&thread, "failed context_full"), 1);
    assert!(world.model.prompts().is_empty());
    assert!(serving.stop().await);
}

#[tokio::test]
async fn what_is_said_while_the_model_thinks_is_answered_next() {
    let world = World::new();
    let hold = Hold::new();
    world.model.then(Play::gives(Ok(completion(finish("First.").to_string()))).held(&hold));
    world.model.thinks(&finish("Second."));
    let serving = world.serve();
    world.say("p", "one").await;
    hold.reached(1).await;
    world.say("p", "two").await;
    hold.open();
    let thread = world.until("p", |thread| count(thread, "finished") == 2).await;
    let told: Vec<_> = story(&thread).into_iter().filter(|event| !event.starts_with("delivered")).collect();
    assert_eq!(
        told,
        [
            "routed",
            "heard one",
            "heard two",
            "thought First.",
            "said First.",
            "finished",
            "thought Second.",
            "said Second.",
            "finished"
        ]
    );
    let prompts = world.model.prompts();
    let shows =
        |n: usize, words: &str| prompts[n].messages.iter().any(|message| message.text.contains(words));
    assert!(shows(0, "one") && !shows(0, "two"));
    assert!(shows(1, "two"));
    assert!(serving.stop().await);
}

#[tokio::test]
async fn a_decision_that_came_too_late_is_decided_again() {
    let world = World::new();
    world.model.thinks(&finish("First."));
    let hold = Hold::new();
    let gate = hold.clone();
    world.store.fails(move |op| match op {
        Op::Commit(batch) if writes(batch, |event| matches!(event, Event::Said(_))) => {
            Fault::Held(gate.clone())
        }
        _ => Fault::None,
    });
    let serving = world.serve();
    world.say("p", "one").await;
    hold.reached(1).await;
    world.say("p", "two").await;
    hold.open();
    let thread = world.until("p", |thread| count(thread, "finished") == 2).await;
    assert_eq!(count(&thread, "said First."), 1);
    let heard = thread.records().iter().position(|record| matches!(record.event, Event::Heard(_)));
    assert_eq!(heard, Some(1));
    assert!(hold.came() >= 2, "the first decision was written although it was made on an older log");
    assert_eq!(world.chat.sent_count(2).await.len(), 2);
    assert!(serving.stop().await);
}

/// A worker whose heartbeats do not reach the store any more, and one that takes over.
struct Takeover {
    world: World,
    store: Arc<StoreDouble>,
    first: Serving,
}

impl Takeover {
    fn of(mut world: World) -> Self {
        world.settings.lease = Duration::from_millis(300);
        let store = StoreDouble::before(world.embedded.clone());
        let first = serve(world.board_with(|board| board.store = store.clone()));
        Self { world, store, first }
    }

    /// The lease of the first one runs out, and another one comes.
    fn another(&self) -> Serving {
        self.store.fails(|op| if matches!(op, Op::Renew(_)) { Fault::Away } else { Fault::None });
        self.world.clock.advance(Duration::from_secs(1));
        self.world.serve_as("two")
    }
}

#[tokio::test]
async fn a_worker_that_lost_its_lease_while_it_thought_writes_nothing() {
    // Either its heartbeat is told so, or its commit is.
    for told_by_heartbeat in [true, false] {
        let world = World::new();
        let hold = Hold::new();
        world.model.then(Play::gives(Ok(completion(finish("Late.").to_string()))).held(&hold));
        world.model.thinks(&finish("In time."));
        let takeover = Takeover::of(world);
        let world = &takeover.world;
        world.say("p", "one").await;
        hold.reached(1).await;
        let second = takeover.another();
        let thread = world.finished("p").await;
        assert_eq!(count(&thread, "thought In time."), 1);
        if told_by_heartbeat {
            takeover.store.back();
            sleep(Duration::from_millis(250)).await;
        }
        hold.open();
        sleep(Duration::from_millis(100)).await;
        assert_eq!(story(&world.thread("p").await), story(&thread));
        let Takeover { first, .. } = takeover;
        assert!(first.stop().await && second.stop().await);
    }
}

#[tokio::test]
async fn a_call_whose_worker_lost_its_lease_is_dropped_and_not_run_again() {
    for told_by_heartbeat in [true, false] {
        let world = World::new();
        world.model.thinks(&act("poke"));
        let hold = Hold::new();
        let done = Ended { outcome: Outcome::Done(json!("late")), files: Vec::new() };
        world.tools.then(Play::gives(done).held(&hold));
        let takeover = Takeover::of(world);
        let world = &takeover.world;
        world.say("p", "poke it").await;
        hold.reached(1).await;
        let second = takeover.another();
        // Nobody knows what became of it: a human is asked.
        let thread = world.until("p", |thread| count(thread, "asked") == 1).await;
        assert_eq!(count(&thread, "acted unknown"), 1);
        assert!(matches!(question(&thread).1.kind, QuestionKind::Unknown { .. }));
        if told_by_heartbeat {
            takeover.store.back();
            sleep(Duration::from_millis(250)).await;
            assert_eq!(world.tools.dropped(), 1, "it goes on although the lease is lost");
        }
        hold.open();
        sleep(Duration::from_millis(100)).await;
        let thread = world.thread("p").await;
        assert_eq!((count(&thread, "acted"), count(&thread, "started")), (1, 1), "{:#?}", story(&thread));
        assert_eq!(world.tools.calls().len(), 1);
        let Takeover { first, .. } = takeover;
        assert!(first.stop().await && second.stop().await);
    }
}

/// A gateway that stood still, or waited long for the store, between the start in the log and the call itself.
#[tokio::test]
async fn a_call_whose_worker_lost_its_lease_before_it_began_is_not_begun() {
    let world = World::new();
    world.model.thinks(&act("poke"));
    let takeover = Takeover::of(world);
    let world = &takeover.world;
    let hold = Hold::new();
    let held = hold.clone();
    takeover.store.fails(move |op| match op {
        Op::Renew(_) => Fault::Held(held.clone()),
        _ => Fault::None,
    });
    world.say("p", "poke it").await;
    hold.reached(1).await;
    let second = takeover.another();
    world.until("p", |thread| count(thread, "asked") == 1).await;
    hold.open();
    sleep(Duration::from_millis(100)).await;
    assert!(world.tools.calls().is_empty(), "it was begun after somebody else said that nobody knows");
    let Takeover { first, .. } = takeover;
    assert!(first.stop().await && second.stop().await);
}

#[tokio::test]
async fn a_call_that_may_be_repeated_is_run_again_under_the_same_name() {
    let world = World::new();
    world.model.thinks(&act("charge"));
    world.tools.then(Play::hangs());
    let takeover = Takeover::of(world);
    let world = &takeover.world;
    world.say("p", "charge it").await;
    world.until("p", |thread| count(thread, "started") == 1).await;
    until("a call", || !world.tools.calls().is_empty()).await;
    let second = takeover.another();
    let thread = world.finished("p").await;
    assert_eq!((count(&thread, "started charge"), count(&thread, "acted ok")), (2, 1));
    let calls = world.tools.calls();
    assert_eq!(calls.len(), 2);
    assert_eq!(calls[0].key, calls[1].key);
    takeover.store.back();
    let Takeover { first, .. } = takeover;
    assert!(first.stop().await && second.stop().await);
}

#[tokio::test]
async fn a_heartbeat_keeps_the_lease_of_a_long_call() {
    let mut world = World::new();
    world.settings.lease = Duration::from_millis(600);
    world.model.thinks(&act("poke"));
    let hold = Hold::new();
    let done = Ended { outcome: Outcome::Done(json!("ok")), files: Vec::new() };
    world.tools.then(Play::gives(done).held(&hold));
    let serving = (world.serve(), world.serve_as("two"));
    world.say("p", "poke it").await;
    hold.reached(1).await;
    for _ in 0..8 {
        sleep(Duration::from_millis(250)).await;
        world.clock.advance(Duration::from_millis(250));
    }
    hold.open();
    let thread = world.finished("p").await;
    assert_eq!((count(&thread, "started"), count(&thread, "acted ok")), (1, 1));
    assert!(serving.0.stop().await && serving.1.stop().await);
}

/// A heartbeat that the store does not answer must not stop the work it is for.
#[tokio::test]
async fn work_goes_on_while_a_heartbeat_is_on_its_way() {
    let mut world = World::new();
    world.settings.lease = Duration::from_millis(90);
    let (beat, hold) = (Hold::new(), Hold::new());
    world.model.then(Play::gives(Ok(completion(finish("Done.").to_string()))).held(&hold));
    let gate = beat.clone();
    world
        .store
        .fails(move |op| if matches!(op, Op::Renew(_)) { Fault::Held(gate.clone()) } else { Fault::None });
    let serving = world.serve();
    world.say("p", "one").await;
    beat.reached(1).await;
    hold.open();
    world.until("p", |thread| count(thread, "thought Done.") == 1).await;
    beat.open();
    assert!(serving.stop().await);
}

#[tokio::test]
async fn a_call_s_end_is_written_once_whatever_the_store_says() {
    // The store is away before it writes, or after; and stays away for the reading that follows.
    let (away, lost) = (Fault::Away, Fault::Lost);
    let courses = [vec![away.clone()], vec![lost.clone()], vec![away.clone(), away.clone(), lost]];
    for (n, course) in courses.into_iter().enumerate() {
        let world = World::new();
        world.model.thinks(&act("poke"));
        let (commits, loads) = (AtomicUsize::new(0), AtomicUsize::new(2));
        world.store.fails(move |op| match op {
            Op::Commit(batch) if writes(batch, |event| matches!(event, Event::Acted(_))) => {
                course.get(commits.fetch_add(1, Ordering::SeqCst)).cloned().unwrap_or(Fault::None)
            }
            // The first two readings after the failure fail as well.
            Op::Load(_) if commits.load(Ordering::SeqCst) > 0 => {
                let left = loads.load(Ordering::SeqCst);
                loads.store(left.saturating_sub(1), Ordering::SeqCst);
                if left > 0 { Fault::Away } else { Fault::None }
            }
            _ => Fault::None,
        });
        let serving = world.serve();
        world.say("p", "poke it").await;
        let thread = world.finished("p").await;
        assert_eq!(count(&thread, "acted ok"), 1, "course {n}: {:#?}", story(&thread));
        assert_eq!(world.tools.calls().len(), 1);
        assert!(serving.stop().await);
    }
}

#[tokio::test]
async fn a_thought_is_written_once_whatever_the_store_says() {
    let world = World::new();
    let (commits, loads) = (AtomicUsize::new(0), AtomicUsize::new(2));
    world.store.fails(move |op| match op {
        Op::Commit(batch) if writes(batch, |event| matches!(event, Event::Thought(_))) => {
            if commits.fetch_add(1, Ordering::SeqCst) == 0 { Fault::Lost } else { Fault::None }
        }
        Op::Load(_) if commits.load(Ordering::SeqCst) > 0 && loads.load(Ordering::SeqCst) > 0 => {
            loads.fetch_sub(1, Ordering::SeqCst);
            Fault::Away
        }
        _ => Fault::None,
    });
    let serving = world.serve();
    world.say("p", "hello").await;
    let thread = world.finished("p").await;
    assert_eq!(count(&thread, "thought"), 1, "{:#?}", story(&thread));
    assert_eq!(world.model.prompts().len(), 1, "a model's answer is dear");
    assert!(serving.stop().await);
}

/// What a tool did is not forgotten because what it made could not be kept at once.
#[tokio::test]
async fn the_files_of_a_call_are_kept_as_patiently_as_its_end() {
    let world = World::new();
    world.model.thinks(&act("poke"));
    world.model.thinks(&json!({ "intent": "act", "tool": "lookup", "args": { "name": "a.csv" } }));
    let made = Made { name: "a.csv".into(), kind: "text/csv".into(), bytes: b"1,2".to_vec() };
    let ended = Ended { outcome: Outcome::Done(json!("ok")), files: vec![made] };
    world.tools.then(Play::gives(ended));
    let failures = AtomicUsize::new(2);
    world.store.fails(move |op| match op {
        Op::Put(_) if failures.load(Ordering::SeqCst) > 0 => {
            failures.fetch_sub(1, Ordering::SeqCst);
            Fault::Away
        }
        _ => Fault::None,
    });
    let serving = world.serve();
    world.say("p", "poke it").await;
    let thread = world.finished("p").await;
    assert_eq!(count(&thread, "started poke"), 1);
    assert_eq!(count(&thread, "acted ok"), 2, "{:#?}", story(&thread));
    assert_eq!(world.tools.calls()[1].file.as_deref(), Some(&b"1,2"[..]));
    assert!(serving.stop().await);
}

/// Numbers come through the store as they are, or the end of the call could never be written.
#[tokio::test]
async fn every_number_of_a_result_can_be_kept() {
    let world = World::new();
    let mut seed = 1_u64;
    let numbers: Vec<f64> = std::iter::repeat_with(|| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        f64::from_bits(seed >> 2)
    })
    .filter(|number| number.is_finite())
    .take(2_000)
    .collect();
    world.model.thinks(&act("poke"));
    let result = json!(numbers).to_string();
    world.tools.ends(Outcome::Done(serde_json::from_str(&result).unwrap()));
    let serving = world.serve();
    world.say("p", "poke it").await;
    let thread = world.until("p", |thread| count(thread, "acted") > 0).await;
    assert_eq!(count(&thread, "acted unknown"), 0);
    assert_eq!(count(&thread, "started"), 1);
    assert!(serving.stop().await);
}

#[tokio::test]
async fn a_step_in_flight_may_end_while_the_gateway_stops() {
    let world = World::new();
    world.model.then(Play::gives(Ok(completion(act("poke").to_string()))).after(Duration::from_millis(200)));
    let serving = world.serve();
    world.say("p", "poke it").await;
    until("a prompt", || !world.model.prompts().is_empty()).await;
    assert!(serving.stop().await);
    assert_eq!(world.story("p").await.last().unwrap(), "thought poke", "the answer was paid for");
    assert!(world.tools.calls().is_empty(), "nothing new was begun");
    // The next worker goes on at once: the lease was given back.
    let serving = world.serve_as("two");
    world.finished("p").await;
    assert_eq!(world.model.prompts().len(), 2);
    assert!(serving.stop().await);
}

#[tokio::test]
async fn a_step_that_does_not_end_is_left_to_the_next_worker() {
    let mut world = World::new();
    world.settings.drain = Duration::from_millis(100);
    world.model.then(Play::hangs());
    let serving = world.serve();
    world.say("p", "hello").await;
    until("a prompt", || !world.model.prompts().is_empty()).await;
    let began = Instant::now();
    assert!(serving.stop().await);
    assert!(began.elapsed() < Duration::from_secs(2), "it stopped after {:?}", began.elapsed());
    // The clock stands: no lease runs out.
    let serving = world.serve_as("two");
    let thread = world.finished("p").await;
    assert_eq!(count(&thread, "thought"), 1);
    assert!(serving.stop().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_workers_on_the_same_threads_begin_each_call_once() {
    let world = World::new();
    // Three calls, then the end; which one is next stands in the prompt.
    world.model.always(|prompt| {
        let called = prompt.messages[1].text.matches("<called>").count();
        let tools = ["lookup", "poke", "charge"];
        let next = tools.get(called).map_or_else(|| finish("Done."), |tool| act(tool));
        Play::gives(Ok(completion(next.to_string()))).after(Duration::from_millis(1))
    });
    let serving = (world.serve(), world.serve_as("two"));
    for n in 0..40 {
        world.say(&format!("p{n}"), "go").await;
    }
    for n in 0..40 {
        let thread = world.finished(&format!("p{n}")).await;
        assert_eq!((count(&thread, "started"), count(&thread, "acted ok")), (3, 3), "{:#?}", story(&thread));
        assert_eq!((count(&thread, "said"), count(&thread, "delivered")), (1, 1));
    }
    let calls = world.tools.calls();
    let names: BTreeSet<_> = calls.iter().map(|call| &call.key).collect();
    assert_eq!((calls.len(), names.len()), (120, 120));
    assert!(serving.0.stop().await && serving.1.stop().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_threads_are_finished_by_two_workers() {
    const THREADS: usize = 1_000;
    let world = Arc::new(World::new());
    let serving = (world.serve(), world.serve_as("two"));
    let began = Instant::now();
    let door = Arc::new(world.door("chat"));
    let mut tasks = tokio::task::JoinSet::new();
    for lot in 0..10 {
        let (world, door) = (world.clone(), door.clone());
        tasks.spawn(async move {
            for n in 0..THREADS / 10 {
                door.accept(world.inbound("ben", &format!("p{lot}-{n}"), "go")).await.unwrap();
            }
        });
    }
    tasks.join_all().await;
    let sent = loop {
        let sent = world.chat.sent();
        if sent.len() >= THREADS {
            break sent;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "{} of them", sent.len());
        sleep(Duration::from_millis(20)).await;
    };
    let keys: BTreeSet<_> = sent.iter().map(|sending| &sending.outgoing.key).collect();
    assert_eq!((sent.len(), keys.len()), (THREADS, THREADS));
    for lot in 0..10 {
        let thread = world.finished(&format!("p{lot}-{lot}")).await;
        assert_eq!(thread.phase(), Phase::Finished);
    }
    println!("{THREADS} threads in {:?}", began.elapsed());
    assert!(serving.0.stop().await && serving.1.stop().await);
}

#[tokio::test]
async fn whatever_a_model_says_the_log_comes_to_an_end() {
    let mut world = World::new();
    world.lines = "limits.steps = 5".to_owned();
    let outputs = [
        "nonsense".to_owned(),
        act("lookup").to_string(),
        act("poke").to_string(),
        act("nothing").to_string(),
        json!({ "intent": "say", "text": "Working." }).to_string(),
        json!({ "intent": "ask", "text": "Who?", "to": "nobody" }).to_string(),
        json!({ "intent": "hand_over", "reason": "I am lost." }).to_string(),
        finish("").to_string(),
    ];
    let mut seed = 7_usize;
    world.model.always(move |_| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        Play::gives(Ok(completion(outputs[(seed >> 33) % 8].as_str())))
    });
    let serving = world.serve();
    let door = world.door("chat");
    for n in 0..60 {
        door.accept(world.inbound("ben", &format!("p{n}"), "go")).await.unwrap();
    }
    for n in 0..60 {
        let over = |thread: &agent::Thread| matches!(thread.phase(), Phase::Finished | Phase::Waiting);
        let thread = world.until(&format!("p{n}"), over).await;
        assert!(thread.version().0 < 60, "{:#?}", story(&thread));
    }
    assert!(serving.stop().await);
}

/// A fault of the gateway's own is tried again soon at first, however old the conversation is.
#[tokio::test]
async fn the_first_retry_of_an_old_conversation_is_soon_and_later_ones_are_not() {
    let world = World::new();
    let serving = world.serve();
    for n in 1..=12 {
        world.say("p", "again").await;
        world.until("p", |thread| count(thread, "finished") == n).await;
    }
    assert!(serving.stop().await);
    world.say("p", "once more").await;
    let waits = Arc::new(Mutex::new(Vec::new()));
    let (noted, clock) = (waits.clone(), world.clock.clone());
    world.store.fails(move |op| match op {
        Op::Load(thread) => Fault::Unreadable(thread.clone()),
        Op::Release(_, Again::Stuck { at, .. }) => {
            noted.lock().unwrap().push(at.duration_since(store::Clock::now(&clock)).unsigned_abs());
            Fault::None
        }
        _ => Fault::None,
    });
    let serving = world.serve();
    for n in 1..=4 {
        until("a wait", || waits.lock().unwrap().len() >= n).await;
        world.clock.advance(Duration::from_secs(10));
    }
    let waits = waits.lock().unwrap().clone();
    assert!(waits[0] <= Duration::from_secs(1), "{waits:?}");
    assert!(waits[3] >= Duration::from_secs(4), "{waits:?}");
    world.store.back();
    world.clock.advance(Duration::from_secs(60));
    world.until("p", |thread| count(thread, "finished") == 13).await;
    assert!(serving.stop().await);
}

#[tokio::test]
async fn a_thread_is_finished_by_the_agent_it_began_with() {
    let mut world = World::new();
    world.model.thinks(&act("deploy"));
    let board = world.board();
    board.library.keep(board.store.as_ref()).await.unwrap();
    let version = board.library.current("tester").unwrap().reference().version;
    let serving = serve(board);
    world.say("p", "deploy").await;
    world.until("p", |thread| count(thread, "asked") == 1).await;
    assert!(serving.stop().await);
    // Another version of the agent comes.
    world.lines = "limits.failures = 2".to_owned();
    let serving = world.serve();
    let thread = world.thread("p").await;
    let card = world.mail.sent_count(1).await[0].outgoing.clone();
    let channel::Content::Card(card) = card.content else { panic!("no card") };
    world.door("mail").accept(world.by_mail("approve", Some(&card.ticket))).await.unwrap();
    assert_eq!(thread.agent().unwrap().version, version);
    let thread = world.finished("p").await;
    assert_eq!(thread.agent().unwrap().version, version);
    world.say("p", "and again").await;
    let thread = world.until("p", |thread| count(thread, "finished") == 2).await;
    assert_ne!(thread.agent().unwrap().version, version, "the next request is the new one's");
    assert!(serving.stop().await);
}

#[tokio::test]
async fn a_thread_whose_agent_is_gone_waits_and_holds_up_nobody() {
    let mut world = World::new();
    world.model.thinks(&act("deploy"));
    let serving = world.serve();
    world.say("p", "deploy").await;
    world.until("p", |thread| count(thread, "asked") == 1).await;
    assert!(serving.stop().await);
    // Another version comes, and the first was not kept.
    world.lines = "limits.failures = 2".to_owned();
    let serving = world.serve();
    world.clock.advance(Duration::from_secs(2 * 86_400));
    world.say("q", "hello").await;
    world.finished("q").await;
    assert_eq!(count(&world.thread("p").await, "lapsed"), 0);
    assert!(serving.stop().await);
    // It is put back.
    world.lines.clear();
    let serving = world.serve();
    world.clock.advance(Duration::from_secs(120));
    world.until("p", |thread| count(thread, "lapsed") == 1).await;
    assert!(serving.stop().await);
}

#[tokio::test]
async fn an_approved_call_runs_and_a_lapsed_one_does_not() {
    for approved in [true, false] {
        let world = World::new();
        world.model.thinks(&act("deploy"));
        let serving = world.serve();
        world.say("p", "deploy").await;
        let sent = world.mail.sent_count(1).await;
        let channel::Content::Card(card) = &sent[0].outgoing.content else { panic!("no card") };
        assert!(world.tools.calls().is_empty());
        if approved {
            let answer = world.by_mail("approve", Some(&card.ticket));
            world.door("mail").accept(answer).await.unwrap();
        } else {
            world.clock.advance(Duration::from_secs(2 * 86_400));
        }
        let thread = world.finished("p").await;
        assert_eq!(count(&thread, "lapsed"), usize::from(!approved));
        assert_eq!(world.tools.calls().len(), usize::from(approved));
        assert!(serving.stop().await);
    }
}

/// A word gives a request up whatever a model is doing: at once where this gateway heard it, soon where another one did.
#[tokio::test]
async fn a_request_that_is_given_up_is_thought_about_no_longer() {
    for here in [true, false] {
        let mut world = World::new();
        world.settings.lease = Duration::from_millis(if here { 600_000 } else { 900 });
        let hold = Hold::new();
        world.model.then(Play::gives(Ok(completion(finish("Late.").to_string()))).held(&hold));
        world.model.thinks(&finish("Next."));
        let board = world.board();
        let door = match here {
            true => Door::new(board.clone(), ChannelName::new("chat")),
            false => world.door("chat"),
        };
        let serving = serve(board);
        world.say("p", "one").await;
        hold.reached(1).await;
        door.accept(world.inbound("ben", "p", "stop")).await.unwrap();
        // The model has not answered, and what comes next is worked on.
        door.accept(world.inbound("ben", "p", "two")).await.unwrap();
        let thread = world.finished("p").await;
        let counts = ["cancelled", "thought Late.", "thought Next."].map(|words| count(&thread, words));
        assert_eq!(counts, [1, 0, 1], "{:#?}", story(&thread));
        hold.open();
        assert!(serving.stop().await);
    }
}
