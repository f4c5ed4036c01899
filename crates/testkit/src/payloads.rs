//! Payloads of a platform that are not as it documents them.

use serde_json::{Value, json};

/// The same payload with each of its values, one after the other, of another kind or not there.
pub fn broken(payload: &Value) -> impl Iterator<Item = Value> {
    let mut paths = Vec::new();
    walk(payload, "", &mut paths);
    let others = || [Value::Null, json!(7), json!("\u{202e}<@"), json!([{}]), json!({ "id": [] })];
    paths.into_iter().flat_map(move |path| {
        others().map(|other| {
            let mut broken = payload.clone();
            if let Some(value) = broken.pointer_mut(&path) {
                *value = other;
            }
            broken
        })
    })
}

fn walk(value: &Value, at: &str, paths: &mut Vec<String>) {
    paths.push(at.to_owned());
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                let key = key.replace('~', "~0").replace('/', "~1");
                walk(value, &format!("{at}/{key}"), paths);
            }
        }
        Value::Array(items) => {
            for (n, value) in items.iter().enumerate() {
                walk(value, &format!("{at}/{n}"), paths);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_broken_in_every_way() {
        let payload = json!({ "a/b": [1, { "c": null }], "d": "e" });
        // The whole, two fields, two items, one field in them.
        assert_eq!(broken(&payload).count(), 6 * 5);
        assert!(broken(&payload).any(|broken| broken["a/b"][1]["c"] == 7));
    }
}
