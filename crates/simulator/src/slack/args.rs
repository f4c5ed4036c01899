//! The arguments of a call, in whatever form they came.

use bytes::Bytes;
use serde_json::{Map, Value, json};

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

/// A part of a multipart body.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) name: String,
    pub(crate) file: Option<String>,
    pub(crate) content: Bytes,
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

/// The parts of a multipart body; none if it is not one.
pub(crate) fn multipart(content_type: &str, body: &Bytes) -> Option<Vec<Part>> {
    let (_, boundary) = content_type.split_once("boundary=")?;
    let boundary = boundary.split(';').next()?.trim().trim_matches('"');
    let mark = format!("--{boundary}");
    let mut parts = Vec::new();
    let mut at = find(body, mark.as_bytes(), 0)? + mark.len();
    while let Some(end) = find_mark(body, &mark, at) {
        // After the mark comes a line break, then headers, an empty line, and the content.
        if let Some(head_end) = find(body, b"\r\n\r\n", at).filter(|head_end| *head_end <= end) {
            let head = String::from_utf8_lossy(body.get(at..head_end)?).into_owned();
            let content = if head_end + 4 <= end { body.slice(head_end + 4..end) } else { Bytes::new() };
            parts.push(Part {
                name: parameter(&head, "name").unwrap_or_default(),
                file: parameter(&head, "filename"),
                content,
            });
        }
        at = end + 2 + mark.len();
    }
    Some(parts)
}

/// The next line that is a mark, with its line break before it.
fn find_mark(body: &[u8], mark: &str, mut from: usize) -> Option<usize> {
    let wanted = format!("\r\n{mark}");
    loop {
        let at = find(body, wanted.as_bytes(), from)?;
        let after = body.get(at + wanted.len()..).unwrap_or_default();
        if after.is_empty() || after.starts_with(b"\r\n") || after.starts_with(b"--") {
            return Some(at);
        }
        from = at + wanted.len();
    }
}

fn parameter(head: &str, name: &str) -> Option<String> {
    let (_, rest) = head.split_once(&format!("; {name}=\""))?;
    rest.split('"').next().map(str::to_owned)
}

fn find(body: &[u8], wanted: &[u8], from: usize) -> Option<usize> {
    let rest = body.get(from..)?;
    rest.windows(wanted.len()).position(|window| window == wanted).map(|at| at + from)
}
