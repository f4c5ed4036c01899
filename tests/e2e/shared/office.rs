//! Three gateways on one Redis, and what became of the questions that they were asked.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use agent::{Event, Outcome, Record, Thread};
use testkit::redis_server::RedisServer;

use super::{
    crowd::Crowd,
    proxy::Proxy,
    town::{At, Question, Town, Wants, answers, runs},
};
use crate::world::{SOON, World};

/// How many gateways share the work.
pub(crate) const GATEWAYS: usize = 3;
/// After the last answer: what comes twice comes within this.
const QUIET: Duration = Duration::from_secs(3);
/// While nothing more is answered: platforms bring again what nobody took, and channels wait longer each time.
const PATIENCE: Duration = SOON.saturating_mul(3);

/// What it is made of; it goes in this order.
pub(crate) struct Office {
    crowd: Crowd,
    pub(crate) gateways: Vec<World>,
    /// The way of the last gateway to Redis.
    pub(crate) way: Proxy,
    pub(crate) redis: RedisServer,
    town: Arc<Town>,
    began: Instant,
}

impl Office {
    /// Opens with a Redis that is started so, and gateways that ask so much of it and wait so long for each other. People begin
    /// to ask at once.
    pub(crate) async fn open(redis: &[&str], durability: &str, lease: &str) -> Self {
        let redis = RedisServer::start(redis);
        let town = Arc::new(Town::open().await);
        let way = Proxy::to(redis.port()).await;
        let mut gateways = Vec::new();
        for n in 0..GATEWAYS {
            let url = if n + 1 == GATEWAYS { way.url() } else { redis.url() };
            let mut gateway = town.gateway().on_by(&redis.url(), &url, durability, lease);
            gateway.start().await;
            gateways.push(gateway);
        }
        town.slack.connected(&gateways[0]).await;
        town.guild.connected(&gateways[0]).await;
        let crowd = Crowd::begin(&town, kept(&gateways));
        Self { crowd, gateways, way, redis, town, began: Instant::now() }
    }

    /// Nothing more is asked; waits until everything is answered, counts, and closes. Fails where something was lost or came
    /// twice.
    pub(crate) async fn settle(mut self, name: &str, deeds: &BTreeMap<&str, usize>) {
        let asked = self.crowd.hush().await;
        let mut open: Vec<&Question> = asked.iter().collect();
        let mut progress = Instant::now();
        while !open.is_empty() && progress.elapsed() < PATIENCE {
            let said = self.town.heard_at(open.iter().map(|question| question.at.clone()).collect()).await;
            let before = open.len();
            open.retain(|question| count(&said[&question.at], question.order) == 0);
            if open.len() < before {
                progress = Instant::now();
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        tokio::time::sleep(QUIET).await;
        let tally = self.tally(&asked).await;
        eprintln!("{name}: {tally}; in {:?}, with {deeds:?}", self.began.elapsed());
        self.crowd.end().await;
        assert!(tally.is_well(), "{tally:#?}\n{}", logs(&self.gateways));
    }

    /// Says what became of the questions.
    async fn tally(&self, asked: &[Question]) -> Tally {
        let mut tally = Tally { asked: asked.len(), ..Tally::default() };
        let said = self.town.heard_at(asked.iter().map(|question| question.at.clone()).collect()).await;
        let folders = kept(&self.gateways);
        let mut threads = self.gateways[0].threads().await;
        // A place may have gone on in another thread.
        threads.sort_by_key(|thread| (thread.id().home(), thread.id().generation()));
        let deliveries = self.town.slack.control.deliveries().await.unwrap();
        let given_up: Vec<(String, String)> = deliveries
            .iter()
            .filter(|delivery| delivery.lost && delivery.kind == "events_api")
            .map(|delivery| (delivery.payload.to_string(), format!("{:?}", delivery.attempts)))
            .collect();
        for question in asked {
            let told = || format!("{question:?}; {}", story(&threads, question.order));
            match count(&said[&question.at], question.order) {
                0 => match given_up.iter().find(|(what, _)| what.contains(&question.order.to_string())) {
                    Some((_, tries)) => tally.given_up.push(format!("{}; {tries}", told())),
                    None => tally.lost.push(told()),
                },
                1 => {}
                _ => tally.doubled.push(told()),
            }
            match (question.wants, runs(&folders, question.order)) {
                (Wants::Refund, 1) | (Wants::Order | Wants::Row, 0) => {}
                (Wants::Refund, 0) => tally.not_run.push(told()),
                _ => tally.run_twice.push(told()),
            }
        }
        tally.refunds = asked.iter().filter(|question| question.wants == Wants::Refund).count();
        let mail = said.get(&At::Mail).map(Vec::as_slice).unwrap_or_default();
        tally.same_mail = mail.len() - mail.iter().map(|(id, _)| id).collect::<BTreeSet<_>>().len();
        let mut heard: BTreeMap<String, usize> = BTreeMap::new();
        let mut order_heard: Vec<u32> = Vec::new();
        for thread in &threads {
            for record in thread.records() {
                match &record.event {
                    Event::Heard(words) => {
                        *heard.entry(format!("{:?}", words.message)).or_default() += 1;
                        order_heard.extend(last_number(&words.text));
                    }
                    Event::Acted(acted) if matches!(acted.outcome, Outcome::Unknown { .. }) => {
                        tally.unknown += 1;
                    }
                    _ => {}
                }
            }
        }
        tally.heard_twice.extend(heard.into_iter().filter(|(_, count)| *count > 1).map(|(name, _)| name));
        let order_asked: Vec<u32> = asked.iter().map(|question| question.order).collect();
        for (at, said) in &said {
            // Slack spreads what is said over its connections, so what is said quickly has no order before it is heard.
            let right = match at {
                At::Slack { .. } => &order_heard,
                At::Discord { .. } => &order_asked,
                At::Mail => continue,
            };
            let mut shown: Vec<u32> = Vec::new();
            for order in said.iter().flat_map(|(_, words)| answers(words)) {
                if !shown.contains(&order) {
                    shown.push(order);
                }
            }
            let place = |order: &u32| right.iter().position(|other| other == order);
            if !shown.iter().map(place).is_sorted() {
                tally.out_of_order.push(format!("{at:?}: {shown:?}"));
            }
        }
        tally
    }
}

/// How many messages answer for an order. The same mail again, under the same name, is one to most programs.
fn count(said: &[(String, String)], order: u32) -> usize {
    let about = said.iter().filter(|(_, words)| answers(words).contains(&order));
    about.map(|(name, _)| name).collect::<BTreeSet<_>>().len()
}

/// What the log says about an order.
fn story(threads: &[Thread], order: u32) -> String {
    let about = |thread: &&Thread| {
        let heard = |record: &Record| matches!(&record.event, Event::Heard(words) if last_number(&words.text) == Some(order));
        thread.records().iter().any(heard)
    };
    let Some(thread) = threads.iter().find(about) else { return "it was never heard".to_owned() };
    let events: Vec<String> =
        thread.records().iter().map(|record| format!("{} {:?}", record.at, record.event)).collect();
    format!("{:?} in {}: {events:#?}", thread.phase(), thread.id())
}

fn last_number(text: &str) -> Option<u32> {
    let mut numbers = text.split(|letter: char| !letter.is_ascii_digit()).filter(|digits| digits.len() == 4);
    numbers.next_back().and_then(|digits| digits.parse().ok())
}

/// The folders of what the tools of each gateway keep.
fn kept(gateways: &[World]) -> Vec<PathBuf> {
    gateways.iter().map(|gateway| gateway.folder.path().join("state/tools/support")).collect()
}

fn logs(gateways: &[World]) -> String {
    let log = |(n, gateway): (usize, &World)| format!("--- gateway {n}\n{}", gateway.log());
    gateways.iter().enumerate().map(log).collect()
}

/// What became of the questions that were asked.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    asked: usize,
    refunds: usize,
    lost: Vec<String>,
    doubled: Vec<String>,
    heard_twice: Vec<String>,
    out_of_order: Vec<String>,
    run_twice: Vec<String>,
    /// Approved, answered, and not done.
    not_run: Vec<String>,
    /// What Slack brought four times in six minutes, each time while nobody could take it, and not again.
    given_up: Vec<String>,
    /// How often nobody knew whether the tool ran, and a person looked.
    unknown: usize,
    /// How often a mail came again under the same name: the README of the channel says when.
    same_mail: usize,
}

impl Tally {
    fn is_well(&self) -> bool {
        let bad = [
            &self.lost,
            &self.doubled,
            &self.heard_twice,
            &self.out_of_order,
            &self.run_twice,
            &self.not_run,
        ];
        bad.iter().all(|list| list.is_empty()) && self.asked > 0
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "asked {}, lost {}, doubled {}, heard twice {}, out of order {}; refunds {}, run twice {}, not run {}, looked at \
             by a person {}; the same mail again {}, given up by Slack {}",
            self.asked,
            self.lost.len(),
            self.doubled.len(),
            self.heard_twice.len(),
            self.out_of_order.len(),
            self.refunds,
            self.run_twice.len(),
            self.not_run.len(),
            self.unknown,
            self.same_mail,
            self.given_up.len()
        )
    }
}
