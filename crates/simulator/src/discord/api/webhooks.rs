//! Further answers to an interaction, under its token.

use super::{Answer, Asked, NOTHING, Refusal, World, ok};
use crate::discord::{
    content::Content,
    ids::Id,
    interaction::Interaction,
    message::{EPHEMERAL, LOADING, REPLY},
    people::reference,
};

/// The interaction whose token this is.
fn found(world: &World, asked: &Asked) -> Result<Interaction, Refusal> {
    let token = asked.path.get(1).map(String::as_str).unwrap_or_default();
    let unknown = || Refusal::new(404, 10015, "Unknown Webhook");
    if asked.id(0, "webhook_id")? != world.app {
        return Err(unknown());
    }
    let mut all = world.interactions.values();
    let found = all.find(|found| found.token == token && !token.is_empty());
    let found = found.ok_or_else(|| Refusal::new(401, 50027, "Invalid Webhook Token"))?;
    if !world.token_lives(found) {
        return Err(Refusal::new(401, 50027, "Invalid Webhook Token"));
    }
    // Before the first answer there is nothing that could be added to.
    if found.answered.is_none() { Err(unknown()) } else { Ok(found.clone()) }
}

/// The message that is meant: one of this interaction.
fn message(world: &World, asked: &Asked, found: &Interaction) -> Result<Id, Refusal> {
    let id = match asked.path.get(2).map(String::as_str) {
        Some("@original") => found.response.ok_or_else(Refusal::unknown_message)?,
        Some(_) | None => asked.id(2, "message_id")?,
    };
    let kept = world.channels.get(&found.channel).and_then(|channel| channel.messages.get(&id));
    let own = |message: &&crate::discord::message::Message| {
        let about = message.interaction.as_ref().and_then(|it| it.get("id")?.as_str());
        !message.deleted && (about == Some(found.id.to_string().as_str()) || found.response == Some(id))
    };
    kept.filter(own).map(|message| message.id).ok_or_else(Refusal::unknown_message)
}

/// `POST /webhooks/{application}/{token}`
pub(super) fn create(world: &mut World, asked: &Asked) -> Answer {
    let found = found(world, asked)?;
    let original = found.response.and_then(|id| world.channels.get(&found.channel)?.messages.get(&id));
    // The first thing said after "thinking" takes its place.
    if let Some(waiting) =
        original.filter(|message| message.flags & LOADING != 0 && !message.deleted).map(|message| message.id)
    {
        return ok(world.change(found.channel, waiting, &asked.body, &asked.files, true)?);
    }
    let guild = world.channels.get(&found.channel).and_then(|channel| channel.guild);
    let content = Content::read(world, &asked.body, &asked.files, 0)?;
    content.need()?;
    let flags = content.flags.unwrap_or_default() & EPHEMERAL;
    let allowed = content.allowed.clone();
    let mut message = world.answer_to(&found, flags);
    if let Some(response) = found.response.filter(|response| Some(*response) != found.source) {
        message.kind = REPLY;
        message.reference = Some(reference(guild, found.channel, response));
    }
    content.write(&mut message, true);
    world.mention_and_ring(&mut message, &allowed);
    let id = world.put(message);
    let kept = world.channels.get(&found.channel).and_then(|channel| channel.messages.get(&id));
    ok(kept.map(|kept| world.show(kept)).unwrap_or_default())
}

/// `GET /webhooks/{application}/{token}/messages/{message}`
pub(super) fn get(world: &mut World, asked: &Asked) -> Answer {
    let found = found(world, asked)?;
    let id = message(world, asked, &found)?;
    let kept = world.channels.get(&found.channel).and_then(|channel| channel.messages.get(&id));
    ok(kept.map(|kept| world.show(kept)).unwrap_or_default())
}

/// `PATCH /webhooks/{application}/{token}/messages/{message}`
pub(super) fn edit(world: &mut World, asked: &Asked) -> Answer {
    let found = found(world, asked)?;
    let id = message(world, asked, &found)?;
    ok(world.change(found.channel, id, &asked.body, &asked.files, true)?)
}

/// `DELETE /webhooks/{application}/{token}/messages/{message}`
pub(super) fn delete(world: &mut World, asked: &Asked) -> Answer {
    let found = found(world, asked)?;
    let id = message(world, asked, &found)?;
    world.remove(found.channel, id);
    Ok(NOTHING)
}
