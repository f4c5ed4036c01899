//! Slack: mentions, direct messages, threads, slash commands, shortcuts, the assistant's threads, buttons and forms.
//!
//! Events come in over Socket Mode or over HTTP, each gesture once under every name that it may have, and are acknowledged
//! when they are durable. Messages go out with a mark, so that one that may have arrived is looked for and not sent twice.
//!
//! Invariant: an event is acknowledged only after [`Inbox::accept`] returned.
//! Invariant: no text from outside is ever read as markup by Slack; nothing that is sent mentions anybody.
//! Invariant: a token goes to Slack's own hosts only, and stands in no error and no log.
//! Invariant: over HTTP nothing of a request is read before its signature was found right.

mod client;
mod config;
mod decode;
mod encode;
mod manifest;
mod place;
mod rich;
mod words;

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use channel::{
    Address, Attempt, Capabilities, Channel, Correlation, Error, Inbox, Ingress, Kind, MessageRef, Outgoing,
    Place, Receipt, Setup, Signal,
};
use tokio_util::sync::CancellationToken;

pub use crate::config::{Limits, Reactions, Receive, Settings, Who};
use crate::{client::Client, config::Config, place::Spot};

/// Slack.
pub struct Slack {
    client: Arc<Client>,
}

impl Kind for Slack {
    const NAME: &'static str = "slack";
    type Settings = Settings;

    fn open(settings: Settings, setup: &Setup<'_>) -> Result<Self, Vec<Error>> {
        let config = Config::check(settings, setup)?;
        let client = Client::new(config).map_err(|error| vec![error])?;
        Ok(Self { client: Arc::new(client) })
    }

    fn manifest(settings: &Settings) -> Option<String> {
        Some(manifest::yaml(settings))
    }
}

#[async_trait]
impl Channel for Slack {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            buttons: true,
            forms: true,
            amends: true,
            private: true,
            files: true,
            text_len_max: Some(rich::MESSAGE_CHARS_MAX),
            correlation: Correlation::Native,
            one_reader: false,
        }
    }

    fn place(&self, contact: &str) -> Result<Place, Error> {
        let spot = Spot::of_contact(contact).ok_or_else(|| {
            let error = Error::refused(format!("`{contact}` is nobody on {}", self.client.config.channel));
            error.with_remedy(
                "write the ids of the workspace and of the person or the channel: \"T024BE7LD/U012AB3CD\"; Slack shows \
                 them under View profile, Copy member ID, and in the address of a channel",
            )
        })?;
        self.client.note_contact(&spot);
        Ok(spot.place())
    }

    async fn attend(&self, inbox: Arc<dyn Inbox>, stop: CancellationToken) {
        self.client.attend(inbox, stop).await;
    }

    async fn listen(&self, ingress: Ingress) -> Result<(), Error> {
        self.client.listen(ingress).await
    }

    async fn send(&self, outgoing: &Outgoing, attempt: &Attempt) -> Result<Receipt, Error> {
        self.client.send(outgoing, attempt).await
    }

    async fn signal(&self, at: &Address, about: Option<&MessageRef>, signal: Signal) {
        self.client.presence().show(&at.place, about, signal);
    }

    async fn check(&self) -> Result<Vec<String>, Vec<Error>> {
        self.client.check().await
    }
}

impl fmt::Debug for Slack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slack").field("channel", &self.client.config.channel).finish_non_exhaustive()
    }
}
