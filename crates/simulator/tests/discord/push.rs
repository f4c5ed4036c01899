//! Interactions as signed requests to an endpoint.

use std::sync::{Arc, Mutex, PoisonError};

use axum::{Router, body::Bytes, extract::State, http::HeaderMap, http::StatusCode, routing::post};
use data_encoding::HEXLOWER;
use ed25519_dalek::{Signature, Verifier, VerifyingKey};
use serde_json::{Value, json};
use simulator::discord::options::{ANA, APP, GENERAL};

use super::{Failure, app::App};

const WITHIN: std::time::Duration = std::time::Duration::from_secs(10);

/// An endpoint of an app.
#[derive(Clone)]
struct Endpoint {
    key: VerifyingKey,
    /// Whether it looks at signatures.
    careful: bool,
    seen: Arc<Mutex<Vec<Value>>>,
}

async fn take(State(endpoint): State<Endpoint>, headers: HeaderMap, body: Bytes) -> (StatusCode, String) {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let signed = [text("x-signature-timestamp").as_bytes(), &body].concat();
    let signature = HEXLOWER.decode(text("x-signature-ed25519").as_bytes()).unwrap_or_default();
    let good = Signature::from_slice(&signature).is_ok_and(|it| endpoint.key.verify(&signed, &it).is_ok());
    if endpoint.careful && !good {
        return (StatusCode::UNAUTHORIZED, "invalid request signature".to_owned());
    }
    let interaction: Value = serde_json::from_slice(&body).unwrap_or_default();
    let answer = match interaction["type"].as_u64() {
        Some(1) => json!({"type": 1}),
        Some(_) | None => json!({"type": 4, "data": {"content": "pong", "flags": 64}}),
    };
    endpoint.seen.lock().unwrap_or_else(PoisonError::into_inner).push(interaction);
    (StatusCode::OK, answer.to_string())
}

async fn serve(app: &App, careful: bool) -> Result<(String, Endpoint), Failure> {
    let mut key = [0; 32];
    key.copy_from_slice(&HEXLOWER.decode(app.discord.public_key().as_bytes())?);
    let endpoint = Endpoint { key: VerifyingKey::from_bytes(&key)?, careful, seen: Arc::default() };
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
    let url = format!("http://{}/interactions", listener.local_addr()?);
    let router = Router::new().route("/interactions", post(take)).with_state(endpoint.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok((url, endpoint))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_has_to_prove_itself_and_then_gets_what_people_do() -> Result<(), Failure> {
    let app = App::new().await?;
    let (careless, _) = serve(&app, false).await?;
    assert!(app.control.events(Some(&careless)).await.is_err(), "it takes what is signed by anybody");
    let (url, endpoint) = serve(&app, true).await?;
    app.control.events(Some(&url)).await?;
    assert!(app.control.challenge().await?);
    let path = format!("/applications/{APP}/commands");
    app.call("PUT", &path, json!([{"name": "ping", "description": "Ping"}])).await?.ok()?;
    let mut link = app.link().await?;
    let id = app.control.command(ANA, GENERAL, "ping", json!({})).await?;
    assert_eq!(app.control.outcome(&id, WITHIN).await?.answer, Some(4));
    let pong = app.control.messages(GENERAL).await?.pop().ok_or("nothing")?;
    assert_eq!((pong.text.as_str(), pong.ephemeral_to.as_deref()), ("pong", Some(ANA)));
    let seen = endpoint.seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
    assert_eq!(seen.last().map(|it| it["data"]["name"].clone()), Some(json!("ping")));
    app.control.say(ANA, GENERAL, "no interaction came over the gateway").await?;
    link.event("MESSAGE_CREATE").await?;
    let forged = json!({"body": "{\"type\":2}", "timestamp": "1"});
    assert_eq!(app.control.forged(forged).await?["status"], 200);
    let forged = json!({"body": "{\"type\":2}", "signature": "00"});
    assert_eq!(app.control.forged(forged).await?["status"], 401);
    app.control.events(None).await?;
    app.control.command(ANA, GENERAL, "ping", json!({})).await?;
    link.event("INTERACTION_CREATE").await?;
    Ok(())
}
