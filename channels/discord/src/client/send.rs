//! Out: each message once, also where nobody knows whether the last attempt arrived.
//!
//! Each message has a nonce under which Discord takes it once, for some minutes. After that, and before every attempt that is
//! not the first, the conversation is read back: what says the same, and is no earlier message's, is not sent again.

use std::collections::BTreeMap;

use channel::{Attempt, Content, Error, Outgoing, Person, Place, Receipt, Said, Timestamp};
use serde_json::Value;

use super::{
    Client, OPENING_REST, WAY_BACK, api::PAGE, command_of, cursor_of_command, cursor_of_interaction,
    cursor_of_thread, cursor_of_words, fault::Fault, file_of, is_ours, threads::Target,
};
use crate::{
    encode::{self, Post},
    markdown::{MESSAGE_CHARS_MAX, chars},
    place::{Ref, Spot, id_at, time},
};

/// How much further back than the message was decided it is looked for: clocks differ.
const CLOCKS_S: i64 = 300;
/// Pages that are read back.
const PAGES_MAX: usize = 20;
/// Discord's codes for a message that is gone, an archived thread, and a way back that is closed.
const UNKNOWN_MESSAGE: u64 = 10_008;
const ARCHIVED: u64 = 50_083;
const CLOSED: [u64; 3] = [50_027, 10_015, 10_062];

/// One message of Discord's that is part of an outgoing.
enum Part<'a> {
    Post(Box<Post>),
    File { name: String, kind: &'a str, bytes: &'a [u8] },
}

/// The way back that a command opened.
struct Promise {
    id: String,
    token: String,
}

impl Client {
    /// Sends one outgoing.
    pub(crate) async fn send(&self, outgoing: &Outgoing, attempt: &Attempt) -> Result<Receipt, Error> {
        let spot = Spot::read(&outgoing.to.place).ok_or_else(|| {
            Error::refused(format!("`{}` is no place of {}", outgoing.to.place, self.config.channel))
        })?;
        self.know_us().await?;
        if outgoing.amends.is_some() {
            return self.amend(outgoing, attempt).await;
        }
        if let Some(person) = &outgoing.only
            && spot != Spot::Person(person.id.clone())
        {
            return self.send_privately(outgoing, person).await;
        }
        self.sweep(&spot).await?;
        self.post_all(&spot, outgoing, attempt).await
    }

    /// Rewrites a message in place. Doing that twice is doing it once.
    async fn amend(&self, outgoing: &Outgoing, attempt: &Attempt) -> Result<Receipt, Error> {
        // What never arrived needs no last word.
        let Some(named) = &attempt.amends else { return Ok(Receipt { message: None }) };
        let Some(Ref::Message { channel, message }) = Ref::read(named) else {
            return Err(Error::refused(format!("`{named}` is no message of {}", self.config.channel)));
        };
        if let Some(post) = encode::posts(outgoing).into_iter().next() {
            match self.api.edit(&channel, &message, &post).await {
                Ok(()) => {}
                // Somebody took it away: there is nothing to rewrite.
                Err(fault) if fault.is(&[UNKNOWN_MESSAGE]) => return Ok(Receipt { message: None }),
                Err(fault) if fault.is(&[ARCHIVED]) => {
                    self.api.reopen(&channel).await?;
                    self.api.edit(&channel, &message, &post).await?;
                }
                Err(fault) => return Err(fault.error),
            }
        }
        Ok(Receipt { message: Some(named.clone()) })
    }

    /// Tells one person something that is not for the others: by the way back that a gesture of theirs opened, or in their
    /// direct messages.
    async fn send_privately(&self, outgoing: &Outgoing, person: &Person) -> Result<Receipt, Error> {
        let posts = encode::posts(outgoing);
        let application = self.state().us.application.clone();
        if let Some(Ref::Command(id)) = outgoing.in_reply_to.as_ref().and_then(Ref::read)
            && let Some(token) = self.way_back(&id, &person.id)
        {
            if self.promise(&id).await?.is_some() {
                self.break_promise(&outgoing.to.place, &id, &token).await?;
            }
            let mut told = 0;
            while let Some(post) = posts.get(told) {
                match self.api.whisper(&application, &token, post).await {
                    Ok(()) => told += 1,
                    Err(fault) if self.still_opening(&id, &fault).await => {}
                    Err(fault) if told == 0 && fault.is(&CLOSED) => break,
                    Err(fault) => return Err(fault.error),
                }
            }
            if told == posts.len() {
                return Ok(Receipt { message: None });
            }
        }
        let channel = self.direct(&person.id).await?;
        for (n, post) in posts.iter().enumerate() {
            self.api.post(&channel, post, &encode::nonce(&outgoing.key, n), None).await?;
        }
        Ok(Receipt { message: None })
    }

    /// Posts every part that is not there yet.
    async fn post_all(&self, spot: &Spot, outgoing: &Outgoing, attempt: &Attempt) -> Result<Receipt, Error> {
        let mut target = self.target(spot).await?;
        let whole = arguments(outgoing);
        let mut parts = parts(outgoing, attempt, whole.as_deref());
        let there = if attempt.number > 1 {
            self.read_back(spot, &target, outgoing, &parts).await?
        } else {
            BTreeMap::new()
        };
        let mut answered = there.get(&0).cloned();
        if let Some(promise) = self.promised(spot, outgoing).await? {
            answered = self.keep_promise(spot, &promise, answered, parts.first()).await?;
            target = self.target(spot).await?;
        }
        let mut begins = self.begins(spot).await?;
        if begins && answered.is_none() {
            self.introduce_command(spot, &mut parts).await?;
        }
        let mut first = None;
        for (n, part) in parts.iter().enumerate() {
            let there = if n == 0 { answered.as_ref() } else { there.get(&n) };
            let posted = match there {
                Some(message) => message.clone(),
                None => self.post(spot, &target, outgoing, (n, part)).await?,
            };
            if std::mem::take(&mut begins) {
                self.begin_command(spot, &posted).await?;
                if n + 1 < parts.len() {
                    target = self.target(spot).await?;
                }
            }
            if matches!(part, Part::Post(_)) {
                first.get_or_insert(posted);
            }
        }
        Ok(Receipt { message: first.map(|message| message.write()) })
    }

    async fn post(
        &self,
        spot: &Spot,
        target: &Target,
        outgoing: &Outgoing,
        (n, part): (usize, &Part<'_>),
    ) -> Result<Ref, Error> {
        let nonce = encode::nonce(&outgoing.key, n);
        let id = match part {
            Part::Post(post) => {
                let says = matches!(outgoing.content, Content::Text(_)) && outgoing.only.is_none();
                if says
                    && n == 0
                    && let Some((channel, draft)) = self.drafts.take(spot).await
                {
                    match self.api.edit(&channel, &draft, post).await {
                        Ok(()) => {
                            self.keep_below(spot, target, &draft).await?;
                            return Ok(Ref::message(&channel, &draft));
                        }
                        // Somebody took it away: then it is a message like any other.
                        Err(fault) if fault.is(&[UNKNOWN_MESSAGE]) => {}
                        Err(fault) => return Err(fault.error),
                    }
                }
                self.api.post(&target.channel, post, &nonce, target.below.as_deref()).await?
            }
            Part::File { name, kind, bytes } => {
                self.api.post_file(&target.channel, (name, kind, bytes), &nonce).await?
            }
        };
        self.keep_below(spot, target, &id).await?;
        Ok(Ref::message(&target.channel, &id))
    }

    /// Without a thread, whoever replies to a message of ours goes on with its conversation.
    async fn keep_below(&self, spot: &Spot, target: &Target, message: &str) -> Result<(), Error> {
        if target.below.is_some() {
            self.inbox()?.advance(&cursor_of_thread(message), spot.place().as_str()).await?;
        }
        Ok(())
    }

    /// The parts that are there, by their number.
    async fn read_back(
        &self,
        spot: &Spot,
        target: &Target,
        outgoing: &Outgoing,
        parts: &[Part<'_>],
    ) -> Result<BTreeMap<usize, Ref>, Error> {
        let since = outgoing.at.checked_sub(jiff::SignedDuration::from_secs(CLOCKS_S));
        let since = since.unwrap_or(Timestamp::UNIX_EPOCH);
        let us = self.us();
        // The first answer to a command is in its channel, the others are in the thread below.
        let mut conversations = vec![target.channel.as_str()];
        if let (Spot::Channel { channel, .. }, Some(_)) = (spot, command_of(spot))
            && *channel != target.channel
        {
            conversations.insert(0, channel);
        }
        let mut ours: Vec<(&str, Value)> = Vec::new();
        for conversation in conversations {
            let mut after = id_at(since);
            for _ in 0..PAGES_MAX {
                let page = self.api.messages(conversation, &after).await?;
                let full = page.len() >= PAGE;
                if let Some(last) = page.last().and_then(|message| chat::payload::text(message, &["id"])) {
                    last.clone_into(&mut after);
                }
                let said = page.into_iter().filter(|message| is_ours(message, &us));
                ours.extend(said.map(|message| (conversation, message)));
                if !full {
                    break;
                }
            }
        }
        // What earlier messages of this place are is not this one, though it may say the same.
        let entries = self.inbox()?.history(&outgoing.to.place).await?;
        let sent = entries.into_iter().filter_map(|entry| match entry.said {
            Said::Sent(sent) => Some(sent),
            Said::Heard { .. } => None,
        });
        let earlier = sent.take_while(|sent| sent.key != outgoing.key).filter(|sent| sent.at >= since);
        for post in earlier
            .filter(|sent| sent.amends.is_none() && sent.only.is_none())
            .flat_map(|sent| encode::posts(&sent))
        {
            if let Some(n) = ours.iter().position(|(_, message)| post.is(message)) {
                ours.remove(n);
            }
        }
        let mut there = BTreeMap::new();
        for (n, part) in parts.iter().enumerate() {
            let found = ours.iter().position(|(_, message)| match part {
                Part::Post(post) => post.is(message) || introduced(post, message),
                // Discord writes some names its own way.
                Part::File { bytes, .. } => file_of(message) == Some(bytes.len() as u64),
            });
            if let Some(found) = found {
                let (conversation, message) = ours.remove(found);
                let id = chat::payload::text(&message, &["id"]).unwrap_or_default();
                there.insert(n, Ref::message(conversation, id));
            }
        }
        tracing::info!(channel = %self.config.channel, key = %outgoing.key, found = there.len(), "read back what may have arrived");
        Ok(there)
    }

    /// Whether the first message to this place begins the conversation of a command.
    async fn begins(&self, spot: &Spot) -> Result<bool, Error> {
        let Some(id) = command_of(spot) else { return Ok(false) };
        let first = self.inbox()?.cursor(&cursor_of_command(id)).await?;
        Ok(first.is_none_or(|first| first.is_empty()))
    }

    /// The way back that waits for this answer.
    async fn promised(&self, spot: &Spot, outgoing: &Outgoing) -> Result<Option<Promise>, Error> {
        let asked = outgoing.in_reply_to.as_ref().and_then(Ref::read);
        let id = match (command_of(spot), asked) {
            (Some(id), _) => id.to_owned(),
            (None, Some(Ref::Command(id))) => id,
            (None, _) => return Ok(None),
        };
        Ok(self.promise(&id).await?.map(|token| Promise { id, token }))
    }

    /// Fills the place that Discord keeps for the answer to a command, with the first part unless that is there already; gives
    /// the first part, if it stands there then.
    async fn keep_promise(
        &self,
        spot: &Spot,
        promise: &Promise,
        there: Option<Ref>,
        first: Option<&Part<'_>>,
    ) -> Result<Option<Ref>, Error> {
        let answered = match (there, first) {
            (Some(there), _) => Some(there),
            (None, Some(Part::Post(post))) => self.answer_command(spot, promise, post).await?,
            // A file cannot stand there, so the words of the command do, and the file goes below.
            (None, Some(Part::File { .. }) | None) => {
                let words = encode::words(encode::small(&self.words_of(&promise.id).await?));
                if let Some(answered) = self.answer_command(spot, promise, &words).await?
                    && self.begins(spot).await?
                {
                    self.begin_command(spot, &answered).await?;
                }
                None
            }
        };
        self.close_promise(spot, &promise.id).await?;
        Ok(answered)
    }

    /// Answers a command in the place that Discord keeps for the answer; nothing where that is closed. No draft is written
    /// there any more.
    async fn answer_command(
        &self,
        spot: &Spot,
        promise: &Promise,
        post: &Post,
    ) -> Result<Option<Ref>, Error> {
        let draft = self.drafts.of(spot);
        let mut draft = draft.lock().await;
        draft.closed = true;
        loop {
            match self.answer(&promise.token, post).await {
                Ok(answered) => return Ok(Some(answered)),
                Err(fault) if self.still_opening(&promise.id, &fault).await => {}
                Err(fault) if fault.is(&CLOSED) || fault.is(&[UNKNOWN_MESSAGE]) => return Ok(None),
                Err(fault) => return Err(fault.error),
            }
        }
    }

    /// Takes away the place that Discord keeps for the answer to a command: everybody sees what stands there, and what is said
    /// next by the way back would stand there.
    async fn break_promise(&self, place: &Place, id: &str, token: &str) -> Result<(), Error> {
        let application = self.state().us.application.clone();
        loop {
            match self.api.unanswer(&application, token).await {
                Ok(()) => break,
                Err(fault) if self.still_opening(id, &fault).await => {}
                Err(fault) if fault.is(&CLOSED) || fault.is(&[UNKNOWN_MESSAGE]) => break,
                Err(fault) => return Err(fault.error),
            }
        }
        match Spot::read(place) {
            Some(spot) => self.close_promise(&spot, id).await,
            None => Ok(()),
        }
    }

    /// The place that Discord keeps is filled, or is not there any more; what was drafted beside it goes.
    async fn close_promise(&self, spot: &Spot, id: &str) -> Result<(), Error> {
        self.inbox()?.advance(&cursor_of_interaction(id), "").await?;
        if let Some((channel, draft)) = self.drafts.take(spot).await {
            self.api.delete(&channel, &draft).await?;
        }
        Ok(())
    }

    /// Whether a way back is worth another try after a rest: what follows from a gesture can be quicker than our first answer to
    /// it, and before that Discord knows of no way back.
    async fn still_opening(&self, id: &str, fault: &Fault) -> bool {
        let opening = fault.is(&CLOSED) && self.is_opening(id);
        if opening {
            tokio::time::sleep(OPENING_REST).await;
        }
        opening
    }

    /// Writes into the place that Discord keeps for the answer to a command.
    pub(super) async fn answer(&self, token: &str, post: &Post) -> Result<Ref, Fault> {
        let application = self.state().us.application.clone();
        let (channel, message) = self.api.answer(&application, token, post).await?;
        Ok(Ref::message(&channel, &message))
    }

    /// The way back that a command opened, while it is open and was not used.
    pub(super) async fn promise(&self, id: &str) -> Result<Option<String>, Error> {
        let age = Timestamp::now().duration_since(time(id));
        if age.unsigned_abs() > WAY_BACK {
            return Ok(None);
        }
        let token = self.inbox()?.cursor(&cursor_of_interaction(id)).await?;
        Ok(token.filter(|token| !token.is_empty()))
    }

    /// The conversation of a command goes on below this message, from now on, both ways.
    async fn begin_command(&self, spot: &Spot, message: &Ref) -> Result<(), Error> {
        let (Some(id), Ref::Message { message, .. }) = (command_of(spot), message) else { return Ok(()) };
        let inbox = self.inbox()?;
        inbox.advance(&cursor_of_thread(message), spot.place().as_str()).await?;
        inbox.advance(&cursor_of_command(id), message).await
    }

    /// What was asked with a command.
    async fn words_of(&self, id: &str) -> Result<String, Error> {
        Ok(self.inbox()?.cursor(&cursor_of_words(id)).await?.unwrap_or_default())
    }

    /// An answer that comes too late for the place that Discord kept for it says what it answers.
    async fn introduce_command(&self, spot: &Spot, parts: &mut [Part<'_>]) -> Result<(), Error> {
        let Some(id) = command_of(spot) else { return Ok(()) };
        let words = self.words_of(id).await?;
        if let (false, Some(Part::Post(post))) = (words.is_empty(), parts.first_mut()) {
            let introduced = format!("{}\n{}", encode::small(&words), post.content);
            if chars(&introduced) <= MESSAGE_CHARS_MAX {
                post.content = introduced;
            }
        }
        Ok(())
    }
}

/// Whether a message is a post below the line that says what it answers.
fn introduced(post: &Post, message: &Value) -> bool {
    let content = message.get("content").and_then(Value::as_str).unwrap_or_default();
    let below = content.strip_prefix("-# ").and_then(|rest| rest.split_once('\n'));
    below.is_some_and(|(_, rest)| rest.trim() == post.content.trim() && !post.content.trim().is_empty())
}

/// The parts of an outgoing, in order: what a card has no room for goes before it, files go last.
fn parts<'a>(outgoing: &'a Outgoing, attempt: &'a Attempt, whole: Option<&'a str>) -> Vec<Part<'a>> {
    let mut parts = Vec::new();
    if let Some(whole) = whole {
        let name = "arguments.txt".to_owned();
        parts.push(Part::File { name, kind: "text/plain", bytes: whole.as_bytes() });
    }
    parts.extend(encode::posts(outgoing).into_iter().map(|post| Part::Post(Box::new(post))));
    for (file, bytes) in outgoing.files.iter().zip(&attempt.files) {
        let name = chat::text::file_name(&file.name, "file");
        parts.push(Part::File { name, kind: &file.kind, bytes });
    }
    parts
}

fn arguments(outgoing: &Outgoing) -> Option<String> {
    match &outgoing.content {
        Content::Card(card) => encode::arguments(card),
        Content::Text(_) => None,
    }
}
