//! What the bot must be on Discord's side: its commands, its permissions, its intents.

use channel::Error;
use chat::payload::{list, text};
use serde_json::{Value, json};
use serenity::{
    all::{CommandOptionType, CommandType, InstallationContext, InteractionContext, Permissions},
    builder::{CreateCommand, CreateCommandOption},
};

use crate::{
    config::{Interactions, Settings},
    decode::{AGENT, REQUEST, SHORTCUT},
};

/// What the bot's role is allowed, and what would not work without it.
const PERMISSIONS: &[(Permissions, &str, &str)] = &[
    (Permissions::VIEW_CHANNEL, "View Channels", "hear where it is mentioned"),
    (Permissions::SEND_MESSAGES, "Send Messages", "answer"),
    (Permissions::CREATE_PUBLIC_THREADS, "Create Public Threads", "give each conversation a thread"),
    (Permissions::SEND_MESSAGES_IN_THREADS, "Send Messages in Threads", "answer there"),
    (Permissions::EMBED_LINKS, "Embed Links", "show cards"),
    (Permissions::ATTACH_FILES, "Attach Files", "send files"),
    (
        Permissions::READ_MESSAGE_HISTORY,
        "Read Message History",
        "read again what it missed, and read back what it sent",
    ),
    (Permissions::ADD_REACTIONS, "Add Reactions", "react to messages as a receipt"),
];

/// Bits of an application that say that it may hear what is said:
/// <https://discord.com/developers/docs/resources/application#application-object-application-flags>.
const MESSAGE_CONTENT: u64 = 1 << 18 | 1 << 19;

/// The commands for these settings, as Discord takes them.
pub(crate) fn commands(settings: &Settings) -> Value {
    let mut commands: Vec<CreateCommand> = Vec::new();
    for (name, words) in &settings.commands {
        let request = CreateCommandOption::new(CommandOptionType::String, REQUEST, "What is to be done");
        let mut command = CreateCommand::new(name).description(words).add_option(request.required(true));
        if !settings.agents.is_empty() {
            let mut agent = CreateCommandOption::new(CommandOptionType::String, AGENT, "Who is to do it");
            for name in &settings.agents {
                agent = agent.add_string_choice(name, name);
            }
            command = command.add_option(agent);
        }
        commands.push(everywhere(command.kind(CommandType::ChatInput)));
    }
    commands.push(everywhere(CreateCommand::new(SHORTCUT).kind(CommandType::Message)));
    json!(commands)
}

/// For members of servers that the bot was added to, there and in its direct messages.
fn everywhere(command: CreateCommand) -> CreateCommand {
    command
        .integration_types(vec![InstallationContext::Guild])
        .contexts(vec![InteractionContext::Guild, InteractionContext::BotDm])
}

/// Whether Discord has these commands already. It adds fields of its own to what it was given.
pub(crate) fn same(known: &Value, wanted: &Value) -> bool {
    let of = |commands: &Value| -> Vec<Value> {
        let mut commands: Vec<Value> = list(commands, &[])
            .iter()
            .map(|command| {
                let options = list(command, &["options"]).iter().map(|option| {
                    let choices: Vec<Option<&str>> =
                        list(option, &["choices"]).iter().map(|choice| text(choice, &["value"])).collect();
                    let required = chat::payload::is(option, &["required"]);
                    json!([text(option, &["name"]), text(option, &["description"]), required, choices])
                });
                let kind = command.get("type").and_then(Value::as_u64).unwrap_or(1);
                json!([
                    kind,
                    text(command, &["name"]),
                    text(command, &["description"]),
                    options.collect::<Vec<_>>()
                ])
            })
            .collect();
        commands.sort_by_key(Value::to_string);
        commands
    };
    of(known) == of(wanted)
}

/// What is wrong with the application's intents.
pub(crate) fn missing_intent(settings: &Settings, application: &Value) -> Option<Error> {
    let flags = application.get("flags").and_then(Value::as_u64).unwrap_or(0);
    (settings.message_content && flags & MESSAGE_CONTENT == 0).then(|| {
        Error::misconfigured(
            "the application lacks the Message Content Intent, to hear what is said in threads without naming the bot",
            "switch it on under Bot in the developer portal, or set message_content = false",
        )
    })
}

/// What an administrator does, for these settings.
pub(crate) fn text_for(settings: &Settings) -> String {
    let all = PERMISSIONS.iter().fold(Permissions::empty(), |all, (permission, _, _)| all | *permission);
    let mut told = format!(
        "# Made by `switchboard discord manifest`; channels/discord/README.md says what to do with it.\n\n\
         # Add the bot to a server (APPLICATION_ID stands under General Information):\n\
         invite: https://discord.com/oauth2/authorize?client_id=APPLICATION_ID&scope=bot+applications.commands&permissions={}\n\n\
         permissions:\n",
        all.bits()
    );
    for (_, name, purpose) in PERMISSIONS {
        told.push_str(&format!("  - {name}  # {purpose}\n"));
    }
    told.push_str("\n# Under Bot, Privileged Gateway Intents:\n");
    told.push_str(if settings.message_content {
        "intents: [Message Content]\n"
    } else {
        "intents: []  # message_content = false\n"
    });
    if settings.interactions == Interactions::Http {
        told.push_str(&format!(
            "\n# Under General Information, the address at which {} is reached from outside:\n\
             interactions_endpoint_url: https://…\n",
            settings.listen
        ));
    }
    told.push_str("\n# Registered by the gateway itself when it connects:\ncommands:\n");
    for (name, words) in &settings.commands {
        told.push_str(&format!("  - /{name}  # {words}\n"));
    }
    told.push_str(&format!("  - \"{SHORTCUT}\" in the menu of a message\n"));
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_discord_is_given() {
        let settings = Settings { agents: vec!["support".into(), "deploy".into()], ..Settings::default() };
        insta::assert_json_snapshot!("commands", commands(&settings));
        insta::assert_snapshot!("manifest", text_for(&settings));
    }

    #[test]
    fn commands_are_registered_only_where_they_differ() {
        let wanted = commands(&Settings::default());
        let mut known = wanted.clone();
        for (n, command) in known.as_array_mut().unwrap().iter_mut().enumerate() {
            command["id"] = n.to_string().into();
            command["version"] = "1".into();
            command["default_member_permissions"] = Value::Null;
        }
        known.as_array_mut().unwrap().reverse();
        assert!(same(&known, &wanted));
        assert!(!same(&json!([]), &wanted));
        known[0]["name"] = "other".into();
        assert!(!same(&known, &wanted));
    }

    #[test]
    fn a_missing_intent_is_told_where_it_is_wanted() {
        let lacks = json!({ "flags": 0 });
        assert!(missing_intent(&Settings::default(), &lacks).is_some());
        assert!(missing_intent(&Settings::default(), &json!({ "flags": 1 << 19 })).is_none());
        let without = Settings { message_content: false, ..Settings::default() };
        assert!(missing_intent(&without, &lacks).is_none());
    }
}
