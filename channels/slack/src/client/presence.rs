//! Signs of life: a status while an agent works, reactions as a receipt, answers as they grow. Best effort throughout.

use std::{
    collections::{HashMap, VecDeque},
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use channel::{Error, ErrorKind, MessageRef, Place, Signal};
use futures_util::future::join_all;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::Client;
use crate::place::{Ref, Spot, Under};

/// In how many lines signs stand; those of one place in one.
const LANES: usize = 8;
/// The most that wait in one; the oldest are left out.
const WAITING_MAX: usize = 512;
/// People whose latest place is remembered.
const SPEAKERS_MAX: usize = 10_000;
/// How often left-over drafts are looked for.
const LOOK_EVERY: Duration = Duration::from_secs(3);

/// What is to be shown.
pub(crate) struct Presence {
    lanes: Vec<Lane>,
    /// Who spoke last at a place: a stream wants to know whom it is for.
    speakers: Mutex<HashMap<Place, String>>,
    /// Complaints that were made.
    told: Mutex<Vec<String>>,
}

#[derive(Default)]
struct Lane {
    waiting: Mutex<VecDeque<Sign>>,
    more: Notify,
}

struct Sign {
    spot: Spot,
    about: Option<Ref>,
    what: What,
}

enum What {
    Signal(Signal),
    /// The title of an assistant's thread.
    Title(String),
}

impl Default for Presence {
    fn default() -> Self {
        let lanes = std::iter::repeat_with(Lane::default).take(LANES).collect();
        Self { lanes, speakers: Mutex::default(), told: Mutex::default() }
    }
}

impl Presence {
    /// Takes a sign; never waits.
    pub(crate) fn show(&self, place: &Place, about: Option<&MessageRef>, signal: Signal) {
        if let Some(spot) = Spot::read(place) {
            self.push(Sign { spot, about: about.and_then(Ref::read), what: What::Signal(signal) });
        }
    }

    /// A conversation with the assistant began with these words.
    pub(super) fn title(&self, spot: Spot, words: &str) {
        self.push(Sign { spot, about: None, what: What::Title(crate::words::clip(words, 80)) });
    }

    fn push(&self, sign: Sign) {
        let mut hash = DefaultHasher::new();
        sign.spot.hash(&mut hash);
        let Some(lane) = self.lanes.get(usize::try_from(hash.finish() % LANES as u64).unwrap_or(0)) else {
            return;
        };
        let mut waiting = lock(&lane.waiting);
        // Of an answer that grows only the latest words count.
        let grows = |sign: &Sign| matches!(sign.what, What::Signal(Signal::Writing { .. }));
        if grows(&sign)
            && let Some(last) = waiting.iter_mut().rev().find(|other| other.spot == sign.spot)
            && grows(last)
        {
            *last = sign;
            return;
        }
        if waiting.len() >= WAITING_MAX {
            waiting.pop_front();
        }
        waiting.push_back(sign);
        drop(waiting);
        lane.more.notify_one();
    }

    /// Somebody spoke at a place.
    pub(super) fn spoke(&self, place: &Place, user: &str) {
        let mut speakers = lock(&self.speakers);
        if speakers.len() >= SPEAKERS_MAX {
            speakers.clear();
        }
        speakers.insert(place.clone(), user.to_owned());
    }

    pub(super) fn speaker(&self, place: &Place) -> Option<String> {
        lock(&self.speakers).get(place).cloned()
    }

    /// Whether a complaint is new.
    fn is_news(&self, complaint: &str) -> bool {
        let mut told = lock(&self.told);
        let news = !told.iter().any(|known| known == complaint) && told.len() < 100;
        if news {
            told.push(complaint.to_owned());
        }
        news
    }
}

/// Shows signs until the channel stops.
pub(super) async fn run(client: Arc<Client>, stop: CancellationToken) {
    let lanes = client.presence.lanes.iter().map(|lane| follow(&client, lane));
    let left_over = async {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            client.clear_left_over_drafts().await;
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        _ = join_all(lanes) => {}
        () = left_over => {}
    }
}

async fn follow(client: &Client, lane: &Lane) {
    loop {
        let next = lock(&lane.waiting).pop_front();
        let Some(sign) = next else {
            lane.more.notified().await;
            continue;
        };
        if let Err(error) = client.show(sign).await {
            let lasting = matches!(error.kind, ErrorKind::Misconfigured);
            if lasting && client.presence.is_news(&error.to_string()) {
                tracing::warn!(channel = %client.config.channel, %error, "a sign of life is not shown");
            } else {
                tracing::debug!(channel = %client.config.channel, %error, "a sign of life is not shown");
            }
        }
    }
}

impl Client {
    async fn show(&self, sign: Sign) -> Result<(), Error> {
        let Sign { spot, about, what } = sign;
        let reactions = &self.config.settings.reactions;
        match what {
            What::Title(words) => self.show_title(&spot, &words).await,
            What::Signal(Signal::Writing { text }) => self.write_draft(&spot, &text).await,
            What::Signal(Signal::Working) => {
                let status = self.show_status(&spot, "is working on it…").await;
                self.react(about.as_ref(), &reactions.working, true).await?;
                status
            }
            What::Signal(Signal::Waiting) => {
                self.drafts.work_ended(&spot.place());
                self.show_status(&spot, "").await
            }
            What::Signal(Signal::Done) => self.ended(&spot, about.as_ref(), &reactions.done).await,
            What::Signal(Signal::Failed) => self.ended(&spot, about.as_ref(), &reactions.failed).await,
        }
    }

    async fn ended(&self, spot: &Spot, about: Option<&Ref>, emoji: &str) -> Result<(), Error> {
        self.drafts.work_ended(&spot.place());
        let status = self.show_status(spot, "").await;
        self.react(about, &self.config.settings.reactions.working, false).await?;
        self.react(about, emoji, true).await?;
        status
    }

    async fn react(&self, about: Option<&Ref>, emoji: &str, on: bool) -> Result<(), Error> {
        let Some(message) = about.filter(|_| !emoji.is_empty()) else { return Ok(()) };
        let workspace = self.workspace(&message.team).await?;
        Ok(self.api.react(&workspace, message, emoji, on).await?)
    }

    /// Slack shows a status below a thread only.
    async fn show_status(&self, spot: &Spot, status: &str) -> Result<(), Error> {
        let Under::Thread(thread) = &spot.under else { return Ok(()) };
        let workspace = self.workspace(&spot.team).await?;
        let channel = self.conversation(&workspace, &spot.room).await?;
        Ok(self.api.set_status(&workspace, &channel, thread, status).await?)
    }

    async fn show_title(&self, spot: &Spot, words: &str) -> Result<(), Error> {
        let Under::Thread(thread) = &spot.under else { return Ok(()) };
        let workspace = self.workspace(&spot.team).await?;
        let channel = self.conversation(&workspace, &spot.room).await?;
        Ok(self.api.set_title(&workspace, &channel, thread, words).await?)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
