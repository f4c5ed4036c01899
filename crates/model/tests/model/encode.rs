//! What is sent: bodies as snapshots, messages byte for byte.

use agent::{Message, Output, Prompt, Role};
use model::Kind;
use serde_json::Value;

use crate::{
    server::{Server, json},
    setup::{KEY, UNHEARD, prompt, provider},
};

const ANSWER: &str = include_str!("../payloads/openai_text.json");
const ANTHROPIC_ANSWER: &str = include_str!("../payloads/anthropic_text.json");

/// The body that was sent for a prompt.
async fn sent(kind: &str, more: &str, prompt: &Prompt) -> Value {
    let answer = if kind == "openai" { ANSWER } else { ANTHROPIC_ANSWER };
    let server = Server::start(vec![json(answer)]).await;
    provider(kind, &server.url, more).complete(prompt, UNHEARD).await.unwrap();
    let request = server.requests().remove(0);
    let head = request.head.to_lowercase();
    assert!(head.contains("content-type: application/json"), "{head}");
    if kind == "openai" {
        assert!(head.starts_with("post /chat/completions "), "{head}");
        assert!(head.contains(&format!("authorization: bearer {KEY}\r")), "{head}");
    } else {
        assert!(head.starts_with("post /v1/messages "), "{head}");
        assert!(
            head.contains(&format!("x-api-key: {KEY}\r")) && head.contains("anthropic-version: 2023-06-01")
        );
    }
    request.body
}

#[tokio::test]
async fn a_prompt_with_functions() {
    insta::assert_json_snapshot!("openai_functions", sent("openai", "", &prompt()).await);
    insta::assert_json_snapshot!("anthropic_functions", sent("anthropic", "", &prompt()).await);
}

#[tokio::test]
async fn a_prompt_with_a_schema() {
    let prompt = Prompt { output: Output::Schema, temperature: None, ..prompt() };
    let more =
        "effort = \"low\"\nthinking_tokens = 500\nstream = false\nanswer_key = \"max_completion_tokens\"";
    insta::assert_json_snapshot!("openai_schema", sent("openai", more, &prompt).await);
    insta::assert_json_snapshot!("anthropic_schema", sent("anthropic", more, &prompt).await);
}

#[tokio::test]
async fn a_model_that_may_not_be_forced() {
    let more = "force_call = false";
    assert_eq!(sent("openai", more, &prompt()).await["tool_choice"], "auto");
    let choice = &sent("anthropic", more, &prompt()).await["tool_choice"];
    assert_eq!(choice, &serde_json::json!({ "type": "auto", "disable_parallel_tool_use": true }));
}

#[tokio::test]
async fn what_a_provider_cannot_is_asked_in_the_next_best_way() {
    let way = |body: &Value| {
        let has = |key| body.get(key).is_some();
        let schema = has("response_format") || body.pointer("/output_config/format").is_some();
        match (has("tools"), schema) {
            (true, false) => Output::Functions,
            (false, true) => Output::Schema,
            (false, false) => Output::Text,
            (true, true) => panic!("both: {body}"),
        }
    };
    for (asked, can, given) in [
        (Output::Functions, "[\"schema\"]", Output::Schema),
        (Output::Functions, "[]", Output::Text),
        (Output::Schema, "[\"functions\"]", Output::Functions),
        (Output::Schema, "[\"text\"]", Output::Text),
        (Output::Text, "[\"functions\", \"schema\"]", Output::Text),
    ] {
        for kind in ["openai", "anthropic"] {
            let prompt = Prompt { output: asked, ..prompt() };
            let body = sent(kind, &format!("output = {can}"), &prompt).await;
            assert_eq!(way(&body), given, "{kind}: {asked:?} at {can}");
        }
    }
    let nothing_to_call = Prompt { functions: vec![], ..prompt() };
    assert_eq!(way(&sent("openai", "", &nothing_to_call).await), Output::Schema);
}

#[tokio::test]
async fn messages_go_byte_for_byte_in_their_order_and_roles() {
    let prompt = prompt();
    let said = |message: &Value| {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (text(&message["role"]), text(&message["content"]))
    };
    let expected: Vec<_> = prompt
        .messages
        .iter()
        .map(|message| (message.role.as_str().to_owned(), message.text.clone()))
        .collect();

    let body = sent("openai", "", &prompt).await;
    let got: Vec<_> = body["messages"].as_array().unwrap().iter().map(said).collect();
    assert_eq!(got, expected);

    let body = sent("anthropic", "", &prompt).await;
    let system = body["system"].as_array().unwrap().iter();
    let system = system.map(|block| ("system".to_owned(), block["text"].as_str().unwrap().to_owned()));
    let got: Vec<_> = system.chain(body["messages"].as_array().unwrap().iter().map(said)).collect();
    assert_eq!(got, expected);
}

#[tokio::test]
async fn anthropic_has_no_place_for_a_later_system_message() {
    let mut prompt = prompt();
    prompt.messages.push(Message { role: Role::System, text: "Be brief.".into() });
    let server = Server::start(vec![]).await;
    let error = provider("anthropic", &server.url, "").complete(&prompt, UNHEARD).await.unwrap_err();
    assert_eq!((error.kind, error.calls), (Kind::Refused, 0));
    assert!(error.what.contains("message 7 has the role `system`"), "{error}");
    prompt.messages.truncate(2);
    let error = provider("anthropic", &server.url, "").complete(&prompt, UNHEARD).await.unwrap_err();
    assert_eq!((error.kind, error.calls), (Kind::Refused, 0));
    assert!(server.requests().is_empty());
}
