//! Why a call is refused, as Discord's documentation of errors has it.

use serde_json::{Map, Value, json};

/// Why a call is refused.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) code: u64,
    pub(crate) message: String,
    pub(crate) errors: Option<Value>,
}

impl Refusal {
    /// A refusal with an error code and its words.
    pub(crate) fn new(status: u16, code: u64, message: &str) -> Self {
        Self { status, code, message: message.to_owned(), errors: None }
    }

    /// No token, a wrong one, or one that is revoked.
    pub(crate) fn unauthorized() -> Self {
        Self::new(401, 0, "401: Unauthorized")
    }

    /// There is no such route.
    pub(crate) fn no_route() -> Self {
        Self::new(404, 0, "404: Not Found")
    }

    /// A place that the app does not see.
    pub(crate) fn no_access() -> Self {
        Self::new(403, 50001, "Missing Access")
    }

    /// Something that the app may not do.
    pub(crate) fn no_permission() -> Self {
        Self::new(403, 50013, "Missing Permissions")
    }

    /// There is no such channel.
    pub(crate) fn unknown_channel() -> Self {
        Self::new(404, 10003, "Unknown Channel")
    }

    /// There is no such message.
    pub(crate) fn unknown_message() -> Self {
        Self::new(404, 10008, "Unknown Message")
    }

    /// One field is not as it should be.
    pub(crate) fn field(path: &str, code: &str, message: &str) -> Self {
        let mut faults = Faults::default();
        faults.add(path, code, message);
        faults.refusal()
    }

    /// The body of the answer.
    pub(crate) fn show(&self) -> Value {
        let mut body = Map::new();
        body.insert("message".to_owned(), json!(self.message));
        body.insert("code".to_owned(), json!(self.code));
        if let Some(errors) = &self.errors {
            body.insert("errors".to_owned(), errors.clone());
        }
        Value::Object(body)
    }
}

/// What is wrong with the fields of a body.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<(String, String, String)>);

impl Faults {
    /// Something is wrong with a field, its path written with dots.
    pub(crate) fn add(&mut self, path: &str, code: &str, message: &str) {
        self.0.push((path.to_owned(), code.to_owned(), message.to_owned()));
    }

    /// A field that has to be there is not.
    pub(crate) fn required(&mut self, path: &str) {
        self.add(path, "BASE_TYPE_REQUIRED", "This field is required");
    }

    /// A text may have so many characters, and has to have so many.
    pub(crate) fn length(&mut self, path: &str, text: &str, least: usize, most: usize) {
        let length = text.chars().count();
        if length >= least && length <= most {
            return;
        }
        if least > 0 {
            let words = format!("Must be between {least} and {most} in length.");
            self.add(path, "BASE_TYPE_BAD_LENGTH", &words);
        } else {
            let words = format!("Must be {most} or fewer in length.");
            self.add(path, "BASE_TYPE_MAX_LENGTH", &words);
        }
    }

    /// A list may have so many members, and has to have so many.
    pub(crate) fn count(&mut self, path: &str, count: usize, least: usize, most: usize) {
        if count < least || count > most {
            let words = format!("Must be between {least} and {most} in length.");
            self.add(path, "BASE_TYPE_BAD_LENGTH", &words);
        }
    }

    /// A field is none of the known ones.
    pub(crate) fn choice(&mut self, path: &str, known: &str) {
        let words = format!("Value must be one of {{{known}}}.");
        self.add(path, "BASE_TYPE_CHOICES", &words);
    }

    /// The refusal that says all of it.
    pub(crate) fn refusal(&self) -> Refusal {
        let mut errors = json!({});
        for (path, code, message) in &self.0 {
            let pointer: String =
                path.split('.').filter(|part| !part.is_empty()).map(|part| format!("/{part}")).collect();
            let mut made = String::new();
            for part in pointer.split('/').skip(1) {
                if let Some(object) = errors.pointer_mut(&made).and_then(Value::as_object_mut) {
                    object.entry(part).or_insert_with(|| json!({}));
                }
                made = format!("{made}/{part}");
            }
            if let Some(object) = errors.pointer_mut(&pointer).and_then(Value::as_object_mut) {
                let list = object.entry("_errors").or_insert_with(|| json!([]));
                if let Some(list) = list.as_array_mut() {
                    list.push(json!({"code": code, "message": message}));
                }
            }
        }
        Refusal { errors: Some(errors), ..Refusal::new(400, 50035, "Invalid Form Body") }
    }

    /// An error if anything is wrong.
    pub(crate) fn check(&self) -> Result<(), Refusal> {
        if self.0.is_empty() { Ok(()) } else { Err(self.refusal()) }
    }
}
