//! What happened, as the app hears of it.

use serde_json::{Map, Value, json};

use super::{
    ids,
    message::Message,
    world::{APP, Channel, Sort, VERIFICATION, World},
};

impl World {
    /// Sends an event to the app as it is installed in a workspace, if one of these scopes was granted.
    pub(crate) fn emit(&mut self, team: &str, event: Value, shared: bool, scopes: &[&str]) {
        if !scopes.is_empty() && !scopes.iter().any(|&scope| self.settings.scopes.contains(scope)) {
            return;
        }
        let payload = self.wrap(team, event, shared);
        self.deliver_event(payload);
    }

    /// An event in its outer payload.
    pub(crate) fn wrap(&mut self, team: &str, event: Value, shared: bool) -> Value {
        let number = self.stamps.number();
        let bot = self.team(team).map(|team| team.bot_user.clone());
        let enterprise = self.team(team).and_then(|team| team.enterprise.clone());
        json!({
            "token": VERIFICATION,
            "team_id": team,
            "context_team_id": team,
            "context_enterprise_id": enterprise,
            "api_app_id": APP,
            "event": event,
            "type": "event_callback",
            "event_id": format!("Ev{}{number:04}", ids::random(4).to_uppercase()),
            "event_time": ids::since_epoch().as_secs(),
            "authorizations": [{
                "enterprise_id": enterprise,
                "team_id": team,
                "user_id": bot,
                "is_bot": true,
                "is_enterprise_install": false,
            }],
            "is_ext_shared_channel": shared,
            "event_context": format!("4-{}", ids::random(12)),
        })
    }

    /// A message as an event has it.
    pub(crate) fn message_event(&self, channel: &Channel, message: &Message) -> Map<String, Value> {
        // Metadata is not in events of messages; it has to be read.
        let mut event = self.show(channel, message, false);
        let mut event = event.as_object_mut().map(std::mem::take).unwrap_or_default();
        for field in
            ["reply_count", "reply_users_count", "latest_reply", "reply_users", "is_locked", "subscribed"]
        {
            event.remove(field);
        }
        if message.thread_ts.is_none() {
            event.remove("thread_ts");
        }
        event.insert("channel".to_owned(), json!(channel.id));
        event.insert("event_ts".to_owned(), json!(message.ts));
        event.insert("channel_type".to_owned(), json!(channel.channel_type()));
        if !channel.shared_with.is_empty() {
            event.insert("user_team".to_owned(), json!(message.team));
            event.insert("source_team".to_owned(), json!(message.team));
        }
        event
    }

    /// Tells the app of a new message: as a message where the bot is, and as a mention where it is named.
    pub(crate) fn emit_message(&mut self, channel_id: &str, ts: &str) {
        let Some(channel) = self.channels.get(channel_id) else { return };
        let Some(message) = channel.message(ts) else { return };
        let bot = self.bot_in(channel);
        let here = channel.has(&bot);
        let event = self.message_event(channel, message);
        let (team, shared) = (channel.team.clone(), !channel.shared_with.is_empty());
        let scope = format!("{}:history", channel.family());
        let named = message.text.contains(&format!("<@{bot}"))
            && message.user.as_deref() != Some(bot.as_str())
            && message
                .subtype
                .as_deref()
                .is_none_or(|subtype| ["file_share", "thread_broadcast"].contains(&subtype));
        // A mention tells of channels only, of open ones even where the bot is not.
        let reached = match channel.sort {
            Sort::Public => true,
            Sort::Private | Sort::Mpim => here,
            Sort::Im => false,
        };
        if here {
            self.emit(&team, Value::Object(event.clone()), shared, &[&scope]);
        }
        if named && reached {
            let mut mention = event;
            mention.insert("type".to_owned(), json!("app_mention"));
            mention.remove("channel_type");
            self.emit(&team, Value::Object(mention), shared, &["app_mentions:read"]);
        }
    }

    /// Tells the app that a message was changed; `before` is how it looked.
    pub(crate) fn emit_changed(&mut self, channel_id: &str, ts: &str, before: &Value) {
        let Some(channel) = self.channels.get(channel_id) else { return };
        let Some(message) = channel.messages.get(ts) else { return };
        let mut now = self.show(channel, message, false);
        let mut before = without_metadata(before);
        if !channel.shared_with.is_empty() {
            for shown in [&mut now, &mut before] {
                if let Some(shown) = shown.as_object_mut() {
                    shown.insert("source_team".to_owned(), json!(message.team));
                    shown.insert("user_team".to_owned(), json!(message.team));
                }
            }
        }
        let fields = json!({
            "type": "message",
            "subtype": "message_changed",
            "message": now,
            "previous_message": before,
        });
        self.emit_hidden(channel_id, fields);
    }

    /// Tells the app that a message is gone; `before` is how it looked.
    pub(crate) fn emit_deleted(&mut self, channel_id: &str, ts: &str, before: &Value) {
        let fields = json!({
            "type": "message",
            "subtype": "message_deleted",
            "previous_message": without_metadata(before),
            "deleted_ts": ts,
        });
        self.emit_hidden(channel_id, fields);
    }

    fn emit_hidden(&mut self, channel_id: &str, mut fields: Value) {
        let stamp = self.stamps.next();
        let Some(channel) = self.channels.get(channel_id) else { return };
        if !channel.has(&self.bot_in(channel)) {
            return;
        }
        let (team, shared) = (channel.team.clone(), !channel.shared_with.is_empty());
        let scope = format!("{}:history", channel.family());
        if let Some(fields) = fields.as_object_mut() {
            fields.insert("channel".to_owned(), json!(channel.id));
            fields.insert("hidden".to_owned(), json!(true));
            fields.insert("ts".to_owned(), json!(stamp));
            fields.insert("event_ts".to_owned(), json!(stamp));
            fields.insert("channel_type".to_owned(), json!(channel.channel_type()));
        }
        self.emit(&team, fields, shared, &[&scope]);
    }

    /// Tells the app of something that is about a channel where the bot is.
    pub(crate) fn emit_about(&mut self, channel_id: &str, mut event: Value, scopes: &[&str]) {
        let stamp = self.stamps.next();
        let Some(channel) = self.channels.get(channel_id) else { return };
        if !channel.has(&self.bot_in(channel)) {
            return;
        }
        let (team, shared) = (channel.team.clone(), !channel.shared_with.is_empty());
        if let Some(event) = event.as_object_mut() {
            event.insert("event_ts".to_owned(), json!(stamp));
        }
        self.emit(&team, event, shared, scopes);
    }
}

fn without_metadata(message: &Value) -> Value {
    let mut message = message.clone();
    if let Some(message) = message.as_object_mut() {
        message.shift_remove("metadata");
    }
    message
}
