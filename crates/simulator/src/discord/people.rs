//! What people do in the simulated Discord, as far as the app is told as events.

use serde_json::{Value, json};

use super::{
    content::{CONTENT, FILE, Handed},
    ids::{Id, now_ms},
    message::{Message, REPLY, Reaction, THREAD_STARTER},
    perms::{
        ADD_REACTIONS, ATTACH_FILES, MANAGE_MESSAGES, SEND_MESSAGES, SEND_MESSAGES_IN_THREADS, VIEW_CHANNEL,
    },
    rings::Allowed,
    world::{Channel, FORUM, PUBLIC_THREAD, Thread, World},
};
pub(crate) use crate::shared::ask::Denied;

/// What somebody says.
#[derive(Default)]
pub(crate) struct Speech<'a> {
    pub(crate) text: &'a str,
    pub(crate) reply_to: Option<Id>,
    /// Whether a reply rings whoever it is a reply to.
    pub(crate) quiet: bool,
    pub(crate) files: Vec<Handed>,
    pub(crate) embeds: Vec<Value>,
    pub(crate) components: Vec<Value>,
    /// The text is taken as it is.
    pub(crate) raw: bool,
}

impl World {
    /// The channel where somebody wants to do something, if they may do all of this.
    pub(crate) fn place(&self, user: Id, channel: Id, wanted: u64) -> Result<&Channel, Denied> {
        if !self.users.contains_key(&user) {
            return Err(format!("there is no person {user}"));
        }
        let found = self.channels.get(&channel).filter(|channel| !channel.deleted);
        let found = found.ok_or_else(|| format!("there is no channel {channel}"))?;
        if !self.sees(user, found) {
            return Err(format!("{user} does not see {channel}"));
        }
        if !self.may(user, found, wanted) {
            return Err(format!("{user} may not do that in {channel}"));
        }
        Ok(found)
    }

    /// A person, or another app's bot, writes a message.
    pub(crate) fn say(&mut self, user: Id, channel: Id, speech: Speech<'_>) -> Result<Id, Denied> {
        self.say_as(user, channel, speech, None)
    }

    /// The same, with a number that is given.
    pub(crate) fn say_as(
        &mut self,
        user: Id,
        channel: Id,
        speech: Speech<'_>,
        number: Option<Id>,
    ) -> Result<Id, Denied> {
        let place = self.place(user, channel, VIEW_CHANNEL)?;
        let send = if place.thread.is_some() { SEND_MESSAGES_IN_THREADS } else { SEND_MESSAGES };
        self.place(user, channel, send)?;
        if place.kind == FORUM {
            return Err(format!("{channel} is a forum: posts are threads"));
        }
        if place.thread.as_ref().is_some_and(|thread| thread.locked) {
            return Err(format!("{channel} is locked"));
        }
        if !speech.files.is_empty() {
            self.place(user, channel, ATTACH_FILES)?;
        }
        if speech.files.iter().any(|file| file.content.len() > FILE) {
            return Err("413: Request entity too large (40005)".to_owned());
        }
        if let Some(to) = speech.reply_to {
            place.message(to).ok_or_else(|| format!("there is no message {to}"))?;
        }
        let guild = place.guild;
        let text = if speech.raw { speech.text.to_owned() } else { self.typed(channel, speech.text) };
        if text.chars().count() > CONTENT {
            return Err("Must be 2000 or fewer in length. (50035)".to_owned());
        }
        if text.trim().is_empty()
            && speech.files.is_empty()
            && speech.embeds.is_empty()
            && speech.components.is_empty()
        {
            return Err("Cannot send an empty message (50006)".to_owned());
        }
        let mut message = Message {
            content: text.trim().to_owned(),
            embeds: speech.embeds,
            components: speech.components,
            ..self.draft(channel, user)
        };
        message.id = number.unwrap_or(message.id);
        if let Some(to) = speech.reply_to {
            message.kind = REPLY;
            message.reference = Some(reference(guild, channel, to));
        }
        let files = speech.files.iter().map(|file| self.attach(file, None, None)).collect();
        message.attachments = files;
        let allowed = if speech.quiet {
            Allowed::read(Some(&json!({"parse": ["users", "roles", "everyone"]}))).unwrap_or_default()
        } else {
            Allowed::default()
        };
        self.mention(&mut message, &allowed);
        if let Some(thread) = self.channels.get_mut(&channel).filter(|it| it.thread.is_some()) {
            thread.members.entry(user).or_insert_with(now_ms);
        }
        Ok(self.put(message))
    }

    /// A webhook writes.
    pub(crate) fn say_by_webhook(&mut self, channel: Id, name: &str, text: &str) -> Result<Id, Denied> {
        let place = self.channels.get(&channel).ok_or_else(|| format!("there is no channel {channel}"))?;
        let webhook = place.guild.unwrap_or_default() + 99;
        let mut message = self.draft(channel, webhook);
        message.webhook = Some((webhook, name.to_owned()));
        text.clone_into(&mut message.content);
        self.mention(&mut message, &Allowed::default());
        Ok(self.put(message))
    }

    /// Discord itself writes: a pin, a boost, a thread that was begun, somebody who joined.
    pub(crate) fn say_by_system(&mut self, user: Id, channel: Id, kind: u64) -> Result<Id, Denied> {
        self.place(user, channel, VIEW_CHANNEL)?;
        let message = Message { kind, ..self.draft(channel, user) };
        Ok(self.put(message))
    }

    /// A person changes their message.
    pub(crate) fn edit(&mut self, user: Id, channel: Id, id: Id, text: &str) -> Result<(), Denied> {
        let place = self.place(user, channel, VIEW_CHANNEL)?;
        let message = place.message(id).filter(|message| message.author == user);
        let mut message = message.cloned().ok_or_else(|| format!("{user} has no message {id}"))?;
        if text.chars().count() > CONTENT {
            return Err("Must be 2000 or fewer in length. (50035)".to_owned());
        }
        message.content = self.typed(channel, text);
        message.edited_ms = Some(now_ms());
        // A change mentions, and rings nobody.
        let rings = std::mem::take(&mut message.rings);
        self.mention(&mut message, &Allowed::default());
        message.rings = rings;
        self.replace(message);
        Ok(())
    }

    /// Keeps a changed message, and tells the app if it can be seen.
    pub(crate) fn replace(&mut self, message: Message) {
        let (place, id) = (message.channel, message.id);
        if let Some(channel) = self.channels.get_mut(&place) {
            channel.messages.insert(id, message);
        }
        self.emit_message("MESSAGE_UPDATE", place, id);
    }

    /// A person deletes a message: their own, or any if they may.
    pub(crate) fn delete(&mut self, user: Id, channel: Id, id: Id) -> Result<(), Denied> {
        let place = self.place(user, channel, VIEW_CHANNEL)?;
        let message = place.message(id).ok_or_else(|| format!("there is no message {id}"))?;
        if message.author != user && !self.may(user, place, MANAGE_MESSAGES) {
            return Err(format!("{id} is not {user}'s message"));
        }
        self.remove(channel, id);
        Ok(())
    }

    /// Somebody puts an emoji under a message.
    pub(crate) fn react(&mut self, user: Id, channel: Id, id: Id, which: &str) -> Result<(), Denied> {
        let place = self.place(user, channel, VIEW_CHANNEL)?;
        let message = place.message(id).ok_or_else(|| format!("there is no message {id}"))?;
        let known = message.reactions.iter().any(|reaction| reaction.emoji == which);
        if !known && !self.may(user, place, ADD_REACTIONS) {
            return Err(format!("{user} may not react in {channel}"));
        }
        let message = self.channels.get_mut(&channel).and_then(|it| it.messages.get_mut(&id));
        let Some(message) = message else { return Ok(()) };
        let found = message.reactions.iter_mut().find(|reaction| reaction.emoji == which);
        match found {
            Some(reaction) if reaction.users.contains(&user) => return Ok(()),
            Some(reaction) => reaction.users.push(user),
            None => message.reactions.push(Reaction { emoji: which.to_owned(), users: vec![user] }),
        }
        self.emit_reaction(true, channel, id, user, which);
        Ok(())
    }

    /// Somebody takes an emoji away.
    pub(crate) fn unreact(&mut self, user: Id, channel: Id, id: Id, which: &str) -> bool {
        let message = self.channels.get_mut(&channel).and_then(|it| it.messages.get_mut(&id));
        let Some(message) = message.filter(|message| message.open()) else { return false };
        let mut taken = false;
        for reaction in message.reactions.iter_mut().filter(|reaction| reaction.emoji == which) {
            let before = reaction.users.len();
            reaction.users.retain(|known| *known != user);
            taken |= reaction.users.len() < before;
        }
        message.reactions.retain(|reaction| !reaction.users.is_empty());
        if taken {
            self.emit_reaction(false, channel, id, user, which);
        }
        taken
    }

    /// A thread begins: at a message, by itself, or as a post in a forum.
    pub(crate) fn begin_thread(
        &mut self,
        parent: Id,
        by: Id,
        name: &str,
        kind: u64,
        at: Option<Id>,
        auto_archive: u64,
    ) -> Id {
        let id = at.unwrap_or_else(|| self.snowflakes.next());
        let guild = self.channels.get(&parent).and_then(|channel| channel.guild);
        let now = now_ms();
        let thread = Channel {
            id,
            kind,
            name: name.to_owned(),
            guild,
            parent: Some(parent),
            owner: Some(by),
            thread: Some(Thread {
                archived: false,
                locked: false,
                auto_archive,
                archived_at: now,
                created_at: now,
            }),
            members: [(by, now)].into(),
            ..Channel::default()
        };
        self.channels.insert(id, thread);
        if let Some(message) = self.channels.get_mut(&parent).and_then(|it| it.messages.get_mut(&id)) {
            message.flags |= super::message::HAS_THREAD;
        }
        self.emit_channel("THREAD_CREATE", id);
        if by == self.app {
            self.emit_thread_member(id, by);
        }
        if let Some(at) = at {
            let mut starter = self.draft(id, by);
            starter.kind = THREAD_STARTER;
            starter.reference = Some(reference(guild, parent, at));
            self.put(starter);
            self.emit_message("MESSAGE_UPDATE", parent, at);
        }
        id
    }

    /// A person begins a thread.
    pub(crate) fn begin_thread_by(
        &mut self,
        user: Id,
        channel: Id,
        name: &str,
        at: Option<Id>,
    ) -> Result<Id, Denied> {
        let place = self.place(user, channel, super::perms::CREATE_PUBLIC_THREADS)?;
        if at.is_some_and(|at| place.message(at).is_none() || self.channels.contains_key(&at)) {
            return Err("there is no such message, or it has a thread".to_owned());
        }
        Ok(self.begin_thread(channel, user, name, PUBLIC_THREAD, at, 1440))
    }
}

/// Which message a message is about.
pub(crate) fn reference(guild: Option<Id>, channel: Id, message: Id) -> Value {
    let mut reference = json!({
        "type": 0,
        "channel_id": channel.to_string(),
        "message_id": message.to_string(),
    });
    if let (Some(guild), Some(reference)) = (guild, reference.as_object_mut()) {
        reference.insert("guild_id".to_owned(), json!(guild.to_string()));
    }
    reference
}
