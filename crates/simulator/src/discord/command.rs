//! Commands that people run: by their names, and from the menu of a message.

use serde_json::{Map, Value, json};

use super::{
    ids::Id,
    interaction::COMMAND,
    people::Denied,
    perms::{USE_APPLICATION_COMMANDS, VIEW_CHANNEL},
    world::World,
};

impl World {
    /// A person runs a slash command. `options` holds values by name, or the options as Discord sends them.
    pub(crate) fn command(
        &mut self,
        user: Id,
        channel: Id,
        name: &str,
        options: &Value,
    ) -> Result<Id, Denied> {
        let known = self.known_command(user, channel, name, 1)?;
        let mut resolved = Map::new();
        let filled = if options.is_array() {
            options.clone()
        } else {
            self.fill(&known, options, channel, &mut resolved)?
        };
        let mut data = command_data(&known, 1);
        if filled.as_array().is_some_and(|list| !list.is_empty()) {
            data.insert("options".to_owned(), filled);
        }
        if !resolved.is_empty() {
            data.insert("resolved".to_owned(), Value::Object(resolved));
        }
        let kind = super::message::CHAT_INPUT_COMMAND;
        Ok(self.interact(COMMAND, user, channel, None, kind, json!({"data": data})))
    }

    /// A person runs a command of the menu of a message.
    pub(crate) fn shortcut(&mut self, user: Id, channel: Id, message: Id, name: &str) -> Result<Id, Denied> {
        let known = self.known_command(user, channel, name, 3)?;
        let found = self.channels.get(&channel).and_then(|channel| channel.message(message));
        let shown = found.map(|found| self.show(found)).ok_or_else(|| format!("there is no {message}"))?;
        let mut data = command_data(&known, 3);
        let target = message.to_string();
        data.insert("resolved".to_owned(), json!({"messages": {target.clone(): shown}}));
        data.insert("target_id".to_owned(), json!(target));
        let kind = super::message::CONTEXT_MENU_COMMAND;
        Ok(self.interact(COMMAND, user, channel, None, kind, json!({"data": data})))
    }

    fn known_command(&self, user: Id, channel: Id, name: &str, kind: u64) -> Result<Value, Denied> {
        let place = self.place(user, channel, VIEW_CHANNEL)?;
        if place.guild.is_some() {
            self.place(user, channel, USE_APPLICATION_COMMANDS)?;
        }
        if place.thread.as_ref().is_some_and(|thread| thread.archived) {
            return Err(format!("{channel} is archived"));
        }
        let here = place.guild.and_then(|guild| self.commands.get(&Some(guild)));
        let all = here.into_iter().chain(self.commands.get(&None)).flatten();
        let mut found = all.filter(|command| {
            command.get("name").is_some_and(|known| known == name)
                && command.get("type").and_then(Value::as_u64).unwrap_or(1) == kind
        });
        found.next().cloned().ok_or_else(|| format!("there is no command {name}"))
    }

    /// The options of a command with these values, as Discord sends them.
    fn fill(
        &self,
        command: &Value,
        values: &Value,
        channel: Id,
        resolved: &mut Map<String, Value>,
    ) -> Result<Value, Denied> {
        let known = command.get("options").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let mut filled = Vec::new();
        for option in known {
            let name = option.get("name").and_then(Value::as_str).unwrap_or_default();
            let kind = option.get("type").and_then(Value::as_u64).unwrap_or(3);
            let Some(value) = values.get(name).filter(|value| !value.is_null()) else {
                if option.get("required") == Some(&json!(true)) {
                    return Err(format!("the option {name} is required"));
                }
                continue;
            };
            if kind <= 2 {
                let inner = self.fill(option, value, channel, resolved)?;
                filled.push(json!({"name": name, "type": kind, "options": inner}));
                continue;
            }
            if let Some(id) = value.as_str().filter(|_| (6..=9).contains(&kind)) {
                self.resolve(channel, kind, id, resolved);
            }
            filled.push(json!({"name": name, "type": kind, "value": value}));
        }
        Ok(json!(filled))
    }

    /// What an option or a choice of this type means.
    pub(crate) fn resolve(&self, channel: Id, kind: u64, text: &str, resolved: &mut Map<String, Value>) {
        let Ok(id) = text.parse::<Id>() else { return };
        let guild = self.channels.get(&channel).and_then(|channel| channel.guild);
        let mut put = |table: &str, value: Value| {
            let table = resolved.entry(table).or_insert_with(|| json!({}));
            if let Some(table) = table.as_object_mut() {
                table.insert(text.to_owned(), value);
            }
        };
        if matches!(kind, 6 | 9) && self.users.contains_key(&id) {
            put("users", self.show_user(id));
            if let Some(guild) = guild {
                put("members", self.show_bare_member(guild, id));
            }
        }
        let role = guild.and_then(|guild| self.guilds.get(&guild)).and_then(|guild| guild.roles.get(&id));
        if let Some(role) = role.filter(|_| matches!(kind, 8 | 9)) {
            put("roles", Self::show_role(role));
        }
        if let Some(place) = self.channels.get(&id).filter(|_| kind == 7) {
            put("channels", self.show_channel(place));
        }
    }
}

fn command_data(command: &Value, kind: u64) -> Map<String, Value> {
    let mut data = Map::new();
    for name in ["id", "name", "guild_id"] {
        if let Some(value) = command.get(name) {
            data.insert(name.to_owned(), value.clone());
        }
    }
    data.insert("type".to_owned(), json!(kind));
    data
}
