//! Guilds, their members and roles.

use serde_json::json;

use super::{Answer, Asked, Refusal, World, ok};
use crate::discord::{show::thread_member, world::Guild};

fn guild<'a>(world: &'a World, asked: &Asked) -> Result<&'a Guild, Refusal> {
    let guild = world.guilds.get(&asked.id(0, "guild_id")?);
    let guild = guild.ok_or_else(|| Refusal::new(404, 10004, "Unknown Guild"))?;
    if guild.members.contains_key(&world.app) { Ok(guild) } else { Err(Refusal::no_access()) }
}

/// `GET /guilds/{guild}`
pub(super) fn get(world: &mut World, asked: &Asked) -> Answer {
    ok(world.show_guild(guild(world, asked)?))
}

/// `GET /guilds/{guild}/channels`
pub(super) fn channels(world: &mut World, asked: &Asked) -> Answer {
    let guild = guild(world, asked)?;
    let here = world
        .channels
        .values()
        .filter(|channel| channel.guild == Some(guild.id) && channel.thread.is_none() && !channel.deleted);
    ok(json!(here.map(|channel| world.show_channel(channel)).collect::<Vec<_>>()))
}

/// `GET /guilds/{guild}/roles`
pub(super) fn roles(world: &mut World, asked: &Asked) -> Answer {
    let guild = guild(world, asked)?;
    ok(json!(guild.roles.values().map(World::show_role).collect::<Vec<_>>()))
}

/// `GET /guilds/{guild}/members`
pub(super) fn members(world: &mut World, asked: &Asked) -> Answer {
    let guild = guild(world, asked)?;
    if world.settings.options.privileged_intents & crate::discord::options::intents::GUILD_MEMBERS == 0 {
        return Err(Refusal::no_access());
    }
    let limit = asked.query.get("limit").and_then(|limit| limit.parse().ok()).unwrap_or(1);
    let after = asked.query_id("after").unwrap_or_default();
    let found = guild.members.keys().filter(|user| **user > after).take(limit);
    ok(json!(found.map(|&user| world.show_member(guild.id, user)).collect::<Vec<_>>()))
}

/// `GET /guilds/{guild}/members/{user}`
pub(super) fn member(world: &mut World, asked: &Asked) -> Answer {
    let guild = guild(world, asked)?;
    let user = asked.id(1, "user_id")?;
    if !world.users.contains_key(&user) {
        return Err(Refusal::new(404, 10013, "Unknown User"));
    }
    if !guild.members.contains_key(&user) {
        return Err(Refusal::new(404, 10007, "Unknown Member"));
    }
    ok(world.show_member(guild.id, user))
}

/// `GET /guilds/{guild}/threads/active`
pub(super) fn active_threads(world: &mut World, asked: &Asked) -> Answer {
    let guild = guild(world, asked)?;
    let mut threads: Vec<_> = world
        .channels
        .values()
        .filter(|channel| channel.guild == Some(guild.id) && !channel.deleted)
        .filter(|channel| channel.thread.as_ref().is_some_and(|thread| !thread.archived))
        .filter(|channel| world.sees(world.app, channel))
        .collect();
    threads.sort_by_key(|thread| std::cmp::Reverse(thread.id));
    let members = threads.iter().filter_map(|thread| {
        let since = thread.members.get(&world.app)?;
        Some(thread_member(thread.id, world.app, *since))
    });
    ok(json!({
        "threads": threads.iter().map(|thread| world.show_channel(thread)).collect::<Vec<_>>(),
        "members": members.collect::<Vec<_>>(),
    }))
}
