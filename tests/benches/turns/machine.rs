//! The machine: its floor, and what processes take of it. Linux only.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, TcpStream},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::Told;

/// How often a floor is measured.
const FLOORS: usize = 300;
const PINGS: usize = 2_000;
/// How many of `/proc/PID/stat`'s ticks are a second, on every Linux that matters.
const TICKS: f64 = 100.0;

/// A program on one core.
pub(crate) fn on_core(core: &str, program: &Path) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", core]).arg(program);
    command
}

/// Moves a running process, all its threads, to one core.
pub(crate) fn pin(pid: u32, core: &str) -> Told<()> {
    let mut command = Command::new("taskset");
    command.args(["-a", "-c", "-p", core, &pid.to_string()]).stdout(Stdio::null());
    let done = command.status().map_err(|error| format!("taskset: {error}"))?;
    if done.success() { Ok(()) } else { Err(format!("redis-server cannot be moved to core {core}")) }
}

/// The CPU time that a process has taken.
pub(crate) fn cpu(pid: u32) -> Told<Duration> {
    let path = format!("/proc/{pid}/stat");
    let text = fs::read_to_string(&path).map_err(|error| format!("{path}: {error} (this needs Linux)"))?;
    // The name, in parentheses, may hold blanks. Behind it, the state is the first field; utime and stime are the twelfth
    // and thirteenth.
    let fields = text.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: f64 = fields.skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum();
    Ok(Duration::from_secs_f64(ticks / TICKS))
}

/// What a process holds in memory, in MB (10^6 bytes).
pub(crate) fn resident(pid: u32) -> Told<f64> {
    let path = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&path).map_err(|error| format!("{path}: {error} (this needs Linux)"))?;
    let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix("kB"));
    let kib: f64 = kib.and_then(|kib| kib.trim().parse().ok()).ok_or("the kernel does not say VmRSS")?;
    Ok(kib * 1024.0 / 1e6)
}

/// How long it takes to make a small append durable in a folder: the median, in milliseconds.
pub(crate) fn fsync(folder: &Path) -> Told<f64> {
    let path = folder.join("floor");
    let write = || -> std::io::Result<f64> {
        let mut file = File::create(&path)?;
        let mut took = Vec::new();
        for _ in 0..FLOORS {
            let began = Instant::now();
            file.write_all(&[0x5a; 4096])?;
            file.sync_data()?;
            took.push(began.elapsed());
        }
        fs::remove_file(&path)?;
        Ok(part(&mut took, 0.5))
    };
    write().map_err(|error| format!("{}: {error}", path.display()))
}

/// Where so much of all times is below, in milliseconds.
pub(crate) fn part(times: &mut [Duration], share: f64) -> f64 {
    times.sort();
    let at = (times.len() as f64 * share) as usize;
    times.get(at.min(times.len().saturating_sub(1))).map_or(0.0, |time| time.as_secs_f64() * 1e3)
}

/// Whether the gateway says on this port that it is ready.
pub(crate) fn is_ready(port: u16) -> bool {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    ask().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
}

/// A field of what Redis says under `INFO`.
pub(crate) fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

/// A bare connection to Redis.
pub(crate) struct Wire(BufReader<TcpStream>);

impl Wire {
    pub(crate) fn connect(port: u16) -> Told<Self> {
        let connect = || {
            let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
            stream.set_nodelay(true)?;
            Ok(Self(BufReader::new(stream)))
        };
        connect().map_err(|error: std::io::Error| format!("Redis: {error}"))
    }

    /// Says a command whose answer is a word or one text.
    pub(crate) fn ask(&mut self, words: &[&str]) -> Told<String> {
        self.try_ask(words).map_err(|error| format!("Redis: {error}"))
    }

    fn try_ask(&mut self, words: &[&str]) -> std::io::Result<String> {
        let mut text = format!("*{}\r\n", words.len());
        words.iter().for_each(|word| text.push_str(&format!("${}\r\n{word}\r\n", word.len())));
        self.0.get_mut().write_all(text.as_bytes())?;
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        let Some(length) = line.strip_prefix('$').and_then(|length| length.trim().parse::<usize>().ok())
        else {
            return Ok(line.trim().to_owned());
        };
        let mut bytes = vec![0; length + 2];
        self.0.read_exact(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The server's process.
    pub(crate) fn pid(&mut self) -> Told<u32> {
        let info = self.ask(&["INFO", "server"])?;
        let pid = field(&info, "process_id").and_then(|pid| pid.parse().ok());
        pid.ok_or_else(|| "Redis does not say its process".to_owned())
    }

    /// How often scripts were run, and how long they took together, in microseconds.
    pub(crate) fn scripts(&mut self) -> Told<[f64; 2]> {
        let info = self.ask(&["INFO", "commandstats"])?;
        let mut sum = [0.0; 2];
        for name in ["cmdstat_eval", "cmdstat_evalsha"] {
            for (sum, key) in sum.iter_mut().zip(["calls", "usec"]) {
                let found = field(&info, name).and_then(|stats| {
                    stats
                        .split(',')
                        .find_map(|stat| stat.strip_prefix(key)?.strip_prefix('=')?.parse::<f64>().ok())
                });
                *sum += found.unwrap_or(0.0);
            }
        }
        Ok(sum)
    }

    /// How long a bare round trip takes, in milliseconds: the median, and what 99 % are below.
    pub(crate) fn pings(&mut self) -> Told<[f64; 2]> {
        let mut took = Vec::new();
        for _ in 0..PINGS {
            let began = Instant::now();
            self.ask(&["PING"])?;
            took.push(began.elapsed());
        }
        Ok([part(&mut took, 0.5), part(&mut took, 0.99)])
    }
}
