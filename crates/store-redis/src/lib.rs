//! The store on Redis: the same laws as the embedded one, for several gateways that share the work.
//!
//! Everything that one change touches is changed by one script, so that a batch is written whole or not at all, and a worker
//! that was replaced is refused by the same script that would have written for it. `keys.md` lists the keys.
//!
//! All keys share one slot. On a Redis Cluster the store lives on the master that has the slot and moves with it; it does not
//! spread over several masters, since an inbound is taken once on whichever thread, and messages to one place keep their order
//! from whichever threads. Several stores (prefixes) may share a cluster.
//!
//! A lease is fenced where something is written, and nowhere else: what a gateway does in the world while it thinks that it has one,
//! no store can hold up. So the runtime looks at its own clock before each move of a sending, and asks the store once more before
//! a tool begins; a process that is frozen (SIGSTOP, a suspended machine) for longer than a lease, just between that look and the
//! bytes on their way, does it late all the same. Where the platform knows a message that comes again, it is shown once even then.
//!
//! Invariant: nothing is evicted, and nothing is kept less durably than was asked for, or the store is not opened.
//! Invariant: a commit whose answer was lost is asked for again under its own name, and counts once.

mod answer;
mod bells;
mod fault;
mod link;
mod soundness;
mod store;

pub use link::{Durability, Options, Time};
pub use store::Redis;
