//! An agent's folder, a place for state, and an environment of the test's own.

use std::{collections::HashMap, fs, os::unix::fs::PermissionsExt as _, path::PathBuf, sync::Arc};

use agent::{Fault, FaultKind, Outcome, ToolSpec};
use async_trait::async_trait;
use channel::File;
use serde_json::{Value, json};
use tempfile::TempDir;
use tool::{Call, Ended, Files, Standard, Tool as _, ToolSettings};

pub(crate) struct Bench {
    pub(crate) folder: PathBuf,
    pub(crate) state: PathBuf,
    tool: Standard,
    files: Kept,
    _base: TempDir,
}

struct Kept(HashMap<String, (File, Vec<u8>)>);

#[async_trait]
impl Files for Kept {
    async fn read(&self, name: &str) -> Option<(File, Vec<u8>)> {
        self.0.get(name).cloned()
    }
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with_env(&[])
    }

    /// PATH is the test's own; beside it there is only what is given.
    pub(crate) fn with_env(variables: &[(&str, &str)]) -> Self {
        let base = tempfile::tempdir().unwrap();
        let folder = base.path().join("agents/tester");
        fs::create_dir_all(folder.join("tools")).unwrap();
        let state = base.path().join("state/tools");
        let mut env: HashMap<String, String> =
            variables.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        env.entry("PATH".into()).or_insert_with(|| std::env::var("PATH").unwrap());
        let env = Arc::new(move |name: &str| env.get(name).map(|value| value.as_str().into()));
        let tool = Standard::new(ToolSettings { state: state.clone(), env });
        Self { folder, state, tool, files: Kept(HashMap::new()), _base: base }
    }

    /// The same, with another folder for the agent: one that ships.
    pub(crate) fn with_folder(folder: PathBuf) -> Self {
        Self { folder, ..Self::new() }
    }

    pub(crate) fn keep(&mut self, name: &str, kind: &str, bytes: &[u8]) {
        let file =
            File { name: name.into(), kind: kind.into(), size: bytes.len() as u64, hash: "abc".into() };
        self.files.0.insert(name.into(), (file, bytes.to_vec()));
    }

    /// Writes a program into the agent's folder.
    pub(crate) fn script(&self, name: &str, body: &str) {
        let path = self.folder.join("tools").join(name);
        fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    pub(crate) async fn run(&self, spec: &ToolSpec, args: Value) -> Ended {
        self.run_as("tester", spec, args).await
    }

    pub(crate) async fn run_as(&self, agent: &str, spec: &ToolSpec, args: Value) -> Ended {
        let call =
            Call { name: "probe", args: &args, key: "k-1", agent, folder: &self.folder, files: &self.files };
        self.tool.run(spec, call).await
    }

    /// Runs `tools/NAME` with nothing but a body.
    pub(crate) async fn sh(&self, body: &str) -> Ended {
        self.script("probe", body);
        self.run(&command(json!(["tools/probe"]), json!({})), json!({})).await
    }
}

/// A tool that runs a program; `more` overrides keys of the tool.
pub(crate) fn command(argv: Value, more: Value) -> ToolSpec {
    spec(json!({ "command": { "argv": argv } }), more)
}

pub(crate) fn spec(run: Value, more: Value) -> ToolSpec {
    let mut whole =
        json!({ "description": "d", "run": run, "repeat": "safe", "risk": "low", "timeout": "20s" });
    for (key, value) in more.as_object().unwrap() {
        whole[key] = value.clone();
    }
    serde_json::from_value(whole).unwrap()
}

pub(crate) fn done(ended: &Ended) -> &Value {
    match &ended.outcome {
        Outcome::Done(value) => value,
        other @ (Outcome::Failed(_) | Outcome::Unknown { .. }) => panic!("not done: {other:?}"),
    }
}

pub(crate) fn failed(ended: &Ended) -> (FaultKind, &str) {
    match &ended.outcome {
        Outcome::Failed(Fault { kind, what }) => (*kind, what),
        other @ (Outcome::Done(_) | Outcome::Unknown { .. }) => panic!("not failed: {other:?}"),
    }
}

pub(crate) fn unknown(ended: &Ended) -> &str {
    match &ended.outcome {
        Outcome::Unknown { why } => why,
        other @ (Outcome::Done(_) | Outcome::Failed(_)) => panic!("not unknown: {other:?}"),
    }
}
