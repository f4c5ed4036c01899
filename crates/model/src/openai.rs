//! OpenAI-compatible Chat Completions: a prompt to a request, a response or its events to an answer. Pure.

use agent::{Output, Prompt};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{
    answer::{Answer, CALLS_MAX, Call},
    complaint::{Complaint, compact},
    provider::Ask,
    seam::{Error, Kind},
    settings::AnswerKey,
    sse,
};

/// The request.
pub(crate) fn encode(ask: &Ask, prompt: &Prompt) -> Value {
    let messages: Vec<Value> = prompt
        .messages
        .iter()
        .map(|message| json!({ "role": message.role.as_str(), "content": message.text }))
        .collect();
    let mut body = Map::new();
    body.insert("model".into(), ask.model.as_str().into());
    body.insert("messages".into(), messages.into());
    let room = prompt.answer_tokens_max.saturating_add(ask.thinking_tokens);
    let room_key = match ask.answer_key {
        AnswerKey::MaxCompletionTokens => "max_completion_tokens",
        AnswerKey::MaxTokens => "max_tokens",
    };
    body.insert(room_key.into(), room.into());
    if let Some(temperature) = prompt.temperature {
        body.insert("temperature".into(), temperature.into());
    }
    if let Some(effort) = &ask.effort {
        body.insert("reasoning_effort".into(), effort.as_str().into());
    }
    match ask.output(prompt) {
        Output::Functions => {
            let tools = prompt.functions.iter().map(|function| {
                json!({ "type": "function", "function": {
                    "name": function.name,
                    "description": function.description,
                    "parameters": function.parameters,
                }})
            });
            body.insert("tools".into(), tools.collect::<Vec<_>>().into());
            body.insert("tool_choice".into(), if ask.force_call { "required" } else { "auto" }.into());
            body.insert("parallel_tool_calls".into(), false.into());
        }
        Output::Schema => {
            // Not strict: that refuses optional properties, which the schemas of tools have.
            let schema = json!({ "name": "output", "strict": false, "schema": prompt.schema });
            body.insert("response_format".into(), json!({ "type": "json_schema", "json_schema": schema }));
        }
        Output::Text => {}
    }
    if ask.stream {
        body.insert("stream".into(), true.into());
        body.insert("stream_options".into(), json!({ "include_usage": true }));
    }
    Value::Object(body)
}

/// A whole response.
pub(crate) fn decode(body: &[u8]) -> Result<Answer, Error> {
    let mut stream = Stream::default();
    stream.take(body)?;
    if !stream.has_choice {
        return Err(Error::new(Kind::Retry { after: None }, "the answer has no choice in it"));
    }
    // Nothing is missing: the body arrived as long as its header said, and it was JSON.
    stream.finish_reason.get_or_insert_default();
    stream.end()
}

/// An answer that is put together from events.
#[derive(Debug, Default)]
pub(crate) struct Stream {
    answer: Answer,
    calls: Vec<OpenCall>,
    refusal: String,
    has_choice: bool,
    finish_reason: Option<String>,
    done: bool,
}

impl Stream {
    /// Takes one event. True when the answer is whole and nothing more needs to be read.
    pub(crate) fn event(&mut self, event: &sse::Event) -> Result<bool, Error> {
        if event.data.trim() == "[DONE]" {
            self.done = true;
        } else {
            self.take(event.data.as_bytes())?;
        }
        Ok(self.done)
    }

    /// What there is of the answer.
    pub(crate) fn so_far(&self) -> Answer {
        let calls = self.calls.iter().map(|open| open.call.clone()).collect();
        Answer { calls, ..self.answer.clone() }
    }

    /// The answer, after the last event.
    pub(crate) fn end(self) -> Result<Answer, Error> {
        match self.finish_reason.as_deref() {
            // Some servers end the stream without `[DONE]`; the reason for stopping is what counts.
            None => Err(Error::new(Kind::Retry { after: None }, "the answer broke off before its end")),
            Some(reason) if reason == "content_filter" || !self.refusal.is_empty() => {
                let words = if self.refusal.is_empty() { &self.answer.text } else { &self.refusal };
                let what = format!("the model refused ({reason}): {}", compact(words, 300));
                Err(Error::new(Kind::Refused, what))
            }
            Some(reason) => {
                let calls = self.calls.into_iter().map(|open| open.call).collect();
                Ok(Answer { calls, truncated: reason == "length", ..self.answer })
            }
        }
    }

    /// Takes a response or a piece of one: they differ in `message` and `delta` only.
    fn take(&mut self, body: &[u8]) -> Result<(), Error> {
        let unread = |error: serde_json::Error| {
            Error::new(Kind::Retry { after: None }, format!("the answer cannot be read: {error}"))
        };
        let value: Value = serde_json::from_slice(body).map_err(unread)?;
        if value.get("error").is_some_and(|error| !error.is_null()) {
            let complaint = Complaint::of(&value);
            return Err(Error::new(complaint.in_stream(), complaint.words()));
        }
        let piece: Piece = serde_json::from_value(value).map_err(unread)?;
        if self.answer.model.is_none() {
            self.answer.model = piece.model;
        }
        if let Some(usage) = piece.usage {
            self.answer.input = usage.prompt_tokens.unwrap_or(self.answer.input);
            self.answer.output = usage.completion_tokens.unwrap_or(self.answer.output);
        }
        let choice =
            piece.choices.unwrap_or_default().into_iter().find(|choice| choice.index.unwrap_or(0) == 0);
        let Some(choice) = choice else { return Ok(()) };
        self.has_choice = true;
        if let Some(words) = choice.message.or(choice.delta) {
            self.words(words);
        }
        if choice.finish_reason.is_some() {
            self.finish_reason = choice.finish_reason;
        }
        Ok(())
    }

    fn words(&mut self, words: Words) {
        match words.content {
            Some(Content::Text(text)) => self.answer.text.push_str(&text),
            Some(Content::Parts(parts)) => {
                self.answer.text.extend(parts.into_iter().filter_map(|part| part.text));
            }
            None => {}
        }
        self.refusal.push_str(&words.refusal.unwrap_or_default());
        for call in words.tool_calls.unwrap_or_default() {
            self.call(call);
        }
    }

    /// A call begins where the server names a new place or a new id; else the one of that place, or the last, goes on.
    fn call(&mut self, piece: CallPiece) {
        let function = piece.function.unwrap_or_default();
        let id = piece.id.filter(|id| !id.is_empty());
        let place = match piece.index {
            Some(_) => self.calls.iter().rposition(|open| open.index == piece.index),
            None if id.is_none() && function.name.is_some() => None,
            None => self.calls.len().checked_sub(1),
        };
        let same = |open: &OpenCall| id.is_none() || open.id.is_none() || open.id == id;
        let place = place.filter(|place| self.calls.get(*place).is_some_and(same)).unwrap_or_else(|| {
            if self.calls.len() < CALLS_MAX {
                self.calls.push(OpenCall { index: piece.index, ..OpenCall::default() });
                self.calls.len() - 1
            } else {
                CALLS_MAX
            }
        });
        let Some(open) = self.calls.get_mut(place) else { return };
        open.id = open.id.take().or(id);
        if open.call.name.is_empty() {
            open.call.name = function.name.unwrap_or_default();
        }
        match function.arguments {
            Some(Value::String(text)) => open.call.args.push_str(&text),
            Some(Value::Null) | None => {}
            // Some servers send the arguments as an object.
            Some(value) => open.call.args.push_str(&value.to_string()),
        }
    }
}

/// A call that is put together from pieces.
#[derive(Debug, Default)]
struct OpenCall {
    index: Option<usize>,
    id: Option<String>,
    call: Call,
}

#[derive(Deserialize)]
struct Piece {
    model: Option<String>,
    choices: Option<Vec<Choice>>,
    usage: Option<UsageCount>,
}

#[derive(Deserialize)]
struct Choice {
    index: Option<u32>,
    message: Option<Words>,
    delta: Option<Words>,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Words {
    content: Option<Content>,
    refusal: Option<String>,
    tool_calls: Option<Vec<CallPiece>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Deserialize)]
struct Part {
    text: Option<String>,
}

#[derive(Deserialize)]
struct CallPiece {
    index: Option<usize>,
    id: Option<String>,
    function: Option<FunctionPiece>,
}

#[derive(Default, Deserialize)]
struct FunctionPiece {
    name: Option<String>,
    arguments: Option<Value>,
}

#[derive(Deserialize)]
struct UsageCount {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
}
