//! Who a mail says it is from, read strictly: a From line that two readers could take for two people has no reader.

use crate::{address::Addr, headers::Headers};

/// The one sender of a mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct From {
    pub(crate) address: Addr,
    /// The display name as written, codings not undone.
    pub(crate) phrase: String,
}

/// Reads the sender.
///
/// # Errors
/// A sentence: why there is none.
pub(crate) fn read(headers: &Headers<'_>) -> Result<From, String> {
    let mut lines = headers.all("From");
    let Some(line) = lines.next() else { return Err("it has no From line".into()) };
    if lines.next().is_some() {
        return Err("it has more than one From line".into());
    }
    parse(line).ok_or_else(|| "its From line does not name exactly one plain address".into())
}

/// `address`, `<address>` or `any words <address>`. Comments and quoted words are stepped over; whatever else could
/// start a second address (`,` `;` `:` `@` outside of them) is not taken.
fn parse(line: &str) -> Option<From> {
    let mut bare = String::new();
    let mut angle: Option<String> = None;
    let mut phrase = String::new();
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => phrase.push_str(&skip_quoted(&mut chars)?),
            '(' => skip_comment(&mut chars)?,
            '<' => {
                if angle.is_some() {
                    return None;
                }
                let mut inside = String::new();
                loop {
                    match chars.next()? {
                        '>' => break,
                        '<' => return None,
                        c => inside.push(c),
                    }
                }
                angle = Some(inside);
            }
            '>' | ',' | ';' => return None,
            c if angle.is_some() && !c.is_whitespace() => return None,
            c => {
                bare.push(c);
                phrase.push(c);
            }
        }
    }
    match angle {
        Some(inside) => {
            let address = Addr::parse(inside.trim())?;
            // `evil@x <ana@y>` and `group: <ana@y>` read differently in different readers.
            (!bare.contains(['@', ':'])).then(|| From { address, phrase: phrase.trim().to_owned() })
        }
        None => {
            let address = Addr::parse(bare.trim())?;
            // A quoted word before a bare address would belong to it.
            (bare == phrase).then_some(From { address, phrase: String::new() })
        }
    }
}

fn skip_quoted(chars: &mut std::str::Chars<'_>) -> Option<String> {
    let mut inside = String::new();
    loop {
        match chars.next()? {
            '"' => return Some(inside),
            '\\' => inside.push(chars.next()?),
            c => inside.push(c),
        }
    }
}

fn skip_comment(chars: &mut std::str::Chars<'_>) -> Option<()> {
    let mut depth = 1;
    while depth > 0 {
        match chars.next()? {
            '(' => depth += 1,
            ')' => depth -= 1,
            '\\' => {
                chars.next()?;
            }
            _ => {}
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_one_sender() {
        for (line, address, phrase) in [
            ("ana@mail.test", "ana@mail.test", ""),
            ("<ana@mail.test>", "ana@mail.test", ""),
            ("Ana Banana <Ana@Mail.test>", "Ana@mail.test", "Ana Banana"),
            ("\"Banana, Ana (x) <no@no>\" <ana@mail.test>", "ana@mail.test", "Banana, Ana (x) <no@no>"),
            ("ana@mail.test (Ana (the one) \\))", "ana@mail.test", ""),
            ("=?utf-8?Q?An=C3=A1?= <ana@mail.test>", "ana@mail.test", "=?utf-8?Q?An=C3=A1?="),
        ] {
            let from = parse(line).unwrap_or_else(|| panic!("{line}"));
            assert_eq!((from.address.to_string().as_str(), from.phrase.as_str()), (address, phrase));
        }
    }

    #[test]
    fn refuses_what_two_readers_read_differently() {
        for line in [
            "",
            "ana@mail.test, ben@mail.test",
            "ana@mail.test <ben@mail.test>",
            "<ana@mail.test> <ben@mail.test>",
            "<ana@mail.test> ben@mail.test",
            "group: ana@mail.test;",
            "x: <ana@mail.test>",
            "<@relay.test:ana@mail.test>",
            "\"ana\"@mail.test",
            "\"x\" ana@mail.test",
            "<ana@mail.test",
            "\"open <ana@mail.test>",
            "(open ana@mail.test",
            "<ana@mail.test>>",
            "<<ana@mail.test>",
            "ana@mail.test@else.test",
        ] {
            assert_eq!(parse(line), None, "{line}");
        }
    }
}
