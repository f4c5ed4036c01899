//! What the gateway costs on each store. What is measured stands in `tests/benches/turns`, which may know the crates.

use std::fs;

use crate::{
    measure::target_folder,
    shell::{self, Told, cargo, say},
};

/// `cargo xtask bench`.
pub(crate) fn run(stores: &[String]) -> Told<()> {
    // On the disk that builds are on: the temporary folder may be none.
    let folder = target_folder()?.join("bench");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    say("building with optimisation; the first time takes some minutes");
    let mut bench = cargo();
    bench.args(["bench", "--locked", "--package", "tests", "--bench", "turns", "--"]).args(stores);
    let done = shell::run(bench.env("TMPDIR", &folder));
    fs::remove_dir_all(&folder).map_err(|error| error.to_string())?;
    done
}
