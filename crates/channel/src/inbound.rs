//! What comes in: one message or gesture of one person.

use std::collections::BTreeMap;

use crate::{Address, InboundKey, MessageRef, Person, Ticket, Timestamp};

/// One message or gesture, as decoded from a platform's payload.
#[derive(Clone, Debug, PartialEq)]
pub struct Inbound {
    /// Every name under which the same gesture could arrive again. Never empty.
    pub keys: Vec<InboundKey>,
    /// Who.
    pub from: Person,
    /// The place of the conversation; the answer goes back there.
    pub at: Address,
    /// When it was sent, as the platform says. Not trusted for order or deadlines.
    pub sent: Timestamp,
    /// The platform's name of this message, so that an answer can be a reply to it.
    pub message: Option<MessageRef>,
    /// The message this one replies to, where the platform says so.
    pub in_reply_to: Option<MessageRef>,
    /// The question that this message answers, where it carries a ticket.
    pub ticket: Option<Ticket>,
    /// How directly the bot was spoken to.
    pub addressed: Addressed,
    /// What a route may look at: the address or mailbox written to, a plus-part, a slash command.
    /// Keys are the channel's own (`address`, `plus`, `command`); values are text from outside.
    pub facts: Vec<(String, String)>,
    /// What was said or done.
    pub body: Body,
}

/// How directly the bot was spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addressed {
    /// A direct message, a mail to the bot, the web page.
    Direct,
    /// A mention in a shared place.
    Mention,
    /// Said below other messages in a shared place, without naming the bot: for it where it takes part in that
    /// conversation, for nobody where it does not.
    Thread,
    /// Said in a shared place where the bot listens.
    Overheard,
}

/// What was said or done.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// A message.
    Text {
        /// The text meant for the agent and for the reply grammar: quotes and signatures removed.
        text: String,
        /// The text as it was sent, where that differs.
        original: Option<String>,
        /// Files that came along.
        files: Vec<Attachment>,
    },
    /// A button or a form of a card. The inbound's `ticket` says which.
    Press {
        /// The id of the choice that was pressed.
        choice: String,
        /// Text that was given with it.
        comment: Option<String>,
        /// What was filled in, by the id of the [`crate::Input`]; empty where the choice has no form.
        values: BTreeMap<String, String>,
    },
    /// A message that was said before, named by the inbound's `message`, has other words now.
    Edited {
        /// The words now, as in `Text`.
        text: String,
        /// The text as it stands there now, where that differs.
        original: Option<String>,
    },
    /// A message that was said before, named by the inbound's `message`, was taken back.
    Deleted,
    /// The platform reports that a message of ours, named by the inbound's `in_reply_to`, did not arrive.
    Undelivered {
        /// What the platform said.
        why: String,
    },
}

/// A file that came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// Its name; text from outside, without a path.
    pub name: String,
    /// Its media type as declared: `text/csv`.
    pub kind: String,
    /// Its size in bytes, also when the bytes were left out.
    pub size: u64,
    /// The bytes, or why they are not here (`larger than 10 MiB`).
    pub bytes: Result<Vec<u8>, String>,
}
