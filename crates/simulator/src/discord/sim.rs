//! The control's end in the simulator: `/sim/*`.

mod act;
mod faults;
mod look;
mod place;

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Shared, push, world::World};
use crate::shared::{
    ask::{Ask, Done, load},
    http::{self, Call, Reply},
};

/// Answers a request of the control.
pub(crate) async fn serve(operation: &str, call: &Call, shared: &Arc<Shared>) -> Reply {
    let ask = Ask::read(call);
    let done = match operation {
        "load" => load(&ask, |number| shared.with(|world| act::load_one(world, &ask, number))).await,
        "forged" => push::forged(&ask.0, shared).await,
        "challenge" => push::challenge(ask.text("url"), shared).await,
        "events" => events(&ask, shared).await,
        _ => shared.with(|world| run(world, operation, &ask)),
    };
    match done {
        Ok(body) => http::json(200, &body),
        Err(reason) => http::json(409, &json!({"error": reason})),
    }
}

fn run(world: &mut World, operation: &str, ask: &Ask) -> Done {
    let parts = [act::run, place::run, look::run, faults::run];
    let done = parts.iter().find_map(|part| part(world, operation, ask));
    done.unwrap_or_else(|| Err("there is no such operation".to_owned()))
}

/// Interactions go to an endpoint that proves itself, or over the gateway.
async fn events(ask: &Ask, shared: &Arc<Shared>) -> Done {
    let Some(url) = ask.text("url") else {
        shared.with(|world| world.settings.options.events = super::Events::Gateway);
        return Ok(json!({}));
    };
    let answer = push::challenge(Some(url), shared).await?;
    if answer.get("verified") != Some(&Value::Bool(true)) {
        return Err(format!("the specified interactions endpoint url could not be verified: {answer}"));
    }
    shared.with(|world| world.settings.options.events = super::Events::Http { url: url.to_owned() });
    Ok(answer)
}
