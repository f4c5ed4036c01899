//! The context window: the whole of what a model sees, every byte ours.
//!
//! The log becomes a list of parts; each part is data with inert texts; the agent's templates write tags around them.
//! Invariant: no text from outside can open or close a tag: `<`, `>` and `&` are escaped, and characters that nobody
//! can see are taken out.

use std::collections::BTreeMap;

use channel::File;
use minijinja::value::{Serde, Value as Jinja};
use serde_json::{Map, Value, json};

use crate::{
    agent::Agent,
    event::{
        Acted, Author, Decision, Event, Fault, FaultKind, Outcome, Question, QuestionKind, Record, Thought,
    },
    id::{QuestionId, Seq, ThreadId},
    prompt::{Account, Message, Output, PartAccount, Prompt},
    spec::{MessageSpec, Risk},
    squeeze,
    thread::Thread,
};

/// The variables of every template.
pub(crate) const KNOWN_VARIABLES: &[&str] =
    &["agent", "tools", "desks", "schema", "request", "requester", "parts"];
/// The variables of the templates that ask again.
pub(crate) const REASK_VARIABLES: &[&str] =
    &["agent", "tools", "desks", "schema", "request", "requester", "parts", "output", "error"];

/// One part of the context window: what happened, as data for a template.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Part {
    /// The place of its first event.
    pub(crate) seq: Seq,
    /// Which request of the thread it belongs to, counting from 0.
    pub(crate) run: usize,
    /// What it is.
    pub(crate) kind: &'static str,
    /// Its fields, as they were said.
    pub(crate) fields: Map<String, Value>,
    /// It may not be left out: a first request, an approval, an open question.
    pub(crate) pinned: bool,
    /// A failure that something later made good.
    pub(crate) resolved: bool,
    /// What was done to it for want of room.
    pub(crate) squeezed: Option<String>,
    /// Left out.
    pub(crate) dropped: bool,
}

/// Renders what is sent to the model for the next step of a thread.
///
/// # Errors
/// `ContextFull` when it does not fit the budget, even squeezed; `Internal` when a template fails.
pub fn render(agent: &Agent, thread: &Thread) -> Result<Prompt, Fault> {
    let spec = agent.spec();
    let budget = spec.context.tokens.saturating_sub(u64::from(spec.context.answer_tokens));
    let functions = functions(agent);
    let schema = agent.extractor().schema();
    let overhead = match spec.output.ask_as {
        Output::Functions => tokens(&serde_json::to_string(&functions).unwrap_or_default()),
        Output::Schema => tokens(&schema.to_string()),
        Output::Text => 0,
    };
    let (counted, estimated) = correction(thread);
    let corrected = |raw: u64| {
        let wide = u128::from(raw) * u128::from(counted) / u128::from(estimated.max(1));
        u64::try_from(wide).unwrap_or(u64::MAX)
    };
    let mut parts = parts(thread);
    let mut last = (Vec::new(), 0);
    let mut failed = None;
    let fits =
        squeeze::squeeze(
            &mut parts,
            &mut |parts| match messages(agent, thread, parts, &spec.messages, None) {
                Ok(messages) => {
                    let raw =
                        overhead + messages.iter().map(|message| tokens(&message.text) + 4).sum::<u64>();
                    last = (messages, raw);
                    corrected(raw) <= budget
                }
                Err(fault) => {
                    failed = Some(fault);
                    true
                }
            },
        );
    if let Some(fault) = failed {
        return Err(fault);
    }
    let (messages, raw) = last;
    if !fits {
        let what =
            format!("the context needs {} tokens and may have {budget}, even squeezed", corrected(raw));
        return Err(Fault::new(FaultKind::ContextFull, what));
    }
    Ok(Prompt {
        messages,
        functions,
        schema,
        output: spec.output.ask_as,
        answer_tokens_max: spec.context.answer_tokens,
        temperature: spec.context.temperature,
        situation: situation(agent, thread),
        script: agent.files().get("script.toml").cloned(),
        account: Account { tokens: corrected(raw), tokens_raw: raw, budget, parts: account(&parts) },
    })
}

/// The messages that ask again after an output that was not a valid intent: the output itself as the model's, then the
/// agent's own words.
///
/// # Errors
/// `Internal` when a template fails.
pub fn render_reask(
    agent: &Agent,
    thread: &Thread,
    output: &str,
    error: &str,
) -> Result<Vec<Message>, Fault> {
    // An empty message of the model's own is refused by providers; then the agent's words stand alone.
    let said = !output.trim().is_empty();
    let own = said.then(|| Message { role: crate::prompt::Role::Assistant, text: clip(output, 4_000) });
    let asked = messages(agent, thread, &parts(thread), &agent.spec().reask, Some((output, error)))?;
    Ok(own.into_iter().chain(asked).collect())
}

/// The summary for a human who takes over: the request, the steps, why. Arguments that people must not see are left out.
pub(crate) fn summary(agent: &Agent, thread: &Thread, why: &str) -> String {
    let mut text = format!("Why: {}\n", clip(why, 500));
    let run = thread.runs().len().saturating_sub(1);
    for part in parts(thread).iter().filter(|part| part.run == run).take(40) {
        let field = |name: &str| part.fields.get(name).and_then(Value::as_str).unwrap_or_default();
        let line = match part.kind {
            "heard" => format!("{}: {}", field("from"), clip(field("text"), 500)),
            "said" => format!("{} said: {}", field("by"), clip(field("text"), 300)),
            "called" => format!(
                "ran {} {}: {} {}",
                field("tool"),
                clip(&shown_args(agent, field("tool"), field("args")), 200),
                field("status"),
                clip(field("error"), 200)
            ),
            "question" | "approval" => {
                format!("asked {} {}: {}", field("tool"), clip(field("text"), 200), field("status"))
            }
            "fault" => format!("failed: {}", clip(field("text"), 200)),
            _ => continue,
        };
        text.push_str("- ");
        text.push_str(line.trim());
        text.push('\n');
    }
    text.push_str("Your answer goes to the person who asked, in your name.");
    text
}

/// The arguments of a call as people may see them.
fn shown_args(agent: &Agent, tool: &str, args: &str) -> String {
    let secret = agent.spec().tools.get(tool).map(|tool| tool.secret.as_slice()).unwrap_or_default();
    if secret.is_empty() {
        return args.to_owned();
    }
    let Ok(Value::Object(mut shown)) = serde_json::from_str(args) else { return "(not shown)".to_owned() };
    for name in secret {
        if let Some(value) = shown.get_mut(name) {
            *value = "(not shown)".into();
        }
    }
    Value::Object(shown).to_string()
}

/// The files of a thread that were kept, oldest first.
pub fn files(thread: &Thread) -> Vec<File> {
    let of = |record: &Record| -> Vec<File> {
        if let Event::Heard(heard) = &record.event {
            heard.files.iter().map(|file| file.file.clone()).collect()
        } else if let Event::Acted(acted) = &record.event {
            acted.files.clone()
        } else {
            Vec::new()
        }
    };
    thread.records().iter().flat_map(of).filter(|file| !file.hash.is_empty()).collect()
}

/// The beginning of a text, with a mark where it goes on.
pub(crate) fn clip(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// An estimate of the tokens of a text: seven letters of ASCII are two, any other character is one. Good to a third for
/// the common tokenizers; the provider's own counts correct it.
pub(crate) fn tokens(text: &str) -> u64 {
    let (ascii, other) =
        text.chars().fold((0u64, 0u64), |(a, o), c| if c.is_ascii() { (a + 1, o) } else { (a, o + 1) });
    (ascii * 2).div_ceil(7) + other
}

/// What the provider counted against what was estimated, from the latest thought: at most three times, at least half.
fn correction(thread: &Thread) -> (u64, u64) {
    let last = thread.records().iter().rev().find_map(|record| {
        let Event::Thought(Thought { usage, estimated, .. }) = &record.event else { return None };
        let tells = usage.input > 0 && *estimated > 0 && usage.calls == 1;
        tells.then_some((usage.input, *estimated))
    });
    match last {
        Some((counted, estimated)) => (counted.clamp(estimated / 2, estimated.saturating_mul(3)), estimated),
        None => (1, 1),
    }
}

/// The parts of a thread, in the order of the log.
pub(crate) fn parts(thread: &Thread) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    let mut run = 0;
    for (n, record) in thread.records().iter().enumerate() {
        let seq = Seq(n as u64);
        let begins = thread.runs().iter().position(|first| *first == seq);
        run = begins.unwrap_or(run);
        let made = match &record.event {
            Event::Heard(heard) => Some(("heard", heard_fields(heard), begins.is_some())),
            Event::Said(reply) => match &reply.by {
                Author::Agent => {
                    Some(("said", fields(json!({ "by": "you", "to": "origin", "text": reply.text })), false))
                }
                Author::Member(name) => {
                    Some(("said", fields(json!({ "by": name, "to": "origin", "text": reply.text })), false))
                }
                Author::Gateway => None,
            },
            Event::Asked(question) => Some(asked_fields(thread, QuestionId(seq), question)),
            Event::Started(started)
                if !parts.iter().any(|part| part.kind == "called" && part.seq == started.call.0) =>
            {
                let args = started.args.to_string();
                let part = json!({ "tool": started.tool, "args": args, "status": "running", "result": "", "error": "" });
                parts.push(Part::new(started.call.0, run, "called", fields(part), false));
                None
            }
            Event::Acted(acted) => {
                end_call(&mut parts, acted);
                None
            }
            Event::Failed(failure) => {
                let fault = &failure.fault;
                Some(("fault", fields(json!({ "fault": fault.kind.as_str(), "text": fault.what })), false))
            }
            Event::Cancelled { by } => Some((
                "summary",
                fields(json!({ "text": format!("The request was cancelled by {by}.") })),
                false,
            )),
            Event::Routed(_)
            | Event::Thought(_)
            | Event::Started(_)
            | Event::Answered(_)
            | Event::Refused(_)
            | Event::Lapsed { .. }
            | Event::Delivered { .. }
            | Event::Undelivered { .. }
            | Event::Paused { .. }
            | Event::Resumed { .. }
            | Event::HandedOver { .. }
            | Event::Finished => None,
        };
        if let Some((kind, fields, pinned)) = made {
            parts.push(Part::new(seq, run, kind, fields, pinned));
        }
    }
    resolve(&mut parts);
    parts
}

impl Part {
    fn new(seq: Seq, run: usize, kind: &'static str, fields: Map<String, Value>, pinned: bool) -> Self {
        Self { seq, run, kind, fields, pinned, resolved: false, squeezed: None, dropped: false }
    }

    fn is_failure(&self) -> bool {
        self.kind == "fault" || (self.kind == "called" && self.fields.get("status") == Some(&json!("failed")))
    }

    fn is_success(&self) -> bool {
        matches!(self.kind, "said" | "question" | "approval")
            || (self.kind == "called" && self.fields.get("status") == Some(&json!("done")))
    }
}

/// A fault is resolved by the next thing that works; a failed call by the next call of its tool that does, or by the
/// end of its request. What is resolved is hidden.
fn resolve(parts: &mut [Part]) {
    let last_run = parts.last().map_or(0, |part| part.run);
    for n in 0..parts.len() {
        let part = &parts[n];
        if !part.is_failure() {
            continue;
        }
        let later = &parts[n + 1..];
        let good = match part.kind {
            "fault" => later.iter().any(Part::is_success),
            _ => later.iter().any(|next| {
                next.kind == "called"
                    && next.is_success()
                    && next.fields.get("tool") == part.fields.get("tool")
            }),
        };
        parts[n].resolved = good || part.run < last_run;
        if good {
            parts[n].dropped = true;
            parts[n].squeezed = Some("hidden: the error was resolved".into());
        }
    }
}

fn fields(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
    }
}

fn heard_fields(heard: &crate::event::Heard) -> Map<String, Value> {
    let files: Vec<Value> = heard
        .files
        .iter()
        .map(|file| {
            let text =
                file.text.clone().or_else(|| file.dropped.as_ref().map(|why| format!("(not kept: {why})")));
            json!({
                "name": file.file.name,
                "kind": file.file.kind,
                "size": file.file.size,
                "text": text.unwrap_or_default(),
            })
        })
        .collect();
    let verified = if heard.from.verified.is_proven() { "yes" } else { "no" };
    fields(json!({ "from": heard.from.name, "verified": verified, "text": heard.text, "files": files }))
}

fn asked_fields(
    thread: &Thread,
    id: QuestionId,
    question: &Question,
) -> (&'static str, Map<String, Value>, bool) {
    let answer = thread.settled_by(id).and_then(|seq| thread.event(seq));
    let (status, by, words) = match answer {
        None => ("open", String::new(), String::new()),
        Some(Event::Answered(answer)) => {
            let by = answer.member.clone().unwrap_or_else(|| answer.by.name.clone());
            match &answer.decision {
                Decision::Approve => ("approved", by, String::new()),
                Decision::Reject { comment } => ("rejected", by, comment.clone().unwrap_or_default()),
                Decision::Option(place) => {
                    ("answered", by, question.options.get(*place).cloned().unwrap_or_default())
                }
                Decision::Text(text) => ("answered", by, text.clone()),
            }
        }
        Some(_) => ("lapsed", String::new(), String::new()),
    };
    let open = status == "open";
    match &question.kind {
        QuestionKind::Approval { tool, args, .. } => {
            let made = json!({ "tool": tool, "args": args.to_string(), "status": status, "comment": words, "by": by });
            ("approval", fields(made), true)
        }
        QuestionKind::Question | QuestionKind::Unknown { .. } => {
            let made = json!({
                "text": question.text, "options": question.options, "status": status, "answer": words, "by": by,
            });
            ("question", fields(made), open)
        }
        QuestionKind::HandOver => {
            ("handed_over", fields(json!({ "why": question.text, "status": status, "answer": words })), open)
        }
    }
}

fn end_call(parts: &mut [Part], acted: &Acted) {
    let Some(part) = parts.iter_mut().rev().find(|part| part.kind == "called" && part.seq == acted.call.0)
    else {
        return;
    };
    let (status, result, error) = match &acted.outcome {
        Outcome::Done(Value::String(text)) => ("done", text.clone(), String::new()),
        Outcome::Done(value) => ("done", value.to_string(), String::new()),
        Outcome::Failed(fault) => {
            ("failed", String::new(), format!("{}: {}", fault.kind.as_str(), fault.what))
        }
        Outcome::Unknown { why } => ("unknown", String::new(), why.clone()),
    };
    part.fields.insert("status".into(), status.into());
    part.fields.insert("result".into(), result.into());
    part.fields.insert("error".into(), error.into());
}

/// What the scripted model decides on: the same parts as data, and the latest one that matters.
fn situation(agent: &Agent, thread: &Thread) -> Value {
    let run = thread.runs().len().saturating_sub(1);
    let all = parts(thread);
    let current: Vec<&Part> = all.iter().filter(|part| part.run == run).collect();
    // The order of the log is the order of beginnings; what counts is what ended last.
    let last = thread.records().iter().rev().find_map(|record| latest(thread, &record.event));
    let first = current.iter().find(|part| part.kind == "heard");
    let events: Vec<Value> = current
        .iter()
        .map(|part| {
            let mut fields = part.fields.clone();
            fields.insert("kind".into(), part.kind.into());
            Value::Object(fields)
        })
        .collect();
    json!({
        "agent": agent.reference().name,
        "last": last.unwrap_or_else(|| json!({ "kind": "nothing" })),
        "request": first.and_then(|part| part.fields.get("text")).cloned().unwrap_or_default(),
        "requester": thread.requester().map_or("", |person| person.name.as_str()),
        "events": events,
        "tools": agent.spec().tools.keys().collect::<Vec<_>>(),
    })
}

/// The latest event that a script can answer to.
fn latest(thread: &Thread, event: &Event) -> Option<Value> {
    match event {
        Event::Heard(heard) => Some(json!({ "kind": "heard", "text": heard.text, "from": heard.from.name })),
        Event::Acted(acted) => {
            let call = thread.call(acted.call)?;
            Some(match &acted.outcome {
                Outcome::Done(value) => {
                    json!({ "kind": "done", "tool": call.tool, "args": call.args, "result": value })
                }
                Outcome::Failed(fault) => {
                    json!({ "kind": "failed", "tool": call.tool, "args": call.args, "error": fault.what })
                }
                Outcome::Unknown { why } => {
                    json!({ "kind": "unknown", "tool": call.tool, "args": call.args, "error": why })
                }
            })
        }
        Event::Failed(failure) => Some(json!({ "kind": "failed", "tool": "", "error": failure.fault.what })),
        Event::Answered(answer) => {
            let question = thread.question(answer.question)?;
            let (tool, args) = match &question.kind {
                QuestionKind::Approval { tool, args, .. } | QuestionKind::Unknown { tool, args, .. } => {
                    (tool.as_str(), args.clone())
                }
                QuestionKind::Question | QuestionKind::HandOver => ("", Value::Null),
            };
            Some(match &answer.decision {
                Decision::Approve => json!({ "kind": "approved", "tool": tool, "args": args }),
                Decision::Reject { comment } => {
                    json!({ "kind": "rejected", "tool": tool, "args": args, "comment": comment.clone().unwrap_or_default() })
                }
                Decision::Option(place) => {
                    let option = question.options.get(*place).cloned().unwrap_or_default();
                    json!({ "kind": "answered", "tool": tool, "args": args, "answer": option, "text": option, "question": question.text })
                }
                Decision::Text(text) => {
                    json!({ "kind": "answered", "tool": tool, "args": args, "answer": text, "text": text, "question": question.text })
                }
            })
        }
        Event::Lapsed { question } => {
            let question = thread.question(*question)?;
            let tool = match &question.kind {
                QuestionKind::Approval { tool, .. } | QuestionKind::Unknown { tool, .. } => tool.as_str(),
                QuestionKind::Question | QuestionKind::HandOver => "",
            };
            Some(json!({ "kind": "lapsed", "tool": tool, "question": question.text }))
        }
        Event::Said(reply) if reply.by == Author::Agent => {
            Some(json!({ "kind": "said", "text": reply.text }))
        }
        Event::Routed(_)
        | Event::Thought(_)
        | Event::Started(_)
        | Event::Asked(_)
        | Event::Refused(_)
        | Event::Said(_)
        | Event::Delivered { .. }
        | Event::Undelivered { .. }
        | Event::Paused { .. }
        | Event::Resumed { .. }
        | Event::Cancelled { .. }
        | Event::HandedOver { .. }
        | Event::Finished => None,
    }
}

fn account(parts: &[Part]) -> Vec<PartAccount> {
    let size =
        |part: &Part| if part.dropped { 0 } else { tokens(&Value::Object(part.fields.clone()).to_string()) };
    let made = |part: &Part| PartAccount {
        seq: part.seq.0,
        kind: part.kind.to_owned(),
        tokens: size(part),
        squeezed: part.squeezed.clone(),
    };
    parts.iter().map(made).collect()
}

fn functions(agent: &Agent) -> Vec<crate::prompt::Function> {
    let describe = |(name, tool): (&String, &crate::spec::ToolSpec)| (name.clone(), tool.description.clone());
    let descriptions: Vec<_> = agent.spec().tools.iter().map(describe).collect();
    agent.extractor().functions(&descriptions)
}

fn messages(
    agent: &Agent,
    thread: &Thread,
    parts: &[Part],
    specs: &[MessageSpec],
    reask: Option<(&str, &str)>,
) -> Result<Vec<Message>, Fault> {
    // From the part, not from the log: where a long request lost its middle, it lost it here too.
    let first = parts.iter().find(|part| part.kind == "heard" && Some(part.seq) == thread.run().first);
    let request = first.and_then(|part| part.fields.get("text")).and_then(Value::as_str);
    let tools: Vec<Jinja> = agent
        .spec()
        .tools
        .iter()
        .map(|(name, tool)| {
            minijinja::context! {
                name => trusted(name),
                description => trusted(&tool.description),
                parameters => trusted(&tool.parameters.to_string()),
                risk => if tool.risk == Risk::High { "high" } else { "low" },
            }
        })
        .collect();
    let shown: Vec<Jinja> = parts.iter().filter(|part| !part.dropped).map(Part::to_jinja).collect();
    let (output, error) = reask.unwrap_or_default();
    let context = minijinja::context! {
        agent => minijinja::context! {
            name => trusted(&agent.reference().name),
            description => trusted(&agent.spec().description),
        },
        tools,
        desks => agent.desks().iter().map(|desk| trusted(desk)).collect::<Vec<_>>(),
        schema => trusted(&agent.extractor().schema().to_string()),
        request => inert(request.unwrap_or_default(), Spot::Text),
        requester => inert(thread.requester().map_or("", |person| person.name.as_str()), Spot::Attribute),
        parts => shown,
        output => inert(&clip(output, 4_000), Spot::Text),
        error => inert(error, Spot::Text),
    };
    let mut messages = Vec::new();
    for MessageSpec { role, template } in specs {
        let text = agent
            .templates()
            .get_template(template)
            .and_then(|parsed| parsed.render(&context))
            .map_err(|error| Fault::new(FaultKind::Internal, format!("{template}: {error}")))?;
        messages.push(Message { role: *role, text });
    }
    Ok(messages)
}

impl Part {
    fn to_jinja(&self) -> Jinja {
        let mut fields = self.fields.clone();
        fields.insert("seq".into(), self.seq.0.into());
        // A fault has a sort of its own; every part has a kind.
        fields.insert("kind".into(), self.kind.into());
        to_jinja("", &Value::Object(fields))
    }
}

/// Data for a template, every text made inert. Which spot a field is meant for follows from its name.
fn to_jinja(name: &str, value: &Value) -> Jinja {
    match value {
        Value::String(text) => {
            let long = matches!(
                name,
                "text" | "args" | "result" | "error" | "answer" | "comment" | "why" | "options"
            );
            inert(text, if long { Spot::Text } else { Spot::Attribute })
        }
        Value::Array(items) => items.iter().map(|item| to_jinja(name, item)).collect(),
        Value::Object(map) => {
            let map: BTreeMap<String, Jinja> =
                map.iter().map(|(key, item)| (key.clone(), to_jinja(key, item))).collect();
            Jinja::from(map)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => Jinja::from(Serde(value)),
    }
}

/// Where a text will stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spot {
    /// Between tags.
    Text,
    /// Inside quotes in a tag.
    Attribute,
}

/// Makes a text unable to open or close a tag, or a quoted value; what cannot be seen is taken out.
pub(crate) fn escape(text: &str, spot: Spot) -> String {
    let mut safe = String::with_capacity(text.len() + text.len() / 16);
    for c in text.chars().filter(|c| is_visible(*c)) {
        match (c, spot) {
            ('<', _) => safe.push_str("&lt;"),
            ('>', _) => safe.push_str("&gt;"),
            ('&', _) => safe.push_str("&amp;"),
            ('"', Spot::Attribute) => safe.push_str("&quot;"),
            ('\'', Spot::Attribute) => safe.push_str("&#39;"),
            ('\n' | '\t', Spot::Attribute) => safe.push(' '),
            (c, _) => safe.push(c),
        }
    }
    safe
}

/// Controls, direction marks, zero-width and tag characters carry words past a reader's eye; they are left out.
fn is_visible(c: char) -> bool {
    let hidden = matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}');
    !hidden && (!c.is_control() || matches!(c, '\n' | '\t'))
}

fn inert(text: &str, spot: Spot) -> Jinja {
    Jinja::from_safe_string(escape(text, spot))
}

/// Text of the operator's own: it may hold tags.
fn trusted(text: &str) -> Jinja {
    Jinja::from_safe_string(text.to_owned())
}

/// Renders the agent's templates over one part of every kind, so that a template that names what is not there fails when
/// the agent is loaded.
///
/// # Errors
/// The template and what is wrong.
pub(crate) fn rehearse(agent: &Agent) -> Result<(), (String, String)> {
    let every: Vec<Part> = [
        ("heard", json!({ "from": "a", "verified": "yes", "text": "b", "files": [{ "name": "c", "kind": "text/plain", "size": 1, "text": "d" }] })),
        ("said", json!({ "by": "you", "to": "origin", "text": "a" })),
        ("called", json!({ "tool": "a", "args": "{}", "status": "done", "result": "b", "error": "" })),
        ("called", json!({ "tool": "a", "args": "{}", "status": "failed", "result": "", "error": "b" })),
        ("called", json!({ "tool": "a", "args": "{}", "status": "unknown", "result": "", "error": "b" })),
        ("called", json!({ "tool": "a", "args": "{}", "status": "running", "result": "", "error": "" })),
        ("question", json!({ "text": "a", "options": ["b", "c"], "status": "open", "answer": "", "by": "" })),
        ("question", json!({ "text": "a", "options": [], "status": "answered", "answer": "b", "by": "c" })),
        ("question", json!({ "text": "a", "options": [], "status": "lapsed", "answer": "", "by": "" })),
        ("approval", json!({ "tool": "a", "args": "{}", "status": "open", "comment": "", "by": "" })),
        ("approval", json!({ "tool": "a", "args": "{}", "status": "approved", "comment": "", "by": "b" })),
        ("approval", json!({ "tool": "a", "args": "{}", "status": "rejected", "comment": "c", "by": "b" })),
        ("approval", json!({ "tool": "a", "args": "{}", "status": "lapsed", "comment": "", "by": "" })),
        ("handed_over", json!({ "why": "a", "status": "answered", "answer": "b" })),
        ("fault", json!({ "fault": "bad_call", "text": "a" })),
        ("summary", json!({ "text": "a" })),
    ]
    .into_iter()
    .map(|(kind, value)| Part::new(Seq(0), 0, kind, fields(value), false))
    .collect();
    let thread = Thread::new(ThreadId::of_nobody());
    for specs in [&agent.spec().messages, &agent.spec().reask] {
        for spec in specs {
            let one = std::slice::from_ref(spec);
            messages(agent, &thread, &every, one, Some(("{}", "a")))
                .map_err(|fault| (spec.template.clone(), fault.what))?;
        }
    }
    Ok(())
}
