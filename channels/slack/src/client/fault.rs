//! What Slack says no with, and what to do about it.
//!
//! Codes: <https://docs.slack.dev/reference/methods/chat.postMessage#errors>, and the like for each method.

use channel::{Error, ErrorKind};
use slack_morphism::errors::SlackClientError;

/// A call that failed.
#[derive(Debug)]
pub(crate) struct Fault {
    /// What it means for the caller.
    pub(crate) error: Error,
    /// Slack's own word for it, where it answered.
    pub(crate) code: Option<String>,
}

impl Fault {
    /// Whether Slack answered with one of these words.
    pub(crate) fn is(&self, codes: &[&str]) -> bool {
        self.code.as_deref().is_some_and(|code| codes.contains(&code))
    }

    /// Sorts what a call came to.
    pub(super) fn of(method: &str, error: SlackClientError) -> Self {
        match error {
            SlackClientError::ApiError(error) => {
                let body = error.http_response_body.as_deref().unwrap_or_default();
                let needed = serde_json::from_str::<serde_json::Value>(body).ok();
                let needed = needed.as_ref().and_then(|body| body.get("needed")?.as_str()).map(str::to_owned);
                Self { error: meaning(method, &error.code, needed.as_deref()), code: Some(error.code) }
            }
            SlackClientError::RateLimitError(limited) => {
                let kind = ErrorKind::Retry { after: limited.retry_after };
                let what = format!("Slack wants {method} to be called less often");
                Self { error: Error::new(kind, what), code: Some("ratelimited".to_owned()) }
            }
            SlackClientError::HttpError(error) => {
                let status = error.status_code.as_u16();
                let what = format!("{method}: Slack answered with HTTP status {status}");
                let error = match status {
                    404 => Error::misconfigured(what, "check `api`: it is https://slack.com/api as a rule"),
                    400..=499 if status != 408 => Error::refused(what),
                    _ => Error::ambiguous(what),
                };
                Self { error, code: None }
            }
            SlackClientError::HttpProtocolError(error) => Self::on_the_way(method, error.cause),
            SlackClientError::ProtocolError(error) => {
                let what = format!("{method}: Slack's answer could not be read: {}", error.json_error);
                Self { error: Error::ambiguous(what), code: None }
            }
            other @ (SlackClientError::EndOfStream(_)
            | SlackClientError::SystemError(_)
            | SlackClientError::SocketModeProtocolError(_)) => {
                let error = Error::ambiguous(format!("{method}: the answer could not be read"));
                Self { error: error.with_source(other), code: None }
            }
        }
    }

    /// A call that did not get to Slack did not happen; one that was cut off may have.
    fn on_the_way(method: &str, cause: Option<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        let cause = cause.and_then(|cause| cause.downcast::<reqwest::Error>().ok());
        let error = match cause {
            Some(cause) if cause.is_connect() || cause.is_builder() => {
                Error::retry(format!("{method}: Slack cannot be reached")).with_source(*cause)
            }
            Some(cause) if cause.is_timeout() => {
                Error::ambiguous(format!("{method}: Slack did not answer in time")).with_source(*cause)
            }
            Some(cause) => {
                Error::ambiguous(format!("{method}: the connection to Slack was lost")).with_source(*cause)
            }
            None => Error::ambiguous(format!("{method}: the connection to Slack was lost")),
        };
        Self { error, code: None }
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        fault.error
    }
}

/// What one of Slack's words means.
fn meaning(method: &str, code: &str, needed: Option<&str>) -> Error {
    let what = format!("Slack refused {method}: {code}");
    match code {
        "missing_scope" => {
            let scope = needed.unwrap_or("that the method needs");
            Error::misconfigured(
                format!("Slack refused {method}: the token lacks the scope {scope}"),
                format!(
                    "add {scope} under OAuth & Permissions (an app-level token: under Basic Information), install the \
                     app again, and put the token that is shown then into the environment"
                ),
            )
        }
        "invalid_auth"
        | "not_authed"
        | "token_revoked"
        | "token_expired"
        | "account_inactive"
        | "user_removed_from_team" => Error::misconfigured(
            format!("Slack does not accept the token ({code}) for {method}"),
            "install the app again under OAuth & Permissions, and put the token that is shown then into the \
                 environment",
        ),
        "not_allowed_token_type" => Error::misconfigured(
            what,
            "a bot token (xoxb-…) and an app-level token (xapp-…) were taken for each other",
        ),
        "not_in_channel" => {
            Error::misconfigured(what, "invite the bot into that channel: /invite @ and its name")
        }
        "channel_not_found" => Error::misconfigured(
            what,
            "the bot does not see that channel: invite it there with /invite, or mend the id where it is configured",
        ),
        "restricted_action"
        | "no_permission"
        | "restricted_action_read_only_channel"
        | "ekm_access_denied"
        | "team_access_not_granted"
        | "org_login_required"
        | "access_denied"
        | "messages_tab_disabled" => {
            Error::misconfigured(what, "an administrator of the workspace must allow the app to do this")
        }
        "ratelimited" | "rate_limited" | "message_limit_exceeded" | "team_added_to_org" => Error::retry(what),
        "internal_error" | "fatal_error" | "service_unavailable" | "request_timeout" => {
            Error::ambiguous(what)
        }
        "is_archived"
        | "msg_too_long"
        | "msg_blocks_too_long"
        | "no_text"
        | "invalid_blocks"
        | "invalid_blocks_format"
        | "message_not_found"
        | "cant_update_message"
        | "edit_window_closed"
        | "thread_not_found"
        | "user_not_found"
        | "users_not_found"
        | "user_disabled"
        | "invalid_arguments"
        | "invalid_arg_name"
        | "cannot_dm_bot"
        | "metadata_too_large"
        | "invalid_metadata_format"
        | "too_many_attachments"
        | "file_not_found"
        | "user_not_visible" => Error::refused(what),
        _ => Error::retry(what),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_has_a_meaning_and_a_remedy_where_one_is_known() {
        let scope = meaning("chat.postMessage", "missing_scope", Some("chat:write"));
        assert_eq!(scope.kind, ErrorKind::Misconfigured);
        assert!(scope.to_string().contains("lacks the scope chat:write"), "{scope}");
        for code in
            ["invalid_auth", "token_revoked", "not_in_channel", "channel_not_found", "restricted_action"]
        {
            let error = meaning("chat.postMessage", code, None);
            assert_eq!(error.kind, ErrorKind::Misconfigured, "{code}");
            assert!(error.remedy.is_some(), "{code}");
        }
        assert_eq!(meaning("m", "msg_too_long", None).kind, ErrorKind::Refused);
        assert_eq!(meaning("m", "internal_error", None).kind, ErrorKind::Ambiguous);
        assert_eq!(meaning("m", "something_new", None).kind, ErrorKind::Retry { after: None });
    }
}
