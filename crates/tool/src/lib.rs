//! The seam to tools, and the tools that come with the gateway.
//!
//! Invariant: no shell; a program's arguments are never joined and split again.
//! Invariant: an HTTP tool reaches only addresses that are public, or that its author allowed by name.

mod seam;

pub use seam::{Call, Ended, Files, Made, Tool};
