//! The laws of a store, for the embedded one.

use std::sync::Arc;

use store::{Clock, Embedded};
use testkit::store_laws::Opened;

testkit::store_laws!(embedded, open);

#[expect(clippy::unwrap_used, reason = "without a store there is no test")]
async fn open(clock: Arc<dyn Clock>) -> Opened {
    let folder = tempfile::tempdir().unwrap();
    let store = Embedded::open(&folder.path().join("store.db"), clock).unwrap();
    Opened::new(store, folder)
}
