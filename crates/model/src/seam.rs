//! What a model does.

use std::{fmt, time::Duration};

use agent::{Prompt, Usage};
use async_trait::async_trait;

/// A language model, or something that stands for one.
#[async_trait]
pub trait Model: Send + Sync {
    /// Its name in logs: `anthropic/claude-…`, `scripted`.
    fn name(&self) -> &str;

    /// Answers one prompt. A model whose output comes in pieces tells `progress` of them.
    ///
    /// # Errors
    /// See [`Kind`].
    async fn complete(&self, prompt: &Prompt, progress: Progress<'_>) -> Result<Completion, Error>;
}

/// Is told the whole output so far, whenever there is more of it: what [`Completion::text`] would be if the answer ended
/// there. An empty text says that the model begins anew: what came before counts no more. It is called between two pieces
/// of an answer, so it must be quick.
pub type Progress<'a> = &'a (dyn Fn(&str) + Send + Sync);

/// A model's whole output.
#[derive(Clone, Debug, PartialEq)]
pub struct Completion {
    /// The output. A function call is turned into the intent it stands for, as JSON text:
    /// `{"intent":"act","tool":"deploy","args":{…}}`, `{"intent":"finish","text":"…"}`.
    pub text: String,
    /// Whether the provider stopped for lack of room.
    pub truncated: bool,
    /// What it cost. `calls` counts the requests made, failed ones included.
    pub usage: Usage,
    /// The provider and model that really answered.
    pub model: String,
    /// A label that people must see beside the words: `scripted model`.
    pub note: Option<String>,
}

/// What to do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Try again, not before `after` if the provider named a time.
    Retry {
        /// The provider's own waiting time.
        after: Option<Duration>,
    },
    /// The prompt is too long for the model.
    TooLong,
    /// The provider refused the request itself; the same request will be refused again.
    Refused,
    /// The key is missing or wrong.
    Unauthorized,
}

/// An error of a model: a kind to act on, a sentence to read. Holds no secret.
#[derive(Debug)]
pub struct Error {
    /// What to do.
    pub kind: Kind,
    /// The provider, and what went wrong.
    pub what: String,
    /// Requests that were made before giving up.
    pub calls: u32,
}

impl Error {
    /// An error after one request.
    pub fn new(kind: Kind, what: impl Into<String>) -> Self {
        Self { kind, what: what.into(), calls: 1 }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Error {}
