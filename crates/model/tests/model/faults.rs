//! What goes wrong on the way, and that nothing of it passes for an answer.

use std::time::Duration;

use model::Kind;
use tokio::time::Instant;

use crate::{
    server::{Act, Server, json, status, stream, stream_head},
    setup::{KEY, RETRY, ask, ask_in_vain},
};

const OPENAI: &str = include_str!("../payloads/openai_function.sse");
const ANTHROPIC: &str = include_str!("../payloads/anthropic_function.sse");

async fn fault(kind: &str, answer: Vec<Act>) -> model::Error {
    let server = Server::start(vec![answer]).await;
    ask_in_vain(kind, &server.url, "idle_timeout = \"300ms\"\ntotal_timeout = \"3s\"").await
}

#[tokio::test]
async fn a_stream_that_is_cut_anywhere_is_no_answer() {
    for (kind, events, whole_from) in [
        // The reason for stopping makes it whole; the counts and `[DONE]` may be missing.
        ("openai", OPENAI, OPENAI.find("\"finish_reason\":\"tool_calls\"").unwrap()),
        ("anthropic", ANTHROPIC, ANTHROPIC.find("{\"type\":\"message_stop\"").unwrap()),
    ] {
        let cuts: Vec<usize> = (0..events.len()).step_by(89).filter(|cut| *cut < whole_from).collect();
        let answers =
            cuts.iter().map(|cut| vec![stream_head(), Act::Send(events.as_bytes()[..*cut].to_vec())]);
        let server = Server::start(answers.collect()).await;
        for cut in cuts {
            let error = ask(kind, &server.url, "").await.expect_err("a cut stream passed for whole");
            assert_eq!(error.kind, RETRY, "{kind} cut at {cut}: {error}");
        }
    }
}

#[tokio::test]
async fn a_body_that_is_cut_is_no_answer() {
    let body = include_str!("../payloads/openai_text.json");
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 9999\r\n\r\n";
    let error = fault("openai", vec![Act::Send(format!("{head}{body}").into_bytes())]).await;
    assert_eq!(error.kind, RETRY);
    let chunked = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n5\r\ndata:\r\n";
    let error = fault("openai", vec![Act::Send(chunked.as_bytes().to_vec())]).await;
    assert_eq!(error.kind, RETRY);
    assert!(error.what.contains("broke off"), "{error}");
    for (kind, body) in
        [("openai", "<html>"), ("openai", "{}"), ("anthropic", "{}"), ("anthropic", "[1]"), ("openai", "")]
    {
        assert_eq!(fault(kind, json(body)).await.kind, RETRY, "{kind} {body}");
    }
}

#[tokio::test]
async fn a_stalled_stream_is_given_up_early() {
    for (kind, events) in [("openai", OPENAI), ("anthropic", ANTHROPIC)] {
        let half = events.as_bytes()[..events.len() / 2].to_vec();
        let started = Instant::now();
        let error =
            fault(kind, vec![stream_head(), Act::Send(half), Act::Wait(Duration::from_secs(30))]).await;
        assert_eq!(error.kind, RETRY);
        assert!(error.what.contains("stood still for 300ms"), "{error}");
        assert!(started.elapsed() < Duration::from_secs(2));
    }
}

#[tokio::test]
async fn a_stream_that_drips_is_ended_by_the_whole_time() {
    let drip =
        (0..100).flat_map(|_| [Act::Send(b": ping\n\n".to_vec()), Act::Wait(Duration::from_millis(100))]);
    let server = Server::start(vec![[stream_head()].into_iter().chain(drip).collect()]).await;
    let error =
        ask_in_vain("anthropic", &server.url, "idle_timeout = \"300ms\"\ntotal_timeout = \"1s\"").await;
    assert_eq!(error.kind, RETRY);
    assert!(error.what.contains("within 1s"), "{error}");
}

#[tokio::test]
async fn a_server_that_is_silent_or_away() {
    let started = Instant::now();
    let settings = "connect_timeout = \"100ms\"\nidle_timeout = \"200ms\"";
    let server = Server::start(vec![vec![Act::Wait(Duration::from_secs(30))]]).await;
    let error = ask_in_vain("openai", &server.url, settings).await;
    assert!(error.kind == RETRY && error.what.contains("no answer within"), "{error}");

    let server = Server::start(vec![vec![]]).await;
    assert_eq!(ask_in_vain("openai", &server.url, settings).await.kind, RETRY);

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = ask_in_vain("openai", &url, settings).await;
    assert!(error.kind == RETRY && error.what.contains("cannot connect to 127.0.0.1:"), "{error}");
    assert!(started.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn a_huge_answer_is_not_swallowed() {
    let filler = "x".repeat(70_000);
    let endless = format!(": {filler}\n");
    let json_body =
        format!(r#"{{"choices":[{{"message":{{"content":"{filler}"}},"finish_reason":"stop"}}]}}"#);
    for answer in [stream(&endless), json(&json_body)] {
        let server = Server::start(vec![answer]).await;
        let error = ask_in_vain("openai", &server.url, "response_bytes_max = 65536").await;
        assert_eq!(error.kind, Kind::Refused);
        assert!(error.what.contains("larger than 65536 bytes"), "{error}");
    }
    let error = fault("openai", status(500, "", &filler)).await;
    assert!(error.kind == RETRY && error.what.len() < 500, "{error}");
}

#[tokio::test]
async fn statuses_are_sorted() {
    let overloaded =
        r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"req_1"}"#;
    let too_long = r#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 205 tokens > 200 maximum"}}"#;
    for (status_code, headers, body, kind, words) in [
        (429, "retry-after: 7\r\n", "", Kind::Retry { after: Some(Duration::from_secs(7)) }, "429"),
        (503, "", "<h1>Service\r\nUnavailable</h1>", RETRY, "503: <h1>Service Unavailable</h1>"),
        (529, "", overloaded, RETRY, "529: overloaded_error: Overloaded"),
        (400, "", too_long, Kind::TooLong, "too long"),
        (
            404,
            "",
            r#"{"error":{"message":"The model `x` does not exist"}}"#,
            Kind::Refused,
            "check `model` and `url`",
        ),
        (
            400,
            "",
            r#"{"error":{"type":"invalid_request_error","message":"tool_choice: forced use is not supported"}}"#,
            Kind::Refused,
            "force_call = false",
        ),
    ] {
        for provider in ["openai", "anthropic"] {
            let error = fault(provider, status(status_code, headers, body)).await;
            assert_eq!((error.kind, error.calls), (kind, 1), "{error}");
            assert!(error.what.contains(words), "{error}");
        }
    }
}

#[tokio::test]
async fn retry_after_may_be_a_date() {
    let at = jiff::Timestamp::now() + Duration::from_secs(60);
    let date = at.strftime("%a, %d %b %Y %H:%M:%S GMT");
    let error = fault("openai", status(429, &format!("retry-after: {date}\r\n"), "{}")).await;
    let Kind::Retry { after: Some(after) } = error.kind else { panic!("{error:?}") };
    assert!((50..=60).contains(&after.as_secs()), "{after:?}");
}

#[tokio::test]
async fn a_wrong_key_is_told_without_the_key() {
    let body = format!(
        r#"{{"error":{{"message":"Incorrect API key provided: {KEY} ({}****cdef).","type":"invalid_request_error","code":"invalid_api_key"}}}}"#,
        &KEY[..10]
    );
    for (status_code, kind) in
        [(401, Kind::Unauthorized), (403, Kind::Unauthorized), (400, Kind::Refused), (500, RETRY)]
    {
        let error = fault("openai", status(status_code, "", &body)).await;
        assert_eq!(error.kind, kind, "{error}");
        assert!(!error.what.contains("cdef"), "{error}");
    }
    let event = format!(
        "event: error\ndata: {{\"type\":\"error\",\"error\":{{\"type\":\"authentication_error\",\"message\":\"{KEY}\"}}}}\n\n"
    );
    let error = fault("anthropic", stream(&event)).await;
    assert_eq!(error.kind, Kind::Unauthorized);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let target = Server::start(vec![json(include_str!("../payloads/openai_text.json"))]).await;
    let location = format!("location: {}/chat/completions?token=abc\r\n", target.url);
    let error = fault("openai", status(307, &location, "")).await;
    assert_eq!(error.kind, Kind::Refused);
    assert!(error.what.contains("redirect to http://127.0.0.1:") && !error.what.contains("abc"), "{error}");
    assert!(target.requests().is_empty());
}

#[tokio::test]
async fn an_error_inside_a_stream_ends_it() {
    let head = &ANTHROPIC[..ANTHROPIC.find("event: content_block_delta").unwrap()];
    let error = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n";
    let stop = "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
    let fault_seen = fault("anthropic", stream(&format!("{head}{error}{stop}"))).await;
    assert!(fault_seen.kind == RETRY && fault_seen.what.contains("Overloaded"), "{fault_seen}");

    let error = "data: {\"error\":{\"message\":\"The server had an error\",\"type\":\"server_error\"}}\n\ndata: [DONE]\n\n";
    let fault_seen = fault("openai", stream(error)).await;
    assert!(fault_seen.kind == RETRY && fault_seen.what.contains("server_error"), "{fault_seen}");
    // Some servers answer 200 and mean an error.
    let fault_seen = fault("openai", json(r#"{"error":{"message":"context length exceeded"}}"#)).await;
    assert_eq!(fault_seen.kind, Kind::TooLong);
}

#[tokio::test]
async fn a_stream_that_is_not_text_is_no_answer() {
    let error = fault("openai", vec![stream_head(), Act::Send(b"data: \xff\xfe\n\n".to_vec())]).await;
    assert!(error.kind == RETRY && error.what.contains("UTF-8"), "{error}");
}
