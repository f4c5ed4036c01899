//! `conversations.*` about channels themselves, and `users.conversations`

use data_encoding::BASE64;
use serde_json::{Value, json};

use super::{Answer, Args, Caller, Refusal, World};
use crate::slack::world::{Channel, Sort};

/// `conversations.open`
pub(super) fn open(world: &mut World, caller: &Caller, args: &Args) -> Answer {
    let before = world.channels.len();
    let id = match (args.text("channel"), args.text("users")) {
        (Some(channel), _) => {
            world.visible(caller, &channel)?;
            channel
        }
        (None, Some(users)) => open_with(world, caller, &users)?,
        (None, None) => return Err(Refusal::new("users_list_not_supplied")),
    };
    let channel = world.channels.get(&id).ok_or_else(|| Refusal::new("channel_not_found"))?;
    if args.yes("return_im") == Some(true) {
        return Ok(json!({"channel": world.show_channel(channel, &caller.bot_user)}));
    }
    if world.channels.len() == before {
        return Ok(json!({"no_op": true, "already_open": true, "channel": {"id": id}}));
    }
    Ok(json!({"channel": {"id": id}}))
}

fn open_with(world: &mut World, caller: &Caller, users: &str) -> Result<String, Refusal> {
    let users: Vec<&str> = users.split(',').map(str::trim).filter(|user| !user.is_empty()).collect();
    for user in &users {
        let found = world.users.get(*user).ok_or_else(|| Refusal::new("user_not_found"))?;
        if found.deleted {
            return Err(Refusal::new("user_disabled"));
        }
        if found.bot.is_some() || found.id == "USLACKBOT" {
            return Err(Refusal::new("cannot_dm_bot"));
        }
    }
    match users.as_slice() {
        [] => Err(Refusal::new("users_list_not_supplied")),
        [user] => {
            world.check_scopes(&["im:write"], false)?;
            Ok(world.im(&caller.bot_user, user))
        }
        several => {
            world.check_scopes(&["mpim:write"], false)?;
            Ok(open_mpim(world, caller, several))
        }
    }
}

fn open_mpim(world: &mut World, caller: &Caller, users: &[&str]) -> String {
    let mut members: Vec<String> = users.iter().map(|&user| user.to_owned()).collect();
    members.push(caller.bot_user.clone());
    members.sort_unstable();
    let same = |channel: &&Channel| channel.sort == Sort::Mpim && channel.members == members;
    if let Some(channel) = world.channels.values().find(same) {
        return channel.id.clone();
    }
    let id = format!("C0MPM{:04}", world.stamps.number());
    let name = format!("mpdm-{}-1", members.join("--").to_lowercase());
    world.channels.insert(id.clone(), Channel::new(&id, &name, Sort::Mpim, &caller.team, members));
    id
}

/// `conversations.info`
pub(super) fn info(world: &mut World, caller: &Caller, args: &Args) -> Answer {
    let id = args.need("channel")?;
    let channel = world.visible(caller, &id)?;
    world.check_scopes(&[&format!("{}:read", channel.family())], false)?;
    let mut shown = world.show_channel(channel, &caller.bot_user);
    if args.yes("include_num_members") == Some(true)
        && let Some(shown) = shown.as_object_mut()
    {
        shown.insert("num_members".to_owned(), json!(channel.members.len()));
    }
    Ok(json!({"channel": shown}))
}

/// `conversations.members`
pub(super) fn members(world: &mut World, caller: &Caller, args: &Args) -> Answer {
    let id = args.need("channel")?;
    let channel = world.visible(caller, &id)?;
    world.check_scopes(&[&format!("{}:read", channel.family())], false)?;
    let members = channel.members.iter().map(|member| json!(member)).collect();
    let (members, metadata) = page(members, args, 100)?;
    Ok(json!({"members": members, "response_metadata": metadata}))
}

/// `conversations.list`
pub(super) fn list(world: &mut World, caller: &Caller, args: &Args) -> Answer {
    listing(world, caller, args, |channel| channel.sort == Sort::Public || channel.has(&caller.bot_user))
}

/// `users.conversations`
pub(super) fn of_user(world: &mut World, caller: &Caller, args: &Args) -> Answer {
    let user = args.text("user").unwrap_or_else(|| caller.bot_user.clone());
    if !world.users.contains_key(&user) {
        return Err(Refusal::new("user_not_found"));
    }
    listing(world, caller, args, |channel| {
        channel.has(&user) && (channel.sort == Sort::Public || channel.has(&caller.bot_user))
    })
}

fn listing(world: &World, caller: &Caller, args: &Args, wanted: impl Fn(&Channel) -> bool) -> Answer {
    let types = args.text("types").unwrap_or_else(|| "public_channel".to_owned());
    let mut sorts = Vec::new();
    for name in types.split(',').map(str::trim) {
        let (sort, scope) = match name {
            "public_channel" => (Sort::Public, "channels:read"),
            "private_channel" => (Sort::Private, "groups:read"),
            "im" => (Sort::Im, "im:read"),
            "mpim" => (Sort::Mpim, "mpim:read"),
            _ => return Err(Refusal::new("invalid_types")),
        };
        world.check_scopes(&[scope], false)?;
        sorts.push(sort);
    }
    let no_archived = args.yes("exclude_archived") == Some(true);
    let channels = world
        .channels
        .values()
        .filter(|channel| channel.team == caller.team && sorts.contains(&channel.sort) && wanted(channel))
        .filter(|channel| !(no_archived && channel.archived))
        .map(|channel| world.show_channel(channel, &caller.bot_user))
        .collect();
    let (channels, metadata) = page(channels, args, 100)?;
    Ok(json!({"channels": channels, "response_metadata": metadata}))
}

/// `conversations.join`
pub(super) fn join(world: &mut World, caller: &Caller, args: &Args) -> Answer {
    let id = args.need("channel")?;
    let channel = world.visible(caller, &id)?;
    match channel.sort {
        Sort::Public => {}
        Sort::Private | Sort::Im | Sort::Mpim => {
            return Err(Refusal::new("method_not_supported_for_channel_type"));
        }
    }
    if channel.archived {
        return Err(Refusal::new("is_archived"));
    }
    let already = channel.has(&caller.bot_user);
    if !already {
        world.enter(&id, &caller.bot_user);
    }
    let channel = world.channels.get(&id).ok_or_else(|| Refusal::new("channel_not_found"))?;
    let shown = world.show_channel(channel, &caller.bot_user);
    if already {
        return Ok(json!({"channel": shown, "warning": "already_in_channel",
            "response_metadata": {"warnings": ["already_in_channel"]}}));
    }
    Ok(json!({"channel": shown}))
}

/// The part of a list that was asked for, and the cursor of the next.
pub(super) fn page<T>(all: Vec<T>, args: &Args, usual: usize) -> Result<(Vec<T>, Value), Refusal> {
    let limit = match args.text("limit") {
        None => usual,
        Some(text) => match text.parse::<usize>() {
            Ok(0) => usual,
            Ok(limit) if limit <= 1000 => limit,
            Ok(_) | Err(_) => return Err(Refusal::new("invalid_limit")),
        },
    };
    let from = match args.text("cursor") {
        None => 0,
        Some(cursor) => read_cursor(&cursor).ok_or_else(|| Refusal::new("invalid_cursor"))?,
    };
    let more = all.len() > from.saturating_add(limit);
    let next = if more { BASE64.encode(format!("next:{}", from + limit).as_bytes()) } else { String::new() };
    let part = all.into_iter().skip(from).take(limit).collect();
    Ok((part, json!({"next_cursor": next})))
}

fn read_cursor(cursor: &str) -> Option<usize> {
    let text = String::from_utf8(BASE64.decode(cursor.as_bytes()).ok()?).ok()?;
    text.strip_prefix("next:")?.parse().ok()
}

impl World {
    /// A channel that the caller may know of.
    pub(crate) fn visible(&self, caller: &Caller, id: &str) -> Result<&Channel, Refusal> {
        self.channels
            .get(id)
            .filter(|channel| channel.team == caller.team)
            .filter(|channel| channel.sort == Sort::Public || channel.has(&caller.bot_user))
            .ok_or_else(|| Refusal::new("channel_not_found"))
    }

    /// A channel as the Web API shows it.
    pub(crate) fn show_channel(&self, channel: &Channel, bot_user: &str) -> Value {
        if channel.sort == Sort::Im {
            let other = channel.members.iter().find(|member| member.as_str() != bot_user);
            return json!({
                "id": channel.id,
                "created": channel.created,
                "is_archived": channel.archived,
                "is_im": true,
                "is_org_shared": false,
                "context_team_id": channel.team,
                "updated": channel.created * 1000,
                "user": other,
                "is_user_deleted": other.and_then(|id| self.users.get(id)).is_some_and(|user| user.deleted),
                "is_open": true,
                "priority": 0,
            });
        }
        let mpim = channel.sort == Sort::Mpim;
        let mut shared = channel.shared_with.clone();
        if !shared.is_empty() {
            shared.insert(0, channel.team.clone());
        }
        json!({
            "id": channel.id,
            "name": channel.name,
            "is_channel": channel.sort != Sort::Private || channel.id.starts_with('C'),
            "is_group": channel.sort == Sort::Private && channel.id.starts_with('G'),
            "is_im": false,
            "is_mpim": mpim,
            "is_private": channel.sort != Sort::Public,
            "created": channel.created,
            "is_archived": channel.archived,
            "is_general": channel.name == "general",
            "unlinked": 0,
            "name_normalized": channel.name,
            "is_shared": !channel.shared_with.is_empty(),
            "is_org_shared": false,
            "is_pending_ext_shared": false,
            "pending_shared": [],
            "context_team_id": channel.team,
            "updated": channel.created * 1000,
            "parent_conversation": null,
            "creator": "U0ANA0001",
            "is_ext_shared": !channel.shared_with.is_empty(),
            "shared_team_ids": if shared.is_empty() { vec![channel.team.clone()] } else { shared },
            "connected_team_ids": channel.shared_with,
            "pending_connected_team_ids": [],
            "is_member": channel.has(bot_user),
            "topic": {"value": "", "creator": "", "last_set": 0},
            "purpose": {"value": "", "creator": "", "last_set": 0},
            "previous_names": [],
        })
    }
}
