//! What people can do and what they cannot, and how it looks to the app.

use bytes::Bytes;
use serde_json::{Value, json};
use simulator::discord::{
    Click,
    options::{ANA, APP, BEN, BOSS, BOT_ROLE, GENERAL, GUILD, HELPER, ONCALL, OPS, PRIVATE, READONLY},
};

use super::{
    Failure,
    app::{App, read},
};

#[tokio::test(flavor = "multi_thread")]
async fn names_become_marks_and_marks_ring() -> Result<(), Failure> {
    let app = App::new().await?;
    let said = app.control.say(ANA, GENERAL, "@ben @oncall @everyone see #ops, not@ben @bench").await?;
    let message = app.control.messages(GENERAL).await?.pop().ok_or("nothing")?;
    assert!(
        message.text.starts_with(&format!("<@{BEN}> <@&{ONCALL}> @everyone see <#{OPS}>")),
        "{}",
        message.text
    );
    assert!(message.text.ends_with("@bench"));
    assert_eq!(message.rings, [format!("@{BEN}"), format!("@&{ONCALL}")]);
    app.control.edit(ANA, GENERAL, &said.id, "only @switchboard").await?;
    let changed = app.control.messages(GENERAL).await?.pop().ok_or("nothing")?;
    assert_eq!((changed.text, changed.rings.len()), (format!("only <@{APP}>"), 2));
    app.control.reply(BEN, GENERAL, &said.id, "so?").await?;
    assert_eq!(app.control.messages(GENERAL).await?[1].rings, [format!("@{ANA}")]);
    let quiet =
        json!({"user": BEN, "channel": GENERAL, "text": "\u{200b}", "reply_to": said.id, "quiet": true});
    app.control.say_as(quiet).await?;
    assert_eq!(app.control.messages(GENERAL).await?[2].rings.len(), 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_held_to_what_they_may() -> Result<(), Failure> {
    let app = App::new().await?;
    assert!(app.control.say(ANA, READONLY, "x").await.is_err());
    assert!(app.control.say(ANA, PRIVATE, "x").await.is_err());
    assert!(app.control.say(ANA, GENERAL, &"x".repeat(2001)).await.is_err());
    assert!(app.control.say(ANA, GENERAL, "  ").await.is_err());
    assert!(app.control.say("1", GENERAL, "x").await.is_err());
    app.control.give_role(ANA, GUILD, BOSS).await?;
    app.control.say(ANA, PRIVATE, "now").await?;
    app.control.take_role(ANA, GUILD, BOSS).await?;
    assert!(app.control.say(ANA, PRIVATE, "no more").await.is_err());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_is_lost_between_card_and_click_is_not_there_at_the_click() -> Result<(), Failure> {
    let app = App::new().await?;
    let button = json!({"type": 2, "style": 1, "custom_id": "go", "label": "Go"});
    app.post(GENERAL, json!({"content": "card", "components": [{"type": 1, "components": [button]}]}))
        .await?;
    let card = app.control.messages(GENERAL).await?.pop().ok_or("nothing")?;
    app.control.take_role(BEN, GUILD, BOSS).await?;
    let mut link = app.link().await?;
    app.control.click(&Click::on(BEN, &card, "go")).await?;
    assert_eq!(link.event("INTERACTION_CREATE").await?["member"]["roles"], json!([]));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn bots_webhooks_and_discord_itself_write() -> Result<(), Failure> {
    let app = App::new().await?;
    let mut link = app.link().await?;
    app.control.say(HELPER, GENERAL, "beep").await?;
    assert_eq!(link.event("MESSAGE_CREATE").await?["author"]["bot"], true);
    app.control.webhook(GENERAL, "ci", "built").await?;
    let hook = link.event("MESSAGE_CREATE").await?;
    assert_eq!((hook["webhook_id"].is_string(), hook["author"]["username"].as_str()), (true, Some("ci")));
    assert!(hook.get("member").is_none());
    for kind in [6, 8, 18] {
        app.control.system(ANA, GENERAL, kind).await?;
        assert_eq!(link.event("MESSAGE_CREATE").await?["type"], kind);
    }
    let ids: Vec<String> = app.control.messages(GENERAL).await?.into_iter().map(|it| it.id).collect();
    app.control.delete_all(GENERAL, &[&ids[0], &ids[1]]).await?;
    assert_eq!(link.event("MESSAGE_DELETE_BULK").await?["ids"], json!(ids[..2]));
    app.control.kick(APP, GUILD).await?;
    link.event("GUILD_DELETE").await?;
    assert_eq!(app.get(&format!("/channels/{GENERAL}")).await?.code(), (403, 50001));
    app.control.join(APP, GUILD).await?;
    assert_eq!(link.event("GUILD_CREATE").await?["id"], GUILD);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn files_go_there_and_back() -> Result<(), Failure> {
    let app = App::new().await?;
    let said = app.control.upload(ANA, GENERAL, ("a b.txt", "text/plain", b"hello"), "look").await?;
    let message = app.get(&format!("/channels/{GENERAL}/messages/{}", said.id)).await?.ok()?;
    let file = &message["attachments"][0];
    assert_eq!((file["filename"].as_str(), file["size"].as_u64()), (Some("a_b.txt"), Some(5)));
    let url = file["url"].as_str().unwrap_or_default();
    assert_eq!(app.http.get(url).send().await?.bytes().await?, Bytes::from("hello"));
    let forged = url.replace("hm=", "hm=0");
    assert_eq!(app.http.get(forged).send().await?.status(), 404);
    let body = concat!(
        "--xx\r\nContent-Disposition: form-data; name=\"payload_json\"\r\nContent-Type: application/json\r\n\r\n",
        "{\"content\":\"mine\",\"attachments\":[{\"id\":0,\"description\":\"words\"}]}\r\n",
        "--xx\r\nContent-Disposition: form-data; name=\"files[0]\"; filename=\"r.csv\"\r\n",
        "Content-Type: text/csv\r\n\r\na,b\r\n--xx--\r\n"
    );
    let request = app
        .http
        .post(format!("{}/channels/{GENERAL}/messages", app.discord.api()))
        .header("Authorization", format!("Bot {}", app.discord.bot_token()))
        .header("Content-Type", "multipart/form-data; boundary=xx");
    let sent = read(request.body(body).send().await?).await?.ok()?;
    assert_eq!(sent["attachments"][0]["description"], "words");
    let kept = app.control.messages(GENERAL).await?.pop().ok_or("nothing")?;
    assert_eq!((kept.text.as_str(), kept.files[0]["content"].as_str()), ("mine", Some("YSxi")));
    app.control.overwrite(GENERAL, BOT_ROLE, 0, 1 << 14).await?;
    let embed = json!({"embeds": [{"title": "t"}]});
    let path = format!("/channels/{GENERAL}/messages");
    assert_eq!(app.call("POST", &path, embed).await?.code(), (403, 50013));
    let dropped =
        app.call("PATCH", &format!("{path}/{}", kept.id), json!({"attachments": []})).await?.ok()?;
    assert_eq!(dropped["attachments"], Value::Array(Vec::new()));
    Ok(())
}
