//! A server on Discord: the simulator as a process, the gateway's configuration, and the people.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;
pub(crate) use simulator::discord::options::{ANA, APP, BEN, CY, GENERAL, GUILD, OPS};
use simulator::discord::{Click, Control, Message, options::BOSS};

use super::{SOON, World};

/// A Discord in a process of its own; it ends with this value.
pub(crate) struct Guild {
    process: Child,
    pub(crate) control: Control,
    pub(crate) api: String,
    pub(crate) token: String,
}

impl Guild {
    pub(crate) async fn open() -> Self {
        Self::with(&["--time-scale", "0.1"]).await
    }

    pub(crate) async fn with(args: &[&str]) -> Self {
        testkit::init();
        let mut command = Command::new(env!("CARGO_BIN_EXE_discord-under-test"));
        command.args(args).arg("--until-stdin-closes").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap();
        let of = |key: &str| ready[key].as_str().unwrap().to_owned();
        Self { process, control: Control::at(of("control")), api: of("api"), token: of("bot_token") }
    }

    /// The channel.
    pub(crate) fn channel(&self, more: &str) -> String {
        format!("\n[channels.discord]\nkind = \"discord\"\napi = \"{}\"\n{more}\n", self.api)
    }

    /// The channel, Ana in finance, whoever has the role boss there, too, and the agents that ship.
    pub(crate) fn config(&self, more: &str) -> String {
        format!(
            r#"{channel}
[members.ana]
discord = "{ANA}"
[groups]
operators = ["ana"]
finance = ["ana", "discord:{GUILD}/{BOSS}"]
[desks.operators]
members = ["operators"]
via = "discord"
[desks.finance]
members = ["ana"]
via = "discord"
[[routes]]
agent = "deploy"
starts_with = ["deploy"]
[[routes]]
agent = "support"
"#,
            channel = self.channel(more)
        )
    }

    /// A world with this server and the scripted model.
    pub(crate) fn world(&self, more: &str) -> World {
        self.gateway(World::new(&format!("{}{}", self.config(more), super::SCRIPTED)))
    }

    /// The gateway is given the bot's token.
    pub(crate) fn gateway(&self, world: World) -> World {
        world.env("DISCORD_TOKEN", &self.token)
    }

    /// Waits until the gateway listens.
    pub(crate) async fn connected(&self, world: &World) {
        let began = Instant::now();
        while !self.control.sessions().await.unwrap().iter().any(|session| session.socket.is_some()) {
            assert!(began.elapsed() < SOON, "it never connected:\n{}", world.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// A person mentions the bot; the name of the message, and of its thread.
    pub(crate) async fn mentions(&self, user: &str, text: &str) -> String {
        self.control.say(user, GENERAL, &format!("@switchboard {text}")).await.unwrap().id
    }

    /// What the gateway says in a thread that everybody sees.
    pub(crate) async fn said(&self, thread: &str) -> Vec<Message> {
        let messages = self.control.messages(thread).await.unwrap_or_default();
        let said = |message: &Message| {
            message.user == APP && message.ephemeral_to.is_none() && matches!(message.kind, 0 | 19 | 20 | 23)
        };
        messages.into_iter().filter(said).collect()
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

    /// A person presses the button of a card whose id begins so; the gesture.
    pub(crate) async fn presses(&self, user: &str, card: &Message, button: &str) -> String {
        let elements = card.elements();
        let ids = elements.iter().filter_map(|element| element["custom_id"].as_str());
        let id = ids.into_iter().find(|id| id.starts_with(button)).expect("the card has that button");
        self.control.click(&Click::on(user, card, id)).await.unwrap()
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
        assert_eq!(submitted.outcome, "sent", "{submitted:?}");
    }

    /// Waits until a person is told something that nobody else sees.
    pub(crate) async fn told(&self, user: &str, thread: &str, wanted: &str) -> Message {
        let began = Instant::now();
        loop {
            let messages = self.control.messages(thread).await.unwrap();
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

impl Drop for Guild {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
