//! Good answers, and those that are sound HTTP but not what was asked for.

use std::{sync::Mutex, time::Duration};

use agent::{Prompt, Usage};
use model::{Completion, Kind};
use serde_json::Value;

use crate::{
    server::{Act, Server, json, stream, stream_cut, stream_head},
    setup::{UNHEARD, ask, ask_in_vain, prompt, provider},
};

const FILES: [(&str, &str, &str); 2] = [
    (
        "openai",
        include_str!("../payloads/openai_function.json"),
        include_str!("../payloads/openai_function.sse"),
    ),
    (
        "anthropic",
        include_str!("../payloads/anthropic_function.json"),
        include_str!("../payloads/anthropic_function.sse"),
    ),
];

async fn answered(kind: &str, answer: Vec<Act>) -> Completion {
    let server = Server::start(vec![answer]).await;
    ask(kind, &server.url, "").await.unwrap()
}

fn counts(usage: Usage) -> (u64, u64, u32) {
    (usage.input, usage.output, usage.calls)
}

#[tokio::test]
async fn a_function_call_streamed_and_not() {
    for (kind, whole, events) in FILES {
        for answer in [json(whole), stream(events), stream_cut(events, 7), stream_cut(events, 1)] {
            let completion = answered(kind, answer).await;
            let output: Value = serde_json::from_str(&completion.text).unwrap();
            let expected = serde_json::json!({
                "intent": "act", "tool": "deploy", "args": { "version": "v1.4", "target": "Zürich 🛫" },
            });
            assert_eq!(output, expected, "{kind}");
            assert_eq!(counts(completion.usage), (1_540, 87, 1), "{kind}");
            assert!(!completion.truncated && completion.note.is_none());
            let model =
                if kind == "openai" { "p/gpt-4o-mini-2024-07-18" } else { "p/claude-sonnet-4-5-20250929" };
            assert_eq!(completion.model, model);
        }
    }
}

#[tokio::test]
async fn words_as_they_are() {
    let expected = r#"{"next":{"intent":"finish","text":"Hello."}}"#;
    for (kind, answer) in [
        ("openai", json(include_str!("../payloads/openai_text.json"))),
        ("anthropic", json(include_str!("../payloads/anthropic_text.json"))),
        // Without `[DONE]` and without counts, as small servers do.
        ("openai", stream(include_str!("../payloads/openai_text.sse"))),
    ] {
        let completion = answered(kind, answer).await;
        assert_eq!((completion.text.as_str(), completion.truncated), (expected, false));
    }
    let parts = r#"{"choices":[{"message":{"content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},"finish_reason":"stop"}]}"#;
    let completion = answered("openai", json(parts)).await;
    assert_eq!((completion.text.as_str(), completion.model.as_str()), ("ab", "p/small"));
}

#[tokio::test]
async fn a_stop_for_lack_of_room_is_marked() {
    let cut = json(include_str!("../payloads/anthropic_cut.json"));
    let completion = answered("anthropic", cut).await;
    assert!(completion.truncated);
    assert_eq!(completion.text, r#"{"next":{"intent":"fin"#);
    let events = include_str!("../payloads/openai_function.sse")
        .replace("\"finish_reason\":\"tool_calls\"", "\"finish_reason\":\"length\"");
    assert!(answered("openai", stream(&events)).await.truncated);
    let full = include_str!("../payloads/anthropic_function.sse")
        .replace("\"stop_reason\":\"tool_use\"", "\"stop_reason\":\"model_context_window_exceeded\"");
    assert!(answered("anthropic", stream(&full)).await.truncated);
}

#[tokio::test]
async fn broken_arguments_are_passed_on_broken() {
    let whole = FILES[0].1.replace(r#"Zürich 🛫\"}"#, r#"Zürich"#);
    let events = FILES[1].2.replace(r#""partial_json":"}""#, r#""partial_json":",}""#);
    for (kind, answer) in [("openai", json(&whole)), ("anthropic", stream(&events))] {
        let completion = answered(kind, answer).await;
        assert!(serde_json::from_str::<Value>(&completion.text).is_err(), "{}", completion.text);
        assert!(
            completion.text.starts_with(r#"{"intent":"act","tool":"deploy","args":{"#),
            "{}",
            completion.text
        );
        assert!(completion.text.contains("Zürich"));
    }
}

#[tokio::test]
async fn several_calls_all_come_out() {
    let calls = |kind: &str, calls: &str| match kind {
        "openai" => format!(
            r#"{{"choices":[{{"message":{{"tool_calls":[{calls}]}},"finish_reason":"tool_calls"}}]}}"#
        ),
        _ => format!(r#"{{"type":"message","content":[{calls}],"stop_reason":"tool_use"}}"#),
    };
    let expected =
        "{\"intent\":\"act\",\"tool\":\"deploy\",\"args\":{}}\n{\"intent\":\"finish\",\"text\":\"x\"}";
    let openai = r#"{"id":"a","function":{"name":"deploy","arguments":""}},{"id":"b","function":{"name":"finish","arguments":{"text":"x"}}}"#;
    let anthropic = r#"{"type":"tool_use","name":"deploy","input":{}},{"type":"tool_use","name":"finish","input":{"text":"x"}}"#;
    for (kind, two) in [("openai", openai), ("anthropic", anthropic)] {
        assert_eq!(answered(kind, json(&calls(kind, two))).await.text, expected, "{kind}");
    }
}

#[tokio::test]
async fn streamed_calls_are_told_apart_however_servers_number_them() {
    let piece = |calls: &str| {
        format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"tool_calls\":[{calls}]}}}}]}}\n\n")
    };
    let end = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\ndata: [DONE]\n\n";
    let one = r#"{"intent":"act","tool":"a","args":{"x":1}}"#;
    let two =
        "{\"intent\":\"act\",\"tool\":\"a\",\"args\":{}}\n{\"intent\":\"act\",\"tool\":\"b\",\"args\":{}}";
    for (pieces, expected) in [
        // Numbered from 1, the name repeated, the id repeated.
        (
            vec![
                r#"{"index":1,"id":"i","function":{"name":"a","arguments":"{\"x\""}}"#,
                r#"{"index":1,"id":"i","function":{"name":"a","arguments":":1}"}}"#,
            ],
            one,
        ),
        // No numbers.
        (
            vec![
                r#"{"id":"i","function":{"name":"a","arguments":"{\"x\""}}"#,
                r#"{"function":{"arguments":":1}"}}"#,
            ],
            one,
        ),
        // Two at the same number.
        (
            vec![
                r#"{"index":0,"id":"i","function":{"name":"a","arguments":"{}"}}"#,
                r#"{"index":0,"id":"j","function":{"name":"b","arguments":"{}"}}"#,
            ],
            two,
        ),
        // Two mixed.
        (
            vec![
                r#"{"index":0,"id":"i","function":{"name":"a"}},{"index":1,"id":"j","function":{"name":"b"}}"#,
                r#"{"index":1,"function":{"arguments":"{}"}},{"index":0,"function":{"arguments":"{}"}}"#,
            ],
            two,
        ),
    ] {
        let events: String = pieces.iter().map(|calls| piece(calls)).collect();
        assert_eq!(answered("openai", stream(&(events + end))).await.text, expected);
    }
}

#[tokio::test]
async fn a_refusal_is_an_error_with_its_words() {
    for (kind, body, words) in [
        ("openai", include_str!("../payloads/openai_refusal.json"), "I cannot assist"),
        ("anthropic", include_str!("../payloads/anthropic_refusal.json"), "I can't help"),
        (
            "openai",
            r#"{"choices":[{"message":{"content":""},"finish_reason":"content_filter"}]}"#,
            "content_filter",
        ),
    ] {
        let server = Server::start(vec![json(body)]).await;
        let error = ask_in_vain(kind, &server.url, "").await;
        assert_eq!(error.kind, Kind::Refused);
        assert!(error.what.contains(words) && error.what.starts_with("p/small: "), "{error}");
    }
}

#[tokio::test]
async fn an_empty_answer_is_empty() {
    let nothing = r#"{"choices":[{"message":{"role":"assistant","content":null},"finish_reason":"stop"}]}"#;
    assert_eq!(answered("openai", json(nothing)).await.text, "");
    let server = Server::start(vec![json(nothing)]).await;
    let model = provider("openai", &server.url, "");
    assert_eq!(model.name(), "p/small");
    assert_eq!(model.complete(&Prompt { messages: vec![], ..prompt() }, UNHEARD).await.unwrap().text, "");
}

/// What is told of an answer while it comes, and the answer.
async fn heard(kind: &str, answer: Vec<Act>, prompt: &Prompt) -> (Vec<String>, String) {
    let server = Server::start(vec![answer]).await;
    let heard = Mutex::new(Vec::new());
    let progress = |output: &str| heard.lock().unwrap().push(output.to_owned());
    let completion = provider(kind, &server.url, "").complete(prompt, &progress).await.unwrap();
    (heard.into_inner().unwrap(), completion.text)
}

/// An answer that comes event by event, each a little later than the one before.
fn slowly(events: &str) -> Vec<Act> {
    let pause = Act::Wait(Duration::from_millis(20));
    let events = events.split_inclusive("\n\n");
    let pieces = events.flat_map(|event| [Act::Send(event.as_bytes().to_vec()), pause.clone()]);
    [stream_head()].into_iter().chain(pieces).collect()
}

#[tokio::test]
async fn a_streamed_call_is_told_as_it_grows_and_in_the_form_it_ends_in() {
    let finish = |kind: &str, pieces: &[&str]| {
        let quoted = pieces.iter().map(|piece| serde_json::to_string(piece).unwrap());
        let events: Vec<String> = match kind {
            "openai" => quoted
                .map(|args| format!(r#"{{"choices":[{{"delta":{{"content":"Well. ","tool_calls":[{{"index":0,"id":"i","function":{{"name":"finish","arguments":{args}}}}}]}}}}]}}"#))
                .chain([r#"{"choices":[{"delta":{},"finish_reason":"tool_calls"}]}"#.to_owned()])
                .collect(),
            _ => [
                r#"{"type":"message_start","message":{}}"#.to_owned(),
                r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":"Well. "}}"#.to_owned(),
                r#"{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","name":"finish","input":{}}}"#.to_owned(),
            ]
            .into_iter()
            .chain(quoted.map(|args| format!(r#"{{"type":"content_block_delta","index":1,"delta":{{"type":"input_json_delta","partial_json":{args}}}}}"#)))
            .chain([r#"{"type":"message_delta","delta":{"stop_reason":"tool_use"}}"#, r#"{"type":"message_stop"}"#].map(str::to_owned))
            .collect(),
        };
        events.iter().map(|event| format!("data: {event}\n\n")).collect::<String>()
    };
    let pieces = [r#"{"te"#, r#"xt":"It"#, r#" is "#, r#"noon."}"#];
    let whole = r#"{"intent":"finish","text":"It is noon."}"#;
    // The network may put pieces together; what is told is always where one of them ended.
    let ends = [r#""te"#, r#""text":"It"#, r#""text":"It is"#, r#""text":"It is noon."}"#];
    let ends = ends.map(|end| format!(r#"{{"intent":"finish",{end}"#));
    for kind in ["openai", "anthropic"] {
        let (mut told, output) = heard(kind, slowly(&finish(kind, &pieces)), &prompt()).await;
        assert_eq!(output, whole, "{kind}");
        // Before its first argument it is a call without any.
        told.retain(|told| told != r#"{"intent":"finish"}"#);
        assert!(told.len() > 1 && told.iter().all(|told| ends.contains(told)), "{kind}: {told:?}");
        assert!(told.is_sorted_by(|a, b| a.len() < b.len()), "{kind}: {told:?}");
    }
}

#[tokio::test]
async fn words_are_told_where_they_are_the_output_and_nothing_is_told_of_what_comes_at_once() {
    let events = include_str!("../payloads/openai_text.sse");
    let schema = Prompt { output: agent::Output::Schema, ..prompt() };
    let (told, whole) = heard("openai", slowly(events), &schema).await;
    assert!(told.len() > 1 && told.iter().all(|told| whole.starts_with(told.as_str())), "{told:?}");
    // Beside functions they may be the model thinking aloud.
    let (told, whole) = heard("openai", slowly(events), &prompt()).await;
    assert!(told.is_empty() && !whole.is_empty(), "{told:?}");
    for (kind, whole, _) in FILES {
        assert_eq!(heard(kind, json(whole), &prompt()).await.0, Vec::<String>::new(), "{kind}");
    }
}
