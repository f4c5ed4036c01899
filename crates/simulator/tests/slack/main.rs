//! The simulated Slack does what Slack's documentation says, seen over the wire by a plain client.

mod app;
mod messages;
mod socket;

/// Any error of a test.
type Failure = Box<dyn std::error::Error + Send + Sync>;
