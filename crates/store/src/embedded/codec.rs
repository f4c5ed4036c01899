//! Between values and columns.

use agent::ThreadId;
use channel::Timestamp;

use super::fault::{Fault, damaged};
use crate::SendState;
pub(super) use crate::codec::{outgoing, record, time};

/// A number as a column holds it. One too large for a column is like no number in it.
pub(super) fn int(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// A number out of a column.
pub(super) fn uint(n: i64) -> Result<u64, Fault> {
    u64::try_from(n).map_err(|_| damaged(format_args!("a count of {n}")))
}

/// A time out of a column.
pub(super) fn parse_time(text: &str) -> Result<Timestamp, Fault> {
    text.parse().map_err(|_| damaged(format_args!("`{text}` is no time")))
}

/// A thread's name out of a column.
pub(super) fn parse_thread(text: &str) -> Result<ThreadId, Fault> {
    ThreadId::parse(text).ok_or_else(|| damaged(format_args!("`{text}` names no thread")))
}

/// A message's state as a column holds it.
pub(super) fn state(state: SendState) -> &'static str {
    match state {
        SendState::Waiting => "waiting",
        SendState::Sent => "sent",
        SendState::Dead => "dead",
    }
}

/// A message's state out of a column.
pub(super) fn parse_state(text: &str) -> Result<SendState, Fault> {
    match text {
        "waiting" => Ok(SendState::Waiting),
        "sent" => Ok(SendState::Sent),
        "dead" => Ok(SendState::Dead),
        other => Err(damaged(format_args!("`{other}` is no state of a message"))),
    }
}
