//! A store before a store, that fails as it is told to.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use agent::{Home, Record, ThreadId, Version};
use async_trait::async_trait;
use channel::{DeliveryKey, InboundKey};
use store::{Again, Batch, Claim, Error, Lease, Page, Sent, SentQuery, Store, Summary, Work};

use super::play::Hold;

/// What a store is asked to do.
#[derive(Clone, Copy, Debug)]
pub enum Op<'a> {
    /// [`Store::load`].
    Load(&'a ThreadId),
    /// [`Store::commit`].
    Commit(&'a Batch),
    /// [`Store::claim`].
    Claim(&'a Claim),
    /// [`Store::renew`].
    Renew(&'a Lease),
    /// [`Store::release`].
    Release(&'a Lease, &'a Again),
    /// [`Store::latest`].
    Latest(&'a Home),
    /// [`Store::threads`].
    Threads,
    /// [`Store::buried`].
    Buried,
    /// [`Store::oldest`].
    Oldest,
    /// [`Store::retire`].
    Retire(&'a ThreadId),
    /// [`Store::retired`].
    Retired,
    /// [`Store::sent`].
    Sent(&'a SentQuery),
    /// [`Store::get`].
    Get(&'a str),
    /// [`Store::put`].
    Put(&'a str),
    /// [`Store::put_once`].
    PutOnce(&'a str),
    /// [`Store::values`].
    Values,
    /// [`Store::keys`].
    Keys,
    /// [`Store::hold`].
    Hold(&'a str),
    /// [`Store::let_go`].
    LetGo(&'a str),
    /// [`Store::logs`].
    Logs,
    /// [`Store::reset`].
    Reset,
    /// [`Store::restore`].
    Restore,
}

/// How it fails.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Not at all.
    None,
    /// It is away; nothing was done.
    Away,
    /// It does it, and says that it is away: the answer was lost.
    Lost,
    /// It says that the lease is lost; nothing was done.
    Fenced,
    /// It says that an event of this thread cannot be read; nothing was done.
    Unreadable(ThreadId),
    /// It does it so much later.
    Late(Duration),
    /// It does it when the test lets it.
    Held(Hold),
}

type Rule = Box<dyn FnMut(Op<'_>) -> Fault + Send>;

/// A store before a store, that fails as it is told to, and remembers the batches that were written.
pub struct StoreDouble {
    inner: Arc<dyn Store>,
    rule: Mutex<Rule>,
    commits: Mutex<Vec<Batch>>,
}

impl StoreDouble {
    /// Before this store; fails never.
    pub fn before(inner: Arc<dyn Store>) -> Arc<Self> {
        Arc::new(Self { inner, rule: Mutex::new(Box::new(|_| Fault::None)), commits: Mutex::default() })
    }

    /// Decides how each operation fails.
    pub fn fails(&self, rule: impl FnMut(Op<'_>) -> Fault + Send + 'static) {
        *self.rule.lock().unwrap_or_else(PoisonError::into_inner) = Box::new(rule);
    }

    /// Fails the n-th commit from now on (0 is the next one) that fits, and no other.
    pub fn fails_commit(&self, n: usize, fault: Fault, fits: impl Fn(&Batch) -> bool + Send + 'static) {
        let mut left = Some(n);
        self.fails(move |op| match (op, left) {
            (Op::Commit(batch), Some(0)) if fits(batch) => {
                left = None;
                fault.clone()
            }
            (Op::Commit(batch), Some(n)) if fits(batch) => {
                left = Some(n - 1);
                Fault::None
            }
            _ => Fault::None,
        });
    }

    /// Every operation fails, until [`Self::back`].
    pub fn away(&self) {
        self.fails(|_| Fault::Away);
    }

    /// Nothing fails any more.
    pub fn back(&self) {
        self.fails(|_| Fault::None);
    }

    /// The batches that were written, in this order.
    pub fn commits(&self) -> Vec<Batch> {
        self.commits.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn through<T>(
        &self,
        op: Op<'_>,
        work: impl Future<Output = Result<T, Error>> + Send,
    ) -> Result<T, Error> {
        let fault = (self.rule.lock().unwrap_or_else(PoisonError::into_inner))(op);
        let away = || Error::Away { why: "the double was told so".to_owned() };
        match fault {
            Fault::None => work.await,
            Fault::Away => Err(away()),
            Fault::Lost => work.await.and_then(|_| Err(away())),
            Fault::Fenced => Err(Error::Fenced { on: "the double was told so".to_owned() }),
            Fault::Unreadable(thread) => {
                let why = "the double was told so".to_owned();
                Err(Error::Unreadable { thread, seq: 0, why })
            }
            Fault::Late(delay) => {
                tokio::time::sleep(delay).await;
                work.await
            }
            Fault::Held(hold) => {
                hold.pass().await;
                work.await
            }
        }
    }
}

#[async_trait]
impl Store for StoreDouble {
    async fn load(&self, thread: &ThreadId, from: Version) -> Result<Vec<Record>, Error> {
        self.through(Op::Load(thread), self.inner.load(thread, from)).await
    }

    async fn commit(&self, batch: Batch) -> Result<Version, Error> {
        let written = batch.clone();
        let work = async {
            let version = self.inner.commit(batch.clone()).await?;
            self.commits.lock().unwrap_or_else(PoisonError::into_inner).push(batch.clone());
            Ok(version)
        };
        self.through(Op::Commit(&written), work).await
    }

    async fn claim(&self, claim: Claim) -> Result<Vec<Work>, Error> {
        self.through(Op::Claim(&claim), self.inner.claim(claim.clone())).await
    }

    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<(), Error> {
        self.through(Op::Renew(lease), self.inner.renew(lease, ttl)).await
    }

    async fn release(&self, lease: &Lease, again: Again) -> Result<(), Error> {
        self.through(Op::Release(lease, &again), self.inner.release(lease, again.clone())).await
    }

    async fn latest(&self, home: &Home) -> Result<Option<ThreadId>, Error> {
        self.through(Op::Latest(home), self.inner.latest(home)).await
    }

    async fn threads(&self, skip: usize, limit: usize) -> Result<Vec<Summary>, Error> {
        self.through(Op::Threads, self.inner.threads(skip, limit)).await
    }

    async fn buried(&self, limit: usize) -> Result<Vec<Summary>, Error> {
        self.through(Op::Buried, self.inner.buried(limit)).await
    }

    async fn oldest(&self, skip: usize, limit: usize) -> Result<Vec<Summary>, Error> {
        self.through(Op::Oldest, self.inner.oldest(skip, limit)).await
    }

    async fn retire(
        &self,
        thread: &ThreadId,
        version: Version,
        messages: &[DeliveryKey],
    ) -> Result<(), Error> {
        self.through(Op::Retire(thread), self.inner.retire(thread, version, messages)).await
    }

    async fn retired(&self, from: &str) -> Result<Page<ThreadId>, Error> {
        self.through(Op::Retired, self.inner.retired(from)).await
    }

    async fn sent(&self, query: SentQuery) -> Result<Vec<Sent>, Error> {
        self.through(Op::Sent(&query), self.inner.sent(query.clone())).await
    }

    async fn get(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        self.through(Op::Get(name), self.inner.get(name)).await
    }

    async fn put(&self, name: &str, value: &[u8]) -> Result<(), Error> {
        self.through(Op::Put(name), self.inner.put(name, value)).await
    }

    async fn put_once(&self, name: &str, value: &[u8]) -> Result<bool, Error> {
        self.through(Op::PutOnce(name), self.inner.put_once(name, value)).await
    }

    async fn values(&self, from: &str) -> Result<Page<String>, Error> {
        self.through(Op::Values, self.inner.values(from)).await
    }

    async fn keys(&self, from: &str) -> Result<Page<(InboundKey, ThreadId)>, Error> {
        self.through(Op::Keys, self.inner.keys(from)).await
    }

    async fn hold(&self, name: &str, by: &str, ttl: Duration) -> Result<bool, Error> {
        self.through(Op::Hold(name), self.inner.hold(name, by, ttl)).await
    }

    async fn let_go(&self, name: &str, by: &str) -> Result<(), Error> {
        self.through(Op::LetGo(name), self.inner.let_go(name, by)).await
    }

    async fn logs(&self, from: &str) -> Result<Page<ThreadId>, Error> {
        self.through(Op::Logs, self.inner.logs(from)).await
    }

    async fn reset(&self) -> Result<(), Error> {
        self.through(Op::Reset, self.inner.reset()).await
    }

    async fn restore(&self, messages: Vec<Sent>) -> Result<(), Error> {
        self.through(Op::Restore, self.inner.restore(messages)).await
    }
}
