//! Messages, threads, emoji, direct messages, as the app writes and reads them.

use serde_json::{Value, json};
use simulator::discord::options::{ANA, APP, BEN, CY, FORUM, GENERAL, GUILD, ONCALL, PRIVATE, READONLY};

use super::{Failure, app::App};

fn messages(channel: &str) -> String {
    format!("/channels/{channel}/messages")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_written_read_changed_and_deleted() -> Result<(), Failure> {
    let app = App::new().await?;
    let mut link = app.link().await?;
    let body =
        json!({"content": " hello ", "embeds": [{"title": "t", "fields": [{"name": "n", "value": "v"}]}]});
    let sent = app.call("POST", &messages(GENERAL), body).await?.ok()?;
    assert_eq!((sent["content"].as_str(), sent["author"]["id"].as_str()), (Some("hello"), Some(APP)));
    assert_eq!(sent["embeds"][0]["fields"][0]["inline"], false);
    assert_eq!(link.event("MESSAGE_CREATE").await?["id"], sent["id"]);
    let path = format!("{}/{}", messages(GENERAL), sent["id"].as_str().unwrap_or_default());
    let changed = app.call("PATCH", &path, json!({"content": "better", "embeds": []})).await?.ok()?;
    assert_eq!(
        (changed["content"].as_str(), changed["edited_timestamp"].is_string()),
        (Some("better"), true)
    );
    assert_eq!(link.event("MESSAGE_UPDATE").await?["content"], "better");
    assert_eq!(app.get(&path).await?.ok()?["content"], "better");
    assert_eq!(app.call("DELETE", &path, Value::Null).await?.status, 204);
    assert_eq!(link.event("MESSAGE_DELETE").await?["id"], sent["id"]);
    assert_eq!(app.get(&path).await?.code(), (404, 10008));
    let theirs = app.control.say(ANA, GENERAL, "mine").await?;
    let path = format!("{}/{}", messages(GENERAL), theirs.id);
    assert_eq!(app.call("PATCH", &path, json!({"content": "x"})).await?.code(), (403, 50005));
    assert_eq!(app.call("DELETE", &path, Value::Null).await?.code(), (403, 50013));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_messages() -> Result<(), Failure> {
    let app = App::new().await?;
    let mut ids = Vec::new();
    for number in 0..6 {
        ids.push(app.control.say(ANA, GENERAL, &number.to_string()).await?.id);
    }
    let texts = async |query: String| -> Result<Vec<String>, Failure> {
        let page = app.get(&format!("{}?{query}", messages(GENERAL))).await?.ok()?;
        let page = page.as_array().cloned().unwrap_or_default();
        Ok(page.iter().map(|it| it["content"].as_str().unwrap_or_default().to_owned()).collect())
    };
    assert_eq!(texts("limit=2".to_owned()).await?, ["5", "4"]);
    assert_eq!(texts(format!("after={}&limit=2", ids[1])).await?, ["3", "2"]);
    assert_eq!(texts(format!("before={}&limit=2", ids[4])).await?, ["3", "2"]);
    assert_eq!(texts(format!("around={}&limit=3", ids[2])).await?, ["3", "2", "1"]);
    assert_eq!(app.get(&format!("{}?limit=101", messages(GENERAL))).await?.code(), (400, 50035));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_refused_with_its_place() -> Result<(), Failure> {
    let app = App::new().await?;
    let embed = |text: usize| json!({"description": "x".repeat(text)});
    let row = |list: Value| json!({"components": [{"type": 1, "components": list}]});
    let button = json!({"type": 2, "style": 1, "label": "x", "custom_id": "a"});
    let cases = [
        (json!({"content": "x".repeat(2001)}), "/content", "BASE_TYPE_MAX_LENGTH"),
        (json!({"embeds": [embed(4097)]}), "/embeds/0/description", "BASE_TYPE_MAX_LENGTH"),
        (json!({"embeds": [embed(4000), embed(2001)]}), "/embeds", "MAX_EMBED_SIZE_EXCEEDED"),
        (
            row(json!([{"type": 2, "style": 1, "label": "x"}])),
            "/components/0/components/0/custom_id",
            "BASE_TYPE_REQUIRED",
        ),
        (
            row(json!([{"type": 2, "style": 1, "label": "x", "custom_id": "c".repeat(101)}])),
            "/components/0/components/0/custom_id",
            "BASE_TYPE_BAD_LENGTH",
        ),
        (
            row(json!([button, button])),
            "/components/0/components/1/custom_id",
            "COMPONENT_CUSTOM_ID_DUPLICATED",
        ),
        (json!({"content": "x", "nonce": "n".repeat(26)}), "/nonce", "NONCE_TYPE_TOO_LONG"),
        (
            json!({"content": "x", "message_reference": {"message_id": "1"}}),
            "/message_reference",
            "REPLIES_UNKNOWN_MESSAGE",
        ),
        (
            json!({"content": "x", "allowed_mentions": {"parse": ["users"], "users": [ANA]}}),
            "/allowed_mentions",
            "MESSAGE_ALLOWED_MENTIONS_PARSE_EXCLUSIVE",
        ),
    ];
    for (body, place, code) in cases {
        let answer = app.call("POST", &messages(GENERAL), body).await?;
        assert_eq!(answer.code(), (400, 50035));
        let found = answer.body.pointer(&format!("/errors{place}/_errors/0/code"));
        assert_eq!(found.and_then(Value::as_str), Some(code), "{}", answer.body);
    }
    for body in [json!({}), json!({"content": "  "}), json!({"embeds": []})] {
        assert_eq!(app.call("POST", &messages(GENERAL), body).await?.code(), (400, 50006));
    }
    assert_eq!(app.call("POST", &messages("1"), json!({"content": "x"})).await?.code(), (404, 10003));
    assert_eq!(app.call("POST", &messages("x"), json!({"content": "x"})).await?.code(), (400, 50035));
    assert_eq!(app.call("POST", &messages(PRIVATE), json!({"content": "x"})).await?.code(), (403, 50001));
    assert_eq!(app.call("POST", &messages(READONLY), json!({"content": "x"})).await?.code(), (403, 50013));
    assert_eq!(app.call("POST", &messages(FORUM), json!({"content": "x"})).await?.code(), (400, 50008));
    assert_eq!(app.get("/nowhere").await?.code(), (404, 0));
    assert!(app.control.messages(GENERAL).await?.is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nonce_makes_a_message_once() -> Result<(), Failure> {
    let app = App::new().await?;
    let body = json!({"content": "once", "nonce": "k1", "enforce_nonce": true});
    let first = app.post(GENERAL, body.clone()).await?;
    assert_eq!(app.post(GENERAL, body.clone()).await?, first);
    assert_eq!(app.control.messages(GENERAL).await?.len(), 1);
    app.control.fault("POST /channels/{channel}/messages", json!("drop_response"), 1, 0).await?;
    let lost = json!({"content": "lost", "nonce": "k2", "enforce_nonce": true});
    assert!(app.post(GENERAL, lost.clone()).await.is_err());
    app.post(GENERAL, lost).await?;
    app.post(GENERAL, json!({"content": "once", "nonce": "k1"})).await?;
    app.control.expire("nonces").await?;
    app.post(GENERAL, body).await?;
    assert_eq!(app.control.messages(GENERAL).await?.len(), 4);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_rings_and_what_does_not() -> Result<(), Failure> {
    let app = App::new().await?;
    let text = format!("<@{ANA}> <@!{BEN}> <@&{ONCALL}> @everyone");
    let (ana, ben, oncall) = (format!("@{ANA}"), format!("@{BEN}"), format!("@&{ONCALL}"));
    let cases: [(Value, Vec<&str>); 5] = [
        (json!({"content": text}), vec![&ana, &ben, &oncall]),
        (json!({"content": text, "allowed_mentions": {"parse": []}}), vec![]),
        (
            json!({"content": text, "allowed_mentions": {"parse": ["roles"], "users": [BEN]}}),
            vec![&ben, &oncall],
        ),
        (json!({"content": "@here", "allowed_mentions": {"parse": ["everyone"]}}), vec![]),
        (json!({"embeds": [{"description": text}]}), vec![]),
    ];
    for (body, rings) in cases {
        app.post(GENERAL, body.clone()).await?;
        let message = app.control.messages(GENERAL).await?.pop().ok_or("nothing")?;
        assert_eq!(message.rings, rings, "{body}");
    }
    app.control.set_role(GUILD, GUILD, json!({"permissions": u64::MAX >> 12})).await?;
    app.post(GENERAL, json!({"content": "@everyone @here"})).await?;
    assert_eq!(app.control.messages(GENERAL).await?.pop().ok_or("nothing")?.rings, ["@everyone", "@here"]);
    let said = app.control.say(ANA, GENERAL, "a question").await?;
    let reply = |replied: bool| json!({"content": "an answer", "message_reference": {"message_id": said.id}, "allowed_mentions": {"replied_user": replied}});
    for replied in [true, false] {
        app.post(GENERAL, reply(replied)).await?;
        let message = app.control.messages(GENERAL).await?.pop().ok_or("nothing")?;
        assert_eq!(
            (message.rings.contains(&ana), message.reply_to.as_deref()),
            (replied, Some(said.id.as_str()))
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn threads_begin_sleep_and_wake() -> Result<(), Failure> {
    let app = App::new().await?;
    let mut link = app.link().await?;
    let said = app.control.say(ANA, GENERAL, "@switchboard help").await?;
    link.event("MESSAGE_CREATE").await?;
    let path = format!("{}/{}/threads", messages(GENERAL), said.id);
    let begun = app.call("POST", &path, json!({"name": "help", "auto_archive_duration": 60})).await?;
    assert_eq!(begun.status, 201);
    let thread = begun.body["id"].as_str().unwrap_or_default().to_owned();
    assert_eq!((thread.as_str(), begun.body["type"].as_u64()), (said.id.as_str(), Some(11)));
    assert_eq!(link.event("THREAD_CREATE").await?["newly_created"], true);
    assert_eq!(app.call("POST", &path, json!({"name": "again"})).await?.code(), (400, 160_004));
    app.post(&thread, json!({"content": "in it"})).await?;
    app.control.say(BEN, &thread, "me, too").await?;
    let texts: Vec<String> = app.control.messages(&thread).await?.into_iter().map(|it| it.text).collect();
    assert_eq!(texts, ["", "in it", "me, too"]);
    let active = app.get(&format!("/guilds/{GUILD}/threads/active")).await?.ok()?;
    assert_eq!(active["threads"][0]["id"], thread);
    let members = app.get(&format!("/channels/{thread}/thread-members")).await?.ok()?;
    assert_eq!(members.as_array().map(Vec::len), Some(2));
    let place = format!("/channels/{thread}");
    let changed = app.call("PATCH", &place, json!({"name": "done", "archived": true}));
    assert_eq!(changed.await?.ok()?["thread_metadata"]["archived"], true);
    let again = app.call("PATCH", &format!("/channels/{thread}"), json!({"name": "other"})).await?;
    assert_eq!(again.code(), (400, 50083));
    app.post(&thread, json!({"content": "wakes it"})).await?;
    assert_eq!(app.get(&format!("/channels/{thread}")).await?.ok()?["thread_metadata"]["archived"], false);
    app.control.lock(&thread, true).await?;
    let locked = app.call("POST", &messages(&thread), json!({"content": "x"})).await?;
    assert_eq!(locked.code(), (400, 50083));
    let lonely = json!({"name": "alone", "type": 11});
    assert_eq!(app.call("POST", &format!("/channels/{GENERAL}/threads"), lonely).await?.status, 201);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_in_a_forum_is_a_thread_with_a_message() -> Result<(), Failure> {
    let app = App::new().await?;
    let mut link = app.link().await?;
    let body = json!({"name": "a post", "message": {"content": "its text"}});
    let post = app.call("POST", &format!("/channels/{FORUM}/threads"), body).await?.ok()?;
    assert_eq!(
        (&post["message"]["id"], post["message"]["content"].as_str()),
        (&post["id"], Some("its text"))
    );
    assert_eq!(post["parent_id"], FORUM);
    for event in ["THREAD_CREATE", "THREAD_MEMBERS_UPDATE", "MESSAGE_CREATE"] {
        link.event(event).await?;
    }
    let theirs = app.control.post(ANA, FORUM, "hers", "@switchboard?").await?;
    assert_eq!(theirs.channel, theirs.id);
    link.event("THREAD_CREATE").await?;
    assert_eq!(link.event("MESSAGE_CREATE").await?["channel_id"], theirs.channel);
    assert_eq!(
        app.call("POST", &format!("/channels/{FORUM}/threads"), json!({"name": "x"})).await?.code(),
        (400, 50035)
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn emoji_typing_and_direct_messages() -> Result<(), Failure> {
    let app = App::new().await?;
    let mut link = app.link().await?;
    let said = app.control.say(ANA, GENERAL, "hi").await?;
    let path = format!("{}/{}/reactions/%F0%9F%91%80/@me", messages(GENERAL), said.id);
    assert_eq!(app.call("PUT", &path, Value::Null).await?.status, 204);
    link.event("MESSAGE_CREATE").await?;
    let added = link.event("MESSAGE_REACTION_ADD").await?;
    assert_eq!((added["emoji"]["name"].as_str(), added["user_id"].as_str()), (Some("👀"), Some(APP)));
    assert_eq!(app.control.messages(GENERAL).await?[0].reactions[0]["name"], "👀");
    assert_eq!(app.call("DELETE", &path, Value::Null).await?.status, 204);
    link.event("MESSAGE_REACTION_REMOVE").await?;
    let bad = path.replace("%F0%9F%91%80", "eyes");
    assert_eq!(app.call("PUT", &bad, Value::Null).await?.code(), (400, 10014));
    assert_eq!(app.call("POST", &format!("/channels/{GENERAL}/typing"), Value::Null).await?.status, 204);
    assert_eq!(app.control.who_types(GENERAL).await?[0]["user"], APP);
    link.event("TYPING_START").await?;
    let dm = app.call("POST", "/users/@me/channels", json!({"recipient_id": ANA})).await?.ok()?;
    app.post(dm["id"].as_str().unwrap_or_default(), json!({"content": "psst"})).await?;
    let closed = app.call("POST", "/users/@me/channels", json!({"recipient_id": CY})).await?.ok()?;
    let path = messages(closed["id"].as_str().unwrap_or_default());
    assert_eq!(app.call("POST", &path, json!({"content": "psst"})).await?.code(), (403, 50007));
    Ok(())
}
