//! Reads TOML files that people write, and reports everything that is wrong with one at once.

use std::fmt;

use jsonschema::error::ValidationErrorKind;
use schemars::{JsonSchema, generate::SchemaSettings};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// One thing that is wrong with a file, where, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Flaw {
    /// The file, as the operator knows it.
    pub file: String,
    /// The line, counting from 1, where it is known.
    pub line: Option<usize>,
    /// The key path, `channels.email.imap.host`; empty for the whole file.
    pub key: String,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub remedy: Option<String>,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": {}", self.what)?;
        match &self.remedy {
            Some(remedy) => write!(f, "\n    {remedy}"),
            None => Ok(()),
        }
    }
}

/// A file and its text, for finding the line of a key.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// The file's name.
    pub file: &'a str,
    /// Its text.
    pub text: &'a str,
}

impl Source<'_> {
    /// A flaw at a key of this file. The path is a list of table keys and array places.
    pub fn flaw(&self, path: &[&str], what: impl Into<String>, remedy: Option<String>) -> Flaw {
        Flaw {
            file: self.file.to_owned(),
            line: self.line(path),
            key: path.join("."),
            what: what.into(),
            remedy,
        }
    }

    /// The line where a key stands; that of the nearest table above it when it does not stand there.
    fn line(&self, path: &[&str]) -> Option<usize> {
        let document = toml_edit::Document::parse(self.text).ok()?;
        let mut item = document.as_item();
        let mut span = None;
        for key in path {
            let next = match key.parse::<usize>() {
                Ok(place) => item.get(place),
                Err(_) => item.get(*key),
            };
            let Some(next) = next else { break };
            let key_span =
                item.as_table_like().and_then(|table| table.key(key)).and_then(toml_edit::Key::span);
            span = key_span.or_else(|| next.span()).or(span);
            item = next;
        }
        span.map(|span| line_of(self.text, span.start))
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

/// Reads a whole file into its type, or says everything that is wrong with it: unknown keys, missing keys, wrong types,
/// values that do not parse.
///
/// # Errors
/// Every flaw, in the order of the file.
pub fn read<T: DeserializeOwned + JsonSchema>(source: Source<'_>) -> Result<T, Vec<Flaw>> {
    let value = parse(source)?;
    read_part(source, &[], &value)
}

/// Reads a file as plain data.
///
/// # Errors
/// The one place where it is not TOML.
pub fn parse(source: Source<'_>) -> Result<Value, Vec<Flaw>> {
    toml::from_str::<Value>(source.text).map_err(|error| {
        vec![Flaw {
            file: source.file.to_owned(),
            line: error.span().map(|span| line_of(source.text, span.start)),
            key: String::new(),
            what: error.message().to_owned(),
            remedy: None,
        }]
    })
}

/// Reads a part of a file, the value at `path`, into its type.
///
/// # Errors
/// Every flaw in that part.
pub fn read_part<T: DeserializeOwned + JsonSchema>(
    source: Source<'_>,
    path: &[&str],
    value: &Value,
) -> Result<T, Vec<Flaw>> {
    match read_what_is_sound(source, path, value) {
        (Some(read), flaws) if flaws.is_empty() => Ok(read),
        (_, flaws) => Err(flaws),
    }
}

/// Reads a part of a file as if the keys with flaws were left out, so that more can be found out about the rest. Nothing
/// where that cannot be: a key that must be there is wrong, or missing.
pub fn read_what_is_sound<T: DeserializeOwned + JsonSchema>(
    source: Source<'_>,
    path: &[&str],
    value: &Value,
) -> (Option<T>, Vec<Flaw>) {
    let schema = schema_of::<T>();
    let mut flaws = check(source, path, value, &schema);
    let mut rest = value.clone();
    for flaw in &flaws {
        let inner: Vec<&str> = flaw.key.split('.').skip(path.len()).collect();
        leave_out(&mut rest, &inner);
    }
    // Each turn leaves out one key, so this comes to an end.
    let read = loop {
        let error = match serde_path_to_error::deserialize(&rest) {
            Ok(read) => break Some(read),
            Err(error) => error,
        };
        let inner = error.path().to_string().replace(['[', ']'], ".");
        let inner: Vec<&str> = inner.split('.').filter(|part| !part.is_empty() && *part != "?").collect();
        let told = error.inner().to_string();
        // What is missing only because it was left out was told before.
        if flaws.is_empty() || !told.starts_with("missing field") {
            let whole: Vec<&str> = path.iter().copied().chain(inner.iter().copied()).collect();
            let keys: Vec<String> = inner.iter().map(|&key| key.to_owned()).collect();
            flaws.push(source.flaw(&whole, told, describe(at(&schema, &keys))));
        }
        if !leave_out(&mut rest, &inner) {
            break None;
        }
    };
    flaws.sort();
    flaws.dedup();
    (read, flaws)
}

/// Takes a key out of its table. Items of arrays stay: the places of those behind them would change.
fn leave_out(value: &mut Value, path: &[&str]) -> bool {
    let Some((last, tables)) = path.split_last() else { return false };
    let table = tables.iter().try_fold(value, |value, key| match key.parse::<usize>() {
        Ok(place) if value.is_array() => value.get_mut(place),
        Ok(_) | Err(_) => value.get_mut(*key),
    });
    table.and_then(Value::as_object_mut).is_some_and(|table| table.remove(*last).is_some())
}

/// The JSON Schema of a settings type, without references.
pub fn schema_of<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    settings.into_generator().into_root_schema_for::<T>().to_value()
}

fn check(source: Source<'_>, path: &[&str], value: &Value, schema: &Value) -> Vec<Flaw> {
    let validator = match jsonschema::validator_for(schema) {
        Ok(validator) => validator,
        Err(error) => return vec![source.flaw(path, format!("its own schema is broken: {error}"), None)],
    };
    let mut flaws = Vec::new();
    for error in validator.iter_errors(value) {
        let inner = error.instance_path().to_string();
        let inner: Vec<String> =
            inner.split('/').skip(1).map(|part| part.replace("~1", "/").replace("~0", "~")).collect();
        let here: Vec<&str> = path.iter().copied().chain(inner.iter().map(String::as_str)).collect();
        let expected = at(schema, &inner);
        if let ValidationErrorKind::AdditionalProperties { unexpected } = error.kind() {
            for key in unexpected {
                let whole: Vec<&str> = here.iter().copied().chain([key.as_str()]).collect();
                flaws.push(source.flaw(&whole, "there is no such key here", suggest(key, expected)));
            }
        } else if let ValidationErrorKind::Required { property } = error.kind() {
            let key = property.as_str().unwrap_or_default();
            let whole = [inner.as_slice(), &[key.to_owned()]].concat();
            let what = format!("the key `{key}` is missing");
            flaws.push(source.flaw(&here, what, describe(at(schema, &whole))));
        } else {
            flaws.push(source.flaw(&here, shorten(&error.to_string()), describe(expected)));
        }
    }
    flaws
}

/// The part of a schema that speaks of the value at a path.
fn at<'a>(schema: &'a Value, path: &[String]) -> Option<&'a Value> {
    let Some((key, rest)) = path.split_first() else { return Some(schema) };
    let direct = schema.get("properties").and_then(|properties| properties.get(key));
    let other = || schema.get("additionalProperties").filter(|schema| schema.is_object());
    let item = || schema.get("items");
    let branch = || {
        let branches = ["anyOf", "oneOf"].into_iter().filter_map(|word| schema.get(word)?.as_array());
        branches.flatten().find_map(|branch| at(branch, path).map(|_| branch))
    };
    match direct.or_else(other).or_else(item) {
        Some(next) => at(next, rest),
        None => branch().and_then(|branch| at(branch, path)),
    }
}

fn suggest(key: &str, schema: Option<&Value>) -> Option<String> {
    let known = schema?.get("properties")?.as_object()?;
    let nearest = known.keys().map(|name| (distance(key, name), name)).min()?;
    if nearest.0 <= 2 || nearest.1.contains(key) || key.contains(nearest.1.as_str()) {
        return Some(format!("did you mean `{}`?", nearest.1));
    }
    let names: Vec<_> = known.keys().map(String::as_str).collect();
    Some(format!("the keys here are: {}", names.join(", ")))
}

fn describe(schema: Option<&Value>) -> Option<String> {
    let text = schema?.get("description")?.as_str()?;
    Some(text.split('\n').collect::<Vec<_>>().join(" "))
}

/// A message of the validator repeats the whole value; the beginning is enough.
fn shorten(message: &str) -> String {
    let count = message.chars().count();
    if count <= 200 {
        return message.to_owned();
    }
    let tail: String = message.chars().skip(count - 100).collect();
    format!("{}…{tail}", message.chars().take(80).collect::<String>())
}

/// How many letters must be changed, added or taken to get from one word to the other.
pub(crate) fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let cost = corner + usize::from(from != *to);
            corner = row[j + 1];
            row[j + 1] = cost.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use channel::Span;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its shape matters")]
    struct Shop {
        /// The address it listens on.
        listen: String,
        /// How long.
        #[serde(default)]
        wait: Option<Span>,
        /// How long between two.
        #[serde(default)]
        pause: Option<Span>,
        #[serde(default)]
        many: Vec<Item>,
    }

    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its shape matters")]
    struct Item {
        size: u32,
    }

    fn flaws(text: &str) -> Vec<String> {
        let error = read::<Shop>(Source { file: "shop.toml", text }).unwrap_err();
        error.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_flaw_is_told_with_its_place() {
        let told = flaws("lisen = 1\nwait = 5\n\n[[many]]\nsize = \"big\"\n");
        assert_eq!(told.len(), 4, "{told:#?}");
        assert!(
            told.iter()
                .any(|t| t
                    .contains("shop.toml:1: lisen: there is no such key here\n    did you mean `listen`?")),
            "{told:#?}"
        );
        assert!(
            told.iter().any(|t| t.contains("the key `listen` is missing\n    The address it listens on.")),
            "{told:#?}"
        );
        assert!(told.iter().any(|t| t.starts_with("shop.toml:2: wait: ")), "{told:#?}");
        assert!(told.iter().any(|t| t.starts_with("shop.toml:5: many.0.size: ")), "{told:#?}");
    }

    #[test]
    fn a_value_that_does_not_parse_names_its_key() {
        let told = flaws("listen = \"x\"\nwait = \"soon\"\npause = \"later\"\nlisten2 = 1\n");
        assert_eq!(told.len(), 3, "each is told, whatever else is wrong: {told:#?}");
        for key in ["2: wait: `soon`", "3: pause: `later`"] {
            assert!(
                told.iter().any(|told| told.starts_with(&format!("shop.toml:{key} is not a length of time")))
            );
        }
        assert!(flaws("listen = \n")[0].starts_with("shop.toml:1: "));
    }
}
