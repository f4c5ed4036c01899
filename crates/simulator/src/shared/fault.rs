//! Faults that are played on calls.

use std::time::Duration;

use serde_json::Value;

/// A fault that waits for calls.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    /// The method or route, or `*`.
    pub(crate) method: String,
    pub(crate) kind: Kind,
    /// How many calls it is played on.
    pub(crate) times: u64,
    /// How many calls go by before.
    pub(crate) after: u64,
}

/// What happens to a call.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    /// It has its effect, and the connection ends without an answer.
    DropResponse,
    /// It has no effect, and the connection ends without an answer.
    DropRequest,
    /// It is answered late; the effect comes at once.
    Delay(Duration),
    /// It has no effect, and is answered with this HTTP status and a page.
    Status(u16),
    /// It has no effect, and is answered as one too many.
    RateLimit(Wait),
    /// It has no effect, and is answered with this error.
    Error(Value),
    /// It has its effect, and is answered with something that is not JSON.
    Garbage,
}

/// How long a call has to wait.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Wait {
    pub(crate) seconds: f64,
    /// Whose limit it is, where a platform tells them apart.
    pub(crate) scope: Option<String>,
}

impl Kind {
    /// Whether a call has its effect in spite of it.
    pub(crate) fn acts(&self) -> bool {
        match self {
            Self::DropResponse | Self::Delay(_) | Self::Garbage => true,
            Self::DropRequest | Self::Status(_) | Self::RateLimit(_) | Self::Error(_) => false,
        }
    }
}

impl Fault {
    /// Reads `{"method", "kind", "times", "after"}`.
    pub(crate) fn read(value: &Value) -> Option<Self> {
        let method = value.get("method").and_then(Value::as_str).unwrap_or("*").to_owned();
        let number = |name: &str| value.get(name).and_then(Value::as_u64);
        let kind = read_kind(value.get("kind")?)?;
        Some(Self { method, kind, times: number("times").unwrap_or(1), after: number("after").unwrap_or(0) })
    }
}

fn read_kind(value: &Value) -> Option<Kind> {
    if let Some(word) = value.as_str() {
        return match word {
            "drop_response" => Some(Kind::DropResponse),
            "drop_request" => Some(Kind::DropRequest),
            "garbage" => Some(Kind::Garbage),
            _ => None,
        };
    }
    let number = |name: &str| value.get(name).and_then(Value::as_u64);
    if let Some(error) = value.get("error") {
        return Some(Kind::Error(error.clone()));
    }
    if let Some(seconds) = value.get("rate_limit").and_then(Value::as_f64) {
        let scope = value.get("scope").and_then(Value::as_str).map(str::to_owned);
        return Some(Kind::RateLimit(Wait { seconds, scope }));
    }
    number("delay_ms")
        .map(|ms| Kind::Delay(Duration::from_millis(ms)))
        .or_else(|| number("status").and_then(|status| u16::try_from(status).ok()).map(Kind::Status))
}

/// The fault for a call that goes by these names, if one is due; it is used up by one.
pub(crate) fn take(faults: &mut Vec<Fault>, names: &[&str]) -> Option<Kind> {
    let index = faults.iter_mut().position(|fault| {
        if fault.method != "*" && !names.contains(&fault.method.as_str()) {
            return false;
        }
        if fault.after > 0 {
            fault.after -= 1;
            return false;
        }
        fault.times > 0
    })?;
    let fault = faults.get_mut(index)?;
    let kind = fault.kind.clone();
    fault.times -= 1;
    if fault.times == 0 {
        faults.remove(index);
    }
    Some(kind)
}
