//! Everything that the simulated Slack knows.
//!
//! Invariant: all of it is behind one lock, which is never held across a wait; what takes time is left behind as an
//! [`crate::shared::tasks::Effect`] and carried out after the lock is gone.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    ops::Bound,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{
    Options,
    deliveries::Deliveries,
    files::File,
    hooks::Hook,
    ids::Stamps,
    limits::Limits,
    message::Message,
    modal::{Trigger, View},
    options::Events,
    seed,
    sockets::Sockets,
};
use crate::shared::fault::Fault;
use crate::shared::tasks::Effects;

/// The app that is simulated as installed.
pub(crate) const APP: &str = "A0SIM0001";

/// The verification token of old, which payloads still carry.
pub(crate) const VERIFICATION: &str = "sim-verification-token";

/// The app-level token.
pub(crate) const APP_TOKEN: &str = "xapp-sim-secret";

/// The signing secret at the start.
pub(crate) const SIGNING_SECRET: &str = "sim-signing-secret";

const CALLS_KEPT: usize = 20_000;

/// A workspace.
#[derive(Clone, Debug)]
pub(crate) struct Team {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) domain: String,
    pub(crate) enterprise: Option<String>,
    pub(crate) bot_user: String,
    pub(crate) bot: String,
    pub(crate) token: String,
}

/// A person, or an app's bot user.
#[derive(Clone, Debug, Default)]
pub(crate) struct User {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) real_name: String,
    pub(crate) display_name: String,
    pub(crate) team: String,
    pub(crate) bot: Option<String>,
    pub(crate) restricted: bool,
    pub(crate) ultra_restricted: bool,
    pub(crate) deleted: bool,
    pub(crate) enterprise_user: Option<Value>,
}

/// What sort of conversation a channel is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    /// Open to everybody in the workspace.
    Public,
    /// By invitation.
    Private,
    /// Between two.
    Im,
    /// Between several.
    Mpim,
}

/// A conversation.
#[derive(Debug)]
pub(crate) struct Channel {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) sort: Sort,
    pub(crate) team: String,
    pub(crate) members: Vec<String>,
    pub(crate) archived: bool,
    pub(crate) shared_with: Vec<String>,
    pub(crate) created: u64,
    pub(crate) messages: BTreeMap<String, Message>,
    /// Ephemeral messages: kept by nobody in the real Slack, kept here so that they can be looked at.
    pub(crate) whispers: Vec<Message>,
    /// What the app says that it is doing, by thread.
    pub(crate) status: BTreeMap<String, Value>,
    /// Suggested prompts, by thread.
    pub(crate) prompts: BTreeMap<String, Value>,
    /// Titles of assistant threads.
    pub(crate) titles: BTreeMap<String, String>,
}

/// What a token may do.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    /// The workspace; none for the app-level token.
    pub(crate) team: Option<String>,
    pub(crate) revoked: bool,
}

/// What can be switched while the simulator runs.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) scopes: BTreeSet<String>,
    pub(crate) app_scopes: BTreeSet<String>,
    pub(crate) streaming: bool,
    pub(crate) rate_limits: bool,
    pub(crate) events: Events,
    pub(crate) signing_secret: String,
    pub(crate) ping_every: Duration,
    pub(crate) time_scale: f64,
    pub(crate) away: bool,
}

/// All of it.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) base: String,
    pub(crate) socket_base: String,
    pub(crate) began: Instant,
    pub(crate) settings: Settings,
    pub(crate) teams: Vec<Team>,
    pub(crate) users: BTreeMap<String, User>,
    pub(crate) channels: BTreeMap<String, Channel>,
    pub(crate) tokens: BTreeMap<String, Token>,
    pub(crate) files: BTreeMap<String, File>,
    pub(crate) triggers: BTreeMap<String, Trigger>,
    pub(crate) hooks: BTreeMap<String, Hook>,
    /// The modals open for each person, the topmost last.
    pub(crate) views: BTreeMap<String, Vec<View>>,
    pub(crate) stamps: Stamps,
    pub(crate) calls: VecDeque<Value>,
    pub(crate) faults: Vec<Fault>,
    pub(crate) limits: Limits,
    pub(crate) deliveries: Deliveries,
    pub(crate) sockets: Sockets,
    /// What went wrong before a person's eyes.
    pub(crate) mishaps: Vec<Value>,
    /// What is still to be carried out.
    pub(crate) effects: Effects<World>,
}

impl World {
    /// A world as the options say, reachable at these addresses.
    pub(crate) fn new(options: Options, base: String, socket_base: String) -> Self {
        let settings = Settings {
            scopes: options.scopes.iter().cloned().collect(),
            app_scopes: BTreeSet::from(["connections:write".to_owned()]),
            streaming: options.streaming,
            rate_limits: options.rate_limits,
            events: options.events.clone(),
            signing_secret: SIGNING_SECRET.to_owned(),
            ping_every: options.ping_every,
            time_scale: options.time_scale,
            away: false,
        };
        let mut world = Self {
            base,
            socket_base,
            began: Instant::now(),
            settings,
            teams: Vec::new(),
            users: BTreeMap::new(),
            channels: BTreeMap::new(),
            tokens: BTreeMap::new(),
            files: BTreeMap::new(),
            triggers: BTreeMap::new(),
            hooks: BTreeMap::new(),
            views: BTreeMap::new(),
            stamps: Stamps::default(),
            calls: VecDeque::new(),
            faults: Vec::new(),
            limits: Limits::default(),
            deliveries: Deliveries::default(),
            sockets: Sockets::default(),
            mishaps: Vec::new(),
            effects: Vec::new(),
        };
        seed::plant(&mut world, &options);
        world
    }

    /// Microseconds since the world began.
    pub(crate) fn now_us(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Milliseconds since the world began.
    pub(crate) fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// A wait of the real Slack, as long as it is here.
    pub(crate) fn scaled(&self, wait: Duration) -> Duration {
        wait.mul_f64(self.settings.time_scale.max(0.0))
    }

    /// The workspace with this name.
    pub(crate) fn team(&self, id: &str) -> Option<&Team> {
        self.teams.iter().find(|team| team.id == id)
    }

    /// The workspace whose bot this is.
    pub(crate) fn team_of_bot(&self, bot_user: &str) -> Option<&Team> {
        self.teams.iter().find(|team| team.bot_user == bot_user)
    }

    /// The bot user of the app in the workspace of a channel.
    pub(crate) fn bot_in(&self, channel: &Channel) -> String {
        self.team(&channel.team).map(|team| team.bot_user.clone()).unwrap_or_default()
    }

    /// The conversation between the app's bot and a person, made if there is none yet.
    pub(crate) fn im(&mut self, bot_user: &str, user: &str) -> String {
        let found = self
            .channels
            .values()
            .find(|channel| channel.sort == Sort::Im && [bot_user, user].iter().all(|&who| channel.has(who)));
        if let Some(channel) = found {
            return channel.id.clone();
        }
        let wanted = format!("D{}", user.get(1..).unwrap_or("0"));
        let id = if self.channels.contains_key(&wanted) {
            format!("D0IM{:05}", self.stamps.number())
        } else {
            wanted
        };
        let team = self.team_of_bot(bot_user).map(|team| team.id.clone()).unwrap_or_default();
        let members = vec![bot_user.to_owned(), user.to_owned()];
        self.channels.insert(id.clone(), Channel::new(&id, "", Sort::Im, &team, members));
        id
    }

    /// Writes a call of the Web API down.
    pub(crate) fn record_call(&mut self, call: Value) {
        if self.calls.len() >= CALLS_KEPT {
            self.calls.pop_front();
        }
        self.calls.push_back(call);
    }

    /// Writes down what went wrong before a person's eyes.
    pub(crate) fn mishap(&mut self, user: &str, error: &str, about: &str) {
        let at_ms = self.now_ms();
        self.mishaps.push(json!({"user": user, "error": error, "about": about, "at_ms": at_ms}));
    }
}

impl Channel {
    /// A conversation in which nothing was said.
    pub(crate) fn new(id: &str, name: &str, sort: Sort, team: &str, members: Vec<String>) -> Self {
        Self {
            id: id.to_owned(),
            name: name.to_owned(),
            sort,
            team: team.to_owned(),
            members,
            archived: false,
            shared_with: Vec::new(),
            created: super::ids::since_epoch().as_secs(),
            messages: BTreeMap::new(),
            whispers: Vec::new(),
            status: BTreeMap::new(),
            prompts: BTreeMap::new(),
            titles: BTreeMap::new(),
        }
    }

    /// True for a member.
    pub(crate) fn has(&self, user: &str) -> bool {
        self.members.iter().any(|member| member == user)
    }

    /// The word for it in the field `channel_type`.
    pub(crate) fn channel_type(&self) -> &'static str {
        match self.sort {
            Sort::Public => "channel",
            Sort::Private => "group",
            Sort::Im => "im",
            Sort::Mpim => "mpim",
        }
    }

    /// The beginning of the scopes that are about this sort of conversation.
    pub(crate) fn family(&self) -> &'static str {
        match self.sort {
            Sort::Public => "channels",
            Sort::Private => "groups",
            Sort::Im => "im",
            Sort::Mpim => "mpim",
        }
    }

    /// The message with this time stamp, deleted ones left out.
    pub(crate) fn message(&self, ts: &str) -> Option<&Message> {
        self.messages.get(ts).filter(|message| !message.deleted)
    }

    /// The ephemeral message with this time stamp.
    pub(crate) fn whisper(&self, ts: &str) -> Option<&Message> {
        self.whispers.iter().find(|message| message.ts == ts && !message.deleted)
    }

    /// The living replies to a message.
    pub(crate) fn replies<'a>(&'a self, root: &'a str) -> impl DoubleEndedIterator<Item = &'a Message> {
        // A reply is younger than its root.
        let younger = self.messages.range::<str, _>((Bound::Excluded(root), Bound::Unbounded));
        younger
            .map(|(_, message)| message)
            .filter(move |message| !message.deleted && message.thread_ts.as_deref() == Some(root))
    }
}
