//! What every test here begins with.

use std::sync::Arc;

use agent::{Account, Function, Message, Output, Prompt, Role};
use model::{Built, Completion, Error, Flaw, Kind, Model, Progress, build};
use secrecy::SecretString;
use serde_json::{Value, json};

/// The key that may stand nowhere.
pub(crate) const KEY: &str = "sk-test-0123456789abcdef";

/// Nobody listens to how an answer grows.
pub(crate) const UNHEARD: Progress<'static> = &|_| {};

/// Reads `[providers.*]` and `[models.*]` and builds the model `default`, with [`KEY`] in every variable whose name ends
/// with `_KEY`.
pub(crate) fn built(config: &str) -> Result<Built, Vec<Flaw>> {
    let mut config: toml::Table = toml::from_str(config).unwrap();
    let mut table = |name| config.remove(name).unwrap_or_else(|| toml::Table::new().into());
    let providers = table("providers").try_into().unwrap();
    let models = table("models").try_into().unwrap();
    let secret = |name: &str| name.ends_with("_KEY").then(|| SecretString::from(format!(" {KEY}\n")));
    build("default", &providers, &models, &secret)
}

/// A model of one provider that is asked once.
pub(crate) fn provider(kind: &str, url: &str, more: &str) -> Arc<dyn Model> {
    let config = format!(
        "[providers.p]\nkind = \"{kind}\"\nurl = \"{url}\"\nmodel = \"small\"\nkey_env = \"P_KEY\"\nattempts = 1\n{more}\n\
         [models.default]\nproviders = [\"p\"]\n"
    );
    built(&config).unwrap_or_else(|flaws| panic!("{flaws:?}")).model
}

/// Asks a provider at this server once.
pub(crate) async fn ask(kind: &str, url: &str, more: &str) -> Result<Completion, Error> {
    provider(kind, url, more).complete(&prompt(), UNHEARD).await
}

/// The same, and the error.
pub(crate) async fn ask_in_vain(kind: &str, url: &str, more: &str) -> Error {
    let error = ask(kind, url, more).await.expect_err("an answer came");
    assert!(!format!("{error} {error:?}").contains(&KEY[..8]), "the key stands in {error:?}");
    error
}

pub(crate) const RETRY: Kind = Kind::Retry { after: None };

pub(crate) fn prompt() -> Prompt {
    Prompt {
        messages: vec![
            Message { role: Role::System, text: "You deploy things.\n".into() },
            Message { role: Role::System, text: "  Answer with one intent.".into() },
            Message {
                role: Role::User, text: "<heard>\ndeploy \"v1.4\" to Zürich 🛫\u{7}</heard>\n".into()
            },
            Message { role: Role::User, text: "Second in a row.".into() },
            Message { role: Role::Assistant, text: "not json".into() },
            Message { role: Role::User, text: "That was no intent.".into() },
        ],
        functions: vec![
            Function {
                name: "deploy".into(),
                description: "Deploys a version.".into(),
                parameters: json!({
                    "type": "object",
                    "properties": { "version": { "type": "string", "minLength": 1 } },
                    "required": ["version"],
                    "additionalProperties": false,
                }),
            },
            Function {
                name: "finish".into(),
                description: "Says the last word.".into(),
                parameters: json!({ "type": "object", "properties": { "text": { "type": "string" } } }),
            },
        ],
        schema: json!({
            "type": "object",
            "properties": { "next": { "type": "object", "properties": { "text": { "type": "string", "maxLength": 9 } } } },
            "required": ["next"],
        }),
        output: Output::Functions,
        answer_tokens_max: 1_000,
        temperature: Some(0.5),
        situation: Value::Null,
        script: None,
        account: Account::default(),
    }
}
