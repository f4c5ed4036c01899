//! What Redis has forgotten is noticed, said, and put back.
//!
//! Redis may go back: a replica takes over that had not heard of the last writes, or it starts again from a file that lacks them. To
//! whom it was confirmed, it is lost. A server that goes back is another one, or began anew, and such a one knows no scripts. Ours
//! have a line with the name of our journal at their head, so that no other gateway makes them known for us: who is told that his
//! script is unknown meets a new server, and before anything else is asked of it, compares what he wrote last with what is there. A
//! server that was the master once and still runs knows them; where sentinels name it, its history has another name than before, and
//! our scripts are not called until that was looked through.
//! Meanwhile nobody takes or writes anything (`healing`), until each gateway has come by, or for three seconds.
//!
//! What one gateway wrote may stand on what another one did: so each tries until that is there. Where a log has gone on without what
//! is missing, what people said is said again, at its end; what a worker did is not, and is told as lost.

use std::{collections::BTreeSet, path::Path, time::Duration};

use redis::{FromRedisValue, RedisResult, Value};
use store::Error;
use tokio::time::{Instant, sleep};

use crate::{
    answer::{self, Answer},
    commit::args,
    fault,
    journal::{self, Entry, Left, Wrote},
    scripts::confirmed,
    store::Inner,
};

/// How long nothing is taken or written, unless every gateway has come by before: each does so once a second at least.
const HEALING: Duration = Duration::from_secs(3);
/// A gateway that was not heard of for so long is not waited for; it is heard of four times as often.
const SILENT: Duration = Duration::from_secs(60);
/// How long something is tried that stands on what others have to put back.
const PATIENCE: Duration = Duration::from_millis(2_500);
/// How long between two tries.
const REST: Duration = Duration::from_millis(50);
/// Entries that are looked for at once; when so many in a row are there, the older ones are too: Redis forgets from the end.
const TOGETHER: usize = 100;

/// What became of what was missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Healed {
    /// Writes that are there again.
    pub back: usize,
    /// Those that are not, a sentence each.
    pub lost: Vec<String>,
}

/// Whether an entry is in the store.
#[derive(Clone, Copy, PartialEq, Eq)]
enum There {
    Yes,
    No,
    /// It leaves no trace of its own.
    Unknown,
}

/// What came of saying again what people said.
enum Said {
    /// It stands at the end of the log, as this.
    Written(Box<Wrote>),
    /// It came in again by itself.
    Known,
    /// Nobody said anything in it.
    Not,
}

/// What came of putting an entry back.
enum Put {
    Done,
    /// What it stands on is not there.
    Early,
    /// The log has gone on without it.
    Late,
}

impl Inner {
    /// What of a journal is not in the store, oldest first. The whole of it is looked through only where it is asked for.
    pub(crate) async fn missing(&self, folder: &Path, whole: bool) -> Result<Vec<Entry>, Error> {
        let (mut found, mut in_a_row) = (Vec::new(), 0);
        let mut given_up = BTreeSet::new();
        'files: for file in journal::files(folder) {
            let mut entries = journal::read(&file);
            while !entries.is_empty() {
                let part = entries.split_off(entries.len().saturating_sub(TOGETHER));
                for (entry, there) in self.look_for(part).await? {
                    let there = match &entry {
                        Entry::GivenUp { thread, before } => {
                            given_up.insert((thread.clone(), *before));
                            There::Unknown
                        }
                        Entry::Batch(wrote) if given_up.contains(&(wrote.thread.clone(), wrote.before)) => {
                            There::Yes
                        }
                        Entry::Batch(_) | Entry::Value { .. } | Entry::Tried { .. } => there,
                    };
                    in_a_row =
                        if there == There::No { 0 } else { in_a_row + usize::from(there == There::Yes) };
                    found.push((entry, there));
                }
                if in_a_row >= TOGETHER && !whole {
                    break 'files;
                }
            }
        }
        // What leaves no trace is only doubtful where something older is missing.
        let oldest = found.iter().rposition(|(_, there)| *there == There::No);
        found.truncate(oldest.map_or(0, |oldest| oldest + 1));
        let missing = found.into_iter().rev().filter(|(_, there)| *there != There::Yes);
        Ok(missing.map(|(entry, _)| entry).collect())
    }

    /// Whether these entries are there; the youngest first.
    async fn look_for(&self, entries: Vec<Entry>) -> Result<Vec<(Entry, There)>, Error> {
        let mut pipe = redis::pipe();
        for entry in &entries {
            match entry {
                Entry::Batch(wrote) => {
                    let last = wrote.before + wrote.records.len().max(1) as u64 - 1;
                    let log = self.key(&format!("log:{}", wrote.thread));
                    pipe.cmd("LRANGE").arg(&log).arg(wrote.before).arg(last);
                    let home = answer::thread(&wrote.thread)?.home();
                    pipe.cmd("GET").arg(self.key(&format!("retired:{}", home.as_str())));
                    pipe.cmd("EXISTS").arg(&log)
                }
                Entry::Value { name, .. } => {
                    pipe.cmd("GETRANGE").arg(self.key(&format!("value:{name}"))).arg(0).arg(-1)
                }
                Entry::GivenUp { .. } => pipe.cmd("PING"),
                Entry::Tried { keys } => {
                    let first = keys.first().map(String::as_str).unwrap_or_default();
                    pipe.cmd("HMGET").arg(self.key(&format!("out:{first}"))).arg(&["state", "attempts"])
                }
            };
        }
        let found: Vec<Value> =
            pipe.query_async(&mut self.link.clone()).await.map_err(|error| fault::away(&error))?;
        let mut answers = found.into_iter();
        let mut next = || answers.next().unwrap_or(Value::Nil);
        let mut look = |entry: Entry| {
            let found = next();
            let there = match &entry {
                Entry::Batch(wrote) if has_left(&wrote.thread, next(), next()) => There::Yes,
                Entry::Batch(wrote) if wrote.records.is_empty() => There::Unknown,
                Entry::Batch(wrote) => match Vec::<String>::from_redis_value(found) {
                    Ok(log) if log == wrote.records => There::Yes,
                    Ok(_) | Err(_) => There::No,
                },
                Entry::Value { bytes, .. } => match Vec::<u8>::from_redis_value(found) {
                    Ok(kept) if kept == *bytes => There::Yes,
                    // Another one is there, which may be younger.
                    Ok(kept) if !kept.is_empty() => There::Unknown,
                    Ok(_) | Err(_) => There::No,
                },
                Entry::GivenUp { .. } => There::Unknown,
                // They were taken together, so what holds for one holds for all.
                Entry::Tried { .. } => match <(Option<String>, Option<u64>)>::from_redis_value(found) {
                    Ok((Some(state), None)) if state == "waiting" => There::No,
                    Ok(_) | Err(_) => There::Unknown,
                },
            };
            (entry, there)
        };
        let mut looked: Vec<_> = entries.into_iter().map(&mut look).collect();
        looked.reverse();
        Ok(looked)
    }

    /// Puts back what is missing of journals that have ended, and of our own.
    pub(crate) async fn heal(&self, left: &[Left], whole: bool) -> Result<Healed, Error> {
        let mut missing = Vec::new();
        for journal in left {
            let of = self.missing(&journal.folder, whole).await?;
            missing.extend(of.into_iter().map(|entry| (Some(journal), entry)));
        }
        if let Some(ours) = &self.journal {
            let of = self.missing(ours.folder(), whole).await?;
            missing.extend(of.into_iter().map(|entry| (None, entry)));
        }
        let mut healed = Healed::default();
        if missing.is_empty() {
            return Ok(healed);
        }
        // Of what was written at the same time the answers come, and are noted, in any order.
        missing.sort_by_key(|(_, entry)| match entry {
            Entry::Batch(wrote) => wrote.before,
            Entry::Value { .. } | Entry::Tried { .. } | Entry::GivenUp { .. } => 0,
        });
        let away = |error| fault::away(&error);
        let until = Instant::now() + PATIENCE;
        loop {
            self.hold_up().await.map_err(away)?;
            let mut early = Vec::new();
            let last_try = Instant::now() >= until;
            for (of, entry) in missing {
                let put = match &entry {
                    Entry::Batch(wrote) => self.put_back(wrote).await?,
                    Entry::Value { name, bytes, .. } => self.keep_again(name, bytes).await.map_err(away)?,
                    Entry::Tried { keys } => self.count_again(keys).await.map_err(away)?,
                    Entry::GivenUp { .. } => continue,
                };
                match (put, entry) {
                    (Put::Done, _) => healed.back += 1,
                    (Put::Early, entry) if !last_try => early.push((of, entry)),
                    (Put::Early | Put::Late, Entry::Batch(wrote)) => {
                        let again = self.say_again(&wrote).await?;
                        match &again {
                            Said::Written(_) | Said::Known => healed.back += 1,
                            Said::Not => healed.lost.push(lost(&wrote)),
                        }
                        self.give_up(of, &wrote, again);
                    }
                    // Messages that are not there cannot have been tried.
                    (Put::Early | Put::Late, _) => {}
                }
            }
            if early.is_empty() {
                return Ok(healed);
            }
            missing = early;
            sleep(REST).await;
        }
    }

    /// Notes in its journal that a batch will not have its place again, so that it is not told as lost each time; and where what
    /// people said in it stands now.
    fn give_up(&self, of: Option<&Left>, wrote: &Wrote, again: Said) {
        let mut entries = vec![Entry::GivenUp { thread: wrote.thread.clone(), before: wrote.before }];
        if let Said::Written(words) = again {
            entries.push(Entry::Batch(*words));
        }
        match (of, &self.journal) {
            (Some(left), _) => {
                if let Err(error) = left.note(&entries) {
                    tracing::warn!(folder = %left.folder.display(), %error, "a journal cannot be written");
                }
            }
            (None, Some(ours)) => entries.iter().for_each(|entry| ours.note(entry)),
            (None, None) => {}
        }
    }

    /// Nobody takes or writes anything for a while.
    pub(crate) async fn hold_up(&self) -> RedisResult<()> {
        let mut cmd = redis::cmd("SET");
        cmd.arg(self.key("healing")).arg(1).arg("PX").arg(HEALING.as_millis().to_string());
        cmd.query_async(&mut self.link.clone()).await
    }

    /// Notes that we are here, and, if a run of the server is named, that it has all that we know of.
    pub(crate) async fn come_by(&self, run: &str) -> RedisResult<()> {
        let Some(journal) = self.journal_name() else { return Ok(()) };
        let silent = SILENT.as_micros().to_string();
        let args = [journal, &silent, run].map(str::as_bytes);
        self.eval(&self.scripts.come_by, &args).await.map(drop)
    }

    /// Puts a batch back at its place.
    async fn put_back(&self, wrote: &Wrote) -> Result<Put, Error> {
        let expect = (!wrote.records.is_empty()).then_some(wrote.before);
        let mut answer = Answer::of(self.write_again(wrote, expect).await?)?;
        let (said, about) = (answer.text()?, answer.text()?);
        Ok(match said.as_str() {
            // Known by its name: it came in again by itself.
            "done" | "duplicate" => Put::Done,
            "late" => Put::Late,
            "conflict" if answer::number(&about)? > wrote.before => {
                let there = self.look_for(vec![Entry::Batch(wrote.clone())]).await?;
                match there.first() {
                    Some((_, There::Yes)) => Put::Done,
                    Some((_, There::No | There::Unknown)) | None => Put::Late,
                }
            }
            _ => Put::Early,
        })
    }

    /// Writes what people said at the end of a log that has gone on without it.
    async fn say_again(&self, wrote: &Wrote) -> Result<Said, Error> {
        if wrote.keys.is_empty() {
            return Ok(Said::Not);
        }
        // Messages are named by the places of events: at other places they would be others.
        let words = Wrote { on: String::new(), outgoing: Vec::new(), settle: None, ..wrote.clone() };
        let value = self.write_again(&words, None).await?;
        if let Some(words) = confirmed(&words, &value) {
            return Ok(Said::Written(Box::new(words)));
        }
        let said = Answer::of(value)?.text()?;
        Ok(if said == "duplicate" { Said::Known } else { Said::Not })
    }

    /// Writes what was written before, without a lease: that is gone with the rest, so a worker looks at what comes back.
    async fn write_again(&self, wrote: &Wrote, expect: Option<u64>) -> Result<Value, Error> {
        let wrote = Wrote { wake: wrote.wake || !wrote.records.is_empty(), ..wrote.clone() };
        let mut args = args(&wrote, expect, None, None)?;
        args.push(wrote.on.clone().into_bytes());
        let args: Vec<&[u8]> = args.iter().map(Vec::as_slice).collect();
        self.eval(&self.scripts.put_back, &args).await.map_err(|error| fault::away(&error))
    }

    /// Keeps a value again that is gone. One that is there may be younger.
    async fn keep_again(&self, name: &str, bytes: &[u8]) -> RedisResult<Put> {
        let mut cmd = redis::cmd("SET");
        cmd.arg(self.key(&format!("value:{name}"))).arg(bytes).arg("NX");
        cmd.query_async::<Option<String>>(&mut self.link.clone()).await.map(|_| Put::Done)
    }

    /// Counts again that messages were tried.
    async fn count_again(&self, keys: &[String]) -> RedisResult<Put> {
        let keys: Vec<&[u8]> = keys.iter().map(String::as_bytes).collect();
        let missing = u64::from_redis_value(self.eval(&self.scripts.tried, &keys).await?)?;
        Ok(if missing == 0 { Put::Done } else { Put::Early })
    }
}

/// Whether a thread was retired: what was written to it left with it. From the highest generation that was, and whether there is a
/// log.
fn has_left(thread: &str, retired: Value, log: Value) -> bool {
    let retired = Option::<u32>::from_redis_value(retired).ok().flatten();
    let log = bool::from_redis_value(log).unwrap_or(true);
    let generation = answer::thread(thread).map(|thread| thread.generation());
    !log && matches!((retired, generation), (Some(retired), Ok(generation)) if retired >= generation)
}

/// Says what came of it.
pub(crate) fn tell(healed: &Healed) {
    let Healed { back, lost } = healed;
    if *back == 0 && lost.is_empty() {
        return;
    }
    tracing::error!(
        back,
        lost = lost.len(),
        "Redis had forgotten writes that it had confirmed; they were put back from the journal"
    );
    for lost in lost {
        tracing::error!("lost: {lost}");
    }
}

/// An entry that is not there, in a sentence; none for what leaves no trace.
pub(crate) fn missed(entry: &Entry) -> Option<String> {
    match entry {
        Entry::Batch(wrote) if wrote.records.is_empty() => None,
        Entry::Batch(Wrote { thread, before, records, .. }) => Some(format!(
            "thread {thread}: Redis confirmed {} events from place {before} on, and has lost them",
            records.len()
        )),
        Entry::Value { name, .. } => Some(format!("Redis confirmed to keep `{name}`, and has lost it")),
        Entry::Tried { .. } => Some("Redis has lost that messages were tried".to_owned()),
        Entry::GivenUp { .. } => None,
    }
}

/// A write that could not be put back, in a sentence.
fn lost(wrote: &Wrote) -> String {
    let Wrote { thread, before, records, .. } = wrote;
    format!("thread {thread}: {} events from place {before} on, without which it has gone on", records.len())
}

#[cfg(test)]
mod tests {
    use testkit::redis_server::RedisServer;

    use super::*;
    use crate::{Durability, JournalOptions, Options, Redis, Time};

    async fn open(server: &RedisServer, folder: &Path) -> Redis {
        let journal = JournalOptions { folder: folder.to_path_buf(), keep: Duration::from_secs(60) };
        let options = Options {
            urls: vec![server.url()],
            prefix: "test".to_owned(),
            timeout: Duration::from_secs(10),
            durability: Durability::None,
            time: Time::Server,
            tls_ca: None,
            journal: Some(journal),
        };
        Redis::open(&options).await.unwrap()
    }

    /// Everybody works again when all who are here have come by, and whoever was not heard of for long is not waited for.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_last_who_comes_by_ends_the_waiting() {
        let server = RedisServer::start(&[]);
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (open(&server, folder.path()).await, open(&server, folder.path()).await);
        server.say(&["HSET", "{test}:journals", "gone", "1"]);
        // Without an end of its own.
        server.say(&["SET", "{test}:healing", "1"]);
        let held = || server.say(&["EXISTS", "{test}:healing"]).starts_with(":1");
        for (store, run, left) in [(&one, "", true), (&one, "a", true), (&two, "b", true), (&two, "a", false)]
        {
            store.0.come_by(run).await.unwrap();
            assert_eq!(held(), left, "{run}");
        }
        assert!(server.say(&["HEXISTS", "{test}:journals", "gone"]).starts_with(":0"));
    }
}
