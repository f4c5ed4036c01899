//! In: a payload is read, completed with what only Discord knows, and handed to the gateway. It counts as heard when that is
//! durable, and not before.
//!
//! What is said in one conversation is taken in the order it came. Nobody brings it again while a session lasts, so what the
//! store does not take is tried until it does; a gesture that Discord waits for is tried as long as Discord waits.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use channel::{Accepted, Body, Error, ErrorKind, Ingress, MessageRef, Place, Timestamp};
use chat::{
    Known, Lanes, Seen,
    payload::{list, text},
};
use serde_json::Value;
use serenity::builder::{CreateInteractionResponse, CreateInteractionResponseMessage};
use tokio::sync::{mpsc, oneshot};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Client, cursor_of_interaction, cursor_of_quoted, cursor_of_thread, cursor_of_words, files, gateway,
};
use crate::{
    decode::{self, Decoded, Form, Gesture, Reader, Reply, Root},
    encode,
    place::{Spot, Under, is_id},
};

/// How long a gesture that Discord waits for is tried; it waits three seconds.
const GESTURE_TIMEOUT: Duration = Duration::from_millis(2_500);
/// How long Discord may take to tell somebody's roles.
const LOOKUP_TIMEOUT: Duration = Duration::from_millis(1_500);
/// How often a conversation that cannot be looked up is tried.
const LOOKUPS_MAX: u32 = 4;
/// Messages whose author is remembered: when one is deleted, Discord does not say whose it was.
const AUTHORS_MAX: usize = 10_000;

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It is durable, or nothing that must be.
    Taken,
    /// It is not.
    NotTaken,
}

/// How a gesture is answered.
pub(super) enum Via {
    /// By a request of ours.
    Gateway,
    /// In the answer to Discord's request.
    Http(oneshot::Sender<Value>),
}

/// The way in.
pub(super) struct Intake {
    client: Arc<Client>,
    ingress: Ingress,
    /// What is said.
    said: Lanes<Job>,
    /// What is pressed, filled in and commanded; Discord waits for that, so it stands behind no file that is being fetched.
    done: Lanes<Job>,
    pub(super) known: Known,
    authors: Mutex<Authors>,
}

#[derive(Default)]
struct Authors {
    of: HashMap<MessageRef, (String, Spot)>,
    order: VecDeque<MessageRef>,
}

/// A payload in its line.
struct Job {
    what: What,
    payload: Value,
    told: oneshot::Sender<Answer>,
}

enum What {
    Said,
    /// Read again from Discord, and not brought by it.
    SaidBefore,
    Edited,
    Deleted,
    Done(Via),
}

impl Intake {
    pub(super) fn start(
        client: Arc<Client>,
        ingress: Ingress,
        tasks: &TaskTracker,
        stop: CancellationToken,
    ) -> Arc<Self> {
        let (said, said_ends) = Lanes::new();
        let (done, done_ends) = Lanes::new();
        let (known, authors) = (Known::default(), Mutex::default());
        let intake = Arc::new(Self { client, ingress, said, done, known, authors });
        for end in said_ends.into_iter().chain(done_ends) {
            tasks.spawn(intake.clone().work(end, stop.clone()));
        }
        let saver = intake.clone();
        tasks.spawn(async move { saver.known.keep_saving(&saver.ingress, &stop).await });
        intake
    }

    pub(super) fn token(&self) -> &str {
        self.client.api.token()
    }

    /// Whether an address is one of Discord's gateways.
    pub(super) fn is_own(&self, url: &str) -> bool {
        gateway::is_own(url, self.client.api.base())
    }

    /// The roles that mean the bot.
    pub(super) fn roles_of_us(&self) -> Vec<String> {
        self.client.rooms.roles()
    }

    pub(super) fn channel(&self) -> &channel::ChannelName {
        &self.client.config.channel
    }

    async fn work(self: Arc<Self>, mut end: mpsc::Receiver<Job>, stop: CancellationToken) {
        let work = async {
            while let Some(Job { what, payload, told }) = end.recv().await {
                let answer = self.take(what, &payload).await;
                let _ = told.send(answer);
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = work => {}
        }
    }

    /// Takes an event of the gateway's. Nothing comes back where nothing must become durable.
    pub(super) async fn event(&self, kind: &str, payload: Value) -> Option<oneshot::Receiver<Answer>> {
        let what = match kind {
            "MESSAGE_CREATE" => What::Said,
            "MESSAGE_UPDATE" => What::Edited,
            "MESSAGE_DELETE" => What::Deleted,
            "INTERACTION_CREATE" if self.client.config.endpoint.is_none() => What::Done(Via::Gateway),
            _ => {
                self.client.rooms.learn(kind, &payload, &self.client.us());
                if kind == "GUILD_DELETE" && !gateway::is_outage(&payload) {
                    let guild = text(&payload, &["id"]).unwrap_or_default();
                    tracing::warn!(channel = %self.channel(), guild, "the bot was taken off a server");
                }
                return None;
            }
        };
        Some(self.line_up(what, payload).await)
    }

    /// Takes a gesture that came over HTTP.
    pub(super) async fn gesture(&self, payload: Value, tell: oneshot::Sender<Value>) {
        self.line_up(What::Done(Via::Http(tell)), payload).await;
    }

    /// Takes a message that was read again.
    pub(super) async fn read_again(&self, message: Value) -> oneshot::Receiver<Answer> {
        self.line_up(What::SaidBefore, message).await
    }

    async fn line_up(&self, what: What, payload: Value) -> oneshot::Receiver<Answer> {
        let (told, answer) = oneshot::channel();
        let key = text(&payload, &["channel_id"]).unwrap_or_default().to_owned();
        let lanes = if matches!(what, What::Done(_)) { &self.done } else { &self.said };
        lanes.push(&key, Job { what, payload, told }).await;
        answer
    }

    /// Reads a payload, once it is known where its conversation is.
    async fn read(&self, payload: &Value, decode: impl Fn(Reader<'_>) -> Decoded) -> Result<Decoded, Error> {
        let us = self.client.us();
        let mut tries = 0;
        loop {
            let rooms = &self.client.rooms;
            let room = |channel: &str| rooms.of(channel);
            let client = &self.client.config;
            let reader =
                Reader { channel: &client.channel, settings: &client.settings, us: &us, room: &room };
            let channel = match decode(reader) {
                Decoded::Unknown { channel } => channel,
                known @ (Decoded::Gesture(_) | Decoded::Form(_) | Decoded::Nothing(_)) => return Ok(known),
            };
            match self.client.look_up(&channel).await {
                Ok(()) if rooms.of(&channel).is_some() => {}
                Ok(()) => return Ok(Decoded::Nothing("a conversation of no known kind")),
                Err(error) if matches!(error.kind, ErrorKind::Retry { .. } | ErrorKind::Ambiguous) => {
                    tries += 1;
                    if tries >= LOOKUPS_MAX {
                        return Err(error);
                    }
                    tokio::time::sleep(chat::back_off(tries, error.kind)).await;
                }
                Err(error) => {
                    let conversation = text(payload, &["channel_id"]).unwrap_or_default();
                    tracing::warn!(channel = %self.channel(), conversation, %error, "a conversation cannot be looked up");
                    return Ok(Decoded::Nothing("a conversation that cannot be looked up"));
                }
            }
        }
    }

    async fn take(&self, what: What, payload: &Value) -> Answer {
        match what {
            What::Said => self.heard(payload, decode::message, false).await,
            What::SaidBefore => self.heard(payload, decode::message, true).await,
            What::Edited => self.heard(payload, decode::updated, false).await,
            What::Deleted => {
                let author = self.author(payload);
                let author = author.as_ref().map(|(user, spot)| (user.as_str(), spot));
                self.heard(payload, |reader, payload| decode::deleted(reader, payload, author), false).await
            }
            What::Done(via) => self.done(payload, via).await,
        }
    }

    async fn heard(
        &self,
        payload: &Value,
        decode: impl Fn(Reader<'_>, &Value) -> Decoded,
        again: bool,
    ) -> Answer {
        let mut gesture = match self.read(payload, |reader| decode(reader, payload)).await {
            Ok(Decoded::Gesture(gesture)) => gesture,
            Ok(Decoded::Nothing(why)) => {
                tracing::trace!(channel = %self.channel(), why, "nothing for us");
                return Answer::Taken;
            }
            Ok(Decoded::Form(_) | Decoded::Unknown { .. }) => return Answer::Taken,
            Err(error) => {
                tracing::warn!(channel = %self.channel(), %error, "a message is not taken; with its session it comes again");
                return Answer::NotTaken;
            }
        };
        if let Body::Text { files, .. } = &mut gesture.inbound.body {
            let api = &self.client.api;
            *files = files::fetch(api, &gesture.files, &self.client.config.settings.limits).await;
        }
        let mut failures = 0;
        loop {
            match self.accept(&mut gesture, again).await {
                Ok(()) => return Answer::Taken,
                Err(error) if matches!(error.kind, ErrorKind::Retry { .. } | ErrorKind::Ambiguous) => {
                    if failures == 0 {
                        tracing::warn!(channel = %self.channel(), %error, "a message waits: it cannot be taken now");
                    }
                    let wait = chat::back_off(failures, error.kind).min(Duration::from_secs(5));
                    failures += 1;
                    tokio::time::sleep(wait).await;
                }
                Err(error) => {
                    tracing::warn!(channel = %self.channel(), %error, "a message was refused for good");
                    self.tell_refused(&gesture, &error).await;
                    return Answer::Taken;
                }
            }
        }
    }

    /// Hands a gesture over.
    async fn accept(&self, gesture: &mut Gesture, again: bool) -> Result<(), Error> {
        self.follow_root(gesture).await?;
        let inbound = gesture.inbound.clone();
        let (place, message) = (inbound.at.place.clone(), inbound.message.clone());
        let says = matches!(inbound.body, Body::Text { .. });
        let accepted = self.ingress.inbox.accept(inbound).await?;
        if gesture.reply == Reply::Nothing && says {
            self.note(gesture, &place, message.as_ref());
        }
        if accepted == Accepted::New {
            if again {
                self.known.count();
            }
            if let Some(spot) = Spot::read(&place) {
                self.client.presence.spoken_to(&spot, gesture.inbound.addressed);
            }
        }
        Ok(())
    }

    /// A conversation without a thread of its own is known by its messages; the thread of a command, by its first answer.
    async fn follow_root(&self, gesture: &mut Gesture) -> Result<(), Error> {
        let Some(spot) = Spot::read(&gesture.inbound.at.place) else { return Ok(()) };
        let begins = |thread: &str| {
            gesture.inbound.message.as_ref().is_some_and(|said| said.as_str().ends_with(thread))
        };
        let place = match (&spot, &gesture.root) {
            (Spot::Channel { .. }, Some(root)) => self.conversation_of(&spot, root).await?,
            // Below a message that was said just now there is nothing yet.
            (Spot::Channel { under: Under::Thread(thread), .. }, None) if !begins(thread) => {
                self.conversation_below(thread).await?
            }
            (Spot::Channel { .. } | Spot::Person(_), _) => None,
        };
        if let Some(place) = place {
            gesture.inbound.at.place = place;
        }
        Ok(())
    }

    /// The conversation that a message of ours in a channel belongs to: as it was noted, or, until it is, as the message says
    /// itself.
    async fn conversation_of(&self, spot: &Spot, root: &Root) -> Result<Option<Place>, Error> {
        let Spot::Channel { guild, channel, .. } = spot else { return Ok(None) };
        for message in [Some(&root.message), root.below.as_ref()].into_iter().flatten() {
            let noted = self.conversation_below(message).await?;
            if noted.is_some() {
                return Ok(noted);
            }
        }
        let under = match (&root.command, &root.below) {
            (Some(command), _) => Under::Command(command.clone()),
            (None, Some(message)) => Under::Thread(message.clone()),
            (None, None) => return Ok(None),
        };
        let (guild, channel) = (guild.clone(), channel.clone());
        Ok(Some(Spot::Channel { guild, channel, under }.place()))
    }

    /// The conversation that is noted to go on below a message.
    async fn conversation_below(&self, message: &str) -> Result<Option<Place>, Error> {
        let noted = self.ingress.inbox.cursor(&cursor_of_thread(message)).await?;
        Ok(noted.filter(|place| !place.is_empty()).map(Place::new))
    }

    /// Remembers what was said where, and by whom.
    fn note(&self, gesture: &Gesture, place: &Place, message: Option<&MessageRef>) {
        let Some(message) = message else { return };
        let Some((_, id)) = message.as_str().split_once('/') else { return };
        let seen = Seen { channel: gesture.channel.clone(), message: id.to_owned() };
        self.known.note(&gesture.channel, &seen);
        let Some(spot) = Spot::read(place) else { return };
        let mut authors = self.authors.lock().unwrap_or_else(PoisonError::into_inner);
        if authors.of.insert(message.clone(), (gesture.user.clone(), spot)).is_none() {
            authors.order.push_back(message.clone());
            if authors.order.len() > AUTHORS_MAX
                && let Some(oldest) = authors.order.pop_front()
            {
                authors.of.remove(&oldest);
            }
        }
    }

    fn author(&self, payload: &Value) -> Option<(String, Spot)> {
        let of = |key: &str| text(payload, &[key]).unwrap_or_default();
        let message = MessageRef::new(format!("{}/{}", of("channel_id"), of("id")));
        self.authors.lock().unwrap_or_else(PoisonError::into_inner).of.get(&message).cloned()
    }

    /// Best effort: what was refused is in no log, so nothing else can tell.
    async fn tell_refused(&self, gesture: &Gesture, error: &Error) {
        let post = encode::words(encode::small(&format!("This could not be taken: {}.", error.what)));
        let message = gesture.inbound.message.as_ref().and_then(|message| message.as_str().split_once('/'));
        let Some((channel, message)) = message else { return };
        let nonce = chat::text::digest(&["refused", message]);
        let _ = self.client.api.post(channel, &post, &nonce, Some(message)).await;
    }

    /// Takes a gesture that Discord waits for.
    async fn done(&self, payload: &Value, via: Via) -> Answer {
        let began = Instant::now();
        let quoted = self.quoted(payload).await;
        let decoded =
            self.read(payload, |reader| decode::interaction(reader, payload, quoted.as_deref())).await;
        let (id, token) = (text(payload, &["id"]), text(payload, &["token"]));
        let (Some(id), Some(token)) = (id, token) else { return Answer::Taken };
        let response = match decoded {
            Ok(Decoded::Gesture(gesture)) => self.gesture_done(*gesture, (id, token), began).await,
            Ok(Decoded::Form(form)) => self.form(*form).await,
            Ok(Decoded::Nothing(why)) => {
                tracing::debug!(channel = %self.channel(), why, "nothing for us");
                Some(encode::notice("That is not offered here any more."))
            }
            Ok(Decoded::Unknown { .. }) => None,
            Err(error) => {
                tracing::warn!(channel = %self.channel(), %error, "a gesture is not taken");
                None
            }
        };
        let Some(response) = response else { return Answer::Taken };
        match via {
            Via::Gateway => {
                if let Err(fault) = self.client.api.respond(id, token, &response).await {
                    // Three seconds have passed, or it was answered before: what it meant is taken all the same.
                    tracing::info!(channel = %self.channel(), error = %fault.error, "a gesture was answered too late");
                }
            }
            Via::Http(tell) => {
                let _ = tell.send(response);
            }
        }
        Answer::Taken
    }

    /// Hands a gesture over while Discord waits; what the person is told at once, unless it could not be taken.
    async fn gesture_done(
        &self,
        mut gesture: Gesture,
        (id, token): (&str, &str),
        began: Instant,
    ) -> Option<Value> {
        self.client.note_gesture(&gesture.user, id, token);
        if gesture.inbound.ticket.is_some() {
            gesture.inbound.from.roles = self.roles(&gesture).await;
        }
        let mut failures = 0;
        let refused = loop {
            let taken = async {
                self.keep_command(&gesture, id, token).await?;
                self.accept(&mut gesture, false).await
            };
            match taken.await {
                Ok(()) => break None,
                Err(error) if matches!(error.kind, ErrorKind::Retry { .. } | ErrorKind::Ambiguous) => {
                    let wait = chat::back_off(failures, error.kind);
                    failures += 1;
                    if began.elapsed() + wait > GESTURE_TIMEOUT {
                        tracing::warn!(channel = %self.channel(), %error, "a gesture is not taken; the person is told that it failed");
                        return None;
                    }
                    tokio::time::sleep(wait).await;
                }
                Err(error) => break Some(error),
            }
        };
        if let Some(error) = refused {
            tracing::warn!(channel = %self.channel(), %error, "a gesture was refused for good");
            return Some(encode::notice(&format!("This could not be taken: {}.", error.what)));
        }
        Some(match gesture.reply {
            Reply::Nothing | Reply::Received => encode::response(&CreateInteractionResponse::Acknowledge),
            Reply::Later { .. } => {
                let nothing_yet = CreateInteractionResponseMessage::new().allowed_mentions(encode::nobody());
                encode::response(&CreateInteractionResponse::Defer(nothing_yet))
            }
            Reply::Below => encode::notice("I am on it, and answer below that message."),
        })
    }

    /// The roles of whoever answers, asked for now: what a payload says may be old. Nobody has a role that Discord does not
    /// tell of in time.
    async fn roles(&self, gesture: &Gesture) -> Vec<String> {
        let facts = &gesture.inbound.facts;
        let Some((_, guild)) = facts.iter().find(|(name, _)| name == "guild") else { return Vec::new() };
        let asked = tokio::time::timeout(LOOKUP_TIMEOUT, self.client.api.member(guild, &gesture.user)).await;
        match asked {
            Ok(Ok(member)) => {
                let roles = list(&member, &["roles"]).iter().filter_map(Value::as_str);
                roles.filter(|role| is_id(role)).map(|role| format!("{guild}/{role}")).collect()
            }
            Ok(Err(fault)) => {
                tracing::warn!(channel = %self.channel(), error = %fault.error, "whoever answers counts without their roles");
                Vec::new()
            }
            Err(_) => {
                tracing::warn!(channel = %self.channel(), "Discord did not tell roles in time; whoever answers counts without them");
                Vec::new()
            }
        }
    }

    /// Keeps what the answer to a command takes: the way back, which is open for a quarter of an hour, and the words, which
    /// nobody else sees.
    async fn keep_command(&self, gesture: &Gesture, id: &str, token: &str) -> Result<(), Error> {
        let Reply::Later { words } = &gesture.reply else { return Ok(()) };
        self.ingress.inbox.advance(&cursor_of_words(id), words).await?;
        self.ingress.inbox.advance(&cursor_of_interaction(id), token).await
    }

    /// What was kept when a form about a message was opened.
    async fn quoted(&self, payload: &Value) -> Option<String> {
        let id = text(payload, &["data", "custom_id"])?;
        let (decode::ASK, _, message) = decode::parts(id)? else { return None };
        self.ingress.inbox.cursor(&cursor_of_quoted(message)).await.ok().flatten()
    }

    /// A form. What stands in it comes from the gateway's own log, not from the message that was pressed.
    async fn form(&self, form: Form) -> Option<Value> {
        let (kind, _, name) = decode::parts(&form.id)?;
        let prepared = async {
            if let (decode::ASK, Some(quoted)) = (kind, &form.quoted) {
                self.ingress.inbox.advance(&cursor_of_quoted(name), quoted).await?;
                return Ok(None);
            }
            self.card(&form, name).await
        };
        match tokio::time::timeout(GESTURE_TIMEOUT, prepared).await {
            Ok(Ok(card)) => Some(
                encode::form(&form.id, card.as_ref())
                    .unwrap_or_else(|| encode::notice("This card does not offer that any more.")),
            ),
            Ok(Err(error)) => {
                let error: Error = error;
                tracing::warn!(channel = %self.channel(), %error, "a form could not be opened");
                None
            }
            Err(_) => None,
        }
    }

    /// The card of a ticket, as the gateway sent it to this place last.
    async fn card(&self, form: &Form, ticket: &str) -> Result<Option<channel::Card>, Error> {
        let inbox = &self.ingress.inbox;
        let mut places = vec![form.spot.place()];
        let noted = match (&form.spot, &form.root) {
            (spot, Some(root)) => self.conversation_of(spot, root).await?,
            (Spot::Channel { under: Under::Thread(thread), .. }, None) => {
                self.conversation_below(thread).await?
            }
            (Spot::Channel { .. } | Spot::Person(_), None) => None,
        };
        if let Some(noted) = noted {
            places.insert(0, noted);
        }
        for place in places {
            let entries = inbox.history(&place).await?;
            let found = entries.into_iter().rev().find_map(|entry| match entry.said {
                channel::Said::Sent(outgoing) => match outgoing.content {
                    channel::Content::Card(card) if card.ticket.as_str() == ticket => Some(card),
                    channel::Content::Card(_) | channel::Content::Text(_) => None,
                },
                channel::Said::Heard { .. } => None,
            });
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }
}

/// From when on something is looked for again: a little before it was.
pub(super) fn a_little_before(time: Timestamp) -> Timestamp {
    time.checked_sub(jiff::SignedDuration::from_secs(60)).unwrap_or(Timestamp::UNIX_EPOCH)
}
