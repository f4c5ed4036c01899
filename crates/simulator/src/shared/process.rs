//! A simulator as a process of its own.
//!
//! One line of JSON on the standard output says where it is, once it answers.

use serde_json::Value;

/// Says where the simulator is, and waits until the process is told to end.
pub(crate) async fn run(ready: &Value, until_stdin_closes: bool) -> Result<(), Box<dyn std::error::Error>> {
    say(&ready.to_string());
    if until_stdin_closes {
        tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink())).await??;
    } else {
        tokio::signal::ctrl_c().await?;
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the line is what whoever started this waits for")]
fn say(line: &str) {
    println!("{line}");
}
