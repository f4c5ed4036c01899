//! The simulated Discord does what Discord's documentation says, seen over the wire by a plain client.

mod app;
mod gateway;
mod honest;
mod interactions;
mod limits;
mod messages;
mod people;
mod process;
mod push;

/// Any error of a test.
type Failure = Box<dyn std::error::Error + Send + Sync>;
