//! A thread as people read it.

use agent::{AskedAt, Because, Deferring, Event, Intent, Outcome, Phase, QuestionKind, Thread, redacted};
use channel::{Person, Timestamp, Verified};
use serde_json::Value;

/// One line for a list: id, when, agent, where it stands, how it began.
pub(crate) fn line(thread: &Thread, updated: Timestamp) -> String {
    let agent = thread.agent().map_or("-", |agent| agent.name.as_str());
    let first = thread.records().iter().find_map(|record| {
        let Event::Heard(heard) = &record.event else { return None };
        Some(format!("{}: {}", heard.from.name, short(&heard.text, 60)))
    });
    let line = format!(
        "{}  {updated:.0}  {agent:<10}  {:<10}  {}\n",
        thread.id(),
        phase(thread.phase()),
        first.unwrap_or_default()
    );
    visible(&line)
}

/// Names of arguments that people must not see, by tool.
pub(crate) type Secrets<'a> = &'a dyn Fn(&str) -> Vec<String>;

/// The whole log, a paragraph an event. Arguments that their tool declares secret are not shown.
pub(crate) fn tell(thread: &Thread, secrets: Secrets<'_>) -> String {
    let mut story = format!("thread {}, {}\n", thread.id(), phase(thread.phase()));
    if let Some(home) = thread.home() {
        story.push_str(&format!("at {} on {}\n", home.place, home.channel));
    }
    for (n, record) in thread.records().iter().enumerate() {
        let told = sentence(thread, &record.event, secrets).replace('\n', "\n        ");
        story.push_str(&format!("\n{n:>4}  {:.0}\n        {told}\n", record.at));
    }
    visible(&story)
}

/// Text from outside may not give orders to the operator's terminal, nor turn its own direction: what does is spelled out.
fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        let turns = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if turns || (c.is_control() && c != '\n') {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    shown
}

fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Empty => "empty",
        Phase::Thinking => "thinking",
        Phase::Deciding(_) => "deciding",
        Phase::Planned => "planned",
        Phase::Cleared(_) => "cleared",
        Phase::Running(_) => "running",
        Phase::Uncertain(_) => "uncertain",
        Phase::Waiting => "waiting",
        Phase::Relaying(_) => "relaying",
        Phase::Paused => "paused",
        Phase::Finished => "finished",
        Phase::Cancelled => "cancelled",
    }
}

fn sentence(thread: &Thread, event: &Event, secrets: Secrets<'_>) -> String {
    let shown = |tool: &str, args: &Value| redacted(args, &secrets(tool));
    match event {
        Event::Continued(former) => format!(
            "Goes on from {}, which had become long. Passages of it that are kept: {}; left out: {}; files: {}.",
            former.from,
            former.passages.len(),
            former.left_out,
            former.files.len()
        ),
        Event::Routed(routed) => match &routed.agent {
            Some(agent) => format!("Given to {} ({:.12}), by {}.", agent.name, agent.version, routed.why),
            None => format!("Given to nobody: {}.", routed.why),
        },
        Event::Heard(heard) => {
            let known = if heard.from.verified.is_proven() { "" } else { ", not proven" };
            let files: Vec<_> = heard.files.iter().map(|file| file.file.name.as_str()).collect();
            let files =
                if files.is_empty() { String::new() } else { format!("\n[files: {}]", files.join(", ")) };
            format!("{} ({}{known}) said:\n{}{files}", heard.from.name, heard.from.id, heard.text)
        }
        Event::Thought(thought) => {
            let wants = match &thought.intent {
                Intent::Act { tool, args } => format!("to run {tool} {}", shown(tool, args)),
                Intent::ActAll { calls } => {
                    let calls: Vec<String> = calls
                        .iter()
                        .map(|call| format!("{} {}", call.tool, shown(&call.tool, &call.args)))
                        .collect();
                    format!("to run, at once: {}", calls.join("; "))
                }
                Intent::Ask { text, .. } => format!("to ask: {text}"),
                Intent::Say { text, .. } => format!("to say: {text}"),
                Intent::Finish { text, .. } => format!("to finish with: {text}"),
                Intent::HandOver { reason } => format!("to hand over: {reason}"),
            };
            let usage = &thought.usage;
            format!(
                "{} wants {wants}\n({} tokens in, {} out, {} ms)",
                thought.model, usage.input, usage.output, usage.ms
            )
        }
        Event::Planned(planned) => {
            format!("Wanted: {} {}.", planned.tool, shown(&planned.tool, &planned.args))
        }
        Event::Started(started) => {
            let args = shown(&started.tool, &started.args);
            let under = started.grant.map(|grant| format!(", as the answer to question {} allows", grant.0));
            let under = under.unwrap_or_default();
            format!("Started {} {args} (call {}){under}.", started.tool, started.call.0)
        }
        Event::Acted(acted) => match &acted.outcome {
            Outcome::Done(value) => format!(
                "Call {} is done in {} ms: {}",
                acted.call.0,
                acted.ms,
                short(&value.to_string(), 500)
            ),
            Outcome::Failed(fault) => {
                format!("Call {} failed ({}): {}", acted.call.0, fault.kind.as_str(), fault.what)
            }
            Outcome::Unknown { why } => {
                format!("Nobody knows whether call {} took effect: {why}", acted.call.0)
            }
        },
        Event::Asked(question) => {
            let what = match &question.kind {
                QuestionKind::Question => match &question.form {
                    Some(form) => format!("for a form ({})", form.title),
                    None => "a question".to_owned(),
                },
                QuestionKind::Approval { tool, args, .. } => {
                    format!("for approval of {tool} {}", shown(tool, args))
                }
                QuestionKind::Approvals { calls } => {
                    let calls: Vec<String> = calls
                        .iter()
                        .enumerate()
                        .map(|(place, call)| {
                            format!("{} {}", call.label(place), shown(&call.tool, &call.args))
                        })
                        .collect();
                    format!("for approval of {}", calls.join("; "))
                }
                QuestionKind::Unknown { tool, .. } => format!("what became of {tool}"),
                QuestionKind::HandOver => "to take over".to_owned(),
            };
            let whom = whom(&question.asked);
            let held = match question.held.as_slice() {
                [] => String::new(),
                held => format!(", and when their quiet hours are over: {}", self::whom(held)),
            };
            format!("Asked {what}: {whom}{held}\n{}\n(until {:.0})", question.text, question.deadline)
        }
        Event::AskedAgain(again) => {
            let why = match &again.because {
                Because::Reminder(_) => "as a reminder".to_owned(),
                Because::Rung(n) => format!("at rung {} of the ladder", n.saturating_add(1)),
                Because::Awake(member) => format!("now that the quiet hours of {member} are over"),
                Because::Snoozed(who) => format!("now that {who} wanted to be asked again"),
                Because::Delegated(member) => format!("as {member} was named"),
            };
            let whom = if again.asked.is_empty() { "nobody".to_owned() } else { whom(&again.asked) };
            format!("Asked question {} again, {why}: {whom}", again.question.0)
        }
        Event::Voted(ballot) => {
            let answer = &ballot.answer;
            let who = answer.member.as_deref().unwrap_or(&answer.by.name);
            format!("{who} approved ({}); {}.", known(&answer.by), ballot.missing)
        }
        Event::Deferred(deferral) => {
            let who = deferral.member.as_deref().unwrap_or(&deferral.by.name);
            let what = match &deferral.deferring {
                Deferring::AskedBack(text) => format!("asks about question {}:\n{text}", deferral.question.0),
                Deferring::Delegated(member) => {
                    format!("names {member} for question {}.", deferral.question.0)
                }
                Deferring::TookOver => {
                    format!("takes the conversation over (question {}).", deferral.question.0)
                }
                Deferring::Snoozed(until) => {
                    format!("puts question {} off until {until:.0}.", deferral.question.0)
                }
            };
            format!("{who} ({}) {what}", known(&deferral.by))
        }
        Event::Spoke(speech) => {
            let who = speech.member.as_deref().unwrap_or(&speech.by.name);
            format!("{who} ({}) said, in the agent's place:\n{}", known(&speech.by), speech.text)
        }
        Event::Withdrawn { question, why } => {
            format!("Question {} is not needed any more: {why}.", question.0)
        }
        Event::Answered(answer) => format!("{} ({}).", agent::ending(thread, answer), known(&answer.by)),
        Event::Refused(refusal) => {
            let what = refusal.what.as_ref().map(|what| format!("\n{what}")).unwrap_or_default();
            format!(
                "An answer of {} to question {} did not count ({:?}): {}{what}",
                refusal.by.id, refusal.question.0, refusal.why, refusal.words
            )
        }
        Event::Revoked(revocation) => {
            let who = revocation.by.as_ref().map_or("an operator", |by| by.name.as_str());
            let who = revocation.member.as_deref().unwrap_or(who);
            format!(
                "What the answer to question {} allowed for a while was ended by {who}.",
                revocation.question.0
            )
        }
        Event::Edited(edit) => format!("{} changed it to:\n{}", edit.by.name, edit.text),
        Event::Deleted { by, .. } => format!("{} took it back.", by.name),
        Event::Lapsed { question } => format!("Question {} expired; nobody answered.", question.0),
        Event::Said(reply) => {
            let who = match &reply.by {
                agent::Author::Agent => "The agent".to_owned(),
                agent::Author::Gateway => "The gateway".to_owned(),
                agent::Author::Member(name) => name.clone(),
            };
            format!("{who} said:\n{}", reply.text)
        }
        Event::Delivered { key, .. } => format!("Message {key} arrived."),
        Event::Undelivered { key, why } => {
            format!(
                "Message {} was lost: {why}",
                key.as_ref().map_or("(which is not known)", |key| key.as_str())
            )
        }
        Event::Failed(failure) => format!("Failed ({}): {}", failure.fault.kind.as_str(), failure.fault.what),
        Event::Paused { by } => format!("Paused by {by}."),
        Event::Resumed { by } => format!("Resumed by {by}."),
        Event::Cancelled { by } => format!("Cancelled by {by}."),
        Event::HandedOver { why } => format!("Handed over to people: {why}"),
        Event::Finished => "Finished.".to_owned(),
    }
}

/// Who is asked, by name.
fn whom(asked: &[AskedAt]) -> String {
    let name =
        |asked: &AskedAt| asked.member.clone().unwrap_or_else(|| format!("the people at {}", asked.at.place));
    asked.iter().map(name).collect::<Vec<_>>().join(", ")
}

/// Who a person is, and how that is known.
fn known(person: &Person) -> String {
    let grounds = match &person.verified {
        Verified::Proven { by } => by,
        Verified::Claimed { why, .. } => why,
    };
    format!("{} on {}: {grounds}", person.id, person.channel)
}

fn short(text: &str, max: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(max) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use agent::{Home, Record, Snapshot, ThreadId};
    use channel::{Address, ChannelName, Place};
    use serde_json::json;

    use super::*;

    /// What goes on is told as numbers: the arguments in it would not be held to what people may see.
    #[test]
    fn a_conversation_that_goes_on_is_told_in_a_line() {
        let home = Home::of(&Address { channel: ChannelName::new("web"), place: Place::new("p") });
        let passage = json!({
            "number": 3, "run": 0, "kind": "called", "tool": "pay", "args": "{\"iban\":\"DE02\"}", "end": { "done": "paid" },
        });
        let former: Snapshot = serde_json::from_value(json!({
            "from": ThreadId::new(&home, 1), "events": 412, "passages": [passage], "left_out": 12,
        }))
        .unwrap();
        let record = Record::new(Timestamp::UNIX_EPOCH, Event::Continued(Box::new(former)));
        let thread = Thread::fold(ThreadId::new(&home, 2), [record]);
        let told = tell(&thread, &|_| vec!["iban".to_owned()]);
        let line = format!(
            "Goes on from {}, which had become long. Passages of it that are kept: 1; left out: 12; files: 0.",
            ThreadId::new(&home, 1)
        );
        assert!(told.contains(&line), "{told}");
        assert!(!told.contains("DE02"), "{told}");
    }
}
