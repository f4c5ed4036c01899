//! What follows from the logs: forgotten, and put back.

use std::time::Duration;

use agent::ThreadId;
use channel::{MessageRef, Timestamp};
use redis::FromRedisValue;
use store::{Error, Page, SendState, Sent, codec};
use tokio::time::sleep;

use crate::{
    answer,
    fault::{self, damaged},
    store::{Inner, place},
};

/// The kinds of keys that hold what follows from the logs, but for the threads themselves.
const FOLLOWS: [&str; 8] = ["due", "written", "buried", "out:", "queue:", "place:", "waiting", "message:"];
/// Messages that are put back by one script.
const TOGETHER: usize = 100;

impl Inner {
    pub(crate) async fn reset(&self) -> Result<(), Error> {
        self.refuse_company().await?;
        for kind in FOLLOWS {
            self.forget(kind).await?;
        }
        let mut last = Vec::new();
        for kind in ["log:", "thread:"] {
            let mut next = Some(String::new());
            while let Some(from) = next {
                let page = self.scan(kind, &from).await?;
                last.extend(self.last_written(&page.items).await?);
                next = page.next;
            }
        }
        last.sort();
        last.dedup();
        for (at, thread) in &last {
            let (home, generation) = (thread.home(), thread.generation().to_string());
            let updated = at.as_microsecond().to_string();
            let args = [thread.as_str(), home.as_str(), &generation, &updated].map(str::as_bytes);
            self.run(&self.scripts.asleep, &args).await.map_err(|error| fault::away(&error))?;
        }
        Ok(())
    }

    /// Whether somebody listens for work: then a gateway works on the store. In a cluster only those are seen who listen where we
    /// look.
    async fn refuse_company(&self) -> Result<(), Error> {
        // Ours is one of them, once it listens; one that just ended may be counted for a moment.
        for _ in 0..20 {
            if self.bells.hears() && self.listeners().await <= 1 {
                return Ok(());
            }
            sleep(Duration::from_millis(100)).await;
        }
        if self.listeners().await <= 1 {
            return Ok(());
        }
        let why = "a gateway works on the store; stop all that have it, and begin again".to_owned();
        Err(Error::Refused { why })
    }

    async fn listeners(&self) -> u64 {
        let mut cmd = redis::cmd("PUBSUB");
        cmd.arg("NUMSUB").arg(self.key("wake"));
        match self.link.ask(cmd).await {
            Ok(value) => <(String, u64)>::from_redis_value(value).map_or(0, |(_, count)| count),
            // Who may not ask cannot know.
            Err(_) => 0,
        }
    }

    /// Forgets the keys of one kind.
    async fn forget(&self, kind: &str) -> Result<(), Error> {
        let mut next = Some(String::new());
        while let Some(from) = next {
            let Page { items, next: more } = self.scan(kind, &from).await?;
            if !items.is_empty() {
                let mut cmd = redis::cmd("UNLINK");
                for name in &items {
                    cmd.arg(self.key(&format!("{kind}{name}")));
                }
                cmd.query_async::<()>(&mut self.link.clone()).await.map_err(|error| fault::away(&error))?;
            }
            next = more;
        }
        Ok(())
    }

    /// When the last event of each of these threads was written; of one without events, when it came to be.
    async fn last_written(&self, threads: &[String]) -> Result<Vec<(Timestamp, ThreadId)>, Error> {
        if threads.is_empty() {
            return Ok(Vec::new());
        }
        let mut pipe = redis::pipe();
        for thread in threads {
            pipe.cmd("LINDEX").arg(self.key(&format!("log:{thread}"))).arg(-1);
            pipe.cmd("HGET").arg(self.key(&format!("thread:{thread}"))).arg("updated");
        }
        let found: Vec<Option<String>> =
            pipe.query_async(&mut self.link.clone()).await.map_err(|error| fault::away(&error))?;
        let mut last = Vec::new();
        for (thread, found) in threads.iter().zip(found.chunks(2)) {
            let at = match found {
                [Some(entry), _] => {
                    let at = entry.split('|').next().unwrap_or_default();
                    at.parse().map_err(|_| damaged(format_args!("`{at}` is no time")))?
                }
                [None, Some(updated)] => answer::time(updated)?,
                // It came to be in a write that is not done yet, or nothing is left of it.
                _ => continue,
            };
            last.push((at, answer::thread(thread)?));
        }
        Ok(last)
    }

    pub(crate) async fn restore(&self, messages: Vec<Sent>) -> Result<(), Error> {
        let mut args: Vec<[String; 7]> = Vec::new();
        for Sent { thread, outgoing, state, message, error: _ } in messages {
            let (key, to, json) = codec::encode_outgoing(outgoing)?;
            args.push([
                thread.as_str().to_owned(),
                key.as_str().to_owned(),
                to.channel.as_str().to_owned(),
                place(&to.channel, to.place.as_str()),
                json,
                state_of(state).to_owned(),
                message.as_ref().map_or_else(String::new, |name| format!("={}", MessageRef::as_str(name))),
            ]);
        }
        for part in args.chunks(TOGETHER) {
            let part: Vec<&[u8]> = part.iter().flatten().map(String::as_bytes).collect();
            // What is there already is left as it is, so it may run twice.
            self.run_surely(&self.scripts.restore, &part).await.map_err(|error| fault::away(&error))?;
        }
        Ok(())
    }
}

fn state_of(state: SendState) -> &'static str {
    match state {
        SendState::Waiting => "waiting",
        SendState::Sent => "sent",
        SendState::Dead => "dead",
    }
}
