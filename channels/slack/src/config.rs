//! The channel's settings, and what they become once they are found sound.

use std::{collections::BTreeMap, net::SocketAddr};

use channel::{ChannelName, Error, Setup, Span};
use chat::settings::{Backfill, Faults};
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::Deserialize;

/// The table of a channel of kind `slack`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// How events come in: `socket` (the gateway connects to Slack; nothing needs to be reachable from outside), or
    /// `http` (Slack posts to `listen`).
    pub receive: Receive,
    /// The environment variables that hold bot tokens (`xoxb-…`), one for each workspace.
    pub bot_tokens_env: Vec<String>,
    /// For `socket`: the environment variable that holds the app-level token (`xapp-…`).
    pub app_token_env: String,
    /// For `http`: the environment variables that hold signing secrets. Two while one is being replaced.
    pub signing_secrets_env: Vec<String>,
    /// For `http`: where Slack's requests arrive, behind something that speaks TLS.
    pub listen: String,
    /// For `http`: the address of that, as Slack reaches it; it stands in the manifest.
    pub url: String,
    /// The Web API, without a slash at the end. Another one for a government workspace.
    pub api: String,
    /// For `socket`: connections kept open at the same time. Slack allows ten for an app.
    pub connections: usize,
    /// For `socket`: a connection on which nothing was heard for so long is replaced.
    pub silence: Span,
    /// The app's name in the manifest.
    pub app_name: String,
    /// Slash commands, with what Slack says about them. `/agent ask …` goes to the agent that the routes name; a route
    /// may look at the command's name.
    pub commands: BTreeMap<String, String>,
    /// Whether a thread that the bot takes part in goes on without naming it.
    pub follow_threads: bool,
    /// Guests of the workspace: `talk`, or `ignore`.
    pub guests: Who,
    /// People of other organisations, in channels shared with them: `talk` (as somebody unproven: a route must say
    /// `unverified = "allow"`), or `ignore`.
    pub strangers: Who,
    /// Whether answers appear as they grow, for models that stream.
    pub stream: bool,
    /// Reactions as a receipt, by emoji names; an empty one is left out.
    pub reactions: Reactions,
    /// What an empty assistant thread offers to say.
    pub prompts: Vec<String>,
    /// What is read again after an outage.
    pub backfill: Backfill,
    /// Limits.
    pub limits: Limits,
}

/// How events come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Receive {
    /// Socket Mode.
    Socket,
    /// The Events API.
    Http,
}

/// Whether some people are listened to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Who {
    /// They may talk to agents.
    Talk,
    /// What they say starts nothing.
    Ignore,
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
    /// Messages a second in one place, on average. Slack allows about one.
    pub posts_per_second: f64,
    /// How many may go at once before that counts.
    pub posts_at_once: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            receive: Receive::Socket,
            bot_tokens_env: vec!["SLACK_BOT_TOKEN".to_owned()],
            app_token_env: "SLACK_APP_TOKEN".to_owned(),
            signing_secrets_env: vec!["SLACK_SIGNING_SECRET".to_owned()],
            listen: "127.0.0.1:7430".to_owned(),
            url: "https://switchboard.example.com/slack".to_owned(),
            api: "https://slack.com/api".to_owned(),
            connections: 2,
            silence: Span::seconds(30),
            app_name: "Switchboard".to_owned(),
            commands: BTreeMap::from([("/agent".to_owned(), "Ask an agent".to_owned())]),
            follow_threads: true,
            guests: Who::Talk,
            strangers: Who::Ignore,
            stream: true,
            reactions: Reactions::default(),
            prompts: Vec::new(),
            backfill: Backfill::default(),
            limits: Limits::default(),
        }
    }
}

impl Default for Reactions {
    fn default() -> Self {
        Self { working: "eyes".to_owned(), done: "white_check_mark".to_owned(), failed: "warning".to_owned() }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            text_bytes: 64 * 1024,
            files: 10,
            file_bytes: 10 * 1024 * 1024,
            posts_per_second: 1.0,
            posts_at_once: 4,
        }
    }
}

/// The settings, found sound.
pub(crate) struct Config {
    pub(crate) channel: ChannelName,
    pub(crate) settings: Settings,
    /// Tokens of bots, one a workspace.
    pub(crate) bots: Vec<SecretString>,
    pub(crate) way: Way,
}

/// How events come in, with what that takes.
pub(crate) enum Way {
    Socket { app: SecretString },
    Http { listen: SocketAddr, secrets: Vec<SecretString> },
}

impl Config {
    /// Checks the settings, and reads the secrets.
    pub(crate) fn check(settings: Settings, setup: &Setup<'_>) -> Result<Self, Vec<Error>> {
        let mut faults = Faults::new(&setup.name);
        let bots = secrets(&mut faults, "bot_tokens_env", &settings.bot_tokens_env, "xoxb-", setup.secret);
        let way = match settings.receive {
            Receive::Socket => {
                let named = ("app_token_env", settings.app_token_env.as_str());
                let app = faults.secret(named, "xapp-", whence("xapp-"), setup.secret);
                app.map(|app| Way::Socket { app })
            }
            Receive::Http => {
                let secrets = secrets(
                    &mut faults,
                    "signing_secrets_env",
                    &settings.signing_secrets_env,
                    "",
                    setup.secret,
                );
                faults.listen("listen", &settings.listen).map(|listen| Way::Http { listen, secrets })
            }
        };
        let remedy = "write \"https://slack.com/api\", or \"https://slack-gov.com/api\"";
        faults.platform("api", &settings.api, remedy);
        commands(&mut faults, &settings.commands);
        numbers(&mut faults, &settings);
        match way {
            Some(way) if faults.found.is_empty() => {
                Ok(Self { channel: setup.name.clone(), settings, bots, way })
            }
            Some(_) | None => Err(faults.found),
        }
    }
}

/// Reads the secrets that a key names.
fn secrets(
    faults: &mut Faults,
    key: &str,
    names: &[String],
    prefix: &str,
    secret: &dyn Fn(&str) -> Option<SecretString>,
) -> Vec<SecretString> {
    if names.is_empty() {
        faults.add(key, "it names no environment variable", "name at least one");
    }
    names.iter().filter_map(|name| faults.secret((key, name), prefix, whence(prefix), secret)).collect()
}

fn commands(faults: &mut Faults, commands: &BTreeMap<String, String>) {
    for (name, words) in commands {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
        let fine = name
            .strip_prefix('/')
            .is_some_and(|rest| (1..=31).contains(&rest.len()) && rest.chars().all(plain));
        if !fine {
            let remedy = "write a slash and up to 31 small letters, digits, - or _: \"/agent\"";
            faults.add("commands", format!("`{name}` cannot be a slash command"), remedy);
        }
        if words.trim().is_empty() || words.chars().count() > 100 {
            faults.add(&format!("commands.{name}"), "Slack wants a description", "write 1 to 100 characters");
        }
    }
}

fn numbers(faults: &mut Faults, settings: &Settings) {
    let Settings { limits, backfill, .. } = settings;
    faults.within("connections", settings.connections as f64, 1.0, 10.0);
    faults.within("silence", settings.silence.0.as_secs_f64(), 0.1, 600.0);
    faults.within("limits.text_bytes", limits.text_bytes as f64, 256.0, 1024.0 * 1024.0);
    faults.within("limits.files", limits.files as f64, 0.0, 50.0);
    faults.within("limits.file_bytes", limits.file_bytes as f64, 1024.0, 64.0 * 1024.0 * 1024.0);
    faults.within("limits.posts_per_second", limits.posts_per_second, 0.01, 1000.0);
    faults.within("limits.posts_at_once", f64::from(limits.posts_at_once), 1.0, 1000.0);
    faults.backfill(backfill);
}

fn whence(prefix: &str) -> &'static str {
    match prefix {
        "xoxb-" => {
            "set it to the bot token of the app: OAuth & Permissions, Bot User OAuth Token; channels/slack/README.md says more"
        }
        "xapp-" => {
            "set it to an app-level token with the scope connections:write: Basic Information, App-Level Tokens"
        }
        _ => "set it to the app's signing secret: Basic Information, App Credentials",
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::{Value, json};

    use super::*;

    fn check(settings: Value) -> Result<Config, Vec<String>> {
        let secret = |name: &str| match name {
            "SLACK_BOT_TOKEN" => Some(SecretString::from("xoxb-1-secret")),
            "SLACK_APP_TOKEN" => Some(SecretString::from("xapp-1-secret")),
            "SLACK_SIGNING_SECRET" => Some(SecretString::from("signing-secret")),
            "WRONG" => Some(SecretString::from("xoxp-a-user-secret")),
            _ => None,
        };
        let setup = Setup { name: ChannelName::new("slack"), folder: Path::new("x"), secret: &secret };
        let settings: Settings = serde_json::from_value(settings).unwrap();
        Config::check(settings, &setup).map_err(|found| found.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn the_defaults_are_sound_both_ways() {
        assert!(matches!(check(json!({})).map(|config| config.way), Ok(Way::Socket { .. })));
        let http = check(json!({ "receive": "http", "listen": "localhost:7430" })).map(|config| config.way);
        let Ok(Way::Http { listen, secrets }) = http else { panic!("not http") };
        assert_eq!((listen.port(), secrets.len()), (7430, 1));
    }

    #[test]
    fn every_fault_is_told_at_once_with_a_remedy_and_without_a_secret() {
        let told = check(json!({
            "bot_tokens_env": ["WRONG", "ABSENT"], "app_token_env": "ABSENT", "api": "http://evil.example/api",
            "commands": { "agent": "", "/Ask": "x" }, "connections": 11, "silence": "0s",
            "limits": { "posts_per_second": 0.0 },
        }))
        .err()
        .unwrap()
        .join("\n");
        for wanted in [
            "channels.slack.bot_tokens_env: what the environment variable WRONG holds does not begin with `xoxb-`",
            "ABSENT is not set (set it to the bot token",
            "ABSENT is not set (set it to an app-level token",
            "not https",
            "`agent` cannot be a slash command",
            "`/Ask` cannot be a slash command",
            "commands.agent",
            "connections: 11 is out of bounds",
            "silence: 0",
            "posts_per_second: 0",
        ] {
            assert!(told.contains(wanted), "no `{wanted}` in:\n{told}");
        }
        assert!(!told.contains("secret\"") && !told.contains("xoxp-"), "{told}");
    }

    #[test]
    fn unknown_keys_are_refused() {
        assert!(serde_json::from_value::<Settings>(json!({ "tokn": 1 })).is_err());
        assert!(serde_json::from_value::<Settings>(json!({ "limits": { "x": 1 } })).is_err());
    }
}
