//! What people do that the app has to answer: clicks, forms, shortcuts, slash commands.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use tokio::sync::oneshot;

use super::{
    args::Args,
    blocks::{chosen, input_state, is_day, is_number},
    deliveries::Kind,
    effect::Outcome,
    ids,
    message::Message,
    modal::{View, check_view},
    people::Denied,
    world::{APP, Channel, Sort, VERIFICATION, World},
};

/// Whoever waits for what the app answers.
pub(crate) type Waiting = oneshot::Receiver<Outcome>;

impl World {
    /// A person clicks a button, or chooses from a menu. Gives the trigger.
    pub(crate) fn click(&mut self, click: &Value) -> Result<String, Denied> {
        let text = |name: &str| click.get(name).and_then(Value::as_str);
        let (user, channel, ts) = (need(click, "user")?, need(click, "channel")?, need(click, "ts")?);
        let (_, place) = self.member(user, channel)?;
        let found = place.message(ts).or_else(|| place.whisper(ts).filter(|it| seen_by(it, user))).cloned();
        let forged = click.get("as_message").filter(|forged| !forged.is_null());
        if found.is_none() && forged.is_none() {
            return Err(format!("{user} sees no message {ts}"));
        }
        let shown = match (&found, forged) {
            (_, Some(forged)) => forged.clone(),
            (Some(message), None) => self.show(place, message, true),
            (None, None) => Value::Null,
        };
        let element =
            shown.get("blocks").and_then(|blocks| element(blocks, text("action_id"), text("block_id")));
        let element = element.or_else(|| forged.map(|_| forged_element(click)));
        let (block, element) = element.ok_or_else(|| "there is no such button".to_owned())?;
        let action = action(&block, &element, text("value"));
        let ephemeral = found.as_ref().is_some_and(|message| message.ephemeral_to.is_some());
        let container = json!({
            "type": "message",
            "message_ts": ts,
            "channel_id": channel,
            "is_ephemeral": ephemeral,
            "thread_ts": found.as_ref().and_then(|message| message.thread_ts.clone()),
        });
        let more = json!({
            "container": without_null(container),
            "message": if ephemeral { Value::Null } else { shown },
            "state": {"values": click.get("state").cloned().unwrap_or_else(|| json!({}))},
            "actions": [action],
        });
        self.interact("block_actions", user, channel, found.as_ref(), more)
    }

    /// A person uses a shortcut of the app on a message. Gives the trigger.
    pub(crate) fn shortcut(
        &mut self,
        user: &str,
        channel: &str,
        ts: &str,
        callback: &str,
    ) -> Result<String, Denied> {
        let (_, place) = self.member(user, channel)?;
        let message = place.message(ts).cloned().ok_or_else(|| format!("there is no message {ts}"))?;
        let shown = self.show(place, &message, false);
        let more = json!({
            "callback_id": callback,
            "message_ts": ts,
            "message": shown,
            "action_ts": self.stamps.next(),
        });
        self.interact("message_action", user, channel, Some(&message), more)
    }

    fn interact(
        &mut self,
        kind: &str,
        user: &str,
        channel: &str,
        message: Option<&Message>,
        more: Value,
    ) -> Result<String, Denied> {
        let Some(place) = self.channels.get(channel) else {
            return Err(format!("there is no channel {channel}"));
        };
        let (team, name) = (place.team.clone(), channel_name(place));
        let trigger = self.trigger(user, &team);
        let hook = self.hook(&team, channel, user, message);
        let mut payload = self.envelope_of(kind, user, &team);
        payload.insert("trigger_id".to_owned(), json!(trigger));
        payload.insert("channel".to_owned(), json!({"id": channel, "name": name}));
        payload.insert("response_url".to_owned(), json!(hook));
        if let Value::Object(more) = without_null(more) {
            payload.extend(more);
        }
        // Whether the app acknowledged is seen in the deliveries and, if not, in what the person saw.
        drop(self.deliver_asking(Kind::Interactive, Value::Object(payload)));
        Ok(trigger)
    }

    /// What every interaction begins with.
    fn envelope_of(&self, kind: &str, user: &str, team: &str) -> Map<String, Value> {
        let known = self.users.get(user).cloned().unwrap_or_default();
        let team = self.team(team);
        let enterprise = team.and_then(|team| team.enterprise.clone());
        let mut payload = json!({
            "type": kind,
            "user": {"id": user, "username": known.name, "name": known.name, "team_id": known.team},
            "api_app_id": APP,
            "token": VERIFICATION,
            "team": {
                "id": team.map(|team| team.id.clone()),
                "domain": team.map(|team| team.domain.clone()),
            },
            "enterprise": enterprise.map(|id| json!({"id": id, "name": "Enterprise"})),
            "is_enterprise_install": false,
        });
        payload.as_object_mut().map(std::mem::take).unwrap_or_default()
    }

    /// A person sends a slash command.
    pub(crate) fn command(
        &mut self,
        user: &str,
        channel: &str,
        command: &str,
        text: &str,
    ) -> Result<(Waiting, super::hooks::Hook), Denied> {
        let (who, place) = self.member(user, channel)?;
        if !self.settings.scopes.contains("commands") {
            return Err(format!("{command} is not a valid command"));
        }
        let (name, team_id, place_name) = (who.name.clone(), place.team.clone(), channel_name(place));
        let team = self.team(&team_id).cloned().ok_or_else(|| "there is no workspace".to_owned())?;
        let trigger = self.trigger(user, &team_id);
        let url = self.hook(&team_id, channel, user, None);
        let mut payload = Map::new();
        let mut put = |field: &str, value: &str| {
            payload.insert(field.to_owned(), json!(value));
        };
        put("token", VERIFICATION);
        put("team_id", &team.id);
        put("team_domain", &team.domain);
        if let Some(enterprise) = &team.enterprise {
            put("enterprise_id", enterprise);
            put("enterprise_name", "Enterprise");
        }
        put("channel_id", channel);
        put("channel_name", &place_name);
        put("user_id", user);
        put("user_name", &name);
        put("command", command);
        put("text", text);
        put("api_app_id", APP);
        put("is_enterprise_install", "false");
        put("response_url", &url);
        put("trigger_id", &trigger);
        let id = url.rsplit('/').next().unwrap_or_default();
        let hook = self.hooks.get(id).cloned().ok_or_else(|| "there is no such address".to_owned())?;
        Ok((self.deliver_asking(Kind::Command, Value::Object(payload)), hook))
    }

    /// What the app answered to a slash command at once becomes a message.
    pub(crate) fn answer_command(&mut self, hook: &super::hooks::Hook, payload: Value) -> Value {
        if let Value::Object(all) = payload.clone()
            && !all.is_empty()
        {
            let args = Args { all, json: true, ..Args::default() };
            if let Err(refusal) = self.respond(hook, &args) {
                self.mishap(&hook.user, &refusal.error, "the answer to a slash command");
            }
        }
        payload
    }

    /// A person sends a modal off. An error holds what the client refuses by itself.
    pub(crate) fn submit(
        &mut self,
        user: &str,
        values: &BTreeMap<String, String>,
    ) -> Result<Result<Waiting, Value>, Denied> {
        let view = self.top_view(user)?;
        let refused = refused_by_client(&view, values);
        if refused.as_object().is_some_and(|refused| !refused.is_empty()) {
            return Ok(Err(refused));
        }
        let team = view.team.clone();
        let trigger = self.trigger(user, &team);
        let mut payload = self.envelope_of("view_submission", user, &team);
        payload.insert("trigger_id".to_owned(), json!(trigger));
        payload.insert("view".to_owned(), view.show(state(&view, values)));
        payload.insert("response_urls".to_owned(), json!([]));
        Ok(Ok(self.deliver_asking(Kind::Interactive, Value::Object(payload))))
    }

    /// The app answered a modal that was sent off: what becomes of the modal, and the errors it shows.
    pub(crate) fn answer_submit(&mut self, user: &str, payload: Option<Value>) -> Value {
        let payload = payload.unwrap_or_default();
        let views = self.views.entry(user.to_owned()).or_default();
        let given = payload.get("view").map(check_view);
        match payload.get("response_action").and_then(Value::as_str) {
            None => {
                views.pop();
                json!({"outcome": "closed", "errors": {}})
            }
            Some("clear") => {
                views.clear();
                json!({"outcome": "cleared", "errors": {}})
            }
            Some("errors") => {
                let errors = payload.get("errors").cloned().unwrap_or_else(|| json!({}));
                json!({"outcome": "errors", "errors": errors})
            }
            Some("update") => match (given, views.last_mut()) {
                (Some(Ok(given)), Some(view)) => {
                    view.replace(given);
                    json!({"outcome": "updated", "errors": {}})
                }
                (Some(Err(faults)), _) => json!({"outcome": "invalid", "errors": {}, "faults": faults}),
                (Some(Ok(_)) | None, _) => json!({"outcome": "invalid", "errors": {}}),
            },
            Some("push") => match given {
                Some(Ok(given)) => {
                    let below = views.last().cloned();
                    let (team, bot) =
                        below.as_ref().map(|it| (it.team.clone(), it.bot.clone())).unwrap_or_default();
                    views.push(View::new(&team, &bot, below.as_ref(), given));
                    json!({"outcome": "pushed", "errors": {}})
                }
                Some(Err(faults)) => json!({"outcome": "invalid", "errors": {}, "faults": faults}),
                None => json!({"outcome": "invalid", "errors": {}}),
            },
            Some(_) => json!({"outcome": "invalid", "errors": {}}),
        }
    }

    /// A person closes a modal; the app is told if it asked to be.
    pub(crate) fn close_view(&mut self, user: &str) -> Result<bool, Denied> {
        let view = self.top_view(user)?;
        self.views.entry(user.to_owned()).or_default().pop();
        if view.field("notify_on_close") != Some(&json!(true)) {
            return Ok(false);
        }
        let mut payload = self.envelope_of("view_closed", user, &view.team);
        payload.insert("view".to_owned(), view.show(json!({})));
        payload.insert("is_cleared".to_owned(), json!(false));
        drop(self.deliver_asking(Kind::Interactive, Value::Object(payload)));
        Ok(true)
    }

    /// The modal that a person sees.
    pub(crate) fn top_view(&self, user: &str) -> Result<View, Denied> {
        let top = self.views.get(user).and_then(|views| views.last()).cloned();
        top.ok_or_else(|| format!("{user} has no modal open"))
    }
}

fn need<'a>(value: &'a Value, name: &str) -> Result<&'a str, Denied> {
    value.get(name).and_then(Value::as_str).ok_or_else(|| format!("{name} is missing"))
}

fn seen_by(message: &Message, user: &str) -> bool {
    message.ephemeral_to.as_deref().is_none_or(|only| only == user)
}

/// The name of a channel in interactions.
fn channel_name(channel: &Channel) -> String {
    match channel.sort {
        Sort::Im => "directmessage".to_owned(),
        Sort::Private => "privategroup".to_owned(),
        Sort::Public | Sort::Mpim => channel.name.clone(),
    }
}

fn without_null(mut value: Value) -> Value {
    if let Some(object) = value.as_object_mut() {
        object.retain(|_, value| !value.is_null());
    }
    value
}

/// The element with this name, or the first in the block with this name, with its block's name.
fn element(blocks: &Value, action: Option<&str>, block: Option<&str>) -> Option<(String, Value)> {
    for found in blocks.as_array()? {
        let name = found.get("block_id").and_then(Value::as_str).unwrap_or_default();
        if block.is_some_and(|block| block != name) {
            continue;
        }
        let lists = [found.get("elements"), found.get("accessory"), found.get("element")];
        for list in lists.into_iter().flatten() {
            let elements = list.as_array().map_or(std::slice::from_ref(list), Vec::as_slice);
            let wanted = elements.iter().find(|element| match action {
                Some(action) => element.get("action_id").is_some_and(|id| id == action),
                None => element.get("type").is_some_and(|kind| kind != "image"),
            });
            if let Some(wanted) = wanted {
                return Some((name.to_owned(), wanted.clone()));
            }
        }
    }
    None
}

/// A button that is on no message any more, or never was.
fn forged_element(click: &Value) -> (String, Value) {
    let text = |name: &str| click.get(name).and_then(Value::as_str).unwrap_or("forged");
    let button = json!({
        "type": "button",
        "action_id": text("action_id"),
        "text": {"type": "plain_text", "text": "Forged", "emoji": true},
        "value": text("value"),
    });
    (text("block_id").to_owned(), button)
}

fn action(block: &str, element: &Value, value: Option<&str>) -> Value {
    let mut action = Map::new();
    for name in ["action_id", "text", "style", "value", "type", "placeholder"] {
        if let Some(given) = element.get(name) {
            action.insert(name.to_owned(), given.clone());
        }
    }
    action.insert("block_id".to_owned(), json!(block));
    if let Some(value) = value {
        if element.get("type").is_some_and(|kind| kind == "button") {
            action.insert("value".to_owned(), json!(value));
        } else if let Value::Object(state) = input_state(element, Some(value)) {
            action.extend(state);
        }
    }
    let stamp = ids::since_epoch();
    action.insert("action_ts".to_owned(), json!(format!("{}.{:06}", stamp.as_secs(), stamp.subsec_micros())));
    Value::Object(action)
}

/// What a modal holds after a person filled it in.
fn state(view: &View, values: &BTreeMap<String, String>) -> Value {
    let mut all = Map::new();
    for block in view.blocks() {
        let id = block.get("block_id").and_then(Value::as_str).unwrap_or_default();
        let Some(element) = block.get("element") else { continue };
        let action = element.get("action_id").and_then(Value::as_str).unwrap_or_default();
        let filled = values.get(id).map(String::as_str).filter(|text| !text.is_empty());
        all.insert(id.to_owned(), json!({action: input_state(element, filled)}));
    }
    Value::Object(all)
}

/// What an input that is no text does not take.
fn refused_by_element(element: &Value, filled: &str) -> Option<String> {
    let several = ["multi_static_select", "checkboxes"];
    match element.get("type").and_then(Value::as_str).unwrap_or_default() {
        "number_input" if !is_number(filled) => Some("Please enter a number.".to_owned()),
        "datepicker" if !is_day(filled) => Some("Please choose a date.".to_owned()),
        kind @ ("static_select" | "radio_buttons" | "multi_static_select" | "checkboxes") => {
            match chosen(element, filled) {
                Ok(options) if options.len() > 1 && !several.contains(&kind) => {
                    Some("Only one can be chosen.".to_owned())
                }
                Ok(_) => None,
                Err(why) => Some(why),
            }
        }
        _ => None,
    }
}

/// What Slack's own client does not send off: empty fields that are needed, texts too short or too long.
fn refused_by_client(view: &View, values: &BTreeMap<String, String>) -> Value {
    let mut refused = Map::new();
    for block in view.blocks() {
        let id = block.get("block_id").and_then(Value::as_str).unwrap_or_default();
        let Some(element) = block.get("element") else { continue };
        let optional = block.get("optional") == Some(&json!(true));
        let initial = ["initial_value", "initial_option", "initial_options", "initial_date"];
        let initial = initial.iter().any(|it| element.get(it).is_some());
        let filled = values.get(id).map(String::as_str).unwrap_or_default();
        let count = filled.chars().count() as u64;
        let bound = |name: &str| element.get(name).and_then(Value::as_u64);
        if filled.is_empty() && !initial && !optional {
            refused.insert(id.to_owned(), json!("Please complete this required field."));
        } else if bound("max_length").is_some_and(|most| count > most) {
            refused.insert(id.to_owned(), json!("This is too long."));
        } else if !filled.is_empty() && bound("min_length").is_some_and(|least| count < least) {
            refused.insert(id.to_owned(), json!("This is too short."));
        } else if !filled.is_empty()
            && let Some(why) = refused_by_element(element, filled)
        {
            refused.insert(id.to_owned(), json!(why));
        }
    }
    Value::Object(refused)
}
