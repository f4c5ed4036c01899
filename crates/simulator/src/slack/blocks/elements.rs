//! Elements of blocks: buttons, menus, inputs.

use serde_json::{Value, json};

use super::check::Check;

/// The fields that every interactive element has.
const COMMON: &[&str] = &["type", "action_id", "confirm", "focus_on_load"];

/// An element of an `actions` block.
pub(super) fn in_actions(check: &mut Check, element: &Value, at: &str) {
    match kind(element) {
        "button" => button(check, element, at),
        "plain_text_input" | "number_input" | "email_text_input" | "url_text_input" | "file_input"
        | "image" => {
            check.fault(&format!("unsupported type: {}", kind(element)), &format!("{at}/type"));
        }
        _ => menu(check, element, at),
    }
}

/// The accessory of a section.
pub(super) fn in_section(check: &mut Check, element: &Value, at: &str) {
    match kind(element) {
        "image" => image(check, element, at),
        _ => in_actions(check, element, at),
    }
}

/// The element of an `input` block.
pub(super) fn in_input(check: &mut Check, element: &Value, at: &str) {
    match kind(element) {
        "plain_text_input" => text_input(check, element, at),
        "number_input" => {
            let more = ["is_decimal_allowed", "initial_value", "min_value", "max_value"];
            fields(check, element, at, &more, true);
            if !element.get("is_decimal_allowed").is_some_and(Value::is_boolean) {
                check.fault("missing required field: is_decimal_allowed", at);
            }
            for name in ["initial_value", "min_value", "max_value"] {
                let number = |value: &Value| value.as_str().is_some_and(is_number);
                if element.get(name).is_some_and(|value| !number(value)) {
                    check.fault("must be a number", &format!("{at}/{name}"));
                }
            }
        }
        "email_text_input" | "url_text_input" => fields(check, element, at, &["initial_value"], true),
        "rich_text_input" => fields(check, element, at, &["initial_value"], true),
        "file_input" => fields(check, element, at, &["filetypes", "max_files"], false),
        "button" | "overflow" | "image" => {
            check.fault(&format!("unsupported type: {}", kind(element)), &format!("{at}/type"));
        }
        _ => menu(check, element, at),
    }
}

/// An image beside or between texts.
pub(super) fn image(check: &mut Check, element: &Value, at: &str) {
    check.only(element, at, &["type", "image_url", "slack_file", "alt_text"]);
    check.string(element, "image_url", at, 3000, element.get("slack_file").is_none());
    check.string(element, "alt_text", at, 2000, true);
}

fn kind(element: &Value) -> &str {
    element.get("type").and_then(Value::as_str).unwrap_or_default()
}

fn fields(check: &mut Check, element: &Value, at: &str, more: &[&str], placeholder: bool) {
    let mut known = COMMON.to_vec();
    known.extend(more);
    known.extend(["dispatch_action_config"]);
    if placeholder {
        known.push("placeholder");
        check.plain(element, "placeholder", at, 150, false);
    }
    check.only(element, at, &known);
    check.short(element, "action_id", at, 255);
    if let Some(confirm) = element.get("confirm") {
        confirmation(check, confirm, &format!("{at}/confirm"));
    }
}

fn button(check: &mut Check, element: &Value, at: &str) {
    check.only(
        element,
        at,
        &["type", "text", "action_id", "url", "value", "style", "confirm", "accessibility_label"],
    );
    check.plain(element, "text", at, 75, true);
    check.short(element, "action_id", at, 255);
    check.short(element, "url", at, 3000);
    check.short(element, "value", at, 2000);
    check.short(element, "accessibility_label", at, 75);
    if let Some(style) = element.get("style")
        && !["primary", "danger"].iter().any(|known| style == known)
    {
        check.fault("must be one of: primary, danger", &format!("{at}/style"));
    }
    if let Some(confirm) = element.get("confirm") {
        confirmation(check, confirm, &format!("{at}/confirm"));
    }
}

fn confirmation(check: &mut Check, confirm: &Value, at: &str) {
    check.only(confirm, at, &["title", "text", "confirm", "deny", "style"]);
    check.plain(confirm, "title", at, 100, true);
    check.text(confirm, "text", at, 300, true);
    check.plain(confirm, "confirm", at, 30, true);
    check.plain(confirm, "deny", at, 30, true);
}

fn text_input(check: &mut Check, element: &Value, at: &str) {
    let more = ["initial_value", "multiline", "min_length", "max_length"];
    fields(check, element, at, &more, true);
    for (name, least) in [("min_length", 0), ("max_length", 1)] {
        let length = element.get(name);
        if length
            .is_some_and(|length| !length.as_u64().is_some_and(|length| (least..=3000).contains(&length)))
        {
            check.fault(&format!("must be between {least} and 3000"), &format!("{at}/{name}"));
        }
    }
    check.short(element, "initial_value", at, 3000);
}

fn menu(check: &mut Check, element: &Value, at: &str) {
    match kind(element) {
        "static_select" | "multi_static_select" => {
            let more =
                ["options", "option_groups", "initial_option", "initial_options", "max_selected_items"];
            fields(check, element, at, &more, true);
            if element.get("option_groups").is_some() {
                for (group, at) in check.list(element, "option_groups", at, 1, 100) {
                    check.plain(group, "label", &at, 75, true);
                    options(check, group, &at, 1, 100, false);
                }
            } else {
                options(check, element, at, 1, 100, false);
            }
        }
        "users_select"
        | "conversations_select"
        | "channels_select"
        | "multi_users_select"
        | "multi_conversations_select"
        | "multi_channels_select" => {
            let more = [
                "initial_user",
                "initial_users",
                "initial_conversation",
                "initial_conversations",
                "initial_channel",
                "initial_channels",
                "default_to_current_conversation",
                "response_url_enabled",
                "filter",
                "max_selected_items",
            ];
            fields(check, element, at, &more, true);
        }
        "external_select" | "multi_external_select" => {
            fields(check, element, at, &["initial_option", "initial_options", "min_query_length"], true);
        }
        "overflow" => {
            fields(check, element, at, &["options"], false);
            options(check, element, at, 1, 5, false);
        }
        "checkboxes" => {
            fields(check, element, at, &["options", "initial_options"], false);
            options(check, element, at, 1, 10, true);
        }
        "radio_buttons" => {
            fields(check, element, at, &["options", "initial_option"], false);
            options(check, element, at, 1, 10, true);
        }
        "datepicker" => {
            fields(check, element, at, &["initial_date"], true);
            let day = |value: &Value| value.as_str().is_some_and(is_day);
            if element.get("initial_date").is_some_and(|value| !day(value)) {
                check.fault("must be a date in the format YYYY-MM-DD", &format!("{at}/initial_date"));
            }
        }
        "timepicker" => fields(check, element, at, &["initial_time", "timezone"], true),
        "datetimepicker" => fields(check, element, at, &["initial_date_time"], false),
        "" => check.fault("missing required field: type", at),
        unknown => check.fault(&format!("unsupported type: {unknown}"), &format!("{at}/type")),
    }
}

fn options(check: &mut Check, holder: &Value, at: &str, least: usize, most: usize, marked: bool) {
    for (option, at) in check.list(holder, "options", at, least, most) {
        check.only(option, &at, &["text", "value", "description", "url"]);
        if marked {
            check.text(option, "text", &at, 75, true);
            check.text(option, "description", &at, 75, false);
        } else {
            check.plain(option, "text", &at, 75, true);
            check.plain(option, "description", &at, 75, false);
        }
        check.string(option, "value", &at, 150, true);
    }
    let offered = holder.get("options").and_then(Value::as_array);
    let initial = holder.get("initial_options").and_then(Value::as_array).into_iter().flatten();
    for option in initial.chain(holder.get("initial_option")) {
        if !offered.is_some_and(|offered| offered.contains(option)) {
            check.fault("the initial option is none of the options", at);
        }
    }
}

/// Whether an input for numbers takes this.
pub(crate) fn is_number(text: &str) -> bool {
    let plain = text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'-' | b'.'));
    plain && text.parse::<f64>().is_ok()
}

/// Whether an input for dates takes this: a day that there is.
pub(crate) fn is_day(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let [year, month, day] = parts[..] else { return false };
    let number = |part: &str, len: usize| {
        part.parse::<u32>().ok().filter(|_| part.len() == len && part.bytes().all(|b| b.is_ascii_digit()))
    };
    let (Some(year), Some(month), Some(day)) = (number(year, 4), number(month, 2), number(day, 2)) else {
        return false;
    };
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        4 | 6 | 9 | 11 => 30,
        2 => 28 + u32::from(leap),
        _ => 31,
    };
    (1..=12).contains(&month) && (1..=days).contains(&day)
}

/// The options of an element that a person means by this text: the one of this value, or some, one a line or with commas
/// between them. An error is a value that is not offered.
pub(crate) fn chosen(element: &Value, filled: &str) -> Result<Vec<Value>, String> {
    let groups = element.get("option_groups").and_then(Value::as_array).into_iter().flatten();
    let lists = groups.chain([element]).filter_map(|holder| holder.get("options")?.as_array());
    let options: Vec<&Value> = lists.flatten().collect();
    let of = |wanted: &str| {
        let found = options.iter().find(|option| option.get("value").is_some_and(|value| value == wanted));
        found.map(|option| (*option).clone())
    };
    if let Some(option) = of(filled) {
        return Ok(vec![option]);
    }
    let by = if filled.contains('\n') { '\n' } else { ',' };
    let wanted = filled.split(by).map(str::trim).filter(|it| !it.is_empty());
    wanted.map(|wanted| of(wanted).ok_or_else(|| format!("there is no option {wanted}"))).collect()
}

/// What an input element holds after a person filled this text in: the entry of `state.values`.
pub(crate) fn input_state(element: &Value, filled: Option<&str>) -> Value {
    let kind = kind(element);
    let options = |filled: &str| chosen(element, filled).unwrap_or_default();
    let one = |name: &str, value: Option<&str>| json!({"type": kind, name: value});
    match kind {
        "static_select" | "radio_buttons" | "external_select" => {
            let first = |filled: &str| options(filled).into_iter().next();
            let chosen = filled.map_or_else(|| element.get("initial_option").cloned(), first);
            json!({"type": kind, "selected_option": chosen})
        }
        "multi_static_select" | "checkboxes" | "multi_external_select" => {
            let chosen: Vec<Value> = match filled {
                Some(filled) => options(filled),
                None => element.get("initial_options").and_then(Value::as_array).cloned().unwrap_or_default(),
            };
            json!({"type": kind, "selected_options": chosen})
        }
        "users_select" => one("selected_user", filled),
        "conversations_select" => one("selected_conversation", filled),
        "channels_select" => one("selected_channel", filled),
        "datepicker" => {
            one("selected_date", filled.or_else(|| element.get("initial_date").and_then(Value::as_str)))
        }
        "timepicker" => one("selected_time", filled),
        _ => one("value", filled.or_else(|| element.get("initial_value").and_then(Value::as_str))),
    }
}
