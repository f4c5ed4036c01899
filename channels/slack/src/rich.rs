//! The pieces of a text as Slack's rich text. Pure.
//!
//! Rich text is structure and not markup: what stands in an element of kind `text` is never read again, so no mention,
//! broadcast or link can hide in it (<https://docs.slack.dev/reference/block-kit/blocks/rich-text-block>).
//!
//! Invariant: no element made here is a mention or a broadcast.

use chat::rich::{Bounds, Look, Piece, Run};
use slack_morphism::prelude::*;

/// How many characters a message has at most. Slack takes more, but asks for no more than this in one message:
/// <https://docs.slack.dev/changelog/2018-truncating-really-long-messages>.
pub(crate) const MESSAGE_CHARS_MAX: usize = 3_900;

/// What one message holds. Tables: <https://docs.slack.dev/reference/block-kit/blocks/table-block>; one with more than 3,000
/// characters is shown as text that can be cut anywhere. Pieces: far below what Slack refuses.
const BOUNDS: Bounds =
    Bounds { size_max: MESSAGE_CHARS_MAX, size: chars, pieces: 60, table: Some((100, 20, 3_000)) };

/// The pieces of one message each, in order.
pub(crate) fn messages(markdown: &str) -> Vec<Vec<Piece>> {
    chat::rich::messages(chat::rich::read(markdown), &BOUNDS)
}

/// What a piece takes.
fn chars(piece: &Piece) -> usize {
    let of = |runs: &[Run]| runs.iter().map(|run| run.text.chars().count()).sum::<usize>();
    match piece {
        Piece::Paragraph(runs) | Piece::Quote(runs) | Piece::Item { runs, .. } => of(runs) + 1,
        Piece::Code { text, .. } => text.chars().count() + 1,
        Piece::Table(rows) => rows.iter().flatten().map(|runs| of(runs) + 1).sum(),
        Piece::Rule => 1,
    }
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

#[cfg(test)]
mod tests {
    use chat::rich::words;

    use super::*;

    fn shown(markdown: &str) -> serde_json::Value {
        let messages = messages(markdown);
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
        let messages = messages(&markdown);
        assert!(messages.len() >= 4);
        let mut lines = Vec::new();
        for message in &messages {
            let chars: usize = message.iter().map(chars).sum();
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
        let messages = messages(&text);
        assert_eq!(messages.iter().map(|message| words(message)).collect::<String>(), text);
        let table = format!("| a |\n|---|\n{}", "| row |\n".repeat(300));
        assert!(matches!(&super::messages(&table)[0][0], Piece::Code { .. }));
        let two = "| a |\n|---|\n| 1 |\n\nx\n\n| b |\n|---|\n| 2 |";
        assert_eq!(super::messages(two).len(), 2, "Slack takes one table a message");
    }

    #[test]
    fn nothing_is_nothing() {
        assert!(messages("").is_empty());
        assert!(messages("\n\n").is_empty());
        assert!(blocks(&[]).is_empty());
    }
}
