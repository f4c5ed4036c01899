//! An agent, loaded: its files read, its templates parsed, its schemas compiled.

use std::collections::{BTreeMap, BTreeSet};

use minijinja::{AutoEscape, Environment, UndefinedBehavior, value::Value as Jinja};
use serde_json::{Value, json};

use crate::{
    directory::Directory,
    document::{self, Flaw, Source},
    event::AgentRef,
    extract::{Extractor, FormName},
    feasible, form,
    id::{ThreadId, sha256},
    inert::{Spot, escape},
    policy,
    prompt::Function,
    render::{self, KNOWN_VARIABLES, REASK_VARIABLES},
    spec::{AgentSpec, Builtin, FormSpec, Handler, MessageSpec, ToolSpec},
    thread::Thread,
};

/// The most calls that one step may want: more are no small step, and nobody reads their card.
const CALLS_AT_ONCE_MAX: u32 = 10;
/// The most steps an agent may take without words that say why.
const STEPS_WITHOUT_WORDS: u32 = 10;

/// An agent in one version. Cheap to share, never changed.
pub struct Agent {
    reference: AgentRef,
    spec: AgentSpec,
    files: BTreeMap<String, String>,
    extractor: Extractor,
    /// The intents as functions, made once: they are asked for at each thought.
    functions: Vec<Function>,
    templates: Environment<'static>,
    desks: Vec<String>,
}

impl std::fmt::Debug for Agent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Agent").field(&self.reference).finish()
    }
}

impl Agent {
    /// Loads an agent from its text files, by name relative to its folder. `desks` are the names that `ask.to` may have.
    ///
    /// # Errors
    /// Everything that is wrong with the files.
    pub fn load(name: &str, files: BTreeMap<String, String>, desks: &[String]) -> Result<Self, Vec<Flaw>> {
        let path = format!("agents/{name}/agent.toml");
        let Some(text) = files.get("agent.toml") else {
            return Err(vec![Flaw {
                file: path,
                line: None,
                key: String::new(),
                what: "the file is missing".into(),
                remedy: Some(
                    "every agent's folder needs an agent.toml; agents/README.md says what stands in it"
                        .into(),
                ),
            }]);
        };
        let source = Source { file: &path, text };
        let mut spec: AgentSpec = document::read(source)?;
        for tool in spec.tools.values_mut() {
            fill_builtin(tool);
        }
        for (name, form) in &mut spec.forms {
            as_written(source, name, form);
        }
        let mut flaws = check_spec(source, &spec);
        let tools: Vec<_> =
            spec.tools.iter().map(|(name, tool)| (name.clone(), tool.parameters.clone())).collect();
        let forms: Vec<_> = spec
            .forms
            .iter()
            .map(|(name, form)| FormName { name: name.clone(), title: form.title.clone() })
            .collect();
        let extractor = Extractor::new(&tools, desks, &forms);
        let extractor =
            extractor.map(|made| made.with_calls(spec.limits.calls_at_once as usize)).map_err(|what| {
                flaws.push(source.flaw(&["tools"], what, Some("parameters must be a JSON Schema".into())))
            });
        let templates = compile(name, &spec, &files).map_err(|mut found| flaws.append(&mut found));
        let (Ok(extractor), Ok(templates), true) = (extractor, templates, flaws.is_empty()) else {
            flaws.sort();
            return Err(flaws);
        };
        let reference = AgentRef { name: name.to_owned(), version: version(&files) };
        let described: Vec<_> =
            spec.tools.iter().map(|(name, tool)| (name.clone(), tool.description.clone())).collect();
        let functions = extractor.functions(&described);
        let agent = Self { reference, spec, files, extractor, functions, templates, desks: desks.to_vec() };
        render::rehearse(&agent).map_err(|(template, what)| {
            vec![Flaw {
                file: format!("agents/{name}/{template}"),
                line: None,
                key: String::new(),
                what,
                remedy: Some("agents/README.md lists the variables of each part".into()),
            }]
        })?;
        Ok(agent)
    }

    /// Its name and version.
    pub fn reference(&self) -> AgentRef {
        self.reference.clone()
    }

    /// Its `agent.toml`.
    pub fn spec(&self) -> &AgentSpec {
        &self.spec
    }

    /// Its files: what its version is the hash of.
    pub fn files(&self) -> &BTreeMap<String, String> {
        &self.files
    }

    /// Turns a model's output into an intent.
    pub fn extractor(&self) -> &Extractor {
        &self.extractor
    }

    pub(crate) fn functions(&self) -> &[Function] {
        &self.functions
    }

    /// The desks that it may ask.
    pub fn desks(&self) -> &[String] {
        &self.desks
    }

    pub(crate) fn templates(&self) -> &Environment<'static> {
        &self.templates
    }

    /// What is wrong with this agent among these humans and models: a desk that does not exist, an approval that
    /// nobody could give.
    pub fn check(&self, directory: &Directory, models: &BTreeSet<String>) -> Vec<Flaw> {
        let file = format!("agents/{}/agent.toml", self.reference.name);
        let text = self.files.get("agent.toml").map_or("", String::as_str);
        let source = Source { file: &file, text };
        let mut flaws = Vec::new();
        let spec = &self.spec;
        if !models.contains(&spec.model) {
            let known = models.iter().cloned().collect::<Vec<_>>().join(", ");
            let remedy = format!("config.toml has the models: {known}");
            flaws.push(source.flaw(&["model"], format!("there is no model `{}`", spec.model), Some(remedy)));
        }
        feasible::check_desk(source, directory, &["desk"], &spec.desk, &mut flaws);
        feasible::check_names(source, directory, &["approvers"], &spec.approvers, &mut flaws);
        let (places, audience) = directory.desk(&spec.desk, &spec.approvers);
        if !places.is_empty() && !directory.is_somebody(&audience) {
            let what = format!("nobody may answer at the desk `{}`", spec.desk);
            let remedy = "give its places to members, or name members or groups in `approvers`".to_owned();
            flaws.push(source.flaw(&["desk"], what, Some(remedy)));
        }
        feasible::check(source, directory, spec, &mut flaws);
        // An agent that fills its window before anybody spoke would hand every request to a person.
        if let Err(fault) = render::render(self, &Thread::new(ThreadId::of_nobody())) {
            let what = format!("before anybody spoke: {}", fault.what);
            let remedy = "raise this, or shorten prompt.md and the descriptions of the tools".to_owned();
            flaws.push(source.flaw(&["context", "tokens"], what, Some(remedy)));
        }
        flaws
    }
}

/// The version of a set of files: a hash over names and contents, each with its length.
fn version(files: &BTreeMap<String, String>) -> String {
    let mut all = String::new();
    for (name, text) in files {
        all.push_str(&format!("{}:{name}{}:{text}", name.len(), text.len()));
    }
    sha256(all.as_bytes())
}

fn fill_builtin(tool: &mut ToolSpec) {
    let Handler::Builtin(builtin) = &tool.run else { return };
    tool.parameters = match builtin {
        Builtin::Clock => json!({ "type": "object", "properties": {}, "additionalProperties": false }),
        Builtin::ReadFile => json!({
            "type": "object",
            "properties": { "name": { "type": "string", "description": "the name of a file of this thread" } },
            "required": ["name"],
            "additionalProperties": false,
        }),
    };
}

/// Puts the fields of a form into the order that they are written in; a table that was read has none.
fn as_written(source: Source<'_>, name: &str, form: &mut FormSpec) {
    let Some(fields) = form.fields.get_mut("properties").and_then(Value::as_object_mut) else { return };
    let Ok(document) = toml_edit::Document::parse(source.text) else { return };
    let path = ["forms", name, "fields", "properties"];
    let written = path.iter().try_fold(document.as_item(), |item, key| item.get(*key));
    let Some(written) = written.and_then(toml_edit::Item::as_table_like) else { return };
    let place = |key: &String| written.iter().position(|(other, _)| other == key);
    let mut ordered: Vec<(String, Value)> = std::mem::take(fields).into_iter().collect();
    ordered.sort_by_key(|(key, _)| place(key));
    fields.extend(ordered);
}

fn check_spec(source: Source<'_>, spec: &AgentSpec) -> Vec<Flaw> {
    let mut flaws = Vec::new();
    let mut flaw = |path: &[&str], what: String, remedy: &str| {
        flaws.push(source.flaw(path, what, Some(remedy.to_owned())));
    };
    if spec.limits.steps > STEPS_WITHOUT_WORDS
        && spec.limits.more_steps_because.as_deref().is_none_or(str::is_empty)
    {
        let what = format!("{} steps are more than {STEPS_WITHOUT_WORDS}", spec.limits.steps);
        flaw(
            &["limits", "steps"],
            what,
            "small agents are better; if it must be, say why in more_steps_because",
        );
    }
    for (name, value) in [("steps", spec.limits.steps), ("model_calls", spec.limits.model_calls)] {
        if value == 0 {
            flaw(&["limits", name], "0 would stop every request".into(), "it must be 1 or more");
        }
    }
    if !(1..=CALLS_AT_ONCE_MAX).contains(&spec.limits.calls_at_once) {
        let what = format!("{} calls at once cannot be", spec.limits.calls_at_once);
        flaw(&["limits", "calls_at_once"], what, "it is from 1 (one after the other) to 10");
    }
    if u64::from(spec.context.answer_tokens) * 2 > spec.context.tokens {
        let what = "the answer would take more than half of the context".to_owned();
        flaw(&["context", "answer_tokens"], what, "raise context.tokens or lower this");
    }
    for (name, form) in &spec.forms {
        for (path, what, remedy) in form::flaws(&form.title, &form.fields) {
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            flaw(&[&["forms", name.as_str()], &path[..]].concat(), what, &remedy);
        }
    }
    for (name, tool) in &spec.tools {
        let path = ["tools", name.as_str()];
        let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        let fits = name.len() <= 64
            && name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.chars().all(letters);
        if !fits || ["act", "act_all", "ask", "say", "finish", "hand_over", "next"].contains(&name.as_str()) {
            flaw(
                &path,
                format!("`{name}` cannot be the name of a tool"),
                "use lower-case letters, digits and _, and none of: act, act_all, ask, say, finish, hand_over, next",
            );
        }
        if tool.parameters.get("type").and_then(Value::as_str) != Some("object") {
            let remedy = "the arguments of a tool are an object: type = \"object\"";
            flaw(&[path[0], path[1], "parameters"], "this is not the schema of an object".into(), remedy);
        }
        for (n, rule) in tool.policy.iter().enumerate() {
            let n = n.to_string();
            if let Some(Err(what)) = rule.when.as_deref().map(policy::parse) {
                flaw(&[path[0], path[1], "policy", &n, "when"], what, "for example: args.amount > 100");
            }
        }
    }
    flaws
}

/// Parses the templates, and looks that they use only what there is.
fn compile(
    name: &str,
    spec: &AgentSpec,
    files: &BTreeMap<String, String>,
) -> Result<Environment<'static>, Vec<Flaw>> {
    let mut env = environment();
    let mut flaws = Vec::new();
    let mut flaw = |template: &str, line: Option<usize>, what: String, remedy: Option<String>| {
        let file = format!("agents/{name}/{template}");
        flaws.push(Flaw { file, line, key: String::new(), what, remedy });
    };
    let thought = spec.messages.iter().map(|message| (message, KNOWN_VARIABLES));
    let reask = spec.reask.iter().map(|message| (message, REASK_VARIABLES));
    for (MessageSpec { template, .. }, known) in thought.chain(reask) {
        let Some(text) = files.get(template) else {
            flaw(
                template,
                None,
                "the template is missing".into(),
                Some("agent.toml names it under messages".into()),
            );
            continue;
        };
        if let Err(error) = env.add_template_owned(template.clone(), text.clone()) {
            flaw(template, error.line(), error.to_string(), None);
            continue;
        }
        let Ok(parsed) = env.get_template(template) else { continue };
        let unknown: Vec<_> = parsed
            .undeclared_variables(false)
            .into_iter()
            .filter(|name| !known.contains(&name.as_str()))
            .collect();
        for variable in unknown {
            let line = text.lines().position(|line| line.contains(&variable)).map(|place| place + 1);
            let remedy = Some(format!("the variables here are: {}", known.join(", ")));
            flaw(template, line, format!("there is no variable `{variable}`"), remedy);
        }
    }
    if flaws.is_empty() { Ok(env) } else { Err(flaws) }
}

/// The engine for the templates of prompts: strict, bounded, and escaping whatever was not made safe by the renderer.
fn environment() -> Environment<'static> {
    let mut env = Environment::new();
    env.set_undefined_behavior(UndefinedBehavior::Strict);
    env.set_auto_escape_callback(|_| AutoEscape::Html);
    env.set_recursion_limit(32);
    // The one way by which a template could let text from outside through as it is.
    env.remove_filter("safe");
    env.set_formatter(|out, state, value: &Jinja| {
        if value.is_safe() || value.as_str().is_none() {
            return minijinja::escape_formatter(out, state, value);
        }
        let text = escape(value.as_str().unwrap_or_default(), Spot::Attribute);
        out.write_str(&text).map_err(minijinja::Error::from)
    });
    env
}
