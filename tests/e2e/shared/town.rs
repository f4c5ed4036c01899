//! The three platforms, and what is asked and answered on them.
//!
//! Each question is about an order of its own, so an answer says by its number what it answers, wherever it is shown.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use simulator::discord;

use crate::world::{
    ANA as ANA_ON_SLACK, BEN as BEN_ON_SLACK, Mailroom, SCRIPTED, TEAM, Workspace, World, copied_agents,
    discord::{ANA, Guild},
    replace,
};

/// The platforms.
pub(crate) struct Town {
    pub(crate) slack: Workspace,
    pub(crate) guild: Guild,
    pub(crate) mail: Mailroom,
    agents: (tempfile::TempDir, PathBuf),
}

/// A question.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    /// The number of the order it is about.
    pub(crate) order: u32,
    pub(crate) at: At,
    pub(crate) wants: Wants,
}

/// Where a question was asked, and is answered.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum At {
    Slack { thread: String },
    Discord { thread: String },
    Mail,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wants {
    /// Where an order is.
    Order,
    /// Money back, which somebody has to approve.
    Refund,
    /// One of several in a row in one place, without a wait for the answers.
    Row,
}

/// The scripted model also takes notes: of all that it heard for one request, in the order it heard it.
const NOTES: &str = r#"
[[rules]]
on = "heard"
matches = '''(?i)note order \d{4}'''
intent = '''
{%- set ns = namespace(text="") -%}
{%- for event in events if event.kind == "heard" -%}
  {%- set ns.text = ns.text ~ "Order " ~ (event.text|split|list|last) ~ " (noted). " -%}
{%- endfor -%}
{"intent": "finish", "text": {{ ns.text|tojson }} }'''

# An order number, best after the word"#;

impl Town {
    pub(crate) async fn open() -> Self {
        let (slack, guild, mail) = tokio::join!(Workspace::open(), Guild::open(), Mailroom::open());
        let agents = copied_agents();
        let support = agents.1.join("support");
        // Every number is an order, and dear enough.
        let orders = "line=$(ORDER=$1 awk -F, 'NR > 1 && $1 == ENVIRON[\"ORDER\"]' \"$agent/orders.csv\")";
        let any = "line=$1,Somebody,Thing,1000.00,EUR,shipped,2026-11-16,Expected";
        replace(&support.join("tools/common.sh"), orders, any);
        // Long enough that somebody dies while it runs.
        let made = "        printf '{\"order_id\": \"%s\", \"refunded_now\"";
        let slow = format!("        sleep 0.1\n{made}");
        replace(&support.join("tools/refund"), made, &slow);
        replace(&support.join("script.toml"), "# An order number, best after the word", NOTES.trim_start());
        Self { slack, guild, mail, agents }
    }

    /// A gateway that listens to all of them.
    pub(crate) fn gateway(&self) -> World {
        let config = self.config();
        let world = World::with_agents(&self.agents.1, &config).env("BOT_PASSWORD", "botpw");
        self.guild.gateway(self.slack.gateway(world))
    }

    fn config(&self) -> String {
        let channels = [self.slack.channel(""), self.guild.channel(""), self.mail.channel()].concat();
        // The same people on all three.
        format!(
            r#"{channels}
[members.ana]
slack = "{TEAM}/{ANA_ON_SLACK}"
discord = "{ANA}"
email = "ana@mail.test"
[members.ben]
slack = "{TEAM}/{BEN_ON_SLACK}"
[groups]
operators = ["ana"]
finance = ["ana", "ben"]
[desks.operators]
members = ["operators"]
via = "email"
[desks.finance]
members = ["ana"]
via = "email"
[[routes]]
agent = "support"
{SCRIPTED}"#
        )
    }

    /// What the gateways say at a place, oldest first, each with what names it.
    pub(crate) async fn said(&self, at: &At) -> Vec<(String, String)> {
        match at {
            At::Slack { thread } => {
                let said = self.slack.said(thread).await;
                said.into_iter().map(|message| (message.ts.clone(), message.words())).collect()
            }
            At::Discord { thread } => {
                let said: Vec<discord::Message> = self.guild.said(thread).await;
                said.into_iter().map(|message| (message.id.clone(), message.words())).collect()
            }
            At::Mail => {
                let said = self.mail.inbox("cara").into_iter();
                said.map(|letter| (letter.header("Message-ID"), letter.text())).collect()
            }
        }
    }

    /// All that is said at these places.
    pub(crate) async fn heard_at(&self, places: BTreeSet<At>) -> BTreeMap<At, Vec<(String, String)>> {
        let mut all = BTreeMap::new();
        for at in places {
            let said = self.said(&at).await;
            all.insert(at, said);
        }
        all
    }
}

/// The orders that a message answers for, in the order of its words.
pub(crate) fn answers(words: &str) -> Vec<u32> {
    let mut found = Vec::new();
    for piece in words.split("rder ").skip(1) {
        let Some((digits, rest)) = piece.split_at_checked(4) else { continue };
        let Ok(order) = digits.parse() else { continue };
        let ends = [" (", ". Refunded so far", " was made, and says"];
        // Slack is told the same words twice: as text, and as blocks.
        if ends.iter().any(|end| rest.starts_with(end)) && !found.contains(&order) {
            found.push(order);
        }
    }
    found
}

/// How often the tool gave money back for an order, by what it kept in these folders.
pub(crate) fn runs(folders: &[PathBuf], order: u32) -> usize {
    let entries = |folder: &Path| std::fs::read_dir(folder).into_iter().flatten().count();
    folders.iter().map(|folder| entries(&folder.join(format!("ledger/{order}")))).sum()
}
