//! The only file with I/O: one POST, and the bytes that come back, within limits.

use std::{error::Error as _, time::Duration};

use jiff::Timestamp;
use reqwest::{
    Response, Url,
    header::{HeaderMap, RETRY_AFTER},
};
use tokio::time::{self, Instant};

use crate::{
    complaint::{compact, retry_after},
    seam::{Error, Kind},
};

/// The most bytes of an error's body that are read.
const COMPLAINT_BYTES_MAX: usize = 64 * 1024;
/// The longest that an error's body is waited for.
const COMPLAINT_WAIT: Duration = Duration::from_secs(5);

/// What one request may cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Until a connection stands.
    pub(crate) connect: Duration,
    /// Without a byte of a streamed answer.
    pub(crate) idle: Duration,
    /// From the request to the end of the answer.
    pub(crate) total: Duration,
    /// Of one response.
    pub(crate) bytes_max: usize,
}

/// Posts JSON to one URL. Follows no redirect, and keeps no cookie.
pub(crate) struct Client {
    http: reqwest::Client,
    url: Url,
    headers: HeaderMap,
    limits: Limits,
}

/// A response, its body still to come.
pub(crate) struct Reply {
    /// The status.
    pub(crate) status: u16,
    /// How long the provider asks to wait.
    pub(crate) after: Option<Duration>,
    /// Where a redirect points to, without what may be secret in it.
    pub(crate) location: Option<String>,
    /// Whether the body is a stream of events.
    pub(crate) is_stream: bool,
    response: Response,
    end: Instant,
    limits: Limits,
    taken: usize,
}

/// Whether an answer comes in pieces: then it may not stand still for long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// Pieces as they are made.
    Streamed,
    /// All at once, when it is done.
    AtOnce,
}

impl Client {
    /// A client for one URL. The headers are marked as secret by the caller where they are.
    pub(crate) fn new(url: Url, headers: HeaderMap, limits: Limits, direct: bool) -> Result<Self, String> {
        // The builder panics when the process has no cryptography chosen; a choice made before stands.
        rustls::crypto::ring::default_provider().install_default().ok();
        let mut builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(limits.connect)
            .user_agent(concat!("switchboard/", env!("CARGO_PKG_VERSION")))
            .tls_backend_rustls();
        if direct {
            // A proxy from the environment stands between this network and others, not within it.
            builder = builder.no_proxy();
        }
        let http = builder.build().map_err(|error| root(&error))?;
        Ok(Self { http, url, headers, limits })
    }

    /// Sends a request; returns when the head of the response is there.
    pub(crate) async fn post(&self, body: Vec<u8>, pace: Pace) -> Result<Reply, Error> {
        let end = Instant::now() + self.limits.total;
        let request = self.http.post(self.url.clone()).headers(self.headers.clone()).body(body).send();
        let first = match pace {
            Pace::Streamed => self.limits.connect.saturating_add(self.limits.idle).min(self.limits.total),
            Pace::AtOnce => self.limits.total,
        };
        let response = time::timeout(first, request)
            .await
            .map_err(|_| passing(format!("no answer within {first:?}")))?
            .map_err(|error| self.unreached(&error))?;
        Ok(Reply::new(response, end, self.limits))
    }

    fn unreached(&self, error: &reqwest::Error) -> Error {
        let host = self.url.host_str().unwrap_or_default();
        let port = self.url.port_or_known_default().unwrap_or_default();
        let verb = if error.is_connect() { "cannot connect to" } else { "no answer from" };
        passing(format!("{verb} {host}:{port}: {}", root(error)))
    }
}

impl Reply {
    fn new(response: Response, end: Instant, limits: Limits) -> Self {
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
        let after = header(RETRY_AFTER.as_str()).and_then(|value| retry_after(value, Timestamp::now()));
        let location = header("location").and_then(|location| response.url().join(location).ok());
        let location = location.map(|url| {
            let host = url.host_str().unwrap_or_default();
            let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
            compact(&format!("{}://{host}{port}{}", url.scheme(), url.path()), 200)
        });
        let is_stream = header("content-type").is_some_and(|kind| kind.starts_with("text/event-stream"));
        Self {
            status: response.status().as_u16(),
            after,
            location,
            is_stream,
            response,
            end,
            limits,
            taken: 0,
        }
    }

    /// The next bytes of the body; none at its end.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Vec<u8>>, Error> {
        let left = self.end.saturating_duration_since(Instant::now());
        let wait = if self.is_stream { self.limits.idle.min(left) } else { left };
        let chunk = match time::timeout(wait, self.response.chunk()).await {
            Ok(Ok(Some(chunk))) => chunk,
            Ok(Ok(None)) => return Ok(None),
            Ok(Err(error)) => return Err(passing(format!("the answer broke off: {}", root(&error)))),
            Err(_) if wait < left => {
                return Err(passing(format!("the answer stood still for {:?}", self.limits.idle)));
            }
            Err(_) => return Err(passing(format!("no whole answer within {:?}", self.limits.total))),
        };
        self.taken = self.taken.saturating_add(chunk.len());
        if self.taken > self.limits.bytes_max {
            let what = format!("the answer is larger than {} bytes", self.limits.bytes_max);
            return Err(Error::new(Kind::Refused, what));
        }
        Ok(Some(chunk.to_vec()))
    }

    /// The whole body.
    pub(crate) async fn whole(&mut self) -> Result<Vec<u8>, Error> {
        let mut body = Vec::new();
        while let Some(chunk) = self.chunk().await? {
            body.extend(chunk);
        }
        Ok(body)
    }

    /// The beginning of an error's body; as much of it as comes.
    pub(crate) async fn complaint(&mut self) -> Vec<u8> {
        self.end = self.end.min(Instant::now() + COMPLAINT_WAIT);
        let mut body = Vec::new();
        while let Ok(Some(chunk)) = self.chunk().await {
            body.extend(chunk);
            if body.len() >= COMPLAINT_BYTES_MAX {
                body.truncate(COMPLAINT_BYTES_MAX);
                break;
            }
        }
        body
    }
}

fn passing(what: String) -> Error {
    Error::new(Kind::Retry { after: None }, what)
}

/// The innermost cause, which says what happened; the outer ones repeat the URL.
fn root(error: &reqwest::Error) -> String {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = error.source();
    let mut words = None;
    while let Some(inner) = cause {
        words = Some(inner.to_string());
        cause = inner.source();
    }
    compact(&words.unwrap_or_else(|| "the request failed".into()), 200)
}
