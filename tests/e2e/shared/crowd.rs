//! People who ask all the time, on all platforms at once, and Ana, who approves.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use simulator::{discord, slack};
use tokio::task::JoinHandle;

use super::town::{At, Question, Town, Wants, answers, runs};
use crate::world::{ANA as ANA_ON_SLACK, GENERAL as GENERAL_ON_SLACK, Letter, discord::ANA, letter};

/// The first and the last number of an order.
const ORDERS: (u32, u32) = (1_001, 9_999);
/// Between one to three questions and the next.
const PACE: Duration = Duration::from_millis(200);
/// Ana looks for cards so often, and presses again what nobody took for so long.
const LOOKS: Duration = Duration::from_millis(400);
const PRESSES_AGAIN: Duration = Duration::from_secs(4);
/// So many questions stand in a place before others are asked in a new one.
const ROW_MAX: usize = 24;

const CARA: &str = "Cara Customer <cara@mail.test>";
const ANA_BY_MAIL: &str = "Ana <ana@mail.test>";

/// All who ask and approve; they stop when this goes.
pub(crate) struct Crowd {
    asked: Arc<Mutex<Vec<Question>>>,
    asking: Arc<AtomicBool>,
    approving: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Crowd {
    /// They begin. What the tools keep is in these folders, where Ana looks.
    pub(crate) fn begin(town: &Arc<Town>, kept: Vec<PathBuf>) -> Self {
        let (asked, asking, approving) = (Arc::default(), Arc::default(), Arc::default());
        let mut crowd = Self { asked, asking, approving, tasks: Vec::new() };
        let asker = Asker { town: town.clone(), asked: crowd.asked.clone(), rows: BTreeMap::new() };
        crowd.asking.store(true, Ordering::Relaxed);
        crowd.approving.store(true, Ordering::Relaxed);
        crowd.tasks.push(tokio::spawn(asker.ask_while(crowd.asking.clone())));
        let ana = Ana { town: town.clone(), asked: crowd.asked.clone(), kept, pressed: BTreeMap::new() };
        crowd.tasks.push(tokio::spawn(ana.approve_while(crowd.approving.clone())));
        crowd
    }

    /// Nothing more is asked; all that was.
    pub(crate) async fn hush(&mut self) -> Vec<Question> {
        self.asking.store(false, Ordering::Relaxed);
        self.tasks.remove(0).await.unwrap();
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Nobody approves any more.
    pub(crate) async fn end(mut self) {
        self.approving.store(false, Ordering::Relaxed);
        for task in self.tasks.drain(..) {
            task.await.unwrap();
        }
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

struct Asker {
    town: Arc<Town>,
    asked: Arc<Mutex<Vec<Question>>>,
    /// On each platform, the place where several are asked in a row, and how many were.
    rows: BTreeMap<&'static str, (At, usize)>,
}

impl Asker {
    async fn ask_while(mut self, asking: Arc<AtomicBool>) {
        let turns: [&[Ask]; 6] = [
            &[Ask::Slack(Wants::Order), Ask::Discord(Wants::Order)],
            &[Ask::SlackRow, Ask::SlackRow, Ask::SlackRow],
            &[Ask::Mail(Wants::Order), Ask::Slack(Wants::Refund)],
            &[Ask::DiscordRow, Ask::DiscordRow, Ask::DiscordRow],
            &[Ask::Discord(Wants::Refund), Ask::Slack(Wants::Order)],
            &[Ask::Mail(Wants::Refund)],
        ];
        let mut orders = ORDERS.0..=ORDERS.1;
        for turn in turns.iter().cycle() {
            for ask in *turn {
                let Some(order) = orders.next().filter(|_| asking.load(Ordering::Relaxed)) else { return };
                self.ask(ask, order).await;
            }
            tokio::time::sleep(PACE).await;
        }
    }

    async fn ask(&mut self, ask: &Ask, order: u32) {
        let words = |wants: Wants| match wants {
            Wants::Order => format!("where is my order {order}?"),
            Wants::Refund => format!("refund 120 EUR for order {order}, it came broken"),
            Wants::Row => format!("note order {order}"),
        };
        let (at, wants) = match ask {
            Ask::Slack(wants) => {
                let thread = self.town.slack.mentions(ANA_ON_SLACK, &words(*wants)).await;
                (At::Slack { thread }, *wants)
            }
            Ask::Discord(wants) => {
                let thread = self.town.guild.mentions(ANA, &words(*wants)).await;
                (At::Discord { thread }, *wants)
            }
            Ask::Mail(wants) => {
                let id = format!("<q{order}@cara.test>");
                let text = letter(CARA, "bot@mail.test", "My order", &id, "", &words(*wants));
                self.town.mail.write("cara", "bot@mail.test", &text).await;
                (At::Mail, *wants)
            }
            Ask::SlackRow => (self.in_a_row("slack", &words(Wants::Row)).await, Wants::Row),
            Ask::DiscordRow => (self.in_a_row("discord", &words(Wants::Row)).await, Wants::Row),
        };
        let question = Question { order, at, wants };
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(question);
    }

    /// Asks where something was asked before, once that was answered, and else in a new place: what is said in a thread that the
    /// bot does not know yet is not said to it.
    async fn in_a_row(&mut self, platform: &'static str, words: &str) -> At {
        if let Some((at, count)) = self.rows.get(platform).cloned().filter(|(_, count)| *count < ROW_MAX)
            && (count > 1 || !self.town.said(&at).await.is_empty())
        {
            match &at {
                At::Slack { thread } => {
                    self.town
                        .slack
                        .control
                        .reply(ANA_ON_SLACK, GENERAL_ON_SLACK, thread, words)
                        .await
                        .unwrap();
                }
                At::Discord { thread } => {
                    self.town.guild.control.say(ANA, thread, words).await.unwrap();
                }
                At::Mail => {}
            }
            self.rows.insert(platform, (at.clone(), count + 1));
            return at;
        }
        let at = match platform {
            "slack" => At::Slack { thread: self.town.slack.mentions(ANA_ON_SLACK, words).await },
            _ => At::Discord { thread: self.town.guild.mentions(ANA, words).await },
        };
        // One that still waits for its first answer is kept: the next may be asked there.
        if self.rows.get(platform).is_none_or(|(_, count)| *count >= ROW_MAX) {
            self.rows.insert(platform, (at.clone(), 1));
        }
        at
    }
}

/// What is asked in a turn.
enum Ask {
    Slack(Wants),
    Discord(Wants),
    Mail(Wants),
    SlackRow,
    DiscordRow,
}

struct Ana {
    town: Arc<Town>,
    asked: Arc<Mutex<Vec<Question>>>,
    kept: Vec<PathBuf>,
    /// When each card was pressed last, or the mail was answered.
    pressed: BTreeMap<String, Instant>,
}

impl Ana {
    async fn approve_while(mut self, approving: Arc<AtomicBool>) {
        let mut done = BTreeSet::new();
        while approving.load(Ordering::Relaxed) {
            let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let refunds = asked.iter().filter(|question| question.wants == Wants::Refund);
            let open: Vec<&Question> = refunds.filter(|question| !done.contains(&question.order)).collect();
            for question in &open {
                if self.look_at(question).await {
                    done.insert(question.order);
                }
            }
            let by_mail: Vec<u32> = open
                .iter()
                .filter(|question| question.at == At::Mail)
                .map(|question| question.order)
                .collect();
            self.read_mail(&by_mail).await;
            tokio::time::sleep(LOOKS).await;
        }
    }

    /// Presses what is to be pressed about a question; whether it is answered.
    async fn look_at(&mut self, question: &Question) -> bool {
        match &question.at {
            At::Slack { thread } => {
                let said = self.town.slack.said(thread).await;
                if said.iter().any(|message| answers(&message.words()).contains(&question.order)) {
                    return true;
                }
                for card in &said {
                    let Some(button) = self.choice(question.order, &ids(&card.elements(), "action_id"))
                    else {
                        continue;
                    };
                    if self.may_press(&card.ts) {
                        // Nobody there, or decided in the meantime: it is looked at again.
                        let click = slack::Click::on(ANA_ON_SLACK, card, &button);
                        let _ = self.town.slack.control.click(&click).await;
                    }
                }
            }
            At::Discord { thread } => {
                let said = self.town.guild.said(thread).await;
                if said.iter().any(|message| answers(&message.words()).contains(&question.order)) {
                    return true;
                }
                for card in &said {
                    let Some(button) = self.choice(question.order, &ids(&card.elements(), "custom_id"))
                    else {
                        continue;
                    };
                    if self.may_press(&card.id) {
                        let click = discord::Click::on(ANA, card, &button);
                        let _ = self.town.guild.control.click(&click).await;
                    }
                }
            }
            At::Mail => {
                let said = self.town.said(&question.at).await;
                return said.iter().any(|(_, words)| answers(words).contains(&question.order));
            }
        }
        false
    }

    /// Answers the mails that ask about these orders.
    async fn read_mail(&mut self, orders: &[u32]) {
        if orders.is_empty() {
            return;
        }
        for card in self.town.mail.inbox("ana") {
            let words = card.text();
            let about = orders.iter().copied().find(|order| words.contains(&order.to_string()));
            let id = card.header("Message-ID");
            let Some(order) = about.filter(|_| !self.pressed.contains_key(&id)) else { continue };
            let answer = if words.contains("Nobody knows whether") {
                self.what_happened(order)
            } else if card.subject().contains("Approve: refund") {
                "approve"
            } else {
                continue;
            };
            self.answer(&card, &format!("<a{}@ana.test>", self.pressed.len()), answer).await;
            self.pressed.insert(id, Instant::now());
        }
    }

    async fn answer(&self, card: &Letter, id: &str, words: &str) {
        let to = card.reply_to();
        let body = format!("{words}\n\n{}\n\n-- \nAna", card.quoted());
        let text = letter(ANA_BY_MAIL, &to, "Re: Approve: refund", id, &card.thread(), &body);
        self.town.mail.write("ana", &to, &text).await;
    }

    /// She looks before she says whether it happened.
    fn what_happened(&self, order: u32) -> &'static str {
        if runs(&self.kept, order) > 0 { "It happened" } else { "It did not happen, run it again" }
    }

    /// The button that she presses of those that are on a card.
    fn choice(&self, order: u32, buttons: &[(String, String)]) -> Option<String> {
        let labelled = |label: &str| buttons.iter().find(|(_, shown)| shown == label);
        let approve = || buttons.iter().find(|(id, _)| id.starts_with("press:approve"));
        let button = labelled(self.what_happened(order)).or_else(approve);
        button.map(|(id, _)| id.clone())
    }

    fn may_press(&mut self, card: &str) -> bool {
        let now = Instant::now();
        let fresh = self.pressed.get(card).is_none_or(|last| now.duration_since(*last) > PRESSES_AGAIN);
        if fresh {
            self.pressed.insert(card.to_owned(), now);
        }
        fresh
    }
}

/// The ids and labels of buttons.
fn ids(elements: &[serde_json::Value], name: &str) -> Vec<(String, String)> {
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let label = |element: &serde_json::Value| match &element["label"] {
        serde_json::Value::Null => text(&element["text"]["text"]),
        label => text(label),
    };
    elements.iter().map(|element| (text(&element[name]), label(element))).collect()
}
