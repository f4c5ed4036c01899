//! Text out of HTML mail: quotes cut by the marks that mail programs put there, then plain text.

use html2text::render::TextDecorator;

/// Beyond this many open elements a page is no letter; its tags are dropped without a look at their meaning.
const DEPTH_MAX: usize = 200;
/// Text is not wrapped: line ends are the person's.
const WIDTH: usize = 100_000;

/// The text of an HTML part, with what it quotes and without.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Texts {
    pub(crate) whole: String,
    pub(crate) own: String,
}

/// Reads an HTML part.
pub(crate) fn texts(html: &str) -> Texts {
    let own = without_quotes(html);
    let whole = to_text(html);
    let own = if own.len() == html.len() { whole.clone() } else { to_text(&own) };
    Texts { whole, own }
}

fn to_text(html: &str) -> String {
    if depth(html) > DEPTH_MAX {
        return without_tags(html);
    }
    let config = html2text::config::with_decorator(Letter).allow_width_overflow().no_table_borders();
    config.string_from_read(html.as_bytes(), WIDTH).unwrap_or_else(|_| without_tags(html))
}

/// Writes a letter as a person would type it: lists and quotes keep their marks, words lose theirs.
#[derive(Clone, Copy, Debug)]
struct Letter;

impl TextDecorator for Letter {
    type Annotation = ();

    fn decorate_link_start(&mut self, _: &str) -> (String, ()) {
        Default::default()
    }

    fn decorate_link_end(&mut self) -> String {
        String::new()
    }

    fn decorate_em_start(&self) -> (String, ()) {
        Default::default()
    }

    fn decorate_em_end(&self) -> String {
        String::new()
    }

    fn decorate_strong_start(&self) -> (String, ()) {
        Default::default()
    }

    fn decorate_strong_end(&self) -> String {
        String::new()
    }

    fn decorate_strikeout_start(&self) -> (String, ()) {
        Default::default()
    }

    fn decorate_strikeout_end(&self) -> String {
        String::new()
    }

    fn decorate_code_start(&self) -> (String, ()) {
        Default::default()
    }

    fn decorate_code_end(&self) -> String {
        String::new()
    }

    fn decorate_preformat_first(&self) {}

    fn decorate_preformat_cont(&self) {}

    fn decorate_image(&mut self, _: &str, title: &str) -> (String, ()) {
        (if title.is_empty() { String::new() } else { format!("[{title}]") }, ())
    }

    fn header_prefix(&self, _: usize) -> String {
        String::new()
    }

    fn quote_prefix(&self) -> String {
        "> ".into()
    }

    fn unordered_item_prefix(&self) -> String {
        "* ".into()
    }

    fn ordered_item_prefix(&self, number: i64) -> String {
        format!("{number}. ")
    }

    fn make_subblock_decorator(&self) -> Self {
        *self
    }
}

/// Drops the elements in which mail programs put the mail that is answered.
fn without_quotes(html: &str) -> String {
    let mut out = String::with_capacity(html.len());
    let mut copied = 0;
    let mut tags = Tags::new(html);
    while let Some(tag) = tags.next() {
        if !tag.opens {
            continue;
        }
        match quote(&tag) {
            Quote::No => {}
            Quote::Element => {
                out.push_str(&html[copied..tag.start]);
                copied = tags.skip_element(&tag);
            }
            Quote::AllBelow => {
                out.push_str(&html[copied..tag.start]);
                return out;
            }
        }
    }
    out.push_str(&html[copied..]);
    out
}

enum Quote {
    No,
    Element,
    AllBelow,
}

fn quote(tag: &Tag<'_>) -> Quote {
    let attributes = tag.attributes.to_ascii_lowercase();
    let has = |mark: &str| attributes.contains(mark);
    match tag.name.as_str() {
        // A forwarded mail wears the same class as a quote in Gmail; it starts with its own mark and is kept.
        "div" if has("gmail_quote") || has("gmail_attr") || has("yahoo_quoted") || has("moz-cite-prefix") => {
            Quote::Element
        }
        "div" if has("protonmail_quote") || has("ms-outlook-mobile-reference-message") => Quote::Element,
        // Outlook writes the earlier mail behind these, unmarked.
        "div" if has("divrplyfwdmsg") || has("appendonsend") || has("mail-editor-reference-message") => {
            Quote::AllBelow
        }
        "blockquote" if has("cite") || has("gmail_quote") => Quote::Element,
        _ => Quote::No,
    }
}

/// Elements that never have an end.
const VOID: [&str; 14] = [
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track",
    "wbr",
];

fn depth(html: &str) -> usize {
    let mut open = 0_usize;
    let mut most = 0;
    let mut tags = Tags::new(html);
    while let Some(tag) = tags.next() {
        if !tag.opens {
            open = open.saturating_sub(1);
        } else if !VOID.contains(&tag.name.as_str()) {
            open += 1;
            most = most.max(open);
        }
    }
    most
}

/// The last resort: everything between tags, and a few entities.
fn without_tags(html: &str) -> String {
    let mut out = String::new();
    let mut copied = 0;
    let mut tags = Tags::new(html);
    while let Some(tag) = tags.next() {
        out.push_str(&html[copied..tag.start]);
        out.push(if ["br", "p", "div", "tr", "li"].contains(&tag.name.as_str()) { '\n' } else { ' ' });
        copied = tags.at;
    }
    out.push_str(&html[copied..]);
    out.replace("&nbsp;", " ").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

/// One tag.
struct Tag<'a> {
    name: String,
    attributes: &'a str,
    opens: bool,
    start: usize,
}

/// Walks over the tags of a page, once, from left to right; steps over comments.
struct Tags<'a> {
    html: &'a str,
    at: usize,
}

impl<'a> Tags<'a> {
    fn new(html: &'a str) -> Self {
        Self { html, at: 0 }
    }

    fn next(&mut self) -> Option<Tag<'a>> {
        loop {
            let start = self.at + self.html[self.at..].find('<')?;
            let rest = &self.html[start + 1..];
            if rest.starts_with("!--") {
                self.at = match rest.find("-->") {
                    Some(end) => start + 1 + end + 3,
                    None => self.html.len(),
                };
                continue;
            }
            let (opens, rest) = match rest.strip_prefix('/') {
                Some(rest) => (false, rest),
                None => (true, rest),
            };
            let named = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
            if named == 0 {
                self.at = start + 1;
                continue;
            }
            let end = tag_end(rest, named);
            let name = rest[..named].to_ascii_lowercase();
            self.at = self.html.len() - rest.len() + (end + 1).min(rest.len());
            return Some(Tag { name, attributes: &rest[named..end], opens, start });
        }
    }

    /// Goes behind the end of the element that this tag opened; to the end of the page if it has none.
    fn skip_element(&mut self, opened: &Tag<'a>) -> usize {
        let mut depth = 1_usize;
        while let Some(tag) = self.next() {
            if tag.name == opened.name {
                depth = if tag.opens { depth + 1 } else { depth - 1 };
                if depth == 0 {
                    return self.at;
                }
            }
        }
        self.at = self.html.len();
        self.at
    }
}

/// Where the tag ends: the first `>` that is not inside a quoted value.
fn tag_end(rest: &str, from: usize) -> usize {
    let mut quote = None;
    for (at, byte) in rest.bytes().enumerate().skip(from) {
        match (quote, byte) {
            (None, b'>') => return at,
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), byte) if open == byte => quote = None,
            _ => {}
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(html: &str) -> String {
        texts(html).own.trim().to_owned()
    }

    #[test]
    fn quotes_go_by_their_marks() {
        let gmail = "<div dir=\"ltr\">approve</div><br><div class=\"gmail_quote gmail_quote_container\"><div dir=ltr \
                     class=gmail_attr>On Mon, Bot wrote:<br></div><blockquote class=gmail_quote>reject</blockquote></div>";
        assert_eq!(own(gmail), "approve");
        assert!(texts(gmail).whole.contains("reject"));
        assert_eq!(
            own(
                "yes<blockquote type=\"cite\"><div>old <blockquote type=cite>older</blockquote> x</div></blockquote> below"
            ),
            "yes\n\nbelow".replace("\n\n", " ").trim()
        );
    }

    #[test]
    fn outlook_keeps_the_old_mail_below_a_mark() {
        let html = "<p>reject: no</p><div id=\"appendonsend\"></div><hr><div id=\"divRplyFwdMsg\">From: Bot</div><p>approve</p>";
        assert_eq!(own(html), "reject: no");
    }

    #[test]
    fn text_keeps_its_lines() {
        assert_eq!(own("<p>a &amp; b</p><p>c<br>d</p><ul><li>e</li></ul>"), "a & b\n\nc\nd\n* e");
        assert_eq!(
            own("<style>p{}</style><script>x</script><!-- <p>no --><b>bold</b> <a href='http://x'>link</a>"),
            "bold link"
        );
    }

    #[test]
    fn hostile_pages_cost_little() {
        for html in
            ["<".repeat(100_000), "<div>".repeat(100_000), "<div a=\"".repeat(50_000), "<!--".repeat(50_000)]
        {
            let _ = texts(&html);
        }
        assert!(texts(&format!("{}deep", "<b>".repeat(5_000))).whole.contains("deep"));
    }
}
