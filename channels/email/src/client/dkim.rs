//! Checks DKIM signatures: the one verdict that needs the DNS.

use std::{net::SocketAddr, time::Duration};

use channel::Error;
use mail_auth::{
    AuthenticatedMessage, DkimResult, MessageAuthenticator,
    hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig, ResolverOpts},
};

use super::said;

/// Each signature costs a look-up; honest mail carries one to four.
const SIGNATURES_MAX: usize = 10;
const TIMEOUT: Duration = Duration::from_secs(20);

/// Checks signatures.
#[derive(Clone)]
pub(crate) struct Dkim {
    authenticator: MessageAuthenticator,
}

impl Dkim {
    /// Asks this server, or the system's own.
    pub(crate) fn new(dns: Option<SocketAddr>) -> Result<Self, Error> {
        let authenticator = match dns {
            None => MessageAuthenticator::new_system_conf(),
            Some(dns) => {
                let mut server = NameServerConfig::udp_and_tcp(dns.ip());
                server.connections = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
                for connection in &mut server.connections {
                    connection.port = dns.port();
                }
                let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
                MessageAuthenticator::new(config, ResolverOpts::default())
            }
        };
        let authenticator = authenticator.map_err(|error| {
            Error::misconfigured(
                format!("the DNS of this machine cannot be used: {}", said(&error)),
                "set verify.dns to the address of a DNS server, or verify.by = \"results\"",
            )
        })?;
        Ok(Self { authenticator })
    }

    /// The domains whose signatures hold over this mail: its From, its To and its whole body.
    ///
    /// # Errors
    /// A sentence: why nothing could be found out.
    pub(crate) async fn signers(&self, raw: Vec<u8>) -> Result<Vec<String>, String> {
        let checker = self.clone();
        // In a task of its own: a fault in the library ends that task and nothing else.
        let check = tokio::spawn(async move { checker.check(&raw).await });
        match tokio::time::timeout(TIMEOUT, check).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err("the DKIM signatures could not be read".into()),
            Err(_) => Err("the DNS did not answer in time".into()),
        }
    }

    async fn check(&self, raw: &[u8]) -> Result<Vec<String>, String> {
        let Some(message) = AuthenticatedMessage::parse(raw) else { return Ok(Vec::new()) };
        if message.dkim_headers.len() > SIGNATURES_MAX {
            return Err(format!("it carries more than {SIGNATURES_MAX} DKIM signatures"));
        }
        let outputs = self.authenticator.verify_dkim(&message).await;
        let mut signers = Vec::new();
        let mut unasked = false;
        for output in &outputs {
            match (output.result(), output.signature()) {
                (DkimResult::Pass, Some(signature)) => {
                    let covers =
                        |name: &str| signature.h.iter().any(|header| header.eq_ignore_ascii_case(name));
                    // Without To, an old mail could be sent again to somebody else; with a length, text could be
                    // added below.
                    if covers("From") && covers("To") && signature.l == 0 {
                        signers.push(signature.d.clone());
                    }
                }
                (DkimResult::TempError(_), _) => unasked = true,
                _ => {}
            }
        }
        if signers.is_empty() && unasked {
            return Err("the DNS could not be asked for a DKIM key".into());
        }
        Ok(signers)
    }
}
