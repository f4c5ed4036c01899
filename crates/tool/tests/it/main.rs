//! The tools as the gateway uses them: real programs, through the seam.

#![expect(clippy::unwrap_used, reason = "a test's own set-up may fail loudly")]

mod agents;
mod bench;
mod check;
mod command;
