//! A gateway in memory: takes what comes in once, and remembers all that was said at each place.

use std::{
    collections::{BTreeMap, HashSet},
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use channel::{
    Accepted, Address, Attempt, Body, Card, CardState, Channel, ChannelName, Choice, Comment, Content,
    DeliveryKey, Entry, Error, Field, File, Health, Inbound, InboundKey, Inbox, Ingress, Kind, Outgoing,
    Place, Said, Setup, Style, Text, Ticket, Timestamp,
};
use channel_web::{Settings, Web};
use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

/// What a gateway would keep.
#[derive(Default)]
pub struct Memory {
    pub heard: Mutex<Vec<Inbound>>,
    pub away: AtomicBool,
    places: Mutex<BTreeMap<Place, Vec<Entry>>>,
    keys: Mutex<HashSet<InboundKey>>,
    files: Mutex<BTreeMap<String, Vec<u8>>>,
}

#[async_trait]
impl Inbox for Memory {
    async fn accept(&self, inbound: Inbound) -> Result<Accepted, Error> {
        self.there()?;
        if !inbound.keys.iter().all(|key| self.keys.lock().unwrap().insert(key.clone())) {
            return Ok(Accepted::Already);
        }
        if let Body::Text { text, files, .. } = &inbound.body {
            let kept = files.iter().map(|file| {
                let bytes = file.bytes.clone().unwrap_or_default();
                self.keep(&file.name, bytes)
            });
            let said = Said::Heard { from: inbound.from.clone(), text: text.clone(), files: kept.collect() };
            self.record(&inbound.at.place, said);
        }
        self.heard.lock().unwrap().push(inbound);
        Ok(Accepted::New)
    }

    async fn cursor(&self, _name: &str) -> Result<Option<String>, Error> {
        Ok(None)
    }

    async fn advance(&self, _name: &str, _value: &str) -> Result<(), Error> {
        Ok(())
    }

    async fn history(&self, place: &Place) -> Result<Vec<Entry>, Error> {
        self.there()?;
        Ok(self.places.lock().unwrap().get(place).cloned().unwrap_or_default())
    }

    async fn file(&self, hash: &str) -> Result<Option<Vec<u8>>, Error> {
        self.there()?;
        Ok(self.files.lock().unwrap().get(hash).cloned())
    }
}

impl Memory {
    fn there(&self) -> Result<(), Error> {
        if self.away.load(Ordering::SeqCst) {
            Err(Error::retry("the store is away: /secret/path"))
        } else {
            Ok(())
        }
    }

    pub fn keep(&self, name: &str, bytes: Vec<u8>) -> File {
        let mut files = self.files.lock().unwrap();
        let hash = format!("{:064x}", files.len() + 1);
        let file = File {
            name: name.into(),
            kind: "text/plain".into(),
            size: bytes.len() as u64,
            hash: hash.clone(),
        };
        files.insert(hash, bytes);
        file
    }

    pub fn record(&self, place: &Place, said: Said) {
        let mut places = self.places.lock().unwrap();
        let entries = places.entry(place.clone()).or_default();
        let id = format!("{:08}", entries.len());
        entries.push(Entry { id, at: Timestamp::now(), said });
    }

    pub fn texts(&self) -> Vec<String> {
        let heard = self.heard.lock().unwrap();
        let text = |inbound: &Inbound| match &inbound.body {
            Body::Text { text, .. } => text.clone(),
            Body::Press { choice, .. } => format!("press {choice}"),
            Body::Edited { text, .. } => text.clone(),
            Body::Deleted => "deleted".to_owned(),
            Body::Undelivered { why } => why.clone(),
        };
        heard.iter().map(text).collect()
    }
}

/// A channel that listens, with the gateway behind it.
pub struct World {
    pub web: Arc<Web>,
    pub memory: Arc<Memory>,
    pub health: Health,
    pub stop: CancellationToken,
    pub task: tokio::task::JoinHandle<Result<(), Error>>,
}

/// The tokens of the people in the tests.
pub const ANA: &str = "ana-token-0123456789";
pub const BEN: &str = "ben-token-0123456789";

pub fn open(settings: serde_json::Value) -> Web {
    let settings: Settings = serde_json::from_value(settings).unwrap();
    let secret = |name: &str| match name {
        "ANA" => Some(SecretString::from(ANA)),
        "BEN" => Some(SecretString::from(BEN)),
        _ => None,
    };
    let setup = Setup { name: ChannelName::new("web"), folder: Path::new("."), secret: &secret };
    Web::open(settings, &setup).unwrap()
}

impl World {
    pub async fn start(settings: serde_json::Value, memory: Arc<Memory>) -> Self {
        let web = Arc::new(open(settings));
        let (health, stop) = (Health::default(), CancellationToken::new());
        let ingress = Ingress { inbox: memory.clone(), health: health.clone(), stop: stop.clone() };
        let listening = web.clone();
        let task = tokio::spawn(async move { listening.listen(ingress).await });
        while web.bound().is_none() {
            assert!(!task.is_finished(), "the channel ended at once");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Self { web, memory, health, stop, task }
    }

    /// Says something as the gateway does: into the log first, then through the channel.
    pub async fn say(&self, outgoing: Outgoing) {
        self.memory.record(&outgoing.to.place, Said::Sent(Box::new(outgoing.clone())));
        let attempt = Attempt { number: 1, amends: None, files: vec![] };
        self.web.send(&outgoing, &attempt).await.unwrap();
    }
}

pub fn address(place: &Place) -> Address {
    Address { channel: ChannelName::new("web"), place: place.clone() }
}

pub fn outgoing(key: &str, place: &Place, content: Content) -> Outgoing {
    Outgoing {
        key: DeliveryKey::new(key),
        to: address(place),
        at: Timestamp::now(),
        only: None,
        in_reply_to: None,
        amends: None,
        content,
        files: vec![],
    }
}

pub fn text(markdown: &str) -> Content {
    Content::Text(Text { markdown: markdown.to_owned(), note: Some("scripted model".to_owned()) })
}

pub fn card(ticket: &str, state: CardState) -> Content {
    let choice = |id: &str, label: &str, style, comment| Choice {
        id: id.into(),
        label: label.into(),
        style,
        comment,
        form: Vec::new(),
        reply: None,
    };
    let field = |label: &str, value: &str| Field { label: label.into(), value: value.into() };
    Content::Card(Card {
        ticket: Ticket::new(ticket),
        code: String::new(),
        title: "Approve: deploy".to_owned(),
        text: "The release passed its checks. May I put it into production?".to_owned(),
        fields: vec![
            field("version", "v1.4"),
            field("environment", "production"),
            field("notes", "Adds invoices in CHF.\nFixes the login loop on old phones."),
        ],
        choices: vec![
            choice("approve", "Approve", Style::Primary, Comment::None),
            choice("reject", "Reject", Style::Danger, Comment::Optional),
        ],
        free_text: false,
        progress: None,
        state,
    })
}
