//! Approvals that hold for a while for calls like the one they were given for.

use agent::{
    Agent, CallId, Days, Decision, Event, Member, Outcome, Phase, QuestionId, Seq, Step, Why, grants,
    short_code,
};
use channel::{Body, Card, ChannelName, Content, Person};
use serde_json::{Value, json};

use crate::{
    inquiry::{comes, refused, says},
    outgoing::sent,
    support::{Story, act, claimed, heard, inbound, place, proven, text, user},
};

/// A tool that is asked about on these terms, with more keys of its own.
fn paying(terms: &str, more: &str) -> Agent {
    let mut files = crate::support::files(&[]);
    let pay = format!(
        "\n[tools.pay]\ndescription = \"Pays.\"\nrun.command.argv = [\"tools/pay\"]\nrepeat = \"never\"\nrisk = \"high\"\n{more}\n\
         policy = [{{ when = 'args.amount > 500', then = 'ask', approvers = ['finance'], desk = 'finance' }}, {{ then = 'ask', {terms} }}]\n\
         [tools.pay.parameters]\ntype = \"object\"\n[tools.pay.parameters.properties]\namount = {{ type = \"number\" }}\n\
         to = {{ type = \"string\" }}\n"
    );
    files.get_mut("agent.toml").unwrap().push_str(&pay);
    crate::support::load(files)
}

const TERMS: &str = "approvers = ['operators'], remember = { for = '8h', args = { amount = 'at_most' } }";

fn pay(amount: u32, to: &str) -> Value {
    json!({ "amount": amount, "to": to })
}

/// Ana approves a payment of 80 to Cy for two hours; it ran.
fn granted() -> (Story, QuestionId) {
    granted_on(TERMS)
}

fn granted_on(terms: &str) -> (Story, QuestionId) {
    let mut story = Story::begin(paying(terms, ""), user(), "pay 80 to cy");
    let (id, call) = story.asks_approval("pay", pay(80, "cy"));
    let events = says(&mut story, id, ana(), "approve\nfor: 2h");
    assert!(matches!(events.as_slice(), [Event::Answered(_)]), "{events:#?}");
    story.started(call, "pay", &pay(80, "cy"));
    story.acted(call, Outcome::Done(json!("paid")));
    (story, id)
}

/// The cards that an event sends.
fn cards(story: &Story, seq: Seq) -> Vec<Card> {
    let cards = sent(story, seq, &["web", "mail"]).into_iter().filter_map(|message| match message.content {
        Content::Card(card) => Some(card),
        Content::Text(_) => None,
    });
    cards.collect()
}

fn pressed(choice: &str, values: &[(&str, &str)]) -> Body {
    let values = values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Body::Press { choice: choice.to_owned(), comment: None, values: values.collect() }
}

fn ana() -> Person {
    proven("mail", "ana@corp.example")
}

/// What happens when the agent wants to pay.
fn wants(story: &mut Story, args: Value) -> Step {
    story.thought(act("pay", args));
    story.step()
}

/// Whether the agent may pay without anybody being asked; under which grant.
fn runs(story: &mut Story, args: Value) -> Option<QuestionId> {
    match wants(story, args) {
        Step::Act(call) => Some(call.grant.expect("a call that the policy asks about")),
        Step::Record(events) => {
            assert!(matches!(events.first(), Some(Event::Asked(_))), "{events:#?}");
            None
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_call_like_it_runs_without_asking_and_the_log_says_under_what() {
    let (mut story, id) = granted();
    let Step::Act(call) = wants(&mut story, pay(80, "cy")) else { panic!() };
    assert_eq!((call.grant, &call.args), (Some(id), &pay(80, "cy")));
    // A worker that dies in the middle of it leaves the next one with the same.
    assert_eq!(story.step(), Step::Act(call));
}

#[test]
fn only_calls_like_it() {
    for (args, like) in [
        (pay(80, "cy"), true),
        (pay(0, "cy"), true),
        (pay(81, "cy"), false),
        (pay(80, "dora"), false),
        (json!({ "amount": -1, "to": "cy" }), false),
        (json!({ "amount": "80", "to": "cy" }), false),
        (json!({ "amount": 80 }), false),
        (json!({ "amount": 80, "to": "cy", "note": "x" }), false),
    ] {
        let (mut story, id) = granted();
        assert_eq!(runs(&mut story, args.clone()), like.then_some(id), "{args}");
    }
}

#[test]
fn only_for_so_long() {
    for (minutes, holds) in [(118, true), (120, false)] {
        let (mut story, id) = granted();
        story.now = story.now.checked_add(jiff::SignedDuration::from_mins(minutes)).unwrap();
        assert_eq!(grants(&story.thread, story.now).len(), usize::from(holds));
        assert_eq!(runs(&mut story, pay(80, "cy")), holds.then_some(id));
    }
}

#[test]
fn only_for_the_person_whose_request_it_was() {
    for (who, holds) in [(proven("web", "somebody-else"), false), (user(), true)] {
        let (mut story, id) = granted();
        story.thought(crate::support::finish("done"));
        story.record();
        story.write(heard(who, "pay 80 to cy again"));
        assert_eq!(runs(&mut story, pay(80, "cy")), holds.then_some(id));
    }
}

#[test]
fn only_while_who_gave_it_could_give_it() {
    let (mut gone, _) = granted();
    for members in gone.directory.groups.values_mut() {
        members.retain(|member| member != "ana");
    }
    assert_eq!(runs(&mut gone, pay(80, "cy")), None);
}

/// Who stood in for somebody gave it in their stead; when they are back it holds no longer.
#[test]
fn what_a_stand_in_gave_ends_when_they_stand_in_no_longer() {
    let mut story = Story::begin(paying(TERMS, ""), user(), "pay 80 to cy");
    let mail = ChannelName::new("mail");
    story.directory.members.insert("eli".into(), Member::new([(mail, "eli@corp.example".to_owned())]));
    let ana_s = story.directory.members.get_mut("ana").unwrap();
    ana_s.away = Some("2026-05-28/2026-05-28".parse::<Days>().unwrap());
    ana_s.delegate = Some("eli".into());
    let (id, call) = story.asks_approval("pay", pay(80, "cy"));
    let given = says(&mut story, id, proven("mail", "eli@corp.example"), "approve\nfor: 8h");
    assert!(matches!(given.as_slice(), [Event::Answered(_)]), "{given:#?}");
    story.started(call, "pay", &pay(80, "cy"));
    story.acted(call, Outcome::Done(json!("paid")));
    story.thought(act("pay", pay(70, "cy")));
    assert!(matches!(story.step(), Step::Act(call) if call.grant == Some(id)));
    // It began at 20:26 UTC; the next day she is back.
    story.now = "2026-05-29T00:30:00Z".parse().unwrap();
    assert_eq!(grants(&story.thread, story.now).len(), 1, "its time is not over");
    let Step::Record(events) = story.step() else { panic!("{:?}", story.step()) };
    assert!(matches!(events.first(), Some(Event::Asked(_))), "{events:#?}");
}

#[test]
fn only_on_the_terms_and_with_the_agent_that_it_was_given_for() {
    for agent in [
        paying("approvers = ['operators'], remember = { for = '9h', args = { amount = 'at_most' } }", ""),
        paying(
            "approvers = ['finance'], desk = 'finance', remember = { for = '8h', args = { amount = 'at_most' } }",
            "",
        ),
        paying(TERMS, "timeout = '31s'"),
    ] {
        let (mut story, _) = granted();
        story.agent = agent;
        assert_eq!(runs(&mut story, pay(80, "cy")), None);
    }
    // A further rule asks somebody else above 500, whatever was remembered below it.
    let any = "approvers = ['operators'], remember = { for = '8h', args = { amount = 'any' } }";
    for (amount, holds) in [(500, true), (501, false)] {
        let (mut story, id) = granted_on(any);
        assert_eq!(runs(&mut story, pay(amount, "cy")), holds.then_some(id));
    }
}

/// A call that was begun again, as its tool allows, is one call, and runs under the same answer.
#[test]
fn a_call_that_is_begun_again_stays_under_its_grant_and_counts_once() {
    let mut files = crate::support::files(&[]);
    files.get_mut("agent.toml").unwrap().push_str(
        "\n[tools.pay]\ndescription = \"Pays.\"\nrun.command.argv = [\"tools/pay\"]\nrepeat = \"by_key\"\nrisk = \"high\"\n\
         parameters = { type = \"object\" }\npolicy = [{ then = 'ask', remember = { for = '8h' } }]\n",
    );
    let mut story = Story::begin(crate::support::load(files), user(), "pay 80 to cy");
    let (id, call) = story.asks_approval("pay", pay(80, "cy"));
    says(&mut story, id, ana(), "approve\nfor: 2h");
    story.started(call, "pay", &pay(80, "cy"));
    story.acted(call, Outcome::Done(json!("paid")));
    story.thought(act("pay", pay(80, "cy")));
    for begun in 0..2 {
        let Step::Act(call) = story.step() else { panic!("{:?}", story.step()) };
        assert_eq!(call.grant, Some(id), "begun {begun} times");
        story.write(Event::Started(agent::Started {
            call: call.id,
            tool: call.tool,
            args: call.args,
            hash: call.hash,
            grant: call.grant,
        }));
    }
    assert_eq!(agent::uses(&story.thread, id), 1);
}

/// Another rule asks on other terms, though the same people: what was remembered on the first ones does not hold for it. Nor does it
/// for another tool, whose rules are the same.
#[test]
fn another_rule_or_another_tool_is_another_matter() {
    let any = "approvers = ['operators'], remember = { for = '8h', args = { amount = 'any' } }";
    let others = any.replace("operators", "finance");
    let rules = format!(
        "[{{ when = 'args.amount > 300', then = 'ask', approvers = ['operators'], quorum = 2 }}, \
         {{ when = 'args.amount > 200', then = 'ask', desk = 'finance', {others} }}, {{ then = 'ask', {any} }}]"
    );
    let tool = |name: &str| {
        format!(
            "\n[tools.{name}]\ndescription = \"Pays.\"\nrun.command.argv = [\"tools/pay\"]\nrepeat = \"never\"\nrisk = \"high\"\n\
             parameters = {{ type = \"object\", properties = {{ amount = {{ type = \"number\" }}, to = {{ type = \"string\" }} }} }}\n\
             policy = {rules}\n"
        )
    };
    for (name, amount, holds) in
        [("pay", 200, true), ("pay", 201, false), ("pay", 301, false), ("transfer", 80, false)]
    {
        let mut files = crate::support::files(&[]);
        files.get_mut("agent.toml").unwrap().push_str(&format!("{}{}", tool("pay"), tool("transfer")));
        let mut story = Story::begin(crate::support::load(files), user(), "pay 80 to cy");
        let (id, call) = story.asks_approval("pay", pay(80, "cy"));
        says(&mut story, id, ana(), "approve\nfor: 2h");
        story.started(call, "pay", &pay(80, "cy"));
        story.acted(call, Outcome::Done(json!("paid")));
        story.thought(act(name, pay(amount, "cy")));
        assert_eq!(matches!(story.step(), Step::Act(_)), holds, "{name} {amount}");
    }
}

#[test]
fn an_approval_without_a_time_holds_for_one_call() {
    let mut story = Story::begin(paying(TERMS, ""), user(), "pay 80 to cy");
    let (id, call) = story.asks_approval("pay", pay(80, "cy"));
    says(&mut story, id, ana(), "approve");
    story.started(call, "pay", &pay(80, "cy"));
    story.acted(call, Outcome::Done(json!("paid")));
    assert_eq!(runs(&mut story, pay(80, "cy")), None);
}

#[test]
fn a_no_to_the_very_call_counts_for_more() {
    let (mut story, id) = granted();
    // Another payment is asked about, and denied; then the agent wants just that.
    let (other, _) = story.asks_approval("pay", pay(400, "cy"));
    says(&mut story, other, ana(), "reject");
    let Step::Record(events) = wants(&mut story, pay(400, "cy")) else { panic!() };
    assert!(matches!(events.as_slice(), [Event::Failed(_)]), "{events:#?}");
    assert_eq!(runs(&mut story, pay(80, "cy")), Some(id));
}

#[test]
fn for_how_long_is_said_and_is_at_most_what_the_terms_say() {
    let ask = || {
        let mut story = Story::begin(paying(TERMS, ""), user(), "pay 80 to cy");
        let (id, call) = story.asks_approval("pay", pay(80, "cy"));
        (story, id, call)
    };
    for (words, why) in [
        ("approve\nfor: 9h", Why::Unfit),
        ("approve\nfor: 0s", Why::Unfit),
        ("approve\nfor: ever", Why::Unfit),
        ("approve\nfor: 2h\namount: 40", Why::Unfit),
        ("approve for 2h", Why::Unclear),
    ] {
        let (mut story, id, _) = ask();
        assert_eq!(refused(&says(&mut story, id, ana(), words)), why, "{words}");
        assert_eq!(story.phase(), Phase::Waiting, "{words}");
    }
    let (mut story, id, call) = ask();
    let press = inbound(ana(), place("mail", "to:ana"), pressed("alike", &[("for", "8h")]));
    let events = comes(&mut story, &press, Some(id));
    let [Event::Answered(answer)] = events.as_slice() else { panic!("{events:#?}") };
    let until = story.now.checked_add(jiff::SignedDuration::from_hours(8)).unwrap();
    assert!(matches!(answer.decision, Decision::ApproveAlike { until: said } if said <= until), "{answer:?}");
    assert_eq!(story.phase(), Phase::Cleared(call));
}

#[test]
fn who_may_not_approve_it_may_not_approve_more() {
    for who in [proven("mail", "nobody@corp.example"), claimed("mail", "ana@corp.example")] {
        let mut story = Story::begin(paying(TERMS, ""), user(), "pay 80 to cy");
        let (id, _) = story.asks_approval("pay", pay(80, "cy"));
        refused(&says(&mut story, id, who, "approve\nfor: 2h"));
        assert_eq!(story.phase(), Phase::Waiting);
    }
}

#[test]
fn where_the_terms_say_nothing_of_it_there_is_no_such_answer() {
    let mut story = Story::begin(paying("approvers = ['operators']", ""), user(), "pay 80 to cy");
    let (id, _) = story.asks_approval("pay", pay(80, "cy"));
    refused(&says(&mut story, id, ana(), "approve\nfor: 2h"));
    let press = inbound(ana(), place("mail", "to:ana"), pressed("alike", &[("for", "2h")]));
    assert_eq!(refused(&comes(&mut story, &press, Some(id))), Why::Unclear);
    assert_eq!(story.phase(), Phase::Waiting);
    let offered = |story: &Story| {
        cards(story, id.0).iter().any(|card| card.choices.iter().any(|choice| choice.id == "alike"))
    };
    assert!(!offered(&story));
    let mut story = Story::begin(paying(TERMS, ""), user(), "pay 80 to cy");
    let (id, _) = story.asks_approval("pay", pay(80, "cy"));
    let cards = cards(&story, id.0);
    let alike = cards[0].choices.iter().find(|choice| choice.id == "alike").expect("it is offered");
    let hint = alike.form[0].hint.as_deref().unwrap();
    assert!(
        hint.contains("At most 8h") && hint.contains("amount at most what it was and all else the same"),
        "{hint}"
    );
}

#[test]
fn whoever_is_asked_may_end_it_and_nobody_else() {
    let (mut story, id) = granted();
    for (who, why) in [
        (proven("mail", "nobody@corp.example"), Why::NotPermitted),
        (claimed("mail", "ben@corp.example"), Why::Unverified),
    ] {
        assert_eq!(refused(&says(&mut story, id, who, "revoke")), why);
    }
    assert_eq!(grants(&story.thread, story.now).len(), 1);
    let ended = says(&mut story, id, proven("mail", "ben@corp.example"), "revoke");
    assert!(matches!(ended.as_slice(), [Event::Revoked(_)]), "{ended:#?}");
    assert!(grants(&story.thread, story.now).is_empty());
    // Once more there is nothing to end.
    assert_eq!(refused(&says(&mut story, id, ana(), "revoke")), Why::Settled);
    assert_eq!(runs(&mut story, pay(80, "cy")), None);
}

/// Where nothing says which card is meant, it is the only one that holds there; of several their code says which.
#[test]
fn a_word_ends_the_only_one_or_the_one_it_names() {
    let at = place("mail", "to:ana@corp.example");
    let (mut story, id) = granted();
    assert_eq!(
        comes(&mut story, &inbound(proven("mail", "nobody@corp.example"), at.clone(), text("revoke")), None)
            .len(),
        1
    );
    assert_eq!(grants(&story.thread, story.now).len(), 1, "from somebody else it is only a word");
    let (second, call) = story.asks_approval("pay", pay(80, "dora"));
    says(&mut story, second, ana(), "approve\nfor: 1h");
    story.started(call, "pay", &pay(80, "dora"));
    story.acted(call, Outcome::Done(json!("paid")));
    let word = |story: &mut Story, words: &str| comes(story, &inbound(ana(), at.clone(), text(words)), None);
    assert_eq!(refused(&word(&mut story, "revoke")), Why::Which);
    let code = short_code(story.thread.id(), second);
    let ended = word(&mut story, &format!("#{code} revoke"));
    assert!(
        matches!(ended.as_slice(), [Event::Revoked(revoked)] if revoked.question == second),
        "{ended:#?}"
    );
    let ended = word(&mut story, "Revoke.");
    assert!(matches!(ended.as_slice(), [Event::Revoked(revoked)] if revoked.question == id), "{ended:#?}");
    assert!(
        matches!(word(&mut story, "revoke").as_slice(), [Event::Heard(_)]),
        "there is nothing left to end"
    );
}

#[test]
fn that_it_was_ended_stands_on_the_card_with_how_often_it_was_used() {
    let (mut story, id) = granted();
    for amount in [70, 60] {
        let call = CallId(story.thought(act("pay", pay(amount, "cy"))));
        let Step::Act(call_of) = story.step() else { panic!() };
        story.write(Event::Started(agent::Started {
            call,
            tool: "pay".into(),
            args: pay(amount, "cy"),
            hash: call_of.hash,
            grant: call_of.grant,
        }));
        story.acted(call, Outcome::Done(json!("paid")));
    }
    says(&mut story, id, ana(), "revoke");
    let seq = Seq(story.thread.version().0 - 1);
    let cards = cards(&story, seq);
    let channel::CardState::Closed { how } = &cards[0].state else { panic!("{cards:#?}") };
    assert!(how.ends_with("ended by ana after 2 more calls"), "{how}");
    assert_eq!(cards[0].code, short_code(story.thread.id(), id));
}

#[test]
fn a_press_that_says_nothing_more_is_no_answer() {
    let mut story = Story::begin(paying(TERMS, ""), user(), "pay 80 to cy");
    let (id, _) = story.asks_approval("pay", pay(80, "cy"));
    let press = inbound(ana(), place("mail", "to:ana"), pressed("alike", &[]));
    assert_eq!(refused(&comes(&mut story, &press, Some(id))), Why::Unfit);
}
