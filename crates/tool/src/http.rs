//! An HTTP request as a tool: to the host that its author wrote, at an address that was checked, and nowhere else.
//!
//! Invariant: nothing in a call changes scheme, host or port, or adds a segment to the path or a value to the query.
//! Invariant: no redirect is followed, no proxy is used, no connection is shared between calls.

use std::{
    net::SocketAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};

use agent::{Fault, FaultKind, HttpSpec, Outcome, Repeat, ToolSpec};
use reqwest::{
    Client, Method, Response, StatusCode, Url,
    dns::{Addrs, Name, Resolving},
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION},
};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use crate::{
    address::{Resolve, is_allowed, literal, not_public},
    output::{Head, Secrets, compact, failed, limit, uncertain},
    seam::Call,
    standard::Env,
    template::{Piece, percent, pieces, plain},
};

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

/// A request that is ready, and the place it goes to.
struct Request {
    method: Method,
    url: Url,
    target: Target,
    headers: HeaderMap,
    body: Option<Vec<u8>>,
}

/// Where a URL leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) scheme: String,
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Its author says that it may be reached although it is not public.
    pub(crate) allowed: bool,
}

impl Target {
    /// Where a URL leads, if a tool may go there at all.
    pub(crate) fn of(url: &Url, allow_private: &[String]) -> Result<Self, String> {
        let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
            return Err("the URL names no host".into());
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err("the URL holds a name or a password".into());
        }
        let allowed = is_allowed(allow_private, host, port);
        match url.scheme() {
            "https" => {}
            "http" if allowed => {}
            "http" => {
                return Err(format!("http without TLS reaches only hosts in `allow_private`, not {host}"));
            }
            _ => return Err("the URL's scheme is neither https nor http".into()),
        }
        if let Some(ip) = literal(host)
            && let (Some(sort), false) = (not_public(ip), allowed)
        {
            return Err(format!("{ip} is {sort}, and not in `allow_private`"));
        }
        Ok(Self { scheme: url.scheme().to_owned(), host: host.to_owned(), port, allowed })
    }
}

/// The fixed part of a URL template (scheme, host, port), and the rest of it.
pub(crate) fn split(template: &str) -> Result<(&str, &str), String> {
    let start = template.find("://").ok_or("the URL has no scheme")? + 3;
    let end = template[start..].find(['/', '?', '#', '\\']).map_or(template.len(), |at| start + at);
    let (origin, rest) = template.split_at(end);
    if origin.contains(['{', '}']) {
        return Err(
            "scheme, host and port are fixed text; a placeholder may stand in the path or the query".into()
        );
    }
    Ok((origin, rest))
}

/// Everything up to the first packet: whatever goes wrong here has no effect.
fn prepare(http: &HttpSpec, call: Call<'_>, env: &Env, secrets: &mut Secrets) -> Result<Request, Fault> {
    let url = url(&http.url, call.args)?;
    let target = Target::of(&url, &http.allow_private).map_err(broken)?;
    let mut headers = HeaderMap::new();
    for (name, template) in &http.headers {
        let name = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| broken(format!("`{name}` is not the name of a header")))?;
        let value = header(&name, template, call.args, env, secrets)?;
        headers.insert(name, value);
    }
    if let Some(name) = &http.key_header {
        let name = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| broken(format!("`{name}` is not the name of a header")))?;
        let key = HeaderValue::from_str(call.key)
            .map_err(|_| broken("the call's name does not fit a header".to_owned()))?;
        headers.insert(name, key);
    }
    let body = http.json_body.then(|| call.args.to_string().into_bytes());
    if body.is_some() && !headers.contains_key(CONTENT_TYPE) {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    let method = method(&http.method).ok_or_else(|| broken(format!("`{}` is not a method", http.method)))?;
    Ok(Request { method, url, target, headers, body })
}

/// The methods that a tool may use.
pub(crate) fn method(name: &str) -> Option<Method> {
    match name {
        "GET" => Some(Method::GET),
        "POST" => Some(Method::POST),
        "PUT" => Some(Method::PUT),
        "PATCH" => Some(Method::PATCH),
        "DELETE" => Some(Method::DELETE),
        _ => None,
    }
}

/// The URL of one call.
fn url(template: &str, args: &Value) -> Result<Url, Fault> {
    let (origin, rest) = split(template).map_err(broken)?;
    let rest = rest.split_once('#').map_or(rest, |(rest, _)| rest);
    let (path, query) = match rest.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (rest, None),
    };
    let mut text = format!("{origin}{}", expand_path(path, args)?);
    let query = query.map(|query| expand_query(query, args)).transpose()?;
    if let Some(query) = query.filter(|query| !query.is_empty()) {
        text.push('?');
        text.push_str(&query);
    }
    let url = Url::parse(&text).map_err(|error| broken(format!("the URL is not one: {error}")))?;
    let fixed = Url::parse(origin).map_err(|error| broken(format!("the URL is not one: {error}")))?;
    // By construction it is; a surprise in the URL's own rules must not become a hole.
    if url.origin() != fixed.origin() {
        return Err(refused("An argument does not fit the tool's URL.".into()));
    }
    Ok(url)
}

/// The path with its arguments, each one segment or a part of one.
fn expand_path(path: &str, args: &Value) -> Result<String, Fault> {
    let mut expanded = String::new();
    for (n, segment) in path.split('/').enumerate() {
        if n > 0 {
            expanded.push('/');
        }
        let pieces = pieces(segment);
        let mut text = String::new();
        for piece in &pieces {
            text.push_str(&match piece {
                Piece::Text(fixed) => (*fixed).to_owned(),
                Piece::Arg(name) => percent(&one_segment(name, args)?),
                Piece::Env(name) => return Err(no_secret_in_url(name)),
            });
        }
        let dots = text.to_ascii_lowercase().replace("%2e", ".");
        if pieces.iter().any(|piece| matches!(piece, Piece::Arg(_)))
            && matches!(dots.as_str(), "" | "." | "..")
        {
            return Err(refused(format!("The argument for `{segment}` is not the name of one thing.")));
        }
        expanded.push_str(&text);
    }
    Ok(expanded)
}

/// The text of an argument in a path. A server that decodes `%2F` before it splits would climb out by `../`.
fn one_segment(name: &str, args: &Value) -> Result<String, Fault> {
    let text = plain(args.get(name).unwrap_or(&Value::Null));
    if text.split(['/', '\\']).any(|part| matches!(part, "." | "..")) {
        return Err(refused(format!("`{name}` must not be or hold a path with `.` or `..` in it.")));
    }
    Ok(text)
}

/// The query with its arguments, each one value. A pair whose argument is not in the call is left out.
fn expand_query(query: &str, args: &Value) -> Result<String, Fault> {
    let mut pairs = Vec::new();
    'pairs: for pair in query.split('&') {
        let mut text = String::new();
        for piece in pieces(pair) {
            match piece {
                Piece::Text(fixed) => text.push_str(fixed),
                Piece::Arg(name) => match args.get(name) {
                    None | Some(Value::Null) => continue 'pairs,
                    Some(value) => text.push_str(&percent(&plain(value))),
                },
                Piece::Env(name) => return Err(no_secret_in_url(name)),
            }
        }
        pairs.push(text);
    }
    Ok(pairs.join("&"))
}

/// The value of one header.
fn header(
    name: &HeaderName,
    template: &str,
    args: &Value,
    env: &Env,
    secrets: &mut Secrets,
) -> Result<HeaderValue, Fault> {
    let mut text = String::new();
    let mut sensitive = false;
    for piece in pieces(template) {
        match piece {
            Piece::Text(fixed) => text.push_str(fixed),
            Piece::Arg(argument) => {
                let value = plain(args.get(argument).unwrap_or(&Value::Null));
                if value.chars().any(char::is_control) {
                    return Err(refused(format!(
                        "`{argument}` holds a line break or another control character."
                    )));
                }
                text.push_str(&value);
            }
            Piece::Env(variable) => {
                let secret = env(variable).ok_or_else(|| {
                    broken(format!(
                        "the environment variable {variable}, needed for the header `{name}`, is not set"
                    ))
                })?;
                text.push_str(secret.expose_secret());
                secrets.add(variable, secret);
                sensitive = true;
            }
        }
    }
    let mut value = HeaderValue::from_str(&text).map_err(|_| {
        broken(format!("the value of the header `{name}` holds a character that no header may hold"))
    })?;
    value.set_sensitive(sensitive);
    Ok(value)
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

fn broken(what: String) -> Fault {
    Fault { kind: FaultKind::ToolFailed, what: format!("The request was not sent: {what}.") }
}

fn refused(what: String) -> Fault {
    Fault { kind: FaultKind::BadCall, what }
}

fn no_secret_in_url(name: &str) -> Fault {
    broken(format!("`{{env:{name}}}` has no place in a URL, which others log; put it in a header"))
}
