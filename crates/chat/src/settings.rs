//! Settings that chat platforms share, and what is wrong with a table of settings, all of it at once.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use channel::{ChannelName, Error, Span};
use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

/// What is read again after an outage: from the places and threads where the bot was spoken to.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Backfill {
    /// How far back.
    pub back: Span,
    /// How many places and threads, the latest first.
    pub places: usize,
    /// How many messages altogether.
    pub messages: usize,
}

impl Default for Backfill {
    fn default() -> Self {
        Self { back: Span::seconds(24 * 3_600), places: 200, messages: 2_000 }
    }
}

/// What is wrong with the settings of a channel, so far.
#[derive(Debug)]
pub struct Faults {
    channel: ChannelName,
    /// Each with its key and its remedy.
    pub found: Vec<Error>,
}

impl Faults {
    /// Nothing yet.
    pub fn new(channel: &ChannelName) -> Self {
        Self { channel: channel.clone(), found: Vec::new() }
    }

    /// Something is wrong with a key.
    pub fn add(&mut self, key: &str, what: impl fmt::Display, remedy: impl Into<String>) {
        let what = format!("channels.{}.{key}: {what}", self.channel);
        self.found.push(Error::misconfigured(what, remedy));
    }

    /// The secret in an environment variable, which begins with `prefix`. `whence` says where one gets it.
    pub fn secret(
        &mut self,
        (key, name): (&str, &str),
        prefix: &str,
        whence: &str,
        secret: &dyn Fn(&str) -> Option<SecretString>,
    ) -> Option<SecretString> {
        let Some(value) = secret(name) else {
            self.add(key, format!("the environment variable {name} is not set"), whence);
            return None;
        };
        if !value.expose_secret().starts_with(prefix) {
            let what = format!("what the environment variable {name} holds does not begin with `{prefix}`");
            self.add(key, what, whence);
            return None;
        }
        Some(value)
    }

    /// The address to listen on.
    pub fn listen(&mut self, key: &str, text: &str) -> Option<SocketAddr> {
        let written = match text.strip_prefix("localhost:") {
            Some(port) => format!("127.0.0.1:{port}"),
            None => text.to_owned(),
        };
        let parsed = written.parse().ok();
        if parsed.is_none() {
            let what = format!("`{text}` is not an IP address and a port");
            self.add(key, what, "write for example \"127.0.0.1:7430\"");
        }
        parsed
    }

    /// The address of the platform. Tokens travel there, so it is TLS or it is this machine.
    pub fn platform(&mut self, key: &str, text: &str, remedy: &str) {
        match reqwest::Url::parse(text) {
            Ok(url) if url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url)) => {
                if text.ends_with('/') {
                    self.add(key, "it ends with a slash", "leave the slash away");
                }
            }
            Ok(_) => self.add(key, format!("`{text}` is not https, and not on this machine"), remedy),
            Err(error) => self.add(key, format!("`{text}` is no address: {error}"), remedy),
        }
    }

    /// A number within its bounds.
    pub fn within(&mut self, key: &str, value: f64, low: f64, high: f64) {
        if !(low..=high).contains(&value) {
            let remedy = format!("use a number from {low} to {high}");
            self.add(key, format!("{value} is out of bounds"), remedy);
        }
    }

    /// What is read again, within its bounds.
    pub fn backfill(&mut self, backfill: &Backfill) {
        let month = Duration::from_hours(24 * 30).as_secs_f64();
        self.within("backfill.places", backfill.places as f64, 0.0, 2000.0);
        self.within("backfill.messages", backfill.messages as f64, 0.0, 100_000.0);
        self.within("backfill.back", backfill.back.0.as_secs_f64(), 0.0, month);
    }
}

/// Whether an address leads to this machine.
pub fn is_loopback(url: &reqwest::Url) -> bool {
    match url.host_str() {
        Some("localhost") => true,
        Some(host) => host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback()),
        None => false,
    }
}
