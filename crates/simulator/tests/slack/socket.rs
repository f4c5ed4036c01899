//! Socket Mode.

use futures_util::SinkExt;
use serde_json::json;
use simulator::slack::Load;
use tokio_tungstenite::{connect_async, tungstenite::Message};

use super::{
    Failure,
    app::{App, error, eventually},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_mention_comes_as_a_message_and_as_a_mention() -> Result<(), Failure> {
    let app = App::new().await?;
    let mut link = app.link().await?;
    let said = app.control.say("U0ANA0001", "C0GEN0001", "hello <@U0BOT0001> & <b>").await?;
    let message = link.take().await?;
    let mention = link.take().await?;
    assert_eq!(message["type"], "events_api");
    assert_eq!(message["accepts_response_payload"], false);
    assert_eq!((message["retry_attempt"].as_u64(), message["retry_reason"].as_str()), (Some(0), Some("")));
    assert_eq!(message["payload"]["type"], "event_callback");
    assert_eq!(message["payload"]["api_app_id"], "A0SIM0001");
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

#[tokio::test(flavor = "multi_thread")]
async fn an_envelope_that_is_not_acknowledged_comes_again_and_is_lost_in_the_end() -> Result<(), Failure> {
    let app = App::quick().await?;
    let mut link = app.link().await?;
    app.control.dm("U0ANA0001", "hello").await?;
    let first = link.next().await?;
    for attempt in 1..4 {
        let again = link.next().await?;
        assert_eq!(first["payload"]["event_id"], again["payload"]["event_id"]);
        assert_ne!(first["envelope_id"], again["envelope_id"]);
        assert_eq!(
            (again["retry_attempt"].as_u64(), again["retry_reason"].as_str()),
            (Some(attempt), Some("timeout"))
        );
    }
    eventually(async || Ok(app.control.deliveries().await?[0].lost)).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledged_envelope_does_not_come_again() -> Result<(), Failure> {
    let app = App::new().await?;
    let mut link = app.link().await?;
    app.control.dm("U0ANA0001", "one").await?;
    link.take().await?;
    eventually(async || Ok(app.control.deliveries().await?[0].acked)).await?;
    app.control.dm("U0ANA0001", "two").await?;
    assert_eq!(link.take().await?["payload"]["event"]["text"], "two");
    let sockets = app.control.sockets().await?;
    eventually(async || Ok(app.control.sockets().await?[0].acked == 2)).await?;
    assert_eq!(sockets.len(), 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_on_a_socket_that_closed_comes_on_another() -> Result<(), Failure> {
    let app = App::quick().await?;
    let mut one = app.link().await?;
    let mut two = app.link().await?;
    app.control.time_scale(100.0).await?;
    app.control.dm("U0ANA0001", "hello").await?;
    one.next().await?;
    app.control.time_scale(0.01).await?;
    drop(one);
    let again = two.take().await?;
    assert_eq!(
        (again["retry_attempt"].as_u64(), again["retry_reason"].as_str()),
        (Some(1), Some("connection_failed"))
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_without_a_socket_waits_for_one() -> Result<(), Failure> {
    let app = App::quick().await?;
    app.control.dm("U0ANA0001", "early").await?;
    let mut link = app.link().await?;
    let late = link.take().await?;
    assert_eq!(late["payload"]["event"]["text"], "early");
    assert_ne!(late["retry_attempt"], 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_is_announced_and_then_the_socket_closes() -> Result<(), Failure> {
    let app = App::quick().await?;
    let mut link = app.link().await?;
    app.control.socket_fault("refresh", None).await?;
    let warning = link.next().await?;
    assert_eq!((warning["type"].as_str(), warning["reason"].as_str()), (Some("disconnect"), Some("warning")));
    let goodbye = link.next().await?;
    assert_eq!(goodbye["reason"], "refresh_requested");
    assert!(link.next().await.is_err());
    let mut link = app.link().await?;
    app.control.socket_fault("link_disabled", None).await?;
    assert_eq!(link.next().await?["reason"], "link_disabled");
    let mut late = app.connect().await?;
    assert_eq!(late.next().await?["reason"], "link_disabled", "it stays off");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ghost_swallows_what_it_gets_until_the_app_leaves_it() -> Result<(), Failure> {
    let app = App::quick().await?;
    let ghost = app.link().await?;
    let id = app.control.sockets().await?[0].id;
    app.control.socket_fault("ghost", Some(id)).await?;
    let mut alive = app.link().await?;
    for number in 0..4 {
        app.control.dm("U0ANA0001", &number.to_string()).await?;
    }
    let mut retried = 0;
    for _ in 0..4 {
        retried += alive.take().await?["retry_attempt"].as_u64().unwrap_or_default();
    }
    assert!(retried > 0, "the ghost got nothing");
    let sockets = app.control.sockets().await?;
    assert!(sockets.iter().any(|socket| socket.id == id && socket.ghost && socket.acked == 0));
    drop(ghost);
    eventually(async || Ok(app.control.sockets().await?.len() == 1)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn things_come_twice_late_or_in_another_order_when_wanted() -> Result<(), Failure> {
    let app = App::new().await?;
    let mut link = app.link().await?;
    app.control.next_fault("duplicate", 1).await?;
    app.control.dm("U0ANA0001", "twice").await?;
    let (one, two) = (link.take().await?, link.take().await?);
    assert_eq!(one["payload"]["event_id"], two["payload"]["event_id"]);
    assert_ne!(one["envelope_id"], two["envelope_id"]);
    app.control.next_fault("reorder", 3).await?;
    for text in ["a", "b", "c"] {
        app.control.dm("U0ANA0001", text).await?;
    }
    let mut texts = Vec::new();
    for _ in 0..3 {
        texts.push(link.take().await?["payload"]["event"]["text"].clone());
    }
    assert_eq!(texts, ["c", "b", "a"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledgement_that_is_lost_brings_the_event_again() -> Result<(), Failure> {
    let app = App::quick().await?;
    let mut link = app.link().await?;
    app.control.next_fault("lose_acks", 1).await?;
    app.control.dm("U0ANA0001", "hello").await?;
    link.take().await?;
    assert_eq!(link.take().await?["retry_attempt"], 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_opens_one_socket_and_ten_are_enough() -> Result<(), Failure> {
    let app = App::new().await?;
    let opened = app.call_as(&app.slack.app_token(), "apps.connections.open", json!({})).await?;
    let url = opened["url"].as_str().unwrap_or_default();
    let (first, _) = connect_async(url).await?;
    assert!(connect_async(url).await.is_err(), "a ticket counts once");
    drop(first);
    eventually(async || Ok(app.control.sockets().await?.is_empty())).await?;
    let mut links = Vec::new();
    for _ in 0..10 {
        links.push(app.link().await?);
    }
    let opened = app.call_as(&app.slack.app_token(), "apps.connections.open", json!({})).await?;
    let (stream, _) = connect_async(opened["url"].as_str().unwrap_or_default()).await?;
    let mut eleventh = super::app::Link(stream);
    assert_eq!(eleventh.next().await?["reason"], "too_many_websockets");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn new_connections_are_refused_when_wanted() -> Result<(), Failure> {
    let app = App::new().await?;
    app.control.next_fault("refuse_open", 1).await?;
    let refused = app.call_as(&app.slack.app_token(), "apps.connections.open", json!({})).await?;
    assert_eq!(error(&refused), "internal_error");
    app.control.next_fault("refuse_connect", 1).await?;
    assert!(app.link().await.is_err());
    app.link().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn raw_frames_and_raw_events_come_as_they_are() -> Result<(), Failure> {
    let app = App::new().await?;
    let mut link = app.link().await?;
    app.control.raw_frame("{\"type\":\"surprise\"}").await?;
    assert_eq!(link.next().await?["type"], "surprise");
    app.control.raw_event(json!({"type": "odd"}), json!({"event_id": "Ev1", "team_id": "T9"})).await?;
    let odd = link.take().await?;
    assert_eq!(odd["payload"]["event"]["type"], "odd");
    assert_eq!(
        (odd["payload"]["event_id"].as_str(), odd["payload"]["team_id"].as_str()),
        (Some("Ev1"), Some("T9"))
    );
    app.control.socket_fault("garbage", None).await?;
    assert!(link.next().await.is_err());
    link.0.send(Message::text("not JSON")).await?;
    link.0.send(Message::text("{\"envelope_id\":\"unknown\"}")).await?;
    app.control.dm("U0ANA0001", "still there").await?;
    assert_eq!(link.take().await?["payload"]["event"]["text"], "still there");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn while_slack_is_away_nothing_answers_and_the_control_does() -> Result<(), Failure> {
    let app = App::new().await?;
    let mut link = app.link().await?;
    app.control.away(true).await?;
    assert!(link.next().await.is_err());
    assert!(app.call("auth.test", json!({})).await.is_err());
    app.control.away(false).await?;
    assert_eq!(app.call("auth.test", json!({})).await?["ok"], true);
    app.link().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_events_over_two_sockets_are_all_acknowledged() -> Result<(), Failure> {
    let app = App::new().await?;
    let mut links = [app.link().await?, app.link().await?];
    let channels = vec!["C0GEN0001".to_owned(), "C0OPS0001".to_owned()];
    let users = vec!["U0ANA0001".to_owned(), "U0BEN0001".to_owned()];
    let load = Load { count: 500, users, channels, text_prefix: "load".to_owned(), ..Load::default() };
    let control = app.control.clone();
    let loading = tokio::spawn(async move { control.load(&load).await });
    let [one, two] = &mut links;
    let mut taken = std::collections::BTreeSet::new();
    while taken.len() < 1000 {
        let envelope = tokio::select! {
            envelope = one.take() => envelope?,
            envelope = two.take() => envelope?,
        };
        taken.insert(envelope["payload"]["event_id"].to_string());
    }
    assert_eq!(loading.await??.len(), 500);
    eventually(async || Ok(app.control.deliveries().await?.iter().all(|delivery| delivery.acked))).await?;
    let sockets = app.control.sockets().await?;
    assert!(sockets.iter().all(|socket| socket.acked > 0));
    Ok(())
}
