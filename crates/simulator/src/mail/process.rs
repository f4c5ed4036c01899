//! Starts the servers, finds out that they run, and ends them.

use std::{
    fs,
    io::{self, Write},
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::TcpStream,
};

use super::{
    Error, Ports,
    config::{self, RunAs},
};

const START_TRIES: u32 = 3;
const START_TIMEOUT: Duration = Duration::from_secs(15);
const STOP_TIMEOUT: Duration = Duration::from_secs(15);

/// Both servers and their folder.
#[derive(Debug)]
pub(super) struct Servers {
    pub(super) ports: Ports,
    supervisor: Child,
    folder: TempDir,
}

impl Servers {
    /// Tries again with other ports when one was taken between looking and listening.
    pub(super) async fn start(users: &[(String, String)]) -> Result<Self, Error> {
        require_programs()?;
        let mut tries = 0;
        loop {
            tries += 1;
            match Self::try_start(users).await {
                Err(Error::NotUp(log)) if tries < START_TRIES && log.contains("already in use") => {}
                result => return result,
            }
        }
    }

    async fn try_start(users: &[(String, String)]) -> Result<Self, Error> {
        let folder = tempfile::Builder::new().prefix("switchboard-mail-").tempdir()?;
        let path = folder.path();
        let ports = free_ports()?;
        let greeting = greeting(path);
        let root = run("id", &["-u"])?.trim() == "0";
        let run_as = if root {
            RunAs { user: "nobody".into(), group: "nogroup".into() }
        } else {
            RunAs { user: run("id", &["-un"])?.trim().into(), group: run("id", &["-gn"])?.trim().into() }
        };
        for part in ["run", "mail", "exim", "log"] {
            fs::create_dir(path.join(part))?;
        }
        fs::write(path.join("users"), config::dovecot_users(users))?;
        fs::write(path.join("logins"), config::exim_logins(users))?;
        fs::write(path.join("dovecot.conf"), config::dovecot(path, ports, &run_as, &greeting))?;
        fs::write(path.join("exim.conf"), config::exim(path, ports, &run_as, &greeting))?;
        fs::write(path.join("supervisor.sh"), config::SUPERVISOR)?;
        make_certificate(path)?;
        let text = path.display().to_string();
        run("chmod", &["755", &text])?;
        if root {
            run("chown", &["-R", &format!("{}:{}", run_as.user, run_as.group), &text])?;
        }
        let supervisor = spawn_supervisor(path, ports, root.then_some(&run_as))?;
        let servers = Self { ports, supervisor, folder };
        servers.wait_until_up(&greeting).await?;
        Ok(servers)
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn log(&self) -> String {
        let mut log = String::new();
        for name in
            ["dovecot.out", "dovecot.log", "exim.out", "exim-mainlog", "exim-rejectlog", "exim-paniclog"]
        {
            if let Ok(text) = fs::read_to_string(self.folder().join("log").join(name)) {
                for line in text.lines() {
                    log.push_str(&format!("{name}: {line}\n"));
                }
            }
        }
        log
    }

    async fn wait_until_up(&self, greeting: &str) -> Result<(), Error> {
        let started = Instant::now();
        for port in [self.ports.imap, self.ports.smtp] {
            while !greets(port, greeting).await {
                if started.elapsed() > START_TIMEOUT || self.log().contains("already in use") {
                    return Err(Error::NotUp(self.log()));
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        Ok(())
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        // The end of its input is the supervisor's order to stop.
        drop(self.supervisor.stdin.take());
        let started = Instant::now();
        while let Ok(None) = self.supervisor.try_wait() {
            if started.elapsed() > STOP_TIMEOUT {
                // The supervisor goes on by itself; only its end is no longer awaited.
                let _ = writeln!(
                    io::stderr(),
                    "the mail servers in {} are slow to stop",
                    self.folder().display()
                );
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

fn spawn_supervisor(folder: &Path, ports: Ports, run_as: Option<&RunAs>) -> Result<Child, Error> {
    let mut command = match run_as {
        // Dovecot's login process refuses to run as root.
        Some(RunAs { user, group }) => {
            let mut command = Command::new("setpriv");
            command.args([&format!("--reuid={user}"), &format!("--regid={group}"), "--clear-groups", "sh"]);
            command
        }
        None => Command::new("sh"),
    };
    let listen = format!("127.0.0.1.{} : 127.0.0.1.{}", ports.smtp, ports.smtps);
    command
        .arg(folder.join("supervisor.sh"))
        .arg(folder)
        .arg(listen)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    Ok(command.spawn()?)
}

/// True when the server on this port is ours: another may have taken the port.
async fn greets(port: u16, greeting: &str) -> bool {
    let look = async {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).await?;
        io::Result::Ok(line)
    };
    match tokio::time::timeout(Duration::from_secs(2), look).await {
        Ok(Ok(line)) => line.contains(greeting),
        Ok(Err(_)) | Err(_) => false,
    }
}

fn greeting(folder: &Path) -> String {
    let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or("switchboard-mail");
    name.replace('.', "")
}

fn free_ports() -> io::Result<Ports> {
    // All four are held at once, so that they differ.
    let held: Vec<_> =
        (0..4).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).collect::<io::Result<_>>()?;
    let mut ports = [0; 4];
    for (port, listener) in ports.iter_mut().zip(&held) {
        *port = listener.local_addr()?.port();
    }
    let [imap, imaps, smtp, smtps] = ports;
    Ok(Ports { imap, imaps, smtp, smtps })
}

/// Self-signed, and marked as no authority: rustls takes no authority's certificate for a server.
fn make_certificate(folder: &Path) -> Result<(), Error> {
    let key = folder.join("key.pem").display().to_string();
    let certificate = folder.join("cert.pem").display().to_string();
    let mut args =
        vec!["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    args.extend(["-days", "30", "-subj", "/CN=localhost"]);
    args.extend(["-addext", "basicConstraints=critical,CA:FALSE"]);
    args.extend(["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]);
    args.extend(["-keyout", &key, "-out", &certificate]);
    run("openssl", &args).map(drop)
}

fn run(program: &str, args: &[&str]) -> Result<String, Error> {
    let output = Command::new(program).args(args).stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let command = format!("{program} {}", args.join(" "));
    Err(Error::Command { command, output: String::from_utf8_lossy(&output.stderr).into_owned() })
}

fn require_programs() -> Result<(), Error> {
    let needed = [
        ("dovecot", "dovecot-imapd"),
        ("/usr/lib/dovecot/imap", "dovecot-imapd"),
        ("/usr/lib/dovecot/lmtp", "dovecot-lmtpd"),
        ("exim4", "exim4-daemon-light"),
        ("openssl", "openssl"),
        ("setpriv", "util-linux"),
    ];
    let mut programs = Vec::new();
    let mut packages = Vec::new();
    for (program, package) in needed {
        if find(program).is_none() {
            programs.push(program);
            if !packages.contains(&package) {
                packages.push(package);
            }
        }
    }
    if !programs.is_empty() {
        return Err(Error::Missing { programs, packages });
    }
    let dovecot = find("dovecot").unwrap_or_default().display().to_string();
    let version = run(&dovecot, &["--version"])?;
    if version.starts_with("2.3") { Ok(()) } else { Err(Error::Version(version.trim().to_owned())) }
}

/// Looks where the system's programs are, on the path or not.
fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    folders.extend([PathBuf::from("/usr/sbin"), PathBuf::from("/sbin")]);
    folders.into_iter().map(|folder| folder.join(program)).find(|file| file.is_file())
}
