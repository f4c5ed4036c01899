//! The stream of what was said, for one open page.
//!
//! The stream looks at the gateway's log when it is told that something was said, and every few seconds by itself,
//! because another process may have said it. What it sends carries a mark of how far the page has come, so that a page
//! that lost its connection gets the rest and nothing twice.

use std::{
    collections::{HashSet, VecDeque},
    convert::Infallible,
    sync::Arc,
    time::Duration,
};

use axum::{
    http::{HeaderName, HeaderValue, header},
    response::{IntoResponse, Response, Sse, sse},
};
use channel::{Entry, Place};
use data_encoding::BASE64URL_NOPAD;
use futures_util::stream;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::{
    sync::{OwnedSemaphorePermit, broadcast, broadcast::error::RecvError},
    time::{Instant, Interval, MissedTickBehavior, interval, sleep_until, timeout},
};

use super::Site;
use crate::{config::Visitor, encode, hub::News};

/// How often the log is looked at without being told.
const LOOK_EVERY: Duration = Duration::from_secs(4);
/// How often a sign of life is sent.
const BEAT_EVERY: Duration = Duration::from_secs(10);
/// How long one stream lasts; the page comes back and proves again who it is.
const LIFE: Duration = Duration::from_hours(1);
/// How long one look may take.
const LOOK_TIME: Duration = Duration::from_secs(20);

/// What one open page gets.
pub(super) struct Feed {
    site: Arc<Site>,
    visitor: Visitor,
    here: Reader,
    inbox: Option<Reader>,
    news: broadcast::Receiver<News>,
    look: Interval,
    beat: Interval,
    ends: Instant,
    ready: VecDeque<sse::Event>,
    /// The log could not be read, and the page knows.
    blind: bool,
    /// The page has everything that was there when it came.
    synced: bool,
    _slot: OwnedSemaphorePermit,
}

/// How far a page has read one place.
struct Reader {
    place: Place,
    mark: Mark,
    sent: HashSet<String>,
}

/// The last entry that was sent and how many stood up to it. If that many still do, the rest is all that is missing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Mark(usize, String);

/// Makes the stream an answer.
pub(super) fn respond(feed: Feed) -> Response {
    let stream = stream::unfold(feed, async |mut feed| {
        let event = feed.next().await?;
        Some((Ok::<_, Infallible>(event), feed))
    });
    let mut response = Sse::new(stream).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Proxies that collect answers would hold back every event.
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    response
}

impl Feed {
    pub(super) fn new(
        site: &Arc<Site>,
        visitor: Visitor,
        here: Place,
        inbox: Option<Place>,
        last: Option<&str>,
        slot: OwnedSemaphorePermit,
    ) -> Self {
        let (mark, inbox_mark) = unpack(last.unwrap_or_default());
        let every = |span| {
            let mut interval = interval(span);
            interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
            interval
        };
        Self {
            // Before the first look, so that nothing falls between.
            news: site.hub.follow(),
            site: site.clone(),
            visitor,
            here: Reader::new(here, mark),
            inbox: inbox.map(|place| Reader::new(place, inbox_mark)),
            look: every(LOOK_EVERY),
            beat: every(BEAT_EVERY),
            ends: Instant::now() + LIFE,
            ready: VecDeque::new(),
            blind: false,
            synced: false,
            _slot: slot,
        }
    }

    /// The next event; nothing when the stream is over.
    async fn next(&mut self) -> Option<sse::Event> {
        let stop = self.site.stop.clone();
        loop {
            if stop.is_cancelled() {
                return None;
            }
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            tokio::select! {
                () = stop.cancelled() => return None,
                () = sleep_until(self.ends) => return None,
                news = self.news.recv() => self.hear(news).await?,
                _ = self.look.tick() => self.look().await,
                _ = self.beat.tick() => self.beat(),
            }
        }
    }

    async fn hear(&mut self, news: Result<News, RecvError>) -> Option<()> {
        match news {
            Ok(News::Said(place)) if self.reads(&place) => self.look().await,
            Ok(News::Work(place, on)) if place == self.here.place => self.typing(on),
            Ok(News::Said(_) | News::Work(..)) => {}
            Err(RecvError::Lagged(_)) => self.look().await,
            Err(RecvError::Closed) => return None,
        }
        Some(())
    }

    fn reads(&self, place: &Place) -> bool {
        *place == self.here.place || self.inbox.as_ref().is_some_and(|inbox| inbox.place == *place)
    }

    /// Sends what is new in the log.
    async fn look(&mut self) {
        let inbox = self.inbox.as_ref().map(|reader| reader.place.clone());
        let log = &self.site.inbox;
        let reading = async {
            let here = log.history(&self.here.place).await?;
            let waiting = match &inbox {
                Some(place) => log.history(place).await?,
                None => Vec::new(),
            };
            Ok::<_, channel::Error>((here, waiting))
        };
        let Ok(Ok((here, waiting))) = timeout(LOOK_TIME, reading).await else {
            if !self.blind {
                self.blind = true;
                self.push("trouble", &json!({ "text": "The gateway cannot read its store just now." }));
            }
            return;
        };
        if self.blind {
            self.blind = false;
            self.push("trouble", &json!({ "text": null }));
        }
        self.read("entry", &here);
        if self.inbox.is_some() {
            self.read("inbox", &waiting);
        }
        if !self.synced {
            self.synced = true;
            self.push("synced", &json!({}));
            self.typing(self.site.hub.works(&self.here.place));
        }
    }

    /// Sends the entries of one place that were not sent.
    fn read(&mut self, name: &str, entries: &[Entry]) {
        let reader = match (name, &mut self.inbox) {
            ("inbox", Some(inbox)) => inbox,
            _ => &mut self.here,
        };
        let fresh = reader.fresh(entries);
        for (mark, entry) in fresh {
            match (name, &mut self.inbox) {
                ("inbox", Some(inbox)) => inbox.mark = mark,
                _ => self.here.mark = mark,
            }
            let shown = encode::entry(entry, &self.site.config.channel, &self.visitor);
            if let Some(Ok(shown)) = shown.map(serde_json::to_value) {
                self.push(name, &shown);
            }
        }
    }

    fn typing(&mut self, on: bool) {
        self.push("typing", &json!({ "on": on }));
    }

    /// An event and not a comment, so that the page notices when the signs of life stay away.
    fn beat(&mut self) {
        let on = self.site.hub.works(&self.here.place);
        self.push("beat", &json!({ "typing": on }));
    }

    fn push(&mut self, name: &str, data: &Value) {
        let id = pack(&self.here.mark, self.inbox.as_ref().map(|inbox| &inbox.mark));
        self.ready.push_back(sse::Event::default().event(name).id(id).data(data.to_string()));
    }
}

impl Reader {
    fn new(place: Place, mark: Mark) -> Self {
        Self { place, mark, sent: HashSet::new() }
    }

    /// The entries that the page has not got, each with how far it has come with it.
    fn fresh<'a>(&mut self, entries: &'a [Entry]) -> Vec<(Mark, &'a Entry)> {
        let Mark(count, last) = &self.mark;
        let before =
            count.checked_sub(1).and_then(|index| entries.get(index)).is_some_and(|entry| entry.id == *last);
        if self.sent.is_empty() && before {
            self.sent.extend(entries.iter().take(*count).map(|entry| entry.id.clone()));
        }
        let numbered = entries.iter().enumerate();
        let unsent = numbered.filter(|(_, entry)| self.sent.insert(entry.id.clone()));
        unsent.map(|(index, entry)| (Mark(index + 1, entry.id.clone()), entry)).collect()
    }
}

fn pack(here: &Mark, inbox: Option<&Mark>) -> String {
    BASE64URL_NOPAD.encode(json!([here, inbox.cloned().unwrap_or_default()]).to_string().as_bytes())
}

/// What does not read well is a page that has seen nothing.
fn unpack(text: &str) -> (Mark, Mark) {
    if text.len() > 2048 {
        return Default::default();
    }
    let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).unwrap_or_default();
    serde_json::from_slice(&bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use channel::{Person, Said, Timestamp, Verified};

    use super::*;

    fn entries(ids: &[&str]) -> Vec<Entry> {
        let entry = |id: &&str| {
            let verified = Verified::Claimed { why: String::new(), remedy: None };
            let from = Person {
                channel: channel::ChannelName::new("web"),
                id: "ana".into(),
                name: "Ana".into(),
                verified,
                roles: Vec::new(),
            };
            let said = Said::Heard { from, text: String::new(), files: vec![] };
            Entry { id: (*id).to_owned(), at: Timestamp::UNIX_EPOCH, said }
        };
        ids.iter().map(entry).collect()
    }

    fn fresh(reader: &mut Reader, ids: &[&str]) -> Vec<String> {
        let entries = entries(ids);
        let fresh = reader.fresh(&entries);
        if let Some((mark, _)) = fresh.last() {
            reader.mark = mark.clone();
        }
        fresh.into_iter().map(|(_, entry)| entry.id.clone()).collect()
    }

    #[test]
    fn a_reader_gets_everything_once() {
        let mut reader = Reader::new(Place::new("ana/x"), Mark::default());
        assert_eq!(fresh(&mut reader, &["a", "b"]), ["a", "b"]);
        assert_eq!(fresh(&mut reader, &["a", "b"]), Vec::<String>::new());
        assert_eq!(fresh(&mut reader, &["a", "aa", "b", "c"]), ["aa", "c"], "one that was late is not lost");
    }

    #[test]
    fn a_reader_that_comes_back_gets_the_rest() {
        let back = |mark| Reader::new(Place::new("ana/x"), mark);
        assert_eq!(fresh(&mut back(Mark(2, "b".into())), &["a", "b", "c"]), ["c"]);
        assert_eq!(
            fresh(&mut back(Mark(2, "b".into())), &["a", "aa", "b", "c"]).len(),
            4,
            "rather twice than never"
        );
        assert_eq!(fresh(&mut back(Mark(9, "z".into())), &["a"]), ["a"]);
        assert_eq!(fresh(&mut back(Mark(0, String::new())), &["a"]), ["a"]);
    }

    #[test]
    fn marks_survive_the_trip_and_garbage_is_nothing() {
        let (here, inbox) = (Mark(3, "x\n\u{e4}".into()), Mark(1, "y".into()));
        assert_eq!(unpack(&pack(&here, Some(&inbox))), (here, inbox));
        for text in ["", "!!", "bnVsbA", &"A".repeat(5000)] {
            assert_eq!(unpack(text), Default::default());
        }
    }
}
