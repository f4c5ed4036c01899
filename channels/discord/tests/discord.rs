//! What only Discord can get wrong, against a simulated Discord over the real protocols.

#![expect(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking, and looks for one thing among many"
)]

#[expect(dead_code, reason = "shared with the laws")]
mod world;

#[path = "discord/connection.rs"]
mod connection;
#[path = "discord/gestures.rs"]
mod gestures;
#[path = "discord/http.rs"]
mod http;
#[path = "discord/messages.rs"]
mod messages;
#[path = "discord/presence.rs"]
mod presence;
#[path = "discord/several.rs"]
mod several;

use channel::{
    Address, Attempt, Body, Card, CardState, Channel, ChannelName, Choice, Comment, Content, DeliveryKey,
    Error, Field, Inbound, Outgoing, Place, Receipt, Style, Text, Ticket, Timestamp,
};
use simulator::discord::Message;
use world::{APP, World};

/// A message to a place.
fn outgoing(n: u32, place: &Place, content: Content) -> Outgoing {
    Outgoing {
        key: DeliveryKey::new(format!("k3fj2m9qx7ab4c5d-1.{n}.0")),
        to: Address { channel: ChannelName::new("discord"), place: place.clone() },
        at: Timestamp::now(),
        only: None,
        in_reply_to: None,
        amends: None,
        content,
        files: Vec::new(),
    }
}

fn says(markdown: &str) -> Content {
    Content::Text(Text { markdown: markdown.to_owned(), note: None })
}

fn card() -> Card {
    let choice = |id: &str, style| Choice {
        id: id.into(),
        label: id.into(),
        style,
        comment: Comment::None,
        form: vec![],
        reply: None,
    };
    Card {
        ticket: Ticket::new("k3fj2m9qx7ab4c5d-1.3.aaaaaaaaaaaaaaaa"),
        code: String::new(),
        title: "Approve: refund".into(),
        text: "Ben asked for his money back.".into(),
        fields: vec![Field { label: "amount".into(), value: "120".into() }],
        choices: vec![choice("approve", Style::Primary), choice("reject", Style::Danger)],
        free_text: false,
        progress: None,
        state: CardState::Open { deadline: Timestamp::constant(4_102_444_800, 0) },
    }
}

impl World {
    /// Sends as a gateway does: into the log first, then through the channel.
    async fn sends(&self, outgoing: &Outgoing) -> Receipt {
        self.inbox.said(outgoing);
        self.attempts(outgoing, 1).await.unwrap_or_else(|error| panic!("it was not sent: {error}"))
    }

    async fn attempts(&self, outgoing: &Outgoing, number: u32) -> Result<Receipt, Error> {
        self.discord.send(outgoing, &Attempt { number, amends: None, files: vec![] }).await
    }

    /// What the bot says in a conversation; nothing where there is none yet.
    async fn said(&self, channel: &str) -> Vec<Message> {
        let messages = self.control.messages(channel).await.unwrap_or_default();
        let said = |message: &Message| message.user == APP && matches!(message.kind, 0 | 19 | 20 | 23);
        messages.into_iter().filter(said).collect()
    }
}

fn text(inbound: &Inbound) -> &str {
    match &inbound.body {
        Body::Text { text, .. } => text,
        other => panic!("no text: {other:?}"),
    }
}
