//! A small world: one agent, two people, two channels, and a store in a folder of its own.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use agent::{
    Agent, AskedAt, Decision, Desk, Directory, Event, Home, Intent, Member, Outcome, Question, QuestionId,
    Record, Route, Thread, ThreadId, Tickets, Unverified, Version,
};
use channel::{
    Address, Addressed, Body, Capabilities, Channel, ChannelName, Correlation, Health, Inbound, InboundKey,
    MessageRef, Person, Place, Ticket, Verified,
};
use model::Model;
use runtime::{Board, Door, GivenUp, Library, Serving, Settings, serve};
use serde_json::{Value, json};
use store::{Clock, Embedded, SentQuery, Store};
use tempfile::TempDir;
use testkit::{
    ManualClock,
    doubles::{ChannelDouble, ModelDouble, StoreDouble, ToolDouble},
};
use tokio::time::Instant;

/// Long enough for a loaded machine; nothing waits this long when it works.
const SOON: Duration = Duration::from_secs(20);

const AGENT: &str = r#"
description = "Tests things."
desk = "operators"
approvers = ["operators"]
tools.lookup = { description = "Looks.", run.command.argv = ["look"], parameters = { type = "object" }, repeat = "safe", risk = "low" }
tools.charge = { description = "Charges.", run.builtin = "clock", repeat = "by_key", risk = "low" }
tools.poke = { description = "Pokes.", run.builtin = "clock", repeat = "never", risk = "low" }
tools.deploy = { description = "Deploys.", run.builtin = "clock", repeat = "never", risk = "high", policy = [{ then = "ask", remember = { for = "30d" } }] }
"#;

pub(crate) struct World {
    pub(crate) store: Arc<StoreDouble>,
    pub(crate) embedded: Arc<Embedded>,
    pub(crate) clock: ManualClock,
    pub(crate) model: Arc<ModelDouble>,
    pub(crate) tools: Arc<ToolDouble>,
    /// Where people talk to the agent: it vouches for them, and can do everything.
    pub(crate) chat: Arc<ChannelDouble>,
    /// Where operators are asked: only a ticket proves an answer, and nothing can be rewritten.
    pub(crate) mail: Arc<ChannelDouble>,
    pub(crate) settings: Settings,
    /// Lines above those of every agent.toml.
    pub(crate) lines: String,
    pub(crate) routes: Vec<Route>,
    pub(crate) default_agent: Option<String>,
    folder: TempDir,
    messages: AtomicU64,
}

impl World {
    pub(crate) fn new() -> Self {
        testkit::init();
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::default();
        let path = folder.path().join("store.db");
        let embedded = Arc::new(Embedded::open(&path, Arc::new(clock.clone())).unwrap());
        let settings =
            Settings { worker: "one".to_owned(), drain: Duration::from_secs(2), ..Settings::default() };
        Self {
            store: StoreDouble::before(embedded.clone()),
            embedded,
            clock,
            model: ModelDouble::new(),
            tools: ToolDouble::new(),
            chat: ChannelDouble::new(),
            mail: ChannelDouble::with(Capabilities {
                buttons: false,
                forms: false,
                amends: false,
                private: false,
                files: true,
                text_len_max: None,
                correlation: Correlation::Ticket,
                one_reader: false,
            }),
            settings,
            lines: String::new(),
            routes: Vec::new(),
            default_agent: Some("tester".to_owned()),
            folder,
            messages: AtomicU64::new(1),
        }
    }

    /// A board on the store, as one process would have it.
    pub(crate) fn board(&self) -> Arc<Board> {
        self.board_with(|_| {})
    }

    pub(crate) fn board_with(&self, change: impl FnOnce(&mut Board)) -> Arc<Board> {
        let channels: BTreeMap<ChannelName, Arc<dyn Channel>> = BTreeMap::from([
            (ChannelName::new("chat"), self.chat.clone() as _),
            (ChannelName::new("mail"), self.mail.clone() as _),
        ]);
        let mut board = Board {
            store: self.store.clone(),
            clock: Arc::new(self.clock.clone()),
            directory: directory(),
            routes: self.routes.clone(),
            default_agent: self.default_agent.clone(),
            library: Library::new([self.agent()], vec!["operators".to_owned()]),
            models: BTreeMap::from([("default".to_owned(), self.model.clone() as Arc<dyn Model>)]),
            tools: self.tools.clone(),
            health: channels.keys().map(|name| (name.clone(), Health::default())).collect(),
            channels,
            tickets: Tickets::new([7; 32]),
            given_up: GivenUp::default(),
            agents_folder: self.folder.path().join("agents"),
            settings: self.settings.clone(),
        };
        change(&mut board);
        Arc::new(board)
    }

    fn agent(&self) -> Agent {
        let context = r#"{% for part in parts %}<{{ part.kind }}>{% if part.kind == "heard" %}{{ part.text }}{% endif %}</{{ part.kind }}>{% endfor %}"#;
        let files = [
            ("agent.toml", format!("{}\n{AGENT}", self.lines)),
            ("prompt.md", "You are {{ agent.name }}.".to_owned()),
            ("context.md", context.to_owned()),
            ("reask.md", "Not so: {{ error }}".to_owned()),
        ];
        let files = files.map(|(name, text)| (name.to_owned(), text));
        Agent::load("tester", files.into(), &["operators".to_owned()])
            .unwrap_or_else(|flaws| panic!("{flaws:?}"))
    }

    /// Runs a gateway.
    pub(crate) fn serve(&self) -> Serving {
        serve(self.board())
    }

    /// Runs a second gateway on the same store.
    pub(crate) fn serve_as(&self, worker: &str) -> Serving {
        serve(self.board_with(|board| board.settings.worker = worker.to_owned()))
    }

    /// The doors of a channel of its own board, which steps and sends nothing.
    pub(crate) fn door(&self, channel: &str) -> Door {
        Door::new(self.board(), ChannelName::new(channel))
    }

    /// Ben says something at a place of the chat.
    pub(crate) async fn say(&self, place: &str, text: &str) -> ThreadId {
        use channel::Inbox;
        let inbound = self.inbound("ben", place, text);
        self.door("chat").accept(inbound).await.unwrap();
        id(place)
    }

    /// What Ben (`ben`) or Ana (`ana`), says at a place of the chat.
    pub(crate) fn inbound(&self, who: &str, place: &str, text: &str) -> Inbound {
        let n = self.messages.fetch_add(1, Ordering::SeqCst);
        Inbound {
            keys: vec![InboundKey::new(format!("chat:{n}"))],
            from: person("chat", who),
            at: address("chat", place),
            sent: self.clock.now(),
            message: Some(MessageRef::new(format!("in:{n}"))),
            in_reply_to: None,
            ticket: None,
            addressed: Addressed::Direct,
            facts: Vec::new(),
            body: Body::Text { text: text.to_owned(), original: None, files: Vec::new() },
        }
    }

    /// What Ana writes by mail, with this ticket.
    pub(crate) fn by_mail(&self, text: &str, ticket: Option<&Ticket>) -> Inbound {
        let mut inbound = self.inbound("ana", "ana@corp", text);
        inbound.keys = inbound.keys.iter().map(|key| InboundKey::new(format!("mail:{key}"))).collect();
        inbound.from = person("mail", "ana@corp");
        inbound.at = address("mail", "ana@corp");
        inbound.ticket = ticket.cloned();
        inbound
    }

    /// The first thread at a place of the chat, as it lies in the store.
    pub(crate) async fn thread(&self, place: &str) -> Thread {
        self.load(&id(place)).await
    }

    pub(crate) async fn load(&self, id: &ThreadId) -> Thread {
        Thread::fold(id.clone(), self.embedded.load(id, Version(0)).await.unwrap())
    }

    /// What happened in the first thread at a place of the chat.
    pub(crate) async fn story(&self, place: &str) -> Vec<String> {
        story(&self.thread(place).await)
    }

    /// Waits until the first thread at a place of the chat is as wanted.
    pub(crate) async fn until(&self, place: &str, wanted: impl Fn(&Thread) -> bool) -> Thread {
        let began = Instant::now();
        loop {
            let thread = self.thread(place).await;
            if wanted(&thread) {
                return thread;
            }
            assert!(began.elapsed() < SOON, "it stays at {:#?}", story(&thread));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until a request at a place of the chat is finished and nothing waits to be sent any more.
    pub(crate) async fn finished(&self, place: &str) -> Thread {
        self.until(place, |thread| count(thread, "finished") > 0).await;
        self.finished_sending().await;
        self.thread(place).await
    }

    /// Waits until nothing waits to be sent any more.
    pub(crate) async fn finished_sending(&self) {
        let began = Instant::now();
        while !self.embedded.sent(SentQuery::Waiting).await.unwrap().is_empty() {
            assert!(began.elapsed() < SOON, "messages wait for ever");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The folder of this world.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// One or two words for each event.
pub(crate) fn story(thread: &Thread) -> Vec<String> {
    thread.records().iter().map(words).collect()
}

fn words(record: &Record) -> String {
    let name = serde_json::to_value(&record.event).unwrap()["event"].as_str().unwrap().to_owned();
    let what = match &record.event {
        Event::Heard(heard) => heard.text.clone(),
        Event::Edited(edit) => edit.text.clone(),
        Event::Thought(thought) => match &thought.intent {
            Intent::Act { tool, .. } => tool.clone(),
            Intent::Ask { text, .. } | Intent::Say { text, .. } | Intent::Finish { text, .. } => text.clone(),
            Intent::ActAll { calls } => {
                calls.iter().map(|call| call.tool.clone()).collect::<Vec<_>>().join(" ")
            }
            Intent::HandOver { reason } => reason.clone(),
        },
        Event::Planned(planned) => planned.tool.clone(),
        Event::Started(started) => started.tool.clone(),
        Event::Acted(acted) => match &acted.outcome {
            Outcome::Done(value) => value.as_str().map_or_else(|| value.to_string(), str::to_owned),
            Outcome::Failed(fault) => fault.what.clone(),
            Outcome::Unknown { .. } => "unknown".to_owned(),
        },
        Event::Answered(answer) => match &answer.decision {
            Decision::Approve | Decision::ApproveAlike { .. } | Decision::ApproveEdited { .. } => {
                "approve".to_owned()
            }
            Decision::ApproveSome { places, .. } => format!("approve {places:?}"),
            Decision::Reject { .. } => "reject".to_owned(),
            Decision::Option(place) => place.to_string(),
            Decision::Options(places) => format!("{places:?}"),
            Decision::Form(values) => values.to_string(),
            Decision::Text(text) => text.clone(),
            Decision::HandBack { .. } => "hand back".to_owned(),
            Decision::Done => "done".to_owned(),
        },
        Event::Spoke(speech) => speech.text.clone(),
        Event::Failed(failure) => failure.fault.kind.as_str().to_owned(),
        Event::Said(reply) => reply.text.clone(),
        Event::Continued(_)
        | Event::Routed(_)
        | Event::Deleted { .. }
        | Event::Asked(_)
        | Event::AskedAgain(_)
        | Event::Voted(_)
        | Event::Deferred(_)
        | Event::Refused(_)
        | Event::Revoked(_)
        | Event::Lapsed { .. }
        | Event::Withdrawn { .. }
        | Event::Delivered { .. }
        | Event::Undelivered { .. }
        | Event::Paused { .. }
        | Event::Resumed { .. }
        | Event::Cancelled { .. }
        | Event::HandedOver { .. }
        | Event::Finished => String::new(),
    };
    format!("{name} {what}").trim_end().to_owned()
}

/// Waits until something holds.
pub(crate) async fn until(what: &str, holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < SOON, "it never held: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// How many events of a thread begin with these words.
pub(crate) fn count(thread: &Thread, words: &str) -> usize {
    story(thread).iter().filter(|event| event.starts_with(words)).count()
}

/// The youngest question of a thread.
pub(crate) fn question(thread: &Thread) -> (QuestionId, Question) {
    let (id, question) = thread.open_questions().last().expect("an open question");
    (id, question.clone())
}

pub(crate) fn id(place: &str) -> ThreadId {
    ThreadId::new(&Home::of(&address("chat", place)), 1)
}

pub(crate) fn address(channel: &str, place: &str) -> Address {
    Address { channel: ChannelName::new(channel), place: Place::new(place) }
}

pub(crate) fn person(channel: &str, id: &str) -> Person {
    let verified = Verified::Proven { by: "the test".to_owned() };
    Person {
        channel: ChannelName::new(channel),
        id: id.to_owned(),
        name: id.to_owned(),
        verified,
        roles: Vec::new(),
    }
}

pub(crate) fn act(tool: &str) -> Value {
    json!({ "intent": "act", "tool": tool, "args": {} })
}

pub(crate) fn finish(text: &str) -> Value {
    json!({ "intent": "finish", "text": text })
}

pub(crate) fn any_route() -> Route {
    Route { agent: "tester".to_owned(), unverified: Unverified::Refuse, ..Route::default() }
}

fn directory() -> Directory {
    let (chat, mail) = (ChannelName::new("chat"), ChannelName::new("mail"));
    let ids = |ids: &[(&ChannelName, &str)]| {
        Member::new(ids.iter().map(|(channel, id)| ((*channel).clone(), (*id).to_owned())))
    };
    let place = AskedAt { at: address("mail", "ana@corp"), member: Some("ana".to_owned()) };
    let desk = Desk { members: vec!["ana".to_owned()], places: vec![place] };
    Directory {
        members: BTreeMap::from([
            ("ana".to_owned(), ids(&[(&chat, "ana"), (&mail, "ana@corp")])),
            ("ben".to_owned(), ids(&[(&chat, "ben")])),
        ]),
        groups: BTreeMap::from([("operators".to_owned(), vec!["ana".to_owned()])]),
        desks: BTreeMap::from([("operators".to_owned(), desk)]),
        ..Directory::default()
    }
}
