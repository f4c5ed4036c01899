//! What people do that the app has to answer: clicks, choices, forms, commands.
//!
//! Invariant: an interaction is answered once, within three seconds, or has failed before the person's eyes.

use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use super::{
    components::find,
    effect::{Later, Post},
    ids::{Id, random},
    message::Message,
    people::Denied,
    perms::VIEW_CHANNEL,
    world::World,
};
use crate::shared::tasks::Effect;

/// The number of the type of a command.
pub(crate) const COMMAND: u64 = 2;
/// The number of the type of a click or choice.
pub(crate) const COMPONENT: u64 = 3;
/// The number of the type of a modal that was sent off.
pub(crate) const MODAL_SUBMIT: u64 = 5;

/// How long the app may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// An app needs some time however short a minute is.
const ANSWER_WITHIN_AT_LEAST: Duration = Duration::from_millis(500);

/// How long the token of an interaction lives.
const TOKEN_LIVES: Duration = Duration::from_secs(15 * 60);

/// Something that a person did and the app has to answer.
#[derive(Clone, Debug)]
pub(crate) struct Interaction {
    pub(crate) id: Id,
    pub(crate) token: String,
    pub(crate) kind: u64,
    pub(crate) user: Id,
    pub(crate) channel: Id,
    pub(crate) began: Instant,
    pub(crate) at_us: u64,
    /// The type of the answer, and when it came.
    pub(crate) answered: Option<(u64, u64)>,
    pub(crate) failed: bool,
    pub(crate) expired: bool,
    /// The message that the component is on.
    pub(crate) source: Option<Id>,
    /// The message that is the answer.
    pub(crate) response: Option<Id>,
    /// What messages that answer it are: 20 for a slash command, 23 for one of a menu, else 0.
    pub(crate) message_kind: u64,
    pub(crate) payload: Value,
}

impl Interaction {
    /// Where it stands, in a word.
    pub(crate) fn state(&self) -> &'static str {
        match (self.answered, self.failed) {
            (Some(_), _) => "answered",
            (None, true) => "failed",
            (None, false) => "pending",
        }
    }
}

/// What somebody clicks or chooses.
#[derive(Default)]
pub(crate) struct Press<'a> {
    pub(crate) custom_id: Option<&'a str>,
    pub(crate) label: Option<&'a str>,
    pub(crate) values: Vec<&'a str>,
    /// Another message than the one that is kept: stale or forged.
    pub(crate) as_message: Option<Value>,
}

impl World {
    /// A person clicks a button or chooses from a menu. Gives the interaction.
    pub(crate) fn click(
        &mut self,
        user: Id,
        channel: Id,
        message: Id,
        press: &Press<'_>,
    ) -> Result<Id, Denied> {
        let place = self.place(user, channel, VIEW_CHANNEL)?;
        let seen = |it: &&Message| !it.deleted && it.ephemeral_to.is_none_or(|only| only == user);
        let kept = place.messages.get(&message).filter(seen).map(|message| self.show(message));
        let shown = match (&press.as_message, kept) {
            (Some(forged), _) => forged.clone(),
            (None, Some(kept)) => kept,
            (None, None) => return Err(format!("{user} sees no message {message}")),
        };
        let list = shown.get("components").cloned().unwrap_or_default();
        let wanted = press.custom_id.map(str::to_owned).or_else(|| by_label(&list, press.label?));
        let wanted = wanted.ok_or_else(|| "there is no such button".to_owned())?;
        let component = match find(&list, &wanted) {
            Some(component) => component.clone(),
            None if press.as_message.is_some() => json!({"type": 2, "custom_id": wanted}),
            None => return Err(format!("there is no component {wanted}")),
        };
        if component.get("disabled") == Some(&json!(true)) {
            return Err(format!("{wanted} is disabled"));
        }
        let kind = component.get("type").and_then(Value::as_u64).unwrap_or(2);
        let mut data = json!({
            "custom_id": wanted,
            "component_type": kind,
            "id": component.get("id").cloned().unwrap_or(json!(1)),
        });
        if kind != 2
            && let Some(data) = data.as_object_mut()
        {
            allowed_choice(&component, &press.values)?;
            data.insert("values".to_owned(), json!(press.values));
            let types = match kind {
                5 => Some(6),
                6 => Some(8),
                7 => Some(9),
                8 => Some(7),
                _ => None,
            };
            if let Some(of) = types {
                let mut resolved = Map::new();
                press.values.iter().for_each(|id| self.resolve(channel, of, id, &mut resolved));
                data.insert("resolved".to_owned(), Value::Object(resolved));
            }
        }
        let more = json!({"data": data, "message": shown});
        Ok(self.interact(COMPONENT, user, channel, Some(message), 0, more))
    }

    /// Something begins that the app has to answer.
    pub(crate) fn interact(
        &mut self,
        kind: u64,
        user: Id,
        channel: Id,
        source: Option<Id>,
        message_kind: u64,
        more: Value,
    ) -> Id {
        let id = self.snowflakes.next();
        let token = format!("aW50ZXJhY3Rpb246{}", random(24));
        let mut payload = self.wrap(id, &token, kind, user, channel);
        if let (Some(payload), Value::Object(more)) = (payload.as_object_mut(), more) {
            payload.extend(more);
        }
        let interaction = Interaction {
            id,
            token,
            kind,
            user,
            channel,
            began: Instant::now(),
            at_us: self.now_us(),
            answered: None,
            failed: false,
            expired: false,
            source,
            response: None,
            message_kind,
            payload: payload.clone(),
        };
        self.interactions.insert(id, interaction);
        let within = self.scaled(ANSWER_WITHIN).max(ANSWER_WITHIN_AT_LEAST);
        self.effects.push(Effect::After(within, Later::Due(id)));
        let guild = self.channels.get(&channel).and_then(|channel| channel.guild);
        match self.endpoint() {
            None => self.dispatch(&super::sessions::Event {
                name: "INTERACTION_CREATE",
                data: payload,
                guild,
                intents: 0,
            }),
            Some(url) => {
                let body = payload.to_string();
                let timestamp = super::ids::since_epoch().as_secs().to_string();
                let signature = self.signer.sign(&timestamp, &body);
                self.effects.push(Effect::Post(Post {
                    interaction: id,
                    url,
                    body,
                    timestamp,
                    signature,
                    within,
                }));
            }
        }
        id
    }

    /// What every interaction begins with.
    fn wrap(&self, id: Id, token: &str, kind: u64, user: Id, channel: Id) -> Value {
        let place = self.channels.get(&channel);
        let guild = place.and_then(|place| place.guild);
        let locale = self.users.get(&user).map(|user| user.locale.clone());
        let owner = guild.map_or_else(|| "0".to_owned(), |guild| guild.to_string());
        let mut payload = json!({
            "id": id.to_string(),
            "application_id": self.app.to_string(),
            "type": kind,
            "token": token,
            "version": 1,
            "channel_id": channel.to_string(),
            "channel": place.map(|place| self.show_channel(place)),
            "app_permissions": place.map(|place| self.permissions(self.app, place).to_string()),
            "locale": locale,
            "entitlements": [],
            "entitlement_sku_ids": [],
            "authorizing_integration_owners": {"0": owner},
            "context": u8::from(guild.is_none()),
            "attachment_size_limit": super::content::FILE,
        });
        let Some(fields) = payload.as_object_mut() else { return payload };
        match guild {
            Some(guild) => {
                let mut member = self.show_member(guild, user);
                if let (Some(member), Some(place)) = (member.as_object_mut(), place) {
                    let may = self.permissions(user, place).to_string();
                    member.insert("permissions".to_owned(), json!(may));
                }
                fields.insert("member".to_owned(), member);
                fields.insert("guild_id".to_owned(), json!(guild.to_string()));
                fields.insert("guild_locale".to_owned(), json!("en-US"));
                let partial = json!({"id": guild.to_string(), "locale": "en-US", "features": []});
                fields.insert("guild".to_owned(), partial);
            }
            None => {
                fields.insert("user".to_owned(), self.show_user(user));
            }
        }
        payload
    }

    /// An interaction has to be answered by now.
    pub(crate) fn interaction_due(&mut self, id: Id) {
        let Some(interaction) = self.interactions.get_mut(&id) else { return };
        if interaction.answered.is_none() {
            interaction.failed = true;
            let user = interaction.user;
            let words = if interaction.kind == COMMAND {
                "The application did not respond"
            } else {
                "This interaction failed"
            };
            self.mishap(user, words, &id.to_string());
        }
    }

    /// Whether the token of an interaction still lives.
    pub(crate) fn token_lives(&self, interaction: &Interaction) -> bool {
        !interaction.expired && interaction.began.elapsed() < self.scaled(TOKEN_LIVES)
    }
}

/// The `custom_id` of the button with this label.
fn by_label(value: &Value, label: &str) -> Option<String> {
    match value {
        Value::Array(list) => list.iter().find_map(|item| by_label(item, label)),
        Value::Object(object) => {
            if object.get("label").is_some_and(|it| it == label) && object.contains_key("custom_id") {
                return object.get("custom_id").and_then(Value::as_str).map(str::to_owned);
            }
            object.values().find_map(|inner| by_label(inner, label))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

/// Refuses a choice that the client would not let anybody make.
fn allowed_choice(select: &Value, values: &[&str]) -> Result<(), Denied> {
    let bound = |name: &str| select.get(name).and_then(Value::as_u64).unwrap_or(1);
    let count = values.len() as u64;
    if count < bound("min_values") || count > bound("max_values") {
        return Err(format!("{count} cannot be chosen"));
    }
    let Some(options) = select.get("options").and_then(Value::as_array) else { return Ok(()) };
    let known = |value: &str| options.iter().any(|it| it.get("value").is_some_and(|known| known == value));
    match values.iter().find(|value| !known(value)) {
        Some(value) => Err(format!("there is no choice {value}")),
        None => Ok(()),
    }
}
