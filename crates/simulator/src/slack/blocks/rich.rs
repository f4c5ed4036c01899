//! The `rich_text` block.

use serde_json::Value;

use super::check::Check;

/// Checks a `rich_text` block.
pub(super) fn check(check: &mut Check, block: &Value, at: &str) {
    check.only(block, at, &["type", "elements", "block_id"]);
    for (element, at) in check.list(block, "elements", at, 0, usize::MAX) {
        group(check, element, &at);
    }
}

fn group(check: &mut Check, element: &Value, at: &str) {
    let kind = element.get("type").and_then(Value::as_str).unwrap_or_default();
    match kind {
        "rich_text_section" => check.only(element, at, &["type", "elements"]),
        "rich_text_preformatted" => check.only(element, at, &["type", "elements", "border", "language"]),
        "rich_text_quote" => check.only(element, at, &["type", "elements", "border"]),
        "rich_text_list" => {
            check.only(element, at, &["type", "elements", "style", "indent", "offset", "border"]);
            if !element.get("style").is_some_and(|style| style == "bullet" || style == "ordered") {
                check.fault("must be one of: bullet, ordered", &format!("{at}/style"));
            }
            for (item, at) in check.list(element, "elements", at, 0, usize::MAX) {
                group(check, item, &at);
            }
            return;
        }
        "" => {
            check.fault("missing required field: type", at);
            return;
        }
        unknown => {
            check.fault(&format!("unsupported type: {unknown}"), &format!("{at}/type"));
            return;
        }
    }
    for (item, at) in check.list(element, "elements", at, 0, usize::MAX) {
        inline(check, item, &at);
    }
}

fn inline(check: &mut Check, item: &Value, at: &str) {
    let kind = item.get("type").and_then(Value::as_str).unwrap_or_default();
    let (needed, more): (&str, &[&str]) = match kind {
        "text" => ("text", &[]),
        "link" => ("url", &["text", "unsafe"]),
        "emoji" => ("name", &["unicode", "skin_tone"]),
        "user" => ("user_id", &[]),
        "usergroup" => ("usergroup_id", &[]),
        "channel" => ("channel_id", &[]),
        "broadcast" => ("range", &[]),
        "team" => ("team_id", &[]),
        "color" => ("value", &[]),
        "date" => ("format", &["timestamp", "url", "fallback"]),
        "" => {
            check.fault("missing required field: type", at);
            return;
        }
        unknown => {
            check.fault(&format!("unsupported type: {unknown}"), &format!("{at}/type"));
            return;
        }
    };
    let mut known = vec!["type", "style", needed];
    known.extend(more);
    check.only(item, at, &known);
    check.string(item, needed, at, usize::MAX - 1, true);
    if let Some(style) = item.get("style") {
        let at = format!("{at}/style");
        let known =
            ["bold", "italic", "strike", "code", "underline", "highlight", "client_highlight", "unlink"];
        check.only(style, &at, &known);
        if style.as_object().is_none_or(|style| style.values().any(|on| !on.is_boolean())) {
            check.fault("must be an object of booleans", &at);
        }
    }
}
