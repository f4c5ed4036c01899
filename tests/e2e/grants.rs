//! An approval that holds for a while for calls like it: given on the page, kept over a kill, listed and ended at the command line and in
//! words.

use agent::{Event, Started};
use serde_json::json;

use crate::world::{LOCAL, SCRIPTED, World, copied_agents, replace};

/// The rule of the deploy agent about its first tool.
const RULE: &str = "timeout = \"2m\"\npolicy = [{ then = \"ask\", approvers = [\"operators\"] }]\n\n[tools.deploy.parameters]";

async fn world() -> (World, tempfile::TempDir) {
    let (folder, agents) = copied_agents();
    let remembering = RULE.replace(
        "[\"operators\"] }",
        "[\"operators\"], remember = { for = \"8h\", args = { version = \"any\" } } }",
    );
    replace(&agents.join("deploy/agent.toml"), RULE, &remembering);
    let mut world = World::with_agents(&agents, &format!("{LOCAL}{SCRIPTED}"));
    world.start().await;
    (world, folder)
}

async fn began(world: &World) -> Vec<Started> {
    let threads = world.threads().await;
    let records = threads.iter().flat_map(|thread| thread.records());
    let started = records.filter_map(|record| match &record.event {
        Event::Started(started) if started.tool == "deploy" => Some(started.clone()),
        _ => None,
    });
    started.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_for_a_while_outlives_a_kill_and_ends_when_somebody_says_so() {
    let (mut world, _agents) = world().await;
    let page = world.page();
    let talk = page.open().await;
    page.say(&talk, "message-000000001", "deploy v1.3 to staging").await.unwrap();
    let card = page.wait_card(&talk, "Approve: deploy").await;
    let offer = card["choices"].as_array().unwrap().iter().find(|choice| choice["id"] == "alike").unwrap();
    assert!(offer.to_string().contains("any version and all else the same"), "{offer}");
    // Longer than the policy allows; then as it does.
    page.fill(&talk, "click-000000000001", (&card, "alike"), &json!({ "for": "9h" })).await.unwrap();
    page.wait(&talk, "why not", |entry| entry["kind"] == "note" && entry.to_string().contains("8h at most"))
        .await;
    page.fill(&talk, "click-000000000002", (&card, "alike"), &json!({ "for": "2h" })).await.unwrap();
    page.wait_said(&talk, "v1.3 runs in staging").await;
    page.wait(&talk, "how it ended", |entry| entry.to_string().contains("and calls like it until")).await;

    // Another version in the same place runs at once; another place is asked about.
    world.kill();
    world.start().await;
    let page = world.page();
    page.say(&talk, "message-000000002", "deploy v1.4 to staging").await.unwrap();
    page.wait_said(&talk, "v1.4 runs in staging").await;
    let started = began(&world).await;
    assert_eq!(started.len(), 2);
    assert!(started[0].grant.is_none() && started[1].grant.is_some(), "{started:#?}");
    page.say(&talk, "message-000000003", "deploy v1.4 to production").await.unwrap();
    let asked = page.wait_card(&talk, "Approve: deploy").await;
    page.press(&talk, "click-000000000003", &asked, "reject").await.unwrap();
    page.wait(&talk, "that it is over", |entry| entry.to_string().contains("Rejected by you")).await;
    world.until("the end", |threads| threads.iter().all(agent::Thread::is_idle)).await;

    // What holds is told while the gateway runs, and so is what ran under it.
    let listed = world.run(&["grants", "list"]);
    assert_eq!(listed.code, Some(0), "{listed:#?}");
    for words in ["deploy: deploy {", "v1.3", "any version and all else the same", "further calls so far: 1"]
    {
        assert!(listed.out.contains(words), "{words}: {}", listed.out);
    }
    let code = listed.out.split_whitespace().next().unwrap().to_owned();
    let exported = world.run(&["audit", "export"]);
    let ran = exported.out.lines().find(|line| line.contains("\"ran_with\"")).expect("that it ran is a line");
    assert!(ran.contains("v1.4") && ran.contains("\"outcome\":\"started\""), "{ran}");
    let shown = world.run(&["threads", "show", world.threads().await[0].id().as_str()]);
    assert!(shown.out.contains("as the answer to question"), "{}", shown.out);

    // Only with the gateway stopped, the embedded store being its own; with what is not there, and then with what is.
    let refused = world.run(&["grants", "revoke", &code]);
    assert!(refused.code == Some(1) && refused.err.contains("in use"), "{refused:#?}");
    assert_eq!(world.stop().code(), Some(0));
    let unknown = world.run(&["grants", "revoke", "zzzz"]);
    assert!(unknown.code == Some(1) && unknown.err.contains("grants list"), "{unknown:#?}");
    let revoked = world.run(&["grants", "revoke", &code]);
    assert!(revoked.code == Some(0) && revoked.out.starts_with("ended: "), "{revoked:#?}");
    assert_eq!(world.run(&["grants", "list"]).out, "nothing is approved for a while\n");
    world.start().await;
    let page = world.page();
    page.wait(&talk, "the end", |entry| {
        entry.to_string().contains("ended by an operator after one more call")
    })
    .await;
    page.say(&talk, "message-000000004", "deploy v1.3 to staging").await.unwrap();
    page.wait_card(&talk, "Approve: deploy").await;
    assert_eq!(began(&world).await.len(), 2);
    let audit = world.run(&["audit", "verify"]);
    assert_eq!(audit.code, Some(0), "{audit:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_approve_it_ends_it_in_words() {
    let (world, _agents) = world().await;
    let page = world.page();
    let talk = page.open().await;
    page.say(&talk, "message-000000001", "deploy v1.3 to staging").await.unwrap();
    let card = page.wait_card(&talk, "Approve: deploy").await;
    page.answer(&talk, "answer-00000000001", &card, "approve\nfor: 2h").await.unwrap();
    page.wait_said(&talk, "v1.3 runs in staging").await;
    page.answer(&talk, "answer-00000000002", &card, "revoke").await.unwrap();
    page.wait(&talk, "that it ended", |entry| entry.to_string().contains("ended by you after 0 more calls"))
        .await;
    page.say(&talk, "message-000000002", "deploy v1.4 to staging").await.unwrap();
    page.wait_card(&talk, "Approve: deploy").await;
    assert_eq!(began(&world).await.len(), 1);
}
