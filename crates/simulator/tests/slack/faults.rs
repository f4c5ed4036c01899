//! Faults that are played on calls.

use serde_json::{Value, json};

use super::{
    Failure,
    app::{App, error},
};

async fn texts(app: &App) -> Result<Vec<String>, Failure> {
    let messages = app.control.messages("C0GEN0001", None).await?;
    Ok(messages.into_iter().map(|message| message.text).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_acts_and_is_not_answered_or_does_not_even_act() -> Result<(), Failure> {
    let app = App::new().await?;
    let post = |text: &str| json!({"channel": "C0GEN0001", "text": text});
    app.control.fault("chat.postMessage", json!("drop_response"), 1, 0).await?;
    assert!(app.call("chat.postMessage", post("one")).await.is_err());
    app.control.fault("chat.postMessage", json!("drop_request"), 1, 0).await?;
    assert!(app.call("chat.postMessage", post("two")).await.is_err());
    app.control.fault("chat.postMessage", json!("garbage"), 1, 0).await?;
    assert!(app.call("chat.postMessage", post("three")).await.is_err());
    app.control.fault("chat.postMessage", json!({"delay_ms": 1}), 1, 0).await?;
    assert_eq!(app.call("chat.postMessage", post("four")).await?["ok"], true);
    assert_eq!(texts(&app).await?, ["one", "three", "four"]);
    let calls = app.control.calls(Some("chat.postMessage")).await?;
    assert_eq!(calls.iter().map(|call| call.fault.is_some()).collect::<Vec<_>>(), [true; 4]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_refused_as_wanted_when_its_turn_comes() -> Result<(), Failure> {
    let app = App::new().await?;
    app.control.fault("*", json!({"error": "fatal_error"}), 2, 1).await?;
    assert_eq!(app.call("auth.test", json!({})).await?["ok"], true);
    assert_eq!(error(&app.call("auth.test", json!({})).await?), "fatal_error");
    let post = json!({"channel": "C0GEN0001", "text": "x"});
    assert_eq!(error(&app.call("chat.postMessage", post.clone()).await?), "fatal_error");
    assert_eq!(app.call("auth.test", json!({})).await?["ok"], true);
    for (kind, status) in [(json!({"status": 503}), 503), (json!({"rate_limit": 7}), 429)] {
        app.control.fault("chat.postMessage", kind, 1, 0).await?;
        let request = app.http.post(format!("{}/chat.postMessage", app.slack.api()));
        let request = request.header("content-type", "application/json").bearer_auth(app.slack.bot_token());
        let answer = request.body(post.to_string()).send().await?;
        assert_eq!(answer.status(), status);
        if status == 429 {
            assert_eq!(answer.headers()["retry-after"], "7");
            let body: Value = serde_json::from_str(&answer.text().await?)?;
            assert_eq!(error(&body), "ratelimited");
        }
    }
    assert!(texts(&app).await?.is_empty());
    app.control.fault("*", json!({"status": 500}), 100, 0).await?;
    app.control.clear_faults().await?;
    assert_eq!(app.call("auth.test", json!({})).await?["ok"], true);
    assert!(app.control.fault("*", json!("earthquake"), 1, 0).await.is_err());
    Ok(())
}
