//! The simulator as a process of its own, and its page.

use std::process::Stdio;

use serde_json::{Value, json};
use simulator::discord::{
    Control,
    options::{ANA, APP, GENERAL},
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
};

use super::{Failure, app::App};

#[tokio::test(flavor = "multi_thread")]
async fn a_process_says_where_it_is_and_ends_with_its_input() -> Result<(), Failure> {
    let mut process = Command::new(env!("CARGO_BIN_EXE_discord-simulator"))
        .args(["--until-stdin-closes", "--time-scale", "0.01"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut line = String::new();
    BufReader::new(process.stdout.take().ok_or("no output")?).read_line(&mut line).await?;
    let ready: Value = serde_json::from_str(&line)?;
    assert_eq!(ready["application"], APP);
    let control = Control::at(ready["control"].as_str().unwrap_or_default());
    assert_eq!(ready["api"], control.api());
    control.say(ANA, GENERAL, "hello").await?;
    let settings = control.settings().await?;
    assert_eq!((&settings["time_scale"], &settings["public_key"]), (&json!(0.01), &ready["public_key"]));
    drop(process.stdin.take());
    assert!(process.wait().await?.success());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_shows_what_comes_from_outside_as_text() -> Result<(), Failure> {
    let app = App::new().await?;
    let page = app.http.get(app.discord.base()).send().await?.text().await?;
    assert!(page.contains("<title>Discord simulator</title>"));
    assert!(page.contains("async function ask(") && !page.contains("/* shared"));
    for markup in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write"] {
        assert!(!page.contains(markup), "{markup}");
    }
    let state = app.control.ask("state", json!({"viewer": ANA, "channel": GENERAL})).await?;
    assert_eq!(state["messages"], json!([]));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_simulator_that_is_dropped_listens_no_more() -> Result<(), Failure> {
    let app = App::new().await?;
    let mut link = app.link().await?;
    let App { discord, control, .. } = app;
    drop(discord);
    assert!(link.frame().await.is_err());
    assert!(control.sockets().await.is_err());
    Ok(())
}
