//! One Socket Mode connection: <https://docs.slack.dev/apis/events-api/using-socket-mode>.
//!
//! The library has a manager for these; this is our own because what matters most here it does otherwise: it closes a
//! connection before it opens the next, reads nothing while one envelope is being taken, and does not notice a
//! connection that has gone silent.

use std::{sync::Arc, time::Duration};

use channel::{Error, Ingress};
use chat::payload::text;
use futures_util::{SinkExt, StreamExt, stream::FuturesUnordered};
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_tungstenite::{
    connect_async_with_config,
    tungstenite::{self, Message, protocol::WebSocketConfig},
};
use tokio_util::sync::CancellationToken;

use super::intake::{Answer, Intake, Kind};

/// The longest frame; an event of Slack's is far smaller.
const FRAME_BYTES_MAX: usize = 8 * 1024 * 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// How long a connection that Slack is going to close is still read.
const RETIRE_MAX: Duration = Duration::from_secs(60);
/// Envelopes of one connection that are being taken. Slack waits for none of them; this only bounds memory.
const PENDING_MAX: usize = 4_096;

/// What a connection tells its keeper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// Slack greets: events come from now on.
    Hello,
    /// Slack is going to close it; a successor is wanted. It is read until then.
    Retiring,
}

/// How a connection ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) why: Error,
}

/// Connects, and takes envelopes until the connection ends or the channel stops.
pub(super) async fn run(
    url: String,
    ingress: &Ingress,
    intake: &Arc<Intake>,
    silence: Duration,
    stop: &CancellationToken,
    mut tell: impl FnMut(News),
) -> Ended {
    let config = WebSocketConfig::default()
        .max_message_size(Some(FRAME_BYTES_MAX))
        .max_frame_size(Some(FRAME_BYTES_MAX));
    let connect = connect_async_with_config(url, Some(config), true);
    let mut socket = match tokio::time::timeout(CONNECT_TIMEOUT, connect).await {
        Ok(Ok((socket, _))) => socket,
        Ok(Err(error)) => return Ended { why: unreached(&error) },
        Err(_) => return Ended { why: Error::retry("the connection to Slack was not made in time") },
    };
    let mut heard = Instant::now();
    let mut pinged = false;
    let mut retire: Option<Instant> = None;
    let mut pending = FuturesUnordered::new();
    loop {
        let quiet = heard + if pinged { silence } else { silence / 2 };
        let until = retire.unwrap_or(quiet + RETIRE_MAX).min(quiet);
        tokio::select! {
            biased;
            () = stop.cancelled() => {
                let _ = tokio::time::timeout(Duration::from_millis(500), socket.close(None)).await;
                return Ended { why: Error::retry("the channel stops") };
            }
            Some(ack) = pending.next(), if !pending.is_empty() => {
                let ack: Option<Value> = ack;
                if let Some(ack) = ack
                    && let Err(error) = socket.send(Message::text(ack.to_string())).await
                {
                    return Ended { why: unreached(&error) };
                }
            }
            frame = socket.next(), if pending.len() < PENDING_MAX => {
                let frame = match frame {
                    Some(Ok(frame)) => frame,
                    Some(Err(error)) => return Ended { why: unreached(&error) },
                    None => return Ended { why: Error::retry("Slack closed the connection") },
                };
                heard = Instant::now();
                pinged = false;
                ingress.health.heard();
                let Message::Text(frame) = frame else { continue };
                match read(&frame) {
                    Frame::Hello => tell(News::Hello),
                    Frame::Retiring => {
                        retire.get_or_insert(Instant::now() + RETIRE_MAX);
                        tell(News::Retiring);
                    }
                    Frame::Disabled => {
                        return Ended { why: Error::misconfigured(
                            "Slack says that Socket Mode is switched off for this app",
                            "switch it on under Socket Mode, or set receive = \"http\"",
                        ) };
                    }
                    Frame::Envelope { id, kind, payload } => {
                        let told = intake.bring(kind, &payload).await;
                        pending.push(async move { acknowledgement(&id, told.await.unwrap_or(Answer::NotTaken)) });
                    }
                    Frame::Strange { id, why } => {
                        tracing::warn!(why, "a frame of Slack's is passed over");
                        if let Some(id) = id {
                            let ack = json!({ "envelope_id": id });
                            if let Err(error) = socket.send(Message::text(ack.to_string())).await {
                                return Ended { why: unreached(&error) };
                            }
                        }
                    }
                }
            }
            () = tokio::time::sleep_until(until) => {
                if retire.is_some_and(|at| at <= Instant::now()) {
                    return Ended { why: Error::retry("Slack announced that it would close the connection") };
                }
                if pinged {
                    let seconds = heard.elapsed().as_secs_f32();
                    return Ended { why: Error::retry(format!("nothing was heard on the connection for {seconds:.1} s")) };
                }
                pinged = true;
                if let Err(error) = socket.send(Message::Ping(tungstenite::Bytes::new())).await {
                    return Ended { why: unreached(&error) };
                }
            }
        }
    }
}

/// What stands in a frame.
enum Frame {
    Hello,
    Retiring,
    Disabled,
    Envelope { id: String, kind: Kind, payload: Value },
    Strange { id: Option<String>, why: &'static str },
}

fn read(frame: &str) -> Frame {
    let Ok(mut value) = serde_json::from_str::<Value>(frame) else {
        return Frame::Strange { id: None, why: "it is no JSON" };
    };
    let id = text(&value, &["envelope_id"]).map(str::to_owned);
    let kind = match text(&value, &["type"]) {
        Some("hello") => return Frame::Hello,
        Some("disconnect") if text(&value, &["reason"]) == Some("link_disabled") => return Frame::Disabled,
        Some("disconnect") => return Frame::Retiring,
        Some("events_api") => Kind::Event,
        Some("interactive") => Kind::Interactive,
        Some("slash_commands") => Kind::Command,
        _ => return Frame::Strange { id, why: "its type is not known" },
    };
    match (id, value.get_mut("payload").map(Value::take)) {
        (Some(id), Some(payload)) => Frame::Envelope { id, kind, payload },
        (id, _) => Frame::Strange { id, why: "an envelope without a name or a payload" },
    }
}

/// What goes back for an envelope; nothing where it must come again.
fn acknowledgement(id: &str, answer: Answer) -> Option<Value> {
    match answer {
        Answer::Taken(None) => Some(json!({ "envelope_id": id })),
        Answer::Taken(Some(payload)) => Some(json!({ "envelope_id": id, "payload": payload })),
        Answer::NotTaken => None,
    }
}

/// The error of a connection. Its address is good for one connection only, and is left out all the same.
fn unreached(error: &tungstenite::Error) -> Error {
    match error {
        tungstenite::Error::ConnectionClosed | tungstenite::Error::AlreadyClosed => {
            Error::retry("Slack closed the connection")
        }
        tungstenite::Error::Http(answer) => Error::retry(format!(
            "Slack refused the connection with HTTP status {}",
            answer.status().as_u16()
        )),
        tungstenite::Error::Io(error) => Error::retry(format!("the connection to Slack was lost: {error}")),
        tungstenite::Error::Tls(_)
        | tungstenite::Error::Capacity(_)
        | tungstenite::Error::Protocol(_)
        | tungstenite::Error::WriteBufferFull(_)
        | tungstenite::Error::Utf8(_)
        | tungstenite::Error::AttackAttempt
        | tungstenite::Error::Url(_)
        | tungstenite::Error::HttpFormat(_) => {
            Error::retry(format!("the connection to Slack was lost: {error}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_read_and_strange_ones_are_passed_over() {
        assert!(matches!(read(r#"{"type":"hello","num_connections":1}"#), Frame::Hello));
        assert!(matches!(read(r#"{"type":"disconnect","reason":"warning"}"#), Frame::Retiring));
        assert!(matches!(read(r#"{"type":"disconnect","reason":"link_disabled"}"#), Frame::Disabled));
        let envelope = r#"{"type":"events_api","envelope_id":"e1","payload":{"a":1},"new":true}"#;
        assert!(matches!(read(envelope), Frame::Envelope { kind: Kind::Event, .. }));
        for strange in [
            "",
            "{",
            "[]",
            "null",
            r#"{"type":"events_api","payload":{}}"#,
            r#"{"type":"new","envelope_id":"e1"}"#,
        ] {
            assert!(matches!(read(strange), Frame::Strange { .. }), "{strange}");
        }
    }

    #[test]
    fn only_what_was_taken_is_acknowledged() {
        assert_eq!(acknowledgement("e1", Answer::Taken(None)), Some(json!({ "envelope_id": "e1" })));
        assert_eq!(acknowledgement("e1", Answer::NotTaken), None);
    }
}
