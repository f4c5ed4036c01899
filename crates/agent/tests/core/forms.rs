//! Answers in fields: what is asked, what was filled in, and what counts.

use std::{collections::BTreeMap, sync::LazyLock};

use agent::{
    About, Arrival, Decision, Event, Intent, Named, Press, QuestionId, Tickets, Why, admit, args_hash,
    ending, outgoing, render,
};
use channel::{Body, Card, Choice, Content, Correlation, Input, InputKind, Person};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{NATIVE, Story, TICKET, agent, files, home, inbound, load, press, proven, text, user};

/// Asks the person at home, who may answer, with the form of the agent of most tests.
fn asked() -> (Story, QuestionId) {
    asks(Intent::Ask {
        text: "Where shall it go?".into(),
        to: None,
        options: Vec::new(),
        several: false,
        form: Some("delivery".into()),
    })
}

fn asks_several(options: &[&str]) -> (Story, QuestionId) {
    asks(Intent::Ask {
        text: "Which of them?".into(),
        to: None,
        options: options.iter().map(|option| (*option).to_owned()).collect(),
        several: true,
        form: None,
    })
}

fn asks(intent: Intent) -> (Story, QuestionId) {
    let mut story = Story::begin(agent(&[]), user(), "send it");
    story.wants(intent);
    let id = story.open();
    (story, id)
}

impl Story {
    fn card(&self, id: QuestionId) -> Card {
        let tickets = Tickets::new([3; 32]);
        let press =
            Press { tickets: &tickets, capabilities: &|_| None, secrets: &|_| Some(vec!["token".into()]) };
        match outgoing(&self.thread, id.0, &press).remove(0).content {
            Content::Card(card) => card,
            Content::Text(text) => panic!("this is no card: {text:?}"),
        }
    }

    /// What an answer becomes; it is written.
    fn answers(&mut self, from: Person, body: Body, named: Option<QuestionId>) -> Vec<Event> {
        let events = self.judges(from, body, named);
        for event in &events {
            self.write(event.clone());
        }
        events
    }

    /// What an answer would become.
    fn judges(&self, from: Person, body: Body, named: Option<QuestionId>) -> Vec<Event> {
        let message = inbound(from, home(), body);
        let about = named.map(|question| About { question, named: Named::ByTicket });
        let correlation: Correlation = if about.is_some() { TICKET } else { NATIVE };
        let arrival = Arrival {
            inbound: &message,
            files: Vec::new(),
            rivals: Vec::new(),
            about,
            correlation,
            agent: Some(&self.agent),
            assigned: None,
        };
        admit(&self.directory, &self.thread, arrival, self.now)
    }
}

fn fills(values: &[(&str, &str)]) -> Body {
    pressed("fill", values)
}

fn pressed(choice: &str, values: &[(&str, &str)]) -> Body {
    let values = values.iter().map(|(id, value)| ((*id).to_owned(), (*value).to_owned())).collect();
    Body::Press { choice: choice.to_owned(), comment: None, values }
}

/// The decision, or why there is none.
fn decided(events: &[Event]) -> Result<Decision, (Why, String)> {
    match events {
        [Event::Answered(answer)] => Ok(answer.decision.clone()),
        [Event::Refused(refusal)] => Err((refusal.why, refusal.what.clone().unwrap_or_default())),
        _ => panic!("neither an answer nor a refusal: {events:?}"),
    }
}

fn unfit(events: &[Event]) -> String {
    match decided(events) {
        Err((Why::Unfit, what)) => what,
        other => panic!("not unfit: {other:?}"),
    }
}

#[test]
fn a_form_is_asked_in_lines_of_fitting_kinds_in_the_order_it_was_written() {
    let (story, id) = asked();
    let card = story.card(id);
    assert_eq!(card.title, "tester asks: Delivery");
    assert!(!card.free_text, "words of one's own are no answer to a form");
    let [Choice { id, form, reply, .. }] = &card.choices[..] else { panic!("{:?}", card.choices) };
    assert_eq!((id.as_str(), reply.as_deref()), ("fill", Some("")));
    let list = |choices: &[&str]| choices.iter().map(|choice| (*choice).to_owned()).collect();
    let line = |id: &str, kind| Input { kind, ..Input::line(id, id, "") };
    let street = Input {
        label: "Street and number".into(),
        hint: Some("as on the door".into()),
        required: true,
        ..line("street", InputKind::Line)
    };
    let wanted = [
        street,
        line("notes", InputKind::Lines),
        line("floors", InputKind::Number),
        line("weight", InputKind::Number),
        Input { value: "no".into(), ..line("express", InputKind::YesNo) },
        Input { required: true, ..line("when", InputKind::Date) },
        line("slot", InputKind::One(list(&["morning", "noon, sharp", "2"]))),
        line("parcels", InputKind::One(list(&["10", "20", "5"]))),
        line("extras", InputKind::Several(list(&["gift wrap", "card, signed", "1"]))),
    ];
    assert_eq!(*form, wanted);
}

#[test]
fn what_was_filled_in_is_json_that_the_agent_sees() {
    let (mut story, id) = asked();
    let values = [
        ("street", " Main St 1 "),
        ("notes", "two\nlines"),
        ("floors", "3"),
        ("weight", "1.50"),
        ("express", "yes"),
        ("when", "2026-12-24"),
        ("slot", "2"),
        ("parcels", "5"),
        ("extras", "1\ngift wrap"),
    ];
    let events = story.answers(user(), fills(&values), Some(id));
    let wanted = json!({
        "street": "Main St 1", "notes": "two\nlines", "floors": 3, "weight": 1.5, "express": true, "when": "2026-12-24",
        "slot": "2", "parcels": 5, "extras": ["gift wrap", "1"],
    });
    assert_eq!(decided(&events), Ok(Decision::Form(wanted.clone())));
    let [Event::Answered(answer)] = &events[..] else { unreachable!() };
    assert!(ending(&story.thread, answer).contains("street: Main St 1; notes: two, lines; floors: 3"));
    let prompt = render(&story.agent, &story.thread).unwrap();
    let shown: String = prompt.messages.iter().map(|message| message.text.as_str()).collect();
    assert!(shown.contains(r#"<answer>{"street":"Main St 1","notes":"two\nlines","floors":3"#), "{shown}");
    assert_eq!(prompt.situation["last"]["answer"], wanted);
}

#[test]
fn what_does_not_fit_settles_nothing_and_says_what_is_wrong() {
    let good = [("street", "Main St 1"), ("when", "2026-12-24")];
    for (name, value, says) in [
        ("street", "  ", "`street` is missing"),
        ("when", "", "`when` is missing"),
        ("when", "24 December", "`when`"),
        ("floors", "many", "`floors` is `many`, and should be a number like"),
        ("floors", "1.5", "`floors`: 1.5 is not of type"),
        ("floors", "120", "`floors`: 120 is greater than"),
        ("floors", "[1]", "`floors` is `[1]`"),
        ("weight", "0", "`weight`: 0 is less than or equal to"),
        ("weight", "1e999", "`weight` is `1e999`"),
        ("express", "perhaps", "`express` is `perhaps`, and should be `yes` or `no`"),
        ("slot", "night", "`slot` is `night`, and should be one of: morning, noon, sharp, 2"),
        ("slot", "4", "`slot` is `4`"),
        ("parcels", "7", "`parcels` is `7`, and should be one of: 10, 20, 5"),
        ("extras", "gift wrap, gold", "`extras` has `gold`, which is none of: gift wrap"),
        ("extras", "gift wrap\n1\ncard, signed", "`extras`:"),
        ("colour", "red", "there is no field `colour`"),
    ] {
        let (mut story, id) = asked();
        let mut values: Vec<(&str, &str)> = good.into_iter().filter(|(other, _)| *other != name).collect();
        values.push((name, value));
        let what = unfit(&story.answers(user(), fills(&values), Some(id)));
        assert!(what.contains(says), "{name} = {value:?}: {what}");
        assert!(story.thread.settled_by(id).is_none());
        // The same form can be sent again, filled in well; who may not answer learns nothing.
        let eve = story.answers(proven("web", "eve"), fills(&values), Some(id));
        assert_eq!(decided(&eve), Err((Why::NotPermitted, String::new())));
        assert!(decided(&story.answers(user(), fills(&good), Some(id))).is_ok());
    }
}

#[test]
fn a_reply_in_lines_is_the_same_answer() {
    let wanted = json!({ "street": "Main St 1", "express": false, "when": "2026-12-24", "extras": ["gift wrap", "1"] });
    for words in [
        "street: Main St 1\nwhen: 2026-12-24\nextras: 3, gift wrap",
        "Street: Main St 1\n\nWHEN:2026-12-24\n*extras:* gift wrap, 1\nnotes:\n\nBest regards,\nUlla",
        "- street: Main\n  St 1\n- when: 2026-12-24\n- extras:\n1\ngift wrap\n",
    ] {
        for named in [true, false] {
            let (mut story, id) = asked();
            let events = story.answers(user(), text(words), named.then_some(id));
            assert_eq!(decided(&events), Ok(Decision::Form(wanted.clone())), "{words}");
        }
    }
}

#[test]
fn a_reply_that_is_not_quite_lines_is_explained_and_settles_nothing() {
    for (words, says) in [
        ("street: Main St 1", "`when` is missing"),
        ("street: Main St 1\nwhen: 2026-12-24\nstreet: Other St 2", "`street` is there twice"),
        (
            "street: Main St 1\nwhen: 2026-12-24\ncolour: red",
            "there is no field `colour`; the fields are `street`",
        ),
        (
            "street: Main St 1\nwhen: 2026-12-24\nexpress: yes\nbut only if it is cheap",
            "`express` is `yes but only",
        ),
    ] {
        for named in [true, false] {
            let (mut story, id) = asked();
            let what = unfit(&story.answers(user(), text(words), named.then_some(id)));
            assert!(what.contains(says), "{words}: {what}");
            assert!(story.thread.settled_by(id).is_none());
        }
    }
    // Words that name no field are no answer; where nothing says that they are meant as one, they are something said.
    for words in
        ["somewhere in Bern", "note: I am away", "please\nstreet: Main St 1\nwhen: 2026-12-24", "fill", "2"]
    {
        let (mut story, id) = asked();
        assert_eq!(
            decided(&story.answers(user(), text(words), Some(id))),
            Err((Why::Unclear, String::new()))
        );
        assert!(matches!(story.answers(user(), text(words), None)[..], [Event::Heard(_)]), "{words}");
        assert!(story.thread.settled_by(id).is_none());
    }
}

#[test]
fn several_options_are_chosen_by_button_by_number_or_in_words() {
    let options = ["Bern", "Basel", "Geneva, airport"];
    let card = {
        let (story, id) = asks_several(&options);
        story.card(id)
    };
    assert!(card.free_text);
    let [Choice { id, form, reply, .. }] = &card.choices[..] else { panic!("{:?}", card.choices) };
    assert_eq!((id.as_str(), reply.as_deref()), ("choose", Some("")));
    assert_eq!(form[0].kind, InputKind::Several(options.map(str::to_owned).to_vec()));
    for (body, wanted) in [
        (pressed("choose", &[("choose", "Geneva, airport\nBern")]), vec![0, 2]),
        (text("1, 3"), vec![0, 2]),
        (text("choose: 3; bern\n\nThanks,\nUlla"), vec![0, 2]),
        (text("Bern\nGeneva, airport\nBERN"), vec![0, 2]),
        (text("2"), vec![1]),
    ] {
        let (mut story, id) = asks_several(&options);
        let events = story.answers(user(), body.clone(), Some(id));
        assert_eq!(decided(&events), Ok(Decision::Options(wanted)), "{body:?}");
    }
    let (mut story, id) = asks_several(&options);
    assert_eq!(
        unfit(&story.answers(user(), pressed("choose", &[]), Some(id))),
        "none of the answers to choose from was chosen"
    );
    // What is more than a choice is an answer in words of one's own, as to any plain question.
    let words = "1, but not on Monday";
    let events = story.answers(user(), text(words), Some(id));
    assert_eq!(decided(&events), Ok(Decision::Text(words.into())));
    let shown: String =
        render(&story.agent, &story.thread).unwrap().messages.iter().map(|m| m.text.clone()).collect();
    assert!(shown.contains("<answer>1, but not on Monday</answer>"), "{shown}");
}

#[test]
fn what_was_chosen_is_told_in_words() {
    let (mut story, id) = asks_several(&["Bern", "Basel", "Geneva"]);
    let events = story.answers(user(), text("1, 3"), Some(id));
    let [Event::Answered(answer)] = &events[..] else { panic!("{events:?}") };
    assert_eq!(ending(&story.thread, answer), "ulla answered: Bern, Geneva");
    let prompt = render(&story.agent, &story.thread).unwrap();
    assert!(prompt.messages[1].text.contains("<answer>Bern, Geneva</answer>"), "{:?}", prompt.messages);
    assert_eq!(prompt.situation["last"]["answer"], json!(["Bern", "Geneva"]));
}

// An approval with other arguments, in words.

fn refund() -> (Story, QuestionId) {
    let mut story = Story::begin(agent(&[]), user(), "refund it");
    let (id, _) = story.asks_approval("refund", json!({ "order": "1002", "amount": 120, "two words": "a" }));
    (story, id)
}

#[test]
fn an_approval_is_given_with_changes_in_words() {
    let (story, id) = refund();
    let choice =
        story.card(id).choices.into_iter().find(|choice| choice.id == "edit").expect("on every channel");
    assert_eq!(choice.reply.as_deref(), Some("approve"));
    for (words, args) in [
        ("approve\namount: 110", json!({ "order": "1002", "amount": 110, "two words": "a" })),
        (
            "Approve\n\nAmount: 110\ntwo words: b c\n\nRegards\nCleo",
            json!({ "order": "1002", "amount": 110, "two words": "b c" }),
        ),
    ] {
        let (mut story, id) = refund();
        let events = story.answers(proven("web", "cleo"), text(words), Some(id));
        let hash = args_hash(&args);
        assert_eq!(decided(&events), Ok(Decision::ApproveEdited { args, hash }), "{words}");
    }
    let (mut story, id) = refund();
    let events = story.answers(proven("web", "cleo"), text("approve\norder: 1002\namount: 120"), Some(id));
    assert_eq!(decided(&events), Ok(Decision::Approve), "the same as was asked");
}

#[test]
fn changes_in_words_are_held_to_what_a_form_is_held_to_and_anything_else_is_unclear() {
    for (words, why, says) in [
        ("approve\namount: many", Why::Unfit, "`amount` is `many`"),
        ("approve\namount: 2000", Why::Unfit, "the policy forbids refund"),
        ("approve\namount: 90\namount: 80", Why::Unfit, "`amount` is there twice"),
        ("approve\namount: 90\niban: DE02", Why::Unfit, "there is no field `iban`"),
        ("approve\nbut only 50", Why::Unclear, ""),
        ("approve\namount: 50\nbut only if he agrees", Why::Unclear, ""),
        ("approve\nplease note: only 50", Why::Unclear, ""),
        ("approve\nPS: only 50", Why::Unclear, ""),
        ("approve amount: 50", Why::Unclear, ""),
        ("amount: 50", Why::Unclear, ""),
        ("edit\namount: 50", Why::Unclear, ""),
    ] {
        let (mut story, id) = refund();
        let (because, what) =
            decided(&story.answers(proven("web", "cleo"), text(words), Some(id))).unwrap_err();
        assert_eq!(because, why, "{words}");
        assert!(what.contains(says), "{words}: {what}");
        assert!(story.thread.settled_by(id).is_none());
    }
    let mut story = Story::begin(agent(&[]), user(), "deploy it");
    let (id, _) = story.asks_approval("deploy", json!({ "version": "v1", "token": "secret" }));
    let what = unfit(&story.answers(proven("web", "ana"), text("approve\ntoken: mine"), Some(id)));
    assert_eq!(what, "`token` cannot be changed");
}

// What agents may ask.

#[test]
fn a_form_that_cannot_be_asked_is_refused_with_every_flaw() {
    let flaws = |form: &str| {
        let mut files = files(&[]);
        files.get_mut("agent.toml").unwrap().push_str(form);
        let flaws = agent::Agent::load("tester", files, &[]).err().unwrap_or_default();
        flaws.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let field = |field: &str| {
        flaws(&format!(
            "[forms.x]\ntitle = \"X\"\n[forms.x.fields]\ntype = \"object\"\n[forms.x.fields.properties]\na = {field}\n"
        ))
    };
    for (told, says) in [
        (field("{ type = \"string\" }"), ""),
        (
            field("{ type = \"object\" }"),
            "forms.x.fields.properties.a.type: a form is flat, and this is an object in it\n    make each of its fields a field of the form: address_city",
        ),
        (field("{ }"), "a.type: a field is a string, number, integer, boolean or array"),
        (field("{ type = \"array\" }"), "a.items: a list needs choices"),
        (
            field("{ type = \"array\", items = { type = \"object\", enum = [\"a\"], pattern = \"x\" } }"),
            "a.items: a choice has no rules of its own",
        ),
        (field("{ type = \"string\", enum = [] }"), "a.enum: a field has 1 to 100 choices"),
        (field("{ type = \"string\", enum = [\"x\", \"X\"] }"), "`X` is no choice that can be offered"),
        (field("{ type = \"string\", enum = [\"x\\ny\"] }"), "is no choice that can be offered"),
        (field("{ type = \"string\", enum = [true] }"), "`true` is no choice"),
        (field("{ type = \"boolean\", enum = [true] }"), "yes and no are all there is to choose"),
        (field("{ type = \"string\", format = \"email\" }"), "the one format of a form is date"),
        (
            field("{ type = \"string\", default = 5 }"),
            "a.default: 5 is not of type \"string\"\n    what stands in a field at first must fit it",
        ),
        (field("{ type = \"string\", pattern = \"(\" }"), "fields must be a JSON Schema"),
        (field("{ type = \"string\", oneOf = [] }"), "a.oneOf: a form cannot show what this says"),
        (
            field("{ type = \"string\" }\n\"b c\" = { type = \"string\" }"),
            "`b c` cannot be the name of a field",
        ),
        (field("{ type = \"string\" }\nA = { type = \"string\" }"), "`A` cannot be the name of a field"),
        (
            flaws("[forms.x]\ntitle = \" \"\nfields = { type = \"string\" }\n"),
            "forms.x.title: a title is one line",
        ),
        (
            flaws(
                "[forms.x]\ntitle = \"X\"\nfields = { type = \"object\", required = [\"q\"], anyOf = [], properties = {} }\n",
            ),
            "there is no field `q`",
        ),
        (flaws("[forms.x]\nfields = {}\n"), "the key `title` is missing"),
    ] {
        match says {
            "" => assert_eq!(told, Vec::<String>::new()),
            _ => assert!(told.iter().any(|flaw| flaw.contains(says)), "no `{says}` in {told:#?}"),
        }
    }
}

#[test]
fn a_model_may_name_a_form_only_where_there_is_one() {
    let with = agent(&[]);
    let mut plain = files(&[]);
    let text = plain.get_mut("agent.toml").unwrap();
    text.truncate(text.find("[forms.").unwrap());
    let without = load(plain);
    assert!(
        with.extractor()
            .schema_text()
            .contains(r#""form":{"type":"string","enum":["delivery"],"description""#)
    );
    assert!(
        !without.extractor().schema_text().contains("form"),
        "an agent without forms hears nothing of them"
    );
    let read = |agent: &agent::Agent, extra: &str| {
        let output = format!(r#"{{"intent":"ask","text":"Where?"{extra}}}"#);
        agent
            .extractor()
            .extract(&output, false)
            .map(|found| found.intent)
            .map_err(|rejection| rejection.what)
    };
    let Ok(Intent::Ask { form, several, .. }) = read(&with, r#","form":"delivery""#) else { panic!() };
    assert_eq!((form.as_deref(), several), (Some("delivery"), false));
    let Ok(Intent::Ask { several: true, .. }) = read(&with, r#","options":["a","b"],"several":true"#) else {
        panic!()
    };
    for (agent, extra, says) in [
        (&without, r#","form":"delivery""#, "form: unknown field"),
        (&with, r#","form":"mars""#, "form: \"mars\" is no form; there are delivery"),
        (&with, r#","form":"delivery","options":["a","b"]"#, "form: a form has choices of its own"),
        (&with, r#","several":true"#, "several: there are no `options` to choose from"),
        (&with, r#","several":"yes","options":["a","b"]"#, "several: \"yes\" is neither true nor false"),
    ] {
        let what = read(agent, extra).unwrap_err();
        assert!(what.contains(says), "{extra}: {what}");
    }
}

/// A later version of the agent changes nothing: an answer is held to what was asked.
#[test]
fn an_answer_is_held_to_the_form_as_it_was_asked() {
    let (mut story, id) = asked();
    let mut later = files(&[]);
    let spec = later.get_mut("agent.toml").unwrap();
    *spec = spec.replace("maximum = 99", "maximum = 1");
    story.agent = load(later);
    let values = [("street", "Main St 1"), ("when", "2026-12-24"), ("floors", "50")];
    assert!(decided(&story.answers(user(), fills(&values), Some(id))).is_ok());
}

#[test]
fn a_press_that_a_card_never_offered_decides_nothing() {
    let (mut story, id) = asked();
    for choice in ["edit", "choose", "option-1", "approve", "fill "] {
        let events = story.answers(user(), press(choice, None), Some(id));
        assert_eq!(decided(&events), Err((Why::Unclear, String::new())), "{choice}");
    }
}

/// What a person filled in, and the JSON that it is.
fn filled() -> impl Strategy<Value = (BTreeMap<String, String>, Value)> {
    let word = "[a-zA-Z<&\"'*: ,]{0,12}[a-z]";
    let date = (1900i16..2200, 1i8..13, 1i8..29).prop_map(|(y, m, d)| format!("{y:04}-{m:02}-{d:02}"));
    let slots = prop::sample::select(vec!["morning", "noon, sharp", "2"]);
    let parcels = prop::sample::select(vec![10, 20, 5]);
    let extras = prop::sample::subsequence(vec!["gift wrap", "card, signed", "1"], 0..=2);
    (
        word,
        prop::option::of((word, word).prop_map(|(a, b)| format!("{a}\n{b}"))),
        prop::option::of(0u64..100),
        prop::option::of(1u32..1_000_000),
        prop::option::of(any::<bool>()),
        date,
        prop::option::of(slots),
        prop::option::of(parcels),
        extras,
    )
        .prop_map(|(street, notes, floors, weight, express, when, slot, parcels, extras)| {
            let street = street.split_whitespace().collect::<Vec<_>>().join(" ");
            let weight = weight.map(|weight| f64::from(weight) / 8.0);
            let mut values = BTreeMap::from([("street", street.clone()), ("when", when.clone())]);
            let mut json = json!({ "street": street, "when": when });
            let mut put = |name: &'static str, text: String, value: Value| {
                values.insert(name, text);
                json[name] = value;
            };
            if let Some(notes) = notes {
                put("notes", notes.clone(), notes.trim().into());
            }
            if let Some(floors) = floors {
                put("floors", floors.to_string(), floors.into());
            }
            if let Some(weight) = weight {
                put("weight", weight.to_string(), serde_json::from_str(&weight.to_string()).unwrap());
            }
            if let Some(express) = express {
                put("express", if express { "yes" } else { "no" }.into(), express.into());
            }
            if let Some(slot) = slot {
                put("slot", slot.into(), slot.into());
            }
            if let Some(parcels) = parcels {
                put("parcels", parcels.to_string(), parcels.into());
            }
            if !extras.is_empty() {
                put("extras", extras.join("\n"), extras.into());
            }
            (values.into_iter().map(|(name, text)| (name.to_owned(), text)).collect(), json)
        })
}

/// Loading an agent takes much longer than an answer.
static ASKED: LazyLock<(Story, QuestionId)> = LazyLock::new(asked);

proptest! {
    /// Whatever is filled in fits, and is exactly what was filled in: as a form, and as lines of a reply.
    #[test]
    fn what_is_filled_in_is_what_is_read((values, wanted) in filled()) {
        let (story, id) = (&ASKED.0, ASKED.1);
        let body = Body::Press { choice: "fill".into(), comment: None, values: values.clone() };
        let mut wanted = wanted;
        if wanted.get("express").is_none() {
            // What is left out counts as it stood there.
            wanted["express"] = false.into();
        }
        prop_assert_eq!(decided(&story.judges(user(), body, Some(id))), Ok(Decision::Form(wanted.clone())));
        // In words, nothing may look like the beginning of another field.
        prop_assume!(!values.get("notes").is_some_and(|notes| notes.contains(':')));
        let lines: String = values.iter().map(|(name, text)| format!("{name}: {text}\n")).collect();
        prop_assert_eq!(decided(&story.judges(user(), text(&lines), Some(id))), Ok(Decision::Form(wanted)));
    }

    /// No text and no values are too strange to be judged, and what counts always fits.
    #[test]
    fn nothing_that_comes_in_makes_a_form_fall_over(
        words in ".{0,200}",
        values in prop::collection::btree_map("(street|when|extras|floors|.{0,5})", ".{0,20}", 0..6),
    ) {
        for body in [text(&words), Body::Press { choice: "fill".into(), comment: None, values }] {
            let events = ASKED.0.judges(user(), body, Some(ASKED.1));
            match decided(&events) {
                Ok(Decision::Form(answer)) => prop_assert!(answer.get("street").is_some() && answer.get("when").is_some()),
                Ok(other) => prop_assert!(false, "{:?}", other),
                Err((why, _)) => prop_assert!(matches!(why, Why::Unfit | Why::Unclear)),
            }
        }
    }
}
