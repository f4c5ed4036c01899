//! The header lines of a mail, raw and in order: order is what tells our own server's lines from the sender's.

/// One header field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Field<'a> {
    pub(crate) name: &'a str,
    /// Unfolded, trimmed; bytes that are not UTF-8 replaced.
    pub(crate) value: String,
}

/// All header fields, top first, and the rest.
#[derive(Clone, Debug)]
pub(crate) struct Headers<'a> {
    fields: Vec<Field<'a>>,
    pub(crate) body: &'a [u8],
}

/// The header block is longer than this channel reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooMany;

/// All header lines together; real ones stay far below.
const BLOCK_LEN_MAX: usize = 512 * 1024;

impl<'a> Headers<'a> {
    /// Splits a raw mail. A line that is no header field ends the headers, as it does for most readers.
    pub(crate) fn read(raw: &'a [u8], fields_max: usize) -> Result<Self, TooMany> {
        let mut fields: Vec<Field<'a>> = Vec::new();
        let mut rest = raw;
        loop {
            let (line, after) = split_line(rest);
            if raw.len() - after.len() > BLOCK_LEN_MAX {
                return Err(TooMany);
            }
            if line.is_empty() {
                return Ok(Self { fields, body: after });
            }
            let folded = matches!(line.first(), Some(b' ' | b'\t'));
            if folded && let Some(last) = fields.last_mut() {
                if !last.value.is_empty() {
                    last.value.push(' ');
                }
                last.value.push_str(String::from_utf8_lossy(line).trim());
            } else if let Some((name, value)) = split_field(line) {
                if fields.len() == fields_max {
                    return Err(TooMany);
                }
                fields.push(Field { name, value: String::from_utf8_lossy(value).trim().to_owned() });
            } else {
                return Ok(Self { fields, body: rest });
            }
            rest = after;
        }
    }

    /// All fields, top first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Field<'a>> {
        self.fields.iter()
    }

    /// The values of all fields of this name, top first.
    pub(crate) fn all<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s str> {
        self.fields
            .iter()
            .filter(move |field| field.name.eq_ignore_ascii_case(name))
            .map(|field| field.value.as_str())
    }

    /// The value of the first field of this name.
    pub(crate) fn first<'s>(&'s self, name: &'s str) -> Option<&'s str> {
        self.all(name).next()
    }
}

fn split_line(bytes: &[u8]) -> (&[u8], &[u8]) {
    let (line, rest) = match bytes.iter().position(|byte| *byte == b'\n') {
        Some(end) => (&bytes[..end], &bytes[end + 1..]),
        None => (bytes, &bytes[bytes.len()..]),
    };
    (line.strip_suffix(b"\r").unwrap_or(line), rest)
}

fn split_field(line: &[u8]) -> Option<(&str, &[u8])> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let name = std::str::from_utf8(&line[..colon]).ok()?.trim_end();
    let plain = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic());
    plain.then(|| (name, &line[colon + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_order_and_unfolds() {
        let raw = b"A: 1\r\nB:\r\n two\n\tthree\r\na : 4\r\n\r\nbody: no\r\n";
        let headers = Headers::read(raw, 10).unwrap();
        let seen: Vec<_> = headers.iter().map(|f| (f.name, f.value.as_str())).collect();
        assert_eq!(seen, [("A", "1"), ("B", "two three"), ("a", "4")]);
        assert_eq!(headers.all("a").collect::<Vec<_>>(), ["1", "4"]);
        assert_eq!(headers.body, b"body: no\r\n");
    }

    #[test]
    fn stops_at_a_flood() {
        let raw = "X: y\n".repeat(501);
        assert_eq!(Headers::read(raw.as_bytes(), 500).err(), Some(TooMany));
        assert!(Headers::read(raw.as_bytes(), 501).is_ok());
        let long = format!("X: {}\n", "y".repeat(BLOCK_LEN_MAX));
        assert_eq!(Headers::read(long.as_bytes(), 500).err(), Some(TooMany));
    }
}
