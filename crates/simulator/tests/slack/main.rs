//! The simulated Slack does what Slack's documentation says, seen over the wire by a plain client.

mod api;
mod app;
mod blocks;
mod conversations;
mod faults;
mod files;
mod interactions;
mod messages;
mod people;
mod process;
mod push;
mod rings;
mod socket;
mod streams;
mod views;

/// Any error of a test.
type Failure = Box<dyn std::error::Error + Send + Sync>;
