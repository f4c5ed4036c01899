//! The seam to language models.
//!
//! Invariant: nothing is added to a prompt here: the messages that a provider gets are the prompt's messages, byte for byte.
//! Invariant: a key is read from the environment, and stands in no log, error or `Debug`.

mod seam;

pub use seam::{Completion, Error, Kind, Model};
