//! From a call to a request: the place it goes to, and what the call may fill in.
//!
//! Invariant: nothing in a call changes scheme, host or port, or adds a segment to the path or a value to the query.

use agent::{Fault, FaultKind, HttpSpec};
use reqwest::{
    Method, Url,
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};
use secrecy::ExposeSecret as _;
use serde_json::Value;

use crate::{
    address::{is_allowed, literal, not_public},
    output::Secrets,
    seam::Call,
    standard::Env,
    template::{Piece, percent, pieces, plain},
};

/// A request that is ready, and the place it goes to.
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) target: Target,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Option<Vec<u8>>,
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
pub(crate) fn prepare(
    http: &HttpSpec,
    call: Call<'_>,
    env: &Env,
    secrets: &mut Secrets,
) -> Result<Request, Fault> {
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
pub(crate) fn url(template: &str, args: &Value) -> Result<Url, Fault> {
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
    if !matches!(fixed.scheme(), "http" | "https") {
        return Err(broken("the URL's scheme is neither https nor http".to_owned()));
    }
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

/// A request that cannot be made: its author's fault, not the call's.
pub(crate) fn broken(what: String) -> Fault {
    Fault { kind: FaultKind::ToolFailed, what: format!("The request was not sent: {what}.") }
}

/// A call that does not fit: the model's fault, and it is told what to mend.
fn refused(what: String) -> Fault {
    Fault { kind: FaultKind::BadCall, what }
}

fn no_secret_in_url(name: &str) -> Fault {
    broken(format!("`{{env:{name}}}` has no place in a URL, which others log; put it in a header"))
}
