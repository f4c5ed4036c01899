//! What happened, as the app hears of it.

use serde_json::{Value, json};

use super::{
    ids::{Id, now_ms},
    message::{Message, emoji, strings},
    options::intents,
    sessions::Event,
    world::{Channel, World},
};

impl World {
    fn sees_it(&self, channel: &Channel) -> bool {
        self.sees(self.app, channel)
    }

    /// Keeps a message, and tells the app of it. A thread that slept wakes up.
    pub(crate) fn put(&mut self, mut message: Message) -> Id {
        message.at_us = self.now_us();
        let (id, place) = (message.id, message.channel);
        let open = message.open();
        let Some(channel) = self.channels.get_mut(&place) else { return id };
        channel.messages.insert(id, message);
        channel.typing.clear();
        if !open {
            return id;
        }
        channel.last_message = Some(id);
        channel.sent += 1;
        let asleep = channel.thread.as_mut().filter(|thread| thread.archived && !thread.locked);
        if let Some(thread) = asleep {
            thread.archived = false;
            thread.archived_at = now_ms();
            self.emit_channel("THREAD_UPDATE", place);
        }
        self.emit_message("MESSAGE_CREATE", place, id);
        id
    }

    /// A new message of somebody, still empty.
    pub(crate) fn draft(&mut self, channel: Id, author: Id) -> Message {
        Message { id: self.snowflakes.next(), channel, author, sent_ms: now_ms(), ..Message::default() }
    }

    /// Tells the app of a message, new or changed. What it says is left out where the app may not read it.
    pub(crate) fn emit_message(&mut self, name: &str, place: Id, id: Id) {
        let Some(channel) = self.channels.get(&place).filter(|channel| self.sees_it(channel)) else { return };
        let Some(message) = channel.message(id) else { return };
        let guild = channel.guild;
        let mut shown = if name == "MESSAGE_CREATE" { self.show_sent(message) } else { self.show(message) };
        let readable = guild.is_none() || message.author == self.app || message.mentions.contains(&self.app);
        if let (Some(fields), Some(guild)) = (shown.as_object_mut(), guild) {
            fields.insert("guild_id".to_owned(), json!(guild.to_string()));
            if message.webhook.is_none() {
                fields.insert("member".to_owned(), self.show_bare_member(guild, message.author));
            }
            if let Some(list) = fields.get_mut("mentions").and_then(Value::as_array_mut) {
                for (user, id) in list.iter_mut().filter_map(Value::as_object_mut).zip(&message.mentions) {
                    user.insert("member".to_owned(), self.show_bare_member(guild, *id));
                }
            }
        }
        let wanted = if guild.is_some() { intents::GUILD_MESSAGES } else { intents::DIRECT_MESSAGES };
        let app = self.app.to_string();
        self.dispatch_as(name, guild, wanted, &|asked| {
            if readable || asked & intents::MESSAGE_CONTENT != 0 {
                shown.clone()
            } else {
                silenced(&shown, &app)
            }
        });
    }

    /// A message is deleted.
    pub(crate) fn remove(&mut self, place: Id, id: Id) {
        let Some(message) = self.channels.get_mut(&place).and_then(|it| it.messages.get_mut(&id)) else {
            return;
        };
        let open = message.open();
        message.deleted = true;
        if open {
            let data = json!({"id": id.to_string(), "channel_id": place.to_string()});
            self.emit_about(place, "MESSAGE_DELETE", data, intents::GUILD_MESSAGES, intents::DIRECT_MESSAGES);
        }
    }

    /// Several messages are deleted at once.
    pub(crate) fn remove_all(&mut self, place: Id, ids: &[Id]) {
        for message in self.channels.get_mut(&place).into_iter().flat_map(|it| it.messages.values_mut()) {
            message.deleted |= ids.contains(&message.id);
        }
        let data = json!({"ids": strings(ids), "channel_id": place.to_string()});
        self.emit_about(
            place,
            "MESSAGE_DELETE_BULK",
            data,
            intents::GUILD_MESSAGES,
            intents::DIRECT_MESSAGES,
        );
    }

    /// Tells of something in a channel that the app sees.
    fn emit_about(&mut self, place: Id, name: &str, mut data: Value, in_guild: u64, in_dm: u64) {
        let Some(channel) = self.channels.get(&place).filter(|channel| self.sees_it(channel)) else { return };
        let guild = channel.guild;
        if let (Some(guild), Some(data)) = (guild, data.as_object_mut()) {
            data.insert("guild_id".to_owned(), json!(guild.to_string()));
        }
        let intents = if guild.is_some() { in_guild } else { in_dm };
        self.dispatch(&Event { name, data, guild, intents });
    }

    /// Tells that somebody put an emoji under a message, or took it away.
    pub(crate) fn emit_reaction(&mut self, added: bool, place: Id, message: Id, user: Id, which: &str) {
        let found =
            self.channels.get(&place).and_then(|channel| Some((channel.guild, channel.message(message)?)));
        let Some((guild, about)) = found else { return };
        let mut data = json!({
            "user_id": user.to_string(),
            "type": 0,
            "message_id": message.to_string(),
            "emoji": emoji(which),
            "channel_id": place.to_string(),
            "burst": false,
        });
        let author = about.author;
        if let Some(data) = data.as_object_mut().filter(|_| added) {
            data.insert("message_author_id".to_owned(), json!(author.to_string()));
            if let Some(guild) = guild {
                data.insert("member".to_owned(), self.show_member(guild, user));
            }
        }
        let name = if added { "MESSAGE_REACTION_ADD" } else { "MESSAGE_REACTION_REMOVE" };
        let (in_guild, in_dm) = (intents::GUILD_MESSAGE_REACTIONS, intents::DIRECT_MESSAGE_REACTIONS);
        self.emit_about(place, name, data, in_guild, in_dm);
    }

    /// Somebody begins to type.
    pub(crate) fn type_in(&mut self, place: Id, user: Id) {
        let at = self.now_us();
        let Some(channel) = self.channels.get_mut(&place) else { return };
        channel.typing.retain(|(who, _)| *who != user);
        channel.typing.push((user, at));
        let guild = channel.guild;
        let mut data = json!({
            "channel_id": place.to_string(),
            "user_id": user.to_string(),
            "timestamp": now_ms() / 1000,
        });
        if let (Some(guild), Some(data)) = (guild, data.as_object_mut()) {
            data.insert("member".to_owned(), self.show_member(guild, user));
        }
        let (in_guild, in_dm) = (intents::GUILD_MESSAGE_TYPING, intents::DIRECT_MESSAGE_TYPING);
        self.emit_about(place, "TYPING_START", data, in_guild, in_dm);
    }

    /// Tells of a channel or thread that is new, changed or gone.
    pub(crate) fn emit_channel(&mut self, name: &str, id: Id) {
        let Some(channel) = self.channels.get(&id).filter(|channel| self.sees_it(channel)) else { return };
        let guild = channel.guild;
        let data = if name == "THREAD_DELETE" {
            json!({
                "id": id.to_string(),
                "guild_id": guild.map(|id| id.to_string()),
                "parent_id": channel.parent.map(|id| id.to_string()),
                "type": channel.kind,
            })
        } else {
            let mut shown = self.show_channel(channel);
            if let Some(shown) = shown.as_object_mut().filter(|_| name == "THREAD_CREATE") {
                shown.insert("newly_created".to_owned(), json!(true));
            }
            shown
        };
        self.dispatch(&Event { name, data, guild, intents: intents::GUILDS });
    }

    /// The app gained sight of a channel: its live threads are told.
    pub(crate) fn emit_threads(&mut self, guild: Id, parent: Id) {
        let live: Vec<&Channel> = self
            .channels
            .values()
            .filter(|it| it.parent == Some(parent) && it.thread.as_ref().is_some_and(|it| !it.archived))
            .filter(|channel| self.sees_it(channel))
            .collect();
        let members = live.iter().filter_map(|thread| {
            let since = thread.members.get(&self.app)?;
            Some(super::show::thread_member(thread.id, self.app, *since))
        });
        let data = json!({
            "guild_id": guild.to_string(),
            "channel_ids": [parent.to_string()],
            "threads": live.iter().map(|thread| self.show_channel(thread)).collect::<Vec<_>>(),
            "members": members.collect::<Vec<_>>(),
        });
        let guild = Some(guild);
        self.dispatch(&Event { name: "THREAD_LIST_SYNC", data, guild, intents: intents::GUILDS });
    }

    /// Tells that somebody joined a thread.
    pub(crate) fn emit_thread_member(&mut self, thread: Id, user: Id) {
        let Some(channel) = self.channels.get(&thread) else { return };
        let (guild, since) = (channel.guild, channel.members.get(&user).copied().unwrap_or_default());
        let data = json!({
            "id": thread.to_string(),
            "guild_id": guild.map(|id| id.to_string()),
            "member_count": channel.members.len().min(50),
            "added_members": [super::show::thread_member(thread, user, since)],
            "removed_member_ids": [],
        });
        let intents = if user == self.app { intents::GUILDS } else { intents::GUILD_MEMBERS };
        self.dispatch(&Event { name: "THREAD_MEMBERS_UPDATE", data, guild, intents });
    }

    /// Tells that a member changed. Of the app itself this is told in any case.
    pub(crate) fn emit_member(&mut self, guild: Id, user: Id) {
        let mut data = self.show_member(guild, user);
        if let Some(data) = data.as_object_mut() {
            data.insert("guild_id".to_owned(), json!(guild.to_string()));
        }
        let intents = if user == self.app { 0 } else { intents::GUILD_MEMBERS };
        self.dispatch(&Event { name: "GUILD_MEMBER_UPDATE", data, guild: Some(guild), intents });
    }

    /// Tells that somebody became a member of a guild; the app itself is told the whole guild.
    pub(crate) fn emit_joined(&mut self, guild: Id, user: Id) {
        if user == self.app {
            let Some(found) = self.guilds.get(&guild).cloned() else { return };
            let data = self.show_whole_guild(&found, 0);
            let (guild, intents) = (Some(guild), intents::GUILDS);
            return self.dispatch(&Event { name: "GUILD_CREATE", data, guild, intents });
        }
        let mut data = self.show_member(guild, user);
        if let Some(data) = data.as_object_mut() {
            data.insert("guild_id".to_owned(), json!(guild.to_string()));
        }
        let intents = intents::GUILD_MEMBERS;
        self.dispatch(&Event { name: "GUILD_MEMBER_ADD", data, guild: Some(guild), intents });
    }

    /// Somebody is a member of a guild no more.
    pub(crate) fn leave_guild(&mut self, guild: Id, user: Id) {
        if let Some(found) = self.guilds.get_mut(&guild) {
            found.members.remove(&user);
        }
        let (name, data, wanted) = if user == self.app {
            ("GUILD_DELETE", json!({"id": guild.to_string()}), intents::GUILDS)
        } else {
            let data = json!({"guild_id": guild.to_string(), "user": self.show_user(user)});
            ("GUILD_MEMBER_REMOVE", data, intents::GUILD_MEMBERS)
        };
        self.dispatch(&Event { name, data, guild: Some(guild), intents: wanted });
    }

    /// Tells that a role changed.
    pub(crate) fn emit_role(&mut self, guild: Id, role: Id) {
        let found = self.guilds.get(&guild).and_then(|it| it.roles.get(&role)).map(Self::show_role);
        let data = json!({"guild_id": guild.to_string(), "role": found});
        let guild = Some(guild);
        self.dispatch(&Event { name: "GUILD_ROLE_UPDATE", data, guild, intents: intents::GUILDS });
    }
}

/// A message as an app sees it that may not read what is said.
fn silenced(shown: &Value, app: &str) -> Value {
    let mut silent = shown.clone();
    if let Some(fields) = silent.as_object_mut() {
        fields.insert("content".to_owned(), json!(""));
        for name in ["embeds", "attachments", "components"] {
            fields.insert(name.to_owned(), json!([]));
        }
        fields.shift_remove("poll");
        // What the app wrote itself stays readable where it is quoted.
        let others = |quoted: &&mut Value| quoted.pointer("/author/id").is_some_and(|author| author != app);
        if let Some(quoted) = fields.get_mut("referenced_message").filter(others) {
            *quoted = silenced(quoted, app);
        }
    }
    silent
}
