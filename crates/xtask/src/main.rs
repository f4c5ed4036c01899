//! Development commands: `cargo xtask test`, `cargo xtask chaos`, `cargo xtask setup`, `cargo xtask measure`, `cargo xtask bench`.
//!
//! Invariant: nothing is skipped silently; what cannot be done is said, with what to do about it, and fails.
//! Invariant: nothing is installed over something else; a package that would remove another one is refused.

mod bench;
mod chaos;
mod machine;
mod measure;
mod page;
mod shell;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Development commands.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    /// What to do.
    #[command(subcommand)]
    command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
enum Command {
    /// Install what the tests need, then run everything: format, lints, tests, documentation.
    Test,
    /// Let several gateways, their Redis and the way between them fail in turn while people ask, and count what is lost or
    /// doubled.
    Chaos {
        /// How long, all together.
        #[arg(long, default_value_t = 10)]
        minutes: u64,
        /// A `switchboard` of an older build, which shares the work with this one.
        #[arg(long)]
        old: Option<std::path::PathBuf>,
    },
    /// Only install what the tests need.
    Setup,
    /// Print the size, start-up time, idle memory and speed of the release binary. Not a test.
    Measure {
        /// Measure this binary instead of building one.
        #[arg(long)]
        binary: Option<std::path::PathBuf>,
    },
    /// Print what the gateway costs on each store: time, CPU and memory, beside the floor of this machine. Not a test.
    Bench {
        /// Only these stores: `embedded`, `no AOF`, `everysec`, `always`.
        stores: Vec<String>,
    },
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Test => test::run(),
        Command::Chaos { minutes, old } => chaos::run(minutes, old),
        Command::Setup => machine::set_up(),
        Command::Measure { binary } => measure::run(binary),
        Command::Bench { stores } => bench::run(&stores),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            shell::say(&format!("\nxtask: {why}"));
            ExitCode::FAILURE
        }
    }
}
