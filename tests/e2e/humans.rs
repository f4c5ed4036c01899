//! People who decide, on several channels at once: a ladder from one channel to the next, what is asked back, several open
//! questions in one place, a conversation that a human takes over.

use std::time::{Duration, Instant};

use agent::{Because, Event, Why};
use serde_json::json;
use simulator::{discord, slack::Message};

use crate::world::{
    ANA, CY, Letter, Mailroom, SCRIPTED, SOON, TEAM, Workspace, World, copied_agents,
    discord::{ANA as DAN, Guild},
    letter, replace,
};

const CARA: &str = "Cara Customer <cara@mail.test>";
const REFUND: &str = "Please refund 120 EUR for order 1002, the lamp is broken.";
/// The rule of the support agent that asks.
const ASKS: &str = r#"then = "ask", approvers = ["finance"], desk = "finance" }"#;

/// Ana is asked on Slack; Dan, whom she escalates to, on Discord; customers write mails.
struct House {
    slack: Workspace,
    guild: Guild,
    mail: Mailroom,
    world: World,
    _agents: tempfile::TempDir,
}

impl House {
    /// Opens, with more terms of a refund above the limit.
    async fn open(terms: &str) -> Self {
        let (slack, guild, mail) = tokio::join!(Workspace::open(), Guild::open(), Mailroom::open());
        let (folder, agents) = copied_agents();
        let asks = ASKS.trim_end_matches(" }");
        replace(&agents.join("support/agent.toml"), ASKS, &format!("{asks}{terms} }}"));
        let channels = [slack.channel(""), guild.channel(""), mail.channel()].concat();
        let config = format!(
            r#"{channels}
[members.ana]
slack = "{TEAM}/{ANA}"
[members.dan]
discord = "{DAN}"
[groups]
operators = ["ana"]
finance = ["ana"]
managers = ["dan"]
[desks.operators]
members = ["operators"]
via = "slack"
[desks.finance]
members = ["finance"]
via = "slack"
[desks.managers]
members = ["managers"]
via = "discord"
[[routes]]
agent = "support"
{SCRIPTED}"#
        );
        let world = World::with_agents(&agents, &config).env("BOT_PASSWORD", "botpw");
        let mut world = guild.gateway(slack.gateway(world));
        world.start().await;
        slack.connected(&world).await;
        guild.connected(&world).await;
        Self { slack, guild, mail, world, _agents: folder }
    }

    /// Cara writes a mail.
    async fn cara_writes(&self, id: &str, words: &str) {
        let text = letter(CARA, "bot@mail.test", "My lamp", id, "", words);
        self.mail.write("cara", "bot@mail.test", &text).await;
    }

    /// Cara answers a mail.
    async fn cara_answers(&self, got: &Letter, id: &str, words: &str) {
        let to = got.reply_to();
        let text = letter(CARA, &to, "Re: My lamp", id, &got.thread(), words);
        self.mail.write("cara", &to, &text).await;
    }

    /// The channel of Ana's direct messages, once there is one.
    async fn direct(&self) -> Option<String> {
        let channels = self.slack.control.channels().await.unwrap();
        let of_ana = |channel: &&simulator::slack::Channel| {
            channel.kind == "im" && channel.members.iter().any(|member| member == ANA)
        };
        channels.iter().find(of_ana).map(|channel| channel.id.clone())
    }

    /// Waits for a message like this in Ana's direct messages, in whichever thread.
    async fn ana_sees(&self, what: &str, like: impl Fn(&Message) -> bool) -> Message {
        let began = Instant::now();
        loop {
            let mut seen = Vec::new();
            if let Some(direct) = self.direct().await {
                seen = self.slack.control.messages(&direct, None).await.unwrap();
                for root in seen.clone() {
                    seen.extend(self.slack.control.messages(&direct, Some(&root.ts)).await.unwrap());
                }
            }
            if let Some(message) = seen.iter().find(|message| like(message)) {
                return message.clone();
            }
            let words: Vec<String> = seen.iter().map(Message::words).collect();
            assert!(began.elapsed() < SOON, "Ana never sees {what}, only {words:#?}\n{}", self.world.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn ana_is_asked(&self) -> Message {
        self.ana_sees("a card", |message| {
            message.words().contains("Approve: refund") && !message.elements().is_empty()
        })
        .await
    }

    /// Ana writes below a message in her direct messages.
    async fn ana_replies(&self, to: &Message, words: &str) {
        let root = to.thread_ts.clone().unwrap_or_else(|| to.ts.clone());
        self.slack.control.dm_reply(ANA, &root, words).await.unwrap();
    }

    async fn until(&self, what: &str, like: impl Fn(&Event) -> bool) {
        let has = |threads: &[agent::Thread]| {
            threads.iter().flat_map(agent::Thread::records).any(|record| like(&record.event))
        };
        self.world.until(what, has).await;
    }

    /// The amounts that were refunded.
    async fn refunded(&self) -> Vec<f64> {
        let threads = self.world.threads().await;
        let records = threads.iter().flat_map(agent::Thread::records);
        let amount = |event: &Event| match event {
            Event::Started(started) if started.tool == "refund" => started.args["amount"].as_f64(),
            _ => None,
        };
        records.filter_map(|record| amount(&record.event)).collect()
    }
}

/// A mail starts a refund, finance is asked on Slack, nobody answers; a manager is asked on Discord, and approves less. The mail
/// gets the answer, and the card on Slack says what happened.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_is_approved_on_discord_when_nobody_answers_on_slack() {
    let house = House::open(
        r#", remind = ["1s"], escalate = [{ after = "3s", desk = "managers", approvers = ["managers"] }]"#,
    )
    .await;
    house.cara_writes("<r1@cara.test>", REFUND).await;
    house.ana_is_asked().await;
    house
        .until(
            "a reminder",
            |event| matches!(event, Event::AskedAgain(again) if again.because == Because::Reminder(0)),
        )
        .await;
    house
        .until(
            "a rung",
            |event| matches!(event, Event::AskedAgain(again) if again.because == Because::Rung(0)),
        )
        .await;

    let opened = house.guild.control.ask("open_dm", json!({ "user": DAN })).await.unwrap();
    let direct = opened["channel"].as_str().unwrap().to_owned();
    let asked = |message: &discord::Message| message.words().contains("Approve: refund");
    let card = house.guild.control.wait_for(&direct, SOON, asked).await.unwrap();
    assert!(card.words().contains("Nobody has answered this yet."), "{}", card.words());
    house.guild.fills(DAN, &card, "form:edit", &[("value:amount", "110")]).await;

    let got = house.mail.wait("cara", "I refunded 110.00").await;
    assert_eq!(got.header("In-Reply-To"), "<r1@cara.test>");
    assert_eq!(house.refunded().await, [110.0]);
    // The first card and the reminder say how it ended, and have no buttons any more.
    let closed = |message: &Message| {
        message.words().contains("Approved with changes by dan: amount: 120 → 110")
            && message.elements().is_empty()
    };
    house.ana_sees("a closed card", closed).await;
    let began = Instant::now();
    let direct = house.direct().await.unwrap();
    loop {
        let messages = house.slack.control.messages(&direct, None).await.unwrap();
        let cards: Vec<&Message> =
            messages.iter().filter(|message| message.words().contains("Approve: refund")).collect();
        if cards.len() == 2 && cards.iter().all(|card| closed(card)) {
            break;
        }
        assert!(began.elapsed() < SOON, "{cards:#?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_asked_back_is_answered_there_and_then_it_is_approved() {
    let house = House::open("").await;
    house.cara_writes("<r1@cara.test>", REFUND).await;
    let card = house.ana_is_asked().await;
    house.ana_replies(&card, "ask: what is broken?").await;
    house
        .ana_sees("an answer", |message| {
            message.words().contains("the lamp is broken") && message.ts != card.ts
        })
        .await;
    assert!(house.refunded().await.is_empty());
    house.ana_replies(&card, "approve").await;
    house.mail.wait("cara", "I refunded 120.00").await;
    assert_eq!(house.refunded().await, [120.0]);
}

/// Two questions of two conversations wait in one place: a clear word alone means neither, and a code names one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_several_questions_in_one_place_a_code_names_one() {
    let house = House::open("").await;
    house.slack.mentions(CY, "Please refund 120 EUR for order 1002, the lamp is broken.").await;
    house.slack.mentions(CY, "Please refund 130 EUR for order 1003, the chair is broken.").await;
    let wanted = |amount: &'static str| {
        move |message: &Message| {
            message.words().contains("Approve: refund")
                && message.words().contains(amount)
                && !message.elements().is_empty()
        }
    };
    house.ana_sees("a card", wanted("120")).await;
    let card = house.ana_sees("another card", wanted("130")).await;
    house.slack.control.dm(ANA, "approve").await.unwrap();
    house
        .until(
            "a question which",
            |event| matches!(event, Event::Refused(refusal) if refusal.why == Why::Which),
        )
        .await;
    house.ana_sees("the codes", |message| message.words().contains("Several questions wait here")).await;
    assert!(house.refunded().await.is_empty());
    let words = card.words();
    let code =
        words.split('#').nth(1).and_then(|rest| rest.get(..4)).expect("the card has a code").to_owned();
    house.slack.control.dm(ANA, &format!("#{code} approve")).await.unwrap();
    house
        .until("the refund", |event| matches!(event, Event::Started(started) if started.tool == "refund"))
        .await;
    assert_eq!(house.refunded().await, [130.0]);
    // One is left, so a clear word is enough.
    house.slack.control.dm(ANA, "reject: not this one").await.unwrap();
    house
        .world
        .until("two decisions", |threads| {
            let answered = threads.iter().flat_map(agent::Thread::records);
            answered.filter(|record| matches!(record.event, Event::Answered(_))).count() == 2
        })
        .await;
    assert_eq!(house.refunded().await, [130.0]);
}

/// A customer by mail, a human on Slack: they talk through the gateway until the agent has the conversation back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_human_on_slack_talks_with_a_customer_by_mail() {
    let house = House::open("").await;
    house.cara_writes("<r1@cara.test>", "I want to talk to a human about my complaint.").await;
    let card = house
        .ana_sees("a hand-over", |message| {
            message.words().contains("hands over to you") && !message.elements().is_empty()
        })
        .await;
    house.slack.presses(ANA, &card, "press:take").await;
    house.mail.wait("cara", "ana has taken over").await;
    house.ana_replies(&card, "Hello Cara, what happened?").await;
    let got = house.mail.wait("cara", "Hello Cara, what happened?").await;
    assert!(got.text().contains("ana"), "{}", got.text());
    house.cara_answers(&got, "<r2@cara.test>", "It arrived in two pieces.").await;
    let said =
        house.ana_sees("Cara's words", |message| message.words().contains("It arrived in two pieces.")).await;
    house.ana_replies(&said, "I am sorry. We send another one.").await;
    house.mail.wait("cara", "We send another one.").await;
    house.ana_replies(&card, "done").await;
    house.until("the end", |event| *event == Event::Finished).await;
    // What she writes now is for the agent again.
    house.cara_answers(&got, "<r3@cara.test>", "Where is my order 1001?").await;
    house.mail.wait("cara", "1001").await;
    let spoken = house.world.count(|event| matches!(event, Event::Spoke(_))).await;
    assert_eq!(spoken, 2);
}
