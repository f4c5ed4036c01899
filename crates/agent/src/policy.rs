//! What may happen with a call: allow, ask, deny.

use channel::Span;
use minijinja::{Environment, UndefinedBehavior, context, value::Serde};
use serde_json::Value;

use crate::{
    directory::Directory,
    spec::{AgentSpec, PolicyRule, Risk, ToolSpec, Verdict},
    terms::Terms,
};

/// What the policy says of one call, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// Allow, ask or deny.
    pub verdict: Verdict,
    /// Who may approve, if the rule names them.
    pub approvers: Vec<String>,
    /// Where to ask, if the rule says.
    pub desk: Option<String>,
    /// How long to wait, if the rule says.
    pub deadline: Option<Span>,
    /// How it is approved.
    pub terms: Terms,
    /// Which rule decided.
    pub because: String,
}

impl Judgement {
    /// Who may approve: whom the rule names, or else whom the agent does.
    pub(crate) fn approvers<'a>(&'a self, spec: &'a AgentSpec) -> &'a [String] {
        if self.approvers.is_empty() { &spec.approvers } else { &self.approvers }
    }
}

/// Judges a call. The first rule that fits decides; without one, a tool of high risk is asked about.
///
/// A rule whose condition cannot be computed for these arguments fails closed: a human is asked, unless the rule
/// itself would deny. A severity that is not configured is decided on no channel.
pub fn judge(directory: &Directory, spec: &ToolSpec, args: &Value) -> Judgement {
    for (n, rule) in spec.policy.iter().enumerate() {
        let (verdict, because) = match fits(rule, args) {
            Fit::Always => (rule.then, format!("policy[{n}]")),
            Fit::No => continue,
            Fit::Yes => (rule.then, format!("policy[{n}]: {}", rule.when.as_deref().unwrap_or_default())),
            Fit::Unknown(why) => {
                let verdict = if rule.then == Verdict::Deny { Verdict::Deny } else { Verdict::Ask };
                (verdict, format!("policy[{n}] cannot be computed: {why}"))
            }
        };
        let channels = |severity: &String| directory.severities.get(severity).cloned().unwrap_or_default();
        return Judgement {
            verdict,
            approvers: rule.approvers.clone(),
            desk: rule.desk.clone(),
            deadline: rule.deadline,
            terms: rule.terms(rule.severity.as_ref().map(channels)),
            because,
        };
    }
    let verdict = match spec.risk {
        Risk::Low => Verdict::Allow,
        Risk::High => Verdict::Ask,
    };
    let because =
        format!("no rule fits, and risk = \"{}\"", if spec.risk == Risk::Low { "low" } else { "high" });
    Judgement { verdict, approvers: Vec::new(), desk: None, deadline: None, terms: Terms::default(), because }
}

/// Whether a rule fits a call.
pub(crate) enum Fit {
    /// It has no condition.
    Always,
    /// Its condition is true.
    Yes,
    /// Its condition is false.
    No,
    /// Its condition cannot be computed; why, a sentence.
    Unknown(String),
}

/// Whether a rule fits a call with these arguments.
pub(crate) fn fits(rule: &PolicyRule, args: &Value) -> Fit {
    match rule.when.as_deref().map(|when| holds(when, args)) {
        None => Fit::Always,
        Some(Ok(true)) => Fit::Yes,
        Some(Ok(false)) => Fit::No,
        Some(Err(why)) => Fit::Unknown(why),
    }
}

/// Whether a condition can be read at all; the error is one sentence.
pub(crate) fn parse(when: &str) -> Result<(), String> {
    let env = Environment::new();
    let expression = env.compile_expression(when).map_err(|error| error.to_string())?;
    match expression.undeclared_variables(false).into_iter().find(|name| name != "args") {
        Some(name) => Err(format!("it knows only `args`, not `{name}`")),
        None => Ok(()),
    }
}

fn holds(when: &str, args: &Value) -> Result<bool, String> {
    let mut env = Environment::new();
    env.set_undefined_behavior(UndefinedBehavior::Strict);
    let expression = env.compile_expression(when).map_err(|error| error.to_string())?;
    let value = expression.eval(context! { args => Serde(args) }).map_err(|error| error.to_string())?;
    if value.is_undefined() { Err("it is undefined".into()) } else { Ok(value.is_true()) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn tool(policy: Value, risk: &str) -> ToolSpec {
        serde_json::from_value(json!({
            "description": "d", "run": { "builtin": "clock" }, "repeat": "safe", "risk": risk, "policy": policy,
        }))
        .unwrap()
    }

    #[test]
    fn the_first_rule_that_fits_decides_and_doubt_asks() {
        let rules = json!([
            { "when": "args.amount > 1000", "then": "deny" },
            { "when": "args.amount > 100", "then": "ask", "approvers": ["finance"] },
            { "then": "allow" },
        ]);
        for (args, verdict) in [
            (json!({ "amount": 2000 }), Verdict::Deny),
            (json!({ "amount": 101 }), Verdict::Ask),
            (json!({ "amount": 100 }), Verdict::Allow),
            (json!({}), Verdict::Deny),
            (json!({ "amount": "many" }), Verdict::Deny),
        ] {
            assert_eq!(
                judge(&Directory::default(), &tool(rules.clone(), "low"), &args).verdict,
                verdict,
                "{args}"
            );
        }
        let only_ask = json!([{ "when": "args.amount > 100", "then": "allow" }]);
        assert_eq!(judge(&Directory::default(), &tool(only_ask, "low"), &json!({})).verdict, Verdict::Ask);
        assert_eq!(judge(&Directory::default(), &tool(json!([]), "low"), &json!({})).verdict, Verdict::Allow);
        assert_eq!(judge(&Directory::default(), &tool(json!([]), "high"), &json!({})).verdict, Verdict::Ask);
    }

    #[test]
    fn a_condition_that_looks_elsewhere_is_refused() {
        assert!(parse("args.amount > 100").is_ok());
        assert!(parse("amount > 100").unwrap_err().contains("amount"));
        assert!(parse("args.amount >").is_err());
    }
}
