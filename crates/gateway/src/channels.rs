//! The channels that this gateway knows. A new one is one line here.

use std::sync::Arc;

use agent::{Flaw, Source, read_part, schema_of};
use channel::{Channel, Kind, Setup};
use serde_json::Value;

/// A kind of channel, as the configuration needs it.
pub struct KindEntry {
    /// The value of `kind`.
    pub name: &'static str,
    /// The JSON Schema of its other keys.
    pub schema: fn() -> Value,
    /// Makes a channel of this kind from its table, without `kind`.
    pub open: Open,
    /// Makes what the platform is given from the same; nothing where the kind takes no such thing.
    pub manifest: Manifest,
}

/// Makes a channel from the value at a path of the configuration.
type Open = fn(Source<'_>, &[&str], &Value, &Setup<'_>) -> Result<Arc<dyn Channel>, Vec<Flaw>>;

/// Makes a manifest from the value at a path of the configuration.
type Manifest = fn(Source<'_>, &[&str], &Value) -> Result<Option<String>, Vec<Flaw>>;

/// Every kind.
pub fn kinds() -> Vec<KindEntry> {
    vec![
        entry::<channel_discord::Discord>(),
        entry::<channel_email::Email>(),
        entry::<channel_slack::Slack>(),
        entry::<channel_web::Web>(),
    ]
}

fn entry<K: Kind>() -> KindEntry {
    KindEntry { name: K::NAME, schema: schema_of::<K::Settings>, open: open::<K>, manifest: manifest::<K> }
}

/// A channel's table, as its kind reads it.
pub(crate) fn without_kind(table: &Value) -> Value {
    let mut table = table.clone();
    if let Value::Object(keys) = &mut table {
        keys.remove("kind");
    }
    table
}

fn open<K: Kind>(
    source: Source<'_>,
    path: &[&str],
    table: &Value,
    setup: &Setup<'_>,
) -> Result<Arc<dyn Channel>, Vec<Flaw>> {
    let settings = read_part::<K::Settings>(source, path, table)?;
    let flaws = |errors: Vec<channel::Error>| {
        errors.into_iter().map(|error| source.flaw(path, error.what, error.remedy)).collect::<Vec<_>>()
    };
    Ok(Arc::new(K::open(settings, setup).map_err(flaws)?))
}

fn manifest<K: Kind>(source: Source<'_>, path: &[&str], table: &Value) -> Result<Option<String>, Vec<Flaw>> {
    read_part::<K::Settings>(source, path, table).map(|settings| K::manifest(&settings))
}
