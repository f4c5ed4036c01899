//! What channels of chat platforms have in common, so that each of them holds only what its platform does its own way.
//!
//! Pure: [`payload`] reads JSON whose fields come and go; [`rich`] turns CommonMark into pieces and cuts them to messages;
//! [`text`] bounds and names; [`settings`] collects what is wrong with a table. Not pure: [`Lanes`] keeps the order of each
//! place on the way in, [`Signs`] that of signs of life, [`Drafts`] that of answers
//! that grow; [`Known`] remembers what to read again after an outage; [`Pace`]
//! and [`back_off`] wait; [`files`] fetches what people send along, within limits.
//!
//! Invariant: nothing here knows a platform.

pub mod files;
pub mod payload;
pub mod rich;
pub mod settings;
pub mod text;

mod back_off;
mod drafts;
mod known;
mod lanes;
mod pace;
mod signs;

pub use back_off::{back_off, random};
pub use drafts::{Draft, Drafts};
pub use known::{Known, Seen};
pub use lanes::{LANES, Lanes};
pub use pace::Pace;
pub use signs::Signs;
