//! How the gateway is, for whoever asks over HTTP: `/healthz` while the process lives, `/readyz` whether it does its work.
//!
//! It changes nothing and tells no secret. It may stand open to a network, so each connection has one request, little time
//! and little memory, and there are few of them.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use channel::{ChannelName, Health, HealthState, Timestamp};
use hyper::server::conn::http1;
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use runtime::Board;
use serde::Serialize;
use store::Store;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::{JoinHandle, JoinSet},
    time::{sleep, timeout},
};

/// Connections at once; the next one waits until one ends.
const CONNECTIONS_MAX: usize = 32;
/// The time of one connection, from its beginning to its end.
const CONNECTION_TIME: Duration = Duration::from_secs(10);
/// The most that is kept of a request, in bytes.
const REQUEST_BYTES_MAX: usize = 16 * 1024;
/// How long the store may take to answer.
const STORE_TIME: Duration = Duration::from_secs(2);

/// Answers until it is dropped.
pub(crate) struct Answering(JoinHandle<()>);

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Takes the address. Before anything is started, so that a wrong one is told at once.
///
/// # Errors
/// That it cannot be had, with the remedy.
pub(crate) async fn bind(listen: SocketAddr) -> Result<TcpListener, String> {
    let listener = TcpListener::bind(listen).await;
    listener.map_err(|error| {
        format!("health.listen: cannot listen on {listen}: {error}\n    set another address or port, or leave it out")
    })
}

/// Answers on behalf of a running gateway, whose store keeps what it says.
pub(crate) fn answer(listener: TcpListener, board: Arc<Board>, kept: &'static str) -> Answering {
    let routes = Router::new()
        .route("/healthz", get(async || "ok"))
        .route("/readyz", get(readyz))
        .with_state((board, kept));
    Answering(tokio::spawn(accept(listener, routes)))
}

async fn accept(listener: TcpListener, routes: Router) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    // With this task its connections end.
    let mut connections = JoinSet::new();
    loop {
        let Ok(slot) = slots.clone().acquire_owned().await else { return };
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, _)) => {
                let connection = connection(stream, routes.clone());
                connections.spawn(async move {
                    connection.await;
                    drop(slot);
                });
            }
            Err(error) => {
                tracing::debug!(%error, "a connection was not taken");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, routes: Router) {
    let mut builder = http1::Builder::new();
    builder.keep_alive(false).max_buf_size(REQUEST_BYTES_MAX);
    let served = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes));
    match timeout(CONNECTION_TIME, served).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a connection ended"),
        Err(_) => tracing::debug!("a connection took too long"),
    }
}

async fn readyz(State((board, kept)): State<(Arc<Board>, &'static str)>) -> impl IntoResponse {
    let report = report(board.store.as_ref(), kept, &board.health).await;
    let status = if report.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, [(header::CACHE_CONTROL, "no-store")], Json(report))
}

/// What `/readyz` says.
#[derive(Debug, Serialize)]
struct Report {
    ready: bool,
    store: StoreReport,
    channels: BTreeMap<ChannelName, ChannelReport>,
}

#[derive(Debug, Serialize)]
struct StoreReport {
    ok: bool,
    why: Option<String>,
    /// What of a commit outlives a crash.
    commits: &'static str,
}

#[derive(Debug, Serialize)]
struct ChannelReport {
    state: &'static str,
    why: Option<String>,
    last_heard: Option<Timestamp>,
}

async fn report(store: &dyn Store, kept: &'static str, health: &BTreeMap<ChannelName, Health>) -> Report {
    // Any value will do, there or not: that there is an answer counts.
    let why = match timeout(STORE_TIME, store.get("")).await {
        Ok(Ok(_)) => None,
        Ok(Err(error)) => Some(error.to_string()),
        Err(_) => Some(format!("it did not answer within {} s", STORE_TIME.as_secs())),
    };
    let store = StoreReport { ok: why.is_none(), why, commits: kept };
    let channels: BTreeMap<_, _> =
        health.iter().map(|(name, health)| (name.clone(), channel_report(health))).collect();
    let all_well = channels.values().all(|channel| [UP, STANDBY].contains(&channel.state));
    Report { ready: store.ok && all_well, store, channels }
}

/// The names of the states in which all is well with a channel: it listens, or need not.
const UP: &str = "up";
const STANDBY: &str = "standby";

fn channel_report(health: &Health) -> ChannelReport {
    let (state, why) = match health.state() {
        HealthState::Up => (UP, None),
        HealthState::Starting => ("starting", None),
        HealthState::Down { why } => ("down", Some(why)),
        HealthState::Standby => (STANDBY, Some("another gateway listens".to_owned())),
    };
    ChannelReport { state, why, last_heard: health.last_heard() }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use testkit::{
        ManualClock, MemoryStore,
        doubles::{Fault, StoreDouble},
    };
    use tokio::time::Instant;

    use super::*;

    fn world() -> (Arc<StoreDouble>, BTreeMap<ChannelName, Health>) {
        let store = StoreDouble::before(Arc::new(MemoryStore::new(Arc::new(ManualClock::default()))));
        let health = ["a", "b"].map(|name| (ChannelName::new(name), Health::default()));
        (store, health.into())
    }

    async fn told(store: &dyn Store, health: &BTreeMap<ChannelName, Health>) -> Value {
        serde_json::to_value(report(store, "kept", health).await).unwrap_or_default()
    }

    #[tokio::test]
    async fn it_is_ready_when_every_channel_is_up() {
        let (store, health) = world();
        let (a, b) = (&health[&ChannelName::new("a")], &health[&ChannelName::new("b")]);
        a.up();
        let starting = told(store.as_ref(), &health).await;
        let up = json!({ "state": "up", "why": null, "last_heard": null });
        let channels = json!({ "a": up, "b": { "state": "starting", "why": null, "last_heard": null } });
        let well = json!({ "ok": true, "why": null, "commits": "kept" });
        assert_eq!(starting, json!({ "ready": false, "store": well, "channels": channels }));
        b.down("the password is wrong");
        let down = told(store.as_ref(), &health).await;
        assert_eq!(down["ready"], false);
        assert_eq!(down["channels"]["b"]["state"], "down");
        assert_eq!(down["channels"]["b"]["why"], "the password is wrong");
        b.up();
        b.heard();
        let ready = told(store.as_ref(), &health).await;
        assert_eq!(ready["ready"], true);
        assert_eq!(ready["channels"]["a"], up);
        let heard = ready["channels"]["b"]["last_heard"].as_str().map(str::parse::<Timestamp>);
        assert!(heard.is_some_and(|heard| heard.is_ok_and(|at| Some(at) == b.last_heard())), "{ready}");
    }

    #[tokio::test]
    async fn it_is_ready_when_another_gateway_listens() {
        let (store, health) = world();
        health[&ChannelName::new("a")].up();
        health[&ChannelName::new("b")].standby();
        let ready = told(store.as_ref(), &health).await;
        assert_eq!(ready["ready"], true);
        let standby = json!({ "state": "standby", "why": "another gateway listens", "last_heard": null });
        assert_eq!(ready["channels"]["b"], standby);
        health[&ChannelName::new("a")].down("the password is wrong");
        assert_eq!(told(store.as_ref(), &health).await["ready"], false);
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_not_ready_while_the_store_does_not_answer() {
        let (store, health) = world();
        health.values().for_each(Health::up);
        assert_eq!(told(store.as_ref(), &health).await["ready"], true);
        store.away();
        let away = told(store.as_ref(), &health).await;
        assert_eq!((&away["ready"], &away["store"]["ok"]), (&json!(false), &json!(false)), "{away}");
        assert!(away["store"]["why"].as_str().is_some_and(|why| !why.is_empty()), "{away}");
        assert_eq!(away["channels"]["a"]["state"], "up");
        store.fails(|_| Fault::Late(Duration::from_secs(60)));
        let began = Instant::now();
        let slow = told(store.as_ref(), &health).await;
        assert!(began.elapsed() <= STORE_TIME, "{:?}", began.elapsed());
        assert_eq!(
            slow["store"],
            json!({ "ok": false, "why": "it did not answer within 2 s", "commits": "kept" })
        );
        store.back();
        assert_eq!(told(store.as_ref(), &health).await["ready"], true);
    }
}
