//! A store moves into another while conversations are in the middle of things.

use testkit::redis_server::RedisServer;

use crate::world::{ANA, Workspace};

/// A card that waits for its approval in the file of one gateway is approved when the store has moved to a Redis.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conversation_in_the_middle_of_things_moves_to_redis() {
    let redis = RedisServer::start(&[]);
    let slack = Workspace::open().await;
    let mut world = slack.world("");
    world.start().await;
    slack.connected(&world).await;
    let thread = slack.mentions(ANA, "refund 120 EUR for order 1002, the lamp is broken").await;
    let card = slack.says(&world, &thread, "Approve: refund").await;
    let file = world.folder.path().join("state/switchboard.db").display().to_string();
    let moving = ["store", "migrate", file.as_str(), &redis.url()];
    let refused = world.run(&moving);
    assert!(refused.code == Some(1) && refused.err.contains("in use"), "{refused:#?}");
    assert_eq!(world.stop().code(), Some(0));
    // A slip of the pen makes no empty store that is then moved.
    let wrong = format!("{file}.old");
    let slipped = world.run(&["store", "migrate", wrong.as_str(), &redis.url()]);
    assert!(slipped.code == Some(1) && slipped.err.contains("there is no store at"), "{slipped:#?}");
    assert!(!std::path::Path::new(&wrong).exists());
    let moved = world.run(&moving);
    assert!(moved.code == Some(0) && moved.out.contains("1 threads"), "{moved:#?}");
    let again = world.run(&moving);
    assert!(again.code == Some(1) && again.err.contains("not empty"), "{again:#?}");

    let mut world = world.on(&redis.url());
    world.start().await;
    slack.connected(&world).await;
    slack.presses(ANA, &card, "press:approve").await;
    slack.says(&world, &thread, "I refunded 120.00").await;
    assert_eq!(slack.said(&thread).await.len(), 2, "a card and an answer");
}
