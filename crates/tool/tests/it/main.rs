//! The tools as the gateway uses them: real programs, through the seam.

mod agents;
mod bench;
mod check;
mod command;
