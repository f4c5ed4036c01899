//! People, and the conversations with them.

use serde_json::json;

use super::{Answer, Asked, Refusal, World, ok};
use crate::discord::ids::Id;

/// `GET /users/@me`
pub(super) fn me(world: &mut World, _asked: &Asked) -> Answer {
    ok(world.show_me())
}

/// `GET /users/{user}`
pub(super) fn get(world: &mut World, asked: &Asked) -> Answer {
    let id = asked.id(0, "user_id")?;
    if !world.users.contains_key(&id) {
        return Err(Refusal::new(404, 10013, "Unknown User"));
    }
    ok(world.show_user(id))
}

/// `GET /users/@me/guilds`
pub(super) fn guilds(world: &mut World, _asked: &Asked) -> Answer {
    let mine = world.guilds.values().filter(|guild| guild.members.contains_key(&world.app)).map(|guild| {
        json!({
            "id": guild.id.to_string(),
            "name": guild.name,
            "icon": null,
            "banner": null,
            "owner": false,
            "permissions": world.base_permissions(world.app, guild.id).to_string(),
            "features": [],
        })
    });
    ok(json!(mine.collect::<Vec<_>>()))
}

/// `POST /users/@me/channels`
pub(super) fn open_dm(world: &mut World, asked: &Asked) -> Answer {
    let who = asked.body.get("recipient_id");
    let who = who.and_then(|id| id.as_u64().or_else(|| id.as_str()?.parse::<Id>().ok()));
    let who =
        who.ok_or_else(|| Refusal::field("recipient_id", "BASE_TYPE_REQUIRED", "This field is required"))?;
    match world.users.get(&who) {
        None => return Err(Refusal::new(400, 50033, "Invalid Recipient(s)")),
        Some(user) if user.bot => return Err(Refusal::new(403, 50007, "Cannot send messages to this user")),
        Some(_) => {}
    }
    let id = world.dm(who);
    ok(world.show_channel(world.visible(id)?))
}
