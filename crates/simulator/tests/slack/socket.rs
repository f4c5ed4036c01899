//! Socket Mode.

use super::{Failure, app::App};

#[tokio::test(flavor = "multi_thread")]
async fn a_mention_comes_as_a_message_and_as_a_mention() -> Result<(), Failure> {
    let app = App::new().await?;
    let mut link = app.link().await?;
    let said = app.control.say("U0ANA0001", "C0GEN0001", "hello <@U0BOT0001> & <b>").await?;
    let message = link.take().await?;
    let mention = link.take().await?;
    assert_eq!(message["type"], "events_api");
    assert_eq!(message["retry_attempt"], 0);
    let event = &message["payload"]["event"];
    assert_eq!(event["type"], "message");
    assert_eq!(event["text"], "hello <@U0BOT0001> &amp; &lt;b&gt;");
    assert_eq!(event["ts"], said.ts.as_str());
    assert_eq!(event["channel_type"], "channel");
    let second = &mention["payload"]["event"];
    assert_eq!(second["type"], "app_mention");
    assert_eq!(second["ts"], event["ts"]);
    assert_eq!(second["client_msg_id"], event["client_msg_id"]);
    assert_ne!(message["payload"]["event_id"], mention["payload"]["event_id"]);
    Ok(())
}
