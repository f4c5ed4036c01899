//! Reading fields out of JSON. Pure.
//!
//! Payloads are read field by field and not into one type: platforms add fields and kinds at any time, leave out what was
//! there, and one strange field must not cost the message it stands in.

use serde_json::Value;

/// The text at a path, if there is one.
pub fn text<'a>(value: &'a Value, path: &[&str]) -> Option<&'a str> {
    at(value, path)?.as_str().filter(|text| !text.is_empty())
}

/// The value at a path.
pub fn at<'a>(value: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, key| value.get(key))
}

/// Whether the value at a path is `true`.
pub fn is(value: &Value, path: &[&str]) -> bool {
    at(value, path).and_then(Value::as_bool).unwrap_or(false)
}

/// The items of the list at a path.
pub fn list<'a>(value: &'a Value, path: &[&str]) -> &'a [Value] {
    at(value, path).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_there_or_of_another_kind_is_nothing() {
        let value = json!({ "a": { "b": "c", "n": 1, "e": "", "t": true, "l": [1] } });
        assert_eq!(text(&value, &["a", "b"]), Some("c"));
        for path in [&["a", "n"][..], &["a", "e"], &["a", "x"], &["a", "b", "c"], &["x"]] {
            assert_eq!(text(&value, path), None);
            assert!(!is(&value, path) && list(&value, path).is_empty());
        }
        assert!(is(&value, &["a", "t"]));
        assert_eq!(list(&value, &["a", "l"]).len(), 1);
    }
}
