//! The settings of an email channel, and what is wrong with them.

use channel::{Error, Span};
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::Deserialize;

use crate::address::{Addr, Claim};

/// The longest part that the gateway adds before the `@`: `+q.` and a ticket.
const DETAIL_LEN_MAX: usize = 3 + 48;
/// RFC 5321, 4.5.3.1.1.
const LOCAL_LEN_MAX: usize = 64;

/// An email mailbox: read over IMAP, answered over SMTP.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The address that people write to, and that answers come from: `"support@example.com"`. If it has a plus-part
    /// itself (`"me+bot@example.com"`), mail to anything but that plus-part is left alone.
    pub address: String,
    /// The name shown beside the address.
    #[serde(default)]
    pub name: Option<String>,
    /// Another address of the same mailbox, used in Reply-To, where the part before the `@` of `address` has more
    /// than 13 characters: answers to approvals come back to `bot+q.<a long code>@example.com`. The provider must
    /// deliver plus-addresses (`bot+anything@`) to the mailbox.
    #[serde(default)]
    pub reply_address: Option<String>,
    /// Where mail is read.
    pub imap: Imap,
    /// Where mail is sent.
    pub smtp: Smtp,
    /// How a sender is verified. Without a verdict a mail may talk to an agent, and can never answer an approval.
    #[serde(default)]
    pub verify: Verify,
    /// What is too much.
    #[serde(default)]
    pub limits: Limits,
}

/// Where mail is read.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Imap {
    /// The server: `"imap.example.com"`.
    pub host: String,
    /// Its port; 993 for `tls`, 143 otherwise.
    #[serde(default)]
    pub port: Option<u16>,
    /// How the connection is protected: `"tls"`, `"starttls"`, or `"plain"` (loopback only).
    #[serde(default)]
    pub tls: Tls,
    /// The user to log in as; the channel's `address` if left out.
    #[serde(default)]
    pub user: Option<String>,
    /// The environment variable that holds the password.
    pub password_env: String,
    /// The mailbox to read. Only one gateway may read it. A name that is not ASCII is written as IMAP writes it
    /// (`"B&APw-ro"` for `Büro`).
    #[serde(default = "default_mailbox")]
    pub mailbox: String,
    /// A folder to move mail to once it was taken. Left out, mail stays and is marked as seen.
    #[serde(default)]
    pub processed: Option<String>,
    /// Where to begin in a mailbox that was never read before: `"unseen"` takes the unseen mail of the last
    /// seven days, `"now"` leaves everything in it alone.
    #[serde(default)]
    pub begin: Begin,
    /// How often to look where the server cannot say by itself that mail came (no IDLE).
    #[serde(default = "default_poll")]
    pub poll: Span,
    /// A file of certificates (PEM) to trust beside the system's.
    #[serde(default)]
    pub ca_file: Option<String>,
}

/// Where mail is sent.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Smtp {
    /// The server: `"smtp.example.com"`.
    pub host: String,
    /// Its port; 465 for `tls`, 587 for `starttls`, 25 for `plain`.
    #[serde(default)]
    pub port: Option<u16>,
    /// How the connection is protected: `"tls"`, `"starttls"`, or `"plain"` (loopback only).
    #[serde(default)]
    pub tls: Tls,
    /// The user to log in as; the channel's `address` if left out.
    #[serde(default)]
    pub user: Option<String>,
    /// The environment variable that holds the password. Left out, nobody logs in; that needs a loopback server.
    #[serde(default)]
    pub password_env: Option<String>,
    /// A file of certificates (PEM) to trust beside the system's.
    #[serde(default)]
    pub ca_file: Option<String>,
}

/// How a connection is protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Tls {
    /// TLS from the first byte.
    #[default]
    Tls,
    /// TLS after a command; the connection ends if the server does not offer it.
    Starttls,
    /// None at all. Only to this machine itself.
    Plain,
}

/// Where to begin in a mailbox that was never read before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Begin {
    /// With the mail of the last seven days that nobody has seen.
    #[default]
    Unseen,
    /// With the mail that comes from now on.
    Now,
}

/// How a sender is verified.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Verify {
    /// `"dkim"`: the gateway checks the DKIM signature itself and asks the DNS for the key. `"results"`: it believes
    /// the `Authentication-Results` line that the mail provider's own server (`authserv`) wrote. `"none"`: nobody is
    /// ever verified.
    #[serde(default)]
    pub by: VerifyBy,
    /// For `"results"`: the name at the start of that line, as in `Authentication-Results: mx.example.com; ...`.
    #[serde(default)]
    pub authserv: Option<String>,
    /// For `"results"`: how many `Received` lines the provider's own servers write above that line. Look at the
    /// source of any mail that came in: 0 where the line is above all of them, 2 at some large providers. Lines
    /// further below were in the mail before it came, and are never believed.
    #[serde(default)]
    pub received_above: u8,
    /// For `"dkim"`: the address of a DNS server, `"127.0.0.1:53"`; the system's own if left out.
    #[serde(default)]
    pub dns: Option<String>,
}

impl Verify {
    pub(crate) fn dns_server(&self) -> Option<std::net::SocketAddr> {
        self.dns.as_deref().and_then(|dns| dns.parse().ok())
    }
}

/// Who verifies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum VerifyBy {
    /// The gateway, by the mail's DKIM signature.
    #[default]
    Dkim,
    /// The provider's server, in an `Authentication-Results` line.
    Results,
    /// Nobody.
    None,
}

/// What is too much. A mail above a limit costs a line in the log and nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// The largest mail that is read, in bytes, attachments in their coding included.
    pub message_bytes: u32,
    /// The most header lines of a mail.
    pub headers: usize,
    /// The most parts of a mail, attachments included.
    pub parts: usize,
    /// How deep parts may lie in parts.
    pub depth: usize,
    /// The most attachments that are kept; the others are named only.
    pub attachments: usize,
    /// The largest attachment that is kept, in bytes; a larger one is named only.
    pub attachment_bytes: usize,
    /// The most text that is taken from a mail, in bytes; the rest is cut off with a mark.
    pub text_bytes: usize,
    /// The most mails sent in one conversation within an hour; more wait. It stops two robots that answer each other.
    /// To an address that nobody proved, the most in all its conversations together: it may be anybody's.
    pub sent_per_hour: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_bytes: 25 * 1024 * 1024,
            headers: 500,
            parts: 200,
            depth: 12,
            attachments: 20,
            attachment_bytes: 10 * 1024 * 1024,
            text_bytes: 256 * 1024,
            sent_per_hour: 30,
        }
    }
}

fn default_mailbox() -> String {
    "INBOX".into()
}

fn default_poll() -> Span {
    Span::seconds(60)
}

/// Settings that were checked: addresses parsed, ports filled in, passwords at hand.
#[derive(Clone, Debug)]
pub(crate) struct Checked {
    pub(crate) address: Addr,
    pub(crate) name: Option<String>,
    /// What Reply-To is made from.
    pub(crate) reply: Addr,
    pub(crate) imap: Server,
    pub(crate) smtp: Server,
    pub(crate) mailbox: String,
    pub(crate) processed: Option<String>,
    pub(crate) begin: Begin,
    pub(crate) poll: std::time::Duration,
    pub(crate) verify: Verify,
    pub(crate) limits: Limits,
}

/// A server to connect to.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) tls: Tls,
    pub(crate) login: Option<Login>,
    pub(crate) ca_file: Option<String>,
}

/// A user and a password; the password's `Debug` shows nothing.
#[derive(Clone, Debug)]
pub(crate) struct Login {
    pub(crate) user: String,
    pub(crate) password: SecretString,
    /// Where the password came from, for a remedy.
    pub(crate) env: String,
}

impl Checked {
    /// True for the addresses of this mailbox, plus-parts or not.
    pub(crate) fn is_ours(&self, address: &Addr) -> bool {
        self.address.claim(address) != Claim::Other || self.reply.claim(address) != Claim::Other
    }
}

impl Settings {
    /// Checks everything that can be checked without a connection, and finds all faults at once.
    pub(crate) fn check(self, secret: &dyn Fn(&str) -> Option<SecretString>) -> Result<Checked, Vec<Error>> {
        let mut faults = Faults::default();
        let address = faults.address("address", &self.address);
        let reply = match &self.reply_address {
            Some(text) => faults.address("reply_address", text),
            None => address.clone(),
        };
        if let Some(reply) = &reply {
            faults.room_for_ticket(reply, self.reply_address.is_some());
        }
        faults.protection("imap", &self.imap.host, self.imap.tls);
        faults.protection("smtp", &self.smtp.host, self.smtp.tls);
        let imap_login = faults.login("imap", self.imap.user, &self.address, &self.imap.password_env, secret);
        let smtp_login = match &self.smtp.password_env {
            Some(env) => faults.login("smtp", self.smtp.user, &self.address, env, secret),
            None => {
                if !is_loopback(&self.smtp.host) {
                    faults.add(
                        "smtp.password_env is missing",
                        "name the environment variable that holds the SMTP password; only a server on this machine \
                         is used without one",
                    );
                }
                None
            }
        };
        faults.verify(&self.verify);
        faults.limits(&self.limits);
        if self.imap.poll < Span::seconds(1) {
            faults.add("imap.poll is shorter than a second", "write for example \"1m\"");
        }
        for (key, name) in
            [("mailbox", Some(&self.imap.mailbox)), ("processed", self.imap.processed.as_ref())]
        {
            if name.is_some_and(|name| {
                name.is_empty() || !name.chars().all(|c| c.is_ascii() && !c.is_ascii_control())
            }) {
                faults.add(
                    format!("imap.{key} is not a name that IMAP takes"),
                    "write it in ASCII (modified UTF-7)",
                );
            }
        }
        if self.imap.processed.as_deref() == Some(self.imap.mailbox.as_str()) {
            faults.add("imap.processed is the mailbox itself", "name another folder, or leave it out");
        }
        let (Some(address), Some(reply)) = (address, reply) else { return Err(faults.found) };
        if !faults.found.is_empty() {
            return Err(faults.found);
        }
        let imap_port = match self.imap.tls {
            Tls::Tls => 993,
            Tls::Starttls | Tls::Plain => 143,
        };
        let smtp_port = match self.smtp.tls {
            Tls::Tls => 465,
            Tls::Starttls => 587,
            Tls::Plain => 25,
        };
        Ok(Checked {
            address,
            name: self.name,
            reply,
            imap: Server {
                host: self.imap.host,
                port: self.imap.port.unwrap_or(imap_port),
                tls: self.imap.tls,
                login: imap_login,
                ca_file: self.imap.ca_file,
            },
            smtp: Server {
                host: self.smtp.host,
                port: self.smtp.port.unwrap_or(smtp_port),
                tls: self.smtp.tls,
                login: smtp_login,
                ca_file: self.smtp.ca_file,
            },
            mailbox: self.imap.mailbox,
            processed: self.imap.processed,
            begin: self.imap.begin,
            poll: self.imap.poll.0,
            verify: self.verify,
            limits: self.limits,
        })
    }
}

/// What is wrong, all of it.
#[derive(Default)]
struct Faults {
    found: Vec<Error>,
}

impl Faults {
    fn add(&mut self, what: impl Into<String>, remedy: impl Into<String>) {
        self.found.push(Error::misconfigured(what, remedy));
    }

    fn address(&mut self, key: &str, text: &str) -> Option<Addr> {
        let address = Addr::parse(text);
        if address.is_none() {
            self.add(
                format!("{key} = \"{text}\" is not a mail address"),
                "write for example \"support@example.com\"",
            );
        }
        address
    }

    fn room_for_ticket(&mut self, reply: &Addr, is_own_key: bool) {
        let most = LOCAL_LEN_MAX - DETAIL_LEN_MAX;
        if reply.local().len() > most {
            let key = if is_own_key { "reply_address" } else { "address" };
            self.add(
                format!("{key} = \"{reply}\" leaves no room for the code that an answer to an approval carries"),
                format!(
                    "the part before the @ may have {most} characters; set reply_address to a shorter address of the \
                     same mailbox"
                ),
            );
        }
    }

    fn protection(&mut self, table: &str, host: &str, tls: Tls) {
        if host.is_empty() {
            self.add(format!("{table}.host is empty"), "name the server");
        }
        if tls == Tls::Plain && !is_loopback(host) {
            self.add(
                format!("{table}.tls = \"plain\" would send the password to {host} in clear"),
                "use \"tls\" or \"starttls\"; \"plain\" is for a server on this machine (localhost, 127.0.0.1, ::1)",
            );
        }
    }

    fn login(
        &mut self,
        table: &str,
        user: Option<String>,
        address: &str,
        env: &str,
        secret: &dyn Fn(&str) -> Option<SecretString>,
    ) -> Option<Login> {
        let Some(password) = secret(env) else {
            self.add(
                format!("{table}.password_env names {env}, which is not in the environment"),
                format!("set it before the gateway starts: export {env}=..."),
            );
            return None;
        };
        Some(Login { user: user.unwrap_or_else(|| address.to_owned()), password, env: env.to_owned() })
    }

    fn verify(&mut self, verify: &Verify) {
        let named = verify.authserv.as_deref().is_some_and(|name| !name.trim().is_empty());
        if verify.by == VerifyBy::Results && !named {
            self.add(
                "verify.by = \"results\" needs verify.authserv",
                "look at the source of a mail that came in, and copy the name after `Authentication-Results:`",
            );
        }
        if verify.by != VerifyBy::Results && verify.authserv.is_some() {
            self.add(
                "verify.authserv is of no use without verify.by = \"results\"",
                "set it, or remove authserv",
            );
        }
        if verify.by != VerifyBy::Dkim && verify.dns.is_some() {
            self.add("verify.dns is of no use without verify.by = \"dkim\"", "set it, or remove dns");
        }
        if let Some(dns) = &verify.dns
            && dns.parse::<std::net::SocketAddr>().is_err()
        {
            self.add(
                format!("verify.dns = \"{dns}\" is not an address and a port"),
                "write \"127.0.0.1:53\"",
            );
        }
    }

    fn limits(&mut self, limits: &Limits) {
        let none = [
            ("message_bytes", limits.message_bytes as usize),
            ("headers", limits.headers),
            ("parts", limits.parts),
            ("depth", limits.depth),
            ("text_bytes", limits.text_bytes),
            ("sent_per_hour", limits.sent_per_hour),
        ];
        for (key, value) in none {
            if value == 0 {
                self.add(format!("limits.{key} = 0 lets nothing through"), "leave it out for the default");
            }
        }
    }
}

/// True for a host that is this machine by its very name; anything looked up in the DNS may be elsewhere.
fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(change: impl FnOnce(&mut serde_json::Value)) -> Result<Checked, Vec<String>> {
        let mut settings = serde_json::json!({
            "address": "support@example.com",
            "imap": { "host": "imap.example.com", "password_env": "PW" },
            "smtp": { "host": "smtp.example.com", "password_env": "PW" },
        });
        change(&mut settings);
        let settings: Settings = serde_json::from_value(settings).map_err(|error| vec![error.to_string()])?;
        let secret = |name: &str| (name == "PW").then(|| SecretString::from("hush"));
        settings.check(&secret).map_err(|errors| errors.iter().map(ToString::to_string).collect())
    }

    #[track_caller]
    fn fault(change: impl FnOnce(&mut serde_json::Value), wanted: &str) {
        match check(change) {
            Ok(_) => panic!("it was taken"),
            Err(faults) => assert!(faults.iter().any(|fault| fault.contains(wanted)), "{faults:?}"),
        }
    }

    #[test]
    fn little_needs_to_be_said() {
        let checked = check(|_| {}).unwrap();
        assert_eq!((checked.imap.port, checked.imap.tls), (993, Tls::Tls));
        assert_eq!((checked.smtp.port, checked.smtp.tls), (465, Tls::Tls));
        assert_eq!(checked.imap.login.as_ref().map(|login| login.user.as_str()), Some("support@example.com"));
        assert_eq!(checked.verify.by, VerifyBy::Dkim);
        assert!(!format!("{checked:?}").contains("hush"));
        assert_eq!(check(|s| s["smtp"]["tls"] = "starttls".into()).unwrap().smtp.port, 587);
        assert!(check(|s| s["smtp"] = serde_json::json!({ "host": "::1", "tls": "plain" })).is_ok());
    }

    #[test]
    fn faults_are_found_with_their_keys() {
        fault(|s| s["address"] = "support".into(), "address = \"support\" is not a mail address");
        fault(|s| s["address"] = "customer.support@example.com".into(), "leaves no room");
        fault(|s| s["imap"]["tls"] = "plain".into(), "imap.tls = \"plain\" would send the password");
        fault(|s| s["smtp"]["tls"] = "plain".into(), "smtp.tls = \"plain\" would send");
        fault(|s| s["imap"]["password_env"] = "NO".into(), "imap.password_env names NO");
        fault(
            |s| s["smtp"] = serde_json::json!({ "host": "smtp.example.com" }),
            "smtp.password_env is missing",
        );
        fault(|s| s["verify"] = serde_json::json!({ "by": "results" }), "needs verify.authserv");
        fault(|s| s["verify"] = serde_json::json!({ "authserv": "mx" }), "verify.authserv is of no use");
        fault(|s| s["verify"] = serde_json::json!({ "dns": "here" }), "is not an address and a port");
        fault(|s| s["limits"] = serde_json::json!({ "parts": 0 }), "limits.parts = 0");
        fault(|s| s["imap"]["poll"] = "0s".into(), "imap.poll");
        fault(|s| s["imap"]["processed"] = "INBOX".into(), "imap.processed");
        fault(|s| s["imap"]["mailbox"] = "Büro".into(), "imap.mailbox is not a name");
        fault(|s| s["imap"]["folder"] = "x".into(), "unknown field");
        fault(|s| s["inbox"] = "x".into(), "unknown field");
    }

    #[test]
    fn all_faults_are_found_at_once() {
        let faults = check(|s| {
            s["address"] = "x".into();
            s["imap"]["password_env"] = "NO".into();
            s["smtp"]["tls"] = "plain".into();
        });
        assert_eq!(faults.err().map(|faults| faults.len()), Some(3));
    }

    #[test]
    fn a_long_address_needs_a_short_one_for_answers() {
        let checked = check(|s| {
            s["address"] = "customer.support@example.com".into();
            s["reply_address"] = "cs@reply.example.com".into();
        })
        .unwrap();
        assert_eq!(checked.reply.to_string(), "cs@reply.example.com");
        assert!(checked.is_ours(&Addr::parse("cs+q.abc@reply.example.com").unwrap()));
        assert!(checked.is_ours(&Addr::parse("customer.support@example.com").unwrap()));
    }

    #[test]
    fn every_key_is_described_to_the_operator() {
        let schema = serde_json::to_value(schemars::schema_for!(Settings)).unwrap();
        let mut tables = vec![&schema];
        tables.extend(schema["$defs"].as_object().unwrap().values());
        let mut keys = 0;
        for table in tables {
            for (key, value) in table["properties"].as_object().into_iter().flatten() {
                assert!(value["description"].is_string(), "{key} has no description: {value}");
                keys += 1;
            }
        }
        assert!(keys > 30, "{keys}");
    }
}
