//! What a tool does.

use std::path::PathBuf;

use agent::{Outcome, ToolSpec};
use async_trait::async_trait;
use channel::File;
use serde_json::Value;

/// Runs tool calls. The arguments were validated against the tool's schema, and the call was permitted, before.
#[async_trait]
pub trait Tool: Send + Sync {
    /// Runs one call to its end. Never panics, never outlives the tool's time-out by much; whatever goes wrong is an
    /// [`Outcome`]. Dropping the future kills what it started.
    async fn run(&self, spec: &ToolSpec, call: Call<'_>) -> Ended;
}

/// One call.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    /// The tool's name.
    pub name: &'a str,
    /// Its arguments.
    pub args: &'a Value,
    /// The call's own name: the same when it is sent again.
    pub key: &'a str,
    /// The agent's folder, and the agent's name.
    pub agent: &'a str,
    /// Where the agent's files are on disk.
    pub folder: &'a PathBuf,
    /// The files of the thread.
    pub files: &'a dyn Files,
}

/// The files of a thread.
#[async_trait]
pub trait Files: Send + Sync {
    /// The file with this name (the youngest of several), and its bytes; `None` when there is none or it was not kept.
    async fn read(&self, name: &str) -> Option<(File, Vec<u8>)>;
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Ended {
    /// The outcome. `Unknown` when the effect may or may not have happened (a time-out after the request was sent, of
    /// a tool that is not `safe`).
    pub outcome: Outcome,
    /// Files it made.
    pub files: Vec<Made>,
}

/// A file that a tool made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// Its name, without a path.
    pub name: String,
    /// Its media type, guessed from the name.
    pub kind: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}
