//! From CommonMark that anybody may have written to pieces that a channel shows in its own way. Pure.
//!
//! Invariant: a link leads to a page or a mail address, spelled out; raw HTML is words like any other.

mod cut;

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

pub use cut::{Bounds, messages};

/// Above this a text is shown as it is: nobody reads that much as prose, and a parser has its worst cases.
const MARKDOWN_BYTES_MAX: usize = 256 * 1024;
/// A cell that is longer makes no column wider.
const COLUMN_CHARS_MAX: usize = 40;

/// One paragraph, item, code block or table.
#[derive(Clone, Debug, PartialEq)]
pub enum Piece {
    /// Words; headings come as bold ones.
    Paragraph(Vec<Run>),
    /// An item of a list.
    Item {
        /// Its number, in a list that is counted.
        number: Option<u64>,
        /// How many lists it stands in, beside its own.
        depth: u64,
        /// Its words.
        runs: Vec<Run>,
    },
    /// Code, as it is.
    Code {
        /// The name of its language, if it has one.
        language: Option<String>,
        /// The lines.
        text: String,
    },
    /// Words of somebody else.
    Quote(Vec<Run>),
    /// Rows of cells.
    Table(Vec<Vec<Vec<Run>>>),
    /// A line across.
    Rule,
}

/// Words of one look.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Run {
    /// The words.
    pub text: String,
    /// How they look.
    pub look: Look,
    /// Where they lead.
    pub link: Option<String>,
}

/// How words look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// Bold.
    pub bold: bool,
    /// Italic.
    pub italic: bool,
    /// Struck out.
    pub strike: bool,
    /// Code within a line.
    pub code: bool,
}

impl Run {
    /// Words without a look.
    pub fn plain(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    /// Bold words.
    pub fn bold(text: impl Into<String>) -> Self {
        Self { look: Look { bold: true, ..Look::default() }, ..Self::plain(text) }
    }
}

/// Reads a text.
pub fn read(markdown: &str) -> Vec<Piece> {
    if markdown.len() > MARKDOWN_BYTES_MAX {
        return vec![Piece::Paragraph(vec![Run::plain(visible(markdown))])];
    }
    let mut reader = Reader::default();
    for event in Parser::new_ext(markdown, Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH) {
        reader.event(event);
    }
    reader.flush();
    reader.pieces
}

/// The words of these pieces, for a notification.
pub fn words(pieces: &[Piece]) -> String {
    let of = |runs: &[Run]| runs.iter().map(|run| run.text.as_str()).collect::<String>();
    let line = |piece: &Piece| match piece {
        Piece::Paragraph(runs) | Piece::Quote(runs) => of(runs),
        Piece::Item { number: None, runs, .. } => format!("• {}", of(runs)),
        Piece::Item { number: Some(number), runs, .. } => format!("{number}. {}", of(runs)),
        Piece::Code { text, .. } => text.clone(),
        Piece::Table(rows) => table_text(rows),
        Piece::Rule => "———".to_owned(),
    };
    pieces.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Takes out what turns or hides the words around it; what joins emoji and writes scripts stays.
pub fn visible(text: &str) -> String {
    let hides = |c: char| {
        (c.is_control() && !matches!(c, '\n' | '\t'))
            || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
                | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}')
    };
    text.chars().filter(|c| !hides(*c)).collect()
}

/// A table as lines of text, its columns below each other.
pub fn table_text(rows: &[Vec<Vec<Run>>]) -> String {
    let cell = |runs: &Vec<Run>| runs.iter().map(|run| run.text.replace('\n', " ")).collect::<String>();
    let cells: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(cell).collect()).collect();
    let columns = cells.iter().map(Vec::len).max().unwrap_or(0);
    let width = |n: usize| {
        let widths = cells.iter().filter_map(|row| row.get(n)).map(|cell| cell.chars().count());
        widths.max().unwrap_or(0).min(COLUMN_CHARS_MAX)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let padded = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        padded.collect::<Vec<_>>().join(" | ").trim_end().to_owned()
    };
    cells.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[derive(Default)]
struct Reader {
    pieces: Vec<Piece>,
    runs: Vec<Run>,
    look: Look,
    link: Option<String>,
    lists: Vec<Option<u64>>,
    /// Whether the item that is being read has no words yet.
    fresh: bool,
    quotes: usize,
    code: Option<(Option<String>, String)>,
    rows: Option<Vec<Vec<Vec<Run>>>>,
}

impl Reader {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) => match &mut self.code {
                Some((_, code)) => code.push_str(&text),
                None => self.say(&text),
            },
            Event::Code(text) => {
                let look = self.look;
                self.look.code = true;
                self.say(&text);
                self.look = look;
            }
            // Raw HTML is words like any other.
            Event::Html(text) | Event::InlineHtml(text) => self.say(&text),
            Event::SoftBreak | Event::HardBreak => self.say("\n"),
            Event::Rule => {
                self.flush();
                self.pieces.push(Piece::Rule);
            }
            // Not asked for, so they do not come.
            Event::InlineMath(text) | Event::DisplayMath(text) | Event::FootnoteReference(text) => {
                self.say(&text)
            }
            Event::TaskListMarker(_) => {}
        }
    }

    fn start(&mut self, tag: Tag<'_>) {
        match tag {
            Tag::Heading { .. } => {
                self.flush();
                self.look.bold = true;
            }
            Tag::CodeBlock(kind) => {
                self.flush();
                let language = match kind {
                    CodeBlockKind::Fenced(name) => language(&name),
                    CodeBlockKind::Indented => None,
                };
                self.code = Some((language, String::new()));
            }
            Tag::BlockQuote(_) => {
                self.flush();
                self.quotes += 1;
            }
            Tag::List(first) => {
                self.flush();
                self.lists.push(first);
            }
            Tag::Item => {
                self.flush();
                self.fresh = true;
            }
            Tag::Table(_) => {
                self.flush();
                self.rows = Some(Vec::new());
            }
            Tag::TableHead | Tag::TableRow => {
                if let Some(rows) = &mut self.rows {
                    rows.push(Vec::new());
                }
            }
            Tag::Emphasis => self.look.italic = true,
            Tag::Strong => self.look.bold = true,
            Tag::Strikethrough => self.look.strike = true,
            // A picture would be fetched from wherever the text says; its description is shown, with the way to it.
            Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. } => self.link = safe(&dest_url),
            Tag::Paragraph | Tag::HtmlBlock => self.flush(),
            Tag::TableCell
            | Tag::FootnoteDefinition(_)
            | Tag::DefinitionList
            | Tag::DefinitionListTitle
            | Tag::DefinitionListDefinition
            | Tag::Superscript
            | Tag::Subscript
            | Tag::MetadataBlock(_) => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Heading(_) => {
                self.flush();
                self.look.bold = false;
            }
            TagEnd::CodeBlock => {
                if let Some((language, text)) = self.code.take() {
                    let text = visible(text.trim_end_matches('\n'));
                    self.pieces.push(Piece::Code { language, text });
                }
            }
            TagEnd::BlockQuote(_) => {
                self.flush();
                self.quotes = self.quotes.saturating_sub(1);
            }
            TagEnd::List(_) => {
                self.flush();
                self.lists.pop();
            }
            TagEnd::Item => {
                if self.fresh && self.runs.is_empty() {
                    self.runs.push(Run::plain(" "));
                }
                self.flush();
                self.fresh = false;
            }
            TagEnd::TableCell => {
                let cell = std::mem::take(&mut self.runs);
                if let Some(row) = self.rows.as_mut().and_then(|rows| rows.last_mut()) {
                    row.push(cell);
                }
            }
            TagEnd::Table => {
                if let Some(rows) = self.rows.take() {
                    self.pieces.push(Piece::Table(rows));
                }
            }
            TagEnd::Emphasis => self.look.italic = false,
            TagEnd::Strong => self.look.bold = false,
            TagEnd::Strikethrough => self.look.strike = false,
            TagEnd::Link | TagEnd::Image => self.link = None,
            TagEnd::Paragraph | TagEnd::HtmlBlock => self.flush(),
            TagEnd::TableHead
            | TagEnd::TableRow
            | TagEnd::FootnoteDefinition
            | TagEnd::DefinitionList
            | TagEnd::DefinitionListTitle
            | TagEnd::DefinitionListDefinition
            | TagEnd::Superscript
            | TagEnd::Subscript
            | TagEnd::MetadataBlock(_) => {}
        }
    }

    fn say(&mut self, text: &str) {
        let text = visible(text);
        match self.runs.last_mut() {
            Some(run) if run.look == self.look && run.link == self.link => run.text.push_str(&text),
            Some(_) | None => self.runs.push(Run { text, look: self.look, link: self.link.clone() }),
        }
    }

    /// Ends what was being said.
    fn flush(&mut self) {
        let mut runs = std::mem::take(&mut self.runs);
        if let Some(last) = runs.last_mut() {
            last.text.truncate(last.text.trim_end_matches('\n').len());
        }
        runs.retain(|run| !run.text.is_empty());
        if runs.is_empty() || self.rows.is_some() {
            return;
        }
        let depth = self.lists.len().saturating_sub(1) as u64;
        match self.lists.last_mut() {
            Some(number) if self.fresh => {
                self.fresh = false;
                let now = *number;
                *number = number.map(|number| number.saturating_add(1));
                // Nobody shows more levels.
                self.pieces.push(Piece::Item { number: now, depth: depth.min(8), runs });
            }
            Some(_) => match self.pieces.last_mut() {
                // A further paragraph of the same item.
                Some(Piece::Item { runs: before, .. }) => {
                    before.push(Run::plain("\n"));
                    before.append(&mut runs);
                }
                Some(_) | None => self.pieces.push(Piece::Paragraph(runs)),
            },
            None if self.quotes > 0 => self.pieces.push(Piece::Quote(runs)),
            None => self.pieces.push(Piece::Paragraph(runs)),
        }
    }
}

/// The name of a language, if it is one.
fn language(info: &str) -> Option<String> {
    let name = info.split_whitespace().next()?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '+' | '#' | '.');
    (name.len() <= 32 && name.chars().all(plain)).then(|| name.to_ascii_lowercase())
}

/// A link that may be followed: only schemes that fetch a page or write a mail, spelled out.
fn safe(url: &str) -> Option<String> {
    let url = visible(url);
    let (scheme, rest) = url.split_once(':')?;
    let fine = match scheme.to_ascii_lowercase().as_str() {
        "http" | "https" => rest.starts_with("//"),
        "mailto" => true,
        _ => false,
    };
    (fine && url.len() <= 2_000 && !url.contains(char::is_whitespace)).then_some(url)
}
