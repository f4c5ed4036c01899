//! Tickets: proof that an answer belongs to a question that was asked at a place.

use channel::{Address, Ticket};
use data_encoding::BASE32_NOPAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use crate::{
    id::{QuestionId, Seq, ThreadId},
    thread::Thread,
};

/// Makes and checks tickets with a key that only this installation has.
#[derive(Clone)]
pub struct Tickets {
    key: [u8; 32],
}

impl std::fmt::Debug for Tickets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tickets(..)")
    }
}

impl Tickets {
    /// Tickets under this key.
    pub fn new(key: [u8; 32]) -> Self {
        Self { key }
    }

    /// The ticket for the card of a question at a place: `thread.question.code`.
    pub fn mint(&self, thread: &ThreadId, question: QuestionId, at: &Address) -> Ticket {
        Ticket::new(format!("{thread}.{}.{}", question.0, self.code(thread, question, at)))
    }

    /// Which question a ticket speaks of. Nothing is proven yet: see [`Self::check`].
    pub fn read(ticket: &Ticket) -> Option<(ThreadId, QuestionId)> {
        let mut parts = ticket.as_str().split('.');
        let (thread, question, _code) = (parts.next()?, parts.next()?, parts.next()?);
        let canonical = question.parse::<u64>().ok().filter(|n| n.to_string() == question)?;
        parts.next().is_none().then_some(())?;
        Some((ThreadId::parse(thread)?, QuestionId(Seq(canonical))))
    }

    /// The question of this thread that a ticket proves to answer.
    pub fn check(&self, ticket: &Ticket, thread: &Thread) -> Option<QuestionId> {
        let (id, question_id) = Self::read(ticket)?;
        let inquiry = thread.inquiry(question_id).filter(|_| id == *thread.id())?;
        let code = ticket.as_str().rsplit('.').next()?.as_bytes();
        let genuine = inquiry.cards.iter().any(|card| {
            let own = self.code(&id, question_id, &card.asked.at);
            // Constant time: the whole length is looked at whatever differs.
            own.len() == code.len() && own.bytes().zip(code).fold(0, |diff, (a, b)| diff | (a ^ b)) == 0
        });
        genuine.then_some(question_id)
    }

    fn code(&self, thread: &ThreadId, question: QuestionId, at: &Address) -> String {
        // A key of 32 bytes is never refused; were it, the empty code would match no ticket of full length.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.key) else { return String::new() };
        for part in [thread.as_str(), &question.0.to_string(), at.channel.as_str(), at.place.as_str()] {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        BASE32_NOPAD.encode(&mac.finalize().into_bytes()[..10]).to_ascii_lowercase()
    }
}

/// What people call a question by in words: four letters, which say nothing and prove nothing.
pub fn short_code(thread: &ThreadId, question: QuestionId) -> String {
    let digest = Sha256::digest(format!("{thread}.{}", question.0));
    BASE32_NOPAD.encode(&digest[..5])[..4].to_ascii_lowercase()
}
