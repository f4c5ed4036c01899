//! After an outage: what was said meanwhile, where the bot was spoken to before, is read again from Slack.
//!
//! It comes in by the same door under the same names, so what Slack brings as well is heard once.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use channel::{Error, Ingress, Place, Timestamp};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::{Client, intake::Intake};
use crate::{
    config::Backfill,
    payload::text,
    place::{Ref, Room, Spot, Under, is_ts},
};

/// The name of the cursor under which the places are kept.
const CURSOR: &str = "places";
/// How often they are kept. A crash in between is made good by reading a little further back.
const SAVE_EVERY: Duration = Duration::from_secs(2);
const OVERLAP_S: i64 = 60;
/// Pages of one place.
const PAGES_MAX: usize = 20;

/// Where the bot was spoken to, and until when everything was heard there.
#[derive(Debug, Default)]
pub(super) struct Known {
    places: Mutex<BTreeMap<String, Seen>>,
    changed: AtomicBool,
    counted: AtomicUsize,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Seen {
    /// The conversation's id.
    channel: String,
    /// The latest message that was taken.
    ts: String,
}

impl Known {
    /// A message was taken at a place.
    pub(super) fn note(&self, place: &Place, message: &Ref) {
        let Some(spot) = Spot::read(place) else { return };
        // The thread of a command has its own name on Slack, which is not known here; its channel is.
        let places = match spot.under {
            Under::Top => vec![spot],
            Under::Thread(_) | Under::Command(_) => vec![Spot { under: Under::Top, ..spot.clone() }, spot],
        };
        let mut known = self.places();
        for spot in places.into_iter().filter(|spot| !matches!(spot.under, Under::Command(_))) {
            let seen = Seen { channel: message.channel.clone(), ts: message.ts.clone() };
            let entry = known.entry(spot.place().as_str().to_owned()).or_insert_with(|| seen.clone());
            if later(&seen.ts, &entry.ts) {
                *entry = seen;
            }
        }
        self.changed.store(true, Ordering::Release);
    }

    /// Whether something was taken at a place before.
    pub(super) fn knows(&self, place: &Place) -> bool {
        self.places().contains_key(place.as_str())
    }

    /// Something was new that had to be read again.
    pub(super) fn count(&self) {
        self.counted.fetch_add(1, Ordering::Relaxed);
    }

    /// Keeps the places in the store, now and then.
    pub(super) async fn keep_saving(&self, ingress: &Ingress, stop: &CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(SAVE_EVERY) => {}
            }
            self.save(ingress).await;
        }
        // What the last moments brought, if the store is quick.
        let _ = tokio::time::timeout(Duration::from_millis(500), self.save(ingress)).await;
    }

    async fn save(&self, ingress: &Ingress) {
        if !self.changed.swap(false, Ordering::AcqRel) {
            return;
        }
        let written = serde_json::to_string(&*self.places()).unwrap_or_default();
        if ingress.inbox.advance(CURSOR, &written).await.is_err() {
            self.changed.store(true, Ordering::Release);
        }
    }

    /// Reads the places that were kept, and forgets the oldest beyond the limit.
    async fn load(&self, ingress: &Ingress, limits: &Backfill) -> Result<Vec<(Spot, Seen)>, Error> {
        let kept = ingress.inbox.cursor(CURSOR).await?.unwrap_or_default();
        let kept: BTreeMap<String, Seen> = serde_json::from_str(&kept).unwrap_or_default();
        let mut known = self.places();
        for (place, seen) in kept {
            let entry = known.entry(place).or_insert_with(|| seen.clone());
            if later(&seen.ts, &entry.ts) {
                *entry = seen;
            }
        }
        let mut all: Vec<(String, Seen)> =
            known.iter().map(|(place, seen)| (place.clone(), seen.clone())).collect();
        all.sort_by(|(_, a), (_, b)| a.ts.len().cmp(&b.ts.len()).then(a.ts.cmp(&b.ts)).reverse());
        for (place, _) in all.iter().skip(limits.places) {
            known.remove(place);
        }
        all.truncate(limits.places);
        let read = |(place, seen): (String, Seen)| Some((Spot::read(&Place::new(place))?, seen));
        Ok(all.into_iter().filter_map(read).collect())
    }

    fn places(&self) -> MutexGuard<'_, BTreeMap<String, Seen>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
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
    let before = intake.known.counted.load(Ordering::Relaxed);
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
    let new = intake.known.counted.load(Ordering::Relaxed) - before;
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
    let oldest = oldest(&seen.ts, limits);
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

/// Whether a message is later than another.
fn later(a: &str, b: &str) -> bool {
    let value = |ts: &str| -> (usize, String) { (ts.find('.').unwrap_or(0), ts.to_owned()) };
    is_ts(a) && value(a) > value(b)
}

#[cfg(test)]
mod tests {
    use channel::Span;

    use super::*;

    fn named(ts: &str) -> Ref {
        Ref { team: "T1".into(), channel: "C1".into(), ts: ts.into() }
    }

    #[test]
    fn a_thread_is_known_with_its_channel_and_the_latest_message_counts() {
        let known = Known::default();
        known.note(&Place::new("T1/C1/1700000000.000100"), &named("1700000005.000000"));
        known.note(&Place::new("T1/C1/1700000000.000100"), &named("1700000003.000000"));
        known.note(&Place::new("T1/C1/!k3f"), &named("1700000006.000000"));
        known.note(&Place::new("nowhere"), &named("1700000009.000000"));
        let places: Vec<(String, String)> =
            known.places().iter().map(|(place, seen)| (place.clone(), seen.ts.clone())).collect();
        assert_eq!(
            places,
            [
                ("T1/C1".to_owned(), "1700000006.000000".to_owned()),
                ("T1/C1/1700000000.000100".to_owned(), "1700000005.000000".to_owned()),
            ]
        );
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
