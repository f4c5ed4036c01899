//! Streams of text, and the assistant.

use serde_json::json;

use super::{
    Failure,
    app::{App, error},
};

#[tokio::test(flavor = "multi_thread")]
async fn text_is_streamed_and_finished() -> Result<(), Failure> {
    let app = App::new().await?;
    let root = app.control.say("U0ANA0001", "C0GEN0001", "hi").await?.ts;
    let mut body = json!({"channel": "C0GEN0001", "thread_ts": root, "markdown_text": "**a"});
    assert_eq!(error(&app.call("chat.startStream", body.clone()).await?), "missing_recipient_team_id");
    body["recipient_team_id"] = json!("T0SIM0001");
    assert_eq!(error(&app.call("chat.startStream", body.clone()).await?), "missing_recipient_user_id");
    body["recipient_user_id"] = json!("U0ANA0001");
    let ts = app.call("chat.startStream", body).await?["ts"].clone();
    let next = json!({"channel": "C0GEN0001", "ts": ts, "markdown_text": "b**"});
    assert_eq!(app.call("chat.appendStream", next.clone()).await?["ok"], true);
    let streamed = app.control.messages("C0GEN0001", Some(&root)).await?.pop().ok_or("no message")?;
    assert_eq!((streamed.text.as_str(), streamed.streaming), ("**ab**", Some(true)));
    let last = json!({"channel": "C0GEN0001", "ts": ts, "markdown_text": "!",
        "metadata": {"event_type": "t", "event_payload": {}}, "blocks": [{"type": "divider"}]});
    let stopped = app.call("chat.stopStream", last).await?;
    assert_eq!(stopped["message"]["text"], "**ab**!");
    let whole = app.control.messages("C0GEN0001", Some(&root)).await?.pop().ok_or("no message")?;
    assert_eq!((whole.streaming, whole.blocks.len()), (Some(false), 2));
    assert!(whole.metadata.is_some());
    assert_eq!(error(&app.call("chat.appendStream", next).await?), "message_not_in_streaming_state");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_needs_a_thread_and_the_methods_may_be_missing() -> Result<(), Failure> {
    let app = App::new().await?;
    let dm = app.control.dm("U0ANA0001", "hi").await?;
    assert_eq!(
        error(&app.call("chat.startStream", json!({"channel": dm.channel})).await?),
        "invalid_arguments"
    );
    let body = json!({"channel": dm.channel, "thread_ts": dm.ts});
    let ts = app.call("chat.startStream", body.clone()).await?["ts"].clone();
    app.control.expire("streams").await?;
    let next = json!({"channel": dm.channel, "ts": ts, "markdown_text": "x"});
    assert_eq!(error(&app.call("chat.appendStream", next).await?), "message_not_in_streaming_state");
    app.control.set(json!({"streaming": false})).await?;
    assert_eq!(error(&app.call("chat.startStream", body).await?), "unknown_method");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_assistant_shows_status_title_and_prompts() -> Result<(), Failure> {
    let app = App::new().await?;
    let opened = app.control.assistant_open("U0ANA0001").await?;
    let place = json!({"channel_id": opened.channel, "thread_ts": opened.ts});
    let with = |name: &str, value: serde_json::Value| {
        let mut body = place.clone();
        body[name] = value;
        body
    };
    app.call("assistant.threads.setStatus", with("status", json!("is thinking…"))).await?;
    assert_eq!(app.control.status(&opened.channel, &opened.ts).await?.as_deref(), Some("is thinking…"));
    app.call("chat.postMessage", json!({"channel": opened.channel, "thread_ts": opened.ts, "text": "done"}))
        .await?;
    assert_eq!(
        app.control.status(&opened.channel, &opened.ts).await?,
        None,
        "an answer takes the status away"
    );
    app.call("assistant.threads.setTitle", with("title", json!("Refunds"))).await?;
    assert_eq!(app.control.title(&opened.channel, &opened.ts).await?.as_deref(), Some("Refunds"));
    let prompts = json!([{"title": "a", "message": "b"}]);
    app.call("assistant.threads.setSuggestedPrompts", with("prompts", prompts)).await?;
    assert!(app.control.prompts(&opened.channel, &opened.ts).await?.is_some());

    let said = app.control.say("U0ANA0001", "C0GEN0001", "hi").await?;
    let body = json!({"channel_id": "C0GEN0001", "thread_ts": said.ts, "status": "works"});
    app.call("assistant.threads.setStatus", body).await?;
    assert_eq!(app.control.status("C0GEN0001", &said.ts).await?.as_deref(), Some("works"));
    let body = json!({"channel_id": "C0GEN0001", "thread_ts": said.ts, "status": ""});
    app.call("assistant.threads.setStatus", body).await?;
    assert_eq!(app.control.status("C0GEN0001", &said.ts).await?, None);
    let body = json!({"channel_id": "C0GEN0001", "thread_ts": said.ts, "title": "x"});
    assert_eq!(error(&app.call("assistant.threads.setTitle", body).await?), "invalid_thread_ts");
    let body = json!({"channel_id": "C0GEN0001", "thread_ts": "1.000001", "status": "x"});
    assert_eq!(error(&app.call("assistant.threads.setStatus", body).await?), "invalid_thread_ts");
    Ok(())
}
