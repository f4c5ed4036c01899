//! `assistant.threads.*`

use std::time::Duration;

use serde_json::{Value, json};

use super::{Answer, Args, Caller, Refusal, World};
use crate::shared::tasks::Effect;
use crate::slack::{effect::Later, world::Sort};

/// A status goes away by itself after this time.
const STATUS_STAYS: Duration = Duration::from_secs(120);

const PROMPTS: usize = 4;
const LOADING_MESSAGES: usize = 10;

/// `assistant.threads.setStatus`
pub(super) fn set_status(world: &mut World, caller: &Caller, args: &Args) -> Answer {
    let (id, thread) = place(world, caller, args)?;
    // Empty text takes the status away.
    let status = args.all.get("status").and_then(Value::as_str).ok_or_else(|| Refusal::missing("status"))?;
    let loading = args.json("loading_messages").map_err(|()| Refusal::new("invalid_arguments"))?;
    if loading.as_ref().and_then(Value::as_array).is_some_and(|list| list.len() > LOADING_MESSAGES) {
        return Err(Refusal::new("invalid_arguments"));
    }
    let number = world.stamps.number();
    let channel = world.channels.get_mut(&id).ok_or_else(|| Refusal::new("channel_not_found"))?;
    if status.is_empty() {
        channel.status.remove(&thread);
        return Ok(json!({}));
    }
    let kept = json!({"status": status, "loading_messages": loading, "number": number});
    channel.status.insert(thread.clone(), kept);
    let later = Later::StatusEnds { channel: id, thread, number };
    world.effects.push(Effect::After(STATUS_STAYS, later));
    Ok(json!({}))
}

/// `assistant.threads.setTitle`
pub(super) fn set_title(world: &mut World, caller: &Caller, args: &Args) -> Answer {
    let (id, thread) = assistant_place(world, caller, args)?;
    let title = args.need("title")?;
    if let Some(channel) = world.channels.get_mut(&id) {
        channel.titles.insert(thread, title);
    }
    Ok(json!({}))
}

/// `assistant.threads.setSuggestedPrompts`
pub(super) fn set_prompts(world: &mut World, caller: &Caller, args: &Args) -> Answer {
    let id = args.need("channel_id")?;
    let channel = world.visible(caller, &id)?;
    if channel.sort != Sort::Im {
        return Err(Refusal::new("invalid_thread_ts"));
    }
    let thread = args.text("thread_ts").unwrap_or_default();
    if !thread.is_empty() && channel.message(&thread).is_none() {
        return Err(Refusal::new("invalid_thread_ts"));
    }
    let prompts = args.json("prompts").map_err(|()| Refusal::new("invalid_arguments"))?;
    let prompts = prompts.ok_or_else(|| Refusal::missing("prompts"))?;
    let list = prompts.as_array().ok_or_else(|| Refusal::new("invalid_arguments"))?;
    let whole = |prompt: &Value| {
        ["title", "message"].iter().all(|name| prompt.get(name).is_some_and(|text| text.is_string()))
    };
    if list.len() > PROMPTS {
        return Err(Refusal::new("too_many_prompts"));
    }
    if list.is_empty() || !list.iter().all(whole) {
        return Err(Refusal::new("invalid_arguments"));
    }
    let kept = json!({"title": args.text("title"), "prompts": prompts});
    if let Some(channel) = world.channels.get_mut(&id) {
        channel.prompts.insert(thread, kept);
    }
    Ok(json!({}))
}

fn place(world: &World, caller: &Caller, args: &Args) -> Result<(String, String), Refusal> {
    let id = args.need("channel_id")?;
    let thread = args.need("thread_ts")?;
    let channel = world.visible(caller, &id)?;
    if !channel.has(&caller.bot_user) {
        return Err(Refusal::new("not_in_channel"));
    }
    let message = channel.message(&thread).ok_or_else(|| Refusal::new("invalid_thread_ts"))?;
    Ok((id, message.root().to_owned()))
}

fn assistant_place(world: &World, caller: &Caller, args: &Args) -> Result<(String, String), Refusal> {
    let (id, thread) = place(world, caller, args)?;
    let im = world.channels.get(&id).is_some_and(|channel| channel.sort == Sort::Im);
    if im { Ok((id, thread)) } else { Err(Refusal::new("invalid_thread_ts")) }
}

impl World {
    /// Takes a status away that stayed for its time.
    pub(crate) fn end_status(&mut self, id: &str, thread: &str, number: u64) {
        let Some(channel) = self.channels.get_mut(id) else { return };
        let same = channel.status.get(thread).and_then(|status| status.get("number"));
        if same.is_some_and(|kept| *kept == number) {
            channel.status.remove(thread);
        }
    }
}
