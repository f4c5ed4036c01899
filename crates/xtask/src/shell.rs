//! Words to the terminal, and other programs.

use std::{
    ffi::OsStr,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

/// What went wrong, as one or more sentences for the person at the terminal.
pub(crate) type Told<T> = Result<T, String>;

/// Prints a line at once. A reader that went away is no fault.
pub(crate) fn say(line: &str) {
    let mut out = std::io::stdout();
    let _ = writeln!(out, "{line}");
    let _ = out.flush();
}

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.ancestors().nth(2).unwrap_or(own).to_owned()
}

/// Cargo, as it was called, in the root of the repository.
pub(crate) fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root());
    // What cargo tells this program about itself must not reach what it builds.
    for name in ["CARGO_MANIFEST_DIR", "CARGO_MANIFEST_PATH", "CARGO_PKG_NAME"] {
        cargo.env_remove(name);
    }
    cargo
}

/// The command as one would type it.
pub(crate) fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<_> = words.map(|word| OsStr::to_string_lossy(word).into_owned()).collect();
    let program = Path::new(&words[0]).file_name().map(|name| name.to_string_lossy().into_owned());
    let words = std::iter::once(program.unwrap_or_default()).chain(words.iter().skip(1).cloned());
    words
        .map(|word| if word.contains(char::is_whitespace) { format!("'{word}'") } else { word })
        .collect::<Vec<_>>()
        .join(" ")
}

/// Runs a program with its output on the terminal.
pub(crate) fn run(command: &mut Command) -> Told<()> {
    let status = command.status().map_err(|error| format!("`{}` cannot be run: {error}", line(command)))?;
    if status.success() { Ok(()) } else { Err(format!("`{}` failed ({status})", line(command))) }
}

/// The first line that a program prints, if it ran and succeeded.
pub(crate) fn first_line(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().next().map(str::to_owned)
}
