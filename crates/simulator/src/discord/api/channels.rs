//! Channels and threads as such.

use serde_json::Value;

use super::{Answer, Asked, NOTHING, Refusal, World, ok};
use crate::discord::{
    ids::now_ms,
    perms::{MANAGE_THREADS, SEND_MESSAGES, SEND_MESSAGES_IN_THREADS},
    refusal::Faults,
    world::DM,
};

/// The right to change channels.
const MANAGE_CHANNELS: u64 = 1 << 4;

/// `GET /channels/{channel}`
pub(super) fn get(world: &mut World, asked: &Asked) -> Answer {
    let channel = world.visible(asked.id(0, "channel_id")?)?;
    ok(world.show_channel(channel))
}

/// `PATCH /channels/{channel}`
pub(super) fn modify(world: &mut World, asked: &Asked) -> Answer {
    let id = asked.id(0, "channel_id")?;
    let channel = world.visible(id)?;
    let mut faults = Faults::default();
    if let Some(name) = asked.text("name") {
        faults.length("name", name, 1, 100);
    }
    faults.check()?;
    let flag = |name: &str| asked.body.get(name).and_then(Value::as_bool);
    let Some(thread) = &channel.thread else {
        world.permitted(id, MANAGE_CHANNELS)?;
        let name = asked.text("name").map(str::to_owned);
        if let (Some(channel), Some(name)) = (world.channels.get_mut(&id), name) {
            channel.name = name;
        }
        world.emit_channel("CHANNEL_UPDATE", id);
        return get(world, asked);
    };
    let moderates = world.may(world.app, channel, MANAGE_THREADS);
    let owns = channel.owner == Some(world.app);
    let wakes = asked.body.len() == 1 && flag("archived") == Some(false);
    let here = channel.members.contains_key(&world.app);
    let may = moderates || owns || wakes && here && !thread.locked;
    if !may || flag("locked").is_some() && !moderates {
        return Err(Refusal::no_permission());
    }
    if thread.archived && flag("archived") != Some(false) {
        return Err(Refusal::new(400, 50083, "Thread is archived"));
    }
    let name = asked.text("name").map(str::to_owned);
    let auto_archive = asked.body.get("auto_archive_duration").and_then(Value::as_u64);
    let (archived, locked) = (flag("archived"), flag("locked"));
    if let Some(channel) = world.channels.get_mut(&id) {
        channel.name = name.unwrap_or_else(|| std::mem::take(&mut channel.name));
        if let Some(thread) = &mut channel.thread {
            thread.auto_archive = auto_archive.unwrap_or(thread.auto_archive);
            thread.locked = locked.unwrap_or(thread.locked);
            if let Some(archived) = archived {
                thread.archived = archived;
                thread.archived_at = now_ms();
            }
        }
    }
    world.emit_channel("THREAD_UPDATE", id);
    get(world, asked)
}

/// `DELETE /channels/{channel}`
pub(super) fn delete(world: &mut World, asked: &Asked) -> Answer {
    let id = asked.id(0, "channel_id")?;
    let channel = world.visible(id)?;
    let thread = channel.thread.is_some();
    if channel.kind != DM {
        world.permitted(id, if thread { MANAGE_THREADS } else { MANAGE_CHANNELS })?;
    }
    let shown = world.show_channel(channel);
    world.delete_channel(id);
    ok(shown)
}

/// `POST /channels/{channel}/typing`
pub(super) fn typing(world: &mut World, asked: &Asked) -> Answer {
    let id = asked.id(0, "channel_id")?;
    let channel = world.visible(id)?;
    let wanted = if channel.thread.is_some() { SEND_MESSAGES_IN_THREADS } else { SEND_MESSAGES };
    world.permitted(id, wanted)?;
    world.type_in(id, world.app);
    Ok(NOTHING)
}

impl World {
    /// A channel or thread is no more.
    pub(crate) fn delete_channel(&mut self, id: u64) {
        let thread = self.channels.get(&id).is_some_and(|channel| channel.thread.is_some());
        self.emit_channel(if thread { "THREAD_DELETE" } else { "CHANNEL_DELETE" }, id);
        if let Some(channel) = self.channels.get_mut(&id) {
            channel.deleted = true;
        }
    }
}
