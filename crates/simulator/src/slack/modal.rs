//! Modals: what opens them, and what is open.
//!
//! Invariant: a trigger opens one modal, and only for three seconds.

use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use super::{
    blocks, ids,
    world::{APP, World},
};

/// How long a trigger may be used.
const TRIGGER_LASTS: Duration = Duration::from_secs(3);

/// How many modals may lie on each other.
pub(crate) const DEEPEST: usize = 3;

/// What lets the app open a modal for a person.
#[derive(Clone, Debug)]
pub(crate) struct Trigger {
    pub(crate) user: String,
    pub(crate) team: String,
    pub(crate) made: Instant,
    pub(crate) used: bool,
    pub(crate) expired: bool,
}

/// An open modal.
#[derive(Clone, Debug)]
pub(crate) struct View {
    pub(crate) id: String,
    pub(crate) root: String,
    pub(crate) previous: Option<String>,
    pub(crate) team: String,
    pub(crate) bot: String,
    pub(crate) hash: String,
    /// What the app gave.
    pub(crate) given: Map<String, Value>,
}

impl World {
    /// A new trigger for a person.
    pub(crate) fn trigger(&mut self, user: &str, team: &str) -> String {
        let id = format!("{}.{}.{}", self.stamps.number(), ids::since_epoch().as_millis(), ids::random(16));
        let trigger = Trigger {
            user: user.to_owned(),
            team: team.to_owned(),
            made: Instant::now(),
            used: false,
            expired: false,
        };
        self.triggers.insert(id.clone(), trigger);
        id
    }

    /// Uses a trigger up; gives the person.
    pub(crate) fn use_trigger(&mut self, id: &str, team: &str) -> Result<String, &'static str> {
        let lasts = TRIGGER_LASTS.mul_f64(self.settings.time_scale.max(1.0));
        let trigger = self.triggers.get_mut(id).filter(|trigger| trigger.team == team);
        let trigger = trigger.ok_or("invalid_trigger_id")?;
        if trigger.used {
            return Err("exchanged_trigger_id");
        }
        if trigger.expired || trigger.made.elapsed() > lasts {
            return Err("expired_trigger_id");
        }
        trigger.used = true;
        Ok(trigger.user.clone())
    }

    /// An open modal and whose it is.
    pub(crate) fn find_view(&mut self, wanted: impl Fn(&View) -> bool) -> Option<(String, &mut View)> {
        self.views.iter_mut().find_map(|(user, views)| {
            views.iter_mut().find(|view| wanted(view)).map(|view| (user.clone(), view))
        })
    }
}

impl View {
    /// A modal that was not open before.
    pub(crate) fn new(team: &str, bot: &str, below: Option<&View>, given: Map<String, Value>) -> Self {
        let id = format!("V0{}", ids::random(4).to_uppercase());
        Self {
            root: below.map_or_else(|| id.clone(), |below| below.root.clone()),
            previous: below.map(|below| below.id.clone()),
            id,
            team: team.to_owned(),
            bot: bot.to_owned(),
            hash: hash(),
            given: named(given),
        }
    }

    /// The app gave something else to show.
    pub(crate) fn replace(&mut self, given: Map<String, Value>) {
        self.given = named(given);
        self.hash = hash();
    }

    /// A field that the app gave.
    pub(crate) fn field(&self, name: &str) -> Option<&Value> {
        self.given.get(name).filter(|value| !value.is_null())
    }

    /// Its blocks.
    pub(crate) fn blocks(&self) -> &[Value] {
        self.field("blocks").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
    }

    /// The modal as the app sees it, with what a person filled in.
    pub(crate) fn show(&self, values: Value) -> Value {
        let text = |name: &str| self.field(name).cloned().unwrap_or_else(|| json!(""));
        let flag = |name: &str| self.field(name).cloned().unwrap_or_else(|| json!(false));
        json!({
            "id": self.id,
            "team_id": self.team,
            "type": "modal",
            "blocks": self.blocks(),
            "private_metadata": text("private_metadata"),
            "callback_id": text("callback_id"),
            "state": {"values": values},
            "hash": self.hash,
            "title": self.field("title"),
            "clear_on_close": flag("clear_on_close"),
            "notify_on_close": flag("notify_on_close"),
            "close": self.field("close"),
            "submit": self.field("submit"),
            "previous_view_id": self.previous,
            "root_view_id": self.root,
            "app_id": APP,
            "external_id": text("external_id"),
            "app_installed_team_id": self.team,
            "bot_id": self.bot,
        })
    }
}

fn hash() -> String {
    format!("{}.{}", ids::since_epoch().as_secs(), ids::random(4))
}

/// Names every block and every element that has no name.
fn named(mut given: Map<String, Value>) -> Map<String, Value> {
    let blocks = given.get_mut("blocks").and_then(Value::as_array_mut);
    for block in blocks.into_iter().flatten().filter_map(Value::as_object_mut) {
        let unnamed = |object: &Map<String, Value>, name: &str| {
            object.get(name).and_then(Value::as_str).is_none_or(str::is_empty)
        };
        if unnamed(block, "block_id") {
            block.insert("block_id".to_owned(), json!(ids::random(3)));
        }
        if let Some(element) = block.get_mut("element").and_then(Value::as_object_mut)
            && unnamed(element, "action_id")
        {
            element.insert("action_id".to_owned(), json!(ids::random(3)));
        }
    }
    given
}

/// What is wrong with a view, as `text [json-pointer:/view/…]`.
pub(crate) fn check_view(view: &Value) -> Result<Map<String, Value>, Vec<String>> {
    let Some(given) = view.as_object() else {
        return Err(vec!["must be an object [json-pointer:/view]".to_owned()]);
    };
    let mut faults = Vec::new();
    let mut fault = |what: String, at: &str| faults.push(format!("{what} [json-pointer:/view{at}]"));
    if given.get("type").is_none_or(|kind| kind != "modal") {
        fault("must be one of: modal, home, workflow_step".to_owned(), "/type");
    }
    for name in ["title", "submit", "close"] {
        match given.get(name).filter(|value| !value.is_null()) {
            None if name == "title" => fault("missing required field: title".to_owned(), ""),
            None => {}
            Some(text) => {
                let plain = text.get("type").is_some_and(|kind| kind == "plain_text");
                let words = text.get("text").and_then(Value::as_str).unwrap_or_default().chars().count();
                if !plain {
                    fault("must be a plain_text object".to_owned(), &format!("/{name}"));
                } else if words == 0 {
                    fault("must be more than 0 characters".to_owned(), &format!("/{name}/text"));
                } else if words > 24 {
                    fault("must be less than 25 characters".to_owned(), &format!("/{name}/text"));
                }
            }
        }
    }
    for (name, most) in [("private_metadata", 3000), ("callback_id", 255), ("external_id", 255)] {
        let text = given.get(name).and_then(Value::as_str).unwrap_or_default();
        if text.chars().count() > most {
            fault(format!("must be less than {} characters", most + 1), &format!("/{name}"));
        }
    }
    let Some(list) = given.get("blocks").and_then(Value::as_array) else {
        fault("missing required field: blocks".to_owned(), "");
        return Err(faults);
    };
    let inputs = list.iter().any(|block| block.get("type").is_some_and(|kind| kind == "input"));
    if inputs && given.get("submit").is_none_or(Value::is_null) {
        fault("missing required field: submit".to_owned(), "");
    }
    let known = [
        "type",
        "title",
        "blocks",
        "close",
        "submit",
        "private_metadata",
        "callback_id",
        "clear_on_close",
        "notify_on_close",
        "external_id",
        "submit_disabled",
    ];
    for name in given.keys().filter(|name| !known.contains(&name.as_str())) {
        fault(format!("invalid additional property: {name}"), "");
    }
    faults.extend(blocks::check_modal(list));
    if faults.is_empty() { Ok(given.clone()) } else { Err(faults) }
}
