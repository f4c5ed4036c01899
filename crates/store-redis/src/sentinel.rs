//! The connection to the master that sentinels name. It is asked for again when the connection broke, when an answer did not come
//! in time, or when the server says that it is no master any more.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::{
    FutureExt, StreamExt,
    future::{BoxFuture, Shared},
    stream::FuturesUnordered,
};
use redis::{
    Arg, AsyncConnectionConfig, Client, Cmd, ConnectionInfo, ErrorKind, Pipeline, RedisError, RedisResult,
    Value,
    aio::{ConnectionLike, MultiplexedConnection},
};
use store::Error;
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use crate::{
    address::Sentinels,
    fault,
    link::{Durability, Options},
    soundness,
};

/// How long after a search that found nothing the next one begins, at the soonest.
const PAUSE: Duration = Duration::from_millis(100);

/// The present master, whichever server that is; shared by all who have a clone of it.
#[derive(Clone)]
pub(crate) struct Master(Arc<Inner>);

struct Inner {
    seeker: Arc<Seeker>,
    /// The search for the present master, or what it found. All who ask meanwhile wait for the same one.
    search: Mutex<Search>,
    /// The history that the store last looked through for what is missing.
    met: Mutex<String>,
}

type Search = Shared<BoxFuture<'static, RedisResult<Seat>>>;

/// A server that was the master when it was connected to.
#[derive(Clone)]
struct Seat {
    connection: MultiplexedConnection,
    info: ConnectionInfo,
    history: String,
}

impl Master {
    /// Finds the master.
    pub(crate) async fn open(sentinels: Sentinels, options: &Options) -> Result<Self, Error> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(options.timeout))
            .set_response_timeout(Some(options.timeout));
        let seeker = Arc::new(Seeker {
            sentinels,
            config,
            timeout: options.timeout,
            durability: options.durability,
            now: watch::Sender::default(),
        });
        let seat = seeker.seek().await?;
        let met = Mutex::new(seat.history.clone());
        let search = std::future::ready(Ok(seat)).boxed().shared();
        Ok(Self(Arc::new(Inner { seeker, search: Mutex::new(search), met })))
    }

    /// What the sentinels call it.
    pub(crate) fn name(&self) -> &str {
        &self.0.seeker.sentinels.master
    }

    /// The number of the database.
    pub(crate) fn number(&self) -> i64 {
        self.0.seeker.sentinels.server(String::new(), 0).redis_settings().db()
    }

    /// Where it is.
    pub(crate) async fn place(&self) -> RedisResult<ConnectionInfo> {
        // Whether it still is there shows when it is asked for something.
        self.ask(&redis::cmd("PING")).await?;
        self.seat().await.1.map(|seat| seat.info)
    }

    /// Where it is now; it changes when another server takes its place.
    pub(crate) fn watch(&self) -> watch::Receiver<String> {
        self.0.seeker.now.subscribe()
    }

    /// The name of its history. A server that was replaced and takes its place again has another one, although it still runs and
    /// knows all scripts.
    pub(crate) async fn history(&self) -> RedisResult<String> {
        self.seat().await.1.map(|seat| seat.history)
    }

    /// Whether this was the last history that the store looked through.
    pub(crate) fn has_met(&self, history: &str) -> bool {
        *self.0.met.lock().unwrap_or_else(PoisonError::into_inner) == history
    }

    /// The store has looked through this history, and put back what was missing.
    pub(crate) fn meets(&self, history: String) {
        *self.0.met.lock().unwrap_or_else(PoisonError::into_inner) = history;
    }

    /// Asks it. A server that is no master any more has done nothing; so another one is asked, once.
    pub(crate) async fn ask(&self, cmd: &Cmd) -> RedisResult<Value> {
        match self.ask_once(cmd).await {
            Err(error) if fault::is_demoted(&error) => self.ask_once(cmd).await,
            other => other,
        }
    }

    async fn ask_once(&self, cmd: &Cmd) -> RedisResult<Value> {
        let (search, seat) = self.seat().await;
        let mut seat = seat?;
        // It may know the script from the time when it was the master before.
        if is_script(cmd) && !self.has_met(&seat.history) {
            return Err(fault::unmet());
        }
        let answer = seat.connection.req_packed_command(cmd).await.and_then(Value::extract_error);
        self.look_at(&search, answer.as_ref().err());
        answer
    }

    /// Asks it several things at a time.
    pub(crate) async fn ask_all(
        &self,
        pipeline: &Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisResult<Vec<Value>> {
        let (search, seat) = self.seat().await;
        let answers = seat?.connection.req_packed_commands(pipeline, offset, count).await;
        let refused = answers.as_ref().ok().and_then(|answers| answers.iter().find_map(refusal));
        self.look_at(&search, answers.as_ref().err().or(refused.as_ref()));
        answers
    }

    /// The present master, and the search that found it.
    async fn seat(&self) -> (Search, RedisResult<Seat>) {
        let search = self.0.search.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let seat = search.clone().await;
        if seat.is_err() {
            self.leave(&search, PAUSE);
        }
        (search, seat)
    }

    /// Gives a server up that is gone, or no master any more.
    fn look_at(&self, search: &Search, error: Option<&RedisError>) {
        let is_over = |error: &&RedisError| {
            fault::is_demoted(error) || error.is_io_error() || error.is_unrecoverable_error()
        };
        if let Some(error) = error.filter(is_over) {
            tracing::debug!(master = self.name(), %error, "the sentinels are asked for the master");
            self.leave(search, Duration::ZERO);
        }
    }

    /// Whoever asks next begins another search, unless somebody did so already.
    fn leave(&self, search: &Search, pause: Duration) {
        let mut current = self.0.search.lock().unwrap_or_else(PoisonError::into_inner);
        if !current.ptr_eq(search) {
            return;
        }
        let seeker = Arc::clone(&self.0.seeker);
        let next = async move {
            // It goes on also when those who wait for it go away.
            let sought = tokio::spawn(async move {
                sleep(pause).await;
                seeker.seek().await.map_err(|error| no_master(&error))
            });
            sought
                .await
                .unwrap_or_else(|_| Err(no_master(&Error::Away { why: "the gateway stops".to_owned() })))
        };
        *current = next.boxed().shared();
    }
}

/// Whether a command calls a script by its name.
fn is_script(cmd: &Cmd) -> bool {
    cmd.args_iter().next().is_some_and(|first| matches!(first, Arg::Simple(b"EVALSHA")))
}

/// What a server refused a command with, among several.
fn refusal(answer: &Value) -> Option<RedisError> {
    if let Value::ServerError(error) = answer { Some(error.clone().into()) } else { None }
}

/// As an error of a command that was never sent.
fn no_master(error: &Error) -> RedisError {
    let why = match error {
        Error::Away { why } | Error::Refused { why } => why.clone(),
        other @ (Error::Conflict { .. }
        | Error::Duplicate { .. }
        | Error::Fenced { .. }
        | Error::NotAtRest { .. }
        | Error::Unreadable { .. }
        | Error::InUse { .. }) => other.to_string(),
    };
    (ErrorKind::MasterNameNotFoundBySentinel, "there is no master", why).into()
}

struct Seeker {
    sentinels: Sentinels,
    config: AsyncConnectionConfig,
    timeout: Duration,
    durability: Durability,
    now: watch::Sender<String>,
}

impl Seeker {
    /// Asks the sentinels, and connects to the server that they name.
    async fn seek(&self) -> Result<Seat, Error> {
        let named = self.ask_all().await?;
        let mut failure = None;
        for (host, port) in named {
            let info = self.sentinels.server(host, port);
            let place = info.addr().to_string();
            let late = |_| fault::late_at(&info, self.timeout);
            match timeout(self.timeout, self.sit(info.clone())).await.map_err(late).and_then(|done| done) {
                Ok(seat) => {
                    let before = self.now.send_replace(place.clone());
                    if !before.is_empty() && before != place {
                        tracing::warn!(
                            master = self.sentinels.master,
                            before,
                            now = place,
                            "another Redis is the master now"
                        );
                    }
                    return Ok(seat);
                }
                Err(error) => failure = failure.or(Some(self.about(&place, error))),
            }
        }
        Err(failure.unwrap_or_else(|| away("no sentinel names the master".to_owned())))
    }

    /// Where most sentinels say that the master is; several places where as many say each. One that was away may name a master of
    /// yesterday, which takes itself for one.
    async fn ask_all(&self) -> Result<Vec<(String, u16)>, Error> {
        let all = self.sentinels.at.len();
        let mut asked: FuturesUnordered<_> = self.sentinels.at.iter().map(|one| self.ask(one)).collect();
        let mut named: Vec<((String, u16), usize)> = Vec::new();
        let (mut strangers, mut faults) = (Vec::new(), Vec::new());
        while let Some((place, answer)) = asked.next().await {
            let there = match answer {
                Ok(Some(there)) => there,
                Ok(None) => {
                    strangers.push(place);
                    continue;
                }
                Err(fault) => {
                    tracing::debug!(sentinel = place, fault, "a sentinel does not answer");
                    faults.push(fault);
                    continue;
                }
            };
            let votes = match named.iter_mut().find(|(known, _)| *known == there) {
                Some((_, votes)) => {
                    *votes += 1;
                    *votes
                }
                None => {
                    named.push((there, 1));
                    1
                }
            };
            if votes * 2 > all {
                break;
            }
        }
        if named.is_empty() && !strangers.is_empty() {
            let master = &self.sentinels.master;
            let why = format!(
                "the sentinels know no master `{master}` (asked: {}); `store.url` takes the name that stands in their \
                 `sentinel monitor`",
                strangers.join(", ")
            );
            return Err(Error::Refused { why });
        }
        if named.is_empty() {
            faults.sort();
            let why =
                format!("no sentinel answers, so nobody says where the master is: {}", faults.join("; "));
            return Err(away(why));
        }
        let most = named.iter().map(|(_, votes)| *votes).max();
        Ok(named.into_iter().filter(|(_, votes)| Some(*votes) == most).map(|(there, _)| there).collect())
    }

    /// Asks one sentinel; nothing where it does not know the name.
    async fn ask(&self, sentinel: &ConnectionInfo) -> (String, Result<Option<(String, u16)>, String>) {
        let place = sentinel.addr().to_string();
        let asked = async {
            let mut connection = Client::open(sentinel.clone())?
                .get_multiplexed_async_connection_with_config(&self.config)
                .await?;
            let mut cmd = redis::cmd("SENTINEL");
            cmd.arg("GET-MASTER-ADDR-BY-NAME").arg(&self.sentinels.master);
            cmd.query_async(&mut connection).await
        };
        let answer: RedisResult<Option<(String, u16)>> =
            timeout(self.timeout, asked).await.unwrap_or_else(|_| Err(fault::late()));
        let answer = answer.map_err(|error| format!("{} (at {place})", fault::of_sentinel(&error)));
        (place, answer)
    }

    /// Connects to a server, and looks whether it is the master and would keep what it is given.
    async fn sit(&self, info: ConnectionInfo) -> Result<Seat, Error> {
        let at = |error: RedisError| fault::away_at(&info, &error);
        let client = Client::open(info.clone()).map_err(at)?;
        let connection =
            client.get_multiplexed_async_connection_with_config(&self.config).await.map_err(at)?;
        let ask = |cmd: Cmd| {
            let mut connection = connection.clone();
            async move { cmd.query_async(&mut connection).await }
        };
        let history = soundness::look(ask, self.durability).await?.history;
        Ok(Seat { connection, info, history })
    }

    /// Says which master it is about.
    fn about(&self, place: &str, error: Error) -> Error {
        let master = &self.sentinels.master;
        match error {
            Error::Away { why } => Error::Away { why: format!("the master `{master}`: {why}") },
            Error::Refused { why } => {
                Error::Refused { why: format!("the master `{master}` (at {place}): {why}") }
            }
            other @ (Error::Conflict { .. }
            | Error::Duplicate { .. }
            | Error::Fenced { .. }
            | Error::NotAtRest { .. }
            | Error::Unreadable { .. }
            | Error::InUse { .. }) => other,
        }
    }
}

fn away(why: String) -> Error {
    Error::Away { why }
}
