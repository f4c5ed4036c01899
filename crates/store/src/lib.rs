//! The seam to durable state, and the embedded store.
