//! Laws of folding, deciding and sending, over logs that make sense and logs that do not; and a whole world of people,
//! models, tools and crashes around one thread.

use agent::{
    About, Acted, Agent, AgentRef, Answer, Arrival, AskedAgain, AskedAt, AskedCall, Assigned, Audience,
    Author, Ballot, Because, CallEnd, CallId, Decision, Deferral, Deferring, Denied, Directory, Edit, Event,
    Evidence, Failure, Fault, FaultKind, Form, Heard, HeardFile, Home, How, Intent, Measured, Named, Outcome,
    Passage, PassageKind, Phase, Planned, Press, Question, QuestionEnd, QuestionId, QuestionKind,
    QuestionStatus, Record, Refusal, Repeat, Reply, Routed, Seq, Snapshot, Started, Step, Terms, Thought,
    Thread, ThreadId, Tickets, Usage, Verdict, Version, WantedCall, Why, admit, args_hash, decide, judge,
    outgoing, render, render_reask,
};
use channel::{Capabilities, Correlation, DeliveryKey, File, MessageRef, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::{collections::BTreeSet, sync::LazyLock, time::Duration};

use crate::support::{agent, at, claimed, directory, home, inbound, place, press, proven, text, user};

pub(crate) static AGENTS: LazyLock<Vec<Agent>> = LazyLock::new(|| {
    vec![
        agent(&[]),
        agent(&["ask_at = 'origin'", "limits.steps = 1", "limits.failures = 1"]),
        agent(&["ask_at = 'desk'", "limits.same_call = 1", "limits.active = '1s'", "limits.tokens = 1"]),
        agent(&["while_waiting = 'consider'"]),
        agent(&["while_waiting = 'cancel'", "ask_at = 'desk'"]),
        // The last: others count on that.
        remembering(),
    ]
});

/// An agent whose approvals may hold for a while.
fn remembering() -> Agent {
    let mut files = crate::support::files(&["limits.same_call = 9"]);
    let deploy = "secret = [\"token\"]\n";
    let policy = format!("{deploy}policy = [{{ then = \"ask\", remember = {{ for = \"8h\" }} }}]\n");
    let toml = files.get_mut("agent.toml").unwrap();
    *toml = toml.replacen(deploy, &policy, 1);
    crate::support::load(files)
}
pub(crate) static DIRECTORY: LazyLock<Directory> = LazyLock::new(directory);

fn seq() -> impl Strategy<Value = Seq> {
    prop_oneof![20 => 0u64..14, 1 => Just(u64::MAX), 1 => any::<u64>()].prop_map(Seq)
}

fn call_id() -> impl Strategy<Value = CallId> {
    seq().prop_map(CallId)
}

fn question_id() -> impl Strategy<Value = QuestionId> {
    seq().prop_map(QuestionId)
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![8 => 0u64..3000, 1 => Just(u64::MAX), 1 => Just(1 << 63)]
}

fn words() -> BoxedStrategy<String> {
    prop_oneof![Just(String::new()), "[a-z<&\u{202e}\" ]{1,12}", Just("approve".to_owned())].boxed()
}

fn value() -> BoxedStrategy<Value> {
    prop_oneof![
        Just(json!({})),
        Just(json!({ "id": 1 })),
        (0u64..2000).prop_map(|amount| json!({ "amount": amount })),
        any::<f64>().prop_map(|x| json!({ "x": x })),
        any::<i64>().prop_map(|x| json!([x, "y", null])),
        words().prop_map(Value::String),
    ]
    .boxed()
}

fn tool() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["lookup", "charge", "poke", "deploy", "rollback", "refund", "wipe", "no_such"])
        .prop_map(str::to_owned)
}

fn somebody() -> BoxedStrategy<channel::Person> {
    prop::sample::select(vec![
        user(),
        proven("web", "ana"),
        proven("mail", "ben@corp.example"),
        proven("mail", "cleo@corp.example"),
        claimed("mail", "ana@corp.example"),
        proven("mail", "eve@example.com"),
    ])
    .boxed()
}

fn somewhere() -> BoxedStrategy<channel::Address> {
    prop::sample::select(vec![
        home(),
        place("mail", "to:ana@corp.example"),
        place("web", "hall"),
        place("x", ""),
    ])
    .boxed()
}

fn usage() -> BoxedStrategy<Usage> {
    (number(), number(), number(), prop_oneof![5 => 0u32..4, 1 => Just(u32::MAX)])
        .prop_map(|(input, output, ms, calls)| Usage { input, output, ms, calls })
        .boxed()
}

fn fault() -> BoxedStrategy<Fault> {
    let kind = prop::sample::select(vec![
        FaultKind::BadOutput,
        FaultKind::ModelUnavailable,
        FaultKind::BadCall,
        FaultKind::Denied,
        FaultKind::ToolFailed,
        FaultKind::ToolTimeout,
        FaultKind::ContextFull,
        FaultKind::Internal,
    ]);
    (kind, words()).prop_map(|(kind, what)| Fault { kind, what }).boxed()
}

fn file() -> BoxedStrategy<File> {
    (words(), words(), number(), words())
        .prop_map(|(name, kind, size, hash)| File { name, kind, size, hash })
        .boxed()
}

fn intent() -> BoxedStrategy<Intent> {
    prop_oneof![
        4 => (tool(), value()).prop_map(|(tool, args)| Intent::Act { tool, args }),
        2 => prop::collection::vec((tool(), value()), 0..4).prop_map(|calls| Intent::ActAll {
            calls: calls.into_iter().map(|(tool, args)| WantedCall { tool, args }).collect(),
        }),
        2 => (
            words(),
            prop::sample::select(vec![None, Some("origin"), Some("operators"), Some("hall"), Some("empty"), Some("mars")]),
            prop::collection::vec(words(), 0..3),
            any::<bool>(),
            prop::option::of(prop::sample::select(vec!["delivery", "mars"])),
        )
            .prop_map(|(text, to, options, several, form)| Intent::Ask {
                text,
                to: to.map(str::to_owned),
                options,
                several,
                form: form.map(str::to_owned),
            }),
        2 => (words(), prop::collection::vec(words(), 0..2)).prop_map(|(text, files)| Intent::Say { text, files }),
        2 => (words(), prop::collection::vec(words(), 0..2)).prop_map(|(text, files)| Intent::Finish { text, files }),
        1 => words().prop_map(|reason| Intent::HandOver { reason }),
    ]
    .boxed()
}

fn decision() -> BoxedStrategy<Decision> {
    prop_oneof![
        3 => Just(Decision::Approve),
        1 => time().prop_map(|until| Decision::ApproveAlike { until }),
        1 => value().prop_map(|args| {
            let hash = args_hash(&args);
            Decision::ApproveEdited { args, hash }
        }),
        1 => prop::option::of(words()).prop_map(|comment| Decision::Reject { comment }),
        1 => prop::collection::vec(prop_oneof![4 => 0usize..3, 1 => Just(usize::MAX)], 0..3)
            .prop_map(|places| Decision::ApproveSome { places, comment: None }),
        2 => prop_oneof![4 => 0usize..3, 1 => Just(usize::MAX)].prop_map(Decision::Option),
        1 => prop::collection::vec(prop_oneof![4 => 0usize..3, 1 => Just(usize::MAX)], 0..3).prop_map(Decision::Options),
        1 => value().prop_map(Decision::Form),
        1 => words().prop_map(Decision::Text),
    ]
    .boxed()
}

fn kind() -> BoxedStrategy<QuestionKind> {
    prop_oneof![
        Just(QuestionKind::Question),
        (call_id(), tool(), value(), any::<bool>()).prop_map(|(call, tool, args, right)| {
            let hash = if right { args_hash(&args) } else { "other".into() };
            QuestionKind::Approval { call, tool, args, hash }
        }),
        prop::collection::vec((call_id(), tool(), value()), 0..4).prop_map(|calls| QuestionKind::Approvals {
            calls: calls
                .into_iter()
                .map(|(call, tool, args)| AskedCall { call, hash: args_hash(&args), tool, args })
                .collect(),
        }),
        (call_id(), tool(), value()).prop_map(|(call, tool, args)| QuestionKind::Unknown {
            call,
            tool,
            args
        }),
        Just(QuestionKind::HandOver),
    ]
    .boxed()
}

fn time() -> BoxedStrategy<Timestamp> {
    prop_oneof![
        20 => (0i64..5000).prop_map(at),
        1 => Just(Timestamp::MIN),
        1 => Just(Timestamp::MAX),
    ]
    .boxed()
}

fn question() -> BoxedStrategy<Question> {
    let asked = (somewhere(), prop::option::of(Just("ana".to_owned())))
        .prop_map(|(at, member)| AskedAt { at, member });
    (
        kind(),
        words(),
        prop::collection::vec(words(), 0..4),
        any::<bool>(),
        prop::collection::vec(asked, 0..3),
        prop::option::of(somebody()),
        time(),
    )
        .prop_map(|(kind, text, options, requester, asked, person, deadline)| Question {
            kind,
            text,
            several: options.len() == 2,
            form: options.is_empty().then(|| {
                Box::new(Form { title: "Details".into(), fields: json!({ "properties": { "a": {} } }) })
            }),
            options,
            audience: Audience { requester, members: vec!["operators".into(), "ghosts".into()] },
            asked,
            in_reply_to: None,
            requester: person,
            asker: AgentRef { name: "tester".into(), version: "1".into() },
            deadline,
            held: Vec::new(),
            terms: Terms::default(),
        })
        .boxed()
}

fn how() -> impl Strategy<Value = How> {
    prop::sample::select(vec![How::Wrote, How::Pressed])
}

fn passage() -> BoxedStrategy<Passage> {
    let status = prop::sample::select(vec![
        QuestionStatus::Open,
        QuestionStatus::Approved,
        QuestionStatus::Rejected,
        QuestionStatus::Answered,
        QuestionStatus::Lapsed,
    ]);
    let end = (status, words(), words()).prop_map(|(status, by, words)| QuestionEnd { status, by, words });
    let call_end = prop_oneof![
        Just(CallEnd::Running),
        words().prop_map(CallEnd::Done),
        fault().prop_map(CallEnd::Failed),
        words().prop_map(CallEnd::Unknown),
    ];
    let file = || {
        (file(), prop::option::of(words()), prop::option::of(words()))
            .prop_map(|(file, text, dropped)| HeardFile { file, text, dropped })
    };
    let kind = prop_oneof![
        (somebody(), words(), any::<bool>(), prop::collection::vec(file(), 0..2))
            .prop_map(|(from, text, edited, files)| PassageKind::Heard { from, text, edited, files }),
        (words(), words()).prop_map(|(by, text)| PassageKind::Said { by: Author::Member(by), text }),
        (tool(), words(), call_end).prop_map(|(tool, args, end)| PassageKind::Called { tool, args, end }),
        (words(), prop::collection::vec(words(), 0..3), end.clone())
            .prop_map(|(text, options, end)| PassageKind::Question { text, options, end }),
        (tool(), words(), end.clone()).prop_map(|(tool, args, end)| PassageKind::Approval {
            tool,
            args,
            end
        }),
        (words(), end).prop_map(|(why, end)| PassageKind::HandedOver { why, end }),
        fault().prop_map(|fault| PassageKind::Fault { fault: fault.kind, text: fault.what }),
        words().prop_map(|by| PassageKind::Cancelled { by }),
    ];
    (number(), number(), kind).prop_map(|(number, run, kind)| Passage { number, run, kind }).boxed()
}

/// What a thread could have begun with, or could not.
fn former(sound: bool) -> BoxedStrategy<Event> {
    let denied =
        (tool(), value(), time()).prop_map(|(tool, args, at)| Denied { tool, hash: args_hash(&args), at });
    let measured = (number(), number()).prop_map(|(counted, estimated)| Measured { counted, estimated });
    let kept = (
        prop::collection::vec(passage(), 0..8),
        prop::collection::vec(file(), 0..3),
        prop::collection::vec(denied, 0..3),
    );
    (number(), number(), kept, prop::option::of(measured), any::<bool>())
        .prop_map(move |(events, left_out, (mut passages, files, denied), measured, paused)| {
            if sound {
                for (passage, n) in passages.iter_mut().zip(0..) {
                    (passage.number, passage.run) = (n * 3, n / 2);
                }
            }
            let events = if sound { 30 } else { events };
            Event::Continued(Box::new(Snapshot {
                from: thread_id(),
                events,
                agent: Some(AgentRef { name: "tester".into(), version: "1".into() }),
                passages,
                left_out,
                files,
                denied,
                reply_to: Some(MessageRef::new("m-1")),
                measured,
                paused,
            }))
        })
        .boxed()
}

fn event() -> BoxedStrategy<Event> {
    let agent_ref = AgentRef { name: "tester".into(), version: "1".into() };
    let key = (0u64..14).prop_map(|n| DeliveryKey::new(format!("{}.{n}.0", thread_id())));
    let why = prop::sample::select(vec![
        Why::NotPermitted,
        Why::Unverified,
        Why::NoTicket,
        Why::Settled,
        Why::Expired,
        Why::Unclear,
        Why::Unfit,
    ]);
    let author = prop_oneof![Just(Author::Agent), Just(Author::Gateway), words().prop_map(Author::Member)];
    let outcome = prop_oneof![
        value().prop_map(Outcome::Done),
        fault().prop_map(Outcome::Failed),
        words().prop_map(|why| Outcome::Unknown { why }),
    ];
    let small = prop_oneof![
        prop::option::of(Just(agent_ref)).prop_map(|agent| Event::Routed(Routed {
            home: home(),
            agent,
            why: "w".into()
        })),
        question_id().prop_map(|question| Event::Lapsed { question }),
        (key.clone(), prop::option::of(words()))
            .prop_map(|(key, message)| Event::Delivered { key, message: message.map(MessageRef::new) }),
        (prop::option::of(key), words()).prop_map(|(key, why)| Event::Undelivered { key, why }),
        words().prop_map(|by| Event::Paused { by }),
        words().prop_map(|by| Event::Resumed { by }),
        words().prop_map(|by| Event::Cancelled { by }),
        words().prop_map(|why| Event::HandedOver { why }),
        Just(Event::Finished),
    ]
    .boxed();
    prop_oneof![
        8 => small,
        1 => former(false),
        4 => (somebody(), words(), prop::collection::vec(
                (file(), prop::option::of(words()), prop::option::of(words()))
                    .prop_map(|(file, text, dropped)| HeardFile { file, text, dropped }), 0..2))
            .prop_map(|(from, text, files)| Event::Heard(Heard { from, message: Some(MessageRef::new(format!("m-{}", text.len() % 3))), sent: at(0), text, original: None, files })),
        2 => (somebody(), words(), 0..3_u8).prop_map(|(by, text, n)| Event::Edited(Edit {
            message: MessageRef::new(format!("m-{n}")), by, text, original: None,
        })),
        1 => (somebody(), 0..3_u8).prop_map(|(by, n)| Event::Deleted { message: MessageRef::new(format!("m-{n}")), by }),
        5 => (intent(), number(), usage(), number()).prop_map(|(intent, seen, usage, estimated)| Event::Thought(Thought {
            intent, seen: Version(seen), model: "m".into(), prompt: "p".into(), usage, estimated, reasks: 0, note: None,
        })),
        3 => (tool(), value()).prop_map(|(tool, args)| Event::Planned(Planned { tool, args })),
        3 => (call_id(), tool(), value()).prop_map(|(call, tool, args)| {
            let hash = args_hash(&args);
            Event::Started(Started { call, tool, args, hash, grant: None })
        }),
        3 => (call_id(), outcome, prop::collection::vec(file(), 0..2))
            .prop_map(|(call, outcome, files)| Event::Acted(Acted { call, outcome, ms: 0, files })),
        4 => question().prop_map(Event::Asked),
        4 => (question_id(), somebody(), somewhere(), decision(), how()).prop_map(|(question, by, at, decision, how)| {
            Event::Answered(Answer { question, by, member: None, instead_of: None, at, decision, words: String::new(), how, evidence: Evidence::default() })
        }),
        1 => (question_id(), somebody(), somewhere(), why, how()).prop_map(|(question, by, at, why, how)| {
            Event::Refused(Refusal { question, by, at, message: None, words: String::new(), how, why, what: None, evidence: Evidence::default() })
        }),
        2 => (somewhere(), words(), author).prop_map(|(to, text, by)| Event::Said(Reply {
            to, in_reply_to: None, answers: None, text, files: Vec::new(), by, note: None,
        })),
        2 => (fault(), usage()).prop_map(|(fault, usage)| Event::Failed(Failure { fault, usage })),
        1 => (question_id(), words()).prop_map(|(question, why)| Event::Withdrawn { question, why }),
        1 => (question_id(), asked_again()).prop_map(|(question, (because, asked))| {
            Event::AskedAgain(AskedAgain { question, because, asked, held: Vec::new(), audience: Vec::new() })
        }),
        1 => (question_id(), somebody(), somewhere(), how()).prop_map(|(question, by, at, how)| {
            let answer = Answer {
                question, by, member: None, instead_of: None, at, decision: Decision::Approve, words: String::new(), how, evidence: Evidence::default(),
            };
            Event::Voted(Ballot { answer, missing: "one more of operators must approve".into() })
        }),
        1 => (question_id(), somebody(), somewhere(), deferring(), how()).prop_map(|(question, by, at, deferring, how)| {
            Event::Deferred(Deferral {
                question, by, member: None, at, message: None, deferring, words: String::new(), how, evidence: Evidence::default(),
            })
        }),
    ]
    .boxed()
}

fn asked_again() -> impl Strategy<Value = (Because, Vec<AskedAt>)> {
    let because = prop_oneof![
        (0_usize..4).prop_map(Because::Reminder),
        (0_usize..4).prop_map(Because::Rung),
        Just(Because::Awake("ana".into())),
        Just(Because::Snoozed("ana".into())),
        Just(Because::Delegated("ben".into())),
    ];
    let asked = somewhere().prop_map(|at| AskedAt { at, member: None });
    (because, prop::collection::vec(asked, 0..3))
}

fn deferring() -> impl Strategy<Value = Deferring> {
    prop_oneof![
        words().prop_map(Deferring::AskedBack),
        Just(Deferring::Delegated("ben".into())),
        time().prop_map(Deferring::Snoozed),
    ]
}

fn log() -> BoxedStrategy<Vec<Record>> {
    prop::collection::vec((time(), event()).prop_map(|(at, event)| Record::new(at, event)), 0..30).boxed()
}

/// A log that began as logs do, so that what follows meets a thread that is alive.
fn begun_log() -> BoxedStrategy<Vec<Record>> {
    log()
        .prop_map(|log| {
            let routed = Event::Routed(Routed {
                home: home(),
                agent: Some(AgentRef { name: "tester".into(), version: "1".into() }),
                why: "w".into(),
            });
            let heard = crate::support::heard(user(), "please");
            let start = [Record::new(at(0), routed), Record::new(at(0), heard)];
            start.into_iter().chain(log).collect()
        })
        .boxed()
}

fn any_log() -> BoxedStrategy<Vec<Record>> {
    prop_oneof![1 => log(), 3 => begun_log(), 2 => continued_log(false)].boxed()
}

/// A log that begins as it should, whatever follows.
pub(crate) fn sound_log() -> BoxedStrategy<Vec<Record>> {
    prop_oneof![begun_log(), continued_log(true)].boxed()
}

/// A log that goes on from another one.
fn continued_log(sound: bool) -> BoxedStrategy<Vec<Record>> {
    (former(sound), begun_log())
        .prop_map(|(former, log)| std::iter::once(Record::new(at(0), former)).chain(log).collect())
        .boxed()
}

pub(crate) fn thread_id() -> ThreadId {
    ThreadId::new(&Home::of(&home()), 1)
}

fn capabilities(amends: bool) -> Capabilities {
    Capabilities {
        buttons: true,
        forms: false,
        amends,
        private: true,
        files: true,
        text_len_max: None,
        correlation: Correlation::Native,
        one_reader: false,
    }
}

/// All that a log sends, with the event that caused each.
fn all_outgoing(thread: &Thread, amends: bool) -> Vec<channel::Outgoing> {
    let tickets = Tickets::new([7; 32]);
    let press = Press {
        tickets: &tickets,
        capabilities: &|_| Some(capabilities(amends)),
        secrets: &|_| Some(vec!["id".to_owned()]),
    };
    (0..thread.version().0).flat_map(|n| outgoing(thread, Seq(n), &press)).collect()
}

/// The log, a line an event.
fn tell(thread: &Thread) -> String {
    let line = |(n, record): (usize, &Record)| {
        let line = format!("{n} {} {:?}", record.at, record.event);
        line.chars().take(220).collect::<String>()
    };
    thread.records().iter().enumerate().map(line).collect::<Vec<_>>().join("\n")
}

/// What holds of every thread whatever its log.
fn is_coherent(thread: &Thread, now: Timestamp) -> Result<(), TestCaseError> {
    let phase = thread.phase();
    prop_assert_eq!(thread.is_idle(), matches!(phase, Phase::Empty | Phase::Finished | Phase::Cancelled));
    if phase == Phase::Waiting {
        prop_assert!(thread.open_questions().next().is_some(), "it waits for nobody");
    }
    if thread.is_idle() {
        prop_assert!(thread.open_questions().next().is_none(), "a thread at rest has an open question");
    }
    for (id, _) in thread.open_questions() {
        prop_assert!(thread.settled_by(id).is_none());
    }
    let _ = (thread.active(now), thread.requester(), thread.reply_to(), agent::files(thread));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn folding_any_prefix_never_fails(log in any_log(), now in time()) {
        let mut thread = Thread::new(thread_id());
        is_coherent(&thread, now)?;
        for (n, record) in log.iter().enumerate() {
            let idle = thread.is_idle();
            thread.apply(record.clone());
            is_coherent(&thread, now)?;
            if idle && !matches!(record.event, Event::Heard(_)) {
                prop_assert!(thread.is_idle(), "{:?} revived a thread at rest", record.event);
            }
            let again = Thread::fold(thread_id(), log[..=n].iter().cloned());
            prop_assert_eq!(format!("{:?}", again), format!("{:?}", &thread));
        }
    }

    #[test]
    fn deciding_is_total_and_deterministic(log in any_log(), now in time(), lost in any::<bool>()) {
        let empty = Directory::default();
        let directory = if lost { &empty } else { &*DIRECTORY };
        let mut thread = Thread::new(thread_id());
        for record in log {
            thread.apply(record);
            for agent in AGENTS.iter() {
                let step = decide(agent, directory, &thread, now);
                prop_assert_eq!(&step, &decide(agent, directory, &thread.clone(), now));
                if let Step::Record(events) = &step {
                    prop_assert!(!events.is_empty(), "nothing is recorded, for ever, in {:?}", thread.phase());
                }
            }
        }
    }

    /// Whatever the log, what is decided leads to a model, a tool or a rest; never round and round.
    #[test]
    fn records_come_to_an_end(log in any_log(), now in time(), lost in any::<bool>()) {
        let empty = Directory::default();
        let directory = if lost { &empty } else { &*DIRECTORY };
        for agent in AGENTS.iter() {
            let mut thread = Thread::fold(thread_id(), log.iter().cloned());
            // Every question that is open may lapse in turn.
            for turn in 0.. {
                let Step::Record(events) = decide(agent, directory, &thread, now) else { break };
                prop_assert!(turn < 60, "it never comes to rest: {}", tell(&thread));
                for event in events {
                    thread.apply(Record::new(now, event));
                }
            }
        }
    }

    #[test]
    fn what_is_sent_has_a_name_of_its_own(log in any_log(), amends in any::<bool>()) {
        let thread = Thread::fold(thread_id(), log);
        let sent = all_outgoing(&thread, amends);
        let keys: BTreeSet<_> = sent.iter().map(|message| message.key.clone()).collect();
        prop_assert_eq!(keys.len(), sent.len(), "two messages share a name: {:#?}", sent);
        for message in &sent {
            let (id, seq, _) = agent::caused_by(&message.key).expect("a key names its event");
            prop_assert_eq!(&id, thread.id());
            prop_assert!(seq.0 < thread.version().0);
            if let Some(amended) = &message.amends {
                prop_assert!(keys.contains(amended), "{amended} was never sent");
            }
        }
        let names = agent::message_names(&thread);
        prop_assert!(keys.is_subset(&names), "{:?} are not among {:?}", keys, names);
        prop_assert_eq!(sent, all_outgoing(&thread, amends));
    }

    #[test]
    fn rendering_never_panics_and_is_the_same_twice(log in any_log()) {
        let thread = Thread::fold(thread_id(), log);
        let agent = &AGENTS[0];
        let first = render(agent, &thread);
        prop_assert_eq!(&first, &render(agent, &thread));
        if let Err(fault) = &first {
            prop_assert_eq!(fault.kind, FaultKind::ContextFull, "{}", fault.what);
        }
        prop_assert!(render_reask(agent, &thread, "<b>", "</error>").is_ok());
    }

    #[test]
    fn records_survive_their_json(log in log()) {
        for record in log {
            let text = serde_json::to_string(&record).unwrap();
            let back: Record = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(back, record);
        }
    }
}

/// The world around one thread: what happens next is read from a script of bytes; when that ends, everybody behaves.
pub(crate) struct World<'a> {
    agent: &'a Agent,
    pub(crate) thread: Thread,
    now: Timestamp,
    script: std::vec::IntoIter<u8>,
}

impl<'a> World<'a> {
    pub(crate) fn new(agent: &'a Agent) -> Self {
        Self { agent, thread: Thread::new(thread_id()), now: at(0), script: Vec::new().into_iter() }
    }

    /// One request, as this script has it, until the thread rests.
    pub(crate) fn run_by(&mut self, script: Vec<u8>) -> Result<(), TestCaseError> {
        self.script = script.into_iter();
        self.run()
    }

    fn next(&mut self) -> Option<u8> {
        self.script.next()
    }

    fn write(&mut self, event: Event) {
        self.pass(Duration::from_millis(500));
        self.thread.apply(Record::new(self.now, event));
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now.checked_add(time).unwrap();
    }

    fn arrive(&mut self, from: channel::Person, body: channel::Body, about: Option<QuestionId>) {
        let message = inbound(from, home(), body);
        let assigned = self.thread.is_idle().then(|| Assigned {
            routed: Routed { home: home(), agent: Some(self.agent.reference()), why: "default_agent".into() },
            notice: None,
        });
        let arrival = Arrival {
            inbound: &message,
            files: Vec::new(),
            rivals: Vec::new(),
            about: about.map(|question| About { question, named: Named::ByTicket }),
            correlation: Correlation::Native,
            agent: Some(self.agent),
            assigned,
        };
        for event in admit(&DIRECTORY, &self.thread, arrival, self.now) {
            self.write(event);
        }
    }

    fn think(&mut self) {
        let seen = self.thread.version();
        let (intent, latecomer) = match self.next() {
            None => (Intent::Finish { text: "done".into(), files: Vec::new() }, false),
            Some(byte @ 0..=19) => {
                let kind = if byte < 10 { FaultKind::BadOutput } else { FaultKind::ModelUnavailable };
                return self.write(crate::support::fault(kind, "again"));
            }
            // The process stopped while the model was asked.
            Some(20..=29) => return,
            Some(byte) => {
                let n = self.next().unwrap_or(0);
                let tools = ["lookup", "charge", "poke", "deploy", "rollback", "refund", "wipe", "no_such"];
                let tool = tools[usize::from(n) % tools.len()].to_owned();
                let args = json!({ "amount": u64::from(n % 3) * 150 });
                let several = |n: u8| {
                    let tool = |k: u8| tools[usize::from(n.wrapping_mul(k)) % tools.len()].to_owned();
                    let call =
                        |k: u8| WantedCall { tool: tool(k), args: json!({ "amount": u64::from(k) * 90 }) };
                    (1..=2 + n % 2).map(call).collect()
                };
                let intent = match byte % 9 {
                    0..=3 => Intent::Act { tool, args },
                    8 => Intent::ActAll { calls: several(n) },
                    4 => Intent::Ask {
                        text: "which?".into(),
                        to: n.is_multiple_of(2).then(|| "operators".to_owned()),
                        options: Vec::new(),
                        several: false,
                        form: n.is_multiple_of(3).then(|| "delivery".to_owned()),
                    },
                    5 => Intent::Say { text: "wait".into(), files: Vec::new() },
                    6 => Intent::Finish { text: "done".into(), files: Vec::new() },
                    _ => Intent::HandOver { reason: "lost".into() },
                };
                (intent, byte > 220)
            }
        };
        if latecomer {
            self.arrive(user(), text("one more thing"), None);
            let words = channel::Body::Edited { text: "another thing".into(), original: None };
            match self.next() {
                Some(0..=60) => self.arrive(user(), words, None),
                Some(61..=80) => self.arrive(user(), channel::Body::Deleted, None),
                Some(_) | None => {}
            }
        }
        if matches!(self.thread.phase(), Phase::Thinking | Phase::Waiting) {
            self.write(crate::support::thought(intent, seen));
        }
    }

    fn act(&mut self, call: agent::Call) {
        let agent::Call { id, tool, args, hash, grant } = call;
        self.write(Event::Started(Started { call: id, tool, args, hash, grant }));
        let outcome = match self.next() {
            // The process stopped while it ran.
            Some(0..=60) => return,
            Some(61..=120) => Outcome::Failed(Fault::new(FaultKind::ToolFailed, "no")),
            Some(121..=150) => Outcome::Unknown { why: "time-out".into() },
            // Somebody gave the request up while it ran.
            Some(151..=160) => {
                self.write(Event::Cancelled { by: "ana".into() });
                Outcome::Done(json!("ok"))
            }
            Some(_) | None => Outcome::Done(json!("ok")),
        };
        self.write(Event::Acted(Acted { call: id, outcome, ms: 1, files: Vec::new() }));
    }

    fn wait(&mut self, until: Option<Timestamp>) {
        let people = [
            user(),
            proven("web", "ana"),
            proven("mail", "ben@corp.example"),
            proven("mail", "cleo@corp.example"),
            claimed("mail", "ana@corp.example"),
        ];
        let Some((byte, n)) = self.next().map(|byte| (byte, self.script.next().unwrap_or(0))) else {
            match (until, self.thread.phase()) {
                (_, Phase::Paused) => self.write(Event::Resumed { by: "ana".into() }),
                (Some(deadline), _) => self.now = self.now.max(deadline),
                (None, phase) => panic!("it waits for nothing in {phase:?}"),
            }
            return;
        };
        let person = people[usize::from(n) % people.len()].clone();
        let open = self.thread.open_questions().map(|(id, _)| id).next();
        match byte % 20 {
            18 if n < 100 => self.arrive(person, text("approve: 2"), open),
            18 => self.arrive(person, text("approve\nfor: 2h"), open),
            19 => {
                let first = self.thread.runs().last().map_or(0, |first| first.0);
                let asked = (first..self.thread.version().0).map(|n| QuestionId(Seq(n)));
                let settled = asked.rev().find(|id| self.thread.settled_by(*id).is_some());
                self.arrive(person, text("revoke"), settled);
            }
            10 => self.arrive(person, text("ask: why?"), open),
            11 => self.arrive(person, text("snooze: 10m"), open),
            12 => self.arrive(person, text("delegate: ben"), open),
            13 => self.arrive(person, text("take over"), open),
            14 => self.arrive(person, text("hand back: try again"), open),
            15 => self.arrive(person, text("done"), open),
            16 => self.arrive(person, text("stop"), None),
            17 => self.arrive(user(), text("something else"), None),
            0 => self.arrive(person, press("approve", None), open),
            1 => self.arrive(person, press("option-2", None), open),
            2 => self.arrive(person, press("reject", Some("no")), open),
            3 => self.arrive(person, text("approve"), open),
            4 => self.arrive(person, text("approve"), None),
            5 => self.arrive(person, text("what about it"), None),
            6 => self.arrive(person, text("It did not happen, run it again"), open),
            7 => self.pass(Duration::from_secs(u64::from(n) * 3600)),
            8 if n > 200 => self.write(Event::Cancelled { by: "ana".into() }),
            8 => self.write(Event::Resumed { by: "ana".into() }),
            _ => self.write(Event::Paused { by: "ana".into() }),
        }
    }

    /// Runs until the thread rests, and gives back how often the loop turned.
    fn run(&mut self) -> Result<(), TestCaseError> {
        self.arrive(user(), text("please"), None);
        for _ in 0..400 {
            match decide(self.agent, &DIRECTORY, &self.thread, self.now) {
                Step::Think => self.think(),
                Step::Act(call) => self.act(call),
                Step::Record(events) => {
                    for event in events {
                        self.write(event);
                    }
                }
                Step::Wait(_) if self.thread.is_idle() => return Ok(()),
                Step::Wait(until) => self.wait(until),
            }
            is_coherent(&self.thread, self.now)?;
        }
        Err(TestCaseError::fail(format!("it never rests: {}", tell(&self.thread))))
    }
}

/// Whether a permitted member let this start happen before it did: this very call, or for a while all that are the same.
fn was_permitted(thread: &Thread, place: usize, started: &Started) -> bool {
    let began = thread.records()[place].at;
    let ended = |id| {
        thread.records()[..place]
            .iter()
            .any(|record| matches!(&record.event, Event::Revoked(revocation) if revocation.question == id))
    };
    thread.records()[..place].iter().any(|record| {
        let Event::Answered(answer) = &record.event else { return false };
        let Some(question) = thread.question(answer.question) else { return false };
        let about_it = match (&question.kind, &answer.decision) {
            (QuestionKind::Approval { hash, tool, .. }, Decision::ApproveAlike { until })
                if started.grant == Some(answer.question) =>
            {
                began < *until && !ended(answer.question) && (hash, tool) == (&started.hash, &started.tool)
            }
            (QuestionKind::Approval { call, hash, tool, .. }, decision) => {
                matches!(decision, Decision::Approve | Decision::ApproveAlike { .. })
                    && (call, hash, tool) == (&started.call, &started.hash, &started.tool)
            }
            (QuestionKind::Approvals { calls }, decision) => {
                calls.iter().enumerate().any(|(place, asked)| {
                    decision.clears(place)
                        && (asked.call, &asked.hash, &asked.tool)
                            == (started.call, &started.hash, &started.tool)
                })
            }
            (QuestionKind::Unknown { tool, args, .. }, decision) => {
                *decision == Decision::Option(1)
                    && started.call == CallId(answer.question.0)
                    && *tool == started.tool
                    && args_hash(args) == started.hash
            }
            (QuestionKind::Question | QuestionKind::HandOver, _) => false,
        };
        about_it
            && answer.by.verified.is_proven()
            && DIRECTORY
                .may_answer(&question.audience, question.requester.as_ref(), &answer.by, at(0))
                .is_some()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_thread_in_the_world_always_comes_to_rest(
        script in prop::collection::vec(any::<u8>(), 0..60), which in 0..AGENTS.len(),
    ) {
        let agent = &AGENTS[which];
        let mut world = World::new(agent);
        world.run_by(script)?;
        let thread = &world.thread;
        for (place, record) in thread.records().iter().enumerate() {
            match &record.event {
                Event::Started(started) => {
                    let spec = &agent.spec().tools[&started.tool];
                    prop_assert_eq!(&args_hash(&started.args), &started.hash);
                    if spec.repeat == Repeat::Never {
                        prop_assert_eq!(thread.starts(started.call), 1, "{}", tell(thread));
                    }
                    prop_assert!(thread.starts(started.call) <= 3);
                    let again = matches!(thread.event(started.call.0), Some(Event::Asked(_)));
                    match judge(&DIRECTORY, spec, &started.args).verdict {
                        Verdict::Deny => prop_assert!(false, "{} is forbidden", started.tool),
                        Verdict::Allow if !again => {}
                        Verdict::Ask | Verdict::Allow => prop_assert!(
                            was_permitted(thread, place, started), "{:#?}", thread.records()
                        ),
                    }
                }
                Event::Heard(_) => {
                    let later = &thread.records()[place + 1..];
                    let seen = later.iter().any(|record| match &record.event {
                        Event::Thought(thought) => thought.seen.0 > place as u64,
                        Event::Deferred(deferral) => deferral.deferring == Deferring::TookOver,
                        event => matches!(event, Event::HandedOver { .. } | Event::Cancelled { .. }),
                    });
                    // Who has taken the conversation over has it.
                    if thread.asked_by(Seq(place as u64), 0).is_some() {
                        continue;
                    }
                    let answered = later.iter().any(|record| matches!(
                        record.event,
                        Event::Said(_)
                            | Event::Spoke(_)
                            | Event::Asked(_)
                            | Event::HandedOver { .. }
                            | Event::Cancelled { .. }
                    ));
                    prop_assert!(seen && answered, "{place} met silence: {}", tell(thread));
                }
                _ => {}
            }
        }
        let sent = all_outgoing(thread, true);
        let keys: BTreeSet<_> = sent.iter().map(|message| message.key.clone()).collect();
        prop_assert_eq!(keys.len(), sent.len());
        // Every card that was sent is closed in the end.
        let amended: BTreeSet<_> = sent.iter().filter_map(|message| message.amends.clone()).collect();
        for message in sent.iter().filter(|message| message.amends.is_none()) {
            if matches!(message.content, channel::Content::Card(_)) {
                prop_assert!(amended.contains(&message.key), "{} stays open", message.key);
            }
        }
    }
}
