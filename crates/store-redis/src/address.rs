//! Where the store is, as `store.url` says it. What is wrong is told without the address: there may be a password in it.

use redis::{
    Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, TlsCertificates, io::tcp::TcpSettings,
};
use store::Error;

use crate::link::Options;

/// The address of a server.
const SERVER: &str = "redis://[user:password@]host[:port][/number], or rediss://… for TLS";
/// Reads the addresses, and the certificates that are to be trusted for them.
pub(crate) fn read(options: &Options) -> Result<(Vec<ConnectionInfo>, Option<TlsCertificates>), Error> {
    let certificates = certificates(options)?;
    let trusted = |info: ConnectionInfo| match (&certificates, info.addr()) {
        (Some(certificates), ConnectionAddr::TcpTls { .. }) => {
            let client =
                Client::build_with_tls(info, certificates.clone()).map_err(|_| no_certificate(options))?;
            Ok(client.get_connection_info().clone())
        }
        (Some(_), _) => Err(refused("`store.tls_ca` is for TLS, and `store.url` has none; write rediss://")),
        (None, _) => Ok(info),
    };
    let nodes = options.urls.iter().map(|url| trusted(node(url)?)).collect::<Result<Vec<_>, Error>>()?;
    match nodes.is_empty() {
        true => Err(refused("no Redis is named; set `store.url`")),
        false => Ok((nodes, certificates)),
    }
}

/// Reads the address of one server.
fn node(url: &str) -> Result<ConnectionInfo, Error> {
    if url.contains('#') {
        return Err(refused(
            "`store.url` ends in `#…`, which is not taken: a certificate is always looked at, and `store.tls_ca` names one \
             to trust; in a password `#` is written %23",
        ));
    }
    let info = url.into_connection_info().map_err(|error| {
        refused(format!(
            "`store.url` is no address of a Redis, {SERVER}; in a password `/`, `?` and `@` are written %2F, %3F and %40 ({})",
            error.category()
        ))
    })?;
    Ok(info.set_tcp_settings(quick()))
}

/// What is to be trusted instead of what the system trusts.
fn certificates(options: &Options) -> Result<Option<TlsCertificates>, Error> {
    let Some(path) = &options.tls_ca else { return Ok(None) };
    let pem = std::fs::read(path)
        .map_err(|error| refused(format!("`store.tls_ca`, {}, cannot be read: {error}", path.display())))?;
    if !pem.windows(BEGIN.len()).any(|part| part == BEGIN) {
        return Err(no_certificate(options));
    }
    Ok(Some(TlsCertificates { client_tls: None, root_cert: Some(pem) }))
}

/// What a certificate in a PEM file begins with.
const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";

fn no_certificate(options: &Options) -> Error {
    let path = options.tls_ca.as_deref().unwrap_or("".as_ref()).display();
    refused(format!("`store.tls_ca`, {path}, is no file of certificates in PEM"))
}

fn refused(why: impl Into<String>) -> Error {
    Error::Refused { why: why.into() }
}

/// Commands are small, and somebody waits for each.
pub(crate) fn quick() -> TcpSettings {
    TcpSettings::default().set_nodelay(true)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::link::{Durability, Time};

    fn options(urls: &[&str]) -> Options {
        Options {
            urls: urls.iter().map(|url| (*url).to_owned()).collect(),
            prefix: "test".to_owned(),
            timeout: Duration::from_secs(1),
            durability: Durability::None,
            time: Time::Server,
            journal: None,
            tls_ca: None,
        }
    }

    /// What is wrong is told with what would be right, and never with what stands in the address.
    #[test]
    fn what_is_no_address_is_refused_with_its_remedy() {
        for (url, words) in [
            ("http://:s3cret@a", "no address of a Redis"),
            ("redis://:pass/s3cret@a", "%2F"),
            ("redis://:s3cret@a/one", "no address of a Redis"),
            ("rediss://:s3cret@a#insecure", "tls_ca"),
        ] {
            let why = read(&options(&[url])).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(why.contains(words) && !why.contains("s3cret"), "{url}: {why}");
        }
    }

    #[test]
    fn certificates_to_trust_are_read_at_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let with = |url: &str, file: &str| {
            let read = read(&Options { tls_ca: Some(folder.path().join(file)), ..options(&[url]) });
            read.err().map(|error| error.to_string()).unwrap_or_default()
        };
        std::fs::write(folder.path().join("empty.pem"), "").expect("a file");
        std::fs::write(
            folder.path().join("broken.pem"),
            "-----BEGIN CERTIFICATE-----\n&\n-----END CERTIFICATE-----",
        )
        .expect("a file");
        assert!(with("rediss://a", "none.pem").contains("cannot be read"));
        for file in ["empty.pem", "broken.pem"] {
            let why = with("rediss://a", file);
            assert!(why.contains("store.tls_ca") && why.contains("PEM"), "{why}");
        }
        assert!(with("redis://a", "broken.pem").contains("write rediss://"));
    }
}
