//! The arguments of a call, in whatever form they came.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::shared::multipart::multipart;

/// What came with a call.
#[derive(Clone, Debug, Default)]
pub(crate) struct Args {
    pub(crate) all: Map<String, Value>,
    /// The text of a body that was no valid JSON.
    pub(crate) broken: bool,
    /// True if they came as JSON.
    pub(crate) json: bool,
    /// True if a body came in a form with or without a character set that Slack remarks on.
    pub(crate) remark: Option<&'static str>,
}

impl Args {
    /// Reads the query and the body.
    pub(crate) fn read(query: &str, content_type: &str, body: &Bytes) -> Self {
        let mut args = Self::default();
        args.add_form(query.as_bytes());
        let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let charset = content_type.to_ascii_lowercase().contains("charset=");
        match kind.as_str() {
            "application/json" => {
                args.json = true;
                args.remark = (!charset).then_some("missing_charset");
                match serde_json::from_slice::<Value>(body) {
                    Ok(Value::Object(object)) => args.all.extend(object),
                    Ok(_) | Err(_) => args.broken = !body.is_empty(),
                }
            }
            "multipart/form-data" => {
                for part in multipart(content_type, body).unwrap_or_default() {
                    let text = String::from_utf8_lossy(&part.content).into_owned();
                    args.all.insert(part.name, Value::String(text));
                }
            }
            "application/x-www-form-urlencoded" => {
                args.remark = charset.then_some("superfluous_charset");
                args.add_form(body);
            }
            _ => {}
        }
        args
    }

    fn add_form(&mut self, form: &[u8]) {
        for (name, value) in form_urlencoded::parse(form) {
            self.all.insert(name.into_owned(), Value::String(value.into_owned()));
        }
    }

    /// An argument as text; a number is text, too. Empty text is no argument.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        let value = self.all.get(name)?;
        let text = match value.as_str() {
            Some(text) => text.to_owned(),
            None if value.is_number() || value.is_boolean() => value.to_string(),
            None => return None,
        };
        (!text.is_empty()).then_some(text)
    }

    /// An argument as yes or no.
    pub(crate) fn yes(&self, name: &str) -> Option<bool> {
        self.text(name).map(|text| matches!(text.as_str(), "true" | "1"))
    }

    /// An argument as a number.
    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        self.text(name)?.parse().ok()
    }

    /// An argument that is JSON, or text with JSON in it. An error if it is neither.
    pub(crate) fn json(&self, name: &str) -> Result<Option<Value>, ()> {
        match self.all.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) => serde_json::from_str(text).map(Some).map_err(drop),
            Some(value) => Ok(Some(value.clone())),
        }
    }

    /// All of it, for the record; tokens left out.
    pub(crate) fn show(&self) -> Value {
        let mut all = self.all.clone();
        all.remove("token");
        json!(all)
    }
}
