//! Commands, clicks, choices, modals, and how they are answered.

use std::time::Duration;

use serde_json::{Value, json};
use simulator::discord::{
    Click, Message,
    options::{ANA, APP, BEN, BOSS, GENERAL, GUILD},
};

use super::{Failure, app::App};

const WITHIN: Duration = Duration::from_secs(10);

/// A card with two buttons and a menu.
async fn card(app: &App) -> Result<Message, Failure> {
    let button = |id: &str| json!({"type": 2, "style": 1, "custom_id": id, "label": id.to_uppercase()});
    let option = |id: &str| json!({"label": id, "value": id});
    let menu =
        json!({"type": 3, "custom_id": "menu", "options": [option("a"), option("b")], "max_values": 2});
    let body = json!({"content": "card", "components": [
        {"type": 1, "components": [button("yes"), button("no")]},
        {"type": 1, "components": [menu]}]});
    app.post(GENERAL, body).await?;
    Ok(app.control.messages(GENERAL).await?.pop().ok_or("no message")?)
}

async fn answer(app: &App, interaction: &Value, body: Value) -> Result<super::app::Answer, Failure> {
    let text = |name: &str| interaction[name].as_str().unwrap_or_default();
    app.call_as("", "POST", &format!("/interactions/{}/{}/callback", text("id"), text("token")), body).await
}

fn hook(interaction: &Value, more: &str) -> String {
    format!("/webhooks/{APP}/{}{more}", interaction["token"].as_str().unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_click_tells_everything_and_changes_its_card() -> Result<(), Failure> {
    let app = App::new().await?;
    let message = card(&app).await?;
    let mut link = app.link().await?;
    assert_eq!(message.button("NO").as_deref(), Some("no"));
    let id = app.control.click(&Click::on(BEN, &message, "no")).await?;
    let click = link.event("INTERACTION_CREATE").await?;
    assert_eq!((click["id"].as_str(), click["type"].as_u64()), (Some(id.as_str()), Some(3)));
    assert_eq!(click["data"]["custom_id"], "no");
    assert_eq!(click["member"]["roles"], json!([BOSS]));
    assert!(click["member"]["permissions"].is_string() && click["app_permissions"].is_string());
    assert_eq!(
        (click["message"]["id"].as_str(), click["guild_id"].as_str()),
        (Some(message.id.as_str()), Some(GUILD))
    );
    let done =
        answer(&app, &click, json!({"type": 7, "data": {"content": "done", "components": []}})).await?;
    assert_eq!(done.status, 204);
    assert_eq!(link.event("MESSAGE_UPDATE").await?["content"], "done");
    let again = answer(&app, &click, json!({"type": 6})).await?;
    assert_eq!(again.code(), (400, 40060));
    assert_eq!(app.control.outcome(&id, WITHIN).await?.state, "answered");
    assert!(app.control.click(&Click::on(BEN, &message, "no")).await.is_err(), "the button is gone");
    let stale = Click { as_message: Some(json!({"id": message.id})), ..Click::on(BEN, &message, "no") };
    app.control.click(&stale).await?;
    assert_eq!(link.event("INTERACTION_CREATE").await?["data"]["custom_id"], "no");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_choice_is_one_of_the_options() -> Result<(), Failure> {
    let app = App::new().await?;
    let message = card(&app).await?;
    let mut link = app.link().await?;
    let choose = |values: &[&str]| Click {
        values: values.iter().map(|&value| value.to_owned()).collect(),
        ..Click::on(ANA, &message, "menu")
    };
    app.control.click(&choose(&["a", "b"])).await?;
    assert_eq!(link.event("INTERACTION_CREATE").await?["data"]["values"], json!(["a", "b"]));
    assert!(app.control.click(&choose(&["c"])).await.is_err());
    assert!(app.control.click(&choose(&[])).await.is_err());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_answer_has_failed() -> Result<(), Failure> {
    let app = App::quick().await?;
    let message = card(&app).await?;
    let mut link = app.link().await?;
    let id = app.control.click(&Click::on(ANA, &message, "yes")).await?;
    let click = link.event("INTERACTION_CREATE").await?;
    assert_eq!(app.control.outcome(&id, WITHIN).await?.state, "failed");
    assert_eq!(app.control.mishaps().await?[0]["error"], "This interaction failed");
    assert_eq!(answer(&app, &click, json!({"type": 6})).await?.code(), (404, 10062));
    assert_eq!(app.call("POST", &hook(&click, ""), json!({"content": "x"})).await?.code(), (404, 10015));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_is_deferred_answered_and_followed() -> Result<(), Failure> {
    let app = App::new().await?;
    let mut link = app.link().await?;
    let option = |name: &str, kind: u64, required: bool| json!({"name": name, "description": "d", "type": kind, "required": required});
    let commands = json!([
        {"name": "ask", "description": "Ask", "options": [option("what", 3, true), option("whom", 6, false)]},
        {"name": "Look at it", "type": 3}]);
    let path = format!("/applications/{APP}/commands");
    let put = app.call("PUT", &path, commands.clone()).await?.ok()?;
    let again = app.call("PUT", &path, commands).await?.ok()?;
    assert_eq!(put[0]["id"], again[0]["id"]);
    assert_eq!(app.get(&path).await?.ok()?.as_array().map(Vec::len), Some(2));
    assert!(app.control.command(ANA, GENERAL, "ask", json!({})).await.is_err(), "an option is required");
    app.control.command(ANA, GENERAL, "/ask", json!({"what": "why", "whom": BEN})).await?;
    let asked = link.event("INTERACTION_CREATE").await?;
    assert_eq!(asked["data"]["options"][0], json!({"name": "what", "type": 3, "value": "why"}));
    assert_eq!(asked["data"]["resolved"]["users"][BEN]["username"], "ben");
    answer(&app, &asked, json!({"type": 5, "data": {"flags": 64}})).await?.ok()?;
    let thinks = app.control.messages_for(ANA, GENERAL).await?.pop().ok_or("nothing")?;
    assert!(thinks.loading && thinks.ephemeral_to.as_deref() == Some(ANA));
    assert!(app.control.messages_for(BEN, GENERAL).await?.is_empty());
    let original = hook(&asked, "/messages/@original");
    let edited = app.call_as("", "PATCH", &original, json!({"content": "because"}));
    assert_eq!(edited.await?.ok()?["content"], "because");
    assert!(!app.control.messages(GENERAL).await?[0].loading);
    let more = app.call_as("", "POST", &hook(&asked, ""), json!({"content": "and more"})).await?.ok()?;
    let one = format!("/messages/{}", more["id"].as_str().unwrap_or_default());
    assert_eq!(app.get(&hook(&asked, &one)).await?.ok()?["content"], "and more");
    assert_eq!(app.call("DELETE", &hook(&asked, &one), Value::Null).await?.status, 204);
    app.control.expire("interactions").await?;
    assert_eq!(app.get(&hook(&asked, "/messages/@original")).await?.code(), (401, 50027));
    let said = app.control.say(ANA, GENERAL, "look here").await?;
    app.control.shortcut(BEN, GENERAL, &said.id, "Look at it").await?;
    link.event("MESSAGE_CREATE").await?;
    // The follow-up that was not for one person alone had come before it.
    link.event("MESSAGE_DELETE").await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_modal_is_opened_filled_in_and_sent_off() -> Result<(), Failure> {
    let app = App::new().await?;
    let message = card(&app).await?;
    let mut link = app.link().await?;
    app.control.click(&Click::on(ANA, &message, "yes")).await?;
    let click = link.event("INTERACTION_CREATE").await?;
    let input = |id: &str| json!({"type": 4, "custom_id": id, "style": 1, "label": "Why", "max_length": 10});
    let modal = json!({"custom_id": "form", "title": "Why?", "components": [
        {"type": 1, "components": [input("why")]},
        {"type": 18, "label": "How", "component": {"type": 4, "custom_id": "how", "style": 2, "required": false}}]});
    let wrong = json!({"type": 9, "data": {"custom_id": "form", "title": "t".repeat(46), "components": []}});
    assert_eq!(answer(&app, &click, wrong).await?.code(), (400, 50035));
    answer(&app, &click, json!({"type": 9, "data": modal})).await?.ok()?;
    assert_eq!(app.control.view(ANA).await?.ok_or("no modal")?["title"], "Why?");
    assert_eq!(app.control.submit(ANA, &[("why", "far too long a text")]).await?.outcome, "refused");
    assert_eq!(app.control.submit(ANA, &[]).await?.outcome, "refused");
    let sent = app.control.submit(ANA, &[("why", "so"), ("how", "thus")]).await?;
    assert_eq!(sent.outcome, "sent");
    let submitted = link.event("INTERACTION_CREATE").await?;
    assert_eq!(
        (submitted["type"].as_u64(), submitted["data"]["custom_id"].as_str()),
        (Some(5), Some("form"))
    );
    assert_eq!(submitted["data"]["components"][0]["components"][0]["value"], "so");
    assert_eq!(submitted["data"]["components"][1]["component"]["value"], "thus");
    assert_eq!(submitted["message"]["id"], message.id);
    answer(&app, &submitted, json!({"type": 7, "data": {"content": "thanks"}})).await?.ok()?;
    assert_eq!(app.control.messages(GENERAL).await?[0].text, "thanks");
    assert!(app.control.view(ANA).await?.is_none());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_menu_of_a_modal_is_chosen_from() -> Result<(), Failure> {
    let app = App::new().await?;
    let message = card(&app).await?;
    let mut link = app.link().await?;
    app.control.click(&Click::on(ANA, &message, "yes")).await?;
    let click = link.event("INTERACTION_CREATE").await?;
    let option = |value: &str, stands: bool| json!({"label": value, "value": value, "default": stands});
    let menu = |id: &str, stands: &[bool], more: Value| {
        let options: Vec<Value> =
            ["a", "b, c", "d"].iter().zip(stands).map(|(value, stands)| option(value, *stands)).collect();
        let mut menu = json!({"type": 3, "custom_id": id, "options": options});
        if let (Some(menu), Some(more)) = (menu.as_object_mut(), more.as_object()) {
            menu.extend(more.clone());
        }
        json!({"type": 18, "label": id, "component": menu})
    };
    let modal = |parts: Value| json!({"type": 9, "data": {"custom_id": "form", "title": "Which?", "components": parts}});
    for (menu, why) in [
        (menu("one", &[true, true, false], json!({})), "more stand there than may be chosen"),
        (menu("one", &[false; 3], json!({"min_values": 0})), "none, where one is required"),
        (menu("one", &[false; 3], json!({"disabled": true})), "disabled"),
    ] {
        assert_eq!(answer(&app, &click, modal(json!([menu]))).await?.code(), (400, 50035), "{why}");
    }
    let two = json!({"required": false, "min_values": 0, "max_values": 2});
    let parts = [menu("one", &[false; 3], json!({})), menu("some", &[true, false, true], two)];
    answer(&app, &click, modal(json!(parts))).await?.ok()?;
    for filled in [&[][..], &[("one", "e")], &[("one", "a\nd")], &[("one", "a"), ("some", "a\nb, c\nd")]] {
        assert_eq!(app.control.submit(ANA, filled).await?.outcome, "refused", "{filled:?}");
    }
    assert_eq!(app.control.submit(ANA, &[("one", "b, c")]).await?.outcome, "sent");
    let submitted = link.event("INTERACTION_CREATE").await?;
    assert_eq!(submitted["data"]["components"][0]["component"]["values"], json!(["b, c"]));
    assert_eq!(submitted["data"]["components"][1]["component"]["values"], json!(["a", "d"]));
    Ok(())
}
