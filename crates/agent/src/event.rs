//! Past-tense facts. A thread is a list of these and nothing else.
//!
//! Invariant: event JSON is for ever. Variants and optional fields are only ever added; `tests/core/events.rs` holds
//! a snapshot of each variant. A reader that meets an event it does not know stops at that thread and says so.

use std::sync::Arc;

use channel::{Address, DeliveryKey, File, MessageRef, Person, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    id::{CallId, QuestionId, Seq, ThreadId, Version},
    intent::Intent,
    terms::{Remember, Terms},
};

/// The version of the event format that this build writes.
pub const FORMAT: u16 = 1;

/// An event and when it was written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The format it was written in.
    pub v: u16,
    /// When it was committed, by the committing gateway's clock.
    pub at: Timestamp,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
    /// The same as it was read, where it was.
    #[serde(skip)]
    pub written: Written,
}

/// An event as it stands in a store, as JSON, with whatever a newer build wrote of it that this one does not know. It does not
/// count where events are compared.
#[derive(Clone, Default)]
pub struct Written(Option<Arc<str>>);

impl PartialEq for Written {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl std::fmt::Debug for Written {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("..")
    }
}

impl Record {
    /// An event of today's format.
    pub fn new(at: Timestamp, event: Event) -> Self {
        Self { v: FORMAT, at, event, written: Written::default() }
    }

    /// An event that was read from this JSON.
    pub fn read(v: u16, at: Timestamp, event: Event, json: &str) -> Self {
        Self { v, at, event, written: Written(Some(json.into())) }
    }

    /// The record as it was written, whichever build did, as JSON.
    pub fn json(&self) -> Value {
        let written = self.written.0.as_deref().and_then(|text| serde_json::from_str::<Map<_, _>>(text).ok());
        let Some(event) = written else { return serde_json::to_value(self).unwrap_or_default() };
        let mut record = Map::new();
        record.insert("v".to_owned(), self.v.into());
        record.insert("at".to_owned(), serde_json::to_value(self.at).unwrap_or_default());
        record.extend(event.into_iter().filter(|(name, _)| name != "v" && name != "at"));
        Value::Object(record)
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A conversation goes on from the thread before it at its place, which had become long. The first event of a log, or
    /// it says nothing.
    Continued(Box<Snapshot>),
    /// A conversation (or its next request) was given to an agent, or to none.
    Routed(Routed),
    /// Somebody said something.
    Heard(Heard),
    /// Somebody gave a message other words, before it was answered.
    Edited(Edit),
    /// Somebody took a message back, before it was answered.
    Deleted {
        /// The platform's name of the message.
        message: MessageRef,
        /// Who; the same who had said it.
        by: Person,
    },
    /// A model was asked and its output was a valid intent.
    Thought(Thought),
    /// One of several calls that a thought wants. Its place is the name of the call.
    Planned(Planned),
    /// A tool is about to run. Written before it runs.
    Started(Started),
    /// A tool call is over.
    Acted(Acted),
    /// A human was asked.
    Asked(Question),
    /// A question was asked of more people, or of the same once more.
    AskedAgain(AskedAgain),
    /// A human approved, and others must approve, too.
    Voted(Ballot),
    /// A human did something about a question without deciding it.
    Deferred(Deferral),
    /// A human who has taken the conversation over said something to its people.
    Spoke(Speech),
    /// A human answered, and it counted.
    Answered(Answer),
    /// A human answered, and it did not count.
    Refused(Refusal),
    /// A human ended what an answer had allowed for a while.
    Revoked(Revocation),
    /// An answer is not needed any more.
    Withdrawn {
        /// Which question's.
        question: QuestionId,
        /// Why, a sentence.
        why: String,
    },
    /// A question's deadline passed.
    Lapsed {
        /// Which question.
        question: QuestionId,
    },
    /// Something was said to the people of the thread.
    Said(Reply),
    /// A message reached the platform.
    Delivered {
        /// Which message.
        key: DeliveryKey,
        /// The platform's name of it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<MessageRef>,
    },
    /// A message will never reach its place.
    Undelivered {
        /// Which message; none when a platform reported it without saying which.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<DeliveryKey>,
        /// What the platform said.
        why: String,
    },
    /// Something went wrong, in a form that the next prompt can show.
    Failed(Failure),
    /// Work was stopped for the time being.
    Paused {
        /// By whom.
        by: String,
    },
    /// Work goes on.
    Resumed {
        /// By whom.
        by: String,
    },
    /// The request was given up.
    Cancelled {
        /// By whom.
        by: String,
    },
    /// The agent gave the conversation to a human. A question to the desk follows.
    HandedOver {
        /// Why, one sentence.
        why: String,
    },
    /// The request is done.
    Finished,
}

impl Event {
    /// Of what a human decided about a question, whether it counted or not: which question, where, and the evidence.
    pub fn evidence(&mut self) -> Option<(QuestionId, &Address, &mut Evidence)> {
        match self {
            Self::Voted(Ballot { answer, .. }) | Self::Answered(answer) => {
                Some((answer.question, &answer.at, &mut answer.evidence))
            }
            Self::Deferred(deferral) => Some((deferral.question, &deferral.at, &mut deferral.evidence)),
            Self::Spoke(speech) => Some((speech.question, &speech.at, &mut speech.evidence)),
            Self::Refused(refusal) => Some((refusal.question, &refusal.at, &mut refusal.evidence)),
            Self::Revoked(Revocation { question, at: Some(at), evidence, .. }) => {
                Some((*question, at, evidence))
            }
            Self::Continued(_)
            | Self::Routed(_)
            | Self::Heard(_)
            | Self::Edited(_)
            | Self::Deleted { .. }
            | Self::Thought(_)
            | Self::Planned(_)
            | Self::Started(_)
            | Self::Acted(_)
            | Self::Asked(_)
            | Self::AskedAgain(_)
            | Self::Lapsed { .. }
            | Self::Withdrawn { .. }
            | Self::Revoked(_)
            | Self::Said(_)
            | Self::Delivered { .. }
            | Self::Undelivered { .. }
            | Self::Failed(_)
            | Self::Paused { .. }
            | Self::Resumed { .. }
            | Self::Cancelled { .. }
            | Self::HandedOver { .. }
            | Self::Finished => None,
        }
    }
}

/// What goes on of a thread in the next one at its place: what an agent can still be shown of it, and what must not be
/// forgotten with it. The thread itself stays as it is.
///
/// What was structured is kept as the text that is shown of it: a value may be nested as deep as a log can hold, and
/// could not be kept any deeper.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The thread.
    pub from: ThreadId,
    /// How many events the conversation had, in all of its threads: the number of the next one.
    pub events: u64,
    /// The agent that had its last request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentRef>,
    /// What was said and done, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub passages: Vec<Passage>,
    /// How many passages are left out, all of them older than those or too large.
    #[serde(default)]
    pub left_out: u64,
    /// The files that can be named, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<File>,
    /// The calls that a human denied a short while before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub denied: Vec<Denied>,
    /// The platform's name of the latest message heard that has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<MessageRef>,
    /// What the estimate of tokens is corrected by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured: Option<Measured>,
    /// Whether work was stopped for the time being.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub paused: bool,
}

/// One thing that was said, done or asked, with its end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Passage {
    /// The number of its first event, counted through all threads of the conversation.
    pub number: u64,
    /// Which request it belongs to, counting from the first that is told of.
    pub run: u64,
    /// What sort, and what of it.
    #[serde(flatten)]
    pub kind: PassageKind,
}

/// The sorts of passage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum PassageKind {
    /// Somebody said something.
    Heard {
        /// Who; without the roles that they had then.
        from: Person,
        /// Their words, as they were last.
        text: String,
        /// Whether these are others than at first.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        edited: bool,
        /// What came along.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        files: Vec<HeardFile>,
    },
    /// Something was said to the people of the thread.
    Said {
        /// Who said it.
        by: Author,
        /// The words.
        text: String,
    },
    /// A tool was run.
    Called {
        /// The tool.
        tool: String,
        /// The arguments, as JSON.
        args: String,
        /// How it ended.
        end: CallEnd,
    },
    /// Somebody was asked.
    Question {
        /// What.
        text: String,
        /// The answers to choose from.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        options: Vec<String>,
        /// How it ended.
        end: QuestionEnd,
    },
    /// Permission was asked for a call.
    Approval {
        /// The tool.
        tool: String,
        /// The arguments, as JSON.
        args: String,
        /// How it ended.
        end: QuestionEnd,
    },
    /// Somebody who was asked something asked something back.
    AskedBack {
        /// Who, by name.
        by: String,
        /// What.
        text: String,
        /// What they were told; empty while nobody has told them anything.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        answer: String,
    },
    /// The request was handed over.
    HandedOver {
        /// What the humans were told.
        why: String,
        /// How it ended.
        end: QuestionEnd,
    },
    /// Something went wrong.
    Fault {
        /// The sort.
        fault: FaultKind,
        /// What.
        text: String,
    },
    /// The request was given up.
    Cancelled {
        /// By whom.
        by: String,
    },
}

/// How a call ended, as text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallEnd {
    /// Its end was not seen.
    Running,
    /// With this result.
    Done(String),
    /// It failed.
    Failed(Fault),
    /// Nobody knows whether it took effect; what is known.
    Unknown(String),
}

/// How a question ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuestionEnd {
    /// The sort.
    pub status: QuestionStatus,
    /// Who answered, by name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub by: String,
    /// The answer; why it was rejected; the arguments (JSON) that were approved, where they are others.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub words: String,
}

/// The sorts of end of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QuestionStatus {
    /// There is none.
    Open,
    /// The call may run.
    Approved,
    /// The call may not.
    Rejected,
    /// It was answered.
    Answered,
    /// Nobody answered while it counted.
    Lapsed,
    /// The agent did not need an answer any more.
    Withdrawn,
}

/// A call that a human denied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Denied {
    /// The tool.
    pub tool: String,
    /// SHA-256 of the arguments in canonical JSON.
    pub hash: String,
    /// When.
    pub at: Timestamp,
}

/// What a provider counted against what was estimated, in tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measured {
    /// What it counted.
    pub counted: u64,
    /// What was estimated.
    pub estimated: u64,
}

/// An agent in one version.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct AgentRef {
    /// The name of its folder.
    pub name: String,
    /// SHA-256 of its files, hex. The files are kept under this name, as long as threads may need them.
    pub version: String,
}

/// Who takes the request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Routed {
    /// The thread's address; answers go back there.
    pub home: Address,
    /// The agent, pinned in this version until the request is done; none when no route took it.
    pub agent: Option<AgentRef>,
    /// Which rule decided: `routes[2]`, `the default`.
    pub why: String,
}

/// Something a person said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Heard {
    /// Who.
    pub from: Person,
    /// The platform's name of the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<MessageRef>,
    /// When it was sent, as the platform says.
    pub sent: Timestamp,
    /// Their words, without quotes and signature.
    pub text: String,
    /// Their words as sent, where different.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original: Option<String>,
    /// What came along.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<HeardFile>,
}

/// Other words for something that a person said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Edit {
    /// The platform's name of the message.
    pub message: MessageRef,
    /// Who; the same who had said it.
    pub by: Person,
    /// The words now.
    pub text: String,
    /// The words as sent, where different.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original: Option<String>,
}

/// A file that came along.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeardFile {
    /// Name, type, size, hash.
    #[serde(flatten)]
    pub file: File,
    /// Its text, if it is a small text file: what the agent sees of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Why the bytes were not kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dropped: Option<String>,
}

/// A model's answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Thought {
    /// What the model wants.
    pub intent: Intent,
    /// How much of the log it had seen.
    pub seen: Version,
    /// The provider and model that answered: `anthropic/claude-…`, `scripted`.
    pub model: String,
    /// SHA-256 of the exact messages sent.
    pub prompt: String,
    /// What it cost.
    #[serde(default)]
    pub usage: Usage,
    /// What the renderer had estimated for the input, in tokens, before correction.
    #[serde(default)]
    pub estimated: u64,
    /// How often it had to be asked again before the output was valid.
    #[serde(default)]
    pub reasks: u32,
    /// A label that people must see beside what this model says: `scripted model`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// What a model call cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens read.
    pub input: u64,
    /// Tokens written.
    pub output: u64,
    /// Milliseconds from request to the end of the response, re-asks included.
    #[serde(default)]
    pub ms: u64,
    /// Requests made, re-asks and fall-backs included.
    #[serde(default)]
    pub calls: u32,
}

/// One of several calls that a thought wants.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Planned {
    /// The tool.
    pub tool: String,
    /// The arguments.
    pub args: Value,
}

/// A tool call that begins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Started {
    /// Which call.
    pub call: CallId,
    /// The tool.
    pub tool: String,
    /// The arguments that it is given.
    pub args: Value,
    /// SHA-256 of the arguments in canonical JSON.
    pub hash: String,
    /// The question whose answer holds for this call, too, where that is why it runs without being asked about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant: Option<QuestionId>,
}

/// A tool call that is over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Acted {
    /// Which call.
    pub call: CallId,
    /// How it ended.
    pub outcome: Outcome,
    /// Milliseconds it took.
    #[serde(default)]
    pub ms: u64,
    /// Files it made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<File>,
}

/// How a tool call ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// With a result.
    Done(Value),
    /// It failed, and certainly has no effect that matters, or says itself what it did.
    Failed(Fault),
    /// Nobody knows whether it took effect.
    Unknown {
        /// What is known.
        why: String,
    },
}

/// A failure of a step, and what it cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What went wrong.
    #[serde(flatten)]
    pub fault: Fault,
    /// What the model calls that led to it cost.
    #[serde(default)]
    pub usage: Usage,
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self { fault, usage: Usage::default() }
    }
}

/// Something that went wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// The sort.
    pub kind: FaultKind,
    /// A few lines at most, fit for a prompt.
    pub what: String,
}

/// The sorts of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// The model's output was not a valid intent, also after it was asked again.
    BadOutput,
    /// No model answered.
    ModelUnavailable,
    /// The intent named a tool or a desk that the agent does not have, or arguments that do not fit.
    BadCall,
    /// The policy forbids the call, or a human denied the same call already.
    Denied,
    /// The tool said no.
    ToolFailed,
    /// The tool took too long.
    ToolTimeout,
    /// The context does not fit the budget, even squeezed.
    ContextFull,
    /// Nothing above.
    Internal,
}

impl Fault {
    /// A fault of this kind.
    pub fn new(kind: FaultKind, what: impl Into<String>) -> Self {
        Self { kind, what: what.into() }
    }
}

impl QuestionStatus {
    /// The name it has in the log and in prompts.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Answered => "answered",
            Self::Lapsed => "lapsed",
            Self::Withdrawn => "withdrawn",
        }
    }
}

impl Question {
    /// For how long, and for which further calls, an approval may be given at once.
    pub(crate) fn remember(&self) -> Option<&Remember> {
        let is_approval = matches!(self.kind, QuestionKind::Approval { .. });
        self.terms.remember.as_ref().filter(|_| is_approval)
    }

    /// Whether a conversation is handed over by it.
    pub(crate) fn is_hand_over(&self) -> bool {
        self.kind == QuestionKind::HandOver
    }
}

impl FaultKind {
    /// Whether it is how asking a model failed, and not how something that was decided did.
    pub(crate) fn is_of_a_thought(self) -> bool {
        match self {
            Self::BadOutput | Self::ModelUnavailable | Self::ContextFull => true,
            Self::BadCall | Self::Denied | Self::ToolFailed | Self::ToolTimeout | Self::Internal => false,
        }
    }

    /// The name it has in the log and in prompts.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BadOutput => "bad_output",
            Self::ModelUnavailable => "model_unavailable",
            Self::BadCall => "bad_call",
            Self::Denied => "denied",
            Self::ToolFailed => "tool_failed",
            Self::ToolTimeout => "tool_timeout",
            Self::ContextFull => "context_full",
            Self::Internal => "internal",
        }
    }
}

/// A question to humans. Its id is its place in the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Question {
    /// What sort, and what hangs on it.
    pub kind: QuestionKind,
    /// What is asked, in the agent's words.
    pub text: String,
    /// The answers to choose from; empty means a text of one's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
    /// Whether several of them may be chosen.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub several: bool,
    /// The form to fill in, which is then the only way to answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub form: Option<Box<Form>>,
    /// Who may answer.
    pub audience: Audience,
    /// Where its cards go, in this order.
    pub asked: Vec<AskedAt>,
    /// Who is asked when their quiet hours are over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held: Vec<AskedAt>,
    /// On what terms it waits.
    #[serde(default, skip_serializing_if = "Terms::is_default")]
    pub terms: Terms,
    /// The message that the card at home replies to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_reply_to: Option<MessageRef>,
    /// Whose request caused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requester: Option<Person>,
    /// The agent that asks.
    pub asker: AgentRef,
    /// When nobody may answer any more; then it lapses, which never means yes.
    pub deadline: Timestamp,
}

impl Question {
    /// The options at these places, in words.
    pub fn chosen(&self, places: &[usize]) -> String {
        let options: Vec<&str> =
            places.iter().filter_map(|place| self.options.get(*place)).map(String::as_str).collect();
        options.join(", ")
    }
}

/// A form as it was asked: whatever becomes of its agent, an answer is held to this.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Form {
    /// What it is about, for people.
    pub title: String,
    /// The JSON Schema of an answer: an object of plain fields, in the order they are asked for.
    pub fields: Value,
}

/// One place where a question is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskedAt {
    /// Where.
    #[serde(flatten)]
    pub at: Address,
    /// The member whose place that is, if it is one's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
}

/// More cards for a question that is open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskedAgain {
    /// Which question.
    pub question: QuestionId,
    /// Why.
    pub because: Because,
    /// Where the cards go, in this order; may be nowhere.
    pub asked: Vec<AskedAt>,
    /// Who is asked when their quiet hours are over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held: Vec<AskedAt>,
    /// Members and groups who may answer from now on, too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub audience: Vec<String>,
}

/// Why a question is asked again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Because {
    /// Nobody answered in time: this reminder, counting from 0.
    Reminder(usize),
    /// Nobody answered in time, or could be reached: this rung of the ladder, counting from 0.
    Rung(usize),
    /// This member's quiet hours are over.
    Awake(String),
    /// The time is over for which this member, or person, had put it off.
    Snoozed(String),
    /// This member was named by somebody who had been asked.
    Delegated(String),
}

/// The sorts of question.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum QuestionKind {
    /// The agent wants to know something.
    Question,
    /// A tool call waits for permission.
    Approval {
        /// The call.
        call: CallId,
        /// The tool.
        tool: String,
        /// The exact arguments.
        args: Value,
        /// SHA-256 of the arguments in canonical JSON: what is approved.
        hash: String,
    },
    /// Several tool calls wait for permission; each of them may be given it or not.
    Approvals {
        /// The calls; at least two.
        calls: Vec<AskedCall>,
    },
    /// A tool call that must not be repeated has an unknown outcome.
    Unknown {
        /// The call.
        call: CallId,
        /// The tool.
        tool: String,
        /// The arguments.
        args: Value,
    },
    /// The conversation was handed over; the answer is for the user.
    HandOver,
}

/// One of several calls that wait for permission.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AskedCall {
    /// The call.
    pub call: CallId,
    /// The tool.
    pub tool: String,
    /// The exact arguments.
    pub args: Value,
    /// SHA-256 of the arguments in canonical JSON: what is approved.
    pub hash: String,
}

impl AskedCall {
    /// What people call it among the others: `2. refund`.
    pub fn label(&self, place: usize) -> String {
        format!("{}. {}", place.saturating_add(1), self.tool)
    }
}

impl QuestionKind {
    /// Whether it asks for permission to run several calls.
    pub(crate) fn is_several(&self) -> bool {
        matches!(self, Self::Approvals { .. })
    }

    /// The calls that it asks about, where it is for permission.
    pub fn calls(&self) -> Vec<(CallId, &str, &Value, &str)> {
        match self {
            Self::Approval { call, tool, args, hash } => vec![(*call, tool, args, hash)],
            Self::Approvals { calls } => {
                calls.iter().map(|one| (one.call, one.tool.as_str(), &one.args, one.hash.as_str())).collect()
            }
            Self::Question | Self::Unknown { .. } | Self::HandOver => Vec::new(),
        }
    }
}

/// Who may answer a question.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audience {
    /// The person whose request it is.
    #[serde(default)]
    pub requester: bool,
    /// Members and groups, by name; looked up when the answer comes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<String>,
}

/// An answer that counted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// To which question.
    pub question: QuestionId,
    /// By whom; `verified` says how that is known.
    pub by: Person,
    /// Which member that is, if one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    /// The member who is away and for whom they stand in, where they may answer only for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instead_of: Option<String>,
    /// From where. Not `at` in the log: that key is the record's time.
    #[serde(rename = "address")]
    pub at: Address,
    /// What.
    pub decision: Decision,
    /// Their words, or the id of the button.
    pub words: String,
    /// Whether they wrote or pressed.
    pub how: How,
    /// What it stands on.
    #[serde(default, skip_serializing_if = "Evidence::is_empty")]
    pub evidence: Evidence,
}

/// What an answer stands on, for whoever looks at it later.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// SHA-256 of what the card showed where the answer was given ([`crate::shown`]); none where there was no card.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown: Option<String>,
    /// The chain over the log up to this event, without it ([`crate::Chain`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain: Option<String>,
}

impl Evidence {
    /// Whether there is none, as in logs from before it was kept.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// How an answer was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// In words.
    Wrote,
    /// By a button or a form.
    Pressed,
}

/// What an answer says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Run it.
    Approve,
    /// Run it, and calls like it without asking again, as the terms of the question say.
    ApproveAlike {
        /// Until when.
        until: Timestamp,
    },
    /// Run it with other arguments. Those that were asked for stand in the question.
    ApproveEdited {
        /// The whole arguments as they are to run.
        args: Value,
        /// SHA-256 of them in canonical JSON: what is approved.
        hash: String,
    },
    /// Run some of the calls that were asked about, by their places in their order, and not the others.
    ApproveSome {
        /// The places; some, and not all.
        places: Vec<usize>,
        /// Why not the others.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        comment: Option<String>,
    },
    /// Do not.
    Reject {
        /// Why not.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        comment: Option<String>,
    },
    /// One of the options, by its place.
    Option(usize),
    /// Some of the options, by their places, in their order.
    Options(Vec<usize>),
    /// A form, filled in: an object that fits the schema in the question.
    Form(Value),
    /// A text.
    Text(String),
    /// The agent goes on with the conversation that it had handed over.
    HandBack {
        /// What it is to know.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    /// The conversation that was handed over is over.
    Done,
}

impl Decision {
    /// Whether it lets the call at this place, of those that were asked about, run.
    pub fn clears(&self, place: usize) -> bool {
        match self {
            Self::Approve | Self::ApproveAlike { .. } | Self::ApproveEdited { .. } => true,
            Self::ApproveSome { places, .. } => places.contains(&place),
            Self::Reject { .. }
            | Self::Option(_)
            | Self::Options(_)
            | Self::Form(_)
            | Self::Text(_)
            | Self::HandBack { .. }
            | Self::Done => false,
        }
    }

    /// Whether it says no to the call at this place, and why.
    pub fn rejects(&self, place: usize) -> Option<Option<&str>> {
        match self {
            Self::Reject { comment } => Some(comment.as_deref()),
            Self::ApproveSome { places, comment } => (!places.contains(&place)).then_some(comment.as_deref()),
            Self::Approve
            | Self::ApproveAlike { .. }
            | Self::ApproveEdited { .. }
            | Self::Option(_)
            | Self::Options(_)
            | Self::Form(_)
            | Self::Text(_)
            | Self::HandBack { .. }
            | Self::Done => None,
        }
    }
}

/// An approval that is not enough yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ballot {
    /// The approval.
    #[serde(flatten)]
    pub answer: Answer,
    /// Who must approve yet, in words: `one more of finance must approve`.
    pub missing: String,
}

/// Something that a human did about a question, which stays open.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Deferral {
    /// Which question.
    pub question: QuestionId,
    /// By whom; `verified` says how that is known.
    pub by: Person,
    /// Which member that is, if one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    /// From where; what is said about it goes back there.
    #[serde(rename = "address")]
    pub at: Address,
    /// The message it came in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<MessageRef>,
    /// What.
    pub deferring: Deferring,
    /// Their words, or the id of the button.
    pub words: String,
    /// Whether they wrote or pressed.
    pub how: How,
    /// What it stands on.
    #[serde(default, skip_serializing_if = "Evidence::is_empty")]
    pub evidence: Evidence,
}

/// What can be done about a question without deciding it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deferring {
    /// The agent is asked this, and answers where it was asked.
    AskedBack(String),
    /// This member is asked, too.
    Delegated(String),
    /// Whoever put it off is asked again then.
    Snoozed(Timestamp),
    /// They talk with the people of the thread from now on, in the agent's place.
    TookOver,
}

/// What a human said who has taken a conversation over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Speech {
    /// The question by which it was handed over.
    pub question: QuestionId,
    /// Who; `verified` says how that is known.
    pub by: Person,
    /// Which member that is, if one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    /// From where; what the people of the thread say goes there.
    #[serde(rename = "address")]
    pub at: Address,
    /// The message it came in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<MessageRef>,
    /// The words.
    pub text: String,
    /// What came along.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<File>,
    /// What it stands on.
    #[serde(default, skip_serializing_if = "Evidence::is_empty")]
    pub evidence: Evidence,
}

/// An answer that did not count.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Refusal {
    /// To which question.
    pub question: QuestionId,
    /// By whom.
    pub by: Person,
    /// From where; the explanation goes back there.
    #[serde(rename = "address")]
    pub at: Address,
    /// The message it came in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<MessageRef>,
    /// Their words, or the id of the button.
    pub words: String,
    /// Whether they wrote or pressed.
    pub how: How,
    /// Why not.
    pub why: Why,
    /// What was wrong with it, a sentence, where there is more to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub what: Option<String>,
    /// What it stands on.
    #[serde(default, skip_serializing_if = "Evidence::is_empty")]
    pub evidence: Evidence,
}

/// The end of what an answer had allowed for a while: from then on calls like it are asked about again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Revocation {
    /// The question that was answered.
    pub question: QuestionId,
    /// By whom; an operator at the command line is no person of a channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Person>,
    /// Which member that is, if one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    /// From where; that it is done is said there.
    #[serde(rename = "address", default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Address>,
    /// The message it came in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<MessageRef>,
    /// Their words.
    pub words: String,
    /// What it stands on.
    #[serde(default, skip_serializing_if = "Evidence::is_empty")]
    pub evidence: Evidence,
}

/// Why an answer did not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// This person may not answer this question.
    NotPermitted,
    /// The channel cannot prove who this is.
    Unverified,
    /// Replies on this channel are easily imitated, and this one did not carry the question's ticket.
    NoTicket,
    /// It was answered before.
    Settled,
    /// Its deadline had passed.
    Expired,
    /// The words are not a clear decision.
    Unclear,
    /// What was filled in does not fit, or may not be approved like that.
    Unfit,
    /// This person has approved already, and others must.
    Voted,
    /// It may not be decided on this channel.
    Elsewhere,
    /// An answer is not needed any more.
    Withdrawn,
    /// Several questions are open there, and it does not say which it means.
    Which,
}

/// Something said to the people of the thread.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// Where to: the thread's home, or the place a desk was asked at.
    pub to: Address,
    /// The message it replies to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_reply_to: Option<MessageRef>,
    /// What somebody asked back, which this answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answers: Option<Seq>,
    /// The words, as CommonMark.
    pub text: String,
    /// Files that go along.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<File>,
    /// Who says it.
    pub by: Author,
    /// A label that is shown beside the words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Who says something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Author {
    /// The agent.
    Agent,
    /// The gateway, in its own fixed words.
    Gateway,
    /// A member, by hand.
    Member(String),
}
