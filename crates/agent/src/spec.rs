//! `agent.toml`: what an agent is, as its author writes it.
//!
//! The doc comments are the descriptions that the operator sees when a key is wrong.

use std::collections::BTreeMap;

use channel::{ChannelName, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    prompt::{Output, Role},
    terms::{Otherwise, Quorum, Remember, Rung, Terms},
};

/// An agent: which model, which tools, what it may do, when it stops.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentSpec {
    /// One sentence for people: what this agent does.
    pub description: String,
    /// The name of a model in `config.toml`.
    #[serde(default = "defaults::model")]
    pub model: String,
    /// The desk in `config.toml` where humans are asked when nobody at the origin may answer, and where the
    /// conversation is handed over.
    pub desk: String,
    /// Members and groups in `config.toml` who may approve this agent's calls, unless a rule names others.
    #[serde(default)]
    pub approvers: Vec<String>,
    /// Where an approval is asked.
    #[serde(default)]
    pub ask_at: AskAt,
    /// How long an approval waits; then it lapses and the call is not run.
    #[serde(default = "defaults::approval_deadline")]
    pub approval_deadline: Span,
    /// How long a question waits.
    #[serde(default = "defaults::question_deadline")]
    pub question_deadline: Span,
    /// What becomes of a message that comes while a question is open.
    #[serde(default)]
    pub while_waiting: WhileWaiting,
    /// The messages sent to the model, in this order.
    #[serde(default = "defaults::messages")]
    pub messages: Vec<MessageSpec>,
    /// The messages added when the output was not a valid intent. The templates see `output` and `error`.
    #[serde(default = "defaults::reask")]
    pub reask: Vec<MessageSpec>,
    /// How the model is asked for JSON.
    #[serde(default)]
    pub output: OutputSpec,
    /// The size of the context window.
    #[serde(default)]
    pub context: ContextSpec,
    /// When a human takes over.
    #[serde(default)]
    pub limits: LimitsSpec,
    /// The tools, by name.
    #[serde(default)]
    pub tools: BTreeMap<String, ToolSpec>,
    /// The forms that people can be asked to fill in, by name.
    #[serde(default)]
    pub forms: BTreeMap<String, FormSpec>,
}

/// Where an approval is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AskAt {
    /// At the origin when the person there may approve, else at the desk.
    #[default]
    Nearest,
    /// Always where the request came from.
    Origin,
    /// Always at the desk.
    Desk,
}

/// What becomes of a message that comes while a question is open, and that is no answer to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WhileWaiting {
    /// It waits until the question is settled.
    #[default]
    Queue,
    /// The agent thinks about it at once; the question stays open.
    Consider,
    /// The question is closed, and the agent goes on with the message.
    Cancel,
}

/// One message to the model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MessageSpec {
    /// Who is said to speak.
    pub role: Role,
    /// A template file in the agent's folder.
    pub template: String,
}

/// How the model is asked for JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OutputSpec {
    /// `functions`: each intent is a function; `schema`: the provider follows a JSON Schema; `text`: the prompt's words do.
    #[serde(default)]
    pub ask_as: Output,
    /// How often an invalid output is sent back for another try.
    #[serde(default = "defaults::reasks")]
    pub reasks: u32,
}

/// The size of the context window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ContextSpec {
    /// The most tokens of all messages and the answer together.
    #[serde(default = "defaults::tokens")]
    pub tokens: u64,
    /// The room kept for the answer.
    #[serde(default = "defaults::answer_tokens")]
    pub answer_tokens: u32,
    /// Sampling temperature.
    #[serde(default)]
    pub temperature: Option<f64>,
}

/// When a human takes over. All counts are for one request: from the first message to `finish`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitsSpec {
    /// Steps; more than 10 need `more_steps_because`.
    #[serde(default = "defaults::steps")]
    pub steps: u32,
    /// Why this agent needs more than 10 steps, in words.
    #[serde(default)]
    pub more_steps_because: Option<String>,
    /// Requests to models, re-asks included.
    #[serde(default = "defaults::model_calls")]
    pub model_calls: u32,
    /// Tokens read and written by models.
    #[serde(default = "defaults::limit_tokens")]
    pub tokens: u64,
    /// Time at work; waiting for people does not count.
    #[serde(default = "defaults::active")]
    pub active: Span,
    /// Runs of one tool with the same arguments.
    #[serde(default = "defaults::same_call")]
    pub same_call: u32,
    /// Times the same error may come.
    #[serde(default = "defaults::same_error")]
    pub same_error: u32,
    /// Failures in a row.
    #[serde(default = "defaults::failures")]
    pub failures: u32,
    /// Calls that one step may want at once, at most 10; those that need approval are asked about on one card.
    #[serde(default = "defaults::calls_at_once")]
    pub calls_at_once: u32,
}

/// A tool: a schema and a handler.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ToolSpec {
    /// What it does, for the model and for people.
    pub description: String,
    /// The JSON Schema of its arguments, an object.
    #[serde(default = "defaults::parameters")]
    pub parameters: Value,
    /// What runs.
    pub run: Handler,
    /// What may happen when nobody knows whether a call took effect.
    pub repeat: Repeat,
    /// How much harm a wrong call does; `high` is asked about unless a policy rule says otherwise.
    pub risk: Risk,
    /// The longest it may take.
    #[serde(default = "defaults::tool_timeout")]
    pub timeout: Span,
    /// The most bytes of its result that are kept; the rest is cut with a mark.
    #[serde(default = "defaults::output_max")]
    pub output_bytes_max: usize,
    /// Names of arguments that people and logs must not see.
    #[serde(default)]
    pub secret: Vec<String>,
    /// Whether its effect leaves the house and cannot be taken back: a mail, a payment. Each such call is asked for by itself.
    #[serde(default)]
    pub outward: bool,
    /// Rules, in order; the first that fits decides.
    #[serde(default)]
    pub policy: Vec<PolicyRule>,
}

/// A form.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FormSpec {
    /// What it is about, in a few words, for the model and for people.
    pub title: String,
    /// The JSON Schema of an answer: an object whose properties are strings, numbers, integers, booleans or lists of choices.
    pub fields: Value,
}

/// What runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Handler {
    /// A program.
    Command(CommandSpec),
    /// An HTTP request.
    Http(HttpSpec),
    /// Part of the gateway.
    Builtin(Builtin),
}

/// A program: an argument vector, no shell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommandSpec {
    /// Program and arguments; `{name}` stands for an argument of the call, and stays one argument whatever is in it. A program
    /// with a `/` is taken from the agent's folder. The whole call comes on standard input as JSON.
    pub argv: Vec<String>,
    /// Environment variables to pass on, by name. Beside these the program sees only PATH, HOME, LANG, TOOL_STATE (a folder
    /// of this agent's own), TOOL_OUT (files written there are kept) and TOOL_KEY (the name of this call).
    #[serde(default)]
    pub env: Vec<String>,
}

/// An HTTP request. `{name}` in the path, query or a header value stands for an argument, percent-encoded in the URL.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpSpec {
    /// `GET`, `POST`, `PUT`, `PATCH` or `DELETE`.
    #[serde(default = "defaults::method")]
    pub method: String,
    /// The URL; scheme, host and port are fixed text.
    pub url: String,
    /// Headers; `{env:NAME}` stands for an environment variable, for keys.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Whether the arguments are sent as a JSON body.
    #[serde(default)]
    pub json_body: bool,
    /// Hosts (`host` or `host:port`) that may be reached although they are not public.
    #[serde(default)]
    pub allow_private: Vec<String>,
    /// The header that carries the call's name to a service that runs a repeated call once.
    #[serde(default)]
    pub key_header: Option<String>,
}

/// Tools that are part of the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Builtin {
    /// The current time. No arguments.
    Clock,
    /// The text of a file of this thread. Argument: `name`.
    ReadFile,
}

/// What may happen when nobody knows whether a call took effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Repeat {
    /// It changes nothing; it may run again.
    Safe,
    /// It takes the call's name and runs once by it; it may be sent again.
    ByKey,
    /// It must not run again; a human is asked.
    Never,
}

/// How much harm a wrong call does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Risk {
    /// None.
    Low,
    /// Some.
    High,
}

/// One rule of a tool's policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyRule {
    /// An expression over `args`; without, the rule always fits: `args.amount > 100`.
    #[serde(default)]
    pub when: Option<String>,
    /// What then.
    pub then: Verdict,
    /// Members and groups who may approve, instead of the agent's.
    #[serde(default)]
    pub approvers: Vec<String>,
    /// The desk to ask at, instead of the agent's.
    #[serde(default)]
    pub desk: Option<String>,
    /// How many must approve: a number of different people; `all` of the approvers; `each`: for every name in `approvers` one,
    /// and each time somebody else.
    #[serde(default)]
    pub quorum: Quorum,
    /// Whether the person whose request it is may approve it, if they are an approver.
    #[serde(default = "defaults::yes")]
    pub requester_may_approve: bool,
    /// How long this approval waits, instead of the agent's `approval_deadline`.
    #[serde(default)]
    pub deadline: Option<Span>,
    /// What happens when it was not decided by then.
    #[serde(default)]
    pub otherwise: Otherwise,
    /// Who was asked and has not answered is asked again so long after the question: `["30m", "2h"]`.
    #[serde(default)]
    pub remind: Vec<Span>,
    /// A name under `severities` in `config.toml`: the channels on which this may be decided. Without, on every channel.
    #[serde(default)]
    pub severity: Option<String>,
    /// Further desks to ask at as time passes, in this order.
    #[serde(default)]
    pub escalate: Vec<Rung>,
    /// Whoever approves may approve further calls like this one for a while: for how long, and what must be like it.
    #[serde(default)]
    pub remember: Option<Remember>,
}

impl PolicyRule {
    /// The terms of an approval by this rule; where it may be decided stands under a severity's name.
    pub fn terms(&self, decided_on: Option<Vec<ChannelName>>) -> Terms {
        Terms {
            quorum: self.quorum,
            requester_may: self.requester_may_approve,
            decided_on,
            otherwise: self.otherwise,
            remind: self.remind.clone(),
            ladder: self.escalate.clone(),
            remember: self.remember.clone(),
        }
    }
}

/// What a policy says of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It runs.
    Allow,
    /// It runs when a human approved it.
    Ask,
    /// It does not run.
    Deny,
}

/// What stands in the place of a value that people must not see.
pub(crate) const NOT_SHOWN: &str = "(not shown)";

/// The arguments of a call as people may see them: without the values that the tool declares secret.
pub fn redacted(args: &Value, secret: &[String]) -> Value {
    let mut shown = args.clone();
    for name in secret {
        if let Some(value) = shown.get_mut(name) {
            *value = NOT_SHOWN.into();
        }
    }
    shown
}

impl Default for OutputSpec {
    fn default() -> Self {
        Self { ask_as: Output::default(), reasks: defaults::reasks() }
    }
}

impl Default for ContextSpec {
    fn default() -> Self {
        Self { tokens: defaults::tokens(), answer_tokens: defaults::answer_tokens(), temperature: None }
    }
}

impl Default for LimitsSpec {
    fn default() -> Self {
        Self {
            steps: defaults::steps(),
            more_steps_because: None,
            model_calls: defaults::model_calls(),
            tokens: defaults::limit_tokens(),
            active: defaults::active(),
            same_call: defaults::same_call(),
            same_error: defaults::same_error(),
            failures: defaults::failures(),
            calls_at_once: defaults::calls_at_once(),
        }
    }
}

/// What a key means when it is left out, in one place.
mod defaults {
    use super::{MessageSpec, Role, Span, Value};

    pub(super) fn model() -> String {
        "default".into()
    }
    pub(super) fn approval_deadline() -> Span {
        Span::seconds(24 * 3600)
    }
    pub(super) fn question_deadline() -> Span {
        Span::seconds(72 * 3600)
    }
    pub(super) fn yes() -> bool {
        true
    }
    pub(super) fn messages() -> Vec<MessageSpec> {
        vec![
            MessageSpec { role: Role::System, template: "prompt.md".into() },
            MessageSpec { role: Role::User, template: "context.md".into() },
        ]
    }
    pub(super) fn reask() -> Vec<MessageSpec> {
        vec![MessageSpec { role: Role::User, template: "reask.md".into() }]
    }
    pub(super) fn reasks() -> u32 {
        2
    }
    pub(super) fn tokens() -> u64 {
        8_000
    }
    pub(super) fn answer_tokens() -> u32 {
        1_000
    }
    pub(super) fn steps() -> u32 {
        8
    }
    pub(super) fn model_calls() -> u32 {
        20
    }
    pub(super) fn limit_tokens() -> u64 {
        100_000
    }
    pub(super) fn active() -> Span {
        Span::seconds(600)
    }
    pub(super) fn same_call() -> u32 {
        2
    }
    pub(super) fn same_error() -> u32 {
        3
    }
    pub(super) fn failures() -> u32 {
        3
    }
    pub(super) fn calls_at_once() -> u32 {
        1
    }
    pub(super) fn parameters() -> Value {
        serde_json::json!({ "type": "object", "properties": {}, "additionalProperties": false })
    }
    pub(super) fn tool_timeout() -> Span {
        Span::seconds(30)
    }
    pub(super) fn output_max() -> usize {
        16 * 1024
    }
    pub(super) fn method() -> String {
        "GET".into()
    }
}
