//! What goes wrong, and what is switched.

use std::time::Duration;

use serde_json::{Value, json};

use crate::discord::{sessions::Event, world::World};
use crate::shared::{
    ask::{Ask, Done},
    fault::Fault,
    link::Order,
};

/// Does what is asked, if it is one of these.
pub(super) fn run(world: &mut World, operation: &str, ask: &Ask) -> Option<Done> {
    Some(match operation {
        "fault" => fault(world, ask),
        "clear_faults" => {
            world.faults.clear();
            Ok(json!({}))
        }
        "socket_fault" => socket_fault(world, ask),
        "revoke" => {
            world.settings.revoked = ask.value("revoked").is_none_or(|value| *value == true);
            Ok(json!({}))
        }
        "raw_event" => raw_event(world, ask),
        "raw_frame" => raw_frame(world, ask),
        "away" => away(world, ask),
        "expire" => expire(world, ask),
        "time_scale" => ask.measure("scale").map(|scale| {
            world.settings.options.time_scale = scale;
            json!({})
        }),
        "settings_set" => set(world, ask),
        _ => return None,
    })
}

fn fault(world: &mut World, ask: &Ask) -> Done {
    let fault = Fault::read(&ask.all());
    world.faults.push(fault.ok_or_else(|| "there is no such fault".to_owned())?);
    Ok(json!({}))
}

fn socket_fault(world: &mut World, ask: &Ask) -> Done {
    let count = usize::try_from(ask.number("count").unwrap_or(1)).unwrap_or(1);
    let chosen: Vec<u64> = match ask.number("socket") {
        Some(socket) => vec![socket],
        None => world.sessions.live.keys().copied().collect(),
    };
    let frame = |op: u64, data: Value| json!({"t": null, "s": null, "op": op, "d": data}).to_string();
    let say = |world: &mut World, text: &str| chosen.iter().for_each(|id| world.sessions.send(*id, text));
    match ask.need("kind")? {
        "ghost" => {
            for id in &chosen {
                world.sessions.order(*id, Order::Ghost);
                if let Some(socket) = world.sessions.live.get_mut(id) {
                    socket.ghost = true;
                }
            }
        }
        "no_acks" => {
            let all = world.sessions.live.iter_mut().filter(|(id, _)| chosen.contains(id));
            all.for_each(|(_, socket)| socket.no_acks = true);
        }
        "cut" => chosen.iter().for_each(|id| world.sessions.order(*id, Order::Cut)),
        "reconnect" => say(world, &frame(7, Value::Null)),
        "invalid" => {
            let gone = world.sessions.live.iter().filter(|(id, _)| chosen.contains(id));
            let gone: Vec<String> = gone.filter_map(|(_, socket)| socket.session.clone()).collect();
            gone.iter().for_each(|session| {
                world.sessions.all.remove(session);
            });
            say(world, &frame(9, json!(false)));
        }
        "invalid_resumable" => say(world, &frame(9, json!(true))),
        "heartbeat" => say(world, &frame(1, Value::Null)),
        "close" => {
            let code = ask.number("code").and_then(|code| u16::try_from(code).ok()).unwrap_or(4000);
            chosen.iter().for_each(|id| world.sessions.close(*id, code, "Played."));
        }
        "garbage" => say(world, ask.text("text").unwrap_or("{\"op\":")),
        "duplicate" => world.sessions.duplicate += count,
        "reorder" => world.sessions.reorder = count,
        "delay" => {
            let wait = Duration::from_millis(ask.number("ms").unwrap_or(100));
            world.sessions.delay.extend(vec![wait; count]);
        }
        "refuse_open" => world.sessions.refuse_open += count,
        "refuse_connect" => world.sessions.refuse_connect += count,
        unknown => return Err(format!("there is no socket fault {unknown}")),
    }
    Ok(json!({"sockets": chosen}))
}

fn raw_event(world: &mut World, ask: &Ask) -> Done {
    let data = ask.value("data").cloned().unwrap_or_default();
    let guild = data.get("guild_id").and_then(Value::as_str).and_then(|id| id.parse().ok());
    world.dispatch(&Event { name: ask.need("name")?, data, guild, intents: 0 });
    Ok(json!({}))
}

fn raw_frame(world: &mut World, ask: &Ask) -> Done {
    let text = ask.need("text")?;
    let live: Vec<u64> = world.sessions.live.keys().copied().collect();
    live.iter().for_each(|id| world.sessions.send(*id, text));
    Ok(json!({"sockets": live}))
}

fn away(world: &mut World, ask: &Ask) -> Done {
    world.settings.away = ask.flag("away");
    if world.settings.away {
        let live: Vec<u64> = world.sessions.live.keys().copied().collect();
        live.iter().for_each(|id| world.sessions.order(*id, Order::Cut));
    }
    Ok(json!({}))
}

fn expire(world: &mut World, ask: &Ask) -> Done {
    match ask.need("what")? {
        "interactions" => world.interactions.values_mut().for_each(|it| it.expired = true),
        "nonces" => world.nonces.clear(),
        "sessions" => world.sessions.all.clear(),
        "ban" => world.limits.pardon(),
        unknown => return Err(format!("{unknown} does not expire")),
    }
    Ok(json!({}))
}

fn set(world: &mut World, ask: &Ask) -> Done {
    let flag = |name: &str| ask.value(name).and_then(Value::as_bool);
    let options = &mut world.settings.options;
    options.rate_limits = flag("rate_limits").unwrap_or(options.rate_limits);
    options.sharding_required = flag("sharding_required").unwrap_or(options.sharding_required);
    options.privileged_intents = ask.number("privileged_intents").unwrap_or(options.privileged_intents);
    options.ban_at = ask.number("ban_at").unwrap_or(options.ban_at);
    options.shards = ask.number("shards").unwrap_or(options.shards);
    if let Some(replay) = ask.number("replay") {
        options.replay = usize::try_from(replay).unwrap_or(usize::MAX);
    }
    if let Some(ms) = ask.number("resume_within_ms") {
        options.resume_within = Duration::from_millis(ms);
    }
    if let Some(token) = ask.text("bot_token") {
        token.clone_into(&mut world.settings.token);
    }
    Ok(json!({}))
}
