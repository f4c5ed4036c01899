//! What people do about a card, the same on each channel: pressed, filled in, or written. A form can be opened now and sent off
//! later, as on a screen that still shows a card as it was.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use channel::Person;
use serde_json::{Value, json};
use simulator::{discord, slack};

use super::{
    super::{
        Entry, GENERAL, Letter, Page, TEAM, Workspace, World, discord as on_discord, discord::Guild,
        is_open_card, letter,
    },
    ANA_TOKEN, Card, Front, Kind, Way, Who, pause,
};

/// A guest of the workspace on Slack.
pub(super) const DEE: &str = "U0DEE0001";
/// Another app's bot on Slack.
pub(super) const HELPER: &str = "U0HELPER1";

/// After so long without a form a button is pressed again.
const PRESSED_AGAIN: Duration = Duration::from_secs(4);

/// Something that people do about a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gesture {
    Approve,
    /// Approve with this argument (first) as it is written (second).
    Change(&'static str, &'static str),
    /// Approve, and calls like it for so long.
    For(&'static str),
    /// Approve the one of several calls that reads like this, and none of the others.
    Only(&'static str),
    /// With a comment.
    Reject(&'static str),
    /// The second of the answers to choose from, which reads like this.
    Second(&'static str),
    AskBack(&'static str),
    /// Ask this member, too.
    Delegate(&'static str),
    /// Ask again after so long.
    Snooze(&'static str),
    /// Words that stand where an answer would.
    Say(&'static str),
}

/// How the people of a gateway are set up: Cara asks.
pub(crate) struct People {
    /// The names of those who may approve.
    pub(crate) finance: &'static str,
    /// The names of those who are asked.
    pub(crate) asked: &'static str,
    /// Whether Ana is asked on the page at the same time.
    pub(crate) also_on_page: bool,
}

impl Gesture {
    /// The same in words.
    pub(crate) fn words(self) -> String {
        match self {
            Self::Approve => "approve".to_owned(),
            Self::Change(name, value) => format!("approve\n{name}: {value}"),
            Self::For(span) => format!("approve\nfor: {span}"),
            Self::Only(call) => format!("approve: {call}"),
            Self::Reject(why) => format!("reject: {why}"),
            Self::Second(words) | Self::Say(words) => words.to_owned(),
            Self::AskBack(what) => format!("ask: {what}"),
            Self::Delegate(whom) => format!("delegate: {whom}"),
            Self::Snooze(span) => format!("snooze: {span}"),
        }
    }

    /// The choice of a card that is pressed at once; none where a form opens, or words are written.
    fn pressed(self) -> Option<&'static str> {
        match self {
            Self::Approve => Some("approve"),
            Self::Second(_) => Some("option-2"),
            _ => None,
        }
    }

    /// The choice of a card that opens a form, and what is filled in.
    fn form(self) -> Option<(&'static str, Vec<(&'static str, &'static str)>)> {
        let more = |what, text| Some(("more", vec![("what", what), ("text", text)]));
        match self {
            Self::Change(name, value) => Some(("edit", vec![(name, value)])),
            Self::For(span) => Some(("alike", vec![("for", span)])),
            Self::Only(call) => Some(("some", vec![("approve", call)])),
            Self::Reject(why) => Some(("reject", vec![("comment", why)])),
            Self::AskBack(what) => more("Ask the agent something", what),
            Self::Delegate(whom) => more("Ask somebody else, too", whom),
            Self::Snooze(span) => more("Ask me again later", span),
            Self::Approve | Self::Second(_) | Self::Say(_) => None,
        }
    }
}

/// The lines of a form as a chat platform names them.
fn lines<'a>(values: &[(&str, &'a str)]) -> Vec<(String, &'a str)> {
    let named = |(name, value): &(&str, &'a str)| match *name {
        "comment" => ("comment".to_owned(), *value),
        name => (format!("value:{name}"), *value),
    };
    values.iter().map(named).collect()
}

fn borrowed<'a>(lines: &'a [(String, &'a str)]) -> Vec<(&'a str, &'a str)> {
    lines.iter().map(|(name, value)| (name.as_str(), *value)).collect()
}

impl Who {
    pub(crate) const ALL: [Self; 5] = [Self::Ana, Self::Ben, Self::Cara, Self::Guest, Self::Robot];

    /// In small letters, as a member is called.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ana => "ana",
            Self::Ben => "ben",
            Self::Cara => "cara",
            Self::Guest => "guest",
            Self::Robot => "robot",
        }
    }

    /// The immutable id on a channel.
    pub(crate) fn id(self, kind: Kind) -> String {
        match kind {
            Kind::Web => self.name().to_owned(),
            Kind::Slack => format!("{TEAM}/{}", self.on_slack()),
            Kind::Discord => self.on_discord().to_owned(),
            Kind::Mail => format!("{}@mail.test", self.name()),
        }
    }

    pub(super) fn mail_from(self) -> String {
        format!("{} <{}>", self.name(), self.id(Kind::Mail))
    }
}

impl Front {
    /// Starts a gateway where Cara asks, Ana is in finance and asked, and Ben stands in for Ana while she is away, which she is
    /// not. A guest of the workspace on Slack proves nothing.
    pub(crate) async fn with_people(kind: Kind, agents: &Path, people: &People, more: &str) -> Self {
        testkit::init();
        let (way, mut channel) = Way::open(kind).await;
        if let Way::Slack(slack) = &way {
            channel = slack.channel("guests = \"ignore\"");
            slack.control.set_user(Who::Cara.on_slack(), json!({ "is_restricted": false })).await.unwrap();
        }
        let via = kind.name();
        let [ana, ben, cara] = [Who::Ana, Who::Ben, Who::Cara].map(|who| who.id(kind));
        let guest = match kind {
            Kind::Slack => format!("[members.guest]\nslack = \"{}\"\n", Who::Guest.id(kind)),
            Kind::Web | Kind::Discord | Kind::Mail => String::new(),
        };
        let (mut on_page, mut desk) = ("", format!("via = \"{via}\""));
        if people.also_on_page {
            channel.push_str("[channels.web.people.ana]\ntoken_env = \"ANA_TOKEN\"\nname = \"Ana\"\n");
            on_page = "web = \"ana\"\n";
            desk = format!("via = [\"{via}\", \"web\"]\nmirror = true");
        }
        let People { finance, asked, .. } = people;
        let finance = if guest.is_empty() { (*finance).to_owned() } else { format!("{finance}, \"guest\"") };
        let config = format!(
            r#"{channel}
[members.ana]
{via} = "{ana}"
{on_page}delegate = "ben"
[members.ben]
{via} = "{ben}"
[members.cara]
{via} = "{cara}"
{guest}
[groups]
operators = ["ana"]
finance = [{finance}]
[desks.operators]
members = ["operators"]
via = "{via}"
[desks.finance]
members = [{asked}]
{desk}
[[routes]]
agent = "support"
channel = "{via}"
{more}"#
        );
        let world = World::with_agents(agents, &config);
        let world = if people.also_on_page { world.env("ANA_TOKEN", ANA_TOKEN) } else { world };
        let mut front = Self::started(world, way).await;
        if people.also_on_page {
            front.at_page = Some(front.world.page().logged_in(ANA_TOKEN).await);
        }
        front
    }

    pub(crate) fn kind(&self) -> Kind {
        match &self.way {
            Way::Web { .. } => Kind::Web,
            Way::Slack(_) => Kind::Slack,
            Way::Discord(_) => Kind::Discord,
            Way::Mail(_) => Kind::Mail,
        }
    }

    /// Who a person in the log is; with a question mark where nothing proves it.
    pub(crate) fn whose(&self, person: &Person) -> String {
        let on = [Kind::Web, Kind::Slack, Kind::Discord, Kind::Mail];
        let on = on.into_iter().find(|kind| kind.name() == person.channel.as_str());
        let known = on.and_then(|kind| Who::ALL.into_iter().find(|who| who.id(kind) == person.id));
        let name = known.map_or(person.id.as_str(), |who| who.name());
        format!("{name}{}", if person.verified.is_proven() { "" } else { "?" })
    }

    /// Cara begins a conversation; its place.
    pub(crate) async fn cara_asks(&self, text: &str) -> String {
        match &self.way {
            Way::Web { cara, .. } => {
                let place = cara.open().await;
                cara.say(&place, &self.name(), text).await.unwrap();
                place
            }
            Way::Slack(slack) => slack.mentions(Who::Cara.on_slack(), text).await,
            Way::Discord(guild) => guild.mentions(Who::Cara.on_discord(), text).await,
            Way::Mail(_) => self.asks(text).await,
        }
    }

    /// Cara says something where she began.
    pub(crate) async fn cara_says(&self, place: &str, text: &str) {
        match &self.way {
            Way::Web { cara, .. } => drop(cara.say(place, &self.name(), text).await.unwrap()),
            Way::Slack(slack) => {
                drop(slack.control.reply(Who::Cara.on_slack(), GENERAL, place, text).await.unwrap());
            }
            Way::Discord(guild) => {
                drop(guild.control.say(Who::Cara.on_discord(), place, text).await.unwrap());
            }
            Way::Mail(_) => self.goes_on(place, text).await,
        }
    }

    /// All cards and messages of the gateway that a person sees: where Cara asked, and in what is theirs alone. As cards,
    /// whatever they are.
    async fn shown(&self, who: Who, place: &str) -> Vec<Card> {
        match &self.way {
            Way::Web { ana, ben, cara } => {
                let own = match who {
                    Who::Ana => Some(ana),
                    Who::Ben => Some(ben),
                    Who::Cara | Who::Guest | Who::Robot => None,
                };
                let mut shown = on_page(cara, place).await;
                if let Some(page) = own {
                    shown.extend(on_page(page, place).await);
                    shown.extend(on_page(page, "inbox").await);
                }
                shown
            }
            Way::Slack(slack) => {
                let mut shown = slack.said(place).await;
                shown.extend(slack_direct(slack, who).await);
                shown.into_iter().map(Card::Slack).collect()
            }
            Way::Discord(guild) => {
                let mut shown = guild.said(place).await;
                shown.extend(discord_direct(guild, who).await);
                shown.into_iter().map(Card::Discord).collect()
            }
            Way::Mail(mail) => mail.inbox(who.name()).into_iter().map(Card::Mail).collect(),
        }
    }

    /// Waits for the card that a person sees with all of these words.
    pub(crate) async fn finds(&self, who: Who, place: &str, words: &[&str]) -> Card {
        let began = Instant::now();
        loop {
            let shown = self.shown(who, place).await;
            let has = |card: &&Card| words.iter().all(|word| text_of(card).contains(word)) && is_open(card);
            if let Some(card) = shown.iter().find(has) {
                return card.clone();
            }
            self.in_time(began, &format!("{who:?} is shown no card with {words:?}"));
            pause().await;
        }
    }

    /// How a card reads now, and whether it still waits. By mail it is the letter that followed it, if one did.
    pub(crate) async fn reads(&self, who: Who, place: &str, card: &Card) -> (String, bool) {
        let shown = self.shown(who, place).await;
        let same = |other: &&Card| match (other, card) {
            (Card::Web { entry, .. }, Card::Web { entry: card, .. }) => entry["key"] == card["key"],
            (Card::Slack(other), Card::Slack(card)) => other.ts == card.ts && other.channel == card.channel,
            (Card::Discord(other), Card::Discord(card)) => other.id == card.id,
            (Card::Mail(other), Card::Mail(card)) => other.reply_to() == card.reply_to(),
            _ => false,
        };
        let found: Vec<&Card> = shown.iter().filter(same).collect();
        let closed = found.iter().find(|card| !is_open(card));
        let text = closed.or(found.last()).map(|card| text_of(card)).unwrap_or_default();
        (text, closed.is_none())
    }

    /// All that a person was told or shown, for them alone or where Cara asked, a text each.
    pub(crate) async fn sees(&self, who: Who, place: &str) -> Vec<String> {
        let mut seen: Vec<String> = self.shown(who, place).await.iter().map(text_of).collect();
        match &self.way {
            Way::Slack(slack) => {
                let all = slack.control.messages(GENERAL, None).await.unwrap();
                let alone = all.into_iter().filter(|it| it.ephemeral_to.as_deref() == Some(who.on_slack()));
                seen.extend(alone.map(|message| message.text));
            }
            Way::Discord(guild) => {
                let all = guild.control.messages(place).await.unwrap_or_default();
                let to = Some(who.on_discord());
                let alone = all.into_iter().filter(|message| message.ephemeral_to.as_deref() == to);
                seen.extend(alone.map(|message| message.text));
            }
            Way::Web { .. } | Way::Mail(_) => {}
        }
        seen
    }

    /// Opens the form that a gesture takes, where it takes one on this channel; what is held stays on the screen. Where the
    /// platform says that the app was too slow to open it, the button is pressed again, as people do.
    pub(crate) async fn holds(&self, who: Who, card: &Card, gesture: Gesture) {
        let Some((choice, _)) = gesture.form() else { return };
        let (button, began) = (format!("form:{choice}"), Instant::now());
        while !self.opens(who, card, &button).await {
            self.in_time(began, "the form never opened");
        }
    }

    /// Presses a button that opens a form; whether it did so within some seconds.
    async fn opens(&self, who: Who, card: &Card, button: &str) -> bool {
        let pressed = Instant::now();
        match (&self.way, card) {
            (Way::Slack(slack), Card::Slack(card)) => slack.presses(who.on_slack(), card, button).await,
            (Way::Discord(guild), Card::Discord(card)) => {
                guild.presses(who.on_discord(), card, button).await;
            }
            (_, _) => return true,
        }
        while pressed.elapsed() < PRESSED_AGAIN {
            let view = match &self.way {
                Way::Slack(slack) => slack.control.view(who.on_slack()).await.unwrap(),
                Way::Discord(guild) => guild.control.view(who.on_discord()).await.unwrap(),
                Way::Web { .. } | Way::Mail(_) => None,
            };
            if view.is_some() {
                return true;
            }
            pause().await;
        }
        false
    }

    /// Lets go of a gesture: the form that was opened is sent off, the button is pressed as the screen showed it, or words are
    /// written. What the page says to it at once where it takes nothing.
    pub(crate) async fn lets_go(&self, who: Who, card: &Card, gesture: Gesture) -> Option<String> {
        let (pressed, form) = (gesture.pressed(), gesture.form());
        match (&self.way, card) {
            (Way::Web { .. }, Card::Web { place, entry }) => {
                let page = self.page_of(who);
                return on_page_does(&page, &self.name(), (place, entry), gesture).await;
            }
            (Way::Slack(slack), Card::Slack(shown)) => match (pressed, form) {
                (Some(choice), _) => {
                    let stale = json!({ "ts": shown.ts, "blocks": shown.blocks, "user": super::super::BOT });
                    let press = slack::Click::on(who.on_slack(), shown, &format!("press:{choice}"));
                    slack.control.click(&slack::Click { as_message: Some(stale), ..press }).await.unwrap();
                }
                (None, Some((_, values))) => {
                    let sent = slack.control.submit(who.on_slack(), &borrowed(&lines(&values))).await;
                    assert_eq!(sent.unwrap().outcome, "closed");
                }
                (None, None) => self.answers(who, card, &gesture.words()).await,
            },
            (Way::Discord(guild), Card::Discord(shown)) => match (pressed, form) {
                (Some(choice), _) => {
                    let start = format!("press:{choice}");
                    let elements = shown.elements();
                    let mut ids = elements.iter().filter_map(|element| element["custom_id"].as_str());
                    let id = ids.find(|id| id.starts_with(&start)).expect("the card has that button");
                    let press = discord::Click::on(who.on_discord(), shown, id);
                    let stale = json!({ "id": shown.id, "components": shown.components });
                    guild.control.click(&discord::Click { as_message: Some(stale), ..press }).await.unwrap();
                }
                (None, Some((_, values))) => {
                    let sent = guild.control.submit(who.on_discord(), &borrowed(&lines(&values))).await;
                    assert_eq!(sent.unwrap().outcome, "sent");
                }
                (None, None) => self.answers(who, card, &gesture.words()).await,
            },
            (Way::Mail(_), Card::Mail(_)) => self.answers(who, card, &gesture.words()).await,
            (_, card) => unreachable!("{card:?} is of another channel"),
        }
        None
    }

    /// Does something about a card.
    pub(crate) async fn does(&self, who: Who, card: &Card, gesture: Gesture) -> Option<String> {
        self.holds(who, card, gesture).await;
        self.lets_go(who, card, gesture).await
    }

    /// Somebody on the internet answers a card by mail in a person's name, and brings along results that say it is theirs.
    pub(crate) async fn is_forged(&self, whose: Who, card: &Card, words: &str) {
        let (Way::Mail(mail), Card::Mail(card)) = (&self.way, card) else { unreachable!("only by mail") };
        let results = "Authentication-Results: mail.test; dkim=pass header.d=mail.test; dmarc=pass header.from=mail.test\n";
        let (to, id) = (card.reply_to(), format!("<{}@eve.test>", self.name()));
        let more = format!("{results}{}", card.thread());
        let text = letter(&whose.mail_from(), &to, "Re: x", &id, &more, words);
        mail.forge("eve@else.test", &to, &text).await;
    }

    /// A person at the page; whom it does not know stays outside.
    pub(super) fn page_of(&self, who: Who) -> Page {
        match (&self.way, who) {
            (Way::Web { ana, .. }, Who::Ana) => ana.clone(),
            (Way::Web { ben, .. }, Who::Ben) => ben.clone(),
            (Way::Web { cara, .. }, Who::Cara) => cara.clone(),
            (_, _) => self.world.page(),
        }
    }
}

/// The cards and words on a person's page at a place.
async fn on_page(page: &Page, place: &str) -> Vec<Card> {
    let entries = page.entries(place).await.unwrap_or_default();
    let ours = entries.into_iter().filter(|entry| entry["kind"] != "heard");
    ours.map(|entry| Card::Web { place: place.to_owned(), entry }).collect()
}

/// Does something about a card on the page; what it says where it takes nothing.
pub(crate) async fn on_page_does(
    page: &Page,
    name: &str,
    (place, entry): (&str, &Entry),
    gesture: Gesture,
) -> Option<String> {
    let done = match (gesture.pressed(), gesture.form()) {
        (Some(choice), _) => page.press(place, name, entry, choice).await,
        (None, Some(("reject", values))) => {
            page.press_with(place, name, entry, "reject", Some(values[0].1)).await
        }
        (None, Some((choice, values))) => {
            let values: Value =
                values.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
            page.fill(place, name, (entry, choice), &values).await
        }
        (None, None) => page.answer(place, name, entry, &gesture.words()).await,
    };
    done.err()
}

/// The messages of the gateway to a person alone.
async fn slack_direct(slack: &Workspace, who: Who) -> Vec<slack::Message> {
    let channels = slack.control.channels().await.unwrap();
    let own =
        |it: &&slack::Channel| it.kind == "im" && it.members.iter().any(|member| member == who.on_slack());
    let Some(direct) = channels.iter().find(own) else { return Vec::new() };
    let mut messages = slack.control.messages(&direct.id, None).await.unwrap();
    for root in messages.clone() {
        let below = slack.control.messages(&direct.id, Some(&root.ts)).await.unwrap();
        messages.extend(below.into_iter().filter(|message| message.ts != root.ts));
    }
    messages.retain(|message| message.bot_id.is_some());
    messages
}

async fn discord_direct(guild: &Guild, who: Who) -> Vec<discord::Message> {
    if !matches!(who, Who::Ana | Who::Ben | Who::Cara) {
        return Vec::new();
    }
    let opened = guild.control.ask("open_dm", json!({ "user": who.on_discord() })).await.unwrap();
    let mut messages = guild.control.messages(opened["channel"].as_str().unwrap()).await.unwrap_or_default();
    messages.retain(|message| message.user == on_discord::APP);
    messages
}

fn text_of(card: &Card) -> String {
    match card {
        Card::Web { entry, .. } => entry.to_string(),
        Card::Slack(message) => message.words(),
        Card::Discord(message) => message.words(),
        // As it was before its lines were cut.
        Card::Mail(letter) => letter.text().split_whitespace().collect::<Vec<_>>().join(" "),
    }
}

fn is_open(card: &Card) -> bool {
    match card {
        Card::Web { entry, .. } => is_open_card(entry),
        Card::Slack(message) => !message.elements().is_empty(),
        Card::Discord(message) => !message.elements().is_empty(),
        Card::Mail(letter) => !Letter::text(letter).contains("is closed"),
    }
}
