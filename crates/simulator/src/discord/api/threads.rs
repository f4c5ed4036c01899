//! Threads: how they begin, and who is in them.

use serde_json::{Value, json};

use super::{Answer, Asked, NOTHING, Refusal, World, messages, ok};
use crate::discord::{
    content::Content,
    ids::{Id, now_ms},
    perms::{CREATE_PRIVATE_THREADS, CREATE_PUBLIC_THREADS, SEND_MESSAGES, SEND_MESSAGES_IN_THREADS},
    refusal::Faults,
    show::thread_member,
    world::{FORUM, PRIVATE_THREAD, PUBLIC_THREAD, TEXT},
};

fn named(asked: &Asked) -> Result<(String, u64), Refusal> {
    let mut faults = Faults::default();
    let name = asked.text("name").unwrap_or_default();
    if asked.body.contains_key("name") {
        faults.length("name", name, 1, 100);
    } else {
        faults.required("name");
    }
    let archive = asked.body.get("auto_archive_duration").filter(|value| !value.is_null());
    let archive = archive.map_or(Some(4320), Value::as_u64);
    let known = archive.filter(|minutes| [60, 1440, 4320, 10_080].contains(minutes));
    if known.is_none() {
        faults.choice("auto_archive_duration", "60, 1440, 4320, 10080");
    }
    faults.check()?;
    Ok((name.to_owned(), known.unwrap_or_default()))
}

/// `POST /channels/{channel}/messages/{message}/threads`
pub(super) fn from_message(world: &mut World, asked: &Asked) -> Answer {
    let (parent, at) = (asked.id(0, "channel_id")?, asked.id(1, "message_id")?);
    let channel = world.permitted(parent, CREATE_PUBLIC_THREADS)?;
    if channel.kind != TEXT {
        return Err(Refusal::new(400, 50024, "Cannot execute action on this channel type"));
    }
    channel.message(at).ok_or_else(Refusal::unknown_message)?;
    let (name, auto_archive) = named(asked)?;
    if world.channels.contains_key(&at) {
        let words = "A thread has already been created for this message";
        return Err(Refusal::new(400, 160_004, words));
    }
    let id = world.begin_thread(parent, world.app, &name, PUBLIC_THREAD, Some(at), auto_archive);
    created(world, id, None)
}

/// `POST /channels/{channel}/threads`
pub(super) fn begin(world: &mut World, asked: &Asked) -> Answer {
    let parent = asked.id(0, "channel_id")?;
    let kind = world.visible(parent)?.kind;
    let (name, auto_archive) = named(asked)?;
    if kind == FORUM {
        world.permitted(parent, SEND_MESSAGES)?;
        let body = asked.body.get("message").and_then(Value::as_object).cloned();
        let body =
            body.ok_or_else(|| Refusal::field("message", "BASE_TYPE_REQUIRED", "This field is required"))?;
        let content = Content::read(world, &body, &asked.files, 0)?;
        content.need()?;
        let id = world.begin_thread(parent, world.app, &name, PUBLIC_THREAD, None, auto_archive);
        // The first message of a post has the number of its thread.
        let message = messages::write(world, id, content, Some(id))?;
        return created(world, id, Some(message));
    }
    if kind != TEXT {
        return Err(Refusal::new(400, 50024, "Cannot execute action on this channel type"));
    }
    let wanted = asked.body.get("type").and_then(Value::as_u64).unwrap_or(PRIVATE_THREAD);
    match wanted {
        PUBLIC_THREAD => world.permitted(parent, CREATE_PUBLIC_THREADS)?,
        PRIVATE_THREAD => world.permitted(parent, CREATE_PRIVATE_THREADS)?,
        _ => {
            let words = "Value must be one of {10, 11, 12}.";
            return Err(Refusal::field("type", "BASE_TYPE_CHOICES", words));
        }
    };
    let id = world.begin_thread(parent, world.app, &name, wanted, None, auto_archive);
    created(world, id, None)
}

fn created(world: &World, id: Id, message: Option<Value>) -> Answer {
    let mut shown = world.show_channel(world.visible(id)?);
    if let (Some(shown), Some(message)) = (shown.as_object_mut(), message) {
        shown.insert("message".to_owned(), message);
    }
    Ok((201, Some(shown)))
}

fn thread(world: &World, asked: &Asked) -> Result<Id, Refusal> {
    let id = asked.id(0, "channel_id")?;
    if world.visible(id)?.thread.is_none() {
        return Err(Refusal::new(400, 50024, "Cannot execute action on this channel type"));
    }
    Ok(id)
}

fn user(world: &World, asked: &Asked) -> Result<Id, Refusal> {
    if asked.path.get(1).is_some_and(|user| user == "@me") {
        return Ok(world.app);
    }
    asked.id(1, "user_id")
}

/// `GET /channels/{channel}/thread-members`
pub(super) fn members(world: &mut World, asked: &Asked) -> Answer {
    let id = thread(world, asked)?;
    let members = world.visible(id)?.members.iter();
    ok(json!(members.map(|(user, since)| thread_member(id, *user, *since)).collect::<Vec<_>>()))
}

/// `PUT /channels/{channel}/thread-members/{user}`
pub(super) fn join(world: &mut World, asked: &Asked) -> Answer {
    let (id, user) = (thread(world, asked)?, user(world, asked)?);
    let channel = world.permitted(id, if user == world.app { 0 } else { SEND_MESSAGES_IN_THREADS })?;
    World::awake(channel)?;
    if !channel.guild.and_then(|id| world.guilds.get(&id)).is_some_and(|it| it.members.contains_key(&user)) {
        return Err(Refusal::new(404, 10007, "Unknown Member"));
    }
    let here = channel.members.contains_key(&user);
    if let Some(channel) = world.channels.get_mut(&id).filter(|_| !here) {
        channel.members.insert(user, now_ms());
        world.emit_thread_member(id, user);
    }
    Ok(NOTHING)
}

/// `DELETE /channels/{channel}/thread-members/{user}`
pub(super) fn leave(world: &mut World, asked: &Asked) -> Answer {
    let (id, user) = (thread(world, asked)?, user(world, asked)?);
    World::awake(world.visible(id)?)?;
    if user != world.app {
        world.permitted(id, crate::discord::perms::MANAGE_THREADS)?;
    }
    if let Some(channel) = world.channels.get_mut(&id) {
        channel.members.remove(&user);
    }
    Ok(NOTHING)
}
