//! Modals.

use serde_json::{Value, json};
use simulator::slack::Click;

use super::{
    Failure,
    app::{App, Link, error},
};

fn modal() -> Value {
    json!({
        "type": "modal",
        "title": {"type": "plain_text", "text": "Answer"},
        "submit": {"type": "plain_text", "text": "Send"},
        "callback_id": "answer",
        "private_metadata": "m",
        "notify_on_close": true,
        "blocks": [
            {"type": "input", "block_id": "why", "label": {"type": "plain_text", "text": "Why"},
             "element": {"type": "plain_text_input", "action_id": "text", "multiline": true, "max_length": 5}},
            {"type": "input", "block_id": "how", "optional": true, "label": {"type": "plain_text", "text": "How"},
             "element": {"type": "static_select", "action_id": "pick", "options": [
                {"text": {"type": "plain_text", "text": "Fast"}, "value": "fast"}]}},
        ],
    })
}

/// A trigger from a click of ana's.
async fn trigger(app: &App, link: &mut Link) -> Result<String, Failure> {
    let body = json!({"channel": "C0GEN0001", "text": "card", "blocks": [{"type": "actions", "elements": [
        {"type": "button", "action_id": "a", "text": {"type": "plain_text", "text": "a"}}]}]});
    app.call("chat.postMessage", body).await?;
    link.take().await?;
    let message = app.control.messages("C0GEN0001", None).await?.pop().ok_or("no message")?;
    let trigger = app.control.click(&Click::on("U0ANA0001", &message, "a")).await?;
    link.take().await?;
    Ok(trigger)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_modal_is_opened_filled_and_sent_off() -> Result<(), Failure> {
    let app = App::new().await?;
    let mut link = app.link().await?;
    let trigger = trigger(&app, &mut link).await?;
    assert!(app.control.view("U0ANA0001").await?.is_none());
    let opened = app.call("views.open", json!({"trigger_id": trigger, "view": modal()})).await?;
    assert_eq!(opened["view"]["callback_id"], "answer");
    assert_eq!(app.control.view("U0ANA0001").await?.ok_or("no view")?["id"], opened["view"]["id"]);
    assert!(app.control.view("U0BEN0001").await?.is_none());

    assert_eq!(app.control.submit("U0ANA0001", &[]).await?.outcome, "refused");
    assert_eq!(app.control.submit("U0ANA0001", &[("why", "too long")]).await?.outcome, "refused");
    let control = app.control.clone();
    let sent =
        tokio::spawn(async move { control.submit("U0ANA0001", &[("why", "x"), ("how", "fast")]).await });
    let envelope = link.next().await?;
    let view = &envelope["payload"]["view"];
    assert_eq!(envelope["payload"]["type"], "view_submission");
    assert_eq!(view["private_metadata"], "m");
    assert_eq!(view["state"]["values"]["why"]["text"], json!({"type": "plain_text_input", "value": "x"}));
    assert_eq!(view["state"]["values"]["how"]["pick"]["selected_option"]["value"], "fast");
    link.ack(&envelope, Some(json!({"response_action": "errors", "errors": {"why": "no"}}))).await?;
    let sent = sent.await??;
    assert_eq!((sent.outcome.as_str(), sent.errors.get("why").map(String::as_str)), ("errors", Some("no")));
    assert!(app.control.view("U0ANA0001").await?.is_some());

    let control = app.control.clone();
    let sent = tokio::spawn(async move { control.submit("U0ANA0001", &[("why", "y")]).await });
    link.take().await?;
    assert_eq!(sent.await??.outcome, "closed");
    assert!(app.control.view("U0ANA0001").await?.is_none());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trigger_counts_once_and_not_for_long() -> Result<(), Failure> {
    let app = App::new().await?;
    let mut link = app.link().await?;
    let open =
        async |trigger: &str| app.call("views.open", json!({"trigger_id": trigger, "view": modal()})).await;
    let first = trigger(&app, &mut link).await?;
    assert_eq!(open(&first).await?["ok"], true);
    assert_eq!(error(&open(&first).await?), "exchanged_trigger_id");
    assert_eq!(error(&open("1.2.3").await?), "invalid_trigger_id");
    let second = trigger(&app, &mut link).await?;
    app.control.expire("triggers").await?;
    assert_eq!(error(&open(&second).await?), "expired_trigger_id");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_modal_is_pushed_updated_and_closed() -> Result<(), Failure> {
    let app = App::new().await?;
    let mut link = app.link().await?;
    let first = trigger(&app, &mut link).await?;
    let opened = app.call("views.open", json!({"trigger_id": first, "view": modal()})).await?["view"].clone();
    let second = trigger(&app, &mut link).await?;
    let pushed =
        app.call("views.push", json!({"trigger_id": second, "view": modal()})).await?["view"].clone();
    assert_eq!((&pushed["root_view_id"], &pushed["previous_view_id"]), (&opened["id"], &opened["id"]));
    let stale = json!({"view_id": pushed["id"], "hash": "old", "view": modal()});
    assert_eq!(error(&app.call("views.update", stale).await?), "hash_conflict");
    let mut other = modal();
    other["title"]["text"] = json!("Other");
    let update = json!({"view_id": pushed["id"], "hash": pushed["hash"], "view": other});
    assert_eq!(app.call("views.update", update).await?["view"]["title"]["text"], "Other");
    assert_eq!(
        error(&app.call("views.update", json!({"view_id": "V0", "view": modal()})).await?),
        "not_found"
    );
    app.control.close_view("U0ANA0001").await?;
    let closed = link.take().await?["payload"].clone();
    assert_eq!((closed["type"].as_str(), &closed["view"]["id"]), (Some("view_closed"), &pushed["id"]));
    assert_eq!(app.control.view("U0ANA0001").await?.ok_or("no view")?["id"], opened["id"]);
    Ok(())
}

/// A block with an input of this kind, named as its kind is.
fn input(kind: &str, more: &Value) -> Value {
    let mut element = json!({"type": kind, "action_id": kind});
    if let (Some(element), Some(more)) = (element.as_object_mut(), more.as_object()) {
        element.extend(more.clone());
    }
    json!({"type": "input", "block_id": kind, "optional": true, "label": {"type": "plain_text", "text": kind}, "element": element})
}

fn options(values: &[&str]) -> Vec<Value> {
    values
        .iter()
        .map(|value| json!({"text": {"type": "plain_text", "text": value}, "value": value}))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_days_and_choices_are_filled_in() -> Result<(), Failure> {
    let app = App::new().await?;
    let mut link = app.link().await?;
    let trigger = trigger(&app, &mut link).await?;
    let (some, first) = (options(&["a", "b, c", "d"]), options(&["a"]));
    let mut view = modal();
    view["blocks"] = json!([
        input("number_input", &json!({"is_decimal_allowed": true, "initial_value": "1.5"})),
        input("datepicker", &json!({"initial_date": "2026-02-28"})),
        input("radio_buttons", &json!({"options": some})),
        input("checkboxes", &json!({"options": some, "initial_options": first})),
        input("multi_static_select", &json!({"options": some})),
    ]);
    app.call("views.open", json!({"trigger_id": trigger, "view": view})).await?;
    for (block, filled) in [
        ("number_input", "many"),
        ("datepicker", "2026-02-30"),
        ("datepicker", "soon"),
        ("radio_buttons", "e"),
        ("radio_buttons", "a\nd"),
        ("checkboxes", "a\ne"),
    ] {
        let refused = app.control.submit("U0ANA0001", &[(block, filled)]).await?;
        assert_eq!(refused.outcome, "refused", "{block}: {filled}");
        assert!(refused.errors.contains_key(block), "{refused:?}");
    }
    let control = app.control.clone();
    let filled = [("radio_buttons", "b, c"), ("multi_static_select", "b, c\nd")];
    let sent = tokio::spawn(async move { control.submit("U0ANA0001", &filled).await });
    let envelope = link.next().await?;
    let values = &envelope["payload"]["view"]["state"]["values"];
    assert_eq!(values["number_input"]["number_input"], json!({"type": "number_input", "value": "1.5"}));
    assert_eq!(
        values["datepicker"]["datepicker"],
        json!({"type": "datepicker", "selected_date": "2026-02-28"})
    );
    assert_eq!(values["radio_buttons"]["radio_buttons"]["selected_option"], some[1]);
    assert_eq!(values["checkboxes"]["checkboxes"]["selected_options"], json!(first));
    assert_eq!(values["multi_static_select"]["multi_static_select"]["selected_options"], json!(some[1..]));
    link.ack(&envelope, None).await?;
    assert_eq!(sent.await??.outcome, "closed");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn inputs_of_a_modal_are_checked() -> Result<(), Failure> {
    let app = App::new().await?;
    let mut link = app.link().await?;
    let trigger = trigger(&app, &mut link).await?;
    let (some, other) = (options(&["a", "b"]), options(&["c"]));
    for (block, fault) in [
        (
            input("number_input", &json!({"is_decimal_allowed": true, "initial_value": "many"})),
            "must be a number",
        ),
        (input("datepicker", &json!({"initial_date": "2026-13-01"})), "must be a date"),
        (
            input("radio_buttons", &json!({"options": some, "initial_option": other[0]})),
            "none of the options",
        ),
        (
            input("checkboxes", &json!({"options": options(&["x"; 1]), "initial_options": other})),
            "none of the options",
        ),
    ] {
        let mut view = modal();
        view["blocks"] = json!([block]);
        let answer = app.call("views.open", json!({"trigger_id": trigger, "view": view})).await?;
        assert_eq!(error(&answer), "invalid_arguments", "{fault}");
        assert!(answer["response_metadata"]["messages"].to_string().contains(fault), "{answer}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_modal_is_checked() -> Result<(), Failure> {
    let app = App::new().await?;
    let mut link = app.link().await?;
    let trigger = trigger(&app, &mut link).await?;
    let with = |name: &str, value: Value| {
        let mut view = modal();
        view[name] = value;
        view
    };
    let words = |count: usize| json!({"type": "plain_text", "text": "x".repeat(count)});
    let cases = [
        (with("title", words(25)), "must be less than 25 characters [json-pointer:/view/title/text]"),
        (with("submit", words(25)), "must be less than 25 characters [json-pointer:/view/submit/text]"),
        (with("submit", Value::Null), "missing required field: submit [json-pointer:/view]"),
        (
            with("private_metadata", json!("x".repeat(3001))),
            "must be less than 3001 characters [json-pointer:/view/private_metadata]",
        ),
        (
            with("callback_id", json!("x".repeat(256))),
            "must be less than 256 characters [json-pointer:/view/callback_id]",
        ),
        (
            with("blocks", json!(vec![json!({"type": "divider"}); 101])),
            "no more than 100 items allowed [json-pointer:/view/blocks]",
        ),
        (with("colour", json!("red")), "invalid additional property: colour [json-pointer:/view]"),
    ];
    for (view, fault) in cases {
        let answer = app.call("views.open", json!({"trigger_id": trigger, "view": view})).await?;
        assert_eq!(error(&answer), "invalid_arguments", "{fault}");
        let messages = answer["response_metadata"]["messages"].as_array().cloned().unwrap_or_default();
        assert!(messages.contains(&json!(format!("[ERROR] {fault}"))), "{fault}: {messages:?}");
    }
    Ok(())
}
