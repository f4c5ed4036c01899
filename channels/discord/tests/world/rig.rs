//! Ana, on a simulated Discord.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use channel::{Channel, ChannelName, Place};
use channel_discord::Discord;
use serde_json::{Value, json};
use simulator::discord::{Click, Control, Discord as Simulated, Message};
use testkit::channel_laws::{Gesture, Rig, Shown};

use super::{ANA, APP, GENERAL, SOON, direct, open, options};

/// Where the person of a rig talks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Talks {
    /// Mentions the bot in a channel, and goes on in the thread.
    InAThread,
    /// Mentions the bot in a channel, and replies to what it says.
    InReplies,
    /// Writes to the bot.
    Directly,
}

/// Ana, on a simulated Discord.
pub(crate) struct Person {
    discord: Arc<Discord>,
    simulated: Simulated,
    control: Control,
    talks: Talks,
}

impl Person {
    pub(crate) async fn rig(talks: Talks, http: bool) -> Box<dyn Rig> {
        let simulated = Simulated::start(options()).await.unwrap();
        let control = simulated.control();
        let mut settings = json!({ "threads": talks != Talks::InReplies });
        if http {
            let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            settings["interactions"] = "http".into();
            settings["listen"] = format!("127.0.0.1:{port}").into();
            settings["public_key"] = simulated.public_key().into();
            let discord = open(&simulated, settings);
            let (url, later) = (format!("http://127.0.0.1:{port}/"), control.clone());
            // Discord asks the endpoint to prove itself, and it is not there yet.
            tokio::spawn(async move {
                while later.events(Some(&url)).await.is_err() {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            });
            return Box::new(Self { discord, control, simulated, talks });
        }
        Box::new(Self { discord: open(&simulated, settings), control, simulated, talks })
    }

    /// Clicks a button of a card; its id.
    async fn presses(&self, place: &Place, card: &Shown, choice: &str) -> String {
        let mut found = None;
        for channel in self.control.channels().await.unwrap() {
            let messages = self.control.messages(&channel.id).await.unwrap();
            found = found.or(messages.into_iter().find(|message| message.id == card.name));
        }
        let message = found.unwrap_or_else(|| panic!("the card at {place} is gone"));
        let id = message.elements().into_iter().find_map(|element| {
            let id = element["custom_id"].as_str()?.to_owned();
            (id.split(':').nth(1) == Some(choice)).then_some(id)
        });
        let id = id.unwrap_or_else(|| panic!("no button for {choice}: {message:?}"));
        self.control.click(&Click::on(ANA, &message, &id)).await.unwrap();
        id
    }

    /// The form that opens.
    async fn form(&self) -> Value {
        let began = Instant::now();
        loop {
            if let Some(form) = self.control.view(ANA).await.unwrap() {
                return form;
            }
            assert!(began.elapsed() < SOON, "no form opened");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Sends off the form that opens.
    async fn submits(&self, values: &[(&str, &str)]) {
        self.form().await;
        let submitted = self.control.submit(ANA, values).await.unwrap();
        assert_eq!(submitted.outcome, "sent", "{submitted:?}");
    }

    /// The conversation in which a place is.
    async fn conversation(&self, place: &Place) -> Option<(String, Option<String>)> {
        let text = place.as_str();
        if let Some(user) = text.strip_prefix('@') {
            return direct(&self.control, user).await.map(|channel| (channel, None));
        }
        let parts: Vec<&str> = text.split('/').collect();
        let (channel, thread) = (parts[1].to_owned(), parts.get(2).map(|thread| (*thread).to_owned()));
        let channels = self.control.channels().await.unwrap();
        match thread {
            Some(thread) if channels.iter().any(|known| known.id == thread) => Some((thread, None)),
            below => Some((channel, below)),
        }
    }
}

#[async_trait]
impl Rig for Person {
    fn channel(&self) -> Arc<dyn Channel> {
        self.discord.clone()
    }

    fn name(&self) -> ChannelName {
        ChannelName::new("discord")
    }

    fn contact(&self) -> String {
        ANA.to_owned()
    }

    fn secrets(&self) -> Vec<String> {
        vec![self.simulated.bot_token()]
    }

    async fn says(&self, text: &str) -> Gesture {
        let said = match self.talks {
            Talks::InAThread | Talks::InReplies => {
                self.control.say(ANA, GENERAL, &format!("@switchboard {text}")).await.unwrap()
            }
            Talks::Directly => self.control.dm(ANA, text).await.unwrap(),
        };
        Gesture {
            id: said.id.clone(),
            conversation: format!("{} {}", said.channel, said.id),
            text: text.to_owned(),
            acknowledged: None,
        }
    }

    async fn replies(&self, first: &Gesture, text: &str) -> Gesture {
        let (channel, thread) = first.conversation.split_once(' ').unwrap();
        let said = match self.talks {
            Talks::InAThread => {
                let began = Instant::now();
                while !self.control.channels().await.unwrap().iter().any(|known| known.id == thread) {
                    assert!(began.elapsed() < SOON, "no thread was opened");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                self.control.say(ANA, thread, text).await.unwrap()
            }
            Talks::InReplies => {
                let messages = self.control.messages(channel).await.unwrap();
                match messages.iter().rev().find(|message| message.user == APP) {
                    Some(last) => self.control.reply(ANA, channel, &last.id, text).await.unwrap(),
                    None => self.control.say(ANA, channel, &format!("@switchboard {text}")).await.unwrap(),
                }
            }
            Talks::Directly => self.control.dm(ANA, text).await.unwrap(),
        };
        Gesture {
            id: said.id.clone(),
            conversation: first.conversation.clone(),
            text: text.to_owned(),
            acknowledged: None,
        }
    }

    /// Discord sends an event again where a session goes on behind it; here it does so without that.
    async fn repeats(&self, gesture: &Gesture) -> Option<bool> {
        let deliveries = self.control.deliveries().await.unwrap();
        let first = deliveries.iter().find(|delivery| delivery.payload["id"] == gesture.id.as_str());
        if let Some(first) = first {
            self.control.raw_event(&first.what, first.payload.clone()).await.unwrap();
        }
        None
    }

    async fn sees(&self, place: &Place) -> Vec<Shown> {
        let Some((channel, below)) = self.conversation(place).await else { return Vec::new() };
        let messages = self.control.messages_for(ANA, &channel).await.unwrap();
        // Discord itself says where a thread began, in the bot's name.
        let said = |message: &&Message| matches!(message.kind, 0 | 19 | 20 | 23);
        let ours = messages.iter().filter(said).filter(|message| message.user == APP);
        let ours =
            ours.filter(|message| below.is_none() || message.reply_to == below || below_it(message, &below));
        let mut seen: Vec<Shown> = Vec::new();
        for message in ours {
            let mut shown = shown(message);
            // Who reads a card opens the file above it that says the rest.
            if let Some((_, whole)) = seen.last().and_then(|last| last.files.first())
                && shown.text.contains("file above")
            {
                shown.text.push_str(&String::from_utf8_lossy(whole));
            }
            seen.push(shown);
        }
        seen
    }

    async fn answers(&self, place: &Place, card: &Shown, choice: &str) {
        if self.presses(place, card, choice).await.starts_with("form:") {
            self.submits(&[]).await;
        }
    }

    async fn fills(&self, place: &Place, card: &Shown, choice: &str, lines: &[(&str, &str)]) {
        self.presses(place, card, choice).await;
        let form = self.form().await;
        let parts: Vec<&Value> =
            form["components"].as_array().unwrap().iter().map(|part| &part["component"]).collect();
        let part = |id: &str| parts.iter().find(|part| part["custom_id"] == id);
        let mut rest = part("rest").map(|part| part["value"].as_str().unwrap_or_default().to_owned());
        let mut inputs = Vec::new();
        for (id, value) in lines {
            if part(&format!("value:{id}")).is_some() {
                inputs.push((format!("value:{id}"), (*value).to_owned()));
                continue;
            }
            // What has no part of its own is a line of the last one, with the lines that go on with it.
            let text = rest.as_mut().unwrap_or_else(|| panic!("there is no line for {id}"));
            let mut kept = Vec::new();
            let mut ours = false;
            for line in text.lines() {
                ours = line.starts_with(&format!("{id}:")) || ours && !line.contains(':');
                if !ours {
                    kept.push(line);
                }
            }
            *text = format!("{}\n{id}: {value}", kept.join("\n"));
        }
        inputs.extend(rest.map(|rest| ("rest".to_owned(), rest)));
        let inputs: Vec<(&str, &str)> =
            inputs.iter().map(|(id, value)| (id.as_str(), value.as_str())).collect();
        self.submits(&inputs).await;
    }

    async fn away(&self, away: bool) -> bool {
        self.control.away(away).await.unwrap();
        true
    }
}

/// Files carry no reference; in a channel with one conversation they are its.
fn below_it(message: &Message, below: &Option<String>) -> bool {
    below.is_some() && message.reply_to.is_none() && !message.files.is_empty()
}

/// A message as a person sees it.
pub(crate) fn shown(message: &Message) -> Shown {
    let mut texts = vec![message.text.clone()];
    for embed in &message.embeds {
        for key in ["title", "description"] {
            texts.push(embed[key].as_str().unwrap_or_default().to_owned());
        }
    }
    let mut alive = message.rings.clone();
    let mut words = Vec::new();
    for text in &texts {
        let (read, found) = read(text);
        words.push(read);
        alive.extend(found);
    }
    let links = texts[0].contains("http");
    if links && message.flags & 4 == 0 {
        alive.push("a preview".to_owned());
    }
    let elements = message.elements();
    words.extend(elements.iter().filter_map(|element| element["label"].as_str().map(str::to_owned)));
    let choices = elements.iter().filter_map(|element| {
        let id = element["custom_id"].as_str()?;
        let kind = id.split(':').next()?;
        matches!(kind, "press" | "form").then(|| id.split(':').nth(1).unwrap_or_default().to_owned())
    });
    let files = message.files.iter().map(|file| {
        let bytes =
            data_encoding::BASE64.decode(file["content"].as_str().unwrap_or_default().as_bytes()).unwrap();
        (file["name"].as_str().unwrap_or_default().to_owned(), bytes)
    });
    Shown {
        name: message.id.clone(),
        text: words.join("\n"),
        whole: format!("{} {} {}", message.text, json!(message.embeds), json!(message.components)),
        alive,
        buttons: choices.collect(),
        files: files.collect(),
    }
}

/// The words of a text in Discord's markdown, and what in it would act.
fn read(text: &str) -> (String, Vec<String>) {
    let (mut words, mut alive) = (String::new(), Vec::new());
    for (n, piece) in text.split("```").enumerate() {
        if n % 2 == 1 {
            words.push_str(piece.split_once('\n').map_or(piece, |(_, code)| code));
            continue;
        }
        let mut rest = piece.char_indices().peekable();
        while let Some((at, letter)) = rest.next() {
            let tail = &piece[at..];
            match letter {
                '\\' if rest.peek().is_some_and(|(_, next)| next.is_ascii_punctuation()) => {
                    words.push(rest.next().unwrap().1);
                }
                '<' if tail.starts_with("<http") => {}
                '<' if tail.starts_with("<t:") && tail.contains(":f>") => {}
                '<' => alive.push(tail.chars().take(20).collect()),
                '@' if tail.starts_with("@everyone") || tail.starts_with("@here") => {
                    alive.push("@everyone".to_owned());
                }
                '[' if tail.split_once("](").is_some_and(|(_, to)| !to.starts_with("<http")) => {
                    alive.push(tail.chars().take(30).collect());
                }
                '*' | '~' | '`' | '|' | '>' => {}
                letter => words.push(letter),
            }
        }
    }
    (words, alive)
}
