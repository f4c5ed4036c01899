//! `chat.postMessage`, `chat.postEphemeral`, and what every post goes through.

use serde_json::{Map, Value, json};

use super::{Answer, Args, Caller, Refusal, World};
use crate::slack::{
    blocks,
    message::Message,
    rings::{Reading, has_link},
    world::Sort,
};

/// The most characters of a text.
const TEXT: usize = 40_000;

/// The most characters of all blocks of a message that has a `markdown` block, as developers have met it.
const BLOCKS_WITH_MARKDOWN: usize = 13_200;

/// The most characters of the metadata.
const METADATA: usize = 16_000;

/// The most characters of `markdown_text`.
const MARKDOWN: usize = 12_000;

/// What a post carries, checked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Content {
    pub(crate) text: String,
    pub(crate) blocks: Vec<Value>,
    pub(crate) attachments: Vec<Value>,
    pub(crate) metadata: Option<Value>,
    pub(crate) rings: Vec<String>,
    pub(crate) unfurls: bool,
}

/// `chat.postMessage`
pub(super) fn post_message(world: &mut World, caller: &Caller, args: &Args) -> Answer {
    let id = world.target(caller, args)?;
    may_post(world, caller, &id)?;
    let thread_ts = thread(world, &id, args)?;
    let content = world.content(args)?;
    if world.settings.rate_limits
        && let Err(wait) = world.limits.take(&id)
    {
        return Err(Refusal { wait: Some(wait), ..Refusal::new("ratelimited") });
    }
    let mut message = Message { thread_ts, ..app_message(caller, content) };
    message.ts = world.stamps.next();
    if args.yes("reply_broadcast") == Some(true) && message.thread_ts.is_some() {
        message.broadcast = true;
        message.subtype = Some("thread_broadcast".to_owned());
    }
    if let Some(name) = args.text("username") {
        world.check_scopes(&["chat:write.customize"], false)?;
        message.extra.insert("username".to_owned(), json!(name));
    }
    let ts = message.ts.clone();
    world.put(&id, message);
    let channel = world.channels.get(&id).ok_or_else(|| Refusal::new("channel_not_found"))?;
    let message = channel.message(&ts).ok_or_else(|| Refusal::new("message_not_found"))?;
    Ok(json!({"channel": id, "ts": ts, "message": posted(world.show(channel, message, true))}))
}

/// `chat.postEphemeral`
pub(super) fn post_ephemeral(world: &mut World, caller: &Caller, args: &Args) -> Answer {
    let id = args.need("channel")?;
    let user = args.need("user")?;
    world.visible(caller, &id)?;
    may_post(world, caller, &id)?;
    if !world.channels.get(&id).is_some_and(|channel| channel.has(&user)) {
        return Err(Refusal::new("user_not_in_channel"));
    }
    let thread_ts = thread(world, &id, args)?;
    let content = world.content(args)?;
    let ts = world.stamps.next();
    let message =
        Message { thread_ts, ts: ts.clone(), ephemeral_to: Some(user), ..app_message(caller, content) };
    if let Some(channel) = world.channels.get_mut(&id) {
        channel.whispers.push(message);
    }
    Ok(json!({"message_ts": ts}))
}

/// A message of the app with this content.
pub(crate) fn app_message(caller: &Caller, content: Content) -> Message {
    Message {
        user: Some(caller.bot_user.clone()),
        bot: Some(caller.bot.clone()),
        text: content.text,
        blocks: content.blocks,
        attachments: content.attachments,
        metadata: content.metadata,
        rings: content.rings,
        unfurls: content.unfurls,
        team: caller.team.clone(),
        ..Message::default()
    }
}

/// The answer to a post has the message without what is about its thread as a whole.
fn posted(mut message: Value) -> Value {
    if let Some(message) = message.as_object_mut() {
        for field in ["reply_count", "reply_users", "reply_users_count", "latest_reply", "is_locked"] {
            message.shift_remove(field);
        }
    }
    message
}

/// Refuses where the app may not post.
pub(crate) fn may_post(world: &World, caller: &Caller, id: &str) -> Result<(), Refusal> {
    let channel = world.channels.get(id).ok_or_else(|| Refusal::new("channel_not_found"))?;
    if !channel.has(&caller.bot_user) && channel.sort == Sort::Public {
        let open = world.settings.scopes.contains("chat:write.public");
        if !open {
            return Err(Refusal::new("not_in_channel"));
        }
    }
    if channel.archived {
        return Err(Refusal::new("is_archived"));
    }
    Ok(())
}

/// The thread that a post goes to: that of an existing message.
fn thread(world: &World, id: &str, args: &Args) -> Result<Option<String>, Refusal> {
    let Some(ts) = args.text("thread_ts") else { return Ok(None) };
    if !crate::slack::ids::is_stamp(&ts) {
        return Err(Refusal::new("invalid_thread_ts"));
    }
    let channel = world.channels.get(id).ok_or_else(|| Refusal::new("channel_not_found"))?;
    let message = channel.messages.get(&ts).ok_or_else(|| Refusal::new("thread_not_found"))?;
    Ok(Some(message.root().to_owned()))
}

impl World {
    /// The channel that a post is for: a person stands for the conversation with them, a name for the channel.
    pub(crate) fn target(&mut self, caller: &Caller, args: &Args) -> Result<String, Refusal> {
        let wanted = args.need("channel")?;
        if let Some(user) = self.users.get(&wanted) {
            let (known, id) = (user.bot.is_none() && !user.deleted, user.id.clone());
            if !known {
                return Err(Refusal::new("channel_not_found"));
            }
            return Ok(self.im(&caller.bot_user, &id));
        }
        let name = wanted.trim_start_matches('#');
        let named =
            self.channels.values().find(|channel| channel.team == caller.team && channel.name == name);
        let id = match named {
            Some(channel) if !name.is_empty() => channel.id.clone(),
            Some(_) | None => wanted,
        };
        self.visible(caller, &id).map(|channel| channel.id.clone())
    }

    /// Checks what a post carries.
    pub(crate) fn content(&self, args: &Args) -> Result<Content, Refusal> {
        let mut text = args.text("text").unwrap_or_default();
        let mut blocks = read_blocks(args)?;
        let attachments = read_list(args, "attachments", "invalid_attachments")?.unwrap_or_default();
        if let Some(markdown) = args.text("markdown_text") {
            if !text.is_empty() || !blocks.is_empty() {
                return Err(Refusal::new("markdown_text_conflict"));
            }
            if markdown.chars().count() > MARKDOWN {
                return Err(Refusal::new("msg_too_long"));
            }
            blocks = vec![json!({"type": "markdown", "text": markdown})];
            text = markdown;
        }
        if text.is_empty() && blocks.is_empty() && attachments.is_empty() {
            return Err(Refusal::new("no_text"));
        }
        if text.chars().count() > TEXT {
            return Err(Refusal::new("msg_too_long"));
        }
        let metadata = read_metadata(args)?;
        let full = args.text("parse").is_some_and(|parse| parse == "full");
        let reading = Reading { names: full || args.yes("link_names") == Some(true) };
        let rings = self.rings(&text, &blocks, &attachments, reading);
        let unfurls = args.yes("unfurl_links") != Some(false) && has_link(&text, &blocks);
        if text.is_empty() && attachments.is_empty() {
            text = readable(&blocks);
        }
        let named = name_blocks(blocks);
        Ok(Content { text, blocks: named, attachments, metadata, rings, unfurls })
    }

    /// Keeps a message and tells the app of it. A reply of the app takes its status away.
    pub(crate) fn put(&mut self, id: &str, mut message: Message) {
        let ts = message.ts.clone();
        let root = message.thread_ts.clone().filter(|root| *root != ts);
        let by_app = message.bot.as_ref().is_some_and(|bot| self.teams.iter().any(|team| team.bot == *bot));
        let Some(channel) = self.channels.get_mut(id) else { return };
        if let Some(root) = &root {
            if by_app {
                channel.status.remove(root);
            }
            if let Some(root) = channel.messages.get_mut(root) {
                root.thread_ts = Some(root.ts.clone());
            }
        }
        message.thread_ts = root.or(message.thread_ts);
        channel.messages.insert(ts.clone(), message);
        self.emit_message(id, &ts);
    }
}

/// The blocks of a call, checked.
pub(crate) fn read_blocks(args: &Args) -> Result<Vec<Value>, Refusal> {
    let Some(blocks) = read_list(args, "blocks", "invalid_blocks_format")? else { return Ok(Vec::new()) };
    let faults = blocks::check_message(&blocks);
    if !faults.is_empty() {
        return Err(Refusal::with_messages("invalid_blocks", &faults));
    }
    let markdown = blocks.iter().any(|block| block.get("type").is_some_and(|kind| kind == "markdown"));
    let length = json!(blocks).to_string().chars().count();
    if markdown && length > BLOCKS_WITH_MARKDOWN {
        return Err(Refusal::new("msg_blocks_too_long"));
    }
    Ok(blocks)
}

fn read_list(args: &Args, name: &str, error: &str) -> Result<Option<Vec<Value>>, Refusal> {
    match args.json(name) {
        Ok(None) => Ok(None),
        Ok(Some(Value::Array(list))) => Ok(Some(list)),
        Ok(Some(_)) | Err(()) => Err(Refusal::new(error)),
    }
}

/// The metadata of a call, checked: a type and an object.
pub(crate) fn read_metadata(args: &Args) -> Result<Option<Value>, Refusal> {
    let metadata = match args.json("metadata") {
        Ok(None) => return Ok(None),
        Ok(Some(metadata)) => metadata,
        Err(()) => return Err(Refusal::new("invalid_metadata_format")),
    };
    let Some(object) = metadata.as_object() else { return Err(Refusal::new("invalid_metadata_format")) };
    if object.is_empty() {
        return Ok(None);
    }
    let kind = object.get("event_type").and_then(Value::as_str).unwrap_or_default();
    let payload = object.get("event_payload").and_then(Value::as_object);
    if kind.is_empty() || payload.is_none() {
        return Err(Refusal::new("invalid_metadata_format"));
    }
    if metadata.to_string().chars().count() > METADATA {
        return Err(Refusal::new("metadata_too_large"));
    }
    let mut kept = Map::new();
    kept.insert("event_type".to_owned(), json!(kind));
    kept.insert("event_payload".to_owned(), json!(payload));
    Ok(Some(Value::Object(kept)))
}

/// What Slack writes down as the text of a message that has blocks and no text: what can be read in them.
fn readable(blocks: &[Value]) -> String {
    let words = blocks.iter().filter_map(|block| {
        let text = block.get("text")?;
        text.as_str().or_else(|| text.get("text").and_then(Value::as_str)).map(str::to_owned)
    });
    let words = words.collect::<Vec<_>>().join(" ");
    if words.is_empty() { "This content can't be displayed.".to_owned() } else { words }
}

/// Gives a name to every block that has none. The name of a `markdown` block is not kept: it becomes other blocks.
pub(crate) fn name_blocks(mut blocks: Vec<Value>) -> Vec<Value> {
    for block in blocks.iter_mut().filter_map(Value::as_object_mut) {
        let kept = block.get("type").is_none_or(|kind| kind != "markdown");
        let named = block.get("block_id").and_then(Value::as_str).is_some_and(|id| !id.is_empty());
        if !(named && kept) {
            block.insert("block_id".to_owned(), json!(crate::slack::ids::random(3)));
        }
    }
    blocks
}
