//! Interactions as signed HTTP requests.

use std::{sync::Arc, time::Duration};

use serde_json::{Map, Value, json};

use super::{Shared, effect::Post, ids::since_epoch};

/// Sends one interaction, and takes what comes back as its answer.
pub(crate) async fn post(shared: &Arc<Shared>, post: Post) {
    let request = shared
        .http
        .post(&post.url)
        .header("Content-Type", "application/json")
        .header("User-Agent", "Discord-Interactions/1.0 (+https://discord.com)")
        .header("X-Signature-Ed25519", &post.signature)
        .header("X-Signature-Timestamp", &post.timestamp)
        .body(post.body);
    // No answer, or one that says nothing, leaves the interaction to the REST API, or to its end.
    let Ok(Ok((200, body))) = tokio::time::timeout(post.within, send(request)).await else { return };
    let Ok(Value::Object(body)) = serde_json::from_str(&body) else { return };
    shared.with(|world| {
        let token = world.interactions.get(&post.interaction).map(|found| found.token.clone());
        let answer = world.callback(post.interaction, &token.unwrap_or_default(), &body, &[]);
        if let Err(refusal) = answer {
            let user = world.interactions.get(&post.interaction).map(|found| found.user);
            world.mishap(
                user.unwrap_or_default(),
                &refusal.show().to_string(),
                "the answer to an interaction",
            );
        }
    });
}

async fn send(request: reqwest::RequestBuilder) -> Result<(u16, String), reqwest::Error> {
    let response = request.send().await?;
    let status = response.status().as_u16();
    Ok((status, response.text().await?))
}

/// Sends anything to the app's endpoint, signed as the test wants it, and gives the answer.
pub(crate) async fn forged(ask: &Map<String, Value>, shared: &Arc<Shared>) -> Result<Value, String> {
    let text = |name: &str| ask.get(name).and_then(Value::as_str);
    let url = text("url").map(str::to_owned).or_else(|| shared.with(|world| world.endpoint()));
    let url = url.ok_or_else(|| "the app has no endpoint".to_owned())?;
    let now = since_epoch().as_secs().to_string();
    let timestamp = text("timestamp").unwrap_or(&now);
    let body = text("body").unwrap_or_default();
    let right = shared.with(|world| world.signer.sign(timestamp, body));
    let mut request = shared
        .http
        .post(url)
        .header("Content-Type", text("content_type").unwrap_or("application/json"))
        .timeout(Duration::from_secs(10));
    // Empty text leaves a header out.
    for (name, value) in
        [("X-Signature-Timestamp", timestamp), ("X-Signature-Ed25519", text("signature").unwrap_or(&right))]
    {
        if !value.is_empty() {
            request = request.header(name, value);
        }
    }
    let (status, body) = send(request.body(body.to_owned())).await.map_err(|error| error.to_string())?;
    Ok(json!({"status": status, "body": body}))
}

/// Asks an address to prove itself, as when it is written into the app's settings: it has to answer a ping, and to refuse
/// one that is signed by somebody else.
pub(crate) async fn challenge(url: Option<&str>, shared: &Arc<Shared>) -> Result<Value, String> {
    let app = shared.with(|world| world.app.to_string());
    let body =
        json!({"id": app, "application_id": app, "type": 1, "token": "ping", "version": 1}).to_string();
    let mut ask = Map::new();
    ask.insert("body".to_owned(), json!(body));
    if let Some(url) = url {
        ask.insert("url".to_owned(), json!(url));
    }
    let good = forged(&ask, shared).await?;
    ask.insert("signature".to_owned(), json!("0".repeat(128)));
    let bad = forged(&ask, shared).await?;
    let said = good.get("body").and_then(Value::as_str).unwrap_or_default();
    let pong = serde_json::from_str::<Value>(said).ok().and_then(|said| said.get("type")?.as_u64());
    let status = |answer: &Value| answer.get("status").and_then(Value::as_u64);
    let verified = pong == Some(1) && status(&good) == Some(200) && status(&bad) == Some(401);
    Ok(json!({"verified": verified, "status": status(&good), "bad_status": status(&bad), "body": said}))
}
