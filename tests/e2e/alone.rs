//! Several gateways on one Redis where there is one reader: one listens, all of them work and send, and another takes over.

use std::time::{Duration, Instant};

use testkit::redis_server::RedisServer;

use crate::world::{
    SOON, World,
    discord::{ANA, Guild},
};

/// What a gateway writes into its log when it begins to listen alone.
const LISTENS: &str = "this gateway listens, and no other";

fn times(gateway: &World) -> usize {
    gateway.log().matches(LISTENS).count()
}

/// Which of two gateways began to listen more often than it had.
async fn next_listener(gateways: &[World; 2], before: [usize; 2]) -> usize {
    let began = Instant::now();
    loop {
        if let Some(n) = (0..2).find(|n| times(&gateways[*n]) > before[*n]) {
            return n;
        }
        let logs = gateways.each_ref().map(World::log).join("\n---\n");
        assert!(began.elapsed() < SOON, "nobody listens:\n{logs}");
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_gateway_has_the_session_and_another_goes_on_with_it() {
    let redis = RedisServer::start(&[]);
    let guild = Guild::open().await;
    let mut gateways = [(); 2].map(|()| guild.world("").on(&redis.url()));
    for gateway in &mut gateways {
        gateway.start().await;
    }
    let first = next_listener(&gateways, [0, 0]).await;
    guild.connected(&gateways[first]).await;
    let mut asked = Vec::new();
    for _ in 0..6 {
        asked.push(guild.mentions(ANA, "where is my order 1001?").await);
    }
    for thread in &asked {
        guild.says(&gateways[first], thread, "1001").await;
    }

    // One stops in good order: the other goes on with its session, at once.
    let second = 1 - first;
    let began = Instant::now();
    assert_eq!(gateways[first].stop().code(), Some(0));
    asked.push(guild.mentions(ANA, "where is my order 1001?").await);
    guild.says(&gateways[second], &asked[6], "1001").await;
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());

    // One dies: the other goes on when the time of the dead one is over, with what was said meanwhile.
    gateways[first].start().await;
    let before = gateways.each_ref().map(times);
    gateways[second].kill();
    asked.push(guild.mentions(ANA, "where is my order 1001?").await);
    assert_eq!(next_listener(&gateways, before).await, first);
    guild.says(&gateways[first], &asked[7], "1001").await;

    for thread in &asked {
        assert_eq!(guild.said(thread).await.len(), 1, "one answer to each");
    }
    let sessions = guild.control.sessions().await.unwrap();
    assert_eq!(sessions.len(), 1, "nobody ended another's: {sessions:#?}");
    drop(gateways);
    drop(redis);
}
