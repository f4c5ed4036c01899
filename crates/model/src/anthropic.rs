//! Anthropic Messages: a prompt to a request, a response or its events to an answer. Pure.
//!
//! System messages at the beginning of a prompt go to the `system` field, each as a block of its own. The protocol has no
//! place for one further down: such a prompt is refused, and not bent into another order or role.

use std::collections::BTreeMap;

use agent::{Message, Output, Prompt, Role};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{
    answer::{Answer, CALLS_MAX, Call},
    complaint::{Complaint, compact},
    provider::Ask,
    schema::narrowed,
    seam::{Error, Kind},
    sse,
};

/// The version of the protocol.
pub(crate) const VERSION: &str = "2023-06-01";

/// The request.
pub(crate) fn encode(ask: &Ask, prompt: &Prompt) -> Result<Value, Error> {
    let (system, messages) = split(&prompt.messages)?;
    let mut body = Map::new();
    body.insert("model".into(), ask.model.as_str().into());
    body.insert("max_tokens".into(), prompt.answer_tokens_max.saturating_add(ask.thinking_tokens).into());
    if !system.is_empty() {
        let blocks = system.iter().map(|message| json!({ "type": "text", "text": message.text }));
        body.insert("system".into(), blocks.collect::<Vec<_>>().into());
    }
    let messages =
        messages.iter().map(|message| json!({ "role": message.role.as_str(), "content": message.text }));
    body.insert("messages".into(), messages.collect::<Vec<_>>().into());
    if let Some(temperature) = prompt.temperature {
        body.insert("temperature".into(), temperature.into());
    }
    let mut config = Map::new();
    if let Some(effort) = &ask.effort {
        config.insert("effort".into(), effort.as_str().into());
    }
    match ask.output(prompt) {
        Output::Functions => {
            let tools = prompt.functions.iter().map(|function| {
                json!({
                    "name": function.name,
                    "description": function.description,
                    "input_schema": function.parameters,
                })
            });
            body.insert("tools".into(), tools.collect::<Vec<_>>().into());
            let choice = if ask.force_call { "any" } else { "auto" };
            body.insert("tool_choice".into(), json!({ "type": choice, "disable_parallel_tool_use": true }));
        }
        Output::Schema => {
            config.insert(
                "format".into(),
                json!({ "type": "json_schema", "schema": narrowed(&prompt.schema) }),
            );
        }
        Output::Text => {}
    }
    if !config.is_empty() {
        body.insert("output_config".into(), config.into());
    }
    if ask.stream {
        body.insert("stream".into(), true.into());
    }
    Ok(Value::Object(body))
}

/// The system messages at the beginning, and the rest, in which there may be no other.
fn split(messages: &[Message]) -> Result<(&[Message], &[Message]), Error> {
    let leading = messages.iter().take_while(|message| message.role == Role::System).count();
    let (system, rest) = messages.split_at(leading);
    let refused = |what: String| Error { kind: Kind::Refused, what, calls: 0 };
    if let Some(place) = rest.iter().position(|message| message.role == Role::System) {
        let number = leading + place + 1;
        return Err(refused(format!(
            "message {number} has the role `system`, which Anthropic takes only at the beginning; \
             give it the role `user` in agent.toml, or move it up"
        )));
    }
    if rest.is_empty() {
        return Err(refused(
            "Anthropic wants a message that is not of the role `system`; add one in agent.toml".into(),
        ));
    }
    Ok((system, rest))
}

/// A whole response.
pub(crate) fn decode(body: &[u8]) -> Result<Answer, Error> {
    let value: Value = serde_json::from_slice(body).map_err(|error| unread(&error))?;
    if value.get("type").and_then(Value::as_str) == Some("error") {
        return Err(complaint(&value));
    }
    let message: MessagePiece = serde_json::from_value(value).map_err(|error| unread(&error))?;
    if message.stop_reason.is_none() {
        return Err(broke_off());
    }
    let mut stream = Stream::default();
    for (index, block) in message.content.iter().flatten().enumerate() {
        stream.begin(index, block);
    }
    stream.head(message);
    stream.stopped = true;
    stream.end()
}

/// An answer that is put together from events.
#[derive(Debug, Default)]
pub(crate) struct Stream {
    blocks: BTreeMap<usize, Block>,
    counts: Counts,
    model: Option<String>,
    stop_reason: Option<String>,
    stopped: bool,
}

#[derive(Debug)]
enum Block {
    Text(String),
    Call { name: String, input: Value, pieces: String },
}

impl Stream {
    /// Takes one event. True when the answer is whole.
    pub(crate) fn event(&mut self, event: &sse::Event) -> Result<bool, Error> {
        let value: Value = serde_json::from_str(&event.data).map_err(|error| unread(&error))?;
        if value.get("type").and_then(Value::as_str) == Some("error") {
            return Err(complaint(&value));
        }
        let event: EventPiece = serde_json::from_value(value).map_err(|error| unread(&error))?;
        match event {
            EventPiece::MessageStart { message } => self.head(message),
            EventPiece::ContentBlockStart { index, content_block } => self.begin(index, &content_block),
            EventPiece::ContentBlockDelta { index, delta } => self.go_on(index, &delta),
            EventPiece::MessageDelta { delta, usage } => {
                self.stop_reason = delta.stop_reason.or(self.stop_reason.take());
                self.counts.update(usage.unwrap_or_default());
            }
            EventPiece::MessageStop => self.stopped = true,
            EventPiece::Other => {}
        }
        Ok(self.stopped)
    }

    /// What there is of the answer.
    pub(crate) fn so_far(&self) -> Answer {
        let mut answer = Answer::default();
        for block in self.blocks.values() {
            match block {
                Block::Text(text) => answer.text.push_str(text),
                Block::Call { .. } if answer.calls.len() == CALLS_MAX => {}
                Block::Call { name, input, pieces } => {
                    let args = if pieces.is_empty() { written(input) } else { pieces.clone() };
                    answer.calls.push(Call { name: name.clone(), args });
                }
            }
        }
        answer
    }

    /// The answer, after the last event.
    pub(crate) fn end(self) -> Result<Answer, Error> {
        if !self.stopped {
            return Err(broke_off());
        }
        let answer = Answer {
            input: self.counts.input(),
            output: self.counts.output,
            model: self.model.clone(),
            ..self.so_far()
        };
        match self.stop_reason.as_deref() {
            Some("refusal") => {
                let what = format!("the model refused: {}", compact(&answer.text, 300));
                Err(Error::new(Kind::Refused, what))
            }
            reason => {
                let full = ["max_tokens", "model_context_window_exceeded"];
                Ok(Answer { truncated: reason.is_some_and(|reason| full.contains(&reason)), ..answer })
            }
        }
    }

    fn head(&mut self, message: MessagePiece) {
        self.model = message.model;
        self.stop_reason = message.stop_reason;
        self.counts.update(message.usage.unwrap_or_default());
    }

    /// A block begins. Thinking, and what is not known, is no part of the answer.
    fn begin(&mut self, index: usize, block: &Value) {
        let word = |key: &str| block.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let block = match word("type").as_str() {
            "text" => Block::Text(word("text")),
            "tool_use" => Block::Call {
                name: word("name"),
                input: block.get("input").cloned().unwrap_or_default(),
                pieces: String::new(),
            },
            _ => return,
        };
        self.blocks.insert(index, block);
    }

    fn go_on(&mut self, index: usize, delta: &Value) {
        let word = |key: &str| delta.get(key).and_then(Value::as_str).unwrap_or_default();
        match self.blocks.get_mut(&index) {
            Some(Block::Text(text)) => text.push_str(word("text")),
            Some(Block::Call { pieces, .. }) => pieces.push_str(word("partial_json")),
            None => {}
        }
    }
}

impl Counts {
    /// Counts are of the whole answer so far, not of a piece: the newest holds.
    fn update(&mut self, newer: UsagePiece) {
        let hold = |count: &mut u64, newer: Option<u64>| *count = newer.unwrap_or(*count);
        hold(&mut self.fresh, newer.input_tokens);
        hold(&mut self.written_to_cache, newer.cache_creation_input_tokens);
        hold(&mut self.read_from_cache, newer.cache_read_input_tokens);
        hold(&mut self.output, newer.output_tokens);
    }

    fn input(&self) -> u64 {
        self.fresh.saturating_add(self.written_to_cache).saturating_add(self.read_from_cache)
    }
}

fn written(input: &Value) -> String {
    if input.is_null() { String::new() } else { input.to_string() }
}

fn complaint(value: &Value) -> Error {
    let complaint = Complaint::of(value);
    Error::new(complaint.in_stream(), complaint.words())
}

fn broke_off() -> Error {
    Error::new(Kind::Retry { after: None }, "the answer broke off before its end")
}

fn unread(error: &serde_json::Error) -> Error {
    Error::new(Kind::Retry { after: None }, format!("the answer cannot be read: {error}"))
}

#[derive(Debug, Default)]
struct Counts {
    fresh: u64,
    written_to_cache: u64,
    read_from_cache: u64,
    output: u64,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum EventPiece {
    MessageStart {
        message: MessagePiece,
    },
    ContentBlockStart {
        index: usize,
        content_block: Value,
    },
    ContentBlockDelta {
        index: usize,
        delta: Value,
    },
    MessageDelta {
        delta: StopPiece,
        usage: Option<UsagePiece>,
    },
    MessageStop,
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct MessagePiece {
    model: Option<String>,
    content: Option<Vec<Value>>,
    stop_reason: Option<String>,
    usage: Option<UsagePiece>,
}

#[derive(Deserialize)]
struct StopPiece {
    stop_reason: Option<String>,
}

#[derive(Default, Deserialize)]
struct UsagePiece {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
}
