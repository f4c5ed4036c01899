//! Finds the JSON objects in what a model wrote, and mends what has exactly one reading.
//!
//! Models wrap JSON in prose and fences, quote with the wrong quotes, add commas and comments, and forget brackets at
//! the end. All of that can be undone without a guess. What cannot (a cut inside a string, a number that may go on, a
//! key written twice, a quote inside a text) is a [`Problem`] that names the place, so that the model can be asked again.
//!
//! Invariant: every mending is reported as a [`Repair`].
//! Invariant: an object inside a string, inside another object or inside balanced `<think>` tags is never found.
//! Invariant: the time is linear in the text, and the stack is bounded, whatever the text.

mod value;

use std::{fmt, ops::Range};

use serde_json::{Map, Value};

use value::{Fault, Reader};

/// How much is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// The longest text, in bytes.
    pub(crate) bytes: usize,
    /// How deep objects and arrays may nest; more than 128 counts as 128, for the sake of the stack.
    pub(crate) depth: usize,
    /// The most values (members, items) in all objects together.
    pub(crate) nodes: usize,
    /// The most objects in one text.
    pub(crate) objects: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 256 * 1024, depth: 64, nodes: 10_000, objects: 64 }
    }
}

/// One JSON object in a text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Found {
    /// What it holds.
    pub(crate) members: Map<String, Value>,
    /// What was mended in it, each sort once, in order.
    pub(crate) repairs: Vec<Repair>,
    /// How many containers the text leaves open at its end, outermost first: this object, its last member, that one's
    /// last, and so on. Whether more could have stood there is for the caller to judge.
    pub(crate) open: usize,
    /// Where it stands, in bytes.
    pub(crate) span: Range<usize>,
    /// Why it may not be what the model meant to give, going by what stands around it.
    pub(crate) doubt: Option<Doubt>,
}

/// Something that was mended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Repair {
    /// A comma before a closing bracket.
    TrailingComma,
    /// A string in single quotes.
    SingleQuotes,
    /// A string in typographic quotes.
    TypographicQuotes,
    /// A key without quotes.
    UnquotedKey,
    /// A comment.
    Comment,
    /// `True`, `False` or `None`.
    PythonLiteral,
    /// A line break or tab inside a string, not escaped.
    RawLineBreak,
    /// `\'`.
    EscapedApostrophe,
    /// White space that JSON does not know, between tokens.
    UnusualSpace,
    /// Closing brackets missing at the end.
    MissingBrackets,
    /// `null` or an empty list where an optional field should be left out.
    EmptyField,
}

/// Why an object may not be what the model meant to give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doubt {
    /// It stands inside `[…]` or `{…}`.
    InBrackets,
    /// A quoted key and a colon stand before it.
    ValueOfKey,
    /// Quotes stand around it.
    InQuotes,
    /// Quotes or brackets follow on its line: a string in it may have ended too early.
    TextGoesOn,
}

impl Doubt {
    /// The doubt in words.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::InBrackets => "it stands inside other brackets",
            Self::ValueOfKey => "a key stands before it",
            Self::InQuotes => "it stands in quotes",
            Self::TextGoesOn => {
                "quotes or brackets follow it on the same line; a quote inside a text is written \\\""
            }
        }
    }
}

/// Why a text cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// The line, from 1.
    pub(crate) line: usize,
    /// The character in that line, from 1.
    pub(crate) column: usize,
    /// What is wrong there, and what was expected.
    pub(crate) what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.what)
    }
}

impl std::error::Error for Problem {}

/// Finds every JSON object that stands by itself in a text.
///
/// # Errors
/// The first thing that cannot be read in exactly one way, or a limit.
pub(crate) fn read(text: &str, limits: &Limits) -> Result<Vec<Found>, Problem> {
    within(text, limits)?;
    let mut scan = Scan::new(text, limits);
    scan.run().map_err(|fault| locate(text, fault))?;
    Ok(scan.found)
}

/// The same for a text that is still being written: where it ends in an object, what there is of that object is found.
/// So it is of one that is broken, for the two are not told apart, and then nothing behind it is.
///
/// # Errors
/// What cannot be read outside of objects, or a limit.
pub(crate) fn read_so_far(text: &str, limits: &Limits) -> Result<Vec<Found>, Problem> {
    within(text, limits)?;
    let mut scan = Scan { grows: true, ..Scan::new(text, limits) };
    match (scan.run(), scan.unfinished.take()) {
        (Ok(()), _) => {}
        (Err(_), Some(Unfinished { start, .. })) => scan.object_so_far(start),
        (Err(fault), None) => return Err(locate(text, fault)),
    }
    Ok(scan.found)
}

fn within(text: &str, limits: &Limits) -> Result<(), Problem> {
    if text.len() <= limits.bytes {
        return Ok(());
    }
    let what = format!("the output has {} bytes; at most {} are read", text.len(), limits.bytes);
    Err(Problem { line: 1, column: 1, what })
}

fn locate(text: &str, fault: Fault) -> Problem {
    let before = text.get(..fault.at).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |i| i + 1);
    Problem {
        line: before.matches('\n').count() + 1,
        column: before[line_start..].chars().count() + 1,
        what: fault.what,
    }
}

/// A walk over prose. Everything that is not an object is prose; only brackets, fences and thinking tags matter in it.
struct Scan<'a> {
    text: &'a str,
    limits: &'a Limits,
    at: usize,
    /// Brackets of the prose that are open.
    braces: usize,
    squares: usize,
    /// Inside a fence: the open brackets outside it.
    fence: Option<(usize, usize)>,
    /// Values read so far.
    nodes: usize,
    /// Whether a broken draft was skipped. Once is enough, and keeps the time linear.
    jumped: bool,
    /// Whether the text is still being written.
    grows: bool,
    /// The object that could not be read to its end.
    unfinished: Option<Unfinished>,
    found: Vec<Found>,
}

/// An object that was not read to its end.
struct Unfinished {
    start: usize,
    /// How far it was read.
    reached: usize,
}

impl<'a> Scan<'a> {
    fn new(text: &'a str, limits: &'a Limits) -> Self {
        Self {
            text,
            limits,
            at: 0,
            braces: 0,
            squares: 0,
            fence: None,
            nodes: 0,
            jumped: false,
            grows: false,
            unfinished: None,
            found: vec![],
        }
    }

    fn run(&mut self) -> Result<(), Fault> {
        while let Some(&byte) = self.text.as_bytes().get(self.at) {
            let step = match byte {
                b'`' => {
                    self.backticks();
                    Ok(())
                }
                b'<' => self.angle(),
                b'{' => self.brace(),
                b'}' if self.braces == 0 => Err(Fault::new(
                    self.at,
                    "a `}` that closes nothing; a quote inside a text is written `\\\"`",
                )),
                b'}' => {
                    self.braces -= 1;
                    self.at += 1;
                    Ok(())
                }
                b'[' => {
                    self.squares += 1;
                    self.at += 1;
                    Ok(())
                }
                b']' => {
                    self.squares = self.squares.saturating_sub(1);
                    self.at += 1;
                    Ok(())
                }
                _ => {
                    self.at += 1;
                    Ok(())
                }
            };
            if let Err(fault) = step {
                self.recover(fault)?;
            }
        }
        Ok(())
    }

    /// A run of three or more opens or closes a fence. What is in a fence is a block of its own.
    fn backticks(&mut self) {
        let run = self.text.as_bytes()[self.at..].iter().take_while(|&&b| b == b'`').count();
        self.at += run;
        if run >= 3 {
            match self.fence.take() {
                Some((braces, squares)) => (self.braces, self.squares) = (braces, squares),
                None => {
                    self.fence = Some((self.braces, self.squares));
                    (self.braces, self.squares) = (0, 0);
                }
            }
        }
    }

    /// Thinking is prose: what is between its tags is skipped. Some models' opening tag is part of their prompt, so a
    /// closing tag alone means that everything before it was thought.
    fn angle(&mut self) -> Result<(), Fault> {
        match tag(self.text, self.at) {
            None => self.at += 1,
            Some((Tag::Open, end)) => match thought_end(self.text, end) {
                Some(close) => self.at = close,
                None => {
                    return Err(Fault::new(
                        self.at,
                        "this thinking tag is never closed; nothing in it counts",
                    ));
                }
            },
            Some((Tag::Close, end)) => self.start_over(end),
        }
        Ok(())
    }

    fn brace(&mut self) -> Result<(), Fault> {
        match looks_like(self.text, self.at) {
            Look::Prose => {
                self.braces += 1;
                self.at += 1;
                Ok(())
            }
            Look::Escaped => Err(Fault::new(
                self.at,
                "JSON inside a string, with escaped quotes; write the object itself, not a string that holds it",
            )),
            Look::Object => self.object(),
        }
    }

    fn object(&mut self) -> Result<(), Fault> {
        let start = self.at;
        if self.found.len() >= self.limits.objects {
            let what = format!("more than {} JSON objects", self.limits.objects);
            return Err(Fault::new(start, what));
        }
        let mut reader = self.reader(start);
        let members = match reader.object() {
            Ok(members) => members,
            Err(fault) => {
                self.unfinished = Some(Unfinished { start, reached: reader.reached() });
                return Err(fault);
            }
        };
        self.nodes += reader.nodes();
        let (end, open, repairs) = reader.finish();
        let doubt = self.doubt(&(start..end));
        self.found.push(Found { members, repairs, open, span: start..end, doubt });
        self.at = end;
        Ok(())
    }

    /// Takes what there is of an object that did not come to its end.
    fn object_so_far(&mut self, start: usize) {
        let members = self.reader(start).so_far();
        let span = start..self.text.len();
        let doubt = self.doubt(&span);
        self.found.push(Found { members, repairs: vec![], open: 1, span, doubt });
    }

    fn reader(&self, start: usize) -> Reader<'a> {
        let nodes_left = self.limits.nodes.saturating_sub(self.nodes);
        Reader::new(self.text, start, self.fence.is_some(), self.limits.depth, nodes_left)
    }

    fn doubt(&self, span: &Range<usize>) -> Option<Doubt> {
        if self.braces > 0 || self.squares > 0 {
            Some(Doubt::InBrackets)
        } else {
            surroundings(self.text, span)
        }
    }

    /// A draft may be broken if it turns out to have been a thought.
    fn recover(&mut self, fault: Fault) -> Result<(), Fault> {
        // While the text grows, an object may only be unfinished: a tag in what was read of it is in one of its strings.
        let reached = self.unfinished.as_ref().filter(|_| self.grows).map(|unfinished| unfinished.reached);
        match thought_end(self.text, reached.unwrap_or(self.at)) {
            Some(end) if !self.jumped => {
                self.jumped = true;
                self.start_over(end);
                Ok(())
            }
            _ => Err(fault),
        }
    }

    fn start_over(&mut self, at: usize) {
        self.found.clear();
        self.unfinished = None;
        (self.braces, self.squares, self.fence) = (0, 0, None);
        self.at = at;
    }
}

enum Tag {
    Open,
    Close,
}

/// Reads a thinking tag at a `<`: whether it opens or closes, and where it ends.
fn tag(text: &str, at: usize) -> Option<(Tag, usize)> {
    let rest = text.as_bytes().get(at + 1..)?;
    let (sort, name) = match rest.strip_prefix(b"/") {
        Some(name) => (Tag::Close, name),
        None => (Tag::Open, rest),
    };
    let len = name.iter().take(10).position(|&b| b == b'>')?;
    let known = ["think", "thinking", "thought", "reasoning"]
        .iter()
        .any(|known| name[..len].eq_ignore_ascii_case(known.as_bytes()));
    let slash = rest.len() - name.len();
    known.then_some((sort, at + 1 + slash + len + 1))
}

/// The end of the closing tag that matches an opening tag right before `from`.
fn thought_end(text: &str, from: usize) -> Option<usize> {
    let mut depth = 0_usize;
    let mut at = from;
    while let Some(i) = text.get(at..)?.find('<') {
        match tag(text, at + i) {
            Some((Tag::Open, end)) => {
                depth += 1;
                at = end;
            }
            Some((Tag::Close, end)) if depth == 0 => return Some(end),
            Some((Tag::Close, end)) => {
                depth -= 1;
                at = end;
            }
            None => at += i + 1,
        }
    }
    None
}

enum Look {
    Object,
    Escaped,
    Prose,
}

/// Tells a JSON object from a brace in prose (`{name}`, a set, a block of code) by what follows the brace. What looks like
/// an object must then be one.
fn looks_like(text: &str, brace: usize) -> Look {
    let rest = text.get(brace + 1..).unwrap_or_default().trim_start_matches(value::is_space);
    let Some(first) = rest.chars().next() else { return Look::Object };
    match first {
        '"' | '\'' | '\u{201c}' | '\u{2018}' | '}' => Look::Object,
        '/' if rest.starts_with("//") || rest.starts_with("/*") => Look::Object,
        '\\' => {
            let mut rest = rest;
            while let Some(more) = ["\\n", "\\r", "\\t"].iter().find_map(|escape| rest.strip_prefix(escape)) {
                rest = more.trim_start();
            }
            if rest.starts_with("\\\"") { Look::Escaped } else { Look::Prose }
        }
        _ => {
            let word = value::bare_word(rest);
            let after = rest[word.len()..].trim_start_matches(value::is_space);
            let colon = after.starts_with(':') && !after.starts_with("::");
            if !word.is_empty() && colon { Look::Object } else { Look::Prose }
        }
    }
}

/// Looks at what stands right before an object and after it on its line.
fn surroundings(text: &str, span: &Range<usize>) -> Option<Doubt> {
    const QUOTES: [char; 6] = ['"', '\'', '\u{201c}', '\u{201d}', '\u{2018}', '\u{2019}'];
    let before = &text[..span.start];
    let after = &text[span.end..];
    if before.ends_with(QUOTES) || after.starts_with(QUOTES) {
        return Some(Doubt::InQuotes);
    }
    let key = before.trim_end().strip_suffix(':').is_some_and(|key| key.trim_end().ends_with(QUOTES));
    if key {
        return Some(Doubt::ValueOfKey);
    }
    for (i, c) in after.char_indices() {
        match c {
            '\n' => break,
            // The next object is judged by itself, if nothing but space is between.
            '{' if after[..i].trim().is_empty() && matches!(looks_like(text, span.end + i), Look::Object) => {
                break;
            }
            '"' | '{' | '}' | '[' | ']' => return Some(Doubt::TextGoesOn),
            _ => {}
        }
    }
    None
}
