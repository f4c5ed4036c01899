//! Messages of a channel.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Answer, Asked, NOTHING, Refusal, World, ok};
use crate::discord::{
    content::Content,
    ids::Id,
    message::{Message, REPLY},
    people::reference,
    perms::{
        ATTACH_FILES, EMBED_LINKS, MANAGE_MESSAGES, MANAGE_THREADS, READ_MESSAGE_HISTORY, SEND_MESSAGES,
        SEND_MESSAGES_IN_THREADS,
    },
    world::{DM, FORUM},
};

/// How long a nonce is remembered: "the past few minutes", the documentation says.
const NONCES_KEPT: Duration = Duration::from_secs(180);

/// `POST /channels/{channel}/messages`
pub(super) fn create(world: &mut World, asked: &Asked) -> Answer {
    let channel = asked.id(0, "channel_id")?;
    may_write(world, channel)?;
    let content = Content::read(world, &asked.body, &asked.files, 0)?;
    content.need()?;
    let message = write(world, channel, content, None)?;
    ok(message)
}

/// Writes a message of the app, with a number that is given or a new one. Gives how it looks.
pub(super) fn write(
    world: &mut World,
    channel: Id,
    content: Content,
    number: Option<Id>,
) -> Result<Value, Refusal> {
    if content.embeds.as_ref().is_some_and(|embeds| !embeds.is_empty()) {
        world.permitted(channel, EMBED_LINKS)?;
    }
    if !content.files.is_empty() {
        world.permitted(channel, ATTACH_FILES)?;
    }
    let app = world.app;
    let nonce = content.nonce.as_ref().map(|nonce| (app, channel, nonce.to_string()));
    let kept = world.scaled(NONCES_KEPT);
    world.nonces.retain(|_, (_, since)| since.elapsed() < kept);
    if let Some((id, _)) =
        nonce.as_ref().filter(|_| content.enforce_nonce).and_then(|it| world.nonces.get(it))
    {
        let first = world.channels.get(&channel).and_then(|channel| channel.messages.get(id));
        return first.map(|first| world.show_sent(first)).ok_or_else(Refusal::unknown_message);
    }
    let mut message = world.draft(channel, app);
    message.id = number.unwrap_or(message.id);
    if let Some(about) = &content.reference {
        reply_to(world, &mut message, about)?;
    }
    let allowed = content.allowed.clone();
    message.nonce.clone_from(&content.nonce);
    content.write(&mut message, false);
    world.mention(&mut message, &allowed);
    let id = world.put(message);
    if let Some(nonce) = nonce {
        world.nonces.entry(nonce).or_insert((id, Instant::now()));
    }
    let kept = world.channels.get(&channel).and_then(|channel| channel.messages.get(&id));
    kept.map(|kept| world.show_sent(kept)).ok_or_else(Refusal::unknown_message)
}

/// Refuses where the app may not write.
fn may_write(world: &World, id: Id) -> Result<(), Refusal> {
    let channel = world.visible(id)?;
    if channel.kind == FORUM {
        return Err(Refusal::new(400, 50008, "Cannot send messages in a non-text channel"));
    }
    if channel.kind == DM {
        let closed = |user| world.users.get(user).is_some_and(|user| user.blocks_dms);
        if channel.recipients.iter().any(closed) {
            return Err(Refusal::new(403, 50007, "Cannot send messages to this user"));
        }
        return Ok(());
    }
    let wanted = if channel.thread.is_some() { SEND_MESSAGES_IN_THREADS } else { SEND_MESSAGES };
    world.permitted(id, wanted)?;
    let locked = channel.thread.as_ref().filter(|thread| thread.locked);
    if let Some(thread) = locked.filter(|_| !world.may(world.app, channel, MANAGE_THREADS)) {
        return Err(if thread.archived {
            Refusal::new(400, 50083, "Thread is archived")
        } else {
            Refusal::new(403, 160_005, "Thread is locked")
        });
    }
    Ok(())
}

fn reply_to(world: &World, message: &mut Message, about: &Value) -> Result<(), Refusal> {
    let number = |name: &str| {
        let id = about.get(name)?;
        id.as_u64().or_else(|| id.as_str()?.parse::<Id>().ok())
    };
    let place = number("channel_id").unwrap_or(message.channel);
    let channel = world.visible(message.channel)?;
    if !world.may(world.app, channel, READ_MESSAGE_HISTORY) {
        let words = "You cannot reply without permission to read message history";
        return Err(Refusal::new(403, 160_002, words));
    }
    let found = number("message_id").filter(|_| place == message.channel);
    let found = found.and_then(|id| channel.message(id));
    let Some(found) = found else {
        if about.get("fail_if_not_exists") == Some(&json!(false)) {
            return Ok(());
        }
        return Err(Refusal::field("message_reference", "REPLIES_UNKNOWN_MESSAGE", "Unknown message"));
    };
    if !matches!(found.kind, 0 | 19 | 20 | 23) {
        let words = "Cannot reply to a system message";
        return Err(Refusal::field("message_reference", "REPLIES_CANNOT_REPLY_TO_SYSTEM_MESSAGE", words));
    }
    message.kind = REPLY;
    message.reference = Some(reference(channel.guild, place, found.id));
    Ok(())
}

/// `GET /channels/{channel}/messages`
pub(super) fn list(world: &mut World, asked: &Asked) -> Answer {
    let channel = world.visible(asked.id(0, "channel_id")?)?;
    let limit = match asked.query.get("limit").map(|limit| limit.parse::<usize>()) {
        None => 50,
        Some(Ok(limit @ 1..=100)) => limit,
        Some(_) => {
            let words = "int value should be between 1 and 100.";
            return Err(Refusal::field("limit", "NUMBER_TYPE_MAX", words));
        }
    };
    // Whoever may not read what was said sees nothing, and is not refused.
    if !world.may(world.app, channel, READ_MESSAGE_HISTORY) {
        return ok(json!([]));
    }
    let all: Vec<&Message> = channel.messages.values().filter(|message| message.open()).collect();
    let before = |id: Id| all.iter().rev().filter(move |message| message.id < id);
    let after = |id: Id| all.iter().filter(move |message| message.id > id);
    let mut found: Vec<&Message> = if let Some(around) = asked.query_id("around") {
        let half = limit / 2;
        let here = all.iter().filter(|message| message.id == around);
        before(around).take(half).chain(here).chain(after(around).take(half)).copied().collect()
    } else if let Some(id) = asked.query_id("before") {
        before(id).take(limit).copied().collect()
    } else if let Some(id) = asked.query_id("after") {
        after(id).take(limit).copied().collect()
    } else {
        all.iter().rev().take(limit).copied().collect()
    };
    found.sort_by_key(|message| std::cmp::Reverse(message.id));
    ok(json!(found.into_iter().map(|message| readable(world, message)).collect::<Vec<_>>()))
}

/// A message as the app may read it: without the intent only what is its own, or is said to it.
fn readable(world: &World, message: &Message) -> Value {
    let mut shown = world.show(message);
    let may =
        world.settings.options.privileged_intents & crate::discord::options::intents::MESSAGE_CONTENT != 0;
    let guild = world.channels.get(&message.channel).and_then(|channel| channel.guild);
    if may || guild.is_none() || message.author == world.app || message.mentions.contains(&world.app) {
        return shown;
    }
    if let Some(fields) = shown.as_object_mut() {
        fields.insert("content".to_owned(), json!(""));
        for name in ["embeds", "attachments", "components"] {
            fields.insert(name.to_owned(), json!([]));
        }
    }
    shown
}

fn message<'a>(world: &'a World, asked: &Asked) -> Result<&'a Message, Refusal> {
    let channel = world.visible(asked.id(0, "channel_id")?)?;
    channel.message(asked.id(1, "message_id")?).ok_or_else(Refusal::unknown_message)
}

/// `GET /channels/{channel}/messages/{message}`
pub(super) fn get(world: &mut World, asked: &Asked) -> Answer {
    world.permitted(asked.id(0, "channel_id")?, READ_MESSAGE_HISTORY)?;
    ok(readable(world, message(world, asked)?))
}

/// `PATCH /channels/{channel}/messages/{message}`
pub(super) fn edit(world: &mut World, asked: &Asked) -> Answer {
    let found = message(world, asked)?;
    let (channel, id, author) = (found.channel, found.id, found.author);
    if author != world.app || found.webhook.is_some() {
        return Err(Refusal::new(403, 50005, "Cannot edit a message authored by another user"));
    }
    World::awake(world.visible(channel)?)?;
    ok(world.change(channel, id, &asked.body, &asked.files, false)?)
}

/// `DELETE /channels/{channel}/messages/{message}`
pub(super) fn delete(world: &mut World, asked: &Asked) -> Answer {
    let found = message(world, asked)?;
    let (channel, id, author) = (found.channel, found.id, found.author);
    if author != world.app {
        world.permitted(channel, MANAGE_MESSAGES)?;
    }
    world.remove(channel, id);
    Ok(NOTHING)
}

/// `POST /channels/{channel}/messages/bulk-delete`
pub(super) fn bulk_delete(world: &mut World, asked: &Asked) -> Answer {
    let channel = asked.id(0, "channel_id")?;
    world.permitted(channel, MANAGE_MESSAGES)?;
    let list = asked.body.get("messages").and_then(Value::as_array).into_iter().flatten();
    let ids: Vec<Id> = list.filter_map(|id| id.as_str()?.parse().ok()).collect();
    if !(2..=100).contains(&ids.len()) {
        let words = "You can only bulk delete between 2 and 100 messages";
        return Err(Refusal::new(400, 50016, words));
    }
    world.remove_all(channel, &ids);
    Ok(NOTHING)
}
