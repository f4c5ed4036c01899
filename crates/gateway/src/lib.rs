//! The gateway: configuration, wiring, command line.
//!
//! Invariant: this is the only crate that names concrete channels, stores, models and tools.

mod assemble;
mod channels;
mod cli;
mod config;
mod connect;
mod health;
mod manifest;
mod story;

pub use assemble::{Assembled, assemble, start};
pub use channels::kinds;
pub use cli::{Cli, Command, ThreadsCommand, main};
pub use config::{Config, DeskSpec, HealthSpec, RuntimeSpec, StoreSpec};
pub use manifest::KindCommand;
