//! `api.test`, `auth.test`, `bots.info`, `team.info`

use serde_json::{Map, Value, json};

use super::{Answer, Args, Caller, Refusal, World};

/// `api.test`
pub(super) fn api_test(_: &mut World, _: &Caller, args: &Args) -> Answer {
    if let Some(error) = args.text("error") {
        let mut refusal = Refusal::new(&error);
        refusal.more.insert("args".to_owned(), args.show());
        return Err(refusal);
    }
    Ok(json!({"args": args.show()}))
}

/// `auth.test`
pub(super) fn auth_test(world: &mut World, caller: &Caller, _: &Args) -> Answer {
    let team = world.team(&caller.team).ok_or_else(|| Refusal::new("invalid_auth"))?;
    let user = world.users.get(&caller.bot_user).map(|user| user.name.clone());
    let mut body = Map::new();
    body.insert("url".to_owned(), json!(format!("https://{}.slack.com/", team.domain)));
    body.insert("team".to_owned(), json!(team.name));
    body.insert("user".to_owned(), json!(user));
    body.insert("team_id".to_owned(), json!(team.id));
    body.insert("user_id".to_owned(), json!(caller.bot_user));
    body.insert("bot_id".to_owned(), json!(caller.bot));
    if let Some(enterprise) = &team.enterprise {
        body.insert("enterprise_id".to_owned(), json!(enterprise));
    }
    body.insert("is_enterprise_install".to_owned(), json!(false));
    Ok(Value::Object(body))
}

/// `bots.info`
pub(super) fn bots_info(world: &mut World, caller: &Caller, args: &Args) -> Answer {
    let bot = args.text("bot").unwrap_or_else(|| caller.bot.clone());
    if !world.users.values().any(|user| user.bot.as_ref() == Some(&bot)) {
        return Err(Refusal::new("bot_not_found"));
    }
    Ok(json!({"bot": world.bot_profile(&bot)}))
}

/// `team.info`
pub(super) fn team_info(world: &mut World, caller: &Caller, args: &Args) -> Answer {
    world.check_scopes(&["team:read"], false)?;
    let id = args.text("team").unwrap_or_else(|| caller.team.clone());
    let team = world.team(&id).ok_or_else(|| Refusal::new("team_not_found"))?;
    Ok(json!({"team": {
        "id": team.id,
        "name": team.name,
        "domain": team.domain,
        "email_domain": "",
        "icon": {"image_default": true},
        "enterprise_id": team.enterprise,
    }}))
}
