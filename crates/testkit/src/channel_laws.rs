//! The laws of a channel. One line makes a test of each for an implementation:
//!
//! ```text
//! testkit::channel_laws!(email, rig);
//!
//! async fn rig() -> Box<dyn testkit::channel_laws::Rig> { … }
//! ```
//!
//! A [`Rig`] is a channel, not listening yet, with its platform and one person on it. Each law makes one of its own. What
//! a platform cannot do (be away, keep what was not acknowledged) a rig says so, and the law holds as far as it can.

pub mod incoming;
pub mod life;
pub mod outgoing;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use channel::{
    Address, Attempt, Card, CardState, Channel, ChannelName, Choice, Comment, Content, DeliveryKey, Error,
    Field, Health, HealthState, Inbound, Ingress, MessageRef, Outgoing, Place, Receipt, Style, Text, Ticket,
    Timestamp,
};
use tokio::{task::JoinHandle, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::doubles::InboxDouble;

/// Long enough for a loaded machine; nothing waits this long when it works.
const SOON: Duration = Duration::from_secs(30);
/// How long a law looks whether something comes that must not.
const A_WHILE: Duration = Duration::from_millis(300);

/// Makes a module of tests, one a law, for a channel.
///
/// `$rig` is an `async fn() -> Box<dyn Rig>`.
#[macro_export]
macro_rules! channel_laws {
    ($name:ident, $rig:expr) => {
        mod $name {
            use super::*;

            $crate::channel_laws!(@laws $rig, incoming:
                what_comes_in_says_who_and_where,
                the_same_gesture_has_the_same_name,
                two_gestures_with_the_same_words_are_two,
                what_was_not_taken_comes_again,
                a_reply_stays_in_its_place,
            );
            $crate::channel_laws!(@laws $rig, outgoing:
                a_message_arrives_once_with_its_words,
                a_long_text_arrives_whole,
                hostile_words_are_inert,
                a_card_shows_everything,
                an_answer_carries_the_ticket,
                a_form_brings_back_what_was_filled_in,
                a_line_of_every_kind_comes_back,
                a_form_is_shown_as_lines_where_there_are_none,
                a_card_says_its_code_and_its_progress,
                a_settled_card_says_so_and_offers_nothing,
                sending_again_changes_nothing,
                a_file_arrives_whole,
                a_configured_contact_is_reached,
                what_is_no_place_is_refused,
            );
            $crate::channel_laws!(@laws $rig, life:
                it_says_how_it_is,
                a_stop_ends_listening,
                a_sign_of_life_never_holds_up,
                no_secret_shows,
            );
        }
    };
    (@laws $rig:expr, $module:ident: $($law:ident,)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $law() {
                $crate::init();
                $crate::channel_laws::$module::$law($rig().await).await;
            }
        )*
    };
}

/// A channel with its platform, and one person on it.
#[async_trait]
pub trait Rig: Send + Sync + 'static {
    /// The channel. Always the same one.
    fn channel(&self) -> Arc<dyn Channel>;

    /// The name it was given.
    fn name(&self) -> ChannelName;

    /// The person, as [`Channel::place`] takes them.
    fn contact(&self) -> String;

    /// What the channel was given that nobody may see.
    fn secrets(&self) -> Vec<String>;

    /// The person begins a conversation with these words.
    async fn says(&self, text: &str) -> Gesture;

    /// The person goes on in the conversation that began so: in reply to what they saw there last, if they saw anything.
    async fn replies(&self, first: &Gesture, text: &str) -> Gesture;

    /// The platform, or the person's program, delivers the same gesture again. Does nothing where the channel itself
    /// reads what it has not acknowledged. Whether it was acknowledged, where that can be seen.
    async fn repeats(&self, gesture: &Gesture) -> Option<bool>;

    /// What the person sees of the gateway's at this place, oldest first.
    async fn sees(&self, place: &Place) -> Vec<Shown>;

    /// The person answers a card by the means that it offers, without words of their own.
    async fn answers(&self, place: &Place, card: &Shown, choice: &str);

    /// The person fills in the form of a choice, these lines of it, leaves the others as they stand, and sends it off. Only
    /// asked of a channel whose capabilities say `forms`.
    async fn fills(&self, place: &Place, card: &Shown, choice: &str, lines: &[(&str, &str)]);

    /// Makes the platform unreachable, or reachable again. False where there is no platform that could be away.
    async fn away(&self, away: bool) -> bool;
}

/// Something a person did. Only the rig reads it.
#[derive(Clone, Debug)]
pub struct Gesture {
    /// Its name on the platform.
    pub id: String,
    /// The conversation it belongs to, as the rig codes it.
    pub conversation: String,
    /// Its words.
    pub text: String,
    /// Whether the platform, or the person's program, was told that it arrived; none where that cannot be seen.
    pub acknowledged: Option<bool>,
}

/// One message of the gateway's, as a person sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Shown {
    /// Its name on the platform: two with one name are the same message.
    pub name: String,
    /// Every word that can be read in it, once, labels of buttons included; marks of quoting at line starts left out.
    pub text: String,
    /// All of it that the channel made, for comparing: without what the platform adds on the way.
    pub whole: String,
    /// What in it is alive: scripts, things loaded from elsewhere, mentions that ring. See [`alive_in_html`].
    pub alive: Vec<String>,
    /// The ids of the choices that can be pressed.
    pub buttons: Vec<String>,
    /// The files that came with it.
    pub files: Vec<(String, Vec<u8>)>,
}

/// What a browser would act upon in a piece of HTML: scripts, elements that load something, handlers of events, links
/// that run something.
pub fn alive_in_html(html: &str) -> Vec<String> {
    const ELEMENTS: [&str; 14] = [
        "script", "img", "iframe", "object", "embed", "link", "svg", "video", "audio", "form", "input",
        "button", "base", "source",
    ];
    let mut alive = Vec::new();
    for tag in html.split('<').skip(1) {
        let tag = tag.split('>').next().unwrap_or_default().to_ascii_lowercase();
        let name: String = tag.chars().take_while(char::is_ascii_alphanumeric).collect();
        let handler = unquoted(&tag)
            .split(|c: char| c.is_whitespace() || c == '/')
            .skip(1)
            .any(|word| word.starts_with("on") && word.contains('='));
        let runs = ["javascript:", "vbscript:", "data:text/html", "http-equiv"]
            .iter()
            .any(|scheme| tag.contains(scheme));
        if ELEMENTS.contains(&name.as_str()) || handler || runs {
            alive.push(tag);
        }
    }
    alive
}

/// A tag without what stands in its quotes.
fn unquoted(tag: &str) -> String {
    let mut quote = None;
    let mut bare = String::new();
    for letter in tag.chars() {
        match (quote, letter) {
            (None, '"' | '\'') => quote = Some(letter),
            (Some(open), _) if open == letter => quote = None,
            (None, _) => bare.push(letter),
            (Some(_), _) => {}
        }
    }
    bare
}

/// The words of a piece of HTML, as a reader sees them.
pub fn words_of_html(html: &str) -> String {
    let mut words = String::new();
    for (n, piece) in html.split('<').enumerate() {
        let text = if n == 0 { piece } else { piece.split_once('>').map_or("", |(_, text)| text) };
        words.push_str(text);
        if n > 0 {
            words.push(' ');
        }
    }
    for (name, letter) in [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&#x27;", "'"),
        ("&nbsp;", " "),
        ("&amp;", "&"),
    ] {
        words = words.replace(name, letter);
    }
    words
}

/// A channel under test, with a gateway in memory behind it.
pub(crate) struct Bench {
    pub(crate) rig: Box<dyn Rig>,
    pub(crate) channel: Arc<dyn Channel>,
    pub(crate) inbox: Arc<InboxDouble>,
    pub(crate) health: Health,
    listening: Option<(CancellationToken, JoinHandle<Result<(), Error>>)>,
    next: AtomicU64,
}

impl Bench {
    /// Listens already.
    pub(crate) async fn new(rig: Box<dyn Rig>) -> Self {
        let channel = rig.channel();
        let mut bench = Self {
            rig,
            channel,
            inbox: Arc::default(),
            health: Health::default(),
            listening: None,
            next: AtomicU64::new(1),
        };
        let (channel, inbox) = (bench.channel.clone(), bench.inbox.clone());
        tokio::spawn(async move { channel.attend(inbox, CancellationToken::new()).await });
        bench.listen().await;
        bench
    }

    /// Listens, and waits until the channel says so.
    pub(crate) async fn listen(&mut self) {
        let stop = CancellationToken::new();
        self.health = Health::default();
        let ingress = Ingress { inbox: self.inbox.clone(), health: self.health.clone(), stop: stop.clone() };
        let channel = self.channel.clone();
        let task = tokio::spawn(async move { channel.listen(ingress).await });
        self.listening = Some((stop, task));
        self.is(|state| *state == HealthState::Up).await;
    }

    /// Stops listening; how long that took.
    pub(crate) async fn stop(&mut self) -> Duration {
        let (stop, task) = self.listening.take().expect("it listens");
        let began = Instant::now();
        stop.cancel();
        let ended = tokio::time::timeout(Duration::from_secs(10), task).await;
        ended.expect("listening never ended").expect("listening panicked").expect("a stop is no error");
        began.elapsed()
    }

    /// Waits until the channel's health is so.
    pub(crate) async fn is(&self, wanted: impl Fn(&HealthState) -> bool) -> HealthState {
        let began = Instant::now();
        loop {
            let state = self.health.state();
            if wanted(&state) {
                return state;
            }
            if let Some((_, task)) = &self.listening {
                assert!(!task.is_finished(), "it stopped listening by itself");
            }
            assert!(began.elapsed() < SOON, "its health stays {state:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The person begins a conversation, and it came in.
    pub(crate) async fn hears(&self, text: &str) -> (Gesture, Inbound) {
        let count = self.inbox.taken().len() + 1;
        let gesture = self.rig.says(text).await;
        let inbound = self.inbox.taken_count(count).await.pop().expect("what came in");
        (gesture, inbound)
    }

    /// Waits until the channel has noticed that the gateway takes nothing: it tried, or it says so.
    pub(crate) async fn is_held_up(&self, gesture: &Gesture) {
        let began = Instant::now();
        let noticed =
            || !self.inbox.came().is_empty() || matches!(self.health.state(), HealthState::Down { .. });
        while gesture.acknowledged.is_none() && !noticed() {
            assert!(began.elapsed() < SOON, "it never tried");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// A message to a place.
    pub(crate) fn outgoing(&self, place: &Place, content: Content) -> Outgoing {
        let n = self.next.fetch_add(1, Ordering::SeqCst);
        Outgoing {
            key: DeliveryKey::new(format!("k3fj2m9qx7ab4c5d-1.{n}.0")),
            to: Address { channel: self.rig.name(), place: place.clone() },
            at: Timestamp::constant(1_767_225_600, 0),
            only: None,
            in_reply_to: None,
            amends: None,
            content,
            files: Vec::new(),
        }
    }

    /// Sends as a gateway does: into the log first, then through the channel.
    pub(crate) async fn sends(&self, outgoing: &Outgoing) -> Receipt {
        self.inbox.said(outgoing);
        self.attempts(outgoing, 1, None).await.unwrap_or_else(|error| panic!("it was not sent: {error}"))
    }

    /// One attempt to send, no more than that.
    pub(crate) async fn attempts(
        &self,
        outgoing: &Outgoing,
        number: u32,
        amends: Option<MessageRef>,
    ) -> Result<Receipt, Error> {
        use channel::Inbox;
        let mut files = Vec::new();
        for file in &outgoing.files {
            files.push(self.inbox.file(&file.hash).await?.expect("the file was kept"));
        }
        self.channel.send(outgoing, &Attempt { number, amends, files }).await
    }

    /// Waits until the person sees something that is so, and a while longer; all that they see then.
    pub(crate) async fn sees(&self, place: &Place, wanted: impl Fn(&Shown) -> bool) -> Vec<Shown> {
        let began = Instant::now();
        loop {
            let shown = self.rig.sees(place).await;
            if shown.iter().any(&wanted) {
                tokio::time::sleep(A_WHILE).await;
                return self.rig.sees(place).await;
            }
            assert!(began.elapsed() < SOON, "the person never sees it; what they see: {shown:#?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

pub(crate) fn says(markdown: &str) -> Content {
    Content::Text(Text { markdown: markdown.to_owned(), note: None })
}

pub(crate) fn card(ticket: &str) -> Card {
    let choice = |id: &str, label: &str, style, comment| Choice {
        id: id.into(),
        label: label.into(),
        style,
        comment,
        form: Vec::new(),
        reply: None,
    };
    let field = |label: &str, value: &str| Field { label: label.into(), value: value.into() };
    Card {
        ticket: Ticket::new(ticket),
        code: String::new(),
        title: "Approve: refund".to_owned(),
        text: "Ben asked for his money back.".to_owned(),
        fields: vec![field("order", "4711"), field("amount", "120.00 EUR")],
        choices: vec![
            choice("approve", "Approve", Style::Primary, Comment::None),
            choice("reject", "Reject", Style::Danger, Comment::Optional),
        ],
        free_text: false,
        progress: None,
        // Far away: a channel may say how long there is left.
        state: CardState::Open { deadline: Timestamp::constant(4_102_444_800, 0) },
    }
}

/// Without white space, which a platform may break lines at.
pub(crate) fn dense(text: &str) -> String {
    text.split_whitespace().collect()
}

/// Whether these words can be read in a message.
pub(crate) fn reads(shown: &Shown, words: &str) -> bool {
    dense(&shown.text).contains(&dense(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A law that nobody runs is none.
    #[test]
    fn every_law_stands_in_the_macro() {
        let modules = [
            ("incoming", include_str!("channel_laws/incoming.rs")),
            ("outgoing", include_str!("channel_laws/outgoing.rs")),
            ("life", include_str!("channel_laws/life.rs")),
        ];
        for (module, source) in modules {
            for law in source.split("\npub async fn ").skip(1).filter_map(|rest| rest.split('(').next()) {
                let listed = format!("                {law},\n");
                assert!(include_str!("channel_laws.rs").contains(&listed), "{module}::{law} is never run");
            }
        }
    }

    #[test]
    fn what_is_alive_is_found_and_what_is_shown_is_not() {
        for html in [
            "<script>x</script>",
            "<IMG src=x>",
            "<a href=\"javascript:x\">",
            "<p onclick=\"x\">",
            "<b/onload=x>",
            "<svg/onload=x>",
        ] {
            assert!(!alive_in_html(html).is_empty(), "{html}");
        }
        let shown = "<p>one &lt;script&gt; onload=x</p> <a href=\"https://a.test/on=1\">on</a><br>";
        assert_eq!(alive_in_html(shown), Vec::<String>::new());
        assert_eq!(dense(&words_of_html(shown)), "one<script>onload=xon");
    }
}
