//! What the page promises, over real HTTP, with a gateway in memory behind it.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[expect(unreachable_pub, reason = "shared with the preview")]
mod double;
mod rig;

use std::{
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use channel::{
    Attempt, Body, CardState, Channel, DeliveryKey, ErrorKind, HealthState, Outgoing, Person, Place, Said,
    Signal, Ticket, Timestamp, Verified,
};
use double::{ANA, BEN, Memory, World, address, card, open, outgoing, text};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

testkit::channel_laws!(every_channel, rig::rig);

/// A browser: what it sends without being asked.
struct Browser {
    client: Client,
    base: String,
    cookie: Option<String>,
}

impl Browser {
    fn new(world: &World) -> Self {
        rustls::crypto::ring::default_provider().install_default().ok();
        let client = Client::builder().no_proxy().build().unwrap();
        Self { client, base: format!("http://{}", world.web.bound().unwrap()), cookie: None }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.base));
        match &self.cookie {
            Some(cookie) => request.header("cookie", cookie),
            None => request,
        }
    }

    async fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path).send().await.unwrap()
    }

    async fn post(&self, path: &str, body: &Value) -> Response {
        self.request(Method::POST, path).header("origin", &self.base).json(body).send().await.unwrap()
    }

    async fn begin(&self) -> String {
        let response = self.post("/conversations", &json!({})).await;
        assert_eq!(response.status(), StatusCode::CREATED);
        response.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned()
    }

    async fn log_in(&mut self, token: &str) -> StatusCode {
        let response = self.post("/login", &json!({ "token": token })).await;
        if let Some(cookie) = response.headers().get("set-cookie") {
            self.cookie = Some(cookie.to_str().unwrap().split(';').next().unwrap().to_owned());
        }
        response.status()
    }

    async fn stream(&self, conversation: &str, last: Option<&str>) -> Stream {
        let request = self.request(Method::GET, &format!("/c/{conversation}/events"));
        let request = last.into_iter().fold(request, |request, last| request.header("last-event-id", last));
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Stream { response, read: String::new(), last: String::new() }
    }
}

/// A stream of events, as a page reads it.
struct Stream {
    response: Response,
    read: String,
    last: String,
}

impl Stream {
    /// The next event; nothing when the stream is over.
    async fn next(&mut self) -> Option<(String, Value)> {
        loop {
            if let Some((event, rest)) = self.read.split_once("\n\n") {
                let (event, rest) = (event.to_owned(), rest.to_owned());
                self.read = rest;
                let field =
                    |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
                self.last = field("id: ").to_owned();
                return Some((field("event: ").to_owned(), serde_json::from_str(field("data: ")).unwrap()));
            }
            let chunk =
                timeout(Duration::from_secs(15), self.response.chunk()).await.expect("an event in time");
            self.read.push_str(std::str::from_utf8(&chunk.ok()??).unwrap());
        }
    }

    /// The next event of this name; signs of life and work are passed over.
    async fn expect(&mut self, name: &str) -> Value {
        let next = async {
            loop {
                let (event, data) = self.next().await.expect("the stream goes on");
                if event == name || !matches!(event.as_str(), "beat" | "typing") {
                    assert_eq!(event, name, "{data}");
                    return data;
                }
            }
        };
        timeout(Duration::from_secs(15), next).await.expect("it comes in time")
    }
}

async fn loopback() -> (World, Browser) {
    let world = World::start(json!({ "listen": "127.0.0.1:0" }), Arc::default()).await;
    let browser = Browser::new(&world);
    (world, browser)
}

fn two_people() -> Value {
    json!({ "listen": "127.0.0.1:0", "people": { "ana": { "token_env": "ANA", "name": "Ana" }, "ben": { "token_env": "BEN" } } })
}

fn place(person: &str, conversation: &str) -> Place {
    Place::new(format!("{person}/{conversation}"))
}

fn said(id: &str, text: &str) -> Value {
    json!({ "id": id, "text": text })
}

async fn error(response: Response) -> String {
    let body: Value = response.json().await.unwrap();
    body["error"].as_str().expect("words").to_owned()
}

#[tokio::test]
async fn a_message_is_acknowledged_once_it_is_durable_and_comes_back_on_the_stream() {
    let (world, browser) = loopback().await;
    let id = browser.begin().await;
    let mut stream = browser.stream(&id, None).await;
    stream.expect("synced").await;
    let response = browser.post(&format!("/c/{id}/say"), &said("client-0001", "hello")).await;
    assert_eq!(response.status(), StatusCode::ACCEPTED);
    assert_eq!(world.memory.texts(), ["hello"]);
    let entry = stream.expect("entry").await;
    assert_eq!(
        (&entry["kind"], &entry["text"], &entry["me"]),
        (&json!("heard"), &json!("hello"), &json!(true))
    );
    let heard = world.memory.heard.lock().unwrap()[0].clone();
    assert_eq!(heard.from.id, "you");
    assert_eq!(heard.from.verified, Verified::Proven { by: "loopback page".to_owned() });
    assert_eq!(heard.keys[0].as_str(), format!("web:you/{id}:client-0001"));
}

#[tokio::test]
async fn a_repeated_message_is_heard_once() {
    let (world, browser) = loopback().await;
    let id = browser.begin().await;
    for word in ["new", "already"] {
        let response = browser.post(&format!("/c/{id}/say"), &said("client-0001", "hello")).await;
        assert_eq!(response.status(), StatusCode::ACCEPTED);
        assert_eq!(response.json::<Value>().await.unwrap()["accepted"], word);
    }
    assert_eq!(world.memory.texts(), ["hello"]);
}

#[tokio::test]
async fn nothing_is_acknowledged_while_the_store_is_away() {
    let (world, browser) = loopback().await;
    let id = browser.begin().await;
    world.memory.away.store(true, Ordering::SeqCst);
    let response = browser.post(&format!("/c/{id}/say"), &said("client-0001", "hello")).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers()["retry-after"], "2");
    let words = error(response).await;
    assert!(words.contains("cannot store") && !words.contains("/secret/path"), "{words}");
    let mut stream = browser.stream(&id, None).await;
    assert!(stream.expect("trouble").await["text"].is_string());
    world.memory.away.store(false, Ordering::SeqCst);
    let response = browser.post(&format!("/c/{id}/say"), &said("client-0001", "hello")).await;
    assert_eq!(response.status(), StatusCode::ACCEPTED);
    assert!(stream.expect("trouble").await["text"].is_null());
    assert_eq!(stream.expect("entry").await["text"], "hello");
}

#[tokio::test]
async fn only_our_names_and_our_page_get_in() {
    let (world, browser) = loopback().await;
    let id = browser.begin().await;
    let port = world.web.bound().unwrap().port();
    for host in ["evil.example".to_owned(), format!("evil.example:{port}"), "localhost:1".to_owned()] {
        let response = browser.request(Method::GET, "/").header("host", &host).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::MISDIRECTED_REQUEST, "{host}");
    }
    let path = format!("/c/{id}/say");
    let send = async |headers: &[(&str, &str)]| {
        let request = browser.request(Method::POST, &path).body(said("client-0001", "hello").to_string());
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        request.send().await.unwrap().status()
    };
    let json = ("content-type", "application/json");
    assert_eq!(send(&[json]).await, StatusCode::FORBIDDEN);
    assert_eq!(send(&[json, ("origin", "https://evil.example")]).await, StatusCode::FORBIDDEN);
    assert_eq!(send(&[json, ("origin", "null")]).await, StatusCode::FORBIDDEN);
    assert_eq!(send(&[json, ("origin", "http://127.0.0.1:1")]).await, StatusCode::FORBIDDEN);
    assert_eq!(send(&[("origin", &browser.base)]).await, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(
        send(&[("content-type", "text/plain"), ("origin", &browser.base)]).await,
        StatusCode::UNSUPPORTED_MEDIA_TYPE
    );
    assert_eq!(
        send(&[json, ("origin", &browser.base), ("x-forwarded-for", "1.2.3.4")]).await,
        StatusCode::FORBIDDEN
    );
    assert_eq!(world.memory.texts(), Vec::<String>::new());
    assert_eq!(send(&[json, ("sec-fetch-site", "same-origin")]).await, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn every_answer_says_what_the_page_may_not_do() {
    let (_world, browser) = loopback().await;
    for path in ["/", "/app.js", "/style.css", "/icon.svg", "/me", "/nowhere", "/c/inbox"] {
        let response = browser.get(path).await;
        let policy = response.headers()["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{path}");
        assert!(!policy.contains("unsafe"), "{path}");
        assert_eq!(response.headers()["x-content-type-options"], "nosniff");
        assert_eq!(response.headers()["referrer-policy"], "same-origin");
        let body = response.text().await.unwrap();
        assert!(!body.contains(" style=\"") && !body.contains(" onclick="), "{path}");
    }
    let page = browser.get("/").await;
    let tag = page.headers()["etag"].clone();
    let again = browser.request(Method::GET, "/").header("if-none-match", tag).send().await.unwrap();
    assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
    assert_eq!(browser.get("/nowhere").await.status(), StatusCode::NOT_FOUND);
    assert_eq!(browser.post("/me", &json!({})).await.status(), StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn a_token_opens_the_page_for_its_person_and_survives_a_restart() {
    let world = World::start(two_people(), Arc::default()).await;
    let mut browser = Browser::new(&world);
    assert_eq!(browser.get("/").await.status(), StatusCode::OK, "the page itself shows where to log in");
    for path in ["/me", "/c/inbox/events", "/c/inbox/files/ab"] {
        assert_eq!(browser.get(path).await.status(), StatusCode::UNAUTHORIZED, "{path}");
    }
    for path in ["/conversations", "/c/inbox/say", "/c/inbox/press"] {
        assert_eq!(browser.post(path, &json!({})).await.status(), StatusCode::UNAUTHORIZED, "{path}");
    }
    assert_eq!(browser.log_in("not-the-token-at-all").await, StatusCode::UNAUTHORIZED);
    let response = browser.post("/login", &json!({ "token": ANA })).await;
    let cookie = response.headers()["set-cookie"].to_str().unwrap().to_owned();
    assert!(cookie.contains("HttpOnly; SameSite=Strict") && !cookie.contains(ANA), "{cookie}");
    assert_eq!(browser.log_in(ANA).await, StatusCode::NO_CONTENT);
    let me: Value = browser.get("/me").await.json().await.unwrap();
    assert_eq!((&me["id"], &me["name"]), (&json!("ana"), &json!("Ana")));

    let id = browser.begin().await;
    let response = browser.post(&format!("/c/{id}/say"), &said("client-0001", "hello")).await;
    assert_eq!(response.status(), StatusCode::ACCEPTED);
    let port = world.web.bound().unwrap().port();
    world.stop.cancel();
    world.task.await.unwrap().unwrap();
    let mut settings = two_people();
    settings["listen"] = json!(format!("127.0.0.1:{port}"));
    let again = World::start(settings, world.memory.clone()).await;
    let mut stream = browser.stream(&id, None).await;
    assert_eq!(stream.expect("entry").await["text"], "hello", "the same cookie, the same conversation");
    drop(again);
}

#[tokio::test]
async fn tries_to_log_in_are_bounded() {
    let world = World::start(two_people(), Arc::default()).await;
    let mut browser = Browser::new(&world);
    for _ in 0..10 {
        assert_eq!(browser.log_in("wrong").await, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(browser.log_in(ANA).await, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn places_of_others_are_out_of_reach() {
    let world = World::start(two_people(), Arc::default()).await;
    let (mut ana, mut ben) = (Browser::new(&world), Browser::new(&world));
    ana.log_in(ANA).await;
    ben.log_in(BEN).await;
    let id = ana.begin().await;
    ana.post(&format!("/c/{id}/say"), &said("client-0001", "for Ana's eyes")).await;
    let file = world.memory.keep("secret.txt", b"s".to_vec());
    world.say(Outgoing { files: vec![file.clone()], ..outgoing("t1", &place("ana", &id), text("x")) }).await;

    let mut stream = ben.stream(&id, None).await;
    stream.expect("synced").await;
    assert_eq!(ben.get(&format!("/c/{id}/files/{}", file.hash)).await.status(), StatusCode::NOT_FOUND);
    assert_eq!(ana.get(&format!("/c/{id}/files/{}", file.hash)).await.status(), StatusCode::OK);
    for name in ["ana%2Finbox", "..%2Fana%2Finbox", "INBOX", "%00"] {
        assert_eq!(ben.get(&format!("/c/{name}/events")).await.status(), StatusCode::NOT_FOUND, "{name}");
        let response = ben.post(&format!("/c/{name}/say"), &said("client-0002", "x")).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{name}");
    }
    ben.post(&format!("/c/{id}/say"), &said("client-0001", "from Ben")).await;
    let places: Vec<_> =
        world.memory.heard.lock().unwrap().iter().map(|inbound| inbound.at.place.clone()).collect();
    assert_eq!(places, [place("ana", &id), place("ben", &id)]);
}

#[tokio::test]
async fn a_stream_that_comes_back_gets_the_rest_and_nothing_twice() {
    let (world, browser) = loopback().await;
    let id = browser.begin().await;
    let here = place("you", &id);
    for n in 0..3 {
        world.say(outgoing(&format!("t{n}"), &here, text(&format!("text {n}")))).await;
    }
    let inbox = world.web.place("you").unwrap();
    world.say(outgoing("d0", &inbox, text("desk 0"))).await;
    // Stops in the middle of what was there: after two of four.
    let mut stream = browser.stream(&id, None).await;
    let mut seen = Vec::new();
    for _ in 0..2 {
        seen.push(stream.expect("entry").await["key"].as_str().unwrap().to_owned());
    }
    let last = stream.last.clone();
    drop(stream);
    for n in 3..6 {
        world.say(outgoing(&format!("t{n}"), &here, text(&format!("text {n}")))).await;
    }
    world.say(outgoing("d1", &inbox, text("desk 1"))).await;
    let mut stream = browser.stream(&id, Some(&last)).await;
    loop {
        let (name, data) = stream.next().await.unwrap();
        match name.as_str() {
            "entry" | "inbox" => seen.push(data["key"].as_str().unwrap().to_owned()),
            "synced" => break,
            _ => {}
        }
    }
    seen.sort();
    assert_eq!(seen, ["d0", "d1", "t0", "t1", "t2", "t3", "t4", "t5"]);
}

#[tokio::test]
async fn what_another_process_said_is_found_without_being_told() {
    let (world, browser) = loopback().await;
    let id = browser.begin().await;
    let mut stream = browser.stream(&id, None).await;
    stream.expect("synced").await;
    let here = place("you", &id);
    world.memory.record(&here, Said::Sent(Box::new(outgoing("t1", &here, text("from elsewhere")))));
    assert_eq!(stream.expect("entry").await["key"], "t1");
}

#[tokio::test]
async fn a_card_is_shown_pressed_and_rewritten() {
    let (world, browser) = loopback().await;
    let id = browser.begin().await;
    let here = place("you", &id);
    let mut stream = browser.stream(&id, None).await;
    stream.expect("synced").await;
    world.say(outgoing("t1", &here, card("q1.abc", CardState::Open { deadline: Timestamp::now() }))).await;
    let shown = stream.expect("entry").await;
    assert_eq!(
        (&shown["kind"], &shown["state"], &shown["ticket"]),
        (&json!("card"), &json!("open"), &json!("q1.abc"))
    );

    let press =
        json!({ "id": "client-0001", "ticket": "q1.abc", "choice": "reject", "comment": "not today" });
    for _ in 0..2 {
        assert_eq!(browser.post(&format!("/c/{id}/press"), &press).await.status(), StatusCode::ACCEPTED);
    }
    let heard = world.memory.heard.lock().unwrap().clone();
    assert_eq!(heard.len(), 1, "a double click is one click");
    assert_eq!(heard[0].ticket, Some(Ticket::new("q1.abc")));
    assert_eq!(
        heard[0].body,
        Body::Press {
            choice: "reject".to_owned(),
            comment: Some("not today".to_owned()),
            values: std::collections::BTreeMap::new()
        }
    );

    let closed = card("q1.abc", CardState::Closed { how: "Rejected by local".to_owned() });
    world.say(Outgoing { amends: Some(DeliveryKey::new("t1")), ..outgoing("t2", &here, closed) }).await;
    let shown = stream.expect("entry").await;
    assert_eq!((&shown["state"], &shown["amends"]), (&json!("closed"), &json!("t1")));
    assert_eq!(shown["how"], "Rejected by local");
}

#[tokio::test]
async fn a_desk_s_card_waits_for_its_person_in_every_conversation() {
    let world = World::start(two_people(), Arc::default()).await;
    let (mut ana, mut ben) = (Browser::new(&world), Browser::new(&world));
    ana.log_in(ANA).await;
    ben.log_in(BEN).await;
    let desk = world.web.place("ana").unwrap();
    assert_eq!(world.web.place("cy").unwrap_err().kind, ErrorKind::Refused);
    let mut stream = ana.stream(&ana.begin().await, None).await;
    stream.expect("synced").await;
    world.say(outgoing("t1", &desk, card("q1.abc", CardState::Open { deadline: Timestamp::now() }))).await;
    assert_eq!(stream.expect("inbox").await["ticket"], "q1.abc");
    ben.stream(&ben.begin().await, None).await.expect("synced").await;

    let refused = ana.post("/c/inbox/say", &said("client-0001", "hello")).await;
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
    let answer = json!({ "id": "client-0002", "text": "the second", "ticket": "q1.abc" });
    assert_eq!(ana.post("/c/inbox/say", &answer).await.status(), StatusCode::ACCEPTED);
    let heard = world.memory.heard.lock().unwrap()[0].clone();
    assert_eq!((heard.at, heard.ticket), (address(&desk), Some(Ticket::new("q1.abc"))));
    assert_eq!(heard.from.verified, Verified::Proven { by: "token".to_owned() });
}

#[tokio::test]
async fn what_is_for_one_person_is_shown_to_nobody_else() {
    let (world, browser) = loopback().await;
    let id = browser.begin().await;
    let here = place("you", &id);
    let only = |id: &str| {
        let verified = Verified::Proven { by: "token".to_owned() };
        Some(Person {
            channel: address(&here).channel,
            id: id.to_owned(),
            name: id.to_owned(),
            verified,
            roles: Vec::new(),
        })
    };
    world.say(Outgoing { only: only("ben"), ..outgoing("t1", &here, text("for Ben")) }).await;
    world.say(Outgoing { only: only("you"), ..outgoing("t2", &here, text("for you")) }).await;
    let mut stream = browser.stream(&id, None).await;
    let shown = stream.expect("entry").await;
    assert_eq!((&shown["key"], &shown["kind"]), (&json!("t2"), &json!("note")));
}

#[tokio::test]
async fn hostile_words_of_a_model_arrive_inert() {
    let (world, browser) = loopback().await;
    let id = browser.begin().await;
    let words = "See <script>alert(1)</script> <img src=x onerror=alert(1)> [go](javascript:alert(1)) ![p](https://evil.example/p)";
    world.say(outgoing("t1", &place("you", &id), text(words))).await;
    let shown = browser.stream(&id, None).await.expect("entry").await;
    let html = shown["html"].as_str().unwrap();
    assert!(html.contains("<a>go</a>"), "{html}");
    for bad in ["<script", "<img", "javascript:", "src=\"http"] {
        assert!(!html.contains(bad), "{html}");
    }
    assert_eq!(shown["label"], "scripted model");
}

#[tokio::test]
async fn work_is_shown_while_it_lasts() {
    let (world, browser) = loopback().await;
    let id = browser.begin().await;
    let here = address(&place("you", &id));
    let mut stream = browser.stream(&id, None).await;
    stream.expect("synced").await;
    assert_eq!(stream.expect("typing").await["on"], false);
    world.web.signal(&here, None, Signal::Working).await;
    assert_eq!(stream.expect("typing").await["on"], true);
    let mut second = browser.stream(&id, None).await;
    assert_eq!(second.expect("synced").await, json!({}));
    assert_eq!(second.expect("typing").await["on"], true, "a page that comes later sees it too");
    world.web.signal(&here, None, Signal::Done).await;
    assert_eq!(stream.expect("typing").await["on"], false);
}

#[tokio::test]
async fn files_go_in_and_come_out_as_attachments() {
    let (world, browser) = loopback().await;
    let id = browser.begin().await;
    let file = json!({ "name": "../a b.html", "kind": "text/html", "data": "PGI+" });
    let body = json!({ "id": "client-0001", "text": "", "files": [file] });
    assert_eq!(browser.post(&format!("/c/{id}/say"), &body).await.status(), StatusCode::ACCEPTED);
    let shown = browser.stream(&id, None).await.expect("entry").await;
    let hash = shown["files"][0]["hash"].as_str().unwrap();
    let response = browser.get(&format!("/c/{id}/files/{hash}")).await;
    assert_eq!(response.headers()["content-type"], "application/octet-stream");
    assert_eq!(response.headers()["content-disposition"], "attachment; filename*=UTF-8''a%20b.html");
    assert_eq!(response.bytes().await.unwrap().as_ref(), b"<b>");
    let unsent = world.memory.keep("other.txt", b"other".to_vec());
    assert_eq!(browser.get(&format!("/c/{id}/files/{}", unsent.hash)).await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn what_is_too_large_or_too_much_is_refused_in_words() {
    let settings =
        json!({ "listen": "127.0.0.1:0", "text_bytes_max": 1000, "files_max": 0, "requests_per_minute": 8 });
    let world = World::start(settings, Arc::default()).await;
    let browser = Browser::new(&world);
    let id = browser.begin().await;
    let path = format!("/c/{id}/say");
    let response = browser.post(&path, &said("client-0001", &"x".repeat(1001))).await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    assert!(error(response).await.contains("too long"));
    let response = browser.post(&path, &said("client-0001", &"x".repeat(1_000_000))).await;
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert!(error(response).await.contains("too large"));
    let endless = futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>(vec![b' '; 8192]));
    let request = browser.request(Method::POST, &path).header("origin", &browser.base);
    let request =
        request.header("content-type", "application/json").body(reqwest::Body::wrap_stream(endless));
    if let Ok(response) = request.send().await {
        assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    }
    let mut answers = Vec::new();
    for n in 0..8 {
        answers.push(browser.post(&path, &said(&format!("client-1{n:03}"), "x")).await.status());
    }
    assert_eq!(answers[0], StatusCode::ACCEPTED);
    assert_eq!(answers[7], StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn what_is_not_http_disturbs_nobody() {
    let (world, browser) = loopback().await;
    let address = world.web.bound().unwrap();
    for garbage in
        [&b"\x16\x03\x01\x02\x00"[..], b"GET / HTTP/1.1\r\n\r\n", b"GET / HTTP/1.0\r\n\r\n", &[b'A'; 200_000]]
    {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let _ = stream.write_all(garbage).await;
        let _ = stream.shutdown().await;
        let mut answer = Vec::new();
        let _ = timeout(Duration::from_secs(5), stream.read_to_end(&mut answer)).await.expect("an end");
        assert!(!answer.starts_with(b"HTTP/1.1 200"), "{:?}", String::from_utf8_lossy(&answer));
    }
    assert_eq!(browser.get("/").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn stopping_ends_the_streams_and_frees_the_port() {
    let (world, browser) = loopback().await;
    let address: SocketAddr = world.web.bound().unwrap();
    assert_eq!(world.health.state(), HealthState::Up);
    let mut stream = browser.stream(&browser.begin().await, None).await;
    stream.expect("synced").await;
    world.stop.cancel();
    timeout(Duration::from_secs(3), world.task).await.expect("it stops at once").unwrap().unwrap();
    while stream.next().await.is_some() {}
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_taken_port_is_the_operator_s_to_mend() {
    let (world, _browser) = loopback().await;
    let web = open(json!({ "listen": world.web.bound().unwrap().to_string() }));
    let (health, stop) = (channel::Health::default(), tokio_util::sync::CancellationToken::new());
    let fault =
        web.listen(channel::Ingress { inbox: Arc::new(Memory::default()), health, stop }).await.unwrap_err();
    assert_eq!(fault.kind, ErrorKind::Misconfigured);
    assert!(fault.to_string().contains("channels.web.listen"), "{fault}");
}

#[tokio::test]
async fn sending_names_the_message_and_knows_its_people() {
    let (world, _browser) = loopback().await;
    let attempt = Attempt { number: 1, amends: None, files: vec![] };
    let send = async |place: &Place| world.web.send(&outgoing("t1", place, text("x")), &attempt).await;
    assert_eq!(send(&place("you", "inbox")).await.unwrap().message.unwrap().as_str(), "t1");
    assert_eq!(send(&place("ben", "inbox")).await.unwrap_err().kind, ErrorKind::Refused);
    assert_eq!(send(&Place::new("you")).await.unwrap_err().kind, ErrorKind::Refused);
}
