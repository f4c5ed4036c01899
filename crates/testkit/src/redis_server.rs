//! Real Redis servers, for tests.
//!
//! A server ends with the process that started it, also when that is killed: it hangs on a pipe.

mod certificates;
mod sentinels;

use std::{
    fs::File,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

pub use certificates::Certificates;
pub use sentinels::RedisSentinels;

/// How long a server may take to start.
const SOON: Duration = Duration::from_secs(30);
/// Starts a server, and ends it when standard input does.
const KEEPER: &str = r#"trap '' XFSZ; redis-server "$@" & server=$!; echo $server; cat > /dev/null; kill -9 $server 2> /dev/null"#;

/// One server in a folder of its own, with an append-only file and no bound on its memory.
#[derive(Debug)]
pub struct RedisServer {
    keeper: Child,
    pid: u32,
    port: Port,
    tls_port: Option<Port>,
    folder: tempfile::TempDir,
    args: Vec<String>,
}

impl RedisServer {
    /// Starts one with further arguments, such as `--appendfsync always`.
    ///
    /// # Panics
    /// Where there is no `redis-server`, with what to do about it.
    pub fn start(more: &[&str]) -> Self {
        Self::start_by(None, more)
    }

    /// The same with a port for TLS, too, and `certificates` to show there.
    ///
    /// # Panics
    /// Where there is no `redis-server`, with what to do about it.
    pub fn start_with_tls(certificates: &Certificates, more: &[&str]) -> Self {
        Self::start_by(Some(certificates), more)
    }

    fn start_by(certificates: Option<&Certificates>, more: &[&str]) -> Self {
        let args = ["--save", "", "--appendonly", "yes", "--enable-debug-command", "local"];
        Self::begin(certificates, tempfile::tempdir().unwrap(), [&args, more].concat())
    }

    fn begin(certificates: Option<&Certificates>, folder: tempfile::TempDir, more: Vec<&str>) -> Self {
        let port = Port::free();
        let place = folder.path().display().to_string();
        let ports = [
            "--port",
            &port.number.to_string(),
            "--bind",
            "127.0.0.1",
            "--dir",
            &place,
            "--logfile",
            "redis.log",
        ];
        let mut args: Vec<String> = [&more[..], &ports].concat().into_iter().map(str::to_owned).collect();
        let tls_port = certificates.map(|certificates| {
            let port = Port::free();
            args.extend(["--tls-port".to_owned(), port.number.to_string()]);
            args.extend(certificates.arguments());
            port
        });
        let (keeper, pid) = begin(port.number, folder.path(), &args);
        Self { keeper, pid, port, tls_port, folder, args }
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port.number)
    }

    /// Where it is with TLS, if it was started so.
    pub fn tls_url(&self) -> String {
        format!("rediss://127.0.0.1:{}", self.tls_port.as_ref().map_or(0, |port| port.number))
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port.number
    }

    /// A field of what it says of itself, empty where it has none.
    pub fn info(&self, field: &str) -> String {
        let said = say(self.port.number, &["INFO"]).unwrap_or_default();
        let line = said.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        line.unwrap_or_default().to_owned()
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Sends it a signal, `KILL`, `STOP` or `CONT`.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args([&format!("-{name}"), &self.pid.to_string()]).status();
        assert!(status.is_ok_and(|status| status.success()), "there is no server to signal");
    }

    /// Kills it at once, as a crash does.
    pub fn kill(&mut self) {
        self.signal("KILL");
        // On a busy machine it has its port for a while yet.
        let began = Instant::now();
        while is_alive(self.pid) {
            assert!(began.elapsed() < SOON, "a server does not die");
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
    }

    /// Starts it again after [`RedisServer::kill`], with what its files hold.
    pub fn restart(&mut self) {
        let (keeper, pid) = begin(self.port.number, self.folder.path(), &self.args);
        (self.keeper, self.pid) = (keeper, pid);
    }

    /// So many bytes more fit into its append-only file; without a number as many as it likes.
    ///
    /// # Panics
    /// Where the system does not let it be bounded (`prlimit`, of util-linux).
    pub fn disk(&self, room: Option<u64>) {
        let files = std::fs::read_dir(self.folder.path().join("appendonlydir")).into_iter().flatten();
        let largest = files.filter_map(|file| Some(file.ok()?.metadata().ok()?.len())).max().unwrap_or(0);
        let most = room.map_or("unlimited".to_owned(), |room| (largest + room).to_string());
        let bound = Command::new("prlimit")
            .args(["--pid", &self.pid.to_string(), &format!("--fsize={most}:unlimited")])
            .status();
        assert!(bound.is_ok_and(|status| status.success()), "the server's files cannot be bounded");
    }

    /// How its files are now. What it has answered is in them only where it flushes always, and nobody writes.
    ///
    /// # Panics
    /// When they cannot be copied: a test would not be one.
    #[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    pub fn remember(&self) -> Moment {
        let copy = tempfile::tempdir().unwrap();
        copy_files(self.folder.path(), copy.path()).unwrap();
        Moment(copy)
    }

    /// Dies, and starts again as it was: it has forgotten what came since.
    ///
    /// # Panics
    /// When its files cannot be replaced.
    #[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    pub fn go_back(&mut self, moment: &Moment) {
        self.kill();
        let _ = std::fs::remove_dir_all(self.folder.path().join("appendonlydir"));
        copy_files(moment.0.path(), self.folder.path()).unwrap();
        self.restart();
    }

    /// Says a command, and gives the answer as it comes over the wire.
    pub fn say(&self, words: &[&str]) -> String {
        say(self.port.number, words).unwrap()
    }
}

/// The files of a server as they were.
#[derive(Debug)]
pub struct Moment(tempfile::TempDir);

fn copy_files(from: &Path, to: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            std::fs::create_dir_all(&target)?;
            copy_files(&entry.path(), &target)?;
        } else if entry.file_type()?.is_file() {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let _ = self.keeper.stdin.take();
        let _ = self.keeper.wait();
    }
}

/// A cluster of three masters.
#[derive(Debug)]
pub struct RedisCluster(Vec<RedisServer>);

impl RedisCluster {
    /// Starts one.
    ///
    /// # Panics
    /// Where it does not come up.
    pub fn start() -> Self {
        Self::start_by(None)
    }

    /// The same, with TLS to the masters and between them.
    ///
    /// # Panics
    /// Where it does not come up.
    pub fn start_with_tls(certificates: &Certificates) -> Self {
        Self::start_by(Some(certificates))
    }

    fn start_by(certificates: Option<&Certificates>) -> Self {
        let tls = if certificates.is_some() { "yes" } else { "no" };
        let one = |_| {
            let args = ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--tls-cluster", tls];
            RedisServer::start_by(certificates, &args)
        };
        let servers: Vec<RedisServer> = (0..3).map(one).collect();
        for (n, slots) in [("0", "5460"), ("5461", "10922"), ("10923", "16383")].into_iter().enumerate() {
            assert_eq!(servers[n].say(&["CLUSTER", "ADDSLOTSRANGE", slots.0, slots.1]), "+OK\r\n");
            let epoch = (n + 1).to_string();
            assert_eq!(servers[n].say(&["CLUSTER", "SET-CONFIG-EPOCH", &epoch]), "+OK\r\n");
        }
        for other in &servers[1..] {
            let port = other.tls_port.as_ref().unwrap_or(&other.port).number.to_string();
            assert_eq!(servers[0].say(&["CLUSTER", "MEET", "127.0.0.1", &port]), "+OK\r\n");
        }
        let began = Instant::now();
        let up = |server: &RedisServer| {
            let info = server.say(&["CLUSTER", "INFO"]);
            info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:3")
        };
        while !servers.iter().all(up) {
            assert!(began.elapsed() < SOON, "the cluster does not come up");
            std::thread::sleep(Duration::from_millis(50));
        }
        Self(servers)
    }

    /// Where its nodes are.
    pub fn urls(&self) -> Vec<String> {
        let url = |server: &RedisServer| server.tls_port.as_ref().map_or(server.url(), |_| server.tls_url());
        self.0.iter().map(url).collect()
    }
}

fn begin(port: u16, folder: &Path, args: &[String]) -> (Child, u32) {
    let mut keeper = Command::new("sh")
        .args(["-c", KEEPER, "redis"])
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a shell");
    let mut pid = String::new();
    let mut out = keeper.stdout.take().expect("its output");
    let mut byte = [0];
    while out.read(&mut byte).is_ok_and(|n| n == 1) && byte[0] != b'\n' {
        pid.push(char::from(byte[0]));
    }
    let pid = pid.parse().expect("a process");
    let began = Instant::now();
    // One that wants a password says so, and is there too.
    while !say(port, &["PING"]).is_ok_and(|said| said.starts_with("+PONG") || said.starts_with("-NOAUTH")) {
        assert!(
            began.elapsed() < SOON && is_alive(pid),
            "redis-server does not start; `cargo xtask setup` installs what the tests need. Its log:\n{}",
            std::fs::read_to_string(folder.join("redis.log")).unwrap_or_default()
        );
        std::thread::sleep(Duration::from_millis(10));
    }
    (keeper, pid)
}

/// Whether a process is more than what is left of a dead one.
fn is_alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The state stands behind the name, which is in brackets and may hold anything.
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
}

fn say(port: u16, words: &[&str]) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut text = format!("*{}\r\n", words.len());
    for word in words {
        text.push_str(&format!("${}\r\n{word}\r\n", word.len()));
    }
    stream.write_all(text.as_bytes())?;
    let mut bytes = vec![0; 1 << 16];
    let read = stream.read(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes[..read]).into_owned())
}

/// A port that nobody uses, nor its place in the cluster's own numbers, 10,000 above. No other test takes it while this is kept, also
/// while the server is dead.
#[derive(Debug)]
struct Port {
    number: u16,
    _ours: File,
}

impl Port {
    #[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    fn free() -> Self {
        let locks = std::env::temp_dir().join("switchboard-test-ports");
        std::fs::create_dir_all(&locks).unwrap();
        loop {
            let port = TcpListener::bind(("127.0.0.1", 0)).and_then(|free| free.local_addr()).unwrap().port();
            // Below the ports that the system gives out by itself, so that no connection takes it in the meantime.
            let number = 20_000 + port % 10_000;
            let lock =
                File::options().create(true).truncate(false).write(true).open(locks.join(number.to_string()));
            let ours = lock.unwrap();
            let free = |port| TcpListener::bind(("127.0.0.1", port)).is_ok();
            if ours.try_lock().is_ok() && free(number) && free(number + 10_000) {
                return Self { number, _ours: ours };
            }
        }
    }
}
