//! Whom a posted message would ring, and whether it would make previews of links.
//!
//! Invariant: what may ring is counted as ringing. A channel that defuses outside text must leave nothing here.

use serde_json::Value;

use super::world::World;

/// How the text of a post is to be read.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reading {
    /// `link_names`, or `parse: full`: names in plain text count too.
    pub(crate) names: bool,
}

impl World {
    /// Everybody that a text and its blocks ring, each once.
    pub(crate) fn rings(
        &self,
        text: &str,
        blocks: &[Value],
        attachments: &[Value],
        reading: Reading,
    ) -> Vec<String> {
        let mut rings = Vec::new();
        self.scan_text(text, reading, &mut rings);
        for block in blocks.iter().chain(attachments) {
            self.scan_block(block, reading, &mut rings);
        }
        let mut once: Vec<String> = Vec::new();
        for ring in rings {
            if !once.contains(&ring) {
                once.push(ring);
            }
        }
        once
    }

    fn scan_text(&self, text: &str, reading: Reading, rings: &mut Vec<String>) {
        for inside in
            text.split('<').skip(1).filter_map(|rest| rest.split_once('>')).map(|(inside, _)| inside)
        {
            let name = inside.split(['|', '^']).next().unwrap_or_default();
            let broadcast = ["!channel", "!here", "!everyone", "!group", "!subteam"].contains(&name);
            let person = name.strip_prefix('@').is_some_and(|id| !id.is_empty());
            if broadcast || person {
                rings.push(inside.split('|').next().unwrap_or_default().to_owned());
            }
        }
        if reading.names {
            for word in text.split('@').skip(1) {
                let end =
                    word.find(|c: char| !(c.is_alphanumeric() || "-_".contains(c))).unwrap_or(word.len());
                let name = word.get(..end).unwrap_or_default();
                let known = ["channel", "here", "everyone", "group"].contains(&name)
                    || self.users.values().any(|user| user.name == name);
                if known {
                    rings.push(format!("@{name}"));
                }
            }
        }
    }

    fn scan_block(&self, value: &Value, reading: Reading, rings: &mut Vec<String>) {
        if let Some(list) = value.as_array() {
            list.iter().for_each(|item| self.scan_block(item, reading, rings));
        }
        let Some(object) = value.as_object() else { return };
        let field = |name: &str| object.get(name).and_then(Value::as_str).unwrap_or_default();
        match field("type") {
            "mrkdwn" | "markdown" => self.scan_text(field("text"), reading, rings),
            // Rich text is structure: what stands in its texts and in the labels of its links is never read again.
            "plain_text" | "raw_text" | "text" | "link" => {}
            "broadcast" => rings.push(format!("!{}", field("range"))),
            "user" => rings.push(format!("@{}", field("user_id"))),
            "usergroup" => rings.push(format!("!subteam^{}", field("usergroup_id"))),
            _ => {
                // Attachments have their texts without a type.
                for name in ["text", "pretext", "title", "fallback"] {
                    self.scan_text(field(name), reading, rings);
                }
            }
        }
        object.values().for_each(|inner| self.scan_block(inner, reading, rings));
    }
}

/// Whether there is a link in a text or in blocks.
pub(crate) fn has_link(text: &str, blocks: &[Value]) -> bool {
    let linked = |text: &str| text.contains("http://") || text.contains("https://");
    linked(text) || blocks.iter().any(|block| linked(&block.to_string()))
}
