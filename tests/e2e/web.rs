//! The circle at the page: a line in, a step, a card, a click, a tool run, an answer.

use agent::{Event, Phase};
use serde_json::{Value, json};

use crate::world::{LOCAL, SCRIPTED, World, is_open_card};

async fn world() -> World {
    let mut world = World::new(&format!("{LOCAL}{SCRIPTED}"));
    world.start().await;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_is_asked_for_approved_run_and_answered() {
    let world = world().await;
    let page = world.page();
    let talk = page.open().await;
    page.say(&talk, "first-message-0001", "deploy v1.4 to production").await.unwrap();
    let card = page.wait_card(&talk, "Approve: deploy").await;
    let fields = card["fields"].to_string();
    assert!(fields.contains("v1.4") && fields.contains("production"), "{fields}");
    assert!(
        world.kept("deploy").iter().all(|(_, text)| !text.contains("v1.4")),
        "it ran before it was approved"
    );

    page.press(&talk, "click-000000000001", &card, "approve").await.unwrap();
    let said = page.wait_said(&talk, "v1.4 runs in production").await;
    assert_eq!(said["label"], "scripted model");
    let closed =
        page.wait(&talk, "the closed card", |entry| entry["kind"] == "card" && !is_open_card(entry)).await;
    assert!(closed.to_string().contains("Approved by you"), "{closed}");
    assert!(world.kept("deploy").iter().any(|(_, text)| text.contains("v1.4")), "it did not run");

    // Once it is over, the same place takes the next request.
    page.say(&talk, "second-message-001", "deploy v1.3 to production").await.unwrap();
    page.wait_card(&talk, "Approve: deploy").await;
    assert_eq!(world.threads().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejection_reaches_the_agent_with_its_reason_and_nothing_runs() {
    let world = world().await;
    let page = world.page();
    let talk = page.open().await;
    page.say(&talk, "first-message-0001", "deploy v1.4 to production").await.unwrap();
    let card = page.wait_card(&talk, "Approve: deploy").await;
    page.press_with(&talk, "click-000000000001", &card, "reject", Some("not on a Friday")).await.unwrap();
    page.wait_said(&talk, "not on a Friday").await;
    assert_eq!(world.count(|event| matches!(event, Event::Started(_))).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn other_arguments_run_as_they_were_approved() {
    let world = world().await;
    let page = world.page();
    let talk = page.open().await;
    page.say(&talk, "first-message-0001", "deploy v1.4 to production").await.unwrap();
    let card = page.wait_card(&talk, "Approve: deploy").await;
    // What does not fit is said to the person alone, and the card stays open.
    let mars = json!({ "version": "v1.4", "environment": "mars" });
    page.fill(&talk, "fill-0000000000001", (&card, "edit"), &mars).await.unwrap();
    page.wait(&talk, "why not", |entry| entry["kind"] == "note" && entry.to_string().contains("mars")).await;
    let card = page.wait_card(&talk, "Approve: deploy").await;
    let staging = json!({ "version": "v1.3", "environment": "staging" });
    page.fill(&talk, "fill-0000000000002", (&card, "edit"), &staging).await.unwrap();
    page.wait_said(&talk, "v1.3 runs in staging").await;
    let closed =
        page.wait(&talk, "the closed card", |entry| entry["kind"] == "card" && !is_open_card(entry)).await;
    assert!(closed.to_string().contains("production → staging"), "{closed}");
    let runs = |wanted: &'static str| move |event: &Event| matches!(event, Event::Started(started) if started.args["environment"] == wanted);
    assert_eq!(world.count(runs("staging")).await, 1);
    assert_eq!(world.count(runs("production")).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn words_decide_only_when_they_are_clear() {
    let world = world().await;
    let page = world.page();
    let talk = page.open().await;
    page.say(&talk, "first-message-0001", "deploy v1.4 to production").await.unwrap();
    page.wait_card(&talk, "Approve: deploy").await;
    page.say(&talk, "second-message-001", "ok but only to staging").await.unwrap();
    assert_eq!(world.count(|event| matches!(event, Event::Answered(_))).await, 0);
    page.say(&talk, "third-message-0001", "Approve").await.unwrap();
    page.wait_said(&talk, "v1.4 runs in production").await;
    // What was said meanwhile is kept: the agent saw it beside the answer.
    assert_eq!(world.count(|event| matches!(event, Event::Heard(_))).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_clicks_decide_once_and_late_ones_are_told_so() {
    let world = world().await;
    let page = world.page();
    let talk = page.open().await;
    page.say(&talk, "first-message-0001", "deploy v1.4 to production").await.unwrap();
    let card = page.wait_card(&talk, "Approve: deploy").await;
    let clicks = (0..8).map(|n| {
        let (page, talk, card) = (world.page(), talk.clone(), card.clone());
        let choice = if n % 2 == 0 { "approve" } else { "reject" };
        tokio::spawn(
            async move { page.press(&talk, &format!("click-{n:013}"), &card, choice).await.unwrap() },
        )
    });
    for click in clicks.collect::<Vec<_>>() {
        click.await.unwrap();
    }
    world.until("the end", |threads| threads[0].phase() == Phase::Finished).await;
    assert_eq!(world.count(|event| matches!(event, Event::Answered(_))).await, 1);
    assert_eq!(world.count(|event| matches!(event, Event::Refused(_))).await, 7);
    assert!(world.count(|event| matches!(event, Event::Started(_))).await <= 1);
    page.wait(&talk, "an explanation", |entry| {
        entry["kind"] == "note" && entry.to_string().contains("decided before")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_message_sent_again_is_heard_once() {
    let world = world().await;
    let page = world.page();
    let talk = page.open().await;
    for _ in 0..3 {
        page.say(&talk, "first-message-0001", "Where is my order 1001?").await.unwrap();
    }
    page.wait_said(&talk, "1001").await;
    assert_eq!(world.count(|event| matches!(event, Event::Heard(_))).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_of_the_agent_is_answered_in_the_conversation() {
    let world = world().await;
    let page = world.page();
    let talk = page.open().await;
    page.say(&talk, "first-message-0001", "where is my parcel?").await.unwrap();
    page.wait(&talk, "the question", |entry| {
        is_open_card(entry) && entry.to_string().contains("order number")
    })
    .await;
    page.say(&talk, "second-message-001", "1001").await.unwrap();
    page.wait_said(&talk, "1001").await;
    let entries = page.entries(&talk).await.unwrap();
    let heard: Vec<&Value> = entries.iter().filter(|entry| entry["kind"] == "heard").collect();
    assert_eq!(heard.len(), 2, "an answer in words is shown as what it is: {heard:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_conversations_at_once_wait_for_nobody() {
    let world = world().await;
    let talks = (0..100).map(|n| {
        let page = world.page();
        tokio::spawn(async move {
            let talk = page.open().await;
            page.say(&talk, &format!("message-{n:012}"), "Where is my order 1001?").await.unwrap();
            page.wait_said(&talk, "1001").await;
        })
    });
    for talk in talks.collect::<Vec<_>>() {
        talk.await.unwrap();
    }
    let threads = world.threads().await;
    assert_eq!(threads.len(), 100);
    assert!(threads.iter().all(|thread| thread.phase() == Phase::Finished));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_drains_and_the_next_start_goes_on() {
    let mut world = world().await;
    let page = world.page();
    let talk = page.open().await;
    page.say(&talk, "first-message-0001", "deploy v1.4 to production").await.unwrap();
    let card = page.wait_card(&talk, "Approve: deploy").await;
    let status = world.stop();
    assert!(status.success(), "{status}\n{}", world.log());
    world.start().await;
    page.press(&talk, "click-000000000001", &card, "approve").await.unwrap();
    page.wait_said(&talk, "v1.4 runs in production").await;
}
