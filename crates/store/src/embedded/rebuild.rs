//! What follows from the logs: forgotten, and put back.

use agent::ThreadId;
use channel::{Address, DeliveryKey, MessageRef};
use rusqlite::params;

use super::{codec, fault::Fault, writer::Desk};
use crate::SendState;

/// Forgets what follows from the logs. Every thread is asleep at the end of its log; the one whose last event is the oldest counts
/// as written first. Epochs stay, so that no lease of before comes to hold again.
pub(super) fn reset(desk: &mut Desk<'_>) -> Result<(), Fault> {
    for id in lost_threads(desk)? {
        desk.sql
            .prepare_cached(
                "INSERT INTO thread (id, home, generation, version, updated, written) VALUES (?1, ?2, ?3, 0, '', 0)",
            )?
            .execute(params![id.as_str(), id.home().as_str(), id.generation()])?;
    }
    desk.sql.execute_batch(
        "DELETE FROM outgoing;
         UPDATE thread SET version = log.events, updated = log.last, written = log.place,
             due = NULL, worker = NULL, woken = 0, attempts = 0, buried = 0, error = NULL
         FROM (SELECT id, events, last, row_number() OVER (ORDER BY last, id) AS place
               FROM (SELECT thread.id, count(event.seq) AS events, coalesce(max(event.at), thread.updated) AS last
                     FROM thread LEFT JOIN event ON event.thread = thread.id GROUP BY thread.id)) AS log
         WHERE log.id = thread.id;",
    )?;
    Ok(())
}

/// Threads of which only the log is left.
fn lost_threads(desk: &Desk<'_>) -> Result<Vec<ThreadId>, Fault> {
    let mut select = desk.sql.prepare(
        "SELECT DISTINCT thread FROM event WHERE NOT EXISTS (SELECT 1 FROM thread WHERE thread.id = event.thread)",
    )?;
    let mut rows = select.query([])?;
    let mut lost = Vec::new();
    while let Some(row) = rows.next()? {
        lost.push(codec::parse_thread(&row.get::<_, String>(0)?)?);
    }
    Ok(lost)
}

/// A message as it was, ready to be put back.
pub(super) struct Was {
    pub(super) thread: ThreadId,
    pub(super) key: DeliveryKey,
    pub(super) to: Address,
    pub(super) json: String,
    pub(super) state: SendState,
    pub(super) message: Option<MessageRef>,
}

/// Puts a message into the outbox as it was. One that waits counts as tried.
pub(super) fn restore(desk: &mut Desk<'_>, was: &Was) -> Result<(), Fault> {
    let waits = was.state == SendState::Waiting;
    let posted = desk
        .sql
        .prepare_cached(
            "INSERT INTO outgoing (key, thread, channel, place, state, message, attempts, since, due, outgoing)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8,
                 iif(?7 = 0 OR EXISTS (SELECT 1 FROM outgoing WHERE state = 'waiting' AND channel = ?3 AND place = ?4),
                     NULL, ?9),
                 ?10)
             ON CONFLICT (key) DO NOTHING",
        )?
        .execute(params![
            was.key.as_str(),
            was.thread.as_str(),
            was.to.channel.as_str(),
            was.to.place.as_str(),
            codec::state(was.state),
            was.message.as_ref().map(MessageRef::as_str),
            waits,
            waits.then(|| codec::time(desk.now)),
            codec::time(desk.now),
            was.json
        ])?;
    if posted > 0 && waits {
        desk.tell.send(&was.to.channel);
    }
    Ok(())
}
