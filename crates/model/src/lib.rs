//! The seam to language models, and the three kinds that come with it: Anthropic Messages, OpenAI-compatible Chat
//! Completions (so also vLLM, Ollama and llama.cpp), and `scripted`, which works offline from a rule file.
//!
//! ```text
//! Prompt -> Chain -> Provider -> encode (pure) -> client (I/O) -> sse, decode (pure) -> Answer -> Completion
//!                 -> Scripted (no I/O at all)
//! ```
//!
//! [`build`] makes the model that an agent names from `config.toml`: a [`Chain`] over the providers whose keys are in the
//! environment, or [`Scripted`] when none is and the operator chose that. [`check`] says what is wrong with the settings
//! without connecting to anything.
//!
//! What a provider's answer becomes:
//!
//! - one function call: the intent it stands for, with the arguments' own text. Words beside the call are the model
//!   thinking aloud, and are left out;
//! - several calls: all of them, one after another, which the extractor reports as ambiguous;
//! - arguments that are not JSON: text that is not JSON as a whole, for the extractor to judge. Nothing is guessed;
//! - no call: the words.
//!
//! While an answer streams, its beginning is told in the same form. Where the model was given functions, its words may be
//! thoughts beside a call that is still to come: these are not told before the answer is whole.
//!
//! Invariant: nothing is added to a prompt here: the messages that a provider gets are the prompt's messages, byte for byte.
//! Invariant: a key is read from the environment, and stands in no log, error or `Debug`.
//! Invariant: an answer that did not arrive whole is an error, never an output.
//! Invariant: the scripted model is chosen when the gateway starts, never because a provider failed.

mod answer;
mod anthropic;
mod build;
mod chain;
mod client;
mod complaint;
mod openai;
mod provider;
mod schema;
mod script;
mod scripted;
mod seam;
mod settings;
mod sse;

pub use build::{Built, Flaw, build, check};
pub use chain::{Chain, Link};
pub use script::Script;
pub use scripted::Scripted;
pub use seam::{Completion, Error, Kind, Model, Progress};
pub use settings::{AnswerKey, ModelSettings, ProviderKind, ProviderSettings, WithoutKey};
