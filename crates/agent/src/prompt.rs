//! What is sent to a model: every byte ours, and an account of how it came about.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::id::sha256;

/// One request to a model, rendered from an agent's files and a thread.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Prompt {
    /// The messages, in the agent's own order and roles. Nothing is added to them on the way.
    pub messages: Vec<Message>,
    /// The intents as functions, for providers that are asked through tool calls.
    pub functions: Vec<Function>,
    /// The JSON Schema of the whole output, for providers that take one: an object with the one key `next`.
    pub schema: Value,
    /// How the provider is asked for JSON.
    pub output: Output,
    /// The most tokens the answer may have.
    pub answer_tokens_max: u32,
    /// Sampling temperature, if the agent sets one.
    pub temperature: Option<f64>,
    /// What the scripted model decides on: the facts of the thread that the templates see. Never sent.
    pub situation: Value,
    /// The agent's `script.toml`, if it has one: the rules of the scripted model. Never sent.
    #[serde(skip)]
    pub script: Option<String>,
    /// What the renderer did.
    pub account: Account,
}

impl Prompt {
    /// SHA-256 of the messages as JSON: the name of what was sent.
    pub fn hash(&self) -> String {
        sha256(serde_json::to_string(&self.messages).unwrap_or_default().as_bytes())
    }
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Who is said to speak.
    pub role: Role,
    /// The words.
    pub text: String,
}

/// Who is said to speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The operator.
    System,
    /// The world.
    User,
    /// The model itself.
    Assistant,
}

impl Role {
    /// Its name in every provider's protocol.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

/// One intent as a function: `act` becomes one function a tool.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Function {
    /// The tool's name, or `ask`, `say`, `finish`, `hand_over`.
    pub name: String,
    /// What it does.
    pub description: String,
    /// The JSON Schema of its arguments.
    pub parameters: Value,
}

/// How the provider is asked for JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Output {
    /// Each intent is a function, and one must be called.
    #[default]
    Functions,
    /// The provider is given the schema and promises to follow it.
    Schema,
    /// Nothing is asked of the provider; the prompt's words must do.
    Text,
}

/// What the renderer did: tokens by part, and what was left out and why.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Account {
    /// Estimated tokens of all messages, corrected by what the provider counted before.
    pub tokens: u64,
    /// The same before correction.
    pub tokens_raw: u64,
    /// The budget for the messages.
    pub budget: u64,
    /// Each part of the thread that stands in the context, in order.
    pub parts: Vec<PartAccount>,
}

/// One part of the context.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PartAccount {
    /// The number of its first event in the conversation.
    pub seq: u64,
    /// What it is: `heard`, `acted`, …
    pub kind: String,
    /// Estimated tokens, before correction; 0 when left out.
    pub tokens: u64,
    /// What was done to it, and why; nothing when it stands whole.
    pub squeezed: Option<String>,
}
