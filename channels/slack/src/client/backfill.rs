//! After an outage: what was said meanwhile, where the bot was spoken to before, is read again from Slack.
//!
//! It comes in by the same door under the same names, so what Slack brings as well is heard once.

use channel::{Error, Ingress, Place, Timestamp};
use chat::{Known, Seen, payload::text, settings::Backfill};

use super::{Client, intake::Intake};
use crate::place::{Ref, Room, Spot, Under};

/// How much further back than the latest message a place is read.
const OVERLAP_S: i64 = 60;
/// Pages of one place.
const PAGES_MAX: usize = 20;

/// A message was taken at a place. The thread of a command has its own name on Slack, which is not known here; its channel is.
pub(super) fn note(known: &Known, place: &Place, message: &Ref) {
    let Some(spot) = Spot::read(place) else { return };
    let seen = Seen { channel: message.channel.clone(), message: message.ts.clone() };
    if !matches!(spot.under, Under::Top) {
        known.note(Spot { under: Under::Top, ..spot.clone() }.place().as_str(), &seen);
    }
    if !matches!(spot.under, Under::Command(_)) {
        known.note(place.as_str(), &seen);
    }
}

/// Reads again what was said while nobody listened.
pub(super) async fn run(client: &Client, ingress: &Ingress, intake: &Intake) {
    let limits = &client.config.settings.backfill;
    let places = match intake.known.load(ingress, limits).await {
        Ok(places) => places,
        Err(error) => {
            tracing::warn!(channel = %client.config.channel, %error, "what was missed cannot be read again now");
            return;
        }
    };
    let read = |(place, seen): (String, Seen)| Some((Spot::read(&Place::new(place))?, seen));
    let places: Vec<(Spot, Seen)> = places.into_iter().filter_map(read).collect();
    let before = intake.known.counted();
    let (mut left, mut read, mut asked) = (limits.messages, 0, 0);
    for (spot, seen) in &places {
        if left == 0 || ingress.stop.is_cancelled() {
            break;
        }
        asked += 1;
        match place(client, intake, spot, seen, limits, left).await {
            Ok(count) => {
                read += count;
                left = left.saturating_sub(count);
            }
            Err(error) => {
                tracing::warn!(channel = %client.config.channel, place = %spot.place(), %error, "a place was not read again");
            }
        }
    }
    let new = intake.known.counted() - before;
    if asked > 0 {
        let skipped = places.len() - asked;
        tracing::info!(channel = %client.config.channel, places = asked, skipped, messages = read, new, "read again what was said meanwhile");
    }
}

/// Reads one place; how many messages that were.
async fn place(
    client: &Client,
    intake: &Intake,
    spot: &Spot,
    seen: &Seen,
    limits: &Backfill,
    max: usize,
) -> Result<usize, Error> {
    let workspace = client.workspace(&spot.team).await?;
    let thread = match &spot.under {
        Under::Thread(ts) => Some(ts.as_str()),
        Under::Top | Under::Command(_) => None,
    };
    let oldest = oldest(&seen.message, limits);
    let mut messages = Vec::new();
    let mut cursor = None;
    for _ in 0..PAGES_MAX {
        let page = client.api.messages(&workspace, &seen.channel, thread, &oldest, cursor.as_deref()).await?;
        messages.extend(page.0);
        cursor = page.1;
        if cursor.is_none() || messages.len() >= max {
            break;
        }
    }
    messages.sort_by_key(|message| text(message, &["ts"]).unwrap_or_default().to_owned());
    let kind = match &spot.room {
        Room::Person(_) => "im",
        Room::Channel(_) => "channel",
    };
    let mut told = Vec::new();
    for mut message in messages.into_iter().take(max) {
        if let Some(fields) = message.as_object_mut() {
            fields.insert("type".to_owned(), "message".into());
            fields.insert("channel".to_owned(), seen.channel.clone().into());
            fields.insert("channel_type".to_owned(), kind.into());
        }
        told.push(intake.read_again(&workspace, &message).await);
    }
    let count = told.len();
    for told in told {
        // What is not taken now is tried at the next outage; Slack's own retries are not affected.
        let _ = told.await;
    }
    Ok(count)
}

/// From when on a place is read again.
fn oldest(seen: &str, limits: &Backfill) -> String {
    let seconds =
        |ts: &str| ts.split_once('.').and_then(|(seconds, _)| seconds.parse::<i64>().ok()).unwrap_or(0);
    let back = i64::try_from(limits.back.0.as_secs()).unwrap_or(i64::MAX);
    let limit = Timestamp::now().as_second().saturating_sub(back);
    format!("{}.000000", (seconds(seen) - OVERLAP_S).max(limit).max(0))
}

#[cfg(test)]
mod tests {
    use channel::Span;

    use super::*;

    #[test]
    fn a_thread_is_known_with_its_channel() {
        let known = Known::default();
        let named = Ref { team: "T1".into(), channel: "C1".into(), ts: "1700000005.000000".into() };
        for place in ["T1/C1/1700000000.000100", "T1/C2/!k3f", "nowhere"] {
            note(&known, &Place::new(place), &named);
        }
        for (place, knows) in [
            ("T1/C1", true),
            ("T1/C1/1700000000.000100", true),
            ("T1/C2", true),
            ("T1/C2/!k3f", false),
            ("nowhere", false),
        ] {
            assert_eq!(known.knows(place), knows, "{place}");
        }
    }

    #[test]
    fn it_is_read_a_little_further_back_and_not_for_ever() {
        let now = Timestamp::now().as_second();
        let limits = Backfill { back: Span::seconds(3_600), places: 1, messages: 1 };
        assert_eq!(oldest(&format!("{}.000100", now - 100), &limits), format!("{}.000000", now - 160));
        let old = oldest("1.000000", &limits);
        assert!(old >= format!("{}.000000", now - 3_605), "{old}");
    }
}
