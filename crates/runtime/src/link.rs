//! Linking identities: codes that are given and brought, kept beside the logs.
//!
//! A code stands in the log of the place where it was given, as the gateway's words; whoever can read that log finds a code that holds for
//! ten minutes, for one who is proven on another channel, and links nothing by itself. What is kept is its hash. Nobody is kept from
//! trying: there are far more codes than messages, and each costs no more than any message does.

use agent::{
    Author, Event, Given, Home, Identity, Linked, Linking, Reply, USED, bring, code_as_read, code_from,
    linking, sha256,
};
use channel::{Accepted, Addressed, Body, Inbound};
use jiff::SignedDuration;

use crate::board::{Board, With};

/// What names of kept values begin with: codes that were given, and what came of one.
const GIVEN: &str = "link:";
const LINKED: &str = "linked:";

/// Why a code cannot be given; what is missing is told.
const NO_RANDOM: &str = "There is no code to give just now. Please try again later.";
const WRITE_DIRECTLY: &str =
    "Please write that to me where nobody else reads along: in a direct message, on the page, or by mail.";

impl Board {
    /// Takes a message that is about linking, so that no agent sees it; nothing where it is about something else. It is answered in the
    /// latest thread at its place, however long that is, and whatever the message replies to.
    pub(crate) async fn link(&self, inbound: &Inbound) -> Result<Option<Accepted>, store::Error> {
        let Body::Text { text, .. } = &inbound.body else { return Ok(None) };
        let Some(wanted) = linking(text) else { return Ok(None) };
        let mut thread = self.spoken_in(&Home::of(&inbound.at)).await?;
        let is_ours = match inbound.addressed {
            Addressed::Direct | Addressed::Mention => true,
            Addressed::Thread => thread.version().0 > 0,
            Addressed::Overheard => false,
        };
        // The one word may be an answer, where somebody was asked something.
        let may_answer = wanted == Linking::Begin
            && (thread.open_questions().next().is_some()
                || self.named(&inbound.at.channel, inbound).await?.is_some_and(|(_, about)| about.is_some()));
        if !is_ours || may_answer {
            return Ok(None);
        }
        let reply = |text: String| Reply {
            to: inbound.at.clone(),
            in_reply_to: inbound.message.clone(),
            answers: None,
            text,
            files: Vec::new(),
            by: Author::Gateway,
            note: None,
        };
        let replies = match wanted {
            _ if inbound.addressed != Addressed::Direct => vec![reply(WRITE_DIRECTLY.to_owned())],
            Linking::Begin => vec![reply(self.give_code(inbound).await?)],
            Linking::Code(code) => match self.brought(&code, inbound).await? {
                Ok((given, linked)) => {
                    let [first, second] = linked.told(&self.directory);
                    let told = Reply { to: given.at, in_reply_to: given.message, ..reply(first) };
                    vec![reply(second), told]
                }
                Err(why) => vec![reply(why)],
            },
        };
        let with = With { expect: Some(thread.version()), keys: inbound.keys.clone(), ..With::default() };
        self.write(&mut thread, replies.into_iter().map(Event::Said).collect(), with).await?;
        Ok(Some(Accepted::New))
    }

    /// A code for whoever asks, in words.
    async fn give_code(&self, inbound: &Inbound) -> Result<String, store::Error> {
        let Some(to) = Identity::of(&inbound.from) else {
            return Ok(format!("It is not certain that this is you. {}", inbound.from.verified.remedy()));
        };
        let mut random = [0; 64];
        let code = getrandom::fill(&mut random).ok().and_then(|()| code_from(&random));
        let Some(code) = code else { return Ok(NO_RANDOM.to_owned()) };
        let span = SignedDuration::from_mins(agent::CODE_MINUTES);
        let until = self.clock.now().saturating_add(span).unwrap_or(channel::Timestamp::MAX);
        let given = Given { to, at: inbound.at.clone(), message: inbound.message.clone(), until };
        self.store.put(&format!("{GIVEN}{}", sha256(code.as_bytes())), &json(&given)).await?;
        Ok(format!(
            "Write this to me on your other channel, within {} minutes:\n\n`link {}`\n\nWhoever does counts as you, so give it to nobody.",
            agent::CODE_MINUTES,
            code_as_read(&code)
        ))
    }

    /// What comes of a code that was brought. Only the first who brings it counts, however often their message comes.
    async fn brought(
        &self,
        code: &str,
        inbound: &Inbound,
    ) -> Result<Result<(Given, Linked), String>, store::Error> {
        let hash = sha256(code.as_bytes());
        let (given_as, linked_as) = (format!("{GIVEN}{hash}"), format!("{LINKED}{hash}"));
        let given: Option<Given> = self.kept(&given_as).await?;
        let used: Option<Linked> = self.kept(&linked_as).await?;
        let linked = match bring((given.as_ref(), used.as_ref()), &inbound.from, self.clock.now()) {
            Ok(linked) => linked,
            Err(why) => return Ok(Err(why)),
        };
        let first = self.store.put_once(&linked_as, &json(&linked)).await?;
        Ok(given.filter(|_| first).map(|given| (given, linked)).ok_or_else(|| USED.to_owned()))
    }

    /// A kept value, where there is one that can be read.
    async fn kept<T: serde::de::DeserializeOwned>(&self, name: &str) -> Result<Option<T>, store::Error> {
        Ok(self.store.get(name).await?.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    /// All that was linked, the latest last.
    ///
    /// # Errors
    /// The store's.
    pub async fn linked(&self) -> Result<Vec<Linked>, store::Error> {
        let mut linked: Vec<Linked> = Vec::new();
        let mut from = String::new();
        loop {
            let page = self.store.values(&from).await?;
            for name in page.items.iter().filter(|name| name.starts_with(LINKED)) {
                linked.extend(self.kept::<Linked>(name).await?);
            }
            match page.next {
                Some(next) => from = next,
                None => break,
            }
        }
        linked.sort_by(|one, other| {
            (one.until, &one.first, &one.second).cmp(&(other.until, &other.first, &other.second))
        });
        linked.dedup();
        Ok(linked)
    }
}

fn json(value: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}
