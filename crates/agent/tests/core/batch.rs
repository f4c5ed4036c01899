//! Several calls at once: what may run does, what needs approval is asked about on one card, and each call is decided by itself.

use agent::{
    CallId, Decision, Edit, Event, FaultKind, Intent, Outcome, Phase, QuestionId, QuestionKind, Step,
    WantedCall, Why,
};
use channel::{Body, Card, CardState, Content, Person};
use serde_json::{Value, json};

use crate::{
    inquiry::{comes, refused, says},
    outgoing::sent,
    support::{Story, inbound, place, proven, user},
};

fn call(tool: &str, args: Value) -> WantedCall {
    WantedCall { tool: tool.into(), args }
}

fn deploy(version: &str) -> WantedCall {
    call("deploy", json!({ "version": version, "token": "hunter2" }))
}

/// The agent wants these calls, and what is decided of itself is written: until there is one to run, or somebody is waited for.
fn wants(calls: Vec<WantedCall>) -> Story {
    let mut story = Story::begin(crate::support::agent(&["ask_at = 'desk'"]), user(), "do it all");
    story.thought(Intent::ActAll { calls });
    settle(&mut story);
    story
}

/// Writes what is decided until there is something to run or to wait for.
fn settle(story: &mut Story) {
    while let Step::Record(events) = story.step() {
        for event in events {
            story.write(event);
        }
    }
}

/// Runs what may run; the tools, in their order.
fn runs(story: &mut Story) -> Vec<String> {
    let mut ran = Vec::new();
    loop {
        settle(story);
        let Step::Act(call) = story.step() else { return ran };
        story.started(call.id, &call.tool, &call.args);
        story.acted(call.id, Outcome::Done(json!("ok")));
        ran.push(format!("{} {}", call.tool, call.args.get("version").and_then(Value::as_str).unwrap_or("")));
    }
}

fn ana() -> Person {
    proven("mail", "ana@corp.example")
}

fn tools(story: &Story, id: QuestionId) -> Vec<(CallId, String)> {
    let calls = story.question(id).kind.calls();
    calls.into_iter().map(|(call, tool, ..)| (call, tool.to_owned())).collect()
}

fn card(story: &Story, seq: agent::Seq) -> Card {
    let cards = sent(story, seq, &["mail", "web"]).into_iter().filter_map(|message| match message.content {
        Content::Card(card) => Some(card),
        Content::Text(_) => None,
    });
    cards.into_iter().next().expect("a card")
}

fn press(choice: &str, values: &[(&str, &str)]) -> Body {
    let values = values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Body::Press { choice: choice.to_owned(), comment: None, values: values.collect() }
}

#[test]
fn what_may_run_runs_and_the_rest_is_asked_about_on_one_card() {
    let mut story =
        wants(vec![deploy("v1"), call("poke", json!({})), deploy("v2"), call("rollback", json!({}))]);
    // One after the other, in their order, before anybody is asked.
    assert_eq!(runs(&mut story), ["poke "]);
    assert_eq!(story.phase(), Phase::Waiting);
    let id = story.open();
    let asked: Vec<String> = tools(&story, id).into_iter().map(|(_, tool)| tool).collect();
    assert_eq!(asked, ["deploy", "deploy", "rollback"]);
    let card = card(&story, id.0);
    assert_eq!(card.title, "Approve: 3 calls");
    let fields: Vec<_> =
        card.fields.iter().map(|field| (field.label.as_str(), field.value.as_str())).collect();
    assert_eq!(
        fields,
        [
            ("1. deploy", "version: v1\ntoken: (not shown)"),
            ("2. deploy", "version: v2\ntoken: (not shown)"),
            ("3. rollback", "")
        ]
    );
    assert!(!serde_json::to_string(&card).unwrap().contains("hunter2"));
}

#[test]
fn all_of_them_some_or_none() {
    for (words, approved, decision) in [
        ("approve", vec!["deploy v1", "deploy v2", "rollback "], "Approved by ana"),
        ("approve: 1, 3", vec!["deploy v1", "rollback "], "1 and 3 approved by ana, 2 rejected"),
        (
            "approve: 2\nwhy: not on a Friday",
            vec!["deploy v2"],
            "2 approved by ana, 1 and 3 rejected: not on a Friday",
        ),
        ("approve: 1, 2, 3", vec!["deploy v1", "deploy v2", "rollback "], "Approved by ana"),
        ("reject: no", vec![], "Rejected by ana: no"),
    ] {
        let mut story = wants(vec![deploy("v1"), deploy("v2"), call("rollback", json!({}))]);
        let id = story.open();
        let events = says(&mut story, id, ana(), words);
        let [Event::Answered(answer)] = events.as_slice() else { panic!("{words}: {events:#?}") };
        assert_eq!(agent::ending(&story.thread, answer), decision, "{words}");
        let CardState::Closed { how } = card(&story, agent::Seq(story.thread.version().0 - 1)).state else {
            panic!("{words}: it stays open")
        };
        assert_eq!(how, decision, "{words}");
        assert_eq!(runs(&mut story), approved, "{words}");
        assert_eq!(story.phase(), Phase::Thinking, "{words}");
        // What was rejected is remembered as that, each for itself.
        let is_denied = |version: &str| {
            let args = deploy(version).args;
            story.thread.denied_at("deploy", &agent::args_hash(&args)).is_some()
        };
        let denied = [is_denied("v1"), is_denied("v2")];
        assert_eq!(
            denied,
            ["v1", "v2"].map(|v| !approved.contains(&format!("deploy {v}").as_str())),
            "{words}"
        );
    }
}

#[test]
fn what_is_not_clear_decides_nothing() {
    for (words, why) in [
        ("approve: 4", Why::Unfit),
        ("approve: rollback of staging", Why::Unfit),
        ("approve:", Why::Unfit),
        ("why: because", Why::Unfit),
        ("approve: 1\napprove: 2", Why::Unfit),
        ("approve 1", Why::Unclear),
        ("approve all but 2", Why::Unclear),
        ("ok but only the first", Why::Unclear),
        ("approve\namount: 3", Why::Unclear),
    ] {
        let mut story = wants(vec![deploy("v1"), deploy("v2")]);
        let id = story.open();
        assert_eq!(refused(&says(&mut story, id, ana(), words)), why, "{words}");
        assert_eq!(story.phase(), Phase::Waiting, "{words}");
    }
}

#[test]
fn a_form_says_the_same_as_words() {
    let mut story = wants(vec![deploy("v1"), deploy("v2")]);
    let id = story.open();
    let offered =
        card(&story, id.0).choices.into_iter().find(|choice| choice.id == "some").expect("it is offered");
    let ids: Vec<_> = offered.form.iter().map(|input| input.id.as_str()).collect();
    assert_eq!(ids, ["approve", "why"]);
    let none = inbound(ana(), place("mail", "to:ana"), press("some", &[("approve", "")]));
    assert_eq!(refused(&comes(&mut story, &none, Some(id))), Why::Unfit);
    let second =
        inbound(ana(), place("mail", "to:ana"), press("some", &[("approve", "2. deploy"), ("why", "later")]));
    let events = comes(&mut story, &second, Some(id));
    let [Event::Answered(answer)] = events.as_slice() else { panic!("{events:#?}") };
    assert_eq!(answer.decision, Decision::ApproveSome { places: vec![1], comment: Some("later".into()) });
    assert_eq!(runs(&mut story), ["deploy v2"]);
}

#[test]
fn who_may_not_decide_decides_none_of_them() {
    for who in [proven("mail", "nobody@corp.example"), crate::support::claimed("mail", "ana@corp.example")] {
        let mut story = wants(vec![deploy("v1"), deploy("v2")]);
        let id = story.open();
        refused(&says(&mut story, id, who, "approve: 1"));
        assert_eq!((story.phase(), runs(&mut story)), (Phase::Waiting, Vec::new()));
    }
}

#[test]
fn what_is_forbidden_fails_alone_and_the_agent_sees_it() {
    let mut story = wants(vec![call("wipe", json!({})), deploy("v1"), call("poke", json!({}))]);
    assert_eq!(runs(&mut story), ["poke "]);
    let failed = story.thread.records().iter().find_map(|record| match &record.event {
        Event::Acted(acted) => match &acted.outcome {
            Outcome::Failed(fault) => Some(fault.clone()),
            _ => None,
        },
        _ => None,
    });
    assert_eq!(failed.expect("a fault").kind, FaultKind::Denied);
    // One that is left is a card like any other.
    let id = story.open();
    assert!(matches!(story.question(id).kind, QuestionKind::Approval { .. }));
    let seen = agent::render(&story.agent, &story.thread).unwrap().messages[1].text.clone();
    assert!(seen.contains(r#"<called tool="wipe" status="failed">"#), "{seen}");
}

#[test]
fn who_is_asked_about_what_decides_how_many_cards_there_are() {
    let big = |amount: u32| call("refund", json!({ "amount": amount }));
    let mut story = wants(vec![deploy("v1"), big(150), big(50), big(200), deploy("v2")]);
    assert_eq!(runs(&mut story), ["refund "], "what is small needs nobody");
    let open: Vec<QuestionId> = story.thread.open_questions().map(|(id, _)| id).collect();
    let asked: Vec<Vec<String>> =
        open.iter().map(|id| tools(&story, *id).into_iter().map(|(_, tool)| tool).collect()).collect();
    assert_eq!(asked, [vec!["deploy", "deploy"], vec!["refund", "refund"]]);
    // Each is answered by its own people; what was approved runs while the other still waits.
    let finance = proven("mail", "cleo@corp.example");
    assert_eq!(refused(&says(&mut story, open[0], finance.clone(), "approve")), Why::NotPermitted);
    says(&mut story, open[1], finance, "approve: 2");
    assert_eq!(runs(&mut story), ["refund "]);
    assert_eq!(story.phase(), Phase::Waiting);
    says(&mut story, open[0], ana(), "approve");
    assert_eq!(runs(&mut story), ["deploy v1", "deploy v2"]);
    assert_eq!(story.phase(), Phase::Thinking);
}

/// An answer that comes while a call runs does not hide what becomes of that.
#[test]
fn an_answer_meanwhile_waits_for_the_end_of_what_runs() {
    let big = call("refund", json!({ "amount": 150 }));
    let mut story = wants(vec![deploy("v1"), big]);
    let open: Vec<QuestionId> = story.thread.open_questions().map(|(id, _)| id).collect();
    says(&mut story, open[0], ana(), "approve");
    let Step::Act(running) = story.step() else { panic!() };
    story.started(running.id, &running.tool, &running.args);
    says(&mut story, open[1], proven("mail", "cleo@corp.example"), "approve");
    assert_eq!(story.phase(), Phase::Running(running.id));
    // Its worker died: nobody knows what it did, and a person is asked, before the next one runs or after it.
    settle(&mut story);
    assert!(story.thread.records().iter().any(
        |record| matches!(&record.event, Event::Asked(question) if matches!(question.kind, QuestionKind::Unknown { .. }))
    ));
    assert_eq!(runs(&mut story), ["refund "]);
}

#[test]
fn a_stop_stops_what_has_not_begun() {
    let mut story = wants(vec![deploy("v1"), deploy("v2"), deploy("v3")]);
    let id = story.open();
    says(&mut story, id, ana(), "approve");
    let Step::Act(running) = story.step() else { panic!() };
    story.started(running.id, &running.tool, &running.args);
    story.write(Event::Cancelled { by: "ana".into() });
    story.acted(running.id, Outcome::Done(json!("ok")));
    assert_eq!(story.phase(), Phase::Cancelled);
    assert_eq!(runs(&mut story), Vec::<String>::new());
}

/// What would be stopped alone is stopped among others, too: what goes round in circles, and what a human has just denied.
#[test]
fn company_gets_no_call_past_what_stops_it() {
    let mut story = Story::begin(crate::support::agent(&["ask_at = 'desk'"]), user(), "do it all");
    for _ in 0..2 {
        story.ran("poke", json!({}), Outcome::Done(json!("ok")));
    }
    let events = story.wants(Intent::ActAll { calls: vec![deploy("v1"), call("poke", json!({}))] });
    assert!(matches!(events.first(), Some(Event::HandedOver { .. })), "{events:#?}");

    let mut story = wants(vec![deploy("v1"), deploy("v2")]);
    let id = story.open();
    says(&mut story, id, ana(), "approve: 2");
    runs(&mut story);
    story.thought(Intent::ActAll { calls: vec![deploy("v1"), call("poke", json!({}))] });
    assert_eq!(runs(&mut story), ["poke "]);
    assert!(story.thread.open_questions().next().is_none(), "nobody is asked again");
}

/// Whoever changes their words while one of several runs has the others decided anew.
#[test]
fn other_words_undo_what_has_not_begun() {
    let mut story = wants(vec![call("poke", json!({})), deploy("v1"), deploy("v2")]);
    let Step::Act(running) = story.step() else { panic!() };
    story.started(running.id, &running.tool, &running.args);
    let message =
        story.thread.request().and_then(|heard| heard.message.clone()).expect("a message with a name");
    story.write(Event::Edited(Edit { message, by: user(), text: "only poke it".into(), original: None }));
    story.acted(running.id, Outcome::Done(json!("ok")));
    assert_eq!(story.step(), Step::Think);
}

#[test]
fn nobody_in_time_is_a_no_to_none_and_runs_none() {
    let mut story = wants(vec![deploy("v1"), deploy("v2")]);
    story.now = story.question(story.open()).deadline;
    settle(&mut story);
    assert_eq!(story.phase(), Phase::Thinking);
    assert!(story.thread.denied_at("deploy", &agent::args_hash(&deploy("v1").args)).is_none());
    assert_eq!(runs(&mut story), Vec::<String>::new());
}

#[test]
fn what_several_must_approve_is_approved_as_a_whole() {
    let mut files = crate::support::files(&["ask_at = 'desk'"]);
    let policy = "secret = [\"token\"]\npolicy = [{ then = \"ask\", quorum = 2 }]\n";
    let toml = files.get_mut("agent.toml").unwrap();
    *toml = toml.replacen("secret = [\"token\"]\n", policy, 1);
    let mut story = Story::begin(crate::support::load(files), user(), "do it all");
    story.thought(Intent::ActAll { calls: vec![deploy("v1"), deploy("v2")] });
    settle(&mut story);
    let id = story.open();
    assert!(card(&story, id.0).choices.iter().all(|choice| choice.id != "some"));
    assert_eq!(refused(&says(&mut story, id, ana(), "approve: 1")), Why::Unfit);
    let first = says(&mut story, id, ana(), "approve");
    assert!(matches!(first.as_slice(), [Event::Voted(_)]), "{first:#?}");
    says(&mut story, id, proven("mail", "ben@corp.example"), "approve");
    assert_eq!(runs(&mut story), ["deploy v1", "deploy v2"]);
}

#[test]
fn what_leaves_the_house_is_asked_about_by_itself() {
    let mut files = crate::support::files(&["ask_at = 'desk'"]);
    let toml = files.get_mut("agent.toml").unwrap();
    *toml = toml.replacen("secret = [\"token\"]\n", "secret = [\"token\"]\noutward = true\n", 1);
    let mut story = Story::begin(crate::support::load(files), user(), "do it all");
    story.thought(Intent::ActAll { calls: vec![deploy("v1"), deploy("v2"), call("rollback", json!({}))] });
    settle(&mut story);
    let open: Vec<usize> =
        story.thread.open_questions().map(|(_, question)| question.kind.calls().len()).collect();
    assert_eq!(open, [1, 1, 1]);
}

#[test]
fn the_agent_sees_what_became_of_each() {
    let mut story = wants(vec![deploy("v1"), deploy("v2")]);
    let id = story.open();
    says(&mut story, id, ana(), "approve: 2\nwhy: too early");
    runs(&mut story);
    let seen = agent::render(&story.agent, &story.thread).unwrap().messages[1].text.clone();
    for words in [
        r#"<approval tool="deploy" status="rejected" by="ana">"#,
        "<comment>too early</comment>",
        r#"<approval tool="deploy" status="approved" by="ana">"#,
        r#"<called tool="deploy" status="done">"#,
    ] {
        assert!(seen.contains(words), "{words}: {seen}");
    }
}
