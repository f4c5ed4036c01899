//! A look at the shape of a mail before anything takes it apart: a bomb must not reach the parser.

use mail_parser::{Message, PartType};

use crate::config::Limits;

/// Looks at the raw lines only, in one pass. Counts what a parser would have to follow, a little generously.
///
/// # Errors
/// A sentence: which limit the mail is above.
pub(crate) fn survey(raw: &[u8], limits: &Limits) -> Result<(), String> {
    let mut boundaries: Vec<Vec<u8>> = Vec::new();
    let mut parts = 0;
    for line in raw.split(|byte| *byte == b'\n') {
        if let Some(boundary) = declared_boundary(line)
            && !boundaries.contains(&boundary)
        {
            boundaries.push(boundary);
            // Each level of nesting declares one.
            if boundaries.len() > limits.parts {
                return Err(format!("it declares more than {} boundaries", limits.parts));
            }
        }
        let is_part =
            line.starts_with(b"--") && boundaries.iter().any(|boundary| line[2..].starts_with(boundary));
        if is_part {
            parts += 1;
            // Every group of parts ends with one line more than it has parts.
            if parts > 2 * limits.parts + 2 {
                return Err(format!("it has more than {} parts", limits.parts));
            }
        }
    }
    Ok(())
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
