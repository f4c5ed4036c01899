//! Answers that appear as they grow: a message that is rewritten until the message that is sent takes its place, so what stays
//! is what the gateway's log holds.
//!
//! When and where a draft may be is kept before it is begun, so that after a crash the next message to that place clears
//! away what is left of it.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use channel::{Error, Timestamp};
use chat::{payload::text, random, text::digest};

use super::{Client, command_of, intake::a_little_before, is_ours};
use crate::{
    encode,
    place::{Spot, id_at},
};

/// A draft that no message took the place of so long after the work ended is taken away.
const LEFT_OVER: Duration = Duration::from_secs(6);
const PLACES_MAX: usize = 10_000;

/// The drafts that are shown.
#[derive(Default)]
pub(super) struct Drafts(Mutex<State>);

#[derive(Default)]
struct State {
    drafts: HashMap<Spot, Shared>,
    /// Places where what a crash left behind was looked for.
    swept: HashSet<Spot>,
}

struct Shared {
    draft: Arc<tokio::sync::Mutex<Draft>>,
    /// Work ended; when the draft is taken away.
    left_over: Option<Instant>,
}

#[derive(Default)]
struct Draft {
    /// The conversation and the message.
    shown: Option<(String, String)>,
    /// Its message is being sent.
    closed: bool,
}

impl Drafts {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn of(&self, spot: &Spot) -> Arc<tokio::sync::Mutex<Draft>> {
        let mut state = self.state();
        let fresh = || Shared { draft: Arc::default(), left_over: None };
        let shared = state.drafts.entry(spot.clone()).or_insert_with(fresh);
        shared.left_over = None;
        shared.draft.clone()
    }

    fn remove(&self, spot: &Spot) -> Option<Arc<tokio::sync::Mutex<Draft>>> {
        self.state().drafts.remove(spot).map(|shared| shared.draft)
    }

    /// Work ended at this place.
    pub(super) fn work_ended(&self, spot: &Spot) {
        if let Some(shared) = self.state().drafts.get_mut(spot) {
            shared.left_over = Some(Instant::now() + LEFT_OVER);
        }
    }

    fn left_over(&self) -> Vec<Spot> {
        let now = Instant::now();
        let state = self.state();
        let over =
            |(spot, shared): (&Spot, &Shared)| shared.left_over.filter(|at| *at <= now).map(|_| spot.clone());
        state.drafts.iter().filter_map(over).collect()
    }
}

impl Client {
    /// Shows an answer so far.
    pub(super) async fn write_draft(&self, spot: &Spot, words: &str) -> Result<(), Error> {
        if !self.config.settings.stream || words.trim().is_empty() {
            return Ok(());
        }
        let post = encode::draft(words);
        // The place that Discord keeps for the answer to a command shows it, too; what is written there last counts.
        if let Some(id) = command_of(spot)
            && let Some(token) = self.promise(id).await?
        {
            let application = self.state().us.application.clone();
            return Ok(self.api.answer(&application, &token, &post).await.map(drop)?);
        }
        let draft = self.drafts.of(spot);
        let mut draft = draft.lock().await;
        if draft.closed {
            return Ok(());
        }
        match &draft.shown {
            Some((channel, message)) => self.api.edit(channel, message, &post).await?,
            None => {
                let target = self.target(spot).await?;
                self.sweep(spot).await?;
                let since = id_at(a_little_before(Timestamp::now()));
                self.inbox()?.advance(&cursor(spot), &since).await?;
                let nonce = digest(&["draft", &random().to_string()]);
                let message = self.api.post(&target.channel, &post, &nonce, target.below.as_deref()).await?;
                draft.shown = Some((target.channel, message));
            }
        }
        Ok(())
    }

    /// Ends the draft of a place; the conversation and the message whose words are to be replaced by what is sent.
    pub(super) async fn take_draft(&self, spot: &Spot) -> Option<(String, String)> {
        let draft = self.drafts.remove(spot)?;
        let mut draft = draft.lock().await;
        draft.closed = true;
        draft.shown.take()
    }

    /// Takes away drafts that nothing took the place of.
    pub(super) async fn clear_left_over_drafts(&self) {
        for spot in self.drafts.left_over() {
            if let Some((channel, message)) = self.take_draft(&spot).await
                && let Err(fault) = self.api.delete(&channel, &message).await
            {
                tracing::warn!(channel = %self.config.channel, error = %fault.error, "a draft was not taken away");
            }
        }
    }

    /// Clears away what a crash left of a draft at this place, once in the life of a process.
    pub(super) async fn sweep(&self, spot: &Spot) -> Result<(), Error> {
        if !self.config.settings.stream || self.drafts.state().swept.contains(spot) {
            return Ok(());
        }
        let inbox = self.inbox()?;
        let since = inbox.cursor(&cursor(spot)).await?.unwrap_or_default();
        if !since.is_empty() {
            let target = self.target(spot).await?;
            let us = self.us();
            for message in self.api.messages(&target.channel, &since).await? {
                if is_ours(&message, &us)
                    && encode::is_draft(&message)
                    && let Some(id) = text(&message, &["id"])
                {
                    self.api.delete(&target.channel, id).await?;
                }
            }
            inbox.advance(&cursor(spot), "").await?;
        }
        let mut state = self.drafts.state();
        if state.swept.len() >= PLACES_MAX {
            state.swept.clear();
        }
        state.swept.insert(spot.clone());
        Ok(())
    }
}

fn cursor(spot: &Spot) -> String {
    format!("draft/{}", spot.place())
}
