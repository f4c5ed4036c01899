//! Everything that the simulated Discord knows.
//!
//! Invariant: all of it is behind one lock, which is never held across a wait; what takes time is left behind as an
//! [`crate::shared::tasks::Effect`] and carried out after the lock is gone.

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{
    Options,
    ids::{self, Id, Snowflakes},
    interaction::Interaction,
    limits::Limits,
    message::Message,
    modal::Modal,
    options::{APP, Events},
    seed,
    sessions::Sessions,
    sign::Signer,
};
use crate::shared::fault::Fault;
use crate::shared::tasks::Effects;

/// The bot token at the start.
pub(crate) const TOKEN: &str = "MTQ1MDAwMDAwMDAwMDAwMDAwMQ.sim.secret";

/// The number of the type of a channel in a guild where people write.
pub(crate) const TEXT: u64 = 0;
/// The number of the type of a conversation between two.
pub(crate) const DM: u64 = 1;
/// The number of the type of an open thread.
pub(crate) const PUBLIC_THREAD: u64 = 11;
/// The number of the type of a thread by invitation.
pub(crate) const PRIVATE_THREAD: u64 = 12;
/// The number of the type of a forum.
pub(crate) const FORUM: u64 = 15;

const CALLS_KEPT: usize = 20_000;

/// A person, or an app's bot user.
#[derive(Clone, Debug, Default)]
pub(crate) struct User {
    pub(crate) id: Id,
    pub(crate) name: String,
    pub(crate) global_name: Option<String>,
    pub(crate) bot: bool,
    pub(crate) blocks_dms: bool,
    pub(crate) locale: String,
}

/// What a person is in a guild.
#[derive(Clone, Debug, Default)]
pub(crate) struct Member {
    pub(crate) nick: Option<String>,
    pub(crate) roles: Vec<Id>,
    pub(crate) joined: u64,
}

/// A role.
#[derive(Clone, Debug)]
pub(crate) struct Role {
    pub(crate) id: Id,
    pub(crate) name: String,
    pub(crate) permissions: u64,
    pub(crate) position: u64,
    pub(crate) mentionable: bool,
    pub(crate) managed: bool,
}

/// A guild.
#[derive(Clone, Debug)]
pub(crate) struct Guild {
    pub(crate) id: Id,
    pub(crate) name: String,
    pub(crate) owner: Id,
    pub(crate) roles: BTreeMap<Id, Role>,
    pub(crate) members: BTreeMap<Id, Member>,
}

/// What somebody, or a role, may do in a channel in spite of the guild.
#[derive(Clone, Debug)]
pub(crate) struct Overwrite {
    pub(crate) whose: Id,
    /// True if it is about one member, false for a role.
    pub(crate) member: bool,
    pub(crate) allow: u64,
    pub(crate) deny: u64,
}

/// What a thread has that a channel has not.
#[derive(Clone, Debug)]
pub(crate) struct Thread {
    pub(crate) archived: bool,
    pub(crate) locked: bool,
    pub(crate) auto_archive: u64,
    pub(crate) archived_at: u64,
    pub(crate) created_at: u64,
}

/// A place where messages are.
#[derive(Debug, Default)]
pub(crate) struct Channel {
    pub(crate) id: Id,
    pub(crate) kind: u64,
    pub(crate) name: String,
    pub(crate) guild: Option<Id>,
    pub(crate) parent: Option<Id>,
    pub(crate) owner: Option<Id>,
    pub(crate) recipients: Vec<Id>,
    pub(crate) overwrites: Vec<Overwrite>,
    pub(crate) thread: Option<Thread>,
    /// The members of a thread, and since when.
    pub(crate) members: BTreeMap<Id, u64>,
    pub(crate) messages: BTreeMap<Id, Message>,
    pub(crate) last_message: Option<Id>,
    pub(crate) sent: u64,
    /// Who began to type when, in microseconds since the start.
    pub(crate) typing: Vec<(Id, u64)>,
    pub(crate) deleted: bool,
}

/// What can be switched while the simulator runs.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) options: Options,
    pub(crate) away: bool,
    pub(crate) revoked: bool,
    pub(crate) token: String,
}

/// All of it.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) base: String,
    pub(crate) socket_base: String,
    pub(crate) began: Instant,
    pub(crate) settings: Settings,
    pub(crate) app: Id,
    pub(crate) users: BTreeMap<Id, User>,
    pub(crate) guilds: BTreeMap<Id, Guild>,
    pub(crate) channels: BTreeMap<Id, Channel>,
    /// The commands of the app, by guild; `None` for the global ones.
    pub(crate) commands: BTreeMap<Option<Id>, Vec<Value>>,
    pub(crate) interactions: BTreeMap<Id, Interaction>,
    /// The modal that is open for each person.
    pub(crate) modals: BTreeMap<Id, Modal>,
    /// The first message for each author, channel and nonce, and when.
    pub(crate) nonces: BTreeMap<(Id, Id, String), (Id, Instant)>,
    pub(crate) snowflakes: Snowflakes,
    pub(crate) calls: VecDeque<Value>,
    pub(crate) faults: Vec<Fault>,
    pub(crate) limits: Limits,
    pub(crate) sessions: Sessions,
    pub(crate) signer: Signer,
    /// What went wrong before a person's eyes.
    pub(crate) mishaps: Vec<Value>,
    /// What is still to be carried out.
    pub(crate) effects: Effects<World>,
}

impl World {
    /// A world as the options say, reachable at these addresses.
    pub(crate) fn new(options: Options, base: String, socket_base: String) -> Self {
        let settings = Settings { options, away: false, revoked: false, token: TOKEN.to_owned() };
        let mut world = Self {
            base,
            socket_base,
            began: Instant::now(),
            settings,
            app: ids::id(APP),
            users: BTreeMap::new(),
            guilds: BTreeMap::new(),
            channels: BTreeMap::new(),
            commands: BTreeMap::new(),
            interactions: BTreeMap::new(),
            modals: BTreeMap::new(),
            nonces: BTreeMap::new(),
            snowflakes: Snowflakes::default(),
            calls: VecDeque::new(),
            faults: Vec::new(),
            limits: Limits::default(),
            sessions: Sessions::default(),
            signer: Signer::new(),
            mishaps: Vec::new(),
            effects: Vec::new(),
        };
        seed::plant(&mut world);
        world
    }

    /// Microseconds since the world began.
    pub(crate) fn now_us(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Milliseconds since the world began.
    pub(crate) fn now_ms(&self) -> u64 {
        self.now_us() / 1000
    }

    /// A wait of the real Discord, as long as it is here.
    pub(crate) fn scaled(&self, wait: Duration) -> Duration {
        wait.mul_f64(self.settings.options.time_scale.max(0.0))
    }

    /// The app's endpoint for interactions, if it has one.
    pub(crate) fn endpoint(&self) -> Option<String> {
        match &self.settings.options.events {
            Events::Http { url } => Some(url.clone()),
            Events::Gateway => None,
        }
    }

    /// The conversation between the app's bot and a person, made if there is none yet.
    pub(crate) fn dm(&mut self, user: Id) -> Id {
        let app = self.app;
        let found = self.channels.values().find(|channel| {
            channel.kind == DM && [app, user].iter().all(|who| channel.recipients.contains(who))
        });
        if let Some(channel) = found {
            return channel.id;
        }
        let id = self.snowflakes.next();
        let channel = Channel { id, kind: DM, recipients: vec![app, user], ..Channel::default() };
        self.channels.insert(id, channel);
        id
    }

    /// Writes a call of the REST API down.
    pub(crate) fn record_call(&mut self, call: Value) {
        if self.calls.len() >= CALLS_KEPT {
            self.calls.pop_front();
        }
        self.calls.push_back(call);
    }

    /// Writes down what went wrong before a person's eyes.
    pub(crate) fn mishap(&mut self, user: Id, error: &str, about: &str) {
        let (at_ms, at_us) = (self.now_ms(), self.now_us());
        let user = user.to_string();
        self.mishaps
            .push(json!({"user": user, "error": error, "about": about, "at_ms": at_ms, "at_us": at_us}));
    }

    /// What a person is called in a guild.
    pub(crate) fn called(&self, user: Id, guild: Option<Id>) -> String {
        let member = guild.and_then(|id| self.guilds.get(&id)).and_then(|guild| guild.members.get(&user));
        let known = self.users.get(&user);
        let nick = member.and_then(|member| member.nick.clone());
        let name = || known.map(|user| user.global_name.clone().unwrap_or_else(|| user.name.clone()));
        nick.or_else(name).unwrap_or_default()
    }
}
