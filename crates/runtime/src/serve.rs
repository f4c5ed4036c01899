//! The life of the gateway: listen, step, send; then drain.
//!
//! Every task of the runtime is spawned here, and every one ends when the gateway stops.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use channel::{Channel, ChannelName, Health, HealthState, Inbox, Ingress};
use store::{Claim, SentQuery, Wanted, Work};
use tokio::{sync::Semaphore, task::JoinHandle, time::Instant};
use tokio_util::{
    sync::CancellationToken,
    task::{AbortOnDropHandle, TaskTracker},
};

use crate::{
    accept::Door,
    alone::{Alone, END_WITHIN},
    board::Board,
    deliver::Sending,
    effect::backoff,
    retire::sweeps,
    seal::seals,
    watch::watch,
};

/// How long one claim waits for work; a stop is noticed at once all the same.
const CLAIM_WAIT: Duration = Duration::from_secs(30);
/// How often messages are looked for whose channel is not configured any more.
const LOOK_FOR_STRAYS: Duration = Duration::from_secs(600);
/// How long the last seal may take; what is not sealed is at the next start.
const SEAL_WITHIN: Duration = Duration::from_secs(5);

/// A running gateway.
pub struct Serving {
    board: Arc<Board>,
    /// No new work is taken.
    stop: CancellationToken,
    tasks: TaskTracker,
    /// What goes on when all of them have ended.
    sealing: Option<Sealing>,
}

/// What seals, and how it hears that nothing more is written.
struct Sealing {
    ended: CancellationToken,
    task: JoinHandle<()>,
}

/// A channel, and what it listens with.
#[derive(Clone)]
struct Line {
    name: ChannelName,
    channel: Arc<dyn Channel>,
    inbox: Arc<dyn Inbox>,
    health: Health,
}

/// Starts everything: the channels listen, threads are stepped, messages are sent.
pub fn serve(board: Arc<Board>) -> Serving {
    let stop = CancellationToken::new();
    let tasks = TaskTracker::new();
    for (name, channel) in &board.channels {
        let line = Line {
            name: name.clone(),
            channel: channel.clone(),
            inbox: Arc::new(Door::new(board.clone(), name.clone())),
            health: board.health.get(name).cloned().unwrap_or_default(),
        };
        tasks.spawn(attend(line.clone(), stop.clone()));
        if channel.capabilities().one_reader {
            let alone = Alone {
                store: board.store.clone(),
                channel: name.clone(),
                by: board.settings.worker.clone(),
                health: line.health.clone(),
            };
            let work = move |stop| listen(line.clone(), stop, END_WITHIN);
            tasks.spawn(alone.run(work, stop.clone()));
        } else {
            tasks.spawn(listen(line, stop.clone(), board.settings.drain));
        }
    }
    tasks.spawn(step(board.clone(), stop.clone(), tasks.clone()));
    for name in board.channels.keys() {
        tasks.spawn(send(board.clone(), name.clone(), stop.clone(), tasks.clone()));
    }
    tasks.spawn(strays(board.clone(), stop.clone(), tasks.clone()));
    tasks.spawn(watch(board.clone(), stop.clone()));
    if let Some(retention) = board.settings.retention.clone() {
        tasks.spawn(sweeps(board.clone(), retention, stop.clone()));
    }
    let sealing = board.settings.audit.clone().map(|audit| {
        let ended = CancellationToken::new();
        Sealing { task: tokio::spawn(seals(board.clone(), audit, ended.clone())), ended }
    });
    Serving { board, stop, tasks, sealing }
}

impl Serving {
    /// The board it runs on.
    pub fn board(&self) -> &Arc<Board> {
        &self.board
    }

    /// Stops: nothing new is taken, work in flight may end within `Settings::drain`, the rest is left to the log.
    /// Returns whether everything ended in time.
    pub async fn stop(self) -> bool {
        self.stop.cancel();
        self.tasks.close();
        let limit = self.board.settings.drain + Duration::from_secs(5);
        let all = tokio::time::timeout(limit, self.tasks.wait()).await.is_ok();
        let Some(sealing) = self.sealing else { return all };
        sealing.ended.cancel();
        all && tokio::time::timeout(SEAL_WITHIN, sealing.task).await.is_ok()
    }
}

/// Keeps up what sending on a channel needs, whether it listens or not.
async fn attend(line: Line, stop: CancellationToken) {
    let mut attempt = 0;
    while !stop.is_cancelled() {
        let (channel, inbox, token) = (line.channel.clone(), line.inbox.clone(), stop.clone());
        let attending =
            AbortOnDropHandle::new(tokio::spawn(async move { channel.attend(inbox, token).await }));
        let Err(error) = attending.await else { return };
        attempt += 1;
        let wait = backoff(line.name.as_str(), attempt, Duration::from_secs(2), Duration::from_secs(300));
        tracing::error!(channel = %line.name, %error, wait_s = wait.as_secs(), "a fault in the channel itself");
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = stop.cancelled() => {}
        }
    }
}

/// Keeps a channel listening until it is to stop. It may take so long to end; then it is cut off.
async fn listen(line: Line, stop: CancellationToken, end_within: Duration) {
    let Line { name, channel, inbox, health } = line;
    let mut attempt = 0;
    while !stop.is_cancelled() {
        let began = Instant::now();
        let ingress = Ingress { inbox: inbox.clone(), health: health.clone(), stop: stop.clone() };
        // In a task of its own, so that a channel that panics is noticed and listens again.
        let channel = channel.clone();
        let mut listening =
            AbortOnDropHandle::new(tokio::spawn(async move { channel.listen(ingress).await }));
        let result = tokio::select! {
            result = &mut listening => result,
            () = async { stop.cancelled().await; tokio::time::sleep(end_within).await; } => {
                tracing::warn!(channel = %name, "the channel did not stop listening by itself");
                listening.abort();
                listening.await
            }
        };
        if stop.is_cancelled() {
            return;
        }
        let why = match result {
            Ok(Ok(())) => "it stopped listening".to_owned(),
            Ok(Err(error)) => error.to_string(),
            Err(error) => format!("a fault in the channel itself: {error}"),
        };
        attempt = if began.elapsed() > Duration::from_secs(60) { 1 } else { attempt + 1 };
        let wait = backoff(name.as_str(), attempt, Duration::from_secs(2), Duration::from_secs(300));
        tracing::error!(channel = %name, %why, wait_s = wait.as_secs(), "the channel does not listen");
        if health.state() == HealthState::Up || health.state() == HealthState::Starting {
            health.down(why);
        }
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = stop.cancelled() => {}
        }
    }
}

/// Claims threads that are due, and steps each in a task of its own.
async fn step(board: Arc<Board>, stop: CancellationToken, tasks: TaskTracker) {
    let places = Arc::new(Semaphore::new(board.settings.turns_max));
    claims(&board, &stop, &places, &Wanted::Turns, |work, place| {
        let Work::Turn { lease, thread, attempt } = work else { return };
        let (board, stop) = (board.clone(), stop.clone());
        tasks.spawn(async move {
            board.turn(lease, thread, attempt, &stop).await;
            drop(place);
        });
    })
    .await;
}

/// Claims messages of one channel that are due, and sends each in a task of its own. One slow channel, or one slow
/// place, holds up nobody else.
async fn send(board: Arc<Board>, name: ChannelName, stop: CancellationToken, tasks: TaskTracker) {
    let places = Arc::new(Semaphore::new(board.settings.sends_max));
    claims(&board, &stop, &places, &Wanted::Sends(name), |work, place| {
        let Work::Send { lease, thread, outgoing, attempt, since } = work else { return };
        // A store hands over no lease that is more than half over.
        let sure_until = Instant::now() + board.settings.lease / 2;
        let (board, stop) = (board.clone(), stop.clone());
        tasks.spawn(async move {
            let outgoing = *outgoing;
            let sending = Sending { lease, thread, outgoing, attempt, since, sure_until };
            tokio::select! {
                () = board.deliver(sending) => {}
                () = async { stop.cancelled().await; tokio::time::sleep(board.settings.drain).await; } => {}
            }
            drop(place);
        });
    })
    .await;
}

/// Sees to messages whose channel is not configured any more: they are tried, and given up in time, like all others, so
/// that nobody waits for an answer to a card that was never sent.
async fn strays(board: Arc<Board>, stop: CancellationToken, tasks: TaskTracker) {
    let mut known: BTreeSet<ChannelName> = board.channels.keys().cloned().collect();
    while !stop.is_cancelled() {
        // While the store is away everybody else says so.
        for sent in board.store.sent(SentQuery::Waiting).await.unwrap_or_default() {
            let name = sent.outgoing.to.channel;
            if known.insert(name.clone()) {
                tracing::warn!(channel = %name, "messages wait for a channel that is not configured any more");
                tasks.spawn(send(board.clone(), name, stop.clone(), tasks.clone()));
            }
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_FOR_STRAYS) => {}
            () = stop.cancelled() => {}
        }
    }
}

/// Claims as much as there is room for, until the gateway stops. What was claimed and not begun is never lost: its
/// lease runs out.
async fn claims(
    board: &Board,
    stop: &CancellationToken,
    places: &Arc<Semaphore>,
    wanted: &Wanted,
    begin: impl Fn(Work, tokio::sync::OwnedSemaphorePermit),
) {
    let mut failures = 0;
    while !stop.is_cancelled() {
        let Ok(first) = places.clone().acquire_owned().await else { return };
        let mut free = vec![first];
        while let Ok(place) = places.clone().try_acquire_owned() {
            free.push(place);
        }
        let claim = Claim {
            worker: board.settings.worker.clone(),
            wanted: wanted.clone(),
            max: free.len(),
            ttl: board.settings.lease,
            wait: CLAIM_WAIT,
        };
        // A claim that has begun is seen to its end unless nothing was taken yet: the store decides in one step.
        let claimed = tokio::select! {
            biased;
            claimed = board.store.claim(claim) => claimed,
            () = stop.cancelled() => return,
        };
        match claimed {
            Ok(works) => {
                failures = 0;
                for work in works {
                    let Some(place) = free.pop() else { break };
                    begin(work, place);
                }
            }
            Err(error) => {
                failures += 1;
                tracing::error!(%error, "no work could be claimed");
                let wait = backoff("claim", failures, Duration::from_millis(200), Duration::from_secs(10));
                tokio::select! {
                    () = tokio::time::sleep(wait) => {}
                    () = stop.cancelled() => return,
                }
            }
        }
    }
}
