//! Events, interactions and slash commands as signed HTTP requests.

use std::sync::Arc;

use serde_json::Value;

use super::{Shared, effect::Post, ids, sign::signature};

/// Sends one request and tells the world what became of it.
pub(crate) async fn post(shared: &Arc<Shared>, post: Post) {
    let timestamp = ids::since_epoch().as_secs().to_string();
    let mut request = shared
        .http
        .post(&post.url)
        .header("Content-Type", post.content_type)
        .header("User-Agent", "Slackbot 1.0 (+https://api.slack.com/robots)")
        .header("X-Slack-Request-Timestamp", &timestamp)
        .header("X-Slack-Signature", signature(&post.secret, &timestamp, &post.body));
    if let Some((number, reason)) = &post.retry {
        request =
            request.header("X-Slack-Retry-Num", number.to_string()).header("X-Slack-Retry-Reason", reason);
    }
    let answer = tokio::time::timeout(post.within, send(request.body(post.body))).await;
    shared.with(|world| match answer {
        Ok(Ok(Answer { status: 200..300, body, .. })) => {
            world.ack(post.delivery, None, payload(&body));
        }
        Ok(Ok(Answer { no_retry, .. })) => {
            world.fail_for(post.delivery, post.attempt, "http_error", !no_retry);
        }
        Ok(Err(_)) => world.fail(post.delivery, post.attempt, "connection_failed"),
        Err(_) => world.fail(post.delivery, post.attempt, "http_timeout"),
    });
}

struct Answer {
    status: u16,
    no_retry: bool,
    body: String,
}

async fn send(request: reqwest::RequestBuilder) -> Result<Answer, reqwest::Error> {
    let response = request.send().await?;
    let status = response.status().as_u16();
    let no_retry = response.headers().get("X-Slack-No-Retry").is_some_and(|value| value == "1");
    Ok(Answer { status, no_retry, body: response.text().await? })
}

/// The body of an answer: nothing, JSON, or plain text, which is the text of a message.
fn payload(body: &str) -> Option<Value> {
    if body.trim().is_empty() {
        return None;
    }
    Some(serde_json::from_str(body).unwrap_or_else(|_| serde_json::json!({"text": body})))
}

/// Sends anything to the app's address, signed as the test wants it, and gives the answer.
pub(crate) async fn forged(
    ask: &serde_json::Map<String, Value>,
    shared: &Arc<Shared>,
) -> Result<Value, String> {
    let text = |name: &str| ask.get(name).and_then(Value::as_str);
    let (url, secret) = shared.with(|world| address(world, text("url")))?;
    let now = ids::since_epoch().as_secs().to_string();
    let timestamp = text("timestamp").unwrap_or(&now);
    let body = text("body").unwrap_or_default();
    let right = signature(text("secret").unwrap_or(&secret), timestamp, body);
    let mut request = shared
        .http
        .post(url)
        .header("Content-Type", text("content_type").unwrap_or("application/json"))
        .timeout(std::time::Duration::from_secs(10));
    // Empty text leaves a header out.
    for (name, value) in
        [("X-Slack-Request-Timestamp", timestamp), ("X-Slack-Signature", text("signature").unwrap_or(&right))]
    {
        if !value.is_empty() {
            request = request.header(name, value);
        }
    }
    for (name, value) in ask.get("headers").and_then(Value::as_object).into_iter().flatten() {
        request = request.header(name.as_str(), value.as_str().unwrap_or_default());
    }
    let answer = send(request.body(body.to_owned())).await.map_err(|error| error.to_string())?;
    Ok(serde_json::json!({"status": answer.status, "body": answer.body}))
}

/// Asks the app's address to prove itself, as when it is written into the app's settings.
pub(crate) async fn challenge(shared: &Arc<Shared>) -> Result<Value, String> {
    let challenge = ids::random(20);
    let body = serde_json::json!({
        "token": super::world::VERIFICATION,
        "challenge": challenge,
        "type": "url_verification",
    });
    let ask = serde_json::Map::from_iter([("body".to_owned(), Value::String(body.to_string()))]);
    let answer = forged(&ask, shared).await?;
    let said = answer.get("body").and_then(Value::as_str).unwrap_or_default();
    let given = serde_json::from_str::<Value>(said).ok();
    let inside = given.as_ref().and_then(|given| given.get("challenge")).and_then(Value::as_str);
    let verified = inside == Some(challenge.as_str()) || said.trim() == challenge;
    Ok(serde_json::json!({"verified": verified, "status": answer.get("status"), "body": said}))
}

fn address(world: &super::world::World, given: Option<&str>) -> Result<(String, String), String> {
    let url = match (given, &world.settings.events) {
        (Some(url), _) => url.to_owned(),
        (None, super::options::Events::Http { url }) => url.clone(),
        (None, super::options::Events::Socket) => return Err("the app has no address".to_owned()),
    };
    Ok((url, world.settings.signing_secret.clone()))
}
