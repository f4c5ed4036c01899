//! The life of a question: votes, reminders, rungs, quiet hours, what is asked back, and what happens meanwhile.

use agent::{
    AskedAgain, AskedAt, Because, Days, Decision, Deferring, Event, Hours, Member, Otherwise, Phase,
    QuestionId, Step, Why, render, short_code,
};
use channel::{Capabilities, ChannelName, Inbound, Person, Place};
use serde_json::json;

use crate::support::{
    NATIVE, Story, act, asked, finish, home, inbound, place, proven, said, say, text, user,
};

/// A channel with words, and nothing else.
const NOTHING: Capabilities = Capabilities {
    buttons: false,
    forms: false,
    amends: false,
    private: false,
    files: true,
    text_len_max: None,
    correlation: NATIVE,
    one_reader: false,
};

/// An agent whose `refund` is asked about on these terms, in TOML.
fn on_terms(terms: &str, more: &[&str]) -> agent::Agent {
    let mut files = crate::support::files(more);
    let refund = format!(
        "\n[tools.pay]\ndescription = \"Pays.\"\nrun.command.argv = [\"tools/pay\"]\nrepeat = \"never\"\nrisk = \"low\"\n\
         parameters = {{ type = \"object\" }}\npolicy = [{{ then = \"ask\", {terms} }}]\n"
    );
    files.get_mut("agent.toml").unwrap().push_str(&refund);
    crate::support::load(files)
}

/// A call of `pay` that waits for approval on these terms.
fn waiting(terms: &str, more: &[&str]) -> (Story, QuestionId) {
    let mut story = Story::begin(on_terms(terms, more), user(), "pay 80");
    let (id, _) = story.asks_approval("pay", json!({ "amount": 80 }));
    (story, id)
}

fn ana() -> Person {
    proven("mail", "ana@corp.example")
}

fn ben() -> Person {
    proven("mail", "ben@corp.example")
}

fn cleo() -> Person {
    proven("mail", "cleo@corp.example")
}

/// What an inbound about a question becomes, written.
pub(crate) fn comes(story: &mut Story, message: &Inbound, about: Option<QuestionId>) -> Vec<Event> {
    let events = crate::admit::admitted(story, message, about, NATIVE);
    for event in &events {
        story.write(event.clone());
    }
    events
}

/// What a person's words about a question become.
pub(crate) fn says(story: &mut Story, id: QuestionId, who: Person, words: &str) -> Vec<Event> {
    let at = place("mail", &format!("to:{}", who.id));
    comes(story, &inbound(who, at, text(words)), Some(id))
}

pub(crate) fn refused(events: &[Event]) -> Why {
    match events {
        [Event::Refused(refusal)] => refusal.why,
        _ => panic!("not one refusal: {events:#?}"),
    }
}

fn again(events: &[Event]) -> &AskedAgain {
    let found = events.iter().find_map(|event| match event {
        Event::AskedAgain(again) => Some(again),
        _ => None,
    });
    found.unwrap_or_else(|| panic!("it is not asked again: {events:#?}"))
}

fn members(asked: &[AskedAt]) -> Vec<&str> {
    asked.iter().map(|asked| asked.member.as_deref().unwrap_or("-")).collect()
}

#[test]
fn a_quorum_is_so_many_people_and_not_so_many_clicks() {
    let (mut story, id) = waiting("approvers = ['operators', 'finance'], quorum = 2", &[]);
    let first = says(&mut story, id, ana(), "approve");
    let [Event::Voted(ballot)] = first.as_slice() else { panic!("{first:#?}") };
    assert_eq!(ballot.missing, "one more of operators or finance must approve");
    assert_eq!(story.phase(), Phase::Waiting);
    // The same person again, on the same channel and on another one.
    assert_eq!(refused(&says(&mut story, id, ana(), "approve")), Why::Voted);
    let elsewhere = inbound(proven("web", "ana"), home(), text("approve"));
    assert_eq!(refused(&comes(&mut story, &elsewhere, Some(id))), Why::Voted);
    assert_eq!(
        refused(&says(&mut story, id, proven("mail", "nobody@corp.example"), "approve")),
        Why::NotPermitted
    );
    let second = says(&mut story, id, cleo(), "approve");
    assert!(matches!(second.as_slice(), [Event::Answered(_)]), "{second:#?}");
    assert!(matches!(story.step(), Step::Act(call) if call.tool == "pay"));
    assert_eq!(refused(&says(&mut story, id, ben(), "approve")), Why::Settled);
}

#[test]
fn one_no_is_enough_whoever_said_yes() {
    let (mut story, id) = waiting("approvers = ['operators'], quorum = 'all'", &[]);
    says(&mut story, id, ana(), "approve");
    let no = says(&mut story, id, ben(), "reject: too much");
    assert!(matches!(no.as_slice(), [Event::Answered(_)]), "{no:#?}");
    assert_eq!(story.phase(), Phase::Thinking);
    assert!(story.thread.denied_at("pay", &agent::args_hash(&json!({ "amount": 80 }))).is_some());
}

#[test]
fn one_of_each_group_must_approve() {
    let (mut story, id) = waiting("approvers = ['operators', 'finance'], quorum = 'each'", &[]);
    says(&mut story, id, ana(), "approve");
    let second = says(&mut story, id, ben(), "approve");
    assert!(
        matches!(second.as_slice(), [Event::Voted(_)]),
        "two of one group are not one of each: {second:#?}"
    );
    let third = says(&mut story, id, cleo(), "approve");
    assert!(matches!(third.as_slice(), [Event::Answered(_)]), "{third:#?}");
}

#[test]
fn what_several_approve_none_of_them_changes() {
    let (mut story, id) = waiting("approvers = ['operators', 'finance'], quorum = 2", &[]);
    assert!(choices(&story, id).iter().all(|choice| choice.id != "edit"), "it is not offered");
    let mut press = inbound(ana(), place("mail", "to:ana@corp.example"), crate::support::press("edit", None));
    if let channel::Body::Press { values, .. } = &mut press.body {
        values.insert("amount".into(), "8".into());
    }
    assert_eq!(refused(&comes(&mut story, &press, Some(id))), Why::Unfit);
    assert!(story.thread.votes(id).next().is_none());
}

/// What is approved with changes is approved on the terms that hold for what it has become.
#[test]
fn changes_do_not_get_round_the_terms_of_what_would_run() {
    let policy = "policy = [\n    { when = \"args.amount > 1000\", then = \"deny\" },";
    let several = "policy = [\n    { when = \"args.amount > 500\", then = \"ask\", approvers = [\"operators\", \"finance\"], quorum = 2 },\n\
                   { when = \"args.amount > 400\", then = \"ask\", approvers = [\"finance\"], requester_may_approve = false },\n\
                   { when = \"args.amount > 300\", then = \"ask\", approvers = [\"finance\"], severity = \"high\" },";
    let mut files = crate::support::files(&[]);
    let text = files.get_mut("agent.toml").unwrap();
    assert!(text.contains(policy));
    *text = text.replace(policy, several);
    let agent = crate::support::load(files);
    let mut story = Story::begin(agent, proven("web", "cleo"), "refund 200");
    story.directory.severities.insert("high".into(), vec![ChannelName::new("web")]);
    let (id, _) = story.asks_approval("refund", json!({ "amount": 200 }));
    for amount in ["600", "450", "350"] {
        let events = says(&mut story, id, cleo(), &format!("approve\namount: {amount}"));
        assert_eq!(refused(&events), Why::Unfit, "{amount}");
    }
    let events = says(&mut story, id, cleo(), "approve\namount: 250");
    assert!(matches!(events.as_slice(), [Event::Answered(_)]), "{events:#?}");
}

#[test]
fn who_asked_for_it_does_not_approve_it_where_that_is_said_on_whatever_channel() {
    let agent = on_terms("approvers = ['operators'], requester_may_approve = false", &[]);
    let mut story = Story::begin(agent, proven("web", "ana"), "pay 80");
    let (id, _) = story.asks_approval("pay", json!({ "amount": 80 }));
    assert_eq!(refused(&says(&mut story, id, ana(), "approve")), Why::NotPermitted);
    assert!(matches!(says(&mut story, id, ben(), "approve").as_slice(), [Event::Answered(_)]));
    // Where nobody else is there, a person takes over at once: nobody waits for an answer that cannot come.
    let agent = on_terms("approvers = ['cleo'], desk = 'finance', requester_may_approve = false", &[]);
    let mut story = Story::begin(agent, proven("web", "cleo"), "pay 80");
    let events = story.wants(act("pay", json!({ "amount": 80 })));
    assert!(matches!(events.first(), Some(Event::HandedOver { .. })), "{events:#?}");
}

#[test]
fn what_is_severe_is_decided_on_its_channels_only() {
    let agent = on_terms("approvers = ['operators'], severity = 'high'", &[]);
    let mut story = Story::begin(agent, user(), "pay 80");
    story.directory.severities.insert("high".into(), vec![ChannelName::new("web")]);
    let (id, _) = story.asks_approval("pay", json!({ "amount": 80 }));
    assert_eq!(refused(&says(&mut story, id, ana(), "approve")), Why::Elsewhere);
    let press = inbound(proven("web", "ana"), home(), crate::support::press("approve", None));
    assert!(matches!(comes(&mut story, &press, Some(id)).as_slice(), [Event::Answered(_)]));
}

/// Whoever is asked where it may not be decided sees what it is about and where to go, and no button that would refuse them.
#[test]
fn a_card_where_it_may_not_be_decided_says_where_it_may() {
    let mut story = Story::begin(
        on_terms("approvers = ['operators'], severity = 'high'", &["ask_at = 'desk'"]),
        user(),
        "pay 80",
    );
    story.directory.severities.insert("high".into(), vec![ChannelName::new("web")]);
    let (id, _) = story.asks_approval("pay", json!({ "amount": 80 }));
    let cards = crate::outgoing::sent(&story, id.0, &["web", "mail"]);
    let told = cards.iter().map(|message| match &message.content {
        channel::Content::Card(card) => (card.choices.len(), card.fields.len(), card.progress.clone()),
        channel::Content::Text(text) => panic!("no card: {text:?}"),
    });
    for (choices, fields, progress) in told {
        assert_eq!((choices, fields, progress.as_deref()), (0, 1, Some("It can be decided on: web.")));
    }
    assert!(!cards.is_empty());
}

#[test]
fn who_may_not_approve_it_there_is_not_asked_at_home() {
    let asked = |terms: &str, on: &str| {
        let agent = on_terms(&format!("approvers = ['operators'], {terms}"), &[]);
        let mut story = Story::begin(agent, proven("web", "ana"), "pay 80");
        story.directory.severities.insert("high".into(), vec![ChannelName::new(on)]);
        let (id, _) = story.asks_approval("pay", json!({ "amount": 80 }));
        members(&story.question(id).asked).join(", ")
    };
    assert_eq!(asked("requester_may_approve = true", "web"), "-");
    assert_eq!(asked("requester_may_approve = false", "web"), "ana, ben");
    assert_eq!(asked("severity = 'high'", "web"), "-");
    assert_eq!(asked("severity = 'high'", "mail"), "ana, ben");
}

#[test]
fn reminders_and_rungs_come_in_time_and_the_rest_waits() {
    let (mut story, id) = waiting(
        "approvers = ['operators'], deadline = '1h', remind = ['10m'], \
         escalate = [{ after = '30m', desk = 'finance', approvers = ['finance'] }]",
        &[],
    );
    let asked_at = story.now;
    let waits_until = |story: &Story, minutes: i64| {
        let Step::Wait(Some(until)) = story.step() else { panic!("{:?}", story.step()) };
        // An event is written a second after the one before.
        assert_eq!((until.duration_since(asked_at).as_secs() + 30) / 60, minutes);
    };
    waits_until(&story, 10);
    story.pass(600);
    let reminded = story.record();
    assert_eq!(
        (&again(&reminded).because, members(&again(&reminded).asked)),
        (&Because::Reminder(0), vec!["ana", "ben"])
    );
    waits_until(&story, 30);
    assert_eq!(refused(&says(&mut story, id, cleo(), "approve")), Why::NotPermitted);
    story.pass(1_300);
    let escalated = story.record();
    assert_eq!(
        (&again(&escalated).because, members(&again(&escalated).asked)),
        (&Because::Rung(0), vec!["cleo"])
    );
    waits_until(&story, 60);
    let yes = says(&mut story, id, cleo(), "approve");
    assert!(matches!(yes.as_slice(), [Event::Answered(answer)] if answer.member.as_deref() == Some("cleo")));
}

#[test]
fn who_has_answered_or_put_it_off_is_not_reminded() {
    let (mut story, id) =
        waiting("approvers = ['operators'], quorum = 'all', deadline = '2h', remind = ['10m', '20m']", &[]);
    says(&mut story, id, ana(), "approve");
    story.pass(600);
    assert_eq!(members(&again(&story.record()).asked), ["ben"]);
    let off = says(&mut story, id, ben(), "snooze: 1h");
    assert!(
        matches!(off.as_slice(), [Event::Deferred(deferral)] if matches!(deferral.deferring, Deferring::Snoozed(_)))
    );
    story.pass(700);
    assert!(again(&story.record()).asked.is_empty(), "both have reacted");
    story.pass(3_000);
    let snoozed = story.record();
    assert_eq!(
        (&again(&snoozed).because, members(&again(&snoozed).asked)),
        (&Because::Snoozed("ben".into()), vec!["ben"])
    );
    // Put off for longer than it waits.
    assert_eq!(refused(&says(&mut story, id, ben(), "snooze: 3h")), Why::Unfit);
    assert_eq!(refused(&says(&mut story, id, ben(), "snooze: soon")), Why::Unfit);
}

#[test]
fn a_card_that_reaches_nobody_is_escalated_at_once() {
    let (mut story, id) = waiting(
        "approvers = ['operators'], escalate = [{ after = '30m', desk = 'finance', approvers = ['finance'] }]",
        &[],
    );
    let lose = |story: &mut Story, n| {
        let key = story.thread.id().delivery(id.0, n);
        for event in agent::lost(&story.thread, key, "no such mailbox") {
            story.write(event);
        }
    };
    lose(&mut story, 0);
    assert!(matches!(story.step(), Step::Wait(_)), "one of two is reached");
    lose(&mut story, 1);
    let escalated = story.record();
    assert_eq!(
        (&again(&escalated).because, members(&again(&escalated).asked)),
        (&Because::Rung(0), vec!["cleo"])
    );
    assert!(matches!(says(&mut story, id, cleo(), "approve").as_slice(), [Event::Answered(_)]));
}

/// Whoever sleeps will be asked: nobody else is, before that or the time of the rung.
#[test]
fn who_is_to_be_asked_in_the_morning_counts_as_reached() {
    let terms = "approvers = ['operators'], deadline = '20h', escalate = [{ after = '15h', desk = 'finance', approvers = ['finance'] }]";
    let mut story = Story::begin(on_terms(terms, &[]), user(), "pay 80");
    story.directory.members.get_mut("ana").unwrap().quiet = Some("20:00-07:00".parse::<Hours>().unwrap());
    let events = story.wants(act("pay", json!({ "amount": 80 })));
    assert_eq!(members(&asked(&events).held), ["ana"]);
    let key = story.thread.id().delivery(story.open().0, 0);
    for event in agent::lost(&story.thread, key, "no such mailbox") {
        story.write(event);
    }
    assert!(matches!(story.step(), Step::Wait(_)), "{:?}", story.step());
}

#[test]
fn a_rung_reaches_who_stands_in_for_somebody_away() {
    let terms = "approvers = ['operators'], escalate = [{ after = '30m', desk = 'finance', approvers = ['finance'] }]";
    let (mut story, _) = waiting(terms, &[]);
    let cleo_s = story.directory.members.get_mut("cleo").unwrap();
    cleo_s.away = Some("2026-05-28/2026-05-30".parse::<Days>().unwrap());
    cleo_s.delegate = Some("eli".into());
    let mail = ChannelName::new("mail");
    let eli = Member {
        places: [(mail.clone(), Place::new("to:eli@corp.example"))].into(),
        ..Member::new([(mail, "eli@corp.example".to_owned())])
    };
    story.directory.members.insert("eli".into(), eli);
    story.pass(1_800);
    assert_eq!(members(&again(&story.record()).asked), ["eli"]);
}

#[test]
fn the_end_of_the_time_is_what_the_terms_say_and_never_a_no() {
    for (terms, otherwise) in [
        ("otherwise = 'deny'", Otherwise::Deny),
        ("otherwise = 'allow'", Otherwise::Allow),
        ("otherwise = 'hand_over'", Otherwise::HandOver),
    ] {
        let (mut story, id) = waiting(&format!("approvers = ['operators'], deadline = '1h', {terms}"), &[]);
        assert_eq!(story.question(id).terms.otherwise, otherwise);
        story.pass(3_590);
        assert!(matches!(story.step(), Step::Wait(_)));
        story.pass(10);
        let events = story.record();
        assert_eq!(events[0], Event::Lapsed { question: id });
        assert!(story.thread.denied_at("pay", &agent::args_hash(&json!({ "amount": 80 }))).is_none());
        assert_eq!(refused(&says(&mut story, id, ana(), "approve")), Why::Expired);
        match otherwise {
            Otherwise::Deny => assert_eq!(story.phase(), Phase::Thinking),
            Otherwise::Allow => assert!(matches!(story.step(), Step::Act(call) if call.tool == "pay")),
            Otherwise::HandOver => {
                assert!(matches!(events[1], Event::HandedOver { .. }), "{events:#?}");
                assert_eq!(story.phase(), Phase::Waiting);
            }
        }
    }
}

#[test]
fn who_sleeps_is_asked_in_the_morning_unless_that_is_too_late() {
    let agent = || on_terms("approvers = ['operators'], deadline = '12h'", &[]);
    // It begins at 20:26 UTC.
    let quiet = |story: &mut Story, hours: &str| {
        story.directory.members.get_mut("ana").unwrap().quiet = Some(hours.parse::<Hours>().unwrap());
    };
    let mut story = Story::begin(agent(), user(), "pay 80");
    quiet(&mut story, "20:00-07:00");
    let events = story.wants(act("pay", json!({ "amount": 80 })));
    let question = asked(&events);
    assert_eq!((members(&question.asked), members(&question.held)), (vec!["ben"], vec!["ana"]));
    let Step::Wait(Some(until)) = story.step() else { panic!("{:?}", story.step()) };
    assert_eq!(until.to_string(), "2026-05-29T07:00:00Z");
    story.now = until;
    let awake = story.record();
    assert_eq!(
        (&again(&awake).because, members(&again(&awake).asked)),
        (&Because::Awake("ana".into()), vec!["ana"])
    );
    assert!(
        matches!(story.step(), Step::Wait(Some(until)) if until == story.question(story.open()).deadline)
    );

    let mut story = Story::begin(agent(), user(), "pay 80");
    quiet(&mut story, "20:00-12:00");
    let events = story.wants(act("pay", json!({ "amount": 80 })));
    assert_eq!(members(&asked(&events).asked), ["ana", "ben"], "in the morning it would be too late");
}

#[test]
fn who_is_away_is_stood_in_for() {
    let mut story = Story::begin(on_terms("approvers = ['cleo'], desk = 'finance'", &[]), user(), "pay 80");
    let mail = ChannelName::new("mail");
    let dan = Member {
        places: [(mail.clone(), Place::new("to:dan@corp.example"))].into(),
        ..Member::new([(mail, "dan@corp.example".to_owned())])
    };
    story.directory.members.insert("dan".into(), dan);
    let cleo_s = story.directory.members.get_mut("cleo").unwrap();
    cleo_s.away = Some("2026-05-28/2026-05-30".parse::<Days>().unwrap());
    cleo_s.delegate = Some("dan".into());
    let (id, _) = story.asks_approval("pay", json!({ "amount": 80 }));
    assert_eq!(members(&story.question(id).asked), ["dan"]);
    let yes = says(&mut story, id, proven("mail", "dan@corp.example"), "approve");
    let [Event::Answered(answer)] = yes.as_slice() else { panic!("{yes:#?}") };
    assert_eq!((answer.member.as_deref(), answer.instead_of.as_deref()), (Some("dan"), Some("cleo")));
}

#[test]
fn a_question_is_given_to_who_may_answer_it_and_to_nobody_else() {
    let with_places = |story: &mut Story| {
        for (name, id) in
            [("ana", "ana@corp.example"), ("ben", "ben@corp.example"), ("cleo", "cleo@corp.example")]
        {
            let member = story.directory.members.get_mut(name).unwrap();
            member.places.insert(ChannelName::new("mail"), Place::new(format!("to:{id}")));
        }
    };
    let (mut story, id) = waiting("approvers = ['operators']", &[]);
    with_places(&mut story);
    assert_eq!(refused(&says(&mut story, id, ana(), "delegate: cleo")), Why::Unfit);
    assert_eq!(refused(&says(&mut story, id, ana(), "delegate: ana")), Why::Unfit);
    assert_eq!(refused(&says(&mut story, id, cleo(), "delegate: cleo")), Why::NotPermitted);
    let given = says(&mut story, id, ana(), "delegate: ben");
    assert!(matches!(given.as_slice(), [Event::Deferred(_), Event::AskedAgain(_)]), "{given:#?}");
    assert_eq!(members(&again(&given).asked), ["ben"]);
    // Her own delegate she may name, too, and he may answer then.
    story.directory.members.get_mut("ana").unwrap().delegate = Some("cleo".into());
    let given = says(&mut story, id, ana(), "delegate: cleo");
    assert_eq!(again(&given).audience, ["cleo"]);
    assert!(matches!(says(&mut story, id, cleo(), "approve").as_slice(), [Event::Answered(_)]));
}

#[test]
fn what_is_asked_back_is_answered_where_it_was_asked_and_the_question_stays_open() {
    let (mut story, id) = waiting("approvers = ['operators']", &[]);
    let asked_back = says(&mut story, id, ana(), "ask: why so much?");
    assert!(matches!(asked_back.as_slice(), [Event::Deferred(_)]), "{asked_back:#?}");
    assert_eq!((story.phase(), story.step()), (Phase::Waiting, Step::Think));
    let events = story.wants(say("The lamp arrived broken."));
    assert_eq!(said(&events).to, place("mail", "to:ana@corp.example"));
    assert!(matches!(story.step(), Step::Wait(_)), "{:?}", story.step());
    assert!(matches!(says(&mut story, id, ana(), "approve").as_slice(), [Event::Answered(_)]));
    assert!(matches!(story.step(), Step::Act(call) if call.tool == "pay"));
}

/// Two asked back before anything was said: each is a situation of its own, the oldest first, as the words go to its asker first.
#[test]
fn the_scripted_model_is_told_of_each_thing_that_was_asked_back_until_it_is_answered() {
    let (mut story, id) = waiting("approvers = ['operators']", &[]);
    says(&mut story, id, ana(), "ask: why so much?");
    says(&mut story, id, ana(), "ask: why so late?");
    for asked_back in ["why so much?", "why so late?"] {
        let last = render(&story.agent, &story.thread).unwrap().situation["last"].clone();
        assert_eq!((&last["kind"], &last["text"]), (&json!("asked_back"), &json!(asked_back)));
        story.wants(say("The lamp arrived broken."));
    }
    assert!(matches!(story.step(), Step::Wait(_)), "{:?}", story.step());
}

#[test]
fn who_asks_back_gets_words_and_the_agent_may_look_something_up_first() {
    let (mut story, id) = waiting("approvers = ['operators']", &["limits.failures = 3"]);
    says(&mut story, id, ana(), "ask: why so much?");
    let call = story.thought(act("lookup", json!({ "id": 1 })));
    assert!(matches!(story.step(), Step::Act(call) if call.tool == "lookup"));
    story.started(agent::CallId(call), "lookup", &json!({ "id": 1 }));
    story.acted(agent::CallId(call), agent::Outcome::Done(json!("broken")));
    assert_eq!((story.phase(), story.step()), (Phase::Waiting, Step::Think), "the answer is still owed");
    // It may not do anything else instead, nor end the request.
    let other = story.wants(act("poke", json!({})));
    assert!(matches!(other.as_slice(), [Event::Failed(_)]), "{other:#?}");
    let same = story.wants(act("pay", json!({ "amount": 80 })));
    assert!(matches!(same.as_slice(), [Event::Failed(_)]), "{same:#?}");
    let ended = story.wants(finish("It was broken."));
    assert_eq!(said(&ended).to, place("mail", "to:ana@corp.example"));
    assert!(!ended.contains(&Event::Finished));
    assert_eq!(story.open(), id);
}

#[test]
fn a_model_that_has_no_answer_to_it_is_not_asked_for_ever() {
    let (mut story, id) = waiting("approvers = ['operators']", &["limits.failures = 2"]);
    says(&mut story, id, ana(), "ask: why so much?");
    story.fault("no JSON");
    assert_eq!(story.step(), Step::Think);
    story.fault("no JSON either");
    let events = story.record();
    assert!(said(&events).answers.is_some() && crate::support::by_gateway(said(&events)), "{events:#?}");
    assert!(matches!(story.step(), Step::Wait(_)));
    assert_eq!(story.open(), id);
}

/// A thought that was under way when somebody decided is late: what was decided comes first.
#[test]
fn a_decision_is_not_lost_to_a_thought_that_began_before_it() {
    let (mut story, id) = waiting("approvers = ['operators']", &[]);
    says(&mut story, id, ana(), "ask: why so much?");
    let seen = story.thread.version();
    says(&mut story, id, ben(), "approve");
    story.write(crate::support::thought(say("The lamp arrived broken."), seen));
    assert!(matches!(story.step(), Step::Act(call) if call.tool == "pay"), "{:?}", story.step());

    let (mut story, id) = waiting("approvers = ['operators']", &[]);
    says(&mut story, id, ana(), "ask: why so much?");
    let call = agent::CallId(story.thought(act("lookup", json!({ "id": 1 }))));
    story.started(call, "lookup", &json!({ "id": 1 }));
    says(&mut story, id, ben(), "approve");
    story.acted(call, agent::Outcome::Done(json!("broken")));
    assert!(matches!(story.step(), Step::Act(call) if call.tool == "pay"), "{:?}", story.step());

    let (mut story, id) = waiting("approvers = ['operators']", &[]);
    says(&mut story, id, ana(), "ask: why so much?");
    says(&mut story, id, ben(), "approve");
    story.fault("no JSON");
    assert!(matches!(story.step(), Step::Act(call) if call.tool == "pay"), "{:?}", story.step());
}

#[test]
fn a_message_meanwhile_waits_is_considered_or_closes_the_question() {
    let (mut story, _) = waiting("approvers = ['operators']", &[]);
    story.heard(user(), "make it 70");
    assert!(matches!(story.step(), Step::Wait(_)), "it waits");

    let (mut story, id) = waiting("approvers = ['operators']", &["while_waiting = 'consider'"]);
    story.heard(user(), "is it done?");
    assert_eq!(story.step(), Step::Think);
    story.wants(say("Not yet."));
    assert!(matches!(story.step(), Step::Wait(_)), "once");
    assert_eq!(story.open(), id);
    story.heard(user(), "make it 70");
    let events = story.wants(act("pay", json!({ "amount": 70 })));
    assert!(matches!(events.as_slice(), [Event::Withdrawn { .. }]), "{events:#?}");
    let events = story.record();
    assert_eq!(asked(&events).text, "ulla asked: pay 80");
    assert_ne!(story.open(), id);
    assert_eq!(refused(&says(&mut story, id, ana(), "approve")), Why::Withdrawn);

    let (mut story, id) = waiting("approvers = ['operators']", &["while_waiting = 'cancel'"]);
    story.heard(user(), "never mind, look up 1");
    let events = story.record();
    assert!(matches!(events.as_slice(), [Event::Withdrawn { .. }]), "{events:#?}");
    assert_eq!((story.phase(), story.step()), (Phase::Thinking, Step::Think));
    assert_eq!(refused(&says(&mut story, id, ana(), "approve")), Why::Withdrawn);
}

#[test]
fn stop_stops_whatever_goes_on() {
    let stop = |story: &mut Story, who: Person| comes(story, &inbound(who, home(), text("stop")), None);
    let (mut story, id) = waiting("approvers = ['operators']", &[]);
    // A stranger's word is something said.
    assert!(matches!(stop(&mut story, proven("web", "stranger")).as_slice(), [Event::Heard(_)]));
    let events = stop(&mut story, user());
    assert!(matches!(events.as_slice(), [Event::Cancelled { .. }, Event::Said(_)]), "{events:#?}");
    assert_eq!(story.phase(), Phase::Cancelled);
    assert_eq!(refused(&says(&mut story, id, ana(), "approve")), Why::Settled);
    // The thought that was under way changes nothing.
    let seen = story.thread.version();
    story.write(crate::support::thought(act("poke", json!({})), seen));
    assert_eq!(story.step(), Step::Wait(None));
    // With nothing to stop it is a message like any other.
    let events = stop(&mut story, user());
    assert!(matches!(events.first(), Some(Event::Routed(_) | Event::Heard(_))), "{events:#?}");
}

#[test]
fn a_code_names_one_of_several() {
    let (mut story, first) = waiting("approvers = ['operators'], desk = 'hall'", &[]);
    let mut other = story.question(first).clone();
    other.text = "another".into();
    let second = QuestionId(story.write(Event::Asked(other)));
    let hall = place("web", "hall");
    let ana = |words: &str| inbound(proven("web", "ana"), place("web", "hall"), text(words));
    assert_eq!(story.question(first).asked[0].at, hall);
    assert_eq!(refused(&comes(&mut story, &ana("approve"), None)), Why::Which);
    let code = |id| short_code(story.thread.id(), id);
    let (first_code, second_code) = (code(first), code(second));
    let wrong = ana(&format!("#{first_code} approve"));
    assert_eq!(
        refused(&comes(&mut story, &wrong, Some(second))),
        Why::Unclear,
        "the card and the code differ"
    );
    let events = comes(&mut story, &ana(&format!("#{} Approve", second_code.to_uppercase())), None);
    assert!(
        matches!(events.as_slice(), [Event::Answered(answer)] if answer.question == second && answer.decision == Decision::Approve),
        "{events:#?}"
    );
    let but = comes(&mut story, &ana(&format!("#{first_code} ok but only 50")), None);
    assert!(matches!(but.as_slice(), [Event::Heard(_)] | [Event::Refused(_)]), "{but:#?}");
    assert!(story.thread.settled_by(first).is_none());
}

/// A request that the agent has handed over to the operators.
fn handed_over() -> (Story, QuestionId) {
    let mut story = Story::new(&[]);
    story.wants(agent::Intent::HandOver { reason: "I do not know".into() });
    let id = story.open();
    (story, id)
}

/// Where the last event is told, and how.
fn sent(story: &Story) -> Vec<(String, String)> {
    let can = Capabilities { buttons: true, forms: true, amends: true, private: true, ..NOTHING };
    let tickets = agent::Tickets::new([7; 32]);
    let press =
        agent::Press { tickets: &tickets, capabilities: &|_| Some(can), secrets: &|_| Some(Vec::new()) };
    let last = agent::Seq(story.thread.version().0 - 1);
    let told = |message: channel::Outgoing| {
        let words = match message.content {
            channel::Content::Text(text) => format!("{}: {}", text.note.unwrap_or_default(), text.markdown),
            channel::Content::Card(card) => format!("card: {}", card.progress.unwrap_or_default()),
        };
        (message.to.place.as_str().to_owned(), words)
    };
    agent::outgoing(&story.thread, last, &press).into_iter().map(told).collect()
}

#[test]
fn who_takes_a_conversation_over_talks_until_it_is_handed_back() {
    let (mut story, id) = handed_over();
    story.heard(user(), "are you there?");
    assert!(sent(&story).is_empty(), "nobody has taken over");
    assert_eq!(refused(&says(&mut story, id, cleo(), "take over")), Why::NotPermitted);
    let took = says(&mut story, id, ana(), "take over");
    assert!(matches!(took.as_slice(), [Event::Deferred(_)]), "{took:#?}");
    let told = sent(&story);
    assert!(told[0].0 == "to:ana@corp.example" && told[0].1.contains("ulla: are you there?"), "{told:#?}");
    assert!(told[1].0 == "page-1" && told[1].1.contains("ana has taken over"), "{told:#?}");
    assert_eq!(told[2..].len(), story.question(id).asked.len(), "each card says so: {told:#?}");
    assert!(told[2..].iter().all(|(_, words)| words == "card: ana has taken over."), "{told:#?}");

    says(&mut story, id, ana(), "Hello, it is on its way.");
    assert_eq!(sent(&story), [("page-1".to_owned(), "ana: Hello, it is on its way.".to_owned())]);
    let heard = story.heard(user(), "thank you, and when?");
    assert_eq!(sent(&story), [("to:ana@corp.example".to_owned(), "ulla: thank you, and when?".to_owned())]);
    assert_eq!(story.thread.asked_by(heard, 0), Some(id), "a reply to it is for this conversation");
    // Each word gives it as much time as it had at first.
    story.pass(2 * 86_400);
    says(&mut story, id, ana(), "Tomorrow.");
    story.pass(2 * 86_400);
    assert!(matches!(story.step(), Step::Wait(Some(_))), "{:?}", story.step());

    let back = says(&mut story, id, ana(), "hand back: tell them the number of the parcel");
    assert!(matches!(back.as_slice(), [Event::Answered(_)]), "{back:#?}");
    assert_eq!(story.step(), Step::Think);
    // What was said to a human begins no request of its own.
    story.wants(finish("It is 17."));
    assert_eq!(story.phase(), Phase::Finished);
    assert_eq!(refused(&says(&mut story, id, ana(), "one more thing")), Why::Settled);
}

/// Somebody talks with its people already: whoever slept is not asked to.
#[test]
fn a_conversation_that_was_taken_over_is_offered_to_nobody_else() {
    let mut story = Story::begin(crate::support::agent(&[]), user(), "deploy, please");
    story.directory.members.get_mut("ben").unwrap().quiet = Some("20:00-07:00".parse::<Hours>().unwrap());
    story.wants(agent::Intent::HandOver { reason: "I am lost".into() });
    let id = story.open();
    assert_eq!(members(&story.question(id).held), ["ben"]);
    says(&mut story, id, ana(), "take over");
    story.pass(12 * 3_600);
    assert!(matches!(story.step(), Step::Wait(Some(_))), "{:?}", story.step());
}

/// A human has it now: whatever its people say, no model is asked.
#[test]
fn what_is_said_after_a_hand_over_is_for_the_human() {
    let mut story =
        Story::begin(crate::support::agent(&["while_waiting = 'consider'"]), user(), "deploy, please");
    story.wants(agent::Intent::HandOver { reason: "I am lost".into() });
    story.heard(user(), "and another thing");
    assert!(matches!(story.step(), Step::Wait(Some(_))), "{:?}", story.step());
}

/// A conversation that was taken over ends without a word when it is done, or when its last word was the human's; whoever waits
/// for one is told that none will come.
#[test]
fn who_waits_for_a_word_of_a_human_is_not_left_in_silence() {
    let ends = |words: &[(bool, &str)]| {
        let (mut story, id) = handed_over();
        says(&mut story, id, ana(), "take over");
        for (human, words) in words {
            if *human {
                says(&mut story, id, ana(), words);
            } else {
                story.heard(user(), words);
            }
        }
        if story.thread.settled_by(id).is_none() {
            story.pass(4 * 86_400);
            assert_eq!(story.record(), [Event::Lapsed { question: id }]);
        }
        let events = story.record();
        assert_eq!(events.last(), Some(&Event::Finished));
        assert_eq!(story.phase(), Phase::Finished, "what was said to a human is no request");
        events.len() > 1
    };
    let (ana, ulla) = (true, false);
    assert!(!ends(&[(ana, "It is on its way."), (ulla, "thank you"), (ana, "done")]));
    assert!(!ends(&[(ulla, "when?"), (ana, "Tomorrow.")]));
    assert!(ends(&[(ana, "It is on its way."), (ulla, "when?")]));
    assert!(ends(&[]), "nothing was ever said");
    assert!(ends(&[(ana, "done")]), "done before anything was said");
}

#[test]
fn an_answer_without_taking_over_is_relayed_once() {
    let (mut story, id) = handed_over();
    let events = says(&mut story, id, ben(), "It is on its way.");
    assert!(matches!(events.as_slice(), [Event::Answered(_)]), "{events:#?}");
    let relayed = story.record();
    assert_eq!(said(&relayed).text, "It is on its way.");
    assert!(relayed.contains(&Event::Finished));
}

/// Who has taken over may begin a sentence with any word: it is for the people of the thread, not for the agent.
#[test]
fn who_talks_in_the_agent_s_place_is_not_taken_at_their_first_word() {
    let (mut story, id) = handed_over();
    assert!(matches!(says(&mut story, id, ana(), "ask: are you there?").as_slice(), [Event::Answered(_)]));

    let (mut story, id) = handed_over();
    says(&mut story, id, ana(), "take over");
    for words in ["Question: which colour?", "Later: I call you.", "delegate: ben"] {
        let events = says(&mut story, id, ana(), words);
        assert!(matches!(events.as_slice(), [Event::Spoke(speech)] if speech.text == words), "{events:#?}");
        assert!(matches!(story.step(), Step::Wait(_)));
    }
}

/// That somebody has taken over is told at home: who replies to that says something.
#[test]
fn a_reply_to_the_word_that_somebody_took_over_is_no_answer() {
    let (mut story, id) = handed_over();
    says(&mut story, id, ana(), "take over");
    let took = agent::Seq(story.thread.version().0 - 1);
    let told = sent(&story);
    assert_eq!((told[0].0.as_str(), told[1].0.as_str()), ("to:ana@corp.example", "page-1"));
    assert_eq!(story.thread.asked_by(took, 0), Some(id));
    assert_eq!(story.thread.asked_by(took, 1), None);
}

/// What both sides say in one place is not said there twice.
#[test]
fn nothing_is_relayed_to_where_it_was_said() {
    let (mut story, id) = handed_over();
    let here = |words: &str| inbound(proven("web", "ana"), home(), text(words));
    comes(&mut story, &here("take over"), Some(id));
    story.heard(user(), "hello?");
    assert!(sent(&story).is_empty());
    comes(&mut story, &here("Here I am."), Some(id));
    assert!(sent(&story).is_empty());
}

/// A conversation that was handed over since a limit was reached goes on when a human gives it back.
#[test]
fn who_hands_back_gives_the_agent_new_limits() {
    let mut story = Story::new(&["limits.steps = 2"]);
    story.ran("lookup", json!({ "id": 1 }), agent::Outcome::Done(json!("a")));
    story.ran("lookup", json!({ "id": 2 }), agent::Outcome::Done(json!("b")));
    assert!(matches!(story.record().first(), Some(Event::HandedOver { .. })));
    let id = story.open();
    says(&mut story, id, ana(), "hand back: try it once more");
    assert_eq!(story.step(), Step::Think);
    story.ran("lookup", json!({ "id": 3 }), agent::Outcome::Done(json!("c")));
    assert_eq!(story.step(), Step::Think);
}

/// What became of a call is asked whatever its people say meanwhile.
#[test]
fn a_question_what_became_of_a_call_is_not_withdrawn() {
    for policy in ["while_waiting = 'consider'", "while_waiting = 'cancel'"] {
        let mut story = Story::new(&[policy]);
        story.ran("poke", json!({}), agent::Outcome::Unknown { why: "time-out".into() });
        story.record();
        let id = story.open();
        story.heard(user(), "never mind");
        assert!(matches!(story.step(), Step::Wait(Some(_))), "{policy}: {:?}", story.step());
        assert!(story.thread.settled_by(id).is_none());
    }
}

/// A request that is given up while a call runs is over when that is, and nobody is left in doubt about what it did.
#[test]
fn what_a_call_did_is_known_though_its_request_was_given_up() {
    let running = || {
        let mut story = Story::new(&[]);
        let call = agent::CallId(story.thought(act("poke", json!({}))));
        story.started(call, "poke", &json!({}));
        let stopped = comes(&mut story, &inbound(user(), home(), text("stop")), None);
        assert!(said(&stopped).text.contains("may still come to its end"), "{stopped:#?}");
        (story, call)
    };
    let (mut story, call) = running();
    story.acted(call, agent::Outcome::Done(json!("ok")));
    assert_eq!((story.phase(), story.step()), (Phase::Cancelled, Step::Wait(None)));

    // What is said before that is the next request, and not lost with this one.
    let (mut story, call) = running();
    story.heard(user(), "do this instead");
    story.acted(call, agent::Outcome::Done(json!("ok")));
    assert_eq!((story.phase(), story.step()), (Phase::Thinking, Step::Think));
    assert_eq!(story.thread.request().unwrap().text, "do this instead");

    // One that only looks is not run again for a request that nobody wants any more.
    let mut story = Story::new(&[]);
    let call = agent::CallId(story.thought(act("lookup", json!({}))));
    story.started(call, "lookup", &json!({}));
    comes(&mut story, &inbound(user(), home(), text("stop")), None);
    assert!(matches!(story.step(), Step::Record(_)), "{:?}", story.step());

    // The process dies: the call is not run again, and a human is asked.
    let (mut story, _) = running();
    story.record();
    story.record();
    let id = story.open();
    assert!(matches!(story.question(id).kind, agent::QuestionKind::Unknown { .. }));
    story.answered(id, Decision::Option(0));
    assert_eq!(story.phase(), Phase::Cancelled);
}

/// Of several questions in one place those count that their sender may answer, and nobody learns of the others.
#[test]
fn who_may_answer_one_of_several_means_that_one() {
    let (mut story, first) = waiting("approvers = ['operators'], desk = 'hall'", &[]);
    let mut other = story.question(first).clone();
    other.audience.members = vec!["finance".into()];
    let second = QuestionId(story.write(Event::Asked(other)));
    let at_hall = |who: &str, words: &str| inbound(proven("web", who), place("web", "hall"), text(words));
    let events = comes(&mut story, &at_hall("stranger", "approve"), None);
    assert!(matches!(events.as_slice(), [Event::Heard(_)]), "{events:#?}");
    let events = comes(&mut story, &at_hall("cleo", "approve"), None);
    assert!(
        matches!(events.as_slice(), [Event::Answered(answer)] if answer.question == second),
        "{events:#?}"
    );
    assert!(story.thread.settled_by(first).is_none());
}

/// Who writes without proof may stop what they asked for, and nothing that somebody proven did.
#[test]
fn who_may_stop_a_request() {
    let stop = |requester: Person, who: Person| {
        let mut story = Story::begin(on_terms("approvers = ['operators']", &[]), requester, "pay 80");
        story.asks_approval("pay", json!({ "amount": 80 }));
        let events = comes(&mut story, &inbound(who, home(), text("/stop")), None);
        matches!(events.first(), Some(Event::Cancelled { .. }))
    };
    let claimed = |id: &str| crate::support::claimed("web", id);
    assert!(stop(claimed("ulla"), claimed("ulla")));
    assert!(stop(user(), user()));
    assert!(!stop(user(), claimed("ulla")));
    assert!(!stop(user(), proven("web", "stranger")));
    assert!(stop(user(), proven("web", "ana")), "a member may");
}

/// The words that a card shows where it has no forms mean what its buttons do.
#[test]
fn each_word_on_a_card_is_understood() {
    let (story, id) = handed_over();
    let (asks, approval) = waiting("approvers = ['operators']", &[]);
    for (story, id) in [(story, id), (asks, approval)] {
        let question = story.question(id);
        for choice in choices(&story, id).iter().filter(|choice| choice.form.is_empty()) {
            let press = crate::support::press(&choice.id, None);
            let pressed = crate::admit::admitted(&story, &inbound(ana(), home(), press), Some(id), NATIVE);
            let written = inbound(ana(), home(), text(&choice.id));
            let written = crate::admit::admitted(&story, &written, Some(id), NATIVE);
            match (pressed.as_slice(), written.as_slice()) {
                ([Event::Answered(pressed)], [Event::Answered(written)]) => {
                    assert_eq!(pressed.decision, written.decision, "{}: {question:?}", choice.id);
                }
                ([Event::Deferred(pressed)], [Event::Deferred(written)]) => {
                    assert_eq!(pressed.deferring, written.deferring, "{}", choice.id);
                }
                // These are words only.
                (_, [Event::Deferred(_)]) => {}
                (_, [Event::Refused(refusal)]) => {
                    assert!(choice.id.starts_with("delegate") && refusal.why == Why::Unfit, "{refusal:?}");
                }
                other => panic!("{}: {other:#?}", choice.id),
            }
        }
    }
}

/// The choices of a card on a channel without forms.
fn choices(story: &Story, id: QuestionId) -> Vec<channel::Choice> {
    let tickets = agent::Tickets::new([7; 32]);
    let press =
        agent::Press { tickets: &tickets, capabilities: &|_| Some(NOTHING), secrets: &|_| Some(Vec::new()) };
    match agent::outgoing(&story.thread, id.0, &press).remove(0).content {
        channel::Content::Card(card) => card.choices,
        channel::Content::Text(text) => panic!("no card: {text:?}"),
    }
}
