//! Everything that touches the network or a file.

mod dkim;
mod imap;
mod smtp;
mod tls;

use std::{
    fmt,
    future::Future,
    hash::{BuildHasher, Hasher, RandomState},
    time::Duration,
};

use channel::{Error, ErrorKind};

use crate::config::{Checked, VerifyBy};

use dkim::Dkim;
pub(crate) use imap::Reader;
pub(crate) use smtp::Sender;

/// No command of a mail server takes longer and still means anything.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(60);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);

/// Checks, without a connection, what the settings name outside of themselves.
pub(crate) fn check(config: &Checked) -> Vec<Error> {
    let certificates = [(&config.imap, "imap"), (&config.smtp, "smtp")]
        .map(|(server, table)| tls::extra_certificates(server, table));
    let resolver = match config.verify.by {
        VerifyBy::Dkim => Dkim::new(config.verify.dns_server()).err(),
        VerifyBy::Results | VerifyBy::None => None,
    };
    certificates.into_iter().filter_map(Result::err).chain(resolver).collect()
}

/// Gives up after a while. What was going on is then in an unknown state.
async fn within<T>(limit: Duration, what: &str, work: impl Future<Output = T>) -> Result<T, Error> {
    let late = || Error::retry(format!("{what}: no answer within {} s", limit.as_secs()));
    tokio::time::timeout(limit, work).await.map_err(|_| late())
}

/// How long to wait before the next try: doubling up to a minute, for what only an operator can mend up to five;
/// spread by a quarter so that many gateways do not come back at once.
fn back_off(failures: u32, kind: ErrorKind) -> Duration {
    let most = match kind {
        ErrorKind::Misconfigured | ErrorKind::Refused => 300_000,
        ErrorKind::Retry { .. } | ErrorKind::Ambiguous => 60_000,
    };
    let millis = 500_u64.saturating_mul(1 << failures.min(16)).min(most);
    Duration::from_millis(millis - millis / 4 + random() % (millis / 2))
}

/// Nothing secret hangs on it.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// What a server or a library said, fit for one line of a log.
fn said(error: &dyn fmt::Display) -> String {
    crate::threading::cut(&crate::threading::one_line(&error.to_string()), 300).to_owned()
}
