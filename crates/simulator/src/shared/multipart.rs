//! Bodies in several parts.

use bytes::Bytes;

/// A part of a multipart body.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) name: String,
    pub(crate) file: Option<String>,
    /// Its own content type.
    pub(crate) kind: Option<String>,
    pub(crate) content: Bytes,
}

/// The parts of a multipart body; none if it is not one.
pub(crate) fn multipart(content_type: &str, body: &Bytes) -> Option<Vec<Part>> {
    let (_, boundary) = content_type.split_once("boundary=")?;
    let boundary = boundary.split(';').next()?.trim().trim_matches('"');
    let mark = format!("--{boundary}");
    let mut parts = Vec::new();
    let mut at = find(body, mark.as_bytes(), 0)? + mark.len();
    while let Some(end) = find_mark(body, &mark, at) {
        // After the mark comes a line break, then headers, an empty line, and the content.
        if let Some(head_end) = find(body, b"\r\n\r\n", at).filter(|head_end| *head_end <= end) {
            let head = String::from_utf8_lossy(body.get(at..head_end)?).into_owned();
            let content = if head_end + 4 <= end { body.slice(head_end + 4..end) } else { Bytes::new() };
            parts.push(Part {
                name: parameter(&head, "name").unwrap_or_default(),
                file: parameter(&head, "filename"),
                kind: header(&head, "content-type"),
                content,
            });
        }
        at = end + 2 + mark.len();
    }
    Some(parts)
}

/// The next line that is a mark, with its line break before it.
fn find_mark(body: &[u8], mark: &str, mut from: usize) -> Option<usize> {
    let wanted = format!("\r\n{mark}");
    loop {
        let at = find(body, wanted.as_bytes(), from)?;
        let after = body.get(at + wanted.len()..).unwrap_or_default();
        if after.is_empty() || after.starts_with(b"\r\n") || after.starts_with(b"--") {
            return Some(at);
        }
        from = at + wanted.len();
    }
}

fn parameter(head: &str, name: &str) -> Option<String> {
    let (_, rest) = head.split_once(&format!("; {name}=\""))?;
    rest.split('"').next().map(str::to_owned)
}

fn find(body: &[u8], wanted: &[u8], from: usize) -> Option<usize> {
    let rest = body.get(from..)?;
    rest.windows(wanted.len()).position(|window| window == wanted).map(|at| at + from)
}

fn header(head: &str, name: &str) -> Option<String> {
    let lines = head.lines().filter_map(|line| line.split_once(':'));
    let mut found = lines.filter(|(known, _)| known.trim().eq_ignore_ascii_case(name));
    found.next().map(|(_, value)| value.trim().to_owned())
}
