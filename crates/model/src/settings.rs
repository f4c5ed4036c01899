//! The tables `[providers.*]` and `[models.*]` of `config.toml`, as the operator writes them.
//!
//! The doc comments are the descriptions that the operator sees when a key is wrong.

use agent::Output;
use channel::Span;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A provider of language models: one address, one key, one model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProviderSettings {
    /// The protocol: `anthropic` (Messages) or `openai` (Chat Completions; also vLLM, Ollama, llama.cpp and others).
    pub kind: ProviderKind,
    /// Where the API is. Without, the public one of this kind: `https://api.anthropic.com`, `https://api.openai.com/v1`.
    /// Plain `http` only to this machine or a private network.
    #[serde(default)]
    pub url: Option<String>,
    /// The model's name at the provider.
    pub model: String,
    /// The environment variable that holds the key. May be left out for a server on this machine or a private network.
    #[serde(default)]
    pub key_env: Option<String>,
    /// How this provider can be asked for JSON, beside `text`, which always works: `functions`, `schema`. An agent that
    /// asks for what is not listed here is given the next best.
    #[serde(default = "defaults::output")]
    pub output: Vec<Output>,
    /// Whether a function must be called. `false` for models that refuse that, as those do that always think; they are
    /// then free to answer in words, and are asked again if they do.
    #[serde(default = "defaults::yes")]
    pub force_call: bool,
    /// How hard the model thinks, in the provider's own word: `none`, `low`, `medium`, `high`. Not sent when left out.
    #[serde(default)]
    pub effort: Option<String>,
    /// Tokens the model may think with, beside the agent's answer.
    #[serde(default)]
    pub thinking_tokens: u32,
    /// The field that carries the most tokens of an answer, for kind `openai`. Without, `max_completion_tokens` for the
    /// public API and `max_tokens` for any other server.
    #[serde(default)]
    pub answer_key: Option<AnswerKey>,
    /// Whether the answer is streamed: a stalled one is then noticed early.
    #[serde(default = "defaults::yes")]
    pub stream: bool,
    /// The longest it may take to connect.
    #[serde(default = "defaults::connect_timeout")]
    pub connect_timeout: Span,
    /// The longest a streamed answer may stand still.
    #[serde(default = "defaults::idle_timeout")]
    pub idle_timeout: Span,
    /// The longest one request may take.
    #[serde(default = "defaults::total_timeout")]
    pub total_timeout: Span,
    /// How often a request is made, the first time included, before the next provider is asked.
    #[serde(default = "defaults::attempts")]
    pub attempts: u32,
    /// The most bytes of one response.
    #[serde(default = "defaults::response_bytes_max")]
    pub response_bytes_max: usize,
}

/// A provider's protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProviderKind {
    /// Anthropic Messages.
    Anthropic,
    /// OpenAI-compatible Chat Completions.
    Openai,
}

/// The field that carries the most tokens of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AnswerKey {
    /// What the public API takes.
    MaxCompletionTokens,
    /// What most other servers take.
    MaxTokens,
}

/// A model that agents name: providers in the order in which they are asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelSettings {
    /// The providers, by name. One whose key is not in the environment when the gateway starts is left out.
    #[serde(default)]
    pub providers: Vec<String>,
    /// What stands in when no provider is left at the start. Never used for a provider that fails later.
    #[serde(default)]
    pub without_key: Option<WithoutKey>,
    /// The longest one answer may take, all attempts at all providers together.
    #[serde(default = "defaults::deadline")]
    pub deadline: Span,
    /// The longest wait that a provider may ask for; beyond that, the next one is asked.
    #[serde(default = "defaults::retry_after_max")]
    pub retry_after_max: Span,
}

/// What stands in for a model without a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WithoutKey {
    /// The scripted model: rules in the agent's folder, plainly labelled.
    Scripted,
}

/// What a key means when it is left out, in one place.
mod defaults {
    use super::{Output, Span};

    pub(super) fn output() -> Vec<Output> {
        vec![Output::Functions, Output::Schema]
    }
    pub(super) fn yes() -> bool {
        true
    }
    pub(super) fn connect_timeout() -> Span {
        Span::seconds(10)
    }
    pub(super) fn idle_timeout() -> Span {
        Span::seconds(60)
    }
    pub(super) fn total_timeout() -> Span {
        Span::seconds(120)
    }
    pub(super) fn attempts() -> u32 {
        3
    }
    pub(super) fn response_bytes_max() -> usize {
        8 * 1024 * 1024
    }
    pub(super) fn deadline() -> Span {
        Span::seconds(300)
    }
    pub(super) fn retry_after_max() -> Span {
        Span::seconds(20)
    }
}
