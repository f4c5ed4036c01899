//! The scripted model and its rules.

use agent::Prompt;
use model::{Completion, Error, Kind, Model, Script, Scripted};
use serde_json::{Value, json};

use crate::setup::{UNHEARD, prompt};

const SCRIPT: &str = r#"
help = "Try: deploy v1.4 to production."

[[rules]]
on = "heard"
matches = '(?i)\bdeploy\b.*?(?P<version>v[\d.]+)(?: to (?P<target>\w+))?'
when = "target is defined"
intent = '''{"intent":"act","tool":"deploy","args":{"version":{{ version|tojson }},"to":{{ target|tojson }}}}'''

[[rules]]
on = "heard"
matches = '(?i)\bdeploy\b'
intent = '{"intent":"ask","text":{{ ("Which version, " ~ requester ~ "?")|tojson }}}'

[[rules]]
on = "done"
tool = "lookup_order"
when = "last.result.amount > 100"
intent = '{"intent":"act","tool":"refund","args":{"order":{{ last.args.order|tojson }}}}'

[[rules]]
on = "done"
tool = "lookup_order"
when = "last.result.amount <= 100 and events|length > 0"
intent = '{"intent":"finish","text":"small"}'

[[rules]]
on = "lapsed"
intent = '{{ last.nothing }}'

[[rules]]
on = "said"
intent = '{% for i in range(10000) %}{% for j in range(10000) %}x{% endfor %}{% endfor %}'

[[rules]]
on = "unknown"
when = "last.tool + 1"
intent = 'x'
"#;

async fn complete(script: Option<&str>, situation: Value) -> Result<Completion, Error> {
    Scripted.complete(&Prompt { script: script.map(str::to_owned), situation, ..prompt() }, UNHEARD).await
}

async fn output(last: Value) -> Value {
    let situation = json!({
        "agent": "deploy", "requester": "Ann \"A\"", "request": "x", "tools": ["deploy", "refund"],
        "events": [{ "kind": "heard" }], "last": last, "target": "what a group of the same name hides",
    });
    let completion = complete(Some(SCRIPT), situation).await.unwrap();
    assert_eq!((completion.note.as_deref(), completion.model.as_str()), (Some("scripted model"), "scripted"));
    serde_json::from_str(&completion.text).unwrap()
}

#[tokio::test]
async fn the_first_rule_that_fits_decides() {
    assert_eq!(
        output(json!({ "kind": "heard", "text": "please DEPLOY now: v1.4 to production" })).await,
        json!({ "intent": "act", "tool": "deploy", "args": { "version": "v1.4", "to": "production" } })
    );
    // The group took no part, so the first rule does not fit.
    assert_eq!(
        output(json!({ "kind": "heard", "text": "deploy v1.4" })).await,
        json!({ "intent": "ask", "text": "Which version, Ann \"A\"?" })
    );
    let done = |amount: Value| json!({ "kind": "done", "tool": "lookup_order", "args": { "order": "7" }, "result": { "amount": amount } });
    assert_eq!(
        output(done(json!(120))).await,
        json!({ "intent": "act", "tool": "refund", "args": { "order": "7" } })
    );
    assert_eq!(output(done(json!(20))).await, json!({ "intent": "finish", "text": "small" }));
}

#[tokio::test]
async fn what_is_not_there_fits_no_rule() {
    for result in [json!({}), json!({ "result": {} }), json!({ "result": null }), json!({ "result": "text" })]
    {
        let mut last = json!({ "kind": "done", "tool": "lookup_order", "args": {} });
        last.as_object_mut().unwrap().extend(result.as_object().unwrap().clone());
        let text = output(last).await["text"].as_str().unwrap().to_owned();
        assert!(text.starts_with("`lookup_order` is done: "), "{result}: {text}");
    }
}

#[tokio::test]
async fn without_a_rule_it_says_what_it_is() {
    let text = |output: Value| {
        assert_eq!(output["intent"], "finish");
        output["text"].as_str().unwrap().to_owned()
    };
    let said = text(output(json!({ "kind": "heard", "text": "hello" })).await);
    assert!(
        said.contains("This is the scripted model") && said.ends_with("Try: deploy v1.4 to production."),
        "{said}"
    );
    let said = text(output(json!({ "kind": "rejected", "tool": "refund", "comment": "wrong\norder" })).await);
    assert!(said.starts_with("`refund` was rejected and did not run: wrong order\n"), "{said}");
    let said = text(output(json!({ "kind": "failed", "tool": "deploy", "error": "no such version" })).await);
    assert!(said.starts_with("`deploy` failed: no such version"), "{said}");

    for situation in [Value::Null, json!([]), json!({}), json!({ "last": 3, "tools": [1, "deploy"] })] {
        let completion = complete(None, situation).await.unwrap();
        let said = text(serde_json::from_str(&completion.text).unwrap());
        assert!(said.contains("There is no rule for this."), "{said}");
    }
}

#[tokio::test]
async fn an_error_in_a_rule_names_the_rule() {
    for (kind, number, words) in [
        ("lapsed", 5, "undefined value"),
        ("said", 6, "engine ran out of fuel"),
        ("unknown", 7, "invalid operation"),
    ] {
        let error =
            complete(Some(SCRIPT), json!({ "last": { "kind": kind, "tool": "t" } })).await.unwrap_err();
        assert_eq!(error.kind, Kind::Refused);
        assert!(error.what.starts_with(&format!("scripted: script.toml, rule {number}: {words}")), "{error}");
    }
}

#[test]
fn a_script_is_checked_when_it_is_read() {
    let rule = |rest: &str| {
        format!("help = \"x\"\n\n[[rules]]\non = \"heard\"\nintent = \"x\"\n[[rules]]\n{rest}\n")
    };
    for (script, expected) in [
        ("help = ".to_owned(), "line 1: "),
        ("[[rules]]\non = \"heard\"".to_owned(), "line 1: missing field `intent`"),
        ("[[rules]]\nintent = \"x\"\nif = \"y\"".to_owned(), "line 3: unknown field `if`"),
        (rule("on = \"herd\"\nintent = \"x\""), "line 7: rule 2, `on`: `herd` is none of heard, done"),
        (rule("intent = \"x\"\nmatches = '(a'"), "line 8: rule 2, `matches`: "),
        (
            rule("intent = \"x\"\nmatches = '(\\w{100}){100}'"),
            "line 8: rule 2, `matches`: Compiled regex exceeds size limit",
        ),
        (
            rule("intent = \"x\"\nmatches = '(?P<last>a)'"),
            "line 8: rule 2, `matches`: a group may not be named `last`",
        ),
        (rule("when = \"a >\"\nintent = \"x\""), "line 7: rule 2, `when`: "),
        (rule("intent = '{{ a'"), "line 7: rule 2, `intent`: "),
        ("#".repeat(300_000), "the script is larger"),
        ("[[rules]]\nintent = \"x\"\n".repeat(201), "the script has more than 200 rules"),
    ] {
        let error = Script::parse(&script).unwrap_err();
        assert!(error.starts_with(expected), "{expected}: {error}");
    }
    Script::parse(SCRIPT).unwrap();
    Script::parse("").unwrap();
}
