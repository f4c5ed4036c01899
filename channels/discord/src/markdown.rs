//! The pieces of a text as Discord's markdown. Pure.
//!
//! Discord reads its own dialect (<https://support.discord.com/hc/en-us/articles/210298617>). What a piece holds is escaped, so
//! that only the structure made here is read; a sign that ends an escape or a fence from within does not get through.
//!
//! Invariant: nothing that stands in a piece becomes a mention, an emoji, a time stamp or a link; links show no preview.

use chat::rich::{Bounds, Look, Piece, Run};

/// The most characters of a message: <https://discord.com/developers/docs/resources/message#create-message>.
pub(crate) const MESSAGE_CHARS_MAX: usize = 2_000;

/// The pieces of one message each, in order; a label below the last one must have room.
pub(crate) fn messages(markdown: &str, label_chars: usize) -> Vec<Vec<Piece>> {
    let size_max = MESSAGE_CHARS_MAX - label_chars.min(500);
    let bounds = Bounds { size_max, size, pieces: 200, table: None };
    chat::rich::messages(chat::rich::read(markdown), &bounds)
}

/// What a piece takes in a message, with what stands between it and the next.
fn size(piece: &Piece) -> usize {
    chars(&shown(piece)) + 2
}

/// How Discord counts, at most.
pub(crate) fn chars(text: &str) -> usize {
    text.encode_utf16().count()
}

/// A message that shows these pieces.
pub(crate) fn text(pieces: &[Piece]) -> String {
    let mut text = String::new();
    for (n, piece) in pieces.iter().enumerate() {
        let before = n.checked_sub(1).and_then(|n| pieces.get(n));
        text.push_str(match (before, piece) {
            (None, _) => "",
            (Some(Piece::Item { .. }), Piece::Item { .. })
            | (Some(Piece::Paragraph(_)), Piece::Item { .. } | Piece::Code { .. })
            | (Some(Piece::Code { .. }), _) => "\n",
            (Some(_), _) => "\n\n",
        });
        text.push_str(&shown(piece));
    }
    text.trim_matches('\n').to_owned()
}

fn shown(piece: &Piece) -> String {
    match piece {
        Piece::Paragraph(runs) => line(runs),
        Piece::Quote(runs) => quoted(&line(runs)),
        Piece::Item { number, depth, runs } => {
            let indent = "  ".repeat(usize::try_from(*depth).unwrap_or(0));
            let sign = number.map_or("-".to_owned(), |number| format!("{number}."));
            // A line that goes on stands below the words, not below the sign.
            format!("{indent}{sign} {}", line(runs).replace('\n', &format!("\n{indent}  ")))
        }
        Piece::Code { language, text } => fence(language.as_deref(), text),
        Piece::Table(_) => fence(None, &chat::rich::words(std::slice::from_ref(piece))),
        Piece::Rule => "⎯⎯⎯".to_owned(),
    }
}

fn quoted(text: &str) -> String {
    text.lines().map(|line| format!("> {line}")).collect::<Vec<_>>().join("\n")
}

/// Code between fences. A fence within it is broken up, since Discord has only one sort.
pub(crate) fn fence(language: Option<&str>, text: &str) -> String {
    let text = text.replace("```", "`\u{200b}``");
    format!("```{}\n{text}\n```", language.unwrap_or_default())
}

fn line(runs: &[Run]) -> String {
    let mut line = String::new();
    for run in runs {
        let at_start = line.is_empty() || line.ends_with('\n');
        line.push_str(&words(run, at_start));
    }
    line
}

/// Words with their look. White space at the ends stands outside of the signs, which would not count otherwise.
fn words(run: &Run, at_start: bool) -> String {
    let Look { bold, italic, strike, code } = run.look;
    let inner = run.text.trim();
    if inner.is_empty() {
        return run.text.clone();
    }
    let lead = run.text.len() - run.text.trim_start().len();
    let (before, after) = (&run.text[..lead], &run.text[lead + inner.len()..]);
    let starts = at_start && before.is_empty() || before.ends_with('\n');
    let mut shown = match &run.link {
        Some(url) if url == inner || url.strip_prefix("mailto:") == Some(inner) => link(url),
        Some(url) if !url.contains([')', '>', '<']) => format!("[{}](<{url}>)", escape(inner, false)),
        Some(url) => format!("{} ({})", escape(inner, starts), escape(url, false)),
        None if code && !inner.contains("``") && !inner.starts_with('`') && !inner.ends_with('`') => {
            format!("``{inner}``")
        }
        None => prose(inner, starts && run.look == Look::default()),
    };
    if strike {
        shown = format!("~~{shown}~~");
    }
    if italic {
        shown = format!("*{shown}*");
    }
    if bold {
        shown = format!("**{shown}**");
    }
    format!("{before}{shown}{after}")
}

/// A way to a page without a preview of it; addresses of mail are words on Discord.
fn link(url: &str) -> String {
    match url.strip_prefix("mailto:") {
        Some(address) => escape(address, false),
        None if url.contains(['<', '>']) => escape(url, false),
        None => format!("<{url}>"),
    }
}

/// Words in which bare addresses of pages stay whole: an escape within would break them.
fn prose(text: &str, at_start: bool) -> String {
    let mut shown = String::with_capacity(text.len() + text.len() / 8);
    for piece in text.split_inclusive(char::is_whitespace) {
        let word = piece.trim_end();
        let address = word.starts_with("https://") || word.starts_with("http://");
        if address && word.chars().all(|c| c.is_ascii_graphic() && !matches!(c, '<' | '>' | '`' | '\\')) {
            shown.push('<');
            shown.push_str(word);
            shown.push('>');
            shown.push_str(&piece[word.len()..]);
        } else {
            let starts = if shown.is_empty() { at_start } else { shown.ends_with('\n') };
            shown.push_str(&escape(piece, starts));
        }
    }
    shown
}

/// Writes a text so that Discord reads nothing in it. `at_start`: it stands at the start of a line, where a few signs more
/// would be read.
pub(crate) fn escape(text: &str, at_start: bool) -> String {
    let mut safe = String::with_capacity(text.len() + text.len() / 8);
    let mut start = at_start;
    // Only digits since the line began: a list with numbers, if a dot follows.
    let mut counts = at_start;
    for c in text.chars() {
        let read = match c {
            '\\' | '*' | '_' | '~' | '`' | '|' | '[' | ']' | '<' | '>' | '@' => true,
            '#' | '-' | '+' => start,
            '.' | ')' => counts && !start,
            _ => false,
        };
        if read {
            safe.push('\\');
        }
        safe.push(c);
        if c == '\n' {
            (start, counts) = (true, true);
        } else {
            counts = counts && (c.is_ascii_digit() || (start && c == ' '));
            start = start && c == ' ';
        }
    }
    safe
}

/// Plain text from outside, shown whole, in which nothing hides and nothing is read.
pub(crate) fn inert(text: &str) -> String {
    escape(&channel::inert(text), true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(markdown: &str) -> String {
        messages(markdown, 0).iter().map(|pieces| text(pieces)).collect::<Vec<_>>().join("\n====\n")
    }

    #[test]
    fn shows_what_people_write() {
        insta::assert_snapshot!(shown(
            "# Done\n**v1.4** is *out*, ~~not v1.3~~, see [the log](https://example.com/?a=1&b=\"2\").\nNext line.\n\n\
             Another `para``graph` and `code`.\n\n- one\n- two\n  1. nested\n  2. again\n\n- a loose item\n\n  its second paragraph\n\n\
             3. three\n4. four\n\n> quoted **words**\n> more\n\n| name | b |\n|--:|---|\n| 1 | ~~2~~ |\n| | x |\n\n---\n\n\
             ```rust\nlet x = \"<b>\";\n\n```\n\n<https://example.com> <ana@example.com> https://example.com/a_b_c"
        ));
    }

    #[test]
    fn nothing_in_a_text_can_act() {
        for (text, wanted) in [
            (
                "\\@everyone <@1> <@&2> <#3> <t:1:R> <:a:4>",
                "\\@everyone \\<\\@1\\> \\<\\@&2\\> \\<#3\\> \\<t:1:R\\> \\<:a:4\\>",
            ),
            ("[x](javascript:alert(1))", "x"),
            ("![pixel](https://evil.example/p?data=1)", "[pixel](<https://evil.example/p?data=1>)"),
            ("[a](https://a.example/x)y)", "[a](<https://a.example/x>)y)"),
            ("1\\. one\n\\# two\n\\- three\n\\> four", "1\\. one\n\\# two\n\\- three\n\\> four"),
            ("\\-# small", "\\-# small"),
            ("\\|\\|spoiler\\|\\|", "\\|\\|spoiler\\|\\|"),
            ("a\\\\*b\\*", "a\\\\\\*b\\*"),
            ("https://a.example/>x", "https://a.example/\\>x"),
        ] {
            assert_eq!(shown(text), wanted, "{text}");
        }
        let code = shown("````\n```\n@everyone\n````");
        assert_eq!(code.matches("```").count(), 2, "{code}");
        assert_eq!(inert("pay\u{202e}05 <@1>"), "pay\\\\u{202e}05 \\<\\@1\\>");
    }

    #[test]
    fn long_texts_are_cut_between_pieces_and_code_stays_code() {
        let paragraph = "word ".repeat(300);
        let stars = "2 \\* 3 \\* 4 \\_ ".repeat(300);
        let code: String = (0..400).map(|n| format!("line {n} of the code\n")).collect();
        let markdown = format!("{paragraph}\n\n{stars}\n\n```sh\n{code}```\n\n{paragraph}");
        let mut lines = Vec::new();
        let mut words = 0;
        for message in messages(&markdown, 40) {
            let text = text(&message);
            assert!(chars(&text) <= MESSAGE_CHARS_MAX - 40, "{}", chars(&text));
            assert_eq!(text.matches("```").count() % 2, 0, "{text}");
            words += text.matches("word").count();
            lines.extend(text.lines().filter(|line| line.starts_with("line ")).map(str::to_owned));
        }
        assert_eq!(words, 600);
        assert_eq!(lines, code.lines().collect::<Vec<_>>(), "no line is lost, doubled or cut");
        let text = "x".repeat(20_000);
        assert_eq!(shown(&text).replace("\n====\n", ""), text);
        assert!(messages("", 0).is_empty());
    }
}
