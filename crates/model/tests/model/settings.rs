//! From `config.toml` to a model, and what is said when it cannot be.

use std::collections::BTreeMap;

use model::{Flaw, Kind, ModelSettings, ProviderSettings, check};

use crate::{
    server::{Server, json, status},
    setup::{KEY, UNHEARD, built, prompt},
};

#[tokio::test]
async fn the_next_provider_answers_over_http() {
    let busy = Server::start(vec![status(529, "", "{}"), status(529, "", "{}")]).await;
    let good = Server::start(vec![json(include_str!("../payloads/openai_text.json"))]).await;
    let config = format!(
        "[providers.first]\nkind = \"anthropic\"\nurl = \"{}\"\nmodel = \"m\"\nkey_env = \"A_KEY\"\nattempts = 2\n\
         [providers.absent]\nkind = \"anthropic\"\nmodel = \"m\"\nkey_env = \"NOT_SET\"\n\
         [providers.local]\nkind = \"openai\"\nurl = \"{}/v1/\"\nmodel = \"m\"\n\
         [models.default]\nproviders = [\"first\", \"absent\", \"local\"]\nwithout_key = \"scripted\"\n",
        busy.url, good.url
    );
    let built = built(&config).unwrap_or_else(|flaws| panic!("{flaws:?}"));
    assert_eq!(built.notes, ["provider `absent` is left out: NOT_SET is not set"]);
    assert_eq!(built.model.name(), "first/m, local/m");
    let completion = built.model.complete(&prompt(), UNHEARD).await.unwrap();
    assert_eq!((completion.usage.calls, completion.model.as_str()), (3, "local/llama3.2:3b"));
    let request = good.requests().remove(0);
    assert!(request.head.starts_with("POST /v1/chat/completions "), "{}", request.head);
    assert!(!request.head.to_lowercase().contains("authorization"), "{}", request.head);
}

#[tokio::test]
async fn the_scripted_model_stands_in_at_the_start_only() {
    let table = "kind = \"openai\"\nmodel = \"m\"\nurl = \"http://127.0.0.1:9\"\nattempts = 1";
    let config = |key: &str| {
        format!(
            "[providers.p]\n{table}\nkey_env = \"{key}\"\n[models.default]\nproviders = [\"p\"]\nwithout_key = \"scripted\""
        )
    };
    let without = built(&config("NOT_SET")).unwrap_or_else(|flaws| panic!("{flaws:?}"));
    assert_eq!(without.model.name(), "scripted");
    assert_eq!(without.notes.len(), 2);
    let with = built(&config("P_KEY")).unwrap_or_else(|flaws| panic!("{flaws:?}"));
    let error = with.model.complete(&prompt(), UNHEARD).await.unwrap_err();
    assert_eq!(error.kind, Kind::Retry { after: None });
    assert!(built("[models.default]\nwithout_key = \"scripted\"").is_ok());
}

fn flaws(config: &str) -> Vec<(String, String)> {
    let flaws = built(config).err().unwrap_or_default();
    flaws.into_iter().map(|Flaw { key, what, remedy }| (key, format!("{what} / {remedy}"))).collect()
}

#[test]
fn every_flaw_is_named_with_its_key() {
    let found = flaws(
        "[providers.a]\nkind = \"openai\"\nmodel = \" \"\nurl = \"http://models.example.com/v1\"\nkey_env = \"A_KEY\"\neffort = \"Very low\"\nattempts = 0\nidle_timeout = \"0s\"\nresponse_bytes_max = 1\n\
         [providers.b]\nkind = \"anthropic\"\nmodel = \"m\"\n\
         [models.default]\nproviders = [\"a\", \"b\", \"c\"]\ndeadline = \"0s\"",
    );
    let keys: Vec<&str> = found.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(
        keys,
        [
            "models.default.providers",
            "models.default.deadline",
            "providers.a.url",
            "providers.a.model",
            "providers.a.effort",
            "providers.a.idle_timeout",
            "providers.a.attempts",
            "providers.a.response_bytes_max",
            "providers.b.key_env",
        ]
    );
    assert_eq!(found[0].1, "there is no provider `c` / add [providers.c], or name one of: a, b");
    assert_eq!(flaws("")[0].0, "models");
    assert_eq!(flaws("[models.default]")[0].0, "models.default.providers");
    let none_left = flaws(
        "[providers.a]\nkind = \"openai\"\nmodel = \"m\"\nkey_env = \"NOT_SET\"\n[models.default]\nproviders = [\"a\"]",
    );
    assert!(none_left[0].1.contains("NOT_SET is not set"), "{none_left:?}");
}

#[test]
fn urls_are_judged() {
    for (url, sound) in [
        ("http://localhost:11434/v1", true),
        ("http://127.0.0.1:8000", true),
        ("http://[::1]:8000", true),
        ("http://[::ffff:127.0.0.1]:8000", true),
        ("http://192.168.1.5/v1", true),
        ("http://vllm:8000/v1", true),
        ("http://box.local", true),
        ("https://10.0.0.1/v1", true),
        ("https://models.example.com/v1", false),
        ("http://8.8.8.8", false),
        ("http://[2001:db8::1]", false),
        ("http://[::ffff:8.8.8.8]", false),
        ("ftp://localhost", false),
        ("localhost:8000", false),
        ("http://user:pass@localhost", false),
        ("http://localhost/?key=1", false),
        ("", false),
    ] {
        let config = format!(
            "[providers.a]\nkind = \"openai\"\nmodel = \"m\"\nurl = \"{url}\"\n[models.default]\nproviders = [\"a\"]"
        );
        assert_eq!(flaws(&config).is_empty(), sound, "{url}: {:?}", flaws(&config));
    }
}

#[test]
fn check_looks_at_every_table_and_reads_no_key() {
    let providers: BTreeMap<String, ProviderSettings> =
        toml::from_str("[unused]\nkind = \"openai\"\nmodel = \"\"\nurl = \"http://localhost\"").unwrap();
    let models: BTreeMap<String, ModelSettings> = toml::from_str("[a]\nproviders = [\"x\"]\n[b]").unwrap();
    let keys: Vec<String> = check(&providers, &models).into_iter().map(|flaw| flaw.key).collect();
    assert_eq!(keys, ["providers.unused.model", "models.a.providers", "models.b.providers"]);
}

#[test]
fn unknown_keys_are_refused_and_the_schema_has_words() {
    assert!(toml::from_str::<ProviderSettings>("kind = \"openai\"\nmodel = \"m\"\nkey = \"sk\"").is_err());
    assert!(toml::from_str::<ModelSettings>("provider = []").is_err());
    let schema = serde_json::to_value(schemars::schema_for!(ProviderSettings)).unwrap();
    for (key, property) in schema["properties"].as_object().unwrap() {
        assert!(property.get("description").is_some(), "{key} has no description");
    }
}

#[test]
fn an_empty_variable_is_no_key() {
    let providers = toml::from_str("[p]\nkind = \"openai\"\nmodel = \"m\"\nkey_env = \"K\"").unwrap();
    let models = toml::from_str("[default]\nproviders = [\"p\"]\nwithout_key = \"scripted\"").unwrap();
    let built = model::build("default", &providers, &models, &|_| Some(" \n".to_owned().into()));
    assert_eq!(built.ok().unwrap().model.name(), "scripted");
}

#[test]
fn a_key_that_cannot_be_sent_is_a_flaw_without_the_key() {
    let config: toml::Table =
        toml::from_str("[p]\nkind = \"openai\"\nmodel = \"m\"\nkey_env = \"K\"").unwrap();
    let providers = config.try_into().unwrap();
    let models = toml::from_str("[default]\nproviders = [\"p\"]").unwrap();
    let secret = |_: &str| Some(format!("{KEY}\n{KEY}").into());
    let flaws = model::build("default", &providers, &models, &secret).err().unwrap();
    assert_eq!(flaws[0].key, "providers.p.key_env");
    assert!(!format!("{flaws:?}").contains(KEY));
}
