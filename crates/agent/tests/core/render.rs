//! The context window: text from outside stays text, the same log is the same bytes, and what must stay stays.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
    sync::LazyLock,
};

use agent::{
    Acted, Agent, Answer, AskedAt, Author, CallId, Decision, Event, Evidence, FaultKind, Flaw, Heard,
    HeardFile, How, Intent, Outcome, PartAccount, Prompt, Question, QuestionId, QuestionKind, Reply, Step,
    Thought, Usage, Version, render, render_reask,
};
use channel::{File, Person, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{
    Story, act, agent, ask, at, directory, done, failed, fault, files, finish, home, load, place, proven,
    say, thought, user,
};

/// The agents that ship, and the one of these tests, which shows every field.
static AGENTS: LazyLock<Vec<Agent>> = LazyLock::new(|| {
    let roomy = agent(&["context.tokens = 1000000"]);
    [shipped("deploy"), shipped("support"), roomy].into()
});

/// An agent as it ships, with room for everything.
fn shipped(name: &str) -> Agent {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../agents").join(name);
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if name.ends_with(".md") || name.ends_with(".toml") {
            files.insert(name, fs::read_to_string(&path).unwrap());
        }
    }
    let toml = files.get_mut("agent.toml").unwrap();
    assert!(!toml.contains("[context]"), "this test sets the context of `{name}`");
    *toml = format!("context.tokens = 1000000\n{toml}");
    let desks = ["operators".to_owned(), "finance".to_owned()];
    Agent::load(name, files, &desks).unwrap_or_else(|flaws| panic!("{flaws:#?}"))
}

/// How many texts from outside [`everything`] has room for.
pub(crate) const SLOTS: usize = 36;

/// A thread in which these words stand everywhere that words from outside can stand.
pub(crate) fn everything(words: &[String]) -> Story {
    let mut words = words.iter().cloned();
    let mut word = move || words.next().unwrap();
    let mut story = Story::with(agent(&[]));
    story.heard(user(), "x");
    story.wants(finish("x"));
    let from = Person { name: word(), ..user() };
    let file = |name: String, kind: String| File { name, kind, size: 3, hash: "h".into() };
    story.heard(from.clone(), "x");
    story.write(Event::Heard(Heard {
        from,
        message: None,
        sent: at(0),
        text: word(),
        original: Some(word()),
        files: vec![
            HeardFile { file: file(word(), word()), text: Some(word()), dropped: None },
            HeardFile { file: file(word(), word()), text: None, dropped: Some(word()) },
        ],
    }));
    for by in [Author::Agent, Author::Member(word())] {
        story.write(Event::Said(Reply {
            to: home(),
            in_reply_to: None,
            answers: None,
            text: word(),
            files: Vec::new(),
            by,
            note: None,
        }));
    }
    for outcome in [
        done(Value::String(word())),
        done(json!({ word(): [word()] })),
        failed(&word()),
        Outcome::Unknown { why: word() },
    ] {
        // A key from outside may be any text; a tool's name is the operator's.
        story.ran("lookup", json!({ word(): "x" }), outcome);
    }
    let question = |kind: QuestionKind, text: String, options: Vec<String>| Question {
        kind,
        text,
        several: options.len() > 1,
        form: None,
        options,
        audience: agent::Audience { requester: true, members: Vec::new() },
        asked: vec![AskedAt { at: home(), member: None }],
        in_reply_to: None,
        requester: None,
        asker: AGENTS[2].reference(),
        deadline: Timestamp::MAX,
        held: Vec::new(),
        terms: agent::Terms::default(),
    };
    let approval = |args: Value| QuestionKind::Approval {
        call: CallId(agent::Seq(1)),
        tool: "deploy".into(),
        args,
        hash: String::new(),
    };
    for (kind, decision) in [
        (QuestionKind::Question, Decision::Option(0)),
        (QuestionKind::Question, Decision::Text(word())),
        (QuestionKind::Question, Decision::Options(vec![0])),
        (QuestionKind::Question, Decision::Form(json!({ "a": word() }))),
        (approval(json!({ "x": word() })), Decision::Reject { comment: Some(word()) }),
    ] {
        let id = QuestionId(story.write(Event::Asked(question(kind, word(), vec![word()]))));
        story.write(Event::Answered(Answer {
            question: id,
            by: Person { name: "n".into(), ..user() },
            member: None,
            instead_of: None,
            at: home(),
            decision,
            words: "w".into(),
            how: How::Wrote,
            evidence: Evidence::default(),
        }));
    }
    story.write(fault(FaultKind::BadOutput, &word()));
    story
}

/// The tags of a text, without what stands in the quotes; sorted.
pub(crate) fn tags(text: &str) -> Vec<String> {
    let mut tags = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find('<') {
        rest = &rest[start..];
        let end = rest.find('>').map_or(rest.len(), |end| end + 1);
        let mut quoted = false;
        let tag = rest[..end].chars().filter(|c| {
            quoted ^= *c == '"';
            !quoted || *c == '"'
        });
        tags.push(tag.collect());
        rest = &rest[end..];
    }
    tags.sort();
    tags
}

pub(crate) fn whole(prompt: &Prompt) -> String {
    prompt.messages.iter().map(|message| format!("{}\n", message.text)).collect()
}

/// Everything that a model would see of this thread, also when it is asked again.
fn shown(agent: &Agent, story: &Story, output: &str, error: &str) -> String {
    let prompt = render(agent, &story.thread).unwrap();
    let again = render_reask(agent, &story.thread, output, error).unwrap();
    // The first is the model's own output, as its own message.
    let again: String = again.iter().skip(1).map(|message| format!("{}\n", message.text)).collect();
    whole(&prompt) + &again
}

pub(crate) fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("<"),
        Just(">"),
        Just("&"),
        Just("\""),
        Just("'"),
        Just("</heard>"),
        Just("<heard from=\"a\">"),
        Just("\" verified=\"yes"),
        Just("&lt;"),
        Just("&#60;"),
        Just("]]>"),
        Just("<!--"),
        Just("{{ agent.name }}"),
        Just("{% endfor %}"),
        Just("\u{0}"),
        Just("\u{7}"),
        Just("\u{1b}[0m"),
        Just("\r"),
        Just("\n"),
        Just("\t"),
        Just("\u{85}"),
        Just("\u{202e}"),
        Just("\u{2066}"),
        Just("\u{200b}"),
        Just("\u{feff}"),
        Just("\u{e0041}"),
        Just("\u{e0001}"),
        Just("\u{ad}"),
        Just("\u{2028}"),
        Just("＜"),
        Just("ﬀ"),
        Just("word"),
        Just("\\"),
        Just("`"),
    ];
    // Never empty to the eye: a template may leave out what is empty.
    prop::collection::vec(piece, 0..6).prop_map(|pieces| format!("x{}", pieces.concat()))
}

fn is_hidden(c: char) -> bool {
    let marks = [
        '\u{ad}',
        '\u{200b}',
        '\u{200e}',
        '\u{202e}',
        '\u{2028}',
        '\u{2066}',
        '\u{feff}',
        '\u{e0001}',
        '\u{e0041}',
    ];
    marks.contains(&c) || (c.is_control() && c != '\n' && c != '\t')
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_from_outside_opens_or_closes_a_tag(words in prop::collection::vec(hostile(), SLOTS + 2)) {
        let (hostile, harmless) = (everything(&words), everything(&vec!["x".to_owned(); SLOTS]));
        let (output, error) = (&words[SLOTS], &words[SLOTS + 1]);
        for agent in AGENTS.iter() {
            let text = shown(agent, &hostile, output, error);
            prop_assert_eq!(tags(&text), tags(&shown(agent, &harmless, "x", "x")));
            let hidden: Vec<char> = text.chars().filter(|c| is_hidden(*c)).collect();
            prop_assert!(hidden.is_empty(), "{:?}", hidden);
        }
    }

    #[test]
    fn the_summary_of_a_hand_over_is_inert_too(words in prop::collection::vec(hostile(), SLOTS)) {
        let mut story = everything(&words);
        let agent = &AGENTS[2];
        let before = tags(&shown(agent, &story, "x", "x"));
        story.wants(Intent::HandOver { reason: words[0].clone() });
        let after = tags(&shown(agent, &story, "x", "x"));
        let mut added = before;
        added.extend(["<handed_over status=\"\">", "</handed_over>", "<answer>", "</answer>"].map(str::to_owned));
        added.sort();
        // The last fault may be hidden now; nothing else comes or goes.
        let extra: Vec<_> = after.iter().filter(|tag| !added.contains(tag)).collect();
        prop_assert!(extra.is_empty(), "{:?}", extra);
        prop_assert!(after.len() <= added.len());
    }
}

#[test]
fn every_slot_of_everything_is_seen() {
    // What the law above holds of texts that are not shown would be worth nothing.
    let words: Vec<String> = (0..SLOTS).map(|n| format!("slot{n}slot")).collect();
    let text = shown(&AGENTS[2], &everything(&words), "slot36slot", "slot37slot");
    let missing: Vec<usize> = (0..SLOTS + 2).filter(|n| !text.contains(&format!("slot{n}slot"))).collect();
    // The original of a message is kept, not shown; an approval shows what would run, not the question's words.
    assert_eq!(missing, [2, 33, 34], "{text}");
}

#[test]
fn a_templates_own_ways_cannot_let_text_through() {
    for body in [
        "{{ request }}",
        "{% autoescape false %}{{ request }}{% endautoescape %}",
        "{{ request ~ '' }}",
        "{{ request | upper }}{{ request | title }}{{ request | reverse }}",
        "{{ [request] | join(',') }}{{ parts }}{{ parts | map(attribute='text') | list }}",
        "{{ request[0:5] }}{{ request | trim }}{{ request | default('x') }}{{ request | string }}",
        "{% set x = request %}{{ x }}{% set y %}{{ request }}{% endset %}{{ y }}",
        "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(request) }}",
        "{{ parts | tojson }}{{ request | tojson }}",
        "{{ request | replace('x', 'y') }}{{ request.split('x') }}{{ request | split('x') }}",
        "{{ '%s' | format(request) }}",
        "{{ request | list }}{{ request | first }}{{ request | lines }}{{ request | indent(2) }}",
        "{{ request | escape }}{{ request | e }}{{ request | urlencode }}{{ request | pprint }}",
        "{% filter lower %}{{ request }}{% endfilter %}",
        "{{ dict(a=request) }}{{ {'k': request} | dictsort }}{{ {'k': request} | items | list }}",
    ] {
        let mut own = files(&[]);
        own.insert("context.md".into(), body.to_owned());
        let Ok(agent) = Agent::load("tester", own, &[]) else { continue };
        let story = Story::begin(crate::support::agent(&[]), user(), "x<b a=\"1\">x</b>&lt;i&gt;\u{202e}");
        let Ok(prompt) = render(&agent, &story.thread) else { continue };
        let text = &prompt.messages[1].text;
        assert!(!text.contains(['<', '>', '\u{202e}']), "{body}\n{text}");
    }
    let mut own = files(&[]);
    own.insert("context.md".into(), "{{ request | safe }}".into());
    assert!(Agent::load("tester", own, &[]).is_err(), "the filter `safe` is there");
}

#[test]
fn the_same_log_is_the_same_bytes() {
    let words: Vec<String> = (0..SLOTS).map(|n| format!("word {n}")).collect();
    let story = everything(&words);
    let again = agent::Thread::fold(story.thread.id().clone(), story.thread.records().iter().cloned());
    for (one, other) in
        AGENTS.iter().zip([shipped("deploy"), shipped("support"), agent(&["context.tokens = 1000000"])])
    {
        let (a, b) = (render(one, &story.thread).unwrap(), render(&other, &again).unwrap());
        assert_eq!(a, b);
        assert_eq!((a.hash(), one.reference()), (b.hash(), other.reference()));
    }
    let mut more = everything(&words);
    let before = render(&AGENTS[0], &more.thread).unwrap();
    more.heard(user(), "one more");
    assert_ne!(render(&AGENTS[0], &more.thread).unwrap().hash(), before.hash());
}

/// A long text that says where it begins, where it ends and which one it is.
fn long(name: &str, letters: usize) -> String {
    format!("{name}-BEGIN {} {name}-END", "lorem ".repeat(letters / 6))
}

/// A thread that needs every stage of the squeeze: an earlier request with an error, old results, long texts, an
/// approval, and a question that is still open.
fn crowded(lines: &[&str]) -> Story {
    let lines = [lines, &["output.ask_as = 'text'", "limits.tokens = 1000000", "limits.steps = 10"]].concat();
    let mut story = Story::begin(agent(&lines), user(), &long("FIRST", 600));
    story.ran("charge", json!({ "arg": "ARG-0" }), failed(&long("EARLIER-ERROR", 2_000)));
    story.ran("lookup", json!({ "arg": "ARG-1" }), done(json!(long("RES-1", 6_000))));
    story.wants(say(&long("SAID-1", 900)));
    story.wants(finish("FINISH-1"));
    story.heard(user(), &long("SECOND", 5_000));
    story.ran("lookup", json!({ "arg": "ARG-2" }), done(json!(long("RES-2", 6_000))));
    let (id, call) = story.asks_approval("deploy", json!({ "arg": long("APPROVED", 500) }));
    story.answered(id, Decision::Approve);
    story.started(call, "deploy", &json!({ "arg": "ARG-3" }));
    story.acted(call, done(json!(long("RES-3", 500))));
    story.wants(ask("which?", None, &[]));
    story.answered(story.open(), Decision::Text(long("ANSWER", 3_000)));
    story.ran("lookup", json!({ "arg": "ARG-4" }), done(json!(long("RES-4", 2_000))));
    story.ran("poke", json!({}), failed("LATEST-ERROR"));
    story.thought(ask("OPEN-QUESTION", None, &[]));
    story.record();
    story
}

/// The stages in their order, each by words of its account.
const STAGES: [&str; 6] = [
    "an error that was resolved",
    "digest of an old result",
    "the middle of a text",
    "put into a summary",
    "it was long ago",
    "full",
];

fn deepest(parts: &[PartAccount]) -> Option<usize> {
    let stage = |part: &PartAccount| {
        let why = part.squeezed.as_deref()?;
        STAGES.iter().position(|stage| why.contains(stage))
    };
    parts.iter().filter_map(stage).max()
}

#[test]
fn what_goes_first_goes_first_and_what_must_stay_stays() {
    let story = crowded(&["context.tokens = 1000000", "context.answer_tokens = 100"]);
    let full = render(&story.agent, &story.thread).unwrap();
    assert_eq!(deepest(&full.account.parts), None, "{:#?}", full.account);
    let mut seen = BTreeSet::new();
    let mut last = None;
    let mut budget = full.account.tokens;
    while budget > 20 {
        let line = format!("context.tokens = {}", budget + 20);
        let tight = crowded_agent(&line);
        let stage = match render(&tight, &story.thread) {
            Ok(prompt) => {
                check_squeezed(&prompt, budget);
                deepest(&prompt.account.parts)
            }
            Err(fault) => {
                assert_eq!(fault.kind, FaultKind::ContextFull);
                assert!(fault.what.contains(&budget.to_string()), "{}", fault.what);
                Some(5)
            }
        };
        assert!(stage >= last, "at {budget} tokens: {stage:?} after {last:?}");
        last = stage;
        seen.extend(stage);
        budget -= (budget / 22).max(2);
    }
    assert_eq!(seen, BTreeSet::from([0, 1, 2, 3, 4, 5]), "not every stage was needed");
}

fn crowded_agent(line: &str) -> Agent {
    agent(&[line, "context.answer_tokens = 20", "output.ask_as = 'text'"])
}

/// What holds of every squeezed context.
fn check_squeezed(prompt: &Prompt, budget: u64) {
    let text = whole(prompt);
    assert_eq!(prompt.account.budget, budget);
    assert!(prompt.account.tokens <= budget);
    // The first request, the request of now, the approval and the open question are there.
    for must in ["FIRST-BEGIN", "FIRST-END", "SECOND-BEGIN", "SECOND-END", "OPEN-QUESTION", "LATEST-ERROR"] {
        assert!(text.contains(must), "{must} is missing at {budget} tokens:\n{text}");
    }
    let approved = long("APPROVED", 500);
    assert!(text.contains(&approved), "an approval is cut at {budget} tokens");
    // A call and its result go together.
    for n in 1..=4 {
        let (arg, result) = (format!("ARG-{n}"), format!("RES-{n}-BEGIN"));
        if n != 3 {
            assert_eq!(text.contains(&arg), text.contains(&result), "call {n} at {budget} tokens:\n{text}");
        }
    }
    assert_eq!(text.matches("<called ").count(), text.matches("</result>").count());
    // The account tells what is there: nothing that was left out, everything that was not.
    for part in &prompt.account.parts {
        let gone = part.tokens == 0;
        assert!(!gone || part.squeezed.is_some(), "a part is missing without a word: {part:?}");
    }
}

#[test]
fn each_stage_is_told_in_the_account() {
    let told = |budget: u64| {
        let agent = crowded_agent(&format!("context.tokens = {}", budget + 20));
        let story = crowded(&[]);
        let prompt = render(&agent, &story.thread).unwrap();
        let words = |part: PartAccount| part.squeezed.map(|why| (part.kind, why));
        (prompt.account.parts.into_iter().filter_map(words).collect::<Vec<_>>(), prompt.messages)
    };
    let story = crowded(&["context.tokens = 1000000"]);
    let full = render(&story.agent, &story.thread).unwrap().account.tokens;
    // Just too much: the error of the earlier request goes, nothing else.
    let (parts, messages) = told(full - 50);
    assert_eq!(parts, [("called".into(), "left out: an error that was resolved".into())]);
    assert!(!messages[1].text.contains("EARLIER-ERROR"));
    // More: the oldest result becomes a digest, with its beginning and a name.
    let (parts, messages) = told(full - 700);
    assert_eq!(parts[1..], [("called".into(), "digest of an old result".into())]);
    let text = &messages[1].text;
    assert!(text.contains("RES-1-BEGIN") && !text.contains("RES-1-END"), "{text}");
    assert!(text.contains("more characters were left out; digest "));
    assert!(text.contains("RES-2-END"));
}

/// What stands where earlier requests are missing.
pub(crate) const LEFT_OUT: &str = "<summary>What was said and done before is left out here.</summary>";

/// A small window and a long conversation: there is room for the next request, always.
#[test]
fn a_conversation_of_any_length_has_room_for_its_next_request() {
    for lines in [&["context.tokens = 2000"][..], &[]] {
        let mut story = Story::with(agent(lines));
        for n in 1..=150 {
            story.heard(user(), &format!("QUESTION-{n} {}", "please ".repeat(8)));
            story.ran("lookup", json!({ "id": n }), done(json!({ "n": n, "text": "row ".repeat(30) })));
            story.wants(finish(&format!("ANSWER-{n} {}", "thanks ".repeat(8))));
            story.heard(user(), "deploy");
            let (question, call) = story.asks_approval("deploy", json!({ "version": format!("v{n}") }));
            story.answered(question, Decision::Approve);
            story.started(call, "deploy", &json!({ "version": format!("v{n}") }));
            story.acted(call, done(json!("ok")));
            story.wants(finish("deployed"));
        }
        story.heard(user(), "and now?");
        let prompt = render(&story.agent, &story.thread);
        let prompt = prompt.unwrap_or_else(|fault| panic!("{lines:?}: {}", fault.what));
        let text = &prompt.messages[1].text;
        for (words, there) in
            [("QUESTION-1 ", true), ("v1\"", false), ("v150", true), ("and now?", true), (LEFT_OUT, true)]
        {
            assert_eq!(text.contains(words), there, "{words}: {text}");
        }
        assert_eq!(text.matches(LEFT_OUT).count(), 1);
        let mut gone = prompt.account.parts.iter().filter(|part| part.tokens == 0);
        assert!(gone.all(|part| part.squeezed.is_some()));
        if lines.is_empty() {
            // No more goes than must.
            assert!(prompt.account.tokens > prompt.account.budget * 9 / 10, "{}", prompt.account.tokens);
        }
    }
}

#[test]
fn a_very_long_request_loses_its_middle_and_not_its_ends() {
    let request = long("REQUEST", 200_000);
    let lines = ["context.tokens = 2000", "context.answer_tokens = 100", "output.ask_as = 'text'"];
    let story = Story::begin(agent(&lines), user(), &request);
    let prompt = render(&story.agent, &story.thread).unwrap();
    let text = &prompt.messages[1].text;
    assert!(text.contains("REQUEST-BEGIN") && text.contains("REQUEST-END"));
    let left = request.chars().count() - 1_500;
    assert_eq!(text.matches(&format!("[… {left} characters were left out here …]")).count(), 2, "{text}");
    assert_eq!(prompt.account.parts[0].squeezed.as_deref().map(|why| why.contains("the middle")), Some(true));
}

#[test]
fn the_latest_result_keeps_its_ends() {
    let mut story = Story::new(&["context.tokens = 6000", "output.ask_as = 'text'"]);
    story.ran("lookup", json!({ "id": 1 }), done(json!(long("OLD", 20_000))));
    story.ran("lookup", json!({ "id": 2 }), done(json!(long("LATEST", 50_000))));
    let text = whole(&render(&story.agent, &story.thread).unwrap());
    for (words, there) in
        [("OLD-BEGIN", true), ("OLD-END", false), ("LATEST-BEGIN", true), ("LATEST-END", true)]
    {
        assert_eq!(text.contains(words), there, "{words}");
    }
}

#[test]
fn a_very_long_answer_loses_its_middle() {
    let mut story = Story::new(&["context.tokens = 6000"]);
    story.wants(ask("which?", None, &[]));
    story.answered(story.open(), Decision::Text(long("ANSWER", 200_000)));
    let prompt = render(&story.agent, &story.thread).unwrap();
    assert!(whole(&prompt).contains("ANSWER-END"));
}

#[test]
fn a_context_that_cannot_be_made_to_fit_is_refused() {
    let mut story = Story::new(&["context.tokens = 3000", "context.answer_tokens = 100"]);
    story.asks_approval("deploy", json!({ "arg": "x".repeat(100_000) }));
    let fault = render(&story.agent, &story.thread).unwrap_err();
    assert_eq!(fault.kind, FaultKind::ContextFull);
    assert!(fault.what.contains("2900"), "{}", fault.what);
}

#[test]
fn the_estimate_is_corrected_by_what_was_counted() {
    let story = Story::new(&[]);
    let plain = render(&story.agent, &story.thread).unwrap().account;
    assert_eq!(plain.tokens, plain.tokens_raw);
    for (counted, estimated, calls, factor) in [
        (1_500, 1_000, 1, Some(1.5)),
        (600, 1_000, 1, Some(0.6)),
        // Nobody's count is believed beyond three times, or below a half.
        (90_000, 1_000, 1, Some(3.0)),
        (1, 1_000, 1, Some(0.5)),
        // Counts that are not of one prompt say nothing.
        (1_500, 1_000, 2, None),
        (0, 1_000, 1, None),
        (1_500, 0, 1, None),
        (u64::MAX, u64::MAX, 1, Some(1.0)),
    ] {
        let mut story = Story::new(&[]);
        let Event::Thought(thought) = thought(say("x"), Version(2)) else { panic!() };
        let usage = Usage { input: counted, calls, ..Usage::default() };
        story.write(Event::Thought(Thought { usage, estimated, ..thought }));
        let account = render(&story.agent, &story.thread).unwrap().account;
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let found = account.tokens as f64 / account.tokens_raw as f64;
        assert!((found - factor.unwrap_or(1.0)).abs() < 0.02, "{counted} of {estimated}: {found}");
    }
}

#[test]
fn a_fault_is_hidden_when_something_worked_after_it() {
    let text = |story: &Story| render(&story.agent, &story.thread).unwrap().messages[1].text.clone();
    let mut story = Story::new(&["limits.failures = 9"]);
    story.fault("BAD-JSON");
    assert!(text(&story).contains("BAD-JSON"));
    story.wants(say("x"));
    assert!(!text(&story).contains("BAD-JSON"));
    let account = render(&story.agent, &story.thread).unwrap().account;
    let hidden = account.parts.iter().find(|part| part.kind == "fault").unwrap();
    assert_eq!((hidden.tokens, hidden.squeezed.as_deref()), (0, Some("hidden: the error was resolved")));

    // A failed call is made good by a call of that tool only.
    story.ran("charge", json!({ "n": 1 }), failed("NO-MONEY"));
    story.ran("lookup", json!({}), done(json!("x")));
    assert!(text(&story).contains("NO-MONEY"));
    story.ran("charge", json!({ "n": 2 }), done(json!("ok")));
    assert!(!text(&story).contains("NO-MONEY"));
    // What failed for good is told until the request is over.
    story.ran("charge", json!({ "n": 3 }), failed("NO-MONEY-AGAIN"));
    assert!(text(&story).contains("NO-MONEY-AGAIN"));
}

#[test]
fn a_question_is_shown_as_a_state() {
    let text = |story: &Story| render(&story.agent, &story.thread).unwrap().messages[1].text.clone();
    let (mut story, mut other) = (Story::new(&[]), Story::new(&[]));
    let (id, _) = story.asks_approval("deploy", json!({ "v": 1 }));
    assert!(text(&story).contains("<approval tool=\"deploy\" status=\"open\""));
    story.answered(id, Decision::Reject { comment: Some("wrong order".into()) });
    assert!(text(&story).contains("status=\"rejected\" by=\"ana\""));
    assert!(text(&story).contains("<comment>wrong order</comment>"));
    let (id, _) = other.asks_approval("deploy", json!({ "v": 1 }));
    other.write(Event::Lapsed { question: id });
    assert!(text(&other).contains("status=\"lapsed\" by=\"\""), "an expiry is no rejection");
}

#[test]
fn a_running_call_and_its_end_are_one_part() {
    let text = |story: &Story| render(&story.agent, &story.thread).unwrap().messages[1].text.clone();
    let mut story = Story::new(&[]);
    let call = CallId(story.thought(act("lookup", json!({ "id": 1 }))));
    story.started(call, "lookup", &json!({ "id": 1 }));
    assert!(text(&story).contains("status=\"running\""));
    // Begun again after a crash: still one call.
    story.started(call, "lookup", &json!({ "id": 1 }));
    story.acted(call, done(json!({ "name": "x" })));
    let text = text(&story);
    assert_eq!(text.matches("<called ").count(), 1);
    assert!(text.contains("<args>{\"id\":1}</args><result>{\"name\":\"x\"}</result>"), "{text}");
}

fn flaws(files: BTreeMap<String, String>) -> Vec<Flaw> {
    let desks: Vec<String> = directory().desks.keys().cloned().collect();
    match Agent::load("tester", files, &desks) {
        Ok(_) => Vec::new(),
        Err(flaws) => flaws,
    }
}

fn only(flaws: &[Flaw]) -> (&str, Option<usize>, &str) {
    assert_eq!(flaws.len(), 1, "{flaws:#?}");
    (&flaws[0].file, flaws[0].line, &flaws[0].what)
}

#[test]
fn a_template_that_names_what_is_not_there_fails_at_load() {
    for (template, text, line, words) in [
        ("context.md", "one\ntwo {{ nobody }}", Some(2), "`nobody`"),
        ("prompt.md", "{{ output }}", Some(1), "`output`"),
        ("context.md", "a\n{% for part in parts %}{{ part.nothing }}{% endfor %}", None, "undefined"),
        ("context.md", "{% for part in parts %}{{ part.text }}{% endfor %}", None, "undefined"),
        ("prompt.md", "{{ agent.secret }}", None, "undefined"),
        ("reask.md", "one\n{{ error", Some(2), "syntax error"),
        ("context.md", "one\n{% include 'other.md' %}", None, "other.md"),
        ("context.md", "{{ request | frobnicate }}", None, "frobnicate"),
    ] {
        let mut own = files(&[]);
        own.insert(template.into(), text.into());
        let flaws = flaws(own);
        let (file, found, what) = only(&flaws);
        assert_eq!(file, format!("agents/tester/{template}"), "{text}");
        assert!(what.contains(words), "{text}: {what}");
        if line.is_some() {
            assert_eq!(found, line, "{text}");
        }
    }
    let mut own = files(&[]);
    own.remove("context.md");
    assert_eq!(only(&flaws(own)), ("agents/tester/context.md", None, "the template is missing"));
    let mut own = files(&[]);
    own.remove("agent.toml");
    assert_eq!(only(&flaws(own)), ("agents/tester/agent.toml", None, "the file is missing"));
}

#[test]
fn a_flaw_of_an_agent_names_its_line() {
    for (lines, line, key, words) in [
        (&["limits.steps = 11"][..], 1, "limits.steps", "11 steps are more than 10"),
        (&["", "limits.model_calls = 0"], 2, "limits.model_calls", "0 would stop"),
        (
            &["context.tokens = 100", "context.answer_tokens = 51"],
            2,
            "context.answer_tokens",
            "more than half",
        ),
        (&["", "", "limitz.steps = 3"], 3, "limitz", "no such key"),
        (&["approval_deadline = 'soon'"], 1, "approval_deadline", "not a length of time"),
        (&["ask_at = 'mars'"], 1, "ask_at", "mars"),
    ] {
        let flaws = flaws(files(lines));
        let flaw = flaws.first().unwrap_or_else(|| panic!("{lines:?} was taken"));
        assert_eq!((flaw.line, flaw.key.as_str()), (Some(line), key), "{flaws:#?}");
        assert!(flaw.what.contains(words), "{flaws:#?}");
    }
    assert!(flaws(files(&["limits.steps = 11", "limits.more_steps_because = 'long way'"])).is_empty());
    for (from, to, words) in [
        ("[tools.poke]", "[tools.finish]", "cannot be the name of a tool"),
        ("[tools.poke]", "[tools.Poke]", "cannot be the name of a tool"),
        ("args.amount > 1000", "amount > 1000", "`amount`"),
        ("args.amount > 1000", "args.amount >", "syntax error"),
        ("repeat = \"safe\"", "repeat = \"often\"", "often"),
        (
            "parameters = { type = \"object\" }",
            "parameters = { type = \"array\" }",
            "not the schema of an object",
        ),
    ] {
        let mut own = files(&[]);
        let toml = own["agent.toml"].replacen(from, to, 1);
        own.insert("agent.toml".into(), toml.clone());
        let flaws = flaws(own);
        let flaw = flaws.iter().find(|flaw| flaw.what.contains(words));
        let flaw = flaw.unwrap_or_else(|| panic!("{to} was taken: {flaws:#?}"));
        let line = toml.lines().nth(flaw.line.unwrap() - 1).unwrap();
        assert!(line.contains(to) || line.starts_with("parameters"), "{flaw} is not at {to}: {line}");
    }
}

#[test]
fn what_the_configuration_does_not_know_is_told_with_its_line() {
    let models = BTreeSet::from(["default".to_owned()]);
    let check = |from: &str, to: &str| {
        let mut own = files(&[]);
        let toml = own["agent.toml"].replacen(from, to, 1);
        own.insert("agent.toml".into(), toml.clone());
        let flaws = load(own).check(&directory(), &models);
        let lines: Vec<String> = toml.lines().map(str::to_owned).collect();
        flaws.into_iter().map(|flaw| (lines[flaw.line.unwrap() - 1].clone(), flaw.what)).collect::<Vec<_>>()
    };
    assert_eq!(check("x", "x"), []);
    let small = check("desk =", "context = { tokens = 20, answer_tokens = 10 }\ndesk =");
    let [(line, what)] = &small[..] else { panic!("{small:#?}") };
    assert!(line.starts_with("context =") && what.contains("before anybody spoke"), "{small:#?}");
    for (from, to, words) in [
        ("desk = \"operators\"", "desk = \"mars\"", "there is no desk `mars`"),
        ("desk = \"operators\"", "desk = \"empty\"", "there is no desk `empty`"),
        ("desk = \"finance\"", "desk = \"mars\"", "there is no desk `mars`"),
        ("approvers = [\"operators\"]", "approvers = [\"operators\", \"zoe\"]", "no member or group `zoe`"),
        ("approvers = [\"finance\"]", "approvers = [\"zoe\"]", "no member or group `zoe`"),
        ("approvers = [\"finance\"]", "approvers = [\"ghosts\"]", "nobody may give"),
        (
            "desk = \"finance\"",
            "desk = \"operators\"",
            "nobody at the desk `operators` is among the approvers",
        ),
        (
            "description = \"Tests things.\"",
            "description = \"T.\"\nmodel = \"gpt-9\"",
            "there is no model `gpt-9`",
        ),
    ] {
        let flaws = check(from, to);
        let to = to.lines().last().unwrap();
        assert!(
            flaws.iter().any(|(line, what)| what.contains(words) && line.contains(to)),
            "{to} is not told: {flaws:#?}"
        );
    }
    // A shared room is a desk only if somebody may answer there.
    assert_eq!(check("desk = \"operators\"", "desk = \"hall\""), []);
    let flaws = check("desk = \"operators\"\napprovers = [\"operators\"]", "desk = \"hall\"\napprovers = []");
    assert!(
        flaws.iter().any(|(line, what)| line.contains("hall") && what.contains("nobody may answer")),
        "{flaws:#?}"
    );
    // High risk without a rule asks, so somebody must be there to ask.
    let flaws = check("approvers = [\"operators\"]", "approvers = []");
    assert!(
        flaws.iter().any(|(line, what)| line.contains("deploy") && what.contains("nobody may give")),
        "{flaws:#?}"
    );
}

#[test]
fn the_agents_that_ship_are_sound() {
    let models = BTreeSet::from(["default".to_owned()]);
    for agent in &AGENTS[..2] {
        assert_eq!(agent.check(&directory(), &models), []);
    }
}

#[test]
fn a_version_is_the_hash_of_every_file() {
    let version = |files: BTreeMap<String, String>| load(files).reference().version;
    let base = version(files(&[]));
    assert_eq!(base, version(files(&[])));
    for name in ["prompt.md", "context.md", "reask.md"] {
        let mut own = files(&[]);
        own.get_mut(name).unwrap().push(' ');
        assert_ne!(version(own), base, "{name}");
    }
    let mut one = files(&[]);
    one.insert("a".into(), "bc".into());
    let mut other = files(&[]);
    other.insert("ab".into(), "c".into());
    assert_ne!(version(one), version(other));
}

#[test]
fn who_wrote_is_shown_with_whether_it_is_proven() {
    for (from, verified) in [(user(), "yes"), (crate::support::claimed("mail", "eve@example.com"), "no")] {
        let story = Story::begin(agent(&[]), from, "hello");
        let text = render(&story.agent, &story.thread).unwrap().messages[1].text.clone();
        assert!(text.contains(&format!("verified=\"{verified}\"")), "{text}");
    }
    let _ = (
        place("x", "y"),
        proven("x", "y"),
        Acted { call: CallId(agent::Seq(0)), outcome: done(json!(1)), ms: 0, files: vec![] },
    );
}

/// It begins the next request, and stands in the log before the end of the one that did not see it.
#[test]
fn the_scripted_model_is_told_what_was_said_too_late_for_the_request_before() {
    let mut story = Story::new(&[]);
    let seen = story.thread.version();
    story.heard(user(), "and the second?");
    story.heard(user(), "and the third?");
    story.write(thought(finish("that was the first"), seen));
    let Step::Record(events) = story.step() else { panic!("{:?}", story.step()) };
    for event in events {
        story.write(event);
    }
    let told = || render(&story.agent, &story.thread).unwrap().situation;
    assert_eq!(told()["last"]["text"], "and the third?");
    assert_eq!(told()["request"], "and the second?");
    let _ = story.ran("lookup", json!({}), done(json!("found")));
    assert_eq!(render(&story.agent, &story.thread).unwrap().situation["last"]["kind"], "done");
}
