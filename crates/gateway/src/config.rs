//! `config.toml`, as the operator writes it. The doc comments are what they see when a key is wrong.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};

use agent::{Days, Hours, Route, SealKeys};
use channel::Span;
use model::{ModelSettings, ProviderSettings};
use runtime::Settings;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

/// The shortest lease: a heartbeat has to come through in a third of it.
const LEASE_MIN: Duration = Duration::from_secs(1);
/// The shortest key that seals are signed with.
const AUDIT_KEY_MIN: usize = 32;

/// The whole file.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The folder with one folder for each agent. Relative paths start at this file.
    #[serde(default = "defaults::agents")]
    pub agents: PathBuf,
    /// The folder for what the gateway keeps beside the store: what the agents' tools keep.
    #[serde(default = "defaults::state")]
    pub state: PathBuf,
    /// The agent that takes what no route takes. Without, such a message is answered with the list of agents.
    #[serde(default)]
    pub default_agent: Option<String>,
    /// Where threads are kept.
    #[serde(default)]
    pub store: StoreSpec,
    /// Numbers of the runtime.
    #[serde(default)]
    pub runtime: RuntimeSpec,
    /// What leaves the store, and where to.
    #[serde(default)]
    pub retention: RetentionSpec,
    /// How the logs are sealed, so that what is changed in them is found.
    #[serde(default)]
    pub audit: AuditSpec,
    /// Where the gateway can be asked how it is.
    #[serde(default)]
    pub health: HealthSpec,
    /// The channels, by a name of your own; `kind` says which sort.
    #[serde(default)]
    pub channels: BTreeMap<String, Value>,
    /// Which agent takes a message: the first that fits.
    #[serde(default)]
    pub routes: Vec<Route>,
    /// People.
    #[serde(default)]
    pub members: BTreeMap<String, MemberSpec>,
    /// Groups of members.
    #[serde(default)]
    pub groups: BTreeMap<String, Vec<String>>,
    /// Places where people are asked.
    #[serde(default)]
    pub desks: BTreeMap<String, DeskSpec>,
    /// For each severity that a policy may name, the channels on which an approval of it may be decided.
    #[serde(default)]
    pub severities: BTreeMap<String, Vec<String>>,
    /// Providers of language models.
    #[serde(default)]
    pub providers: BTreeMap<String, ProviderSettings>,
    /// Models, by the name that agents use.
    #[serde(default)]
    pub models: BTreeMap<String, ModelSettings>,
}

/// Where threads are kept: in one file, or on a Redis that several gateways share.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StoreSpec {
    /// The file of the embedded store.
    pub path: PathBuf,
    /// The address of a Redis, `redis://[user:password@]host[:port][/number]`, or `rediss://` for TLS; for a cluster also
    /// several in a list. Or the sentinels that name the server,
    /// `redis+sentinel://[user:password@]host[:26379][,host…]/MASTER[/number]`, or `rediss+sentinel://` for TLS. It takes the
    /// place of the file.
    pub url: Option<OneOrMany>,
    /// The environment variable with the address, or with several separated by blanks: there may be a password in it.
    pub url_env: Option<String>,
    /// For TLS, a PEM file with the certificates that are trusted instead of those that the system trusts.
    pub tls_ca: Option<PathBuf>,
    /// What every key in Redis begins with, in braces. Gateways with the same one share their work.
    pub prefix: String,
    /// What of a commit must outlive a crash of Redis: `none`, `everysec` (all but the last second) or `always`. A Redis that
    /// keeps less is refused.
    pub durability: DurabilitySpec,
    /// How long a command to Redis may take.
    pub timeout: Span,
    /// How long what Redis confirmed is kept in `state`, too, so that what it forgets after a fail-over or a crash can be put back;
    /// 256 MiB of each gateway are the most, however.
    pub journal_for: Span,
}

impl Default for StoreSpec {
    fn default() -> Self {
        Self {
            path: "state/switchboard.db".into(),
            url: None,
            url_env: None,
            tls_ca: None,
            prefix: "switchboard".to_owned(),
            durability: DurabilitySpec::Everysec,
            timeout: Span(Duration::from_secs(5)),
            journal_for: Span(Duration::from_secs(6 * 3600)),
        }
    }
}

/// One text, or several in a list.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum OneOrMany {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

impl From<OneOrMany> for Vec<String> {
    fn from(texts: OneOrMany) -> Self {
        match texts {
            OneOrMany::One(text) => vec![text],
            OneOrMany::Many(texts) => texts,
        }
    }
}

/// What of a commit must outlive a crash of Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DurabilitySpec {
    /// Nothing.
    None,
    /// All but the last second.
    Everysec,
    /// All.
    Always,
}

/// What leaves the store: conversations that are over, for a folder of compressed files.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RetentionSpec {
    /// How long after its last event a conversation that is over stays in the store; at least `runtime.renew_after`. Without,
    /// all of them stay for ever.
    pub after: Option<Span>,
    /// The folder that it goes to: a file a month, readable with `zcat`.
    pub archive: PathBuf,
}

impl Default for RetentionSpec {
    fn default() -> Self {
        Self { after: None, archive: "state/archive".into() }
    }
}

impl RetentionSpec {
    /// What is wrong with letting a conversation leave after so long.
    pub(crate) fn refuse(after: Span, runtime: &RuntimeSpec) -> Option<String> {
        let renew_after = runtime.renew_after;
        (after < renew_after).then(|| {
            format!(
                "{after} is less than runtime.renew_after ({renew_after}): a conversation would leave that its next message \
                 goes on with"
            )
        })
    }
}

/// How the logs are sealed, so that what is changed in them is found.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AuditSpec {
    /// How long what was written waits to be sealed.
    pub every: Span,
    /// The environment variable with the key that seals are signed with; two keys separated by a blank while one is being
    /// replaced: the first signs, both count. Without, seals are not signed.
    pub key_env: Option<String>,
}

impl Default for AuditSpec {
    fn default() -> Self {
        Self { every: Span(Duration::from_secs(60)), key_env: None }
    }
}

impl AuditSpec {
    /// The keys, and whatever is wrong with them, with the remedy.
    pub(crate) fn keys(&self) -> Result<SealKeys, (String, String)> {
        let Some(name) = &self.key_env else { return Ok(SealKeys::default()) };
        let remedy = || "put a key there, such as `openssl rand -hex 32` prints".to_owned();
        let text = std::env::var(name).unwrap_or_default();
        let keys: Vec<&str> = text.split_whitespace().collect();
        if keys.is_empty() {
            return Err((format!("the environment variable {name} is not set"), remedy()));
        }
        if keys.iter().any(|key| key.len() < AUDIT_KEY_MIN) {
            let what = format!("a key in {name} is shorter than {AUDIT_KEY_MIN} characters");
            return Err((what, remedy()));
        }
        Ok(SealKeys::new(keys.into_iter().map(|key| key.as_bytes().to_vec())))
    }
}

/// Where the gateway can be asked how it is.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HealthSpec {
    /// An IP address and a port, such as `127.0.0.1:7421`: `GET /healthz` says that the process lives, `GET /readyz`
    /// whether every channel is up and the store answers. Without, it cannot be asked.
    #[serde(default)]
    pub listen: Option<SocketAddr>,
}

/// A human: their immutable id on each channel, by the channel's name, and when and where they want to be asked.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct MemberSpec {
    /// The days on which they are away, `2026-12-01/2026-12-14`, the last one too.
    #[serde(default)]
    pub away: Option<Days>,
    /// The member who may answer in their place while they are away.
    #[serde(default)]
    pub delegate: Option<String>,
    /// The hours in which they are not asked, `22:00-07:00`.
    #[serde(default)]
    pub quiet: Option<Hours>,
    /// Where their days and hours are those of the clock, `Europe/Berlin`.
    #[serde(default = "defaults::time_zone")]
    pub time_zone: String,
    /// The channels on which they want to be asked, the most wanted first.
    #[serde(default)]
    pub prefers: Vec<String>,
    /// Their immutable id on each channel.
    #[serde(flatten)]
    pub ids: BTreeMap<String, String>,
}

impl MemberSpec {
    /// The keys that are no channel's name.
    pub(crate) const RESERVED: [&str; 5] = ["away", "delegate", "quiet", "time_zone", "prefers"];
}

/// Where people are asked: each member's own place on a channel, and shared places.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeskSpec {
    /// Members and groups who answer there. Where there are none, whoever may answer a question anyway.
    #[serde(default)]
    pub members: Vec<String>,
    /// The channel on which each member is asked; of several in a list, the first that they prefer and have an id on. Without, only
    /// the rooms are asked.
    #[serde(default)]
    pub via: Option<OneOrMany>,
    /// Whether each member is asked on all channels of the list at once.
    #[serde(default)]
    pub mirror: bool,
    /// Shared places, by channel, each as the channel knows it.
    #[serde(default)]
    pub rooms: BTreeMap<String, String>,
}

/// Numbers of the runtime.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RuntimeSpec {
    /// Threads stepped at the same time.
    pub turns: usize,
    /// Messages sent at the same time on each channel.
    pub sends: usize,
    /// How long work in flight may go on after a stop.
    pub drain: Span,
    /// How long what a gateway was doing waits, when it died, until another gateway goes on.
    pub lease: Span,
    /// How long a message is tried before it is given up.
    pub send_for: Span,
    /// How long after its end a conversation at the same place is still the same one.
    pub renew_after: Span,
    /// How many events a thread may have before the next request goes on in a new one, with what an agent can still be
    /// shown of the old one.
    pub events_max: u64,
    /// The longest text that is taken, in bytes.
    pub text_bytes_max: usize,
    /// The largest file that is kept, in bytes.
    pub file_bytes_max: usize,
    /// The largest text file whose text an agent is shown, in bytes.
    pub shown_bytes_max: usize,
}

impl Default for RuntimeSpec {
    fn default() -> Self {
        let Settings { turns_max, sends_max, drain, lease, send_for, renew_after, .. } = Settings::default();
        let Settings { events_max, text_bytes_max, file_bytes_max, shown_bytes_max, .. } =
            Settings::default();
        Self {
            turns: turns_max,
            sends: sends_max,
            drain: Span(drain),
            lease: Span(lease),
            send_for: Span(send_for),
            renew_after: Span(renew_after),
            events_max,
            text_bytes_max,
            file_bytes_max,
            shown_bytes_max,
        }
    }
}

impl RuntimeSpec {
    /// The runtime's own settings.
    pub fn settings(&self) -> Settings {
        Settings {
            turns_max: self.turns.clamp(1, 10_000),
            sends_max: self.sends.clamp(1, 1_000),
            drain: self.drain.0,
            lease: self.lease.0.max(LEASE_MIN),
            send_for: self.send_for.0,
            renew_after: self.renew_after.0,
            events_max: self.events_max,
            text_bytes_max: self.text_bytes_max,
            file_bytes_max: self.file_bytes_max,
            shown_bytes_max: self.shown_bytes_max,
            ..Settings::default()
        }
    }
}

/// What a key means when it is left out, in one place.
mod defaults {
    use std::path::PathBuf;

    pub(super) fn agents() -> PathBuf {
        "agents".into()
    }
    pub(super) fn state() -> PathBuf {
        "state".into()
    }
    pub(super) fn time_zone() -> String {
        "UTC".into()
    }
}
