//! Answers that appear as they grow: a message that is rewritten until the message that is sent takes its place, so what stays
//! is what the gateway's log holds.
//!
//! When and where a draft may be is kept before it is begun, so that after a crash the next message to that place clears
//! away what is left of it.

use channel::{Error, Timestamp};
use chat::{payload::text, random, text::digest};

use super::{Client, command_of, intake::a_little_before, is_ours};
use crate::{
    encode,
    place::{Spot, id_at},
};

impl Client {
    /// Shows an answer so far.
    pub(super) async fn write_draft(&self, spot: &Spot, words: &str) -> Result<(), Error> {
        if !self.config.settings.stream || words.trim().is_empty() {
            return Ok(());
        }
        let post = encode::draft(words);
        let draft = self.drafts.of(spot);
        let mut draft = draft.lock().await;
        if draft.closed {
            return Ok(());
        }
        // The place that Discord keeps for the answer to a command shows it, too; what is written there last counts.
        if let Some(id) = command_of(spot)
            && let Some(token) = self.promise(id).await?
        {
            return Ok(self.answer(&token, &post).await.map(drop)?);
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

    /// Takes away drafts that nothing took the place of.
    pub(super) async fn clear_left_over_drafts(&self) {
        for spot in self.drafts.left_over() {
            if let Some((channel, message)) = self.drafts.take(&spot).await
                && let Err(fault) = self.api.delete(&channel, &message).await
            {
                tracing::warn!(channel = %self.config.channel, error = %fault.error, "a draft was not taken away");
            }
        }
    }

    /// Clears away what a crash left of a draft at this place, once in the life of a process.
    pub(super) async fn sweep(&self, spot: &Spot) -> Result<(), Error> {
        if !self.config.settings.stream || self.drafts.is_swept(spot) {
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
        self.drafts.swept(spot.clone());
        Ok(())
    }
}

fn cursor(spot: &Spot) -> String {
    format!("draft/{}", spot.place())
}
