//! What a policy would do with a call, and why, in words: for whoever writes policies.
//!
//! Invariant: it decides nothing, and asks the very functions that do.

use channel::ChannelName;
use serde_json::Value;

use crate::{
    agent::Agent,
    directory::Directory,
    event::AskedAt,
    grant::alike,
    inert::clip,
    policy::{Fit, Judgement, fits, judge},
    spec::{AgentSpec, AskAt, PolicyRule, Risk, ToolSpec, Verdict, redacted},
    terms::{Otherwise, Quorum, Remember, Terms, list},
};

/// The most letters of the arguments that are repeated.
const ARGS_LEN_MAX: usize = 600;

/// What would happen with a call of this agent; without arguments, what each rule says.
///
/// # Errors
/// There is no such tool, or the arguments do not fit it; a sentence.
pub fn explain(
    agent: &Agent,
    directory: &Directory,
    tool: &str,
    args: Option<&Value>,
) -> Result<String, String> {
    let spec = agent.spec();
    let Some(tool_spec) = spec.tools.get(tool) else {
        let known = spec.tools.keys().cloned().collect::<Vec<_>>().join(", ");
        return Err(format!("{} has no tool `{tool}`; its tools are: {known}", agent.reference().name));
    };
    let told = Told { directory, spec, tool: tool_spec };
    let Some(args) = args else { return Ok(told.rules(tool)) };
    agent
        .extractor()
        .check_args(tool, args)
        .map_err(|what| format!("these arguments do not fit {tool}: {what}"))?;
    Ok(told.call(tool, args))
}

struct Told<'a> {
    directory: &'a Directory,
    spec: &'a AgentSpec,
    tool: &'a ToolSpec,
}

impl Told<'_> {
    fn call(&self, name: &str, args: &Value) -> String {
        let shown = redacted(args, &self.tool.secret).to_string();
        let mut text = format!("{name} {}\n\n", clip(&shown, ARGS_LEN_MAX));
        let mut decided = false;
        for (n, rule) in self.tool.policy.iter().enumerate() {
            let (value, fits) = match (decided, fits(rule, args)) {
                (true, _) => ("not looked at".to_owned(), false),
                (false, Fit::Always) => ("always fits".to_owned(), true),
                (false, Fit::Yes) => ("true".to_owned(), true),
                (false, Fit::No) => ("false".to_owned(), false),
                (false, Fit::Unknown(why)) => (format!("cannot be computed: {why}"), true),
            };
            decided |= fits;
            text.push_str(&format!("  {}: {value}\n", head(n, rule)));
        }
        let judgement = judge(self.directory, self.tool, args);
        let verdict = match judgement.verdict {
            Verdict::Allow => "it runs",
            Verdict::Ask => "it runs when it was approved",
            Verdict::Deny => "it does not run",
        };
        text.push_str(&format!("\nSo {verdict} ({}).\n", judgement.because));
        if judgement.verdict == Verdict::Ask {
            text.push_str(&self.approval(&judgement));
        }
        text
    }

    /// Every rule with what it asks for.
    fn rules(&self, name: &str) -> String {
        let mut text = format!("{name}: the first rule that fits decides.\n");
        for (n, rule) in self.tool.policy.iter().enumerate() {
            text.push_str(&format!("\n  {}\n", head(n, rule)));
            if rule.then == Verdict::Ask {
                let severity = rule
                    .severity
                    .as_ref()
                    .map(|name| self.directory.severities.get(name).cloned().unwrap_or_default());
                text.push_str(&self.approval(&Judgement {
                    verdict: Verdict::Ask,
                    approvers: rule.approvers.clone(),
                    desk: rule.desk.clone(),
                    deadline: rule.deadline,
                    terms: rule.terms(severity),
                    because: String::new(),
                }));
            }
        }
        if self.tool.policy.iter().any(|rule| rule.when.is_none()) {
            return text;
        }
        match self.tool.risk {
            Risk::Low => text.push_str("\n  when none fits: it runs, for risk = \"low\"\n"),
            Risk::High => {
                text.push_str("\n  when none fits: it is asked about, for risk = \"high\"\n");
                text.push_str(&self.approval(&Judgement {
                    verdict: Verdict::Ask,
                    approvers: Vec::new(),
                    desk: None,
                    deadline: None,
                    terms: Terms::default(),
                    because: String::new(),
                }));
            }
        }
        text
    }

    /// How an approval would go.
    fn approval(&self, judgement: &Judgement) -> String {
        let Judgement { approvers, desk, deadline, terms, .. } = judgement;
        let approvers = if approvers.is_empty() { &self.spec.approvers } else { approvers };
        let desk = desk.as_deref().unwrap_or(&self.spec.desk);
        let deadline = deadline.unwrap_or(self.spec.approval_deadline);
        let mut lines = vec![
            ("approvers", self.people(approvers)),
            ("how many", how_many(terms.quorum)),
            ("requester", self.requester(approvers, terms)),
            ("asked at", self.asked_at(desk, terms)),
        ];
        if let Some(channels) = &terms.decided_on {
            lines.push(("decided on", on(channels)));
        }
        if !terms.remind.is_empty() {
            let after: Vec<String> = terms.remind.iter().map(|after| format!("{after}")).collect();
            lines.push(("asked again", format!("after {}, who has not answered", list(&after, "and"))));
        }
        for rung in &terms.ladder {
            let may = if rung.approvers.is_empty() {
                String::new()
            } else {
                format!("; then {} may decide, too", self.people(&rung.approvers))
            };
            lines.push((
                "later",
                format!("after {} also asked at {}{may}", rung.after, self.desk(&rung.desk)),
            ));
        }
        let then = match terms.otherwise {
            Otherwise::Deny => "the call does not run",
            Otherwise::Allow => "the call runs",
            Otherwise::HandOver => "a human takes the conversation over",
        };
        lines.push(("deadline", format!("{deadline}; when it was not decided by then, {then}")));
        if let Some(remember) = &terms.remember {
            lines.push(("remembered", remembered(remember)));
        }
        lines.iter().map(|(what, how)| format!("    {what:<12}{how}\n")).collect()
    }

    /// Names with the members behind them.
    fn people(&self, names: &[String]) -> String {
        let told = names.iter().map(|name| match self.directory.groups.get(name) {
            None => name.clone(),
            Some(group) if group.is_empty() => format!("{name} (nobody)"),
            Some(group) => format!("{name} ({})", group.join(", ")),
        });
        let told: Vec<String> = told.collect();
        if told.is_empty() { "nobody".to_owned() } else { told.join(", ") }
    }

    fn requester(&self, approvers: &[String], terms: &Terms) -> String {
        if terms.requester_may {
            return "may approve, if they are an approver".to_owned();
        }
        let roster = self.directory.roster(approvers);
        let others = |names: &str| format!("may not approve; {names}");
        match (roster.first(), terms.quorum) {
            (Some(only), _) if roster.len() == 1 && !self.directory.has_roles(approvers) => {
                others(&format!("when {only} asks for it, nobody could"))
            }
            (_, Quorum::All) => others("so what one of the approvers asks for is never approved by all"),
            (_, Quorum::Count(_) | Quorum::Each) => "may not approve".to_owned(),
        }
    }

    fn asked_at(&self, desk: &str, terms: &Terms) -> String {
        let desk = self.desk(desk);
        let nowhere = terms.decided_on.as_ref().is_some_and(Vec::is_empty);
        match self.spec.ask_at {
            _ if nowhere => "nowhere that it could be decided".to_owned(),
            AskAt::Origin => "where the request came from".to_owned(),
            AskAt::Desk => desk,
            AskAt::Nearest if !terms.requester_may => desk,
            AskAt::Nearest => {
                format!("where the request came from, if who asked may approve it there; else at {desk}")
            }
        }
    }

    /// A desk with its places.
    fn desk(&self, name: &str) -> String {
        let places = self.directory.desks.get(name).map(|desk| desk.places.as_slice()).unwrap_or_default();
        let place = |at: &AskedAt| match &at.member {
            Some(member) => format!("{member} on {}", at.at.channel),
            None => format!("a room on {}", at.at.channel),
        };
        let places: Vec<String> = places.iter().map(place).collect();
        if places.is_empty() {
            return format!("the desk {name}, which has no place");
        }
        format!("the desk {name} ({})", places.join(", "))
    }
}

/// A rule's beginning: `policy[0]  when args.amount > 100, ask`.
fn head(n: usize, rule: &PolicyRule) -> String {
    let then = match rule.then {
        Verdict::Allow => "allow",
        Verdict::Ask => "ask",
        Verdict::Deny => "deny",
    };
    match &rule.when {
        Some(when) => format!("policy[{n}]  {then} when {when}"),
        None => format!("policy[{n}]  {then}"),
    }
}

fn how_many(quorum: Quorum) -> String {
    match quorum {
        Quorum::Count(count) if count.get() == 1 => "one of them".to_owned(),
        Quorum::Count(count) => format!("{count} different people of them"),
        Quorum::All => "all of them".to_owned(),
        Quorum::Each => "one for each name, and each time somebody else".to_owned(),
    }
}

fn on(channels: &[ChannelName]) -> String {
    let names: Vec<String> = channels.iter().map(ToString::to_string).collect();
    if names.is_empty() { "no channel".to_owned() } else { format!("{} only", list(&names, "or")) }
}

fn remembered(remember: &Remember) -> String {
    format!("whoever approves may approve calls like it for {}: {}", remember.lasts, alike(remember))
}
