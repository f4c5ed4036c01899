//! What can go wrong with the mail servers.

use std::{io, time::Duration};

/// Why the mail servers did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Programs are not installed.
    #[error(
        "the mail tests need real mail servers, and {} is not installed; run: apt-get install --no-install-recommends {}",
        .programs.join(", "), .packages.join(" ")
    )]
    Missing {
        /// What was looked for.
        programs: Vec<&'static str>,
        /// The Debian packages that bring it.
        packages: Vec<&'static str>,
    },
    /// The version of a program is one whose configuration this crate cannot write.
    #[error("this Dovecot is version {0}; the configuration written here is for 2.3 (Debian 12)")]
    Version(String),
    /// A name or password that would need quoting, or a user that does not exist.
    #[error("`{0}` is not a user or password of these servers: letters, digits, `-`, `_` and `.` only")]
    User(String),
    /// A command that prepares the servers failed.
    #[error("`{command}` failed: {output}")]
    Command {
        /// What was run.
        command: String,
        /// What it wrote.
        output: String,
    },
    /// The servers did not answer in time.
    #[error("the mail servers did not start; their log:\n{0}")]
    NotUp(String),
    /// The SMTP server refused.
    #[error("the SMTP server answered `{answer}` to {step}")]
    Smtp {
        /// In which step.
        step: String,
        /// Its words.
        answer: String,
    },
    /// A message did not come.
    #[error(
        "no such message for {user} within {timeout:?} ({held} others are there); the servers' log:\n{log}"
    )]
    Waited {
        /// Whose mailbox.
        user: String,
        /// How long.
        timeout: Duration,
        /// How many other messages it holds.
        held: usize,
        /// What the servers wrote.
        log: String,
    },
    /// A file or a connection failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}
