//! What a provider says when it does not answer, and what to do about it. Pure.

use std::time::Duration;

use jiff::{Timestamp, fmt::rfc2822};
use serde_json::Value;

use crate::seam::Kind;

/// The most characters of a provider's words that are passed on.
const WORDS_MAX: usize = 300;

/// Words in an error that mean that the prompt does not fit the model.
const TOO_LONG: [&str; 7] = [
    "prompt is too long",
    "context length",
    "context_length",
    "context size",
    "context window",
    "context limit",
    "request_too_large",
];

/// Words in an error that mean that waiting does not help: there is nothing left to spend.
const SPENT: [&str; 3] = ["insufficient_quota", "spend_limit", "billing"];

/// A provider's error, compacted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Complaint {
    /// The sort, in the provider's own words: `overloaded_error`, `rate_limit_exceeded`.
    code: String,
    /// What it says.
    message: String,
}

impl Complaint {
    /// Reads a body or an event: JSON of the known shapes, or any text.
    pub(crate) fn read(body: &[u8]) -> Self {
        match serde_json::from_slice::<Value>(body) {
            Ok(value) => Self::of(&value),
            Err(_) => {
                Self { code: String::new(), message: compact(&String::from_utf8_lossy(body), WORDS_MAX) }
            }
        }
    }

    /// Reads JSON of the known shapes: `{"error": {"type", "code", "message"}}`, `{"error": "…"}`, `{"detail": …}`.
    pub(crate) fn of(value: &Value) -> Self {
        let error = value.get("error").unwrap_or(value);
        let mut codes = Vec::new();
        for place in ["/type", "/code", "/details/error_code"] {
            match error.pointer(place) {
                Some(Value::String(code)) if code != "error" => codes.push(code.clone()),
                Some(Value::Number(code)) => codes.push(code.to_string()),
                _ => {}
            }
        }
        let written = |words: &Value| words.as_str().map_or_else(|| words.to_string(), str::to_owned);
        let message = match error.as_str() {
            Some(text) => text.to_owned(),
            None => error.get("message").or_else(|| error.get("detail")).map(written).unwrap_or_default(),
        };
        Self { code: compact(&codes.join(", "), 80), message: compact(&message, WORDS_MAX) }
    }

    /// What a response of this status calls for.
    pub(crate) fn at_status(&self, status: u16, after: Option<Duration>) -> Kind {
        match status {
            401 | 403 => Kind::Unauthorized,
            413 => Kind::TooLong,
            429 if self.says(&SPENT) => Kind::Refused,
            408 | 409 | 425 | 429 | 500.. => Kind::Retry { after },
            _ if self.says(&TOO_LONG) => Kind::TooLong,
            _ => Kind::Refused,
        }
    }

    /// What an error inside a stream calls for. Unknown ones may pass.
    pub(crate) fn in_stream(&self) -> Kind {
        if self.says(&["authentication", "permission", "invalid_api_key"]) {
            Kind::Unauthorized
        } else if self.says(&TOO_LONG) {
            Kind::TooLong
        } else if self.says(&SPENT) || self.says(&["invalid_request", "not_found", "content_filter"]) {
            Kind::Refused
        } else {
            Kind::Retry { after: None }
        }
    }

    /// Whether one of these words stands in it.
    pub(crate) fn says(&self, words: &[&str]) -> bool {
        let text = format!("{} {}", self.code, self.message).to_lowercase();
        words.iter().any(|word| text.contains(word))
    }

    /// The provider's words, for an error.
    pub(crate) fn words(&self) -> String {
        match (self.code.as_str(), self.message.as_str()) {
            ("", "") => "no reason given".into(),
            ("", message) => message.into(),
            (code, "") => code.into(),
            (code, message) => format!("{code}: {message}"),
        }
    }
}

/// One line without control characters, at most so many characters.
pub(crate) fn compact(text: &str, chars_max: usize) -> String {
    let text = text.replace(char::is_control, " ");
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
        if line.len() > chars_max * 4 {
            break;
        }
    }
    match line.char_indices().nth(chars_max) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// Reads a Retry-After header: seconds, or a date.
pub(crate) fn retry_after(header: &str, now: Timestamp) -> Option<Duration> {
    let header = header.trim();
    if let Ok(seconds) = header.parse::<f64>() {
        return (seconds >= 0.0).then(|| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX));
    }
    let at = rfc2822::DateTimeParser::new().parse_timestamp(header).ok()?;
    Some(Duration::try_from(at.duration_since(now)).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_retry_after() {
        let now: Timestamp = "2026-11-22T10:00:00Z".parse().unwrap();
        let seconds = |header| retry_after(header, now).map(|after| after.as_secs_f64());
        assert_eq!(seconds("7"), Some(7.0));
        assert_eq!(seconds(" 0.5 "), Some(0.5));
        assert_eq!(seconds("Sun, 22 Nov 2026 10:01:30 GMT"), Some(90.0));
        assert_eq!(seconds("Sun, 22 Nov 2026 09:00:00 GMT"), Some(0.0));
        assert_eq!(retry_after("1e300", now), Some(Duration::MAX));
        for nonsense in ["", "soon", "-3", "NaN", "2026-11-22"] {
            assert_eq!(seconds(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn sorts_what_providers_say() {
        let retry = Kind::Retry { after: None };
        for (status, body, kind) in [
            (
                400,
                r#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 205000 tokens > 200000 maximum"}}"#,
                Kind::TooLong,
            ),
            (
                400,
                r#"{"error":{"message":"This model's maximum context length is 8192 tokens.","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}"#,
                Kind::TooLong,
            ),
            (
                400,
                r#"{"error":{"code":400,"message":"the request exceeds the available context size","type":"exceed_context_size_error"}}"#,
                Kind::TooLong,
            ),
            (
                400,
                r#"{"error":{"message":"Unsupported value: 'temperature'","type":"invalid_request_error"}}"#,
                Kind::Refused,
            ),
            (
                400,
                r#"{"object":"error","message":"maximum context length is 4096","code":400}"#,
                Kind::TooLong,
            ),
            (
                401,
                r#"{"error":{"type":"authentication_error","message":"invalid x-api-key"}}"#,
                Kind::Unauthorized,
            ),
            (403, "", Kind::Unauthorized),
            (404, r#"{"error":"model \"x\" not found"}"#, Kind::Refused),
            (413, r#"{"error":{"type":"request_too_large"}}"#, Kind::TooLong),
            (422, r#"{"detail":[{"loc":["body"],"msg":"field required"}]}"#, Kind::Refused),
            (429, r#"{"error":{"type":"rate_limit_error","message":"slow down"}}"#, retry),
            (
                429,
                r#"{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","code":"insufficient_quota"}}"#,
                Kind::Refused,
            ),
            (
                429,
                r#"{"error":{"type":"rate_limit_error","details":{"error_code":"enforced_spend_limit_reached"}}}"#,
                Kind::Refused,
            ),
            (500, "<html>oops</html>", retry),
            (529, r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#, retry),
        ] {
            assert_eq!(Complaint::read(body.as_bytes()).at_status(status, None), kind, "{status} {body}");
        }
    }

    #[test]
    fn sorts_errors_inside_a_stream() {
        let kind = |body: &str| Complaint::read(body.as_bytes()).in_stream();
        let retry = Kind::Retry { after: None };
        assert_eq!(
            kind(r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#),
            retry
        );
        assert_eq!(kind(r#"{"error":{"message":"Internal","code":500}}"#), retry);
        assert_eq!(kind(r#"{"error":{"type":"authentication_error"}}"#), Kind::Unauthorized);
        assert_eq!(kind(r#"{"error":{"type":"invalid_request_error","message":"bad"}}"#), Kind::Refused);
    }

    #[test]
    fn compacts() {
        let complaint = Complaint::read(b"  <h1>Bad\n\n gateway</h1>\x07 ");
        assert_eq!(complaint.words(), "<h1>Bad gateway</h1>");
        assert_eq!(compact(&"ä".repeat(400), 300).chars().count(), 301);
        assert_eq!(Complaint::read(b"{}").words(), "no reason given");
        let detail = Complaint::read(br#"{"detail":[{"msg":"field required"}]}"#);
        assert_eq!(detail.words(), r#"[{"msg":"field required"}]"#);
    }
}
