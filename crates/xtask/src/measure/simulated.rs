//! What the gateway adds to an answer on a chat platform: from the event to the message, with a model that takes no time.
//!
//! Both moments are taken by the simulated platform, which is beside the gateway on this machine: when it sent the event, and
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

/// A platform that is simulated.
pub(super) struct Platform {
    name: &'static str,
    binary: &'static str,
    /// The table of its channel, where `API` stands for the simulator's address.
    channel: &'static str,
    /// A bare request.
    floor: (&'static str, Option<&'static str>),
    /// Who writes.
    user: &'static str,
    /// What the gateway sends a message with.
    post: &'static str,
    /// What is measured.
    what: &'static str,
    /// How many connections there are once the gateway listens.
    sockets: usize,
    /// What an event has in common with the message that it tells of.
    id: &'static str,
    /// When an event was sent, in microseconds.
    sent: fn(&Value) -> Option<&Value>,
}

/// All of them.
pub(super) const PLATFORMS: [Platform; 2] = [
    Platform {
        name: "Slack",
        binary: "slack-simulator",
        channel: "[channels.slack]\nkind = \"slack\"\napi = \"API\"\n[channels.slack.limits]\nposts_per_second = 500.0\n\
                  posts_at_once = 500",
        floor: ("/api/api.test", Some("{}")),
        user: "U0ANA0001",
        post: "chat.postMessage",
        what: "envelope in, chat.postMessage out",
        sockets: 2,
        id: "ts",
        sent: |event| event.get("attempts")?.get(0)?.get("at_us"),
    },
    Platform {
        name: "Discord",
        binary: "discord-simulator",
        channel: "[channels.discord]\nkind = \"discord\"\napi = \"API\"",
        floor: ("/api/v10/gateway", None),
        user: "1450000000100000001",
        post: "POST /channels/{channel}/messages",
        what: "MESSAGE_CREATE in, POST messages out",
        sockets: 1,
        id: "id",
        sent: |event| event.get("at_us"),
    },
];

/// What the simulators let in.
pub(super) const TOKENS: [(&str, &str); 3] = [
    ("SLACK_BOT_TOKEN", "xoxb-sim-1-secret"),
    ("SLACK_APP_TOKEN", "xapp-sim-secret"),
    ("DISCORD_TOKEN", "MTQ1MDAwMDAwMDAwMDAwMDAwMQ.sim.secret"),
];

/// The simulator, until it is dropped.
struct Simulator {
    child: Child,
    port: u16,
    api: String,
}

/// Prints one turn over a platform, beside the floor.
pub(super) fn turns(bench: &Bench, target: &Path, platform: &Platform) -> Told<()> {
    let name = platform.name;
    say(&format!("\nbuilding the simulated {name}"));
    let mut build = cargo();
    shell::run(build.args([
        "build",
        "--release",
        "--locked",
        "--package",
        "simulator",
        "--bin",
        platform.binary,
    ]))?;
    let simulator = Simulator::start(&target.join("release").join(platform.binary))?;
    let folder = bench.folder.join(platform.binary);
    std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let bench = bench.with(folder, &platform.channel.replace("API", &simulator.api))?;
    let gateway = bench.start()?;
    let mut asking = simulator.connect()?;
    simulator.until_connected(&mut asking, platform)?;

    let mut trips = Vec::new();
    for _ in 0..FLOORS {
        let began = Instant::now();
        asking.ask(platform.floor.0, platform.floor.1)?;
        trips.push(began.elapsed());
    }
    let trip = median(&mut trips);
    let sync = bench.fsync()?;
    let mut took = Vec::new();
    for n in 0..TURNS {
        took.push(simulator.turn(&mut asking, platform, n)?);
    }
    let took = median(&mut took);
    drop(gateway);
    let floor = trip.as_secs_f64() + COMMITS_A_TURN * sync.as_secs_f64();
    say(&format!("\nOne turn on {name} with the scripted model (medians, taken by the simulator)"));
    row("floor: a request to the simulator", &ms(trip), None);
    row("floor: 4 KiB made durable (fsync)", &ms(sync), None);
    let times = took.as_secs_f64() / floor.max(f64::MIN_POSITIVE);
    row(platform.what, &format!("{}  = {times:.1} x (request + {COMMITS_A_TURN} fsyncs)", ms(took)), None);
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

    fn until_connected(&self, asking: &mut Page, platform: &Platform) -> Told<()> {
        let began = Instant::now();
        while list(&mut *asking, "sockets", "{}")?.len() < platform.sockets {
            if began.elapsed() > START_MAX {
                return Err(format!("the gateway did not connect to the simulated {}", platform.name));
            }
            sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// A person writes; how long from the event that left to the message that came.
    fn turn(&self, asking: &mut Page, platform: &Platform, n: usize) -> Told<Duration> {
        let posts = format!(r#"{{"method": "{}"}}"#, platform.post);
        let before = list(asking, "calls", &posts)?.len();
        let words = format!(r#"{{"user": "{}", "text": "hello {n}"}}"#, platform.user);
        let said = asking.ask("/sim/dm", Some(&words))?;
        let said: Value = serde_json::from_str(&said.body).map_err(|error| error.to_string())?;
        let began = Instant::now();
        let posted = loop {
            let calls = list(asking, "calls", &posts)?;
            if let Some(call) = calls.get(before) {
                break micros(call.get("at_us"))?;
            }
            if began.elapsed() > START_MAX {
                return Err(format!("the gateway did not answer on the simulated {}", platform.name));
            }
            sleep(Duration::from_millis(2));
        };
        let deliveries = list(asking, "deliveries", "{}")?;
        let named = |event: &&Value| {
            let payload = event.get("payload").and_then(|payload| payload.get(platform.id));
            said.get(platform.id).is_some_and(|id| event.get(platform.id) == Some(id) || payload == Some(id))
        };
        let sent = deliveries.iter().rev().find(named).and_then(platform.sent);
        Ok(Duration::from_micros(posted.saturating_sub(micros(sent)?)))
    }
}

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
