//! A client that nobody here wrote talks with the simulator: discord.py, which the test installs by itself.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use serde_json::{Value, json};
use simulator::discord::{
    Click,
    options::{APP, BEN, GENERAL, GUILD},
};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};

use super::{
    Failure,
    app::{App, eventually},
};

const WITHIN: Duration = Duration::from_secs(30);

/// The client, in a process of its own.
struct Client {
    _process: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Client {
    async fn start(app: &App) -> Result<Self, Failure> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/discord/client.py");
        let mut process = Command::new(python().await?)
            .arg(script)
            .args([app.discord.base(), app.discord.bot_token(), GUILD.to_owned()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let lines = BufReader::new(process.stdout.take().ok_or("no output")?).lines();
        Ok(Self { _process: process, lines })
    }

    /// The next thing it says, which has to be this.
    async fn says(&mut self, what: &str) -> Result<Value, Failure> {
        let line = tokio::time::timeout(WITHIN, self.lines.next_line())
            .await
            .map_err(|_| format!("no {what}"))??;
        let said: Value = serde_json::from_str(&line.ok_or("the client ended")?)?;
        assert_eq!(said["what"], what, "{said}");
        Ok(said)
    }
}

/// A Python with the library, made once for a target folder.
async fn python() -> Result<PathBuf, Failure> {
    let wanted = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/discord/requirements.txt");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("discord-py-2.7.1");
    let python = folder.join("bin/python");
    if python.exists() {
        return Ok(python);
    }
    // Made under another name first: what stands under its own is whole.
    let making = folder.with_extension(std::process::id().to_string());
    let run = async |program: &Path, args: &[&str], hint: &str| -> Result<(), Failure> {
        let done = Command::new(program).args(args).stdout(Stdio::null()).status().await;
        match done {
            Ok(status) if status.success() => Ok(()),
            Ok(_) | Err(_) => Err(format!("{} {} failed: {hint}", program.display(), args.join(" ")).into()),
        }
    };
    let place = making.to_string_lossy().into_owned();
    let hint = "Debian's packages python3, python3-venv and python3-pip are needed";
    run(Path::new("python3"), &["-m", "venv", &place], hint).await?;
    let list = wanted.to_string_lossy().into_owned();
    let args = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", &list];
    run(&making.join("bin/python"), &args, "the package index is needed once").await?;
    if tokio::fs::rename(&making, &folder).await.is_err() {
        // Another test was quicker.
        tokio::fs::remove_dir_all(&making).await?;
    }
    Ok(python)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_nobody_here_wrote_gets_along() -> Result<(), Failure> {
    let app = App::new().await?;
    let mut client = Client::start(&app).await?;
    assert_eq!(client.says("synced").await?["names"], json!(["ask"]));
    let ready = client.says("ready").await?;
    assert_eq!((ready["user"].as_str(), ready["guilds"].as_u64()), (Some(APP), Some(3)));
    assert_eq!(ready["channels"], json!(["general", "help", "ops", "readonly"]));
    assert!(ready["members"].as_array().is_some_and(|members| members.contains(&json!("Big Ben"))));

    // It hears a mention, replies, opens a thread.
    let said = app.control.say(BEN, GENERAL, "@switchboard help me").await?;
    let mention = client.says("mention").await?;
    assert_eq!(mention, json!({"what": "mention", "text": "@switchboard help me", "nick": "Big Ben"}));
    let thread = client.says("thread").await?;
    assert_eq!(
        (thread["id"].as_str(), thread["history"].clone()),
        (Some(said.id.as_str()), json!(["a card", ""]))
    );
    let reply = app.control.wait_for(GENERAL, WITHIN, |it| it.text == "on it").await?;
    assert_eq!((reply.reply_to.as_deref(), reply.rings.len()), (Some(said.id.as_str()), 0));
    let card = app.control.wait_for(&said.id, WITHIN, |it| it.text == "a card").await?;
    assert_eq!(
        (card.files[0]["name"].as_str(), card.embeds[0]["title"].as_str()),
        (Some("note.txt"), Some("Card"))
    );

    // A click is deferred and answered; another opens a modal whose values come back.
    let click = |label: &str| Click::on(BEN, &card, &card.button(label).unwrap_or_default());
    let id = app.control.click(&click("Work")).await?;
    assert_eq!(app.control.outcome(&id, WITHIN).await?.answer, Some(6));
    app.control.wait_for(&said.id, WITHIN, |it| it.text == "worked for Big Ben").await?;
    app.control.click(&click("Form")).await?;
    eventually(async || Ok(app.control.view(BEN).await?.is_some())).await?;
    app.control.submit(BEN, &[("why", "so"), ("how", "thus")]).await?;
    let answer = app.control.wait_for(&said.id, WITHIN, |it| it.text == "so/thus").await?;
    assert_eq!(answer.ephemeral_to.as_deref(), Some(BEN));

    // A slash command is deferred and followed up.
    app.control.command(BEN, GENERAL, "ask", json!({"what": "bread", "whom": BEN})).await?;
    let answer = app.control.wait_for(GENERAL, WITHIN, |it| it.text == "bread for Big Ben").await?;
    assert!(!answer.loading);

    // It survives a dropped socket, and hears what was said meanwhile.
    app.control.socket_fault("cut", None).await?;
    app.control.say(BEN, GENERAL, "@switchboard plain").await?;
    // What was missed comes before the session is said to go on; the library may tell of both in either order.
    let both = [client.lines.next_line().await?, client.lines.next_line().await?];
    let both: Vec<String> = both.into_iter().flatten().collect();
    assert!(both.iter().any(|line| line.contains("resumed")), "{both:?}");
    assert!(both.iter().any(|line| line.contains("@switchboard plain")), "{both:?}");
    app.control.wait_for(GENERAL, WITHIN, |it| it.text == "plain answer").await?;
    assert_eq!(app.control.sessions().await?[0].resumed, 1);

    // It is told to wait, and waits.
    let route = "POST /channels/{channel}/messages";
    app.control.fault(route, json!({"rate_limit": 0.5}), 1, 0).await?;
    let before = app.control.calls(Some(route)).await?.len();
    app.control.say(BEN, GENERAL, "@switchboard plain again").await?;
    client.says("mention").await?;
    eventually(async || Ok(app.control.calls(Some(route)).await?.len() == before + 2)).await?;
    let calls = app.control.calls(Some(route)).await?;
    let [.., refused, sent] = calls.as_slice() else { return Err("two calls".into()) };
    assert_eq!((refused.status, sent.status), (429, 200));
    assert!(sent.at_us - refused.at_us >= 450_000, "it waited {} us", sent.at_us - refused.at_us);
    Ok(())
}
