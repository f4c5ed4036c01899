//! Guilds, channels, threads, roles, members: what becomes of them.

use serde_json::{Value, json};

use super::act::{id, said};
use crate::discord::{
    ids::{Id, now_ms},
    people::Speech,
    world::{Channel, FORUM, Guild, Member, Overwrite, PUBLIC_THREAD, Role, User, World},
};
use crate::shared::ask::{Ask, Denied, Done};

/// Does what is asked, if it is one of these.
pub(super) fn run(world: &mut World, operation: &str, ask: &Ask) -> Option<Done> {
    Some(match operation {
        "thread" => thread(world, ask),
        "post" => post(world, ask),
        "join" => join(world, ask),
        "kick" => kick(world, ask),
        "role" => role(world, ask),
        "set_role" => set_role(world, ask),
        "overwrite" => overwrite(world, ask),
        "new_channel" => new_channel(world, ask),
        "delete_channel" => id(ask, "channel").map(|channel| {
            world.delete_channel(channel);
            json!({})
        }),
        "archive" => archive(world, ask),
        "set_user" => set_user(world, ask),
        _ => return None,
    })
}

fn guild(world: &mut World, id: Id) -> Result<&mut Guild, Denied> {
    world.guilds.get_mut(&id).ok_or_else(|| format!("there is no guild {id}"))
}

fn thread(world: &mut World, ask: &Ask) -> Done {
    let at = ask.text("at").map(|_| id(ask, "at")).transpose()?;
    let (user, channel) = (id(ask, "user")?, id(ask, "channel")?);
    let thread = world.begin_thread_by(user, channel, ask.need("name")?, at)?;
    Ok(json!({"channel": thread.to_string()}))
}

fn post(world: &mut World, ask: &Ask) -> Done {
    let (user, forum) = (id(ask, "user")?, id(ask, "channel")?);
    if world.place(user, forum, crate::discord::perms::SEND_MESSAGES)?.kind != FORUM {
        return Err(format!("{forum} is no forum"));
    }
    let thread = world.begin_thread(forum, user, ask.need("name")?, PUBLIC_THREAD, None, 4320);
    let speech = Speech { text: ask.text("text").unwrap_or_default(), ..Speech::default() };
    // The first message of a post has the number of its thread.
    let message = world.say_as(user, thread, speech, Some(thread))?;
    Ok(said(thread, message))
}

fn join(world: &mut World, ask: &Ask) -> Done {
    let (user, place) = (id(ask, "user")?, id(ask, "channel")?);
    if !world.users.contains_key(&user) {
        return Err(format!("there is no person {user}"));
    }
    if let Some(guild) = world.guilds.get_mut(&place) {
        guild.members.entry(user).or_insert_with(|| Member { joined: now_ms(), ..Member::default() });
        world.emit_joined(place, user);
        return Ok(json!({}));
    }
    let channel = world.channels.get_mut(&place).filter(|channel| channel.thread.is_some());
    let channel = channel.ok_or_else(|| format!("there is no guild or thread {place}"))?;
    channel.members.entry(user).or_insert_with(now_ms);
    world.emit_thread_member(place, user);
    Ok(json!({}))
}

fn kick(world: &mut World, ask: &Ask) -> Done {
    let (user, place) = (id(ask, "user")?, id(ask, "channel")?);
    if world.guilds.contains_key(&place) {
        world.leave_guild(place, user);
        return Ok(json!({}));
    }
    let channel = world.channels.get_mut(&place).ok_or_else(|| format!("there is no place {place}"))?;
    channel.members.remove(&user);
    Ok(json!({}))
}

fn role(world: &mut World, ask: &Ask) -> Done {
    let (user, guild_id, role) = (id(ask, "user")?, id(ask, "guild")?, id(ask, "role")?);
    let before = seen_by_app(world, guild_id);
    let guild = guild(world, guild_id)?;
    if !guild.roles.contains_key(&role) {
        return Err(format!("there is no role {role}"));
    }
    let member = guild.members.get_mut(&user).ok_or_else(|| format!("{user} is no member"))?;
    member.roles.retain(|known| *known != role);
    if ask.flag("given") {
        member.roles.push(role);
    }
    world.emit_member(guild_id, user);
    gained(world, guild_id, &before);
    Ok(json!({}))
}

fn set_role(world: &mut World, ask: &Ask) -> Done {
    let (guild_id, role_id) = (id(ask, "guild")?, id(ask, "role")?);
    let before = seen_by_app(world, guild_id);
    let guild = guild(world, guild_id)?;
    let position = guild.roles.len() as u64;
    let role = guild.roles.entry(role_id).or_insert_with(|| Role {
        id: role_id,
        name: "role".to_owned(),
        permissions: 0,
        position,
        mentionable: false,
        managed: false,
    });
    role.permissions = ask.number("permissions").unwrap_or(role.permissions);
    if let Some(name) = ask.text("name") {
        name.clone_into(&mut role.name);
    }
    if let Some(mentionable) = ask.value("mentionable").and_then(Value::as_bool) {
        role.mentionable = mentionable;
    }
    world.emit_role(guild_id, role_id);
    gained(world, guild_id, &before);
    Ok(json!({}))
}

fn overwrite(world: &mut World, ask: &Ask) -> Done {
    let (channel_id, whose) = (id(ask, "channel")?, id(ask, "whose")?);
    let guild = world.channels.get(&channel_id).and_then(|channel| channel.guild).unwrap_or_default();
    let before = seen_by_app(world, guild);
    let (allow, deny) = (ask.number("allow").unwrap_or(0), ask.number("deny").unwrap_or(0));
    let member = world.users.contains_key(&whose);
    let channel = world.channels.get_mut(&channel_id);
    let channel = channel.ok_or_else(|| format!("there is no channel {channel_id}"))?;
    channel.overwrites.retain(|rule| rule.whose != whose);
    if allow | deny != 0 {
        channel.overwrites.push(Overwrite { whose, member, allow, deny });
    }
    world.emit_channel("CHANNEL_UPDATE", channel_id);
    gained(world, guild, &before);
    Ok(json!({}))
}

fn seen_by_app(world: &World, guild: Id) -> Vec<Id> {
    let here = world.channels.values().filter(|it| it.guild == Some(guild) && it.thread.is_none());
    here.filter(|channel| world.sees(world.app, channel)).map(|channel| channel.id).collect()
}

/// Of channels that the app did not see before, it is told the threads.
fn gained(world: &mut World, guild: Id, before: &[Id]) {
    for channel in seen_by_app(world, guild) {
        if !before.contains(&channel) {
            world.emit_threads(guild, channel);
        }
    }
}

fn new_channel(world: &mut World, ask: &Ask) -> Done {
    let guild_id = id(ask, "guild")?;
    guild(world, guild_id)?;
    let (number, name) = (world.snowflakes.next(), ask.need("name")?.to_owned());
    let kind = ask.number("kind").unwrap_or(0);
    let channel = Channel { id: number, kind, name, guild: Some(guild_id), ..Channel::default() };
    world.channels.insert(number, channel);
    world.emit_channel("CHANNEL_CREATE", number);
    Ok(json!({"channel": number.to_string()}))
}

fn archive(world: &mut World, ask: &Ask) -> Done {
    let number = id(ask, "channel")?;
    let thread = world.channels.get_mut(&number).and_then(|channel| channel.thread.as_mut());
    let thread = thread.ok_or_else(|| format!("there is no thread {number}"))?;
    thread.archived = ask.value("archived").is_none_or(|value| *value == true);
    thread.archived_at = now_ms();
    if ask.value("locked").is_some() {
        thread.locked = ask.flag("locked");
    }
    world.emit_channel("THREAD_UPDATE", number);
    Ok(json!({}))
}

fn set_user(world: &mut World, ask: &Ask) -> Done {
    let number = id(ask, "user")?;
    let fresh =
        || User { id: number, name: format!("user{number}"), locale: "en-US".to_owned(), ..User::default() };
    let user = world.users.entry(number).or_insert_with(fresh);
    if let Some(name) = ask.text("name") {
        name.clone_into(&mut user.name);
    }
    if let Some(name) = ask.text("global_name") {
        user.global_name = Some(name.to_owned());
    }
    if let Some(locale) = ask.text("locale") {
        locale.clone_into(&mut user.locale);
    }
    let flag = |name: &str| ask.value(name).and_then(Value::as_bool);
    user.blocks_dms = flag("blocks_dms").unwrap_or(user.blocks_dms);
    user.bot = flag("bot").unwrap_or(user.bot);
    if ask.text("guild").is_some() {
        let guild_id = id(ask, "guild")?;
        let guild = guild(world, guild_id)?;
        let fresh = || Member { joined: now_ms(), ..Member::default() };
        let member = guild.members.entry(number).or_insert_with(fresh);
        if let Some(nick) = ask.text("nick") {
            member.nick = Some(nick.to_owned()).filter(|nick| !nick.is_empty());
        }
        world.emit_member(guild_id, number);
    }
    Ok(json!({}))
}
