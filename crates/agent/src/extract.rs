//! From a model's whole output to one typed intent.
//!
//! An [`Extractor`] knows one agent version's tools and desks. It reads the output with the tolerant reader, wants to
//! find exactly one intent in it, and checks that intent against the agent: fields, tools, arguments, places.
//!
//! Invariant: what comes out was said by the model, whole and in exactly one reading; anything else is a [`Rejection`].
//! Invariant: if an output is valid, each of its beginnings is either rejected or yields the same intent. (The one
//! exception is an output that opens with thoughts and no opening tag: a draft in them looks like the intent until the
//! closing tag comes.)

mod check;
mod preview;
mod schema;

pub(crate) use check::{compile, fit};

use std::fmt;

use jsonschema::Validator;
use serde_json::Value;

use crate::{
    canonical::canonical,
    intent::Intent,
    lenient::{Found, Limits, Repair, read},
    prompt::Function,
};

/// The longest text of an intent, in characters.
const TEXT_CHARS_MAX: usize = 16_000;
/// The longest answer to choose from, in characters.
const OPTION_CHARS_MAX: usize = 80;
/// The most answers to choose from.
const OPTIONS_MAX: usize = 10;
/// The most files sent along.
const FILES_MAX: usize = 10;
/// The longest name of a file, in characters.
const FILE_NAME_CHARS_MAX: usize = 255;
/// The longest rejection, in bytes.
const REJECTION_BYTES_MAX: usize = 1_000;

/// Turns outputs into intents, for one version of one agent.
pub struct Extractor {
    tools: Vec<Tool>,
    /// Where `ask` may ask: `origin` first.
    places: Vec<String>,
    forms: Vec<FormName>,
    /// How many calls one intent may want.
    calls_max: usize,
    limits: Limits,
    /// What [`schema::output`] says of these, made once: it is asked for at each thought.
    schema: Value,
    schema_text: String,
}

/// A tool, as far as its calls are concerned.
struct Tool {
    name: String,
    schema: Value,
    validator: Validator,
    /// The names of all arguments, if the schema lists them and allows no other.
    all_args: Option<Vec<String>>,
}

/// A form, as far as it can be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormName {
    /// What the model calls it.
    pub name: String,
    /// What it is about.
    pub title: String,
}

/// What was found in an output.
#[derive(Clone, Debug, PartialEq)]
pub struct Extracted {
    /// What the model wants.
    pub intent: Intent,
    /// What had to be mended to read it, each sort once.
    pub repairs: Vec<Repair>,
}

/// Why an output is not an intent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// A few lines for the model, at most 1 KB: what is wrong, where, and what was expected. Quotes short pieces of the
    /// output.
    pub what: String,
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Rejection {}

impl Rejection {
    fn new(what: impl Into<String>) -> Self {
        let mut what = what.into();
        if what.len() > REJECTION_BYTES_MAX {
            let end = (0..=REJECTION_BYTES_MAX - 4).rev().find(|&i| what.is_char_boundary(i)).unwrap_or(0);
            what.truncate(end);
            what.push('…');
        }
        Self { what }
    }
}

impl Extractor {
    /// An extractor for an agent with these tools (name and JSON Schema of the arguments) and forms, which may ask at these
    /// places (names of desks, groups and members) and at the origin.
    ///
    /// # Errors
    /// A sentence that names the tool whose name or schema cannot be used.
    pub fn new(tools: &[(String, Value)], desks: &[String], forms: &[FormName]) -> Result<Self, String> {
        let mut compiled: Vec<Tool> = vec![];
        for (name, schema) in tools {
            if compiled.iter().any(|other| other.name == *name) {
                return Err(format!("tool `{name}`: there are two of this name"));
            }
            compiled.push(Tool::new(name, schema)?);
        }
        let mut places = vec!["origin".to_owned()];
        places.extend(desks.iter().filter(|desk| *desk != "origin").cloned());
        let forms = forms.to_vec();
        let (limits, schema) = (Limits::default(), Value::Null);
        let extractor =
            Self { tools: compiled, places, forms, calls_max: 1, limits, schema, schema_text: String::new() };
        Ok(extractor.with_calls(1))
    }

    /// The same for an agent that may want so many calls at once; of one there is no such intent.
    #[must_use]
    pub fn with_calls(mut self, max: usize) -> Self {
        self.calls_max = max;
        self.schema = schema::output(&self.tools, &self.places, &self.forms, max);
        self.schema_text = self.schema.to_string();
        self
    }

    /// The JSON Schema (2020-12) of the whole output: an object whose one key `next` holds the intent.
    pub fn schema(&self) -> &Value {
        &self.schema
    }

    /// The same as text.
    pub fn schema_text(&self) -> &str {
        &self.schema_text
    }

    /// Each tool and each other intent as a function. Descriptions are looked up by the function's name; an intent
    /// without one has its own.
    pub fn functions(&self, descriptions: &[(String, String)]) -> Vec<Function> {
        schema::functions(&self.tools, &self.places, &self.forms, self.calls_max, descriptions)
    }

    /// Reads a model's whole output. `truncated`: the provider said that it stopped for lack of room.
    ///
    /// # Errors
    /// The output is not exactly one valid intent, in exactly one reading.
    pub fn extract(&self, output: &str, truncated: bool) -> Result<Extracted, Rejection> {
        self.read(output, truncated).map_err(|what| {
            let cut = if truncated {
                "The output was cut off for lack of room; write a shorter one.\n"
            } else {
                ""
            };
            Rejection::new(format!("{cut}{what}"))
        })
    }

    fn read(&self, output: &str, truncated: bool) -> Result<Extracted, String> {
        let found = read(output, &self.limits).map_err(|problem| problem.to_string())?;
        let candidates = candidates(output, &found)?;
        let last = candidates.last().ok_or_else(|| nothing(&found))?;
        // Whatever the model was about to write might have taken the intent back.
        if truncated && !(last.open == 0 && rest(output, last).is_empty()) {
            return Err("write the JSON object and nothing after it".into());
        }
        let mut extracted: Option<Extracted> = None;
        for candidate in candidates {
            let this = self.check(candidate)?;
            let same = |other: &Extracted| name(&other.intent) == name(&this.intent);
            if !extracted.as_ref().is_none_or(same) {
                return Err("these are two different intents; write exactly one".into());
            }
            extracted.get_or_insert(this);
        }
        extracted.ok_or_else(|| nothing(&found))
    }
}

/// One text for each intent.
fn name(intent: &Intent) -> String {
    serde_json::to_value(intent).map(|value| canonical(&value)).unwrap_or_default()
}

/// What follows an object, apart from the end of its fence.
fn rest<'a>(output: &'a str, object: &Found) -> &'a str {
    output.get(object.span.end..).unwrap_or_default().trim_matches(|c: char| c.is_whitespace() || c == '`')
}

/// Whether an object means to be an intent. It is then a valid one, or the output is rejected.
fn means_intent(object: &Found) -> bool {
    object.members.contains_key("intent") || object.members.contains_key("next")
}

/// The objects that mean to be intents. Others are prose, unless they are cut off and could have become anything.
fn candidates<'a>(output: &str, found: &'a [Found]) -> Result<Vec<&'a Found>, String> {
    for object in found {
        let start: String = output.get(object.span.clone()).unwrap_or_default().chars().take(30).collect();
        if object.open > 0 && !means_intent(object) {
            return Err(format!("the object {start:?} is cut off"));
        }
        if let (true, Some(doubt)) = (means_intent(object), object.doubt) {
            return Err(format!("the object {start:?} does not stand alone: {}", doubt.as_str()));
        }
    }
    Ok(found.iter().filter(|object| means_intent(object)).collect())
}

/// Says that there is no intent, and what there is instead.
fn nothing(found: &[Found]) -> String {
    let shape = r#"write one JSON object such as {"intent":"finish","text":"…"}"#;
    match found.first() {
        None => format!("no JSON object in the output; {shape}"),
        Some(object) => {
            let keys: Vec<String> = object.members.keys().take(8).map(|key| check::short(key)).collect();
            let keys =
                if keys.is_empty() { "no keys".into() } else { format!("the keys {}", keys.join(", ")) };
            format!("no intent in the output, only an object with {keys}; {shape}")
        }
    }
}
