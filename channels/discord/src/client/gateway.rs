//! One connection to Discord's gateway: <https://discord.com/developers/docs/events/gateway>.
//!
//! The library has a client of its own; this one is ours because of what matters most here: a session is gone on with behind
//! the last event that is durable, also after a restart and at the address that Discord names, and the events of a
//! place keep their order.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use channel::{Error, Ingress, Timestamp};
use chat::{
    payload::{is, list, text},
    random,
};
use futures_util::{SinkExt, StreamExt, stream::FuturesUnordered};
use serde_json::{Value, json};
use serenity::all::GatewayIntents;
use tokio::time::{Instant, sleep_until};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async_with_config,
    tungstenite::{
        self, Message,
        protocol::{CloseFrame, WebSocketConfig, frame::coding::CloseCode},
    },
};

use super::{
    intake::{Answer, Intake},
    session::{Session, Track},
};

const FRAME_BYTES_MAX: usize = 16 * 1024 * 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
const HELLO_TIMEOUT: Duration = Duration::from_secs(15);
/// Events that are being taken; above this the connection is not read, so that nothing grows without bounds.
const PENDING_MAX: usize = 900;
/// How long servers may take to introduce themselves before it is looked what was missed.
const GUILDS_TIMEOUT: Duration = Duration::from_secs(5);
/// A close with a code of one's own keeps a session; 1000 and 1001 would end it.
const KEEPS_SESSION: u16 = 4_900;

/// What a connection is to be.
pub(super) struct Shard {
    pub(super) number: u32,
    pub(super) shards: u32,
    pub(super) url: String,
    pub(super) session: Option<Session>,
    pub(super) message_content: bool,
}

/// What a connection tells its keeper.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// A new session began, and its servers are known: what came before is not heard in it.
    Began(Option<Session>),
    /// A session is gone on with: what was missed was sent again.
    Resumed,
    /// How far it was heard.
    Heard(Session),
}

/// How a connection ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) why: Error,
    /// The session, where it may be gone on with.
    pub(super) session: Option<Session>,
    /// Discord said which session it was, or sent what was missed.
    pub(super) worked: bool,
    /// It was asked to go on with the session.
    pub(super) asked: bool,
    /// Asking again will not help.
    pub(super) fatal: bool,
}

type Socket = WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>;

/// The intents: what is sent at all.
fn intents(message_content: bool) -> GatewayIntents {
    let intents = GatewayIntents::GUILDS | GatewayIntents::GUILD_MESSAGES | GatewayIntents::DIRECT_MESSAGES;
    if message_content { intents | GatewayIntents::MESSAGE_CONTENT } else { intents }
}

/// Connects, and takes events until the connection ends or the channel stops. `identify` waits for a turn to begin a new
/// session.
pub(super) async fn run(
    shard: Shard,
    ingress: &Ingress,
    intake: &Arc<Intake>,
    identify: impl Future<Output = ()>,
    tell: impl FnMut(News),
) -> Ended {
    let config = WebSocketConfig::default()
        .max_message_size(Some(FRAME_BYTES_MAX))
        .max_frame_size(Some(FRAME_BYTES_MAX));
    let base = shard.session.as_ref().map_or(shard.url.as_str(), |session| session.url.as_str());
    let url = format!("{}/?v=10&encoding=json", base.trim_end_matches('/'));
    let connect = connect_async_with_config(url, Some(config), true);
    let early = |why: Error, session: Option<Session>| Ended {
        why,
        session,
        worked: false,
        asked: false,
        fatal: false,
    };
    let mut socket = match tokio::time::timeout(CONNECT_TIMEOUT, connect).await {
        Ok(Ok((socket, _))) => socket,
        Ok(Err(error)) => return early(lost(&error), shard.session),
        Err(_) => {
            return early(Error::retry("the connection to Discord was not made in time"), shard.session);
        }
    };
    let interval = match tokio::time::timeout(HELLO_TIMEOUT, hello(&mut socket)).await {
        Ok(Ok(interval)) => interval,
        Ok(Err(why)) => return early(why, shard.session),
        Err(_) => return early(Error::retry("Discord did not greet in time"), shard.session),
    };
    let token = intake.token();
    let opening = match &shard.session {
        Some(session) => {
            json!({ "op": 6, "d": { "token": token, "session_id": session.id, "seq": session.seq } })
        }
        None => {
            tokio::select! {
                () = identify => {}
                () = ingress.stop.cancelled() => return early(Error::retry("the channel stops"), None),
            }
            json!({ "op": 2, "d": {
                "token": token, "intents": intents(shard.message_content).bits(),
                "shard": [shard.number, shard.shards],
                "properties": { "os": std::env::consts::OS, "browser": "switchboard", "device": "switchboard" },
            } })
        }
    };
    if let Err(error) = socket.send(Message::text(opening.to_string())).await {
        return early(lost(&error), shard.session);
    }
    let track = Track::from(shard.session.as_ref().map_or(0, |session| session.seq));
    let first = Instant::now() + interval.mul_f64((random() % 1_000) as f64 / 1_000.0);
    let connection = Connection {
        socket,
        ingress,
        intake,
        tell,
        interval,
        beat_at: first,
        acknowledged: true,
        url: shard.url,
        shards: shard.shards,
        asked: shard.session.is_some(),
        session: shard.session,
        track,
        worked: false,
        introductions: None,
    };
    connection.listen().await
}

/// What Discord greets with: how often it wants to hear from us.
async fn hello(socket: &mut Socket) -> Result<Duration, Error> {
    loop {
        match socket.next().await {
            Some(Ok(Message::Text(frame))) => {
                let frame: Value = serde_json::from_str(&frame).unwrap_or_default();
                let interval =
                    frame.get("d").and_then(|d| d.get("heartbeat_interval")).and_then(Value::as_u64);
                if let (Some(10), Some(interval)) = (op(&frame), interval) {
                    return Ok(Duration::from_millis(interval.clamp(100, 3_600_000)));
                }
            }
            Some(Ok(Message::Close(frame))) => return Err(closed(frame.as_ref()).0),
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(lost(&error)),
            None => return Err(Error::retry("Discord closed the connection")),
        }
    }
}

fn op(frame: &Value) -> Option<u64> {
    frame.get("op").and_then(Value::as_u64)
}

struct Connection<'a, Tell> {
    socket: Socket,
    ingress: &'a Ingress,
    intake: &'a Arc<Intake>,
    tell: Tell,
    interval: Duration,
    beat_at: Instant,
    acknowledged: bool,
    /// Where a new session begins.
    url: String,
    shards: u32,
    session: Option<Session>,
    track: Track,
    worked: bool,
    asked: bool,
    /// Servers that have not introduced themselves, and until when they may.
    introductions: Option<(BTreeSet<String>, Instant)>,
}

/// What to do after a frame.
enum Then {
    GoOn,
    Take(u64, tokio::sync::oneshot::Receiver<Answer>),
    End(Error, Keep),
}

/// What of the session is kept when a connection ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keep {
    Session,
    Nothing,
    /// And asking again will not help.
    NothingForGood,
}

impl<Tell: FnMut(News)> Connection<'_, Tell> {
    async fn listen(mut self) -> Ended {
        let mut pending = FuturesUnordered::new();
        let stop = self.ingress.stop.clone();
        loop {
            let introduced = self.introductions.as_ref().map_or(self.beat_at, |(_, until)| *until);
            tokio::select! {
                biased;
                () = stop.cancelled() => {
                    return self.end(Error::retry("the channel stops"), Keep::Session).await;
                }
                () = sleep_until(self.beat_at) => {
                    if !self.acknowledged && pending.len() < PENDING_MAX {
                        let why = "Discord did not answer a heartbeat";
                        return self.end(Error::retry(why), Keep::Session).await;
                    }
                    if let Err(error) = self.beat().await {
                        return self.end(lost(&error), Keep::Session).await;
                    }
                    self.beat_at = Instant::now() + self.interval;
                }
                Some((seq, answer)) = pending.next(), if !pending.is_empty() => {
                    match answer {
                        Some(Answer::Taken) => self.done(seq),
                        // With the session it is sent again.
                        Some(Answer::NotTaken) => {
                            return self.end(Error::retry("an event could not be taken"), Keep::Session).await;
                        }
                        // The channel stops.
                        None => {}
                    }
                }
                () = sleep_until(introduced), if self.introductions.is_some() => self.introduced(),
                frame = self.socket.next(), if pending.len() < PENDING_MAX => {
                    let then = match frame {
                        Some(Ok(frame)) => self.frame(frame).await,
                        Some(Err(error)) => Then::End(lost(&error), Keep::Session),
                        None => Then::End(Error::retry("Discord closed the connection"), Keep::Session),
                    };
                    match then {
                        Then::GoOn => {}
                        Then::Take(seq, told) => pending.push(async move { (seq, told.await.ok()) }),
                        Then::End(why, keep) => return self.end(why, keep).await,
                    }
                }
            }
        }
    }

    async fn beat(&mut self) -> Result<(), tungstenite::Error> {
        self.acknowledged = false;
        let seq = self.session.as_ref().map(|_| self.track.durable());
        self.socket.send(Message::text(json!({ "op": 1, "d": seq }).to_string())).await
    }

    async fn end(mut self, why: Error, keep: Keep) -> Ended {
        let code = CloseCode::from(KEEPS_SESSION);
        let close = self.socket.close(Some(CloseFrame { code, reason: "".into() }));
        let _ = tokio::time::timeout(Duration::from_millis(500), close).await;
        if let Some(session) = &mut self.session {
            session.seq = self.track.durable();
        }
        let session = self.session.filter(|_| keep == Keep::Session);
        let (worked, asked) = (self.worked, self.asked);
        Ended { why, session, worked, asked, fatal: keep == Keep::NothingForGood }
    }

    async fn frame(&mut self, frame: Message) -> Then {
        self.ingress.health.heard();
        let frame = match frame {
            Message::Text(frame) => frame,
            Message::Close(frame) => {
                let (why, keep) = closed(frame.as_ref());
                return Then::End(why, keep);
            }
            Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {
                return Then::GoOn;
            }
        };
        let Ok(mut frame) = serde_json::from_str::<Value>(&frame) else {
            tracing::warn!(channel = %self.intake.channel(), "a frame of Discord's is no JSON");
            return Then::GoOn;
        };
        match op(&frame) {
            Some(0) => {
                let seq = frame.get("s").and_then(Value::as_u64);
                let kind = text(&frame, &["t"]).unwrap_or_default().to_owned();
                let payload = frame.get_mut("d").map(Value::take).unwrap_or_default();
                self.dispatch(seq, &kind, payload).await
            }
            Some(1) => match self.beat().await {
                Ok(()) => Then::GoOn,
                Err(error) => Then::End(lost(&error), Keep::Session),
            },
            Some(7) => Then::End(Error::retry("Discord wants to be connected to anew"), Keep::Session),
            Some(9) => {
                let again = frame.get("d").and_then(Value::as_bool).unwrap_or(false);
                let why = Error::retry("Discord does not go on with the session");
                Then::End(why, if again && self.worked { Keep::Session } else { Keep::Nothing })
            }
            Some(11) => {
                self.acknowledged = true;
                Then::GoOn
            }
            Some(_) | None => Then::GoOn,
        }
    }

    async fn dispatch(&mut self, seq: Option<u64>, kind: &str, payload: Value) -> Then {
        let seq = seq.unwrap_or(0);
        if kind == "READY" {
            self.ready(&payload);
            return Then::GoOn;
        }
        self.track.arrived(seq);
        if kind == "RESUMED" {
            self.worked = true;
            (self.tell)(News::Resumed);
        }
        if kind == "GUILD_CREATE"
            && let Some((guilds, _)) = &mut self.introductions
            && let Some(id) = text(&payload, &["id"])
        {
            guilds.remove(id);
            let all = guilds.is_empty();
            self.intake.event(kind, payload).await;
            if all {
                self.introduced();
            }
            self.done(seq);
            return Then::GoOn;
        }
        match self.intake.event(kind, payload).await {
            Some(told) => Then::Take(seq, told),
            None => {
                self.done(seq);
                Then::GoOn
            }
        }
    }

    fn ready(&mut self, payload: &Value) {
        self.worked = true;
        let resume = text(payload, &["resume_gateway_url"]).filter(|url| self.intake.is_own(url));
        let resume = resume.unwrap_or(&self.url).to_owned();
        self.track = Track::from(0);
        self.session = text(payload, &["session_id"]).map(|id| Session {
            id: id.to_owned(),
            url: resume,
            seq: 1,
            roles: Vec::new(),
            at: Timestamp::now().as_second(),
            shards: self.shards,
        });
        self.track.arrived(1);
        self.track.done(1);
        let guilds = list(payload, &["guilds"]).iter();
        let guilds =
            guilds.filter_map(|guild| text(guild, &["id"]).map(str::to_owned)).collect::<BTreeSet<_>>();
        tracing::debug!(channel = %self.intake.channel(), guilds = guilds.len(), "a session began");
        let until = if guilds.is_empty() { Instant::now() } else { Instant::now() + GUILDS_TIMEOUT };
        self.introductions = Some((guilds, until));
    }

    fn introduced(&mut self) {
        if self.introductions.take().is_some() {
            if let Some(session) = &mut self.session {
                session.roles = self.intake.roles_of_us();
            }
            (self.tell)(News::Began(self.session.clone()));
        }
    }

    fn done(&mut self, seq: u64) {
        let before = self.track.durable();
        self.track.done(seq);
        let durable = self.track.durable();
        if let Some(session) = self.session.as_mut().filter(|_| durable != before) {
            session.seq = durable;
            session.at = Timestamp::now().as_second();
            (self.tell)(News::Heard(session.clone()));
        }
    }
}

/// What a close of Discord's means: <https://discord.com/developers/docs/topics/opcodes-and-status-codes#gateway>.
fn closed(frame: Option<&CloseFrame>) -> (Error, Keep) {
    let code = frame.map_or(0, |frame| u16::from(frame.code));
    match code {
        4004 => (
            Error::misconfigured(
                "Discord does not accept the token",
                "reset the token under Bot in the developer portal, and put the new one into the environment",
            ),
            Keep::NothingForGood,
        ),
        4014 => (
            Error::misconfigured(
                "Discord does not let the bot hear what is said without naming it",
                "switch on Message Content Intent under Bot in the developer portal, or set message_content = false",
            ),
            Keep::NothingForGood,
        ),
        4010 | 4011 => (
            Error::misconfigured(
                format!("Discord refuses so many connections for the bot's servers (code {code})"),
                "set shards = 0, so that Discord says how many there are to be",
            ),
            Keep::NothingForGood,
        ),
        4012 | 4013 => (
            Error::misconfigured(
                format!("Discord does not speak this version of its protocol any more (code {code})"),
                "take a newer version of this gateway",
            ),
            Keep::NothingForGood,
        ),
        // Not our session any more, or an event that we cannot have seen.
        4003 | 4007 | 4009 => {
            (Error::retry(format!("Discord ended the session (code {code})")), Keep::Nothing)
        }
        1000 | 1001 => (Error::retry("Discord closed the connection"), Keep::Nothing),
        4008 => (Error::retry("Discord was sent too much (code 4008)"), Keep::Session),
        _ => (Error::retry(format!("Discord closed the connection (code {code})")), Keep::Session),
    }
}

/// Whether an address is one of Discord's gateways; or on this machine, where the API is, too. The token goes there.
pub(super) fn is_own(url: &str, api: &str) -> bool {
    let (Ok(url), Ok(api)) = (reqwest::Url::parse(url), reqwest::Url::parse(api)) else { return false };
    let host = url.host_str().unwrap_or_default();
    let of_discord = url.scheme() == "wss" && (host == "discord.gg" || host.ends_with(".discord.gg"));
    of_discord || (chat::settings::is_loopback(&api) && chat::settings::is_loopback(&url))
}

/// Whether an event says that a server went away for a while.
pub(super) fn is_outage(payload: &Value) -> bool {
    is(payload, &["unavailable"])
}

fn lost(error: &tungstenite::Error) -> Error {
    match error {
        tungstenite::Error::ConnectionClosed | tungstenite::Error::AlreadyClosed => {
            Error::retry("Discord closed the connection")
        }
        tungstenite::Error::Http(answer) => {
            let status = answer.status().as_u16();
            Error::retry(format!("Discord refused the connection with HTTP status {status}"))
        }
        tungstenite::Error::Io(_)
        | tungstenite::Error::Tls(_)
        | tungstenite::Error::Capacity(_)
        | tungstenite::Error::Protocol(_)
        | tungstenite::Error::WriteBufferFull(_)
        | tungstenite::Error::Utf8(_)
        | tungstenite::Error::AttackAttempt
        | tungstenite::Error::Url(_)
        | tungstenite::Error::HttpFormat(_) => {
            Error::retry(format!("the connection to Discord was lost: {error}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use channel::ErrorKind;

    use super::*;

    #[test]
    fn a_close_says_whether_to_go_on_and_what_to_mend() {
        let of = |code: u16| closed(Some(&CloseFrame { code: code.into(), reason: "".into() }));
        for code in [4004, 4010, 4011, 4012, 4013, 4014] {
            let (why, keep) = of(code);
            assert!(keep == Keep::NothingForGood && why.kind == ErrorKind::Misconfigured, "{code}");
            assert!(why.remedy.is_some(), "{code}");
        }
        assert!(of(4014).0.to_string().contains("Message Content Intent"));
        for code in [4000, 4001, 4002, 4005, 4008, 1006, 1011] {
            assert!(of(code).1 == Keep::Session, "{code}");
        }
        for code in [1000, 1001, 4007, 4009] {
            assert!(of(code).1 == Keep::Nothing, "{code}");
        }
        assert!(closed(None).1 == Keep::Session);
    }

    #[test]
    fn the_token_goes_to_discord_alone() {
        let api = "https://discord.com/api/v10";
        assert!(
            is_own("wss://gateway.discord.gg", api)
                && is_own("wss://gateway-us-east1-b.discord.gg/?v=10", api)
        );
        assert!(is_own("ws://127.0.0.1:99", "http://127.0.0.1:98/api/v10"));
        for url in [
            "ws://gateway.discord.gg",
            "wss://gateway.discord.gg.evil.example",
            "wss://evildiscord.gg",
            "wss://gateway.discord.gg@evil.example",
            "ws://127.0.0.1:99",
            "https://discord.com",
            "not an address",
            "",
        ] {
            assert!(!is_own(url, api), "{url}");
        }
    }

    #[test]
    fn without_the_intent_for_it_nothing_is_asked_for_that_needs_it() {
        assert!((intents(false) & GatewayIntents::privileged()).is_empty());
        assert_eq!(intents(true).difference(intents(false)), GatewayIntents::MESSAGE_CONTENT);
    }
}
