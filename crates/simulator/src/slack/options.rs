//! How a simulated Slack is set up.

use std::time::Duration;

/// The scopes that an assistant-style bot asks for.
pub const SCOPES: &[&str] = &[
    "app_mentions:read",
    "assistant:write",
    "channels:history",
    "channels:read",
    "chat:write",
    "commands",
    "files:read",
    "files:write",
    "groups:history",
    "groups:read",
    "im:history",
    "im:read",
    "im:write",
    "mpim:history",
    "mpim:read",
    "reactions:read",
    "reactions:write",
    "users:read",
];

/// What a simulated Slack is like at its start; most of it can be changed later through the control.
#[derive(Clone, Debug)]
pub struct Options {
    /// The port of the Web API on 127.0.0.1; 0 takes any free one.
    pub port: u16,
    /// Whether the app is also installed in a second workspace, "Globex".
    pub second_team: bool,
    /// The enterprise that the first workspace belongs to, if any.
    pub enterprise_id: Option<String>,
    /// The scopes of the bot tokens.
    pub scopes: Vec<String>,
    /// Whether the methods that stream text exist.
    pub streaming: bool,
    /// Whether posting too fast is refused.
    pub rate_limits: bool,
    /// How the app hears of events.
    pub events: Events,
    /// How often a socket is pinged.
    pub ping_every: Duration,
    /// By how much Slack's waits are stretched: 0.01 makes a minute 0.6 seconds. An app always has half a second to
    /// acknowledge, and three to use a trigger.
    pub time_scale: f64,
}

/// How the app hears of events, interactions and slash commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Events {
    /// Over the sockets that the app opens (Socket Mode).
    Socket,
    /// As signed HTTP requests.
    Http {
        /// Where the app listens: events, interactions and slash commands all go there.
        url: String,
    },
}

impl Default for Options {
    fn default() -> Self {
        Self {
            port: 0,
            second_team: false,
            enterprise_id: None,
            scopes: SCOPES.iter().map(|&scope| scope.to_owned()).collect(),
            streaming: true,
            rate_limits: false,
            events: Events::Socket,
            ping_every: Duration::from_secs(5),
            time_scale: 1.0,
        }
    }
}
