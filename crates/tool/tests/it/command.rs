//! Programs.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::Path,
    time::{Duration, Instant},
};

use agent::FaultKind;
use serde_json::{Value, json};

use crate::bench::{Bench, command, done, failed, spec, unknown};

/// Prints each argument in angle brackets.
const SHOW: &str = r#"for argument; do printf '<%s>' "$argument"; done"#;

/// Grows a file for as long as it lives.
const BEAT: &str = r#"beat() { while :; do printf . >>"$TOOL_STATE/beat"; sleep 0.02; done; }"#;

/// Waits until the file of `beat` is there.
async fn beats(file: &Path) {
    let start = Instant::now();
    while fs::metadata(file).map(|m| m.len()).unwrap_or(0) == 0 {
        assert!(start.elapsed() < Duration::from_secs(10), "it never began");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// True when the file of `beat` grows no more.
async fn is_still(file: &Path) -> bool {
    tokio::time::sleep(Duration::from_millis(100)).await;
    let before = fs::metadata(file).unwrap().len();
    tokio::time::sleep(Duration::from_millis(300)).await;
    fs::metadata(file).unwrap().len() == before
}

#[tokio::test]
async fn each_argument_stays_one_argument() {
    let bench = Bench::new();
    bench.script("show", SHOW);
    let spec = command(
        json!([
            "tools/show",
            "{text}",
            "x{text}y",
            "{number}",
            "{flag}",
            "{list}",
            "{absent}",
            "{none}",
            "{print $1}"
        ]),
        json!({}),
    );
    let text = "a b; touch pwned $(touch pwned) `touch pwned` 'q\" * ~ \\ \n{number} ü";
    let args = json!({ "text": text, "number": -4.5, "flag": true, "list": ["a", 1], "none": null });
    let ended = bench.run(&spec, args).await;
    let expected = format!("<{text}><x{text}y><-4.5><true><[\"a\",1]><><><{{print $1}}>");
    assert_eq!(done(&ended), &json!(expected));
    assert!(!bench.folder.join("pwned").exists());
}

#[tokio::test]
async fn what_looks_like_an_option_is_refused() {
    let bench = Bench::new();
    bench.script("show", SHOW);
    let args = json!({ "text": "--force", "number": -1, "empty": "" });
    for argv in [
        json!(["tools/show", "{text}"]),
        json!(["tools/show", "a", "{text}/x"]),
        json!(["tools/show", "{empty}{text}"]),
        json!(["tools/show", "{number}{text}"]),
        json!(["tools/show", "--{text}", "{text}"]),
    ] {
        let ended = bench.run(&command(argv.clone(), json!({ "repeat": "never" })), args.clone()).await;
        let (kind, what) = failed(&ended);
        assert_eq!(kind, FaultKind::BadCall, "{argv}");
        assert!(what.contains("begins with `-`"), "{what}");
    }
    for (argv, expected) in [
        (json!(["tools/show", "--", "{text}"]), "<--><--force>"),
        (json!(["tools/show", "--name={text}"]), "<--name=--force>"),
        (json!(["tools/show", "{number}"]), "<-1>"),
        (json!(["tools/show", "x{text}"]), "<x--force>"),
    ] {
        let ended = bench.run(&command(argv, json!({})), args.clone()).await;
        assert_eq!(done(&ended), &json!(expected));
    }
    let nul =
        bench.run(&command(json!(["tools/show", "{text}"]), json!({})), json!({ "text": "a\0b" })).await;
    assert_eq!(failed(&nul).0, FaultKind::BadCall);
}

#[tokio::test]
async fn the_call_comes_on_standard_input() {
    let bench = Bench::new();
    bench.script("cat", "cat");
    let ended = bench.run(&command(json!(["tools/cat"]), json!({})), json!({ "a": [1, "ü"] })).await;
    assert_eq!(done(&ended), &json!({ "tool": "probe", "args": { "a": [1, "ü"] }, "key": "k-1" }));
}

#[tokio::test]
async fn input_that_nobody_reads_is_no_failure() {
    let bench = Bench::new();
    let large = json!({ "text": "x".repeat(3_000_000) });
    for body in ["exec <&-; echo ok", "head -c 10 >/dev/null; echo ok", "echo ok"] {
        bench.script("deaf", body);
        let ended = bench.run(&command(json!(["tools/deaf"]), json!({})), large.clone()).await;
        assert_eq!(done(&ended), &json!("ok"), "{body}");
    }
}

#[tokio::test]
async fn the_environment_is_what_the_tool_names() {
    let bench =
        Bench::with_env(&[("HOME", "/home/x"), ("LANG", "C"), ("MY_KEY", "secret-7"), ("OTHER", "leak")]);
    let spec = spec(json!({ "command": { "argv": ["env"], "env": ["MY_KEY", "ABSENT"] } }), json!({}));
    let ended = bench.run(&spec, json!({})).await;
    let text = done(&ended).as_str().unwrap();
    let mut names: Vec<&str> = text.lines().map(|line| line.split_once('=').unwrap().0).collect();
    names.sort_unstable();
    assert_eq!(names, ["HOME", "LANG", "MY_KEY", "PATH", "TOOL_KEY", "TOOL_OUT", "TOOL_STATE"]);
    assert!(text.contains("MY_KEY=secret-7\n"), "{text}");
    assert!(text.contains("TOOL_KEY=k-1"), "{text}");
}

#[tokio::test]
async fn each_agent_has_state_of_its_own() {
    let bench = Bench::new();
    bench.script("count", r#"echo x >>"$TOOL_STATE/n"; wc -l <"$TOOL_STATE/n" | tr -d ' '; pwd -P >&2"#);
    let spec = command(json!(["tools/count"]), json!({}));
    for expected in [1, 2] {
        assert_eq!(done(&bench.run(&spec, json!({})).await), &json!(expected));
    }
    assert_eq!(done(&bench.run_as("other", &spec, json!({})).await), &json!(1));
    let out = bench.sh(r#"ls -ld "$TOOL_OUT" | cut -c 1-10"#).await;
    assert_eq!(done(&out), &json!("drwx------"));
    let mode = fs::metadata(bench.state.join("tester")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    for agent in ["..", "../x", "a/b", "/tmp", ""] {
        let ended = bench.run_as(agent, &spec, json!({})).await;
        assert_eq!(failed(&ended).0, FaultKind::ToolFailed, "{agent}");
    }
}

#[tokio::test]
async fn files_that_it_writes_are_kept() {
    let bench = Bench::new();
    let ended = bench
        .sh(r#"cd "$TOOL_OUT"; echo 1,2 >b.csv; echo hi >a.txt; mkdir d; ln -s /etc/passwd link; mkfifo pipe; pwd -P"#)
        .await;
    let names: Vec<_> =
        ended.files.iter().map(|f| (f.name.as_str(), f.kind.as_str(), f.bytes.as_slice())).collect();
    assert_eq!(names, [("a.txt", "text/plain", &b"hi\n"[..]), ("b.csv", "text/csv", &b"1,2\n"[..])]);
    let value = done(&ended);
    let left_out: Vec<_> =
        value["files_left_out"].as_array().unwrap().iter().map(|v| v.as_str().unwrap()).collect();
    assert_eq!(left_out.len(), 3, "{left_out:?}");
    for name in ["d: ", "link: ", "pipe: "] {
        assert!(left_out.iter().any(|line| line.starts_with(name)), "{left_out:?}");
    }
    assert!(!Path::new(value["result"].as_str().unwrap()).exists(), "the folder was left behind");
}

#[tokio::test]
async fn files_are_few_and_bounded() {
    let bench = Bench::new();
    let ended =
        bench.sh(r#"cd "$TOOL_OUT"; for n in 01 02 03 04 05 06 07 08 09 10 11 12; do echo >$n; done"#).await;
    assert_eq!(ended.files.len(), 10);
    assert_eq!(done(&ended)["files_left_out"], json!(["11: more than 10 files", "12: more than 10 files"]));
    let ended = bench
        .sh(r#"cd "$TOOL_OUT"; head -c 11000000 /dev/zero >a; head -c 6000000 /dev/zero >b; head -c 6000000 /dev/zero >c; echo >d"#)
        .await;
    let names: Vec<_> = ended.files.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(names, ["b", "d"]);
    assert_eq!(done(&ended)["files_left_out"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_flood_is_cut_with_a_mark() {
    let bench = Bench::new();
    bench.script("flood", "yes | head -c 30000000; yes error | head -c 30000000 >&2");
    let spec = command(json!(["tools/flood"]), json!({ "output_bytes_max": 10 }));
    let ended = bench.run(&spec, json!({})).await;
    assert_eq!(done(&ended), &json!("y\ny\ny\ny\ny\n\n[cut: the first 10 of 30000000 bytes]"));
}

#[tokio::test]
async fn a_flood_without_end_ends_with_the_time() {
    let bench = Bench::new();
    let spec = command(json!(["yes"]), json!({ "timeout": "1s" }));
    let start = Instant::now();
    let ended = bench.run(&spec, json!({})).await;
    assert_eq!(failed(&ended).0, FaultKind::ToolTimeout);
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_time_out_is_a_failure_only_where_repeating_does_no_harm() {
    let bench = Bench::new();
    bench.script("slow", "echo almost there >&2; sleep 1000");
    for repeat in ["safe", "by_key", "never"] {
        let spec = command(json!(["tools/slow"]), json!({ "timeout": "300ms", "repeat": repeat }));
        let ended = bench.run(&spec, json!({})).await;
        let why = if repeat == "safe" {
            let (kind, what) = failed(&ended);
            assert_eq!(kind, FaultKind::ToolTimeout);
            what
        } else {
            unknown(&ended)
        };
        assert!(why.contains("had not ended after 300ms") && why.contains("almost there"), "{why}");
    }
}

#[tokio::test]
async fn a_time_out_kills_the_children_of_children() {
    let bench = Bench::new();
    bench.script("nest", &format!("{BEAT}\n( ( beat ) & ( trap '' TERM HUP INT; beat ) & wait ) &\nwait"));
    let spec = command(json!(["tools/nest"]), json!({ "timeout": "500ms" }));
    let ended = bench.run(&spec, json!({})).await;
    assert_eq!(failed(&ended).0, FaultKind::ToolTimeout);
    assert!(is_still(&bench.state.join("tester/beat")).await, "a grandchild lives on");
}

#[tokio::test]
async fn what_a_program_leaves_behind_is_killed() {
    let bench = Bench::new();
    let start = Instant::now();
    let ended = bench.sh(&format!("{BEAT}\nbeat &\nsleep 0.2; echo done")).await;
    assert_eq!(done(&ended), &json!("done"));
    assert!(start.elapsed() < Duration::from_secs(5), "it waited for the one left behind");
    assert!(is_still(&bench.state.join("tester/beat")).await, "a child lives on");
}

#[tokio::test]
async fn a_program_that_left_its_group_does_not_hold_up_the_call() {
    let bench = Bench::new();
    let start = Instant::now();
    let ended = bench.sh("setsid sleep 4 & echo done").await;
    assert_eq!(done(&ended), &json!("done"));
    assert!(start.elapsed() < Duration::from_secs(3), "it waited for the pipe");
}

#[tokio::test]
async fn giving_up_a_call_kills_what_it_started() {
    let bench = std::sync::Arc::new(Bench::new());
    bench.script("nest", &format!("{BEAT}\n( beat ) &\nwait"));
    let task = tokio::spawn({
        let bench = bench.clone();
        async move { bench.run(&command(json!(["tools/nest"]), json!({})), json!({})).await }
    });
    let file = bench.state.join("tester/beat");
    beats(&file).await;
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    assert!(is_still(&file).await, "a grandchild lives on");
}

#[tokio::test]
async fn a_failure_carries_the_last_words() {
    let bench = Bench::new();
    for (body, expected) in [
        ("echo noise; echo 'no such order' >&2; exit 3", "no such order (status 3)"),
        ("echo 'only here'; exit 1", "only here (status 1)"),
        ("exit 7", "The program ended with status 7 and said nothing."),
    ] {
        let ended = bench.sh(body).await;
        assert_eq!(failed(&ended), (FaultKind::ToolFailed, expected));
    }
    let ended = bench.sh("for n in $(seq 5000); do echo line $n >&2; done; exit 1").await;
    let (_, what) = failed(&ended);
    assert!(what.ends_with("line 5000 (status 1)") && what.lines().count() <= 8, "{what}");
    let ended = bench.sh("yes | tr -d '\\n' | head -c 100000 >&2; exit 1").await;
    assert!(failed(&ended).1.chars().count() < 1000);
}

#[tokio::test]
async fn a_program_that_was_killed_may_have_done_its_work() {
    let bench = Bench::new();
    bench.script("dies", "kill -KILL $$");
    for repeat in ["safe", "never"] {
        let ended = bench.run(&command(json!(["tools/dies"]), json!({ "repeat": repeat })), json!({})).await;
        match repeat {
            "never" => assert!(unknown(&ended).contains("signal 9")),
            _ => assert!(failed(&ended).1.contains("signal 9")),
        }
    }
}

#[tokio::test]
async fn what_cannot_be_started_has_no_effect() {
    let bench = Bench::new();
    fs::write(bench.folder.join("tools/plain"), "#!/bin/sh\necho ran\n").unwrap();
    bench.script("interpreter", "");
    fs::write(bench.folder.join("tools/interpreter"), "#!/no/such/shell\n").unwrap();
    symlink("/bin/sh", bench.folder.join("tools/link")).unwrap();
    fs::write(bench.folder.join("../outside"), "#!/bin/sh\necho ran\n").unwrap();
    for (program, expected) in [
        ("no-such-program-here", "could not be started"),
        ("tools/absent", "is not in the agent's folder"),
        ("tools/plain", "chmod +x"),
        ("tools/interpreter", "first line"),
        ("../outside", "does not lie in the agent's folder"),
        ("tools/../../outside", "does not lie in the agent's folder"),
        ("/bin/sh", "does not lie in the agent's folder"),
        ("tools/link", "leads out of the agent's folder"),
        ("tools", ""),
        ("tools/", ""),
        ("", "could not be started"),
    ] {
        let ended = bench.run(&command(json!([program]), json!({ "repeat": "never" })), json!({})).await;
        let (kind, what) = failed(&ended);
        assert_eq!(kind, FaultKind::ToolFailed, "{program}");
        assert!(what.contains(expected), "{program}: {what}");
    }
    let none = bench.run(&command(json!([]), json!({})), json!({})).await;
    assert!(failed(&none).1.contains("no program"));
    bench.script("show", SHOW);
    let long = json!({ "text": "x".repeat(300_000) });
    let ended = bench.run(&command(json!(["tools/show", "{text}"]), json!({})), long).await;
    assert!(failed(&ended).1.contains("too long"), "{:?}", ended.outcome);
}

#[tokio::test]
async fn no_secret_stands_in_a_fault() {
    let bench = Bench::with_env(&[("PAY_KEY", "sk-live-123456")]);
    bench.script("leak", r#"echo "denied: $PAY_KEY for $1" >&2; exit 1"#);
    let spec = spec(
        json!({ "command": { "argv": ["tools/leak", "{iban}"], "env": ["PAY_KEY"] } }),
        json!({ "secret": ["iban"] }),
    );
    let ended = bench.run(&spec, json!({ "iban": "DE02120300000000202051" })).await;
    assert_eq!(failed(&ended).1, "denied: [PAY_KEY] for [iban] (status 1)");

    // Also where the words are cut in the middle of it.
    for before in 790..800 {
        bench.script("leak", &format!(r#"printf '%s' "$PAY_KEY" >&2; printf '%{before}d' 0 >&2; exit 1"#));
        let ended = bench.run(&spec, json!({ "iban": "x" })).await;
        assert!(!failed(&ended).1.contains("456"), "{before}: {}", failed(&ended).1);
    }
}

#[tokio::test]
async fn many_calls_at_once_do_not_meet() {
    let bench = std::sync::Arc::new(Bench::new());
    bench.script("echo", r#"echo "$1" >"$TOOL_OUT/f"; sleep 0.05; cat "$TOOL_OUT/f""#);
    let calls: Vec<_> = (0..20)
        .map(|n| {
            let bench = bench.clone();
            let spec = command(json!(["tools/echo", "{n}"]), json!({}));
            tokio::spawn(async move { bench.run(&spec, json!({ "n": n })).await })
        })
        .collect();
    for (n, call) in calls.into_iter().enumerate() {
        assert_eq!(done(&call.await.unwrap()), &json!(n));
    }
}

#[tokio::test]
async fn built_ins_tell_the_time_and_read_files() {
    let mut bench = Bench::new();
    bench.keep("a.csv", "text/csv", "x,1\nü,2\n".as_bytes());
    bench.keep("b.bin", "image/png", &[0x89, 0x50, 0, 1]);
    let clock = spec(json!({ "builtin": "clock" }), json!({}));
    let ended = bench.run(&clock, json!({})).await;
    let utc = done(&ended)["utc"].as_str().unwrap().to_owned();
    assert!(utc.starts_with("20") && utc.ends_with('Z'), "{utc}");

    let read = spec(json!({ "builtin": "read_file" }), json!({}));
    let whole = bench.run(&read, json!({ "name": "a.csv" })).await;
    assert_eq!(
        done(&whole),
        &json!({ "name": "a.csv", "kind": "text/csv", "size": 9, "text": "x,1\nü,2\n" })
    );
    let short = spec(json!({ "builtin": "read_file" }), json!({ "output_bytes_max": 5 }));
    let cut = bench.run(&short, json!({ "name": "a.csv" })).await;
    assert_eq!(done(&cut)["text"], json!("x,1\n\n[cut: the first 4 of 9 bytes]"));
    for (args, kind) in [
        (json!({ "name": "b.bin" }), FaultKind::ToolFailed),
        (json!({ "name": "none" }), FaultKind::ToolFailed),
        (json!({ "name": 1 }), FaultKind::BadCall),
        (Value::Null, FaultKind::BadCall),
    ] {
        assert_eq!(failed(&bench.run(&read, args).await).0, kind);
    }
}
