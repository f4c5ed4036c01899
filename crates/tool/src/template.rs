//! Texts with placeholders, as `agent.toml` has them in `argv`, `url` and `headers`.
//!
//! `{name}` stands for an argument of the call, `{env:NAME}` for an environment variable. Any other brace is itself,
//! so a small awk program or a JSON text needs no escapes.

use serde_json::Value;

/// One piece of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece<'t> {
    /// Itself.
    Text(&'t str),
    /// An argument of the call.
    Arg(&'t str),
    /// An environment variable.
    Env(&'t str),
}

/// Takes a template apart. Every text is a template.
pub(crate) fn pieces(template: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut text = 0;
    let mut from = 0;
    while let Some(open) = template[from..].find('{').map(|at| from + at) {
        let Some(close) = template[open..].find('}').map(|at| open + at) else { break };
        let inner = &template[open + 1..close];
        let piece = match inner.strip_prefix("env:") {
            Some(name) if is_name(name) => Piece::Env(name),
            None if is_name(inner) => Piece::Arg(inner),
            Some(_) | None => {
                from = open + 1;
                continue;
            }
        };
        if text < open {
            pieces.push(Piece::Text(&template[text..open]));
        }
        pieces.push(piece);
        text = close + 1;
        from = text;
    }
    if text < template.len() {
        pieces.push(Piece::Text(&template[text..]));
    }
    pieces
}

/// The names of the arguments in a template.
pub(crate) fn arguments(template: &str) -> Vec<&str> {
    pieces(template)
        .into_iter()
        .filter_map(|piece| match piece {
            Piece::Arg(name) => Some(name),
            Piece::Text(_) | Piece::Env(_) => None,
        })
        .collect()
}

/// The names of the environment variables in a template.
pub(crate) fn variables(template: &str) -> Vec<&str> {
    pieces(template)
        .into_iter()
        .filter_map(|piece| match piece {
            Piece::Env(name) => Some(name),
            Piece::Text(_) | Piece::Arg(_) => None,
        })
        .collect()
}

/// What an argument is as text: a string as it is, nothing for `null`, JSON for all else.
pub(crate) fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

/// Percent-encodes everything but RFC 3986's unreserved characters, so that the text is one segment of a path or one
/// value of a query.
pub(crate) fn percent(text: &str) -> String {
    use std::fmt::Write as _;

    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            _ => {
                // Writing to a String cannot fail.
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
    }
    encoded
}

fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_only_whole_names_for_placeholders() {
        use Piece::{Arg, Env, Text};
        for (template, expected) in [
            ("", vec![]),
            ("plain", vec![Text("plain")]),
            ("{a}", vec![Arg("a")]),
            ("x{a}{b-2}y", vec![Text("x"), Arg("a"), Arg("b-2"), Text("y")]),
            ("Bearer {env:KEY}", vec![Text("Bearer "), Env("KEY")]),
            ("{print $1}", vec![Text("{print $1}")]),
            ("{{a}}", vec![Text("{"), Arg("a"), Text("}")]),
            ("{a", vec![Text("{a")]),
            ("}{", vec![Text("}{")]),
            ("{}{1}{env:}{ü}", vec![Text("{}{1}{env:}{ü}")]),
            ("ü{a}ü", vec![Text("ü"), Arg("a"), Text("ü")]),
        ] {
            assert_eq!(pieces(template), expected, "{template}");
        }
    }
}
