//! Signs of life: typing while an agent works, reactions as a receipt, answers as they grow. Best effort throughout.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use channel::{Addressed, Error, ErrorKind, MessageRef, Place, Signal};
use chat::Signs;
use tokio_util::sync::CancellationToken;

use super::Client;
use crate::place::{Ref, Spot, Under};

/// Discord shows that somebody types for ten seconds.
const TYPE_EVERY: Duration = Duration::from_secs(8);
/// Whoever works longer than this without a word does not type any more.
const TYPE_MAX: Duration = Duration::from_secs(600);
/// Places where it types at the same time.
const TYPING_MAX: usize = 1_000;
/// How often left-over drafts are looked for.
const LOOK_EVERY: Duration = Duration::from_secs(3);

/// What is to be shown.
#[derive(Default)]
pub(crate) struct Presence {
    signs: Signs<Spot, Sign>,
    /// Where it types, and since when.
    typing: Mutex<HashMap<Spot, Instant>>,
}

struct Sign {
    about: Option<Ref>,
    what: What,
}

enum What {
    Signal(Signal),
    /// The conversation's thread is to be opened.
    Thread,
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

    /// Somebody spoke at a place: a mention in a channel opens a thread at once, so that people go on there.
    pub(super) fn spoken_to(&self, spot: &Spot, addressed: Addressed) {
        if addressed == Addressed::Mention && matches!(spot, Spot::Channel { under: Under::Thread(_), .. }) {
            self.signs.push(spot.clone(), false, Sign { about: None, what: What::Thread });
        }
    }

    fn typing(&self) -> MutexGuard<'_, HashMap<Spot, Instant>> {
        self.typing.lock().unwrap_or_else(PoisonError::into_inner)
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
        () = keep_typing(&client) => {}
    }
}

async fn keep_typing(client: &Client) {
    loop {
        tokio::time::sleep(TYPE_EVERY).await;
        let typing: Vec<Spot> = {
            let mut typing = client.presence.typing();
            typing.retain(|_, since| since.elapsed() < TYPE_MAX);
            typing.keys().cloned().collect()
        };
        for spot in typing {
            let typed = async {
                let target = client.target(&spot).await?;
                client.api.typing(&target.channel).await.map_err(Error::from)
            };
            if let Err(error) = typed.await {
                tracing::debug!(channel = %client.config.channel, %error, "it does not show that it types");
            }
        }
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
        self.know_us().await?;
        let reactions = &self.config.settings.reactions;
        match what {
            What::Thread => self.target(&spot).await.map(drop),
            What::Signal(Signal::Writing { text }) => self.write_draft(&spot, &text).await,
            What::Signal(Signal::Working) => {
                let typed = self.begin_typing(&spot).await;
                self.react(about.as_ref(), &reactions.working, true).await?;
                typed
            }
            What::Signal(Signal::Waiting) => {
                self.rest(&spot);
                Ok(())
            }
            What::Signal(Signal::Done) => self.ended(&spot, about.as_ref(), &reactions.done).await,
            What::Signal(Signal::Failed) => self.ended(&spot, about.as_ref(), &reactions.failed).await,
        }
    }

    async fn begin_typing(&self, spot: &Spot) -> Result<(), Error> {
        {
            let mut typing = self.presence.typing();
            if typing.len() < TYPING_MAX {
                typing.insert(spot.clone(), Instant::now());
            }
        }
        let target = self.target(spot).await?;
        Ok(self.api.typing(&target.channel).await?)
    }

    fn rest(&self, spot: &Spot) {
        self.presence.typing().remove(spot);
        self.drafts.work_ended(spot);
    }

    async fn ended(&self, spot: &Spot, about: Option<&Ref>, emoji: &str) -> Result<(), Error> {
        self.rest(spot);
        self.react(about, &self.config.settings.reactions.working, false).await?;
        self.react(about, emoji, true).await
    }

    async fn react(&self, about: Option<&Ref>, emoji: &str, on: bool) -> Result<(), Error> {
        match about {
            Some(Ref::Message { channel, message }) if !emoji.is_empty() => {
                Ok(self.api.react(channel, message, emoji, on).await?)
            }
            Some(Ref::Message { .. } | Ref::Command(_)) | None => Ok(()),
        }
    }
}
