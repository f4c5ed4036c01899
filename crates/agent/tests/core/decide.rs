//! What happens next, case by case.

use agent::{
    AgentRef, Author, CallId, Decision, Event, Fault, FaultKind, Intent, Outcome, Phase, QuestionId,
    QuestionKind, Step, Version, args_hash, escalate, lost,
};
use serde_json::{Value, json};

use crate::support::{
    Story, act, agent, answered, ask, asked, at, directory, done, failed, failure, fault, finish, home,
    place, proven, runs, said, say, thought, user,
};

/// The step after this thought.
fn step_after(lines: &[&str], intent: Intent) -> (Story, Step) {
    let mut story = Story::new(lines);
    story.thought(intent);
    let step = story.step();
    (story, step)
}

fn places(story: &Story, id: QuestionId) -> Vec<&str> {
    story.question(id).asked.iter().map(|asked| asked.at.place.as_str()).collect()
}

/// That this hands over to the desk: the fact with its reason, the question to the operators, a word to the user.
fn hands_over(events: &[Event], because: &str) {
    let [Event::HandedOver { why }, Event::Asked(question), Event::Said(reply)] = events else {
        panic!("this does not hand over: {events:#?}");
    };
    assert!(why.contains(because), "{why:?} does not say {because:?}");
    assert!(question.text.contains(because), "{}", question.text);
    assert_eq!(question.kind, QuestionKind::HandOver);
    assert_eq!(question.asked, directory().desks["operators"].places);
    assert_eq!(question.audience.members, ["ana", "ben"]);
    assert_eq!((&reply.to, &reply.by), (&home(), &Author::Gateway));
}

#[test]
fn the_policy_allows_asks_and_denies() {
    for (tool, args, outcome) in [
        ("lookup", json!({ "id": 7 }), "runs"),
        ("poke", json!({}), "runs"),
        ("deploy", json!({ "version": "v1" }), "asks operators"),
        ("refund", json!({ "amount": 100 }), "runs"),
        ("refund", json!({ "amount": 101 }), "asks finance"),
        ("refund", json!({ "amount": 1001 }), "denied"),
        // What a rule cannot compute for these arguments is not allowed.
        ("refund", json!({}), "denied"),
        ("refund", json!({ "amount": "101" }), "denied"),
        ("wipe", json!({}), "denied"),
        ("teleport", json!({}), "no such tool"),
    ] {
        let (story, step) = step_after(&[], act(tool, args.clone()));
        let found = match &step {
            Step::Act(call) => {
                assert_eq!((call.tool.as_str(), &call.args, &call.hash), (tool, &args, &args_hash(&args)));
                assert_eq!(Phase::Deciding(call.id.0), story.phase());
                "runs".to_owned()
            }
            Step::Record(events) => match events.first() {
                Some(Event::Asked(question)) => {
                    let kind = QuestionKind::Approval {
                        call: CallId(agent::Seq(story.thread.version().0 - 1)),
                        tool: tool.into(),
                        args: args.clone(),
                        hash: args_hash(&args),
                    };
                    assert_eq!(question.kind, kind, "what is asked is not what would run");
                    assert!(!question.audience.requester);
                    format!("asks {}", question.audience.members.join(" "))
                }
                _ if failure(events).kind == FaultKind::Denied => "denied".into(),
                _ if failure(events).kind == FaultKind::BadCall => "no such tool".into(),
                _ => panic!("{events:#?}"),
            },
            Step::Think | Step::Wait(_) => panic!("{step:?}"),
        };
        assert_eq!(found, outcome, "{tool} {args}");
    }
}

#[test]
fn an_approval_is_asked_at_home_or_at_the_desk() {
    let (ana, ulla) = (proven("web", "ana"), user());
    let desk = vec!["to:ana@corp.example", "to:ben@corp.example"];
    for (ask_at, from, at) in [
        ("nearest", &ana, vec!["page-1"]),
        ("nearest", &ulla, desk.clone()),
        ("origin", &ulla, vec!["page-1"]),
        ("origin", &ana, vec!["page-1"]),
        ("desk", &ana, desk.clone()),
        ("desk", &ulla, desk),
    ] {
        let agent = agent(&[&format!("ask_at = '{ask_at}'")]);
        let mut story = Story::begin(agent, from.clone(), "please");
        let (id, _) = story.asks_approval("deploy", json!({}));
        assert_eq!(places(&story, id), at, "{ask_at} for {}", from.id);
        // Who is asked elsewhere is asked behind the back of nobody: the people at home are told.
        let elsewhere = at != ["page-1"];
        let told = story.thread.records().iter().any(|record| matches!(&record.event, Event::Said(_)));
        assert_eq!(told, elsewhere, "{ask_at} for {}", from.id);
    }
}

#[test]
fn an_approval_at_the_desk_goes_to_those_who_may_give_it() {
    // The rule's approvers are finance, and the desk it names is the operators': nobody there may approve.
    let lines = ["desk = 'hall'"];
    let text = crate::support::toml(&[]).replace("desk = \"operators\"", lines[0]);
    let mut files = crate::support::files(&[]);
    files.insert("agent.toml".into(), text.replace("desk = \"finance\"", "desk = \"operators\""));
    let mut story = Story::begin(crate::support::load(files), user(), "please");
    let events = story.wants(act("refund", json!({ "amount": 500 })));
    let Some(Event::HandedOver { why }) = events.first() else { panic!("{events:#?}") };
    assert!(why.contains("nobody to ask"), "{why}");
    // A place that belongs to no member is shared: its card may go there, and the roster decides who may answer.
    let Some(Event::Asked(question)) = events.get(1) else { panic!("{events:#?}") };
    assert_eq!(question.asked[0].at, place("web", "hall"));
    assert_eq!(question.audience.members, ["operators"]);
}

#[test]
fn an_approved_call_runs_as_it_was_approved() {
    let mut story = Story::new(&[]);
    let args = json!({ "version": "v1.4", "token": "s" });
    let (id, call) = story.asks_approval("deploy", args.clone());
    assert_eq!(story.phase(), Phase::Waiting);
    assert_eq!(story.step(), Step::Wait(Some(story.question(id).deadline)));
    story.answered(id, Decision::Approve);
    let step = story.step();
    assert!(
        matches!(&step, Step::Act(c) if c.id == call && c.tool == "deploy" && c.args == args),
        "{step:?}"
    );
    // A crash before `started` changes nothing: it is still cleared.
    assert_eq!(story.step(), step);
    story.started(call, "deploy", &args);
    story.acted(call, done(json!("ok")));
    assert_eq!(story.step(), Step::Think);
    // The grant is used up; the same wish is asked about again.
    let (again, _) = story.asks_approval("deploy", args);
    assert_ne!(again, id);
}

#[test]
fn a_second_approval_of_the_same_question_clears_nothing() {
    let mut story = Story::new(&[]);
    let (id, call) = story.asks_approval("deploy", json!({}));
    story.answered(id, Decision::Approve);
    story.started(call, "deploy", &json!({}));
    story.acted(call, done(json!("ok")));
    story.answered(id, Decision::Approve);
    assert_eq!(story.step(), Step::Think);
}

#[test]
fn a_rejection_and_a_lapse_lead_to_a_thought_and_to_no_run() {
    for event in 0..2 {
        let mut story = Story::new(&[]);
        let (id, call) = story.asks_approval("deploy", json!({}));
        match event {
            0 => story.answered(id, Decision::Reject { comment: Some("not now".into()) }),
            _ => story.write(Event::Lapsed { question: id }),
        };
        assert_eq!(story.phase(), Phase::Thinking);
        assert_eq!(story.step(), Step::Think);
        // Too late: a yes after the end decides nothing.
        story.answered(id, Decision::Approve);
        assert!(!runs(&story.step(), call));
        assert_eq!(story.thread.starts(call), 0);
    }
}

#[test]
fn only_approve_clears_a_call() {
    for decision in [
        Decision::Reject { comment: None },
        Decision::Option(0),
        Decision::Option(1),
        Decision::Text("approve".into()),
    ] {
        let mut story = Story::new(&[]);
        let (id, _) = story.asks_approval("deploy", json!({}));
        story.answered(id, decision.clone());
        assert_eq!(story.step(), Step::Think, "{decision:?}");
    }
}

#[test]
fn what_was_approved_is_what_runs_or_nothing_does() {
    let mut story = Story::new(&[]);
    story.thought(act("deploy", json!({ "version": "v1" })));
    let Step::Record(events) = story.step() else { panic!() };
    let mut question = asked(&events).clone();
    let QuestionKind::Approval { hash, .. } = &mut question.kind else { panic!() };
    // The log was changed between the thought and the card: the approval is for other arguments.
    *hash = args_hash(&json!({ "version": "v2" }));
    let id = QuestionId(story.write(Event::Asked(question)));
    story.answered(id, Decision::Approve);
    let events = story.record();
    assert_eq!(failure(&events).kind, FaultKind::Denied);
    assert!(failure(&events).what.contains("not what would run"));
}

#[test]
fn a_question_lapses_at_its_deadline() {
    let mut story = Story::new(&["approval_deadline = '1h'", "question_deadline = '2h'"]);
    let (id, _) = story.asks_approval("deploy", json!({}));
    story.pass(3500);
    assert!(matches!(story.step(), Step::Wait(Some(_))));
    story.pass(100);
    assert_eq!(story.step(), Step::Record(vec![Event::Lapsed { question: id }]));
    story.record();
    assert_eq!(story.step(), Step::Think);

    let mut story = Story::new(&["question_deadline = '2h'"]);
    let events = story.wants(ask("which?", None, &[]));
    assert_eq!(asked(&events).deadline, story.question(story.open()).deadline);
    story.pass(7100);
    assert!(matches!(story.step(), Step::Wait(Some(_))));
    story.pass(100);
    assert!(matches!(story.step(), Step::Record(_)));
}

#[test]
fn a_question_goes_home_or_to_a_desk_and_nowhere_else() {
    let mut story = Story::new(&[]);
    let events = story.wants(ask("which?", None, &["a", "b"]));
    let question = asked(&events);
    assert_eq!(events.len(), 1, "the card is the word to the people at home");
    assert_eq!((question.asked[0].at.clone(), question.audience.requester), (home(), true));
    assert_eq!(question.options, ["a", "b"]);
    assert_eq!(question.requester, Some(user()));

    let mut story = Story::new(&[]);
    let events = story.wants(ask("which?", Some("finance"), &[]));
    let question = asked(&events);
    assert_eq!(question.asked, directory().desks["finance"].places);
    assert_eq!(
        (question.audience.requester, &question.audience.members[..]),
        (false, &["cleo".to_owned()][..])
    );
    assert_eq!(said(&events).to, home());

    for nowhere in ["mars", "empty", "ana@corp.example"] {
        let (_, step) = step_after(&[], ask("which?", Some(nowhere), &[]));
        let Step::Record(events) = step else { panic!("{step:?}") };
        assert_eq!(failure(&events).kind, FaultKind::BadCall, "{nowhere}");
    }
}

#[test]
fn words_go_home_with_the_files_they_name() {
    let mut story = Story::new(&[]);
    let file = |hash: &str| channel::File {
        name: "out.csv".into(),
        kind: "text/csv".into(),
        size: 1,
        hash: hash.into(),
    };
    let call = story.ran("lookup", json!({}), done(json!(1)));
    story.write(Event::Acted(agent::Acted {
        call,
        outcome: done(json!(1)),
        ms: 0,
        files: vec![file("old"), file("new")],
    }));
    let intent = Intent::Say { text: "here".into(), files: vec!["out.csv".into(), "secrets".into()] };
    let events = story.wants(intent);
    let reply = said(&events);
    assert_eq!((&reply.to, &reply.by, reply.text.as_str()), (&home(), &Author::Agent, "here"));
    // The latest of that name; a name that is no file of this thread brings nothing.
    assert_eq!(reply.files, [file("new")]);
    assert_eq!(story.step(), Step::Think);
    let events = story.wants(finish("bye"));
    assert_eq!(events.last(), Some(&Event::Finished));
    assert_eq!(story.phase(), Phase::Finished);
    assert_eq!(story.step(), Step::Wait(None));
}

#[test]
fn an_interrupted_call_that_must_not_repeat_is_never_run_again() {
    let mut story = Story::new(&[]);
    let args = json!({ "version": "v1" });
    let (id, call) = story.asks_approval("deploy", args.clone());
    story.answered(id, Decision::Approve);
    story.started(call, "deploy", &args);
    // The process stopped here. First the log says that nobody knows, then a human is asked.
    let events = story.record();
    assert!(
        matches!(&events[..], [Event::Acted(acted)] if acted.call == call && matches!(acted.outcome, Outcome::Unknown { .. })),
        "{events:#?}"
    );
    assert_eq!(story.phase(), Phase::Uncertain(call));
    let events = story.record();
    let question = asked(&events);
    assert_eq!(question.kind, QuestionKind::Unknown { call, tool: "deploy".into(), args: args.clone() });
    assert_eq!(question.options, ["It happened", "It did not happen, run it again", "Leave it"]);
    assert_eq!(question.audience.members, ["operators"]);
    assert!(said(&events).text.contains("deploy"));
    assert_eq!(story.thread.starts(call), 1);
}

#[test]
fn each_answer_to_what_happened_has_its_effect() {
    for (decision, again) in [
        (Some(Decision::Option(0)), false),
        (Some(Decision::Option(1)), true),
        (Some(Decision::Option(2)), false),
        (Some(Decision::Option(9)), false),
        (Some(Decision::Text("run it again".into())), false),
        (Some(Decision::Approve), false),
        (None, false),
    ] {
        let mut story = Story::new(&[]);
        let args = json!({ "n": 1 });
        let call = CallId(story.thought(act("poke", args.clone())));
        story.started(call, "poke", &args);
        story.acted(call, Outcome::Unknown { why: "time-out".into() });
        let events = story.record();
        assert!(asked(&events).text.contains("time-out"));
        let id = story.open();
        match &decision {
            Some(decision) => story.answered(id, decision.clone()),
            None => story.write(Event::Lapsed { question: id }),
        };
        let step = story.step();
        if again {
            // Another call, named by the answered question, with the very same arguments.
            let Step::Act(new) = &step else { panic!("{step:?}") };
            assert_eq!((new.id, &new.args, new.tool.as_str()), (CallId(id.0), &args, "poke"));
            story.started(new.id, "poke", &args);
            // That one is not repeated either.
            assert!(matches!(story.record()[..], [Event::Acted(_)]));
            assert_eq!((story.thread.starts(call), story.thread.starts(CallId(id.0))), (1, 1));
        } else {
            assert_eq!(step, Step::Think, "{decision:?}");
        }
    }
}

#[test]
fn a_call_that_may_repeat_is_begun_at_most_three_times() {
    for tool in ["lookup", "charge"] {
        let mut story = Story::new(&[]);
        let call = CallId(story.thought(act(tool, json!({}))));
        for start in 1..=3 {
            assert!(runs(&story.step(), call), "{tool}, start {start}");
            story.started(call, tool, &json!({}));
        }
        let events = story.record();
        let [Event::Acted(acted)] = &events[..] else { panic!("{events:?}") };
        // Where repeating does no harm it does not matter whether it happened: the agent goes on.
        match &acted.outcome {
            Outcome::Failed(fault) => assert_eq!((tool, fault.kind), ("lookup", FaultKind::ToolFailed)),
            Outcome::Unknown { .. } => {
                assert_eq!(tool, "charge");
                assert!(matches!(asked(&story.record()).kind, QuestionKind::Unknown { .. }));
            }
            Outcome::Done(_) => panic!("nobody saw its end"),
        }
    }
}

#[test]
fn an_unknown_end_of_a_call_that_may_repeat_is_cleared_up_by_running_it_again() {
    for tool in ["lookup", "charge"] {
        let mut story = Story::new(&[]);
        let call = CallId(story.thought(act(tool, json!({}))));
        for _ in 1..=2 {
            story.started(call, tool, &json!({}));
            story.acted(call, Outcome::Unknown { why: "time-out".into() });
            assert!(runs(&story.step(), call), "{tool}");
        }
        story.started(call, tool, &json!({}));
        story.acted(call, Outcome::Unknown { why: "time-out".into() });
        assert!(matches!(asked(&story.record()).kind, QuestionKind::Unknown { .. }));
        assert_eq!(story.thread.starts(call), 3);
    }
}

#[test]
fn a_call_whose_tool_is_gone_is_not_run_again() {
    let mut story = Story::new(&[]);
    let call = CallId(story.thought(act("teleport", json!({}))));
    story.started(call, "teleport", &json!({}));
    assert!(matches!(story.record()[..], [Event::Acted(_)]));
    assert!(matches!(asked(&story.record()).kind, QuestionKind::Unknown { .. }));
    story.answered(story.open(), Decision::Option(1));
    assert_eq!(failure(&story.record()).kind, FaultKind::BadCall);
}

#[test]
fn each_limit_hands_over() {
    // Steps.
    let mut story = Story::new(&["limits.steps = 2"]);
    story.wants(say("one"));
    assert_eq!(story.step(), Step::Think);
    story.wants(say("two"));
    hands_over(&story.record(), "2 steps");

    // Requests to models, re-asks included.
    let mut story = Story::new(&["limits.model_calls = 5"]);
    let mut event = thought(say("x"), Version(2));
    let Event::Thought(thought) = &mut event else { panic!() };
    thought.usage.calls = 5;
    story.write(event);
    story.record();
    hands_over(&story.record(), "5 times");

    // Failed requests count too.
    let mut story = Story::new(&["limits.model_calls = 5"]);
    let mut event = fault(FaultKind::BadOutput, "x");
    let Event::Failed(failure) = &mut event else { panic!() };
    failure.usage.calls = 6;
    failure.usage.input = 99;
    story.write(event);
    hands_over(&story.record(), "6 times");

    // Tokens.
    let mut story = Story::new(&["limits.tokens = 15"]);
    story.wants(say("one"));
    hands_over(&story.record(), "15 tokens");

    // Failures in a row.
    let mut story = Story::new(&["limits.failures = 2"]);
    story.fault("a");
    assert_eq!(story.step(), Step::Think);
    story.fault("b");
    hands_over(&story.record(), "2 failures in a row; the last one: b");

    // The same error, also with successes in between.
    let mut story = Story::new(&["limits.same_error = 2"]);
    story.fault("same");
    story.wants(say("x"));
    story.fault("other");
    story.wants(say("x"));
    story.fault("same");
    hands_over(&story.record(), "the same error came 2 times: same");

    // The same call.
    let mut story = Story::new(&["limits.same_call = 2"]);
    story.ran("lookup", json!({ "id": 1 }), done(json!(1)));
    story.ran("lookup", json!({ "id": 1 }), done(json!(1)));
    story.ran("lookup", json!({ "id": 2 }), done(json!(1)));
    hands_over(&story.wants(act("lookup", json!({ "id": 1 }))), "after 2 times");

    // To and fro.
    let mut story = Story::new(&["limits.same_call = 9"]);
    for (n, id) in [1, 2, 1].into_iter().enumerate() {
        let step = {
            story.thought(act("lookup", json!({ "id": id })));
            story.step()
        };
        let Step::Act(call) = step else { panic!("{n}: {step:?}") };
        story.started(call.id, "lookup", &call.args);
        story.acted(call.id, done(json!(1)));
    }
    hands_over(&story.wants(act("lookup", json!({ "id": 2 }))), "back and forth");
}

#[test]
fn a_success_begins_the_count_of_failures_anew() {
    let mut story = Story::new(&["limits.failures = 2", "limits.same_error = 9"]);
    for _ in 0..3 {
        story.fault("x");
        assert_eq!(story.step(), Step::Think);
        story.wants(say("x"));
    }
    story.fault("x");
    story.ran("lookup", json!({}), failed("no"));
    hands_over(&story.record(), "2 failures");
}

#[test]
fn waiting_for_people_is_not_time_at_work() {
    let mut story = Story::new(&["limits.active = '60s'", "approval_deadline = '7d'"]);
    let (id, call) = story.asks_approval("deploy", json!({}));
    story.pass(86_400);
    story.answered(id, Decision::Reject { comment: None });
    assert_eq!(story.step(), Step::Think, "a day of waiting was counted as work");
    // A message meanwhile changes nothing about that.
    let events = story.wants(ask("sure?", None, &[]));
    asked(&events);
    story.heard(user(), "hm");
    story.pass(86_400);
    story.answered(story.open(), Decision::Text("yes".into()));
    assert_eq!(story.step(), Step::Think);
    story.pass(61);
    hands_over(&story.record(), "it worked for 1m");
    assert_eq!(story.thread.starts(call), 0);
}

#[test]
fn a_request_is_counted_from_its_own_beginning() {
    let mut story = Story::new(&["limits.steps = 2", "limits.tokens = 40"]);
    for _ in 0..5 {
        story.wants(say("x"));
        story.wants(finish("y"));
        story.pass(86_400);
        story.heard(user(), "again");
        assert_eq!(story.step(), Step::Think);
    }
}

#[test]
fn the_desk_answers_in_the_agents_place() {
    let mut story = Story::new(&[]);
    story.thought(Intent::HandOver { reason: "I am lost".into() });
    let events = story.record();
    hands_over(&events, "I am lost");
    assert!(asked(&events).text.contains("please"), "the request is not in the summary");
    let id = story.open();
    story.answered(id, Decision::Text("I will call you.".into()));
    assert_eq!(story.phase(), Phase::Relaying(id));
    let events = story.record();
    let reply = said(&events);
    assert_eq!((reply.text.as_str(), &reply.to), ("I will call you.", &home()));
    assert_eq!(reply.by, Author::Member("ana".into()));
    assert_eq!(events.last(), Some(&Event::Finished));
    // The request is over: what was heard before the hand-over is not worked on again.
    assert_eq!(story.phase(), Phase::Finished);
}

#[test]
fn a_hand_over_tells_the_desk_what_was_done_and_no_secret() {
    let mut story = Story::new(&[]);
    story.ran("deploy", json!({ "version": "v1", "token": "hunter2" }), failed("exit 1"));
    story.ran("lookup", json!({ "id": 7 }), done(json!("x")));
    let events = story.wants(Intent::HandOver { reason: "lost".into() });
    let text = &asked(&events).text;
    for line in [
        "Why: lost\n",
        "- ulla: please\n",
        "- ran deploy {\"version\":\"v1\",\"token\":\"(not shown)\"}: failed tool_failed: exit 1\n",
        "- ran lookup {\"id\":7}: done\n",
    ] {
        assert!(text.contains(line), "{line:?} is not in {text}");
    }
    assert!(!text.contains("hunter2"));
}

#[test]
fn a_hand_over_before_the_first_thought_is_the_end_of_the_request() {
    // The model is away: there never was a thought, and still the request must not begin again when it is over.
    let mut story = Story::new(&[]);
    for n in 0..3 {
        story.fault(&format!("no answer {n}"));
    }
    story.record();
    story.answered(story.open(), Decision::Text("by hand".into()));
    story.record();
    assert_eq!((story.phase(), story.thread.runs().len()), (Phase::Finished, 1));
}

#[test]
fn nobody_at_the_desk_is_told_to_the_user() {
    let mut story = Story::new(&[]);
    story.thought(Intent::HandOver { reason: "lost".into() });
    story.record();
    let id = story.open();
    story.pass(72 * 3600);
    assert_eq!(story.record(), [Event::Lapsed { question: id }]);
    let events = story.record();
    assert!(said(&events).text.contains("Nobody could look at this in time"));
    assert_eq!(story.phase(), Phase::Finished);
}

#[test]
fn without_a_desk_a_hand_over_ends_in_words() {
    let mut story = Story::new(&[]);
    story.directory.desks.clear();
    story.thought(Intent::HandOver { reason: "lost".into() });
    let events = story.record();
    assert!(matches!(events[..], [Event::HandedOver { .. }, Event::Said(_), Event::Finished]), "{events:#?}");
    assert_eq!(story.step(), Step::Wait(None));
}

#[test]
fn a_second_hand_over_of_a_request_ends_in_words() {
    let mut story = Story::new(&[]);
    let events = escalate(&story.agent, &story.directory, &story.thread, "first", story.now);
    hands_over(&events, "first");
    for event in events {
        story.write(event);
    }
    let events = escalate(&story.agent, &story.directory, &story.thread, "second", story.now);
    assert!(matches!(events[..], [Event::HandedOver { .. }, Event::Said(_), Event::Finished]), "{events:#?}");
    for event in events {
        story.write(event);
    }
    assert_eq!(story.phase(), Phase::Finished);
    // The next request may be handed over again.
    story.heard(user(), "again");
    let events = escalate(&story.agent, &story.directory, &story.thread, "third", story.now);
    hands_over(&events, "third");
}

#[test]
fn a_denied_call_is_not_asked_about_again_for_ten_minutes() {
    let refund = |order: &str| json!({ "order": order, "amount": 200 });
    let mut story = Story::new(&[]);
    let (id, _) = story.asks_approval("refund", refund("A"));
    story.answered(id, Decision::Reject { comment: None });
    let denied = story.now;
    let events = story.wants(act("refund", refund("A")));
    assert_eq!(failure(&events).kind, FaultKind::Denied);
    // Other arguments, or another tool with the same ones, are another matter.
    let (other, _) = story.asks_approval("refund", refund("B"));
    story.answered(other, Decision::Approve);
    assert!(matches!(story.step(), Step::Act(_)));
    let mut story = Story::new(&[]);
    let (id, _) = story.asks_approval("rollback", json!({ "environment": "production" }));
    story.answered(id, Decision::Reject { comment: None });
    story.asks_approval("deploy", json!({ "environment": "production" }));

    // The same arguments in another order and spelling are the same call.
    let mut story = Story::new(&["limits.active = '2h'"]);
    let (id, _) = story.asks_approval("refund", json!({ "order": "A", "amount": 200 }));
    story.answered(id, Decision::Reject { comment: None });
    let events = story.wants(act("refund", json!({ "amount": 200.0, "order": "A" })));
    assert_eq!(failure(&events).kind, FaultKind::Denied);
    // After ten minutes it may be asked again.
    story.pass(600);
    story.asks_approval("refund", refund("A"));
    assert!(denied < story.now);
}

#[test]
fn a_lapse_is_no_denial() {
    let mut story = Story::new(&[]);
    let (id, _) = story.asks_approval("deploy", json!({}));
    story.write(Event::Lapsed { question: id });
    story.asks_approval("deploy", json!({}));
}

#[test]
fn what_was_said_meanwhile_begins_the_next_request() {
    let mut story = Story::new(&[]);
    let seen = story.thread.version();
    let second = story.heard(proven("web", "ana"), "and one more");
    story.write(thought(finish("done"), seen));
    story.record();
    assert_eq!(story.phase(), Phase::Thinking);
    assert_eq!(story.thread.runs().last(), Some(&second));
    assert_eq!(story.thread.requester(), Some(&proven("web", "ana")));
    assert_eq!(story.thread.run().steps, 0);
    story.wants(finish("done too"));
    assert_eq!(story.phase(), Phase::Finished);
}

#[test]
fn a_message_kept_during_a_hand_over_begins_a_request_with_all_its_time() {
    let mut story = Story::new(&["limits.active = '60s'"]);
    story.thought(Intent::HandOver { reason: "lost".into() });
    story.record();
    let kept = story.heard(user(), "something else");
    story.pass(3600);
    story.answered(story.open(), Decision::Text("solved".into()));
    story.record();
    assert_eq!(story.thread.runs().last(), Some(&kept));
    assert_eq!(story.step(), Step::Think, "an hour of waiting was counted against the new request");
}

#[test]
fn a_paused_thread_does_nothing_and_then_goes_on() {
    let mut story = Story::new(&[]);
    let (id, call) = story.asks_approval("deploy", json!({}));
    story.write(Event::Paused { by: "ana".into() });
    assert_eq!((story.phase(), story.step()), (Phase::Paused, Step::Wait(None)));
    // People may answer meanwhile; the deadline waits too.
    story.answered(id, Decision::Approve);
    story.pass(1_000_000);
    assert_eq!(story.step(), Step::Wait(None));
    story.write(Event::Resumed { by: "ana".into() });
    assert!(runs(&story.step(), call));
}

#[test]
fn a_cancelled_request_stays_cancelled() {
    let mut story = Story::new(&[]);
    let (id, call) = story.asks_approval("deploy", json!({}));
    story.write(Event::Cancelled { by: "ana".into() });
    assert_eq!((story.phase(), story.step()), (Phase::Cancelled, Step::Wait(None)));
    assert!(story.thread.settled_by(id).is_some());
    for event in [
        answered(id, Decision::Approve),
        thought(act("deploy", json!({})), Version(1)),
        fault(FaultKind::Internal, "x"),
        Event::Started(agent::Started {
            call,
            tool: "deploy".into(),
            args: json!({}),
            hash: String::new(),
            grant: None,
        }),
        Event::Acted(agent::Acted { call, outcome: done(Value::Null), ms: 0, files: Vec::new() }),
        Event::Acted(agent::Acted {
            call,
            outcome: Outcome::Unknown { why: String::new() },
            ms: 0,
            files: Vec::new(),
        }),
    ] {
        story.write(event.clone());
        assert_eq!(story.step(), Step::Wait(None), "{event:?} revived it");
    }
    story.heard(user(), "new request");
    assert_eq!(story.step(), Step::Think);
}

#[test]
fn cancelling_ends_a_pause() {
    let mut story = Story::new(&[]);
    story.write(Event::Paused { by: "ana".into() });
    story.write(Event::Cancelled { by: "ana".into() });
    story.heard(user(), "new request");
    assert_eq!(story.step(), Step::Think);
}

#[test]
fn an_agent_keeps_its_version_until_the_request_is_done() {
    let mut story = Story::new(&[]);
    let pinned = story.agent.reference();
    assert_eq!(story.thread.agent(), Some(&pinned));
    story.wants(say("x"));
    assert_eq!(story.thread.agent(), Some(&pinned));
    story.wants(finish("x"));
    let newer = AgentRef { version: "newer".into(), ..pinned };
    story.write(Event::Routed(agent::Routed { home: home(), agent: Some(newer.clone()), why: "w".into() }));
    assert_eq!(story.thread.agent(), Some(&newer));
}

#[test]
fn a_lost_card_is_told_at_home() {
    let mut story = Story::new(&[]);
    let (id, _) = story.asks_approval("deploy", json!({}));
    let key = story.thread.id().delivery(id.0, 1);
    let events = lost(&story.thread, key.clone(), "no such mailbox");
    assert_eq!(events[0], Event::Undelivered { key: Some(key.clone()), why: "no such mailbox".into() });
    assert!(said(&events).text.contains("The question to ben could not be delivered"));
    for event in events {
        story.write(event);
    }
    let key = story.thread.id().delivery(id.0, 0);
    for event in lost(&story.thread, key, "no such mailbox") {
        story.write(event);
    }
    assert!(matches!(story.step(), Step::Wait(Some(_))), "the deadline does not depend on delivery");

    // A lost word at home cannot be told there.
    let mut story = Story::new(&[]);
    story.wants(say("x"));
    let seq = agent::Seq(story.thread.version().0 - 1);
    let events = lost(&story.thread, story.thread.id().delivery(seq, 0), "gone");
    assert_eq!(events.len(), 1);
}

#[test]
fn what_makes_no_sense_is_a_fault_and_not_a_fall() {
    let mut story = Story::new(&[]);
    let call = CallId(agent::Seq(99));
    story.write(Event::Acted(agent::Acted {
        call,
        outcome: Outcome::Unknown { why: "?".into() },
        ms: 0,
        files: Vec::new(),
    }));
    assert_eq!(
        failure(&story.record()),
        &Fault::new(FaultKind::Internal, "the uncertain call is not in the log")
    );
    assert_eq!(story.step(), Step::Think);
    assert!(story.now > at(0));
}
