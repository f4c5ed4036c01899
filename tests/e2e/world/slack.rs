//! A team on Slack: the simulator as a process, the gateway's configuration, and the people.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;
use simulator::slack::{Click, Control, Message};

use super::{SOON, World};

pub(crate) const TEAM: &str = "T0SIM0001";
pub(crate) const BOT: &str = "U0BOT0001";
/// In finance, and an operator.
pub(crate) const ANA: &str = "U0ANA0001";
/// In finance, too.
pub(crate) const BEN: &str = "U0BEN0001";
/// May approve nothing.
pub(crate) const CY: &str = "U0CY00001";
pub(crate) const GENERAL: &str = "C0GEN0001";

/// A workspace in a process of its own; it ends with this value.
pub(crate) struct Workspace {
    process: Child,
    pub(crate) control: Control,
    pub(crate) api: String,
}

impl Workspace {
    pub(crate) async fn open() -> Self {
        Self::with(&["--time-scale", "0.2"]).await
    }

    pub(crate) async fn with(args: &[&str]) -> Self {
        testkit::init();
        let mut command = Command::new(env!("CARGO_BIN_EXE_slack-under-test"));
        command.args(args).arg("--until-stdin-closes").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap();
        let of = |key: &str| ready[key].as_str().unwrap().to_owned();
        let workspace = Self { process, control: Control::at(of("control")), api: of("api") };
        workspace.control.join(CY, GENERAL).await.unwrap();
        workspace
    }

    /// The channel.
    pub(crate) fn channel(&self, more: &str) -> String {
        format!(
            r#"
[channels.slack]
kind = "slack"
api = "{api}"
{more}
[channels.slack.limits]
posts_per_second = 200.0
posts_at_once = 200
"#,
            api = self.api
        )
    }

    /// The channel, Ana and Ben in finance, and the agents that ship.
    pub(crate) fn config(&self, more: &str) -> String {
        format!(
            r#"{channel}
[members.ana]
slack = "{TEAM}/{ANA}"
[members.ben]
slack = "{TEAM}/{BEN}"
[groups]
operators = ["ana"]
finance = ["ana", "ben"]
[desks.operators]
members = ["operators"]
via = "slack"
[desks.finance]
members = ["finance"]
via = "slack"
[[routes]]
agent = "deploy"
starts_with = ["deploy"]
[[routes]]
agent = "support"
"#,
            channel = self.channel(more)
        )
    }

    /// A world with this workspace and the scripted model.
    pub(crate) fn world(&self, more: &str) -> World {
        self.gateway(World::new(&format!("{}{}", self.config(more), super::SCRIPTED)))
    }

    /// The gateway is given the workspace's tokens.
    pub(crate) fn gateway(&self, world: World) -> World {
        world.env("SLACK_BOT_TOKEN", "xoxb-sim-1-secret").env("SLACK_APP_TOKEN", "xapp-sim-secret")
    }

    /// Waits until the gateway listens.
    pub(crate) async fn connected(&self, world: &World) {
        let began = Instant::now();
        while self.control.sockets().await.unwrap().is_empty() {
            assert!(began.elapsed() < SOON, "it never connected:\n{}", world.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// A person mentions the bot; the name of the message, and of its thread.
    pub(crate) async fn mentions(&self, user: &str, text: &str) -> String {
        self.control.say(user, GENERAL, &format!("<@{BOT}> {text}")).await.unwrap().ts
    }

    /// What the gateway says in a thread that everybody sees.
    pub(crate) async fn said(&self, thread: &str) -> Vec<Message> {
        let messages = self.control.messages(GENERAL, Some(thread)).await.unwrap();
        messages
            .into_iter()
            .filter(|message| message.bot_id.is_some() && message.ephemeral_to.is_none())
            .collect()
    }

    /// Waits until the gateway says something like this in a thread.
    pub(crate) async fn says(&self, world: &World, thread: &str, wanted: &str) -> Message {
        let began = Instant::now();
        loop {
            let said = self.said(thread).await;
            if let Some(message) = said.iter().find(|message| message.words().contains(wanted)) {
                return message.clone();
            }
            let words: Vec<String> = said.iter().map(Message::words).collect();
            assert!(began.elapsed() < SOON, "no `{wanted}` in {words:#?}\n{}", world.log());
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }

    /// A person presses a button of a card.
    pub(crate) async fn presses(&self, user: &str, card: &Message, button: &str) {
        self.control.click(&Click::on(user, card, button)).await.unwrap();
    }

    /// A person opens a form by a button of a card, and sends it off.
    pub(crate) async fn fills(&self, user: &str, card: &Message, button: &str, values: &[(&str, &str)]) {
        self.presses(user, card, button).await;
        let began = Instant::now();
        while self.control.view(user).await.unwrap().is_none() {
            assert!(began.elapsed() < SOON, "the form never opened");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let submitted = self.control.submit(user, values).await.unwrap();
        assert_eq!(submitted.outcome, "closed", "{submitted:?}");
    }

    /// Waits until a person is told something that nobody else sees.
    pub(crate) async fn told(&self, user: &str, wanted: &str) -> Message {
        let began = Instant::now();
        loop {
            let messages = self.control.messages(GENERAL, None).await.unwrap();
            let to = |message: &&Message| {
                message.ephemeral_to.as_deref() == Some(user) && message.text.contains(wanted)
            };
            if let Some(message) = messages.iter().find(to) {
                return message.clone();
            }
            assert!(began.elapsed() < SOON, "{user} is never told `{wanted}`: {messages:#?}");
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
