//! The store that the configuration names: the embedded one, or Redis.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use store::{Embedded, Store, SystemClock};
use store_redis::{Durability, Healed, JournalOptions, Options, Redis, Time};

use crate::{
    Assembled, StoreSpec,
    config::{DurabilitySpec, OneOrMany},
};

/// A store, and what is to be said of it.
pub struct Opened {
    /// The store.
    pub store: Arc<dyn Store>,
    /// What it is, in a few words and without a secret.
    pub what: String,
    /// What of a commit outlives a crash of the machine, in a few words.
    pub kept: &'static str,
}

/// Opens the store to work on it.
///
/// # Errors
/// A sentence for the operator, with the remedy.
pub async fn open(assembled: &Assembled) -> Result<Opened, String> {
    let spec = &assembled.config.store;
    if let Some(options) = redis(spec, &assembled.base)? {
        let journal = JournalOptions { folder: journal(assembled), keep: spec.journal_for.0 };
        return open_redis(&Options { journal: Some(journal), ..options }).await;
    }
    open_spec(assembled, spec).await
}

fn journal(assembled: &Assembled) -> PathBuf {
    assembled.base.join(&assembled.config.state).join("journal")
}

/// What the journals beside the configuration know of and Redis has lost, a sentence each.
///
/// # Errors
/// A sentence for the operator, with the remedy.
pub(crate) async fn missing(assembled: &Assembled) -> Result<Vec<String>, String> {
    let Some(options) = redis(&assembled.config.store, &assembled.base)? else { return Ok(Vec::new()) };
    let store = Redis::open(&options).await.map_err(|error| error.to_string())?;
    store.missing(&journal(assembled)).await.map_err(|error| error.to_string())
}

/// Puts that back.
///
/// # Errors
/// A sentence for the operator, with the remedy.
pub(crate) async fn heal(assembled: &Assembled) -> Result<Healed, String> {
    let Some(options) = redis(&assembled.config.store, &assembled.base)? else {
        return Ok(Healed::default());
    };
    let store = Redis::open(&options).await.map_err(|error| error.to_string())?;
    store.heal(&journal(assembled)).await.map_err(|error| error.to_string())
}

/// Opens the store to mend it: nothing is noted.
///
/// # Errors
/// A sentence for the operator, with the remedy.
pub(crate) async fn open_plainly(assembled: &Assembled) -> Result<Opened, String> {
    open_spec(assembled, &assembled.config.store).await
}

async fn open_spec(assembled: &Assembled, spec: &StoreSpec) -> Result<Opened, String> {
    if let Some(options) = redis(spec, &assembled.base)? {
        return open_redis(&options).await;
    }
    let path = assembled.base.join(&spec.path);
    let store = Embedded::open(&path, Arc::new(SystemClock)).map_err(|error| error.to_string())?;
    Ok(Opened { store: Arc::new(store), what: path.display().to_string(), kept: Durability::Always.as_str() })
}

/// Opens the store to look at it, also while a gateway works on it.
///
/// # Errors
/// A sentence for the operator, with the remedy.
pub async fn open_to_read(assembled: &Assembled) -> Result<Arc<dyn Store>, String> {
    let spec = &assembled.config.store;
    if let Some(options) = redis(spec, &assembled.base)? {
        return open_redis(&options).await.map(|opened| opened.store);
    }
    let path = assembled.base.join(&spec.path);
    Ok(Arc::new(Embedded::read_only(&path).map_err(|error| error.to_string())?))
}

/// Opens the store that a name on the command line means: the address of a Redis, or a file, which is looked for where the
/// command is run. Where the store has to be there, none is made.
pub(crate) async fn open_named(assembled: &Assembled, name: &str, there: bool) -> Result<Opened, String> {
    let mut spec = assembled.config.store.clone();
    (spec.url, spec.url_env) = (None, None);
    if ["redis://", "rediss://", "redis+sentinel://", "rediss+sentinel://"]
        .iter()
        .any(|way| name.starts_with(way))
    {
        spec.url = Some(OneOrMany::One(name.to_owned()));
    } else {
        spec.path = std::path::absolute(name).map_err(|error| format!("`{name}` is no file: {error}"))?;
        if there && !spec.path.is_file() {
            return Err(format!("there is no store at {}", spec.path.display()));
        }
    }
    open_spec(assembled, &spec).await
}

/// Connects to the store once, where that is on another machine: what it is, or what is wrong.
pub(crate) async fn look(assembled: &Assembled) -> Option<Result<String, String>> {
    match redis(&assembled.config.store, &assembled.base) {
        Ok(None) => None,
        Ok(Some(options)) => Some(
            open_redis(&options)
                .await
                .map(|opened| format!("{}; what is written is {}", opened.what, opened.kept)),
        ),
        Err(why) => Some(Err(why)),
    }
}

async fn open_redis(options: &Options) -> Result<Opened, String> {
    let store = Redis::open(options).await.map_err(|error| error.to_string())?;
    let what = format!("Redis {} under {{{}}}", store.version(), options.prefix);
    let kept = store.durability().as_str();
    Ok(Opened { store: Arc::new(store), what, kept })
}

/// What is asked of Redis, if it is asked for. Files are looked for from `base` on.
fn redis(spec: &StoreSpec, base: &Path) -> Result<Option<Options>, String> {
    let from_variable = match &spec.url_env {
        None => None,
        Some(name) => Some(std::env::var(name).map_err(|_| {
            format!(
                "store.url_env: the environment variable {name} is not set; it takes the address of Redis"
            )
        })?),
    };
    let mut urls: Vec<String> = spec.url.clone().map(Vec::from).unwrap_or_default();
    urls.extend(from_variable.iter().flat_map(|text| text.split_whitespace()).map(str::to_owned));
    if urls.is_empty() {
        return match spec.url_env.is_some() || spec.url.is_some() {
            true => Err("store.url: it names no Redis; leave it out for the embedded store".to_owned()),
            false => Ok(None),
        };
    }
    Ok(Some(Options {
        urls,
        prefix: spec.prefix.clone(),
        timeout: spec.timeout.0,
        durability: match spec.durability {
            DurabilitySpec::None => Durability::None,
            DurabilitySpec::Everysec => Durability::EverySecond,
            DurabilitySpec::Always => Durability::Always,
        },
        time: Time::Server,
        journal: None,
        tls_ca: spec.tls_ca.as_ref().map(|path| base.join(path)),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(toml: serde_json::Value) -> StoreSpec {
        serde_json::from_value(toml).unwrap_or_else(|error| panic!("{error}"))
    }

    fn asked(toml: serde_json::Value) -> Result<Option<Options>, String> {
        redis(&spec(toml), Path::new("/srv"))
    }

    #[test]
    fn redis_is_asked_for_by_its_address() {
        assert!(matches!(asked(serde_json::json!({})), Ok(None)));
        let one = asked(serde_json::json!({ "url": "redis://a" })).unwrap_or(None);
        assert_eq!(one.map(|options| options.urls), Some(vec!["redis://a".to_owned()]));
        let two = asked(serde_json::json!({ "url": ["redis://a", "redis://b"], "durability": "always" }));
        let two = two.unwrap_or(None).map(|options| (options.urls.len(), options.durability));
        assert_eq!(two, Some((2, Durability::Always)));
        let unset = asked(serde_json::json!({ "url_env": "SWITCHBOARD_NO_SUCH_VARIABLE" }));
        assert!(unset.is_err_and(|why| why.contains("SWITCHBOARD_NO_SUCH_VARIABLE")));
        assert!(asked(serde_json::json!({ "url": [] })).is_err());
        let trusting = asked(serde_json::json!({ "url": "rediss://a", "tls_ca": "ca.pem" })).unwrap_or(None);
        assert_eq!(trusting.and_then(|options| options.tls_ca), Some("/srv/ca.pem".into()));
    }
}
