//! A gateway's door in memory.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use channel::{Accepted, Body, Entry, Error, File, Inbound, Inbox, Outgoing, Place, Said, Timestamp};
use tokio::time::Instant;

/// A door that takes each gesture once, remembers what was said at each place, and can be told to be away.
#[derive(Default)]
pub struct InboxDouble(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    away: bool,
    loses_answers: bool,
    /// Everything that came, taken or not.
    came: Vec<Inbound>,
    taken: Vec<Inbound>,
    keys: HashSet<String>,
    cursors: BTreeMap<String, String>,
    places: BTreeMap<Place, Vec<Entry>>,
    files: BTreeMap<String, Vec<u8>>,
}

impl InboxDouble {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes nothing while it is away, and says so.
    pub fn away(&self, away: bool) {
        self.kept().away = away;
    }

    /// Takes what comes, and says that it is away: its answers are lost on the way.
    pub fn loses_answers(&self, loses: bool) {
        self.kept().loses_answers = loses;
    }

    /// All that was taken, oldest first.
    pub fn taken(&self) -> Vec<Inbound> {
        self.kept().taken.clone()
    }

    /// Everything that came to the door, taken or not, oldest first.
    pub fn came(&self) -> Vec<Inbound> {
        self.kept().came.clone()
    }

    /// The cursors that the channel keeps.
    pub fn cursors(&self) -> BTreeMap<String, String> {
        self.kept().cursors.clone()
    }

    /// Remembers that the gateway said this, as a gateway does before it sends.
    pub fn said(&self, outgoing: &Outgoing) {
        self.kept().record(&outgoing.to.place, Said::Sent(Box::new(outgoing.clone())));
    }

    /// Keeps a file.
    pub fn keep(&self, name: &str, kind: &str, bytes: &[u8]) -> File {
        let hash = agent::sha256(bytes);
        self.kept().files.insert(hash.clone(), bytes.to_vec());
        File { name: name.to_owned(), kind: kind.to_owned(), size: bytes.len() as u64, hash }
    }

    /// Waits until so many gestures were taken, and gives them all.
    ///
    /// # Panics
    /// After twenty seconds.
    pub async fn taken_count(&self, count: usize) -> Vec<Inbound> {
        self.wait(count, |kept| &kept.taken).await
    }

    /// Waits until so many gestures came, taken or not, and gives them all.
    ///
    /// # Panics
    /// After twenty seconds.
    pub async fn came_count(&self, count: usize) -> Vec<Inbound> {
        self.wait(count, |kept| &kept.came).await
    }

    async fn wait(&self, count: usize, which: impl Fn(&Kept) -> &Vec<Inbound>) -> Vec<Inbound> {
        let began = Instant::now();
        loop {
            let inbounds = which(&self.kept()).clone();
            if inbounds.len() >= count {
                return inbounds;
            }
            assert!(
                began.elapsed() < Duration::from_secs(20),
                "{count} gestures wanted, these came: {inbounds:?}"
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Kept {
    fn record(&mut self, place: &Place, said: Said) {
        let entries = self.places.entry(place.clone()).or_default();
        let id = format!("{:08}", entries.len());
        entries.push(Entry { id, at: Timestamp::now(), said });
    }

    fn there(&self) -> Result<(), Error> {
        if self.away { Err(Error::retry("the double was told to be away")) } else { Ok(()) }
    }
}

#[async_trait]
impl Inbox for InboxDouble {
    async fn accept(&self, inbound: Inbound) -> Result<Accepted, Error> {
        let mut kept = self.kept();
        kept.came.push(inbound.clone());
        kept.there()?;
        let lost = kept.loses_answers;
        let answer = |accepted| if lost { Err(Error::retry("the answer was lost")) } else { Ok(accepted) };
        if inbound.keys.iter().any(|key| kept.keys.contains(key.as_str())) {
            return answer(Accepted::Already);
        }
        kept.keys.extend(inbound.keys.iter().map(|key| key.as_str().to_owned()));
        if let Body::Text { text, .. } = &inbound.body {
            let said = Said::Heard { from: inbound.from.clone(), text: text.clone(), files: Vec::new() };
            kept.record(&inbound.at.place, said);
        }
        kept.taken.push(inbound);
        answer(Accepted::New)
    }

    async fn cursor(&self, name: &str) -> Result<Option<String>, Error> {
        let kept = self.kept();
        kept.there()?;
        Ok(kept.cursors.get(name).cloned())
    }

    async fn advance(&self, name: &str, value: &str) -> Result<(), Error> {
        let mut kept = self.kept();
        kept.there()?;
        kept.cursors.insert(name.to_owned(), value.to_owned());
        Ok(())
    }

    async fn history(&self, place: &Place) -> Result<Vec<Entry>, Error> {
        let kept = self.kept();
        kept.there()?;
        Ok(kept.places.get(place).cloned().unwrap_or_default())
    }

    async fn file(&self, hash: &str) -> Result<Option<Vec<u8>>, Error> {
        let kept = self.kept();
        kept.there()?;
        Ok(kept.files.get(hash).cloned())
    }
}
