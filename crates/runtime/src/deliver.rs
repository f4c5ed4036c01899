//! Out: a message that waits in the outbox is sent, and what became of it is written.

use std::time::Duration;

use agent::{Event, Record, ThreadId, lost};
use channel::{Attempt, Content, Error, ErrorKind, Outgoing, Receipt, Timestamp};
use store::{Again, Batch, Lease, SendState, SentQuery, Settle};
use tokio::time::Instant;

use crate::{
    board::{Board, With},
    effect::{backoff, holding, holding_for_sure, patience},
    turn::signed,
};

/// The wait after the first failed attempt, and the longest one.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(3_600));
/// The longest wait while the channel's configuration is at fault: somebody may mend it any time.
const MISCONFIGURED_MAX: Duration = Duration::from_secs(300);
/// How often the end of a sending is decided anew when the thread changes under it.
const TRIES_MAX: u32 = 50;

/// A message that was claimed for sending.
pub(crate) struct Sending {
    pub(crate) lease: Lease,
    pub(crate) thread: ThreadId,
    pub(crate) outgoing: Outgoing,
    pub(crate) attempt: u32,
    pub(crate) since: Timestamp,
    /// Until when the lease is held for sure, unless it is renewed.
    pub(crate) sure_until: Instant,
}

impl Board {
    /// Sends one message, once, and says how it went.
    pub(crate) async fn deliver(&self, sending: Sending) {
        let (store, lease, ttl) = (self.store.as_ref(), &sending.lease, self.settings.lease);
        let Ok(sent) = holding_for_sure(store, lease, ttl, sending.sure_until, self.send(&sending)).await
        else {
            return;
        };
        let noted = async {
            match sent {
                Ok(receipt) => self.arrived(&sending, receipt).await,
                Err(error) => self.failed(&sending, error).await,
            }
        };
        if let Ok(Err(error)) = holding(store, lease, ttl, noted).await {
            // Claimed again when the lease runs out; the channel then sees a higher attempt.
            tracing::warn!(key = %sending.outgoing.key, %error, "what became of a message was not written");
        }
    }

    async fn send(&self, sending: &Sending) -> Result<Receipt, Error> {
        let Sending { outgoing, attempt, .. } = sending;
        let name = &outgoing.to.channel;
        let channel = self.channels.get(name).ok_or_else(|| {
            let remedy = "configure it again, or the message is given up in time";
            Error::misconfigured(format!("there is no channel `{name}` any more"), remedy)
        })?;
        let amends = match &outgoing.amends {
            Some(key) => self.sent_message(key).await?,
            None => None,
        };
        let mut files = Vec::new();
        for file in &outgoing.files {
            let bytes = self.store.get(&format!("file:{}", file.hash)).await;
            let bytes = bytes.map_err(|error| Error::retry(error.to_string()))?;
            files.push(
                bytes.ok_or_else(|| {
                    Error::refused(format!("the file `{}` is not kept any more", file.name))
                })?,
            );
        }
        let attempt = Attempt { number: *attempt, amends, files };
        match tokio::time::timeout(self.settings.send_timeout, channel.send(outgoing, &attempt)).await {
            Ok(result) => result,
            Err(_) => Err(Error::ambiguous(format!("{name} did not answer in time"))),
        }
    }

    async fn sent_message(&self, key: &channel::DeliveryKey) -> Result<Option<channel::MessageRef>, Error> {
        let found = self.store.sent(SentQuery::Key(key.clone())).await;
        let found = found.map_err(|error| Error::retry(error.to_string()))?;
        Ok(found.into_iter().next().and_then(|sent| sent.message))
    }

    /// The platform has it. While the store is away this is tried again: what is not written is sent twice.
    async fn arrived(&self, sending: &Sending, receipt: Receipt) -> Result<(), store::Error> {
        for attempt in 1.. {
            let error = match self.settle_sent(sending, &receipt).await {
                Err(error @ store::Error::Away { .. }) => error,
                // The lease ends with the message: an answer that was lost was a yes.
                Err(store::Error::Fenced { .. }) if attempt > 1 => return Ok(()),
                done => return done,
            };
            let Some(wait) = patience(&sending.lease.on, attempt) else { return Err(error) };
            tracing::warn!(key = %sending.outgoing.key, %error, attempt, "that a message was sent could not be written yet");
            tokio::time::sleep(wait).await;
        }
        Ok(())
    }

    async fn settle_sent(&self, sending: &Sending, receipt: &Receipt) -> Result<(), store::Error> {
        let key = sending.outgoing.key.clone();
        let event = Event::Delivered { key, message: receipt.message.clone() };
        let settle =
            Settle { lease: sending.lease.clone(), state: SendState::Sent, message: receipt.message.clone() };
        self.note(sending, event, settle).await
    }

    /// Writes the end of a sending as a fact. The thread need not be read for that, so that a message of one whose log
    /// this build does not understand is not sent again and again.
    async fn note(&self, sending: &Sending, event: Event, settle: Settle) -> Result<(), store::Error> {
        let records = vec![Record::new(self.clock.now(), event)];
        let batch = Batch { records, settle: Some(settle), ..Batch::new(sending.thread.clone()) };
        self.store.commit(batch).await.map(drop)
    }

    async fn failed(&self, sending: &Sending, error: Error) -> Result<(), store::Error> {
        let Sending { lease, outgoing, attempt, since, .. } = sending;
        let now = self.clock.now();
        let old = now.duration_since(*since).unsigned_abs() > self.settings.send_for;
        let max = match error.kind {
            ErrorKind::Refused => None,
            _ if old => None,
            ErrorKind::Retry { .. } | ErrorKind::Ambiguous => Some(BACKOFF.1),
            ErrorKind::Misconfigured => Some(MISCONFIGURED_MAX),
        };
        let Some(max) = max else { return self.give_up(sending, &error).await };
        let wait = match error.kind {
            ErrorKind::Retry { after: Some(after) } => after,
            ErrorKind::Retry { after: None }
            | ErrorKind::Ambiguous
            | ErrorKind::Refused
            | ErrorKind::Misconfigured => backoff(outgoing.key.as_str(), *attempt, BACKOFF.0, max),
        };
        tracing::warn!(key = %outgoing.key, channel = %outgoing.to.channel, attempt, %error, wait_s = wait.as_secs(), "not sent yet");
        let at = now.saturating_add(signed(wait)).unwrap_or(now);
        self.store.release(lease, Again::Retry { at, why: error.to_string() }).await
    }

    /// The message will never arrive: the log says so, and so do the people at home if a card was lost elsewhere.
    async fn give_up(&self, sending: &Sending, error: &Error) -> Result<(), store::Error> {
        tracing::error!(key = %sending.outgoing.key, channel = %sending.outgoing.to.channel, %error, "a message was given up");
        for _ in 0..TRIES_MAX {
            let (key, why) = (sending.outgoing.key.clone(), error.to_string());
            let settle = Settle { lease: sending.lease.clone(), state: SendState::Dead, message: None };
            let mut thread = match self.thread(&sending.thread).await {
                Err(store::Error::Unreadable { .. }) => {
                    return self.note(sending, Event::Undelivered { key: Some(key), why }, settle).await;
                }
                read => read?,
            };
            let events = lost(&thread, key, &why);
            let with = With {
                expect: Some(thread.version()),
                settle: Some(settle),
                wake: matches!(sending.outgoing.content, Content::Card(_)),
                ..With::default()
            };
            match self.write(&mut thread, events, with).await {
                Err(store::Error::Conflict { .. }) => {}
                other => return other,
            }
        }
        Ok(())
    }
}
