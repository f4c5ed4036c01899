//! Signs of life: a status while an agent works, reactions as a receipt, answers as they grow. Best effort throughout.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use channel::{Error, ErrorKind, MessageRef, Place, Signal};
use chat::{Signs, text::clip};
use tokio_util::sync::CancellationToken;

use super::Client;
use crate::place::{Ref, Spot, Under};

/// People whose latest place is remembered.
const SPEAKERS_MAX: usize = 10_000;
/// How often left-over drafts are looked for.
const LOOK_EVERY: Duration = Duration::from_secs(3);

/// What is to be shown.
#[derive(Default)]
pub(crate) struct Presence {
    signs: Signs<Spot, Sign>,
    /// Who spoke last at a place: a stream wants to know whom it is for.
    speakers: Mutex<HashMap<Place, String>>,
}

struct Sign {
    about: Option<Ref>,
    what: What,
}

enum What {
    Signal(Signal),
    /// The title of an assistant's thread.
    Title(String),
}

impl Presence {
    /// Takes a sign; never waits.
    pub(crate) fn show(&self, place: &Place, about: Option<&MessageRef>, signal: Signal) {
        if let Some(spot) = Spot::read(place) {
            let grows = matches!(signal, Signal::Writing { .. });
            let about = about.and_then(Ref::read);
            self.signs.push(spot, grows, Sign { about, what: What::Signal(signal) });
        }
    }

    /// A conversation with the assistant began with these words.
    pub(super) fn title(&self, spot: Spot, words: &str) {
        self.signs.push(spot, false, Sign { about: None, what: What::Title(clip(words, 80)) });
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
}

/// Shows signs until the channel stops.
pub(super) async fn run(client: Arc<Client>, stop: CancellationToken) {
    let signs = client.presence.signs.follow(|spot, sign| show(&client, spot, sign));
    let left_over = async {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            client.clear_left_over_drafts().await;
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = signs => {}
        () = left_over => {}
    }
}

async fn show(client: &Client, spot: Spot, sign: Sign) {
    if let Err(error) = client.show(spot, sign).await {
        let lasting = matches!(error.kind, ErrorKind::Misconfigured);
        if lasting && client.presence.signs.is_news(&error.to_string()) {
            tracing::warn!(channel = %client.config.channel, %error, "a sign of life is not shown");
        } else {
            tracing::debug!(channel = %client.config.channel, %error, "a sign of life is not shown");
        }
    }
}

impl Client {
    async fn show(&self, spot: Spot, sign: Sign) -> Result<(), Error> {
        let Sign { about, what } = sign;
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
