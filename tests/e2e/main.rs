//! End-to-end tests: the gateway as a process of its own, talked to over the real protocols.

mod config;
mod crash;
mod email;
mod house;
mod page;
mod provider;
mod shell;
mod web;
mod world;
