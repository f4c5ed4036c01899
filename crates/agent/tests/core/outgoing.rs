//! What is sent because of an event: cards made from the stored call, closed when it is over, each message named.

use agent::{Decision, Event, Press, QuestionId, Seq, Tickets, outgoing};
use channel::{Capabilities, Card, CardState, Comment, Content, Correlation, Outgoing, Style, Text};
use serde_json::json;

use crate::support::{Story, act, ask, home, place, say};

/// What this event sends; cards can be rewritten on the channels named here.
pub(crate) fn sent(story: &Story, seq: Seq, amending: &[&str]) -> Vec<Outgoing> {
    let tickets = Tickets::new([3; 32]);
    let capabilities = |name: &channel::ChannelName| {
        Some(Capabilities {
            buttons: true,
            forms: false,
            amends: amending.contains(&name.as_str()),
            private: true,
            files: true,
            text_len_max: None,
            correlation: Correlation::Native,
            one_reader: false,
        })
    };
    let secrets =
        |tool: &str| Some(story.agent.spec().tools.get(tool).map(|t| t.secret.clone()).unwrap_or_default());
    let press = Press { tickets: &tickets, capabilities: &capabilities, secrets: &secrets };
    outgoing(&story.thread, seq, &press)
}

fn last(story: &Story) -> Seq {
    Seq(story.thread.version().0 - 1)
}

fn card(message: &Outgoing) -> &Card {
    match &message.content {
        Content::Card(card) => card,
        Content::Text(text) => panic!("this is no card: {text:?}"),
    }
}

fn words(message: &Outgoing) -> &Text {
    match &message.content {
        Content::Text(text) => text,
        Content::Card(card) => panic!("these are no words: {card:?}"),
    }
}

/// Without its agent nobody knows which of the arguments are secret.
#[test]
fn a_card_of_an_unknown_agent_shows_no_argument() {
    let mut story = Story::new(&[]);
    let (id, _) = story.asks_approval("deploy", json!({ "version": "v1", "token": "hunter2" }));
    let press = Press { tickets: &Tickets::new([7; 32]), capabilities: &|_| None, secrets: &|_| None };
    let cards = outgoing(&story.thread, id.0, &press);
    assert!(!cards.is_empty());
    for message in cards {
        assert!(card(&message).fields.is_empty());
        assert!(card(&message).choices.iter().all(|choice| choice.form.is_empty()));
    }
}

#[test]
fn a_card_shows_the_whole_call_and_no_secret() {
    let mut story = Story::new(&[]);
    let args = json!({ "version": "v1 @everyone <b>", "count": 3, "deep": { "a": [1] }, "token": "hunter2" });
    let (id, _) = story.asks_approval("deploy", args);
    let cards = sent(&story, id.0, &[]);
    assert_eq!(cards.len(), 2, "one card for each at the desk");
    for (message, asked) in cards.iter().zip(&story.question(id).asked) {
        let card = card(message);
        assert_eq!((&message.to, &message.amends, &message.only), (&asked.at, &None, &None));
        assert_eq!(card.title, "Approve: deploy");
        assert_eq!(card.text, "ulla asked: please");
        let fields: Vec<_> = card.fields.iter().map(|f| (f.label.as_str(), f.value.as_str())).collect();
        let expected = [
            ("version", "v1 @everyone <b>"),
            ("count", "3"),
            ("deep", "{\"a\":[1]}"),
            ("token", "(not shown)"),
        ];
        assert_eq!(fields, expected);
        let choices: Vec<_> = card.choices.iter().map(|c| (c.id.as_str(), c.style, c.comment)).collect();
        let expected = [
            ("approve", Style::Primary, Comment::None),
            ("edit", Style::Plain, Comment::None),
            ("reject", Style::Danger, Comment::Optional),
        ];
        assert_eq!(choices, expected);
        assert!(!card.free_text);
        assert_eq!(card.state, CardState::Open { deadline: story.question(id).deadline });
        // The ticket on a card proves this question, at this place.
        assert_eq!(Tickets::new([3; 32]).check(&card.ticket, &story.thread), Some(id));
        assert!(!format!("{message:?}").contains("hunter2"));
    }
    assert_ne!(card(&cards[0]).ticket, card(&cards[1]).ticket);
    assert_eq!(cards, sent(&story, id.0, &[]), "the outbox can be rebuilt from the log");
}

#[test]
fn a_card_at_home_replies_to_the_message_that_asked() {
    let mut story = Story::new(&[]);
    story.wants(ask("which?", None, &["red", "blue"]));
    let cards = sent(&story, story.open().0, &[]);
    let [message] = &cards[..] else { panic!("{cards:#?}") };
    assert_eq!(message.in_reply_to, story.thread.reply_to());
    assert!(message.in_reply_to.is_some());
    let card = card(message);
    assert_eq!((card.title.as_str(), card.text.as_str(), card.free_text), ("tester asks", "which?", true));
    let choices: Vec<_> = card.choices.iter().map(|c| (c.id.as_str(), c.label.as_str())).collect();
    assert_eq!(choices, [("option-1", "red"), ("option-2", "blue")]);

    // A card at a desk is no reply to a message that nobody there has seen.
    let mut story = Story::new(&[]);
    story.wants(ask("which?", Some("finance"), &[]));
    assert_eq!(sent(&story, story.open().0, &[])[0].in_reply_to, None);
}

#[test]
fn every_card_is_closed_when_it_is_over() {
    for (decision, how) in [
        (Some(Decision::Approve), "Approved by ana"),
        (Some(Decision::Reject { comment: Some("no".into()) }), "Rejected by ana: no"),
        (Some(Decision::Reject { comment: None }), "Rejected by ana"),
        (None, "Nobody answered in time"),
    ] {
        let mut story = Story::new(&[]);
        let (id, _) = story.asks_approval("deploy", json!({ "v": 1 }));
        let open = sent(&story, id.0, &[]);
        let seq = match decision {
            Some(decision) => story.answered(id, decision),
            None => story.write(Event::Lapsed { question: id }),
        };
        // Also where a card cannot be rewritten: who was asked to decide hears how it ended.
        for amending in [&["mail"][..], &[]] {
            let closed = sent(&story, seq, amending);
            assert_eq!(closed.len(), open.len());
            for (after, before) in closed.iter().zip(&open) {
                assert_eq!((after.amends.as_ref(), &after.to), (Some(&before.key), &before.to));
                assert_ne!(after.key, before.key);
                assert_eq!(card(after).state, CardState::Closed { how: how.into() });
                assert_eq!(card(after).fields, card(before).fields);
            }
        }
        // An event that settles nothing closes nothing.
        let late = story.write(Event::Lapsed { question: id });
        assert_eq!(sent(&story, late, &["mail"]), []);
    }
}

#[test]
fn a_plain_question_is_closed_only_where_it_can_be_rewritten() {
    let mut story = Story::new(&[]);
    story.wants(ask("which?", None, &["red"]));
    let seq = story.answered(story.open(), Decision::Option(0));
    assert_eq!(sent(&story, seq, &[]), []);
    let closed = sent(&story, seq, &["web"]);
    assert_eq!(card(&closed[0]).state, CardState::Closed { how: "ana answered: red".into() });
}

/// Where a card cannot be rewritten, who was reminded hears once how it ended.
#[test]
fn who_was_reminded_hears_the_end_once() {
    let mut story = Story::new(&["ask_at = 'desk'"]);
    let (id, _) = story.asks_approval("deploy", json!({ "version": "v1" }));
    let asked = story.question(id).asked.clone();
    let again = agent::AskedAgain {
        question: id,
        because: agent::Because::Reminder(0),
        asked: asked.clone(),
        held: Vec::new(),
        audience: Vec::new(),
    };
    story.write(Event::AskedAgain(again));
    let seq = story.answered(id, Decision::Approve);
    assert_eq!(sent(&story, seq, &[]).len(), asked.len());
    assert_eq!(sent(&story, seq, &["web", "mail"]).len(), 2 * asked.len(), "each card where they can be");
}

#[test]
fn cancelling_closes_all_that_is_open() {
    let mut story = Story::new(&[]);
    let (first, _) = story.asks_approval("deploy", json!({}));
    let second = QuestionId(story.write(Event::Asked(story.question(first).clone())));
    let seq = story.write(Event::Cancelled { by: "ana".into() });
    let closed = sent(&story, seq, &[]);
    assert_eq!(closed.len(), 4);
    let keys: std::collections::BTreeSet<_> = closed.iter().map(|message| message.key.clone()).collect();
    assert_eq!(keys.len(), 4);
    for message in &closed {
        assert_eq!(card(message).state, CardState::Closed { how: "Cancelled by ana".into() });
    }
    assert!(story.thread.settled_by(second).is_some());
}

#[test]
fn words_carry_their_note_and_go_where_the_log_says() {
    let mut story = Story::new(&[]);
    story.wants(say("**hello**"));
    let messages = sent(&story, last(&story), &[]);
    let [message] = &messages[..] else { panic!("{messages:#?}") };
    assert_eq!((&message.to, words(message).markdown.as_str()), (&home(), "**hello**"));
    assert_eq!(message.at, story.now);
    assert_eq!(agent::caused_by(&message.key), Some((story.thread.id().clone(), last(&story), 0)));
}

#[test]
fn what_is_not_for_people_sends_nothing() {
    let mut story = Story::new(&[]);
    story.thought(act("lookup", json!({})));
    story.write(Event::HandedOver { why: "x".into() });
    story.write(Event::Paused { by: "x".into() });
    story.write(Event::Undelivered { key: None, why: "x".into() });
    for n in 0..story.thread.version().0 + 2 {
        assert_eq!(sent(&story, Seq(n), &["web"]), [], "event {n}");
    }
    assert_eq!(sent(&story, Seq(u64::MAX), &["web"]), []);
    assert_ne!(home(), place("web", "hall"));
}

/// What the gateway said beside the log is known by its end, which is in the log.
#[test]
fn a_message_that_no_event_caused_is_known_by_its_end() {
    let mut story = Story::new(&[]);
    let (arrived, lost) = (story.thread.id().delivery(Seq(7), 7), channel::DeliveryKey::new("x.7.set-aside"));
    story.write(Event::Delivered { key: arrived.clone(), message: None });
    story.write(Event::Undelivered { key: Some(lost.clone()), why: "gone".to_owned() });
    story.write(Event::Undelivered { key: None, why: "gone".to_owned() });
    let names: Vec<_> = agent::message_names(&story.thread).into_iter().collect();
    assert!(names.contains(&arrived) && names.contains(&lost), "{names:?}");
}
