//! How a simulated Discord is set up, and what is there at its start.

use std::time::Duration;

/// The application, which is also its bot user.
pub const APP: &str = "1450000000000000001";
/// The guild "Acme".
pub const GUILD: &str = "1450000000041943040";
/// The guild "Globex", where the bot is, too.
pub const GUILD_TWO: &str = "1450000000046137344";
/// The guild "Initech", which falls on the other of two shards than "Globex".
pub const GUILD_THREE: &str = "1450000000050331648";
/// Ana, a member of Acme.
pub const ANA: &str = "1450000000100000001";
/// Ben, a member of Acme with the role "boss" and a nickname.
pub const BEN: &str = "1450000000100000002";
/// Cy, a member of Acme who takes no direct messages.
pub const CY: &str = "1450000000100000003";
/// Gia, a member of Globex.
pub const GIA: &str = "1450000000100000004";
/// Another app's bot in Acme.
pub const HELPER: &str = "1450000000100000005";
/// The owner of all guilds.
pub const OWNER: &str = "1450000000100000006";
/// Acme's channel "general".
pub const GENERAL: &str = "1450000000200000001";
/// Acme's channel "ops".
pub const OPS: &str = "1450000000200000002";
/// Acme's channel "private", which only the role "boss" can see.
pub const PRIVATE: &str = "1450000000200000003";
/// Acme's channel "readonly", where only the owner may write.
pub const READONLY: &str = "1450000000200000004";
/// Acme's forum "help".
pub const FORUM: &str = "1450000000200000005";
/// Globex's channel "globex".
pub const GLOBEX: &str = "1450000000200000006";
/// Initech's channel "initech".
pub const INITECH: &str = "1450000000200000007";
/// Acme's role "boss".
pub const BOSS: &str = "1450000000300000001";
/// Acme's role "oncall", which anybody may mention.
pub const ONCALL: &str = "1450000000300000002";
/// Acme's role for the bot.
pub const BOT_ROLE: &str = "1450000000300000003";

/// What a simulated Discord is like at its start; most of it can be changed later through the control.
#[derive(Clone, Debug)]
pub struct Options {
    /// The port of the HTTP server on 127.0.0.1; 0 takes any free one.
    pub port: u16,
    /// The privileged intents that are enabled for the app.
    pub privileged_intents: u64,
    /// The number of shards that is recommended; fewer than this are refused if `sharding_required`.
    pub shards: u64,
    /// Whether a session without shards is closed as one that would have too many guilds.
    pub sharding_required: bool,
    /// Whether requests that come too fast are refused.
    pub rate_limits: bool,
    /// How the app hears of interactions.
    pub events: Events,
    /// How often the app has to send a heartbeat.
    pub heartbeat: Duration,
    /// How many dispatches are kept for a session that resumes.
    pub replay: usize,
    /// How long a session without a socket can be resumed.
    pub resume_within: Duration,
    /// The invalid requests in ten minutes that get an address banned.
    pub ban_at: u64,
    /// By how much Discord's waits are stretched: 0.01 makes a minute 0.6 seconds. An app always has half a second to answer
    /// an interaction. The heartbeat is not stretched.
    pub time_scale: f64,
}

/// How the app hears of interactions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Events {
    /// Over the gateway.
    Gateway,
    /// As signed HTTP requests.
    Http {
        /// The app's endpoint.
        url: String,
    },
}

/// The bits of the intents.
pub mod intents {
    /// Guilds, roles, channels, threads.
    pub const GUILDS: u64 = 1;
    /// Members; privileged.
    pub const GUILD_MEMBERS: u64 = 1 << 1;
    /// Presences; privileged.
    pub const GUILD_PRESENCES: u64 = 1 << 8;
    /// Messages in guilds.
    pub const GUILD_MESSAGES: u64 = 1 << 9;
    /// Reactions in guilds.
    pub const GUILD_MESSAGE_REACTIONS: u64 = 1 << 10;
    /// Who types in guilds.
    pub const GUILD_MESSAGE_TYPING: u64 = 1 << 11;
    /// Direct messages.
    pub const DIRECT_MESSAGES: u64 = 1 << 12;
    /// Reactions in direct messages.
    pub const DIRECT_MESSAGE_REACTIONS: u64 = 1 << 13;
    /// Who types in direct messages.
    pub const DIRECT_MESSAGE_TYPING: u64 = 1 << 14;
    /// What messages in guilds say; privileged.
    pub const MESSAGE_CONTENT: u64 = 1 << 15;
    /// Those that have to be enabled for the app.
    pub const PRIVILEGED: u64 = GUILD_MEMBERS | GUILD_PRESENCES | MESSAGE_CONTENT;
    /// All that are documented.
    pub const ALL: u64 = 0x001f_ffff & !(0b111 << 17) | 0b11 << 20 | 0b11 << 24;
}

impl Default for Options {
    fn default() -> Self {
        Self {
            port: 0,
            privileged_intents: intents::PRIVILEGED,
            shards: 1,
            sharding_required: false,
            rate_limits: false,
            events: Events::Gateway,
            heartbeat: Duration::from_millis(41_250),
            replay: 1000,
            resume_within: Duration::from_secs(120),
            ban_at: 10_000,
            time_scale: 1.0,
        }
    }
}
