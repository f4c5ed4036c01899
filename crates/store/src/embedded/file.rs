//! The file, its folder, and the lock beside it.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, config::DbConfig};

use super::{fault::explain, schema};
use crate::{Error, folder};

/// How long a statement waits for another program, a `sqlite3` shell for instance, to let go of the file.
const BUSY: Duration = Duration::from_secs(5);
/// The size that the write-ahead log is cut back to once it was written into the file.
const LOG_BYTES: u64 = 16 << 20;

/// Which file of the file system this is, so that one put in its place is noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity(u64, u64);

/// Makes the folders and the file where they are missing, so that only the owner may read them: they hold what
/// people wrote. The names are durable when this returns.
pub(super) fn create(path: &Path) -> Result<(), Error> {
    let away =
        |what: &Path, e: io::Error| Error::Away { why: format!("cannot make {}: {e}", what.display()) };
    let above = folder::above(path);
    folder::create(&above).map_err(|e| away(&above, e))?;
    match private(OpenOptions::new().write(true).create_new(true)).open(path) {
        Ok(file) => file.sync_all().and_then(|()| folder::sync(&above)).map_err(|e| away(path, e)),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(e) => Err(away(path, e)),
    }
}

/// Takes the lock beside the file, for as long as the returned handle lives. The system gives it back when the
/// process ends, however it ends.
pub(super) fn lock(path: &Path) -> Result<File, Error> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let beside = PathBuf::from(name);
    let away = |e: io::Error| Error::Away { why: format!("cannot lock {}: {e}", beside.display()) };
    let mut file =
        private(OpenOptions::new().read(true).write(true).create(true)).open(&beside).map_err(away)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(in_use(path, &mut file)),
        Err(TryLockError::Error(e)) => return Err(away(e)),
    }
    file.set_len(0).and_then(|()| write!(file, "{}", std::process::id())).map_err(away)?;
    Ok(file)
}

/// Opens the file to write it, and brings its tables to the shape this build wants.
pub(super) fn open_writer(path: &Path) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = open(path, flags)?;
    let failed = |e: rusqlite::Error| explain(&e, &path.display().to_string());
    schema::refuse_foreign(&connection, path)?;
    // FULL: the log is on the disk, not only handed to the system, before a commit returns. The two `fullfsync`
    // mean something on macOS only, where a plain fsync stops at the drive's cache.
    connection
        .execute_batch(
            "PRAGMA synchronous = FULL; PRAGMA fullfsync = ON; PRAGMA checkpoint_fullfsync = ON;
             PRAGMA foreign_keys = ON;",
        )
        .map_err(failed)?;
    let mode: String =
        connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)).map_err(failed)?;
    if !mode.eq_ignore_ascii_case("wal") {
        let why = format!(
            "{}: its file system offers no shared memory (journal mode {mode}); use a local disk",
            path.display()
        );
        return Err(Error::Refused { why });
    }
    connection
        .query_row(&format!("PRAGMA journal_size_limit = {LOG_BYTES}"), [], |_| Ok(()))
        .map_err(failed)?;
    schema::migrate(&mut connection, path)?;
    Ok(connection)
}

/// Opens the file to read it.
pub(super) fn open_reader(path: &Path) -> Result<Connection, Error> {
    let connection = open(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection
        .execute_batch("PRAGMA query_only = ON; PRAGMA cache_size = -1024;")
        .map_err(|e| explain(&e, &path.display().to_string()))?;
    Ok(connection)
}

/// Which file stands at the path now; `None` where that cannot be told.
pub(super) fn identity(path: &Path) -> io::Result<Option<Identity>> {
    let about = fs::metadata(path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        Ok(Some(Identity(about.dev(), about.ino())))
    }
    #[cfg(not(unix))]
    {
        let _ = about;
        Ok(None)
    }
}

fn open(path: &Path, flags: OpenFlags) -> Result<Connection, Error> {
    let failed = |e: rusqlite::Error| explain(&e, &path.display().to_string());
    let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    connection.busy_timeout(BUSY).map_err(failed)?;
    connection.set_prepared_statement_cache_capacity(64);
    // A plan that is made once. Without, SQLite makes it anew each time that a value is bound which it might depend on, as
    // with every index that holds a part of a table; no plan of ours does.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map_err(failed)?;
    Ok(connection)
}

fn in_use(path: &Path, held: &mut File) -> Error {
    let mut pid = String::new();
    // The holder has just taken it and not written its number yet, or somebody wrote something else into it: the
    // refusal stands without the number.
    let read = held.rewind().and_then(|()| held.take(32).read_to_string(&mut pid));
    let holder = match (read, pid.trim().parse::<u32>()) {
        (Ok(_), Ok(pid)) => format!(" (pid {pid})"),
        (Ok(_) | Err(_), _) => String::new(),
    };
    Error::InUse { path: path.display().to_string(), holder }
}

fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options
}
