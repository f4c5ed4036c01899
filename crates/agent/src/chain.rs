//! What an answer stands on: the log before it, and the card that it answers.

use channel::{Address, Card, DeliveryKey};
use data_encoding::HEXLOWER;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{
    canonical::canonical,
    event::Record,
    id::{QuestionId, ThreadId, sha256},
    thread::Thread,
};

/// The chain over a log so far, as SHA-256: it begins with the thread's name, and each record is folded into what was there before,
/// as canonical JSON of what was written, also by a newer build. So whoever changes one event changes the chain at all later ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain([u8; 32]);

impl Chain {
    /// The chain over no events of a thread.
    pub fn new(thread: &ThreadId) -> Self {
        Self(Sha256::digest(thread.as_str()).into())
    }

    /// The chain that was written like this before; `None` for what is none.
    pub fn parse(hex: &str) -> Option<Self> {
        let bytes = HEXLOWER.decode(hex.as_bytes()).ok()?;
        bytes.try_into().ok().map(Self)
    }

    /// The chain over one record more.
    #[must_use]
    pub fn then(&self, record: &Record) -> Self {
        self.then_json(&record.json())
    }

    pub(crate) fn then_json(&self, record: &Value) -> Self {
        let mut hash = Sha256::new();
        hash.update(self.0);
        hash.update(canonical(record));
        Self(hash.finalize().into())
    }

    /// The chain over these records more.
    #[must_use]
    pub fn over<'a>(self, records: impl IntoIterator<Item = &'a Record>) -> Self {
        records.into_iter().fold(self, |chain, record| chain.then(record))
    }

    /// As lower-case hex.
    pub fn hex(&self) -> String {
        HEXLOWER.encode(&self.0)
    }
}

/// The name of the card of a question that was sent to a place last, if one got there.
pub fn card_at(thread: &Thread, question: QuestionId, at: &Address) -> Option<DeliveryKey> {
    let cards = &thread.inquiry(question)?.cards;
    let card = cards.iter().rev().find(|card| card.asked.at == *at && !card.lost)?;
    Some(card.key(thread.id()))
}

/// SHA-256 of what a card showed, as canonical JSON of its title, text, fields and choices. What names the question, and where it
/// stands, is left out: that differs from place to place, and in time.
pub fn shown(card: &Card) -> String {
    let Card { title, text, fields, choices, .. } = card;
    let shown = json!({ "title": title, "text": text, "fields": fields, "choices": choices });
    sha256(canonical(&shown).as_bytes())
}
