//! Taking work, keeping it, giving it back.
//!
//! `due` is the one column that says when work may be taken: while a worker has it, it is when the lease expires. So
//! a worker that died needs no cleaning up after.

use std::time::Duration;

use agent::{ThreadId, Version};
use channel::{ChannelName, Outgoing, Timestamp};
use rusqlite::{OptionalExtension, params};

use super::{
    codec,
    fault::Fault,
    writer::{Afterwards, Desk},
};
use crate::{Again, CLAIM_MAX, Claim, Error, Lease, Wanted, Work};

/// How long a message that this build cannot read is left alone: a newer build may come.
const UNREADABLE_RETRY: Duration = Duration::from_secs(60 * 60);

/// What a valid lease is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Held {
    /// A thread.
    Thread,
    /// A message that waits.
    Message,
}

/// What a claim found.
pub(super) struct Found {
    pub(super) work: Vec<Work>,
    /// When there will be more, if nobody writes before.
    pub(super) next: Option<Timestamp>,
}

/// Claimed work on its way to the caller. If the caller has gone away it is given back, instead of lying idle until
/// the leases expire.
pub(super) struct Handover {
    found: Option<Found>,
    afterwards: Option<Afterwards>,
}

impl Handover {
    pub(super) fn new(found: Found, afterwards: Option<Afterwards>) -> Self {
        Self { found: Some(found), afterwards }
    }

    /// The work has arrived.
    pub(super) fn take(mut self) -> Option<Found> {
        self.found.take()
    }
}

impl Drop for Handover {
    fn drop(&mut self) {
        if let (Some(found), Some(afterwards)) = (self.found.take(), &self.afterwards)
            && !found.work.is_empty()
        {
            afterwards.write(move |desk| found.work.iter().try_for_each(|work| give_back(desk, work)));
        }
    }
}

/// Which kind of lease this is, if it is held: its epoch is the last and it was not released.
pub(super) fn held(desk: &Desk<'_>, lease: &Lease) -> Result<Option<Held>, Fault> {
    let (sql, kind) = match ThreadId::parse(&lease.on) {
        Some(_) => ("SELECT 1 FROM thread WHERE id = ?1 AND epoch = ?2 AND worker IS NOT NULL", Held::Thread),
        None => (
            "SELECT 1 FROM outgoing WHERE key = ?1 AND epoch = ?2 AND worker IS NOT NULL AND state = 'waiting'",
            Held::Message,
        ),
    };
    let held = desk.sql.prepare_cached(sql)?.exists(params![lease.on, codec::int(lease.epoch)])?;
    Ok(held.then_some(kind))
}

/// Takes what is due, longest due first.
pub(super) fn claim(desk: &mut Desk<'_>, claim: &Claim) -> Result<Found, Fault> {
    match &claim.wanted {
        Wanted::Turns => claim_turns(desk, claim),
        Wanted::Sends(channel) => claim_sends(desk, claim, channel),
    }
}

/// Keeps a lease.
pub(super) fn renew(desk: &mut Desk<'_>, lease: &Lease, ttl: Duration) -> Result<(), Fault> {
    let sql = match must_hold(desk, lease)? {
        Held::Thread => "UPDATE thread SET due = ?2 WHERE id = ?1",
        Held::Message => "UPDATE outgoing SET due = ?2 WHERE key = ?1",
    };
    let until = codec::time(later(desk.now, ttl));
    desk.sql.prepare_cached(sql)?.execute([&lease.on, &until])?;
    Ok(())
}

/// Gives a lease back.
pub(super) fn release(desk: &mut Desk<'_>, lease: &Lease, again: &Again) -> Result<(), Fault> {
    match (must_hold(desk, lease)?, again) {
        (Held::Thread, Again::Sleep { seen, until }) => sleep(desk, lease, *seen, *until)?,
        (Held::Thread, Again::Retry { at, why }) => retry(desk, lease, *at, why, false)?,
        (Held::Thread, Again::Stuck { at, why }) => retry(desk, lease, *at, why, true)?,
        (Held::Thread, Again::Bury { why }) => bury(desk, lease, why)?,
        (Held::Message, Again::Bury { .. }) => {
            let why = format!("message {} cannot be set aside; it settles as dead", lease.on);
            return Err(Error::Refused { why }.into());
        }
        (Held::Message, Again::Sleep { seen: _, until }) => {
            set_due(desk, &lease.on, until.unwrap_or(desk.now), None)?;
        }
        (Held::Message, Again::Retry { at, why } | Again::Stuck { at, why }) => {
            set_due(desk, &lease.on, *at, Some(why))?;
        }
    }
    Ok(())
}

/// Gives up every lease: whoever held them is dead, since the file's lock was free.
pub(super) fn orphans(desk: &mut Desk<'_>) -> Result<(), Fault> {
    let now = codec::time(desk.now);
    desk.sql
        .execute("UPDATE thread SET worker = NULL, woken = 0, due = ?1 WHERE worker IS NOT NULL", [&now])?;
    desk.sql.execute(
        "UPDATE outgoing SET worker = NULL, due = ?1 WHERE worker IS NOT NULL AND state = 'waiting'",
        [&now],
    )?;
    Ok(())
}

fn must_hold(desk: &Desk<'_>, lease: &Lease) -> Result<Held, Fault> {
    held(desk, lease)?.ok_or_else(|| Error::Fenced { on: lease.on.clone() }.into())
}

fn claim_turns(desk: &mut Desk<'_>, claim: &Claim) -> Result<Found, Fault> {
    let due: Vec<String> = desk
        .sql
        .prepare_cached("SELECT id FROM thread WHERE due <= ?1 ORDER BY due, id LIMIT ?2")?
        .query_map(params![codec::time(desk.now), most(claim)], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let until = codec::time(later(desk.now, claim.ttl));
    let mut take = desk.sql.prepare_cached(
        "UPDATE thread SET epoch = epoch + 1, worker = ?2, due = ?3, woken = 0, attempts = attempts + 1
         WHERE id = ?1 RETURNING epoch, attempts",
    )?;
    let mut work = Vec::with_capacity(due.len());
    for id in due {
        let (epoch, attempt) =
            take.query_row([&id, &claim.worker, &until], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let thread = codec::parse_thread(&id)?;
        work.push(Work::Turn { lease: Lease { on: id, epoch: codec::uint(epoch)? }, thread, attempt });
    }
    let next = desk
        .sql
        .prepare_cached("SELECT min(due) FROM thread WHERE due IS NOT NULL")?
        .query_row([], |row| row.get::<_, Option<String>>(0))?;
    Ok(Found { work, next: next.as_deref().map(codec::parse_time).transpose()? })
}

fn claim_sends(desk: &mut Desk<'_>, claim: &Claim, channel: &ChannelName) -> Result<Found, Fault> {
    let due: Vec<String> = desk
        .sql
        .prepare_cached(
            "SELECT key FROM outgoing WHERE state = 'waiting' AND channel = ?1 AND due <= ?2
             ORDER BY due, id LIMIT ?3",
        )?
        .query_map(params![channel.as_str(), codec::time(desk.now), most(claim)], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let mut work = Vec::with_capacity(due.len());
    for key in due {
        work.extend(take_message(desk, claim, key)?);
    }
    let next = desk
        .sql
        .prepare_cached(
            "SELECT min(due) FROM outgoing WHERE state = 'waiting' AND channel = ?1 AND due IS NOT NULL",
        )?
        .query_row([channel.as_str()], |row| row.get::<_, Option<String>>(0))?;
    Ok(Found { work, next: next.as_deref().map(codec::parse_time).transpose()? })
}

/// Takes one message, counting the attempt. One that cannot be read is put off, so that it does not stand in the way
/// of other places; those behind it to the same place wait, to keep the order.
fn take_message(desk: &mut Desk<'_>, claim: &Claim, key: String) -> Result<Option<Work>, Fault> {
    let (thread, json): (String, String) = desk
        .sql
        .prepare_cached("SELECT thread, outgoing FROM outgoing WHERE key = ?1")?
        .query_row([&key], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let thread = codec::parse_thread(&thread)?;
    let outgoing: Outgoing = match codec::outgoing(&thread, &key, &json) {
        Ok(outgoing) => outgoing,
        Err(error) => {
            tracing::error!(%key, %error, "a message cannot be read; it is put off");
            set_due(desk, &key, later(desk.now, UNREADABLE_RETRY), Some(&error.to_string()))?;
            return Ok(None);
        }
    };
    let (epoch, attempt, since): (i64, u32, String) = desk
        .sql
        .prepare_cached(
            "UPDATE outgoing SET epoch = epoch + 1, worker = ?2, due = ?3, attempts = attempts + 1,
                 since = coalesce(since, ?4)
             WHERE key = ?1 RETURNING epoch, attempts, since",
        )?
        .query_row(
            [&key, &claim.worker, &codec::time(later(desk.now, claim.ttl)), &codec::time(desk.now)],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )?;
    Ok(Some(Work::Send {
        lease: Lease { on: key, epoch: codec::uint(epoch)? },
        thread,
        outgoing: Box::new(outgoing),
        attempt,
        since: codec::parse_time(&since)?,
    }))
}

/// Undoes a claim whose caller has gone away: an attempt that never began is not counted.
fn give_back(desk: &mut Desk<'_>, work: &Work) -> Result<(), Fault> {
    let now = codec::time(desk.now);
    match work {
        Work::Turn { lease, .. } => {
            if held(desk, lease)? == Some(Held::Thread) {
                desk.sql
                    .prepare_cached(
                        "UPDATE thread SET worker = NULL, woken = 0, due = ?2, attempts = attempts - 1
                         WHERE id = ?1",
                    )?
                    .execute([&lease.on, &now])?;
                desk.tell.turns = true;
            }
        }
        Work::Send { lease, outgoing, attempt, .. } => {
            if held(desk, lease)? == Some(Held::Message) {
                desk.sql
                    .prepare_cached(
                        "UPDATE outgoing SET worker = NULL, due = ?2, attempts = attempts - 1,
                             since = iif(?3 = 1, NULL, since)
                         WHERE key = ?1",
                    )?
                    .execute(params![lease.on, now, attempt])?;
                desk.tell.send(&outgoing.to.channel);
            }
        }
    }
    Ok(())
}

/// Puts a thread to sleep, unless something came that its worker has not seen.
fn sleep(desk: &mut Desk<'_>, lease: &Lease, seen: Version, until: Option<Timestamp>) -> Result<(), Fault> {
    let due: Option<String> = desk
        .sql
        .prepare_cached(
            "UPDATE thread SET worker = NULL, woken = 0, error = NULL, attempts = 0,
                 due = iif(woken = 1 OR version > ?2, ?3, ?4)
             WHERE id = ?1 RETURNING due",
        )?
        .query_row(
            params![lease.on, codec::int(seen.0), codec::time(desk.now), until.map(codec::time)],
            |row| row.get(0),
        )?;
    // One that sleeps without a deadline is work for nobody.
    desk.tell.turns |= due.is_some();
    Ok(())
}

/// A thread is to be tried again.
fn retry(desk: &mut Desk<'_>, lease: &Lease, at: Timestamp, why: &str, counts: bool) -> Result<(), Fault> {
    desk.sql
        .prepare_cached(
            "UPDATE thread SET worker = NULL, woken = 0, due = ?2, error = ?3, attempts = iif(?4, attempts, 0)
             WHERE id = ?1",
        )?
        .execute(params![lease.on, codec::time(at), why, counts])?;
    desk.tell.turns = true;
    Ok(())
}

/// Sets a thread aside, unless it was woken while it was held.
fn bury(desk: &mut Desk<'_>, lease: &Lease, why: &str) -> Result<(), Fault> {
    desk.sql
        .prepare_cached(
            "UPDATE thread SET worker = NULL, buried = 1 - woken, due = iif(woken, ?2, NULL), error = ?3,
                 attempts = iif(woken, 0, attempts), woken = 0
             WHERE id = ?1",
        )?
        .execute(params![lease.on, codec::time(desk.now), why])?;
    desk.tell.turns = true;
    Ok(())
}

fn set_due(desk: &mut Desk<'_>, key: &str, at: Timestamp, why: Option<&str>) -> Result<(), Fault> {
    let channel: Option<String> = desk
        .sql
        .prepare_cached(
            "UPDATE outgoing SET worker = NULL, due = ?2, error = coalesce(?3, error)
             WHERE key = ?1 RETURNING channel",
        )?
        .query_row(params![key, codec::time(at), why], |row| row.get(0))
        .optional()?;
    if let Some(channel) = channel {
        desk.tell.send(&ChannelName::new(channel));
    }
    Ok(())
}

/// At most so much, as a column number.
fn most(claim: &Claim) -> i64 {
    i64::try_from(claim.max.min(CLAIM_MAX)).unwrap_or(0)
}

/// A time after another, or the last there is.
pub(super) fn later(now: Timestamp, by: Duration) -> Timestamp {
    now.checked_add(by).unwrap_or(Timestamp::MAX)
}
