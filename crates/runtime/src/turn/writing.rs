//! A model is asked, and what it is about to say is shown while it writes.
//!
//! Invariant: showing never holds up the answer: both go on side by side in the turn itself, and with the answer there is
//! nothing left that could show more.

use std::{convert::Infallible, time::Duration};

use agent::{Agent, Prompt, Thread};
use channel::Signal;
use model::{Completion, Model};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use crate::board::Board;

/// How long the words that are shown stay as they are, at least. Platforms let a message be changed about once a second,
/// and nobody reads faster.
const SHOWN_FOR: Duration = Duration::from_secs(1);
/// How long after one look at the output the next one is taken, at least. Models write a few letters at a time, and each
/// look reads the output from its beginning.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What was shown of a thought so far. It lasts for all that a model is asked for one thought.
pub(super) struct Shown {
    text: String,
    /// When it may be shown again.
    next: Instant,
}

impl Shown {
    /// Nothing yet.
    pub(super) fn nothing() -> Self {
        Self { text: String::new(), next: Instant::now() }
    }
}

impl Board {
    /// Asks a model, and shows meanwhile at the thread's home what it is about to say.
    ///
    /// # Errors
    /// The model's.
    pub(super) async fn ask(
        &self,
        model: &dyn Model,
        prompt: &Prompt,
        about: (&Agent, &Thread),
        shown: &mut Shown,
    ) -> Result<Completion, model::Error> {
        // Only the latest is kept: whoever looks late sees what there is by then.
        let (writes, written) = watch::channel(String::new());
        let progress = |output: &str| {
            writes.send_modify(|so_far| {
                so_far.clear();
                so_far.push_str(output);
            });
        };
        tokio::select! {
            biased;
            answer = model.complete(prompt, &progress) => answer,
            never = self.show(about, written, shown) => match never {},
        }
    }

    /// Shows the words so far whenever there are others than before.
    async fn show(
        &self,
        (agent, thread): (&Agent, &Thread),
        mut written: watch::Receiver<String>,
        shown: &mut Shown,
    ) -> Infallible {
        while written.changed().await.is_ok() {
            sleep_until(shown.next).await;
            let words = agent.extractor().preview(&written.borrow_and_update());
            let now = Instant::now();
            shown.next = now + LOOK_EVERY;
            if let Some(text) = words.filter(|text| *text != shown.text) {
                shown.text.clone_from(&text);
                shown.next = now + SHOWN_FOR;
                self.signal(thread, Signal::Writing { text }).await;
            }
        }
        // The model holds the other end as long as it is asked.
        std::future::pending().await
    }
}
