//! Who may do what where.

use super::{
    ids::Id,
    world::{Channel, World},
};

pub(crate) const ADMINISTRATOR: u64 = 1 << 3;
pub(crate) const ADD_REACTIONS: u64 = 1 << 6;
pub(crate) const VIEW_CHANNEL: u64 = 1 << 10;
pub(crate) const SEND_MESSAGES: u64 = 1 << 11;
pub(crate) const MANAGE_MESSAGES: u64 = 1 << 13;
pub(crate) const EMBED_LINKS: u64 = 1 << 14;
pub(crate) const ATTACH_FILES: u64 = 1 << 15;
pub(crate) const READ_MESSAGE_HISTORY: u64 = 1 << 16;
pub(crate) const MENTION_EVERYONE: u64 = 1 << 17;
pub(crate) const USE_APPLICATION_COMMANDS: u64 = 1 << 31;
pub(crate) const MANAGE_THREADS: u64 = 1 << 34;
pub(crate) const CREATE_PUBLIC_THREADS: u64 = 1 << 35;
pub(crate) const CREATE_PRIVATE_THREADS: u64 = 1 << 36;
pub(crate) const USE_EXTERNAL_EMOJIS: u64 = 1 << 18;
pub(crate) const SEND_MESSAGES_IN_THREADS: u64 = 1 << 38;

/// All bits that are documented.
pub(crate) const ALL: u64 = (1 << 53) - 1;

/// What everybody may do at the start, and the bot as well.
pub(crate) const USUAL: u64 = ADD_REACTIONS
    | VIEW_CHANNEL
    | SEND_MESSAGES
    | EMBED_LINKS
    | ATTACH_FILES
    | READ_MESSAGE_HISTORY
    | USE_EXTERNAL_EMOJIS
    | USE_APPLICATION_COMMANDS
    | CREATE_PUBLIC_THREADS
    | CREATE_PRIVATE_THREADS
    | SEND_MESSAGES_IN_THREADS;

/// What the app may do where it talks with one person.
pub(crate) const IN_DMS: u64 = ATTACH_FILES
    | EMBED_LINKS
    | MENTION_EVERYONE
    | USE_EXTERNAL_EMOJIS
    | VIEW_CHANNEL
    | SEND_MESSAGES
    | READ_MESSAGE_HISTORY
    | ADD_REACTIONS;

impl World {
    /// What somebody may do in a guild, channels aside.
    pub(crate) fn base_permissions(&self, user: Id, guild: Id) -> u64 {
        let Some(guild) = self.guilds.get(&guild) else { return 0 };
        let Some(member) = guild.members.get(&user) else { return 0 };
        if guild.owner == user {
            return ALL;
        }
        let everyone = guild.roles.get(&guild.id).map_or(0, |role| role.permissions);
        let roles = member.roles.iter().filter_map(|role| guild.roles.get(role));
        let all = roles.fold(everyone, |all, role| all | role.permissions);
        if all & ADMINISTRATOR == 0 { all } else { ALL }
    }

    /// What somebody may do in a channel; in a thread, what its parent says.
    pub(crate) fn permissions(&self, user: Id, channel: &Channel) -> u64 {
        let Some(guild_id) = channel.guild else {
            return if channel.recipients.contains(&user) { IN_DMS } else { 0 };
        };
        let base = self.base_permissions(user, guild_id);
        if base == ALL {
            return base;
        }
        let Some(member) = self.guilds.get(&guild_id).and_then(|guild| guild.members.get(&user)) else {
            return 0;
        };
        let parent = channel.parent.filter(|_| channel.thread.is_some());
        let rules = parent.and_then(|parent| self.channels.get(&parent)).unwrap_or(channel);
        let of = |wanted: &dyn Fn(Id) -> bool| {
            rules
                .overwrites
                .iter()
                .filter(|rule| wanted(rule.whose))
                .fold((0, 0), |(allow, deny), rule| (allow | rule.allow, deny | rule.deny))
        };
        let mut may = base;
        for (allow, deny) in
            [of(&|id| id == guild_id), of(&|id| member.roles.contains(&id)), of(&|id| id == user)]
        {
            may = may & !deny | allow;
        }
        if may & VIEW_CHANNEL == 0 {
            return 0;
        }
        if may & SEND_MESSAGES == 0 && channel.thread.is_none() {
            may &= !(ATTACH_FILES | EMBED_LINKS | MENTION_EVERYONE);
        }
        may
    }

    /// Whether somebody may do all of this in a channel.
    pub(crate) fn may(&self, user: Id, channel: &Channel, wanted: u64) -> bool {
        self.permissions(user, channel) & wanted == wanted
    }

    /// Whether somebody sees a channel.
    pub(crate) fn sees(&self, user: Id, channel: &Channel) -> bool {
        let invited = channel.kind != super::world::PRIVATE_THREAD
            || channel.members.contains_key(&user)
            || self.may(user, channel, MANAGE_THREADS);
        invited && self.may(user, channel, VIEW_CHANNEL)
    }
}
