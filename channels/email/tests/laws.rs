//! The laws of every channel, against a real Dovecot and a real Exim.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "shared with the tests of the servers")]
mod real {
    pub(crate) mod world;
}

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use channel::{Channel, ChannelName, Place};
use mail_parser::{MessageParser, MimeHeaders};
use real::world::{World, mail};
use testkit::channel_laws::{Gesture, Rig, Shown, alive_in_html};

testkit::channel_laws!(every_channel, rig);

/// Ana's mail program, and the gateway's mailbox.
struct Mailbox {
    world: World,
    next: AtomicU32,
}

async fn rig() -> Box<dyn Rig> {
    Box::new(Mailbox { world: World::start().await, next: AtomicU32::new(1) })
}

/// What the channel itself wrote; servers add lines of their own.
const OURS: [&str; 11] = [
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "In-Reply-To",
    "References",
    "Reply-To",
    "Auto-Submitted",
    "MIME-Version",
    "Content-Type",
];

impl Mailbox {
    /// Ana sends a mail to this address, with these lines above its words.
    async fn writes(&self, to: &str, more: &str, conversation: &str, text: &str) -> Gesture {
        let id = format!("<m{}@ana.test>", self.next.fetch_add(1, Ordering::SeqCst));
        let raw = mail("ana", "Hello", &id, more, text);
        let raw = String::from_utf8(raw).unwrap().replacen("To: bot@mail.test", &format!("To: {to}"), 1);
        self.world.deliver_as("ana", to, raw.as_bytes()).await;
        let conversation = if conversation.is_empty() { id.clone() } else { conversation.to_owned() };
        Gesture { id, conversation, text: text.to_owned(), acknowledged: None }
    }

    /// Ana's mails from the gateway, as they lie on disk.
    fn mails(&self) -> Vec<Vec<u8>> {
        let mails = self.world.servers.mailbox("ana").unwrap_or_else(|error| panic!("{error}"));
        mails.into_iter().filter(|raw| header(raw, "From").contains("bot@mail.test")).collect()
    }

    /// Ana replies to a mail, as her program does.
    async fn reply_to(&self, raw: &[u8], conversation: &str, text: &str) -> Gesture {
        let (id, references) = (header(raw, "Message-ID"), header(raw, "References"));
        let more = format!("In-Reply-To: {id}\r\nReferences: {references} {id}\r\n");
        let body = format!("{text}\r\n\r\nOn Mon, 23 Nov 2026, Bot wrote:\r\n> approve\r\n> reject");
        let gesture = self.writes(&header(raw, "Reply-To"), &more, conversation, &body).await;
        Gesture { text: text.to_owned(), ..gesture }
    }
}

fn header(raw: &[u8], name: &str) -> String {
    let text = String::from_utf8_lossy(raw).into_owned();
    let head = text.split("\n\n").next().unwrap().replace("\n ", " ").replace("\n\t", " ");
    let line = head.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
    line.unwrap_or_default().to_owned()
}

fn shown(raw: &[u8]) -> Shown {
    let parsed = MessageParser::default().parse(raw).unwrap();
    let html = parsed.body_html(0).unwrap_or_default();
    let plain = parsed.body_text(0).unwrap_or_default();
    // Text from elsewhere stands behind a bar.
    let unbarred = |line: &str| line.trim_start().strip_prefix("| ").unwrap_or(line).to_owned() + "\n";
    let files = parsed.attachments().map(|part| {
        let name = part.attachment_name().unwrap_or_default().to_owned();
        (name, part.contents().to_vec())
    });
    let ours = OURS.map(|name| format!("{name}: {}\n", header(raw, name))).concat();
    let text = String::from_utf8_lossy(raw).into_owned();
    let body = text.split_once("\n\n").map_or("", |(_, body)| body);
    Shown {
        name: header(raw, "Message-ID"),
        text: plain.lines().map(unbarred).collect(),
        whole: format!("{ours}\n{body}"),
        alive: alive_in_html(&html),
        buttons: Vec::new(),
        files: files.collect(),
    }
}

#[async_trait]
impl Rig for Mailbox {
    fn channel(&self) -> Arc<dyn Channel> {
        self.world.email.clone()
    }

    fn name(&self) -> ChannelName {
        ChannelName::new("support")
    }

    fn contact(&self) -> String {
        "ana@mail.test".to_owned()
    }

    fn secrets(&self) -> Vec<String> {
        vec!["botpw".to_owned()]
    }

    async fn says(&self, text: &str) -> Gesture {
        self.writes("bot@mail.test", "", "", text).await
    }

    async fn replies(&self, first: &Gesture, text: &str) -> Gesture {
        match self.mails().last() {
            Some(raw) => self.reply_to(raw, &first.conversation, text).await,
            None => {
                let more = format!("In-Reply-To: {}\r\nReferences: {}\r\n", first.id, first.conversation);
                self.writes("bot@mail.test", &more, &first.conversation, text).await
            }
        }
    }

    /// The mailbox is read again from where the channel says that it stopped.
    async fn repeats(&self, _gesture: &Gesture) -> Option<bool> {
        None
    }

    /// Two mails of one Message-ID are one to a mail program; here both count, to see that they are alike.
    async fn sees(&self, _place: &Place) -> Vec<Shown> {
        self.mails().iter().map(|raw| shown(raw)).collect()
    }

    async fn answers(&self, _place: &Place, card: &Shown, choice: &str) {
        let raw = self.mails().into_iter().find(|raw| header(raw, "Message-ID") == card.name).unwrap();
        self.reply_to(&raw, "", choice).await;
    }

    async fn fills(&self, _: &Place, _: &Shown, choice: &str, _: &[(&str, &str)]) {
        panic!("a mail has no form for {choice}");
    }

    async fn away(&self, away: bool) -> bool {
        for wire in [&self.world.imap, &self.world.smtp] {
            if away { wire.down() } else { wire.mend() }
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        true
    }
}
