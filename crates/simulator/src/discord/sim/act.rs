//! What people say and do.

use std::collections::BTreeMap;

use bytes::Bytes;
use data_encoding::BASE64;
use serde_json::{Value, json};

use crate::discord::{
    content::Handed,
    ids::Id,
    interaction::Press,
    people::{Denied, Speech},
    perms::VIEW_CHANNEL,
    world::World,
};
use crate::shared::ask::{Ask, Done};

/// Does what is asked, if it is one of these.
pub(super) fn run(world: &mut World, operation: &str, ask: &Ask) -> Option<Done> {
    Some(match operation {
        "say" => say(world, ask),
        "dm" => dm(world, ask),
        "open_dm" => id(ask, "user").map(|user| json!({"channel": world.dm(user).to_string(), "id": ""})),
        "webhook" => webhook(world, ask),
        "system" => system(world, ask),
        "upload" => upload(world, ask),
        "edit" => about(ask, |user, channel, id| {
            world.edit(user, channel, id, ask.text("text").unwrap_or_default())
        }),
        "delete" => about(ask, |user, channel, id| world.delete(user, channel, id)),
        "delete_all" => delete_all(world, ask),
        "react" => {
            about(ask, |user, channel, id| world.react(user, channel, id, ask.text("emoji").unwrap_or("👍")))
        }
        "unreact" => about(ask, |user, channel, id| {
            world.unreact(user, channel, id, ask.text("emoji").unwrap_or("👍"));
            Ok(())
        }),
        "typing" => typing(world, ask),
        "click" => click(world, ask),
        "command" => command(world, ask),
        "shortcut" => shortcut(world, ask),
        "view" => id(ask, "user").map(|user| json!(world.modals.get(&user).map(|modal| modal.show()))),
        "submit" => submit(world, ask),
        "close_view" => id(ask, "user").and_then(|user| {
            let closed = world.modals.remove(&user);
            closed.map(|_| json!({})).ok_or_else(|| format!("{user} has no modal open"))
        }),
        _ => return None,
    })
}

/// An argument that is a snowflake.
pub(super) fn id(ask: &Ask, name: &str) -> Result<Id, Denied> {
    ask.need(name)?.parse().map_err(|_| format!("`{name}` is no id"))
}

pub(super) fn said(channel: Id, id: Id) -> Value {
    json!({"channel": channel.to_string(), "id": id.to_string()})
}

fn speech(ask: &Ask) -> Result<Speech<'_>, Denied> {
    let list = |name: &str| ask.value(name).and_then(Value::as_array).cloned().unwrap_or_default();
    Ok(Speech {
        text: ask.text("text").unwrap_or_default(),
        reply_to: ask.text("reply_to").map(|_| id(ask, "reply_to")).transpose()?,
        quiet: ask.flag("quiet"),
        files: Vec::new(),
        embeds: list("embeds"),
        components: list("components"),
        raw: ask.flag("raw"),
    })
}

fn say(world: &mut World, ask: &Ask) -> Done {
    let (user, channel) = (id(ask, "user")?, id(ask, "channel")?);
    let message = world.say(user, channel, speech(ask)?)?;
    Ok(said(channel, message))
}

fn dm(world: &mut World, ask: &Ask) -> Done {
    let user = id(ask, "user")?;
    let channel = world.dm(user);
    let message = world.say(user, channel, speech(ask)?)?;
    Ok(said(channel, message))
}

fn webhook(world: &mut World, ask: &Ask) -> Done {
    let channel = id(ask, "channel")?;
    let name = ask.text("username").unwrap_or("webhook");
    let message = world.say_by_webhook(channel, name, ask.text("text").unwrap_or_default())?;
    Ok(said(channel, message))
}

fn system(world: &mut World, ask: &Ask) -> Done {
    let channel = id(ask, "channel")?;
    let message = world.say_by_system(id(ask, "user")?, channel, ask.number("kind").unwrap_or(6))?;
    Ok(said(channel, message))
}

fn upload(world: &mut World, ask: &Ask) -> Done {
    let user = id(ask, "user")?;
    let channel = match ask.text("channel") {
        Some(_) => id(ask, "channel")?,
        None => world.dm(user),
    };
    let list = ask.value("files").and_then(Value::as_array).cloned().unwrap_or_else(|| vec![ask.all()]);
    let mut speech = speech(ask)?;
    for file in &list {
        let text = |name: &str| file.get(name).and_then(Value::as_str);
        let content = BASE64.decode(text("content").unwrap_or_default().as_bytes());
        speech.files.push(Handed {
            part: String::new(),
            name: text("name").unwrap_or("file.txt").to_owned(),
            content_type: text("mimetype").map(str::to_owned),
            content: Bytes::from(content.map_err(|error| format!("`content` is not base64: {error}"))?),
        });
    }
    let message = world.say(user, channel, speech)?;
    Ok(said(channel, message))
}

fn about(ask: &Ask, act: impl FnOnce(Id, Id, Id) -> Result<(), Denied>) -> Done {
    act(id(ask, "user")?, id(ask, "channel")?, id(ask, "id")?)?;
    Ok(json!({}))
}

fn delete_all(world: &mut World, ask: &Ask) -> Done {
    let ids: Vec<Id> = ask.list("ids").unwrap_or_default().iter().filter_map(|id| id.parse().ok()).collect();
    world.remove_all(id(ask, "channel")?, &ids);
    Ok(json!({}))
}

fn typing(world: &mut World, ask: &Ask) -> Done {
    let (user, channel) = (id(ask, "user")?, id(ask, "channel")?);
    world.place(user, channel, VIEW_CHANNEL)?;
    world.type_in(channel, user);
    Ok(json!({}))
}

fn begun(interaction: Id) -> Value {
    json!({"interaction": interaction.to_string()})
}

fn click(world: &mut World, ask: &Ask) -> Done {
    let press = Press {
        custom_id: ask.text("custom_id"),
        label: ask.text("label"),
        values: ask.list("values").unwrap_or_default(),
        as_message: ask.value("as_message").cloned(),
    };
    world.click(id(ask, "user")?, id(ask, "channel")?, id(ask, "id")?, &press).map(begun)
}

fn command(world: &mut World, ask: &Ask) -> Done {
    let (user, name) = (id(ask, "user")?, ask.need("command")?.trim_start_matches('/'));
    let channel = match ask.text("channel") {
        Some(_) => id(ask, "channel")?,
        None => world.dm(user),
    };
    let options = ask.value("options").cloned().unwrap_or_else(|| json!({}));
    world.command(user, channel, name, &options).map(begun)
}

fn shortcut(world: &mut World, ask: &Ask) -> Done {
    let name = ask.need("name")?;
    world.shortcut(id(ask, "user")?, id(ask, "channel")?, id(ask, "id")?, name).map(begun)
}

fn submit(world: &mut World, ask: &Ask) -> Done {
    let values: BTreeMap<String, Value> = ask
        .value("values")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    Ok(match world.submit(id(ask, "user")?, &values)? {
        Ok(interaction) => {
            json!({"outcome": "sent", "errors": {}, "interaction": interaction.to_string()})
        }
        Err(errors) => json!({"outcome": "refused", "errors": errors, "interaction": null}),
    })
}

/// One of many messages.
pub(super) fn load_one(world: &mut World, ask: &Ask, number: u64) -> Done {
    let turn = ask.turn(number)?;
    let user = turn.user.parse().map_err(|_| format!("{} is no id", turn.user))?;
    let (channel, text) = match turn.channel {
        None => (world.dm(user), turn.text),
        Some(channel) => {
            let channel = channel.parse().map_err(|_| format!("{channel} is no id"))?;
            (channel, format!("<@{}> {}", world.app, turn.text))
        }
    };
    let message = world.say(user, channel, Speech { text: &text, ..Speech::default() })?;
    Ok(said(channel, message))
}
