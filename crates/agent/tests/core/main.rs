//! Tests of the functional core, in one binary so that they share their builders.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at the first surprise")]
#![expect(clippy::wildcard_enum_match_arm, reason = "a test looks for one variant and no other")]

mod admit;
mod audit;
mod batch;
mod decide;
mod events;
mod fold;
mod forms;
mod grant;
mod inquiry;
mod outgoing;
mod people;
mod policy;
mod render;
mod revise;
mod route;
mod snapshot;
mod support;
mod terms;
