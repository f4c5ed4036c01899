//! Who is who, who is away, and who answers for whom.

use agent::{Directory, Member, Standing};
use channel::{ChannelName, Person, Timestamp};
use jiff::tz::TimeZone;

use crate::support::{claimed, directory, proven};

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn utc(text: &str) -> Timestamp {
    format!("{text}:00Z").parse().unwrap()
}

/// Ana is away in the first half of December, and Cleo stands in for her; Ben stands in for Cleo, who is away all of it.
fn december() -> Directory {
    let mut directory = directory();
    let mut absent = |name: &str, days: &str, delegate: &str| {
        let member = directory.members.get_mut(name).unwrap();
        member.away = Some(days.parse().unwrap());
        member.delegate = Some(delegate.to_owned());
    };
    absent("ana", "2026-12-01/2026-12-14", "cleo");
    absent("cleo", "2026-12-01/2026-12-31", "ben");
    directory
}

#[test]
fn who_is_away_is_stood_in_for_and_the_chain_ends_there() {
    let directory = december();
    let (before, during, after) = (utc("2026-11-30T23:59"), utc("2026-12-14T23:59"), utc("2026-12-15T00:00"));
    assert_eq!([before, during, after].map(|now| directory.is_away("ana", now)), [false, true, false]);
    assert_eq!(
        [before, during, after].map(|now| directory.stands_in("ana", now)),
        [None, Some("cleo"), None]
    );
    assert!(!directory.is_away("nobody", during) && directory.stands_in("nobody", during).is_none());
    assert_eq!(directory.stands_in("ben", during), None, "he is there");

    let (ana, ben, cleo) = (proven("web", "ana"), proven("mail", "ben@corp.example"), proven("web", "cleo"));
    let standing = |names_: &[&str], person: &Person, now| directory.standing(&names(names_), person, now);
    let own = |member: &str| Some(Standing { member: Some(member.into()), instead_of: None });
    let instead =
        |member: &str, of: &str| Some(Standing { member: Some(member.into()), instead_of: Some(of.into()) });
    for (who, person, now, stands) in [
        // Whoever is away may answer all the same.
        (&["ana"][..], &ana, during, own("ana")),
        (&["ana"], &cleo, during, instead("cleo", "ana")),
        (&["operators"], &cleo, during, instead("cleo", "ana")),
        (&["ana"], &cleo, before, None),
        (&["ana"], &cleo, after, None),
        // Cleo is away, too: Ben stands in for her, and not for whom she stands in for.
        (&["finance"], &ben, during, instead("ben", "cleo")),
        (&["ana"], &ben, during, None),
        // Who may answer anyway answers for themselves.
        (&["ana", "finance"], &cleo, during, own("cleo")),
        // A claim stands in for nobody.
        (&["ana"], &claimed("web", "cleo"), during, None),
        (&["finance"], &proven("web", "ben@corp.example"), during, None),
        (&[], &cleo, during, None),
    ] {
        assert_eq!(standing(who, person, now), stands, "{who:?} {person:?} {now}");
    }
    // A delegate who is no member, or the member themselves, is nobody.
    for delegate in ["zoe", "ana", "operators"] {
        let mut other = directory.clone();
        other.members.get_mut("ana").unwrap().delegate = Some(delegate.into());
        assert_eq!(other.stands_in("ana", during), None, "{delegate}");
    }
}

#[test]
fn a_question_is_given_to_who_may_answer_it_or_to_the_delegate() {
    let directory = december();
    let operators = names(&["operators"]);
    for (from, to, may) in [
        ("ana", "ben", true),
        ("ana", "cleo", true),
        ("ana", "ana", false),
        ("ana", "zoe", false),
        ("ana", "operators", false),
        ("ben", "ana", true),
        ("ben", "cleo", false),
        ("zoe", "cleo", false),
    ] {
        assert_eq!(directory.may_delegate(&operators, from, to), may, "{from} to {to}");
    }
}

#[test]
fn the_same_human_is_known_by_what_is_proven_alone() {
    let directory = directory();
    let (web, mail) = (proven("web", "ana"), proven("mail", "ana@corp.example"));
    for (a, b, same) in [
        (&web, &mail, true),
        (&web, &web, true),
        (&web, &proven("web", "cleo"), false),
        (&web, &claimed("mail", "ana@corp.example"), false),
        (&claimed("web", "ana"), &claimed("web", "ana"), false),
        // Two who are no members are who they are, and no one else: not the same as another nobody.
        (&proven("web", "ulla"), &proven("web", "ulla"), true),
        (&proven("web", "ulla"), &proven("mail", "ulla"), false),
        (&proven("web", "ulla"), &proven("web", "uwe"), false),
    ] {
        assert_eq!(directory.same_human(a, b), same, "{a:?} {b:?}");
        assert_eq!(directory.same_human(b, a), same, "{b:?} {a:?}");
    }
}

#[test]
fn who_wants_to_be_left_alone_is_so_by_their_own_clock() {
    let mut directory = Directory::default();
    let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
    let member = Member {
        quiet: Some("22:00-07:00".parse().unwrap()),
        time_zone: zone,
        ..Member::new([(ChannelName::new("web"), "ana".to_owned())])
    };
    directory.members.insert("ana".into(), member);
    assert_eq!(directory.quiet_until("ana", utc("2026-07-01T19:59")), None);
    assert_eq!(directory.quiet_until("ana", utc("2026-07-01T20:00")), Some(utc("2026-07-02T05:00")));
    assert_eq!(
        directory.quiet_until("ana", utc("2026-12-01T20:00")),
        None,
        "in winter that is nine in the evening"
    );
    assert_eq!(directory.quiet_until("zoe", utc("2026-07-01T20:00")), None);
}
