//! From model outputs to intents: a corpus, and laws.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at the first surprise")]

#[path = "extract/preview.rs"]
mod preview;

use std::{
    fmt::Write as _,
    time::{Duration, Instant},
};

use agent::{Extracted, Extractor, Intent, WantedCall, args_hash, canonical};
use proptest::prelude::*;
use serde_json::{Value, json};

fn extractor() -> Extractor {
    let tools = [
        (
            "refund",
            json!({ "type": "object", "additionalProperties": false, "required": ["order", "amount"], "properties": {
                "order": { "type": "string", "pattern": "^[A-Z][0-9]+$" },
                "amount": { "type": "number", "minimum": 0 },
                "note": { "type": "string" },
            } }),
        ),
        (
            "deploy",
            json!({ "type": "object", "additionalProperties": false, "required": ["version", "env"], "properties": {
                "version": { "type": "string" },
                "env": { "enum": ["staging", "production"] },
            } }),
        ),
        (
            "lookup",
            json!({ "type": "object", "$defs": { "item": { "type": "object", "properties": {
                "name": { "type": "string" } } } },
                "properties": { "items": { "type": "array", "items": { "$ref": "#/$defs/item" } } } }),
        ),
        ("clock", json!({ "type": "object", "properties": {}, "additionalProperties": false })),
    ];
    let tools: Vec<_> = tools.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect();
    Extractor::new(&tools, &["support-desk".into(), "ann".into()], &[]).unwrap().with_calls(4)
}

/// One case of the corpus.
#[derive(Default)]
struct Case {
    name: String,
    truncated: bool,
    input: Vec<String>,
    intent: Option<Value>,
    mended: String,
    words: Vec<String>,
}

fn corpus() -> Vec<Case> {
    let mut cases: Vec<Case> = vec![];
    for line in include_str!("extract/corpus.txt").lines() {
        if let Some(name) = line.strip_prefix("=== ") {
            cases.push(Case { name: name.into(), ..Case::default() });
            continue;
        }
        let Some(case) = cases.last_mut() else { continue };
        if line == "%%% truncated" {
            case.truncated = true;
        } else if let Some(mended) = line.strip_prefix(">>> mended: ") {
            case.mended = mended.into();
        } else if let Some(intent) = line.strip_prefix(">>> ") {
            case.intent = Some(serde_json::from_str(intent).expect(&case.name));
        } else if let Some(words) = line.strip_prefix("!!! ") {
            case.words.push(words.into());
        } else if case.intent.is_none() && case.words.is_empty() {
            case.input.push(line.into());
        } else {
            assert!(line.is_empty(), "{}: {line:?} after the outcome", case.name);
        }
    }
    cases
}

/// What is wrong with one case, if anything.
fn check(extractor: &Extractor, case: &Case) -> Option<String> {
    let outcome = extractor.extract(&case.input.join("\n"), case.truncated);
    match (&case.intent, outcome) {
        (Some(want), Ok(Extracted { intent, repairs })) => {
            let got = serde_json::to_value(&intent).unwrap();
            let names: Vec<String> = repairs.iter().map(|repair| format!("{repair:?}")).collect();
            let same = got == *want && names.join(", ") == case.mended;
            (!same).then(|| format!("got {got}\n  mended: {}", names.join(", ")))
        }
        (None, Err(rejection)) => {
            assert!(!case.words.is_empty(), "{}: no outcome", case.name);
            let missing = case.words.iter().find(|words| !rejection.what.contains(words.as_str()));
            missing.map(|words| format!("does not say {words:?}:\n{rejection}"))
        }
        (None, Ok(extracted)) => Some(format!("should be rejected: {:?}", extracted.intent)),
        (Some(_), Err(rejection)) => Some(format!("is rejected: {rejection}")),
    }
}

#[test]
fn corpus_holds() {
    let extractor = extractor();
    let cases = corpus();
    assert!(cases.len() >= 100, "{} cases", cases.len());
    let mut faults = String::new();
    for case in &cases {
        if let Some(fault) = check(&extractor, case) {
            writeln!(faults, "{}: {fault}", case.name).unwrap();
        }
    }
    assert!(faults.is_empty(), "\n{faults}");
}

/// Each beginning of a valid output is rejected or says the same; with the provider's word that it is cut, too.
#[test]
fn beginnings_never_say_something_else() {
    let extractor = extractor();
    let mut beginnings = 0;
    for case in corpus() {
        let whole = case.input.join("\n");
        // The documented exception: thoughts whose opening tag was in the prompt.
        let headless = whole.contains("</think>") && !whole.to_lowercase().contains("<think");
        let Some(intent) = case.intent.filter(|_| !headless) else { continue };
        for end in (0..whole.len()).filter(|&end| whole.is_char_boundary(end)) {
            for truncated in [false, true] {
                if let Ok(extracted) = extractor.extract(&whole[..end], truncated) {
                    let got = serde_json::to_value(&extracted.intent).unwrap();
                    assert_eq!(got, intent, "{}: {:?}", case.name, &whole[..end]);
                    beginnings += 1;
                }
            }
        }
    }
    assert!(beginnings > 100, "only {beginnings} beginnings were readable");
}

/// Far more than any of them takes where time grows with length, on whatever machine, and far less than where it grows with its
/// square.
const MINUTES: Duration = Duration::from_secs(30);

#[test]
fn hostile_texts_take_little_time_and_stack() {
    let extractor = extractor();
    let size = 256 * 1024;
    let seeds = [
        "{",
        "}",
        "[",
        "{\"a\":",
        "{\"a\":[",
        "{'a':\"",
        "\"",
        "{\"",
        "{\\\"",
        "{/*",
        "{ //",
        "{a",
        "{a:",
        "<",
        "<think>",
        "</think>",
        "{\u{201c}</think>",
        "{\"a\" </think>",
        "<think>{",
        "```",
        "```{",
        "{}",
        "{} ",
        "{\"intent\":1}",
        "{\"intent\":\"finish\",\"text\":\"a\"}\n",
        "\\",
        "{\"a\":1,",
        "{\"a\":1e",
        "{\"a\":\"\\u",
        " {",
        "{ ",
        "{ \n",
        "{\\n",
        "'",
        "`",
        ":{",
        "\":{",
        "{\"a\":1}, ",
        "{\"a\":9",
    ];
    for seed in seeds {
        for (head, tail) in
            [("", ""), ("{\"a\":", ""), ("{\"a\":[", "]}"), ("{\"a\":\"", "\"}"), ("<think>", "</think>")]
        {
            let body = seed.repeat((size - head.len() - tail.len()) / seed.len());
            let text = format!("{head}{body}{tail}");
            let start = Instant::now();
            let outcome = extractor.extract(&text, false);
            assert!(start.elapsed() < MINUTES, "{head}{seed}… took {:?}", start.elapsed());
            let start = Instant::now();
            let _ = extractor.preview(&text);
            assert!(start.elapsed() < MINUTES, "{head}{seed}… took {:?}", start.elapsed());
            if let Err(rejection) = outcome {
                assert!(rejection.what.len() <= 1024, "{seed}: {} bytes", rejection.what.len());
            }
        }
    }
}

#[test]
fn limits_are_kept() {
    let extractor = extractor();
    let say = |text: &str| json!({ "intent": "say", "text": text }).to_string();
    let what =
        |output: &str| extractor.extract(output, false).map(|_| ()).map_err(|rejection| rejection.what);
    assert!(what(&say(&"ä".repeat(16_000))).is_ok());
    assert!(
        what(&say(&"a".repeat(16_001))).unwrap_err().contains("text: has 16001 characters; at most 16000")
    );
    assert!(what(&say(&"a".repeat(256 * 1024))).unwrap_err().contains("at most 262144 are read"));

    let nested = |depth: usize| {
        let args = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        format!(r#"{{"intent":"act","tool":"lookup","args":{{"a":{args}}}}}"#)
    };
    assert!(what(&nested(62)).is_ok());
    assert!(what(&nested(63)).unwrap_err().contains("nest too deep"));

    let wide = |n: usize| {
        let args = json!({ "a": vec![0; n] });
        format!(r#"{{"intent":"act","tool":"lookup","args":{args}}}"#)
    };
    assert!(what(&wide(9_996)).is_ok());
    assert!(what(&wide(9_997)).unwrap_err().contains("write a smaller object"));

    let many = |n: usize| format!("{}{}", "{}\n".repeat(n), say("a"));
    assert!(what(&many(63)).is_ok());
    assert!(what(&many(64)).unwrap_err().contains("more than 64 JSON objects"));

    let faulty: Vec<Value> = (0..50).map(|_| json!({ "name": "x".repeat(3).len() })).collect();
    let faulty = json!({ "intent": "act", "tool": "lookup", "args": { "items": faulty } }).to_string();
    let faulty = what(&faulty).unwrap_err();
    assert!(faulty.lines().count() == 9 && faulty.ends_with("and more"), "{faulty}");

    let unknown: serde_json::Map<String, Value> = (0..1000).map(|i| (format!("ä{i}"), Value::Null)).collect();
    let unknown =
        what(&json!({ "intent": "act", "tool": "clock", "args": unknown }).to_string()).unwrap_err();
    assert!(unknown.len() <= 1024 && unknown.ends_with('…'), "{unknown}");
}

/// Brackets are supplied only where the schema leaves no room for anything else; formats are checked.
#[test]
fn a_tools_schema_is_taken_at_its_word() {
    let properties = json!({ "mail": { "type": "string", "format": "email" } });
    let closed = json!({ "type": "object", "properties": properties, "additionalProperties": false });
    let mut patterns = closed.clone();
    patterns["patternProperties"] = json!({ "^x-": {} });
    let open = json!({ "type": "object", "properties": properties });
    let tools: Vec<_> = [("closed", closed), ("patterns", patterns), ("open", open)]
        .into_iter()
        .map(|(name, schema)| (name.to_owned(), schema))
        .collect();
    let extractor = Extractor::new(&tools, &[], &[]).unwrap();
    for (tool, supplied) in [("closed", true), ("patterns", false), ("open", false)] {
        let cut = format!(r#"{{"intent":"act","tool":"{tool}","args":{{"mail":"a@b.example""#);
        assert_eq!(extractor.extract(&cut, false).is_ok(), supplied, "{cut}");
        assert!(extractor.extract(&format!("{cut}}}}}"), false).is_ok(), "{cut}");
        let wrong = extractor.extract(&cut.replace('@', " at ").replace(".example\"", "\"}}"), false);
        assert!(wrong.is_err_and(|error| error.what.contains("args.mail: \"a at b\" is not a \"email\"")));
    }
}

#[test]
fn tools_that_cannot_be_used_are_named() {
    let new = |name: &str, schema: Value| {
        Extractor::new(&[(name.to_owned(), schema)], &[], &[]).err().unwrap_or_default()
    };
    let object = || json!({ "type": "object" });
    assert_eq!(new("fine_1-a", object()), "");
    for (name, schema, words) in [
        (
            "pay",
            json!({ "type": "object", "properties": { "a": { "type": "nonsense" } } }),
            "`parameters.properties.a.type`",
        ),
        ("pay", json!({ "type": "object", "properties": { "a": { "pattern": "(" } } }), "pattern"),
        ("pay", json!({ "type": "object", "properties": { "a": { "$ref": "#/$defs/none" } } }), "$defs/none"),
        (
            "pay",
            json!({ "type": "object", "properties": { "a": { "$ref": "https://example.com/a.json" } } }),
            "example.com",
        ),
        ("pay", json!({ "type": "array" }), "\"type\": \"object\""),
        ("pay", json!(true), "\"type\": \"object\""),
        ("ask", object(), "name of an intent"),
        ("a b", object(), "letters, digits"),
        ("", object(), "letters, digits"),
    ] {
        let error = new(name, schema.clone());
        assert!(
            error.starts_with("tool ") && error.contains(name) && error.contains(words),
            "{schema}: {error}"
        );
    }
    let twice = Extractor::new(&[("a".to_owned(), object()), ("a".to_owned(), object())], &[], &[]);
    assert!(twice.is_err_and(|error| error.contains("tool `a`: there are two")));
}

#[test]
fn functions_are_tools_and_words() {
    let functions = extractor().functions(&[
        ("refund".to_owned(), "Pays back.".to_owned()),
        ("say".to_owned(), "Speak.".to_owned()),
    ]);
    let names: Vec<&str> = functions.iter().map(|function| function.name.as_str()).collect();
    assert_eq!(
        names,
        ["refund", "deploy", "lookup", "clock", "ask", "say", "finish", "hand_over", "act_all"]
    );
    assert_eq!(functions[0].description, "Pays back.");
    assert_eq!(functions[5].description, "Speak.");
    assert!(!functions[6].description.is_empty());
    assert_eq!(functions[4].parameters["properties"]["to"]["enum"], json!(["origin", "support-desk", "ann"]));
    for function in functions {
        assert_eq!(function.parameters["type"], "object", "{}", function.name);
        jsonschema::validator_for(&function.parameters).unwrap();
    }
}

/// Several calls are one intent: each of them is held to its tool, and none may stand there twice.
#[test]
fn several_calls_are_each_held_to_their_tool() {
    let extractor = extractor();
    let schema = jsonschema::validator_for(extractor.schema()).unwrap();
    let deploy =
        |version: &str| json!({ "tool": "deploy", "args": { "version": version, "env": "staging" } });
    let lookup = json!({ "tool": "lookup", "args": { "items": [{ "name": 1 }] } });
    for (calls, fault) in [
        (json!([deploy("v1"), deploy("v2")]), None),
        (json!([deploy("v1"), { "tool": "clock", "args": {} }, deploy("v2")]), None),
        (json!([deploy("v1"), deploy("v1")]), Some("calls[1]: the same call stands there twice")),
        (json!([deploy("v1")]), Some("write 2 to 4")),
        (json!([]), Some("write 2 to 4")),
        (json!([deploy("v1"), deploy("v2"), deploy("v3"), deploy("v4"), deploy("v5")]), Some("write 2 to 4")),
        (json!({ "0": deploy("v1") }), Some("is not a list")),
        (json!([deploy("v1"), "deploy v2"]), Some("calls[1]: ")),
        (
            json!([deploy("v1"), { "tool": "deploy", "args": {}, "why": "x" }]),
            Some("`tool` and `args` alone"),
        ),
        (json!([deploy("v1"), { "tool": "deploy" }]), Some("calls[1].args: missing")),
        (json!([deploy("v1"), { "args": {} }]), Some("calls[1].tool: missing")),
        (json!([deploy("v1"), { "tool": "wipe", "args": {} }]), Some("calls[1].tool: ")),
        (
            json!([deploy("v1"), { "tool": "deploy", "args": { "version": "v2", "env": "mars" } }]),
            Some("calls[1].args.env"),
        ),
        (json!([deploy("v1"), lookup]), Some("calls[1].args.items[0].name")),
    ] {
        let output = json!({ "next": { "intent": "act_all", "calls": calls } });
        let extracted = extractor.extract(&output.to_string(), false);
        match fault {
            None => assert!(matches!(extracted.unwrap().intent, Intent::ActAll { .. })),
            Some(fault) => {
                let what = extracted.unwrap_err().what;
                assert!(what.contains(fault), "{fault}: {what}");
            }
        }
        assert_eq!(schema.is_valid(&output), fault.is_none(), "{output}");
    }
    // An agent that may not do it has no such intent.
    let one = extractor.with_calls(1);
    let output = json!({ "intent": "act_all", "calls": [deploy("v1"), deploy("v2")] });
    assert!(one.extract(&output.to_string(), false).is_err());
    assert!(!one.schema_text().contains("act_all"));
    assert!(one.functions(&[]).iter().all(|function| function.name != "act_all"));
}

/// The schema that the provider is given says the same as the extractor, on every strict case of the corpus.
#[test]
fn schema_and_extractor_agree() {
    let extractor = extractor();
    let schema = jsonschema::validator_for(extractor.schema()).unwrap();
    let mut seen = (0, 0);
    for case in corpus() {
        let Ok(Value::Object(output)) = serde_json::from_str(&case.input.join("\n")) else { continue };
        let output = Value::Object(output);
        let wrapped = if output.get("next").is_some() { output } else { json!({ "next": output }) };
        let extracted = extractor.extract(&wrapped.to_string(), false);
        // White space is a text to JSON Schema; null and an empty list are faults to it.
        if case.mended == "EmptyField" || case.name == "text empty" {
            continue;
        }
        assert_eq!(schema.is_valid(&wrapped), extracted.is_ok(), "{}: {wrapped}", case.name);
        if extracted.is_ok() { seen.0 += 1 } else { seen.1 += 1 }
    }
    assert!(seen.0 >= 10 && seen.1 >= 20, "{seen:?}");
}

#[test]
fn references_in_a_tools_schema_still_work_in_the_whole() {
    let tool = json!({ "$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object",
        "properties": { "tree": { "$ref": "#/$defs/node" }, "$ref": { "const": { "$ref": "#/a" } }, "default": { "$ref": "#/$defs/node" } },
        "$defs": { "node": { "type": "object", "additionalProperties": { "$ref": "#/$defs/node" } } } });
    let tools = [("clock".to_owned(), json!({ "type": "object" })), ("plant".to_owned(), tool)];
    let extractor = Extractor::new(&tools, &[], &[]).unwrap();
    assert_eq!(extractor.schema().to_string().matches("$schema").count(), 1);
    let schema = jsonschema::validator_for(extractor.schema()).unwrap();
    for (args, good) in [
        (json!({ "tree": { "a": { "b": {} } } }), true),
        (json!({ "tree": { "a": { "b": 1 } } }), false),
        (json!({ "$ref": { "$ref": "#/a" } }), true),
        (json!({ "$ref": { "$ref": "#/b" } }), false),
        (json!({ "default": { "x": 1 } }), false),
    ] {
        let output = json!({ "next": { "intent": "act", "tool": "plant", "args": args } });
        assert_eq!(schema.is_valid(&output), good, "{output}");
        assert_eq!(extractor.extract(&output.to_string(), false).is_ok(), good, "{output}");
    }
}

#[test]
fn canonical_is_rfc_8785() {
    // The examples of the standard: section 3.2.2, 3.2.3 and appendix B.
    let mixed: Value = serde_json::from_str(
        r#"{"numbers":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001],
            "string":"\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/","literals":[null,true,false]}"#,
    )
    .unwrap();
    assert_eq!(
        canonical(&mixed),
        concat!(
            r#"{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"#,
            r#""string":"€$\u000f\nA'B\"\\\\\"/"}"#
        )
    );
    let sorted: Value = serde_json::from_str(
        r#"{"\u20ac":"Euro Sign","\r":"Carriage Return","\ufb33":"Hebrew Letter Dalet With Dagesh","1":"One",
            "\ud83d\ude00":"Emoji: Grinning Face","\u0080":"Control","\u00f6":"Latin Small Letter O With Diaeresis"}"#,
    )
    .unwrap();
    let sorted = canonical(&sorted);
    let order =
        ["Carriage", "One", "Control", "Latin", "Euro", "Emoji", "Hebrew"].map(|word| sorted.find(word));
    assert!(order.is_sorted() && order.iter().all(Option::is_some), "{sorted}");
    for (bits, text) in [
        (0x0000_0000_0000_0000, "0"),
        (0x8000_0000_0000_0000, "0"),
        (0x0000_0000_0000_0001, "5e-324"),
        (0x8000_0000_0000_0001, "-5e-324"),
        (0x7fef_ffff_ffff_ffff, "1.7976931348623157e+308"),
        (0xffef_ffff_ffff_ffff, "-1.7976931348623157e+308"),
        (0x4340_0000_0000_0000, "9007199254740992"),
        (0xc340_0000_0000_0000, "-9007199254740992"),
        (0x4430_0000_0000_0000, "295147905179352830000"),
        (0x44b5_2d02_c7e1_4af5, "9.999999999999997e+22"),
        (0x44b5_2d02_c7e1_4af6, "1e+23"),
        (0x44b5_2d02_c7e1_4af7, "1.0000000000000001e+23"),
        (0x444b_1ae4_d6e2_ef4e, "999999999999999700000"),
        (0x444b_1ae4_d6e2_ef4f, "999999999999999900000"),
        (0x444b_1ae4_d6e2_ef50, "1e+21"),
        (0x3eb0_c6f7_a0b5_ed8c, "9.999999999999997e-7"),
        (0x3eb0_c6f7_a0b5_ed8d, "0.000001"),
        (0x41b3_de43_5555_5553, "333333333.3333332"),
        (0x41b3_de43_5555_5557, "333333333.33333343"),
        (0xbecb_f647_612f_3696, "-0.0000033333333333333333"),
        (0x4314_3ff3_c1cb_0959, "1424953923781206.2"),
    ] {
        assert_eq!(canonical(&json!(f64::from_bits(bits))), text);
    }
}

#[test]
fn hash_tells_values_apart_and_not_texts() {
    let hash = |text: &str| args_hash(&serde_json::from_str(text).unwrap());
    assert_eq!(hash(r#"{"a":1,"b":[1.0,"\u00e4"]}"#), hash(r#"{ "b":[1,"ä"], "a":1 }"#));
    assert_eq!(hash("{}"), "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a");
    assert_ne!(hash(r#"{"a":1}"#), hash(r#"{"a":"1"}"#));
    // One double, two integers.
    assert_ne!(hash("9007199254740992"), hash("9007199254740993"));
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~äß€😀\\n\"'{}<>/`\\\\]{0,30}x",
        any::<String>().prop_map(|text| format!("{text}x")),
        Just("x <think> ``` {\"intent\":\"finish\",\"text\":\"b\"} </think>".to_owned()),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_filter("finite", |double| double.is_finite()).prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(text(), inner, 0..5).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

fn intent() -> impl Strategy<Value = Intent> {
    let options =
        prop::collection::btree_set("[a-zä ]{0,20}x", 2..5).prop_map(|set| set.into_iter().collect());
    let options = prop_oneof![Just(vec![]), options];
    let files = || prop::collection::btree_set("[a-z.]{1,9}", 0..3).prop_map(|set| set.into_iter().collect());
    let to = prop::option::of(prop_oneof![Just("origin".to_owned()), Just("ann".to_owned())]);
    let args = prop::collection::btree_map("[a-hj-z\"]{0,5}", value(), 0..5);
    prop_oneof![
        args.prop_map(|args| Intent::Act { tool: "lookup".into(), args: args.into_iter().collect() }),
        ("v[0-9]{1,3}", "staging|production").prop_map(|(version, env)| Intent::Act {
            tool: "deploy".into(),
            args: json!({ "version": version, "env": env })
        }),
        prop::collection::btree_set("v[0-9]{1,3}", 2..5).prop_map(|versions| Intent::ActAll {
            calls: versions
                .into_iter()
                .map(|version| WantedCall {
                    tool: "deploy".into(),
                    args: json!({ "version": version, "env": "staging" })
                })
                .collect(),
        }),
        (text(), to, options, any::<bool>()).prop_map(|(text, to, options, several)| {
            let several = several && !options.is_empty();
            Intent::Ask { text, to, options, several, form: None }
        }),
        (text(), files()).prop_map(|(text, files)| Intent::Say { text, files }),
        (text(), files()).prop_map(|(text, files)| Intent::Finish { text, files }),
        text().prop_map(|reason| Intent::HandOver { reason }),
    ]
}

/// Pieces of which outputs are made, to reach deeper than random letters do.
fn soup() -> impl Strategy<Value = String> {
    let pieces = [
        "{",
        "}",
        "[",
        "]",
        "\"",
        "'",
        ":",
        ",",
        "\\",
        "intent",
        "\"intent\":",
        "\"finish\"",
        "\"text\":\"a\"",
        "next",
        " ",
        "\n",
        "```",
        "`",
        "<think>",
        "</think>",
        "//",
        "/*",
        "*/",
        "1",
        "1e9",
        "-",
        "true",
        "None",
        "\\u",
        "\\ud83d",
        "“",
        "”",
        "ä",
        "\u{feff}",
        "{\"intent\":\"finish\",\"text\":\"a\"}",
        "{\"next\":",
        "args",
        "\u{7f}",
        "\0",
    ];
    prop::collection::vec(prop::sample::select(pieces.to_vec()), 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn strict_json_is_read_to_the_letter(intent in intent(), pretty: bool, wrapped: bool) {
        let value = serde_json::to_value(&intent).unwrap();
        let value = if wrapped { json!({ "next": value }) } else { value };
        let output = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
        let extracted = extractor().extract(&output, false);
        prop_assert!(extracted.is_ok(), "{output}\n{extracted:?}");
        let extracted = extracted.unwrap();
        // A raw control character that JSON allows is no mending either.
        prop_assert_eq!(&extracted.repairs, &vec![]);
        let same = serde_json::to_string(&extracted.intent).unwrap() == serde_json::to_string(&intent).unwrap();
        prop_assert!(same, "{:?} became {:?}", intent, extracted.intent);
    }

    #[test]
    fn beginnings_of_intents_say_the_same_or_nothing(intent in intent(), prose in "[a-z .\\n]{0,9}", fenced: bool) {
        let extractor = extractor();
        let json = serde_json::to_string(&intent).unwrap();
        let whole = if fenced { format!("{prose}\n```json\n{json}\n```\n{prose}") } else { format!("{prose}{json} {prose}") };
        prop_assert!(extractor.extract(&whole, false).is_ok());
        for end in 0..whole.len() {
            // A cut in a character is what a lossy reader makes of it.
            let cut = String::from_utf8_lossy(&whole.as_bytes()[..end]);
            if let Ok(extracted) = extractor.extract(&cut, false) {
                prop_assert_eq!(canonical(&json!(extracted.intent)), canonical(&json!(intent)), "{}", cut);
            }
        }
    }

    #[test]
    fn nothing_panics(noise in any::<String>(), soup in soup(), bytes in prop::collection::vec(any::<u8>(), 0..200), truncated: bool) {
        let extractor = extractor();
        for text in [noise, soup, String::from_utf8_lossy(&bytes).into_owned()] {
            let _ = extractor.preview(&text);
            match extractor.extract(&text, truncated) {
                Ok(extracted) => prop_assert!(serde_json::to_string(&extracted.intent).is_ok()),
                Err(rejection) => prop_assert!(!rejection.what.is_empty() && rejection.what.len() <= 1024),
            }
        }
    }

    /// What the tolerant reader takes, and strict JSON takes too, is the same value.
    #[test]
    fn strict_and_tolerant_agree(soup in soup()) {
        let strict: Result<Intent, _> = serde_json::from_str(&soup);
        if let (Ok(strict), Ok(extracted)) = (strict, extractor().extract(&soup, false)) {
            prop_assert_eq!(strict, extracted.intent);
        }
    }

    #[test]
    fn canonical_text_is_the_value(value in value()) {
        let again: Value = serde_json::from_str(&canonical(&value)).unwrap();
        prop_assert_eq!(canonical(&again), canonical(&value));
    }
}
