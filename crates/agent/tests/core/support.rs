//! Builders for agents, directories and threads. Words are short and the clock is a counter, so that tests can be read.

use std::collections::BTreeMap;

use agent::{
    Acted, Agent, Answer, AskedAt, Author, CallId, Decision, Desk, Directory, Event, Evidence, Failure,
    Fault, FaultKind, Heard, Home, How, Intent, Member, Outcome, Phase, Question, QuestionId, QuestionKind,
    Record, Reply, Routed, Seq, Started, Step, Thought, Thread, ThreadId, Usage, Version, args_hash, decide,
};
use channel::{
    Address, Addressed, Body, ChannelName, Correlation, Inbound, InboundKey, MessageRef, Person, Place,
    Ticket, Timestamp, Verified,
};
use serde_json::{Value, json};

/// The agent of most tests: one tool of every sort. Lines of `agent(..)` go above it.
const AGENT: &str = r#"
description = "Tests things."
desk = "operators"
approvers = ["operators"]

[tools.lookup]
description = "Looks something up."
run.command.argv = ["tools/lookup"]
repeat = "safe"
risk = "low"
parameters = { type = "object" }

[tools.charge]
description = "Charges, once by key."
run.command.argv = ["tools/charge"]
repeat = "by_key"
risk = "low"
parameters = { type = "object" }

[tools.poke]
description = "Does something once."
run.command.argv = ["tools/poke"]
repeat = "never"
risk = "low"
parameters = { type = "object" }

[tools.deploy]
description = "Deploys."
run.command.argv = ["tools/deploy"]
repeat = "never"
risk = "high"
secret = ["token"]
parameters = { type = "object" }

[tools.rollback]
description = "Rolls back."
run.command.argv = ["tools/rollback"]
repeat = "never"
risk = "high"
parameters = { type = "object" }

[tools.refund]
description = "Refunds."
run.command.argv = ["tools/refund"]
repeat = "never"
risk = "high"
parameters = { type = "object" }
policy = [
    { when = "args.amount > 1000", then = "deny" },
    { when = "args.amount > 100", then = "ask", approvers = ["finance"], desk = "finance" },
    { then = "allow" },
]

[tools.wipe]
description = "Wipes everything."
run.command.argv = ["tools/wipe"]
repeat = "never"
risk = "low"
parameters = { type = "object" }
policy = [{ then = "deny" }]

[forms.delivery]
title = "Delivery"
[forms.delivery.fields]
type = "object"
required = ["street", "when"]
[forms.delivery.fields.properties]
street = { type = "string", title = "Street and number", description = "as on the door" }
notes = { type = "string", maxLength = 500 }
floors = { type = "integer", minimum = 0, maximum = 99 }
weight = { type = "number", exclusiveMinimum = 0 }
express = { type = "boolean", default = false }
when = { type = "string", format = "date" }
slot = { type = "string", enum = ["morning", "noon, sharp", "2"] }
parcels = { type = "integer", enum = [10, 20, 5] }
extras = { type = "array", items = { enum = ["gift wrap", "card, signed", "1"] }, maxItems = 2 }
"#;

const PROMPT: &str = "You are {{ agent.name }}: {{ agent.description }}\n{% for tool in tools %}<tool>{{ tool.name }}</tool>\n{% endfor %}";

/// Shows every field of every part.
pub(crate) const CONTEXT: &str = r#"<request from="{{ requester }}">{{ request }}</request>
{% for part in parts -%}
{% if part.kind == "heard" -%}
<heard seq="{{ part.seq }}" from="{{ part.from }}" verified="{{ part.verified }}"{% if part.edited == "yes" %} edited="yes"{% endif %}>{{ part.text }}{% for file in part.files %}<file name="{{ file.name }}" kind="{{ file.kind }}" size="{{ file.size }}">{{ file.text }}</file>{% endfor %}</heard>
{%- elif part.kind == "said" -%}
<said by="{{ part.by }}" to="{{ part.to }}">{{ part.text }}</said>
{%- elif part.kind == "called" -%}
<called tool="{{ part.tool }}" status="{{ part.status }}"><args>{{ part.args }}</args><result>{{ part.result }}</result><error>{{ part.error }}</error></called>
{%- elif part.kind == "question" -%}
<question status="{{ part.status }}" by="{{ part.by }}">{{ part.text }}{% for option in part.options %}<option>{{ option }}</option>{% endfor %}<answer>{{ part.answer }}</answer></question>
{%- elif part.kind == "approval" -%}
<approval tool="{{ part.tool }}" status="{{ part.status }}" by="{{ part.by }}"><args>{{ part.args }}</args>{% if part.changed %}<approved>{{ part.changed }}</approved>{% endif %}<comment>{{ part.comment }}</comment></approval>
{%- elif part.kind == "handed_over" -%}
<handed_over status="{{ part.status }}">{{ part.why }}<answer>{{ part.answer }}</answer></handed_over>
{%- elif part.kind == "fault" -%}
<fault kind="{{ part.fault }}">{{ part.text }}</fault>
{%- elif part.kind == "summary" -%}
<summary>{{ part.text }}</summary>
{%- endif %}
{% endfor %}"#;

const REASK: &str = "<output>{{ output }}</output><error>{{ error }}</error>";

/// The text of `agent.toml`, with these lines above it.
pub(crate) fn toml(lines: &[&str]) -> String {
    format!("{}\n{AGENT}", lines.join("\n"))
}

/// The files of the agent of most tests, with these lines above its `agent.toml`.
pub(crate) fn files(lines: &[&str]) -> BTreeMap<String, String> {
    [
        ("agent.toml", toml(lines)),
        ("prompt.md", PROMPT.into()),
        ("context.md", CONTEXT.into()),
        ("reask.md", REASK.into()),
    ]
    .into_iter()
    .map(|(name, text)| (name.to_owned(), text))
    .collect()
}

/// The agent of most tests, with these lines above its `agent.toml`: `limits.steps = 3`.
pub(crate) fn agent(lines: &[&str]) -> Agent {
    load(files(lines))
}

/// An agent from these files.
pub(crate) fn load(files: BTreeMap<String, String>) -> Agent {
    let desks: Vec<String> = directory().desks.keys().cloned().collect();
    Agent::load("tester", files, &desks).unwrap_or_else(|flaws| panic!("{flaws:#?}"))
}

/// Ana and Ben are operators, Cleo is finance; Ana is on the web and has mail.
pub(crate) fn directory() -> Directory {
    let member = |name: &str, ids: &[(&str, &str)]| {
        let ids = ids.iter().map(|(channel, id)| (ChannelName::new(*channel), (*id).to_owned()));
        (name.to_owned(), Member::new(ids))
    };
    let desk = |name: &str, places: &[(&str, &str, Option<&str>)]| {
        let asked = places.iter().map(|(channel, at, member)| AskedAt {
            at: place(channel, at),
            member: member.map(str::to_owned),
        });
        let places: Vec<AskedAt> = asked.collect();
        let members = places.iter().filter_map(|asked| asked.member.clone()).collect();
        (name.to_owned(), Desk { members, places })
    };
    let group =
        |name: &str, members: &[&str]| (name.to_owned(), members.iter().map(|m| (*m).to_owned()).collect());
    Directory {
        members: BTreeMap::from([
            member("ana", &[("web", "ana"), ("mail", "ana@corp.example")]),
            member("ben", &[("mail", "ben@corp.example")]),
            member("cleo", &[("mail", "cleo@corp.example"), ("web", "cleo")]),
        ]),
        groups: BTreeMap::from([
            group("operators", &["ana", "ben"]),
            group("finance", &["cleo"]),
            group("ghosts", &["nobody"]),
        ]),
        desks: BTreeMap::from([
            desk(
                "operators",
                &[("mail", "to:ana@corp.example", Some("ana")), ("mail", "to:ben@corp.example", Some("ben"))],
            ),
            desk("finance", &[("mail", "to:cleo@corp.example", Some("cleo"))]),
            desk("hall", &[("web", "hall", None)]),
            desk("empty", &[]),
        ]),
        ..Directory::default()
    }
}

/// So many seconds after the beginning.
pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_780_000_000 + second).unwrap()
}

pub(crate) fn place(channel: &str, at: &str) -> Address {
    Address { channel: ChannelName::new(channel), place: Place::new(at) }
}

pub(crate) fn home() -> Address {
    place("web", "page-1")
}

pub(crate) fn proven(channel: &str, id: &str) -> Person {
    person(channel, id, Verified::Proven { by: "test".into() })
}

pub(crate) fn claimed(channel: &str, id: &str) -> Person {
    person(channel, id, Verified::Claimed { why: "no signature".into(), remedy: None })
}

fn person(channel: &str, id: &str, verified: Verified) -> Person {
    let name = id.split('@').next().unwrap_or(id).to_owned();
    Person { channel: ChannelName::new(channel), id: id.to_owned(), name, verified, roles: Vec::new() }
}

/// Somebody who is no member.
pub(crate) fn user() -> Person {
    proven("web", "ulla")
}

pub(crate) fn inbound(from: Person, at_place: Address, body: Body) -> Inbound {
    Inbound {
        keys: vec![InboundKey::new("web:1")],
        from,
        at: at_place,
        sent: at(0),
        message: Some(MessageRef::new("m-9")),
        in_reply_to: None,
        ticket: None,
        addressed: Addressed::Direct,
        facts: Vec::new(),
        body,
    }
}

pub(crate) fn text(words: &str) -> Body {
    Body::Text { text: words.to_owned(), original: None, files: Vec::new() }
}

pub(crate) fn press(choice: &str, comment: Option<&str>) -> Body {
    Body::Press { choice: choice.to_owned(), comment: comment.map(str::to_owned), values: BTreeMap::new() }
}

pub(crate) fn with_ticket(mut inbound: Inbound, ticket: Ticket) -> Inbound {
    inbound.ticket = Some(ticket);
    inbound
}

pub(crate) fn act(tool: &str, args: Value) -> Intent {
    Intent::Act { tool: tool.into(), args }
}

pub(crate) fn ask(words: &str, to: Option<&str>, options: &[&str]) -> Intent {
    Intent::Ask {
        text: words.into(),
        to: to.map(str::to_owned),
        options: options.iter().map(|option| (*option).to_owned()).collect(),
        several: false,
        form: None,
    }
}

pub(crate) fn say(words: &str) -> Intent {
    Intent::Say { text: words.into(), files: Vec::new() }
}

pub(crate) fn finish(words: &str) -> Intent {
    Intent::Finish { text: words.into(), files: Vec::new() }
}

pub(crate) fn done(value: Value) -> Outcome {
    Outcome::Done(value)
}

pub(crate) fn failed(what: &str) -> Outcome {
    Outcome::Failed(Fault::new(FaultKind::ToolFailed, what))
}

/// A thread that grows, one event a second.
pub(crate) struct Story {
    pub(crate) thread: Thread,
    pub(crate) now: Timestamp,
    pub(crate) agent: Agent,
    pub(crate) directory: Directory,
}

impl Story {
    /// An empty thread at [`home`].
    pub(crate) fn with(agent: Agent) -> Self {
        let thread = Thread::new(ThreadId::new(&Home::of(&home()), 1));
        Self { thread, now: at(0), agent, directory: directory() }
    }

    /// [`Self::begin`] with the agent of most tests.
    pub(crate) fn new(lines: &[&str]) -> Self {
        Self::begin(agent(lines), user(), "please")
    }

    /// A request of this person.
    pub(crate) fn begin(agent: Agent, from: Person, words: &str) -> Self {
        let mut story = Self::with(agent);
        story.heard(from, words);
        story
    }

    /// Writes one event, a second later.
    pub(crate) fn write(&mut self, event: Event) -> Seq {
        self.now = self.now.saturating_add(jiff::SignedDuration::from_secs(1)).unwrap();
        let seq = Seq(self.thread.version().0);
        self.thread.apply(Record::new(self.now, event));
        seq
    }

    /// Lets time pass.
    pub(crate) fn pass(&mut self, seconds: i64) {
        self.now = self.now.saturating_add(jiff::SignedDuration::from_secs(seconds)).unwrap();
    }

    /// Somebody says something; a thread at rest is routed first.
    pub(crate) fn heard(&mut self, from: Person, words: &str) -> Seq {
        if self.thread.is_idle() {
            self.write(Event::Routed(Routed {
                home: home(),
                agent: Some(self.agent.reference()),
                why: "default_agent".into(),
            }));
        }
        self.write(heard(from, words))
    }

    /// The model wants this, having seen the whole log.
    pub(crate) fn thought(&mut self, intent: Intent) -> Seq {
        let seen = self.thread.version();
        self.write(thought(intent, seen))
    }

    pub(crate) fn started(&mut self, call: CallId, tool: &str, args: &Value) -> Seq {
        self.write(Event::Started(Started {
            call,
            tool: tool.into(),
            args: args.clone(),
            hash: args_hash(args),
            grant: None,
        }))
    }

    pub(crate) fn acted(&mut self, call: CallId, outcome: Outcome) -> Seq {
        self.write(Event::Acted(Acted { call, outcome, ms: 3, files: Vec::new() }))
    }

    pub(crate) fn fault(&mut self, what: &str) -> Seq {
        self.write(fault(FaultKind::BadOutput, what))
    }

    /// A thought that acts, and the whole of its run.
    pub(crate) fn ran(&mut self, tool: &str, args: Value, outcome: Outcome) -> CallId {
        let call = CallId(self.thought(act(tool, args.clone())));
        self.started(call, tool, &args);
        self.acted(call, outcome);
        call
    }

    /// What happens next.
    pub(crate) fn step(&self) -> Step {
        decide(&self.agent, &self.directory, &self.thread, self.now)
    }

    /// Writes what [`decide`] wants written, and gives it back.
    pub(crate) fn record(&mut self) -> Vec<Event> {
        let Step::Record(events) = self.step() else { panic!("{:?} is nothing to record", self.step()) };
        for event in &events {
            self.write(event.clone());
        }
        events
    }

    /// The model wants this; what follows is written.
    pub(crate) fn wants(&mut self, intent: Intent) -> Vec<Event> {
        self.thought(intent);
        self.record()
    }

    /// The model wants this call and an approval is asked for it.
    pub(crate) fn asks_approval(&mut self, tool: &str, args: Value) -> (QuestionId, CallId) {
        let events = self.wants(act(tool, args));
        let call = match events.first() {
            Some(Event::Asked(Question { kind: QuestionKind::Approval { call, .. }, .. })) => *call,
            _ => panic!("no approval was asked: {events:?}"),
        };
        (self.open(), call)
    }

    /// The one open question.
    pub(crate) fn open(&self) -> QuestionId {
        let open: Vec<_> = self.thread.open_questions().map(|(id, _)| id).collect();
        assert_eq!(open.len(), 1, "open questions");
        open[0]
    }

    pub(crate) fn question(&self, id: QuestionId) -> &Question {
        self.thread.question(id).expect("there is such a question")
    }

    pub(crate) fn answered(&mut self, question: QuestionId, decision: Decision) -> Seq {
        self.write(answered(question, decision))
    }

    pub(crate) fn phase(&self) -> Phase {
        self.thread.phase()
    }
}

pub(crate) fn heard(from: Person, words: &str) -> Event {
    Event::Heard(Heard {
        from,
        message: Some(MessageRef::new("m-1")),
        sent: at(0),
        text: words.to_owned(),
        original: None,
        files: Vec::new(),
    })
}

pub(crate) fn thought(intent: Intent, seen: Version) -> Event {
    Event::Thought(Thought {
        intent,
        seen,
        model: "test".into(),
        prompt: "p".into(),
        usage: Usage { input: 10, output: 5, ms: 1, calls: 1 },
        estimated: 0,
        reasks: 0,
        note: None,
    })
}

pub(crate) fn fault(kind: FaultKind, what: &str) -> Event {
    Event::Failed(Failure { fault: Fault::new(kind, what), usage: Usage::default() })
}

pub(crate) fn answered(question: QuestionId, decision: Decision) -> Event {
    Event::Answered(Answer {
        question,
        by: proven("mail", "ana@corp.example"),
        member: Some("ana".into()),
        instead_of: None,
        at: place("mail", "to:ana@corp.example"),
        decision,
        words: "words".into(),
        how: How::Wrote,
        evidence: Evidence::default(),
    })
}

/// The text of the one thing said among these events.
pub(crate) fn said(events: &[Event]) -> &Reply {
    let said: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            Event::Said(reply) => Some(reply),
            _ => None,
        })
        .collect();
    assert_eq!(said.len(), 1, "one thing is said among {events:#?}");
    said[0]
}

/// The question asked among these events.
pub(crate) fn asked(events: &[Event]) -> &Question {
    let found = events.iter().find_map(|event| match event {
        Event::Asked(question) => Some(question),
        _ => None,
    });
    found.unwrap_or_else(|| panic!("nothing is asked among {events:#?}"))
}

/// The fault among these events.
pub(crate) fn failure(events: &[Event]) -> &Fault {
    match events {
        [Event::Failed(failure)] => &failure.fault,
        _ => panic!("not one failure: {events:#?}"),
    }
}

/// Whether this step runs this call.
pub(crate) fn runs(step: &Step, id: CallId) -> bool {
    matches!(step, Step::Act(call) if call.id == id)
}

pub(crate) const NATIVE: Correlation = Correlation::Native;
pub(crate) const TICKET: Correlation = Correlation::Ticket;

pub(crate) fn by_gateway(reply: &Reply) -> bool {
    reply.by == Author::Gateway
}

pub(crate) fn no_args() -> Value {
    json!({})
}
