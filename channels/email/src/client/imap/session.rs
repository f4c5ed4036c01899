//! One IMAP connection: every command under a time-out, every trap of the protocol and its library in one place.

use std::time::Duration;

use async_imap::{
    Client,
    error::Error as ImapError,
    extensions::idle::IdleResponse,
    types::{Capabilities, Mailbox, UnsolicitedResponse},
};
use channel::Error;
use futures_util::TryStreamExt;
use jiff::Timestamp;
use secrecy::ExposeSecret;
use tokio_util::sync::CancellationToken;

use super::super::{
    COMMAND_TIMEOUT, said,
    tls::{self, Wire},
    within,
};
use crate::config::{Checked, Server, Tls};

/// A body may be large and the line slow.
const FETCH_TIMEOUT: Duration = Duration::from_secs(300);
/// A server may close a connection that idles for half an hour, and many a firewall does much earlier.
const IDLE_MAX: Duration = Duration::from_secs(9 * 60);

/// A connection with the mailbox open.
pub(super) struct Session {
    inner: async_imap::Session<Box<dyn Wire>>,
    abilities: Abilities,
    mailbox: Mailbox,
    validity: u32,
}

#[derive(Clone, Copy, Debug)]
struct Abilities {
    idle: bool,
    moves: bool,
    uid_plus: bool,
}

/// A mail, seen from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) uid: u32,
    pub(super) size: u32,
    pub(super) received: Option<Timestamp>,
}

/// Why waiting ended.
pub(super) enum Wake {
    /// It is time to look.
    Look(Box<Session>),
    /// The gateway stops.
    Stop,
}

impl Session {
    /// Connects, logs in, opens the mailbox.
    pub(super) async fn open(config: &Checked) -> Result<Self, Error> {
        let server = &config.imap;
        let client = connect(server).await?;
        let mut inner = log_in(client, server).await?;
        let found = command("CAPABILITY", inner.capabilities()).await?;
        let abilities = abilities(&found);
        let mailbox =
            within(COMMAND_TIMEOUT, "SELECT", inner.select(&config.mailbox)).await?.map_err(|error| {
                if matches!(error, ImapError::No(_)) {
                    Error::misconfigured(
                        format!("the mailbox {} cannot be opened: {}", config.mailbox, said(&error)),
                        "check imap.mailbox",
                    )
                } else {
                    broken("SELECT", error)
                }
            })?;
        let validity = mailbox.uid_validity.ok_or_else(|| {
            Error::misconfigured(
                "the IMAP server gives mails no lasting numbers (UIDVALIDITY)",
                "use another server",
            )
        })?;
        Ok(Self { inner, abilities, mailbox, validity })
    }

    pub(super) fn has_idle(&self) -> bool {
        self.abilities.idle
    }

    pub(super) fn uid_validity(&self) -> u32 {
        self.validity
    }

    /// The number that the next mail was to get when the mailbox was opened.
    pub(super) fn uid_next(&self) -> u32 {
        // A server that does not say begins with an empty mailbox or has everything looked through.
        self.mailbox.uid_next.unwrap_or(1)
    }

    /// The numbers of the mails that a query finds, lowest first.
    pub(super) async fn search(&mut self, query: &str) -> Result<Vec<u32>, Error> {
        // What was noticed so far is found by this search.
        while self.inner.unsolicited_responses.try_recv().is_ok() {}
        let found = command("SEARCH", self.inner.uid_search(query)).await?;
        let mut uids: Vec<u32> = found.into_iter().collect();
        uids.sort_unstable();
        Ok(uids)
    }

    /// True when the server said, in passing, that mail came since the last search.
    pub(super) fn noticed_more(&mut self) -> bool {
        let mut more = false;
        while let Ok(noticed) = self.inner.unsolicited_responses.try_recv() {
            more |= matches!(noticed, UnsolicitedResponse::Exists(_) | UnsolicitedResponse::Recent(_));
        }
        more
    }

    /// Sizes and dates of these mails, lowest number first; those that are gone are left out.
    pub(super) async fn sizes(&mut self, uids: &[u32]) -> Result<Vec<Part>, Error> {
        let set: Vec<String> = uids.iter().map(u32::to_string).collect();
        let fetch = async {
            let stream = self.inner.uid_fetch(set.join(","), "(UID RFC822.SIZE INTERNALDATE)").await?;
            stream.try_collect::<Vec<_>>().await
        };
        let fetched = command("FETCH", fetch).await?;
        let mut parts: Vec<Part> = fetched
            .iter()
            .filter_map(|fetch| {
                let date = fetch.internal_date();
                Some(Part {
                    uid: fetch.uid.filter(|uid| uids.contains(uid))?,
                    size: fetch.size.unwrap_or(0),
                    received: date.and_then(|date| Timestamp::from_second(date.timestamp()).ok()),
                })
            })
            .collect();
        parts.sort_unstable_by_key(|part| part.uid);
        parts.dedup_by_key(|part| part.uid);
        Ok(parts)
    }

    /// The first bytes of a mail, without marking it as seen; `None` if it is gone.
    pub(super) async fn fetch(&mut self, uid: u32, len_max: u32) -> Result<Option<Vec<u8>>, Error> {
        let what = format!("(UID BODY.PEEK[]<0.{len_max}>)");
        let fetch = async {
            let stream = self.inner.uid_fetch(uid.to_string(), what).await?;
            stream.try_collect::<Vec<_>>().await
        };
        let fetched = within(FETCH_TIMEOUT, "FETCH", fetch).await?.map_err(|error| broken("FETCH", error))?;
        let body = fetched.iter().filter(|fetch| fetch.uid == Some(uid)).find_map(|fetch| fetch.body());
        Ok(body.map(<[u8]>::to_vec))
    }

    /// Marks a mail as seen, and moves it where one is told to. A mailbox that cannot be changed is no reason to
    /// stop reading it.
    pub(super) async fn mark_taken(&mut self, uid: u32, folder: Option<&str>) -> Result<(), Error> {
        let uid = uid.to_string();
        tolerated("STORE", self.store(&uid, "+FLAGS.SILENT (\\Seen)").await)?;
        let Some(folder) = folder else { return Ok(()) };
        if tolerated("MOVE", self.relocate(&uid, folder).await)?.is_none() {
            // Most likely the folder does not exist yet.
            tolerated("CREATE", command_raw(self.inner.create(folder)).await)?;
            tolerated("MOVE", self.relocate(&uid, folder).await)?;
        }
        Ok(())
    }

    async fn relocate(&mut self, uid: &str, folder: &str) -> Result<(), ImapError> {
        if self.abilities.moves {
            return command_raw(self.inner.uid_mv(uid, folder)).await;
        }
        command_raw(self.inner.uid_copy(uid, folder)).await?;
        self.store(uid, "+FLAGS.SILENT (\\Deleted)").await?;
        if self.abilities.uid_plus {
            let expunge = async { self.inner.uid_expunge(uid).await?.try_collect::<Vec<_>>().await };
            command_raw(expunge).await?;
        }
        // Without UIDPLUS an EXPUNGE would take other deleted mails along; the mark is enough.
        Ok(())
    }

    async fn store(&mut self, uid: &str, flags: &str) -> Result<(), ImapError> {
        let store = async { self.inner.uid_store(uid, flags).await?.try_collect::<Vec<_>>().await };
        command_raw(store).await.map(drop)
    }

    /// Waits until the server says that something happened, or until `poll` is over: an arrival may fall between the
    /// last look and the moment the server begins to report.
    pub(super) async fn wait(self, poll: Duration, stop: &CancellationToken) -> Result<Wake, Error> {
        if !self.abilities.idle {
            tokio::select! {
                () = stop.cancelled() => return Ok(self.leave().await),
                () = tokio::time::sleep(poll) => {}
            }
            return Ok(Wake::Look(Box::new(self)));
        }
        let Self { inner, abilities, mailbox, validity } = self;
        let mut idle = inner.idle();
        command("IDLE", idle.init()).await?;
        let limit = poll.min(IDLE_MAX);
        let stopped = {
            let (news, _interrupt) = idle.wait_with_timeout(limit);
            tokio::select! {
                () = stop.cancelled() => true,
                // The library starts its own limit anew at each sign of life from the server.
                news = tokio::time::timeout(limit, news) => match news {
                    Err(_) | Ok(Ok(IdleResponse::Timeout | IdleResponse::NewData(_))) => false,
                    // Nobody interrupts here: this is how the library reports the end of the connection.
                    Ok(Ok(IdleResponse::ManualInterrupt)) => {
                        return Err(Error::retry("the IMAP server closed the connection"));
                    }
                    Ok(Err(error)) => return Err(broken("IDLE", error)),
                },
            }
        };
        let inner = command("DONE", idle.done()).await?;
        let session = Self { inner, abilities, mailbox, validity };
        Ok(if stopped { session.leave().await } else { Wake::Look(Box::new(session)) })
    }

    /// Says goodbye; the server may take it or not.
    async fn leave(mut self) -> Wake {
        let _ = tokio::time::timeout(Duration::from_secs(2), self.inner.logout()).await;
        Wake::Stop
    }
}

async fn connect(server: &Server) -> Result<Client<Box<dyn Wire>>, Error> {
    let stream = tls::tcp(server, "imap").await?;
    match server.tls {
        Tls::Plain => {
            let mut client = Client::new(Box::new(stream) as Box<dyn Wire>);
            greeting(&mut client).await?;
            Ok(client)
        }
        Tls::Tls => {
            let mut client = Client::new(tls::protect(stream, server, "imap").await?);
            greeting(&mut client).await?;
            Ok(client)
        }
        Tls::Starttls => {
            let mut client = Client::new(stream);
            greeting(&mut client).await?;
            let start =
                within(COMMAND_TIMEOUT, "STARTTLS", client.run_command_and_check_ok("STARTTLS", None))
                    .await?;
            start.map_err(|error| {
                Error::misconfigured(
                    format!(
                        "the IMAP server {}:{} does not offer STARTTLS: {}",
                        server.host,
                        server.port,
                        said(&error)
                    ),
                    "set imap.tls = \"tls\", or ask the server's operator",
                )
            })?;
            // Behind STARTTLS comes no second greeting.
            Ok(Client::new(tls::protect(client.into_inner(), server, "imap").await?))
        }
    }
}

async fn greeting<T>(client: &mut Client<T>) -> Result<(), Error>
where
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + std::fmt::Debug + Send,
{
    let read = within(COMMAND_TIMEOUT, "the IMAP server's greeting", client.read_response()).await?;
    match read {
        Ok(Some(_)) => Ok(()),
        Ok(None) => Err(Error::retry("the IMAP server closed the connection at once")),
        Err(error) => {
            Err(Error::retry(format!("the IMAP server did not greet: {}", said(&error))).with_source(error))
        }
    }
}

async fn log_in(
    client: Client<Box<dyn Wire>>,
    server: &Server,
) -> Result<async_imap::Session<Box<dyn Wire>>, Error> {
    let Some(login) = &server.login else {
        return Err(Error::misconfigured("there is no IMAP password", "set imap.password_env"));
    };
    let attempt = client.login(&login.user, login.password.expose_secret());
    match within(COMMAND_TIMEOUT, "the IMAP login", attempt).await? {
        Ok(session) => Ok(session),
        Err((error @ (ImapError::No(_) | ImapError::Bad(_) | ImapError::Validate(_)), _)) => {
            Err(Error::misconfigured(
                format!("the IMAP server refuses the login of {}: {}", login.user, said(&error)),
                format!(
                    "check imap.user and the password in {}; some providers want an app password",
                    login.env
                ),
            ))
        }
        Err((error, _)) => Err(broken("LOGIN", error)),
    }
}

fn abilities(found: &Capabilities) -> Abilities {
    Abilities {
        idle: found.has_str("IDLE"),
        moves: found.has_str("MOVE"),
        uid_plus: found.has_str("UIDPLUS"),
    }
}

async fn command<T>(name: &str, work: impl Future<Output = Result<T, ImapError>>) -> Result<T, Error> {
    within(COMMAND_TIMEOUT, name, work).await?.map_err(|error| broken(name, error))
}

/// Like [`command`], with the server's refusal told from a broken connection.
async fn command_raw<T>(work: impl Future<Output = Result<T, ImapError>>) -> Result<T, ImapError> {
    tokio::time::timeout(COMMAND_TIMEOUT, work).await.unwrap_or(Err(ImapError::ConnectionLost))
}

/// A refusal is logged and `None`; anything else ends the connection.
fn tolerated<T>(name: &str, result: Result<T, ImapError>) -> Result<Option<T>, Error> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error @ (ImapError::No(_) | ImapError::Bad(_) | ImapError::Validate(_))) => {
            tracing::warn!("the IMAP server refuses {name}: {}", said(&error));
            Ok(None)
        }
        Err(error) => Err(broken(name, error)),
    }
}

fn broken(name: &str, error: ImapError) -> Error {
    Error::retry(format!("IMAP {name} failed: {}", said(&error))).with_source(error)
}
