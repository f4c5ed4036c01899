//! The seam to tools, and the tools that come with the gateway.
//!
//! Invariant: no shell; a program's arguments are never joined and split again.
//! Invariant: an HTTP tool reaches only addresses that are public, or that its author allowed by name; the addresses
//! that were checked are the ones that are connected to.
//! Invariant: what a program started is gone when its call is over or given up.
//! Invariant: a secret from the environment stands in no fault.

mod address;
mod builtin;
mod check;
mod command;
mod http;
mod made;
mod output;
mod seam;
mod standard;
mod template;

pub use check::{Flaw, check};
pub use seam::{Call, Ended, Files, Made, Tool};
pub use standard::{Env, Standard, ToolSettings};
