//! The control's end in the simulator: `/sim/*`.

mod act;
mod faults;
mod look;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde_json::{Map, Value, json};

use super::{
    args::Args,
    effect::Outcome,
    http::{self, Call, Reply},
    people::Denied,
    push,
    shared::Shared,
    world::World,
};

/// The most messages of one load.
const LOAD: u64 = 100_000;

/// What was asked for, with its arguments.
struct Ask(Map<String, Value>);

type Done = Result<Value, Denied>;

impl Ask {
    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str)
    }

    fn need(&self, name: &str) -> Result<&str, Denied> {
        self.text(name).ok_or_else(|| format!("`{name}` is missing"))
    }

    fn number(&self, name: &str) -> Option<u64> {
        let value = self.0.get(name)?;
        value.as_u64().or_else(|| value.as_str()?.parse().ok())
    }

    fn flag(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|value| *value == true || value == "true")
    }

    fn value(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }
}

/// Answers a request of the control.
pub(crate) async fn serve(operation: &str, call: &Call, shared: &Arc<Shared>) -> Reply {
    let args = Args::read(&call.query, &call.content_type, &call.body);
    let ask = Ask(args.all);
    let done = match operation {
        "command" => command(&ask, shared).await,
        "submit" => submit(&ask, shared).await,
        "load" => load(&ask, shared).await,
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

/// Many messages: at once, or so many a second.
async fn load(ask: &Ask, shared: &Arc<Shared>) -> Done {
    let count = ask.number("count").unwrap_or(1).min(LOAD);
    let pause = ask
        .number("per_second")
        .filter(|rate| *rate > 0)
        .map(|rate| Duration::from_secs(1).div_f64(rate as f64));
    let mut said = Vec::new();
    for number in 0..count {
        said.push(shared.with(|world| act::load_one(world, ask, number))?);
        match pause {
            Some(pause) => tokio::time::sleep(pause).await,
            None => tokio::task::yield_now().await,
        }
    }
    Ok(json!(said))
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
