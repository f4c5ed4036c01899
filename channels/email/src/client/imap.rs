//! Reads the mailbox: connects, takes what is new, waits for more.

mod session;

use std::{
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use channel::{ChannelName, Error, ErrorKind, Inbox, Ingress};
use jiff::{Timestamp, ToSpan, civil::Date, tz::TimeZone};
use session::{Part, Session, Wake};

use super::{Dkim, back_off};
use crate::{
    config::{Begin, Checked, VerifyBy},
    decode::{self, Decoded, Found},
    verdict::Evidence,
};

/// A connection that lasted this long was a good one: the next fault is a first fault.
const GOOD_AFTER: Duration = Duration::from_secs(60);
/// How long a connection may take to end in good order.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);
/// How many mails are asked about at once.
const BATCH: usize = 50;
/// Of a mail above the limit, this much is read.
const HEAD_LEN: u32 = 64 * 1024;

/// The way in.
#[derive(Debug)]
pub(crate) struct Reader {
    name: ChannelName,
    config: Arc<Checked>,
}

/// How far the mailbox was read: everything up to `uid`, in the numbering named by `validity`, as of `day`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cursor {
    validity: u32,
    uid: u32,
    day: Date,
}

impl Cursor {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, ':');
        let validity = parts.next()?.parse().ok()?;
        let uid = parts.next()?.parse().ok()?;
        let day = parts.next()?.parse().ok()?;
        Some(Self { validity, uid, day })
    }

    fn write(self) -> String {
        format!("{}:{}:{}", self.validity, self.uid, self.day)
    }
}

/// Which mails to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Plan {
    /// Those above the cursor.
    Onward,
    /// In a mailbox never read before: the unseen ones of the last days.
    Unseen,
    /// The server has numbered everything anew: those of the last days, again. The inbox knows which were taken.
    Since(Date),
}

impl Reader {
    pub(crate) fn new(name: ChannelName, config: Arc<Checked>) -> Self {
        Self { name, config }
    }

    /// Reads until `stop` is cancelled; connects again after every fault.
    pub(crate) async fn run(&self, ingress: &Ingress) -> Result<(), Error> {
        let dkim = match self.config.verify.by {
            VerifyBy::Dkim => Some(Dkim::new(self.config.verify.dns_server())?),
            VerifyBy::Results | VerifyBy::None => None,
        };
        let mut failures = 0;
        loop {
            let started = Instant::now();
            let Err(error) = self.session_until_stop(ingress, dkim.as_ref()).await else { return Ok(()) };
            failures = if started.elapsed() > GOOD_AFTER { 0 } else { failures + 1 };
            let wait = back_off(failures, error.kind);
            tracing::warn!(channel = %self.name, "not reading mail: {error}; trying again in {} ms", wait.as_millis());
            ingress.health.down(error.to_string());
            tokio::select! {
                () = ingress.stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// A mail that was taken when the order to stop came is marked as taken, if the server is quick.
    async fn session_until_stop(&self, ingress: &Ingress, dkim: Option<&Dkim>) -> Result<(), Error> {
        let mut session = pin!(self.session(ingress, dkim));
        tokio::select! {
            ended = &mut session => ended,
            () = ingress.stop.cancelled() => {
                let _ = tokio::time::timeout(STOP_TIMEOUT, session).await;
                Ok(())
            }
        }
    }

    /// Connects, logs in, opens the mailbox, and reads nothing.
    pub(crate) async fn check(&self) -> Result<String, Error> {
        Session::open(&self.config).await?;
        Ok(format!("mail can be read from {} at {}", self.config.mailbox, self.config.imap.host))
    }

    /// One connection; ends with an error, or with `Ok` when it is to stop.
    async fn session(&self, ingress: &Ingress, dkim: Option<&Dkim>) -> Result<(), Error> {
        let mut session = Session::open(&self.config).await?;
        let (mut cursor, plan) = self.place_to_begin(&mut session, ingress.inbox.as_ref()).await?;
        ingress.health.up();
        tracing::info!(channel = %self.name, mailbox = %self.config.mailbox, idle = session.has_idle(), "reading mail");
        if plan != Plan::Onward {
            self.take(&mut session, ingress, dkim, &mut cursor, plan).await?;
            if ingress.stop.is_cancelled() {
                // Not all were taken; the next start looks through them again.
                return Ok(());
            }
            let behind = session.uid_next().saturating_sub(1);
            cursor.uid = cursor.uid.max(behind);
            self.advance(ingress, &mut cursor).await?;
        }
        loop {
            self.take(&mut session, ingress, dkim, &mut cursor, Plan::Onward).await?;
            if session.noticed_more() {
                continue;
            }
            session = match session.wait(self.config.poll, &ingress.stop).await? {
                Wake::Look(session) => *session,
                Wake::Stop => return Ok(()),
            };
        }
    }

    async fn place_to_begin(
        &self,
        session: &mut Session,
        inbox: &dyn Inbox,
    ) -> Result<(Cursor, Plan), Error> {
        let validity = session.uid_validity();
        let fresh = Cursor { validity, uid: 0, day: today() };
        let kept = inbox.cursor(&self.config.mailbox).await?;
        Ok(match kept.as_deref().map(Cursor::parse) {
            Some(Some(cursor)) if cursor.validity == validity => (cursor, Plan::Onward),
            Some(Some(cursor)) => {
                tracing::warn!(channel = %self.name, "the server numbered the mailbox anew; looking through the last days again");
                (fresh, Plan::Since(cursor.day.saturating_sub(2.days())))
            }
            Some(None) => {
                tracing::warn!(channel = %self.name, "the kept position is unreadable; taking unseen mail");
                (fresh, Plan::Unseen)
            }
            None => match self.config.begin {
                Begin::Unseen => (fresh, Plan::Unseen),
                Begin::Now => {
                    let mut cursor = Cursor { uid: session.uid_next().saturating_sub(1), ..fresh };
                    self.keep(inbox, &mut cursor).await?;
                    (cursor, Plan::Onward)
                }
            },
        })
    }

    /// Takes all mails of a plan, in the order of their numbers.
    async fn take(
        &self,
        session: &mut Session,
        ingress: &Ingress,
        dkim: Option<&Dkim>,
        cursor: &mut Cursor,
        plan: Plan,
    ) -> Result<(), Error> {
        let next = cursor.uid.saturating_add(1);
        let query = match plan {
            Plan::Onward => format!("UID {next}:*"),
            // What lies unseen for longer is no question that still waits for an answer.
            Plan::Unseen => format!("UNSEEN SINCE {}", imap_date(today().saturating_sub(7.days()))),
            // A restored mail may count as received just now; what was written long ago is left alone.
            Plan::Since(day) => {
                format!("SINCE {} SENTSINCE {}", imap_date(day), imap_date(day.saturating_sub(7.days())))
            }
        };
        let mut uids = session.search(&query).await?;
        // `n:*` always names the last mail, even below n.
        uids.retain(|uid| *uid >= next);
        for batch in uids.chunks(BATCH) {
            let parts = session.sizes(batch).await?;
            for part in parts {
                if ingress.stop.is_cancelled() {
                    return Ok(());
                }
                self.take_one(session, ingress, dkim, &part, cursor.validity).await?;
                if plan == Plan::Onward {
                    cursor.uid = part.uid;
                    self.advance(ingress, cursor).await?;
                }
            }
            // Numbers without a mail: it was deleted meanwhile.
            if plan == Plan::Onward
                && let Some(last) = batch.last()
                && *last > cursor.uid
            {
                cursor.uid = *last;
                self.advance(ingress, cursor).await?;
            }
        }
        Ok(())
    }

    async fn take_one(
        &self,
        session: &mut Session,
        ingress: &Ingress,
        dkim: Option<&Dkim>,
        part: &Part,
        validity: u32,
    ) -> Result<(), Error> {
        let limit = self.config.limits.message_bytes;
        let read = if part.size > limit { HEAD_LEN } else { limit.saturating_add(1) };
        let Some(raw) = session.fetch(part.uid, read).await? else { return Ok(()) };
        let found = Found {
            mailbox: &self.config.mailbox,
            uid_validity: validity,
            uid: part.uid,
            received: part.received.unwrap_or_else(Timestamp::now),
            size: (part.size as usize).max(raw.len()),
        };
        match self.decode(raw, &found, dkim).await {
            Decoded::Inbound(inbound) => {
                if !self.accept(ingress, *inbound, part.uid).await? {
                    return Ok(());
                }
            }
            Decoded::Ignored { why } => {
                tracing::info!(channel = %self.name, uid = part.uid, "mail ignored: {why}");
            }
            Decoded::Refused { why } => {
                // It stays unseen where it is, for the operator to look at.
                tracing::warn!(channel = %self.name, uid = part.uid, "mail refused: {why}");
                return Ok(());
            }
        }
        session.mark_taken(part.uid, self.config.processed.as_deref()).await
    }

    async fn decode(&self, raw: Vec<u8>, found: &Found<'_>, dkim: Option<&Dkim>) -> Decoded {
        let verify = &self.config.verify;
        let raw = Arc::new(raw);
        let signers = match dkim {
            // Whoever signed, the body of a mail that was not read whole does not match.
            Some(dkim) if found.size <= self.config.limits.message_bytes as usize => {
                match decode::sender(&raw, &self.config) {
                    Some(from) => dkim.signers(&raw, &from).await,
                    None => Ok(Vec::new()),
                }
            }
            Some(_) => Err("the mail is too large to be checked".into()),
            None => Ok(Vec::new()),
        };
        let evidence = match verify.by {
            VerifyBy::Dkim => Evidence::Dkim(signers.as_deref().map_err(String::as_str)),
            VerifyBy::Results => Evidence::Results {
                authserv: verify.authserv.as_deref().unwrap_or_default(),
                received_above: verify.received_above,
            },
            VerifyBy::None => Evidence::None,
        };
        decode::decode(&raw, found, &self.name, &self.config, evidence)
    }

    /// Hands a mail over, again and again while the store is away. `false` if it will never be taken.
    async fn accept(&self, ingress: &Ingress, inbound: channel::Inbound, uid: u32) -> Result<bool, Error> {
        let mut failures = 0;
        loop {
            let Err(error) = ingress.inbox.accept(inbound.clone()).await else {
                if failures > 0 {
                    ingress.health.up();
                }
                return Ok(true);
            };
            if error.kind == ErrorKind::Refused {
                tracing::warn!(channel = %self.name, uid, "mail refused: {error}");
                return Ok(false);
            }
            failures += 1;
            tracing::warn!(channel = %self.name, uid, "mail waits: {error}");
            ingress.health.down(error.to_string());
            tokio::select! {
                () = ingress.stop.cancelled() => return Err(error),
                () = tokio::time::sleep(back_off(failures, error.kind)) => {}
            }
        }
    }

    async fn advance(&self, ingress: &Ingress, cursor: &mut Cursor) -> Result<(), Error> {
        self.keep(ingress.inbox.as_ref(), cursor).await
    }

    async fn keep(&self, inbox: &dyn Inbox, cursor: &mut Cursor) -> Result<(), Error> {
        cursor.day = today();
        inbox.advance(&self.config.mailbox, &cursor.write()).await
    }
}

fn today() -> Date {
    Timestamp::now().to_zoned(TimeZone::UTC).date()
}

fn imap_date(day: Date) -> String {
    day.strftime("%-d-%b-%Y").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_are_read_as_written() {
        let cursor = Cursor { validity: 7, uid: 42, day: jiff::civil::date(2026, 11, 3) };
        assert_eq!(cursor.write(), "7:42:2026-11-03");
        assert_eq!(Cursor::parse(&cursor.write()), Some(cursor));
        for text in ["", "7:42", "7:x:2026-11-03", "7:42:yesterday"] {
            assert_eq!(Cursor::parse(text), None, "{text}");
        }
        assert_eq!(imap_date(cursor.day), "3-Nov-2026");
    }
}
