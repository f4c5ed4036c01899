//! The scripted model: no network, no key, no model at all. It looks up the last thing that happened in the agent's rules,
//! and says plainly what it is.
//!
//! The first rule that fits decides. A rule fits when what it says of the last event is so: its kind (`on`), its tool
//! (`tool`), its text (`matches`), and an expression over the whole situation (`when`; something in it that does not exist
//! means that the rule does not fit). Its `intent` is a template that gives the output; write values as
//! `{{ value|tojson }}`. Named groups of `matches` are variables in both.

use agent::{Prompt, Usage};
use async_trait::async_trait;
use minijinja::{Environment, ErrorKind, value::Serde};
use serde_json::{Map, Value, json};

use crate::{
    complaint::compact,
    script::{Rule, Script, environment},
    seam::{Completion, Error, Kind, Model, Progress},
};

/// The label that people see beside its words.
const NOTE: &str = "scripted model";
/// The most bytes of a text that an expression is matched against.
const TEXT_BYTES_MAX: usize = 64 * 1024;
/// The largest output.
const OUTPUT_BYTES_MAX: usize = 256 * 1024;

/// The scripted model.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scripted;

#[async_trait]
impl Model for Scripted {
    fn name(&self) -> &str {
        "scripted"
    }

    /// It is done at once, so there is no progress to tell.
    async fn complete(&self, prompt: &Prompt, _: Progress<'_>) -> Result<Completion, Error> {
        let text = answer(prompt.script.as_deref(), &prompt.situation)
            .map_err(|what| Error::new(Kind::Refused, format!("scripted: {what}")))?;
        Ok(Completion {
            text,
            truncated: false,
            usage: Usage { calls: 1, ..Usage::default() },
            model: "scripted".into(),
            note: Some(NOTE.into()),
        })
    }
}

/// The output for a situation. Pure.
fn answer(script: Option<&str>, situation: &Value) -> Result<String, String> {
    let script = script.map(Script::parse).transpose().map_err(|what| format!("script.toml, {what}"))?;
    let environment = environment();
    for (index, rule) in script.iter().flat_map(|script| &script.rules).enumerate() {
        let decided = decide(rule, situation, &environment)
            .map_err(|error| format!("script.toml, rule {}: {}", index + 1, told(&error)))?;
        if let Some(output) = decided {
            return Ok(output);
        }
    }
    let help = script.and_then(|script| script.help);
    Ok(json!({ "intent": "finish", "text": fallback(help.as_deref(), situation) }).to_string())
}

/// A rule's output; none when it does not fit.
fn decide(
    rule: &Rule,
    situation: &Value,
    environment: &Environment<'_>,
) -> Result<Option<String>, minijinja::Error> {
    let is =
        |wanted: &Option<String>, key| wanted.as_deref().is_none_or(|wanted| last(situation, key) == wanted);
    if !is(&rule.on, "kind") || !is(&rule.tool, "tool") {
        return Ok(None);
    }
    let mut facts = situation.as_object().cloned().unwrap_or_default();
    if let Some(regex) = &rule.matches {
        let text = last(situation, "text");
        let end = text.floor_char_boundary(TEXT_BYTES_MAX);
        let Some(groups) = regex.captures(&text[..end]) else { return Ok(None) };
        add_groups(&mut facts, regex, &groups);
    }
    let facts = minijinja::Value::from(Serde(facts));
    if let Some(when) = &rule.when {
        match environment.compile_expression(when)?.eval(facts.clone()) {
            Ok(value) if value.is_true() => {}
            Ok(_) => return Ok(None),
            Err(error) if error.kind() == ErrorKind::UndefinedError => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    let output = environment.render_str(&rule.intent, facts)?;
    if output.len() > OUTPUT_BYTES_MAX {
        let what = format!("the output is larger than {OUTPUT_BYTES_MAX} bytes");
        return Err(minijinja::Error::new(ErrorKind::InvalidOperation, what));
    }
    Ok(Some(output.trim().to_owned()))
}

/// A group that took no part stays undefined.
fn add_groups(facts: &mut Map<String, Value>, regex: &regex::Regex, groups: &regex::Captures<'_>) {
    for name in regex.capture_names().flatten() {
        facts.remove(name);
        if let Some(group) = groups.name(name) {
            facts.insert(name.to_owned(), group.as_str().into());
        }
    }
}

/// What is said when no rule fits: what happened, what this is, what it can do.
fn fallback(help: Option<&str>, situation: &Value) -> String {
    let tool = last(situation, "tool");
    let fact = |key: &str| {
        let value = situation.pointer(&format!("/last/{key}")).unwrap_or(&Value::Null);
        compact(&value.as_str().map_or_else(|| value.to_string(), str::to_owned), 400)
    };
    let happened = match last(situation, "kind") {
        "done" => Some(format!("`{tool}` is done: {}", fact("result"))),
        "failed" => Some(format!("`{tool}` failed: {}", fact("error"))),
        "rejected" if last(situation, "comment").is_empty() => {
            Some(format!("`{tool}` was rejected and did not run."))
        }
        "rejected" => Some(format!("`{tool}` was rejected and did not run: {}", fact("comment"))),
        "lapsed" => Some("Nobody answered in time.".to_owned()),
        _ => None,
    };
    let what = "This is the scripted model: it follows a few rules, and no language model is connected.";
    let tools: Vec<String> = situation
        .get("tools")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|tool| Some(format!("`{}`", tool.as_str()?)))
        .collect();
    let can = match help {
        Some(help) => help.trim().to_owned(),
        None if tools.is_empty() => "There is no rule for this.".to_owned(),
        None => format!("There is no rule for this. The tools here: {}.", tools.join(", ")),
    };
    happened.into_iter().chain([what.to_owned(), can]).collect::<Vec<_>>().join("\n\n")
}

/// A text of the last event; empty when there is none.
fn last<'a>(situation: &'a Value, key: &str) -> &'a str {
    situation.get("last").and_then(|last| last.get(key)).and_then(Value::as_str).unwrap_or_default()
}

/// An error of a template, once and on one line.
fn told(error: &minijinja::Error) -> String {
    let detail = error.detail().map_or_else(String::new, |detail| format!(": {detail}"));
    compact(&format!("{}{detail}", error.kind()), 300)
}
