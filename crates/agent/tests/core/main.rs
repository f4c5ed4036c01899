//! Tests of the functional core, in one binary so that they share their builders.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at the first surprise")]

mod admit;
mod decide;
mod events;
mod fold;
mod support;
