//! What one gateway of several does at a time: it asks for the right in the store, does it while it has the right, and has
//! ended before anybody else can have it.
//!
//! Whoever dies is followed within [`TTL`] and a second, whoever stops within a second or two. A gateway that stood still for
//! longer than that (a suspended machine) may do it beside the next until it asks again; that harms nothing, since what
//! comes in twice is taken once.

use std::{future::Future, pin::pin, sync::Arc, time::Duration};

use channel::{ChannelName, Health};
use store::Store;
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

/// How long the right is had without asking again: nobody listens for so long after a gateway died. Much less, and a store
/// that is away for a moment (another server takes over) ends what goes on.
const TTL: Duration = Duration::from_secs(15);
/// How often the right is kept: one asking may fail, and there is time for more.
const KEEP_EVERY: Duration = Duration::from_secs(5);
/// How often a right that another has is asked for, and one that could not be kept: nobody waits longer after a stop.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// How long the store may take to answer. One that does not answer is away.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// How long what goes on may take to end; then it is cut off. Nothing that was not taken is lost by that.
pub(crate) const END_WITHIN: Duration = Duration::from_secs(3);
/// A right that could not be kept for so long is taken for lost: there is time left to end, and for clocks that differ.
const LOST_AFTER: Duration = Duration::from_secs(10);

/// A channel that one gateway listens to, and who wants to be the one.
pub(crate) struct Alone {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) channel: ChannelName,
    /// This gateway's name, which no other has.
    pub(crate) by: String,
    pub(crate) health: Health,
}

/// Why this gateway does not have the right.
enum Not {
    /// Another one has it.
    Theirs,
    /// The store does not say.
    Away { why: String },
}

impl Alone {
    /// Does something again and again while this gateway has the right, until it stops. `work` ends within [`END_WITHIN`] once
    /// its token is cancelled, and not before.
    pub(crate) async fn run<Work: Future<Output = ()>>(
        self,
        work: impl Fn(CancellationToken) -> Work,
        stop: CancellationToken,
    ) {
        while !stop.is_cancelled() {
            match self.ask(Instant::now() + ANSWER_WITHIN).await {
                Ok(asked) => self.work(&work, asked, &stop).await,
                Err(Not::Theirs) => self.health.standby(),
                // Whoever needs the store says so, too.
                Err(Not::Away { why }) => {
                    tracing::debug!(channel = %self.channel, %why, "who listens is not known")
                }
            }
            tokio::select! {
                () = sleep(ASK_EVERY) => {}
                () = stop.cancelled() => {}
            }
        }
        // Also where it is another's, or an answer was lost: what this gateway does not have it cannot give back.
        let given_back = timeout(ANSWER_WITHIN, self.store.let_go(&self.right(), &self.by)).await;
        if !matches!(given_back, Ok(Ok(()))) {
            tracing::info!(channel = %self.channel, wait_s = TTL.as_secs(), "another gateway has to wait to listen");
        }
    }

    /// Does it until the right, which was asked for at `asked`, is lost, or the gateway stops.
    async fn work<Work: Future<Output = ()>>(
        &self,
        work: impl Fn(CancellationToken) -> Work,
        asked: Instant,
        stop: &CancellationToken,
    ) {
        tracing::info!(channel = %self.channel, "this gateway listens, and no other");
        self.health.starting();
        let ours = stop.child_token();
        let mut working = pin!(work(ours.clone()));
        let lost = tokio::select! {
            () = &mut working => return,
            lost = self.keep(asked) => lost,
        };
        ours.cancel();
        working.await;
        match lost {
            Not::Theirs => {
                tracing::warn!(channel = %self.channel, "another gateway took the right to listen");
                self.health.standby();
            }
            Not::Away { why } => {
                let why = format!("the right to listen could not be kept: {why}");
                self.health.down(why);
            }
        }
    }

    /// Keeps the right until it is lost; how it was.
    async fn keep(&self, mut asked: Instant) -> Not {
        let mut next = asked + KEEP_EVERY;
        loop {
            sleep_until(next).await;
            let lost_at = asked + LOST_AFTER;
            match self.ask(lost_at.min(Instant::now() + ANSWER_WITHIN)).await {
                Ok(again) => {
                    asked = again;
                    next = asked + KEEP_EVERY;
                }
                Err(Not::Theirs) => return Not::Theirs,
                Err(Not::Away { why }) => {
                    next = Instant::now() + ASK_EVERY;
                    if next >= lost_at {
                        sleep_until(lost_at).await;
                        return Not::Away { why };
                    }
                }
            }
        }
    }

    /// Asks for the right, and waits for the answer until then; when it was asked, if this gateway has it.
    async fn ask(&self, answer_by: Instant) -> Result<Instant, Not> {
        // The time begins here before it begins in the store, so it is over here first.
        let asked = Instant::now();
        match timeout_at(answer_by, self.store.hold(&self.right(), &self.by, TTL)).await {
            Ok(Ok(true)) => Ok(asked),
            Ok(Ok(false)) => Err(Not::Theirs),
            Ok(Err(error)) => Err(Not::Away { why: error.to_string() }),
            Err(_) => Err(Not::Away { why: "the store does not answer".to_owned() }),
        }
    }

    /// The name of the right.
    fn right(&self) -> String {
        format!("listen/{}", self.channel)
    }
}
