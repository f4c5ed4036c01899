//! What a test looks at.

use data_encoding::BASE64;
use serde_json::{Value, json};

use crate::shared::ask::{Ask, Done};
use crate::slack::{
    message::{Message, show_reactions},
    options::Events,
    world::{Channel, World},
};

/// Shows what is asked for, if it is one of these.
pub(super) fn run(world: &mut World, operation: &str, ask: &Ask) -> Option<Done> {
    Some(match operation {
        "messages" => messages(world, ask),
        "status" => of_thread(world, ask, |channel, thread| channel.status.get(thread).cloned()),
        "prompts" => of_thread(world, ask, |channel, thread| channel.prompts.get(thread).cloned()),
        "title" => {
            of_thread(world, ask, |channel, thread| channel.titles.get(thread).map(|title| json!(title)))
        }
        "calls" => Ok(calls(world, ask)),
        "deliveries" => Ok(world.show_deliveries()),
        "sockets" => Ok(world.show_sockets()),
        "channels" => Ok(channels(world)),
        "mishaps" => Ok(json!(world.mishaps)),
        "state" => Ok(state(world, ask)),
        "time" => Ok(json!({
            "now_ms": world.now_ms(),
            "ts": world.stamps.next(),
            "time_scale": world.settings.time_scale,
        })),
        "settings" => Ok(settings(world)),
        _ => return None,
    })
}

fn messages(world: &World, ask: &Ask) -> Done {
    let id = ask.need("channel")?;
    let channel = world.channels.get(id).ok_or_else(|| format!("there is no channel {id}"))?;
    Ok(json!(list(world, channel, ask.text("thread_ts"), ask.text("viewer"))))
}

/// The messages of a channel or of one of its threads, oldest first; of the ephemeral ones those that the viewer sees.
fn list(world: &World, channel: &Channel, thread: Option<&str>, viewer: Option<&str>) -> Vec<Value> {
    let mut found: Vec<&Message> = channel
        .messages
        .values()
        .chain(&channel.whispers)
        .filter(|message| !message.deleted)
        .filter(|message| thread.is_none_or(|thread| message.root() == thread))
        .filter(|message| match (&message.ephemeral_to, viewer) {
            (Some(only), Some(viewer)) => only == viewer,
            (None, _) | (Some(_), None) => true,
        })
        .collect();
    found.sort_by(|a, b| a.ts.cmp(&b.ts));
    found.into_iter().map(|message| show(world, channel, message)).collect()
}

fn show(world: &World, channel: &Channel, message: &Message) -> Value {
    let files: Vec<Value> = message
        .files
        .iter()
        .filter_map(|id| world.files.get(id))
        .map(|file| {
            let content = file.content.as_ref().map(|content| BASE64.encode(content));
            json!({
                "id": file.id,
                "name": file.name,
                "title": file.title,
                "mimetype": file.mimetype,
                "size": file.content.as_ref().map_or(0, |content| content.len()),
                "content": content,
            })
        })
        .collect();
    json!({
        "ts": message.ts,
        "channel": channel.id,
        "thread_ts": message.thread_ts,
        "user": message.user,
        "bot_id": message.bot,
        "subtype": message.subtype,
        "text": message.text,
        "blocks": message.blocks,
        "attachments": message.attachments,
        "metadata": message.metadata,
        "files": files,
        "reactions": show_reactions(message),
        "ephemeral_to": message.ephemeral_to,
        "edited": message.edited.as_ref().map(|(user, ts)| json!({"user": user, "ts": ts})),
        "rings": message.rings,
        "unfurls": message.unfurls,
        "streaming": message.streaming,
    })
}

fn of_thread(world: &World, ask: &Ask, look: impl Fn(&Channel, &str) -> Option<Value>) -> Done {
    let id = ask.need("channel")?;
    let channel = world.channels.get(id).ok_or_else(|| format!("there is no channel {id}"))?;
    Ok(look(channel, ask.text("thread_ts").unwrap_or_default()).unwrap_or_default())
}

fn calls(world: &World, ask: &Ask) -> Value {
    let wanted = |call: &&Value| match ask.text("method") {
        Some(method) => call.get("method").is_some_and(|name| name == method),
        None => true,
    };
    json!(world.calls.iter().filter(wanted).collect::<Vec<_>>())
}

fn channels(world: &World) -> Value {
    let shown: Vec<Value> = world
        .channels
        .values()
        .map(|channel| {
            json!({
                "id": channel.id,
                "name": channel.name,
                "type": channel.channel_type(),
                "team": channel.team,
                "members": channel.members,
                "archived": channel.archived,
                "shared_with": channel.shared_with,
            })
        })
        .collect();
    json!(shown)
}

fn settings(world: &World) -> Value {
    let events = match &world.settings.events {
        Events::Socket => json!("socket"),
        Events::Http { url } => json!({"http": url}),
    };
    json!({
        "scopes": world.settings.scopes,
        "streaming": world.settings.streaming,
        "rate_limits": world.settings.rate_limits,
        "rate_limit_violations": world.limits.violations,
        "events": events,
        "away": world.settings.away,
        "time_scale": world.settings.time_scale,
        "sockets_opened": world.sockets.opened,
    })
}

/// All that the page shows to one person.
fn state(world: &World, ask: &Ask) -> Value {
    let people: Vec<Value> = world
        .users
        .values()
        .map(|user| json!({"id": user.id, "name": user.name, "real_name": user.real_name, "bot": user.bot.is_some()}))
        .collect();
    let viewer = ask.text("viewer").unwrap_or_default();
    let open = ask.text("channel").unwrap_or_default();
    let shown = world.channels.get(open).filter(|channel| channel.has(viewer));
    let messages = shown.map(|channel| list(world, channel, None, Some(viewer)));
    let mut statuses = json!({});
    if let Some(channel) = shown {
        statuses = json!(channel.status);
    }
    let channels: Vec<Value> = channels(world).as_array().cloned().unwrap_or_default();
    let mine = channels.into_iter().filter(|channel| {
        let members = channel.get("members").and_then(Value::as_array);
        members.is_some_and(|members| members.iter().any(|member| member == viewer))
    });
    json!({
        "people": people,
        "channels": mine.collect::<Vec<_>>(),
        "messages": messages,
        "statuses": statuses,
        "view": world.top_view(viewer).map(|view| view.show(json!({}))).unwrap_or_default(),
        "mishaps": world.mishaps.iter().filter(|mishap| mishap.get("user").is_some_and(|user| user == viewer)).collect::<Vec<_>>(),
        "sockets": world.show_sockets(),
    })
}
