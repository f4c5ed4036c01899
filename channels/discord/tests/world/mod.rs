//! A simulated Discord, and the channel that is connected to it.

pub(crate) mod rig;

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use channel::{Channel, ChannelName, Health, HealthState, Ingress, Kind, Setup};
use channel_discord::{Discord, Settings};
use secrecy::SecretString;
use serde_json::{Value, json};
use simulator::discord::{Control, Discord as Simulated, Options, options as known};
use testkit::doubles::InboxDouble;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) const ANA: &str = known::ANA;
pub(crate) const APP: &str = known::APP;
pub(crate) const BEN: &str = known::BEN;
pub(crate) const CY: &str = known::CY;
pub(crate) const GENERAL: &str = known::GENERAL;
pub(crate) const GUILD: &str = known::GUILD;
pub(crate) const OPS: &str = known::OPS;
/// Long enough for a loaded machine; nothing waits this long when it works.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// Opens a channel on a simulator.
pub(crate) fn open(simulated: &Simulated, more: Value) -> Arc<Discord> {
    testkit::init();
    let mut settings = json!({ "api": simulated.api() });
    merge(&mut settings, more);
    let token = simulated.bot_token();
    let secret = move |name: &str| match name {
        "DISCORD_TOKEN" => Some(SecretString::from(token.clone())),
        "WRONG_TOKEN" => Some(SecretString::from("a-token-that-nobody-knows")),
        _ => None,
    };
    let setup = Setup { name: ChannelName::new("discord"), folder: Path::new("x"), secret: &secret };
    let settings: Settings = serde_json::from_value(settings).unwrap();
    Arc::new(Discord::open(settings, &setup).unwrap())
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

/// How a simulator is as a rule: Discord's waits are short.
pub(crate) fn options() -> Options {
    Options { time_scale: 0.02, ..Options::default() }
}

/// A channel that listens, with a gateway in memory behind it.
pub(crate) struct World {
    pub(crate) simulated: Simulated,
    pub(crate) discord: Arc<Discord>,
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
        let discord = open(&simulated, settings);
        let control = simulated.control();
        let inbox = Arc::<InboxDouble>::default();
        Self {
            attending: attend(&discord, &inbox),
            simulated,
            discord,
            control,
            inbox,
            health: Health::default(),
            listening: None,
        }
    }

    pub(crate) async fn start() -> Self {
        Self::new(options(), json!({})).await
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
        let discord = self.discord.clone();
        self.listening = Some((stop, tokio::spawn(async move { discord.listen(ingress).await })));
    }

    pub(crate) async fn stop(&mut self) {
        let (stop, task) = self.listening.take().unwrap();
        stop.cancel();
        tokio::time::timeout(Duration::from_secs(10), task).await.unwrap().unwrap().unwrap();
    }

    /// Ends as a process that is killed does: nothing is said, nothing is kept any more; another one takes its place.
    pub(crate) async fn kill(&mut self, settings: Value) {
        let (stop, task) = self.listening.take().unwrap();
        task.abort();
        let _ = task.await;
        // What it began ends with it; what it would have kept at its end is not kept any more.
        stop.cancel();
        self.replace(settings);
    }

    /// Another process takes the place of this one.
    pub(crate) fn replace(&mut self, settings: Value) {
        self.attending.abort();
        self.discord = open(&self.simulated, settings);
        self.attending = attend(&self.discord, &self.inbox);
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
fn attend(discord: &Arc<Discord>, inbox: &Arc<InboxDouble>) -> JoinHandle<()> {
    let (discord, inbox) = (discord.clone(), inbox.clone());
    tokio::spawn(async move { discord.attend(inbox, CancellationToken::new()).await })
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
    let with = |members: &[String]| members.iter().any(|m| m == user);
    channels.into_iter().find(|channel| channel.kind == 1 && with(&channel.members)).map(|channel| channel.id)
}
