//! Whether an object is an intent of this agent, field by field, with every fault named.

use std::collections::BTreeSet;

use jsonschema::{PatternOptions, ValidationError, ValidationOptions, Validator};
use serde_json::{Map, Value};

use super::{
    Extracted, Extractor, FILE_NAME_CHARS_MAX, FILES_MAX, OPTION_CHARS_MAX, OPTIONS_MAX, TEXT_CHARS_MAX, Tool,
};
use crate::{
    canonical::canonical,
    intent::{Intent, WantedCall},
    lenient::{Found, Repair},
};

/// The intents beside `act`. A tool cannot have these names, for each is a function too.
pub(super) const WORDS: [&str; 4] = ["ask", "say", "finish", "hand_over"];
/// The intent of several calls; a function too, where the agent may want several.
pub(super) const SEVERAL: &str = "act_all";
/// The most faults that one rejection lists.
const FAULTS_MAX: usize = 8;

impl Tool {
    pub(super) fn new(name: &str, schema: &Value) -> Result<Self, String> {
        let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
        if !plain || name.is_empty() || name.len() > 64 {
            let rule = "a tool's name is 1 to 64 letters, digits, `_` or `-`";
            return Err(format!("tool {}: {rule}", short(name)));
        }
        if name == "act" || name == SEVERAL || WORDS.contains(&name) {
            return Err(format!("tool `{name}`: this is the name of an intent; choose another"));
        }
        if schema.get("type").and_then(Value::as_str) != Some("object") {
            return Err(format!("tool `{name}`: the schema of its arguments needs `\"type\": \"object\"`"));
        }
        let validator = options().build(schema).map_err(|error| {
            let path = path("parameters", error.instance_path().as_str());
            format!("tool `{name}`: its arguments have no valid JSON Schema: `{path}`: {error}")
        })?;
        let schema = schema.clone();
        Ok(Self { name: name.to_owned(), all_args: all_args(&schema), schema, validator })
    }

    /// Whether no argument could be added to these.
    fn is_full(&self, args: &Map<String, Value>) -> bool {
        self.all_args.as_ref().is_some_and(|names| names.iter().all(|name| args.contains_key(name)))
    }
}

/// What every schema is compiled with: nothing is fetched, and no pattern takes long.
fn options() -> ValidationOptions<'static> {
    jsonschema::options()
        .offline()
        .should_validate_formats(true)
        .with_pattern_options(PatternOptions::fancy_regex().backtrack_limit(100_000))
}

/// A schema, for holding values to it.
///
/// # Errors
/// Why it is none.
pub(crate) fn compile(schema: &Value) -> Result<Validator, String> {
    options().build(schema).map_err(|error| error.to_string())
}

/// Whether a value that a person gave fits.
///
/// # Errors
/// A sentence that names what is wrong.
pub(crate) fn fit(validator: &Validator, value: &Value) -> Result<(), String> {
    let fault = |error: ValidationError<'_>| match error.instance_path().as_str().trim_start_matches('/') {
        "" => error.to_string(),
        path => format!("`{path}`: {error}"),
    };
    let faults: Vec<String> = validator.iter_errors(value).take(FAULTS_MAX).map(fault).collect();
    if faults.is_empty() { Ok(()) } else { Err(faults.join("; ")) }
}

/// The names of all properties of a schema that allows no others.
fn all_args(schema: &Value) -> Option<Vec<String>> {
    let closed = schema.get("additionalProperties") == Some(&Value::Bool(false))
        && schema.get("patternProperties").is_none()
        && schema.get("$ref").is_none();
    let names = schema.get("properties").and_then(Value::as_object)?.keys().cloned().collect();
    closed.then_some(names)
}

impl Extractor {
    /// Whether arguments fit a tool: what a person changed is held to what a model is held to.
    ///
    /// # Errors
    /// A sentence that names what is wrong.
    pub fn check_args(&self, tool: &str, args: &Value) -> Result<(), String> {
        let known = self.tools.iter().find(|known| known.name == tool);
        let known = known.ok_or_else(|| format!("there is no tool `{tool}`"))?;
        fit(&known.validator, args)
    }

    /// Checks one object against the agent.
    pub(super) fn check(&self, found: &Found) -> Result<Extracted, String> {
        let (members, base, open) = unwrap(found)?;
        let mut fields =
            Fields { members, base, known: vec!["intent"], faults: vec![], repairs: found.repairs.clone() };
        let intent = self.intent(&mut fields);
        let Fields { known, faults, repairs, .. } = fields.refuse_others();
        if !faults.is_empty() {
            return Err(list(faults));
        }
        let intent = intent.ok_or("no intent")?;
        if open > 0 && !self.is_whole(&intent, members, &known, open) {
            return Err("the closing brackets are missing, and more could have stood before them; \
                        write the object to its end"
                .into());
        }
        Ok(Extracted { intent, repairs })
    }

    /// Whether an object with its last `open` brackets missing can only be what it is: every field is there, and every
    /// argument.
    fn is_whole(&self, intent: &Intent, members: &Map<String, Value>, known: &[&str], open: usize) -> bool {
        let args_are_full = match intent {
            Intent::Act { tool, args } => {
                let tool = self.tools.iter().find(|known| known.name == *tool);
                tool.zip(args.as_object()).is_some_and(|(tool, args)| tool.is_full(args))
            }
            Intent::ActAll { .. }
            | Intent::Ask { .. }
            | Intent::Say { .. }
            | Intent::Finish { .. }
            | Intent::HandOver { .. } => false,
        };
        known.iter().all(|field| members.contains_key(*field)) && (open == 1 || (open == 2 && args_are_full))
    }

    fn intent(&self, fields: &mut Fields<'_>) -> Option<Intent> {
        match fields.word("intent", "one of the intents")? {
            "act" => self.act(fields),
            SEVERAL if self.calls_max > 1 => self.act_all(fields),
            "ask" => {
                let (text, to, options) = (fields.text("text"), self.place(fields), fields.options());
                let (several, form) = (fields.several(&options), self.form(fields, &options));
                Some(Intent::Ask { text: text?, to, options, several, form })
            }
            "say" => {
                let (text, files) = (fields.text("text"), fields.files());
                Some(Intent::Say { text: text?, files })
            }
            "finish" => {
                let (text, files) = (fields.text("text"), fields.files());
                Some(Intent::Finish { text: text?, files })
            }
            "hand_over" => Some(Intent::HandOver { reason: fields.text("reason")? }),
            other => {
                let intents = if self.tools.is_empty() { "" } else { "act, " };
                let intents = format!("{intents}{}", WORDS.join(", "));
                let hint = match self.tools.iter().any(|tool| tool.name == other) {
                    true => format!("; to run this tool write \"intent\":\"act\",\"tool\":\"{other}\""),
                    false => String::new(),
                };
                fields.fault("intent", format!("{} is none of the intents {intents}{hint}", short(other)));
                fields.any_other();
                None
            }
        }
    }

    fn act(&self, fields: &mut Fields<'_>) -> Option<Intent> {
        let args = fields.required("args", "an object with the tool's arguments");
        let name = fields.word("tool", "the name of a tool")?;
        let (base, mut faults) = (fields.base.to_owned(), Vec::new());
        let call = self.call(&base, name, args, &mut faults);
        fields.faults.extend(faults);
        call.map(|WantedCall { tool, args }| Intent::Act { tool, args })
    }

    /// Several calls, none of them twice.
    fn act_all(&self, fields: &mut Fields<'_>) -> Option<Intent> {
        let calls = fields.required("calls", "a list of objects with `tool` and `args`")?;
        let Some(calls) = calls.as_array() else {
            fields.fault("calls", format!("{} is not a list", short_value(calls)));
            return None;
        };
        if !(2..=self.calls_max).contains(&calls.len()) {
            let many = format!(
                "these are {}; write 2 to {}, or a single one with `act`",
                calls.len(),
                self.calls_max
            );
            fields.fault("calls", many);
            return None;
        }
        let (mut faults, mut wanted) = (Vec::new(), Vec::<WantedCall>::new());
        for (place, call) in calls.iter().enumerate() {
            let path = format!("{}calls[{place}]", fields.base);
            let base = format!("{path}.");
            let members =
                call.as_object().filter(|members| members.keys().all(|key| key == "tool" || key == "args"));
            let Some(members) = members else {
                faults.push(format!(
                    "{path}: {} is not an object with `tool` and `args` alone",
                    short_value(call)
                ));
                continue;
            };
            let Some(name) = members.get("tool").and_then(Value::as_str) else {
                faults.push(format!("{base}tool: missing; expected the name of a tool"));
                continue;
            };
            if !members.contains_key("args") {
                faults.push(format!("{base}args: missing; expected an object with the tool's arguments"));
            }
            let Some(call) = self.call(&base, name, members.get("args"), &mut faults) else { continue };
            let same = |other: &WantedCall| {
                other.tool == call.tool && canonical(&other.args) == canonical(&call.args)
            };
            if wanted.iter().any(same) {
                faults.push(format!("{path}: the same call stands there twice"));
            }
            wanted.push(call);
        }
        fields.faults.extend(faults);
        Some(Intent::ActAll { calls: wanted })
    }

    /// One call; `base` stands before the names of its fields where a fault is told.
    fn call(
        &self,
        base: &str,
        name: &str,
        args: Option<&Value>,
        faults: &mut Vec<String>,
    ) -> Option<WantedCall> {
        let Some(tool) = self.tools.iter().find(|tool| tool.name == name) else {
            let known = nearest(name, self.tools.iter().map(|tool| tool.name.as_str()));
            let known = if known.is_empty() { "there are none".into() } else { format!("there are {known}") };
            faults.push(format!("{base}tool: {} is no tool of this agent; {known}", short(name)));
            return None;
        };
        let args = args?;
        if !args.is_object() {
            faults.push(format!("{base}args: {} is not an object", short_value(args)));
            return None;
        }
        let base = format!("{base}args");
        for error in tool.validator.iter_errors(args).take(FAULTS_MAX + 1) {
            let path = path(&base, error.instance_path().as_str());
            // Long values are not repeated: the model has them in its own output.
            let long = error.instance().to_string().len() > 60;
            let what = if long { error.masked_with("this value").to_string() } else { error.to_string() };
            faults.push(format!("{path}: {what}"));
        }
        Some(WantedCall { tool: name.to_owned(), args: args.clone() })
    }

    fn place(&self, fields: &mut Fields<'_>) -> Option<String> {
        let to = fields.optional("to")?;
        match to.as_str() {
            Some(to) if self.places.iter().any(|place| place == to) => Some(to.to_owned()),
            _ => {
                let known = nearest(to.as_str().unwrap_or_default(), self.places.iter().map(String::as_str));
                fields.fault("to", format!("{} is nowhere to ask; there are {known}", short_value(to)));
                None
            }
        }
    }

    /// Where the agent has no form there is no such field.
    fn form(&self, fields: &mut Fields<'_>, options: &[String]) -> Option<String> {
        if self.forms.is_empty() {
            return None;
        }
        let form = fields.optional("form")?;
        match form.as_str().filter(|name| self.forms.iter().any(|form| form.name == *name)) {
            Some(_) if !options.is_empty() => {
                fields.fault("form", "a form has choices of its own; write it without `options`");
                None
            }
            Some(form) => Some(form.to_owned()),
            None => {
                let names = self.forms.iter().map(|form| form.name.as_str());
                let known = nearest(form.as_str().unwrap_or_default(), names);
                fields.fault("form", format!("{} is no form; there are {known}", short_value(form)));
                None
            }
        }
    }
}

/// Takes the wrapper `next` off, and says by what path the intent's fields are named and how many brackets it lacks.
fn unwrap(found: &Found) -> Result<(&Map<String, Value>, &'static str, usize), String> {
    match found.members.get("next") {
        None => Ok((&found.members, "", found.open)),
        Some(_) if found.members.len() > 1 => {
            Err("beside `next` there is another key; write only {\"next\":{…}} or the intent alone".into())
        }
        Some(Value::Object(intent)) => Ok((intent, "next.", found.open.saturating_sub(1))),
        Some(other) => Err(format!("next: {} is not an object with the key `intent`", short_value(other))),
    }
}

/// The fields of an object while it is checked.
struct Fields<'a> {
    members: &'a Map<String, Value>,
    /// What stands before a field's name in its path.
    base: &'static str,
    /// The fields that this intent has.
    known: Vec<&'static str>,
    faults: Vec<String>,
    repairs: Vec<Repair>,
}

impl<'a> Fields<'a> {
    fn fault(&mut self, field: &str, what: impl AsRef<str>) {
        self.faults.push(format!("{}{field}: {}", self.base, what.as_ref()));
    }

    /// Every field is all right, for the intent is not even known.
    fn any_other(&mut self) {
        self.known.clear();
    }

    fn required(&mut self, field: &'static str, what: &str) -> Option<&'a Value> {
        self.know(field);
        let value = self.members.get(field);
        if value.is_none() {
            self.fault(field, format!("missing; expected {what}"));
        }
        value
    }

    /// A field that may be absent. `null` and an empty list say the same as absence, and nothing else.
    fn optional(&mut self, field: &'static str) -> Option<&'a Value> {
        self.know(field);
        let value = self.members.get(field)?;
        let empty = value.is_null() || value.as_array().is_some_and(Vec::is_empty);
        if empty && !self.repairs.contains(&Repair::EmptyField) {
            self.repairs.push(Repair::EmptyField);
        }
        (!empty).then_some(value)
    }

    fn know(&mut self, field: &'static str) {
        if !self.known.contains(&field) {
            self.known.push(field);
        }
    }

    fn word(&mut self, field: &'static str, what: &str) -> Option<&'a str> {
        let value = self.required(field, what)?;
        let word = value.as_str();
        if word.is_none() {
            self.fault(field, format!("{} is not a text; expected {what}", short_value(value)));
        }
        word
    }

    fn text(&mut self, field: &'static str) -> Option<String> {
        let text = self.word(field, "a text")?;
        if let Err(why) = fits(text, TEXT_CHARS_MAX) {
            self.fault(field, why);
        }
        Some(text.to_owned())
    }

    fn options(&mut self) -> Vec<String> {
        let options = self.texts("options", OPTION_CHARS_MAX, OPTIONS_MAX);
        if options.len() == 1 {
            self.fault("options", "one answer is no choice; write at least 2, or none");
        }
        options
    }

    /// Whether several options may be chosen; without options there is nothing to choose.
    fn several(&mut self, options: &[String]) -> bool {
        let Some(value) = self.optional("several") else { return false };
        match value.as_bool() {
            Some(true) if options.is_empty() => {
                self.fault("several", "there are no `options` to choose from");
                true
            }
            Some(several) => several,
            None => {
                self.fault("several", format!("{} is neither true nor false", short_value(value)));
                false
            }
        }
    }

    fn files(&mut self) -> Vec<String> {
        self.texts("files", FILE_NAME_CHARS_MAX, FILES_MAX)
    }

    fn texts(&mut self, field: &'static str, chars_max: usize, count_max: usize) -> Vec<String> {
        let Some(value) = self.optional(field) else { return vec![] };
        let Some(items) = value.as_array() else {
            self.fault(field, format!("{} is not a list of texts", short_value(value)));
            return vec![];
        };
        if items.len() > count_max {
            self.fault(field, format!("{} are too many; at most {count_max}", items.len()));
        }
        let mut texts: Vec<String> = vec![];
        let mut seen = BTreeSet::new();
        for (i, item) in items.iter().enumerate() {
            let why = match item.as_str() {
                None => Some(format!("{} is not a text", short_value(item))),
                Some(text) if !seen.insert(text) => Some(format!("{} is given twice", short(text))),
                Some(text) => fits(text, chars_max).err(),
            };
            if let Some(why) = why {
                self.fault(&format!("{field}[{i}]"), why);
            }
            texts.extend(item.as_str().map(str::to_owned));
        }
        texts
    }

    fn refuse_others(mut self) -> Self {
        if !self.known.is_empty() {
            let others: Vec<_> =
                self.members.keys().filter(|key| !self.known.contains(&key.as_str())).collect();
            for other in others.into_iter().take(FAULTS_MAX + 1) {
                let other: String = other.chars().take(40).flat_map(char::escape_debug).collect();
                let has = format!("unknown field; this intent has {}", self.known.join(", "));
                self.fault(&other, has);
            }
        }
        self
    }
}

/// Whether a text says something and is not too long.
pub(super) fn fits(text: &str, chars_max: usize) -> Result<(), String> {
    let chars = text.chars().count();
    if text.trim().is_empty() {
        Err("is empty".into())
    } else if chars > chars_max {
        Err(format!("has {chars} characters; at most {chars_max}"))
    } else {
        Ok(())
    }
}

/// Faults as lines, the first few of them.
fn list(mut faults: Vec<String>) -> String {
    if faults.len() > FAULTS_MAX {
        faults.truncate(FAULTS_MAX);
        faults.push("and more".into());
    }
    faults.join("\n")
}

/// `args` and `/items/0/name` as `args.items[0].name`.
fn path(base: &str, pointer: &str) -> String {
    let mut out = base.to_owned();
    for segment in pointer.split('/').skip(1) {
        let segment = segment.replace("~1", "/").replace("~0", "~");
        if !segment.is_empty() && segment.bytes().all(|b| b.is_ascii_digit()) {
            out.push_str(&format!("[{segment}]"));
        } else {
            out.push('.');
            out.extend(segment.chars().take(40).flat_map(char::escape_debug));
        }
    }
    out
}

/// A text in quotes, cut when long.
pub(super) fn short(text: &str) -> String {
    let start: String = text.chars().take(40).collect();
    let dots = if start.len() < text.len() { "…" } else { "" };
    format!("{start:?}{dots}")
}

fn short_value(value: &Value) -> String {
    match value {
        Value::String(text) => short(text),
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "an object".into(),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

/// The first ten names, those most like `name` first.
fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let mut known: Vec<&str> = known.collect();
    known.sort_by_key(|other| distance(name, other));
    let dots = if known.len() > 10 { ", …" } else { "" };
    known.truncate(10);
    format!("{}{dots}", known.join(", "))
}

/// How many letters must be added, dropped or changed to make one word of the other, looking at 64 of them.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(64).collect(), b.chars().take(64).collect());
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.iter().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let change = diagonal + usize::from(from != to);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}
