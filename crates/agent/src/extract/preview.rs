//! What a model is about to say, while it still writes.

use serde_json::{Map, Value};

use super::{Extractor, TEXT_CHARS_MAX, check::fits, means_intent};
use crate::lenient::{Found, read_so_far};

impl Extractor {
    /// The words so far, if an output that begins like this is going to say something (`say`, `finish`). Of any other
    /// intent there is nothing to see, and none before the intent is known.
    ///
    /// Invariant: whatever becomes of the output, what was shown is a beginning of what [`Extractor::extract`] finds in it,
    /// or that finds nothing. (The one exception is the one of `extract`: thoughts without an opening tag.)
    pub fn preview(&self, output_so_far: &str) -> Option<String> {
        let found = read_so_far(output_so_far, &self.limits).ok()?;
        let mut intents = found.into_iter().filter(means_intent);
        // With a second one it is open which of them counts, if any.
        let (Some(one), None) = (intents.next(), intents.next()) else { return None };
        if one.doubt.is_some() {
            return None;
        }
        words(unwrapped(one)?)
    }
}

/// The intent's own members.
fn unwrapped(found: Found) -> Option<Map<String, Value>> {
    let mut members = found.members;
    match members.remove("next") {
        None => Some(members),
        Some(Value::Object(inner)) if members.is_empty() => Some(inner),
        Some(_) => None,
    }
}

/// The text of an intent that says something, as long as nothing is wrong with it.
fn words(mut members: Map<String, Value>) -> Option<String> {
    let says = members.get("intent").and_then(Value::as_str).is_some_and(|is| matches!(is, "say" | "finish"));
    let known = members.keys().all(|key| matches!(key.as_str(), "intent" | "text" | "files"));
    match members.remove("text") {
        Some(Value::String(text)) if says && known && fits(&text, TEXT_CHARS_MAX).is_ok() => Some(text),
        Some(_) | None => None,
    }
}
