//! Several gateways on one Redis, with people on Slack, Discord and by mail: any of the gateways may die, stand still or lose
//! its way to Redis, and Redis may die or be full, and nothing is lost, doubled or in another order.
//!
//! `cargo xtask chaos --minutes 30` does the same for longer.

mod crowd;
mod office;
mod proxy;
mod town;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    time::{Duration, Instant},
};

use office::{GATEWAYS, Office};

use crate::world::SOON;

/// How long a gateway is waited for before another goes on with what it was doing: longer than a busy machine stands still, for what is
/// begun three times, or stepped ten times, without an end is given up, as it should be.
const LEASE: &str = "6s";

/// Longer than that.
const LONGER_THAN_A_LEASE: Duration = Duration::from_millis(7_500);

/// What is left to a Redis that gets full, in bytes: some events.
const ROOM: u64 = 16 * 1024;

/// How long it goes on.
fn span() -> Duration {
    let seconds = std::env::var("SWITCHBOARD_CHAOS_S").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(12))
}

/// Does something again and again while people ask, as long as it is to go on; what was done how often.
async fn again_and_again<'a>(
    office: &mut Office,
    mut deed: impl AsyncFnMut(&mut Office, usize) -> &'a str,
) -> BTreeMap<&'a str, usize> {
    let began = Instant::now();
    let mut deeds = BTreeMap::new();
    for round in 0.. {
        if began.elapsed() >= span() {
            break;
        }
        *deeds.entry(deed(office, round).await).or_default() += 1;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    deeds
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_doubled_whoever_dies() {
    let mut office = Office::open(&["--appendfsync", "everysec"], "everysec", LEASE).await;
    let deeds = again_and_again(&mut office, async |office, round| {
        let victim = &mut office.gateways[round % GATEWAYS];
        match round % 4 {
            0 | 2 => {
                victim.kill();
                victim.start().await;
                "kill -9"
            }
            1 => {
                victim.signal("STOP");
                tokio::time::sleep(LONGER_THAN_A_LEASE).await;
                victim.signal("CONT");
                "stop and go on"
            }
            _ => {
                assert_eq!(victim.stop().code(), Some(0));
                victim.start().await;
                "terminate"
            }
        }
    });
    let deeds = deeds.await;
    office.settle("gateways that die", &deeds).await;
}

/// Redis is killed, and started again with what it wrote. No gateway dies, so none need be waited for briefly: on a slow disk that is
/// flushed at each commit, a short lease ends while its worker lives, and a call that was begun three times is given up, as it
/// should be.
async fn redis_dies(fsync: &str, durability: &str) {
    let mut office = Office::open(&["--appendfsync", fsync], durability, "15s").await;
    let deeds = again_and_again(&mut office, async |office, round| {
        // Long enough for work to be under way again.
        tokio::time::sleep(Duration::from_secs(1)).await;
        office.redis.kill();
        tokio::time::sleep(Duration::from_millis([200, 3_000][round % 2])).await;
        office.redis.restart();
        "kill -9 of Redis"
    });
    let deeds = deeds.await;
    office.settle(&format!("a Redis that dies, appendfsync {fsync}"), &deeds).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_dies_loses_nothing_it_flushed_first() {
    redis_dies("always", "always").await;
}

/// What the process handed to the system outlives the process; what it had not yet, because a flush was under way, is put back by the
/// gateways.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_dies_loses_nothing_it_flushes_every_second() {
    redis_dies("everysec", "everysec").await;
}

/// The same where nothing is promised.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_dies_loses_nothing_it_only_wrote() {
    redis_dies("no", "none").await;
}

/// As on a full disk: what was there can be read, and nothing more is taken.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_redis_is_full_everything_waits() {
    let mut office = Office::open(&["--appendfsync", "everysec"], "everysec", LEASE).await;
    let deeds = again_and_again(&mut office, async |office, _| {
        tokio::time::sleep(Duration::from_secs(1)).await;
        // So that it gets full in the middle of something.
        let memory = office.redis.say(&["INFO", "memory"]);
        let used = memory.lines().find_map(|line| line.strip_prefix("used_memory:")?.parse::<u64>().ok());
        office.redis.say(&["CONFIG", "SET", "maxmemory", &(used.unwrap() + ROOM).to_string()]);
        let began = Instant::now();
        while !office.redis.say(&["SET", "{switchboard}:no-more", "x"]).starts_with("-OOM") {
            assert!(began.elapsed() < SOON, "it never was full");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        tokio::time::sleep(LONGER_THAN_A_LEASE).await;
        assert_eq!(office.redis.say(&["CONFIG", "SET", "maxmemory", "0"]), "+OK\r\n");
        // What was not taken Slack brings again after a minute, which is twelve seconds here, and then once more.
        tokio::time::sleep(Duration::from_secs(12)).await;
        "full"
    });
    let deeds = deeds.await;
    office.settle("a full Redis", &deeds).await;
}

/// Redis forgets what it confirmed in the last second or two, as in a fail-over to a replica that lags behind: the gateways put it back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_forgets_loses_nothing() {
    let mut office = Office::open(&["--appendfsync", "everysec"], "everysec", LEASE).await;
    let deeds = again_and_again(&mut office, async |office, round| {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let moment = office.redis.remember();
        tokio::time::sleep(Duration::from_millis([500, 2_000][round % 2])).await;
        office.redis.go_back(&moment);
        // Three seconds nobody works; then some work is to be under way again.
        tokio::time::sleep(Duration::from_secs(4)).await;
        "gone back"
    });
    let deeds = deeds.await;
    office.settle("a Redis that forgets", &deeds).await;
}

/// Its file can grow no more: what was there can be read, and nothing more is taken until there is room again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_disk_of_redis_is_full_everything_waits() {
    let mut office = Office::open(&["--appendfsync", "everysec"], "everysec", LEASE).await;
    let deeds = again_and_again(&mut office, async |office, _| {
        tokio::time::sleep(Duration::from_secs(1)).await;
        office.redis.disk(Some(ROOM));
        let began = Instant::now();
        while !office.redis.say(&["SET", "{switchboard}:no-more", "x"]).starts_with("-MISCONF") {
            assert!(began.elapsed() < SOON, "it never was full");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        tokio::time::sleep(LONGER_THAN_A_LEASE).await;
        office.redis.disk(None);
        // As above.
        tokio::time::sleep(Duration::from_secs(12)).await;
        "full disk"
    });
    let deeds = deeds.await;
    office.settle("a full disk", &deeds).await;
}

/// Gateways of an old and of the new build share the work, and each is replaced in turn by the other build. `cargo xtask chaos --old`
/// names the old one; without, both are this one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_and_a_new_build_share_the_work() {
    let old = std::env::var_os("SWITCHBOARD_OLD").map(PathBuf::from);
    let mut office = Office::open(&["--appendfsync", "everysec"], "everysec", LEASE).await;
    let deeds = again_and_again(&mut office, async |office, round| {
        let gateway = &mut office.gateways[round % GATEWAYS];
        match round / GATEWAYS % 2 {
            0 => gateway.build.clone_from(&old),
            _ => gateway.build = None,
        }
        if round % 2 == 0 {
            assert_eq!(gateway.stop().code(), Some(0));
        } else {
            gateway.kill();
        }
        gateway.start().await;
        if old.is_some() { "replaced by the other build" } else { "replaced by the same build" }
    });
    let deeds = deeds.await;
    office.settle("an old and a new build", &deeds).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_loses_its_way_to_redis_is_replaced_and_doubles_nothing() {
    let mut office = Office::open(&["--appendfsync", "everysec"], "everysec", LEASE).await;
    let deeds = again_and_again(&mut office, async |office, _| {
        tokio::time::sleep(Duration::from_secs(1)).await;
        office.way.cut();
        tokio::time::sleep(LONGER_THAN_A_LEASE).await;
        office.way.mend();
        "cut off"
    });
    let deeds = deeds.await;
    office.settle("a gateway cut off", &deeds).await;
}
