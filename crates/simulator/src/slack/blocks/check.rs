//! The collected faults of some blocks, and the checks that are needed everywhere.

use serde_json::Value;

/// What was found wrong so far.
#[derive(Debug, Default)]
pub(super) struct Check {
    pub(super) faults: Vec<String>,
}

impl Check {
    /// Something is wrong at a place.
    pub(super) fn fault(&mut self, what: &str, at: &str) {
        self.faults.push(format!("{what} [json-pointer:{at}]"));
    }

    /// No other fields than these.
    pub(super) fn only(&mut self, value: &Value, at: &str, known: &[&str]) {
        for name in value.as_object().into_iter().flat_map(|object| object.keys()) {
            if !known.contains(&name.as_str()) {
                self.fault(&format!("invalid additional property: {name}"), at);
            }
        }
    }

    /// Text of at least one and at most so many characters.
    pub(super) fn string(&mut self, value: &Value, name: &str, at: &str, most: usize, needed: bool) {
        match value.get(name) {
            None if needed => self.fault(&format!("missing required field: {name}"), at),
            None => {}
            Some(text) => match text.as_str() {
                Some(text) => self.length(text, &format!("{at}/{name}"), most, needed),
                None => self.fault("must be a string", &format!("{at}/{name}")),
            },
        }
    }

    /// Text of at most so many characters, if it is there.
    pub(super) fn short(&mut self, value: &Value, name: &str, at: &str, most: usize) {
        self.string(value, name, at, most, false);
    }

    fn length(&mut self, text: &str, at: &str, most: usize, some: bool) {
        let count = text.chars().count();
        if count > most {
            self.fault(&format!("must be less than {} characters", most + 1), at);
        }
        if some && count == 0 {
            self.fault("must be more than 0 characters", at);
        }
    }

    /// A text object of either kind in a field.
    pub(super) fn text(&mut self, value: &Value, name: &str, at: &str, most: usize, needed: bool) {
        match value.get(name) {
            None if needed => self.fault(&format!("missing required field: {name}"), at),
            None => {}
            Some(text) => self.text_object(text, &format!("{at}/{name}"), most),
        }
    }

    /// A plain text object in a field.
    pub(super) fn plain(&mut self, value: &Value, name: &str, at: &str, most: usize, needed: bool) {
        if let Some(text) = value.get(name)
            && text.get("type").is_none_or(|kind| kind != "plain_text")
        {
            self.fault("must be a plain_text object", &format!("{at}/{name}"));
            return;
        }
        self.text(value, name, at, most, needed);
    }

    /// A text object of either kind.
    pub(super) fn text_object(&mut self, text: &Value, at: &str, most: usize) {
        match text.get("type").and_then(Value::as_str) {
            Some("mrkdwn") => self.only(text, at, &["type", "text", "verbatim"]),
            Some("plain_text") => self.only(text, at, &["type", "text", "emoji"]),
            Some(kind) => {
                self.fault(&format!("unsupported type: {kind}"), &format!("{at}/type"));
                return;
            }
            None => {
                self.fault("missing required field: type", at);
                return;
            }
        }
        self.string(text, "text", at, most, true);
    }

    /// The items of a list with at least and at most so many, with their places.
    pub(super) fn list<'a>(
        &mut self,
        value: &'a Value,
        name: &str,
        at: &str,
        least: usize,
        most: usize,
    ) -> Vec<(&'a Value, String)> {
        let Some(found) = value.get(name) else {
            self.fault(&format!("missing required field: {name}"), at);
            return Vec::new();
        };
        let at = format!("{at}/{name}");
        let Some(list) = found.as_array() else {
            self.fault("must be an array", &at);
            return Vec::new();
        };
        if list.len() < least {
            self.fault(&format!("must have at least {least} items"), &at);
        }
        if list.len() > most {
            self.fault(&format!("no more than {most} items allowed"), &at);
        }
        list.iter().enumerate().map(|(index, item)| (item, format!("{at}/{index}"))).collect()
    }
}
