//! The terms of an approval: when enough have agreed, who is barred, and which calls are like one that was approved.

use std::collections::BTreeSet;

use agent::{Bar, Directory, Like, Member, Met, Otherwise, Quorum, Remember, Rung, Standing, Terms, Vote};
use channel::{ChannelName, Person, Span};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{claimed, directory, proven};

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn quorum(written: &Value) -> Quorum {
    serde_json::from_value(written.clone()).unwrap()
}

/// Somebody with this role on `chat`.
fn with_role(id: &str) -> Person {
    Person { roles: vec!["10/33".into()], ..proven("chat", id) }
}

/// Finance is Cleo and whoever has a role; managers are Ana and Cleo.
fn company() -> Directory {
    let mut directory = directory();
    directory.groups.insert("finance".into(), names(&["cleo", "chat:10/33"]));
    directory.groups.insert("managers".into(), names(&["ana", "cleo"]));
    directory
}

#[test]
fn people_are_counted_and_not_clicks() {
    let directory = company();
    let (ana, ana_mail) = (proven("web", "ana"), proven("mail", "ana@corp.example"));
    let (ben, cleo) = (proven("mail", "ben@corp.example"), proven("web", "cleo"));
    let (rob, rue) = (with_role("rob"), with_role("rue"));
    let liar = claimed("mail", "ben@corp.example");
    let ulla = proven("web", "ulla");
    for (written, approvers, votes, missing) in [
        (json!(1), &["operators"][..], &[][..], Some("one more of operators must approve")),
        (json!(1), &["operators"], &[&ben][..], None),
        (json!(1), &["ben"], &[&ana], Some("ben must approve")),
        (json!(1), &["operators"], &[&liar, &ulla, &cleo], Some("one more of operators must approve")),
        (json!(1), &[], &[&ana], Some("somebody, and there is nobody who may, must approve")),
        // Twice the same person is one, on one channel or on two.
        (json!(2), &["operators"], &[&ana, &ana, &ana_mail], Some("one more of operators must approve")),
        (json!(2), &["operators"], &[&ana, &ben], None),
        (json!(4), &["operators", "finance"], &[], Some("4 more of operators or finance must approve")),
        // Two with a role are two people.
        (json!(2), &["finance"], &[&rob, &rob], Some("one more of finance must approve")),
        (json!(2), &["finance"], &[&rob, &rue], None),
        (json!("all"), &["operators"], &[&ben], Some("ana must approve")),
        (json!("all"), &["operators", "managers"], &[], Some("ana, ben and cleo must approve")),
        (json!("all"), &["operators", "ana"], &[&ana_mail, &ben], None),
        (json!("all"), &["ghosts"], &[&ana], Some("somebody, and there is nobody who may, must approve")),
        // Nobody could say that these are all who have the role.
        (json!("all"), &["finance"], &[&cleo, &rob, &rue], Some("one more of finance must approve")),
        (json!("each"), &["finance", "managers"], &[&ana], Some("one more of finance must approve")),
        (json!("each"), &["finance", "managers"], &[&ana, &cleo], None),
        (json!("each"), &["finance", "managers"], &[&cleo, &rob], None),
        // Cleo is in both, and one person: whoever comes from either helps.
        (
            json!("each"),
            &["finance", "managers"],
            &[&cleo],
            Some("one more of finance or managers must approve"),
        ),
        (json!("each"), &["finance", "ben"], &[&rob, &rue], Some("ben must approve")),
        (json!("each"), &["operators", "operators"], &[&ana], Some("one more of operators must approve")),
        (
            json!("each"),
            &["finance", "managers"],
            &[],
            Some("one more of finance and one more of managers must approve"),
        ),
        (json!("each"), &[], &[&ana], Some("somebody, and there is nobody who may, must approve")),
    ] {
        let votes: Vec<Vote<'_>> = votes.iter().map(|by| Vote { by, instead_of: None }).collect();
        let met = quorum(&written).is_met(&names(approvers), &directory, &votes);
        assert_eq!(met.missing().as_deref(), missing, "{written} of {approvers:?} by {votes:?}");
        assert_eq!(met == Met::Yes, missing.is_none());
    }
}

#[test]
fn nobody_decides_for_two_and_no_two_for_one() {
    let directory = company();
    let (ana, ben, cleo) = (proven("web", "ana"), proven("mail", "ben@corp.example"), proven("web", "cleo"));
    let liar = claimed("mail", "ben@corp.example");
    for (written, approvers, votes, met) in [
        (json!(1), &["ana"][..], &[(&ben, Some("ana"))][..], true),
        (json!(1), &["cleo"], &[(&ben, Some("ana"))], false),
        // Ben for himself and for Ana is one human.
        (json!(2), &["operators"], &[(&ben, None), (&ben, Some("ana"))], false),
        (json!("all"), &["operators"], &[(&ben, None), (&ben, Some("ana"))], false),
        (json!("each"), &["ana", "ben"], &[(&ben, None), (&ben, Some("ana"))], false),
        // Ana and who stands in for her are one voice.
        (json!(2), &["operators"], &[(&ana, None), (&cleo, Some("ana"))], false),
        (json!(2), &["operators"], &[(&cleo, Some("ana")), (&ana, None)], false),
        (json!("each"), &["operators", "managers"], &[(&ana, None), (&ben, Some("ana"))], false),
        (json!(2), &["operators"], &[(&ben, None), (&cleo, Some("ana"))], true),
        (json!("all"), &["operators"], &[(&ben, None), (&cleo, Some("ana"))], true),
        // A claim speaks for nobody, and whom somebody names makes no member of them.
        (json!(1), &["operators"], &[(&liar, Some("ana"))], false),
        (json!(1), &["operators"], &[(&ben, Some("zoe"))], false),
    ] {
        let given: Vec<Vote<'_>> =
            votes.iter().map(|(by, instead_of)| Vote { by, instead_of: *instead_of }).collect();
        let is = quorum(&written).is_met(&names(approvers), &directory, &given);
        assert_eq!(is == Met::Yes, met, "{written} of {approvers:?} by {given:?}: {is:?}");
    }
}

/// Whether different people can be found for all of these names, by trying everything.
fn each_by_hand(names: &[BTreeSet<usize>], free: &BTreeSet<usize>) -> bool {
    let Some((first, rest)) = names.split_first() else { return true };
    first.intersection(free).any(|person| {
        let mut others = free.clone();
        others.remove(person);
        each_by_hand(rest, &others)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Six members with two identities each, groups as they fall, and whoever happens to vote.
    #[test]
    fn a_quorum_is_what_it_says(
        groups in prop::collection::vec(prop::collection::btree_set(0usize..6, 0..5), 1..4),
        clicks in prop::collection::vec((0usize..6, any::<bool>()), 0..8),
        count in 1u32..5,
    ) {
        let mut directory = Directory::default();
        let id = |person: usize, channel: &str| (ChannelName::new(channel), format!("{person}@{channel}"));
        for person in 0..6 {
            let member = Member::new([id(person, "web"), id(person, "mail")]);
            directory.members.insert(format!("m{person}"), member);
        }
        let approvers: Vec<String> = (0..groups.len()).map(|group| format!("g{group}")).collect();
        for (name, group) in approvers.iter().zip(&groups) {
            directory.groups.insert(name.clone(), group.iter().map(|person| format!("m{person}")).collect());
        }
        let people: Vec<Person> = clicks
            .iter()
            .map(|(person, web)| {
                let channel = if *web { "web" } else { "mail" };
                proven(channel, &format!("{person}@{channel}"))
            })
            .collect();
        let votes: Vec<Vote<'_>> = people.iter().map(|by| Vote { by, instead_of: None }).collect();
        let voters: BTreeSet<usize> = clicks.iter().map(|(person, _)| *person).collect();
        let all: BTreeSet<usize> = groups.iter().flatten().copied().collect();
        let met = |quorum: Quorum| quorum.is_met(&approvers, &directory, &votes) == Met::Yes;
        let wanted = quorum(&json!(count));
        prop_assert_eq!(met(wanted), voters.intersection(&all).count() >= count as usize);
        prop_assert_eq!(met(Quorum::All), !all.is_empty() && all.is_subset(&voters));
        prop_assert_eq!(met(Quorum::Each), each_by_hand(&groups, &voters));
    }
}

#[test]
fn who_asked_is_barred_where_the_terms_say_so_by_whatever_identity() {
    let directory = directory();
    let terms = Terms { requester_may: false, ..Terms::default() };
    let (ana, mail) = (proven("web", "ana"), proven("mail", "ana@corp.example"));
    let cleo = proven("web", "cleo");
    let own = |member: &str| Standing { member: Some(member.into()), instead_of: None };
    let for_ana = Standing { member: Some("cleo".into()), instead_of: Some("ana".into()) };
    for (requester, person, standing, barred) in [
        (Some(&ana), &ana, &own("ana"), true),
        (Some(&ana), &mail, &own("ana"), true),
        (Some(&ana), &cleo, &own("cleo"), false),
        // What she may not do, nobody may do in her stead.
        (Some(&ana), &cleo, &for_ana, true),
        (Some(&cleo), &cleo, &for_ana, true),
        // A request in her name that proves nothing, approved where she is known: she may have sent it.
        (Some(&claimed("mail", "ana@corp.example")), &ana, &own("ana"), true),
        (Some(&claimed("mail", "eve@example.com")), &ana, &own("ana"), false),
        // Without a member's name the identity counts.
        (Some(&with_role("rob")), &with_role("rob"), &Standing::default(), true),
        (Some(&with_role("rob")), &with_role("rue"), &Standing::default(), false),
        (None, &ana, &own("ana"), false),
    ] {
        let bar = terms.bars(&directory, requester, person, standing);
        assert_eq!(bar, barred.then_some(Bar::Requester), "{requester:?} {person:?} {standing:?}");
        assert_eq!(Terms::default().bars(&directory, requester, person, standing), None);
    }
    let on_web = Terms { decided_on: Some(vec![ChannelName::new("web")]), ..Terms::default() };
    assert_eq!(on_web.bars(&directory, None, &ana, &own("ana")), None);
    assert_eq!(on_web.bars(&directory, None, &mail, &own("ana")), Some(Bar::Channel));
    let nowhere = Terms { decided_on: Some(Vec::new()), ..Terms::default() };
    assert_eq!(nowhere.bars(&directory, None, &ana, &own("ana")), Some(Bar::Channel));
}

#[test]
fn what_is_like_an_approved_call_is_so_in_every_argument() {
    let remember: Remember = serde_json::from_value(
        json!({ "for": "8h", "args": { "amount": "at_most", "note": "any", "order": "same" } }),
    )
    .unwrap();
    let approved = json!({ "order": "1001", "amount": 120, "note": "broken", "to": { "a": 1, "b": 2 } });
    let with = |name: &str, value: Value| {
        let mut args = approved.clone();
        args[name] = value;
        args
    };
    let without = |name: &str| {
        let mut args = approved.clone();
        args.as_object_mut().unwrap().remove(name);
        args
    };
    for (asked, covered) in [
        (approved.clone(), true),
        (with("amount", json!(0)), true),
        (with("amount", json!(119.99)), true),
        (with("amount", json!(120.0)), true),
        (with("amount", json!(120.01)), false),
        (with("amount", json!(121)), false),
        (with("amount", json!(-1)), false),
        (with("amount", json!(-0.5)), false),
        (with("amount", json!("12")), false),
        (with("amount", json!(null)), false),
        (with("amount", json!(u64::MAX)), false),
        (without("amount"), false),
        (with("note", json!({ "anything": true })), true),
        (without("note"), true),
        (with("order", json!("1002")), false),
        (with("order", json!(1001)), false),
        (without("order"), false),
        // What is not named is the same; in whatever order its keys are written.
        (with("to", json!({ "b": 2, "a": 1 })), true),
        (with("to", json!({ "a": 1, "b": 3 })), false),
        (with("more", json!(1)), false),
        (json!([1]), false),
    ] {
        assert_eq!(remember.covers(&approved, &asked), covered, "{asked}");
    }
    let big = json!({ "amount": 9_007_199_254_740_993_u64 });
    let amount = Remember { lasts: Span::seconds(1), args: [("amount".to_owned(), Like::AtMost)].into() };
    assert!(amount.covers(&big, &json!({ "amount": 9_007_199_254_740_993_u64 })));
    assert!(!amount.covers(&big, &json!({ "amount": 9_007_199_254_740_994_u64 })));
    assert!(
        !amount.covers(&big, &json!({ "amount": 9_007_199_254_740_992.0 })),
        "not exact, so not said to be less"
    );
    assert!(!amount.covers(&json!([]), &json!([])));
}

#[test]
fn terms_are_written_as_what_is_not_said_by_itself() {
    assert_eq!(serde_json::to_value(Terms::default()).unwrap(), json!({}));
    assert!(Terms::default().is_default());
    let whole = Terms {
        quorum: Quorum::Each,
        requester_may: false,
        decided_on: Some(vec![ChannelName::new("web")]),
        otherwise: Otherwise::HandOver,
        remind: vec![Span::seconds(1800)],
        ladder: vec![Rung {
            after: Span::seconds(3600),
            desk: "managers".into(),
            approvers: names(&["ana"]),
        }],
        remember: Some(Remember {
            lasts: Span::seconds(8 * 3600),
            args: [("amount".to_owned(), Like::AtMost)].into(),
        }),
    };
    let text = r#"{"quorum":"each","requester_may":false,"decided_on":["web"],"otherwise":"hand_over","remind":["30m"],"ladder":[{"after":"1h","desk":"managers","approvers":["ana"]}],"remember":{"for":"8h","args":{"amount":"at_most"}}}"#;
    assert_eq!(serde_json::to_string(&whole).unwrap(), text);
    assert_eq!(serde_json::from_str::<Terms>(text).unwrap(), whole);
    assert_eq!(serde_json::from_str::<Terms>("{}").unwrap(), Terms::default());
    // What a later version adds is no reason to stop at the thread.
    assert!(serde_json::from_str::<Rung>(r#"{"after":"1h","desk":"d","later":1}"#).is_ok());
    for (written, quorum) in [("2", r#"2"#), ("all", r#""all""#)] {
        assert_eq!(
            serde_json::to_string(&serde_json::from_str::<Quorum>(quorum).unwrap()).unwrap(),
            quorum,
            "{written}"
        );
    }
    for wrong in ["0", "-1", "1.5", r#""some""#, "null"] {
        assert!(serde_json::from_str::<Quorum>(wrong).is_err(), "{wrong} was taken");
    }
}
