//! Files: their upload, their download, and how they look.
//!
//! Invariant: a file's content is given out only to a token that may see it. Anybody else gets a page to log in at, with
//! status 200, as from the real Slack.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::{
    Shared, ids,
    message::Message,
    world::{Channel, World},
};
use crate::shared::{
    http::{Call, Cut, Reply, reply, set},
    multipart::multipart,
};

const LOGIN: &str = "<!DOCTYPE html><html><head><title>Sign in | Slack</title></head><body>Sign in to your workspace</body></html>";

/// A file.
#[derive(Clone, Debug)]
pub(crate) struct File {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) mimetype: String,
    pub(crate) owner: String,
    pub(crate) team: String,
    pub(crate) created: u64,
    /// How long it was said to be.
    pub(crate) size: u64,
    pub(crate) content: Option<Bytes>,
    /// Whether its upload was completed.
    pub(crate) shared: bool,
    /// Where it can be seen: the channel, the message, its thread.
    pub(crate) places: Vec<(String, String, Option<String>)>,
}

impl File {
    /// A file that is still to be uploaded.
    pub(crate) fn expected(world: &mut World, team: &str, owner: &str, name: &str, size: u64) -> Self {
        Self {
            id: format!("F0{:07}", world.stamps.number()),
            name: name.to_owned(),
            title: name.to_owned(),
            mimetype: mimetype(name).to_owned(),
            owner: owner.to_owned(),
            team: team.to_owned(),
            created: ids::since_epoch().as_secs(),
            size,
            content: None,
            shared: false,
            places: Vec::new(),
        }
    }

    /// The file as the Web API shows it.
    pub(crate) fn show(&self, base: &str) -> Value {
        let safe: String = self
            .name
            .to_lowercase()
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || ".-_".contains(c) { c } else { '_' })
            .collect();
        let place = format!("{base}/files-pri/{}-{}", self.team, self.id);
        let kind = self.name.rsplit_once('.').map_or("text", |(_, kind)| kind);
        json!({
            "id": self.id,
            "created": self.created,
            "timestamp": self.created,
            "name": self.name,
            "title": self.title,
            "mimetype": self.mimetype,
            "filetype": kind,
            "pretty_type": kind.to_uppercase(),
            "user": self.owner,
            "user_team": self.team,
            "editable": false,
            "size": self.content.as_ref().map_or(self.size, |content| content.len() as u64),
            "mode": "hosted",
            "is_external": false,
            "external_type": "",
            "is_public": true,
            "public_url_shared": false,
            "display_as_bot": false,
            "username": "",
            "url_private": format!("{place}/{safe}"),
            "url_private_download": format!("{place}/download/{safe}"),
            "media_display_type": "unknown",
            "permalink": format!("https://acme.slack.com/files/{}/{}/{safe}", self.owner, self.id),
            "permalink_public": format!("https://slack-files.com/{}-{}", self.team, self.id),
            "has_rich_preview": false,
            "file_access": "visible",
            "channels": self.places.iter().map(|(channel, _, _)| channel).collect::<Vec<_>>(),
            "shares": {"public": self.shares()},
        })
    }

    fn shares(&self) -> Value {
        let mut shares = Map::new();
        for (channel, ts, thread) in &self.places {
            let mut share = json!({"ts": ts, "team_id": self.team});
            if let (Some(thread), Some(share)) = (thread, share.as_object_mut()) {
                share.insert("thread_ts".to_owned(), json!(thread));
            }
            let list = shares.entry(channel.as_str()).or_insert_with(|| json!([]));
            if let Some(list) = list.as_array_mut() {
                list.push(share);
            }
        }
        Value::Object(shares)
    }
}

fn mimetype(name: &str) -> &'static str {
    match name.rsplit_once('.').map_or("", |(_, kind)| kind) {
        "txt" | "log" => "text/plain",
        "md" => "text/markdown",
        "csv" => "text/csv",
        "json" => "application/json",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "pdf" => "application/pdf",
        _ => "application/octet-stream",
    }
}

impl World {
    /// The files of a message. In a channel shared with others they are only named: their content has to be asked for.
    pub(crate) fn show_files(&self, channel: &Channel, message: &Message) -> Value {
        let files = message.files.iter().filter_map(|id| self.files.get(id));
        let shown: Vec<Value> = if channel.shared_with.is_empty() {
            files.map(|file| file.show(&self.base)).collect()
        } else {
            files
                .map(|file| {
                    json!({
                        "id": file.id,
                        "created": 0,
                        "timestamp": 0,
                        "user": "",
                        "mode": "file_access",
                        "file_access": "check_file_info",
                    })
                })
                .collect()
        };
        json!(shown)
    }

    /// Whether a person or a bot may see a file: its owner, and the members of where it is.
    pub(crate) fn may_see_file(&self, who: &str, file: &File) -> bool {
        let here = |id: &str| self.channels.get(id).is_some_and(|channel| channel.has(who));
        file.owner == who || file.places.iter().any(|(channel, _, _)| here(channel))
    }

    /// Writes down where files are now, and tells the app.
    pub(crate) fn tell_shared(&mut self, channel: &str, ts: &str, user: &str, files: &[String]) {
        let message = self.channels.get(channel).and_then(|channel| channel.messages.get(ts));
        let thread = message.and_then(|message| message.thread_ts.clone());
        for id in files {
            if let Some(file) = self.files.get_mut(id) {
                file.places.push((channel.to_owned(), ts.to_owned(), thread.clone()));
            }
            let event = json!({
                "type": "file_shared",
                "channel_id": channel,
                "file_id": id,
                "user_id": user,
                "file": {"id": id},
                "event_ts": ts,
            });
            self.emit_about(channel, event, &["files:read"]);
        }
    }
}

/// Takes the content of a file that was announced.
pub(crate) fn take_upload(id: &str, call: &Call, shared: &Arc<Shared>) -> Result<Reply, Cut> {
    let content = match multipart(&call.content_type, &call.body) {
        Some(parts) if call.content_type.starts_with("multipart/") => {
            let part = parts.into_iter().find(|part| part.file.is_some() || part.name == "file");
            part.map(|part| part.content).unwrap_or_default()
        }
        Some(_) | None => call.body.clone(),
    };
    let length = content.len();
    let taken = shared.with(|world| match world.files.get_mut(id) {
        Some(file) if call.method == "POST" && file.content.is_none() => {
            if file.size == length as u64 {
                file.content = Some(content);
                Some(true)
            } else {
                Some(false)
            }
        }
        Some(_) | None => None,
    });
    Ok(match taken {
        Some(true) => reply(200, "text/plain; charset=utf-8", format!("OK - {length}")),
        Some(false) => reply(400, "text/plain; charset=utf-8", "the length is not the announced one"),
        None => reply(404, "text/plain; charset=utf-8", "no such upload"),
    })
}

/// Gives the content of a file out.
pub(crate) fn serve(path: &str, call: &Call, shared: &Arc<Shared>) -> Result<Reply, Cut> {
    let name = path.trim_start_matches("/files-pri/").split('/').next().unwrap_or_default();
    let id = name.rsplit_once('-').map(|(_, id)| id.to_owned()).unwrap_or_default();
    let found = shared.with(|world| {
        let token = world.tokens.get(&call.token("Bearer")?).filter(|token| !token.revoked)?;
        let team = world.team(token.team.as_deref()?)?;
        if !world.settings.scopes.contains("files:read") {
            return None;
        }
        let file = world.files.get(&id).filter(|file| world.may_see_file(&team.bot_user, file))?;
        Some((file.mimetype.clone(), file.name.clone(), file.content.clone()?))
    });
    let Some((mimetype, name, content)) = found else {
        return Ok(reply(200, "text/html; charset=utf-8", LOGIN));
    };
    let mut answer = reply(200, &mimetype, content);
    if path.contains("/download/") {
        let plain: String = name.chars().filter(|c| c.is_ascii_graphic() && *c != '"').collect();
        set(&mut answer, "content-disposition", &format!("attachment; filename=\"{plain}\""));
    }
    Ok(answer)
}
