//! What can go wrong with a simulator, or with the control of it.

use std::io;

/// Why the simulator did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The control refused: no such person, place or message, or a person who may not do that.
    #[error("the simulator refused {operation}: {reason}")]
    Refused {
        /// What was asked.
        operation: String,
        /// Its words.
        reason: String,
    },
    /// The simulator could not be reached.
    #[error("the simulator cannot be reached: {0}")]
    Unreachable(#[from] reqwest::Error),
    /// The answer does not have the expected form.
    #[error("the simulator answered {operation} in an unexpected form: {reason}")]
    Form {
        /// What was asked.
        operation: String,
        /// What is wrong.
        reason: String,
    },
    /// Nothing such came in time.
    #[error("nothing such came within the time: {0}")]
    Waited(String),
    /// A port could not be opened.
    #[error(transparent)]
    Io(#[from] io::Error),
}
