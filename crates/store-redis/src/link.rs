//! The connection to one server, to a cluster, or to the master that sentinels name.

use std::{collections::VecDeque, path::PathBuf, sync::Arc, time::Duration};

use redis::{
    Client, Cmd, ConnectionInfo, Pipeline, RedisFuture, RedisResult, TlsCertificates, Value,
    aio::{ConnectionLike, ConnectionManager, ConnectionManagerConfig},
    cluster::ClusterClient,
    cluster_async::ClusterConnection,
    cluster_routing::{Route, RoutingInfo, SingleNodeRoutingInfo, SlotAddr},
};
use store::{Clock, Error};
use tokio::{sync::watch, time::timeout};

use crate::{
    address::{self, Place},
    fault,
    sentinel::Master,
    soundness,
};

/// The longest prefix.
const PREFIX_MAX: usize = 64;
/// How long to wait before a lost connection is tried again, at most.
const RECONNECT_MAX: Duration = Duration::from_millis(500);
/// How often a command tries to connect before it fails; whoever sent it tries again later.
const RECONNECTS: usize = 2;

/// Where the store is, and what is asked of it.
#[derive(Clone)]
pub struct Options {
    /// The server, `redis://[user:password@]host[:port][/number]`, or `rediss://` for TLS. Of a cluster one node is enough to
    /// find the others; more may be named, in case that one is away.
    ///
    /// Or the sentinels that name the server: `redis+sentinel://[user:password@]host[:26379][,host…]/MASTER[/number]`, or
    /// `rediss+sentinel://` for TLS to all of them. User and password are for the servers; what the sentinels themselves ask for
    /// stands behind, `?sentinel=user:password`. All sentinels should be named: what most of them say counts.
    pub urls: Vec<String>,
    /// What all keys begin with, in braces: letters, digits, `-`, `_` and `.`, at most 64 of them.
    pub prefix: String,
    /// How long a command may take.
    pub timeout: Duration,
    /// How durable a commit must be at least.
    pub durability: Durability,
    /// Whose time counts.
    pub time: Time,
    /// Where this process notes what was confirmed, so that what Redis forgets can be put back. Without, nothing is noticed.
    pub journal: Option<JournalOptions>,
    /// The certificates, in a PEM file, that are trusted for TLS instead of those that the system trusts.
    pub tls_ca: Option<PathBuf>,
}

/// Where what was confirmed is noted, and for how long.
#[derive(Clone, Debug)]
pub struct JournalOptions {
    /// The folder. Several processes may have the same.
    pub folder: PathBuf,
    /// How long, at least; some megabytes of each process are the most, however.
    pub keep: Duration,
}

/// Whose time counts for leases and due times.
#[derive(Clone)]
pub enum Time {
    /// The server's, so that all gateways have the same.
    Server,
    /// This clock's, for a simulation.
    Of(Arc<dyn Clock>),
}

/// What of a commit outlives a crash of the server's machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Durability {
    /// Nothing is promised: no append-only file, or the system writes it when it likes.
    None,
    /// All but the last second or two (`appendfsync everysec`).
    EverySecond,
    /// All (`appendfsync always`).
    Always,
}

impl Durability {
    /// In a few words, for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "not kept over a crash",
            Self::EverySecond => "kept over a crash but for the last second",
            Self::Always => "kept over a crash",
        }
    }
}

/// A connection, shared by all who have a clone of it.
#[derive(Clone)]
pub(crate) enum Link {
    /// One server; connects again by itself.
    One(ConnectionManager),
    /// A cluster, and the slot that the store is in.
    Cluster(ClusterConnection, u16),
    /// The master that sentinels name, whichever it is now.
    Master(Master),
}

impl Link {
    /// Connects, and finds out whether it is a cluster.
    pub(crate) async fn open(options: &Options, key: &str) -> Result<(Self, Nodes), Error> {
        check_prefix(&options.prefix)?;
        let (place, certificates) = address::read(options)?;
        let nodes = match place {
            Place::Nodes(nodes) => nodes,
            Place::Master(sentinels) => {
                let master = Master::open(*sentinels, options).await?;
                return Ok((Self::Master(master.clone()), Nodes::Master(master.watch(), master)));
            }
        };
        let mut failure = Error::Refused { why: "no Redis is named; set `store.url`".to_owned() };
        for info in &nodes {
            match Self::begin(options, info.clone(), &nodes, certificates.as_ref(), key).await {
                Ok(link) => return Ok((link, Nodes::These(nodes.into()))),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    async fn begin(
        options: &Options,
        info: ConnectionInfo,
        nodes: &[ConnectionInfo],
        certificates: Option<&TlsCertificates>,
        key: &str,
    ) -> Result<Self, Error> {
        let at = |error: redis::RedisError| fault::away_at(&info, &error);
        let client = Client::open(info.clone()).map_err(at)?;
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(RECONNECTS)
            .set_max_delay(RECONNECT_MAX)
            .set_connection_timeout(Some(options.timeout))
            .set_response_timeout(Some(options.timeout));
        let connect = client.get_connection_manager_with_config(config);
        let late = |_| fault::late_at(&info, options.timeout);
        let mut one = timeout(options.timeout, connect).await.map_err(late)?.map_err(at)?;
        let server: String = redis::cmd("INFO").arg("cluster").query_async(&mut one).await.map_err(at)?;
        if soundness::field(&server, "cluster_enabled") != Some("1") {
            return Ok(Self::One(one));
        }
        let slot = redis::cmd("CLUSTER").arg("KEYSLOT").arg(key).query_async(&mut one).await.map_err(at)?;
        let mut cluster = ClusterClient::builder(nodes.iter().cloned())
            .connection_timeout(options.timeout)
            .response_timeout(options.timeout)
            .overall_response_timeout(Some(options.timeout * 2))
            .tcp_settings(address::quick())
            .retries(4)
            .max_retry_wait(500);
        if let Some(certificates) = certificates {
            cluster = cluster.certs(certificates.clone());
        }
        let cluster = cluster.build().map_err(at)?;
        Ok(Self::Cluster(cluster.get_async_connection().await.map_err(at)?, slot))
    }

    /// Asks the server that has the keys, whichever it is now.
    pub(crate) async fn ask(&self, cmd: Cmd) -> RedisResult<Value> {
        match self {
            Self::One(one) => cmd.query_async(&mut one.clone()).await,
            Self::Cluster(cluster, slot) => {
                let owner = SingleNodeRoutingInfo::SpecificNode(Route::new(*slot, SlotAddr::Master));
                cluster.clone().route_command(cmd, RoutingInfo::SingleNode(owner)).await
            }
            Self::Master(master) => master.ask(&cmd).await,
        }
    }

    /// The name of the history of the data that it leads to; empty where another server is known by the scripts that it does not know.
    pub(crate) async fn history(&self) -> RedisResult<String> {
        match self {
            Self::One(_) | Self::Cluster(..) => Ok(String::new()),
            Self::Master(master) => master.history().await,
        }
    }

    /// Whether the store has looked through this history.
    pub(crate) fn has_met(&self, history: &str) -> bool {
        match self {
            Self::One(_) | Self::Cluster(..) => true,
            Self::Master(master) => master.has_met(history),
        }
    }

    /// The store has looked through this history: from now on scripts may be called.
    pub(crate) fn meets(&self, history: String) {
        match self {
            Self::One(_) | Self::Cluster(..) => {}
            Self::Master(master) => master.meets(history),
        }
    }

    /// What it leads to, a Redis of this version, in a few words.
    pub(crate) fn what(&self, version: &str) -> String {
        match self {
            Self::One(_) | Self::Cluster(..) => version.to_owned(),
            Self::Master(master) => format!("{version}, master `{}` by Sentinel,", master.name()),
        }
    }
}

/// Where what is published is heard.
pub(crate) enum Nodes {
    /// At each of these; in a cluster each hears everything.
    These(VecDeque<ConnectionInfo>),
    /// At the master that sentinels name, and where that is.
    Master(watch::Receiver<String>, Master),
}

impl Nodes {
    /// Where to listen next.
    pub(crate) async fn next(&mut self) -> RedisResult<ConnectionInfo> {
        match self {
            Self::These(nodes) => {
                let node = nodes.pop_front().ok_or_else(fault::late)?;
                nodes.push_back(node.clone());
                Ok(node)
            }
            Self::Master(now, master) => {
                // Before it is asked where that is: what changes from here on is a reason to go elsewhere.
                now.mark_unchanged();
                master.place().await
            }
        }
    }

    /// Ends when there is nothing to be heard there any more, although it may still be connected to.
    pub(crate) async fn moved(&mut self) {
        match self {
            Self::These(_) => std::future::pending().await,
            Self::Master(now, _) => {
                // That nobody tells it any more cannot be, as long as there is a master to ask.
                let _ = now.changed().await;
            }
        }
    }
}

impl ConnectionLike for Link {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::One(one) => one.req_packed_command(cmd),
            Self::Cluster(cluster, _) => cluster.req_packed_command(cmd),
            Self::Master(master) => Box::pin(master.ask(cmd)),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::One(one) => one.req_packed_commands(pipeline, offset, count),
            Self::Cluster(cluster, _) => cluster.req_packed_commands(pipeline, offset, count),
            Self::Master(master) => Box::pin(master.ask_all(pipeline, offset, count)),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::One(one) => one.get_db(),
            Self::Cluster(cluster, _) => cluster.get_db(),
            Self::Master(master) => master.number(),
        }
    }
}

fn check_prefix(prefix: &str) -> Result<(), Error> {
    let letters = prefix.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    if letters && (1..=PREFIX_MAX).contains(&prefix.len()) {
        return Ok(());
    }
    let why =
        format!("`store.prefix` is `{prefix}`; it takes 1 to {PREFIX_MAX} letters, digits, `-`, `_` and `.`");
    Err(Error::Refused { why })
}
