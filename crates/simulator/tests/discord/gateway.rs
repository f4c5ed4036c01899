//! The gateway: sessions, what they hear, how they end and go on.

use futures_util::SinkExt;
use serde_json::{Value, json};
use simulator::discord::{
    Load, Options, intents,
    options::{ANA, APP, BEN, BOSS, GENERAL, GLOBEX, GUILD, GUILD_TWO, ONCALL, OPS, PRIVATE},
};
use tokio_tungstenite::tungstenite::{Message, protocol::CloseFrame};

use super::{
    Failure,
    app::{App, eventually},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_session_begins_with_all_that_is_there() -> Result<(), Failure> {
    let app = App::new().await?;
    let gateway = app.get("/gateway/bot").await?.ok()?;
    assert_eq!(
        (gateway["shards"].as_u64(), gateway["session_start_limit"]["total"].as_u64()),
        (Some(1), Some(1000))
    );
    let mut link = app.socket().await?;
    link.identify(&app.discord.bot_token(), intents::ALL).await?;
    let ready = link.event("READY").await?;
    assert_eq!(ready["user"]["id"], APP);
    assert_eq!(ready["application"]["id"], APP);
    assert_eq!(ready["resume_gateway_url"], gateway["url"]);
    assert_eq!(ready["guilds"][0], json!({"id": GUILD, "unavailable": true}));
    let guild = link.event("GUILD_CREATE").await?;
    assert_eq!((guild["id"].as_str(), guild["name"].as_str()), (Some(GUILD), Some("Acme")));
    let names = |list: &str| -> Vec<String> {
        let list = guild[list].as_array().into_iter().flatten();
        list.map(|it| it["name"].as_str().or(it["user"]["username"].as_str()).unwrap_or_default().to_owned())
            .collect()
    };
    assert_eq!(names("channels"), ["general", "ops", "readonly", "help"]);
    assert_eq!(names("roles"), ["@everyone", "boss", "oncall", "switchboard"]);
    assert!(names("members").contains(&"ana".to_owned()));
    link.send(1, json!(link.seq)).await?;
    link.event("GUILD_CREATE").await?;
    link.event("GUILD_CREATE").await?;
    assert_eq!(link.frame().await?["op"], 11);
    assert_eq!(app.control.sockets().await?[0].beats, 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_is_left_out_where_the_app_may_not_read_it() -> Result<(), Failure> {
    let app = App::new().await?;
    let without = intents::ALL & !intents::MESSAGE_CONTENT;
    let mut link = app.link_with(without).await?;
    app.control.upload(ANA, GENERAL, ("a.txt", "text/plain", b"x"), "secret").await?;
    let silent = link.event("MESSAGE_CREATE").await?;
    assert_eq!(
        (silent["content"].as_str(), silent["attachments"].as_array().map(Vec::len)),
        (Some(""), Some(0))
    );
    assert_eq!(silent["guild_id"], GUILD);
    assert_eq!(silent["member"]["roles"], json!([]));
    app.control.say(ANA, GENERAL, "@switchboard hello").await?;
    let mention = link.event("MESSAGE_CREATE").await?;
    assert_eq!(mention["content"], format!("<@{APP}> hello"));
    assert_eq!(mention["mentions"][0]["id"], APP);
    app.control.dm(ANA, "between us").await?;
    let direct = link.event("MESSAGE_CREATE").await?;
    assert_eq!((direct["content"].as_str(), direct.get("guild_id")), (Some("between us"), None));
    app.post(GENERAL, json!({"content": "mine", "nonce": "n1"})).await?;
    let own = link.event("MESSAGE_CREATE").await?;
    assert_eq!((own["content"].as_str(), own["nonce"].as_str()), (Some("mine"), Some("n1")));
    let theirs = app.control.say(ANA, GENERAL, "theirs").await?;
    link.event("MESSAGE_CREATE").await?;
    for (quoted, text) in [(own["id"].as_str().unwrap_or_default(), "mine"), (&theirs.id, "")] {
        let ask = json!({"user": BEN, "channel": GENERAL, "text": "so", "reply_to": quoted, "quiet": true});
        app.control.say_as(ask).await?;
        assert_eq!(link.event("MESSAGE_CREATE").await?["referenced_message"]["content"], text);
    }
    app.control.say(ANA, PRIVATE, "hidden").await.err().ok_or("Ana does not see it")?;
    app.control.say(BEN, PRIVATE, "the app does not see this").await?;
    app.control.say(BEN, GENERAL, "seen").await?;
    let next = link.event("MESSAGE_CREATE").await?;
    assert_eq!(
        (next["channel_id"].as_str(), next["member"]["nick"].as_str()),
        (Some(GENERAL), Some("Big Ben"))
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_was_asked_for_comes() -> Result<(), Failure> {
    let app = App::new().await?;
    let mut link = app.link_with(intents::GUILDS | intents::DIRECT_MESSAGES).await?;
    app.control.say(ANA, GENERAL, "not for the app").await?;
    app.control.typing(ANA, GENERAL).await?;
    app.control.give_role(ANA, GUILD, BOSS).await?;
    app.control.dm(ANA, "for the app").await?;
    assert_eq!(link.event("MESSAGE_CREATE").await?["content"], "for the app");
    app.control.give_role(APP, GUILD, BOSS).await?;
    let own = link.event("GUILD_MEMBER_UPDATE").await?;
    assert_eq!(own["user"]["id"], APP);
    // With the role, the app sees one channel more.
    assert_eq!(link.event("THREAD_LIST_SYNC").await?["channel_ids"], json!([PRIVATE]));
    app.control.set_role(GUILD, ONCALL, json!({"mentionable": false})).await?;
    assert_eq!(link.event("GUILD_ROLE_UPDATE").await?["role"]["mentionable"], false);
    let made = app.control.new_channel(GUILD, "new", 0).await?;
    assert_eq!(link.event("CHANNEL_CREATE").await?["id"], made);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_identifies_wrongly_is_closed() -> Result<(), Failure> {
    let app = App::quick().await?;
    app.control.set(json!({"privileged_intents": 0})).await?;
    let token = app.discord.bot_token();
    let cases = [
        (json!({"token": "wrong", "intents": 0}), "4004"),
        (json!({"token": token, "intents": intents::MESSAGE_CONTENT}), "4014"),
        (json!({"token": token, "intents": 1_u64 << 40}), "4013"),
        (json!({"token": token, "intents": 0, "shard": [2, 2]}), "4010"),
    ];
    for (data, code) in cases {
        let mut link = app.socket().await?;
        link.send(2, data).await?;
        assert_eq!(link.close_code().await?, format!("closed {code}"));
    }
    app.control.set(json!({"shards": 2, "sharding_required": true})).await?;
    let mut link = app.socket().await?;
    link.identify(&token, 0).await?;
    assert_eq!(link.close_code().await?, "closed 4011");
    app.control.set(json!({"sharding_required": false})).await?;
    for (frame, code) in [
        (json!({"op": 99, "d": null}).to_string(), "4001"),
        ("nonsense".to_owned(), "4002"),
        ("x".repeat(5000), "4002"),
        (json!({"op": 8, "d": {}}).to_string(), "4003"),
    ] {
        let mut link = app.socket().await?;
        link.stream.send(Message::text(frame)).await?;
        assert_eq!(link.close_code().await?, format!("closed {code}"));
    }
    let mut link = app.link_with(0).await?;
    link.identify(&token, 0).await?;
    assert_eq!(link.close_code().await?, "closed 4005");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_session_has_to_wait() -> Result<(), Failure> {
    let app = App::new().await?;
    app.link().await?;
    let mut link = app.socket().await?;
    link.identify(&app.discord.bot_token(), 0).await?;
    let invalid = link.frame().await?;
    assert_eq!((invalid["op"].as_u64(), invalid["d"].as_bool()), (Some(9), Some(false)));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_session_goes_on_where_it_was() -> Result<(), Failure> {
    let app = App::new().await?;
    let mut link = app.link().await?;
    app.control.say(ANA, GENERAL, "one").await?;
    link.event("MESSAGE_CREATE").await?;
    let (session, seq) = (link.session.clone(), link.seq);
    app.control.socket_fault("cut", None).await?;
    assert!(link.frame().await.is_err());
    for text in ["two", "three"] {
        app.control.say(ANA, GENERAL, text).await?;
    }
    let mut link = app.resume(&session, seq).await?;
    assert_eq!(link.event("MESSAGE_CREATE").await?["content"], "two");
    assert_eq!(link.event("MESSAGE_CREATE").await?["content"], "three");
    link.event("RESUMED").await?;
    app.control.say(ANA, GENERAL, "four").await?;
    assert_eq!(link.event("MESSAGE_CREATE").await?["content"], "four");
    let sessions = app.control.sessions().await?;
    assert_eq!((sessions.len(), sessions[0].resumed), (1, 1));
    let mut wrong = app.resume(&session, 1_000_000).await?;
    assert_eq!(wrong.close_code().await?, "closed 4007");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_old_or_was_ended_cannot_be_resumed() -> Result<(), Failure> {
    let app = App::quick().await?;
    let invalid = |frame: &Value| (frame["op"].as_u64(), frame["d"].as_bool()) == (Some(9), Some(false));
    for code in [1000, 1001] {
        let mut link = app.link().await?;
        let session = link.session.clone();
        let close = CloseFrame { code: u16::into(code), reason: "".into() };
        link.stream.close(Some(close)).await?;
        eventually(async || Ok(app.control.sessions().await?.is_empty())).await?;
        assert!(invalid(&app.resume(&session, 1).await?.frame().await?));
    }
    app.control.set(json!({"replay": 2})).await?;
    let mut link = app.link().await?;
    let (session, seq) = (link.session.clone(), link.seq);
    app.control.close_sockets(4000, None).await?;
    assert_eq!(link.close_code().await?, "closed 4000");
    for text in ["a", "b", "c"] {
        app.control.say(ANA, GENERAL, text).await?;
    }
    assert!(invalid(&app.resume(&session, seq).await?.frame().await?));
    let link = app.link().await?;
    app.control.set(json!({"resume_within_ms": 1})).await?;
    let session = link.session.clone();
    drop(link);
    eventually(async || Ok(app.control.sockets().await?.is_empty())).await?;
    assert!(invalid(&app.resume(&session, 1).await?.frame().await?));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_asks_to_leave_or_takes_a_session_away() -> Result<(), Failure> {
    let app = App::quick().await?;
    let mut link = app.link().await?;
    app.control.socket_fault("heartbeat", None).await?;
    assert_eq!(link.frame().await?["op"], 1);
    app.control.socket_fault("reconnect", None).await?;
    assert_eq!(link.frame().await?["op"], 7);
    app.control.socket_fault("invalid_resumable", None).await?;
    assert_eq!(link.frame().await?["d"], true);
    app.control.socket_fault("invalid", None).await?;
    assert_eq!(link.frame().await?["d"], false);
    assert!(app.control.sessions().await?.is_empty());
    app.control.socket_fault("no_acks", None).await?;
    link.send(1, Value::Null).await?;
    eventually(async || Ok(app.control.sockets().await?[0].beats == 1)).await?;
    app.control.raw_frame("{\"op\":11}").await?;
    assert_eq!(link.frame().await?, json!({"op": 11}), "only the played frame came");
    app.control.socket_fault("ghost", None).await?;
    assert!(app.control.sockets().await?[0].ghost);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sends_no_heartbeat_is_closed() -> Result<(), Failure> {
    let app =
        App::with(Options { heartbeat: std::time::Duration::from_millis(200), ..Options::default() }).await?;
    let mut link = app.link().await?;
    assert_eq!(link.close_code().await?, "closed 4000");
    assert_eq!(app.control.sessions().await?.len(), 1, "the session can be resumed");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn shards_hear_of_their_guilds_and_the_first_of_conversations() -> Result<(), Failure> {
    let app = App::quick().await?;
    let mut links = Vec::new();
    for shard in 0..2 {
        let mut link = app.socket().await?;
        let data = json!({"token": app.discord.bot_token(), "intents": intents::ALL, "shard": [shard, 2]});
        app.turn().await;
        link.send(2, data).await?;
        let ready = link.event("READY").await?;
        app.begun();
        assert_eq!(ready["shard"], json!([shard, 2]));
        for _ in ready["guilds"].as_array().into_iter().flatten() {
            link.event("GUILD_CREATE").await?;
        }
        links.push(link);
    }
    let of = |guild: &str| (guild.parse::<u64>().unwrap_or_default() >> 22) % 2;
    assert_eq!((of(GUILD), of(GUILD_TWO)), (1, 0));
    app.control.say(ANA, GENERAL, "acme").await?;
    app.control.say(simulator::discord::options::GIA, GLOBEX, "globex").await?;
    app.control.dm(ANA, "direct").await?;
    assert_eq!(links[1].event("MESSAGE_CREATE").await?["content"], "acme");
    assert_eq!(links[0].event("MESSAGE_CREATE").await?["content"], "globex");
    assert_eq!(links[0].event("MESSAGE_CREATE").await?["content"], "direct");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn things_come_twice_late_or_in_another_order_when_wanted() -> Result<(), Failure> {
    let app = App::new().await?;
    let mut link = app.link().await?;
    app.control.next_fault("duplicate", 1).await?;
    app.control.say(ANA, GENERAL, "twice").await?;
    let (one, two) = (link.frame().await?, link.frame().await?);
    assert_eq!((&one["s"], &one["d"]["id"]), (&two["s"], &two["d"]["id"]));
    app.control.next_fault("reorder", 3).await?;
    for text in ["a", "b", "c"] {
        app.control.say(ANA, GENERAL, text).await?;
    }
    for text in ["c", "b", "a"] {
        assert_eq!(link.event("MESSAGE_CREATE").await?["content"], text);
    }
    app.control.delay_events(1, 100).await?;
    app.control.say(ANA, GENERAL, "late").await?;
    app.control.say(ANA, OPS, "early").await?;
    assert_eq!(link.event("MESSAGE_CREATE").await?["content"], "early");
    assert_eq!(link.event("MESSAGE_CREATE").await?["content"], "late");
    app.control.raw_event("SOMETHING_NEW", json!({"x": 1})).await?;
    assert_eq!(link.event("SOMETHING_NEW").await?["x"], 1);
    app.control.socket_fault("garbage", None).await?;
    assert!(link.frame().await.is_err());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_comes_whole_and_in_order() -> Result<(), Failure> {
    let app = App::new().await?;
    let mut link = app.link().await?;
    let load = Load {
        count: 300,
        users: vec![ANA.to_owned(), BEN.to_owned()],
        channels: vec![GENERAL.to_owned(), OPS.to_owned()],
        text_prefix: "load".to_owned(),
        ..Load::default()
    };
    let said = app.control.load(&load).await?;
    for said in said {
        assert_eq!(link.event("MESSAGE_CREATE").await?["id"], said.id);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn while_discord_is_away_nothing_answers_and_the_control_does() -> Result<(), Failure> {
    let app = App::quick().await?;
    let mut link = app.link().await?;
    app.control.away(true).await?;
    assert!(link.frame().await.is_err());
    assert!(app.get("/users/@me").await.is_err());
    app.control.away(false).await?;
    assert_eq!(app.get("/users/@me").await?.status, 200);
    app.control.next_fault("refuse_open", 1).await?;
    assert_eq!(app.get("/gateway").await?.status, 500);
    app.control.next_fault("refuse_connect", 1).await?;
    assert!(app.socket().await.is_err());
    app.link().await?;
    Ok(())
}
