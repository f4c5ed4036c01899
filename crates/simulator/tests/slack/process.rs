//! The simulator as a process of its own, and its page.

use std::process::Stdio;

use serde_json::Value;
use simulator::slack::Control;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
};

use super::{Failure, app::App};

#[tokio::test(flavor = "multi_thread")]
async fn a_process_says_where_it_is_and_ends_with_its_input() -> Result<(), Failure> {
    let mut process = Command::new(env!("CARGO_BIN_EXE_slack-simulator"))
        .args(["--until-stdin-closes", "--time-scale", "0.01"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut line = String::new();
    BufReader::new(process.stdout.take().ok_or("no output")?).read_line(&mut line).await?;
    let ready: Value = serde_json::from_str(&line)?;
    assert_eq!((ready["team"].as_str(), ready["bot_user"].as_str()), (Some("T0SIM0001"), Some("U0BOT0001")));
    let control = Control::at(ready["control"].as_str().unwrap_or_default());
    assert_eq!(ready["api"], control.api());
    control.say("U0ANA0001", "C0GEN0001", "hello").await?;
    assert_eq!(control.settings().await?["time_scale"], 0.01);
    drop(process.stdin.take());
    assert!(process.wait().await?.success());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_shows_what_comes_from_outside_as_text() -> Result<(), Failure> {
    let app = App::new().await?;
    let page = app.http.get(app.slack.base()).send().await?;
    assert!(page.headers()["content-type"].to_str()?.starts_with("text/html"));
    let page = page.text().await?;
    assert!(page.contains("<title>Slack simulator</title>"));
    for markup in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write"] {
        assert!(!page.contains(markup), "{markup}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_simulator_that_is_dropped_listens_no_more() -> Result<(), Failure> {
    let app = App::new().await?;
    let mut link = app.link().await?;
    let App { slack, control, .. } = app;
    drop(slack);
    assert!(link.next().await.is_err());
    assert!(control.sockets().await.is_err());
    Ok(())
}
