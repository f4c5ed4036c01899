//! What the app must be on Slack's side: its manifest, and the scopes it needs.
//!
//! <https://docs.slack.dev/reference/app-manifest>

use channel::Error;
use serde_json::{Value, json};

use crate::{
    config::{Receive, Settings},
    decode::SHORTCUT,
};

/// Every scope of the bot token, and what would not work without it.
const SCOPES: &[(&str, &str)] = &[
    ("app_mentions:read", "hear where it is mentioned"),
    ("assistant:write", "show a status, a title and suggestions in assistant threads"),
    ("channels:history", "hear what is said in threads of public channels, and read back what was sent"),
    ("channels:read", "know whether it is in a public channel"),
    ("chat:write", "send messages"),
    ("commands", "take slash commands and shortcuts"),
    ("files:read", "read files that people send"),
    ("files:write", "send files"),
    ("groups:history", "the same in private channels"),
    ("groups:read", "know whether it is in a private channel"),
    ("im:history", "hear direct messages"),
    ("im:read", "know its direct messages"),
    ("im:write", "begin direct messages: people are asked there"),
    ("mpim:history", "hear what is said in group messages"),
    ("mpim:read", "know its group messages"),
    ("reactions:write", "react to messages as a receipt"),
    ("users:read", "tell members, guests, strangers and bots apart"),
];

/// The events that are used.
const EVENTS: &[&str] = &[
    "app_mention",
    "app_uninstalled",
    "assistant_thread_started",
    "message.channels",
    "message.groups",
    "message.im",
    "message.mpim",
    "tokens_revoked",
];

/// What is wrong with the scopes of a token.
pub(crate) fn missing_scopes(settings: &Settings, granted: &[String], variable: &str) -> Vec<Error> {
    let missing =
        SCOPES.iter().filter(|(scope, _)| wanted(settings, scope) && !granted.iter().any(|has| has == scope));
    missing
        .map(|(scope, purpose)| {
            Error::misconfigured(
                format!("the token in {variable} lacks the scope {scope}, to {purpose}"),
                format!(
                    "add {scope} under OAuth & Permissions, install the app again, and put the token that is shown then \
                     into {variable}"
                ),
            )
        })
        .collect()
}

fn wanted(settings: &Settings, scope: &str) -> bool {
    match scope {
        "commands" => !settings.commands.is_empty(),
        "reactions:write" => {
            let reactions = &settings.reactions;
            [&reactions.working, &reactions.done, &reactions.failed].iter().any(|emoji| !emoji.is_empty())
        }
        _ => true,
    }
}

/// The manifest for these settings, as YAML.
pub(crate) fn yaml(settings: &Settings) -> String {
    let socket = settings.receive == Receive::Socket;
    let scopes: Vec<&str> =
        SCOPES.iter().map(|(scope, _)| *scope).filter(|scope| wanted(settings, scope)).collect();
    let mut commands = Vec::new();
    for (name, words) in &settings.commands {
        let mut command = json!({
            "command": name, "description": words, "usage_hint": "ask where is order 1001?", "should_escape": true,
        });
        with_url(&mut command, "url", settings, socket);
        commands.push(command);
    }
    let mut events = json!({ "bot_events": EVENTS });
    with_url(&mut events, "request_url", settings, socket);
    let mut interactivity = json!({ "is_enabled": true });
    with_url(&mut interactivity, "request_url", settings, socket);
    let manifest = json!({
        "_metadata": { "major_version": 2, "minor_version": 1 },
        "display_information": {
            "name": settings.app_name,
            "description": "Small agents that do things for you, and ask before they do what matters.",
        },
        "features": {
            "app_home": { "home_tab_enabled": false, "messages_tab_enabled": true, "messages_tab_read_only_enabled": false },
            "assistant_view": {
                "assistant_description": "Small agents that do things for you, and ask before they do what matters.",
            },
            "bot_user": { "display_name": settings.app_name.to_lowercase().replace(' ', "-"), "always_online": true },
            "shortcuts": [{
                "name": "Ask an agent", "type": "message", "callback_id": SHORTCUT,
                "description": "Asks an agent about this message",
            }],
            "slash_commands": commands,
        },
        "oauth_config": { "scopes": { "bot": scopes } },
        "settings": {
            "event_subscriptions": events,
            "interactivity": interactivity,
            "org_deploy_enabled": false,
            "socket_mode_enabled": socket,
            "token_rotation_enabled": false,
        },
    });
    let mut text = String::from(HEAD);
    write(&manifest, 0, &mut text);
    text
}

const HEAD: &str =
    "# Switchboard's app manifest: at https://api.slack.com/apps choose Create New App, From a manifest.
# Made by `switchboard slack manifest`; what comes after that stands in channels/slack/README.md.
";

fn with_url(table: &mut Value, key: &str, settings: &Settings, socket: bool) {
    if let Some(table) = table.as_object_mut().filter(|_| !socket) {
        table.insert(key.to_owned(), settings.url.clone().into());
    }
}

/// Writes a value as block YAML. Every text is in double quotes, which YAML reads as JSON does.
fn write(value: &Value, depth: usize, text: &mut String) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                entry(&format!("{indent}{key}:"), value, depth, text);
            }
        }
        Value::Array(items) => {
            for item in items {
                match item {
                    Value::Object(_) => {
                        let mut inner = String::new();
                        write(item, depth + 1, &mut inner);
                        text.push_str(&format!("{indent}- {}", inner.trim_start()));
                    }
                    Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                        text.push_str(&format!("{indent}- {item}\n"));
                    }
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            text.push_str(&format!("{value}\n"))
        }
    }
}

fn entry(key: &str, value: &Value, depth: usize, text: &mut String) {
    match value {
        Value::Array(items) if items.is_empty() => text.push_str(&format!("{key} []\n")),
        Value::Object(fields) if fields.is_empty() => text.push_str(&format!("{key} {{}}\n")),
        Value::Object(_) | Value::Array(_) => {
            text.push_str(&format!("{key}\n"));
            write(value, depth + 1, text);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            text.push_str(&format!("{key} {value}\n"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifest_that_ships_is_the_one_that_is_printed() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/slack-app-manifest.yaml");
        let ships = std::fs::read_to_string(path).unwrap_or_default();
        assert_eq!(
            ships,
            yaml(&Settings::default()),
            "write it anew: switchboard slack manifest > deploy/slack-app-manifest.yaml"
        );
    }

    #[test]
    fn over_http_every_address_is_named() {
        let settings = Settings {
            receive: Receive::Http,
            url: "https://bot.example/slack".into(),
            ..Settings::default()
        };
        let text = yaml(&settings);
        assert_eq!(text.matches("\"https://bot.example/slack\"").count(), 3, "{text}");
        assert!(text.contains("socket_mode_enabled: false"), "{text}");
    }

    #[test]
    fn a_scope_that_is_missing_is_named_with_what_it_is_for() {
        let granted: Vec<String> = SCOPES.iter().map(|(scope, _)| (*scope).to_owned()).collect();
        assert!(missing_scopes(&Settings::default(), &granted, "TOKEN").is_empty());
        let some: Vec<String> = granted.into_iter().filter(|scope| scope != "users:read").collect();
        let told = missing_scopes(&Settings::default(), &some, "TOKEN");
        assert_eq!(told.len(), 1);
        assert!(told[0].to_string().contains("TOKEN lacks the scope users:read"), "{}", told[0]);
    }
}
