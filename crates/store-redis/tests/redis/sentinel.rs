//! A master that sentinels name: it is found, and the next one when it dies, stands still, or is no master any more.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use agent::{Event, Record, Version};
use channel::InboundKey;
use store::{Again, Batch, Error, Store};
use store_redis::{Durability, JournalOptions, Options, Redis};
use testkit::redis_server::{RedisSentinels, RedisServer};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::{batch, claimed, length, options, thread, turns};

/// How long another server may take to be made the master. Sentinels that were held up for two seconds do nothing for thirty.
const FAIL_OVER: Duration = Duration::from_secs(120);

/// Commits until it is taken. A commit that was told as failed may have been written; it is one all the same.
async fn commit_surely(store: &Redis, name: &str, what: &str) {
    let (keyed, began) = (Batch { keys: vec![InboundKey::new(what)], ..batch(name, what) }, Instant::now());
    loop {
        match store.commit(keyed.clone()).await {
            Ok(_) | Err(Error::Duplicate { .. }) => return,
            Err(Error::Away { why }) => assert!(began.elapsed() < FAIL_OVER, "{why}"),
            Err(other) => panic!("{other}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Waits until so many stores listen at a server.
pub(crate) async fn heard_at(server: &RedisServer, stores: usize) {
    let began = Instant::now();
    while !server.say(&["PUBSUB", "NUMSUB", "{test}:wake"]).ends_with(&format!(":{stores}\r\n")) {
        assert!(began.elapsed() < FAIL_OVER, "nobody listens there");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// How often a server ran a script of the store since it was started.
fn scripts_run(server: &RedisServer) -> usize {
    server.say(&["INFO", "commandstats"]).matches("cmdstat_evalsha:").count()
}

/// The master is killed, and a sentinel, too: the replica takes its place, with all that it had, and the stores go on with it by
/// themselves. The old master comes back as a replica, and nothing is written to it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_master_is_replaced_and_what_was_replicated_is_kept() {
    let mut all = RedisSentinels::start();
    let (one, other) = (
        Redis::open(&options(&all.url())).await.unwrap(),
        Arc::new(Redis::open(&options(&all.url())).await.unwrap()),
    );
    assert!(one.version().contains("master `mymaster` by Sentinel"), "{}", one.version());
    for n in 0..10 {
        commit_surely(&one, "a", &n.to_string()).await;
    }
    let lease = claimed(&other).await;
    other.release(&lease, Again::Sleep { seen: Version(10), until: None }).await.unwrap();
    all.wait_for_the_replica();

    let waiting = tokio::spawn({
        let other = other.clone();
        async move {
            let began = Instant::now();
            loop {
                match other.claim(turns(FAIL_OVER)).await {
                    Ok(work) if !work.is_empty() => return work.len(),
                    // The server is away for a while.
                    Ok(_) | Err(Error::Away { .. }) => {
                        assert!(began.elapsed() < FAIL_OVER, "nobody wakes it")
                    }
                    Err(error) => panic!("{error}"),
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    });
    all.sentinels[0].kill();
    all.servers[0].kill();
    all.wait_for_role(1, "master");
    heard_at(&all.servers[1], 2).await;
    assert!(!waiting.is_finished(), "there is nothing to do yet");
    assert_eq!(length(&one, "a").await, 10, "something was lost");
    commit_surely(&one, "a", "after").await;
    assert_eq!(waiting.await.unwrap(), 1);
    assert_eq!(length(&other, "a").await, 11);

    // For a while it takes itself for the master.
    all.servers[0].restart();
    for n in 0..5 {
        commit_surely(&one, "a", &format!("beside it {n}")).await;
    }
    all.wait_for_role(0, "slave");
    commit_surely(&one, "a", "above it").await;
    let log = format!("{{test}}:log:{}", thread("a"));
    let began = Instant::now();
    while all.servers[0].say(&["LLEN", &log]) != ":17\r\n" {
        assert!(began.elapsed() < FAIL_OVER, "the old master does not follow");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!((scripts_run(&all.servers[0]), scripts_run(&all.servers[1])), (0, 1));
}

/// A master that stands still breaks no connection, and is left all the same; when it goes on, nothing is written to it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_that_stands_still_is_replaced() {
    let all = RedisSentinels::start();
    let store = Redis::open(&options(&all.url())).await.unwrap();
    commit_surely(&store, "a", "before").await;
    all.wait_for_the_replica();
    all.servers[0].signal("STOP");
    commit_surely(&store, "a", "during").await;
    assert_eq!(all.servers[1].info("role"), "master");
    heard_at(&all.servers[1], 1).await;
    all.servers[0].signal("CONT");
    for n in 0..5 {
        commit_surely(&store, "a", &format!("after {n}")).await;
    }
    all.wait_for_role(0, "slave");
    assert_eq!(length(&store, "a").await, 7);
}

/// All the ways in which no master is found are told with their remedy; a sentinel that is away is none, as long as another one is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_that_is_not_found_is_told() {
    let server = RedisServer::start(&["--requirepass", "s3cret-of-redis"]);
    let open = RedisServer::sentinel(&server, 1, None, "sentinel auth-pass mymaster s3cret-of-redis");
    let guarded = RedisServer::sentinel(&server, 1, None, "requirepass s3cret-of-sentinel");
    let rights = ["on", ">s3cret-of-ana", "+sentinel|get-master-addr-by-name"];
    assert_eq!(open.say(&[&["ACL", "SETUSER", "ana"][..], &rights].concat()), "+OK\r\n");
    let (port, at) = (server.port(), open.port());
    let with = |hosts: &str, rest: &str| format!("redis+sentinel://:s3cret-of-redis@{hosts}/{rest}");
    let here = |server: &RedisServer| format!("127.0.0.1:{}", server.port());
    for (url, words) in [
        (
            with("127.0.0.1:1,127.0.0.1:2", "mymaster"),
            &["no sentinel answers", "127.0.0.1:1", "127.0.0.1:2"][..],
        ),
        (with(&here(&open), "another"), &["know no master `another`", "store.url"]),
        (
            with(&format!("127.0.0.1:1,127.0.0.1:{port}"), "mymaster?sentinel=:s3cret-of-redis"),
            &["no sentinel; redis://"],
        ),
        (
            with(&here(&guarded), "mymaster"),
            &["no sentinel answers", "the sentinel does not know this user or password", "?sentinel="],
        ),
        (
            with(&here(&guarded), "mymaster?sentinel=:not-the-s3cret"),
            &["the sentinel does not know this user or password"],
        ),
        (
            format!("redis+sentinel://:not-the-s3cret@127.0.0.1:{at}/mymaster"),
            &["the master `mymaster`", "Redis does not know this user"],
        ),
        (
            format!("redis+sentinel://127.0.0.1:{at}/mymaster"),
            &["the master `mymaster`", "Redis does not know this user"],
        ),
    ] {
        let why = Redis::open(&options(&url)).await.expect_err("there is no master").to_string();
        assert!(words.iter().all(|word| why.contains(word)) && !why.contains("s3cret"), "{url}: {why}");
    }
    for url in [
        with(&format!("127.0.0.1:1,{},127.0.0.1:2", here(&open)), "mymaster"),
        with(&here(&guarded), "mymaster/3?sentinel=:s3cret-of-sentinel"),
        with(&here(&open), "mymaster/4?sentinel=ana:s3cret-of-ana"),
    ] {
        let store = Redis::open(&options(&url)).await.unwrap();
        assert_eq!(store.commit(batch("a", "one")).await.unwrap(), Version(1), "{url}");
    }
}

/// Says where the master is, as a sentinel does: what the test tells it.
#[derive(Clone)]
struct Signpost {
    port: u16,
    to: Arc<Mutex<u16>>,
}

impl Signpost {
    async fn to(server: &RedisServer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let post =
            Self { port: listener.local_addr().unwrap().port(), to: Arc::new(Mutex::new(server.port())) };
        let this = post.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(this.clone().answer(stream));
            }
        });
        post
    }

    fn turn(&self, server: &RedisServer) {
        *self.to.lock().unwrap() = server.port();
    }

    /// What a client says of itself is taken, and what it asks is answered.
    async fn answer(self, mut stream: TcpStream) {
        let (mut asked, mut answered) = (Vec::new(), [0, 0]);
        while stream.read_buf(&mut asked).await.is_ok_and(|n| n > 0) {
            let text = String::from_utf8_lossy(&asked).into_owned();
            let (greetings, questions) =
                (text.matches("SETINFO").count(), text.matches("MASTER-ADDR").count());
            let port = self.to.lock().unwrap().to_string();
            let place = format!("*2\r\n$9\r\n127.0.0.1\r\n${}\r\n{port}\r\n", port.len());
            let answer = "+OK\r\n".repeat(greetings - answered[0]) + &place.repeat(questions - answered[1]);
            answered = [greetings, questions];
            if stream.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
    }
}

fn by(posts: &[&Signpost]) -> Options {
    let places: Vec<String> = posts.iter().map(|post| format!("127.0.0.1:{}", post.port)).collect();
    options(&format!("redis+sentinel://{}/mymaster", places.join(",")))
}

/// Makes a server the replica of `master`, with all that this one has.
async fn follow(server: &RedisServer, master: &RedisServer) {
    assert_eq!(server.say(&["REPLICAOF", "127.0.0.1", &master.port().to_string()])[..3], *"+OK");
    let number = |server: &RedisServer, field| server.info(field).parse::<u64>().unwrap_or(0);
    let (taken, began) = (number(master, "master_repl_offset"), Instant::now());
    while server.info("master_link_status") != "up" || number(server, "slave_repl_offset") < taken {
        assert!(began.elapsed() < FAIL_OVER, "it does not follow");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Makes another server the replica of `master`, as a sentinel does, but without breaking its connections.
fn demote(server: &RedisServer, master: &RedisServer) {
    assert_eq!(master.say(&["REPLICAOF", "NO", "ONE"]), "+OK\r\n");
    assert_eq!(server.say(&["REPLICAOF", "127.0.0.1", &master.port().to_string()]), "+OK\r\n");
}

/// A master becomes a replica under a connection that goes on: what it refuses goes to the next master at once, and nobody is told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_demoted_master_refuses_goes_to_the_next_one() {
    let (old, new) = (RedisServer::start(&[]), RedisServer::start(&[]));
    let post = Signpost::to(&old).await;
    let store = Redis::open(&by(&[&post])).await.unwrap();
    store.put("x", b"1").await.unwrap();
    heard_at(&old, 1).await;
    demote(&old, &new);
    post.turn(&new);
    store.put("x", b"2").await.unwrap();
    assert_eq!(store.commit(batch("a", "one")).await.unwrap(), Version(1));
    assert_eq!(new.say(&["GET", "{test}:value:x"]), "$1\r\n2\r\n");
    // Its connection there is as good as ever, and yet it listens where others make something due from now on.
    heard_at(&new, 1).await;
}

/// While the sentinels name a server that says itself that it is a replica, nothing is written or read there; and that is told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_is_never_taken_for_the_master() {
    let (old, new) = (RedisServer::start(&[]), RedisServer::start(&[]));
    let post = Signpost::to(&old).await;
    let store = Redis::open(&by(&[&post])).await.unwrap();
    store.commit(batch("a", "one")).await.unwrap();
    demote(&old, &new);
    let told = [
        store.commit(batch("a", "two")).await.unwrap_err(),
        store.latest(&thread("a").home()).await.unwrap_err(),
    ];
    for error in told {
        let told = error.to_string();
        assert!(
            matches!(error, Error::Away { .. }) && told.contains("mymaster") && told.contains("a replica"),
            "{told}"
        );
    }
    let why = Redis::open(&by(&[&post])).await.expect_err("it is a replica").to_string();
    assert!(why.contains("a replica"), "{why}");
    post.turn(&new);
    commit_surely(&store, "a", "three").await;
}

/// A sentinel that was away may name the old master, which takes itself for one: what most of them say counts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_most_sentinels_say_counts() {
    let (old, mut new) = (RedisServer::start(&[]), RedisServer::start(&[]));
    let (stale, two, three) = (Signpost::to(&old).await, Signpost::to(&new).await, Signpost::to(&new).await);
    for _ in 0..10 {
        let store = Redis::open(&by(&[&stale, &two, &three])).await.unwrap();
        commit_surely(&store, "a", "one").await;
    }
    // Where the others are away, what one says is better than nothing.
    let lonely =
        options(&format!("redis+sentinel://127.0.0.1:1,127.0.0.1:2,127.0.0.1:{}/mymaster", two.port));
    assert_eq!(length(&Redis::open(&lonely).await.unwrap(), "a").await, 1);
    // That it is dead makes the old one no master.
    new.kill();
    for _ in 0..3 {
        assert!(matches!(Redis::open(&by(&[&stale, &two, &three])).await, Err(Error::Away { .. })));
    }
    assert_eq!(old.say(&["DBSIZE"]), ":0\r\n");
}

/// The server that takes the place of the master is looked at like the first one: nothing is trusted to one that would lose it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_master_must_be_sound_too() {
    let (old, new) = (RedisServer::start(&[]), RedisServer::start(&["--appendonly", "no"]));
    let post = Signpost::to(&old).await;
    let store = Redis::open(&Options { durability: Durability::EverySecond, ..by(&[&post]) }).await.unwrap();
    demote(&old, &new);
    post.turn(&new);
    let why = store.put("x", b"1").await.unwrap_err().to_string();
    assert!(why.contains("mymaster") && why.contains("appendonly yes"), "{why}");
    assert_eq!(new.say(&["CONFIG", "SET", "appendonly", "yes"]), "+OK\r\n");
    commit_surely(&store, "a", "one").await;
}

/// A master, its replica in its place, and then the first again: that one runs since before, and knows all scripts. It has gone back
/// all the same, and is noticed by the name of its history.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_the_master_again_has_gone_back() {
    let (first, mut second) = (RedisServer::start(&[]), RedisServer::start(&[]));
    let post = Signpost::to(&first).await;
    let folder = tempfile::tempdir().unwrap();
    let journal = JournalOptions { folder: folder.path().to_path_buf(), keep: Duration::from_secs(3600) };
    let store = Redis::open(&Options { journal: Some(journal), ..by(&[&post]) }).await.unwrap();
    commit_surely(&store, "a", "one").await;
    follow(&second, &first).await;
    demote(&first, &second);
    post.turn(&second);
    commit_surely(&store, "a", "two").await;
    follow(&first, &second).await;
    // It does not hear of the rest.
    assert_eq!(first.say(&["REPLICAOF", "NO", "ONE"]), "+OK\r\n");
    commit_surely(&store, "a", "three").await;
    second.kill();
    post.turn(&first);
    commit_surely(&store, "a", "four").await;
    let records = store.load(&thread("a"), Version(0)).await.unwrap();
    let words =
        |record: &Record| if let Event::Paused { by } = &record.event { by.clone() } else { String::new() };
    assert_eq!(records.iter().map(words).collect::<Vec<_>>(), ["one", "two", "three", "four"]);
}
