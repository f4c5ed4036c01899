//! What Discord says no with, and what to do about it.
//!
//! Codes: <https://discord.com/developers/docs/topics/opcodes-and-status-codes>.

use channel::{Error, ErrorKind};
use chat::payload::text;
use serde_json::Value;

/// A call that failed.
#[derive(Debug)]
pub(crate) struct Fault {
    /// What it means for the caller.
    pub(crate) error: Error,
    /// Discord's own number for it, where it answered with one.
    pub(crate) code: Option<u64>,
}

impl Fault {
    /// Whether Discord answered with one of these numbers.
    pub(crate) fn is(&self, codes: &[u64]) -> bool {
        self.code.is_some_and(|code| codes.contains(&code))
    }

    pub(super) fn new(error: Error) -> Self {
        Self { error, code: None }
    }

    /// Sorts an answer that is no success.
    pub(super) fn of(what: &str, status: u16, body: &Value) -> Self {
        let code = body.get("code").and_then(Value::as_u64).filter(|code| *code > 0);
        let said = text(body, &["message"]).unwrap_or_default();
        let said: String = channel::inert(said).chars().take(200).collect();
        let told = match code {
            Some(code) => format!("Discord refused to {what}: {said} ({code})"),
            None => format!("Discord refused to {what}: HTTP status {status} {said}"),
        };
        Self { error: meaning(what, status, code, told.trim().to_owned()), code }
    }

    /// A call that did not get to Discord did not happen; one that was cut off may have.
    pub(super) fn on_the_way(what: &str, error: reqwest::Error) -> Self {
        let error = error.without_url();
        Self::new(if error.is_connect() || error.is_builder() {
            Error::retry(format!("Discord cannot be reached, to {what}")).with_source(error)
        } else if error.is_timeout() {
            Error::ambiguous(format!("Discord did not answer in time, to {what}")).with_source(error)
        } else {
            Error::ambiguous(format!("the connection to Discord was lost, to {what}")).with_source(error)
        })
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        fault.error
    }
}

/// What one of Discord's refusals means.
fn meaning(what: &str, status: u16, code: Option<u64>, told: String) -> Error {
    match (status, code) {
        // The token of a gesture is old, or its answer was given: nothing is wrong with the bot's.
        (_, Some(50027 | 10015 | 10062 | 40060)) => Error::refused(told),
        (401, _) => Error::misconfigured(
            format!("Discord does not accept the token, to {what}"),
            "reset the token under Bot in the developer portal, and put the new one into the environment",
        ),
        (_, Some(50001)) => Error::misconfigured(
            told,
            "the bot does not see that channel: give its role the permission View Channel there",
        ),
        (_, Some(50013)) => Error::misconfigured(told, permission(what)),
        (_, Some(50007)) => Error::refused("this person takes no direct messages from the bot").with_remedy(
            "they must allow direct messages from members of a server that they share with the bot",
        ),
        (_, Some(50278)) => Error::refused("this person shares no server with the bot"),
        (_, Some(40333)) => Error::refused(told),
        (404, _) => Error::refused(told),
        (403, _) => Error::misconfigured(told, permission(what)),
        (408 | 425, _) => Error::ambiguous(told),
        (400..=499, _) => Error::refused(told),
        // Whether it was done nobody knows.
        _ => Error::ambiguous(told),
    }
}

fn permission(what: &str) -> String {
    let permissions = match what {
        "open a thread" => "Create Public Threads",
        "send a message" | "send a file" => {
            "Send Messages, Send Messages in Threads, Embed Links and Attach Files"
        }
        "react" => "Add Reactions and Read Message History",
        "read messages" | "read a message" => "Read Message History",
        _ => "that it takes",
    };
    format!("give the bot's role, in that channel, the permission {permissions}")
}

/// A refusal for too many calls.
pub(super) fn limited(what: &str, after: std::time::Duration) -> Fault {
    let kind = ErrorKind::Retry { after: Some(after) };
    Fault::new(Error::new(kind, format!("Discord wants to be asked less often to {what}")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_refusal_has_a_meaning_and_a_remedy_where_one_is_known() {
        let of = |what: &str, status: u16, code: u64| {
            Fault::of(what, status, &json!({ "code": code, "message": "No\u{202e}" })).error
        };
        let thread = of("open a thread", 403, 50013);
        assert_eq!(thread.kind, ErrorKind::Misconfigured);
        assert!(thread.to_string().contains("Create Public Threads"), "{thread}");
        for (status, code) in [(401, 0), (403, 50001), (403, 50013), (403, 1)] {
            let error = of("send a message", status, code);
            assert_eq!(error.kind, ErrorKind::Misconfigured, "{status} {code}");
            assert!(error.remedy.is_some() && !error.to_string().contains('\u{202e}'), "{error}");
        }
        for (status, code) in [(403, 50007), (404, 10003), (400, 50035), (401, 50027)] {
            assert_eq!(of("send a message", status, code).kind, ErrorKind::Refused, "{status} {code}");
        }
        assert_eq!(of("send a message", 502, 0).kind, ErrorKind::Ambiguous);
        assert_eq!(Fault::of("x", 502, &Value::Null).error.kind, ErrorKind::Ambiguous);
    }
}
