//! The scripts, and the server that knows them: one that does not is met first.

use std::time::Duration;

use redis::{
    AsyncCommands, ErrorKind, FromRedisValue, RedisError, RedisResult, Script, ServerErrorKind, Value,
};
use store::Error;
use tokio::time::sleep;

use crate::{
    fault, heal,
    journal::{self, Entry, Wrote},
    soundness,
    store::Inner,
};

/// How often a command is tried whose end nobody saw.
const TRIES: u32 = 8;
/// What `scripts/claim_sends.lua` says of each message.
const SEND_PARTS: usize = 6;
/// What a server says that does not know a script.
const UNKNOWN_SCRIPT: ErrorKind = ErrorKind::Server(ServerErrorKind::NoScript);

/// A script: what it says, and how it is called.
pub(crate) struct Code {
    text: String,
    hash: String,
}

pub(crate) struct Scripts {
    pub(crate) commit: Code,
    pub(crate) put_back: Code,
    pub(crate) tried: Code,
    pub(crate) come_by: Code,
    pub(crate) claim_turns: Code,
    pub(crate) claim_sends: Code,
    pub(crate) lease: Code,
    pub(crate) threads: Code,
    pub(crate) retire: Code,
    pub(crate) right: Code,
    pub(crate) asleep: Code,
    pub(crate) restore: Code,
}

impl Scripts {
    /// The scripts, with the name of a journal at their head: then only who has that journal makes them known.
    pub(crate) fn new(name: &str) -> Self {
        let script = |code: &str| {
            let text = format!("-- {name}\n{}{code}", include_str!("scripts/common.lua"));
            let hash = Script::new(&text).get_hash().to_owned();
            Code { text, hash }
        };
        let commit = include_str!("scripts/commit.lua");
        Self {
            commit: script(&format!("local puts_back = false\n{commit}")),
            put_back: script(&format!("local puts_back = true\n{commit}")),
            tried: script(include_str!("scripts/tried.lua")),
            come_by: script(include_str!("scripts/come_by.lua")),
            claim_turns: script(include_str!("scripts/claim_turns.lua")),
            claim_sends: script(include_str!("scripts/claim_sends.lua")),
            lease: script(include_str!("scripts/lease.lua")),
            threads: script(include_str!("scripts/threads.lua")),
            retire: script(include_str!("scripts/retire.lua")),
            right: script(include_str!("scripts/right.lua")),
            asleep: script(include_str!("scripts/asleep.lua")),
            restore: script(include_str!("scripts/restore.lua")),
        }
    }

    /// Those that are called by their hash.
    fn called(&self) -> [&Code; 9] {
        let Self {
            commit,
            put_back: _,
            tried: _,
            come_by: _,
            claim_turns,
            claim_sends,
            lease,
            threads,
            retire,
            right,
            asleep,
            restore,
        } = self;
        [commit, claim_turns, claim_sends, lease, threads, retire, right, asleep, restore]
    }
}

/// What of an answer is noted in the journal.
#[derive(Clone, Copy)]
pub(crate) enum Noting<'a> {
    Nothing,
    /// That this batch was written.
    Batch(&'a Wrote),
    /// Which messages were taken.
    Sends,
}

impl Inner {
    /// Runs a script. The time comes first of its arguments.
    pub(crate) async fn run(&self, script: &Code, args: &[&[u8]]) -> RedisResult<Value> {
        self.run_noting(script, args, Noting::Nothing).await
    }

    pub(crate) async fn run_noting(
        &self,
        script: &Code,
        args: &[&[u8]],
        noting: Noting<'_>,
    ) -> RedisResult<Value> {
        let mut tries = 0;
        loop {
            let done = self.once(script, args, noting).await;
            match done {
                Err(error) if tries < TRIES && error.kind() == UNKNOWN_SCRIPT => self.meet().await?,
                done => return done,
            }
            tries += 1;
        }
    }

    /// Calls a script. What it confirms is in the journal before anybody compares that with what is there.
    async fn once(&self, script: &Code, args: &[&[u8]], noting: Noting<'_>) -> RedisResult<Value> {
        let (Some(journal), Noting::Batch(_) | Noting::Sends) = (&self.journal, noting) else {
            return self.call("EVALSHA", &script.hash, args).await;
        };
        let _open = self.gate.read().await;
        let value = self.call("EVALSHA", &script.hash, args).await?;
        let entry = match noting {
            Noting::Batch(wrote) => confirmed(wrote, &value).map(Entry::Batch),
            Noting::Sends => tried(&value),
            Noting::Nothing => None,
        };
        entry.iter().for_each(|entry| journal.note(entry));
        Ok(value)
    }

    /// Runs a script that no server needs to know.
    pub(crate) async fn eval(&self, script: &Code, args: &[&[u8]]) -> RedisResult<Value> {
        self.call("EVAL", &script.text, args).await
    }

    async fn call(&self, how: &str, script: &str, args: &[&[u8]]) -> RedisResult<Value> {
        let mut cmd = redis::cmd(how);
        cmd.arg(script).arg(1).arg(self.key("format")).arg(self.now());
        for arg in args {
            cmd.arg(*arg);
        }
        cmd.query_async(&mut self.link.clone()).await
    }

    /// Meets a server that does not know our scripts: another one than before, or one that began anew. What it lacks is put back
    /// before anything else is asked of it.
    async fn meet(&self) -> RedisResult<()> {
        let _one = self.meeting.lock().await;
        let history = self.link.history().await?;
        if self.link.has_met(&history) && self.is_known().await? {
            return Ok(());
        }
        if self.journal.is_some() {
            tracing::warn!(
                "this Redis is another one than before, or was started anew; what was written last is looked for"
            );
            let key = self.key("store");
            let id: Option<String> = self.link.clone().get(key).await?;
            if id.as_ref() == Some(&self.id) {
                self.hold_up().await?;
                let run = self.run_of_server().await?;
                let _shut = self.gate.write().await;
                let healed = self.heal(&[], false).await.map_err(|error| {
                    RedisError::from((
                        ErrorKind::Io,
                        "what it forgot could not be put back",
                        error.to_string(),
                    ))
                })?;
                heal::tell(&healed);
                // The same process has another history when it comes to be the master again.
                self.come_by(&format!("{run}{history}")).await?;
            } else {
                // Some hours of it would be no store either.
                tracing::error!(
                    "the store is not in this Redis any more: it was emptied, or this is another one"
                );
            }
        }
        self.teach().await?;
        self.link.meets(history);
        Ok(())
    }

    /// At the start: what any process wrote here that has ended, and Redis has forgotten since, is put back.
    pub(crate) async fn begin(&self) -> Result<(), Error> {
        let ours = self.journal.as_ref().and_then(|ours| ours.folder().parent());
        let left = ours.map(journal::left).unwrap_or_default();
        heal::tell(&self.heal(&left, false).await?);
        let ready = async {
            self.come_by("").await?;
            self.teach().await
        };
        ready.await.map_err(|error| fault::away(&error))
    }

    /// Which run of a server this is: a name of its process.
    async fn run_of_server(&self) -> RedisResult<String> {
        let info =
            String::from_redis_value(self.link.ask(redis::cmd("INFO").arg("server").to_owned()).await?)?;
        Ok(soundness::field(&info, "run_id").unwrap_or_default().to_owned())
    }

    async fn is_known(&self) -> RedisResult<bool> {
        let mut cmd = redis::cmd("SCRIPT");
        cmd.arg("EXISTS");
        self.scripts.called().iter().for_each(|script| {
            cmd.arg(&script.hash);
        });
        let known = <Vec<bool>>::from_redis_value(self.link.ask(cmd).await?)?;
        Ok(known.iter().all(|known| *known))
    }

    /// Makes our scripts known.
    async fn teach(&self) -> RedisResult<()> {
        for script in self.scripts.called() {
            let mut cmd = redis::cmd("SCRIPT");
            cmd.arg("LOAD").arg(&script.text);
            self.link.ask(cmd).await?;
        }
        Ok(())
    }

    /// Runs a script that may run twice, until its end was seen.
    pub(crate) async fn run_surely(&self, script: &Code, args: &[&[u8]]) -> RedisResult<(Value, bool)> {
        self.run_surely_noting(script, args, Noting::Nothing).await
    }

    pub(crate) async fn run_surely_noting(
        &self,
        script: &Code,
        args: &[&[u8]],
        noting: Noting<'_>,
    ) -> RedisResult<(Value, bool)> {
        let mut tries = 0;
        loop {
            match self.run_noting(script, args, noting).await {
                Ok(value) => return Ok((value, tries > 0)),
                Err(error)
                    if tries < TRIES
                        && (fault::is_unsure(&error) || (tries > 0 && fault::may_pass(&error))) =>
                {
                    tracing::debug!(%error, "a command is tried again whose end was not seen");
                    tries += 1;
                    sleep(Duration::from_millis(25 << tries)).await;
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// The messages that were taken, for the journal.
fn tried(answer: &Value) -> Option<Entry> {
    let answer = <Vec<String>>::from_redis_value(answer.clone()).ok()?;
    let keys: Vec<String> = answer.iter().skip(1).step_by(SEND_PARTS).cloned().collect();
    (!keys.is_empty()).then_some(Entry::Tried { keys })
}

/// A batch for the journal, if it was written.
pub(crate) fn confirmed(wrote: &Wrote, answer: &Value) -> Option<Wrote> {
    let answer = <Vec<String>>::from_redis_value(answer.clone()).ok()?;
    let (said, after) = (answer.first()?, answer.get(1)?);
    let after: u64 = after.parse().ok().filter(|_| said == "done")?;
    let before = after.saturating_sub(wrote.records.len() as u64);
    // Of a commit that was asked for again it is not told any more what it stands on.
    let on = answer.get(2).cloned().unwrap_or_default();
    Some(Wrote { before, on, ..wrote.clone() })
}
