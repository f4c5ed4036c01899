//! The Events API over HTTP.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::post,
};
use serde_json::{Value, json};
use simulator::slack::{Events, Options, signature};
use tokio::net::TcpListener;

use super::{
    Failure,
    app::{App, eventually},
};

type Answer = (u16, &'static [(&'static str, &'static str)], String);

/// What came, and what is to be answered; when nothing is left, 200.
#[derive(Clone, Default)]
struct Door {
    came: Arc<Mutex<Vec<(HeaderMap, String)>>>,
    answers: Arc<Mutex<VecDeque<Answer>>>,
}

impl Door {
    fn answer(&self, status: u16, headers: &'static [(&'static str, &'static str)], body: &str) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.push_back((status, headers, body.to_owned()));
    }

    fn came(&self) -> Vec<(HeaderMap, String)> {
        self.came.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn take(State(door): State<Door>, headers: HeaderMap, body: Bytes) -> Response {
    let body = String::from_utf8_lossy(&body).into_owned();
    door.came.lock().unwrap_or_else(PoisonError::into_inner).push((headers, body.clone()));
    let verification =
        serde_json::from_str::<Value>(&body).ok().filter(|it| it["type"] == "url_verification");
    let answer = door.answers.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    match (answer, verification) {
        (Some((status, headers, body)), _) => (
            StatusCode::from_u16(status).unwrap_or_default(),
            headers.iter().copied().collect::<HeaderMapList>().0,
            body,
        )
            .into_response(),
        (None, Some(asked)) => asked["challenge"].as_str().unwrap_or_default().to_owned().into_response(),
        (None, None) => StatusCode::OK.into_response(),
    }
}

struct HeaderMapList(HeaderMap);

impl FromIterator<(&'static str, &'static str)> for HeaderMapList {
    fn from_iter<T: IntoIterator<Item = (&'static str, &'static str)>>(iter: T) -> Self {
        let mut map = HeaderMap::new();
        for (name, value) in iter {
            if let Ok(value) = value.parse() {
                map.insert(name, value);
            }
        }
        Self(map)
    }
}

/// An app behind a door, with waits a tenth as long.
async fn behind_a_door() -> Result<(App, Door), Failure> {
    let door = Door::default();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let url = format!("http://{}/slack", listener.local_addr()?);
    let router = Router::new().route("/slack", post(take)).with_state(door.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let app =
        App::with(Options { events: Events::Http { url }, time_scale: 0.01, ..Options::default() }).await?;
    // So long an answer may take; the waits between attempts stay short.
    Ok((app, door))
}

#[test]
fn the_signature_is_that_of_the_documentation() {
    let body = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
    let made = signature("8f742231b10e8888abcd99yyyzzz85a5", "1531420618", body);
    assert_eq!(made, "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_comes_signed_and_again_until_it_is_taken() -> Result<(), Failure> {
    let (app, door) = behind_a_door().await?;
    door.answer(500, &[], "");
    app.control.dm("U0ANA0001", "hello").await?;
    eventually(async || Ok(app.control.deliveries().await?[0].acked)).await?;
    let came = door.came();
    assert!(came.len() >= 2);
    let (headers, body) = &came[0];
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let signed = signature("sim-signing-secret", text("x-slack-request-timestamp"), body);
    assert_eq!(text("x-slack-signature"), signed);
    assert!(headers.get("x-slack-retry-num").is_none());
    let event: Value = serde_json::from_str(body)?;
    assert_eq!(event["event"]["text"], "hello");
    assert_eq!(came[1].0["x-slack-retry-num"], "1");
    assert_eq!(came[1].0["x-slack-retry-reason"], "http_error");
    assert_eq!(came[1].1, *body);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_app_may_say_not_to_come_again() -> Result<(), Failure> {
    let (app, door) = behind_a_door().await?;
    door.answer(500, &[("x-slack-no-retry", "1")], "");
    app.control.time_scale(1.0).await?;
    app.control.dm("U0ANA0001", "hello").await?;
    eventually(async || Ok(app.control.deliveries().await?[0].lost)).await?;
    assert_eq!(door.came().len(), 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_address_proves_itself() -> Result<(), Failure> {
    let (app, door) = behind_a_door().await?;
    assert!(app.control.challenge().await?);
    door.answer(200, &[], "no");
    assert!(!app.control.challenge().await?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn anything_can_be_sent_with_any_signature() -> Result<(), Failure> {
    let (app, door) = behind_a_door().await?;
    door.answer(401, &[], "who are you");
    let ask = json!({"body": "{}", "signature": "v0=00", "timestamp": "1", "headers": {"X-Extra": "y"}});
    let answer = app.control.forged(ask).await?;
    assert_eq!((answer["status"].as_u64(), answer["body"].as_str()), (Some(401), Some("who are you")));
    let (headers, _) = door.came().remove(0);
    assert_eq!((&headers["x-slack-signature"], &headers["x-extra"]), (&"v0=00".parse()?, &"y".parse()?));
    app.control.forged(json!({"body": "{}", "signature": "", "timestamp": ""})).await?;
    assert!(door.came()[1].0.get("x-slack-signature").is_none());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn interactions_and_commands_come_as_forms_and_their_answers_count() -> Result<(), Failure> {
    let (app, door) = behind_a_door().await?;
    app.control.time_scale(1.0).await?;
    door.answer(200, &[], "on it");
    let answer = app.control.command("U0ANA0001", "C0GEN0001", "/ask", "a&b").await?;
    assert_eq!(answer["response"]["text"], "on it");
    let said = app.control.say("U0ANA0001", "C0GEN0001", "x").await?;
    app.control.shortcut("U0ANA0001", "C0GEN0001", &said.ts, "cb").await?;
    eventually(async || Ok(door.came().len() >= 3)).await?;
    let came = door.came();
    let form = |body: &str| -> Vec<(String, String)> {
        form_urlencoded::parse(body.as_bytes()).into_owned().collect()
    };
    assert!(came[0].0["content-type"].to_str()?.starts_with("application/x-www-form-urlencoded"));
    assert!(form(&came[0].1).contains(&("text".to_owned(), "a&b".to_owned())));
    let payload = came.iter().flat_map(|(_, body)| form(body)).find(|(name, _)| name == "payload");
    let payload: Value = serde_json::from_str(&payload.ok_or("no payload")?.1)?;
    assert_eq!(payload["callback_id"], "cb");
    Ok(())
}
