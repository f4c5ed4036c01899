//! A channel without a platform.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use channel::{
    Address, Attempt, Capabilities, Channel, Content, Correlation, Error, Inbox, Ingress, MessageRef,
    Outgoing, Place, Receipt, Signal,
};
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use super::play::{Play, Script};

/// A channel without a platform: it takes every message under the name `sent:KEY`, and listens until it is stopped.
pub struct ChannelDouble {
    capabilities: Capabilities,
    sends: Script<Sending, Result<Receipt, Error>>,
    listens: Script<(), Result<(), Error>>,
    checks: Script<(), Result<Vec<String>, Vec<Error>>>,
    shows: Script<Signal, ()>,
    sent: Mutex<Vec<Sending>>,
    signalled: Mutex<Vec<Signalled>>,
    inbox: watch::Sender<Option<Arc<dyn Inbox>>>,
    listenings: Mutex<Vec<Listening>>,
    lingers: Mutex<Duration>,
    attended: AtomicUsize,
}

/// One time that it listened.
#[derive(Clone, Copy, Debug)]
pub struct Listening {
    /// When it began.
    pub from: Instant,
    /// When it ended, if it did: by itself, or by being cut off.
    pub to: Option<Instant>,
}

/// One message that it was given.
#[derive(Clone, Debug)]
pub struct Sending {
    /// The message.
    pub outgoing: Outgoing,
    /// The attempt.
    pub attempt: Attempt,
    /// When the attempt began.
    pub at: Instant,
}

/// One sign of life that it was given.
#[derive(Clone, Debug)]
pub struct Signalled {
    /// Where.
    pub to: Address,
    /// About which message.
    pub about: Option<MessageRef>,
    /// What.
    pub signal: Signal,
    /// When it was given.
    pub at: Instant,
}

impl Sending {
    /// The words of the message, or the title of its card.
    pub fn text(&self) -> &str {
        match &self.outgoing.content {
            Content::Text(text) => &text.markdown,
            Content::Card(card) => &card.title,
        }
    }
}

impl ChannelDouble {
    /// A channel that can do everything, and vouches for its people.
    pub fn new() -> Arc<Self> {
        Self::with(Capabilities {
            buttons: true,
            forms: false,
            amends: true,
            private: true,
            files: true,
            text_len_max: None,
            correlation: Correlation::Native,
            one_reader: false,
        })
    }

    /// A channel that can do this.
    pub fn with(capabilities: Capabilities) -> Arc<Self> {
        let receipt = |sending: &Sending| {
            let message = MessageRef::new(format!("sent:{}", sending.outgoing.key));
            Play::gives(Ok(Receipt { message: Some(message) }))
        };
        Arc::new(Self {
            capabilities,
            sends: Script::new(receipt),
            listens: Script::new(|()| Play::hangs()),
            checks: Script::new(|()| Play::gives(Ok(Vec::new()))),
            shows: Script::new(|_| Play::gives(())),
            sent: Mutex::default(),
            signalled: Mutex::default(),
            inbox: watch::Sender::new(None),
            listenings: Mutex::default(),
            lingers: Mutex::default(),
            attended: AtomicUsize::new(0),
        })
    }

    /// Queues what the next attempt to send comes to.
    pub fn then(&self, play: Play<Result<Receipt, Error>>) {
        self.sends.queue(play);
    }

    /// Queues an error for the next attempt to send.
    pub fn fails(&self, error: Error) {
        self.then(Play::gives(Err(error)));
    }

    /// Decides on what is sent, once the queue is empty.
    pub fn always(&self, rule: impl FnMut(&Sending) -> Play<Result<Receipt, Error>> + Send + 'static) {
        self.sends.rule(rule);
    }

    /// Queues how the next listening ends; without, it goes on until it is stopped.
    pub fn listens(&self, play: Play<Result<(), Error>>) {
        self.listens.queue(play);
    }

    /// Queues what the next check comes to; without, it finds nothing worth telling.
    pub fn checks(&self, play: Play<Result<Vec<String>, Vec<Error>>>) {
        self.checks.queue(play);
    }

    /// Decides how long it takes to show a sign of life; without, no time.
    pub fn shows(&self, rule: impl FnMut(&Signal) -> Play<()> + Send + 'static) {
        self.shows.rule(rule);
    }

    /// Every attempt to send, oldest first.
    pub fn sent(&self) -> Vec<Sending> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until so many attempts were made, and gives them all.
    ///
    /// # Panics
    /// After ten seconds.
    pub async fn sent_count(&self, count: usize) -> Vec<Sending> {
        let began = Instant::now();
        loop {
            let sent = self.sent();
            if sent.len() >= count {
                return sent;
            }
            let texts: Vec<_> = sent.iter().map(Sending::text).collect();
            assert!(
                began.elapsed() < Duration::from_secs(10),
                "{count} sendings wanted, these came: {texts:?}"
            );
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Every sign of life, oldest first.
    pub fn signals(&self) -> Vec<(Address, Signal)> {
        self.signalled().into_iter().map(|signalled| (signalled.to, signalled.signal)).collect()
    }

    /// Every sign of life with all that belongs to it, oldest first.
    pub fn signalled(&self) -> Vec<Signalled> {
        self.signalled.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The door, once it listens.
    pub async fn inbox(&self) -> Arc<dyn Inbox> {
        let mut inbox = self.inbox.subscribe();
        loop {
            if let Some(inbox) = inbox.borrow_and_update().clone() {
                return inbox;
            }
            // The sender lives as long as `self`.
            let _ = inbox.changed().await;
        }
    }

    /// How often it began to listen.
    pub fn listened(&self) -> usize {
        self.listenings().len()
    }

    /// Every time that it listened, oldest first.
    pub fn listenings(&self) -> Vec<Listening> {
        self.listenings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// It takes so long to end listening once it is told to.
    pub fn lingers(&self, time: Duration) {
        *self.lingers.lock().unwrap_or_else(PoisonError::into_inner) = time;
    }

    /// How often it was attended.
    pub fn attended(&self) -> usize {
        self.attended.load(Ordering::SeqCst)
    }

    /// It begins to listen; it ends when what is returned is dropped.
    fn begins(&self) -> impl Drop + use<'_> {
        struct Ends<'a>(&'a Mutex<Vec<Listening>>, usize);
        impl Drop for Ends<'_> {
            fn drop(&mut self) {
                if let Some(listening) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get_mut(self.1)
                {
                    listening.to = Some(Instant::now());
                }
            }
        }
        let mut listenings = self.listenings.lock().unwrap_or_else(PoisonError::into_inner);
        listenings.push(Listening { from: Instant::now(), to: None });
        Ends(&self.listenings, listenings.len() - 1)
    }
}

#[async_trait]
impl Channel for ChannelDouble {
    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    fn place(&self, contact: &str) -> Result<Place, Error> {
        Ok(Place::new(contact))
    }

    async fn attend(&self, _inbox: Arc<dyn Inbox>, stop: CancellationToken) {
        self.attended.fetch_add(1, Ordering::SeqCst);
        stop.cancelled().await;
    }

    async fn listen(&self, ingress: Ingress) -> Result<(), Error> {
        let _listening = self.begins();
        let play = self.listens.next(&());
        ingress.health.up();
        self.inbox.send_replace(Some(ingress.inbox.clone()));
        tokio::select! {
            ended = play.run() => ended,
            () = ingress.stop.cancelled() => {
                let lingers = *self.lingers.lock().unwrap_or_else(PoisonError::into_inner);
                if !lingers.is_zero() {
                    tokio::time::sleep(lingers).await;
                }
                Ok(())
            }
        }
    }

    async fn send(&self, outgoing: &Outgoing, attempt: &Attempt) -> Result<Receipt, Error> {
        let sending = Sending { outgoing: outgoing.clone(), attempt: attempt.clone(), at: Instant::now() };
        let play = self.sends.next(&sending);
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).push(sending);
        play.run().await
    }

    async fn signal(&self, at: &Address, about: Option<&MessageRef>, signal: Signal) {
        let play = self.shows.next(&signal);
        let signalled = Signalled { to: at.clone(), about: about.cloned(), signal, at: Instant::now() };
        self.signalled.lock().unwrap_or_else(PoisonError::into_inner).push(signalled);
        play.run().await;
    }

    async fn check(&self) -> Result<Vec<String>, Vec<Error>> {
        let play = self.checks.next(&());
        play.run().await
    }
}
