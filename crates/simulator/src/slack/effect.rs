//! What takes time, left behind by the world and carried out after its lock is gone.

use std::time::Duration;

use serde_json::Value;

/// Something to do later.
#[derive(Clone, Debug)]
pub(crate) enum Later {
    /// Try a delivery again.
    Attempt {
        /// Which.
        delivery: usize,
    },
    /// Give an attempt up if it was not acknowledged.
    GiveUp {
        /// Which delivery.
        delivery: usize,
        /// The number of the attempt.
        attempt: usize,
    },
    /// Close a socket that was warned.
    Refresh {
        /// Which.
        socket: u64,
    },
    /// Send what was held back to be sent in another order.
    Release,
    /// Take the status of a thread away if it is still this one.
    StatusEnds {
        /// Where.
        channel: String,
        /// In which thread.
        thread: String,
        /// The number it was given.
        number: u64,
    },
}

/// A request to the app.
#[derive(Clone, Debug)]
pub(crate) struct Post {
    /// Which delivery it is.
    pub(crate) delivery: usize,
    /// The number of the attempt.
    pub(crate) attempt: usize,
    /// Where to.
    pub(crate) url: String,
    /// What is sent.
    pub(crate) body: String,
    /// `application/json` or a form.
    pub(crate) content_type: &'static str,
    /// The retry's number and reason, if it is one.
    pub(crate) retry: Option<(usize, String)>,
    /// How long an answer may take.
    pub(crate) within: Duration,
    /// What signs it.
    pub(crate) secret: String,
}

/// What became of a delivery that somebody waits for.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    /// It was acknowledged, with this payload or none.
    Acked(Option<Value>),
    /// It was not acknowledged in time.
    TimedOut,
}
