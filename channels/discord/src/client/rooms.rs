//! Which conversation is in which server, and which are threads: Discord says so once and then names only ids.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
};

use chat::payload::{list, text};
use serde_json::Value;

use crate::{
    decode::{Room, Us},
    place::is_id,
};

/// Kinds of threads: <https://discord.com/developers/docs/resources/channel#channel-object-channel-types>.
const THREADS: [u64; 3] = [10, 11, 12];
/// Conversations that are remembered; what is not known is looked up.
const ROOMS_MAX: usize = 100_000;

#[derive(Debug, Default)]
pub(super) struct Rooms(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    rooms: HashMap<String, Room>,
    /// The last message of each, as a server said when it introduced itself.
    last: HashMap<String, String>,
    /// Roles that Discord made for the bot, by server.
    roles: HashMap<String, String>,
}

impl Rooms {
    pub(super) fn of(&self, channel: &str) -> Option<Room> {
        self.state().rooms.get(channel).cloned()
    }

    /// The roles that mean the bot.
    pub(super) fn roles(&self) -> Vec<String> {
        let roles: BTreeSet<String> = self.state().roles.values().cloned().collect();
        roles.into_iter().collect()
    }

    /// Roles that an earlier process knew.
    pub(super) fn recall(&self, roles: &[String]) {
        let mut state = self.state();
        for role in roles {
            // Which server each is of does not matter: ids are never given twice.
            state.roles.insert(role.clone(), role.clone());
        }
    }

    /// Conversations in which something was said after a message.
    pub(super) fn with_news(&self, after: &str) -> Vec<(String, Room)> {
        let number = |id: &str| id.parse::<u64>().unwrap_or_default();
        let state = self.state();
        let news = state.last.iter().filter(|(_, last)| number(last) > number(after));
        news.filter_map(|(channel, _)| Some((channel.clone(), state.rooms.get(channel)?.clone()))).collect()
    }

    /// Learns from an event.
    pub(super) fn learn(&self, kind: &str, payload: &Value, us: &Us) {
        match kind {
            "GUILD_CREATE" => {
                let Some(guild) = text(payload, &["id"]) else { return };
                for channel in ["channels", "threads"].iter().flat_map(|key| list(payload, &[key])) {
                    self.note(channel, Some(guild));
                    if let (Some(id), Some(last)) =
                        (text(channel, &["id"]), text(channel, &["last_message_id"]))
                    {
                        self.state().last.insert(id.to_owned(), last.to_owned());
                    }
                }
                let own = |role: &&Value| text(role, &["tags", "bot_id"]) == Some(us.user.as_str());
                if let Some(role) =
                    list(payload, &["roles"]).iter().find(own).and_then(|role| text(role, &["id"]))
                {
                    self.state().roles.insert(guild.to_owned(), role.to_owned());
                }
            }
            "CHANNEL_CREATE" | "CHANNEL_UPDATE" | "THREAD_CREATE" | "THREAD_UPDATE" => {
                self.note(payload, None)
            }
            "THREAD_LIST_SYNC" => {
                let guild = text(payload, &["guild_id"]);
                list(payload, &["threads"]).iter().for_each(|thread| self.note(thread, guild));
            }
            "CHANNEL_DELETE" | "THREAD_DELETE" => {
                if let Some(id) = text(payload, &["id"]) {
                    let mut state = self.state();
                    state.rooms.remove(id);
                    state.last.remove(id);
                }
            }
            _ => {}
        }
    }

    /// Learns from a channel.
    pub(super) fn note(&self, channel: &Value, guild: Option<&str>) {
        let guild = text(channel, &["guild_id"]).or(guild).filter(|id| is_id(id));
        let (Some(id), Some(guild)) = (text(channel, &["id"]).filter(|id| is_id(id)), guild) else { return };
        let thread = channel.get("type").and_then(Value::as_u64).is_some_and(|kind| THREADS.contains(&kind));
        let parent = text(channel, &["parent_id"]).filter(|id| thread && is_id(id)).map(str::to_owned);
        let mut state = self.state();
        if state.rooms.len() >= ROOMS_MAX {
            state.rooms.clear();
            state.last.clear();
        }
        state.rooms.insert(id.to_owned(), Room { guild: guild.to_owned(), parent });
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_server_introduces_its_conversations() {
        let rooms = Rooms::default();
        let us = Us { user: "900".into(), ..Us::default() };
        rooms.learn(
            "GUILD_CREATE",
            &json!({
                "id": "10",
                "channels": [{ "id": "20", "type": 0, "parent_id": "19", "last_message_id": "500" }, { "id": 7 }],
                "threads": [{ "id": "21", "type": 11, "parent_id": "20", "last_message_id": null }],
                "roles": [{ "id": "1" }, { "id": "902", "tags": { "bot_id": "900" } }],
            }),
            &us,
        );
        assert_eq!(
            rooms.of("20"),
            Some(Room { guild: "10".into(), parent: None }),
            "a category is no channel"
        );
        assert_eq!(rooms.of("21"), Some(Room { guild: "10".into(), parent: Some("20".into()) }));
        assert_eq!(rooms.roles(), ["902"]);
        assert_eq!(rooms.with_news("499").len(), 1);
        assert!(rooms.with_news("500").is_empty() && rooms.of("99").is_none());
        rooms.learn(
            "THREAD_CREATE",
            &json!({ "id": "22", "type": 12, "parent_id": "20", "guild_id": "10" }),
            &us,
        );
        rooms.learn("CHANNEL_DELETE", &json!({ "id": "20" }), &us);
        assert!(rooms.of("22").is_some() && rooms.of("20").is_none());
        rooms.learn("THREAD_CREATE", &json!([]), &us);
    }
}
