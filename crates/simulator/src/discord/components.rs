//! Components, checked as the documentation of their limits has it.

use serde_json::{Value, json};

use super::refusal::Faults;

/// What components are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum For {
    /// A message of the older kind: rows alone.
    Message,
    /// A message that is made of components alone.
    Layout,
    /// A modal.
    Modal,
}

/// The most components of a message that is made of them, nested ones included.
const IN_LAYOUT: usize = 40;

/// The most characters of all texts of a message that is made of components.
const TEXT_IN_LAYOUT: usize = 4000;

struct Check<'a> {
    faults: &'a mut Faults,
    what: For,
    custom_ids: Vec<String>,
    count: u64,
    text: usize,
}

/// Checks components, and gives them as they are kept: each with a number of its own.
pub(crate) fn check(components: &[Value], what: For, faults: &mut Faults) -> Vec<Value> {
    let root = if what == For::Modal { "data.components" } else { "components" };
    let (least, most) = match what {
        For::Message => (0, 5),
        For::Layout => (0, IN_LAYOUT),
        For::Modal => (1, 5),
    };
    faults.count(root, components.len(), least, most);
    let mut check = Check { faults, what, custom_ids: Vec::new(), count: 0, text: 0 };
    let mut kept = Vec::new();
    for (index, component) in components.iter().enumerate() {
        let mut component = component.clone();
        check.top(&mut component, &format!("{root}.{index}"));
        kept.push(component);
    }
    if what == For::Layout && check.count > IN_LAYOUT as u64 {
        check.faults.add(root, "COMPONENT_MAX_TOTAL_COMPONENTS_EXCEEDED", "At most 40 components.");
    }
    if check.text > TEXT_IN_LAYOUT {
        check.faults.add(root, "COMPONENT_DISPLAYABLE_TEXT_SIZE_EXCEEDED", "At most 4000 characters.");
    }
    kept
}

fn kind(component: &Value) -> u64 {
    component.get("type").and_then(Value::as_u64).unwrap_or_default()
}

fn text<'a>(component: &'a Value, name: &str) -> &'a str {
    component.get(name).and_then(Value::as_str).unwrap_or_default()
}

impl Check<'_> {
    fn number(&mut self, component: &mut Value) {
        self.count += 1;
        if let Some(component) = component.as_object_mut() {
            component.entry("id").or_insert(json!(self.count));
        }
    }

    fn top(&mut self, component: &mut Value, at: &str) {
        self.number(component);
        match (self.what, kind(component)) {
            (_, 1) => self.row(component, at),
            (For::Modal, 18) => self.label(component, at),
            (For::Modal | For::Layout, 10) => self.display(component, at),
            (For::Layout, 9 | 17) => {
                for name in ["components", "accessory"] {
                    let Some(inner) = component.get_mut(name) else { continue };
                    match inner.as_array_mut() {
                        Some(list) => {
                            for (index, item) in list.iter_mut().enumerate() {
                                self.inside(item, &format!("{at}.{name}.{index}"));
                            }
                        }
                        None => self.inside(inner, &format!("{at}.{name}")),
                    }
                }
            }
            (For::Layout, 12..=14) => {}
            (For::Message, _) => self.faults.choice(&format!("{at}.type"), "1"),
            (For::Modal, _) => self.faults.choice(&format!("{at}.type"), "1, 10, 18"),
            (For::Layout, _) => self.faults.choice(&format!("{at}.type"), "1, 9, 10, 12, 13, 14, 17"),
        }
    }

    fn inside(&mut self, component: &mut Value, at: &str) {
        match kind(component) {
            2 => {
                self.number(component);
                self.button(component, at);
            }
            11 => self.number(component),
            _ => self.top(component, at),
        }
    }

    fn display(&mut self, component: &Value, at: &str) {
        let words = text(component, "content");
        self.text += words.chars().count();
        if words.is_empty() {
            self.faults.required(&format!("{at}.content"));
        }
    }

    fn row(&mut self, row: &mut Value, at: &str) {
        let Some(list) = row.get_mut("components").and_then(Value::as_array_mut) else {
            return self.faults.required(&format!("{at}.components"));
        };
        let wide = list.iter().filter(|it| kind(it) != 2).count();
        let most = if wide > 0 { 1 } else { 5 };
        self.faults.count(&format!("{at}.components"), list.len(), 1, most);
        for (index, component) in list.iter_mut().enumerate() {
            let at = format!("{at}.components.{index}");
            self.number(component);
            match (self.what, kind(component)) {
                (For::Modal, 4) => self.input(component, &at, true),
                (For::Message | For::Layout, 2) => self.button(component, &at),
                (For::Message | For::Layout, 3 | 5 | 6 | 7 | 8) => self.select(component, &at),
                (For::Modal, _) => self.faults.choice(&format!("{at}.type"), "4"),
                (For::Message | For::Layout, _) => {
                    self.faults.choice(&format!("{at}.type"), "2, 3, 5, 6, 7, 8");
                }
            }
        }
    }

    fn label(&mut self, label: &mut Value, at: &str) {
        self.faults.length(&format!("{at}.label"), text(label, "label"), 1, 45);
        self.faults.length(&format!("{at}.description"), text(label, "description"), 0, 100);
        let Some(inner) = label.get_mut("component") else {
            return self.faults.required(&format!("{at}.component"));
        };
        self.number(inner);
        let at = format!("{at}.component");
        match kind(inner) {
            4 => self.input(inner, &at, false),
            3 | 5 | 6 | 7 | 8 => self.select(inner, &at),
            _ => self.faults.choice(&format!("{at}.type"), "3, 4, 5, 6, 7, 8"),
        }
    }

    fn custom_id(&mut self, component: &Value, at: &str) {
        let path = format!("{at}.custom_id");
        let Some(id) = component.get("custom_id").and_then(Value::as_str) else {
            return self.faults.required(&path);
        };
        self.faults.length(&path, id, 1, 100);
        if self.custom_ids.iter().any(|known| known == id) {
            let words = "Component custom id cannot be duplicated";
            self.faults.add(&path, "COMPONENT_CUSTOM_ID_DUPLICATED", words);
        }
        self.custom_ids.push(id.to_owned());
    }

    fn button(&mut self, button: &Value, at: &str) {
        let style = button.get("style").and_then(Value::as_u64).unwrap_or_default();
        self.faults.length(&format!("{at}.label"), text(button, "label"), 0, 80);
        match style {
            1..=4 => {
                self.custom_id(button, at);
                if button.get("url").is_some_and(|url| !url.is_null()) {
                    let words = "A url cannot be specified for this button";
                    self.faults.add(&format!("{at}.url"), "BUTTON_COMPONENT_INVALID_URL", words);
                }
            }
            5 => {
                if text(button, "url").is_empty() {
                    self.faults.required(&format!("{at}.url"));
                }
                self.faults.length(&format!("{at}.url"), text(button, "url"), 0, 512);
                if button.get("custom_id").is_some_and(|id| !id.is_null()) {
                    let words = "A custom id and url cannot both be specified";
                    self.faults.add(at, "BUTTON_COMPONENT_CUSTOM_ID_URL_MUTUALLY_EXCLUSIVE", words);
                }
            }
            6 => {}
            _ => self.faults.choice(&format!("{at}.style"), "1, 2, 3, 4, 5, 6"),
        }
        let bare = text(button, "label").is_empty() && button.get("emoji").is_none_or(Value::is_null);
        if style != 6 && bare {
            let words = "A button must have a label or an emoji";
            self.faults.add(&format!("{at}.label"), "BUTTON_COMPONENT_LABEL_OR_EMOJI_REQUIRED", words);
        }
    }

    fn select(&mut self, select: &Value, at: &str) {
        self.custom_id(select, at);
        self.faults.length(&format!("{at}.placeholder"), text(select, "placeholder"), 0, 150);
        for (name, least) in [("min_values", 0), ("max_values", 1)] {
            let value = select.get(name).filter(|value| !value.is_null());
            if value.is_some_and(|it| it.as_u64().is_none_or(|it| it < least || it > 25)) {
                let words = format!("int value should be between {least} and 25.");
                self.faults.add(&format!("{at}.{name}"), "NUMBER_TYPE_MAX", &words);
            }
        }
        if self.what == For::Modal {
            // <https://discord.com/developers/docs/components/reference#string-select>
            if select.get("disabled") == Some(&json!(true)) {
                let words = "A component of a modal cannot be disabled";
                self.faults.add(&format!("{at}.disabled"), "COMPONENT_DISABLED_IN_MODAL", words);
            }
            let required = select.get("required") != Some(&json!(false));
            if required && select.get("min_values").and_then(Value::as_u64) == Some(0) {
                let words = "min_values must be at least 1 where an answer is required";
                self.faults.add(&format!("{at}.min_values"), "NUMBER_TYPE_MIN", words);
            }
        }
        if kind(select) != 3 {
            return;
        }
        let Some(options) = select.get("options").and_then(Value::as_array) else {
            return self.faults.required(&format!("{at}.options"));
        };
        self.faults.count(&format!("{at}.options"), options.len(), 1, 25);
        let mut values = Vec::new();
        for (index, option) in options.iter().enumerate() {
            let at = format!("{at}.options.{index}");
            self.faults.length(&format!("{at}.label"), text(option, "label"), 1, 100);
            self.faults.length(&format!("{at}.value"), text(option, "value"), 1, 100);
            self.faults.length(&format!("{at}.description"), text(option, "description"), 0, 100);
            let value = text(option, "value");
            if values.contains(&value) {
                let words = "The specified option value is already used";
                self.faults.add(&format!("{at}.value"), "SELECT_COMPONENT_OPTION_VALUE_DUPLICATED", words);
            }
            values.push(value);
        }
        let most = select.get("max_values").and_then(Value::as_u64).unwrap_or(1);
        let standing = options.iter().filter(|option| option.get("default") == Some(&json!(true)));
        if standing.count() as u64 > most {
            let words = "More options are chosen at first than may be chosen";
            self.faults.add(&format!("{at}.options"), "SELECT_COMPONENT_TOO_MANY_DEFAULT_VALUES", words);
        }
    }

    fn input(&mut self, input: &Value, at: &str, labelled: bool) {
        self.custom_id(input, at);
        if labelled {
            self.faults.length(&format!("{at}.label"), text(input, "label"), 1, 45);
        }
        if !matches!(input.get("style").and_then(Value::as_u64), Some(1 | 2)) {
            self.faults.choice(&format!("{at}.style"), "1, 2");
        }
        self.faults.length(&format!("{at}.placeholder"), text(input, "placeholder"), 0, 100);
        self.faults.length(&format!("{at}.value"), text(input, "value"), 0, 4000);
        for (name, least) in [("min_length", 0), ("max_length", 1)] {
            let value = input.get(name).filter(|value| !value.is_null());
            if value.is_some_and(|it| it.as_u64().is_none_or(|it| it < least || it > 4000)) {
                let words = format!("int value should be between {least} and 4000.");
                self.faults.add(&format!("{at}.{name}"), "NUMBER_TYPE_MAX", &words);
            }
        }
    }
}

/// The component with this `custom_id`, wherever it is.
pub(crate) fn find<'a>(value: &'a Value, custom_id: &str) -> Option<&'a Value> {
    match value {
        Value::Array(list) => list.iter().find_map(|item| find(item, custom_id)),
        Value::Object(object) => {
            if object.get("custom_id").is_some_and(|id| id == custom_id) {
                return Some(value);
            }
            object.values().find_map(|inner| find(inner, custom_id))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}
