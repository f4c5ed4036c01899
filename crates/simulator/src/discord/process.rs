//! The simulated Discord as a process of its own.

use super::{Discord, Options, options};
use crate::shared::process;
use clap::Parser;
use serde_json::json;

/// A simulated Discord on loopback.
#[derive(Debug, Parser)]
struct Args {
    /// The port on 127.0.0.1; 0 takes any free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// By how much Discord's waits are stretched: 0.01 makes a minute 0.6 seconds.
    #[arg(long, default_value_t = 1.0)]
    time_scale: f64,
    /// The number of shards that is recommended.
    #[arg(long, default_value_t = 1)]
    shards: u64,
    /// Refuse requests that come too fast.
    #[arg(long)]
    rate_limits: bool,
    /// How often a heartbeat has to come, in milliseconds.
    #[arg(long, default_value_t = 41_250)]
    heartbeat_ms: u64,
    /// End when the standard input ends.
    #[arg(long)]
    until_stdin_closes: bool,
}

/// Runs a simulator as the command line says, until it is told to end.
///
/// # Errors
/// When no port is free.
pub async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args = Args::parse();
    let discord = Discord::start(Options {
        port: args.port,
        time_scale: args.time_scale,
        shards: args.shards,
        rate_limits: args.rate_limits,
        heartbeat: std::time::Duration::from_millis(args.heartbeat_ms),
        ..Options::default()
    })
    .await?;
    let ready = json!({
        "api": discord.api(),
        "control": discord.base(),
        "bot_token": discord.bot_token(),
        "public_key": discord.public_key(),
        "application": options::APP,
        "guild": options::GUILD,
    });
    process::run(&ready, args.until_stdin_closes).await
}
