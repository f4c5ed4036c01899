//! Peers on loopback for tests: real mail servers that configure and start themselves, and simulated chat platforms.
//!
//! Invariant: nothing listens on anything but loopback, on ports the system gave out a moment before.
//! Invariant: what was started ends with the value that started it, and also when the test process is killed.
//! Invariant: a missing program is an error that names the Debian packages, never a test that passes by itself.

pub mod discord;
pub mod mail;
mod shared;
pub mod slack;
pub mod wire;
