//! `apps.*`

use serde_json::json;

use super::{Answer, Args, Caller, Refusal, World};
use crate::slack::world::APP;

/// `apps.connections.open`
pub(super) fn connections_open(world: &mut World, _: &Caller, _: &Args) -> Answer {
    if world.sockets.refuse_open > 0 {
        world.sockets.refuse_open -= 1;
        return Err(Refusal::new("internal_error"));
    }
    let ticket = world.sockets.ticket();
    Ok(json!({"url": format!("{}/link/?ticket={ticket}&app_id={APP}", world.socket_base)}))
}
