//! What the release binary costs: size, start-up, idle memory, and the time that it adds to a turn.
//!
//! A number alone says little about one's own machine, so the floor is measured on the same machine and disk at the same
//! time: a bare request to the page, and one write that is made durable.

mod simulated;

use std::{
    fs::{self, File},
    io::{Read, Write},
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    page::Page,
    shell::{self, Told, cargo, root, say},
};

/// The targets.
const READY_MS: f64 = 100.0;
const IDLE_MB: f64 = 25.0;
const BINARY_MB: f64 = 40.0;

/// How often each thing is done.
const STARTS: usize = 9;
const TURNS: usize = 40;
const FLOORS: usize = 200;
/// How long a gateway is left alone before its memory is looked at.
const IDLE: Duration = Duration::from_secs(5);
/// How long a start may take before it is given up.
const START_MAX: Duration = Duration::from_secs(20);
/// Commits before a reply can be seen: what was heard, what was thought, what is said.
const COMMITS_A_TURN: f64 = 3.0;

/// `cargo xtask measure`.
pub(crate) fn run(binary: Option<PathBuf>) -> Told<()> {
    let target = target_folder()?;
    let binary = match binary {
        Some(binary) => binary.canonicalize().map_err(|error| format!("{}: {error}", binary.display()))?,
        None => build(&target)?,
    };
    let size = fs::metadata(&binary).map_err(|error| format!("{}: {error}", binary.display()))?.len();
    say(&format!("\n{}", binary.display()));
    let bench = Bench::new(binary, target.join("measure"))?;

    row("size", &format!("{:.1} MiB", mib(size)), Some((mib(size), BINARY_MB, "MiB")));

    let fresh = bench.start()?;
    let first = fresh.ready;
    drop(fresh);
    let mut starts = Vec::new();
    for _ in 0..STARTS {
        starts.push(bench.start()?.ready);
    }
    let ready = median(&mut starts);
    say("\nStart-up, from spawn to the first answer of the page");
    row("with a new store", &ms(first), None);
    row("with its store (median)", &ms(ready), Some((millis(ready), READY_MS, "ms")));

    let gateway = bench.start()?;
    sleep(IDLE);
    let idle = gateway.resident()?;
    say("\nResident memory");
    row(&format!("idle for {} s", IDLE.as_secs()), &format!("{idle:.1} MB"), Some((idle, IDLE_MB, "MB")));
    turns(&bench, &gateway)?;
    row("resident after that", &format!("{:.1} MB", gateway.resident()?), None);
    drop(gateway);
    for platform in &simulated::PLATFORMS {
        simulated::turns(&bench, &target, platform)?;
    }
    fs::remove_dir_all(&bench.folder).map_err(|error| error.to_string())
}

fn build(target: &Path) -> Told<PathBuf> {
    say("building the release binary; the first time takes some minutes");
    let mut build = cargo();
    shell::run(build.args(["build", "--release", "--locked", "--package", "gateway"]))?;
    Ok(target.join("release").join("switchboard"))
}

/// One turn of the scripted model, beside the floor.
fn turns(bench: &Bench, gateway: &Gateway) -> Told<()> {
    let mut asking = Page::connect(gateway.port).map_err(|error| error.to_string())?;
    let mut trips = Vec::new();
    for _ in 0..FLOORS {
        let began = Instant::now();
        asking.ask("/", None)?;
        trips.push(began.elapsed());
    }
    let trip = median(&mut trips);
    let sync = bench.fsync()?;

    let (mut durable, mut visible) = (Vec::new(), Vec::new());
    for n in 0..TURNS {
        let (heard, said) = turn(gateway.port, &mut asking, n)?;
        durable.push(heard);
        visible.push(said);
    }
    let (durable, visible) = (median(&mut durable), median(&mut visible));
    let floor = trip.as_secs_f64() + COMMITS_A_TURN * sync.as_secs_f64();
    let times = |part: Duration, of: f64| part.as_secs_f64() / of.max(f64::MIN_POSITIVE);
    say("\nOne turn on the page with the scripted model (medians)");
    row("floor: a request to the page", &ms(trip), None);
    row("floor: 4 KiB made durable (fsync)", &ms(sync), None);
    row(
        "said, and durable (202)",
        &format!("{}  = {:.1} x (request + fsync)", ms(durable), times(durable, (trip + sync).as_secs_f64())),
        None,
    );
    row(
        "said, and the reply is visible",
        &format!("{}  = {:.1} x (request + {COMMITS_A_TURN} fsyncs)", ms(visible), times(visible, floor)),
        None,
    );
    Ok(())
}

/// Says something in a new conversation; how long until it is durable, and until the reply is on the page.
fn turn(port: u16, asking: &mut Page, n: usize) -> Told<(Duration, Duration)> {
    let begun = asking.ask("/conversations", Some("{}"))?;
    let id = serde_json::from_str::<Value>(&begun.body)
        .ok()
        .and_then(|body| body.get("id")?.as_str().map(str::to_owned))
        .ok_or_else(|| format!("no conversation could be begun: {} {}", begun.status, begun.body))?;
    let mut page = Page::connect(port).map_err(|error| error.to_string())?;
    page.follow(&format!("/c/{id}/events"))?;
    page.until("event: synced")?;
    let words = format!(r#"{{"id": "measured-{n:08}", "text": "hello"}}"#);
    let began = Instant::now();
    let taken = asking.ask(&format!("/c/{id}/say"), Some(&words))?;
    let durable = began.elapsed();
    if taken.status != 202 {
        return Err(format!("the page did not take the message: {} {}", taken.status, taken.body));
    }
    page.until(r#""kind":"said""#)?;
    Ok((durable, began.elapsed()))
}

/// A configuration in a folder of its own, and the binary.
struct Bench {
    binary: PathBuf,
    folder: PathBuf,
    port: u16,
}

impl Bench {
    fn new(binary: PathBuf, folder: PathBuf) -> Told<Self> {
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let port = free_port().map_err(|error| error.to_string())?;
        fs::write(folder.join("config.toml"), config(port)?).map_err(|error| error.to_string())?;
        Ok(Self { binary, folder, port })
    }

    /// The same binary in another folder, with a channel more.
    fn with(&self, folder: PathBuf, channel: &str) -> Told<Self> {
        let port = free_port().map_err(|error| error.to_string())?;
        let more = format!("\n{channel}\n[[routes]]\nagent = \"support\"\n");
        fs::write(folder.join("config.toml"), config(port)? + &more).map_err(|error| error.to_string())?;
        Ok(Self { binary: self.binary.clone(), folder, port })
    }

    /// Starts a gateway and waits until its page answers.
    fn start(&self) -> Told<Gateway> {
        let log = File::create(self.folder.join("log")).map_err(|error| error.to_string())?;
        let mut command = Command::new(&self.binary);
        command.args(["--config", "config.toml", "run"]).current_dir(&self.folder);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        // What the simulated platforms take; nothing else looks at them.
        command.envs(simulated::TOKENS);
        let began = Instant::now();
        let child = command.spawn().map_err(|error| format!("{}: {error}", self.binary.display()))?;
        let mut gateway = Gateway { child, port: self.port, ready: Duration::ZERO };
        while began.elapsed() < START_MAX {
            let answer = Page::connect(self.port).ok().and_then(|mut page| page.ask("/", None).ok());
            if answer.is_some_and(|answer| answer.status == 200) {
                gateway.ready = began.elapsed();
                return Ok(gateway);
            }
            if gateway.child.try_wait().is_ok_and(|ended| ended.is_some()) {
                break;
            }
            sleep(Duration::from_millis(1));
        }
        Err(format!("the gateway did not start; it wrote:\n{}", tail(&self.folder.join("log"))))
    }

    /// How long it takes to make a small write durable, on the disk that the store is on.
    fn fsync(&self) -> Told<Duration> {
        let write = || -> std::io::Result<Duration> {
            let mut file = File::create(self.folder.join("floor"))?;
            let mut took = Vec::new();
            for _ in 0..FLOORS {
                let began = Instant::now();
                file.write_all(&[0x5a; 4096])?;
                file.sync_data()?;
                took.push(began.elapsed());
            }
            Ok(median(&mut took))
        };
        write().map_err(|error| error.to_string())
    }
}

/// A running gateway; it ends with this value.
struct Gateway {
    child: Child,
    port: u16,
    ready: Duration,
}

impl Gateway {
    /// What it holds in memory, in MB (10^6 bytes).
    fn resident(&self) -> Told<f64> {
        let path = format!("/proc/{}/status", self.child.id());
        let status =
            fs::read_to_string(&path).map_err(|error| format!("{path}: {error} (this needs Linux)"))?;
        let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix("kB"));
        let kib: f64 = kib.and_then(|kib| kib.trim().parse().ok()).ok_or("the kernel does not say VmRSS")?;
        Ok(kib * 1024.0 / 1e6)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // A gateway may be stopped at any instant; this one is.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The configuration that ships, on another port, with the scripted model and a folder of its own.
fn config(port: u16) -> Told<String> {
    let path = root().join("config.toml");
    let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut config: toml::Table = toml::from_str(&text).map_err(|error| error.to_string())?;
    let agents = root().join("agents").display().to_string();
    config.insert("agents".into(), agents.into());
    for (path, value) in [
        (["channels", "web", "listen"], toml::Value::from(format!("127.0.0.1:{port}"))),
        (["channels", "web", "requests_per_minute"], toml::Value::from(6_000)),
        (["models", "default", "providers"], toml::Value::Array(Vec::new())),
    ] {
        let table = path[..2].iter().try_fold(&mut config, |table, key| table.get_mut(*key)?.as_table_mut());
        let table = table.ok_or_else(|| format!("config.toml has no [{}.{}]", path[0], path[1]))?;
        table.insert(path[2].to_owned(), value);
    }
    toml::to_string(&config).map_err(|error| error.to_string())
}

/// Where cargo builds.
pub(crate) fn target_folder() -> Told<PathBuf> {
    let output = cargo().args(["metadata", "--no-deps", "--format-version", "1", "--locked"]).output();
    let output = output.map_err(|error| error.to_string())?;
    let metadata: Value = serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())?;
    let folder = metadata.get("target_directory").and_then(Value::as_str);
    folder.map(PathBuf::from).ok_or_else(|| "cargo does not say where it builds".to_owned())
}

fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

fn tail(path: &Path) -> String {
    let mut text = String::new();
    let _ = File::open(path).and_then(|mut file| file.read_to_string(&mut text));
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

fn row(name: &str, value: &str, target: Option<(f64, f64, &str)>) {
    let beside = target.map(|(is, at_most, unit)| {
        let word = if is <= at_most { "met" } else { "MISSED" };
        format!("   target: at most {at_most} {unit}, {word}")
    });
    say(&format!("  {name:<36} {value}{}", beside.unwrap_or_default()));
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / (1024.0 * 1024.0)
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn ms(time: Duration) -> String {
    format!("{:.2} ms", millis(time))
}
