//! One batch, whole or not at all.

use agent::{ThreadId, Version};
use channel::{Address, DeliveryKey, InboundKey, MessageRef};
use rusqlite::{OptionalExtension, params};

use super::{
    codec,
    fault::Fault,
    lease::{self, Held},
    retire,
    writer::Desk,
};
use crate::{
    Error, KEYS_KEPT, Lease, SendState,
    codec::{Encoded, Ending},
};
/// So many forgotten keys go with each new one; more than come, so that the table does not grow for ever.
const FORGET: usize = 8;

/// Writes a batch. Every refusal comes before the first change.
pub(super) fn write(desk: &mut Desk<'_>, batch: &Encoded) -> Result<Version, Fault> {
    debug_assert!(desk.flushed, "a batch is on the disk before it is answered");
    refuse_seen(desk, &batch.keys)?;
    refuse_fenced(desk, batch)?;
    let version = refuse_stale(desk, batch)?;
    let after = Version(version.0 + batch.records.len() as u64);

    write_thread(desk, batch, after)?;
    append(desk, batch, version)?;
    remember(desk, &batch.keys, &batch.thread)?;
    // The settled message makes way first: one that this batch adds for the same place then stands at its head.
    if let Some((lease, ending, message)) = &batch.settle {
        settle(desk, lease, *ending, message.as_ref())?;
    }
    for (key, to, json) in &batch.outgoing {
        post(desk, &batch.thread, key, to, json)?;
    }
    Ok(after)
}

fn refuse_seen(desk: &Desk<'_>, keys: &[InboundKey]) -> Result<(), Fault> {
    let mut seen = desk.sql.prepare_cached("SELECT 1 FROM inbound_key WHERE key = ?1")?;
    for key in keys {
        if seen.exists([key.as_str()])? {
            return Err(Error::Duplicate { key: key.as_str().to_owned() }.into());
        }
    }
    Ok(())
}

fn refuse_fenced(desk: &Desk<'_>, batch: &Encoded) -> Result<(), Fault> {
    if let Some(fence) = &batch.fence {
        let ours = fence.on == batch.thread.as_str();
        if !ours || lease::held(desk, fence)? != Some(Held::Thread) {
            return Err(Error::Fenced { on: fence.on.clone() }.into());
        }
    }
    if let Some((lease, _, _)) = &batch.settle
        && lease::held(desk, lease)? != Some(Held::Message)
    {
        return Err(Error::Fenced { on: lease.on.clone() }.into());
    }
    Ok(())
}

fn refuse_stale(desk: &Desk<'_>, batch: &Encoded) -> Result<Version, Fault> {
    let actual = desk
        .sql
        .prepare_cached("SELECT version FROM thread WHERE id = ?1")?
        .query_row([batch.thread.as_str()], |row| row.get(0))
        .optional()?;
    if actual.is_none() {
        retire::refuse_retired(desk, &batch.thread)?;
    }
    let actual = Version(actual.map_or(Ok(0), codec::uint)?);
    match batch.expect {
        Some(expected) if expected != actual => {
            Err(Error::Conflict { thread: batch.thread.clone(), actual }.into())
        }
        Some(_) | None => Ok(actual),
    }
}

/// Makes or changes the thread's row. A wake makes it due now, unless it is due already (the longest due comes first)
/// or a worker has it (then `woken` makes it due again when it is released).
fn write_thread(desk: &mut Desk<'_>, batch: &Encoded, version: Version) -> Result<(), Fault> {
    let now = codec::time(desk.now);
    desk.sql
        .prepare_cached(
            "INSERT INTO thread (id, home, generation, version, updated, written, due)
             VALUES (?1, ?2, ?3, ?4, ?5, (SELECT coalesce(max(written), 0) + 1 FROM thread), iif(?6, ?5, NULL))
             ON CONFLICT (id) DO UPDATE SET
                 version = excluded.version,
                 updated = iif(excluded.version > version, excluded.updated, updated),
                 written = iif(excluded.version > version, excluded.written, written),
                 woken = iif(?6 AND worker IS NOT NULL, 1, woken),
                 attempts = iif(?7 OR ?6 AND buried, 0, attempts),
                 buried = iif(?6, 0, buried),
                 due = iif(?6 AND worker IS NULL, min(coalesce(due, ?5), ?5), due)",
        )?
        .execute(params![
            batch.thread.as_str(),
            batch.thread.home().as_str(),
            batch.thread.generation(),
            codec::int(version.0),
            now,
            batch.wake,
            // A thread that gets on is no danger to its workers, however slow they are.
            batch.fence.is_some() && !batch.records.is_empty()
        ])?;
    desk.tell.turns |= batch.wake;
    Ok(())
}

fn append(desk: &Desk<'_>, batch: &Encoded, from: Version) -> Result<(), Fault> {
    let mut insert = desk
        .sql
        .prepare_cached("INSERT INTO event (thread, seq, at, format, event) VALUES (?1, ?2, ?3, ?4, ?5)")?;
    for (seq, (at, format, json)) in (from.0..).zip(&batch.records) {
        insert.execute(params![batch.thread.as_str(), codec::int(seq), codec::time(*at), format, json])?;
    }
    Ok(())
}

/// Remembers the keys, and forgets a few of the oldest.
fn remember(desk: &Desk<'_>, keys: &[InboundKey], thread: &ThreadId) -> Result<(), Fault> {
    if keys.is_empty() {
        return Ok(());
    }
    let mut insert =
        desk.sql.prepare_cached("INSERT OR IGNORE INTO inbound_key (key, thread, at) VALUES (?1, ?2, ?3)")?;
    let now = codec::time(desk.now);
    for key in keys {
        insert.execute([key.as_str(), thread.as_str(), &now])?;
    }
    let Ok(oldest) = desk.now.checked_sub(KEYS_KEPT) else { return Ok(()) };
    let forget = i64::try_from(keys.len().saturating_mul(FORGET)).unwrap_or(i64::MAX);
    desk.sql
        .prepare_cached(
            "DELETE FROM inbound_key WHERE key IN
             (SELECT key FROM inbound_key WHERE at < ?1 ORDER BY at LIMIT ?2)",
        )?
        .execute(params![codec::time(oldest), forget])?;
    Ok(())
}

/// Ends a message's sending and lets the next one to the same place through.
fn settle(
    desk: &mut Desk<'_>,
    lease: &Lease,
    ending: Ending,
    message: Option<&MessageRef>,
) -> Result<(), Fault> {
    let (channel, place): (String, String) = desk
        .sql
        .prepare_cached(
            "UPDATE outgoing SET state = ?2, message = ?3, due = NULL, worker = NULL, error = NULL
             WHERE key = ?1 RETURNING channel, place",
        )?
        .query_row(
            params![lease.on, codec::state(SendState::from(ending)), message.map(MessageRef::as_str)],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
    let next = desk
        .sql
        .prepare_cached(
            "UPDATE outgoing SET due = ?3 WHERE id =
             (SELECT min(id) FROM outgoing WHERE state = 'waiting' AND channel = ?1 AND place = ?2)",
        )?
        .execute([&channel, &place, &codec::time(desk.now)])?;
    if next > 0 {
        desk.tell.send(&channel::ChannelName::new(channel));
    }
    Ok(())
}

/// Puts a message into the outbox, unless one of its name is there. It is due now, or stands behind another.
fn post(
    desk: &mut Desk<'_>,
    thread: &ThreadId,
    key: &DeliveryKey,
    to: &Address,
    json: &str,
) -> Result<(), Fault> {
    let posted = desk
        .sql
        .prepare_cached(
            "INSERT INTO outgoing (key, thread, channel, place, state, due, outgoing)
             VALUES (?1, ?2, ?3, ?4, 'waiting',
                 iif(EXISTS (SELECT 1 FROM outgoing WHERE state = 'waiting' AND channel = ?3 AND place = ?4),
                     NULL, ?5),
                 ?6)
             ON CONFLICT (key) DO NOTHING",
        )?
        .execute(params![
            key.as_str(),
            thread.as_str(),
            to.channel.as_str(),
            to.place.as_str(),
            codec::time(desk.now),
            json
        ])?;
    if posted > 0 {
        desk.tell.send(&to.channel);
    }
    Ok(())
}
