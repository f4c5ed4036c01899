//! The Events API, interactivity and slash commands over HTTP.
//!
//! <https://docs.slack.dev/apis/events-api/using-http-request-urls>,
//! <https://docs.slack.dev/authentication/verifying-requests-from-slack>
//!
//! Invariant: nothing of a request is read before its signature over the raw body was found right.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode},
    response::{IntoResponse, Response},
};
use channel::{Error, Ingress};
use chat::payload::text;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};
use slack_morphism::{prelude::SlackSigningSecret, signature_verifier::SlackEventSignatureVerifier};
use tokio::net::TcpListener;

use super::{
    Client, backfill,
    intake::{Answer, Intake, Kind},
};

/// The longest body. Slack's are far smaller.
const BODY_BYTES_MAX: usize = 1024 * 1024;
/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(5);
/// Slack waits three seconds, and then sends the same again.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(2_800);

struct Door {
    client: Arc<Client>,
    intake: Arc<Intake>,
    ingress: Ingress,
    verifiers: Vec<SlackEventSignatureVerifier>,
}

/// Serves until the channel stops.
pub(super) async fn run(
    client: &Arc<Client>,
    listen: SocketAddr,
    secrets: &[SecretString],
    ingress: &Ingress,
    intake: &Arc<Intake>,
) -> Result<(), Error> {
    let listener = TcpListener::bind(listen).await.map_err(|error| {
        let name = &client.config.channel;
        Error::misconfigured(
            format!("channels.{name}.listen: {listen} cannot be listened on: {error}"),
            "choose another port, or stop what is there",
        )
    })?;
    let verifier = |secret: &SecretString| {
        SlackEventSignatureVerifier::new(&SlackSigningSecret(secret.expose_secret().to_owned()))
    };
    let door = Arc::new(Door {
        client: client.clone(),
        intake: intake.clone(),
        ingress: ingress.clone(),
        verifiers: secrets.iter().map(verifier).collect(),
    });
    let app = Router::new().fallback(answer).with_state(door);
    let stop = ingress.stop.clone();
    let served = axum::serve(listener, app).with_graceful_shutdown(async move { stop.cancelled().await });
    let begin = async {
        match client.log_in().await {
            Ok(()) => ingress.health.up(),
            Err(error) => ingress.health.down(error.to_string()),
        }
        backfill::run(client, ingress, intake).await;
        keep_logged_in(client, ingress).await;
    };
    let limit = async {
        ingress.stop.cancelled().await;
        tokio::time::sleep(Duration::from_secs(3)).await;
    };
    tokio::select! {
        served = served.into_future() => served.map_err(|error| Error::retry(format!("listening ended: {error}"))),
        () = limit => Ok(()),
        () = begin => Ok(()),
    }
}

/// Whether Slack would post here cannot be seen from here; whether it can be reached, and takes the tokens, can.
async fn keep_logged_in(client: &Client, ingress: &Ingress) {
    let mut failures = 0;
    loop {
        let found = match client.log_in().await {
            Ok(()) => client.still_there().await,
            error => error,
        };
        let wait = match found {
            Ok(()) => {
                ingress.health.up();
                ingress.health.heard();
                failures = 0;
                client.config.settings.silence.0
            }
            Err(error) => {
                ingress.health.down(error.to_string());
                failures += 1;
                chat::back_off(failures, error.kind)
            }
        };
        tokio::time::sleep(wait).await;
    }
}

async fn answer(State(door): State<Arc<Door>>, request: Request<Body>) -> Response {
    if request.method() != Method::POST {
        return (StatusCode::METHOD_NOT_ALLOWED, "Slack posts here.\n").into_response();
    }
    let (head, body) = request.into_parts();
    let body = match tokio::time::timeout(BODY_TIMEOUT, to_bytes(body, BODY_BYTES_MAX)).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => return (StatusCode::PAYLOAD_TOO_LARGE, "too large, or cut off\n").into_response(),
        Err(_) => return (StatusCode::REQUEST_TIMEOUT, "too slow\n").into_response(),
    };
    if let Err(why) = door.verify(&head.headers, &body) {
        tracing::warn!(channel = %door.client.config.channel, why, "a request that is not proven to be Slack's");
        return (StatusCode::UNAUTHORIZED, "not signed by Slack\n").into_response();
    }
    door.ingress.health.heard();
    if let Some(retry) = head.headers.get("x-slack-retry-num").and_then(|retry| retry.to_str().ok()) {
        // What comes again is taken again: it was not acknowledged, or the acknowledgement was lost.
        tracing::info!(channel = %door.client.config.channel, retry, "Slack brings something again");
    }
    let kind = head.headers.get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    match read(kind, &body) {
        Ok(Asked::Challenge(challenge)) => challenge.into_response(),
        Ok(Asked::Nothing) => StatusCode::OK.into_response(),
        Ok(Asked::Payload(kind, payload)) => door.bring(kind, &payload).await,
        Err(why) => (StatusCode::BAD_REQUEST, format!("{why}\n")).into_response(),
    }
}

impl Door {
    /// Two secrets count while one is being replaced.
    fn verify(&self, headers: &HeaderMap, body: &[u8]) -> Result<(), &'static str> {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let (Some(signature), Some(time)) = (
            header(SlackEventSignatureVerifier::SLACK_SIGNED_HASH_HEADER),
            header(SlackEventSignatureVerifier::SLACK_SIGNED_TIMESTAMP),
        ) else {
            return Err("no signature");
        };
        let body = std::str::from_utf8(body).map_err(|_| "the body is no text")?;
        let right = self.verifiers.iter().any(|verifier| verifier.verify(signature, body, time).is_ok());
        if right { Ok(()) } else { Err("the signature is wrong, or older than five minutes") }
    }

    async fn bring(&self, kind: Kind, payload: &Value) -> Response {
        let told = async {
            let told = self.intake.bring(kind, payload).await;
            told.await.unwrap_or(Answer::NotTaken)
        };
        match tokio::time::timeout(ANSWER_TIMEOUT, told).await {
            Ok(Answer::Taken(None)) => StatusCode::OK.into_response(),
            Ok(Answer::Taken(Some(shown))) => {
                ([("content-type", "application/json")], shown.to_string()).into_response()
            }
            Ok(Answer::NotTaken) | Err(_) => {
                (StatusCode::SERVICE_UNAVAILABLE, "not taken; please send it again\n").into_response()
            }
        }
    }
}

/// What a request asks for.
enum Asked {
    Challenge(String),
    Payload(Kind, Value),
    Nothing,
}

fn read(content_type: &str, body: &[u8]) -> Result<Asked, &'static str> {
    if content_type.starts_with("application/json") {
        let payload: Value = serde_json::from_slice(body).map_err(|_| "the body is no JSON")?;
        if text(&payload, &["type"]) == Some("url_verification") {
            return Ok(Asked::Challenge(text(&payload, &["challenge"]).unwrap_or_default().to_owned()));
        }
        return Ok(Asked::Payload(Kind::Event, payload));
    }
    let fields: Map<String, Value> = form_urlencoded::parse(body)
        .map(|(name, value)| (name.into_owned(), Value::String(value.into_owned())))
        .collect();
    if fields.contains_key("ssl_check") {
        return Ok(Asked::Nothing);
    }
    match fields.get("payload").and_then(Value::as_str) {
        Some(payload) => {
            let payload = serde_json::from_str(payload).map_err(|_| "the payload is no JSON")?;
            Ok(Asked::Payload(Kind::Interactive, payload))
        }
        None if fields.contains_key("command") => Ok(Asked::Payload(Kind::Command, json!(fields))),
        None => Err("neither an event, nor a gesture, nor a command"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read_by_their_kind() {
        let json = "application/json; charset=utf-8";
        let form = "application/x-www-form-urlencoded";
        let challenge = read(json, br#"{"type":"url_verification","challenge":"c"}"#);
        assert!(matches!(challenge, Ok(Asked::Challenge(text)) if text == "c"));
        assert!(matches!(read(json, b"{}"), Ok(Asked::Payload(Kind::Event, _))));
        assert!(matches!(read(form, b"payload=%7B%7D"), Ok(Asked::Payload(Kind::Interactive, _))));
        assert!(matches!(read(form, b"command=%2Fagent&text=a+b"), Ok(Asked::Payload(Kind::Command, _))));
        assert!(matches!(read(form, b"ssl_check=1"), Ok(Asked::Nothing)));
        for (kind, body) in
            [(json, &b"{"[..]), (json, b"\xff"), (form, b"payload=%7B"), (form, b"x=1"), ("", b"")]
        {
            assert!(read(kind, body).is_err());
        }
    }
}
