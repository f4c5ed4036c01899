//! What goes wrong inside, on its way to [`Error`].

use rusqlite::ErrorCode;

use crate::Error;

/// A refusal that was meant, or a failure of SQLite.
#[derive(Debug)]
pub(super) enum Fault {
    /// The caller gets exactly this.
    Said(Error),
    /// The caller gets what [`Fault::into_error`] makes of it.
    Sqlite(rusqlite::Error),
}

impl Fault {
    /// The error for the caller; `path` is the store's file.
    pub(super) fn into_error(self, path: &str) -> Error {
        match self {
            Self::Said(error) => error,
            Self::Sqlite(error) => explain(&error, path),
        }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Said(error)
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// A row that no build of ours has written.
pub(super) fn damaged(what: impl std::fmt::Display) -> Fault {
    Fault::Said(Error::Away { why: format!("the file is damaged: {what}; restore it from a backup") })
}

/// What SQLite said, with what to do about it.
pub(super) fn explain(error: &rusqlite::Error, path: &str) -> Error {
    let Some(code) = error.sqlite_error_code() else {
        // A value that no build of ours writes.
        return Error::Away { why: format!("{path}: {error} (it may be damaged; restore it from a backup)") };
    };
    if code == ErrorCode::NotADatabase {
        let why = format!("{path} is not a SQLite file; move it away, or set another `store.path`");
        return Error::Refused { why };
    }
    if code == ErrorCode::TooBig {
        return Error::Refused { why: format!("{path}: {error}") };
    }
    let remedy = if code == ErrorCode::DiskFull {
        "free some space; it goes on by itself"
    } else if matches!(code, ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) {
        "another program holds it; close that one"
    } else if code == ErrorCode::DatabaseCorrupt {
        "restore it from a backup"
    } else if matches!(code, ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) {
        "the user that runs this must be able to write the file and its folder"
    } else {
        "the operating system's log may say more"
    };
    Error::Away { why: format!("{path}: {error} ({remedy})") }
}
