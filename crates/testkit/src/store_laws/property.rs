//! The law of laws: whatever is done, in whatever order, a store answers as [`MemoryStore`] does.

use std::{sync::Arc, time::Duration};

use agent::{ThreadId, Version};
use channel::{DeliveryKey, MessageRef};
use proptest::{
    collection::vec,
    option,
    prelude::{Just, Strategy, any, prop_oneof},
    test_runner::{Config, TestCaseError, TestRunner},
};
use store::{Again, Batch, CLAIM_MAX, Clock, Error, Lease, SendState, Sent, SentQuery, Settle, Store, Work};
use tokio::{runtime::Handle, task::spawn_blocking};

use super::{Open, TTL, World, address, key, message, sends, thread, turns};
use crate::MemoryStore;

const THREADS: usize = 3;
const PLACES: usize = 2;
/// So many names may the messages of a thread have.
const NAMES: u8 = 16;

/// Random histories, done to the store and to the reference, give the same answers and leave the same state.
pub async fn any_history_agrees_with_the_reference(open: &impl Open) {
    // Proptest is not asynchronous: it makes the histories on a thread of its own, and each is done here.
    let (histories, mut inbox) = tokio::sync::mpsc::channel::<(Vec<Op>, Verdict)>(1);
    let making = spawn_blocking(move || {
        let config = Config { cases: 40, failure_persistence: None, ..Config::default() };
        TestRunner::new(config).run(&vec(op(), 1..40), |ops| {
            let (verdict, answer) = tokio::sync::oneshot::channel();
            let sent = histories.blocking_send((ops, verdict));
            sent.map_err(|_| TestCaseError::fail("the store's side has gone away"))?;
            Handle::current()
                .block_on(answer)
                .unwrap_or_else(|_| Err("a panic".to_owned()))
                .map_err(TestCaseError::fail)
        })
    });
    while let Some((ops, verdict)) = inbox.recv().await {
        let mut pair = Pair::new(World::new(open).await);
        // The runner may have gone away, for having seen enough.
        verdict.send(pair.run(ops).await).ok();
    }
    if let Err(failure) = making.await.unwrap() {
        panic!("{failure}");
    }
}

type Verdict = tokio::sync::oneshot::Sender<Result<(), String>>;

#[derive(Clone, Debug)]
enum Op {
    Commit(Change),
    Turns,
    Sends,
    Renew(usize),
    Sleep { lease: usize, behind: u64, until: Option<u64> },
    Retry { lease: usize, after: u64 },
    Stuck { lease: usize, after: u64 },
    Bury { lease: usize },
    Calm,
    Retire { thread: usize, behind: u64, next: bool },
    Advance(u64),
    Put(u8, Vec<u8>),
    Hold { name: u8, by: u8, ttl: u64 },
    LetGo { name: u8, by: u8 },
    Reset,
    Restore { thread: usize, place: usize, name: u8, state: SendState },
}

#[derive(Clone, Debug)]
struct Change {
    thread: usize,
    /// How far the expectation is from the truth.
    expect: Option<u64>,
    fence: Option<usize>,
    events: usize,
    keys: Vec<u8>,
    /// Places, and which of a few names.
    outgoing: Vec<(usize, u8)>,
    wake: bool,
    settle: Option<(usize, bool)>,
}

fn op() -> impl Strategy<Value = Op> {
    let lease = 0..6_usize;
    let change = (
        0..THREADS,
        option::weighted(0.5, prop_oneof![4 => Just(0_u64), 1 => 1..3_u64]),
        option::weighted(0.3, lease.clone()),
        0..3_usize,
        vec(0..12_u8, 0..2),
        vec((0..PLACES, any::<u8>()), 0..3),
        any::<bool>(),
        option::weighted(0.4, (lease.clone(), any::<bool>())),
    )
        .prop_map(|(thread, expect, fence, events, keys, outgoing, wake, settle)| {
            Op::Commit(Change { thread, expect, fence, events, keys, outgoing, wake, settle })
        });
    let state = prop_oneof![Just(SendState::Waiting), Just(SendState::Sent), Just(SendState::Dead)];
    prop_oneof![
        6 => change,
        3 => Just(Op::Turns),
        3 => Just(Op::Sends),
        1 => lease.clone().prop_map(Op::Renew),
        3 => (lease.clone(), 0..2_u64, option::of(0..40_u64))
            .prop_map(|(lease, behind, until)| Op::Sleep { lease, behind, until }),
        1 => (lease.clone(), 0..40_u64).prop_map(|(lease, after)| Op::Retry { lease, after }),
        1 => (lease.clone(), 0..40_u64).prop_map(|(lease, after)| Op::Stuck { lease, after }),
        1 => lease.prop_map(|lease| Op::Bury { lease }),
        2 => Just(Op::Calm),
        3 => (0..THREADS, prop_oneof![6 => Just(0_u64), 1 => Just(1)], any::<bool>())
            .prop_map(|(thread, behind, next)| Op::Retire { thread, behind, next }),
        2 => prop_oneof![0..5_u64, Just(31)].prop_map(Op::Advance),
        1 => (0..3_u8, vec(any::<u8>(), 0..4)).prop_map(|(name, value)| Op::Put(name, value)),
        2 => (0..2_u8, 0..3_u8, 0..8_u64).prop_map(|(name, by, ttl)| Op::Hold { name, by, ttl }),
        1 => (0..2_u8, 0..3_u8).prop_map(|(name, by)| Op::LetGo { name, by }),
        1 => Just(Op::Reset),
        1 => (0..THREADS, 0..PLACES, any::<u8>(), state)
            .prop_map(|(thread, place, name, state)| Op::Restore { thread, place, name, state }),
    ]
}

/// The store under test and the reference, on one clock.
struct Pair {
    world: World,
    reference: Arc<dyn Store>,
    /// Leases that were given out, youngest first: the store's and the reference's.
    leases: Vec<(Lease, Lease)>,
    /// Which thread in a row is written at each home.
    generations: [u32; THREADS],
}

impl Pair {
    fn new(world: World) -> Self {
        let reference = Arc::new(MemoryStore::new(Arc::new(world.clock.clone())));
        Self { world, reference, leases: Vec::new(), generations: [1; THREADS] }
    }

    async fn run(&mut self, ops: Vec<Op>) -> Result<(), String> {
        for (n, op) in ops.into_iter().enumerate() {
            let what = format!("operation {n}, {op:?}");
            let (ours, theirs) = self.apply(op).await;
            same(&what, &ours, &theirs)?;
            let ours = picture(&self.world.store, &self.generations).await;
            let theirs = picture(&self.reference, &self.generations).await;
            same(&format!("the state after {what}"), &ours, &theirs)?;
        }
        Ok(())
    }

    /// Does one thing to both; returns what they said.
    async fn apply(&mut self, op: Op) -> (String, String) {
        match op {
            Op::Commit(change) => {
                let (ours, theirs) = self.batches(change).await;
                (said(self.world.store.commit(ours).await), said(self.reference.commit(theirs).await))
            }
            Op::Turns => self.claim(turns(CLAIM_MAX, Duration::ZERO)).await,
            Op::Sends => self.claim(sends("mail", CLAIM_MAX, Duration::ZERO)).await,
            Op::Renew(n) => {
                let (ours, theirs) = self.lease(n);
                (
                    said(self.world.store.renew(&ours, TTL).await),
                    said(self.reference.renew(&theirs, TTL).await),
                )
            }
            Op::Sleep { lease, behind, until } => {
                let (ours, theirs) = self.lease(lease);
                let version = match ThreadId::parse(&ours.on) {
                    Some(thread) => self.version(&thread).await,
                    None => Version(0),
                };
                let seen = Version(version.0.saturating_sub(behind));
                self.release(ours, theirs, Again::Sleep { seen, until: until.map(|s| self.after(s)) }).await
            }
            Op::Retry { lease, after } => {
                let (ours, theirs) = self.lease(lease);
                let again = Again::Retry { at: self.after(after), why: format!("after {after}") };
                self.release(ours, theirs, again).await
            }
            Op::Stuck { lease, after } => {
                let (ours, theirs) = self.lease(lease);
                let again = Again::Stuck { at: self.after(after), why: format!("after {after}") };
                self.release(ours, theirs, again).await
            }
            Op::Bury { lease } => {
                let (ours, theirs) = self.lease(lease);
                match ThreadId::parse(&ours.on) {
                    Some(_) => self.release(ours, theirs, Again::Bury { why: "poison".to_owned() }).await,
                    None => (String::new(), String::new()),
                }
            }
            Op::Calm => self.calm().await,
            Op::Retire { thread, behind, next } => {
                let id = self.thread(thread);
                let names: Vec<_> = (0..NAMES).map(|n| message(&id, "0", &n.to_string()).key).collect();
                let version = Version(self.version(&id).await.0 + behind);
                let ours = self.world.store.retire(&id, version, &names).await;
                let theirs = self.reference.retire(&id, version, &names).await;
                // What follows is written to the next one, or to the one that is gone.
                if let Some(generation) = self.generations.get_mut(thread).filter(|_| next && theirs.is_ok())
                {
                    *generation += 1;
                }
                (said(ours), said(theirs))
            }
            Op::Advance(seconds) => {
                self.world.clock.advance(Duration::from_secs(seconds));
                (String::new(), String::new())
            }
            Op::Put(name, value) => {
                let name = name.to_string();
                (
                    said(self.world.store.put(&name, &value).await),
                    said(self.reference.put(&name, &value).await),
                )
            }
            Op::Hold { name, by, ttl } => {
                let (name, by, ttl) = (name.to_string(), by.to_string(), Duration::from_secs(ttl));
                (
                    said(self.world.store.hold(&name, &by, ttl).await),
                    said(self.reference.hold(&name, &by, ttl).await),
                )
            }
            Op::LetGo { name, by } => {
                let (name, by) = (name.to_string(), by.to_string());
                (
                    said(self.world.store.let_go(&name, &by).await),
                    said(self.reference.let_go(&name, &by).await),
                )
            }
            Op::Reset => {
                // Nobody works on the store meanwhile.
                self.leases.clear();
                (said(self.world.store.reset().await), said(self.reference.reset().await))
            }
            Op::Restore { thread: n, place, name, state } => {
                let thread = self.thread(n);
                // Messages are put back for threads that are there.
                if self.version(&thread).await == Version(0) {
                    return (String::new(), String::new());
                }
                let outgoing = message(&thread, &place.to_string(), &format!("{}", name % NAMES));
                let message = (state == SendState::Sent).then(|| MessageRef::new(format!("name {n}")));
                let sent = vec![Sent { thread, outgoing, state, message, error: None }];
                (said(self.world.store.restore(sent.clone()).await), said(self.reference.restore(sent).await))
            }
        }
    }

    /// Everything that is due is worked on, and goes well.
    async fn calm(&mut self) -> (String, String) {
        let mut all = (String::new(), String::new());
        let mut add = |(ours, theirs): (String, String)| {
            all.0.push_str(&ours);
            all.1.push_str(&theirs);
        };
        let before = self.leases.len();
        add(self.claim(turns(CLAIM_MAX, Duration::ZERO)).await);
        for (ours, theirs) in self.leases[..self.leases.len() - before].iter().cloned() {
            let version = self.version(&ThreadId::parse(&ours.on).unwrap()).await;
            add(self.release(ours, theirs, Again::Sleep { seen: version, until: None }).await);
        }
        loop {
            let before = self.leases.len();
            add(self.claim(sends("mail", CLAIM_MAX, Duration::ZERO)).await);
            if self.leases.len() == before {
                return all;
            }
            for (ours, theirs) in self.leases[..self.leases.len() - before].iter().cloned() {
                let (thread, _, _) = agent::caused_by(&DeliveryKey::new(&ours.on)).unwrap();
                let name = MessageRef::new(&ours.on);
                let settling = |lease| Batch {
                    settle: Some(Settle { lease, state: SendState::Sent, message: Some(name.clone()) }),
                    ..Batch::new(thread.clone())
                };
                add((
                    said(self.world.store.commit(settling(ours)).await),
                    said(self.reference.commit(settling(theirs)).await),
                ));
            }
        }
    }

    async fn batches(&self, change: Change) -> (Batch, Batch) {
        let thread = self.thread(change.thread);
        let version = self.version(&thread).await;
        let outgoing = change
            .outgoing
            .iter()
            .map(|(place, name)| message(&thread, &place.to_string(), &format!("{}", name % NAMES)));
        let batch = Batch {
            expect: change.expect.map(|off| Version(version.0 + off)),
            records: (0..change.events).map(|n| self.world.record(&format!("{version}+{n}"))).collect(),
            keys: change.keys.iter().map(|n| key(&n.to_string())).collect(),
            outgoing: outgoing.collect(),
            wake: change.wake,
            ..Batch::new(thread)
        };
        let fence = change.fence.map(|n| self.lease(n)).unzip();
        let settle = change.settle.map(|(n, dead)| {
            let (ours, theirs) = self.lease(n);
            let state = if dead { SendState::Dead } else { SendState::Sent };
            let name = MessageRef::new(format!("name {n}"));
            let settle = |lease| Settle { lease, state, message: Some(name.clone()) };
            (settle(ours), settle(theirs))
        });
        let settle = settle.unzip();
        (
            Batch { fence: fence.0, settle: settle.0, ..batch.clone() },
            Batch { fence: fence.1, settle: settle.1, ..batch },
        )
    }

    async fn claim(&mut self, claim: store::Claim) -> (String, String) {
        let mut ours = self.world.store.claim(claim.clone()).await.unwrap();
        let mut theirs = self.reference.claim(claim).await.unwrap();
        // Among those that fell due at the same time the order is free, and how epochs are counted is too.
        ours.sort_by(|a, b| lease_of(a).on.cmp(&lease_of(b).on));
        theirs.sort_by(|a, b| lease_of(a).on.cmp(&lease_of(b).on));
        for (a, b) in ours.iter().zip(&theirs) {
            self.leases.insert(0, (lease_of(a).clone(), lease_of(b).clone()));
        }
        let show = |work: &[Work]| work.iter().map(without_epoch).collect::<Vec<_>>().join("\n");
        (show(&ours), show(&theirs))
    }

    async fn release(&self, ours: Lease, theirs: Lease, again: Again) -> (String, String) {
        (
            said(self.world.store.release(&ours, again.clone()).await),
            said(self.reference.release(&theirs, again).await),
        )
    }

    /// The n-th youngest lease, or one that never was.
    fn lease(&self, n: usize) -> (Lease, Lease) {
        let never = Lease { on: thread("never").as_str().to_owned(), epoch: 1 };
        self.leases.get(n).cloned().unwrap_or((never.clone(), never))
    }

    /// The thread that is written at a home now.
    fn thread(&self, n: usize) -> ThreadId {
        ThreadId::new(&thread(&n.to_string()).home(), self.generations[n])
    }

    async fn version(&self, thread: &ThreadId) -> Version {
        Version(self.reference.load(thread, Version(0)).await.unwrap().len() as u64)
    }

    fn after(&self, seconds: u64) -> channel::Timestamp {
        self.world.clock.now().checked_add(Duration::from_secs(seconds)).unwrap()
    }
}

/// All there is to see in a store.
async fn picture(store: &Arc<dyn Store>, generations: &[u32; THREADS]) -> String {
    let retired = super::retire::retired(store).await;
    let mut lines = vec![
        format!("{:?}", store.threads(0, 100).await.unwrap()),
        format!("{:?}", store.oldest(0, 100).await.unwrap()),
        format!("{:?}", store.buried(100).await.unwrap()),
        format!("{retired:?}"),
    ];
    for (n, youngest) in generations.iter().enumerate() {
        let home = thread(&n.to_string()).home();
        lines.push(format!("{:?}", store.latest(&home).await.unwrap()));
        for generation in 1..=*youngest {
            let thread = ThreadId::new(&home, generation);
            lines.push(format!("{:?}", store.load(&thread, Version(0)).await.unwrap()));
        }
    }
    for n in 0..PLACES {
        lines.push(format!("{:?}", store.sent(SentQuery::At(address(&n.to_string()))).await.unwrap()));
    }
    lines.push(format!("{:?}", store.sent(SentQuery::Waiting).await.unwrap()));
    for name in ["0", "1", "2"] {
        lines.push(format!("{:?}", store.get(name).await.unwrap()));
    }
    lines.join("\n")
}

fn lease_of(work: &Work) -> &Lease {
    match work {
        Work::Turn { lease, .. } | Work::Send { lease, .. } => lease,
    }
}

fn without_epoch(work: &Work) -> String {
    match work {
        Work::Turn { lease, thread, attempt } => format!("{} {thread} {attempt}", lease.on),
        Work::Send { lease, thread, outgoing, attempt, since } => {
            format!("{} {thread} {outgoing:?} {attempt} {since}", lease.on)
        }
    }
}

/// What was said, as far as it is laid down.
fn said<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    match result {
        Ok(value) => format!("{value:?}"),
        Err(refusal @ Error::Conflict { .. }) => format!("{refusal:?}"),
        Err(Error::Duplicate { .. }) => "duplicate".to_owned(),
        Err(Error::Fenced { .. }) => "fenced".to_owned(),
        Err(Error::NotAtRest { .. }) => "not at rest".to_owned(),
        Err(
            other @ (Error::Unreadable { .. }
            | Error::InUse { .. }
            | Error::Refused { .. }
            | Error::Away { .. }),
        ) => {
            format!("not a thing to say here: {other}")
        }
    }
}

fn same(what: &str, ours: &str, theirs: &str) -> Result<(), String> {
    if ours == theirs {
        return Ok(());
    }
    Err(format!("{what}:\n--- the store\n{ours}\n--- the reference\n{theirs}"))
}
