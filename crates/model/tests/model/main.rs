//! The models against a server on this machine that answers as the public APIs are documented to.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod chain;
mod encode;
mod extract;
mod faults;
mod good;
mod scripted;
mod server;
mod settings;
mod setup;
