//! `chat.*` and what is read back.

use serde_json::json;

use super::{Failure, app::App};

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_posted_changed_and_deleted() -> Result<(), Failure> {
    let app = App::new().await?;
    let who = app.get("auth.test", &[]).await?;
    assert_eq!(who["user_id"], "U0BOT0001");
    let ts = app.post("C0GEN0001", "one").await?;
    let updated = app.call("chat.update", json!({"channel": "C0GEN0001", "ts": ts, "text": "two"})).await?;
    assert_eq!(updated["ts"], ts.as_str());
    assert_eq!(app.control.messages("C0GEN0001", None).await?[0].text, "two");
    let deleted = app.call("chat.delete", json!({"channel": "C0GEN0001", "ts": ts})).await?;
    assert_eq!(deleted["ok"], true);
    assert!(app.control.messages("C0GEN0001", None).await?.is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_envelope_that_is_not_acknowledged_comes_again() -> Result<(), Failure> {
    let app = App::quick().await?;
    let mut link = app.link().await?;
    app.control.dm("U0ANA0001", "hello").await?;
    let first = link.next().await?;
    let second = link.take().await?;
    assert_eq!(first["payload"]["event_id"], second["payload"]["event_id"]);
    assert_eq!(second["retry_attempt"], 1);
    assert_eq!(second["retry_reason"], "timeout");
    Ok(())
}
