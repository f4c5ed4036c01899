//! What is wrong with a tool can be said before it runs.

use std::{
    collections::HashSet,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use agent::{Builtin, CommandSpec, Handler, HttpSpec, Repeat, ToolSpec};
use reqwest::{Method, Url, header::HeaderName};
use serde_json::Value;

use crate::{
    address::is_entry,
    command::locate,
    http::{Target, method, split},
    output::{RESULT_BYTES_MAX, TIMEOUT_MAX},
    template::{arguments, variables},
};

/// Headers that the gateway writes itself.
const HEADERS_OWN: [&str; 8] =
    ["host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer", "expect"];

/// Something wrong with a tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// Where: the path of keys and array places in `agent.toml`: `tools`, `deploy`, `run`, `command`, `argv`, `1`.
    pub path: Vec<String>,
    /// What, one sentence.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
}

/// All that is wrong with a tool, without running it. `folder` is the agent's. What depends on the machine (the environment,
/// the programs on PATH) is looked at too: an agent that lacks a program is not fit to run here.
pub fn check(spec: &ToolSpec, name: &str, folder: &Path) -> Vec<Flaw> {
    let mut flaws = Flaws { tool: name, found: Vec::new() };
    let known = properties(&spec.parameters, &mut flaws);
    for (n, secret) in spec.secret.iter().enumerate() {
        if !known.contains(secret.as_str()) {
            let what = format!("`{secret}` is not an argument of this tool");
            flaws.add(
                &["secret", &n.to_string()],
                what,
                "name one of `parameters.properties`, or leave it out",
            );
        }
    }
    if spec.timeout.0.is_zero() || spec.timeout.0 > TIMEOUT_MAX {
        let what = format!("a time-out of {} cannot be kept", spec.timeout);
        flaws.add(&["timeout"], what, "write more than nothing and at most a day: \"30s\"");
    }
    if !(1..=RESULT_BYTES_MAX).contains(&spec.output_bytes_max) {
        let what = format!("{} bytes of result cannot be kept", spec.output_bytes_max);
        flaws.add(&["output_bytes_max"], what, format!("write 1 to {RESULT_BYTES_MAX}"));
    }
    match &spec.run {
        Handler::Command(command) => check_command(command, &known, folder, &mut flaws),
        Handler::Http(http) => check_http(spec, http, &known, &mut flaws),
        Handler::Builtin(builtin) => check_builtin(*builtin, &known, &mut flaws),
    }
    flaws.found
}

struct Flaws<'n> {
    tool: &'n str,
    found: Vec<Flaw>,
}

impl Flaws<'_> {
    fn add(&mut self, path: &[&str], what: impl Into<String>, remedy: impl Into<String>) {
        let path = ["tools", self.tool].iter().chain(path).map(|key| (*key).to_owned()).collect();
        self.found.push(Flaw { path, what: what.into(), remedy: remedy.into() });
    }

    /// Placeholders that stand for nothing.
    fn unknown_arguments(&mut self, path: &[&str], template: &str, known: &HashSet<&str>) {
        for name in arguments(template).into_iter().filter(|name| !known.contains(name)) {
            let what = format!("`{{{name}}}` stands for no argument");
            self.add(path, what, format!("add `{name}` to `parameters.properties`, or correct the name"));
        }
    }
}

/// The names of a tool's arguments.
fn properties<'s>(schema: &'s Value, flaws: &mut Flaws<'_>) -> HashSet<&'s str> {
    if schema.get("type").and_then(Value::as_str) != Some("object") {
        flaws.add(&["parameters"], "the schema is not of an object", "write type = \"object\"");
    }
    let properties = schema.get("properties").and_then(Value::as_object);
    let known: HashSet<&str> = properties.into_iter().flatten().map(|(name, _)| name.as_str()).collect();
    let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
    for name in required.filter_map(Value::as_str).filter(|name| !known.contains(name)) {
        let what = format!("`{name}` is required, and not described");
        flaws.add(&["parameters", "required"], what, format!("add `{name}` to `parameters.properties`"));
    }
    known
}

fn check_command(command: &CommandSpec, known: &HashSet<&str>, folder: &Path, flaws: &mut Flaws<'_>) {
    let Some((program, rest)) = command.argv.split_first() else {
        flaws.add(
            &["run.command.argv"],
            "there is no program",
            "write the program first: [\"tools/mine\", \"{name}\"]",
        );
        return;
    };
    let path = ["run", "command", "argv", "0"];
    if program.is_empty() || !arguments(program).is_empty() || !variables(program).is_empty() {
        flaws.add(&path, "the program is not fixed text", "write its name or its path in the agent's folder");
    } else {
        check_program(&path, program, folder, flaws);
    }
    for (n, template) in rest.iter().enumerate() {
        let place = (n + 1).to_string();
        let path = ["run", "command", "argv", &place];
        flaws.unknown_arguments(&path, template, known);
        if template.contains('\0') {
            flaws.add(&path, "there is a NUL character in it", "leave it out");
        }
        for variable in variables(template) {
            let what = format!("`{{env:{variable}}}` would be seen by everybody on the machine");
            flaws.add(&path, what, format!("write env = [\"{variable}\"]; the program reads it itself"));
        }
    }
    for (n, name) in command.env.iter().enumerate() {
        if name.is_empty() || name.contains(['=', '\0']) || name.starts_with("TOOL_") {
            let what = format!("`{name}` cannot be passed on");
            flaws.add(
                &["run", "command", "env", &n.to_string()],
                what,
                "name a variable; those that begin with TOOL_ are the gateway's own",
            );
        }
    }
}

fn check_program(path: &[&str], program: &str, folder: &Path, flaws: &mut Flaws<'_>) {
    let found = match locate(program, folder) {
        Ok(file) if program.contains('/') => Some(file),
        Ok(_) => on_path(program),
        Err(what) => {
            flaws.add(
                path,
                what,
                "put the program into the agent's folder, or write a bare name to look for on PATH",
            );
            return;
        }
    };
    match found {
        None => flaws.add(path, format!("`{program}` is not on PATH"), format!("install `{program}`")),
        Some(file) if !is_executable(&file) => {
            let remedy = format!("chmod +x {}", file.display());
            flaws.add(path, format!("`{program}` is not an executable file"), remedy);
        }
        Some(_) => {}
    }
}

fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|path| is_executable(path))
}

fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

fn check_http(spec: &ToolSpec, http: &HttpSpec, known: &HashSet<&str>, flaws: &mut Flaws<'_>) {
    check_url(http, known, flaws);
    match method(&http.method) {
        None => {
            let what = format!("`{}` is not a method", http.method);
            flaws.add(&["run", "http", "method"], what, "write GET, POST, PUT, PATCH or DELETE");
        }
        Some(Method::GET) if http.json_body => {
            flaws.add(
                &["run", "http", "json_body"],
                "a GET has no body",
                "write another method, or leave `json_body` out",
            );
        }
        Some(_) => {}
    }
    for (name, template) in &http.headers {
        let path = ["run", "http", "headers", name];
        check_header_name(&path, name, flaws);
        flaws.unknown_arguments(&path, template, known);
        if template.chars().any(char::is_control) {
            flaws.add(&path, "there is a control character in the value", "leave it out");
        }
    }
    if let Some(name) = &http.key_header {
        check_header_name(&["run", "http", "key_header"], name, flaws);
        if http.headers.keys().any(|other| other.eq_ignore_ascii_case(name)) {
            flaws.add(&["run", "http", "key_header"], "`headers` sets it too", "leave one of the two out");
        }
    } else if spec.repeat == Repeat::ByKey {
        let remedy = "write the header by which the service knows a repeated call, or repeat = \"never\"";
        flaws.add(&["run", "http", "key_header"], "repeat = \"by_key\" without it sends no key", remedy);
    }
    for (n, entry) in http.allow_private.iter().enumerate().filter(|(_, entry)| !is_entry(entry)) {
        flaws.add(
            &["run", "http", "allow_private", &n.to_string()],
            format!("`{entry}` is not a host"),
            "write `host` or `host:port`",
        );
    }
}

fn check_url(http: &HttpSpec, known: &HashSet<&str>, flaws: &mut Flaws<'_>) {
    let path = ["run", "http", "url"];
    flaws.unknown_arguments(&path, &http.url, known);
    for variable in variables(&http.url) {
        let what = format!("`{{env:{variable}}}` would stand in the logs of others");
        flaws.add(&path, what, "put it in a header");
    }
    if http.url.contains('#') {
        flaws.add(&path, "what follows the `#` is never sent", "leave it out");
    }
    let target = split(&http.url).and_then(|(origin, _)| {
        let url = Url::parse(origin).map_err(|error| format!("this is not a URL: {error}"))?;
        Target::of(&url, &http.allow_private)
    });
    if let Err(what) = target {
        let remedy = "write https://host/path, with fixed host and port; a host that is not public, or without TLS, \
                      stands in `allow_private` too";
        flaws.add(&path, what, remedy);
    }
}

fn check_header_name(path: &[&str], name: &str, flaws: &mut Flaws<'_>) {
    if HeaderName::from_bytes(name.as_bytes()).is_err() {
        flaws.add(
            path,
            format!("`{name}` is not the name of a header"),
            "write for example \"Authorization\"",
        );
    } else if HEADERS_OWN.iter().any(|own| own.eq_ignore_ascii_case(name)) {
        flaws.add(path, format!("the gateway writes `{name}` itself"), "leave it out");
    }
}

fn check_builtin(builtin: Builtin, known: &HashSet<&str>, flaws: &mut Flaws<'_>) {
    match builtin {
        Builtin::Clock if !known.is_empty() => {
            flaws.add(&["parameters"], "the clock takes no arguments", "leave `parameters` out");
        }
        Builtin::ReadFile if !known.contains("name") => {
            flaws.add(
                &["parameters"],
                "`read_file` needs the argument `name`",
                "leave `parameters` out: it has its own",
            );
        }
        Builtin::Clock | Builtin::ReadFile => {}
    }
}
