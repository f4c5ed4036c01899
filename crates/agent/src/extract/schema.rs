//! What the provider is told: the intents as one JSON Schema, or as functions.

use serde_json::{Map, Value, json};

use super::{
    FILE_NAME_CHARS_MAX, FILES_MAX, FormName, OPTION_CHARS_MAX, OPTIONS_MAX, TEXT_CHARS_MAX, Tool,
    check::{SEVERAL, WORDS},
};
use crate::prompt::Function;

/// The schema of the whole output.
pub(super) fn output(tools: &[Tool], places: &[String], forms: &[FormName], calls_max: usize) -> Value {
    let acts = tools.iter().enumerate().map(|(i, tool)| {
        let mut args = tool.schema.clone();
        rebase(&mut args, &format!("#/properties/next/anyOf/{i}/properties/args"));
        if let Some(members) = args.as_object_mut() {
            members.shift_remove("$schema");
        }
        object(
            [("intent", json!({ "const": "act" })), ("tool", json!({ "const": tool.name })), ("args", args)],
            3,
        )
    });
    let others = WORDS.iter().map(|word| {
        let (fields, required) = fields(word, places, forms);
        let intent = ("intent", json!({ "const": word }));
        object(std::iter::once(intent).chain(fields), required + 1)
    });
    let several = has_several(tools, calls_max).then(|| {
        let place = tools.len() + WORDS.len();
        let calls = calls(tools, calls_max, &format!("#/properties/next/anyOf/{place}/properties/calls"));
        object([("intent", json!({ "const": SEVERAL })), ("calls", calls)], 2)
    });
    let intents: Vec<Value> = acts.chain(others).chain(several).collect();
    let mut schema = object([("next", json!({ "anyOf": intents }))], 1);
    if let Some(members) = schema.as_object_mut() {
        members.shift_insert(0, "$schema".into(), json!("https://json-schema.org/draft/2020-12/schema"));
    }
    schema
}

/// The same as functions.
pub(super) fn functions(
    tools: &[Tool],
    places: &[String],
    forms: &[FormName],
    calls_max: usize,
    descriptions: &[(String, String)],
) -> Vec<Function> {
    let given = |name: &str| descriptions.iter().find(|(of, _)| of == name).map(|(_, text)| text.clone());
    let acts = tools.iter().map(|tool| Function {
        name: tool.name.clone(),
        description: given(&tool.name).unwrap_or_default(),
        parameters: tool.schema.clone(),
    });
    let others = WORDS.iter().map(|word| {
        let (fields, required) = fields(word, places, forms);
        Function {
            name: (*word).to_owned(),
            description: given(word).unwrap_or_else(|| description(word).to_owned()),
            parameters: object(fields, required),
        }
    });
    let several = has_several(tools, calls_max).then(|| Function {
        name: SEVERAL.to_owned(),
        description: given(SEVERAL).unwrap_or_else(|| description(SEVERAL).to_owned()),
        parameters: object([("calls", calls(tools, calls_max, "#/properties/calls"))], 1),
    });
    acts.chain(others).chain(several).collect()
}

fn has_several(tools: &[Tool], calls_max: usize) -> bool {
    calls_max > 1 && !tools.is_empty()
}

/// A list of calls; it stands at `root` in its schema.
fn calls(tools: &[Tool], max: usize, root: &str) -> Value {
    let call = |(place, tool): (usize, &Tool)| {
        let mut args = tool.schema.clone();
        rebase(&mut args, &format!("{root}/items/anyOf/{place}/properties/args"));
        if let Some(members) = args.as_object_mut() {
            members.shift_remove("$schema");
        }
        object([("tool", json!({ "const": tool.name })), ("args", args)], 2)
    };
    let one: Vec<Value> = tools.iter().enumerate().map(call).collect();
    json!({ "type": "array", "items": { "anyOf": one }, "minItems": 2, "maxItems": max, "uniqueItems": true })
}

/// The fields of an intent beside `act`, and how many of the first are required.
fn fields(word: &str, places: &[String], forms: &[FormName]) -> (Vec<(&'static str, Value)>, usize) {
    let text = |max: usize| json!({ "type": "string", "minLength": 1, "maxLength": max });
    let texts = |min: usize, max: usize, item: Value| json!({ "type": "array", "items": item, "minItems": min, "maxItems": max, "uniqueItems": true });
    match word {
        "ask" => {
            let to = json!({ "type": "string", "enum": places });
            let options = texts(2, OPTIONS_MAX, text(OPTION_CHARS_MAX));
            let several = json!({ "type": "boolean", "description": "several options may be chosen" });
            let mut fields =
                vec![("text", text(TEXT_CHARS_MAX)), ("to", to), ("options", options), ("several", several)];
            if !forms.is_empty() {
                let names: Vec<&str> = forms.iter().map(|form| form.name.as_str()).collect();
                let titles: Vec<String> =
                    forms.iter().map(|form| format!("{}: {}", form.name, form.title)).collect();
                let what = format!("a form to fill in, without options ({})", titles.join("; "));
                fields.push(("form", json!({ "type": "string", "enum": names, "description": what })));
            }
            (fields, 1)
        }
        "hand_over" => (vec![("reason", text(TEXT_CHARS_MAX))], 1),
        _ => {
            let files = texts(0, FILES_MAX, text(FILE_NAME_CHARS_MAX));
            (vec![("text", text(TEXT_CHARS_MAX)), ("files", files)], 1)
        }
    }
}

fn description(word: &str) -> &'static str {
    match word {
        "ask" => "Ask a person and wait for the answer.",
        "say" => "Say something to the person who asked, and go on working.",
        SEVERAL => {
            "Run several tools that do not need each other's results; what needs approval is asked about together."
        }
        "finish" => "Say the last word to the person who asked; the request is then done.",
        _ => "Give the conversation to a person, with the reason.",
    }
}

/// A closed object of which the first `required` fields must be there.
fn object(fields: impl IntoIterator<Item = (&'static str, Value)>, required: usize) -> Value {
    let fields: Map<String, Value> =
        fields.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect();
    let required: Vec<&String> = fields.keys().take(required).collect();
    let required = json!(required);
    json!({ "type": "object", "properties": fields, "required": required, "additionalProperties": false })
}

/// Makes references to the schema's own root go to where it now stands. Data that only looks like a reference stays.
fn rebase(schema: &mut Value, root: &str) {
    match schema {
        Value::Object(members) if members.contains_key("$id") => {}
        Value::Object(members) => {
            for (key, member) in members {
                match (key.as_str(), member) {
                    ("const" | "enum" | "default" | "examples", _) => {}
                    ("$ref", Value::String(to)) if *to == "#" || to.starts_with("#/") => {
                        to.replace_range(..1, root);
                    }
                    // The keys in here are names of the author's own; only the values are schemas.
                    (
                        "properties" | "patternProperties" | "dependentSchemas" | "$defs" | "definitions",
                        Value::Object(named),
                    ) => {
                        named.values_mut().for_each(|member| rebase(member, root));
                    }
                    (_, member) => rebase(member, root),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| rebase(item, root)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
