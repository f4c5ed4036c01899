//! Buttons, forms and commands over HTTP:
//! <https://discord.com/developers/docs/interactions/overview#setting-up-an-endpoint>.
//!
//! Invariant: nothing of a request is read before its signature over time and body was found right, and the time is near.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode},
    response::{IntoResponse, Response},
};
use channel::{Error, Ingress, Timestamp};
use serde_json::{Value, json};
use serenity::interactions_endpoint::Verifier;
use tokio::{net::TcpListener, sync::oneshot};

use super::{Client, intake::Intake};

/// The longest body. Discord's are far smaller.
const BODY_BYTES_MAX: usize = 1024 * 1024;
/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(3);
/// Discord waits three seconds, and does not ask again.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(2_800);
/// How far the time of a request may be off.
const CLOCKS_S: i64 = 300;

struct Door {
    client: Arc<Client>,
    intake: Arc<Intake>,
    ingress: Ingress,
    verifier: Verifier,
}

/// Serves until the channel stops.
pub(super) async fn run(
    client: &Arc<Client>,
    listen: SocketAddr,
    verifier: &Verifier,
    ingress: &Ingress,
    intake: &Arc<Intake>,
) -> Result<(), Error> {
    let listener = TcpListener::bind(listen).await.map_err(|error| {
        let name = &client.config.channel;
        let what = format!("channels.{name}.listen: {listen} cannot be listened on: {error}");
        Error::misconfigured(what, "choose another port, or stop what is there")
    })?;
    let door = Arc::new(Door {
        client: client.clone(),
        intake: intake.clone(),
        ingress: ingress.clone(),
        verifier: verifier.clone(),
    });
    let app = Router::new().fallback(answer).with_state(door);
    let stop = ingress.stop.clone();
    let served = axum::serve(listener, app).with_graceful_shutdown(async move { stop.cancelled().await });
    let limit = async {
        ingress.stop.cancelled().await;
        tokio::time::sleep(Duration::from_secs(3)).await;
    };
    tokio::select! {
        served = served.into_future() => served.map_err(|error| Error::retry(format!("listening ended: {error}"))),
        () = limit => Ok(()),
    }
}

async fn answer(State(door): State<Arc<Door>>, request: Request<Body>) -> Response {
    if request.method() != Method::POST {
        return (StatusCode::METHOD_NOT_ALLOWED, "Discord posts here.\n").into_response();
    }
    let (head, body) = request.into_parts();
    let body = match tokio::time::timeout(BODY_TIMEOUT, to_bytes(body, BODY_BYTES_MAX)).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => return (StatusCode::PAYLOAD_TOO_LARGE, "too large, or cut off\n").into_response(),
        Err(_) => return (StatusCode::REQUEST_TIMEOUT, "too slow\n").into_response(),
    };
    if let Err(why) = verify(&door.verifier, &head.headers, &body, Timestamp::now()) {
        tracing::warn!(channel = %door.client.config.channel, why, "a request that is not proven to be Discord's");
        return (StatusCode::UNAUTHORIZED, "not signed by Discord\n").into_response();
    }
    door.ingress.health.heard();
    let Ok(payload) = serde_json::from_slice::<Value>(&body) else {
        return (StatusCode::BAD_REQUEST, "the body is no JSON\n").into_response();
    };
    if payload.get("type").and_then(Value::as_u64) == Some(1) {
        return shown(&json!({ "type": 1 }));
    }
    let (tell, told) = oneshot::channel();
    let answered = async {
        door.intake.gesture(payload, tell).await;
        told.await
    };
    match tokio::time::timeout(ANSWER_TIMEOUT, answered).await {
        Ok(Ok(response)) => shown(&response),
        // The person sees that it failed, and may do it again.
        Ok(Err(_)) | Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "not taken\n").into_response(),
    }
}

fn shown(response: &Value) -> Response {
    ([("content-type", "application/json")], response.to_string()).into_response()
}

fn verify(verifier: &Verifier, headers: &HeaderMap, body: &[u8], now: Timestamp) -> Result<(), &'static str> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let (Some(signature), Some(time)) = (header("x-signature-ed25519"), header("x-signature-timestamp"))
    else {
        return Err("no signature");
    };
    verifier.verify(signature, time, body).map_err(|()| "the signature is wrong")?;
    let seconds: i64 = time.parse().map_err(|_| "its time is no time")?;
    let off = now.as_second().abs_diff(seconds);
    if off > CLOCKS_S.unsigned_abs() { Err("it is older than five minutes") } else { Ok(()) }
}
