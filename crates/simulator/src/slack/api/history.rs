//! `conversations.history`, `conversations.replies`

use serde_json::{Value, json};

use super::{Answer, Args, Caller, Refusal, World, conversations::page};
use crate::slack::{
    ids::is_stamp,
    message::Message,
    world::{Channel, Sort},
};

/// The times that were asked about.
struct Window {
    oldest: String,
    latest: String,
    inclusive: bool,
}

/// `conversations.history`
pub(super) fn history(world: &mut World, caller: &Caller, args: &Args) -> Answer {
    let id = args.need("channel")?;
    let channel = readable(world, caller, &id)?;
    let window = Window::read(args)?;
    let metadata = args.yes("include_all_metadata") == Some(true);
    let messages: Vec<&Message> = channel
        .messages
        .values()
        .rev()
        .filter(|message| is_listed(channel, message) && window.holds(&message.ts))
        .collect();
    let (messages, cursor) = page(messages, args, 100)?;
    let messages: Vec<Value> =
        messages.into_iter().map(|message| world.show_listed(channel, message, metadata)).collect();
    let more = has_more(&cursor);
    let mut body = json!({"messages": messages, "has_more": more, "pin_count": 0});
    if more && let Some(body) = body.as_object_mut() {
        body.insert("response_metadata".to_owned(), cursor);
    }
    Ok(body)
}

/// `conversations.replies`
pub(super) fn replies(world: &mut World, caller: &Caller, args: &Args) -> Answer {
    let id = args.need("channel")?;
    let ts = args.need("ts")?;
    let channel = readable(world, caller, &id)?;
    let window = Window::read(args)?;
    let metadata = args.yes("include_all_metadata") == Some(true);
    let asked = channel.messages.get(&ts).ok_or_else(|| Refusal::new("thread_not_found"))?;
    let root = channel.messages.get(asked.root()).filter(|root| is_alive(channel, root));
    let root = root.ok_or_else(|| Refusal::new("thread_not_found"))?;
    // The root comes first whatever the times asked about.
    let mut messages = vec![root];
    messages.extend(channel.replies(&root.ts).filter(|message| window.holds(&message.ts)));
    let (messages, cursor) = page(messages, args, 1000)?;
    let messages: Vec<Value> =
        messages.into_iter().map(|message| world.show_listed(channel, message, metadata)).collect();
    let more = has_more(&cursor);
    let mut body = json!({"messages": messages, "has_more": more});
    if more && let Some(body) = body.as_object_mut() {
        body.insert("response_metadata".to_owned(), cursor);
    }
    Ok(body)
}

fn has_more(cursor: &Value) -> bool {
    cursor.get("next_cursor").and_then(Value::as_str).is_some_and(|next| !next.is_empty())
}

fn readable<'a>(world: &'a World, caller: &Caller, id: &str) -> Result<&'a Channel, Refusal> {
    let channel = world.visible(caller, id)?;
    world.check_scopes(&[&format!("{}:history", channel.family())], false)?;
    if channel.sort == Sort::Public && !channel.has(&caller.bot_user) {
        return Err(Refusal::new("not_in_channel"));
    }
    Ok(channel)
}

/// A deleted message stays as a tombstone while there are replies to it.
fn is_alive(channel: &Channel, message: &Message) -> bool {
    !message.deleted || channel.replies(&message.ts).next().is_some()
}

fn is_listed(channel: &Channel, message: &Message) -> bool {
    message.is_top() && is_alive(channel, message)
}

impl Window {
    fn read(args: &Args) -> Result<Self, Refusal> {
        let stamp = |name: &str, none: &str| match args.text(name) {
            None => Ok(none.to_owned()),
            Some(text) if is_stamp(&text) => Ok(text),
            Some(text) if text == "0" => Ok("0000000000.000000".to_owned()),
            Some(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => Ok(format!("{text}.000000")),
            Some(_) => Err(Refusal::new(&format!("invalid_ts_{name}"))),
        };
        Ok(Self {
            oldest: stamp("oldest", "")?,
            latest: stamp("latest", "9999999999.999999")?,
            inclusive: args.yes("inclusive") == Some(true),
        })
    }

    fn holds(&self, ts: &str) -> bool {
        let (oldest, latest) = (self.oldest.as_str(), self.latest.as_str());
        if self.inclusive { oldest <= ts && ts <= latest } else { oldest < ts && ts < latest }
    }
}

impl World {
    fn show_listed(&self, channel: &Channel, message: &Message, metadata: bool) -> Value {
        if !message.deleted {
            return self.show(channel, message, metadata);
        }
        let grave = Message {
            ts: message.ts.clone(),
            user: Some("USLACKBOT".to_owned()),
            subtype: Some("tombstone".to_owned()),
            text: "This message was deleted.".to_owned(),
            team: message.team.clone(),
            thread_ts: Some(message.ts.clone()),
            ..Message::default()
        };
        let mut shown = self.show(channel, &grave, false);
        if let Some(shown) = shown.as_object_mut() {
            shown.insert("hidden".to_owned(), json!(true));
        }
        shown
    }
}
