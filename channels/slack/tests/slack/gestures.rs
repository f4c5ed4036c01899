//! Gestures: forms, shortcuts, the assistant's threads, files, edits and deletions.

use std::time::Duration;

use channel::{Addressed, Body, Content, Place};
use serde_json::json;
use simulator::slack::{Click, Options, Submitted};

use crate::{
    card, outgoing, text,
    world::{ANA, BEN, BOT, GENERAL, OPS, TEAM, World, until},
};

impl World {
    /// Opens a form by a button of the latest message of a channel, and sends it off.
    async fn fills(&self, user: &str, channel: &str, button: &str, values: &[(&str, &str)]) -> Submitted {
        let message = self.control.messages(channel, None).await.unwrap().pop().unwrap();
        self.control.click(&Click::on(user, &message, button)).await.unwrap();
        until("the form", async || self.control.view(user).await.unwrap().is_some()).await;
        self.control.submit(user, values).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_form_brings_a_comment_other_arguments_or_an_answer() {
    let world = World::start().await;
    let place = Place::new(format!("{TEAM}/{OPS}"));
    let asked = channel::Card { free_text: true, ..card() };
    world.sends(&outgoing(1, &place, Content::Card(asked.clone()))).await;
    let submitted = world.fills(ANA, OPS, "form:reject", &[("comment", "wrong order")]).await;
    assert_eq!(submitted.outcome, "closed");
    world.fills(BEN, OPS, "form:edit", &[("value:amount", "80"), ("value:order", "4711")]).await;
    world.fills(BEN, OPS, "answer", &[("words", "the second one")]).await;
    let taken = world.inbox.taken_count(3).await;
    for inbound in &taken {
        assert_eq!((inbound.ticket.as_ref(), &inbound.at.place), (Some(&asked.ticket), &place));
    }
    let press = |choice: &str, comment: Option<&str>, values: &[(&str, &str)]| Body::Press {
        choice: choice.to_owned(),
        comment: comment.map(str::to_owned),
        values: values.iter().map(|(id, value)| ((*id).to_owned(), (*value).to_owned())).collect(),
    };
    assert_eq!(taken[0].body, press("reject", Some("wrong order"), &[]));
    assert_eq!(taken[1].body, press("edit", None, &[("amount", "80"), ("order", "4711")]));
    assert_eq!(text(&taken[2]), "the second one");
}

/// Sent off while the store is away, a form stays open: the person sees that, and may send it again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_form_that_could_not_be_taken_is_not_closed() {
    let world = World::start().await;
    let place = Place::new(format!("{TEAM}/{OPS}"));
    world.sends(&outgoing(1, &place, Content::Card(card()))).await;
    let message = world.control.messages(OPS, None).await.unwrap().pop().unwrap();
    world.control.click(&Click::on(ANA, &message, "form:reject")).await.unwrap();
    until("the form", async || world.control.view(ANA).await.unwrap().is_some()).await;
    world.inbox.away(true);
    assert_eq!(world.control.submit(ANA, &[]).await.unwrap().outcome, "timeout");
    world.inbox.away(false);
    assert_eq!(world.control.submit(ANA, &[]).await.unwrap().outcome, "closed");
    assert_eq!(world.inbox.taken_count(1).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_click_that_is_delivered_again_is_one_click() {
    let world = World::start().await;
    world.sends(&outgoing(1, &Place::new(format!("{TEAM}/{OPS}")), Content::Card(card()))).await;
    let message = world.control.messages(OPS, None).await.unwrap().pop().unwrap();
    world.control.click(&Click::on(ANA, &message, "press:approve")).await.unwrap();
    world.inbox.taken_count(1).await;
    let deliveries = world.control.deliveries().await.unwrap();
    let click = deliveries.iter().find(|delivery| delivery.kind == "interactive").unwrap();
    let again = json!({ "type": "interactive", "envelope_id": "again", "payload": click.payload });
    world.control.raw_frame(&again.to_string()).await.unwrap();
    world.inbox.came_count(2).await;
    assert_eq!(world.inbox.taken().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shortcut_asks_about_a_message_in_its_thread() {
    let world = World::start().await;
    let said = world.control.say(BEN, GENERAL, "the lamp of order 1002 is broken").await.unwrap();
    world.control.shortcut(ANA, GENERAL, &said.ts, "ask_agent").await.unwrap();
    until("the form", async || world.control.view(ANA).await.unwrap().is_some()).await;
    assert_eq!(world.control.submit(ANA, &[("words", "refund it")]).await.unwrap().outcome, "closed");
    let asked = world.inbox.taken_count(1).await.remove(0);
    assert_eq!(asked.at.place.as_str(), format!("{TEAM}/{GENERAL}/{}", said.ts));
    assert_eq!(asked.from.id, format!("{TEAM}/{ANA}"));
    assert!(
        text(&asked).starts_with("refund it") && text(&asked).contains("> the lamp of order 1002"),
        "{}",
        text(&asked)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_assistant_s_thread_is_offered_words_and_is_a_conversation_of_its_own() {
    let world = World::new(Options::default(), json!({ "prompts": ["Where is my order?"] })).await;
    let opened = world.control.assistant_open(ANA).await.unwrap();
    until("prompts", async || world.control.prompts(&opened.channel, &opened.ts).await.unwrap().is_some())
        .await;
    world.control.dm_reply(ANA, &opened.ts, "Where is order 1001, please?").await.unwrap();
    let heard = world.inbox.taken_count(1).await.remove(0);
    assert_eq!(heard.at.place.as_str(), format!("{TEAM}/@{ANA}/{}", opened.ts));
    until("a title", async || {
        world.control.title(&opened.channel, &opened.ts).await.unwrap().as_deref()
            == Some("Where is order 1001, please?")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_come_along_and_what_does_not_says_why() {
    let world = World::new(Options::default(), json!({ "limits": { "file_bytes": 2000 } })).await;
    let upload = async |name: &str, kind: &str, bytes: &[u8]| {
        let channel = world.control.dm(ANA, "first").await.unwrap().channel;
        world.control.upload(ANA, &channel, (name, kind, bytes), "see this", None).await.unwrap();
    };
    upload("orders.csv", "text/csv", b"a,b\n1,2\n").await;
    upload("large.bin", "application/octet-stream", &[7; 3_000]).await;
    // A file is fetched while its message is taken: only what was taken is sure to have been fetched with this scope.
    world.inbox.taken_count(4).await;
    let without: Vec<&str> =
        simulator::slack::SCOPES.iter().copied().filter(|scope| *scope != "files:read").collect();
    world.control.scopes(&without).await.unwrap();
    upload("secret.txt", "text/plain", b"x").await;
    let taken = world.inbox.taken_count(6).await;
    let files: Vec<_> = taken
        .iter()
        .filter_map(|inbound| match &inbound.body {
            Body::Text { files, .. } => files.first(),
            _ => None,
        })
        .collect();
    assert_eq!(files.len(), 3);
    assert_eq!((files[0].name.as_str(), files[0].bytes.as_deref()), ("orders.csv", Ok(&b"a,b\n1,2\n"[..])));
    assert!(files[1].bytes.as_ref().unwrap_err().contains("larger than 2000"), "{:?}", files[1]);
    assert!(files[2].bytes.is_err(), "{:?}", files[2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn edits_and_deletions_are_told_and_previews_are_not() {
    let world = World::start().await;
    let said = world.control.say(ANA, GENERAL, &format!("<@{BOT}> deploy v1.4")).await.unwrap();
    let heard = world.inbox.taken_count(1).await.remove(0);
    world.control.edit(ANA, GENERAL, &said.ts, &format!("<@{BOT}> deploy v1.5")).await.unwrap();
    let edited = world.inbox.taken_count(2).await.remove(1);
    assert_eq!((&edited.message, &edited.at), (&heard.message, &heard.at));
    assert!(matches!(&edited.body, Body::Edited { text, .. } if text == "deploy v1.5"), "{:?}", edited.body);
    world.control.delete(ANA, GENERAL, &said.ts).await.unwrap();
    let deleted = world.inbox.taken_count(3).await.remove(2);
    assert_eq!((&deleted.message, &deleted.body), (&heard.message, &Body::Deleted));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thread_goes_on_without_a_mention_unless_that_is_not_wanted() {
    for follow in [true, false] {
        let world = World::new(Options::default(), json!({ "follow_threads": follow })).await;
        let said = world.control.say(ANA, GENERAL, &format!("<@{BOT}> hello")).await.unwrap();
        world.inbox.taken_count(1).await;
        world.control.reply(BEN, GENERAL, &said.ts, "and me").await.unwrap();
        world.control.say(BEN, GENERAL, "lunch?").await.unwrap();
        world.control.reply(BEN, GENERAL, &said.ts, &format!("<@{BOT}> named")).await.unwrap();
        world.inbox.taken_count(if follow { 3 } else { 2 }).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        let taken = world.inbox.taken();
        let heard: Vec<(&str, Addressed)> = taken.iter().skip(1).map(|i| (text(i), i.addressed)).collect();
        if follow {
            assert_eq!(heard, [("and me", Addressed::Thread), ("named", Addressed::Mention)]);
        } else {
            assert_eq!(heard, [("named", Addressed::Mention)]);
        }
    }
}

/// However long, and whatever hides in it: heard, and said where it was cut.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn very_long_and_hiding_words_are_heard() {
    let world = World::start().await;
    let long = "x".repeat(1_000_000);
    let event = |text: &str, ts: &str| {
        json!({
            "type": "message", "channel_type": "im", "channel": "D0LONG001", "user": ANA, "text": text, "ts": ts,
        })
    };
    world.control.raw_event(event(&long, "1700000000.000001"), json!({})).await.unwrap();
    world.control.raw_event(event("a\u{200b}b\u{202e}c", "1700000000.000002"), json!({})).await.unwrap();
    let mut taken = world.inbox.taken_count(2).await;
    taken.sort_by_key(|inbound| inbound.sent);
    assert!(
        text(&taken[0]).len() < 70_000
            && text(&taken[0]).ends_with("[cut here: the message has 1000000 bytes]")
    );
    assert_eq!(text(&taken[1]), "a\u{200b}b\u{202e}c", "what an agent sees of it is the core's to say");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_without_words_is_explained_and_starts_nothing() {
    let world = World::start().await;
    for words in ["", "help", "ask"] {
        let told = world.control.command(ANA, GENERAL, "/agent", words).await.unwrap();
        assert!(told.to_string().contains("/agent ask"), "{told}");
    }
    assert!(world.inbox.came().is_empty());
    world.control.kick(BOT, GENERAL).await.unwrap();
    let told = world.control.command(ANA, GENERAL, "/agent", "ask something").await.unwrap();
    assert!(told.to_string().contains("/invite"), "{told}");
    world.inbox.taken_count(1).await;
}
