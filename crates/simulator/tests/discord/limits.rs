//! Tokens, rate limits, the ban for invalid requests, faults that are played on calls.

use serde_json::{Value, json};
use simulator::discord::{
    Options,
    options::{ANA, GENERAL},
};

use super::{Failure, app::App};

const CREATE: &str = "POST /channels/{channel}/messages";

fn messages() -> String {
    format!("/channels/{GENERAL}/messages")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_runs_dry_and_fills_again() -> Result<(), Failure> {
    let app = App::with(Options { rate_limits: true, time_scale: 0.2, ..Options::default() }).await?;
    for left in (0..5).rev() {
        let sent = app.call("POST", &messages(), json!({"content": "x"})).await?;
        assert_eq!((sent.status, sent.header("x-ratelimit-limit")), (200, Some("5")));
        assert_eq!(sent.header("x-ratelimit-remaining"), Some(left.to_string().as_str()));
    }
    let refused = app.call("POST", &messages(), json!({"content": "x"})).await?;
    assert_eq!((refused.status, refused.header("x-ratelimit-scope")), (429, Some("user")));
    assert_eq!(refused.body["global"], false);
    let wait = refused.body["retry_after"].as_f64().ok_or("no wait")?;
    assert_eq!(app.get(&messages()).await?.status, 200, "another route has another bucket");
    tokio::time::sleep(std::time::Duration::from_secs_f64(wait)).await;
    assert_eq!(app.call("POST", &messages(), json!({"content": "x"})).await?.status, 200);
    assert_eq!(app.control.invalid_requests().await?, 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn all_together_are_fifty_a_second() -> Result<(), Failure> {
    let app = App::with(Options { rate_limits: true, ..Options::default() }).await?;
    let mut global = None;
    for number in 0..200 {
        let path = if number % 2 == 0 { "/users/@me".to_owned() } else { format!("/users/{ANA}") };
        let answer = app.get(&path).await?;
        if answer.body["global"] == true {
            global = Some(answer);
            break;
        }
    }
    let global = global.ok_or("never refused")?;
    assert_eq!(
        (global.header("x-ratelimit-global"), global.header("x-ratelimit-scope")),
        (Some("true"), Some("global"))
    );
    assert!(global.header("retry-after").is_some() && global.header("x-ratelimit-bucket").is_none());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_invalid_requests_are_a_ban() -> Result<(), Failure> {
    let app = App::new().await?;
    app.control.set(json!({"ban_at": 3})).await?;
    assert_eq!(app.call_as("wrong", "GET", "/users/@me", Value::Null).await?.code(), (401, 0));
    app.control.fault("GET /users/@me", json!({"rate_limit": 0.5, "scope": "shared"}), 1, 0).await?;
    let shared = app.get("/users/@me").await?;
    assert_eq!((shared.status, shared.header("x-ratelimit-scope")), (429, Some("shared")));
    assert_eq!(app.control.invalid_requests().await?, 1, "what others used up is not counted");
    app.control.revoke(true).await?;
    for _ in 0..2 {
        assert_eq!(app.get("/users/@me").await?.status, 401);
    }
    app.control.revoke(false).await?;
    let banned = app.get("/users/@me").await?;
    assert_eq!(
        (banned.status, banned.body.is_string()),
        (429, true),
        "no JSON from what stands before Discord"
    );
    app.control.expire("ban").await?;
    assert_eq!(app.get("/users/@me").await?.status, 200);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_acts_and_is_not_answered_or_does_not_even_act() -> Result<(), Failure> {
    let app = App::new().await?;
    let post = async |text: &str| app.call("POST", &messages(), json!({"content": text})).await;
    app.control.fault(CREATE, json!("drop_response"), 1, 0).await?;
    assert!(post("one").await.is_err());
    app.control.fault(&format!("POST {}", messages()), json!("drop_request"), 1, 0).await?;
    assert!(post("two").await.is_err());
    app.control.fault("*", json!("garbage"), 1, 0).await?;
    assert!(post("three").await?.body.is_string());
    app.control.fault(CREATE, json!({"delay_ms": 1}), 1, 0).await?;
    assert_eq!(post("four").await?.status, 200);
    app.control.fault(CREATE, json!({"status": 502}), 1, 1).await?;
    assert_eq!(post("five").await?.status, 200);
    assert_eq!(post("six").await?.status, 502);
    let error = json!({"error": {"status": 403, "code": 50013, "message": "Missing Permissions"}});
    app.control.fault(CREATE, error, 1, 0).await?;
    assert_eq!(post("seven").await?.code(), (403, 50013));
    app.control.fault(CREATE, json!({"rate_limit": 1.5}), 1, 0).await?;
    assert_eq!(post("eight").await?.body["retry_after"], 1.5);
    app.control.fault("*", json!({"status": 500}), 100, 0).await?;
    assert_eq!(post("nine").await?.code(), (500, 0));
    app.control.clear_faults().await?;
    let texts: Vec<String> = app.control.messages(GENERAL).await?.into_iter().map(|it| it.text).collect();
    assert_eq!(texts, ["one", "three", "four", "five"]);
    let calls = app.control.calls(Some(CREATE)).await?;
    assert_eq!(calls.len(), 9);
    assert!(calls[0].fault.is_some() && calls[0].ok && calls[0].id.is_some());
    assert_eq!((calls[6].status, calls[6].code), (403, Some(50013)));
    assert!(app.control.fault("*", json!("earthquake"), 1, 0).await.is_err());
    Ok(())
}
