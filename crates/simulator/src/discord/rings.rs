//! Whom a message would ring.
//!
//! Invariant: what may ring is counted as ringing: marks in code blocks, too, where Discord says nothing of them.

use serde_json::Value;

use super::{
    ids::Id,
    message::Message,
    perms::MENTION_EVERYONE,
    refusal::{Faults, Refusal},
    world::World,
};

/// Whom a message may ring.
#[derive(Clone, Debug)]
pub(crate) struct Allowed {
    everyone: bool,
    /// All of them, or these.
    users: Option<Vec<Id>>,
    roles: Option<Vec<Id>>,
    replied: bool,
}

impl Default for Allowed {
    /// What counts where nothing is said.
    fn default() -> Self {
        Self { everyone: true, users: None, roles: None, replied: true }
    }
}

impl Allowed {
    /// Reads the field `allowed_mentions`.
    pub(crate) fn read(value: Option<&Value>) -> Result<Self, Refusal> {
        let Some(value) = value.filter(|value| !value.is_null()) else { return Ok(Self::default()) };
        let mut faults = Faults::default();
        let list = |name: &str| -> Vec<String> {
            let items = value.get(name).and_then(Value::as_array).into_iter().flatten();
            items.map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned)).collect()
        };
        let parse = list("parse");
        if parse.iter().any(|word| !["users", "roles", "everyone"].contains(&word.as_str())) {
            faults.choice("allowed_mentions.parse.0", "'users', 'roles', 'everyone'");
        }
        let mut of = |name: &str| {
            let all = parse.iter().any(|word| word == name);
            let some = list(name);
            faults.count(&format!("allowed_mentions.{name}"), some.len(), 0, 100);
            if all && !some.is_empty() {
                let words = format!("parse:[\"{name}\"] and {name}: [ids...] are mutually exclusive.");
                faults.add("allowed_mentions", "MESSAGE_ALLOWED_MENTIONS_PARSE_EXCLUSIVE", &words);
            }
            (!all).then(|| some.iter().filter_map(|id| id.parse().ok()).collect::<Vec<Id>>())
        };
        let (users, roles) = (of("users"), of("roles"));
        faults.check()?;
        let everyone = parse.iter().any(|word| word == "everyone");
        let replied = value.get("replied_user") == Some(&Value::Bool(true));
        Ok(Self { everyone, users, roles, replied })
    }
}

/// The numbers that stand in a text between these marks.
fn marked(text: &str, open: &[&str]) -> Vec<Id> {
    let mut found = Vec::new();
    for rest in text.split('<').skip(1) {
        let Some((inside, _)) = rest.split_once('>') else { continue };
        let id = open.iter().find_map(|mark| inside.strip_prefix(mark)?.parse().ok());
        if let Some(id) = id.filter(|id| !found.contains(id)) {
            found.push(id);
        }
    }
    found
}

impl World {
    /// Writes into a message whom it mentions and whom it rings.
    pub(crate) fn mention(&self, message: &mut Message, allowed: &Allowed) {
        let Some(channel) = self.channels.get(&message.channel) else { return };
        let mut words = message.content.clone();
        gather(&Value::Array(message.components.clone()), &mut words);
        let strong = message.webhook.is_some() || self.may(message.author, channel, MENTION_EVERYONE);
        let permitted = |list: &Option<Vec<Id>>, id: Id| list.as_ref().is_none_or(|list| list.contains(&id));
        let mut users: Vec<Id> = marked(&words, &["@!", "@"])
            .into_iter()
            .filter(|id| self.users.contains_key(id) && permitted(&allowed.users, *id))
            .collect();
        let replied = message.replies_to().filter(|_| message.kind == super::message::REPLY);
        let replied = replied.and_then(|id| channel.message(id)).map(|found| found.author);
        if let Some(author) = replied.filter(|author| allowed.replied && !users.contains(author)) {
            users.push(author);
        }
        let known = channel.guild.and_then(|id| self.guilds.get(&id));
        let roles: Vec<Id> = marked(&words, &["@&"])
            .into_iter()
            .filter(|id| {
                let role = known.and_then(|guild| guild.roles.get(id));
                role.is_some_and(|role| role.mentionable || strong) && permitted(&allowed.roles, *id)
            })
            .collect();
        let loud: Vec<&str> = ["@everyone", "@here"]
            .into_iter()
            .filter(|word| allowed.everyone && strong && channel.guild.is_some() && words.contains(word))
            .collect();
        message.mention_everyone = !loud.is_empty();
        let mut rings: Vec<String> = loud.into_iter().map(str::to_owned).collect();
        rings.extend(users.iter().filter(|user| **user != message.author).map(|user| format!("@{user}")));
        rings.extend(roles.iter().map(|role| format!("@&{role}")));
        message.mentions = users;
        message.mention_roles = roles;
        message.rings = rings;
    }

    /// What a person types becomes what Discord's client makes of it: `@name` and `#name` become marks.
    pub(crate) fn typed(&self, channel: Id, text: &str) -> String {
        let guild = self.channels.get(&channel).and_then(|channel| channel.guild);
        let known = guild.and_then(|id| self.guilds.get(&id));
        let mut names: Vec<(String, String)> = Vec::new();
        for user in self.users.values() {
            names.push((format!("@{}", user.name), format!("<@{}>", user.id)));
        }
        for role in known.iter().flat_map(|guild| guild.roles.values()).filter(|role| Some(role.id) != guild)
        {
            // The bot's own role has the bot's name: the person is meant.
            if !self.users.values().any(|user| user.name == role.name) {
                names.push((format!("@{}", role.name), format!("<@&{}>", role.id)));
            }
        }
        for place in self.channels.values().filter(|place| place.guild == guild && guild.is_some()) {
            names.push((format!("#{}", place.name), format!("<#{}>", place.id)));
        }
        names.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        let mut typed = String::new();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let end = |name: &str| {
                let after = rest.get(name.len()..).and_then(|rest| rest.chars().next());
                after.is_none_or(|after| !after.is_alphanumeric() && after != '_' && after != '-')
            };
            match names.iter().find(|(name, _)| rest.starts_with(name.as_str()) && end(name)) {
                Some((name, mark)) => {
                    typed.push_str(mark);
                    rest = rest.get(name.len()..).unwrap_or_default();
                }
                None => {
                    typed.push(first);
                    rest = rest.get(first.len_utf8()..).unwrap_or_default();
                }
            }
        }
        typed
    }
}

/// The texts of the components of the newer kind: they ring as the content does.
fn gather(value: &Value, words: &mut String) {
    match value {
        Value::Array(list) => list.iter().for_each(|item| gather(item, words)),
        Value::Object(object) => {
            if object.get("type") == Some(&Value::from(10)) {
                words.push(' ');
                words.push_str(object.get("content").and_then(Value::as_str).unwrap_or_default());
            }
            object.values().for_each(|inner| gather(inner, words));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
