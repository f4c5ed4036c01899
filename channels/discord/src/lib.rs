//! Discord: mentions, threads, direct messages, slash commands, buttons, menus and forms.
//!
//! Events come in over the gateway, and a session is gone on with behind the last of them that is durable; what a lost
//! session missed is read again. Messages go out under a nonce, and are looked for before they are sent again.
//!
//! Invariant: an event counts as heard only after [`Inbox::accept`] returned.
//! Invariant: no text from outside is ever read as markup by Discord; nothing that is sent rings anybody.
//! Invariant: the token goes to Discord's own hosts only, and stands in no error and no log.
//! Invariant: over HTTP nothing of a request is read before its signature was found right.

mod client;
mod config;
mod decode;
mod encode;
mod manifest;
mod markdown;
mod place;
mod words;

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use channel::{
    Address, Attempt, Capabilities, Channel, Correlation, Error, Inbox, Ingress, Kind, MessageRef, Outgoing,
    Place, Receipt, Setup, Signal,
};
use tokio_util::sync::CancellationToken;

pub use crate::config::{Interactions, Limits, Reactions, Settings};
use crate::{client::Client, config::Config, place::Spot};

/// Discord.
pub struct Discord {
    client: Arc<Client>,
}

impl Kind for Discord {
    const NAME: &'static str = "discord";
    type Settings = Settings;

    fn open(settings: Settings, setup: &Setup<'_>) -> Result<Self, Vec<Error>> {
        let config = Config::check(settings, setup)?;
        let client = Client::new(config).map_err(|error| vec![error])?;
        Ok(Self { client: Arc::new(client) })
    }

    fn manifest(settings: &Settings) -> Option<String> {
        Some(manifest::text_for(settings))
    }
}

#[async_trait]
impl Channel for Discord {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            buttons: true,
            forms: true,
            amends: true,
            private: true,
            files: true,
            text_len_max: Some(markdown::MESSAGE_CHARS_MAX),
            correlation: Correlation::Native,
            one_reader: true,
        }
    }

    fn place(&self, contact: &str) -> Result<Place, Error> {
        let spot = Spot::of_contact(contact).ok_or_else(|| {
            let error = Error::refused(format!("`{contact}` is nobody on {}", self.client.config.channel));
            error.with_remedy(
                "write the id of the person, or the ids of the server and the channel: \"81384788765712384/…\"; Discord \
                 shows them under Copy User ID and Copy Channel ID once Developer Mode is on",
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

impl fmt::Debug for Discord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Discord").field("channel", &self.client.config.channel).finish_non_exhaustive()
    }
}
