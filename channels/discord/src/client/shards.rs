//! The connections to Discord's gateway, one a shard: each begun in its turn, gone on with where it stopped, and dropped for a
//! new one where that does not work.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use channel::{Error, ErrorKind, Ingress};
use chat::{back_off, payload::text};
use serde_json::Value;
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, sleep_until},
};

use super::{
    Client, backfill,
    gateway::{self, Ended, News, Shard},
    intake::Intake,
    session::Session,
};

/// How often it is kept how far the sessions were heard. A crash in between is made good by hearing a little again.
const SAVE_EVERY: Duration = Duration::from_secs(1);
/// Discord wants so much time between two new sessions: <https://discord.com/developers/docs/events/gateway#rate-limiting>.
const IDENTIFY_EVERY: Duration = Duration::from_secs(5);
/// A session that was gone on with so often and got no further is dropped.
const STUCK_MAX: u32 = 3;

/// Keeps the connections until the channel stops.
pub(super) async fn run(client: &Arc<Client>, ingress: &Ingress, intake: &Arc<Intake>) -> Result<(), Error> {
    let mut failures = 0;
    let (url, shards) = loop {
        match begin(client).await {
            Ok(begun) => break begun,
            Err(error) => {
                tracing::warn!(channel = %client.config.channel, %error, "not connected");
                ingress.health.down(error.to_string());
                let wait = back_off(failures, error.kind);
                failures += 1;
                tokio::select! {
                    () = tokio::time::sleep(wait) => {}
                    () = ingress.stop.cancelled() => return Ok(()),
                }
            }
        }
    };
    let mut keeper = Keeper {
        client,
        ingress,
        intake,
        url,
        shards,
        lines: BTreeMap::new(),
        identified: Arc::default(),
        running: JoinSet::new(),
        backfills: JoinSet::new(),
        changed: false,
    };
    tokio::select! {
        () = keeper.load() => {}
        () = ingress.stop.cancelled() => return Ok(()),
    }
    keeper.keep().await;
    Ok(())
}

/// Who the bot is, where to connect, and how often.
async fn begin(client: &Client) -> Result<(String, u32), Error> {
    client.log_in().await?;
    let answer = client.api.gateway().await?;
    let url = text(&answer, &["url"]).filter(|url| gateway::is_own(url, client.api.base()));
    let url =
        url.ok_or_else(|| Error::retry("Discord names no gateway of its own to connect to"))?.to_owned();
    let wanted = answer.get("shards").and_then(Value::as_u64).and_then(|shards| u32::try_from(shards).ok());
    let configured = client.config.settings.shards;
    let shards = if configured > 0 { configured } else { wanted.unwrap_or(1).clamp(1, 10_000) };
    client.register_commands().await;
    Ok((url, shards))
}

/// How a shard is.
#[derive(Debug, Default)]
struct Line {
    session: Option<Session>,
    /// How far the session was heard when it was gone on with last.
    begun: Option<u64>,
    up: bool,
    failures: u32,
    /// How often the session was gone on with and did not get beyond where it was.
    stuck: u32,
    not_before: Option<Instant>,
    running: bool,
}

struct Keeper<'a> {
    client: &'a Arc<Client>,
    ingress: &'a Ingress,
    intake: &'a Arc<Intake>,
    url: String,
    shards: u32,
    lines: BTreeMap<u32, Line>,
    /// When the last new session was begun.
    identified: Arc<Mutex<Option<Instant>>>,
    running: JoinSet<(u32, Ended)>,
    backfills: JoinSet<()>,
    changed: bool,
}

impl Keeper<'_> {
    /// Sessions that a process before this one kept.
    async fn load(&mut self) {
        for shard in 0..self.shards {
            let kept = self.kept(shard).await;
            let session: Option<Session> = serde_json::from_str(&kept).ok();
            let session =
                session.filter(|session| session.shards == self.shards && self.intake.is_own(&session.url));
            if let Some(session) = &session {
                self.client.rooms.recall(&session.roles);
                self.client.note_listened(session.at);
            }
            self.lines.insert(shard, Line { session, ..Line::default() });
        }
    }

    /// The session that was kept for a shard. Without an answer of the store nothing is begun: a new session would take the
    /// place of the one that is there.
    async fn kept(&self, shard: u32) -> String {
        let mut failures = 0;
        loop {
            match self.ingress.inbox.cursor(&cursor(shard)).await {
                Ok(kept) => return kept.unwrap_or_default(),
                Err(error) => {
                    self.ingress.health.down(error.to_string());
                    tokio::time::sleep(back_off(failures, error.kind)).await;
                    failures += 1;
                }
            }
        }
    }

    async fn keep(&mut self) {
        let (tell, mut news) = mpsc::unbounded_channel::<(u32, News)>();
        let mut save_at = Instant::now() + SAVE_EVERY;
        loop {
            let now = Instant::now();
            let due: Vec<u32> = self
                .lines
                .iter()
                .filter(|(_, line)| !line.running && line.not_before.is_none_or(|at| at <= now))
                .map(|(shard, _)| *shard)
                .collect();
            for shard in due {
                self.open(shard, tell.clone());
            }
            let waiting = self.lines.values().filter(|line| !line.running).filter_map(|line| line.not_before);
            let again = waiting.min().unwrap_or(now + Duration::from_secs(60)).min(save_at);
            tokio::select! {
                () = self.ingress.stop.cancelled() => break,
                Some((shard, news)) = news.recv() => self.heard(shard, news).await,
                Some(ended) = self.running.join_next(), if !self.running.is_empty() => {
                    if let Ok((shard, ended)) = ended {
                        self.ended(shard, ended);
                    }
                }
                Some(_) = self.backfills.join_next(), if !self.backfills.is_empty() => {}
                () = sleep_until(again) => {}
            }
            if Instant::now() >= save_at {
                self.save().await;
                save_at = Instant::now() + SAVE_EVERY;
            }
        }
        let goodbye = async {
            while let Some(ended) = self.running.join_next().await {
                if let Ok((shard, ended)) = ended
                    && let Some(line) = self.lines.get_mut(&shard)
                {
                    line.session = ended.session;
                    self.changed = true;
                }
            }
        };
        let _ = tokio::time::timeout(Duration::from_secs(1), goodbye).await;
        let _ = tokio::time::timeout(Duration::from_millis(500), self.save()).await;
    }

    fn open(&mut self, shard: u32, tell: mpsc::UnboundedSender<(u32, News)>) {
        let Some(line) = self.lines.get_mut(&shard) else { return };
        line.running = true;
        line.begun = line.session.as_ref().map(|session| session.seq);
        let wanted = Shard {
            number: shard,
            shards: self.shards,
            url: self.url.clone(),
            session: line.session.clone(),
            message_content: self.client.config.settings.message_content,
        };
        let (ingress, intake) = (self.ingress.clone(), self.intake.clone());
        let identified = self.identified.clone();
        self.running.spawn(async move {
            let tell = |news| {
                // The keeper is gone only when everything stops.
                let _ = tell.send((shard, news));
            };
            (shard, gateway::run(wanted, &ingress, &intake, turn(identified), tell).await)
        });
    }

    async fn heard(&mut self, shard: u32, news: News) {
        let Some(line) = self.lines.get_mut(&shard) else { return };
        match news {
            News::Heard(session) => {
                line.session = Some(session);
                self.changed = true;
                return;
            }
            News::Began(session) => {
                // Kept before anything is heard in it: whatever happens then can be gone on behind.
                line.session = session;
                self.changed = true;
                self.save().await;
                tracing::info!(channel = %self.client.config.channel, shard, "a new session with Discord");
                let (client, intake) = (self.client.clone(), self.intake.clone());
                let ingress = self.ingress.clone();
                self.backfills.spawn(async move { backfill::run(&client, &ingress, &intake).await });
            }
            News::Resumed => {
                tracing::info!(channel = %self.client.config.channel, shard, "the session with Discord goes on");
            }
        }
        let Some(line) = self.lines.get_mut(&shard) else { return };
        line.up = true;
        if self.lines.values().all(|line| line.up) {
            self.ingress.health.up();
        }
    }

    fn ended(&mut self, shard: u32, ended: Ended) {
        let Some(line) = self.lines.get_mut(&shard) else { return };
        let channel = &self.client.config.channel;
        line.running = false;
        line.up = false;
        tracing::warn!(%channel, shard, error = %ended.why, "a connection to Discord ended");
        let had_session = line.session.is_some();
        if let Some(session) = &line.session {
            self.client.note_listened(session.at);
        }
        let seq = |session: &Option<Session>| session.as_ref().map(|session| session.seq);
        let further = seq(&ended.session) > line.begun;
        line.stuck = match (further, ended.asked) {
            (true, _) => 0,
            (false, true) => line.stuck + 1,
            // Discord was not reached: that says nothing about the session.
            (false, false) => line.stuck,
        };
        line.session = ended.session.filter(|_| line.stuck < STUCK_MAX);
        if line.session.is_none() && had_session {
            tracing::info!(%channel, shard, "the session is dropped; what was missed is read again");
        }
        self.changed = true;
        // One that worked is opened again at once; what never worked waits longer each time.
        let kind = if ended.fatal { ErrorKind::Misconfigured } else { ended.why.kind };
        let well = ended.worked && line.stuck == 0 && !ended.fatal;
        let wait = if well { Duration::ZERO } else { back_off(line.failures, kind) };
        line.failures = if well { 0 } else { line.failures + 1 };
        if line.session.is_none() {
            line.stuck = 0;
        }
        line.not_before = Some(Instant::now() + wait);
        // Discord asks for a new connection now and then; what is connected again at once was not down.
        if !ended.worked || ended.fatal {
            self.ingress.health.down(ended.why.to_string());
        }
    }

    async fn save(&mut self) {
        if !std::mem::take(&mut self.changed) {
            return;
        }
        for (shard, line) in &self.lines {
            let written = match &line.session {
                Some(session) => serde_json::to_string(session).unwrap_or_default(),
                None => String::new(),
            };
            if self.ingress.inbox.advance(&cursor(*shard), &written).await.is_err() {
                self.changed = true;
            }
        }
    }
}

/// Waits until another session may be begun.
async fn turn(identified: Arc<Mutex<Option<Instant>>>) {
    loop {
        let wait = {
            let mut last = identified.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            match *last {
                Some(at) if now.duration_since(at) < IDENTIFY_EVERY => at + IDENTIFY_EVERY,
                Some(_) | None => {
                    *last = Some(now);
                    return;
                }
            }
        };
        sleep_until(wait).await;
    }
}

fn cursor(shard: u32) -> String {
    format!("session/{shard}")
}
