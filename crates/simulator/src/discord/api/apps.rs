//! The application, its commands, and the way to the gateway.

use serde_json::{Value, json};

use super::{Answer, Asked, Refusal, World, ok};
use crate::discord::{ids::Id, refusal::Faults};

/// The most sessions in a day.
const SESSIONS_A_DAY: usize = 1000;

/// The most commands of one sort.
const COMMANDS: usize = 100;

/// `GET /gateway`
pub(super) fn gateway(world: &mut World, _asked: &Asked) -> Answer {
    refused(world)?;
    ok(json!({"url": world.socket_base}))
}

/// `GET /gateway/bot`
pub(super) fn gateway_bot(world: &mut World, _asked: &Asked) -> Answer {
    refused(world)?;
    let begun = world.sessions.identified.len();
    ok(json!({
        "url": world.socket_base,
        "shards": world.settings.options.shards,
        "session_start_limit": {
            "total": SESSIONS_A_DAY,
            "remaining": SESSIONS_A_DAY.saturating_sub(begun),
            "reset_after": 86_400_000,
            "max_concurrency": 1,
        },
    }))
}

fn refused(world: &mut World) -> Result<(), Refusal> {
    if world.sessions.refuse_open > 0 {
        world.sessions.refuse_open -= 1;
        return Err(Refusal::new(500, 0, "500: Internal Server Error"));
    }
    Ok(())
}

/// `GET /applications/@me`
pub(super) fn me(world: &mut World, _asked: &Asked) -> Answer {
    ok(world.show_app())
}

/// Where the commands are: in a guild, or everywhere.
fn scope(world: &World, asked: &Asked) -> Result<Option<Id>, Refusal> {
    if asked.id(0, "application_id")? != world.app {
        return Err(Refusal::new(
            403,
            20012,
            "You are not authorized to perform this action on this application",
        ));
    }
    if asked.path.len() < 2 {
        return Ok(None);
    }
    let guild = asked.id(1, "guild_id")?;
    if world.guilds.contains_key(&guild) { Ok(Some(guild)) } else { Err(Refusal::no_access()) }
}

/// `GET /applications/{application}/commands`, and those of a guild
pub(super) fn commands(world: &mut World, asked: &Asked) -> Answer {
    let scope = scope(world, asked)?;
    ok(json!(world.commands.get(&scope).cloned().unwrap_or_default()))
}

/// `PUT /applications/{application}/commands`, and those of a guild: all of them at once
pub(super) fn put_commands(world: &mut World, asked: &Asked) -> Answer {
    let scope = scope(world, asked)?;
    let given = asked.json.as_array().cloned().unwrap_or_default();
    let mut faults = Faults::default();
    if given.len() > COMMANDS {
        return Err(Refusal::new(400, 30032, "Maximum number of application commands reached (100)"));
    }
    for (index, command) in given.iter().enumerate() {
        check(command, &index.to_string(), &mut faults);
    }
    faults.check()?;
    let before = world.commands.remove(&scope).unwrap_or_default();
    let mut kept = Vec::new();
    for command in given {
        let same = |known: &&Value| key(known) == key(&command);
        let id = before.iter().find(same).and_then(|known| known.get("id").cloned());
        let id = id.unwrap_or_else(|| json!(world.snowflakes.next().to_string()));
        let mut made = json!({
            "id": id,
            "application_id": world.app.to_string(),
            "version": world.snowflakes.next().to_string(),
            "default_member_permissions": null,
            "type": 1,
            "name": "",
            "name_localizations": null,
            "description": "",
            "description_localizations": null,
            "nsfw": false,
            "integration_types": [0],
            "contexts": null,
        });
        if let (Some(made), Value::Object(command)) = (made.as_object_mut(), command) {
            if let Some(guild) = scope {
                made.insert("guild_id".to_owned(), json!(guild.to_string()));
            }
            made.extend(command.into_iter().filter(|(name, _)| name != "id"));
        }
        kept.push(made);
    }
    world.commands.insert(scope, kept.clone());
    ok(json!(kept))
}

fn key(command: &Value) -> (Option<&str>, u64) {
    let kind = command.get("type").and_then(Value::as_u64).unwrap_or(1);
    (command.get("name").and_then(Value::as_str), kind)
}

fn check(command: &Value, at: &str, faults: &mut Faults) {
    let text = |name: &str| command.get(name).and_then(Value::as_str).unwrap_or_default();
    let kind = command.get("type").and_then(Value::as_u64).unwrap_or(1);
    let name = text("name");
    faults.length(&format!("{at}.name"), name, 1, 32);
    let fits = |c: char| c.is_alphanumeric() && !c.is_uppercase() || "-_'".contains(c);
    if kind == 1 && !name.chars().all(fits) {
        let words = "String value did not match validation regex.";
        faults.add(&format!("{at}.name"), "APPLICATION_COMMAND_INVALID_NAME", words);
    }
    if kind == 1 {
        faults.length(&format!("{at}.description"), text("description"), 1, 100);
    }
    let options = command.get("options").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if options.len() > 25 {
        faults.add(&format!("{at}.options"), "BASE_TYPE_MAX_LENGTH", "Must be 25 or fewer in length.");
    }
    let mut optional = false;
    for (index, option) in options.iter().enumerate() {
        let at = format!("{at}.options.{index}");
        let text = |name: &str| option.get(name).and_then(Value::as_str).unwrap_or_default();
        faults.length(&format!("{at}.name"), text("name"), 1, 32);
        faults.length(&format!("{at}.description"), text("description"), 1, 100);
        let required = option.get("required") == Some(&json!(true));
        if required && optional {
            let words = "Required options must be placed before non-required options";
            faults.add(&at, "APPLICATION_COMMAND_OPTIONS_REQUIRED_INVALID", words);
        }
        optional |= !required;
        let choices = option.get("choices").and_then(Value::as_array).map(Vec::len).unwrap_or_default();
        faults.count(&format!("{at}.choices"), choices, 0, 25);
    }
}
