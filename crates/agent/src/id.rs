//! Names of threads, and places in a log.

use std::fmt;

use channel::{Address, DeliveryKey};
use data_encoding::{BASE32_NOPAD, HEXLOWER};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Where a conversation is at home, as sixteen letters: everything a thread owns lives under this name, so an inbound
/// finds its thread, and its keys, in one place of the store.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Home(String);

impl Home {
    /// The home of an address.
    pub fn of(address: &Address) -> Self {
        let mut hash = Sha256::new();
        hash.update(address.channel.as_str().as_bytes());
        hash.update([0]);
        hash.update(address.place.as_str().as_bytes());
        Self(BASE32_NOPAD.encode(&hash.finalize()[..10]).to_ascii_lowercase())
    }

    /// The sixteen letters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A thread: its home and its generation there, `k3fj2m9qx7ab4c5d-1`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ThreadId(String);

impl ThreadId {
    /// The thread of this generation (1 is the first) at a home.
    pub fn new(home: &Home, generation: u32) -> Self {
        Self(format!("{}-{generation}", home.0))
    }

    /// The name of a thread at no address, which is rendered and never kept.
    pub fn of_nobody() -> Self {
        Self::new(&Home("a".repeat(16)), 1)
    }

    /// Reads a name that was written before; `None` when it is not one.
    pub fn parse(text: &str) -> Option<Self> {
        let (home, generation) = text.split_once('-')?;
        let letters = home.len() == 16 && home.bytes().all(|b| matches!(b, b'a'..=b'z' | b'2'..=b'7'));
        let number = generation.parse::<u32>().ok()?;
        (letters && number > 0 && number.to_string() == generation).then(|| Self(text.to_owned()))
    }

    /// Where it lives.
    pub fn home(&self) -> Home {
        Home(self.0.split('-').next().unwrap_or_default().to_owned())
    }

    /// Its generation at its home.
    pub fn generation(&self) -> u32 {
        self.0.split_once('-').and_then(|(_, n)| n.parse().ok()).unwrap_or(1)
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of the n-th message that the event at `seq` causes.
    pub fn delivery(&self, seq: Seq, n: usize) -> DeliveryKey {
        DeliveryKey::new(format!("{}.{}.{n}", self.0, seq.0))
    }
}

impl fmt::Display for ThreadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Reads the event number back out of a delivery key: which event caused this message, and its number among them.
pub fn caused_by(key: &DeliveryKey) -> Option<(ThreadId, Seq, usize)> {
    let mut parts = key.as_str().rsplitn(3, '.');
    let n = parts.next()?.parse().ok()?;
    let seq = parts.next()?.parse().ok()?;
    Some((ThreadId::parse(parts.next()?)?, Seq(seq), n))
}

/// The place of an event in its log; the first is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seq(pub u64);

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// How many events a log has; the place of the next one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Version(pub u64);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A tool call: the place of the thought (or of the answer to "run it again?") that asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CallId(pub Seq);

/// A question: the place of its `asked` event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct QuestionId(pub Seq);

/// SHA-256 in lower-case hex.
pub fn sha256(bytes: &[u8]) -> String {
    HEXLOWER.encode(&Sha256::digest(bytes))
}
