//! The connections of Socket Mode: so many at a time, each replaced before Slack closes it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use channel::{Error, ErrorKind, Ingress};
use chat::back_off;
use secrecy::SecretString;
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, sleep_until},
};

use super::{
    Client, backfill,
    intake::Intake,
    socket::{self, Ended, News},
};

/// How a connection is.
#[derive(Clone, Copy, Debug, Default)]
struct Line {
    greeted: bool,
    retiring: bool,
}

/// Keeps connections until the channel stops.
pub(super) async fn run(
    client: &Arc<Client>,
    app: &SecretString,
    ingress: &Ingress,
    intake: &Arc<Intake>,
) -> Result<(), Error> {
    let mut keeper = Keeper {
        client,
        app,
        ingress,
        intake,
        lines: BTreeMap::new(),
        next: 0,
        failures: 0,
        not_before: Instant::now(),
        covered: false,
        running: JoinSet::new(),
        backfills: JoinSet::new(),
    };
    // Whose tokens they are must be known before anything can be read.
    keeper.log_in().await;
    keeper.keep().await;
    Ok(())
}

struct Keeper<'a> {
    client: &'a Arc<Client>,
    app: &'a SecretString,
    ingress: &'a Ingress,
    intake: &'a Arc<Intake>,
    lines: BTreeMap<u64, Line>,
    next: u64,
    failures: u32,
    not_before: Instant,
    /// Whether some connection has listened without a break.
    covered: bool,
    running: JoinSet<(u64, Ended)>,
    backfills: JoinSet<()>,
}

impl Keeper<'_> {
    async fn log_in(&mut self) {
        let mut failures = 0;
        while let Err(error) = self.client.log_in().await {
            self.ingress.health.down(error.to_string());
            let wait = back_off(failures, error.kind);
            failures += 1;
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.ingress.stop.cancelled() => return,
            }
            // One token that is refused holds up no other workspace.
            if error.kind == ErrorKind::Misconfigured && !self.client.state().workspaces.is_empty() {
                return;
            }
        }
    }

    async fn keep(&mut self) {
        let (tell, mut news) = mpsc::unbounded_channel::<(u64, News)>();
        loop {
            while self.wanting() && self.not_before <= Instant::now() && !self.ingress.stop.is_cancelled() {
                self.open(tell.clone());
            }
            let again =
                if self.wanting() { self.not_before } else { Instant::now() + Duration::from_secs(60) };
            tokio::select! {
                () = self.ingress.stop.cancelled() => break,
                Some((line, news)) = news.recv() => self.heard(line, news),
                Some(ended) = self.running.join_next(), if !self.running.is_empty() => {
                    if let Ok((line, ended)) = ended {
                        self.ended(line, ended.why);
                    }
                }
                Some(_) = self.backfills.join_next(), if !self.backfills.is_empty() => {}
                () = sleep_until(again) => {}
            }
        }
        // Each connection says goodbye by itself.
        let goodbye = async { while self.running.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(Duration::from_secs(1), goodbye).await;
    }

    /// Whether a further connection is wanted: those that Slack is going to close do not count.
    fn wanting(&self) -> bool {
        self.lines.values().filter(|line| !line.retiring).count() < self.client.config.settings.connections
    }

    fn open(&mut self, tell: mpsc::UnboundedSender<(u64, News)>) {
        let line = self.next;
        self.next += 1;
        self.lines.insert(line, Line::default());
        let (client, app) = (self.client.clone(), self.app.clone());
        let (ingress, intake) = (self.ingress.clone(), self.intake.clone());
        self.running.spawn(async move {
            let silence = client.config.settings.silence.0;
            let ended = match client.api.open_connection(&app).await {
                Ok(url) => {
                    let stop = ingress.stop.clone();
                    let tell = |news| {
                        // The keeper is gone only when everything stops.
                        let _ = tell.send((line, news));
                    };
                    socket::run(url, &ingress, &intake, silence, &stop, tell).await
                }
                Err(fault) => Ended { why: fault.error },
            };
            (line, ended)
        });
    }

    fn heard(&mut self, line: u64, news: News) {
        let Some(known) = self.lines.get_mut(&line) else { return };
        match news {
            News::Hello => {
                known.greeted = true;
                self.failures = 0;
                self.ingress.health.up();
                tracing::debug!(channel = %self.client.config.channel, line, "Slack listens to us, and we to Slack");
                if !std::mem::replace(&mut self.covered, true) {
                    let (client, intake) = (self.client.clone(), self.intake.clone());
                    let ingress = self.ingress.clone();
                    self.backfills.spawn(async move { backfill::run(&client, &ingress, &intake).await });
                }
            }
            News::Retiring => {
                known.retiring = true;
                tracing::debug!(channel = %self.client.config.channel, line, "a connection is to be replaced");
            }
        }
    }

    fn ended(&mut self, line: u64, why: Error) {
        let was = self.lines.remove(&line).unwrap_or_default();
        let channel = &self.client.config.channel;
        if was.retiring {
            tracing::debug!(%channel, line, error = %why, "a connection was replaced");
        } else {
            tracing::warn!(%channel, line, error = %why, "a connection was lost");
            // One that worked is opened again at once; what never worked waits longer each time, and so does what a person
            // has to mend.
            let at_once = was.greeted && why.kind != ErrorKind::Misconfigured;
            let wait = if at_once { Duration::ZERO } else { back_off(self.failures, why.kind) };
            self.failures = if was.greeted { 0 } else { self.failures + 1 };
            self.not_before = Instant::now() + wait;
        }
        if !self.lines.values().any(|line| line.greeted) {
            self.covered = false;
            self.ingress.health.down(why.to_string());
        }
    }
}
