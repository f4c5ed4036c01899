//! Out: once, whatever is lost; within the limits; where a conversation can be.

use std::{sync::Arc, time::Duration};

use channel::{Attempt, Card, CardState, Channel, Content, Inbound, Person, Place, Verified};
use serde_json::json;
use simulator::discord::{Click, Options};

use crate::{
    card, outgoing, says,
    world::{ANA, APP, BEN, CY, GENERAL, GUILD, OPS, World, options, until},
};

const POST: &str = "POST /channels/{channel}/messages";

/// The first thing that happens is a command of Ana's, and it is answered at once.
async fn commanded(world: &World, request: &str) -> Inbound {
    let options = json!({ "request": request });
    let asked = world.control.command(ANA, GENERAL, "ask", options).await.unwrap();
    let heard = world.inbox.taken_count(1).await.remove(0);
    world.control.outcome(&asked, Duration::from_secs(10)).await.unwrap();
    heard
}

/// The answer to a message is lost, and the same message comes again: at once, and when Discord has forgotten its nonce.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_shows_a_message_once() {
    let world = World::start().await;
    let place = world.discord.place(ANA).unwrap();
    let long = "word ".repeat(1_000);
    for (n, forgotten) in [(1, false), (2, true)] {
        let message = outgoing(n, &place, says(&format!("number {n}: {long}")));
        world.inbox.said(&message);
        world.control.fault(POST, json!("drop_response"), 1, 1).await.unwrap();
        let error = world.attempts(&message, 1).await.unwrap_err();
        assert_eq!(error.kind, channel::ErrorKind::Ambiguous, "{error}");
        if forgotten {
            world.control.expire("nonces").await.unwrap();
        }
        let receipt = world.attempts(&message, 2).await.unwrap();
        assert!(receipt.message.is_some());
    }
    let direct = world.direct(ANA).await.unwrap();
    let said = world.said(&direct).await;
    assert_eq!(said.len(), 6, "three messages for each: {said:#?}");
    let words: usize = said.iter().map(|message| message.text.matches("word").count()).sum();
    assert_eq!(words, 2_000);
}

/// Nobody remembers a first attempt, and nothing is read back: Discord knows the message by its nonce.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_message_sent_again_at_once_is_one() {
    let world = World::start().await;
    let place = world.discord.place(ANA).unwrap();
    let message = outgoing(1, &place, says("Done."));
    let first = world.sends(&message).await;
    assert_eq!(world.attempts(&message, 1).await.unwrap(), first);
    let direct = world.direct(ANA).await.unwrap();
    assert_eq!(world.said(&direct).await.len(), 1);
}

/// Two messages that say the same are two, also where the answer to one of them was lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_says_the_same_is_not_the_same() {
    let world = World::start().await;
    let place = world.discord.place(ANA).unwrap();
    world.sends(&outgoing(1, &place, says("Done."))).await;
    let second = outgoing(2, &place, says("Done."));
    world.inbox.said(&second);
    world.control.fault(POST, json!("drop_request"), 1, 0).await.unwrap();
    world.attempts(&second, 1).await.unwrap_err();
    world.control.expire("nonces").await.unwrap();
    world.attempts(&second, 2).await.unwrap();
    world.attempts(&second, 3).await.unwrap();
    let direct = world.direct(ANA).await.unwrap();
    assert_eq!(world.said(&direct).await.len(), 2);
}

/// Buckets, the global limit and refusals are obeyed: everything arrives, in its order, and hardly a request is refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_refusals_is_sat_out() {
    let world = World::new(Options { rate_limits: true, ..options() }, json!({})).await;
    let place = world.discord.place(ANA).unwrap();
    world.control.fault(POST, json!({ "rate_limit": 0.3, "scope": "user" }), 2, 3).await.unwrap();
    world.control.fault(POST, json!({ "rate_limit": 0.3, "scope": "global" }), 1, 9).await.unwrap();
    for n in 0..30 {
        world.sends(&outgoing(n, &place, says(&format!("message {n}")))).await;
    }
    let direct = world.direct(ANA).await.unwrap();
    let said = world.said(&direct).await;
    let words: Vec<String> = said.iter().map(|message| message.text.clone()).collect();
    assert_eq!(words, (0..30).map(|n| format!("message {n}")).collect::<Vec<_>>());
    let invalid = world.control.invalid_requests().await.unwrap();
    assert!(invalid <= 6, "{invalid} requests were refused");
}

/// Where the bot may not open a thread, or nobody can, the conversation goes on in replies, both ways.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_thread_a_conversation_goes_on_in_replies() {
    let world = World::start().await;
    // Create Public Threads.
    world.control.overwrite(OPS, APP, 0, 1 << 35).await.unwrap();
    let mention = world.control.say(ANA, OPS, "@switchboard where is it?").await.unwrap();
    let heard = world.inbox.taken_count(1).await.remove(0);
    world.sends(&outgoing(1, &heard.at.place, says("On its way."))).await;
    let said = world.said(OPS).await;
    assert_eq!((said.len(), said[0].reply_to.as_deref()), (1, Some(mention.id.as_str())));
    world.control.reply(ANA, OPS, &said[0].id, "thank you").await.unwrap();
    let reply = world.inbox.taken_count(2).await.remove(1);
    assert_eq!(reply.at, heard.at);
}

/// An archived thread is opened again for a card that is settled.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_card_in_an_archived_thread_is_settled_all_the_same() {
    let world = World::start().await;
    let mention = world.control.say(ANA, GENERAL, "@switchboard refund").await.unwrap();
    let heard = world.inbox.taken_count(1).await.remove(0);
    let asked = outgoing(1, &heard.at.place, Content::Card(card()));
    let receipt = world.sends(&asked).await;
    world.control.archive(&mention.id, true).await.unwrap();
    let how = CardState::Closed { how: "Nobody answered in time.".into() };
    let mut settled = outgoing(2, &heard.at.place, Content::Card(Card { state: how, ..card() }));
    settled.amends = Some(asked.key.clone());
    let attempt = Attempt { number: 1, amends: receipt.message, files: vec![] };
    world.discord.send(&settled, &attempt).await.unwrap();
    let said = world.said(&mention.id).await;
    assert!(
        said[0].words().contains("Nobody answered in time") && said[0].elements().is_empty(),
        "{said:#?}"
    );
    // A card that somebody took away needs no last word.
    world.control.delete(APP, &mention.id, &said[0].id).await.unwrap();
    assert_eq!(world.discord.send(&settled, &attempt).await.unwrap().message, None);
}

/// What is for one person alone goes by the way that their press opened, else into their direct messages.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_private_word_is_seen_by_one() {
    let world = World::start().await;
    let mention = world.control.say(ANA, GENERAL, "@switchboard refund").await.unwrap();
    let heard = world.inbox.taken_count(1).await.remove(0);
    world.sends(&outgoing(1, &heard.at.place, Content::Card(card()))).await;
    let shown = world.said(&mention.id).await.remove(0);
    let id = shown.elements()[0]["custom_id"].as_str().unwrap().to_owned();
    world.control.click(&Click::on(BEN, &shown, &id)).await.unwrap();
    let press = world.inbox.taken_count(2).await.remove(1);
    let mut refusal = outgoing(2, &heard.at.place, says("You may not answer this."));
    (refusal.only, refusal.in_reply_to) = (Some(press.from.clone()), press.message.clone());
    until("the answer to the press", async || {
        world.control.interactions().await.unwrap()[0].state == "answered"
    })
    .await;
    world.sends(&refusal).await;
    let seen = world.control.messages_for(BEN, &mention.id).await.unwrap();
    assert!(seen.iter().any(|message| message.ephemeral_to.as_deref() == Some(BEN)), "{seen:#?}");
    let others = world.control.messages_for(ANA, &mention.id).await.unwrap();
    assert!(others.iter().all(|message| !message.text.contains("may not answer")), "{others:#?}");

    let mut word = outgoing(3, &heard.at.place, says("Only words."));
    word.only = Some(press.from.clone());
    world.sends(&word).await;
    let direct = world.direct(BEN).await.unwrap();
    assert_eq!(world.said(&direct).await.len(), 1);
    // Whoever takes no direct messages is told nothing, and the gateway knows.
    let cy = Person { id: CY.to_owned(), verified: Verified::Proven { by: "x".into() }, ..press.from };
    word.only = Some(cy);
    let error = world.attempts(&word, 1).await.unwrap_err();
    assert_eq!(error.kind, channel::ErrorKind::Refused, "{error}");
}

/// A command is answered where Discord keeps a place for the answer; later than a quarter of an hour by a message that says
/// what it answers; and the conversation goes on in its thread.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_is_answered_in_its_place_or_with_its_words() {
    for late in [false, true] {
        let world = World::start().await;
        let asked =
            world.control.command(ANA, GENERAL, "ask", json!({ "request": "where is it?" })).await.unwrap();
        let heard = world.inbox.taken_count(1).await.remove(0);
        assert_eq!(heard.at.place, Place::new(format!("{GUILD}/{GENERAL}/!{asked}")));
        let outcome = world.control.outcome(&asked, Duration::from_secs(10)).await.unwrap();
        assert_eq!((outcome.state.as_str(), outcome.answer), ("answered", Some(5)));
        if late {
            world.control.expire("interactions").await.unwrap();
        }
        let mut answer = outgoing(1, &heard.at.place, says("first"));
        answer.in_reply_to = heard.message.clone();
        let receipt = world.sends(&answer).await;
        let message = receipt.message.unwrap().as_str().split_once('/').unwrap().1.to_owned();
        let said = world.control.messages(GENERAL).await.unwrap();
        let first = said.iter().find(|said| said.id == message).unwrap();
        assert!(first.text.contains("first") && first.text.contains("/ask") == late, "{first:#?}");
        // The same attempt again changes nothing.
        world.attempts(&answer, 2).await.unwrap();
        let mut second = outgoing(2, &heard.at.place, says("second"));
        second.in_reply_to = heard.message.clone();
        world.sends(&second).await;
        assert_eq!(world.said(&message).await.len(), 1, "in the thread of the first answer");
        world.control.say(BEN, &message, "and what else?").await.unwrap();
        assert_eq!(world.inbox.taken_count(2).await[1].at, heard.at);
        let firsts = world.said(GENERAL).await.into_iter().filter(|said| said.text.contains("first")).count();
        assert_eq!(firsts, 1);
    }
}

/// The answer to the first answer is lost: its place is filled, and what comes next does not fill it again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_to_a_command_leaves_its_place_alone() {
    let world = World::start().await;
    let heard = commanded(&world, "where is it?").await;
    let edit = "PATCH /webhooks/{application}/{token}/messages/{message}";
    world.control.fault(edit, json!("drop_response"), 1, 0).await.unwrap();
    let mut first = outgoing(1, &heard.at.place, says("first"));
    first.in_reply_to = heard.message.clone();
    world.inbox.said(&first);
    world.attempts(&first, 1).await.unwrap_err();
    world.attempts(&first, 2).await.unwrap();
    let mut second = outgoing(2, &heard.at.place, says("second"));
    second.in_reply_to = heard.message.clone();
    world.sends(&second).await;
    let said = world.said(GENERAL).await;
    assert_eq!((said.len(), said[0].text.as_str()), (1, "first"), "{said:#?}");
    assert_eq!(world.said(&said[0].id).await.len(), 1);
}

/// Who replies at once may be quicker than what is noted about the answer; with a lost answer to the request, that takes longer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_to_what_is_not_noted_yet_goes_on_with_its_conversation() {
    let world = World::start().await;
    let heard = commanded(&world, "where is it?").await;
    let edit = "PATCH /webhooks/{application}/{token}/messages/{message}";
    world.control.fault(edit, json!("drop_response"), 1, 0).await.unwrap();
    let mut first = outgoing(1, &heard.at.place, says("first"));
    first.in_reply_to = heard.message.clone();
    world.attempts(&first, 1).await.unwrap_err();
    let shown = world.said(GENERAL).await.remove(0);
    world.control.reply(BEN, GENERAL, &shown.id, "and what else?").await.unwrap();
    assert_eq!(world.inbox.taken_count(2).await[1].at, heard.at);

    // The same without threads, where everything stands below what was asked.
    let world = World::new(options(), json!({ "threads": false })).await;
    let said = world.control.say(ANA, GENERAL, &format!("<@{APP}> where is it?")).await.unwrap();
    let heard = world.inbox.taken_count(1).await.remove(0);
    world.control.fault(POST, json!("drop_response"), 1, 0).await.unwrap();
    let first = outgoing(1, &heard.at.place, says("first"));
    world.attempts(&first, 1).await.unwrap_err();
    let shown = world.said(GENERAL).await.remove(0);
    world.control.reply(BEN, GENERAL, &shown.id, "and what else?").await.unwrap();
    let place = Place::new(format!("{GUILD}/{GENERAL}/{}", said.id));
    assert_eq!(world.inbox.taken_count(2).await[1].at.place, place);
}

/// What follows from a gesture may be quicker than our first answer to it, before which Discord knows of no way back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_is_quicker_than_the_first_one_waits_for_it() {
    let world = Arc::new(World::start().await);
    for private in [false, true] {
        world.inbox.loses_answers(true);
        let before = world.inbox.taken().len();
        let calls = async || world.control.calls(None).await.unwrap();
        let tries = async || calls().await.iter().filter(|call| call.path.contains("/webhooks/")).count();
        let tried = tries().await;
        let options = json!({ "request": format!("where is it, {private}?") });
        let asked = world.control.command(ANA, GENERAL, "ask", options).await.unwrap();
        let heard = world.inbox.taken_count(before + 1).await.remove(before);
        let text = format!("here, {private}");
        let mut answer = outgoing(1 + u32::from(private), &heard.at.place, says(&text));
        answer.in_reply_to = heard.message.clone();
        answer.only = private.then(|| heard.from.clone());
        let sending = tokio::spawn({
            let world = world.clone();
            async move { world.attempts(&answer, 1).await }
        });
        until("it is tried", async || tries().await > tried).await;
        world.inbox.loses_answers(false);
        sending.await.unwrap().unwrap();
        world.control.outcome(&asked, Duration::from_secs(10)).await.unwrap();
        let messages = world.control.messages(GENERAL).await.unwrap();
        let told = messages.iter().find(|message| message.text == text);
        assert_eq!(told.map(|told| told.ephemeral_to.is_some()), Some(private), "{messages:#?}");
        assert!(messages.iter().all(|message| !message.loading), "nobody waits any more: {messages:#?}");
    }
}

/// A card whose arguments go before it as a file still answers its command: nobody is shown for ever that the bot thinks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_whose_answer_begins_with_a_file_is_answered() {
    let world = World::start().await;
    let heard = commanded(&world, "refund it").await;
    let mut long = card();
    long.fields[0].value = "x".repeat(9_000);
    let mut asks = outgoing(1, &heard.at.place, Content::Card(long));
    asks.in_reply_to = heard.message.clone();
    world.sends(&asks).await;
    let channel = world.said(GENERAL).await;
    assert!(channel.len() == 1 && !channel[0].loading, "{channel:#?}");
    let below = world.said(&channel[0].id).await;
    assert!(below[0].files.len() == 1 && below[1].words().contains("Approve: refund"), "{below:#?}");
}
