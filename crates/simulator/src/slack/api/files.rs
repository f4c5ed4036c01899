//! `files.*`

use serde_json::{Value, json};

use super::{
    Answer, Args, Caller, Refusal, World,
    post::{Content, app_message, may_post, read_blocks},
};
use crate::slack::{
    files::File,
    ids::is_stamp,
    message::Message,
    rings::{Reading, has_link},
};

/// `files.getUploadURLExternal`
pub(super) fn get_upload_url(world: &mut World, caller: &Caller, args: &Args) -> Answer {
    let name = args.need("filename")?;
    let length = args.number("length").ok_or_else(|| Refusal::missing("length"))?;
    if length == 0 {
        return Err(Refusal::new("missing_argument"));
    }
    let file = File::expected(world, &caller.team, &caller.bot_user, &name, length);
    let id = file.id.clone();
    world.files.insert(id.clone(), file);
    Ok(json!({"upload_url": format!("{}/upload/v1/{id}", world.base), "file_id": id}))
}

/// `files.completeUploadExternal`
pub(super) fn complete_upload(world: &mut World, caller: &Caller, args: &Args) -> Answer {
    let list = args.json("files").map_err(|()| Refusal::new("invalid_arguments"))?;
    let list = list.ok_or_else(|| Refusal::missing("files"))?;
    let list =
        list.as_array().filter(|list| !list.is_empty()).ok_or_else(|| Refusal::new("invalid_arguments"))?;
    let mut ids = Vec::new();
    for item in list {
        let id = item.get("id").and_then(Value::as_str).unwrap_or_default();
        let file = world.files.get(id).filter(|file| file.owner == caller.bot_user);
        let file = file.ok_or_else(|| Refusal::new("file_not_found"))?;
        if file.content.is_none() {
            return Err(Refusal::new("file_not_found"));
        }
        if file.shared {
            return Err(Refusal::new("file_already_completed"));
        }
        ids.push((id.to_owned(), item.get("title").and_then(Value::as_str).map(str::to_owned)));
    }
    let place = destination(world, caller, args)?;
    for (id, title) in &ids {
        if let Some(file) = world.files.get_mut(id) {
            file.title = title.clone().unwrap_or_else(|| file.name.clone());
            file.shared = true;
        }
    }
    let ids: Vec<String> = ids.into_iter().map(|(id, _)| id).collect();
    if let Some((channel, thread_ts)) = place {
        share(world, caller, args, &channel, thread_ts, &ids)?;
    }
    let shown: Vec<Value> = ids
        .iter()
        .filter_map(|id| world.files.get(id))
        .map(|file| json!({"id": file.id, "title": file.title}))
        .collect();
    Ok(json!({"files": shown}))
}

fn destination(
    world: &World,
    caller: &Caller,
    args: &Args,
) -> Result<Option<(String, Option<String>)>, Refusal> {
    let Some(channel) = args.text("channel_id").or_else(|| args.text("channels")) else { return Ok(None) };
    world.visible(caller, &channel)?;
    may_post(world, caller, &channel)?;
    let thread = args.text("thread_ts");
    let found = world.channels.get(&channel).zip(thread.as_ref());
    if let Some((known, thread)) = found
        && (!is_stamp(thread) || known.message(thread).is_none())
    {
        return Err(Refusal::new("invalid_thread_ts"));
    }
    Ok(Some((channel, thread)))
}

fn share(
    world: &mut World,
    caller: &Caller,
    args: &Args,
    channel: &str,
    thread_ts: Option<String>,
    ids: &[String],
) -> Result<(), Refusal> {
    let text = args.text("initial_comment").unwrap_or_default();
    let blocks = read_blocks(args)?;
    let rings = world.rings(&text, &blocks, &[], Reading::default());
    let unfurls = has_link(&text, &blocks);
    let content = Content { text, blocks, rings, unfurls, ..Content::default() };
    let message = Message {
        ts: world.stamps.next(),
        thread_ts,
        subtype: Some("file_share".to_owned()),
        files: ids.to_vec(),
        ..app_message(caller, content)
    };
    let ts = message.ts.clone();
    world.put(channel, message);
    world.tell_shared(channel, &ts, &caller.bot_user, ids);
    Ok(())
}

/// `files.info`
pub(super) fn info(world: &mut World, caller: &Caller, args: &Args) -> Answer {
    let id = args.need("file")?;
    let file = world.files.get(&id).filter(|file| file.content.is_some());
    let file = file.ok_or_else(|| Refusal::new("file_not_found"))?;
    if !world.may_see_file(&caller.bot_user, file) {
        return Err(Refusal::new("file_not_found"));
    }
    Ok(json!({"file": file.show(&world.base), "comments": [], "response_metadata": {"next_cursor": ""}}))
}
