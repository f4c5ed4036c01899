//! Modals: forms before a person's eyes.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{ids::Id, interaction::MODAL_SUBMIT, people::Denied, world::World};

/// A modal before a person's eyes.
#[derive(Clone, Debug)]
pub(crate) struct Modal {
    pub(crate) custom_id: String,
    pub(crate) title: String,
    pub(crate) components: Vec<Value>,
    pub(crate) source: Option<Id>,
    pub(crate) channel: Id,
}

impl Modal {
    /// The modal as the control shows it.
    pub(crate) fn show(&self) -> Value {
        json!({"custom_id": self.custom_id, "title": self.title, "components": self.components, "channel": self.channel.to_string()})
    }
}

impl World {
    /// A person sends a modal off, texts and choices by `custom_id`. An error is what the client refuses.
    pub(crate) fn submit(
        &mut self,
        user: Id,
        values: &BTreeMap<String, Value>,
    ) -> Result<Result<Id, Value>, Denied> {
        let modal = self.modals.get(&user).cloned().ok_or_else(|| format!("{user} has no modal open"))?;
        let mut errors = Map::new();
        let filled: Vec<Value> = modal
            .components
            .iter()
            .filter_map(|component| filled_in(component, values, &mut errors))
            .collect();
        if !errors.is_empty() {
            return Ok(Err(Value::Object(errors)));
        }
        self.modals.remove(&user);
        let mut more = json!({"data": {"custom_id": modal.custom_id, "components": filled}});
        let source = modal.source.and_then(|id| self.channels.get(&modal.channel)?.messages.get(&id));
        if let (Some(source), Some(more)) = (source, more.as_object_mut()) {
            more.insert("message".to_owned(), self.show(source));
        }
        Ok(Ok(self.interact(MODAL_SUBMIT, user, modal.channel, modal.source, 0, more)))
    }
}

/// A component of a modal as it is sent off; what the client refuses is left in `errors`.
fn filled_in(
    component: &Value,
    values: &BTreeMap<String, Value>,
    errors: &mut Map<String, Value>,
) -> Option<Value> {
    let kind = component.get("type").and_then(Value::as_u64).unwrap_or_default();
    let id = component.get("id").cloned().unwrap_or_default();
    match kind {
        1 => {
            let inner = component.get("components").and_then(Value::as_array).into_iter().flatten();
            let inner: Vec<Value> = inner.filter_map(|it| filled_in(it, values, errors)).collect();
            Some(json!({"type": 1, "id": id, "components": inner}))
        }
        18 => {
            let inner = filled_in(component.get("component")?, values, errors)?;
            Some(json!({"type": 18, "id": id, "component": inner}))
        }
        4 => {
            let name = component.get("custom_id").and_then(Value::as_str).unwrap_or_default();
            let given = values.get(name).or_else(|| component.get("value"));
            let text = given.and_then(Value::as_str).unwrap_or_default();
            let length = text.chars().count() as u64;
            let bound = |name: &str| component.get(name).and_then(Value::as_u64);
            let required = component.get("required") != Some(&json!(false));
            if required && length == 0 {
                errors.insert(name.to_owned(), json!("This field is required"));
            } else if length > bound("max_length").unwrap_or(4000)
                || length > 0 && length < bound("min_length").unwrap_or(0)
            {
                errors.insert(name.to_owned(), json!("The length is wrong"));
            }
            Some(json!({"type": 4, "id": id, "custom_id": name, "value": text}))
        }
        3 | 5..=8 => {
            let name = component.get("custom_id").and_then(Value::as_str).unwrap_or_default();
            let options = component.get("options").and_then(Value::as_array);
            let chosen = match values.get(name) {
                Some(Value::Array(list)) => list.clone(),
                // Several are named one a line.
                Some(Value::String(lines)) => lines.lines().map(Value::from).collect(),
                Some(one) => vec![one.clone()],
                None => {
                    let stands = |option: &&Value| option.get("default") == Some(&json!(true));
                    let standing = options.into_iter().flatten().filter(stands);
                    standing.filter_map(|option| option.get("value").cloned()).collect()
                }
            };
            let required = component.get("required") != Some(&json!(false));
            let bound = |name: &str| component.get(name).and_then(Value::as_u64).unwrap_or(1);
            let count = chosen.len() as u64;
            let known = |value: &Value| {
                options.is_none_or(|options| options.iter().any(|option| option.get("value") == Some(value)))
            };
            if required && chosen.is_empty() {
                errors.insert(name.to_owned(), json!("This field is required"));
            } else if count > bound("max_values") || count > 0 && count < bound("min_values") {
                errors.insert(name.to_owned(), json!("So many cannot be chosen"));
            } else if !chosen.iter().all(known) {
                errors.insert(name.to_owned(), json!("There is no such choice"));
            }
            Some(json!({"type": kind, "id": id, "custom_id": name, "values": chosen}))
        }
        _ => None,
    }
}
