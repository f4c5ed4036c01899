//! Taking a whole thread away.

use agent::{ThreadId, Version};
use rusqlite::{OptionalExtension, params};

use super::{codec, fault::Fault, writer::Desk};
use crate::Error;

/// Takes a thread away. Every refusal comes before the first change.
pub(super) fn retire(desk: &mut Desk<'_>, thread: &ThreadId, version: Version) -> Result<(), Fault> {
    refuse_busy(desk, thread, version)?;
    for sql in [
        "DELETE FROM outgoing WHERE thread = ?1",
        "DELETE FROM event WHERE thread = ?1",
        "DELETE FROM thread WHERE id = ?1",
    ] {
        desk.sql.prepare_cached(sql)?.execute([thread.as_str()])?;
    }
    desk.sql
        .prepare_cached(
            "INSERT INTO retired (home, generation) VALUES (?1, ?2)
             ON CONFLICT (home) DO UPDATE SET generation = max(generation, excluded.generation)",
        )?
        .execute(params![thread.home().as_str(), thread.generation()])?;
    Ok(())
}

/// Refuses a thread that comes to be, where that one or a younger one was retired at its home.
pub(super) fn refuse_retired(desk: &Desk<'_>, thread: &ThreadId) -> Result<(), Fault> {
    let retired = desk
        .sql
        .prepare_cached("SELECT 1 FROM retired WHERE home = ?1 AND generation >= ?2")?
        .exists(params![thread.home().as_str(), thread.generation()])?;
    if retired {
        return Err(Error::Conflict { thread: thread.clone(), actual: Version(0) }.into());
    }
    Ok(())
}

fn refuse_busy(desk: &Desk<'_>, thread: &ThreadId, version: Version) -> Result<(), Fault> {
    let found: Option<(i64, bool, bool, bool)> = desk
        .sql
        .prepare_cached(
            "SELECT version, worker IS NOT NULL, due IS NOT NULL, buried FROM thread WHERE id = ?1",
        )?
        .query_row([thread.as_str()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
        .optional()?;
    let (actual, held, due, buried) = found.unwrap_or_default();
    let actual = Version(codec::uint(actual)?);
    if found.is_none() || actual != version {
        return Err(Error::Conflict { thread: thread.clone(), actual }.into());
    }
    let waiting: Option<String> = desk
        .sql
        .prepare_cached("SELECT key FROM outgoing WHERE thread = ?1 AND state = 'waiting' LIMIT 1")?
        .query_row([thread.as_str()], |row| row.get(0))
        .optional()?;
    let why = match waiting {
        _ if held => "a worker has it".to_owned(),
        _ if due => "it is due, or has a deadline".to_owned(),
        _ if buried => "it was set aside".to_owned(),
        Some(key) => format!("its message {key} waits to be sent"),
        None => return Ok(()),
    };
    Err(Error::NotAtRest { thread: thread.clone(), why }.into())
}
