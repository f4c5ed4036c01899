//! The agents that ship: their files, and their tools as they really run.

use std::{collections::BTreeMap, fs, path::PathBuf};

use agent::{Agent, AgentSpec, FaultKind, Repeat};
use serde_json::{Value, json};
use tool::Ended;

use crate::bench::{Bench, done, failed};

struct Shipped {
    bench: Bench,
    agent: Agent,
}

fn agents() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../agents").canonicalize().unwrap()
}

impl Shipped {
    fn load(name: &str) -> Self {
        let folder = agents().join(name);
        let files: BTreeMap<String, String> = fs::read_dir(&folder)
            .unwrap()
            .map(Result::unwrap)
            .filter(|entry| entry.path().is_file())
            .map(|entry| {
                (entry.file_name().into_string().unwrap(), fs::read_to_string(entry.path()).unwrap())
            })
            .collect();
        let desks = ["operators", "finance"].map(String::from);
        let agent = Agent::load(name, files, &desks).unwrap_or_else(|flaws| panic!("{flaws:#?}"));
        Self { bench: Bench::with_folder(folder), agent }
    }

    async fn call(&self, tool: &str, args: Value) -> Ended {
        self.bench.run(&self.agent.spec().tools[tool], args).await
    }

    fn keeps(&self) -> usize {
        walk(&self.bench.state)
    }
}

/// The number of files under a folder.
fn walk(folder: &std::path::Path) -> usize {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    entries.map(|entry| entry.unwrap().path()).map(|path| if path.is_dir() { walk(&path) } else { 1 }).sum()
}

#[test]
fn they_are_sound() {
    for name in ["deploy", "support"] {
        let shipped = Shipped::load(name);
        for (tool, spec) in &shipped.agent.spec().tools {
            assert_eq!(tool::check(spec, tool, &shipped.bench.folder), [], "{name}");
        }
    }
    let repeat = |agent: &str, tool: &str| Shipped::load(agent).agent.spec().tools[tool].repeat;
    for (agent, tool) in [("deploy", "deploy"), ("deploy", "rollback"), ("support", "refund")] {
        assert_eq!(repeat(agent, tool), Repeat::Never);
    }
}

#[test]
fn the_examples_of_the_manual_are_read() {
    let manual = fs::read_to_string(agents().join("README.md")).unwrap();
    let blocks: Vec<&str> =
        manual.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    let agent = blocks.iter().find(|block| block.starts_with("description")).unwrap();
    let tools: Vec<_> = blocks.iter().filter(|block| block.starts_with("[tools.refund]")).collect();
    assert_eq!(tools.len(), 1);
    for run in
        blocks.iter().filter(|block| block.starts_with("run.") || block.starts_with("[tools.refund.run"))
    {
        for one in if run.starts_with("run.builtin") { run.lines().collect() } else { vec![*run] } {
            let (head, body) = tools[0].split_once('\n').unwrap();
            let whole = if one.starts_with("run.") {
                format!("{agent}\n{head}\n{one}\n{body}")
            } else {
                format!("{agent}\n{head}\n{body}\n{one}")
            };
            toml::from_str::<AgentSpec>(&whole).unwrap_or_else(|error| panic!("{error}\n{whole}"));
        }
    }
}

#[tokio::test]
async fn deploy_deploys_and_goes_back() {
    let deploy = Shipped::load("deploy");
    let versions = deploy.call("list_versions", json!({})).await;
    let versions: Vec<_> =
        done(&versions)["versions"].as_array().unwrap().iter().map(|v| v["version"].clone()).collect();
    assert_eq!(versions, ["v1.4", "v1.3", "v1.2", "v1.1", "v1.0"]);
    let production = json!({ "environment": "production" });

    let first = deploy.call("deploy", json!({ "version": "v1.4", "environment": "production" })).await;
    assert_eq!(
        done(&first),
        &json!({ "environment": "production", "version": "v1.4", "before": "v1.3", "changed": true })
    );
    let again = deploy.call("deploy", json!({ "version": "v1.4", "environment": "production" })).await;
    assert_eq!(done(&again)["changed"], json!(false));
    assert_eq!(deploy.keeps(), 1);
    for (version, before) in [("v1.3", "v1.4"), ("v1.2", "v1.3")] {
        let back = deploy.call("rollback", production.clone()).await;
        assert_eq!(
            done(&back),
            &json!({ "environment": "production", "version": version, "before": before })
        );
    }
    let nowhere = deploy.call("rollback", production.clone()).await;
    assert!(failed(&nowhere).1.contains("nothing to go back to"));
    let now = deploy.call("current", production).await;
    assert_eq!(done(&now), &json!({ "environment": "production", "version": "v1.2", "before": null }));
    let staging = deploy.call("current", json!({ "environment": "staging" })).await;
    assert_eq!(done(&staging)["version"], json!("v1.3"));
}

#[tokio::test]
async fn deploy_refuses_what_it_does_not_know() {
    let deploy = Shipped::load("deploy");
    for args in [
        json!({ "version": "v9.9", "environment": "staging" }),
        json!({ "version": "v1.0, v1.1", "environment": "staging" }),
        json!({ "version": "version", "environment": "staging" }),
        json!({ "version": "", "environment": "staging" }),
        json!({ "version": "v1.4", "environment": "mars" }),
        json!({ "version": "$(touch pwned)", "environment": "staging" }),
    ] {
        let ended = deploy.call("deploy", args.clone()).await;
        let (kind, what) = failed(&ended);
        assert!(kind == FaultKind::ToolFailed && what.contains("There is no "), "{args}: {what}");
    }
    assert_eq!(deploy.keeps(), 0);
}

#[tokio::test]
async fn support_looks_up_and_refunds_never_more_than_the_total() {
    let support = Shipped::load("support");
    let order = support.call("lookup_order", json!({ "order_id": "1001" })).await;
    assert_eq!(done(&order)["item"], json!("Coffee grinder"));
    assert_eq!(done(&order)["refunded"], json!(0.0));

    let refund =
        |amount: Value, reason: &str| json!({ "order_id": "1001", "amount": amount, "reason": reason });
    let first = support.call("refund", refund(json!(30), "-- it's \"broken\"\n$(touch pwned), ü")).await;
    assert_eq!(done(&first)["refunded_now"], json!(30.0));
    assert_eq!(done(&first)["receipt"], json!("1001-1"));
    for amount in
        [json!(30), json!(19.91), json!(0), json!(-5), json!(0.001), json!(1e9), json!("1;2"), json!("")]
    {
        let ended = support.call("refund", refund(amount.clone(), "again")).await;
        assert_eq!(failed(&ended).0, FaultKind::ToolFailed, "{amount}");
    }
    let rest = support.call("refund", refund(json!(19.9), "the rest")).await;
    assert_eq!(done(&rest)["refunded"], json!(49.9));
    let order = support.call("lookup_order", json!({ "order_id": "1001" })).await;
    assert_eq!(done(&order)["refunded"], json!(49.9));
    assert_eq!(support.keeps(), 2);
    assert!(!support.bench.folder.join("pwned").exists());

    for order in ["1999", "order_id", "", "1001,Mira Novak", "../1001", "."] {
        for (tool, args) in [
            ("lookup_order", json!({ "order_id": order })),
            ("refund", json!({ "order_id": order, "amount": 1, "reason": "why" })),
        ] {
            let ended = support.call(tool, args).await;
            assert!(failed(&ended).1.contains("There is no order"), "{tool} {order}");
        }
    }
}

#[tokio::test]
async fn refunds_at_the_same_moment_stay_within_the_total() {
    let support = std::sync::Arc::new(Shipped::load("support"));
    let calls: Vec<_> = (0..12)
        .map(|n| {
            let support = support.clone();
            tokio::spawn(async move {
                let args = json!({ "order_id": "1003", "amount": 101, "reason": format!("part {n}") });
                support.call("refund", args).await
            })
        })
        .collect();
    let mut made = 0;
    for call in calls {
        made += usize::from(matches!(call.await.unwrap().outcome, agent::Outcome::Done(_)));
    }
    // 349.00 holds three times 101.
    assert_eq!(made, 3);
    let order = support.call("lookup_order", json!({ "order_id": "1003" })).await;
    assert_eq!(done(&order)["refunded"], json!(303.0));
    assert_eq!(support.keeps(), 3);
}

/// 100 is what the policy lets run without a question.
#[tokio::test]
async fn what_nobody_was_asked_about_comes_to_no_more_in_parts_than_at_once() {
    let support = Shipped::load("support");
    let refund = async |amount: f64| {
        let args = json!({ "order_id": "1003", "amount": amount, "reason": "a part" });
        support.call("refund", args).await
    };
    for (amount, fits) in [
        (60.0, true),
        (40.01, false),
        (120.0, true),
        (40.0, true),
        (0.01, false),
        (100.0, false),
        (100.01, true),
    ] {
        let ended = refund(amount).await;
        if fits {
            assert_eq!(done(&ended)["refunded_now"], json!(amount));
        } else {
            assert!(failed(&ended).1.contains("a person has to look at it"), "{amount}");
        }
    }
}
