//! Seals: a chain over the logs of all threads. Each one says how far the chains of some threads had come at a time, and names the
//! seal before it.

use channel::Timestamp;
use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::Sha256;

use crate::{
    canonical::canonical,
    id::{ThreadId, Version, sha256},
};

/// One seal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seal {
    /// Its number; the first is 1.
    pub seal: u64,
    /// When it was made, by the clock of the gateway that made it.
    pub at: Timestamp,
    /// The hash of the one before; none in the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// The threads that had gone on since.
    pub threads: Vec<Sealed>,
    /// SHA-256 of all that as canonical JSON.
    pub hash: String,
    /// HMAC-SHA-256 of the hash, where there is a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
}

/// A thread in a seal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// The thread.
    pub thread: ThreadId,
    /// How many events it had.
    pub version: Version,
    /// The chain over them.
    pub chain: String,
}

impl Seal {
    /// The seal with this number.
    pub fn new(
        seal: u64,
        at: Timestamp,
        before: Option<String>,
        threads: Vec<Sealed>,
        keys: &SealKeys,
    ) -> Self {
        let mut new = Self { seal, at, before, threads, hash: String::new(), signature: None };
        new.hash = new.computed();
        new.signature = keys.sign(&new.hash);
        new
    }

    /// Whether its hash is that of what stands in it.
    pub fn is_whole(&self) -> bool {
        self.hash == self.computed()
    }

    /// Whether one of the keys made its signature.
    pub fn is_signed_by(&self, keys: &SealKeys) -> bool {
        self.signature.as_ref().is_some_and(|signature| keys.made(&self.hash, signature))
    }

    fn computed(&self) -> String {
        let Self { seal, at, before, threads, hash: _, signature: _ } = self;
        let body = json!({ "seal": seal, "at": at, "before": before, "threads": threads });
        sha256(canonical(&body).as_bytes())
    }
}

/// The keys that seals are signed with: the first signs, each of them counts. There may be none.
#[derive(Clone, Default)]
pub struct SealKeys(Vec<Vec<u8>>);

impl std::fmt::Debug for SealKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealKeys(..)")
    }
}

impl SealKeys {
    /// These keys.
    pub fn new(keys: impl IntoIterator<Item = Vec<u8>>) -> Self {
        Self(keys.into_iter().collect())
    }

    /// Whether there are none: then nothing is signed, and no signature can be checked.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn sign(&self, hash: &str) -> Option<String> {
        let mac = mac(self.0.first()?, hash)?;
        Some(HEXLOWER.encode(&mac.finalize().into_bytes()))
    }

    fn made(&self, hash: &str, signature: &str) -> bool {
        let Ok(signature) = HEXLOWER.decode(signature.as_bytes()) else { return false };
        let fits = |key: &Vec<u8>| mac(key, hash).is_some_and(|mac| mac.verify_slice(&signature).is_ok());
        self.0.iter().any(fits)
    }
}

/// A key of any length is taken.
fn mac(key: &[u8], hash: &str) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    mac.update(hash.as_bytes());
    Some(mac)
}
