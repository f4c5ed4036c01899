//! In: an inbound becomes events in one log, once, and is durable before the platform is told so.

use std::{collections::BTreeSet, sync::Arc};

use agent::{
    About, Arrival, Assigned, Event, HeardFile, Home, How, Named, Record, Route, Routed, Taken, Thread,
    ThreadId, Tickets, admit, card_at, caused_by, code, goes_on, grants, is_guarded, is_revoke, lost,
    may_answer, means_a_question, naming, route, sha256, short_code, shown, snapshot,
};
use async_trait::async_trait;
use channel::{
    Accepted, Addressed, Attachment, Body, ChannelName, Content, Correlation, Entry, Error, File, Inbound,
    Inbox, MessageRef, Place, Said,
};
use store::{SendState, Sent, SentQuery};
use tokio::sync::{Mutex, Semaphore};

use crate::board::{Board, With};

/// How often an inbound is decided anew when the thread changes under it.
const TRIES_MAX: u32 = 50;
/// In how many lines the messages of a channel stand, by place: those of one place are taken one after another.
const LINES: usize = 64;
/// How many events of a place its history looks for words in: those of the latest threads, each of them whole.
const HISTORY_EVENTS: u64 = 5_000;
/// How many threads it looks through for that, at most.
const HISTORY_THREADS: usize = 50;
/// How many of the latest cards at a place are looked through for the question that words mean.
const ASKED_MAX: usize = 20;

/// The inbox of one channel.
pub struct Door {
    board: Arc<Board>,
    channel: ChannelName,
    lines: Vec<Mutex<()>>,
    places: Semaphore,
}

impl Door {
    /// The door for a channel.
    pub fn new(board: Arc<Board>, channel: ChannelName) -> Self {
        let places = Semaphore::new(board.settings.accepts_max);
        Self { board, channel, lines: std::iter::repeat_with(Mutex::default).take(LINES).collect(), places }
    }

    /// The line in which the messages of a place wait for each other: decided at once they would only decide in vain.
    fn line(&self, place: &Place) -> Option<&Mutex<()>> {
        let sum = place
            .as_str()
            .bytes()
            .fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(byte)));
        self.lines.get(sum % LINES)
    }
}

#[async_trait]
impl Inbox for Door {
    async fn accept(&self, inbound: Inbound) -> Result<Accepted, Error> {
        self.check(&inbound)?;
        // Whoever waits for the one before takes no room from other places.
        let _turn = match self.line(&inbound.at.place) {
            Some(line) => Some(line.lock().await),
            None => None,
        };
        let _place = self.places.acquire().await.map_err(|_| Error::retry("the gateway is stopping"))?;
        let files = self.keep_files(&inbound).await?;
        for _ in 0..TRIES_MAX {
            match self.board.take(&self.channel, &inbound, files.clone()).await {
                Ok(Some(accepted)) => {
                    tracing::debug!(channel = %self.channel, key = ?inbound.keys.first(), ?accepted, "inbound");
                    return Ok(accepted);
                }
                Ok(None) => return Err(Error::refused("no question is known here under this ticket")),
                Err(store::Error::Conflict { .. }) => {}
                Err(store::Error::Duplicate { .. }) => return Ok(Accepted::Already),
                Err(error) => return Err(away(&error)),
            }
        }
        Err(Error::retry("the conversation changed too often while the message was taken"))
    }

    async fn cursor(&self, name: &str) -> Result<Option<String>, Error> {
        let kept = self.board.store.get(&self.cursor_name(name)).await.map_err(|error| away(&error))?;
        Ok(kept.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }

    async fn advance(&self, name: &str, value: &str) -> Result<(), Error> {
        self.board.store.put(&self.cursor_name(name), value.as_bytes()).await.map_err(|error| away(&error))
    }

    async fn history(&self, place: &Place) -> Result<Vec<Entry>, Error> {
        let at = channel::Address { channel: self.channel.clone(), place: place.clone() };
        self.board.history(&at).await.map_err(|error| away(&error))
    }

    async fn file(&self, hash: &str) -> Result<Option<Vec<u8>>, Error> {
        self.board.store.get(&file_name(hash)).await.map_err(|error| away(&error))
    }
}

impl Door {
    fn cursor_name(&self, name: &str) -> String {
        format!("cursor:{}:{name}", self.channel)
    }

    /// What every channel's inbound must be; a channel that breaks this has a fault of its own.
    fn check(&self, inbound: &Inbound) -> Result<(), Error> {
        if inbound.keys.is_empty()
            || inbound.at.channel != self.channel
            || inbound.from.channel != self.channel
        {
            return Err(Error::refused("the inbound has no key, or speaks for another channel"));
        }
        if let Body::Text { text, original, .. } = &inbound.body {
            let max = self.board.settings.text_bytes_max;
            let longest = text.len().max(original.as_ref().map_or(0, String::len));
            if longest > max {
                return Err(Error::refused(format!(
                    "the message has {longest} bytes; at most {max} are taken"
                )));
            }
        }
        Ok(())
    }

    /// Keeps the bytes of the files under their hashes, before any log names them.
    async fn keep_files(&self, inbound: &Inbound) -> Result<Vec<HeardFile>, Error> {
        let Body::Text { files, .. } = &inbound.body else { return Ok(Vec::new()) };
        let mut kept = Vec::new();
        for file in files {
            kept.push(self.keep_file(file).await?);
        }
        Ok(kept)
    }

    async fn keep_file(&self, attachment: &Attachment) -> Result<HeardFile, Error> {
        let settings = &self.board.settings;
        let Attachment { name, kind, size, bytes } = attachment;
        let mut file = File { name: name.clone(), kind: kind.clone(), size: *size, hash: String::new() };
        let bytes = match bytes {
            Ok(bytes) if bytes.len() <= settings.file_bytes_max => bytes,
            Ok(_) => {
                let why = format!("larger than {} bytes", settings.file_bytes_max);
                return Ok(HeardFile { file, text: None, dropped: Some(why) });
            }
            Err(why) => return Ok(HeardFile { file, text: None, dropped: Some(why.clone()) }),
        };
        file.hash = self.board.keep_file(bytes).await.map_err(|error| away(&error))?;
        let textual =
            kind.starts_with("text/") || matches!(kind.as_str(), "application/json" | "application/xml");
        let shown = textual && bytes.len() <= settings.shown_bytes_max;
        let text = shown.then(|| std::str::from_utf8(bytes).ok().map(str::to_owned)).flatten();
        Ok(HeardFile { file, text, dropped: None })
    }
}

impl Board {
    /// Keeps bytes under their hash, and returns it.
    pub(crate) async fn keep_file(&self, bytes: &[u8]) -> Result<String, store::Error> {
        let hash = sha256(bytes);
        let name = file_name(&hash);
        if self.store.get(&name).await?.is_none() {
            self.store.put(&name, bytes).await?;
        }
        Ok(hash)
    }

    /// Decides once what an inbound becomes, and writes it. A press that belongs to no question becomes nothing.
    async fn take(
        &self,
        channel: &ChannelName,
        inbound: &Inbound,
        files: Vec<HeardFile>,
    ) -> Result<Option<Accepted>, store::Error> {
        if let Some(accepted) = self.link(inbound).await? {
            return Ok(Some(accepted));
        }
        let Found { mut thread, about, begins, rivals } = self.thread_of(channel, inbound).await?;
        if about.is_none() && matches!(inbound.body, Body::Press { .. }) {
            return Ok(None);
        }
        let revises = matches!(inbound.body, Body::Edited { .. } | Body::Deleted);
        if thread.version().0 == 0 && (revises || inbound.addressed == Addressed::Thread) {
            // It belongs to a conversation that is none of ours.
            return Ok(Some(Accepted::New));
        }
        if about.is_none() && self.intrudes(&thread, inbound) {
            tracing::info!(%channel, from = %inbound.from.id, "somebody unproven spoke in a proven person's conversation");
            return Ok(Some(Accepted::New));
        }
        let now = self.clock.now();
        let mut events = match &inbound.body {
            Body::Undelivered { why } => match self.sent_as(channel, inbound.in_reply_to.as_ref()).await? {
                Some((_, key)) => lost(&thread, key, why),
                None => vec![Event::Undelivered { key: None, why: why.clone() }],
            },
            Body::Text { .. } | Body::Press { .. } | Body::Edited { .. } | Body::Deleted => {
                let assigned = if thread.is_idle() { Some(self.assign(&thread, inbound)) } else { None };
                if inbound.addressed == Addressed::Overheard
                    && assigned.as_ref().is_some_and(|assigned| assigned.routed.agent.is_none())
                {
                    // People talk among themselves.
                    return Ok(Some(Accepted::New));
                }
                let correlation =
                    self.capabilities(channel).map_or(Correlation::Ticket, |can| can.correlation);
                let agent = self.agent_of(&thread).await;
                let agent = agent.as_deref();
                let arrival = Arrival { inbound, files, about, rivals, correlation, agent, assigned };
                admit(&self.directory, &thread, arrival, now)
            }
        };
        for event in &mut events {
            self.note_what_was_shown(&thread, event).await?;
        }
        if events.is_empty() && revises {
            // The message is answered already, or is somebody else's: nothing changes.
            return Ok(Some(Accepted::New));
        }
        if events.is_empty() || (thread.version().0 == 0 && matches!(inbound.body, Body::Undelivered { .. }))
        {
            tracing::warn!(%channel, key = ?inbound.keys.first(), "an inbound concerns nothing that is known here");
            return Ok(Some(Accepted::New));
        }
        if begins.is_some() {
            // That the conversation goes on here becomes true with what is said, in one commit.
            thread = Thread::new(thread.id().clone());
        }
        let with = With {
            expect: Some(thread.version()),
            keys: inbound.keys.clone(),
            wake: true,
            ..With::default()
        };
        self.write(&mut thread, begins.into_iter().chain(events).collect(), with).await?;
        Ok(Some(Accepted::New))
    }

    /// Notes with what somebody decided what the card showed that was sent to where they did.
    async fn note_what_was_shown(&self, thread: &Thread, event: &mut Event) -> Result<(), store::Error> {
        let Some((id, at, evidence)) = event.evidence() else { return Ok(()) };
        let Some(card) = card_at(thread, id, at) else { return Ok(()) };
        let sent = match self.store.sent(SentQuery::Key(card)).await {
            // What cannot be read keeps nobody from answering.
            Err(store::Error::Unreadable { .. }) => Vec::new(),
            sent => sent?,
        };
        let card = |sent: Sent| match sent.outgoing.content {
            Content::Card(card) if sent.state != SendState::Dead => Some(shown(&card)),
            Content::Card(_) | Content::Text(_) => None,
        };
        evidence.shown = sent.into_iter().find_map(card);
        Ok(())
    }

    /// Whether somebody unproven speaks where an agent works for a proven person, and no route lets them: in a shared place
    /// both stand in the same conversation, and what is said there reaches the agent. An answer is judged elsewhere.
    fn intrudes(&self, thread: &Thread, inbound: &Inbound) -> bool {
        let proven = |person: &channel::Person| person.verified.is_proven();
        matches!(inbound.body, Body::Text { .. })
            && !proven(&inbound.from)
            && !thread.is_idle()
            && thread.requester().is_some_and(proven)
            && thread.open_questions().next().is_none()
            && !matches!(route(&self.routes, self.default_agent.as_deref(), inbound), Taken::By { .. })
    }

    /// The thread that an inbound belongs to.
    async fn thread_of(&self, channel: &ChannelName, inbound: &Inbound) -> Result<Found, store::Error> {
        let named = match self.named(channel, inbound).await? {
            // The conversation goes on under an old question: in its latest thread, whichever the question is in.
            Some((thread, Some(about))) if goes_on(&thread, about.question, inbound) => {
                Some((thread.id().clone(), about))
            }
            Some((thread, about)) => return Ok(Found { about, ..Found::of(thread) }),
            None => None,
        };
        if named.is_none()
            && let Some(found) = self.meant(inbound).await?
        {
            return Ok(found);
        }
        let home = Home::of(&inbound.at);
        let thread = self.spoken_in(&home).await?;
        if self.is_long(&thread) && matches!(inbound.body, Body::Text { .. }) {
            let now = self.clock.now();
            let begins = snapshot(&thread, now);
            let next = ThreadId::new(&home, thread.id().generation().saturating_add(1));
            let thread = Thread::fold(next, [Record::new(now, begins.clone())]);
            return Ok(Found { begins: Some(begins), ..Found::of(thread) });
        }
        let about = named.filter(|(id, _)| id == thread.id()).map(|(_, about)| about);
        Ok(Found { about, ..Found::of(thread) })
    }

    /// The thread that what is said at a home belongs to: the latest there, or the next where that is over, is gone, or cannot be read.
    pub(crate) async fn spoken_in(&self, home: &Home) -> Result<Thread, store::Error> {
        let Some(latest) = self.store.latest(home).await? else {
            return Ok(Thread::new(ThreadId::new(home, 1)));
        };
        // Of one that was retired nothing is left but its name, which never comes again.
        let is_there = |thread: &Thread| thread.version().0 > 0 && !self.is_over(thread);
        let thread = self.readable(&latest).await?.filter(is_there);
        let next = || Thread::new(ThreadId::new(home, latest.generation().saturating_add(1)));
        Ok(thread.unwrap_or_else(next))
    }

    /// The question of any conversation that was asked at this place and that words mean which name none: by its code, or, where
    /// they are as clear as an answer must be, because it is the only one that waits there.
    async fn meant(&self, inbound: &Inbound) -> Result<Option<Found>, store::Error> {
        let Body::Text { text, .. } = &inbound.body else { return Ok(None) };
        // Where senders are easily imitated, only a ticket or a reply names a question.
        let can = self.capabilities(&inbound.at.channel);
        if can.is_none_or(|can| can.correlation == Correlation::Ticket) {
            return Ok(None);
        }
        let code = code(text).map(|(code, _)| code.to_lowercase());
        if code.is_none() && !means_a_question(text) {
            return Ok(None);
        }
        let is_card =
            |sent: &Sent| matches!(sent.outgoing.content, Content::Card(_)) && sent.outgoing.amends.is_none();
        let sent = self.store.sent(SentQuery::At(inbound.at.clone())).await?;
        let cards = sent.iter().rev().filter(|sent| is_card(sent)).take(ASKED_MAX);
        // Whoever may answer none of them is told so where a call waits, and only says something otherwise.
        let (mut theirs, mut others) = (Vec::new(), Vec::new());
        let mut looked_at = BTreeSet::new();
        for (id, seq, n) in cards.filter_map(|sent| caused_by(&sent.outgoing.key)) {
            let Some(thread) = self.readable(&id).await? else { continue };
            let Some(asked) = thread.asked_by(seq, n) else { continue };
            let means = match &code {
                Some(code) => *code == short_code(&id, asked),
                None if is_revoke(text) => {
                    grants(&thread, self.clock.now()).iter().any(|grant| grant.question == asked)
                }
                None => thread.settled_by(asked).is_none(),
            };
            if !means || !looked_at.insert((id, asked)) {
                continue;
            }
            if may_answer(&self.directory, &thread, asked, &inbound.from, self.clock.now()) {
                theirs.push((thread, asked));
            } else if thread.question(asked).is_some_and(is_guarded) {
                others.push((thread, asked));
            }
        }
        let rivals = theirs.iter().skip(1);
        let rivals =
            rivals.filter_map(|(thread, id)| Some(naming(thread, *id, thread.question(*id)?))).collect();
        Ok(theirs.into_iter().chain(others).next().map(|(thread, question)| Found {
            about: Some(About { question, named: Named::ByWords }),
            rivals,
            ..Found::of(thread)
        }))
    }

    /// The thread that an inbound names, by a ticket or as a reply to a message of ours, and the question in it.
    pub(crate) async fn named(
        &self,
        channel: &ChannelName,
        inbound: &Inbound,
    ) -> Result<Option<(Thread, Option<About>)>, store::Error> {
        if let Some(ticket) = &inbound.ticket
            && let Some((id, _)) = Tickets::read(ticket)
            && let Some(thread) = self.readable(&id).await?
            && let Some(question) = self.tickets.check(ticket, &thread)
        {
            return Ok(Some((thread, Some(About { question, named: Named::ByTicket }))));
        }
        if let Some((thread, key)) = self.sent_as(channel, inbound.in_reply_to.as_ref()).await?
            && let Some(thread) = self.readable(&thread).await?
        {
            let question = caused_by(&key).and_then(|(_, seq, n)| thread.asked_by(seq, n));
            if question.is_some() || matches!(inbound.body, Body::Undelivered { .. }) {
                let about = question.map(|question| About { question, named: Named::ByReply });
                return Ok(Some((thread, about)));
            }
        }
        Ok(None)
    }

    /// A thread, unless this build does not understand its log (it was written by a newer one). Such a thread stops, and
    /// the operator is told; what comes for it begins another at its place, and holds up nobody.
    async fn readable(&self, id: &ThreadId) -> Result<Option<Thread>, store::Error> {
        match self.thread(id).await {
            Ok(thread) => Ok(Some(thread)),
            Err(error @ store::Error::Unreadable { .. }) => {
                tracing::error!(thread = %id, %error, "a conversation cannot be gone on with");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Whether a conversation ended so long ago that the next message begins another.
    fn is_over(&self, thread: &Thread) -> bool {
        let Some(last) = thread.records().last() else { return false };
        let age = self.clock.now().duration_since(last.at).unsigned_abs();
        thread.is_idle() && age > self.settings.renew_after
    }

    /// Whether a thread is so long that the next request goes on in another. Only between requests: then nothing is open
    /// that belongs to it. Nor does it while an answer holds for further calls, for that stands in its log and in no other.
    fn is_long(&self, thread: &Thread) -> bool {
        thread.is_idle()
            && thread.version().0 > self.settings.events_max
            && grants(thread, self.clock.now()).is_empty()
    }

    /// The message of ours with this name.
    async fn sent_as(
        &self,
        channel: &ChannelName,
        message: Option<&MessageRef>,
    ) -> Result<Option<(ThreadId, channel::DeliveryKey)>, store::Error> {
        let Some(message) = message else { return Ok(None) };
        let query = SentQuery::Message(channel.clone(), message.clone());
        let found = self.store.sent(query).await?.into_iter().next();
        Ok(found.map(|sent| (sent.thread, sent.outgoing.amends.unwrap_or(sent.outgoing.key))))
    }

    /// Who takes a message that begins a request. Who goes on in a conversation goes on with its agent, unless a route says
    /// by the words or the command that it is another's.
    fn assign(&self, thread: &Thread, inbound: &Inbound) -> Assigned {
        let home = inbound.at.clone();
        let by_name =
            self.routes.iter().filter(|route| route.command.is_some() || !route.starts_with.is_empty());
        let by_name: Vec<Route> = by_name.cloned().collect();
        if inbound.addressed == Addressed::Thread
            && inbound.from.verified.is_proven()
            && let Some(agent) = thread.agent().and_then(|agent| self.library.current(&agent.name))
            && route(&by_name, None, inbound) == Taken::Nobody
        {
            let (agent, why) = (Some(agent.reference()), "the conversation goes on".to_owned());
            return Assigned { routed: Routed { home, agent, why }, notice: None };
        }
        let nobody = |why: String, notice: String| Assigned {
            routed: Routed { home: home.clone(), agent: None, why },
            notice: Some(notice),
        };
        match route(&self.routes, self.default_agent.as_deref(), inbound) {
            Taken::By { agent, why } => match self.library.current(&agent) {
                Some(found) => Assigned {
                    routed: Routed { home: home.clone(), agent: Some(found.reference()), why },
                    notice: None,
                },
                None => nobody(format!("{why} names `{agent}`, which is not here"), self.help()),
            },
            Taken::Unverified { why } => nobody(
                format!("{why} wants to know who wrote, and nothing proves it"),
                format!(
                    "I cannot tell for sure that this message is from you, so no agent has seen it. {}",
                    inbound.from.verified.remedy()
                ),
            ),
            Taken::Nobody => nobody("no route fits".to_owned(), self.help()),
        }
    }

    /// What is said when nobody takes a message.
    fn help(&self) -> String {
        let mut text = "No agent here takes this message. The agents are:\n\n".to_owned();
        for agent in self.library.agents() {
            text.push_str(&format!("- **{}**: {}\n", agent.reference().name, agent.spec().description));
        }
        text
    }

    /// All that was said at a place, oldest first.
    async fn history(&self, at: &channel::Address) -> Result<Vec<Entry>, store::Error> {
        let mut entries = Vec::new();
        let home = Home::of(at);
        if let Some(latest) = self.store.latest(&home).await? {
            let mut seen = 0;
            for generation in (1..=latest.generation()).rev().take(HISTORY_THREADS) {
                // What cannot be read cannot be shown; the rest of the place can.
                let thread = self.readable(&ThreadId::new(&home, generation)).await?;
                entries.extend(thread.iter().flat_map(|thread| heard_at(thread, at)));
                seen += thread.map_or(0, |thread| thread.version().0);
                if seen >= HISTORY_EVENTS {
                    break;
                }
            }
        }
        for sent in self.store.sent(SentQuery::At(at.clone())).await? {
            let outgoing = sent.outgoing;
            let (seq, n) = caused_by(&outgoing.key).map_or((0, 0), |(_, seq, n)| (seq.0, n));
            let id = entry_id(outgoing.at, seq, n);
            entries.push(Entry { id, at: outgoing.at, said: Said::Sent(Box::new(outgoing)) });
        }
        entries.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(entries)
    }
}

/// Where an inbound belongs.
struct Found {
    /// The thread as it is, or as it will have begun.
    thread: Thread,
    /// The question in it that is named.
    about: Option<About>,
    /// What its log begins with before anything else, where this is the next thread of a conversation.
    begins: Option<Event>,
    /// Further questions that wait at the place and could be meant as well.
    rivals: Vec<String>,
}

impl Found {
    /// The thread alone.
    fn of(thread: Thread) -> Self {
        Self { thread, about: None, begins: None, rivals: Vec::new() }
    }
}

/// What people said in a thread at a place: requests, and answers in words.
fn heard_at(thread: &Thread, at: &channel::Address) -> Vec<Entry> {
    let words = |how: How, place: &channel::Address| how == How::Wrote && place == at;
    let entry = |(n, record): (usize, &agent::Record)| {
        let (from, text, files) = if let Event::Heard(heard) = &record.event {
            let files = heard.files.iter().map(|file| file.file.clone()).collect();
            (&heard.from, &heard.text, files)
        } else if let Event::Answered(answer) = &record.event
            && words(answer.how, &answer.at)
        {
            (&answer.by, &answer.words, Vec::new())
        } else if let Event::Refused(refusal) = &record.event
            && words(refusal.how, &refusal.at)
        {
            (&refusal.by, &refusal.words, Vec::new())
        } else {
            return None;
        };
        let said = Said::Heard { from: from.clone(), text: text.clone(), files };
        Some(Entry { id: entry_id(record.at, n as u64, 0), at: record.at, said })
    };
    thread.records().iter().enumerate().filter_map(entry).collect()
}

/// A name that sorts by time, then by place in the log.
fn entry_id(at: channel::Timestamp, seq: u64, n: usize) -> String {
    format!("{:019}-{seq:08}-{n:06}", at.as_nanosecond())
}

fn file_name(hash: &str) -> String {
    format!("file:{hash}")
}

/// The store's no, as a channel must hear it: do not acknowledge. What the store will never take must not come again
/// and again, or nothing behind it would be taken.
fn away(error: &store::Error) -> Error {
    match error {
        store::Error::Refused { .. } => Error::refused(error.to_string()),
        store::Error::Away { .. }
        | store::Error::Conflict { .. }
        | store::Error::Duplicate { .. }
        | store::Error::NotAtRest { .. }
        | store::Error::Fenced { .. }
        | store::Error::Unreadable { .. }
        | store::Error::InUse { .. } => Error::retry(error.to_string()),
    }
}
