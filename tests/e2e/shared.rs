//! Several gateways on one Redis: any of them may die, stand still or lose its way to Redis, and nothing is lost, doubled or
//! in another order.
//!
//! `cargo xtask chaos --minutes 30` does the same for longer.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use agent::{Event, Thread};
use simulator::slack::Message;
use testkit::redis_server::RedisServer;

use crate::world::{ANA, SOON, Workspace, World};

/// How many gateways share the work.
const GATEWAYS: usize = 3;

struct Office {
    redis: RedisServer,
    slack: Workspace,
    gateways: Vec<World>,
}

impl Office {
    async fn open(redis: &[&str]) -> Self {
        let redis = RedisServer::start(redis);
        let slack = Workspace::open().await;
        let mut gateways = Vec::new();
        for _ in 0..GATEWAYS {
            let mut gateway = slack.world("").on(&redis.url());
            gateway.start().await;
            gateways.push(gateway);
        }
        let office = Self { redis, slack, gateways };
        office.slack.connected(&office.gateways[0]).await;
        office
    }

    async fn threads(&self) -> Vec<Thread> {
        self.gateways[0].threads().await
    }

    /// Says what became of the questions.
    async fn tally(&self, asked: &[String]) -> Tally {
        let mut tally = Tally { asked: asked.len(), ..Tally::default() };
        for thread in asked {
            let said = self.slack.said(thread).await;
            let answers = said.iter().filter(|message| is_answer(message)).count();
            tally.lost += usize::from(answers == 0);
            tally.doubled += answers.saturating_sub(1);
        }
        let mut heard = BTreeMap::new();
        for thread in self.threads().await {
            for record in thread.records() {
                if let Event::Heard(heard_now) = &record.event {
                    *heard.entry(heard_now.message.clone()).or_insert(0_usize) += 1;
                }
            }
        }
        tally.heard_twice = heard.values().filter(|count| **count > 1).count();
        tally
    }

    fn logs(&self) -> String {
        let log = |(n, gateway): (usize, &World)| format!("--- gateway {n}\n{}", gateway.log());
        self.gateways.iter().enumerate().map(log).collect()
    }
}

/// What became of the questions that were asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Tally {
    asked: usize,
    lost: usize,
    doubled: usize,
    heard_twice: usize,
}

fn is_answer(message: &Message) -> bool {
    message.words().contains("1001")
}

/// How long it goes on.
fn span() -> Duration {
    let seconds = std::env::var("SWITCHBOARD_CHAOS_S").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(15))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_doubled_whoever_dies() {
    let mut office = Office::open(&["--appendfsync", "everysec"]).await;
    let began = Instant::now();
    let mut asked = Vec::new();
    let mut deeds: BTreeMap<&str, usize> = BTreeMap::new();
    let mut round = 0;
    while began.elapsed() < span() {
        let victim = round % GATEWAYS;
        let deed = ["kill -9", "stop and go on", "terminate"][(round / GATEWAYS) % 3];
        *deeds.entry(deed).or_default() += 1;
        for _ in 0..3 {
            asked.push(office.slack.mentions(ANA, "where is my order 1001?").await);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        match deed {
            "kill -9" => {
                office.gateways[victim].kill();
                asked.push(office.slack.mentions(ANA, "where is my order 1001?").await);
                office.gateways[victim].start().await;
            }
            "stop and go on" => {
                office.gateways[victim].signal("STOP");
                asked.push(office.slack.mentions(ANA, "where is my order 1001?").await);
                // Longer than a lease.
                tokio::time::sleep(Duration::from_millis(2_500)).await;
                office.gateways[victim].signal("CONT");
            }
            _ => {
                assert_eq!(office.gateways[victim].stop().code(), Some(0));
                asked.push(office.slack.mentions(ANA, "where is my order 1001?").await);
                office.gateways[victim].start().await;
            }
        }
        round += 1;
    }
    let deadline = Instant::now();
    loop {
        let tally = office.tally(&asked).await;
        if tally.lost == 0 || deadline.elapsed() > SOON {
            eprintln!("{tally:?} in {:?}, with {deeds:?}", began.elapsed());
            let well = Tally { asked: asked.len(), ..Tally::default() };
            assert_eq!(tally, well, "{}", office.logs());
            break;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    drop(office.redis);
}
