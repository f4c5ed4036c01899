//! What people do.

use bytes::Bytes;
use data_encoding::BASE64;
use serde_json::{Value, json};

use crate::shared::ask::{Ask, Done};
use crate::slack::{
    people::{Denied, Handed},
    world::World,
};

/// Does what is asked, if it is one of these.
pub(super) fn run(world: &mut World, operation: &str, ask: &Ask) -> Option<Done> {
    Some(match operation {
        "say" => say(world, ask),
        "dm" => dm(world, ask),
        "webhook" => webhook(world, ask),
        "edit" => with_message(ask, |user, channel, ts| {
            world.edit(user, channel, ts, ask.text("text").unwrap_or_default())
        }),
        "delete" => with_message(ask, |user, channel, ts| world.delete(user, channel, ts)),
        "react" => with_message(ask, |user, channel, ts| {
            world.member(user, channel)?;
            world.react(user, channel, ts, ask.text("name").unwrap_or("thumbsup")).map_err(str::to_owned)
        }),
        "unreact" => with_message(ask, |user, channel, ts| {
            world.unreact(user, channel, ts, ask.text("name").unwrap_or("thumbsup")).map_err(str::to_owned)
        }),
        "upload" => upload(world, ask),
        "join" => join(world, ask),
        "kick" => kick(world, ask),
        "click" => world.click(&Value::Object(ask.0.clone())).map(|trigger| json!({"trigger_id": trigger})),
        "shortcut" => shortcut(world, ask),
        "view" => view(world, ask),
        "close_view" => {
            ask.need("user").and_then(|user| world.close_view(user)).map(|told| json!({"told": told}))
        }
        "assistant_open" => assistant_open(world, ask),
        "assistant_look" => assistant_look(world, ask),
        "home_open" => home_open(world, ask),
        "set_user" => set_user(world, ask),
        "archive" => archive(world, ask),
        _ => return None,
    })
}

fn said(channel: &str, ts: &str) -> Value {
    json!({"channel": channel, "ts": ts})
}

fn say(world: &mut World, ask: &Ask) -> Done {
    let (user, channel) = (ask.need("user")?, ask.need("channel")?);
    let words = ask.text("text").unwrap_or_default();
    let ts = world.say(user, channel, words, ask.text("thread_ts"), ask.flag("broadcast"))?;
    Ok(said(channel, &ts))
}

fn dm(world: &mut World, ask: &Ask) -> Done {
    let user = ask.need("user")?;
    let channel = im(world, user)?;
    let ts = world.say(user, &channel, ask.text("text").unwrap_or_default(), ask.text("thread_ts"), false)?;
    Ok(said(&channel, &ts))
}

fn webhook(world: &mut World, ask: &Ask) -> Done {
    let channel = ask.need("channel")?;
    let name = ask.text("username").unwrap_or("webhook");
    let ts =
        world.say_by_webhook(channel, name, ask.text("text").unwrap_or_default(), ask.text("thread_ts"))?;
    Ok(said(channel, &ts))
}

fn im(world: &mut World, user: &str) -> Result<String, Denied> {
    let (_, bot, _) = world.team_for(user)?;
    Ok(world.im(&bot, user))
}

fn with_message(ask: &Ask, act: impl FnOnce(&str, &str, &str) -> Result<(), Denied>) -> Done {
    act(ask.need("user")?, ask.need("channel")?, ask.need("ts")?)?;
    Ok(json!({}))
}

fn upload(world: &mut World, ask: &Ask) -> Done {
    let user = ask.need("user")?;
    let channel = match ask.text("channel") {
        Some(channel) => channel.to_owned(),
        None => im(world, user)?,
    };
    let single = Value::Object(ask.0.clone());
    let list = ask.value("files").and_then(Value::as_array).cloned().unwrap_or_else(|| vec![single]);
    let mut handed = Vec::new();
    for file in &list {
        let text = |name: &str| file.get(name).and_then(Value::as_str);
        let content = BASE64.decode(text("content").unwrap_or_default().as_bytes());
        handed.push(Handed {
            name: text("name").unwrap_or("file.txt").to_owned(),
            mimetype: text("mimetype").map(str::to_owned),
            content: Bytes::from(content.map_err(|error| format!("`content` is not base64: {error}"))?),
        });
    }
    let words = ask.text("text").unwrap_or_default();
    let ts = world.upload(user, &channel, words, ask.text("thread_ts"), handed)?;
    Ok(said(&channel, &ts))
}

fn join(world: &mut World, ask: &Ask) -> Done {
    let (user, channel) = (ask.need("user")?, ask.need("channel")?);
    if !world.users.contains_key(user) || !world.channels.contains_key(channel) {
        return Err(format!("there is no {user} or no {channel}"));
    }
    world.enter(channel, user);
    Ok(json!({}))
}

fn kick(world: &mut World, ask: &Ask) -> Done {
    world.leave(ask.need("channel")?, ask.need("user")?)?;
    Ok(json!({}))
}

fn shortcut(world: &mut World, ask: &Ask) -> Done {
    let callback = ask.need("callback_id")?;
    let trigger = world.shortcut(ask.need("user")?, ask.need("channel")?, ask.need("ts")?, callback)?;
    Ok(json!({"trigger_id": trigger}))
}

fn view(world: &mut World, ask: &Ask) -> Done {
    Ok(world.top_view(ask.need("user")?).map(|view| view.show(json!({}))).unwrap_or_default())
}

fn assistant_open(world: &mut World, ask: &Ask) -> Done {
    let (channel, thread) = world.open_assistant(ask.need("user")?, ask.text("context"))?;
    Ok(json!({"channel": channel, "thread_ts": thread}))
}

fn assistant_look(world: &mut World, ask: &Ask) -> Done {
    let user = ask.need("user")?;
    let (team, _, _) = world.team_for(user)?;
    let channel = im(world, user)?;
    let thread = ask.need("thread_ts")?;
    world.tell_assistant(
        "assistant_thread_context_changed",
        user,
        &team,
        &channel,
        thread,
        ask.text("context"),
    );
    Ok(json!({}))
}

fn home_open(world: &mut World, ask: &Ask) -> Done {
    let channel = world.open_home(ask.need("user")?, ask.text("tab").unwrap_or("messages"))?;
    Ok(json!({"channel": channel}))
}

fn set_user(world: &mut World, ask: &Ask) -> Done {
    let user = ask.need("user")?.to_owned();
    world.set_user(&user, &Value::Object(ask.0.clone()));
    Ok(json!({}))
}

fn archive(world: &mut World, ask: &Ask) -> Done {
    let id = ask.need("channel")?;
    let channel = world.channels.get_mut(id).ok_or_else(|| format!("there is no channel {id}"))?;
    channel.archived = ask.value("archived").is_none_or(|value| *value == true);
    Ok(json!({}))
}

/// One of many messages.
pub(super) fn load_one(world: &mut World, ask: &Ask, number: u64) -> Done {
    let turn = ask.turn(number)?;
    let (channel, text) = match turn.channel {
        None => (im(world, turn.user)?, turn.text),
        Some(channel) => {
            let bot = world.channels.get(channel).map(|channel| world.bot_in(channel)).unwrap_or_default();
            (channel.to_owned(), format!("<@{bot}> {}", turn.text))
        }
    };
    let ts = world.say(turn.user, &channel, &text, None, false)?;
    Ok(said(&channel, &ts))
}
