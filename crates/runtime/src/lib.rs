//! The imperative shell: accept, step, deliver, serve.
//!
//! Data flows one way: a channel's inbound is accepted into a log; a worker steps the thread; what is to be said waits
//! in the outbox until a channel has sent it. Every decision is made by `crates/agent`; this crate carries it out.
//!
//! Invariant: a message is acknowledged only after its commit; it is sent only because of a commit.
//! Invariant: nothing spawns or sleeps outside this crate, the channels' and the store's own tasks.

mod accept;
mod alone;
mod archive;
mod audit;
mod board;
mod deliver;
mod effect;
mod grants;
mod library;
mod link;
mod rebuild;
mod retire;
mod seal;
mod serve;
mod turn;
mod watch;

pub use accept::Door;
pub use archive::{Archive, ArchiveError, Archived};
pub use audit::{Audited, NotAudited};
pub use board::{Board, GivenUp, Settings};
pub use grants::Held;
pub use library::Library;
pub use rebuild::{Rebuilt, Verified};
pub use retire::{NotSwept, Retention, Swept};
pub use seal::{Audit, Sealer, When};
pub use serve::{Serving, serve};
