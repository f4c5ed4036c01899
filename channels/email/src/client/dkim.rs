//! Checks DKIM signatures: the one verdict that needs the DNS.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use channel::Error;
use mail_auth::{
    AuthenticatedMessage, DkimResult, MessageAuthenticator,
    dkim::Signature,
    hickory_resolver::{
        config::{NameServerConfig, ResolverConfig, ResolverOpts},
        system_conf::read_system_conf,
    },
};

use super::said;
use crate::{address::Addr, verdict};

/// Each signature costs a look-up; honest mail carries one to four.
const SIGNATURES_MAX: usize = 10;
/// One mail waits no longer than this: the server that answers for a sender's domain is the sender's own.
const TIMEOUT: Duration = Duration::from_secs(8);
const QUESTION_TIMEOUT: Duration = Duration::from_secs(3);

/// Checks signatures.
#[derive(Clone)]
pub(crate) struct Dkim {
    authenticator: MessageAuthenticator,
}

impl Dkim {
    /// Asks this server, or the system's own.
    pub(crate) fn new(dns: Option<SocketAddr>) -> Result<Self, Error> {
        let (config, mut options) = match dns {
            None => read_system_conf().map_err(unusable)?,
            Some(dns) => {
                let mut server = NameServerConfig::udp_and_tcp(dns.ip());
                for connection in &mut server.connections {
                    connection.port = dns.port();
                }
                (ResolverConfig::from_parts(None, Vec::new(), vec![server]), ResolverOpts::default())
            }
        };
        options.timeout = QUESTION_TIMEOUT;
        options.attempts = 2;
        let authenticator = MessageAuthenticator::new(config, options).map_err(unusable)?;
        Ok(Self { authenticator })
    }

    /// The domains that may speak for this sender and whose signatures hold over this mail: its From, its To and its
    /// whole body.
    ///
    /// # Errors
    /// A sentence: why nothing could be found out.
    pub(crate) async fn signers(&self, raw: &Arc<Vec<u8>>, from: &Addr) -> Result<Vec<String>, String> {
        let (checker, raw, from) = (self.clone(), Arc::clone(raw), from.clone());
        // In a task of its own: a fault in the library ends that task and nothing else.
        let check = tokio::spawn(async move { checker.check(&raw, &from).await });
        let stop = check.abort_handle();
        match tokio::time::timeout(TIMEOUT, check).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err("the DKIM signatures could not be read".into()),
            Err(_) => {
                stop.abort();
                Err("the DNS did not answer for a DKIM key".into())
            }
        }
    }

    async fn check(&self, raw: &[u8], from: &Addr) -> Result<Vec<String>, String> {
        let Some(mut message) = AuthenticatedMessage::parse(raw) else { return Ok(Vec::new()) };
        // A signature of anybody else proves nothing here; its domain is not even asked.
        message
            .dkim_headers
            .retain(|signature| verdict::vouches(&signature.header.d, from) && covers(&signature.header));
        if message.dkim_headers.len() > SIGNATURES_MAX {
            return Err(format!("it carries more than {SIGNATURES_MAX} DKIM signatures"));
        }
        let mut signers = Vec::new();
        let mut unasked = false;
        for output in &self.authenticator.verify_dkim(&message).await {
            match output.result() {
                DkimResult::Pass => signers.extend(output.signature().map(|signature| signature.d.clone())),
                DkimResult::TempError(_) => unasked = true,
                DkimResult::Neutral(_)
                | DkimResult::Fail(_)
                | DkimResult::PermError(_)
                | DkimResult::None => {}
            }
        }
        if signers.is_empty() && unasked {
            Err("the DNS did not answer for a DKIM key".into())
        } else {
            Ok(signers)
        }
    }
}

/// Without To, an old mail could be sent again to somebody else; with a length, text could be added below.
fn covers(signature: &Signature) -> bool {
    let covers = |name: &str| signature.h.iter().any(|header| header.eq_ignore_ascii_case(name));
    covers("From") && covers("To") && signature.l == 0
}

fn unusable(error: impl std::fmt::Display) -> Error {
    Error::misconfigured(
        format!("the DNS of this machine cannot be used: {}", said(&error)),
        "set verify.dns to the address of a DNS server, or verify.by = \"results\"",
    )
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use data_encoding::BASE64;
    use mail_auth::{
        common::{crypto::Ed25519Key, headers::HeaderWriter},
        dkim::DkimSigner,
    };

    use super::*;

    const MAIL: &str = "From: Ana <ana@corp.test>\r\nTo: bot@mail.test\r\nSubject: hi\r\n\r\nwords\r\n";

    struct Key(Vec<u8>);

    impl Key {
        fn new() -> Self {
            Self(Ed25519Key::generate_pkcs8().unwrap())
        }

        fn record(&self) -> String {
            let public = Ed25519Key::from_pkcs8_der(&self.0).unwrap().public_key();
            format!("v=DKIM1; k=ed25519; p={}", BASE64.encode(&public))
        }

        fn sign(&self, domain: &str, headers: &[&str], mail: &str, with_length: bool) -> String {
            let key = Ed25519Key::from_pkcs8_der(&self.0).unwrap();
            let signer = DkimSigner::from_key(key).domain(domain).selector("s1").headers(headers.to_vec());
            let signature = signer.body_length(with_length).sign(mail.as_bytes()).unwrap();
            format!("{}{mail}", signature.to_header())
        }
    }

    /// Answers every question for a TXT of `name` with `record`, every other with `NXDOMAIN`.
    fn serve_dns(name: &'static str, record: String) -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        std::thread::spawn(move || {
            let mut buffer = [0; 1500];
            while let Ok((len, from)) = socket.recv_from(&mut buffer) {
                socket.send_to(&answer(&buffer[..len], name, &record), from).unwrap();
            }
        });
        address
    }

    fn answer(query: &[u8], name: &str, record: &str) -> Vec<u8> {
        let mut asked = Vec::new();
        let mut at = 12;
        while query[at] != 0 {
            let len = usize::from(query[at]);
            asked.push(String::from_utf8_lossy(&query[at + 1..at + 1 + len]).to_lowercase());
            at += 1 + len;
        }
        let question_end = at + 5;
        let found = asked.join(".") == name && query[at + 1..at + 3] == [0, 16];
        let mut out = query[..2].to_vec();
        out.extend([0x81, if found { 0x80 } else { 0x83 }, 0, 1, 0, u8::from(found), 0, 0, 0, 0]);
        out.extend(&query[12..question_end]);
        if found {
            out.extend([0xc0, 12, 0, 16, 0, 1, 0, 0, 0, 60]);
            out.extend(u16::try_from(record.len() + 1).unwrap().to_be_bytes());
            out.push(u8::try_from(record.len()).unwrap());
            out.extend(record.as_bytes());
        }
        out
    }

    async fn signers(dns: SocketAddr, mail: &str) -> Result<Vec<String>, String> {
        let from = Addr::parse("ana@corp.test").unwrap();
        Dkim::new(Some(dns)).unwrap().signers(&Arc::new(mail.as_bytes().to_vec()), &from).await
    }

    #[tokio::test]
    async fn a_signature_holds_for_the_mail_it_was_made_for() {
        let key = Key::new();
        let dns = serve_dns("s1._domainkey.corp.test", key.record());
        let all = ["From", "To", "Subject"];
        let signed = key.sign("corp.test", &all, MAIL, false);
        assert_eq!(signers(dns, &signed).await, Ok(vec!["corp.test".to_owned()]));
        // What the servers on the way write above it changes nothing.
        assert_eq!(signers(dns, &format!("Received: x\r\n{signed}")).await, Ok(vec!["corp.test".to_owned()]));

        let none = Ok(Vec::new());
        assert_eq!(signers(dns, MAIL).await, none);
        assert_eq!(signers(dns, &signed.replace("words", "other")).await, none);
        assert_eq!(signers(dns, &signed.replace("ana@", "eve@")).await, none);
        assert_eq!(signers(dns, &signed.replace("To: bot@", "To: bot+q.abc@")).await, none);
        let without_to = key.sign("corp.test", &["From", "Subject"], MAIL, false);
        assert_eq!(signers(dns, &without_to).await, none, "a signature without To");
        let with_length = key.sign("corp.test", &all, MAIL, true);
        assert_eq!(signers(dns, &with_length).await, none, "a signature over a part of the body");
        let other_key = Key::new().sign("corp.test", &all, MAIL, false);
        assert_eq!(signers(dns, &other_key).await, none, "a signature with another key");
        assert_eq!(signers(dns, &key.sign("else.test", &all, MAIL, false)).await, none, "no key in the DNS");
    }

    #[tokio::test]
    async fn many_signatures_are_not_looked_at() {
        let key = Key::new();
        let dns = serve_dns("s1._domainkey.corp.test", key.record());
        let signed = key.sign("corp.test", &["From", "To"], MAIL, false);
        let header = signed.strip_suffix(MAIL).unwrap();
        let flood = format!("{}{MAIL}", header.repeat(SIGNATURES_MAX + 1));
        assert!(signers(dns, &flood).await.is_err());
    }

    #[tokio::test]
    async fn without_a_dns_nobody_is_proven() {
        let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
        let dns = silent.local_addr().unwrap();
        drop(silent);
        let signed = Key::new().sign("corp.test", &["From", "To"], MAIL, false);
        assert_eq!(signers(dns, &signed).await, Err("the DNS did not answer for a DKIM key".into()));
    }
}
