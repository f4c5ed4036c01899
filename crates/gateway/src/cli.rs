//! The command line.

use std::{
    fmt::Display,
    io::{IsTerminal, Read, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Instant,
};

use agent::{Agent, Thread, ThreadId, Version};
use channel::{Span, Timestamp};
use clap::{Parser, Subcommand};
use runtime::{Audited, Library, Rebuilt, Retention, Settings, Verified};
use store::{Batch, Moved, Summary, SystemClock, THREADS_MAX, migrate};
use store_redis::Healed;
use tracing_subscriber::EnvFilter;

use crate::{
    assemble::{Assembled, archive, assemble, at_rest, start},
    config::RetentionSpec,
    connect::{Connected, connect},
    explain::{PolicyCommand, explain},
    grants::{GrantsCommand, revoke, told},
    health,
    manifest::{self, KindCommand, Manifest},
    members::{self, MembersCommand},
    storage::{Opened, heal, look, missing, open, open_named, open_plainly, open_to_read},
    story,
};

/// How much of standard input `extract` reads, in bytes.
const INPUT_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// What is never logged, at whatever level.
const QUIET: [&str; 4] = ["async_imap=off", "imap_proto=off", "lettre=off", "tungstenite=off"];

/// A gateway between people and small LLM agents.
#[derive(Debug, Parser)]
#[command(name = "switchboard", version, about)]
pub struct Cli {
    /// The configuration.
    #[arg(long, default_value = "config.toml", env = "SWITCHBOARD_CONFIG", global = true)]
    pub config: PathBuf,
    /// What to log: `info`, `debug`, `warn,channel_email=debug`.
    #[arg(long, default_value = "info", env = "SWITCHBOARD_LOG", global = true)]
    pub log: String,
    /// Write the log as JSON, a line each.
    #[arg(long, global = true)]
    pub log_json: bool,
    /// What to do; `run` when nothing is said.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the gateway until SIGTERM or Ctrl-C.
    Run,
    /// Read everything, connect nothing, and say all that is wrong.
    Check {
        /// When all is sound: connect every channel once, change nothing, and say what each found.
        #[arg(long)]
        connect: bool,
    },
    /// Print what an agent's model would be sent for a thread's next step: the exact bytes, and an account of them on
    /// standard error.
    Prompt {
        /// The agent.
        agent: String,
        /// The thread, as `threads list` names it. Without, an empty one.
        thread: Option<String>,
    },
    /// Read a model's output from standard input and print the intent in it, or why there is none.
    Extract {
        /// The agent whose tools it may name.
        agent: String,
        /// Treat the output as cut off by the provider.
        #[arg(long)]
        truncated: bool,
    },
    /// Print the JSON Schema of an agent's intents.
    Schema {
        /// The agent.
        agent: String,
    },
    /// Look at policies.
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Look at approvals that hold for a while, and end them.
    #[command(subcommand)]
    Grants(GrantsCommand),
    /// Look at the humans.
    #[command(subcommand)]
    Members(MembersCommand),
    /// Look at threads.
    #[command(subcommand)]
    Threads(ThreadsCommand),
    /// What there is to do about the store.
    #[command(subcommand)]
    Store(StoreCommand),
    /// Look at who decided what, and whether it still is as it was.
    #[command(subcommand)]
    Audit(AuditCommand),
    /// What there is to do about one kind of channel.
    #[command(flatten)]
    Kind(KindCommand),
}

/// What there is to do about the store.
#[derive(Debug, Subcommand)]
pub enum StoreCommand {
    /// Move everything into another store, conversations in the middle of things too. No gateway may run on either. The first
    /// stays as it is.
    Migrate {
        /// The store to move from: a file of the embedded store, or the address of a Redis.
        from: String,
        /// The store to move into, which must be empty.
        to: String,
    },
    /// Compare what the logs say with who has work and which messages wait, were sent or were given up; on Redis also with what the
    /// gateways here have noted in the last hours. Gateways may run.
    Verify,
    /// Put back what Redis has lost, as far as it is noted here, and make all but the logs anew from them, whatever is left of it.
    /// No gateway may run on the store.
    Rebuild,
}

/// Look at who decided what, and whether it still is as it was.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Hold all logs, in the store and in the archive, against the seals, and the seals against each other. Gateways may run.
    Verify,
    /// Print every decision as JSON, a line each, the oldest first: who, how they are known, from where, what they were shown. What
    /// people must not see stands in none. Gateways may run.
    Export {
        /// From this day (UTC) or time on: `2026-11-01`, `2026-11-01T12:00:00Z`.
        #[arg(long, value_parser = since)]
        since: Option<Timestamp>,
    },
}

/// The first instant of a day, or a time.
fn since(text: &str) -> Result<Timestamp, String> {
    text.parse().or_else(|_| format!("{text}T00:00:00Z").parse()).map_err(|_| {
        format!("`{text}` is neither a day, such as 2026-11-01, nor a time, such as 2026-11-01T12:00:00Z")
    })
}

/// Look at threads.
#[derive(Debug, Subcommand)]
pub enum ThreadsCommand {
    /// The latest ones, a line each.
    List {
        /// How many.
        #[arg(long, default_value_t = 20)]
        limit: usize,
    },
    /// One, as a story.
    Show {
        /// The thread.
        thread: String,
        /// The events as JSON, a line each; whole, so with arguments that are secret.
        #[arg(long)]
        json: bool,
    },
    /// Those that were set aside because they could not be stepped, and why.
    Dead,
    /// Tries such a thread again. The embedded store can be written only while no gateway runs on it.
    Retry {
        /// The threads; all that were set aside where none is named.
        threads: Vec<String>,
    },
    /// Lets those that are over leave the store for the archive now. The embedded store can be written only while no gateway
    /// runs on it.
    Archive {
        /// How long ago their last event must be, `90d`; without, `retention.after`.
        #[arg(long, value_parser = Span::parse)]
        older: Option<Span>,
    },
}

/// Runs the command line to its end.
pub fn main() -> ExitCode {
    let began = Instant::now();
    let cli = Cli::parse();
    if let Err(why) = init_log(&cli) {
        return fail(&why);
    }
    // The process's one choice of cryptography; a second call finds it made, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("the runtime cannot be started: {error}")),
    };
    let done = runtime.block_on(carry_out(cli, began));
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => fail(&why),
    }
}

async fn carry_out(cli: Cli, began: Instant) -> Result<(), String> {
    let all = || assemble(&cli.config).map_err(|flaws| to_mend(&flaws));
    match cli.command.unwrap_or(Command::Run) {
        Command::Run => run(all()?, began).await,
        Command::Check { connect } => check(&all()?, connect).await,
        Command::Prompt { agent, thread } => prompt(all()?, &agent, thread.as_deref()).await,
        Command::Extract { agent, truncated } => extract(&all()?, &agent, truncated),
        Command::Schema { agent } => schema(&all()?, &agent),
        Command::Policy(PolicyCommand::Explain { agent, tool, args }) => {
            let all = all()?;
            print(&explain(find(&all, &agent)?, &all.directory, &tool, args.as_deref())?)
        }
        Command::Grants(command) => grants(all()?, command).await,
        Command::Members(MembersCommand::Link) => linked(all()?).await,
        Command::Threads(ThreadsCommand::List { limit }) => list(&all()?, limit).await,
        Command::Threads(ThreadsCommand::Show { thread, json }) => show(&all()?, &thread, json).await,
        Command::Threads(ThreadsCommand::Dead) => dead(&all()?).await,
        Command::Threads(ThreadsCommand::Retry { threads }) => retry(&all()?, &threads).await,
        Command::Threads(ThreadsCommand::Archive { older }) => retire(&all()?, older).await,
        Command::Store(StoreCommand::Migrate { from, to }) => moved(&all()?, &from, &to).await,
        Command::Store(StoreCommand::Verify) => verify(all()?).await,
        Command::Store(StoreCommand::Rebuild) => rebuild(all()?).await,
        Command::Audit(AuditCommand::Verify) => audit(all()?).await,
        Command::Audit(AuditCommand::Export { since }) => export(all()?, since).await,
        // It looks at one table of the file; the rest need not be sound yet.
        Command::Kind(KindCommand::Manifest { kind, channel }) => {
            manifest(&cli.config, &kind, channel.as_deref())
        }
    }
}

async fn run(assembled: Assembled, began: Instant) -> Result<(), String> {
    let clock = Arc::new(SystemClock);
    let Opened { store, what, kept } = open(&assembled).await?;
    for note in &assembled.notes {
        tracing::info!("{note}");
    }
    let agents = assembled.agents.len();
    let listener = match assembled.config.health.listen {
        Some(listen) => Some(health::bind(listen).await?),
        None => None,
    };
    if assembled.config.retention.after.is_some() {
        let archive = archive(&assembled.config, &assembled.base);
        archive.make().map_err(|error| format!("retention.archive: {error}"))?;
    }
    let serving = start(assembled, store, clock).await.map_err(|error| error.to_string())?;
    // Whoever asks is answered until the very end.
    let _answering = listener.map(|listener| health::answer(listener, serving.board().clone(), kept));
    let ready_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    tracing::info!(agents, store = %what, kept, ready_ms, "switchboard runs; Ctrl-C stops it");
    stop_asked().await?;
    tracing::info!("stopping: work in flight may end, the rest waits in the store");
    if serving.stop().await {
        tracing::info!("stopped");
    } else {
        tracing::warn!("stopped before everything in flight had ended; it goes on at the next start");
    }
    Ok(())
}

async fn stop_asked() -> Result<(), String> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut term = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
    let mut int = signal(SignalKind::interrupt()).map_err(|error| error.to_string())?;
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
    // The second one does not wait.
    tokio::spawn(async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
        std::process::exit(130);
    });
    Ok(())
}

async fn check(assembled: &Assembled, connects: bool) -> Result<(), String> {
    let Assembled { config, agents, channels, directory, notes, .. } = assembled;
    let mut text = String::from("Everything is sound.\n");
    let list = |names: Vec<String>| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    let names: Vec<String> = agents.iter().map(|agent| agent.reference().name).collect();
    text.push_str(&format!("  agents:   {}\n", list(names)));
    text.push_str(&format!("  channels: {}\n", list(channels.keys().map(ToString::to_string).collect())));
    text.push_str(&format!("  members:  {}\n", list(directory.members.keys().cloned().collect())));
    text.push_str(&format!("  desks:    {}\n", list(directory.desks.keys().cloned().collect())));
    text.push_str(&format!("  models:   {}\n", list(config.models.keys().cloned().collect())));
    for note in notes {
        text.push_str(&format!("  note: {note}\n"));
    }
    print(&text)?;
    if !connects {
        return Ok(());
    }
    print("Connecting every channel:\n")?;
    let Connected { found, mut wrong } = connect(channels).await;
    let mut found: String = found.iter().map(|line| format!("  {line}\n")).collect();
    match look(assembled).await {
        None => {}
        Some(Ok(what)) => found.push_str(&format!("  the store: {what}\n")),
        Some(Err(why)) => wrong.push(format!("the store: {why}")),
    }
    print(&found)?;
    if wrong.is_empty() { Ok(()) } else { Err(to_mend(&wrong)) }
}

/// Prints what a platform is given to know this gateway by.
fn manifest(config: &Path, kind: &str, channel: Option<&str>) -> Result<(), String> {
    let Manifest { text, note } = manifest::manifest(config, kind, channel)?;
    if let Some(note) = note {
        tracing::info!("{note}");
    }
    print(if text.ends_with('\n') { text } else { format!("{text}\n") }.as_str())
}

async fn prompt(assembled: Assembled, name: &str, thread: Option<&str>) -> Result<(), String> {
    find(&assembled, name)?;
    let thread = match thread {
        Some(thread) => load(&assembled, thread).await?.0,
        None => Thread::new(ThreadId::of_nobody()),
    };
    let agent = version_for(assembled, name, &thread).await?;
    let prompt = agent::render(&agent, &thread).map_err(|fault| fault.what)?;
    let mut text = String::new();
    for message in &prompt.messages {
        text.push_str(&format!("=== {} ===\n{}\n", message.role.as_str(), message.text));
    }
    print(&text)?;
    let account = &prompt.account;
    let mut text = format!(
        "\n{} tokens of {} (estimated {}, corrected by what the provider counted before); prompt {}\n",
        account.tokens,
        account.budget,
        account.tokens_raw,
        prompt.hash()
    );
    for part in &account.parts {
        let squeezed = part.squeezed.as_deref().map(|why| format!("  ({why})")).unwrap_or_default();
        text.push_str(&format!("  {:>6} tokens  {:>4} {}{squeezed}\n", part.tokens, part.seq, part.kind));
    }
    std::io::stderr().write_all(text.as_bytes()).map_err(|error| error.to_string())
}

/// The agent that takes the thread's next step: a request that is being worked on goes on with the version it began with.
async fn version_for(assembled: Assembled, name: &str, thread: &Thread) -> Result<Arc<Agent>, String> {
    let pinned = thread.agent().filter(|pinned| pinned.name == name && !thread.is_idle());
    let store = match pinned {
        Some(_) => Some(open_to_read(&assembled).await?),
        None => None,
    };
    let library = Library::new(assembled.agents, assembled.directory.desks.into_keys().collect());
    match (pinned, store) {
        (Some(pinned), Some(store)) => library.pinned(pinned, store.as_ref()).await,
        _ => library.current(name).cloned().ok_or_else(|| format!("there is no agent `{name}`")),
    }
}

fn extract(assembled: &Assembled, name: &str, truncated: bool) -> Result<(), String> {
    let agent = find(assembled, name)?;
    let mut output = String::new();
    std::io::stdin().take(INPUT_BYTES_MAX).read_to_string(&mut output).map_err(|error| error.to_string())?;
    let extracted = agent.extractor().extract(&output, truncated).map_err(|rejection| rejection.what)?;
    for repair in &extracted.repairs {
        tracing::info!(?repair, "repaired");
    }
    let json = serde_json::to_string_pretty(&extracted.intent).map_err(|error| error.to_string())?;
    print(&format!("{json}\n"))
}

fn schema(assembled: &Assembled, name: &str) -> Result<(), String> {
    let schema = find(assembled, name)?.extractor().schema();
    let json = serde_json::to_string_pretty(schema).map_err(|error| error.to_string())?;
    print(&format!("{json}\n"))
}

async fn list(assembled: &Assembled, limit: usize) -> Result<(), String> {
    let store = open_to_read(assembled).await?;
    let mut text = String::new();
    for summary in store.threads(0, limit).await.map_err(|error| error.to_string())? {
        let records = store.load(&summary.thread, Version(0)).await.map_err(|error| error.to_string())?;
        text.push_str(&story::line(&Thread::fold(summary.thread.clone(), records), summary.updated));
    }
    print(&text)
}

async fn show(assembled: &Assembled, thread: &str, json: bool) -> Result<(), String> {
    let (thread, archived) = load(assembled, thread).await?;
    if !json {
        let agent = thread.agent().and_then(|pinned| find(assembled, &pinned.name).ok());
        let secrets = |tool: &str| {
            let tool = agent.and_then(|agent| agent.spec().tools.get(tool));
            tool.map(|tool| tool.secret.clone()).unwrap_or_default()
        };
        let mut story = story::tell(&thread, &secrets);
        if let Some(file) = archived {
            story.push_str(&format!("\nIt left the store, and is in the archive {}.\n", file.display()));
        }
        return print(&story);
    }
    if let Some(file) = archived {
        tracing::info!(file = %file.display(), "it left the store, and is in the archive");
    }
    let mut text = String::new();
    for record in thread.records() {
        text.push_str(&serde_json::to_string(record).map_err(|error| error.to_string())?);
        text.push('\n');
    }
    print(&text)
}

/// Moves one store into another.
async fn moved(assembled: &Assembled, from: &str, to: &str) -> Result<(), String> {
    let (from, to) = (open_named(assembled, from, true).await?, open_named(assembled, to, false).await?);
    let moved = migrate(from.store.as_ref(), to.store.as_ref()).await;
    let Moved { threads, events, settled, waiting, keys, values } =
        moved.map_err(|error| error.to_string())?;
    print(&format!(
        "moved from {} into {}:\n  {threads} threads with {events} events\n  {settled} messages that were sent or given up, \
         {waiting} that wait\n  {keys} names of inbounds, {values} kept values\nSet [store] in the configuration to the new one.\n",
        from.what, to.what
    ))
}

/// Compares the store with its logs, and with what was noted beside it.
async fn verify(assembled: Assembled) -> Result<(), String> {
    let store = open_to_read(&assembled).await?;
    let mut faults = missing(&assembled).await?;
    let board = at_rest(assembled, store, Arc::new(SystemClock)).await.map_err(|error| error.to_string())?;
    let Verified { threads, events, messages, faults: more } =
        board.verify().await.map_err(|error| error.to_string())?;
    faults.extend(more);
    print(&format!("{threads} threads with {events} events and {messages} messages\n"))?;
    if faults.is_empty() {
        return Ok(());
    }
    let count = faults.len();
    let found = if count == 1 { "1 fault".to_owned() } else { format!("{count} faults") };
    let remedy = "stop all gateways on this store, then run `switchboard store rebuild`";
    Err(format!("{}\n{found}; {remedy}", faults.join("\n")))
}

/// Puts back what Redis lost, and makes the rest anew from the logs.
async fn rebuild(assembled: Assembled) -> Result<(), String> {
    let Healed { back, lost } = heal(&assembled).await?;
    let Opened { store, .. } = open_plainly(&assembled).await?;
    let board = at_rest(assembled, store, Arc::new(SystemClock)).await.map_err(|error| error.to_string())?;
    let Rebuilt { threads, woken, sent, dead, waiting, unreadable } =
        board.rebuild().await.map_err(|error| error.to_string())?;
    if back > 0 {
        print(&format!("put back from the journal: {back} writes\n"))?;
    }
    print(&format!(
        "made again from the logs:\n  {threads} threads, {woken} of them with work\n  \
         {sent} messages that were sent, {dead} that were given up, {waiting} that wait\n"
    ))?;
    let unread =
        unreadable.iter().map(|(_, why)| format!("{why}; the thread sleeps, and its messages are not known"));
    let faults: Vec<String> = lost.into_iter().chain(unread).collect();
    if faults.is_empty() { Ok(()) } else { Err(faults.join("\n")) }
}

/// Looks through all logs and seals.
async fn audit(assembled: Assembled) -> Result<(), String> {
    let store = open_to_read(&assembled).await?;
    let archive = archive(&assembled.config, &assembled.base);
    let keys = assembled.seal_keys.clone();
    let board = at_rest(assembled, store, Arc::new(SystemClock)).await.map_err(|error| error.to_string())?;
    let Audited { threads, archived, decisions, seals, unsealed, faults } =
        board.audit(&archive, &keys).await.map_err(|error| error.to_string())?;
    print(&format!(
        "good: {threads} threads ({archived} of them in the archive) with {decisions} decisions; {seals} seals\n\
         {unsealed} events are not sealed yet\n"
    ))?;
    if keys.is_empty() {
        print("without audit.key_env no signature was checked\n")?;
    }
    let count = faults.len();
    match count {
        0 => Ok(()),
        1 => Err(format!("{}\n1 fault", faults.join("\n"))),
        _ => Err(format!("{}\n{count} faults", faults.join("\n"))),
    }
}

/// Prints every decision.
async fn export(assembled: Assembled, since: Option<Timestamp>) -> Result<(), String> {
    let store = open_to_read(&assembled).await?;
    let archive = archive(&assembled.config, &assembled.base);
    let board = at_rest(assembled, store, Arc::new(SystemClock)).await.map_err(|error| error.to_string())?;
    let lines = board.decisions(&archive, since).await?;
    print(&lines.iter().map(|line| format!("{line}\n")).collect::<String>())
}

/// Prints which identities were shown to be one person's.
async fn linked(assembled: Assembled) -> Result<(), String> {
    let store = open_to_read(&assembled).await?;
    let board = at_rest(assembled, store, Arc::new(SystemClock)).await.map_err(|error| error.to_string())?;
    print(&members::told(&board.linked().await.map_err(|error| error.to_string())?, &board.directory))
}

/// Lists what is approved for a while, or ends one of those.
async fn grants(assembled: Assembled, command: GrantsCommand) -> Result<(), String> {
    let store = match &command {
        GrantsCommand::List => open_to_read(&assembled).await?,
        GrantsCommand::Revoke { .. } => open(&assembled).await?.store,
    };
    let board = at_rest(assembled, store, Arc::new(SystemClock)).await.map_err(|error| error.to_string())?;
    print(&match command {
        GrantsCommand::List => told(&board.grants().await.map_err(|error| error.to_string())?),
        GrantsCommand::Revoke { code, thread } => revoke(&board, &code, thread.as_deref()).await?,
    })
}

/// Prints what was set aside.
async fn dead(assembled: &Assembled) -> Result<(), String> {
    let store = open_to_read(assembled).await?;
    let buried = store.buried(THREADS_MAX).await.map_err(|error| error.to_string())?;
    let line = |thread: &Summary| {
        let why = thread.buried.as_deref().unwrap_or_default();
        format!("{}  {}  {why}\n", thread.thread, thread.updated)
    };
    print(&buried.iter().map(line).collect::<String>())
}

/// Digs threads up.
async fn retry(assembled: &Assembled, names: &[String]) -> Result<(), String> {
    let Opened { store, .. } = open(assembled).await?;
    let buried = store.buried(THREADS_MAX).await.map_err(|error| error.to_string())?;
    let mut buried: Vec<ThreadId> = buried.into_iter().map(|thread| thread.thread).collect();
    if let Some(name) = names.iter().find(|name| !buried.iter().any(|thread| thread.as_str() == **name)) {
        return Err(format!("`{name}` was not set aside; `switchboard threads dead` lists what was"));
    }
    buried.retain(|thread| names.is_empty() || names.iter().any(|name| thread.as_str() == name));
    for thread in &buried {
        let batch = Batch { wake: true, ..Batch::new(thread.clone()) };
        store.commit(batch).await.map_err(|error| error.to_string())?;
    }
    print(&format!("{} to be tried again\n", buried.len()))
}

/// Lets what is over leave the store.
async fn retire(assembled: &Assembled, older: Option<Span>) -> Result<(), String> {
    let Assembled { config, base, .. } = assembled;
    let after = older.or(config.retention.after).ok_or(
        "how old must they be? Say it with --older, as in `threads archive --older 90d`, or set retention.after",
    )?;
    if let Some(wrong) = RetentionSpec::refuse(after, &config.runtime) {
        return Err(wrong);
    }
    let retention = Retention { after: after.0, archive: archive(config, base) };
    let Opened { store, .. } = open(assembled).await?;
    let by = Settings::default().worker;
    let mut retired = 0;
    loop {
        let swept = retention.sweep(store.as_ref(), &SystemClock, &by).await;
        let Some(swept) = swept.map_err(|error| error.to_string())? else {
            return Err("a gateway does it just now; look at its log".to_owned());
        };
        retired += swept.retired;
        if !swept.more {
            let (folder, kept) = (retention.archive.folder().display(), swept.kept);
            return print(&format!(
                "{retired} left the store for the archive {folder}; {kept} that are as old stay, since they are not over\n"
            ));
        }
    }
}

/// A thread, and the file that it is in where it left the store.
async fn load(assembled: &Assembled, name: &str) -> Result<(Thread, Option<PathBuf>), String> {
    let unknown = || format!("there is no thread `{name}`; `switchboard threads list` names them");
    let id = ThreadId::parse(name).ok_or_else(unknown)?;
    let store = open_to_read(assembled).await?;
    let records = store.load(&id, Version(0)).await.map_err(|error| error.to_string())?;
    if !records.is_empty() {
        return Ok((Thread::fold(id, records), None));
    }
    let archive = archive(&assembled.config, &assembled.base);
    let archived = archive.find(&id).await.map_err(|error| error.to_string())?.ok_or_else(unknown)?;
    Ok((archived.thread, Some(archived.file)))
}

fn find<'a>(assembled: &'a Assembled, name: &str) -> Result<&'a Agent, String> {
    assembled.agents.iter().find(|agent| agent.reference().name == name).ok_or_else(|| {
        let names: Vec<_> = assembled.agents.iter().map(|agent| agent.reference().name).collect();
        format!("there is no agent `{name}`; the agents are: {}", names.join(", "))
    })
}

fn init_log(cli: &Cli) -> Result<(), String> {
    let asked = EnvFilter::try_new(&cli.log).map_err(|error| format!("--log: {error}"))?;
    // Whatever was asked for: these libraries write credentials at their finest levels.
    let filter = QUIET.iter().filter_map(|target| target.parse().ok()).fold(asked, EnvFilter::add_directive);
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Colours are for eyes; in a file or a journal they stand between the words and whoever searches for them.
    let log = log.with_ansi(std::io::stderr().is_terminal());
    let done = if cli.log_json { log.json().try_init() } else { log.with_target(false).try_init() };
    done.map_err(|error| error.to_string())
}

/// Everything that is wrong, and how much it is.
fn to_mend(faults: &[impl Display]) -> String {
    let mut text = String::new();
    for fault in faults {
        text.push_str(&format!("{fault}\n"));
    }
    let count = faults.len();
    format!("{text}{count} {} to mend first", if count == 1 { "thing" } else { "things" })
}

fn fail(why: &str) -> ExitCode {
    // When standard error is gone there is nobody left to tell.
    let _ = writeln!(std::io::stderr(), "{why}");
    ExitCode::FAILURE
}

/// Prints to standard output; a reader that went away (`| head`) is no fault.
fn print(text: &str) -> Result<(), String> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => other.map_err(|error| error.to_string()),
    }
}
