//! Shows the page with a pretended gateway behind it, for work on the page itself:
//! `cargo run -p channel-web --example preview`, then open http://127.0.0.1:7421/.
//!
//! With an address and `tokens` behind it, the page asks for the token in `tests/double/mod.rs`.
//! Say `card`, `question`, `desk`, `work`, `away` or anything else.

#![expect(clippy::unwrap_used, reason = "a tool for developers; it stops where it does not work")]

#[path = "../tests/double/mod.rs"]
#[expect(dead_code, unreachable_pub, reason = "shared with the tests, which use the rest")]
mod double;

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use channel::{
    Body, CardState, Channel, Choice, Comment, Content, DeliveryKey, Field, Inbound, Input, Outgoing, Signal,
    Style, Timestamp,
};
use double::{Memory, World, address, card, outgoing, text};

#[tokio::main]
async fn main() {
    let listen = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:7421".to_owned());
    let mut settings = serde_json::json!({ "listen": listen });
    if std::env::args().nth(2).is_some() {
        settings["people"] = serde_json::json!({ "ana": { "token_env": "ANA", "name": "Ana" } });
    }
    let world = World::start(settings, Arc::new(Memory::default())).await;
    let mut done = 0;
    loop {
        let next = world.memory.heard.lock().unwrap().get(done).cloned();
        match next {
            Some(inbound) => {
                done += 1;
                react(&world, &inbound, done).await;
            }
            None => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

async fn react(world: &World, inbound: &Inbound, number: usize) {
    let (place, key) = (&inbound.at.place, format!("t{number}"));
    let soon = || CardState::Open { deadline: Timestamp::now() + Duration::from_secs(3600) };
    world.web.signal(&address(place), None, Signal::Working).await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    match &inbound.body {
        Body::Press { choice, comment, values } => {
            let ticket = inbound.ticket.clone().unwrap();
            let how = format!(
                "{choice} by local{}{}",
                comment.as_ref().map(|c| format!(": {c}")).unwrap_or_default(),
                values.iter().map(|(id, value)| format!(", {id}: {value}")).collect::<String>()
            );
            let amends = Some(DeliveryKey::new(ticket.as_str()));
            let closed = card(ticket.as_str(), CardState::Closed { how });
            world.say(Outgoing { amends, ..outgoing(&key, place, closed) }).await;
            world.say(outgoing(&format!("{key}b"), place, text("**v1.4** runs in production now."))).await;
        }
        Body::Text { text: words, .. } => match words.as_str() {
            "card" | "deploy v1.4 to production" => {
                let Content::Card(mut asked) = card(&key, soon()) else { return };
                let line = |field: &Field| Input::line(&field.label, &field.label, &field.value);
                asked.choices.insert(
                    1,
                    Choice {
                        id: "edit".into(),
                        label: "Approve with changes…".into(),
                        style: Style::Plain,
                        comment: Comment::None,
                        form: asked.fields.iter().map(line).collect(),
                        reply: None,
                    },
                );
                world.say(outgoing(&key, place, Content::Card(asked))).await;
            }
            "desk" => {
                let desk = world.web.place(&inbound.from.id).unwrap();
                world.say(outgoing(&key, &desk, card(&key, soon()))).await;
            }
            "question" => {
                let Content::Card(mut asked) = card(&key, soon()) else { return };
                asked.title = "Which address?".to_owned();
                asked.text = "Two customers are called Meier. Whose order is it?".to_owned();
                asked.fields.clear();
                let other = |id: &str, label: &str| Choice {
                    id: id.into(),
                    label: label.into(),
                    style: Style::Plain,
                    comment: Comment::None,
                    form: vec![],
                    reply: None,
                };
                asked.choices = vec![other("a", "Meier, Bern"), other("b", "Meier, Basel")];
                asked.free_text = true;
                world.say(outgoing(&key, place, Content::Card(asked))).await;
            }
            "work" => return,
            "away" => {
                world.memory.away.store(true, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_secs(8)).await;
                world.memory.away.store(false, Ordering::SeqCst);
            }
            _ => {
                let answer = "Order **1001** left the warehouse on Tuesday.\n\n| step | when |\n|---|---|\n| packed | Mon 16:20 |\n\
                              | handed over | Tue 08:05 |\n\nThe carrier says *tomorrow before noon*; the number is `CH-4471-09`. \
                              See [the carrier's page](https://example.com/track).";
                world.say(outgoing(&key, place, text(answer))).await;
            }
        },
        Body::Edited { .. } | Body::Deleted | Body::Undelivered { .. } => {}
    }
    world.web.signal(&address(place), None, Signal::Done).await;
}
