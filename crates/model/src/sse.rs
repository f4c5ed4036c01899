//! Server-sent events from bytes as they come. Pure.
//!
//! Bytes are gathered to whole lines before they are read as text: a chunk may end within a character.

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Event {
    /// Its name; empty when the server gave none.
    pub(crate) name: String,
    /// Its data; several `data:` lines are joined by line feeds.
    pub(crate) data: String,
}

/// Gathers bytes and gives events. It holds at most what it was fed: the caller limits that.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    line: Vec<u8>,
    /// The last line ended with CR, so an LF that follows belongs to it.
    after_cr: bool,
    seen_line: bool,
    event: Event,
    has_data: bool,
}

/// The stream is not UTF-8.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NotText;

impl Parser {
    /// Takes the next bytes and gives the events that are complete with them.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<Vec<Event>, NotText> {
        let mut events = Vec::new();
        for &byte in bytes {
            let after_cr = std::mem::replace(&mut self.after_cr, byte == b'\r');
            match byte {
                b'\n' if after_cr => {}
                b'\n' | b'\r' => events.extend(self.end_line()?),
                _ => self.line.push(byte),
            }
        }
        Ok(events)
    }

    fn end_line(&mut self) -> Result<Option<Event>, NotText> {
        let bytes = std::mem::take(&mut self.line);
        let mut line = std::str::from_utf8(&bytes).map_err(|_| NotText)?;
        if !std::mem::replace(&mut self.seen_line, true) {
            line = line.strip_prefix('\u{feff}').unwrap_or(line);
        }
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            return Ok(std::mem::take(&mut self.has_data).then_some(event));
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.event.name),
            "data" => {
                if self.has_data {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
                self.has_data = true;
            }
            // A comment (an empty field name), `id`, `retry`, and what may come: nothing that an answer is made of.
            _ => {}
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(name: &str, data: &str) -> Event {
        Event { name: name.into(), data: data.into() }
    }

    #[test]
    fn reads_the_same_events_however_the_bytes_are_cut() {
        let stream = "\u{feff}event: a\r\ndata: {\"x\":\"zürich 🛫\"}\r\n\r\n: ping\n\ndata:1\ndata: 2\n\nid: 7\n\ndata: [DONE]\r\rdata: lost";
        let expected = [event("a", "{\"x\":\"zürich 🛫\"}"), event("", "1\n2"), event("", "[DONE]")];
        for size in 1..stream.len() {
            let mut parser = Parser::default();
            let events: Vec<_> =
                stream.as_bytes().chunks(size).flat_map(|chunk| parser.push(chunk).unwrap()).collect();
            assert_eq!(events, expected, "cut every {size} bytes");
        }
    }

    #[test]
    fn refuses_what_is_not_text() {
        assert_eq!(Parser::default().push(b"data: \xff\n"), Err(NotText));
    }
}
