//! The shell against doubles of every seam, on the embedded store.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod accept;
mod deliver;
mod serve;
mod turn;
mod world;
