//! Between values and columns.

use agent::{Event, FORMAT, Record, Seq, ThreadId, caused_by};
use channel::{DeliveryKey, Outgoing, Timestamp};
use serde::{Serialize, de::DeserializeOwned};

use super::fault::{Fault, damaged};
use crate::{Error, SendState};

/// A number as a column holds it. One too large for a column is like no number in it.
pub(super) fn int(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// A number out of a column.
pub(super) fn uint(n: i64) -> Result<u64, Fault> {
    u64::try_from(n).map_err(|_| damaged(format_args!("a count of {n}")))
}

/// A time as text of one length, so that it sorts as it reads.
pub(super) fn time(at: Timestamp) -> String {
    format!("{at:.9}")
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

/// A value as JSON that certainly reads back as the same value: a log that is written once and read for ever must
/// not hold what its reader would refuse (nesting too deep) or see otherwise (two fields of one name).
pub(super) fn json<T: Serialize + DeserializeOwned + PartialEq>(
    value: &T,
    what: &str,
) -> Result<String, Error> {
    let refused = |why: String| Error::Refused { why: format!("{what} cannot be kept: {why}") };
    let text = serde_json::to_string(value).map_err(|e| refused(e.to_string()))?;
    match serde_json::from_str::<T>(&text) {
        Ok(back) if back == *value => Ok(text),
        Ok(_) => Err(refused("it would not read back the same".to_owned())),
        Err(e) => Err(refused(format!("it would not read back: {e}"))),
    }
}

/// A record out of its columns.
pub(super) fn record(
    thread: &ThreadId,
    seq: u64,
    at: &str,
    format: i64,
    event: &str,
) -> Result<Record, Fault> {
    let unreadable = |why: String| Error::Unreadable { thread: thread.clone(), seq, why };
    let v = match u16::try_from(format) {
        Ok(v) if v <= FORMAT => v,
        Ok(_) | Err(_) => {
            let why =
                format!("it is of format {format} and this build reads up to {FORMAT}; use a newer build");
            return Err(unreadable(why).into());
        }
    };
    let event: Event = serde_json::from_str(event).map_err(|e| unreadable(e.to_string()))?;
    Ok(Record { v, at: parse_time(at)?, event })
}

/// A message out of its column.
pub(super) fn outgoing(thread: &ThreadId, key: &str, json: &str) -> Result<Outgoing, Error> {
    serde_json::from_str(json).map_err(|e| {
        let seq = caused_by(&DeliveryKey::new(key)).map_or(0, |(_, Seq(seq), _)| seq);
        Error::Unreadable { thread: thread.clone(), seq, why: format!("its message {key}: {e}") }
    })
}
