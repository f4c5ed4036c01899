//! Reading.

use agent::{Home, Record, ThreadId, Version};
use channel::{InboundKey, MessageRef};
use rusqlite::{Connection, OptionalExtension, Row, Rows, params};

use super::{
    codec,
    fault::{Fault, damaged},
};
use crate::{Page, SENT_MAX, SendState, Sent, SentQuery, Summary, THREADS_MAX};

/// Names in a page.
const PAGE: i64 = 500;

/// The events of a thread from `from` on.
pub(super) fn load(sql: &Connection, thread: &ThreadId, from: Version) -> Result<Vec<Record>, Fault> {
    let mut select = sql.prepare_cached(
        "SELECT seq, at, format, event FROM event WHERE thread = ?1 AND seq >= ?2 ORDER BY seq",
    )?;
    let mut rows = select.query(params![thread.as_str(), codec::int(from.0)])?;
    let mut records = Vec::new();
    let mut expected = from.0;
    while let Some(row) = rows.next()? {
        let seq = codec::uint(row.get(0)?)?;
        if seq != expected {
            return Err(damaged(format_args!("thread {thread} has no event {expected}")));
        }
        let at = row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?;
        let event = row.get_ref(3)?.as_str().map_err(rusqlite::Error::from)?;
        records.push(codec::record(thread, seq, at, row.get(2)?, event)?);
        expected += 1;
    }
    Ok(records)
}

/// The youngest thread at a home, retired or not.
pub(super) fn latest(sql: &Connection, home: &Home) -> Result<Option<ThreadId>, Fault> {
    let generation: Option<u32> = sql
        .prepare_cached(
            "SELECT max(generation) FROM
             (SELECT max(generation) AS generation FROM thread WHERE home = ?1
              UNION ALL SELECT generation FROM retired WHERE home = ?1)",
        )?
        .query_row([home.as_str()], |row| row.get(0))?;
    Ok(generation.map(|generation| ThreadId::new(home, generation)))
}

const SUMMARY: &str = "SELECT id, version, updated, due, iif(buried, error, NULL) FROM thread";

/// Threads, the last written first.
pub(super) fn threads(sql: &Connection, skip: usize, limit: usize) -> Result<Vec<Summary>, Fault> {
    let limit = i64::try_from(limit.min(THREADS_MAX)).unwrap_or(0);
    let skip = i64::try_from(skip).unwrap_or(i64::MAX);
    let mut select = sql.prepare_cached(&format!("{SUMMARY} ORDER BY written DESC LIMIT ?1 OFFSET ?2"))?;
    summaries(select.query([limit, skip])?)
}

/// Threads that were set aside, the last written first.
pub(super) fn buried(sql: &Connection, limit: usize) -> Result<Vec<Summary>, Fault> {
    let limit = i64::try_from(limit.min(THREADS_MAX)).unwrap_or(0);
    let mut select =
        sql.prepare_cached(&format!("{SUMMARY} WHERE buried = 1 ORDER BY written DESC LIMIT ?1"))?;
    summaries(select.query([limit])?)
}

/// Threads, the last written last.
pub(super) fn oldest(sql: &Connection, skip: usize, limit: usize) -> Result<Vec<Summary>, Fault> {
    let limit = i64::try_from(limit.min(THREADS_MAX)).unwrap_or(0);
    let skip = i64::try_from(skip).unwrap_or(i64::MAX);
    let mut select = sql.prepare_cached(&format!("{SUMMARY} ORDER BY written LIMIT ?1 OFFSET ?2"))?;
    summaries(select.query([limit, skip])?)
}

/// The youngest thread that was retired at each home after this one.
pub(super) fn retired(sql: &Connection, after: &str) -> Result<Page<ThreadId>, Fault> {
    let mut select = sql.prepare_cached(
        "SELECT home, generation FROM retired WHERE home > ?1 OR ?1 = '' ORDER BY home LIMIT ?2",
    )?;
    let mut rows = select.query(params![after, PAGE])?;
    let mut items = Vec::new();
    while let Some(row) = rows.next()? {
        let (home, generation): (String, u32) = (row.get(0)?, row.get(1)?);
        items.push(codec::parse_thread(&format!("{home}-{generation}"))?);
    }
    let full = items.len() as i64 == PAGE;
    let next = items.last().filter(|_| full).map(|thread| thread.home().as_str().to_owned());
    Ok(Page { items, next })
}

fn summaries(mut rows: Rows<'_>) -> Result<Vec<Summary>, Fault> {
    let mut threads = Vec::new();
    while let Some(row) = rows.next()? {
        threads.push(Summary {
            thread: codec::parse_thread(&row.get::<_, String>(0)?)?,
            version: Version(codec::uint(row.get(1)?)?),
            updated: codec::parse_time(&row.get::<_, String>(2)?)?,
            due: row.get::<_, Option<String>>(3)?.as_deref().map(codec::parse_time).transpose()?,
            buried: row.get(4)?,
        });
    }
    Ok(threads)
}

/// Messages out, in the order they were committed.
pub(super) fn sent(sql: &Connection, query: &SentQuery) -> Result<Vec<Sent>, Fault> {
    let (rows, a, b): (&str, &str, &str) = match query {
        SentQuery::At(address) => {
            ("outgoing WHERE channel = ?1 AND place = ?2", address.channel.as_str(), address.place.as_str())
        }
        SentQuery::Key(key) => ("outgoing WHERE key = ?1 AND ?2 = ''", key.as_str(), ""),
        SentQuery::Message(channel, message) => {
            ("outgoing WHERE channel = ?1 AND message = ?2", channel.as_str(), message.as_str())
        }
        // By its index: few wait among the many that are kept.
        SentQuery::Waiting => {
            ("outgoing INDEXED BY outgoing_waiting WHERE state = 'waiting' AND ?1 = ?2", "", "")
        }
    };
    let mut select = sql.prepare_cached(&format!(
        "SELECT key, thread, state, message, error, outgoing FROM
         (SELECT * FROM {rows} ORDER BY id DESC LIMIT ?3) ORDER BY id"
    ))?;
    let limit = i64::try_from(SENT_MAX).unwrap_or(i64::MAX);
    let mut rows = select.query(params![a, b, limit])?;
    let mut sent = Vec::new();
    while let Some(row) = rows.next()? {
        sent.push(read_sent(row)?);
    }
    Ok(sent)
}

/// A kept value.
pub(super) fn get(sql: &Connection, name: &str) -> Result<Option<Vec<u8>>, Fault> {
    let bytes = sql
        .prepare_cached("SELECT bytes FROM value WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()?;
    Ok(bytes)
}

/// The names of kept values after this one.
pub(super) fn values(sql: &Connection, after: &str) -> Result<Page<String>, Fault> {
    let mut select =
        sql.prepare_cached("SELECT name FROM value WHERE name > ?1 OR ?1 = '' ORDER BY name LIMIT ?2")?;
    let items: Vec<String> =
        select.query_map(params![after, PAGE], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let next = items.last().filter(|_| items.len() as i64 == PAGE).cloned();
    Ok(Page { items, next })
}

/// The names of inbounds after this one.
pub(super) fn keys(sql: &Connection, after: &str) -> Result<Page<(InboundKey, ThreadId)>, Fault> {
    let mut select = sql.prepare_cached(
        "SELECT key, thread FROM inbound_key WHERE key > ?1 OR ?1 = '' ORDER BY key LIMIT ?2",
    )?;
    let mut rows = select.query(params![after, PAGE])?;
    let mut items = Vec::new();
    while let Some(row) = rows.next()? {
        let thread = codec::parse_thread(&row.get::<_, String>(1)?)?;
        items.push((InboundKey::new(row.get::<_, String>(0)?), thread));
    }
    let full = items.len() as i64 == PAGE;
    let next = items.last().filter(|_| full).map(|(key, _)| key.as_str().to_owned());
    Ok(Page { items, next })
}

/// The names of threads that have a log, after this one.
pub(super) fn logs(sql: &Connection, after: &str) -> Result<Page<ThreadId>, Fault> {
    let mut select = sql.prepare_cached(
        "SELECT DISTINCT thread FROM event WHERE thread > ?1 OR ?1 = '' ORDER BY thread LIMIT ?2",
    )?;
    let mut rows = select.query(params![after, PAGE])?;
    let mut items = Vec::new();
    while let Some(row) = rows.next()? {
        items.push(codec::parse_thread(&row.get::<_, String>(0)?)?);
    }
    let next = items.last().filter(|_| items.len() as i64 == PAGE).map(|last| last.as_str().to_owned());
    Ok(Page { items, next })
}

fn read_sent(row: &Row<'_>) -> Result<Sent, Fault> {
    let key: String = row.get(0)?;
    let thread = codec::parse_thread(&row.get::<_, String>(1)?)?;
    let state = codec::parse_state(&row.get::<_, String>(2)?)?;
    let error: Option<String> = row.get(4)?;
    let outgoing = codec::outgoing(&thread, &key, row.get_ref(5)?.as_str().map_err(rusqlite::Error::from)?)?;
    Ok(Sent {
        thread,
        outgoing,
        state,
        message: row.get::<_, Option<String>>(3)?.map(MessageRef::new),
        error: error.filter(|_| state == SendState::Waiting),
    })
}
