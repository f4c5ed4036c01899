//! Everything that touches the network.

mod api;
mod backfill;
mod draft;
mod fault;
mod files;
mod gateway;
mod http;
mod intake;
mod limits;
mod presence;
mod rooms;
mod send;
mod session;
mod shards;
mod threads;

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use channel::{Error, Inbox, Ingress};
use chat::{
    Drafts,
    payload::{list, text},
};
use serde_json::Value;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    config::Config,
    decode::Us,
    manifest,
    place::{Spot, Under, is_id},
};
use api::Api;
use intake::Intake;
pub(crate) use presence::Presence;
use rooms::Rooms;

/// How long listening waits for what it began, once it is told to stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(3);
/// How long the way back that a gesture opens is open: <https://discord.com/developers/docs/interactions/receiving-and-responding>
/// says a quarter of an hour; what takes a moment must not come a moment too late.
const WAY_BACK: Duration = Duration::from_secs(14 * 60 + 30);
/// How long the first answer to a gesture may be on its way; Discord waits three seconds for it.
const OPENING: Duration = Duration::from_secs(4);
/// How often the way back is tried meanwhile.
const OPENING_REST: Duration = Duration::from_millis(150);
/// Gestures whose way back is remembered.
const GESTURES_MAX: usize = 10_000;

/// A Discord bot, on all its servers.
pub(crate) struct Client {
    pub(crate) config: Config,
    api: Api,
    rooms: Rooms,
    /// The conversation and the message of each.
    drafts: Drafts<Spot, (String, String)>,
    presence: Presence,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    us: Us,
    /// The ids of direct messages, by user.
    directs: HashMap<String, String>,
    /// Messages below which no thread could be opened.
    flat: BTreeSet<String>,
    /// Channels that are configured as contacts, for the check.
    contacts: BTreeSet<String>,
    /// The ways back that gestures opened, by their id, and whose they are.
    gestures: HashMap<String, (String, String, tokio::time::Instant)>,
    /// When something was heard last in a session that ended, in seconds.
    listened: Option<i64>,
    inbox: Option<Arc<dyn Inbox>>,
}

impl Client {
    pub(crate) fn new(config: Config) -> Result<Self, Error> {
        let api = Api::new(&config)?;
        Ok(Self {
            config,
            api,
            rooms: Rooms::default(),
            drafts: Drafts::default(),
            presence: Presence::default(),
            state: Mutex::default(),
        })
    }

    /// Notes a channel that is configured as a place where people are asked.
    pub(crate) fn note_contact(&self, spot: &Spot) {
        if let Spot::Channel { channel, .. } = spot {
            self.state().contacts.insert(channel.clone());
        }
    }

    pub(crate) fn presence(&self) -> &Presence {
        &self.presence
    }

    /// Shows signs of life, and keeps what sending looks up, until it is told to stop.
    pub(crate) async fn attend(self: &Arc<Self>, inbox: Arc<dyn Inbox>, stop: CancellationToken) {
        self.state().inbox = Some(inbox);
        presence::run(self.clone(), stop).await;
    }

    /// Receives until it is told to stop.
    pub(crate) async fn listen(self: &Arc<Self>, ingress: Ingress) -> Result<(), Error> {
        let tasks = TaskTracker::new();
        let stop = ingress.stop.child_token();
        let intake = Intake::start(self.clone(), ingress.clone(), &tasks, stop.clone());
        let shards = shards::run(self, &ingress, &intake);
        let listened = match &self.config.endpoint {
            None => shards.await,
            Some((listen, verifier)) => {
                let requests = http::run(self, *listen, verifier, &ingress, &intake);
                tokio::try_join!(shards, requests).map(drop)
            }
        };
        stop.cancel();
        tasks.close();
        let _ = tokio::time::timeout(STOP_TIMEOUT, tasks.wait()).await;
        listened
    }

    /// Asks Discord who the token is for.
    async fn log_in(&self) -> Result<Us, Error> {
        let (me, application) = (self.api.me().await?, self.api.application().await?);
        let of = |value: &Value, key: &str| text(value, &[key]).unwrap_or_default().to_owned();
        let us = Us {
            user: of(&me, "id"),
            application: of(&application, "id"),
            name: of(&me, "username"),
            roles: Vec::new(),
        };
        if !is_id(&us.user) || !is_id(&us.application) {
            let remedy = "check `api`: it is https://discord.com/api/v10 as a rule";
            return Err(Error::misconfigured("Discord's answer names no bot", remedy));
        }
        tracing::info!(channel = %self.config.channel, bot = %us.name, id = %us.user, "logged in");
        self.state().us = us.clone();
        Ok(us)
    }

    /// Asks who the token is for, unless it was asked before: a gateway may send that never listened.
    async fn know_us(&self) -> Result<(), Error> {
        let known = !self.state().us.user.is_empty();
        if known { Ok(()) } else { self.log_in().await.map(drop) }
    }

    /// Who the bot is, with the roles that mean it.
    fn us(&self) -> Us {
        Us { roles: self.rooms.roles(), ..self.state().us.clone() }
    }

    /// Registers the commands, where Discord has others. Doing that twice is doing it once.
    async fn register_commands(&self) {
        let application = self.state().us.application.clone();
        let wanted = manifest::commands(&self.config.settings);
        let registered = async {
            let known = self.api.commands(&application).await?;
            if manifest::same(&known, &wanted) {
                return Ok(());
            }
            self.api.set_commands(&application, &wanted).await?;
            tracing::info!(channel = %self.config.channel, "the commands are registered");
            Ok::<_, Error>(())
        };
        if let Err(error) = registered.await {
            tracing::warn!(channel = %self.config.channel, %error, "the commands are not registered");
        }
    }

    /// Looks up where a conversation is.
    async fn look_up(&self, channel: &str) -> Result<(), Error> {
        let known = self.api.channel(channel).await?;
        self.rooms.note(&known, None);
        Ok(())
    }

    /// The id of the direct messages with a person.
    async fn direct(&self, user: &str) -> Result<String, Error> {
        if let Some(channel) = self.state().directs.get(user) {
            return Ok(channel.clone());
        }
        let channel = self.api.open_direct(user).await?;
        self.state().directs.insert(user.to_owned(), channel.clone());
        Ok(channel)
    }

    /// A gesture opened a way back to who made it.
    fn note_gesture(&self, user: &str, id: &str, token: &str) {
        let mut state = self.state();
        if state.gestures.len() >= GESTURES_MAX {
            state.gestures.retain(|_, (_, _, at)| at.elapsed() < WAY_BACK);
            if state.gestures.len() >= GESTURES_MAX {
                state.gestures.clear();
            }
        }
        let way = (user.to_owned(), token.to_owned(), tokio::time::Instant::now());
        state.gestures.insert(id.to_owned(), way);
    }

    /// The way back to a person that this gesture opened, while it is open.
    fn way_back(&self, id: &str, user: &str) -> Option<String> {
        let state = self.state();
        let (whose, token, at) = state.gestures.get(id)?;
        (whose == user && at.elapsed() < WAY_BACK).then(|| token.clone())
    }

    /// Whether Discord may not have our first answer to this gesture yet: until it has, it knows of no way back.
    fn is_opening(&self, id: &str) -> bool {
        self.state().gestures.get(id).is_some_and(|(_, _, at)| at.elapsed() < OPENING)
    }

    /// A session ended in which something was heard at this time, in seconds.
    fn note_listened(&self, at: i64) {
        let mut state = self.state();
        state.listened = state.listened.max(Some(at));
    }

    fn inbox(&self) -> Result<Arc<dyn Inbox>, Error> {
        let inbox = self.state().inbox.clone();
        inbox.ok_or_else(|| Error::retry("the channel is just starting"))
    }

    /// Connects once, and says what it found.
    pub(crate) async fn check(&self) -> Result<Vec<String>, Vec<Error>> {
        let us = self.log_in().await.map_err(|error| vec![error])?;
        let mut found = vec![format!("bot {} ({})", us.name, us.user)];
        let mut faults = Vec::new();
        match self.api.application().await {
            Ok(application) => faults.extend(manifest::missing_intent(&self.config.settings, &application)),
            Err(fault) => faults.push(fault.error),
        }
        match self.api.gateway().await {
            Ok(gateway) => {
                let shards = gateway.get("shards").and_then(Value::as_u64).unwrap_or(1);
                found.push(format!("Discord recommends {shards} connection(s)"));
            }
            Err(fault) => faults.push(fault.error),
        }
        if let Some((listen, _)) = &self.config.endpoint {
            found.push(format!("buttons, forms and commands are to come to {listen}"));
        }
        let contacts = self.state().contacts.clone();
        for channel in &contacts {
            if let Err(fault) = self.api.channel(channel).await {
                let error = fault.error;
                let what = format!("the channel {channel}, where people are to be asked: {}", error.what);
                let remedy = error.remedy.unwrap_or_else(|| "mend its id where it is configured".to_owned());
                faults.push(Error::misconfigured(what, remedy));
            }
        }
        if !self.config.settings.message_content {
            found.push("without message_content: in threads the bot hears only what mentions it".to_owned());
        }
        if faults.is_empty() { Ok(found) } else { Err(faults) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a message is the bot's own.
fn is_ours(message: &Value, us: &Us) -> bool {
    text(message, &["author", "id"]) == Some(us.user.as_str())
}

/// The size of the file that a message carries.
fn file_of(message: &Value) -> Option<u64> {
    list(message, &["attachments"]).first()?.get("size").and_then(Value::as_u64)
}

/// The command that a conversation began with.
fn command_of(spot: &Spot) -> Option<&str> {
    match spot {
        Spot::Channel { under: Under::Command(id), .. } => Some(id),
        Spot::Channel { .. } | Spot::Person(_) => None,
    }
}

/// Where it is kept to which conversation a message belongs that people may go on below.
fn cursor_of_thread(message: &str) -> String {
    format!("thread/{message}")
}

/// Where the first answer to a command is kept.
fn cursor_of_command(id: &str) -> String {
    format!("command/{id}")
}

/// Where the words of a command are kept until its conversation has begun.
fn cursor_of_words(id: &str) -> String {
    format!("words/{id}")
}

/// Where the way back that a command opened is kept until it was used.
fn cursor_of_interaction(id: &str) -> String {
    format!("interaction/{id}")
}

/// Where it is kept what a message said that somebody asks about.
fn cursor_of_quoted(message: &str) -> String {
    format!("quoted/{message}")
}
