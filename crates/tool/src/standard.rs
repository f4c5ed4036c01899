//! The tools that come with the gateway, behind one door.

use std::{fmt, path::PathBuf, sync::Arc};

use agent::{Handler, ToolSpec};
use async_trait::async_trait;
use secrecy::SecretString;

use crate::{
    address::{Resolve, System},
    builtin, command,
    http::{self, Tls},
    seam::{Call, Ended, Tool},
};

/// Reads an environment variable by its name.
pub type Env = Arc<dyn Fn(&str) -> Option<SecretString> + Send + Sync>;

/// What [`Standard`] is made with.
#[derive(Clone)]
pub struct ToolSettings {
    /// The folder in which each agent gets a folder of its own for what its programs keep: `state/tools`. Made on demand.
    pub state: PathBuf,
    /// The environment: PATH, HOME and LANG for every program, and what a tool names.
    pub env: Env,
}

impl fmt::Debug for ToolSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ToolSettings").field("state", &self.state).finish_non_exhaustive()
    }
}

/// Programs, HTTP requests, and what is built in.
pub struct Standard {
    settings: ToolSettings,
    resolver: Arc<dyn Resolve>,
    tls: Tls,
}

impl Standard {
    /// Makes it; touches nothing.
    pub fn new(settings: ToolSettings) -> Self {
        Self::with_resolver(settings, Arc::new(System))
    }

    pub(crate) fn with_resolver(settings: ToolSettings, resolver: Arc<dyn Resolve>) -> Self {
        Self { settings, resolver, tls: Tls::default() }
    }
}

impl fmt::Debug for Standard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Standard").field("settings", &self.settings).finish_non_exhaustive()
    }
}

#[async_trait]
impl Tool for Standard {
    async fn run(&self, spec: &ToolSpec, call: Call<'_>) -> Ended {
        match &spec.run {
            Handler::Command(command) => command::run(spec, command, call, &self.settings).await,
            Handler::Http(request) => {
                let outcome =
                    http::run(spec, request, call, &self.settings.env, &*self.resolver, &self.tls).await;
                Ended { outcome, files: Vec::new() }
            }
            Handler::Builtin(builtin) => {
                let outcome = builtin::run(*builtin, spec, call).await;
                Ended { outcome, files: Vec::new() }
            }
        }
    }
}
