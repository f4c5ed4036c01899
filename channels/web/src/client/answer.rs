//! Answers that say what went wrong, in words for the person on the page.

use std::time::Duration;

use axum::{
    Json,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use channel::{Error, ErrorKind};
use serde_json::{Map, Value};

use crate::decode::Refusal;

/// A request that did not do what it asked for.
#[derive(Debug)]
pub(super) struct Oops {
    status: StatusCode,
    what: String,
    /// When it may work.
    after: Option<Duration>,
    /// What the page needs beside the words.
    more: Map<String, Value>,
}

impl Oops {
    pub(super) fn new(status: StatusCode, what: impl Into<String>) -> Self {
        Self { status, what: what.into(), after: None, more: Map::new() }
    }

    pub(super) fn with(mut self, key: &str, value: &str) -> Self {
        self.more.insert(key.to_owned(), value.into());
        self
    }

    pub(super) fn no_conversation() -> Self {
        Self::new(StatusCode::NOT_FOUND, "There is no such conversation.")
    }

    pub(super) fn too_often(after: Duration) -> Self {
        let what = "That was too much at once. Wait a moment.";
        Self { after: Some(after), ..Self::new(StatusCode::TOO_MANY_REQUESTS, what) }
    }

    /// The gateway cannot take anything now; the page keeps the message and tries again.
    pub(super) fn away() -> Self {
        let what = "The gateway cannot store anything just now.";
        Self { after: Some(Duration::from_secs(2)), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, what) }
    }

    /// What the gateway said. Only a refusal is meant for the person; the rest is for the operator, and in the log.
    pub(super) fn from_inbox(error: &Error) -> Self {
        match error.kind {
            ErrorKind::Refused => Self::new(StatusCode::UNPROCESSABLE_ENTITY, error.what.clone()),
            ErrorKind::Retry { after } => {
                Self { after: after.or(Some(Duration::from_secs(2))), ..Self::away() }
            }
            ErrorKind::Ambiguous | ErrorKind::Misconfigured => Self::away(),
        }
    }
}

impl From<Refusal> for Oops {
    fn from(Refusal(what): Refusal) -> Self {
        Self::new(StatusCode::BAD_REQUEST, what)
    }
}

impl IntoResponse for Oops {
    fn into_response(self) -> Response {
        let mut body = self.more;
        body.insert("error".to_owned(), self.what.into());
        let mut response = (self.status, Json(Value::Object(body))).into_response();
        if let Some(after) = self.after {
            response.headers_mut().insert(header::RETRY_AFTER, after.as_secs().max(1).into());
        }
        response
    }
}
