//! The channel against a real Dovecot and a real Exim.

#[cfg(test)]
mod real {
    pub(crate) mod smtp;
    pub(crate) mod world;
}

use std::time::Duration;

use channel::{Addressed, Attempt, Body, Channel, ErrorKind, File, HealthState, Inbound, Verified};
use real::{
    smtp::Script,
    world::{World, mail, open},
};
use simulator::wire::Wire;

/// Long enough for a loaded machine; nothing waits this long when it works.
const SOON: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_comes_in_once_and_the_answer_goes_back_into_its_thread() {
    let world = World::start().await;
    let listening = world.listen();
    world
        .deliver_as(
            "ana",
            "bot+billing@mail.test",
            &mail("ana", "Hello", "<m1@ana.test>", "", "Where is it?"),
        )
        .await;

    let inbound = world.inbox.next(SOON).await;
    assert_eq!(inbound.from.id, "ana@mail.test");
    assert_eq!(inbound.from.verified, Verified::Proven { by: "dmarc=pass (mail.test)".into() });
    assert_eq!(inbound.addressed, Addressed::Direct);
    assert_eq!(world.text(&inbound), "Where is it?");
    let facts = [("address", "bot@mail.test"), ("plus", "billing"), ("subject", "Hello")];
    assert_eq!(inbound.facts, facts.map(|(key, value)| (key.to_owned(), value.to_owned())));

    let outgoing = world.says(&inbound, "k1", "It is **here**.");
    let receipt = world.email.send(&outgoing, &world.attempt()).await.unwrap();
    let answer = world.mail_for("ana", "It is").await;
    assert_eq!(answer.header("In-Reply-To"), "<m1@ana.test>");
    assert_eq!(answer.header("References"), "<m1@ana.test>");
    assert_eq!(answer.header("Subject"), "Re: Hello");
    assert_eq!(answer.header("Auto-Submitted"), "auto-replied");

    // Ana answers: her program names our mail, and writes to the address that we gave.
    let references = format!("<m1@ana.test> {}", answer.header("Message-ID"));
    let more = format!("In-Reply-To: {}\r\nReferences: {references}\r\n", answer.header("Message-ID"));
    let body = "Thanks!\r\n\r\nOn Mon, 23 Nov 2026, Bot wrote:\r\n> It is here.";
    let to = answer.header("Reply-To");
    assert!(to.starts_with("bot+t."), "{to}");
    world.deliver_as("ana", &to, &mail("ana", "Re: Hello", "<m2@ana.test>", &more, body)).await;
    let reply = world.inbox.next(SOON).await;
    assert_eq!(reply.at, inbound.at);
    assert_eq!(world.text(&reply), "Thanks!");
    assert_eq!(reply.in_reply_to, receipt.message);

    // The same cursor again: nothing comes twice.
    listening.stop().await;
    let listening = world.listen();
    world.deliver_as("ana", "bot@mail.test", &mail("ana", "New", "<m3@ana.test>", "", "third")).await;
    assert_eq!(world.text(&world.inbox.next(SOON).await), "third");
    assert_eq!(world.inbox.accepted(), 3);
    assert_eq!(world.inbox.tries(), 3, "a mail was handed over twice");
    listening.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_senders_are_claimed_and_land_elsewhere() {
    let world = World::start().await;
    let listening = world.listen();
    let forged = "Authentication-Results: mail.test; dmarc=pass header.from=mail.test\r\n";
    world.deliver_as("ana", "bot@mail.test", &mail("ana", "x", "<m1@ana.test>", "", "true")).await;
    let own = world.inbox.next(SOON).await;
    assert!(own.from.verified.is_proven());

    world
        .deliver("eve@else.test", "bot@mail.test", &mail("ana", "x", "<m1@ana.test>", forged, "forged"))
        .await;
    let other = world.inbox.next(SOON).await;
    assert_eq!(world.text(&other), "forged");
    assert_eq!(other.from.id, "ana@mail.test");
    assert!(!other.from.verified.is_proven(), "{:?}", other.from);
    assert_ne!(other.at, own.at);

    // Ben may log in, but not as Ana.
    world.deliver_as("ben", "bot@mail.test", &mail("ana", "x", "<m2@ana.test>", forged, "by ben")).await;
    assert!(!world.inbox.next(SOON).await.from.verified.is_proven());
    listening.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_goes_out_and_its_ticket_comes_back() {
    let world = World::start().await;
    let listening = world.listen();
    let card = world.card("k9", "ana@mail.test", "abc.def-1");
    let receipt = world.email.send(&card, &world.attempt()).await.unwrap();
    let asked = world.mail_for("ana", "Approve: refund").await;
    assert_eq!(asked.header("Reply-To"), "bot+q.abc.def-1@mail.test");
    assert_eq!(asked.header("Auto-Submitted"), "auto-generated");

    let more = format!("In-Reply-To: {0}\r\nReferences: {0}\r\n", asked.header("Message-ID"));
    let body = "approve\r\n\r\n-----Original Message-----\r\nreject";
    let reply = mail("ana", "Re: Approve: refund", "<m1@ana.test>", &more, body);
    let reply = String::from_utf8(reply).unwrap().replace("bot@mail.test", &asked.header("Reply-To"));
    world.deliver_as("ana", &asked.header("Reply-To"), reply.as_bytes()).await;
    let inbound = world.inbox.next(SOON).await;
    assert_eq!(inbound.ticket.as_ref().map(|ticket| ticket.as_str()), Some("abc.def-1"));
    assert_eq!(world.text(&inbound), "approve");
    assert_eq!(inbound.at, card.to);
    assert_eq!(inbound.in_reply_to, receipt.message);
    listening.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_cannot_be_delivered_is_reported() {
    let world = World::start().await;
    let listening = world.listen();
    let card = world.card("k9", "nobody@mail.test", "abc");
    let receipt = world.email.send(&card, &world.attempt()).await.unwrap();
    let inbound = world.inbox.next(SOON).await;
    let Body::Undelivered { why } = &inbound.body else { panic!("{inbound:?}") };
    assert!(why.starts_with("nobody@mail.test: 5."), "{why}");
    assert_eq!(inbound.in_reply_to, receipt.message);
    assert_eq!(inbound.at, card.to);
    assert_eq!(inbound.ticket.as_ref().map(|ticket| ticket.as_str()), Some("abc"));
    assert!(!inbound.from.verified.is_proven());
    listening.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_line_is_connected_again() {
    let world = World::start().await;
    let listening = world.listen();
    world.deliver_as("ana", "bot@mail.test", &mail("ana", "1", "<m1@ana.test>", "", "one")).await;
    assert_eq!(world.text(&world.inbox.next(SOON).await), "one");
    world.imap.cut();
    world.deliver_as("ana", "bot@mail.test", &mail("ana", "2", "<m2@ana.test>", "", "two")).await;
    assert_eq!(world.text(&world.inbox.next(SOON).await), "two");
    assert_eq!(world.inbox.accepted(), 2);
    listening.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_waits_while_the_store_is_away_and_is_not_passed_over() {
    let world = World::start().await;
    world.inbox.refuse(2);
    let listening = world.listen();
    world.deliver_as("ana", "bot@mail.test", &mail("ana", "1", "<m1@ana.test>", "", "one")).await;
    assert_eq!(world.text(&world.inbox.next(SOON).await), "one");
    assert_eq!(world.inbox.tries(), 3);

    // Nor when the gateway stops meanwhile.
    world.inbox.refuse(usize::MAX);
    world.deliver_as("ana", "bot@mail.test", &mail("ana", "2", "<m2@ana.test>", "", "two")).await;
    world.down().await;
    listening.stop().await;
    world.inbox.refuse(0);
    let listening = world.listen();
    assert_eq!(world.text(&world.inbox.next(SOON).await), "two");
    listening.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn new_numbers_bring_no_mail_twice_and_lose_none() {
    let world = World::start().await;
    let listening = world.listen();
    world.deliver_as("ana", "bot@mail.test", &mail("ana", "1", "<m1@ana.test>", "", "one")).await;
    assert_eq!(world.text(&world.inbox.next(SOON).await), "one");
    listening.stop().await;
    world.servers.void_uids("bot").await.unwrap();
    world.deliver_as("ana", "bot@mail.test", &mail("ana", "2", "<m2@ana.test>", "", "two")).await;
    let listening = world.listen();
    assert_eq!(world.text(&world.inbox.next(SOON).await), "two");
    let started = std::time::Instant::now();
    while world.inbox.already() == 0 {
        assert!(started.elapsed() < SOON, "the first mail was not looked at again");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(world.inbox.accepted(), 2);
    listening.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_protection_works_and_an_unknown_certificate_does_not() {
    let world = World::start().await;
    let ports = world.servers.ports();
    let certificate = world.servers.certificate();
    for (imap_tls, imap, smtp_tls, smtp) in
        [("tls", ports.imaps, "tls", ports.smtps), ("starttls", ports.imap, "starttls", ports.smtp)]
    {
        let settings = serde_json::json!({
            "address": "bot@mail.test",
            "imap": { "host": "localhost", "port": imap, "tls": imap_tls, "password_env": "PW", "ca_file": certificate },
            "smtp": { "host": "localhost", "port": smtp, "tls": smtp_tls, "password_env": "PW", "ca_file": certificate },
            "verify": { "by": "results", "authserv": "mail.test" },
        });
        let world = world.with(settings);
        let listening = world.listen();
        world.deliver_as("ana", "bot@mail.test", &mail("ana", imap_tls, "", "", imap_tls)).await;
        let inbound = world.inbox.next(SOON).await;
        assert_eq!(world.text(&inbound), imap_tls);
        world
            .email
            .send(&world.says(&inbound, imap_tls, &format!("over {smtp_tls}")), &world.attempt())
            .await
            .unwrap();
        world.mail_for("ana", &format!("over {smtp_tls}")).await;
        listening.stop().await;
    }

    let strangers = serde_json::json!({
        "address": "bot@mail.test",
        "imap": { "host": "localhost", "port": ports.imaps, "password_env": "PW" },
        "smtp": { "host": "localhost", "port": ports.smtps, "password_env": "PW" },
        "verify": { "by": "none" },
    });
    let world = world.with(strangers);
    let listening = world.listen();
    let why = world.down().await;
    assert!(why.contains("imap.ca_file"), "{why}");
    listening.stop().await;
    let error =
        world.email.send(&world.card("k", "ana@mail.test", "abc"), &world.attempt()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Misconfigured, "{error}");
    assert!(error.to_string().contains("smtp.ca_file"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_said_with_its_remedy_and_without_itself() {
    let world = World::start_with(|settings| {
        settings["imap"]["password_env"] = "WRONG".into();
        settings["smtp"]["password_env"] = "WRONG".into();
    })
    .await;
    let listening = world.listen();
    let why = world.down().await;
    assert!(why.contains("refuses the login of bot") && why.contains("password in WRONG"), "{why}");
    assert!(!why.contains("wrong-password"), "{why}");
    listening.stop().await;
    let error =
        world.email.send(&world.card("k", "ana@mail.test", "abc"), &world.attempt()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Misconfigured, "{error}");
    let text = format!("{error} {error:?} {:?}", world.email);
    assert!(text.contains("password in WRONG") && !text.contains("wrong-password"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_idle_is_polled() {
    let servers = World::start().await;
    let wire = Wire::hiding(servers.servers.ports().imap, "IDLE").await.unwrap();
    let world = servers.with(servers.settings(|settings| {
        settings["imap"]["port"] = wire.port().into();
        settings["imap"]["poll"] = "1s".into();
    }));
    let listening = world.listen();
    for text in ["one", "two"] {
        world.deliver_as("ana", "bot@mail.test", &mail("ana", text, "", "", text)).await;
        assert_eq!(world.text(&world.inbox.next(SOON).await), text);
    }
    listening.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_start_begins_where_it_is_told() {
    for (begin, wanted) in [("unseen", vec!["before", "after"]), ("now", vec!["after"])] {
        let world = World::start_with(|settings| settings["imap"]["begin"] = begin.into()).await;
        world.deliver_as("ana", "bot@mail.test", &mail("ana", "1", "", "", "before")).await;
        world.servers.wait_for("bot", |_| true, SOON).await.unwrap();
        let listening = world.listen();
        world.up().await;
        if begin == "unseen" {
            assert_eq!(world.text(&world.inbox.next(SOON).await), wanted[0]);
        }
        world.deliver_as("ana", "bot@mail.test", &mail("ana", "2", "", "", "after")).await;
        assert_eq!(world.text(&world.inbox.next(SOON).await), "after");
        assert_eq!(world.inbox.accepted(), wanted.len(), "{begin}");
        listening.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn taken_mail_is_moved_where_one_is_told_to_and_robots_start_nothing() {
    let world = World::start_with(|settings| {
        settings["imap"]["processed"] = "Processed".into();
        settings["limits"] = serde_json::json!({ "message_bytes": 20_000 });
    })
    .await;
    let listening = world.listen();
    world
        .deliver_as("ana", "bot@mail.test", &mail("ana", "1", "", "Auto-Submitted: auto-replied\r\n", "away"))
        .await;
    world
        .deliver_as("ana", "bot@mail.test", &mail("ana", "2", "", "From: eve@else.test\r\n", "two of them"))
        .await;
    world.deliver_as("ana", "bot@mail.test", &mail("ana", "3", "", "", &"long\r\n".repeat(10_000))).await;
    let inbound = world.inbox.next(SOON).await;
    let Body::Text { text, files, .. } = &inbound.body else { panic!("{inbound:?}") };
    assert_eq!(text, "");
    assert!(files[0].size > 60_000 && files[0].bytes.is_err(), "{files:?}");
    world.deliver_as("ana", "bot@mail.test", &mail("ana", "4", "", "", "words")).await;
    assert_eq!(world.text(&world.inbox.next(SOON).await), "words");
    listening.stop().await;
    assert_eq!(world.inbox.accepted(), 2);
    // What was refused stays for the operator to look at.
    let left = world.servers.mailbox("bot").unwrap();
    assert_eq!(left.len(), 1);
    assert!(String::from_utf8_lossy(&left[0]).contains("Subject: 2\n"));
    assert_eq!(world.servers.folder("bot", "Processed").unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_come_in_and_go_out_unchanged() {
    let world = World::start().await;
    let listening = world.listen();
    let bytes: Vec<u8> = (0..=255).cycle().take(3_000).collect();
    let mut outgoing = world.card("k1", "bot2@mail.test", "abc");
    outgoing.to.place = world.email.place("ana@mail.test").unwrap();
    outgoing.files = vec![File {
        name: "größe.bin".into(),
        kind: "application/x-test".into(),
        size: 3_000,
        hash: String::new(),
    }];
    let attempt = Attempt { files: vec![bytes.clone()], ..world.attempt() };
    world.email.send(&outgoing, &attempt).await.unwrap();
    let sent = world.mail_for("ana", "Approve: refund").await;
    // Ana sends it back as it is, but for what makes it ours.
    let back = sent
        .0
        .replace("From: ", "X-From: ")
        .replace("To: ana", "X-To: ana")
        .replace("Message-ID: ", "X-ID: ");
    let back = back.replace("Auto-Submitted: ", "X-A: ").replace("X-Auto-Response-Suppress: ", "X-B: ");
    let back = format!("From: ana@mail.test\nTo: bot@mail.test\n{back}");
    world.deliver_as("ana", "bot@mail.test", back.as_bytes()).await;
    let inbound = world.inbox.next(SOON).await;
    let Body::Text { files, .. } = &inbound.body else { panic!("{inbound:?}") };
    let [file] = files.as_slice() else { panic!("{files:?}") };
    assert_eq!((file.name.as_str(), file.kind.as_str()), ("größe.bin", "application/x-test"));
    assert_eq!(file.bytes.as_ref().ok(), Some(&bytes));
    listening.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_to_the_smtp_server_is_used_again_and_replaced_when_it_is_dead() {
    let world = World::start().await;
    assert!(world.email.capabilities().one_reader, "so a gateway sends that never listened, as this one");
    for key in ["k1", "k2"] {
        world.email.send(&world.card(key, "ana@mail.test", key), &world.attempt()).await.unwrap();
    }
    assert_eq!(world.smtp.made(), 1);
    world.smtp.cut();
    world.email.send(&world.card("k3", "ana@mail.test", "k3"), &world.attempt()).await.unwrap();
    assert_eq!(world.smtp.made(), 2);
    world.mail_for("ana", "bot+q.k3@").await;
    world.smtp.down();
    let error =
        world.email.send(&world.card("k4", "ana@mail.test", "k4"), &world.attempt()).await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Retry { .. }), "{error}");
    assert_eq!(world.servers.mailbox("ana").unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_smtp_error_means_hangs_on_where_it_happens() {
    let retry = ErrorKind::Retry { after: None };
    for (script, wanted) in [
        (Script::answers(&["421 busy"]), retry),
        (Script::answers(&["220 hi", "250 ok", "451 later"]), retry),
        (Script::answers(&["220 hi", "250 ok", "250 ok", "450 greylisted"]), retry),
        (Script::answers(&["220 hi", "250 ok", "250 ok", "550 no such user"]), ErrorKind::Refused),
        (Script::answers(&["220 hi", "250 ok", "530 log in first"]), ErrorKind::Misconfigured),
        (Script::answers(&["220 hi", "250 ok", "250 ok"]), retry),
        (Script::answers(&["220 hi", "250 ok", "250 ok", "250 ok", "554 no"]), ErrorKind::Refused),
        (Script::answers(&["220 hi", "250 ok", "250 ok", "250 ok", "354 go", "451 disk full"]), retry),
        (
            Script::answers(&["220 hi", "250 ok", "250 ok", "250 ok", "354 go", "552 too large"]),
            ErrorKind::Refused,
        ),
        // The message was handed over, and the line went dead.
        (Script::answers(&["220 hi", "250 ok", "250 ok", "250 ok", "354 go"]), ErrorKind::Ambiguous),
    ] {
        let port = script.serve().await;
        let email = open(serde_json::json!({
            "address": "bot@mail.test",
            "imap": { "host": "imap.test", "password_env": "PW" },
            "smtp": { "host": "127.0.0.1", "port": port, "tls": "plain" },
            "verify": { "by": "none" },
        }))
        .unwrap();
        let card = real::world::card(&email, "k", "ana@mail.test", "abc");
        let attempt = Attempt { number: 1, amends: None, files: Vec::new() };
        let error = email.send(&card, &attempt).await.unwrap_err();
        assert_eq!(error.kind, wanted, "{error}");
    }
    let port =
        Script::answers(&["220 hi", "250 ok", "250 ok", "250 ok", "354 go", "250 taken"]).serve().await;
    let email = open(serde_json::json!({
        "address": "bot@mail.test",
        "imap": { "host": "imap.test", "password_env": "PW" },
        "smtp": { "host": "127.0.0.1", "port": port, "tls": "starttls", "password_env": "PW" },
        "verify": { "by": "none" },
    }))
    .unwrap();
    let card = real::world::card(&email, "k", "ana@mail.test", "abc");
    let error = email.send(&card, &Attempt { number: 1, amends: None, files: Vec::new() }).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Misconfigured, "a password went over an open line: {error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_robots_do_not_answer_each_other_for_long() {
    let world =
        World::start_with(|settings| settings["limits"] = serde_json::json!({ "sent_per_hour": 2 })).await;
    let inbound = Inbound {
        keys: Vec::new(),
        from: world.person("ana"),
        at: world.card("k", "ana@mail.test", "abc").to,
        sent: "2026-11-23T10:00:00Z".parse().unwrap(),
        message: None,
        in_reply_to: None,
        ticket: None,
        addressed: Addressed::Direct,
        facts: Vec::new(),
        body: Body::Text { text: String::new(), original: None, files: Vec::new() },
    };
    for key in ["k1", "k2"] {
        world.email.send(&world.says(&inbound, key, "hi"), &world.attempt()).await.unwrap();
    }
    let error = world.email.send(&world.says(&inbound, "k3", "hi"), &world.attempt()).await.unwrap_err();
    let ErrorKind::Retry { after: Some(after) } = error.kind else { panic!("{error}") };
    assert!(after > Duration::from_secs(3_500), "{after:?}");
    // What is asked is asked.
    world.email.send(&world.card("k4", "ana@mail.test", "k4"), &world.attempt()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn health_says_what_is_wrong_and_when_it_is_mended() {
    let world = World::start().await;
    let listening = world.listen();
    world.up().await;
    world.imap.down();
    let why = world.down().await;
    assert!(!why.is_empty());
    world.imap.mend();
    world.up().await;
    listening.stop().await;
    assert_eq!(world.health.state(), HealthState::Up);
}
