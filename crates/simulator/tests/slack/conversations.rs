//! `conversations.*`, `users.*`

use serde_json::json;

use super::{
    Failure,
    app::{App, error, texts},
};

#[tokio::test(flavor = "multi_thread")]
async fn history_shows_roots_newest_first_and_a_thread_from_its_root() -> Result<(), Failure> {
    let app = App::new().await?;
    let root = app.control.say("U0ANA0001", "C0GEN0001", "root").await?.ts;
    let reply = app.control.reply("U0BEN0001", "C0GEN0001", &root, "reply").await?.ts;
    let metadata = json!({"event_type": "t", "event_payload": {"a": 1}});
    let post = json!({"channel": "C0GEN0001", "text": "answer", "thread_ts": reply, "metadata": metadata});
    let answer = app.call("chat.postMessage", post).await?;
    assert_eq!(answer["message"]["thread_ts"], root.as_str(), "an answer to an answer belongs to the root");
    app.control.say("U0ANA0001", "C0GEN0001", "later").await?;

    let history = app.get("conversations.history", &[("channel", "C0GEN0001")]).await?;
    assert_eq!(texts(&history), ["later", "root"]);
    assert_eq!(history["messages"][1]["reply_count"], 2);
    assert_eq!(history["messages"][1]["thread_ts"], root.as_str());
    assert_eq!(history["messages"][1]["latest_reply"], answer["ts"]);
    assert!(history["messages"][0].get("thread_ts").is_none());

    let query = [("channel", "C0GEN0001"), ("ts", root.as_str())];
    let thread = app.get("conversations.replies", &query).await?;
    assert_eq!(texts(&thread), ["root", "reply", "answer"]);
    assert_eq!(thread["messages"][1]["parent_user_id"], "U0ANA0001");
    assert!(thread["messages"][2].get("metadata").is_none(), "metadata has to be asked for");
    let query = [("channel", "C0GEN0001"), ("ts", root.as_str()), ("include_all_metadata", "true")];
    assert_eq!(app.get("conversations.replies", &query).await?["messages"][2]["metadata"], metadata);
    let query = [("channel", "C0GEN0001"), ("ts", "1.000001")];
    assert_eq!(error(&app.get("conversations.replies", &query).await?), "thread_not_found");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn history_is_read_in_windows_and_pages() -> Result<(), Failure> {
    let app = App::new().await?;
    let mut stamps = Vec::new();
    for number in 0..5 {
        stamps.push(app.control.say("U0ANA0001", "C0GEN0001", &number.to_string()).await?.ts);
    }
    let mut query =
        vec![("channel", "C0GEN0001"), ("oldest", stamps[1].as_str()), ("latest", stamps[3].as_str())];
    assert_eq!(texts(&app.get("conversations.history", &query).await?), ["2"]);
    query.push(("inclusive", "true"));
    assert_eq!(texts(&app.get("conversations.history", &query).await?), ["3", "2", "1"]);
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let query = [("channel", "C0GEN0001"), ("limit", "2"), ("cursor", cursor.as_str())];
        let page = app.get("conversations.history", &query).await?;
        seen.extend(texts(&page).iter().map(|text| (*text).to_owned()));
        cursor = page["response_metadata"]["next_cursor"].as_str().unwrap_or_default().to_owned();
        assert_eq!(page["has_more"], !cursor.is_empty());
        if cursor.is_empty() {
            break;
        }
    }
    assert_eq!(seen, ["4", "3", "2", "1", "0"]);
    let query = [("channel", "C0GEN0001"), ("cursor", "nonsense")];
    assert_eq!(error(&app.get("conversations.history", &query).await?), "invalid_cursor");
    let query = [("channel", "C0GEN0001"), ("oldest", "yesterday")];
    assert_eq!(error(&app.get("conversations.history", &query).await?), "invalid_ts_oldest");
    assert_eq!(
        error(&app.get("conversations.history", &[("channel", "C0PUB0001")]).await?),
        "not_in_channel"
    );
    assert_eq!(
        error(&app.get("conversations.history", &[("channel", "G0PRV0001")]).await?),
        "channel_not_found"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_root_leaves_a_tombstone() -> Result<(), Failure> {
    let app = App::new().await?;
    let root = app.control.say("U0ANA0001", "C0GEN0001", "root").await?.ts;
    app.control.reply("U0BEN0001", "C0GEN0001", &root, "reply").await?;
    app.control.delete("U0ANA0001", "C0GEN0001", &root).await?;
    let thread = app.get("conversations.replies", &[("channel", "C0GEN0001"), ("ts", &root)]).await?;
    assert_eq!(thread["messages"][0]["subtype"], "tombstone");
    assert_eq!(texts(&thread)[1], "reply");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn channels_are_listed_as_the_bot_knows_them() -> Result<(), Failure> {
    let app = App::new().await?;
    let listed = app.get("conversations.list", &[("types", "public_channel,private_channel")]).await?;
    let names = |answer: &serde_json::Value| -> Vec<String> {
        let channels = answer["channels"].as_array().cloned().unwrap_or_default();
        channels.iter().filter_map(|channel| channel["name"].as_str().map(str::to_owned)).collect()
    };
    assert_eq!(names(&listed), ["general", "ops", "public", "shared"]);
    let mine = app.get("users.conversations", &[("types", "public_channel,private_channel")]).await?;
    assert_eq!(names(&mine), ["general", "ops", "shared"]);
    let first = app.get("users.conversations", &[("limit", "2")]).await?;
    let cursor = first["response_metadata"]["next_cursor"].as_str().unwrap_or_default().to_owned();
    let second = app.get("users.conversations", &[("limit", "2"), ("cursor", &cursor)]).await?;
    assert_eq!((names(&first).len(), names(&second).len()), (2, 1));
    assert_eq!(error(&app.get("conversations.list", &[("types", "secret")]).await?), "invalid_types");
    let shared = app.get("conversations.info", &[("channel", "C0SHR0001")]).await?;
    assert_eq!(shared["channel"]["is_ext_shared"], true);
    assert_eq!(shared["channel"]["is_member"], true);
    let public = app.get("conversations.info", &[("channel", "C0PUB0001")]).await?;
    assert_eq!(public["channel"]["is_member"], false);
    let members = app.get("conversations.members", &[("channel", "C0OPS0001")]).await?;
    assert_eq!(members["members"], json!(["U0BOT0001", "U0ANA0001", "U0BEN0001"]));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn conversations_are_opened_and_joined() -> Result<(), Failure> {
    let app = App::new().await?;
    let opened = app.call("conversations.open", json!({"users": "U0ANA0001", "return_im": true})).await?;
    assert_eq!(opened["channel"]["user"], "U0ANA0001");
    assert_eq!(error(&app.call("conversations.open", json!({})).await?), "users_list_not_supplied");
    assert_eq!(error(&app.call("conversations.open", json!({"users": "U0NONE"})).await?), "user_not_found");
    let body = json!({"users": "U0ANA0001,U0BEN0001"});
    assert_eq!(error(&app.call("conversations.open", body.clone()).await?), "missing_scope");
    app.control.scopes(&["mpim:write", "im:write", "channels:join", "chat:write"]).await?;
    let several = app.call("conversations.open", body.clone()).await?;
    assert_eq!(several["channel"]["id"], app.call("conversations.open", body).await?["channel"]["id"]);
    let joined = app.call("conversations.join", json!({"channel": "C0PUB0001"})).await?;
    assert_eq!(joined["channel"]["is_member"], true);
    let again = app.call("conversations.join", json!({"channel": "C0PUB0001"})).await?;
    assert_eq!(again["warning"], "already_in_channel");
    app.post("C0PUB0001", "now it works").await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_shown_as_what_they_are() -> Result<(), Failure> {
    let app = App::new().await?;
    let show = async |id: &str| app.get("users.info", &[("user", id)]).await;
    let ana = show("U0ANA0001").await?;
    assert_eq!(ana["user"]["profile"]["display_name"], "ana");
    assert_eq!(ana["user"]["team_id"], "T0SIM0001");
    assert!(ana["user"].get("is_stranger").is_none());
    assert_eq!(show("U0CY00001").await?["user"]["is_restricted"], true);
    assert_eq!(show("U0DEE0001").await?["user"]["is_ultra_restricted"], true);
    let zoe = show("U0ZOE0001").await?;
    assert_eq!(
        (zoe["user"]["is_stranger"].as_bool(), zoe["user"]["team_id"].as_str()),
        (Some(true), Some("T0OTHER01"))
    );
    assert_eq!(show("U0HELPER1").await?["user"]["is_bot"], true);
    assert_eq!(error(&show("U0NONE").await?), "user_not_found");
    app.control.set_user("U0ANA0001", json!({"deleted": true, "enterprise_user": {"id": "W1"}})).await?;
    let gone = show("U0ANA0001").await?;
    assert_eq!(
        (gone["user"]["deleted"].as_bool(), gone["user"]["enterprise_user"]["id"].as_str()),
        (Some(true), Some("W1"))
    );
    let all = app.get("users.list", &[]).await?;
    assert!(all["members"].as_array().is_some_and(|members| members.len() == 8));
    Ok(())
}
