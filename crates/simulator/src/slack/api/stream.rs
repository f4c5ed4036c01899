//! `chat.startStream`, `chat.appendStream`, `chat.stopStream`

use serde_json::{Value, json};

use super::{
    Answer, Args, Caller, Refusal, World,
    post::{self, Content, app_message, may_post},
};
use crate::slack::{ids::is_stamp, message::Message, rings::Reading, world::Sort};

/// The most characters of `markdown_text` in one call.
const MARKDOWN: usize = 12_000;

/// `chat.startStream`
pub(super) fn start(world: &mut World, caller: &Caller, args: &Args) -> Answer {
    let id = args.need("channel")?;
    let thread = args.need("thread_ts")?;
    world.visible(caller, &id)?;
    may_post(world, caller, &id)?;
    let channel = world.channels.get(&id).ok_or_else(|| Refusal::new("channel_not_found"))?;
    if channel.sort != Sort::Im {
        if args.text("recipient_team_id").is_none() {
            return Err(Refusal::new("missing_recipient_team_id"));
        }
        if args.text("recipient_user_id").is_none() {
            return Err(Refusal::new("missing_recipient_user_id"));
        }
    }
    if !is_stamp(&thread) || channel.message(&thread).is_none() {
        return Err(Refusal::new("invalid_thread_ts"));
    }
    let root = channel.message(&thread).map(|message| message.root().to_owned());
    let text = markdown(args)?.unwrap_or_default();
    let rings = world.rings(&text, &[], &[], Reading::default());
    let content = Content { text, rings, ..Content::default() };
    let ts = world.stamps.next();
    let message =
        Message { ts: ts.clone(), thread_ts: root, streaming: Some(true), ..app_message(caller, content) };
    world.put(&id, message);
    Ok(json!({"channel": id, "ts": ts}))
}

/// `chat.appendStream`
pub(super) fn append(world: &mut World, caller: &Caller, args: &Args) -> Answer {
    let (id, ts) = open_stream(world, caller, args)?;
    let text = markdown(args)?.ok_or_else(|| Refusal::missing("markdown_text"))?;
    add(world, &id, &ts, &text);
    Ok(json!({"channel": id, "ts": ts}))
}

/// `chat.stopStream`
pub(super) fn stop(world: &mut World, caller: &Caller, args: &Args) -> Answer {
    let (id, ts) = open_stream(world, caller, args)?;
    let text = markdown(args)?.unwrap_or_default();
    let blocks = post::read_blocks(args)?;
    let metadata = post::read_metadata(args)?;
    add(world, &id, &ts, &text);
    let extra = world.rings("", &blocks, &[], Reading::default());
    let before = shown(world, &id, &ts);
    let channel = world.channels.get_mut(&id).ok_or_else(|| Refusal::new("channel_not_found"))?;
    let message = channel.messages.get_mut(&ts).ok_or_else(|| Refusal::new("message_not_found"))?;
    message.streaming = Some(false);
    if !message.text.is_empty() {
        message.blocks = vec![json!({"type": "markdown", "text": message.text})];
    }
    message.blocks.extend(blocks);
    message.blocks = post::name_blocks(std::mem::take(&mut message.blocks));
    message.metadata = metadata;
    message.rings.extend(extra);
    world.emit_changed(&id, &ts, &before);
    Ok(json!({"channel": id, "ts": ts, "message": shown(world, &id, &ts)}))
}

fn open_stream(world: &World, caller: &Caller, args: &Args) -> Result<(String, String), Refusal> {
    let id = args.need("channel")?;
    let ts = args.need("ts")?;
    let channel = world.visible(caller, &id)?;
    let message = channel.message(&ts).ok_or_else(|| Refusal::new("message_not_found"))?;
    if message.bot.as_deref() != Some(caller.bot.as_str()) {
        return Err(Refusal::new("message_not_owned_by_app"));
    }
    if message.streaming != Some(true) {
        return Err(Refusal::new("message_not_in_streaming_state"));
    }
    Ok((id, ts))
}

/// The text of a call: `markdown_text`, or the text of its chunks.
fn markdown(args: &Args) -> Result<Option<String>, Refusal> {
    let chunks = args.json("chunks").map_err(|()| Refusal::new("invalid_chunks"))?;
    let text = match (args.text("markdown_text"), chunks) {
        (Some(_), Some(_)) => return Err(Refusal::new("cannot_provide_both_markdown_text_and_chunks")),
        (text, None) => text,
        (None, Some(chunks)) => {
            let list = chunks.as_array().ok_or_else(|| Refusal::new("invalid_chunks"))?;
            let words = |chunk: &Value| {
                let kind = chunk.get("type").and_then(Value::as_str);
                let text =
                    chunk.get("text").and_then(Value::as_str).filter(|_| kind == Some("markdown_text"));
                text.unwrap_or_default().to_owned()
            };
            Some(list.iter().map(words).collect())
        }
    };
    if text.as_ref().is_some_and(|text| text.chars().count() > MARKDOWN) {
        return Err(Refusal::new("msg_too_long"));
    }
    Ok(text)
}

fn add(world: &mut World, id: &str, ts: &str, text: &str) {
    let Some(message) = world.channels.get(id).and_then(|channel| channel.messages.get(ts)) else { return };
    let whole = format!("{}{text}", message.text);
    let rings = world.rings(&whole, &[], &[], Reading::default());
    let message = world.channels.get_mut(id).and_then(|channel| channel.messages.get_mut(ts));
    if let Some(message) = message {
        message.text = whole;
        message.rings = rings;
    }
}

fn shown(world: &World, id: &str, ts: &str) -> Value {
    let channel = world.channels.get(id);
    let found = channel.and_then(|channel| Some(world.show(channel, channel.messages.get(ts)?, true)));
    found.unwrap_or_default()
}
