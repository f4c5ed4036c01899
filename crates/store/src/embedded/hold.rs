//! Rights to do something alone.

use std::time::Duration;

use rusqlite::params;

use super::{codec, fault::Fault, lease::later, writer::Desk};
use crate::{Error, codec::refuse_long};

/// The names, if they are short enough.
pub(super) fn names(name: &str, by: &str) -> Result<(String, String), Error> {
    refuse_long(name)?;
    refuse_long(by)?;
    Ok((name.to_owned(), by.to_owned()))
}

/// Takes a right that is free or was had too long, or keeps one; whether it is had now.
pub(super) fn take(desk: &mut Desk<'_>, name: &str, by: &str, ttl: Duration) -> Result<bool, Fault> {
    let sql = "INSERT INTO holding (name, by, until) VALUES (?1, ?2, ?3)
               ON CONFLICT (name) DO UPDATE SET by = excluded.by, until = excluded.until
               WHERE by = excluded.by OR until <= ?4";
    let until = codec::time(later(desk.now, ttl));
    let changed = desk.sql.prepare_cached(sql)?.execute(params![name, by, until, codec::time(desk.now)])?;
    Ok(changed > 0)
}

/// Gives a right back.
pub(super) fn let_go(desk: &mut Desk<'_>, name: &str, by: &str) -> Result<(), Fault> {
    desk.sql.prepare_cached("DELETE FROM holding WHERE name = ?1 AND by = ?2")?.execute([name, by])?;
    Ok(())
}

/// Gives up every right: whoever had them is dead, since the file's lock was free.
pub(super) fn orphans(desk: &mut Desk<'_>) -> Result<(), Fault> {
    desk.sql.execute("DELETE FROM holding", [])?;
    Ok(())
}
