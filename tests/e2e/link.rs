//! One person, two identities: a code that the bot gives in a direct message on Slack is brought by mail, and an operator is told what to
//! write.

use std::time::Instant;

use agent::Event;
use simulator::slack::Message;

use crate::world::{ANA, CY, Mailroom, SCRIPTED, SOON, TEAM, Workspace, World, copied_agents, letter};

const HOLDER: &str = "Cara Customer <cara@mail.test>";

struct House {
    slack: Workspace,
    mail: Mailroom,
    world: World,
    _agents: tempfile::TempDir,
}

impl House {
    async fn open() -> Self {
        let (slack, mail) = tokio::join!(Workspace::open(), Mailroom::open());
        let (folder, agents) = copied_agents();
        let channels = [slack.channel(""), mail.channel()].concat();
        let config = format!(
            r#"{channels}
[members.ana]
slack = "{TEAM}/{ANA}"
[groups]
operators = ["ana"]
finance = ["ana"]
[desks.operators]
members = ["operators"]
via = "slack"
[desks.finance]
members = ["finance"]
via = "slack"
[[routes]]
agent = "support"
{SCRIPTED}"#
        );
        let world = World::with_agents(&agents, &config).env("BOT_PASSWORD", "botpw");
        let mut world = slack.gateway(world);
        world.start().await;
        slack.connected(&world).await;
        Self { slack, mail, world, _agents: folder }
    }

    /// Writes to the bot directly on Slack, and waits for words like these.
    async fn dm(&self, user: &str, text: &str, words: &str) -> String {
        let channel = self.slack.control.dm(user, text).await.unwrap().channel;
        self.told(&channel, words).await
    }

    async fn told(&self, channel: &str, words: &str) -> String {
        let began = Instant::now();
        loop {
            let mut seen = self.slack.control.messages(channel, None).await.unwrap();
            for root in seen.clone() {
                seen.extend(self.slack.control.messages(channel, Some(&root.ts)).await.unwrap());
            }
            let said = |message: &&Message| message.bot_id.is_some() && message.words().contains(words);
            if let Some(message) = seen.iter().rev().find(said) {
                return message.words();
            }
            assert!(began.elapsed() < SOON, "{words} is never said\n{}", self.world.log());
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }

    /// Writes a mail to the bot, and waits for an answer with these words.
    async fn mail(&self, id: &str, text: &str, words: &str) {
        self.mail
            .write("cara", "bot@mail.test", &letter(HOLDER, "bot@mail.test", "It is me", id, "", text))
            .await;
        self.mail.wait("cara", words).await;
    }
}

/// The code in what the bot said.
fn code(said: &str) -> String {
    let after = said.split("link ").nth(1).expect("a code");
    after.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-').collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_from_one_channel_shows_on_another_that_both_are_one_person() {
    let house = House::open().await;
    let (world, mail) = (&house.world, &house.mail);
    assert!(world.run(&["members", "link"]).out.contains("nobody has brought a code yet"));
    let code = code(&house.dm(ANA, "link", "Write this to me on your other channel").await);

    // A code that nobody gave, and one that is brought back to where it is from.
    house.mail("<one@cara.test>", "link abcde-23456", "I know no such code").await;
    house.dm(CY, &format!("link {code}"), "from this very channel").await;
    // Somebody who writes in her name proves nothing.
    let forged = letter(HOLDER, "bot@mail.test", "It is me", "<two@evil.test>", "", &format!("link {code}"));
    mail.forge("eve@evil.test", "bot@mail.test", &forged).await;
    mail.wait("cara", "It is not certain that this is you").await;
    assert!(world.run(&["members", "link"]).out.contains("nobody has brought a code yet"));

    house
        .mail("<three@cara.test>", &format!("LINK {}", code.to_uppercase()), "It was shown that you are also")
        .await;
    let channel = house.slack.control.dm(ANA, "link").await.unwrap().channel;
    house.told(&channel, "you are also cara@mail.test on email").await;
    // It counts once, and links nothing by itself.
    let late = letter(
        "Ana <ana@mail.test>",
        "bot@mail.test",
        "Me too",
        "<four@ana.test>",
        "",
        &format!("link {code}"),
    );
    mail.write("ana", "bot@mail.test", &late).await;
    mail.wait("ana", "This code was used already").await;
    let shown = world.run(&["members", "link"]);
    assert_eq!(shown.code, Some(0), "{shown:#?}");
    for words in [
        &format!("\"{TEAM}/{ANA}\" on slack") as &str,
        "is also \"cara@mail.test\" on email",
        "add to [members.ana]",
        "email = \"cara@mail.test\"",
    ] {
        assert!(shown.out.contains(words), "{words}: {}", shown.out);
    }
    // No agent saw any of it, and the same message once more changes nothing.
    let is_work = |event: &Event| matches!(event, Event::Heard(_) | Event::Thought(_));
    assert_eq!(world.count(is_work).await, 0);
    let again = letter(
        HOLDER,
        "bot@mail.test",
        "It is me",
        "<three@cara.test>",
        "",
        &format!("LINK {}", code.to_uppercase()),
    );
    let is_said = |event: &Event| matches!(event, Event::Said(_));
    let before = world.count(is_said).await;
    mail.write("cara", "bot@mail.test", &again).await;
    let next = letter(HOLDER, "bot@mail.test", "It is me", "<five@cara.test>", "", "link abcde-23457");
    mail.write("cara", "bot@mail.test", &next).await;
    let said = |threads: &[agent::Thread]| {
        threads.iter().flat_map(|thread| thread.records()).filter(|record| is_said(&record.event)).count()
    };
    world.until("the answer to the next", |threads| said(threads) > before).await;
    assert_eq!(world.count(is_said).await, before + 1);

    // A request begins as ever where that was said.
    house.dm(ANA, "where is my order 1001?", "1001").await;
}
