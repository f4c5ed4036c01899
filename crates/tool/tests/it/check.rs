//! What is said about a tool before it runs.

use serde_json::{Value, json};

use crate::bench::{Bench, spec};

/// The paths of the flaws, under `tools.probe`.
fn flaws(bench: &Bench, run: Value, more: Value) -> Vec<String> {
    let found = tool::check(&spec(run, more), "probe", &bench.folder);
    for flaw in &found {
        assert!(!flaw.what.is_empty() && !flaw.remedy.is_empty());
        assert_eq!(flaw.path[..2], ["tools", "probe"]);
    }
    found.iter().map(|flaw| flaw.path[2..].join(".")).collect()
}

fn parameters() -> Value {
    json!({ "parameters": { "type": "object", "properties": { "id": {}, "text": {} } } })
}

#[test]
fn a_program_is_looked_at() {
    let bench = Bench::new();
    bench.script("good", "");
    std::fs::write(bench.folder.join("tools/plain"), "x").unwrap();
    for (command, expected) in [
        (json!({ "argv": ["tools/good", "{id}", "--x={text}", "{print $1}"] }), vec![]),
        (json!({ "argv": ["sh", "{id}"] }), vec![]),
        (json!({ "argv": ["./tools/good"] }), vec![]),
        (json!({ "argv": [] }), vec!["run.command.argv"]),
        (json!({ "argv": ["tools/absent"] }), vec!["run.command.argv.0"]),
        (json!({ "argv": ["tools/plain"] }), vec!["run.command.argv.0"]),
        (json!({ "argv": ["../good"] }), vec!["run.command.argv.0"]),
        (json!({ "argv": ["/bin/sh"] }), vec!["run.command.argv.0"]),
        (json!({ "argv": ["{id}"] }), vec!["run.command.argv.0"]),
        (json!({ "argv": ["no-such-program-here"] }), vec!["run.command.argv.0"]),
        (json!({ "argv": ["sh", "{od}", "{env:KEY}"] }), vec!["run.command.argv.1", "run.command.argv.2"]),
        (
            json!({ "argv": ["sh"], "env": ["OK", "A=B", "TOOL_KEY"] }),
            vec!["run.command.env.1", "run.command.env.2"],
        ),
    ] {
        assert_eq!(flaws(&bench, json!({ "command": command }), parameters()), expected, "{command}");
    }
}

#[test]
fn a_request_is_looked_at() {
    let bench = Bench::new();
    let url = "run.http.url";
    for (http, expected) in [
        (json!({ "url": "https://api.example.com/a/{id}?q={text}" }), vec![]),
        (json!({ "url": "http://127.0.0.1:8080/{id}", "allow_private": ["127.0.0.1:8080"] }), vec![]),
        (json!({ "url": "https://10.0.0.1/", "allow_private": ["10.0.0.1"] }), vec![]),
        (json!({ "url": "http://api.example.com/" }), vec![url]),
        (json!({ "url": "http://127.0.0.1:8081/", "allow_private": ["127.0.0.1:8080"] }), vec![url]),
        (json!({ "url": "https://127.1/" }), vec![url]),
        (json!({ "url": "https://0x7f000001/" }), vec![url]),
        (json!({ "url": "https://[::1]/" }), vec![url]),
        (json!({ "url": "https://{id}.example.com/" }), vec![url]),
        (json!({ "url": "{id}://example.com/" }), vec![url]),
        (json!({ "url": "https://example.com:{id}/" }), vec![url]),
        (json!({ "url": "https://example.com\\{id}@evil.example/" }), vec![]),
        (json!({ "url": "https://me:pw@example.com/" }), vec![url]),
        (json!({ "url": "ftp://example.com/" }), vec![url]),
        (json!({ "url": "file:///etc/passwd" }), vec![url]),
        (json!({ "url": "example.com" }), vec![url]),
        (json!({ "url": "https://example.com/{od}" }), vec![url]),
        (json!({ "url": "https://example.com/{env:KEY}#x" }), vec![url, url]),
        (json!({ "url": "https://e.example/", "method": "get" }), vec!["run.http.method"]),
        (json!({ "url": "https://e.example/", "method": "TRACE" }), vec!["run.http.method"]),
        (json!({ "url": "https://e.example/", "json_body": true }), vec!["run.http.json_body"]),
        (
            json!({ "url": "https://e.example/", "headers": { "A b": "x", "Host": "y", "X": "{od}", "Y": "{env:K} {id}", "Z": "a\r\nb" } }),
            vec!["run.http.headers.A b", "run.http.headers.Host", "run.http.headers.X", "run.http.headers.Z"],
        ),
        (
            json!({ "url": "https://e.example/", "headers": { "X-Key": "x" }, "key_header": "x-key" }),
            vec!["run.http.key_header"],
        ),
        (
            json!({ "url": "https://e.example/", "allow_private": ["ok.example", "http://x"] }),
            vec!["run.http.allow_private.1"],
        ),
    ] {
        assert_eq!(flaws(&bench, json!({ "http": http }), parameters()), expected, "{http}");
    }
    let by_key = json!({ "repeat": "by_key" });
    assert_eq!(
        flaws(&bench, json!({ "http": { "url": "https://e.example/" } }), by_key),
        ["run.http.key_header"]
    );
}

#[test]
fn what_every_tool_has_is_looked_at() {
    let bench = Bench::new();
    let clock = json!({ "builtin": "clock" });
    let read = json!({ "builtin": "read_file" });
    let named = json!({ "parameters": { "type": "object", "properties": { "name": {} } } });
    for (run, more, expected) in [
        (clock.clone(), json!({}), vec![]),
        (clock.clone(), named.clone(), vec!["parameters"]),
        (read.clone(), json!({}), vec!["parameters"]),
        (read, named, vec![]),
        (clock.clone(), json!({ "parameters": { "type": "string" } }), vec!["parameters"]),
        (
            clock.clone(),
            json!({ "parameters": { "type": "object", "required": ["x"] } }),
            vec!["parameters.required"],
        ),
        (clock.clone(), json!({ "secret": ["x"] }), vec!["secret.0"]),
        (clock.clone(), json!({ "timeout": "0s" }), vec!["timeout"]),
        (clock.clone(), json!({ "timeout": "25h" }), vec!["timeout"]),
        (clock.clone(), json!({ "output_bytes_max": 0 }), vec!["output_bytes_max"]),
        (clock, json!({ "output_bytes_max": 2_000_000 }), vec!["output_bytes_max"]),
    ] {
        assert_eq!(flaws(&bench, run.clone(), more.clone()), expected, "{run} {more}");
    }
}
