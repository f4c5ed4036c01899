//! Where a conversation goes on: in a thread, which is opened when it is needed, or in replies where none can be.

use channel::{Error, ErrorKind, Said};
use chat::text::clip;
use serde_json::json;

use super::{Client, cursor_of_command};
use crate::place::{Spot, Under};

/// Discord's codes for "this message has a thread already", and for what cannot have one, or not here, or no more of them.
const HAS_ONE: u64 = 160_004;
const UNKNOWN_CHANNEL: u64 = 10_003;
const UNKNOWN_MESSAGE: u64 = 10_008;
const NO_ACCESS: u64 = 50_001;
const NO_PERMISSION: u64 = 50_013;
const NOT_HERE: u64 = 50_024;
const TOO_MANY: u64 = 160_006;
const TOO_MANY_NEWS: u64 = 160_007;
/// The longest name of a thread.
const NAME_CHARS_MAX: usize = 100;

/// Where messages go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) channel: String,
    /// Without a thread, the message that the conversation is below.
    pub(super) below: Option<String>,
}

impl Client {
    /// Where the messages of a place go; a command whose first answer was not sent has its channel only.
    pub(super) async fn target(&self, spot: &Spot) -> Result<Target, Error> {
        let whole = |channel: &str| Target { channel: channel.to_owned(), below: None };
        match spot {
            Spot::Person(user) => Ok(whole(&self.direct(user).await?)),
            Spot::Channel { channel, under: Under::Top, .. } => Ok(whole(channel)),
            Spot::Channel { channel, under: Under::Thread(thread), .. } => {
                self.thread(spot, channel, thread).await
            }
            Spot::Channel { channel, under: Under::Command(id), .. } => {
                let first = self.inbox()?.cursor(&cursor_of_command(id)).await?;
                match first.filter(|first| !first.is_empty()) {
                    Some(first) => self.thread(spot, channel, &first).await,
                    None => Ok(whole(channel)),
                }
            }
        }
    }

    /// The thread of a message, opened if need be; or the message itself, where it can have none.
    async fn thread(&self, spot: &Spot, channel: &str, message: &str) -> Result<Target, Error> {
        let thread = Target { channel: message.to_owned(), below: None };
        let replies = Target { channel: channel.to_owned(), below: Some(message.to_owned()) };
        if self.rooms.of(message).is_some() {
            return Ok(thread);
        }
        if !self.config.settings.threads || self.state().flat.contains(message) {
            return Ok(replies);
        }
        let opened = self.api.open_thread(channel, message, &self.name_of(spot).await?).await;
        let guild = match spot {
            Spot::Channel { guild, .. } => Some(guild.as_str()),
            Spot::Person(_) => None,
        };
        let note = || self.rooms.note(&json!({ "id": message, "type": 11, "parent_id": channel }), guild);
        match opened {
            Ok(()) => note(),
            Err(fault) if fault.is(&[HAS_ONE]) => note(),
            // A thread that did not begin with a message, or one whose first message is gone.
            Err(fault) if fault.is(&[UNKNOWN_MESSAGE]) => match self.api.channel(message).await {
                Ok(known) => self.rooms.note(&known, guild),
                Err(fault) if fault.is(&[UNKNOWN_CHANNEL]) => return Ok(self.stay(message, replies)),
                Err(fault) => return Err(fault.error),
            },
            Err(fault)
                if fault.is(&[NO_ACCESS, NO_PERMISSION, NOT_HERE, TOO_MANY, TOO_MANY_NEWS])
                    || matches!(fault.error.kind, ErrorKind::Refused | ErrorKind::Misconfigured) =>
            {
                tracing::warn!(channel = %self.config.channel, conversation = channel, error = %fault.error,
                    "no thread can be opened; the conversation goes on in replies");
                return Ok(self.stay(message, replies));
            }
            Err(fault) => return Err(fault.error),
        }
        Ok(thread)
    }

    fn stay(&self, message: &str, replies: Target) -> Target {
        self.state().flat.insert(message.to_owned());
        replies
    }

    /// The name of a thread: what was asked.
    async fn name_of(&self, spot: &Spot) -> Result<String, Error> {
        let inbox = self.inbox()?;
        let entries = inbox.history(&spot.place()).await?;
        let words = entries.iter().find_map(|entry| match &entry.said {
            Said::Heard { text, .. } => Some(text.as_str()),
            Said::Sent(_) => None,
        });
        let words = words.unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
        let name = clip(&channel::inert(&words), NAME_CHARS_MAX);
        Ok(if name.is_empty() { "Conversation".to_owned() } else { name })
    }
}
