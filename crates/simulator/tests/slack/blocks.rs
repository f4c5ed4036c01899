//! Block Kit, as documented.

use serde_json::{Value, json};

use super::{Failure, app::App};

fn plain(text: &str) -> Value {
    json!({"type": "plain_text", "text": text})
}

fn section(text: &str) -> Value {
    json!({"type": "section", "text": {"type": "mrkdwn", "text": text}})
}

fn button(id: &str) -> Value {
    json!({"type": "button", "action_id": id, "text": plain("Go"), "value": "v"})
}

fn row(cells: usize) -> Value {
    json!(vec![json!({"type": "raw_text", "text": "x"}); cells])
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_documented_is_taken() -> Result<(), Failure> {
    let app = App::new().await?;
    let x = |count: usize| "x".repeat(count);
    let good = [
        json!([section(&x(3000))]),
        json!([{"type": "section", "fields": vec![plain(&x(2000)); 10]}]),
        json!([{"type": "header", "text": plain(&x(150))}]),
        json!([{"type": "context", "elements": vec![json!({"type": "mrkdwn", "text": "x"}); 10]}]),
        json!([{"type": "actions", "block_id": x(255), "elements": (0..25).map(|n| button(&n.to_string())).collect::<Vec<_>>()}]),
        json!(vec![json!({"type": "divider"}); 50]),
        json!([{"type": "markdown", "text": x(12_000)}]),
        json!([{"type": "table", "rows": vec![row(20); 100], "column_settings": [{"align": "right"}]}]),
        json!([{"type": "rich_text", "elements": [
            {"type": "rich_text_section", "elements": [
                {"type": "text", "text": "x", "style": {"bold": true}}, {"type": "link", "url": "https://a.test"},
                {"type": "emoji", "name": "wave"}]},
            {"type": "rich_text_list", "style": "ordered", "indent": 1, "elements": [
                {"type": "rich_text_section", "elements": [{"type": "text", "text": "x"}]}]},
            {"type": "rich_text_preformatted", "elements": [{"type": "text", "text": "x"}]},
            {"type": "rich_text_quote", "elements": [{"type": "text", "text": "x"}]}]}]),
        json!([{"type": "input", "label": plain("x"), "element": {"type": "plain_text_input", "action_id": "a", "multiline": true}}]),
        json!([{"type": "actions", "elements": [{"type": "button", "text": plain(&x(75)), "value": x(2000), "style": "danger",
            "confirm": {"title": plain("x"), "text": plain("x"), "confirm": plain("x"), "deny": plain("x")}}]}]),
    ];
    for blocks in good {
        let body = json!({"channel": "C0GEN0001", "text": "x", "blocks": blocks});
        let answer = app.call("chat.postMessage", body).await?;
        assert_eq!(answer["ok"], true, "{answer}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_is_refused_with_its_place() -> Result<(), Failure> {
    let app = App::new().await?;
    let x = |count: usize| "x".repeat(count);
    let labelled = |text: Value| json!([{"type": "actions", "elements": [{"type": "button", "text": text}]}]);
    let valued = |value: &str| json!([{"type": "actions", "elements": [{"type": "button", "text": plain("x"), "value": value}]}]);
    let long = x(256);
    let bad: Vec<(Value, &str)> = vec![
        (json!([section(&x(3001))]), "must be less than 3001 characters [json-pointer:/blocks/0/text/text]"),
        (json!([section("")]), "must be more than 0 characters [json-pointer:/blocks/0/text/text]"),
        (json!([{"type": "section"}]), "must provide one of: text, fields [json-pointer:/blocks/0]"),
        (
            json!([{"type": "section", "fields": vec![plain("x"); 11]}]),
            "no more than 10 items allowed [json-pointer:/blocks/0/fields]",
        ),
        (
            json!([{"type": "section", "fields": [plain(&x(2001))]}]),
            "must be less than 2001 characters [json-pointer:/blocks/0/fields/0/text]",
        ),
        (
            json!([{"type": "header", "text": plain(&x(151))}]),
            "must be less than 151 characters [json-pointer:/blocks/0/text/text]",
        ),
        (
            json!([{"type": "header", "text": {"type": "mrkdwn", "text": "x"}}]),
            "must be a plain_text object [json-pointer:/blocks/0/text]",
        ),
        (
            json!([{"type": "context", "elements": vec![plain("x"); 11]}]),
            "no more than 10 items allowed [json-pointer:/blocks/0/elements]",
        ),
        (
            json!([{"type": "actions", "elements": []}]),
            "must have at least 1 items [json-pointer:/blocks/0/elements]",
        ),
        (
            json!([{"type": "actions", "elements": (0..26).map(|n| button(&n.to_string())).collect::<Vec<_>>()}]),
            "no more than 25 items allowed [json-pointer:/blocks/0/elements]",
        ),
        (
            labelled(plain(&x(76))),
            "must be less than 76 characters [json-pointer:/blocks/0/elements/0/text/text]",
        ),
        (
            labelled(json!({"type": "mrkdwn", "text": "x"})),
            "must be a plain_text object [json-pointer:/blocks/0/elements/0/text]",
        ),
        (valued(&x(2001)), "must be less than 2001 characters [json-pointer:/blocks/0/elements/0/value]"),
        (
            json!([{"type": "actions", "elements": [button(&long)]}]),
            "must be less than 256 characters [json-pointer:/blocks/0/elements/0/action_id]",
        ),
        (
            json!([{"type": "actions", "elements": [button("a"), button("a")]}]),
            "`action_id` \"a\" already exists for another element [json-pointer:/blocks/0]",
        ),
        (
            json!([{"type": "divider", "block_id": long}]),
            "must be less than 256 characters [json-pointer:/blocks/0/block_id]",
        ),
        (
            json!([{"type": "divider", "block_id": "b"}, {"type": "divider", "block_id": "b"}]),
            "`block_id` \"b\" already exists for another block [json-pointer:/blocks/1/block_id]",
        ),
        (json!(vec![json!({"type": "divider"}); 51]), "no more than 50 items allowed [json-pointer:/blocks]"),
        (
            json!([{"type": "markdown", "text": x(6001)}, {"type": "markdown", "text": x(6000)}]),
            "markdown text must be less than 12001 characters [json-pointer:/blocks]",
        ),
        (
            json!([{"type": "table", "rows": vec![row(1); 101]}]),
            "no more than 100 items allowed [json-pointer:/blocks/0/rows]",
        ),
        (
            json!([{"type": "table", "rows": [row(21)]}]),
            "no more than 20 items allowed [json-pointer:/blocks/0/rows/0]",
        ),
        (
            json!([{"type": "table", "rows": [row(1)]}, {"type": "table", "rows": [row(1)]}]),
            "only_one_table_allowed [json-pointer:/blocks]",
        ),
        (
            json!([{"type": "carousel_of_wonders"}]),
            "unsupported type: carousel_of_wonders [json-pointer:/blocks/0/type]",
        ),
        (
            json!([{"type": "divider", "color": "red"}]),
            "invalid additional property: color [json-pointer:/blocks/0]",
        ),
        (
            json!([{"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": [{"type": "blink"}]}]}]),
            "unsupported type: blink [json-pointer:/blocks/0/elements/0/elements/0/type]",
        ),
        (
            json!([{"type": "rich_text", "elements": [{"type": "rich_text_list", "style": "roman", "elements": []}]}]),
            "must be one of: bullet, ordered [json-pointer:/blocks/0/elements/0/style]",
        ),
        (
            json!([{"type": "actions", "elements": [{"type": "static_select", "options": [{"text": plain("x"), "value": x(151)}]}]}]),
            "must be less than 151 characters [json-pointer:/blocks/0/elements/0/options/0/value]",
        ),
        (
            json!([{"type": "input", "label": plain("x"), "element": {"type": "plain_text_input", "max_length": 3001}}]),
            "must be between 1 and 3000 [json-pointer:/blocks/0/element/max_length]",
        ),
    ];
    for (blocks, fault) in bad {
        let body = json!({"channel": "C0GEN0001", "text": "x", "blocks": blocks});
        let answer = app.call("chat.postMessage", body).await?;
        assert_eq!(answer["error"], "invalid_blocks", "{fault}: {answer}");
        let messages = answer["response_metadata"]["messages"].as_array().cloned().unwrap_or_default();
        assert!(messages.contains(&json!(format!("[ERROR] {fault}"))), "{fault}: {messages:?}");
    }
    assert!(app.control.messages("C0GEN0001", None).await?.is_empty());
    Ok(())
}
