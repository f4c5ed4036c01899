//! Names that nobody can guess, and the clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use data_encoding::HEXLOWER;

/// Random bytes.
pub(crate) fn random_bytes(count: usize) -> Vec<u8> {
    let mut buffer = vec![0; count];
    // Without randomness the clock has to do: names in a simulator guard nothing.
    if getrandom::fill(&mut buffer).is_err() {
        let nanos = since_epoch().as_nanos().to_le_bytes();
        for (byte, nano) in buffer.iter_mut().zip(nanos.iter().cycle()) {
            *byte = *nano;
        }
    }
    buffer
}

/// Random letters: `bytes` bytes as lower-case hexadecimal.
pub(crate) fn random(bytes: usize) -> String {
    HEXLOWER.encode(&random_bytes(bytes))
}

/// The time since 1970.
pub(crate) fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
