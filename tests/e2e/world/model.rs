//! A language model on loopback that speaks both protocols. The test holds every request in its hand, and answers it.

use std::{convert::Infallible, net::SocketAddr, time::Duration};

use agent::{Message, Role};
use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
    response::{IntoResponse as _, Response},
    routing::post,
};
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

use super::{SOON, free_port};

/// What every answer of the double is said to have cost.
pub(crate) const READ: u64 = 1_500;
pub(crate) const WROTE: u64 = 40;

/// The double of a provider.
pub(crate) struct Provider {
    pub(crate) port: u16,
    asked: mpsc::UnboundedReceiver<Asked>,
    sender: mpsc::UnboundedSender<Asked>,
    server: Option<JoinHandle<()>>,
}

/// An answer that is being written. Dropped before its end, it breaks off.
pub(crate) struct Growing(mpsc::UnboundedSender<String>);

/// A request that waits for its answer. Dropped without one, the connection breaks off.
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) raw: String,
    pub(crate) body: Value,
    reply: oneshot::Sender<Response>,
}

impl Provider {
    pub(crate) async fn open() -> Self {
        let mut provider = Self::closed();
        provider.up().await;
        provider
    }

    /// A provider that nobody reaches, until it is up.
    pub(crate) fn closed() -> Self {
        let (sender, asked) = mpsc::unbounded_channel();
        Self { port: free_port(), asked, sender, server: None }
    }

    pub(crate) async fn up(&mut self) {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], self.port))).await.unwrap();
        let app = Router::new()
            .route("/v1/chat/completions", post(take))
            .route("/v1/messages", post(take))
            .with_state(self.sender.clone());
        self.server = Some(tokio::spawn(async move { axum::serve(listener, app).await.unwrap() }));
    }

    /// The next request.
    pub(crate) async fn next(&mut self) -> Asked {
        let next = tokio::time::timeout(SOON, self.asked.recv()).await;
        next.expect("the gateway asked no model").expect("the double is up")
    }

    /// The next request, whenever it comes.
    pub(crate) async fn asked(&mut self) -> Option<Asked> {
        self.asked.recv().await
    }

    /// Whether nothing was asked by now, and a little later.
    pub(crate) async fn is_left_alone(&mut self) -> bool {
        tokio::time::timeout(Duration::from_millis(300), self.asked.recv()).await.is_err()
    }

    /// `[providers.NAME]`, with the key in `NAME_KEY`.
    pub(crate) fn config(&self, name: &str, kind: &str, more: &str) -> String {
        format!(
            "[providers.{name}]\nkind = \"{kind}\"\nurl = \"http://127.0.0.1:{}/v1\"\nmodel = \"small\"\n\
             key_env = \"{}_KEY\"\n{more}\n",
            self.port,
            name.to_uppercase()
        )
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        if let Some(server) = &self.server {
            server.abort();
        }
    }
}

async fn take(
    State(sender): State<mpsc::UnboundedSender<Asked>>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let raw = String::from_utf8(body.to_vec()).unwrap();
    let body = serde_json::from_str(&raw).unwrap();
    let (reply, answer) = oneshot::channel();
    let asked = Asked { path: uri.path().to_owned(), headers, raw, body, reply };
    if sender.send(asked).is_err() {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    answer.await.unwrap_or_else(|_| StatusCode::BAD_GATEWAY.into_response())
}

impl Asked {
    /// The messages, in one form for both protocols.
    pub(crate) fn messages(&self) -> Vec<Message> {
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let system = list(&self.body["system"]);
        let system = system.iter().map(|block| Message { role: Role::System, text: text(&block["text"]) });
        let rest = list(&self.body["messages"]);
        let rest = rest.iter().map(|message| {
            let role = serde_json::from_value(message["role"].clone()).unwrap();
            Message { role, text: text(&message["content"]) }
        });
        system.chain(rest).collect()
    }

    /// The text of the message that tells what happened so far.
    pub(crate) fn context(&self) -> String {
        self.messages()[1].text.clone()
    }

    /// The names of the functions that may be called.
    pub(crate) fn functions(&self) -> Vec<String> {
        let tools = self.body["tools"].as_array().unwrap();
        let name =
            |tool: &Value| tool["function"]["name"].as_str().or(tool["name"].as_str()).unwrap().to_owned();
        tools.iter().map(name).collect()
    }

    fn is_anthropic(&self) -> bool {
        self.path == "/v1/messages"
    }

    /// Calls a function.
    pub(crate) fn call(self, name: &str, args: &Value) {
        self.call_with(name, &args.to_string());
    }

    /// Calls a function with whatever stands where its arguments belong.
    pub(crate) fn call_with(self, name: &str, args: &str) {
        let answer = match (self.is_anthropic(), self.body["stream"] == true) {
            (false, false) => openai(name, args),
            (false, true) => openai_stream(name, args),
            (true, false) => anthropic(name, args),
            (true, true) => anthropic_stream(name, args),
        };
        self.send(answer);
    }

    /// Begins to call a function; the arguments come piece by piece. In the protocol that is OpenAI's.
    pub(crate) fn begins(self, name: &str) -> Growing {
        assert!(!self.is_anthropic() && self.body["stream"] == true, "{}", self.body);
        let (sender, pieces) = mpsc::unbounded_channel::<String>();
        let pieces = futures_util::stream::unfold(pieces, async |mut pieces| {
            let piece = pieces.recv().await?;
            Some((Ok::<_, Infallible>(piece), pieces))
        });
        self.send(([("content-type", "text/event-stream")], Body::from_stream(pieces)).into_response());
        let growing = Growing(sender);
        growing.call(json!({ "index": 0, "id": "call_1", "function": { "name": name, "arguments": "" } }));
        growing
    }

    /// Answers with a status, headers and a body.
    pub(crate) fn refuse(self, status: u16, headers: &[(&str, &str)], body: &Value) {
        let mut answer = (StatusCode::from_u16(status).unwrap(), body.to_string()).into_response();
        answer.headers_mut().insert("content-type", "application/json".parse().unwrap());
        for (name, value) in headers {
            let name: axum::http::HeaderName = name.parse().unwrap();
            answer.headers_mut().insert(name, value.parse().unwrap());
        }
        self.send(answer);
    }

    fn send(self, mut answer: Response) {
        answer.headers_mut().insert("connection", "close".parse().unwrap());
        // The gateway may have gone away meanwhile; some tests kill it.
        let _ = self.reply.send(answer);
    }
}

impl Growing {
    /// More of the arguments, as JSON text.
    pub(crate) fn goes_on(&self, args: &str) {
        self.call(json!({ "index": 0, "function": { "arguments": args } }));
    }

    /// The last of the arguments.
    pub(crate) fn ends(self, args: &str) {
        self.goes_on(args);
        self.choice(json!({}), "tool_calls".into());
        let _ = self.0.send("data: [DONE]\n\n".to_owned());
    }

    fn call(&self, call: Value) {
        self.choice(json!({ "tool_calls": [call] }), Value::Null);
    }

    fn choice(&self, delta: Value, reason: Value) {
        let choice = json!({ "index": 0, "delta": delta, "finish_reason": reason });
        let _ = self.0.send(format!("data: {}\n\n", json!({ "model": "small-2026", "choices": [choice] })));
    }
}

fn json_answer(body: &Value) -> Response {
    ([("content-type", "application/json")], body.to_string()).into_response()
}

fn stream_answer(events: &[(&str, Value)], last: &str) -> Response {
    let event = |(name, data): &(&str, Value)| match *name {
        "" => format!("data: {data}\n\n"),
        name => format!("event: {name}\ndata: {data}\n\n"),
    };
    let text: String = events.iter().map(event).collect();
    ([("content-type", "text/event-stream")], text + last).into_response()
}

/// Two pieces of a text, as a stream brings it.
fn halves(text: &str) -> (&str, &str) {
    text.split_at(text.floor_char_boundary(text.len() / 2))
}

fn openai(name: &str, args: &str) -> Response {
    json_answer(&json!({
        "id": "chatcmpl-1", "object": "chat.completion", "model": "small-2026",
        "choices": [{ "index": 0, "finish_reason": "tool_calls", "message": {
            "role": "assistant", "content": null,
            "tool_calls": [{ "id": "call_1", "type": "function", "function": { "name": name, "arguments": args } }],
        }}],
        "usage": { "prompt_tokens": READ, "completion_tokens": WROTE, "total_tokens": READ + WROTE },
    }))
}

fn openai_stream(name: &str, args: &str) -> Response {
    let piece = |delta: Value, reason: Value| {
        let choice = json!({ "index": 0, "delta": delta, "finish_reason": reason });
        (
            "",
            json!({ "id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "small-2026", "choices": [choice] }),
        )
    };
    let (first, second) = halves(args);
    let call = |function: Value| json!({ "tool_calls": [{ "index": 0, "function": function }] });
    let begin = json!({ "role": "assistant", "content": null, "tool_calls": [
        { "index": 0, "id": "call_1", "type": "function", "function": { "name": name, "arguments": "" } },
    ]});
    let usage = json!({ "prompt_tokens": READ, "completion_tokens": WROTE });
    let events = [
        piece(begin, Value::Null),
        piece(call(json!({ "arguments": first })), Value::Null),
        piece(call(json!({ "arguments": second })), Value::Null),
        piece(json!({}), "tool_calls".into()),
        ("", json!({ "id": "chatcmpl-1", "model": "small-2026", "choices": [], "usage": usage })),
    ];
    stream_answer(&events, "data: [DONE]\n\n")
}

fn anthropic(name: &str, args: &str) -> Response {
    // Whole answers of this protocol carry the arguments as JSON: what is none comes as a text.
    let input = serde_json::from_str(args).unwrap_or_else(|_| Value::String(args.to_owned()));
    json_answer(&json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "small-2026",
        "content": [
            { "type": "text", "text": "Let me do that." },
            { "type": "tool_use", "id": "toolu_1", "name": name, "input": input },
        ],
        "stop_reason": "tool_use", "stop_sequence": null,
        "usage": { "input_tokens": READ, "output_tokens": WROTE },
    }))
}

fn anthropic_stream(name: &str, args: &str) -> Response {
    let (first, second) = halves(args);
    let event = |value: Value| {
        let kinds = [
            "message_start",
            "content_block_start",
            "content_block_delta",
            "content_block_stop",
            "message_delta",
            "message_stop",
            "ping",
        ];
        let kind = kinds.into_iter().find(|kind| value["type"] == *kind).unwrap();
        (kind, value)
    };
    let delta =
        |index: u32, delta: Value| json!({ "type": "content_block_delta", "index": index, "delta": delta });
    let message = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "small-2026", "content": [],
        "stop_reason": null, "usage": { "input_tokens": READ, "output_tokens": 1 },
    });
    let call = json!({ "type": "tool_use", "id": "toolu_1", "name": name, "input": {} });
    let events = [
        json!({ "type": "message_start", "message": message }),
        json!({ "type": "content_block_start", "index": 0, "content_block": { "type": "text", "text": "" } }),
        json!({ "type": "ping" }),
        delta(0, json!({ "type": "text_delta", "text": "Let me do that." })),
        json!({ "type": "content_block_stop", "index": 0 }),
        json!({ "type": "content_block_start", "index": 1, "content_block": call }),
        delta(1, json!({ "type": "input_json_delta", "partial_json": first })),
        delta(1, json!({ "type": "input_json_delta", "partial_json": second })),
        json!({ "type": "content_block_stop", "index": 1 }),
        json!({ "type": "message_delta", "delta": { "stop_reason": "tool_use" }, "usage": { "output_tokens": WROTE } }),
        json!({ "type": "message_stop" }),
    ];
    stream_answer(&events.map(event), "")
}
