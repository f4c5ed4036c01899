//! The Events API: signatures, both secrets, the challenge, and what is no request of Slack's.

use std::time::Duration;

use channel::{ErrorKind, HealthState};
use serde_json::json;
use simulator::slack::{Events, Options};

use crate::{
    text,
    world::{ANA, BOT, GENERAL, World, until},
};

async fn over_http(secrets: &[&str]) -> World {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("http://127.0.0.1:{port}/slack/events");
    let options = Options { events: Events::Http { url }, time_scale: 0.2, ..Options::default() };
    let settings =
        json!({ "receive": "http", "listen": format!("127.0.0.1:{port}"), "signing_secrets_env": secrets });
    World::new(options, settings).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_signed_by_slack_is_refused_unread() {
    let world = over_http(&["SLACK_SIGNING_SECRET"]).await;
    let body = json!({
        "type": "event_callback", "team_id": "T0SIM0001", "event_id": "Ev1",
        "event": { "type": "message", "channel_type": "im", "channel": "D1", "user": ANA, "text": "forged", "ts": "1700000000.000001" },
    })
    .to_string();
    let now = jiff::Timestamp::now().as_second();
    for forged in [
        json!({ "body": body, "secret": "another secret" }),
        json!({ "body": body, "signature": "v0=00" }),
        json!({ "body": body, "signature": "" }),
        json!({ "body": body, "timestamp": "" }),
        json!({ "body": body, "timestamp": (now - 301).to_string() }),
        json!({ "body": body, "timestamp": (now + 301).to_string() }),
        json!({ "body": body, "timestamp": "soon" }),
    ] {
        let answer = world.control.forged(forged.clone()).await.unwrap();
        assert_eq!(answer["status"], 401, "{forged}");
    }
    assert!(world.inbox.came().is_empty(), "it was read: {:?}", world.inbox.came());
    let answer = world.control.forged(json!({ "body": body })).await.unwrap();
    assert_eq!(answer["status"], 200, "rightly signed it is taken: {answer}");
    world.inbox.taken_count(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_secrets_count_while_one_is_replaced() {
    let world = over_http(&["SLACK_SIGNING_SECRET", "NEXT_SIGNING_SECRET"]).await;
    world.control.dm(ANA, "with the old one").await.unwrap();
    world.inbox.taken_count(1).await;
    world.control.set(json!({ "signing_secret": "the-next-signing-secret" })).await.unwrap();
    world.control.dm(ANA, "with the new one").await.unwrap();
    assert_eq!(text(&world.inbox.taken_count(2).await[1]), "with the new one");
    assert!(world.control.challenge().await.unwrap(), "Slack checks the address");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn malformed_and_huge_requests_are_refused_in_words() {
    let world = over_http(&["SLACK_SIGNING_SECRET"]).await;
    let form = "application/x-www-form-urlencoded";
    for (body, kind, status) in [
        ("{", "application/json", 400),
        ("payload=%7B", form, 400),
        ("x=1", form, 400),
        ("", "text/plain", 400),
        ("ssl_check=1&token=x", form, 200),
        ("payload=%7B%7D", form, 200),
        ("{}", "application/json", 200),
    ] {
        let answer = world.control.forged(json!({ "body": body, "content_type": kind })).await.unwrap();
        assert_eq!(answer["status"], status, "{body}: {answer}");
    }
    let huge = "x".repeat(2 * 1024 * 1024);
    let answer = world.control.forged(json!({ "body": huge, "content_type": "application/json" })).await;
    assert!(answer.is_err() || answer.unwrap()["status"] == 413, "it was taken");
    assert!(world.inbox.came().is_empty());
    world.control.say(ANA, GENERAL, &format!("<@{BOT}> still there?")).await.unwrap();
    world.inbox.taken_count(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_store_is_away_slack_is_asked_to_come_again() {
    let world = over_http(&["SLACK_SIGNING_SECRET"]).await;
    world.inbox.away(true);
    world.control.dm(ANA, "keep this").await.unwrap();
    world.inbox.came_count(1).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    world.inbox.away(false);
    assert_eq!(text(&world.inbox.taken_count(1).await[0]), "keep this");
    until("an acknowledgement", async || {
        world
            .control
            .deliveries()
            .await
            .unwrap()
            .iter()
            .all(|delivery| delivery.acked && delivery.attempts.len() > 1)
    })
    .await;
}

/// Forms, buttons and commands come the same way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_is_answered_at_once() {
    let world = over_http(&["SLACK_SIGNING_SECRET"]).await;
    let told = world.control.command(ANA, GENERAL, "/agent", "ask where is order 1001?").await.unwrap();
    assert!(told.to_string().contains("answer here"), "{told}");
    assert_eq!(text(&world.inbox.taken_count(1).await[0]), "where is order 1001?");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_taken_port_is_the_operator_s_to_mend() {
    let first = over_http(&["SLACK_SIGNING_SECRET"]).await;
    let url = first.control.settings().await.unwrap()["events"]["http"].as_str().unwrap().to_owned();
    let address = url.trim_start_matches("http://").split('/').next().unwrap().to_owned();
    let slack = crate::world::open(&first.simulated, json!({ "receive": "http", "listen": address }));
    let ingress = channel::Ingress {
        inbox: first.inbox.clone(),
        health: channel::Health::default(),
        stop: tokio_util::sync::CancellationToken::new(),
    };
    let error = channel::Channel::listen(slack.as_ref(), ingress).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Misconfigured);
    assert!(error.to_string().contains("channels.slack.listen"), "{error}");
    assert_eq!(first.health.state(), HealthState::Up);
}
