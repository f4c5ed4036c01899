//! Who somebody is, where the page asks for a token. Pure: time is an argument.
//!
//! A session is a text that the browser keeps and only we can make: the person's id, when it ends, and a code over both
//! with a key derived from the person's token. So sessions outlive a restart, nothing is kept, and a changed token
//! ends the sessions of its person and of nobody else.

use std::time::Duration;

use channel::{ChannelName, Timestamp};
use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use crate::config::Visitor;

/// A token shorter than this could be guessed.
const TOKEN_CHARS_MIN: usize = 16;

/// The people who may use the page, with what their tokens prove.
pub(crate) struct Keyring {
    channel: ChannelName,
    session: Duration,
    keys: Vec<Key>,
}

struct Key {
    visitor: Visitor,
    /// What a given token is compared with.
    token: [u8; 32],
    /// What the person's sessions are signed with.
    session: [u8; 32],
}

/// A session that holds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Session<'a> {
    pub(crate) visitor: &'a Visitor,
    /// More than half of its time is over.
    pub(crate) stale: bool,
}

impl Keyring {
    pub(crate) fn new(channel: &ChannelName, session: Duration) -> Self {
        Self { channel: channel.clone(), session, keys: Vec::new() }
    }

    /// Adds a person. The error is a sentence about the token, without the token.
    pub(crate) fn add(&mut self, visitor: Visitor, token: &SecretString) -> Result<(), String> {
        let token = token.expose_secret().trim();
        if token.chars().count() < TOKEN_CHARS_MIN {
            return Err(format!("the token is shorter than {TOKEN_CHARS_MIN} characters"));
        }
        let key = Key { visitor, token: digest("token", token), session: digest("session", token) };
        if let Some(other) = self.keys.iter().find(|other| same(&other.token, &key.token)) {
            return Err(format!("`{}` has the same token", other.visitor.id));
        }
        self.keys.push(key);
        Ok(())
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(|key| key.visitor.id.as_str())
    }

    /// How long a session lasts.
    pub(crate) fn lasts(&self) -> Duration {
        self.session
    }

    /// Whose token this is.
    pub(crate) fn person(&self, token: &str) -> Option<&Visitor> {
        let given = digest("token", token.trim());
        // Every key is looked at, so that the time taken says nothing about who matched.
        self.keys
            .iter()
            .fold(None, |found, key| if same(&key.token, &given) { Some(&key.visitor) } else { found })
    }

    /// Makes a session for a person who just proved who they are.
    pub(crate) fn seal(&self, visitor: &Visitor, now: Timestamp) -> Option<String> {
        let key = self.keys.iter().find(|key| key.visitor == *visitor)?;
        let ends = now.as_second().saturating_add(i64::try_from(self.session.as_secs()).unwrap_or(i64::MAX));
        let code = self.mac(key, ends)?.finalize().into_bytes();
        Some(format!("{}.{ends}.{}", key.visitor.id, HEXLOWER.encode(&code)))
    }

    /// Whose session this is, if it holds.
    pub(crate) fn open(&self, session: &str, now: Timestamp) -> Option<Session<'_>> {
        let mut parts = session.rsplitn(3, '.');
        let (code, ends, id) = (parts.next()?, parts.next()?, parts.next()?);
        let code = HEXLOWER.decode(code.as_bytes()).ok()?;
        let ends: i64 = ends.parse().ok()?;
        let key = self.keys.iter().find(|key| key.visitor.id == id)?;
        self.mac(key, ends)?.verify_slice(&code).ok()?;
        let rest = u64::try_from(ends.checked_sub(now.as_second())?).ok().filter(|rest| *rest > 0)?;
        Some(Session { visitor: &key.visitor, stale: rest < self.session.as_secs() / 2 })
    }

    fn mac(&self, key: &Key, ends: i64) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&key.session).ok()?;
        mac.update(format!("{}\0{}\0{ends}", self.channel, key.visitor.id).as_bytes());
        Some(mac)
    }
}

fn digest(purpose: &str, token: &str) -> [u8; 32] {
    Sha256::digest(format!("switchboard web {purpose}\0{token}")).into()
}

/// Compares in the same time wherever they differ.
fn same(a: &[u8; 32], b: &[u8; 32]) -> bool {
    a.iter().zip(b).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keyring(ana: &str) -> Keyring {
        let mut keyring = Keyring::new(&ChannelName::new("web"), Duration::from_hours(1));
        let visitor = |id: &str| Visitor { id: id.to_owned(), name: id.to_owned() };
        keyring.add(visitor("ana.b@x"), &SecretString::from(ana)).unwrap();
        keyring.add(visitor("ben"), &SecretString::from("ben-token-0123456789")).unwrap();
        keyring
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_session_holds_for_its_time_and_across_restarts() {
        let ring = keyring("ana-token-0123456789");
        let ana = ring.person("ana-token-0123456789").unwrap();
        let sealed = ring.seal(ana, at(1000)).unwrap();
        let again = keyring("ana-token-0123456789");
        assert_eq!(again.open(&sealed, at(1001)).unwrap(), Session { visitor: ana, stale: false });
        assert!(again.open(&sealed, at(1000 + 2000)).unwrap().stale);
        assert!(again.open(&sealed, at(1000 + 3600)).is_none());
    }

    #[test]
    fn nothing_else_opens() {
        let ring = keyring("ana-token-0123456789");
        let ana = ring.person("ana-token-0123456789").unwrap();
        let sealed = ring.seal(ana, at(1000)).unwrap();
        assert!(keyring("another-token-456789").open(&sealed, at(1001)).is_none(), "after a change of token");
        assert!(ring.open(&sealed.replace("ana.b@x", "ben"), at(1001)).is_none(), "as somebody else");
        assert!(ring.open(&sealed.replace("4600", "9999"), at(1001)).is_none(), "for longer");
        for text in ["", "..", "ana.b@x", "ben.9999999999.", "ben.x.00", "ben.-1.00", &"a".repeat(10_000)] {
            assert!(ring.open(text, at(1001)).is_none(), "{text}");
        }
        assert!(ring.person("").is_none());
        assert!(ring.person("ana-token-012345678").is_none());
    }
}
