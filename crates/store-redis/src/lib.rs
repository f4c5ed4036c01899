//! The store on Redis: the same laws as the embedded one, for several gateways that share the work.
//!
//! Everything that one change touches is changed by one script, so that a batch is written whole or not at all, and a worker
//! that was replaced is refused by the same script that would have written for it. `keys.md` lists the keys.
//!
//! All keys share one slot. On a Redis Cluster the store lives on the master that has the slot and moves with it; it does not
//! spread over several masters, since an inbound is taken once on whichever thread, and messages to one place keep their order
//! from whichever threads. Several stores (prefixes) may share a cluster.
//!
//! Where sentinels name the master, they are asked for it when a connection is needed, and anew when that broke, when an answer did not
//! come in time, or when the server says that it is no master any more. What most of them say counts, and the server has to agree.
//! A fail-over may lose what the new master did not have yet; `deploy/README.md` says how to narrow that.
//!
//! A lease is fenced where something is written, and nowhere else: what a gateway does in the world while it thinks that it has one,
//! no store can hold up. So the runtime looks at its own clock before each move of a sending, and asks the store once more before
//! a tool begins; a process that is frozen (SIGSTOP, a suspended machine) for longer than a lease, just between that look and the
//! bytes on their way, does it late all the same. Where the platform knows a message that comes again, it is shown once even then.
//!
//! # What it costs
//!
//! `cargo xtask bench` prints it for the machine it runs on, beside the floor and the embedded store. One run of it, on 2 cores
//! (Debian 12, Redis 7.0 on the same machine) that others kept busy, load 5 to 12, and before a thought and what follows from it were
//! written at once (one round trip and one flush less) and what is confirmed was noted in the journal:
//!
//! | | no AOF | `everysec` | `always` | embedded |
//! |---|---|---|---|---|
//! | one turn at a time, the model's time taken out, median | 2.0 ms | 2.0 ms | 15 ms | 3.9 ms |
//! | times the floor: three bare round trips (PING), where it flushes three fsyncs, too | 40 | 40 | 1.3 | 0.7 |
//! | round trips a turn, scripts among them | 11.8, 9.0 | 11.8, 9.0 | 11.8, 9.0 | |
//! | many at once: CPU a turn, gateway and server | 411 + 284 us | 415 + 351 us | 547 + 590 us | 1075 us |
//! | 10,000 queued messages, answered a second | 4,002 | 1,570 | 406 | 711 |
//! | bytes a thread of one turn, in memory and in the append-only file | 4,063 | 4,098 + 5,441 | 4,099 + 5,441 | 3,245 |
//!
//! A fsync took 0.2 to 4 ms in that run, so the embedded store's and `always`'s times say little beyond it. Of a turn's round trips
//! eight stand one behind the other (look up the place, read, write; claim, read; write what was thought; write what is said; claim),
//! and at rest each is some 0.2 ms, not the 16 us of a PING on a warm connection: two or three tasks and the server are woken
//! for it. A script is 50 to 60 us in the server, two thirds of it Lua and the calls from it.
//!
//! Invariant: nothing is evicted, and nothing is kept less durably than was asked for, or the store is not opened.
//! Invariant: the same holds for each server that takes the place of the first one, or nothing is asked of it.
//! Invariant: a commit whose answer was lost is asked for again under its own name, and counts once.
//! Invariant: before anything is asked of a server that is not the one of before, what it has forgotten is put back.

mod address;
mod answer;
mod bells;
mod commit;
mod fault;
mod heal;
mod journal;
mod link;
mod rebuild;
mod scripts;
mod sentinel;
mod soundness;
mod store;

pub use heal::Healed;
pub use link::{Durability, JournalOptions, Options, Time};
pub use store::Redis;
