//! Chromium without a screen, driven as a person would: by keys and clicks, and by looking at what is shown.

use std::{
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use fantoccini::{Client, ClientBuilder, Locator, key::Key};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::{SOON, free_port};

const INSTALL: &str = "the tests of the page need the Debian packages chromium and chromium-driver: apt-get install chromium chromium-driver";
const CHROMIUM: &str = "/usr/bin/chromium";
const FLAGS: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];

/// Browsers are large; on a small machine more than these only stand in each other's way.
static SLOTS: Semaphore = Semaphore::const_new(2);

/// One chromedriver, and the profiles of its browsers. Dropping it ends them all.
pub(crate) struct Driver {
    process: Child,
    port: u16,
    folder: TempDir,
    windows: usize,
    _slot: SemaphorePermit<'static>,
}

/// One browser with one window.
pub(crate) struct Window {
    pub(crate) client: Client,
    log: String,
}

/// A screen.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Screen {
    Desk,
    Phone,
}

impl Driver {
    pub(crate) async fn start() -> Self {
        testkit::init();
        let slot = SLOTS.acquire().await.unwrap();
        assert!(Path::new(CHROMIUM).exists(), "{CHROMIUM} is missing; {INSTALL}");
        let port = free_port();
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("chromedriver");
        command
            .arg(format!("--port={port}"))
            .env("HOME", folder.path())
            .env("TMPDIR", folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0);
        let process = command.spawn().unwrap_or_else(|error| panic!("chromedriver: {error}; {INSTALL}"));
        let driver = Self { process, port, folder, windows: 0, _slot: slot };
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let began = Instant::now();
        loop {
            let status = http.get(format!("{}/status", driver.base())).send().await;
            if status.is_ok_and(|answer| answer.status().is_success()) {
                return driver;
            }
            assert!(began.elapsed() < SOON, "chromedriver does not answer");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn base(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Opens a browser of its own, with nothing in it.
    pub(crate) async fn window(&mut self, screen: Screen) -> Window {
        self.windows += 1;
        let profile = self.folder.path().join(format!("profile-{}", self.windows));
        let mut flags: Vec<_> = FLAGS.iter().map(|flag| (*flag).to_owned()).collect();
        flags.push(format!("--user-data-dir={}", profile.display()));
        flags.push("--window-size=1280,900".to_owned());
        let options = match screen {
            Screen::Desk => {
                // Without a screen there is no mouse either, until it is said that there is one.
                flags.push("--blink-settings=primaryPointerType=4,availablePointerTypes=4".to_owned());
                json!({ "binary": CHROMIUM, "args": flags })
            }
            Screen::Phone => {
                let metrics = json!({ "width": 390, "height": 844, "pixelRatio": 2.0, "touch": true });
                json!({ "binary": CHROMIUM, "args": flags, "mobileEmulation": { "deviceMetrics": metrics } })
            }
        };
        let mut wanted = Map::new();
        wanted.insert("browserName".into(), "chrome".into());
        wanted.insert("goog:chromeOptions".into(), options);
        wanted.insert("goog:loggingPrefs".into(), json!({ "browser": "ALL" }));
        let connect =
            ClientBuilder::new(HttpConnector::new()).capabilities(wanted).connect(&self.base()).await;
        let client = connect.unwrap_or_else(|error| panic!("Chromium does not start: {error}; {INSTALL}"));
        let session = client.session_id().await.unwrap().unwrap();
        Window { client, log: format!("{}/session/{session}/se/log", self.base()) }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let mut groups = vec![self.process.id()];
        // Browsers are leaders of groups of their own; their profile is in their command line, and in nobody else's.
        let profile = self.folder.path().display().to_string();
        for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            if String::from_utf8_lossy(&line).contains(&profile) {
                groups.push(pid);
            }
        }
        for id in groups {
            for target in [format!("-{id}"), id.to_string()] {
                let mut kill = Command::new("kill");
                let _ = kill.args(["-9", "--", &target]).stderr(Stdio::null()).status();
            }
        }
        let _ = self.process.wait();
    }
}

impl Window {
    pub(crate) async fn goto(&self, url: &str) {
        self.client.goto(url).await.unwrap();
    }

    /// Opens the page of a gateway, and waits until it stands.
    pub(crate) async fn visit(&self, port: u16, path: &str) {
        self.goto(&format!("http://127.0.0.1:{port}{path}")).await;
        self.connected().await;
    }

    pub(crate) async fn connected(&self) {
        self.until("the page says that it is connected", "by('status')?.dataset.state === 'up'").await;
    }

    /// The path of the page, with the conversation in it.
    pub(crate) async fn path(&self) -> String {
        self.until("a conversation", "location.pathname.startsWith('/c/')").await;
        self.client.current_url().await.unwrap().path().to_owned()
    }

    /// What an expression is on the page. `by` and `all` find elements that people can see by their test id.
    pub(crate) async fn eval(&self, expression: &str) -> Value {
        let script = format!(
            "const all = (id) => [...document.querySelectorAll(`[data-testid=\"${{id}}\"]`)].filter((e) => e.checkVisibility());
             const by = (id) => all(id)[0];
             return ({expression});"
        );
        self.client.execute(&script, Vec::new()).await.unwrap_or_else(|error| panic!("{expression}: {error}"))
    }

    /// Waits until an expression holds.
    pub(crate) async fn until(&self, what: &str, expression: &str) {
        let began = Instant::now();
        loop {
            // While a page is loading there is nothing to ask.
            if self.eval(&format!("!!({expression})")).await == true {
                return;
            }
            if began.elapsed() > SOON {
                panic!("{what} never came ({expression}); the page shows:\n{}", self.text().await);
            }
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }

    /// All that the page shows.
    pub(crate) async fn text(&self) -> String {
        self.eval("document.body.innerText").await.as_str().unwrap_or_default().to_owned()
    }

    /// Waits until the conversation shows these words.
    pub(crate) async fn shows(&self, words: &str) {
        let words = Value::from(words);
        let expression = format!("document.getElementById('log').innerText.includes({words})");
        self.until(&format!("{words} in the conversation"), &expression).await;
    }

    /// Types into a field, after a click into it.
    pub(crate) async fn write(&self, id: &str, text: &str) {
        self.click(id).await;
        self.client.active_element().await.unwrap().send_keys(text).await.unwrap();
    }

    /// Says something in the conversation, with the Enter key.
    pub(crate) async fn say(&self, text: &str) {
        self.write("composer", text).await;
        self.press(Key::Enter).await;
    }

    /// Presses a key, wherever the focus is.
    pub(crate) async fn press(&self, key: Key) {
        let key = char::from(key).to_string();
        self.client.active_element().await.unwrap().send_keys(&key).await.unwrap();
    }

    /// Clicks on the first visible element of this test id, as soon as it can be clicked.
    pub(crate) async fn click(&self, id: &str) {
        let began = Instant::now();
        self.until(id, &format!("by('{id}') && !by('{id}').disabled")).await;
        loop {
            let mut why = String::from("not there");
            for element in self.client.find_all(Locator::Css(&format!("[data-testid='{id}']"))).await.unwrap()
            {
                if !element.is_displayed().await.unwrap_or(false) {
                    continue;
                }
                match element.click().await {
                    Ok(()) => return,
                    Err(error) => why = error.to_string(),
                }
                break;
            }
            if began.elapsed() > SOON {
                panic!("{id} cannot be clicked ({why}); the page shows:\n{}", self.text().await);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// What stands in the browser's console and was not asked for yet; what it says to developers alone does not count.
    pub(crate) async fn console(&self) -> Vec<String> {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let answer = http.post(&self.log).json(&json!({ "type": "browser" })).send().await.unwrap();
        let answer: Value = answer.json().await.unwrap();
        let entries = answer["value"].as_array().unwrap_or_else(|| panic!("{answer}"));
        let told = entries.iter().filter(|entry| entry["level"] != "DEBUG");
        told.map(|entry| entry["message"].as_str().unwrap().to_owned()).collect()
    }
}
