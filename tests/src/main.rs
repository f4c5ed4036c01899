//! The gateway under test: the same as `switchboard`, or with a store that ends the process at one of its writes.
//!
//! `SWITCHBOARD_CRASH=before:7` aborts the process just before its seventh write, `after:7` just after it, as a
//! `kill -9` at that instant would.

use std::{
    path::PathBuf,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use agent::{Home, Record, ThreadId, Version};
use async_trait::async_trait;
use channel::{DeliveryKey, InboundKey};
use store::{
    Again, Batch, Claim, Error, Lease, Page, Sent, SentQuery, Store, Summary, SystemClock, Wanted, Work,
};

fn main() -> ExitCode {
    let Ok(crash) = std::env::var("SWITCHBOARD_CRASH") else { return gateway::main() };
    let Some((side, write)) = crash.split_once(':') else { return ExitCode::FAILURE };
    let (Ok(write), Ok(config)) = (write.parse(), std::env::var("SWITCHBOARD_CONFIG")) else {
        return ExitCode::FAILURE;
    };
    let _ = rustls::crypto::ring::default_provider().install_default();
    let Ok(runtime) = tokio::runtime::Builder::new_multi_thread().enable_all().build() else {
        return ExitCode::FAILURE;
    };
    runtime.block_on(serve(PathBuf::from(config), side == "before", write));
    ExitCode::SUCCESS
}

async fn serve(config: PathBuf, before: bool, write: usize) {
    let Ok(assembled) = gateway::assemble(&config) else { return };
    let clock = Arc::new(SystemClock);
    let Ok(gateway::Opened { store: inner, .. }) = gateway::open(&assembled).await else { return };
    let store = Crashing { inner, before, write, writes: AtomicUsize::new(0) };
    let Ok(_serving) = gateway::start(assembled, Arc::new(store), clock).await else { return };
    std::future::pending::<()>().await;
}

/// A store that ends the process at one of its writes.
struct Crashing {
    inner: Arc<dyn Store>,
    before: bool,
    write: usize,
    writes: AtomicUsize,
}

impl Crashing {
    /// Counts a write that is about to be made.
    fn about(&self) -> usize {
        let write = self.writes.fetch_add(1, Ordering::SeqCst) + 1;
        if self.before && write == self.write {
            std::process::abort();
        }
        write
    }

    /// Says that the write was made.
    fn made(&self, write: usize) {
        if !self.before && write == self.write {
            std::process::abort();
        }
    }
}

#[async_trait]
impl Store for Crashing {
    async fn load(&self, thread: &ThreadId, from: Version) -> Result<Vec<Record>, Error> {
        self.inner.load(thread, from).await
    }

    async fn commit(&self, batch: Batch) -> Result<Version, Error> {
        let write = self.about();
        let result = self.inner.commit(batch).await;
        self.made(write);
        result
    }

    /// A claim writes only when it takes something, which is known only afterwards.
    async fn claim(&self, claim: Claim) -> Result<Vec<Work>, Error> {
        let sends = matches!(claim.wanted, Wanted::Sends(_));
        let result = self.inner.claim(claim).await;
        if sends && result.as_ref().is_ok_and(|works| !works.is_empty()) {
            let write = self.about();
            self.made(write);
        }
        result
    }

    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<(), Error> {
        self.inner.renew(lease, ttl).await
    }

    async fn release(&self, lease: &Lease, again: Again) -> Result<(), Error> {
        let write = self.about();
        let result = self.inner.release(lease, again).await;
        self.made(write);
        result
    }

    async fn latest(&self, home: &Home) -> Result<Option<ThreadId>, Error> {
        self.inner.latest(home).await
    }

    async fn threads(&self, skip: usize, limit: usize) -> Result<Vec<Summary>, Error> {
        self.inner.threads(skip, limit).await
    }

    async fn buried(&self, limit: usize) -> Result<Vec<Summary>, Error> {
        self.inner.buried(limit).await
    }

    async fn oldest(&self, skip: usize, limit: usize) -> Result<Vec<Summary>, Error> {
        self.inner.oldest(skip, limit).await
    }

    async fn retire(
        &self,
        thread: &ThreadId,
        version: Version,
        messages: &[DeliveryKey],
    ) -> Result<(), Error> {
        let write = self.about();
        let result = self.inner.retire(thread, version, messages).await;
        self.made(write);
        result
    }

    async fn retired(&self, from: &str) -> Result<Page<ThreadId>, Error> {
        self.inner.retired(from).await
    }

    async fn sent(&self, query: SentQuery) -> Result<Vec<Sent>, Error> {
        self.inner.sent(query).await
    }

    async fn get(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        self.inner.get(name).await
    }

    async fn put(&self, name: &str, value: &[u8]) -> Result<(), Error> {
        if name.starts_with("audit:") {
            // When something is sealed hangs on the time.
            return self.inner.put(name, value).await;
        }
        let write = self.about();
        let result = self.inner.put(name, value).await;
        self.made(write);
        result
    }

    /// No write that is counted, likewise.
    async fn put_once(&self, name: &str, value: &[u8]) -> Result<bool, Error> {
        self.inner.put_once(name, value).await
    }

    async fn values(&self, from: &str) -> Result<Page<String>, Error> {
        self.inner.values(from).await
    }

    async fn keys(&self, from: &str) -> Result<Page<(InboundKey, ThreadId)>, Error> {
        self.inner.keys(from).await
    }

    /// No write that is counted: how often a right is kept hangs on the time.
    async fn hold(&self, name: &str, by: &str, ttl: Duration) -> Result<bool, Error> {
        self.inner.hold(name, by, ttl).await
    }

    async fn let_go(&self, name: &str, by: &str) -> Result<(), Error> {
        self.inner.let_go(name, by).await
    }

    async fn logs(&self, from: &str) -> Result<Page<ThreadId>, Error> {
        self.inner.logs(from).await
    }

    async fn reset(&self) -> Result<(), Error> {
        self.inner.reset().await
    }

    async fn restore(&self, messages: Vec<Sent>) -> Result<(), Error> {
        self.inner.restore(messages).await
    }
}
