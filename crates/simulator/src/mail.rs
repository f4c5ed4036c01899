//! Mail servers: a real Dovecot (IMAP, IMAPS, LMTP) and a real Exim (SMTP, STARTTLS, SMTPS, AUTH).
//!
//! Every user has an address in [`DOMAIN`]. Exim plays the part of the mail exchanger that a gateway trusts: it
//! writes `Authentication-Results: mail.test; ...` on top of each message, above its own `Received`. `dmarc=pass`
//! stands there only if the client logged in as the user whose address the From line names. What a sender wrote
//! stays in the message, so forged results arrive too, below `Received`.

mod config;
mod error;
mod process;
mod smtp;

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use process::Servers;

pub use error::Error;

/// The domain of every user, and the name (authserv-id) under which Exim states its verdicts.
pub const DOMAIN: &str = "mail.test";

/// The folder that exists beside INBOX and `Sent` in every mailbox.
pub const PROCESSED: &str = "Processed";

/// A running pair of mail servers; dropped, they stop and their files go.
#[derive(Debug)]
pub struct MailServers {
    servers: Servers,
    users: Vec<(String, String)>,
}

/// The ports on 127.0.0.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// IMAP, with STARTTLS on offer.
    pub imap: u16,
    /// IMAP over TLS.
    pub imaps: u16,
    /// SMTP, with STARTTLS and AUTH on offer; takes mail for users from anybody.
    pub smtp: u16,
    /// SMTP over TLS.
    pub smtps: u16,
}

impl MailServers {
    /// Starts servers with these users and passwords (letters, digits, `-`, `_`, `.`), and waits until they answer.
    ///
    /// # Errors
    /// [`Error::Missing`] names the packages to install; the others carry what the servers wrote.
    pub async fn start(users: &[(&str, &str)]) -> Result<Self, Error> {
        for text in users.iter().flat_map(|(name, password)| [name, password]) {
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            if text.is_empty() || !text.chars().all(plain) {
                return Err(Error::User((*text).to_owned()));
            }
        }
        let users: Vec<_> =
            users.iter().map(|(name, password)| ((*name).to_owned(), (*password).to_owned())).collect();
        let servers = Servers::start(&users).await?;
        Ok(Self { servers, users })
    }

    /// Where they listen.
    pub fn ports(&self) -> Ports {
        self.servers.ports
    }

    /// The certificate of all of them (names: `localhost`, `127.0.0.1`), to be trusted as a root.
    pub fn certificate(&self) -> PathBuf {
        self.servers.folder().join("cert.pem")
    }

    /// What both servers have logged, for a failing test to print.
    pub fn log(&self) -> String {
        self.servers.log()
    }

    /// Delivers a message as a stranger, without logging in, as any server on the internet would.
    ///
    /// # Errors
    /// What the server answered, if it did not take the message.
    pub async fn deliver(&self, from: &str, to: &str, message: &[u8]) -> Result<(), Error> {
        smtp::deliver(self.servers.ports.smtp, None, from, to, message).await
    }

    /// Delivers a message as a user who logged in.
    ///
    /// # Errors
    /// What the server answered, if it did not take the message; [`Error::User`] if there is no such user.
    pub async fn deliver_as(&self, user: &str, to: &str, message: &[u8]) -> Result<(), Error> {
        let login = self.users.iter().find(|(name, _)| name == user);
        let Some((name, password)) = login else { return Err(Error::User(user.to_owned())) };
        let from = format!("{name}@{DOMAIN}");
        smtp::deliver(self.servers.ports.smtp, Some((name, password)), &from, to, message).await
    }

    /// The messages in a user's INBOX, oldest first, as they lie on disk (lines end in `\n`).
    ///
    /// # Errors
    /// When the files cannot be read.
    pub fn mailbox(&self, user: &str) -> Result<Vec<Vec<u8>>, Error> {
        messages(&self.servers.folder().join("mail").join(user))
    }

    /// The messages in another folder of a user.
    ///
    /// # Errors
    /// When the files cannot be read.
    pub fn folder(&self, user: &str, folder: &str) -> Result<Vec<Vec<u8>>, Error> {
        messages(&self.servers.folder().join("mail").join(user).join(format!(".{folder}")))
    }

    /// Waits until some message in a user's INBOX satisfies the predicate, and gives the first that does.
    ///
    /// # Errors
    /// [`Error::Waited`] after the time-out, with the servers' log.
    pub async fn wait_for(
        &self,
        user: &str,
        wanted: impl Fn(&[u8]) -> bool,
        timeout: Duration,
    ) -> Result<Vec<u8>, Error> {
        let started = Instant::now();
        loop {
            let mut messages = self.mailbox(user)?;
            if let Some(index) = messages.iter().position(|message| wanted(message)) {
                return Ok(messages.swap_remove(index));
            }
            if started.elapsed() > timeout {
                return Err(Error::Waited {
                    user: user.to_owned(),
                    timeout,
                    held: messages.len(),
                    log: self.log(),
                });
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Makes the server forget every UID of a user's INBOX, as after a restore from a backup: the next SELECT
    /// gives another UIDVALIDITY and other UIDs. Open sessions should be cut first.
    ///
    /// # Errors
    /// When the files cannot be changed.
    pub async fn void_uids(&self, user: &str) -> Result<(), Error> {
        // Dovecot takes the second for a new UIDVALIDITY.
        tokio::time::sleep(Duration::from_millis(1_100)).await;
        let maildir = self.servers.folder().join("mail").join(user);
        for entry in fs::read_dir(&maildir)? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if name.starts_with("dovecot") {
                fs::remove_file(&path)?;
            }
        }
        Ok(())
    }
}

fn messages(maildir: &Path) -> Result<Vec<Vec<u8>>, Error> {
    let mut files = Vec::new();
    for part in ["cur", "new"] {
        let Ok(entries) = fs::read_dir(maildir.join(part)) else { continue };
        for entry in entries {
            files.push(entry?.path());
        }
    }
    // A maildir name starts with the second and the microsecond of delivery; a flag never changes that part.
    files.sort_by(|a, b| a.file_name().cmp(&b.file_name()));
    let mut messages = Vec::new();
    for file in files {
        match fs::read(&file) {
            Ok(message) => messages.push(message),
            // It was moved from `new` to `cur` in between; the next look finds it.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(messages)
}
