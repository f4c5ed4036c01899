//! One text for each JSON value, so that a hash of it binds an approval to exact arguments.
//!
//! This is RFC 8785 with one extension: that standard knows only numbers that a double holds, and two integers beyond
//! 2^53 could share a text there. Here an integer is always written with all its digits, so different arguments never
//! have the same hash.

use serde_json::{Number, Value};

use crate::id::sha256;

/// The canonical JSON text of a value (RFC 8785): keys sorted by UTF-16 code units, numbers as ECMAScript writes them, no
/// white space.
pub fn canonical(value: &Value) -> String {
    let mut out = String::new();
    write(value, &mut out);
    out
}

/// SHA-256 of the canonical JSON of a tool call's arguments, lower-case hex.
pub fn args_hash(args: &Value) -> String {
    sha256(canonical(args).as_bytes())
}

fn write(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(number) => write_number(number, out),
        Value::String(text) => write_string(text, out),
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write(item, out);
            }
            out.push(']');
        }
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
            out.push('{');
            for (i, (key, member)) in members.into_iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write_string(key, out);
                out.push(':');
                write(member, out);
            }
            out.push('}');
        }
    }
}

fn write_number(number: &Number, out: &mut String) {
    if number.is_u64() || number.is_i64() {
        out.push_str(&number.to_string());
    } else if let Some(double) = number.as_f64().filter(|double| double.is_finite()) {
        out.push_str(ryu_js::Buffer::new().format_finite(double));
    } else {
        // Only a number kept as text (serde_json's `arbitrary_precision`) gets here; its own digits name it best.
        out.push_str(&number.to_string());
    }
}

/// Escapes what JSON demands and nothing else: the two-letter escapes where they exist, else `\u00xx` in lower case.
fn write_string(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\u{9}' => out.push_str("\\t"),
            '\u{a}' => out.push_str("\\n"),
            '\u{c}' => out.push_str("\\f"),
            '\u{d}' => out.push_str("\\r"),
            '\0'..='\u{1f}' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            _ => out.push(c),
        }
    }
    out.push('"');
}
