//! A question with a form, on each channel: asked in lines that fit, filled in, explained where it does not fit, and seen
//! by the agent as JSON.

use std::path::PathBuf;

use agent::{Decision, Event, Why};
use serde_json::json;
use tempfile::TempDir;

use crate::world::{
    ANA, Driver, LOCAL, Mailroom, SCRIPTED, Screen, Workspace, World, copied_agents, discord, discord::Guild,
    letter, replace,
};

const FORM: &str = r#"
[forms.delivery]
title = "Delivery"
[forms.delivery.fields]
type = "object"
required = ["street", "floor", "when"]
[forms.delivery.fields.properties]
street = { type = "string", title = "Street and number", description = "as on the door" }
floor = { type = "integer", minimum = 0, maximum = 99 }
when = { type = "string", format = "date" }
express = { type = "boolean", default = false }
slot = { type = "string", enum = ["morning", "noon, sharp"] }
extras = { type = "array", items = { enum = ["gift wrap", "card"] } }
notes = { type = "string", maxLength = 500 }
"#;

/// It computes with the number and lists the choices: what it sees is JSON.
const RULES: &str = r#"
[[rules]]
on = "heard"
matches = '(?i)send it'
intent = '{"intent": "ask", "text": "Where shall it go?", "form": "delivery"}'

[[rules]]
on = "answered"
when = 'last.answer.street is defined'
intent = '''{"intent": "finish", "text": {{ ("To " ~ last.answer.street ~ ", floor " ~ (last.answer.floor + 1) ~ " counted from one, on "
  ~ last.answer.when ~ (" by express" if last.answer.express else "") ~ ", " ~ last.answer.slot ~ ", with "
  ~ last.answer.extras|join(" and ") ~ ".")|tojson }} }'''

# --- what people write"#;

const DONE: &str =
    "To Main St 1, floor 4 counted from one, on 2026-12-24 by express, noon, sharp, with gift wrap and card.";

fn agents() -> (TempDir, PathBuf) {
    let (folder, agents) = copied_agents();
    let toml = agents.join("support/agent.toml");
    let text = std::fs::read_to_string(&toml).unwrap();
    std::fs::write(&toml, format!("{text}\n{FORM}")).unwrap();
    replace(&agents.join("support/script.toml"), "# --- what people write", RULES);
    (folder, agents)
}

/// One answer counted, this one; so many did not.
async fn settled(world: &World, refused: usize, notes: Option<&str>) {
    let unfit = |event: &Event| matches!(event, Event::Refused(refusal) if refusal.why == Why::Unfit);
    assert_eq!(world.count(unfit).await, refused);
    let mut wanted = json!({
        "street": "Main St 1", "floor": 3, "when": "2026-12-24", "express": true, "slot": "noon, sharp",
        "extras": ["gift wrap", "card"],
    });
    if let Some(notes) = notes {
        wanted["notes"] = notes.into();
    }
    let same = |event: &Event| matches!(event, Event::Answered(answer) if answer.decision == Decision::Form(wanted.clone()));
    assert_eq!(world.count(same).await, 1, "{:#?}", world.threads().await);
    assert_eq!(world.count(|event| matches!(event, Event::Answered(_))).await, 1);
}

async fn nothing_is_settled(world: &World) {
    assert_eq!(world.count(|event| matches!(event, Event::Answered(_))).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_is_filled_in_on_the_page() {
    let (_folder, agents) = agents();
    let mut world = World::with_agents(&agents, &format!("{LOCAL}{SCRIPTED}"));
    world.start().await;
    let mut driver = Driver::start().await;
    let window = driver.window(Screen::Desk).await;
    window.visit(world.port, "/").await;
    window.say("send it").await;
    window.shows("Where shall it go?").await;
    window.click("choice-fill").await;
    window.until("the form", "by('input-when')?.type === 'date'").await;
    assert_eq!(window.eval("by('input-express-no').checked").await, true);
    window.write("input-street", "Main St 1").await;
    window.write("input-floor", "many").await;
    window.eval("(by('input-when').value = '2026-12-24', 0)").await;
    for choice in ["express-yes", "slot-noon, sharp", "extras-gift wrap", "extras-card"] {
        window.click(&format!("input-{choice}")).await;
    }
    window.write("input-notes", "Ring twice.\n").await;
    window.click("send-fill").await;
    window.shows("floor is many, and should be a number").await;
    nothing_is_settled(&world).await;
    window.eval("(by('input-floor').value = '', 0)").await;
    window.until("the form is there again", "!by('input-floor').disabled").await;
    window.write("input-floor", "3").await;
    window.click("send-fill").await;
    window.shows(DONE).await;
    settled(&world, 1, Some("Ring twice.")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_form_is_filled_in_on_slack() {
    let slack = Workspace::open().await;
    let (_folder, agents) = agents();
    let mut world = slack.gateway(World::with_agents(&agents, &format!("{}{SCRIPTED}", slack.config(""))));
    world.start().await;
    slack.connected(&world).await;
    let thread = slack.mentions(ANA, "send it").await;
    let card = slack.says(&world, &thread, "support asks: Delivery").await;
    let filled = |floor| {
        [
            ("value:street", "Main St 1"),
            ("value:floor", floor),
            ("value:when", "2026-12-24"),
            ("value:express", "yes"),
            ("value:slot", "noon, sharp"),
            ("value:extras", "gift wrap\ncard"),
            ("value:notes", "Ring\ntwice."),
        ]
    };
    slack.fills(ANA, &card, "form:fill", &filled("-3")).await;
    slack.told(ANA, "-3 is less than the minimum of 0").await;
    nothing_is_settled(&world).await;
    slack.fills(ANA, &card, "form:fill", &filled("3")).await;
    slack.says(&world, &thread, DONE).await;
    settled(&world, 1, Some("Ring\ntwice.")).await;
    let card = slack.said(&thread).await.remove(0);
    assert!(card.words().contains("answered: street: Main St 1") && card.elements().is_empty(), "{card:#?}");
}

/// The form has more lines than Discord has parts: the last part takes the rest.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_form_is_filled_in_on_discord() {
    let guild = Guild::open().await;
    let (_folder, agents) = agents();
    let mut world = guild.gateway(World::with_agents(&agents, &format!("{}{SCRIPTED}", guild.config(""))));
    world.start().await;
    guild.connected(&world).await;
    let thread = guild.mentions(discord::ANA, "send it").await;
    let card = guild.says(&world, &thread, "support asks: Delivery").await;
    let filled = |rest| {
        [("value:street", "Main St 1"), ("value:floor", "3"), ("value:when", "2026-12-24"), ("rest", rest)]
    };
    let wrong = filled("express: yes\nslot: night\nextras: gift wrap, card");
    guild.fills(discord::ANA, &card, "form:fill", &wrong).await;
    guild.told(discord::ANA, &thread, "and should be one of: morning, noon, sharp").await;
    nothing_is_settled(&world).await;
    let right = filled("express: yes\nslot: 2\nextras: 1, card\nnotes: Ring\ntwice.");
    guild.fills(discord::ANA, &card, "form:fill", &right).await;
    guild.says(&world, &thread, DONE).await;
    settled(&world, 1, Some("Ring\ntwice.")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_is_filled_in_by_mail() {
    const CARA: &str = "Cara Customer <cara@mail.test>";
    let mail = Mailroom::open().await;
    let (_folder, agents) = agents();
    let mut world =
        World::with_agents(&agents, &format!("{}{SCRIPTED}", mail.config())).env("BOT_PASSWORD", "botpw");
    world.start().await;
    let asks = letter(CARA, "bot@mail.test", "My lamp", "<s1@cara.test>", "", "Please send it.");
    mail.write("cara", "bot@mail.test", &asks).await;
    let card = mail.wait("cara", "Where shall it go?").await;
    for line in [
        "    street:\n",
        "    express: no\n",
        "street: Street and number; as on the door; needed",
        "2  noon, sharp",
    ] {
        assert!(card.text().contains(line), "no {line:?} in {}", card.text());
    }
    let to = card.reply_to();
    let answers = async |id: &str, words: &str| {
        let body = format!("{words}\n\nBest regards,\nCara\n\n{}", card.quoted());
        mail.write("cara", &to, &letter(CARA, &to, "Re: My lamp", id, &card.thread(), &body)).await;
    };
    answers("<s2@cara.test>", "street: Main St 1\nflor: 3\nwhen: 2026-12-24").await;
    mail.wait("cara", "there is no field `flor`; the fields are `street`, `floor`").await;
    nothing_is_settled(&world).await;
    answers(
        "<s3@cara.test>",
        "street: Main St 1\nfloor: 3\nwhen: 2026-12-24\nexpress: yes\nslot: 2\nextras: gift wrap, 2",
    )
    .await;
    let got = mail.wait("cara", "counted from one").await;
    assert!(got.text().split_whitespace().collect::<Vec<_>>().join(" ").contains(DONE), "{}", got.text());
    settled(&world, 1, None).await;
}

/// An approval is given with another amount by mail: the very lines of the card, one of them changed.
#[tokio::test(flavor = "multi_thread")]
async fn an_approval_is_given_with_changes_by_mail() {
    let mail = Mailroom::open().await;
    let mut world = World::new(&format!("{}{SCRIPTED}", mail.config())).env("BOT_PASSWORD", "botpw");
    world.start().await;
    let asks = "please refund 120 EUR for order 1002, the lamp is broken";
    let from = "Cara Customer <cara@mail.test>";
    mail.write(
        "cara",
        "bot@mail.test",
        &letter(from, "bot@mail.test", "My lamp", "<c1@cara.test>", "", asks),
    )
    .await;
    let card = mail.wait("ana", "Approve: refund").await;
    let copied: Vec<String> = card
        .text()
        .lines()
        .map(str::trim)
        .skip_while(|line| !line.contains("Approve with changes"))
        .skip_while(|line| *line != "approve")
        .take_while(|line| !line.is_empty())
        .map(|line| if line.starts_with("amount:") { "amount: 80".to_owned() } else { line.to_owned() })
        .collect();
    assert!(copied.len() > 2, "{}", card.text());
    let to = card.reply_to();
    let answers = async |id: &str, words: &str| {
        let body = format!("{words}\n\n{}", card.quoted());
        let from = "Ana <ana@mail.test>";
        mail.write("ana", &to, &letter(from, &to, "Re: Approve: refund", id, &card.thread(), &body)).await;
    };
    answers("<a1@ana.test>", "approve\nbut only 80").await;
    mail.wait("ana", "could not read this as a decision").await;
    answers("<a2@ana.test>", "approve\namount: lots").await;
    mail.wait("ana", "`amount` is `lots`").await;
    nothing_is_settled(&world).await;
    answers("<a3@ana.test>", &copied.join("\n")).await;
    mail.wait("cara", "I refunded 80.00").await;
    let edited = |event: &Event| matches!(event, Event::Answered(answer) if matches!(&answer.decision, Decision::ApproveEdited { args, .. } if args["amount"] == 80));
    assert_eq!(world.count(edited).await, 1);
}
