//! CommonMark to the two bodies of a mail. The words may come from a model, so HTML in them is shown, not obeyed;
//! nothing is loaded from elsewhere, and links lead to web pages and mail addresses only.

use pulldown_cmark::{CowStr, Event, LinkType, Options, Parser, Tag, TagEnd};

use crate::inert;

/// The HTML of a text.
pub(crate) fn html(markdown: &str) -> String {
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH;
    let mut links: Vec<bool> = Vec::new();
    let events = Parser::new_ext(markdown, options).map(|event| match event {
        // Shown as it was written.
        Event::Html(text) | Event::InlineHtml(text) => Event::Text(text),
        Event::Start(Tag::Link { dest_url, link_type, title, id }) => {
            let open = leads_somewhere_safe(&dest_url, link_type);
            links.push(open);
            if open {
                Event::Start(Tag::Link { link_type, dest_url, title, id })
            } else {
                Event::Text(CowStr::Borrowed(""))
            }
        }
        Event::End(TagEnd::Link) => {
            let open = links.pop().unwrap_or(false);
            if open { Event::End(TagEnd::Link) } else { Event::Text(CowStr::Borrowed("")) }
        }
        // A picture from elsewhere tells its owner when the mail is read. Its text is shown.
        Event::Start(Tag::Image { .. }) => Event::Text(CowStr::Borrowed("[")),
        Event::End(TagEnd::Image) => Event::Text(CowStr::Borrowed("]")),
        event @ (Event::Start(_)
        | Event::End(_)
        | Event::Text(_)
        | Event::Code(_)
        | Event::InlineMath(_)
        | Event::DisplayMath(_)
        | Event::FootnoteReference(_)
        | Event::SoftBreak
        | Event::HardBreak
        | Event::Rule
        | Event::TaskListMarker(_)) => event,
    });
    let mut out = String::new();
    pulldown_cmark::html::push_html(&mut out, events);
    out
}

fn leads_somewhere_safe(url: &str, kind: LinkType) -> bool {
    let lower = url.to_ascii_lowercase();
    let plain = !url.chars().any(inert::is_hidden);
    plain
        && (kind == LinkType::Email
            || ["https://", "http://", "mailto:"].iter().any(|start| lower.starts_with(start)))
}

/// The plain body: CommonMark is readable as it stands; what hides goes.
pub(crate) fn plain(markdown: &str) -> String {
    let text = inert::shown(markdown.trim());
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    lines.join("\n")
}

/// A whole HTML body.
pub(crate) fn page(inside: &str) -> String {
    format!(
        "<!doctype html>\n<html><head><meta charset=\"utf-8\"></head>\n<body style=\"font-family: sans-serif; \
         font-size: 15px; line-height: 1.45\">\n{inside}</body></html>\n"
    )
}

/// A small line below the words.
pub(crate) fn note(text: &str) -> String {
    format!("<p style=\"font-size: 12px; color: #666\">{}</p>\n", inert::html(&inert::shown(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_in_the_words_is_shown() {
        assert_eq!(
            html("a <b>x</b> <script>y</script>"),
            "<p>a &lt;b&gt;x&lt;/b&gt; &lt;script&gt;y&lt;/script&gt;</p>\n"
        );
        assert_eq!(html("<div onclick=x>\ny\n</div>"), "&lt;div onclick=x&gt;\ny\n&lt;/div&gt;");
        assert_eq!(html("**b** `c`"), "<p><strong>b</strong> <code>c</code></p>\n");
    }

    #[test]
    fn links_lead_to_pages_and_addresses_only() {
        assert_eq!(
            html("[x](https://a.test/?q=\"1\")"),
            "<p><a href=\"https://a.test/?q=%221%22\">x</a></p>\n"
        );
        assert_eq!(html("<a@b.test>"), "<p><a href=\"mailto:a@b.test\">a@b.test</a></p>\n");
        for bad in [
            "[x](javascript:y)",
            "[x](JaVaScript:y)",
            "[x](data:text/html,y)",
            "[x](file:///etc)",
            "[x](//y)",
        ] {
            assert_eq!(html(bad), "<p>x</p>\n", "{bad}");
        }
    }

    #[test]
    fn nothing_is_loaded_from_elsewhere() {
        assert_eq!(html("![pixel](https://spy.test/x.png)"), "<p>[pixel]</p>\n");
        assert_eq!(html("[![pixel](https://spy.test/x.png)](javascript:x)"), "<p>[pixel]</p>\n");
    }
}
