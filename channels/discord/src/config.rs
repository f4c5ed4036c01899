//! The channel's settings, and what they become once they are found sound.

use std::{collections::BTreeMap, net::SocketAddr};

use channel::{ChannelName, Error, Setup};
use chat::settings::{Backfill, Faults};
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::Deserialize;
use serenity::interactions_endpoint::Verifier;

use crate::place::is_id;

/// The table of a channel of kind `discord`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The environment variable that holds the bot's token.
    pub token_env: String,
    /// The API, with its version and without a slash at the end.
    pub api: String,
    /// How buttons, forms and commands come in: `gateway` (over the same connection as messages), or `http` (Discord posts
    /// them to `listen`, and needs to be told the address under General Information, Interactions Endpoint URL).
    pub interactions: Interactions,
    /// For `http`: where Discord's requests arrive, behind something that speaks TLS.
    pub listen: String,
    /// For `http`: the application's public key, 64 hexadecimal digits, from General Information.
    pub public_key: String,
    /// Whether to ask for what is said without naming the bot (the Message Content Intent, which must be switched on under
    /// Bot). Without it the bot hears mentions and direct messages, and in its threads only what mentions it.
    pub message_content: bool,
    /// Connections to divide the servers among; 0 for as many as Discord recommends.
    pub shards: u32,
    /// The ids of the servers that are listened to; empty for every server that the bot was added to.
    pub guilds: Vec<String>,
    /// Whether a mention in a channel opens a thread. Otherwise, and where the bot may not open one, the conversation goes
    /// on in replies.
    pub threads: bool,
    /// Whether a thread that the bot takes part in goes on without naming it.
    pub follow_threads: bool,
    /// Slash commands, with what Discord says about them. `/ask` goes to the agent that the routes name; a route may look
    /// at the command's name.
    pub commands: BTreeMap<String, String>,
    /// What a command offers as `agent`; a route sees it as part of the command: `command = "ask support"`.
    pub agents: Vec<String>,
    /// Whether answers appear as they grow, for models that stream.
    pub stream: bool,
    /// Reactions as a receipt, as emoji; an empty one is left out.
    pub reactions: Reactions,
    /// What is read again after an outage.
    pub backfill: Backfill,
    /// Limits.
    pub limits: Limits,
}

/// How buttons, forms and commands come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Interactions {
    /// Over the gateway connection.
    Gateway,
    /// By HTTP requests that Discord signs.
    Http,
}

/// Reactions to the message that began a request.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Reactions {
    /// While an agent works on it.
    pub working: String,
    /// When it is done.
    pub done: String,
    /// When the agent could not do it.
    pub failed: String,
}

/// Limits.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// The longest text that is taken, in bytes.
    pub text_bytes: usize,
    /// The most files of a message that are fetched.
    pub files: usize,
    /// The largest file that is fetched, in bytes.
    pub file_bytes: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            token_env: "DISCORD_TOKEN".to_owned(),
            api: "https://discord.com/api/v10".to_owned(),
            interactions: Interactions::Gateway,
            listen: "127.0.0.1:7431".to_owned(),
            public_key: String::new(),
            message_content: true,
            shards: 0,
            guilds: Vec::new(),
            threads: true,
            follow_threads: true,
            commands: BTreeMap::from([("ask".to_owned(), "Ask an agent".to_owned())]),
            agents: Vec::new(),
            stream: true,
            reactions: Reactions::default(),
            backfill: Backfill::default(),
            limits: Limits::default(),
        }
    }
}

impl Default for Reactions {
    fn default() -> Self {
        Self { working: "👀".to_owned(), done: "✅".to_owned(), failed: "⚠️".to_owned() }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { text_bytes: 64 * 1024, files: 10, file_bytes: 10 * 1024 * 1024 }
    }
}

/// The settings, found sound.
pub(crate) struct Config {
    pub(crate) channel: ChannelName,
    pub(crate) settings: Settings,
    pub(crate) token: SecretString,
    /// For interactions over HTTP: where, and whose signature counts.
    pub(crate) endpoint: Option<(SocketAddr, Verifier)>,
}

const WHENCE: &str = "set it to the token that Reset Token shows under Bot in the developer portal; \
                      channels/discord/README.md says more";

impl Config {
    /// Checks the settings, and reads the secret.
    pub(crate) fn check(settings: Settings, setup: &Setup<'_>) -> Result<Self, Vec<Error>> {
        let mut faults = Faults::new(&setup.name);
        let token = faults.secret(("token_env", &settings.token_env), "", WHENCE, setup.secret);
        faults.platform("api", &settings.api, "write \"https://discord.com/api/v10\"");
        let endpoint = match settings.interactions {
            Interactions::Gateway => None,
            Interactions::Http => {
                let listen = faults.listen("listen", &settings.listen);
                let verifier = verifier(&settings.public_key);
                if verifier.is_none() {
                    let remedy = "copy the Public Key from General Information in the developer portal";
                    faults.add("public_key", "it is no Ed25519 key of 64 hexadecimal digits", remedy);
                }
                listen.zip(verifier)
            }
        };
        for id in settings.guilds.iter().filter(|id| !is_id(id)) {
            let remedy = "write the server's id in quotes: right-click the server, Copy Server ID";
            faults.add("guilds", format!("`{id}` is no id"), remedy);
        }
        commands(&mut faults, &settings);
        let Settings { limits, backfill, .. } = &settings;
        faults.within("shards", f64::from(settings.shards), 0.0, 10_000.0);
        faults.within("limits.text_bytes", limits.text_bytes as f64, 256.0, 1024.0 * 1024.0);
        faults.within("limits.files", limits.files as f64, 0.0, 50.0);
        faults.within("limits.file_bytes", limits.file_bytes as f64, 1024.0, 64.0 * 1024.0 * 1024.0);
        faults.backfill(backfill);
        match token {
            Some(token) if faults.found.is_empty() => {
                Ok(Self { channel: setup.name.clone(), settings, token, endpoint })
            }
            Some(_) | None => Err(faults.found),
        }
    }
}

/// <https://discord.com/developers/docs/interactions/application-commands#application-command-object>
fn commands(faults: &mut Faults, settings: &Settings) {
    for (name, words) in &settings.commands {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
        if !(1..=32).contains(&name.len()) || !name.chars().all(plain) {
            let remedy = "write 1 to 32 small letters, digits, - or _, without a slash: \"ask\"";
            faults.add("commands", format!("`{name}` cannot be a slash command"), remedy);
        }
        if words.trim().is_empty() || words.chars().count() > 100 {
            faults.add(
                &format!("commands.{name}"),
                "Discord wants a description",
                "write 1 to 100 characters",
            );
        }
    }
    if settings.commands.len() > 100 {
        faults.add("commands", "Discord takes a hundred", "leave some out");
    }
    let fits = |name: &String| !name.trim().is_empty() && name.chars().count() <= 100;
    if settings.agents.len() > 25 || !settings.agents.iter().all(fits) {
        faults.add("agents", "Discord takes 25 choices of 1 to 100 characters", "shorten the list");
    }
}

fn verifier(key: &str) -> Option<Verifier> {
    let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(key.as_bytes()).ok()?;
    Verifier::try_new(bytes.try_into().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::{Value, json};

    use super::*;

    /// The public key of the signature that Discord's documentation shows.
    const KEY: &str = "67c6bd767ca099e79efac9fcce4d2022a63bf7dea780e7f3d813f694c1597089";

    fn check(settings: Value) -> Result<Config, Vec<String>> {
        let secret = |name: &str| (name == "DISCORD_TOKEN").then(|| SecretString::from("a-token-secret"));
        let setup = Setup { name: ChannelName::new("discord"), folder: Path::new("x"), secret: &secret };
        let settings: Settings = serde_json::from_value(settings).unwrap();
        Config::check(settings, &setup).map_err(|found| found.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn the_defaults_are_sound_both_ways() {
        assert!(check(json!({})).is_ok_and(|config| config.endpoint.is_none()));
        let http = json!({ "interactions": "http", "listen": "localhost:7431", "public_key": KEY });
        assert!(check(http).is_ok_and(|config| config.endpoint.is_some_and(|(at, _)| at.port() == 7431)));
    }

    #[test]
    fn every_fault_is_told_at_once_with_a_remedy() {
        let told = check(json!({
            "token_env": "ABSENT", "api": "http://evil.example/api", "interactions": "http", "listen": "here",
            "public_key": "12", "guilds": ["my server"], "commands": { "/ask": "", "Ask": "x" },
            "agents": [""], "limits": { "text_bytes": 1 }, "backfill": { "places": 9000 },
        }))
        .err()
        .unwrap()
        .join("\n");
        for wanted in [
            "channels.discord.token_env: the environment variable ABSENT is not set (set it to the token",
            "not https",
            "`here` is not an IP address",
            "public_key",
            "`my server` is no id",
            "`/ask` cannot be a slash command",
            "`Ask` cannot be a slash command",
            "commands./ask",
            "agents",
            "text_bytes: 1 is out of bounds",
            "backfill.places",
        ] {
            assert!(told.contains(wanted), "no `{wanted}` in:\n{told}");
        }
    }

    #[test]
    fn unknown_keys_are_refused() {
        assert!(serde_json::from_value::<Settings>(json!({ "tokn": 1 })).is_err());
        assert!(serde_json::from_value::<Settings>(json!({ "limits": { "x": 1 } })).is_err());
    }
}
