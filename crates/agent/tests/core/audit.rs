//! The audit: whatever is changed in a log or in a seal is found, and a line for each decision shows no secret.

use agent::{
    AgentRef, Answer, AskedAgain, Author, Ballot, Because, Chain, Decision, Deferral, Deferring, Event,
    Evidence, Held, Home, How, Ledger, Mark, QuestionId, Record, Refusal, Reply, Seal, SealKeys, Sealed, Seq,
    Thread, ThreadId, Version, Why, card_at, decisions, hold_against, shown,
};
use channel::{Card, CardState, Choice, Comment, Field, Style, Ticket};
use proptest::{prelude::*, sample::Index};
use serde_json::{Value, json};

use crate::{
    fold::{sound_log, thread_id},
    support::{Story, act, answered, at, claimed, home, place, proven},
};

fn chain(records: &[Record]) -> Chain {
    Chain::new(&thread_id()).over(records)
}

/// What seals say that were made at these versions, one after the other.
fn marks(records: &[Record], versions: &[usize]) -> Vec<Mark> {
    let mark = |(n, version): (u64, &usize)| Mark {
        seal: n,
        at: at(0),
        version: Version(*version as u64),
        chain: chain(&records[..*version]).hex(),
    };
    (1..).zip(versions).map(mark).collect()
}

fn held(records: &[Record], marks: &[Mark]) -> Held {
    hold_against(&thread_id(), records, marks)
}

fn said(words: &str) -> Record {
    let by = Author::Gateway;
    let reply = Reply {
        to: home(),
        in_reply_to: None,
        text: words.into(),
        files: Vec::new(),
        by,
        note: None,
        answers: None,
    };
    Record::new(at(7), Event::Said(reply))
}

/// As the gateway writes it: what decides carries the chain over the log before it.
fn linked(records: Vec<Record>) -> Vec<Record> {
    let mut chain = Chain::new(&thread_id());
    let link = |mut record: Record| {
        if let Some((_, _, evidence)) = record.event.evidence() {
            evidence.chain = Some(chain.hex());
        }
        chain = chain.then(&record);
        record
    };
    records.into_iter().map(link).collect()
}

/// What a log's owner may do to it.
#[derive(Clone, Debug)]
enum Deed {
    Change,
    Insert,
    Remove,
    Swap,
    CutOff,
    Delay,
}

/// Does it at this place; nothing where that would change nothing.
fn done(records: &[Record], deed: &Deed, place: Index) -> Option<Vec<Record>> {
    let mut changed = records.to_vec();
    let n = place.index(records.len());
    match deed {
        Deed::Change => changed[n] = said("something else"),
        Deed::Insert => changed.insert(n, said("something more")),
        Deed::Remove => drop(changed.remove(n)),
        Deed::Swap if n + 1 < records.len() => changed.swap(n, n + 1),
        Deed::Swap => return None,
        Deed::CutOff => changed.truncate(n),
        Deed::Delay => changed[n].at = at(99_999),
    }
    (changed != records).then_some(changed)
}

fn deed() -> impl Strategy<Value = Deed> {
    prop::sample::select(vec![
        Deed::Change,
        Deed::Insert,
        Deed::Remove,
        Deed::Swap,
        Deed::CutOff,
        Deed::Delay,
    ])
}

proptest! {
    /// Whatever is done to what was sealed is found, and what was not touched is good.
    #[test]
    fn what_was_sealed_cannot_be_changed_unseen(
        log in sound_log(), deed in deed(), place: Index, more in any::<Index>(),
    ) {
        let log = linked(log);
        prop_assume!(!log.is_empty());
        let half = more.index(log.len());
        let known = marks(&log, &[half, log.len()]);
        let good = held(&log, &known);
        prop_assert_eq!((good.fault, good.unsealed), (None, 0));
        if let Some(changed) = done(&log, &deed, place) {
            let found = held(&changed, &known);
            prop_assert!(found.fault.is_some_and(|fault| fault.contains("seal ")), "{deed:?}");
        }
    }

    /// What stands before an answer cannot be changed without it, seals or not.
    #[test]
    fn what_an_answer_stands_on_cannot_be_changed_unseen(log in sound_log(), deed in deed(), place: Index) {
        let mut log = linked(log);
        let question = QuestionId(Seq(0));
        log.push(Record::new(at(500), answered(question, Decision::Approve)));
        let log = linked(log);
        prop_assert_eq!(held(&log, &[]).fault, None);
        let (answer, before) = log.split_last().unwrap();
        prop_assume!(!before.is_empty());
        if let Some(mut changed) = done(before, &deed, place) {
            changed.push(answer.clone());
            prop_assert!(held(&changed, &[]).fault.is_some(), "{deed:?}");
        }
    }

    /// A log that is made up whole can be read, and costs no panic.
    #[test]
    fn any_marks_can_be_held_against_any_log(
        log in sound_log(), versions in prop::collection::vec((any::<u64>(), ".{0,3}"), 0..4),
    ) {
        let mark = |(version, chain): (u64, String)| Mark { seal: 1, at: at(0), version: Version(version), chain };
        let any: Vec<Mark> = versions.into_iter().map(mark).collect();
        prop_assert_eq!(held(&log, &any).fault.is_some(), !any.is_empty());
    }
}

#[test]
fn a_change_is_named_by_its_place_and_the_first_seal_that_knew_better() {
    let log: Vec<Record> = (0..9).map(|n| said(&n.to_string())).collect();
    let known = marks(&log, &[2, 5, 6, 9]);
    let mut changed = log.clone();
    changed[5] = said("another");
    let fault = held(&changed, &known).fault.unwrap();
    assert!(
        fault.contains("event 5 is not what it was") && fault.contains("seal 3 of 2026-05-28"),
        "{fault}"
    );
    changed = log.clone();
    changed[7] = said("another");
    let fault = held(&changed, &known).fault.unwrap();
    assert!(fault.contains("events 6 to 8") && fault.contains("seal 4 of"), "{fault}");
    let fault = held(&log[..4], &known).fault.unwrap();
    assert!(fault.contains("it has 4 events, and seal 2 of 2026-05-28T20:26:40Z knew 5"), "{fault}");
    assert!(fault.contains("after event 3 is gone"), "{fault}");
    let more: Vec<Record> = log.iter().cloned().chain([said("more")]).collect();
    assert_eq!(held(&more, &known), Held { decisions: 0, unsealed: 1, fault: None });
}

/// What was hashed once is hashed the same by every later build, whatever is added to events: else what is sound would be told as
/// changed.
#[test]
fn the_chain_over_what_was_written_stays() {
    let log = [
        r#"{"v":1,"at":"2026-11-05T09:00:00.123456789Z","event":"heard","from":{"channel":"web","id":"u","name":"Ulla","verified":{"proven":{"by":"test"}}},"sent":"2026-11-05T09:00:00Z","text":"refund 1.50 \"now\""}"#,
        r#"{"v":1,"at":"2026-11-05T09:00:01Z","event":"asked","kind":{"kind":"approval","call":1,"tool":"refund","args":{"b":1.50,"a":1e21},"hash":"77"},"text":"?","audience":{"requester":false,"members":["finance"]},"asked":[{"channel":"web","place":"p"}],"asker":{"name":"support","version":"ab"},"deadline":"2026-11-06T09:00:00Z"}"#,
        r#"{"v":1,"at":"2026-11-05T09:00:02Z","event":"refused","question":1,"by":{"channel":"web","id":"u","name":"Ulla","verified":{"claimed":{"why":"none"}}},"address":{"channel":"web","place":"p"},"words":"approve","how":"pressed","why":"unverified"}"#,
        r#"{"v":1,"at":"2026-11-05T09:00:03Z","event":"answered","question":1,"by":{"channel":"web","id":"a","name":"Ana","verified":{"proven":{"by":"test"}}},"member":"ana","address":{"channel":"web","place":"p"},"decision":"approve","words":"approve","how":"pressed","evidence":{"shown":"5a","chain":"c4"}}"#,
        r#"{"v":1,"at":"2026-11-05T09:00:04Z","event":"lapsed","question":1}"#,
        r#"{"v":1,"at":"2026-11-05T09:00:05Z","event":"finished"}"#,
    ];
    let read = |line: &&str| serde_json::from_str::<Record>(line).unwrap();
    let records: Vec<Record> = log.iter().map(read).collect();
    for (line, record) in log.iter().zip(&records) {
        let written: Value = serde_json::to_value(record).unwrap();
        assert_eq!(
            written,
            serde_json::from_str::<Value>(line).unwrap(),
            "it would be written otherwise now"
        );
    }
    let thread = ThreadId::parse("k3fj2m7qx7ab4c5d-1").unwrap();
    assert_eq!(
        Chain::new(&thread).over(&records).hex(),
        "01ed4df4570cae657390f77de67bccadb508ccf23bcc00fa0442a433ba587bc9"
    );
}

/// What a newer build adds to an event counts, though this one does not know it: both make the same chain.
#[test]
fn what_this_build_does_not_know_counts_in_the_chain() {
    let plain = Record::new(at(3), Event::Paused { by: "ana".into() });
    let read = |json: &str| Record::read(1, at(3), serde_json::from_str(json).unwrap(), json);
    let same = read(r#"{"by":"ana","event":"paused"}"#);
    let more = read(r#"{"event":"paused","by":"ana","mood":[1.0]}"#);
    assert_eq!((&same, &more), (&plain, &plain), "it is the same event to this build");
    assert_eq!(chain(&[same]), chain(std::slice::from_ref(&plain)));
    assert_ne!(chain(std::slice::from_ref(&more)), chain(&[plain]));
    // Also out of the archive, where its time stands beside it.
    let line = more.json().to_string();
    let back: Record = serde_json::from_str(&line).unwrap();
    assert_eq!(chain(&[Record::read(back.v, back.at, back.event, &line)]), chain(&[more]));
}

/// Two threads with the same events are told apart, and what was written as hex is read back.
#[test]
fn a_chain_is_a_thread_s_own() {
    let log = [said("a")];
    let other = Chain::new(&ThreadId::new(&Home::of(&home()), 77)).over(&log);
    assert_ne!(chain(&log), other);
    assert_eq!(Chain::parse(&other.hex()), Some(other));
    assert_eq!((Chain::parse("77"), Chain::parse("x")), (None, None));
}

fn card() -> Card {
    Card {
        ticket: Ticket::new("t"),
        code: "k3f".into(),
        title: "Approve: deploy".into(),
        text: "Ulla asked".into(),
        fields: vec![Field { label: "version".into(), value: "v1".into() }],
        choices: vec![Choice {
            id: "approve".into(),
            label: "Approve".into(),
            style: Style::Primary,
            comment: Comment::None,
            form: Vec::new(),
            reply: None,
        }],
        free_text: false,
        progress: None,
        state: CardState::Open { deadline: at(9) },
    }
}

#[test]
fn what_was_shown_is_what_people_could_read() {
    let hash = shown(&card());
    let same = Card {
        ticket: Ticket::new("another"),
        progress: Some("Approved by Ben; one more must approve.".into()),
        state: CardState::Closed { how: "Approved".into() },
        ..card()
    };
    assert_eq!(shown(&same), hash, "it is the same card at another place, or later");
    let text = Card { text: "Ben asked".into(), ..card() };
    let title = Card { title: "Approve: rollback".into(), ..card() };
    let fields = Card { fields: vec![Field { label: "version".into(), value: "v2".into() }], ..card() };
    let choices = Card { choices: Vec::new(), ..card() };
    for other in [text, title, fields, choices] {
        assert_ne!(shown(&other), hash, "{other:?}");
    }
}

fn keys(key: &str) -> SealKeys {
    SealKeys::new([key.as_bytes().to_vec()])
}

fn sealed(n: u64) -> Vec<Sealed> {
    vec![Sealed { thread: thread_id(), version: Version(n), chain: n.to_string() }]
}

/// Seals that follow each other, as they are kept.
fn seals(count: u64, keys: &SealKeys) -> Vec<Seal> {
    let mut seals: Vec<Seal> = Vec::new();
    for n in 1..=count {
        let before = seals.last().map(|last| last.hash.clone());
        seals.push(Seal::new(n, at(n as i64), before, sealed(n), keys));
    }
    seals
}

fn read(seals: &[Option<Seal>], keys: &SealKeys) -> Ledger {
    let mut ledger = Ledger::default();
    for (number, seal) in (1..).zip(seals) {
        if let Some(seal) = seal {
            ledger.read(number, &serde_json::to_vec(seal).unwrap(), keys);
        }
    }
    ledger.end(seals.len() as u64, keys);
    ledger
}

fn kept(seals: Vec<Seal>) -> Vec<Option<Seal>> {
    seals.into_iter().map(Some).collect()
}

#[test]
fn seals_that_follow_each_other_are_good_and_say_what_they_say() {
    for (made, read_with) in [("a", "a"), ("a", ""), ("", "")] {
        let of = |key: &str| if key.is_empty() { SealKeys::default() } else { keys(key) };
        let ledger = read(&kept(seals(3, &of(made))), &of(read_with));
        assert_eq!((ledger.good, ledger.faults.len()), (3, 0), "{made} {read_with}");
        let known: Vec<(u64, u64)> =
            ledger.marks[&thread_id()].iter().map(|mark| (mark.seal, mark.version.0)).collect();
        assert_eq!(known, [(1, 1), (2, 2), (3, 3)]);
    }
    // While a key is replaced both count, and what was not signed yet is followed by what is.
    let both = SealKeys::new([b"new".to_vec(), b"a".to_vec()]);
    assert!(read(&kept(seals(3, &keys("a"))), &both).faults.is_empty());
    assert!(seals(1, &both)[0].is_signed_by(&keys("new")));
    let mut begun = seals(2, &SealKeys::default());
    let before = Some(begun[1].hash.clone());
    begun.push(Seal::new(3, at(3), before, sealed(3), &keys("a")));
    assert!(read(&kept(begun), &keys("a")).faults.is_empty());
    assert_eq!(read(&[], &keys("a")).faults, Vec::<String>::new());
}

#[test]
fn whatever_is_done_to_a_seal_is_found_and_named() {
    let key = keys("a");
    let good = kept(seals(4, &key));
    let faults = |change: &dyn Fn(&mut Vec<Option<Seal>>)| {
        let mut seals = good.clone();
        change(&mut seals);
        read(&seals, &key).faults.join("; ")
    };
    let gone = faults(&|seals| seals[1] = None);
    assert!(gone.contains("seal 2 is missing") && !gone.contains("seal 3"), "{gone}");
    let changed = faults(&|seals| seals[1].as_mut().unwrap().threads[0].version = Version(9));
    assert!(changed.contains("seal 2 of 2026-05-28T20:26:42Z was changed") && !changed.contains("seal 3"));
    let moved = faults(&|seals| seals.swap(1, 2));
    assert!(moved.contains("seal 2 of") && moved.contains("seal 3 of"), "{moved}");
    let taken_out = faults(&|seals| drop(seals.remove(1)));
    assert!(taken_out.contains("seal 2 of"), "{taken_out}");
    let remake = |keys: SealKeys| {
        faults(&move |seals| {
            let before = seals[0].as_ref().map(|seal| seal.hash.clone());
            seals[1] = Some(Seal::new(2, at(2), before, sealed(8), &keys));
        })
    };
    let unsigned = remake(SealKeys::default());
    assert!(unsigned.contains("seal 2 of 2026-05-28T20:26:42Z is not signed"), "{unsigned}");
    let forged = remake(keys("guessed"));
    assert!(
        forged.contains("seal 2 of 2026-05-28T20:26:42Z bears a signature that was not made"),
        "{forged}"
    );
    let by_the_owner = remake(keys("a"));
    assert!(by_the_owner.contains("seal 3 of") && by_the_owner.contains("does not follow"), "{by_the_owner}");
    // Who makes all of them anew needs the key.
    let all = read(&kept(seals(4, &SealKeys::default())), &key);
    assert!(all.faults.join("; ").contains("no seal is signed"), "{all:?}");
    let mut ledger = Ledger::default();
    ledger.read(1, b"{", &key);
    ledger.read(u64::MAX, b"{", &key);
    ledger.end(0, &key);
    assert!(ledger.faults[0].contains("seal 1 cannot be read"), "{ledger:?}");
    assert!(ledger.faults[1].starts_with("seals 2 to 18446744073709551614 are missing"), "{ledger:?}");
    let last_two = faults(&|seals| seals[2..].fill(None));
    assert_eq!(last_two, "seals 3 to 4 are missing");
}

/// What a seal says that is not good accuses nobody.
#[test]
fn only_good_seals_speak() {
    let mut seals = kept(seals(3, &keys("a")));
    seals[1].as_mut().unwrap().threads[0].chain = "made up".into();
    let ledger = read(&seals, &keys("a"));
    let known: Vec<u64> = ledger.marks[&thread_id()].iter().map(|mark| mark.seal).collect();
    assert_eq!((known, ledger.good), (vec![1, 3], 2));
}

fn lines(story: &Story) -> Vec<Value> {
    let secrets = |agent: &AgentRef, tool: &str| {
        let tools = &story.agent.spec().tools;
        (*agent == story.agent.reference())
            .then(|| tools.get(tool).map(|t| t.secret.clone()).unwrap_or_default())
    };
    decisions(&story.thread, &secrets)
}

#[test]
fn every_decision_is_a_line_that_says_who_how_from_where_and_what() {
    let mut story = Story::new(&[]);
    let args = json!({ "version": "v1", "count": 3, "token": "hunter2" });
    let (id, _) = story.asks_approval("deploy", args);
    let before = Chain::new(story.thread.id()).over(story.thread.records());
    story.write(Event::Refused(Refusal {
        question: id,
        by: claimed("mail", "eve@example.com"),
        at: place("mail", "to:ana@corp.example"),
        message: None,
        words: "approve".into(),
        how: How::Wrote,
        why: Why::Unverified,
        what: None,
        evidence: Evidence { shown: Some("5a".into()), chain: None },
    }));
    let approved = json!({ "version": "v2", "count": 3, "token": "hunter2" });
    story.answered(id, Decision::ApproveEdited { args: approved, hash: "78".into() });
    let all = lines(&story);
    let [refused, answered] = &all[..] else { panic!("{all:#?}") };
    for (path, expected) in [
        ("/outcome", json!("refused")),
        ("/thread", json!(story.thread.id())),
        ("/kind", json!("approval")),
        ("/tool", json!("deploy")),
        ("/arguments", json!({ "version": "v1", "count": 3, "token": "(not shown)" })),
        ("/by/id", json!("eve@example.com")),
        ("/by/verified/claimed/why", json!("no signature")),
        ("/how", json!("wrote")),
        ("/from", json!({ "channel": "mail", "place": "to:ana@corp.example" })),
        ("/words", json!("approve")),
        ("/why", json!("unverified")),
        ("/shown", json!("5a")),
        ("/chain", json!(before.hex())),
        ("/requester/id", json!("ulla")),
        ("/agent/name", json!("tester")),
    ] {
        assert_eq!(refused.pointer(path), Some(&expected), "{path} of {refused:#}");
    }
    assert_eq!(refused.get("decision"), None);
    for (path, expected) in [
        ("/outcome", json!("answered")),
        ("/by/member", json!("ana")),
        ("/by/verified/proven/by", json!("test")),
        ("/changed", json!({ "version": { "asked": "v1", "approved": "v2" } })),
        (
            "/decision",
            json!({ "approve_edited": { "arguments": { "version": "v2", "count": 3, "token": "(not shown)" } } }),
        ),
    ] {
        assert_eq!(answered.pointer(path), Some(&expected), "{path} of {answered:#}");
    }
    assert!(!json!(all).to_string().contains("hunter2"));
}

#[test]
fn votes_and_what_is_done_without_deciding_are_lines_and_asking_again_is_none() {
    let mut story = Story::new(&[]);
    let (id, _) = story.asks_approval("deploy", json!({ "version": "v1" }));
    let asked = story.thread.question(id).unwrap();
    let (first, last) = (asked.asked[0].clone(), asked.asked[1].clone());
    assert_eq!(card_at(&story.thread, id, &first.at), Some(story.thread.id().delivery(id.0, 0)));
    assert_eq!(card_at(&story.thread, id, &home()), None);
    let again = AskedAgain {
        question: id,
        because: Because::Reminder(0),
        asked: vec![last.clone(), first.clone()],
        held: Vec::new(),
        audience: Vec::new(),
    };
    let seq = story.write(Event::AskedAgain(again));
    assert_eq!(
        card_at(&story.thread, id, &first.at),
        Some(story.thread.id().delivery(seq, 1)),
        "the last one"
    );
    let Event::Answered(answer) = answered(id, Decision::Approve) else { panic!("no answer") };
    let answer = Answer { instead_of: Some("ben".into()), ..answer };
    story.write(Event::Voted(Ballot { answer, missing: "one more of operators must approve".into() }));
    story.write(Event::Deferred(Deferral {
        question: id,
        by: proven("mail", "ben@corp.example"),
        member: Some("ben".into()),
        at: last.at,
        message: None,
        deferring: Deferring::AskedBack("Why?".into()),
        words: "ask: Why?".into(),
        how: How::Wrote,
        evidence: Evidence { shown: Some("5a".into()), chain: None },
    }));
    let all = lines(&story);
    let [voted, deferred] = &all[..] else { panic!("{all:#?}") };
    for (line, path, expected) in [
        (voted, "/outcome", json!("voted")),
        (voted, "/decision", json!("approve")),
        (voted, "/by/instead_of", json!("ben")),
        (voted, "/missing", json!("one more of operators must approve")),
        (deferred, "/outcome", json!("deferred")),
        (deferred, "/deferring", json!({ "asked_back": "Why?" })),
        (deferred, "/by/member", json!("ben")),
        (deferred, "/shown", json!("5a")),
    ] {
        assert_eq!(line.pointer(path), Some(&expected), "{path} of {line:#}");
    }
    assert_eq!(hold_against(story.thread.id(), story.thread.records(), &[]).decisions, 2);
}

/// Without its agent nobody knows which arguments are secret, so none is in a line.
#[test]
fn arguments_of_an_unknown_agent_are_in_no_line() {
    let mut story = Story::new(&[]);
    let (id, _) = story.asks_approval("deploy", json!({ "version": "v1", "token": "hunter2" }));
    let approved = json!({ "version": "v2", "token": "hunter2" });
    story.answered(id, Decision::ApproveEdited { args: approved, hash: "78".into() });
    let lines = decisions(&story.thread, &|_, _| None);
    assert_eq!(lines[0]["arguments"], json!("(not shown)"));
    let text = json!(lines).to_string();
    assert!(!text.contains("hunter2") && !text.contains("v1") && !text.contains("v2"), "{text}");
}

#[test]
fn what_lapsed_or_was_given_up_is_a_line_too() {
    let mut story = Story::new(&[]);
    let (id, _) = story.asks_approval("deploy", json!({ "a": 1 }));
    let seq = story.write(Event::Lapsed { question: id });
    let lapsed = lines(&story);
    assert_eq!(
        (lapsed.len(), &lapsed[0]["outcome"], &lapsed[0]["event"]),
        (1, &json!("lapsed"), &json!(seq))
    );
    let mut story = Story::new(&[]);
    story.asks_approval("deploy", json!({ "a": 1 }));
    story.write(Event::Cancelled { by: "ulla".into() });
    let cancelled = lines(&story);
    assert_eq!(
        (cancelled.len(), &cancelled[0]["outcome"], &cancelled[0]["by"]),
        (1, &json!("cancelled"), &json!("ulla"))
    );
    let mut quiet = Story::new(&[]);
    quiet.thought(act("lookup", json!({})));
    quiet.heard(proven("web", "ulla"), "and this");
    assert_eq!(lines(&quiet), Vec::<Value>::new());
    assert_eq!(decisions(&Thread::new(thread_id()), &|_, _| None), Vec::<Value>::new());
}
