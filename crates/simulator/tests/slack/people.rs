//! What people do, as the app hears of it.

use serde_json::json;
use simulator::slack::Load;

use super::{Failure, app::App};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_typed_is_kept_as_slack_keeps_it() -> Result<(), Failure> {
    let app = App::new().await?;
    let cases = [
        ("a & b < c > d", "a &amp; b &lt; c &gt; d"),
        ("<!channel>", "&lt;!channel&gt;"),
        ("@here now", "<!here> now"),
        ("ask @ben, please", "ask <@U0BEN0001>, please"),
        ("<@U0BEN0001> or <@U0NONE>", "<@U0BEN0001> or &lt;@U0NONE&gt;"),
        ("see https://a.test/x?y=1&z=2.", "see <https://a.test/x?y=1&amp;z=2>."),
        ("mail x@y.test", "mail <mailto:x@y.test|x@y.test>"),
        ("in #general", "in <#C0GEN0001|general>"),
        ("a@here", "a@here"),
    ];
    for (typed, kept) in cases {
        let said = app.control.say("U0ANA0001", "C0GEN0001", typed).await?;
        let message = app.control.messages("C0GEN0001", Some(&said.ts)).await?.remove(0);
        assert_eq!(message.text, kept);
        assert_eq!(message.blocks[0]["type"], "rich_text");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn mentions_reach_the_app_where_it_may_hear_them() -> Result<(), Failure> {
    let app = App::new().await?;
    app.control.say("U0ANA0001", "C0PUB0001", "<@U0BOT0001> hello").await?;
    app.control.say("U0ANA0001", "G0PRV0001", "<@U0BOT0001> hello").await?;
    app.control.dm("U0ANA0001", "<@U0BOT0001> hello").await?;
    let heard: Vec<_> = app.control.deliveries().await?.into_iter().map(|it| (it.what, it.channel)).collect();
    let what = |text: &str| Some(text.to_owned());
    assert_eq!(
        heard,
        [(what("app_mention"), Some(json!("C0PUB0001"))), (what("message"), Some(json!("D0ANA0001")))]
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn events_need_their_scopes() -> Result<(), Failure> {
    let app = App::new().await?;
    app.control.scopes(&["im:history"]).await?;
    app.control.say("U0ANA0001", "C0GEN0001", "<@U0BOT0001> hello").await?;
    app.control.dm("U0ANA0001", "hello").await?;
    assert_eq!(app.control.deliveries().await?.len(), 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_edits_deletes_joins_and_opens_the_assistant() -> Result<(), Failure> {
    let app = App::new().await?;
    let mut link = app.link().await?;
    let said = app.control.say("U0ANA0001", "C0OPS0001", "one").await?;
    app.control.edit("U0ANA0001", "C0OPS0001", &said.ts, "two").await?;
    app.control.delete("U0ANA0001", "C0OPS0001", &said.ts).await?;
    app.control.join("U0CY00001", "C0OPS0001").await?;
    let opened = app.control.assistant_open("U0ANA0001").await?;
    app.control.webhook("C0OPS0001", "ci", "<!channel> raw").await?;
    let mut heard = Vec::new();
    for _ in 0..7 {
        heard.push(link.take().await?["payload"]["event"].clone());
    }
    let names: Vec<_> =
        heard.iter().map(|event| event["subtype"].as_str().or(event["type"].as_str())).collect();
    let wanted = [
        "message",
        "message_changed",
        "message_deleted",
        "channel_join",
        "member_joined_channel",
        "assistant_thread_started",
        "bot_message",
    ];
    assert_eq!(names, wanted.map(Some));
    assert_eq!(heard[1]["previous_message"]["text"], "one");
    assert_eq!(heard[5]["assistant_thread"]["thread_ts"], opened.ts.as_str());
    assert_eq!(heard[5]["assistant_thread"]["channel_id"], opened.channel.as_str());
    assert_eq!((heard[6]["text"].as_str(), heard[6].get("user")), (Some("<!channel> raw"), None));
    assert!(app.control.edit("U0BEN0001", "C0OPS0001", &said.ts, "no").await.is_err());
    assert!(app.control.say("U0ZOE0001", "C0OPS0001", "no").await.is_err());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_is_marked_in_a_shared_channel() -> Result<(), Failure> {
    let app = App::new().await?;
    let mut link = app.link().await?;
    app.control.say("U0ZOE0001", "C0SHR0001", "hello").await?;
    let payload = link.take().await?["payload"].clone();
    assert_eq!(payload["team_id"], "T0SIM0001");
    assert_eq!(payload["is_ext_shared_channel"], true);
    assert_eq!(payload["authorizations"][0]["user_id"], "U0BOT0001");
    assert_eq!(payload["event"]["user_team"], "T0OTHER01");
    assert_eq!(payload["event"]["source_team"], "T0OTHER01");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn many_messages_have_rising_time_stamps() -> Result<(), Failure> {
    let app = App::new().await?;
    let users = vec!["U0ANA0001".to_owned(), "U0BEN0001".to_owned()];
    let load = Load { count: 200, users, text_prefix: "load".to_owned(), ..Load::default() };
    let said = app.control.load(&load).await?;
    assert_eq!(said.len(), 200);
    assert!(said.windows(2).all(|pair| pair[0].ts < pair[1].ts));
    assert_eq!(app.control.deliveries().await?.len(), 200);
    Ok(())
}
