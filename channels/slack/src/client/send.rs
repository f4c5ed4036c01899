//! Out: each message once, also where nobody knows whether the last attempt arrived.
//!
//! Slack has no key by which it would recognise a message that comes again. So each carries a mark; before an attempt that is
//! not the first, the conversation is read back, and what is there already is not sent again.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use channel::{Attempt, Content, Error, ErrorKind, Outgoing, Person, Receipt};
use chat::payload::text;

use super::{Client, api::Workspace, cursor_of_command, cursor_of_thread, cursor_of_words, draft::mark_of};
use crate::{
    encode::{self, Post},
    place::{Ref, Room, Spot, Under},
};

/// A wait for the pace that is longer than this is left to the gateway.
const PATIENCE: Duration = Duration::from_secs(20);
/// What a lost attempt sent may take so long to be seen.
const SETTLES: Duration = Duration::from_millis(1_000);
/// How much further back than the message was decided it is looked for: clocks differ.
const CLOCKS_S: i64 = 300;
/// Pages that are read back.
const PAGES_MAX: usize = 10;

/// Where messages go on Slack.
struct Target {
    channel: String,
    thread: Option<String>,
}

/// One message of Slack's that is part of an outgoing.
enum Part<'a> {
    Post(Post),
    File { name: String, kind: &'a str, bytes: &'a [u8] },
}

impl Client {
    /// Sends one outgoing.
    pub(crate) async fn send(&self, outgoing: &Outgoing, attempt: &Attempt) -> Result<Receipt, Error> {
        let spot = Spot::read(&outgoing.to.place).ok_or_else(|| {
            Error::refused(format!("`{}` is no place of {}", outgoing.to.place, self.config.channel))
        })?;
        let workspace = self.workspace(&spot.team).await?;
        if outgoing.amends.is_some() {
            return self.amend(&workspace, outgoing, attempt).await;
        }
        if let Some(person) = &outgoing.only
            && let Some(done) = self.send_privately(&workspace, &spot, outgoing, person).await?
        {
            return Ok(done);
        }
        self.sweep(&workspace, &spot).await?;
        self.post_all(&workspace, &spot, outgoing, attempt).await
    }

    /// Rewrites a message in place. Doing that twice is doing it once.
    async fn amend(
        &self,
        workspace: &Workspace,
        outgoing: &Outgoing,
        attempt: &Attempt,
    ) -> Result<Receipt, Error> {
        // What never arrived needs no last word.
        let Some(named) = &attempt.amends else { return Ok(Receipt { message: None }) };
        let Some(message) = Ref::read(named) else {
            return Err(Error::refused(format!("`{named}` is no message of {}", self.config.channel)));
        };
        let Some(post) = encode::posts(outgoing).into_iter().next() else {
            return Ok(Receipt { message: None });
        };
        let mark = encode::mark(&outgoing.key, 0);
        self.wait_for_turn(&message.channel).await?;
        let updated = self.api.update(workspace, &message, &post, &mark).await;
        self.note_limit(&message.channel, updated)?;
        Ok(Receipt { message: Some(named.clone()) })
    }

    /// Shows a message to one person in a shared place; nothing where the place is that person's own anyway.
    async fn send_privately(
        &self,
        workspace: &Workspace,
        spot: &Spot,
        outgoing: &Outgoing,
        person: &Person,
    ) -> Result<Option<Receipt>, Error> {
        let Some(user) = person.id.strip_prefix(&format!("{}/", spot.team)) else {
            return Err(Error::refused(format!("`{}` is nobody of the workspace {}", person.id, spot.team)));
        };
        if spot.room == Room::Person(user.to_owned()) {
            return Ok(None);
        }
        let target = self.target(workspace, spot).await?;
        for post in encode::posts(outgoing) {
            self.wait_for_turn(&target.channel).await?;
            let at = (target.channel.as_str(), target.thread.as_deref());
            match self.api.post_ephemeral(workspace, at, user, &post).await {
                // Not there any more: it is told where they are.
                Err(fault) if fault.is(&["user_not_in_channel"]) => {
                    let room = Room::Person(user.to_owned());
                    let channel = self.conversation(workspace, &room).await?;
                    let mark = encode::mark(&outgoing.key, 0);
                    let posted = self.api.post_message(workspace, &channel, None, &post, &mark).await;
                    self.note_limit(&channel, posted)?;
                }
                done => self.note_limit(&target.channel, done)?,
            }
        }
        Ok(Some(Receipt { message: None }))
    }

    /// Posts every part that is not there yet.
    async fn post_all(
        &self,
        workspace: &Workspace,
        spot: &Spot,
        outgoing: &Outgoing,
        attempt: &Attempt,
    ) -> Result<Receipt, Error> {
        let mut target = self.target(workspace, spot).await?;
        let whole = arguments(outgoing);
        let mut parts = parts(outgoing, attempt, whole.as_deref());
        let mut there = BTreeMap::new();
        if attempt.number > 1 {
            there = self.read_back(workspace, &target, spot, outgoing).await?;
            if there.len() < parts.len() {
                tokio::time::sleep(SETTLES).await;
                there = self.read_back(workspace, &target, spot, outgoing).await?;
            }
        }
        if target.thread.is_none() && matches!(spot.under, Under::Command(_)) {
            self.introduce_command(spot, &mut parts).await?;
        }
        let mut first = None;
        for (n, part) in parts.iter().enumerate() {
            let posted = match there.get(&n) {
                Some(message) => Some(message.clone()),
                None => self.post(workspace, spot, &target, outgoing, (n, part)).await?,
            };
            if let (Some(message), Under::Command(_), None) = (&posted, &spot.under, &target.thread) {
                self.begin_command(spot, message).await?;
                target.thread = Some(message.ts.clone());
            }
            first = first.or(posted.filter(|_| matches!(part, Part::Post(_))));
        }
        Ok(Receipt { message: first.map(|message| message.write()) })
    }

    async fn post(
        &self,
        workspace: &Workspace,
        spot: &Spot,
        target: &Target,
        outgoing: &Outgoing,
        (n, part): (usize, &Part<'_>),
    ) -> Result<Option<Ref>, Error> {
        let mark = encode::mark(&outgoing.key, n);
        let thread = target.thread.as_deref();
        self.wait_for_turn(&target.channel).await?;
        match part {
            Part::Post(post) => {
                let says = matches!(outgoing.content, Content::Text(_)) && outgoing.only.is_none();
                if says
                    && n == 0
                    && let Some(draft) = self.take_draft(workspace, &spot.place()).await
                {
                    match self.api.update(workspace, &draft, post, &mark).await {
                        Ok(()) => return Ok(Some(draft)),
                        // Somebody took it away: then it is a message like any other.
                        Err(fault) if fault.is(&["message_not_found"]) => {}
                        Err(fault) => return Err(fault.error),
                    }
                }
                let posted = self.api.post_message(workspace, &target.channel, thread, post, &mark).await;
                self.note_limit(&target.channel, posted).map(Some)
            }
            Part::File { name, kind, bytes } => {
                let at = (target.channel.as_str(), thread);
                let shared = self.api.share_file(workspace, at, (name, kind, bytes), &mark).await;
                self.note_limit(&target.channel, shared)?;
                Ok(None)
            }
        }
    }

    /// The parts that are there, by their number.
    async fn read_back(
        &self,
        workspace: &Workspace,
        target: &Target,
        spot: &Spot,
        outgoing: &Outgoing,
    ) -> Result<BTreeMap<usize, Ref>, Error> {
        let oldest = format!("{}.000000", outgoing.at.as_second().saturating_sub(CLOCKS_S).max(0));
        let mut there = BTreeMap::new();
        let mut cursor = None;
        for _ in 0..PAGES_MAX {
            let thread = target.thread.as_deref();
            let page = self.api.messages(workspace, &target.channel, thread, &oldest, cursor.as_deref());
            let (messages, next) = match page.await {
                // Below a message that is gone there is nothing.
                Err(fault) if fault.is(&["thread_not_found"]) => break,
                page => page?,
            };
            for message in &messages {
                if let Some(n) = mark_of(message).and_then(|mark| encode::marked(mark, &outgoing.key))
                    && let Some(ts) = text(message, &["ts"])
                {
                    let named =
                        Ref { team: spot.team.clone(), channel: target.channel.clone(), ts: ts.to_owned() };
                    there.entry(n).or_insert(named);
                }
            }
            cursor = next;
            if cursor.is_none() {
                break;
            }
        }
        tracing::info!(channel = %self.config.channel, key = %outgoing.key, found = there.len(), "read back what may have arrived");
        Ok(there)
    }

    async fn target(&self, workspace: &Workspace, spot: &Spot) -> Result<Target, Error> {
        let channel = self.conversation(workspace, &spot.room).await?;
        let thread = match &spot.under {
            Under::Top => None,
            Under::Thread(ts) => Some(ts.clone()),
            Under::Command(_) => self.inbox()?.cursor(&cursor_of_command(spot)).await?,
        };
        Ok(Target { channel, thread })
    }

    /// The conversation of a command has its thread from now on, both ways.
    async fn begin_command(&self, spot: &Spot, message: &Ref) -> Result<(), Error> {
        let inbox = self.inbox()?;
        inbox.advance(&cursor_of_thread(message), spot.place().as_str()).await?;
        inbox.advance(&cursor_of_command(spot), &message.ts).await
    }

    /// The first answer to a command says what it answers.
    async fn introduce_command(&self, spot: &Spot, parts: &mut [Part<'_>]) -> Result<(), Error> {
        let words = self.inbox()?.cursor(&cursor_of_words(spot)).await?;
        let first = parts.iter_mut().find_map(|part| match part {
            Part::Post(post) => Some(post),
            Part::File { .. } => None,
        });
        if let (Some(words), Some(post)) = (words, first) {
            post.blocks.insert(0, encode::note_block(&words));
        }
        Ok(())
    }

    async fn wait_for_turn(&self, channel: &str) -> Result<(), Error> {
        let wait = self.pace.turn(channel, Instant::now());
        if wait > PATIENCE {
            let kind = ErrorKind::Retry { after: Some(wait) };
            return Err(Error::new(kind, format!("too many messages go to {channel} at once")));
        }
        tokio::time::sleep(wait).await;
        Ok(())
    }

    /// A refusal for too many calls holds for the conversation.
    fn note_limit<T>(&self, channel: &str, done: Result<T, super::fault::Fault>) -> Result<T, Error> {
        done.map_err(|fault| {
            if let ErrorKind::Retry { after: Some(after) } = fault.error.kind {
                self.pace.refused(channel, after, Instant::now());
            }
            fault.error
        })
    }
}

/// The parts of an outgoing, in order: what a card has no room for goes before it, files go last.
fn parts<'a>(outgoing: &'a Outgoing, attempt: &'a Attempt, whole: Option<&'a str>) -> Vec<Part<'a>> {
    let mut parts = Vec::new();
    if let Some(whole) = whole {
        let name = "arguments.txt".to_owned();
        parts.push(Part::File { name, kind: "text/plain", bytes: whole.as_bytes() });
    }
    parts.extend(encode::posts(outgoing).into_iter().map(Part::Post));
    for (file, bytes) in outgoing.files.iter().zip(&attempt.files) {
        parts.push(Part::File { name: channel::inert(&file.name), kind: &file.kind, bytes });
    }
    parts
}

fn arguments(outgoing: &Outgoing) -> Option<String> {
    match &outgoing.content {
        Content::Card(card) => encode::arguments(card),
        Content::Text(_) => None,
    }
}
