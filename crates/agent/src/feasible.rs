//! Whether what a policy asks for can ever be given: an approval that nobody could give is found at the start, and not by whoever
//! waits for it.
//!
//! Told is what can never be, whoever asks for whatever. What only some requests run into (that the only approver asks for it
//! themselves) is not: `explain` says so.

use std::collections::BTreeSet;

use channel::{ChannelName, Span};
use serde_json::Value;

use crate::{
    directory::Directory,
    document::{Flaw, Source},
    event::AskedAt,
    seats::seated,
    spec::{AgentSpec, AskAt, PolicyRule, Risk, ToolSpec, Verdict},
    terms::{Like, Otherwise, Quorum, Remember, list},
};

/// Tells what is wrong with the policies of an agent's tools.
pub(crate) fn check(source: Source<'_>, directory: &Directory, spec: &AgentSpec, flaws: &mut Vec<Flaw>) {
    for (name, tool) in &spec.tools {
        let mut look = Look { source, directory, spec, tool, path: Vec::new(), flaws: &mut *flaws };
        for (n, rule) in tool.policy.iter().enumerate() {
            look.path = ["tools", name, "policy", &n.to_string()].map(str::to_owned).to_vec();
            look.rule(rule);
        }
        let decided = tool.policy.iter().any(|rule| rule.when.is_none());
        if tool.risk == Risk::High && !decided {
            look.path = ["tools", name].map(str::to_owned).to_vec();
            look.can_be_given(&Ask { approvers: &spec.approvers, desk: &spec.desk, rule: None });
        }
    }
}

/// An approval as a rule asks for it, or as it is asked for where no rule fits.
struct Ask<'a> {
    approvers: &'a [String],
    desk: &'a str,
    rule: Option<&'a PolicyRule>,
}

/// Who of some names may decide under some condition, and whether a role is among them, behind which may be anybody.
type Able<'a> = (BTreeSet<&'a str>, bool);

struct Look<'a> {
    source: Source<'a>,
    directory: &'a Directory,
    spec: &'a AgentSpec,
    tool: &'a ToolSpec,
    /// Where what is looked at stands.
    path: Vec<String>,
    flaws: &'a mut Vec<Flaw>,
}

impl<'a> Look<'a> {
    fn flaw(&mut self, below: &[&str], what: impl Into<String>, remedy: impl Into<String>) {
        let path: Vec<&str> = self.path.iter().map(String::as_str).chain(below.iter().copied()).collect();
        self.flaws.push(self.source.flaw(&path, what, Some(remedy.into())));
    }

    fn rule(&mut self, rule: &'a PolicyRule) {
        self.names(&["approvers"], &rule.approvers);
        if let Some(desk) = &rule.desk {
            self.desk(&["desk"], desk);
        }
        if let Some(severity) = &rule.severity
            && !self.directory.severities.contains_key(severity)
        {
            let known = self.directory.severities.keys().cloned().collect::<Vec<_>>().join(", ");
            let remedy = format!("add it under [severities] in config.toml, which has: {known}");
            self.flaw(&["severity"], format!("there is no severity `{severity}`"), remedy);
        }
        if rule.otherwise == Otherwise::Allow && self.tool.risk == Risk::High {
            self.flaw(
                &["otherwise"],
                "a call of high risk would run because nobody looked",
                "write \"deny\" or \"hand_over\"; allow is for tools with risk = \"low\"",
            );
        }
        self.times(rule);
        if let Some(remember) = &rule.remember {
            self.remember(rule, remember);
        }
        let approvers = if rule.approvers.is_empty() { &self.spec.approvers } else { &rule.approvers };
        let desk = rule.desk.as_deref().unwrap_or(&self.spec.desk);
        let ask = Ask { approvers, desk, rule: Some(rule) };
        for (n, rung) in rule.escalate.iter().enumerate() {
            let place = n.to_string();
            self.names(&["escalate", &place, "approvers"], &rung.approvers);
            self.desk(&["escalate", &place, "desk"], &rung.desk);
            self.rung(&ask, rule, n);
        }
        if rule.then == Verdict::Ask {
            self.can_be_given(&ask);
        }
    }

    /// Reminders and rungs come one after the other, and before the end.
    fn times(&mut self, rule: &PolicyRule) {
        let deadline = rule.deadline.unwrap_or(self.spec.approval_deadline);
        if deadline == Span::seconds(0) {
            self.flaw(&["deadline"], "it would be over at once", "write for example \"4h\"");
        }
        let reminders = rule
            .remind
            .iter()
            .enumerate()
            .map(|(n, after)| (vec!["remind".to_owned(), n.to_string()], *after));
        let rungs =
            rule.escalate.iter().enumerate().map(|(n, rung)| {
                (vec!["escalate".to_owned(), n.to_string(), "after".to_owned()], rung.after)
            });
        for times in [reminders.collect::<Vec<_>>(), rungs.collect()] {
            let mut before = Span::seconds(0);
            for (path, after) in times {
                let path: Vec<&str> = path.iter().map(String::as_str).collect();
                if after <= before {
                    let what = format!("{after} is not after {before}");
                    self.flaw(&path, what, "put them in the order of time; each counts from the question");
                } else if after >= deadline {
                    let what = format!("after {after} the approval is over: it waits for {deadline}");
                    self.flaw(&path, what, "make it shorter, or the deadline longer");
                }
                before = after;
            }
        }
    }

    fn remember(&mut self, rule: &PolicyRule, remember: &Remember) {
        if rule.quorum != Quorum::default() {
            self.flaw(
                &["remember"],
                "what several people must approve, they approve each time",
                "leave this out, or `quorum`",
            );
        }
        if self.tool.outward {
            self.flaw(
                &["remember"],
                "its effect leaves the house, so each call is approved by itself",
                "leave this out, or `outward`",
            );
        }
        if remember.lasts == Span::seconds(0) {
            self.flaw(&["remember", "for"], "it would be forgotten at once", "write for example \"8h\"");
        }
        for (name, like) in &remember.args {
            let path = ["remember", "args", name];
            let Some(property) = self.tool.parameters.get("properties").and_then(|all| all.get(name)) else {
                self.flaw(&path, format!("the tool has no argument `{name}`"), "name one of its parameters");
                continue;
            };
            let kind = property.get("type").and_then(Value::as_str).unwrap_or_default();
            if *like == Like::AtMost && !matches!(kind, "number" | "integer") {
                let what = format!("`{name}` is no number, so it cannot be at most another one");
                self.flaw(&path, what, "write \"same\" or \"any\"");
            }
        }
    }

    /// A further desk is worth its time only if it reaches somebody who may decide.
    fn rung(&mut self, ask: &Ask<'a>, rule: &'a PolicyRule, n: usize) {
        let rung = &rule.escalate[n];
        let place = n.to_string();
        if !rung.approvers.is_empty()
            && rule.quorum != Quorum::default()
            && !matches!(rule.quorum, Quorum::Count(_))
        {
            self.flaw(
                &["escalate", &place, "approvers"],
                "with this quorum nobody could say for whom of the approvers these would decide",
                "leave them out, or make the quorum a number",
            );
            return;
        }
        let may: Vec<String> = rule.escalate[..=n]
            .iter()
            .flat_map(|rung| &rung.approvers)
            .chain(ask.approvers)
            .cloned()
            .collect();
        let on = self.decided_on(ask);
        let places = self.places(&rung.desk);
        let reaches = |at: &&AskedAt| {
            on.is_none_or(|on| on.contains(&at.at.channel))
                && at.member.as_deref().is_none_or(|member| self.directory.roster(&may).contains(member))
        };
        if !places.is_empty() && !places.iter().any(|at| reaches(&at)) {
            let what = format!("the desk `{}` reaches nobody who may decide this", rung.desk);
            self.flaw(
                &["escalate", &place, "desk"],
                what,
                "name another desk, or its members in `approvers`",
            );
        }
    }

    /// The channels on which it may be decided; `None` for all, and for a severity that there is not, which is told by itself.
    fn decided_on(&self, ask: &Ask<'_>) -> Option<&'a [ChannelName]> {
        let severity = ask.rule.and_then(|rule| rule.severity.as_ref())?;
        self.directory.severities.get(severity).map(Vec::as_slice)
    }

    fn places(&self, desk: &str) -> &'a [AskedAt] {
        self.directory.desks.get(desk).map(|desk| desk.places.as_slice()).unwrap_or_default()
    }

    fn can_be_given(&mut self, ask: &Ask<'a>) {
        let directory = self.directory;
        let quorum = ask.rule.map(|rule| rule.quorum).unwrap_or_default();
        let rungs = ask.rule.map(|rule| rule.escalate.as_slice()).unwrap_or_default();
        let also: Vec<String> = rungs.iter().flat_map(|rung| &rung.approvers).cloned().collect();
        if !directory.is_somebody(ask.approvers) {
            self.flaw(
                &[],
                "this asks for an approval that nobody may give",
                "name members or groups in `approvers`",
            );
            return;
        }
        let anybody = |names: &[String]| able(directory, names, |_| true, |_| true);
        if let Err(what) = enough(directory, quorum, ask.approvers, &also, anybody) {
            self.flaw(&["quorum"], what, "ask for fewer, or name more people in `approvers`");
            return;
        }
        let on = self.decided_on(ask);
        let decides = |channel: &ChannelName| on.is_none_or(|on| on.contains(channel));
        let has_channel =
            |member: &str| directory.members.get(member).is_some_and(|member| member.ids.keys().any(decides));
        let there = |names: &[String]| able(directory, names, has_channel, decides);
        if let Err(what) = enough(directory, quorum, ask.approvers, &also, there) {
            let channels: Vec<String> = on.unwrap_or_default().iter().map(ToString::to_string).collect();
            let channels = if channels.is_empty() { "no channel".to_owned() } else { list(&channels, "and") };
            let what = format!("on {channels}, where this may be decided: {what}");
            self.flaw(
                &["severity"],
                what,
                "add a channel to the severity, or ids on its channels to the approvers",
            );
            return;
        }
        self.can_be_reached(ask, quorum, &also, rungs.iter().map(|rung| rung.desk.as_str()));
    }

    /// Whether whoever is asked at the desks is enough. At the origin whoever is there may decide, which only a request shows; who may
    /// not approve their own is not asked there.
    fn can_be_reached(
        &mut self,
        ask: &Ask<'a>,
        quorum: Quorum,
        also: &[String],
        rungs: impl Iterator<Item = &'a str>,
    ) {
        let directory = self.directory;
        let first = self.places(ask.desk);
        if self.spec.ask_at == AskAt::Origin || first.is_empty() {
            return;
        }
        let on = self.decided_on(ask);
        let places: Vec<&AskedAt> = rungs
            .flat_map(|desk| self.places(desk))
            .chain(first)
            .filter(|at| on.is_none_or(|on| on.contains(&at.at.channel)))
            .collect();
        let room =
            |channel: &ChannelName| places.iter().any(|at| at.member.is_none() && at.at.channel == *channel);
        let reached = |member: &str| {
            places.iter().any(|at| at.member.as_deref() == Some(member))
                || directory.members.get(member).is_some_and(|member| member.ids.keys().any(room))
        };
        let there = |names: &[String]| able(directory, names, reached, room);
        let desk = ask.desk;
        let all: Vec<String> = ask.approvers.iter().chain(also).cloned().collect();
        let (members, roles) = there(&all);
        if members.is_empty() && !roles {
            let what = match on {
                Some(_) if places.is_empty() => {
                    format!("the desk `{desk}` asks only on channels where this may not be decided")
                }
                Some(_) | None => format!("nobody at the desk `{desk}` is among the approvers"),
            };
            self.flaw(&[], what, "ask at another desk, or add an approver to it");
        } else if (self.spec.ask_at == AskAt::Desk
            || ask.rule.is_some_and(|rule| !rule.requester_may_approve))
            && let Err(what) = enough(directory, quorum, ask.approvers, also, there)
        {
            let what = format!("of those who are asked at the desk `{desk}`: {what}");
            self.flaw(&["quorum"], what, "ask for fewer, or ask more people at the desk");
        }
    }

    fn names(&mut self, below: &[&str], names: &[String]) {
        let path: Vec<&str> = self.path.iter().map(String::as_str).chain(below.iter().copied()).collect();
        check_names(self.source, self.directory, &path, names, self.flaws);
    }

    fn desk(&mut self, below: &[&str], desk: &str) {
        let path: Vec<&str> = self.path.iter().map(String::as_str).chain(below.iter().copied()).collect();
        check_desk(self.source, self.directory, &path, desk, self.flaws);
    }
}

/// The members behind these names who fulfil a condition, and whether there is a role of a channel that does.
pub(crate) fn able<'a>(
    directory: &'a Directory,
    names: &[String],
    member: impl Fn(&str) -> bool,
    channel: impl Fn(&ChannelName) -> bool,
) -> Able<'a> {
    let members = directory.roster(names).into_iter().filter(|name| member(name)).collect();
    (members, directory.role_channels(names).iter().any(channel))
}

/// Whether those who are able to could make a quorum; why not, one sentence.
pub(crate) fn enough<'a>(
    directory: &Directory,
    quorum: Quorum,
    approvers: &[String],
    also: &[String],
    able: impl Fn(&[String]) -> Able<'a>,
) -> Result<(), String> {
    let people = |members: &BTreeSet<&str>| {
        let names: Vec<String> = members.iter().map(|name| (*name).to_owned()).collect();
        if names.is_empty() { "nobody".to_owned() } else { format!("only {}", list(&names, "and")) }
    };
    match quorum {
        Quorum::Count(count) => {
            let (members, roles) = able(&[approvers, also].concat());
            if roles || members.len() >= usize::try_from(count.get()).unwrap_or(usize::MAX) {
                return Ok(());
            }
            Err(match count.get() {
                1 => format!("somebody must approve, and {} may", people(&members)),
                count => format!("{count} people must approve, and {} may", people(&members)),
            })
        }
        Quorum::All if directory.has_roles(approvers) => {
            Err("all of a role must approve, and only its platform knows who that is".to_owned())
        }
        Quorum::All => {
            let (members, _) = able(approvers);
            let all = directory.roster(approvers);
            let absent: Vec<String> = all.difference(&members).map(|name| (*name).to_owned()).collect();
            if absent.is_empty() {
                Ok(())
            } else {
                Err(format!("{} must approve, and cannot", list(&absent, "and")))
            }
        }
        Quorum::Each => {
            // Behind a role may be anybody, so its seat can always be taken by somebody else.
            let known: Vec<&String> =
                approvers.iter().filter(|name| !able(std::slice::from_ref(name)).1).collect();
            let (members, _) = able(approvers);
            let members: Vec<&str> = members.into_iter().collect();
            let fitting = |name: &&String| {
                let (fit, _) = able(std::slice::from_ref(*name));
                (0..members.len()).filter(|member| fit.contains(members[*member])).collect()
            };
            let fitting: Vec<BTreeSet<usize>> = known.iter().map(fitting).collect();
            let open = seated(&fitting, members.len()).open;
            let Some((_, seats)) = open.first() else { return Ok(()) };
            let names: Vec<String> = seats.iter().map(|seat| known[*seat].clone()).collect();
            let fit: BTreeSet<&str> =
                seats.iter().flat_map(|seat| &fitting[*seat]).map(|member| members[*member]).collect();
            let others = if names.len() == 1 { "somebody" } else { "different people" };
            Err(format!("{others} of {} must approve, and {} may", list(&names, "and"), people(&fit)))
        }
    }
}

/// Tells a desk that has no place to ask at.
pub(crate) fn check_desk(
    source: Source<'_>,
    directory: &Directory,
    path: &[&str],
    desk: &str,
    flaws: &mut Vec<Flaw>,
) {
    if directory.desks.get(desk).is_none_or(|desk| desk.places.is_empty()) {
        let known = directory.desks.keys().cloned().collect::<Vec<_>>().join(", ");
        let remedy = format!("config.toml has the desks: {known}");
        flaws.push(source.flaw(
            path,
            format!("there is no desk `{desk}` with a place to ask at"),
            Some(remedy),
        ));
    }
}

/// Tells names that are neither a member's nor a group's.
pub(crate) fn check_names(
    source: Source<'_>,
    directory: &Directory,
    path: &[&str],
    names: &[String],
    flaws: &mut Vec<Flaw>,
) {
    for name in names {
        if !directory.members.contains_key(name) && !directory.groups.contains_key(name) {
            let remedy = "add it under [members] or [groups] in config.toml".to_owned();
            flaws.push(source.flaw(path, format!("there is no member or group `{name}`"), Some(remedy)));
        }
    }
}
