//! What goes out: small, closed, and rendered by every channel as best it can.

use serde::{Deserialize, Serialize};

use crate::{Address, DeliveryKey, MessageRef, Person, Ticket, Timestamp};

/// One message on its way to a place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outgoing {
    /// Its name: the same for every attempt, and derived from the log.
    pub key: DeliveryKey,
    /// Where to.
    pub to: Address,
    /// When it was decided; the date a byte-identical resend carries.
    pub at: Timestamp,
    /// Only this person is to see it, where the channel can do that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only: Option<Person>,
    /// The message it replies to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_reply_to: Option<MessageRef>,
    /// The earlier message it replaces, where the channel can rewrite messages; where it cannot, the channel
    /// sends it only if it says something the reader must know (a card that was settled by somebody else).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amends: Option<DeliveryKey>,
    /// What it says.
    pub content: Content,
    /// Files that go along; the bytes come with the [`crate::Attempt`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<File>,
}

/// What a message says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// Something said.
    Text(Text),
    /// Something asked.
    Card(Card),
}

/// Something said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Text {
    /// The words, as CommonMark. They may come from a model: a channel defuses mentions and refuses raw HTML.
    pub markdown: String,
    /// A short label that the gateway puts beside the words (`scripted model`, `Ana, by hand`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Something asked: a question or an approval, built from the stored arguments.
///
/// Every string in a card is plain text, to be shown inert: never parsed as markup or as a mention.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Card {
    /// The ticket that an answer must carry; whoever holds the card can name the question, no more.
    pub ticket: Ticket,
    /// What people call the question by in words, shown as `#k3f`; none where it is empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub code: String,
    /// What it is about, in the gateway's words: `Approve: deploy`.
    pub title: String,
    /// What is asked, in the agent's words.
    pub text: String,
    /// What would run: one row an argument.
    pub fields: Vec<Field>,
    /// The buttons, or the words of the reply grammar where there are none. May be empty.
    pub choices: Vec<Choice>,
    /// Whether a text of one's own is an answer too.
    pub free_text: bool,
    /// What has happened to it since it was asked, a sentence: `Approved by Ana; one more must approve.`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<String>,
    /// Where the question stands.
    pub state: CardState,
}

/// One argument of the call that a card is about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Field {
    /// Its name.
    pub label: String,
    /// Its value, whole.
    pub value: String,
}

/// One way to answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    /// Its id, and the word of the reply grammar: `approve`, `reject`.
    pub id: String,
    /// The label of the button.
    pub label: String,
    /// How it looks.
    pub style: Style,
    /// Whether a comment goes with it.
    pub comment: Comment,
    /// What may be filled in before it is pressed. A channel without [`crate::Capabilities::forms`] shows it as lines to
    /// reply with, `id: value`, below [`Choice::reply`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub form: Vec<Input>,
    /// What stands above the lines in such a reply, where that is not the choice's id: `approve`, or nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply: Option<String>,
}

/// One line of a form.
///
/// What was filled in comes back as text, whatever its kind; a channel refuses none of it, for whether it fits is not the
/// channel's to say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// Its id: what was filled in comes back under it.
    pub id: String,
    /// Its label.
    pub label: String,
    /// What stands in it at first, whole, as it would come back.
    pub value: String,
    /// How it is filled in.
    #[serde(default, skip_serializing_if = "InputKind::is_line")]
    pub kind: InputKind,
    /// Whether it must be filled in.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub required: bool,
    /// What else there is to say to whoever fills it in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Input {
    /// A line that need not be filled in.
    pub fn line(id: impl Into<String>, label: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            label: label.into(),
            value: value.into(),
            kind: InputKind::Line,
            required: false,
            hint: None,
        }
    }
}

/// How a line of a form is filled in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InputKind {
    /// A line of text.
    #[default]
    Line,
    /// A longer text.
    Lines,
    /// A number, as JSON writes it.
    Number,
    /// `yes` or `no`.
    YesNo,
    /// One of these; none of them is empty, has several lines or stands there twice.
    One(Vec<String>),
    /// Some of these, or none, one a line in their order.
    Several(Vec<String>),
    /// A day: `2026-12-31`.
    Date,
}

impl InputKind {
    fn is_line(&self) -> bool {
        *self == Self::Line
    }
}

/// How a choice looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Style {
    /// The step forward.
    Primary,
    /// The step that stops or harms.
    Danger,
    /// Any other.
    Plain,
}

/// Whether a choice takes a comment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Comment {
    /// It takes none.
    None,
    /// It may.
    Optional,
}

/// Where a question stands, as a card shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CardState {
    /// It waits for an answer.
    Open {
        /// Until when.
        deadline: Timestamp,
    },
    /// It is over; buttons go.
    Closed {
        /// How it ended, one sentence: `Approved by Ana`, `Nobody answered in time; it was not run.`
        how: String,
    },
}

/// A file that the gateway holds, named by its content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// Its name, without a path.
    pub name: String,
    /// Its media type.
    pub kind: String,
    /// Its size in bytes.
    pub size: u64,
    /// SHA-256 of its bytes in lower-case hex; empty when the bytes were not kept.
    pub hash: String,
}
