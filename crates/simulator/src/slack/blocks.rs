//! Block Kit: what Slack takes, and what it says of the rest.
//!
//! Invariant: what is not documented is refused: an unknown block, an unknown field, a text too long.

mod check;
mod elements;
mod rich;
mod table;

use std::collections::BTreeSet;

use serde_json::Value;

use check::Check;
pub(crate) use elements::{chosen, input_state, is_day, is_number};

/// The most blocks of a message.
const IN_A_MESSAGE: usize = 50;

/// The most blocks of a modal.
const IN_A_MODAL: usize = 100;

/// The most characters of all `markdown` blocks together.
const MARKDOWN: usize = 12_000;

/// Where blocks stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Surface {
    Message,
    Modal,
}

/// What is wrong with the blocks of a message, as `text [json-pointer:/blocks/…]`.
pub(crate) fn check_message(blocks: &[Value]) -> Vec<String> {
    check_all(blocks, "/blocks", Surface::Message, IN_A_MESSAGE)
}

/// What is wrong with the blocks of a modal.
pub(crate) fn check_modal(blocks: &[Value]) -> Vec<String> {
    check_all(blocks, "/view/blocks", Surface::Modal, IN_A_MODAL)
}

fn check_all(blocks: &[Value], pointer: &str, surface: Surface, most: usize) -> Vec<String> {
    let mut check = Check::default();
    if blocks.len() > most {
        check.fault(&format!("no more than {most} items allowed"), pointer);
    }
    let mut seen = BTreeSet::new();
    let mut actions = BTreeSet::new();
    let mut markdown = 0;
    let mut tables = 0;
    for (index, block) in blocks.iter().enumerate() {
        let at = format!("{pointer}/{index}");
        check_block(&mut check, block, &at, surface);
        if let Some(id) = block.get("block_id").and_then(Value::as_str)
            && !seen.insert(id.to_owned())
        {
            check.fault(
                &format!("`block_id` \"{id}\" already exists for another block"),
                &format!("{at}/block_id"),
            );
        }
        note_actions(&mut check, block, &at, &mut actions);
        match block.get("type").and_then(Value::as_str) {
            Some("markdown") => {
                let text = block.get("text").and_then(Value::as_str).unwrap_or_default();
                markdown += text.chars().count();
            }
            Some("table") => tables += 1,
            Some(_) | None => {}
        }
    }
    if markdown > MARKDOWN {
        check.fault(&format!("markdown text must be less than {} characters", MARKDOWN + 1), pointer);
    }
    if tables > 1 {
        check.fault("only_one_table_allowed", pointer);
    }
    check.faults
}

/// An `action_id` may be given once in a message.
fn note_actions(check: &mut Check, block: &Value, at: &str, seen: &mut BTreeSet<String>) {
    let lists = [block.get("elements"), block.get("accessory"), block.get("element")];
    for found in lists.into_iter().flatten() {
        let elements = found.as_array().map_or(std::slice::from_ref(found), Vec::as_slice);
        for element in elements {
            if let Some(id) = element.get("action_id").and_then(Value::as_str)
                && !seen.insert(id.to_owned())
            {
                check.fault(&format!("`action_id` \"{id}\" already exists for another element"), at);
            }
        }
    }
}

fn check_block(check: &mut Check, block: &Value, at: &str, surface: Surface) {
    if !block.is_object() {
        check.fault("must be an object", at);
        return;
    }
    check.short(block, "block_id", at, 255);
    let kind = block.get("type").and_then(Value::as_str).unwrap_or_default();
    match kind {
        "section" => section(check, block, at),
        "header" => {
            check.only(block, at, &["type", "text", "block_id", "level"]);
            check.plain(block, "text", at, 150, true);
        }
        "divider" => check.only(block, at, &["type", "block_id"]),
        "context" => context(check, block, at),
        "actions" => {
            check.only(block, at, &["type", "elements", "block_id"]);
            for (element, at) in check.list(block, "elements", at, 1, 25) {
                elements::in_actions(check, element, &at);
            }
        }
        "image" => image(check, block, at),
        "input" => input(check, block, at),
        "rich_text" => rich::check(check, block, at),
        "markdown" => {
            check.only(block, at, &["type", "text", "block_id"]);
            check.string(block, "text", at, MARKDOWN, true);
        }
        "table" if surface == Surface::Message => table::check(check, block, at),
        "video" | "file" | "context_actions" | "task_card" | "plan" => {
            // These are let through unread.
        }
        "" => check.fault("missing required field: type", at),
        unknown => check.fault(&format!("unsupported type: {unknown}"), &format!("{at}/type")),
    }
}

fn section(check: &mut Check, block: &Value, at: &str) {
    check.only(block, at, &["type", "text", "block_id", "fields", "accessory", "expand"]);
    if block.get("text").is_none() && block.get("fields").is_none() {
        check.fault("must provide one of: text, fields", at);
    }
    check.text(block, "text", at, 3000, false);
    if block.get("fields").is_some() {
        for (field, at) in check.list(block, "fields", at, 1, 10) {
            check.text_object(field, &at, 2000);
        }
    }
    if let Some(accessory) = block.get("accessory") {
        elements::in_section(check, accessory, &format!("{at}/accessory"));
    }
}

fn context(check: &mut Check, block: &Value, at: &str) {
    check.only(block, at, &["type", "elements", "block_id"]);
    for (element, at) in check.list(block, "elements", at, 1, 10) {
        if element.get("type").is_some_and(|kind| kind == "image") {
            elements::image(check, element, &at);
        } else {
            // The documentation names no limit here; the section's is what is met.
            check.text_object(element, &at, 3000);
        }
    }
}

fn image(check: &mut Check, block: &Value, at: &str) {
    check.only(block, at, &["type", "image_url", "slack_file", "alt_text", "title", "block_id"]);
    check.string(block, "alt_text", at, 2000, true);
    check.string(block, "image_url", at, 3000, block.get("slack_file").is_none());
    check.plain(block, "title", at, 2000, false);
}

fn input(check: &mut Check, block: &Value, at: &str) {
    check.only(block, at, &["type", "label", "element", "dispatch_action", "block_id", "hint", "optional"]);
    check.plain(block, "label", at, 2000, true);
    check.plain(block, "hint", at, 2000, false);
    match block.get("element") {
        Some(element) => elements::in_input(check, element, &format!("{at}/element")),
        None => check.fault("missing required field: element", at),
    }
}
