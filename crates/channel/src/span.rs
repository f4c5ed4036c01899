//! A length of time as people write it in a file.

use std::{borrow::Cow, fmt, time::Duration};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A length of time, written `30s`, `5m`, `2h 30m`, `7d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

impl Span {
    /// So many seconds.
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// Reads `30s`, `5m`, `2h 30m`, `7d` (a day is 24 hours).
    ///
    /// # Errors
    /// A sentence that says what is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let bad = || {
            format!("`{text}` is not a length of time; write for example \"30s\", \"5m\", \"2h\" or \"7d\"")
        };
        let span: jiff::Span = text.parse().map_err(|_| bad())?;
        let relative = jiff::SpanRelativeTo::days_are_24_hours();
        let exact = span.to_duration(relative).map_err(|_| bad())?;
        Duration::try_from(exact).map(Self).map_err(|_| bad())
    }
}

impl From<Span> for Duration {
    fn from(span: Span) -> Self {
        span.0
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0.as_secs();
        if rest == 0 {
            return write!(f, "{}ms", self.0.as_millis());
        }
        let mut first = true;
        for (unit, seconds) in [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)] {
            let count = rest / seconds;
            rest %= seconds;
            if count > 0 {
                write!(f, "{}{count}{unit}", if first { "" } else { " " })?;
                first = false;
            }
        }
        Ok(())
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(de::Error::custom)
    }
}

impl JsonSchema for Span {
    fn schema_name() -> Cow<'static, str> {
        "Span".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "description": "a length of time: \"30s\", \"5m\", \"2h 30m\", \"7d\"" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_what_people_write() {
        for (text, seconds) in [("30s", 30), ("5m", 300), ("2h 30m", 9_000), ("7d", 604_800)] {
            let span = Span::parse(text).unwrap();
            assert_eq!(span, Span::seconds(seconds));
            assert_eq!(span.to_string(), text);
        }
        for text in ["", "5", "-3s", "soon", "1 month"] {
            assert!(Span::parse(text).is_err(), "{text} was taken");
        }
    }
}
