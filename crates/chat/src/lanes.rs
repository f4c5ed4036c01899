//! Lines in which gestures stand, so that those of one place are taken one after another, in the order they came.

use std::hash::{DefaultHasher, Hash, Hasher};

use tokio::sync::mpsc;

/// In how many lines gestures stand.
pub const LANES: usize = 32;
/// How many may stand in one before the way they come waits.
const LANE_MAX: usize = 1_024;

/// The lines.
#[derive(Debug)]
pub struct Lanes<Job>(Vec<mpsc::Sender<Job>>);

impl<Job> Lanes<Job> {
    /// The lines, and the end of each, where its jobs come out.
    pub fn new() -> (Self, Vec<mpsc::Receiver<Job>>) {
        let (lanes, ends) = (0..LANES).map(|_| mpsc::channel(LANE_MAX)).unzip();
        (Self(lanes), ends)
    }

    /// Lines a job up with the others of the same key. A line whose end is gone drops it.
    pub async fn push(&self, key: &impl Hash, job: Job) {
        let mut hash = DefaultHasher::new();
        key.hash(&mut hash);
        let lane = usize::try_from(hash.finish() % LANES as u64).unwrap_or(0);
        if let Some(lane) = self.0.get(lane) {
            let _ = lane.send(job).await;
        }
    }
}
