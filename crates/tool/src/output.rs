//! What a tool gave, made fit for a log and a prompt: bounded, and without secrets.

use std::time::Duration;

use agent::{Fault, FaultKind, Outcome, Repeat, ToolSpec};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

/// The most bytes of a result, whatever `output_bytes_max` says: it becomes one event in a log.
pub(crate) const RESULT_BYTES_MAX: usize = 1024 * 1024;

/// The longest that any tool may take.
pub(crate) const TIMEOUT_MAX: Duration = Duration::from_secs(24 * 3600);

/// The most characters of a tool's own words in a fault.
const WORDS_MAX: usize = 800;

/// The most lines of a tool's own words in a fault.
const LINES_MAX: usize = 8;

/// A secret shorter than this is not looked for: it would stand in innocent words too.
const SECRET_LEN_MIN: usize = 6;

/// The time a call is given.
pub(crate) fn limit(spec: &ToolSpec) -> Duration {
    spec.timeout.0.min(TIMEOUT_MAX)
}

/// A failure that certainly has no effect, or whose text says what the effect is.
pub(crate) fn failed(kind: FaultKind, what: impl Into<String>) -> Outcome {
    Outcome::Failed(Fault { kind, what: what.into() })
}

/// A failure after which nobody knows whether there was an effect. Only what changes nothing has simply failed: a call
/// that runs once by its key is sent again under that key, and a human is asked about one that must not be repeated.
pub(crate) fn uncertain(repeat: Repeat, kind: FaultKind, what: String) -> Outcome {
    match repeat {
        Repeat::Never | Repeat::ByKey => Outcome::Unknown { why: what },
        Repeat::Safe => failed(kind, what),
    }
}

/// The first bytes of a stream, and how many there were.
#[derive(Debug)]
pub(crate) struct Head {
    bytes: Vec<u8>,
    seen: u64,
    max: usize,
}

impl Head {
    /// Keeps at most so many bytes.
    pub(crate) fn new(max: usize) -> Self {
        Self { bytes: Vec::new(), seen: 0, max: max.min(RESULT_BYTES_MAX) }
    }

    /// Takes more of the stream.
    pub(crate) fn take(&mut self, chunk: &[u8]) {
        let room = self.max - self.bytes.len();
        self.bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
        self.seen = self.seen.saturating_add(chunk.len() as u64);
    }

    /// True when there was more than is kept.
    pub(crate) fn is_cut(&self) -> bool {
        self.seen > self.bytes.len() as u64
    }

    /// The bytes that are kept.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The result: JSON when the whole of it is, else text. `whole` is false when the reader stopped before the end,
    /// so that the size of the rest is not known.
    pub(crate) fn value(&self, whole: bool) -> Value {
        if self.is_cut() {
            let kept = trim_char(&self.bytes);
            let text = String::from_utf8_lossy(kept);
            let mark = if whole {
                format!("[cut: the first {} of {} bytes]", kept.len(), self.seen)
            } else {
                format!("[cut: the first {} bytes; there was more]", kept.len())
            };
            return Value::String(format!("{text}\n{mark}"));
        }
        value(&String::from_utf8_lossy(&self.bytes))
    }
}

/// The last bytes of a stream.
#[derive(Debug, Default)]
pub(crate) struct Tail(Vec<u8>);

impl Tail {
    const MAX: usize = 4 * 1024;

    /// Takes more of the stream.
    pub(crate) fn take(&mut self, chunk: &[u8]) {
        let chunk = &chunk[chunk.len().saturating_sub(Self::MAX)..];
        self.0.extend_from_slice(chunk);
        let excess = self.0.len().saturating_sub(Self::MAX);
        self.0.drain(..excess);
    }

    /// The end, as text; more of it than [`last_lines`] keeps, so that a secret is whole when it is looked for.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0).into_owned()
    }
}

/// The last lines of a text that are not empty, few and short enough for a fault.
pub(crate) fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    let tail = lines[lines.len().saturating_sub(LINES_MAX)..].join("\n");
    let excess = tail.chars().count().saturating_sub(WORDS_MAX);
    if excess == 0 { tail } else { format!("…{}", tail.chars().skip(excess).collect::<String>()) }
}

/// A text on one line, short enough for a fault.
pub(crate) fn compact(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= WORDS_MAX {
        return line;
    }
    format!("{}…", line.chars().take(WORDS_MAX).collect::<String>())
}

/// Reads a text as JSON where nothing is lost by it. A bare `1.10` is a version as likely as a number, and stays text.
fn value(text: &str) -> Value {
    let text = text.trim();
    if text.is_empty() {
        return Value::Null;
    }
    let as_text = || Value::String(text.to_owned());
    match serde_json::from_str::<Value>(text) {
        Ok(value @ (Value::Object(_) | Value::Array(_) | Value::String(_))) => value,
        Ok(value @ (Value::Null | Value::Bool(_) | Value::Number(_))) => {
            let written = value.to_string();
            if written == text { value } else { as_text() }
        }
        Err(_) => as_text(),
    }
}

/// Cuts a character that is not whole off the end.
fn trim_char(bytes: &[u8]) -> &[u8] {
    match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() => &bytes[..error.valid_up_to()],
        Ok(_) | Err(_) => bytes,
    }
}

/// What must not be seen, and the names to show instead.
#[derive(Default)]
pub(crate) struct Secrets(Vec<(String, SecretString)>);

impl Secrets {
    /// Remembers a secret.
    pub(crate) fn add(&mut self, name: impl Into<String>, secret: SecretString) {
        if secret.expose_secret().len() >= SECRET_LEN_MIN {
            self.0.push((name.into(), secret));
        }
    }

    /// The text with each secret replaced by its name.
    pub(crate) fn hide(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (name, secret) in &self.0 {
            if text.contains(secret.expose_secret()) {
                text = text.replace(secret.expose_secret(), &format!("[{name}]"));
            }
        }
        text
    }

    /// The same for every text in a value.
    pub(crate) fn hide_in(&self, value: Value) -> Value {
        if self.0.is_empty() {
            return value;
        }
        match value {
            Value::String(text) => Value::String(self.hide(&text)),
            Value::Array(items) => items.into_iter().map(|item| self.hide_in(item)).collect(),
            Value::Object(map) => {
                map.into_iter().map(|(key, value)| (self.hide(&key), self.hide_in(value))).collect()
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => value,
        }
    }

    /// The same for an outcome that is not a result.
    pub(crate) fn hide_in_fault(&self, outcome: Outcome) -> Outcome {
        match outcome {
            Outcome::Done(value) => Outcome::Done(value),
            Outcome::Failed(fault) => failed(fault.kind, self.hide(&fault.what)),
            Outcome::Unknown { why } => Outcome::Unknown { why: self.hide(&why) },
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn head(bytes: &[u8], max: usize) -> Head {
        let mut head = Head::new(max);
        for chunk in bytes.chunks(3) {
            head.take(chunk);
        }
        head
    }

    #[test]
    fn a_result_is_json_where_nothing_is_lost() {
        for (text, expected) in [
            ("", Value::Null),
            (" \n", Value::Null),
            ("{\"a\": 1}\n", json!({"a": 1})),
            ("[1, 2]", json!([1, 2])),
            ("\"x\"", json!("x")),
            ("true", json!(true)),
            ("42", json!(42)),
            ("1.10", json!("1.10")),
            ("007", json!("007")),
            ("123456789012345678901234567890", json!("123456789012345678901234567890")),
            ("hello\nthere", json!("hello\nthere")),
            ("{\"a\": 1} and more", json!("{\"a\": 1} and more")),
        ] {
            assert_eq!(head(text.as_bytes(), 1000).value(true), expected, "{text}");
        }
    }

    #[test]
    fn a_long_result_is_cut_between_characters_with_a_mark() {
        assert_eq!(head("abüd".as_bytes(), 3).value(true), json!("ab\n[cut: the first 2 of 5 bytes]"));
        assert_eq!(
            head("[1,2,3]".as_bytes(), 6).value(false),
            json!("[1,2,3\n[cut: the first 6 bytes; there was more]")
        );
        assert_eq!(head("[1,2,3]".as_bytes(), 7).value(true), json!([1, 2, 3]));
    }

    #[test]
    fn a_tail_keeps_the_end() {
        let mut tail = Tail::default();
        for n in 0..10_000 {
            tail.take(format!("line {n}\n\n").as_bytes());
        }
        let text = last_lines(&tail.text());
        assert!(text.ends_with("line 9999"), "{text}");
        assert_eq!(text.lines().count(), LINES_MAX);
    }

    #[test]
    fn secrets_are_replaced_everywhere() {
        let mut secrets = Secrets::default();
        secrets.add("KEY", "s3cr3t-value".into());
        secrets.add("SHORT", "eu".into());
        assert_eq!(
            secrets.hide_in(json!({"a s3cr3t-value": ["x s3cr3t-value", {"b": "s3cr3t-values"}], "eu": 1})),
            json!({"a [KEY]": ["x [KEY]", {"b": "[KEY]s"}], "eu": 1})
        );
    }
}
