//! The channel against a real Dovecot and a real Exim.

#[cfg(test)]
mod real {
    pub(crate) mod world;
}

use std::time::Duration;

use channel::{Addressed, Body, Channel, Verified};
use real::world::{World, mail};

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
    assert_eq!(world.inbox.accepted(), 2);
    assert_eq!(world.inbox.already(), 1, "the first mail was not looked at again");
    listening.stop().await;
}
