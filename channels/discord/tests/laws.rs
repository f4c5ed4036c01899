//! The laws of every channel, against a simulated Discord: in threads, in replies, in direct messages, and with interactions
//! over HTTP.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "shared with the tests of what only Discord can get wrong")]
mod world;

use testkit::channel_laws::Rig;
use world::rig::{Person, Talks};

async fn in_thread() -> Box<dyn Rig> {
    Person::rig(Talks::InAThread, false).await
}

async fn in_reply() -> Box<dyn Rig> {
    Person::rig(Talks::InReplies, false).await
}

async fn in_direct() -> Box<dyn Rig> {
    Person::rig(Talks::Directly, false).await
}

async fn over_http() -> Box<dyn Rig> {
    Person::rig(Talks::InAThread, true).await
}

testkit::channel_laws!(in_a_thread, in_thread);
testkit::channel_laws!(in_replies, in_reply);
testkit::channel_laws!(in_direct_messages, in_direct);
testkit::channel_laws!(interactions_over_http, over_http);
