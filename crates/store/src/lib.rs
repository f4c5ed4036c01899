//! The seam to durable state, and the embedded store.
//!
//! The log of each thread is the truth. Everything else here (leases, due times, the outbox, seen keys) is a
//! projection for execution: it has its own life, never stands in the log, and can be rebuilt from it.
//!
//! Invariant: [`Store::commit`] is all or nothing, and durable (power loss included) before it returns.
//! Invariant: a lease that was lost commits nothing.

mod embedded;
mod seam;

pub use embedded::Embedded;
pub use seam::{
    Again, BATCH_MAX, Batch, CLAIM_MAX, Claim, Clock, Error, KEYS_KEPT, Lease, SENT_MAX, SendState, Sent,
    SentQuery, Settle, Store, Summary, SystemClock, VALUE_MAX, Wanted, Work,
};
