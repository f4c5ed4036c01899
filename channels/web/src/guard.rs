//! Whether a request may come in at all. Pure: looks at headers, does nothing.
//!
//! A page on loopback is reachable by every page that a browser shows. Three things keep those out: the name in `Host`
//! must be one of ours (a foreign name that was made to resolve to us is refused), a request that changes something
//! must come from our own page, and it must be JSON, which no foreign form can send.

use std::net::SocketAddr;

use axum::http::{HeaderMap, HeaderName, Method, StatusCode, Uri, header};

/// The names under which the page may be reached.
pub(crate) struct Hosts {
    listen: SocketAddr,
    further: Vec<String>,
}

/// Why a request may not come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Foreign {
    /// It asks for a name that is not ours.
    Host,
    /// It does not come from our page.
    Origin,
    /// It is not JSON.
    Kind,
    /// It came through a proxy to a page where everybody is the local person.
    Proxy,
}

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

impl Hosts {
    pub(crate) fn new(listen: SocketAddr, further: &[String]) -> Self {
        Self { listen, further: further.iter().map(|host| host.to_ascii_lowercase()).collect() }
    }

    /// The same with the port that was really bound, where the settings left it to the system.
    pub(crate) fn bound(&self, listen: SocketAddr) -> Self {
        Self { listen, further: self.further.clone() }
    }

    /// The port of the page.
    pub(crate) fn port(&self) -> u16 {
        self.listen.port()
    }

    /// Whether this `name` or `name:port` is ours.
    fn has(&self, authority: &str) -> bool {
        let authority = authority.to_ascii_lowercase();
        let (name, port) = split(&authority);
        let standard = matches!(port, None | Some("80" | "443"));
        if self.further.iter().any(|host| *host == authority || (standard && host == name)) {
            return true;
        }
        if port.unwrap_or("80").parse() != Ok(self.listen.port()) {
            return false;
        }
        let ip = self.listen.ip();
        if ip.is_loopback() || ip.is_unspecified() {
            return matches!(name, "localhost" | "127.0.0.1" | "[::1]");
        }
        name.trim_matches(['[', ']']) == ip.to_string()
    }

    /// Whether a request may come in.
    pub(crate) fn admit(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<(), Foreign> {
        let host = only(headers, &header::HOST).filter(|host| self.has(host)).ok_or(Foreign::Host)?;
        if uri.authority().is_some_and(|authority| !authority.as_str().eq_ignore_ascii_case(host)) {
            return Err(Foreign::Host);
        }
        if method == Method::GET || method == Method::HEAD {
            return Ok(());
        }
        if !self.own(headers) {
            return Err(Foreign::Origin);
        }
        let kind = only(headers, &header::CONTENT_TYPE).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if kind.eq_ignore_ascii_case("application/json") { Ok(()) } else { Err(Foreign::Kind) }
    }

    fn own(&self, headers: &HeaderMap) -> bool {
        if !headers.contains_key(header::ORIGIN) {
            return only(headers, &SEC_FETCH_SITE) == Some("same-origin");
        }
        let origin = only(headers, &header::ORIGIN).unwrap_or_default();
        let authority = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
        authority.is_some_and(|authority| self.has(authority))
    }
}

impl Foreign {
    /// The answer's status.
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::Host => StatusCode::MISDIRECTED_REQUEST,
            Self::Origin | Self::Proxy => StatusCode::FORBIDDEN,
            Self::Kind => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        }
    }

    /// The answer in words.
    pub(crate) fn what(self) -> &'static str {
        match self {
            Self::Host => {
                "This page is not served under that name. Its names are set by `hosts` in the configuration."
            }
            Self::Origin => "This request does not come from the page itself.",
            Self::Kind => "This request is not JSON.",
            Self::Proxy => {
                "This page has no people with tokens, so it does not answer through a proxy. Set `people` and `hosts` in \
                 the configuration."
            }
        }
    }
}

/// Whether a name, with or without a port, can only mean this machine.
pub(crate) fn is_loopback_name(authority: &str) -> bool {
    let (name, _) = split(authority);
    matches!(name.to_ascii_lowercase().as_str(), "localhost" | "127.0.0.1" | "[::1]")
}

/// Whether a request came through a proxy that says so.
pub(crate) fn is_proxied(headers: &HeaderMap) -> bool {
    ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip"]
        .iter()
        .any(|name| headers.contains_key(*name))
}

/// The value of a header that is there exactly once.
pub(crate) fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

/// The value of our cookie, if it is there.
pub(crate) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
}

fn split(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
        _ => (authority, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admit(method: &Method, pairs: &[(&'static str, &'static str)]) -> Result<(), Foreign> {
        let hosts = Hosts::new("127.0.0.1:7420".parse().unwrap(), &["chat.example.com".to_owned()]);
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        hosts.admit(method, &Uri::from_static("/"), &headers)
    }

    #[test]
    fn only_our_names_are_served() {
        for host in [
            "localhost:7420",
            "127.0.0.1:7420",
            "[::1]:7420",
            "LOCALHOST:7420",
            "chat.example.com",
            "chat.example.com:443",
        ] {
            assert_eq!(admit(&Method::GET, &[("host", host)]), Ok(()), "{host}");
        }
        for host in [
            "evil.example",
            "localhost",
            "localhost:80",
            "127.0.0.1:7421",
            "chat.example.com:7420",
            "x.chat.example.com",
            "",
            "[",
            ":",
        ] {
            assert_eq!(admit(&Method::GET, &[("host", host)]), Err(Foreign::Host), "{host}");
        }
        assert_eq!(admit(&Method::GET, &[]), Err(Foreign::Host));
        assert_eq!(
            admit(&Method::GET, &[("host", "localhost:7420"), ("host", "evil.example")]),
            Err(Foreign::Host)
        );
    }

    #[test]
    fn only_our_page_changes_anything() {
        let json = ("content-type", "application/json");
        let host = ("host", "localhost:7420");
        let post = |pairs: &[(&'static str, &'static str)]| admit(&Method::POST, pairs);
        assert_eq!(post(&[host, json, ("origin", "http://localhost:7420")]), Ok(()));
        assert_eq!(post(&[host, json, ("origin", "https://chat.example.com")]), Ok(()), "behind a proxy");
        assert_eq!(post(&[host, json, ("sec-fetch-site", "same-origin")]), Ok(()));
        for origin in [
            "http://localhost:3000",
            "null",
            "https://evil.example",
            "localhost:7420",
            "http://localhost:7420/",
        ] {
            assert_eq!(post(&[host, json, ("origin", origin)]), Err(Foreign::Origin), "{origin}");
        }
        assert_eq!(post(&[host, json]), Err(Foreign::Origin));
        assert_eq!(post(&[host, json, ("sec-fetch-site", "cross-site")]), Err(Foreign::Origin));
        assert_eq!(post(&[host, ("origin", "http://localhost:7420")]), Err(Foreign::Kind));
        assert_eq!(
            post(&[host, ("content-type", "text/plain"), ("origin", "http://localhost:7420")]),
            Err(Foreign::Kind)
        );
        assert_eq!(admit(&Method::DELETE, &[host, json]), Err(Foreign::Origin));
    }

    #[test]
    fn reads_our_cookie_among_others() {
        let mut headers = HeaderMap::new();
        headers.append("cookie", "a=1; web=x.1.f; web2=y".parse().unwrap());
        assert_eq!(cookie(&headers, "web"), Some("x.1.f"));
        assert_eq!(cookie(&headers, "eb"), None);
    }
}
