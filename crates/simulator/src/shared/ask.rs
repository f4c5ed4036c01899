//! What the control was asked for, with its arguments.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::http::Call;

/// Why somebody cannot do something.
pub(crate) type Denied = String;

/// What an operation of the control answers.
pub(crate) type Done = Result<Value, Denied>;

/// The arguments of an operation.
pub(crate) struct Ask(pub(crate) Map<String, Value>);

impl Ask {
    /// Reads a body in JSON; anything else has no arguments.
    pub(crate) fn read(call: &Call) -> Self {
        match serde_json::from_slice(&call.body) {
            Ok(Value::Object(object)) => Self(object),
            Ok(_) | Err(_) => Self(Map::new()),
        }
    }

    /// All of them as one value.
    pub(crate) fn all(&self) -> Value {
        Value::Object(self.0.clone())
    }

    /// An argument that is text.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str)
    }

    /// An argument that is text and has to be there.
    pub(crate) fn need(&self, name: &str) -> Result<&str, Denied> {
        self.text(name).ok_or_else(|| format!("`{name}` is missing"))
    }

    /// An argument that is a number, or text with one in it.
    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        let value = self.0.get(name)?;
        value.as_u64().or_else(|| value.as_str()?.parse().ok())
    }

    /// An argument that is a number of any kind and has to be there.
    pub(crate) fn measure(&self, name: &str) -> Result<f64, Denied> {
        let value = self.value(name).and_then(Value::as_f64);
        value
            .filter(|value| value.is_finite() && *value >= 0.0)
            .ok_or_else(|| format!("`{name}` is no number"))
    }

    /// True if an argument says so.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|value| *value == true || value == "true")
    }

    /// An argument of any kind.
    pub(crate) fn value(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// An argument that is a list of texts.
    pub(crate) fn list(&self, name: &str) -> Option<Vec<&str>> {
        let items = self.value(name)?.as_array()?;
        Some(items.iter().filter_map(Value::as_str).collect())
    }
}

/// Who writes one of many messages, and where: each user in turn, in each channel in turn; to the bot where there is none.
pub(crate) struct Turn<'a> {
    pub(crate) user: &'a str,
    pub(crate) channel: Option<&'a str>,
    pub(crate) text: String,
}

impl Ask {
    /// Whose turn a message of a load is.
    pub(crate) fn turn(&self, number: u64) -> Result<Turn<'_>, Denied> {
        let (users, channels) =
            (self.list("users").unwrap_or_default(), self.list("channels").unwrap_or_default());
        let index = usize::try_from(number).unwrap_or_default();
        let user = users.get(index % users.len().max(1)).ok_or_else(|| "`users` is missing".to_owned())?;
        let channel = channels.get((index / users.len()) % channels.len().max(1)).copied();
        let text = format!("{} {number}", self.text("text_prefix").unwrap_or("message"));
        Ok(Turn { user, channel, text })
    }
}

/// The most messages of one load.
const LOAD: u64 = 100_000;

/// Many messages: at once, or so many a second. `say` says the one with a number.
pub(crate) async fn load(ask: &Ask, say: impl Fn(u64) -> Done) -> Done {
    let count = ask.number("count").unwrap_or(1).min(LOAD);
    let pause = ask
        .number("per_second")
        .filter(|rate| *rate > 0)
        .map(|rate| Duration::from_secs(1).div_f64(rate as f64));
    let mut said = Vec::new();
    for number in 0..count {
        said.push(say(number)?);
        match pause {
            Some(pause) => tokio::time::sleep(pause).await,
            None => tokio::task::yield_now().await,
        }
    }
    Ok(json!(said))
}
