//! A plain client of the REST API and of the gateway.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use simulator::discord::{Control, Discord, Options, intents};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{self, Message},
};

use super::Failure;

/// A simulator and an app that talks to it.
pub(crate) struct App {
    pub(crate) discord: Discord,
    pub(crate) control: Control,
    pub(crate) http: reqwest::Client,
    /// How long a session has to wait after the one before: five seconds, or less where waits are shorter.
    between: Duration,
    /// When the last session began.
    began: Mutex<Option<Instant>>,
}

/// One connection of the gateway.
pub(crate) struct Link {
    pub(crate) stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// The number of the last dispatch.
    pub(crate) seq: u64,
    /// The session's name.
    pub(crate) session: String,
}

/// An answer of the REST API.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
    pub(crate) headers: reqwest::header::HeaderMap,
}

impl Answer {
    /// The body of an answer that is a success.
    pub(crate) fn ok(self) -> Result<Value, Failure> {
        if (200..300).contains(&self.status) { Ok(self.body) } else { Err(format!("{self:?}").into()) }
    }

    /// The status and Discord's code of an answer that is a refusal.
    pub(crate) fn code(&self) -> (u16, u64) {
        (self.status, self.body["code"].as_u64().unwrap_or_default())
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

impl App {
    pub(crate) async fn new() -> Result<Self, Failure> {
        Self::with(Options::default()).await
    }

    /// With waits a hundred times shorter.
    pub(crate) async fn quick() -> Result<Self, Failure> {
        Self::with(Options { time_scale: 0.01, ..Options::default() }).await
    }

    pub(crate) async fn with(options: Options) -> Result<Self, Failure> {
        let between = Duration::from_secs(5).mul_f64(options.time_scale);
        let discord = Discord::start(options).await?;
        let control = discord.control();
        Ok(Self { discord, control, http: reqwest::Client::new(), between, began: Mutex::default() })
    }

    /// Calls a route with JSON.
    pub(crate) async fn call(&self, method: &str, path: &str, body: Value) -> Result<Answer, Failure> {
        self.call_as(&self.discord.bot_token(), method, path, body).await
    }

    pub(crate) async fn call_as(
        &self,
        token: &str,
        method: &str,
        path: &str,
        body: Value,
    ) -> Result<Answer, Failure> {
        let url = format!("{}{path}", self.discord.api());
        let mut request = self
            .http
            .request(method.parse()?, url)
            .header("Authorization", format!("Bot {token}"))
            .header("Content-Type", "application/json");
        if !body.is_null() {
            request = request.body(body.to_string());
        }
        read(request.send().await?).await
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Answer, Failure> {
        self.call("GET", path, Value::Null).await
    }

    /// Posts a message and gives its id.
    pub(crate) async fn post(&self, channel: &str, body: Value) -> Result<String, Failure> {
        let posted = self.call("POST", &format!("/channels/{channel}/messages"), body).await?.ok()?;
        Ok(posted["id"].as_str().ok_or_else(|| posted.to_string())?.to_owned())
    }

    /// Opens a socket and takes its greeting.
    pub(crate) async fn socket(&self) -> Result<Link, Failure> {
        let url = self.get("/gateway/bot").await?.ok()?["url"].as_str().unwrap_or_default().to_owned();
        let (stream, _) = connect_async(format!("{url}/?v=10&encoding=json")).await?;
        let mut link = Link { stream, seq: 0, session: String::new() };
        let hello = link.frame().await?;
        assert_eq!(hello["op"], 10);
        Ok(link)
    }

    /// Waits until the next session may begin.
    pub(crate) async fn turn(&self) {
        let began = *self.began.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(wait) = began.and_then(|began| self.between.checked_sub(began.elapsed())) {
            tokio::time::sleep(wait).await;
        }
    }

    /// A session has begun.
    pub(crate) fn begun(&self) {
        *self.began.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Begins a session with all intents, and takes what comes first.
    pub(crate) async fn link(&self) -> Result<Link, Failure> {
        self.link_with(intents::ALL).await
    }

    /// The same with these intents.
    pub(crate) async fn link_with(&self, intents: u64) -> Result<Link, Failure> {
        let mut link = self.socket().await?;
        self.turn().await;
        link.identify(&self.discord.bot_token(), intents).await?;
        let ready = link.event("READY").await?;
        self.begun();
        link.session = ready["session_id"].as_str().unwrap_or_default().to_owned();
        if intents & intents::GUILDS != 0 {
            for _ in ready["guilds"].as_array().into_iter().flatten() {
                link.event("GUILD_CREATE").await?;
            }
        }
        Ok(link)
    }

    /// Resumes a session on a new socket.
    pub(crate) async fn resume(&self, session: &str, seq: u64) -> Result<Link, Failure> {
        let mut link = self.socket().await?;
        let data = json!({"token": self.discord.bot_token(), "session_id": session, "seq": seq});
        link.send(6, data).await?;
        session.clone_into(&mut link.session);
        link.seq = seq;
        Ok(link)
    }
}

pub(crate) async fn read(response: reqwest::Response) -> Result<Answer, Failure> {
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let text = response.text().await?;
    Ok(Answer { status, headers, body: serde_json::from_str(&text).unwrap_or(Value::String(text)) })
}

impl Link {
    /// The next text frame.
    pub(crate) async fn frame(&mut self) -> Result<Value, Failure> {
        loop {
            let next = tokio::time::timeout(Duration::from_secs(20), self.stream.next()).await?;
            match next {
                Some(Ok(Message::Text(text))) => {
                    let frame: Value = serde_json::from_str(&text)?;
                    self.seq = frame["s"].as_u64().unwrap_or(self.seq);
                    return Ok(frame);
                }
                Some(Ok(Message::Close(frame))) => {
                    let code = frame.map_or(0, |frame| frame.code.into());
                    return Err(format!("closed {code}").into());
                }
                None => return Err("closed".into()),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error.into()),
            }
        }
    }

    /// The next dispatch, which has to be this.
    pub(crate) async fn event(&mut self, name: &str) -> Result<Value, Failure> {
        let frame = self.frame().await?;
        assert_eq!(frame["t"], name, "{frame}");
        Ok(frame["d"].clone())
    }

    /// The code that the socket is closed with.
    pub(crate) async fn close_code(&mut self) -> Result<String, Failure> {
        loop {
            if let Err(error) = self.frame().await {
                return Ok(error.to_string());
            }
        }
    }

    pub(crate) async fn send(&mut self, op: u64, data: Value) -> Result<(), tungstenite::Error> {
        self.stream.send(Message::text(json!({"op": op, "d": data}).to_string())).await
    }

    pub(crate) async fn identify(&mut self, token: &str, intents: u64) -> Result<(), tungstenite::Error> {
        let properties = json!({"os": "linux", "browser": "test", "device": "test"});
        self.send(2, json!({"token": token, "intents": intents, "properties": properties})).await
    }
}

/// Waits until something is so.
pub(crate) async fn eventually<F, T>(mut look: F) -> Result<(), Failure>
where
    F: FnMut() -> T,
    T: Future<Output = Result<bool, Failure>>,
{
    for _ in 0..600 {
        if look().await? {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    Err("it never came to be so".into())
}
