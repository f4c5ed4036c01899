//! Email: IMAP in, SMTP out.
//!
//! Invariant: what a mail claims (its From line, its Authentication-Results, its quoted text) proves nothing; a sender
//! is proven by a verdict that the sender could not write (see [`config::Verify`]), or not at all.
//! Invariant: a mail of a claimed sender never lands in the place of the same sender proven.
//! Invariant: mail that was written by a program starts nothing and is answered by nothing.
//! Invariant: one outgoing message is the same bytes at every attempt.
//! Invariant: only `client.rs` and its parts touch the network or a file.

mod address;
mod client;
pub mod config;
mod decode;
mod dsn;
mod encode;
mod from;
mod headers;
mod html;
mod inert;
mod mime;
mod pace;
mod render;
mod reply;
mod threading;
mod verdict;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use async_trait::async_trait;
use channel::{
    Address, Attempt, Capabilities, Channel, Content, Correlation, Error, ErrorKind, Inbox, Ingress, Kind,
    MessageRef, Outgoing, Place, Receipt, Setup, Signal,
};
use tokio_util::sync::CancellationToken;

use crate::{
    address::Addr,
    client::{Reader, Sender},
    config::{Checked, Settings},
    encode::Encoded,
    pace::Pace,
    threading::{Root, Spot, Standing},
};

/// One mailbox.
#[derive(Debug)]
pub struct Email {
    config: Arc<Checked>,
    reader: Reader,
    sender: Sender,
    pace: Mutex<Pace>,
}

impl Kind for Email {
    const NAME: &'static str = "email";
    type Settings = Settings;

    fn open(settings: Settings, setup: &Setup<'_>) -> Result<Self, Vec<Error>> {
        let config = Arc::new(settings.check(setup.secret)?);
        let faults = client::check(&config);
        if !faults.is_empty() {
            return Err(faults);
        }
        let sender = Sender::new(config.smtp.clone(), config.address.domain());
        let reader = Reader::new(setup.name.clone(), Arc::clone(&config));
        Ok(Self { config, reader, sender, pace: Mutex::default() })
    }

    fn manifest(_: &Settings) -> Option<String> {
        None
    }
}

#[async_trait]
impl Channel for Email {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            buttons: false,
            forms: false,
            amends: false,
            private: false,
            files: true,
            text_len_max: None,
            correlation: Correlation::Ticket,
            one_reader: true,
        }
    }

    fn place(&self, contact: &str) -> Result<Place, Error> {
        let with = Addr::parse(contact.trim()).ok_or_else(|| {
            Error::refused(format!("\"{contact}\" is no mail address; write for example \"ana@example.com\""))
        })?;
        if self.config.is_ours(&with) {
            return Err(Error::refused(format!("{with} is the gateway's own address")));
        }
        // A configured address counts as proven: what goes there was the operator's word, and what comes back from
        // there lands in the same place only with a verdict.
        let root = Root::of_contact(&with);
        Ok(Spot { standing: Standing::Proven, root, with }.place())
    }

    async fn attend(&self, _inbox: Arc<dyn Inbox>, _stop: CancellationToken) {
        // A mail is sent from what it is given, over a connection of its own.
    }

    async fn listen(&self, ingress: Ingress) -> Result<(), Error> {
        self.reader.run(&ingress).await
    }

    async fn send(&self, outgoing: &Outgoing, attempt: &Attempt) -> Result<Receipt, Error> {
        let mail = match encode::encode(outgoing, attempt, &self.config)? {
            Encoded::Mail(mail) => mail,
            Encoded::Nothing => return Ok(Receipt { message: None }),
        };
        let place = Spot::read(&outgoing.to.place).map(|spot| spot.pace()).unwrap_or_default();
        // A card asks for something that was decided to be asked; only what is said can go round in circles.
        let says = matches!(outgoing.content, Content::Text(_));
        if says
            && let Some(after) = self.pace().wait(&place, self.config.limits.sent_per_hour, Instant::now())
        {
            return Err(Error::new(
                ErrorKind::Retry { after: Some(after) },
                format!(
                    "{} mails went into this conversation within an hour",
                    self.config.limits.sent_per_hour
                ),
            ));
        }
        self.sender.send(&mail).await?;
        if says {
            self.pace().note(&place, Instant::now());
        }
        Ok(Receipt { message: Some(mail.message) })
    }

    async fn signal(&self, _at: &Address, _about: Option<&MessageRef>, _signal: Signal) {
        // A mail program shows nobody at work.
    }

    async fn check(&self) -> Result<Vec<String>, Vec<Error>> {
        let (read, send) = tokio::join!(self.reader.check(), self.sender.check());
        let (found, faults): (Vec<_>, Vec<_>) = [read, send].into_iter().partition(Result::is_ok);
        if faults.is_empty() {
            Ok(found.into_iter().filter_map(Result::ok).collect())
        } else {
            Err(faults.into_iter().filter_map(Result::err).collect())
        }
    }
}

impl Email {
    fn pace(&self) -> std::sync::MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
