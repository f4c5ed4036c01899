//! What goes wrong, and what is switched.

use serde_json::{Value, json};

use crate::shared::ask::{Ask, Done};
use crate::shared::{fault::Fault, link::Order};
use crate::slack::{options::Events, world::World};

/// Does what is asked, if it is one of these.
pub(super) fn run(world: &mut World, operation: &str, ask: &Ask) -> Option<Done> {
    Some(match operation {
        "fault" => fault(world, ask),
        "clear_faults" => {
            world.faults.clear();
            Ok(json!({}))
        }
        "socket_fault" => socket_fault(world, ask),
        "revoke" => revoke(world, ask),
        "scopes" => scopes(world, ask),
        "raw_event" => raw_event(world, ask),
        "raw_frame" => raw_frame(world, ask),
        "away" => away(world, ask),
        "expire" => expire(world, ask),
        "time_scale" => ask.measure("scale").map(|scale| {
            world.settings.time_scale = scale;
            json!({})
        }),
        "events" => events(world, ask),
        "settings_set" => set(world, ask),
        _ => return None,
    })
}

fn fault(world: &mut World, ask: &Ask) -> Done {
    let fault = Fault::read(&Value::Object(ask.0.clone()));
    world.faults.push(fault.ok_or_else(|| "there is no such fault".to_owned())?);
    Ok(json!({}))
}

fn socket_fault(world: &mut World, ask: &Ask) -> Done {
    let count = usize::try_from(ask.number("count").unwrap_or(1)).unwrap_or(1);
    let chosen: Vec<u64> = match ask.number("socket") {
        Some(socket) => vec![socket],
        None => world.sockets.live.keys().copied().collect(),
    };
    match ask.need("kind")? {
        "ghost" => {
            for id in &chosen {
                world.sockets.order(*id, Order::Ghost);
                if let Some(socket) = world.sockets.live.get_mut(id) {
                    socket.ghost = true;
                }
            }
        }
        "cut" => chosen.iter().for_each(|id| world.sockets.order(*id, Order::Cut)),
        "refresh" => chosen.iter().for_each(|id| world.refresh_socket(*id)),
        "refresh_now" => chosen.iter().for_each(|id| world.close_socket(*id, "refresh_requested")),
        "link_disabled" => {
            world.sockets.disabled = true;
            chosen.iter().for_each(|id| world.close_socket(*id, "link_disabled"));
        }
        "duplicate" => world.deliveries.duplicate += count,
        "lose_acks" => world.deliveries.lose_acks += count,
        "reorder" => world.deliveries.reorder = count,
        "garbage" => {
            let text = ask.text("text").unwrap_or("{\"type\":");
            chosen.iter().for_each(|id| world.sockets.send(*id, text));
        }
        "refuse_open" => world.sockets.refuse_open += count,
        "refuse_connect" => world.sockets.refuse_connect += count,
        unknown => return Err(format!("there is no socket fault {unknown}")),
    }
    Ok(json!({"sockets": chosen}))
}

fn revoke(world: &mut World, ask: &Ask) -> Done {
    let name = ask.need("token")?;
    let token = world.tokens.get_mut(name).ok_or_else(|| "there is no such token".to_owned())?;
    token.revoked = ask.value("revoked").is_none_or(|value| *value == true);
    Ok(json!({}))
}

fn scopes(world: &mut World, ask: &Ask) -> Done {
    let read = |name: &str| {
        let list = ask.value(name).and_then(Value::as_array)?;
        Some(list.iter().filter_map(Value::as_str).map(str::to_owned).collect())
    };
    if let Some(scopes) = read("scopes") {
        world.settings.scopes = scopes;
    }
    if let Some(scopes) = read("app_scopes") {
        world.settings.app_scopes = scopes;
    }
    Ok(json!({}))
}

fn raw_event(world: &mut World, ask: &Ask) -> Done {
    let event = ask.value("event").cloned().ok_or_else(|| "`event` is missing".to_owned())?;
    let team = ask.text("team").unwrap_or("T0SIM0001");
    let mut payload = world.wrap(team, event, ask.flag("shared"));
    if let (Some(payload), Some(Value::Object(outer))) = (payload.as_object_mut(), ask.value("outer")) {
        payload.extend(outer.clone());
    }
    let event_id = payload.get("event_id").cloned();
    let delivery = world.deliver_event(payload);
    Ok(json!({"delivery": delivery, "event_id": event_id}))
}

fn raw_frame(world: &mut World, ask: &Ask) -> Done {
    let text = ask.need("text")?;
    let socket = match ask.number("socket") {
        Some(socket) => Some(socket),
        None => world.sockets.choose(None),
    };
    let socket = socket.ok_or_else(|| "there is no socket".to_owned())?;
    world.sockets.send(socket, text);
    Ok(json!({"socket": socket}))
}

fn away(world: &mut World, ask: &Ask) -> Done {
    world.settings.away = ask.flag("away");
    if world.settings.away {
        let live: Vec<u64> = world.sockets.live.keys().copied().collect();
        live.iter().for_each(|id| world.sockets.order(*id, Order::Cut));
    }
    Ok(json!({}))
}

fn expire(world: &mut World, ask: &Ask) -> Done {
    match ask.need("what")? {
        "triggers" => world.triggers.values_mut().for_each(|trigger| trigger.expired = true),
        "response_urls" => world.hooks.values_mut().for_each(|hook| hook.expired = true),
        "status" => world.channels.values_mut().for_each(|channel| channel.status.clear()),
        "streams" => {
            let all = world.channels.values_mut().flat_map(|channel| channel.messages.values_mut());
            all.filter(|message| message.streaming == Some(true)).for_each(|it| it.streaming = Some(false));
        }
        unknown => return Err(format!("{unknown} does not expire")),
    }
    Ok(json!({}))
}

fn events(world: &mut World, ask: &Ask) -> Done {
    world.settings.events = match ask.text("url") {
        Some(url) => Events::Http { url: url.to_owned() },
        None => Events::Socket,
    };
    Ok(json!({}))
}

fn set(world: &mut World, ask: &Ask) -> Done {
    let flag = |name: &str| ask.value(name).and_then(Value::as_bool);
    let settings = &mut world.settings;
    settings.streaming = flag("streaming").unwrap_or(settings.streaming);
    settings.rate_limits = flag("rate_limits").unwrap_or(settings.rate_limits);
    if let Some(secret) = ask.text("signing_secret") {
        settings.signing_secret = secret.to_owned();
    }
    Ok(json!({}))
}
