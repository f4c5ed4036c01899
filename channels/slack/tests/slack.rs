//! What only Slack can get wrong, against a simulated Slack over the real protocols.

#![expect(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking, and looks for one thing among many"
)]

#[expect(dead_code, reason = "shared with the laws")]
mod world;

#[path = "slack/connection.rs"]
mod connection;
#[path = "slack/gestures.rs"]
mod gestures;
#[path = "slack/http.rs"]
mod http;
#[path = "slack/messages.rs"]
mod messages;
#[path = "slack/people.rs"]
mod people;
#[path = "slack/presence.rs"]
mod presence;

use channel::{
    Address, Attempt, Body, Card, CardState, Channel, ChannelName, Choice, Comment, Content, DeliveryKey,
    Error, Field, Inbound, Input, Outgoing, Place, Receipt, Style, Text, Ticket, Timestamp,
};
use world::World;

/// A message to a place.
fn outgoing(n: u32, place: &Place, content: Content) -> Outgoing {
    Outgoing {
        key: DeliveryKey::new(format!("k3fj2m9qx7ab4c5d-1.{n}.0")),
        to: Address { channel: ChannelName::new("slack"), place: place.clone() },
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
    let choice = |id: &str, label: &str, style, comment, form: Vec<Input>| Choice {
        id: id.into(),
        label: label.into(),
        style,
        comment,
        form,
        reply: None,
    };
    let field = |label: &str, value: &str| Field { label: label.into(), value: value.into() };
    let input = |id: &str, value: &str| Input::line(id, id, value);
    Card {
        ticket: Ticket::new("k3fj2m9qx7ab4c5d-1.3.aaaaaaaaaaaaaaaa"),
        code: String::new(),
        title: "Approve: refund".into(),
        text: "Ben asked for his money back.".into(),
        fields: vec![field("order", "4711"), field("amount", "120")],
        choices: vec![
            choice("approve", "Approve", Style::Primary, Comment::None, vec![]),
            choice(
                "edit",
                "Approve with changes…",
                Style::Plain,
                Comment::None,
                vec![input("order", "4711"), input("amount", "120")],
            ),
            choice("reject", "Reject", Style::Danger, Comment::Optional, vec![]),
        ],
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
        use channel::Inbox;
        let mut files = Vec::new();
        for file in &outgoing.files {
            files.push(self.inbox.file(&file.hash).await.unwrap().unwrap());
        }
        self.slack.send(outgoing, &Attempt { number, amends: None, files }).await
    }
}

fn text(inbound: &Inbound) -> &str {
    match &inbound.body {
        Body::Text { text, .. } => text,
        other => panic!("no text: {other:?}"),
    }
}
