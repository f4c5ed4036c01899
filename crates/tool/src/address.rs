//! Which addresses an HTTP tool may reach.
//!
//! Invariant: an address is public only when no registry entry says otherwise; what is not understood is not public.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use async_trait::async_trait;
use reqwest::Url;

/// Finds the addresses of a host. A seam, so that a test can play a name server that changes its mind.
#[async_trait]
pub(crate) trait Resolve: Send + Sync {
    /// All addresses of the host.
    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>>;
}

/// The resolver of the operating system.
pub(crate) struct System;

#[async_trait]
impl Resolve for System {
    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok(tokio::net::lookup_host((host, port)).await?.collect())
    }
}

/// What an address is, if it is not one of the public Internet.
pub(crate) fn not_public(ip: IpAddr) -> Option<&'static str> {
    match ip {
        IpAddr::V4(ip) => not_public_v4(ip),
        IpAddr::V6(ip) => not_public_v6(ip),
    }
}

fn not_public_v4(ip: Ipv4Addr) -> Option<&'static str> {
    match ip.octets() {
        [0, ..] => Some("of this network"),
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Some("private"),
        [100, 64..=127, ..] => Some("of a carrier's network"),
        [127, ..] => Some("loopback"),
        [169, 254, ..] => Some("link-local"),
        // A cloud provider's own service to its machines, although the range is public.
        [168, 63, 129, 16] => Some("a cloud provider's internal service"),
        [192, 0, 0, _] | [192, 88, 99, _] => Some("reserved for protocols"),
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => Some("for documentation"),
        [198, 18..=19, ..] => Some("for benchmarks"),
        [224..=239, ..] => Some("multicast"),
        [240..=255, ..] => Some("reserved"),
        [1..=223, ..] => None,
    }
}

fn not_public_v6(ip: Ipv6Addr) -> Option<&'static str> {
    let [a, b, c, d, e, f, g, h] = ip.segments();
    let embedded = || {
        let [hi, lo] = [g.to_be_bytes(), h.to_be_bytes()];
        Ipv4Addr::new(hi[0], hi[1], lo[0], lo[1])
    };
    match [a, b, c, d, e, f] {
        [0, 0, 0, 0, 0, 0] => Some("loopback, unspecified or an old form of IPv4"),
        // The same machine as the IPv4 address in it, so judged by that.
        [0, 0, 0, 0, 0, 0xffff] | [0x64, 0xff9b, 0, 0, 0, 0] => not_public_v4(embedded()),
        [0xfc00..=0xfdff, ..] => Some("private"),
        [0xfe80..=0xfebf, ..] => Some("link-local"),
        [0xff00..=0xffff, ..] => Some("multicast"),
        [0x2001, 0..=0x1ff, ..] => Some("reserved for protocols"),
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Some("for documentation"),
        [0x2002, ..] => Some("a tunnel to an IPv4 address"),
        [0x2000..=0x3fff, ..] => None,
        _ => Some("not of the public Internet"),
    }
}

/// True when `host` and `port` of a URL stand in the list.
pub(crate) fn is_allowed(allow: &[String], host: &str, port: u16) -> bool {
    allow.iter().filter_map(|entry| Allowed::parse(entry)).any(|allowed| {
        allowed.host == host.trim_end_matches('.') && allowed.port.is_none_or(|allowed| allowed == port)
    })
}

/// True when the text is a host, or a host and a port.
pub(crate) fn is_entry(entry: &str) -> bool {
    Allowed::parse(entry).is_some()
}

struct Allowed {
    host: String,
    port: Option<u16>,
}

impl Allowed {
    /// Reads `host` or `host:port` as a URL would, so that both sides are in one form.
    fn parse(entry: &str) -> Option<Self> {
        if entry.contains(['/', '?', '#', '@', '\\']) {
            return None;
        }
        let url = Url::parse(&format!("http://{entry}")).ok()?;
        // A URL forgets the port that its scheme implies.
        let port = url.port().or(entry.ends_with(":80").then_some(80));
        Some(Self { host: url.host_str()?.trim_end_matches('.').to_owned(), port })
    }
}

/// The address, when the host of a URL is one. The URL has turned decimal, octal and hexadecimal forms into dots.
pub(crate) fn literal(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_are_public() {
        for text in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "10.255.255.255",
            "100.64.0.1",
            "100.100.100.200",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.0.1",
            "169.254.169.254",
            "168.63.129.16",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.0.192",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.1",
            "192.168.255.255",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.255",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::2",
            "::127.0.0.1",
            "::8.8.8.8",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "::ffff:0:127.0.0.1",
            "64:ff9b::127.0.0.1",
            "64:ff9b::10.1.2.3",
            "64:ff9b::169.254.169.254",
            "64:ff9b:1::1",
            "64:ff9b:1:0:0:0:808:808",
            "100::1",
            "100:0:0:1::1",
            "2001::1",
            "2001:0:53aa:64c::1",
            "2001:2::1",
            "2001:10::1",
            "2001:20::1",
            "2001:1ff:ffff::1",
            "2001:db8::1",
            "2001:db8:ffff::1",
            "2002::1",
            "2002:7f00:1::",
            "2002:a00:1::1",
            "2002:808:808::1",
            "3fff::1",
            "3fff:fff::1",
            "4000::1",
            "5f00::1",
            "fc00::1",
            "fd00::1",
            "fd00:ec2::254",
            "fdff:ffff::1",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "ff02::1",
            "ff0e::1",
            "ffff::1",
            "1::1",
        ] {
            let ip: IpAddr = text.parse().unwrap();
            assert!(not_public(ip).is_some(), "{text} was taken for public");
        }
        for text in [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.1",
            "100.63.255.255",
            "100.128.0.1",
            "126.0.0.1",
            "128.0.0.1",
            "168.63.129.17",
            "169.253.0.1",
            "169.255.0.1",
            "172.15.255.255",
            "172.32.0.1",
            "192.0.1.1",
            "192.0.3.1",
            "192.167.0.1",
            "192.169.0.1",
            "198.17.0.1",
            "198.20.0.1",
            "198.51.101.1",
            "203.0.114.1",
            "223.255.255.255",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
            "2001:200::1",
            "2001:4860:4860::8888",
            "2001:db7::1",
            "2003::1",
            "2606:4700:4700::1111",
            "2a00:1450::1",
            "3ffe::1",
            "3fff:1000::1",
        ] {
            let ip: IpAddr = text.parse().unwrap();
            assert_eq!(not_public(ip), None, "{text}");
        }
    }

    #[test]
    fn odd_forms_of_an_address_are_seen_through() {
        for (host, address) in [
            ("2130706433", "127.0.0.1"),
            ("0x7f000001", "127.0.0.1"),
            ("0x7f.1", "127.0.0.1"),
            ("0177.0.0.1", "127.0.0.1"),
            ("127.1", "127.0.0.1"),
            ("127.0.0.1.", "127.0.0.1"),
            ("017700000001", "127.0.0.1"),
            ("①②⑦.0.0.1", "127.0.0.1"),
            ("%31%32%37.0.0.1", "127.0.0.1"),
            ("0xa9.0xfe.0xa9.0xfe", "169.254.169.254"),
            ("2852039166", "169.254.169.254"),
            ("0", "0.0.0.0"),
            ("[::1]", "::1"),
            ("[0:0:0:0:0:ffff:7f00:1]", "::ffff:127.0.0.1"),
            ("[::ffff:127.0.0.1]", "::ffff:127.0.0.1"),
        ] {
            let url = Url::parse(&format!("http://{host}/")).unwrap();
            let ip = literal(url.host_str().unwrap());
            assert_eq!(ip, Some(address.parse().unwrap()), "{host}");
            assert!(not_public(ip.unwrap()).is_some(), "{host}");
        }
        for host in ["localhost", "localtest.me", "1.2.3.4.example", "127-0-0-1.example"] {
            assert_eq!(literal(host), None, "{host}");
        }
    }

    #[test]
    fn the_list_of_private_hosts_is_exact() {
        let allow: Vec<String> =
            ["Localhost", "127.0.0.1:8080", "[::1]:80", "intern.example"].map(String::from).to_vec();
        for (host, port, expected) in [
            ("localhost", 80, true),
            ("localhost", 9999, true),
            ("localhost.", 80, true),
            ("localhost.example", 80, false),
            ("127.0.0.1", 8080, true),
            ("127.0.0.1", 8081, false),
            ("[::1]", 80, true),
            ("[::1]", 8080, false),
            ("intern.example", 443, true),
            ("a.intern.example", 443, false),
            ("xintern.example", 443, false),
        ] {
            assert_eq!(is_allowed(&allow, host, port), expected, "{host}:{port}");
        }
        for entry in ["", "a b", "http://x", "x/y", "u@x", "*.example:port", ":80"] {
            assert!(!is_entry(entry), "{entry} was taken");
        }
    }
}
