//! From CommonMark that anybody may have written to HTML that can do nothing. Pure.
//!
//! Invariant: every tag in the result was written by this file or by the renderer for an element without a scheme,
//! a style or a handler; what the text itself has of HTML is shown as text.

use std::fmt::Write as _;

use pulldown_cmark::{CowStr, Event, HeadingLevel, LinkType, Options, Parser, Tag, TagEnd, html};

/// Above this a text is shown as it is: nobody reads that much as prose, and a parser has its worst cases.
const MARKDOWN_BYTES_MAX: usize = 256 * 1024;

/// Renders a text.
pub(crate) fn render(text: &str) -> String {
    if text.len() > MARKDOWN_BYTES_MAX {
        return format!("<pre>{}</pre>", escape(text));
    }
    let parser = Parser::new_ext(text, Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH);
    let mut shown = String::with_capacity(text.len() * 3 / 2);
    html::push_html(&mut shown, parser.filter_map(tame));
    shown
}

/// Makes one event inert.
fn tame(event: Event<'_>) -> Option<Event<'_>> {
    Some(match event {
        Event::Html(raw) | Event::InlineHtml(raw) => Event::Text(raw),
        Event::SoftBreak => Event::HardBreak,
        Event::Start(Tag::HtmlBlock) => Event::Start(Tag::Paragraph),
        Event::End(TagEnd::HtmlBlock) => Event::End(TagEnd::Paragraph),
        Event::Start(Tag::Link { link_type: LinkType::Email, dest_url, .. }) => {
            Event::InlineHtml(open_link(&format!("mailto:{dest_url}")))
        }
        Event::Start(Tag::Link { dest_url, .. }) => Event::InlineHtml(open_link(&dest_url)),
        Event::End(TagEnd::Link) => Event::InlineHtml(CowStr::Borrowed("</a>")),
        // A picture would be fetched from wherever the text says; its description is shown, with the address to follow.
        Event::Start(Tag::Image { dest_url, .. }) => Event::InlineHtml(open_link(&dest_url)),
        Event::End(TagEnd::Image) => Event::InlineHtml(CowStr::Borrowed("</a>")),
        // The column's alignment would come as a style attribute, which the page's policy forbids.
        Event::Start(Tag::Table(columns)) => {
            Event::Start(Tag::Table(columns.iter().map(|_| pulldown_cmark::Alignment::None).collect()))
        }
        // The page has headings of its own above these.
        Event::Start(Tag::Heading { level, .. }) => {
            Event::Start(Tag::Heading { level: lower(level), id: None, classes: vec![], attrs: vec![] })
        }
        Event::End(TagEnd::Heading(level)) => Event::End(TagEnd::Heading(lower(level))),
        Event::Start(_)
        | Event::End(_)
        | Event::Text(_)
        | Event::Code(_)
        | Event::HardBreak
        | Event::Rule => event,
        // Not asked for, so they do not come.
        Event::InlineMath(_)
        | Event::DisplayMath(_)
        | Event::FootnoteReference(_)
        | Event::TaskListMarker(_) => {
            return None;
        }
    })
}

fn open_link(url: &str) -> CowStr<'static> {
    if !is_safe(url) {
        return CowStr::Borrowed("<a>");
    }
    let url = escape(url);
    CowStr::from(format!("<a href=\"{url}\" target=\"_blank\" rel=\"noopener noreferrer nofollow\">"))
}

/// Whether a link may be followed: only schemes that fetch a page or write a mail, spelled out.
fn is_safe(url: &str) -> bool {
    let Some((scheme, rest)) = url.split_once(':') else { return false };
    match scheme.to_ascii_lowercase().as_str() {
        "http" | "https" => rest.starts_with("//"),
        "mailto" => true,
        _ => false,
    }
}

fn lower(level: HeadingLevel) -> HeadingLevel {
    match level {
        HeadingLevel::H1 => HeadingLevel::H3,
        HeadingLevel::H2 => HeadingLevel::H4,
        HeadingLevel::H3 => HeadingLevel::H5,
        HeadingLevel::H4 | HeadingLevel::H5 | HeadingLevel::H6 => HeadingLevel::H6,
    }
}

fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' | '>' | '&' | '"' | '\'' => {
                let _ = write!(safe, "&#{};", u32::from(c));
            }
            _ => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_what_people_write() {
        insta::assert_snapshot!(render(
            "# Done\n**v1.4** is out, see [the log](https://example.com/?a=1&b=\"2\").\nNext line.\n\n- one\n- two\n\n\
             | a | b |\n|--:|---|\n| 1 | ~~2~~ |\n\n```rust\nlet x = \"<b>\";\n```\n\n<https://example.com> <ana@example.com>"
        ));
    }

    #[test]
    fn nothing_in_a_text_can_act() {
        let hostile = [
            "<script>alert(1)</script>",
            "text <img src=x onerror=alert(1)> text",
            "<div onclick=\"alert(1)\">\n\nx\n\n</div>",
            "[x](javascript:alert(1))",
            "[x](JaVaScRiPt:alert(1))",
            "[x](&#106;avascript:alert(1))",
            "[x](java&#10;script:alert(1))",
            "[x](data:text/html,<script>alert(1)</script>)",
            "[x](vbscript:x)",
            "<javascript:alert(1)>",
            "![x](https://evil.example/track.png)",
            "![x](x\"onerror=\"alert(1))",
            "[x](https://a\"onmouseover=\"alert(1))",
            "[x](//evil.example)",
            "[x]: javascript:alert(1)\n\n[x]",
            "```\"><script>alert(1)</script>\nx\n```",
            "| a |\n|:-:|\n| <svg/onload=alert(1)> |",
            "<!-- --> <style>*{display:none}</style>",
            "# x {onclick=alert(1) id=composer}",
        ];
        let mut all = String::new();
        for text in hostile {
            let shown = render(text);
            for tag in shown.split('<').skip(1) {
                let tag = tag.split('>').next().unwrap();
                let name = tag.trim_start_matches('/').split([' ', '/']).next().unwrap();
                let known =
                    ["a", "p", "pre", "code", "table", "thead", "tbody", "tr", "th", "td", "br", "h3", ""];
                assert!(known.contains(&name), "{text} gave <{tag}>");
                let attributes = tag.split_once(' ').map_or("", |(_, rest)| rest);
                let safe = attributes.trim_matches([' ', '/']).is_empty()
                    || name == "code" && attributes.starts_with("class=\"language-")
                    || attributes.starts_with("href=\"http") && !attributes.contains(" on");
                assert!(safe, "{text} gave <{tag}>");
            }
            all.push_str(&shown);
        }
        insta::assert_snapshot!(all);
    }

    #[test]
    fn a_very_long_text_is_shown_as_it_is() {
        let shown = render(&"<b>".repeat(100_000));
        assert!(shown.starts_with("<pre>&#60;b&#62;"));
    }
}
