//! The gateway: configuration, wiring, command line.
//!
//! Invariant: this is the only crate that names concrete channels, stores, models and tools.

mod assemble;
mod channels;
mod cli;
mod config;
mod connect;
mod explain;
mod grants;
mod health;
mod manifest;
mod members;
mod people;
mod storage;
mod story;

pub use assemble::{Assembled, assemble, start};
pub use channels::kinds;
pub use cli::{Cli, Command, StoreCommand, ThreadsCommand, main};
pub use config::{
    Config, DeskSpec, DurabilitySpec, HealthSpec, MemberSpec, OneOrMany, RetentionSpec, RuntimeSpec,
    StoreSpec,
};
pub use explain::PolicyCommand;
pub use manifest::KindCommand;
pub use storage::{Opened, open, open_to_read};
