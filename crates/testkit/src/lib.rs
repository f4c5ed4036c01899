//! Doubles and laws for every seam.
//!
//! A law is written once here and holds for each implementation of its seam: see [`store_laws!`] and
//! [`channel_laws!`]. What stands above a
//! seam is tested with a double below it: see [`doubles`]. What a reader of payloads must survive: [`payloads`].

#[expect(clippy::expect_used, reason = "a law that does not hold panics")]
pub mod channel_laws;
mod clock;
pub mod doubles;
mod init;
mod memory;
pub mod payloads;
#[expect(clippy::unwrap_used, clippy::expect_used, reason = "without a server there is no test")]
pub mod redis_server;
#[expect(clippy::unwrap_used, clippy::expect_used, reason = "a law that does not hold panics")]
pub mod store_laws;

pub use clock::ManualClock;
pub use init::init;
pub use memory::MemoryStore;
