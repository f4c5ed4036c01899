//! Reads an object that is still being written, as far as it goes.

use serde_json::{Map, Value};

use super::Reader;

/// The member whose text may still go on; every other one is known when it is whole.
const GROWS: &str = "text";
/// The member that holds the whole of it, where there is one around it.
const WRAPS: &str = "next";

impl Reader<'_> {
    /// The members so far. They end where the text ends, or where the object breaks.
    pub(in crate::lenient) fn so_far(mut self) -> Map<String, Value> {
        let mut members = Map::new();
        // Whether it came to its end makes no difference to what there is of it.
        let _ = self.gather(&mut members, true);
        members
    }

    /// Reads members in the very order and way of a whole object. Nothing where it came to no end.
    fn gather(&mut self, members: &mut Map<String, Value>, outermost: bool) -> Option<()> {
        self.enter().ok()?;
        loop {
            self.space().ok()?;
            if self.eat('}') {
                return Some(());
            }
            let key = self.key().ok()?;
            self.space().ok()?;
            if members.contains_key(&key) || !self.eat(':') {
                return None;
            }
            self.space().ok()?;
            let (value, whole) = match (key.as_str(), self.peek()?) {
                (WRAPS, '{') if outermost => {
                    let mut inner = Map::new();
                    let whole = self.gather(&mut inner, false);
                    (Value::Object(inner), whole)
                }
                (GROWS, '"' | '\'' | '\u{201c}' | '\u{2018}') => {
                    let mut text = String::new();
                    let whole = self.string_into(&mut text).ok();
                    (Value::String(text), whole)
                }
                _ => (self.value().ok()?, Some(())),
            };
            members.insert(key, value);
            whole?;
            self.space().ok()?;
            if self.eat('}') {
                return Some(());
            }
            self.eat(',').then_some(())?;
        }
    }
}
