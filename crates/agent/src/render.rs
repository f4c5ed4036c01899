//! The context window: the whole of what a model sees, every byte ours.
//!
//! The log becomes a list of parts; each part is data with inert texts; the agent's templates write tags around them.
//! Invariant: no text from outside can open or close a tag: `<`, `>` and `&` are escaped, and characters that nobody
//! can see are taken out.

use std::collections::BTreeMap;

use minijinja::value::{Serde, Value as Jinja};
use serde_json::Value;

use crate::{
    agent::Agent,
    event::{Event, Fault, FaultKind, Measured, Thought},
    id::ThreadId,
    inert::{Spot, clip, escape},
    parts::{self, Part, parts},
    prompt::{Account, Message, Output, PartAccount, Prompt, Role},
    situation::situation,
    spec::{MessageSpec, Risk},
    squeeze,
    thread::Thread,
};

/// The variables of every template.
pub(crate) const KNOWN_VARIABLES: &[&str] =
    &["agent", "tools", "desks", "forms", "schema", "request", "requester", "parts"];
/// The variables of the templates that ask again.
pub(crate) const REASK_VARIABLES: &[&str] =
    &["agent", "tools", "desks", "forms", "schema", "request", "requester", "parts", "output", "error"];

/// Renders what is sent to the model for the next step of a thread.
///
/// # Errors
/// `ContextFull` when it does not fit the budget, even squeezed; `Internal` when a template fails.
pub fn render(agent: &Agent, thread: &Thread) -> Result<Prompt, Fault> {
    let spec = agent.spec();
    let budget = spec.context.tokens.saturating_sub(u64::from(spec.context.answer_tokens));
    let functions = agent.functions();
    let overhead = match spec.output.ask_as {
        Output::Functions => tokens(&serde_json::to_string(functions).unwrap_or_default()),
        Output::Schema => tokens(agent.extractor().schema_text()),
        Output::Text => 0,
    };
    let Measured { counted, estimated } = correction(thread);
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
        functions: functions.to_vec(),
        schema: agent.extractor().schema().clone(),
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
    let own = said.then(|| Message { role: Role::Assistant, text: clip(output, 4_000) });
    let asked = messages(agent, thread, &parts(thread), &agent.spec().reask, Some((output, error)))?;
    Ok(own.into_iter().chain(asked).collect())
}

/// An estimate of the tokens of a text: seven letters of ASCII are two, any other character is one. Good to a third for
/// the common tokenizers; the provider's own counts correct it.
pub(crate) fn tokens(text: &str) -> u64 {
    let (ascii, other) =
        text.chars().fold((0u64, 0u64), |(a, o), c| if c.is_ascii() { (a + 1, o) } else { (a, o + 1) });
    (ascii * 2).div_ceil(7) + other
}

/// What the provider counted against what was estimated, from the latest thought: at most three times, at least half.
fn correction(thread: &Thread) -> Measured {
    match measured(thread) {
        Some(Measured { counted, estimated }) => {
            Measured { counted: counted.clamp(estimated / 2, estimated.saturating_mul(3)), estimated }
        }
        None => Measured { counted: 1, estimated: 1 },
    }
}

/// What the provider counted against what was estimated, from the latest thought that tells.
pub(crate) fn measured(thread: &Thread) -> Option<Measured> {
    let own = thread.records().iter().rev().find_map(|record| {
        let Event::Thought(Thought { usage, estimated, .. }) = &record.event else { return None };
        let tells = usage.input > 0 && *estimated > 0 && usage.calls == 1;
        tells.then_some(Measured { counted: usage.input, estimated: *estimated })
    });
    own.or_else(|| thread.former()?.measured)
}

fn account(parts: &[Part]) -> Vec<PartAccount> {
    let size =
        |part: &Part| if part.dropped { 0 } else { tokens(&Value::Object(part.fields.clone()).to_string()) };
    let made = |part: &Part| PartAccount {
        seq: part.number,
        kind: part.kind.to_owned(),
        tokens: size(part),
        squeezed: part.squeezed.clone(),
    };
    parts.iter().map(made).collect()
}

fn messages(
    agent: &Agent,
    thread: &Thread,
    parts: &[Part],
    specs: &[MessageSpec],
    reask: Option<(&str, &str)>,
) -> Result<Vec<Message>, Fault> {
    // From the part, not from the log: where a long request lost its middle, it lost it here too.
    let begins = thread.run().first.map(|first| thread.number(first));
    let first = parts.iter().find(|part| part.kind == "heard" && Some(part.number) == begins);
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
    let forms = agent.spec().forms.iter().map(|(name, form)| {
        minijinja::context! {
            name => trusted(name),
            title => trusted(&form.title),
            fields => trusted(&form.fields.to_string()),
        }
    });
    let shown: Vec<Jinja> = parts.iter().filter(|part| !part.dropped).map(Part::to_jinja).collect();
    let (output, error) = reask.unwrap_or_default();
    let context = minijinja::context! {
        agent => minijinja::context! {
            name => trusted(&agent.reference().name),
            description => trusted(&agent.spec().description),
        },
        tools,
        desks => agent.desks().iter().map(|desk| trusted(desk)).collect::<Vec<_>>(),
        forms => forms.collect::<Vec<_>>(),
        schema => trusted(agent.extractor().schema_text()),
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
        fields.insert("seq".into(), self.number.into());
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
    let every = parts::one_of_every_kind();
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
