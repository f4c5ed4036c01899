//! What was confirmed is lost: all but the logs, made again from them; and the last writes, put back from the journals.

use testkit::redis_server::RedisServer;

use crate::world::{ANA, Workspace};

/// Deletes all but logs, names of inbounds and kept values.
const LOSE: &str = "local n = 0 \
                    for _, key in ipairs(redis.call('KEYS', '*')) do \
                      if not (key:find('}:log:', 1, true) or key:find('}:key:', 1, true) or key:find('}:value:', 1, true)) then \
                        n = n + redis.call('DEL', key) \
                      end \
                    end \
                    return n";

/// A card waits for its approval, and everything is lost that says so but the log. It is made again, and the approval counts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approval_outlives_the_loss_of_all_but_the_logs() {
    let redis = RedisServer::start(&[]);
    let slack = Workspace::open().await;
    let mut world = slack.world("").on(&redis.url());
    world.start().await;
    slack.connected(&world).await;
    let thread = slack.mentions(ANA, "refund 120 EUR for order 1002, the lamp is broken").await;
    let card = slack.says(&world, &thread, "Approve: refund").await;
    // Nothing is in the middle of a write.
    world
        .until("the card is noted", |threads| threads.iter().any(|t| t.open_questions().next().is_some()))
        .await;
    let sound = world.run(&["store", "verify"]);
    assert!(sound.code == Some(0) && sound.out.starts_with("1 threads"), "{sound:#?}");
    let refused = world.run(&["store", "rebuild"]);
    assert!(refused.code == Some(1) && refused.err.contains("a gateway works on the store"), "{refused:#?}");
    assert_eq!(world.stop().code(), Some(0));

    let lost: u32 = redis.say(&["EVAL", LOSE, "0"]).trim_start_matches(':').trim().parse().unwrap();
    assert!(lost > 8, "{lost} keys");
    let told = world.run(&["store", "verify"]);
    assert!(told.code == Some(1) && told.err.contains("it is not listed"), "{told:#?}");
    assert!(told.err.contains("is not in the outbox") && told.err.contains("store rebuild"), "{told:#?}");
    let rebuilt = world.run(&["store", "rebuild"]);
    assert!(
        rebuilt.code == Some(0) && rebuilt.out.contains("1 threads, 1 of them with work"),
        "{rebuilt:#?}"
    );
    let sound = world.run(&["store", "verify"]);
    assert_eq!(sound.code, Some(0), "{sound:#?}");

    world.start().await;
    slack.connected(&world).await;
    slack.presses(ANA, &card, "press:approve").await;
    slack.says(&world, &thread, "I refunded 120.00").await;
    assert_eq!(slack.said(&thread).await.len(), 2, "a card and an answer");
}

/// Two gateways worked, people approved and were answered, and Redis goes back to before all that. Each puts back what it wrote, and
/// nothing is done or said a second time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_goes_back_gets_its_last_writes_again() {
    let mut redis = RedisServer::start(&["--appendonly", "yes", "--appendfsync", "always"]);
    let slack = Workspace::open().await;
    let mut worlds = [(); 2].map(|()| slack.world("").on_by(&redis.url(), &redis.url(), "always", "2s"));
    for world in &mut worlds {
        world.start().await;
        slack.connected(world).await;
    }
    let [one, two] = &worlds;
    let before = slack.mentions(ANA, "refund 120 EUR for order 1002, the lamp is broken").await;
    slack.says(one, &before, "Approve: refund").await;
    one.until("nothing is being written", |threads| {
        threads.iter().any(|t| t.open_questions().next().is_some())
    })
    .await;
    let moment = redis.remember();

    let card = slack.says(one, &before, "Approve: refund").await;
    slack.presses(ANA, &card, "press:approve").await;
    slack.says(one, &before, "I refunded 120.00").await;
    let mut threads = vec![(before, 2)];
    for _ in 0..4 {
        let asked = slack.mentions(ANA, "where is my order 1001?").await;
        slack.says(two, &asked, "1001").await;
        threads.push((asked, 1));
    }
    one.until("all is finished", |threads| threads.len() == 5 && threads.iter().all(agent::Thread::is_idle))
        .await;
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    redis.go_back(&moment);

    // Whoever writes next is heard, after what was put back.
    let asked = slack.mentions(ANA, "where is my order 1001?").await;
    slack.says(two, &asked, "1001").await;
    threads.push((asked, 1));
    one.until("all is there again", |threads| {
        threads.len() == 6 && threads.iter().all(agent::Thread::is_idle)
    })
    .await;
    for (thread, said) in &threads {
        assert_eq!(slack.said(thread).await.len(), *said, "{thread}");
    }
    let logs = worlds.each_ref().map(crate::world::World::log).join("\n");
    assert!(logs.contains("Redis had forgotten writes that it had confirmed"), "{logs}");
    assert!(!logs.contains("lost: "), "{logs}");
    for world in &worlds {
        let sound = world.run(&["store", "verify"]);
        assert_eq!(sound.code, Some(0), "{sound:#?}");
    }
}
