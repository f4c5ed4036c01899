//! Real peers on loopback for tests: mail servers that configure and start themselves.
