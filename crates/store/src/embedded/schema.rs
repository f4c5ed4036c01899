//! The tables, and how an older file comes to have them.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::fault::explain;
use crate::Error;

/// Written into the file's head, so that a store is known as one: `SWBD`.
const APPLICATION: i64 = 0x5357_4244;

/// One script a version, in order; the file's `user_version` says how many it has seen. Never edited once released,
/// only added to.
const SCRIPTS: &[&str] = &[
    include_str!("schema/1.sql"),
    include_str!("schema/2.sql"),
    include_str!("schema/3.sql"),
    include_str!("schema/4.sql"),
];

/// Refuses a file that some other program made, before a single byte of it is changed.
pub(super) fn refuse_foreign(connection: &Connection, path: &Path) -> Result<(), Error> {
    let failed = |e: rusqlite::Error| explain(&e, &path.display().to_string());
    let (application, version) = head(connection).map_err(failed)?;
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(failed)?;
    let path = path.display();
    if application == APPLICATION {
        return match usize::try_from(version) {
            Ok(version) if version <= SCRIPTS.len() => Ok(()),
            Ok(_) | Err(_) => {
                let why = format!(
                    "{path} was written by a newer build (schema {version}, this one knows {}); use that build",
                    SCRIPTS.len()
                );
                Err(Error::Refused { why })
            }
        };
    }
    if application == 0 && version == 0 && tables == 0 {
        return Ok(());
    }
    let why = format!("{path} belongs to another program; move it away, or set another `store.path`");
    Err(Error::Refused { why })
}

/// Runs the scripts that the file has not seen, each whole or not at all.
pub(super) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), Error> {
    let failed = |e: rusqlite::Error| explain(&e, &path.display().to_string());
    let (_, version) = head(connection).map_err(failed)?;
    let seen = usize::try_from(version).unwrap_or(0);
    for (n, script) in SCRIPTS.iter().enumerate().skip(seen) {
        let step = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        step.execute_batch(script).map_err(failed)?;
        step.execute_batch(&format!(
            "PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {};",
            n + 1
        ))
        .map_err(failed)?;
        step.commit().map_err(failed)?;
    }
    Ok(())
}

/// Refuses to read a file that is no store, or one whose tables are not of the shape this build reads.
pub(super) fn refuse_unread(connection: &Connection, path: &Path) -> Result<(), Error> {
    refuse_foreign(connection, path)?;
    let (application, version) = head(connection).map_err(|e| explain(&e, &path.display().to_string()))?;
    if application == APPLICATION && usize::try_from(version).is_ok_and(|version| version == SCRIPTS.len()) {
        return Ok(());
    }
    let why = format!(
        "{} has the tables of an older build, or none yet; start the gateway once and it brings them up",
        path.display()
    );
    Err(Error::Refused { why })
}

fn head(connection: &Connection) -> rusqlite::Result<(i64, i64)> {
    let application = connection.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    let version = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    Ok((application, version))
}
