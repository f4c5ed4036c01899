//! Answers that appear as they grow.
//!
//! A draft is shown by Slack's own streaming where that is available, else by a message that is rewritten. The message that
//! is sent in the end takes the draft's place, so what stays is what the gateway's log holds.
//!
//! A draft carries no mark of a delivery. When and where one may be is kept before it is begun, so that after a crash the
//! next message to that place clears away what is left of it.

use channel::{Error, Place, Timestamp};
use chat::payload::{list, text};
use serde_json::Value;

use super::{Client, api::Workspace};
use crate::{
    encode::{self, MARKED, Post},
    place::{Ref, Room, Spot, Under},
    rich,
};

/// The mark of a draft that is a message; no delivery has such a key.
const DRAFT: &str = "draft#0";
/// The longest text of one call: <https://docs.slack.dev/reference/methods/chat.appendStream>.
const STREAM_CHARS_MAX: usize = 12_000;

/// What is shown of a draft.
pub(super) struct Shown {
    message: Ref,
    /// What stands there, as it was sent; none for a message that is rewritten.
    streamed: Option<String>,
}

impl Client {
    /// Shows an answer so far.
    pub(super) async fn write_draft(&self, spot: &Spot, text: &str) -> Result<(), Error> {
        if !self.config.settings.stream || text.trim().is_empty() {
            return Ok(());
        }
        let place = spot.place();
        let workspace = self.workspace(&spot.team).await?;
        let draft = self.drafts.of(&place);
        let mut draft = draft.lock().await;
        if draft.closed {
            return Ok(());
        }
        match &mut draft.shown {
            None => {
                let Some(channel) = self.where_to_draft(&workspace, spot).await? else { return Ok(()) };
                self.sweep(&workspace, spot).await?;
                let since = format!("{}.000000", Timestamp::now().as_second().saturating_sub(5));
                self.inbox()?.advance(&cursor(&place), &since).await?;
                draft.shown = Some(self.begin_draft(&workspace, spot, &channel, text).await?);
            }
            Some(Shown { message, streamed: Some(sent) }) => {
                let whole = encode::draft(text);
                // What was sent stays: where the words went another way, the message that is sent puts them right.
                if let Some(more) = whole.strip_prefix(sent.as_str()).filter(|more| !more.is_empty()) {
                    let more = clip(more);
                    self.api.append_stream(&workspace, message, more).await?;
                    sent.push_str(more);
                }
            }
            Some(Shown { message, streamed: None }) => {
                self.api.update(&workspace, message, &so_far(text), DRAFT).await?;
            }
        }
        Ok(())
    }

    /// A command's conversation has no thread before its first message.
    async fn where_to_draft(&self, workspace: &Workspace, spot: &Spot) -> Result<Option<String>, Error> {
        match spot.under {
            Under::Command(_) => Ok(None),
            Under::Top | Under::Thread(_) => self.conversation(workspace, &spot.room).await.map(Some),
        }
    }

    async fn begin_draft(
        &self,
        workspace: &Workspace,
        spot: &Spot,
        channel: &str,
        text: &str,
    ) -> Result<Shown, Error> {
        let thread = match &spot.under {
            Under::Thread(ts) => Some(ts.as_str()),
            Under::Top | Under::Command(_) => None,
        };
        let reader = match &spot.room {
            Room::Person(user) => Some(user.clone()),
            Room::Channel(_) => self.presence.speaker(&spot.place()),
        };
        let streams = !self.state().plain.contains(&workspace.team);
        if let (Some(thread), Some(reader), true) = (thread, reader, streams) {
            let whole = encode::draft(text);
            let sent = clip(&whole).to_owned();
            match self.api.start_stream(workspace, (channel, thread), &reader, &sent).await {
                Ok(message) => return Ok(Shown { message, streamed: Some(sent) }),
                Err(fault) if fault.code.is_some() && !fault.is(&["ratelimited"]) => {
                    tracing::info!(channel = %self.config.channel, team = %workspace.team, error = %fault.error,
                        "this workspace does not stream; answers are rewritten as they grow");
                    self.state().plain.insert(workspace.team.clone());
                }
                Err(fault) => return Err(fault.error),
            }
        }
        let message = self.api.post_message(workspace, channel, thread, &so_far(text), DRAFT).await?;
        Ok(Shown { message, streamed: None })
    }

    /// Ends the draft of a place; the message whose content is to be replaced by what is sent.
    pub(super) async fn take_draft(&self, workspace: &Workspace, place: &Place) -> Option<Ref> {
        let shown = self.drafts.take(place).await?;
        if shown.streamed.is_some()
            && let Err(fault) = self.api.stop_stream(workspace, &shown.message).await
        {
            tracing::debug!(channel = %self.config.channel, error = %fault.error, "a stream was not stopped");
        }
        Some(shown.message)
    }

    /// Takes away drafts that nothing took the place of.
    pub(super) async fn clear_left_over_drafts(&self) {
        for place in self.drafts.left_over() {
            let Some(spot) = Spot::read(&place) else { continue };
            let Ok(workspace) = self.workspace(&spot.team).await else { continue };
            if let Some(message) = self.take_draft(&workspace, &place).await
                && let Err(fault) = self.api.delete(&workspace, &message).await
            {
                tracing::warn!(channel = %self.config.channel, error = %fault.error, "a draft was not taken away");
            }
        }
    }

    /// Clears away what a crash left of a draft at this place, once in the life of a process.
    pub(super) async fn sweep(&self, workspace: &Workspace, spot: &Spot) -> Result<(), Error> {
        let place = spot.place();
        if !self.config.settings.stream || self.drafts.is_swept(&place) {
            return Ok(());
        }
        let inbox = self.inbox()?;
        let since = inbox.cursor(&cursor(&place)).await?.unwrap_or_default();
        if !since.is_empty() {
            let channel = self.conversation(workspace, &spot.room).await?;
            let thread = match &spot.under {
                Under::Thread(ts) => Some(ts.as_str()),
                Under::Top | Under::Command(_) => None,
            };
            let (messages, _) = self.api.messages(workspace, &channel, thread, &since, None).await?;
            for message in messages.iter().filter(|message| is_draft(workspace, message)) {
                let Some(ts) = text(message, &["ts"]) else { continue };
                let named = Ref { team: spot.team.clone(), channel: channel.clone(), ts: ts.to_owned() };
                // One that Slack still takes for growing must be ended before it can go.
                let _ = self.api.stop_stream(workspace, &named).await;
                self.api.delete(workspace, &named).await?;
            }
            inbox.advance(&cursor(&place), "").await?;
        }
        self.drafts.swept(place);
        Ok(())
    }
}

fn cursor(place: &Place) -> String {
    format!("draft/{place}")
}

/// The mark of a message, wherever it stands.
pub(super) fn mark_of(message: &Value) -> Option<&str> {
    let metadata = text(message, &["metadata", "event_type"]) == Some(MARKED);
    let marked = || text(message, &["metadata", "event_payload", "mark"]);
    metadata.then(marked).flatten().or_else(|| {
        list(message, &["blocks"])
            .iter()
            .find_map(|block| text(block, &["block_id"]).filter(|id| id.contains('#')))
    })
}

/// Whether a message is what is left of a draft: ours, and sent by no delivery.
fn is_draft(workspace: &Workspace, message: &Value) -> bool {
    let ours = text(message, &["bot_id"]) == Some(workspace.us.bot.as_str())
        || text(message, &["user"]) == Some(workspace.us.user.as_str());
    ours && mark_of(message).is_none_or(|mark| mark == DRAFT)
}

/// An answer so far, as a message.
fn so_far(text: &str) -> Post {
    let messages = rich::messages(text);
    let pieces = messages.first().map(Vec::as_slice).unwrap_or_default();
    let mut blocks = rich::blocks(pieces);
    blocks.push(encode::note_block("…"));
    Post { blocks, text: encode::fallback(&chat::rich::words(pieces)) }
}

fn clip(text: &str) -> &str {
    let end = text.char_indices().nth(STREAM_CHARS_MAX).map_or(text.len(), |(end, _)| end);
    text.get(..end).unwrap_or(text)
}
