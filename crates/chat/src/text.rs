//! Texts from outside within their bounds, and names made of them.

use channel::Ticket;
use sha2::{Digest, Sha256};

/// The beginning of a text of at most `max` characters, with a mark where it goes on.
pub fn clip(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        None => text.to_owned(),
        Some(_) => {
            let end = text.char_indices().nth(max.saturating_sub(1)).map_or(text.len(), |(end, _)| end);
            format!("{}…", text.get(..end).unwrap_or_default())
        }
    }
}

/// A text of at most `bytes_max` bytes; what was cut is said.
pub fn bounded(text: String, bytes_max: usize) -> String {
    if text.len() <= bytes_max {
        return text;
    }
    let end = text.floor_char_boundary(bytes_max);
    format!("{}\n[cut here: the message has {} bytes]", text.get(..end).unwrap_or_default(), text.len())
}

/// The name of a file as it may be shown and kept: without a path, hiding nothing, not too long; `otherwise` where nothing
/// is left of it.
pub fn file_name(name: &str, otherwise: &str) -> String {
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let shown: String = channel::inert(name).chars().take(200).collect();
    if shown.trim().is_empty() { otherwise.to_owned() } else { shown }
}

/// A ticket as the gateway makes them; whether it is one is the gateway's to say.
pub fn ticket(text: &str) -> Option<Ticket> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
    ((1..=48).contains(&text.len()) && text.chars().all(plain)).then(|| Ticket::new(text))
}

/// A name of 24 characters for these parts together; other parts have another one.
pub fn digest(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    data_encoding::HEXLOWER.encode(hash.finalize().get(..12).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_clipped_between_characters() {
        assert_eq!(clip("äöü", 3), "äöü");
        assert_eq!(clip("äöüx", 3), "äö…");
        assert_eq!(clip("ab", 0), "…");
    }

    #[test]
    fn what_is_cut_is_said() {
        assert_eq!(bounded("short".into(), 10), "short");
        assert_eq!(bounded("äöü".into(), 3), "ä\n[cut here: the message has 6 bytes]");
    }

    #[test]
    fn names_of_files_lead_nowhere_and_hide_nothing() {
        assert_eq!(file_name("../../etc/passwd", "f"), "passwd");
        assert_eq!(file_name("C:\\x\\a\u{202e}txt.exe", "f"), "a\\u{202e}txt.exe");
        assert_eq!(file_name("dir/", "f"), "f");
        assert_eq!(file_name(&"x".repeat(999), "f").len(), 200);
    }

    #[test]
    fn tickets_and_digests_have_their_shape() {
        assert!(ticket("k3fj2m9qx7ab4c5d-1.3.abcdefghijklmnop").is_some());
        for strange in ["", "A", "a b", "a/b", &"a".repeat(49)] {
            assert!(ticket(strange).is_none(), "{strange}");
        }
        assert_eq!(digest(&["a", "b"]).len(), 24);
        assert_ne!(digest(&["a", "b"]), digest(&["ab", ""]));
    }
}
