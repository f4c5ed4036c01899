//! The summary for a human who takes over.

use serde_json::Value;

use crate::{
    agent::Agent,
    inert::clip,
    parts::parts,
    passages::run_of_now,
    spec::{NOT_SHOWN, redacted},
    thread::Thread,
};

/// The summary for a human who takes over: the request, the steps, why. Arguments that people must not see are left out.
pub(crate) fn summary(agent: &Agent, thread: &Thread, why: &str) -> String {
    let mut text = format!("Why: {}\n", clip(why, 500));
    let run = run_of_now(thread);
    for part in parts(thread).iter().filter(|part| part.run == run).take(40) {
        let field = |name: &str| part.fields.get(name).and_then(Value::as_str).unwrap_or_default();
        let line = match part.kind {
            "heard" => format!("{}: {}", field("from"), clip(field("text"), 500)),
            "said" => format!("{} said: {}", field("by"), clip(field("text"), 300)),
            "called" => format!(
                "ran {} {}: {} {}",
                field("tool"),
                clip(&shown_args(agent, field("tool"), field("args")), 200),
                field("status"),
                clip(field("error"), 200)
            ),
            "question" | "approval" => {
                format!("asked {} {}: {}", field("tool"), clip(field("text"), 200), field("status"))
            }
            "fault" => format!("failed: {}", clip(field("text"), 200)),
            _ => continue,
        };
        text.push_str("- ");
        text.push_str(line.trim());
        text.push('\n');
    }
    text.push_str("Your answer goes to the person who asked, in your name.");
    text
}

/// The arguments of a call as people may see them.
fn shown_args(agent: &Agent, tool: &str, args: &str) -> String {
    let secret = agent.spec().tools.get(tool).map(|tool| tool.secret.as_slice()).unwrap_or_default();
    match serde_json::from_str::<Value>(args) {
        Ok(args) => redacted(&args, secret).to_string(),
        Err(_) => NOT_SHOWN.to_owned(),
    }
}
