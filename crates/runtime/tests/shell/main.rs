//! The shell against doubles of every seam, on the embedded store.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]
#![expect(clippy::wildcard_enum_match_arm, reason = "a test looks at one event, or one operation, of many")]

mod accept;
mod alone;
mod audit;
mod deliver;
mod grave;
mod link;
mod long;
mod rebuild;
mod retire;
mod serve;
mod signs;
mod turn;
mod world;
