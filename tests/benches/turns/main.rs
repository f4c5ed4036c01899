//! What the gateway itself costs: how long it takes from what a person says to the answer that a channel is handed, when the
//! model takes no time; how much of that a machine does at once; and what it keeps. Beside the floor, measured in the same run.
//!
//! `cargo xtask bench` runs it; it is no test and has no opinion but the aims that it prints. Each part runs in a process of its
//! own, so that what one leaves behind is not counted in the next. The gateway is assembled from the `config.toml` that ships;
//! only its channel and its models are doubles.

mod machine;
mod parts;
mod world;

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
    time::{Duration, Instant},
};

use testkit::redis_server::RedisServer;
use toml::{Table, Value};

use crate::machine::{Wire, on_core, resident};

/// What went wrong, as a sentence for the person at the terminal.
type Told<T> = Result<T, String>;
/// Numbers by their name.
type Numbers = BTreeMap<String, f64>;

/// How many threads the store has when that makes a difference.
const FEW: usize = 10;
const MANY: usize = 10_000;
const MOST: usize = 100_000;
/// Commits before an answer: what was heard, what was thought, what is said.
const COMMITS_A_TURN: f64 = 3.0;
/// How long a gateway is left alone before its memory is looked at.
const IDLE: Duration = Duration::from_secs(4);
/// How long a gateway may take to start.
const START_MAX: Duration = Duration::from_secs(30);
/// The cores of the gateway and of Redis where it is about one core.
const GATEWAY_CORE: &str = "0";
const REDIS_CORE: &str = "1";

/// The stores, in the order of the columns. The append-only file is never rewritten, so that its growth can be told.
const STORES: [Kind; 4] = [
    Kind { title: "embedded", redis: None, durability: "always", wide: true },
    Kind { title: "no AOF", redis: Some(&["--appendonly", "no"]), durability: "none", wide: false },
    Kind {
        title: "everysec",
        redis: Some(&["--auto-aof-rewrite-percentage", "0"]),
        durability: "everysec",
        wide: true,
    },
    Kind {
        title: "always",
        redis: Some(&["--auto-aof-rewrite-percentage", "0", "--appendfsync", "always"]),
        durability: "always",
        wide: false,
    },
];

/// A store.
struct Kind {
    title: &'static str,
    /// The arguments of its server, where it is on Redis.
    redis: Option<&'static [&'static str]>,
    /// What it is asked to keep.
    durability: &'static str,
    /// Whether the gateway's memory and its start are looked at, too: on Redis they are the same however durable that is.
    wide: bool,
}

/// How a number is shown.
#[derive(Clone, Copy)]
enum As {
    Millis,
    Micros,
    Count,
    Tenths,
    Times,
    Megabytes,
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["--part", part, config, count] => part_of(part, Path::new(config), count),
        only => bench(only),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            say(&format!("bench: {why}"));
            ExitCode::FAILURE
        }
    }
}

fn part_of(part: &str, config: &Path, count: &str) -> Told<()> {
    let count = count.parse().map_err(|_| format!("`{count}` is no count"))?;
    for (name, number) in parts::run(part, config, count)? {
        say(&format!("{name} {number}"));
    }
    Ok(())
}

/// Measures the stores with these titles, or all of them, and prints it.
fn bench(only: &[&str]) -> Told<()> {
    if let Some(unknown) = only.iter().find(|title| STORES.iter().all(|kind| kind.title != **title)) {
        return Err(format!(
            "there is no store `{unknown}`; there are {}",
            STORES.map(|kind| kind.title).join(", ")
        ));
    }
    let pinned = on_core(GATEWAY_CORE, Path::new("true")).status().is_ok_and(|status| status.success());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    say(&format!("{cores} cores; load before: {}", load.trim()));
    let mut columns = Vec::new();
    for kind in STORES.iter().filter(|kind| only.is_empty() || only.contains(&kind.title)) {
        say(&format!("measuring {} …", kind.title));
        columns.push((kind.title, measure(kind, pinned, cores)?));
    }
    print(&columns);
    say(&match pinned {
        true if cores > 1 => format!(
            "\n(one core) and catch-up: the gateway on core {GATEWAY_CORE} and redis-server on core {REDIS_CORE}, by taskset; the rest on any core"
        ),
        true => "\nthere is one core only, which gateway and Redis share".to_owned(),
        false => "\ntaskset is missing: (one core) and catch-up ran on all cores".to_owned(),
    });
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    say(&format!("load after: {}", load.trim()));
    Ok(())
}

/// Everything about one store.
fn measure(kind: &Kind, pinned: bool, cores: usize) -> Told<Numbers> {
    let folder = tempfile::tempdir().map_err(|error| format!("no folder: {error}"))?;
    let server = kind.redis.map(RedisServer::start);
    let mut wire = match &server {
        Some(server) => Some(Wire::connect(server.port())?),
        None => None,
    };
    if let Some(wire) = wire.as_mut().filter(|_| pinned && cores > 1) {
        machine::pin(wire.pid()?, REDIS_CORE)?;
    }
    let bench = Bench { kind, folder: folder.path(), server: server.as_ref(), pinned };
    let mut all = Numbers::new();

    all.insert("fsync".into(), machine::fsync(server.as_ref().map_or(folder.path(), RedisServer::folder))?);
    if let Some(wire) = &mut wire {
        let [median, late] = wire.pings()?;
        all.extend([("ping".to_owned(), median), ("ping_99".to_owned(), late)]);
    }
    all.extend(bench.part("one", "one", parts::TURNS, false)?);
    let trip = all.get("ping").copied().unwrap_or(0.0);
    let flush = if kind.durability == "always" { all["fsync"] } else { 0.0 };
    all.insert("floor".into(), COMMITS_A_TURN * (trip + flush));
    all.insert("times".into(), all["turn"] / all["floor"]);
    all.extend(bench.part("full", "full", parts::CROWD, true)?);

    let before = bench.kept(wire.as_mut(), "many")?;
    all.extend(bench.part("fill", "many", MANY, true)?);
    all.extend(bench.part("drain", "many", MANY, true)?);
    let after = bench.kept(wire.as_mut(), "many")?;
    for (name, (before, after)) in ["kept", "kept_aof"].iter().zip(before.into_iter().zip(after)) {
        all.insert((*name).to_owned(), (after - before) / MANY as f64);
    }
    all.extend(bench.crash("many")?);
    if kind.wide {
        bench.part("fill", "few", FEW, false)?;
        bench.part("drain", "few", FEW, false)?;
        all.insert("idle_few".into(), bench.idle("few")?.1);
        let (ready, memory) = bench.idle("many")?;
        all.extend([("ready".to_owned(), ready), ("idle_many".to_owned(), memory)]);
        bench.part("grow", "many", MOST - MANY, false)?;
        all.insert("idle_most".into(), bench.idle("many")?.1);
    }
    Ok(all)
}

/// One store in a folder.
struct Bench<'a> {
    kind: &'a Kind,
    folder: &'a Path,
    server: Option<&'a RedisServer>,
    pinned: bool,
}

impl Bench<'_> {
    /// Runs a part in a process of its own, on one core where that is asked for and can be.
    fn part(&self, part: &str, store: &str, count: usize, one_core: bool) -> Told<Numbers> {
        let config = self.config(store, "30s", 0, 0)?;
        let output = self.process(part, &config, count, one_core)?.wait_with_output();
        let output = output.map_err(|error| error.to_string())?;
        let text = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            return Err(format!("{} / {part}: {}", self.kind.title, text.trim()));
        }
        let number = |line: &str| {
            let (name, number) = line.split_once(' ')?;
            Some((name.to_owned(), number.parse().ok()?))
        };
        Ok(text.lines().filter_map(number).collect())
    }

    fn process(&self, part: &str, config: &Path, count: usize, one_core: bool) -> Told<Child> {
        let own = std::env::current_exe().map_err(|error| error.to_string())?;
        let mut command =
            if one_core && self.pinned { on_core(GATEWAY_CORE, &own) } else { Command::new(own) };
        command.args(["--part", part]).arg(config).arg(count.to_string());
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        command.spawn().map_err(|error| format!("the part {part} does not start: {error}"))
    }

    /// The configuration that ships, on a store of this name.
    fn config(&self, store: &str, lease: &str, page: u16, health: u16) -> Told<PathBuf> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."));
        let text = std::fs::read_to_string(root.join("config.toml")).map_err(|error| error.to_string())?;
        let mut config: Table = toml::from_str(&text).map_err(|error| error.to_string())?;
        let mut set = |path: &[&str], value: Value| {
            let (last, tables) = path.split_last()?;
            let mut table = &mut config;
            for name in tables {
                let entry = table.entry((*name).to_owned()).or_insert_with(|| Table::new().into());
                table = entry.as_table_mut()?;
            }
            table.insert((*last).to_owned(), value);
            Some(())
        };
        set(&["agents"], root.join("agents").display().to_string().into());
        set(&["default_agent"], "support".into());
        set(&["store", "path"], format!("{store}/store.db").into());
        set(&["store", "prefix"], store.into());
        set(&["store", "durability"], self.kind.durability.into());
        set(&["runtime", "lease"], lease.into());
        set(&["models", "default", "providers"], Value::Array(Vec::new()));
        set(&["channels", "web", "listen"], format!("127.0.0.1:{page}").into());
        if let Some(server) = self.server {
            set(&["store", "url"], server.url().into());
        }
        if health > 0 {
            set(&["health", "listen"], format!("127.0.0.1:{health}").into());
        }
        let path = self.folder.join(format!("{store}-{lease}.toml"));
        let text = toml::to_string(&config).map_err(|error| error.to_string())?;
        std::fs::write(&path, text).map_err(|error| error.to_string())?;
        Ok(path)
    }

    /// How many bytes a store takes: the file, or the server's memory and its append-only file.
    fn kept(&self, wire: Option<&mut Wire>, store: &str) -> Told<Vec<f64>> {
        let Some(wire) = wire else {
            let size = |end: &str| {
                let path = self.folder.join(store).join(format!("store.db{end}"));
                path.metadata().map_or(0, |found| found.len()) as f64
            };
            return Ok(vec![size("") + size("-wal")]);
        };
        let info = wire.ask(&["INFO"])?;
        let field =
            |name: &str| machine::field(&info, name).and_then(|text| text.parse().ok()).unwrap_or(0.0);
        Ok(vec![field("used_memory"), field("aof_current_size")])
    }

    /// A gateway is killed while a model thinks for it; how long until the next one has opened the store and goes on.
    fn crash(&self, store: &str) -> Told<Numbers> {
        let config = self.config(store, "2s", 0, 0)?;
        let mut doomed = self.process("hold", &config, 1, false)?;
        let out = doomed.stdout.take().ok_or("it has no output")?;
        let mut line = String::new();
        let heard = BufReader::new(out).read_line(&mut line);
        // SIGKILL.
        doomed.kill().and_then(|()| doomed.wait()).map_err(|error| error.to_string())?;
        if !heard.is_ok_and(|_| line.starts_with("held")) {
            return Err(format!("{} / hold: {line}", self.kind.title));
        }
        let output = self.process("back", &config, 1, false)?.wait_with_output();
        let text = String::from_utf8_lossy(&output.map_err(|error| error.to_string())?.stdout).into_owned();
        let number =
            |line: &str| Some((line.split_once(' ')?.0.to_owned(), line.split_once(' ')?.1.parse().ok()?));
        Ok(text.lines().filter_map(number).collect())
    }

    /// Starts the gateway itself on a store, kills it, and starts it again: milliseconds from the second start until it is
    /// ready, and its memory after a while, in MB.
    fn idle(&self, store: &str) -> Told<(f64, f64)> {
        drop(self.gateway(store)?);
        let began = Instant::now();
        let gateway = self.gateway(store)?;
        let ready = began.elapsed().as_secs_f64() * 1e3;
        std::thread::sleep(IDLE);
        Ok((ready, resident(gateway.0.id())?))
    }

    fn gateway(&self, store: &str) -> Told<Killed> {
        let (page, health) = (free_port()?, free_port()?);
        let config = self.config(store, "30s", page, health)?;
        let mut command = Command::new(env!("CARGO_BIN_EXE_switchboard-under-test"));
        command.arg("--config").arg(config).arg("run").current_dir(self.folder);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut gateway = Killed(command.spawn().map_err(|error| format!("no gateway: {error}"))?);
        let began = Instant::now();
        while !machine::is_ready(health) {
            if began.elapsed() > START_MAX || gateway.0.try_wait().is_ok_and(|ended| ended.is_some()) {
                return Err(format!("{}: the gateway did not get ready", self.kind.title));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(gateway)
    }
}

/// A process that is killed with this value.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_port() -> Told<u16> {
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|free| free.local_addr());
    port.map(|address| address.port()).map_err(|error| error.to_string())
}

/// The rows: what, under which name, how it is shown, and what is aimed at.
const ROWS: &[(&str, &str, As, &str)] = &[
    ("floor", "", As::Count, ""),
    ("PING, median", "ping", As::Millis, ""),
    ("PING, 99 %", "ping_99", As::Millis, ""),
    ("append of 4 KiB and fsync, median", "fsync", As::Millis, ""),
    ("floor of a turn: 3 x (PING, fsync)", "floor", As::Millis, "what it must flush and ask at least"),
    ("one turn at a time", "", As::Count, ""),
    ("heard -> at the channel, median", "turn", As::Millis, "embedded <= 1 ms, everysec <= 0.5 ms"),
    ("  the same, 99 %", "turn_99", As::Millis, ""),
    ("  times the floor", "times", As::Times, "<= 3"),
    ("  heard -> accepted", "accepted", As::Millis, ""),
    ("  accepted -> the model is asked", "asked", As::Millis, ""),
    ("  the model answered -> at the channel", "answered", As::Millis, ""),
    ("CPU of the gateway per turn", "cpu", As::Micros, ""),
    ("CPU of redis-server per turn", "server_cpu", As::Micros, ""),
    ("store calls per turn", "calls", As::Tenths, ""),
    ("  commit", "commit_calls", As::Tenths, ""),
    ("  claim", "claim_calls", As::Tenths, ""),
    ("  load, latest", "read_calls", As::Tenths, ""),
    ("  release", "release_calls", As::Tenths, ""),
    ("  others", "other_calls", As::Tenths, ""),
    ("round trips to Redis per turn", "trips", As::Tenths, ""),
    ("  of them scripts", "scripts", As::Tenths, ""),
    ("  a script in the server, mean", "script", As::Micros, ""),
    ("a commit, mean", "commit_us", As::Micros, ""),
    ("a load or latest, mean", "read_us", As::Micros, ""),
    ("a release, mean", "release_us", As::Micros, ""),
    ("many at once (one core)", "", As::Count, ""),
    ("turns per second", "per_second", As::Count, ">= 2,000 durable"),
    ("CPU of the gateway per turn", "full_cpu", As::Micros, ""),
    ("CPU of redis-server per turn", "full_server_cpu", As::Micros, ""),
    ("round trips to Redis per turn", "full_trips", As::Tenths, ""),
    ("10,000 queued inbounds", "", As::Count, ""),
    ("accepted per second", "accepts", As::Count, ""),
    ("answered per second (catch-up)", "catch_up", As::Count, ""),
    ("open -> the first is at the model", "first", As::Millis, ""),
    ("after kill -9, with 10,000 threads", "", As::Count, ""),
    ("the store is open", "opened", As::Millis, ""),
    ("its work is claimed (lease 2 s on Redis)", "claimed", As::Millis, ""),
    ("the gateway is ready, as a process", "ready", As::Millis, ""),
    ("kept", "", As::Count, ""),
    ("events per thread (one turn)", "events", As::Count, ""),
    ("  their JSON, bytes", "events_bytes", As::Count, ""),
    ("bytes per thread (file, used_memory)", "kept", As::Count, ""),
    ("bytes per thread in the AOF", "kept_aof", As::Count, ""),
    ("idle gateway, resident", "", As::Count, ""),
    ("with 10 threads", "idle_few", As::Megabytes, "<= 25 MB"),
    ("with 10,000 threads", "idle_many", As::Megabytes, "<= 25 MB"),
    ("with 100,000 threads", "idle_most", As::Megabytes, "<= 25 MB"),
];

fn print(columns: &[(&str, Numbers)]) {
    let mut head = format!("\n{:<40}", "");
    columns.iter().for_each(|(title, _)| head.push_str(&format!("{title:>12}")));
    say(&format!("{head}   aim"));
    for (what, name, shown, aim) in ROWS {
        if name.is_empty() {
            say(&format!("\n{what}"));
            continue;
        }
        let mut line = format!("  {what:<38}");
        for (_, numbers) in columns {
            let cell = numbers.get(*name).filter(|number| number.is_finite());
            let cell = cell.map_or("-".to_owned(), |number| match shown {
                As::Millis => format!("{number:.3} ms"),
                As::Micros => format!("{number:.0} us"),
                As::Count => format!("{number:.0}"),
                As::Tenths => format!("{number:.1}"),
                As::Times => format!("{number:.1} x"),
                As::Megabytes => format!("{number:.1} MB"),
            });
            line.push_str(&format!("{cell:>12}"));
        }
        say(format!("{line}   {aim}").trim_end());
    }
}

/// Prints a line at once.
fn say(line: &str) {
    let mut out = std::io::stdout();
    let _ = writeln!(out, "{line}");
    let _ = out.flush();
}
