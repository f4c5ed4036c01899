//! The laws of every channel, against a simulated Slack: in a channel, in direct messages, and over HTTP.

#![expect(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking, and looks for one thing among many"
)]

#[expect(dead_code, reason = "shared with the tests of what only Slack can get wrong")]
mod world;

use testkit::channel_laws::Rig;
use world::{Person, Talks};

async fn in_channel() -> Box<dyn Rig> {
    Person::rig(Talks::InAChannel, false).await
}

async fn in_direct() -> Box<dyn Rig> {
    Person::rig(Talks::Directly, false).await
}

async fn over_http() -> Box<dyn Rig> {
    Person::rig(Talks::InAChannel, true).await
}

testkit::channel_laws!(in_a_channel, in_channel);
testkit::channel_laws!(in_direct_messages, in_direct);
testkit::channel_laws!(over_the_events_api, over_http);
