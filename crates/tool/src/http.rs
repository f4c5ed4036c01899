//! An HTTP request as a tool: to the host that its author wrote, at an address that was checked, and nowhere else.
//!
//! Invariant: no redirect is followed, no proxy is used, no connection is shared between calls.

mod request;

use std::{
    net::SocketAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};

use agent::{Fault, FaultKind, HttpSpec, Outcome, Repeat, ToolSpec};
use reqwest::{
    Client, Response, StatusCode,
    dns::{Addrs, Name, Resolving},
    header::{CONTENT_TYPE, LOCATION},
};
use secrecy::SecretString;
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use crate::{
    address::{Resolve, literal, not_public},
    output::{Head, Secrets, compact, failed, limit, uncertain},
    seam::Call,
    standard::Env,
    template::plain,
};

use self::request::{Request, broken, prepare};
pub(crate) use self::request::{Target, method, split};

/// The longest that connecting may take: a connection that was never made is a failure without effect, so it is told
/// apart from a request that was sent.
const CONNECT_MAX: Duration = Duration::from_secs(10);

/// The most bytes of a refusal that are read.
const REFUSAL_BYTES_MAX: usize = 4 * 1024;

/// Runs one call.
pub(crate) async fn run(
    spec: &ToolSpec,
    http: &HttpSpec,
    call: Call<'_>,
    env: &Env,
    resolver: &dyn Resolve,
    tls: &Tls,
) -> Outcome {
    let mut secrets = Secrets::default();
    for name in &spec.secret {
        if let Some(value) = call.args.get(name) {
            secrets.add(name, SecretString::from(plain(value)));
        }
    }
    let limit = limit(spec);
    let deadline = Instant::now() + limit;
    let outcome = match prepare(http, call, env, &mut secrets) {
        Ok(request) => {
            let connect_max = CONNECT_MAX.min(limit / 2);
            match reach(&request, resolver, tls, connect_max, deadline).await {
                Ok(client) => send(spec, request, client, deadline, &secrets).await,
                Err(fault) => Outcome::Failed(fault),
            }
        }
        Err(fault) => Outcome::Failed(fault),
    };
    secrets.hide_in_fault(outcome)
}

/// Resolves the host once, checks what comes back, and gives a client that can connect to exactly that.
async fn reach(
    request: &Request,
    resolver: &dyn Resolve,
    tls: &Tls,
    connect_max: Duration,
    deadline: Instant,
) -> Result<Client, Fault> {
    let Target { scheme, host, port, allowed } = &request.target;
    let addresses = match literal(host) {
        Some(ip) => vec![SocketAddr::new(ip, *port)],
        None => match timeout_at(deadline, resolver.resolve(host, *port)).await {
            Ok(Ok(addresses)) if !addresses.is_empty() => addresses,
            Ok(Ok(_)) => return Err(broken(format!("{host} has no address"))),
            Ok(Err(error)) => {
                return Err(broken(format!("{host} has no address that could be found: {error}")));
            }
            Err(_) => {
                let what = format!("The address of {host} was not found in time; nothing was sent.");
                return Err(Fault { kind: FaultKind::ToolTimeout, what });
            }
        },
    };
    let private = addresses.iter().find_map(|address| Some((address.ip(), not_public(address.ip())?)));
    if let (Some((ip, sort)), false) = (private, allowed) {
        return Err(broken(format!(
            "{host} leads to {ip}, which is {sort}, and {host} is not in `allow_private`"
        )));
    }
    let config = tls.config(scheme == "https").map_err(broken)?;
    Client::builder()
        .tls_backend_preconfigured(config)
        .dns_resolver(Arc::new(Pinned(addresses)))
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .referer(false)
        .pool_max_idle_per_host(0)
        .http1_only()
        .connect_timeout(connect_max)
        .user_agent("switchboard")
        .build()
        .map_err(|error| broken(format!("no HTTP client could be made: {}", root_cause(&error))))
}

/// A resolver that knows one answer to every question: the addresses that were checked.
struct Pinned(Vec<SocketAddr>);

impl reqwest::dns::Resolve for Pinned {
    fn resolve(&self, _: Name) -> Resolving {
        let addresses = self.0.clone();
        Box::pin(std::future::ready(Ok(Box::new(addresses.into_iter()) as Addrs)))
    }
}

/// What TLS trusts, read once: the certificates of the system.
#[derive(Default)]
pub(crate) struct Tls(OnceLock<Result<rustls::ClientConfig, String>>);

impl Tls {
    /// The configuration; one that trusts nobody where TLS is not wanted.
    fn config(&self, wanted: bool) -> Result<rustls::ClientConfig, String> {
        if !wanted {
            return tls_config(rustls::RootCertStore::empty());
        }
        self.0
            .get_or_init(|| {
                let mut roots = rustls::RootCertStore::empty();
                let (added, _) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
                if added == 0 {
                    return Err("this machine has no certificate authorities to check https by; install the package ca-certificates".into());
                }
                tls_config(roots)
            })
            .clone()
    }
}

fn tls_config(roots: rustls::RootCertStore) -> Result<rustls::ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS cannot be set up: {error}"))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

/// Sends the request. From here on it may have taken effect.
async fn send(
    spec: &ToolSpec,
    request: Request,
    client: Client,
    deadline: Instant,
    secrets: &Secrets,
) -> Outcome {
    let Request { method, url, target, headers, body } = request;
    let host = &target.host;
    let mut builder = client.request(method, url).headers(headers);
    if let Some(body) = body {
        builder = builder.body(body);
    }
    match timeout_at(deadline, builder.send()).await {
        Ok(Ok(response)) => answered(spec, host, response, deadline, secrets).await,
        Ok(Err(error)) if error.is_builder() || error.is_connect() => {
            let (kind, how) = match error.is_timeout() {
                true => (FaultKind::ToolTimeout, " in time".to_owned()),
                false => (FaultKind::ToolFailed, format!(": {}", root_cause(&error))),
            };
            failed(kind, format!("{host} could not be connected to{how}; nothing was sent."))
        }
        Ok(Err(error)) => {
            let what = format!("The connection to {host} broke before an answer: {}.", root_cause(&error));
            uncertain(spec.repeat, FaultKind::ToolFailed, what)
        }
        Err(_) => uncertain(
            spec.repeat,
            FaultKind::ToolTimeout,
            format!("{host} had not answered after {}.", spec.timeout),
        ),
    }
}

/// Reads the answer.
async fn answered(
    spec: &ToolSpec,
    host: &str,
    response: Response,
    deadline: Instant,
    secrets: &Secrets,
) -> Outcome {
    let status = response.status();
    if status.is_redirection() {
        return redirected(spec, host, &response);
    }
    let max = if status.is_success() { spec.output_bytes_max } else { REFUSAL_BYTES_MAX };
    let kind = content_type(&response);
    let read = timeout_at(deadline, read(response, max)).await;
    if !status.is_success() {
        let words = match &read {
            Ok(Ok(head)) => compact(&secrets.hide(&String::from_utf8_lossy(head.bytes()))),
            Ok(Err(_)) | Err(_) => String::new(),
        };
        return refused_by(spec.repeat, host, status, &words);
    }
    match read {
        Ok(Ok(head)) if std::str::from_utf8(head.bytes()).is_err_and(|e| e.error_len().is_some()) => {
            Outcome::Done(Value::String(format!(
                "[{} bytes or more that are not text: {kind}]",
                head.bytes().len()
            )))
        }
        // The reader stops where the result is full, so what follows is not counted.
        Ok(Ok(head)) => Outcome::Done(secrets.hide_in(head.value(false))),
        Ok(Err(error)) => {
            let what =
                format!("{host} answered {status}, then the connection broke: {}.", root_cause(&error));
            uncertain(spec.repeat, FaultKind::ToolFailed, what)
        }
        Err(_) => {
            let what = format!("{host} answered {status}, but not to the end within {}.", spec.timeout);
            uncertain(spec.repeat, FaultKind::ToolTimeout, what)
        }
    }
}

/// Reads at most so many bytes of a body, and one chunk more to know whether that was all.
async fn read(mut response: Response, max: usize) -> Result<Head, reqwest::Error> {
    let mut head = Head::new(max);
    while !head.is_cut() {
        match response.chunk().await? {
            Some(chunk) => head.take(&chunk),
            None => break,
        }
    }
    Ok(head)
}

fn redirected(spec: &ToolSpec, host: &str, response: &Response) -> Outcome {
    let status = response.status();
    let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
    // Only the host is named: the rest may hold a ticket.
    let to = location
        .and_then(|location| response.url().join(location).ok())
        .and_then(|url| url.host_str().map(str::to_owned))
        .map_or_else(String::new, |to| format!(" to {to}"));
    let what = format!("{host} answered {status} and redirects{to}; redirects are not followed.");
    // "See other" is how a service says that it did the work and that the result is elsewhere.
    if status == StatusCode::SEE_OTHER {
        return uncertain(spec.repeat, FaultKind::ToolFailed, what);
    }
    failed(FaultKind::ToolFailed, what)
}

fn refused_by(repeat: Repeat, host: &str, status: StatusCode, words: &str) -> Outcome {
    let colon = if words.is_empty() { "." } else { ": " };
    let what = format!("{host} answered {status}{colon}{words}");
    // These are a proxy's words about a service that may have done the work.
    if matches!(status, StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT) {
        return uncertain(repeat, FaultKind::ToolFailed, what);
    }
    failed(FaultKind::ToolFailed, what)
}

fn content_type(response: &Response) -> String {
    let kind = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    compact(kind.unwrap_or("of no declared type"))
}

/// The innermost cause: the outer ones repeat the URL, which may hold an argument that nobody is to see.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    compact(&cause.to_string())
}

#[cfg(test)]
mod tests;
