//! What a test looks at.

use data_encoding::BASE64;
use serde_json::{Value, json};

use super::act::id;
use crate::discord::{
    ids::Id,
    interaction::Interaction,
    limits::INVALID_WITHIN,
    message::{LOADING, Message, strings},
    options::Events,
    people::Denied,
    world::{Channel, DM, World},
};
use crate::shared::ask::{Ask, Done};

/// Shows what is asked for, if it is one of these.
pub(super) fn run(world: &mut World, operation: &str, ask: &Ask) -> Option<Done> {
    Some(match operation {
        "messages" => messages(world, ask),
        "interaction" => id(ask, "id").and_then(|id| {
            let found = world.interactions.get(&id).map(interaction);
            found.ok_or_else(|| format!("there is no interaction {id}"))
        }),
        "interactions" => Ok(json!(world.interactions.values().map(interaction).collect::<Vec<_>>())),
        "who_types" => who_types(world, ask),
        "calls" => Ok(calls(world, ask)),
        "deliveries" => Ok(json!(world.sessions.deliveries)),
        "sockets" => Ok(world.show_sockets()),
        "sessions" => Ok(sessions(world)),
        "channels" => Ok(json!(world.channels.values().map(channel).collect::<Vec<_>>())),
        "commands" => {
            let guild = ask.text("guild").and_then(|guild| guild.parse().ok());
            Ok(json!(world.commands.get(&guild).cloned().unwrap_or_default()))
        }
        "mishaps" => Ok(json!(world.mishaps)),
        "state" => Ok(state(world, ask)),
        "time" => Ok(json!({
            "now_ms": world.now_ms(),
            "now_us": world.now_us(),
            "id": world.snowflakes.next().to_string(),
            "time_scale": world.settings.options.time_scale,
        })),
        "settings" => Ok(settings(world)),
        _ => return None,
    })
}

fn place<'a>(world: &'a World, ask: &Ask) -> Result<&'a Channel, Denied> {
    let id = id(ask, "channel")?;
    world.channels.get(&id).ok_or_else(|| format!("there is no channel {id}"))
}

fn messages(world: &World, ask: &Ask) -> Done {
    let viewer = ask.text("viewer").and_then(|viewer| viewer.parse().ok());
    Ok(json!(list(world, place(world, ask)?, viewer)))
}

/// The messages of a channel, oldest first; of those that only one person sees, the viewer's.
fn list(world: &World, channel: &Channel, viewer: Option<Id>) -> Vec<Value> {
    let seen = |message: &&Message| match (message.ephemeral_to, viewer) {
        (Some(only), Some(viewer)) => only == viewer,
        (None, _) | (Some(_), None) => true,
    };
    let living = channel.messages.values().filter(|message| !message.deleted);
    living.filter(seen).map(|message| show(world, channel, message)).collect()
}

fn show(world: &World, channel: &Channel, message: &Message) -> Value {
    let files: Vec<Value> = message
        .attachments
        .iter()
        .map(|file| {
            json!({
                "id": file.id.to_string(),
                "name": file.filename,
                "mimetype": file.content_type,
                "description": file.description,
                "size": file.content.len(),
                "url": world.attachment_url(message, file),
                "content": BASE64.encode(&file.content),
            })
        })
        .collect();
    let reactions = message.reactions.iter().map(|reaction| {
        json!({"name": reaction.emoji, "users": strings(&reaction.users), "count": reaction.users.len()})
    });
    let thread = world.channels.get(&message.id).filter(|it| it.parent == Some(channel.id) && !it.deleted);
    json!({
        "id": message.id.to_string(),
        "channel": channel.id.to_string(),
        "user": message.author.to_string(),
        "called": world.called(message.author, channel.guild),
        "webhook": message.webhook.as_ref().map(|(_, name)| name),
        "kind": message.kind,
        "text": message.content,
        "embeds": message.embeds,
        "components": message.components,
        "files": files,
        "reactions": reactions.collect::<Vec<_>>(),
        "ephemeral_to": message.ephemeral_to.map(|user| user.to_string()),
        "loading": message.flags & LOADING != 0,
        "edited": message.edited_ms,
        "rings": message.rings,
        "reply_to": message.replies_to().map(|id| id.to_string()),
        "nonce": message.nonce,
        "flags": message.flags,
        "interaction": message.interaction.as_ref().and_then(|it| it.get("id")),
        "thread": thread.map(|thread| thread.id.to_string()),
        "at_us": message.at_us,
    })
}

fn interaction(found: &Interaction) -> Value {
    json!({
        "id": found.id.to_string(),
        "kind": found.kind,
        "user": found.user.to_string(),
        "channel": found.channel.to_string(),
        "state": found.state(),
        "answer": found.answered.map(|(kind, _)| kind),
        "response": found.response.map(|id| id.to_string()),
        "payload": found.payload,
        "at_us": found.at_us,
        "answered_us": found.answered.map(|(_, at)| at),
    })
}

fn who_types(world: &World, ask: &Ask) -> Done {
    let typing = place(world, ask)?.typing.iter();
    Ok(json!(typing.map(|(user, at)| json!({"user": user.to_string(), "at_us": at})).collect::<Vec<_>>()))
}

fn calls(world: &World, ask: &Ask) -> Value {
    let wanted = |call: &&Value| match ask.text("method") {
        Some(method) => call.get("method").is_some_and(|name| name == method),
        None => true,
    };
    json!(world.calls.iter().filter(wanted).collect::<Vec<_>>())
}

fn sessions(world: &World) -> Value {
    let shown = world.sessions.all.iter().map(|(id, session)| {
        json!({
            "id": id,
            "intents": session.intents,
            "shard": [session.shard.0, session.shard.1],
            "seq": session.seq,
            "socket": session.socket,
            "resumed": session.resumed,
        })
    });
    json!(shown.collect::<Vec<_>>())
}

fn channel(channel: &Channel) -> Value {
    let members: Vec<Id> = match channel.kind {
        DM => channel.recipients.clone(),
        _ => channel.members.keys().copied().collect(),
    };
    json!({
        "id": channel.id.to_string(),
        "name": channel.name,
        "kind": channel.kind,
        "guild": channel.guild.map(|id| id.to_string()),
        "parent": channel.parent.map(|id| id.to_string()),
        "members": strings(&members),
        "archived": channel.thread.as_ref().is_some_and(|thread| thread.archived),
        "locked": channel.thread.as_ref().is_some_and(|thread| thread.locked),
    })
}

fn settings(world: &mut World) -> Value {
    let window = world.scaled(INVALID_WITHIN);
    let invalid = world.limits.count_invalid(window);
    let options = &world.settings.options;
    let events = match &options.events {
        Events::Gateway => json!("gateway"),
        Events::Http { url } => json!({"http": url}),
    };
    json!({
        "privileged_intents": options.privileged_intents,
        "rate_limits": options.rate_limits,
        "rate_limit_violations": world.limits.violations,
        "invalid_requests": invalid,
        "banned": world.limits.banned.is_some(),
        "ban_at": options.ban_at,
        "events": events,
        "away": world.settings.away,
        "revoked": world.settings.revoked,
        "time_scale": options.time_scale,
        "sockets_opened": world.sessions.opened,
        "identified": world.sessions.identified.len(),
        "public_key": world.signer.public_key(),
    })
}

/// All that the page shows to one person.
fn state(world: &World, ask: &Ask) -> Value {
    let people = world.users.values().map(|user| {
        json!({"id": user.id.to_string(), "name": user.name, "real_name": user.global_name, "bot": user.bot})
    });
    let viewer: Id = ask.text("viewer").and_then(|viewer| viewer.parse().ok()).unwrap_or_default();
    let name = viewer.to_string();
    let mine = |it: &&Channel| !it.deleted && world.sees(viewer, it);
    let open = ask.text("channel").and_then(|id| world.channels.get(&id.parse().ok()?)).filter(mine);
    let commands = world.commands.values().flatten().collect::<Vec<_>>();
    let typing = open.map(|it| it.typing.iter().map(|(who, _)| who.to_string()).collect::<Vec<_>>());
    json!({
        "people": people.collect::<Vec<_>>(),
        "guilds": world.guilds.values().map(|it| json!({"id": it.id.to_string(), "name": it.name})).collect::<Vec<_>>(),
        "roles": world.guilds.values().flat_map(|it| it.roles.values()).map(|it| json!({"id": it.id.to_string(), "name": it.name})).collect::<Vec<_>>(),
        "channels": world.channels.values().filter(mine).map(channel).collect::<Vec<_>>(),
        "messages": open.map(|open| list(world, open, Some(viewer))),
        "typing": typing,
        "view": world.modals.get(&viewer).map(|modal| modal.show()),
        "commands": commands,
        "interactions": world.interactions.values().filter(|it| it.user == viewer).map(|it| json!({"id": it.id.to_string(), "state": it.state()})).collect::<Vec<_>>(),
        "mishaps": world.mishaps.iter().filter(|it| it.get("user").and_then(Value::as_str) == Some(name.as_str())).collect::<Vec<_>>(),
        "sockets": world.show_sockets(),
        "app": world.app.to_string(),
    })
}
