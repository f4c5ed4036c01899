//! Messages out: once whatever becomes of an attempt, at the pace that Slack wants, with their files.

use std::time::{Duration, Instant};

use channel::{Card, CardState, Channel, Content, ErrorKind, Outgoing, Person, Place, Verified};
use serde_json::json;
use simulator::slack::{Click, Options};

use crate::{
    card, outgoing, says, text,
    world::{ANA, BEN, BOT, GENERAL, OPS, TEAM, World, shown, until},
};

/// The answer to a post is lost after Slack acted: the message is looked for, and not sent again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_shows_a_message_once() {
    let world = World::start().await;
    let thread = world.control.say(ANA, GENERAL, &format!("<@{BOT}> hello")).await.unwrap().ts;
    let places = [
        Place::new(format!("{TEAM}/{GENERAL}/{thread}")),
        Place::new(format!("{TEAM}/{OPS}")),
        Place::new(format!("{TEAM}/@{BEN}")),
    ];
    for (n, place) in (1..).zip(&places) {
        for (m, content) in [says(&"many words ".repeat(900)), Content::Card(card())].into_iter().enumerate()
        {
            let message = outgoing(10 * n + u32::try_from(m).unwrap(), place, content);
            world.control.fault("chat.postMessage", json!("drop_response"), 1, 0).await.unwrap();
            let error = world.attempts(&message, 1).await.unwrap_err();
            assert_eq!(error.kind, ErrorKind::Ambiguous, "{error}");
            let receipt = world.attempts(&message, 2).await.unwrap();
            let again = world.attempts(&message, 3).await.unwrap();
            assert_eq!(receipt, again);
        }
    }
    let ben = world.direct(BEN).await.unwrap();
    for channel in [GENERAL, OPS, ben.as_str()] {
        let messages = world.control.messages(channel, None).await.unwrap();
        let ours: Vec<_> = messages.iter().filter(|message| message.bot_id.is_some()).map(shown).collect();
        let words: usize = ours.iter().map(|shown| shown.text.matches("many").count()).sum();
        assert_eq!(words, 900, "in {channel}");
        let cards = ours.iter().filter(|shown| shown.text.contains("Approve: refund")).count();
        assert_eq!(cards, 1, "in {channel}");
    }
}

/// Nothing arrived: it is sent again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_request_is_made_again() {
    let world = World::start().await;
    let place = Place::new(format!("{TEAM}/{OPS}"));
    for (n, fault) in (1..).zip([
        json!("drop_request"),
        json!({ "status": 500 }),
        json!("garbage"),
        json!({ "error": "internal_error" }),
    ]) {
        let message = outgoing(n, &place, says(&format!("message {n}")));
        world.control.fault("chat.postMessage", fault, 1, 0).await.unwrap();
        world.attempts(&message, 1).await.unwrap_err();
        world.attempts(&message, 2).await.unwrap();
    }
    let messages = world.control.messages(OPS, None).await.unwrap();
    let texts: Vec<&str> = messages.iter().map(|message| message.text.as_str()).collect();
    assert_eq!(texts, ["message 1", "message 2", "message 3", "message 4"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slack_s_wish_for_a_pause_is_obeyed() {
    let world = World::start().await;
    let place = Place::new(format!("{TEAM}/{OPS}"));
    world.control.fault("chat.postMessage", json!({ "rate_limit": 7 }), 1, 0).await.unwrap();
    let error = world.attempts(&outgoing(1, &place, says("one")), 1).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Retry { after: Some(Duration::from_secs(7)) });
}

/// About one message a second goes into a place; another place does not wait for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pace_is_kept_by_each_place() {
    let options = Options { rate_limits: true, ..Options::default() };
    let limits = json!({ "limits": { "posts_per_second": 1.0, "posts_at_once": 1 } });
    let world = World::new(options, limits).await;
    let began = Instant::now();
    let send = async |n: u32, channel: &str| {
        let place = Place::new(format!("{TEAM}/{channel}"));
        world.attempts(&outgoing(n, &place, says("x")), 1).await.unwrap();
        began.elapsed()
    };
    let (a, b, c) = (send(1, OPS).await, send(2, GENERAL).await, send(3, OPS).await);
    assert!(a < Duration::from_millis(900) && b < Duration::from_millis(900), "{a:?} {b:?}");
    assert!(c >= Duration::from_millis(900), "{c:?}");
    assert_eq!(world.control.settings().await.unwrap()["rate_limit_violations"], 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_goes_once_whatever_is_lost() {
    let world = World::start().await;
    let place = Place::new(format!("{TEAM}/{OPS}"));
    let file = world.inbox.keep("report.csv", "text/csv", b"a,b\n1,2\n");
    let message = Outgoing { files: vec![file], ..outgoing(1, &place, says("Here it is.")) };
    world.control.fault("files.completeUploadExternal", json!("drop_response"), 1, 0).await.unwrap();
    let error = world.attempts(&message, 1).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Ambiguous, "{error}");
    world.attempts(&message, 2).await.unwrap();
    let messages = world.control.messages(OPS, None).await.unwrap();
    let files: Vec<_> = messages.iter().flat_map(|message| shown(message).files).collect();
    assert_eq!(files, [("report.csv".to_owned(), b"a,b\n1,2\n".to_vec())]);
    assert_eq!(messages.len(), 2, "{messages:#?}");
}

/// Arguments that no message holds go along whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_card_has_no_room_for_goes_before_it() {
    let world = World::start().await;
    let place = Place::new(format!("{TEAM}/{OPS}"));
    let mut long = card();
    long.fields[1].value = "0123456789".repeat(2_000);
    let message = outgoing(1, &place, Content::Card(long.clone()));
    world.control.fault("chat.postMessage", json!("drop_response"), 1, 0).await.unwrap();
    world.attempts(&message, 1).await.unwrap_err();
    let receipt = world.attempts(&message, 2).await.unwrap();
    let messages = world.control.messages(OPS, None).await.unwrap();
    let all: Vec<_> = messages.iter().map(shown).collect();
    assert_eq!(all.len(), 2, "{all:#?}");
    let file = String::from_utf8(all[0].files[0].1.clone()).unwrap();
    assert!(file.contains(&long.fields[1].value));
    assert!(all[1].text.contains("the whole of it is in the file above") && !all[1].buttons.is_empty());
    assert_eq!(receipt.message.unwrap().as_str(), format!("{TEAM}/{OPS}/{}", messages[1].ts));
}

/// A word to one person is seen by that person.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_private_word_is_seen_by_one() {
    let world = World::start().await;
    let thread = world.control.say(ANA, GENERAL, &format!("<@{BOT}> hello")).await.unwrap().ts;
    let place = Place::new(format!("{TEAM}/{GENERAL}/{thread}"));
    let ben = Person {
        channel: channel::ChannelName::new("slack"),
        id: format!("{TEAM}/{BEN}"),
        name: "Ben".into(),
        verified: Verified::Proven { by: "x".into() },
        roles: Vec::new(),
    };
    let message =
        Outgoing { only: Some(ben.clone()), ..outgoing(1, &place, says("You may not answer this.")) };
    world.sends(&message).await;
    let sees = async |user: &str| {
        let messages = world.control.messages_for(user, GENERAL, Some(&thread)).await.unwrap();
        messages.iter().any(|message| message.text.contains("may not answer"))
    };
    assert!(sees(BEN).await && !sees(ANA).await);

    // Who left the channel is told where they are.
    world.control.kick(BEN, GENERAL).await.unwrap();
    world.sends(&Outgoing { only: Some(ben), ..outgoing(2, &place, says("Nor this.")) }).await;
    let direct = world.direct(BEN).await.unwrap();
    let messages = world.control.messages(&direct, None).await.unwrap();
    assert!(messages.iter().any(|message| message.text.contains("Nor this")), "{messages:#?}");
}

/// The exception that README states, counted: what one person sees cannot be read back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_private_word_whose_answer_was_lost_is_said_again() {
    let world = World::start().await;
    let thread = world.control.say(ANA, GENERAL, &format!("<@{BOT}> hello")).await.unwrap().ts;
    let ana = Person {
        channel: channel::ChannelName::new("slack"),
        id: format!("{TEAM}/{ANA}"),
        name: "Ana".into(),
        verified: Verified::Proven { by: "x".into() },
        roles: Vec::new(),
    };
    let place = Place::new(format!("{TEAM}/{GENERAL}/{thread}"));
    let message = Outgoing { only: Some(ana), ..outgoing(1, &place, says("for Ana")) };
    world.control.fault("chat.postEphemeral", json!("drop_response"), 1, 0).await.unwrap();
    world.attempts(&message, 1).await.unwrap_err();
    world.attempts(&message, 2).await.unwrap();
    let messages = world.control.messages_for(ANA, GENERAL, Some(&thread)).await.unwrap();
    assert_eq!(messages.iter().filter(|message| message.text == "for Ana").count(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_missing_is_named_with_its_remedy() {
    let world = World::start().await;
    let place = Place::new(format!("{TEAM}/C0PUB0001"));
    let error = world.attempts(&outgoing(1, &place, says("x")), 1).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Misconfigured);
    assert!(error.to_string().contains("/invite"), "{error}");

    let without: Vec<&str> =
        simulator::slack::SCOPES.iter().copied().filter(|scope| *scope != "chat:write").collect();
    world.control.scopes(&without).await.unwrap();
    let error =
        world.attempts(&outgoing(2, &Place::new(format!("{TEAM}/{OPS}")), says("x")), 1).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Misconfigured);
    assert!(error.to_string().contains("chat:write"), "{error}");
    let told: Vec<String> = world.slack.check().await.unwrap_err().iter().map(ToString::to_string).collect();
    assert!(told.iter().any(|told| told.contains("lacks the scope chat:write")), "{told:?}");

    world.control.scopes(simulator::slack::SCOPES).await.unwrap();
    world.slack.place(&format!("{TEAM}/G0PRV0001")).unwrap();
    let told: Vec<String> = world.slack.check().await.unwrap_err().iter().map(ToString::to_string).collect();
    assert!(told.iter().any(|told| told.contains("/invite")), "{told:?}");

    world.control.revoke(&world.simulated.bot_token(), true).await.unwrap();
    let error =
        world.attempts(&outgoing(3, &Place::new(format!("{TEAM}/{OPS}")), says("x")), 1).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Misconfigured);
    assert!(error.to_string().contains("install the app again"), "{error}");
    let told: Vec<String> = world.slack.check().await.unwrap_err().iter().map(ToString::to_string).collect();
    assert!(told.iter().any(|told| told.contains("SLACK_BOT_TOKEN")), "{told:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sound_set_up_says_who_it_is() {
    let world = World::silent(Options::default(), json!({})).await;
    let found = world.slack.check().await.unwrap().join("\n");
    assert!(found.contains("Acme") && found.contains(TEAM) && found.contains("Socket Mode"), "{found}");
}

/// A card is rewritten however often, and a press on a card that is gone from view carries its ticket all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_amendment_is_made_once_and_again() {
    let world = World::start().await;
    let place = Place::new(format!("{TEAM}/{OPS}"));
    let open = outgoing(1, &place, Content::Card(card()));
    let receipt = world.sends(&open).await;
    let stale = world.control.messages(OPS, None).await.unwrap().remove(0);
    let closed = Card { state: CardState::Closed { how: "Approved by Ana".into() }, ..card() };
    let closed = Outgoing { amends: Some(open.key.clone()), ..outgoing(2, &place, Content::Card(closed)) };
    let attempt = |number| channel::Attempt { number, amends: receipt.message.clone(), files: vec![] };
    world.control.fault("chat.update", json!("drop_response"), 1, 0).await.unwrap();
    world.slack.send(&closed, &attempt(1)).await.unwrap_err();
    world.slack.send(&closed, &attempt(2)).await.unwrap();
    let messages = world.control.messages(OPS, None).await.unwrap();
    assert_eq!(messages.len(), 1);
    assert!(shown(&messages[0]).text.contains("Approved by Ana") && shown(&messages[0]).buttons.is_empty());

    let click = Click {
        as_message: Some(json!({ "ts": stale.ts, "blocks": stale.blocks, "user": BOT })),
        ..Click::on(BEN, &stale, "press:approve")
    };
    world.control.click(&click).await.unwrap();
    let press = world.inbox.taken_count(1).await.remove(0);
    assert_eq!(press.ticket.unwrap(), card().ticket);

    // What was never sent needs no last word.
    let lost = Outgoing { amends: Some(open.key), ..outgoing(3, &place, Content::Card(card())) };
    let attempt = channel::Attempt { number: 1, amends: None, files: vec![] };
    assert_eq!(world.slack.send(&lost, &attempt).await.unwrap().message, None);
    assert_eq!(world.control.messages(OPS, None).await.unwrap().len(), 1);
}

/// A command is answered in the channel, with what was asked; who goes on below is in the same conversation.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_has_a_thread_from_its_first_answer_on() {
    let world = World::start().await;
    let told = world.control.command(ANA, GENERAL, "/agent", "ask where is order 1001?").await.unwrap();
    assert!(told.to_string().contains("answer here"), "{told}");
    let asked = world.inbox.taken_count(1).await.remove(0);
    assert_eq!(text(&asked), "where is order 1001?");
    assert!(asked.facts.contains(&("command".to_owned(), "agent".to_owned())), "{:?}", asked.facts);

    let answer = outgoing(1, &asked.at.place, says("It is on its way."));
    world.control.fault("chat.postMessage", json!("drop_response"), 1, 0).await.unwrap();
    world.attempts(&answer, 1).await.unwrap_err();
    world.attempts(&answer, 2).await.unwrap();
    world.attempts(&outgoing(2, &asked.at.place, says("It arrives tomorrow.")), 1).await.unwrap();
    let mut messages = world.control.messages(GENERAL, None).await.unwrap();
    messages.retain(|message| message.ephemeral_to.is_none());
    assert_eq!(messages.len(), 2, "{messages:#?}");
    assert!(messages[0].words().contains("/agent ask where is order 1001?"), "{messages:#?}");
    assert_eq!(messages[1].thread_ts.as_deref(), Some(messages[0].ts.as_str()));

    world.control.reply(ANA, GENERAL, &messages[0].ts, "thank you").await.unwrap();
    let reply = world.inbox.taken_count(2).await.remove(1);
    assert_eq!((text(&reply), &reply.at), ("thank you", &asked.at));

    // A card in that thread is pressed there.
    world.sends(&outgoing(3, &asked.at.place, Content::Card(card()))).await;
    let card = world.control.messages(GENERAL, None).await.unwrap().pop().unwrap();
    world.control.click(&Click::on(ANA, &card, "press:approve")).await.unwrap();
    assert_eq!(world.inbox.taken_count(3).await.remove(2).at, asked.at);
    world.control.click(&Click::on(ANA, &card, "form:edit")).await.unwrap();
    until("the form", async || world.control.view(ANA).await.unwrap().is_some()).await;
    let view = world.control.view(ANA).await.unwrap().unwrap();
    assert!(view.to_string().contains("\"initial_value\":\"120\""), "{view}");
}
