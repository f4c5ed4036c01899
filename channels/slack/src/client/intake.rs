//! In: a payload is read, completed with what only Slack knows, and handed to the gateway. Whoever brought it is told when
//! that is durable, and not before.
//!
//! Gestures of one place are taken one after another, in the order they came.

use std::sync::Arc;

use channel::{Accepted, Body, Error, ErrorKind, Ingress, Place, Timestamp, Verified};
use chat::{Known, Lanes, payload::is};
use serde_json::{Value, json};
use tokio::sync::{Semaphore, oneshot};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Client, backfill, files, people::Standing};
use crate::{
    client::api::Workspace,
    config::Who,
    decode::{self, Decoded, Form, Gesture, Purpose, Reader, Us},
    encode,
    place::{Ref, Room, Spot, Under},
};

/// Forms that are opened at the same time.
const FORMS_MAX: usize = 32;

/// What sort of payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Event,
    Interactive,
    Command,
}

/// What whoever brought a payload is told.
#[derive(Debug, PartialEq)]
pub(super) enum Answer {
    /// It is taken care of; with what Slack is to show, if anything.
    Taken(Option<Value>),
    /// It is not: it must come again.
    NotTaken,
}

/// The way in.
pub(super) struct Intake {
    client: Arc<Client>,
    ingress: Ingress,
    lanes: Lanes<Job>,
    forms: Arc<Semaphore>,
    tasks: TaskTracker,
    stop: CancellationToken,
    pub(super) known: Known,
}

/// A gesture in its line.
struct Job {
    gesture: Box<Gesture>,
    told: oneshot::Sender<Answer>,
    /// Read again from Slack, and not brought by it.
    backfilled: bool,
}

impl Intake {
    pub(super) fn start(
        client: Arc<Client>,
        ingress: Ingress,
        tasks: &TaskTracker,
        stop: CancellationToken,
    ) -> Arc<Self> {
        let (lanes, receivers) = Lanes::new();
        let intake = Arc::new(Self {
            client,
            ingress,
            lanes,
            forms: Arc::new(Semaphore::new(FORMS_MAX)),
            tasks: tasks.clone(),
            stop,
            known: Known::default(),
        });
        for mut receiver in receivers {
            let intake = intake.clone();
            tasks.spawn(async move {
                let stop = intake.stop.clone();
                let work = async {
                    while let Some(job) = receiver.recv().await {
                        let answer = intake.take(*job.gesture, job.backfilled).await;
                        // Whoever brought it may have gone: then it comes again, and is known.
                        let _ = job.told.send(answer);
                    }
                };
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = work => {}
                }
            });
        }
        let saver = intake.clone();
        tasks.spawn(async move { saver.known.keep_saving(&saver.ingress, &saver.stop).await });
        intake
    }

    /// Takes a payload; the answer comes when it is durable, and never if the channel stops before that.
    pub(super) async fn bring(&self, kind: Kind, payload: &Value) -> oneshot::Receiver<Answer> {
        let us = |team: &str| -> Option<Us> { self.client.us(team) };
        let reader = self.reader(&us);
        let decoded = match kind {
            Kind::Event => decode::event(reader, payload),
            Kind::Interactive => decode::interactive(reader, payload),
            Kind::Command => decode::command(reader, payload),
        };
        self.follow(decoded).await
    }

    /// Takes a message that was read again from Slack.
    pub(super) async fn read_again(
        &self,
        workspace: &Workspace,
        message: &Value,
    ) -> oneshot::Receiver<Answer> {
        let us = |team: &str| -> Option<Us> { self.client.us(team) };
        let outer = decode::Outer { team: &workspace.team, event_id: None, enterprise: None };
        match decode::message(self.reader(&us), &workspace.us, outer, message) {
            Decoded::Gesture(gesture) => self.line_up(gesture, true).await,
            Decoded::Form(_)
            | Decoded::Opened { .. }
            | Decoded::Help { .. }
            | Decoded::Gone { .. }
            | Decoded::Nothing(_) => oneshot::channel().1,
        }
    }

    fn reader<'a>(&'a self, us: &'a (dyn Fn(&str) -> Option<Us> + Sync)) -> Reader<'a> {
        Reader { channel: &self.client.config.channel, settings: &self.client.config.settings, us }
    }

    async fn follow(&self, decoded: Decoded) -> oneshot::Receiver<Answer> {
        let at_once = |answer| {
            let (tell, told) = oneshot::channel();
            let _ = tell.send(Answer::Taken(answer));
            told
        };
        match decoded {
            Decoded::Gesture(gesture) => self.line_up(gesture, false).await,
            Decoded::Form(form) => {
                self.open_form(*form).await;
                at_once(None)
            }
            Decoded::Opened { team, channel, thread } => {
                let client = self.client.clone();
                self.spawn(async move { client.offer_prompts(&team, &channel, &thread).await });
                at_once(None)
            }
            Decoded::Help { command } => at_once(Some(told_privately(&usage(&command)))),
            Decoded::Gone { team } => {
                tracing::error!(channel = %self.client.config.channel, %team, "the app was taken off the workspace, or its token \
                    was revoked; install it again, and put the new token into the environment");
                self.client.forget(&team);
                at_once(None)
            }
            Decoded::Nothing(why) => {
                tracing::debug!(channel = %self.client.config.channel, why, "nothing for us");
                at_once(None)
            }
        }
    }

    async fn line_up(&self, gesture: Box<Gesture>, backfilled: bool) -> oneshot::Receiver<Answer> {
        let (told, answer) = oneshot::channel();
        let place = gesture.inbound.at.place.clone();
        // A line whose end is gone drops the job: nobody is told, so it comes again.
        self.lanes.push(&place, Job { gesture, told, backfilled }).await;
        answer
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = task => {}
            }
        });
    }

    /// Completes a gesture and hands it over.
    async fn take(&self, mut gesture: Gesture, backfilled: bool) -> Answer {
        let channel = &self.client.config.channel;
        match self.complete(&mut gesture).await {
            Ok(true) => {}
            Ok(false) => return Answer::Taken(None),
            Err(error) => {
                tracing::warn!(%channel, %error, "a gesture is not taken: who made it cannot be found out now");
                return Answer::NotTaken;
            }
        }
        let shown = match self.prepare_command(&gesture).await {
            Ok(shown) => shown,
            Err(error) => {
                tracing::warn!(%channel, %error, "a command is not taken");
                return Answer::NotTaken;
            }
        };
        let (place, user) = (gesture.inbound.at.place.clone(), gesture.user.clone());
        let message = gesture.inbound.message.clone();
        let begins = self.begins(&gesture);
        let refused_to = (gesture.team.clone(), gesture.channel.clone(), user.clone());
        match self.ingress.inbox.accept(gesture.inbound).await {
            Ok(accepted) => {
                if let Some(message) = message.as_ref().and_then(Ref::read) {
                    backfill::note(&self.known, &place, &message);
                }
                if accepted == Accepted::New {
                    if let (Some(words), Some(spot)) = (begins, Spot::read(&place)) {
                        self.client.presence.title(spot, &words);
                    }
                    self.client.presence.spoke(&place, &user);
                    if backfilled {
                        self.known.count();
                    }
                }
                Answer::Taken(shown)
            }
            Err(error) if matches!(error.kind, ErrorKind::Retry { .. } | ErrorKind::Ambiguous) => {
                tracing::warn!(%channel, %error, "a gesture is not taken; Slack will bring it again");
                Answer::NotTaken
            }
            Err(error) => {
                tracing::warn!(%channel, %error, "a gesture was refused for good");
                self.tell_refused(refused_to, &place, &error);
                Answer::Taken(None)
            }
        }
    }

    /// Fills in who it is, where it belongs, and the files. False where it starts nothing.
    async fn complete(&self, gesture: &mut Gesture) -> Result<bool, Error> {
        let client = &self.client;
        let workspace = client.workspace(&gesture.team).await?;
        let verified = match client.people.know(&client.api, &workspace, &gesture.user).await {
            Ok(known) => {
                gesture.inbound.from.name = known.name;
                let says =
                    !matches!(gesture.inbound.body, Body::Press { .. }) && gesture.inbound.ticket.is_none();
                let Some(verified) = self.verdict(&known.standing, &home_of(gesture), says) else {
                    return Ok(false);
                };
                let standing = standing_word(&known.standing);
                gesture.inbound.facts.push(("standing".to_owned(), standing.to_owned()));
                verified
            }
            Err(fault) => match fault.error.kind {
                ErrorKind::Retry { .. } | ErrorKind::Ambiguous => return Err(fault.error),
                ErrorKind::Misconfigured | ErrorKind::Refused => {
                    tracing::error!(channel = %client.config.channel, error = %fault.error, "who wrote cannot be found out");
                    claimed("Slack does not say who this is", "Please ask the people who run this gateway.")
                }
            },
        };
        gesture.inbound.from.verified = verified;
        if gesture.inbound.sent == Timestamp::UNIX_EPOCH {
            gesture.inbound.sent = Timestamp::now();
        }
        self.follow_command(gesture).await?;
        if let Body::Text { files, .. } = &mut gesture.inbound.body {
            *files =
                files::fetch(&client.api, &workspace, &gesture.files, &client.config.settings.limits).await;
        }
        Ok(true)
    }

    /// The words that begin a thread of the assistant's, if they do.
    fn begins(&self, gesture: &Gesture) -> Option<String> {
        let spot = Spot::read(&gesture.inbound.at.place)?;
        let thread = matches!((&spot.room, &spot.under), (Room::Person(_), Under::Thread(_)));
        match &gesture.inbound.body {
            Body::Text { text, .. } if thread && !self.known.knows(gesture.inbound.at.place.as_str()) => {
                Some(text.clone())
            }
            Body::Text { .. }
            | Body::Press { .. }
            | Body::Edited { .. }
            | Body::Deleted
            | Body::Undelivered { .. } => None,
        }
    }

    /// What a standing proves; nothing where what such a person says starts nothing.
    fn verdict(&self, standing: &Standing, home: &str, says: bool) -> Option<Verified> {
        let settings = &self.client.config.settings;
        let proven = || Verified::Proven { by: format!("Slack, {home}") };
        match standing {
            Standing::Bot => None,
            Standing::Member => Some(proven()),
            Standing::Guest if settings.guests == Who::Talk => Some(proven()),
            Standing::Guest => (!says).then(|| {
                claimed("a guest of the workspace", "Guests of this workspace may not decide anything here.")
            }),
            Standing::Stranger { team } => (settings.strangers == Who::Talk || !says).then(|| {
                let why = format!("of another organisation ({team})");
                claimed(&why, "People of other organisations may not decide anything here.")
            }),
            Standing::Gone => {
                Some(claimed("the account was closed", "Please ask the people who run this gateway."))
            }
        }
    }

    /// A conversation that a command began is known by the command, also where people go on below its first answer.
    async fn follow_command(&self, gesture: &mut Gesture) -> Result<(), Error> {
        let (Some(root), Some(spot)) = (&gesture.root, Spot::read(&gesture.inbound.at.place)) else {
            return Ok(());
        };
        let ts = match &spot.under {
            Under::Thread(ts) => ts,
            Under::Top => root,
            Under::Command(_) => return Ok(()),
        };
        let root = Ref { team: gesture.team.clone(), channel: gesture.channel.clone(), ts: ts.clone() };
        if let Some(place) = self.ingress.inbox.cursor(&super::cursor_of_thread(&root)).await? {
            gesture.inbound.at.place = Place::new(place);
        }
        Ok(())
    }

    /// Keeps the words of a command, which nobody else sees, until they are shown above the answer; and says at once
    /// where that will be.
    async fn prepare_command(&self, gesture: &Gesture) -> Result<Option<Value>, Error> {
        let Some(words) = &gesture.command else { return Ok(None) };
        let Some(spot) = Spot::read(&gesture.inbound.at.place) else { return Ok(None) };
        if !matches!(spot.under, Under::Command(_)) {
            return Ok(Some(told_privately("I answer in our direct messages.")));
        }
        let words = format!("{}: {words}", gesture.inbound.from.name);
        self.ingress.inbox.advance(&super::cursor_of_words(&spot), &words).await?;
        let workspace = self.client.workspace(&gesture.team).await?;
        let asked = self.client.api.conversation(&workspace, &gesture.channel);
        let asked = tokio::time::timeout(std::time::Duration::from_millis(1_500), asked).await;
        let inside = match asked {
            Ok(Ok(answer)) => is(&answer, &["channel", "is_member"]),
            Ok(Err(fault)) => !fault.is(&["channel_not_found"]),
            // Slow is no reason to alarm anybody.
            Err(_) => true,
        };
        Ok(Some(told_privately(&if inside {
            "I am on it, and answer here.".to_owned()
        } else {
            format!(
                "I am on it, but I am not in this channel: say `/invite @{}`, and I answer here.",
                workspace.handle
            )
        })))
    }

    /// Opens a form. What stands in it comes from the gateway's own log, not from the message that was pressed.
    async fn open_form(&self, form: Form) {
        let Ok(permit) = self.forms.clone().try_acquire_owned() else {
            tracing::warn!(channel = %self.client.config.channel, "too many forms are being opened");
            return;
        };
        let (client, inbox) = (self.client.clone(), self.ingress.inbox.clone());
        self.spawn(async move {
            let opened = client.open_form(inbox.as_ref(), form).await;
            if let Err(error) = opened {
                tracing::warn!(channel = %client.config.channel, %error, "a form could not be opened");
            }
            drop(permit);
        });
    }

    /// Best effort: a gesture that was refused is in no log, so nothing else can tell.
    fn tell_refused(&self, (team, channel, user): (String, String, String), place: &Place, error: &Error) {
        let Some(spot) = Spot::read(place).filter(|_| !channel.is_empty()) else { return };
        let thread = match spot.under {
            Under::Thread(ts) => Some(ts),
            Under::Top | Under::Command(_) => None,
        };
        let (client, what) = (self.client.clone(), error.what.clone());
        self.spawn(async move {
            let Ok(workspace) = client.workspace(&team).await else { return };
            let text = format!("This could not be taken: {what}.");
            let post =
                encode::Post { blocks: vec![encode::note_block(&text)], text: encode::fallback(&text) };
            let at = (channel.as_str(), thread.as_deref());
            let _ = client.api.post_ephemeral(&workspace, at, &user, &post).await;
        });
    }
}

impl Client {
    async fn open_form(&self, inbox: &dyn channel::Inbox, form: Form) -> Result<(), Error> {
        let workspace = self.workspace(&form.team).await?;
        let card = match (&form.purpose, &form.card) {
            (Purpose::Choice { ticket, place, .. } | Purpose::Answer { ticket, place, .. }, Some(_)) => {
                self.card(inbox, place, &form, ticket).await?
            }
            (Purpose::Choice { .. } | Purpose::Answer { .. } | Purpose::Ask { .. }, _) => None,
        };
        let view = encode::form(&form.purpose, card.as_ref())
            .unwrap_or_else(|| encode::notice("This card does not offer that any more."));
        Ok(self.api.open_view(&workspace, &form.trigger, view).await?)
    }

    /// The card of a ticket, as the gateway sent it to this place last.
    async fn card(
        &self,
        inbox: &dyn channel::Inbox,
        place: &str,
        form: &Form,
        ticket: &str,
    ) -> Result<Option<channel::Card>, Error> {
        let mut place = Place::new(place);
        if let (Some(spot), Some(card)) = (Spot::read(&place), &form.card) {
            let ts = match &spot.under {
                Under::Thread(ts) => ts,
                Under::Top | Under::Command(_) => card,
            };
            let named = match &form.purpose {
                Purpose::Choice { message, .. }
                | Purpose::Answer { message, .. }
                | Purpose::Ask { message, .. } => Ref::read(&channel::MessageRef::new(message)),
            };
            let root = named.map(|named| Ref { ts: ts.clone(), ..named });
            if let Some(root) = root
                && let Some(command) = inbox.cursor(&super::cursor_of_thread(&root)).await?
            {
                place = Place::new(command);
            }
        }
        let entries = inbox.history(&place).await?;
        Ok(entries.into_iter().rev().find_map(|entry| match entry.said {
            channel::Said::Sent(outgoing) => match outgoing.content {
                channel::Content::Card(card) if card.ticket.as_str() == ticket => Some(card),
                channel::Content::Card(_) | channel::Content::Text(_) => None,
            },
            channel::Said::Heard { .. } => None,
        }))
    }

    async fn offer_prompts(&self, team: &str, channel: &str, thread: &str) {
        let prompts = &self.config.settings.prompts;
        if prompts.is_empty() {
            return;
        }
        let offered = async {
            let workspace = self.workspace(team).await?;
            self.api.set_prompts(&workspace, channel, thread, prompts).await.map_err(Error::from)
        };
        if let Err(error) = offered.await {
            tracing::warn!(channel = %self.config.channel, %error, "an assistant thread was not offered anything to say");
        }
    }
}

/// The workspace of a gesture, and the Enterprise organisation that it belongs to, for the log.
fn home_of(gesture: &Gesture) -> String {
    let enterprise = gesture.inbound.facts.iter().find(|(name, _)| name == "enterprise");
    match enterprise {
        Some((_, enterprise)) => format!("workspace {} of {enterprise}", gesture.team),
        None => format!("workspace {}", gesture.team),
    }
}

fn claimed(why: &str, remedy: &str) -> Verified {
    Verified::Claimed { why: why.to_owned(), remedy: Some(remedy.to_owned()) }
}

fn standing_word(standing: &Standing) -> &'static str {
    match standing {
        Standing::Member => "member",
        Standing::Guest => "guest",
        Standing::Stranger { .. } => "stranger",
        Standing::Bot => "bot",
        Standing::Gone => "closed",
    }
}

fn usage(command: &str) -> String {
    format!("Write `{command} ask` and what is to be done, for example `{command} ask where is order 1001?`")
}

fn told_privately(text: &str) -> Value {
    json!({ "response_type": "ephemeral", "text": text })
}
