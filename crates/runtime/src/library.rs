//! The agents: today's by name, older versions by their hash, as long as threads may need them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use agent::{Agent, AgentRef};
use store::Store;

/// How many older versions are kept loaded.
const LOADED_MAX: usize = 64;

/// The agents that this gateway can run.
pub struct Library {
    current: BTreeMap<String, Arc<Agent>>,
    older: Mutex<BTreeMap<String, Arc<Agent>>>,
    desks: Vec<String>,
}

impl Library {
    /// A library of today's agents. `desks` are the names that an older version may ask.
    pub fn new(agents: impl IntoIterator<Item = Agent>, desks: Vec<String>) -> Self {
        let current = agents.into_iter().map(|agent| (agent.reference().name, Arc::new(agent))).collect();
        Self { current, older: Mutex::default(), desks }
    }

    /// Keeps the files of today's agents under their versions, so that a thread can be finished by the version it
    /// began with.
    ///
    /// # Errors
    /// The store is away.
    pub async fn keep(&self, store: &dyn Store) -> Result<(), store::Error> {
        for agent in self.current.values() {
            let name = kept_as(&agent.reference());
            if store.get(&name).await?.is_none() {
                let files = serde_json::to_vec(agent.files()).unwrap_or_default();
                store.put(&name, &files).await?;
            }
        }
        Ok(())
    }

    /// Today's version of an agent.
    pub fn current(&self, name: &str) -> Option<&Arc<Agent>> {
        self.current.get(name)
    }

    /// All of today's agents.
    pub fn agents(&self) -> impl Iterator<Item = &Arc<Agent>> {
        self.current.values()
    }

    /// An agent in the version that a thread is pinned to.
    ///
    /// # Errors
    /// A sentence for the operator: the version is not kept, or does not load any more.
    pub async fn pinned(&self, wanted: &AgentRef, store: &dyn Store) -> Result<Arc<Agent>, String> {
        if let Some(agent) = self.current.get(&wanted.name).filter(|agent| agent.reference() == *wanted) {
            return Ok(agent.clone());
        }
        if let Some(agent) = self.older().get(&kept_as(wanted)) {
            return Ok(agent.clone());
        }
        let missing =
            || format!("agent {} in version {:.12} is not kept in the store", wanted.name, wanted.version);
        let kept =
            store.get(&kept_as(wanted)).await.map_err(|error| error.to_string())?.ok_or_else(missing)?;
        let files = serde_json::from_slice(&kept).map_err(|_| missing())?;
        let agent = Agent::load(&wanted.name, files, &self.desks).map_err(|flaws| {
            let first = flaws.first().map(ToString::to_string).unwrap_or_default();
            format!("agent {} in version {:.12} does not load any more: {first}", wanted.name, wanted.version)
        })?;
        let agent = Arc::new(agent);
        let mut older = self.older();
        if older.len() >= LOADED_MAX {
            older.pop_first();
        }
        older.insert(kept_as(wanted), agent.clone());
        Ok(agent)
    }

    fn older(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Arc<Agent>>> {
        self.older.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn kept_as(agent: &AgentRef) -> String {
    format!("agent:{}:{}", agent.name, agent.version)
}
