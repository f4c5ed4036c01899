//! A Redis behind TLS.

use agent::Version;
use store::{Again, Store};
use store_redis::{Options, Redis};
use testkit::redis_server::{Certificates, RedisCluster, RedisSentinels, RedisServer};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};

use crate::{SOON, batch, claimed, length, options};

/// Everything goes over TLS: what is written, what is read, and what is listened to.
async fn works(options: &Options, server: &RedisServer) {
    let store = Redis::open(options).await.unwrap();
    for n in 1..4 {
        assert_eq!(store.commit(batch("a", "more")).await.unwrap(), Version(n));
    }
    let lease = claimed(&store).await;
    store.release(&lease, Again::Sleep { seen: Version(3), until: None }).await.unwrap();
    assert_eq!(length(&store, "a").await, 3);
    crate::sentinel::heard_at(server, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_with_tls_is_trusted_by_its_authority() {
    let certificates = Certificates::new();
    let server = RedisServer::start_with_tls(&certificates, &[]);
    let trusting = |url: &str| Options { tls_ca: Some(certificates.authority()), ..options(url) };
    works(&trusting(&server.tls_url()), &server).await;
    let again = Redis::open(&trusting(&server.tls_url().replace("127.0.0.1", "localhost"))).await.unwrap();
    assert_eq!(length(&again, "a").await, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_and_its_sentinels_may_have_tls() {
    let certificates = Certificates::new();
    let all = RedisSentinels::start_with_tls(&certificates);
    let trusting = Options { tls_ca: Some(certificates.authority()), ..options(&all.url()) };
    works(&trusting, &all.servers[0]).await;
    let stranger =
        Redis::open(&options(&all.url())).await.expect_err("nobody knows that authority").to_string();
    assert!(stranger.contains("no sentinel answers") && stranger.contains("store.tls_ca"), "{stranger}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_with_tls_is_trusted_by_its_authority() {
    let certificates = Certificates::new();
    let cluster = RedisCluster::start_with_tls(&certificates);
    let trusting = Options {
        urls: cluster.urls(),
        tls_ca: Some(certificates.authority()),
        timeout: SOON,
        ..options("")
    };
    let store = Redis::open(&trusting).await.unwrap();
    for n in 1..4 {
        assert_eq!(store.commit(batch("a", "more")).await.unwrap(), Version(n));
    }
    assert_eq!(length(&store, "a").await, 3);
}

/// A server that cannot prove who it is, or that speaks another language, is refused with the remedy.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_is_not_trusted_is_refused() {
    let (certificates, others) = (Certificates::new(), Certificates::new());
    let server = RedisServer::start_with_tls(&certificates, &[]);
    let refused =
        async |options: Options| Redis::open(&options).await.expect_err("it is not trusted").to_string();
    let by_its_authority = |url: String| Options { tls_ca: Some(certificates.authority()), ..options(&url) };

    // Neither the system nor another authority vouches for it.
    for tls_ca in [None, Some(others.authority())] {
        let why = refused(Options { tls_ca, ..options(&server.tls_url()) }).await;
        assert!(why.contains("certificate of Redis is not trusted") && why.contains("store.tls_ca"), "{why}");
    }
    // Its certificate names other places than this one.
    let elsewhere = TcpListener::bind("127.0.0.2:0").await.unwrap();
    let url = format!("rediss://{}", elsewhere.local_addr().unwrap());
    let there = server.tls_url().replace("rediss://", "");
    tokio::spawn(async move {
        while let Ok((mut client, _)) = elsewhere.accept().await {
            let mut server = TcpStream::connect(&there).await.unwrap();
            tokio::spawn(async move { copy_bidirectional(&mut client, &mut server).await });
        }
    });
    let why = refused(by_its_authority(url)).await;
    assert!(why.contains("not valid for name") && why.contains("write the name"), "{why}");
    // One side speaks TLS and the other does not.
    let why = refused(by_its_authority(server.url().replace("redis://", "rediss://"))).await;
    assert!(why.contains("tls-port"), "{why}");
    let why = refused(options(&server.tls_url().replace("rediss://", "redis://"))).await;
    assert!(why.contains("rediss://"), "{why}");
}
