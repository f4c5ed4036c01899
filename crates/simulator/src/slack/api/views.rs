//! `views.*`

use serde_json::{Map, Value, json};

use super::{Answer, Args, Caller, Refusal, World};
use crate::slack::modal::{DEEPEST, View, check_view};

/// `views.open`
pub(super) fn open(world: &mut World, caller: &Caller, args: &Args) -> Answer {
    let given = given(args)?;
    let trigger = args.need("trigger_id")?;
    let user = world.use_trigger(&trigger, &caller.team).map_err(Refusal::new)?;
    let view = View::new(&caller.team, &caller.bot, None, given);
    let shown = view.show(json!({}));
    world.views.insert(user, vec![view]);
    Ok(json!({"view": shown}))
}

/// `views.push`
pub(super) fn push(world: &mut World, caller: &Caller, args: &Args) -> Answer {
    let given = given(args)?;
    let trigger = args.need("trigger_id")?;
    let user = world.use_trigger(&trigger, &caller.team).map_err(Refusal::new)?;
    let views = world.views.entry(user).or_default();
    if views.len() >= DEEPEST {
        return Err(Refusal::new("push_limit_reached"));
    }
    let view = View::new(&caller.team, &caller.bot, views.last(), given);
    let shown = view.show(json!({}));
    views.push(view);
    Ok(json!({"view": shown}))
}

/// `views.update`
pub(super) fn update(world: &mut World, _: &Caller, args: &Args) -> Answer {
    let given = given(args)?;
    let id = args.text("view_id");
    let external = args.text("external_id");
    if id.is_none() && external.is_none() {
        return Err(Refusal::missing("view_id"));
    }
    let found = world.find_view(|view| {
        id.as_ref().is_some_and(|id| view.id == *id)
            || external
                .as_ref()
                .is_some_and(|id| view.field("external_id").is_some_and(|known| known == id.as_str()))
    });
    let (_, view) = found.ok_or_else(|| Refusal::new("not_found"))?;
    if args.text("hash").is_some_and(|hash| hash != view.hash) {
        return Err(Refusal::new("hash_conflict"));
    }
    view.replace(given);
    Ok(json!({"view": view.show(json!({}))}))
}

fn given(args: &Args) -> Result<Map<String, Value>, Refusal> {
    let view = args.json("view").map_err(|()| Refusal::new("invalid_arguments"))?;
    let view = view.ok_or_else(|| Refusal::missing("view"))?;
    check_view(&view).map_err(|faults| Refusal::with_messages("invalid_arguments", &faults))
}
