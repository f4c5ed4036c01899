//! Response URLs: a way to answer an interaction without a token.
//!
//! Invariant: each works five times, for half an hour.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{
    Shared,
    api::{Answer, Caller, Refusal, app_message},
    args::Args,
    ids,
    message::Message,
    world::World,
};
use crate::shared::http::{self, Call, Cut, Reply};

const USES: usize = 5;
const LASTS: Duration = Duration::from_secs(30 * 60);

/// Where an answer goes.
#[derive(Clone, Debug)]
pub(crate) struct Hook {
    pub(crate) team: String,
    pub(crate) channel: String,
    pub(crate) user: String,
    /// The message that the interaction was on.
    pub(crate) message: Option<String>,
    pub(crate) thread: Option<String>,
    made: Instant,
    uses: usize,
    pub(crate) expired: bool,
}

impl World {
    /// A new response URL.
    pub(crate) fn hook(
        &mut self,
        team: &str,
        channel: &str,
        user: &str,
        message: Option<&Message>,
    ) -> String {
        let id = ids::random(12);
        let hook = Hook {
            team: team.to_owned(),
            channel: channel.to_owned(),
            user: user.to_owned(),
            message: message.map(|message| message.ts.clone()),
            thread: message.and_then(|message| message.thread_ts.clone()),
            made: Instant::now(),
            uses: 0,
            expired: false,
        };
        self.hooks.insert(id.clone(), hook);
        format!("{}/hooks/{id}", self.base)
    }

    /// Answers an interaction: with a message, in place of one, or by deleting one.
    pub(crate) fn respond(&mut self, hook: &Hook, args: &Args) -> Answer {
        let team = self.team(&hook.team).cloned().ok_or_else(|| Refusal::new("no_team"))?;
        let caller = Caller { team: team.id, bot_user: team.bot_user, bot: team.bot };
        let original = hook.message.clone();
        if args.yes("delete_original") == Some(true) {
            let ts = original.ok_or_else(|| Refusal::new("message_not_found"))?;
            self.drop_original(&hook.channel, &ts);
            return Ok(json!({}));
        }
        let content = self.content(args)?;
        if args.yes("replace_original") == Some(true)
            && let Some(ts) = original
        {
            let stamp = self.stamps.next();
            self.replace_original(&caller, &hook.channel, &ts, app_message(&caller, content), &stamp);
            return Ok(json!({}));
        }
        let open = args.text("response_type").is_some_and(|kind| kind == "in_channel");
        let thread_ts = args.text("thread_ts").or_else(|| hook.thread.clone());
        let message = Message {
            ts: self.stamps.next(),
            thread_ts,
            ephemeral_to: (!open).then(|| hook.user.clone()),
            ..app_message(&caller, content)
        };
        if open {
            self.put(&hook.channel, message);
        } else if let Some(channel) = self.channels.get_mut(&hook.channel) {
            channel.whispers.push(message);
        }
        Ok(json!({}))
    }

    fn drop_original(&mut self, id: &str, ts: &str) {
        let Some(channel) = self.channels.get_mut(id) else { return };
        match channel.whispers.iter_mut().find(|message| message.ts == ts) {
            Some(whisper) => whisper.deleted = true,
            None => self.remove(id, ts),
        }
    }

    fn replace_original(&mut self, caller: &Caller, id: &str, ts: &str, new: Message, stamp: &str) {
        let Some(channel) = self.channels.get(id) else { return };
        let before = channel.message(ts).map(|message| self.show(channel, message, true));
        let Some(channel) = self.channels.get_mut(id) else { return };
        let old = match channel.whispers.iter_mut().find(|message| message.ts == ts) {
            Some(whisper) => Some(whisper),
            None => channel.messages.get_mut(ts),
        };
        let Some(old) = old else { return };
        old.text = new.text;
        old.blocks = new.blocks;
        old.attachments = new.attachments;
        old.rings = new.rings;
        old.unfurls = new.unfurls;
        if new.metadata.is_some() {
            old.metadata = new.metadata;
        }
        old.edited = Some((caller.bot_user.clone(), stamp.to_owned()));
        if let Some(before) = before {
            self.emit_changed(id, ts, &before);
        }
    }
}

/// Takes an answer over HTTP.
pub(crate) fn serve(id: &str, call: &Call, shared: &Arc<Shared>) -> Result<Reply, Cut> {
    let mut args = Args::read("", &call.content_type, &call.body);
    if let Some(payload) = args.text("payload")
        && let Ok(Value::Object(payload)) = serde_json::from_str(&payload)
    {
        args.all = payload;
    }
    let answer = shared.with(|world| {
        let lasts = world.scaled(LASTS).max(Duration::from_secs(1));
        let answer = match world.hooks.get_mut(id) {
            None => Err(Refusal::new("no_such_url")),
            Some(hook) if hook.expired || hook.made.elapsed() > lasts => Err(Refusal::new("expired_url")),
            Some(hook) if hook.uses >= USES => Err(Refusal::new("used_url")),
            Some(_) if args.broken => Err(Refusal::new("invalid_payload")),
            Some(hook) => {
                let known = hook.clone();
                let answer = world.respond(&known, &args);
                if answer.is_ok()
                    && let Some(hook) = world.hooks.get_mut(id)
                {
                    hook.uses += 1;
                }
                answer
            }
        };
        let error = answer.as_ref().err().map(|refusal| refusal.error.clone());
        let call = json!({"method": "response_url", "args": args.show(), "at_ms": world.now_ms(),
            "ok": error.is_none(), "error": error});
        world.record_call(call);
        answer
    });
    Ok(match answer {
        Ok(_) => http::reply(200, "text/plain; charset=utf-8", "ok"),
        Err(refusal) => {
            let status = if refusal.error.ends_with("_url") { 404 } else { 400 };
            http::json(status, &json!({"ok": false, "error": refusal.error}))
        }
    })
}
