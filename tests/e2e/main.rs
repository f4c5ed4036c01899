//! End-to-end tests: the gateway as a process of its own, talked to over the real protocols.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::wildcard_enum_match_arm,
    clippy::print_stderr,
    reason = "a test says that something is wrong by failing, and looks for one thing among many"
)]

mod alone;
mod audit;
mod batch;
mod cases;
mod config;
mod crash;
mod discord;
mod email;
mod fail_over;
mod failures;
mod forms;
mod grants;
mod health;
mod house;
mod humans;
mod link;
mod migrate;
mod obedient;
mod page;
mod provider;
mod races;
mod rebuild;
mod retire;
mod shared;
mod shell;
mod slack;
mod web;
mod world;
