//! Emoji under messages.

use serde_json::json;

use super::{Answer, Asked, NOTHING, Refusal, World, ok};
use crate::discord::{
    ids::Id,
    perms::{ADD_REACTIONS, READ_MESSAGE_HISTORY},
};

fn about(world: &World, asked: &Asked) -> Result<(Id, Id, String), Refusal> {
    let (channel, id) = (asked.id(0, "channel_id")?, asked.id(1, "message_id")?);
    let place = world.permitted(channel, READ_MESSAGE_HISTORY)?;
    place.message(id).ok_or_else(Refusal::unknown_message)?;
    let emoji = asked.path.get(2).cloned().unwrap_or_default();
    let known = match emoji.split_once(':') {
        Some((_, id)) => id.parse::<Id>().is_ok(),
        None => !emoji.is_empty() && !emoji.is_ascii(),
    };
    if known { Ok((channel, id, emoji)) } else { Err(Refusal::new(400, 10014, "Unknown Emoji")) }
}

/// `PUT /channels/{channel}/messages/{message}/reactions/{emoji}/@me`
pub(super) fn put(world: &mut World, asked: &Asked) -> Answer {
    let (channel, id, emoji) = about(world, asked)?;
    let place = world.visible(channel)?;
    World::awake(place)?;
    let reactions = place.message(id).map(|message| message.reactions.as_slice()).unwrap_or_default();
    if !reactions.iter().any(|reaction| reaction.emoji == emoji) {
        world.permitted(channel, ADD_REACTIONS)?;
        if reactions.len() >= 20 {
            return Err(Refusal::new(400, 30010, "Maximum number of reactions reached (20)"));
        }
    }
    // What could refuse was asked above.
    let _ = world.react(world.app, channel, id, &emoji);
    Ok(NOTHING)
}

/// `DELETE /channels/{channel}/messages/{message}/reactions/{emoji}/@me`
pub(super) fn delete(world: &mut World, asked: &Asked) -> Answer {
    let (channel, id, emoji) = about(world, asked)?;
    World::awake(world.visible(channel)?)?;
    world.unreact(world.app, channel, id, &emoji);
    Ok(NOTHING)
}

/// `GET /channels/{channel}/messages/{message}/reactions/{emoji}`
pub(super) fn list(world: &mut World, asked: &Asked) -> Answer {
    let (channel, id, emoji) = about(world, asked)?;
    let found = world.visible(channel)?.message(id).ok_or_else(Refusal::unknown_message)?;
    let users = found.reactions.iter().filter(|reaction| reaction.emoji == emoji).flat_map(|it| &it.users);
    ok(json!(users.map(|&user| world.show_user(user)).collect::<Vec<_>>()))
}
