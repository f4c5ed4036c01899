//! What a model wants, as validated JSON.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What the model wants to happen next. The whole output of a model call becomes exactly one of these.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "intent", rename_all = "snake_case", deny_unknown_fields)]
pub enum Intent {
    /// Run a tool.
    Act {
        /// Which.
        tool: String,
        /// With what; fits the tool's schema.
        args: Value,
    },
    /// Run several tools, which have nothing to do with each other's results; those that need approval are asked about together.
    ActAll {
        /// Which, in this order.
        calls: Vec<WantedCall>,
    },
    /// Ask a human and wait for the answer.
    Ask {
        /// What.
        text: String,
        /// Whom: `origin` (the place the request came from; the default) or the name of a desk, group or member.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<String>,
        /// Answers to choose from; without, the answer is free text.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        options: Vec<String>,
        /// Whether several of them may be chosen.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        several: bool,
        /// The name of a form of the agent that is to be filled in; then there are no options.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        form: Option<String>,
    },
    /// Say something and go on.
    Say {
        /// The words, as CommonMark.
        text: String,
        /// Names of files of this thread to send along.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        files: Vec<String>,
    },
    /// Say the last word; the request is done.
    Finish {
        /// The words, as CommonMark.
        text: String,
        /// Names of files of this thread to send along.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        files: Vec<String>,
    },
    /// Give the conversation to a human.
    HandOver {
        /// Why, for the human.
        reason: String,
    },
}

/// One of several calls that a model wants.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WantedCall {
    /// Which tool.
    pub tool: String,
    /// With what; fits the tool's schema.
    pub args: Value,
}
