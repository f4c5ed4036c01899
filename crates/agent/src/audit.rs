//! The audit: whether logs and seals still fit each other, and every decision as a line for whoever looks at it later.

use std::collections::BTreeMap;

use channel::Timestamp;
use serde_json::{Map, Value, json};

use crate::{
    chain::Chain,
    event::{AgentRef, Question, Record},
    id::{CallId, QuestionId, Seq, ThreadId, Version},
    seal::{Seal, SealKeys},
    spec::{NOT_SHOWN, redacted},
    thread::Thread,
};

/// What a seal says of a thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The number of the seal.
    pub seal: u64,
    /// When it was made.
    pub at: Timestamp,
    /// How many events the thread had.
    pub version: Version,
    /// The chain over them.
    pub chain: String,
}

/// The seals, read one after the other from the first on, and what they say.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// How many seals are good.
    pub good: usize,
    /// What is wrong with others, a sentence each.
    pub faults: Vec<String>,
    /// What the good ones say of each thread.
    pub marks: BTreeMap<ThreadId, Vec<Mark>>,
    /// The hash that the next one must name as that of the one before; none where that is not known.
    before: Option<String>,
    number: u64,
    signed: bool,
}

impl Ledger {
    /// Reads a seal, as it is kept under its number, which is higher than those before. What a seal that is not good says counts for
    /// nothing.
    pub fn read(&mut self, number: u64, kept: &[u8], keys: &SealKeys) {
        self.miss_up_to(number.saturating_sub(1));
        let first = self.number == 0;
        self.number = number;
        let before = self.before.take();
        let seal: Seal = match serde_json::from_slice(kept) {
            Ok(seal) => seal,
            Err(error) => {
                self.faults.push(format!("seal {number} cannot be read: {error}"));
                return;
            }
        };
        self.before = Some(seal.hash.clone());
        let follows = match (first, &before) {
            (true, _) => seal.before.is_none(),
            // What was wrong with the one before is told.
            (false, None) => true,
            (false, Some(_)) => seal.before == before,
        };
        let wrong = if !seal.is_whole() || seal.seal != number {
            "was changed: its hash is not that of what stands in it"
        } else if !follows {
            "does not follow the one before it: that one was another when it was made"
        } else if keys.is_empty() {
            ""
        } else if seal.signature.is_some() && !seal.is_signed_by(keys) {
            "bears a signature that was not made with the key"
        } else if seal.signature.is_none() && self.signed {
            "is not signed, and one before it is"
        } else {
            ""
        };
        self.signed |= seal.signature.is_some();
        if !wrong.is_empty() {
            self.faults.push(format!("seal {number} of {:.0} {wrong}", seal.at));
            return;
        }
        self.good += 1;
        for sealed in seal.threads {
            let mark = Mark { seal: number, at: seal.at, version: sealed.version, chain: sealed.chain };
            self.marks.entry(sealed.thread).or_default().push(mark);
        }
    }

    /// Says what is wrong with all of them together, when the last was read, whose number is said to be this.
    pub fn end(&mut self, last: u64, keys: &SealKeys) {
        self.miss_up_to(last);
        if self.number > 0 && !keys.is_empty() && !self.signed {
            self.faults.push(
                "no seal is signed: no gateway has run with the key yet, or all of them were made anew without it"
                    .to_owned(),
            );
        }
    }

    fn miss_up_to(&mut self, last: u64) {
        let first = self.number.saturating_add(1);
        if first > last {
            return;
        }
        self.faults.push(match first == last {
            true => format!("seal {first} is missing"),
            false => format!("seals {first} to {last} are missing"),
        });
        (self.number, self.before) = (last, None);
    }
}

/// What came of holding a log against what is known of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// How many events say something about a question.
    pub decisions: usize,
    /// How many events no seal knows yet.
    pub unsealed: u64,
    /// What does not fit, a sentence.
    pub fault: Option<String>,
}

/// Holds a log against the chains that its answers carry, and against what the seals say of it.
pub fn hold_against(thread: &ThreadId, records: &[Record], marks: &[Mark]) -> Held {
    let mut by_version: BTreeMap<u64, Vec<&Mark>> = BTreeMap::new();
    for mark in marks {
        by_version.entry(mark.version.0).or_default().push(mark);
    }
    let length = records.len() as u64;
    let known = by_version.keys().next_back().copied().unwrap_or(0);
    let mut held = Held { unsealed: length.saturating_sub(known), ..Held::default() };
    let (mut chain, mut good) = (Chain::new(thread), 0);
    // The events among which something is not as it was, and the first seal that says so.
    let (mut among, mut seal): (Option<(u64, u64)>, Option<&Mark>) = (None, None);
    for version in 0..=length {
        let hex = chain.hex();
        for mark in by_version.get(&version).into_iter().flatten() {
            if mark.chain == hex {
                good = version;
            } else {
                among = among.or(Some((good, version.saturating_sub(1))));
                seal = seal.filter(|first| first.seal < mark.seal).or(Some(mark));
            }
        }
        let Some(record) = usize::try_from(version).ok().and_then(|place| records.get(place)) else { break };
        let event = record.json();
        held.decisions += usize::from(question(&event).is_some());
        match event.pointer("/evidence/chain").and_then(Value::as_str) {
            Some(carried) if carried != hex => among = among.or(Some((good, version))),
            Some(_) => good = version,
            None => {}
        }
        chain = chain.then_json(&event);
    }
    let gone = by_version.range(length + 1..).flat_map(|(_, marks)| marks).min_by_key(|mark| mark.seal);
    held.fault = match (among, gone) {
        (Some((first, last)), _) => {
            let where_it_is = match last <= first {
                true => format!("event {first} is not what it was, is new, or stands where one is gone"),
                false => format!("of its events {first} to {last} one was changed, added or taken away"),
            };
            let since = match seal.into_iter().chain(gone.copied()).min_by_key(|mark| mark.seal) {
                Some(Mark { seal, at, .. }) => format!("seal {seal} of {at:.0} knew it otherwise"),
                None => "an answer was given on another log".to_owned(),
            };
            Some(format!("thread {thread}: {where_it_is}; {since}"))
        }
        (None, Some(Mark { seal, at, version, .. })) => Some(format!(
            "thread {thread}: it has {length} events, and seal {seal} of {at:.0} knew {version}: what is after event {} is gone",
            length.saturating_sub(1)
        )),
        (None, None) => None,
    };
    held
}

/// Which question an event says something about: a call that runs, the one whose answer allows it. That one is asked again decides
/// nothing.
fn question(event: &Value) -> Option<QuestionId> {
    let asks = event.get("event").and_then(Value::as_str) == Some("asked_again");
    let about = event.get("question").filter(|_| !asks).or_else(|| event.get("grant"));
    about.and_then(Value::as_u64).map(|seq| QuestionId(Seq(seq)))
}

/// Names of arguments that people must not see, of a tool of an agent in a version; none where they are not known: then no argument
/// is shown.
pub type Secrets<'a> = &'a dyn Fn(&AgentRef, &str) -> Option<Vec<String>>;

/// Every decision of a thread, and whatever else became of a question, in the order of its log: an object each. What people must
/// not see stands in none.
pub fn decisions(thread: &Thread, secrets: Secrets<'_>) -> Vec<Value> {
    let mut lines = Vec::new();
    let mut chain = Chain::new(thread.id());
    for (seq, record) in (0..).zip(thread.records()) {
        let event = record.json();
        let about = match question(&event) {
            Some(question) => vec![question],
            None => (0..seq)
                .map(|n| QuestionId(Seq(n)))
                .filter(|id| thread.settled_by(*id) == Some(Seq(seq)))
                .collect(),
        };
        for question in about {
            lines.extend(line(thread, (Seq(seq), &event), question, &chain, secrets));
        }
        chain = chain.then_json(&event);
    }
    lines
}

/// What an event says about a question. Of what an event or a question holds only what is named here is taken: what is added to
/// them does not come out by itself.
fn line(
    thread: &Thread,
    (seq, event): (Seq, &Value),
    id: QuestionId,
    chain: &Chain,
    secrets: Secrets<'_>,
) -> Option<Value> {
    let question = thread.question(id)?;
    let asked_at = usize::try_from(id.0.0).ok().and_then(|n| thread.records().get(n))?.at;
    let kind = serde_json::to_value(&question.kind).ok()?;
    let tool = kind.get("tool").and_then(Value::as_str);
    let secret = tool.and_then(|tool| secrets(&question.asker, tool));
    let args = kind.get("args");
    let shown = |args: &Value| secret.as_deref().map(|secret| redacted(args, secret));
    let of = |name: &str| event.get(name).cloned().unwrap_or(Value::Null);
    let approved = event.pointer("/decision/approve_edited/args");
    let changed = match (args.and_then(shown), approved.and_then(shown)) {
        (Some(asked), Some(approved)) => difference(&asked, &approved),
        _ => Value::Null,
    };
    let mut by = of("by");
    if let (Value::Object(by), Some(member)) = (&mut by, event.get("member")) {
        by.insert("member".to_owned(), member.clone());
        by.extend(event.get("instead_of").map(|member| ("instead_of".to_owned(), member.clone())));
    }
    let all = json!({
        "at": of("at"),
        "thread": thread.id(),
        "event": seq,
        "outcome": of("event"),
        "question": id,
        "asked_at": asked_at,
        "kind": kind.get("kind"),
        "text": question.text,
        "options": Some(&question.options).filter(|options| !options.is_empty()),
        "tool": tool,
        "calls": question.kind.is_several().then(|| asked_calls(question, secrets)),
        "arguments": args.map(|args| shown(args).unwrap_or_else(|| NOT_SHOWN.into())),
        "agent": question.asker,
        "requester": question.requester,
        "deadline": question.deadline,
        "by": by,
        "how": of("how"),
        "from": of("address"),
        "decision": event.get("decision").map(|decision| told(decision, &shown)),
        "changed": changed,
        "ran_with": event.get("grant").map(|_| shown(&of("args")).unwrap_or_else(|| NOT_SHOWN.into())),
        "missing": of("missing"),
        "deferring": of("deferring"),
        "said": event.get("text"),
        "words": of("words"),
        "why": of("why"),
        "what": of("what"),
        "shown": event.pointer("/evidence/shown"),
        "chain": chain.hex(),
    });
    let Value::Object(all) = all else { return None };
    Some(Value::Object(all.into_iter().filter(|(_, value)| !value.is_null()).collect()))
}

/// The calls of a question about several, as they stand in a line.
fn asked_calls(question: &Question, secrets: Secrets<'_>) -> Value {
    let one = |(_, tool, args, _): (CallId, &str, &Value, &str)| {
        let secret = secrets(&question.asker, tool);
        let args = secret.map_or_else(|| NOT_SHOWN.into(), |secret| redacted(args, &secret));
        json!({ "tool": tool, "arguments": args })
    };
    question.kind.calls().into_iter().map(one).collect()
}

/// A decision as it stands in a line.
fn told(decision: &Value, shown: &dyn Fn(&Value) -> Option<Value>) -> Value {
    let Value::Object(one) = decision else { return decision.clone() };
    let part = |(name, value): (&String, &Value)| {
        let value = match name.as_str() {
            "approve_edited" => {
                let args = value.get("args").and_then(shown);
                json!({ "arguments": args.unwrap_or_else(|| NOT_SHOWN.into()) })
            }
            "approve_alike" | "approve_some" | "reject" | "option" | "options" | "form" | "text"
            | "hand_back" => value.clone(),
            _ => NOT_SHOWN.into(),
        };
        (name.clone(), value)
    };
    Value::Object(one.iter().map(part).collect())
}

/// Each argument that was approved as another than was asked: what was asked, and what was approved.
fn difference(asked: &Value, approved: &Value) -> Value {
    let (Value::Object(before), Value::Object(now)) = (asked, approved) else { return Value::Null };
    let names = before.keys().chain(now.keys().filter(|name| !before.contains_key(*name)));
    let changed = names.filter(|name| before.get(*name) != now.get(*name));
    let change =
        |name: &String| (name.clone(), json!({ "asked": before.get(name), "approved": now.get(name) }));
    Value::Object(changed.map(change).collect::<Map<_, _>>())
}
