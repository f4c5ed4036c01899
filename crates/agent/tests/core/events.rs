//! Event JSON is for ever: a snapshot of every variant, and of every variant inside them.

use std::collections::{BTreeMap, BTreeSet};

use agent::{
    Acted, AgentRef, Answer, AskedAgain, AskedAt, AskedCall, Audience, Author, Ballot, Because, CallEnd,
    CallId, Decision, Deferral, Deferring, Denied, Edit, Event, Evidence, Failure, Fault, FaultKind, Form,
    Heard, HeardFile, Home, How, Intent, Like, Measured, Otherwise, Outcome, Passage, PassageKind, Planned,
    Question, QuestionEnd, QuestionId, QuestionKind, QuestionStatus, Quorum, Record, Refusal, Remember,
    Reply, Revocation, Routed, Rung, Seq, Snapshot, Speech, Started, Terms, Thought, ThreadId, Usage,
    Version, WantedCall, Why,
};
use channel::{ChannelName, DeliveryKey, File, MessageRef, Span, Verified};
use serde_json::{Value, json};

use crate::support::{at, claimed, home, place, proven};

/// Names the variants of an enum. A variant that is not here does not compile; a name here without a sample fails.
macro_rules! variants {
    ($function:ident, $all:ident, $of:ty, $($pattern:pat => $name:literal),+ $(,)?) => {
        const $all: &[&str] = &[$($name),+];
        fn $function(of: &$of) -> &'static str {
            match of { $($pattern => $name),+ }
        }
    };
}

variants!(event_name, EVENTS, Event,
    Event::Continued(_) => "continued",
    Event::Routed(_) => "routed",
    Event::Heard(_) => "heard",
    Event::Edited(_) => "edited",
    Event::Deleted { .. } => "deleted",
    Event::Thought(_) => "thought",
    Event::Planned(_) => "planned",
    Event::Started(_) => "started",
    Event::Acted(_) => "acted",
    Event::Asked(_) => "asked",
    Event::AskedAgain(_) => "asked_again",
    Event::Voted(_) => "voted",
    Event::Deferred(_) => "deferred",
    Event::Spoke(_) => "spoke",
    Event::Answered(_) => "answered",
    Event::Refused(_) => "refused",
    Event::Revoked(_) => "revoked",
    Event::Lapsed { .. } => "lapsed",
    Event::Withdrawn { .. } => "withdrawn",
    Event::Said(_) => "said",
    Event::Delivered { .. } => "delivered",
    Event::Undelivered { .. } => "undelivered",
    Event::Failed(_) => "failed",
    Event::Paused { .. } => "paused",
    Event::Resumed { .. } => "resumed",
    Event::Cancelled { .. } => "cancelled",
    Event::HandedOver { .. } => "handed_over",
    Event::Finished => "finished",
);
variants!(kind_name, KINDS, QuestionKind,
    QuestionKind::Question => "kind:question",
    QuestionKind::Approval { .. } => "kind:approval",
    QuestionKind::Approvals { .. } => "kind:approvals",
    QuestionKind::Unknown { .. } => "kind:unknown",
    QuestionKind::HandOver => "kind:hand_over",
);
variants!(decision_name, DECISIONS, Decision,
    Decision::Approve => "decision:approve",
    Decision::ApproveAlike { .. } => "decision:approve_alike",
    Decision::ApproveEdited { .. } => "decision:approve_edited",
    Decision::ApproveSome { .. } => "decision:approve_some",
    Decision::Reject { .. } => "decision:reject",
    Decision::Option(_) => "decision:option",
    Decision::Options(_) => "decision:options",
    Decision::Form(_) => "decision:form",
    Decision::Text(_) => "decision:text",
    Decision::HandBack { .. } => "decision:hand_back",
    Decision::Done => "decision:done",
);
variants!(outcome_name, OUTCOMES, Outcome,
    Outcome::Done(_) => "outcome:done",
    Outcome::Failed(_) => "outcome:failed",
    Outcome::Unknown { .. } => "outcome:unknown",
);
variants!(because_name, BECAUSES, Because,
    Because::Reminder(_) => "because:reminder",
    Because::Rung(_) => "because:rung",
    Because::Awake(_) => "because:awake",
    Because::Snoozed(_) => "because:snoozed",
    Because::Delegated(_) => "because:delegated",
);
variants!(deferring_name, DEFERRINGS, Deferring,
    Deferring::AskedBack(_) => "deferring:asked_back",
    Deferring::Delegated(_) => "deferring:delegated",
    Deferring::Snoozed(_) => "deferring:snoozed",
    Deferring::TookOver => "deferring:took_over",
);
variants!(why_name, WHYS, Why,
    Why::NotPermitted => "why:not_permitted",
    Why::Unverified => "why:unverified",
    Why::NoTicket => "why:no_ticket",
    Why::Settled => "why:settled",
    Why::Expired => "why:expired",
    Why::Unclear => "why:unclear",
    Why::Unfit => "why:unfit",
    Why::Voted => "why:voted",
    Why::Elsewhere => "why:elsewhere",
    Why::Withdrawn => "why:withdrawn",
    Why::Which => "why:which",
);
variants!(how_name, HOWS, How,
    How::Wrote => "how:wrote",
    How::Pressed => "how:pressed",
);
variants!(author_name, AUTHORS, Author,
    Author::Agent => "author:agent",
    Author::Gateway => "author:gateway",
    Author::Member(_) => "author:member",
);
variants!(intent_name, INTENTS, Intent,
    Intent::Act { .. } => "intent:act",
    Intent::ActAll { .. } => "intent:act_all",
    Intent::Ask { .. } => "intent:ask",
    Intent::Say { .. } => "intent:say",
    Intent::Finish { .. } => "intent:finish",
    Intent::HandOver { .. } => "intent:hand_over",
);
variants!(fault_name, FAULTS, FaultKind,
    FaultKind::BadOutput => "fault:bad_output",
    FaultKind::ModelUnavailable => "fault:model_unavailable",
    FaultKind::BadCall => "fault:bad_call",
    FaultKind::Denied => "fault:denied",
    FaultKind::ToolFailed => "fault:tool_failed",
    FaultKind::ToolTimeout => "fault:tool_timeout",
    FaultKind::ContextFull => "fault:context_full",
    FaultKind::Internal => "fault:internal",
);
variants!(verified_name, VERIFIEDS, Verified,
    Verified::Proven { .. } => "verified:proven",
    Verified::Claimed { .. } => "verified:claimed",
);

variants!(passage_name, PASSAGES, PassageKind,
    PassageKind::Heard { .. } => "passage:heard",
    PassageKind::Said { .. } => "passage:said",
    PassageKind::Called { .. } => "passage:called",
    PassageKind::Question { .. } => "passage:question",
    PassageKind::Approval { .. } => "passage:approval",
    PassageKind::AskedBack { .. } => "passage:asked_back",
    PassageKind::HandedOver { .. } => "passage:handed_over",
    PassageKind::Fault { .. } => "passage:fault",
    PassageKind::Cancelled { .. } => "passage:cancelled",
);
variants!(call_end_name, CALL_ENDS, CallEnd,
    CallEnd::Running => "call:running",
    CallEnd::Done(_) => "call:done",
    CallEnd::Failed(_) => "call:failed",
    CallEnd::Unknown(_) => "call:unknown",
);
variants!(status_name, STATUSES, QuestionStatus,
    QuestionStatus::Open => "status:open",
    QuestionStatus::Approved => "status:approved",
    QuestionStatus::Rejected => "status:rejected",
    QuestionStatus::Answered => "status:answered",
    QuestionStatus::Lapsed => "status:lapsed",
    QuestionStatus::Withdrawn => "status:withdrawn",
);

/// Every variant that stands in an event.
fn names(event: &Event) -> Vec<&'static str> {
    let mut names = vec![event_name(event)];
    match event {
        Event::Heard(heard) => names.push(verified_name(&heard.from.verified)),
        Event::Thought(thought) => names.push(intent_name(&thought.intent)),
        Event::Acted(acted) => names.push(outcome_name(&acted.outcome)),
        Event::Asked(question) => names.push(kind_name(&question.kind)),
        Event::Answered(answer) => {
            names.extend([decision_name(&answer.decision), how_name(&answer.how)]);
        }
        Event::AskedAgain(again) => names.push(because_name(&again.because)),
        Event::Deferred(deferral) => {
            names.extend([deferring_name(&deferral.deferring), how_name(&deferral.how)])
        }
        Event::Refused(refusal) => names.extend([why_name(&refusal.why), how_name(&refusal.how)]),
        Event::Said(reply) => names.push(author_name(&reply.by)),
        Event::Failed(failure) => names.push(fault_name(&failure.fault.kind)),
        Event::Continued(snapshot) => {
            for passage in &snapshot.passages {
                names.push(passage_name(&passage.kind));
                match &passage.kind {
                    PassageKind::Heard { from, .. } => names.push(verified_name(&from.verified)),
                    PassageKind::Said { by, .. } => names.push(author_name(by)),
                    PassageKind::Called { end, .. } => names.push(call_end_name(end)),
                    PassageKind::Question { end, .. }
                    | PassageKind::Approval { end, .. }
                    | PassageKind::HandedOver { end, .. } => names.push(status_name(&end.status)),
                    PassageKind::Fault { fault, .. } => names.push(fault_name(fault)),
                    PassageKind::AskedBack { .. } | PassageKind::Cancelled { .. } => {}
                }
            }
        }
        Event::Routed(_)
        | Event::Edited(_)
        | Event::Deleted { .. }
        | Event::Planned(_)
        | Event::Started(_)
        | Event::Voted(_)
        | Event::Spoke(_)
        | Event::Lapsed { .. }
        | Event::Withdrawn { .. }
        | Event::Revoked(_)
        | Event::Delivered { .. }
        | Event::Undelivered { .. }
        | Event::Paused { .. }
        | Event::Resumed { .. }
        | Event::Cancelled { .. }
        | Event::HandedOver { .. }
        | Event::Finished => {}
    }
    names
}

fn wanted(tool: &str) -> WantedCall {
    WantedCall { tool: tool.into(), args: json!({ "version": "v1.4" }) }
}

fn version() -> AgentRef {
    AgentRef { name: "deploy".into(), version: "5e88".into() }
}

fn file(name: &str, hash: &str) -> File {
    File { name: name.into(), kind: "text/csv".into(), size: 12, hash: hash.into() }
}

fn args() -> Value {
    json!({ "version": "v1.4", "count": 3, "share": 0.5, "deep": { "list": [true, null, "x"] } })
}

fn usage() -> Usage {
    Usage { input: 1200, output: 34, ms: 810, calls: 1 }
}

fn thought(intent: Intent) -> Event {
    Event::Thought(Thought {
        intent,
        seen: Version(2),
        model: "anthropic/claude".into(),
        prompt: "9f86".into(),
        usage: usage(),
        estimated: 1100,
        reasks: 1,
        note: Some("scripted model".into()),
    })
}

fn form() -> Form {
    Form {
        title: "Delivery".into(),
        fields: json!({
            "type": "object",
            "properties": { "street": { "type": "string" }, "express": { "type": "boolean" } },
            "required": ["street"],
        }),
    }
}

/// A plain question with something of its own.
fn asked(change: impl Fn(&mut Question), options: &[&str]) -> Event {
    let Event::Asked(mut asked) = question(QuestionKind::Question, options) else { unreachable!() };
    change(&mut asked);
    Event::Asked(asked)
}

fn question(kind: QuestionKind, options: &[&str]) -> Event {
    Event::Asked(question_of(kind, options))
}

fn question_of(kind: QuestionKind, options: &[&str]) -> Question {
    Question {
        kind,
        text: "Which one?".into(),
        options: options.iter().map(|option| (*option).to_owned()).collect(),
        several: false,
        form: None,
        audience: Audience { requester: true, members: vec!["operators".into()] },
        asked: vec![
            AskedAt { at: place("mail", "to:ana"), member: Some("ana".into()) },
            AskedAt { at: home(), member: None },
        ],
        in_reply_to: Some(MessageRef::new("<1@example.com>")),
        requester: Some(proven("web", "ulla")),
        asker: version(),
        deadline: at(3600),
        held: Vec::new(),
        terms: Terms::default(),
    }
}

/// Terms with nothing left as it is where nothing is said.
fn terms() -> Terms {
    let count = std::num::NonZeroU32::new(2).unwrap();
    Terms {
        quorum: Quorum::Count(count),
        requester_may: false,
        decided_on: Some(vec![ChannelName::new("web")]),
        otherwise: Otherwise::HandOver,
        remind: vec![Span::seconds(1800)],
        ladder: vec![Rung {
            after: Span::seconds(3600),
            desk: "managers".into(),
            approvers: vec!["managers".into()],
        }],
        remember: Some(Remember {
            lasts: Span::seconds(28_800),
            args: BTreeMap::from([("version".into(), Like::Same), ("count".into(), Like::AtMost)]),
        }),
    }
}

fn asked_again(because: Because) -> Event {
    Event::AskedAgain(AskedAgain {
        question: QuestionId(Seq(4)),
        because,
        asked: vec![AskedAt { at: place("mail", "to:ben"), member: Some("ben".into()) }],
        held: vec![AskedAt { at: place("mail", "to:cleo"), member: Some("cleo".into()) }],
        audience: vec!["managers".into()],
    })
}

fn deferred(deferring: Deferring, how: How) -> Event {
    Event::Deferred(Deferral {
        question: QuestionId(Seq(4)),
        by: proven("mail", "ana@corp.example"),
        member: Some("ana".into()),
        at: place("mail", "to:ana"),
        message: Some(MessageRef::new("<2@example.com>")),
        deferring,
        words: "words".into(),
        how,
        evidence: evidence(),
    })
}

fn answer(decision: Decision, how: How) -> Event {
    Event::Answered(answer_of(decision, how))
}

fn answer_of(decision: Decision, how: How) -> Answer {
    Answer {
        question: QuestionId(Seq(4)),
        by: proven("mail", "ana@corp.example"),
        member: Some("ana".into()),
        instead_of: None,
        at: place("mail", "to:ana"),
        decision,
        words: "approve".into(),
        how,
        evidence: evidence(),
    }
}

/// As it was written before there was evidence.
fn bare(mut event: Event) -> Event {
    *event.evidence().unwrap().2 = Evidence::default();
    event
}

fn evidence() -> Evidence {
    Evidence { shown: Some("5a".into()), chain: Some("c4".into()) }
}

fn refusal(why: Why, how: How) -> Event {
    Event::Refused(Refusal {
        question: QuestionId(Seq(4)),
        by: claimed("mail", "ana@corp.example"),
        at: place("mail", "to:ana"),
        message: Some(MessageRef::new("<2@example.com>")),
        words: "approve".into(),
        how,
        why,
        what: (why == Why::Unfit).then(|| "`amount` is `x`".into()),
        evidence: evidence(),
    })
}

fn said(by: Author) -> Event {
    Event::Said(Reply {
        to: home(),
        in_reply_to: Some(MessageRef::new("m-1")),
        answers: None,
        text: "Done.".into(),
        files: vec![file("report.csv", "ab12")],
        by,
        note: Some("scripted model".into()),
    })
}

fn acted(outcome: Outcome) -> Event {
    Event::Acted(Acted { call: CallId(Seq(3)), outcome, ms: 20, files: vec![file("out.csv", "cd34")] })
}

fn failed(kind: FaultKind) -> Event {
    Event::Failed(Failure { fault: Fault::new(kind, "what went wrong"), usage: usage() })
}

/// Passages of every sort and with every end.
fn passages() -> Vec<Passage> {
    let end = |status, by: &str, words: &str| QuestionEnd { status, by: by.into(), words: words.into() };
    let called = |end| PassageKind::Called { tool: "deploy".into(), args: args().to_string(), end };
    let question =
        |end| PassageKind::Question { text: "Which one?".into(), options: vec!["this".into()], end };
    let approval = |end| PassageKind::Approval { tool: "deploy".into(), args: args().to_string(), end };
    let kinds = vec![
        PassageKind::Heard {
            from: proven("mail", "ulla@example.com"),
            text: "Deploy v1.4".into(),
            edited: true,
            files: vec![HeardFile { file: file("a.csv", "ab12"), text: Some("1,2".into()), dropped: None }],
        },
        PassageKind::Heard {
            from: claimed("mail", "ulla@example.com"),
            text: "Hello".into(),
            edited: false,
            files: Vec::new(),
        },
        PassageKind::Said { by: Author::Agent, text: "Done.".into() },
        PassageKind::Said { by: Author::Member("ana".into()), text: "Done.".into() },
        called(CallEnd::Running),
        called(CallEnd::Done("ok".into())),
        called(CallEnd::Failed(Fault::new(FaultKind::ToolFailed, "exit 1"))),
        called(CallEnd::Unknown("its end was not seen".into())),
        question(end(QuestionStatus::Answered, "ana", "this")),
        question(end(QuestionStatus::Open, "", "")),
        question(end(QuestionStatus::Withdrawn, "", "the agent wants something else now")),
        approval(end(QuestionStatus::Approved, "ana", "{\"version\":\"v1.5\"}")),
        approval(end(QuestionStatus::Rejected, "ana", "wrong order")),
        PassageKind::AskedBack { by: "ana".into(), text: "Why?".into(), answer: "The lamp broke.".into() },
        PassageKind::HandedOver { why: "I am lost".into(), end: end(QuestionStatus::Lapsed, "", "") },
        PassageKind::Fault { fault: FaultKind::BadOutput, text: "no JSON".into() },
        PassageKind::Cancelled { by: "ana".into() },
    ];
    let numbered = kinds.into_iter().zip(3..);
    numbered.map(|(kind, number)| Passage { number, run: number / 5, kind }).collect()
}

fn snapshot(passages: Vec<Passage>) -> Snapshot {
    Snapshot {
        from: ThreadId::new(&Home::of(&home()), 3),
        events: 412,
        agent: None,
        passages,
        left_out: 0,
        files: Vec::new(),
        denied: Vec::new(),
        reply_to: None,
        measured: None,
        paused: false,
    }
}

/// Every event, whole: each optional field is there.
fn samples() -> Vec<(&'static str, Event)> {
    let call = CallId(Seq(3));
    let mut samples = vec![
        (
            "continued",
            Event::Continued(Box::new(Snapshot {
                agent: Some(version()),
                left_out: 12,
                files: vec![file("a.csv", "ab12")],
                denied: vec![Denied { tool: "deploy".into(), hash: "77".into(), at: at(0) }],
                reply_to: Some(MessageRef::new("<1@example.com>")),
                measured: Some(Measured { counted: 1200, estimated: 1100 }),
                paused: true,
                ..snapshot(passages())
            })),
        ),
        ("continued_bare", Event::Continued(Box::new(snapshot(Vec::new())))),
        ("routed", Event::Routed(Routed { home: home(), agent: Some(version()), why: "routes[2]".into() })),
        ("routed_nobody", Event::Routed(Routed { home: home(), agent: None, why: "no route fits".into() })),
        (
            "heard",
            Event::Heard(Heard {
                from: proven("mail", "ulla@example.com"),
                message: Some(MessageRef::new("<1@example.com>")),
                sent: at(0),
                text: "Deploy v1.4".into(),
                original: Some("Deploy v1.4\n> quoted".into()),
                files: vec![
                    HeardFile { file: file("a.csv", "ab12"), text: Some("1,2".into()), dropped: None },
                    HeardFile { file: file("b.csv", ""), text: None, dropped: Some("too large".into()) },
                ],
            }),
        ),
        (
            "heard_claimed",
            Event::Heard(Heard {
                from: claimed("mail", "ulla@example.com"),
                message: None,
                sent: at(0),
                text: "Hello".into(),
                original: None,
                files: Vec::new(),
            }),
        ),
        (
            "edited",
            Event::Edited(Edit {
                message: MessageRef::new("<1@example.com>"),
                by: proven("mail", "ulla@example.com"),
                text: "Deploy v1.5".into(),
                original: Some("Deploy <b>v1.5</b>".into()),
            }),
        ),
        (
            "deleted",
            Event::Deleted {
                message: MessageRef::new("<1@example.com>"),
                by: proven("mail", "ulla@example.com"),
            },
        ),
        ("thought_act", thought(Intent::Act { tool: "deploy".into(), args: args() })),
        (
            "thought_ask",
            thought(Intent::Ask {
                text: "Which?".into(),
                to: Some("operators".into()),
                options: vec!["this".into(), "that".into()],
                several: false,
                form: None,
            }),
        ),
        (
            "thought_ask_several",
            thought(Intent::Ask {
                text: "Which?".into(),
                to: None,
                options: vec!["this".into(), "that".into()],
                several: true,
                form: None,
            }),
        ),
        (
            "thought_ask_form",
            thought(Intent::Ask {
                text: "Where to?".into(),
                to: None,
                options: Vec::new(),
                several: false,
                form: Some("delivery".into()),
            }),
        ),
        ("thought_act_all", thought(Intent::ActAll { calls: vec![wanted("deploy"), wanted("rollback")] })),
        ("planned", Event::Planned(Planned { tool: "deploy".into(), args: args() })),
        ("thought_say", thought(Intent::Say { text: "Wait.".into(), files: vec!["a.csv".into()] })),
        ("thought_finish", thought(Intent::Finish { text: "Done.".into(), files: vec!["a.csv".into()] })),
        ("thought_hand_over", thought(Intent::HandOver { reason: "I am lost".into() })),
        (
            "started",
            Event::Started(Started {
                call,
                tool: "deploy".into(),
                args: args(),
                hash: "77".into(),
                grant: None,
            }),
        ),
        (
            "started_under_a_grant",
            Event::Started(Started {
                call,
                tool: "deploy".into(),
                args: args(),
                hash: "77".into(),
                grant: Some(QuestionId(Seq(3))),
            }),
        ),
        ("acted_done", acted(Outcome::Done(args()))),
        ("acted_failed", acted(Outcome::Failed(Fault::new(FaultKind::ToolFailed, "exit 1")))),
        ("acted_unknown", acted(Outcome::Unknown { why: "its end was not seen".into() })),
        ("asked_question", question(QuestionKind::Question, &["this", "that"])),
        ("asked_several", asked(|question| question.several = true, &["this", "that"])),
        ("asked_form", asked(|question| question.form = Some(Box::new(form())), &[])),
        (
            "asked_approval",
            question(
                QuestionKind::Approval { call, tool: "deploy".into(), args: args(), hash: "77".into() },
                &[],
            ),
        ),
        (
            "asked_unknown",
            question(QuestionKind::Unknown { call, tool: "deploy".into(), args: args() }, &["It happened"]),
        ),
        (
            "asked_approvals",
            question(
                QuestionKind::Approvals {
                    calls: ["deploy", "rollback"]
                        .map(|tool| AskedCall { call, tool: tool.into(), args: args(), hash: "77".into() })
                        .to_vec(),
                },
                &[],
            ),
        ),
        ("asked_hand_over", question(QuestionKind::HandOver, &[])),
        ("answered_approve", answer(Decision::Approve, How::Pressed)),
        (
            "answered_approve_edited",
            answer(Decision::ApproveEdited { args: args(), hash: "78".into() }, How::Pressed),
        ),
        ("answered_approve_alike", answer(Decision::ApproveAlike { until: at(3600) }, How::Pressed)),
        (
            "answered_approve_some",
            answer(Decision::ApproveSome { places: vec![1], comment: Some("not now".into()) }, How::Wrote),
        ),
        ("answered_reject", answer(Decision::Reject { comment: Some("wrong order".into()) }, How::Wrote)),
        ("answered_reject_bare", bare(answer(Decision::Reject { comment: None }, How::Wrote))),
        ("answered_option", answer(Decision::Option(1), How::Pressed)),
        ("answered_options", answer(Decision::Options(vec![0, 1]), How::Pressed)),
        ("answered_form", answer(Decision::Form(json!({ "street": "Main St 1" })), How::Pressed)),
        ("answered_text", answer(Decision::Text("the blue one".into()), How::Wrote)),
        (
            "asked_on_terms",
            Event::Asked(Question {
                held: vec![AskedAt { at: place("mail", "to:ben"), member: Some("ben".into()) }],
                terms: terms(),
                ..question_of(
                    QuestionKind::Approval { call, tool: "deploy".into(), args: args(), hash: "77".into() },
                    &[],
                )
            }),
        ),
        ("asked_again_reminder", asked_again(Because::Reminder(0))),
        ("asked_again_rung", asked_again(Because::Rung(1))),
        ("asked_again_awake", asked_again(Because::Awake("ben".into()))),
        ("asked_again_snoozed", asked_again(Because::Snoozed("ben".into()))),
        ("asked_again_delegated", asked_again(Because::Delegated("ben".into()))),
        (
            "voted",
            Event::Voted(Ballot {
                answer: Answer {
                    instead_of: Some("ben".into()),
                    ..answer_of(Decision::Approve, How::Pressed)
                },
                missing: "one more of operators must approve".into(),
            }),
        ),
        ("deferred_asked_back", deferred(Deferring::AskedBack("Why?".into()), How::Wrote)),
        ("deferred_delegated", deferred(Deferring::Delegated("ben".into()), How::Pressed)),
        ("deferred_took_over", deferred(Deferring::TookOver, How::Pressed)),
        (
            "spoke",
            Event::Spoke(Speech {
                question: QuestionId(Seq(4)),
                by: proven("mail", "ana@corp.example"),
                member: Some("ana".into()),
                at: place("mail", "to:ana"),
                message: Some(MessageRef::new("<3@example.com>")),
                text: "It is on its way.".into(),
                files: vec![file("slip.pdf", "ab12")],
                evidence: evidence(),
            }),
        ),
        ("answered_hand_back", answer(Decision::HandBack { note: Some("look again".into()) }, How::Wrote)),
        ("answered_done", answer(Decision::Done, How::Pressed)),
        ("deferred_snoozed", deferred(Deferring::Snoozed(at(7200)), How::Wrote)),
        (
            "withdrawn",
            Event::Withdrawn {
                question: QuestionId(Seq(4)),
                why: "the agent wants something else now".into(),
            },
        ),
        (
            "revoked",
            Event::Revoked(Revocation {
                question: QuestionId(Seq(4)),
                by: Some(proven("mail", "ana@corp.example")),
                member: Some("ana".into()),
                at: Some(place("mail", "to:ana")),
                message: Some(MessageRef::new("<3@example.com>")),
                words: "revoke".into(),
                evidence: evidence(),
            }),
        ),
        (
            "revoked_by_an_operator",
            Event::Revoked(Revocation {
                question: QuestionId(Seq(4)),
                by: None,
                member: None,
                at: None,
                message: None,
                words: "switchboard grants revoke k3fq".into(),
                evidence: Evidence::default(),
            }),
        ),
        ("refused_voted", refusal(Why::Voted, How::Pressed)),
        ("refused_elsewhere", refusal(Why::Elsewhere, How::Wrote)),
        ("refused_withdrawn", refusal(Why::Withdrawn, How::Pressed)),
        ("refused_which", refusal(Why::Which, How::Wrote)),
        ("refused_not_permitted", refusal(Why::NotPermitted, How::Pressed)),
        ("refused_unverified", refusal(Why::Unverified, How::Wrote)),
        ("refused_no_ticket", refusal(Why::NoTicket, How::Wrote)),
        ("refused_settled", refusal(Why::Settled, How::Wrote)),
        ("refused_expired", refusal(Why::Expired, How::Wrote)),
        ("refused_unclear", refusal(Why::Unclear, How::Wrote)),
        ("refused_unfit", refusal(Why::Unfit, How::Pressed)),
        ("lapsed", Event::Lapsed { question: QuestionId(Seq(4)) }),
        ("said_agent", said(Author::Agent)),
        ("said_gateway", said(Author::Gateway)),
        ("said_member", said(Author::Member("ana".into()))),
        (
            "said_answers",
            match said(Author::Agent) {
                Event::Said(reply) => Event::Said(Reply { answers: Some(Seq(7)), ..reply }),
                other => other,
            },
        ),
        (
            "delivered",
            Event::Delivered { key: DeliveryKey::new("t-1.4.0"), message: Some(MessageRef::new("m-7")) },
        ),
        (
            "undelivered",
            Event::Undelivered { key: Some(DeliveryKey::new("t-1.4.0")), why: "no such mailbox".into() },
        ),
        ("paused", Event::Paused { by: "ana".into() }),
        ("resumed", Event::Resumed { by: "ana".into() }),
        ("cancelled", Event::Cancelled { by: "ana".into() }),
        ("handed_over", Event::HandedOver { why: "8 steps without an end".into() }),
        ("finished", Event::Finished),
    ];
    for (name, kind) in [
        ("failed_bad_output", FaultKind::BadOutput),
        ("failed_model_unavailable", FaultKind::ModelUnavailable),
        ("failed_bad_call", FaultKind::BadCall),
        ("failed_denied", FaultKind::Denied),
        ("failed_tool_failed", FaultKind::ToolFailed),
        ("failed_tool_timeout", FaultKind::ToolTimeout),
        ("failed_context_full", FaultKind::ContextFull),
        ("failed_internal", FaultKind::Internal),
    ] {
        samples.push((name, failed(kind)));
    }
    samples
}

#[test]
fn every_variant_has_a_sample() {
    let seen: BTreeSet<&str> = samples().iter().flat_map(|(_, event)| names(event)).collect();
    let all = [EVENTS, KINDS, DECISIONS, OUTCOMES, WHYS, HOWS, AUTHORS, INTENTS, FAULTS, VERIFIEDS];
    let all = all.into_iter().chain([PASSAGES, CALL_ENDS, STATUSES, BECAUSES, DEFERRINGS]);
    let all: BTreeSet<&str> = all.into_iter().flatten().copied().collect();
    assert_eq!(seen, all);
}

#[test]
fn the_json_of_each_event_stays_as_it_was() {
    for (name, event) in samples() {
        let record = Record::new(at(5), event);
        let json = serde_json::to_string_pretty(&record).unwrap();
        insta::assert_snapshot!(name, json);
    }
}

#[test]
fn what_was_written_is_read_back_equal() {
    for (name, event) in samples() {
        let record = Record::new(at(5), event);
        let json = serde_json::to_string(&record).unwrap();
        let back: Record =
            serde_json::from_str(&json).unwrap_or_else(|error| panic!("{name}: {error}\n{json}"));
        assert_eq!(back, record, "{name}");
    }
}

#[test]
fn no_key_stands_twice_in_an_event() {
    for (name, event) in samples() {
        let record = Record::new(at(5), event);
        let text = serde_json::to_string(&record).unwrap();
        // A reader that keeps the last of two keys gives back fewer bytes than were written.
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(serde_json::to_string(&value).unwrap().len(), text.len(), "{name}: {text}");
        assert_eq!(value["v"], json!(1), "{name}");
        assert_eq!(value["at"], json!("2026-05-28T20:26:45Z"), "{name}");
    }
}

#[test]
fn a_bare_event_of_an_older_writer_is_read() {
    // The optional fields are not there: this is the least that a log may hold.
    for (json, name) in [
        (json!({ "event": "continued", "from": "aaaaaaaaaaaaaaaa-1", "events": 9 }), "continued"),
        (json!({ "event": "undelivered", "why": "x" }), "undelivered"),
        (json!({ "event": "delivered", "key": "k" }), "delivered"),
        (json!({ "event": "failed", "kind": "internal", "what": "x" }), "failed"),
        (json!({ "event": "acted", "call": 1, "outcome": { "done": 1 } }), "acted"),
        (
            json!({ "event": "thought", "intent": { "intent": "finish", "text": "x" }, "seen": 1, "model": "m", "prompt": "p" }),
            "thought",
        ),
        (
            json!({
                "event": "heard", "sent": "2026-05-28T20:26:45Z", "text": "x",
                "from": { "channel": "web", "id": "u", "name": "U", "verified": { "proven": { "by": "b" } } },
            }),
            "heard",
        ),
    ] {
        let mut json = json;
        json["v"] = json!(1);
        json["at"] = json!("2026-05-28T20:26:45Z");
        let record: Record = serde_json::from_value(json.clone()).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(event_name(&record.event), name);
    }
}

#[test]
fn an_unknown_event_is_refused_and_names_itself() {
    let text = r#"{"v":2,"at":"2026-05-28T20:26:45Z","event":"teleported","to":"mars"}"#;
    let error = serde_json::from_str::<Record>(text).unwrap_err().to_string();
    assert!(error.contains("teleported"), "{error}");
    let text = r#"{"v":1,"at":"2026-05-28T20:26:45Z"}"#;
    assert!(serde_json::from_str::<Record>(text).is_err());
    for (path, value) in
        [("/kind/kind", json!("poll")), ("/audience", json!("everybody")), ("/asked/0/channel", Value::Null)]
    {
        let record = Record::new(at(5), question(QuestionKind::Question, &[]));
        let mut json = serde_json::to_value(record).unwrap();
        *json.pointer_mut(path).unwrap() = value;
        assert!(serde_json::from_value::<Record>(json).is_err(), "{path} was taken");
    }
}

#[test]
fn an_unknown_field_of_a_newer_writer_is_passed_over() {
    for (name, event) in samples() {
        let record = Record::new(at(5), event);
        let mut json = serde_json::to_value(&record).unwrap();
        json["some_new_field"] = json!({ "x": [1] });
        let back: Record = serde_json::from_value(json).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(back, record, "{name}");
    }
}

/// The one place where a new field is refused: a model may not add to an intent, and the log holds intents as they were.
#[test]
fn an_intent_takes_no_unknown_field() {
    let record = Record::new(at(5), thought(Intent::HandOver { reason: "r".into() }));
    let mut json = serde_json::to_value(record).unwrap();
    json["intent"]["sudo"] = json!(true);
    assert!(serde_json::from_value::<Record>(json).is_err());
}
