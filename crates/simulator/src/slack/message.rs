//! A message, and how it looks to those who read it.

use serde_json::{Map, Value, json};

use super::world::{APP, Channel, World};

/// A message as it is kept.
#[derive(Clone, Debug, Default)]
pub(crate) struct Message {
    pub(crate) ts: String,
    pub(crate) thread_ts: Option<String>,
    pub(crate) user: Option<String>,
    /// The bot that posted it, if one did.
    pub(crate) bot: Option<String>,
    pub(crate) subtype: Option<String>,
    pub(crate) text: String,
    pub(crate) blocks: Vec<Value>,
    pub(crate) attachments: Vec<Value>,
    pub(crate) metadata: Option<Value>,
    pub(crate) files: Vec<String>,
    pub(crate) reactions: Vec<Reaction>,
    /// By whom and when it was changed last.
    pub(crate) edited: Option<(String, String)>,
    pub(crate) client_msg_id: Option<String>,
    /// The workspace of the sender.
    pub(crate) team: String,
    /// Whom it rings.
    pub(crate) rings: Vec<String>,
    /// Whether it makes previews of links.
    pub(crate) unfurls: bool,
    /// The only person who sees it.
    pub(crate) ephemeral_to: Option<String>,
    /// Whether text is still streamed into it; none for a message that never was a stream.
    pub(crate) streaming: Option<bool>,
    /// Whether it is shown in the channel as well as in its thread.
    pub(crate) broadcast: bool,
    pub(crate) deleted: bool,
    /// Further fields.
    pub(crate) extra: Map<String, Value>,
}

/// One emoji under a message.
#[derive(Clone, Debug)]
pub(crate) struct Reaction {
    pub(crate) name: String,
    pub(crate) users: Vec<String>,
}

impl Message {
    /// True for what stands in the channel itself.
    pub(crate) fn is_top(&self) -> bool {
        self.broadcast || self.thread_ts.as_deref().is_none_or(|root| root == self.ts)
    }

    /// The thread that an answer to it belongs to.
    pub(crate) fn root(&self) -> &str {
        self.thread_ts.as_deref().unwrap_or(&self.ts)
    }
}

impl World {
    /// A message as the Web API and events show it.
    pub(crate) fn show(&self, channel: &Channel, message: &Message, with_metadata: bool) -> Value {
        let mut shown = Map::new();
        let mut put = |name: &str, value: Value| {
            shown.insert(name.to_owned(), value);
        };
        if let Some(user) = &message.user {
            put("user", json!(user));
        }
        put("type", json!("message"));
        if let Some(subtype) = &message.subtype {
            put("subtype", json!(subtype));
        }
        put("ts", json!(message.ts));
        if let Some(id) = &message.client_msg_id {
            put("client_msg_id", json!(id));
        }
        if let Some(bot) = &message.bot {
            put("bot_id", json!(bot));
            if self.teams.iter().any(|team| team.bot == *bot) {
                put("app_id", json!(APP));
            }
            put("bot_profile", self.bot_profile(bot));
        }
        put("text", json!(message.text));
        put("team", json!(message.team));
        if !message.blocks.is_empty() {
            put("blocks", json!(message.blocks));
        }
        if !message.attachments.is_empty() {
            put("attachments", json!(message.attachments));
        }
        if !message.files.is_empty() {
            put("files", self.show_files(channel, message));
            put("upload", json!(message.user.is_some()));
            put("display_as_bot", json!(false));
        }
        if let Some((user, ts)) = &message.edited {
            put("edited", json!({"user": user, "ts": ts}));
        }
        if !message.reactions.is_empty() {
            put("reactions", show_reactions(message));
        }
        if with_metadata && let Some(metadata) = &message.metadata {
            put("metadata", metadata.clone());
        }
        for (name, value) in &message.extra {
            put(name, value.clone());
        }
        self.add_thread(channel, message, &mut shown);
        Value::Object(shown)
    }

    fn add_thread(&self, channel: &Channel, message: &Message, shown: &mut Map<String, Value>) {
        if let Some(root) = message.thread_ts.as_ref().filter(|root| **root != message.ts) {
            shown.insert("thread_ts".to_owned(), json!(root));
            let parent = channel.messages.get(root).and_then(|root| root.user.clone());
            if let Some(parent) = parent {
                shown.insert("parent_user_id".to_owned(), json!(parent));
            }
            return;
        }
        let replies: Vec<&Message> = channel.replies(&message.ts).collect();
        if replies.is_empty() && message.thread_ts.is_none() {
            return;
        }
        let mut users: Vec<&str> = Vec::new();
        for user in replies.iter().filter_map(|reply| reply.user.as_deref()) {
            if !users.contains(&user) {
                users.push(user);
            }
        }
        let latest = replies.last().map_or("0000000000.000000", |reply| reply.ts.as_str());
        let fields = json!({
            "thread_ts": message.ts,
            "reply_count": replies.len(),
            "reply_users_count": users.len(),
            "latest_reply": latest,
            "reply_users": users,
            "is_locked": false,
            "subscribed": false,
        });
        if let Value::Object(fields) = fields {
            shown.extend(fields);
        }
    }

    /// A bot as messages carry it.
    pub(crate) fn bot_profile(&self, bot: &str) -> Value {
        let user = self.users.values().find(|user| user.bot.as_deref() == Some(bot));
        let app = if self.teams.iter().any(|team| team.bot == bot) { APP } else { "A0OTHER01" };
        json!({
            "id": bot,
            "deleted": false,
            "name": user.map(|user| user.name.as_str()).unwrap_or_default(),
            "updated": self.stamps_epoch(),
            "app_id": app,
            "user_id": user.map(|user| user.id.as_str()).unwrap_or_default(),
            "icons": {"image_48": format!("{}/icon.png", self.base)},
            "team_id": user.map(|user| user.team.as_str()).unwrap_or_default(),
        })
    }

    fn stamps_epoch(&self) -> u64 {
        super::ids::since_epoch().as_secs().saturating_sub(self.began.elapsed().as_secs())
    }
}

/// The emoji under a message.
pub(crate) fn show_reactions(message: &Message) -> Value {
    let shown: Vec<Value> = message
        .reactions
        .iter()
        .map(
            |reaction| json!({"name": reaction.name, "users": reaction.users, "count": reaction.users.len()}),
        )
        .collect();
    json!(shown)
}
