//! A look at the shape of a mail before anything takes it apart: a bomb must not reach the parser.

use mail_parser::{Message, PartType};

use crate::config::Limits;

/// Each level of parts in parts, and of mails in mails, takes a Content-Type line; the parser's own depth hangs on it.
const CONTENT_TYPES_MAX: usize = 1_000;
/// Lines that might part one part from the next, whatever boundaries are declared in a way not understood here.
const DASHED_LINES_MAX: usize = 100_000;

/// Looks at the raw lines only, in one pass. Counts what a parser would have to follow, a little generously.
///
/// # Errors
/// A sentence: which limit the mail is above.
pub(crate) fn survey(raw: &[u8], limits: &Limits) -> Result<(), String> {
    let mut boundaries: Vec<Vec<u8>> = Vec::new();
    let (mut parts, mut dashed, mut types) = (0, 0, 0);
    for line in raw.split(|byte| *byte == b'\n') {
        types += occurrences(line, b"content-type");
        if types > CONTENT_TYPES_MAX {
            return Err(format!("it declares more than {CONTENT_TYPES_MAX} content types"));
        }
        if let Some(boundary) = declared_boundary(line)
            && !boundaries.contains(&boundary)
        {
            boundaries.push(boundary);
            // Each level of nesting declares one.
            if boundaries.len() > limits.parts {
                return Err(format!("it declares more than {} boundaries", limits.parts));
            }
        }
        let Some(rest) = line.strip_prefix(b"--") else { continue };
        dashed += 1;
        if boundaries.iter().any(|boundary| rest.starts_with(boundary)) {
            parts += 1;
        }
        // Every group of parts ends with one line more than it has parts.
        if parts > 2 * limits.parts + 2 || dashed > DASHED_LINES_MAX {
            return Err(format!("it has more than {} parts", limits.parts));
        }
    }
    Ok(())
}

fn occurrences(line: &[u8], word: &[u8]) -> usize {
    let first = [word[0], word[0].to_ascii_uppercase()];
    let starts = line.iter().enumerate().filter(|(_, byte)| first.contains(byte)).map(|(at, _)| at);
    starts
        .filter(|at| line[*at..].get(..word.len()).is_some_and(|found| found.eq_ignore_ascii_case(word)))
        .count()
}

/// The first bytes of a boundary: enough to tell them apart, and no work for long ones.
fn declared_boundary(line: &[u8]) -> Option<Vec<u8>> {
    const MARK: &[u8] = b"boundary";
    let at = line.windows(MARK.len()).position(|window| window.eq_ignore_ascii_case(MARK))?;
    let rest = line[at + MARK.len()..].trim_ascii_start().strip_prefix(b"=")?.trim_ascii_start();
    let (rest, quoted) = match rest.strip_prefix(b"\"") {
        Some(rest) => (rest, true),
        None => (rest, false),
    };
    let ends = |byte: &u8| if quoted { *byte == b'"' } else { b"; \t\r".contains(byte) };
    let end = rest.iter().position(ends).unwrap_or(rest.len()).min(70);
    (end > 0).then(|| rest[..end].to_vec())
}

/// Counts again, in the parsed mail: parts, attached mails' parts included, and how deep they lie.
///
/// # Errors
/// A sentence: which limit the mail is above.
pub(crate) fn measure(message: &Message<'_>, limits: &Limits) -> Result<(), String> {
    let mut parts = 0;
    let mut open: Vec<(&Message<'_>, u32, usize)> = vec![(message, 0, 1)];
    while let Some((message, id, depth)) = open.pop() {
        let Some(part) = message.parts.get(id as usize) else { continue };
        parts += 1;
        if parts > limits.parts {
            return Err(format!("it has more than {} parts", limits.parts));
        }
        if depth > limits.depth {
            return Err(format!("its parts lie more than {} deep", limits.depth));
        }
        match &part.body {
            PartType::Multipart(ids) => open.extend(ids.iter().map(|id| (message, *id, depth + 1))),
            PartType::Message(inner) => open.push((inner, 0, depth + 1)),
            PartType::Text(_) | PartType::Html(_) | PartType::Binary(_) | PartType::InlineBinary(_) => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_boundaries() {
        for (line, boundary) in [
            ("Content-Type: multipart/mixed; boundary=\"a b\"; x", Some("a b")),
            ("\tBoundary = abc; x", Some("abc")),
            ("boundary=abc\r", Some("abc")),
            ("boundary=", None),
            ("boundary=\"\"", None),
            ("the boundary is near", None),
        ] {
            assert_eq!(declared_boundary(line.as_bytes()), boundary.map(|b| b.as_bytes().to_vec()), "{line}");
        }
    }

    #[test]
    fn bombs_are_seen_before_they_are_parsed() {
        let limits = Limits { parts: 10, ..Limits::default() };
        let wide = format!("boundary=x\n{}", "--x\n\n".repeat(23));
        assert!(survey(wide.as_bytes(), &limits).is_err());
        let deep: String = (0..11).map(|n| format!("boundary=b{n}\n")).collect();
        assert!(survey(deep.as_bytes(), &limits).is_err());
        let fair = format!("boundary=x\n{}--x--\n--y\n", "--x\n\n".repeat(10));
        assert!(survey(fair.as_bytes(), &limits).is_ok());
    }
}
