//! Reading: a few connections of their own, off the asynchronous threads. In WAL mode they neither wait for the
//! writer nor hold it up.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use rusqlite::Connection;
use tokio::{sync::Semaphore, task::spawn_blocking};

use super::{fault::Fault, file};
use crate::Error;

/// So many reads run at once; more wait their turn.
const READERS: usize = 4;

/// The connections that are not in use. Each is opened when it is first wanted.
#[derive(Clone, Debug)]
pub(super) struct Readers {
    path: PathBuf,
    permits: Arc<Semaphore>,
    idle: Arc<Mutex<Vec<Connection>>>,
}

impl Readers {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, permits: Arc::new(Semaphore::new(READERS)), idle: Arc::default() }
    }

    /// Runs one read, in a transaction of its own: several statements see the same state.
    pub(super) async fn read<T, F>(&self, read: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    {
        let away = |why: &str| Error::Away { why: why.to_owned() };
        let permit =
            Arc::clone(&self.permits).acquire_owned().await.map_err(|_| away("the store is closed"))?;
        let this = self.clone();
        let work = move || {
            // Held until the connection is back, also when the caller has gone away.
            let _permit = permit;
            this.read_here(read)
        };
        spawn_blocking(work).await.map_err(|_| away("a read was cut off; it may be tried again"))?
    }

    fn read_here<T>(&self, read: impl FnOnce(&Connection) -> Result<T, Fault>) -> Result<T, Error> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match idle {
            Some(connection) => connection,
            None => file::open_reader(&self.path)?,
        };
        let path = self.path.display().to_string();
        let snapshot = connection.unchecked_transaction().map_err(|e| Fault::from(e).into_error(&path))?;
        let result = read(&snapshot).map_err(|fault| fault.into_error(&path));
        drop(snapshot);
        // A connection that met an error is not used again: the next read starts from a clean one.
        if result.is_ok() {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        }
        result
    }
}
