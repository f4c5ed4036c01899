//! Forms: an answer in fields, asked for and checked by a JSON Schema. Pure.
//!
//! A schema becomes lines to fill in ([`inputs`]); what was filled in becomes JSON that fits the schema ([`read`]), or a
//! sentence that names what is wrong. A reply in words says the same in lines, `field: value` ([`lines`]).
//!
//! Invariant: what is read fits the schema as it was asked, and holds nothing that was not filled in or stood there.

use std::collections::{BTreeMap, BTreeSet};

use channel::{Input, InputKind};
use serde_json::{Map, Value};

use crate::{
    event::Form,
    extract::{compile, fit},
    grammar::CHOOSE,
    inert::clip,
    revise::text_of,
};

/// The most fields of a form: more is no question any more.
const FIELDS_MAX: usize = 20;
/// The most choices of a field, and the longest of them, in characters.
const CHOICES_MAX: usize = 100;
const CHOICE_CHARS_MAX: usize = 80;
/// The longest name of a field, and the longest title, in characters.
const NAME_CHARS_MAX: usize = 60;
const TITLE_CHARS_MAX: usize = 100;
/// A text that may be longer than this has room for several lines.
const LINE_CHARS_MAX: u64 = 200;

/// The keys that the schema of a form, of a field and of the choices of a field may have.
const FORM_KEYS: &[&str] = &["type", "properties", "required", "additionalProperties"];
const FIELD_KEYS: &[&str] = &[
    "type",
    "title",
    "description",
    "default",
    "enum",
    "items",
    "format",
    "pattern",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minItems",
    "maxItems",
    "uniqueItems",
];
const ITEMS_KEYS: &[&str] = &["type", "enum"];

/// The lines of a form.
pub(crate) fn inputs(form: &Form) -> Vec<Input> {
    let input = |(name, field): (&String, &Value)| {
        let text = |key: &str| field.get(key).and_then(Value::as_str).map(str::to_owned);
        Input {
            id: name.clone(),
            label: text("title").unwrap_or_else(|| name.clone()),
            value: field.get("default").map(written).unwrap_or_default(),
            kind: kind(field),
            required: is_required(form, name),
            hint: text("description"),
        }
    };
    fields(&form.fields).into_iter().flatten().map(input).collect()
}

/// The line of a question that takes several of its options.
pub(crate) fn several(options: &[String]) -> Input {
    let kind = InputKind::Several(options.to_vec());
    Input { kind, required: true, ..Input::line(CHOOSE, "Your choice", "") }
}

/// An answer in words: `amount: 120, urgent: yes`.
pub(crate) fn told(answer: &Value) -> String {
    let told = |(name, value): (&String, &Value)| {
        format!("{name}: {}", clip(&written(value).replace('\n', ", "), 200))
    };
    answer.as_object().into_iter().flatten().map(told).collect::<Vec<_>>().join("; ")
}

/// What was filled in, by the names of the fields, as JSON that fits. A field that is left out counts as it stood there.
///
/// # Errors
/// A sentence to whoever filled it in.
pub(crate) fn read(form: &Form, values: &BTreeMap<String, String>) -> Result<Value, String> {
    let known = fields(&form.fields);
    let of = |name: &str| known.and_then(|known| known.get(name));
    if let Some(other) = values.keys().find(|name| of(name).is_none()) {
        return Err(format!("there is no field `{}`", clip(other, NAME_CHARS_MAX)));
    }
    let mut answer = Map::new();
    let mut faults = Vec::new();
    for (name, field) in known.into_iter().flatten() {
        let stood = || field.get("default").map(written).unwrap_or_default();
        let text = values.get(name).cloned().unwrap_or_else(stood);
        let text = text.trim();
        if !text.is_empty() {
            match value(field, text) {
                Ok(value) => drop(answer.insert(name.clone(), value)),
                Err(what) => faults.push(format!("`{name}` {what}")),
            }
        } else if is_required(form, name) {
            faults.push(format!("`{name}` is missing"));
        }
    }
    if !faults.is_empty() {
        return Err(faults.join("; "));
    }
    let answer = Value::Object(answer);
    compile(&form.fields).and_then(|validator| fit(&validator, &answer))?;
    Ok(answer)
}

/// A reply in words as the answer to a form; nothing where it names no field at all.
pub(crate) fn read_words(form: &Form, text: &str) -> Option<Result<Value, String>> {
    let names: Vec<&str> =
        fields(&form.fields).into_iter().flatten().map(|(name, _)| name.as_str()).collect();
    Some(lines(text, &names, true)?.and_then(|values| read(form, &values)))
}

/// The lines `field: value` of a text, by the names of the fields; nothing where they are none: where no field is named, or
/// where a line stands before the first. A line that begins no field goes on with the one above it, where that is allowed;
/// else it makes the text something else.
pub(crate) fn lines(
    text: &str,
    names: &[&str],
    go_on: bool,
) -> Option<Result<BTreeMap<String, String>, String>> {
    let mut values: BTreeMap<String, String> = BTreeMap::new();
    let mut last: Option<String> = None;
    let (mut fault, mut named) = (None, false);
    for line in text.lines().map(str::trim_end) {
        if let Some((head, rest)) = field_of(line, names) {
            let known = known_name(head, names);
            named |= known.is_some();
            let name = known.unwrap_or(head).to_owned();
            if known.is_none() {
                let all = names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
                let head = clip(head, NAME_CHARS_MAX);
                fault.get_or_insert(format!("there is no field `{head}`; the fields are {all}"));
            } else if values.insert(name.clone(), rest.trim().to_owned()).is_some() {
                fault.get_or_insert(format!("`{name}` is there twice"));
            }
            last = Some(name);
        } else if !line.trim().is_empty() || last.is_some() && go_on {
            let above = last.as_ref().filter(|_| go_on)?;
            if let Some(value) = values.get_mut(above) {
                value.push('\n');
                value.push_str(line);
            }
        }
    }
    named.then(|| fault.map_or(Ok(values), Err))
}

/// What a line gives, where it is a line `field: value`: a field that is known, or a word that could be one.
fn field_of<'a>(line: &'a str, names: &[&str]) -> Option<(&'a str, &'a str)> {
    let (head, rest) = line.split_once(':')?;
    // A name that was set in bold, with its colon.
    let rest = rest.strip_prefix('*').filter(|_| head.trim_start().starts_with('*')).unwrap_or(rest);
    let head = head.trim_matches(|c: char| c.is_whitespace() || matches!(c, '*' | '`' | '"' | '•' | '·'));
    let head = head.strip_prefix("- ").unwrap_or(head);
    let word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
    let could_be =
        !head.is_empty() && head.chars().all(word) && (rest.is_empty() || rest.starts_with([' ', '\t']));
    (could_be || known_name(head, names).is_some()).then_some((head, rest))
}

fn known_name<'a>(head: &str, names: &[&'a str]) -> Option<&'a str> {
    let exactly = names.iter().find(|name| **name == head);
    exactly.or_else(|| names.iter().find(|name| name.eq_ignore_ascii_case(head))).copied()
}

/// Reads a text as one of these: its words, or its number. Words go first, for a choice may be a number itself.
pub(crate) fn one_of(choices: &[String], text: &str) -> Option<usize> {
    let text = text.trim();
    let same = |choice: &String| choice.to_lowercase() == text.to_lowercase();
    let by_number = || text.parse::<usize>().ok()?.checked_sub(1).filter(|n| *n < choices.len());
    let exactly = choices.iter().position(|choice| choice == text);
    exactly.or_else(|| choices.iter().position(same)).or_else(by_number)
}

/// Reads a text as some of these: one a line, or several with commas between them; by their words or their numbers.
///
/// # Errors
/// What is none of them.
pub(crate) fn some_of(choices: &[String], text: &str) -> Result<BTreeSet<usize>, String> {
    let mut places = BTreeSet::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if let Some(place) = one_of(choices, line) {
            places.insert(place);
            continue;
        }
        for part in line.split([',', ';']).map(str::trim).filter(|part| !part.is_empty()) {
            places.insert(one_of(choices, part).ok_or_else(|| part.to_owned())?);
        }
    }
    Ok(places)
}

/// The fields of a schema, by name, in its order.
fn fields(schema: &Value) -> Option<&Map<String, Value>> {
    schema.get("properties").and_then(Value::as_object)
}

fn is_required(form: &Form, name: &str) -> bool {
    let required = form.fields.get("required").and_then(Value::as_array);
    required.is_some_and(|required| required.iter().any(|needed| needed == name))
}

fn kind(field: &Value) -> InputKind {
    let choices = |field: &Value| {
        let choices = field.get("enum").and_then(Value::as_array);
        choices.map(|choices| choices.iter().map(text_of).collect())
    };
    if let Some(choices) = choices(field) {
        return InputKind::One(choices);
    }
    match field.get("type").and_then(Value::as_str) {
        Some("boolean") => InputKind::YesNo,
        Some("number" | "integer") => InputKind::Number,
        Some("array") => InputKind::Several(field.get("items").and_then(choices).unwrap_or_default()),
        _ if field.get("format").is_some_and(|format| format == "date") => InputKind::Date,
        _ => {
            let room = field.get("maxLength").and_then(Value::as_u64);
            if room.is_some_and(|room| room > LINE_CHARS_MAX) { InputKind::Lines } else { InputKind::Line }
        }
    }
}

/// A value as it stands in a line.
fn written(value: &Value) -> String {
    match value {
        Value::Bool(yes) => if *yes { "yes" } else { "no" }.to_owned(),
        Value::Array(items) => items.iter().map(text_of).collect::<Vec<_>>().join("\n"),
        Value::Null | Value::Number(_) | Value::String(_) | Value::Object(_) => text_of(value),
    }
}

/// What stands in a line as the value of a field; else what is wrong with it, to go on after its name.
fn value(field: &Value, text: &str) -> Result<Value, String> {
    let one_line = || text.split_whitespace().collect::<Vec<_>>().join(" ");
    let wrong = |wanted: &str| Err(format!("is `{}`, and should be {wanted}", clip(&one_line(), 60)));
    let listed = |choices: &[String]| clip(&choices.join(", "), 300);
    match kind(field) {
        InputKind::Line | InputKind::Date => Ok(Value::String(one_line())),
        InputKind::Lines => Ok(Value::String(text.to_owned())),
        InputKind::Number => match serde_json::from_str(&one_line()) {
            Ok(number @ Value::Number(_)) => Ok(number),
            Ok(_) | Err(_) => wrong("a number like `12` or `0.5`"),
        },
        InputKind::YesNo => match one_line().to_lowercase().as_str() {
            "yes" | "true" => Ok(Value::Bool(true)),
            "no" | "false" => Ok(Value::Bool(false)),
            _ => wrong("`yes` or `no`"),
        },
        InputKind::One(choices) => match one_of(&choices, &one_line()) {
            Some(place) => Ok(choice(field, place)),
            None => wrong(&format!("one of: {}", listed(&choices))),
        },
        InputKind::Several(choices) => match some_of(&choices, text) {
            Ok(places) => {
                let items = field.get("items").unwrap_or(field);
                Ok(Value::Array(places.into_iter().map(|place| choice(items, place)).collect()))
            }
            Err(what) => Err(format!("has `{}`, which is none of: {}", clip(&what, 60), listed(&choices))),
        },
    }
}

fn choice(field: &Value, place: usize) -> Value {
    field.get("enum").and_then(|choices| choices.get(place)).cloned().unwrap_or_default()
}

/// What is wrong with a form: the path below it, what, and the remedy.
pub(crate) fn flaws(title: &str, schema: &Value) -> Vec<(Vec<String>, String, String)> {
    let mut flaws: Vec<(Vec<String>, String, String)> = Vec::new();
    let mut flaw = |path: &[&str], what: String, remedy: &str| {
        flaws.push((path.iter().map(|key| (*key).to_owned()).collect(), what, remedy.to_owned()));
    };
    if title.trim().is_empty() || title.chars().count() > TITLE_CHARS_MAX || title.contains('\n') {
        let what = format!("a title is one line of 1 to {TITLE_CHARS_MAX} characters");
        flaw(&["title"], what, "say in a few words what is asked for");
    }
    if schema.get("type").and_then(Value::as_str) != Some("object") {
        let what = "this is not the schema of an object".to_owned();
        flaw(&["fields"], what, "what a form asks for is an object: type = \"object\"");
    }
    for key in other_keys(schema, FORM_KEYS) {
        let remedy = format!("the keys here are: {}", FORM_KEYS.join(", "));
        flaw(&["fields", key], "a form cannot show what this says".into(), &remedy);
    }
    let known = fields(schema);
    let count = known.map_or(0, Map::len);
    if !(1..=FIELDS_MAX).contains(&count) {
        let what = format!("a form has 1 to {FIELDS_MAX} fields, and this one has {count}");
        flaw(&["fields", "properties"], what, "ask for less at once");
    }
    for name in schema.get("required").and_then(Value::as_array).into_iter().flatten() {
        let name = name.as_str().unwrap_or_default();
        if !known.is_some_and(|known| known.contains_key(name)) {
            flaw(&["fields", "required"], format!("there is no field `{name}`"), "name fields of this form");
        }
    }
    for (name, field) in known.into_iter().flatten() {
        let at = ["fields", "properties", name.as_str()];
        let letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        let twice = known.into_iter().flatten().filter(|(other, _)| other.eq_ignore_ascii_case(name)).count();
        if name.is_empty() || name.len() > NAME_CHARS_MAX || !name.chars().all(letter) || twice > 1 {
            let what = format!("`{}` cannot be the name of a field", clip(name, NAME_CHARS_MAX));
            flaw(&at, what, "use letters, digits, _ and -, each name once; people read the title");
        }
        for key in other_keys(field, FIELD_KEYS) {
            let remedy = format!("the keys of a field are: {}", FIELD_KEYS.join(", "));
            flaw(&[at[0], at[1], at[2], key], "a form cannot show what this says".into(), &remedy);
        }
        for (key, what, remedy) in field_flaws(field) {
            flaw(&[&at[..], key].concat(), what, remedy);
        }
    }
    if flaws.is_empty() {
        flaws.extend(misfits(schema));
    }
    flaws
}

/// What is wrong with the schema as a whole, and with what stands in it at first, where its parts are sound.
fn misfits(schema: &Value) -> Vec<(Vec<String>, String, String)> {
    let at = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect();
    if let Err(what) = compile(schema) {
        return vec![(at(&["fields"]), what, "fields must be a JSON Schema".to_owned())];
    }
    let misfit = |(name, field): (&String, &Value)| {
        let first = field.get("default")?;
        let what = compile(field).and_then(|validator| fit(&validator, first)).err()?;
        let remedy = "what stands in a field at first must fit it".to_owned();
        Some((at(&["fields", "properties", name, "default"]), what, remedy))
    };
    fields(schema).into_iter().flatten().filter_map(misfit).collect()
}

/// What is wrong with one field, with the path below it.
fn field_flaws(field: &Value) -> Vec<(&'static [&'static str], String, &'static str)> {
    let kind = field.get("type").and_then(Value::as_str);
    let has = |key: &str| field.get(key).is_some();
    let mut flaws: Vec<(&'static [&'static str], String, &'static str)> = Vec::new();
    match kind {
        Some("string" | "number" | "integer") => {}
        Some("boolean") if has("enum") => {
            flaws.push((&["enum"], "yes and no are all there is to choose".into(), "leave it out"));
        }
        Some("boolean") => {}
        Some("array") => {
            let items = field.get("items");
            if items.and_then(|items| items.get("enum")).is_none() {
                let what = "a list needs choices".to_owned();
                flaws.push((
                    &["items"],
                    what,
                    "items = { enum = [\"…\"] }, or a long text instead of a list",
                ));
            } else if items.is_some_and(|items| !other_keys(items, ITEMS_KEYS).is_empty()) {
                flaws.push((&["items"], "a choice has no rules of its own".into(), "leave all but enum out"));
            }
        }
        Some("object") => {
            let what = "a form is flat, and this is an object in it".to_owned();
            flaws.push((&["type"], what, "make each of its fields a field of the form: address_city"));
        }
        Some(_) | None => {
            let what = "a field is a string, number, integer, boolean or array".to_owned();
            flaws.push((&["type"], what, "name one of these types"));
        }
    }
    if has("format") && (field.get("format").is_none_or(|format| format != "date") || kind != Some("string"))
    {
        let what = "the one format of a form is date, of a string".to_owned();
        flaws.push((&["format"], what, "format = \"date\", or a pattern"));
    }
    let items = field.get("items").and_then(|items| items.get("enum"));
    for (path, choices) in [(&["enum"][..], field.get("enum")), (&["items", "enum"][..], items)] {
        if let Some(what) = choices.and_then(bad_choices) {
            flaws.push((path, what, "write short, different texts or numbers"));
        }
    }
    flaws
}

fn bad_choices(choices: &Value) -> Option<String> {
    let choices = choices.as_array().map(Vec::as_slice).unwrap_or_default();
    if !(1..=CHOICES_MAX).contains(&choices.len()) {
        return Some(format!("a field has 1 to {CHOICES_MAX} choices"));
    }
    let mut seen = BTreeSet::new();
    choices.iter().find_map(|choice| {
        let text = text_of(choice);
        let plain = matches!(choice, Value::String(_) | Value::Number(_));
        let long = text.chars().count() > CHOICE_CHARS_MAX;
        let blank = text.trim().is_empty() || text.trim() != text || text.contains(char::is_control);
        (!plain || long || blank || !seen.insert(text.to_lowercase()))
            .then(|| format!("`{}` is no choice that can be offered", clip(&text, 60)))
    })
}

fn other_keys<'a>(schema: &'a Value, known: &[&str]) -> Vec<&'a str> {
    let keys = schema.as_object().into_iter().flat_map(|keys| keys.keys());
    keys.map(String::as_str).filter(|key| !known.contains(key)).collect()
}
