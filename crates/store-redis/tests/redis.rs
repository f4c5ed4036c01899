//! What only a store on a server can get wrong: answers that are lost, a server that is killed, stands still, is full, or is not
//! to be trusted.

#![expect(clippy::unwrap_used, reason = "a test says that something is wrong by failing")]

#[path = "redis/sentinel.rs"]
mod sentinel;
#[path = "redis/tls.rs"]
mod tls;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use agent::{Event, Home, Record, Seq, ThreadId, Version};
use channel::{Address, ChannelName, Content, InboundKey, MessageRef, Outgoing, Place, Text, Timestamp};
use store::{Again, Batch, Claim, Error, Lease, SendState, Settle, Store, Wanted, Work};
use store_redis::{Durability, Options, Redis, Time};
use testkit::redis_server::RedisServer;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

const SOON: Duration = Duration::from_secs(30);

fn options(url: &str) -> Options {
    Options {
        urls: vec![url.to_owned()],
        prefix: "test".to_owned(),
        timeout: Duration::from_secs(2),
        durability: Durability::None,
        time: Time::Server,
        journal: None,
        tls_ca: None,
    }
}

async fn open(server: &RedisServer) -> Redis {
    Redis::open(&options(&server.url())).await.unwrap()
}

fn thread(name: &str) -> ThreadId {
    ThreadId::new(&Home::of(&Address { channel: ChannelName::new("mail"), place: Place::new(name) }), 1)
}

fn batch(name: &str, what: &str) -> Batch {
    let record = Record::new(Timestamp::now(), Event::Paused { by: what.to_owned() });
    Batch { records: vec![record], wake: true, ..Batch::new(thread(name)) }
}

async fn length(store: &Redis, name: &str) -> usize {
    store.load(&thread(name), Version(0)).await.unwrap().len()
}

fn turns(wait: Duration) -> Claim {
    Claim { worker: "a".to_owned(), wanted: Wanted::Turns, max: 10, ttl: Duration::from_secs(30), wait }
}

async fn claimed(store: &Redis) -> Lease {
    let mut work = store.claim(turns(SOON)).await.unwrap();
    assert_eq!(work.len(), 1);
    match work.remove(0) {
        Work::Turn { lease, .. } => lease,
        Work::Send { .. } => panic!("a message, where a turn was asked for"),
    }
}

/// Stands between the store and its server, and loses the server's next answers on demand.
struct Proxy {
    url: String,
    losses: Arc<AtomicUsize>,
}

impl Proxy {
    async fn before(server: &RedisServer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("redis://{}", listener.local_addr().unwrap());
        let losses = Arc::<AtomicUsize>::default();
        let (port, lost) = (server.port(), losses.clone());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await else { continue };
                tokio::spawn(pass(client, server, lost.clone()));
            }
        });
        Self { url, losses }
    }

    /// The next answers to scripts never come: the connection is cut once the server has done its part.
    fn loses(&self, answers: usize) {
        self.losses.store(answers, Ordering::SeqCst);
    }
}

async fn pass(client: TcpStream, server: TcpStream, losses: Arc<AtomicUsize>) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let (mut asked, mut answered) = (vec![0; 65_536], vec![0; 65_536]);
    let mut script = false;
    loop {
        tokio::select! {
            read = from_client.read(&mut asked) => {
                let Some(n @ 1..) = read.ok() else { return };
                script = asked[..n].windows(7).any(|window| window == b"EVALSHA");
                if to_server.write_all(&asked[..n]).await.is_err() { return }
            }
            read = from_server.read(&mut answered) => {
                let Some(n @ 1..) = read.ok() else { return };
                let take = |left: usize| left.checked_sub(1);
                if script && losses.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take).is_ok() { return }
                if to_client.write_all(&answered[..n]).await.is_err() { return }
            }
        }
    }
}

/// The server has written the batch, and nobody hears of it: asked again, it says so, and writes it once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_answer_is_lost_counts_once() {
    let server = RedisServer::start(&[]);
    let proxy = Proxy::before(&server).await;
    let store = Redis::open(&options(&proxy.url)).await.unwrap();
    // The script is known to the server from now on.
    assert_eq!(store.commit(batch("a", "zero")).await.unwrap(), Version(1));
    for (n, losses) in [(2, 1), (3, 2), (4, 3)] {
        proxy.loses(losses);
        let expect = Some(Version(n - 1));
        let keys = vec![InboundKey::new(format!("mail:{n}"))];
        let batch = Batch { expect, keys, ..batch("a", "more") };
        assert_eq!(store.commit(batch.clone()).await.unwrap(), Version(n), "after {losses} lost answers");
        assert_eq!(length(&store, "a").await as u64, n);
        // A new batch that says the same is another one.
        assert!(matches!(store.commit(batch).await, Err(Error::Duplicate { .. })));
    }
}

/// A lease was given back, and nobody hears of it: asked again, it is not held any more, which is what was wanted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_whose_answer_is_lost_is_done() {
    let server = RedisServer::start(&[]);
    let proxy = Proxy::before(&server).await;
    let store = Redis::open(&options(&proxy.url)).await.unwrap();
    for round in 0..3 {
        let seen = store.commit(batch("a", "more")).await.unwrap();
        let lease = claimed(&store).await;
        if round == 0 {
            store.release(&lease, Again::Sleep { seen, until: None }).await.unwrap();
            continue;
        }
        proxy.loses(1);
        store.release(&lease, Again::Sleep { seen, until: None }).await.unwrap();
        assert!(store.claim(turns(Duration::ZERO)).await.unwrap().is_empty());
        proxy.loses(1);
        let lost = store.renew(&lease, Duration::from_secs(1)).await;
        assert!(matches!(lost, Err(Error::Fenced { .. })), "{lost:?}");
    }
}

/// A thread was taken away, and nobody hears of it: asked again, it is gone, which is what was wanted; whoever asks first for one
/// that is not there hears so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retiring_whose_answer_is_lost_is_done() {
    let server = RedisServer::start(&[]);
    let proxy = Proxy::before(&server).await;
    let store = Redis::open(&options(&proxy.url)).await.unwrap();
    for (n, losses) in [(0, 0), (1, 1), (2, 2)] {
        let name = n.to_string();
        store.commit(Batch { wake: false, ..batch(&name, "one") }).await.unwrap();
        proxy.loses(losses);
        store.retire(&thread(&name), Version(1), &[]).await.unwrap();
        assert_eq!(length(&store, &name).await, 0, "after {losses} lost answers");
        let again = store.retire(&thread(&name), Version(1), &[]).await;
        assert!(matches!(again, Err(Error::Conflict { actual: Version(0), .. })), "{again:?}");
    }
}

/// Of a thread that was taken away nothing is left but that it was there, and the names of its inbounds for their time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_left_of_a_retired_thread() {
    let server = RedisServer::start(&[]);
    let store = open(&server).await;
    let of = thread("a");
    let outgoing = |n: u64| Outgoing {
        key: of.delivery(Seq(n), 0),
        to: Address { channel: ChannelName::new("mail"), place: Place::new("a") },
        at: Timestamp::now(),
        only: None,
        in_reply_to: None,
        amends: None,
        content: Content::Text(Text { markdown: "hello".to_owned(), note: None }),
        files: Vec::new(),
    };
    let sent = [outgoing(0), outgoing(1)];
    let names = sent.each_ref().map(|outgoing| outgoing.key.clone());
    let keys = vec![InboundKey::new("mail:1")];
    store.commit(Batch { keys, outgoing: sent.into(), ..batch("a", "one") }).await.unwrap();
    let lease = claimed(&store).await;
    store.release(&lease, Again::Sleep { seen: Version(1), until: None }).await.unwrap();
    for name in &names {
        let wanted = Wanted::Sends(ChannelName::new("mail"));
        let mut work = store.claim(Claim { wanted, ..turns(SOON) }).await.unwrap();
        let Some(Work::Send { lease, .. }) = work.pop() else { panic!("{name} is not due") };
        let settle = Settle { lease, state: SendState::Sent, message: Some(MessageRef::new(name.as_str())) };
        store.commit(Batch { settle: Some(settle), ..Batch::new(of.clone()) }).await.unwrap();
    }
    store.retire(&of, Version(1), &names).await.unwrap();
    let left = server.say(&[
        "EVAL",
        "local k = redis.call('KEYS', '*') table.sort(k) return table.concat(k, ' ')",
        "0",
    ]);
    let home = of.home();
    let (home, retired) = (format!("home:{}", home.as_str()), format!("retired:{}", home.as_str()));
    let wanted = ["format", &home, "key:mail:1", "order", &retired, "store"];
    let wanted = wanted.map(|name| format!("{{test}}:{name}")).join(" ");
    assert!(left.contains(&format!("\r\n{wanted}\r\n")), "{left}");
}

/// What one gateway makes due, another hears of at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gateways_hear_of_each_other() {
    let server = RedisServer::start(&[]);
    let (one, other) = (Arc::new(open(&server).await), open(&server).await);
    let mut quickest = SOON;
    for round in 0..5 {
        let waiting = tokio::spawn({
            let one = one.clone();
            async move { (claimed(&one).await, Instant::now()) }
        });
        tokio::time::sleep(Duration::from_millis(150)).await;
        let from = Instant::now();
        let seen = other.commit(batch("a", &round.to_string())).await.unwrap();
        let (lease, at) = tokio::time::timeout(SOON, waiting).await.unwrap().unwrap();
        quickest = quickest.min(at.duration_since(from));
        one.release(&lease, Again::Sleep { seen, until: None }).await.unwrap();
    }
    assert!(quickest < Duration::from_millis(400), "nobody told it: {quickest:?}");
}

/// Killed in the middle of commits, a server that syncs each has all that it said yes to; and the store finds it again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_said_yes_to_outlives_a_kill() {
    let mut server = RedisServer::start(&["--appendfsync", "always"]);
    let store = Arc::new(open(&server).await);
    assert_eq!(store.durability(), Durability::Always);
    let mut writers = Vec::new();
    let stop = Arc::<AtomicUsize>::default();
    for writer in 0..4 {
        let (store, stop) = (store.clone(), stop.clone());
        writers.push(tokio::spawn(async move {
            let (mut yes, name) = (0, writer.to_string());
            let mut failures = 0;
            while stop.load(Ordering::Relaxed) == 0 {
                match store.commit(batch(&name, "more")).await {
                    Ok(_) => yes += 1,
                    Err(Error::Away { .. }) => failures += 1,
                    Err(other) => panic!("{other}"),
                }
            }
            (name, yes, failures)
        }));
    }
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(300)).await;
        server.kill();
        tokio::time::sleep(Duration::from_millis(200)).await;
        server.restart();
    }
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    stop.store(1, Ordering::Relaxed);
    for writer in writers {
        let (name, yes, failures) = writer.await.unwrap();
        let there = length(&store, &name).await;
        // A commit that was told as failed may have been written all the same, but none twice.
        assert!((yes..=yes + failures).contains(&there), "{name}: {yes} yes, {failures} no, {there} there");
        assert!(yes > 10, "it never came back: {yes}");
    }
}

/// A server that stands still for longer than a command may take: whoever waited is told, and nothing counts twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stands_still_is_waited_for() {
    let server = RedisServer::start(&[]);
    let store = Redis::open(&Options { timeout: Duration::from_millis(300), ..options(&server.url()) })
        .await
        .unwrap();
    store.commit(batch("a", "before")).await.unwrap();
    server.signal("STOP");
    let keyed = || Batch { keys: vec![InboundKey::new("mail:1")], ..batch("a", "during") };
    let (told, ()) = tokio::join!(store.commit(keyed()), async {
        tokio::time::sleep(Duration::from_millis(1_000)).await;
        server.signal("CONT");
    });
    // It comes through in the end, or it is away, and then it may come again.
    match told {
        Ok(version) => assert_eq!(version, Version(2)),
        Err(Error::Away { .. }) => {
            let again = store.commit(keyed()).await;
            assert!(matches!(again, Ok(_) | Err(Error::Duplicate { .. })), "{again:?}");
        }
        Err(other) => panic!("{other}"),
    }
    assert_eq!(length(&store, "a").await, 2);
}

/// A full server takes nothing, half or whole, and says what is to be done; once there is room all goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_server_takes_nothing() {
    let server = RedisServer::start(&[]);
    let store = open(&server).await;
    store.commit(batch("a", "before")).await.unwrap();
    assert_eq!(server.say(&["CONFIG", "SET", "maxmemory", "1mb"]), "+OK\r\n");
    let keyed = || Batch { keys: vec![InboundKey::new("mail:1")], ..batch("a", "during") };
    let full = store.commit(keyed()).await.unwrap_err();
    assert!(
        matches!(&full, Error::Away { why } if why.contains("full") && why.contains("maxmemory")),
        "{full}"
    );
    assert!(matches!(store.put("x", b"y").await, Err(Error::Away { .. })));
    assert_eq!(length(&store, "a").await, 1, "reading goes on");
    assert_eq!(server.say(&["CONFIG", "SET", "maxmemory", "0"]), "+OK\r\n");
    assert_eq!(store.commit(keyed()).await.unwrap(), Version(2));
}

/// A server that is to have replicas and has none takes nothing, and says why; what it has can be read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_its_replicas_takes_nothing() {
    let server = RedisServer::start(&[]);
    let store = open(&server).await;
    store.commit(batch("a", "before")).await.unwrap();
    assert_eq!(server.say(&["CONFIG", "SET", "min-replicas-to-write", "1"]), "+OK\r\n");
    let alone = store.commit(batch("a", "during")).await.unwrap_err();
    assert!(matches!(&alone, Error::Away { why } if why.contains("min-replicas-to-write")), "{alone}");
    assert_eq!(length(&store, "a").await, 1);
    assert_eq!(server.say(&["CONFIG", "SET", "min-replicas-to-write", "0"]), "+OK\r\n");
    assert_eq!(store.commit(batch("a", "after")).await.unwrap(), Version(2));
}

/// A full server lets a thread go, whole: that makes room.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_server_lets_a_thread_go() {
    let server = RedisServer::start(&[]);
    let store = open(&server).await;
    let home = thread("a").home();
    for generation in 1..=2 {
        let batch = Batch { wake: false, ..batch("a", &"x".repeat(10_000)) };
        store.commit(Batch { thread: ThreadId::new(&home, generation), ..batch }).await.unwrap();
    }
    // The script is known to the server from now on; what is full takes no new one.
    store.retire(&ThreadId::new(&home, 1), Version(1), &[]).await.unwrap();
    assert_eq!(server.say(&["CONFIG", "SET", "maxmemory", "1mb"]), "+OK\r\n");
    assert!(matches!(store.put("x", b"y").await, Err(Error::Away { .. })), "it is not full");
    store.retire(&ThreadId::new(&home, 2), Version(1), &[]).await.unwrap();
    assert_eq!(store.threads(0, 10).await.unwrap(), []);
    assert_eq!(server.say(&["CONFIG", "SET", "maxmemory", "0"]), "+OK\r\n");
    assert_eq!(store.latest(&home).await.unwrap(), Some(ThreadId::new(&home, 2)));
    let anew = store.commit(Batch::new(ThreadId::new(&home, 2))).await;
    assert!(matches!(anew, Err(Error::Conflict { .. })), "{anew:?}");
}

/// Scripts that the server has forgotten are sent again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forgotten_scripts_are_sent_again() {
    let server = RedisServer::start(&[]);
    let store = open(&server).await;
    for n in 1..4 {
        assert_eq!(server.say(&["SCRIPT", "FLUSH"]), "+OK\r\n");
        assert_eq!(store.commit(batch("a", "more")).await.unwrap(), Version(n));
    }
}

/// Epochs rise with the server's clock, so that one which was forgotten with the server's last writes is not given out again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_epoch_comes_twice_though_the_server_forgets() {
    let server = RedisServer::start(&[]);
    let store = open(&server).await;
    store.commit(batch("a", "one")).await.unwrap();
    let first = claimed(&store).await;
    // As after a failover to a replica that had nothing of it.
    assert_eq!(server.say(&["FLUSHALL"]), "+OK\r\n");
    store.commit(batch("a", "one")).await.unwrap();
    let second = claimed(&store).await;
    assert_eq!(first.on, second.on);
    assert!(second.epoch > first.epoch);
    let old = Batch { fence: Some(first), ..batch("a", "two") };
    assert!(matches!(store.commit(old).await, Err(Error::Fenced { .. })));
}

/// A server that would lose something is not taken, and the remedy is told; its password is not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_would_lose_something_is_refused() {
    let refused =
        async |options: Options| Redis::open(&options).await.expect_err("it is not sound").to_string();
    let forgets = RedisServer::start(&["--appendonly", "no"]);
    let wants = |server: &RedisServer, durability| Options { durability, ..options(&server.url()) };
    assert!(refused(wants(&forgets, Durability::EverySecond)).await.contains("appendonly yes"));
    assert!(Redis::open(&wants(&forgets, Durability::None)).await.is_ok());
    let evicts = RedisServer::start(&["--maxmemory-policy", "allkeys-lru"]);
    assert!(refused(wants(&evicts, Durability::None)).await.contains("noeviction"));
    assert!(refused(wants(&evicts, Durability::Always)).await.contains("noeviction"));

    let guarded = RedisServer::start(&["--requirepass", "s3cret-of-redis"]);
    let wrong = format!("redis://:not-the-s3cret@127.0.0.1:{}", guarded.port());
    for url in [guarded.url(), wrong] {
        let why = refused(options(&url)).await;
        assert!(why.contains("password") && !why.contains("s3cret"), "{why}");
    }
    let right = format!("redis://:s3cret-of-redis@127.0.0.1:{}", guarded.port());
    assert!(Redis::open(&options(&right)).await.is_ok());

    for (url, prefix, words) in [
        ("", "test", "no address of a Redis"),
        ("http://:s3cret@127.0.0.1", "test", "no address of a Redis"),
        ("redis://127.0.0.1:1", "test", "127.0.0.1:1"),
        ("redis://127.0.0.1", "two words", "store.prefix"),
    ] {
        let why = refused(Options { prefix: prefix.to_owned(), ..options(url) }).await;
        assert!(why.contains(words) && !why.contains("s3cret"), "{why}");
    }
    assert!(refused(Options { urls: Vec::new(), ..options("") }).await.contains("store.url"));
    // A layout of another build.
    assert_eq!(forgets.say(&["SET", "{test}:format", "99"]), "+OK\r\n");
    assert!(refused(options(&forgets.url())).await.contains("another build"));
}

/// The rights that `deploy/README.md` lists are enough, and keys of others stay out of reach.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_with_few_rights_is_enough() {
    let server = RedisServer::start(&["--appendfsync", "always"]);
    let rights = include_str!("../../../deploy/README.md");
    let line = rights.lines().find(|line| line.starts_with("ACL SETUSER switchboard ")).expect("the rights");
    let line = line.replace("{switchboard}", "{test}");
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(server.say(&words), "+OK\r\n", "{line}");
    let url = format!("redis://switchboard:a-long-password@127.0.0.1:{}", server.port());
    let store = Redis::open(&Options { durability: Durability::Always, ..options(&url) }).await.unwrap();
    let seen = store.commit(batch("a", "one")).await.unwrap();
    let lease = claimed(&store).await;
    store.renew(&lease, Duration::from_secs(30)).await.unwrap();
    store.release(&lease, Again::Sleep { seen, until: None }).await.unwrap();
    assert_eq!((store.threads(0, 10).await.unwrap().len(), length(&store, "a").await), (1, 1));
    store.put("x", b"y").await.unwrap();
    assert_eq!(store.get("x").await.unwrap().as_deref(), Some(b"y".as_slice()));
    assert!(store.hold("x", "me", Duration::from_secs(1)).await.unwrap());
    let sentinel = RedisServer::sentinel(&server, 1, None, "");
    let named =
        format!("redis+sentinel://switchboard:a-long-password@127.0.0.1:{}/mymaster", sentinel.port());
    let by_sentinel =
        Redis::open(&Options { durability: Durability::Always, ..options(&named) }).await.unwrap();
    assert_eq!(length(&by_sentinel, "a").await, 1);
    sentinel::heard_at(&server, 2).await;
    let others = Redis::open(&Options { prefix: "other".to_owned(), ..options(&url) }).await;
    assert!(matches!(others, Err(Error::Away { why }) if why.contains("may not")));
}
