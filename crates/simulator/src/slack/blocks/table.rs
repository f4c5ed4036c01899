//! The `table` block.

use serde_json::Value;

use super::{check::Check, rich};

const ROWS: usize = 100;
const CELLS: usize = 20;

/// Checks a `table` block.
pub(super) fn check(check: &mut Check, block: &Value, at: &str) {
    check.only(block, at, &["type", "rows", "column_settings", "block_id"]);
    for (row, at) in check.list(block, "rows", at, 1, ROWS) {
        let Some(cells) = row.as_array() else {
            check.fault("must be an array", &at);
            continue;
        };
        if cells.len() > CELLS {
            check.fault(&format!("no more than {CELLS} items allowed"), &at);
        }
        for (index, cell) in cells.iter().enumerate() {
            self::cell(check, cell, &format!("{at}/{index}"));
        }
    }
    if block.get("column_settings").is_some() {
        for (setting, at) in check.list(block, "column_settings", at, 0, CELLS) {
            if !setting.is_null() {
                check.only(setting, &at, &["align", "is_wrapped"]);
            }
        }
    }
}

fn cell(check: &mut Check, cell: &Value, at: &str) {
    match cell.get("type").and_then(Value::as_str) {
        Some("raw_text") => {
            check.only(cell, at, &["type", "text"]);
            check.string(cell, "text", at, usize::MAX - 1, true);
        }
        Some("raw_number") => check.only(cell, at, &["type", "value", "text"]),
        Some("rich_text") => rich::check(check, cell, at),
        Some(unknown) => check.fault(&format!("unsupported type: {unknown}"), &format!("{at}/type")),
        None => check.fault("missing required field: type", at),
    }
}
