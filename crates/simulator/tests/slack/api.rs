//! Tokens, scopes, forms of arguments.

use serde_json::{Value, json};
use simulator::slack::{Options, SCOPES};

use super::{
    Failure,
    app::{App, error},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_token_has_to_be_known_alive_and_of_the_right_kind() -> Result<(), Failure> {
    let app = App::new().await?;
    let bare = app.http.post(format!("{}/auth.test", app.slack.api())).send().await?.text().await?;
    assert_eq!(error(&serde_json::from_str(&bare)?), "not_authed");
    assert_eq!(error(&app.call_as("xoxb-other", "auth.test", json!({})).await?), "invalid_auth");
    let app_token = app.slack.app_token();
    assert_eq!(error(&app.call_as(&app_token, "auth.test", json!({})).await?), "not_allowed_token_type");
    assert_eq!(error(&app.call("apps.connections.open", json!({})).await?), "not_allowed_token_type");
    app.control.revoke(&app.slack.bot_token(), true).await?;
    assert_eq!(error(&app.call("auth.test", json!({})).await?), "token_revoked");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_one_is() -> Result<(), Failure> {
    let options =
        Options { second_team: true, enterprise_id: Some("E0SIM0001".to_owned()), ..Options::default() };
    let app = App::with(options).await?;
    let first = app.call("auth.test", json!({})).await?;
    assert_eq!(first["team_id"], "T0SIM0001");
    assert_eq!(first["enterprise_id"], "E0SIM0001");
    assert_eq!(first["bot_id"], "B0BOT0001");
    assert_eq!(first["is_enterprise_install"], false);
    let second = app.call_as("xoxb-sim-2-secret", "auth.test", json!({})).await?;
    assert_eq!((second["team"].as_str(), second["user_id"].as_str()), (Some("Globex"), Some("U0BOT0002")));
    assert!(second.get("enterprise_id").is_none());
    let bot = app.get("bots.info", &[("bot", "B0BOT0001")]).await?;
    assert_eq!(bot["bot"]["user_id"], "U0BOT0001");
    assert_eq!(error(&app.get("bots.info", &[("bot", "B0NONE")]).await?), "bot_not_found");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_method_needs_its_scope() -> Result<(), Failure> {
    let app = App::new().await?;
    let calls = [
        ("chat.postMessage", "chat:write"),
        ("users.info", "users:read"),
        ("reactions.add", "reactions:write"),
        ("files.info", "files:read"),
        ("files.completeUploadExternal", "files:write"),
    ];
    for (method, scope) in calls {
        let others: Vec<&str> = SCOPES.iter().copied().filter(|it| *it != scope).collect();
        app.control.scopes(&others).await?;
        let answer = app.call(method, json!({})).await?;
        assert_eq!(error(&answer), "missing_scope", "{method}");
        assert_eq!(answer["needed"], scope);
        assert_eq!(answer["provided"], others.join(","));
    }
    app.control.scopes(&["channels:history", "chat:write"]).await?;
    assert_eq!(app.get("conversations.history", &[("channel", "C0GEN0001")]).await?["ok"], true);
    app.control.scopes(&["groups:history"]).await?;
    assert_eq!(error(&app.get("conversations.history", &[("channel", "C0GEN0001")]).await?), "missing_scope");
    let response = app.http.get(format!("{}/auth.test", app.slack.api())).bearer_auth(app.slack.bot_token());
    assert_eq!(response.send().await?.headers()["x-oauth-scopes"], "groups:history");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn arguments_come_in_every_form() -> Result<(), Failure> {
    let app = App::new().await?;
    let url = format!("{}/chat.postMessage", app.slack.api());
    let form = "channel=C0GEN0001&text=a+%26+b&blocks=%5B%7B%22type%22%3A%22divider%22%7D%5D";
    let typed = [
        ("application/x-www-form-urlencoded", form.to_owned()),
        ("multipart/form-data; boundary=xx", "--xx\r\nContent-Disposition: form-data; name=\"channel\"\r\n\r\nC0GEN0001\r\n--xx\r\nContent-Disposition: form-data; name=\"text\"\r\n\r\na & b\r\n--xx--\r\n".to_owned()),
        ("application/json", json!({"channel": "C0GEN0001", "text": "a & b"}).to_string()),
    ];
    for (kind, body) in typed {
        let request =
            app.http.post(&url).bearer_auth(app.slack.bot_token()).header("content-type", kind).body(body);
        let answer: Value = serde_json::from_str(&request.send().await?.text().await?)?;
        assert_eq!(answer["message"]["text"], "a & b", "{kind}: {answer}");
        let remark = (kind == "application/json").then_some("missing_charset");
        assert_eq!(answer["warning"].as_str(), remark);
    }
    let broken =
        app.http.post(&url).bearer_auth(app.slack.bot_token()).header("content-type", "application/json");
    let answer: Value = serde_json::from_str(&broken.body("{").send().await?.text().await?)?;
    assert_eq!(error(&answer), "invalid_json");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_method_that_reads_no_json_sees_no_arguments_in_it() -> Result<(), Failure> {
    let app = App::new().await?;
    let answer = app.call("files.getUploadURLExternal", json!({"filename": "a.txt", "length": 1})).await?;
    assert_eq!(error(&answer), "invalid_arguments");
    assert_eq!(answer["response_metadata"]["messages"][0], "[ERROR] missing required field: filename");
    assert_eq!(error(&app.call("users.info", json!({"user": "U0ANA0001"})).await?), "invalid_arguments");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_method_is_told_and_every_call_is_written_down() -> Result<(), Failure> {
    let app = App::new().await?;
    assert_eq!(error(&app.call("chat.shout", json!({"channel": "x"})).await?), "unknown_method");
    assert_eq!(app.call("api.test", json!({"foo": "bar"})).await?["args"]["foo"], "bar");
    assert_eq!(error(&app.call("api.test", json!({"error": "my_error"})).await?), "my_error");
    let calls = app.control.calls(None).await?;
    let names: Vec<&str> = calls.iter().map(|call| call.method.as_str()).collect();
    assert_eq!(names, ["chat.shout", "api.test", "api.test"]);
    assert_eq!(calls[0].error.as_deref(), Some("unknown_method"));
    assert_eq!(calls[0].args, json!({"channel": "x"}));
    assert_eq!(app.control.calls(Some("api.test")).await?.len(), 2);
    Ok(())
}
