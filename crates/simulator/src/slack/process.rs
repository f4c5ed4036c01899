//! The simulated Slack as a process of its own.

use super::{Options, Slack};
use crate::shared::process;
use clap::Parser;
use serde_json::json;

/// A simulated Slack on loopback.
#[derive(Debug, Parser)]
struct Args {
    /// The port on 127.0.0.1; 0 takes any free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// By how much Slack's waits are stretched: 0.01 makes a minute 0.6 seconds.
    #[arg(long, default_value_t = 1.0)]
    time_scale: f64,
    /// Install the app in a second workspace, too.
    #[arg(long)]
    second_team: bool,
    /// Refuse posts that come too fast.
    #[arg(long)]
    rate_limits: bool,
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
    let slack = Slack::start(Options {
        port: args.port,
        time_scale: args.time_scale,
        second_team: args.second_team,
        rate_limits: args.rate_limits,
        ..Options::default()
    })
    .await?;
    let ready = json!({
        "api": slack.api(),
        "control": slack.base(),
        "app_token": slack.app_token(),
        "bot_token": slack.bot_token(),
        "signing_secret": slack.signing_secret(),
        "team": "T0SIM0001",
        "bot_user": "U0BOT0001",
    });
    process::run(&ready, args.until_stdin_closes).await
}
