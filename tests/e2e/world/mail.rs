//! People who write mail: real servers, and letters as their programs write them.

use std::time::{Duration, Instant};

use mail_parser::{HeaderValue, MessageParser};
use simulator::mail::MailServers;

use super::SOON;

/// The mail servers of one world: the gateway's mailbox `bot`, and the people's.
pub(crate) struct Mailroom {
    pub(crate) servers: MailServers,
}

/// A mail that somebody received.
#[derive(Clone, Debug)]
pub(crate) struct Letter {
    pub(crate) raw: Vec<u8>,
}

impl Mailroom {
    pub(crate) async fn open() -> Self {
        let users = [("bot", "botpw"), ("ana", "anapw"), ("ben", "benpw"), ("cara", "carapw")];
        Self { servers: MailServers::start(&users).await.unwrap_or_else(|error| panic!("{error}")) }
    }

    /// The channel, and Ana in finance who is asked by mail.
    pub(crate) fn config(&self) -> String {
        format!(
            r#"{channel}
[members.ana]
email = "ana@mail.test"
[groups]
operators = ["ana"]
finance = ["ana"]
[desks.operators]
members = ["operators"]
via = "email"
[desks.finance]
members = ["finance"]
via = "email"
[[routes]]
agent = "support"
channel = "email"
"#,
            channel = self.channel()
        )
    }

    /// The channel.
    pub(crate) fn channel(&self) -> String {
        let ports = self.servers.ports();
        let certificate = self.servers.certificate();
        format!(
            r#"
[channels.email]
kind = "email"
address = "bot@mail.test"
name = "Support"
[channels.email.imap]
host = "localhost"
port = {imaps}
user = "bot"
password_env = "BOT_PASSWORD"
ca_file = {certificate:?}
[channels.email.smtp]
host = "localhost"
port = {smtp}
tls = "starttls"
user = "bot"
password_env = "BOT_PASSWORD"
ca_file = {certificate:?}
[channels.email.verify]
by = "results"
authserv = "mail.test"
[channels.email.limits]
sent_per_hour = 1000
"#,
            imaps = ports.imaps,
            smtp = ports.smtp,
        )
    }

    /// A user of the mail server writes, logged in as themself.
    pub(crate) async fn write(&self, user: &str, to: &str, raw: &str) {
        self.servers.deliver_as(user, to, raw.as_bytes()).await.unwrap();
    }

    /// Somebody on the internet delivers this; nobody logged in.
    pub(crate) async fn forge(&self, envelope: &str, to: &str, raw: &str) {
        self.servers.deliver(envelope, to, raw.as_bytes()).await.unwrap();
    }

    /// All that a user received.
    pub(crate) fn inbox(&self, user: &str) -> Vec<Letter> {
        self.servers.mailbox(user).unwrap().into_iter().map(|raw| Letter { raw }).collect()
    }

    /// Waits for a mail with these words.
    pub(crate) async fn wait(&self, user: &str, words: &str) -> Letter {
        let began = Instant::now();
        loop {
            if let Some(letter) = self.inbox(user).into_iter().find(|letter| letter.text().contains(words)) {
                return letter;
            }
            let texts: Vec<_> = self.inbox(user).iter().map(Letter::text).collect();
            assert!(
                began.elapsed() < SOON,
                "{user} never got {words:?}, only {texts:#?}\n{}",
                self.servers.log()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// A mail as a person's program writes it.
pub(crate) fn letter(from: &str, to: &str, subject: &str, id: &str, more: &str, body: &str) -> String {
    let body = body.replace('\n', "\r\n");
    let more = more.replace('\n', "\r\n");
    format!(
        "From: {from}\r\nTo: {to}\r\nSubject: {subject}\r\nMessage-ID: {id}\r\n\
         Date: Mon, 23 Nov 2026 09:00:00 +0000\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\
         {more}\r\n{body}\r\n"
    )
}

impl Letter {
    /// The words of its plain-text part.
    pub(crate) fn text(&self) -> String {
        let parsed = MessageParser::default().parse(&self.raw).unwrap();
        parsed.body_text(0).map(|text| text.into_owned()).unwrap_or_default()
    }

    /// The source of its HTML part.
    pub(crate) fn html(&self) -> String {
        let parsed = MessageParser::default().parse(&self.raw).unwrap();
        parsed.body_html(0).map(|html| html.into_owned()).unwrap_or_default()
    }

    /// A header, unfolded.
    pub(crate) fn header(&self, name: &str) -> String {
        let text = String::from_utf8_lossy(&self.raw).replace("\r\n", "\n");
        let head = text.split("\n\n").next().unwrap_or_default().replace("\n ", " ").replace("\n\t", " ");
        let line = head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        });
        line.unwrap_or_default()
    }

    pub(crate) fn subject(&self) -> String {
        let parsed = MessageParser::default().parse(&self.raw).unwrap();
        match parsed.header("Subject") {
            Some(HeaderValue::Text(text)) => text.to_string(),
            _ => String::new(),
        }
    }

    /// The address to answer to.
    pub(crate) fn reply_to(&self) -> String {
        let value = self.header("Reply-To");
        let address = value.rsplit('<').next().unwrap_or(&value);
        address.trim_end_matches('>').trim().to_owned()
    }

    /// The headers and the quote of a reply to this mail, as mail programs write them.
    pub(crate) fn thread(&self) -> String {
        let id = self.header("Message-ID");
        let references = self.header("References");
        format!("In-Reply-To: {id}\nReferences: {references} {id}\n")
    }

    /// The quoted text of this mail below a reply.
    pub(crate) fn quoted(&self) -> String {
        let lines: Vec<_> = self.text().lines().map(|line| format!("> {line}")).collect();
        format!("On Mon, 23 Nov 2026 at 09:00, Support <bot@mail.test> wrote:\n{}", lines.join("\n"))
    }
}
