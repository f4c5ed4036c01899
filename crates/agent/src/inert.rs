//! Texts from outside, made harmless.

/// Where a text will stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spot {
    /// Between tags.
    Text,
    /// Inside quotes in a tag.
    Attribute,
}

/// Makes a text unable to open or close a tag, or a quoted value; what cannot be seen is taken out.
pub(crate) fn escape(text: &str, spot: Spot) -> String {
    let mut safe = String::with_capacity(text.len() + text.len() / 16);
    for c in text.chars().filter(|c| is_visible(*c)) {
        match (c, spot) {
            ('<', _) => safe.push_str("&lt;"),
            ('>', _) => safe.push_str("&gt;"),
            ('&', _) => safe.push_str("&amp;"),
            ('"', Spot::Attribute) => safe.push_str("&quot;"),
            ('\'', Spot::Attribute) => safe.push_str("&#39;"),
            ('\n' | '\t', Spot::Attribute) => safe.push(' '),
            (c, _) => safe.push(c),
        }
    }
    safe
}

/// Controls, direction marks, zero-width and tag characters carry words past a reader's eye; they are left out.
fn is_visible(c: char) -> bool {
    let hidden = matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}');
    !hidden && (!c.is_control() || matches!(c, '\n' | '\t'))
}

/// The beginning of a text, with a mark where it goes on.
pub(crate) fn clip(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
