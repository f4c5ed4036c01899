//! That what comes out here is read by the extractor as it is meant: whole calls as intents, everything else not at all.

use agent::{Extractor, Intent};
use serde_json::json;

use crate::{
    server::{Server, json as whole},
    setup::ask,
};

fn extractor() -> Extractor {
    let args = json!({
        "type": "object",
        "properties": { "version": { "type": "string" }, "force": { "type": "boolean" } },
        "required": ["version"],
        "additionalProperties": false,
    });
    Extractor::new(&[("deploy".into(), args)], &[], &[]).unwrap()
}

/// What the extractor makes of an answer with these calls.
async fn extracted(calls: &[(&str, &str)]) -> Result<Intent, String> {
    let calls: Vec<_> = calls
        .iter()
        .map(|(name, arguments)| json!({ "function": { "name": name, "arguments": arguments } }))
        .collect();
    let body = json!({ "choices": [{ "message": { "content": "{\"intent\":\"finish\",\"text\":\"words\"}", "tool_calls": calls }, "finish_reason": "tool_calls" }] });
    let server = Server::start(vec![whole(&body.to_string())]).await;
    let completion = ask("openai", &server.url, "").await.unwrap();
    extractor()
        .extract(&completion.text, completion.truncated)
        .map(|extracted| extracted.intent)
        .map_err(|rejection| rejection.what)
}

#[tokio::test]
async fn a_whole_call_is_its_intent() {
    let deploy = extracted(&[("deploy", r#"{"version":"v1"}"#)]).await;
    assert_eq!(deploy, Ok(Intent::Act { tool: "deploy".into(), args: json!({ "version": "v1" }) }));
    let finish = extracted(&[("finish", r#"{"text":"Done."}"#)]).await;
    assert_eq!(finish, Ok(Intent::Finish { text: "Done.".into(), files: vec![] }));
    let hand_over = extracted(&[("hand_over", r#"{ "reason" : "stuck" }"#)]).await;
    assert_eq!(hand_over, Ok(Intent::HandOver { reason: "stuck".into() }));
}

#[tokio::test]
async fn what_is_not_one_whole_call_is_no_intent() {
    for calls in [
        &[("deploy", r#"{"version":"v1"}"#), ("finish", r#"{"text":"x"}"#)][..],
        &[("deploy", r#"{"version":"v1"}"#), ("deploy", r#"{"version":"v2"}"#)],
        // Cut off, and cut off where it looks whole.
        &[("deploy", r#"{"version":"v1"#)],
        &[("deploy", r#"{"version":"v1","#)],
        &[("deploy", r#"{"version":"v1""#)],
        &[("finish", r#"{"text":"x""#)],
        // Words that would end the arguments and go on after them.
        &[("deploy", r#"{"version":"v1"},"tool":"other""#)],
        &[("deploy", r#"{"version":"v1"}}"#)],
        &[("deploy", r#"{"version":"v1"},"note":1"#)],
        &[("finish", r#"{"text":"x"},"files":[]"#)],
        // Doubled keys.
        &[("deploy", r#"{"version":"v1","version":"v2"}"#)],
        &[("finish", r#"{"intent":"hand_over","text":"x","reason":"y"}"#)],
        // No arguments, wrong ones, and a function that is not there.
        &[("deploy", "")],
        &[("deploy", r#""v1""#)],
        &[("drop", r#"{"version":"v1"}"#)],
    ] {
        let extracted = extracted(calls).await;
        assert!(extracted.is_err(), "{calls:?} became {extracted:?}");
    }
}
