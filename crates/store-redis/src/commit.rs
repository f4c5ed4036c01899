//! Batches: as the script takes them, which is also how they are noted and put back.

use std::time::Duration;

use agent::Version;
use channel::{Address, DeliveryKey};
use store::{
    Error, KEYS_KEPT, Lease,
    codec::{Encoded, Ending},
};
use tokio::time::{Instant, sleep};

use crate::{
    answer::{self, Answer},
    fault::{self, damaged},
    journal::Wrote,
    scripts::Noting,
    store::{Inner, healing, place},
};

/// How long a commit waits while what Redis forgot is put back.
const HEALING_MAX: Duration = Duration::from_secs(30);
const HEALING_REST: Duration = Duration::from_millis(50);

impl Inner {
    pub(crate) async fn commit(&self, batch: &Encoded) -> Result<Version, Error> {
        let wrote = Wrote::of(batch);
        let expect = batch.expect.map(|version| version.0);
        let settled = batch.settle.as_ref().map(|(lease, ..)| lease.epoch);
        let args = args(&wrote, expect, batch.fence.as_ref(), settled)?;
        let args: Vec<&[u8]> = args.iter().map(Vec::as_slice).collect();
        let give_up = Instant::now() + HEALING_MAX;
        loop {
            let done = self.run_surely_noting(&self.scripts.commit, &args, Noting::Batch(&wrote)).await;
            let mut answer = Answer::of(done.map_err(|error| fault::away(&error))?.0)?;
            let (said, about) = (answer.text()?, answer.text()?);
            return match said.as_str() {
                "done" => Ok(Version(answer::number(&about)?)),
                "duplicate" => Err(Error::Duplicate { key: about }),
                "fenced" => Err(Error::Fenced { on: about }),
                "conflict" => {
                    let actual = Version(answer::number(&about)?);
                    Err(Error::Conflict { thread: batch.thread.clone(), actual })
                }
                "healing" if Instant::now() < give_up => {
                    sleep(HEALING_REST).await;
                    continue;
                }
                "healing" => Err(healing()),
                other => Err(damaged(format_args!("a commit says `{other}`"))),
            };
        }
    }
}

impl Wrote {
    /// What a batch writes; where it will stand is not known yet.
    fn of(batch: &Encoded) -> Self {
        let message = |(key, to, json): &(DeliveryKey, Address, String)| {
            let place = place(&to.channel, to.place.as_str());
            [key.as_str().to_owned(), to.channel.as_str().to_owned(), place, json.clone()]
        };
        Self {
            thread: batch.thread.as_str().to_owned(),
            before: 0,
            on: String::new(),
            records: batch
                .records
                .iter()
                .map(|(at, format, json)| answer::log_entry(*at, *format, json))
                .collect(),
            keys: batch.keys.iter().map(|key| key.as_str().to_owned()).collect(),
            outgoing: batch.outgoing.iter().map(message).collect(),
            wake: batch.wake,
            settle: batch.settle.as_ref().map(|(lease, ending, message)| {
                let ending = match ending {
                    Ending::Sent => "sent",
                    Ending::Dead => "dead",
                };
                (lease.on.clone(), ending.to_owned(), message.as_ref().map(|name| name.as_str().to_owned()))
            }),
        }
    }
}

/// What is written as `scripts/commit.lua` takes it, under a name of its own: at this version, under this lease on the thread, and
/// with this epoch of the lease on the message whose sending it ends.
pub(crate) fn args(
    wrote: &Wrote,
    expect: Option<u64>,
    fence: Option<&Lease>,
    settled: Option<u64>,
) -> Result<Vec<Vec<u8>>, Error> {
    let mut id = [0; 8];
    getrandom::fill(&mut id).map_err(|error| Error::Away { why: format!("no random numbers: {error}") })?;
    let thread = answer::thread(&wrote.thread)?;
    let text = |text: &str| text.as_bytes().to_vec();
    let number = |number: Option<u64>| number.map(|n| n.to_string().into_bytes()).unwrap_or_default();
    let flag = |flag: bool| text(if flag { "1" } else { "0" });
    let (on, ending, message) = match &wrote.settle {
        Some((on, ending, message)) => (on.as_str(), ending.as_str(), message.as_deref()),
        None => ("", "dead", None),
    };
    let mut args = vec![
        id.to_vec(),
        text(thread.as_str()),
        text(thread.home().as_str()),
        number(Some(thread.generation().into())),
        number(expect),
        text(fence.map_or("", |lease| &lease.on)),
        number(fence.map(|lease| lease.epoch)),
        flag(wrote.wake),
        text(&KEYS_KEPT.as_millis().to_string()),
        text(on),
        number(settled),
        text(ending),
        flag(message.is_some()),
        text(message.unwrap_or_default()),
    ];
    let counts = [wrote.records.len(), wrote.keys.len(), wrote.outgoing.len()];
    args.extend(counts.map(|count| number(Some(count as u64))));
    let parts = wrote.records.iter().chain(&wrote.keys).chain(wrote.outgoing.iter().flatten());
    args.extend(parts.map(|part| text(part)));
    Ok(args)
}
