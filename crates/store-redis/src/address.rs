//! Where the store is, as `store.url` says it. What is wrong is told without the address: there may be a password in it.

use redis::{
    Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, TlsCertificates, io::tcp::TcpSettings,
};
use store::Error;

use crate::link::Options;

/// The address of a server.
const SERVER: &str = "redis://[user:password@]host[:port][/number], or rediss://… for TLS";
/// The address of a master by its sentinels.
const SENTINELS: &str =
    "redis+sentinel://[user:password@]host[:26379][,host…]/MASTER[/number], or rediss+sentinel://… for TLS";
/// The port of a sentinel that names none.
const SENTINEL_PORT: u16 = 26_379;
/// What a sentinel itself asks for, where it does.
const SENTINEL_AUTH: &str = "sentinel=";

/// Where the store is.
pub(crate) enum Place {
    /// On a server, or on a cluster with these nodes and perhaps more.
    Nodes(Vec<ConnectionInfo>),
    /// On the master that sentinels name.
    Master(Box<Sentinels>),
}

/// Sentinels, and which of their masters is meant.
#[derive(Clone)]
pub(crate) struct Sentinels {
    /// Where they are.
    pub(crate) at: Vec<ConnectionInfo>,
    /// The name of the master.
    pub(crate) master: String,
    /// How to connect to it, but for where it is: that is what the sentinels are asked for.
    server: ConnectionInfo,
}

impl Sentinels {
    /// How to connect to the master, which is here.
    pub(crate) fn server(&self, host: String, port: u16) -> ConnectionInfo {
        let mut at = self.server.addr().clone();
        if let ConnectionAddr::Tcp(a, b) | ConnectionAddr::TcpTls { host: a, port: b, .. } = &mut at {
            (*a, *b) = (host, port);
        }
        self.server.clone().set_addr(at)
    }
}

/// Reads the addresses, and the certificates that are to be trusted for them.
pub(crate) fn read(options: &Options) -> Result<(Place, Option<TlsCertificates>), Error> {
    let certificates = certificates(options)?;
    let trusted = |info: ConnectionInfo| match (&certificates, info.addr()) {
        (Some(certificates), ConnectionAddr::TcpTls { .. }) => {
            let client =
                Client::build_with_tls(info, certificates.clone()).map_err(|_| no_certificate(options))?;
            Ok(client.get_connection_info().clone())
        }
        (Some(_), _) => Err(refused(
            "`store.tls_ca` is for TLS, and `store.url` has none; write rediss:// or rediss+sentinel://",
        )),
        (None, _) => Ok(info),
    };
    let Some(first) = options.urls.first() else { return Err(refused("no Redis is named; set `store.url`")) };
    let Some(parts) = Parts::of(first) else {
        if options.urls.iter().any(|url| Parts::of(url).is_some()) {
            return Err(refused("`store.url` names sentinels and servers; name either"));
        }
        let nodes =
            options.urls.iter().map(|url| trusted(node(url, SERVER)?)).collect::<Result<_, Error>>()?;
        return Ok((Place::Nodes(nodes), certificates));
    };
    let mut at = Vec::new();
    for url in &options.urls {
        let these = Parts::of(url).filter(|these| Parts { hosts: parts.hosts, ..*these } == parts);
        let Some(these) = these else {
            let why = "the addresses in `store.url` differ in more than where the sentinels are; name all sentinels in one, \
                       redis+sentinel://host,host,host/MASTER";
            return Err(refused(why));
        };
        for info in these.sentinels()? {
            at.push(trusted(info)?);
        }
    }
    let (master, server) = parts.master()?;
    let sentinels = Sentinels { at, master: master.to_owned(), server: trusted(server)? };
    Ok((Place::Master(Box::new(sentinels)), certificates))
}

/// An address by sentinels, taken apart.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Parts<'a> {
    /// That of the servers.
    scheme: &'a str,
    /// The user and the password for the servers, with the `@`.
    user: &'a str,
    hosts: &'a str,
    /// The master's name, and perhaps the number of the database.
    path: &'a str,
    query: &'a str,
}

impl<'a> Parts<'a> {
    /// Nothing where the address is another sort.
    fn of(url: &'a str) -> Option<Self> {
        let (scheme, rest) = match url.strip_prefix("redis+sentinel://") {
            Some(rest) => ("redis", rest),
            None => ("rediss", url.strip_prefix("rediss+sentinel://")?),
        };
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (rest, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, hosts) = rest.split_at(rest.rfind('@').map_or(0, |at| at + 1));
        Some(Self { scheme, user, hosts, path, query })
    }

    /// How to connect to each sentinel.
    fn sentinels(&self) -> Result<Vec<ConnectionInfo>, Error> {
        let user = match (self.query, self.query.strip_prefix(SENTINEL_AUTH)) {
            ("", _) => String::new(),
            (_, Some(user)) if user.contains(':') => format!("{user}@"),
            _ => {
                let why = "after the `?` of `store.url` stands what the sentinels themselves ask for, \
                           ?sentinel=user:password or ?sentinel=:password";
                return Err(refused(why));
            }
        };
        let one = |host: &str| {
            // The port is behind the last colon, but for those within an IPv6 address.
            let named = host.rsplit(']').next().is_some_and(|rest| rest.contains(':'));
            let port = if named { String::new() } else { format!(":{SENTINEL_PORT}") };
            node(&format!("{}://{user}{host}{port}", self.scheme), SENTINELS)
        };
        self.hosts.split(',').map(one).collect()
    }

    /// The master's name, and how to connect to it.
    fn master(&self) -> Result<(&'a str, ConnectionInfo), Error> {
        let (master, number) = self.path.split_once('/').unwrap_or((self.path, ""));
        // What a sentinel takes as a name.
        if master.is_empty() || !master.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)) {
            return Err(refused(format!(
                "`store.url` names no master behind the sentinels, {SENTINELS}; a name has letters, digits, `-`, `_` and `.`"
            )));
        }
        // The host stands for the one that the sentinels will name.
        let server = node(&format!("{}://{}master/{number}", self.scheme, self.user), SENTINELS)?;
        Ok((master, server))
    }
}

/// Reads the address of one server or sentinel.
fn node(url: &str, form: &str) -> Result<ConnectionInfo, Error> {
    if url.contains('#') {
        return Err(refused(
            "`store.url` ends in `#…`, which is not taken: a certificate is always looked at, and `store.tls_ca` names one \
             to trust; in a password `#` is written %23",
        ));
    }
    let info = url.into_connection_info().map_err(|error| {
        refused(format!(
            "`store.url` is no address of a Redis, {form}; in a password `/`, `?` and `@` are written %2F, %3F and %40 ({})",
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

    fn sentinels(urls: &[&str]) -> Sentinels {
        match read(&options(urls)) {
            Ok((Place::Master(sentinels), None)) => *sentinels,
            Ok(_) => panic!("{urls:?} names no sentinels"),
            Err(error) => panic!("{urls:?}: {error}"),
        }
    }

    #[test]
    fn a_master_is_named_by_its_sentinels() {
        let named =
            sentinels(&["redis+sentinel://ana:s%40fe@a,b:1,[::1],[::2]:3/main.1/7?sentinel=:s3ntinel"]);
        let at: Vec<String> = named.at.iter().map(|info| info.addr().to_string()).collect();
        assert_eq!(at, ["a:26379", "b:1", "::1:26379", "::2:3"]);
        assert_eq!(named.master, "main.1");
        let server = named.server("10.0.0.1".to_owned(), 6379);
        let settings = server.redis_settings();
        assert_eq!((settings.username(), settings.password(), settings.db()), (Some("ana"), Some("s@fe"), 7));
        assert_eq!(*server.addr(), ConnectionAddr::Tcp("10.0.0.1".to_owned(), 6379));
        for sentinel in &named.at {
            let settings = sentinel.redis_settings();
            assert_eq!(
                (settings.username(), settings.password(), settings.db()),
                (None, Some("s3ntinel"), 0)
            );
        }
        let plain = sentinels(&["redis+sentinel://a/main"]);
        let settings = plain.server("b".to_owned(), 1);
        assert_eq!((settings.redis_settings().password(), settings.redis_settings().db()), (None, 0));
        assert_eq!(plain.at.iter().filter_map(|info| info.redis_settings().password()).count(), 0);
    }

    #[test]
    fn several_addresses_name_several_sentinels() {
        let named = sentinels(&["redis+sentinel://:x@a/main", "redis+sentinel://:x@b,c:7/main"]);
        let at: Vec<String> = named.at.iter().map(|info| info.addr().to_string()).collect();
        assert_eq!(at, ["a:26379", "b:26379", "c:7"]);
    }

    #[test]
    fn tls_goes_to_the_sentinels_and_to_the_master() {
        let named = sentinels(&["rediss+sentinel://a,b/main"]);
        let is_tls =
            |info: &ConnectionInfo| matches!(info.addr(), ConnectionAddr::TcpTls { insecure: false, .. });
        assert!(named.at.iter().all(is_tls) && is_tls(&named.server("c".to_owned(), 1)));
    }

    /// Each sort of wrong address is told with what would be right, and never with what stands in it.
    #[test]
    fn what_is_no_address_is_refused_with_its_remedy() {
        for (urls, words) in [
            (&["redis+sentinel://:s3cret@a"][..], "names no master"),
            (&["redis+sentinel://:s3cret@a/"], "names no master"),
            (&["redis+sentinel://:pass/s3cret@a/main"], "%2F"),
            (&["redis+sentinel://:s3cret@a/main/one"], "no address of a Redis"),
            (&["redis+sentinel://:s3cret@/main"], "no address of a Redis"),
            (&["redis+sentinel://:s3cret@a,,b/main"], "no address of a Redis"),
            (&["redis+sentinel://:s3cret@a:port/main"], "host[:26379][,host…]/MASTER"),
            (&["redis+sentinel://a/main?sentinel=s3cret"], "?sentinel=user:password"),
            (&["redis+sentinel://a/main?s3cret=1"], "?sentinel=user:password"),
            (&["redis+sentinel://:s3cret@a/main", "redis+sentinel://:s3cret@b/other"], "in one"),
            (&["redis+sentinel://:s3cret@a/main", "redis+sentinel://:t@b/main"], "in one"),
            (&["redis+sentinel://:s3cret@a/main", "rediss+sentinel://:s3cret@b/main"], "in one"),
            (&["redis+sentinel://:s3cret@a/main", "redis://:s3cret@b"], "in one"),
            (&["redis://:s3cret@b", "redis+sentinel://:s3cret@a/main"], "name either"),
            (&["sentinel://:s3cret@a/main"], "no address of a Redis"),
            (&["rediss://:s3cret@a#insecure"], "tls_ca"),
            (&["rediss+sentinel://:s3cret@a/main#insecure"], "names no master"),
        ] {
            let why = read(&options(urls)).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(why.contains(words) && !why.contains("s3cret"), "{urls:?}: {why}");
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
