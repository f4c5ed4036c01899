//! Interactions over HTTP: signatures, and what is no request of Discord's.

use channel::{Channel, Content, HealthState};
use serde_json::json;
use simulator::discord::Click;

use crate::{
    card, outgoing,
    world::{ANA, World, options},
};

async fn over_http() -> World {
    let mut world = World::silent(options(), json!({})).await;
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let settings = json!({
        "interactions": "http", "listen": format!("127.0.0.1:{port}"), "public_key": world.simulated.public_key(),
    });
    world.replace(settings);
    world.listen().await;
    world.control.events(Some(&format!("http://127.0.0.1:{port}/"))).await.unwrap();
    world
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_signed_by_discord_is_refused_unread() {
    let world = over_http().await;
    assert!(world.control.challenge().await.unwrap(), "Discord checks the address");
    let body = json!({
        "id": "846462639134605312", "application_id": "1", "type": 3, "token": "t", "channel_id": "5",
        "channel": { "type": 1 }, "user": { "id": ANA, "username": "ana" }, "message": { "id": "6" },
        "data": { "custom_id": "press:approve:k3fj2m9qx7ab4c5d-1.3.aaaaaaaaaaaaaaaa", "component_type": 2 },
    })
    .to_string();
    let now = jiff::Timestamp::now().as_second();
    for forged in [
        json!({ "body": body, "signature": "00".repeat(64) }),
        json!({ "body": body, "signature": "no hexadecimal" }),
        json!({ "body": body, "signature": "" }),
        json!({ "body": body, "timestamp": "" }),
        json!({ "body": body, "timestamp": (now - 301).to_string() }),
        json!({ "body": body, "timestamp": (now + 301).to_string() }),
        json!({ "body": body, "timestamp": "soon" }),
    ] {
        let answer = world.control.forged(forged.clone()).await.unwrap();
        assert_eq!(answer["status"], 401, "{forged}: {answer}");
    }
    assert!(world.inbox.came().is_empty(), "it was read: {:?}", world.inbox.came());
    for (body, status) in [("{", 400), (&"x".repeat(1024 * 1024 + 1), 413)] {
        let answer = world.control.forged(json!({ "body": body })).await.unwrap();
        assert_eq!(answer["status"], status);
    }
    let answer = world.control.forged(json!({ "body": body })).await.unwrap();
    assert_eq!(answer["status"], 200, "rightly signed it is taken: {answer}");
    world.inbox.taken_count(1).await;
    assert_eq!(world.health.state(), HealthState::Up);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_press_is_answered_in_the_answer() {
    let world = over_http().await;
    let place = world.discord.place(ANA).unwrap();
    world.sends(&outgoing(1, &place, Content::Card(card()))).await;
    let direct = world.direct(ANA).await.unwrap();
    let shown = world.said(&direct).await.remove(0);
    let id = shown.elements()[0]["custom_id"].as_str().unwrap().to_owned();
    let press = world.control.click(&Click::on(ANA, &shown, &id)).await.unwrap();
    let outcome = world.control.outcome(&press, std::time::Duration::from_secs(10)).await.unwrap();
    assert_eq!((outcome.state.as_str(), outcome.answer), ("answered", Some(6)));
    assert_eq!(world.inbox.taken_count(1).await.len(), 1);
    let calls = world.control.calls(None).await.unwrap();
    assert!(calls.iter().all(|call| !call.path.contains("callback")), "it is answered once");
}
