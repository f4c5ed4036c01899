//! Messages that are edited or taken back before they are answered, and calls that are approved with other arguments.

use std::collections::BTreeMap;

use agent::{
    About, Arrival, CallId, Decision, Edit, Event, How, Named, Phase, Press, QuestionId, Step, Tickets, Why,
    admit, args_hash, ending, outgoing, render,
};
use channel::{Body, Capabilities, Content, Correlation, Inbound, MessageRef, Person};
use serde_json::json;

use crate::support::{NATIVE, Story, act, agent, done, home, inbound, proven, text, user};

fn edited(words: &str) -> Body {
    Body::Edited { text: words.to_owned(), original: None }
}

fn edits(values: &[(&str, &str)]) -> Body {
    let values = values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Body::Press { choice: "edit".into(), comment: None, values }
}

impl Story {
    /// Something comes in, about a question or about none; what it becomes is written.
    fn comes(&mut self, from: Person, body: Body, about: Option<QuestionId>) -> Vec<Event> {
        let message = Inbound { message: Some(MessageRef::new("m-1")), ..inbound(from, home(), body) };
        let about = about.map(|question| About { question, named: Named::ByTicket });
        let arrival = Arrival {
            inbound: &message,
            files: Vec::new(),
            rivals: Vec::new(),
            about,
            correlation: NATIVE,
            agent: Some(&self.agent),
            assigned: None,
        };
        let events = admit(&self.directory, &self.thread, arrival, self.now);
        for event in &events {
            self.write(event.clone());
        }
        events
    }

    fn prompt(&self) -> String {
        let prompt = render(&self.agent, &self.thread).unwrap();
        prompt.messages.into_iter().map(|message| message.text).collect()
    }
}

#[test]
fn an_agent_sees_the_new_words_of_a_message_that_it_has_not_answered() {
    let mut story = Story::begin(agent(&[]), user(), "refund 50");
    assert!(story.prompt().contains("refund 50"));
    assert!(matches!(story.comes(user(), edited("refund 60"), None)[..], [Event::Edited(_)]));
    let prompt = story.prompt();
    assert!(
        prompt.contains("refund 60") && !prompt.contains("refund 50") && prompt.contains("edited=\"yes\""),
        "{prompt}"
    );
    assert_eq!(story.thread.request().unwrap().text, "refund 60");
    // The same words again change nothing.
    assert_eq!(story.comes(user(), edited("refund 60"), None), []);
}

#[test]
fn only_who_said_it_may_edit_it_and_only_until_it_is_answered() {
    let mut story = Story::begin(agent(&[]), user(), "refund 50");
    for from in [proven("web", "eve"), proven("mail", "ulla"), crate::support::claimed("web", "ulla")] {
        assert_eq!(story.comes(from.clone(), edited("refund 5000"), None), [], "{from:?}");
        assert_eq!(story.comes(from, Body::Deleted, None), []);
    }
    story.wants(crate::support::finish("Done."));
    assert_eq!(story.comes(user(), edited("refund 5000"), None), []);
    assert_eq!(story.comes(user(), Body::Deleted, None), []);
}

/// A thought from before an edit counts for nothing, whether it was known then or not; what it cost counts.
#[test]
fn a_thought_made_from_words_that_have_since_changed_is_not_carried_out() {
    let mut story = Story::begin(agent(&[]), user(), "poke a");
    let seen = story.thread.version();
    story.comes(user(), edited("poke b"), None);
    story.write(crate::support::thought(act("poke", json!({ "at": "a" })), seen));
    assert_eq!(story.phase(), Phase::Thinking);
    assert_eq!(story.thread.run().steps, 1);
    story.thought(act("poke", json!({ "at": "b" })));
    assert!(matches!(story.phase(), Phase::Deciding(_)));
    story.comes(user(), edited("poke c"), None);
    assert_eq!(story.phase(), Phase::Thinking, "it was decided, and not begun");
    assert_eq!(story.step(), Step::Think);
    let call = story.thought(act("poke", json!({ "at": "c" })));
    story.started(CallId(call), "poke", &json!({ "at": "c" }));
    story.comes(user(), edited("poke d"), None);
    assert_eq!(story.phase(), Phase::Running(CallId(call)), "what runs already runs to its end");
}

#[test]
fn edits_without_an_end_come_to_a_human() {
    let mut story = Story::begin(agent(&["limits.steps = 4"]), user(), "poke");
    for n in 0..4 {
        let seen = story.thread.version();
        story.comes(user(), edited(&format!("poke {n}")), None);
        story.write(crate::support::thought(act("poke", json!({ "n": n })), seen));
    }
    let events = story.record();
    assert!(events.iter().any(|event| matches!(event, Event::HandedOver { .. })), "{events:?}");
}

#[test]
fn taking_the_request_back_ends_it_and_closes_its_card() {
    let mut story = Story::begin(agent(&[]), user(), "deploy v1");
    let (id, _) = story.asks_approval("deploy", json!({ "version": "v1" }));
    let events = story.comes(user(), Body::Deleted, None);
    assert!(matches!(events[..], [Event::Deleted { .. }, Event::Cancelled { .. }]), "{events:?}");
    assert_eq!(story.phase(), Phase::Cancelled);
    assert!(story.thread.settled_by(id).is_some());
    let tickets = Tickets::new([3; 32]);
    let press = Press { tickets: &tickets, capabilities: &|_| None, secrets: &|_| Some(Vec::new()) };
    let last = agent::Seq(story.thread.version().0 - 1);
    assert!(!outgoing(&story.thread, last, &press).is_empty(), "the card stays open");
}

#[test]
fn what_runs_is_not_stopped_by_taking_the_request_back_and_other_words_stay() {
    let mut story = Story::begin(agent(&[]), user(), "poke");
    let call = story.thought(act("poke", json!({})));
    story.started(CallId(call), "poke", &json!({}));
    assert!(matches!(story.comes(user(), Body::Deleted, None)[..], [Event::Deleted { .. }]));
    assert_eq!(story.phase(), Phase::Running(CallId(call)));
    story.acted(CallId(call), done(json!("poked")));

    let mut story = Story::begin(agent(&[]), user(), "first");
    let Event::Heard(second) = crate::support::heard(user(), "second") else { unreachable!() };
    story.write(Event::Heard(agent::Heard { message: Some(MessageRef::new("m-2")), ..second }));
    assert!(matches!(story.comes(user(), Body::Deleted, None)[..], [Event::Deleted { .. }]));
    let prompt = story.prompt();
    assert!(prompt.contains("second") && !prompt.contains("first"), "{prompt}");
    assert_eq!(story.thread.request().unwrap().text, "second");
}

/// An edit while people are asked leaves what they were asked as it is.
#[test]
fn an_edit_does_not_change_an_open_approval() {
    let mut story = Story::begin(agent(&[]), user(), "deploy v1");
    let (id, call) = story.asks_approval("deploy", json!({ "version": "v1" }));
    story.comes(user(), edited("deploy v2"), None);
    assert_eq!(story.phase(), Phase::Waiting);
    story.answered(id, Decision::Approve);
    assert_eq!(story.phase(), Phase::Cleared(call));
    let Step::Act(call) = story.step() else { panic!("{:?}", story.step()) };
    assert_eq!(call.args, json!({ "version": "v1" }));
}

// Approving with other arguments.

fn refund(amount: i64) -> (Story, QuestionId, CallId) {
    let mut story = Story::begin(agent(&[]), user(), "refund it");
    let (id, call) = story.asks_approval("refund", json!({ "order": "1002", "amount": amount }));
    (story, id, call)
}

/// Somebody who may approve what finance approves.
fn finance(story: &Story, id: QuestionId) -> Person {
    let roster =
        story.directory.roster(&story.question(id).audience.members).into_iter().next().unwrap().to_owned();
    let (channel, name) = story.directory.members[&roster].ids.iter().next().unwrap();
    proven(channel.as_str(), name)
}

fn why(events: &[Event]) -> (Why, String) {
    match events {
        [Event::Refused(refusal)] => (refusal.why, refusal.what.clone().unwrap_or_default()),
        _ => panic!("not refused: {events:?}"),
    }
}

#[test]
fn what_was_approved_with_changes_is_what_runs_once() {
    let (mut story, id, call) = refund(120);
    let from = finance(&story, id);
    let events = story.comes(from.clone(), edits(&[("amount", "80"), ("order", "1002")]), Some(id));
    let args = json!({ "order": "1002", "amount": 80 });
    let [Event::Answered(answer)] = &events[..] else { panic!("{events:?}") };
    assert_eq!(answer.decision, Decision::ApproveEdited { args: args.clone(), hash: args_hash(&args) });
    assert_eq!(answer.how, How::Pressed);
    assert!(ending(&story.thread, answer).contains("amount: 120 → 80"), "{}", ending(&story.thread, answer));
    let Step::Act(runs) = story.step() else { panic!("{:?}", story.step()) };
    assert_eq!((runs.id, &runs.args, &runs.hash), (call, &args, &args_hash(&args)));
    story.started(call, "refund", &args);
    story.acted(call, done(json!("refunded")));
    let prompt = story.prompt();
    assert!(prompt.contains("<approved>") && prompt.contains("120") && prompt.contains("80"), "{prompt}");
    // A second approval of the same question clears nothing.
    assert_eq!(why(&story.comes(from, edits(&[("amount", "90")]), Some(id))).0, Why::Settled);
}

/// The arguments that run are hashed again: an answer whose hash is of others runs nothing.
#[test]
fn changes_whose_hash_does_not_fit_run_nothing() {
    let (mut story, id, _) = refund(120);
    story.answered(
        id,
        Decision::ApproveEdited {
            args: json!({ "amount": 5_000 }),
            hash: args_hash(&json!({ "amount": 80 })),
        },
    );
    let events = story.record();
    assert!(matches!(&events[..], [Event::Failed(_)]), "{events:?}");
}

#[test]
fn changes_are_held_to_the_schema_the_policy_and_what_was_shown() {
    for (values, says) in [
        (&[("amount", "many")][..], "`amount` is `many`"),
        (&[("amount", "")], "`amount` is ``"),
        (&[("amount", "2000")], "the policy forbids refund"),
        (&[("iban", "DE00")], "`iban` cannot be changed"),
    ] {
        let (mut story, id, _) = refund(120);
        let from = finance(&story, id);
        let (why, what) = why(&story.comes(from.clone(), edits(values), Some(id)));
        assert_eq!(why, Why::Unfit);
        assert!(what.contains(says), "{what}");
        assert!(story.thread.settled_by(id).is_none(), "the question stays open");
        assert!(matches!(story.comes(from, edits(&[("amount", "110")]), Some(id))[..], [Event::Answered(_)]));
    }
}

#[test]
fn a_secret_argument_is_neither_shown_nor_changed() {
    let mut story = Story::begin(agent(&[]), user(), "deploy it");
    let (id, _) = story.asks_approval("deploy", json!({ "version": "v1", "token": "secret" }));
    let from = finance(&story, id);
    let (refused, what) = why(&story.comes(from.clone(), edits(&[("token", "mine")]), Some(id)));
    assert_eq!((refused, what.as_str()), (Why::Unfit, "`token` cannot be changed"));
    let events = story.comes(from, edits(&[("version", "v2")]), Some(id));
    let [Event::Answered(answer)] = &events[..] else { panic!("{events:?}") };
    let args = json!({ "version": "v2", "token": "secret" });
    assert_eq!(answer.decision, Decision::ApproveEdited { args: args.clone(), hash: args_hash(&args) });
}

#[test]
fn who_may_not_approve_learns_nothing_of_what_would_fit() {
    let (mut story, id, _) = refund(120);
    for values in [&[("amount", "many")][..], &[("amount", "80")]] {
        assert_eq!(
            why(&story.comes(proven("web", "eve"), edits(values), Some(id))),
            (Why::NotPermitted, String::new())
        );
    }
}

#[test]
fn unchanged_arguments_are_a_plain_approval_and_words_change_nothing() {
    let (mut story, id, _) = refund(120);
    let from = finance(&story, id);
    let (refused, _) = why(&story.comes(from.clone(), text("approve but only 80"), Some(id)));
    assert_eq!(refused, Why::Unclear);
    let events = story.comes(from, edits(&[("amount", "120"), ("order", "1002")]), Some(id));
    assert!(
        matches!(&events[..], [Event::Answered(answer)] if answer.decision == Decision::Approve),
        "{events:?}"
    );
}

#[test]
fn the_form_is_offered_on_every_channel_and_hides_secrets() {
    let mut story = Story::new(&[]);
    let (id, _) = story.asks_approval("deploy", json!({ "version": "v1", "token": "secret", "n": 3 }));
    let can = |forms: bool| Capabilities {
        buttons: true,
        forms,
        amends: true,
        private: true,
        files: true,
        text_len_max: None,
        correlation: Correlation::Native,
        one_reader: false,
    };
    let tickets = Tickets::new([3; 32]);
    let choices = |forms: bool| {
        let capabilities = |_: &channel::ChannelName| Some(can(forms));
        let secrets = |_: &str| Some(vec!["token".to_owned()]);
        let press = Press { tickets: &tickets, capabilities: &capabilities, secrets: &secrets };
        let sent = outgoing(&story.thread, id.0, &press);
        let Content::Card(card) = sent[0].content.clone() else { panic!("no card") };
        card.choices
    };
    let ids = |forms| choices(forms).iter().map(|choice| choice.id.clone()).collect::<Vec<_>>();
    assert_eq!(
        ids(false),
        ["approve", "edit", "reject"],
        "one that has no forms shows it as lines to reply with"
    );
    assert_eq!(ids(true), ["approve", "edit", "reject", "more"]);
    let form: BTreeMap<String, String> =
        choices(true)[1].form.iter().map(|input| (input.id.clone(), input.value.clone())).collect();
    assert_eq!(form, BTreeMap::from([("n".into(), "3".into()), ("version".into(), "v1".into())]));
}

#[test]
fn an_edit_of_nothing_known_changes_nothing() {
    let mut story = Story::begin(agent(&[]), user(), "hello");
    let edit = Edit { message: MessageRef::new("m-7"), by: user(), text: "x".into(), original: None };
    story.write(Event::Edited(edit));
    story.write(Event::Deleted { message: MessageRef::new("m-7"), by: user() });
    assert_eq!(story.thread.request().unwrap().text, "hello");
    assert_eq!(story.phase(), Phase::Thinking);
}

/// Who may approve a small payment may not make a large one of it, which others must approve.
#[test]
fn changes_may_not_reach_beyond_what_a_person_may_approve() {
    let mut files = crate::support::files(&[]);
    let pay = r#"
[tools.pay]
description = "Pays."
run.command.argv = ["tools/pay"]
repeat = "never"
risk = "high"
parameters = { type = "object" }
policy = [
    { when = "args.amount > 1000", then = "ask", approvers = ["finance"], desk = "finance" },
    { then = "ask", approvers = ["operators"], desk = "operators" },
]
"#;
    let spec = files.get_mut("agent.toml").unwrap();
    spec.push_str(pay);
    let mut story = Story::begin(crate::support::load(files), user(), "pay it");
    let (id, _) = story.asks_approval("pay", json!({ "amount": 100 }));
    let names = ["operators".to_owned(), "finance".to_owned()];
    let (operators, finance) = (story.directory.roster(&names[..1]), story.directory.roster(&names[1..]));
    let only = operators.difference(&finance).next().expect("somebody of the operators is not in finance");
    let (channel, name) = story.directory.members[*only].ids.iter().next().unwrap();
    let from = proven(channel.as_str(), name);
    let (refused, what) = why(&story.comes(from.clone(), edits(&[("amount", "5000")]), Some(id)));
    assert_eq!(refused, Why::Unfit);
    assert!(what.contains("takes the approval of finance"), "{what}");
    assert!(matches!(story.comes(from, edits(&[("amount", "900")]), Some(id))[..], [Event::Answered(_)]));
}
