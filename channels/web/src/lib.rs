//! The web page that ships with the gateway.
//!
//! One page at `/`: a person talks to an agent, sees its questions as cards with buttons, answers them, and may load the
//! page again at any time without losing anything, because everything shown is read from the gateway's own log.
//!
//! Invariant: nothing is kept here; a message is acknowledged only after [`Inbox::accept`]
//! returned, and shown only as [`Inbox::history`] has it.
//! Invariant: a request reaches only places of the person that it proved to come from.
//! Invariant: the page runs no script, style or markup that is not part of this crate; text from outside is shown inert.
//! Invariant: without tokens the page is served on loopback only.

mod client;
mod config;
mod decode;
mod encode;
mod guard;
mod hub;
mod markdown;
mod place;
mod session;

use std::{
    fmt,
    net::SocketAddr,
    sync::{Arc, OnceLock},
};

use async_trait::async_trait;
use channel::{
    Address, Attempt, Capabilities, Channel, Correlation, Error, Inbox, Ingress, Kind, MessageRef, Outgoing,
    Place, Receipt, Setup, Signal,
};
use tokio_util::sync::CancellationToken;

pub use crate::config::{Member, Settings};
use crate::{config::Config, hub::Hub};

/// The page.
pub struct Web {
    config: Arc<Config>,
    hub: Arc<Hub>,
    bound: OnceLock<SocketAddr>,
}

impl Web {
    /// Where the page listens, once it does. Differs from the settings where they leave the port to the system.
    pub fn bound(&self) -> Option<SocketAddr> {
        self.bound.get().copied()
    }
}

impl Kind for Web {
    const NAME: &'static str = "web";
    type Settings = Settings;

    fn open(settings: Settings, setup: &Setup<'_>) -> Result<Self, Vec<Error>> {
        let config = Arc::new(Config::check(settings, setup)?);
        Ok(Self { config, hub: Arc::new(Hub::new()), bound: OnceLock::new() })
    }

    fn manifest(_: &Settings) -> Option<String> {
        None
    }
}

#[async_trait]
impl Channel for Web {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            buttons: true,
            forms: true,
            amends: true,
            private: true,
            files: true,
            text_len_max: None,
            correlation: Correlation::Native,
            one_reader: false,
        }
    }

    fn place(&self, contact: &str) -> Result<Place, Error> {
        let ids = self.config.who.ids();
        if ids.contains(&contact) {
            return Ok(Place::new(format!("{contact}/{}", place::INBOX)));
        }
        let channel = &self.config.channel;
        let error = Error::refused(format!("`{contact}` is nobody on the page `{channel}`"));
        Err(error.with_remedy(format!("a contact here is the id of a person: {}", ids.join(", "))))
    }

    async fn attend(&self, _inbox: Arc<dyn Inbox>, _stop: CancellationToken) {
        // The streams of the pages look into the log by themselves.
    }

    async fn listen(&self, ingress: Ingress) -> Result<(), Error> {
        client::listen(&self.config, &self.hub, &self.bound, ingress).await
    }

    /// The message is in the gateway's log before it comes here, and that log is what the page shows: so sending is to
    /// tell the open pages to look, and doing it twice shows nothing twice.
    async fn send(&self, outgoing: &Outgoing, _attempt: &Attempt) -> Result<Receipt, Error> {
        let place = &outgoing.to.place;
        let known = place::read(place).is_some_and(|(person, _)| self.config.who.ids().contains(&person));
        if !known {
            return Err(Error::refused(format!(
                "`{place}` is no place of anybody on the page `{}`",
                self.config.channel
            )));
        }
        self.hub.said(place);
        Ok(Receipt { message: Some(MessageRef::new(outgoing.key.as_str())) })
    }

    async fn signal(&self, at: &Address, _about: Option<&MessageRef>, signal: Signal) {
        self.hub.work(&at.place, &signal);
    }

    async fn check(&self) -> Result<Vec<String>, Vec<Error>> {
        Ok(vec![format!("the page will be at http://{}/", self.config.listen)])
    }
}

impl fmt::Debug for Web {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Web")
            .field("channel", &self.config.channel)
            .field("bound", &self.bound)
            .finish_non_exhaustive()
    }
}
