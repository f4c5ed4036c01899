//! The parts, each in a process of its own.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use agent::{Record, Version};
use channel::InboundKey;
use store::{Batch, Store};
use tokio::time::sleep;

use crate::{
    Numbers, Told,
    machine::{Wire, cpu, part},
    say,
    world::{Op, Took, World, open, thread},
};

/// Turns that are taken one at a time, in conversations of so many turns each.
pub(crate) const TURNS: usize = 1_000;
const TURNS_A_CONVERSATION: usize = 4;
/// Turns before that, that are not counted.
const WARM_UP: usize = 100;
/// How long a turn has to itself: what follows the answer must not stand in the next one's way.
const PAUSE: Duration = Duration::from_millis(4);
/// People who talk at once, for so long before it counts, and so long.
pub(crate) const CROWD: usize = 256;
const CROWD_WARMS_UP: Duration = Duration::from_secs(1);
const CROWD_TALKS: Duration = Duration::from_secs(6);
/// Requests under way at once where a store is filled.
const AT_ONCE: usize = 64;

/// Runs a part on the store of a configuration.
pub(crate) fn run(part: &str, config: &Path, count: usize) -> Told<Numbers> {
    let began = Instant::now();
    let _ = rustls::crypto::ring::default_provider().install_default();
    // As the gateway does.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("the runtime cannot be started: {error}"))?;
    let numbers = runtime.block_on(async {
        match part {
            "one" => one(config, count).await,
            "full" => full(config, count).await,
            "fill" => fill(config, count).await,
            "drain" => drain(config, count, began).await,
            "hold" => hold(config).await,
            "back" => back(config, began).await,
            "grow" => grow(config, count).await,
            _ => Err(format!("there is no part `{part}`")),
        }
    });
    runtime.shutdown_timeout(Duration::from_secs(1));
    numbers
}

/// One turn at a time.
async fn one(config: &Path, turns: usize) -> Told<Numbers> {
    let world = World::start(config, true, true).await?;
    let mut cost = None;
    let mut took: Vec<Took> = Vec::new();
    let places = turns / TURNS_A_CONVERSATION;
    for n in 0..WARM_UP + turns {
        if n == WARM_UP {
            cost = Some(Cost::begin(&world, config)?);
            took.clear();
        }
        // The warm-up has places of its own.
        let place = if n < WARM_UP { format!("warm-{n}") } else { format!("one-{}", (n - WARM_UP) % places) };
        took.push(world.turn(&place).await?);
        sleep(PAUSE).await;
    }
    let mut numbers = cost.ok_or("nothing was counted")?.end(&world, turns as f64, "")?;
    let times = |of: fn(&Took) -> Duration| took.iter().map(of).collect::<Vec<_>>();
    let mut whole = times(|took| took.answered);
    numbers.extend([
        ("turn".to_owned(), part(&mut whole, 0.5)),
        ("turn_99".to_owned(), part(&mut whole, 0.99)),
        ("accepted".to_owned(), part(&mut times(|took| took.accepted), 0.5)),
        ("asked".to_owned(), part(&mut times(|took| took.asked.saturating_sub(took.accepted)), 0.5)),
        ("answered".to_owned(), part(&mut times(|took| took.answered.saturating_sub(took.asked)), 0.5)),
    ]);
    world.stop().await;
    Ok(numbers)
}

/// As many at once as there are people.
async fn full(config: &Path, people: usize) -> Told<Numbers> {
    let world = Arc::new(World::start(config, true, true).await?);
    let turns = Arc::new(AtomicUsize::new(0));
    let mut crowd = Vec::new();
    for person in 0..people {
        let (world, turns) = (world.clone(), turns.clone());
        crowd.push(tokio::spawn(async move {
            for n in 0.. {
                let told = world.turn(&format!("full-{person}-{}", n / TURNS_A_CONVERSATION)).await;
                if told.is_err() {
                    return told.map(drop);
                }
                turns.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        }));
    }
    sleep(CROWD_WARMS_UP).await;
    let cost = Cost::begin(&world, config)?;
    let (before, began) = (turns.load(Ordering::Relaxed), Instant::now());
    sleep(CROWD_TALKS).await;
    let done = (turns.load(Ordering::Relaxed) - before) as f64;
    let seconds = began.elapsed().as_secs_f64();
    let mut numbers = cost.end(&world, done, "full_")?;
    numbers.insert("per_second".to_owned(), done / seconds);
    for person in crowd {
        if person.is_finished() {
            person.await.map_err(|error| error.to_string())??;
        } else {
            person.abort();
        }
    }
    Ok(numbers)
}

/// Takes what is said at so many places, and does nothing about it.
async fn fill(config: &Path, count: usize) -> Told<Numbers> {
    let world = Arc::new(World::start(config, false, true).await?);
    let began = Instant::now();
    let next = Arc::new(AtomicUsize::new(0));
    let crowd = (0..AT_ONCE).map(|_| {
        let (world, next) = (world.clone(), next.clone());
        tokio::spawn(async move {
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= count {
                    return Told::Ok(());
                }
                world.say(&place(n)).await?;
            }
        })
    });
    for person in crowd.collect::<Vec<_>>() {
        person.await.map_err(|error| error.to_string())??;
    }
    Ok([("accepts".to_owned(), count as f64 / began.elapsed().as_secs_f64())].into())
}

/// Answers what was filled.
async fn drain(config: &Path, count: usize, began: Instant) -> Told<Numbers> {
    let (store, assembled) = open(config).await?;
    let opened = Instant::now();
    let world = World::start_on(store, assembled, true, true).await?;
    while world.chute.sent() < count {
        if opened.elapsed() > Duration::from_secs(120) {
            return Err(format!("{} of {count} were answered", world.chute.sent()));
        }
        sleep(Duration::from_millis(2)).await;
    }
    let seconds = opened.elapsed().as_secs_f64();
    let first = world.model.first().ok_or("the model was not asked")?;
    // Until what follows an answer is written.
    sleep(Duration::from_millis(300)).await;
    let records =
        world.store.load(&thread(&place(0)), Version(0)).await.map_err(|error| error.to_string())?;
    let json = |record: &Record| serde_json::to_string(&record.event).map_or(0, |json| json.len());
    let bytes: usize = records.iter().map(json).sum();
    world.stop().await;
    Ok([
        ("catch_up".to_owned(), count as f64 / seconds),
        ("first".to_owned(), first.duration_since(began).as_secs_f64() * 1e3),
        ("events".to_owned(), records.len() as f64),
        ("events_bytes".to_owned(), bytes as f64),
    ]
    .into())
}

/// Has work in its hands until it is killed.
async fn hold(config: &Path) -> Told<Numbers> {
    let world = World::start(config, true, false).await?;
    world.say("held").await?;
    while !world.model.was_asked.load(Ordering::Acquire) {
        sleep(Duration::from_millis(1)).await;
    }
    say("held");
    std::future::pending().await
}

/// Goes on where another one was killed.
async fn back(config: &Path, began: Instant) -> Told<Numbers> {
    let (store, assembled) = open(config).await?;
    let opened = began.elapsed();
    let world = World::start_on(store, assembled, true, true).await?;
    while !world.model.was_asked.load(Ordering::Acquire) {
        if began.elapsed() > Duration::from_secs(60) {
            return Err("nobody went on".to_owned());
        }
        sleep(Duration::from_millis(1)).await;
    }
    let claimed = began.elapsed();
    world.stop().await;
    let millis = |time: Duration| time.as_secs_f64() * 1e3;
    Ok([("opened".to_owned(), millis(opened)), ("claimed".to_owned(), millis(claimed))].into())
}

/// Adds threads that have come to rest, with the events of one that is there.
async fn grow(config: &Path, count: usize) -> Told<Numbers> {
    let (store, _) = open(config).await?;
    let records = store.load(&thread(&place(0)), Version(0)).await.map_err(|error| error.to_string())?;
    let next = Arc::new(AtomicUsize::new(0));
    let crowd = (0..AT_ONCE * 4).map(|_| {
        let (store, next, records) = (store.clone(), next.clone(), records.clone());
        tokio::spawn(async move {
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= count {
                    return Told::Ok(());
                }
                let mut batch = Batch::new(thread(&format!("grown-{n}")));
                batch.records.clone_from(&records);
                batch.keys.push(InboundKey::new(format!("bench:grown:{n}")));
                store.commit(batch).await.map_err(|error| error.to_string())?;
            }
        })
    });
    for person in crowd.collect::<Vec<_>>() {
        person.await.map_err(|error| error.to_string())??;
    }
    Ok(Numbers::new())
}

fn place(n: usize) -> String {
    format!("queued-{n}")
}

/// What turns cost, from one moment to another.
struct Cost {
    cpu: Duration,
    calls: [(u64, u64); 5],
    server: Option<(Wire, u32, Duration, [f64; 2])>,
}

impl Cost {
    fn begin(world: &World, config: &Path) -> Told<Self> {
        let server = match port(config)? {
            None => None,
            Some(port) => {
                let mut wire = Wire::connect(port)?;
                let (pid, scripts) = (wire.pid()?, wire.scripts()?);
                Some((wire, pid, cpu(pid)?, scripts))
            }
        };
        Ok(Self { cpu: cpu(std::process::id())?, calls: world.store.calls(), server })
    }

    /// Per turn, each name with this before it.
    fn end(self, world: &World, turns: f64, prefix: &str) -> Told<Numbers> {
        let micros = |from: Duration, to: Duration| to.saturating_sub(from).as_secs_f64() * 1e6 / turns;
        let mut numbers = vec![("cpu", micros(self.cpu, cpu(std::process::id())?))];
        let now = world.store.calls();
        let calls = |op: Op| {
            let at = op as usize;
            let (before, after) = (self.calls[at], now[at]);
            let (count, nanos) = ((after.0 - before.0) as f64, (after.1 - before.1) as f64);
            (count / turns, nanos / 1e3 / count)
        };
        let (commits, commit_us) = calls(Op::Commit);
        let (reads, read_us) = calls(Op::Read);
        let (releases, release_us) = calls(Op::Release);
        let (claims, others) = (calls(Op::Claim).0, calls(Op::Other).0);
        numbers.extend([
            ("calls", commits + reads + releases + claims + others),
            ("commit_calls", commits),
            ("commit_us", commit_us),
            ("claim_calls", claims),
            ("read_calls", reads),
            ("read_us", read_us),
            ("release_calls", releases),
            ("release_us", release_us),
            ("other_calls", others),
        ]);
        if let Some((mut wire, pid, before, [count, took])) = self.server {
            let [count_now, took_now] = wire.scripts()?;
            let scripts = (count_now - count) / turns;
            numbers.extend([
                ("server_cpu", micros(before, cpu(pid)?)),
                ("scripts", scripts),
                ("script", (took_now - took) / (count_now - count)),
                // What is no script is one command each.
                ("trips", scripts + reads),
            ]);
        }
        Ok(numbers.into_iter().map(|(name, number)| (format!("{prefix}{name}"), number)).collect())
    }
}

/// The port of the Redis that a configuration names.
fn port(config: &Path) -> Told<Option<u16>> {
    let text = std::fs::read_to_string(config).map_err(|error| error.to_string())?;
    let config: toml::Table = toml::from_str(&text).map_err(|error| error.to_string())?;
    let url = config.get("store").and_then(|store| store.get("url")?.as_str());
    Ok(url.and_then(|url| url.rsplit(':').next()?.parse().ok()))
}
