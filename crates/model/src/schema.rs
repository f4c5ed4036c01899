//! A JSON Schema in the part of the language that Anthropic's structured output takes. Pure.
//!
//! What is dropped here is not lost: the output is validated against the whole schema when it comes back.

use serde_json::{Map, Value};

/// Keywords that hold schemas by name.
const NAMED: [&str; 3] = ["properties", "$defs", "definitions"];
/// Keywords that hold a list of schemas.
const LISTS: [&str; 2] = ["anyOf", "allOf"];
/// Keywords that are kept as they are.
const KEPT: [&str; 9] =
    ["type", "title", "description", "enum", "const", "default", "required", "$ref", "format"];
/// Formats of text that are known there.
const FORMATS: [&str; 9] =
    ["date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6"];

/// The same schema without the keywords that would have the request refused, and with every object closed.
pub(crate) fn narrowed(schema: &Value) -> Value {
    let Value::Object(object) = schema else {
        // `true`, `false`, and what is no schema at all: for the provider to judge.
        return schema.clone();
    };
    let mut narrow = Map::new();
    let each = |list: &Vec<Value>| Value::Array(list.iter().map(narrowed).collect());
    for (keyword, value) in object {
        let keyword = keyword.as_str();
        if let (true, Some(named)) = (NAMED.contains(&keyword), value.as_object()) {
            let named = named.iter().map(|(name, schema)| (name.clone(), narrowed(schema)));
            narrow.insert(keyword.into(), Value::Object(named.collect()));
        } else if let (true, Some(list)) = (LISTS.contains(&keyword), value.as_array()) {
            narrow.insert(keyword.into(), each(list));
        } else if let ("oneOf", Some(list)) = (keyword, value.as_array()) {
            // `oneOf` is not known there; `anyOf` takes all that it takes.
            narrow.insert("anyOf".into(), each(list));
        } else if keyword == "items" {
            narrow.insert(keyword.into(), narrowed(value));
        } else if KEPT.contains(&keyword) && is_known_format(keyword, value) {
            narrow.insert(keyword.into(), value.clone());
        }
    }
    let is_object = narrow.get("type").and_then(Value::as_str) == Some("object");
    if is_object || narrow.contains_key("properties") {
        narrow.insert("additionalProperties".into(), Value::Bool(false));
    }
    Value::Object(narrow)
}

fn is_known_format(keyword: &str, value: &Value) -> bool {
    keyword != "format" || value.as_str().is_some_and(|format| FORMATS.contains(&format))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn drops_what_is_not_known_and_closes_objects() {
        let schema = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": {
                "format": { "type": "string", "pattern": "^v", "minLength": 1, "format": "regex" },
                "when": { "type": "string", "format": "date" },
                "n": { "type": "integer", "minimum": 0, "enum": [1, 2] },
                "list": { "type": "array", "items": { "type": "object" }, "maxItems": 3 },
                "next": { "oneOf": [{ "const": "minimum" }, { "type": "number", "maximum": 3 }] },
            },
            "required": ["n"],
        });
        assert_eq!(
            narrowed(&schema),
            json!({
                "type": "object",
                "properties": {
                    "format": { "type": "string" },
                    "when": { "type": "string", "format": "date" },
                    "n": { "type": "integer", "enum": [1, 2] },
                    "list": { "type": "array", "items": { "type": "object", "additionalProperties": false } },
                    "next": { "anyOf": [{ "const": "minimum" }, { "type": "number" }] },
                },
                "required": ["n"],
                "additionalProperties": false,
            })
        );
    }
}
