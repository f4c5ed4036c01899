//! A simulated Slack, and the channel that is connected to it.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use channel::{Channel, ChannelName, Health, HealthState, Ingress, Kind, Place, Setup};
use channel_slack::{Settings, Slack};
use secrecy::SecretString;
use serde_json::{Value, json};
use simulator::slack::{Click, Control, Delivery, Message, Options, Slack as Simulated};
use testkit::{
    channel_laws::{Gesture, Rig, Shown},
    doubles::InboxDouble,
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) const TEAM: &str = "T0SIM0001";
pub(crate) const BOT: &str = "U0BOT0001";
pub(crate) const ANA: &str = "U0ANA0001";
pub(crate) const BEN: &str = "U0BEN0001";
pub(crate) const GENERAL: &str = "C0GEN0001";
pub(crate) const OPS: &str = "C0OPS0001";
/// Long enough for a loaded machine; nothing waits this long when it works.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// Opens a channel on a simulator.
pub(crate) fn open(simulated: &Simulated, more: Value) -> Arc<Slack> {
    testkit::init();
    let mut settings = json!({
        "api": simulated.api(), "silence": "3s",
        "limits": { "posts_per_second": 500.0, "posts_at_once": 500 },
    });
    merge(&mut settings, more);
    let (bot, app, signing) = (simulated.bot_token(), simulated.app_token(), simulated.signing_secret());
    let secret = move |name: &str| match name {
        "SLACK_BOT_TOKEN" => Some(SecretString::from(bot.clone())),
        "SECOND_BOT_TOKEN" => Some(SecretString::from("xoxb-sim-2-secret")),
        "WRONG_BOT_TOKEN" => Some(SecretString::from("xoxb-nobody-knows-this")),
        "SLACK_APP_TOKEN" => Some(SecretString::from(app.clone())),
        "SLACK_SIGNING_SECRET" => Some(SecretString::from(signing.clone())),
        "NEXT_SIGNING_SECRET" => Some(SecretString::from("the-next-signing-secret")),
        _ => None,
    };
    let setup = Setup { name: ChannelName::new("slack"), folder: Path::new("x"), secret: &secret };
    let settings: Settings = serde_json::from_value(settings).unwrap();
    Arc::new(Slack::open(settings, &setup).unwrap())
}

fn merge(into: &mut Value, more: Value) {
    match (into, more) {
        (Value::Object(into), Value::Object(more)) => {
            for (key, value) in more {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, more) => *into = more,
    }
}

/// A channel that listens, with a gateway in memory behind it.
pub(crate) struct World {
    pub(crate) simulated: Simulated,
    pub(crate) slack: Arc<Slack>,
    pub(crate) control: Control,
    pub(crate) inbox: Arc<InboxDouble>,
    pub(crate) health: Health,
    listening: Option<(CancellationToken, JoinHandle<Result<(), channel::Error>>)>,
    attending: JoinHandle<()>,
}

impl World {
    pub(crate) async fn new(options: Options, settings: Value) -> Self {
        let mut world = Self::silent(options, settings).await;
        world.listen().await;
        world
    }

    /// One that does not listen yet.
    pub(crate) async fn silent(options: Options, settings: Value) -> Self {
        testkit::init();
        let simulated = Simulated::start(options).await.unwrap();
        let slack = open(&simulated, settings);
        let control = simulated.control();
        let inbox = Arc::<InboxDouble>::default();
        let attending = attend(&slack, &inbox);
        Self { simulated, slack, control, inbox, health: Health::default(), listening: None, attending }
    }

    pub(crate) async fn start() -> Self {
        Self::new(Options { time_scale: 0.05, ..Options::default() }, json!({})).await
    }

    /// Listens, and waits until it is up.
    pub(crate) async fn listen(&mut self) {
        self.begin();
        self.is(|state| *state == HealthState::Up).await;
    }

    /// Listens.
    pub(crate) fn begin(&mut self) {
        let stop = CancellationToken::new();
        self.health = Health::default();
        let ingress = Ingress { inbox: self.inbox.clone(), health: self.health.clone(), stop: stop.clone() };
        let slack = self.slack.clone();
        self.listening = Some((stop, tokio::spawn(async move { slack.listen(ingress).await })));
    }

    /// Another process takes the place of this one.
    pub(crate) fn replace(&mut self, settings: Value) {
        self.attending.abort();
        self.slack = open(&self.simulated, settings);
        self.attending = attend(&self.slack, &self.inbox);
    }

    pub(crate) async fn stop(&mut self) {
        let (stop, task) = self.listening.take().unwrap();
        stop.cancel();
        tokio::time::timeout(Duration::from_secs(10), task).await.unwrap().unwrap().unwrap();
    }

    pub(crate) async fn is(&self, wanted: impl Fn(&HealthState) -> bool) -> HealthState {
        let began = Instant::now();
        loop {
            let state = self.health.state();
            if wanted(&state) {
                return state;
            }
            assert!(began.elapsed() < SOON, "its health stays {state:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The conversation of the bot with a person.
    pub(crate) async fn direct(&self, user: &str) -> Option<String> {
        direct(&self.control, user).await
    }
}

/// Does what every gateway does, also one that does not listen.
fn attend(slack: &Arc<Slack>, inbox: &Arc<InboxDouble>) -> JoinHandle<()> {
    let (slack, inbox) = (slack.clone(), inbox.clone());
    tokio::spawn(async move { slack.attend(inbox, CancellationToken::new()).await })
}

/// Waits until something holds.
pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !holds().await {
        assert!(began.elapsed() < SOON, "it never came: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn direct(control: &Control, user: &str) -> Option<String> {
    let channels = control.channels().await.unwrap();
    let with = |members: &[String]| members.iter().any(|m| m == user) && members.iter().any(|m| m == BOT);
    channels
        .into_iter()
        .find(|channel| channel.kind == "im" && with(&channel.members))
        .map(|channel| channel.id)
}

/// Where the person of a rig talks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Talks {
    /// Mentions the bot in a channel, and goes on in the thread.
    InAChannel,
    /// Writes to the bot.
    Directly,
}

/// Ana, on a simulated Slack.
pub(crate) struct Person {
    slack: Arc<Slack>,
    simulated: Simulated,
    control: Control,
    talks: Talks,
}

impl Person {
    pub(crate) async fn rig(talks: Talks, http: bool) -> Box<dyn Rig> {
        let simulated = Simulated::start(Options { time_scale: 0.05, ..Options::default() }).await.unwrap();
        let control = simulated.control();
        let settings = if http {
            let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            control.events(Some(&format!("http://127.0.0.1:{port}/slack"))).await.unwrap();
            json!({ "receive": "http", "listen": format!("127.0.0.1:{port}") })
        } else {
            json!({})
        };
        Box::new(Self { slack: open(&simulated, settings), control, simulated, talks })
    }

    async fn gesture(&self, channel: String, thread: String, ts: String, text: &str) -> Gesture {
        Gesture {
            acknowledged: Some(self.acknowledged(&ts).await),
            id: format!("{channel} {ts}"),
            conversation: format!("{channel} {thread}"),
            text: text.to_owned(),
        }
    }

    /// Presses a button of a card; the button's id.
    async fn presses(&self, place: &Place, card: &Shown, choice: &str) -> String {
        let mut found = None;
        for channel in self.control.channels().await.unwrap() {
            let messages = self.control.messages(&channel.id, None).await.unwrap();
            found = found.or(messages.into_iter().find(|message| message.ts == card.name));
        }
        let message = found.unwrap_or_else(|| panic!("the card at {place} is gone"));
        let id = message.elements().into_iter().find_map(|element| {
            let id = element["action_id"].as_str()?.to_owned();
            id.ends_with(&format!(":{choice}")).then_some(id)
        });
        let id = id.unwrap_or_else(|| panic!("no button for {choice}: {message:?}"));
        self.control.click(&Click::on(ANA, &message, &id)).await.unwrap();
        id
    }

    /// Sends off the form that opens.
    async fn submits(&self, values: &[(&str, &str)]) {
        while self.control.view(ANA).await.unwrap().is_none() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let submitted = self.control.submit(ANA, values).await.unwrap();
        assert_eq!(submitted.outcome, "closed", "{submitted:?}");
    }

    /// Whether every event about a message is acknowledged, within a while.
    async fn acknowledged(&self, ts: &str) -> bool {
        let began = Instant::now();
        loop {
            let deliveries = self.control.deliveries().await.unwrap();
            if all_acknowledged(&deliveries, ts) {
                return true;
            }
            if began.elapsed() > Duration::from_millis(1_500) {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

#[async_trait]
impl Rig for Person {
    fn channel(&self) -> Arc<dyn Channel> {
        self.slack.clone()
    }

    fn name(&self) -> ChannelName {
        ChannelName::new("slack")
    }

    fn contact(&self) -> String {
        format!("{TEAM}/{ANA}")
    }

    fn secrets(&self) -> Vec<String> {
        vec![self.simulated.bot_token(), self.simulated.app_token(), self.simulated.signing_secret()]
    }

    async fn says(&self, text: &str) -> Gesture {
        let said = match self.talks {
            Talks::InAChannel => self.control.say(ANA, GENERAL, &format!("<@{BOT}> {text}")).await.unwrap(),
            Talks::Directly => self.control.dm(ANA, text).await.unwrap(),
        };
        self.gesture(said.channel, said.ts.clone(), said.ts, text).await
    }

    async fn replies(&self, first: &Gesture, text: &str) -> Gesture {
        let (channel, thread) = first.conversation.split_once(' ').unwrap();
        let said = match self.talks {
            Talks::InAChannel => self.control.reply(ANA, channel, thread, text).await.unwrap(),
            Talks::Directly => self.control.dm(ANA, text).await.unwrap(),
        };
        self.gesture(said.channel, thread.to_owned(), said.ts, text).await
    }

    async fn repeats(&self, gesture: &Gesture) -> Option<bool> {
        let (_, ts) = gesture.id.split_once(' ').unwrap();
        let deliveries = self.control.deliveries().await.unwrap();
        let first = deliveries.iter().find(|delivery| delivery.ts.as_deref() == Some(ts)).unwrap();
        let outer = json!({ "event_id": first.payload["event_id"] });
        self.control.raw_event(first.payload["event"].clone(), outer).await.unwrap();
        let count = deliveries.len();
        let began = Instant::now();
        while began.elapsed() < Duration::from_millis(1_500) {
            let deliveries = self.control.deliveries().await.unwrap();
            if deliveries
                .iter()
                .skip(count)
                .any(|delivery| delivery.ts.as_deref() == Some(ts) && delivery.acked)
            {
                return Some(true);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Some(false)
    }

    async fn sees(&self, place: &Place) -> Vec<Shown> {
        let parts: Vec<&str> = place.as_str().split('/').collect();
        let channel = match parts[1].strip_prefix('@') {
            Some(user) => match direct(&self.control, user).await {
                Some(channel) => channel,
                None => return Vec::new(),
            },
            None => parts[1].to_owned(),
        };
        let messages = self.control.messages_for(ANA, &channel, parts.get(2).copied()).await.unwrap();
        messages.iter().filter(|message| message.bot_id.is_some()).map(shown).collect()
    }

    async fn answers(&self, place: &Place, card: &Shown, choice: &str) {
        if self.presses(place, card, choice).await.starts_with("form:") {
            self.submits(&[]).await;
        }
    }

    async fn fills(&self, place: &Place, card: &Shown, choice: &str, lines: &[(&str, &str)]) {
        self.presses(place, card, choice).await;
        let blocks: Vec<(String, &str)> =
            lines.iter().map(|(id, value)| (format!("value:{id}"), *value)).collect();
        let blocks: Vec<(&str, &str)> = blocks.iter().map(|(id, value)| (id.as_str(), *value)).collect();
        self.submits(&blocks).await;
    }

    async fn away(&self, away: bool) -> bool {
        self.control.away(away).await.unwrap();
        true
    }
}

fn all_acknowledged(deliveries: &[Delivery], ts: &str) -> bool {
    let mut of = deliveries.iter().filter(|delivery| delivery.ts.as_deref() == Some(ts)).peekable();
    of.peek().is_some() && of.all(|delivery| delivery.acked)
}

/// A message as a person sees it.
pub(crate) fn shown(message: &Message) -> Shown {
    let mut text = String::new();
    let mut alive = message.rings.clone();
    if message.unfurls {
        alive.push("a preview".to_owned());
    }
    for block in &message.blocks {
        read(block, &mut text, &mut alive);
    }
    if message.blocks.is_empty() {
        text = message.text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
    }
    let choices = message.elements().into_iter().filter_map(|element| {
        let id = element["action_id"].as_str()?;
        id.strip_prefix("press:").or(id.strip_prefix("form:")).map(str::to_owned)
    });
    let files = message.files.iter().map(|file| {
        let bytes =
            data_encoding::BASE64.decode(file["content"].as_str().unwrap_or_default().as_bytes()).unwrap();
        (file["name"].as_str().unwrap_or_default().to_owned(), bytes)
    });
    Shown {
        name: message.ts.clone(),
        text,
        whole: format!("{} {}", message.text, json!(message.blocks)),
        alive,
        buttons: choices.collect(),
        files: files.collect(),
    }
}

/// The words of a block, and what in it acts.
fn read(value: &Value, text: &mut String, alive: &mut Vec<String>) {
    match value["type"].as_str().unwrap_or_default() {
        kind @ ("mrkdwn" | "markdown" | "image" | "broadcast" | "user" | "usergroup" | "video") => {
            alive.push(kind.to_owned());
        }
        "link" => {
            let url = value["url"].as_str().unwrap_or_default();
            if !url.starts_with("http") && !url.starts_with("mailto:") {
                alive.push(url.to_owned());
            }
            text.push_str(value["text"].as_str().unwrap_or(url));
            return;
        }
        "text" | "plain_text" | "raw_text" => {
            text.push_str(value["text"].as_str().unwrap_or_default());
            return;
        }
        _ => {}
    }
    for key in ["text", "elements", "rows", "fields", "label", "element"] {
        match &value[key] {
            Value::Array(items) => {
                for item in items {
                    match item {
                        Value::Array(cells) => cells.iter().for_each(|cell| read(cell, text, alive)),
                        item => read(item, text, alive),
                    }
                    text.push(' ');
                }
            }
            inner @ Value::Object(_) => read(inner, text, alive),
            _ => {}
        }
    }
    text.push('\n');
}
