//! The seam itself: what a channel gives, and what it is given.

use std::{
    fmt,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use crate::{Address, ChannelName, Error, Inbound, MessageRef, Outgoing, Person, Place, Timestamp};

/// A platform adapter, one configured instance.
///
/// No method has a default: what a channel cannot do is a value in [`Capabilities`].
#[async_trait]
pub trait Channel: Send + Sync {
    /// What this channel can do. Constant for its life.
    fn capabilities(&self) -> Capabilities;

    /// Mints the place of a configured contact: a mail address, a person's own page, a shared room.
    ///
    /// # Errors
    /// `Refused` when the text is not a contact on this channel; the error says what one looks like.
    fn place(&self, contact: &str) -> Result<Place, Error>;

    /// Keeps up what [`Channel::send`] and [`Channel::signal`] need, until `stop` is cancelled; where they need nothing it may
    /// end at once. Every gateway runs it from its start on, also one that does not listen.
    async fn attend(&self, inbox: Arc<dyn Inbox>, stop: CancellationToken);

    /// Receives until `ingress.stop` is cancelled. Where [`Capabilities::one_reader`] says so, it runs in one gateway at a
    /// time, may begin and end often in the life of a channel, and is cut off when it does not end soon. Connects again by itself after a passing fault, with jittered
    /// back-off; says so to `ingress.health`. A message is acknowledged to the platform only after
    /// [`Inbox::accept`] returned.
    ///
    /// # Errors
    /// Only what cannot be mended by connecting again.
    async fn listen(&self, ingress: Ingress) -> Result<(), Error>;

    /// Sends one message. After [`crate::ErrorKind::Ambiguous`] the same message comes again with a higher
    /// `attempt.number`: where the platform lets it, the channel then looks whether it is already there.
    ///
    /// # Errors
    /// See [`crate::ErrorKind`].
    async fn send(&self, outgoing: &Outgoing, attempt: &Attempt) -> Result<Receipt, Error>;

    /// Shows what goes on at a place, about a message where it is about one. Best effort; never waits long, never fails
    /// loudly, and nothing is lost when it shows nothing.
    async fn signal(&self, at: &Address, about: Option<&MessageRef>, signal: Signal);

    /// Connects once, changes nothing, and says what it found: who the channel is on its platform, what it may do there.
    ///
    /// # Errors
    /// Everything that is wrong, each with its remedy: a credential that is refused, a permission that is missing.
    async fn check(&self) -> Result<Vec<String>, Vec<Error>>;
}

/// What a channel can do. Data, not methods; fewer than ten fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Cards have buttons; without, a card says which words answer it.
    pub buttons: bool,
    /// A button can ask for more before it counts: [`crate::Choice::form`].
    pub forms: bool,
    /// A sent message can be rewritten.
    pub amends: bool,
    /// A message can be shown to one person in a shared place.
    pub private: bool,
    /// Files can be sent.
    pub files: bool,
    /// The longest message in characters, above which the channel splits; `None` when there is no limit.
    pub text_len_max: Option<usize>,
    /// How a reply is matched to a question.
    pub correlation: Correlation,
    /// Of several gateways one at a time may listen: two would read the same mailbox, or each end the other's session.
    /// Otherwise all of them listen, and who connects spreads what comes. Sending is for all of them either way.
    pub one_reader: bool,
}

/// How a reply is matched to a question on a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Correlation {
    /// The platform vouches for place and person: a reply in the place of the only open question answers it.
    Native,
    /// Place and person are easily imitated: an approval counts only with the question's ticket.
    Ticket,
}

/// One try to send.
#[derive(Clone, Debug, PartialEq)]
pub struct Attempt {
    /// 1 at first.
    pub number: u32,
    /// The platform's name of the message that `outgoing.amends` names, if that one was sent.
    pub amends: Option<MessageRef>,
    /// The bytes of `outgoing.files`, in the same order.
    pub files: Vec<Vec<u8>>,
}

/// Proof that a message was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The platform's name of the message, if it has one.
    pub message: Option<MessageRef>,
}

/// A sign of life at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signal {
    /// An agent is at work.
    Working,
    /// An agent is at work, and this is its answer so far, as CommonMark. It may still become another one: what counts is
    /// the message that is sent.
    Writing {
        /// The words so far.
        text: String,
    },
    /// A human's answer is waited for.
    Waiting,
    /// The request is done.
    Done,
    /// The request ended, and the agent could not do it.
    Failed,
}

/// The gateway's door for what comes in. Given to a channel; never implemented by one.
#[async_trait]
pub trait Inbox: Send + Sync {
    /// Makes an inbound durable. When it returns `Ok`, the platform may be told that the message was received.
    ///
    /// # Errors
    /// `Retry`: do not acknowledge, the store is away. `Refused`: it will never be taken (too large); acknowledge
    /// and tell the sender if the platform allows.
    async fn accept(&self, inbound: Inbound) -> Result<Accepted, Error>;

    /// A value that this channel kept: where it stopped reading.
    ///
    /// # Errors
    /// `Retry` when the store is away.
    async fn cursor(&self, name: &str) -> Result<Option<String>, Error>;

    /// Keeps a value under a name of this channel's own, durably.
    ///
    /// # Errors
    /// `Retry` when the store is away.
    async fn advance(&self, name: &str, value: &str) -> Result<(), Error>;

    /// All that was said at a place of this channel, oldest first: for a channel whose platform keeps no history.
    ///
    /// # Errors
    /// `Retry` when the store is away.
    async fn history(&self, place: &Place) -> Result<Vec<Entry>, Error>;

    /// The bytes of a kept file.
    ///
    /// # Errors
    /// `Retry` when the store is away.
    async fn file(&self, hash: &str) -> Result<Option<Vec<u8>>, Error>;
}

/// What became of an inbound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// It is in a log now.
    New,
    /// It was there already.
    Already,
}

/// One thing said at a place.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// A name that stays the same, and sorts entries of one place in the order they were said.
    pub id: String,
    /// When.
    pub at: Timestamp,
    /// What.
    pub said: Said,
}

/// One thing said at a place, by whom.
#[derive(Clone, Debug, PartialEq)]
pub enum Said {
    /// A person said it.
    Heard {
        /// Who.
        from: Person,
        /// Their words.
        text: String,
        /// Their files.
        files: Vec<crate::File>,
    },
    /// The gateway said it; a message that amends an earlier one comes as an entry of its own.
    Sent(Box<Outgoing>),
}

/// What a channel listens with.
#[derive(Clone)]
pub struct Ingress {
    /// Where messages go.
    pub inbox: Arc<dyn Inbox>,
    /// Where the channel says how it is.
    pub health: Health,
    /// Cancelled when the channel is to stop.
    pub stop: CancellationToken,
}

/// How a channel says how it is. Cheap to clone; all clones share one state.
#[derive(Clone, Debug, Default)]
pub struct Health(Arc<Mutex<Vitals>>);

#[derive(Debug, Default)]
struct Vitals {
    state: HealthState,
    heard: Option<Timestamp>,
}

/// How a channel is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum HealthState {
    /// It has not connected yet.
    #[default]
    Starting,
    /// It receives.
    Up,
    /// It does not, and why.
    Down {
        /// One sentence, with the remedy if one is known.
        why: String,
    },
    /// It does not and need not: another gateway listens, and this one takes over when that one ends.
    Standby,
}

impl Health {
    /// It is about to connect.
    pub fn starting(&self) {
        self.set(HealthState::Starting);
    }

    /// It receives.
    pub fn up(&self) {
        self.set(HealthState::Up);
    }

    /// It does not.
    pub fn down(&self, why: impl Into<String>) {
        self.set(HealthState::Down { why: why.into() });
    }

    /// Another gateway listens.
    pub fn standby(&self) {
        self.set(HealthState::Standby);
    }

    /// The platform was heard just now, whatever it said: a sign of life is enough. A channel that is up and hears nothing
    /// may be deaf, and whoever watches can see it by this time.
    pub fn heard(&self) {
        self.vitals().heard = Some(Timestamp::now());
    }

    /// How it is now.
    pub fn state(&self) -> HealthState {
        self.vitals().state.clone()
    }

    /// When the platform was last heard; never, for a channel that cannot know.
    pub fn last_heard(&self) -> Option<Timestamp> {
        self.vitals().heard
    }

    fn set(&self, state: HealthState) {
        self.vitals().state = state;
    }

    fn vitals(&self) -> MutexGuard<'_, Vitals> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A kind of channel: what the gateway needs to make one from its table in `config.toml`.
pub trait Kind: Channel + Sized + 'static {
    /// The value of `kind` in the table: `email`.
    const NAME: &'static str;
    /// The table's other keys. Unknown keys are refused; the schema's descriptions are shown to the operator.
    type Settings: DeserializeOwned + JsonSchema;

    /// Makes the channel; connects nothing.
    ///
    /// # Errors
    /// `Misconfigured`, one for each thing that is wrong, with its remedy.
    fn open(settings: Self::Settings, setup: &Setup<'_>) -> Result<Self, Vec<Error>>;

    /// What the platform is given to know this gateway by (an app's manifest), made for these settings; none where a
    /// platform takes no such thing.
    fn manifest(settings: &Self::Settings) -> Option<String>;
}

/// What a channel is made with, beside its settings.
pub struct Setup<'a> {
    /// The name it has in `config.toml`.
    pub name: ChannelName,
    /// A folder of this channel's own for what may be lost. Made by the channel if it wants one.
    pub folder: &'a Path,
    /// Reads a secret from the environment by the variable's name. Settings hold names, never secrets.
    pub secret: &'a dyn Fn(&str) -> Option<SecretString>,
}

impl fmt::Debug for Setup<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setup")
            .field("name", &self.name)
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}
