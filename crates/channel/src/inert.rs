//! Text from outside, made so that a reader sees all of it.

/// Writes out the characters of a text that would hide, reorder or control what stands beside them: `\u{202e}`.
///
/// For everything that is shown as plain text: the strings of a card, names of people and of files.
pub fn inert(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if hides(c) { shown.extend(c.escape_unicode()) } else { shown.push(c) }
    }
    shown
}

/// Controls other than line ends and tabs, direction marks, and what has no width and no shape.
fn hides(c: char) -> bool {
    (c.is_control() && !matches!(c, '\n' | '\t'))
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hides_is_written_out_and_the_rest_stays() {
        assert_eq!(inert("pay\u{202e}05\u{200b}\u{7}"), "pay\\u{202e}05\\u{200b}\\u{7}");
        assert_eq!(inert("Zürich\n\t日本 👍"), "Zürich\n\t日本 👍");
    }
}
