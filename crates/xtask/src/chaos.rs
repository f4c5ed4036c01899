//! `cargo xtask chaos`: the tests of several gateways on one Redis, for as long as one likes.

use std::{path::PathBuf, process::Command};

use crate::{
    machine,
    shell::{self, Told, cargo, line, say},
};

/// The tests; each says what it counted.
const TESTS: &str = "shared::";
/// The least that one of them takes to do everything once.
const SECONDS_MIN: u64 = 15;

/// Runs them one after the other, in so many minutes all together, and a little more until all is answered.
pub(crate) fn run(minutes: u64, old: Option<PathBuf>) -> Told<()> {
    machine::set_up()?;
    let mut build = cargo();
    shell::run(build.args(["test", "--package", "tests", "--test", "e2e", "--locked", "--no-run"]))?;
    let mut list = tests(&["--list", "--format", "terse"]);
    let listed = list.output().map_err(|error| format!("`{}` cannot be run: {error}", line(&list)))?;
    let count =
        String::from_utf8_lossy(&listed.stdout).lines().filter(|name| name.ends_with(": test")).count();
    let each = (minutes.saturating_mul(60) / u64::try_from(count.max(1)).unwrap_or(1)).max(SECONDS_MIN);
    say(&format!("{count} tests, {each} s each"));
    let mut command = tests(&["--nocapture", "--test-threads", "1"]);
    if let Some(old) = old {
        let old = old.canonicalize().map_err(|error| format!("{} cannot be run: {error}", old.display()))?;
        command.env("SWITCHBOARD_OLD", old);
    }
    shell::run(command.env("SWITCHBOARD_CHAOS_S", each.to_string()))
}

/// The tests, with these arguments of their own.
fn tests(args: &[&str]) -> Command {
    let mut tests = cargo();
    tests.args(["test", "--package", "tests", "--test", "e2e", "--locked", "--", TESTS]).args(args);
    tests
}
