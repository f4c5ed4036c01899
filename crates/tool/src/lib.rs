//! The seam to tools: HTTP, command, built-in.
