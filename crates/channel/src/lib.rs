//! The seam between Switchboard and a platform.
//!
//! A **channel** is one configured instance of a platform adapter (`email`, `web`, ...). It turns what the
//! platform delivers into [`Inbound`]s, hands them to the [`Inbox`], and carries each [`Outgoing`] to the
//! platform. It knows nothing about agents, threads or stores; nothing else knows about its platform.
//!
//! Invariant: this crate knows no other crate of the workspace.
//! Invariant: [`Place`], [`MessageRef`] and the text of [`Person::id`] are minted and read by one channel only;
//! to everybody else they are opaque.

mod address;
mod error;
mod inbound;
mod inert;
mod outgoing;
mod seam;
mod span;

pub use address::{
    Address, ChannelName, DeliveryKey, InboundKey, MessageRef, Person, Place, Ticket, Verified,
};
pub use error::{Error, Kind as ErrorKind};
pub use inbound::{Addressed, Attachment, Body, Inbound};
pub use inert::inert;
pub use outgoing::{
    Card, CardState, Choice, Comment, Content, Field, File, Input, InputKind, Outgoing, Style, Text,
};
pub use seam::{
    Accepted, Attempt, Capabilities, Channel, Correlation, Entry, Health, HealthState, Inbox, Ingress, Kind,
    Receipt, Said, Setup, Signal,
};
pub use span::Span;

/// A point in time, UTC, nanosecond precision; written as RFC 3339.
pub type Timestamp = jiff::Timestamp;
