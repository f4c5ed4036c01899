//! Reads one JSON object, tolerantly, from a place in a text.

mod so_far;

use serde_json::{Map, Number, Value};

use super::Repair;

/// What is wrong, and where.
pub(super) struct Fault {
    pub(super) at: usize,
    pub(super) what: String,
}

impl Fault {
    pub(super) fn new(at: usize, what: impl Into<String>) -> Self {
        Self { at, what: what.into() }
    }
}

/// White space between tokens, JSON's and other.
pub(super) fn is_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{feff}' | '\u{200b}')
}

/// The identifier that a text starts with; empty if it starts with something else.
pub(super) fn bare_word(text: &str) -> &str {
    let starts = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let end =
        text.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))).unwrap_or(text.len());
    if starts { &text[..end] } else { "" }
}

/// A step on the way to a value.
enum Segment {
    Key(String),
    Index(usize),
}

/// What was read where a comma or a closing bracket should be.
enum Next {
    Comma,
    Close,
    /// The text ends: the bracket is missing.
    Cut,
}

pub(super) struct Reader<'a> {
    text: &'a str,
    at: usize,
    /// Whether three backticks end the text.
    fenced: bool,
    depth_left: usize,
    nodes_max: usize,
    nodes: usize,
    path: Vec<Segment>,
    open: usize,
    repairs: Vec<Repair>,
}

type Outcome<T> = Result<T, Fault>;

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str, at: usize, fenced: bool, depth: usize, nodes_max: usize) -> Self {
        // The functions below call one another once for each level, and so does dropping the value.
        let depth_left = depth.min(128);
        Self { text, at, fenced, depth_left, nodes_max, nodes: 0, path: vec![], open: 0, repairs: vec![] }
    }

    pub(super) fn nodes(&self) -> usize {
        self.nodes
    }

    /// How far it was read.
    pub(super) fn reached(&self) -> usize {
        self.at
    }

    /// Where the object ended, how many containers were left open, and what was mended.
    pub(super) fn finish(self) -> (usize, usize, Vec<Repair>) {
        (self.at, self.open, self.repairs)
    }

    /// Reads the object that starts here.
    pub(super) fn object(&mut self) -> Outcome<Map<String, Value>> {
        self.enter()?;
        let mut members = Map::new();
        self.space()?;
        if self.ended() {
            return Err(self.fault("the output ends right after this `{`"));
        }
        if self.eat('}') {
            self.depth_left += 1;
            return Ok(members);
        }
        loop {
            let key_at = self.at;
            let key = self.key()?;
            let twice = members.contains_key(&key);
            self.path.push(Segment::Key(key.clone()));
            if twice {
                return Err(Fault::new(key_at, format!("`{}` is given twice", self.here())));
            }
            self.space()?;
            if !self.eat(':') {
                return Err(self.expected("`:` after the key"));
            }
            let value = self.value()?;
            members.insert(key, value);
            match self.next('}')? {
                Next::Comma => {
                    self.path.pop();
                }
                Next::Close | Next::Cut => break,
            }
        }
        self.path.pop();
        self.depth_left += 1;
        Ok(members)
    }

    fn array(&mut self) -> Outcome<Vec<Value>> {
        self.enter()?;
        let mut items = vec![];
        self.space()?;
        if self.eat(']') {
            self.depth_left += 1;
            return Ok(items);
        }
        loop {
            self.path.push(Segment::Index(items.len()));
            items.push(self.value()?);
            let next = self.next(']')?;
            self.path.pop();
            match next {
                Next::Comma => {}
                Next::Close | Next::Cut => break,
            }
        }
        self.depth_left += 1;
        Ok(items)
    }

    fn value(&mut self) -> Outcome<Value> {
        self.space()?;
        self.nodes += 1;
        if self.nodes > self.nodes_max {
            return Err(self.fault("more values than are read; write a smaller object"));
        }
        if self.ended() {
            return Err(self.fault(format!("the output ends before the value of `{}`", self.here())));
        }
        let Some(first) = self.peek() else { return Err(self.expected("a value")) };
        match first {
            '{' => self.object().map(Value::Object),
            '[' => self.array().map(Value::Array),
            '"' | '\'' | '\u{201c}' | '\u{2018}' => self.string().map(Value::String),
            '-' | '0'..='9' => self.number().map(Value::Number),
            _ => self.literal(),
        }
    }

    /// Steps over the bracket that opens a container.
    fn enter(&mut self) -> Outcome<()> {
        let Some(left) = self.depth_left.checked_sub(1) else {
            return Err(self.fault("objects and lists nest too deep"));
        };
        self.depth_left = left;
        self.at += 1;
        Ok(())
    }

    /// Reads what follows a member or an item: a comma and more, the closing bracket, or the end of the text.
    fn next(&mut self, close: char) -> Outcome<Next> {
        let value_end = self.at;
        self.space()?;
        if self.eat(close) {
            return Ok(Next::Close);
        }
        if self.ended() {
            // Only a number can go on without anyone noticing; every other value shows its end.
            if value_end == self.at && self.text[..self.at].ends_with(|c: char| c.is_ascii_digit()) {
                return Err(self.fault("the output ends in a number, which may have gone on"));
            }
            self.open += 1;
            self.repaired(Repair::MissingBrackets);
            return Ok(Next::Cut);
        }
        if !self.eat(',') {
            let quoted = self.text[..value_end].ends_with(['"', '\'', '\u{201d}', '\u{2019}']);
            let hint = if quoted { " (a quote inside a text is written `\\\"`)" } else { "" };
            return Err(self.expected(&format!("`,` or `{close}`{hint}")));
        }
        self.space()?;
        if self.ended() {
            return Err(self.fault("the output ends after a comma; more was to follow"));
        }
        if self.eat(close) {
            self.repaired(Repair::TrailingComma);
            return Ok(Next::Close);
        }
        Ok(Next::Comma)
    }

    fn key(&mut self) -> Outcome<String> {
        match self.peek() {
            Some('"' | '\'' | '\u{201c}' | '\u{2018}') => self.string(),
            _ => {
                let word = bare_word(self.rest());
                if word.is_empty() {
                    return Err(self.expected("a key in double quotes"));
                }
                self.at += word.len();
                self.repaired(Repair::UnquotedKey);
                Ok(word.to_owned())
            }
        }
    }

    fn string(&mut self) -> Outcome<String> {
        let mut out = String::new();
        self.string_into(&mut out)?;
        Ok(out)
    }

    /// Reads a string; when it breaks off, what there is of it was read all the same, except for half a character.
    fn string_into(&mut self, out: &mut String) -> Outcome<()> {
        let start = self.at;
        let close = match self.peek() {
            Some('\'') => self.repaired_as('\'', Repair::SingleQuotes),
            Some('\u{201c}') => self.repaired_as('\u{201d}', Repair::TypographicQuotes),
            Some('\u{2018}') => self.repaired_as('\u{2019}', Repair::TypographicQuotes),
            _ => '"',
        };
        self.at += self.peek().map_or(0, char::len_utf8);
        loop {
            let rest = self.rest();
            let plain = rest.find(|c: char| c == close || c == '\\' || c < ' ');
            let Some(plain) = plain else {
                out.push_str(rest);
                self.at = self.text.len();
                return Err(Fault::new(start, format!("the string in `{}` never ends", self.here())));
            };
            out.push_str(&rest[..plain]);
            self.at += plain;
            match self.peek() {
                Some('\\') => out.push(self.escape()?),
                Some(c @ ('\n' | '\r' | '\t')) => {
                    self.repaired(Repair::RawLineBreak);
                    out.push(c);
                    self.at += 1;
                }
                Some(c) if c < ' ' => {
                    return Err(
                        self.fault(format!("the control character {} in a string", c.escape_unicode()))
                    );
                }
                _ => break,
            }
        }
        self.at += close.len_utf8();
        Ok(())
    }

    fn escape(&mut self) -> Outcome<char> {
        let start = self.at;
        self.at += 1;
        let Some(c) = self.peek() else { return Err(self.fault("the output ends inside a string")) };
        self.at += c.len_utf8();
        Ok(match c {
            '"' | '\\' | '/' => c,
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            '\'' => self.repaired_as('\'', Repair::EscapedApostrophe),
            'u' => return self.unicode(start),
            _ => {
                let what =
                    format!("`\\{}` is no escape; a backslash itself is written `\\\\`", c.escape_debug());
                return Err(Fault::new(start, what));
            }
        })
    }

    /// Reads the digits after `\u`, and the second half of a surrogate pair.
    fn unicode(&mut self, start: usize) -> Outcome<char> {
        let lone = || Fault::new(start, "half of a surrogate pair; it stands for no character");
        let first = self.hex(start)?;
        if !(0xd800..0xe000).contains(&first) {
            return char::from_u32(first).ok_or_else(lone);
        }
        if !self.rest().starts_with("\\u") {
            return Err(lone());
        }
        self.at += 2;
        let second = self.hex(start)?;
        if !(0xdc00..0xe000).contains(&second) {
            return Err(lone());
        }
        // A second half in the first place gives a number beyond all characters.
        char::from_u32(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)).ok_or_else(lone)
    }

    fn hex(&mut self, start: usize) -> Outcome<u32> {
        let digits = self.rest().get(..4).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        let number = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let number = number.ok_or_else(|| Fault::new(start, "`\\u` needs four hexadecimal digits"))?;
        self.at += 4;
        Ok(number)
    }

    fn number(&mut self) -> Outcome<Number> {
        let start = self.at;
        let rest = self.rest();
        let end = rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.' | '_')))
            .unwrap_or(rest.len());
        let literal = &rest[..end];
        self.at += end;
        exact(literal)
            .map_err(|why| Fault::new(start, format!("`{}`: {} {why}", self.here(), excerpt(literal))))
    }

    fn literal(&mut self) -> Outcome<Value> {
        let word = bare_word(self.rest());
        let value = match word {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            "null" => Value::Null,
            "True" => self.repaired_as(Value::Bool(true), Repair::PythonLiteral),
            "False" => self.repaired_as(Value::Bool(false), Repair::PythonLiteral),
            "None" => self.repaired_as(Value::Null, Repair::PythonLiteral),
            "" => return Err(self.expected("a value")),
            _ => return Err(self.expected("a value (texts stand in double quotes)")),
        };
        self.at += word.len();
        Ok(value)
    }

    /// Steps over white space and comments.
    fn space(&mut self) -> Outcome<()> {
        loop {
            let rest = self.rest();
            let len = rest.find(|c| !is_space(c)).unwrap_or(rest.len());
            if rest[..len].contains(|c| !matches!(c, ' ' | '\t' | '\n' | '\r')) {
                self.repaired(Repair::UnusualSpace);
            }
            let start = self.at + len;
            self.at = start;
            let rest = &rest[len..];
            let len = if rest.starts_with("//") {
                rest.find('\n')
            } else if rest.starts_with("/*") {
                rest.find("*/").map(|end| end + 2)
            } else {
                return Ok(());
            };
            self.at = len.map_or(self.text.len(), |len| start + len);
            if len.is_none() && rest.starts_with("/*") {
                return Err(Fault::new(start, "the comment never ends"));
            }
            self.repaired(Repair::Comment);
        }
    }

    /// Whether nothing of the object can follow.
    fn ended(&self) -> bool {
        self.at >= self.text.len() || (self.fenced && self.rest().starts_with("```"))
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn eat(&mut self, c: char) -> bool {
        let there = self.peek() == Some(c);
        if there {
            self.at += c.len_utf8();
        }
        there
    }

    fn repaired(&mut self, repair: Repair) {
        if !self.repairs.contains(&repair) {
            self.repairs.push(repair);
        }
    }

    fn repaired_as<T>(&mut self, value: T, repair: Repair) -> T {
        self.repaired(repair);
        value
    }

    fn fault(&self, what: impl Into<String>) -> Fault {
        Fault::new(self.at, what)
    }

    fn expected(&self, what: &str) -> Fault {
        let found = match self.rest() {
            "" => "the end of the output".to_owned(),
            rest => excerpt(rest),
        };
        match self.path.is_empty() {
            true => self.fault(format!("expected {what}, found {found}")),
            false => self.fault(format!("at `{}`: expected {what}, found {found}", self.here())),
        }
    }

    /// The path to the value being read: `args.items[2].name`.
    fn here(&self) -> String {
        let mut out = String::new();
        for segment in &self.path {
            match segment {
                Segment::Index(i) => out.push_str(&format!("[{i}]")),
                Segment::Key(key) => {
                    if !out.is_empty() {
                        out.push('.');
                    }
                    out.extend(key.chars().take(40).flat_map(char::escape_debug));
                }
            }
        }
        out
    }
}

/// The first characters of a text, quoted, fit for an error.
fn excerpt(text: &str) -> String {
    let short: String = text.chars().take(20).collect();
    let dots = if short.len() < text.len() { "…" } else { "" };
    let visible = |c: char| match c {
        '"' | '\'' | '\\' => c.to_string(),
        _ => c.escape_debug().to_string(),
    };
    format!("`{}{dots}`", short.chars().map(visible).collect::<String>())
}

/// Reads a number that a `Value` holds without rounding.
fn exact(literal: &str) -> Result<Number, &'static str> {
    const NO_NUMBER: &str = "is no JSON number";
    const TOO_LARGE: &str = "has more digits than a number keeps; as a text it needs double quotes";
    let (mantissa, exponent) = match literal.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (literal, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let unsigned = whole.strip_prefix('-').unwrap_or(whole);
    let well_formed = digits(unsigned)
        && (unsigned == "0" || !unsigned.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(|exponent| digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent)));
    if !well_formed {
        return Err(NO_NUMBER);
    }
    if fraction.is_none() && exponent.is_none() && literal != "-0" {
        let integer = literal.parse::<u64>().map(Number::from);
        return integer.or_else(|_| literal.parse::<i64>().map(Number::from)).map_err(|_| TOO_LARGE);
    }
    let double: f64 = literal.parse().map_err(|_| NO_NUMBER)?;
    let written = decimal(mantissa, exponent.unwrap_or("0")).ok_or(TOO_LARGE)?;
    // No double needs more than 767 digits.
    if !double.is_finite() || written.0.len() > 767 {
        return Err(TOO_LARGE);
    }
    // Written out with as many digits as the model wrote, the double must be the number that the model wrote.
    let kept = format!("{double:.*e}", written.0.len().saturating_sub(1));
    let kept = kept.split_once('e').and_then(|(mantissa, exponent)| decimal(mantissa, exponent));
    if kept.as_ref() != Some(&written) {
        return Err(TOO_LARGE);
    }
    Number::from_f64(double).ok_or(TOO_LARGE)
}

/// A decimal number as its digits without zeros at either end, and the power of ten of the last of them.
fn decimal(mantissa: &str, exponent: &str) -> Option<(String, i64)> {
    let mantissa = mantissa.strip_prefix('-').unwrap_or(mantissa);
    let fraction = mantissa.split_once('.').map_or(0, |(_, fraction)| fraction.len());
    let digits: String = mantissa.chars().filter(|&c| c != '.').collect();
    let trimmed = digits.trim_end_matches('0');
    let zeros = i64::try_from(digits.len() - trimmed.len()).ok()?;
    let power =
        exponent.parse::<i64>().ok()?.checked_sub(i64::try_from(fraction).ok()?)?.checked_add(zeros)?;
    let significant = trimmed.trim_start_matches('0');
    Some(if significant.is_empty() { (String::new(), 0) } else { (significant.to_owned(), power) })
}
