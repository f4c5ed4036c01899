//! The functional core: events, threads, and the pure decisions over them.
//!
//! Invariant: nothing here is asynchronous, reads a clock, draws a random number or does I/O; time is an argument.
//! Invariant: same log, same `now`, same step; same log, same agent version, the same bytes to the model.

mod event;
mod id;
mod intent;
mod prompt;
mod spec;

pub use event::*;
pub use id::{CallId, Home, QuestionId, Seq, ThreadId, Version, caused_by, sha256};
pub use intent::Intent;
pub use prompt::{Account, Function, Message, Output, PartAccount, Prompt, Role};
pub use spec::*;
