//! Looking through all logs, in the store and in the archive: whether they still are what was sealed, and what was decided in them.

use std::collections::{BTreeMap, BTreeSet};

use agent::{
    AgentRef, Event, Held, Ledger, Record, Seal, SealKeys, Thread, ThreadId, Version, decisions, hold_against,
};
use channel::Timestamp;
use serde_json::Value;
use store::{Error, Page};

use crate::{
    archive::{Archive, ArchiveError},
    board::Board,
    seal::{SEALS, Tip, name},
};

/// What was looked through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audited {
    /// Threads that are good.
    pub threads: usize,
    /// Those of them that left the store.
    pub archived: usize,
    /// Events in them that say something about a question.
    pub decisions: usize,
    /// Seals that are good.
    pub seals: usize,
    /// Events that are not sealed yet: of them nothing is said but what their answers stand on.
    pub unsealed: u64,
    /// What is not good, a sentence each.
    pub faults: Vec<String>,
}

/// It could not be looked through.
#[derive(Debug, thiserror::Error)]
pub enum NotAudited {
    /// The store's.
    #[error(transparent)]
    Store(#[from] Error),
    /// The archive's.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
}

/// A log as it was found.
struct Log {
    /// Whether it has left the store.
    archived: bool,
    /// Its events, or why they cannot be read.
    records: Result<Vec<Record>, String>,
}

impl Board {
    /// Holds all logs, in the store and in this archive, against the seals. Gateways may work meanwhile.
    ///
    /// # Errors
    /// It could not be done; what is wrong is no error.
    pub async fn audit(&self, archive: &Archive, keys: &SealKeys) -> Result<Audited, NotAudited> {
        // Whatever is sealed is in a log already, so the seals are read first.
        let Ledger { good: seals, faults, mut marks, .. } = self.ledger(keys).await?;
        let mut done = Audited { seals, faults, ..Audited::default() };
        let wanted = marks.keys().cloned().collect();
        let each = async |thread: &ThreadId, log: Option<Log>| {
            let marks = marks.remove(thread).unwrap_or_default();
            let knew = || {
                marks.last().map(|mark| {
                    format!("; seal {} of {:.0} knew {} events", mark.seal, mark.at, mark.version)
                })
            };
            match log {
                Some(Log { archived, records: Ok(records) }) => {
                    let Held { decisions, unsealed, fault } = hold_against(thread, &records, &marks);
                    done.unsealed += unsealed;
                    if let Some(fault) = fault {
                        done.faults.push(fault);
                        return;
                    }
                    done.threads += 1;
                    done.archived += usize::from(archived);
                    done.decisions += decisions;
                }
                Some(Log { records: Err(why), .. }) => {
                    let knew = knew().unwrap_or_default();
                    done.faults.push(format!("thread {thread}: it cannot be read ({why}){knew}"));
                }
                None => done.faults.extend(knew().map(|knew| {
                    let archive = archive.folder().display();
                    format!(
                        "thread {thread}: it is gone, from the store and from the archive {archive}{knew}"
                    )
                })),
            }
        };
        self.each_log(archive, wanted, each).await?;
        Ok(done)
    }

    /// Every decision since then, in the store and in this archive, an object each, the oldest first ([`agent::decisions`]).
    ///
    /// # Errors
    /// What cannot be read, for then something would be missing.
    pub async fn decisions(&self, archive: &Archive, since: Option<Timestamp>) -> Result<Vec<Value>, String> {
        let (mut all, mut unreadable) = (Vec::new(), None);
        let when = |line: &Value| line.get("at")?.as_str()?.parse::<Timestamp>().ok();
        let each = async |thread: &ThreadId, log: Option<Log>| match log {
            None => {}
            Some(Log { records: Err(why), .. }) => {
                unreadable = Some(format!("thread {thread} cannot be read: {why}"));
            }
            Some(Log { records: Ok(records), .. }) => {
                let thread = Thread::fold(thread.clone(), records);
                let secret = self.secrets_in(&thread).await;
                let secrets = |agent: &AgentRef, tool: &str| {
                    let tools = secret.get(&(agent.name.as_str(), agent.version.as_str()))?;
                    Some(tools.get(tool).cloned().unwrap_or_default())
                };
                let lines = decisions(&thread, &secrets).into_iter();
                let lines = lines.map(|line| (when(&line), thread.id().clone(), line));
                all.extend(lines.filter(|(at, _, _)| since.is_none() || *at >= since));
            }
        };
        self.each_log(archive, BTreeSet::new(), each).await.map_err(|error| error.to_string())?;
        if let Some(why) = unreadable {
            return Err(why);
        }
        // Those of one thread are in the order of its log already.
        all.sort_by(|(at, thread, _), (other, of, _)| (at, thread).cmp(&(other, of)));
        Ok(all.into_iter().map(|(_, _, line)| line).collect())
    }

    /// Reads all seals, one after the other.
    async fn ledger(&self, keys: &SealKeys) -> Result<Ledger, Error> {
        let store = self.store.as_ref();
        let tip = Tip::kept(store).await?;
        let (mut numbers, mut next) = (BTreeSet::new(), Some(String::new()));
        while let Some(from) = next {
            let Page { items, next: more } = store.values(&from).await?;
            numbers.extend(items.iter().filter_map(|name| name.strip_prefix(SEALS)?.parse::<u64>().ok()));
            next = more;
        }
        let mut ledger = Ledger::default();
        for number in numbers {
            let kept = store.get(&name(number)).await?.unwrap_or_default();
            ledger.read(number, &kept, keys);
            let hash = serde_json::from_slice::<Seal>(&kept).ok().map(|seal| seal.hash);
            if number == tip.seal && hash.is_some() && hash != tip.hash {
                ledger.faults.push(format!("seal {number} is not the one that was noted as the last"));
            }
        }
        ledger.end(tip.seal, keys);
        Ok(ledger)
    }

    /// Shows each log once: those in the store, then those that are only in the archive, then that there is none of those that are
    /// wanted.
    async fn each_log(
        &self,
        archive: &Archive,
        mut wanted: BTreeSet<ThreadId>,
        mut each: impl AsyncFnMut(&ThreadId, Option<Log>),
    ) -> Result<(), NotAudited> {
        let mut seen = BTreeSet::new();
        wanted.extend(self.all_logs().await?);
        for thread in &wanted {
            let records = match self.store.load(thread, Version(0)).await {
                Ok(records) if records.is_empty() => continue,
                Ok(records) => Ok(records),
                Err(error) => {
                    // Whether it is this log alone, or all of the store.
                    Tip::kept(self.store.as_ref()).await?;
                    Err(error.to_string())
                }
            };
            seen.insert(thread.clone());
            each(thread, Some(Log { archived: false, records })).await;
        }
        // What left the store meanwhile was in the archive before.
        for (thread, at) in archive.index().await? {
            if seen.insert(thread.clone()) {
                let records = archive.load(&thread, at).await.map_err(|error| error.to_string());
                each(&thread, Some(Log { archived: true, records })).await;
            }
        }
        for thread in wanted.difference(&seen) {
            each(thread, None).await;
        }
        Ok(())
    }

    /// Which arguments people must not see, by tool, of each agent that asked somebody in a thread, as far as it is known.
    async fn secrets_in<'a>(
        &self,
        thread: &'a Thread,
    ) -> BTreeMap<(&'a str, &'a str), BTreeMap<String, Vec<String>>> {
        let mut secrets = BTreeMap::new();
        for record in thread.records() {
            let Event::Asked(question) = &record.event else { continue };
            let AgentRef { name, version } = &question.asker;
            if secrets.contains_key(&(name.as_str(), version.as_str())) {
                continue;
            }
            if let Ok(agent) = self.library.pinned(&question.asker, self.store.as_ref()).await {
                let tools = agent.spec().tools.iter().map(|(tool, spec)| (tool.clone(), spec.secret.clone()));
                secrets.insert((name.as_str(), version.as_str()), tools.collect());
            }
        }
        secrets
    }
}
