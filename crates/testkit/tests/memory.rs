//! The reference holds to the laws that it stands for.

use std::sync::Arc;

use store::Clock;
use testkit::{MemoryStore, store_laws::Opened};

testkit::store_laws!(memory, open);

async fn open(clock: Arc<dyn Clock>) -> Opened {
    Opened::new(MemoryStore::new(clock), ())
}
