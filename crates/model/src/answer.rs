//! What a provider answered, in one form for all, and the text it becomes.

use serde::de::IgnoredAny;

/// The intents that are functions of their own; every other function is a tool.
const INTENTS: [&str; 5] = ["act_all", "ask", "say", "finish", "hand_over"];

/// The most calls that are kept of one answer. More than one is refused later anyway.
pub(crate) const CALLS_MAX: usize = 16;

/// A whole answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The words.
    pub(crate) text: String,
    /// The functions called.
    pub(crate) calls: Vec<Call>,
    /// Whether the provider stopped for lack of room.
    pub(crate) truncated: bool,
    /// Tokens read, cached ones included.
    pub(crate) input: u64,
    /// Tokens written.
    pub(crate) output: u64,
    /// The model that answered, in the provider's words.
    pub(crate) model: Option<String>,
}

/// A function called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Call {
    /// Which.
    pub(crate) name: String,
    /// Its arguments as the model wrote them.
    pub(crate) args: String,
}

impl Answer {
    /// The output: the calls as intents, one after another, or the words when nothing was called.
    pub(crate) fn output(&self) -> String {
        if self.calls.is_empty() {
            return self.text.clone();
        }
        self.calls.iter().map(intent).collect::<Vec<_>>().join("\n")
    }
}

/// The intent that a call stands for. The arguments are put in as text, so that the extractor sees what the model wrote,
/// doubled keys included.
fn intent(call: &Call) -> String {
    let args = call.args.trim();
    // Some models leave the arguments of a function without any empty.
    let args = if args.is_empty() { "{}" } else { args };
    let is_intent = INTENTS.contains(&call.name.as_str());
    let name = quoted(&call.name);
    // The arguments' own closing bracket closes an intent that has the same fields.
    let (open, close) = match args.strip_prefix('{') {
        Some(rest) if is_intent && rest.trim_start() == "}" => (format!("{{\"intent\":{name}}}"), ""),
        Some(rest) if is_intent => (format!("{{\"intent\":{name},{rest}"), ""),
        None if is_intent => (format!("{{\"intent\":{name},\"args\":{args}"), "}"),
        _ => (format!("{{\"intent\":\"act\",\"tool\":{name},\"args\":{args}"), "}"),
    };
    // Arguments that are cut off stay cut off: a bracket of ours would make them look finished. Those that close more than
    // they open must not close the intent.
    if is_json(args) || is_json(&open) { open + close } else { open }
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

fn quoted(text: &str) -> String {
    serde_json::Value::String(text.to_owned()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(calls: &[(&str, &str)]) -> String {
        let calls =
            calls.iter().map(|(name, args)| Call { name: (*name).into(), args: (*args).into() }).collect();
        Answer { text: "Let me see.".into(), calls, ..Answer::default() }.output()
    }

    #[test]
    fn a_call_becomes_its_intent() {
        for (name, args, expected) in [
            ("deploy", r#"{"version":"v1"}"#, r#"{"intent":"act","tool":"deploy","args":{"version":"v1"}}"#),
            ("clock", "", r#"{"intent":"act","tool":"clock","args":{}}"#),
            ("finish", r#"{ "text": "Done." }"#, r#"{"intent":"finish", "text": "Done." }"#),
            ("finish", "{ }", r#"{"intent":"finish"}"#),
            ("hand_over", r#"{"reason":"r"}"#, r#"{"intent":"hand_over","reason":"r"}"#),
            ("say", r#""hello""#, r#"{"intent":"say","args":"hello"}"#),
            ("a\"b", "{}", r#"{"intent":"act","tool":"a\"b","args":{}}"#),
        ] {
            let output = output(&[(name, args)]);
            assert_eq!(output, expected);
            assert!(is_json(&output), "{output}");
        }
    }

    #[test]
    fn doubled_keys_stay_visible() {
        assert_eq!(
            output(&[("finish", r#"{"intent":"ask","text":"x"}"#)]),
            r#"{"intent":"finish","intent":"ask","text":"x"}"#
        );
        assert_eq!(
            output(&[("pay", r#"{"n":1,"n":2}"#)]),
            r#"{"intent":"act","tool":"pay","args":{"n":1,"n":2}}"#
        );
    }

    #[test]
    fn broken_arguments_are_never_json() {
        for args in [
            r#"{"version":"v1"#,
            r#"{"version":"v1","#,
            r#"{} , "tool":"rollback""#,
            r#"{},"note":1"#,
            "{}}",
            "{",
            "}",
            "v1",
            r#"{"a":1}}"#,
            r#"{"text":"x"},"#,
            "\"text\":1",
            r#""text":"x""#,
        ] {
            for name in ["deploy", "finish"] {
                let output = output(&[(name, args)]);
                assert!(!is_json(&output), "{args} became {output}");
                assert!(output.contains(args.trim_start_matches('{')), "{args} became {output}");
            }
        }
    }

    #[test]
    fn several_calls_stand_one_after_another() {
        let output = output(&[("deploy", "{}"), ("finish", r#"{"text":"x"}"#)]);
        assert_eq!(
            output,
            "{\"intent\":\"act\",\"tool\":\"deploy\",\"args\":{}}\n{\"intent\":\"finish\",\"text\":\"x\"}"
        );
        assert!(!is_json(&output));
    }
}
