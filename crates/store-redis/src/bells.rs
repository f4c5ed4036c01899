//! Waking those who wait for work, in this process and in others: whoever makes work due publishes it, and each gateway
//! listens.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use channel::ChannelName;
use futures_util::StreamExt;
use redis::{Client, ConnectionInfo};
use store::Wanted;
use tokio::sync::Notify;

use crate::{fault, link::Nodes};

/// How long to wait before listening is tried again.
const AGAIN: Duration = Duration::from_millis(250);
/// A connection on which nothing can be heard any more is known as such after a while only. Asking costs next to nothing.
const PING: Duration = Duration::from_secs(5);

/// One bell for turns and one a channel.
#[derive(Debug, Default)]
pub(crate) struct Bells {
    turns: Arc<Notify>,
    /// Only channels that somebody has waited for: as many as are configured.
    sends: Mutex<BTreeMap<ChannelName, Arc<Notify>>>,
    /// Whether what others publish is heard.
    hears: AtomicBool,
}

impl Bells {
    /// The bell that rings for this sort of work.
    pub(crate) fn bell(&self, wanted: &Wanted) -> Arc<Notify> {
        match wanted {
            Wanted::Turns => Arc::clone(&self.turns),
            Wanted::Sends(channel) => {
                let mut sends = self.sends.lock().unwrap_or_else(PoisonError::into_inner);
                Arc::clone(sends.entry(channel.clone()).or_default())
            }
        }
    }

    /// Whether a bell will ring; if not, whoever waits has to look.
    pub(crate) fn hears(&self) -> bool {
        self.hears.load(Ordering::Relaxed)
    }

    fn ring(&self, whom: &str) {
        if whom == "turns" {
            self.turns.notify_waiters();
        } else if let Some(channel) = whom.strip_prefix("sends:") {
            let sends = self.sends.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(bell) = sends.get(&ChannelName::new(channel)) {
                bell.notify_waiters();
            }
        }
    }

    fn ring_all(&self) {
        self.turns.notify_waiters();
        let sends = self.sends.lock().unwrap_or_else(PoisonError::into_inner);
        sends.values().for_each(|bell| bell.notify_waiters());
    }

    /// Listens where what is published is heard, and elsewhere when it is not heard there any more. Never ends.
    pub(crate) async fn listen(self: Arc<Self>, mut nodes: Nodes, topic: String) {
        loop {
            let mut node = String::new();
            let ended = async {
                let info = nodes.next().await?;
                node = info.addr().to_string();
                tokio::select! {
                    ended = self.listen_at(info, &topic) => ended,
                    () = nodes.moved() => Ok(()),
                }
            };
            if let Err(error) = ended.await {
                tracing::debug!(node, %error, "what is due is not heard of; it is looked for instead");
            }
            self.hears.store(false, Ordering::Relaxed);
            self.ring_all();
            tokio::time::sleep(AGAIN).await;
        }
    }

    async fn listen_at(&self, info: ConnectionInfo, topic: &str) -> redis::RedisResult<()> {
        let client = Client::open(info)?;
        let mut heard =
            tokio::time::timeout(PING, client.get_async_pubsub()).await.map_err(|_| fault::late())??;
        heard.subscribe(topic).await?;
        let (mut sink, mut heard) = heard.split();
        self.hears.store(true, Ordering::Relaxed);
        // What was published before is not heard.
        self.ring_all();
        loop {
            match tokio::time::timeout(PING, heard.next()).await {
                Ok(Some(message)) => self.ring(&message.get_payload::<String>().unwrap_or_default()),
                Ok(None) => return Ok(()),
                // To subscribe once more changes nothing, and is answered.
                Err(_) => {
                    tokio::time::timeout(PING, sink.subscribe(topic)).await.map_err(|_| fault::late())??
                }
            }
        }
    }
}
