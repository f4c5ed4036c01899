//! `chat.*`

use serde_json::{Value, json};

use super::{
    Failure,
    app::{App, error},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_posted_changed_and_deleted() -> Result<(), Failure> {
    let app = App::new().await?;
    let mut link = app.link().await?;
    let metadata = json!({"event_type": "delivery", "event_payload": {"key": "k1"}});
    let post = json!({"channel": "C0GEN0001", "text": "one", "metadata": metadata,
        "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "*one*"}}]});
    let posted = app.call("chat.postMessage", post).await?;
    let ts = posted["ts"].as_str().unwrap_or_default().to_owned();
    assert_eq!(posted["channel"], "C0GEN0001");
    assert_eq!(posted["message"]["bot_id"], "B0BOT0001");
    assert_eq!(posted["message"]["app_id"], "A0SIM0001");
    assert_eq!(posted["message"]["user"], "U0BOT0001");
    let own = link.take().await?;
    assert_eq!(own["payload"]["event"]["bot_id"], "B0BOT0001");
    assert!(own["payload"]["event"].get("subtype").is_none());
    assert!(own["payload"]["event"].get("metadata").is_none(), "metadata has to be read");

    let update = json!({"channel": "C0GEN0001", "ts": ts, "text": "two"});
    let updated = app.call("chat.update", update).await?;
    assert_eq!((updated["ts"].as_str(), updated["text"].as_str()), (Some(ts.as_str()), Some("two")));
    let changed = link.take().await?["payload"]["event"].clone();
    assert_eq!(changed["subtype"], "message_changed");
    assert_eq!(changed["message"]["text"], "two");
    assert_eq!(changed["previous_message"]["text"], "one");
    assert_ne!(changed["ts"], ts.as_str());
    let kept = app.control.messages("C0GEN0001", None).await?.remove(0);
    assert_eq!(kept.ts, ts);
    assert!(kept.blocks.is_empty(), "text alone takes the blocks away");
    assert_eq!(kept.metadata, Some(metadata));
    assert!(kept.edited.is_some());
    app.call("chat.update", json!({"channel": "C0GEN0001", "ts": ts, "text": "three", "metadata": {}}))
        .await?;
    assert_eq!(app.control.messages("C0GEN0001", None).await?[0].metadata, None);
    link.take().await?;

    let deleted = app.call("chat.delete", json!({"channel": "C0GEN0001", "ts": ts})).await?;
    assert_eq!(deleted["ts"], ts.as_str());
    let gone = link.take().await?["payload"]["event"].clone();
    assert_eq!(
        (gone["subtype"].as_str(), gone["deleted_ts"].as_str()),
        (Some("message_deleted"), Some(ts.as_str()))
    );
    assert!(app.control.messages("C0GEN0001", None).await?.is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_posted() -> Result<(), Failure> {
    let app = App::new().await?;
    let long = "x".repeat(40_001);
    app.control.archive("C0OPS0001", true).await?;
    let cases: &[(Value, &str)] = &[
        (json!({"text": "x"}), "invalid_arguments"),
        (json!({"channel": "C0NONE", "text": "x"}), "channel_not_found"),
        (json!({"channel": "G0PRV0001", "text": "x"}), "channel_not_found"),
        (json!({"channel": "C0PUB0001", "text": "x"}), "not_in_channel"),
        (json!({"channel": "C0OPS0001", "text": "x"}), "is_archived"),
        (json!({"channel": "C0GEN0001"}), "no_text"),
        (json!({"channel": "C0GEN0001", "text": ""}), "no_text"),
        (json!({"channel": "C0GEN0001", "text": long}), "msg_too_long"),
        (json!({"channel": "C0GEN0001", "blocks": "{"}), "invalid_blocks_format"),
        (json!({"channel": "C0GEN0001", "blocks": {}}), "invalid_blocks_format"),
        (
            json!({"channel": "C0GEN0001", "text": "x", "metadata": {"event_type": "y"}}),
            "invalid_metadata_format",
        ),
        (json!({"channel": "C0GEN0001", "text": "x", "thread_ts": "abc"}), "invalid_thread_ts"),
        (json!({"channel": "C0GEN0001", "text": "x", "thread_ts": "1.000001"}), "thread_not_found"),
    ];
    for (body, code) in cases {
        assert_eq!(error(&app.call("chat.postMessage", body.clone()).await?), *code, "{code}");
    }
    assert!(app.control.messages("C0GEN0001", None).await?.is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_stands_for_the_conversation_with_them() -> Result<(), Failure> {
    let app = App::new().await?;
    let posted = app.call("chat.postMessage", json!({"channel": "U0ANA0001", "text": "x"})).await?;
    let opened = app.call("conversations.open", json!({"users": "U0ANA0001"})).await?;
    assert_eq!(posted["channel"], opened["channel"]["id"]);
    assert!(posted["channel"].as_str().is_some_and(|id| id.starts_with('D')));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn only_own_messages_are_changed() -> Result<(), Failure> {
    let app = App::new().await?;
    let said = app.control.say("U0ANA0001", "C0GEN0001", "mine").await?;
    let body = json!({"channel": "C0GEN0001", "ts": said.ts, "text": "x"});
    assert_eq!(error(&app.call("chat.update", body.clone()).await?), "cant_update_message");
    assert_eq!(error(&app.call("chat.delete", body).await?), "cant_delete_message");
    let nothing = json!({"channel": "C0GEN0001", "ts": "1.000001", "text": "x"});
    assert_eq!(error(&app.call("chat.update", nothing).await?), "message_not_found");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ephemeral_message_is_seen_by_one() -> Result<(), Failure> {
    let app = App::new().await?;
    let body = json!({"channel": "C0GEN0001", "user": "U0ANA0001", "text": "psst"});
    let posted = app.call("chat.postEphemeral", body).await?;
    let ts = posted["message_ts"].as_str().unwrap_or_default();
    assert_eq!(app.control.messages_for("U0ANA0001", "C0GEN0001", None).await?.len(), 1);
    assert!(app.control.messages_for("U0BEN0001", "C0GEN0001", None).await?.is_empty());
    let body = json!({"channel": "C0GEN0001", "ts": ts, "text": "x"});
    assert_eq!(error(&app.call("chat.update", body).await?), "message_not_found");
    let history = app.get("conversations.history", &[("channel", "C0GEN0001")]).await?;
    assert_eq!(history["messages"], json!([]));
    let body = json!({"channel": "C0OPS0001", "user": "U0CY00001", "text": "psst"});
    assert_eq!(error(&app.call("chat.postEphemeral", body).await?), "user_not_in_channel");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_leads_to_a_message() -> Result<(), Failure> {
    let app = App::new().await?;
    let ts = app.post("C0GEN0001", "x").await?;
    let query = [("channel", "C0GEN0001"), ("message_ts", ts.as_str())];
    let link = app.get("chat.getPermalink", &query).await?;
    let wanted = format!("https://acme.slack.com/archives/C0GEN0001/p{}", ts.replace('.', ""));
    assert_eq!(link["permalink"], wanted);
    let query = [("channel", "C0GEN0001"), ("message_ts", "1.000001")];
    assert_eq!(error(&app.get("chat.getPermalink", &query).await?), "message_not_found");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn posting_too_fast_is_refused_if_wanted() -> Result<(), Failure> {
    let app = App::new().await?;
    app.control.set(json!({"rate_limits": true})).await?;
    let mut refused = None;
    for _ in 0..20 {
        let request = app.http.post(format!("{}/chat.postMessage", app.slack.api()));
        let body = json!({"channel": "C0GEN0001", "text": "x"}).to_string();
        let request = request.bearer_auth(app.slack.bot_token()).header("content-type", "application/json");
        let answer = request.body(body).send().await?;
        if answer.status() == 429 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.ok_or("nothing was refused")?;
    assert_eq!(refused.headers()["retry-after"], "1");
    assert_eq!(error(&serde_json::from_str(&refused.text().await?)?), "ratelimited");
    assert_eq!(app.control.settings().await?["rate_limit_violations"], 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emoji_is_put_once() -> Result<(), Failure> {
    let app = App::new().await?;
    let ts = app.control.say("U0ANA0001", "C0GEN0001", "x").await?.ts;
    let mut link = app.link().await?;
    let body = json!({"channel": "C0GEN0001", "timestamp": ts, "name": "eyes"});
    assert_eq!(error(&app.call("reactions.remove", body.clone()).await?), "no_reaction");
    assert_eq!(app.call("reactions.add", body.clone()).await?["ok"], true);
    assert_eq!(error(&app.call("reactions.add", body.clone()).await?), "already_reacted");
    let event = link.take().await?["payload"]["event"].clone();
    assert_eq!(
        (event["type"].as_str(), event["item"]["ts"].as_str()),
        (Some("reaction_added"), Some(ts.as_str()))
    );
    let got = app.get("reactions.get", &[("channel", "C0GEN0001"), ("timestamp", &ts)]).await?;
    assert_eq!(got["message"]["reactions"], json!([{"name": "eyes", "users": ["U0BOT0001"], "count": 1}]));
    assert_eq!(app.call("reactions.remove", body).await?["ok"], true);
    let bad = json!({"channel": "C0GEN0001", "timestamp": ts, "name": "no such"});
    assert_eq!(error(&app.call("reactions.add", bad).await?), "invalid_name");
    let bad = json!({"channel": "C0GEN0001", "timestamp": "1.000001", "name": "eyes"});
    assert_eq!(error(&app.call("reactions.add", bad).await?), "message_not_found");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_name_of_a_markdown_block_is_not_kept() -> Result<(), Failure> {
    let app = App::new().await?;
    let blocks = json!([{"type": "markdown", "text": "# a", "block_id": "mine"}, {"type": "divider", "block_id": "kept"}]);
    app.call("chat.postMessage", json!({"channel": "C0GEN0001", "blocks": blocks})).await?;
    let message = app.control.messages("C0GEN0001", None).await?.remove(0);
    assert_ne!(message.blocks[0]["block_id"], "mine");
    assert_eq!(message.blocks[1]["block_id"], "kept");
    assert_eq!(message.text, "# a", "without a text there is what can be read in the blocks");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn markdown_text_stands_alone() -> Result<(), Failure> {
    let app = App::new().await?;
    let both = json!({"channel": "C0GEN0001", "text": "x", "markdown_text": "y"});
    assert_eq!(error(&app.call("chat.postMessage", both).await?), "markdown_text_conflict");
    let long = json!({"channel": "C0GEN0001", "markdown_text": "y".repeat(12_001)});
    assert_eq!(error(&app.call("chat.postMessage", long).await?), "msg_too_long");
    let fine = json!({"channel": "C0GEN0001", "markdown_text": "**y**"});
    assert_eq!(app.call("chat.postMessage", fine).await?["ok"], true);
    let blocks: Vec<Value> =
        vec![json!({"type": "section", "text": {"type": "plain_text", "text": "z".repeat(3000)}}); 4];
    let mut blocks = json!(blocks);
    assert_eq!(
        app.call("chat.postMessage", json!({"channel": "C0GEN0001", "blocks": blocks})).await?["ok"],
        true
    );
    if let Some(blocks) = blocks.as_array_mut() {
        blocks.push(json!({"type": "markdown", "text": "z".repeat(2000)}));
    }
    let much = app.call("chat.postMessage", json!({"channel": "C0GEN0001", "blocks": blocks})).await?;
    assert_eq!(error(&much), "msg_blocks_too_long");
    Ok(())
}
