//! From files to a board: everything is read and checked, nothing is connected; then it is started.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use agent::{Agent, Directory, Flaw, SealKeys, Source, Tickets, parse, read_what_is_sound};
use channel::{Channel, ChannelName, Setup};
use model::Model;
use runtime::{Archive, Audit, Board, GivenUp, Library, Retention, Serving, Settings, serve};
use secrecy::SecretString;
use serde_json::Value;
use store::{Clock, Store};
use tool::{Standard, ToolSettings};

use crate::{
    channels::{kinds, without_kind},
    config::{Config, RetentionSpec, RuntimeSpec},
    people::directory,
};

/// The largest file of an agent that is read, in bytes.
const AGENT_FILE_BYTES_MAX: u64 = 1024 * 1024;
/// How long one gateway may take to make the key of the tickets, before another one does.
const MAKES_A_KEY: Duration = Duration::from_secs(10);
/// The value under which the store keeps the key of the tickets.
const TICKET_KEY: &str = "ticket-key";

/// Everything that the files describe, checked.
pub struct Assembled {
    /// The file itself.
    pub config: Config,
    /// The folder that relative paths start at.
    pub base: PathBuf,
    /// The agents.
    pub agents: Vec<Agent>,
    /// The channels.
    pub channels: BTreeMap<ChannelName, Arc<dyn Channel>>,
    /// The models.
    pub models: BTreeMap<String, Arc<dyn Model>>,
    /// The humans.
    pub directory: Directory,
    /// What seals are signed with.
    pub seal_keys: SealKeys,
    /// What the operator should know: providers left out, a scripted model.
    pub notes: Vec<String>,
}

/// Reads the configuration and everything it names.
///
/// # Errors
/// All that is wrong, each with its place and a remedy.
pub fn assemble(path: &Path) -> Result<Assembled, Vec<Flaw>> {
    let file = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| {
        vec![Flaw {
            file: file.clone(),
            line: None,
            key: String::new(),
            what: format!("it cannot be read: {error}"),
            remedy: Some(
                "name another file with --config, or start in the folder that has a config.toml".into(),
            ),
        }]
    })?;
    let source = Source { file: &file, text: &text };
    // What is wrong in one table must not hide what is wrong in another one.
    let (config, mut found) = read_what_is_sound::<Config>(source, &[], &parse(source)?);
    let Some(config) = config else { return Err(found) };
    let base =
        path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned();
    let mut bench = Bench { source, base: &base, flaws: Vec::new() };

    let channels = bench.channels(&config);
    let (models, notes) = bench.models(&config);
    let (directory, mut wrong) = directory(source, &config, &channels);
    bench.flaws.append(&mut wrong);
    let names: BTreeSet<String> = config.models.keys().cloned().collect();
    let agents = bench.agents(&config, &directory, &names);
    bench.routes(&config);
    bench.retention(&config);
    let seal_keys = bench.audit(&config);
    if config.channels.is_empty() {
        let remedy = "add [channels.web] with kind = \"web\"".to_owned();
        bench.flaws.push(source.flaw(
            &["channels"],
            "there is no channel, so nobody could write",
            Some(remedy),
        ));
    }

    // A key that is wrong counts as left out, so what seems wrong with it beyond that is only a consequence.
    let known: BTreeSet<String> = found.iter().map(|flaw| flaw.key.clone()).collect();
    found.extend(bench.flaws.into_iter().filter(|flaw| flaw.file != file || !known.contains(&flaw.key)));
    let mut flaws = found;
    if !flaws.is_empty() {
        flaws.sort();
        flaws.dedup();
        return Err(flaws);
    }
    Ok(Assembled { config, base, agents, channels, models, directory, seal_keys, notes })
}

/// Starts what was assembled on a store.
///
/// # Errors
/// The store's.
pub async fn start(
    assembled: Assembled,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
) -> Result<Serving, store::Error> {
    let Assembled { config, base, .. } = &assembled;
    let audit = Audit { every: config.audit.every.0, keys: assembled.seal_keys.clone() };
    let settings =
        Settings { retention: retention(config, base), audit: Some(audit), ..config.runtime.settings() };
    let key = ticket_key(store.as_ref(), &settings.worker).await?;
    let board = wire(assembled, store, clock, settings, key);
    board.library.keep(board.store.as_ref()).await?;
    Ok(serve(Arc::new(board)))
}

/// What was assembled, on a store, with nothing of it at work: to look at the store, and to mend it.
///
/// # Errors
/// The store's.
pub(crate) async fn at_rest(
    assembled: Assembled,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
) -> Result<Board, store::Error> {
    let settings = assembled.config.runtime.settings();
    // Without a key no ticket was ever given out, so any will do.
    let key = kept_key(store.as_ref()).await?.unwrap_or_default();
    Ok(wire(assembled, store, clock, settings, key))
}

fn wire(
    assembled: Assembled,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    settings: Settings,
    ticket_key: [u8; 32],
) -> Board {
    let Assembled { config, base, agents, channels, models, directory, seal_keys: _, notes: _ } = assembled;
    let desks = directory.desks.keys().cloned().collect();
    let tools =
        Standard::new(ToolSettings { state: base.join(&config.state).join("tools"), env: Arc::new(secret) });
    Board {
        tickets: Tickets::new(ticket_key),
        library: Library::new(agents, desks),
        store,
        clock,
        directory,
        routes: config.routes.clone(),
        default_agent: config.default_agent.clone(),
        models,
        tools: Arc::new(tools),
        health: channels.keys().map(|name| (name.clone(), channel::Health::default())).collect(),
        channels,
        given_up: GivenUp::default(),
        agents_folder: base.join(&config.agents),
        settings,
    }
}

/// What leaves the store, if anything does.
fn retention(config: &Config, base: &Path) -> Option<Retention> {
    Some(Retention { after: config.retention.after?.0, archive: archive(config, base) })
}

/// The archive that the configuration names.
pub(crate) fn archive(config: &Config, base: &Path) -> Archive {
    Archive::new(base.join(&config.retention.archive))
}

/// The key of the tickets: made once, kept in the store, so that every process on it knows the same tickets. Of several that
/// begin at the same time, one makes it.
async fn ticket_key(store: &dyn Store, worker: &str) -> Result<[u8; 32], store::Error> {
    loop {
        if let Some(key) = kept_key(store).await? {
            return Ok(key);
        }
        if !store.hold(TICKET_KEY, worker, MAKES_A_KEY).await? {
            tokio::time::sleep(MAKES_A_KEY / 100).await;
            continue;
        }
        if let Some(key) = kept_key(store).await? {
            return Ok(key);
        }
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(|error| store::Error::Away {
            why: format!("the system gives no random numbers: {error}"),
        })?;
        store.put(TICKET_KEY, &key).await?;
        store.let_go(TICKET_KEY, worker).await?;
        return Ok(key);
    }
}

async fn kept_key(store: &dyn Store) -> Result<Option<[u8; 32]>, store::Error> {
    let kept = store.get(TICKET_KEY).await?;
    Ok(kept.and_then(|kept| <[u8; 32]>::try_from(kept.as_slice()).ok()))
}

/// Reads a secret from the environment.
fn secret(name: &str) -> Option<SecretString> {
    std::env::var(name).ok().filter(|value| !value.is_empty()).map(SecretString::from)
}

/// Collects what is wrong while things are read.
struct Bench<'a> {
    source: Source<'a>,
    base: &'a Path,
    flaws: Vec<Flaw>,
}

impl Bench<'_> {
    fn flaw(&mut self, path: &[&str], what: impl Into<String>, remedy: impl Into<String>) {
        self.flaws.push(self.source.flaw(path, what, Some(remedy.into())));
    }

    fn channels(&mut self, config: &Config) -> BTreeMap<ChannelName, Arc<dyn Channel>> {
        let kinds = kinds();
        let mut channels = BTreeMap::new();
        for (name, table) in &config.channels {
            let path = ["channels", name.as_str()];
            let known = || kinds.iter().map(|kind| kind.name).collect::<Vec<_>>().join(", ");
            let Some(kind) = table.get("kind").and_then(Value::as_str) else {
                self.flaw(&path, "the key `kind` is missing", format!("the kinds are: {}", known()));
                continue;
            };
            let Some(entry) = kinds.iter().find(|entry| entry.name == kind) else {
                let what = format!("there is no kind of channel `{kind}`");
                self.flaw(&[path[0], path[1], "kind"], what, format!("the kinds are: {}", known()));
                continue;
            };
            let folder = self.base.join(&config.state).join("channels").join(name);
            let setup = Setup { name: ChannelName::new(name), folder: &folder, secret: &secret };
            match (entry.open)(self.source, &path, &without_kind(table), &setup) {
                Ok(channel) => {
                    channels.insert(ChannelName::new(name), channel);
                }
                Err(mut flaws) => self.flaws.append(&mut flaws),
            }
        }
        channels
    }

    fn models(&mut self, config: &Config) -> (BTreeMap<String, Arc<dyn Model>>, Vec<String>) {
        let mut models = BTreeMap::new();
        let mut notes = Vec::new();
        let mut found = model::check(&config.providers, &config.models);
        for name in config.models.keys() {
            match model::build(name, &config.providers, &config.models, &secret) {
                Ok(built) => {
                    models.insert(name.clone(), built.model);
                    notes.extend(built.notes);
                }
                Err(flaws) => found.extend(flaws),
            }
        }
        for flaw in found {
            let path: Vec<&str> = flaw.key.split('.').collect();
            self.flaw(&path, flaw.what, flaw.remedy);
        }
        notes.sort();
        notes.dedup();
        (models, notes)
    }

    fn agents(&mut self, config: &Config, directory: &Directory, models: &BTreeSet<String>) -> Vec<Agent> {
        let folder = self.base.join(&config.agents);
        let desks: Vec<String> = directory.desks.keys().cloned().collect();
        let mut agents = Vec::new();
        let names = match folders(&folder) {
            Ok(names) => names,
            Err(error) => {
                self.flaw(
                    &["agents"],
                    format!("{} cannot be read: {error}", folder.display()),
                    "name the folder",
                );
                return agents;
            }
        };
        for name in names {
            let folder = folder.join(&name);
            match agent_files(&folder).and_then(|files| Agent::load(&name, files, &desks)) {
                Ok(agent) => {
                    self.flaws.append(&mut agent.check(directory, models));
                    self.flaws.append(&mut check_files(&agent, &folder));
                    agents.push(agent);
                }
                Err(mut flaws) => self.flaws.append(&mut flaws),
            }
        }
        agents
    }

    fn retention(&mut self, config: &Config) {
        let RuntimeSpec { renew_after, .. } = config.runtime;
        let wrong = config.retention.after.and_then(|after| RetentionSpec::refuse(after, &config.runtime));
        if let Some(wrong) = wrong {
            let remedy = format!("make it {renew_after} or more, or make runtime.renew_after shorter");
            self.flaw(&["retention", "after"], wrong, remedy);
        }
    }

    fn audit(&mut self, config: &Config) -> SealKeys {
        config.audit.keys().unwrap_or_else(|(what, remedy)| {
            self.flaw(&["audit", "key_env"], what, remedy);
            SealKeys::default()
        })
    }

    /// An agent that is not sound was reported already; here it only has to be there.
    fn routes(&mut self, config: &Config) {
        let names = folders(&self.base.join(&config.agents)).unwrap_or_default();
        let known = names.join(", ");
        for (n, route) in config.routes.iter().enumerate() {
            let n = n.to_string();
            if !names.contains(&route.agent) {
                let what = format!("there is no agent `{}`", route.agent);
                self.flaw(&["routes", &n, "agent"], what, format!("the agents are: {known}"));
            }
            if let Some(channel) = route.channel.as_ref().filter(|name| !config.channels.contains_key(*name))
            {
                let what = format!("there is no channel `{channel}`");
                self.flaw(&["routes", &n, "channel"], what, "name one of [channels]");
            }
        }
        if let Some(agent) = config.default_agent.as_ref().filter(|name| !names.contains(*name)) {
            let what = format!("there is no agent `{agent}`");
            self.flaw(&["default_agent"], what, format!("the agents are: {known}"));
        }
    }
}

fn folders(path: &Path) -> std::io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type()?.is_dir() && !name.starts_with('.') {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// The text files of an agent: what its version is made of. Its programs are not among them.
fn agent_files(folder: &Path) -> Result<BTreeMap<String, String>, Vec<Flaw>> {
    let flaw = |path: &Path, what: String| {
        vec![Flaw { file: path.display().to_string(), line: None, key: String::new(), what, remedy: None }]
    };
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(folder).map_err(|error| flaw(folder, error.to_string()))? {
        let path = entry.map_err(|error| flaw(folder, error.to_string()))?.path();
        let kind = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        if !matches!(kind, "toml" | "md" | "json" | "txt") || !path.is_file() {
            continue;
        }
        let size = path.metadata().map_or(0, |meta| meta.len());
        if size > AGENT_FILE_BYTES_MAX {
            let what = format!("it has {size} bytes; an agent's file may have {AGENT_FILE_BYTES_MAX}");
            return Err(flaw(&path, what));
        }
        let text = std::fs::read_to_string(&path).map_err(|error| flaw(&path, error.to_string()))?;
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        files.insert(name, text);
    }
    Ok(files)
}

/// What the core cannot look at: the tools' handlers and the script.
fn check_files(agent: &Agent, folder: &Path) -> Vec<Flaw> {
    let name = agent.reference().name;
    let file = format!("agents/{name}/agent.toml");
    let text = agent.files().get("agent.toml").map_or("", String::as_str);
    let source = Source { file: &file, text };
    let mut flaws = Vec::new();
    for (tool_name, spec) in &agent.spec().tools {
        for flaw in tool::check(spec, tool_name, folder) {
            let path: Vec<&str> = flaw.path.iter().map(String::as_str).collect();
            flaws.push(source.flaw(&path, flaw.what, Some(flaw.remedy)));
        }
    }
    if let Some(Err(what)) = agent.files().get("script.toml").map(|text| model::Script::parse(text)) {
        flaws.push(Flaw {
            file: format!("agents/{name}/script.toml"),
            line: None,
            key: String::new(),
            what,
            remedy: None,
        });
    }
    flaws
}
