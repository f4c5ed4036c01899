//! A conversation that has become long goes on in the next thread at its place, and nobody can tell.

use std::sync::LazyLock;

use agent::{
    Acted, Agent, Answer, AskedAgain, Ballot, CallEnd, Decision, Deferral, Event, FaultKind, Heard,
    HeardFile, Home, Intent, Passage, PassageKind, Phase, Question, QuestionEnd, QuestionId, QuestionKind,
    QuestionStatus, Record, Refusal, Reply, Routed, Seq, Snapshot, Speech, Started, Step, Thought, Thread,
    ThreadId, Usage, Version, decide, files, render, snapshot,
};
use channel::{File, MessageRef, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{
    fold::{AGENTS, DIRECTORY, World, sound_log, thread_id},
    render::{LEFT_OUT, SLOTS, everything, hostile, tags, whole},
    support::{Story, act, agent, asked, at, done, failed, failure, finish, home, say, thought, user},
};

/// Agents with windows from roomy to much too small.
static WINDOWS: LazyLock<Vec<Agent>> = LazyLock::new(|| {
    let window = |tokens: u64| {
        let line = format!("context.tokens = {tokens}");
        agent(&[&line, "context.answer_tokens = 20", "output.ask_as = 'text'"])
    };
    [1_000_000, 400, 150].map(window).into()
});

/// The next thread after this one, with nothing in it yet.
fn next(thread: &Thread, now: Timestamp) -> Thread {
    let id = ThreadId::new(&Home::of(&home()), thread.id().generation() + 1);
    Thread::fold(id, [Record::new(now, snapshot(thread, now))])
}

fn former(thread: &Thread) -> &Snapshot {
    thread.former().expect("it goes on from another")
}

/// What begins a request; without a name of its own, as a command has none.
fn request(agent: &Agent, words: &str) -> [Event; 2] {
    let routed = Routed { home: home(), agent: Some(agent.reference()), why: "w".into() };
    let Event::Heard(heard) = crate::support::heard(user(), words) else { panic!() };
    [Event::Routed(routed), Event::Heard(Heard { message: None, ..heard })]
}

/// The same story, in its next thread.
fn go_on(story: &mut Story) {
    story.thread = next(&story.thread, story.now);
}

fn text(story: &Story) -> String {
    render(&story.agent, &story.thread).unwrap().messages[1].text.clone()
}

/// An event at its place in another log.
fn moved(event: &Event, by: &dyn Fn(u64) -> u64) -> Event {
    let seq = |seq: Seq| Seq(by(seq.0));
    let mut event = event.clone();
    match &mut event {
        Event::Thought(Thought { seen, .. }) => *seen = Version(by(seen.0)),
        Event::Started(Started { call, .. }) | Event::Acted(Acted { call, .. }) => call.0 = seq(call.0),
        Event::Asked(Question {
            kind: QuestionKind::Approval { call, .. } | QuestionKind::Unknown { call, .. },
            ..
        }) => call.0 = seq(call.0),
        Event::Asked(Question { kind: QuestionKind::Approvals { calls }, .. }) => {
            calls.iter_mut().for_each(|asked| asked.call.0 = seq(asked.call.0));
        }
        Event::Answered(Answer { question, .. })
        | Event::Voted(Ballot { answer: Answer { question, .. }, .. })
        | Event::AskedAgain(AskedAgain { question, .. })
        | Event::Deferred(Deferral { question, .. })
        | Event::Spoke(Speech { question, .. })
        | Event::Refused(Refusal { question, .. })
        | Event::Withdrawn { question, .. }
        | Event::Lapsed { question } => question.0 = seq(question.0),
        Event::Said(Reply { answers: Some(asked_back), .. }) => *asked_back = seq(*asked_back),
        _ => {}
    }
    event
}

fn moved_step(step: Step, by: &dyn Fn(u64) -> u64) -> Step {
    match step {
        Step::Act(mut call) => {
            call.id.0 = Seq(by(call.id.0.0));
            Step::Act(call)
        }
        Step::Record(events) => Step::Record(events.iter().map(|event| moved(event, by)).collect()),
        step => step,
    }
}

/// Everything that a request can see of what was before it is the same in both threads.
fn are_alike(one: &Thread, other: &Thread) -> Result<(), TestCaseError> {
    for agent in WINDOWS.iter() {
        match (render(agent, one), render(agent, other)) {
            (Ok(one), Ok(other)) => {
                prop_assert_eq!(&one.messages, &other.messages);
                prop_assert_eq!(&one.situation, &other.situation);
                prop_assert_eq!((one.hash(), one.account.tokens), (other.hash(), other.account.tokens));
            }
            (one, other) => prop_assert_eq!(one, other),
        }
    }
    prop_assert_eq!(one.reply_to(), other.reply_to());
    let named = |thread: &Thread, name: &str| files(thread).into_iter().rev().find(|file| file.name == name);
    for file in files(one) {
        prop_assert_eq!(named(one, &file.name), named(other, &file.name));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever its log: the same request is shown the same, byte for byte, in the next thread.
    #[test]
    fn the_next_thread_shows_what_the_long_one_would_have(log in sound_log()) {
        let mut thread = Thread::fold(thread_id(), log);
        // What runs when a request is given up comes to its end, and what was said meanwhile begins another one.
        while !thread.is_idle() {
            thread.apply(Record::new(at(6_000), Event::Cancelled { by: "ana".into() }));
            if let Phase::Running(call) | Phase::Uncertain(call) = thread.phase() {
                let acted = Acted { call, outcome: done(json!("ok")), ms: 1, files: Vec::new() };
                thread.apply(Record::new(at(6_000), Event::Acted(acted)));
            }
        }
        let mut next = next(&thread, at(6_000));
        prop_assert_eq!(next.number(Seq(1)), thread.number(Seq(thread.version().0)));
        for event in request(&AGENTS[0], "and now?") {
            thread.apply(Record::new(at(6_001), event.clone()));
            next.apply(Record::new(at(6_001), event));
        }
        are_alike(&thread, &next)?;
        prop_assert_eq!(thread.phase(), next.phase());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    /// People, models and tools around a conversation: at each step of a later request the next thread has the same step
    /// to do, and shows the same.
    #[test]
    fn the_next_thread_does_what_the_long_one_would_have(
        scripts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..30), 1..4),
        last in prop::collection::vec(any::<u8>(), 0..40),
        // While an approval holds for a while, a conversation goes on in its own thread.
        which in 0..AGENTS.len() - 1,
    ) {
        let agent = &AGENTS[which];
        let mut world = World::new(agent);
        for script in scripts {
            world.run_by(script)?;
        }
        let mut long = world.thread.clone();
        let rest = long.records().last().map_or(at(0), |record| record.at);
        let mut next = next(&long, rest);
        let before = long.version().0;
        let by = move |n: u64| n + 1 - before;
        world.run_by(last)?;
        for record in world.thread.records().iter().skip(usize::try_from(before).unwrap()) {
            next.apply(Record { event: moved(&record.event, &by), ..record.clone() });
            long.apply(record.clone());
            if matches!(record.event, Event::Routed(_)) {
                // The message comes with it.
                continue;
            }
            are_alike(&long, &next)?;
            let step = |thread: &Thread| decide(agent, &DIRECTORY, thread, record.at);
            prop_assert_eq!(moved_step(step(&long), &by), step(&next));
        }
    }

    /// What comes from outside stays text on its way through any number of threads.
    #[test]
    fn what_goes_on_is_inert(words in prop::collection::vec(hostile(), SLOTS), threads in 1..4) {
        let shown = |words: &[String]| {
            let mut story = everything(words);
            story.write(Event::Cancelled { by: words[0].clone() });
            for _ in 0..threads {
                go_on(&mut story);
            }
            story.heard(user(), "x");
            whole(&render(&AGENTS[0], &story.thread).unwrap())
        };
        let harmless = vec!["x".to_owned(); SLOTS];
        prop_assert_eq!(tags(&shown(&words)), tags(&shown(&harmless)));
    }
}

/// One request with everything around it that a request has; nine events.
fn ask_and_answer(story: &mut Story, n: u64, result: &str) {
    story.heard(user(), &format!("QUESTION-{n} {}", "please ".repeat(8)));
    story.ran("lookup", json!({ "id": n }), done(json!({ "n": n, "text": result })));
    story.wants(finish(&format!("ANSWER-{n} {}", "thanks ".repeat(8))));
}

fn json_of(thread: &Thread) -> String {
    serde_json::to_string(&thread.records()[0]).unwrap()
}

/// However long a conversation, what is taken along is no more than so much, and does not grow from thread to thread.
#[test]
fn a_snapshot_of_snapshots_does_not_grow() {
    let mut story = Story::with(agent(&["context.tokens = 1000000"]));
    let mut sizes = Vec::new();
    let mut asked = 0;
    for generation in 1..=50 {
        for _ in 0..12 {
            asked += 1;
            ask_and_answer(&mut story, asked, &"row ".repeat(if generation % 2 == 0 { 50 } else { 900 }));
            let file = File { name: format!("f{asked}"), kind: "k".into(), size: 1, hash: "h".into() };
            let heard = HeardFile { file, text: None, dropped: None };
            let Event::Heard(words) = crate::support::heard(user(), "see") else { panic!() };
            story.heard(user(), "see");
            story.write(Event::Heard(Heard { files: vec![heard], ..words }));
            story.wants(finish("seen"));
        }
        go_on(&mut story);
        sizes.push(json_of(&story.thread).len());
        let kept = former(&story.thread);
        assert!(kept.passages.len() <= 200 && kept.files.len() <= 100, "{generation}");
        assert_eq!(kept.from.generation(), generation);
    }
    assert!(sizes.iter().all(|size| *size < 200_000), "{sizes:?}");
    // But for the digits of larger numbers, the first few are as large as any.
    let most = sizes.iter().take(10).max().unwrap();
    assert!(sizes.iter().all(|size| *size < most + 1_000), "{sizes:?}");
    // The latest is there, the oldest is not, and that is told; the files of the latest names are there.
    story.heard(user(), "and now?");
    let text = text(&story);
    assert!(text.contains(&format!("ANSWER-{asked} ")) && !text.contains("ANSWER-1 "), "{text}");
    assert!(text.contains(LEFT_OUT), "{text}");
    let names: Vec<String> = files(&story.thread).into_iter().map(|file| file.name).collect();
    assert_eq!(names.len(), 100);
    assert_eq!(names.last(), Some(&format!("f{asked}")));
    // Numbers go on from thread to thread as if there had been one.
    let (per, before) = (story.thread.version().0, former(&story.thread).events);
    assert_eq!(story.thread.number(Seq(per)), before + per - 1);
}

/// A snapshot of what has just begun is what it began with.
#[test]
fn nothing_is_lost_by_going_on_twice() {
    let mut story = Story::with(agent(&[]));
    for n in 0..80 {
        ask_and_answer(&mut story, n, &"row ".repeat(9_000));
    }
    go_on(&mut story);
    let once = former(&story.thread).clone();
    go_on(&mut story);
    let twice = Snapshot { from: once.from.clone(), ..former(&story.thread).clone() };
    assert_eq!(once, twice);
    assert!(once.left_out > 0);
}

/// A conversation of so many requests, with room for all of it.
fn talk(requests: u64, result: &str) -> Story {
    let mut story = Story::with(agent(&["context.tokens = 10000000"]));
    for n in 1..=requests {
        ask_and_answer(&mut story, n, result);
    }
    story
}

/// Where not everything can go on, the oldest stays behind and a line says so; nothing becomes more.
#[test]
fn what_does_not_fit_stays_behind_oldest_first() {
    let line = 20;
    for (requests, words) in [(90, 4), (20, 3_000), (3, 50_000)] {
        let result = "row ".repeat(words);
        let (mut long, mut next) = (talk(requests, &result), talk(requests, &result));
        go_on(&mut next);
        for story in [&mut long, &mut next] {
            story.heard(user(), "and now?");
        }
        let tokens = |story: &Story| render(&story.agent, &story.thread).unwrap().account.tokens;
        assert!(tokens(&next) <= tokens(&long) + line, "{} after {}", tokens(&next), tokens(&long));
        let text = text(&next);
        let there: Vec<u64> = (1..=requests).filter(|n| text.contains(&format!("ANSWER-{n} "))).collect();
        let first = there.first().copied().unwrap();
        assert_eq!(there, (first..=requests).collect::<Vec<_>>());
        // A result that alone is too large loses its middle and keeps its ends.
        let is_cut = words == 50_000;
        assert_eq!(text.contains("characters were left out here"), is_cut);
        assert_eq!((text.contains(LEFT_OUT), first > 1), (!is_cut, !is_cut), "{requests}");
    }
}

/// What cannot be cut and is too large goes alone; the rest stays.
#[test]
fn what_is_too_large_to_go_on_is_missing_alone() {
    let mut story = Story::with(agent(&["context.tokens = 10000000"]));
    ask_and_answer(&mut story, 1, "one");
    story.heard(user(), "deploy");
    let (question, call) = story.asks_approval("deploy", json!({ "arg": "x".repeat(40_000) }));
    story.answered(question, Decision::Approve);
    story.started(call, "deploy", &json!({ "arg": "x" }));
    story.acted(call, done(json!("RESULT")));
    story.wants(finish("DEPLOYED"));
    go_on(&mut story);
    story.heard(user(), "and now?");
    let text = text(&story);
    for (words, there) in
        [("ANSWER-1", true), ("<approval", false), ("RESULT", true), ("DEPLOYED", true), (LEFT_OUT, true)]
    {
        assert_eq!(text.contains(words), there, "{words}: {text}");
    }
}

/// A log can hold a value that could not be kept any deeper: what goes on of it is a text.
#[test]
fn a_value_as_deep_as_a_log_can_hold_does_not_keep_a_conversation_from_going_on() {
    let deep = |depth| (0..depth).fold(json!("x"), |inner: Value, _| json!([inner]));
    let reads = |thread: &Thread| {
        thread.records().iter().all(|record| {
            let json = serde_json::to_string(record).unwrap();
            serde_json::from_str::<Record>(&json).is_ok_and(|back| back == *record)
        })
    };
    let mut story = Story::new(&["context.tokens = 10000000"]);
    let depth = (1..200)
        .take_while(|depth| {
            let mut story = Story::new(&[]);
            story.ran("lookup", deep(*depth), done(deep(*depth)));
            reads(&story.thread)
        })
        .last()
        .unwrap();
    assert!((100..199).contains(&depth), "{depth}: there is an end to what can be read back");
    story.ran("lookup", json!({ "a": deep(depth - 1) }), done(deep(depth)));
    story.wants(finish("done"));
    assert!(reads(&story.thread));
    for _ in 0..3 {
        go_on(&mut story);
        assert!(reads(&story.thread));
    }
    story.heard(user(), "and now?");
    assert!(text(&story).contains(&format!("<result>{}</result>", deep(depth))));
}

/// What a human denied is not asked again at once because a conversation has become long.
#[test]
fn a_denial_outlives_its_thread_as_long_as_it_holds() {
    let args = json!({ "v": 1 });
    let denied = || {
        let mut story = Story::with(agent(&[]));
        story.heard(user(), "deploy");
        let (question, _) = story.asks_approval("deploy", args.clone());
        story.answered(question, Decision::Reject { comment: Some("not now".into()) });
        story.wants(finish("It was denied."));
        for _ in 0..3 {
            go_on(&mut story);
        }
        story
    };
    let mut story = denied();
    story.heard(user(), "deploy, again");
    let events = story.wants(act("deploy", args.clone()));
    assert_eq!(failure(&events).kind, FaultKind::Denied);
    // Other arguments are another call.
    let events = story.wants(act("deploy", json!({ "v": 2 })));
    assert!(matches!(asked(&events).kind, QuestionKind::Approval { .. }));
    let mut story = denied();
    story.pass(601);
    story.heard(user(), "deploy, again");
    let events = story.wants(act("deploy", args.clone()));
    assert!(matches!(asked(&events).kind, QuestionKind::Approval { .. }));
    // By then it is not taken along any more.
    story.write(Event::Cancelled { by: "ana".into() });
    go_on(&mut story);
    assert_eq!(former(&story.thread).denied, []);
}

#[test]
fn a_file_can_be_named_in_the_next_thread() {
    let mut story = Story::with(agent(&[]));
    let file = |name: &str, hash: &str| File {
        name: name.into(),
        kind: "text/csv".into(),
        size: 2,
        hash: hash.into(),
    };
    let send = |story: &mut Story, files: Vec<File>| {
        let Event::Heard(heard) = crate::support::heard(user(), "see") else { panic!() };
        let files = files.into_iter().map(|file| HeardFile { file, text: None, dropped: None }).collect();
        story.heard(user(), "hello");
        story.write(Event::Heard(Heard { files, ..heard }));
        story.wants(finish("ok"));
    };
    send(&mut story, vec![file("a.csv", "old"), file("b.csv", "b"), file("gone.csv", "")]);
    send(&mut story, vec![file("a.csv", "new")]);
    story.heard(user(), "report");
    let call = story.ran("lookup", json!({}), done(json!("x")));
    story.write(Event::Acted(Acted {
        call,
        outcome: done(json!("x")),
        ms: 1,
        files: vec![file("out.csv", "o")],
    }));
    story.wants(finish("ok"));
    go_on(&mut story);
    assert_eq!(former(&story.thread).files, [file("b.csv", "b"), file("a.csv", "new"), file("out.csv", "o")]);
    story.heard(user(), "send me a.csv");
    let events =
        story.wants(Intent::Say { text: "here".into(), files: vec!["a.csv".into(), "out.csv".into()] });
    assert_eq!(crate::support::said(&events).files, [file("a.csv", "new"), file("out.csv", "o")]);
}

/// What was edited or taken back, what was handed over, what failed and what was made good: as it was last.
#[test]
fn what_goes_on_is_what_was_last() {
    let mut story = Story::with(agent(&["limits.failures = 9"]));
    let heard = |story: &mut Story, name: &str, words: &str| {
        let Event::Heard(heard) = crate::support::heard(user(), words) else { panic!() };
        story.write(Event::Heard(Heard { message: Some(MessageRef::new(name)), ..heard }));
    };
    story.heard(user(), "FIRST");
    heard(&mut story, "m-2", "SECOND");
    heard(&mut story, "m-3", "THIRD");
    let (message, by) = (MessageRef::new("m-2"), user());
    story.write(Event::Edited(agent::Edit { message, by, text: "SECOND-EDITED".into(), original: None }));
    story.write(Event::Deleted { message: MessageRef::new("m-3"), by: user() });
    story.ran("lookup", json!({}), failed("MADE-GOOD"));
    story.ran("lookup", json!({ "n": 2 }), done(json!("x")));
    story.ran("charge", json!({}), failed("FAILED"));
    story.wants(finish("ok"));
    go_on(&mut story);
    let told: Vec<String> = former(&story.thread).passages.iter().map(|one| format!("{one:?}")).collect();
    let told = told.join("\n");
    for (words, there) in [
        ("FIRST", true),
        ("SECOND-EDITED", true),
        ("SECOND\"", false),
        ("THIRD", false),
        ("MADE-GOOD", false),
        ("FAILED", true),
    ] {
        assert_eq!(told.contains(words), there, "{words}: {told}");
    }
    // Who said it may not change it any more.
    story.heard(user(), "x");
    assert_eq!(story.thread.unanswered(&MessageRef::new("m-2"), &user()), None);
    assert!(text(&story).contains("edited=\"yes\">SECOND-EDITED"));
}

/// It is the first event of a log or nothing: nobody can make a thread forget by writing one later.
#[test]
fn a_thread_goes_on_from_another_only_at_its_beginning() {
    let mut story = Story::new(&[]);
    let before = (story.thread.agent().cloned(), text(&story), files(&story.thread));
    let passages = vec![
        Passage {
            number: 0,
            run: 0,
            kind: PassageKind::Approval {
                tool: "deploy".into(),
                args: "{}".into(),
                end: QuestionEnd { status: QuestionStatus::Approved, by: "ana".into(), words: String::new() },
            },
        },
        Passage {
            number: 1,
            run: 0,
            kind: PassageKind::Called { tool: "deploy".into(), args: "{}".into(), end: CallEnd::Running },
        },
    ];
    story.write(Event::Continued(Box::new(Snapshot {
        from: ThreadId::of_nobody(),
        events: 100,
        agent: None,
        passages,
        left_out: 1,
        files: vec![File { name: "f".into(), kind: "k".into(), size: 1, hash: "h".into() }],
        denied: Vec::new(),
        reply_to: None,
        measured: None,
        paused: true,
    })));
    assert_eq!((story.thread.agent().cloned(), text(&story), files(&story.thread)), before);
    assert_eq!(story.thread.number(Seq(1)), 1);
    assert_eq!(story.step(), Step::Think);
}

/// What was stopped stays stopped; who had the conversation has it.
#[test]
fn what_was_stopped_and_whose_it_was_goes_on() {
    let mut story = Story::new(&[]);
    let agent = story.agent.reference();
    story.wants(finish("ok"));
    story.write(Event::Paused { by: "ana".into() });
    go_on(&mut story);
    assert_eq!(story.thread.agent(), Some(&agent));
    story.heard(user(), "and now?");
    assert_eq!(story.step(), Step::Wait(None));
    story.write(Event::Resumed { by: "ana".into() });
    assert_eq!(story.step(), Step::Think);
}

#[test]
fn the_estimate_goes_on_being_corrected() {
    let mut story = Story::new(&[]);
    let seen = story.thread.version();
    let Event::Thought(last) = thought(finish("ok"), seen) else { panic!() };
    let usage = Usage { input: 1_500, calls: 1, ..Usage::default() };
    story.write(Event::Thought(Thought { usage, estimated: 1_000, ..last }));
    story.record();
    for _ in 0..2 {
        go_on(&mut story);
    }
    story.heard(user(), "and now?");
    let account = render(&story.agent, &story.thread).unwrap().account;
    assert_eq!(account.tokens, account.tokens_raw * 1_500 / 1_000);
}

/// An answer to a question of the former thread is looked for there, never taken for one of this.
#[test]
fn a_question_of_the_former_thread_is_none_of_the_next() {
    let mut story = Story::new(&[]);
    story.wants(crate::support::ask("which?", None, &[]));
    let question = story.open();
    story.answered(question, Decision::Text("the blue one".into()));
    story.wants(say("ok"));
    story.wants(finish("done"));
    go_on(&mut story);
    assert_eq!((story.thread.question(question), story.thread.settled_by(question)), (None, None));
    assert_eq!(story.thread.question(QuestionId(Seq(0))), None);
}

/// A small window: the next thread knows that something is missing, and has room.
#[test]
fn a_long_conversation_goes_on_in_a_small_window() {
    let mut story = talk(300, &"row ".repeat(30));
    story.agent = agent(&["context.tokens = 2000"]);
    for _ in 0..3 {
        go_on(&mut story);
    }
    story.heard(user(), "and now?");
    let text = text(&story);
    assert!(text.contains("ANSWER-300 ") && text.contains("and now?"), "{text}");
    assert_eq!(text.matches(LEFT_OUT).count(), 1, "{text}");
}
