//! The command line: what an operator types, and what it says.

use std::{
    os::unix::fs::PermissionsExt,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use agent::{Event, Outcome, Phase};
use serde_json::Value;

use crate::world::{LOCAL, Page, Ran, SCRIPTED, World, copied_agents, copy, free_port, replace, repository};

/// A world that was not started: files only.
fn files() -> World {
    World::new(&format!("{LOCAL}{SCRIPTED}"))
}

fn sound(ran: &Ran) -> &str {
    assert_eq!(ran.code, Some(0), "{ran:#?}");
    &ran.out
}

#[test]
fn the_configuration_that_ships_is_sound_and_checking_it_connects_nothing() {
    let world = files();
    let folder = world.folder.path();
    std::fs::copy(repository().join("config.toml"), folder.join("config.toml")).unwrap();
    copy(&repository().join("agents"), &folder.join("agents"));
    let ran = world.run(&["check"]);
    let out = sound(&ran);
    assert!(out.starts_with("Everything is sound.\n"), "{out}");
    for line in
        ["agents:   deploy, support", "channels: web", "members:  you", "desks:    finance, operators"]
    {
        assert!(out.contains(line), "{line}: {out}");
    }
    assert!(out.contains("scripted model: no provider has a key"), "{out}");
    assert!(!folder.join("state").exists(), "a check leaves nothing behind");
    assert!(!out.contains('\u{1b}') && !ran.err.contains('\u{1b}'), "no colours where nobody sees them");

    // With a key the same file takes the provider, and the key is nowhere in what it says.
    let world = files().env("ANTHROPIC_API_KEY", "sk-ant-thisisthekey0123456789");
    std::fs::copy(repository().join("config.toml"), world.folder.path().join("config.toml")).unwrap();
    copy(&repository().join("agents"), &world.folder.path().join("agents"));
    let mut command = world.command(&["check"]);
    let output = command.env("ANTHROPIC_API_KEY", "sk-ant-thisisthekey0123456789").output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    assert!(
        output.status.success() && !said.contains("scripted") && !said.contains("thisisthekey"),
        "{said}"
    );
}

#[test]
fn a_policy_is_explained_and_what_does_not_fit_is_said() {
    let world = files();
    let folder = world.folder.path();
    std::fs::copy(repository().join("config.toml"), folder.join("config.toml")).unwrap();
    copy(&repository().join("agents"), &folder.join("agents"));
    let explain = |args: &[&str]| world.run(&[&["policy", "explain"], args].concat());
    let ran = explain(&["support", "refund", r#"{"order_id": "1001", "amount": 250, "reason": "broken"}"#]);
    let out = sound(&ran);
    for line in [
        "policy[0]  ask when args.amount > 100: true",
        "policy[1]  allow: not looked at",
        "approvers   finance (you)",
        "the desk finance (you on web)",
    ] {
        assert!(out.contains(line), "{line}: {out}");
    }
    assert!(sound(&explain(&["support", "refund"])).contains("the first rule that fits decides"));
    for (args, words) in [
        (&["support", "refund", r#"{"order_id": "1"}"#][..], "do not fit refund"),
        (&["support", "refund", "250"], "do not fit refund"),
        (&["support", "refund", "{"], "are not JSON"),
        (&["support", "repay"], "no tool `repay`; its tools are: lookup_order, refund"),
        (&["nobody", "refund"], "there is no agent `nobody`"),
    ] {
        let ran = explain(args);
        assert!(ran.code == Some(1) && ran.err.contains(words), "{args:?}: {ran:#?}");
    }
    assert!(!folder.join("state").exists(), "an explanation leaves nothing behind");
}

#[test]
fn everything_that_is_wrong_is_said_at_once_with_its_line_and_a_remedy() {
    let world = files();
    let (_agents, agents) = copied_agents();
    replace(&agents.join("deploy/agent.toml"), "steps = 8", "steps = 80");
    replace(&agents.join("support/prompt.md"), "{{ agent.name }}", "{{ agnt.name }}");
    let faults = [
        ("agent = \"nobody\"", "there is no agent `nobody`"),
        ("slack = \"U1\"", "there is no channel `slack`"),
        ("operators = [\"ana\", \"zoe\"]", "there is no member `zoe`"),
        ("via = \"pigeon\"", "there is no channel `pigeon`"),
        ("kind = \"fax\"", "there is no kind of channel `fax`"),
        ("providers = [\"oracle\"]", "there is no provider `oracle`"),
    ];
    let config = format!(
        r#"agents = {agents:?}
[channels.web]
kind = "web"
[channels.fax]
kind = "fax"
[members.ana]
web = "you"
slack = "U1"
[groups]
operators = ["ana", "zoe"]
finance = ["ana"]
[desks.operators]
members = ["operators"]
via = "web"
[desks.finance]
members = ["finance"]
via = "pigeon"
[models.default]
providers = ["oracle"]
[[routes]]
agent = "nobody"
"#
    );
    std::fs::write(world.folder.path().join("config.toml"), &config).unwrap();
    let ran = world.run(&["check"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""), "{ran:#?}");
    let text = &ran.err;
    for (key, what) in faults {
        let line = config.lines().position(|line| line == key).unwrap() + 1;
        let said = text.lines().find(|line| line.contains(what));
        let said = said.unwrap_or_else(|| panic!("{what} is not said:\n{text}"));
        assert!(said.contains(&format!("config.toml:{line}: ")), "{what} stands on line {line}: {said}");
    }
    for what in ["agents/deploy/agent.toml:", "more_steps_because", "agents/support/prompt.md:1", "`agnt`"] {
        assert!(text.contains(what), "{what} is not said:\n{text}");
    }
    let count = text.lines().filter(|line| line.starts_with(|c: char| !c.is_whitespace())).count() - 1;
    assert!(text.trim_end().ends_with(&format!("{count} things to mend first")), "{count}: {text}");

    // What does not even parse is said with its place, and the gateway does not start on it either.
    std::fs::write(world.folder.path().join("config.toml"), "agents = \"agents\"\n[channels.web\n").unwrap();
    for args in [&["check"][..], &[]] {
        let ran = world.run(args);
        assert!(ran.code == Some(1) && ran.err.contains("config.toml:2"), "{ran:#?}");
    }
    // A key that does not exist is refused with the ones that do.
    std::fs::write(world.folder.path().join("config.toml"), "agent = \"agents\"\n").unwrap();
    let ran = world.run(&["check"]);
    assert!(
        ran.code == Some(1)
            && ran.err.contains("config.toml:1")
            && ran.err.contains("did you mean `agents`?"),
        "{ran:#?}"
    );
    let ran = world.run(&["check", "--config", "/nowhere/config.toml"]);
    assert!(ran.code == Some(1) && ran.err.contains("/nowhere/config.toml"), "{ran:#?}");
}

/// A mailbox on a port where nobody listens.
fn mailbox_at(port: u16) -> String {
    format!(
        r#"
[channels.mail]
kind = "email"
address = "support@example.com"
[channels.mail.imap]
host = "127.0.0.1"
port = {port}
tls = "plain"
password_env = "PATH"
[channels.mail.smtp]
host = "127.0.0.1"
port = {port}
tls = "plain"
password_env = "PATH"
"#
    )
}

#[test]
fn checking_the_connections_says_what_each_channel_found_or_what_to_mend() {
    let dead = free_port();
    let world = World::new(&format!("{}{LOCAL}{SCRIPTED}", mailbox_at(dead)));
    // That it cannot be reached is no fault of the file.
    let ran = world.run(&["check"]);
    assert!(!sound(&ran).contains("onnect") && !ran.out.contains("the page will be at"), "{ran:#?}");

    let ran = world.run(&["check", "--connect"]);
    assert_eq!(ran.code, Some(1), "{ran:#?}");
    assert!(ran.out.starts_with("Everything is sound.\n"), "{ran:#?}");
    let page = format!("  web: the page will be at http://127.0.0.1:{}/\n", world.port);
    assert!(ran.out.contains(&page), "what is well is said all the same: {ran:#?}");
    let told: Vec<_> = ran.err.lines().filter(|line| line.starts_with("mail: ")).collect();
    assert_eq!(told.len(), 2, "reading, and sending: {ran:#?}");
    for (line, remedy) in told.iter().zip(["(check imap.port", "(check smtp.host"]) {
        assert!(line.contains(&format!("127.0.0.1:{dead}")), "the host and the port: {line}");
        assert!(line.contains(remedy), "the remedy: {line}");
    }
    assert!(ran.err.trim_end().ends_with("2 things to mend first"), "{ran:#?}");
    assert!(!world.folder.path().join("state").exists(), "a check leaves nothing behind");

    let ran = files().run(&["check", "--connect"]);
    assert!(sound(&ran).contains("  web: the page will be at "), "{ran:#?}");
    // What is not sound is not connected.
    let world = World::new("[channels.fax]\nkind = \"fax\"\n");
    let ran = world.run(&["check", "--connect"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""), "{ran:#?}");
}

#[test]
fn a_manifest_needs_the_settings_of_its_channel_and_nothing_else() {
    let world = files();
    let config = world.folder.path().join("config.toml");
    let says = |kind: &str, args: &[&str]| world.run(&[&[kind, "manifest"], args].concat());
    let fails = |ran: Ran, words: &[&str]| {
        assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""), "{ran:#?}");
        words.iter().for_each(|word| assert!(ran.err.contains(word), "{word}: {ran:#?}"));
    };
    for kind in gateway::kinds() {
        let help = world.run(&[kind.name, "manifest", "--help"]);
        assert!(sound(&help).contains("--channel <NAME>"), "{help:#?}");
        assert!(sound(&world.run(&["--help"])).contains(&format!("kind `{}`", kind.name)));
    }
    assert_eq!(world.run(&["fax", "manifest"]).code, Some(2));
    assert_eq!(world.run(&["web"]).code, Some(2), "what about it?");
    fails(says("web", &[]), &["kind `web` takes no manifest"]);
    // Where nothing is configured, a kind that cannot do without settings says which.
    fails(says("email", &[]), &["no channel of the kind `email`", "the key `address` is missing"]);

    // The secrets are not set, and the rest of the file is not sound.
    let two = "[channels.one]\nkind = \"slack\"\napp_name = \"The first\"\nbot_tokens_env = [\"NOT_SET\"]\n\
               [channels.two]\nkind = \"slack\"\napp_name = \"The second\"\n";
    let (one, _) = two.split_once("[channels.two]").unwrap();
    std::fs::write(&config, format!("nonsense = 1\nagents = 7\n{one}[channels.x]\nkind = 5\n")).unwrap();
    let ran = says("slack", &[]);
    assert!(sound(&ran).contains("The first") && ran.err.is_empty(), "{ran:#?}");
    assert_eq!(says("slack", &["--channel", "one"]).out, ran.out);
    fails(says("slack", &["--channel", "x"]), &["no channel `x` of the kind `slack`", "there is: one"]);
    std::fs::write(&config, two).unwrap();
    fails(says("slack", &[]), &["choose one with --channel: one, two"]);
    assert!(sound(&says("slack", &["--channel", "two"])).contains("The second"));
    // In the one table that counts a fault is told with its line.
    std::fs::write(&config, two.replace("app_name", "app_nam")).unwrap();
    fails(says("slack", &["--channel", "two"]), &["config.toml:7: channels.two.app_nam", "`app_name`"]);
    std::fs::write(&config, "[channels\n").unwrap();
    fails(says("slack", &[]), &["config.toml:1"]);

    // Before there is a file at all, it is what is usual, and says so.
    std::fs::remove_file(&config).unwrap();
    let ran = says("slack", &[]);
    assert!(sound(&ran).contains("Switchboard") && ran.err.contains("usual settings"), "{ran:#?}");
    fails(says("slack", &["--channel", "one"]), &["there is no channel of the kind `slack`"]);
}

#[test]
fn extract_finds_the_intent_or_says_why_not() {
    let world = files();
    let refund = r#"{"intent": "act", "tool": "refund", "args": {"order_id": "1001", "amount": 12.5, "reason": "broken"}}"#;
    let fenced = format!("Sure, here it is:\n```json\n{refund}\n```\nAnything else?");
    let loose = refund.replace("}}", ",},}").replace("\"intent\"", "'intent'");
    for text in [refund, &fenced, &loose] {
        let ran = world.run_with(&["extract", "support"], text);
        let intent: Value = serde_json::from_str(sound(&ran)).unwrap();
        assert_eq!(intent, serde_json::from_str::<Value>(refund).unwrap(), "{text}");
    }
    for (text, why) in [
        (&refund[..60], "never ends"),
        ("I would refund it.", "JSON"),
        (r#"{"intent": "act", "tool": "refnd", "args": {}}"#, "refnd"),
        (
            r#"{"intent": "act", "tool": "refund", "args": {"order_id": "1001", "amount": -1, "reason": "x"}}"#,
            "amount",
        ),
        ("", "no JSON object"),
    ] {
        let ran = world.run_with(&["extract", "support"], text);
        assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""), "{text}: {ran:#?}");
        assert!(
            !ran.err.trim().is_empty() && ran.err.to_lowercase().contains(&why.to_lowercase()),
            "{text}: {ran:#?}"
        );
    }
}

#[test]
fn the_schema_is_one_and_takes_what_extract_takes() {
    let world = files();
    let schema: Value = serde_json::from_str(sound(&world.run(&["schema", "deploy"]))).unwrap();
    jsonschema::meta::validate(&schema).unwrap_or_else(|error| panic!("{error}"));
    let validator = jsonschema::validator_for(&schema).unwrap();
    for (next, holds) in [
        (
            r#"{"intent": "act", "tool": "deploy", "args": {"version": "v1.4", "environment": "production"}}"#,
            true,
        ),
        (r#"{"intent": "act", "tool": "list_versions", "args": {}}"#, true),
        (r#"{"intent": "ask", "text": "Where?", "options": ["here", "there"]}"#, true),
        (r#"{"intent": "finish", "text": "Done."}"#, true),
        (r#"{"intent": "hand_over", "reason": "I cannot."}"#, true),
        (r#"{"intent": "act", "tool": "deploy", "args": {"version": "v1.4"}}"#, false),
        (
            r#"{"intent": "act", "tool": "deploy", "args": {"version": "v1.4", "environment": "the moon"}}"#,
            false,
        ),
        (r#"{"intent": "act", "tool": "format_disk", "args": {}}"#, false),
        (r#"{"intent": "finish"}"#, false),
        (r#"{"intent": "explode"}"#, false),
    ] {
        let output: Value = serde_json::from_str(&format!("{{\"next\": {next}}}")).unwrap();
        assert_eq!(validator.is_valid(&output), holds, "{next}");
        let ran = world.run_with(&["extract", "deploy"], &output.to_string());
        assert_eq!(ran.code == Some(0), holds, "{next}: {ran:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn threads_can_be_listed_and_read_while_the_gateway_runs() {
    let mut world = files();
    world.start().await;
    assert_eq!(sound(&world.run(&["threads", "list"])), "");
    let page = world.page();
    let talk = page.open().await;
    page.say(&talk, "first-message-0001", "deploy v1.4 to production").await.unwrap();
    let card = page.wait_card(&talk, "Approve: deploy").await;
    let other = page.open().await;
    page.say(&other, "first-message-0002", "Where is my order 1001?").await.unwrap();
    page.wait_said(&other, "1001").await;

    let ran = world.run(&["threads", "list"]);
    let lines: Vec<_> = sound(&ran).lines().collect();
    let line =
        |words: &str| *lines.iter().find(|line| line.contains(words)).unwrap_or_else(|| panic!("{ran:#?}"));
    assert_eq!(lines.len(), 2);
    let waiting = line("deploy v1.4 to production");
    assert!(waiting.contains("deploy ") && waiting.contains("waiting"), "{waiting}");
    assert!(line("Where is my order 1001?").contains("finished"), "{ran:#?}");
    assert_eq!(sound(&world.run(&["threads", "list", "--limit", "1"])).lines().count(), 1);

    let id = waiting.split_whitespace().next().unwrap();
    page.press(&talk, "click-000000000001", &card, "approve").await.unwrap();
    page.wait_said(&talk, "v1.4 runs in production").await;
    let story = world.run(&["threads", "show", id]);
    let story = sound(&story);
    let mut rest = story;
    for words in [
        "finished",
        "Given to deploy",
        "deploy v1.4 to production",
        "wants to run deploy",
        "for approval of deploy",
        "Approved by you",
        "Started deploy",
        "is done",
        "wants to finish",
        "The agent said:\n        v1.4 runs in production",
        "Finished.",
    ] {
        let at =
            rest.find(words).unwrap_or_else(|| panic!("{words:?} is missing, or in another order:\n{story}"));
        rest = &rest[at..];
    }
    let json = world.run(&["threads", "show", "--json", id]);
    let events: Vec<Value> = sound(&json).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let thread = world.threads().await.into_iter().find(|thread| thread.id().as_str() == id).unwrap();
    assert_eq!(serde_json::to_value(thread.records()).unwrap(), Value::Array(events));
}

#[tokio::test(flavor = "multi_thread")]
async fn words_from_outside_give_no_orders_to_the_terminal() {
    let mut world = files();
    world.start().await;
    let page = world.page();
    let talk = page.open().await;
    let hostile = "deploy v1.4 to production \u{1b}]0;owned\u{7}\u{1b}[2J\u{9b}31m\rnothing \u{202e}here";
    page.say(&talk, "first-message-0001", hostile).await.unwrap();
    page.wait_card(&talk, "Approve: deploy").await;
    let list = world.run(&["threads", "list"]);
    let id = sound(&list).split_whitespace().next().unwrap().to_owned();
    let story = world.run(&["threads", "show", &id]);
    for out in [sound(&list), sound(&story)] {
        assert!(out.contains("\\u{202e}here") && out.contains("deploy v1.4 to production"), "{out:?}");
        let orders = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!out.contains(orders), "{out:?}");
    }
    // As JSON it is all there, spelled out by the format itself.
    let json = world.run(&["threads", "show", "--json", &id]);
    assert!(!sound(&json).contains(|c: char| c.is_ascii_control() && c != '\n'), "{:?}", json.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_gateway_on_the_same_store_is_refused_and_harms_nothing() {
    let mut world = files();
    world.start().await;
    let page = world.page();
    let talk = page.open().await;
    page.say(&talk, "first-message-0001", "deploy v1.4 to production").await.unwrap();
    let card = page.wait_card(&talk, "Approve: deploy").await;
    let ran = world.run(&[]);
    assert_eq!(ran.code, Some(1), "{ran:#?}");
    let sentence = ran.err.lines().last().unwrap_or_default();
    assert!(sentence.contains("switchboard.db") && sentence.contains("process"), "{ran:#?}");
    assert!(!ran.err.contains("panicked"), "{ran:#?}");
    page.press(&talk, "click-000000000001", &card, "approve").await.unwrap();
    page.wait_said(&talk, "v1.4 runs in production").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_said_with_what_is() {
    let mut world = files();
    for args in [&["prompt", "nobody"][..], &["extract", "nobody"], &["schema", "nobody"]] {
        let ran = world.run(args);
        assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""), "{ran:#?}");
        assert!(ran.err.contains("there is no agent `nobody`; the agents are: deploy, support"), "{ran:#?}");
    }
    // Before the first start there is no store.
    for args in [&["threads", "list"][..], &["threads", "show", "aaaaaaaaaaaaaaaa-1"], &["threads", "dead"]] {
        let ran = world.run(args);
        assert!(
            ran.code == Some(1) && ran.err.contains("switchboard.db") && !ran.err.contains("panicked"),
            "{ran:#?}"
        );
    }
    assert!(!world.folder.path().join("state").exists(), "looking makes nothing");
    world.start().await;
    for thread in ["aaaaaaaaaaaaaaaa-1", "x", "", "../../etc/passwd"] {
        for args in [&["threads", "show", thread][..], &["prompt", "deploy", thread]] {
            let ran = world.run(args);
            assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""), "{ran:#?}");
            assert!(ran.err.contains("there is no thread `") && ran.err.contains("threads list"), "{ran:#?}");
        }
    }
    let dead = world.run(&["threads", "dead"]);
    assert_eq!((dead.code, dead.out.as_str()), (Some(0), ""), "{dead:#?}");
    let running = world.run(&["threads", "retry"]);
    assert!(running.code == Some(1) && running.err.contains("in use"), "{running:#?}");
    assert_eq!(world.run(&["frobnicate"]).code, Some(2));
}

#[test]
fn help_names_every_command() {
    let world = files();
    let ran = world.run(&["--help"]);
    for word in ["run", "check", "prompt", "extract", "schema", "threads", "--config", "--log"] {
        assert!(sound(&ran).contains(word), "{word}: {}", ran.out);
    }
    for command in ["run", "check", "prompt", "extract", "schema", "threads"] {
        assert!(sound(&world.run(&[command, "--help"])).contains("Usage:"), "{command}");
    }
    assert!(sound(&world.run(&["--version"])).starts_with("switchboard "));
    // Help needs no configuration, sound or not.
    std::fs::remove_file(world.folder.path().join("config.toml")).unwrap();
    sound(&world.run(&["--help"]));
}

#[test]
fn a_prompt_without_a_thread_shows_what_the_agent_is() {
    let world = files();
    let ran = world.run(&["prompt", "deploy"]);
    let out = sound(&ran);
    assert!(out.starts_with("=== system ===\nYou are `deploy`, one small agent"), "{out}");
    assert!(out.contains("\n=== user ===\n<thread>"), "{out}");
    assert!(ran.err.contains(" tokens of 7000 ") && ran.err.contains("; prompt "), "{ran:#?}");
    assert_eq!(world.run(&["prompt", "deploy"]).out, out, "the same bytes each time");
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_ends_an_idle_gateway_quickly_and_well() {
    let mut world = files();
    world.start().await;
    let page = world.page();
    let talk = page.open().await;
    page.say(&talk, "first-message-0001", "Where is my order 1001?").await.unwrap();
    page.wait_said(&talk, "1001").await;
    // A page that stands open does not hold it up.
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut stream =
        http.get(format!("http://127.0.0.1:{}/c/{talk}/events", world.port)).send().await.unwrap();
    assert!(stream.chunk().await.unwrap().is_some());
    let began = Instant::now();
    let status = world.stop();
    assert_eq!(status.code(), Some(0), "{}", world.log());
    assert!(began.elapsed() < Duration::from_secs(5), "it took {:?}", began.elapsed());
    assert!(world.log().trim_end().ends_with("stopped"), "{}", world.log());
    assert!(!world.log().contains('\u{1b}'), "no colours in a file: {}", world.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_ever_logged() {
    const TOKEN: &str = "a-token-of-ana-0123456789";
    const KEY: &str = "sk-thisisthekey0123456789";
    let more = r#"
[channels.web.people.ana]
token_env = "ANA_TOKEN"
name = "Ana"
[members.you]
web = "ana"
[groups]
operators = ["you"]
finance = ["you"]
[desks.operators]
members = ["operators"]
via = "web"
[desks.finance]
members = ["finance"]
via = "web"
[[routes]]
agent = "deploy"
[models.default]
providers = ["dead"]
[providers.dead]
kind = "openai"
url = "http://127.0.0.1:9/v1"
model = "m"
key_env = "DEAD_KEY"
attempts = 1
"#;
    let mut world =
        World::new(more).env("ANA_TOKEN", TOKEN).env("DEAD_KEY", KEY).env("SWITCHBOARD_LOG", "trace");
    world.start().await;
    let base = format!("http://127.0.0.1:{}", world.port);
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let post =
        |path: &str, body: Value| http.post(format!("{base}{path}")).header("Origin", &base).json(&body);
    let wrong =
        post("/login", serde_json::json!({ "token": "a-token-of-eve-9999999999" })).send().await.unwrap();
    assert_eq!(wrong.status(), 401);
    let login = post("/login", serde_json::json!({ "token": TOKEN })).send().await.unwrap();
    assert!(login.status().is_success());
    let cookie = login.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let opened =
        post("/conversations", serde_json::json!({})).header("Cookie", &cookie).send().await.unwrap();
    let talk: Value = opened.json().await.unwrap();
    let path = format!("/c/{}/say", talk["id"].as_str().unwrap());
    let said = serde_json::json!({ "id": "first-message-0001", "text": "deploy v1.4 to production" });
    assert!(post(&path, said).header("Cookie", &cookie).send().await.unwrap().status().is_success());
    world
        .until("a failure", |threads| {
            threads
                .iter()
                .flat_map(agent::Thread::records)
                .any(|record| matches!(record.event, Event::Failed(_)))
        })
        .await;
    world.stop();
    let log = world.log();
    assert!(log.contains("cannot connect to"), "the log was on, and the key was in use");
    let session = cookie.split_once('=').unwrap().1;
    for secret in [TOKEN, KEY, "a-token-of-eve", session] {
        assert!(!log.contains(secret), "{secret} is in the log:\n{log}");
    }
    let thread = world.run(&["threads", "list"]);
    let id = sound(&thread).split_whitespace().next().unwrap().to_owned();
    let told = world.run(&["threads", "show", "--json", &id]).out + &world.run(&["threads", "show", &id]).out;
    assert!(told.contains("deploy v1.4") && !told.contains(KEY) && !told.contains(TOKEN), "{told}");
}

// --- A call that must not be repeated, and whose end nobody saw ---------------------------------------------------------

/// A world whose first deployment never ends, and any later one is quick.
struct Slow {
    world: World,
    page: Page,
    talk: String,
    card: Value,
    _agents: tempfile::TempDir,
}

impl Slow {
    /// Up to the card that asks what became of a call, in the middle of which the gateway was killed.
    async fn killed_in_the_middle() -> Self {
        let (folder, agents) = copied_agents();
        let tools = agents.join("deploy/tools");
        std::fs::rename(tools.join("deploy"), tools.join("deploy_quickly")).unwrap();
        let tool = "#!/bin/sh\necho \"$TOOL_KEY\" >>\"$TOOL_STATE/runs\"\necho $$ >\"$TOOL_STATE/pid\"\n\
                    if [ \"$(wc -l <\"$TOOL_STATE/runs\")\" -eq 1 ]; then exec sleep 600; fi\n\
                    exec tools/deploy_quickly \"$@\"\n";
        std::fs::write(tools.join("deploy"), tool).unwrap();
        std::fs::set_permissions(tools.join("deploy"), PermissionsExt::from_mode(0o755)).unwrap();
        let mut world = World::with_agents(&agents, &format!("{LOCAL}{SCRIPTED}"));
        world.start().await;
        let page = world.page();
        let talk = page.open().await;
        page.say(&talk, "first-message-0001", "deploy v1.4 to production").await.unwrap();
        let card = page.wait_card(&talk, "Approve: deploy").await;
        page.press(&talk, "click-000000000001", &card, "approve").await.unwrap();
        let state = world.folder.path().join("state/tools/deploy");
        let began = Instant::now();
        while pid(&state).is_none() {
            assert!(began.elapsed() < crate::world::SOON, "the tool never started:\n{}", world.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        world.kill();
        // The program outlived the gateway; the machine that it ran on is gone too.
        let group = format!("-{}", pid(&state).unwrap());
        assert!(Command::new("kill").args(["-9", "--", &group]).status().unwrap().success());

        world.start().await;
        let card = page.wait_card(&talk, "Did it happen? deploy").await;
        let labels: Vec<_> =
            card["choices"].as_array().unwrap().iter().map(|choice| &choice["label"]).collect();
        assert_eq!(labels, ["It happened", "It did not happen, run it again", "Leave it", "More…"]);
        assert!(card["fields"].to_string().contains("v1.4"), "{card}");
        let unknown = |event: &Event| matches!(event, Event::Acted(acted) if matches!(acted.outcome, Outcome::Unknown { .. }));
        assert_eq!(world.count(unknown).await, 1);
        let id = world.threads().await[0].id().to_string();
        let told = world.run(&["threads", "show", &id]).out;
        assert!(told.contains("Nobody knows whether call"), "{told}");
        assert!(world.log().contains("switchboard runs"), "{}", world.log());
        // A restart in between asks nobody again, and runs nothing.
        world.kill();
        world.start().await;
        let slow = Self { world, page, talk, card, _agents: folder };
        assert_eq!(slow.runs(), 1, "it was run again without being asked for");
        slow
    }

    /// How often the tool was started.
    fn runs(&self) -> usize {
        std::fs::read_to_string(self.world.folder.path().join("state/tools/deploy/runs"))
            .unwrap()
            .lines()
            .count()
    }

    async fn choose(&self, choice: &str, says: &str) {
        self.page.press(&self.talk, "click-000000000002", &self.card, choice).await.unwrap();
        self.page.wait_said(&self.talk, says).await;
        self.world.until("the end", |threads| threads[0].phase() == Phase::Finished).await;
        let asked = self.world.count(|event| matches!(event, Event::Asked(_))).await;
        assert_eq!(asked, 2, "the approval, and what became of it");
    }
}

fn pid(state: &Path) -> Option<u32> {
    std::fs::read_to_string(state.join("pid")).ok()?.trim().parse().ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_whose_end_nobody_saw_happened() {
    let slow = Slow::killed_in_the_middle().await;
    slow.choose("option-1", "says: It happened").await;
    assert_eq!(slow.runs(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_whose_end_nobody_saw_is_run_again() {
    let slow = Slow::killed_in_the_middle().await;
    slow.choose("option-2", "v1.4 runs in production now").await;
    assert_eq!(slow.runs(), 2);
    assert!(
        slow.world
            .kept("deploy")
            .iter()
            .any(|(path, text)| path.ends_with("log/000001") && text.contains("v1.4"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_whose_end_nobody_saw_is_left() {
    let slow = Slow::killed_in_the_middle().await;
    slow.choose("option-3", "says: Leave it").await;
    assert_eq!(slow.runs(), 1);
}
