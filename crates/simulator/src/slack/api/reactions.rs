//! `reactions.*`

use serde_json::json;

use super::{Answer, Args, Caller, Refusal, World};
use crate::slack::message::Reaction;

/// `reactions.add`
pub(super) fn add(world: &mut World, caller: &Caller, args: &Args) -> Answer {
    let (id, ts, name) = named(world, caller, args)?;
    world.react(&caller.bot_user, &id, &ts, &name).map_err(Refusal::new)?;
    Ok(json!({}))
}

/// `reactions.remove`
pub(super) fn remove(world: &mut World, caller: &Caller, args: &Args) -> Answer {
    let (id, ts, name) = named(world, caller, args)?;
    world.unreact(&caller.bot_user, &id, &ts, &name).map_err(Refusal::new)?;
    Ok(json!({}))
}

/// `reactions.get`
pub(super) fn get(world: &mut World, caller: &Caller, args: &Args) -> Answer {
    let id = args.text("channel").ok_or_else(|| Refusal::new("no_item_specified"))?;
    let ts = args.text("timestamp").ok_or_else(|| Refusal::new("no_item_specified"))?;
    let channel = world.visible(caller, &id)?;
    let message = channel.message(&ts).ok_or_else(|| Refusal::new("message_not_found"))?;
    Ok(json!({"type": "message", "channel": id, "message": world.show(channel, message, false)}))
}

fn named(world: &World, caller: &Caller, args: &Args) -> Result<(String, String, String), Refusal> {
    let name = args.need("name")?;
    let id = args.text("channel").ok_or_else(|| Refusal::new("no_item_specified"))?;
    let ts = args.text("timestamp").ok_or_else(|| Refusal::new("no_item_specified"))?;
    let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-+':".contains(c);
    if !name.chars().all(fine) {
        return Err(Refusal::new("invalid_name"));
    }
    let channel = world.visible(caller, &id)?;
    channel.message(&ts).ok_or_else(|| Refusal::new("message_not_found"))?;
    if channel.archived {
        return Err(Refusal::new("is_archived"));
    }
    Ok((id, ts, name))
}

impl World {
    /// Puts an emoji under a message.
    pub(crate) fn react(&mut self, user: &str, id: &str, ts: &str, name: &str) -> Result<(), &'static str> {
        let channel = self.channels.get_mut(id).ok_or("channel_not_found")?;
        let message = channel.messages.get_mut(ts).filter(|message| !message.deleted);
        let message = message.ok_or("message_not_found")?;
        let author = message.user.clone();
        match message.reactions.iter_mut().find(|reaction| reaction.name == name) {
            Some(reaction) if reaction.users.iter().any(|who| who == user) => return Err("already_reacted"),
            Some(reaction) => reaction.users.push(user.to_owned()),
            None => {
                let reaction = Reaction { name: name.to_owned(), users: vec![user.to_owned()] };
                message.reactions.push(reaction);
            }
        }
        self.emit_reaction("reaction_added", user, id, ts, name, author);
        Ok(())
    }

    /// Takes an emoji away.
    pub(crate) fn unreact(&mut self, user: &str, id: &str, ts: &str, name: &str) -> Result<(), &'static str> {
        let channel = self.channels.get_mut(id).ok_or("channel_not_found")?;
        let message = channel.messages.get_mut(ts).filter(|message| !message.deleted);
        let message = message.ok_or("message_not_found")?;
        let author = message.user.clone();
        let reaction = message.reactions.iter_mut().find(|reaction| reaction.name == name);
        let reaction = reaction.filter(|reaction| reaction.users.iter().any(|who| who == user));
        reaction.ok_or("no_reaction")?.users.retain(|who| who != user);
        message.reactions.retain(|reaction| !reaction.users.is_empty());
        self.emit_reaction("reaction_removed", user, id, ts, name, author);
        Ok(())
    }

    fn emit_reaction(
        &mut self,
        kind: &str,
        user: &str,
        id: &str,
        ts: &str,
        name: &str,
        author: Option<String>,
    ) {
        let event = json!({
            "type": kind,
            "user": user,
            "reaction": name,
            "item": {"type": "message", "channel": id, "ts": ts},
            "item_user": author,
        });
        self.emit_about(id, event, &["reactions:read"]);
    }
}
