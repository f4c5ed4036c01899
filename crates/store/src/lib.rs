//! The seam to durable state, and the embedded store.
//!
//! The log of each thread is the truth. Everything else here (leases, due times, the outbox, seen keys) is a
//! projection for execution: it has its own life, never stands in the log, and can be rebuilt from it.
//!
//! Invariant: [`Store::commit`] is all or nothing, and durable (power loss included) before it returns.
//! Invariant: a lease that was lost commits nothing.
//! Invariant: no wake is lost, also one that comes while a worker has the thread.
//! Invariant: messages to one place are sent one at a time, in the order they were committed.
//! Invariant: what is written reads back the same, or is refused before it is written.
//!
//! `testkit::store_laws!` holds every implementation to these; [`Embedded`] is the one that ships.

pub mod codec;
mod embedded;
pub mod folder;
mod migrate;
mod seam;

pub use embedded::Embedded;
pub use migrate::{Moved, migrate};
pub use seam::{
    Again, BATCH_MAX, Batch, CLAIM_MAX, Claim, Clock, Error, KEYS_KEPT, Lease, NAME_MAX, Page, SENT_MAX,
    SendState, Sent, SentQuery, Settle, Store, Summary, SystemClock, THREADS_MAX, VALUE_MAX, Wanted, Work,
};
