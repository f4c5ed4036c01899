//! Clicks, shortcuts, slash commands, response URLs.

use serde_json::{Value, json};
use simulator::slack::{Click, Message};

use super::{
    Failure,
    app::{App, Link, eventually},
};

/// A card with two buttons; its first event is taken.
async fn card(app: &App, link: &mut Link) -> Result<Message, Failure> {
    let button = |id: &str| json!({"type": "button", "action_id": id, "text": {"type": "plain_text", "text": id}, "value": format!("v-{id}")});
    let body = json!({"channel": "C0GEN0001", "text": "card", "blocks": [
        {"type": "actions", "block_id": "ask", "elements": [button("yes"), button("no")]}]});
    app.call("chat.postMessage", body).await?;
    link.take().await?;
    Ok(app.control.messages("C0GEN0001", None).await?.pop().ok_or("no message")?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_click_tells_everything() -> Result<(), Failure> {
    let app = App::new().await?;
    let mut link = app.link().await?;
    let message = card(&app, &mut link).await?;
    assert_eq!(message.button("no").as_deref(), Some("no"));
    let trigger = app.control.click(&Click::on("U0BEN0001", &message, "no")).await?;
    let envelope = link.take().await?;
    assert_eq!(envelope["type"], "interactive");
    assert_eq!(envelope["accepts_response_payload"], true);
    assert!(envelope.get("retry_attempt").is_none());
    let payload = &envelope["payload"];
    assert_eq!(payload["type"], "block_actions");
    assert_eq!(
        payload["user"],
        json!({"id": "U0BEN0001", "username": "ben", "name": "ben", "team_id": "T0SIM0001"})
    );
    assert_eq!(payload["trigger_id"], trigger);
    assert_eq!(payload["container"]["message_ts"], message.ts.as_str());
    assert_eq!(payload["message"]["text"], "card");
    assert_eq!(payload["channel"], json!({"id": "C0GEN0001", "name": "general"}));
    let action = &payload["actions"][0];
    assert_eq!((action["action_id"].as_str(), action["block_id"].as_str()), (Some("no"), Some("ask")));
    assert_eq!((action["value"].as_str(), action["type"].as_str()), (Some("v-no"), Some("button")));

    let by_block =
        Click { action_id: None, block_id: Some("ask".to_owned()), ..Click::on("U0ANA0001", &message, "") };
    app.control.click(&by_block).await?;
    assert_eq!(link.take().await?["payload"]["actions"][0]["action_id"], "yes");
    assert!(app.control.click(&Click::on("U0ANA0001", &message, "maybe")).await.is_err());
    let forged = Click {
        value: Some("stale".to_owned()),
        as_message: Some(json!({"ts": message.ts, "text": "old"})),
        ..Click::on("U0ANA0001", &message, "maybe")
    };
    app.control.click(&forged).await?;
    let stale = link.take().await?["payload"].clone();
    assert_eq!(
        (stale["actions"][0]["value"].as_str(), stale["message"]["text"].as_str()),
        (Some("stale"), Some("old"))
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_click_that_is_not_acknowledged_is_not_repeated_and_the_person_sees_it() -> Result<(), Failure> {
    let app = App::quick().await?;
    let mut link = app.link().await?;
    let message = card(&app, &mut link).await?;
    app.control.click(&Click::on("U0ANA0001", &message, "yes")).await?;
    link.next().await?;
    eventually(async || Ok(app.control.mishaps().await?.len() == 1)).await?;
    assert_eq!(app.control.mishaps().await?[0]["error"], "operation_timeout");
    let click = app.control.deliveries().await?.pop().ok_or("no delivery")?;
    assert!(click.lost && click.attempts.len() == 1);
    Ok(())
}

async fn respond(app: &App, url: &Value, body: Value) -> Result<u16, Failure> {
    let request = app.http.post(url.as_str().unwrap_or_default()).header("content-type", "application/json");
    Ok(request.body(body.to_string()).send().await?.status().as_u16())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_url_answers_five_times() -> Result<(), Failure> {
    let app = App::new().await?;
    let mut link = app.link().await?;
    let message = card(&app, &mut link).await?;
    app.control.click(&Click::on("U0ANA0001", &message, "yes")).await?;
    let url = link.take().await?["payload"]["response_url"].clone();
    assert_eq!(respond(&app, &url, json!({"text": "done", "replace_original": true})).await?, 200);
    assert_eq!(app.control.messages("C0GEN0001", None).await?[0].text, "done");
    assert_eq!(respond(&app, &url, json!({"text": "psst"})).await?, 200);
    assert_eq!(app.control.messages("C0GEN0001", None).await?[1].ephemeral_to.as_deref(), Some("U0ANA0001"));
    assert_eq!(respond(&app, &url, json!({"text": "all", "response_type": "in_channel"})).await?, 200);
    assert_eq!(respond(&app, &url, json!({})).await?, 400);
    assert_eq!(respond(&app, &url, json!({"delete_original": true})).await?, 200);
    assert_eq!(respond(&app, &url, json!({"text": "five"})).await?, 200);
    assert_eq!(respond(&app, &url, json!({"text": "six"})).await?, 404);
    let texts: Vec<String> =
        app.control.messages("C0GEN0001", None).await?.into_iter().map(|it| it.text).collect();
    assert_eq!(texts, ["psst", "all", "five"]);
    app.control.click(&Click::on("U0ANA0001", &card(&app, &mut link).await?, "yes")).await?;
    loop {
        let envelope = link.take().await?;
        if envelope["type"] == "interactive" {
            app.control.expire("response_urls").await?;
            assert_eq!(respond(&app, &envelope["payload"]["response_url"], json!({"text": "x"})).await?, 404);
            return Ok(());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ephemeral_card_is_replaced_through_its_response_url() -> Result<(), Failure> {
    let app = App::new().await?;
    let mut link = app.link().await?;
    let body = json!({"channel": "C0GEN0001", "user": "U0ANA0001", "text": "card", "blocks": [{"type": "actions", "elements": [
        {"type": "button", "action_id": "a", "text": {"type": "plain_text", "text": "a"}}]}]});
    app.call("chat.postEphemeral", body).await?;
    let message = app.control.messages("C0GEN0001", None).await?.remove(0);
    assert!(app.control.click(&Click::on("U0BEN0001", &message, "a")).await.is_err(), "others do not see it");
    app.control.click(&Click::on("U0ANA0001", &message, "a")).await?;
    let payload = link.take().await?["payload"].clone();
    assert_eq!(payload["container"]["is_ephemeral"], true);
    assert!(payload.get("message").is_none());
    respond(&app, &payload["response_url"], json!({"text": "new", "replace_original": true})).await?;
    assert_eq!(app.control.messages("C0GEN0001", None).await?[0].text, "new");
    respond(&app, &payload["response_url"], json!({"delete_original": true})).await?;
    assert!(app.control.messages("C0GEN0001", None).await?.is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slash_command_is_answered_at_once_or_times_out() -> Result<(), Failure> {
    let app = App::quick().await?;
    app.control.time_scale(10.0).await?;
    let mut link = app.link().await?;
    let control = app.control.clone();
    let asked = tokio::spawn(async move { control.command("U0ANA0001", "C0GEN0001", "/ask", "a  b").await });
    let envelope = link.next().await?;
    assert_eq!(envelope["type"], "slash_commands");
    let payload = &envelope["payload"];
    assert_eq!((payload["command"].as_str(), payload["text"].as_str()), (Some("/ask"), Some("a  b")));
    assert_eq!(
        (payload["user_id"].as_str(), payload["channel_name"].as_str()),
        (Some("U0ANA0001"), Some("general"))
    );
    link.ack(&envelope, Some(json!({"text": "on it"}))).await?;
    assert_eq!(asked.await??["response"]["text"], "on it");
    let message = app.control.messages("C0GEN0001", None).await?.remove(0);
    assert_eq!((message.text.as_str(), message.ephemeral_to.as_deref()), ("on it", Some("U0ANA0001")));
    app.control.time_scale(0.01).await?;
    let late = app.control.command("U0ANA0001", "C0GEN0001", "/ask", "").await?;
    assert_eq!(late["acked"], false);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shortcut_brings_the_message() -> Result<(), Failure> {
    let app = App::new().await?;
    let said = app.control.say("U0ANA0001", "C0GEN0001", "look").await?;
    let mut link = app.link().await?;
    let trigger = app.control.shortcut("U0BEN0001", "C0GEN0001", &said.ts, "ask_agent").await?;
    loop {
        let envelope = link.take().await?;
        if envelope["type"] == "interactive" {
            let payload = &envelope["payload"];
            assert_eq!(
                (payload["type"].as_str(), payload["callback_id"].as_str()),
                (Some("message_action"), Some("ask_agent"))
            );
            assert_eq!(payload["message"]["text"], "look");
            assert_eq!(payload["trigger_id"], trigger);
            return Ok(());
        }
    }
}
