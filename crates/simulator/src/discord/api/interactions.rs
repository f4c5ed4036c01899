//! The first answer to an interaction.

use super::{Answer, Asked, NOTHING, Refusal, World};

/// `POST /interactions/{interaction}/{token}/callback`
pub(super) fn callback(world: &mut World, asked: &Asked) -> Answer {
    let id = asked.id(0, "interaction_id")?;
    let token = asked.path.get(1).cloned().unwrap_or_default();
    let alive = world.interactions.get(&id).filter(|found| found.token == token);
    if alive.is_some_and(|found| !world.token_lives(found)) {
        return Err(Refusal::new(404, 10062, "Unknown interaction"));
    }
    let told = world.callback(id, &token, &asked.body, &asked.files)?;
    let wanted = asked.query.get("with_response").is_some_and(|value| value == "true" || value == "1");
    Ok(if wanted { (200, Some(told)) } else { NOTHING })
}
