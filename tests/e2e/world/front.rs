//! The same conversation in front of every channel: who asks, who approves, and all that people are shown.

mod gestures;

use std::{
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use agent::{Event, Thread};
use serde_json::json;
use simulator::{discord, slack};

pub(crate) use gestures::{Gesture, People, on_page_does};

use super::{
    Entry, GENERAL, Letter, Mailroom, Page, SOON, TEAM, Workspace, World,
    discord::{self as on_discord, Guild},
    is_open_card, letter,
};

/// A channel that people are on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Web,
    Slack,
    Discord,
    Mail,
}

/// Who does something. By mail it is Cara who asks, and Ana who is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// Asks, is in finance, and an operator.
    Ana,
    /// May approve nothing.
    Ben,
    /// Asks, where people are set up by [`Front::with_people`].
    Cara,
    /// A guest: of the workspace on Slack, nobody that the page knows on the page.
    Guest,
    /// Another program.
    Robot,
}

/// A gateway, and the people on one of its channels.
pub(crate) struct Front {
    pub(crate) world: World,
    pub(crate) way: Way,
    /// Ana at the page, where she is asked there, too.
    pub(crate) at_page: Option<Page>,
    names: AtomicUsize,
    /// What whoever asks calls themself, and Ben.
    called: Mutex<[String; 2]>,
}

/// How people get to the gateway.
pub(crate) enum Way {
    Web { ana: Page, ben: Page, cara: Page },
    Slack(Workspace),
    Discord(Guild),
    Mail(Mailroom),
}

/// A card, where it was shown.
#[derive(Clone, Debug)]
pub(crate) enum Card {
    Web { place: String, entry: Entry },
    Slack(slack::Message),
    Discord(discord::Message),
    Mail(Letter),
}

/// Every test of a list becomes one in front of each channel.
macro_rules! in_front_of_every_channel {
    ($($case:ident)*) => {
        in_front_of_every_channel!(@ web Web, $($case)*);
        in_front_of_every_channel!(@ slack Slack, $($case)*);
        in_front_of_every_channel!(@ discord Discord, $($case)*);
        in_front_of_every_channel!(@ mail Mail, $($case)*);
    };
    (@ $name:ident $kind:ident, $($case:ident)*) => {
        mod $name {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    super::$case($crate::world::Kind::$kind).await;
                }
            )*
        }
    };
}
pub(crate) use in_front_of_every_channel;

impl Front {
    /// Starts a gateway with these agents, one of which takes everything. `more` is configuration (models, providers).
    pub(crate) async fn open(
        kind: Kind,
        agents: &Path,
        agent: &str,
        more: &str,
        env: &[(&str, &str)],
    ) -> Self {
        testkit::init();
        let (way, channel) = Way::open(kind).await;
        let via = kind.name();
        let ana = kind.ana();
        let config = format!(
            r#"{channel}
[members.ana]
{via} = "{ana}"
[groups]
operators = ["ana"]
finance = ["ana"]
[desks.operators]
members = ["operators"]
via = "{via}"
[desks.finance]
members = ["finance"]
via = "{via}"
[[routes]]
agent = "{agent}"
channel = "{via}"
{more}"#
        );
        let world = World::with_agents(agents, &config);
        let world = env.iter().fold(world, |world, (name, value)| world.env(name, value));
        Self::started(world, way).await
    }

    async fn started(world: World, way: Way) -> Self {
        let world = match &way {
            Way::Web { .. } => {
                world.env("ANA_TOKEN", ANA_TOKEN).env("BEN_TOKEN", BEN_TOKEN).env("CARA_TOKEN", CARA_TOKEN)
            }
            Way::Slack(slack) => slack.gateway(world),
            Way::Discord(guild) => guild.gateway(world),
            Way::Mail(_) => world.env("BOT_PASSWORD", "botpw"),
        };
        let mut front = Self {
            world,
            way,
            at_page: None,
            names: AtomicUsize::new(0),
            called: Mutex::new(["Cara", "Ben"].map(str::to_owned)),
        };
        front.start().await;
        front
    }

    /// Starts the gateway, or starts it again.
    pub(crate) async fn start(&mut self) {
        self.world.start().await;
        match &mut self.way {
            Way::Web { ana, ben, cara } => {
                *cara = self.world.page().logged_in(CARA_TOKEN).await;
                *ana = self.world.page().logged_in(ANA_TOKEN).await;
                *ben = self.world.page().logged_in(BEN_TOKEN).await;
            }
            Way::Slack(slack) => slack.connected(&self.world).await,
            Way::Discord(guild) => guild.connected(&self.world).await,
            Way::Mail(_) => {}
        }
    }

    /// A name that was not given before.
    pub(crate) fn name(&self) -> String {
        format!("name-of-a-message-{:04}", self.names.fetch_add(1, Ordering::Relaxed))
    }

    /// A conversation begins; its place.
    pub(crate) async fn asks(&self, text: &str) -> String {
        match &self.way {
            Way::Web { ana, .. } => {
                let place = ana.open().await;
                ana.say(&place, &self.name(), text).await.unwrap();
                place
            }
            Way::Slack(slack) => slack.mentions(super::ANA, text).await,
            Way::Discord(guild) => guild.mentions(on_discord::ANA, text).await,
            Way::Mail(mail) => {
                let id = format!("<{}@cara.test>", self.name());
                mail.write("cara", BOT, &letter(&self.from(Who::Ana), BOT, "A request", &id, "", text)).await;
                id
            }
        }
    }

    /// A conversation begins with a file.
    pub(crate) async fn asks_with_file(&self, text: &str, file: &str) -> String {
        let csv = ("list.csv", "text/csv", file.as_bytes());
        match &self.way {
            Way::Web { ana, .. } => {
                let place = ana.open().await;
                ana.send(&place, &self.name(), text, csv).await.unwrap();
                place
            }
            Way::Slack(slack) => {
                let text = format!("<@{}> {text}", super::BOT);
                slack.control.upload(super::ANA, GENERAL, csv, &text, None).await.unwrap().ts
            }
            Way::Discord(guild) => {
                let text = format!("@switchboard {text}");
                guild.control.upload(on_discord::ANA, on_discord::GENERAL, csv, &text).await.unwrap().id
            }
            Way::Mail(mail) => {
                let id = format!("<{}@cara.test>", self.name());
                let from = self.from(Who::Ana);
                let text = format!(
                    "From: {from}\r\nTo: {BOT}\r\nSubject: A request\r\nMessage-ID: {id}\r\nMIME-Version: 1.0\r\n\
                     Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\n{text}\r\n\
                     --b\r\nContent-Type: text/csv; name=list.csv\r\nContent-Disposition: attachment; \
                     filename=list.csv\r\n\r\n{file}\r\n--b--\r\n"
                );
                mail.write("cara", BOT, &text).await;
                id
            }
        }
    }

    /// Whoever asked goes on, after an answer.
    pub(crate) async fn goes_on(&self, place: &str, text: &str) {
        match &self.way {
            Way::Web { ana, .. } => drop(ana.say(place, &self.name(), text).await.unwrap()),
            Way::Slack(slack) => {
                drop(slack.control.reply(super::ANA, GENERAL, place, text).await.unwrap());
            }
            Way::Discord(guild) => drop(guild.control.say(on_discord::ANA, place, text).await.unwrap()),
            Way::Mail(mail) => {
                let inbox = mail.inbox("cara");
                let below = inbox.iter().rfind(|letter| letter.header("References").contains(place));
                let below = below.expect("Cara was answered before");
                let id = format!("<{}@cara.test>", self.name());
                let to = below.reply_to();
                let text = letter(&self.from(Who::Ana), &to, "Re: A request", &id, &below.thread(), text);
                mail.write("cara", &to, &text).await;
            }
        }
    }

    /// All that the gateway says to whoever asked, a text each; what is shown to one person alone is not among it.
    pub(crate) async fn said(&self, place: &str) -> Vec<String> {
        match &self.way {
            Way::Web { ana, .. } => {
                let entries = ana.entries(place).await.unwrap_or_default();
                entries.iter().filter(|entry| entry["kind"] != "heard").map(Entry::to_string).collect()
            }
            Way::Slack(slack) => slack.said(place).await.iter().map(slack::Message::words).collect(),
            Way::Discord(guild) => guild.said(place).await.iter().map(discord::Message::words).collect(),
            Way::Mail(mail) => {
                let inbox = mail.inbox("cara");
                let here = inbox.iter().filter(|letter| letter.header("References").contains(place));
                here.map(Letter::text).collect()
            }
        }
    }

    /// Waits until the gateway says this to whoever asked.
    pub(crate) async fn says(&self, place: &str, words: &str) {
        let began = Instant::now();
        loop {
            let said = self.said(place).await;
            if said.iter().any(|text| text.contains(words)) {
                return;
            }
            self.in_time(began, &format!("{words:?} was never said, only {said:#?}"));
            pause().await;
        }
    }

    /// The cards that ask for an approval and wait for it, oldest first.
    pub(crate) async fn cards(&self, place: &str) -> Vec<Card> {
        let asks = |words: String| words.contains("Approve: ");
        match &self.way {
            Way::Web { ana, .. } => {
                let entries = ana.entries(place).await.unwrap_or_default();
                let open = entries.into_iter().filter(|entry| is_open_card(entry) && asks(entry.to_string()));
                open.map(|entry| Card::Web { place: place.to_owned(), entry }).collect()
            }
            Way::Slack(slack) => {
                let said = slack.said(place).await.into_iter();
                said.filter(|it| asks(it.words()) && !it.elements().is_empty()).map(Card::Slack).collect()
            }
            Way::Discord(guild) => {
                let said = guild.said(place).await.into_iter();
                said.filter(|it| asks(it.words()) && !it.elements().is_empty()).map(Card::Discord).collect()
            }
            Way::Mail(mail) => {
                let inbox = mail.inbox("ana");
                let tickets: Vec<String> =
                    inbox.iter().filter(|it| it.text().contains("is closed")).map(Letter::reply_to).collect();
                let open = |it: &Letter| asks(it.text()) && !tickets.contains(&it.reply_to());
                inbox.into_iter().filter(open).map(Card::Mail).collect()
            }
        }
    }

    /// Waits for the only open card.
    pub(crate) async fn card(&self, place: &str) -> Card {
        let began = Instant::now();
        loop {
            let mut cards = self.cards(place).await;
            assert!(cards.len() < 2, "more than one card waits: {cards:#?}");
            if let Some(card) = cards.pop() {
                return card;
            }
            self.in_time(began, "no card was shown");
            pause().await;
        }
    }

    /// Presses a button of a card, or answers it in a mail.
    pub(crate) async fn approves(&self, who: Who, card: &Card) {
        match (&self.way, card) {
            (Way::Web { ana, ben, .. }, Card::Web { place, entry }) => {
                let page = if who == Who::Ana { ana } else { ben };
                page.press(place, &self.name(), entry, "approve").await.unwrap();
            }
            // As somebody does whose screen still shows the card as it was.
            (Way::Slack(slack), Card::Slack(card)) => {
                let shown = json!({ "ts": card.ts, "blocks": card.blocks, "user": super::BOT });
                let press = slack::Click::on(who.on_slack(), card, "press:approve");
                slack.control.click(&slack::Click { as_message: Some(shown), ..press }).await.unwrap();
            }
            (Way::Discord(guild), Card::Discord(card)) => {
                let id = card.button("Approve").expect("the card has that button");
                let press = discord::Click::on(who.on_discord(), card, &id);
                let shown = json!({ "id": card.id, "components": card.components });
                guild.control.click(&discord::Click { as_message: Some(shown), ..press }).await.unwrap();
            }
            (Way::Mail(_), Card::Mail(_)) => self.answers(who, card, "approve").await,
            (_, card) => unreachable!("{card:?} is of another channel"),
        }
    }

    /// Ana rejects with a reason, and the card says so.
    pub(crate) async fn rejects(&self, place: &str, card: &Card, why: &str) {
        let who = Who::Ana;
        match (&self.way, card) {
            (Way::Web { ana, .. }, Card::Web { place, entry }) => {
                let name = self.name();
                ana.press_with(place, &name, entry, "reject", Some(why)).await.unwrap();
            }
            (Way::Slack(slack), Card::Slack(card)) => {
                slack.fills(who.on_slack(), card, "form:reject", &[("comment", why)]).await;
            }
            (Way::Discord(guild), Card::Discord(card)) => {
                guild.fills(who.on_discord(), card, "form:reject", &[("comment", why)]).await;
            }
            (Way::Mail(_), Card::Mail(_)) => self.answers(who, card, &format!("reject: {why}")).await,
            (_, card) => unreachable!("{card:?} is of another channel"),
        }
        self.card_says(place, card, "Rejected by ana").await;
        self.closes(place, card).await;
    }

    /// Ana approves, and the card says so.
    pub(crate) async fn approved(&self, place: &str, card: &Card) {
        self.approves(Who::Ana, card).await;
        self.card_says(place, card, "Approved by ana").await;
        self.closes(place, card).await;
    }

    /// Waits until a card does not wait any more.
    async fn closes(&self, place: &str, card: &Card) {
        let began = Instant::now();
        let ticket = Self::ticket(card);
        while self.cards(place).await.iter().any(|open| Self::ticket(open) == ticket) {
            self.in_time(began, "the card never closed");
            pause().await;
        }
    }

    /// Somebody takes another name, which everybody sees; on the page, where who runs it names people, Ben has Ana's all the
    /// while.
    pub(crate) async fn calls(&self, who: Who, name: &str) {
        name.clone_into(&mut self.called.lock().unwrap()[who as usize]);
        match &self.way {
            Way::Web { .. } | Way::Mail(_) => {}
            Way::Slack(slack) => {
                let called = json!({ "name": name, "display_name": name, "real_name": name });
                slack.control.set_user(who.on_slack(), called).await.unwrap();
            }
            Way::Discord(guild) => {
                let called = json!({ "global_name": name, "guild": on_discord::GUILD, "nick": name });
                guild.control.set_user(who.on_discord(), called).await.unwrap();
            }
        }
    }

    /// The From line of whoever asks, or of Ben.
    fn from(&self, who: Who) -> String {
        let name = self.called.lock().unwrap()[who as usize].replace('\\', "\\\\").replace('"', "\\\"");
        let user = if who == Who::Ana { "cara" } else { "ben" };
        format!("\"{name}\" <{user}@mail.test>")
    }

    /// Writes words where a card is; by mail what a program writes comes from Ana's mailbox.
    pub(crate) async fn answers(&self, who: Who, card: &Card, words: &str) {
        match (&self.way, card) {
            (Way::Web { .. }, Card::Web { place, entry }) => {
                self.page_of(who).answer(place, &self.name(), entry, words).await.unwrap();
            }
            (Way::Slack(slack), Card::Slack(card)) => {
                let thread = card.thread_ts.as_deref().unwrap_or(&card.ts);
                slack.control.reply(who.on_slack(), &card.channel, thread, words).await.unwrap();
            }
            (Way::Discord(guild), Card::Discord(card)) => {
                guild.control.reply(who.on_discord(), &card.channel, &card.id, words).await.unwrap();
            }
            (Way::Mail(mail), Card::Mail(card)) => {
                let (user, more) = match who {
                    Who::Robot => (Who::Ana, "Auto-Submitted: auto-replied\n"),
                    who => (who, ""),
                };
                let from = if user == Who::Ben { self.from(user) } else { user.mail_from() };
                let (id, to) = (format!("<{}@{}.test>", self.name(), user.name()), card.reply_to());
                let more = format!("{more}{}", card.thread());
                let body = format!("{words}\n\n{}", card.quoted());
                mail.write(user.name(), &to, &letter(&from, &to, "Re: Approve", &id, &more, &body)).await;
            }
            (_, card) => unreachable!("{card:?} is of another channel"),
        }
    }

    /// Waits until a card says this, whatever it said before; a mail is followed by another one.
    pub(crate) async fn card_says(&self, place: &str, card: &Card, words: &str) {
        let began = Instant::now();
        loop {
            let said = match (&self.way, card) {
                (Way::Mail(mail), _) => {
                    mail.inbox("ana").iter().map(Letter::text).collect::<Vec<_>>().join("\n")
                }
                (_, Card::Slack(card)) => self.slack_message(card).await.words(),
                (_, Card::Discord(card)) => self.discord_message(card).await.words(),
                (_, Card::Web { .. } | Card::Mail(_)) => self.said(place).await.join("\n"),
            };
            if said.contains(words) {
                return;
            }
            self.in_time(began, &format!("the card never said {words:?}, only {said}"));
            pause().await;
        }
    }

    async fn slack_message(&self, card: &slack::Message) -> slack::Message {
        let Way::Slack(slack) = &self.way else { unreachable!("this is Slack") };
        let messages = slack.control.messages(&card.channel, card.thread_ts.as_deref()).await.unwrap();
        messages.into_iter().find(|message| message.ts == card.ts).expect("the card is there")
    }

    async fn discord_message(&self, card: &discord::Message) -> discord::Message {
        let Way::Discord(guild) = &self.way else { unreachable!("this is Discord") };
        let messages = guild.control.messages(&card.channel).await.unwrap();
        messages.into_iter().find(|message| message.id == card.id).expect("the card is there")
    }

    /// Waits until a person is told something that is for them alone.
    pub(crate) async fn told(&self, who: Who, place: &str, words: &str) {
        match &self.way {
            Way::Web { ana, ben, .. } => {
                let told = |entry: &Entry| entry["kind"] == "note" && entry.to_string().contains(words);
                drop(if who == Who::Ana { ana } else { ben }.wait(place, words, told).await);
            }
            Way::Slack(slack) => drop(slack.told(who.on_slack(), words).await),
            // What is no answer to a press is told in direct messages.
            Way::Discord(guild) => {
                let began = Instant::now();
                let direct = guild.control.ask("open_dm", json!({ "user": who.on_discord() })).await.unwrap();
                let direct = direct["channel"].as_str().unwrap();
                loop {
                    let mut told = guild.control.messages(place).await.unwrap();
                    told.retain(|message| message.ephemeral_to.as_deref() == Some(who.on_discord()));
                    told.extend(guild.control.messages(direct).await.unwrap());
                    if told.iter().any(|message| message.text.contains(words)) {
                        return;
                    }
                    self.in_time(began, &format!("nobody was told {words:?}, only {told:#?}"));
                    pause().await;
                }
            }
            Way::Mail(mail) => {
                drop(mail.wait(if who == Who::Ana { "ana" } else { "ben" }, words).await);
            }
        }
    }

    /// Everything that anybody was shown, with all that stands beside the words (buttons, addresses, flags), a text each.
    pub(crate) async fn everything(&self, places: &[&str]) -> Vec<String> {
        let mut all = Vec::new();
        match &self.way {
            Way::Web { ana, ben, .. } => {
                for page in [ana, ben] {
                    for place in places.iter().chain(&["inbox"]) {
                        let entries = page.entries(place).await.unwrap_or_default();
                        all.extend(entries.iter().map(Entry::to_string));
                    }
                }
            }
            Way::Slack(slack) => {
                for channel in slack.control.channels().await.unwrap() {
                    let messages = slack.control.messages(&channel.id, None).await.unwrap();
                    for message in &messages {
                        all.push(format!("{message:?}"));
                        if message.thread_ts.as_ref() == Some(&message.ts) {
                            let thread =
                                slack.control.messages(&channel.id, Some(&message.ts)).await.unwrap();
                            all.extend(thread.iter().map(|message| format!("{message:?}")));
                        }
                    }
                }
                // Drafts, status, forms: what was shown and is not any more.
                let calls = slack.control.calls(None).await.unwrap();
                all.extend(calls.iter().map(|call| call.args.to_string()));
            }
            Way::Discord(guild) => {
                for channel in guild.control.channels().await.unwrap() {
                    let messages = guild.control.messages(&channel.id).await.unwrap_or_default();
                    all.extend(messages.iter().map(|message| format!("{message:?}")));
                }
                let calls = guild.control.calls(None).await.unwrap();
                all.extend(calls.iter().map(|call| call.args.to_string()));
            }
            Way::Mail(mail) => {
                for user in ["ana", "ben", "cara"] {
                    for letter in mail.inbox(user) {
                        all.push(letter.text());
                        all.push(String::from_utf8_lossy(&letter.raw).into_owned());
                    }
                }
            }
        }
        all
    }

    /// Whose telephones rang.
    pub(crate) async fn rings(&self) -> Vec<String> {
        let mut rings = Vec::new();
        match &self.way {
            Way::Web { .. } | Way::Mail(_) => {}
            Way::Slack(slack) => {
                for channel in slack.control.channels().await.unwrap() {
                    let mut messages = slack.control.messages(&channel.id, None).await.unwrap();
                    for root in messages.clone() {
                        messages.extend(slack.control.messages(&channel.id, Some(&root.ts)).await.unwrap());
                    }
                    let ours = messages.into_iter().filter(|message| message.bot_id.is_some());
                    rings.extend(ours.flat_map(|message| message.rings));
                }
            }
            Way::Discord(guild) => {
                for channel in guild.control.channels().await.unwrap() {
                    let messages = guild.control.messages(&channel.id).await.unwrap_or_default();
                    let ours = messages.into_iter().filter(|message| message.user == on_discord::APP);
                    rings.extend(ours.flat_map(|message| message.rings));
                }
            }
        }
        rings
    }

    /// What proves on a card that it is the one: who had it could answer in its name.
    pub(crate) fn ticket(card: &Card) -> String {
        let last = |id: &str| id.rsplit(':').next().unwrap_or_default().to_owned();
        match card {
            Card::Web { entry, .. } => entry["ticket"].as_str().unwrap().to_owned(),
            Card::Slack(card) => card.elements()[0]["value"].as_str().unwrap().to_owned(),
            Card::Discord(card) => last(card.elements()[0]["custom_id"].as_str().unwrap()),
            Card::Mail(letter) => letter.reply_to().split('@').next().unwrap().to_owned(),
        }
    }

    /// How many events of all threads are like this.
    pub(crate) async fn count(&self, like: impl Fn(&Event) -> bool) -> usize {
        self.world.count(like).await
    }

    /// Waits until so many events of all threads are like this.
    pub(crate) async fn until(&self, what: &str, wanted: usize, like: impl Fn(&Event) -> bool) {
        let enough = |threads: &[Thread]| {
            let records = threads.iter().flat_map(Thread::records);
            records.filter(|record| like(&record.event)).count() >= wanted
        };
        self.world.until(what, enough).await;
    }

    /// What a tool of the support agent gave back, an order's number and the cents for each time.
    pub(crate) fn refunds(&self) -> Vec<(String, u32)> {
        let entry = |(path, line): (std::path::PathBuf, String)| {
            let order = path.parent()?.file_name()?.to_str()?.to_owned();
            Some((order, line.split(',').next()?.parse().ok()?))
        };
        self.world.kept("support").into_iter().filter_map(entry).collect()
    }

    fn in_time(&self, began: Instant, what: &str) {
        assert!(began.elapsed() < SOON, "{what}\n{}", self.world.log());
    }
}

const ANA_TOKEN: &str = "the-token-of-ana-0123456789abcdef";
const BEN_TOKEN: &str = "the-token-of-ben-0123456789abcdef";
const CARA_TOKEN: &str = "the-token-of-cara-0123456789abcde";
const BOT: &str = "bot@mail.test";

impl Kind {
    /// The channel's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Web => "web",
            Self::Slack => "slack",
            Self::Discord => "discord",
            Self::Mail => "email",
        }
    }

    /// Ben's id.
    pub(crate) fn ben(self) -> String {
        match self {
            Self::Web => "ben".to_owned(),
            Self::Slack => format!("{TEAM}/{}", super::BEN),
            Self::Discord => on_discord::BEN.to_owned(),
            Self::Mail => "ben@mail.test".to_owned(),
        }
    }

    fn ana(self) -> String {
        match self {
            Self::Web => "ana".to_owned(),
            Self::Slack => format!("{TEAM}/{}", super::ANA),
            Self::Discord => on_discord::ANA.to_owned(),
            Self::Mail => "ana@mail.test".to_owned(),
        }
    }
}

impl Who {
    pub(crate) fn on_slack(self) -> &'static str {
        match self {
            Self::Ana => super::ANA,
            Self::Ben => super::BEN,
            Self::Cara => super::CY,
            Self::Guest => gestures::DEE,
            Self::Robot => gestures::HELPER,
        }
    }

    pub(crate) fn on_discord(self) -> &'static str {
        match self {
            Self::Ana => on_discord::ANA,
            Self::Ben => on_discord::BEN,
            Self::Cara => discord::options::OWNER,
            Self::Guest => discord::options::GIA,
            Self::Robot => discord::options::HELPER,
        }
    }
}

impl Way {
    /// Opens a platform; its channel's configuration.
    async fn open(kind: Kind) -> (Self, String) {
        match kind {
            Kind::Web => {
                // Two who have the same name.
                let people = "[channels.web.people.ana]\ntoken_env = \"ANA_TOKEN\"\nname = \"Ana\"\n\
                              [channels.web.people.ben]\ntoken_env = \"BEN_TOKEN\"\nname = \"Ana\"\n\
                              [channels.web.people.cara]\ntoken_env = \"CARA_TOKEN\"\nname = \"Cara\"\n";
                let nobody = || Page::new(0);
                (Self::Web { ana: nobody(), ben: nobody(), cara: nobody() }, people.to_owned())
            }
            Kind::Slack => {
                let slack = Workspace::open().await;
                let channel = slack.channel("");
                (Self::Slack(slack), channel)
            }
            Kind::Discord => {
                let guild = Guild::open().await;
                let channel = guild.channel("");
                (Self::Discord(guild), channel)
            }
            Kind::Mail => {
                let mail = Mailroom::open().await;
                let channel = mail.channel();
                (Self::Mail(mail), channel)
            }
        }
    }
}

async fn pause() {
    tokio::time::sleep(std::time::Duration::from_millis(30)).await;
}
