//! Requests to a server on loopback, and name servers that lie.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant as Clock,
};

use async_trait::async_trait;
use axum::{
    Router,
    body::Bytes,
    http::{HeaderMap as Headers, Method as Verb, StatusCode as Status, Uri},
    response::IntoResponse,
    routing::any,
};
use channel::File;
use proptest::prelude::*;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::{request::url, *};
use crate::{Files, Standard, Tool as _, ToolSettings};

struct NoFiles;

#[async_trait]
impl Files for NoFiles {
    async fn read(&self, _: &str) -> Option<(File, Vec<u8>)> {
        None
    }
}

/// A name server that gives one answer after the other, the last one for ever, and counts the questions.
#[derive(Default)]
struct Names {
    answers: Mutex<Vec<Vec<SocketAddr>>>,
    asked: AtomicUsize,
}

impl Names {
    fn of(answers: &[&[&str]]) -> Arc<Self> {
        let address = |text: &&str| SocketAddr::new(text.parse::<IpAddr>().unwrap(), 0);
        let answers = answers.iter().map(|one| one.iter().map(address).collect()).collect();
        Arc::new(Self { answers: Mutex::new(answers), asked: AtomicUsize::new(0) })
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Resolve for Names {
    async fn resolve(&self, _: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let mut answers = self.answers.lock().unwrap();
        let answer = if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() };
        Ok(answer.into_iter().map(|address| SocketAddr::new(address.ip(), port)).collect())
    }
}

fn tool_with(names: Arc<Names>, env: &[(&str, &str)]) -> Standard {
    let env: Vec<(String, String)> = env.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect();
    let env = Arc::new(move |name: &str| {
        env.iter().find(|(known, _)| known == name).map(|(_, value)| SecretString::from(value.clone()))
    });
    Standard::with_resolver(ToolSettings { state: PathBuf::from("/nonexistent"), env }, names)
}

fn spec(http: Value, more: Value) -> ToolSpec {
    let mut whole = json!({ "description": "d", "run": { "http": http }, "repeat": "safe", "risk": "low", "timeout": "5s" });
    for (key, value) in more.as_object().unwrap() {
        whole[key] = value.clone();
    }
    serde_json::from_value(whole).unwrap()
}

async fn call(tool: &Standard, spec: &ToolSpec, args: Value) -> Outcome {
    let folder = PathBuf::new();
    let call =
        Call { name: "probe", args: &args, key: "k-1", agent: "tester", folder: &folder, files: &NoFiles };
    tool.run(spec, call).await.outcome
}

/// One call to a server on loopback that may be reached.
async fn fetch(port: u16, path: &str, http: Value, more: Value, args: Value) -> Outcome {
    let mut whole = json!({
        "url": format!("http://127.0.0.1:{port}{path}"),
        "allow_private": [format!("127.0.0.1:{port}")],
    });
    for (key, value) in http.as_object().unwrap() {
        whole[key] = value.clone();
    }
    call(&tool_with(Names::of(&[&[]]), &[("API_KEY", "sk-live-123456")]), &spec(whole, more), args).await
}

fn done(outcome: Outcome) -> Value {
    match outcome {
        Outcome::Done(value) => value,
        other @ (Outcome::Failed(_) | Outcome::Unknown { .. }) => panic!("not done: {other:?}"),
    }
}

fn failed_as(outcome: Outcome) -> (FaultKind, String) {
    match outcome {
        Outcome::Failed(fault) => (fault.kind, fault.what),
        other @ (Outcome::Done(_) | Outcome::Unknown { .. }) => panic!("not failed: {other:?}"),
    }
}

fn unknown(outcome: Outcome) -> String {
    match outcome {
        Outcome::Unknown { why } => why,
        other @ (Outcome::Done(_) | Outcome::Failed(_)) => panic!("not unknown: {other:?}"),
    }
}

/// A server that says what it was sent.
async fn echo() -> u16 {
    async fn tell(verb: Verb, uri: Uri, headers: Headers, body: Bytes) -> impl IntoResponse {
        let header = |name: &str| {
            headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        let told = json!({
            "method": verb.as_str(),
            "target": uri.to_string(),
            "body": String::from_utf8_lossy(&body),
            "type": header("content-type"),
            "auth": header("authorization"),
            "key": header("idempotency-key"),
            "x": header("x-note"),
            "encoding": header("accept-encoding"),
        });
        let status = uri.path().strip_prefix("/status/").and_then(|code| code.parse().ok());
        let status = status.and_then(|code| Status::from_u16(code).ok()).unwrap_or(Status::OK);
        (status, told.to_string())
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(any(tell))).await });
    port
}

/// A server that reads a request, writes these bytes, waits so long, and closes. Counts its visitors.
async fn raw(bytes: &'static [u8], then: Duration) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let visits = Arc::new(AtomicUsize::new(0));
    let counted = visits.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move {
                let mut request = vec![0; 64 * 1024];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(bytes).await;
                tokio::time::sleep(then).await;
            });
        }
    });
    (port, visits)
}

#[tokio::test]
async fn a_call_becomes_a_request() {
    let port = echo().await;
    let http = json!({
        "method": "POST",
        "headers": { "Authorization": "Bearer {env:API_KEY}", "X-Note": "for {id}" },
        "json_body": true,
        "key_header": "Idempotency-Key",
    });
    let args = json!({ "id": "a/b c?d=1&e#f", "q": "ü & =+", "none": null });
    let told = done(
        fetch(port, "/orders/{id}/x?q={q}&n={none}&m={missing}&k=1", http, json!({}), args.clone()).await,
    );
    assert_eq!(told["method"], "POST");
    assert_eq!(told["target"], "/orders/a%2Fb%20c%3Fd%3D1%26e%23f/x?q=%C3%BC%20%26%20%3D%2B&k=1");
    assert_eq!(told["type"], "application/json");
    assert_eq!(serde_json::from_str::<Value>(told["body"].as_str().unwrap()).unwrap(), args);
    assert_eq!(told["key"], "k-1");
    assert_eq!(told["x"], "for a/b c?d=1&e#f");
    assert_eq!(told["encoding"], Value::Null);
    // The service says the key back; the model does not get to see it.
    assert_eq!(told["auth"], "Bearer [API_KEY]");
}

#[tokio::test]
async fn an_argument_cannot_leave_its_place() {
    let port = echo().await;
    let header = json!({ "headers": { "X-Note": "{id}" } });
    for id in ["a\r\nX-Evil: 1", "a\nb", "a\0b", "\u{7f}"] {
        let (kind, _) = failed_as(fetch(port, "/x", header.clone(), json!({}), json!({ "id": id })).await);
        assert_eq!(kind, FaultKind::BadCall, "{id:?}");
    }
    for id in ["..", ".", "../x", "a/../b", "..\\x", "a\\..", "/..", ""] {
        let (kind, _) = failed_as(fetch(port, "/a/{id}/b", json!({}), json!({}), json!({ "id": id })).await);
        assert_eq!(kind, FaultKind::BadCall, "{id:?}");
    }
    // Half of a climb stands in the tool's own text.
    for path in ["/x/.{id}/y", "/x/..{id}/y", "/x/%2e{id}/y", "/x/%2E.{id}/y"] {
        let (kind, _) = failed_as(fetch(port, path, json!({}), json!({}), json!({ "id": "" })).await);
        assert_eq!(kind, FaultKind::BadCall, "{path}");
    }
    // The same texts are harmless in a query.
    let told = done(fetch(port, "/a?q={id}", json!({}), json!({}), json!({ "id": "../x&y=1" })).await);
    assert_eq!(told["target"], "/a?q=..%2Fx%26y%3D1");
}

proptest! {
    /// Whatever the arguments are: one segment, one value, the same origin, and the server reads them as they were.
    #[test]
    fn every_argument_is_one_segment_and_one_value(segment in "(?s).{0,12}", value in "(?s).{0,12}") {
        let args = json!({ "s": segment, "v": value });
        match url("https://h.example/a/{s}/b?q={v}&r=1", &args) {
            Err(fault) => {
                prop_assert_eq!(fault.kind, FaultKind::BadCall);
                let dots = segment.split(['/', '\\']).any(|part| part == "." || part == "..");
                prop_assert!(segment.is_empty() || dots, "{:?} was refused", segment);
            }
            Ok(url) => {
                prop_assert_eq!(url.origin().ascii_serialization(), "https://h.example");
                prop_assert_eq!(url.fragment(), None);
                let segments: Vec<&str> = url.path_segments().unwrap().collect();
                prop_assert_eq!(segments.len(), 3);
                prop_assert_eq!(decode(segments[1]), segment);
                let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
                prop_assert_eq!(pairs, [("q".into(), value), ("r".into(), "1".into())]);
            }
        }
    }
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        if *first == b'%' {
            bytes.push(u8::from_str_radix(std::str::from_utf8(&tail[..2]).unwrap(), 16).unwrap());
            rest = &tail[2..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn addresses_that_are_not_public_are_not_reached() {
    let (port, visits) = raw(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi", Duration::ZERO).await;
    for url in [
        format!("https://127.0.0.1:{port}/"),
        format!("http://127.0.0.1:{port}/"),
        format!("https://2130706433:{port}/"),
        format!("https://0x7f.1:{port}/"),
        format!("https://0177.0.0.1:{port}/"),
        format!("https://0:{port}/"),
        format!("https://[::1]:{port}/"),
        format!("https://[::ffff:127.0.0.1]:{port}/"),
        format!("https://me@127.0.0.1:{port}/"),
        "https://169.254.169.254/latest/meta-data/".into(),
        "file:///etc/passwd".into(),
        format!("ftp://127.0.0.1:{port}/"),
    ] {
        let spec = spec(json!({ "url": url }), json!({ "repeat": "never" }));
        let outcome = call(&tool_with(Names::of(&[&["127.0.0.1"]]), &[]), &spec, json!({})).await;
        assert_eq!(failed_as(outcome).0, FaultKind::ToolFailed, "{url}");
    }
    // The port counts: another one of the same host is not allowed.
    let other = json!({ "url": format!("http://127.0.0.1:{port}/"), "allow_private": ["127.0.0.1:1"] });
    let outcome = call(&tool_with(Names::of(&[&[]]), &[]), &spec(other, json!({})), json!({})).await;
    assert!(failed_as(outcome).1.contains("allow_private"));
    assert_eq!(visits.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_name_that_leads_inside_is_not_followed() {
    let (port, visits) = raw(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi", Duration::ZERO).await;
    let url = format!("https://api.example:{port}/");
    for answer in [
        &["127.0.0.1"][..],
        &["::1"],
        &["10.1.2.3"],
        &["::ffff:127.0.0.1"],
        &["64:ff9b::7f00:1"],
        // One of several is enough to refuse.
        &["3ffe::1", "127.0.0.1"],
        &[],
    ] {
        let names = Names::of(&[answer]);
        let spec = spec(json!({ "url": url }), json!({ "repeat": "never" }));
        let outcome = call(&tool_with(names.clone(), &[]), &spec, json!({})).await;
        let (kind, what) = failed_as(outcome);
        assert_eq!(kind, FaultKind::ToolFailed, "{answer:?}");
        assert!(what.contains("was not sent"), "{what}");
        assert_eq!(names.asked(), 1);
    }
    assert_eq!(visits.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_name_is_resolved_once_and_that_address_is_used() {
    // First a public address that nobody has, then ours: a second question would find the server.
    let (port, visits) = raw(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi", Duration::ZERO).await;
    let names = Names::of(&[&["3ffe::1"], &["127.0.0.1"]]);
    let public = spec(json!({ "url": format!("https://api.example:{port}/") }), json!({ "timeout": "1s" }));
    failed_as(call(&tool_with(names.clone(), &[]), &public, json!({})).await);
    assert_eq!((names.asked(), visits.load(Ordering::SeqCst)), (1, 0));

    // A name that no real name server knows: the connection goes to what was resolved here.
    let names = Names::of(&[&["127.0.0.1"]]);
    let http = json!({ "url": format!("http://api.example:{port}/"), "allow_private": ["api.example"] });
    let outcome = call(&tool_with(names.clone(), &[]), &spec(http, json!({})), json!({})).await;
    assert_eq!(done(outcome), json!("hi"));
    assert_eq!((names.asked(), visits.load(Ordering::SeqCst)), (1, 1));
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let (inside, visits) = raw(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi", Duration::ZERO).await;
    for (status, never_knows) in [(301, false), (302, false), (303, true), (307, false), (308, false)] {
        let answer = format!(
            "HTTP/1.1 {status} X\r\nlocation: http://127.0.0.1:{inside}/secret?ticket=1\r\ncontent-length: 0\r\n\r\n"
        );
        let (port, _) = raw(answer.leak().as_bytes(), Duration::ZERO).await;
        let what = failed_as(fetch(port, "/", json!({}), json!({}), json!({})).await).1;
        assert!(what.contains("redirects to 127.0.0.1;") && !what.contains("ticket"), "{what}");
        let never =
            fetch(port, "/", json!({ "method": "POST" }), json!({ "repeat": "never" }), json!({})).await;
        assert_eq!(matches!(never, Outcome::Unknown { .. }), never_knows, "{status}");
    }
    assert_eq!(visits.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_refusal_carries_the_services_words_and_no_secret() {
    let port = echo().await;
    let http = json!({ "headers": { "Authorization": "Bearer {env:API_KEY}" } });
    for status in [400, 401, 404, 422, 429, 500, 503] {
        let (kind, what) =
            failed_as(fetch(port, &format!("/status/{status}"), http.clone(), json!({}), json!({})).await);
        assert_eq!(kind, FaultKind::ToolFailed);
        assert!(what.contains(&format!("answered {status}")) && what.contains("Bearer [API_KEY]"), "{what}");
        assert!(!what.contains("sk-live"), "{what}");
    }
    // Of a service that would not hear it twice, a proxy's silence says nothing; its own no does.
    for (status, knows) in [(400, true), (500, true), (503, true), (502, false), (504, false)] {
        let outcome = fetch(
            port,
            &format!("/status/{status}"),
            json!({ "method": "POST" }),
            json!({ "repeat": "never" }),
            json!({}),
        )
        .await;
        assert_eq!(matches!(outcome, Outcome::Failed(_)), knows, "{status}");
    }
}

#[tokio::test]
async fn a_missing_key_stops_the_request() {
    let (port, visits) = raw(b"HTTP/1.1 200 OK\r\n\r\n", Duration::ZERO).await;
    let http = json!({ "headers": { "Authorization": "Bearer {env:NO_SUCH_KEY}" } });
    let (_, what) = failed_as(fetch(port, "/", http, json!({}), json!({})).await);
    assert!(what.contains("NO_SUCH_KEY") && what.contains("not sent"), "{what}");
    assert_eq!(visits.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn results_are_json_or_text_and_bounded() {
    let long: &'static [u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n0123456789abcdef";
    for (answer, max, expected) in [
        (&b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{\"a\": [1]"[..], 100, json!("{\"a\": [1]")),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\n{\"a\": 1}", 100, json!({ "a": 1 })),
        (b"HTTP/1.1 200 OK\r\n\r\nhello", 100, json!("hello")),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 100, Value::Null),
        (
            b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n\x89PNG",
            100,
            json!("[4 bytes or more that are not text: of no declared type]"),
        ),
        (long, 10, json!("0123456789\n[cut: the first 10 bytes; there was more]")),
    ] {
        let (port, _) = raw(answer, Duration::ZERO).await;
        let outcome = fetch(port, "/", json!({}), json!({ "output_bytes_max": max }), json!({})).await;
        assert_eq!(done(outcome), expected);
    }
}

#[tokio::test]
async fn a_body_without_end_is_left_at_the_limit() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 1024]).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
        while stream.write_all(&[b'x'; 8192]).await.is_ok() {}
    });
    let start = Clock::now();
    let outcome = fetch(port, "/", json!({}), json!({ "output_bytes_max": 100_000 }), json!({})).await;
    assert!(done(outcome).as_str().unwrap().len() < 100_100);
    assert!(start.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn silence_and_cuts_after_sending_are_unknown_only_where_it_matters() {
    let hold = Duration::from_secs(60);
    for (answer, then, late) in [
        (&b""[..], hold, true),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf", hold, true),
        (b"", Duration::ZERO, false),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf", Duration::ZERO, false),
        (b"HTTP/1.1 garb\0ge\r\n\r\n", Duration::ZERO, false),
    ] {
        let (port, visits) = raw(answer, then).await;
        let kind = if late { FaultKind::ToolTimeout } else { FaultKind::ToolFailed };
        for repeat in ["safe", "by_key", "never"] {
            let more = json!({ "repeat": repeat, "timeout": "400ms" });
            let start = Clock::now();
            let outcome = fetch(port, "/pay", json!({ "method": "POST" }), more, json!({})).await;
            assert!(start.elapsed() < Duration::from_secs(3));
            if repeat == "safe" {
                let (found, what) = failed_as(outcome);
                assert_eq!(found, kind, "{what}");
            } else {
                assert!(unknown(outcome).contains("127.0.0.1"));
            }
        }
        assert_eq!(visits.load(Ordering::SeqCst), 3, "a request was sent again");
    }
}

#[tokio::test]
async fn what_was_never_connected_has_no_effect() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let outcome =
        fetch(port, "/", json!({ "method": "POST" }), json!({ "repeat": "never" }), json!({})).await;
    let (kind, what) = failed_as(outcome);
    assert_eq!(kind, FaultKind::ToolFailed);
    assert!(what.contains("nothing was sent"), "{what}");

    // A listener that speaks no TLS: the request stays unsent.
    let (port, _) = raw(b"220 hello\r\n", Duration::from_secs(60)).await;
    let http = json!({ "url": format!("https://127.0.0.1:{port}/") });
    let outcome = fetch(port, "/", http, json!({ "repeat": "never", "timeout": "2s" }), json!({})).await;
    assert_eq!(failed_as(outcome).0, FaultKind::ToolFailed);
}
