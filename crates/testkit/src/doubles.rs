//! Doubles: implementations of every seam that do what a test tells them to, and remember what they were asked.
//!
//! What a double does next is a [`Play`]: an answer, perhaps late, held until the test lets it go, never, or a panic.
//! Plays that were queued come first; after them a rule decides.

mod channel;
mod inbox;
mod model;
mod play;
mod store;
mod tool;

pub use channel::{ChannelDouble, Listening, Sending, Signalled};
pub use inbox::InboxDouble;
pub use model::{ModelDouble, completion};
pub use play::{Hold, Play};
pub use store::{Fault, Op, StoreDouble};
pub use tool::{Called, ToolDouble};
