//! The control's end in the simulator: `/sim/*`.

mod act;
mod faults;
mod look;

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Value, json};

use super::{Shared, args::Args, effect::Outcome, push, world::World};
use crate::shared::{
    ask::{Ask, Done, load},
    http::{self, Call, Reply},
};

/// Answers a request of the control.
pub(crate) async fn serve(operation: &str, call: &Call, shared: &Arc<Shared>) -> Reply {
    let args = Args::read(&call.query, &call.content_type, &call.body);
    let ask = Ask(args.all);
    let done = match operation {
        "command" => command(&ask, shared).await,
        "submit" => submit(&ask, shared).await,
        "load" => load(&ask, |number| shared.with(|world| act::load_one(world, &ask, number))).await,
        "forged" => push::forged(&ask.0, shared).await,
        "challenge" => push::challenge(shared).await,
        _ => shared.with(|world| run(world, operation, &ask)),
    };
    match done {
        Ok(body) => http::json(200, &body),
        Err(reason) => http::json(409, &json!({"error": reason})),
    }
}

fn run(world: &mut World, operation: &str, ask: &Ask) -> Done {
    if let Some(done) = act::run(world, operation, ask) {
        return done;
    }
    if let Some(done) = look::run(world, operation, ask) {
        return done;
    }
    faults::run(world, operation, ask).unwrap_or_else(|| Err("there is no such operation".to_owned()))
}

async fn command(ask: &Ask, shared: &Arc<Shared>) -> Done {
    let (waiting, hook) = shared.with(|world| {
        world.command(
            ask.need("user")?,
            ask.need("channel")?,
            ask.need("command")?,
            ask.text("text").unwrap_or_default(),
        )
    })?;
    Ok(match waiting.await {
        Ok(Outcome::Acked(Some(payload))) => {
            let payload = shared.with(|world| world.answer_command(&hook, payload));
            json!({"acked": true, "response": payload})
        }
        Ok(Outcome::Acked(None)) => json!({"acked": true, "response": null}),
        Ok(Outcome::TimedOut) | Err(_) => json!({"acked": false, "response": null}),
    })
}

async fn submit(ask: &Ask, shared: &Arc<Shared>) -> Done {
    let user = ask.need("user")?;
    let values: BTreeMap<String, String> = ask
        .value("values")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()))
        .collect();
    let waiting = match shared.with(|world| world.submit(user, &values))? {
        Ok(waiting) => waiting,
        Err(errors) => return Ok(json!({"outcome": "refused", "errors": errors})),
    };
    Ok(match waiting.await {
        Ok(Outcome::Acked(payload)) => shared.with(|world| world.answer_submit(user, payload)),
        Ok(Outcome::TimedOut) | Err(_) => json!({"outcome": "timeout", "errors": {}}),
    })
}
