//! A gateway whose Redis has a replica, and sentinels that put it in the place of a master that died.

use std::time::{Duration, Instant};

use agent::Event;
use testkit::redis_server::RedisSentinels;

use crate::world::{LOCAL, SCRIPTED, World};

/// How long another server may take to be made the master, on a machine where sentinels are held up.
const FAIL_OVER: Duration = Duration::from_secs(120);

/// A card waits for its approval, and the replica has it, when the master dies. The gateway goes on with the replica by itself, and what
/// is approved runs once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_card_outlives_the_redis_that_it_was_made_on() {
    let mut redis = tokio::task::spawn_blocking(RedisSentinels::start).await.unwrap();
    let mut world = World::new(&format!("{LOCAL}{SCRIPTED}")).on(&redis.url());
    let checked = world.run(&["check", "--connect"]);
    assert!(checked.code == Some(0) && checked.out.contains("master `mymaster` by Sentinel"), "{checked:#?}");
    world.start().await;
    let page = world.page();
    let talk = page.open().await;
    page.say(&talk, "first-message-0001", "deploy v1.4 to production").await.unwrap();
    let card = page.wait_card(&talk, "Approve: deploy").await;
    redis.wait_for_the_replica();
    redis.servers[0].kill();
    let began = Instant::now();
    while let Err(why) = page.press(&talk, "click-000000000001", &card, "approve").await {
        assert!(began.elapsed() < FAIL_OVER, "{why}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    page.wait_said(&talk, "v1.4 runs in production").await;
    assert_eq!(world.count(|event| matches!(event, Event::Started(_))).await, 1);
    assert!(world.log().contains("another Redis is the master now"), "{}", world.log());
}
