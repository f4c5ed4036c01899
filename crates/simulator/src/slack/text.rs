//! From what a person types to what Slack keeps.
//!
//! Invariant: `&`, `<` and `>` that a person typed are entities afterwards; what stands in angle brackets was made by Slack.

use serde_json::{Value, json};

use super::world::World;

/// A piece of what was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Plain(String),
    /// A person, by id.
    Person(String),
    /// `here`, `channel` or `everyone`.
    Broadcast(String),
    /// A channel: id and name.
    Place(String, String),
    /// An address on the web or of mail, and what was typed.
    Link(String, String),
}

/// What Slack keeps of something typed.
#[derive(Clone, Debug)]
pub(crate) struct Typed {
    /// The text with entities and brackets.
    pub(crate) text: String,
    /// The same as a `rich_text` block.
    pub(crate) block: Value,
}

/// Makes `&`, `<` and `>` entities.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

impl World {
    /// Reads what a person typed: `@name` and `<@ID>` of people that exist are mentions, `@here` rings, `#name` is a channel,
    /// addresses become links; all the rest is plain.
    pub(crate) fn read_typed(&self, typed: &str) -> Typed {
        let pieces = self.pieces(typed);
        let mut text = String::new();
        let mut elements = Vec::new();
        for piece in &pieces {
            text.push_str(&written(piece));
            elements.push(element(piece));
        }
        let section = json!({"type": "rich_text_section", "elements": elements});
        let block_id = super::ids::random(3);
        Typed { text, block: json!({"type": "rich_text", "block_id": block_id, "elements": [section]}) }
    }

    fn pieces(&self, typed: &str) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut rest = typed;
        let mut before = ' ';
        while let Some(first) = rest.chars().next() {
            let special = if before.is_alphanumeric() { None } else { self.special(rest) };
            let taken = special.as_ref().map_or(first.len_utf8(), |(_, taken)| *taken);
            let (now, later) = rest.split_at(taken);
            match special {
                Some((piece, _)) => {
                    if !plain.is_empty() {
                        pieces.push(Piece::Plain(std::mem::take(&mut plain)));
                    }
                    pieces.push(piece);
                }
                None => plain.push_str(now),
            }
            before = now.chars().next_back().unwrap_or(' ');
            rest = later;
        }
        if !plain.is_empty() || pieces.is_empty() {
            pieces.push(Piece::Plain(plain));
        }
        pieces
    }

    /// A piece that is not plain at the start of the text, and how long it is.
    fn special(&self, text: &str) -> Option<(Piece, usize)> {
        if let Some(rest) = text.strip_prefix("<@") {
            let (id, _) = rest.split_once('>')?;
            return self.users.contains_key(id).then(|| (Piece::Person(id.to_owned()), id.len() + 3));
        }
        if let Some(rest) = text.strip_prefix('@') {
            let name = word(rest);
            if ["here", "channel", "everyone"].contains(&name) {
                return Some((Piece::Broadcast(name.to_owned()), name.len() + 1));
            }
            let user = self.users.values().find(|user| user.name == name)?;
            return Some((Piece::Person(user.id.clone()), name.len() + 1));
        }
        if let Some(rest) = text.strip_prefix('#') {
            let name = word(rest);
            let channel = self.channels.values().find(|channel| !name.is_empty() && channel.name == name)?;
            return Some((Piece::Place(channel.id.clone(), channel.name.clone()), name.len() + 1));
        }
        link(text)
    }
}

fn word(text: &str) -> &str {
    let end = text.find(|c: char| !(c.is_alphanumeric() || "-_".contains(c))).unwrap_or(text.len());
    text.get(..end).unwrap_or_default()
}

fn link(text: &str) -> Option<(Piece, usize)> {
    let end = text.find(|c: char| c.is_whitespace() || "<>\"|".contains(c)).unwrap_or(text.len());
    let candidate = text.get(..end)?.trim_end_matches(['.', ',', ')', '!', '?', ';', ':', '\'']);
    let after = candidate.strip_prefix("https://").or_else(|| candidate.strip_prefix("http://"));
    if let Some(after) = after {
        return (!after.is_empty())
            .then(|| (Piece::Link(candidate.to_owned(), candidate.to_owned()), candidate.len()));
    }
    let (name, domain) = candidate.split_once('@')?;
    let fine = |part: &str| {
        part.chars().next().is_some_and(char::is_alphanumeric)
            && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.+".contains(c))
    };
    (fine(name) && fine(domain) && domain.contains('.'))
        .then(|| (Piece::Link(format!("mailto:{candidate}"), candidate.to_owned()), candidate.len()))
}

fn written(piece: &Piece) -> String {
    match piece {
        Piece::Plain(text) => escape(text),
        Piece::Person(id) => format!("<@{id}>"),
        Piece::Broadcast(name) => format!("<!{name}>"),
        Piece::Place(id, name) => format!("<#{id}|{name}>"),
        Piece::Link(url, typed) if url == typed => format!("<{}>", escape(url)),
        Piece::Link(url, typed) => format!("<{}|{}>", escape(url), escape(typed)),
    }
}

fn element(piece: &Piece) -> Value {
    match piece {
        Piece::Plain(text) => json!({"type": "text", "text": text}),
        Piece::Person(id) => json!({"type": "user", "user_id": id}),
        Piece::Broadcast(name) => json!({"type": "broadcast", "range": name}),
        Piece::Place(id, _) => json!({"type": "channel", "channel_id": id}),
        Piece::Link(url, typed) if url == typed => json!({"type": "link", "url": url}),
        Piece::Link(url, typed) => json!({"type": "link", "url": url, "text": typed}),
    }
}
