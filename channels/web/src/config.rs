//! The channel's settings, and what they become once they are found sound.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use channel::{ChannelName, Error, Setup, Span};
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::Deserialize;

use crate::{
    guard::{Hosts, is_loopback_name},
    session::Keyring,
};

/// The table of a channel of kind `web`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Where the page listens: an IP address and a port. Anything but loopback needs `people`.
    pub listen: String,
    /// Further names under which the page is reached, as a browser shows them: `chat.example.com`,
    /// `localhost:9000`. Requests for any other name are refused.
    pub hosts: Vec<String>,
    /// Who may use the page, by id. Without anybody here, and only on loopback, everybody is the person `local`.
    pub people: BTreeMap<String, Member>,
    /// The id of the person that everybody on a loopback page without `people` is.
    pub local: String,
    /// The title of the page.
    pub title: String,
    /// What an empty conversation offers to say.
    pub examples: Vec<String>,
    /// How long a person stays logged in.
    pub session: Span,
    /// The longest message, in bytes.
    pub text_bytes_max: usize,
    /// The most files a message may carry. 0 turns files off.
    pub files_max: usize,
    /// The largest file, in bytes.
    pub file_bytes_max: usize,
    /// How many messages and clicks a person may send a minute.
    pub requests_per_minute: u32,
}

/// One person who may use the page.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// The environment variable that holds this person's token: at least 16 characters, best made at random.
    pub token_env: String,
    /// The name that others see; the id when it is left out.
    #[serde(default)]
    pub name: Option<String>,
}

/// The settings, found sound.
pub(crate) struct Config {
    pub(crate) channel: ChannelName,
    pub(crate) listen: SocketAddr,
    pub(crate) hosts: Hosts,
    pub(crate) who: Who,
    pub(crate) title: String,
    pub(crate) examples: Vec<String>,
    pub(crate) limits: Limits,
}

/// How the page knows who somebody is.
pub(crate) enum Who {
    /// Loopback: everybody is this person.
    Local(Visitor),
    /// Everybody proves it with a token.
    Tokens(Keyring),
}

/// A person on the page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Visitor {
    pub(crate) id: String,
    pub(crate) name: String,
}

/// What a request may cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) text_bytes_max: usize,
    pub(crate) files_max: usize,
    pub(crate) file_bytes_max: usize,
    pub(crate) requests_per_minute: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:7420".to_owned(),
            hosts: Vec::new(),
            people: BTreeMap::new(),
            local: "you".to_owned(),
            title: "Switchboard".to_owned(),
            examples: vec!["deploy v1.4 to production".to_owned(), "Where is my order 1001?".to_owned()],
            session: Span(Duration::from_hours(14 * 24)),
            text_bytes_max: 32 * 1024,
            files_max: 4,
            file_bytes_max: 4 * 1024 * 1024,
            requests_per_minute: 60,
        }
    }
}

impl Limits {
    /// The largest body of a message: JSON may write a byte as six characters, base64 three as four.
    pub(crate) fn say_bytes_max(&self) -> usize {
        let files = self.files_max.saturating_mul(self.file_bytes_max.saturating_mul(4) / 3 + 2048);
        self.text_bytes_max.saturating_mul(6).saturating_add(files).saturating_add(4096)
    }

    /// The largest body of a click.
    pub(crate) fn press_bytes_max(&self) -> usize {
        self.text_bytes_max.saturating_mul(6).saturating_add(4096)
    }
}

impl Who {
    /// On what grounds the page vouches for a person, as the audit shows it.
    pub(crate) fn grounds(&self) -> &'static str {
        match self {
            Self::Local(_) => "loopback page",
            Self::Tokens(_) => "token",
        }
    }

    /// Everybody who may use the page.
    pub(crate) fn ids(&self) -> Vec<&str> {
        match self {
            Self::Local(visitor) => vec![&visitor.id],
            Self::Tokens(keyring) => keyring.ids().collect(),
        }
    }
}

impl Config {
    /// Checks the settings, and reads the tokens.
    pub(crate) fn check(settings: Settings, setup: &Setup<'_>) -> Result<Self, Vec<Error>> {
        let mut faults = Faults { channel: setup.name.clone(), found: Vec::new() };
        let listen = faults.listen(&settings.listen);
        let hosts = Hosts::new(listen, &settings.hosts);
        for host in &settings.hosts {
            faults.host(host);
        }
        let open = !listen.ip().is_loopback() || settings.hosts.iter().any(|host| !is_loopback_name(host));
        let who = faults.who(&settings, open, setup.secret);
        faults.limits(&settings);
        if !faults.found.is_empty() {
            return Err(faults.found);
        }
        Ok(Self {
            channel: setup.name.clone(),
            listen,
            hosts,
            who,
            title: settings.title,
            examples: settings.examples,
            limits: Limits {
                text_bytes_max: settings.text_bytes_max,
                files_max: settings.files_max,
                file_bytes_max: settings.file_bytes_max,
                requests_per_minute: settings.requests_per_minute,
            },
        })
    }
}

/// What is wrong with the settings, so far.
struct Faults {
    channel: ChannelName,
    found: Vec<Error>,
}

impl Faults {
    fn add(&mut self, key: &str, what: impl std::fmt::Display, remedy: impl Into<String>) {
        let what = format!("channels.{}.{key}: {what}", self.channel);
        self.found.push(Error::misconfigured(what, remedy));
    }

    fn listen(&mut self, text: &str) -> SocketAddr {
        let written = match text.strip_prefix("localhost:") {
            Some(port) => format!("127.0.0.1:{port}"),
            None => text.to_owned(),
        };
        written.parse().unwrap_or_else(|_| {
            self.add(
                "listen",
                format_args!("`{text}` is not an IP address and a port"),
                "write for example \"127.0.0.1:7420\"",
            );
            SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
        })
    }

    fn host(&mut self, host: &str) {
        let strange = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']'));
        if host.is_empty() || host.contains(strange) {
            let what = format!("`{host}` is not a name as a browser shows it");
            self.add(
                "hosts",
                what,
                "write the name without https:// and without a path: \"chat.example.com\"",
            );
        }
    }

    fn who(&mut self, settings: &Settings, open: bool, secret: &dyn Fn(&str) -> Option<SecretString>) -> Who {
        if settings.people.is_empty() {
            if open {
                self.add(
                    "people",
                    "the page can be reached from other machines, and anybody there could approve",
                    format!(
                        "give each person a table [channels.{}.people.NAME] with token_env = \"VARIABLE\", or listen on \
                         127.0.0.1 with no `hosts`",
                        self.channel
                    ),
                );
            }
            self.id("local", &settings.local);
            return Who::Local(Visitor { id: settings.local.clone(), name: settings.local.clone() });
        }
        let mut keyring = Keyring::new(&self.channel, settings.session.0);
        for (id, member) in &settings.people {
            self.id(&format!("people.{id}"), id);
            let key = format!("people.{id}.token_env");
            let name = member.name.clone().unwrap_or_else(|| id.clone());
            let Some(token) = secret(&member.token_env) else {
                let what = format!("the environment variable {} is not set", member.token_env);
                self.add(&key, what, "set it to a long random text, for example with `openssl rand -hex 24`");
                continue;
            };
            if let Err(what) = keyring.add(Visitor { id: id.clone(), name }, &token) {
                self.add(&key, what, "use another one, for example from `openssl rand -hex 24`");
            }
        }
        Who::Tokens(keyring)
    }

    /// An id is part of every place of the person, so it holds nothing that could end it.
    fn id(&mut self, key: &str, id: &str) {
        let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '@');
        if id.is_empty() || id.len() > 64 || !id.chars().all(fine) {
            let what = format!("`{id}` cannot be the id of a person");
            self.add(key, what, "use letters, digits and - _ . @, at most 64 of them");
        }
    }

    fn limits(&mut self, settings: &Settings) {
        let mut within = |key: &str, value: usize, low: usize, high: usize| {
            if !(low..=high).contains(&value) {
                let what = format!("{value} is out of bounds");
                self.add(key, what, format!("use a number from {low} to {high}"));
            }
        };
        within("text_bytes_max", settings.text_bytes_max, 256, 1024 * 1024);
        within("files_max", settings.files_max, 0, 20);
        within("file_bytes_max", settings.file_bytes_max, 1024, 32 * 1024 * 1024);
        within("requests_per_minute", settings.requests_per_minute as usize, 5, 6000);
        within(
            "session",
            usize::try_from(settings.session.0.as_secs()).unwrap_or(usize::MAX),
            300,
            366 * 86_400,
        );
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// Reads settings as the gateway does, from values in the shape of the file.
    fn check(settings: serde_json::Value) -> Result<Config, String> {
        let settings: Settings = serde_json::from_value(settings).map_err(|e| e.to_string())?;
        let secret = |name: &str| match name {
            "ANA" => Some(SecretString::from("ana-token-0123456789")),
            "BEN" => Some(SecretString::from("ben-token-0123456789")),
            "SHORT" => Some(SecretString::from("short")),
            _ => None,
        };
        let setup = Setup { name: ChannelName::new("web"), folder: Path::new("."), secret: &secret };
        Config::check(settings, &setup).map_err(|faults| faults.iter().map(|f| format!("{f}\n")).collect())
    }

    #[test]
    fn empty_settings_are_a_loopback_page_for_the_local_person() {
        let config = check(serde_json::json!({})).ok().unwrap();
        assert!(config.listen.ip().is_loopback());
        assert_eq!(config.who.ids(), ["you"]);
        assert_eq!(config.who.grounds(), "loopback page");
    }

    #[test]
    fn a_page_that_others_can_reach_needs_people() {
        for settings in [
            serde_json::json!({ "listen": "0.0.0.0:7420" }),
            serde_json::json!({ "listen": "[::]:7420" }),
            serde_json::json!({ "hosts": ["chat.example.com"] }),
        ] {
            let fault = check(settings).err().unwrap();
            assert!(fault.contains("[channels.web.people.NAME]"), "{fault}");
        }
        let people = serde_json::json!({ "ana": { "token_env": "ANA" } });
        assert!(check(serde_json::json!({ "listen": "0.0.0.0:7420", "people": people })).is_ok());
        assert!(check(serde_json::json!({ "hosts": ["localhost:9000"] })).is_ok());
    }

    #[test]
    fn every_fault_is_told_at_once() {
        let fault = check(serde_json::json!({
            "listen": "everywhere",
            "hosts": ["https://chat.example.com/"],
            "people": { "a/b": { "token_env": "ANA" }, "ben": { "token_env": "NOWHERE" }, "cy": { "token_env": "SHORT" },
                        "ana": { "token_env": "ANA" } },
            "files_max": 1000,
        }))
        .err()
        .unwrap();
        insta::assert_snapshot!(fault);
    }

    #[test]
    fn unknown_keys_are_refused() {
        assert!(check(serde_json::json!({ "port": 7420 })).err().unwrap().contains("port"));
    }
}
