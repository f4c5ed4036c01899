//! The signature of an interaction, as Discord's documentation of security and authorization has it.

use data_encoding::HEXLOWER;
use ed25519_dalek::{Signer as _, SigningKey};

use super::ids::random_bytes;

/// Signs what goes to the app's endpoint.
pub(crate) struct Signer(SigningKey);

impl Signer {
    /// A new pair of keys.
    pub(crate) fn new() -> Self {
        let mut seed = [0; 32];
        seed.iter_mut().zip(random_bytes(32)).for_each(|(to, from)| *to = from);
        Self(SigningKey::from_bytes(&seed))
    }

    /// The public key in hexadecimal.
    pub(crate) fn public_key(&self) -> String {
        HEXLOWER.encode(self.0.verifying_key().as_bytes())
    }

    /// The value of `X-Signature-Ed25519` for a body that is sent with this `X-Signature-Timestamp`.
    pub(crate) fn sign(&self, timestamp: &str, body: &str) -> String {
        let signed = [timestamp.as_bytes(), body.as_bytes()].concat();
        HEXLOWER.encode(&self.0.sign(&signed).to_bytes())
    }
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("Signer").field(&self.public_key()).finish()
    }
}
