//! Many messages at once.

use serde::Serialize;

/// Many messages.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Load {
    /// How many.
    pub count: u64,
    /// By whom, in turn.
    pub users: Vec<String>,
    /// Where the bot is mentioned, in turn; to the bot itself if there are none.
    pub channels: Vec<String>,
    /// How many a second; at once if there is no number.
    pub per_second: Option<u64>,
    /// What each begins with; its number follows.
    pub text_prefix: String,
}
