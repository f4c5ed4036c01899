//! What people do: once under one name, in its place, with its words and files.

use std::time::Duration;

use channel::{Addressed, Body, Content};
use serde_json::json;
use simulator::discord::{
    Click, Options,
    options::{FORUM, GIA, GLOBEX, HELPER},
};

use crate::{
    card, outgoing, text,
    world::{ANA, APP, BEN, GENERAL, GUILD, World, until},
};

/// A press that Discord delivers again, and one whose answer comes too late, are one press.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_press_that_is_delivered_again_is_one_press() {
    let world = World::start().await;
    let place = channel::Channel::place(world.discord.as_ref(), ANA).unwrap();
    world.sends(&outgoing(1, &place, Content::Card(card()))).await;
    let direct = world.direct(ANA).await.unwrap();
    let shown = world.said(&direct).await.remove(0);
    let id = shown.elements()[0]["custom_id"].as_str().unwrap().to_owned();
    world.control.click(&Click::on(ANA, &shown, &id)).await.unwrap();
    world.inbox.taken_count(1).await;
    let deliveries = world.control.deliveries().await.unwrap();
    let press = deliveries.iter().find(|delivery| delivery.what == "INTERACTION_CREATE").unwrap();
    world.control.raw_event(&press.what, press.payload.clone()).await.unwrap();
    world.inbox.came_count(2).await;
    assert_eq!(world.inbox.taken().len(), 1);
}

/// While the store is away a press fails before the person's eyes, and decides nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_press_that_could_not_be_taken_is_shown_as_failed() {
    // Discord waits as long as it does.
    let world = World::new(Options::default(), json!({})).await;
    let place = channel::Channel::place(world.discord.as_ref(), ANA).unwrap();
    world.sends(&outgoing(1, &place, Content::Card(card()))).await;
    let direct = world.direct(ANA).await.unwrap();
    let shown = world.said(&direct).await.remove(0);
    let id = shown.elements()[0]["custom_id"].as_str().unwrap().to_owned();
    world.inbox.away(true);
    let press = world.control.click(&Click::on(ANA, &shown, &id)).await.unwrap();
    let outcome = world.control.outcome(&press, Duration::from_secs(20)).await.unwrap();
    assert_eq!(outcome.state, "failed");
    world.inbox.away(false);
    let press = world.control.click(&Click::on(ANA, &shown, &id)).await.unwrap();
    let outcome = world.control.outcome(&press, Duration::from_secs(20)).await.unwrap();
    assert_eq!((outcome.state.as_str(), outcome.answer), ("answered", Some(6)));
    assert_eq!(world.inbox.taken().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shortcut_asks_about_a_message_below_it() {
    let world = World::start().await;
    let about = world.control.say(BEN, GENERAL, "wo ist der Bahnhof?").await.unwrap();
    world.control.shortcut(ANA, GENERAL, &about.id, "Ask an agent").await.unwrap();
    until("the form", async || world.control.view(ANA).await.unwrap().is_some()).await;
    world.control.submit(ANA, &[("words", "translate this")]).await.unwrap();
    let asked = world.inbox.taken_count(1).await.remove(0);
    assert_eq!(asked.at.place.as_str(), format!("{GUILD}/{GENERAL}/{}", about.id));
    assert!(
        text(&asked).contains("translate this") && text(&asked).contains("wo ist der Bahnhof?"),
        "{asked:?}"
    );
    assert_eq!((asked.from.id.as_str(), asked.addressed), (ANA, Addressed::Mention));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_come_along_and_what_does_not_says_why() {
    let settings = json!({ "limits": { "file_bytes": 1024 } });
    let world = World::new(crate::world::options(), settings).await;
    let small = ("report.csv", "text/csv", &b"a,b\n1,2\n"[..]);
    world.control.upload(ANA, GENERAL, small, "@switchboard look").await.unwrap();
    let large = ("large.bin", "application/octet-stream", &[7_u8; 4096][..]);
    world.control.upload(ANA, GENERAL, large, "@switchboard look").await.unwrap();
    let taken = world.inbox.taken_count(2).await;
    let files = |n: usize| match &taken[n].body {
        Body::Text { files, .. } => files.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(files(0)[0].bytes.as_deref(), Ok(&b"a,b\n1,2\n"[..]));
    assert!(files(1)[0].bytes.as_ref().is_err_and(|why| why.contains("larger than 1024")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn edits_and_deletions_are_told_and_previews_are_not() {
    let world = World::start().await;
    let said = world.control.dm(ANA, "deploy v1.4").await.unwrap();
    world.inbox.taken_count(1).await;
    world.control.edit(ANA, &said.channel, &said.id, "deploy v1.5").await.unwrap();
    let edited = world.inbox.taken_count(2).await.remove(1);
    assert!(matches!(&edited.body, Body::Edited { text, .. } if text == "deploy v1.5"), "{edited:?}");
    let preview = json!({ "id": said.id, "channel_id": said.channel, "embeds": [{ "type": "link" }] });
    world.control.raw_event("MESSAGE_UPDATE", preview).await.unwrap();
    world.control.delete(ANA, &said.channel, &said.id).await.unwrap();
    let deleted = world.inbox.taken_count(3).await.remove(2);
    assert_eq!((&deleted.body, &deleted.message), (&Body::Deleted, &edited.message));
    assert_eq!((deleted.at, deleted.from.id), (edited.at, edited.from.id));
}

/// A forum's post, zero-width and turning words, a bot, a webhook, Discord itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_speaks_and_where_is_told_apart() {
    let world = World::start().await;
    let post = world.control.post(ANA, FORUM, "A question", "@switchboard how does it work?").await.unwrap();
    let asked = world.inbox.taken_count(1).await.remove(0);
    assert_eq!(asked.at.place.as_str(), format!("{GUILD}/{FORUM}/{}", post.channel));
    for (who, words) in [(HELPER, "@switchboard I am a bot"), (BEN, "nobody is spoken to")] {
        world.control.say(who, GENERAL, words).await.unwrap();
    }
    world.control.webhook(GENERAL, "Ana Ask", &format!("<@{APP}> I am a webhook")).await.unwrap();
    world.control.system(ANA, GENERAL, 6).await.unwrap();
    let hiding = format!("<@{APP}> pay \u{202e}05\u{200b} now");
    let ask = json!({ "user": ANA, "channel": GENERAL, "text": hiding, "raw": true });
    world.control.say_as(ask).await.unwrap();
    let heard = world.inbox.taken_count(2).await.remove(1);
    assert_eq!(
        text(&heard),
        "pay \u{202e}05\u{200b} now",
        "the agent's inert rendering is not the channel's to do"
    );
    assert_eq!(world.inbox.taken().len(), 2);
}

/// More choices than buttons have room for are a menu.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_choice_from_a_menu_is_an_answer() {
    let world = World::start().await;
    let place = channel::Channel::place(world.discord.as_ref(), ANA).unwrap();
    let mut many = card();
    let one = many.choices.remove(0);
    let choice = |n: usize| channel::Choice {
        id: format!("option-{n}"),
        label: format!("Release {n}"),
        ..one.clone()
    };
    many.choices = (1..=30).map(choice).collect();
    world.sends(&outgoing(1, &place, Content::Card(many.clone()))).await;
    let direct = world.direct(ANA).await.unwrap();
    let shown = world.said(&direct).await.remove(0);
    let menus = shown.elements();
    assert_eq!(menus.len(), 2, "{menus:#?}");
    let id = menus[1]["custom_id"].as_str().unwrap().to_owned();
    let chosen = Click { values: vec!["option-28".to_owned()], ..Click::on(ANA, &shown, &id) };
    let press = world.control.click(&chosen).await.unwrap();
    let answer = world.inbox.taken_count(1).await.remove(0);
    assert_eq!(answer.ticket, Some(many.ticket));
    assert!(matches!(&answer.body, Body::Press { choice, .. } if choice == "option-28"), "{answer:?}");
    let outcome = world.control.outcome(&press, Duration::from_secs(10)).await.unwrap();
    assert_eq!(outcome.state, "answered");
}

/// Commands are registered once, and again only where they are others; servers that are not listed are not listened to.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_are_registered_where_they_differ_and_only_listed_servers_are_heard() {
    let mut world = World::start().await;
    let registered = async |world: &World| {
        let calls = world.control.calls(None).await.unwrap();
        calls.iter().filter(|call| call.method.starts_with("PUT") && call.path.ends_with("/commands")).count()
    };
    let names = async |world: &World| {
        let commands = world.control.commands(None).await.unwrap();
        let mut names: Vec<String> =
            commands.iter().map(|command| command["name"].as_str().unwrap().to_owned()).collect();
        names.sort();
        names
    };
    assert_eq!(
        (registered(&world).await, names(&world).await),
        (1, vec!["Ask an agent".into(), "ask".into()])
    );
    world.kill(json!({})).await;
    world.listen().await;
    assert_eq!(registered(&world).await, 1, "they are there already");
    world.kill(json!({ "commands": { "agent": "Ask" }, "guilds": [GUILD] })).await;
    world.listen().await;
    assert_eq!(
        (registered(&world).await, names(&world).await),
        (2, vec!["Ask an agent".into(), "agent".into()])
    );

    world.control.say(GIA, GLOBEX, "@switchboard elsewhere").await.unwrap();
    world.control.say(ANA, GENERAL, "@switchboard here").await.unwrap();
    assert_eq!(text(&world.inbox.taken_count(1).await[0]), "here");
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(world.inbox.taken().len(), 1);
}
