//! What the gateway adds to an answer on Slack: from the envelope to the message, with a model that takes no time.
//!
//! Both moments are taken by the simulated Slack, which is beside the gateway on this machine: when it sent the event, and
//! when the message was posted. The floor is a bare request to the same simulator.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{Bench, COMMITS_A_TURN, FLOORS, START_MAX, TURNS, median, ms, row};
use crate::{
    page::Page,
    shell::{self, Told, cargo, say},
};

/// Who writes in the simulated workspace.
const ANA: &str = "U0ANA0001";

/// The simulator, until it is dropped.
struct Simulator {
    child: Child,
    port: u16,
    api: String,
}

/// Prints one turn over Slack, beside the floor.
pub(super) fn turns(bench: &Bench, target: &Path) -> Told<()> {
    say("\nbuilding the simulated Slack");
    let mut build = cargo();
    shell::run(build.args([
        "build",
        "--release",
        "--locked",
        "--package",
        "simulator",
        "--bin",
        "slack-simulator",
    ]))?;
    let simulator = Simulator::start(&target.join("release").join("slack-simulator"))?;
    let folder = bench.folder.join("slack");
    std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let bench = bench.with_slack(folder, &simulator.api)?;
    let gateway = bench.start()?;
    let mut asking = simulator.connect()?;
    simulator.until_connected(&mut asking)?;

    let mut trips = Vec::new();
    for _ in 0..FLOORS {
        let began = Instant::now();
        asking.ask("/api/api.test", Some("{}"))?;
        trips.push(began.elapsed());
    }
    let trip = median(&mut trips);
    let sync = bench.fsync()?;
    let mut took = Vec::new();
    for n in 0..TURNS {
        took.push(simulator.turn(&mut asking, n)?);
    }
    let took = median(&mut took);
    drop(gateway);
    let floor = trip.as_secs_f64() + COMMITS_A_TURN * sync.as_secs_f64();
    say("\nOne turn on Slack with the scripted model (medians, taken by the simulator)");
    row("floor: a request to the simulator", &ms(trip), None);
    row("floor: 4 KiB made durable (fsync)", &ms(sync), None);
    let times = took.as_secs_f64() / floor.max(f64::MIN_POSITIVE);
    row(
        "envelope in, chat.postMessage out",
        &format!("{}  = {times:.1} x (request + {COMMITS_A_TURN} fsyncs)", ms(took)),
        None,
    );
    Ok(())
}

impl Simulator {
    fn start(binary: &Path) -> Told<Self> {
        let mut command = Command::new(binary);
        command.arg("--until-stdin-closes").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|error| format!("{}: {error}", binary.display()))?;
        let mut line = String::new();
        let out = child.stdout.take().ok_or("the simulator has no output")?;
        BufReader::new(out).read_line(&mut line).map_err(|error| error.to_string())?;
        let ready: Value =
            serde_json::from_str(&line).map_err(|error| format!("the simulator said `{line}`: {error}"))?;
        let of = |key: &str| ready.get(key).and_then(Value::as_str).map(str::to_owned);
        let (api, control) =
            of("api").zip(of("control")).ok_or_else(|| format!("the simulator said `{line}`"))?;
        let port = control
            .rsplit(':')
            .next()
            .and_then(|port| port.parse().ok())
            .ok_or("the simulator names no port")?;
        Ok(Self { child, port, api })
    }

    fn connect(&self) -> Told<Page> {
        Page::connect(self.port).map_err(|error| error.to_string())
    }

    fn until_connected(&self, asking: &mut Page) -> Told<()> {
        let began = Instant::now();
        while list(&mut *asking, "sockets", "{}")?.len() < 2 {
            if began.elapsed() > START_MAX {
                return Err("the gateway did not connect to the simulated Slack".to_owned());
            }
            sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// A person writes; how long from the event that left to the message that came.
    fn turn(&self, asking: &mut Page, n: usize) -> Told<Duration> {
        let before = list(asking, "calls", POSTS)?.len();
        let words = format!(r#"{{"user": "{ANA}", "text": "hello {n}"}}"#);
        let said = asking.ask("/sim/dm", Some(&words))?;
        let said: Value = serde_json::from_str(&said.body).map_err(|error| error.to_string())?;
        let began = Instant::now();
        let posted = loop {
            let calls = list(asking, "calls", POSTS)?;
            if let Some(call) = calls.get(before) {
                break micros(call.get("at_us"))?;
            }
            if began.elapsed() > START_MAX {
                return Err("the gateway did not answer on the simulated Slack".to_owned());
            }
            sleep(Duration::from_millis(2));
        };
        let deliveries = list(asking, "deliveries", "{}")?;
        let event = deliveries.iter().rev().find(|event| event.get("ts") == said.get("ts"));
        let sent = event.and_then(|event| event.get("attempts")?.get(0)?.get("at_us"));
        Ok(Duration::from_micros(posted.saturating_sub(micros(sent)?)))
    }
}

const POSTS: &str = r#"{"method": "chat.postMessage"}"#;

impl Drop for Simulator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn list(asking: &mut Page, what: &str, ask: &str) -> Told<Vec<Value>> {
    let answer = asking.ask(&format!("/sim/{what}"), Some(ask))?;
    serde_json::from_str(&answer.body).map_err(|error| format!("the simulator's {what}: {error}"))
}

fn micros(value: Option<&Value>) -> Told<u64> {
    value.and_then(Value::as_u64).ok_or_else(|| "the simulator does not say when".to_owned())
}
