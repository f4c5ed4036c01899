//! Files, in and out.

use data_encoding::BASE64;
use serde_json::{Value, json};

use super::{
    Failure,
    app::{App, error},
};

/// Announces a file and uploads it in one of the two ways.
async fn send(app: &App, name: &str, content: &[u8], multipart: bool) -> Result<(String, u16), Failure> {
    let length = content.len().to_string();
    let announced = app.get("files.getUploadURLExternal", &[("filename", name), ("length", &length)]).await?;
    let url = announced["upload_url"].as_str().ok_or_else(|| announced.to_string())?;
    let request = if multipart {
        let head = b"--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"x\"\r\n\r\n".as_slice();
        let body = [head, content, b"\r\n--b--\r\n"].concat();
        app.http.post(url).header("content-type", "multipart/form-data; boundary=b").body(body)
    } else {
        app.http.post(url).header("content-type", "application/octet-stream").body(content.to_vec())
    };
    let status = request.send().await?.status().as_u16();
    Ok((announced["file_id"].as_str().unwrap_or_default().to_owned(), status))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_uploaded_and_shared() -> Result<(), Failure> {
    let app = App::new().await?;
    let root = app.control.say("U0ANA0001", "C0GEN0001", "root").await?.ts;
    for multipart in [false, true] {
        let content = b"line one\r\n--bytes\x00\xff";
        let (id, status) = send(&app, "report.csv", content, multipart).await?;
        assert_eq!(status, 200);
        let body = json!({"files": [{"id": id, "title": "Report"}], "channel_id": "C0GEN0001", "thread_ts": root,
            "initial_comment": "here"});
        let done = app.call("files.completeUploadExternal", body.clone()).await?;
        assert_eq!(done["files"], json!([{"id": id, "title": "Report"}]));
        let message = app.control.messages("C0GEN0001", Some(&root)).await?.pop().ok_or("no message")?;
        assert_eq!(message.subtype.as_deref(), Some("file_share"));
        assert_eq!((message.text.as_str(), message.bot_id.as_deref()), ("here", Some("B0BOT0001")));
        assert_eq!(message.files[0]["name"], "report.csv");
        assert_eq!(message.files[0]["content"], BASE64.encode(content));
        let info = app.get("files.info", &[("file", &id)]).await?;
        assert_eq!(info["file"]["shares"]["public"]["C0GEN0001"][0]["ts"], message.ts.as_str());
        assert_eq!(error(&app.call("files.completeUploadExternal", body).await?), "file_already_completed");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_is_not_whole_is_refused() -> Result<(), Failure> {
    let app = App::new().await?;
    let announced = app.get("files.getUploadURLExternal", &[("filename", "a"), ("length", "5")]).await?;
    let url = announced["upload_url"].as_str().unwrap_or_default();
    assert_eq!(app.http.post(url).body("1234").send().await?.status(), 400);
    let body = json!({"files": [{"id": announced["file_id"]}], "channel_id": "C0GEN0001"});
    assert_eq!(error(&app.call("files.completeUploadExternal", body).await?), "file_not_found");
    let query = [("filename", "a"), ("length", "0")];
    assert_eq!(error(&app.get("files.getUploadURLExternal", &query).await?), "missing_argument");
    let (id, _) = send(&app, "a", b"12345", false).await?;
    let body = json!({"files": [{"id": id}], "channel_id": "C0PUB0001"});
    assert_eq!(error(&app.call("files.completeUploadExternal", body).await?), "not_in_channel");
    assert_eq!(error(&app.get("files.info", &[("file", "F0NONE")]).await?), "file_not_found");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_s_file_is_downloaded_with_a_token_only() -> Result<(), Failure> {
    let app = App::new().await?;
    let mut link = app.link().await?;
    app.control.upload("U0ANA0001", "C0GEN0001", ("a b.txt", "text/plain", b"secret"), "see", None).await?;
    let event = link.take().await?["payload"]["event"].clone();
    assert_eq!((event["subtype"].as_str(), event["text"].as_str()), (Some("file_share"), Some("see")));
    let shared = link.take().await?["payload"]["event"].clone();
    assert_eq!(shared["file_id"], event["files"][0]["id"]);
    let url = event["files"][0]["url_private_download"].as_str().unwrap_or_default();
    let with = app.http.get(url).bearer_auth(app.slack.bot_token()).send().await?;
    assert_eq!(with.headers()["content-type"], "text/plain");
    assert_eq!(with.text().await?, "secret");
    for token in [None, Some("xoxb-wrong"), Some("xapp-sim-secret")] {
        let mut request = app.http.get(url);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let answer = request.send().await?;
        assert_eq!(answer.status(), 200);
        assert!(answer.headers()["content-type"].to_str()?.starts_with("text/html"));
        assert!(!answer.text().await?.contains("secret"));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_in_a_shared_channel_has_to_be_asked_for() -> Result<(), Failure> {
    let app = App::new().await?;
    let mut link = app.link().await?;
    app.control.upload("U0ZOE0001", "C0SHR0001", ("a.txt", "text/plain", b"x"), "", None).await?;
    let file: Value = link.take().await?["payload"]["event"]["files"][0].clone();
    assert_eq!(file["file_access"], "check_file_info");
    assert!(file.get("url_private").is_none());
    let info = app.get("files.info", &[("file", file["id"].as_str().unwrap_or_default())]).await?;
    assert!(info["file"]["url_private"].is_string());
    Ok(())
}
