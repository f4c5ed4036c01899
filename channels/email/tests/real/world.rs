//! Servers, a channel and an inbox that remembers.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use channel::{
    Accepted, Address, Attempt, Body, Card, CardState, Channel, ChannelName, Choice, Comment, Content,
    DeliveryKey, Entry, Error, Field, Health, HealthState, Inbound, Inbox, Ingress, Kind, Outgoing, Person,
    Place, Setup, Style, Text, Ticket, Verified,
};
use channel_email::Email;
use simulator::{mail::MailServers, wire::Wire};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) struct World {
    pub(crate) servers: Arc<MailServers>,
    pub(crate) imap: Arc<Wire>,
    pub(crate) smtp: Arc<Wire>,
    settings: serde_json::Value,
    pub(crate) email: Arc<Email>,
    pub(crate) inbox: Arc<Memory>,
    pub(crate) health: Health,
}

pub(crate) struct Listening {
    stop: CancellationToken,
    task: JoinHandle<Result<(), Error>>,
}

impl Listening {
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        tokio::time::timeout(Duration::from_secs(10), self.task).await.expect("it stops").unwrap().unwrap();
    }
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// Lets a test change the settings.
    pub(crate) async fn start_with(change: impl FnOnce(&mut serde_json::Value)) -> Self {
        let servers = MailServers::start(&[("bot", "botpw"), ("ana", "anapw"), ("ben", "benpw")]).await;
        let servers = servers.unwrap_or_else(|error| panic!("{error}"));
        let imap = Wire::to(servers.ports().imap).await.unwrap();
        let smtp = Wire::to(servers.ports().smtp).await.unwrap();
        let settings = serde_json::json!({
            "address": "bot@mail.test",
            "name": "The Bot",
            "imap": { "host": "127.0.0.1", "port": imap.port(), "tls": "plain", "user": "bot", "password_env": "PW" },
            "smtp": {
                "host": "localhost", "port": smtp.port(), "tls": "starttls", "user": "bot", "password_env": "PW",
                "ca_file": servers.certificate(),
            },
            "verify": { "by": "results", "authserv": "mail.test" },
        });
        let mut changed = settings.clone();
        change(&mut changed);
        let email = open(changed).unwrap_or_else(|errors| panic!("{errors:?}"));
        Self {
            servers: Arc::new(servers),
            imap: Arc::new(imap),
            smtp: Arc::new(smtp),
            settings,
            email: Arc::new(email),
            inbox: Arc::default(),
            health: Health::default(),
        }
    }

    pub(crate) fn settings(&self, change: impl FnOnce(&mut serde_json::Value)) -> serde_json::Value {
        let mut settings = self.settings.clone();
        change(&mut settings);
        settings
    }

    /// The same servers, read by another channel that has seen nothing yet.
    pub(crate) fn with(&self, settings: serde_json::Value) -> Self {
        let email = open(settings.clone()).unwrap_or_else(|errors| panic!("{errors:?}"));
        Self {
            servers: Arc::clone(&self.servers),
            imap: Arc::clone(&self.imap),
            smtp: Arc::clone(&self.smtp),
            settings,
            email: Arc::new(email),
            inbox: Arc::default(),
            health: Health::default(),
        }
    }

    /// Waits until the channel says that it receives.
    pub(crate) async fn up(&self) {
        self.wait_for_health(|state| (*state == HealthState::Up).then(String::new)).await;
    }

    /// Waits until the channel says that it does not, and why.
    pub(crate) async fn down(&self) -> String {
        self.wait_for_health(|state| match state {
            HealthState::Down { why } => Some(why.clone()),
            HealthState::Starting | HealthState::Up | HealthState::Standby => None,
        })
        .await
    }

    async fn wait_for_health(&self, wanted: impl Fn(&HealthState) -> Option<String>) -> String {
        let started = Instant::now();
        loop {
            let state = self.health.state();
            if let Some(found) = wanted(&state) {
                return found;
            }
            assert!(started.elapsed() < Duration::from_secs(20), "the channel stays {state:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub(crate) fn person(&self, name: &str) -> Person {
        let verified = Verified::Proven { by: "the test".into() };
        Person {
            channel: ChannelName::new("support"),
            id: format!("{name}@mail.test"),
            name: name.into(),
            verified,
            roles: Vec::new(),
        }
    }

    pub(crate) fn listen(&self) -> Listening {
        let stop = CancellationToken::new();
        let ingress = Ingress {
            inbox: Arc::clone(&self.inbox) as Arc<dyn Inbox>,
            health: self.health.clone(),
            stop: stop.clone(),
        };
        let email = Arc::clone(&self.email);
        Listening { stop, task: tokio::spawn(async move { email.listen(ingress).await }) }
    }

    pub(crate) async fn deliver_as(&self, user: &str, to: &str, mail: &[u8]) {
        self.servers.deliver_as(user, to, mail).await.unwrap_or_else(|error| panic!("{error}"));
    }

    pub(crate) async fn deliver(&self, from: &str, to: &str, mail: &[u8]) {
        self.servers.deliver(from, to, mail).await.unwrap_or_else(|error| panic!("{error}"));
    }

    pub(crate) async fn mail_for(&self, user: &str, holding: &str) -> Received {
        let wanted = |raw: &[u8]| String::from_utf8_lossy(raw).contains(holding);
        let raw = self.servers.wait_for(user, wanted, Duration::from_secs(20)).await;
        Received(String::from_utf8(raw.unwrap_or_else(|error| panic!("{error}"))).unwrap())
    }

    pub(crate) fn text(&self, inbound: &Inbound) -> String {
        match &inbound.body {
            Body::Text { text, .. } => text.clone(),
            other @ (Body::Press { .. } | Body::Edited { .. } | Body::Deleted | Body::Undelivered { .. }) => {
                panic!("no text: {other:?}")
            }
        }
    }

    pub(crate) fn attempt(&self) -> Attempt {
        Attempt { number: 1, amends: None, files: Vec::new() }
    }

    pub(crate) fn says(&self, to: &Inbound, key: &str, markdown: &str) -> Outgoing {
        Outgoing {
            key: DeliveryKey::new(key),
            to: to.at.clone(),
            at: "2026-11-23T10:00:00Z".parse().unwrap(),
            only: None,
            in_reply_to: to.message.clone(),
            amends: None,
            content: Content::Text(Text { markdown: markdown.into(), note: None }),
            files: Vec::new(),
        }
    }

    pub(crate) fn card(&self, key: &str, contact: &str, ticket: &str) -> Outgoing {
        card(&self.email, key, contact, ticket)
    }
}

pub(crate) fn card(email: &Email, key: &str, contact: &str, ticket: &str) -> Outgoing {
    let place: Place = email.place(contact).unwrap();
    let choice = |id: &str, style, comment| Choice {
        id: id.into(),
        label: id.into(),
        style,
        comment,
        form: vec![],
        reply: None,
    };
    Outgoing {
        key: DeliveryKey::new(key),
        to: Address { channel: ChannelName::new("support"), place },
        at: "2026-11-23T10:00:00Z".parse().unwrap(),
        only: None,
        in_reply_to: None,
        amends: None,
        content: Content::Card(Card {
            ticket: Ticket::new(ticket),
            code: String::new(),
            title: "Approve: refund".into(),
            text: "The customer asked.".into(),
            fields: vec![Field { label: "amount".into(), value: "120.00".into() }],
            choices: vec![
                choice("approve", Style::Primary, Comment::None),
                choice("reject", Style::Danger, Comment::Optional),
            ],
            free_text: false,
            progress: None,
            state: CardState::Open { deadline: "2026-11-24T10:00:00Z".parse().unwrap() },
        }),
        files: Vec::new(),
    }
}

pub(crate) fn open(settings: serde_json::Value) -> Result<Email, Vec<Error>> {
    let setup = Setup {
        name: ChannelName::new("support"),
        folder: std::path::Path::new("unused"),
        secret: &|name| match name {
            "PW" => Some("botpw".into()),
            "WRONG" => Some("wrong-password".into()),
            _ => None,
        },
    };
    Email::open(serde_json::from_value(settings).unwrap(), &setup)
}

pub(crate) fn mail(user: &str, subject: &str, id: &str, more: &str, body: &str) -> Vec<u8> {
    format!(
        "From: {user} <{user}@mail.test>\r\nTo: bot@mail.test\r\nSubject: {subject}\r\nMessage-ID: {id}\r\n\
         Date: Mon, 23 Nov 2026 09:00:00 +0000\r\n{more}\r\n{body}\r\n"
    )
    .into_bytes()
}

/// A mail in a user's mailbox.
pub(crate) struct Received(pub(crate) String);

impl Received {
    pub(crate) fn header(&self, name: &str) -> String {
        let head = self.0.split("\n\n").next().unwrap().replace("\n ", " ").replace("\n\t", " ");
        let line = head.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
        line.unwrap_or_else(|| panic!("no {name} in {}", self.0)).to_owned()
    }
}

/// An inbox in memory that keeps the promises of a real one.
#[derive(Default)]
pub(crate) struct Memory(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    waiting: Vec<Inbound>,
    keys: HashSet<String>,
    cursors: HashMap<String, String>,
    accepted: usize,
    already: usize,
    tries: usize,
    refuse: usize,
}

impl Memory {
    pub(crate) async fn next(&self, timeout: Duration) -> Inbound {
        let started = Instant::now();
        loop {
            if let Some(inbound) = { self.0.lock().unwrap().waiting.pop() } {
                return inbound;
            }
            assert!(started.elapsed() < timeout, "no mail came in");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Takes nothing, so many times.
    pub(crate) fn refuse(&self, times: usize) {
        self.0.lock().unwrap().refuse = times;
    }

    pub(crate) fn accepted(&self) -> usize {
        self.0.lock().unwrap().accepted
    }

    pub(crate) fn already(&self) -> usize {
        self.0.lock().unwrap().already
    }

    pub(crate) fn tries(&self) -> usize {
        self.0.lock().unwrap().tries
    }
}

#[async_trait]
impl Inbox for Memory {
    async fn accept(&self, inbound: Inbound) -> Result<Accepted, Error> {
        let mut kept = self.0.lock().unwrap();
        kept.tries += 1;
        if kept.refuse > 0 {
            kept.refuse -= 1;
            return Err(Error::retry("the store is away"));
        }
        assert!(!inbound.keys.is_empty());
        if inbound.keys.iter().any(|key| kept.keys.contains(key.as_str())) {
            kept.already += 1;
            return Ok(Accepted::Already);
        }
        kept.keys.extend(inbound.keys.iter().map(|key| key.as_str().to_owned()));
        kept.accepted += 1;
        kept.waiting.insert(0, inbound);
        Ok(Accepted::New)
    }

    async fn cursor(&self, name: &str) -> Result<Option<String>, Error> {
        Ok(self.0.lock().unwrap().cursors.get(name).cloned())
    }

    async fn advance(&self, name: &str, value: &str) -> Result<(), Error> {
        self.0.lock().unwrap().cursors.insert(name.into(), value.into());
        Ok(())
    }

    async fn history(&self, _place: &Place) -> Result<Vec<Entry>, Error> {
        Ok(Vec::new())
    }

    async fn file(&self, _hash: &str) -> Result<Option<Vec<u8>>, Error> {
        Ok(None)
    }
}
