//! Tools that do what they are told to.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use agent::{Outcome, ToolSpec};
use async_trait::async_trait;
use serde_json::{Value, json};
use tool::{Call, Ended, Tool};

use super::play::{Play, Script};

/// Tools that end as they are told to, and well when they were told nothing.
pub struct ToolDouble {
    script: Script<Called, Ended>,
    calls: Mutex<Vec<Called>>,
    ended: AtomicUsize,
    dropped: AtomicUsize,
}

/// One call that was begun.
#[derive(Clone, Debug, PartialEq)]
pub struct Called {
    /// The tool.
    pub tool: String,
    /// Its arguments.
    pub args: Value,
    /// The call's own name.
    pub key: String,
    /// The agent.
    pub agent: String,
    /// The bytes of the thread's file that the argument `name` names.
    pub file: Option<Vec<u8>>,
}

impl ToolDouble {
    /// Tools.
    pub fn new() -> Arc<Self> {
        let done = Ended { outcome: Outcome::Done(json!("ok")), files: Vec::new() };
        Arc::new(Self {
            script: Script::new(move |_| Play::gives(done.clone())),
            calls: Mutex::default(),
            ended: AtomicUsize::new(0),
            dropped: AtomicUsize::new(0),
        })
    }

    /// Queues how the next call ends.
    pub fn then(&self, play: Play<Ended>) {
        self.script.queue(play);
    }

    /// Queues an outcome without files.
    pub fn ends(&self, outcome: Outcome) {
        self.then(Play::gives(Ended { outcome, files: Vec::new() }));
    }

    /// Decides on what was called, once the queue is empty.
    pub fn always(&self, rule: impl FnMut(&Called) -> Play<Ended> + Send + 'static) {
        self.script.rule(rule);
    }

    /// The calls that were begun, oldest first.
    pub fn calls(&self) -> Vec<Called> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many calls came to their end.
    pub fn ended(&self) -> usize {
        self.ended.load(Ordering::SeqCst)
    }

    /// How many calls were given up on the way: their future was dropped.
    pub fn dropped(&self) -> usize {
        self.dropped.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Tool for ToolDouble {
    async fn run(&self, _spec: &ToolSpec, call: Call<'_>) -> Ended {
        let file = match call.args.get("name").and_then(Value::as_str) {
            Some(name) => call.files.read(name).await.map(|(_, bytes)| bytes),
            None => None,
        };
        let called = Called {
            tool: call.name.to_owned(),
            args: call.args.clone(),
            key: call.key.to_owned(),
            agent: call.agent.to_owned(),
            file,
        };
        let play = self.script.next(&called);
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).push(called);
        let mut watch = Watch { tool: self, ended: false };
        let ended = play.run().await;
        watch.ended = true;
        ended
    }
}

/// Sees whether a call ended or was dropped.
struct Watch<'a> {
    tool: &'a ToolDouble,
    ended: bool,
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        let counter = if self.ended { &self.tool.ended } else { &self.tool.dropped };
        counter.fetch_add(1, Ordering::SeqCst);
    }
}
