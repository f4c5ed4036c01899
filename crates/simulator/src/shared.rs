//! What the simulated platforms have in common: their HTTP server, their sockets, their faults, their control.
//!
//! Invariant: nothing here knows a platform; what differs is a trait or an argument.

pub(crate) mod ask;
pub(crate) mod error;
pub(crate) mod fault;
pub(crate) mod hand;
pub(crate) mod http;
pub(crate) mod ids;
pub(crate) mod link;
pub(crate) mod load;
pub(crate) mod multipart;
pub(crate) mod page;
pub(crate) mod process;
pub(crate) mod tasks;
