//! `users.info`, `users.list`

use serde_json::{Value, json};

use super::{Answer, Args, Caller, Refusal, World, conversations::page};
use crate::slack::world::User;

/// `users.info`
pub(super) fn info(world: &mut World, caller: &Caller, args: &Args) -> Answer {
    let id = args.need("user")?;
    let user = world.users.get(&id).filter(|user| world.is_visible(user, &caller.team));
    let user = user.ok_or_else(|| Refusal::new("user_not_found"))?;
    Ok(json!({"user": world.show_user(user, &caller.team)}))
}

/// `users.list`
pub(super) fn list(world: &mut World, caller: &Caller, args: &Args) -> Answer {
    let users: Vec<Value> = world
        .users
        .values()
        .filter(|user| world.is_visible(user, &caller.team))
        .map(|user| world.show_user(user, &caller.team))
        .collect();
    let (members, metadata) = page(users, args, 1000)?;
    Ok(json!({
        "members": members,
        "cache_ts": crate::slack::ids::since_epoch().as_secs(),
        "response_metadata": metadata,
    }))
}

impl World {
    /// Whether a workspace knows a person: its own people, and those who share a channel with it.
    fn is_visible(&self, user: &User, team: &str) -> bool {
        user.team == team
            || user.id == "USLACKBOT"
            || self.channels.values().any(|channel| channel.team == team && channel.has(&user.id))
    }

    /// A person as the Web API shows them to a workspace.
    pub(crate) fn show_user(&self, user: &User, team: &str) -> Value {
        let mut shown = json!({
            "id": user.id,
            "team_id": user.team,
            "name": user.name,
            "deleted": user.deleted,
            "color": "9f69e7",
            "real_name": user.real_name,
            "tz": "Europe/Amsterdam",
            "tz_label": "Central European Time",
            "tz_offset": 3600,
            "profile": {
                "title": "",
                "phone": "",
                "skype": "",
                "real_name": user.real_name,
                "real_name_normalized": user.real_name,
                "display_name": user.display_name,
                "display_name_normalized": user.display_name,
                "status_text": "",
                "status_emoji": "",
                "avatar_hash": "g1",
                "image_48": format!("{}/icon.png", self.base),
                "team": user.team,
            },
            "is_admin": false,
            "is_owner": false,
            "is_primary_owner": false,
            "is_restricted": user.restricted,
            "is_ultra_restricted": user.ultra_restricted,
            "is_bot": user.bot.is_some(),
            "is_app_user": false,
            "updated": 1_700_000_000,
            "who_can_share_contact_card": "EVERYONE",
        });
        if let Some(shown) = shown.as_object_mut() {
            if user.team != team {
                shown.insert("is_stranger".to_owned(), json!(true));
            }
            if let Some(enterprise) = &user.enterprise_user {
                shown.insert("enterprise_user".to_owned(), enterprise.clone());
            }
            if let (Some(bot), Some(profile)) =
                (&user.bot, shown.get_mut("profile").and_then(Value::as_object_mut))
            {
                profile.insert("bot_id".to_owned(), json!(bot));
            }
        }
        shown
    }
}
