//! A call with other arguments: what a person changed in the form of an approval. Pure.
//!
//! Invariant: only arguments that were asked for and shown can be changed; all others stay as they were asked.

use std::collections::BTreeMap;

use channel::Input;
use serde_json::Value;

use crate::{agent::Agent, inert::clip, spec::ToolSpec};

/// The form of an approval: one line for each argument that people may see.
pub(crate) fn form(args: &Value, secret: &[String]) -> Vec<Input> {
    let Value::Object(args) = args else { return Vec::new() };
    let shown = args.iter().filter(|(name, _)| !secret.contains(name));
    shown.map(|(name, value)| Input::line(name, name, text_of(value))).collect()
}

/// The arguments with what was filled in, if they fit the tool.
///
/// # Errors
/// A sentence to whoever filled it in.
pub(crate) fn revise(
    agent: &Agent,
    tool: &str,
    asked: &Value,
    values: &BTreeMap<String, String>,
) -> Result<Value, String> {
    let Some(spec) = agent.spec().tools.get(tool) else {
        return Err(format!("there is no tool `{tool}` any more"));
    };
    let mut args = asked.clone();
    for (name, text) in values {
        let Some(value) = args.get_mut(name).filter(|_| !spec.secret.contains(name)) else {
            return Err(format!("`{}` cannot be changed", clip(name, 60)));
        };
        *value = read(spec, name, value, text)?;
    }
    agent.extractor().check_args(tool, &args)?;
    Ok(args)
}

/// What changed, a short text: `amount: 120 → 80`.
pub(crate) fn difference(asked: &Value, approved: &Value) -> String {
    let Value::Object(approved) = approved else { return String::new() };
    let changed = approved.iter().filter_map(|(name, now)| {
        let before = asked.get(name).filter(|before| *before != now)?;
        Some(format!("{name}: {} → {}", clip(&text_of(before), 60), clip(&text_of(now), 60)))
    });
    changed.collect::<Vec<_>>().join(", ")
}

/// A value as it stands in a form and on a card.
pub(crate) fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            value.to_string()
        }
    }
}

/// Reads one line of the form. What is a text stays as it was written; everything else is JSON.
fn read(spec: &ToolSpec, name: &str, asked: &Value, text: &str) -> Result<Value, String> {
    if text == text_of(asked) {
        return Ok(asked.clone());
    }
    let declared =
        spec.parameters.pointer(&format!("/properties/{}/type", name.replace('~', "~0").replace('/', "~1")));
    let is_text = match declared {
        Some(Value::String(kind)) => kind == "string",
        Some(_) | None => asked.is_string(),
    };
    if is_text {
        return Ok(Value::String(text.to_owned()));
    }
    serde_json::from_str(text.trim()).map_err(|_| {
        let shown = clip(text, 60);
        format!("`{name}` is `{shown}`, and should be written like `{}`", clip(&text_of(asked), 60))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_form_shows_what_people_may_see_and_a_difference_what_changed() {
        let args = json!({ "order": "1002", "amount": 120, "token": "x", "tags": ["a"] });
        let form = form(&args, &["token".to_owned()]);
        let lines: Vec<(&str, &str)> =
            form.iter().map(|input| (input.id.as_str(), input.value.as_str())).collect();
        assert_eq!(lines, [("order", "1002"), ("amount", "120"), ("tags", "[\"a\"]")]);
        let now = json!({ "order": "1002", "amount": 80, "token": "x", "tags": ["a", "b"] });
        assert_eq!(difference(&args, &now), "amount: 120 → 80, tags: [\"a\"] → [\"a\",\"b\"]");
        assert_eq!(difference(&args, &args), "");
    }
}
