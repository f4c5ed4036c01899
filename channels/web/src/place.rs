//! Places on this channel: whose, and which conversation. Pure.
//!
//! A place is `person/conversation`. Invariant: the person is the one that the request proved to be, never one that it
//! names; so nobody can reach a place of somebody else.

use channel::Place;
use data_encoding::BASE32_NOPAD;

use crate::config::Visitor;

/// The conversation that shows what waits for a person, wherever the question came from.
pub(crate) const INBOX: &str = "inbox";

/// 128 bits in base32.
const ID_LEN: usize = 26;

/// The id of a new conversation, made of these random bytes.
pub(crate) fn conversation(random: [u8; 16]) -> String {
    BASE32_NOPAD.encode(&random).to_ascii_lowercase()
}

/// A conversation of this person, if that is what the text names.
pub(crate) fn of(visitor: &Visitor, conversation: &str) -> Option<Place> {
    let minted =
        conversation.len() == ID_LEN && conversation.bytes().all(|b| matches!(b, b'a'..=b'z' | b'2'..=b'7'));
    (minted || conversation == INBOX).then(|| Place::new(format!("{}/{conversation}", visitor.id)))
}

/// Reads a place of ours: the person's id and the conversation.
pub(crate) fn read(place: &Place) -> Option<(&str, &str)> {
    place
        .as_str()
        .split_once('/')
        .filter(|(person, conversation)| !person.is_empty() && !conversation.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_names_only_places_of_their_own() {
        let ana = Visitor { id: "ana".to_owned(), name: "Ana".to_owned() };
        let id = conversation([7; 16]);
        let place = of(&ana, &id).unwrap();
        assert_eq!(read(&place), Some(("ana", id.as_str())));
        assert_eq!(of(&ana, INBOX).unwrap().as_str(), "ana/inbox");
        for text in
            ["", "ben/inbox", "../ben/inbox", "Inbox", &"A".repeat(26), &format!("{id}a"), &"ä".repeat(13)]
        {
            assert_eq!(of(&ana, text), None, "{text}");
        }
    }
}
