//! Hands mails to the SMTP server.
//!
//! The dialogue is led command by command, because what an error means hangs on where it happened: before the
//! message was handed over nothing was sent; once its last dot is on the way, only the server's answer tells.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use channel::{Error, ErrorKind};
use lettre::{
    Address,
    transport::smtp::{
        self,
        authentication::{Credentials, Mechanism},
        client::{AsyncSmtpConnection, Certificate, TlsParameters},
        commands::{Data, Mail as MailFrom, Rcpt},
        extension::ClientId,
    },
};
use secrecy::ExposeSecret;

use super::{COMMAND_TIMEOUT, CONNECT_TIMEOUT, said, tls, within};
use crate::{
    config::{Server, Tls},
    encode::Mail,
};

/// A server may take this long over a message it was given (RFC 5321, 4.5.3.2.6, says ten minutes).
const MESSAGE_TIMEOUT: Duration = Duration::from_secs(600);
/// Connections that are kept, and how long. Servers close idle ones after some minutes.
const IDLE_MAX: usize = 2;
const IDLE_TIME: Duration = Duration::from_secs(45);

/// The way out.
pub(crate) struct Sender {
    server: Server,
    hello: ClientId,
    idle: Mutex<Vec<(AsyncSmtpConnection, Instant)>>,
}

impl Sender {
    pub(crate) fn new(server: Server, domain: &str) -> Self {
        Self { server, hello: ClientId::Domain(domain.to_owned()), idle: Mutex::default() }
    }

    /// Hands one mail over.
    pub(crate) async fn send(&self, mail: &Mail) -> Result<(), Error> {
        let from = address(&mail.from.to_string())?;
        let to = address(&mail.to.to_string())?;
        if let Some(mut connection) = self.take_idle()
            && envelope(&mut connection, &from, &to).await.is_ok()
        {
            return self.hand_over(connection, &mail.bytes).await;
        }
        // The kept connection was dead, or the server refused; a new one gives the answer that counts.
        let mut connection = self.connect().await?;
        envelope(&mut connection, &from, &to).await?;
        self.hand_over(connection, &mail.bytes).await
    }

    /// Connects, logs in, and sends nothing.
    pub(crate) async fn check(&self) -> Result<String, Error> {
        let connection = self.connect().await?;
        self.keep(connection);
        Ok(format!("mail can be sent by {}:{}", self.server.host, self.server.port))
    }

    async fn hand_over(&self, mut connection: AsyncSmtpConnection, bytes: &[u8]) -> Result<(), Error> {
        match tokio::time::timeout(MESSAGE_TIMEOUT, connection.message(bytes)).await {
            Ok(Ok(_)) => {
                self.keep(connection);
                Ok(())
            }
            Ok(Err(error)) if error.status().is_some() => Err(answered(error, "the message")),
            Ok(Err(error)) => Err(Error::ambiguous(format!(
                "the SMTP server was given the message and did not say whether it took it: {}",
                said(&error)
            ))
            .with_source(error)),
            Err(_) => Err(Error::ambiguous(format!(
                "the SMTP server was given the message and said nothing for {} s",
                MESSAGE_TIMEOUT.as_secs()
            ))),
        }
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, Error> {
        let Server { host, port, .. } = &self.server;
        let target = (host.trim_matches(['[', ']']), *port);
        let (wrapped, upgraded) = match self.server.tls {
            Tls::Tls => (Some(self.tls()?), None),
            Tls::Starttls => (None, Some(self.tls()?)),
            Tls::Plain => (None, None),
        };
        let connect =
            AsyncSmtpConnection::connect_tokio1(target, Some(CONNECT_TIMEOUT), &self.hello, wrapped, None);
        let connected = within(COMMAND_TIMEOUT, "the SMTP server's greeting", connect).await?;
        let mut connection = connected.map_err(|error| self.unreached(error))?;
        if let Some(parameters) = upgraded {
            if !connection.can_starttls() {
                return Err(Error::misconfigured(
                    format!("the SMTP server {host}:{port} does not offer STARTTLS"),
                    "set smtp.tls = \"tls\", or ask the server's operator",
                ));
            }
            let upgrade = within(COMMAND_TIMEOUT, "STARTTLS", connection.starttls(parameters, &self.hello));
            upgrade.await?.map_err(|error| self.unreached(error))?;
        }
        self.log_in(&mut connection).await?;
        Ok(connection)
    }

    async fn log_in(&self, connection: &mut AsyncSmtpConnection) -> Result<(), Error> {
        let Some(login) = &self.server.login else { return Ok(()) };
        let credentials = Credentials::new(login.user.clone(), login.password.expose_secret().to_owned());
        let auth = connection.auth(&[Mechanism::Plain, Mechanism::Login], &credentials);
        match within(COMMAND_TIMEOUT, "the SMTP login", auth).await? {
            Ok(_) => Ok(()),
            Err(error) if error.is_transient() => Err(answered(error, "the login")),
            Err(error) if error.is_permanent() || error.is_client() => Err(Error::misconfigured(
                format!("the SMTP server refuses the login of {}: {}", login.user, said(&error)),
                format!(
                    "check smtp.user and the password in {}; some providers want an app password",
                    login.env
                ),
            )),
            Err(error) => Err(lost(error, "the login")),
        }
    }

    fn tls(&self) -> Result<TlsParameters, Error> {
        let mut builder = TlsParameters::builder(self.server.host.trim_matches(['[', ']']).to_owned());
        for certificate in tls::extra_certificates(&self.server, "smtp")? {
            let certificate = Certificate::from_der(certificate.to_vec());
            builder = builder.add_root_certificate(certificate.map_err(|error| self.unreached(error))?);
        }
        builder.build_rustls().map_err(|error| self.unreached(error))
    }

    /// No dialogue came about.
    fn unreached(&self, error: smtp::Error) -> Error {
        if error.status().is_some() {
            return answered(error, "the greeting");
        }
        let Server { host, port, .. } = &self.server;
        let what = format!("no connection to the SMTP server {host}:{port}: {}", said(&error));
        match tls::remedy(&error, "smtp") {
            Some(remedy) => Error::misconfigured(what, remedy).with_source(error),
            None => Error::retry(what)
                .with_remedy("check smtp.host, smtp.port, smtp.tls, and whether the server runs")
                .with_source(error),
        }
    }

    fn take_idle(&self) -> Option<AsyncSmtpConnection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|(_, since)| since.elapsed() < IDLE_TIME);
        idle.pop().map(|(connection, _)| connection)
    }

    fn keep(&self, connection: AsyncSmtpConnection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_MAX && !connection.has_broken() {
            idle.push((connection, Instant::now()));
        }
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("server", &self.server).finish_non_exhaustive()
    }
}

/// Everything up to the point where the server waits for the message. Whatever fails here, nothing was sent.
async fn envelope(connection: &mut AsyncSmtpConnection, from: &Address, to: &Address) -> Result<(), Error> {
    let steps: [(&str, String); 3] = [
        ("the sender", MailFrom::new(Some(from.clone()), Vec::new()).to_string()),
        ("the recipient", Rcpt::new(to.clone(), Vec::new()).to_string()),
        ("DATA", Data.to_string()),
    ];
    for (step, command) in steps {
        let answer = within(COMMAND_TIMEOUT, "the SMTP server", connection.command(command)).await?;
        answer.map_err(|error| answered(error, step))?;
    }
    Ok(())
}

fn address(text: &str) -> Result<Address, Error> {
    text.parse().map_err(|_| Error::refused(format!("{text} is no address that SMTP takes")))
}

/// The server said no: for now (4xx) or for good (5xx).
fn answered(error: smtp::Error, step: &str) -> Error {
    let what = format!("the SMTP server did not take {step}: {}", said(&error));
    let code = error.status().map(u16::from);
    match code {
        // 530, 534, 535, 538: it wants another login than it got.
        Some(530 | 534 | 535 | 538) => {
            Error::misconfigured(what, "check smtp.user and smtp.password_env").with_source(error)
        }
        Some(500..) => Error::refused(what).with_source(error),
        Some(_) => Error::retry(what).with_source(error),
        None => lost(error, step),
    }
}

/// The connection broke before the message was handed over.
fn lost(error: smtp::Error, step: &str) -> Error {
    let what = format!("the connection to the SMTP server broke at {step}: {}", said(&error));
    Error::new(ErrorKind::Retry { after: None }, what).with_source(error)
}
