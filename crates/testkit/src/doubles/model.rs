//! A model that thinks what it is told to.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use agent::{Prompt, Usage};
use async_trait::async_trait;
use model::{Completion, Error, Kind, Model, Progress};
use serde_json::{Value, json};

use super::play::{Play, Script};

/// A model that thinks what it is told to, and `finish` when it was told nothing.
pub struct ModelDouble {
    script: Script<Prompt, Result<Completion, Error>>,
    growth: Mutex<VecDeque<Vec<(Duration, String)>>>,
    prompts: Mutex<Vec<Prompt>>,
}

/// A whole output with this text, at the cost of one call.
pub fn completion(text: impl Into<String>) -> Completion {
    Completion {
        text: text.into(),
        truncated: false,
        usage: Usage { input: 10, output: 2, ms: 0, calls: 1 },
        model: "double".to_owned(),
        note: None,
    }
}

impl ModelDouble {
    /// A model.
    pub fn new() -> Arc<Self> {
        let finish = json!({ "intent": "finish", "text": "Done." });
        let script = Script::new(move |_| Play::gives(Ok(completion(finish.to_string()))));
        Arc::new(Self { script, growth: Mutex::default(), prompts: Mutex::default() })
    }

    /// Queues an output that is this intent: `{"intent":"act","tool":"deploy","args":{}}`.
    pub fn thinks(&self, intent: &Value) {
        self.says(&intent.to_string());
    }

    /// Queues an output.
    pub fn says(&self, text: &str) {
        self.then(Play::gives(Ok(completion(text))));
    }

    /// Queues an error.
    pub fn fails(&self, kind: Kind, what: &str) {
        self.then(Play::gives(Err(Error::new(kind, what))));
    }

    /// Queues whatever it may be.
    pub fn then(&self, play: Play<Result<Completion, Error>>) {
        self.script.queue(play);
    }

    /// Queues what the next answer tells of itself while it is written: outputs so far, each so much later than the one
    /// before. After the last of them it comes to what it comes to.
    pub fn grows(&self, growth: &[(Duration, &str)]) {
        let growth = growth.iter().map(|(wait, so_far)| (*wait, (*so_far).to_owned())).collect();
        self.growth.lock().unwrap_or_else(PoisonError::into_inner).push_back(growth);
    }

    /// Decides on what was asked, once the queue is empty.
    pub fn always(&self, rule: impl FnMut(&Prompt) -> Play<Result<Completion, Error>> + Send + 'static) {
        self.script.rule(rule);
    }

    /// What it was asked, oldest first.
    pub fn prompts(&self) -> Vec<Prompt> {
        self.prompts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl Model for ModelDouble {
    fn name(&self) -> &str {
        "double"
    }

    async fn complete(&self, prompt: &Prompt, progress: Progress<'_>) -> Result<Completion, Error> {
        let play = self.script.next(prompt);
        let growth = self.growth.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        self.prompts.lock().unwrap_or_else(PoisonError::into_inner).push(prompt.clone());
        for (wait, so_far) in growth.unwrap_or_default() {
            tokio::time::sleep(wait).await;
            progress(&so_far);
        }
        play.run().await
    }
}
