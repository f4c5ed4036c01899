//! Which agent takes a message.

use agent::{Route, Taken, Unverified, route};
use channel::{Addressed, Inbound, Person};

use crate::support::{claimed, inbound, place, press, proven, text, user};

fn by(agent: &str, why: &str) -> Taken {
    Taken::By { agent: agent.into(), why: why.into() }
}

fn to(agent: &str) -> Route {
    Route { agent: agent.into(), ..Route::default() }
}

fn mail(from: Person, words: &str, facts: &[(&str, &str)]) -> Inbound {
    let mut message = inbound(from, place("mail", "box"), text(words));
    message.facts = facts.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    message
}

fn ulla() -> Person {
    proven("mail", "ulla@example.com")
}

#[test]
fn each_key_must_fit() {
    let facts = [("address", "support@corp.example"), ("plus", "Billing"), ("address", "sales@corp.example")];
    let message = mail(ulla(), "Deploy v1.4 now", &facts);
    let some = |text: &str| Some(text.to_owned());
    for (rule, fits) in [
        (to("a"), true),
        (Route { channel: some("mail"), ..to("a") }, true),
        (Route { channel: some("web"), ..to("a") }, false),
        (Route { channel: some("Mail"), ..to("a") }, false),
        (Route { place: some("box"), ..to("a") }, true),
        (Route { place: some("other"), ..to("a") }, false),
        // Any of the addresses it was written to; letter case does not count.
        (Route { address: some("SALES@corp.example"), ..to("a") }, true),
        (Route { address: some("support@corp.example"), ..to("a") }, true),
        (Route { address: some("corp.example"), ..to("a") }, false),
        (Route { plus: some("billing"), ..to("a") }, true),
        (Route { plus: some("bill"), ..to("a") }, false),
        (Route { command: some("deploy"), ..to("a") }, false),
        (Route { channel: some("mail"), plus: some("billing"), ..to("a") }, true),
        (Route { channel: some("mail"), plus: some("other"), ..to("a") }, false),
        (Route { starts_with: vec!["deploy".into()], ..to("a") }, true),
        (Route { starts_with: vec!["roll back".into(), "deploy".into()], ..to("a") }, true),
        (Route { starts_with: vec!["roll back".into()], ..to("a") }, false),
    ] {
        let taken = route(std::slice::from_ref(&rule), None, &message);
        let expected = if fits { by("a", "routes[0]") } else { Taken::Nobody };
        assert_eq!(taken, expected, "{rule:?}");
    }
}

#[test]
fn leading_words_are_whole_words() {
    for (said, words, fits) in [
        ("deploy v1", "deploy", true),
        ("  DEPLOY\nv1", "deploy", true),
        ("Deploy: v1", "deploy", true),
        ("deploy!", "deploy", true),
        ("deployment please", "deploy", false),
        ("please deploy", "deploy", false),
        ("roll  back", "Roll back", true),
        ("roll forward", "roll back", false),
        ("roll", "roll back", false),
        ("", "deploy", false),
        ("deploy", "", false),
        ("deploy", "  ", false),
        ("ÜBERSICHT bitte", "übersicht", true),
    ] {
        let rule = Route { starts_with: vec![words.into()], ..to("a") };
        let taken = route(&[rule], None, &mail(ulla(), said, &[]));
        assert_eq!(taken != Taken::Nobody, fits, "{said:?} for {words:?}");
    }
    // A press has no words.
    let rule = Route { starts_with: vec!["approve".into()], ..to("a") };
    assert_eq!(
        route(&[rule], None, &inbound(user(), place("web", "x"), press("approve", None))),
        Taken::Nobody
    );
}

#[test]
fn the_first_rule_that_fits_decides_and_then_the_default() {
    let rules = [
        Route { starts_with: vec!["refund".into()], ..to("support") },
        Route { channel: Some("mail".into()), ..to("clerk") },
        to("catch-all"),
        Route { starts_with: vec!["late".into()], ..to("never") },
    ];
    for (words, agent, why) in [
        ("refund me", "support", "routes[0]"),
        ("hello", "clerk", "routes[1]"),
        ("late", "clerk", "routes[1]"),
    ] {
        assert_eq!(route(&rules, Some("default"), &mail(ulla(), words, &[])), by(agent, why));
    }
    let web = inbound(user(), place("web", "x"), text("late"));
    assert_eq!(route(&rules, Some("default"), &web), by("catch-all", "routes[2]"));
    assert_eq!(route(&rules[..1], Some("default"), &web), by("default", "default_agent"));
    assert_eq!(route(&rules[..1], None, &web), Taken::Nobody);
    assert_eq!(route(&[], None, &web), Taken::Nobody);
}

#[test]
fn who_wrote_without_proof_is_refused_unless_the_rule_says_so() {
    let strict = to("a");
    let lax = Route { unverified: Unverified::Allow, ..to("a") };
    let eve = claimed("mail", "ulla@example.com");
    for (rule, from, taken) in [
        (&strict, ulla(), by("a", "routes[0]")),
        (&lax, ulla(), by("a", "routes[0]")),
        (&lax, eve.clone(), by("a", "routes[0]")),
        (&strict, eve.clone(), Taken::Unverified { why: "routes[0]".into() }),
    ] {
        assert_eq!(route(std::slice::from_ref(rule), None, &mail(from, "x", &[])), taken);
    }
    // A strict rule is not passed over for a lax one below it, and the default is strict.
    let both = [strict, lax];
    assert_eq!(
        route(&both, None, &mail(eve.clone(), "x", &[])),
        Taken::Unverified { why: "routes[0]".into() }
    );
    assert_eq!(
        route(&[], Some("d"), &mail(eve, "x", &[])),
        Taken::Unverified { why: "default_agent".into() }
    );
}

#[test]
fn what_is_only_overheard_is_nobodys() {
    let mut message = mail(ulla(), "deploy", &[]);
    message.addressed = Addressed::Overheard;
    assert_eq!(route(&[to("a")], Some("d"), &message), Taken::Nobody);
    message.addressed = Addressed::Mention;
    assert_eq!(route(&[to("a")], Some("d"), &message), by("a", "routes[0]"));
}

#[test]
fn a_rule_takes_no_unknown_key() {
    let rule: Result<Route, _> = serde_json::from_str(r#"{ "agent": "a", "chanel": "mail" }"#);
    assert!(rule.unwrap_err().to_string().contains("chanel"));
    let rule: Route = serde_json::from_str(r#"{ "agent": "a" }"#).unwrap();
    assert_eq!((rule.unverified, rule), (Unverified::Refuse, to("a")));
}
