//! Who and where: names that travel through the whole gateway.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Declares a name: a string with a meaning, so that two of them cannot be mixed up.
macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Wraps a text; nothing is checked.
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// The text as it is.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name! {
    /// The name of a configured channel, the key of its table in `config.toml`: `email`, `web`, `support-mail`.
    ChannelName
}
name! {
    /// Where on a channel. Minted and read by that channel only.
    Place
}
name! {
    /// The platform's own name of one message, in the channel's own coding. At most 4 KiB.
    MessageRef
}
name! {
    /// The name of one message on its way out: derived from the thread and the version of the log that caused it, so
    /// that a repeated step names the same message.
    DeliveryKey
}
name! {
    /// One name under which a message may arrive again. An inbound carries one or more; if any was seen before, the
    /// inbound is a duplicate. Starts with the channel's name.
    InboundKey
}
name! {
    /// Proof that a reply belongs to a question: it names the question and carries a code that only the gateway can
    /// make. Lower-case letters, digits, `-` and `.`; at most 48 characters, so that it fits a plus-address.
    Ticket
}

/// Where: a place on a channel.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Address {
    /// The channel that minted the place.
    pub channel: ChannelName,
    /// The place on it.
    pub place: Place,
}

/// Who, as a channel saw them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// The channel that knows them.
    pub channel: ChannelName,
    /// The immutable id on that channel (a mail address in lower case, a user id). Only this identifies.
    pub id: String,
    /// The name they show. Decoration; it never decides anything.
    pub name: String,
    /// Whether the channel vouches for the id.
    pub verified: Verified,
    /// The roles that they have on the platform, by immutable ids, as the platform said when they did this; empty where
    /// it was not asked. Groups may name them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
}

/// Whether a channel vouches for a person's id, and on what grounds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verified {
    /// The platform or a signature proves the id. `by` says how, for the audit: `dmarc=pass (mx.corp)`.
    Proven {
        /// On what grounds.
        by: String,
    },
    /// Somebody wrote this id; nothing proves it. `why` says what was missing.
    Claimed {
        /// What was missing.
        why: String,
        /// What this person can do about it, one sentence to them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        remedy: Option<String>,
    },
}

impl Verified {
    /// True when the id is proven.
    pub fn is_proven(&self) -> bool {
        matches!(self, Self::Proven { .. })
    }

    /// What a person who is not proven can do about it, a sentence to them.
    pub fn remedy(&self) -> &str {
        match self {
            Self::Claimed { remedy: Some(remedy), .. } => remedy,
            Self::Claimed { remedy: None, .. } | Self::Proven { .. } => {
                "Please use another channel, or ask the people who run this gateway."
            }
        }
    }
}
