//! A master with a replica, and sentinels that put the one in the place of the other.

use std::time::Instant;

use super::{Certificates, RedisServer, SOON};

/// What the sentinels call the master.
const NAME: &str = "mymaster";
/// A server that does not answer for so long, in milliseconds, is taken for dead. Sentinels look once in a second.
const DOWN_AFTER: &str = "1000";
/// How long, in milliseconds, a replacement that did not work out is waited for, twice.
const GIVE_UP: &str = "3000";

impl RedisServer {
    /// Starts a sentinel that looks after `master`, with further lines of its configuration. So many sentinels as `quorum` must find
    /// that it is dead.
    ///
    /// # Panics
    /// Where there is no `redis-server`, with what to do about it.
    pub fn sentinel(master: &Self, quorum: usize, certificates: Option<&Certificates>, more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = master.tls_port.as_ref().filter(|_| certificates.is_some()).unwrap_or(&master.port).number;
        let text = format!(
            "sentinel monitor {NAME} 127.0.0.1 {port} {quorum}\nsentinel down-after-milliseconds {NAME} {DOWN_AFTER}\n\
             sentinel failover-timeout {NAME} {GIVE_UP}\n{more}\n"
        );
        let file = folder.path().join("sentinel.conf");
        std::fs::write(&file, text).unwrap();
        let file = file.display().to_string();
        Self::begin(certificates, folder, vec![&file, "--sentinel"])
    }
}

/// A master with a replica, and three sentinels of which two are enough to put the replica in its place.
#[derive(Debug)]
pub struct RedisSentinels {
    /// The master, as long as it lives, and the replica.
    pub servers: [RedisServer; 2],
    /// The sentinels.
    pub sentinels: [RedisServer; 3],
    tls: bool,
}

impl RedisSentinels {
    /// Starts them.
    ///
    /// # Panics
    /// Where they do not find each other.
    pub fn start() -> Self {
        Self::start_by(None)
    }

    /// The same, with TLS to the servers, to the sentinels, and between them.
    ///
    /// # Panics
    /// Where they do not find each other.
    pub fn start_with_tls(certificates: &Certificates) -> Self {
        Self::start_by(Some(certificates))
    }

    fn start_by(certificates: Option<&Certificates>) -> Self {
        // A replica need not wait for others that might come.
        let soon = ["--repl-diskless-sync-delay", "0"];
        let master = RedisServer::start_by(certificates, &soon);
        let port = master.tls_port.as_ref().unwrap_or(&master.port).number.to_string();
        let replica =
            RedisServer::start_by(certificates, &[&soon[..], &["--replicaof", "127.0.0.1", &port]].concat());
        let sentinels = [(); 3].map(|()| RedisServer::sentinel(&master, 2, certificates, ""));
        let all = Self { servers: [master, replica], sentinels, tls: certificates.is_some() };
        wait("the sentinels do not find each other", || {
            let knows = |sentinel: &RedisServer, what: &str, count: &str| {
                let said = sentinel.say(&["SENTINEL", "MASTER", NAME]);
                said.lines().skip_while(|line| *line != what).nth(2) == Some(count)
            };
            all.sentinels
                .iter()
                .all(|one| knows(one, "num-slaves", "1") && knows(one, "num-other-sentinels", "2"))
                && all.servers[1].info("master_link_status") == "up"
        });
        all
    }

    /// The address of the master by its sentinels.
    pub fn url(&self) -> String {
        let place = |sentinel: &RedisServer| match self.tls {
            true => sentinel.tls_url().replace("rediss://", ""),
            false => sentinel.url().replace("redis://", ""),
        };
        let scheme = if self.tls { "rediss" } else { "redis" };
        let places = self.sentinels.each_ref().map(place).join(",");
        format!("{scheme}+sentinel://{places}/{NAME}")
    }

    /// Waits until the second server has all that the first one, its master, has taken so far.
    ///
    /// # Panics
    /// Where that does not come.
    pub fn wait_for_the_replica(&self) {
        let number = |server: &RedisServer, field| server.info(field).parse::<u64>().unwrap_or(0);
        let taken = number(&self.servers[0], "master_repl_offset");
        wait("the replica does not follow", || number(&self.servers[1], "slave_repl_offset") >= taken);
    }

    /// Waits until a server is what `role` says, `master` or `slave`.
    ///
    /// # Panics
    /// Where it does not get that.
    pub fn wait_for_role(&self, server: usize, role: &str) {
        wait("a server does not change its role", || self.servers[server].info("role") == role);
    }
}

fn wait(what: &str, mut done: impl FnMut() -> bool) {
    let began = Instant::now();
    // Sentinels that were held up for two seconds do nothing for thirty.
    while !done() {
        assert!(began.elapsed() < SOON * 4, "{what}");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}
