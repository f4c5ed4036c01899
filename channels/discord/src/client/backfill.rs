//! After an outage in which a session was lost: what was said meanwhile is read again from Discord. In conversations that are
//! known, and in those where a server says that something is new, so that a first mention is heard as well.
//!
//! It comes in by the same door under the same names, so what Discord brings as well is heard once.

use std::collections::BTreeMap;

use channel::{Error, Ingress, Timestamp};
use chat::payload::text;

use super::{
    Client,
    api::PAGE,
    intake::{Intake, a_little_before},
};
use crate::place::{id_at, time};

/// Pages of one conversation.
const PAGES_MAX: usize = 20;

/// Reads again what was said while nobody listened.
pub(super) async fn run(client: &Client, ingress: &Ingress, intake: &Intake) {
    let channel = &client.config.channel;
    let limits = &client.config.settings.backfill;
    let known = match intake.known.load(ingress, limits).await {
        Ok(known) => known,
        Err(error) => {
            tracing::warn!(%channel, %error, "what was missed cannot be read again now");
            return;
        }
    };
    // Where nobody ever listened nothing was missed.
    let listened = client.state().listened.and_then(|at| Timestamp::from_second(at).ok());
    let latest = known.first().map(|(_, seen)| time(&seen.message));
    let Some(since) = latest.max(listened) else { return };
    let limit = i64::try_from(limits.back.0.as_secs()).unwrap_or(i64::MAX);
    let limit = Timestamp::now().as_second().saturating_sub(limit).max(0);
    let limit = Timestamp::from_second(limit).unwrap_or(Timestamp::UNIX_EPOCH);
    let from = |at: Timestamp| id_at(a_little_before(at).max(limit));
    let mut places: BTreeMap<String, String> = BTreeMap::new();
    for (conversation, seen) in &known {
        places.insert(conversation.clone(), from(time(&seen.message)));
    }
    let since = from(since);
    for (conversation, _) in client.rooms.with_news(&since) {
        if places.len() < limits.places {
            places.entry(conversation).or_insert_with(|| since.clone());
        }
    }
    let before = intake.known.counted();
    let (mut left, mut read, mut asked) = (limits.messages, 0, 0);
    for (conversation, after) in &places {
        if left == 0 || ingress.stop.is_cancelled() {
            break;
        }
        asked += 1;
        match conversation_again(client, intake, conversation, after, left).await {
            Ok(count) => {
                read += count;
                left = left.saturating_sub(count);
            }
            Err(error) => {
                tracing::warn!(%channel, conversation, %error, "a conversation was not read again");
            }
        }
    }
    let new = intake.known.counted() - before;
    let skipped = places.len() - asked;
    tracing::info!(%channel, conversations = asked, skipped, messages = read, new, "read again what was said meanwhile");
}

/// Reads one conversation; how many messages that were.
async fn conversation_again(
    client: &Client,
    intake: &Intake,
    conversation: &str,
    after: &str,
    max: usize,
) -> Result<usize, Error> {
    let guild = client.rooms.of(conversation).map(|room| room.guild);
    let mut after = after.to_owned();
    let mut told = Vec::new();
    for _ in 0..PAGES_MAX {
        let page = client.api.messages(conversation, &after).await?;
        let full = page.len() >= PAGE;
        if let Some(last) = page.last().and_then(|message| text(message, &["id"])) {
            last.clone_into(&mut after);
        }
        for mut message in page {
            if told.len() >= max {
                break;
            }
            if let (Some(fields), Some(guild)) = (message.as_object_mut(), &guild) {
                fields.insert("guild_id".to_owned(), guild.clone().into());
            }
            told.push(intake.read_again(message).await);
        }
        if !full || told.len() >= max {
            break;
        }
    }
    let count = told.len();
    for told in told {
        // What is not taken now is tried at the next outage.
        let _ = told.await;
    }
    Ok(count)
}
