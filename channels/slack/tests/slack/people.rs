//! Who speaks: members, guests, strangers, bots; several workspaces; Enterprise organisations.

use std::time::Duration;

use channel::{Channel, Content, Place, Verified};
use serde_json::json;
use simulator::slack::{Click, Options};

use crate::{
    card, outgoing, says, text,
    world::{ANA, BOT, GENERAL, OPS, TEAM, World},
};

const GUEST: &str = "U0CY00001";
const STRANGER: &str = "U0ZOE0001";
const SHARED: &str = "C0SHR0001";

fn standing(inbound: &channel::Inbound) -> &str {
    inbound
        .facts
        .iter()
        .find(|(key, _)| key == "standing")
        .map(|(_, value)| value.as_str())
        .unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_and_guests_are_proven_and_strangers_are_not_heard() {
    let world = World::start().await;
    world.control.join(GUEST, GENERAL).await.unwrap();
    world.control.say(ANA, SHARED, &format!("<@{BOT}> from a member")).await.unwrap();
    world.control.say(GUEST, GENERAL, &format!("<@{BOT}> from a guest")).await.unwrap();
    world.control.say(STRANGER, SHARED, &format!("<@{BOT}> from a stranger")).await.unwrap();
    world.control.say("U0HELPER1", GENERAL, &format!("<@{BOT}> from a bot")).await.ok();
    world.control.dm(ANA, "the last").await.unwrap();
    world.inbox.taken_count(3).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let taken = world.inbox.taken();
    let heard: Vec<(&str, &str, bool)> = taken
        .iter()
        .map(|inbound| (text(inbound), standing(inbound), inbound.from.verified.is_proven()))
        .collect();
    let mut sorted = heard.clone();
    sorted.sort_unstable();
    assert_eq!(
        sorted,
        [("from a guest", "guest", true), ("from a member", "member", true), ("the last", "member", true)]
    );
    let ana = taken.iter().find(|inbound| text(inbound) == "the last").unwrap();
    assert_eq!((ana.from.id.as_str(), ana.from.name.is_empty()), (format!("{TEAM}/{ANA}").as_str(), false));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_talk_as_somebody_unproven_where_that_is_wanted() {
    let world = World::new(Options::default(), json!({ "strangers": "talk", "guests": "ignore" })).await;
    world.control.join(GUEST, GENERAL).await.unwrap();
    world.control.say(GUEST, GENERAL, &format!("<@{BOT}> from a guest")).await.unwrap();
    world.control.say(STRANGER, SHARED, &format!("<@{BOT}> from a stranger")).await.unwrap();
    let taken = world.inbox.taken_count(1).await;
    assert_eq!(text(&taken[0]), "from a stranger");
    let Verified::Claimed { why, remedy } = &taken[0].from.verified else { panic!("{:?}", taken[0].from) };
    assert!(why.contains("T0OTHER01") && remedy.is_some(), "{why}");
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(world.inbox.taken().len(), 1);
}

/// A press always reaches the gateway, which says no to who may not; as a stranger, a person is nobody's member.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_s_press_proves_nobody() {
    let world = World::start().await;
    world.sends(&outgoing(1, &Place::new(format!("{TEAM}/{SHARED}")), Content::Card(card()))).await;
    let message = world.control.messages(SHARED, None).await.unwrap().remove(0);
    world.control.click(&Click::on(STRANGER, &message, "press:approve")).await.unwrap();
    let press = world.inbox.taken_count(1).await.remove(0);
    assert!(!press.from.verified.is_proven(), "{:?}", press.from);
}

/// Without the scope to look people up nobody is proven, and it is said.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_cannot_be_looked_up_is_not_proven() {
    let world = World::start().await;
    let without: Vec<&str> =
        simulator::slack::SCOPES.iter().copied().filter(|scope| *scope != "users:read").collect();
    world.control.scopes(&without).await.unwrap();
    world.control.dm(ANA, "hello").await.unwrap();
    let heard = world.inbox.taken_count(1).await.remove(0);
    assert!(!heard.from.verified.is_proven(), "{:?}", heard.from);
    let told: Vec<String> = world.slack.check().await.unwrap_err().iter().map(ToString::to_string).collect();
    assert!(told.iter().any(|told| told.contains("users:read")), "{told:?}");
}

/// Slack does not answer: the message is not taken for somebody unproven, it comes again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_cannot_be_looked_up_now_is_asked_for_again() {
    let world = World::start().await;
    world.control.fault("users.info", json!({ "status": 500 }), 1, 0).await.unwrap();
    world.control.dm(ANA, "hello").await.unwrap();
    let heard = world.inbox.taken_count(1).await.remove(0);
    assert!(heard.from.verified.is_proven(), "{:?}", heard.from);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_workspaces_stand_behind_one_gateway() {
    let options = Options { second_team: true, ..Options::default() };
    let tokens = json!({ "bot_tokens_env": ["SLACK_BOT_TOKEN", "SECOND_BOT_TOKEN"] });
    let world = World::new(options, tokens).await;
    let found = world.slack.check().await.unwrap().join("\n");
    assert!(found.contains("Acme") && found.contains("Globex"), "{found}");
    let second = world
        .control
        .channels()
        .await
        .unwrap()
        .into_iter()
        .find(|channel| channel.team == "T0SIM0002")
        .unwrap();
    let person = second.members.iter().find(|member| !member.starts_with("U0BOT")).unwrap().clone();
    let bot = second.members.iter().find(|member| member.starts_with("U0BOT")).unwrap().clone();
    world.control.say(&person, &second.id, &format!("<@{bot}> hello from there")).await.unwrap();
    world.control.say(ANA, GENERAL, &format!("<@{BOT}> hello from here")).await.unwrap();
    let mut taken = world.inbox.taken_count(2).await;
    taken.sort_by_key(|inbound| inbound.at.place.clone());
    assert!(
        taken[0].at.place.as_str().starts_with("T0SIM0001/")
            && taken[1].at.place.as_str().starts_with("T0SIM0002/")
    );
    for (n, inbound) in (1..).zip(&taken) {
        world.sends(&outgoing(n, &inbound.at.place, says(&format!("answer {n}")))).await;
    }
    let there = world.control.messages(&second.id, None).await.unwrap();
    assert!(there.iter().any(|message| message.text == "answer 2"), "{there:#?}");
}

/// A token that is wrong holds up no other workspace.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_wrong_token_holds_up_no_other() {
    let world =
        World::new(Options::default(), json!({ "bot_tokens_env": ["WRONG_BOT_TOKEN", "SLACK_BOT_TOKEN"] }))
            .await;
    world.control.dm(ANA, "hello").await.unwrap();
    world.inbox.taken_count(1).await;
    let told: Vec<String> = world.slack.check().await.unwrap_err().iter().map(ToString::to_string).collect();
    assert!(told[0].contains("WRONG_BOT_TOKEN") && !told[0].contains("xoxb-nobody"), "{told:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_ids_of_an_enterprise_organisation_are_kept() {
    let options = Options { enterprise_id: Some("E0ORG0001".to_owned()), ..Options::default() };
    let world = World::new(options, json!({})).await;
    world.control.say(ANA, OPS, &format!("<@{BOT}> hello")).await.unwrap();
    let heard = world.inbox.taken_count(1).await.remove(0);
    assert!(heard.facts.contains(&("enterprise".to_owned(), "E0ORG0001".to_owned())), "{:?}", heard.facts);
    let Verified::Proven { by } = &heard.from.verified else { panic!("{:?}", heard.from) };
    assert!(by.contains("E0ORG0001"), "it does not stand in the log: {by}");
}
