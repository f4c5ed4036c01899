//! Whom a post would ring.

use serde_json::{Value, json};

use super::{Failure, app::App};

#[tokio::test(flavor = "multi_thread")]
async fn what_rings_and_what_does_not() -> Result<(), Failure> {
    let app = App::new().await?;
    let marked = |kind: &str| json!([{"type": "section", "text": {"type": kind, "text": "<!here> <@U1|x>"}}]);
    let rich = |element: Value| json!([{"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": [element]}]}]);
    let cases: &[(Value, &[&str])] = &[
        (json!({"text": "<!channel> and <!here|here>"}), &["!channel", "!here"]),
        (json!({"text": "<@U0ANA0001>"}), &["@U0ANA0001"]),
        (json!({"text": "<!subteam^S1>"}), &["!subteam^S1"]),
        (json!({"text": "&lt;!channel&gt; &lt;@U1&gt; <https://a.test|@here>"}), &[]),
        (json!({"text": "@here @ana"}), &[]),
        (json!({"text": "@here @ana @nobody", "link_names": true}), &["@here", "@ana"]),
        (json!({"text": "@channel", "parse": "full"}), &["@channel"]),
        (json!({"text": "x", "blocks": marked("mrkdwn")}), &["!here", "@U1"]),
        (json!({"text": "x", "blocks": marked("plain_text")}), &[]),
        (json!({"text": "x", "blocks": [{"type": "markdown", "text": "<!channel>"}]}), &["!channel"]),
        (
            json!({"text": "x", "blocks": rich(json!({"type": "broadcast", "range": "channel"}))}),
            &["!channel"],
        ),
        (json!({"text": "x", "blocks": rich(json!({"type": "user", "user_id": "U1"}))}), &["@U1"]),
        (
            json!({"text": "x", "blocks": rich(json!({"type": "usergroup", "usergroup_id": "S1"}))}),
            &["!subteam^S1"],
        ),
        (json!({"text": "x", "blocks": rich(json!({"type": "text", "text": "@here"}))}), &[]),
    ];
    for (body, rings) in cases {
        let mut body = body.clone();
        body["channel"] = json!("C0GEN0001");
        let posted = app.call("chat.postMessage", body.clone()).await?;
        let ts = posted["ts"].as_str().ok_or_else(|| posted.to_string())?;
        let message = app.control.messages("C0GEN0001", Some(ts)).await?.remove(0);
        assert_eq!(message.rings, *rings, "{body}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn links_make_previews_unless_that_is_switched_off() -> Result<(), Failure> {
    let app = App::new().await?;
    for (body, unfurls) in [
        (json!({"channel": "C0GEN0001", "text": "https://a.test"}), true),
        (json!({"channel": "C0GEN0001", "text": "https://a.test", "unfurl_links": false}), false),
        (json!({"channel": "C0GEN0001", "text": "no link"}), false),
    ] {
        let posted = app.call("chat.postMessage", body).await?;
        let ts = posted["ts"].as_str().unwrap_or_default();
        assert_eq!(app.control.messages("C0GEN0001", Some(ts)).await?[0].unfurls, unfurls);
    }
    Ok(())
}
