//! Policies: what they ask for, what could never be, and how they are explained.

use std::collections::{BTreeMap, BTreeSet};

use agent::{Agent, Directory, Quorum, Terms, Verdict, explain, judge};
use channel::{ChannelName, Span};
use serde_json::{Value, json};

use crate::support::{directory, files, load};

/// A tool whose policy is `RULE`; what is asked is asked at the desk.
const PAY: &str = r#"
[tools.pay]
description = "Pays."
run.command.argv = ["tools/pay"]
repeat = "never"
risk = "high"
policy = [
    RULE
]
parameters = { type = "object", properties = { amount = { type = "number" }, to = { type = "string" }, pin = { type = "string" } } }
secret = ["pin"]
"#;

/// The directory of most tests, with severities, a desk with Ana and a room, and a group that names a role.
fn company() -> Directory {
    let mut directory = directory();
    let channels = |names: &[&str]| names.iter().map(|name| ChannelName::new(*name)).collect::<Vec<_>>();
    directory.severities = BTreeMap::from([
        ("high".to_owned(), channels(&["web"])),
        ("mail".to_owned(), channels(&["mail"])),
        ("none".to_owned(), Vec::new()),
    ]);
    directory.groups.insert("auditors".into(), vec!["cleo".into(), "chat:10/33".into()]);
    directory.groups.insert("leads".into(), vec!["ana".into()]);
    directory
}

fn with_rule(rule: &str, lines: &[&str], tool: &str) -> BTreeMap<String, String> {
    let mut files = files(lines);
    files.get_mut("agent.toml").unwrap().push_str(&tool.replace("RULE", rule));
    files
}

fn paying(rule: &str) -> Agent {
    load(with_rule(rule, &[], PAY))
}

/// What a check says of an agent with this rule: the key below the rule, the words, the remedy.
fn told(files: BTreeMap<String, String>) -> Vec<(String, String)> {
    let models = BTreeSet::from(["default".to_owned()]);
    let lines: Vec<String> = files["agent.toml"].lines().map(str::to_owned).collect();
    let flaws = load(files).check(&company(), &models);
    flaws
        .into_iter()
        .map(|flaw| {
            let line = &lines[flaw.line.unwrap() - 1];
            assert!(line.contains("then = ") || line.contains("[tools.pay]"), "{flaw} is at: {line}");
            assert!(flaw.remedy.is_some(), "{flaw}");
            (flaw.key.trim_start_matches("tools.pay.policy.0").trim_start_matches('.').to_owned(), flaw.what)
        })
        .collect()
}

#[test]
fn what_could_never_be_approved_is_told() {
    for (rule, key, words) in [
        ("quorum = 3", "quorum", "3 people must approve, and only ana and ben may"),
        (
            "approvers = [\"finance\", \"cleo\"], desk = \"finance\", quorum = \"each\"",
            "quorum",
            "different people of finance and cleo must approve, and only cleo may",
        ),
        (
            "approvers = [\"finance\", \"ghosts\"], desk = \"finance\", quorum = \"each\"",
            "quorum",
            "somebody of ghosts must approve, and nobody may",
        ),
        (
            "approvers = [\"auditors\"], desk = \"finance\", quorum = \"all\"",
            "quorum",
            "all of a role must approve",
        ),
        ("approvers = [\"ghosts\"]", "", "nobody may give"),
        ("severity = \"low\"", "severity", "there is no severity `low`"),
        (
            "severity = \"none\"",
            "severity",
            "on no channel, where this may be decided: somebody must approve, and nobody may",
        ),
        (
            "severity = \"high\", quorum = 2",
            "severity",
            "on web, where this may be decided: 2 people must approve, and only ana may",
        ),
        (
            "severity = \"high\", quorum = \"all\"",
            "severity",
            "on web, where this may be decided: ben must approve, and cannot",
        ),
        (
            "severity = \"high\"",
            "",
            "the desk `operators` asks only on channels where this may not be decided",
        ),
        ("approvers = [\"finance\"]", "", "nobody at the desk `operators` is among the approvers"),
        ("approvers = [\"ben\"], desk = \"hall\"", "", "nobody at the desk `hall` is among the approvers"),
        ("approvers = [\"operators\", \"zoe\"]", "approvers", "there is no member or group `zoe`"),
        ("desk = \"mars\"", "desk", "there is no desk `mars`"),
        ("escalate = [{ after = \"1m\", desk = \"mars\" }]", "escalate.0.desk", "there is no desk `mars`"),
        (
            "escalate = [{ after = \"1m\", desk = \"operators\", approvers = [\"zoe\"] }]",
            "escalate.0.approvers",
            "there is no member or group `zoe`",
        ),
        (
            "escalate = [{ after = \"1m\", desk = \"finance\" }]",
            "escalate.0.desk",
            "the desk `finance` reaches nobody who may decide this",
        ),
        (
            "desk = \"hall\", severity = \"high\", escalate = [{ after = \"1m\", desk = \"operators\" }]",
            "escalate.0.desk",
            "the desk `operators` reaches nobody who may decide this",
        ),
        (
            "escalate = [{ after = \"2m\", desk = \"hall\" }, { after = \"1m\", desk = \"hall\" }]",
            "escalate.1.after",
            "1m is not after 2m",
        ),
        (
            "deadline = \"1h\", escalate = [{ after = \"1h\", desk = \"hall\" }]",
            "escalate.0.after",
            "after 1h the approval is over: it waits for 1h",
        ),
        ("escalate = [{ after = \"2d\", desk = \"hall\" }]", "escalate.0.after", "it waits for 1d"),
        (
            "quorum = \"all\", escalate = [{ after = \"1m\", desk = \"finance\", approvers = [\"finance\"] }]",
            "escalate.0.approvers",
            "nobody could say for whom",
        ),
        ("remind = [\"0s\"]", "remind.0", "is not after"),
        ("remind = [\"2m\", \"2m\"]", "remind.1", "2m is not after 2m"),
        ("deadline = \"1h\", remind = [\"1m\", \"2h\"]", "remind.1", "after 2h the approval is over"),
        ("deadline = \"0s\"", "deadline", "over at once"),
        ("otherwise = \"allow\"", "otherwise", "a call of high risk would run because nobody looked"),
        ("remember = { for = \"0s\" }", "remember.for", "forgotten at once"),
        (
            "remember = { for = \"1h\", args = { iban = \"any\" } }",
            "remember.args.iban",
            "no argument `iban`",
        ),
        ("remember = { for = \"1h\", args = { to = \"at_most\" } }", "remember.args.to", "`to` is no number"),
        ("remember = { for = \"1h\" }, quorum = 2", "remember", "they approve each time"),
    ] {
        let rule = format!("{{ then = \"ask\", {rule} }},");
        let told = told(with_rule(&rule, &[], PAY));
        let [(at, what)] = &told[..] else { panic!("{rule}: {told:#?}") };
        assert!(at == key && what.contains(words), "{rule}: {told:#?}");
    }
    let outward = PAY.replace("risk =", "outward = true\nrisk =");
    let flaws = told(with_rule("{ then = \"ask\", remember = { for = \"1h\" } },", &[], &outward));
    assert!(
        matches!(&flaws[..], [(at, what)] if at == "remember" && what.contains("leaves the house")),
        "{flaws:#?}"
    );
    // Who is asked at the desk only, and is not there, cannot make a quorum.
    let desk_only = |rule: &str| told(with_rule(rule, &["ask_at = \"desk\""], PAY));
    let rule = "{ then = \"ask\", approvers = [\"operators\", \"finance\"], quorum = 3 },";
    let flaws = desk_only(rule);
    assert!(
        matches!(&flaws[..], [(at, what)] if at == "quorum" && what.contains("asked at the desk `operators`: 3 people")),
        "{flaws:#?}"
    );
    assert_eq!(told(with_rule(rule, &[], PAY)), [], "all of them may be where the request comes from");
    let others = rule.replace("quorum = 3", "quorum = 3, requester_may_approve = false");
    assert_eq!(told(with_rule(&others, &[], PAY)).len(), 1, "it is not asked there");
    let rule = rule.replace("quorum = 3", "quorum = 3, escalate = [{ after = \"1m\", desk = \"finance\" }]");
    assert_eq!(desk_only(&rule), []);
}

#[test]
fn what_could_be_approved_by_somebody_sometime_is_not_refused() {
    for rule in [
        "",
        "quorum = 2",
        "quorum = \"all\"",
        "approvers = [\"operators\", \"leads\"], quorum = \"each\"",
        "approvers = [\"auditors\", \"cleo\"], desk = \"finance\", quorum = \"each\"",
        "approvers = [\"auditors\"], desk = \"finance\", quorum = 40",
        // Others than she may ask for it.
        "approvers = [\"leads\"], requester_may_approve = false",
        "severity = \"mail\"",
        "severity = \"high\", desk = \"hall\"",
        "severity = \"high\", escalate = [{ after = \"1m\", desk = \"hall\" }]",
        "approvers = [\"leads\"], quorum = 2, escalate = [{ after = \"1m\", desk = \"finance\", approvers = [\"finance\"] }]",
        "otherwise = \"hand_over\", remind = [\"1m\", \"2m\"], deadline = \"3m\"",
        "remember = { for = \"1h\", args = { amount = \"at_most\", to = \"any\" } }",
    ] {
        let rule = format!("{{ then = \"ask\", {rule} }},").replace(", }", " }");
        assert_eq!(told(with_rule(&rule, &[], PAY)), [], "{rule}");
    }
    let low = PAY.replace("risk = \"high\"", "risk = \"low\"");
    assert_eq!(told(with_rule("{ then = \"ask\", otherwise = \"allow\" },", &[], &low)), []);
}

#[test]
fn keys_that_are_wrong_are_told_with_what_they_are_for() {
    for (rule, key, words) in [
        ("quorum = 0", "quorum", "How many must approve"),
        ("quorum = \"most\"", "quorum", "How many must approve"),
        ("otherwise = \"run\"", "otherwise", "when it was not decided by then"),
        ("escalate = [{ after = \"1m\", desk = \"hall\", via = \"web\" }]", "escalate.0.via", ""),
        ("remember = { lasts = \"1h\" }", "remember.lasts", ""),
    ] {
        let files = with_rule(&format!("{{ then = \"ask\", {rule} }},"), &[], PAY);
        let desks: Vec<String> = directory().desks.keys().cloned().collect();
        let flaws = Agent::load("tester", files, &desks).unwrap_err();
        let hit = flaws.iter().any(|flaw| {
            flaw.key == format!("tools.pay.policy.0.{key}")
                && flaw.remedy.as_deref().unwrap_or_default().contains(words)
        });
        assert!(hit, "{rule}: {flaws:#?}");
    }
}

#[test]
fn a_judgement_has_the_terms_of_the_rule_that_decides() {
    let agent = paying(
        r#"{ when = "args.amount > 100", then = "ask", quorum = 2, requester_may_approve = false, severity = "mail", deadline = "4h" }, { when = "args.amount > 50", then = "ask", severity = "gone" },"#,
    );
    let tool = &agent.spec().tools["pay"];
    let judged = |args: Value| judge(&company(), tool, &args);
    let big = judged(json!({ "amount": 101 }));
    assert_eq!(big.deadline, Some(Span::seconds(4 * 3600)));
    assert_eq!(big.terms.decided_on, Some(vec![ChannelName::new("mail")]));
    assert!(
        !big.terms.requester_may && big.terms.quorum == serde_json::from_value::<Quorum>(json!(2)).unwrap()
    );
    // A severity that is not configured any more is decided nowhere.
    assert_eq!(judged(json!({ "amount": 60 })).terms.decided_on, Some(Vec::new()));
    // Where doubt asks, it asks on the terms of the rule that is in doubt.
    assert_eq!(judged(json!({})).terms, big.terms);
    let small = judged(json!({ "amount": 50 }));
    assert_eq!((small.verdict, small.terms, small.deadline), (Verdict::Ask, Terms::default(), None));
}

#[test]
fn what_would_happen_is_told_with_its_reasons() {
    let rules = r#"{ when = "args.to == 'me'", then = "deny" },
    { when = "args.amount > 100", then = "ask", approvers = ["operators", "leads"], desk = "hall", quorum = "each", requester_may_approve = false, deadline = "4h", otherwise = "hand_over", remind = ["30m", "2h"], severity = "high", escalate = [{ after = "1h", desk = "operators" }], remember = { for = "8h", args = { to = "same", amount = "at_most", pin = "any" } } },
    { when = "args.amount > 50", then = "ask", approvers = ["leads"], requester_may_approve = false },
    { when = "args.amount < 1", then = "allow" },"#;
    let agent = paying(rules);
    let calls = [
        json!({ "to": "you", "amount": 101, "pin": "4711" }),
        json!({ "to": "you", "amount": 60 }),
        json!({ "to": "you", "amount": 0.5 }),
        json!({ "to": "you", "amount": 7 }),
        json!({ "to": "me", "amount": 7 }),
        json!({ "amount": 7 }),
    ];
    let mut text = String::new();
    for args in [None].into_iter().chain(calls.iter().map(Some)) {
        text.push_str(&explain(&agent, &company(), "pay", args).unwrap());
        text.push_str("---\n");
    }
    assert!(!text.contains("4711"), "a secret is shown");
    insta::assert_snapshot!(text);
    let wrong = |tool: &str, args: Value| explain(&agent, &company(), tool, Some(&args)).unwrap_err();
    assert!(
        wrong("pay", json!({ "amount": "much" })).starts_with("these arguments do not fit pay: `amount`: ")
    );
    assert!(wrong("play", json!({})).contains("no tool `play`; its tools are: "));
}
