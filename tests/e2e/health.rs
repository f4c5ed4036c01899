//! How the gateway is, asked over HTTP and read in its log.

use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::world::{LOCAL, SCRIPTED, SOON, World, free_port};

/// A world whose gateway can be asked, and where.
fn askable() -> (World, SocketAddr) {
    let at = SocketAddr::from(([127, 0, 0, 1], free_port()));
    (World::new(&format!("{LOCAL}{SCRIPTED}[health]\nlisten = \"{at}\"\n")), at)
}

/// The status and the body; nothing while nobody answers.
async fn ask(at: SocketAddr, path: &str) -> Option<(u16, String)> {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = http.get(format!("http://{at}{path}")).timeout(SOON).send().await.ok()?;
    Some((answer.status().as_u16(), answer.text().await.ok()?))
}

async fn until_ready(at: SocketAddr, wanted: u16, fits: impl Fn(&Value) -> bool) -> Value {
    let began = Instant::now();
    loop {
        let answer = ask(at, "/readyz").await;
        if let Some((status, body)) = &answer {
            let report: Value = serde_json::from_str(body).unwrap();
            assert_eq!(report["ready"], *status == 200, "{status}: {report}");
            if *status == wanted && fits(&report) {
                return report;
            }
        }
        assert!(began.elapsed() < SOON, "{wanted} never came: {answer:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// How many lines of the log say so.
fn logged(world: &World, words: &str) -> usize {
    world.log().lines().filter(|line| line.contains(words)).count()
}

/// Waits until the log says so: what can be asked is known a moment before it is written down.
async fn until_logged(world: &World, words: &str) {
    let began = Instant::now();
    while logged(world, words) == 0 {
        assert!(began.elapsed() < SOON, "`{words}` was never logged: {}", world.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_works_says_so_as_long_as_it_runs() {
    let (world, at) = askable();
    let mut world = world.env("SWITCHBOARD_TEST_SECRET", "nobody-may-know");
    world.start().await;
    assert_eq!(ask(at, "/healthz").await, Some((200, "ok".to_owned())));
    let mut report = until_ready(at, 200, |_| true).await;
    let heard = report["channels"]["web"].as_object_mut().unwrap().remove("last_heard");
    assert!(heard.is_some(), "{report}");
    let channels = json!({ "web": { "state": "up", "why": null } });
    let store = json!({ "ok": true, "why": null, "commits": "kept over a crash" });
    assert_eq!(report, json!({ "ready": true, "store": store, "channels": channels }));
    assert_eq!(ask(at, "/").await.unwrap().0, 404);
    until_logged(&world, "the channel is up").await;
    assert_eq!(world.stop().code(), Some(0));
    assert_eq!(ask(at, "/healthz").await, None, "it ends with the gateway");
    assert_eq!(logged(&world, "the channel is up"), 1, "{}", world.log());
    assert_eq!(logged(&world, "the channel is down"), 0, "a stop is no outage: {}", world.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_is_down_is_told_with_its_reason_and_once() {
    let (mut world, at) = askable();
    let held = TcpListener::bind(("127.0.0.1", world.port)).unwrap();
    let began = Instant::now();
    world.launch(None);
    let report = until_ready(at, 503, |report| report["channels"]["web"]["state"] == "down").await;
    let why = report["channels"]["web"]["why"].as_str().unwrap();
    assert!(why.contains(&world.port.to_string()) && why.contains("set another port"), "{why}");
    assert_eq!(report["store"]["ok"], true);
    assert_eq!(ask(at, "/healthz").await, Some((200, "ok".to_owned())), "to start it again would not help");
    // It is tried again and again meanwhile. An outage is counted from when it was noticed.
    until_logged(&world, "the channel is down").await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    drop(held);
    until_ready(at, 200, |_| true).await;
    until_logged(&world, "the channel is up again").await;
    let longest = began.elapsed().as_secs();
    world.stop();
    let log = world.log();
    assert_eq!(logged(&world, "the channel is down"), 1, "{log}");
    assert!(log.lines().any(|line| line.contains("the channel is down") && line.contains("WARN")), "{log}");
    assert_eq!(logged(&world, "the channel is up"), 1, "{log}");
    let up = log.lines().find(|line| line.contains("the channel is up again")).unwrap_or_default();
    let down_s: u64 = up.split("down_s=").nth(1).unwrap_or_default().trim().parse().unwrap_or_default();
    assert!(up.contains("INFO") && up.contains("web") && (4..=longest).contains(&down_s), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_ask_nothing_do_not_keep_others_from_asking() {
    let (mut world, at) = askable();
    world.start().await;
    // They are taken in the order in which they came, so the next one waits for the end of the first, and that is ten seconds
    // after it was taken. Whatever takes long here only makes it longer.
    let began = Instant::now();
    let silent: Vec<_> = (0..32).map(|_| TcpStream::connect(at).unwrap()).collect();
    assert_eq!(ask(at, "/healthz").await, Some((200, "ok".to_owned())));
    let waited = began.elapsed();
    assert!(
        waited >= Duration::from_secs(10),
        "after {waited:?}: there are more connections than there should be"
    );
    drop(silent);
}

#[test]
fn an_address_that_cannot_be_had_is_told_and_nothing_is_started() {
    let (world, at) = askable();
    let _held = TcpListener::bind(at).unwrap();
    let ran = world.run(&[]);
    assert_eq!(ran.code, Some(1), "{ran:#?}");
    assert!(ran.err.contains(&format!("health.listen: cannot listen on {at}")), "{ran:#?}");
    assert!(
        ran.err.contains("set another address or port") && !ran.err.contains("switchboard runs"),
        "{ran:#?}"
    );
}
