//! The people and places that every world begins with.

use std::collections::BTreeMap;

use super::{
    ids::{Id, id, now_ms},
    options as known,
    perms::{SEND_MESSAGES, USUAL, VIEW_CHANNEL},
    world::{Channel, FORUM, Guild, Member, Overwrite, Role, TEXT, User, World},
};

/// Puts the first people and places into an empty world.
pub(crate) fn plant(world: &mut World) {
    for (who, name, global) in [
        (known::APP, "switchboard", None),
        (known::ANA, "ana", Some("Ana Ask")),
        (known::BEN, "ben", Some("Ben Boss")),
        (known::CY, "cy", Some("Cy Closed")),
        (known::GIA, "gia", Some("Gia Globe")),
        (known::HELPER, "helper", None),
        (known::OWNER, "owner", Some("Olga Owner")),
    ] {
        let id = id(who);
        let user = User {
            id,
            name: name.to_owned(),
            global_name: global.map(str::to_owned),
            bot: global.is_none(),
            blocks_dms: who == known::CY,
            locale: "en-US".to_owned(),
        };
        world.users.insert(id, user);
    }
    let members = [known::APP, known::ANA, known::BEN, known::CY, known::HELPER, known::OWNER];
    guild(world, known::GUILD, "Acme", &members);
    guild(world, known::GUILD_TWO, "Globex", &[known::APP, known::GIA, known::OWNER]);
    guild(world, known::GUILD_THREE, "Initech", &[known::APP, known::GIA, known::OWNER]);
    role(world, known::BOSS, "boss", 2, false);
    role(world, known::ONCALL, "oncall", 1, true);
    role(world, known::BOT_ROLE, "switchboard", 3, false);
    for (who, role, nick) in [(known::BEN, known::BOSS, Some("Big Ben")), (known::APP, known::BOT_ROLE, None)]
    {
        let member = world.guilds.get_mut(&id(known::GUILD)).and_then(|it| it.members.get_mut(&id(who)));
        if let Some(member) = member {
            member.roles.push(id(role));
            member.nick = nick.map(str::to_owned);
        }
    }
    channel(world, known::GENERAL, "general", TEXT, known::GUILD);
    channel(world, known::OPS, "ops", TEXT, known::GUILD);
    channel(world, known::PRIVATE, "private", TEXT, known::GUILD);
    channel(world, known::READONLY, "readonly", TEXT, known::GUILD);
    channel(world, known::FORUM, "help", FORUM, known::GUILD);
    channel(world, known::GLOBEX, "globex", TEXT, known::GUILD_TWO);
    channel(world, known::INITECH, "initech", TEXT, known::GUILD_THREE);
    let (everyone, boss) = (id(known::GUILD), id(known::BOSS));
    overwrite(world, known::PRIVATE, everyone, 0, VIEW_CHANNEL);
    overwrite(world, known::PRIVATE, boss, VIEW_CHANNEL, 0);
    overwrite(world, known::READONLY, everyone, 0, SEND_MESSAGES);
}

fn guild(world: &mut World, which: &str, name: &str, members: &[&str]) {
    let guild_id = id(which);
    let everyone = Role {
        id: guild_id,
        name: "@everyone".to_owned(),
        permissions: USUAL,
        position: 0,
        mentionable: false,
        managed: false,
    };
    let joined = now_ms();
    let members = members.iter().map(|who| (id(who), Member { joined, ..Member::default() })).collect();
    let guild = Guild {
        id: guild_id,
        name: name.to_owned(),
        owner: id(known::OWNER),
        roles: BTreeMap::from([(guild_id, everyone)]),
        members,
    };
    world.guilds.insert(guild_id, guild);
}

fn role(world: &mut World, which: &str, name: &str, position: u64, mentionable: bool) {
    let role_id = id(which);
    let role = Role {
        id: role_id,
        name: name.to_owned(),
        permissions: 0,
        position,
        mentionable,
        managed: which == known::BOT_ROLE,
    };
    if let Some(guild) = world.guilds.get_mut(&id(known::GUILD)) {
        guild.roles.insert(role_id, role);
    }
}

fn channel(world: &mut World, which: &str, name: &str, kind: u64, guild: &str) {
    let channel_id = id(which);
    let channel =
        Channel { id: channel_id, kind, name: name.to_owned(), guild: Some(id(guild)), ..Channel::default() };
    world.channels.insert(channel_id, channel);
}

fn overwrite(world: &mut World, which: &str, whose: Id, allow: u64, deny: u64) {
    if let Some(channel) = world.channels.get_mut(&id(which)) {
        channel.overwrites.push(Overwrite { whose, member: false, allow, deny });
    }
}
