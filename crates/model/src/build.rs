//! From settings to a model: what is wrong with them, and which providers have a key.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc, time::Duration};

use reqwest::{
    Url,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};
use secrecy::{ExposeSecret, SecretString};

use crate::{
    anthropic,
    chain::{Chain, Link},
    client::{Client, Limits},
    provider::{Ask, Provider},
    scripted::Scripted,
    seam::Model,
    settings::{AnswerKey, ModelSettings, ProviderKind, ProviderSettings, WithoutKey},
};

/// A model that is ready, and what the operator should know about it.
pub struct Built {
    /// The model.
    pub model: Arc<dyn Model>,
    /// One sentence for each provider that was left out, and for the scripted model where it stands in.
    pub notes: Vec<String>,
}

/// Something wrong with the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// The key: `providers.local.url`.
    pub key: String,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub remedy: String,
}

/// Tables by name.
type Tables<T> = BTreeMap<String, T>;

/// All that is wrong with the settings, whichever agent uses them. Connects nothing and reads no key.
pub fn check(providers: &Tables<ProviderSettings>, models: &Tables<ModelSettings>) -> Vec<Flaw> {
    let mut flaws: Vec<Flaw> =
        providers.iter().flat_map(|(name, settings)| provider_flaws(name, settings)).collect();
    for (name, settings) in models {
        flaws.extend(model_flaws(name, settings, providers));
    }
    flaws
}

/// Makes the model of this name. `secret` reads the environment. Connects nothing.
///
/// # Errors
/// Everything that is wrong with this model and the providers it names.
pub fn build(
    name: &str,
    providers: &Tables<ProviderSettings>,
    models: &Tables<ModelSettings>,
    secret: &dyn Fn(&str) -> Option<SecretString>,
) -> Result<Built, Vec<Flaw>> {
    let Some(settings) = models.get(name) else {
        let what = format!("there is no model `{name}`");
        return Err(vec![flaw("models", "", &what, &format!("add [models.{name}], or {}", known(models)))]);
    };
    let mut flaws = model_flaws(name, settings, providers);
    let mut notes = Vec::new();
    let mut links = Vec::new();
    for provider in &settings.providers {
        let Some(settings) = providers.get(provider) else { continue };
        flaws.extend(provider_flaws(provider, settings));
        let key = match key(settings, secret) {
            Key::Of(key) => Some(key),
            Key::NotNeeded => None,
            Key::Missing(variable) => {
                notes.push(format!("provider `{provider}` is left out: {variable} is not set"));
                continue;
            }
        };
        if flaws.is_empty() {
            match open(provider, settings, key) {
                Ok(model) => links.push(Link { model: Arc::new(model), attempts: settings.attempts }),
                Err(flaw) => flaws.push(flaw),
            }
        }
    }
    if !flaws.is_empty() {
        return Err(flaws);
    }
    let model: Arc<dyn Model> = match (links.is_empty(), settings.without_key) {
        (false, _) => Arc::new(Chain::new(links, settings.deadline.0, settings.retry_after_max.0)),
        (true, Some(WithoutKey::Scripted)) => {
            notes.push(format!("model `{name}` is the scripted model: no provider has a key"));
            Arc::new(Scripted)
        }
        (true, None) => {
            let what = format!("no provider is left: {}", notes.join("; "));
            let remedy = "set one of these variables, or `without_key = \"scripted\"`";
            return Err(vec![flaw(&format!("models.{name}"), "providers", &what, remedy)]);
        }
    };
    Ok(Built { model, notes })
}

enum Key {
    Of(SecretString),
    NotNeeded,
    Missing(String),
}

/// The key; white space around it, as files end with, is no part of it. An empty variable is none.
fn key(settings: &ProviderSettings, secret: &dyn Fn(&str) -> Option<SecretString>) -> Key {
    let Some(variable) = &settings.key_env else { return Key::NotNeeded };
    match secret(variable).map(|key| key.expose_secret().trim().to_owned()) {
        Some(key) if !key.is_empty() => Key::Of(key.into()),
        _ => Key::Missing(variable.clone()),
    }
}

fn open(name: &str, settings: &ProviderSettings, key: Option<SecretString>) -> Result<Provider, Flaw> {
    let place = format!("providers.{name}");
    let url = endpoint(settings).map_err(|what| flaw(&place, "url", &what, "write an http or https URL"))?;
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(key) = &key {
        let (header, value) = match settings.kind {
            ProviderKind::Anthropic => (HeaderName::from_static("x-api-key"), key.expose_secret().to_owned()),
            ProviderKind::Openai => (AUTHORIZATION, format!("Bearer {}", key.expose_secret())),
        };
        let mut value = HeaderValue::from_str(&value).map_err(|_| {
            let what = "the key has characters in it that no key has";
            flaw(&place, "key_env", what, "set the variable to the bare key, one line of plain characters")
        })?;
        value.set_sensitive(true);
        headers.insert(header, value);
    }
    if settings.kind == ProviderKind::Anthropic {
        headers.insert("anthropic-version", HeaderValue::from_static(anthropic::VERSION));
    }
    let limits = Limits {
        connect: settings.connect_timeout.0,
        idle: settings.idle_timeout.0,
        total: settings.total_timeout.0,
        bytes_max: settings.response_bytes_max,
    };
    let is_public_api = url.host_str() == Some("api.openai.com");
    let direct = is_private(&url);
    let client = Client::new(url, headers, limits, direct).map_err(|what| {
        let what = format!("cannot make a TLS client: {what}");
        flaw(&place, "kind", &what, "install the system's CA certificates (Debian: ca-certificates)")
    })?;
    let fallback = if is_public_api { AnswerKey::MaxCompletionTokens } else { AnswerKey::MaxTokens };
    let ask = Ask {
        model: settings.model.clone(),
        can: settings.output.clone(),
        force_call: settings.force_call,
        effort: settings.effort.clone(),
        thinking_tokens: settings.thinking_tokens,
        answer_key: settings.answer_key.unwrap_or(fallback),
        stream: settings.stream,
    };
    Ok(Provider {
        table: name.to_owned(),
        name: format!("{name}/{}", settings.model),
        kind: settings.kind,
        ask,
        client,
        key,
        total: settings.total_timeout.0,
    })
}

fn model_flaws(name: &str, settings: &ModelSettings, providers: &Tables<ProviderSettings>) -> Vec<Flaw> {
    let place = format!("models.{name}");
    let mut flaws = Vec::new();
    for provider in &settings.providers {
        if !providers.contains_key(provider) {
            let what = format!("there is no provider `{provider}`");
            let remedy = format!("add [providers.{provider}], or {}", known(providers));
            flaws.push(flaw(&place, "providers", &what, &remedy));
        }
    }
    if settings.providers.is_empty() && settings.without_key.is_none() {
        flaws.push(flaw(
            &place,
            "providers",
            "it is empty",
            "name a provider, or set `without_key = \"scripted\"`",
        ));
    }
    if settings.deadline.0.is_zero() {
        flaws.push(flaw(&place, "deadline", "it is zero", "leave it out for 5m"));
    }
    flaws
}

fn provider_flaws(name: &str, settings: &ProviderSettings) -> Vec<Flaw> {
    let place = format!("providers.{name}");
    let mut flaws = Vec::new();
    let mut wrong = |key: &str, what: &str, remedy: &str| flaws.push(flaw(&place, key, what, remedy));
    match endpoint(settings) {
        Err(what) => wrong("url", &what, "write for example \"http://localhost:8000/v1\""),
        Ok(url) if url.scheme() == "http" && !is_private(&url) => {
            wrong("url", "plain http to a public host would show key and words to everybody", "use https");
        }
        Ok(url) if settings.key_env.is_none() && !is_private(&url) => {
            wrong("key_env", "it is missing", "name the environment variable that holds the key");
        }
        Ok(_) => {}
    }
    if settings.model.trim().is_empty() {
        wrong("model", "it is empty", "write the model's name at the provider");
    }
    let is_word = |c: char| c.is_ascii_lowercase() || c == '_';
    if settings
        .effort
        .as_ref()
        .is_some_and(|effort| effort.is_empty() || effort.len() > 20 || !effort.chars().all(is_word))
    {
        wrong("effort", "it is not one plain word", "write for example \"low\"");
    }
    let times = [
        ("connect_timeout", settings.connect_timeout.0),
        ("idle_timeout", settings.idle_timeout.0),
        ("total_timeout", settings.total_timeout.0),
    ];
    for (key, time) in times {
        if time.is_zero() || time > Duration::from_secs(3600) {
            wrong(key, "it is zero or longer than an hour", "leave it out for what is usual");
        }
    }
    if !(1..=10).contains(&settings.attempts) {
        wrong("attempts", "it is not between 1 and 10", "leave it out for 3");
    }
    if !(1024..=256 * 1024 * 1024).contains(&settings.response_bytes_max) {
        wrong("response_bytes_max", "it is not between 1 KiB and 256 MiB", "leave it out for 8 MiB");
    }
    flaws
}

/// The URL that is posted to.
fn endpoint(settings: &ProviderSettings) -> Result<Url, String> {
    let (usual, path) = match settings.kind {
        ProviderKind::Anthropic => ("https://api.anthropic.com", "v1/messages"),
        ProviderKind::Openai => ("https://api.openai.com/v1", "chat/completions"),
    };
    let base = settings.url.as_deref().unwrap_or(usual);
    let url = Url::parse(base).map_err(|error| format!("it is no URL ({error})"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return Err("it is no http or https URL".into());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("it holds a user name or password; keys belong into the environment".into());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("it has a query or fragment".into());
    }
    let base = url.as_str().trim_end_matches('/');
    let base = if path.starts_with("v1/") { base.strip_suffix("/v1").unwrap_or(base) } else { base };
    Url::parse(&format!("{base}/{path}")).map_err(|error| format!("it is no URL ({error})"))
}

/// Whether a host is this machine or within a private network, by its address or by a name that no public host has.
fn is_private(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    match host.parse::<IpAddr>().map(|ip| ip.to_canonical()) {
        Ok(IpAddr::V4(ip)) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        Ok(IpAddr::V6(ip)) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
        Err(_) => {
            let host = host.trim_end_matches('.');
            let own = [".localhost", ".local", ".internal", ".lan", ".home.arpa"];
            !host.contains('.') || own.iter().any(|end| host.ends_with(end))
        }
    }
}

fn known<T>(tables: &Tables<T>) -> String {
    let names: Vec<&str> = tables.keys().map(String::as_str).collect();
    if names.is_empty() { "name another".into() } else { format!("name one of: {}", names.join(", ")) }
}

fn flaw(place: &str, key: &str, what: &str, remedy: &str) -> Flaw {
    let key = if key.is_empty() { place.to_owned() } else { format!("{place}.{key}") };
    Flaw { key, what: what.to_owned(), remedy: remedy.to_owned() }
}
