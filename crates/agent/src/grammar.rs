//! The reply grammar: which words decide an approval, where there are no buttons.
//!
//! Invariant: what is not clearly a decision is none. "ok but only 50" approves nothing.

use crate::event::{Decision, QuestionKind};

/// Words that approve; alone on the first line.
const APPROVE: &[&str] = &["approve", "approved", "yes", "i approve", "yes, approve", "approve it"];
/// Words that reject; alone, or followed by `:` and a reason.
const REJECT: &[&str] =
    &["reject", "rejected", "deny", "denied", "decline", "declined", "no", "do not approve"];
/// Words that begin a closing; what follows them is a signature.
const CLOSINGS: &[&str] = &[
    "thanks",
    "thank you",
    "regards",
    "best",
    "best regards",
    "kind regards",
    "cheers",
    "sincerely",
    "sent from",
    "mit freundlichen grüßen",
    "viele grüße",
    "danke",
    "merci",
    "cordialement",
    "--",
];

/// Reads a reply to a question; `None` when it is no clear answer to it.
pub fn read(kind: &QuestionKind, options: &[String], text: &str) -> Option<Decision> {
    let text = text.trim();
    match kind {
        QuestionKind::Approval { .. } => approval(text),
        QuestionKind::Unknown { .. } => option(options, first_line(text)?).map(Decision::Option),
        QuestionKind::Question => match first_line(text).and_then(|line| option(options, line)) {
            Some(place) => Some(Decision::Option(place)),
            None => (!text.is_empty()).then(|| Decision::Text(text.to_owned())),
        },
        QuestionKind::HandOver => (!text.is_empty()).then(|| Decision::Text(text.to_owned())),
    }
}

/// The id of the choice to approve a call with other arguments. What it says depends on more than these words: `revise`.
pub(crate) const EDIT: &str = "edit";

/// Reads a pressed button.
pub(crate) fn press(
    kind: &QuestionKind,
    options: &[String],
    choice: &str,
    comment: Option<&str>,
) -> Option<Decision> {
    let comment = comment.map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
    match (kind, choice) {
        (QuestionKind::Approval { .. }, "approve") => Some(Decision::Approve),
        (QuestionKind::Approval { .. }, "reject") => Some(Decision::Reject { comment }),
        (QuestionKind::Approval { .. }, _) => None,
        (QuestionKind::Question | QuestionKind::Unknown { .. } | QuestionKind::HandOver, _) => {
            choice_place(choice).filter(|place| *place < options.len()).map(Decision::Option)
        }
    }
}

/// The id of the button for the option at a place.
pub(crate) fn choice_id(place: usize) -> String {
    format!("option-{}", place + 1)
}

fn choice_place(id: &str) -> Option<usize> {
    id.strip_prefix("option-")?.parse::<usize>().ok()?.checked_sub(1)
}

fn approval(text: &str) -> Option<Decision> {
    let (line, rest) = text.split_once('\n').unwrap_or((text, ""));
    let word = plain(line);
    if APPROVE.contains(&word.as_str()) {
        return is_closing(rest).then_some(Decision::Approve);
    }
    if REJECT.contains(&word.as_str()) {
        let comment = if is_closing(rest) { None } else { Some(rest.trim().to_owned()) };
        return Some(Decision::Reject { comment });
    }
    let (head, reason) = text.split_once(':')?;
    if head.contains('\n') || !REJECT.contains(&plain(head).as_str()) {
        return None;
    }
    let reason = reason.trim();
    Some(Decision::Reject { comment: (!reason.is_empty()).then(|| reason.to_owned()) })
}

fn option(options: &[String], line: &str) -> Option<usize> {
    let word = plain(line);
    let by_number = word.parse::<usize>().ok().and_then(|n| n.checked_sub(1)).filter(|n| *n < options.len());
    by_number.or_else(|| options.iter().position(|option| plain(option) == word))
}

fn first_line(text: &str) -> Option<&str> {
    text.lines().map(str::trim).find(|line| !line.is_empty())
}

/// Whether what follows a decision is nothing, or a closing and a name.
fn is_closing(rest: &str) -> bool {
    let mut lines = rest.lines().map(str::trim).filter(|line| !line.is_empty());
    match lines.next() {
        None => true,
        Some(first) => {
            let word = plain(first);
            let closes = CLOSINGS.iter().any(|closing| {
                word.strip_prefix(closing).is_some_and(|rest| rest.is_empty() || *closing == "sent from")
            });
            closes && lines.clone().count() <= 5 && lines.all(|line| line.chars().count() <= 60)
        }
    }
}

/// Lower case, without the marks people put around a word.
fn plain(line: &str) -> String {
    let line = line
        .trim()
        .trim_matches(|c: char| matches!(c, '.' | '!' | '"' | '\'' | '`' | '*' | '“' | '”' | ',' | ' '));
    line.to_lowercase()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::id::{CallId, Seq};

    fn kind() -> QuestionKind {
        QuestionKind::Approval {
            call: CallId(Seq(1)),
            tool: "t".into(),
            args: json!({}),
            hash: String::new(),
        }
    }

    #[test]
    fn only_clear_words_decide() {
        let reject = |comment: &str| Some(Decision::Reject { comment: Some(comment.into()) });
        for (text, decision) in [
            ("approve", Some(Decision::Approve)),
            ("  Approved!  ", Some(Decision::Approve)),
            ("YES.", Some(Decision::Approve)),
            ("approve\n\nThanks,\nAna", Some(Decision::Approve)),
            ("approve\n\nSent from my phone", Some(Decision::Approve)),
            ("reject", Some(Decision::Reject { comment: None })),
            ("no", Some(Decision::Reject { comment: None })),
            ("reject: wrong order", reject("wrong order")),
            ("Reject:\nwrong order", reject("wrong order")),
            ("reject\nwrong order", reject("wrong order")),
            ("do not approve", Some(Decision::Reject { comment: None })),
            ("ok but only 50", None),
            ("approve but only 50", None),
            ("approve\nbut only 50", None),
            ("approve\n\nbut only 50", None),
            ("approve\n\nbest to make it 50 though", None),
            ("do not approve this", None),
            ("don't approve", None),
            ("not approved", None),
            ("no problem, go ahead", None),
            ("should I approve?", None),
            ("approve?", None),
            ("", None),
        ] {
            assert_eq!(read(&kind(), &[], text), decision, "{text:?}");
        }
    }

    #[test]
    fn options_are_read_by_number_or_word_and_the_unknown_takes_nothing_else() {
        let options = ["It happened".to_owned(), "Leave it".to_owned()];
        let unknown = QuestionKind::Unknown { call: CallId(Seq(1)), tool: "t".into(), args: json!({}) };
        assert_eq!(read(&unknown, &options, "it happened."), Some(Decision::Option(0)));
        assert_eq!(read(&unknown, &options, "2"), Some(Decision::Option(1)));
        assert_eq!(read(&unknown, &options, "3"), None);
        assert_eq!(read(&unknown, &options, "hm"), None);
        assert_eq!(read(&QuestionKind::Question, &options, "hm"), Some(Decision::Text("hm".into())));
        assert_eq!(press(&unknown, &options, "option-2", None), Some(Decision::Option(1)));
        assert_eq!(press(&unknown, &options, "option-3", None), None);
        assert_eq!(press(&unknown, &options, "approve", None), None);
        assert_eq!(
            press(&kind(), &[], "reject", Some(" no ")),
            Some(Decision::Reject { comment: Some("no".into()) })
        );
    }
}
