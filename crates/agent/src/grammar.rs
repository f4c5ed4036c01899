//! The reply grammar: which words decide an approval, where there are no buttons.
//!
//! Invariant: what is not clearly a decision is none. "ok but only 50" approves nothing.

use channel::Span;

use crate::{
    event::{Decision, QuestionKind},
    form::{lines, one_of, some_of},
};

/// Words that approve; alone on the first line.
const APPROVE: &[&str] = &["approve", "approved", "yes", "i approve", "yes, approve", "approve it"];
/// Words that reject; alone, or followed by `:` and a reason.
const REJECT: &[&str] =
    &["reject", "rejected", "deny", "denied", "decline", "declined", "no", "do not approve"];
/// Words that ask the agent something about a question; a `:` and what is asked follow.
const ASK_BACK: &[&str] = &["ask", "question"];
/// Words that name somebody else to ask; a `:` and a member follow.
const DELEGATE: &[&str] = &["delegate", "delegate to"];
/// Words that put a question off; a `:` and how long follow.
const SNOOZE: &[&str] = &["snooze", "later", "remind me"];
/// Words that take a conversation over, as a whole answer.
const TAKE_OVER: &[&str] = &["take over", "take", "i take over", "i'll take it"];
/// Words that give it back to the agent; alone, or followed by `:` and what it is to know.
const HAND_BACK: &[&str] = &["hand back", "give back", "back"];
/// Words that end it, as a whole answer.
const DONE: &[&str] = &["done", "close"];
/// Words that stop the work on a request, as a whole message.
const STOP: &[&str] = &["stop", "/stop"];
/// Words that end what an answer allowed for a while, as a whole answer.
const REVOKE: &[&str] = &["revoke", "revoke it"];
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
        QuestionKind::Approval { .. } | QuestionKind::Approvals { .. } => approval(text),
        QuestionKind::Unknown { .. } => option(options, first_line(text)?).map(Decision::Option),
        QuestionKind::Question => match first_line(text).and_then(|line| option(options, line)) {
            Some(place) => Some(Decision::Option(place)),
            None => (!text.is_empty()).then(|| Decision::Text(text.to_owned())),
        },
        QuestionKind::HandOver => {
            end_of_hand_over(text).or_else(|| (!text.is_empty()).then(|| Decision::Text(text.to_owned())))
        }
    }
}

/// Something to do about a question without deciding it, as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// Ask the agent this.
    AskBack(String),
    /// Ask this member, too.
    Delegate(String),
    /// Let me talk with the people of the thread.
    TakeOver,
    /// Ask again after so long; or a sentence, where that is no length of time.
    Snooze(Result<Span, String>),
}

/// Reads a reply that decides nothing but wants something; `None` where it wants nothing.
pub(crate) fn wish(text: &str) -> Option<Wish> {
    let (head, rest) = text.trim().split_once(':')?;
    let rest = rest.trim();
    if head.contains('\n') || rest.is_empty() {
        return None;
    }
    let head = plain(head);
    let first = || rest.lines().next().unwrap_or_default().trim();
    if ASK_BACK.contains(&head.as_str()) {
        Some(Wish::AskBack(rest.to_owned()))
    } else if DELEGATE.contains(&head.as_str()) {
        Some(Wish::Delegate(first().to_owned()))
    } else if SNOOZE.contains(&head.as_str()) {
        Some(Wish::Snooze(Span::parse(first())))
    } else {
        None
    }
}

/// Whether an answer takes a conversation over, and says nothing else.
pub(crate) fn takes_over(text: &str) -> bool {
    let (line, rest) = text.trim().split_once('\n').unwrap_or((text.trim(), ""));
    TAKE_OVER.contains(&plain(line).as_str()) && is_closing(rest)
}

/// Reads an answer that ends a hand-over: the agent goes on, or nobody needs to.
pub(crate) fn end_of_hand_over(text: &str) -> Option<Decision> {
    let text = text.trim();
    let (line, rest) = text.split_once('\n').unwrap_or((text, ""));
    if HAND_BACK.contains(&plain(line).as_str()) && is_closing(rest) {
        return Some(Decision::HandBack { note: None });
    }
    if DONE.contains(&plain(line).as_str()) && is_closing(rest) {
        return Some(Decision::Done);
    }
    let (head, note) = text.split_once(':')?;
    let is_back = !head.contains('\n') && HAND_BACK.contains(&plain(head).as_str());
    let note = note.trim();
    is_back.then(|| Decision::HandBack { note: (!note.is_empty()).then(|| note.to_owned()) })
}

/// The ids of the choices of a hand-over.
pub(crate) const TAKE: &str = "take";
pub(crate) const BACK: &str = "back";
pub(crate) const OVER: &str = "done";

/// The id of the choice that offers what [`Wish`] names, and the ids of its lines.
pub(crate) const MORE: &str = "more";
pub(crate) const MORE_WHAT: &str = "what";
pub(crate) const MORE_TEXT: &str = "text";
/// What can be chosen there, in this order.
pub(crate) const MORE_OPTIONS: [&str; 3] =
    ["Ask the agent something", "Ask somebody else, too", "Ask me again later"];

/// The words that say the same, in the same order.
pub(crate) const MORE_WORDS: [&str; 3] = ["ask: your question", "delegate: a name", "snooze: 2h"];

/// Reads what was filled in under [`MORE`].
pub(crate) fn wish_of(what: &str, text: &str) -> Option<Wish> {
    let text = text.trim();
    let place = MORE_OPTIONS.iter().position(|option| *option == what.trim())?;
    if text.is_empty() {
        return None;
    }
    match place {
        0 => Some(Wish::AskBack(text.to_owned())),
        1 => Some(Wish::Delegate(text.to_owned())),
        _ => Some(Wish::Snooze(Span::parse(text))),
    }
}

/// Whether a message wants the work on a request to stop, and says nothing else.
pub(crate) fn is_stop(text: &str) -> bool {
    let (line, rest) = text.trim().split_once('\n').unwrap_or((text.trim(), ""));
    STOP.contains(&plain(line).as_str()) && is_closing(rest)
}

/// Whether an answer ends what an earlier one allowed for a while, and says nothing else.
pub fn is_revoke(text: &str) -> bool {
    let (line, rest) = text.trim().split_once('\n').unwrap_or((text.trim(), ""));
    REVOKE.contains(&plain(line).as_str()) && is_closing(rest)
}

/// Takes the code off the front of a reply: `#k3f approve` names the question `k3f`.
pub fn code(text: &str) -> Option<(&str, &str)> {
    let rest = text.trim_start().strip_prefix('#')?;
    let end = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
    let (code, rest) = rest.split_at(end);
    (!code.is_empty()).then(|| (code, rest.trim_start_matches([':', ',']).trim_start()))
}

/// Whether a text says what decides an approval, or wants something about one: what nobody says who does not mean a
/// question.
pub fn means_a_question(text: &str) -> bool {
    approval(text.trim()).is_some() || wish(text).is_some() || is_revoke(text)
}

/// The id of the choice to approve a call with other arguments. What it says depends on more than these words: `revise`.
pub(crate) const EDIT: &str = "edit";
/// The id of the choice to approve calls like this one for a while, and of the line that says for how long.
pub(crate) const ALIKE: &str = "alike";
pub(crate) const ALIKE_FOR: &str = "for";
/// The id of the choice to approve some of several calls, and of the lines that say which, and why not the others.
pub(crate) const SOME: &str = "some";
pub(crate) const SOME_WHICH: &str = "approve";
pub(crate) const SOME_WHY: &str = "why";
/// The id of the choice to fill in a form: `form`.
pub(crate) const FILL: &str = "fill";
/// The id of the choice of several options, and of the line that they stand in.
pub(crate) const CHOOSE: &str = "choose";

/// What stands below a word that approves, if that is more than a closing: the arguments that are to be others, perhaps.
pub(crate) fn below_approval(text: &str) -> Option<&str> {
    let (line, rest) = text.trim().split_once('\n')?;
    let rest = without_closing(rest);
    (APPROVE.contains(&plain(line).as_str()) && !is_closing(rest)).then_some(rest)
}

/// Reads a text as some of the options; nothing where that is not all it says.
pub(crate) fn several(options: &[String], text: &str) -> Option<Decision> {
    let text = without_closing(text);
    // With the name of the line before it, or without.
    let line = lines(text, &[CHOOSE], true).and_then(|read| read.ok()?.remove(CHOOSE));
    let places =
        some_of(options, line.as_deref().unwrap_or(text)).ok().filter(|places| !places.is_empty())?;
    Some(Decision::Options(places.into_iter().collect()))
}

/// A text without the closing and the name below it, which a blank line sets off.
pub(crate) fn without_closing(text: &str) -> &str {
    let blank = |end: &usize| text[..*end].lines().next_back().is_some_and(|line| line.trim().is_empty());
    let mut ends = text.match_indices('\n').map(|(end, _)| end + 1).filter(blank);
    ends.find(|end| is_closing(&text[*end..])).map_or(text, |end| &text[..end])
}

/// Reads a pressed button.
pub(crate) fn press(
    kind: &QuestionKind,
    options: &[String],
    choice: &str,
    comment: Option<&str>,
) -> Option<Decision> {
    let comment = comment.map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
    match (kind, choice) {
        (QuestionKind::Approval { .. } | QuestionKind::Approvals { .. }, "approve") => {
            Some(Decision::Approve)
        }
        (QuestionKind::Approval { .. } | QuestionKind::Approvals { .. }, "reject") => {
            Some(Decision::Reject { comment })
        }
        (QuestionKind::Approval { .. } | QuestionKind::Approvals { .. }, _) => None,
        (QuestionKind::HandOver, BACK) => Some(Decision::HandBack { note: comment }),
        (QuestionKind::HandOver, OVER) => Some(Decision::Done),
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
    let by_word = || options.iter().position(|option| plain(option) == word);
    let by_id = || choice_place(&word).filter(|place| *place < options.len());
    one_of(options, line).or_else(by_word).or_else(|| one_of(options, &word)).or_else(by_id)
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
