//! Everything that touches the network.

mod api;
mod backfill;
mod connector;
mod draft;
mod fault;
mod files;
mod http;
mod intake;
mod people;
mod presence;
mod send;
mod socket;
mod sockets;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use channel::{Error, Inbox, Ingress, Place};
use chat::{Drafts, Pace, payload::is};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    config::{Config, Way},
    decode::Us,
    manifest,
    place::{Ref, Room, Spot},
};
use api::{Api, Workspace};
use draft::Shown;
use intake::Intake;
use people::People;
pub(crate) use presence::Presence;

/// How long listening waits for what it began, once it is told to stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(3);
/// How often tokens that Slack did not answer for are tried again when somebody needs them.
const LOGIN_AGAIN: Duration = Duration::from_secs(5);

/// A Slack app, in all its workspaces.
pub(crate) struct Client {
    pub(crate) config: Config,
    api: Api,
    people: People,
    pace: Pace,
    drafts: Drafts<Place, Shown>,
    presence: Presence,
    state: Mutex<State>,
    /// One asks who the tokens are for; the others wait for that.
    logins: tokio::sync::Mutex<Option<tokio::time::Instant>>,
}

#[derive(Default)]
struct State {
    /// By team.
    workspaces: BTreeMap<String, Arc<Workspace>>,
    /// Which of the configured tokens are known already.
    known: BTreeSet<usize>,
    /// The ids of direct messages, by team and user.
    directs: HashMap<(String, String), String>,
    /// Channels that are configured as contacts, for the check.
    contacts: BTreeSet<(String, String)>,
    /// Workspaces that do not stream.
    plain: BTreeSet<String>,
    inbox: Option<Arc<dyn Inbox>>,
}

impl Client {
    pub(crate) fn new(config: Config) -> Result<Self, Error> {
        let api = Api::new(&config)?;
        let limits = &config.settings.limits;
        let pace = Pace::new(limits.posts_per_second, limits.posts_at_once);
        Ok(Self {
            config,
            api,
            people: People::default(),
            pace,
            drafts: Drafts::default(),
            presence: Presence::default(),
            state: Mutex::default(),
            logins: tokio::sync::Mutex::new(None),
        })
    }

    /// Notes a channel that is configured as a place where people are asked.
    pub(crate) fn note_contact(&self, spot: &Spot) {
        if let Room::Channel(channel) = &spot.room {
            self.state().contacts.insert((spot.team.clone(), channel.clone()));
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
        let listened = match &self.config.way {
            Way::Socket { app } => sockets::run(self, app, &ingress, &intake).await,
            Way::Http { listen, secrets } => http::run(self, *listen, secrets, &ingress, &intake).await,
        };
        stop.cancel();
        tasks.close();
        let _ = tokio::time::timeout(STOP_TIMEOUT, tasks.wait()).await;
        listened
    }

    /// Asks Slack who each token is for, until all of them are known.
    async fn log_in(&self) -> Result<(), Error> {
        let mut last = self.logins.lock().await;
        let missing: Vec<usize> = {
            let known = self.state().known.clone();
            (0..self.config.bots.len()).filter(|n| !known.contains(n)).collect()
        };
        if missing.is_empty() {
            return Ok(());
        }
        *last = Some(tokio::time::Instant::now());
        let mut first = None;
        for n in missing {
            let Some(token) = self.config.bots.get(n) else { continue };
            match self.api.who(token).await {
                Ok(granted) => {
                    let workspace = granted.workspace;
                    tracing::info!(channel = %self.config.channel, workspace = %workspace.name, team = %workspace.team,
                        bot = %workspace.us.user, "logged in");
                    let mut state = self.state();
                    state.known.insert(n);
                    state.workspaces.insert(workspace.team.clone(), Arc::new(workspace));
                }
                Err(fault) => {
                    let name = self.config.settings.bot_tokens_env.get(n).map_or("", String::as_str);
                    tracing::warn!(channel = %self.config.channel, token = name, error = %fault.error, "not logged in");
                    first.get_or_insert(named(fault.error, name));
                }
            }
        }
        first.map_or(Ok(()), Err)
    }

    /// Asks Slack for a sign of life.
    async fn still_there(&self) -> Result<(), Error> {
        match self.config.bots.first() {
            Some(token) => Ok(self.api.who(token).await.map(drop)?),
            None => Ok(()),
        }
    }

    /// The workspace of a team.
    async fn workspace(&self, team: &str) -> Result<Arc<Workspace>, Error> {
        if let Some(workspace) = self.known_workspace(team) {
            return Ok(workspace);
        }
        let lately = self.logins.lock().await.is_some_and(|last| last.elapsed() < LOGIN_AGAIN);
        let logged_in =
            if lately && !self.state().workspaces.is_empty() { Ok(()) } else { self.log_in().await };
        if let Some(workspace) = self.known_workspace(team) {
            return Ok(workspace);
        }
        logged_in?;
        Err(Error::misconfigured(
            format!("no bot token is for the workspace {team}"),
            format!("add the token of that workspace to channels.{}.bot_tokens_env", self.config.channel),
        ))
    }

    fn known_workspace(&self, team: &str) -> Option<Arc<Workspace>> {
        self.state().workspaces.get(team).cloned()
    }

    /// Who the app is in a workspace.
    fn us(&self, team: &str) -> Option<Us> {
        self.known_workspace(team).map(|workspace| workspace.us.clone())
    }

    /// Forgets a workspace whose token does not count any more.
    fn forget(&self, team: &str) {
        let mut state = self.state();
        state.workspaces.remove(team);
        state.known.clear();
    }

    /// The id of the conversation of a place.
    async fn conversation(&self, workspace: &Workspace, room: &Room) -> Result<String, Error> {
        let user = match room {
            Room::Channel(channel) => return Ok(channel.clone()),
            Room::Person(user) => user,
        };
        let key = (workspace.team.clone(), user.clone());
        if let Some(channel) = self.state().directs.get(&key) {
            return Ok(channel.clone());
        }
        let channel = self.api.open_direct(workspace, user).await?;
        self.state().directs.insert(key, channel.clone());
        Ok(channel)
    }

    fn inbox(&self) -> Result<Arc<dyn Inbox>, Error> {
        let inbox = self.state().inbox.clone();
        inbox.ok_or_else(|| Error::retry("the channel is just starting"))
    }

    /// Connects once, and says what it found.
    pub(crate) async fn check(&self) -> Result<Vec<String>, Vec<Error>> {
        let (mut found, mut faults) = (Vec::new(), Vec::new());
        for (n, token) in self.config.bots.iter().enumerate() {
            let name = self.config.settings.bot_tokens_env.get(n).map_or("", String::as_str);
            match self.api.who(token).await {
                Ok(granted) => {
                    faults.extend(manifest::missing_scopes(&self.config.settings, &granted.scopes, name));
                    let Workspace { name, team, us, handle, .. } = &granted.workspace;
                    found.push(format!("workspace {name} ({team}), as @{handle} ({})", us.user));
                    faults.append(&mut self.uninvited(&granted.workspace).await);
                }
                Err(fault) => faults.push(named(fault.error, name)),
            }
        }
        match &self.config.way {
            Way::Socket { app } => match self.api.open_connection(app).await {
                Ok(_) => found.push("events come over Socket Mode".to_owned()),
                Err(fault) => faults.push(named(fault.error, &self.config.settings.app_token_env)),
            },
            Way::Http { listen, .. } => {
                found.push(format!(
                    "events are to come to {}, and from there to {listen}",
                    self.config.settings.url
                ));
            }
        }
        if faults.is_empty() { Ok(found) } else { Err(faults) }
    }

    /// Channels where people are to be asked and the bot is not.
    async fn uninvited(&self, workspace: &Workspace) -> Vec<Error> {
        let contacts = self.state().contacts.clone();
        let mut faults = Vec::new();
        for (_, channel) in contacts.iter().filter(|(team, _)| *team == workspace.team) {
            match self.api.conversation(workspace, channel).await {
                Ok(answer) if is(&answer, &["channel", "is_member"]) => {}
                Ok(_) => faults.push(Error::misconfigured(
                    format!("the bot is not in the channel {channel}, where people are to be asked"),
                    format!("say there: /invite @{}", workspace.handle),
                )),
                Err(fault) => faults.push(fault.error),
            }
        }
        faults
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The same error, with the environment variable that it is about.
fn named(error: Error, variable: &str) -> Error {
    let what = format!("{} (the token in {variable})", error.what);
    let named = Error::new(error.kind, what);
    match error.remedy {
        Some(remedy) => named.with_remedy(remedy),
        None => named,
    }
}

/// Where the name of the thread that a command's conversation has is kept, and the other way round.
fn cursor_of_command(spot: &Spot) -> String {
    format!("command/{}", spot.place())
}

fn cursor_of_thread(message: &Ref) -> String {
    format!("thread/{}", message.write())
}

/// Where the words of a command are kept until its conversation has begun.
fn cursor_of_words(spot: &Spot) -> String {
    format!("words/{}", spot.place())
}
