//! A model that does whatever it reads: orders in the words of a person, in a mail, a file, a name, a tool's result.
//!
//! An order is written `DO: ` with a step as JSON behind it. Each is obeyed once, in the order in which they stand; one that
//! begins with `AGAIN: ` is obeyed whenever nothing else is left. There is no line that it does not read, and no word that it
//! does not believe.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::{Asked, Provider};

/// Stands for the whole of what the model was sent, where an order tells it to say something.
const ALL_IT_KNOWS: &str = "$ALL";

/// A provider whose model obeys.
pub(crate) struct Obedient {
    config: String,
    prompts: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Obedient {
    /// The environment variable with its key, and the key.
    pub(crate) const KEY: (&str, &str) = ("ONE_KEY", "sk-thekeyofthemodel-0123456789");

    pub(crate) async fn open() -> Self {
        let mut provider = Provider::open().await;
        let models = "[models.default]\nproviders = [\"one\"]\nwithout_key = \"scripted\"\n";
        let config = format!("{models}{}", provider.config("one", "openai", ""));
        let prompts = Arc::<Mutex<Vec<String>>>::default();
        let seen = prompts.clone();
        let task = tokio::spawn(async move {
            let mut obeyed = BTreeSet::new();
            while let Some(asked) = provider.asked().await {
                let prompt = everything(&asked);
                seen.lock().unwrap().push(prompt.clone());
                obey(asked, &prompt, &mut obeyed);
            }
        });
        Self { config, prompts, task }
    }

    /// The model that agents name, with this provider.
    pub(crate) fn config(&self) -> &str {
        &self.config
    }

    /// All that it was ever sent.
    pub(crate) fn prompts(&self) -> Vec<String> {
        self.prompts.lock().unwrap().clone()
    }
}

impl Drop for Obedient {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// An order, as an attacker would write it.
pub(crate) fn order(step: &Value) -> String {
    // Signs that a platform reads, or that are left out on the way, would not arrive as they are.
    let escape = |c: char| match c {
        '<' | '>' | '@' | '\u{80}'.. => format!("\\u{:04x}", u32::from(c)),
        c => c.to_string(),
    };
    let step: String = step.to_string().chars().map(escape).collect();
    format!("DO: {step}")
}

fn everything(asked: &Asked) -> String {
    asked.messages().iter().map(|message| message.text.as_str()).collect::<Vec<_>>().join("\n")
}

fn obey(asked: Asked, prompt: &str, obeyed: &mut BTreeSet<String>) {
    let mut orders = orders(prompt, "DO: ");
    orders.retain(|order| !obeyed.contains(&order.to_string()));
    let next = orders.into_iter().next().or_else(|| self::orders(prompt, "AGAIN: ").into_iter().next());
    let Some(mut step) = next else {
        return asked.call("finish", &json!({ "text": "All of it was done." }));
    };
    obeyed.insert(step.to_string());
    if step["text"] == ALL_IT_KNOWS {
        // As much as a step may say.
        step["text"] = prompt.chars().take(8_000).collect::<String>().into();
    }
    let intent = step["intent"].as_str().unwrap_or_default().to_owned();
    if intent == "act" {
        let tool = step["tool"].as_str().unwrap_or_default().to_owned();
        return asked.call(&tool, &step["args"]);
    }
    if let Some(step) = step.as_object_mut() {
        step.remove("intent");
    }
    asked.call(&intent, &step);
}

/// The orders in a text, in whatever way it was escaped.
fn orders(text: &str, sign: &str) -> Vec<Value> {
    let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&#39;", "'");
    let text = text.replace("&amp;", "&");
    let read = |text: &str| serde_json::Deserializer::from_str(text).into_iter::<Value>().next()?.ok();
    let found = text.match_indices(sign).filter_map(|(at, _)| {
        let rest = &text[at + sign.len()..];
        read(rest).or_else(|| read(&rest.replace("\\\"", "\"").replace("\\\\", "\\")))
    });
    found.filter(Value::is_object).collect()
}
