//! What a Redis can say no with, as an operator would want to hear it.

use std::time::Duration;

use redis::{ConnectionAddr, ConnectionInfo, ErrorKind, RedisError, ServerErrorKind};
use store::Error;

/// The store is away, and why.
pub(crate) fn away(error: &RedisError) -> Error {
    let why = match error.code() {
        Some("OOM") => {
            "Redis is full and takes nothing more; raise its `maxmemory`, or let old conversations go"
                .to_owned()
        }
        Some("MISCONF") => {
            "Redis cannot write its files (a full disk?) and takes nothing until it can; its own log says why"
                .to_owned()
        }
        Some("READONLY") => "this Redis is a replica; the master is elsewhere, or is being chosen".to_owned(),
        Some("NOAUTH" | "WRONGPASS") => {
            "Redis does not know this user or password; see `store.url`".to_owned()
        }
        Some("NOPERM") => format!(
            "the user of `store.url` may not do that in Redis; `deploy/README.md` lists what it needs ({})",
            error.detail().unwrap_or_default()
        ),
        Some(_) | None if error.kind() == ErrorKind::AuthenticationFailed => {
            "Redis does not know this user or password; see `store.url`".to_owned()
        }
        Some("NOREPLICAS") => {
            "Redis takes nothing while too few replicas follow it (its `min-replicas-to-write`)".to_owned()
        }
        Some(_) | None if error.is_timeout() => "Redis did not answer in time".to_owned(),
        Some(_) | None if error.kind() == ErrorKind::MasterNameNotFoundBySentinel => {
            error.detail().unwrap_or("there is no master").to_owned()
        }
        Some(_) | None => tls(error).unwrap_or_else(|| format!("Redis: {error}")),
    };
    Error::Away { why }
}

/// What is wrong with the protection of the connection, if that is it. The library tells it in words only.
fn tls(error: &RedisError) -> Option<String> {
    let said = error.to_string();
    if let Some((_, why)) = said.split_once("invalid peer certificate: ") {
        return Some(format!(
            "the certificate of Redis is not trusted ({why}); name that of its authority in `store.tls_ca`, or write the name \
             that stands in it"
        ));
    }
    let plain = said.contains("received corrupt message");
    plain.then(|| {
        "Redis does not speak TLS on this port; name its `tls-port`, or write redis:// for rediss://"
            .to_owned()
    })
}

/// What a sentinel says no with.
pub(crate) fn of_sentinel(error: &RedisError) -> String {
    match error.code() {
        Some("NOAUTH" | "WRONGPASS") => stranger(),
        Some("NOPERM") => "the user may not ask the sentinel for the master".to_owned(),
        Some("ERR") if error.detail().is_some_and(|said| said.starts_with("unknown command")) => {
            "this is no sentinel; redis:// is for a server".to_owned()
        }
        Some(_) | None if error.kind() == ErrorKind::AuthenticationFailed => stranger(),
        Some(_) | None if error.is_timeout() => "the sentinel did not answer in time".to_owned(),
        Some(_) | None => tls(error).unwrap_or_else(|| error.to_string()),
    }
}

fn stranger() -> String {
    "the sentinel does not know this user or password; behind the master's name stands what it asks for, \
     ?sentinel=user:password"
        .to_owned()
}

/// A script that is not called before the store has looked at the server; as if the server did not know it.
pub(crate) fn unmet() -> RedisError {
    (ErrorKind::Server(ServerErrorKind::NoScript), "this server was not looked at yet").into()
}

/// What did not come in time.
pub(crate) fn late() -> RedisError {
    std::io::Error::from(std::io::ErrorKind::TimedOut).into()
}

/// A server that did not answer when it was connected to. One that does not speak TLS may say nothing to it.
pub(crate) fn late_at(info: &ConnectionInfo, after: Duration) -> Error {
    let what = format!("Redis at {} did not answer within {after:?}", info.addr());
    let may_be_plain = matches!(info.addr(), ConnectionAddr::TcpTls { .. });
    let why = if may_be_plain { format!("{what}; is this its `tls-port`?") } else { what };
    Error::Away { why }
}

/// Whether a server refused a command because it is no master any more.
pub(crate) fn is_demoted(error: &RedisError) -> bool {
    [ServerErrorKind::ReadOnly, ServerErrorKind::MasterDown].map(ErrorKind::Server).contains(&error.kind())
}

/// The same of one server, while it is connected to.
pub(crate) fn away_at(info: &ConnectionInfo, error: &RedisError) -> Error {
    let is_plain = !matches!(info.addr(), ConnectionAddr::TcpTls { .. });
    let is_cut = error.is_connection_dropped() && !error.is_connection_refusal();
    let hint = if is_plain && is_cut { "; where it wants TLS, write rediss://" } else { "" };
    match away(error) {
        Error::Away { why } => Error::Away { why: format!("{why} (at {}){hint}", info.addr()) },
        other @ (Error::Conflict { .. }
        | Error::Duplicate { .. }
        | Error::NotAtRest { .. }
        | Error::Fenced { .. }
        | Error::Unreadable { .. }
        | Error::InUse { .. }
        | Error::Refused { .. }) => other,
    }
}

/// Whether a command may have been carried out although it failed.
pub(crate) fn is_unsure(error: &RedisError) -> bool {
    match error.kind() == ErrorKind::Io {
        true => !error.is_connection_refusal(),
        false => error.kind() == ErrorKind::Parse,
    }
}

/// Whether trying again may help, soon.
pub(crate) fn may_pass(error: &RedisError) -> bool {
    use ErrorKind::{ClusterConnectionNotFound, Io, MasterNameNotFoundBySentinel};
    use ServerErrorKind::{BusyLoading, ClusterDown, MasterDown, ReadOnly, TryAgain};
    let passing = [BusyLoading, TryAgain, ClusterDown, MasterDown, ReadOnly].map(ErrorKind::Server);
    passing.contains(&error.kind())
        || [Io, ClusterConnectionNotFound, MasterNameNotFoundBySentinel].contains(&error.kind())
        || error.code() == Some("NOREPLICAS")
}

/// What stands in the store is not what this build wrote.
pub(crate) fn damaged(what: impl std::fmt::Display) -> Error {
    Error::Away { why: format!("the store is damaged, or another program changed it: {what}") }
}
