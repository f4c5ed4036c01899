//! What has one reader has one reader among several gateways: never two at once, and never none for long.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use channel::{Capabilities, Channel, ChannelName, Health, HealthState, Timestamp};
use runtime::{Serving, Settings, serve};
use store::{Clock, Store};
use testkit::{
    ManualClock, MemoryStore,
    doubles::{ChannelDouble, Fault, Hold, Listening, Op, StoreDouble},
};
use tokio::{
    runtime::Runtime,
    time::{Instant, sleep},
};

use crate::world::{World, count, until};

const SECOND: Duration = Duration::from_secs(1);
/// How long a right is had without being kept.
const TTL: Duration = Duration::from_secs(15);
/// When whoever waits for the right has looked again, for certain.
const LOOKED: Duration = Duration::from_millis(1_100);

/// A clock that goes with the time of the test, which may be paused.
struct Along(Instant);

impl Clock for Along {
    fn now(&self) -> Timestamp {
        ManualClock::default().now().checked_add(self.0.elapsed()).unwrap()
    }
}

/// One of several gateways on one store.
struct Gateway {
    /// Its way to the store.
    store: Arc<StoreDouble>,
    chat: Arc<ChannelDouble>,
    health: Health,
    serving: Serving,
}

fn memory(clock: impl Clock + 'static) -> Arc<MemoryStore> {
    Arc::new(MemoryStore::new(Arc::new(clock)))
}

fn one_reader() -> Arc<ChannelDouble> {
    ChannelDouble::with(Capabilities { one_reader: true, ..ChannelDouble::new().capabilities() })
}

impl Gateway {
    fn start(world: &World, shared: &Arc<MemoryStore>, worker: &str) -> Self {
        Self::with(world, shared, worker, one_reader())
    }

    fn with(world: &World, shared: &Arc<MemoryStore>, worker: &str, chat: Arc<ChannelDouble>) -> Self {
        let (store, health) = (StoreDouble::before(shared.clone()), Health::default());
        let name = ChannelName::new("chat");
        let board = world.board_with(|board| {
            board.store = store.clone();
            board.channels = BTreeMap::from([(name.clone(), chat.clone() as _)]);
            board.health = BTreeMap::from([(name, health.clone())]);
            board.settings.worker = worker.to_owned();
        });
        let this = Self { store, chat, health, serving: serve(board) };
        this.store_is(Fault::None);
        this
    }

    /// How its store is from now on. There is no work to claim in these tests, so nobody looks for any.
    fn store_is(&self, fault: Fault) {
        let never = Hold::new();
        self.store.fails(move |op| match op {
            Op::Claim(_) => Fault::Held(never.clone()),
            _ => fault.clone(),
        });
    }

    fn listens(&self) -> bool {
        self.chat.listenings().last().is_some_and(|listening| listening.to.is_none())
    }

    fn why(&self) -> String {
        match self.health.state() {
            HealthState::Down { why } => why,
            HealthState::Starting | HealthState::Up | HealthState::Standby => String::new(),
        }
    }
}

/// Of several, exactly one listens, and for how long nobody did at most.
fn one_at_a_time<'a>(chats: impl IntoIterator<Item = &'a Arc<ChannelDouble>>) -> Duration {
    let mut all: Vec<Listening> = chats.into_iter().flat_map(|chat| chat.listenings()).collect();
    all.sort_by_key(|listening| listening.from);
    let mut longest = Duration::ZERO;
    for pair in all.windows(2) {
        let (before, after) = (pair[0], pair[1]);
        assert!(before.to.is_some_and(|to| to <= after.from), "two listened at once: {before:?}, {after:?}");
        longest = longest.max(after.from - before.to.unwrap());
    }
    longest
}

#[tokio::test(start_paused = true)]
async fn one_of_several_listens_and_the_others_wait() {
    let (world, shared) = (World::new(), memory(Along(Instant::now())));
    let gateways = ["a", "b", "c"].map(|name| Gateway::start(&world, &shared, name));
    sleep(Duration::from_secs(100)).await;
    let states: Vec<HealthState> = gateways.iter().map(|gateway| gateway.health.state()).collect();
    assert_eq!(states, [HealthState::Up, HealthState::Standby, HealthState::Standby]);
    assert_eq!(gateways.each_ref().map(|gateway| gateway.chat.listened()), [1, 0, 0]);
    assert_eq!(gateways.each_ref().map(|gateway| gateway.chat.attended()), [1, 1, 1]);
}

#[tokio::test(start_paused = true)]
async fn what_has_many_readers_is_listened_to_by_every_gateway() {
    let (world, shared) = (World::new(), memory(Along(Instant::now())));
    let gateways = ["a", "b"].map(|name| Gateway::with(&world, &shared, name, ChannelDouble::new()));
    sleep(SECOND).await;
    assert_eq!(gateways.each_ref().map(Gateway::listens), [true, true]);
}

#[tokio::test]
async fn a_gateway_that_waits_sends_and_works() {
    let (mut world, clock) = (World::new(), ManualClock::default());
    let shared = memory(clock.clone());
    assert!(shared.hold("listen/chat", "another", TTL).await.unwrap());
    world.chat = one_reader();
    let store = StoreDouble::before(shared.clone());
    let board = world.board_with(|board| {
        board.store = store;
        board.clock = Arc::new(clock);
    });
    let health = board.health[&ChannelName::new("chat")].clone();
    let inbound = world.inbound("ben", "p", "hello");
    let serving = serve(board.clone());
    until("it waits", || health.state() == HealthState::Standby).await;
    channel::Inbox::accept(&runtime::Door::new(board.clone(), ChannelName::new("chat")), inbound)
        .await
        .unwrap();
    assert_eq!(world.chat.sent_count(1).await.len(), 1);
    let thread = crate::world::id("p");
    let began = Instant::now();
    while count(&board.thread(&thread).await.unwrap(), "delivered") == 0 {
        assert!(began.elapsed() < Duration::from_secs(20), "it was sent, and nobody says so");
        sleep(Duration::from_millis(5)).await;
    }
    assert_eq!((world.chat.listened(), world.chat.attended()), (0, 1));
    assert!(serving.stop().await);
    assert!(!shared.hold("listen/chat", "c", TTL).await.unwrap(), "it gave back what was another's");
}

#[tokio::test(start_paused = true)]
async fn whoever_stops_is_followed_at_once() {
    let (world, shared) = (World::new(), memory(Along(Instant::now())));
    let [a, b] = ["a", "b"].map(|name| Gateway::start(&world, &shared, name));
    sleep(SECOND * 60).await;
    assert_eq!(b.health.state(), HealthState::Standby);
    a.chat.lingers(SECOND);
    let began = Instant::now();
    assert!(a.serving.stop().await);
    assert!(began.elapsed() < SECOND * 2, "{:?}", began.elapsed());
    sleep(LOOKED).await;
    assert_eq!(b.health.state(), HealthState::Up);
    assert!(one_at_a_time([&a.chat, &b.chat]) < SECOND * 2);

    // One that does not end is cut off.
    let c = Gateway::start(&world, &shared, "c");
    sleep(SECOND * 20).await;
    b.chat.lingers(SECOND * 3_600);
    let began = Instant::now();
    assert!(b.serving.stop().await);
    assert!(began.elapsed() < SECOND * 4, "{:?}", began.elapsed());
    sleep(LOOKED).await;
    assert!(c.listens());
    one_at_a_time([&a.chat, &b.chat, &c.chat]);
}

/// A process that is killed says nothing: its tasks go with the runtime that they run on.
#[test]
fn whoever_dies_is_followed_when_its_time_is_over() {
    let (world, clock) = (World::new(), ManualClock::default());
    let shared = memory(clock.clone());
    let [dies, lives] = [(); 2].map(|()| Runtime::new().unwrap());
    let a = dies.block_on(async {
        let a = Gateway::start(&world, &shared, "a");
        until("it listens", || a.listens()).await;
        a
    });
    lives.block_on(async {
        let b = Gateway::start(&world, &shared, "b");
        until("the other waits", || b.health.state() == HealthState::Standby).await;
        dies.shutdown_background();
        until("it is dead", || !a.listens()).await;
        clock.advance(TTL.saturating_sub(SECOND));
        sleep(LOOKED).await;
        assert!(!b.listens(), "the time of the first is not over");
        clock.advance(SECOND);
        until("the other listens", || b.listens()).await;
        one_at_a_time([&a.chat, &b.chat]);
        assert!(b.serving.stop().await);
    });
}

#[tokio::test(start_paused = true)]
async fn whoever_loses_the_store_ends_before_another_begins() {
    for (lingers, hangs) in [(0, false), (2, false), (3_600, false), (0, true), (3_600, true)] {
        let (world, shared) = (World::new(), memory(Along(Instant::now())));
        let [a, b] = ["a", "b"].map(|name| Gateway::start(&world, &shared, name));
        a.chat.lingers(SECOND * lingers);
        sleep(Duration::from_millis(33_300)).await;
        assert!(a.listens());
        a.store_is(if hangs { Fault::Held(Hold::new()) } else { Fault::Away });
        let began = Instant::now();
        sleep(Duration::from_secs(18)).await;
        let ended = a.chat.listenings()[0].to.unwrap();
        assert!(ended - began < Duration::from_secs(13), "{:?}", ended - began);
        assert!(a.why().starts_with("the right to listen could not be kept: the store"), "{}", a.why());
        assert!(b.listens() && !a.listens());
        let gap = one_at_a_time([&a.chat, &b.chat]);
        assert!(gap >= SECOND * 2, "clocks may differ, and {gap:?} is little");
        if !hangs {
            a.store_is(Fault::None);
            sleep(LOOKED).await;
            assert_eq!(a.health.state(), HealthState::Standby);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_for_a_moment_ends_nothing() {
    let (world, shared) = (World::new(), memory(Along(Instant::now())));
    let [a, b] = ["a", "b"].map(|name| Gateway::start(&world, &shared, name));
    for n in 0..50 {
        sleep(Duration::from_millis(8_000 + n * 100)).await;
        a.store_is(Fault::Away);
        sleep(Duration::from_millis(3_900)).await;
        a.store_is(Fault::None);
    }
    assert_eq!((a.chat.listened(), b.chat.listened()), (1, 0));
    assert_eq!(a.health.state(), HealthState::Up);
}

/// Nothing should take a right that is kept; where something did (a store that was set back), there is one reader again.
#[tokio::test(start_paused = true)]
async fn whoever_finds_the_right_with_another_ends_at_once() {
    let (world, shared) = (World::new(), memory(Along(Instant::now())));
    let a = Gateway::start(&world, &shared, "a");
    sleep(SECOND).await;
    assert!(a.listens());
    shared.let_go("listen/chat", "a").await.unwrap();
    assert!(shared.hold("listen/chat", "another", TTL).await.unwrap());
    sleep(Duration::from_millis(4_500)).await;
    assert!(!a.listens());
    assert_eq!(a.health.state(), HealthState::Standby);
    sleep(TTL).await;
    assert!(a.listens(), "the other is gone");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_lost_leaves_no_right_behind() {
    let (world, shared) = (World::new(), memory(Along(Instant::now())));
    let a = Gateway::start(&world, &shared, "a");
    a.store.fails(|op| if matches!(op, Op::Hold(_)) { Fault::Lost } else { Fault::None });
    sleep(SECOND * 5).await;
    assert_eq!((a.chat.listened(), a.health.state()), (0, HealthState::Starting));
    assert!(a.serving.stop().await);
    assert!(shared.hold("listen/chat", "b", TTL).await.unwrap());
}

/// Gateways come, stop, and lose the store and find it again, in many ways: never do two listen, and never nobody for long.
#[tokio::test(start_paused = true)]
async fn in_any_history_one_listens_at_a_time() {
    let mut histories = 0;
    for seed in 0..20_u64 {
        let mut random = (seed + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut next = move |below: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random % below
        };
        let (world, shared) = (World::new(), memory(Along(Instant::now())));
        let start = |n: usize| Gateway::start(&world, &shared, &n.to_string());
        let mut gateways: Vec<Gateway> = (0..3).map(start).collect();
        let mut chats: Vec<_> = gateways.iter().map(|gateway| gateway.chat.clone()).collect();
        for _ in 0..40 {
            let which = usize::try_from(next(3)).unwrap();
            match next(6) {
                0 => {
                    let another = start(chats.len());
                    chats.push(another.chat.clone());
                    std::mem::replace(&mut gateways[which], another).serving.stop().await;
                }
                1 | 2 => gateways[which].store_is(Fault::Away),
                3 => gateways[which].store_is(Fault::Late(SECOND * 3)),
                _ => gateways.iter().for_each(|gateway| gateway.store_is(Fault::None)),
            }
            gateways[which].chat.lingers(SECOND * u32::try_from(next(5)).unwrap());
            sleep(Duration::from_millis(next(20_000))).await;
        }
        gateways.iter().for_each(|gateway| gateway.store_is(Fault::None));
        sleep(TTL + LOOKED).await;
        assert_eq!(gateways.iter().filter(|gateway| gateway.listens()).count(), 1);
        one_at_a_time(&chats);
        for gateway in gateways {
            gateway.serving.stop().await;
        }
        histories += chats.iter().map(|chat| chat.listened()).sum::<usize>();
    }
    assert!(histories > 100, "nothing ever happened: {histories}");
}

/// In containers every gateway is the process with the same number.
#[test]
fn no_two_gateways_have_the_same_name() {
    assert_ne!(Settings::default().worker, Settings::default().worker);
}
