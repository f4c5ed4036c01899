//! The laws of a store, for the one on Redis: on one server, on a cluster of three masters, and on a master that sentinels name.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use store::Clock;
use store_redis::{Durability, Options, Redis, Time};
use testkit::{
    redis_server::{RedisCluster, RedisSentinels, RedisServer},
    store_laws::Opened,
};

testkit::store_laws!(server, on_a_server);
testkit::store_laws!(cluster, on_a_cluster);
testkit::store_laws!(master, by_sentinel);

static SERVER: OnceLock<RedisServer> = OnceLock::new();
static CLUSTER: OnceLock<RedisCluster> = OnceLock::new();
static SENTINELS: OnceLock<RedisSentinels> = OnceLock::new();
static STORES: AtomicUsize = AtomicUsize::new(0);

#[expect(clippy::expect_used, reason = "without a store there is no test")]
async fn on_a_server(clock: Arc<dyn Clock>) -> Opened {
    let start = || SERVER.get_or_init(|| RedisServer::start(&[])).url();
    open(vec![tokio::task::spawn_blocking(start).await.expect("a server")], clock).await
}

#[expect(clippy::expect_used, reason = "without a store there is no test")]
async fn on_a_cluster(clock: Arc<dyn Clock>) -> Opened {
    let start = || CLUSTER.get_or_init(RedisCluster::start).urls();
    open(tokio::task::spawn_blocking(start).await.expect("a cluster"), clock).await
}

#[expect(clippy::expect_used, reason = "without a store there is no test")]
async fn by_sentinel(clock: Arc<dyn Clock>) -> Opened {
    let start = || SENTINELS.get_or_init(RedisSentinels::start).url();
    open(vec![tokio::task::spawn_blocking(start).await.expect("sentinels")], clock).await
}

/// An empty store: none has had its prefix before.
#[expect(clippy::expect_used, reason = "without a store there is no test")]
async fn open(urls: Vec<String>, clock: Arc<dyn Clock>) -> Opened {
    let options = Options {
        urls,
        prefix: format!("law-{}", STORES.fetch_add(1, Ordering::Relaxed)),
        timeout: Duration::from_secs(20),
        durability: Durability::EverySecond,
        time: Time::Of(clock),
        journal: None,
        tls_ca: None,
    };
    Opened::new(Redis::open(&options).await.expect("a store"), ())
}
