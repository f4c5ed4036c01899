//! Which agent takes a message: rules in order, the same message always to the same agent.

use channel::{Addressed, Body, Inbound};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One rule. Every key that is given must fit; the first rule that fits decides.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// The agent that takes the message.
    pub agent: String,
    /// The channel it came by, as named in this file.
    #[serde(default)]
    pub channel: Option<String>,
    /// The place, in the channel's own coding.
    #[serde(default)]
    pub place: Option<String>,
    /// The address it was written to (a mail address).
    #[serde(default)]
    pub address: Option<String>,
    /// The plus-part of that address: `billing` of `support+billing@example.com`.
    #[serde(default)]
    pub plus: Option<String>,
    /// The command it was given with.
    #[serde(default)]
    pub command: Option<String>,
    /// Leading words of the text, any of these; letter case does not count.
    #[serde(default)]
    pub starts_with: Vec<String>,
    /// What to do when the channel cannot prove who wrote.
    #[serde(default)]
    pub unverified: Unverified,
}

/// What to do when the channel cannot prove who wrote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unverified {
    /// No agent sees it; the sender is told so.
    #[default]
    Refuse,
    /// The agent may talk to them. They can never answer an approval.
    Allow,
}

/// What the rules say of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// This agent takes it.
    By {
        /// Its name.
        agent: String,
        /// Which rule decided.
        why: String,
    },
    /// A rule fits, but it wants to know for sure who wrote.
    Unverified {
        /// Which rule decided.
        why: String,
    },
    /// No rule fits.
    Nobody,
}

/// Finds the agent for a message.
pub fn route(routes: &[Route], default: Option<&str>, inbound: &Inbound) -> Taken {
    let proven = inbound.from.verified.is_proven();
    let taken = |agent: &str, unverified: Unverified, why: String| {
        if proven || unverified == Unverified::Allow {
            Taken::By { agent: agent.to_owned(), why }
        } else {
            Taken::Unverified { why }
        }
    };
    match routes.iter().enumerate().find(|(_, route)| fits(route, inbound)) {
        Some((n, route)) => taken(&route.agent, route.unverified, format!("routes[{n}]")),
        // What was said beside the bot is nobody's, the default agent's neither.
        None => match default.filter(|_| inbound.addressed != Addressed::Overheard) {
            Some(agent) => taken(agent, Unverified::Refuse, "default_agent".into()),
            None => Taken::Nobody,
        },
    }
}

fn fits(route: &Route, inbound: &Inbound) -> bool {
    let text = match &inbound.body {
        Body::Text { text, .. } => text.as_str(),
        Body::Press { .. } | Body::Edited { .. } | Body::Deleted | Body::Undelivered { .. } => "",
    };
    route.channel.as_ref().is_none_or(|name| inbound.at.channel.as_str() == name)
        && route.place.as_ref().is_none_or(|place| inbound.at.place.as_str() == place)
        && has(inbound, "address", route.address.as_deref())
        && has(inbound, "plus", route.plus.as_deref())
        && has(inbound, "command", route.command.as_deref())
        && (route.starts_with.is_empty() || route.starts_with.iter().any(|words| leads(text, words)))
        && inbound.addressed != Addressed::Overheard
}

/// Whether one of the inbound's facts of this name is the wanted one; nothing wanted always fits.
fn has(inbound: &Inbound, name: &str, wanted: Option<&str>) -> bool {
    wanted.is_none_or(|wanted| {
        inbound.facts.iter().any(|(key, value)| key == name && value.eq_ignore_ascii_case(wanted))
    })
}

/// Whether the text begins with these words, as whole words.
fn leads(text: &str, words: &str) -> bool {
    let mut said = text.split_whitespace();
    words.split_whitespace().all(|word| {
        said.next().is_some_and(|next| {
            let next = next.trim_end_matches(|c: char| c.is_ascii_punctuation());
            next.to_lowercase() == word.to_lowercase()
        })
    }) && !words.trim().is_empty()
}
