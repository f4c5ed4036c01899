//! Everything that must hold before a change goes in.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use crate::{
    machine,
    shell::{self, Told, cargo, first_line, line, say},
};

/// Runs every step, also after one failed, so that everything is known at the end.
fn run_steps(steps: Vec<(&'static str, Command)>) -> Vec<(&'static str, Told<()>, Duration)> {
    let mut done = Vec::new();
    for (name, mut command) in steps {
        say(&format!("\n== {name}: {}", line(&command)));
        let began = Instant::now();
        let ended = shell::run(&mut command);
        say(&format!("== {name}: {} in {:.1} s", word(&ended), began.elapsed().as_secs_f64()));
        done.push((name, ended, began.elapsed()));
    }
    done
}

/// `cargo xtask test`.
pub(crate) fn run() -> Told<()> {
    let began = Instant::now();
    say("== setup: what the tests need from this machine");
    machine::set_up()?;
    let setup = began.elapsed();
    require_component("fmt", "rustfmt")?;
    require_component("clippy", "clippy")?;

    let mut ended = vec![("setup", Ok(()), setup)];
    ended.extend(run_steps(steps()));

    say("\n== all steps");
    for (name, told, took) in &ended {
        say(&format!("   {:<7} {:<6} {:>7.1} s", name, word(told), took.as_secs_f64()));
    }
    say(&format!("   {:<14} {:>7.1} s", "together", began.elapsed().as_secs_f64()));
    let failed: Vec<String> = ended.into_iter().filter_map(|(_, told, _)| told.err()).collect();
    if failed.is_empty() { Ok(()) } else { Err(failed.join("\n       ")) }
}

fn steps() -> Vec<(&'static str, Command)> {
    let step = |args: &[&str]| {
        let mut cargo = cargo();
        cargo.args(args);
        cargo
    };
    let clippy = ["clippy", "--workspace", "--all-targets", "--locked", "--quiet", "--", "-D", "warnings"];
    let mut test = step(&["test", "--workspace", "--locked", "--no-fail-fast"]);
    // A snapshot that differs is a failure, never a file that is written.
    test.env("INSTA_UPDATE", "no").env_remove("INSTA_FORCE_PASS");
    let mut doc = step(&["doc", "--workspace", "--no-deps", "--locked", "--quiet"]);
    doc.env("RUSTDOCFLAGS", "-D warnings");
    vec![
        ("format", step(&["fmt", "--all", "--check"])),
        ("lints", step(&clippy)),
        ("tests", test),
        ("docs", doc),
    ]
}

/// `rust-toolchain.toml` names the components, and rustup brings them; a Rust without rustup may lack them.
fn require_component(command: &str, component: &str) -> Told<()> {
    if first_line(cargo().args([command, "--version"])).is_some() {
        return Ok(());
    }
    Err(format!(
        "`cargo {command}` does not work here. With rustup: `rustup component add {component}`; with Rust from another \
         source, install its package `{component}`"
    ))
}

fn word(told: &Told<()>) -> &'static str {
    if told.is_ok() { "ok" } else { "FAILED" }
}
