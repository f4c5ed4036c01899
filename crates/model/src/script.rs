//! `script.toml`: the rules of the scripted model, as an agent's author writes them.

use minijinja::{Environment, UndefinedBehavior};
use regex::{Regex, RegexBuilder};
use serde::Deserialize;
use toml::Spanned;

/// The largest script, in bytes.
const SCRIPT_BYTES_MAX: usize = 256 * 1024;
/// The most rules.
const RULES_MAX: usize = 200;
/// The largest compiled expression, in bytes.
const REGEX_BYTES_MAX: usize = 512 * 1024;
/// What one expression or template may cost.
const FUEL: u64 = 100_000;

/// What can have happened last. The renderer writes one of these as `situation.last.kind`.
const KINDS: [&str; 11] = [
    "heard",
    "done",
    "failed",
    "unknown",
    "approved",
    "rejected",
    "answered",
    "lapsed",
    "said",
    "asked_back",
    "handed_back",
];
/// The variables that a capture may not hide.
const FACTS: [&str; 6] = ["agent", "last", "request", "requester", "events", "tools"];

/// The rules of the scripted model, sound.
///
/// ```toml
/// help = "Try: deploy v1.4 to production."    # said when no rule fits
///
/// [[rules]]
/// on = "heard"               # what happened last: heard, done, failed, unknown, approved, rejected, answered, lapsed, said,
///                            # asked_back, handed_back
/// tool = "lookup_order"      # only for this tool
/// matches = '(?P<version>v[\d.]+)'    # only if the words match; named groups become variables
/// when = "last.result.amount > 100"   # only if this holds; what does not exist does not hold
/// intent = '{"intent":"act","tool":"deploy","args":{"version":{{ version|tojson }}}}'
/// ```
///
/// Everything but `intent` may be left out; the first rule that fits decides. `when` and `intent` see the situation (`agent`,
/// `last`, `request`, `requester`, `events`, `tools`) and the groups. In `intent` something that does not exist is an error.
#[derive(Clone, Debug)]
pub struct Script {
    pub(crate) help: Option<String>,
    pub(crate) rules: Vec<Rule>,
}

/// One rule.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) on: Option<String>,
    pub(crate) tool: Option<String>,
    pub(crate) matches: Option<Regex>,
    pub(crate) when: Option<String>,
    pub(crate) intent: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ScriptFile {
    help: Option<String>,
    #[serde(default)]
    rules: Vec<RuleTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleTable {
    on: Option<Spanned<String>>,
    tool: Option<String>,
    matches: Option<Spanned<String>>,
    when: Option<Spanned<String>>,
    intent: Spanned<String>,
}

impl Script {
    /// Reads a script and checks every expression and template in it.
    ///
    /// # Errors
    /// One sentence, with the line and the rule.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > SCRIPT_BYTES_MAX {
            return Err(format!("the script is larger than {SCRIPT_BYTES_MAX} bytes"));
        }
        let file: ScriptFile = toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(1, |span| line(text, span.start));
            format!("line {line}: {}", error.message())
        })?;
        if file.rules.len() > RULES_MAX {
            return Err(format!("the script has more than {RULES_MAX} rules"));
        }
        let rules = file.rules.into_iter().enumerate();
        let rules = rules.map(|(index, table)| rule(table).map_err(|flaw| flaw.told(text, index + 1)));
        Ok(Self { help: file.help, rules: rules.collect::<Result<_, _>>()? })
    }
}

/// Templates and expressions as scripts see them: no loader, no undefined variable, bounded work.
pub(crate) fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    environment
}

struct RuleFlaw {
    key: &'static str,
    at: usize,
    what: String,
}

impl RuleFlaw {
    fn new(key: &'static str, value: &Spanned<String>, what: impl ToString) -> Self {
        Self { key, at: value.span().start, what: what.to_string() }
    }

    fn told(&self, text: &str, number: usize) -> String {
        format!("line {}: rule {number}, `{}`: {}", line(text, self.at), self.key, self.what)
    }
}

fn rule(table: RuleTable) -> Result<Rule, RuleFlaw> {
    if let Some(on) = table.on.as_ref().filter(|on| !KINDS.contains(&on.get_ref().as_str())) {
        return Err(RuleFlaw::new("on", on, format!("`{}` is none of {}", on.get_ref(), KINDS.join(", "))));
    }
    let matches = table.matches.as_ref().map(expression).transpose()?;
    let environment = environment();
    if let Some(when) = &table.when {
        environment.compile_expression(when.get_ref()).map_err(|error| RuleFlaw::new("when", when, error))?;
    }
    let intent = &table.intent;
    environment
        .template_from_str(intent.get_ref())
        .map_err(|error| RuleFlaw::new("intent", intent, error))?;
    drop(environment);
    Ok(Rule {
        on: table.on.map(Spanned::into_inner),
        tool: table.tool,
        matches,
        when: table.when.map(Spanned::into_inner),
        intent: table.intent.into_inner(),
    })
}

fn expression(source: &Spanned<String>) -> Result<Regex, RuleFlaw> {
    let regex = RegexBuilder::new(source.get_ref())
        .size_limit(REGEX_BYTES_MAX)
        .dfa_size_limit(REGEX_BYTES_MAX)
        .build()
        .map_err(|error| RuleFlaw::new("matches", source, error))?;
    match regex.capture_names().flatten().find(|name| FACTS.contains(name)) {
        Some(name) => {
            let what = format!("a group may not be named `{name}`: that is what the situation calls its own");
            Err(RuleFlaw::new("matches", source, what))
        }
        None => Ok(regex),
    }
}

/// The line that a byte stands in, from 1.
fn line(text: &str, at: usize) -> usize {
    let before = text.as_bytes().get(..at).unwrap_or(text.as_bytes());
    before.iter().filter(|byte| **byte == b'\n').count() + 1
}
