//! The world of one test: a folder, a gateway process, and the people who talk to it.

mod browser;
pub(crate) mod discord;
mod front;
mod mail;
mod model;
mod obedient;
mod shell;
mod slack;
mod web;

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use agent::{Event, Thread, Version};
use store::{Embedded, Store, THREADS_MAX};
use store_redis::{Durability, Options, Redis, Time};
use tempfile::TempDir;

pub(crate) use browser::{Driver, Screen, Window};
pub(crate) use front::{
    Card, Front, Gesture, Kind, People, Way, Who, in_front_of_every_channel, on_page_does,
};
pub(crate) use mail::{Letter, Mailroom, letter};
pub(crate) use model::{Asked, Provider, READ, WROTE};
pub(crate) use obedient::{Obedient, order};
pub(crate) use shell::{Ran, copied_agents, copy, replace};
pub(crate) use slack::{ANA, BEN, BOT, CY, GENERAL, TEAM, Workspace};
pub(crate) use web::{Entry, Page, is_open_card};

/// Long enough for a loaded machine; nothing waits this long when it works.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// A folder with a configuration, and the gateway that runs on it.
pub(crate) struct World {
    pub(crate) folder: TempDir,
    pub(crate) port: u16,
    gateway: Option<Child>,
    env: Vec<(String, String)>,
    /// The Redis that the store is on, if it is.
    redis: Option<String>,
    /// Another build of the gateway to start than the one that is tested.
    pub(crate) build: Option<PathBuf>,
}

impl World {
    /// A world whose configuration has the page, the agents that ship, and what `more` adds (other channels, members,
    /// desks, routes, models).
    pub(crate) fn new(more: &str) -> Self {
        Self::with_agents(&repository().join("agents"), more)
    }

    pub(crate) fn with_agents(agents: &Path, more: &str) -> Self {
        testkit::init();
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let config = format!(
            "agents = {agents:?}\nstate = \"state\"\n[channels.web]\nkind = \"web\"\nlisten = \"127.0.0.1:{port}\"\n\
             requests_per_minute = 6000\n{more}"
        );
        std::fs::write(folder.path().join("config.toml"), config).unwrap();
        Self { folder, port, gateway: None, env: Vec::new(), redis: None, build: None }
    }

    /// With its store on a Redis, which others may share.
    pub(crate) fn on(self, url: &str) -> Self {
        self.on_by(url, url, "everysec", "2s")
    }

    /// The same; `way` is how the gateway gets there, `durability` what it asks of it, and `lease` how long a gateway is waited
    /// for.
    pub(crate) fn on_by(mut self, url: &str, way: &str, durability: &str, lease: &str) -> Self {
        let path = self.folder.path().join("config.toml");
        let config = std::fs::read_to_string(&path).unwrap();
        let store =
            format!("[store]\nurl = {way:?}\ndurability = {durability:?}\n[runtime]\nlease = {lease:?}\n");
        std::fs::write(&path, format!("{config}\n{store}")).unwrap();
        self.redis = Some(url.to_owned());
        self
    }

    /// An environment variable of the gateway.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A command line of the gateway, in this world.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let tested = Path::new(env!("CARGO_BIN_EXE_switchboard-under-test"));
        let mut command = Command::new(self.build.as_deref().unwrap_or(tested));
        command.args(args).env("SWITCHBOARD_CONFIG", self.folder.path().join("config.toml"));
        for key in ["ANTHROPIC_API_KEY", "OPENAI_API_KEY"] {
            command.env_remove(key);
        }
        command.envs(self.env.iter().cloned()).stdin(Stdio::null());
        command
    }

    /// Starts the gateway, and waits until its page answers.
    pub(crate) async fn start(&mut self) {
        self.launch(None);
        self.ready().await;
    }

    /// Starts the gateway; it ends itself at a write if `crash` says so.
    pub(crate) fn launch(&mut self, crash: Option<&str>) {
        assert!(self.gateway.is_none(), "one gateway at a time");
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.log_path()).unwrap();
        let mut command = self.command(&[]);
        if let Some(crash) = crash {
            command.env("SWITCHBOARD_CRASH", crash);
        }
        let out = log.try_clone().unwrap();
        self.gateway = Some(command.stdout(out).stderr(log).spawn().unwrap());
    }

    /// Waits until the page answers; false when the gateway ended before that.
    pub(crate) async fn try_ready(&mut self) -> bool {
        let began = Instant::now();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        loop {
            if http
                .get(format!("http://127.0.0.1:{}/", self.port))
                .send()
                .await
                .is_ok_and(|r| r.status().is_success())
            {
                return true;
            }
            if self.ended().is_some() {
                return false;
            }
            assert!(began.elapsed() < SOON, "the gateway is not ready:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub(crate) async fn ready(&mut self) {
        assert!(self.try_ready().await, "the gateway ended:\n{}", self.log());
    }

    /// How the gateway ended, if it did.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        let status = self.gateway.as_mut()?.try_wait().unwrap();
        if status.is_some() {
            self.gateway = None;
        }
        status
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        if let Some(mut gateway) = self.gateway.take() {
            let _ = gateway.kill();
            let _ = gateway.wait();
        }
    }

    /// Sends the gateway a signal, `STOP` or `CONT`.
    pub(crate) fn signal(&self, name: &str) {
        let gateway = self.gateway.as_ref().expect("a gateway runs");
        let status = Command::new("kill").args([&format!("-{name}"), &gateway.id().to_string()]).status();
        assert!(status.unwrap().success());
    }

    /// SIGTERM, and the time until it ended.
    pub(crate) fn stop(&mut self) -> ExitStatus {
        let mut gateway = self.gateway.take().expect("a gateway runs");
        assert!(Command::new("kill").arg(gateway.id().to_string()).status().unwrap().success());
        gateway.wait().unwrap()
    }

    pub(crate) fn page(&self) -> Page {
        Page::new(self.port)
    }

    /// The store, to look at.
    async fn store(&self) -> Box<dyn Store> {
        let Some(url) = &self.redis else {
            return Box::new(Embedded::read_only(&self.folder.path().join("state/switchboard.db")).unwrap());
        };
        let options = Options {
            urls: vec![url.clone()],
            prefix: "switchboard".to_owned(),
            timeout: SOON,
            durability: Durability::None,
            time: Time::Server,
            journal: None,
            tls_ca: None,
        };
        Box::new(Redis::open(&options).await.unwrap())
    }

    /// All threads, folded from the store.
    pub(crate) async fn threads(&self) -> Vec<Thread> {
        let store = self.store().await;
        let mut threads = Vec::new();
        loop {
            let page = store.threads(threads.len(), THREADS_MAX).await.unwrap();
            if page.is_empty() {
                return threads;
            }
            for summary in page {
                let records = store.load(&summary.thread, Version(0)).await.unwrap();
                threads.push(Thread::fold(summary.thread, records));
            }
        }
    }

    /// How many events of all threads are like this.
    pub(crate) async fn count(&self, like: impl Fn(&Event) -> bool) -> usize {
        let threads = self.threads().await;
        threads.iter().flat_map(Thread::records).filter(|record| like(&record.event)).count()
    }

    /// Waits until the log says so.
    pub(crate) async fn until(&self, what: &str, holds: impl Fn(&[Thread]) -> bool) {
        let began = Instant::now();
        loop {
            let threads = self.threads().await;
            if holds(&threads) {
                return;
            }
            assert!(began.elapsed() < SOON, "{what} never came; the threads:\n{threads:#?}\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until the gateway's log says this.
    pub(crate) async fn until_logged(&self, words: &str) {
        let began = Instant::now();
        while !self.log().contains(words) {
            assert!(began.elapsed() < SOON, "{words:?} is not in the log:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The files that an agent's tools keep, with their contents.
    pub(crate) fn kept(&self, agent: &str) -> Vec<(PathBuf, String)> {
        let files = self.files(&format!("state/tools/{agent}")).into_iter();
        files.map(|(path, bytes)| (path, String::from_utf8(bytes).unwrap_or_default())).collect()
    }

    /// The files below a folder, with their contents.
    pub(crate) fn files(&self, folder: &str) -> Vec<(PathBuf, Vec<u8>)> {
        let mut found = Vec::new();
        let mut folders = vec![self.folder.path().join(folder)];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).into_iter().flatten() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    // A tool may take a file away between the two.
                    let bytes = std::fs::read(&path).unwrap_or_default();
                    found.push((path, bytes));
                }
            }
        }
        found.sort();
        found
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("log")
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("the gateway's log:\n{}", self.log());
        }
    }
}

/// Members, desks and routes for the page alone: the local person may approve everything.
pub(crate) const LOCAL: &str = r#"
[members.you]
web = "you"
[groups]
operators = ["you"]
finance = ["you"]
[desks.operators]
members = ["operators"]
via = "web"
[desks.finance]
members = ["finance"]
via = "web"
[[routes]]
agent = "deploy"
starts_with = ["deploy", "roll back"]
[[routes]]
agent = "support"
"#;

/// The scripted model.
pub(crate) const SCRIPTED: &str = "[models.default]\nproviders = []\nwithout_key = \"scripted\"\n";

pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
