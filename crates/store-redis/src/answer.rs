//! Between the scripts' answers and values.

use agent::ThreadId;
use channel::{MessageRef, Timestamp};
use redis::{FromRedisValue, Value};
use store::{Error, SendState, Sent, Summary, codec};

use crate::fault::damaged;

/// What a script says: texts, in their order.
pub(crate) struct Answer(std::vec::IntoIter<String>);

impl Answer {
    pub(crate) fn of(value: Value) -> Result<Self, Error> {
        let texts = <Vec<String>>::from_redis_value(value).map_err(|_| damaged("an answer is not text"))?;
        Ok(Self::new(texts))
    }

    fn new(texts: Vec<String>) -> Self {
        Self(texts.into_iter())
    }

    pub(crate) fn next(&mut self) -> Option<String> {
        self.0.next()
    }

    pub(crate) fn text(&mut self) -> Result<String, Error> {
        self.0.next().ok_or_else(|| damaged("an answer is cut off"))
    }

    pub(crate) fn number(&mut self) -> Result<u64, Error> {
        number(&self.text()?)
    }

    pub(crate) fn thread(&mut self) -> Result<ThreadId, Error> {
        thread(&self.text()?)
    }

    pub(crate) fn time(&mut self) -> Result<Timestamp, Error> {
        time(&self.text()?)
    }
}

pub(crate) fn number(text: &str) -> Result<u64, Error> {
    text.parse().map_err(|_| damaged(format_args!("`{text}` is no count")))
}

pub(crate) fn thread(text: &str) -> Result<ThreadId, Error> {
    ThreadId::parse(text).ok_or_else(|| damaged(format_args!("`{text}` names no thread")))
}

/// A time out of microseconds.
pub(crate) fn time(text: &str) -> Result<Timestamp, Error> {
    let micros = text.parse().ok().and_then(|micros| Timestamp::from_microsecond(micros).ok());
    micros.ok_or_else(|| damaged(format_args!("`{text}` is no time")))
}

/// An event as it is kept in a log.
pub(crate) fn log_entry(at: Timestamp, format: u16, json: &str) -> String {
    format!("{}|{format}|{json}", codec::time(at))
}

/// An event out of a log.
pub(crate) fn record(thread: &ThreadId, seq: u64, entry: &str) -> Result<agent::Record, Error> {
    let mut parts = entry.splitn(3, '|');
    let (Some(at), Some(format), Some(json)) = (parts.next(), parts.next(), parts.next()) else {
        let why = "it is no `time|format|JSON`".to_owned();
        return Err(Error::Unreadable { thread: thread.clone(), seq, why });
    };
    codec::record(thread, seq, at, format.parse().unwrap_or(i64::MAX), json)
}

/// The threads of a list.
pub(crate) fn summaries(texts: Vec<String>) -> Result<Vec<Summary>, Error> {
    let mut answer = Answer::new(texts);
    let mut list = Vec::new();
    while let Some(name) = answer.next() {
        let version = agent::Version(answer.number()?);
        let updated = answer.time()?;
        let due = answer.text()?;
        let due = (!due.is_empty()).then(|| time(&due)).transpose()?;
        let buried = answer.text()?.strip_prefix('=').map(str::to_owned);
        list.push(Summary { thread: thread(&name)?, version, updated, due, buried });
    }
    Ok(list)
}

/// The fields of a message that [`sent`] reads.
pub(crate) const SENT: [&str; 5] = ["thread", "state", "message", "error", "json"];

/// A message out of its fields; nothing where it is gone.
pub(crate) fn sent(key: &str, fields: Vec<Option<String>>) -> Result<Option<Sent>, Error> {
    let mut fields = fields.into_iter();
    let mut next = || fields.next().flatten();
    let (owner, state, message, error, json) = (next(), next(), next(), next(), next());
    let (Some(owner), Some(state), Some(json)) = (owner, state, json) else { return Ok(None) };
    let thread = thread(&owner)?;
    let state = match state.as_str() {
        "waiting" => SendState::Waiting,
        "sent" => SendState::Sent,
        "dead" => SendState::Dead,
        other => return Err(damaged(format_args!("`{other}` is no state of a message"))),
    };
    let outgoing = codec::outgoing(&thread, key, &json)?;
    let error = error.filter(|_| state == SendState::Waiting);
    Ok(Some(Sent { thread, outgoing, state, message: message.map(MessageRef::new), error }))
}
