//! What people do in the simulated Slack, as far as the app is told as events.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{
    files::File,
    ids,
    message::Message,
    seed::person,
    world::{Channel, Sort, User, World},
};

pub(crate) use crate::shared::ask::Denied;

/// A file that a person hands in.
#[derive(Clone, Debug)]
pub(crate) struct Handed {
    pub(crate) name: String,
    pub(crate) mimetype: Option<String>,
    pub(crate) content: Bytes,
}

impl World {
    /// The member of a channel that wants to do something there.
    pub(crate) fn member(&self, user: &str, channel: &str) -> Result<(&User, &Channel), Denied> {
        let user = self.users.get(user).ok_or_else(|| format!("there is no person {user}"))?;
        let channel = self.channels.get(channel).ok_or_else(|| format!("there is no channel {channel}"))?;
        if !channel.has(&user.id) {
            return Err(format!("{} is not in {}", user.id, channel.id));
        }
        if channel.archived {
            return Err(format!("{} is archived", channel.id));
        }
        Ok((user, channel))
    }

    /// A person, or another app's bot, writes a message. Gives its time stamp.
    pub(crate) fn say(
        &mut self,
        user: &str,
        channel: &str,
        text: &str,
        thread: Option<&str>,
        broadcast: bool,
    ) -> Result<String, Denied> {
        let thread_ts = self.thread_of(user, channel, thread)?;
        let typed = self.read_typed(text);
        let who = self.users.get(user).cloned().unwrap_or_default();
        let broadcast = broadcast && thread_ts.is_some();
        let message = Message {
            ts: self.stamps.next(),
            thread_ts,
            subtype: broadcast.then(|| "thread_broadcast".to_owned()),
            broadcast,
            client_msg_id: who.bot.is_none().then(ids::uuid),
            user: Some(who.id),
            bot: who.bot,
            team: who.team,
            text: typed.text,
            blocks: vec![typed.block],
            ..Message::default()
        };
        let ts = message.ts.clone();
        self.put(channel, message);
        Ok(ts)
    }

    /// An integration of old writes: a bot without a user. Its text is taken as it is, brackets and all.
    pub(crate) fn say_by_webhook(
        &mut self,
        channel: &str,
        name: &str,
        text: &str,
        thread: Option<&str>,
    ) -> Result<String, Denied> {
        let place = self.channels.get(channel).ok_or_else(|| format!("there is no channel {channel}"))?;
        let mut message = Message {
            thread_ts: thread.map(str::to_owned),
            subtype: Some("bot_message".to_owned()),
            bot: Some("B0HOOK0001".to_owned()),
            text: text.to_owned(),
            team: place.team.clone(),
            ts: self.stamps.next(),
            ..Message::default()
        };
        message.extra.insert("username".to_owned(), json!(name));
        let ts = message.ts.clone();
        self.put(channel, message);
        Ok(ts)
    }

    fn thread_of(&self, user: &str, channel: &str, thread: Option<&str>) -> Result<Option<String>, Denied> {
        let (_, channel) = self.member(user, channel)?;
        let Some(thread) = thread else { return Ok(None) };
        let message = channel.messages.get(thread).ok_or_else(|| format!("there is no message {thread}"))?;
        Ok(Some(message.root().to_owned()))
    }

    /// A person uploads a file with some words.
    pub(crate) fn upload(
        &mut self,
        user: &str,
        channel: &str,
        text: &str,
        thread: Option<&str>,
        handed: Vec<Handed>,
    ) -> Result<String, Denied> {
        let thread_ts = self.thread_of(user, channel, thread)?;
        let typed = self.read_typed(text);
        let who = self.users.get(user).cloned().unwrap_or_default();
        let mut files = Vec::new();
        for handed in handed {
            let size = handed.content.len() as u64;
            let mut file = File::expected(self, &who.team, user, &handed.name, size);
            file.mimetype = handed.mimetype.unwrap_or(file.mimetype);
            file.content = Some(handed.content);
            file.shared = true;
            files.push(file.id.clone());
            self.files.insert(file.id.clone(), file);
        }
        let message = Message {
            ts: self.stamps.next(),
            thread_ts,
            client_msg_id: Some(ids::uuid()),
            subtype: Some("file_share".to_owned()),
            user: Some(who.id),
            team: who.team,
            blocks: if text.is_empty() { Vec::new() } else { vec![typed.block] },
            text: typed.text,
            files: files.clone(),
            ..Message::default()
        };
        let ts = message.ts.clone();
        self.put(channel, message);
        self.tell_shared(channel, &ts, user, &files);
        Ok(ts)
    }

    /// A person changes their own message.
    pub(crate) fn edit(&mut self, user: &str, channel: &str, ts: &str, text: &str) -> Result<(), Denied> {
        let before = self.own(user, channel, ts)?;
        let typed = self.read_typed(text);
        let stamp = self.stamps.next();
        let message = self.channels.get_mut(channel).and_then(|channel| channel.messages.get_mut(ts));
        if let Some(message) = message {
            message.text = typed.text;
            message.blocks = vec![typed.block];
            message.edited = Some((user.to_owned(), stamp));
        }
        self.emit_changed(channel, ts, &before);
        Ok(())
    }

    /// A person deletes their own message.
    pub(crate) fn delete(&mut self, user: &str, channel: &str, ts: &str) -> Result<(), Denied> {
        self.own(user, channel, ts)?;
        self.remove(channel, ts);
        Ok(())
    }

    fn own(&self, user: &str, channel: &str, ts: &str) -> Result<Value, Denied> {
        let (_, channel) = self.member(user, channel)?;
        let message = channel.message(ts).ok_or_else(|| format!("there is no message {ts}"))?;
        if message.user.as_deref() != Some(user) {
            return Err(format!("{ts} is not a message of {user}"));
        }
        Ok(self.show(channel, message, true))
    }

    /// A person, or the app's bot, becomes a member of a channel.
    pub(crate) fn enter(&mut self, id: &str, user: &str) {
        let Some(channel) = self.channels.get_mut(id) else { return };
        if channel.has(user) {
            return;
        }
        channel.members.push(user.to_owned());
        let (sort, team) = (channel.sort, channel.team.clone());
        let event = json!({
            "type": "member_joined_channel",
            "user": user,
            "channel": id,
            "channel_type": if sort == Sort::Public { "C" } else { "G" },
            "team": team,
        });
        let message = Message {
            ts: self.stamps.next(),
            user: Some(user.to_owned()),
            subtype: Some("channel_join".to_owned()),
            text: format!("<@{user}> has joined the channel"),
            team,
            ..Message::default()
        };
        self.put(id, message);
        self.emit_about(id, event, &["channels:read", "groups:read"]);
    }

    /// Somebody is a member no more.
    pub(crate) fn leave(&mut self, id: &str, user: &str) -> Result<(), Denied> {
        let channel = self.channels.get_mut(id).ok_or_else(|| format!("there is no channel {id}"))?;
        if !channel.has(user) {
            return Err(format!("{user} is not in {id}"));
        }
        channel.members.retain(|member| member != user);
        let (team, shared) = (channel.team.clone(), !channel.shared_with.is_empty());
        let ours = self.team_of_bot(user).is_some();
        let stamp = self.stamps.next();
        if ours {
            let event =
                json!({"type": "channel_left", "channel": id, "actor_id": "U0ANA0001", "event_ts": stamp});
            self.emit(&team, event, shared, &["channels:read"]);
        } else {
            let event = json!({"type": "member_left_channel", "user": user, "channel": id, "channel_type": "C", "team": team});
            self.emit_about(id, event, &["channels:read", "groups:read"]);
        }
        Ok(())
    }

    /// A person opens the app's assistant: a thread begins in their conversation with the bot.
    pub(crate) fn open_assistant(
        &mut self,
        user: &str,
        context: Option<&str>,
    ) -> Result<(String, String), Denied> {
        let (team, bot_user, bot) = self.team_for(user)?;
        let channel = self.im(&bot_user, user);
        let mut message = Message {
            ts: self.stamps.next(),
            user: Some(bot_user),
            bot: Some(bot),
            subtype: Some("assistant_app_thread".to_owned()),
            text: "New Assistant Thread".to_owned(),
            team: team.clone(),
            ..Message::default()
        };
        message.thread_ts = Some(message.ts.clone());
        message.extra.insert(
            "assistant_app_thread".to_owned(),
            json!({"title": "New Assistant Thread", "title_blocks": [], "artifacts": []}),
        );
        let thread = message.ts.clone();
        if let Some(channel) = self.channels.get_mut(&channel) {
            channel.messages.insert(thread.clone(), message);
        }
        self.tell_assistant("assistant_thread_started", user, &team, &channel, &thread, context);
        Ok((channel, thread))
    }

    /// A person with an open assistant looks at another channel.
    pub(crate) fn tell_assistant(
        &mut self,
        kind: &str,
        user: &str,
        team: &str,
        channel: &str,
        thread: &str,
        context: Option<&str>,
    ) {
        let context = match context {
            Some(looked_at) => json!({"channel_id": looked_at, "team_id": team, "enterprise_id": null}),
            None => json!({}),
        };
        let event = json!({
            "type": kind,
            "assistant_thread": {
                "user_id": user,
                "context": context,
                "channel_id": channel,
                "thread_ts": thread,
            },
        });
        self.emit_about(channel, event, &["assistant:write"]);
    }

    /// A person opens the app's home or its messages.
    pub(crate) fn open_home(&mut self, user: &str, tab: &str) -> Result<String, Denied> {
        let (_, bot_user, _) = self.team_for(user)?;
        let channel = self.im(&bot_user, user);
        let event = json!({"type": "app_home_opened", "user": user, "channel": channel, "tab": tab});
        self.emit_about(&channel, event, &[]);
        Ok(channel)
    }

    /// The workspace where a person meets the app: its id, bot user and bot.
    pub(crate) fn team_for(&self, user: &str) -> Result<(String, String, String), Denied> {
        let user = self.users.get(user).ok_or_else(|| format!("there is no person {user}"))?;
        let team = self.team(&user.team).or_else(|| self.teams.first());
        let team = team.ok_or_else(|| "there is no workspace".to_owned())?;
        Ok((team.id.clone(), team.bot_user.clone(), team.bot.clone()))
    }

    /// Changes what is known of a person, or adds one.
    pub(crate) fn set_user(&mut self, id: &str, change: &Value) {
        if !self.users.contains_key(id) {
            let name = id.to_lowercase();
            let team = self.teams.first().map(|team| team.id.clone()).unwrap_or_default();
            person(self, id, &name, &name, &team);
        }
        let Some(user) = self.users.get_mut(id) else { return };
        let text = |name: &str| change.get(name).and_then(Value::as_str).map(str::to_owned);
        let flag = |name: &str| change.get(name).and_then(Value::as_bool);
        user.name = text("name").unwrap_or_else(|| user.name.clone());
        user.real_name = text("real_name").unwrap_or_else(|| user.real_name.clone());
        user.display_name = text("display_name").unwrap_or_else(|| user.display_name.clone());
        user.team = text("team").unwrap_or_else(|| user.team.clone());
        user.deleted = flag("deleted").unwrap_or(user.deleted);
        user.restricted = flag("is_restricted").unwrap_or(user.restricted);
        user.ultra_restricted = flag("is_ultra_restricted").unwrap_or(user.ultra_restricted);
        user.bot = text("bot_id").or_else(|| user.bot.clone());
        user.enterprise_user =
            change.get("enterprise_user").cloned().or_else(|| user.enterprise_user.clone());
    }
}
