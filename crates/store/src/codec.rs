//! How events, messages and batches are written, whatever keeps them: as JSON that certainly reads back the same.

use agent::{Event, FORMAT, Record, Seq, ThreadId, Version, caused_by};
use channel::{Address, DeliveryKey, InboundKey, MessageRef, Outgoing, Timestamp};
use serde::{Serialize, de::DeserializeOwned};

use crate::{BATCH_MAX, Batch, Error, Lease, NAME_MAX, SendState, VALUE_MAX};

/// The most events, keys or messages in one batch.
const PARTS_MAX: usize = 10_000;

/// A batch as it is kept.
#[derive(Clone, Debug)]
pub struct Encoded {
    /// The thread.
    pub thread: ThreadId,
    /// The version that it must have.
    pub expect: Option<Version>,
    /// The lease on it that must be held.
    pub fence: Option<Lease>,
    /// Each event: when, in which format, and as JSON.
    pub records: Vec<(Timestamp, u16, String)>,
    /// The names of the inbound.
    pub keys: Vec<InboundKey>,
    /// Each message: its key, where it goes, and as JSON.
    pub outgoing: Vec<(DeliveryKey, Address, String)>,
    /// Whether a worker is to look.
    pub wake: bool,
    /// The message whose sending this ends: its lease, how, and the platform's name of it.
    pub settle: Option<(Lease, Ending, Option<MessageRef>)>,
}

/// How the sending of a message ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The platform has it.
    Sent,
    /// It will never be sent.
    Dead,
}

impl From<Ending> for SendState {
    fn from(ending: Ending) -> Self {
        match ending {
            Ending::Sent => Self::Sent,
            Ending::Dead => Self::Dead,
        }
    }
}

/// Encodes a batch.
///
/// # Errors
/// `Refused` where it is above a limit, holds what would not read back, or settles a message as waiting.
pub fn encode(batch: Batch) -> Result<Encoded, Error> {
    let Batch { thread, expect, fence, records, keys, outgoing, wake, settle } = batch;
    let parts = records.len().max(keys.len()).max(outgoing.len());
    if parts > PARTS_MAX {
        let why = format!("a batch for {thread} with {parts} parts of one sort; {PARTS_MAX} is the most");
        return Err(Error::Refused { why });
    }
    let records =
        records.into_iter().map(|record| encode_record(&thread, record)).collect::<Result<Vec<_>, _>>()?;
    let outgoing = outgoing.into_iter().map(encode_outgoing).collect::<Result<Vec<_>, _>>()?;
    let settle = match settle {
        None => None,
        Some(settle) => {
            let ending = match settle.state {
                SendState::Sent => Ending::Sent,
                SendState::Dead => Ending::Dead,
                SendState::Waiting => {
                    let why = format!("message {} cannot be settled as waiting", settle.lease.on);
                    return Err(Error::Refused { why });
                }
            };
            Some((settle.lease, ending, settle.message))
        }
    };
    let bytes = records.iter().map(|(_, _, json)| json.len()).sum::<usize>()
        + outgoing.iter().map(|(_, _, json)| json.len()).sum::<usize>()
        + keys.iter().map(|key| key.as_str().len()).sum::<usize>();
    if bytes > BATCH_MAX {
        let why = format!("a batch of {bytes} bytes for {thread}; {BATCH_MAX} is the most");
        return Err(Error::Refused { why });
    }
    Ok(Encoded { thread, expect, fence, records, keys, outgoing, wake, settle })
}

fn encode_record(thread: &ThreadId, record: Record) -> Result<(Timestamp, u16, String), Error> {
    let Record { v, at, event, written: _ } = record;
    let json = json::<Event>(&event, &format!("an event of thread {thread}"))?;
    Ok((at, v, json))
}

/// A message as it is kept: its key, where it goes, and as JSON.
///
/// # Errors
/// `Refused` where it would not read back.
pub fn encode_outgoing(outgoing: Outgoing) -> Result<(DeliveryKey, Address, String), Error> {
    let json = json(&outgoing, &format!("message {}", outgoing.key))?;
    Ok((outgoing.key, outgoing.to, json))
}

/// A value as JSON that certainly reads back as the same value: a log that is written once and read for ever must not hold
/// what its reader would refuse (nesting too deep) or see otherwise (two fields of one name).
fn json<T: Serialize + DeserializeOwned + PartialEq>(value: &T, what: &str) -> Result<String, Error> {
    let refused = |why: String| Error::Refused { why: format!("{what} cannot be kept: {why}") };
    let text = serde_json::to_string(value).map_err(|e| refused(e.to_string()))?;
    match serde_json::from_str::<T>(&text) {
        Ok(back) if back == *value => Ok(text),
        Ok(_) => Err(refused("it would not read back the same".to_owned())),
        Err(e) => Err(refused(format!("it would not read back: {e}"))),
    }
}

/// An event as it was kept: when, in which format, and as JSON.
///
/// # Errors
/// `Unreadable`.
pub fn record(thread: &ThreadId, seq: u64, at: &str, format: i64, event: &str) -> Result<Record, Error> {
    let unreadable = |why: String| Error::Unreadable { thread: thread.clone(), seq, why };
    let v = match u16::try_from(format) {
        Ok(v) if v <= FORMAT => v,
        Ok(_) | Err(_) => {
            let why =
                format!("it is of format {format} and this build reads up to {FORMAT}; use a newer build");
            return Err(unreadable(why));
        }
    };
    let json = event;
    let event: Event = serde_json::from_str(json).map_err(|e| unreadable(e.to_string()))?;
    let at = at.parse().map_err(|_| unreadable(format!("`{at}` is no time")))?;
    Ok(Record::read(v, at, event, json))
}

/// A message as it was kept.
///
/// # Errors
/// `Unreadable`.
pub fn outgoing(thread: &ThreadId, key: &str, json: &str) -> Result<Outgoing, Error> {
    serde_json::from_str(json).map_err(|e| {
        let seq = caused_by(&DeliveryKey::new(key)).map_or(0, |(_, Seq(seq), _)| seq);
        Error::Unreadable { thread: thread.clone(), seq, why: format!("its message {key}: {e}") }
    })
}

/// Refuses a kept value that is too large, or whose name is too long.
///
/// # Errors
/// `Refused`.
pub fn refuse_large(name: &str, value: &[u8]) -> Result<(), Error> {
    refuse_long(name)?;
    if value.len() > VALUE_MAX {
        let why = format!("a value of {} bytes under {name}; {VALUE_MAX} is the most", value.len());
        return Err(Error::Refused { why });
    }
    Ok(())
}

/// Refuses a name that is too long: of a kept value, of a right, or of who holds one.
///
/// # Errors
/// `Refused`.
pub fn refuse_long(name: &str) -> Result<(), Error> {
    if name.len() > NAME_MAX {
        return Err(Error::Refused {
            why: format!("a name of {} bytes; {NAME_MAX} is the most", name.len()),
        });
    }
    Ok(())
}

/// A time as text of one length, so that it sorts as it reads.
pub fn time(at: Timestamp) -> String {
    format!("{at:.9}")
}
