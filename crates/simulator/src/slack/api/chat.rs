//! `chat.update`, `chat.delete`, `chat.getPermalink`

use serde_json::json;

use super::{Answer, Args, Caller, Refusal, World};
use crate::slack::{message::Message, world::Channel};

/// `chat.update`
pub(super) fn update(world: &mut World, caller: &Caller, args: &Args) -> Answer {
    let (id, ts) = own(world, caller, args, "cant_update_message")?;
    let content = world.content(args)?;
    let stamp = world.stamps.next();
    let before = shown(world, &id, &ts);
    let channel = world.channels.get_mut(&id).ok_or_else(|| Refusal::new("channel_not_found"))?;
    let message = channel.messages.get_mut(&ts).ok_or_else(|| Refusal::new("message_not_found"))?;
    if message.streaming == Some(true) {
        return Err(Refusal::new("streaming_state_conflict"));
    }
    // Text alone takes the place of blocks, too; attachments, files and metadata stay until others are given.
    message.text = content.text;
    message.blocks = content.blocks;
    if args.all.contains_key("attachments") {
        message.attachments = content.attachments;
    }
    if args.all.contains_key("metadata") {
        message.metadata = content.metadata;
    }
    message.rings = content.rings;
    message.unfurls = content.unfurls;
    message.edited = Some((caller.bot_user.clone(), stamp));
    let text = message.text.clone();
    world.emit_changed(&id, &ts, &before);
    let message = shown(world, &id, &ts);
    Ok(json!({"channel": id, "ts": ts, "text": text, "message": message}))
}

/// `chat.delete`
pub(super) fn delete(world: &mut World, caller: &Caller, args: &Args) -> Answer {
    let (id, ts) = own(world, caller, args, "cant_delete_message")?;
    world.remove(&id, &ts);
    Ok(json!({"channel": id, "ts": ts}))
}

/// `chat.getPermalink`
pub(super) fn get_permalink(world: &mut World, caller: &Caller, args: &Args) -> Answer {
    let id = args.need("channel")?;
    let ts = args.need("message_ts")?;
    let channel = world.visible(caller, &id)?;
    let message = channel.message(&ts).ok_or_else(|| Refusal::new("message_not_found"))?;
    let domain = world.team(&caller.team).map(|team| team.domain.clone()).unwrap_or_default();
    let mut link = format!("https://{domain}.slack.com/archives/{id}/p{}", ts.replace('.', ""));
    if message.root() != ts {
        link.push_str(&format!("?thread_ts={}&cid={id}", message.root()));
    }
    Ok(json!({"channel": id, "permalink": link}))
}

/// The app's own message that a call is about.
fn own(world: &World, caller: &Caller, args: &Args, denied: &str) -> Result<(String, String), Refusal> {
    let id = args.need("channel")?;
    let ts = args.need("ts")?;
    let channel = world.visible(caller, &id)?;
    let message = channel.message(&ts).ok_or_else(|| Refusal::new("message_not_found"))?;
    if message.bot.as_deref() != Some(caller.bot.as_str()) {
        return Err(Refusal::new(denied));
    }
    if channel.archived {
        return Err(Refusal::new("is_archived"));
    }
    Ok((id, ts))
}

fn shown(world: &World, id: &str, ts: &str) -> serde_json::Value {
    let found = world.channels.get(id).and_then(|channel| channel.messages.get(ts).map(|it| (channel, it)));
    found
        .map(|(channel, message): (&Channel, &Message)| world.show(channel, message, true))
        .unwrap_or_default()
}

impl World {
    /// Takes a message away and tells the app; while there are replies, a tombstone stays.
    pub(crate) fn remove(&mut self, id: &str, ts: &str) {
        let before = shown(self, id, ts);
        let Some(channel) = self.channels.get_mut(id) else { return };
        if let Some(message) = channel.messages.get_mut(ts) {
            message.deleted = true;
        }
        self.emit_deleted(id, ts, &before);
    }
}
