//! How people, guilds, roles and channels look to the app.

use serde_json::{Value, json};

use super::{
    ids::{Id, iso},
    message::strings,
    options::intents,
    world::{Channel, DM, FORUM, Guild, Role, World},
};

impl World {
    /// A user.
    pub(crate) fn show_user(&self, id: Id) -> Value {
        let Some(user) = self.users.get(&id) else {
            return json!({"id": id.to_string(), "username": "Deleted User", "discriminator": "0", "avatar": null, "global_name": null});
        };
        let mut shown = json!({
            "id": id.to_string(),
            "username": user.name,
            "avatar": null,
            "discriminator": if user.bot { "1450" } else { "0" },
            "public_flags": 0,
            "flags": 0,
            "banner": null,
            "accent_color": null,
            "global_name": user.global_name,
            "avatar_decoration_data": null,
            "collectibles": null,
            "clan": null,
            "primary_guild": null,
        });
        if user.bot
            && let Some(shown) = shown.as_object_mut()
        {
            shown.insert("bot".to_owned(), json!(true));
        }
        shown
    }

    /// The app's own user.
    pub(crate) fn show_me(&self) -> Value {
        let mut me = self.show_user(self.app);
        if let Some(me) = me.as_object_mut() {
            me.insert("mfa_enabled".to_owned(), json!(false));
            me.insert("locale".to_owned(), json!("en-US"));
            me.insert("verified".to_owned(), json!(true));
            me.insert("email".to_owned(), Value::Null);
            me.insert("bio".to_owned(), json!(""));
        }
        me
    }

    /// A member of a guild, without the user.
    pub(crate) fn show_bare_member(&self, guild: Id, user: Id) -> Value {
        let member = self.guilds.get(&guild).and_then(|guild| guild.members.get(&user));
        let Some(member) = member else { return Value::Null };
        json!({
            "avatar": null,
            "banner": null,
            "communication_disabled_until": null,
            "flags": 0,
            "joined_at": iso(member.joined),
            "nick": member.nick,
            "pending": false,
            "premium_since": null,
            "roles": strings(&member.roles),
            "mute": false,
            "deaf": false,
        })
    }

    /// A member of a guild.
    pub(crate) fn show_member(&self, guild: Id, user: Id) -> Value {
        let mut member = self.show_bare_member(guild, user);
        if let Some(member) = member.as_object_mut() {
            member.insert("user".to_owned(), self.show_user(user));
        }
        member
    }

    /// A channel or thread.
    pub(crate) fn show_channel(&self, channel: &Channel) -> Value {
        let mut shown = json!({
            "id": channel.id.to_string(),
            "type": channel.kind,
            "last_message_id": channel.last_message.map(|id| id.to_string()),
            "flags": 0,
        });
        let Some(fields) = shown.as_object_mut() else { return shown };
        let mut put = |name: &str, value: Value| {
            fields.insert(name.to_owned(), value);
        };
        if channel.kind == DM {
            let others = channel.recipients.iter().filter(|&&user| user != self.app);
            put("recipients", json!(others.map(|&user| self.show_user(user)).collect::<Vec<_>>()));
            return shown;
        }
        put("guild_id", json!(channel.guild.map(|id| id.to_string())));
        put("name", json!(channel.name));
        put("parent_id", json!(channel.parent.map(|id| id.to_string())));
        put("rate_limit_per_user", json!(0));
        let Some(thread) = &channel.thread else {
            put("topic", Value::Null);
            put("position", json!(channel.id % 100));
            put("nsfw", json!(false));
            put(
                "permission_overwrites",
                json!(
                    channel
                        .overwrites
                        .iter()
                        .map(|rule| json!({
                            "id": rule.whose.to_string(),
                            "type": u8::from(rule.member),
                            "allow": rule.allow.to_string(),
                            "deny": rule.deny.to_string(),
                        }))
                        .collect::<Vec<_>>()
                ),
            );
            if channel.kind == FORUM {
                put("available_tags", json!([]));
                put("default_reaction_emoji", Value::Null);
                put("default_sort_order", Value::Null);
                put("default_forum_layout", json!(0));
            }
            return shown;
        };
        put("owner_id", json!(channel.owner.map(|id| id.to_string())));
        put(
            "message_count",
            json!(channel.messages.values().filter(|it| it.open() && it.kind != 21).count()),
        );
        put("total_message_sent", json!(channel.sent));
        put("member_count", json!(channel.members.len().min(50)));
        put(
            "thread_metadata",
            json!({
                "archived": thread.archived,
                "archive_timestamp": iso(thread.archived_at),
                "auto_archive_duration": thread.auto_archive,
                "locked": thread.locked,
                "create_timestamp": iso(thread.created_at),
            }),
        );
        if let Some(since) = channel.members.get(&self.app) {
            put("member", thread_member(channel.id, self.app, *since));
        }
        shown
    }

    /// A role.
    pub(crate) fn show_role(role: &Role) -> Value {
        json!({
            "id": role.id.to_string(),
            "name": role.name,
            "description": null,
            "permissions": role.permissions.to_string(),
            "position": role.position,
            "color": 0,
            "colors": {"primary_color": 0, "secondary_color": null, "tertiary_color": null},
            "hoist": false,
            "managed": role.managed,
            "mentionable": role.mentionable,
            "icon": null,
            "unicode_emoji": null,
            "flags": 0,
        })
    }

    /// A guild as the REST API shows it.
    pub(crate) fn show_guild(&self, guild: &Guild) -> Value {
        json!({
            "id": guild.id.to_string(),
            "name": guild.name,
            "icon": null,
            "description": null,
            "splash": null,
            "discovery_splash": null,
            "banner": null,
            "owner_id": guild.owner.to_string(),
            "application_id": null,
            "region": "deprecated",
            "afk_channel_id": null,
            "afk_timeout": 300,
            "system_channel_id": null,
            "system_channel_flags": 0,
            "widget_enabled": false,
            "widget_channel_id": null,
            "verification_level": 0,
            "default_message_notifications": 0,
            "explicit_content_filter": 0,
            "mfa_level": 0,
            "max_presences": null,
            "max_members": 500_000,
            "max_video_channel_users": 25,
            "vanity_url_code": null,
            "premium_tier": 0,
            "premium_subscription_count": 0,
            "premium_progress_bar_enabled": false,
            "preferred_locale": "en-US",
            "rules_channel_id": null,
            "public_updates_channel_id": null,
            "safety_alerts_channel_id": null,
            "nsfw_level": 0,
            "nsfw": false,
            "hub_type": null,
            "features": [],
            "emojis": [],
            "stickers": [],
            "roles": guild.roles.values().map(Self::show_role).collect::<Vec<_>>(),
        })
    }

    /// A guild as it is told of when a session begins.
    pub(crate) fn show_whole_guild(&self, guild: &Guild, asked: u64) -> Value {
        let mut shown = self.show_guild(guild);
        let here = self.channels.values().filter(|channel| {
            channel.guild == Some(guild.id) && !channel.deleted && self.sees(self.app, channel)
        });
        let (threads, channels): (Vec<_>, Vec<_>) = here.partition(|channel| channel.thread.is_some());
        let live = threads.into_iter().filter(|it| it.thread.as_ref().is_some_and(|thread| !thread.archived));
        let all = asked & intents::GUILD_MEMBERS != 0 || asked & intents::GUILD_PRESENCES != 0;
        let members = guild.members.keys().filter(|&&user| all || user == self.app);
        if let Some(fields) = shown.as_object_mut() {
            let joined = guild.members.get(&self.app).map_or(0, |member| member.joined);
            let mut put = |name: &str, value: Value| {
                fields.insert(name.to_owned(), value);
            };
            put("joined_at", json!(iso(joined)));
            put("large", json!(false));
            put("unavailable", json!(false));
            put("member_count", json!(guild.members.len()));
            put("members", json!(members.map(|&user| self.show_member(guild.id, user)).collect::<Vec<_>>()));
            put("channels", json!(channels.iter().map(|it| self.show_channel(it)).collect::<Vec<_>>()));
            put("threads", json!(live.map(|it| self.show_channel(it)).collect::<Vec<_>>()));
            for empty in [
                "presences",
                "voice_states",
                "stage_instances",
                "guild_scheduled_events",
                "soundboard_sounds",
            ] {
                put(empty, json!([]));
            }
        }
        shown
    }

    /// The application.
    pub(crate) fn show_app(&self) -> Value {
        let bits = self.settings.options.privileged_intents;
        // The limited forms are those of an app in fewer than a hundred guilds.
        let flag = |intent: u64, bit: u64| if bits & intent == 0 { 0 } else { 1_u64 << bit };
        let flags = flag(intents::GUILD_PRESENCES, 13)
            | flag(intents::GUILD_MEMBERS, 15)
            | flag(intents::MESSAGE_CONTENT, 19)
            | 1 << 23;
        json!({
            "id": self.app.to_string(),
            "name": "Switchboard",
            "icon": null,
            "description": "",
            "type": null,
            "summary": "",
            "bot": self.show_user(self.app),
            "bot_public": false,
            "bot_require_code_grant": false,
            "verify_key": self.signer.public_key(),
            "flags": flags,
            "owner": self.show_user(super::ids::id(super::options::OWNER)),
            "team": null,
            "hook": true,
            "interactions_endpoint_url": self.endpoint(),
            "redirect_uris": [],
            "tags": [],
            "approximate_guild_count": self.guilds.len(),
            "integration_types_config": {"0": {}},
        })
    }
}

/// Somebody as a member of a thread.
pub(crate) fn thread_member(thread: Id, user: Id, since: u64) -> Value {
    json!({
        "id": thread.to_string(),
        "user_id": user.to_string(),
        "join_timestamp": iso(since),
        "flags": 0,
    })
}
