//! From CommonMark that anybody may have written to Slack's rich text. Pure.
//!
//! Rich text is structure and not markup: what stands in an element of kind `text` is never read again, so no mention,
//! broadcast or link can hide in it (<https://docs.slack.dev/reference/block-kit/blocks/rich-text-block>).
//!
//! Invariant: no element made here is a mention or a broadcast; a link leads to a page or a mail address, spelled out.

use std::collections::VecDeque;

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};
use slack_morphism::prelude::*;

/// How many characters a message has at most. Slack takes more, but asks for no more than this in one message:
/// <https://docs.slack.dev/changelog/2018-truncating-really-long-messages>.
pub(crate) const MESSAGE_CHARS_MAX: usize = 3_900;
/// Above this a text is shown as it is: nobody reads that much as prose, and a parser has its worst cases.
const MARKDOWN_BYTES_MAX: usize = 256 * 1024;
/// Slack's limits of a table: <https://docs.slack.dev/reference/block-kit/blocks/table-block>.
const TABLE_ROWS_MAX: usize = 100;
const TABLE_COLUMNS_MAX: usize = 20;
/// A table with more than this is shown as text that can be cut anywhere.
const TABLE_CHARS_MAX: usize = 3_000;
/// Elements of one message; far below what Slack refuses.
const PIECES_MAX: usize = 60;

/// One paragraph, item, code block or table.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Piece {
    Paragraph(Vec<Run>),
    Item { number: Option<u64>, depth: u64, runs: Vec<Run> },
    Code { language: Option<String>, text: String },
    Quote(Vec<Run>),
    Table(Vec<Vec<Vec<Run>>>),
    Rule,
}

/// Words of one look.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Run {
    pub(crate) text: String,
    pub(crate) look: Look,
    pub(crate) link: Option<String>,
}

/// How words look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Look {
    pub(crate) bold: bool,
    pub(crate) italic: bool,
    pub(crate) strike: bool,
    pub(crate) code: bool,
}

impl Run {
    pub(crate) fn plain(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    pub(crate) fn bold(text: impl Into<String>) -> Self {
        Self { look: Look { bold: true, ..Look::default() }, ..Self::plain(text) }
    }
}

/// Reads a text.
pub(crate) fn read(markdown: &str) -> Vec<Piece> {
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

/// The pieces of one message each, in order: cut between pieces where that is possible, between lines or words where not,
/// and a code block is whole on each side of a cut.
pub(crate) fn messages(pieces: Vec<Piece>) -> Vec<Vec<Piece>> {
    let mut rest: VecDeque<Piece> = pieces.into_iter().map(fitted).collect();
    let mut messages: Vec<Vec<Piece>> = Vec::new();
    let mut message: Vec<Piece> = Vec::new();
    let mut room = MESSAGE_CHARS_MAX;
    while let Some(piece) = rest.pop_front() {
        let chars = piece.chars();
        let full = message.len() >= PIECES_MAX
            || (matches!(piece, Piece::Table(_))
                && message.iter().any(|other| matches!(other, Piece::Table(_))));
        if chars <= room && !full {
            room -= chars;
            message.push(piece);
            continue;
        }
        if chars > MESSAGE_CHARS_MAX
            && !full
            && let Some((head, tail)) = piece.clone().cut(room)
        {
            message.push(head);
            rest.push_front(tail);
        } else {
            rest.push_front(piece);
        }
        messages.push(std::mem::take(&mut message));
        room = MESSAGE_CHARS_MAX;
    }
    if !message.is_empty() {
        messages.push(message);
    }
    messages.retain(|message| !message.is_empty());
    messages
}

/// The blocks that show these pieces.
pub(crate) fn blocks(pieces: &[Piece]) -> Vec<SlackBlock> {
    let mut blocks = Vec::new();
    let mut elements: Vec<SlackRichTextElement> = Vec::new();
    let flush = |elements: &mut Vec<SlackRichTextElement>, blocks: &mut Vec<SlackBlock>| {
        if !elements.is_empty() {
            blocks.push(SlackRichTextBlock::new(std::mem::take(elements)).into());
        }
    };
    for (n, piece) in pieces.iter().enumerate() {
        let next = pieces.get(n + 1);
        match piece {
            Piece::Paragraph(runs) => {
                let mut inline = inline(runs);
                if matches!(next, Some(Piece::Paragraph(_))) {
                    inline.push("\n".into());
                }
                if !inline.is_empty() {
                    elements.push(SlackRichTextSection::new(inline).into());
                }
            }
            Piece::Item { number, depth, runs } => item(&mut elements, *number, *depth, runs),
            Piece::Code { language, text } => {
                let text = if text.is_empty() { " " } else { text.as_str() };
                let code = SlackRichTextPreformatted::new(vec![text.into()]);
                elements.push(code.opt_language(language.clone()).into());
            }
            Piece::Quote(runs) => {
                let inline = inline(runs);
                if !inline.is_empty() {
                    elements.push(SlackRichTextQuote::new(inline).into());
                }
            }
            Piece::Table(rows) => {
                flush(&mut elements, &mut blocks);
                blocks.push(table(rows));
            }
            Piece::Rule => {
                flush(&mut elements, &mut blocks);
                blocks.push(SlackDividerBlock::new().into());
            }
        }
    }
    flush(&mut elements, &mut blocks);
    blocks
}

/// The words of these pieces, for a notification.
pub(crate) fn words(pieces: &[Piece]) -> String {
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
pub(crate) fn visible(text: &str) -> String {
    let hides = |c: char| {
        (c.is_control() && !matches!(c, '\n' | '\t'))
            || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
                | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}')
    };
    text.chars().filter(|c| !hides(*c)).collect()
}

/// Adds an item to the list before it, or begins one.
fn item(elements: &mut Vec<SlackRichTextElement>, number: Option<u64>, depth: u64, runs: &[Run]) {
    let mut inline = inline(runs);
    if inline.is_empty() {
        inline.push(" ".into());
    }
    let section: SlackRichTextListElement = SlackRichTextSection::new(inline).into();
    let style =
        if number.is_some() { SlackRichTextListStyle::Ordered } else { SlackRichTextListStyle::Bullet };
    if let Some(SlackRichTextElement::List(list)) = elements.last_mut()
        && list.style == style
        && list.indent.unwrap_or(0) == depth
    {
        list.elements.push(section);
        return;
    }
    let mut list = SlackRichTextList::new(style, vec![section]);
    list.indent = (depth > 0).then_some(depth);
    list.offset = number.and_then(|number| number.checked_sub(1)).filter(|offset| *offset > 0);
    elements.push(list.into());
}

fn inline(runs: &[Run]) -> Vec<SlackRichTextInlineElement> {
    runs.iter().filter(|run| !run.text.is_empty()).map(element).collect()
}

fn element(run: &Run) -> SlackRichTextInlineElement {
    let Look { bold, italic, strike, code } = run.look;
    let mut style = SlackRichTextStyle::new();
    style.bold = bold.then_some(true);
    style.italic = italic.then_some(true);
    style.strike = strike.then_some(true);
    style.code = code.then_some(true);
    let style = (run.look != Look::default()).then_some(style);
    match &run.link {
        Some(url) => SlackRichTextLink::new(SlackRelaxedUrl(url.clone()))
            .with_text(run.text.clone())
            .opt_style(style)
            .into(),
        None => SlackRichTextText::new(run.text.clone()).opt_style(style).into(),
    }
}

fn table(rows: &[Vec<Vec<Run>>]) -> SlackBlock {
    let cell = |runs: &Vec<Run>| -> SlackTableCell {
        let inline = inline(runs);
        if inline.is_empty() {
            " ".into()
        } else {
            SlackTableRichTextCell::new(vec![SlackRichTextSection::new(inline).into()]).into()
        }
    };
    SlackTableBlock::new(rows.iter().map(|row| row.iter().map(cell).collect()).collect()).into()
}

fn table_text(rows: &[Vec<Vec<Run>>]) -> String {
    let cell = |runs: &Vec<Run>| runs.iter().map(|run| run.text.replace('\n', " ")).collect::<String>();
    let line = |row: &Vec<Vec<Run>>| row.iter().map(cell).collect::<Vec<_>>().join(" | ");
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// A table that Slack would refuse becomes text.
fn fitted(piece: Piece) -> Piece {
    match piece {
        Piece::Table(rows) => {
            let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
            let text = table_text(&rows);
            let fits = rows.len() <= TABLE_ROWS_MAX
                && columns <= TABLE_COLUMNS_MAX
                && text.chars().count() <= TABLE_CHARS_MAX;
            if fits && columns > 0 { Piece::Table(rows) } else { Piece::Code { language: None, text } }
        }
        Piece::Paragraph(_) | Piece::Item { .. } | Piece::Code { .. } | Piece::Quote(_) | Piece::Rule => {
            piece
        }
    }
}

impl Piece {
    fn chars(&self) -> usize {
        let of = |runs: &[Run]| runs.iter().map(|run| run.text.chars().count()).sum::<usize>();
        match self {
            Self::Paragraph(runs) | Self::Quote(runs) | Self::Item { runs, .. } => of(runs) + 1,
            Self::Code { text, .. } => text.chars().count() + 1,
            Self::Table(rows) => rows.iter().flatten().map(|runs| of(runs) + 1).sum(),
            Self::Rule => 1,
        }
    }

    /// Cuts off a head of at most so many characters; nothing where no good head is that short.
    fn cut(self, room: usize) -> Option<(Self, Self)> {
        let room = room.checked_sub(1).filter(|room| *room >= 200)?;
        Some(match self {
            Self::Paragraph(runs) => {
                let (head, tail) = cut_runs(runs, room);
                (Self::Paragraph(head), Self::Paragraph(tail))
            }
            Self::Quote(runs) => {
                let (head, tail) = cut_runs(runs, room);
                (Self::Quote(head), Self::Quote(tail))
            }
            Self::Item { number, depth, runs } => {
                let (head, tail) = cut_runs(runs, room);
                (Self::Item { number, depth, runs: head }, Self::Paragraph(tail))
            }
            Self::Code { language, text } => {
                let (head, tail) = cut_text(&text, room);
                let of = |text: &str| Self::Code { language: language.clone(), text: text.to_owned() };
                (of(head.trim_end_matches('\n')), of(tail))
            }
            Self::Table(_) | Self::Rule => return None,
        })
    }
}

fn cut_runs(runs: Vec<Run>, room: usize) -> (Vec<Run>, Vec<Run>) {
    let (mut head, mut tail) = (Vec::new(), Vec::new());
    let mut left = room;
    for run in runs {
        let chars = run.text.chars().count();
        if !tail.is_empty() {
            tail.push(run);
        } else if chars <= left {
            left -= chars;
            head.push(run);
        } else {
            let (first, second) = cut_text(&run.text, left.max(1));
            head.push(Run { text: first.to_owned(), ..run.clone() });
            tail.push(Run { text: second.to_owned(), ..run.clone() });
        }
    }
    (head, tail)
}

/// Cuts a text after at most `room` characters: at a line's end, else after a word, else anywhere.
fn cut_text(text: &str, room: usize) -> (&str, &str) {
    let end = text.char_indices().nth(room).map_or(text.len(), |(end, _)| end);
    let window = text.get(..end).unwrap_or(text);
    let good = |at: &usize| *at > window.len() / 2;
    let line = window.rfind('\n').map(|at| at + 1).filter(good);
    let word = window.rfind(char::is_whitespace).filter(good);
    let word =
        word.map(|at| at + text.get(at..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8));
    text.split_at(line.or(word).unwrap_or(end))
}

/// Reads events into pieces.
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
                // Slack shows eight levels.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(markdown: &str) -> serde_json::Value {
        let messages = messages(read(markdown));
        serde_json::to_value(messages.iter().map(|message| blocks(message)).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn shows_what_people_write() {
        insta::assert_json_snapshot!(shown(
            "# Done\n**v1.4** is *out*, ~~not v1.3~~, see [the log](https://example.com/?a=1&b=\"2\").\nNext line.\n\n\
             Another `paragraph`.\n\n- one\n- two\n  1. nested\n  2. again\n\n- a loose item\n\n  its second paragraph\n\n\
             3. three\n4. four\n\n> quoted **words**\n\n| a | b |\n|--:|---|\n| 1 | ~~2~~ |\n| | x |\n\n---\n\n\
             ```rust\nlet x = \"<b>\";\n\n```\n\n<https://example.com> <ana@example.com>"
        ));
    }

    #[test]
    fn nothing_in_a_text_can_act() {
        for text in [
            "<!channel> <@U1> <!subteam^S1> @here @everyone",
            "[x](javascript:alert(1)) [x](JaVaScRiPt:alert(1)) [x](data:text/html,x) [x](//evil.example) [x](slack://x)",
            "![pixel](https://evil.example/p?data=1)",
            "<script>alert(1)</script>\n\n<img src=x onerror=alert(1)>",
            "`<!channel>`\n\n```\n<!channel>\n```\n\n| <!here> |\n|---|\n| <@U1> |\n\n> <!everyone>\n\n- <@U1>",
            "[<!channel>](https://a.example) **<@U1>**",
        ] {
            let json = shown(text).to_string();
            for kind in
                ["broadcast", "usergroup", "\"user\"", "mrkdwn", "\"image\"", "javascript:", "data:text"]
            {
                assert!(
                    !json.to_lowercase().contains(&kind.to_lowercase()) || text.contains(kind),
                    "{text} -> {json}"
                );
            }
            assert!(
                !json.contains("\"url\":\"javascript")
                    && !json.contains("\"url\":\"data")
                    && !json.contains("\"url\":\"//")
            );
        }
        let json = shown("a\u{202e}b\u{200b}c\u{feff} 👩\u{200d}💻").to_string();
        assert!(
            !json.contains('\u{202e}') && !json.contains('\u{200b}') && json.contains("👩\u{200d}💻"),
            "{json}"
        );
    }

    #[test]
    fn long_texts_are_cut_between_pieces_and_code_stays_code() {
        let paragraph = "word ".repeat(500);
        let code: String = (0..600).map(|n| format!("line {n} of the code\n")).collect();
        let markdown = format!("{paragraph}\n\n{paragraph}\n\n```sh\n{code}```\n\n{paragraph}");
        let messages = messages(read(&markdown));
        assert!(messages.len() >= 4);
        let mut lines = Vec::new();
        for message in &messages {
            let chars: usize = message.iter().map(Piece::chars).sum();
            assert!(chars <= MESSAGE_CHARS_MAX + 1, "{chars}");
            for piece in message {
                if let Piece::Code { language, text } = piece {
                    assert_eq!(language.as_deref(), Some("sh"));
                    lines.extend(text.lines().map(str::to_owned));
                }
            }
        }
        assert_eq!(lines, code.lines().collect::<Vec<_>>(), "no line is lost, doubled or cut");
        assert_eq!(messages.iter().map(|m| words(m).matches("word").count()).sum::<usize>(), 1_500);
    }

    #[test]
    fn a_text_without_a_place_to_cut_is_cut_all_the_same() {
        let text = "x".repeat(20_000);
        let messages = messages(read(&text));
        assert_eq!(messages.iter().map(|message| words(message)).collect::<String>(), text);
        let table = format!("| a |\n|---|\n{}", "| row |\n".repeat(300));
        assert!(matches!(&super::messages(read(&table))[0][0], Piece::Code { .. }));
        let two = "| a |\n|---|\n| 1 |\n\nx\n\n| b |\n|---|\n| 2 |";
        assert_eq!(super::messages(read(two)).len(), 2, "Slack takes one table a message");
    }

    #[test]
    fn nothing_is_nothing() {
        assert!(messages(read("")).is_empty());
        assert!(messages(read("\n\n")).is_empty());
        assert!(blocks(&[]).is_empty());
    }
}
