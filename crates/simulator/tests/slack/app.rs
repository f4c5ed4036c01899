//! A plain client of the Web API and of Socket Mode.

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use simulator::slack::{Control, Options, Slack};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{self, Message},
};

use super::Failure;

/// A simulator and an app that talks to it.
pub(crate) struct App {
    pub(crate) slack: Slack,
    pub(crate) control: Control,
    pub(crate) http: reqwest::Client,
}

/// One connection of Socket Mode.
pub(crate) struct Link(pub(crate) WebSocketStream<MaybeTlsStream<TcpStream>>);

impl App {
    pub(crate) async fn new() -> Result<Self, Failure> {
        Self::with(Options::default()).await
    }

    /// With waits a hundred times shorter.
    pub(crate) async fn quick() -> Result<Self, Failure> {
        Self::with(Options { time_scale: 0.01, ..Options::default() }).await
    }

    pub(crate) async fn with(options: Options) -> Result<Self, Failure> {
        let slack = Slack::start(options).await?;
        let control = slack.control();
        Ok(Self { slack, control, http: reqwest::Client::new() })
    }

    /// Calls a method with JSON.
    pub(crate) async fn call(&self, method: &str, body: Value) -> Result<Value, Failure> {
        self.call_as(&self.slack.bot_token(), method, body).await
    }

    pub(crate) async fn call_as(&self, token: &str, method: &str, body: Value) -> Result<Value, Failure> {
        let request = self
            .http
            .post(format!("{}/{method}", self.slack.api()))
            .bearer_auth(token)
            .header("Content-Type", "application/json; charset=utf-8")
            .body(body.to_string());
        Ok(serde_json::from_str(&request.send().await?.text().await?)?)
    }

    /// Calls a method with a query.
    pub(crate) async fn get(&self, method: &str, query: &[(&str, &str)]) -> Result<Value, Failure> {
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
        let url = format!("{}/{method}?{query}", self.slack.api());
        let request = self.http.get(url).bearer_auth(self.slack.bot_token());
        Ok(serde_json::from_str(&request.send().await?.text().await?)?)
    }

    /// Opens a socket and takes its greeting.
    pub(crate) async fn link(&self) -> Result<Link, Failure> {
        let mut link = self.connect().await?;
        let hello = link.next().await?;
        assert_eq!(hello["type"], "hello");
        Ok(link)
    }

    /// A connection of Socket Mode that nothing was read from.
    pub(crate) async fn connect(&self) -> Result<Link, Failure> {
        let opened = self.call_as(&self.slack.app_token(), "apps.connections.open", json!({})).await?;
        let url = opened["url"].as_str().ok_or_else(|| opened.to_string())?;
        let (stream, _) = connect_async(url).await?;
        Ok(Link(stream))
    }

    /// Posts a message and gives its time stamp.
    pub(crate) async fn post(&self, channel: &str, text: &str) -> Result<String, Failure> {
        let posted = self.call("chat.postMessage", json!({"channel": channel, "text": text})).await?;
        Ok(posted["ts"].as_str().ok_or_else(|| posted.to_string())?.to_owned())
    }
}

impl Link {
    /// The next text frame.
    pub(crate) async fn next(&mut self) -> Result<Value, Failure> {
        loop {
            match self.0.next().await {
                Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text)?),
                Some(Ok(Message::Close(_))) | None => return Err("the socket was closed".into()),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error.into()),
            }
        }
    }

    /// The next envelope, acknowledged.
    pub(crate) async fn take(&mut self) -> Result<Value, Failure> {
        let envelope = self.next().await?;
        self.ack(&envelope, None).await?;
        Ok(envelope)
    }

    pub(crate) async fn ack(
        &mut self,
        envelope: &Value,
        payload: Option<Value>,
    ) -> Result<(), tungstenite::Error> {
        let mut ack = json!({"envelope_id": envelope["envelope_id"]});
        if let Some(payload) = payload {
            ack["payload"] = payload;
        }
        self.0.send(Message::text(ack.to_string())).await
    }
}

/// The code of a refusal.
pub(crate) fn error(answer: &Value) -> &str {
    assert_eq!(answer["ok"], false, "{answer}");
    answer["error"].as_str().unwrap_or_default()
}

/// The texts of a list of messages.
pub(crate) fn texts(answer: &Value) -> Vec<&str> {
    let messages = answer["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
    messages.iter().filter_map(|message| message["text"].as_str()).collect()
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
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    Err("it never came to be so".into())
}
